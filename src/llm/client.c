#include "llm/client_impl.h"

#include <sys/random.h>

#include "llm/failure.h"
#include "net/url.h"

enum {
    REQUEST_BYTES_MAX = 64 << 20, // of a body with its images
    CANONICAL_BYTES_MAX = 64 << 20,
};

// ---- buffers

Work *llm_work_take(LlmClient *client)
{
    Work *work = client->idle;
    if (work) {
        client->idle = work->next;
        return work;
    }
    work = mem_zalloc(sizeof *work);
    work->url = buf_create(16 << 10);
    work->body = buf_create(REQUEST_BYTES_MAX);
    work->in = buf_create(LLM_HTTP_BODY_MAX);
    work->record = buf_create(LLM_HTTP_BODY_MAX);
    work->line = buf_create(16 << 10);
    work->scratch = arena_create(8UL * LLM_HTTP_BODY_MAX);
    work->reader = sse_reader(1);
    return work;
}

static void work_free(Work *work)
{
    buf_done(&work->url);
    buf_done(&work->body);
    buf_done(&work->in);
    buf_done(&work->record);
    buf_done(&work->line);
    arena_destroy(work->scratch);
    sse_reader_done(&work->reader);
    free(work);
}

void llm_work_give(LlmClient *client, Work *work)
{
    arena_reset(work->scratch);
    size_t kept = work->body.capacity + work->in.capacity + work->record.capacity;
    if (kept > 4 << 20) { // one huge call shall not stay in memory
        work_free(work);
        return;
    }
    work->next = client->idle;
    client->idle = work;
}

// ---- the cache's key

static void put(Buf *out, Slice s)
{
    uint64_t len = s.len;
    buf_append(out, (Slice){(const char *)&len, sizeof len});
    buf_append(out, s);
}

static void put_number(Buf *out, int64_t value)
{
    buf_append(out, (Slice){(const char *)&value, sizeof value});
}

static void put_messages(Buf *out, const LlmRequest *r)
{
    put_number(out, (int64_t)r->message_count);
    for (size_t i = 0; i < r->message_count; i++) {
        const LlmMessage *m = &r->messages[i];
        put_number(out, m->role);
        put_number(out, (int64_t)m->part_count);
        for (size_t j = 0; j < m->part_count; j++) {
            const LlmPart *p = &m->parts[j];
            const Slice texts[] = {p->text, p->media_type, p->data,      p->url,
                                   p->id,   p->name,       p->arguments, p->signature};
            put_number(out, p->kind * 2 + p->is_error);
            for (size_t k = 0; k < COUNT_OF(texts); k++) {
                put(out, texts[k]);
            }
        }
    }
}

// Everything that the answer depends on, each part with its length, so that no two requests are
// written alike. How it is delivered, and to whom, is not part of it.
static void canonical(Buf *out, const LlmRequest *r, const LlmChain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        put_number(out, (int64_t)chain->targets[i].provider);
        put(out, chain->targets[i].model);
    }
    put_messages(out, r);
    put_number(out, (int64_t)r->tool_count);
    for (size_t i = 0; i < r->tool_count; i++) {
        put(out, r->tools[i].name);
        put(out, r->tools[i].description);
        put(out, r->tools[i].schema);
        put_number(out, r->tools[i].strict);
    }
    put_number(out, r->tool_choice * 2 + r->no_parallel_tools);
    put(out, r->tool_name);
    put_number(out, r->output);
    put(out, r->schema);
    put(out, r->schema_name);
    put_number(out, r->max_output_tokens);
    put_number(out, (int64_t)r->stop_count);
    for (size_t i = 0; i < r->stop_count; i++) {
        put(out, r->stop[i]);
    }
    put_number(out, r->has_temperature + 2 * r->has_top_p + 4 * r->has_seed);
    double numbers[2] = {r->has_temperature ? r->temperature : 0, r->has_top_p ? r->top_p : 0};
    buf_append(out, (Slice){(const char *)numbers, sizeof numbers});
    put_number(out, r->has_seed ? r->seed : 0);
    put(out, r->reasoning_effort);
}

// Folded 128-bit products of keyed words, as in wyhash: an order of magnitude faster than SipHash.
// The length is part of the text that is hashed, so the last word may be padded with zeroes.
static uint64_t fold_hash(Slice s, uint64_t k0, uint64_t k1)
{
    uint64_t hash = k0;
    for (size_t at = 0; at < s.len; at += 16) {
        uint64_t words[2] = {0};
        memcpy(words, s.ptr + at, s.len - at < 16 ? s.len - at : 16);
        unsigned __int128 product =
            (unsigned __int128)(words[0] ^ hash ^ k1) * (words[1] ^ k0 ^ (hash >> 32));
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ (hash << 1 | hash >> 63);
    }
    return hash;
}

static PolicyKey key_of(LlmClient *client, const LlmRequest *request, const LlmChain *chain)
{
    Buf *out = &client->canonical;
    buf_reset(out);
    canonical(out, request, chain);
    if (out->overflowed) {
        return (PolicyKey){0};
    }
    // SipHash keeps anybody outside from aiming at another's answer; the second hash, with keys of
    // its own, makes chance collisions a matter of 128 bits.
    Slice s = buf_slice(out);
    PolicyKey key = {map_siphash(s, client->key[0], client->key[1]),
                     fold_hash(s, client->key[2], client->key[3])};
    key.low |= !policy_key_is_set(key);
    return key;
}

static int64_t ttl_of(const LlmConfig *config, LlmKind kind)
{
    switch (kind) {
    case LLM_FACTUAL: return config->cache.factual_ttl_ns;
    case LLM_CREATIVE: return config->cache.creative_ttl_ns;
    case LLM_OTHER: break;
    }
    return config->cache.other_ttl_ns;
}

static Op *op_of(const LlmDrive *drive)
{
    return drive->owner;
}

static void store(void *ctx, LlmDrive *drive, int32_t slot)
{
    LlmClient *client = ctx;
    llm_response_done(&client->cached[slot]);
    llm_response_share(op_of(drive)->response, &client->cached[slot]);
}

static void drop(void *ctx, int32_t slot)
{
    LlmClient *client = ctx;
    llm_response_done(&client->cached[slot]);
}

static void take(void *ctx, LlmDrive *drive, int32_t slot, LlmDrive *leader)
{
    LlmClient *client = ctx;
    Op *op = op_of(drive);
    LlmResponse *from = slot != CACHE_NONE ? &client->cached[slot]
                        : leader           ? op_of(leader)->response
                                           : NULL;
    if (from) {
        llm_response_done(op->response);
        llm_response_share(from, op->response);
        op->response->attempts = 0;
        op->response->first_content_ns = 0;
        op->response->usage.cost_nano_usd = 0; // nothing was spent
    }
    client->stats.cache_shared += leader != NULL;
    client->stats.cache_hits += leader == NULL;
    op->response->from_cache = true;
}

// Answers of the cache are streamed too, a part at a time.
static int replay(Op *op)
{
    const LlmResponse *r = op->response;
    for (size_t i = 0; op->request->chunk_fn && i < r->part_count; i++) {
        const LlmPart *part = &r->parts[i];
        LlmChunk chunk = {.kind = part->kind == LLM_PART_TEXT       ? LLM_CHUNK_TEXT
                                  : part->kind == LLM_PART_THINKING ? LLM_CHUNK_THINKING
                                                                    : LLM_CHUNK_TOOL_CALL,
                          .text = part->text,
                          .call = part->kind == LLM_PART_TOOL_CALL ? part : NULL};
        int rc = op->request->chunk_fn(op->request->chunk_ctx, &chunk);
        if (rc != 0) {
            op->response->failure.kind = LLM_FAIL_CANCELLED;
            return err_set(&op->err, (ErrCode)rc, "the receiver of the answer gave up");
        }
    }
    return 0;
}

// ---- chat

static CallOutcome outcome_of(int rc, const LlmFailure *failure)
{
    if (rc == 0) {
        return CALL_SUCCESS;
    }
    return failure->kind == LLM_FAIL_REQUEST ? CALL_CALLER_FAULT : CALL_FATAL;
}

static size_t bytes_of(const LlmResponse *r)
{
    return sizeof *r + (r->arena ? arena_used(r->arena) : 0);
}

static int through_cache(Op *op, PolicyKey key)
{
    LlmClient *client = op->client;
    LlmDrive drive = {.owner = op};
    int rc = 0;
    llm_drive_start(&drive, client->front, client->o.loop, &client->hooks,
                    &(CallOptions){.key = key,
                                   .task = ++client->task,
                                   .ttl_ns = ttl_of(client->config, op->request->kind),
                                   .deadline_ns = op->request->deadline_ns});
    while (llm_drive_wait(&drive)) {
        client->stats.cache_misses++;
        rc = llm_call_chain(op);
        if (op->response->failure.kind == LLM_FAIL_CANCELLED ||
            op->response->failure.kind == LLM_FAIL_BUDGET) {
            llm_drive_cancel(&drive); // this caller's own matter: an equal call goes on by itself
            return rc;
        }
        llm_drive_done(&drive, &(CallEvent){.outcome = outcome_of(rc, &op->response->failure),
                                            .code = rc,
                                            .bytes = bytes_of(op->response)});
    }
    if (rc != 0 || drive.end.code == 0) {
        return rc == 0 && op->response->from_cache ? replay(op) : rc;
    }
    op->response->failure.kind = drive.end.reason == CALL_CANCELLED  ? LLM_FAIL_CANCELLED
                                 : drive.end.reason == CALL_DEADLINE ? LLM_FAIL_TIMEOUT
                                                                     : LLM_FAIL_SERVER;
    return err_set(&op->err, (ErrCode)drive.end.code, "%s", call_reason_text(drive.end.reason));
}

static void begin_op(Op *op, LlmClient *client, const LlmRequest *request, LlmResponse *response)
{
    *op = (Op){.client = client,
               .request = request,
               .response = response,
               .start_ns = loop_clock(client->o.loop)};
    memcpy(op->budgets, request->budgets, sizeof request->budgets);
    op->budgets[LLM_BUDGETS_MAX] = client->budget;
    *response = (LlmResponse){.failure = {.retry_after_ns = -1, .should_retry = -1}};
}

int llm_chat(LlmClient *client, const LlmRequest *request, LlmResponse *response, Err *e)
{
    Op op;
    begin_op(&op, client, request, response);
    client->stats.calls++;
    int rc = llm_config_chain(client->config, request->role, request->provider, request->model,
                              &op.chain, e);
    if (rc != 0) {
        client->stats.failures++;
        response->failure.kind = LLM_FAIL_REQUEST;
        return rc;
    }
    PolicyKey key = {0};
    if (client->front && request->cache != LLM_CACHE_BYPASS) {
        key = key_of(client, request, &op.chain);
    }
    if (request->cache == LLM_CACHE_RENEW && client->front) {
        (void)cache_invalidate(&client->front->cache, policy_cache(client->front), key);
    }
    rc = client->front && policy_key_is_set(key) ? through_cache(&op, key) : llm_call_chain(&op);
    response->duration_ns = loop_clock(client->o.loop) - op.start_ns;
    if (rc != 0) {
        client->stats.failures++;
        if (e) {
            *e = op.err;
        }
    }
    llm_call_observe(&op, rc);
    return rc;
}

// ---- making a client

static int allow(void *ctx, Slice host, const struct sockaddr *address, Err *e)
{
    return guard_check_address(ctx, host, address, e);
}

// The hosts of the configuration, and only those, may be connected to.
static int make_guard(LlmClient *client, Err *e)
{
    int rc = guard_create(NULL, &client->guard, e);
    if (rc != 0) {
        return rc;
    }
    size_t count = client->config->provider_count;
    Slice *hosts = ARENA_ARRAY(client->arena, Slice, count + 1);
    for (size_t i = 0; i < count; i++) {
        hosts[i] = client->providers[i].host;
    }
    GuardEnvironment environment = {.name = SLICE("LLM providers"),
                                    .kind = SLICE("test"),
                                    .hosts = hosts,
                                    .host_count = count,
                                    .data_isolated = true,
                                    .origin = SLICE("[llm]")};
    GuardRun run = {
        .caller = GUARD_CALLER_AGENT, .environment = &environment, .vus = 1, .duration_ns = 1};
    guard_enter(client->guard, &run);
    return 0;
}

static int set_secret(LlmClient *client, Provider *p, Err *e)
{
    Slice secret;
    LlmCassette *cassette = client->o.cassette;
    if (cassette && llm_cassette_mode(cassette) == LLM_CASSETTE_REPLAY) {
        return 0; // nothing is sent, so nobody needs a key
    }
    int rc = llm_config_secret(client->arena, p->config, client->o.get_env, &secret, e);
    if (rc != 0 || secret.len == 0) {
        return rc;
    }
    Slice line = arena_printf(client->arena, "%s: %s%.*s", p->adapter->auth_header,
                              p->adapter->auth_prefix, SLICE_FMT(secret));
    size_t size = line.len + 1;
    p->auth_line = mem_alloc(size);
    memcpy(p->auth_line, line.ptr, size);
    p->secret = (Slice){p->auth_line + line.len - secret.len, secret.len};
    return 0;
}

static void set_policies(LlmClient *client, Provider *p)
{
    const LlmProvider *c = p->config;
    ParamValue v[POLICY_PARAM_COUNT];
    policy_defaults(v);
    v[P_RETRY_ATTEMPTS].integer = c->retry_max_attempts;
    v[P_RETRY_BACKOFF].integer = c->retry_initial_interval_ns;
    v[P_RETRY_MAX_BACKOFF].integer = c->retry_max_interval_ns;
    if (v[P_RETRY_MAX_BACKOFF].integer < v[P_RETRY_BACKOFF].integer) {
        v[P_RETRY_MAX_BACKOFF].integer = v[P_RETRY_BACKOFF].integer;
    }
    v[P_RETRY_JITTER].integer = JITTER_EQUAL;
    v[P_RETRY_BUDGET].real = c->retry_budget;
    v[P_BREAKER_CONSECUTIVE].integer = c->breaker_failures;
    v[P_BREAKER_OPEN_FOR].integer = c->breaker_open_ns;
    v[P_BREAKER_PROBES].integer = 1;
    v[P_BREAKER_SUCCESSES].integer = 1;
    // A provider that says when to come back holds back every call to it, for so long at most.
    v[P_RATE_HOLD_ON_THROTTLE].boolean = true;
    v[P_RATE_MAX_WAIT].integer = v[P_RETRY_RETRY_AFTER_MAX].integer;
    if (c->max_concurrent > 0) {
        v[P_LIMIT_KIND].integer = LIMIT_FIXED;
        v[P_LIMIT_VALUE].integer = c->max_concurrent;
        v[P_QUEUE_LIMIT].integer = 10000;
    }
    PolicyShape shape = policy_shape(v);
    p->block = mem_zalloc(policy_bytes(&shape));
    policy_init(p->block, &shape, v, client->o.seed + (uint64_t)(p - client->providers),
                loop_clock(client->o.loop));
}

static int open_provider(LlmClient *client, Provider *p, Err *e)
{
    const LlmProvider *c = p->config;
    const LlmConfig *config = client->config;
    LlmHttpOptions options = {
        .loop = client->o.loop,
        .host = p->host,
        .max_connections = c->max_connections > 0 ? c->max_connections : config->pool_size,
        .min_connections = client->o.cassette ? 0 : c->min_connections,
        .warm_url = arena_cstr(client->arena, c->endpoint.base_url),
        .connection_timeout_ns = c->connection_timeout_ns,
        .idle_timeout_ns = c->idle_timeout_ns,
        .max_connection_lifetime_ns = c->max_connection_lifetime_ns,
        .tls = slice_starts_with(c->endpoint.base_url, SLICE("https:")),
        .no_reuse = config->no_pooling,
        .ca_file = c->ca_file.len > 0 ? arena_cstr(client->arena, c->ca_file) : NULL,
        .allow = allow,
        .allow_ctx = client->guard,
    };
    set_policies(client, p);
    int rc = set_secret(client, p, e);
    return rc != 0 ? rc : llm_http_create(&options, &p->http, e);
}

static int open_providers(LlmClient *client, Err *e)
{
    size_t count = client->config->provider_count;
    client->providers = ARENA_ARRAY(client->arena, Provider, count + 1);
    for (size_t i = 0; i < count; i++) {
        Provider *p = &client->providers[i];
        p->config = &client->config->providers[i];
        p->adapter = llm_adapter(p->config->protocol);
        Url url;
        int rc = url_parse(p->config->endpoint.base_url, &url, e);
        if (rc != 0) {
            (void)err_wrap(e, "[llm.%.*s] base_url", SLICE_FMT(p->config->name));
            return rc;
        }
        p->host = url.host;
        p->port = url.port;
    }
    int rc = make_guard(client, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = open_provider(client, &client->providers[i], e);
    }
    return rc;
}

static void open_cache(LlmClient *client)
{
    const LlmCacheConfig *c = &client->config->cache;
    if (!c->enabled) {
        return;
    }
    ParamValue v[POLICY_PARAM_COUNT];
    policy_defaults(v);
    v[P_CACHE_TTL].integer = c->other_ttl_ns;
    v[P_CACHE_MAX_ENTRIES].integer = c->max_entries;
    v[P_CACHE_MAX_BYTES].integer = c->max_bytes;
    v[P_CACHE_SINGLE_FLIGHT].boolean = true;
    PolicyShape shape = policy_shape(v);
    client->front = mem_zalloc(policy_bytes(&shape));
    policy_init(client->front, &shape, v, client->o.seed, loop_clock(client->o.loop));
    client->cached = mem_zalloc(shape.cache * sizeof *client->cached);
    client->hooks = (LlmDriveHooks){.store = store, .drop = drop, .take = take, .ctx = client};
    if (getrandom(client->key, sizeof client->key, 0) != (ssize_t)sizeof client->key) {
        die("the system gives no random numbers");
    }
}

int llm_client_create(const LlmClientOptions *options, LlmClient **ret_client, Err *e)
{
    LlmClient *client = mem_zalloc(sizeof *client);
    client->o = *options;
    client->config = options->config;
    client->arena = arena_create(64 << 20);
    client->canonical = buf_create(CANONICAL_BYTES_MAX);
    open_cache(client);
    if (client->config->budget_tokens > 0 || client->config->budget_cost_nano > 0) {
        client->budget = llm_budget_create(
            "[llm.budget]", &(LlmBudgetLimits){.tokens = client->config->budget_tokens,
                                               .cost_nano_usd = client->config->budget_cost_nano});
    }
    int rc = open_providers(client, e);
    if (rc != 0) {
        llm_client_destroy(client);
        return rc;
    }
    *ret_client = client;
    return 0;
}

void llm_client_cache_clear(LlmClient *client)
{
    if (!client->front) {
        return;
    }
    cache_clear(&client->front->cache, policy_cache(client->front));
    CallWork work;
    while (policy_next_work(client->front, loop_clock(client->o.loop), &work)) {
        if (work.slot != CACHE_NONE) {
            drop(client, work.slot);
        }
    }
}

void llm_client_destroy(LlmClient *client)
{
    if (!client) {
        return;
    }
    for (size_t i = 0; client->providers && i < client->config->provider_count; i++) {
        Provider *p = &client->providers[i];
        llm_http_destroy(p->http);
        free(p->block);
        if (p->auth_line) {
            explicit_bzero(p->auth_line, strlen(p->auth_line));
            free(p->auth_line);
        }
    }
    for (uint32_t i = 0; client->front && i < client->front->shape.cache; i++) {
        llm_response_done(&client->cached[i]);
    }
    while (client->idle) {
        Work *work = client->idle;
        client->idle = work->next;
        work_free(work);
    }
    free(client->front);
    free(client->cached);
    buf_done(&client->canonical);
    llm_budget_destroy(client->budget);
    guard_destroy(client->guard);
    arena_destroy(client->arena);
    free(client);
}

LlmClientStats llm_client_stats(const LlmClient *client)
{
    LlmClientStats stats = client->stats;
    for (size_t i = 0; i < client->config->provider_count; i++) {
        stats.connections_opened += llm_http_connections_opened(client->providers[i].http);
    }
    if (client->front) {
        stats.cache_entries = client->front->cache.count;
        stats.cache_bytes = client->front->cache.bytes;
    }
    return stats;
}
