#include "agent/event.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_data_is_inline_up_to_the_limit(void **unused)
{
    (void)unused;
    char text[EVENT_INLINE_BYTES + 1];
    memset(text, 'x', sizeof text);
    EventPool *pool = event_pool_create(0);
    for (size_t len = 0; len <= sizeof text; len += len == 0 ? EVENT_INLINE_BYTES : 1) {
        Event *event = event_pool_take(pool);
        event_fill(event, &(EventSpec){.data = {text, len}, .type = SLICE("t")});
        assert_int_equal(event->bytes != NULL, len > EVENT_INLINE_BYTES);
        assert_true(slice_eq(event_data(event), (Slice){text, len}));
        event_pool_give(pool, event);
    }
    event_pool_destroy(pool);
}

static void test_shared_bytes_are_not_copied(void **unused)
{
    (void)unused;
    Bytes *bytes = bytes_copy(SLICE("one copy"));
    EventPool *pool = event_pool_create(0);
    Event *a = event_pool_take(pool);
    Event *b = event_pool_take(pool);
    event_fill(a, &(EventSpec){.bytes = bytes});
    event_fill(b, &(EventSpec){.bytes = bytes});
    bytes_unref(bytes);
    assert_ptr_equal(event_data(a).ptr, event_data(b).ptr);
    event_pool_give(pool, a);
    assert_true(slice_eq(event_data(b), SLICE("one copy")));
    event_pool_give(pool, b);
    event_pool_destroy(pool);
}

static void test_limits_of_a_spec(void **unused)
{
    (void)unused;
    char text[EVENT_SESSION_MAX + 2];
    memset(text, 's', sizeof text);
    const struct {
        size_t type, session, data;
        int rc;
    } cases[] = {
        {EVENT_TYPE_MAX, EVENT_SESSION_MAX, 10, 0},
        {EVENT_TYPE_MAX + 1, 0, 0, ERR_LIMIT},
        {0, EVENT_SESSION_MAX + 1, 0, ERR_LIMIT},
        {0, 0, 11, ERR_LIMIT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        EventSpec spec = {.type = {text, cases[i].type},
                          .session = {text, cases[i].session},
                          .data = {text, cases[i].data}};
        Err e = {0};
        assert_int_equal(event_spec_check(&spec, 10, &e), cases[i].rc);
        assert_int_equal(e.text[0] != '\0', cases[i].rc != 0);
    }
    EventSpec wrong = {.priority = EVENT_PRIORITIES, .prioritised = true};
    assert_int_equal(event_spec_check(&wrong, 10, NULL), ERR_ARG);
}

static void test_longest_names_are_kept_whole(void **unused)
{
    (void)unused;
    char text[EVENT_SESSION_MAX];
    memset(text, 'n', sizeof text);
    EventPool *pool = event_pool_create(0);
    Event *event = event_pool_take(pool);
    event_fill(event, &(EventSpec){.type = {text, EVENT_TYPE_MAX},
                                   .session = {text, EVENT_SESSION_MAX},
                                   .data = {text, 1}});
    assert_int_equal(event_type(event).len, EVENT_TYPE_MAX);
    assert_int_equal(event_session(event).len, EVENT_SESSION_MAX);
    assert_int_equal(strlen(event->type), EVENT_TYPE_MAX);
    assert_int_equal(strlen(event->session), EVENT_SESSION_MAX);
    event_pool_give(pool, event);
    event_pool_destroy(pool);
}

static void test_data_reads_as_json(void **unused)
{
    (void)unused;
    const struct {
        Slice data;
        int rc;
        DocType type;
    } cases[] = {
        {SLICE_INIT(""), 0, DOC_NULL},
        {SLICE_INIT("{\"a\":1}"), 0, DOC_OBJECT},
        {SLICE_INIT("{\"a\":"), ERR_PARSE, DOC_NULL},
    };
    EventPool *pool = event_pool_create(0);
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Event *event = event_pool_take(pool);
        event_fill(event, &(EventSpec){.data = cases[i].data});
        event->id = 7;
        const Doc *doc = NULL;
        Err e = {0};
        assert_int_equal(event_doc(event, arena, &doc, &e), cases[i].rc);
        if (cases[i].rc == 0) {
            assert_int_equal(doc->type, cases[i].type);
        } else {
            assert_non_null(strstr(e.text, "event 7"));
        }
        event_pool_give(pool, event);
    }
    arena_destroy(arena);
    event_pool_destroy(pool);
}

static void test_pool_reuses(void **unused)
{
    (void)unused;
    EventPool *pool = event_pool_create(64);
    Event *held[100];
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < COUNT_OF(held); i++) {
            held[i] = event_pool_take(pool);
            event_fill(held[i], &(EventSpec){.data = SLICE("x")});
        }
        for (size_t i = 0; i < COUNT_OF(held); i++) {
            event_pool_give(pool, held[i]);
        }
    }
    assert_int_equal(event_pool_taken(pool), 0);
    assert_in_range(event_pool_made(pool), COUNT_OF(held), 2 * COUNT_OF(held) + 16);
    event_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_is_inline_up_to_the_limit),
        cmocka_unit_test(test_shared_bytes_are_not_copied),
        cmocka_unit_test(test_limits_of_a_spec),
        cmocka_unit_test(test_longest_names_are_kept_whole),
        cmocka_unit_test(test_data_reads_as_json),
        cmocka_unit_test(test_pool_reuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
