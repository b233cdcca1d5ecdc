// Buzen's convolution ("Computational algorithms for closed queueing networks", CACM 16, 1973) over
// the lattice of population vectors, for centers that work at rate mu(j) with j inside.
//
// G(n) is the sum over the ways to place n customers; throughput is G(N - e_r) / G(N). Adding a
// center to G' splits by the number j at it:
//
//     A_0 = G',   A_j(n) = 1 / mu(j) Sum_r D_r A_{j-1}(n - e_r),   G = Sum_j A_j
//
// and from the last J whose rate differs on, the sums T = Sum_{j >= J} A_j and V = Sum j A_j close:
//
//     T(n) = A_J(n) + 1 / mu(J) Sum_r D_r T(n - e_r)
//     V(n) = J A_J(n) + 1 / mu(J) Sum_r D_r (T + V)(n - e_r)
//
// so a center of c servers costs c + 2 passes and not one for every number of customers. The mean
// number of class r there is D_r / G(N) Sum_{j >= 1} j / mu(j) A_{j-1}(N - e_r). Nothing is ever
// subtracted, unlike in mean value analysis with several servers, whose P(0) is 1 minus nearly 1.
//
// G spans thousands of orders of magnitude, so its cells are a double with an exponent of their
// own.
#include <math.h>
#include <stdlib.h>

#include "model/closed_impl.h"

// value = mantissa * 2^(512 * exponent), mantissa 0 or within 2^-256 .. 2^256.
typedef struct Wide {
    double mantissa;
    int64_t exponent;
} Wide;

#define WIDE_STEP 0x1p512
#define WIDE_EDGE 0x1p256

static Wide wide(double x)
{
    Wide w = {x, 0};
    while (w.mantissa >= WIDE_EDGE) {
        w.mantissa /= WIDE_STEP;
        w.exponent++;
    }
    while (w.mantissa > 0 && w.mantissa < 1 / WIDE_EDGE) {
        w.mantissa *= WIDE_STEP;
        w.exponent--;
    }
    return w;
}

static Wide wide_times(Wide a, double x)
{
    Wide w = wide(a.mantissa * x);
    w.exponent = w.mantissa > 0 ? w.exponent + a.exponent : 0;
    return w;
}

static Wide wide_plus(Wide a, Wide b)
{
    if (a.mantissa == 0 || b.mantissa == 0) {
        return a.mantissa == 0 ? b : a;
    }
    if (a.exponent != b.exponent) {
        // 2^512 apart but for the range of a mantissa, so one step of difference may still count.
        Wide high = a.exponent > b.exponent ? a : b;
        Wide low = a.exponent > b.exponent ? b : a;
        if (high.exponent - low.exponent == 1) {
            high.mantissa += low.mantissa / WIDE_STEP;
        }
        return high;
    }
    Wide sum = wide(a.mantissa + b.mantissa);
    sum.exponent += a.exponent;
    return sum;
}

static double wide_ratio(Wide a, Wide b)
{
    int64_t steps = a.exponent - b.exponent;
    double ratio = a.mantissa / b.mantissa;
    return steps == 0 ? ratio : ldexp(ratio, (int)fmax(-4096, fmin(4096, 512.0 * (double)steps)));
}

typedef struct Tables {
    ClosedLattice lattice;
    Wide *g;     // G of what has been added
    Wide *layer; // A_j
    Wide *tail;  // T
    Wide *count; // V
} Tables;

// 1 / mu Sum_r D_r (table + other)(n - e_r); `other` may be NULL.
static Wide from_below(const ClosedWork *w, const Tables *t, uint32_t k, size_t n,
                       const Wide *const tables[2])
{
    Wide sum = {0};
    for (uint32_t r = 0; r < w->classes; r++) {
        double d = w->demand[(size_t)r * w->centers + k];
        if (d == 0 || closed_lattice_at(&t->lattice, n, r) == 0) {
            continue;
        }
        size_t below = n - t->lattice.stride[r];
        Wide value = tables[1] ? wide_plus(tables[0][below], tables[1][below]) : tables[0][below];
        sum = wide_plus(sum, wide_times(value, d));
    }
    return sum;
}

static uint32_t last_rate(const ClosedCenter *c, uint32_t customers)
{
    uint32_t count = c->kind == CENTER_SERVERS          ? c->servers
                     : c->kind == CENTER_LOAD_DEPENDENT ? c->rate_count
                                                        : 1;
    // Rates for more than everybody are never used.
    return count < customers ? count : customers;
}

static double rate_with(const ClosedCenter *c, uint32_t inside)
{
    if (c->kind == CENTER_LOAD_DEPENDENT) {
        return c->rates[inside - 1];
    }
    return c->kind == CENTER_SERVERS ? inside : 1;
}

static uint32_t everybody(const ClosedLattice *l)
{
    uint32_t sum = 0;
    for (uint32_t r = 0; r < l->classes; r++) {
        sum += l->top[r];
    }
    return sum;
}

// Thinking and delay centers, which are one for each class: G(n) = Product Z_r^n_r / n_r!.
static void start(const ClosedWork *w, Tables *t)
{
    double think[CLOSED_CLASSES_MAX];
    for (uint32_t r = 0; r < w->classes; r++) {
        think[r] = w->think_s[r];
        for (uint32_t k = 0; k < w->centers; k++) {
            bool delay = w->center[k].kind == CENTER_DELAY;
            think[r] += delay ? w->demand[(size_t)r * w->centers + k] : 0;
        }
    }
    t->g[0] = wide(1);
    for (size_t n = 1; n < t->lattice.count; n++) {
        uint32_t r = 0; // any class that is there will do
        while (closed_lattice_at(&t->lattice, n, r) == 0) {
            r++;
        }
        double share = think[r] / closed_lattice_at(&t->lattice, n, r);
        t->g[n] = wide_times(t->g[n - t->lattice.stride[r]], share);
    }
}

static void add_queue(const ClosedWork *w, Tables *t, uint32_t k)
{
    const Wide *const g[2] = {t->g, NULL};
    for (size_t n = 1; n < t->lattice.count; n++) {
        t->g[n] = wide_plus(t->g[n], from_below(w, t, k, n, g));
    }
}

// Sum_{j >= 1} j / mu(j) A_{j-1}(N - e_r), as far as one layer goes.
static void note(const ClosedWork *w, const Tables *t, const Wide *layer, double factor, Wide *ret)
{
    for (uint32_t r = 0; r < w->classes; r++) {
        size_t below = t->lattice.count - 1 - t->lattice.stride[r];
        ret[r] = wide_plus(ret[r], wide_times(layer[below], factor));
    }
}

// Adds a center of several rates to g; ret_means, if not NULL, takes the sums of `note` by class.
static void add_rates(const ClosedWork *w, Tables *t, uint32_t k, Wide *ret_means)
{
    const ClosedCenter *c = &w->center[k];
    uint32_t last = last_rate(c, everybody(&t->lattice));
    size_t count = t->lattice.count;
    for (size_t n = 0; n < count; n++) {
        t->layer[n] = t->g[n];
    }
    const Wide *const layer[2] = {t->layer, NULL};
    for (uint32_t j = 1; j <= last; j++) {
        double rate = rate_with(c, j);
        if (ret_means) {
            note(w, t, t->layer, j / rate, ret_means);
        }
        // In place from the top: what is below is still the layer before.
        for (size_t n = count; n-- > 0;) {
            t->layer[n] = wide_times(from_below(w, t, k, n, layer), 1 / rate);
            if (j < last) {
                t->g[n] = wide_plus(t->g[n], t->layer[n]);
            }
        }
    }
    double rate = rate_with(c, last);
    const Wide *const tail[2] = {t->tail, NULL};
    const Wide *const both[2] = {t->tail, t->count};
    for (size_t n = 0; n < count; n++) {
        t->tail[n] = wide_plus(t->layer[n], wide_times(from_below(w, t, k, n, tail), 1 / rate));
        t->count[n] = wide_plus(wide_times(t->layer[n], last),
                                wide_times(from_below(w, t, k, n, both), 1 / rate));
        t->g[n] = wide_plus(t->g[n], t->tail[n]);
    }
    if (ret_means) {
        // j > J: (j / mu(J)) A_{j-1} = (i + 1) / mu(J) A_i over i >= J.
        note(w, t, t->tail, 1 / rate, ret_means);
        note(w, t, t->count, 1 / rate, ret_means);
    }
}

static bool is_queue(const ClosedCenter *c)
{
    return c->kind == CENTER_QUEUE || c->kind == CENTER_FIFO;
}

static bool has_rates(const ClosedCenter *c)
{
    return c->kind == CENTER_SERVERS || c->kind == CENTER_LOAD_DEPENDENT;
}

// G of all centers but `without`, which may be none.
static void convolve(const ClosedWork *w, Tables *t, uint32_t without)
{
    start(w, t);
    for (uint32_t k = 0; k < w->centers; k++) {
        if (k == without) {
            continue;
        }
        if (is_queue(&w->center[k])) {
            add_queue(w, t, k);
        } else if (has_rates(&w->center[k])) {
            add_rates(w, t, k, NULL);
        }
    }
}

// A queue's M = Sum j A_j needs only G with the queue in it: M(n) = Sum_r D_r (M + G)(n - e_r).
static void queue_means(const ClosedWork *w, Tables *t, uint32_t k)
{
    const Wide *const both[2] = {t->g, t->count};
    size_t top = t->lattice.count - 1;
    t->count[0] = (Wide){0};
    for (size_t n = 1; n < top; n++) {
        t->count[n] = from_below(w, t, k, n, both);
    }
    for (uint32_t r = 0; r < w->classes; r++) {
        size_t below = top - t->lattice.stride[r];
        size_t cell = (size_t)r * w->centers + k;
        w->in_center[cell] =
            w->demand[cell] * wide_ratio(wide_plus(t->g[below], t->count[below]), t->g[top]);
    }
}

static void rated_means(const ClosedWork *w, Tables *t, uint32_t k)
{
    convolve(w, t, k);
    size_t top = t->lattice.count - 1;
    Wide empty = t->g[top];
    Wide means[CLOSED_CLASSES_MAX] = {{0}};
    add_rates(w, t, k, means);
    w->busy[k] = 1 - wide_ratio(empty, t->g[top]);
    for (uint32_t r = 0; r < w->classes; r++) {
        size_t cell = (size_t)r * w->centers + k;
        w->in_center[cell] = w->demand[cell] * wide_ratio(means[r], t->g[top]);
    }
}

// A FIFO center has a product form only with one exponential service time for all who come.
static int check_fifo(const ClosedWork *w, uint32_t k, Err *e)
{
    double first = -1;
    for (uint32_t r = 0; r < w->classes; r++) {
        size_t cell = (size_t)r * w->centers + k;
        if (w->demand[cell] == 0) {
            continue;
        }
        first = first < 0 ? w->service_s[cell] : first;
        if (w->service_s[cell] != first || w->scv[cell] != 1) {
            return err_set(e, ERR_UNSUPPORTED,
                           "center %u: FIFO with different or not exponential service times has no "
                           "exact answer; take mean value analysis or the Linearizer",
                           k);
        }
    }
    return 0;
}

// All other centers are convolved again for each one that has several rates.
static int check_steps(const ClosedWork *w, const ClosedLattice *l, Err *e)
{
    double once = 0;
    double times = 1;
    for (uint32_t k = 0; k < w->centers; k++) {
        once += last_rate(&w->center[k], everybody(l));
        times += has_rates(&w->center[k]);
    }
    double steps = (double)l->count * w->classes * once * times;
    if (steps > CLOSED_STEPS_MAX) {
        return err_set(e, ERR_LIMIT,
                       "the exact answer takes %.2g steps, more than %.2g: take the Linearizer",
                       steps, CLOSED_STEPS_MAX);
    }
    return 0;
}

enum { TABLES = 4, CELLS_EACH = TABLES * sizeof(Wide) / sizeof(double) };

int closed_convolution(ClosedWork *w, Err *e)
{
    Tables t = {0};
    int rc = closed_lattice(w, CELLS_EACH, &t.lattice, e);
    rc = rc ? rc : check_steps(w, &t.lattice, e);
    for (uint32_t k = 0; !rc && k < w->centers; k++) {
        rc = w->center[k].kind == CENTER_FIFO ? check_fifo(w, k, e) : 0;
    }
    if (rc) {
        return rc;
    }
    Wide *all = mem_alloc(TABLES * t.lattice.count * sizeof *all);
    t.g = all;
    t.layer = all + t.lattice.count;
    t.tail = all + 2 * t.lattice.count;
    t.count = all + 3 * t.lattice.count;
    convolve(w, &t, w->centers);
    size_t top = t.lattice.count - 1;
    for (uint32_t r = 0; r < w->classes; r++) {
        w->throughput[r] = wide_ratio(t.g[top - t.lattice.stride[r]], t.g[top]);
    }
    for (uint32_t k = 0; k < w->centers; k++) {
        if (is_queue(&w->center[k])) {
            queue_means(w, &t, k);
        }
        for (uint32_t r = 0; r < w->classes && w->center[k].kind == CENTER_DELAY; r++) {
            size_t cell = (size_t)r * w->centers + k;
            w->in_center[cell] = w->throughput[r] * w->demand[cell];
        }
    }
    for (uint32_t k = 0; k < w->centers; k++) {
        if (has_rates(&w->center[k])) {
            rated_means(w, &t, k); // overwrites G
        }
    }
    free(all);
    return 0;
}
