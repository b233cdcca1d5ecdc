#include "stat/ranks_exact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "stat/ranks.h"
#include "stat/sample.h"

enum { VALUES_MAX = 2 * RANKS_EXACT_MAX };

// The values of both sides by size, as groups of equal ones.
typedef struct Groups {
    size_t sizes[VALUES_MAX];
    size_t ranks2[VALUES_MAX]; // twice the mid-rank: whole
    size_t count;
    size_t rank_sum2; // of x
    bool tied;
} Groups;

static size_t count_equal(const double *values, size_t n, double value)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += values[i] == value;
    }
    return count;
}

static void make_groups(const double *x, size_t nx, const double *y, size_t ny, Groups *g)
{
    double all[VALUES_MAX];
    size_t n = nx + ny;
    memcpy(all, x, nx * sizeof *x);
    memcpy(all + nx, y, ny * sizeof *y);
    sample_sort(all, n);
    *g = (Groups){0};
    for (size_t i = 0; i < n;) {
        size_t from = i;
        while (i < n && all[i] == all[from]) {
            i++;
        }
        g->sizes[g->count] = i - from;
        g->ranks2[g->count] = from + 1 + i;
        g->rank_sum2 += count_equal(x, nx, all[from]) * g->ranks2[g->count];
        g->tied |= i - from > 1;
        g->count++;
    }
}

// ways[k * width + s]: how many choices of k values have twice the rank sum s. Groups are added one
// by one; larger k first, so that a group is not counted twice.
static void add_group(double *ways, size_t nx, size_t width, size_t size, size_t rank2)
{
    for (size_t k = nx; k > 0; k--) {
        double choose = 1; // C(size, j)
        for (size_t j = 1; j <= size && j <= k; j++) {
            choose = choose * (double)(size - j + 1) / (double)j;
            const double *from = ways + (k - j) * width;
            double *to = ways + k * width;
            for (size_t s = 0; s + j * rank2 < width; s++) {
                to[s + j * rank2] += choose * from[s];
            }
        }
    }
}

static double exact_p(const Groups *g, size_t nx, size_t ny)
{
    size_t n = nx + ny, width = nx * 2 * n + 1; // no rank is above n
    double *ways = mem_zalloc((nx + 1) * width * sizeof *ways);
    ways[0] = 1;
    for (size_t i = 0; i < g->count; i++) {
        add_group(ways, nx, width, g->sizes[i], g->ranks2[i]);
    }
    // The distribution is symmetric about nx (n + 1); the smaller tail is the one that the
    // observed sum is in, mirrored if it is the upper.
    size_t middle2 = nx * (n + 1), observed = g->rank_sum2;
    size_t low = observed <= middle2 ? observed : 2 * middle2 - observed;
    double total = 0, tail = 0;
    for (size_t s = 0; s < width; s++) {
        double w = ways[nx * width + s];
        total += w;
        tail += s <= low ? w : 0;
    }
    free(ways);
    return observed == middle2 ? 1 : fmin(1, 2 * tail / total);
}

double ranks_mann_whitney_exact(const double *x, size_t nx, const double *y, size_t ny)
{
    if (nx == 0 || ny == 0) {
        return NAN;
    }
    if (nx <= RANKS_EXACT_MAX && ny <= RANKS_EXACT_MAX) {
        Groups g;
        make_groups(x, nx, y, ny, &g);
        if (g.count == 1) {
            return 1;
        }
        if (!g.tied || (nx <= RANKS_TIED_EXACT_MAX && ny <= RANKS_TIED_EXACT_MAX)) {
            return exact_p(&g, nx, ny);
        }
    }
    double p = ranks_mann_whitney(x, nx, y, ny).p;
    return isnan(p) ? 1 : p; // no variance: all equal
}
