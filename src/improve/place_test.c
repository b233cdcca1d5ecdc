#include "improve/place_test.h"

static void test_names(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"a", "a/b", ".a", "a b", "...", "\xC3\xA9/x"};
    static const char *const BAD[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "../a"};
    for (size_t i = 0; i < COUNT_OF(GOOD); i++) {
        assert_true(place_name_ok(slice_from_cstr(GOOD[i])));
    }
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        assert_false(place_name_ok(slice_from_cstr(BAD[i])));
    }
}

static void test_write_read_list(void **state)
{
    Fixture *f = *state;
    Slice text, *names;
    size_t count;
    assert_int_equal(place_list(&f->place, f->arena, SLICE("memory"), 9, &names, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(place_write(&f->place, SLICE("memory/b.md"), SLICE("two"), NULL), 0);
    assert_int_equal(place_write(&f->place, SLICE("memory/a.md"), SLICE("one"), NULL), 0);
    assert_int_equal(place_read(&f->place, f->arena, SLICE("memory/a.md"), &text, NULL), 0);
    assert_true(slice_eq_cstr(text, "one"));
    assert_int_equal(place_list(&f->place, f->arena, SLICE("memory"), 2, &names, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_true(slice_eq_cstr(names[0], "a.md"));
    assert_int_equal(place_list(&f->place, f->arena, SLICE("memory"), 1, &names, &count, NULL),
                     ERR_LIMIT);
    assert_int_equal(place_remove(&f->place, SLICE("memory/a.md"), NULL), 0);
    assert_int_equal(place_remove(&f->place, SLICE("memory/a.md"), NULL), 0);
}

static void test_planted_links_are_refused(void **state)
{
    Fixture *f = *state;
    char at[200];
    Slice text;
    (void)snprintf(at, sizeof at, "%s/.perfwright", f->dir);
    assert_int_equal(symlink("/tmp", at), 0);
    assert_int_equal(place_write(&f->place, SLICE("plan.md"), SLICE("x"), NULL), ERR_REFUSED);
    assert_int_equal(unlink(at), 0);
    assert_int_equal(dir_make_all(at, NULL), 0);
    (void)snprintf(at, sizeof at, "%s/.perfwright/plan.md", f->dir);
    assert_int_equal(symlink("/etc/passwd", at), 0);
    assert_int_equal(place_read(&f->place, f->arena, SLICE("plan.md"), &text, NULL), ERR_REFUSED);
    assert_int_equal(place_write(&f->place, SLICE("../x"), SLICE("x"), NULL), ERR_ARG);
}

static void test_find(void **state)
{
    Fixture *f = *state;
    Place place;
    char sub[100];
    (void)snprintf(sub, sizeof sub, "%s/lib/a b", f->dir);
    assert_int_equal(dir_make_all(sub, NULL), 0);
    assert_int_equal(place_find(f->arena, slice_from_cstr(f->dir), SLICE("lib/a b/"), &place, NULL),
                     0);
    assert_true(slice_eq(place.dir, f->place.dir)); // one for all of a monorepo
    assert_true(slice_ends_with(place.target, SLICE(":lib/a b")));
    assert_int_equal(place_find(f->arena, slice_from_cstr(f->dir), SLICE("../x"), &place, NULL),
                     ERR_ARG);
    assert_int_equal(place_find(f->arena, slice_from_cstr(f->dir), SLICE("no"), &place, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(place_find(f->arena, SLICE("/no/such"), SLICE(""), &place, NULL),
                     ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_write_read_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_planted_links_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
