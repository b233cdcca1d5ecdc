// Prometheus remote write, as k6's experimental-prometheus-rw: cumulative totals of every series,
// every push interval.
//
// Two threads. The collector merges points, builds a request body and queues it; it never touches
// disk or network. The sender, with a loop of its own, moves bodies from the queue into the spool
// on disk and from there to the receiver, one at a time and in order. A body leaves the spool when
// the receiver took it (2xx) or will never take it (anything but 5xx and 429).
#include <netdb.h>
#include <pthread.h>

#include "base/log.h"
#include "base/units.h"
#include "guard/guard.h"
#include "load/output.h"
#include "net/http.h"
#include "net/tls.h"
#include "os/fiber.h"
#include "os/thread.h"
#include "telemetry/prometheus.h"
#include "telemetry/remote_write.h"
#include "telemetry/spool.h"

enum {
    QUEUE_BYTES_MAX = 64 << 20, // between collector and sender
    SPOOL_SLOTS = 16,           // processes that may write to one receiver at the same time
    HEADERS_MAX = 16,
    COUNT_BYTES = 4, // before each body in the spool: how many samples it holds
    ANSWER_BYTES_MAX = 64 << 10,
};

#define PUSH_INTERVAL_NS   (5 * NS_PER_SECOND) // k6's default
#define REQUEST_TIMEOUT_NS (10 * NS_PER_SECOND)
#define FLUSH_NS           (5 * NS_PER_SECOND) // how long output_stop waits for the receiver
#define BACKOFF_MIN_NS     (50 * NS_PER_MS)    // Prometheus's own sender starts at 30 ms
#define BACKOFF_MAX_NS     (5 * NS_PER_SECOND)

typedef struct Body {
    struct Body *next;
    Buf bytes;
} Body;

typedef struct Total {
    SeriesInfo info;
    Point point;
    Hist hist;
    bool used;
} Total;

typedef struct PromOutput {
    Output output;
    // Set before the sender starts.
    Arena *arena;
    Url url;
    HttpHeader headers[HEADERS_MAX];
    size_t header_count;
    bool insecure;
    bool stale_markers;
    PromStats stats;
    int64_t push_ns;
    int64_t flush_ns;
    // The collector's.
    Total **totals;
    size_t total_count;
    Arena *series_arena;
    int64_t interval_ns;
    int64_t last_unix_ns; // of the newest interval; 0: none
    int64_t pushed_unix_ns;
    // Shared.
    pthread_mutex_t lock;
    Body *first, **last;
    size_t queue_bytes;
    bool closing;
    int64_t dropped; // samples
    // The sender's, and output_stop's after it has ended.
    Thread *thread;
    Loop *loop;
    Fiber *fiber;
    bool waiting; // the fiber is parked for work and may be resumed
    Spool *spool;
    HttpContext *http;
    HttpClient *client;
    HttpOrigin origin;
    TlsClient *tls;
    TlsConnector connector;
    FiberPool *pool;
    int64_t sent, refused;
    Err refusal; // the receiver's words to the first refused body
} PromOutput;

// ---- collector

typedef struct Encoding {
    Buf message;
    int64_t unix_ms;
    uint32_t samples;
    bool stale;
} Encoding;

static void encode_sample(void *ctx, Slice name, Labels labels, double value)
{
    Encoding *enc = ctx;
    if (enc->stale) {
        // Prometheus's mark that a series ends here: one particular NaN.
        const uint64_t bits = 0x7ff0000000000002;
        memcpy(&value, &bits, sizeof value);
    }
    remote_write_add(&enc->message, name, labels, value, enc->unix_ms);
    enc->samples++;
}

static void queue_body(PromOutput *o, Buf *bytes, uint32_t samples)
{
    Body *body = mem_zalloc(sizeof *body);
    body->bytes = *bytes;
    (void)pthread_mutex_lock(&o->lock);
    bool fits = o->queue_bytes + bytes->len <= QUEUE_BYTES_MAX;
    if (fits) {
        *o->last = body;
        o->last = &body->next;
        o->queue_bytes += bytes->len;
    } else {
        o->dropped += samples;
    }
    (void)pthread_mutex_unlock(&o->lock);
    if (!fits) {
        buf_done(&body->bytes);
        free(body);
    }
}

static void wake(void *arg)
{
    PromOutput *o = arg;
    if (o->waiting) {
        o->waiting = false;
        fiber_resume(o->fiber);
    }
}

static void push(PromOutput *o, int64_t unix_ns, bool stale)
{
    Encoding enc = {buf_create(REMOTE_WRITE_BYTES_MAX), unix_ns / NS_PER_MS, 0, stale};
    for (size_t i = 0; i < o->total_count; i++) {
        Total *t = o->totals[i];
        if (t && t->used) {
            t->point.hist = &t->hist;
            prom_samples(&t->info, &t->point, &o->stats, encode_sample, &enc);
        }
    }
    Buf body = buf_create(2 * REMOTE_WRITE_BYTES_MAX);
    char count[COUNT_BYTES];
    for (size_t i = 0; i < COUNT_BYTES; i++) {
        count[i] = (char)(enc.samples >> (8 * i));
    }
    buf_append(&body, (Slice){count, COUNT_BYTES});
    if (enc.samples > 0 && !enc.message.overflowed &&
        remote_write_compress(buf_slice(&enc.message), &body, NULL) == 0) {
        queue_body(o, &body, enc.samples);
        // A full queue of posts means that the sender is awake anyway.
        (void)!loop_post(o->loop, wake, o);
    } else {
        (void)pthread_mutex_lock(&o->lock);
        o->dropped += enc.samples;
        (void)pthread_mutex_unlock(&o->lock);
        buf_done(&body);
    }
    buf_done(&enc.message);
    o->pushed_unix_ns = unix_ns;
}

static Total *total_of(PromOutput *o, const SeriesInfo *s)
{
    enum { SERIES_MAX = 1 << 16 };
    if (s->id >= SERIES_MAX) {
        return NULL; // the recorder's cap on series is far below
    }
    if (s->id >= o->total_count) {
        size_t count = s->id + 64;
        o->totals = mem_realloc(o->totals, count * sizeof(Total *));
        memset(o->totals + o->total_count, 0, (count - o->total_count) * sizeof(Total *));
        o->total_count = count;
    }
    Total *t = o->totals[s->id];
    if (!t) {
        t = o->totals[s->id] = mem_zalloc(sizeof *t);
        t->info = *s;
        t->info.metric = arena_copy(o->series_arena, s->metric);
        if (labels_copy(o->series_arena, s->labels.items, s->labels.count, &t->info.labels, NULL) !=
            0) {
            t->info.labels = (Labels){0};
        }
        hist_init(&t->hist);
    }
    return t;
}

static void prom_start(Output *output, const OutputRun *run)
{
    PromOutput *o = (PromOutput *)output;
    o->interval_ns = run->interval_ns > 0 ? run->interval_ns : NS_PER_SECOND;
}

static void prom_interval(Output *output, const OutputInterval *interval)
{
    PromOutput *o = (PromOutput *)output;
    for (size_t i = 0; i < interval->count; i++) {
        const Point *p = &interval->points[i];
        Total *t = total_of(o, &interval->series[p->series]);
        if (!t) {
            continue;
        }
        t->used = true;
        t->point.count += p->count;
        t->point.trues += p->trues;
        t->point.last = p->last;
        if (p->hist) {
            hist_merge(&t->hist, p->hist);
        }
    }
    o->last_unix_ns = interval->unix_ns;
    // Half an interval of slack, since intervals do not end on whole multiples.
    if (interval->unix_ns - o->pushed_unix_ns >= o->push_ns - o->interval_ns / 2) {
        push(o, interval->unix_ns, false);
    }
}

// ---- sender

typedef enum Answer { ANSWER_TAKEN, ANSWER_REFUSED, ANSWER_LATER } Answer;

static void note_refusal(PromOutput *o, int status, Slice words)
{
    if (o->refused == 0) {
        (void)err_set(&o->refusal, ERR_PROTOCOL, "status %d: %.*s", status,
                      SLICE_FMT(slice_sub(slice_trim(words), 0, 120)));
        LOG(LOG_WARN, "metrics receiver refused points", log_int("status", status),
            log_text("answer", slice_sub(words, 0, 200)));
    }
}

// The guard's own refusal: no later attempt will be allowed either.
static void note_forbidden(PromOutput *o, const Err *e)
{
    if (o->refused == 0) {
        o->refusal = *e;
        LOG(LOG_WARN, "metrics receiver may not be reached", log_err(e));
    }
}

static Answer send_body(PromOutput *o, Slice body)
{
    const HttpResponseLimits limits = {
        .head = {HTTP_HEAD_BYTES_MAX, HTTP_FIELDS_MAX, HTTP_LINE_BYTES_MAX},
        .body_bytes_max = ANSWER_BYTES_MAX};
    HttpResponse response = http_response_create(&limits);
    HttpRequest request = {.origin = &o->origin,
                           .method = SLICE("POST"),
                           .headers = o->headers,
                           .header_count = o->header_count,
                           .has_body = true,
                           .body = body,
                           .body_mode = HTTP_BODY_KEEP,
                           .timeout_ns = REQUEST_TIMEOUT_NS};
    Buf target = buf_create(URL_BYTES_MAX);
    url_append_target(&target, &o->url);
    request.target = buf_slice(&target);
    Err e = {0};
    int rc = http_client_do(o->client, &request, &response, &e);
    int status = response.status;
    Answer answer = ANSWER_LATER;
    // The status decides, whatever became of the body behind it. The specification says to try
    // again after 5xx and 429 only.
    if (status >= 200 && status < 300) {
        answer = ANSWER_TAKEN;
    } else if (status != 0 && status < 500 && status != 429) {
        answer = ANSWER_REFUSED;
        note_refusal(o, status, buf_slice(&response.body));
    } else if (rc == ERR_REFUSED) {
        answer = ANSWER_REFUSED;
        note_forbidden(o, &e);
    } else {
        LOG(LOG_DEBUG, "metrics receiver is not there", log_int("status", status), log_err(&e));
    }
    buf_done(&target);
    http_response_done(&response);
    return answer;
}

static uint32_t samples_of(Slice record)
{
    uint32_t n = 0;
    for (size_t i = 0; i < COUNT_BYTES && i < record.len; i++) {
        n |= (uint32_t)(unsigned char)record.ptr[i] << (8 * i);
    }
    return n;
}

// Moves what the collector queued into the spool; true when it is closing.
static bool take_queue(PromOutput *o)
{
    (void)pthread_mutex_lock(&o->lock);
    Body *body = o->first;
    bool closing = o->closing;
    o->first = NULL;
    o->last = &o->first;
    o->queue_bytes = 0;
    (void)pthread_mutex_unlock(&o->lock);
    while (body) {
        Body *next = body->next;
        Err e = {0};
        if (spool_put(o->spool, buf_slice(&body->bytes), &e) != 0) {
            LOG(LOG_WARN, "points for the metrics receiver were dropped", log_err(&e));
            (void)pthread_mutex_lock(&o->lock);
            o->dropped += samples_of(buf_slice(&body->bytes));
            (void)pthread_mutex_unlock(&o->lock);
        }
        buf_done(&body->bytes);
        free(body);
        body = next;
    }
    return closing;
}

// Sends the oldest body; false when the receiver is not there.
static bool send_oldest(PromOutput *o, Slice record)
{
    uint32_t samples = samples_of(record);
    Answer answer = send_body(o, slice_sub(record, COUNT_BYTES, record.len));
    if (answer == ANSWER_LATER) {
        return false;
    }
    o->sent += answer == ANSWER_TAKEN ? samples : 0;
    o->refused += answer == ANSWER_REFUSED ? samples : 0;
    Err e = {0};
    if (spool_done(o->spool, &e) != 0) {
        LOG(LOG_WARN, "the metrics queue on disk cannot be noted as sent", log_err(&e));
    }
    return true;
}

static void wait_for_work(PromOutput *o, int64_t until_ns)
{
    o->waiting = true;
    (void)!fiber_park("metrics", until_ns);
    o->waiting = false;
}

static void send_fiber(void *arg)
{
    PromOutput *o = arg;
    int64_t backoff_ns = BACKOFF_MIN_NS;
    int64_t next_try_ns = 0;
    int64_t give_up_ns = NEVER_NS;
    for (;;) {
        Slice record;
        bool closing = take_queue(o);
        bool some = spool_next(o->spool, &record) == 0;
        int64_t now = loop_clock(o->loop);
        if (closing && give_up_ns == NEVER_NS) {
            give_up_ns = now + o->flush_ns;
            next_try_ns = 0;
        }
        if (fiber_is_cancelled() || (closing && (!some || now >= give_up_ns))) {
            break;
        }
        if (!some || now < next_try_ns) {
            int64_t until = some ? next_try_ns : NEVER_NS;
            wait_for_work(o, until < give_up_ns ? until : give_up_ns);
        } else if (send_oldest(o, record)) {
            backoff_ns = BACKOFF_MIN_NS;
        } else {
            next_try_ns = loop_clock(o->loop) + backoff_ns;
            backoff_ns = backoff_ns * 2 < BACKOFF_MAX_NS ? backoff_ns * 2 : BACKOFF_MAX_NS;
        }
    }
    loop_stop(o->loop);
}

static void send_thread(void *arg)
{
    PromOutput *o = arg;
    loop_run(o->loop);
}

// The sender's thread has nothing else to do, so it may wait for the system's resolver.
static int resolve(void *ctx, Slice host, uint16_t port, int64_t deadline_ns, NetAddr *ret_addrs,
                   size_t max, size_t *ret_count, Err *e)
{
    (void)ctx;
    (void)deadline_ns;
    char name[256];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    (void)snprintf(name, sizeof name, "%.*s", SLICE_FMT(host));
    int code = getaddrinfo(name, NULL, &hints, &list);
    if (code != 0) {
        return err_set(e, ERR_DNS, "cannot look up '%s': %s", name, gai_strerror(code));
    }
    size_t n = 0;
    for (const struct addrinfo *a = list; a && n < max; a = a->ai_next) {
        NetAddr *addr = &ret_addrs[n];
        if (a->ai_addrlen <= sizeof addr->u &&
            (a->ai_family == AF_INET || a->ai_family == AF_INET6)) {
            memcpy(&addr->u, a->ai_addr, a->ai_addrlen);
            addr->len = a->ai_addrlen;
            // The port is at the same place in both families.
            addr->u.v4.sin_port = htons(port);
            n++;
        }
    }
    freeaddrinfo(list);
    *ret_count = n;
    return n > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "'%s' has no address", name);
}

// ---- closing

static void prom_free(PromOutput *o)
{
    http_client_destroy(o->client);
    http_context_destroy(o->http);
    tls_client_destroy(o->tls);
    http_origin_done(&o->origin);
    if (o->pool) {
        (void)fiber_pool_drain(o->pool, NEVER_NS);
        fiber_pool_destroy(o->pool);
    }
    loop_destroy(o->loop);
    spool_close(o->spool);
    for (Body *b = o->first; b;) {
        Body *next = b->next;
        buf_done(&b->bytes);
        free(b);
        b = next;
    }
    for (size_t i = 0; i < o->total_count; i++) {
        if (o->totals[i]) {
            hist_done(&o->totals[i]->hist);
            free(o->totals[i]);
        }
    }
    free(o->totals);
    (void)pthread_mutex_destroy(&o->lock);
    arena_destroy(o->series_arena);
    arena_destroy(o->arena);
    free(o);
}

static void write_report(const PromOutput *o, OutputReport *report)
{
    report->points = o->sent;
    report->dropped = o->dropped + o->refused;
    report->waiting = spool_stats(o->spool).waiting;
    if (o->refused > 0) {
        (void)snprintf(report->warning, sizeof report->warning,
                       "output prometheus: the receiver refused %lld points for good (%.150s)",
                       (long long)o->refused, o->refusal.text);
    } else if (report->waiting > 0) {
        (void)snprintf(
            report->warning, sizeof report->warning,
            "output prometheus: the receiver does not answer; %lld requests wait on disk "
            "and are sent by the next run to it",
            (long long)report->waiting);
    } else if (o->dropped > 0) {
        (void)snprintf(report->warning, sizeof report->warning,
                       "output prometheus: %lld points were dropped, the queue was full",
                       (long long)o->dropped);
    }
}

static int prom_stop(Output *output, OutputReport *report, Err *e)
{
    PromOutput *o = (PromOutput *)output;
    (void)e;
    if (o->last_unix_ns > o->pushed_unix_ns) {
        push(o, o->last_unix_ns, false);
    }
    if (o->stale_markers && o->last_unix_ns > 0) {
        push(o, o->last_unix_ns + NS_PER_MS, true);
    }
    (void)pthread_mutex_lock(&o->lock);
    o->closing = true;
    (void)pthread_mutex_unlock(&o->lock);
    (void)!loop_post(o->loop, wake, o);
    thread_join(o->thread);
    write_report(o, report);
    prom_free(o);
    return 0;
}

static const OutputOps OPS = {prom_start, prom_interval, prom_stop};

// ---- opening

static Slice env_of(const OutputOptions *options, const char *name)
{
    Buf full = buf_create(128);
    buf_printf(&full, "K6_PROMETHEUS_RW_%s", name);
    Slice value = slice_from_cstr(options->get_env ? options->get_env(full.data) : NULL);
    buf_done(&full);
    return value;
}

static bool is_true(Slice text)
{
    return slice_eq_nocase(text, SLICE("true")) || slice_eq_cstr(text, "1");
}

static void add_header(PromOutput *o, const char *name, Slice value)
{
    if (o->header_count < HEADERS_MAX) {
        o->headers[o->header_count++] = (HttpHeader){slice_from_cstr(name), value};
    }
}

static int add_headers(PromOutput *o, const OutputOptions *options, Err *e)
{
    Slice user = env_of(options, "USERNAME"), token = env_of(options, "BEARER_TOKEN");
    Slice extra = env_of(options, "HTTP_HEADERS");
    add_header(o, "Content-Type", SLICE("application/x-protobuf"));
    add_header(o, "Content-Encoding", SLICE("snappy"));
    add_header(o, "User-Agent", SLICE("perfwright"));
    add_header(o, "X-Prometheus-Remote-Write-Version", SLICE("0.1.0"));
    if (user.len > 0) {
        Slice pair = arena_printf(o->arena, "%.*s:%.*s", SLICE_FMT(user),
                                  SLICE_FMT(env_of(options, "PASSWORD")));
        Buf value = buf_create(16 << 10);
        buf_puts(&value, "Basic ");
        buf_append_base64(&value, pair.ptr, pair.len);
        add_header(o, "Authorization", arena_copy(o->arena, buf_slice(&value)));
        buf_done(&value);
    } else if (token.len > 0) {
        add_header(o, "Authorization", arena_printf(o->arena, "Bearer %.*s", SLICE_FMT(token)));
    }
    while (extra.len > 0) {
        Slice part, name, value;
        (void)slice_cut(extra, ',', &part, &extra);
        if (!slice_cut(part, ':', &name, &value) || o->header_count == HEADERS_MAX) {
            return err_set(e, ERR_ARG,
                           "K6_PROMETHEUS_RW_HTTP_HEADERS: '%.*s' is no name:value, or "
                           "there are more than %d headers",
                           SLICE_FMT(part), HEADERS_MAX);
        }
        add_header(o, arena_cstr(o->arena, slice_trim(name)),
                   arena_copy(o->arena, slice_trim(value)));
    }
    return 0;
}

static int read_settings(PromOutput *o, Slice argument, const OutputOptions *options, Err *e)
{
    Slice url = argument.len > 0 ? argument : env_of(options, "SERVER_URL");
    Slice stats = env_of(options, "TREND_STATS"), every = env_of(options, "PUSH_INTERVAL");
    url = url.len > 0 ? url : SLICE("http://localhost:9090/api/v1/write");
    o->insecure = is_true(env_of(options, "INSECURE_SKIP_TLS_VERIFY"));
    o->stale_markers = is_true(env_of(options, "STALE_MARKERS"));
    o->push_ns = PUSH_INTERVAL_NS;
    o->flush_ns = options->flush_ns > 0 ? options->flush_ns : FLUSH_NS;
    int rc = url_parse(arena_copy(o->arena, url), &o->url, e);
    rc = rc != 0 ? rc : prom_stats_parse(stats.len > 0 ? stats : SLICE("p(99)"), &o->stats, e);
    if (rc == 0 && every.len > 0) {
        rc = duration_parse(every, 0, &o->push_ns, e);
    }
    return rc != 0 ? rc : add_headers(o, options, e);
}

// One directory a receiver, and one more for each process that runs at the same time.
static int open_spool(PromOutput *o, const OutputOptions *options, Err *e)
{
    if (!options->spool_directory) {
        return err_set(e, ERR_ARG, "there is no directory for the queue on disk");
    }
    Buf receiver = buf_create(2 * URL_BYTES_MAX);
    url_append_authority(&receiver, &o->url);
    url_append_target(&receiver, &o->url);
    uint64_t key = slice_hash(buf_slice(&receiver));
    buf_done(&receiver);
    int rc = ERR_BUSY;
    for (int slot = 0; slot < SPOOL_SLOTS && rc == ERR_BUSY; slot++) {
        Slice path = arena_printf(o->arena, "%s/remote-write-%016llx-%d", options->spool_directory,
                                  (unsigned long long)key, slot);
        rc = spool_open(path.ptr, SPOOL_BYTES, &o->spool, e);
    }
    return rc;
}

// A receiver is no target, but what no run may reach, its metrics may not reach either.
static int allow(void *ctx, const NetAddr *addr, Slice host, Err *e)
{
    (void)ctx;
    return guard_check_peer(host, &addr->u.any, e);
}

static int open_sender(PromOutput *o, Err *e)
{
    int rc = http_origin_init(&o->origin, &o->url, e);
    rc = rc != 0 ? rc : loop_create(&(LoopOptions){0}, &o->loop, e);
    if (rc == 0 && o->url.tls) {
        TlsClientOptions tls = {.insecure_skip_verify = o->insecure, .no_h2 = true};
        rc = tls_client_create(&tls, &o->tls, e);
        o->connector = o->tls ? tls_client_connector(o->tls) : (TlsConnector){0};
    }
    if (rc != 0) {
        return rc;
    }
    static const NetResolver resolver = {resolve, NULL};
    static const ConnectFilter filter = {allow, NULL};
    o->pool = fiber_pool_create(o->loop, &(FiberOptions){.stack_bytes = 256 << 10});
    o->http = http_context_create(&(HttpContextOptions){.loop = o->loop,
                                                        .resolver = &resolver,
                                                        .filter = &filter,
                                                        .tls = o->tls ? &o->connector : NULL});
    o->client = http_client_create(o->http);
    o->fiber = fiber_spawn(o->pool, "metrics", send_fiber, o);
    if (!o->fiber) {
        return err_set(e, ERR_LIMIT, "no memory for the metrics sender");
    }
    return thread_start("metrics", THREAD_ANY_CPU, send_thread, o, &o->thread, e);
}

int output_prometheus_open(Slice argument, const OutputOptions *options, Output **ret_output,
                           Err *e)
{
    PromOutput *o = mem_zalloc(sizeof *o);
    o->output.ops = &OPS;
    o->arena = arena_create(1 << 20);
    o->series_arena = arena_create(256 << 20);
    o->last = &o->first;
    o->interval_ns = NS_PER_SECOND;
    (void)pthread_mutex_init(&o->lock, NULL);
    int rc = read_settings(o, argument, options, e);
    rc = rc != 0 ? rc : open_spool(o, options, e);
    rc = rc != 0 ? rc : open_sender(o, e);
    if (rc != 0) {
        (void)err_wrap(e, "output prometheus");
        prom_free(o);
        return rc;
    }
    *ret_output = &o->output;
    return 0;
}
