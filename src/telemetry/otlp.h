// OTLP/HTTP in JSON (opentelemetry-proto, docs/specification.md): traces and metrics as the bodies
// of POST /v1/traces and /v1/metrics, and an exporter that queues, retries and counts them.
//
// The exporter does no I/O: whoever drives it is given a request, sends it and says what came back.
//
//     OtlpExporter *x = otlp_create(&(OtlpOptions){.resource = {.service = SLICE("planner")}});
//     otlp_put_spans(x, spans, count, now);              // never blocks; a full queue drops,
//     counted otlp_put_metrics(x, collector, start_wall, wall, now); while (otlp_due_ns(x) <= now
//     && otlp_take(x, now, &request)) {
//         ... POST request.body to endpoint + request.path ...
//         otlp_answer(x, now, status, retry_after, body);
//     }
//
// By the specification: 429, 502, 503 and 504 and a connection that failed are tried again, after
// Retry-After or with exponential backoff and jitter; every other status but 200 drops the batch;
// a partial success is counted and never sent again. One request at a time.
//
// For one thread.
#ifndef TELEMETRY_OTLP_H
#define TELEMETRY_OTLP_H

#include "os/clock.h"
#include "telemetry/collector.h"
#include "telemetry/span.h"

typedef struct OtlpResource {
    Slice service;  // service.name
    Slice version;  // service.version; empty: not said
    Slice instance; // service.instance.id; empty: not said
} OtlpResource;

enum {
    OTLP_BATCH_SPANS = 512,
    OTLP_BODY_BYTES_MAX = 64 << 20, // the specification's limit of a request
    OTLP_QUEUE_BYTES = 16 << 20,    // default ceiling of all compressed batches
    OTLP_QUEUE_BATCHES = 256,
    OTLP_ANSWER_BYTES_MAX = 4 << 20, // what a driver should read of an answer
};
#define OTLP_BACKOFF_NS     (1 * NS_PER_S)
#define OTLP_BACKOFF_MAX_NS (30 * NS_PER_S)
#define OTLP_GIVE_UP_NS     (300 * NS_PER_S) // a batch that old is dropped

// ---- bodies

// Appends an ExportTraceServiceRequest.
void otlp_traces(Buf *out, const OtlpResource *resource, const Span *spans, size_t count);
// Appends an ExportMetricsServiceRequest of all totals, cumulative since `start_wall_ns`.
void otlp_metrics(Buf *out, const OtlpResource *resource, const Collector *collector,
                  int64_t start_wall_ns, int64_t wall_ns);

// ---- exporter

typedef struct OtlpExporter OtlpExporter;

typedef struct OtlpOptions {
    OtlpResource resource; // copied
    size_t queue_bytes;    // 0: OTLP_QUEUE_BYTES
    bool plain;            // do not compress
    uint64_t seed;         // of the jitter
} OtlpOptions;

OtlpExporter *otlp_create(const OtlpOptions *options);
void otlp_destroy(OtlpExporter *exporter); // NULL is fine; what waits is lost

void otlp_put_spans(OtlpExporter *exporter, const Span *spans, size_t count, int64_t now_ns);
void otlp_put_metrics(OtlpExporter *exporter, const Collector *collector, int64_t start_wall_ns,
                      int64_t wall_ns, int64_t now_ns);

typedef struct OtlpRequest {
    const char *path; // "/v1/traces" or "/v1/metrics"
    Slice body;       // application/json; good until otlp_answer
    bool gzip;        // Content-Encoding
} OtlpRequest;

// When the first batch may be sent; NEVER_NS: nothing waits.
int64_t otlp_due_ns(const OtlpExporter *exporter);
// False while nothing is due or a request is out.
bool otlp_take(OtlpExporter *exporter, int64_t now_ns, OtlpRequest *ret_request);
// What became of the request that was taken. `status` 0: no answer. `retry_after`: the field's
// text, may be empty. `body` is read for partialSuccess.
void otlp_answer(OtlpExporter *exporter, int64_t now_ns, int64_t wall_ns, int status,
                 Slice retry_after, Slice body);

typedef struct OtlpStats {
    size_t waiting; // batches
    size_t waiting_bytes;
    uint64_t sent;           // batches accepted, partly or in full
    uint64_t retries;        //
    uint64_t dropped_full;   // batches that found the queue full
    uint64_t dropped_failed; // refused, or given up
    int64_t rejected_items;  // spans and points of partial successes
    int last_status;
} OtlpStats;

OtlpStats otlp_stats(const OtlpExporter *exporter);

// Retry-After (RFC 9110 section 10.2.3): seconds or an IMF-fixdate, as nanoseconds from now. -1 for
// anything else; never more than an hour.
int64_t otlp_retry_after_ns(Slice text, int64_t wall_ns);

#endif
