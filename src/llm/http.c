#include "llm/http.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    // Bytes that wait for a slow reader before the connection is paused.
    HIGH_WATER = 256 << 10,
    // And then one piece more: libcurl gives at most CURL_MAX_WRITE_SIZE, more of a paused stream.
    PIECE_MAX = 64 << 20,
    IDLE_HANDLES_MAX = 64, // easy handles kept for the next exchange
    // What one HTTP/2 connection is given at one time: the least that RFC 9113 wants servers to
    // allow.
    STREAMS_MAX = 100,
};

typedef struct Watch { // of one of libcurl's sockets
    LoopIo io;
    LlmHttp *http;
} Watch;

struct LlmExchange {
    LlmHttp *http;
    CURL *easy;
    LlmExchange *next; // while idle
    Fiber *reader;     // parked in llm_http_read
    Buf in, out;       // arriving; given to the reader
    Buf headers;       // "name\0value\0" each, the name in lower case
    struct curl_slist lines[LLM_HTTP_LINES_MAX];
    char error[CURL_ERROR_SIZE];
    CURLcode result;
    Err refusal; // by `allow`
    bool open, done, paused, detached;
};

struct LlmHttp {
    LlmHttpOptions o;
    CURLM *multi;
    LoopTimer timer, warm_timer;
    LlmExchange *idle;
    size_t idle_count;
    size_t open, open_max;
    FiberQueue waiting; // for `open` to fall below `open_max`
    uint64_t connections;
    LlmExchange *warming; // list of detached exchanges
    bool warm_started;
};

static void collect(LlmHttp *http);

// ---- libcurl and the loop

static void on_socket(LoopIo *io, unsigned events)
{
    Watch *watch = CONTAINER_OF(io, Watch, io);
    LlmHttp *http = watch->http;
    int mask = ((events & (LOOP_READ | LOOP_HANGUP)) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    int running;
    (void)curl_multi_socket_action(http->multi, io->fd, mask, &running);
    collect(http);
}

static void on_timer(LoopTimer *timer)
{
    LlmHttp *http = CONTAINER_OF(timer, LlmHttp, timer);
    int running;
    (void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(http);
}

static int want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    LlmHttp *http = ctx;
    if (timeout_ms < 0) {
        loop_timer_disarm(&http->timer);
    } else {
        // Also when it is due now: libcurl must not be entered from its own callback.
        loop_timer_set(http->o.loop, &http->timer,
                       loop_clock(http->o.loop) + timeout_ms * NS_PER_MS);
    }
    return 0;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    (void)easy;
    LlmHttp *http = ctx;
    Watch *watch = socket_ctx;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            loop_io_remove(http->o.loop, &watch->io);
            (void)curl_multi_assign(http->multi, fd, NULL);
            free(watch);
        }
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) != 0 ? LOOP_READ : 0U) |
                      ((what & CURL_POLL_OUT) != 0 ? LOOP_WRITE : 0U);
    if (watch) {
        return loop_io_change(http->o.loop, &watch->io, events, NULL) == 0 ? 0 : -1;
    }
    watch = mem_zalloc(sizeof *watch);
    watch->http = http;
    loop_io_init(&watch->io, on_socket);
    if (loop_io_add(http->o.loop, &watch->io, fd, events, NULL) != 0) {
        free(watch);
        return -1;
    }
    (void)curl_multi_assign(http->multi, fd, watch);
    return 0;
}

static void closed(LlmExchange *x)
{
    x->open = false;
    x->http->open--;
    (void)fiber_queue_wake_one(&x->http->waiting);
}

// ---- callbacks of one exchange

static void wake(LlmExchange *x)
{
    if (x->reader) {
        fiber_resume(x->reader);
    }
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    LlmExchange *x = ctx;
    size_t bytes = size * count;
    if (x->detached) {
        return bytes;
    }
    if (x->in.len > HIGH_WATER) {
        x->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    buf_append(&x->in, (Slice){data, bytes});
    wake(x);
    return bytes;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    LlmExchange *x = ctx;
    Slice line = {data, size * count}, name, value;
    if (slice_starts_with(line, SLICE("HTTP/"))) {
        buf_reset(&x->headers); // the answer behind a "100 Continue"
    } else if (slice_cut(line, ':', &name, &value)) {
        for (size_t i = 0; i < name.len; i++) {
            char c = name.ptr[i];
            buf_putc(&x->headers, c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c);
        }
        buf_putc(&x->headers, 0);
        buf_append(&x->headers, slice_trim(value));
        buf_putc(&x->headers, 0);
    }
    return x->headers.overflowed ? 0 : line.len;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)purpose;
    LlmExchange *x = ctx;
    LlmHttp *http = x->http;
    if (http->o.allow &&
        http->o.allow(http->o.allow_ctx, http->o.host, &a->addr, &x->refusal) != 0) {
        return CURL_SOCKET_BAD;
    }
    http->connections++;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static void release(LlmExchange *x)
{
    LlmHttp *http = x->http;
    buf_reset(&x->headers);
    // One huge answer shall not stay in memory for every handle there is.
    if (x->in.capacity + x->out.capacity > 4 * HIGH_WATER) {
        buf_done(&x->in);
        buf_done(&x->out);
    }
    x->in = (Buf){x->in.data, 0, x->in.capacity, PIECE_MAX, false};
    buf_reset(&x->out);
    x->out.max = x->in.max;
    if (http->idle_count < IDLE_HANDLES_MAX) {
        x->next = http->idle;
        http->idle = x;
        http->idle_count++;
        return;
    }
    curl_easy_cleanup(x->easy);
    buf_done(&x->in);
    buf_done(&x->out);
    buf_done(&x->headers);
    free(x);
}

static void collect(LlmHttp *http)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        LlmExchange *x = NULL;
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode result = message->data.result; // the message dies with the handle's removal
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        x->result = result;
        x->done = true;
        (void)curl_multi_remove_handle(http->multi, x->easy);
        closed(x);
        wake(x);
        if (x->detached) {
            for (LlmExchange **at = &http->warming; *at; at = &(*at)->next) {
                if (*at == x) {
                    *at = x->next;
                    break;
                }
            }
            release(x);
        }
    }
}

// ---- handles

// libcurl counts these in whole seconds, of which 0 means never.
static long seconds(int64_t ns)
{
    return (long)((ns + NS_PER_S - 1) / NS_PER_S);
}

static void set_up(LlmExchange *x)
{
    const LlmHttpOptions *o = &x->http->o;
    CURL *easy = x->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->connection_timeout_ns / NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, seconds(o->idle_timeout_ns));
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, seconds(o->max_connection_lifetime_ns));
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, o->no_reuse ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, o->no_reuse ? 1L : 0L);
    // Only what the program was told to speak, whatever a URL or the environment says.
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (o->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file);
    }
}

static LlmExchange *take_handle(LlmHttp *http, Err *e)
{
    LlmExchange *x = http->idle;
    if (x) {
        http->idle = x->next;
        http->idle_count--;
        x->done = x->paused = x->detached = false;
        x->refusal.code = 0;
        x->error[0] = 0;
        x->result = CURLE_OK;
        return x;
    }
    CURL *easy = curl_easy_init();
    if (!easy) {
        (void)err_set(e, ERR_IO, "libcurl gives no more handles");
        return NULL;
    }
    x = mem_zalloc(sizeof *x);
    x->http = http;
    x->easy = easy;
    x->in = x->out = buf_create(PIECE_MAX);
    x->headers = buf_create(LLM_HTTP_HEADERS_MAX);
    set_up(x);
    return x;
}

static void start_warming(LlmHttp *http);

// libcurl would queue what is too much by itself, but it walks that queue whenever a transfer ends:
// with thousands waiting it does nothing else.
static int wait_turn(LlmHttp *http, int64_t deadline_ns, Err *e)
{
    bool late = http->waiting.first != NULL; // others were here before
    while (late || http->open >= http->open_max) {
        int rc = fiber_queue_wait(&http->waiting, "llm connection", deadline_ns);
        if (rc != 0) {
            if (http->open < http->open_max) {
                (void)fiber_queue_wake_one(&http->waiting); // the turn may have been ours
            }
            return err_set(e, (ErrCode)rc, "%.*s: no connection was free in time",
                           SLICE_FMT(http->o.host));
        }
        late = false;
    }
    return 0;
}

int llm_http_begin(LlmHttp *http, const LlmHttpRequest *request, int64_t deadline_ns,
                   LlmExchange **ret_x, Err *e)
{
    int rc = wait_turn(http, deadline_ns, e);
    if (rc != 0) {
        return rc;
    }
    LlmExchange *x = take_handle(http, e);
    if (!x) {
        return ERR_IO;
    }
    curl_easy_setopt(x->easy, CURLOPT_URL, request->url);
    bool post = strcmp(request->method, "POST") == 0;
    if (post) {
        curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, request->body.ptr ? request->body.ptr : "");
    } else {
        curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
    }
    bool custom = !post && strcmp(request->method, "GET") != 0;
    curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, custom ? request->method : NULL);
    // The list is ours, so that no request copies its headers; libcurl only reads it.
    for (size_t i = 0; i < request->line_count; i++) {
        char *line;
        memcpy(&line, &request->lines[i], sizeof line);
        bool last = i + 1 == request->line_count;
        x->lines[i] = (struct curl_slist){line, last ? NULL : &x->lines[i + 1]};
    }
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, request->line_count > 0 ? x->lines : NULL);
    x->open = true;
    http->open++;
    CURLMcode code = curl_multi_add_handle(http->multi, x->easy);
    if (code != CURLM_OK) {
        closed(x);
        release(x);
        return err_set(e, ERR_IO, "libcurl: %s", curl_multi_strerror(code));
    }
    if (!http->warm_started) {
        http->warm_started = true;
        start_warming(http);
    }
    *ret_x = x;
    return 0;
}

// ---- reading

static int code_of(CURLcode result)
{
    switch ((int)result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return ERR_DNS;
    case CURLE_COULDNT_CONNECT: return ERR_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return ERR_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return ERR_ARG;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM: return ERR_TLS;
    case CURLE_WRITE_ERROR:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY: return ERR_PROTOCOL;
    default: return ERR_CLOSED; // lost on the way: send, receive, nothing, too little, HTTP/2
    }
}

static int outcome(LlmExchange *x, Err *e)
{
    if (x->refusal.code != 0) {
        return err_set(e, ERR_REFUSED, "%s", x->refusal.text);
    }
    if (x->headers.overflowed) {
        return err_set(e, ERR_LIMIT, "the answer's head is larger than %d bytes",
                       LLM_HTTP_HEADERS_MAX);
    }
    if (x->result == CURLE_OK) {
        return 0;
    }
    return err_set(e, (ErrCode)code_of(x->result), "%.*s: %s", SLICE_FMT(x->http->o.host),
                   x->error[0] ? x->error : curl_easy_strerror(x->result));
}

static int wait_for(LlmExchange *x, int64_t deadline_ns, Err *e)
{
    x->reader = fiber_self();
    int rc = fiber_park("llm answer", deadline_ns);
    x->reader = NULL;
    if (rc == ERR_TIMEOUT) {
        return err_set(e, ERR_TIMEOUT, "%.*s: no answer in time", SLICE_FMT(x->http->o.host));
    }
    return rc != 0 ? err_set(e, (ErrCode)rc, "cancelled while waiting for the answer") : 0;
}

int llm_http_read(LlmExchange *x, int64_t deadline_ns, Slice *ret_bytes, Err *e)
{
    while (x->in.len == 0 && !x->done) {
        int rc = wait_for(x, deadline_ns, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (x->in.len == 0) {
        int rc = outcome(x, e);
        if (rc == 0) {
            *ret_bytes = (Slice){0};
        }
        return rc;
    }
    Buf taken = x->in;
    x->in = x->out;
    x->out = taken;
    buf_reset(&x->in);
    *ret_bytes = buf_slice(&x->out);
    if (x->paused && x->open) {
        x->paused = false;
        (void)curl_easy_pause(x->easy, CURLPAUSE_CONT);
    }
    return 0;
}

int llm_http_status(const LlmExchange *x)
{
    long status = 0;
    (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

bool llm_http_is_h2(const LlmExchange *x)
{
    long version = 0;
    (void)curl_easy_getinfo(x->easy, CURLINFO_HTTP_VERSION, &version);
    return version == CURL_HTTP_VERSION_2_0;
}

bool llm_http_next_header(const LlmExchange *x, size_t *position, Slice *ret_name, Slice *ret_value)
{
    if (*position >= x->headers.len) {
        return false;
    }
    const char *name = x->headers.data + *position;
    *ret_name = slice_from_cstr(name);
    *ret_value = slice_from_cstr(name + ret_name->len + 1);
    // A value may hold a NUL that libcurl let through: then the walk ends early, never beyond.
    *position += ret_name->len + ret_value->len + 2;
    return true;
}

Slice llm_http_header(const LlmExchange *x, const char *name)
{
    Slice n, value;
    for (size_t at = 0; llm_http_next_header(x, &at, &n, &value);) {
        if (slice_eq_cstr(n, name)) {
            return value;
        }
    }
    return (Slice){0};
}

void llm_http_end(LlmExchange *x)
{
    if (!x) {
        return;
    }
    if (x->open) {
        (void)curl_multi_remove_handle(x->http->multi, x->easy);
        closed(x);
    }
    release(x);
}

// ---- connections kept warm

// A HEAD request on each connection: an answer of any status keeps it from growing old, and fewer
// connections than requests at one time open new ones.
static void start_warming(LlmHttp *http)
{
    if (http->o.min_connections <= 0 || !http->o.warm_url || http->o.no_reuse) {
        return;
    }
    for (int64_t i = 0; i < http->o.min_connections; i++) {
        LlmExchange *x = take_handle(http, NULL);
        if (!x) {
            break;
        }
        x->detached = true;
        curl_easy_setopt(x->easy, CURLOPT_URL, http->o.warm_url);
        curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, NULL);
        curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, NULL);
        curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
        x->open = true;
        http->open++;
        if (curl_multi_add_handle(http->multi, x->easy) != CURLM_OK) {
            llm_http_end(x);
            break;
        }
        x->next = http->warming;
        http->warming = x;
    }
    loop_timer_set(http->o.loop, &http->warm_timer,
                   loop_now(http->o.loop) + http->o.idle_timeout_ns / 2);
}

static void on_warm(LoopTimer *timer)
{
    start_warming(CONTAINER_OF(timer, LlmHttp, warm_timer));
}

// ---- life

static void set_defaults(LlmHttpOptions *o)
{
    o->max_connections = o->max_connections > 0 ? o->max_connections : 50;
    o->connection_timeout_ns =
        o->connection_timeout_ns > 0 ? o->connection_timeout_ns : 10 * NS_PER_S;
    o->idle_timeout_ns = o->idle_timeout_ns > 0 ? o->idle_timeout_ns : 300 * NS_PER_S;
    o->max_connection_lifetime_ns =
        o->max_connection_lifetime_ns > 0 ? o->max_connection_lifetime_ns : 3600 * NS_PER_S;
}

int llm_http_create(const LlmHttpOptions *options, LlmHttp **ret_http, Err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(e, ERR_IO, "libcurl does not start");
    }
    LlmHttp *http = mem_zalloc(sizeof *http);
    http->o = *options;
    set_defaults(&http->o);
    http->open_max = (size_t)http->o.max_connections * (http->o.tls ? STREAMS_MAX : 1);
    loop_timer_init(&http->timer, on_timer);
    loop_timer_init(&http->warm_timer, on_warm);
    http->multi = curl_multi_init();
    if (!http->multi) {
        free(http);
        return err_set(e, ERR_IO, "libcurl gives no multi handle");
    }
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)http->o.max_connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->o.max_connections);
    *ret_http = http;
    return 0;
}

void llm_http_destroy(LlmHttp *http)
{
    if (!http) {
        return;
    }
    while (http->warming) {
        LlmExchange *x = http->warming;
        http->warming = x->next;
        llm_http_end(x);
    }
    while (http->idle) {
        LlmExchange *x = http->idle;
        http->idle = x->next;
        curl_easy_cleanup(x->easy);
        buf_done(&x->in);
        buf_done(&x->out);
        buf_done(&x->headers);
        free(x);
    }
    (void)curl_multi_cleanup(http->multi); // closes connections: removes their watchers
    loop_timer_cancel(http->o.loop, &http->timer);
    loop_timer_cancel(http->o.loop, &http->warm_timer);
    free(http);
    curl_global_cleanup();
}

uint64_t llm_http_connections_opened(const LlmHttp *http)
{
    return http->connections;
}
