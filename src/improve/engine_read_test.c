// Events as the programs document them, read in October 2026:
// claude: code.claude.com/docs/en/headless and the Agent SDK's SDKMessage types;
// codex: github.com/openai/codex codex-rs/exec/src/exec_events.rs;
// copilot: github.com/github/copilot-sdk, session events; docs.github.com, CLI command reference;
// gemini: github.com/google-gemini/gemini-cli packages/core/src/output/types.ts;
// opencode: github.com/sst/opencode packages/opencode/src/cli/cmd/run.ts.
#include "improve/engine_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "improve/engine_settings.h"

typedef struct Read {
    ManualClock clock;
    Transcript t;
    EngineReader *r;
} Read;

static void open_read(Read *x, EngineKind kind)
{
    clock_manual_init(&x->clock, 0, 0);
    x->t = transcript_create(&x->clock.clock);
    x->r = engine_reader_create(kind, &x->t);
}

static void close_read(Read *x)
{
    engine_reader_destroy(x->r);
    transcript_done(&x->t);
}

typedef struct Case {
    EngineKind kind;
    const char *lines;
    const char *expected[8]; // parts of the transcript, in this order
    const char *final_text;
    const char *error;
    TranscriptTotals totals;
    bool failed, over_budget, ended;
} Case;

static const Case CASES[] = {
    {ENGINE_CLAUDE,
     "{\"type\":\"system\",\"subtype\":\"init\",\"model\":\"m\",\"tools\":[\"Bash\"]}\n"
     "{\"type\":\"assistant\",\"message\":{\"id\":\"msg_1\",\"content\":[{\"type\":\"text\","
     "\"text\":\"I look.\"}],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":90,"
     "\"output_tokens\":5}}}\n"
     "{\"type\":\"assistant\",\"message\":{\"id\":\"msg_1\",\"content\":[{\"type\":\"tool_use\","
     "\"id\":\"t1\",\"name\":\"Bash\",\"input\":{\"command\":\"make\"}}],\"usage\":{"
     "\"input_tokens\":10,\"cache_read_input_tokens\":90,\"output_tokens\":25}}}\n"
     "{\"type\":\"user\",\"message\":{\"content\":[{\"tool_use_id\":\"t1\",\"type\":\"tool_"
     "result\","
     "\"content\":\"Exit code 2\\nno rule\",\"is_error\":true}]}}\n"
     "{\"type\":\"assistant\",\"message\":{\"id\":\"msg_2\",\"content\":[{\"type\":\"tool_use\","
     "\"id\":\"t2\",\"name\":\"Edit\",\"input\":{\"file_path\":\"/work/a.c\",\"old_string\":\"x\"}}"
     "],\"usage\":{\"input_tokens\":20,\"output_tokens\":7}}}\n"
     "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"num_turns\":3,\"result\":"
     "\"Done, 12x faster.\",\"total_cost_usd\":0.25,\"usage\":{\"input_tokens\":30,"
     "\"cache_read_input_tokens\":90,\"output_tokens\":40}}\n",
     {"\"text\":\"I look.\"", "\"input\":100,\"output\":5,\"cached\":90", "\"output\":20",
      "\"command\":\"make\",\"exit\":2", "\"path\":\"/work/a.c\"", "\"input\":20,\"output\":7",
      "\"cost_nano_usd\":250000000"},
     "Done, 12x faster.",
     "",
     {1, 1, 1, 0, 1, 0, 120, 40, 90, 250000000},
     .ended = true},
    {ENGINE_CLAUDE,
     "{\"type\":\"result\",\"subtype\":\"error_max_turns\",\"is_error\":false}",
     {"error_max_turns"},
     "",
     "error_max_turns",
     {.errors = 1},
     .failed = true,
     .over_budget = true,
     .ended = true},
    {ENGINE_CODEX,
     "{\"type\":\"thread.started\",\"thread_id\":\"0199\"}\n{\"type\":\"turn.started\"}\n"
     "{\"type\":\"item.started\",\"item\":{\"id\":\"item_1\",\"type\":\"command_execution\","
     "\"command\":\"bash -lc ls\",\"aggregated_output\":\"\",\"exit_code\":null,\"status\":"
     "\"in_progress\"}}\n"
     "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_1\",\"type\":\"command_execution\","
     "\"command\":\"bash -lc ls\",\"aggregated_output\":\"a.c\\n\",\"exit_code\":0,\"status\":"
     "\"completed\"}}\n"
     "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_2\",\"type\":\"file_change\","
     "\"changes\":"
     "[{\"path\":\"a.c\",\"kind\":\"update\"},{\"path\":\"b.c\",\"kind\":\"add\"}],\"status\":"
     "\"completed\"}}\n"
     "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_3\",\"type\":\"agent_message\",\"text\":"
     "\"Fixed.\"}}\n"
     "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":24763,\"cached_input_tokens\":24448,"
     "\"output_tokens\":122}}\n",
     {"\"command\":\"bash -lc ls\",\"exit\":0", "\"path\":\"a.c\",\"kind\":\"update\"",
      "\"path\":\"b.c\",\"kind\":\"add\"", "Fixed.", "\"input\":24763"},
     "Fixed.",
     "",
     {1, 1, 0, 0, 2, 0, 24763, 122, 24448, 0},
     .ended = true},
    {ENGINE_CODEX,
     "{\"type\":\"turn.failed\",\"error\":{\"message\":\"stream disconnected\"}}\n",
     {"stream disconnected"},
     "",
     "stream disconnected",
     {.errors = 1},
     .failed = true},
    {ENGINE_COPILOT,
     "{\"type\":\"assistant.message\",\"data\":{\"messageId\":\"m\",\"content\":\"Looking\"}}\n"
     "{\"type\":\"tool.execution_start\",\"data\":{\"toolCallId\":\"c1\",\"toolName\":\"bash\","
     "\"arguments\":{\"command\":\"make test\"}}}\n"
     "{\"type\":\"tool.execution_complete\",\"data\":{\"toolCallId\":\"c1\",\"success\":false,"
     "\"error\":{\"message\":\"Command timed out after 120 s\"}}}\n"
     "{\"type\":\"assistant.usage\",\"data\":{\"model\":\"m\",\"inputTokens\":15,\"outputTokens\":"
     "5,"
     "\"cacheReadTokens\":2}}\n"
     "{\"type\":\"result\",\"exitCode\":0}\n",
     {"Looking", "\"command\":\"make test\"", "\"timed_out\":true", "\"input\":15"},
     "Looking",
     "",
     {1, 1, 0, 1, 0, 0, 15, 5, 2, 0},
     .ended = true},
    {ENGINE_GEMINI,
     "{\"type\":\"init\",\"timestamp\":\"t\",\"session_id\":\"s\",\"model\":\"g\"}\n"
     "{\"type\":\"message\",\"role\":\"user\",\"content\":\"goal\"}\n"
     "{\"type\":\"tool_use\",\"tool_name\":\"run_shell_command\",\"tool_id\":\"r1\",\"parameters\":"
     "{\"command\":\"ls\"}}\n"
     "{\"type\":\"tool_result\",\"tool_id\":\"r1\",\"status\":\"success\",\"output\":\"a.c\"}\n"
     "{\"type\":\"tool_use\",\"tool_name\":\"write_file\",\"tool_id\":\"w1\",\"parameters\":{"
     "\"file_path\":\"a.c\"}}\n"
     "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"All \",\"delta\":true}\n"
     "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"done\",\"delta\":true}\n"
     "{\"type\":\"result\",\"status\":\"success\",\"stats\":{\"total_tokens\":30,\"input_tokens\":"
     "20,"
     "\"output_tokens\":10,\"cached\":4,\"input\":16,\"duration_ms\":5,\"tool_calls\":2}}\n",
     {"\"command\":\"ls\",\"exit\":0", "\"path\":\"a.c\"", "\"text\":\"All done\"", "\"input\":20"},
     "All done",
     "",
     {1, 1, 0, 0, 1, 0, 20, 10, 4, 0},
     .ended = true},
    {ENGINE_OPENCODE,
     "{\"type\":\"step_start\",\"timestamp\":1,\"sessionID\":\"ses\",\"part\":{\"type\":"
     "\"step-start\"}}\n"
     "{\"type\":\"tool_use\",\"timestamp\":2,\"sessionID\":\"ses\",\"part\":{\"type\":\"tool\","
     "\"callID\":\"c\",\"tool\":\"bash\",\"state\":{\"status\":\"completed\",\"input\":{"
     "\"command\":"
     "\"make\"},\"output\":\"bad\",\"metadata\":{\"exit\":3}}}}\n"
     "{\"type\":\"text\",\"part\":{\"type\":\"text\",\"text\":\"ok\"}}\n"
     "{\"type\":\"step_finish\",\"part\":{\"type\":\"step-finish\",\"reason\":\"stop\",\"cost\":0."
     "001,"
     "\"tokens\":{\"input\":8,\"output\":3,\"reasoning\":1,\"cache\":{\"read\":2,\"write\":4}}}}\n",
     {"\"command\":\"make\",\"exit\":3", "ok", "\"input\":14,\"output\":4,\"cached\":2"},
     "ok",
     "",
     {1, 1, 1, 0, 0, 0, 14, 4, 2, 1000000},
     .ended = true},
    {ENGINE_CMD, "any\ntext {\n", {NULL}, "any\ntext {\n", "", {0}},
};

static void check_totals(const TranscriptTotals *a, const TranscriptTotals *b)
{
    assert_int_equal(a->messages, b->messages);
    assert_int_equal(a->commands, b->commands);
    assert_int_equal(a->commands_failed, b->commands_failed);
    assert_int_equal(a->timeouts, b->timeouts);
    assert_int_equal(a->edits, b->edits);
    assert_int_equal(a->errors, b->errors);
    assert_int_equal(a->input_tokens, b->input_tokens);
    assert_int_equal(a->output_tokens, b->output_tokens);
    assert_int_equal(a->cached_tokens, b->cached_tokens);
    assert_int_equal(a->cost_nano_usd, b->cost_nano_usd);
}

static void check_case(const Case *c, size_t piece)
{
    Read x;
    open_read(&x, c->kind);
    for (Slice left = slice_from_cstr(c->lines); left.len > 0;) {
        engine_reader_push(x.r, slice_sub(left, 0, piece));
        left = slice_sub(left, piece, left.len);
    }
    engine_reader_end(x.r);
    const EngineReaderState *s = engine_reader_state(x.r);
    Slice lines = buf_slice(&x.t.lines);
    for (size_t i = 0; i < 8 && c->expected[i]; i++) {
        ptrdiff_t at = slice_find(lines, slice_from_cstr(c->expected[i]));
        if (at < 0) {
            fail_msg("%s: no %s in\n%.*s", ENGINE_NAMES[c->kind], c->expected[i],
                     SLICE_FMT(buf_slice(&x.t.lines)));
        }
        lines = slice_sub(lines, (size_t)at, lines.len);
    }
    assert_true(slice_eq_cstr(buf_slice(&s->final_text), c->final_text));
    assert_true(slice_eq_cstr(buf_slice(&s->error), c->error));
    assert_int_equal(s->failed, c->failed);
    assert_int_equal(s->over_budget, c->over_budget);
    assert_int_equal(s->ended, c->ended);
    assert_int_equal(s->lines_odd, 0);
    check_totals(&x.t.totals, &c->totals);
    close_read(&x);
}

static void test_formats(void **state)
{
    (void)state;
    static const size_t pieces[] = {1 << 20, 1, 7, 100};
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        for (size_t p = 0; p < COUNT_OF(pieces); p++) {
            check_case(&CASES[i], pieces[p]);
        }
    }
}

// Whatever is printed, the reader goes on with the next line.
static void test_garbage(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "not json",
        "{\"type\":",
        "[1,2]",
        "{\"type\":5}",
        "{\"type\":\"assistant\"}",
        "{\"type\":\"assistant\",\"message\":{\"content\":\"text\",\"usage\":[]}}",
        "{\"type\":\"user\",\"message\":{\"content\":[{\"type\":\"tool_result\"}]}}",
        "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\",\"name\":7}],"
        "\"usage\":{\"input_tokens\":-5,\"output_tokens\":1e300}}}",
        "\x1b[31mred\x1b[0m",
        "\xff\xfe",
    };
    Read x;
    open_read(&x, ENGINE_CLAUDE);
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        engine_reader_push(x.r, slice_from_cstr(odd[i]));
        engine_reader_push(x.r, SLICE("\n"));
    }
    engine_reader_push(x.r, slice_from_cstr(CASES[0].lines));
    engine_reader_end(x.r);
    assert_true(engine_reader_state(x.r)->ended);
    assert_int_equal(engine_reader_state(x.r)->lines_odd, 5);
    assert_int_equal(x.t.totals.input_tokens, 120);
    close_read(&x);
}

static void test_long_lines(void **state)
{
    (void)state;
    Read x;
    open_read(&x, ENGINE_OPENCODE);
    Buf line = buf_create(4 << 20);
    buf_puts(&line, "{\"type\":\"text\",\"part\":{\"text\":\"");
    while (line.len < ENGINE_LINE_BYTES_MAX - 3) {
        buf_putc(&line, 'a');
    }
    buf_puts(&line, "\"}}"); // at the edge: read
    engine_reader_push(x.r, buf_slice(&line));
    engine_reader_push(x.r, SLICE("\n"));
    assert_int_equal(x.t.totals.messages, 1);
    engine_reader_push(x.r, buf_slice(&line));
    engine_reader_push(x.r, SLICE(" \n{\"type\":\"text\",\"part\":{\"text\":\"after\"}}"));
    engine_reader_end(x.r);
    const EngineReaderState *s = engine_reader_state(x.r);
    assert_int_equal(s->lines_long, 1);
    assert_true(slice_eq_cstr(buf_slice(&s->final_text), "after"));
    assert_int_equal(x.t.totals.messages, 2);
    buf_done(&line);
    close_read(&x);
}

static void test_commands_that_never_end(void **state)
{
    (void)state;
    Read x;
    open_read(&x, ENGINE_CODEX);
    char line[200];
    for (int i = 0; i < ENGINE_PENDING_MAX + 1; i++) {
        (void)snprintf(line, sizeof line,
                       "{\"type\":\"item.started\",\"item\":{\"id\":\"%d\",\"type\":"
                       "\"command_execution\",\"command\":\"sleep %d\"}}\n",
                       i, i);
        engine_reader_push(x.r, slice_from_cstr(line));
    }
    clock_manual_advance(&x.clock, 3 * NS_PER_S);
    engine_reader_push(x.r, SLICE("{\"type\":\"item.completed\",\"item\":{\"id\":\"5\",\"type\":"
                                  "\"command_execution\",\"command\":\"sleep 5\",\"exit_code\":0,"
                                  "\"status\":\"completed\"}}\n"));
    assert_true(slice_find(buf_slice(&x.t.lines), SLICE("\"exit\":0,\"ms\":3000")) > 0);
    engine_reader_end(x.r);
    assert_int_equal(x.t.totals.commands, ENGINE_PENDING_MAX);
    close_read(&x);
}

// 100 MB of output take no more memory than one line.
static void test_much_output(void **state)
{
    (void)state;
    Read x;
    open_read(&x, ENGINE_CMD);
    static char piece[1 << 16];
    memset(piece, 'x', sizeof piece);
    piece[sizeof piece - 1] = '!';
    for (int i = 0; i < 1600; i++) {
        engine_reader_push(x.r, (Slice){piece, sizeof piece - (i % 3 == 0)});
    }
    const EngineReaderState *s = engine_reader_state(x.r);
    assert_true(s->bytes > 100000000);
    assert_int_equal(s->final_text.len, ENGINE_FINAL_TEXT_MAX);
    assert_true(slice_ends_with(buf_slice(&s->final_text), SLICE("x!")) ||
                slice_ends_with(buf_slice(&s->final_text), SLICE("xx")));
    close_read(&x);
}

static void test_choices(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    EngineChoice choice;
    Err e;
    for (EngineKind kind = 0; kind < ENGINE_CMD; kind++) {
        assert_int_equal(engine_parse(arena, slice_from_cstr(ENGINE_NAMES[kind]), &choice, &e), 0);
        assert_int_equal(choice.kind, kind);
    }
    assert_int_equal(engine_parse(arena, SLICE("cmd:./fix.sh a:b"), &choice, &e), 0);
    assert_string_equal(choice.argument.ptr, "./fix.sh a:b");
    assert_int_equal(engine_parse(arena, SLICE("patch:x.diff"), &choice, &e), 0);
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"cmd", "wants what to run"},        {"cmd: ", "wants what to run"},
        {"patch:", "wants what to apply"},   {"claude:x", "takes nothing"},
        {"cluade", "did you mean 'claude'"}, {"", "there is no engine ''"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(engine_parse(arena, slice_from_cstr(bad[i].text), &choice, &e), ERR_ARG);
        assert_non_null(strstr(e.text, bad[i].words));
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),     cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_long_lines),  cmocka_unit_test(test_commands_that_never_end),
        cmocka_unit_test(test_much_output), cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
