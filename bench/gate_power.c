// How often the gate says "slower" on made-up runs whose truth is known: the table of
// docs/internals/compare.md. Lognormal times (sigma 0.5), 10 s a run, one endpoint slowed.
//
//     bench_gate_power RUNS ENDPOINTS RATE RUN_SD SECOND_SD REPEATS
//     bench_gate_power 3 5 1000 0.02 0.03 60         prints null, +5 %, +10 %, +20 %
#include <stdlib.h>

#include "judge/judge.h"
#include "judge/sim_test.h"

enum { RUNS_MAX = 8, ENDPOINTS_MAX_HERE = 8 };

typedef struct Setting {
    size_t runs;
    SimSpec spec;
} Setting;

static bool alarm_on(const Setting *s, double slow, uint64_t repeat)
{
    SimEndpoint changed[ENDPOINTS_MAX_HERE];
    for (size_t i = 0; i < s->spec.count; i++) {
        changed[i] = s->spec.endpoints[i];
    }
    changed[0].median_ms *= slow;
    SimSpec before = s->spec;
    before.seed = 1000 + repeat;
    SimSpec after = before;
    after.endpoints = changed;
    Arena *arena = arena_create((size_t)1 << 30);
    RunData *runs[2][RUNS_MAX];
    for (size_t i = 0; i < s->runs; i++) {
        runs[0][i] = sim_run(arena, &before, i);
        runs[1][i] = sim_run(arena, &after, 100 + i);
    }
    ChangeSet set = compare_runs(arena, (const RunData *const *)runs[0], s->runs,
                                 (const RunData *const *)runs[1], s->runs, NULL);
    bool alarm = false;
    for (size_t i = 0; i < set.count; i++) {
        alarm = alarm || (set.changes[i].decides && set.changes[i].value == CHANGE_SLOWER);
    }
    for (size_t i = 0; i < s->runs; i++) {
        sim_done(runs[0][i]);
        sim_done(runs[1][i]);
    }
    arena_destroy(arena);
    return alarm;
}

int main(int argc, char **argv)
{
    double arg[6];
    for (int i = 0; i < 6; i++) {
        if (argc != 7 || slice_to_f64(slice_from_cstr(argv[i + 1]), &arg[i]) != 0 || arg[i] < 0) {
            fprintf(stderr, "usage: %s RUNS ENDPOINTS RATE RUN_SD SECOND_SD REPEATS\n", argv[0]);
            return 2;
        }
    }
    if (arg[0] < 1 || arg[0] > RUNS_MAX || arg[1] < 1 || arg[1] > ENDPOINTS_MAX_HERE) {
        fprintf(stderr, "1 to %d runs, 1 to %d endpoints\n", RUNS_MAX, ENDPOINTS_MAX_HERE);
        return 2;
    }
    static const char *const names[ENDPOINTS_MAX_HERE] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    SimEndpoint endpoints[ENDPOINTS_MAX_HERE];
    for (size_t i = 0; i < ENDPOINTS_MAX_HERE; i++) {
        endpoints[i] = (SimEndpoint){names[i], 10 + 3 * (double)i, 0.5, 0};
    }
    Setting s = {.runs = (size_t)arg[0],
                 .spec = {.seconds = 10,
                          .rate = (size_t)arg[2],
                          .run_sd = arg[3],
                          .second_sd = arg[4],
                          .endpoints = endpoints,
                          .count = (size_t)arg[1]}};
    static const double slows[] = {1, 1.05, 1.10, 1.20};
    for (size_t i = 0; i < COUNT_OF(slows); i++) {
        size_t alarms = 0;
        for (uint64_t r = 0; r < (uint64_t)arg[5]; r++) {
            alarms += alarm_on(&s, slows[i], r);
        }
        printf("%+3.0f %%: %.3f\n", (slows[i] - 1) * 100, (double)alarms / arg[5]);
    }
    return 0;
}
