#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/table.h"

static void expect(const Table *t, int indent, const char *text)
{
    Buf out = buf_create(1 << 16);
    table_print(t, indent, &out);
    assert_string_equal(out.len > 0 ? out.data : "", text);
    buf_done(&out);
}

static void test_columns_line_up_and_the_last_has_no_padding(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Table t = table_create(arena, 3);
    table_right(&t, 1);
    static const char *const CELLS[] = {"A", "N", "WHAT", "long", "1234", "x", "\xC3\xA9", "5", ""};
    for (size_t i = 0; i < COUNT_OF(CELLS); i++) {
        table_put(&t, slice_from_cstr(CELLS[i]));
    }
    expect(&t, 2, "  A        N  WHAT\n  long  1234  x\n  \xC3\xA9        5  \n");
    arena_destroy(arena);
}

static void test_a_cell_cannot_drive_the_terminal_or_break_the_row(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Table t = table_create(arena, 2);
    table_put(&t, SLICE("a\nb"));
    table_put(&t, SLICE("\x1b[2J"));
    expect(&t, 0, "a\\nb  \\x1b[2J\n");
    arena_destroy(arena);
}

static void test_no_rows_print_nothing(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Table t = table_create(arena, 2);
    expect(&t, 0, "");
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_line_up_and_the_last_has_no_padding),
        cmocka_unit_test(test_a_cell_cannot_drive_the_terminal_or_break_the_row),
        cmocka_unit_test(test_no_rows_print_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
