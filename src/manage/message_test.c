#include "manage/message.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

static const Slice ID = SLICE_INIT("a-1-7");

// One message of every type, with every field that it may have.
static Message sample(MessageType type)
{
    static MessageChange changes[] = {{SLICE_INIT("a->b.retry.attempts"), SLICE_INIT("2")},
                                      {SLICE_INIT("d.servers"), SLICE_INIT("18")}};
    static MessageConstraint constraints[] = {
        {SLICE_INIT("b->c.timeout.attempt"), CONSTRAINT_AT_LEAST, SLICE_INIT("1s")},
        {SLICE_INIT("batch.p99"), CONSTRAINT_AT_MOST, SLICE_INIT("4")},
        {SLICE_INIT("d.servers"), CONSTRAINT_UNCHANGED, {0}}};
    static ProposalEstimate predicted[] = {
        {SLICE_INIT("tasks.p99"), 1.8, 1.6, 2.1, 0.9},
        {SLICE_INIT("tasks.p50"), (double)INFINITY, 3, (double)INFINITY, 0.9}};
    return (Message){.type = type,
                     .negotiation = ID,
                     .root = ID,
                     .child = SLICE("b-1-2"),
                     .round = 2,
                     .depth = 1,
                     .for_ns = 5000000000,
                     .token = 77,
                     .reason = REASON_BYSTANDER,
                     .direction = DIRECTION_DOWNSTREAM,
                     .text = SLICE("\"why\"\n"),
                     .changes = changes,
                     .change_count = COUNT_OF(changes),
                     .constraints = constraints,
                     .constraint_count = COUNT_OF(constraints),
                     .predicted = {predicted, COUNT_OF(predicted)},
                     .document = SLICE("{\"p99\":1.5}")};
}

static void test_every_type_comes_back(void **state)
{
    (void)state;
    Arena *arena = arena_create(MESSAGE_ARENA_MAX);
    for (unsigned type = 0; type < MESSAGE_TYPES; type++) {
        Message m = sample((MessageType)type), back;
        Buf one = buf_create(MESSAGE_BYTES_MAX), two = buf_create(MESSAGE_BYTES_MAX);
        Err e = {0};
        message_write(&m, &one);
        if (message_read(arena, buf_slice(&one), &back, &e) != 0) {
            fail_msg("%s: %s", MESSAGE_TYPE_NAMES[type], e.text);
        }
        Message copy = message_copy(arena, &back);
        message_write(&copy, &two);
        assert_string_equal(one.data, two.data);
        unsigned fields = MESSAGE_FIELDS[type].required | MESSAGE_FIELDS[type].optional;
        assert_int_equal(back.change_count, fields & FIELD_CHANGES ? 2 : 0);
        assert_int_equal(back.constraint_count, fields & FIELD_CONSTRAINTS ? 3 : 0);
        assert_int_equal(back.token, fields & FIELD_TOKEN ? 77 : 0);
        assert_true(slice_eq(back.negotiation, fields & FIELD_NEGOTIATION ? ID : (Slice){0}));
        if (fields & FIELD_PREDICTED) {
            assert_int_equal(back.predicted.count, 2);
            assert_true(isinf(back.predicted.items[1].high));
            assert_true(back.predicted.items[0].high == 2.1);
        }
        buf_done(&one);
        buf_done(&two);
    }
    arena_destroy(arena);
}

// The wire format, spelled out: it must not change under other versions of this program.
static void test_the_form(void **state)
{
    (void)state;
    Message m = sample(MESSAGE_PROPOSE);
    Buf out = buf_create(MESSAGE_BYTES_MAX);
    m.predicted.count = 1;
    message_write(&m, &out);
    assert_string_equal(
        out.data,
        "{\"changes\":{\"a->b.retry.attempts\":\"2\",\"d.servers\":\"18\"},"
        "\"constraints\":[{\"op\":\"at_least\",\"subject\":\"b->c.timeout.attempt\","
        "\"value\":\"1s\"},{\"op\":\"at_most\",\"subject\":\"batch.p99\",\"value\":\"4\"},"
        "{\"op\":\"unchanged\",\"subject\":\"d.servers\"}],\"depth\":1,"
        "\"direction\":\"downstream\",\"document\":{\"p99\":1.5},\"for_ns\":5000000000,"
        "\"negotiation\":\"a-1-7\","
        "\"predicted\":{\"tasks.p99\":{\"confidence\":0.9,\"high\":2.1,\"low\":1.6,"
        "\"value\":1.8}},\"root\":\"a-1-7\",\"round\":2,\"text\":\"\\\"why\\\"\\n\","
        "\"type\":\"propose\",\"version\":1}");
    buf_reset(&out);
    message_write(&(Message){.type = MESSAGE_COMMIT, .negotiation = ID, .round = 1, .token = 9},
                  &out);
    assert_string_equal(out.data, "{\"negotiation\":\"a-1-7\",\"round\":1,\"token\":9,"
                                  "\"type\":\"commit\",\"version\":1}");
    buf_done(&out);
}

static void test_mistakes(void **state)
{
    (void)state;
#define COMMIT(rest)                                                                               \
    "{\"version\":1,\"type\":\"commit\",\"negotiation\":\"n\",\"round\":1," rest "}"
#define COUNTER(rest)                                                                              \
    "{\"version\":1,\"type\":\"counter\",\"negotiation\":\"n\",\"round\":1," rest "}"
    static const struct {
        const char *json, *words;
        int code;
    } CASES[] = {
        {"", "", ERR_PARSE},
        {"[]", "must be an object", ERR_PARSE},
        {"{}", "has \"version\" and \"type\"", ERR_PARSE},
        {"{\"version\":2,\"type\":\"commit\"}", "newer", ERR_VERSION},
        {"{\"version\":0,\"type\":\"commit\"}", "has \"version\"", ERR_PARSE},
        {"{\"version\":1,\"type\":\"comit\"}", "\"type\" is none of", ERR_PARSE},
        {"{\"version\":1,\"type\":7}", "\"type\" is none of", ERR_PARSE},
        {COMMIT("\"token\":-1"), "\"token\" must be a whole number", ERR_PARSE},
        {COMMIT("\"token\":1.5"), "\"token\" must be a whole number", ERR_PARSE},
        {COMMIT("\"token\":\"1\""), "\"token\" must be a whole number", ERR_PARSE},
        {COMMIT("\"tokn\":1"), "token", ERR_PARSE},
        {COMMIT("\"token\":1,\"token\":2"), "token", ERR_PARSE},
        {COMMIT("\"token\":1,\"changes\":{}"), "changes", ERR_PARSE},
        {"{\"version\":1,\"type\":\"commit\",\"negotiation\":\"n\",\"round\":0,\"token\":1}",
         "\"round\" must be", ERR_PARSE},
        {"{\"version\":1,\"type\":\"commit\",\"negotiation\":\"\",\"round\":1,\"token\":1}",
         "\"negotiation\" must be text of 1 to 127", ERR_PARSE},
        {"{\"version\":1,\"type\":\"commit\",\"round\":1,\"token\":1}", "has \"negotiation\"",
         ERR_PARSE},
        {COUNTER("\"changes\":[]"), "\"changes\" must be an object", ERR_PARSE},
        {COUNTER("\"changes\":{\"a\":\"1\"}"), "a parameter is named", ERR_PARSE},
        {COUNTER("\"changes\":{\".a\":\"1\"}"), "a parameter is named", ERR_PARSE},
        {COUNTER("\"changes\":{\"a.\":\"1\"}"), "a parameter is named", ERR_PARSE},
        {COUNTER("\"changes\":{\"a.b\":1}"), "\"a.b\" must be text", ERR_PARSE},
        {COUNTER("\"changes\":{},\"constraints\":[{}]"), "has \"op\" and", ERR_PARSE},
        {COUNTER("\"changes\":{},\"constraints\":[{\"op\":\"at_least\",\"subject\":\"x\"}]"),
         "has a value", ERR_PARSE},
        {COUNTER("\"changes\":{},\"constraints\":[{\"op\":\"unchanged\",\"subject\":\"x\","
                 "\"value\":\"1\"}]"),
         "has a value", ERR_PARSE},
        {COUNTER("\"changes\":{},\"predicted\":{\"x\":{}}"), "\"confidence\" is missing",
         ERR_PARSE},
        {COUNTER("\"changes\":{},\"predicted\":{\"x\":{\"confidence\":0.9,\"low\":2,\"value\":1,"
                 "\"high\":3}}"),
         "within its interval", ERR_PARSE},
        {COUNTER("\"changes\":{},\"predicted\":{\"x\":{\"confidence\":90,\"low\":1,\"value\":1,"
                 "\"high\":1}}"),
         "between 0 and 1", ERR_PARSE},
        {"{\"version\":1,\"type\":\"metrics\",\"document\":\"x\"}", "must be an object", ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Arena *arena = arena_create(MESSAGE_ARENA_MAX);
        Err e = {0};
        Message m;
        int rc = message_read(arena, slice_from_cstr(CASES[i].json), &m, &e);
        if (rc != CASES[i].code || !strstr(e.text, CASES[i].words)) {
            fail_msg("%s: %s: %s", CASES[i].json, err_name(rc), e.text);
        }
        arena_destroy(arena);
    }
}

// A counter with so many changes and constraints.
static int read_sized(size_t changes, size_t constraints, size_t text)
{
    Buf json = buf_create(MESSAGE_BYTES_MAX);
    buf_puts(&json, "{\"version\":1,\"type\":\"counter\",\"negotiation\":\"n\",\"round\":1,"
                    "\"changes\":{");
    for (size_t i = 0; i < changes; i++) {
        buf_printf(&json, "%s\"a.x%zu\":\"1\"", i ? "," : "", i);
    }
    buf_puts(&json, "},\"constraints\":[");
    for (size_t i = 0; i < constraints; i++) {
        buf_printf(&json, "%s{\"op\":\"unchanged\",\"subject\":\"s\"}", i ? "," : "");
    }
    buf_puts(&json, "],\"text\":\"");
    for (size_t i = 0; i < text; i++) {
        buf_putc(&json, 'x');
    }
    buf_puts(&json, "\"}");
    Arena *arena = arena_create(MESSAGE_ARENA_MAX);
    Message m;
    int rc = message_read(arena, buf_slice(&json), &m, NULL);
    arena_destroy(arena);
    buf_done(&json);
    return rc;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(read_sized(MESSAGE_CHANGES_MAX, 0, 0), 0);
    assert_int_equal(read_sized(MESSAGE_CHANGES_MAX + 1, 0, 0), ERR_PARSE);
    assert_int_equal(read_sized(0, MESSAGE_CONSTRAINTS_MAX, 0), 0);
    assert_int_equal(read_sized(0, MESSAGE_CONSTRAINTS_MAX + 1, 0), ERR_PARSE);
    assert_int_equal(read_sized(0, 0, MESSAGE_TEXT_MAX), 0);
    assert_int_equal(read_sized(0, 0, MESSAGE_TEXT_MAX + 1), ERR_PARSE);
    char *big = mem_zalloc(MESSAGE_BYTES_MAX + 1);
    memset(big, ' ', MESSAGE_BYTES_MAX + 1);
    Arena *arena = arena_create(MESSAGE_ARENA_MAX);
    Message m;
    assert_int_equal(message_read(arena, (Slice){big, MESSAGE_BYTES_MAX}, &m, NULL), ERR_PARSE);
    assert_int_equal(message_read(arena, (Slice){big, MESSAGE_BYTES_MAX + 1}, &m, NULL), ERR_LIMIT);
    arena_destroy(arena);
    free(big);
}

static void test_names_and_places(void **state)
{
    (void)state;
    assert_true(slice_eq(message_place(SLICE("a->b.retry.attempts")), SLICE("a->b")));
    assert_true(slice_eq(message_place(SLICE("d.servers")), SLICE("d")));
    for (unsigned i = 0; i < MESSAGE_TYPES; i++) {
        assert_non_null(MESSAGE_TYPE_NAMES[i]);
        assert_int_equal(MESSAGE_FIELDS[i].required & MESSAGE_FIELDS[i].optional, 0);
    }
    for (unsigned i = 0; i < REASONS; i++) {
        assert_non_null(MESSAGE_REASON_NAMES[i]);
    }
    assert_null(MESSAGE_TYPE_NAMES[MESSAGE_TYPES]);
    assert_null(MESSAGE_REASON_NAMES[REASONS]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_comes_back),
        cmocka_unit_test(test_the_form),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_names_and_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
