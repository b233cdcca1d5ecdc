// Results of benchmark programs as runs of the ledger: kind "benchmark", a gauge for each of the
// first HARNESS_SERIES_MAX results (its median), and everything as the artifact "benchmarks.json".
#ifndef BENCH_HARNESS_STORE_H
#define BENCH_HARNESS_STORE_H

#include "bench/harness.h"
#include "ledger/run.h"

#define HARNESS_ARTIFACT SLICE("benchmarks.json")
enum { HARNESS_SERIES_MAX = 1000 };

typedef struct HarnessStore {
    Slice name;             // of the run: what was measured
    Slice source;           // file or command the results came from
    Slice group;            // runs of one comparison share it; may be empty
    Labels labels;          // --label
    Slice environment_json; // of the machine; empty for results from elsewhere
    int64_t started_unix_ns;
    int64_t duration_ns;
} HarnessStore;

// ERR_LIMIT where the artifact would be larger than the ledger takes.
MUST_USE int harness_store(Ledger *ledger, const HarnessResults *results, const HarnessStore *about,
                           char ret_id[RUN_ID_LEN + 1], Err *e);
// The results of such a run. ERR_NOT_FOUND when the run has none.
MUST_USE int harness_recall(Ledger *ledger, Slice selector, Arena *arena,
                            HarnessResults **ret_results, Err *e);

#endif
