#include "bench/record.h"

#include <string.h>

#include "base/json_write.h"
#include "bench/harness_store.h"
#include "ledger/sha256.h"
#include "ledger/ulid.h"
#include "os/clock.h"
#include "os/host.h"

enum { ENVIRONMENT_BYTES_MAX = 64 << 10, RESULTS_BYTES_MAX = 256 << 20 };

static int attach_samples(RunWriter *writer, const BenchRecord *record, Err *e)
{
    return record->samples_json.len > 0
               ? run_artifact(writer, SLICE(BENCH_RECORD_SAMPLES), SLICE("application/json"),
                              record->samples_json, e)
               : 0;
}

static int attach_results(RunWriter *writer, const BenchRecord *record, Err *e)
{
    if (record->hyperfine_json.len == 0) {
        return 0;
    }
    Arena *arena = arena_create(RESULTS_BYTES_MAX);
    HarnessResults *results = NULL;
    HarnessOptions options = {.kind = HARNESS_HYPERFINE, .source = "benchmark"};
    Buf out = buf_create(RUN_ARTIFACT_BYTES_MAX);
    int rc = harness_read(arena, record->hyperfine_json, &options, &results, e);
    if (rc == 0) {
        JsonWriter w = json_writer(&out, 0);
        harness_write(results, &w);
        rc = buf_check(&out, "the results", e);
    }
    if (rc == 0) {
        rc = run_artifact(writer, HARNESS_ARTIFACT, SLICE("application/json"), buf_slice(&out), e);
    }
    buf_done(&out);
    arena_destroy(arena);
    return rc;
}

int bench_record(Ledger *ledger, const BenchRecord *record, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    Slice plan = record->plan_json.len > 0 ? record->plan_json : SLICE("{}");
    Sha256 hash = sha256_of(plan);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    Buf environment = buf_create(ENVIRONMENT_BYTES_MAX);
    host_environment(&environment, record->version);
    RunInfo info = {.kind = SLICE(BENCH_RECORD_KIND),
                    .name = record->name,
                    .plan_json = plan,
                    .plan_sha256 = slice_from_cstr(hex),
                    .seed = record->seed,
                    .load_scale = 1,
                    .started_unix_ns = record->started_unix_ns,
                    .interval_ns = NS_PER_S,
                    .labels = record->labels,
                    .environment_json = buf_slice(&environment)};
    RunWriter *writer = NULL;
    int rc = ulid_create(info.started_unix_ns / NS_PER_MS, info.id, e);
    if (rc == 0) {
        rc = run_create(ledger, &info, &writer, e);
    }
    buf_done(&environment);
    if (rc != 0) {
        return rc;
    }
    rc = attach_samples(writer, record, e);
    rc = rc == 0 ? attach_results(writer, record, e) : rc;
    RunEnd end = {.status = record->status,
                  .reason = record->reason,
                  .duration_ns = record->duration_ns,
                  .health_json = SLICE("{}"),
                  .thresholds_json = SLICE("[]"),
                  .summary_json =
                      record->summary_json.len > 0 ? record->summary_json : SLICE("{}")};
    int finish = run_finish(writer, &end, rc == 0 ? e : NULL);
    if (rc == 0 && finish == 0) {
        memcpy(ret_id, info.id, sizeof info.id);
    }
    return rc != 0 ? rc : finish;
}
