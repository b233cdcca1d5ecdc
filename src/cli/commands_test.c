#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/option_export.h"
#include "cli/commands.h"

static void test_every_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        Err e = {0};
        if (option_table_check(COMMANDS[i]->verb, &e) != 0) {
            fail_msg("%s: %s", COMMANDS[i]->verb->name, e.text);
        }
        assert_non_null(COMMANDS[i]->run);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(COMMANDS[i]->verb->name, COMMANDS[k]->verb->name);
        }
    }
}

static void test_every_verb_has_a_help_within_the_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        Buf text = buf_create(1 << 20);
        option_help(&text, "perfwright", COMMANDS[i]->verb, 100);
        Slice rest = buf_slice(&text);
        while (rest.len > 0) {
            Slice line;
            (void)slice_cut(rest, '\n', &line, &rest);
            if (line.len > 110) {
                fail_msg("%s: %.*s", COMMANDS[i]->verb->name, SLICE_FMT(line));
            }
        }
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_table_is_sound),
        cmocka_unit_test(test_every_verb_has_a_help_within_the_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
