#include "llm/fake_shard.h"

#include <errno.h>

enum {
    WORK_BYTES_MAX = 64 << 20, // of an answer
    KEPT_BYTES = 256 << 10,    // larger buffers are not kept for the next request
    ARENA_BYTES_MAX = 64 << 20,
    RECORD_BODY_MAX = 64 << 10,
    DRAIN_MS = 200,
    DEFAULT_REQUESTS_LIMIT = 10000, // in headers, where no limit is set
    DEFAULT_TOKENS_LIMIT = 2000000,
};

// ---- work

FakeWork *fake_work_lend(FakeShard *shard)
{
    FakeWork *w = shard->free_work;
    if (w) {
        shard->free_work = w->next;
    } else {
        w = mem_zalloc(sizeof *w);
        w->shard = shard;
        w->out = buf_create(WORK_BYTES_MAX);
        w->made = buf_create(WORK_BYTES_MAX);
    }
    w->id = (++shard->next_id << 8) | (shard->index & 0xFF);
    w->created_s = clock_wall(loop_clock_source(shard->loop)) / NS_PER_S;
    w->reply = NULL;
    w->status = 0;
    w->counted = false;
    w->fault = FAKE_NO_FAULT;
    w->request.stream = false;
    w->answer.tokens_in = w->answer.tokens_out = 0;
    w->answer.call_count = 0;
    return w;
}

static void trim(Buf *b)
{
    if (b->capacity > KEPT_BYTES) {
        size_t max = b->max;
        buf_done(b);
        *b = buf_create(max);
    }
}

void fake_work_give_back(FakeWork *w)
{
    trim(&w->out);
    trim(&w->made);
    w->next = w->shard->free_work;
    w->shard->free_work = w;
}

// ---- limits

// Fills the bucket by what time brought.
static void refill(FakeBucket *b, int64_t limit, int64_t now_ns)
{
    if (b->limit != limit) { // new, or changed while running: full
        *b = (FakeBucket){.left = (double)limit, .at_ns = now_ns, .limit = limit};
    }
    b->left += (double)(now_ns - b->at_ns) * (double)limit / (60.0 * NS_PER_S);
    b->left = b->left > (double)limit ? (double)limit : b->left;
    b->at_ns = now_ns;
}

static int64_t wait_for(const FakeBucket *b, double need)
{
    double missing = need - b->left;
    return missing <= 0 || b->limit == 0 ? 0
                                         : (int64_t)(missing * 60.0 * NS_PER_S / (double)b->limit);
}

static int64_t share(int64_t limit, const FakeShard *s)
{
    int64_t shards = (int64_t)s->llm->shard_count;
    return limit == 0 ? 0 : limit < shards ? 1 : limit / shards;
}

bool fake_shard_admit(FakeShard *s, const FakeSettings *settings, int64_t tokens,
                      int64_t *ret_wait_ns)
{
    if (settings->requests_per_minute == 0 && settings->tokens_per_minute == 0) {
        return true;
    }
    int64_t now_ns = loop_clock(s->loop);
    refill(&s->requests, share(settings->requests_per_minute, s), now_ns);
    refill(&s->tokens, share(settings->tokens_per_minute, s), now_ns);
    int64_t wait_ns = 0;
    if (s->requests.limit > 0) {
        wait_ns = wait_for(&s->requests, 1);
    }
    if (s->tokens.limit > 0) {
        // A request larger than the whole bucket passes when it is full.
        double need = (double)(tokens < s->tokens.limit ? tokens : s->tokens.limit);
        int64_t more_ns = wait_for(&s->tokens, need);
        wait_ns = more_ns > wait_ns ? more_ns : wait_ns;
    }
    if (wait_ns > 0) {
        *ret_wait_ns = wait_ns;
        return false;
    }
    s->requests.left -= 1;
    return true;
}

void fake_shard_charge(FakeShard *s, const FakeSettings *settings, int64_t tokens)
{
    if (settings->tokens_per_minute > 0) {
        s->tokens.left -= (double)tokens;
    }
}

static int64_t whole_left(const FakeBucket *b)
{
    return b->left > 0 ? (int64_t)b->left : 0;
}

const FakeLimits *fake_shard_limits(FakeShard *s)
{
    FakeLimits *l = &s->limits;
    int64_t wall_s = clock_wall(loop_clock_source(s->loop)) / NS_PER_S;
    if (wall_s != s->limits_at_s) { // the text changes once a second
        s->limits_at_s = wall_s;
        clock_print_rfc3339((wall_s + 1) * NS_PER_S, l->reset_at);
        memcpy(l->reset_at + 19, "Z", 2); // whole seconds are what providers send
    }
    bool requests = s->requests.limit > 0;
    bool tokens = s->tokens.limit > 0;
    l->requests_limit = requests ? s->requests.limit : DEFAULT_REQUESTS_LIMIT;
    l->requests_left = requests ? whole_left(&s->requests) : DEFAULT_REQUESTS_LIMIT - 1;
    l->tokens_limit = tokens ? s->tokens.limit : DEFAULT_TOKENS_LIMIT;
    l->tokens_left = tokens ? whole_left(&s->tokens) : DEFAULT_TOKENS_LIMIT - 1;
    int64_t wait_ns = requests ? wait_for(&s->requests, (double)s->requests.limit) : 6 * NS_PER_MS;
    (void)snprintf(l->reset, sizeof l->reset, "%lldms", (long long)(wait_ns / NS_PER_MS));
    return l;
}

// ---- requests

static bool shows_key(const HttpServerRequest *http, Slice key)
{
    static const Slice names[] = {SLICE_INIT("x-api-key"), SLICE_INIT("api-key"),
                                  SLICE_INIT("x-goog-api-key")};
    Slice bearer = http_head_get(http->head, SLICE("authorization"));
    if (slice_starts_with(bearer, SLICE("Bearer ")) &&
        slice_eq(slice_sub(bearer, 7, bearer.len), key)) {
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq(http_head_get(http->head, names[i]), key)) {
            return true;
        }
    }
    return slice_starts_with(http->query, SLICE("key=")) &&
           slice_starts_with(slice_sub(http->query, 4, http->query.len), key);
}

// One line a request. The file is written while the loop waits, so recording is for tests.
static void record(FakeWork *w)
{
    FakeLlm *llm = w->shard->llm;
    char at[CLOCK_RFC3339_MAX];
    clock_print_rfc3339(clock_wall(loop_clock_source(w->shard->loop)), at);
    buf_reset(&w->made);
    JsonWriter j = json_writer(&w->made, 0);
    json_object_begin(&j);
    json_field_cstr(&j, "at", at);
    json_field_string(&j, "provider", fake_provider_name(w->route.provider));
    json_field_string(&j, "method", w->http->method);
    json_field_string(&j, "target", w->http->target);
    json_field_string(&j, "body", slice_sub(w->body, 0, RECORD_BODY_MAX));
    json_field_bool(&j, "cut", w->body.len > RECORD_BODY_MAX);
    json_field_int(&j, "status", w->status);
    json_field_cstr(&j, "fault", w->fault == FAKE_NO_FAULT ? NULL : fake_fault_name(w->fault));
    json_object_end(&j);
    buf_putc(&w->made, '\n');
    (void)pthread_mutex_lock(&llm->lock);
    (void)fwrite(w->made.data, 1, w->made.len, llm->record);
    (void)fflush(llm->record);
    (void)pthread_mutex_unlock(&llm->lock);
}

void fake_count(FakeWork *w)
{
    FakeShard *s = w->shard;
    if (w->counted) {
        return;
    }
    w->counted = true;
    size_t hundred = w->status / 100 < 6 ? (size_t)w->status / 100 : 0;
    (void)pthread_mutex_lock(&s->lock);
    FakeCounts *c = &s->counts;
    c->requests[w->route.provider]++;
    c->statuses[hundred]++;
    if (w->fault != FAKE_NO_FAULT) {
        c->faults[w->fault]++;
    }
    c->streams += w->request.stream && w->status == 200;
    c->tool_calls += w->answer.call_count;
    c->tokens_in += (uint64_t)w->answer.tokens_in;
    c->tokens_out += (uint64_t)w->answer.tokens_out;
    (void)pthread_mutex_unlock(&s->lock);
}

static void answer(FakeWork *w)
{
    const FakeLlm *llm = w->shard->llm;
    bool known = fake_route_find(w->http, &w->route);
    bool open = w->route.operation == fake_show_health || w->route.operation == fake_show_metrics;
    if (!known) {
        FakeFailure f = fake_failure(404, "There is no such path or method here.");
        fake_send_failure(w, &f);
    } else if (llm->options.api_key.len > 0 && !open && !shows_key(w->http, llm->options.api_key)) {
        FakeFailure f = fake_failure(401, NULL);
        fake_send_failure(w, &f);
    } else {
        w->route.operation(w);
    }
}

static void handle(void *ctx, const HttpServerRequest *http, HttpReply *reply)
{
    FakeShard *s = ctx;
    FakeWork *w = fake_work_lend(s);
    w->http = http;
    w->reply = reply;
    w->body = http->body;
    (void)pthread_mutex_lock(&s->lock);
    w->settings = s->settings;
    (void)pthread_mutex_unlock(&s->lock);
    answer(w);
    if (s->llm->record) {
        record(w);
    }
    fake_count(w);
    fake_work_give_back(w);
}

// ---- shards

static void shard_done(FakeShard *s)
{
    bool own_loop = !s->llm->options.loop;
    http_server_destroy(s->server);
    tls_server_destroy(s->tls);
    while (s->free_work) {
        FakeWork *w = s->free_work;
        s->free_work = w->next;
        buf_done(&w->out);
        buf_done(&w->made);
        free(w->json_memory);
        free(w);
    }
    if (own_loop) {
        fiber_pool_destroy(s->pool);
        loop_destroy(s->loop);
    }
    (void)pthread_mutex_destroy(&s->lock);
}

static void drain(FakeShard *s)
{
    if (s->server) {
        (void)http_server_drain(s->server, loop_clock(s->loop) + DRAIN_MS * NS_PER_MS);
    }
}

static void run_shard(void *arg)
{
    FakeShard *s = arg;
    loop_run(s->loop);
    drain(s);
}

static int open_tls(FakeShard *s, Err *e)
{
    const FakeLlmOptions *o = &s->llm->options;
    if (o->tls_cert.len == 0) {
        return 0;
    }
    int rc = tls_server_create(
        &(TlsServerOptions){.cert = {.text = o->tls_cert}, .key = {.text = o->tls_key}}, &s->tls,
        e);
    if (rc == 0) {
        s->acceptor = tls_server_acceptor(s->tls);
    }
    return rc;
}

static int open_shard(FakeLlm *llm, size_t index, Err *e)
{
    FakeShard *s = &llm->shards[index];
    s->llm = llm;
    s->index = index;
    s->settings = llm->script->settings;
    s->rng = rng_stream(llm->script->seed, SLICE("fake-llm"), index);
    s->limits_at_s = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    s->loop = llm->options.loop;
    s->pool = llm->options.pool;
    int rc = 0;
    if (!s->loop) {
        if ((rc = loop_create(&(LoopOptions){0}, &s->loop, e)) != 0) {
            return rc;
        }
        s->pool = fiber_pool_create(s->loop, NULL);
    }
    if ((rc = open_tls(s, e)) != 0) {
        return rc;
    }
    HttpServerOptions options = {.loop = s->loop,
                                 .pool = s->pool,
                                 .addr = llm->addr,
                                 .reuse_port = llm->shard_count > 1,
                                 .tls = s->tls ? &s->acceptor : NULL,
                                 .handler = handle,
                                 .ctx = s,
                                 .connections_max = FAKE_CONNECTIONS_MAX,
                                 .body_bytes_max = FAKE_BODY_BYTES_MAX};
    if ((rc = http_server_open(&options, &s->server, e)) == 0) {
        llm->addr = http_server_addr(s->server); // the others join the port it got
    }
    return rc;
}

// ---- life

static void destroy(FakeLlm *llm)
{
    for (size_t i = 0; i < llm->shard_count; i++) {
        if (llm->shards[i].llm) {
            shard_done(&llm->shards[i]);
        }
    }
    if (llm->record) {
        (void)fclose(llm->record);
    }
    fake_store_destroy(llm->store);
    fake_corpus_destroy(llm->corpus);
    arena_destroy(llm->arena);
    (void)pthread_mutex_destroy(&llm->lock);
    free(llm->rule_left);
    free(llm->shards);
    free(llm);
}

static int open_record(FakeLlm *llm, Err *e)
{
    const char *path = llm->options.record_path;
    if (path && !(llm->record = fopen(path, "ae"))) {
        return err_errno(e, ERR_IO, errno, "cannot record to %s", path);
    }
    return 0;
}

static FakeLlm *create(const FakeLlmOptions *options)
{
    FakeLlm *llm = mem_zalloc(sizeof *llm);
    llm->options = *options;
    llm->arena = arena_create(ARENA_BYTES_MAX);
    (void)pthread_mutex_init(&llm->lock, NULL);
    llm->script = options->script ? options->script : fake_script_default(llm->arena);
    llm->corpus = fake_corpus_create(llm->script->seed);
    llm->store = fake_store_create();
    llm->rule_left = mem_zalloc((llm->script->rule_count + 1) * sizeof *llm->rule_left);
    for (size_t i = 0; i < llm->script->rule_count; i++) {
        llm->rule_left[i] = llm->script->rules[i].times;
    }
    llm->addr = options->addr;
    llm->shard_count = options->loop || options->threads < 1 ? 1 : (size_t)options->threads;
    llm->shards = mem_zalloc(llm->shard_count * sizeof *llm->shards);
    return llm;
}

int fake_llm_start(const FakeLlmOptions *options, FakeLlm **ret_fake, Err *e)
{
    if (options->threads > FAKE_THREADS_MAX) {
        return err_set(e, ERR_LIMIT, "at most %d threads", FAKE_THREADS_MAX);
    }
    FakeLlm *llm = create(options);
    int rc = open_record(llm, e);
    for (size_t i = 0; rc == 0 && i < llm->shard_count; i++) {
        rc = open_shard(llm, i, e);
    }
    for (size_t i = 0; rc == 0 && !options->loop && i < llm->shard_count; i++) {
        FakeShard *s = &llm->shards[i];
        rc = thread_start("fake-llm", THREAD_ANY_CPU, run_shard, s, &s->thread, e);
    }
    if (rc != 0) {
        fake_llm_stop(llm);
        return rc;
    }
    *ret_fake = llm;
    return 0;
}

NetAddr fake_llm_addr(const FakeLlm *llm)
{
    return llm->addr;
}

void fake_llm_stop(FakeLlm *llm)
{
    if (!llm) {
        return;
    }
    for (size_t i = 0; i < llm->shard_count; i++) {
        FakeShard *s = &llm->shards[i];
        if (s->thread) {
            loop_stop(s->loop);
            thread_join(s->thread);
        } else if (s->llm) {
            drain(s);
        }
    }
    destroy(llm);
}

// ---- counts and settings

FakeCounts fake_llm_counts(FakeLlm *llm)
{
    FakeCounts sum = {0};
    // A struct of nothing but counters: added up as an array.
    uint64_t *to = (uint64_t *)&sum;
    for (size_t i = 0; i < llm->shard_count; i++) {
        FakeShard *s = &llm->shards[i];
        (void)pthread_mutex_lock(&s->lock);
        FakeCounts counts = s->counts;
        (void)pthread_mutex_unlock(&s->lock);
        const uint64_t *from = (const uint64_t *)&counts;
        for (size_t k = 0; k < sizeof counts / sizeof *from; k++) {
            to[k] += from[k];
        }
    }
    return sum;
}

uint64_t fake_counts_requests(const FakeCounts *counts)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(counts->requests); i++) {
        sum += counts->requests[i];
    }
    return sum;
}

void fake_llm_change(FakeLlm *llm, const FakeSettings *settings)
{
    for (size_t i = 0; i < llm->shard_count; i++) {
        FakeShard *s = &llm->shards[i];
        (void)pthread_mutex_lock(&s->lock);
        s->settings = *settings;
        (void)pthread_mutex_unlock(&s->lock);
    }
}

FakeSettings fake_llm_settings(FakeLlm *llm)
{
    FakeShard *s = &llm->shards[0];
    (void)pthread_mutex_lock(&s->lock);
    FakeSettings settings = s->settings;
    (void)pthread_mutex_unlock(&s->lock);
    return settings;
}
