#include "improve/broker.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json_write.h"
#include "llm/budget.h"
#include "llm/http.h"
#include "llm/wire.h"
#include "net/server.h"
#include "net/url.h"

enum {
    SCRATCH_BYTES_MAX = 512 << 20, // a request's JSON as a tree
    ERROR_BYTES_MAX = 64 << 10,    // of an answer that is an error: read whole, cleaned
    LINE_BYTES_MAX = 4 << 10,
    CONNECTIONS_MAX = 32, // of one engine
    BACKLOG = 64,
};
static const int64_t SILENCE_NS = 600 * NS_PER_S; // a model that thinks says nothing for minutes
static const int64_t POLL_NS = 2 * NS_PER_MS;

typedef struct Handling { // a request under way, on its fiber's stack
    Fiber *fiber;
    struct Handling *next;
} Handling;

struct Broker {
    BrokerOptions o;
    const LlmProvider *provider;
    const LlmAdapter *adapter;
    Arena *arena;
    Slice secret;
    const char *auth_line; // NULL: the provider wants no key
    Slice origin;          // "https://api.example"
    Slice base_path;
    LlmHttp *http;
    HttpServer *server;
    LlmBudget *budget;
    Handling *handling;
    BrokerStats stats;
    int notes;
    bool bound;
};

// ---- refusing

static void refuse(Broker *b, const HttpServerRequest *request, HttpReply *reply, int status,
                   const char *why)
{
    Buf body = buf_create(LINE_BYTES_MAX);
    JsonWriter w = json_writer(&body, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "type", "error");
    json_key(&w, SLICE("error"));
    json_object_begin(&w);
    json_field_cstr(&w, "type", status == 403 ? "permission_error" : "invalid_request_error");
    json_field_string(&w, "message", slice_sub(slice_from_cstr(why), 0, LINE_BYTES_MAX / 8));
    json_object_end(&w);
    json_object_end(&w);
    b->stats.refused++;
    if (b->o.transcript && b->notes++ < BROKER_NOTES_MAX) {
        transcript_note(b->o.transcript, "broker refused %.*s %.*s: %s", SLICE_FMT(request->method),
                        SLICE_FMT(slice_sub(request->path, 0, 200)), why);
    }
    http_reply_send(reply, status, SLICE("application/json"), buf_slice(&body), NULL);
    buf_done(&body);
}

// ---- one request

typedef struct Pass {
    Broker *b;
    const HttpServerRequest *request;
    HttpReply *reply;
    Arena *arena;
    LlmSpend reserved;
    const LlmPrice *price; // NULL: none is known
    BrokerUsage usage;
    uint64_t bytes_out;
    bool sent;
} Pass;

// What the engine's own program wants said to the provider; nothing that could be a credential.
static const char *const HEADERS[] = {"content-type",   "accept",      "anthropic-version",
                                      "anthropic-beta", "openai-beta", "user-agent"};

static void add_headers(Pass *p, LlmHttpRequest *out)
{
    for (size_t i = 0; i < COUNT_OF(HEADERS); i++) {
        Slice value = http_head_get(p->request->head, slice_from_cstr(HEADERS[i]));
        if (value.len > 0 && value.len < LINE_BYTES_MAX) {
            out->lines[out->line_count++] =
                arena_printf(p->arena, "%s: %.*s", HEADERS[i], SLICE_FMT(value)).ptr;
        }
    }
    const char *extra = p->b->adapter->extra_header;
    if (extra && http_head_get(p->request->head, SLICE("anthropic-version")).len == 0) {
        out->lines[out->line_count++] = extra;
    }
    if (p->b->auth_line) {
        out->lines[out->line_count++] = p->b->auth_line;
    }
    out->lines[out->line_count++] = "Expect:"; // libcurl would wait for "100 Continue"
}

// The query without what carries a key in some protocols (Gemini's ?key=).
static const char *url_of(Pass *p)
{
    Buf url = buf_create(64 << 10);
    buf_append(&url, p->b->origin);
    buf_append(&url, p->request->path);
    Slice left = p->request->query, part;
    char sign = '?';
    for (bool more = left.len > 0; more;) {
        more = slice_cut(left, '&', &part, &left);
        if (part.len > 0 && !slice_starts_with(part, SLICE("key=")) &&
            !slice_starts_with(part, SLICE("access_token="))) {
            buf_putc(&url, sign);
            buf_append(&url, part);
            sign = '&';
        }
    }
    const char *text = url.overflowed ? NULL : arena_cstr(p->arena, buf_slice(&url));
    buf_done(&url);
    return text;
}

// Reserves the most that this request can cost. 0, or the status to refuse it with.
static int reserve(Pass *p, const char **ret_why)
{
    Broker *b = p->b;
    Err e = {0};
    BrokerAsk ask = {0};
    if (!slice_eq(p->request->method, SLICE("POST"))) {
        return 0;
    }
    int rc = broker_read_ask(p->arena, p->request->body, b->o.web, &ask, &e);
    Slice model = ask.model.len > 0 ? ask.model : broker_path_model(p->request->path);
    p->price = rc == 0 ? llm_config_price(b->o.config, model) : NULL;
    if (rc == 0 && b->o.cost_nano_max > 0 && !p->price) {
        rc = err_set(&e, ERR_LIMIT,
                     "money is limited, and [llm.prices] has no price for the model '%.*s'",
                     SLICE_FMT(slice_sub(model, 0, 100)));
    }
    if (rc == 0) {
        LlmUsage most = {.input_tokens = ask.input_tokens, .output_tokens = ask.output_max};
        LlmSpend spend = {.tokens = ask.input_tokens + ask.output_max,
                          .cost_nano_usd = p->price ? llm_price_of(p->price, &most) : 0};
        rc = llm_budget_reserve(&b->budget, 1, spend, &e);
        p->reserved = rc == 0 ? spend : (LlmSpend){0};
    }
    if (rc == 0) {
        return 0;
    }
    b->stats.over_budget = b->stats.over_budget || rc == ERR_LIMIT;
    *ret_why = arena_cstr(p->arena, slice_from_cstr(e.text));
    return rc == ERR_PARSE ? 400 : 403;
}

// Counts what was used, by the provider's word or else by the bytes.
static void settle(Pass *p)
{
    Broker *b = p->b;
    BrokerUsage *u = &p->usage;
    LlmUsage usage = {
        .cached_tokens = u->cached,
        .input_tokens = u->input_excludes_cache ? u->input + u->cached + u->cache_write : u->input,
        .output_tokens = u->output};
    if (p->sent && !u->known && p->reserved.tokens > 0) {
        usage.input_tokens = (int64_t)(p->request->body.len / 4) + 1;
        usage.output_tokens = (int64_t)(p->bytes_out / 4);
        b->stats.estimated++;
    }
    LlmSpend spent = {.tokens = usage.input_tokens + usage.output_tokens,
                      .cost_nano_usd = p->price ? llm_price_of(p->price, &usage) : 0};
    llm_budget_settle(&b->budget, 1, p->reserved, spent);
    b->stats.input_tokens += usage.input_tokens;
    b->stats.output_tokens += usage.output_tokens;
    b->stats.cached_tokens += usage.cached_tokens;
    b->stats.cost_nano_usd += spent.cost_nano_usd;
    b->stats.bytes_out += p->bytes_out;
}

// An error's text may quote the key (or a part of the request): it is read whole and cleaned.
static int pass_error(Pass *p, LlmExchange *x, Slice first, int status)
{
    Buf body = buf_create(ERROR_BYTES_MAX);
    Buf clean = buf_create(4 * ERROR_BYTES_MAX);
    int rc = 0;
    for (Slice piece = first; rc == 0 && piece.len > 0;) {
        buf_append(&body, slice_sub(piece, 0, ERROR_BYTES_MAX - body.len));
        rc = llm_http_read(x, loop_clock(p->b->o.loop) + SILENCE_NS, &piece, NULL);
    }
    Slice left = buf_slice(&body), secret = p->b->secret;
    for (ptrdiff_t at; secret.len > 0 && (at = slice_find(left, secret)) >= 0;) {
        buf_append(&clean, slice_sub(left, 0, (size_t)at));
        buf_puts(&clean, "[hidden]");
        left = slice_sub(left, (size_t)at + secret.len, left.len);
    }
    buf_append(&clean, left);
    p->bytes_out = clean.len;
    http_reply_send(p->reply, status, SLICE("application/json"), buf_slice(&clean), NULL);
    buf_done(&clean);
    buf_done(&body);
    return rc;
}

static int copy_body(Pass *p, LlmExchange *x, Slice piece)
{
    int rc = 0;
    Slice type = llm_http_header(x, "content-type");
    Slice id = llm_http_header(x, "request-id");
    if (id.len > 0) {
        (void)!http_reply_header(p->reply, SLICE("request-id"), id, NULL);
    }
    rc = http_reply_begin(p->reply, llm_http_status(x), type, NULL);
    while (rc == 0 && piece.len > 0) {
        broker_usage_push(&p->usage, piece);
        p->bytes_out += piece.len;
        rc = http_reply_write(p->reply, piece, NULL);
        if (rc == 0) {
            rc = llm_http_read(x, loop_clock(p->b->o.loop) + SILENCE_NS, &piece, NULL);
        }
    }
    if (rc != 0) {
        http_reply_abort(p->reply); // half an answer must not look whole
        return rc;
    }
    return http_reply_end(p->reply, NULL);
}

static void exchange(Pass *p)
{
    Broker *b = p->b;
    Err e = {0};
    LlmHttpRequest out = {.method = slice_eq(p->request->method, SLICE("POST")) ? "POST" : "GET",
                          .url = url_of(p),
                          .body = p->request->body};
    if (!out.url) {
        refuse(b, p->request, p->reply, 403, "the query is too long");
        return;
    }
    add_headers(p, &out);
    LlmExchange *x = NULL;
    Slice first = {0};
    int64_t deadline_ns = loop_clock(b->o.loop) + SILENCE_NS;
    int rc = llm_http_begin(b->http, &out, deadline_ns, &x, &e);
    p->sent = rc == 0;
    b->stats.requests += p->sent;
    b->stats.bytes_in += p->request->body.len;
    if (rc == 0) {
        rc = llm_http_read(x, deadline_ns, &first, &e);
    }
    int status = rc == 0 ? llm_http_status(x) : 0;
    if (rc != 0) {
        refuse(b, p->request, p->reply, 502, e.text);
    } else if (status >= 300 && status < 400) {
        refuse(b, p->request, p->reply, 502, "the provider wants to send us to another place");
    } else if (status >= 400) {
        Slice after = llm_http_header(x, "retry-after");
        if (after.len > 0) {
            (void)!http_reply_header(p->reply, SLICE("retry-after"), after, NULL);
        }
        (void)pass_error(p, x, first, status);
    } else {
        (void)copy_body(p, x, first);
    }
    llm_http_end(x);
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    Broker *b = ctx;
    const char *why = NULL;
    Handling handling = {fiber_self(), b->handling};
    b->handling = &handling;
    Pass p = {.b = b, .request = request, .reply = reply, .arena = arena_create(SCRATCH_BYTES_MAX)};
    Slice host = http_head_get(request->head, SLICE("host"));
    int status = broker_check(b->provider->protocol, b->base_path, request->method, request->target,
                              host, &why);
    if (status == 0 && b->o.requests_max > 0 && (int64_t)b->stats.requests >= b->o.requests_max) {
        b->stats.over_budget = true;
        why = "the budget of requests is used up";
        status = 403;
    }
    if (status == 0) {
        status = reserve(&p, &why);
    }
    if (status != 0) {
        refuse(b, request, reply, status, why);
    } else {
        exchange(&p);
        settle(&p);
    }
    arena_destroy(p.arena);
    for (Handling **at = &b->handling; *at; at = &(*at)->next) {
        if (*at == &handling) {
            *at = handling.next;
            break;
        }
    }
}

// ---- life

static int bind_socket(const char *path, int *ret_fd, Err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof addr.sun_path) {
        return err_set(e, ERR_LIMIT, "%s: a socket's path has at most %zu bytes", path,
                       sizeof addr.sun_path - 1);
    }
    memcpy(addr.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot open a socket");
    }
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || chmod(path, 0600) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int reason = errno;
        (void)close(fd);
        return err_errno(e, ERR_IO, reason, "cannot listen on %s", path);
    }
    *ret_fd = fd;
    return 0;
}

static int open_upstream(Broker *b, Err *e)
{
    const LlmProvider *p = b->provider;
    Url url;
    int rc = url_parse(p->endpoint.base_url, &url, e);
    if (rc != 0) {
        (void)err_wrap(e, "[llm.%.*s] base_url", SLICE_FMT(p->name));
        return rc;
    }
    b->base_path = url.path;
    b->origin = slice_sub(p->endpoint.base_url, 0, p->endpoint.base_url.len - url.path.len);
    if (url.query.len > 0 || url.fragment.len > 0 || url.user_info.len > 0 ||
        !slice_ends_with(p->endpoint.base_url, url.path)) {
        return err_set(e, ERR_ARG, "[llm.%.*s] base_url: the broker takes a host and a path only",
                       SLICE_FMT(p->name));
    }
    rc = llm_config_secret(b->arena, p, b->o.get_env, &b->secret, e);
    if (rc == 0 && b->secret.len > 0) {
        b->auth_line = arena_printf(b->arena, "%s: %s%.*s", b->adapter->auth_header,
                                    b->adapter->auth_prefix, SLICE_FMT(b->secret))
                           .ptr;
        if (b->o.transcript && !transcript_hide(b->o.transcript, b->secret)) {
            return err_set(e, ERR_ARG, "[llm.%.*s]: the key is too short to be one",
                           SLICE_FMT(p->name));
        }
    }
    LlmHttpOptions options = {.loop = b->o.loop,
                              .host = url.host,
                              .max_connections = CONNECTIONS_MAX,
                              .tls = url.tls,
                              .connection_timeout_ns = p->connection_timeout_ns,
                              .ca_file =
                                  p->ca_file.len > 0 ? arena_cstr(b->arena, p->ca_file) : NULL};
    return rc != 0 ? rc : llm_http_create(&options, &b->http, e);
}

static int open_server(Broker *b, Err *e)
{
    int fd = -1;
    int rc = bind_socket(b->o.socket_path, &fd, e);
    if (rc != 0) {
        return rc;
    }
    b->bound = true;
    return http_server_open(&(HttpServerOptions){.loop = b->o.loop,
                                                 .pool = b->o.pool,
                                                 .listening_fd = fd,
                                                 .handler = handle,
                                                 .ctx = b,
                                                 .connections_max = CONNECTIONS_MAX,
                                                 .body_bytes_max = BROKER_BODY_BYTES_MAX},
                            &b->server, e);
}

int broker_open(const BrokerOptions *options, Broker **ret_broker, Err *e)
{
    Broker *b = mem_zalloc(sizeof *b);
    b->o = *options;
    b->provider = &options->config->providers[options->provider];
    b->adapter = llm_adapter(b->provider->protocol);
    b->arena = arena_create(1 << 20);
    b->budget = llm_budget_create("this run",
                                  &(LlmBudgetLimits){options->tokens_max, options->cost_nano_max});
    int rc = open_upstream(b, e);
    if (rc == 0) {
        rc = open_server(b, e);
    }
    if (rc != 0) {
        broker_close(b);
        return rc;
    }
    *ret_broker = b;
    return 0;
}

BrokerStats broker_stats(const Broker *broker)
{
    return broker->stats;
}

Slice broker_base_path(const Broker *broker)
{
    return broker->base_path;
}

// Waits also when the own fiber was cancelled: the connections' fibers use what goes away here.
static void wait_for_connections(Broker *b)
{
    bool cancelled = fiber_is_cancelled();
    fiber_clear_cancel();
    http_server_stop(b->server);
    for (Handling *h = b->handling; h; h = h->next) {
        fiber_cancel(h->fiber);
    }
    while (http_server_connections(b->server) > 0) {
        cancelled = fiber_sleep(POLL_NS) != 0 || cancelled;
        fiber_clear_cancel();
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
    }
}

void broker_close(Broker *b)
{
    if (!b) {
        return;
    }
    if (b->server) {
        wait_for_connections(b);
        http_server_destroy(b->server);
    }
    if (b->bound) {
        (void)unlink(b->o.socket_path);
    }
    llm_http_destroy(b->http);
    llm_budget_destroy(b->budget);
    arena_destroy(b->arena);
    free(b);
}
