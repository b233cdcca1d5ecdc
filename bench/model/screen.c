// How long does it take to screen a thousand candidates by bounds and formula? Issue: 50 ms.
//
//     screen SYSTEM.toml [CANDIDATES] [SEED]      defaults 1000 1
//
// A candidate: every parameter that has a range is moved with probability 1/2. Bounds throw away
// what cannot meet the objectives for certain, the formula (from below) ranks the others. Time is
// the median of five passes; what is prepared once a System is counted apart.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/bounds.h"
#include "model/formula.h"
#include "model/interface_fit.h"
#include "os/clock.h"

enum { PASSES = 5 };

static System *candidate(Arena *arena, const System *base, uint64_t seed, uint64_t number)
{
    System *sys = system_copy(arena, base);
    Rng rng = rng_stream(seed, SLICE("screen"), number);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        interface_vary(sys, PLACE_AGENT, i, &rng);
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        interface_vary(sys, PLACE_EDGE, i, &rng);
    }
    return sys;
}

typedef struct Pass {
    double prepare_ms, bounds_ms, formula_ms;
    uint32_t left, stable, met, rounds;
} Pass;

static double ms_since(int64_t begun)
{
    return (double)(clock_now(clock_real()) - begun) / 1e6;
}

static int screen(System *const *list, uint32_t count, const System *base, Outcome *out, Pass *ret,
                  Err *e)
{
    Bounds *b = NULL;
    Formula *f = NULL;
    int64_t begun = clock_now(clock_real());
    int rc = bounds_create(base, &b, e);
    rc = rc ? rc : formula_create(base, &f, e);
    ret->prepare_ms = ms_since(begun);
    if (rc == 0) {
        bool *open = mem_zalloc(count + 1);
        begun = clock_now(clock_real());
        for (uint32_t i = 0; i < count; i++) {
            BoundsFacts facts = bounds_solve(b, list[i], out);
            open[i] = facts.feasible && outcome_gap(out, list[i]).low <= 0;
            ret->left += open[i];
        }
        ret->bounds_ms = ms_since(begun);
        begun = clock_now(clock_real());
        for (uint32_t i = 0; i < count; i++) {
            if (open[i]) {
                FormulaFacts facts = formula_solve_below(f, list[i], out);
                ret->stable += facts.stable;
                ret->rounds += facts.rounds;
                ret->met += outcome_gap(out, list[i]).value <= 0;
            }
        }
        ret->formula_ms = ms_since(begun);
        free(open);
    }
    bounds_destroy(b);
    formula_destroy(f);
    return rc;
}

static int by_total(const void *a, const void *b)
{
    const Pass *x = a, *y = b;
    double s = x->bounds_ms + x->formula_ms, t = y->bounds_ms + y->formula_ms;
    return (s > t) - (s < t);
}

int main(int argc, char **argv)
{
    double numbers[2] = {1000, 1};
    for (int i = 2; i < argc && i < 4; i++) {
        if (slice_to_f64(slice_from_cstr(argv[i]), &numbers[i - 2]) != 0 || numbers[i - 2] < 1 ||
            numbers[i - 2] > 1e6) {
            argc = 0;
        }
    }
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: screen SYSTEM.toml [CANDIDATES] [SEED]\n");
        return 2;
    }
    Arena *arena = arena_create((size_t)4 << 30);
    System *base = NULL;
    Err e = {0};
    uint32_t count = (uint32_t)numbers[0];
    int rc = system_load(arena, argv[1], &base, &e);
    Pass passes[PASSES] = {0};
    if (rc == 0) {
        System **list = ARENA_ARRAY(arena, System *, count);
        for (uint32_t i = 0; i < count; i++) {
            list[i] = candidate(arena, base, (uint64_t)numbers[1], i);
        }
        Outcome *out = outcome_create(arena, base);
        for (int i = 0; rc == 0 && i < PASSES; i++) {
            rc = screen(list, count, base, out, &passes[i], &e);
        }
    }
    if (rc != 0) {
        fprintf(stderr, "%s\n", e.text);
    } else {
        qsort(passes, PASSES, sizeof *passes, by_total);
        const Pass *p = &passes[PASSES / 2];
        printf(
            "%u candidates: bounds %.2f ms (%.2f us each), %u left; formula %.2f ms (%.1f us "
            "each, %.1f rounds); together %.2f ms; prepared once %.2f ms\n%u stable, %u meet all "
            "objectives\n",
            count, p->bounds_ms, 1e3 * p->bounds_ms / count, p->left, p->formula_ms,
            p->left ? 1e3 * p->formula_ms / p->left : 0, p->left ? (double)p->rounds / p->left : 0,
            p->bounds_ms + p->formula_ms, p->prepare_ms, p->stable, p->met);
    }
    arena_destroy(arena);
    return rc == 0 ? 0 : 1;
}
