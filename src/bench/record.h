// A benchmark in the ledger: a run of kind "benchmark" whose raw samples are an artifact, whose
// conclusion is the summary and whose machine is the environment.
//
//     rc = bench_record(ledger, &(BenchRecord){.name = name, .summary_json = ..., ...}, id, e);
//
// It has no requests and no intervals: `run show` prints its facts and artifacts, and `compare`
// says that `benchmark compare` is the one to ask.
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include "ledger/run.h"

typedef struct BenchRecord {
    Slice name;         // of the run: the command, or what --name says
    Slice version;      // of this program
    Slice plan_json;    // canonical: what was asked (commands, options)
    Slice summary_json; // what came out
    Slice samples_json; // every sample in order; the artifact "samples.json"
    // hyperfine's JSON of several commands: kept as other benchmark programs' results are, so that
    // `benchmark compare` reads it; empty: none.
    Slice hyperfine_json;
    Labels labels;
    uint64_t seed;
    int64_t started_unix_ns;
    int64_t duration_ns;
    RunStatus status; // RUN_COMPLETE, RUN_PARTIAL, ...
    Slice reason;
} BenchRecord;

#define BENCH_RECORD_KIND    "benchmark"
#define BENCH_RECORD_SAMPLES "samples.json"

// ERR_LIMIT for documents over the ledger's ceilings, and what the ledger says.
MUST_USE int bench_record(Ledger *ledger, const BenchRecord *record, char ret_id[RUN_ID_LEN + 1],
                          Err *e);

#endif
