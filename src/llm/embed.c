// Embeddings, and their micro-batching: inputs that several callers have at about the same time go
// out as one request, because a provider takes an array for the price of its members.
#include "llm/client_impl.h"

typedef struct Waiter Waiter;
struct Waiter {
    Waiter *next;
    const LlmEmbedRequest *request;
    LlmEmbedResponse *response;
    Fiber *fiber;
    size_t first; // its rows in the batch
    Err *e;
    int rc;
    bool done;
};

struct EmbedBatch {
    EmbedBatch *next;
    LlmClient *client;
    LlmChain chain;
    int64_t dimensions;
    Waiter *waiters, **last;
    size_t count; // inputs
    Fiber *fiber; // that will send it, while it waits for more
    bool full;
};

// ---- one request

static void give_rows(const Op *op, const LlmResponse *from, size_t first, size_t count,
                      LlmEmbedResponse *to)
{
    to->arena = arena_create(2UL * LLM_HTTP_BODY_MAX);
    to->provider = arena_copy(to->arena, from->provider);
    to->model = arena_copy(to->arena, from->model);
    to->failure = from->failure;
    to->failure.type = arena_copy(to->arena, from->failure.type);
    to->failure.message = arena_copy(to->arena, from->failure.message);
    to->usage = from->usage;
    to->attempts = from->attempts;
    if (op->rows.vectors) {
        size_t n = op->rows.dimensions;
        float *rows = ARENA_ARRAY(to->arena, float, n *count);
        memcpy(rows, op->rows.vectors + first * n, n * count * sizeof(float));
        to->vectors = rows;
        to->count = count;
        to->dimensions = n;
    }
}

static LlmRequest common_part(const LlmEmbedRequest *r)
{
    LlmRequest request = {.deadline_ns = r->deadline_ns,
                          .agent = r->agent,
                          .session = r->session,
                          .traceparent = r->traceparent};
    memcpy(request.budgets, r->budgets, sizeof r->budgets);
    return request;
}

static void begin(Op *op, LlmClient *client, const LlmRequest *common, LlmResponse *whole)
{
    *op = (Op){.client = client,
               .request = common,
               .embed = true,
               .response = whole,
               .start_ns = loop_clock(client->o.loop)};
    memcpy(op->budgets, common->budgets, sizeof common->budgets);
    op->budgets[LLM_BUDGETS_MAX] = client->budget;
    *whole = (LlmResponse){.failure = {.retry_after_ns = -1, .should_retry = -1}};
}

static int embed_alone(LlmClient *client, const LlmEmbedRequest *request, const LlmChain *chain,
                       LlmEmbedResponse *response, Err *e)
{
    LlmRequest common = common_part(request);
    LlmResponse whole;
    Op op;
    begin(&op, client, &common, &whole);
    op.chain = *chain;
    op.inputs = request->inputs;
    op.input_count = request->input_count;
    op.dimensions = request->dimensions;
    int rc = llm_call_chain(&op);
    llm_call_observe(&op, rc);
    give_rows(&op, &whole, 0, request->input_count, response);
    response->duration_ns = loop_clock(client->o.loop) - op.start_ns;
    if (rc != 0 && e) {
        *e = op.err;
    }
    llm_response_done(&whole);
    return rc;
}

// ---- batches

static void unlink_batch(EmbedBatch *batch)
{
    for (EmbedBatch **at = &batch->client->batches; *at; at = &(*at)->next) {
        if (*at == batch) {
            *at = batch->next;
            return;
        }
    }
}

// Tokens are shared out by the length of the inputs: nobody says them one by one.
static void share_usage(Waiter *w, const LlmUsage *usage, size_t bytes, size_t bytes_all)
{
    double share = bytes_all > 0 ? (double)bytes / (double)bytes_all : 0;
    w->response->usage = *usage;
    w->response->usage.input_tokens = (int64_t)((double)usage->input_tokens * share + 0.5);
    w->response->usage.cost_nano_usd = (int64_t)((double)usage->cost_nano_usd * share + 0.5);
}

static size_t input_bytes(const LlmEmbedRequest *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->input_count; i++) {
        bytes += r->inputs[i].len;
    }
    return bytes;
}

static void answer_waiters(EmbedBatch *batch, const Op *op, const LlmResponse *whole, int rc,
                           size_t bytes_all)
{
    for (Waiter *w = batch->waiters, *next; w; w = next) {
        next = w->next; // the waiter may be gone once it runs
        give_rows(op, whole, w->first, w->request->input_count, w->response);
        share_usage(w, &whole->usage, input_bytes(w->request), bytes_all);
        w->rc = rc;
        if (rc != 0 && w->e) {
            *w->e = op->err;
        }
        w->done = true;
        fiber_resume(w->fiber);
    }
}

// Inputs are copied: a caller that gives up takes its own memory with it.
static void send_batch(EmbedBatch *batch)
{
    Arena *arena = arena_create(2UL * LLM_HTTP_BODY_MAX);
    Slice *inputs = ARENA_ARRAY(arena, Slice, batch->count + 1);
    LlmRequest common = {0};
    size_t n = 0, bytes = 0;
    for (Waiter *w = batch->waiters; w; w = w->next) {
        w->first = n;
        bytes += input_bytes(w->request);
        for (size_t i = 0; i < w->request->input_count; i++) {
            inputs[n++] = arena_copy(arena, w->request->inputs[i]);
        }
    }
    LlmResponse whole;
    Op op;
    begin(&op, batch->client, &common, &whole);
    op.chain = batch->chain;
    op.inputs = inputs;
    op.input_count = n;
    op.dimensions = batch->dimensions;
    int rc = n > 0 ? llm_call_chain(&op) : 0;
    if (n > 0) {
        llm_call_observe(&op, rc);
    }
    answer_waiters(batch, &op, &whole, rc, bytes);
    llm_response_done(&whole);
    arena_destroy(arena);
}

static void run_batch(void *arg)
{
    EmbedBatch *batch = arg;
    const LlmConfig *config = batch->client->config;
    if (!batch->full) {
        batch->fiber = fiber_self();
        // Cancelled or due: what has gathered goes out either way.
        (void)!fiber_park("llm batch",
                          loop_clock(batch->client->o.loop) + config->batch_timeout_ns);
        batch->fiber = NULL;
    }
    unlink_batch(batch);
    send_batch(batch);
    free(batch);
}

static bool same_chain(const LlmChain *a, const LlmChain *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->targets[i].provider != b->targets[i].provider ||
            !slice_eq(a->targets[i].model, b->targets[i].model)) {
            return false;
        }
    }
    return true;
}

static EmbedBatch *join(LlmClient *client, const LlmEmbedRequest *request, const LlmChain *chain,
                        Waiter *waiter)
{
    size_t room = (size_t)client->config->batch_size;
    EmbedBatch *batch = client->batches;
    while (batch &&
           (batch->full || batch->dimensions != request->dimensions ||
            batch->count + request->input_count > room || !same_chain(&batch->chain, chain))) {
        batch = batch->next;
    }
    if (!batch) {
        batch = mem_zalloc(sizeof *batch);
        batch->client = client;
        batch->chain = *chain;
        batch->dimensions = request->dimensions;
        batch->last = &batch->waiters;
        if (!fiber_group_spawn(&client->batch_fibers, client->o.pool, "llm batch", run_batch,
                               batch)) {
            free(batch);
            return NULL;
        }
        batch->next = client->batches;
        client->batches = batch;
    }
    *batch->last = waiter;
    batch->last = &waiter->next;
    batch->count += request->input_count;
    batch->full = batch->count >= room;
    if (batch->full && batch->fiber) {
        fiber_resume(batch->fiber);
    }
    return batch;
}

static void leave(EmbedBatch *batch, Waiter *waiter)
{
    for (Waiter **at = &batch->waiters; *at; at = &(*at)->next) {
        if (*at == waiter) {
            *at = waiter->next;
            batch->last = *at ? batch->last : at;
            return;
        }
    }
}

static int embed_together(LlmClient *client, const LlmEmbedRequest *request, const LlmChain *chain,
                          LlmEmbedResponse *response, Err *e)
{
    Waiter w = {.request = request, .response = response, .fiber = fiber_self(), .e = e};
    EmbedBatch *batch = join(client, request, chain, &w);
    if (!batch) {
        return embed_alone(client, request, chain, response, e);
    }
    int64_t deadline = request->deadline_ns > 0 ? request->deadline_ns : NEVER_NS;
    while (!w.done) {
        int rc = fiber_park("llm batch", deadline);
        if (rc != 0 && !w.done) {
            leave(batch, &w);
            response->failure.kind = rc == ERR_TIMEOUT ? LLM_FAIL_TIMEOUT : LLM_FAIL_CANCELLED;
            return err_set(e, (ErrCode)rc, "gave up waiting for the embeddings");
        }
    }
    return w.rc;
}

int llm_embed(LlmClient *client, const LlmEmbedRequest *request, LlmEmbedResponse *response, Err *e)
{
    LlmChain chain;
    *response = (LlmEmbedResponse){.failure = {.retry_after_ns = -1, .should_retry = -1}};
    client->stats.calls++;
    int rc = llm_config_chain(client->config, request->role, request->provider, request->model,
                              &chain, e);
    if (rc == 0 && request->input_count == 0) {
        rc = err_set(e, ERR_ARG, "no input to embed");
    }
    if (rc != 0) {
        client->stats.failures++;
        response->failure.kind = LLM_FAIL_REQUEST;
        return rc;
    }
    // A budget is one caller's, so its request is its own; so is one that fills a batch.
    bool budget = false;
    for (size_t i = 0; i < LLM_BUDGETS_MAX; i++) {
        budget = budget || request->budgets[i];
    }
    bool together = client->config->batching && client->o.pool && !budget &&
                    // A model named by the caller is text of the caller, who may leave.
                    request->model.len == 0 && slice_find_byte(request->provider, '/') < 0 &&
                    request->input_count < (size_t)client->config->batch_size;
    rc = together ? embed_together(client, request, &chain, response, e)
                  : embed_alone(client, request, &chain, response, e);
    client->stats.failures += rc != 0;
    return rc;
}
