#include "agent/js_context.h"

// `ctx` in a JavaScript agent: other agents, tools, models, time.

enum {
    SPEC_BYTES_MAX = 64 << 20,
    CALLS_MAX = 256, // of one callAll or tools
};

// ---- an event described by a script

// {target, data, type, session, timeout, priority}. Its texts live in `arena`.
static int read_spec(const Doc *d, Arena *arena, EventSpec *spec, Err *e)
{
    static const Slice names[] = {
        SLICE_INIT("target"),  SLICE_INIT("agent"),   SLICE_INIT("data"),    SLICE_INIT("type"),
        SLICE_INIT("session"), SLICE_INIT("timeout"), SLICE_INIT("priority")};
    static const Slice priorities[] = {SLICE_INIT("high"), SLICE_INIT("normal"), SLICE_INIT("low")};
    int rc = doc_expect(d, DOC_OBJECT, "the event", e);
    if (rc == 0) {
        rc = doc_expect_fields(d, names, COUNT_OF(names), e);
    }
    for (const Doc *m = rc == 0 ? doc_first(d) : NULL; m && rc == 0; m = doc_next(m)) {
        bool is_text = !slice_eq(m->key, SLICE("data")) && !slice_eq(m->key, SLICE("timeout"));
        if (is_text) {
            rc = doc_expect(m, DOC_STRING, arena_cstr(arena, m->key), e);
        }
    }
    if (rc != 0) {
        return rc;
    }
    *spec = (EventSpec){0};
    const Doc *m = doc_get(d, SLICE("target"));
    m = m ? m : doc_get(d, SLICE("agent"));
    if (!m) {
        return err_set(e, ERR_ARG, "the event names no target");
    }
    spec->target = m->text;
    spec->type = (m = doc_get(d, SLICE("type"))) ? m->text : spec->type;
    spec->session = (m = doc_get(d, SLICE("session"))) ? m->text : spec->session;
    if ((m = doc_get(d, SLICE("timeout")))) {
        double ms = doc_number(m);
        if (!doc_is_number(m) || !(ms > 0 && ms < 1e12)) {
            return err_set(e, ERR_ARG, "timeout must be milliseconds above 0");
        }
        spec->timeout_ns = (int64_t)(ms * 1e6);
    }
    for (size_t i = 0; (m = doc_get(d, SLICE("priority"))) && i < COUNT_OF(priorities); i++) {
        if (slice_eq(m->text, priorities[i])) {
            spec->priority = (EventPriority)i;
            spec->prioritised = true;
        }
    }
    if (m && !spec->prioritised) {
        return err_set(e, ERR_ARG, "priority is \"high\", \"normal\" or \"low\"");
    }
    if ((m = doc_get(d, SLICE("data")))) {
        Buf json = buf_create(EVENT_DATA_MAX);
        JsonWriter w = json_writer(&json, 0);
        doc_write(&w, m);
        rc = buf_check(&json, "the event's data", e);
        spec->data = rc == 0 && arena_left(arena) > json.len + 64
                         ? arena_copy(arena, buf_slice(&json))
                         : (Slice){NULL, 0};
        if (rc == 0 && json.len > 0 && !spec->data.ptr) {
            rc = err_set(e, ERR_LIMIT, "the event's data are too large");
        }
        buf_done(&json);
    }
    return rc;
}

// ("target", data, {type, ...}) or ({target, data, type, ...}).
static int spec_args(ScriptCall *call, Arena *arena, EventSpec *spec, Err *e)
{
    Buf json = buf_create(SPEC_BYTES_MAX);
    const Doc *doc;
    Slice target;
    int rc = 0;
    if (script_arg_is_string(call, 0)) {
        rc = script_arg_to_string(call, 0, "the target", &target, e);
        buf_puts(&json, "{\"target\":");
        json_quote(&json, rc == 0 ? target : SLICE(""));
        if (rc == 0 && script_arg_count(call) > 1) {
            buf_puts(&json, ",\"data\":");
            rc = script_arg_to_json(call, 1, "the data", &json, e);
        }
        Buf more = buf_create(SPEC_BYTES_MAX);
        if (rc == 0 && script_arg_is_given(call, 2)) {
            rc = script_arg_to_json(call, 2, "the options", &more, e);
        }
        // The options' members join the others; what is no object shows when it is read.
        bool object = more.len >= 2 && more.data[0] == '{';
        bool empty = more.len == 2;
        if (rc == 0 && more.len > 0 && !object) {
            rc = err_set(e, ERR_ARG, "the options must be an object");
        }
        if (rc == 0 && object && !empty) {
            buf_putc(&json, ',');
            buf_append(&json, slice_sub(buf_slice(&more), 1, more.len));
        } else {
            buf_putc(&json, '}');
        }
        buf_done(&more);
    } else {
        rc = script_arg_to_json(call, 0, "the event", &json, e);
    }
    if (rc == 0) {
        rc = buf_check(&json, "the event", e);
    }
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "event", .max_bytes = SPEC_BYTES_MAX};
    if (rc == 0) {
        rc = doc_parse(arena, buf_slice(&json), &options, &doc, e);
    }
    buf_done(&json);
    return rc == 0 ? read_spec(doc, arena, spec, e) : rc;
}

static AgentContext *context_of(ScriptCall *call)
{
    const JsRun *run = script_host(call);
    return run->ctx;
}

static int ctx_emit(ScriptCall *call, Err *e)
{
    EventSpec spec;
    Arena *arena = arena_create((size_t)4 * SPEC_BYTES_MAX);
    int rc = spec_args(call, arena, &spec, e);
    if (rc == 0) {
        rc = agent_emit(context_of(call), &spec, e);
    }
    arena_destroy(arena);
    return rc;
}

static int call_failed(int rc, const EventSpec *spec, const AgentResult *result, Err *e)
{
    return err_set(e, (ErrCode)rc, "agent \"%.*s\": %s", SLICE_FMT(spec->target),
                   result->reason[0] ? result->reason : err_name(rc));
}

static int ctx_call(ScriptCall *call, Err *e)
{
    EventSpec spec;
    AgentResult *result = mem_zalloc(sizeof *result);
    Arena *arena = arena_create((size_t)4 * SPEC_BYTES_MAX);
    int rc = spec_args(call, arena, &spec, e);
    if (rc == 0) {
        Err own = {0};
        rc = agent_call(context_of(call), &spec, &(AgentCallOptions){0}, result, &own);
        if (rc == 0) {
            js_return_data(call, result->data);
        } else if (own.code != 0 && !result->reason[0]) {
            rc = err_set(e, (ErrCode)rc, "%s", own.text);
        } else {
            rc = call_failed(rc, &spec, result, e);
        }
    }
    agent_result_done(result);
    free(result);
    arena_destroy(arena);
    return rc;
}

// ---- many at once

// One entry of a settled list: {"value":...} or {"error":..., "code":...}.
static void write_settled(Buf *out, int code, const char *text, Slice value)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    if (code == 0) {
        json_key(&w, SLICE("value"));
        Buf data = buf_create(SPEC_BYTES_MAX);
        js_append_data(&data, value);
        json_raw(&w, buf_slice(&data));
        buf_done(&data);
    } else {
        json_field_cstr(&w, "error", text);
        json_field_cstr(&w, "code", err_name(code));
    }
    json_object_end(&w);
}

static int list_arg(ScriptCall *call, Arena *arena, const Doc **ret_list, bool *ret_settle, Err *e)
{
    int rc = script_arg_to_doc(call, 0, "the list", arena, ret_list, e);
    if (rc == 0) {
        rc = doc_expect(*ret_list, DOC_ARRAY, "the list", e);
    }
    if (rc == 0 && doc_count(*ret_list) > CALLS_MAX) {
        rc = err_set(e, ERR_LIMIT, "%zu calls at once; %d are possible", doc_count(*ret_list),
                     CALLS_MAX);
    }
    *ret_settle = false;
    if (rc == 0 && script_arg_is_given(call, 1)) {
        const Doc *options = NULL;
        rc = script_arg_to_doc(call, 1, "the options", arena, &options, e);
        const Doc *settle = doc_get(options, SLICE("settle"));
        *ret_settle = settle && settle->type == DOC_BOOL && settle->boolean;
    }
    return rc;
}

static int start_calls(AgentContext *ctx, const Doc *list, Arena *arena, EventSpec *specs,
                       AgentCall *calls, size_t *ret_started, Err *e)
{
    int rc = 0;
    for (const Doc *d = doc_first(list); d && rc == 0; d = doc_next(d)) {
        rc = read_spec(d, arena, &specs[*ret_started], e);
        if (rc == 0) {
            rc = agent_call_start(ctx, &specs[*ret_started], &(AgentCallOptions){0},
                                  &calls[*ret_started], e);
        }
        *ret_started += rc == 0;
    }
    return rc;
}

// Waits for each in turn. Without `settle` the first failure ends it.
static int collect_calls(AgentContext *ctx, const EventSpec *specs, AgentCall *calls, size_t count,
                         bool settle, size_t *ret_waited, Buf *out, Err *e)
{
    int rc = 0;
    buf_putc(out, '[');
    for (size_t i = 0; i < count && rc == 0; i++) {
        int code = agent_call_wait(ctx, &calls[i]);
        *ret_waited = i + 1;
        buf_puts(out, i > 0 ? "," : "");
        if (settle && code != ERR_CANCELLED) {
            write_settled(out, code, calls[i].result.reason, calls[i].result.data);
        } else if (code == 0) {
            js_append_data(out, calls[i].result.data);
        } else {
            rc = call_failed(code, &specs[i], &calls[i].result, e);
        }
        agent_result_done(&calls[i].result);
    }
    buf_putc(out, ']');
    return rc;
}

static int ctx_call_all(ScriptCall *call, Err *e)
{
    const Doc *list = NULL;
    bool settle;
    Arena *arena = arena_create((size_t)4 * SPEC_BYTES_MAX);
    Buf out = buf_create(SPEC_BYTES_MAX);
    size_t started = 0, waited = 0;
    int rc = list_arg(call, arena, &list, &settle, e);
    EventSpec *specs = mem_zalloc((doc_count(list) + 1) * sizeof *specs);
    AgentCall *calls = mem_zalloc((doc_count(list) + 1) * sizeof *calls);
    AgentContext *ctx = context_of(call);
    if (rc == 0) {
        rc = start_calls(ctx, list, arena, specs, calls, &started, e);
    }
    if (rc == 0) {
        rc = collect_calls(ctx, specs, calls, started, settle, &waited, &out, e);
    }
    for (size_t i = waited; i < started; i++) {
        agent_call_drop(ctx, &calls[i]);
    }
    if (rc == 0) {
        rc = buf_check(&out, "the answers", e);
    }
    if (rc == 0) {
        rc = script_return_json(call, buf_slice(&out), e);
    }
    free(calls);
    free(specs);
    buf_done(&out);
    arena_destroy(arena);
    return rc;
}

// ---- tools

static const ToolSet *tools_of(ScriptCall *call, Err *e)
{
    const JsRun *run = script_host(call);
    if (!run->options->tools) {
        (void)err_set(e, ERR_UNSUPPORTED, "this agent has no tools");
    }
    return run->options->tools;
}

static int ctx_tool(ScriptCall *call, Err *e)
{
    const ToolSet *tools = tools_of(call, e);
    Slice name;
    if (!tools) {
        return ERR_UNSUPPORTED;
    }
    Buf args = buf_create(TOOL_ARGS_BYTES_MAX);
    ToolResult *result = mem_zalloc(sizeof *result);
    int rc = script_arg_to_string(call, 0, "the tool's name", &name, e);
    if (rc == 0 && script_arg_is_given(call, 1)) {
        rc = script_arg_to_json(call, 1, "the arguments", &args, e);
    }
    if (rc == 0) {
        ToolRequest request = {.name = name,
                               .args = buf_slice(&args),
                               .deadline_ns = script_deadline_ns(call),
                               .host = context_of(call)};
        rc = tool_call(tools, &request, result);
        if (rc == 0) {
            js_return_data(call, buf_slice(&result->json));
        } else {
            (void)err_set(e, (ErrCode)rc, "%s", result->err.text);
        }
    }
    tool_result_done(result);
    free(result);
    buf_done(&args);
    return rc;
}

// {name, args}.
static int read_request(ScriptCall *call, const Doc *d, Arena *arena, ToolRequest *request, Err *e)
{
    const Doc *name = doc_get(d, SLICE("name"));
    const Doc *args = doc_get(d, SLICE("args"));
    if (!name || name->type != DOC_STRING) {
        return err_set(e, ERR_ARG, "a tool call needs a name");
    }
    *request = (ToolRequest){
        .name = name->text, .deadline_ns = script_deadline_ns(call), .host = context_of(call)};
    if (!args) {
        return 0;
    }
    Buf json = buf_create(TOOL_ARGS_BYTES_MAX);
    JsonWriter w = json_writer(&json, 0);
    doc_write(&w, args);
    int rc = buf_check(&json, "the arguments", e);
    if (rc == 0 && arena_left(arena) < json.len + 64) {
        rc = err_set(e, ERR_LIMIT, "the arguments together are too large");
    }
    request->args = rc == 0 ? arena_copy(arena, buf_slice(&json)) : (Slice){NULL, 0};
    buf_done(&json);
    return rc;
}

static int write_results(const ToolResult *results, size_t count, bool settle, Buf *out, Err *e)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        const ToolResult *r = &results[i];
        buf_puts(out, i > 0 ? "," : "");
        if (settle) {
            write_settled(out, r->code, r->err.text, buf_slice(&r->json));
        } else if (r->code != 0) {
            return err_set(e, (ErrCode)r->code, "%s", r->err.text);
        } else {
            buf_append(out, buf_slice(&r->json));
        }
    }
    buf_putc(out, ']');
    return buf_check(out, "the results", e);
}

static int ctx_tools(ScriptCall *call, Err *e)
{
    const JsRun *run = script_host(call);
    const ToolSet *tools = tools_of(call, e);
    const Doc *list = NULL;
    bool settle;
    if (!tools) {
        return ERR_UNSUPPORTED;
    }
    Arena *arena = arena_create((size_t)4 * SPEC_BYTES_MAX);
    Buf out = buf_create(SPEC_BYTES_MAX);
    int rc = list_arg(call, arena, &list, &settle, e);
    size_t count = rc == 0 ? doc_count(list) : 0, read = 0;
    ToolRequest *requests = mem_zalloc((count + 1) * sizeof *requests);
    ToolResult *results = mem_zalloc((count + 1) * sizeof *results);
    for (const Doc *d = doc_first(list); d && rc == 0 && read < count; d = doc_next(d)) {
        rc = read_request(call, d, arena, &requests[read++], e);
    }
    if (rc == 0) {
        rc = tool_call_many(tools, requests, count, run->options->parallel_tools, results);
        rc = rc != 0 ? err_set(e, (ErrCode)rc, "cancelled while tools ran")
                     : write_results(results, count, settle, &out, e);
    }
    if (rc == 0) {
        rc = script_return_json(call, buf_slice(&out), e);
    }
    for (size_t i = 0; i < count; i++) {
        tool_result_done(&results[i]);
    }
    free(results);
    free(requests);
    buf_done(&out);
    arena_destroy(arena);
    return rc;
}

// ---- models, answers, time

static int ctx_llm(ScriptCall *call, Err *e)
{
    const JsRun *run = script_host(call);
    if (!run->options->llm) {
        return err_set(e, ERR_UNSUPPORTED, "this agent has no language model");
    }
    Buf request = buf_create(SPEC_BYTES_MAX), answer = buf_create(SPEC_BYTES_MAX);
    int rc = script_arg_to_json(call, 0, "the request", &request, e);
    if (rc == 0) {
        rc = run->options->llm(run->options->llm_arg, run->ctx, buf_slice(&request), &answer, e);
    }
    if (rc == 0) {
        js_return_data(call, buf_slice(&answer));
    }
    buf_done(&request);
    buf_done(&answer);
    return rc;
}

// Text as it is, other values as JSON.
static int give(ScriptCall *call, bool stream, Err *e)
{
    Buf data = buf_create(EVENT_DATA_MAX);
    Slice text;
    int rc;
    if (stream && script_arg_is_string(call, 0)) {
        rc = script_arg_to_string(call, 0, "the chunk", &text, e);
        buf_append(&data, rc == 0 ? text : (Slice){NULL, 0});
    } else {
        rc = script_arg_to_json(call, 0, "the value", &data, e);
    }
    if (rc == 0) {
        rc = stream ? agent_stream(context_of(call), buf_slice(&data))
                    : agent_reply(context_of(call), buf_slice(&data));
        if (rc != 0) {
            rc = err_set(e, (ErrCode)rc, "the answer could not be given: %s", err_name(rc));
        }
    }
    buf_done(&data);
    return rc;
}

static int ctx_stream(ScriptCall *call, Err *e)
{
    return give(call, true, e);
}

static int ctx_reply(ScriptCall *call, Err *e)
{
    return give(call, false, e);
}

static int ctx_sleep(ScriptCall *call, Err *e)
{
    int64_t duration_ns = 0;
    int rc = js_duration_arg(call, 0, &duration_ns, e);
    if (rc != 0) {
        return rc;
    }
    rc = agent_sleep(context_of(call), duration_ns);
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "cancelled while asleep");
}

static int ctx_log(ScriptCall *call, Err *e)
{
    return js_log_args(call, agent_name(context_of(call)), e);
}

static int ctx_now(ScriptCall *call, Err *e)
{
    (void)e;
    script_return_number(call, (double)loop_clock(script_loop(call)) / 1e6);
    return 0;
}

// Milliseconds that are left; null without a deadline.
static int ctx_time_left(ScriptCall *call, Err *e)
{
    (void)e;
    int64_t deadline_ns = agent_deadline(context_of(call));
    if (deadline_ns == NEVER_NS) {
        script_return_null(call);
    } else {
        script_return_number(call, (double)(deadline_ns - loop_clock(script_loop(call))) / 1e6);
    }
    return 0;
}

static const ScriptFunction functions[] = {
    {"emit", 2, ctx_emit},   {"call", 2, ctx_call},     {"callAll", 1, ctx_call_all},
    {"tool", 2, ctx_tool},   {"tools", 1, ctx_tools},   {"llm", 1, ctx_llm},
    {"reply", 1, ctx_reply}, {"stream", 1, ctx_stream}, {"sleep", 1, ctx_sleep},
    {"log", 1, ctx_log},     {"now", 0, ctx_now},       {"timeLeft", 0, ctx_time_left},
};
const ScriptModule js_ctx_module = {SCRIPT_OBJECT, "ctx", functions, COUNT_OF(functions)};
