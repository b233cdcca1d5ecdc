// A server's policies around its calls: the driver of policy/call.h for one fiber a call. An
// attempt runs in the fiber of the call; between attempts the fiber parks until the policies'
// timer. Hedges would need a second fiber and are not driven: a tool call that was sent twice may
// act twice.
#include "mcp/pool_impl.h"

#include "base/json_write.h"
#include "base/map.h"

enum { PAYLOAD_BYTES_MAX = 16 << 20 };
// More than any cache takes.
static const uint64_t NOT_TO_KEEP = UINT64_MAX / 4;

struct McpOp {
    McpServer *server;
    const McpPoolCall *call;
    Arena *arena;
    McpResult *result;
    CallState state;
    Fiber *fiber;
    int64_t timer_ns;
    bool begin; // an attempt is to be made
    uint32_t attempt;
    uint32_t attempts;
    int64_t until_ns;
    bool complete;
    int code;
    CallReason reason;
    bool from_cache;
    bool cacheable;
    Buf answer; // JSON of the result, where somebody else may want it
    Err e;
};

void mcp_policy_defaults(ParamValue values[POLICY_PARAM_COUNT])
{
    policy_defaults(values);
    values[P_RETRY_ATTEMPTS].integer = 3;
    values[P_BREAKER_CONSECUTIVE].integer = 5;
    values[P_BREAKER_OPEN_FOR].integer = 30 * NS_PER_S;
    values[P_BREAKER_PROBES].integer = 1;
    values[P_BREAKER_SUCCESSES].integer = 1;
    values[P_CACHE_MAX_ENTRIES].integer = 1000;
    values[P_CACHE_TTL].integer = NS_PER_S; // each entry brings its own
    values[P_CACHE_SINGLE_FLIGHT].boolean = true;
}

// ---- the driver

static void step(McpOp *op, const CallEvent *event);

static void copy_text(Buf *to, const Buf *from)
{
    buf_reset(to);
    buf_append(to, buf_slice(from));
}

static void complete(McpOp *op, const CallAction *a)
{
    op->complete = true;
    op->code = a->code;
    op->reason = a->reason;
    if (a->slot != CACHE_NONE && a->code == 0) {
        op->from_cache = true;
        copy_text(&op->answer, &op->server->payloads[a->slot]);
    } else if (a->reason == CALL_SHARED) {
        op->from_cache = true;
        const McpOp *leader = (const McpOp *)(uintptr_t)a->leader;
        copy_text(&op->answer, &leader->answer);
    }
}

static void perform(McpOp *op, const CallAction *a)
{
    switch (a->kind) {
    case CALL_DO_START:
        op->begin = true;
        op->attempt = a->attempt;
        op->until_ns = a->at_ns;
        break;
    case CALL_DO_TIMER: op->timer_ns = a->at_ns; break;
    case CALL_DO_STORE: copy_text(&op->server->payloads[a->slot], &op->answer); break;
    case CALL_DO_COMPLETE: complete(op, a); break;
    case CALL_DO_CANCEL: // the attempt has returned already, or will at its deadline
    case CALL_DO_QUEUED: break;
    }
}

static void drain(McpServer *s, int64_t now)
{
    s->draining = true;
    for (CallWork w; policy_next_work(s->block, now, &w);) {
        if (w.slot != CACHE_NONE) {
            buf_done(&s->payloads[w.slot]);
            s->payloads[w.slot] = buf_create(PAYLOAD_BYTES_MAX);
        } else {
            McpOp *op = (McpOp *)(uintptr_t)w.handle;
            step(op, &w.event);
            fiber_resume(op->fiber);
        }
    }
    s->draining = false;
}

static void step(McpOp *op, const CallEvent *event)
{
    McpServer *s = op->server;
    int64_t now = loop_clock(s->pool->loop);
    CallActions todo;
    call_step(s->block, &op->state, event, now, &todo);
    for (uint32_t i = 0; i < todo.count; i++) {
        perform(op, &todo.list[i]);
    }
    if (todo.drain && !s->draining) { // an inner step leaves it to the outer one
        drain(s, now);
    }
}

// ---- one attempt

static CallOutcome outcome_of(int rc)
{
    switch (rc) {
    case 0: return CALL_SUCCESS;
    case ERR_ARG:
    case ERR_UNSUPPORTED:
    case ERR_NOT_FOUND: return CALL_CALLER_FAULT;
    case ERR_BUSY: return CALL_THROTTLED;
    case ERR_CLOSED:
    case ERR_CONNECT:
    case ERR_DNS:
    case ERR_TIMEOUT:
    case ERR_IO: return CALL_RETRYABLE;
    default: return CALL_FATAL;
    }
}

// So that the answer can be kept, or given to others that ask the same.
static void keep_answer(McpOp *op)
{
    if (op->cacheable && op->result->result) {
        buf_reset(&op->answer);
        JsonWriter w = json_writer(&op->answer, 0);
        doc_write(&w, op->result->result);
        if (op->answer.overflowed) {
            buf_reset(&op->answer); // too large to keep or to share
        }
    }
}

static int attempt(McpOp *op)
{
    McpServer *s = op->server;
    McpSlot *slot = NULL;
    int64_t start = loop_clock(s->pool->loop);
    *op->result = (McpResult){0};
    int rc = mcp_slot_take(s, &slot, &op->e);
    if (rc == 0) {
        int64_t now = loop_clock(s->pool->loop);
        int64_t limit = op->call->options.timeout_ns ? op->call->options.timeout_ns
                                                     : s->options.request_timeout_ns;
        int64_t left = op->until_ns == CALL_NEVER ? limit : op->until_ns - now;
        McpToolCall call = {
            .name = op->call->tool, .arguments = op->call->arguments, .options = op->call->options};
        call.options.timeout_ns = left < 1 ? 1 : left < limit ? left : limit;
        rc = mcp_call_tool(slot->client, op->arena, &call, op->result, &op->e);
        mcp_slot_give(s, slot, rc, loop_clock(s->pool->loop) - now, &op->e);
    }
    op->attempts++;
    keep_answer(op);
    mcp_pool_tell(s->pool, &(McpEvent){.kind = MCP_EVENT_ATTEMPT,
                                       .server = s->options.name,
                                       .tool = op->call->tool,
                                       .rc = rc,
                                       .duration_ns = loop_clock(s->pool->loop) - start,
                                       .bytes = op->result->bytes});
    return rc;
}

static void run_attempt(McpOp *op)
{
    op->begin = false;
    uint32_t number = op->attempt;
    int rc = attempt(op);
    if (rc == ERR_CANCELLED) {
        step(op, &(CallEvent){.kind = CALL_CANCEL});
        return;
    }
    if (rc == ERR_TIMEOUT && loop_clock(op->server->pool->loop) >= op->timer_ns) {
        step(op, &(CallEvent){.kind = CALL_TIMER}); // the policies' own timeout: they count it
    }
    // A failure that a tool reports itself is an answer, but none to keep.
    bool keep = rc == 0 && op->answer.len > 0 && !op->result->is_error;
    CallEvent event = {.kind = CALL_ATTEMPT_DONE,
                       .attempt = number,
                       .outcome = outcome_of(rc),
                       .code = rc,
                       .bytes = keep ? op->answer.len : NOT_TO_KEEP};
    step(op, &event);
}

static void drive(McpOp *op, const CallOptions *options)
{
    step(op, &(CallEvent){.kind = CALL_START, .start = options});
    while (!op->complete) {
        if (op->begin) {
            run_attempt(op);
            continue;
        }
        int rc = fiber_park("mcp policy", op->timer_ns);
        if (rc == ERR_TIMEOUT) {
            step(op, &(CallEvent){.kind = CALL_TIMER});
        } else if (rc == ERR_CANCELLED) {
            step(op, &(CallEvent){.kind = CALL_CANCEL});
        }
    }
}

// ---- what a tool allows

static bool names(const Slice *list, size_t count, Slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(list[i], name) || slice_eq(list[i], SLICE("*"))) {
            return true;
        }
    }
    return false;
}

static int64_t ttl_of(const McpServerOptions *o, const McpTool *tool, Slice name)
{
    for (size_t i = 0; i < o->ttl_count; i++) {
        if (slice_eq(o->tool_ttls[i].tool, name)) {
            return o->tool_ttls[i].ttl_ns;
        }
    }
    return tool && tool->read_only ? o->cache_ttl_ns : 0;
}

// Equal arguments have equal keys however they are written.
static PolicyKey key_of(const McpPoolCall *call, Arena *arena)
{
    const Doc *arguments = NULL;
    Slice text = call->arguments.len > 0 ? call->arguments : SLICE("{}");
    if (doc_parse(arena, text, NULL, &arguments, NULL) != 0) {
        return (PolicyKey){0};
    }
    Buf canonical = buf_create(PAYLOAD_BYTES_MAX);
    json_quote(&canonical, call->tool);
    doc_write_canonical(arguments, &canonical);
    PolicyKey key = {0};
    if (!canonical.overflowed) {
        key.high = map_siphash(buf_slice(&canonical), 0x6d6370, 1);
        key.low = map_siphash(buf_slice(&canonical), 0x6d6370, 2) | 1;
    }
    buf_done(&canonical);
    return key;
}

static void read_hints(McpServer *s, const McpPoolCall *call, Arena *arena, CallOptions *options)
{
    // Asked once in a while; without the list every tool counts as one that must not be repeated.
    McpToolSet *tools = NULL;
    if (mcp_pool_tools(s->pool, s->options.name, &tools, NULL) != 0) {
        tools = NULL;
    }
    const McpTool *tool = mcp_tool_find(tools, call->tool);
    const McpServerOptions *o = &s->options;
    bool repeatable = (tool && (tool->read_only || tool->idempotent)) ||
                      names(o->idempotent_tools, o->idempotent_count, call->tool);
    options->once = !repeatable;
    options->ttl_ns = call->no_cache ? 0 : ttl_of(o, tool, call->tool);
    if (options->ttl_ns > 0) {
        options->key = key_of(call, arena);
    }
    mcp_toolset_unref(tools);
}

static bool needs_hints(const McpServer *s)
{
    return s->block->p[P_RETRY_ATTEMPTS].integer > 1 || s->options.cache_ttl_ns > 0 ||
           s->options.ttl_count > 0;
}

// ---- the call

static int finish(McpOp *op, Err *e)
{
    if (op->code == 0 && op->from_cache) {
        *op->result = (McpResult){.bytes = (int64_t)op->answer.len};
        if (op->answer.len == 0) {
            return err_set(e, ERR_LIMIT, "tool '%.*s': the answer is too large to share",
                           SLICE_FMT(op->call->tool));
        }
        int rc = doc_parse(op->arena, buf_slice(&op->answer), NULL, &op->result->result, e);
        const Doc *failed = rc == 0 ? doc_get(op->result->result, SLICE("isError")) : NULL;
        op->result->is_error = failed && failed->type == DOC_BOOL && failed->boolean;
        return rc;
    }
    if (op->code == 0) {
        return 0;
    }
    // What the server said last is worth more than the policy's word for it.
    bool own = op->e.text[0] && op->reason != CALL_BREAKER_OPEN && op->attempts > 0;
    const char *why = call_reason_text(op->reason);
    if (own) {
        return err_set(e, (ErrCode)op->code, "%s%s%s%s", op->e.text, op->attempts > 1 ? " (" : "",
                       op->attempts > 1 ? why : "", op->attempts > 1 ? ")" : "");
    }
    return err_set(e, (ErrCode)op->code, "MCP server '%.*s', tool '%.*s': %s",
                   SLICE_FMT(op->server->options.name), SLICE_FMT(op->call->tool), why);
}

int mcp_guarded_call(McpServer *s, Arena *arena, const McpPoolCall *call, McpResult *ret_result,
                     Err *e)
{
    McpOp op = {.server = s,
                .call = call,
                .arena = arena,
                .result = ret_result,
                .fiber = fiber_self(),
                .timer_ns = NEVER_NS,
                .answer = buf_create(PAYLOAD_BYTES_MAX)};
    CallOptions options = {.handle = (uint64_t)(uintptr_t)&op,
                           .task = ++s->tasks,
                           .deadline_ns = call->deadline_ns,
                           .priority = call->priority,
                           .once = true};
    int64_t start = loop_clock(s->pool->loop);
    *ret_result = (McpResult){0};
    if (needs_hints(s)) {
        read_hints(s, call, arena, &options);
    }
    op.cacheable = policy_key_is_set(options.key);
    drive(&op, &options);
    int rc = finish(&op, e);
    mcp_pool_tell(s->pool, &(McpEvent){.kind = MCP_EVENT_CALL,
                                       .server = s->options.name,
                                       .tool = call->tool,
                                       .rc = rc,
                                       .duration_ns = loop_clock(s->pool->loop) - start,
                                       .bytes = ret_result->bytes,
                                       .attempts = op.attempts,
                                       .cached = op.from_cache,
                                       .reason = op.reason});
    buf_done(&op.answer);
    return rc;
}

// ---- life

int mcp_guard_open(McpServer *s, Err *e)
{
    ParamValue values[POLICY_PARAM_COUNT];
    mcp_policy_defaults(values);
    if (s->options.policy) {
        memcpy(values, s->options.policy, sizeof values);
    }
    values[P_HEDGE_MAX].integer = 0;
    int rc = policy_check(values, e);
    if (rc != 0) {
        return rc;
    }
    PolicyShape shape = policy_shape(values);
    s->block = mem_zalloc(policy_bytes(&shape));
    policy_init(s->block, &shape, values, s->pool->options.seed, loop_clock(s->pool->loop));
    s->payload_count = shape.cache;
    s->payloads = mem_alloc((shape.cache + 1) * sizeof *s->payloads);
    for (size_t i = 0; i < s->payload_count; i++) {
        s->payloads[i] = buf_create(PAYLOAD_BYTES_MAX);
    }
    return 0;
}

void mcp_guard_close(McpServer *s)
{
    for (size_t i = 0; i < s->payload_count; i++) {
        buf_done(&s->payloads[i]);
    }
    free(s->payloads);
    free(s->block);
}
