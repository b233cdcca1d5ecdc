#include "improve/bundle_claim.h"

#include <math.h>

#include "base/json_write.h"

enum { CLAIM_BYTES_MAX = 4 << 20, SAMPLES_BYTES_MAX = 32 << 20, TEXT_BYTES_MAX = 4096 };

const char *const BUNDLE_ARM_NAMES[BUNDLE_ARMS + 1] = {"A", "AA", "B", NULL};

// ---- writing

static void write_workload(JsonWriter *w, const BundleWorkload *load)
{
    json_object_begin(w);
    json_field_string(w, "name", load->name);
    json_field_string(w, "metric", load->metric);
    json_field_bool(w, "guard", load->guard);
    json_field_double(w, "ratio", load->ratio);
    json_field_double(w, "low", load->interval.low);
    json_field_double(w, "high", load->interval.high);
    json_field_double(w, "confidence", load->interval.confidence);
    json_object_end(w);
}

static void write_claim(JsonWriter *w, const BundleClaim *claim)
{
    json_object_begin(w);
    json_field_int(w, "version", BUNDLE_VERSION);
    json_field_cstr(w, "verdict", PATCH_VERDICT_NAMES[claim->verdict]);
    json_field_string(w, "title", claim->title);
    json_field_string(w, "reason", claim->reason);
    json_field_string(w, "repository", claim->repository);
    json_field_string(w, "base_revision", claim->base_revision);
    json_field_string(w, "base_tree", claim->base_tree);
    json_field_double(w, "min_effect", claim->min_effect);
    json_field_int(w, "attempt", claim->attempt);
    json_key(w, SLICE("workloads"));
    json_array_begin(w);
    for (size_t i = 0; i < claim->count; i++) {
        write_workload(w, &claim->workloads[i]);
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_samples(JsonWriter *w, const BundleWorkload *load)
{
    json_object_begin(w);
    json_field_string(w, "name", load->name);
    json_field_string(w, "metric", load->metric);
    json_key(w, SLICE("samples"));
    json_array_begin(w);
    for (size_t i = 0; i < load->sample_count; i++) {
        const BundleSample *s = &load->samples[i];
        json_array_begin(w);
        json_int(w, s->session);
        json_int(w, s->round);
        json_cstr(w, BUNDLE_ARM_NAMES[s->arm]);
        json_int(w, s->at_ns);
        json_double(w, s->value);
        json_array_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static bool same_workload(const BundleWorkload *a, const BundleWorkload *b)
{
    return slice_eq(a->name, b->name) && slice_eq(a->metric, b->metric);
}

// What a ratio with its interval may be: all unknown, or 0 < low <= ratio <= high.
static bool ratio_ok(const BundleWorkload *load)
{
    Interval i = load->interval;
    if (isnan(load->ratio)) {
        return isnan(i.low) && isnan(i.high);
    }
    return i.low > 0 && i.low <= load->ratio && load->ratio <= i.high && isfinite(i.high);
}

static int check_workloads(const BundleWorkload *loads, size_t count, Err *e)
{
    size_t samples = 0;
    if (count > BUNDLE_WORKLOADS_MAX) {
        return err_set(e, ERR_LIMIT, "a bundle has at most %d workloads", BUNDLE_WORKLOADS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (!ratio_ok(&loads[i])) {
            return err_set(e, ERR_ARG, "%.*s: its interval does not hold its ratio",
                           SLICE_FMT(loads[i].name));
        }
        for (size_t k = 0; k < i; k++) {
            if (same_workload(&loads[k], &loads[i])) {
                return err_set(e, ERR_ARG, "%.*s is there twice", SLICE_FMT(loads[i].name));
            }
        }
        samples += loads[i].sample_count;
    }
    if (samples > BUNDLE_SAMPLES_MAX) {
        return err_set(e, ERR_LIMIT, "a bundle has at most %d samples", BUNDLE_SAMPLES_MAX);
    }
    return 0;
}

int bundle_add_claim(BundleWriter *writer, const BundleClaim *claim, Err *e)
{
    int rc = check_workloads(claim->workloads, claim->count, e);
    if (rc != 0) {
        return rc;
    }
    Buf text = buf_create(CLAIM_BYTES_MAX), samples = buf_create(SAMPLES_BYTES_MAX);
    JsonWriter w = json_writer(&text, 2);
    write_claim(&w, claim);
    w = json_writer(&samples, 0);
    json_object_begin(&w);
    json_field_int(&w, "version", BUNDLE_VERSION);
    json_key(&w, SLICE("workloads"));
    json_array_begin(&w);
    for (size_t i = 0; i < claim->count; i++) {
        write_samples(&w, &claim->workloads[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
    if ((rc = buf_check(&text, "claim.json", e)) == 0 &&
        (rc = buf_check(&samples, "samples.json", e)) == 0 &&
        (rc = bundle_add(writer, BUNDLE_CLAIM, buf_slice(&text), e)) == 0) {
        rc = bundle_add(writer, BUNDLE_SAMPLES, buf_slice(&samples), e);
    }
    buf_done(&text);
    buf_done(&samples);
    return rc;
}

// ---- reading

static int read_text(const Doc *object, const char *name, Slice *ret_text, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (!d || d->type != DOC_STRING || d->text.len > TEXT_BYTES_MAX) {
        return doc_err(e, d ? d : object, "%s must be a text of at most %d bytes", name,
                       TEXT_BYTES_MAX);
    }
    *ret_text = d->text;
    return 0;
}

// A number, or null, which is how JSON says NAN.
static int read_number(const Doc *object, const char *name, double *ret_value, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (!d || (!doc_is_number(d) && d->type != DOC_NULL)) {
        return doc_err(e, d ? d : object, "%s must be a number or null", name);
    }
    *ret_value = d->type == DOC_NULL ? NAN : doc_number(d);
    return 0;
}

static int read_int(const Doc *d, int64_t min, int64_t max, const Doc *at, int64_t *ret, Err *e)
{
    if (!d || d->type != DOC_INT || d->integer < min || d->integer > max) {
        return doc_err(e, d ? d : at, "must be a whole number from %lld to %lld", (long long)min,
                       (long long)max);
    }
    *ret = d->integer;
    return 0;
}

static int read_workload(const Doc *item, BundleWorkload *load, Err *e)
{
    static const Slice fields[] = {
        SLICE_INIT("name"), SLICE_INIT("metric"), SLICE_INIT("guard"),      SLICE_INIT("ratio"),
        SLICE_INIT("low"),  SLICE_INIT("high"),   SLICE_INIT("confidence"),
    };
    int rc = doc_expect(item, DOC_OBJECT, "a workload", e);
    const Doc *guard = doc_get(item, SLICE("guard"));
    if (rc != 0 || (rc = doc_expect_fields(item, fields, COUNT_OF(fields), e)) != 0 ||
        (rc = read_text(item, "name", &load->name, e)) != 0 ||
        (rc = read_text(item, "metric", &load->metric, e)) != 0 ||
        (rc = read_number(item, "ratio", &load->ratio, e)) != 0 ||
        (rc = read_number(item, "low", &load->interval.low, e)) != 0 ||
        (rc = read_number(item, "high", &load->interval.high, e)) != 0 ||
        (rc = read_number(item, "confidence", &load->interval.confidence, e)) != 0) {
        return rc;
    }
    if (!guard || guard->type != DOC_BOOL) {
        return doc_err(e, guard ? guard : item, "guard must be true or false");
    }
    load->guard = guard->boolean;
    return ratio_ok(load) ? 0 : doc_err(e, item, "its interval does not hold its ratio");
}

static int read_verdict(const Doc *doc, PatchVerdict *ret_verdict, Err *e)
{
    Slice name;
    int rc = read_text(doc, "verdict", &name, e);
    if (rc != 0) {
        return rc;
    }
    for (PatchVerdict v = 0; v < PATCH_VERDICTS; v++) {
        if (slice_eq_cstr(name, PATCH_VERDICT_NAMES[v])) {
            *ret_verdict = v;
            return 0;
        }
    }
    return doc_err(e, doc_get(doc, SLICE("verdict")), "no such verdict");
}

static int read_head(const Doc *doc, BundleClaim *claim, Err *e)
{
    static const Slice fields[] = {
        SLICE_INIT("version"),   SLICE_INIT("verdict"),    SLICE_INIT("title"),
        SLICE_INIT("reason"),    SLICE_INIT("repository"), SLICE_INIT("base_revision"),
        SLICE_INIT("base_tree"), SLICE_INIT("min_effect"), SLICE_INIT("attempt"),
        SLICE_INIT("workloads"),
    };
    int64_t attempt = 0, version = 0;
    int rc = doc_expect(doc, DOC_OBJECT, "the claim", e);
    if (rc != 0 || (rc = doc_expect_fields(doc, fields, COUNT_OF(fields), e)) != 0 ||
        (rc = read_int(doc_get(doc, SLICE("version")), 1, BUNDLE_VERSION, doc, &version, e)) != 0 ||
        (rc = read_verdict(doc, &claim->verdict, e)) != 0 ||
        (rc = read_text(doc, "title", &claim->title, e)) != 0 ||
        (rc = read_text(doc, "reason", &claim->reason, e)) != 0 ||
        (rc = read_text(doc, "repository", &claim->repository, e)) != 0 ||
        (rc = read_text(doc, "base_revision", &claim->base_revision, e)) != 0 ||
        (rc = read_text(doc, "base_tree", &claim->base_tree, e)) != 0 ||
        (rc = read_number(doc, "min_effect", &claim->min_effect, e)) != 0 ||
        (rc = read_int(doc_get(doc, SLICE("attempt")), 0, 1000000, doc, &attempt, e)) != 0) {
        return rc;
    }
    claim->attempt = (int)attempt;
    return 0;
}

static int parse_part(const BundlePart *part, Arena *arena, const Doc **ret_doc, Err *e)
{
    DocOptions options = {
        .format = DOC_FORMAT_JSON,
        .source = arena_cstr(arena, part->name),
        .max_bytes = SAMPLES_BYTES_MAX,
        .max_nodes = (size_t)BUNDLE_SAMPLES_MAX * 7,
    };
    return doc_parse(arena, part->bytes, &options, ret_doc, e);
}

static int read_sample(const Doc *row, BundleSample *sample, Err *e)
{
    int64_t session = 0, round = 0;
    int rc = doc_expect(row, DOC_ARRAY, "a sample", e);
    if (rc != 0) {
        return rc;
    }
    const Doc *arm = doc_at(row, 2), *value = doc_at(row, 4);
    if (doc_count(row) != 5 || arm->type != DOC_STRING ||
        (!doc_is_number(value) && value->type != DOC_NULL)) {
        return doc_err(e, row, "a sample is [session, round, arm, start in ns, value or null]");
    }
    if ((rc = read_int(doc_at(row, 0), 1, 1000, row, &session, e)) != 0 ||
        (rc = read_int(doc_at(row, 1), 0, BUNDLE_SAMPLES_MAX, row, &round, e)) != 0 ||
        (rc = read_int(doc_at(row, 3), 0, INT64_MAX, row, &sample->at_ns, e)) != 0) {
        return rc;
    }
    sample->session = (int)session;
    sample->round = (int)round;
    sample->value = value->type == DOC_NULL ? NAN : doc_number(value);
    for (BundleArm a = 0; a < BUNDLE_ARMS; a++) {
        if (slice_eq_cstr(arm->text, BUNDLE_ARM_NAMES[a])) {
            sample->arm = a;
            return 0;
        }
    }
    return doc_err(e, arm, "an arm is A, AA or B");
}

static BundleWorkload *find_workload(BundleClaim *claim, Slice name, Slice metric)
{
    for (size_t i = 0; i < claim->count; i++) {
        if (slice_eq(claim->workloads[i].name, name) &&
            slice_eq(claim->workloads[i].metric, metric)) {
            return &claim->workloads[i];
        }
    }
    return NULL;
}

static int read_samples_of(const Doc *item, Arena *arena, BundleClaim *claim, Err *e)
{
    static const Slice fields[] = {SLICE_INIT("name"), SLICE_INIT("metric"), SLICE_INIT("samples")};
    Slice name, metric;
    int rc = doc_expect(item, DOC_OBJECT, "a workload", e);
    if (rc != 0 || (rc = doc_expect_fields(item, fields, COUNT_OF(fields), e)) != 0 ||
        (rc = read_text(item, "name", &name, e)) != 0 ||
        (rc = read_text(item, "metric", &metric, e)) != 0) {
        return rc;
    }
    BundleWorkload *load = find_workload(claim, name, metric);
    const Doc *rows = doc_get(item, SLICE("samples"));
    if (!load || load->samples || !rows || rows->type != DOC_ARRAY) {
        return doc_err(e, item, "samples of something that claim.json does not have once");
    }
    load->samples = ARENA_ARRAY(arena, BundleSample, doc_count(rows) + 1);
    for (const Doc *row = doc_first(rows); row && rc == 0; row = doc_next(row)) {
        rc = read_sample(row, &load->samples[load->sample_count++], e);
    }
    return rc;
}

static int read_samples(const Bundle *bundle, Arena *arena, BundleClaim *claim, Err *e)
{
    static const Slice fields[] = {SLICE_INIT("version"), SLICE_INIT("workloads")};
    const BundlePart *part = bundle_part(bundle, BUNDLE_SAMPLES);
    const Doc *doc;
    int64_t version = 0;
    int rc = part ? parse_part(part, arena, &doc, e) : 0;
    if (!part || rc != 0) {
        return rc;
    }
    if ((rc = doc_expect(doc, DOC_OBJECT, "samples.json", e)) != 0 ||
        (rc = doc_expect_fields(doc, fields, COUNT_OF(fields), e)) != 0 ||
        (rc = read_int(doc_get(doc, SLICE("version")), 1, BUNDLE_VERSION, doc, &version, e)) != 0) {
        return rc;
    }
    const Doc *loads = doc_get(doc, SLICE("workloads"));
    if (!loads || loads->type != DOC_ARRAY) {
        return doc_err(e, doc, "workloads must be an array");
    }
    for (const Doc *item = doc_first(loads); item && rc == 0; item = doc_next(item)) {
        rc = read_samples_of(item, arena, claim, e);
    }
    return rc;
}

int bundle_read_claim(const Bundle *bundle, Arena *arena, BundleClaim **ret_claim, Err *e)
{
    const BundlePart *part = bundle_part(bundle, BUNDLE_CLAIM);
    const Doc *doc;
    if (!part) {
        return err_set(e, ERR_NOT_FOUND, "the bundle has no claim.json");
    }
    BundleClaim *claim = ARENA_NEW(arena, BundleClaim);
    int rc = parse_part(part, arena, &doc, e);
    if (rc != 0 || (rc = read_head(doc, claim, e)) != 0) {
        return rc;
    }
    const Doc *loads = doc_get(doc, SLICE("workloads"));
    if (!loads || loads->type != DOC_ARRAY || doc_count(loads) > BUNDLE_WORKLOADS_MAX) {
        return doc_err(e, loads ? loads : doc, "workloads must be an array of at most %d",
                       BUNDLE_WORKLOADS_MAX);
    }
    claim->workloads = ARENA_ARRAY(arena, BundleWorkload, doc_count(loads) + 1);
    for (const Doc *item = doc_first(loads); item; item = doc_next(item)) {
        if ((rc = read_workload(item, &claim->workloads[claim->count], e)) != 0) {
            return rc;
        }
        claim->count++;
    }
    if ((rc = check_workloads(claim->workloads, claim->count, e)) != 0) {
        return rc == ERR_ARG ? ERR_PARSE : rc;
    }
    if ((rc = read_samples(bundle, arena, claim, e)) != 0) {
        return rc;
    }
    *ret_claim = claim;
    return 0;
}
