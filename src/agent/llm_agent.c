#include "agent/llm_agent.h"

#include "agent/agent_spans.h"
#include "agent/llm_impl.h"
#include "llm/budget.h"
#include "llm/config.h"
#include "llm/observe.h"
#include "os/file.h"

enum { PROMPT_BYTES_MAX = 1 << 20, ANSWER_BYTES_MAX = 16 << 20 };

// What a shard has of its own, because a client and a tracer belong to one thread.
typedef struct ShardClient {
    LlmClient *client;
    LlmLedger *ledger;
    LlmTelemetry *telemetry; // NULL without spans
    Tracer tracer;
} ShardClient;

struct LlmHost {
    Arena *arena;
    LlmConfig config;
    const ToolSet *tools;
    LlmLedger *ledger;
    LlmBudgets *budgets;   // of agents and sessions
    LlmBudget *run_budget; // of the whole process; NULL: no limit
    SpanQueue *spans;      // NULL: nobody wants them
    uint64_t span_seed;
    ShardClient shards[RUNNER_SHARDS_MAX]; // each written by its shard only
};

typedef struct LlmAgent {
    LlmHost *host;
    const ConfigAgent *config;
    Buf prompt;
    Slice role, provider, model;
} LlmAgent;

// ---- the host

int llm_host_create(const AgentConfig *config, const ToolSet *tools, LlmHost **ret_host, Err *e)
{
    LlmHost *host = mem_zalloc(sizeof *host);
    host->arena = arena_create(64 << 20);
    host->tools = tools;
    host->ledger = llm_ledger_create();
    int rc = llm_config_read(host->arena, config->llm, &host->config, e);
    if (rc != 0) {
        llm_host_destroy(host);
        return rc;
    }
    const ConfigPerformance *p = &config->performance;
    host->config.batching = p->enable_request_batching;
    host->config.batch_size = p->batch_size;
    host->config.batch_timeout_ns = p->batch_timeout_ns;
    host->config.no_pooling = !p->enable_connection_pooling;
    host->config.pool_size = p->pool_size;
    if (host->config.budget_tokens > 0 || host->config.budget_cost_nano > 0) {
        LlmBudgetLimits limits = {host->config.budget_tokens, host->config.budget_cost_nano};
        host->run_budget = llm_budget_create("the run", &limits);
    }
    host->budgets = llm_budgets_create(&(LlmBudgetsOptions){
        .agents = config->agents,
        .agent_count = config->agent_count,
        .session = {host->config.session_tokens, host->config.session_cost_nano},
        .session_ttl_ns = config->memory.state_cache_ttl_ns,
        .sessions_max = LLM_BUDGET_SESSIONS_MAX,
    });
    *ret_host = host;
    return 0;
}

void llm_host_destroy(LlmHost *host)
{
    if (host) {
        for (size_t i = 0; i < COUNT_OF(host->shards); i++) {
            llm_client_destroy(host->shards[i].client);
            llm_telemetry_destroy(host->shards[i].telemetry);
        }
        llm_budgets_destroy(host->budgets);
        llm_budget_destroy(host->run_budget);
        llm_ledger_destroy(host->ledger);
        arena_destroy(host->arena);
        free(host);
    }
}

LlmClientStats llm_host_stats(const LlmHost *host)
{
    LlmClientStats all = {0};
    for (size_t i = 0; i < COUNT_OF(host->shards); i++) {
        if (host->shards[i].client) {
            LlmClientStats s = llm_client_stats(host->shards[i].client);
            all.calls += s.calls;
            all.attempts += s.attempts;
            all.retries += s.retries;
            all.failures += s.failures;
            all.cache_hits += s.cache_hits;
            all.cache_misses += s.cache_misses;
            all.connections_opened += s.connections_opened;
            all.input_tokens += s.input_tokens;
            all.output_tokens += s.output_tokens;
            all.cost_nano_usd += s.cost_nano_usd;
        }
    }
    return all;
}

void llm_host_trace(LlmHost *host, SpanQueue *queue, uint64_t seed)
{
    host->spans = queue;
    host->span_seed = seed;
}

static void observe(void *arg, const LlmObservation *observation)
{
    ShardClient *shard = arg;
    llm_ledger_observe(shard->ledger, observation);
    if (shard->telemetry) {
        LlmObserver spans = llm_telemetry_observer(shard->telemetry);
        spans.fn(spans.ctx, observation);
    }
}

int llm_host_client(LlmHost *host, const AgentContext *ctx, LlmClient **ret_client, Err *e)
{
    unsigned index = agent_shard(ctx);
    ShardClient *shard = &host->shards[index];
    if (!shard->client) {
        shard->ledger = host->ledger;
        if (host->spans && !shard->telemetry) {
            tracer_init(&shard->tracer, host->spans, 1, host->span_seed, index);
            shard->telemetry = llm_telemetry_create(NULL, &shard->tracer, NULL);
        }
        LlmClientOptions options = {
            .loop = fiber_loop(),
            .pool = fiber_pool(),
            .config = &host->config,
            .get_env = getenv,
            .observer = {observe, shard},
            .seed = index,
        };
        int rc = llm_client_create(&options, &shard->client, e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_client = shard->client;
    return 0;
}

LlmClient *llm_host_shard_client(const LlmHost *host, unsigned shard)
{
    return host->shards[shard].client;
}

Slice llm_host_parent(const LlmHost *host, const AgentContext *ctx, char out[TRACEPARENT_BYTES + 1])
{
    return host->spans ? agent_traceparent(ctx, out) : (Slice){0};
}

void llm_host_collect(LlmHost *host, Collector *collector)
{
    llm_ledger_collect(host->ledger, collector);
}

const LlmConfig *llm_host_config(const LlmHost *host)
{
    return &host->config;
}

LlmBudgets *llm_host_budgets(LlmHost *host)
{
    return host->budgets;
}

LlmBudget *llm_host_budget(LlmHost *host)
{
    return host->run_budget;
}

// ---- making an agent

static int read_prompt(LlmAgent *agent, Err *e)
{
    const ConfigAgent *config = agent->config;
    agent->prompt = buf_create(PROMPT_BYTES_MAX);
    if (config->system_prompt_file.len == 0) {
        buf_append(&agent->prompt, config->system_prompt);
        return buf_check(&agent->prompt, "the system prompt", e);
    }
    char path[4096];
    if (config->system_prompt_file.len >= sizeof path) {
        return err_set(e, ERR_LIMIT, "the path of the system prompt is too long");
    }
    (void)snprintf(path, sizeof path, "%.*s", SLICE_FMT(config->system_prompt_file));
    return file_read(path, &agent->prompt, e);
}

static void agent_destroy(void *self)
{
    LlmAgent *agent = self;
    buf_done(&agent->prompt);
    free(agent);
}

static int run_llm(AgentContext *ctx, const Event *event, State *state);

int llm_agent_make(LlmHost *host, const ConfigAgent *config, AgentSpec *spec, Err *e)
{
    LlmAgent *agent = mem_zalloc(sizeof *agent);
    agent->host = host;
    agent->config = config;
    agent->role = config->role;
    (void)slice_cut(config->llm, '/', &agent->provider, &agent->model);
    LlmChain chain;
    int rc = config->tools.count <= LLM_AGENT_TOOLS_MAX
                 ? 0
                 : err_set(e, ERR_LIMIT, "more than %d tools", LLM_AGENT_TOOLS_MAX);
    if (rc != 0 ||
        (rc = llm_config_chain(&host->config, agent->role, agent->provider, agent->model, &chain,
                               e)) != 0 ||
        (rc = read_prompt(agent, e)) != 0) {
        agent_destroy(agent);
        return rc;
    }
    spec->run = run_llm;
    spec->self = agent;
    spec->destroy = agent_destroy;
    return 0;
}

// ---- a conversation

typedef struct Talk {
    AgentContext *ctx;
    const LlmAgent *agent;
    LlmClient *client;
    Arena *arena; // of the handler
    LlmTool *tools;
    size_t tool_count;
    LlmMessage *messages;
    size_t message_count;
    LlmBudget *budget; // of this event; NULL: no limit
    LlmSession *session;
    size_t history_at, history_count; // of `messages`: what was said before
    Slice question;                   // of this event
    int64_t tokens, cost_nano;
} Talk;

// "search" names a tool, "mcp:files" all tools that came from the server, "mcp:files/read" one.
// Those of a server are known as SERVER_TOOL (mcp_host.h).
static bool tool_matches(Slice pattern, Slice name, Arena *arena)
{
    if (!slice_starts_with(pattern, SLICE("mcp:"))) {
        return slice_eq(pattern, name);
    }
    Slice server, tool;
    bool one = slice_cut(slice_sub(pattern, 4, pattern.len), '/', &server, &tool);
    Slice prefix = arena_printf(arena, "%.*s_%.*s", SLICE_FMT(server), SLICE_FMT(tool));
    return one ? slice_eq(prefix, name) : slice_starts_with(name, prefix);
}

static void gather_tools(Talk *talk)
{
    const FieldNames *patterns = &talk->agent->config->tools;
    const ToolSet *set = talk->agent->host->tools;
    talk->tools = ARENA_ARRAY(talk->arena, LlmTool, LLM_AGENT_TOOLS_MAX);
    for (size_t i = 0; set && i < tool_count(set) && talk->tool_count < LLM_AGENT_TOOLS_MAX; i++) {
        ToolInfo info = tool_at(set, i);
        for (size_t k = 0; k < patterns->count; k++) {
            if (tool_matches(patterns->items[k], info.name, talk->arena)) {
                talk->tools[talk->tool_count++] = (LlmTool){
                    .name = info.name, .description = info.description, .schema = info.schema};
                break;
            }
        }
    }
}

static bool may_call(const Talk *talk, Slice name)
{
    for (size_t i = 0; i < talk->tool_count; i++) {
        if (slice_eq(talk->tools[i].name, name)) {
            return true;
        }
    }
    return false;
}

// The user's message of an event.
static Slice message_of(Arena *arena, const Event *event)
{
    const Doc *doc = NULL;
    Slice data = event_data(event);
    if (doc_parse(arena, data, NULL, &doc, NULL) != 0) {
        return data;
    }
    if (doc->type == DOC_STRING) {
        return doc->text;
    }
    const Doc *only = doc->type == DOC_OBJECT && doc_count(doc) == 1 ? doc_first(doc) : NULL;
    bool speaks = only && only->type == DOC_STRING &&
                  (slice_eq(only->key, SLICE("query")) || slice_eq(only->key, SLICE("text")));
    return speaks ? only->text : data;
}

static void say(Talk *talk, LlmRole role, const LlmPart *parts, size_t count)
{
    talk->messages[talk->message_count++] = (LlmMessage){role, parts, count};
}

static void say_text(Talk *talk, LlmRole role, Slice text)
{
    LlmPart *part = ARENA_NEW(talk->arena, LlmPart);
    *part = llm_text(text);
    say(talk, role, part, 1);
}

// A copy of the model's message that lives as long as the conversation.
static void keep_answer(Talk *talk, const LlmResponse *response)
{
    LlmPart *parts = ARENA_ARRAY(talk->arena, LlmPart, response->part_count + 1);
    for (size_t i = 0; i < response->part_count; i++) {
        const LlmPart *from = &response->parts[i];
        parts[i] = *from;
        parts[i].text = arena_copy(talk->arena, from->text);
        parts[i].id = arena_copy(talk->arena, from->id);
        parts[i].name = arena_copy(talk->arena, from->name);
        parts[i].arguments = arena_copy(talk->arena, from->arguments);
        parts[i].signature = arena_copy(talk->arena, from->signature);
    }
    say(talk, LLM_ASSISTANT, parts, response->part_count);
}

// A tool that fails is told to the model, which may do better; only a cancelled agent ends.
static void tell_result(Talk *talk, const LlmPart *call, const ToolResult *result, LlmPart *part)
{
    *part = (LlmPart){.kind = LLM_PART_TOOL_RESULT, .id = call->id, .name = call->name};
    part->is_error = result->code != 0;
    part->text = result->code != 0 ? arena_copy(talk->arena, slice_from_cstr(result->err.text))
                                   : arena_copy(talk->arena, buf_slice(&result->json));
}

static int run_tools(Talk *talk, const LlmMessage *answer)
{
    const LlmPart **calls = ARENA_ARRAY(talk->arena, const LlmPart *, answer->part_count + 1);
    ToolRequest *requests = ARENA_ARRAY(talk->arena, ToolRequest, answer->part_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < answer->part_count; i++) {
        const LlmPart *part = &answer->parts[i];
        if (part->kind == LLM_PART_TOOL_CALL) {
            // A tool that the agent was not given does not exist for its model.
            requests[count] = (ToolRequest){
                .name = may_call(talk, part->name) ? part->name : SLICE("?"),
                .args = part->arguments,
                .deadline_ns =
                    agent_deadline(talk->ctx) == NEVER_NS ? 0 : agent_deadline(talk->ctx),
                .host = talk->ctx,
            };
            calls[count++] = part;
        }
    }
    ToolResult *results = mem_zalloc((count + 1) * sizeof *results);
    int rc = tool_call_many(talk->agent->host->tools, requests, count,
                            (size_t)talk->agent->config->parallel_tools, results);
    LlmPart *parts = ARENA_ARRAY(talk->arena, LlmPart, count + 1);
    for (size_t i = 0; i < count; i++) {
        tell_result(talk, calls[i], &results[i], &parts[i]);
        tool_result_done(&results[i]);
    }
    free(results);
    say(talk, LLM_TOOL, parts, count);
    return rc;
}

static int on_chunk(void *arg, const LlmChunk *chunk)
{
    const Talk *talk = arg;
    return chunk->kind == LLM_CHUNK_TEXT ? agent_stream(talk->ctx, chunk->text) : 0;
}

static int ask(Talk *talk, LlmResponse *response, Err *e)
{
    char parent[TRACEPARENT_BYTES + 1];
    const LlmAgent *agent = talk->agent;
    const ConfigAgent *config = agent->config;
    LlmRequest request = {
        .role = agent->role,
        .provider = agent->provider,
        .model = agent->model,
        .messages = talk->messages,
        .message_count = talk->message_count,
        .tools = talk->tools,
        .tool_count = talk->tool_count,
        .output = config->answer == 1 ? LLM_OUTPUT_JSON : LLM_OUTPUT_TEXT,
        .max_output_tokens = config->max_tokens,
        .has_temperature = config->temperature >= 0,
        .temperature = config->temperature,
        .chunk_fn = config->stream ? on_chunk : NULL,
        .chunk_ctx = talk,
        .deadline_ns = agent_deadline(talk->ctx) == NEVER_NS ? 0 : agent_deadline(talk->ctx),
        .budgets = {talk->budget, llm_budgets_agent(agent->host->budgets, config->name),
                    llm_session_budget(talk->session), agent->host->run_budget},
        .agent = config->name,
        .session = event_session(agent_event(talk->ctx)),
        .traceparent = llm_host_parent(agent->host, talk->ctx, parent),
    };
    int rc = llm_chat(talk->client, &request, response, e);
    talk->tokens += response->usage.input_tokens + response->usage.output_tokens;
    talk->cost_nano += response->usage.cost_nano_usd;
    return rc;
}

static int reply_text(Talk *talk, Slice text)
{
    Buf out = buf_create(ANSWER_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    json_field_string(&w, "text", text);
    json_object_end(&w);
    int rc = out.overflowed ? agent_fail(talk->ctx, ERR_LIMIT, "the answer is too large")
                            : agent_reply(talk->ctx, buf_slice(&out));
    buf_done(&out);
    return rc;
}

// What the next event of the session will be shown.
static int remember(Talk *talk, State *state, Slice answer)
{
    const ConfigAgent *config = talk->agent->config;
    int rc = state_set_int(state, SLICE("llm_tokens"),
                           state_get_int(state, SLICE("llm_tokens"), 0) + talk->tokens);
    return rc != 0 || config->history == 0
               ? rc
               : llm_history_save(talk->arena, state, config->name, (size_t)config->history,
                                  talk->messages + talk->history_at, talk->history_count,
                                  talk->question, answer);
}

static int reply(Talk *talk, State *state, const LlmResponse *response)
{
    const Doc *doc = NULL;
    int rc = remember(talk, state, response->text);
    if (rc != 0) {
        return rc;
    }
    if (response->finish == LLM_FINISH_LENGTH) {
        return agent_fail(talk->ctx, ERR_LIMIT, "the answer is longer than max_tokens");
    }
    if (talk->agent->config->answer == 0) {
        return reply_text(talk, response->text);
    }
    if (doc_parse(talk->arena, response->text, NULL, &doc, NULL) != 0) {
        return agent_fail(talk->ctx, ERR_PARSE, "the model's answer is no JSON");
    }
    return agent_reply(talk->ctx, response->text);
}

// One request to the model and what follows from it. *ret_more: it called tools.
static int turn(Talk *talk, State *state, bool *ret_more)
{
    LlmResponse response = {0};
    Err e = {0};
    int rc = ask(talk, &response, &e);
    *ret_more = false;
    if (rc != 0) {
        rc = rc == ERR_CANCELLED ? rc : agent_fail(talk->ctx, (ErrCode)rc, "%s", e.text);
    } else if (response.tool_call_count == 0) {
        rc = reply(talk, state, &response);
    } else {
        keep_answer(talk, &response);
        *ret_more = true;
    }
    llm_response_done(&response);
    return rc != 0 || !*ret_more ? rc : run_tools(talk, &talk->messages[talk->message_count - 1]);
}

static LlmBudget *event_budget(const ConfigAgent *config)
{
    LlmBudgetLimits limits = {config->token_budget, (int64_t)(config->cost_budget * 1e9)};
    return limits.tokens > 0 || limits.cost_nano_usd > 0
               ? llm_budget_create("the event's budget", &limits)
               : NULL;
}

// The system's words, what was said before, and what is asked now.
static int begin_talk(Talk *talk, const Event *event, const State *state, Err *e)
{
    const LlmAgent *agent = talk->agent;
    size_t history = (size_t)agent->config->history;
    talk->messages =
        ARENA_ARRAY(talk->arena, LlmMessage, (size_t)agent->config->max_turns * 2 + 2 + history);
    gather_tools(talk);
    if (agent->prompt.len > 0) {
        say_text(talk, LLM_SYSTEM, buf_slice(&agent->prompt));
    }
    talk->history_at = talk->message_count;
    int rc = history == 0
                 ? 0
                 : llm_history_load(talk->arena, state, agent->config->name, history,
                                    talk->messages + talk->history_at, &talk->history_count, e);
    talk->message_count += talk->history_count;
    talk->question = message_of(talk->arena, event);
    say_text(talk, LLM_USER, talk->question);
    return rc;
}

static int take_turns(Talk *talk, State *state)
{
    int64_t turns = talk->agent->config->max_turns;
    bool more = true;
    int rc = 0;
    for (int64_t i = 0; i < turns && more && rc == 0; i++) {
        rc = turn(talk, state, &more);
    }
    return rc == 0 && more ? agent_fail(talk->ctx, ERR_LIMIT, "no answer after max_turns = %lld",
                                        (long long)turns)
                           : rc;
}

static int run_llm(AgentContext *ctx, const Event *event, State *state)
{
    const LlmAgent *agent = agent_self(ctx);
    LlmBudgets *budgets = agent->host->budgets;
    Talk talk = {.ctx = ctx, .agent = agent, .arena = agent_arena(ctx)};
    Err e = {0};
    int rc = llm_host_client(agent->host, ctx, &talk.client, &e);
    rc = rc == 0 ? begin_talk(&talk, event, state, &e) : rc;
    rc = rc == 0
             ? llm_budgets_take(budgets, event_session(event), agent_now(ctx), &talk.session, &e)
             : rc;
    if (rc != 0) {
        return agent_fail(ctx, (ErrCode)rc, "%s", e.text);
    }
    talk.budget = event_budget(agent->config);
    rc = take_turns(&talk, state);
    llm_budget_destroy(talk.budget);
    llm_budgets_give(budgets, talk.session, agent_now(ctx));
    return rc;
}
