// How long it takes to rank 50 candidates of the code-generation pipeline by simulation: 900 s
// horizon, 5 seeds, early stopping, as many threads as CPUs. Beside it, what common random numbers
// and the control variate are worth.
//
//     build/release/bench/model/rank_bench examples/codegen-pipeline/system.toml
#include <math.h>

#include "model/sim_compare.h"
#include "os/clock.h"
#include "os/thread.h"

enum { CANDIDATES = 50 };

static void need(int rc, const Err *e)
{
    if (rc != 0) {
        die("rank_bench: %s", e->text);
    }
}

__attribute__((noinline)) static SystemChange parse(const System *sys, const char *text)
{
    SystemChange change;
    Err e = {0};
    need(system_parse_change(sys, slice_from_cstr(text), &change, &e), &e);
    return change;
}

// A grid over what the owners let planners try: timeouts and attempts towards C and D, with and
// without cancellation. Half of them collapse or miss.
static void make_candidates(Arena *arena, const System *sys, SimCandidate *ret)
{
    static const char *const c_timeouts[] = {"500ms", "1s", "2s", "5s", "30s"};
    for (int i = 0; i < CANDIDATES; i++) {
        SystemChange *list = ARENA_ARRAY(arena, SystemChange, 12);
        size_t n = 0;
        char text[128];
        const char *propagate = i % 2 ? "true" : "false";
        list[n++] = parse(sys, "a->b.timeout.attempt=10s");
        list[n++] = parse(sys, "a->b.retry.attempts=1");
        list[n++] = parse(sys, "builds->b.timeout.attempt=10s");
        list[n++] = parse(sys, "builds->b.retry.attempts=1");
        (void)snprintf(text, sizeof text, "b->c.timeout.attempt=%s", c_timeouts[i / 2 % 5]);
        list[n++] = parse(sys, text);
        (void)snprintf(text, sizeof text, "b->c.retry.attempts=%d", 1 + i / 10 % 4);
        list[n++] = parse(sys, text);
        (void)snprintf(text, sizeof text, "b->d.timeout.attempt=%s", i % 3 ? "3s" : "30s");
        list[n++] = parse(sys, text);
        (void)snprintf(text, sizeof text, "b->d.retry.attempts=%d", i % 3 ? 2 : 1);
        list[n++] = parse(sys, text);
        static const char *const edges[] = {"a->b", "b->c", "b->d", "builds->b"};
        for (size_t k = 0; k < COUNT_OF(edges); k++) {
            (void)snprintf(text, sizeof text, "%s.cancel.propagate=%s", edges[k], propagate);
            list[n++] = parse(sys, text);
        }
        ret[i] = (SimCandidate){list, n};
    }
}

__attribute__((noinline)) static void rank(Arena *arena, const System *sys,
                                           const SimCandidate *candidates)
{
    SimRank *ranks;
    Err e = {0};
    int64_t started = clock_now(clock_real());
    need(sim_compare(arena, sys, candidates, CANDIDATES,
                     &(SimCompareOptions){.sim = {.seed = 1,
                                                  .horizon_ns = 900 * NS_PER_SECOND,
                                                  .warmup_ns = 300 * NS_PER_SECOND,
                                                  .replications = 5}},
                     &ranks, &e),
         &e);
    double took_s = (double)(clock_now(clock_real()) - started) / NS_PER_SECOND;
    uint64_t events = 0;
    uint32_t runs = 0, early = 0, fates[5] = {0};
    for (int i = 0; i < CANDIDATES; i++) {
        fates[ranks[i].fate]++;
        for (uint32_t k = 0; ranks[i].result && k < ranks[i].result->run_count; k++) {
            runs++;
            events += ranks[i].result->runs[k].events;
            early += ranks[i].result->runs[k].end != SIM_ENDED;
        }
    }
    printf("%d candidates, 900 s, 5 seeds, %d threads: %.2f s (to reach: 5 s)\n", CANDIDATES,
           thread_cpu_count(), took_s);
    printf("  %u runs, %u ended early, %.1f M events, %.1f M events/s\n", runs, early,
           (double)events / 1e6, (double)events / 1e6 / took_s);
    for (int f = 0; SIM_FATES[f]; f++) {
        printf("  %-10s %u\n", SIM_FATES[f], fates[f]);
    }
    const ClientOutcome *c = &ranks[0].result->outcome->clients[0];
    printf("  best: candidate %u, goodput %.4f, p99 %.3f s [%.3f, %.3f]\n", ranks[0].candidate,
           c->goodput.value, c->p99.value, c->p99.low, c->p99.high);
}

static SimResult *run(Arena *arena, const System *sys, const SimCandidate *candidate, SimOptions o)
{
    System *copy = system_copy(arena, sys);
    SimResult *result;
    Err e = {0};
    need(system_set_all(copy, candidate->changes, candidate->count, &e), &e);
    need(sim_run(arena, copy, &o, &result, &e), &e);
    return result;
}

// Variance of the difference of two candidates' mean latency, paired and with other luck.
__attribute__((noinline)) static void pairs(Arena *arena, const System *sys,
                                            const SimCandidate *candidates)
{
    enum { RUNS = 20 };
    SimOptions o = {.seed = 2,
                    .horizon_ns = 300 * NS_PER_SECOND,
                    .warmup_ns = 150 * NS_PER_SECOND,
                    .replications = RUNS,
                    .no_controls = true};
    SimResult *a = run(arena, sys, &candidates[31], o), *b = run(arena, sys, &candidates[35], o);
    double sums[2] = {0}, squares[2] = {0};
    for (int i = 0; i < RUNS; i++) {
        double x = a->runs[i].outcome->clients[0].mean.value;
        const double y[2] = {b->runs[i].outcome->clients[0].mean.value,
                             b->runs[(i + 1) % RUNS].outcome->clients[0].mean.value};
        for (int k = 0; k < 2; k++) {
            sums[k] += y[k] - x;
            squares[k] += (y[k] - x) * (y[k] - x);
        }
    }
    double paired = squares[0] - sums[0] * sums[0] / RUNS;
    double apart = squares[1] - sums[1] * sums[1] / RUNS;
    printf("common random numbers: variance of a difference of two candidates / %.1f\n",
           apart / paired);
}

__attribute__((noinline)) static void control(Arena *arena, const char *name, const System *sys,
                                              SimOptions o)
{
    SimResult *result;
    Err e = {0};
    need(sim_run(arena, sys, &o, &result, &e), &e);
    printf("control variate, %s: variance of the mean latency / %.1f\n", name,
           result->control_factor);
}

__attribute__((noinline)) static void controls(Arena *arena, const System *pipeline,
                                               const SimCandidate *candidate)
{
    static const char *const dists[][3] = {{"M/M/1 .8 (is the formula's)", "exponential", ""},
                                           {"M/E2/1 .8", "gamma", ", shape = 2"},
                                           {"M/LN/1 .8, scv 2", "lognormal", ", sigma = 1.05"}};
    SimOptions o = {.seed = 3,
                    .horizon_ns = 200 * NS_PER_SECOND,
                    .warmup_ns = 20 * NS_PER_SECOND,
                    .replications = 40};
    for (size_t i = 0; i < COUNT_OF(dists); i++) {
        char text[512];
        System *sys;
        Err e = {0};
        (void)snprintf(text, sizeof text,
                       "version = 1\n[agents.s]\nservers = 1\nservice = {dist = \"%s\", mean = "
                       "\"10ms\"%s}\n[clients.c]\nto = \"s\"\nrate = 80\n",
                       dists[i][1], dists[i][2]);
        need(system_parse(arena, slice_from_cstr(text), "bench", &sys, &e), &e);
        control(arena, dists[i][0], sys, o);
    }
    System *copy = system_copy(arena, pipeline);
    Err e = {0};
    need(system_set_all(copy, candidate->changes, candidate->count, &e), &e);
    o.horizon_ns = 900 * NS_PER_SECOND;
    o.warmup_ns = 300 * NS_PER_SECOND;
    o.replications = 20;
    control(arena, "pipeline", copy, o);
}

int main(int argc, char **argv)
{
    Arena *arena = arena_create((size_t)4 << 30);
    System *sys;
    Err e = {0};
    need(system_load(arena, argc > 1 ? argv[1] : "examples/codegen-pipeline/system.toml", &sys, &e),
         &e);
    SimCandidate *candidates = ARENA_ARRAY(arena, SimCandidate, CANDIDATES);
    make_candidates(arena, sys, candidates);
    rank(arena, sys, candidates);
    pairs(arena, sys, candidates);
    controls(arena, sys, &candidates[1]);
    arena_destroy(arena);
    return 0;
}
