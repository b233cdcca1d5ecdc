#include "model/sim_cells_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Every fourth of the small cells of each model, 20 in all, at 95 %: at least 16 must hold the
// exact value (fewer have a probability of 0.3 % under a binomial of 20 and .95). The whole table
// is bench/model/exact_cells.
static void test_cells(void **state)
{
    (void)state;
    static const uint32_t cells[] = {2,   14,  33,  51,  72,  101, 113, 134, 152, 173,
                                     201, 226, 247, 263, 289, 302, 327, 344, 366, 391};
    enum { SEED = 77 };
    uint32_t inside = 0;
    for (size_t i = 0; i < COUNT_OF(cells); i++) {
        Arena *arena = arena_create(256 << 20);
        Estimate x;
        double exact;
        bool in = cell_run(arena, cells[i], SEED, &x, &exact);
        inside += in;
        if (!in) {
            print_message("cell %u, seed %d: %g not in [%g, %g]\n", cells[i], SEED, exact, x.low,
                          x.high);
        }
        arena_destroy(arena);
    }
    assert_true(inside >= 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
