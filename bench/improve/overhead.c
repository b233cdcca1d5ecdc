// What the machinery costs beside the commands it measures: wall time of an ab_run less the wall
// time of its samples, as a share of it; and the cost of one sample with a small and with a large
// parent, because the supervisor is forked from it.
//
//     build/release/bench/improve/overhead_bench [SECONDS_OF_COMMAND [PARENT_MIB]]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "bench/ab.h"
#include "bench/command.h"
#include "stat/sample.h"

enum { SAMPLES = 60, PAIRS = 20 };

typedef struct Bench {
    char line[64];
    BenchResult result;
    double commands_s;
} Bench;

static int sample(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    (void)ask;
    Bench *b = ctx;
    BenchCommand c = {
        .shell = b->line, .output = BENCH_OUTPUT_HASH, .timeout_ns = 60 * NS_PER_SECOND};
    int rc = bench_command_run(&c, &b->result, e);
    if (rc == 0) {
        *ret = (AbMeasured){.end = AB_MEASURED,
                            .values = {bench_sample_value(&b->result.sample, BENCH_WALL)}};
        b->commands_s += ret->values[0];
    }
    return rc;
}

static double median_overhead_ms(Bench *b, Err *e)
{
    double ms[SAMPLES];
    AbMeasured m;
    (void)snprintf(b->line, sizeof b->line, "exit 0");
    for (int i = 0; i < SAMPLES; i++) {
        if (sample(b, NULL, &m, e) != 0) {
            return NAN;
        }
        ms[i] = (double)b->result.overhead_ns / 1e6;
    }
    return sample_median(ms, SAMPLES);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.1;
    size_t bytes = (argc > 2 ? strtoul(argv[2], NULL, 10) : 256) << 20;
    Err e = {0};
    Bench b = {.result = bench_result_create()};
    printf("a sample beside its command: %.2f ms\n", median_overhead_ms(&b, &e));
    char *ballast = mem_alloc(bytes);
    memset(ballast, 1, bytes);
    printf("the same from a program of %zu MiB: %.2f ms\n", bytes >> 20,
           median_overhead_ms(&b, &e));
    free(ballast);
    // Sleeping commands leave the CPU to the machinery, so that what is counted is only its own.
    (void)snprintf(b.line, sizeof b.line, "sleep %.3f", seconds);
    b.commands_s = 0;
    Arena *arena = arena_create(8 << 20);
    AbResult r;
    int rc = ab_run(&(AbOptions){.sample_fn = sample, .ctx = &b, .max_pairs = PAIRS, .fixed = true},
                    arena, &r, &e);
    if (rc == 0) {
        double wall = (double)r.elapsed_ns / 1e9;
        printf("%d pairs of %.3f s: %.3f s, of which commands %.3f s: overhead %.2f %%\n", PAIRS,
               seconds, wall, b.commands_s, 100 * (wall - b.commands_s) / wall);
    } else {
        (void)fprintf(stderr, "%s\n", e.text);
    }
    arena_destroy(arena);
    bench_result_done(&b.result);
    return rc == 0 ? 0 : 1;
}
