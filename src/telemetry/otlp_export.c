#include "base/doc.h"
#include "base/gzip.h"
#include "base/rng.h"
#include "telemetry/otlp.h"

typedef struct Batch Batch;
struct Batch {
    Batch *next;
    const char *path;
    Buf body;
    int64_t put_ns;
    int64_t due_ns;
    unsigned attempts;
};

struct OtlpExporter {
    OtlpOptions options;
    Arena *arena; // the resource's texts
    Rng rng;
    Batch *first, *last; // oldest first; the first is the one that is out
    bool out;
    OtlpStats stats;
};

enum { ARENA_BYTES_MAX = 1 << 20, PARTIAL_BYTES_MAX = 64 << 10 };
#define RETRY_AFTER_MAX_NS (3600 * NS_PER_S)

OtlpExporter *otlp_create(const OtlpOptions *options)
{
    OtlpExporter *x = mem_zalloc(sizeof *x);
    x->options = *options;
    x->arena = arena_create(ARENA_BYTES_MAX);
    OtlpResource *r = &x->options.resource;
    r->service = arena_copy(x->arena, slice_sub(r->service, 0, 1024));
    r->version = arena_copy(x->arena, slice_sub(r->version, 0, 1024));
    r->instance = arena_copy(x->arena, slice_sub(r->instance, 0, 1024));
    if (x->options.queue_bytes == 0) {
        x->options.queue_bytes = OTLP_QUEUE_BYTES;
    }
    x->rng = rng_stream(options->seed, SLICE("otlp"), 0);
    return x;
}

static void drop_first(OtlpExporter *x)
{
    Batch *batch = x->first;
    x->first = batch->next;
    if (!x->first) {
        x->last = NULL;
    }
    x->stats.waiting--;
    x->stats.waiting_bytes -= batch->body.len;
    buf_done(&batch->body);
    free(batch);
    x->out = false;
}

void otlp_destroy(OtlpExporter *x)
{
    if (x) {
        while (x->first) {
            drop_first(x);
        }
        arena_destroy(x->arena);
        free(x);
    }
}

// ---- putting

static void enqueue(OtlpExporter *x, const char *path, Buf *json, int64_t now_ns)
{
    Buf body = buf_create(OTLP_BODY_BYTES_MAX);
    bool ok = buf_check(json, "the batch", NULL) == 0;
    if (ok && !x->options.plain) {
        ok = gzip_append(buf_slice(json), &body, NULL) == 0;
    } else if (ok) {
        buf_append(&body, buf_slice(json));
    }
    if (!ok || x->stats.waiting == OTLP_QUEUE_BATCHES ||
        body.len > x->options.queue_bytes - x->stats.waiting_bytes) {
        // The newest goes: what waits is the beginning of the story.
        x->stats.dropped_full++;
        buf_done(&body);
        return;
    }
    Batch *batch = mem_zalloc(sizeof *batch);
    *batch = (Batch){.path = path, .body = body, .put_ns = now_ns, .due_ns = now_ns};
    *(x->last ? &x->last->next : &x->first) = batch;
    x->last = batch;
    x->stats.waiting++;
    x->stats.waiting_bytes += body.len;
}

void otlp_put_spans(OtlpExporter *x, const Span *spans, size_t count, int64_t now_ns)
{
    for (size_t at = 0; at < count; at += OTLP_BATCH_SPANS) {
        Buf json = buf_create(OTLP_BODY_BYTES_MAX);
        size_t part = count - at < OTLP_BATCH_SPANS ? count - at : OTLP_BATCH_SPANS;
        otlp_traces(&json, &x->options.resource, spans + at, part);
        enqueue(x, "/v1/traces", &json, now_ns);
        buf_done(&json);
    }
}

void otlp_put_metrics(OtlpExporter *x, const Collector *collector, int64_t start_wall_ns,
                      int64_t wall_ns, int64_t now_ns)
{
    Buf json = buf_create(OTLP_BODY_BYTES_MAX);
    otlp_metrics(&json, &x->options.resource, collector, start_wall_ns, wall_ns);
    enqueue(x, "/v1/metrics", &json, now_ns);
    buf_done(&json);
}

// ---- sending

int64_t otlp_due_ns(const OtlpExporter *x)
{
    return x->first && !x->out ? x->first->due_ns : NEVER_NS;
}

bool otlp_take(OtlpExporter *x, int64_t now_ns, OtlpRequest *ret_request)
{
    if (otlp_due_ns(x) > now_ns) {
        return false;
    }
    x->out = true;
    x->first->attempts++;
    *ret_request = (OtlpRequest){
        .path = x->first->path, .body = buf_slice(&x->first->body), .gzip = !x->options.plain};
    return true;
}

int64_t otlp_retry_after_ns(Slice text, int64_t wall_ns)
{
    int64_t seconds, at_ns, wait_ns;
    text = slice_trim(text);
    if (slice_to_i64(text, &seconds) == 0) {
        if (seconds < 0) {
            return -1;
        }
        wait_ns = seconds > RETRY_AFTER_MAX_NS / NS_PER_S ? RETRY_AFTER_MAX_NS : seconds * NS_PER_S;
    } else if (clock_parse_http_date(text, &at_ns)) {
        wait_ns = at_ns > wall_ns ? at_ns - wall_ns : 0;
    } else {
        return -1;
    }
    return wait_ns > RETRY_AFTER_MAX_NS ? RETRY_AFTER_MAX_NS : wait_ns;
}

static void count_partial(OtlpExporter *x, Slice body)
{
    static const Slice names[] = {SLICE_INIT("rejectedSpans"), SLICE_INIT("rejectedDataPoints"),
                                  SLICE_INIT("rejectedLogRecords")};
    if (body.len == 0 || body.len > PARTIAL_BYTES_MAX) {
        return;
    }
    Arena *arena = arena_create(64 * (size_t)PARTIAL_BYTES_MAX);
    const Doc *doc;
    DocOptions options = {.format = DOC_FORMAT_JSON, .max_nodes = 1000};
    if (doc_parse(arena, body, &options, &doc, NULL) == 0) {
        const Doc *partial = doc_get(doc, SLICE("partialSuccess"));
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            const Doc *n = doc_get(partial, names[i]);
            int64_t value;
            if (n && slice_to_i64(n->text, &value) == 0 && value > 0 && value <= INT32_MAX) {
                x->stats.rejected_items += value;
            }
        }
    }
    arena_destroy(arena);
}

static bool is_retryable(int status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

// Doubles from attempt to attempt; half of it is chance, so that many exporters do not come back
// together.
static int64_t backoff_ns(OtlpExporter *x, unsigned attempts)
{
    int64_t wait_ns = OTLP_BACKOFF_NS;
    for (unsigned i = 1; i < attempts && wait_ns < OTLP_BACKOFF_MAX_NS; i++) {
        wait_ns *= 2;
    }
    wait_ns = wait_ns > OTLP_BACKOFF_MAX_NS ? OTLP_BACKOFF_MAX_NS : wait_ns;
    return wait_ns / 2 + (int64_t)((double)(wait_ns / 2) * rng_double(&x->rng));
}

void otlp_answer(OtlpExporter *x, int64_t now_ns, int64_t wall_ns, int status, Slice retry_after,
                 Slice body)
{
    assert(x->out);
    Batch *batch = x->first;
    x->out = false;
    x->stats.last_status = status;
    if (status >= 200 && status < 300) {
        x->stats.sent++;
        count_partial(x, body);
        drop_first(x);
        return;
    }
    int64_t wait_ns = otlp_retry_after_ns(retry_after, wall_ns);
    wait_ns = wait_ns >= 0 ? wait_ns : backoff_ns(x, batch->attempts);
    if (!is_retryable(status) || now_ns + wait_ns - batch->put_ns > OTLP_GIVE_UP_NS) {
        x->stats.dropped_failed++;
        drop_first(x);
        return;
    }
    x->stats.retries++;
    batch->due_ns = now_ns + wait_ns;
}

OtlpStats otlp_stats(const OtlpExporter *x)
{
    return x->stats;
}
