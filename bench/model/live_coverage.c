// Are predictions of the live runtime right? Random loads and policies of a System are predicted by
// simulation, run on the runtime and compared: p50, p99 and goodput of every client, attempts a
// second of every edge.
//
//     live_coverage SYSTEM.toml RESULTS.jsonl [--settings N] [--seed N] [--scale N] [--seconds N]
//                   [--replications N] [--report]
//
// Defaults: 60 settings, seed 1, 25 System seconds in one of the clock, 10 s of the clock each, 399
// replications. Each setting's result is a line that is appended to the file; a setting that is
// there already is not run again, so a run that was stopped goes on where it was. --report runs
// nothing. Run it on a machine that does nothing else: a run whose requests left late is marked
// invalid, counts for nothing, and is done again the next time.
//
// A prediction is for ONE run of that length, not for the mean: with n replications of the same
// warm-up and horizon, none with the live run's seed, a further run's value falls between the k-th
// smallest and the k-th largest with probability (n + 1 - 2 k) / (n + 1) (order statistics of
// exchangeable values; no distribution is assumed): n = 399 and k = 20 make 90 %. Beside chance
// there is what is not known exactly: each sleep of the runtime takes a little longer than it
// should, times the scale. That is measured once before the first setting (a fixed 50 ms of work,
// nothing else), and thirds of the replications have its low end, its value and its high end.
//
// The issue asks: coverage over 60 settings not significantly below 90 %, median width at most
// 30 % of the value, median error of p99 at most 10 %.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"
#include "manage/live_run.h"
#include "model/formula.h"
#include "model/interface_fit.h"
#include "model/sim.h"
#include "os/file.h"
#include "stat/dist.h"

#include "live_predict.h"

enum {
    TRIES_MAX = 1000, // of drawing a setting that has one steady state
    REPLICATIONS_MAX = 999,
    SETTINGS_MAX = 10000,
    RESULTS_MAX = 64 << 20,
};
#define LOAD_LEAST       0.3
#define LOAD_MOST        0.85
#define UTILISATION_MOST 0.92 // with retries, by the formula
#define ERRORS_MOST      0.005
#define WARMUP_SHARE     0.15

typedef struct Options {
    const char *path, *results;
    double settings, seed, scale, seconds, replications;
    bool report;
} Options;

typedef struct Setting {
    uint64_t number;
    double load, late_ms;
    bool invalid;
    LiveValue values[LIVE_VALUES_MAX];
    size_t count;
} Setting;

// ---- settings

// One parameter somewhere in the range that its owner gives, durations evenly by their logarithm.
// Others than these stay as they are: what scales or adapts has no steady state within one run.
static void draw(System *sys, SystemPlace place, uint32_t index, const SystemRange *range, Rng *rng)
{
    double low = range->low, high = range->high, number = low;
    bool moved = rng_double(rng) < 0.7;
    double u = rng_double(rng);
    switch (range->param) {
    case P_TIMEOUT_ATTEMPT:
    case P_HEDGE_DELAY: number = fmax(low, 1) * pow(high / fmax(low, 1), u); break;
    case SYSTEM_PARAM_SERVERS: number = floor(low + u * (fmin(high, 1.5 * low) - low + 1)); break;
    case P_RETRY_ATTEMPTS:
    case P_HEDGE_MAX:
    case P_CANCEL_PROPAGATE: number = floor(low + u * (high - low + 1)); break;
    default: return;
    }
    SystemChange change = {{place, index, range->param}, system_value(range->param, number)};
    if (moved && system_set(sys, &change, NULL) != 0) {
        return; // contradicts the rest: it stays as it was
    }
}

static bool is_steady(const System *sys)
{
    Formula *f = NULL;
    if (formula_create(sys, &f, NULL) != 0) {
        return false;
    }
    Arena *arena = arena_create(16 << 20);
    Outcome *out = outcome_create(arena, sys);
    FormulaFacts facts = formula_solve(f, sys, out);
    bool steady =
        facts.stable && !facts.bistable && facts.settled && facts.utilisation < UTILISATION_MOST;
    // Where more than one request in a hundred fails p99 is infinite, and saying so is no art.
    for (uint32_t i = 0; i < sys->client_count; i++) {
        steady = steady && out->clients[i].errors.value < ERRORS_MOST;
    }
    arena_destroy(arena);
    formula_destroy(f);
    return steady;
}

// A copy with a random load and random policies that has one steady state by the formula.
static int make_setting(Arena *arena, const System *base, uint64_t seed, uint64_t number,
                        System **ret_sys, double *ret_load, Err *e)
{
    for (uint64_t n = 0; n < TRIES_MAX; n++) {
        Rng rng = rng_stream(seed * 1000003 + number, SLICE("live-coverage"), n);
        System *sys = system_copy(arena, base);
        double load = LOAD_LEAST + rng_double(&rng) * (LOAD_MOST - LOAD_LEAST);
        for (uint32_t i = 0; i < sys->agent_count; i++) {
            for (uint32_t k = 0; k < sys->agents[i].range_count; k++) {
                draw(sys, PLACE_AGENT, i, &sys->agents[i].ranges[k], &rng);
            }
        }
        for (uint32_t i = 0; i < sys->edge_count; i++) {
            for (uint32_t k = 0; k < sys->edges[i].range_count; k++) {
                draw(sys, PLACE_EDGE, i, &sys->edges[i].ranges[k], &rng);
            }
        }
        sys->fault_count = 0;
        for (uint32_t i = 0; i < sys->client_count; i++) {
            sys->clients[i].spike_count = 0;
        }
        int rc = interface_scale_load(sys, load, e);
        if (rc != 0 || is_steady(sys)) {
            *ret_sys = sys;
            *ret_load = load;
            return rc;
        }
    }
    return err_set(e, ERR_LIMIT, "none of %d random settings has one steady state", TRIES_MAX);
}

// ---- one setting: predicted, run, compared

static int run_setting(const Options *o, const System *base, Estimate late, Setting *s, Err *e)
{
    Arena *arena = arena_create((size_t)1 << 30);
    System *sys = NULL;
    int rc = make_setting(arena, base, (uint64_t)o->seed, s->number, &sys, &s->load, e);
    int64_t horizon = (int64_t)(o->seconds * o->scale * 1e9);
    LivePredictOptions predict = {.seed = (uint64_t)o->seed * 7919 + s->number,
                                  .replications = (uint32_t)o->replications,
                                  .horizon_ns = horizon,
                                  .warmup_ns = (int64_t)(WARMUP_SHARE * (double)horizon)};
    rc = rc ? rc : live_predict(arena, sys, &predict, late, s->values, &s->count, e);
    LiveRunOptions options = {
        .plant = {.seed = ~((uint64_t)o->seed * 104729 + s->number), .scale = o->scale},
        .warmup_ns = predict.warmup_ns,
        .horizon_ns = horizon};
    LiveRun run;
    rc = rc ? rc : live_run(arena, sys, &options, &run, e);
    if (rc == 0) {
        LiveValue *observed = ARENA_ARRAY(arena, LiveValue, LIVE_VALUES_MAX);
        size_t n = live_values(sys, run.outcome, observed);
        for (size_t i = 0; i < n; i++) {
            s->values[i].observed = observed[i].observed;
        }
        s->late_ms = run.health.late_p99_s * 1e3;
        s->invalid = run.invalid;
    }
    arena_destroy(arena);
    return rc;
}

// ---- the file

static void put_number(JsonWriter *w, const char *key, double value)
{
    if (isfinite(value)) {
        json_field_double(w, key, value);
    } else {
        json_field_cstr(w, key, "infinite");
    }
}

static int append(const Options *o, const Setting *s, Err *e)
{
    Buf line = buf_create(1 << 20);
    JsonWriter w = json_writer(&line, 0);
    json_object_begin(&w);
    json_field_int(&w, "setting", (int64_t)s->number);
    json_field_double(&w, "seed", o->seed);
    json_field_double(&w, "scale", o->scale);
    json_field_double(&w, "seconds", o->seconds);
    json_field_double(&w, "load", s->load);
    json_field_double(&w, "lateP99Ms", s->late_ms);
    json_field_bool(&w, "invalid", s->invalid);
    json_key(&w, SLICE("values"));
    json_array_begin(&w);
    for (size_t i = 0; i < s->count; i++) {
        const LiveValue *v = &s->values[i];
        json_object_begin(&w);
        json_field_cstr(&w, "measure", LIVE_MEASURE_NAMES[v->measure]);
        json_field_cstr(&w, "name", v->name);
        put_number(&w, "observed", v->observed);
        put_number(&w, "value", v->value);
        put_number(&w, "low", v->low);
        put_number(&w, "high", v->high);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&line, '\n');
    FILE *f = fopen(o->results, "ae");
    Slice text = buf_slice(&line);
    bool written = f && fwrite(text.ptr, 1, text.len, f) == text.len;
    written = f && fclose(f) == 0 && written;
    buf_done(&line);
    return written ? 0 : err_set(e, ERR_IO, "cannot write %s", o->results);
}

static double get_number(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return doc_is_number(d) ? doc_number(d) : INFINITY;
}

static void read_setting(const Doc *doc, Setting *s)
{
    const Doc *invalid = doc_get(doc, SLICE("invalid"));
    *s = (Setting){.number = (uint64_t)get_number(doc, "setting"),
                   .load = get_number(doc, "load"),
                   .late_ms = get_number(doc, "lateP99Ms"),
                   .invalid = invalid && invalid->type == DOC_BOOL && invalid->boolean};
    for (const Doc *d = doc_first(doc_get(doc, SLICE("values"))); d && s->count < LIVE_VALUES_MAX;
         d = doc_next(d)) {
        LiveValue *v = &s->values[s->count++];
        *v = (LiveValue){.observed = get_number(d, "observed"),
                         .value = get_number(d, "value"),
                         .low = get_number(d, "low"),
                         .high = get_number(d, "high")};
        const Doc *name = doc_get(d, SLICE("measure"));
        for (LiveMeasure m = 0; name && m < LIVE_MEASURES; m++) {
            if (slice_eq_cstr(name->text, LIVE_MEASURE_NAMES[m])) {
                v->measure = m;
            }
        }
    }
}

// What is in the file for these options: ret[settings], `count` 0 where nothing is. A line that was
// only half written is passed over, and its setting run again.
static int read_results(const Options *o, Setting *ret, Err *e)
{
    Buf text = buf_create(RESULTS_MAX);
    int rc = file_read(o->results, &text, e);
    Slice rest = buf_slice(&text);
    while (rc == 0 && rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        Slice line = {rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
        size_t taken = end ? line.len + 1 : line.len;
        rest = (Slice){rest.ptr + taken, rest.len - taken};
        Arena *arena = arena_create(16 << 20);
        const Doc *doc = NULL;
        double number = INFINITY;
        if (end && doc_parse(arena, line, NULL, &doc, NULL) == 0) {
            number = get_number(doc, "setting");
        }
        if (number >= 0 && number < o->settings && get_number(doc, "seed") == o->seed &&
            get_number(doc, "scale") == o->scale && get_number(doc, "seconds") == o->seconds) {
            Setting *s = &ret[(size_t)number];
            read_setting(doc, s);
            s->count = s->invalid && !o->report ? 0 : s->count; // on a quieter machine, again
        }
        arena_destroy(arena);
    }
    buf_done(&text);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

// ---- the table

typedef struct Score {
    double n, covered;
    double *widths, *errors; // of those that have them
    size_t width_count, error_count;
    double shares, share_squares, clusters; // of what is covered, setting by setting
} Score;

static void score_value(Score *s, const LiveValue *v)
{
    s->n++;
    s->covered += v->observed >= v->low && v->observed <= v->high;
    if (isfinite(v->observed) && v->observed > 0) {
        if (isfinite(v->high)) {
            s->widths[s->width_count++] = (v->high - v->low) / v->observed;
        }
        if (isfinite(v->value)) {
            s->errors[s->error_count++] = fabs(v->value - v->observed) / v->observed;
        }
    }
}

// The values of one setting come from one run and are not independent, so "significantly below" is
// judged over settings: Student's t of their shares.
static void score(Score *s, const Setting *list, size_t count, int measure)
{
    for (size_t i = 0; i < count; i++) {
        double n = s->n, covered = s->covered;
        for (size_t k = 0; k < list[i].count && !list[i].invalid; k++) {
            if (measure == LIVE_MEASURES || (int)list[i].values[k].measure == measure) {
                score_value(s, &list[i].values[k]);
            }
        }
        if (s->n > n) {
            double share = (s->covered - covered) / (s->n - n);
            s->shares += share;
            s->share_squares += share * share;
            s->clusters++;
        }
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    if (n == 0) {
        return NAN;
    }
    qsort(values, n, sizeof *values, ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void print_score(Score *s, const char *name)
{
    double k = s->covered, n = s->n, m = s->clusters, mean = s->shares / m;
    double low = k > 0 ? dist_beta_quantile(0.025, k, n - k + 1) : 0;
    double high = k < n ? dist_beta_quantile(0.975, k + 1, n - k) : 1;
    double error = sqrt(fmax(s->share_squares / m - mean * mean, 0) / fmax(m - 1, 1));
    double p = m < 2 ? NAN : error > 0 ? dist_t_cdf((mean - LIVE_CONFIDENCE) / error, m - 1) : 1;
    printf("| %s | %.0f | %.1f %% | %.1f-%.1f | %.1f %% | %.2f %% | %.3f | %.3f | %s |\n", name, n,
           100 * k / n, 100 * low, 100 * high, 100 * median(s->widths, s->width_count),
           100 * median(s->errors, s->error_count), dist_binom_at_most(k, n, LIVE_CONFIDENCE), p,
           p < 0.05 ? "YES" : "no");
}

static void print(const Options *o, const Setting *list)
{
    size_t count = (size_t)o->settings, there = 0, invalid = 0;
    for (size_t i = 0; i < count; i++) {
        there += list[i].count > 0;
        invalid += list[i].count > 0 && list[i].invalid;
    }
    printf("%zu settings, seed %.0f, %.0f s of the System each at %g in one of the clock, %zu of "
           "them invalid (requests left late)\n\n",
           there, o->seed, o->seconds * o->scale, o->scale, invalid);
    printf("| measure | values | coverage | 95 %% | median width | median error | p binomial | "
           "p over settings | below 90 %%? |\n|---|---|---|---|---|---|---|---|---|\n");
    for (int measure = 0; measure <= LIVE_MEASURES; measure++) {
        Score s = {.widths = calloc(count * LIVE_VALUES_MAX, sizeof(double)),
                   .errors = calloc(count * LIVE_VALUES_MAX, sizeof(double))};
        if (s.widths && s.errors) {
            score(&s, list, count, measure);
        }
        if (s.n > 0) {
            print_score(&s, measure < LIVE_MEASURES ? LIVE_MEASURE_NAMES[measure] : "all");
        }
        free(s.widths);
        free(s.errors);
    }
}

// ---- the run

static int run_all(const Options *o, const System *base, Setting *list, Err *e)
{
    Estimate late = {NAN, NAN, NAN};
    int rc = 0;
    for (uint64_t i = 0; i < (uint64_t)o->settings && rc == 0 && !o->report; i++) {
        if (list[i].count > 0) {
            continue;
        }
        if (isnan(late.value)) {
            rc = live_lateness((uint64_t)o->seed, o->scale, o->seconds, &late, e);
            if (rc != 0) {
                break;
            }
            fprintf(stderr, "a sleep is late by %.2f ms of the System's time [%.2f, %.2f]\n",
                    late.value * 1e3, late.low * 1e3, late.high * 1e3);
        }
        list[i].number = i;
        rc = rc ? rc : run_setting(o, base, late, &list[i], e);
        rc = rc ? rc : append(o, &list[i], e);
        if (rc == 0) {
            size_t covered = 0;
            for (size_t k = 0; k < list[i].count; k++) {
                const LiveValue *v = &list[i].values[k];
                covered += v->observed >= v->low && v->observed <= v->high;
            }
            fprintf(stderr, "setting %llu: load %.2f, %zu of %zu covered, late %.2f ms%s\n",
                    (unsigned long long)i, list[i].load, covered, list[i].count, list[i].late_ms,
                    list[i].invalid ? ", INVALID" : "");
        }
    }
    return rc;
}

static bool read_options(int argc, char **argv, Options *o)
{
    const struct {
        const char *name;
        double *into, least, most;
    } numbers[] = {
        {"--settings", &o->settings, 1, SETTINGS_MAX},
        {"--seed", &o->seed, 0, 1e9},
        {"--scale", &o->scale, 0.1, PLANT_LIVE_SCALE_MAX},
        {"--seconds", &o->seconds, 0.1, 3600},
        {"--replications", &o->replications, LIVE_THIRDS * 2, REPLICATIONS_MAX},
    };
    for (int i = 1; i < argc; i++) {
        bool known = true;
        if (strcmp(argv[i], "--report") == 0) {
            o->report = true;
        } else if (argv[i][0] != '-') {
            *(o->path ? &o->results : &o->path) = argv[i];
        } else {
            known = false;
            for (size_t k = 0; k < COUNT_OF(numbers) && i + 1 < argc && !known; k++) {
                known = strcmp(argv[i], numbers[k].name) == 0;
                if (known &&
                    (slice_to_f64(slice_from_cstr(argv[++i]), numbers[k].into) != 0 ||
                     *numbers[k].into < numbers[k].least || *numbers[k].into > numbers[k].most)) {
                    return false;
                }
            }
        }
        if (!known) {
            return false;
        }
    }
    return o->path && o->results;
}

int main(int argc, char **argv)
{
    Options o = {.settings = 60, .seed = 1, .scale = 25, .seconds = 10, .replications = 399};
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: live_coverage SYSTEM.toml RESULTS.jsonl [--settings N] [--seed N] "
                        "[--scale N] [--seconds N] [--replications N] [--report]\n");
        return 2;
    }
    Arena *arena = arena_create(64 << 20);
    Setting *list = calloc((size_t)o.settings, sizeof *list);
    System *sys = NULL;
    Err e = {0};
    int rc = list ? system_load(arena, o.path, &sys, &e) : err_set(&e, ERR_LIMIT, "no memory");
    rc = rc ? rc : read_results(&o, list, &e);
    rc = rc ? rc : run_all(&o, sys, list, &e);
    if (rc == 0) {
        print(&o, list);
    } else {
        fprintf(stderr, "%s\n", e.text);
    }
    free(list);
    arena_destroy(arena);
    return rc == 0 ? 0 : 1;
}
