#include "cli/app.h"

#include <stdarg.h>

#include "base/utf8.h"

// Words may quote a file or a server: nothing in them may drive the terminal.
PRINTF_LIKE(2, 0)
static void say(const char *prefix, const char *format, va_list args)
{
    Buf text = buf_create(1 << 20);
    char line[6000];
    (void)vsnprintf(line, sizeof line, format, args);
    Slice rest = slice_from_cstr(line);
    do {
        Slice one;
        (void)slice_cut(rest, '\n', &one, &rest);
        buf_puts(&text, prefix);
        utf8_sanitise(&text, one);
        buf_putc(&text, '\n');
    } while (rest.len > 0);
    (void)fwrite(text.data, 1, text.len, stderr);
    buf_done(&text);
}

void app_say(App *app, const char *format, ...)
{
    if (app->quiet) {
        return;
    }
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void app_warn(App *app, const char *format, ...)
{
    (void)app;
    va_list args;
    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

int app_open_ledger(App *app, const OptionSet *set, bool read_only, Ledger **ret_ledger, Err *e)
{
    Slice path = option_string(set, "ledger");
    if (path.len == 0) {
        path = config_get(app->config, CONFIG_LEDGER)->text;
    }
    LedgerOptions options = {
        .path = path.len > 0 ? arena_cstr(app->arena, path) : NULL,
        .read_only = read_only,
        .must_exist = read_only,
    };
    return ledger_open(&options, ret_ledger, e);
}

ExitCode exit_code_of(int rc)
{
    switch ((ErrCode)rc) {
    case ERR_ARG: return EXIT_USAGE;
    case ERR_PARSE: return EXIT_PLAN_INVALID;
    case ERR_REFUSED: return EXIT_REFUSED;
    case ERR_CANCELLED: return EXIT_SIGNAL;
    case ERR_TIMEOUT: return EXIT_TIMEOUT;
    case ERR_LIMIT:
    case ERR_IO:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_VERSION:
    case ERR_PROTOCOL:
    case ERR_DNS:
    case ERR_CONNECT:
    case ERR_TLS:
    case ERR_CLOSED:
    case ERR_FULL:
    case ERR_CORRUPT:
    case ERR_BUSY:
    case ERR_UNSUPPORTED:
    case ERR_SCRIPT:
    case ERR_UNSTABLE: return EXIT_ERROR;
    }
    return rc == 0 ? EXIT_PASS : EXIT_ERROR;
}
