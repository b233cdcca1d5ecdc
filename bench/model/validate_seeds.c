// Does the validator of stability tell the sound from the unsound? Proposals for the
// code-generation pipeline, each checked with `runs` seeds, and beside it the truth: long
// simulations with other seeds, the system's own spike (15 s, three times the load, at 100 s),
// judged from 300 s to 900 s.
//
//     validate_seeds SYSTEM.toml [SEED] [RUNS] [TRUTHS]     defaults 1 100 20
//
// The truth has no say in the check: it shares neither seeds, nor trigger time, nor criterion.
// Sound: in 95 % of the long runs every client has its promised goodput, less three standard
// deviations of the share. Exit code 0 when every unsound proposal is rejected with every seed and
// every sound one is accepted with 95 of 100.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/sim.h"
#include "model/stability.h"
#include "os/clock.h"

enum { CHANGES_MAX = 24, TRUTHS_MAX = 200 };

#define PATIENT                                                                                    \
    "a->b.timeout.attempt=10s", "a->b.retry.attempts=1", "builds->b.timeout.attempt=10s",          \
        "builds->b.retry.attempts=1"
#define CANCEL                                                                                     \
    "a->b.cancel.propagate=true", "builds->b.cancel.propagate=true", "b->c.cancel.propagate=true", \
        "b->d.cancel.propagate=true"
#define C_QUICK "b->c.timeout.attempt=500ms", "b->c.retry.attempts=4"
#define SLIDES                                                                                     \
    PATIENT, "b->c.timeout.attempt=1s", "b->c.retry.attempts=4", "b->d.timeout.attempt=3s",        \
        "b->d.retry.attempts=2"
#define BUDGET                                                                                     \
    "a->b.timeout.attempt=3s", "a->b.retry.budget=0.1", "a->b.retry.budget_min=0",                 \
        "builds->b.timeout.attempt=3s", "builds->b.retry.budget=0.1",                              \
        "builds->b.retry.budget_min=0"

static const struct {
    const char *name;
    const char *changes[CHANGES_MAX];
} PROPOSALS[] = {
    {"the slides' fix, literally", {SLIDES}},
    {"the same, four attempts at D", {SLIDES, "b->d.retry.attempts=4"}},
    {"four attempts at D, cancelled", {SLIDES, CANCEL, "b->d.retry.attempts=4"}},
    {"the slides' fix, cancelled", {SLIDES, CANCEL}},
    {"C .5 s x4, D no retry", {PATIENT, C_QUICK}},
    {"C .5 s x4, D 3 s x1, cancelled", {PATIENT, C_QUICK, CANCEL, "b->d.timeout.attempt=3s"}},
    {"no retry at all", {PATIENT}},
    {"no retry, cancelled", {PATIENT, CANCEL}},
    {"A 3 s, budget 10 %, cancelled", {BUDGET, CANCEL}},
    {"fix, D 20 servers, cancelled", {SLIDES, CANCEL, "d.servers=20"}},
    {"C hedged after .5 s",
     {PATIENT, "b->c.hedge.max=1", "b->c.hedge.delay=500ms", "b->c.hedge.budget=0"}},
    {"no retry, D 24 servers", {PATIENT, "d.servers=24"}},
    {"C 1 s x2, cancelled", {PATIENT, CANCEL, "b->c.timeout.attempt=1s", "b->c.retry.attempts=2"}},
    {"A 6 s, C .5 s x3, cancelled",
     {PATIENT, CANCEL, "a->b.timeout.attempt=6s", "builds->b.timeout.attempt=6s",
      "b->c.timeout.attempt=500ms", "b->c.retry.attempts=3"}},
};

static int candidate(Arena *arena, const System *base, const char *const *changes, System **ret,
                     Err *e)
{
    System *sys = system_copy(arena, base);
    for (size_t i = 0; i < CHANGES_MAX && changes[i]; i++) {
        SystemChange change;
        int rc = system_parse_change(sys, slice_from_cstr(changes[i]), &change, e);
        if (rc != 0 || (rc = system_set(sys, &change, e)) != 0) {
            return rc;
        }
    }
    *ret = sys;
    return 0;
}

// Share of long runs in which every client has what it was promised.
static int truth(const System *sys, uint64_t seed, uint32_t runs, double *ret, Err *e)
{
    Arena *arena = arena_create((size_t)2 << 30);
    SimOptions options = {.seed = seed,
                          .replications = runs,
                          .horizon_ns = 900 * NS_PER_S,
                          .warmup_ns = 300 * NS_PER_S,
                          .no_controls = true,
                          .settle = false,
                          .open_max = 1 << 17};
    SimResult *result = NULL;
    int rc = sim_run(arena, sys, &options, &result, e);
    uint32_t good = 0;
    for (uint32_t r = 0; rc == 0 && r < result->run_count; r++) {
        bool fine = result->runs[r].end == SIM_ENDED;
        for (uint32_t i = 0; i < sys->objective_count; i++) {
            const SystemObjective *o = &sys->objectives[i];
            const ClientOutcome *c = &result->runs[r].outcome->clients[o->client];
            double n = c->offered.value * 600, p = o->goodput;
            fine = fine && c->goodput.value >= p - 3 * sqrt(p * (1 - p) / n) - 1 / n;
        }
        good += fine;
    }
    *ret = rc == 0 ? (double)good / runs : 0;
    arena_destroy(arena);
    return rc;
}

typedef struct Score {
    uint32_t verdicts[4];
    double truth, ms;
} Score;

static int score(const System *base, size_t proposal, uint64_t seed, uint32_t runs, uint32_t truths,
                 Score *ret, Err *e)
{
    Arena *arena = arena_create((size_t)64 << 20);
    System *sys = NULL;
    int rc = candidate(arena, base, PROPOSALS[proposal].changes, &sys, e);
    if (rc == 0) {
        rc = truth(sys, seed + UINT64_C(1000000007), truths, &ret->truth, e);
    }
    arena_destroy(arena);
    for (uint32_t i = 0; rc == 0 && i < runs; i++) {
        arena = arena_create((size_t)64 << 20);
        Stability s;
        StabilityOptions options = {.seed = seed + i, .threads = 2};
        rc = candidate(arena, base, PROPOSALS[proposal].changes, &sys, e);
        if (rc == 0 && (rc = stability_check(arena, sys, &options, &s, e)) == 0) {
            ret->verdicts[s.verdict]++;
            ret->ms += (double)s.took_ns / 1e6 / runs;
        }
        arena_destroy(arena);
    }
    return rc;
}

static int table(const System *base, uint64_t seed, uint32_t runs, uint32_t truths, Err *e)
{
    bool all = true;
    printf("seed %llu, %u checks a proposal, truth from %u runs of 900 s\n\n",
           (unsigned long long)seed, runs, truths);
    printf("| proposal | truly back | recovers | collapses | unfit | unknown | ms | |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(PROPOSALS); i++) {
        Score s = {0};
        int rc = score(base, i, seed, runs, truths, &s, e);
        if (rc != 0) {
            return rc;
        }
        bool sound = s.truth >= 0.95;
        uint32_t accepted = s.verdicts[STABILITY_RECOVERS];
        bool right = sound ? accepted * 100 >= 95 * runs : accepted == 0;
        all = all && right;
        printf("| %s | %.0f %% | %u | %u | %u | %u | %.0f | %s |\n", PROPOSALS[i].name,
               100 * s.truth, accepted, s.verdicts[STABILITY_COLLAPSES],
               s.verdicts[STABILITY_UNFIT], s.verdicts[STABILITY_UNKNOWN], s.ms,
               right ? (sound ? "accepted" : "rejected") : "WRONG");
        (void)fflush(stdout);
    }
    return all ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t numbers[3] = {1, 100, 20};
    for (int i = 2; i < argc && i < 5; i++) {
        double value = 0;
        if (slice_to_f64(slice_from_cstr(argv[i]), &value) != 0 || value < 1 || value > 1e9) {
            argc = 0;
        }
        numbers[i - 2] = (uint64_t)value;
    }
    if (argc < 2 || argc > 5 || numbers[1] > 100000 || numbers[2] > TRUTHS_MAX) {
        fprintf(stderr, "usage: validate_seeds SYSTEM.toml [SEED] [RUNS] [TRUTHS]\n");
        return 2;
    }
    Arena *arena = arena_create((size_t)64 << 20);
    System *sys = NULL;
    Err e = {0};
    int rc = system_load(arena, argv[1], &sys, &e);
    if (rc == 0) {
        rc = table(sys, numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2], &e);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", e.text);
    }
    arena_destroy(arena);
    return rc < 0 ? 2 : rc;
}
