#include "manage/detect.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "stat/rate.h"
#include "stat/sequential.h"

const char *const MEASURE_NAMES[MEASURES + 1] = {"goodput", "errors", "p50", "p99", NULL};
const char *const STRUCTURE_NAMES[] = {"new edge", "edge gone", "calls changed", NULL};
const DetectOptions DETECT_DEFAULTS = {
    .confidence = 0.999, .clear_windows = 3, .requests_min = 20, .visits_tolerance = 0.1};

// Windows whose scatter says how much a request is worth.
enum { SCATTER_WINDOWS = 32 };

typedef struct Counts {
    double bad, all;
} Counts;

typedef enum Phase { PHASE_MET, PHASE_SUSPECT, PHASE_VIOLATED } Phase;

// One promise: "of this client's requests at most `allowed` are bad".
typedef struct Watch {
    uint32_t objective, client;
    Measure measure;
    double limit;    // as it is said: a share, or seconds
    double allowed;  // share of bad requests
    int64_t slow_ns; // of p50, p99: slower is bad. 0: not of that kind
    Phase phase;
    Counts evidence; // of the windows after the one that raised suspicion
    Counts seen;     // with that one
    uint32_t good_windows;
    int64_t since_ns, decided_ns;
    Counts scatter[SCATTER_WINDOWS];
    uint32_t scatter_count;
} Watch;

struct Detect {
    DetectOptions options;
    Watch *watches;
    size_t count;
};

// ---- what is promised

static void watch_add(Detect *d, const SystemObjective *o, uint32_t index, Measure measure,
                      double limit, double allowed, int64_t slow_ns)
{
    d->watches[d->count++] = (Watch){.objective = index,
                                     .client = o->client,
                                     .measure = measure,
                                     .limit = limit,
                                     .allowed = allowed,
                                     .slow_ns = slow_ns};
}

static void watches_of(Detect *d, const System *sys)
{
    d->watches = mem_zalloc(sizeof(Watch) * MEASURES * (sys->objective_count + 1));
    d->count = 0;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        if (o->goodput > 0) {
            watch_add(d, o, i, MEASURE_GOODPUT, o->goodput, 1 - o->goodput, 0);
        }
        if (o->errors > 0) {
            watch_add(d, o, i, MEASURE_ERRORS, o->errors, o->errors, 0);
        }
        if (o->p50_ns > 0) {
            watch_add(d, o, i, MEASURE_P50, (double)o->p50_ns / 1e9, 0.5, o->p50_ns);
        }
        if (o->p99_ns > 0) {
            watch_add(d, o, i, MEASURE_P99, (double)o->p99_ns / 1e9, 0.01, o->p99_ns);
        }
    }
}

Detect *detect_create(const System *sys, const DetectOptions *options)
{
    Detect *d = mem_zalloc(sizeof *d);
    d->options = *options;
    watches_of(d, sys);
    return d;
}

void detect_destroy(Detect *d)
{
    if (d != NULL) {
        free(d->watches);
        free(d);
    }
}

void detect_objectives(Detect *d, const System *sys)
{
    Watch *old = d->watches;
    size_t old_count = d->count;
    watches_of(d, sys);
    for (size_t i = 0; i < d->count; i++) {
        Watch *w = &d->watches[i];
        for (size_t j = 0; j < old_count; j++) {
            if (old[j].client == w->client && old[j].measure == w->measure &&
                old[j].limit == w->limit) {
                uint32_t objective = w->objective;
                *w = old[j];
                w->objective = objective;
            }
        }
    }
    free(old);
}

void detect_forget(Detect *d)
{
    for (size_t i = 0; i < d->count; i++) {
        Watch *w = &d->watches[i];
        w->phase = PHASE_MET;
        w->evidence = w->seen = (Counts){0, 0};
        w->good_windows = 0;
        w->scatter_count = 0;
    }
}

// ---- one window

// Requests that nobody answered in time are as bad as failed ones; where they are overdue for more
// than one window they count in each, as they go on being bad.
static Counts counts_of(Measure measure, int64_t slow_ns, const PlantClient *c)
{
    double overdue = (double)c->overdue;
    double ended = (double)(c->good + c->late + c->failed);
    switch (measure) {
    case MEASURE_GOODPUT: return (Counts){(double)(c->late + c->failed) + overdue, ended + overdue};
    case MEASURE_ERRORS: return (Counts){(double)c->failed, ended};
    case MEASURE_P50:
    case MEASURE_P99: break;
    case MEASURES: assert(false);
    }
    if (c->latency == NULL) {
        return (Counts){0, 0};
    }
    double slow = (double)(hist_count_above(c->latency, slow_ns) + c->latency->infinite);
    return (Counts){slow + overdue, (double)hist_count_all(c->latency) + overdue};
}

// How many times as much the windows vary as windows of independent requests would: the ratio
// estimator's variance over the binomial one (stat/effective.h does the same with blocks of
// seconds). At least 1; 1 until there are four windows.
static double design_effect(const Watch *w)
{
    double bad = 0, all = 0;
    uint32_t n = w->scatter_count < SCATTER_WINDOWS ? w->scatter_count : SCATTER_WINDOWS;
    for (uint32_t i = 0; i < n; i++) {
        bad += w->scatter[i].bad;
        all += w->scatter[i].all;
    }
    if (n < 4 || all <= 0 || bad <= 0 || bad >= all) {
        return 1;
    }
    double share = bad / all, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        double off = w->scatter[i].bad - share * w->scatter[i].all;
        squares += off * off;
    }
    double between = squares * n / (n - 1.0);
    return fmax(1, between / (all * share * (1 - share)));
}

static bool significant(const Detect *d, const Watch *w)
{
    Counts c = w->evidence;
    if (w->seen.all < (double)d->options.requests_min || c.all <= 0 ||
        c.bad <= w->allowed * c.all) {
        return false;
    }
    double deff = design_effect(w);
    double p = fmin(fmax(w->allowed, 1e-6), 1 - 1e-6);
    return sequential_log_evidence(c.bad / deff, c.all / deff, p, p) >=
           -log(1 - d->options.confidence);
}

static void watch_over(Detect *d, Watch *w, Counts c, const PlantWindow *window)
{
    switch (w->phase) {
    case PHASE_MET:
        w->phase = PHASE_SUSPECT;
        w->since_ns = window->from_ns;
        w->seen = c;
        w->evidence = (Counts){0, 0};
        w->good_windows = 0;
        return;
    case PHASE_SUSPECT:
    case PHASE_VIOLATED: break;
    }
    w->good_windows = 0;
    w->seen.bad += c.bad;
    w->seen.all += c.all;
    w->evidence.bad += c.bad;
    w->evidence.all += c.all;
    if (w->phase == PHASE_SUSPECT && significant(d, w)) {
        w->phase = PHASE_VIOLATED;
        w->decided_ns = window->until_ns;
    }
}

// A window that is not over the limit. It is evidence as well: good and bad windows by turns are a
// violation if there are too many bad requests in all of them together.
static void watch_within(Detect *d, Watch *w, Counts c)
{
    if (w->phase == PHASE_MET) {
        return;
    }
    w->good_windows++;
    w->seen.bad += c.bad;
    w->seen.all += c.all;
    w->evidence.bad += c.bad;
    w->evidence.all += c.all;
    if (w->good_windows >= d->options.clear_windows) {
        w->phase = PHASE_MET;
    }
}

static Violation violation_of(const Watch *w, const PlantClient *c, double confidence)
{
    Violation v = {.objective = w->objective,
                   .client = w->client,
                   .measure = w->measure,
                   .limit = w->limit,
                   .since_ns = w->since_ns,
                   .decided_ns = w->decided_ns,
                   .requests = (uint64_t)w->seen.all};
    if (w->slow_ns > 0) {
        // Of the last window: the evidence keeps counts, not latencies.
        v.value = hist_quantile_all(c->latency, w->measure == MEASURE_P50 ? 0.5 : 0.99) / 1e9;
        v.observed = (Interval){w->limit, v.value, confidence};
        return v;
    }
    Interval bad = rate_interval_exact(w->seen.bad, w->seen.all, confidence);
    bool good = w->measure == MEASURE_GOODPUT;
    double share = w->seen.bad / w->seen.all;
    v.value = good ? 1 - share : share;
    v.observed = good ? (Interval){1 - bad.high, 1 - bad.low, confidence} : bad;
    return v;
}

void detect_window(Detect *d, const PlantWindow *window, Arena *arena, DetectFound *ret_found)
{
    DetectFound found = {.violations = ARENA_ARRAY(arena, Violation, d->count)};
    for (size_t i = 0; i < d->count; i++) {
        Watch *w = &d->watches[i];
        const PlantClient *client = &window->clients[w->client];
        Counts c = counts_of(w->measure, w->slow_ns, client);
        Phase before = w->phase;
        if (c.all > 0) {
            w->scatter[w->scatter_count++ % SCATTER_WINDOWS] = c;
            if (c.bad > w->allowed * c.all) {
                watch_over(d, w, c, window);
            } else {
                watch_within(d, w, c);
            }
        }
        found.cleared += before == PHASE_VIOLATED && w->phase == PHASE_MET;
        if (w->phase == PHASE_VIOLATED) {
            if (before != PHASE_VIOLATED && found.count < 64) {
                found.begun |= UINT64_C(1) << found.count;
            }
            found.violations[found.count++] = violation_of(w, client, d->options.confidence);
        }
    }
    *ret_found = found;
}

// ---- drift

bool drift_seen(DriftWatch *watch, bool inside)
{
    double expected = 1 - watch->confidence;
    watch->seen += 1;
    watch->misses += inside ? 0 : 1;
    if (watch->misses <= expected * watch->seen ||
        sequential_log_evidence(watch->misses, watch->seen, expected, expected) < log(1000)) {
        return false;
    }
    watch->misses = watch->seen = 0;
    return true;
}

// ---- the guard

// More bad requests than chance explains, were `promised_bad` the share of them?
static bool worse(Counts c, double promised_bad, double confidence)
{
    if (c.all <= 0 || !(promised_bad >= 0)) {
        return false;
    }
    double p = fmin(fmax(promised_bad, 1e-6), 1);
    return p < 1 && c.bad > p * c.all && rate_test(c.bad, c.all, p, TEST_GREATER) < 1 - confidence;
}

// A quantile that is later than predicted but in time for the promise is the models' concern.
static double later_of(Estimate predicted, int64_t promised_ns, bool strict)
{
    double promised = (double)promised_ns / 1e9;
    if (isnan(predicted.high)) {
        return NAN; // nothing was said of it
    }
    return strict || predicted.high > promised ? predicted.high : promised;
}

bool detect_contradicts(const System *sys, const Outcome *predicted, const PlantWindow *window,
                        const DetectGuard *guard, Violation *ret_violation)
{
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        const ClientOutcome *p = &predicted->clients[o->client];
        const PlantClient *client = &window->clients[o->client];
        double good = guard->strict ? p->goodput.low : fmin(p->goodput.low, o->goodput);
        double errors = guard->strict ? p->errors.high : fmax(p->errors.high, o->errors);
        double p50 = later_of(p->p50, o->p50_ns, guard->strict);
        double p99 = later_of(p->p99, o->p99_ns, guard->strict);
        struct {
            Measure measure;
            bool asked;
            double bad, limit;
            int64_t slow_ns;
        } tests[] = {
            {MEASURE_GOODPUT, o->goodput > 0, 1 - good, good, 0},
            {MEASURE_ERRORS, o->errors > 0, errors, errors, 0},
            {MEASURE_P50, o->p50_ns > 0 && isfinite(p50), 0.5, p50,
             isfinite(p50) ? (int64_t)(p50 * 1e9) : 0},
            {MEASURE_P99, o->p99_ns > 0 && isfinite(p99), 0.01, p99,
             isfinite(p99) ? (int64_t)(p99 * 1e9) : 0},
        };
        for (size_t t = 0; t < COUNT_OF(tests); t++) {
            Counts c = counts_of(tests[t].measure, tests[t].slow_ns, client);
            if (!tests[t].asked || !worse(c, tests[t].bad, guard->confidence)) {
                continue;
            }
            double share = c.bad / c.all, value = share;
            if (tests[t].measure == MEASURE_GOODPUT) {
                value = 1 - share;
            } else if (tests[t].slow_ns > 0) {
                double q = tests[t].measure == MEASURE_P50 ? 0.5 : 0.99;
                value = hist_quantile_all(client->latency, q) / 1e9;
            }
            *ret_violation = (Violation){
                .objective = i,
                .client = o->client,
                .measure = tests[t].measure,
                .limit = tests[t].limit,
                .value = value,
                .since_ns = window->from_ns,
                .decided_ns = window->until_ns,
                .requests = (uint64_t)c.all,
            };
            return true;
        }
    }
    return false;
}
