// From a request for text to an answer: rules, limits, faults, and how fast it is said.
#include "llm/fake_shard.h"

enum {
    JSON_POOL_MAX = 1 << 20, // a larger body is read into memory of its own
    FLUSH_BYTES = 32 << 10,
    STALL_LOOK_MS = 100, // how often a stalled answer looks whether anybody waits for it
};

// ---- the body

// yyjson asks for one block and takes all from it; the block stays with the work.
static JsonDoc *read_pooled(FakeWork *w, size_t need)
{
    if (w->json_bytes < need) {
        free(w->json_memory);
        w->json_bytes = need < 16 << 10 ? 16 << 10 : need;
        w->json_memory = mem_alloc(w->json_bytes);
    }
    yyjson_alc pool;
    if (!yyjson_alc_pool_init(&pool, w->json_memory, w->json_bytes)) {
        return NULL;
    }
    // Without YYJSON_READ_INSITU the text is not written to.
    return yyjson_read_opts((char *)(uintptr_t)w->body.ptr, w->body.len, 0, &pool, NULL);
}

bool fake_parse_body(FakeWork *w)
{
    size_t need = yyjson_read_max_memory_usage(w->body.len, 0) + 64;
    w->doc =
        need <= JSON_POOL_MAX ? read_pooled(w, need) : yyjson_read(w->body.ptr, w->body.len, 0);
    if (w->body.len == 0 || !w->doc) {
        FakeFailure f = fake_failure(
            400, "We could not parse the JSON body of your request. The body must be valid JSON.");
        fake_send_failure(w, &f);
        return false;
    }
    return true;
}

void fake_forget_body(FakeWork *w)
{
    const char *at = (const char *)w->doc;
    bool pooled = at >= w->json_memory && at < w->json_memory + w->json_bytes;
    yyjson_doc_free(pooled ? NULL : w->doc);
    w->doc = NULL;
}

// ---- rules, limits, faults

static bool take_rule(FakeLlm *llm, size_t index)
{
    if (llm->script->rules[index].times < 0) {
        return true;
    }
    (void)pthread_mutex_lock(&llm->lock);
    bool left = llm->rule_left[index] > 0;
    llm->rule_left[index] -= left;
    (void)pthread_mutex_unlock(&llm->lock);
    return left;
}

static const FakeRule *find_rule(const FakeWork *w)
{
    FakeLlm *llm = w->shard->llm;
    Slice provider = fake_provider_name(w->route.provider);
    for (size_t i = 0; i < llm->script->rule_count; i++) {
        const FakeRule *rule = &llm->script->rules[i];
        if (fake_rule_matches(rule, &w->request, provider) && take_rule(llm, i)) {
            return rule;
        }
    }
    return NULL;
}

static FakeFault pick_fault(const FakeWork *w)
{
    const double *rate = w->settings.fault_rate;
    double sum = 0;
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        sum += rate[i];
    }
    if (sum <= 0) { // most runs want none, and then the sequence of random numbers is not touched
        return FAKE_NO_FAULT;
    }
    double at = rng_double(&w->shard->rng);
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        if (at < rate[i]) {
            return (FakeFault)i;
        }
        at -= rate[i];
    }
    return FAKE_NO_FAULT;
}

static bool failure_of_rule(const FakeRule *rule, FakeFailure *f)
{
    if (!rule || rule->status == 0) {
        return false;
    }
    *f = (FakeFailure){.status = rule->status,
                       .message = rule->error_message,
                       .type = rule->error_type,
                       .code = rule->error_code,
                       .retry_after_ns = rule->retry_after_ns};
    return true;
}

static bool failure_of_fault(const FakeWork *w, FakeFault fault, FakeFailure *f)
{
    switch (fault) {
    case FAKE_RATE_LIMIT:
        *f = (FakeFailure){.status = 429, .retry_after_ns = w->settings.retry_after_ns};
        return true;
    case FAKE_SERVER_ERROR: *f = fake_failure(500, NULL); return true;
    case FAKE_UNAVAILABLE: *f = fake_failure(503, NULL); return true;
    case FAKE_OVERLOADED:
        *f = fake_failure(w->route.provider == FAKE_BY_ANTHROPIC ? 529 : 503, NULL);
        return true;
    case FAKE_MALFORMED:
    case FAKE_TRUNCATED:
    case FAKE_DISCONNECT:
    case FAKE_STALL:
    case FAKE_ERROR_IN_200:
    case FAKE_WRONG_TYPE:
    case FAKE_NO_FAULT: break;
    }
    return false;
}

bool fake_admit(FakeWork *w, const FakeRule **ret_rule)
{
    FakeFailure f;
    int64_t wait_ns = 0;
    if (!fake_shard_admit(w->shard, &w->settings, fake_request_tokens(&w->request), &wait_ns)) {
        w->fault = FAKE_RATE_LIMIT;
        f = (FakeFailure){.status = 429, .retry_after_ns = wait_ns};
        fake_send_failure(w, &f);
        return false;
    }
    const FakeRule *rule = find_rule(w); // not before: a rule may count its uses
    if (!failure_of_rule(rule, &f)) {
        bool decided = rule && rule->fault != FAKE_NO_FAULT;
        w->fault = decided ? rule->fault : pick_fault(w);
        if (!failure_of_fault(w, w->fault, &f)) {
            *ret_rule = rule;
            return true;
        }
    }
    fake_send_failure(w, &f);
    return false;
}

// ---- waiting

void fake_wait(FakeWork *w, int64_t ns)
{
    if (ns > 0 && w->reply) {
        (void)!fiber_sleep(ns);
    }
}

// Nothing more comes, until the client has had enough of it.
static void stall(FakeWork *w)
{
    int64_t until_ns = clock_deadline(loop_clock(fiber_loop()), w->settings.stall_ns);
    while (!http_reply_is_gone(w->reply) && !http_server_is_stopping(w->http->server) &&
           loop_clock(fiber_loop()) < until_ns && fiber_sleep(STALL_LOOK_MS * NS_PER_MS) == 0) {
    }
}

static int64_t latency_ns(const FakeWork *w, const FakeRule *rule)
{
    const FakeDist *d = &w->settings.latency;
    if (rule && rule->has_latency) {
        d = &rule->latency;
    } else if (w->request.stream && w->settings.has_ttft) {
        d = &w->settings.ttft;
    }
    return fake_dist_is_zero(d) ? 0 : fake_dist_sample(d, &w->shard->rng);
}

static int64_t token_ns(const FakeWork *w)
{
    double rate = w->settings.tokens_per_second;
    return rate > 0 ? (int64_t)(1e9 / rate) : 0;
}

// ---- an answer in one piece

static void send_half(FakeWork *w)
{
    Slice half = slice_sub(buf_slice(&w->out), 0, w->out.len / 2);
    if (http_reply_begin(w->reply, 200, SLICE("application/json"), NULL) == 0) {
        (void)http_reply_write(w->reply, half, NULL);
    }
}

static void send_web_page(FakeWork *w)
{
    w->status = 200;
    fake_count(w);
    (void)http_reply_send(w->reply, 200, SLICE("text/html; charset=utf-8"),
                          SLICE("<!DOCTYPE html><html><body><h1>It works!</h1></body></html>\n"),
                          NULL);
}

void fake_send_answer(FakeWork *w)
{
    FakeFault fault = w->reply ? w->fault : FAKE_NO_FAULT;
    FakeFailure failure = fake_failure(500, NULL);
    if (w->out.overflowed) {
        failure = fake_failure(400, "The answer would be larger than this server can make.");
        fake_send_failure(w, &failure);
        return;
    }
    switch (fault) {
    case FAKE_MALFORMED:
        w->out.len = w->out.len / 2;
        FAKE_PUT(&w->out, "\x01}]");
        break;
    case FAKE_TRUNCATED: w->out.len = w->out.len * 2 / 3; break;
    case FAKE_ERROR_IN_200:
        buf_reset(&w->out);
        fake_error_body(w->route.provider, &failure, w->id, &w->out);
        break;
    case FAKE_DISCONNECT:
    case FAKE_STALL:
        w->status = 200;
        send_half(w);
        if (fault == FAKE_STALL) {
            stall(w);
        }
        http_reply_abort(w->reply);
        return;
    case FAKE_WRONG_TYPE: send_web_page(w); return;
    case FAKE_RATE_LIMIT:
    case FAKE_SERVER_ERROR:
    case FAKE_UNAVAILABLE:
    case FAKE_OVERLOADED:
    case FAKE_NO_FAULT: break;
    }
    fake_send_json(w, 200);
}

static void send_whole(FakeWork *w, const FakeRule *rule)
{
    buf_reset(&w->out);
    w->route.api->whole(w, &w->out);
    fake_wait(w, latency_ns(w, rule) + token_ns(w) * w->answer.tokens_out);
    fake_send_answer(w);
}

// ---- an answer in pieces

typedef struct Pace {
    int64_t step_ns; // between tokens
    int64_t due_ns;  // of the next
} Pace;

static bool flush(FakeWork *w)
{
    int rc = http_reply_write(w->reply, buf_slice(&w->out), NULL);
    buf_reset(&w->out);
    return rc == 0;
}

// Before each token. False when the client is gone.
static bool keep_pace(FakeWork *w, Pace *pace)
{
    if (pace->step_ns == 0) {
        return w->out.len < FLUSH_BYTES || flush(w);
    }
    if (pace->due_ns > loop_clock(fiber_loop())) {
        if (!flush(w) || fiber_sleep_until(pace->due_ns) != 0) {
            return false;
        }
    }
    pace->due_ns += pace->step_ns;
    return true;
}

// The fault strikes in the middle of a stream. False: it was its end.
static bool strike(FakeWork *w)
{
    FakeFailure failure = fake_failure(w->route.provider == FAKE_BY_ANTHROPIC ? 529 : 500, NULL);
    switch (w->fault) {
    case FAKE_MALFORMED:
        buf_append(&w->out, w->route.provider == FAKE_BY_OLLAMA ? SLICE("{\"broken\": \n")
                                                                : SLICE("data: {\"broken\": \n\n"));
        return true;
    case FAKE_TRUNCATED: (void)flush(w); return false;
    case FAKE_ERROR_IN_200:
        w->route.api->error(w, &w->out, &failure);
        (void)flush(w);
        return false;
    case FAKE_STALL:
        (void)flush(w);
        stall(w);
        http_reply_abort(w->reply);
        return false;
    case FAKE_DISCONNECT:
        (void)flush(w);
        http_reply_abort(w->reply);
        return false;
    case FAKE_RATE_LIMIT:
    case FAKE_SERVER_ERROR:
    case FAKE_UNAVAILABLE:
    case FAKE_OVERLOADED:
    case FAKE_WRONG_TYPE:
    case FAKE_NO_FAULT: break;
    }
    return true;
}

static void step(FakeWork *w, FakeStep *fn)
{
    if (fn) {
        fn(w, &w->out);
    }
}

static bool stream_choice(FakeWork *w, Pace *pace, size_t strike_at)
{
    const FakeApi *api = w->route.api;
    if (w->answer.thought.len > 0) {
        step(w, api->thought);
    }
    if (w->answer.text.len > 0) {
        step(w, api->text_begin);
    }
    size_t at = 0, said = 0;
    Slice piece;
    while (fake_text_piece(w->answer.text, &at, &piece)) {
        if (said++ == strike_at && !strike(w)) {
            return false;
        }
        if (!keep_pace(w, pace)) {
            return false;
        }
        api->text(w, &w->out, piece);
    }
    if (w->answer.text.len > 0) {
        step(w, api->text_end);
    }
    if (said <= strike_at && !strike(w)) { // there was no text to strike in
        return false;
    }
    step(w, api->calls);
    step(w, api->end);
    return true;
}

static void send_stream(FakeWork *w, const FakeRule *rule)
{
    const FakeApi *api = w->route.api;
    bool array = w->route.provider == FAKE_BY_GEMINI && !w->route.sse;
    w->status = 200;
    w->choice = w->sequence = w->item = 0;
    w->first_chunk = true;
    if (w->fault == FAKE_WRONG_TYPE) {
        send_web_page(w);
        return;
    }
    fake_add_headers(w, 200);
    (void)!http_reply_header(w->reply, SLICE("cache-control"), SLICE("no-cache"), NULL);
    Slice type = array ? SLICE("application/json") : slice_from_cstr(api->stream_type);
    buf_reset(&w->out);
    if (http_reply_begin(w->reply, 200, type, NULL) != 0) {
        return;
    }
    int64_t wait_ns = latency_ns(w, rule);
    size_t tokens = (size_t)w->answer.tokens_out / (size_t)w->request.choices;
    Pace pace = {.step_ns = token_ns(w)};
    for (; w->choice < w->request.choices; w->choice++) {
        step(w, api->begin); // a role and no content, which is what comes first from real ones
        if (w->choice == 0 && wait_ns > 0 && (!flush(w) || fiber_sleep(wait_ns) != 0)) {
            return;
        }
        pace.due_ns = pace.due_ns ? pace.due_ns : loop_clock(fiber_loop());
        if (!stream_choice(w, &pace, tokens / 2)) {
            return;
        }
    }
    step(w, api->finish);
    fake_count(w);
    if (flush(w)) {
        (void)http_reply_end(w->reply, NULL);
    }
}

// ---- all of it

static void remember_response(FakeWork *w)
{
    FakeObject object = {.id = w->id, .created_s = w->created_s};
    buf_reset(&w->out);
    w->route.api->whole(w, &w->out);
    object.data = w->out; // the store copies
    fake_store_put(w->shard->llm->store, FAKE_RESPONSE, &object);
}

static bool read_request(FakeWork *w)
{
    const char *param = NULL;
    Err e;
    e.text[0] = 0;
    int rc = fake_request_read(w->route.api->protocol, yyjson_doc_get_root(w->doc), w->route.model,
                               &w->request, &param, &e);
    if (w->route.provider == FAKE_BY_GEMINI) {
        w->request.stream = w->route.stream;
    }
    if (rc != 0) {
        FakeFailure f = fake_failure(400, e.text);
        f.param = param;
        fake_send_failure(w, &f);
    }
    return rc == 0;
}

void fake_generate(FakeWork *w)
{
    const FakeRule *rule;
    if (!fake_parse_body(w)) {
        return;
    }
    if (read_request(w) && fake_admit(w, &rule)) {
        fake_compose(w, rule);
        fake_shard_charge(w->shard, &w->settings, w->answer.tokens_in + w->answer.tokens_out);
        if (w->request.stream && w->reply) {
            send_stream(w, rule);
        } else {
            send_whole(w, rule);
        }
        if (w->route.api->protocol == FAKE_OPENAI_RESPONSES && w->reply) {
            remember_response(w);
        }
    }
    fake_forget_body(w);
}

FakeWork *fake_answer_line(FakeShard *shard, const FakeRoute *route, Slice body)
{
    FakeWork *w = fake_work_lend(shard);
    w->route = *route;
    w->body = body;
    (void)pthread_mutex_lock(&shard->lock);
    w->settings = shard->settings;
    (void)pthread_mutex_unlock(&shard->lock);
    memset(w->settings.fault_rate, 0, sizeof w->settings.fault_rate); // a job's lines fail by rules
    w->settings.requests_per_minute = w->settings.tokens_per_minute = 0;
    w->route.operation(w);
    return w;
}
