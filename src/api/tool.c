// Tools in C behind the public header.
#include "api/api.h"

#include <stdarg.h>

#include "os/library.h"

typedef struct ApiTool {
    PwToolFn *run;
    void *library;
} ApiTool;

static int run_tool(ToolCall *call, Err *e)
{
    const ApiTool *tool = tool_self(call);
    PwError error = PW_ERROR_INIT;
    int rc = tool->run((PwToolCall *)call, &error);
    if (rc > 0) {
        return err_set(e, ERR_ARG, "the tool returned %d: 0 or negative is due", rc);
    }
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "%s", error.text[0] ? error.text : err_name(rc));
}

static void destroy_tool(void *self)
{
    ApiTool *tool = self;
    library_close(tool->library);
    free(tool);
}

int api_library_tool(const ConfigTool *config, ToolSet *tools, Err *e)
{
    void *library = NULL, *found = NULL;
    int rc = api_open(config->library, config->symbol, "pw_tool_call", &library, &found, e);
    if (rc != 0) {
        return rc;
    }
    ApiTool *tool = mem_zalloc(sizeof *tool);
    memcpy(&tool->run, &found, sizeof tool->run);
    tool->library = library;
    Buf schema = buf_create(1 << 20);
    if (config->schema) {
        JsonWriter w = json_writer(&schema, 0);
        doc_write(&w, config->schema);
    }
    ToolSpec spec = {
        .name = config->name,
        .description = config->description,
        .schema = buf_slice(&schema),
        .run = run_tool,
        .self = tool,
        .destroy = destroy_tool,
        .result_bytes_max = (size_t)config->max_result,
        .timeout_ns = config->timeout_ns,
    };
    rc = tool_add(tools, &spec, e);
    buf_done(&schema);
    if (rc != 0) {
        destroy_tool(tool);
    }
    return rc;
}

static ToolCall *call_of(const PwToolCall *call)
{
    return (ToolCall *)(uintptr_t)call;
}

const char *pw_tool_args(const PwToolCall *call, size_t *ret_length)
{
    Slice args = tool_args_json(call_of(call));
    if (ret_length) {
        *ret_length = args.len;
    }
    return arena_cstr(tool_arena(call_of(call)), args);
}

int pw_tool_return(PwToolCall *call, const char *json, size_t length, PwError *error)
{
    Err e = {0};
    int rc = tool_return(call_of(call), (Slice){json, length}, &e);
    return rc ? api_error(error, &e, rc) : 0;
}

int pw_tool_fail(PwError *error, int code, const char *format, ...)
{
    Err e = {0};
    char words[PW_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    int rc = err_set(&e, (ErrCode)(code < 0 ? code : ERR_ARG), "%s", words);
    return api_error(error, &e, rc);
}
