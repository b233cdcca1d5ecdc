#include "improve/transcript.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/doc.h"

#define KEY "sk-ant-0123456789"

// Every line is a JSON object by itself, whatever bytes an engine sent.
static size_t check_lines(Slice text)
{
    size_t lines = 0;
    Slice line;
    while (slice_cut(text, '\n', &line, &text)) {
        Arena *arena = arena_create(64 << 20);
        const Doc *doc = NULL;
        Err e = {0};
        if (doc_parse(arena, line, NULL, &doc, &e) != 0) {
            fail_msg("%s: %.*s", e.text, SLICE_FMT(slice_sub(line, 0, 200)));
        }
        assert_int_equal(doc->type, DOC_OBJECT);
        assert_non_null(doc_get(doc, SLICE("event")));
        arena_destroy(arena);
        lines++;
    }
    assert_int_equal(text.len, 0);
    return lines;
}

static void test_lines_and_totals(void **state)
{
    (void)state;
    ManualClock clock;
    clock_manual_init(&clock, 5 * NS_PER_S, 0);
    Transcript t = transcript_create(&clock.clock);
    clock_manual_advance(&clock, 250 * NS_PER_MS);
    transcript_message(&t, "engine", SLICE("a \"quoted\"\nline \xff"));
    transcript_command(&t, &(TranscriptCommand){.command = SLICE("make"),
                                                .exit_known = true,
                                                .exit_code = 2,
                                                .duration_ns = 1500 * NS_PER_MS});
    transcript_command(
        &t, &(TranscriptCommand){.command = SLICE("x"), .timed_out = true, .duration_ns = -1});
    transcript_edit(&t, SLICE("a.c"), "update");
    transcript_tool(&t, SLICE("grep"), SLICE("{}"));
    transcript_usage(&t, &(TranscriptUsage){10, 5, 2, 7});
    transcript_usage(&t, &(TranscriptUsage){INT64_MAX, -5, 0, 0});
    transcript_timeout(&t, SLICE("engine"));
    transcript_error(&t, SLICE("no"));
    transcript_note(&t, "stopped after %d s", 3);
    assert_int_equal(check_lines(buf_slice(&t.lines)), 10);
    assert_true(
        slice_starts_with(buf_slice(&t.lines), SLICE("{\"t_ms\":250,\"event\":\"message\"")));
    assert_true(slice_find(buf_slice(&t.lines), SLICE("\"exit\":2,\"ms\":1500")) > 0);
    assert_int_equal(t.totals.commands, 2);
    assert_int_equal(t.totals.commands_failed, 1);
    assert_int_equal(t.totals.timeouts, 2);
    assert_int_equal(t.totals.input_tokens, INT64_MAX);
    assert_int_equal(t.totals.output_tokens, 5);
    transcript_done(&t);
}

static void test_secrets_are_hidden(void **state)
{
    (void)state;
    Transcript t = transcript_create(NULL);
    assert_false(transcript_hide(&t, SLICE("short")));
    assert_true(transcript_hide(&t, SLICE(KEY)));
    transcript_message(&t, "engine", SLICE("the key is " KEY ", again " KEY));
    transcript_tool(&t, SLICE(KEY), SLICE("{\"a\":\"" KEY "\"}"));
    transcript_note(&t, "%s", KEY);
    // Where the middle of a long text is left out, a secret that lies across the cut goes first.
    Buf text = buf_create(1 << 20);
    while (text.len < TRANSCRIPT_TEXT_MAX / 2 - 8) {
        buf_putc(&text, 'x');
    }
    buf_puts(&text, KEY);
    while (text.len < 4 * TRANSCRIPT_TEXT_MAX) {
        buf_putc(&text, 'y');
    }
    transcript_error(&t, buf_slice(&text));
    assert_int_equal(slice_find(buf_slice(&t.lines), SLICE("sk-ant")), -1);
    assert_true(slice_find(buf_slice(&t.lines), SLICE("[hidden], again [hidden]")) > 0);
    assert_int_equal(check_lines(buf_slice(&t.lines)), 4);
    for (int i = 1; i < TRANSCRIPT_SECRETS_MAX; i++) {
        assert_true(transcript_hide(&t, SLICE(KEY)));
    }
    assert_false(transcript_hide(&t, SLICE(KEY)));
    buf_done(&text);
    transcript_done(&t);
}

static void test_ceilings(void **state)
{
    (void)state;
    Transcript t = transcript_create(NULL);
    Buf text = buf_create(1 << 20);
    for (size_t i = 0; i < TRANSCRIPT_TEXT_MAX; i++) {
        buf_putc(&text, 'z');
    }
    Buf out = buf_create(1 << 20);
    transcript_clean(&t, buf_slice(&text), &out);
    assert_int_equal(out.len, TRANSCRIPT_TEXT_MAX); // at the edge: whole
    buf_reset(&out);
    buf_putc(&text, 'z');
    transcript_clean(&t, buf_slice(&text), &out);
    assert_true(slice_find(buf_slice(&out), SLICE("[1 bytes left out]")) > 0);
    for (int i = 0; i < 600; i++) {
        transcript_message(&t, "engine", buf_slice(&text));
    }
    assert_true(t.lines.len <= TRANSCRIPT_BYTES_MAX && t.lines.len > TRANSCRIPT_BYTES_MAX - 20000);
    assert_true(t.dropped > 0);
    assert_int_equal(t.totals.messages, 600);
    assert_int_equal(check_lines(buf_slice(&t.lines)), 600 - t.dropped);
    buf_done(&out);
    buf_done(&text);
    transcript_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_totals),
        cmocka_unit_test(test_secrets_are_hidden),
        cmocka_unit_test(test_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
