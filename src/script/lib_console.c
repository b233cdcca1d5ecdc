#include "script/engine.h"

// console.log and its kin, and the same functions as module "log".

enum { LINE_MAX_BYTES = 16 << 10 };

static int write_line(ScriptCall *call, LogLevel level, Err *e)
{
    Script *s = call->script;
    if (!s->options.log && !log_enabled(level)) {
        return 0;
    }
    int rc = 0;
    Buf line = buf_create(LINE_MAX_BYTES);
    Buf part = buf_create(s->program->limits.heap_bytes);
    for (size_t i = 0; i < script_arg_count(call) && rc == 0; i++) {
        buf_reset(&part);
        rc = script_arg_to_text(call, i, &part, e);
        buf_puts(&line, i > 0 ? " " : "");
        // A line that is too long is cut, not lost.
        buf_append(&line, slice_sub(buf_slice(&part), 0, line.max - line.len));
    }
    if (rc == 0 && s->options.log) {
        s->options.log(s->options.log_context, level, buf_slice(&line));
    } else if (rc == 0) {
        LOG(level, "script", log_cstr("name", s->program->entry),
            log_text("text", buf_slice(&line)));
    }
    buf_done(&part);
    buf_done(&line);
    return rc;
}

static int log_debug(ScriptCall *call, Err *e)
{
    return write_line(call, LOG_DEBUG, e);
}

static int log_info(ScriptCall *call, Err *e)
{
    return write_line(call, LOG_INFO, e);
}

static int log_warn(ScriptCall *call, Err *e)
{
    return write_line(call, LOG_WARN, e);
}

static int log_error(ScriptCall *call, Err *e)
{
    return write_line(call, LOG_ERROR, e);
}

static const ScriptFunction functions[] = {
    {"log", 1, log_info},  {"debug", 1, log_debug}, {"info", 1, log_info},
    {"warn", 1, log_warn}, {"error", 1, log_error},
};
const ScriptModule script_console = {SCRIPT_GLOBAL_OBJECT, "console", functions,
                                     COUNT_OF(functions)};
const ScriptModule script_log = {SCRIPT_IMPORT, "log", functions, COUNT_OF(functions)};
