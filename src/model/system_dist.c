#include "model/system_dist.h"

#include "base/field.h"

#include <math.h>

static const char *const KINDS[] = {
    [DIST_FIXED] = "fixed",         [DIST_EXPONENTIAL] = "exponential",
    [DIST_GAMMA] = "gamma",         [DIST_HYPEREXPONENTIAL] = "hyperexponential",
    [DIST_LOGNORMAL] = "lognormal", [DIST_PARETO] = "pareto",
    [DIST_UNIFORM] = "uniform",     [DIST_WEIBULL] = "weibull",
    [DIST_EMPIRICAL] = "empirical", [DIST_MIXTURE] = "mixture",
    [DIST_MIXTURE + 1] = NULL,
};

// Every key that any kind has; which of them a kind needs is in NEEDS.
typedef struct DistFields {
    int64_t kind;
    int64_t mean, median, min, max, cap, scale, first, second; // ns; -1: not given
    double shape, sigma, alpha, scv, share, weight;            // -1: not given
    const Doc *quantiles, *parts;
} DistFields;

enum { LONGEST_S = 366 * 86400 };
#define TIME(member, key)   TIME_FIELD(DistFields, member, key, 0, LONGEST_S * 1e9, -1, "A time.")
#define NUMBER(member, key) REAL_FIELD(DistFields, member, key, 0, 1e6, -1, "A number.")

// clang-format off
static const Field ROWS[] = {
    CHOICE_FIELD(DistFields, kind, "dist", KINDS, -1, "Which distribution."),
    TIME(mean, "mean"), TIME(median, "median"), TIME(min, "min"), TIME(max, "max"),
    TIME(cap, "cap"), TIME(scale, "scale"), TIME(first, "first"), TIME(second, "second"),
    NUMBER(shape, "shape"), NUMBER(sigma, "sigma"), NUMBER(alpha, "alpha"), NUMBER(scv, "scv"),
    NUMBER(share, "share"), NUMBER(weight, "weight"),
    TEXT_FIELD(DistFields, quantiles, "quantiles", FIELD_ANY, "Ascending times."),
    TEXT_FIELD(DistFields, parts, "parts", FIELD_ANY, "Distributions, each with its weight."),
};
// clang-format on
static const FieldTable TABLE = {"distribution", ROWS, COUNT_OF(ROWS)};

// The keys of a kind, one or the other way; "weight" may stand in a part beside them.
static const struct {
    DistKind kind;
    const char *keys[4];
} WAYS[] = {
    {DIST_FIXED, {"mean"}},
    {DIST_EXPONENTIAL, {"mean"}},
    {DIST_GAMMA, {"mean", "shape"}},
    {DIST_HYPEREXPONENTIAL, {"mean", "scv"}},
    {DIST_HYPEREXPONENTIAL, {"share", "first", "second"}},
    {DIST_LOGNORMAL, {"mean", "sigma"}},
    {DIST_LOGNORMAL, {"median", "sigma"}},
    {DIST_PARETO, {"min", "alpha"}},
    {DIST_PARETO, {"min", "alpha", "cap"}},
    {DIST_UNIFORM, {"min", "max"}},
    {DIST_WEIBULL, {"scale", "shape"}},
    {DIST_EMPIRICAL, {"quantiles"}},
    {DIST_MIXTURE, {"parts"}},
};

static bool is_way(const Doc *d, size_t way, bool part)
{
    size_t wanted = 1 + part;
    bool all = true;
    for (size_t i = 0; i < COUNT_OF(WAYS[way].keys) && WAYS[way].keys[i]; i++, wanted++) {
        all = all && doc_get(d, slice_from_cstr(WAYS[way].keys[i]));
    }
    return all && doc_count(d) == wanted && (!part || doc_get(d, SLICE("weight")));
}

static int wrong_keys(const Doc *d, DistKind kind, bool part, Err *e)
{
    Buf words = buf_create(512);
    const char *between = "";
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        if (WAYS[i].kind != kind) {
            continue;
        }
        buf_puts(&words, between);
        for (size_t k = 0; k < COUNT_OF(WAYS[i].keys) && WAYS[i].keys[k]; k++) {
            buf_printf(&words, "%s%s", k ? ", " : "", WAYS[i].keys[k]);
        }
        between = "; or ";
    }
    int rc = doc_err(e, d, "a distribution \"%s\" takes %s%s", KINDS[kind], words.data,
                     part ? "; and, as a part, weight" : "");
    buf_done(&words);
    return rc;
}

static int read_points(Arena *arena, const Doc *list, Dist *ret_dist, Err *e)
{
    int rc = doc_expect(list, DOC_ARRAY, "quantiles", e);
    size_t count = doc_count(list), used = 0;
    if (rc != 0) {
        return rc;
    }
    if (count < 2 || count > DIST_POINTS_MAX || arena_left(arena) / 2 < count * sizeof(double)) {
        return doc_err(e, list, "an empirical distribution has 2 to %d quantiles", DIST_POINTS_MAX);
    }
    double *points = ARENA_ARRAY(arena, double, count);
    for (const Doc *m = doc_first(list); m; m = doc_next(m)) {
        int64_t ns = 0;
        Err why = {0};
        if ((rc = doc_expect(m, DOC_STRING, "a quantile", e)) != 0) {
            return rc;
        }
        if (duration_parse(m->text, 0, &ns, &why) != 0) {
            return doc_err(e, m, "%s", why.text);
        }
        if (used > 0 && (double)ns < points[used - 1]) {
            return doc_err(e, m, "quantiles ascend");
        }
        points[used++] = (double)ns;
    }
    *ret_dist = dist_empirical(points, (uint32_t)count);
    return 0;
}

static int read_dist(Arena *arena, const Doc *d, const char *what, double *ret_weight,
                     Dist *ret_dist, Err *e);

static int read_parts(Arena *arena, const Doc *list, bool part, Dist *ret_dist, Err *e)
{
    int rc = doc_expect(list, DOC_ARRAY, "parts", e);
    size_t count = doc_count(list), used = 0;
    double sum = 0;
    if (rc != 0) {
        return rc;
    }
    if (part) {
        return doc_err(e, list, "a mixture has no mixtures as parts");
    }
    if (count < 1 || count > DIST_PARTS_MAX || arena_left(arena) / 2 < count * sizeof(DistPart)) {
        return doc_err(e, list, "a mixture has 1 to %d parts", DIST_PARTS_MAX);
    }
    DistPart *parts = ARENA_ARRAY(arena, DistPart, count);
    for (const Doc *m = doc_first(list); m; m = doc_next(m), used++) {
        rc = read_dist(arena, m, "a part", &parts[used].weight, &parts[used].dist, e);
        if (rc != 0) {
            return rc;
        }
        sum += parts[used].weight;
    }
    if (fabs(sum - 1) > 1e-9) {
        return doc_err(e, list, "the weights sum to %g, not to 1", sum);
    }
    *ret_dist = dist_mixture(parts, (uint32_t)count);
    return 0;
}

// The times that a constructor computes are cut to whole nanoseconds, as they are written.
static Dist whole(Dist d)
{
    d.scale = round(d.scale);
    d.other = isfinite(d.other) ? round(d.other) : d.other;
    return d;
}

static Dist hyperexponential(const DistFields *f)
{
    if (f->share < 0) {
        return whole(dist_hyperexponential((double)f->mean, f->scv));
    }
    return (Dist){.kind = DIST_HYPEREXPONENTIAL,
                  .shape = f->share,
                  .scale = (double)f->first,
                  .other = (double)f->second};
}

static Dist lognormal(const DistFields *f)
{
    if (f->median < 0) {
        return whole(dist_lognormal((double)f->mean, f->sigma));
    }
    return (Dist){.kind = DIST_LOGNORMAL, .scale = (double)f->median, .shape = f->sigma};
}

static int make(Arena *arena, const DistFields *f, bool part, Dist *ret_dist, Err *e)
{
    double mean = (double)f->mean;
    switch ((DistKind)f->kind) {
    case DIST_FIXED: *ret_dist = dist_fixed(mean); break;
    case DIST_EXPONENTIAL: *ret_dist = dist_exponential(mean); break;
    case DIST_GAMMA: *ret_dist = dist_gamma(mean, f->shape); break;
    case DIST_HYPEREXPONENTIAL: *ret_dist = hyperexponential(f); break;
    case DIST_LOGNORMAL: *ret_dist = lognormal(f); break;
    case DIST_PARETO:
        *ret_dist = dist_pareto((double)f->min, f->alpha, f->cap < 0 ? INFINITY : (double)f->cap);
        break;
    case DIST_UNIFORM: *ret_dist = dist_uniform((double)f->min, (double)f->max); break;
    case DIST_WEIBULL: *ret_dist = dist_weibull((double)f->scale, f->shape); break;
    case DIST_EMPIRICAL: return read_points(arena, f->quantiles, ret_dist, e);
    case DIST_MIXTURE: return read_parts(arena, f->parts, part, ret_dist, e);
    }
    return 0;
}

// `ret_weight` not NULL: a part of a mixture.
static int read_dist(Arena *arena, const Doc *d, const char *what, double *ret_weight,
                     Dist *ret_dist, Err *e)
{
    DistFields f;
    Err why = {0};
    int64_t ns = 0;
    bool part = ret_weight != NULL;
    fields_init(&TABLE, &f);
    if (d->type == DOC_STRING && !part) {
        if (duration_parse(d->text, 0, &ns, &why) != 0) {
            return doc_err(e, d, "%s: %s", what, why.text);
        }
        *ret_dist = dist_fixed((double)ns);
        return 0;
    }
    int rc = fields_read(arena, &TABLE, d, &f, e);
    if (rc != 0) {
        return rc;
    }
    if (f.kind < 0) {
        return doc_err(e, d, "%s: `dist` says which distribution", what);
    }
    size_t way = 0;
    while (way < COUNT_OF(WAYS) && (WAYS[way].kind != (DistKind)f.kind || !is_way(d, way, part))) {
        way++;
    }
    if (way == COUNT_OF(WAYS)) {
        return wrong_keys(d, (DistKind)f.kind, part, e);
    }
    if (part) {
        *ret_weight = f.weight;
    }
    Dist made = {0};
    if ((rc = make(arena, &f, part, &made, e)) != 0) {
        return rc;
    }
    if (dist_check(&made, &why) != 0) {
        return doc_err(e, d, "%s: %s", what, why.text);
    }
    *ret_dist = made;
    return 0;
}

int system_read_dist(Arena *arena, const Doc *d, const char *what, Dist *ret_dist, Err *e)
{
    return read_dist(arena, d, what, NULL, ret_dist, e);
}

// ---- writing

static void write_time(JsonWriter *w, const char *key, double ns)
{
    char text[UNITS_TEXT_MAX];
    (void)duration_format((int64_t)llround(ns), text);
    json_field_cstr(w, key, text);
}

static void write_members(const Dist *dist, JsonWriter *w);

static void write_points(const Dist *dist, JsonWriter *w)
{
    json_key(w, SLICE("quantiles"));
    json_array_begin(w);
    for (uint32_t i = 0; i < dist->count; i++) {
        char text[UNITS_TEXT_MAX];
        (void)duration_format((int64_t)llround(dist->points[i]), text);
        json_cstr(w, text);
    }
    json_array_end(w);
}

static void write_parts(const Dist *dist, JsonWriter *w)
{
    json_key(w, SLICE("parts"));
    json_array_begin(w);
    for (uint32_t i = 0; i < dist->count; i++) {
        json_object_begin(w);
        json_field_double(w, "weight", dist->parts[i].weight);
        write_members(&dist->parts[i].dist, w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_members(const Dist *dist, JsonWriter *w)
{
    json_field_cstr(w, "dist", KINDS[dist->kind]);
    switch (dist->kind) {
    case DIST_FIXED:
    case DIST_EXPONENTIAL: write_time(w, "mean", dist->scale); break;
    case DIST_GAMMA:
        write_time(w, "mean", dist->scale);
        json_field_double(w, "shape", dist->shape);
        break;
    case DIST_HYPEREXPONENTIAL:
        json_field_double(w, "share", dist->shape);
        write_time(w, "first", dist->scale);
        write_time(w, "second", dist->other);
        break;
    case DIST_LOGNORMAL:
        write_time(w, "median", dist->scale);
        json_field_double(w, "sigma", dist->shape);
        break;
    case DIST_PARETO:
        write_time(w, "min", dist->scale);
        json_field_double(w, "alpha", dist->shape);
        if (isfinite(dist->other)) {
            write_time(w, "cap", dist->other);
        }
        break;
    case DIST_UNIFORM:
        write_time(w, "min", dist->scale);
        write_time(w, "max", dist->other);
        break;
    case DIST_WEIBULL:
        write_time(w, "scale", dist->scale);
        json_field_double(w, "shape", dist->shape);
        break;
    case DIST_EMPIRICAL: write_points(dist, w); break;
    case DIST_MIXTURE: write_parts(dist, w); break;
    }
}

void system_write_dist(const Dist *dist, JsonWriter *w)
{
    json_object_begin(w);
    write_members(dist, w);
    json_object_end(w);
}
