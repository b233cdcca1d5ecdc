// Expected p-values: counted by hand or taken from the tests of golang.org/x/perf/benchmath; ties
// are counted one assignment after the other.
#include "stat/ranks_exact.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "stat/ranks.h"

typedef struct Case {
    double x[8], y[8];
    size_t nx, ny;
    double p;
} Case;

static void near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-12)) {
        print_error("%.17g, expected %.17g\n", value, expected);
        fail();
    }
}

static void test_against_counting(void **state)
{
    (void)state;
    static const Case cases[] = {
        // Complete separation of four and four: 2 / C(8, 4). (benchmath's table has it too.)
        {{1, 2, 3, 4}, {5, 6, 7, 8}, 4, 4, 2.0 / 70},
        {{-1, -1, -1, -1}, {1, 1, 1, 1}, 4, 4, 2.0 / 70},
        {{-1, -1, -1}, {1, 1, 1}, 3, 3, 0.1},
        // benchmath's TestCompareNone.
        {{1, -1, -1, -1}, {-1, 1, 1, 1}, 4, 4, 0.4857142857142857},
        {{1, 1, 1, 1}, {1, 1, 1, 1}, 4, 4, 1},
        {{5}, {5}, 1, 1, 1},
        {{1}, {2}, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const Case *c = &cases[i];
        near(ranks_mann_whitney_exact(c->x, c->nx, c->y, c->ny), c->p);
        near(ranks_mann_whitney_exact(c->y, c->ny, c->x, c->nx), c->p);
    }
    assert_true(isnan(ranks_mann_whitney_exact(NULL, 0, cases[0].y, 4)));
}

// Without ties it is the recursion of ranks.c, another way of counting.
static void test_against_the_other_count(void **state)
{
    (void)state;
    double x[30], y[30];
    uint32_t seed = 7;
    for (size_t n = 2; n <= 30; n++) {
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525U + 1013904223U;
            x[i] = (double)seed + 0.25 * (double)i;
            seed = seed * 1664525U + 1013904223U;
            y[i] = (double)seed + 0.25 * (double)i + 0.125;
        }
        RankTest other = ranks_mann_whitney(x, n, y, n);
        assert_true(other.exact);
        near(ranks_mann_whitney_exact(x, n, y, n), other.p);
    }
}

// Every assignment of six tied values counted one by one.
static void test_ties_by_brute_force(void **state)
{
    (void)state;
    static const double all[7] = {1, 1, 2, 2, 2, 3, 4};
    static const double rank2[7] = {3, 3, 8, 8, 8, 12, 14}; // twice the mid-ranks
    for (unsigned chosen = 0; chosen < 1U << 7; chosen++) {
        double x[7], y[7], observed = 0;
        size_t nx = 0, ny = 0, tail = 0, total = 0;
        for (size_t i = 0; i < 7; i++) {
            if (chosen >> i & 1) {
                x[nx++] = all[i];
                observed += rank2[i];
            } else {
                y[ny++] = all[i];
            }
        }
        if (nx == 0 || ny == 0) {
            continue;
        }
        double middle = (double)nx * 8, low = fmin(observed, 2 * middle - observed);
        for (unsigned other = 0; other < 1U << 7; other++) {
            double sum = 0;
            size_t n = 0;
            for (size_t i = 0; i < 7; i++) {
                sum += other >> i & 1 ? rank2[i] : 0;
                n += other >> i & 1;
            }
            total += n == nx;
            tail += n == nx && sum <= low;
        }
        double expected = fmin(1, 2 * (double)tail / (double)total);
        near(ranks_mann_whitney_exact(x, nx, y, ny), observed == middle ? 1 : expected);
    }
}

// At the limits it is exact, beyond them the normal approximation.
static void test_limits(void **state)
{
    (void)state;
    double x[RANKS_EXACT_MAX + 1], y[RANKS_EXACT_MAX + 1];
    for (size_t i = 0; i <= RANKS_EXACT_MAX; i++) {
        x[i] = (double)(i % 5);
        y[i] = (double)(i % 7) + (i % 2 ? 0.5 : 0);
    }
    size_t n = RANKS_TIED_EXACT_MAX;
    assert_true(ranks_mann_whitney_exact(x, n, y, n) != ranks_mann_whitney(x, n, y, n).p);
    near(ranks_mann_whitney_exact(x, n + 1, y, n), ranks_mann_whitney(x, n + 1, y, n).p);
    for (size_t i = 0; i <= RANKS_EXACT_MAX; i++) {
        x[i] = (double)(2 * i);
        y[i] = (double)(2 * i + 9);
    }
    n = RANKS_EXACT_MAX;
    assert_true(ranks_mann_whitney_exact(x, n, y, n) != ranks_mann_whitney(x, n, y, n).p);
    near(ranks_mann_whitney_exact(x, n + 1, y, n), ranks_mann_whitney(x, n + 1, y, n).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_counting),
        cmocka_unit_test(test_against_the_other_count),
        cmocka_unit_test(test_ties_by_brute_force),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
