#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "telemetry/point.h"

static void test_labels_are_sorted_and_unique(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    Err e;
    const Label items[] = {{SLICE("status"), SLICE("200")}, {SLICE("name"), SLICE("login")}};
    Labels labels;
    assert_int_equal(labels_copy(a, items, 2, &labels, &e), 0);
    assert_true(slice_eq_cstr(labels.items[0].key, "name"));
    assert_true(slice_eq_cstr(labels_get(labels, SLICE("status")), "200"));
    assert_int_equal(labels_get(labels, SLICE("nobody")).len, 0);
    const Label twice[] = {{SLICE("a"), SLICE("1")}, {SLICE("a"), SLICE("2")}};
    assert_int_equal(labels_copy(a, twice, 2, &labels, &e), ERR_EXISTS);
    arena_destroy(a);
}

static void test_label_ceiling(void **state)
{
    (void)state;
    Arena *a = arena_create(1 << 20);
    Err e;
    Label items[LABELS_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        items[i] = (Label){arena_printf(a, "k%02zu", i), SLICE("v")};
    }
    Labels labels;
    assert_int_equal(labels_copy(a, items, LABELS_MAX, &labels, &e), 0);
    assert_int_equal(labels_copy(a, items, LABELS_MAX + 1, &labels, &e), ERR_LIMIT);
    arena_destroy(a);
}

static void test_submetric_filter(void **state)
{
    (void)state;
    const Label have[] = {{SLICE("name"), SLICE("login")}, {SLICE("status"), SLICE("200")}};
    const Label same[] = {{SLICE("name"), SLICE("login")}};
    const Label other[] = {{SLICE("name"), SLICE("home")}};
    const Label absent[] = {{SLICE("error"), SLICE("")}};
    Labels labels = {have, 2};
    assert_true(labels_match(labels, (Labels){same, 1}));
    assert_false(labels_match(labels, (Labels){other, 1}));
    assert_true(labels_match(labels, (Labels){absent, 1}));
    assert_true(labels_match(labels, (Labels){0}));
    assert_false(labels_eq(labels, (Labels){same, 1}));
}

static void test_every_metric_is_found_by_its_name(void **state)
{
    (void)state;
    for (MetricId id = 0; id < METRIC_COUNT; id++) {
        MetricId found = METRIC_COUNT;
        assert_true(metric_by_name(metric_info(id)->name, &found));
        assert_int_equal(found, id);
        assert_true(metric_info(id)->help.len > 0);
    }
    MetricId found;
    assert_false(metric_by_name(SLICE("no_such_metric"), &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_are_sorted_and_unique),
        cmocka_unit_test(test_label_ceiling),
        cmocka_unit_test(test_submetric_filter),
        cmocka_unit_test(test_every_metric_is_found_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
