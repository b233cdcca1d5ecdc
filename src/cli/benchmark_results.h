// What the verbs about results of benchmark programs share: `benchmark compare`, `benchmark import`
// and `benchmark --harness`.
#ifndef CLI_BENCHMARK_RESULTS_H
#define CLI_BENCHMARK_RESULTS_H

#include "bench/harness_store.h"
#include "bench/table.h"
#include "cli/app.h"

enum { RESULTS_ARENA_BYTES = 1 << 30 };

// Of --harness and --higher-is-better. ERR_ARG with the nearest right name.
MUST_USE int results_kind(const OptionSet *set, HarnessOptions *options, Err *e);
// Names what failed, on standard error.
void results_say_failures(App *app, const char *name, const HarnessResults *results);
// Prints the tables, and with --gate gives the exit code of what became worse.
int results_finish(App *app, const OptionSet *set, const BenchTables *tables);
// As a run of the ledger, with --label. `own`: measured here, so the environment is this machine.
MUST_USE int results_store(App *app, const OptionSet *set, Ledger *ledger,
                           const HarnessResults *results, HarnessStore *about, bool own, Err *e);

// `benchmark --harness`: the commands of the verb, in its own outer loop.
MUST_USE int benchmark_harness(App *app, const OptionSet *set, Err *e);

#define OPTION_HARNESS                                                                             \
    {                                                                                              \
        .name = "harness", .kind = OPTION_STRING, .metavar = "KIND", .default_text = "auto",       \
        .help = "What wrote the results: google, go, criterion, pytest, jmh, benchmarkdotnet, "    \
                "vitest, hyperfine, custom, metric, bencher, catch2; auto tells by the content."   \
    }
#define OPTION_HIGHER                                                                              \
    {                                                                                              \
        .name = "higher-is-better", .kind = OPTION_FLAG,                                           \
        .help = "For custom and metric results whose unit does not say it."                        \
    }
#define OPTION_GATE                                                                                \
    {                                                                                              \
        .name = "gate", .kind = OPTION_FLOAT, .metavar = "PERCENT", .min = 0, .max = 10000,        \
        .help = "Exit with 112 when a benchmark is worse by more than this and the difference is " \
                "significant, corrected for the number of benchmarks."                             \
    }

#endif
