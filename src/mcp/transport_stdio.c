// A server as a child process: one message a line in both directions, logs on standard error. The
// end is as the specification asks: close its input, wait, SIGTERM, wait, SIGKILL.
#include <signal.h>

#include "mcp/transport.h"
#include "os/process.h"

enum {
    QUEUE_BYTES_MAX = 16 << 20, // written but not read by the server
    LOG_LINE_MAX = 8 << 10,
    JUNK_LINES_MAX = 100, // lines on standard output that are no messages
};
static const int64_t LEAVE_NS = 2 * NS_PER_S; // between the steps of closing

typedef struct Stdio {
    McpTransport base;
    McpStdioOptions options;
    Loop *loop;
    Process *process; // NULL when it has ended
    McpIntake line;
    Buf log;
    unsigned junk;
    bool line_is_junk;
    bool failed; // the sink was told
    Fiber *closer;
} Stdio;

static void tell_closed(Stdio *t, int rc, const Err *why)
{
    if (!t->failed) {
        t->failed = true;
        t->options.sink.closed(t->options.sink.ctx, rc, why);
    }
}

// The server broke the rules: what it says after that means nothing.
static void give_up(Stdio *t, int rc, const Err *why)
{
    tell_closed(t, rc, why);
    process_kill(t->process, SIGKILL);
}

static void log_junk(Stdio *t)
{
    Slice text = mcp_intake_text(&t->line);
    Buf line = buf_create(LOG_LINE_MAX);
    buf_puts(&line, "standard output has a line that is no message: ");
    buf_append(&line, slice_sub(text, 0, LOG_LINE_MAX / 2));
    t->options.sink.log(t->options.sink.ctx, buf_slice(&line));
    buf_done(&line);
    if (++t->junk > JUNK_LINES_MAX) {
        Err e;
        int rc =
            err_set(&e, ERR_PROTOCOL, "the server wrote more than %d lines that are no messages",
                    JUNK_LINES_MAX);
        give_up(t, rc, &e);
    }
}

static void end_line(Stdio *t)
{
    bool blank = !t->line.path && slice_trim(mcp_intake_text(&t->line)).len == 0;
    if (!blank || t->line_is_junk) {
        Err e;
        int rc = t->line_is_junk ? ERR_PARSE : mcp_intake_end(&t->line, &e);
        if (rc == ERR_PARSE) {
            log_junk(t);
        } else if (rc != 0) {
            give_up(t, rc, &e);
        } else {
            t->options.sink.message(t->options.sink.ctx, &t->line);
        }
    }
    mcp_intake_reset(&t->line);
    t->line_is_junk = false;
}

static void on_messages(Stdio *t, Slice bytes)
{
    while (bytes.len > 0 && !t->failed) {
        ptrdiff_t end = slice_find_byte(bytes, '\n');
        Slice piece = slice_sub(bytes, 0, end < 0 ? bytes.len : (size_t)end);
        Err e;
        int rc = t->line_is_junk ? 0 : mcp_intake_feed(&t->line, piece, &e);
        // Programs that print a banner are common: such a line is skipped, not fatal.
        if (rc == ERR_PARSE) {
            t->line_is_junk = true;
            buf_append(&t->line.memory, slice_sub(piece, 0, LOG_LINE_MAX / 2));
        }
        if (rc != 0 && rc != ERR_PARSE) {
            give_up(t, rc, &e);
            return;
        }
        if (end < 0) {
            return;
        }
        end_line(t);
        bytes = slice_sub(bytes, (size_t)end + 1, bytes.len);
    }
}

static void on_log(Stdio *t, Slice bytes)
{
    while (bytes.len > 0) {
        ptrdiff_t end = slice_find_byte(bytes, '\n');
        Slice piece = slice_sub(bytes, 0, end < 0 ? bytes.len : (size_t)end);
        buf_append(&t->log, slice_sub(piece, 0, t->log.max - t->log.len));
        if (end < 0) {
            return;
        }
        t->options.sink.log(t->options.sink.ctx, buf_slice(&t->log));
        buf_reset(&t->log);
        bytes = slice_sub(bytes, (size_t)end + 1, bytes.len);
    }
}

static void on_output(void *ctx, ProcessStream stream, Slice bytes)
{
    Stdio *t = ctx;
    if (stream == PROCESS_ERR) {
        on_log(t, bytes);
    } else {
        on_messages(t, bytes);
    }
}

static void on_end(void *ctx, const ProcessEnd *end)
{
    Stdio *t = ctx;
    t->process = NULL;
    Err e;
    if (end->signal) {
        (void)err_set(&e, ERR_CLOSED, "the server was ended by signal %d", end->signal);
    } else {
        (void)err_set(&e, ERR_CLOSED, "the server ended with exit code %d", end->exit_code);
    }
    tell_closed(t, ERR_CLOSED, &e);
    if (t->closer) {
        fiber_resume(t->closer);
    }
}

static int stdio_send(McpTransport *base, const McpSend *send, Err *e)
{
    Stdio *t = CONTAINER_OF(base, Stdio, base);
    if (!t->process || t->failed) {
        return err_set(e, ERR_CLOSED, "the server is gone");
    }
    Buf line = buf_create(send->text.len + 1);
    buf_append(&line, send->text);
    buf_putc(&line, '\n');
    int rc = process_write(t->process, buf_slice(&line), e);
    buf_done(&line);
    return rc;
}

static void stdio_forget(McpTransport *base, int64_t id, bool answered)
{
    (void)base; // the client says notifications/cancelled, which is all there is to do
    (void)id;
    (void)answered;
}

static void stdio_listen(McpTransport *base, Slice version)
{
    (void)base; // messages that answer nothing come anyway
    (void)version;
}

// True when the process is gone.
static bool wait_for_end(Stdio *t, int64_t deadline_ns)
{
    t->closer = fiber_self();
    while (t->process && loop_clock(t->loop) < deadline_ns) {
        if (fiber_park("mcp server's end", deadline_ns) == ERR_CANCELLED) {
            break; // in a hurry: the next step at once
        }
    }
    t->closer = NULL;
    return !t->process;
}

static void stdio_close(McpTransport *base, int64_t deadline_ns)
{
    Stdio *t = CONTAINER_OF(base, Stdio, base);
    t->failed = true; // what follows is our doing and no news
    if (t->process && fiber_self()) {
        process_close_input(t->process);
        int64_t now = loop_clock(t->loop);
        int64_t step = (deadline_ns - now) / 2 < LEAVE_NS ? (deadline_ns - now) / 2 : LEAVE_NS;
        if (!wait_for_end(t, now + step)) {
            process_kill(t->process, SIGTERM);
            (void)wait_for_end(t, loop_clock(t->loop) + step);
        }
    }
    process_abandon(t->process); // SIGKILL
    mcp_intake_done(&t->line);
    buf_done(&t->log);
    free(t);
}

int mcp_stdio_open(const McpStdioOptions *options, McpTransport **ret, Err *e)
{
    static const McpTransportOps OPS = {
        .send = stdio_send, .forget = stdio_forget, .listen = stdio_listen, .close = stdio_close};
    Stdio *t = mem_zalloc(sizeof *t);
    t->base.ops = &OPS;
    t->options = *options;
    t->loop = fiber_pool_loop(options->pool);
    t->line = mcp_intake_create(&options->limits);
    t->log = buf_create(LOG_LINE_MAX);
    ProcessOptions process = {.loop = t->loop,
                              .argv = options->argv,
                              .envp = options->envp,
                              .directory = options->directory,
                              .talk_bytes_max = QUEUE_BYTES_MAX,
                              .grace_ns = NS_PER_S,
                              .output_fn = on_output,
                              .end_fn = on_end,
                              .ctx = t};
    int rc = process_start(&process, &t->process, e);
    if (rc != 0) {
        stdio_close(&t->base, 0);
        return rc;
    }
    *ret = &t->base;
    return 0;
}
