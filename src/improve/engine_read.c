// One reader for all dialects: each has a function that takes one event; what they have in common
// (a tool call that runs a command, its result, an edit, usage) is told to the transcript here.
#include "improve/engine_read.h"

#include <math.h>

#include "base/json_write.h"

enum {
    NODES_MAX = 20000, // values in one line
    SCRATCH_BYTES_MAX = 64 << 20,
    COMMAND_BYTES_MAX = 64 << 10,
    ERROR_BYTES_MAX = 4 << 10,
    COST_USD_MAX = 1000000, // beyond: not a price but nonsense
};

typedef struct Pending { // a command that was begun
    uint64_t id;         // hash of the call's; 0: free
    int64_t start_ns;
    Buf command;
} Pending;

struct EngineReader {
    EngineKind kind;
    Transcript *t;
    EngineReaderState state;
    Buf line;
    bool skipping; // the rest of a line that is too long
    Arena *scratch;
    Pending pending[ENGINE_PENDING_MAX];
    // Usage where the dialect tells it message by message and repeats itself.
    uint64_t message_id;
    TranscriptUsage base, current, told;
};

EngineReader *engine_reader_create(EngineKind kind, Transcript *transcript)
{
    EngineReader *r = mem_zalloc(sizeof *r);
    r->kind = kind;
    r->t = transcript;
    r->line = buf_create(ENGINE_LINE_BYTES_MAX);
    r->scratch = arena_create(SCRATCH_BYTES_MAX);
    r->state.final_text = buf_create(ENGINE_FINAL_TEXT_MAX);
    r->state.error = buf_create(ERROR_BYTES_MAX);
    return r;
}

void engine_reader_destroy(EngineReader *r)
{
    if (!r) {
        return;
    }
    for (size_t i = 0; i < ENGINE_PENDING_MAX; i++) {
        buf_done(&r->pending[i].command);
    }
    buf_done(&r->state.final_text);
    buf_done(&r->state.error);
    buf_done(&r->line);
    arena_destroy(r->scratch);
    free(r);
}

const EngineReaderState *engine_reader_state(const EngineReader *r)
{
    return &r->state;
}

// ---- values

// The member at "a.b.c", or NULL.
static const Doc *at(const Doc *d, const char *path)
{
    Slice left = slice_from_cstr(path), name;
    bool more = true;
    while (d && more) {
        more = slice_cut(left, '.', &name, &left);
        d = d->type == DOC_OBJECT ? doc_get(d, name) : NULL;
    }
    return d;
}

static Slice text_at(const Doc *d, const char *path)
{
    const Doc *found = at(d, path);
    return found && found->type == DOC_STRING ? found->text : (Slice){0};
}

static bool is(const Doc *d, const char *path, const char *value)
{
    return slice_eq_cstr(text_at(d, path), value);
}

static bool int_at(const Doc *d, const char *path, int64_t *ret_value)
{
    const Doc *found = at(d, path);
    if (!found || found->type != DOC_INT) {
        return false;
    }
    *ret_value = found->integer;
    return true;
}

static int64_t count_at(const Doc *d, const char *path)
{
    int64_t value = 0;
    return int_at(d, path, &value) && value > 0 && value < INT64_MAX / 8 ? value : 0;
}

static int64_t nano_usd_at(const Doc *d, const char *path)
{
    double usd = doc_number(at(d, path));
    return isfinite(usd) && usd > 0 && usd < COST_USD_MAX ? (int64_t)(usd * 1e9) : 0;
}

static void set_text(Buf *buf, Slice text)
{
    buf_reset(buf);
    buf_append(buf, slice_sub(text, 0, buf->max));
}

// ---- what dialects have in common

static void say(EngineReader *r, Slice text)
{
    if (slice_trim(text).len > 0) {
        transcript_message(r->t, "engine", text);
        set_text(&r->state.final_text, text);
    }
}

static void complain(EngineReader *r, Slice text)
{
    transcript_error(r->t, text);
    set_text(&r->state.error, text);
}

static bool one_of(Slice name, const char *const *names)
{
    for (; *names; names++) {
        if (slice_eq_cstr(name, *names)) {
            return true;
        }
    }
    return false;
}

static Pending *pending_of(EngineReader *r, uint64_t id)
{
    for (size_t i = 0; i < ENGINE_PENDING_MAX; i++) {
        if (r->pending[i].id == id) {
            return &r->pending[i];
        }
    }
    return NULL;
}

static void command_begins(EngineReader *r, Slice id, Slice command)
{
    uint64_t hash = slice_hash(id) | 1;
    Pending *p = pending_of(r, hash);
    if (p || (p = pending_of(r, 0)) == NULL) {
        return; // said twice, or more at a time than anybody runs
    }
    p->id = hash;
    p->start_ns = clock_now(r->t->clock);
    p->command = buf_create(COMMAND_BYTES_MAX);
    set_text(&p->command, command);
}

// Programs that only say "failed" often write the code into the output's first or last line.
static bool find_exit(Slice output, int64_t *ret_code)
{
    static const char *const words[] = {"Exit code ", "Exit Code: ", "exit code: ", "exit code ",
                                        NULL};
    for (size_t i = 0; words[i]; i++) {
        Slice word = slice_from_cstr(words[i]);
        ptrdiff_t found = slice_find(output, word);
        if (found < 0) {
            continue;
        }
        Slice digits = slice_sub(output, (size_t)found + word.len, 4);
        while (digits.len > 0 &&
               (digits.ptr[digits.len - 1] < '0' || digits.ptr[digits.len - 1] > '9')) {
            digits.len--;
        }
        if (slice_to_i64(digits, ret_code) == 0) {
            return true;
        }
    }
    return false;
}

static bool says_timeout(Slice output)
{
    return slice_find(slice_sub(output, 0, 300), SLICE("timed out")) >= 0 ||
           (output.len > 300 &&
            slice_find(slice_sub(output, output.len - 300, 300), SLICE("timed out")) >= 0);
}

typedef struct Ended {
    bool ok, exit_known;
    int64_t exit_code;
    Slice output;
} Ended;

static void command_ends(EngineReader *r, Slice id, Ended ended)
{
    Pending *p = pending_of(r, slice_hash(id) | 1);
    if (!p) {
        return; // of a tool that is no command
    }
    if (!ended.exit_known) {
        ended.exit_known = ended.ok || find_exit(ended.output, &ended.exit_code);
    }
    transcript_command(r->t,
                       &(TranscriptCommand){.command = buf_slice(&p->command),
                                            .exit_known = ended.exit_known,
                                            .exit_code = ended.exit_code,
                                            .duration_ns = clock_now(r->t->clock) - p->start_ns,
                                            .timed_out = !ended.ok && says_timeout(ended.output),
                                            .output = ended.output});
    buf_done(&p->command);
    *p = (Pending){0};
}

static void tool_begins(EngineReader *r, Slice id, Slice name, const Doc *arguments)
{
    static const char *const shells[] = {
        "Bash", "bash", "shell", "run_shell_command", "run_in_terminal", NULL};
    static const char *const editors[] = {"Edit",
                                          "Write",
                                          "MultiEdit",
                                          "NotebookEdit",
                                          "edit",
                                          "write",
                                          "multiedit",
                                          "patch",
                                          "create",
                                          "replace",
                                          "write_file",
                                          "apply_patch",
                                          "str_replace_editor",
                                          NULL};
    static const char *const paths[] = {"file_path", "filePath", "path", "notebook_path", NULL};
    Slice command = text_at(arguments, "command");
    if (one_of(name, shells) && command.len > 0) {
        command_begins(r, id, command);
        return;
    }
    for (size_t i = 0; paths[i] && one_of(name, editors); i++) {
        Slice path = text_at(arguments, paths[i]);
        if (path.len > 0) {
            transcript_edit(r->t, path, "update");
            return;
        }
    }
    Buf text = buf_create(ENGINE_LINE_BYTES_MAX);
    if (arguments) {
        JsonWriter w = json_writer(&text, 0);
        doc_write(&w, arguments);
    }
    transcript_tool(r->t, name, buf_slice(&text));
    buf_done(&text);
}

// The sum so far; what is new since it was last told goes into the transcript.
static void usage_total(EngineReader *r, TranscriptUsage total)
{
    TranscriptUsage *told = &r->told;
    TranscriptUsage fresh = {
        total.input_tokens - told->input_tokens, total.output_tokens - told->output_tokens,
        total.cached_tokens - told->cached_tokens, total.cost_nano_usd - told->cost_nano_usd};
    int64_t *parts[] = {&fresh.input_tokens, &fresh.output_tokens, &fresh.cached_tokens,
                        &fresh.cost_nano_usd};
    bool any = false;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        *parts[i] = *parts[i] > 0 ? *parts[i] : 0; // a sum that shrinks is not believed
        any = any || *parts[i] > 0;
    }
    if (any) {
        transcript_usage(r->t, &fresh);
        *told = (TranscriptUsage){
            told->input_tokens + fresh.input_tokens, told->output_tokens + fresh.output_tokens,
            told->cached_tokens + fresh.cached_tokens, told->cost_nano_usd + fresh.cost_nano_usd};
    }
}

// Sums of what comes from outside stay far from the edge: count_at gives at most an eighth.
static int64_t plus(int64_t a, int64_t b)
{
    return a > INT64_MAX / 4 ? a : a + b;
}

static TranscriptUsage sum(TranscriptUsage a, TranscriptUsage b)
{
    return (TranscriptUsage){
        plus(a.input_tokens, b.input_tokens), plus(a.output_tokens, b.output_tokens),
        plus(a.cached_tokens, b.cached_tokens), plus(a.cost_nano_usd, b.cost_nano_usd)};
}

static void usage_more(EngineReader *r, TranscriptUsage usage)
{
    r->base = sum(r->base, usage);
    usage_total(r, r->base);
}

// ---- claude -p --output-format stream-json --verbose

static TranscriptUsage claude_usage(const Doc *usage)
{
    int64_t cached = count_at(usage, "cache_read_input_tokens");
    int64_t input = plus(plus(count_at(usage, "input_tokens"), cached),
                         count_at(usage, "cache_creation_input_tokens"));
    return (TranscriptUsage){input, count_at(usage, "output_tokens"), cached, 0};
}

static void claude_assistant(EngineReader *r, const Doc *message)
{
    for (const Doc *c = doc_first(at(message, "content")); c; c = doc_next(c)) {
        if (is(c, "type", "text")) {
            say(r, text_at(c, "text"));
        } else if (is(c, "type", "tool_use")) {
            tool_begins(r, text_at(c, "id"), text_at(c, "name"), at(c, "input"));
        }
    }
    // Each block of a message is an event that repeats the message's usage.
    uint64_t id = slice_hash(text_at(message, "id"));
    if (id != r->message_id) {
        r->base = sum(r->base, r->current);
        r->message_id = id;
    }
    r->current = claude_usage(at(message, "usage"));
    usage_total(r, sum(r->base, r->current));
}

// Content is a text, or blocks of which the first text is taken.
static Slice content_text(const Doc *content)
{
    if (content && content->type == DOC_STRING) {
        return content->text;
    }
    for (const Doc *c = content && content->type == DOC_ARRAY ? doc_first(content) : NULL; c;
         c = doc_next(c)) {
        if (is(c, "type", "text")) {
            return text_at(c, "text");
        }
    }
    return (Slice){0};
}

static void claude_user(EngineReader *r, const Doc *message)
{
    const Doc *content = at(message, "content");
    for (const Doc *c = content && content->type == DOC_ARRAY ? doc_first(content) : NULL; c;
         c = doc_next(c)) {
        if (is(c, "type", "tool_result")) {
            const Doc *error = at(c, "is_error");
            command_ends(r, text_at(c, "tool_use_id"),
                         (Ended){.ok = !(error && error->type == DOC_BOOL && error->boolean),
                                 .output = content_text(at(c, "content"))});
        }
    }
}

static void claude_result(EngineReader *r, const Doc *d)
{
    TranscriptUsage total = claude_usage(at(d, "usage"));
    total.cost_nano_usd = nano_usd_at(d, "total_cost_usd");
    usage_total(r, total);
    const Doc *error = at(d, "is_error");
    Slice result = text_at(d, "result"), subtype = text_at(d, "subtype");
    r->state.ended = true;
    r->state.failed = (error && error->type == DOC_BOOL && error->boolean) ||
                      (subtype.len > 0 && !slice_eq(subtype, SLICE("success")));
    r->state.over_budget = slice_starts_with(subtype, SLICE("error_max_"));
    if (r->state.failed) {
        complain(r, result.len > 0 ? result : subtype);
    } else if (result.len > 0) {
        set_text(&r->state.final_text, result);
    }
}

static void claude_event(EngineReader *r, const Doc *d)
{
    if (is(d, "type", "assistant")) {
        claude_assistant(r, at(d, "message"));
    } else if (is(d, "type", "user")) {
        claude_user(r, at(d, "message"));
    } else if (is(d, "type", "result")) {
        claude_result(r, d);
    }
}

// ---- codex exec --json

static void codex_command(EngineReader *r, const Doc *item)
{
    command_begins(r, text_at(item, "id"), text_at(item, "command"));
    Ended ended = {.ok = is(item, "status", "completed"),
                   .output = text_at(item, "aggregated_output")};
    ended.exit_known = int_at(item, "exit_code", &ended.exit_code);
    command_ends(r, text_at(item, "id"), ended);
}

static void codex_item(EngineReader *r, const Doc *item)
{
    if (is(item, "type", "agent_message")) {
        say(r, text_at(item, "text"));
    } else if (is(item, "type", "command_execution")) {
        codex_command(r, item);
    } else if (is(item, "type", "file_change")) {
        for (const Doc *c = doc_first(at(item, "changes")); c; c = doc_next(c)) {
            transcript_edit(r->t, text_at(c, "path"),
                            is(c, "kind", "add")      ? "add"
                            : is(c, "kind", "delete") ? "delete"
                                                      : "update");
        }
    } else if (is(item, "type", "mcp_tool_call")) {
        tool_begins(r, text_at(item, "id"), text_at(item, "tool"), at(item, "arguments"));
    } else if (is(item, "type", "error")) {
        complain(r, text_at(item, "message"));
    }
}

static void codex_event(EngineReader *r, const Doc *d)
{
    const Doc *item = at(d, "item");
    if (is(d, "type", "item.started") && is(item, "type", "command_execution")) {
        command_begins(r, text_at(item, "id"), text_at(item, "command"));
    } else if (is(d, "type", "item.completed")) {
        codex_item(r, item);
    } else if (is(d, "type", "turn.completed")) {
        r->state.ended = true;
        r->state.failed = false;
        const Doc *usage = at(d, "usage");
        usage_more(r, (TranscriptUsage){count_at(usage, "input_tokens"),
                                        count_at(usage, "output_tokens"),
                                        count_at(usage, "cached_input_tokens"), 0});
    } else if (is(d, "type", "turn.failed") || is(d, "type", "error")) {
        // "error" alone is also said of a connection that is tried again.
        r->state.failed = true;
        Slice text = text_at(d, "error.message");
        complain(r, text.len > 0 ? text : text_at(d, "message"));
    }
}

// ---- copilot -p --output-format json

static void copilot_usage(EngineReader *r, const Doc *data)
{
    usage_more(r, (TranscriptUsage){count_at(data, "inputTokens"), count_at(data, "outputTokens"),
                                    count_at(data, "cacheReadTokens"), 0});
}

static void copilot_event(EngineReader *r, const Doc *d)
{
    const Doc *data = at(d, "data");
    if (is(d, "type", "assistant.message")) {
        say(r, text_at(data, "content"));
    } else if (is(d, "type", "tool.execution_start")) {
        tool_begins(r, text_at(data, "toolCallId"), text_at(data, "toolName"),
                    at(data, "arguments"));
    } else if (is(d, "type", "tool.execution_complete")) {
        const Doc *success = at(data, "success");
        Slice output = text_at(data, "result.content");
        command_ends(r, text_at(data, "toolCallId"),
                     (Ended){.ok = success && success->type == DOC_BOOL && success->boolean,
                             .output = output.len > 0 ? output : text_at(data, "error.message")});
    } else if (is(d, "type", "assistant.usage")) {
        copilot_usage(r, data);
    } else if (is(d, "type", "session.error")) {
        r->state.failed = true;
        complain(r, text_at(data, "message"));
    } else if (is(d, "type", "result")) {
        int64_t code = 0;
        r->state.ended = true;
        r->state.failed = int_at(d, "exitCode", &code) && code != 0;
    }
}

// ---- gemini -p --output-format stream-json

// An answer comes in pieces; it is told as one message when something else follows.
static void gemini_flush(EngineReader *r)
{
    if (r->state.final_text.len > 0 && r->message_id == 1) {
        transcript_message(r->t, "engine", buf_slice(&r->state.final_text));
    }
    r->message_id = 0;
}

static void gemini_message(EngineReader *r, const Doc *d)
{
    if (!is(d, "role", "assistant")) {
        return;
    }
    if (r->message_id == 0) {
        buf_reset(&r->state.final_text);
        r->message_id = 1;
    }
    Slice piece = text_at(d, "content");
    Buf *text = &r->state.final_text;
    buf_append(text, slice_sub(piece, 0, text->max - text->len));
}

static void gemini_result(EngineReader *r, const Doc *d)
{
    const Doc *stats = at(d, "stats");
    usage_total(r,
                (TranscriptUsage){count_at(stats, "input_tokens"), count_at(stats, "output_tokens"),
                                  count_at(stats, "cached"), 0});
    r->state.ended = true;
    r->state.failed = is(d, "status", "error");
    if (r->state.failed) {
        complain(r, text_at(d, "error.message"));
    }
}

static void gemini_event(EngineReader *r, const Doc *d)
{
    if (is(d, "type", "message")) {
        gemini_message(r, d);
        return;
    }
    gemini_flush(r);
    if (is(d, "type", "tool_use")) {
        tool_begins(r, text_at(d, "tool_id"), text_at(d, "tool_name"), at(d, "parameters"));
    } else if (is(d, "type", "tool_result")) {
        Slice output = text_at(d, "output");
        command_ends(r, text_at(d, "tool_id"),
                     (Ended){.ok = is(d, "status", "success"),
                             .output = output.len > 0 ? output : text_at(d, "error.message")});
    } else if (is(d, "type", "error")) {
        complain(r, text_at(d, "message"));
    } else if (is(d, "type", "result")) {
        gemini_result(r, d);
    }
}

// ---- opencode run --format json

static void opencode_tool(EngineReader *r, const Doc *part)
{
    const Doc *state = at(part, "state");
    Slice id = text_at(part, "callID");
    tool_begins(r, id, text_at(part, "tool"), at(state, "input"));
    Slice output = text_at(state, "output");
    Ended ended = {.ok = is(state, "status", "completed"),
                   .output = output.len > 0 ? output : text_at(state, "error")};
    ended.exit_known = int_at(state, "metadata.exit", &ended.exit_code);
    command_ends(r, id, ended);
}

static void opencode_event(EngineReader *r, const Doc *d)
{
    const Doc *part = at(d, "part");
    if (is(d, "type", "text")) {
        say(r, text_at(part, "text"));
    } else if (is(d, "type", "tool_use")) {
        opencode_tool(r, part);
    } else if (is(d, "type", "step_finish")) {
        r->state.ended = is(part, "reason", "stop");
        const Doc *tokens = at(part, "tokens");
        int64_t cached = count_at(tokens, "cache.read");
        usage_more(
            r, (TranscriptUsage){
                   plus(plus(count_at(tokens, "input"), cached), count_at(tokens, "cache.write")),
                   plus(count_at(tokens, "output"), count_at(tokens, "reasoning")), cached,
                   nano_usd_at(part, "cost")});
    } else if (is(d, "type", "error")) {
        r->state.failed = true;
        Slice text = text_at(d, "error.data.message");
        complain(r, text.len > 0 ? text : text_at(d, "error.name"));
    }
}

// ---- lines

static void take_event(EngineReader *r, const Doc *d)
{
    switch (r->kind) {
    case ENGINE_CLAUDE: claude_event(r, d); return;
    case ENGINE_CODEX: codex_event(r, d); return;
    case ENGINE_COPILOT: copilot_event(r, d); return;
    case ENGINE_GEMINI: gemini_event(r, d); return;
    case ENGINE_OPENCODE: opencode_event(r, d); return;
    case ENGINE_LLM:
    case ENGINE_CMD:
    case ENGINE_PATCH:
    case ENGINE_KINDS: return; // plain text
    }
}

static void take_line(EngineReader *r)
{
    Slice line = slice_trim(buf_slice(&r->line));
    if (line.len > 0 && !r->skipping) {
        const Doc *doc = NULL;
        DocOptions options = {
            .format = DOC_FORMAT_JSON, .max_bytes = ENGINE_LINE_BYTES_MAX, .max_nodes = NODES_MAX};
        arena_reset(r->scratch);
        r->state.lines++;
        if (line.ptr[0] == '{' && doc_parse(r->scratch, line, &options, &doc, NULL) == 0) {
            take_event(r, doc);
        } else {
            r->state.lines_odd++;
        }
    }
    buf_reset(&r->line);
    r->skipping = false;
}

// Keeps the end of what was printed.
static void push_text(EngineReader *r, Slice bytes)
{
    Buf *text = &r->state.final_text;
    if (bytes.len >= text->max) {
        set_text(text, slice_sub(bytes, bytes.len - text->max, text->max));
        return;
    }
    if (text->len + bytes.len > text->max) {
        buf_consume(text, text->len + bytes.len - text->max);
    }
    buf_append(text, bytes);
}

void engine_reader_push(EngineReader *r, Slice bytes)
{
    r->state.bytes += bytes.len;
    if (r->kind == ENGINE_CMD) {
        push_text(r, bytes);
        return;
    }
    while (bytes.len > 0) {
        ptrdiff_t end = slice_find_byte(bytes, '\n');
        Slice piece = end < 0 ? bytes : slice_sub(bytes, 0, (size_t)end);
        bytes = slice_sub(bytes, piece.len + (end >= 0), bytes.len);
        if (!r->skipping && r->line.len + piece.len > ENGINE_LINE_BYTES_MAX) {
            r->skipping = true;
            r->state.lines_long++;
        }
        if (!r->skipping) {
            buf_append(&r->line, piece);
        }
        if (end >= 0) {
            take_line(r);
        }
    }
}

void engine_reader_end(EngineReader *r)
{
    take_line(r);
    if (r->kind == ENGINE_GEMINI) {
        gemini_flush(r);
    }
    for (size_t i = 0; i < ENGINE_PENDING_MAX; i++) {
        Pending *p = &r->pending[i];
        if (p->id != 0) {
            transcript_command(
                r->t, &(TranscriptCommand){.command = buf_slice(&p->command), .duration_ns = -1});
            buf_done(&p->command);
            *p = (Pending){0};
        }
    }
}
