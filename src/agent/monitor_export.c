#include "agent/monitor_impl.h"

// One fiber ends the intervals, turns spans into batches and sends what is due.

#define TICK_NS    (1 * NS_PER_S)
#define TIMEOUT_NS (10 * NS_PER_S) // OTLP's default for an export
#define LAST_NS    (1 * NS_PER_S)

static void put_spans(Monitor *m)
{
    size_t count;
    while (m->options.spans &&
           (count = span_queue_take(m->options.spans, m->spans, OTLP_BATCH_SPANS)) > 0) {
        otlp_put_spans(m->otlp, m->spans, count, loop_now(m->loop));
        if (count < OTLP_BATCH_SPANS) {
            return;
        }
    }
}

static void put_metrics(Monitor *m)
{
    if (!m->options.no_metrics && monitor_collect(m) == 0) {
        live_update(m->live, m->collector, loop_clock(m->loop));
        if (m->otlp) {
            otlp_put_metrics(m->otlp, m->collector, m->start_wall_ns, clock_wall(clock_real()),
                             loop_clock(m->loop));
        }
        monitor_unlock(m);
    }
}

static void send_one(Monitor *m, const OtlpRequest *request, int64_t timeout_ns)
{
    const HttpHeader headers[] = {{SLICE("content-type"), SLICE("application/json")},
                                  {SLICE("content-encoding"), SLICE("gzip")}};
    Buf target = buf_create(8192);
    HttpResponse response = http_response_create(NULL);
    response.body.max = OTLP_ANSWER_BYTES_MAX;
    // The endpoint may have a path, as a collector behind a gateway does.
    Slice base = m->endpoint.path;
    while (slice_ends_with(base, SLICE("/"))) {
        base.len--;
    }
    buf_append(&target, base);
    buf_puts(&target, request->path);
    int rc = http_client_do(m->client,
                            &(HttpRequest){.origin = &m->origin,
                                           .method = SLICE("POST"),
                                           .target = buf_slice(&target),
                                           .headers = headers,
                                           .header_count = request->gzip ? 2 : 1,
                                           .has_body = true,
                                           .body = request->body,
                                           .body_mode = HTTP_BODY_KEEP,
                                           .timeout_ns = timeout_ns},
                            &response, NULL);
    otlp_answer(m->otlp, loop_clock(m->loop), clock_wall(clock_real()),
                rc == 0 ? response.status : 0,
                rc == 0 ? http_head_get(&response.head, SLICE("retry-after")) : (Slice){0},
                rc == 0 ? buf_slice(&response.body) : (Slice){0});
    http_response_done(&response);
    buf_done(&target);
}

static void send_due(Monitor *m)
{
    OtlpRequest request;
    while (!fiber_is_cancelled() && otlp_take(m->otlp, loop_clock(m->loop), &request)) {
        send_one(m, &request, TIMEOUT_NS);
    }
}

void monitor_export(void *arg)
{
    Monitor *m = arg;
    int64_t tick_ns = m->options.interval_ns < TICK_NS ? m->options.interval_ns : TICK_NS;
    m->metrics_due_ns = loop_clock(m->loop);
    do {
        if (loop_clock(m->loop) >= m->metrics_due_ns) {
            put_metrics(m);
            m->metrics_due_ns = loop_clock(m->loop) + m->options.interval_ns;
        }
        if (m->otlp) {
            put_spans(m);
            send_due(m);
        }
    } while (fiber_sleep(tick_ns) == 0);
}

void monitor_export_now(Monitor *m)
{
    OtlpRequest request;
    put_spans(m);
    put_metrics(m);
    // Nobody waits for a receiver that is down: what is not due, or fails, is lost.
    while (otlp_take(m->otlp, loop_clock(m->loop), &request)) {
        send_one(m, &request, LAST_NS);
    }
}
