#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "load/plan.h"

static const Slice VARIABLES[] = {SLICE_INIT("token"), SLICE_INIT("user-id")};
static const Slice COLUMNS[] = {SLICE_INIT("name"), SLICE_INIT("age")};
static const PlanFeed FEEDS[] = {
    {.name = SLICE_INIT("users"), .columns = COLUMNS, .column_count = COUNT_OF(COLUMNS)}};

static bool only_home(void *ctx, Slice name, Slice *ret)
{
    (void)ctx;
    *ret = SLICE("/home/${token}");
    return slice_eq(name, SLICE("HOME"));
}

static const TemplateNames NAMES = {.variables = VARIABLES,
                                    .variable_count = COUNT_OF(VARIABLES),
                                    .feeds = FEEDS,
                                    .feed_count = COUNT_OF(FEEDS),
                                    .env = only_home};

static void render(const char *text, Rng *rng, Buf *out)
{
    static const Slice values[] = {SLICE_INIT("T${x}"), SLICE_INIT("")};
    static const Slice row[] = {SLICE_INIT("Ann"), SLICE_INIT("41")};
    static const Slice *const rows[] = {row};
    TemplateScope scope = {.variables = values,
                           .rows = rows,
                           .vu = 7,
                           .iteration = -1,
                           .iteration_in_test = INT64_MIN,
                           .run_id = SLICE("run-1"),
                           .scenario = SLICE("buy"),
                           .rng = rng};
    Arena *arena = arena_create(1 << 20);
    Template t;
    Err e = {0};
    if (template_compile(arena, slice_from_cstr(text), &NAMES, &t, &e) != 0) {
        fail_msg("%s: %s", text, e.text);
    }
    buf_reset(out);
    template_render(&t, &scope, out);
    if (t.is_static) {
        assert_true(slice_eq(template_text(&t), buf_slice(out)));
    }
    arena_destroy(arena);
}

static void test_holes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain $ text } {", "plain $ text } {"},
        {"$", "$"},
        {"$$", "$$"},
        {"$${vu} $$ $${", "${vu} $$ ${"},
        {"/u/${users.name}?a=${users.age}", "/u/Ann?a=41"},
        {"${ token }${user-id}!", "T${x}!"},
        {"${vu} ${iteration} ${iteration_in_test}", "7 -1 -9223372036854775808"},
        {"${run_id}/${scenario}", "run-1/buy"},
        {"a${env.HOME}b", "a/home/${token}b"}, // values are never compiled again
        {"${random(5,5)}${random( -3 , -3 )}", "5-3"},
    };
    Buf out = buf_create(1000);
    Rng rng = rng_stream(1, SLICE("t"), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        render(cases[i][0], &rng, &out);
        assert_true(slice_eq_cstr(buf_slice(&out), cases[i][1]));
    }
    buf_done(&out);
}

static void test_random_holes(void **state)
{
    (void)state;
    Buf first = buf_create(1000), second = buf_create(1000);
    for (uint64_t i = 0; i < 100; i++) {
        Rng a = rng_stream(1, SLICE("t"), i), b = rng_stream(1, SLICE("t"), i);
        int dice = 0;
        render("${random(1,6)} ${uuid}", &a, &first);
        render("${random(1,6)} ${uuid}", &b, &second);
        assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
        assert_int_equal(sscanf(first.data, "%d", &dice), 1);
        assert_in_range(dice, 1, 6);
        // RFC 9562: 8-4-4-4-12 digits, version 4, variant 10.
        const char *uuid = first.data + 2;
        assert_int_equal(strlen(uuid), 36);
        assert_int_equal(strspn(uuid, "0123456789abcdef-"), 36);
        assert_true(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        assert_true(uuid[14] == '4' && strchr("89ab", uuid[19]));
    }
    buf_done(&second);
    buf_done(&first);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"${tokn}", "did you mean \"token\"?"},
        {"${iterations}", "did you mean \"iteration\"?"},
        {"${zzzzzz}", "declare it under `variables`"},
        {"${users.nam}", "did you mean \"name\"?"},
        {"${users.zzzzzz}", "has no column"},
        {"${user.name}", "no feed \"user\""},
        {"${env.NOPE}", "NOPE is not set"},
        {"${", "without its"},
        {"a ${vu", "without its"},
        {"${}", "is no hole"},
        {"${a b}", "is no hole"},
        {"${1}", "is no hole"},
        {"${random(6,1)}", "random takes"},
        {"${random(1)}", "random takes"},
        {"${random(}", "random takes"},
        {"${random(1,2}", "random takes"},
        {"${random(1,9223372036854775808)}", "random takes"},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Template t;
        Err e = {0};
        int rc = template_compile(arena, slice_from_cstr(cases[i][0]), &NAMES, &t, &e);
        if (rc != ERR_PARSE || !strstr(e.text, cases[i][1])) {
            fail_msg("%s: %d %s", cases[i][0], rc, e.text);
        }
    }
    Template t;
    assert_int_equal(template_compile(arena, SLICE("${token}"), NULL, &t, NULL), ERR_PARSE);
    assert_int_equal(template_compile(arena, SLICE("${vu}"), NULL, &t, NULL), 0);
    arena_destroy(arena);
}

static void test_part_limit(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    for (int holes = TEMPLATE_PARTS_MAX; holes <= TEMPLATE_PARTS_MAX + 1; holes++) {
        Buf text = buf_create(1 << 16);
        for (int i = 0; i < holes; i++) {
            buf_puts(&text, "${vu}");
        }
        Template t;
        assert_int_equal(template_compile(arena, buf_slice(&text), NULL, &t, NULL),
                         holes > TEMPLATE_PARTS_MAX ? ERR_LIMIT : 0);
        buf_done(&text);
    }
    arena_destroy(arena);
}

static void test_literal_and_names(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Template t = template_literal(arena, SLICE("${vu} $${"));
    assert_true(t.is_static && slice_eq(template_text(&t), SLICE("${vu} $${")));
    static const char *const bad[] = {"",   "vu",  "random", "env",     "1a",
                                      "-a", "a.b", "a b",    "\xC3\xA9"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(template_is_variable_name(slice_from_cstr(bad[i])));
    }
    assert_true(template_is_variable_name(SLICE("_a-9")));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_random_holes),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_part_limit),
        cmocka_unit_test(test_literal_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
