#include "agent/js_program.h"

// A JavaScript module as a tool: export default (args, ctx) => value.

typedef struct JsTool {
    JsProgram *program;
    size_t result_bytes_max; // of the script's value before the tool's own ceiling speaks
} JsTool;

// ---- what `ctx` offers

static int ctx_item(ScriptCall *call, Err *e)
{
    ToolCall *tool = script_host(call);
    Buf json = buf_create(tool_result_max(tool));
    int rc = script_arg_to_json(call, 0, "the item", &json, e);
    if (rc == 0) {
        rc = tool_item(tool, buf_slice(&json), e);
    }
    buf_done(&json);
    return rc;
}

static int ctx_page(ScriptCall *call, Err *e)
{
    ToolPage page = tool_page(script_host(call));
    Buf json = buf_create(TOOL_PAGE_TOKEN_MAX * 8 + 64);
    JsonWriter w = json_writer(&json, 0);
    json_object_begin(&w);
    json_field_int(&w, "size", page.size);
    json_field_string(&w, "token", page.token);
    json_object_end(&w);
    int rc = script_return_json(call, buf_slice(&json), e);
    buf_done(&json);
    return rc;
}

static int ctx_next_page(ScriptCall *call, Err *e)
{
    Slice token;
    int rc = script_arg_to_string(call, 0, "the page token", &token, e);
    return rc != 0 ? rc : tool_next_page(script_host(call), token, e);
}

static int ctx_sleep(ScriptCall *call, Err *e)
{
    int64_t duration_ns = 0;
    int rc = js_duration_arg(call, 0, &duration_ns, e);
    if (rc != 0) {
        return rc;
    }
    int64_t due_ns = clock_deadline(loop_clock(script_loop(call)), duration_ns);
    int64_t deadline_ns = script_deadline_ns(call);
    rc = fiber_sleep_until(due_ns < deadline_ns ? due_ns : deadline_ns);
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "cancelled while asleep");
}

static int ctx_log(ScriptCall *call, Err *e)
{
    return js_log_args(call, tool_name(script_host(call)), e);
}

static const ScriptFunction functions[] = {
    {"item", 1, ctx_item},   {"page", 0, ctx_page}, {"nextPage", 1, ctx_next_page},
    {"sleep", 1, ctx_sleep}, {"log", 1, ctx_log},
};
static const ScriptModule tool_context = {SCRIPT_OBJECT, "ctx", functions, COUNT_OF(functions)};
static const ScriptModule *const modules[] = {&tool_context};

// ---- running

static int run(ToolCall *call, Err *e)
{
    JsTool *tool = tool_self(call);
    JsLoan loan;
    int64_t deadline_ns = tool_deadline_ns(call);
    int rc = js_program_borrow(tool->program, deadline_ns, &loan, e);
    if (rc != 0) {
        return rc;
    }
    Buf value = buf_create(tool->result_bytes_max);
    ScriptArg args[] = {script_arg_doc(tool_args(call)), script_arg_object(&tool_context)};
    ScriptCallOptions options = {.deadline_ns = deadline_ns, .host = call};
    rc = script_call(loan.script, "default", args, COUNT_OF(args), &options, &value, e);
    js_program_give(&loan);
    // Nothing returned: what was given one by one is the result.
    if (rc == 0 && value.len > 0) {
        rc = tool_return(call, buf_slice(&value), e);
    }
    buf_done(&value);
    return rc;
}

static void destroy(void *self)
{
    JsTool *tool = self;
    js_program_destroy(tool->program);
    free(tool);
}

static int fill_spec(const JsOptions *options, const Doc *exports, Arena *arena, ToolSpec *spec,
                     Err *e)
{
    const Doc *description = doc_get(exports, SLICE("description"));
    const Doc *schema = doc_get(exports, SLICE("schema"));
    const Doc *paginated = doc_get(exports, SLICE("paginated"));
    if (description && description->type != DOC_STRING) {
        return err_set(e, ERR_ARG, "%s: `description` must be text", options->entry);
    }
    if (paginated && paginated->type != DOC_BOOL) {
        return err_set(e, ERR_ARG, "%s: `paginated` must be true or false", options->entry);
    }
    spec->description = options->description.len > 0 ? options->description
                        : description                ? description->text
                                                     : (Slice){NULL, 0};
    spec->schema = options->schema;
    spec->paginated = paginated && paginated->boolean;
    if (schema && spec->schema.len == 0) {
        Buf text = buf_create(DOC_BYTES_MAX);
        JsonWriter w = json_writer(&text, 0);
        doc_write(&w, schema);
        spec->schema = arena_copy(arena, buf_slice(&text));
        buf_done(&text);
    }
    return 0;
}

int js_tool_add(ToolSet *set, Slice name, const JsOptions *options, Err *e)
{
    JsProgram *program;
    Buf exports = buf_create(DOC_BYTES_MAX);
    int rc = js_program_create(options, modules, COUNT_OF(modules), &program, &exports, e);
    if (rc != 0) {
        buf_done(&exports);
        return rc;
    }
    JsTool *tool = mem_zalloc(sizeof *tool);
    tool->program = program;
    tool->result_bytes_max =
        options->limits.heap_bytes ? options->limits.heap_bytes : (size_t)SCRIPT_HEAP_BYTES;
    ToolSpec spec = {.name = name,
                     .run = run,
                     .self = tool,
                     .destroy = destroy,
                     .result_bytes_max = options->result_bytes_max,
                     .timeout_ns = options->timeout_ns};
    Arena *arena = arena_create((size_t)256 << 20);
    const Doc *doc;
    rc = doc_parse(arena, buf_slice(&exports), NULL, &doc, e);
    if (rc == 0) {
        rc = fill_spec(options, doc, arena, &spec, e);
    }
    if (rc == 0) {
        rc = tool_add(set, &spec, e);
    }
    if (rc != 0) {
        destroy(tool);
    }
    arena_destroy(arena);
    buf_done(&exports);
    return rc;
}
