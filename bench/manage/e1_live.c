// E1 on the runtime itself: do the rows that the simulator printed happen? The policies that the
// agents agreed on and the best baselines at the load, spike included, each run once live and held
// against what further simulated runs of that length come to.
#include "e1.h"

#include <math.h>

#include "manage/live_run.h"

#include "../model/live_predict.h"

enum { REPLICATIONS = 99 };
#define SCALE            25.0
#define LATENESS_SECONDS 5.0

typedef struct Live {
    Experiment *x;
    Estimate late;
    Table table;
    size_t values, inside;
    bool invalid;
} Live;

static void add_value(Live *l, const char *row, const LiveValue *v)
{
    static const int DIGITS[LIVE_MEASURES] = {3, 3, 4, 2};
    if (l->table.rows == ROWS_MAX) {
        return;
    }
    bool inside = v->low <= v->observed && v->observed <= v->high;
    l->values++;
    l->inside += inside;
    Arena *arena = l->x->arena;
    int digits = DIGITS[v->measure];
    Cell *cells = l->table.cells[l->table.rows++];
    cells[0] = cell_text(slice_from_cstr(row));
    cells[1] = cell_text(arena_printf(arena, "%s of %s", LIVE_MEASURE_NAMES[v->measure], v->name));
    cells[2] = cell_text(arena_printf(arena, "%.*f [%.*f, %.*f]", digits, v->value, digits, v->low,
                                      digits, v->high));
    cells[3] = cell_number(v->observed, digits);
    cells[4] = cell_text(inside ? SLICE("yes") : SLICE("**no**"));
}

static int run_row(Live *l, const char *name, const System *sys, const ScoreOptions *score, Err *e)
{
    Arena *arena = arena_create((size_t)1 << 30);
    LiveValue *predicted = ARENA_ARRAY(arena, LiveValue, LIVE_VALUES_MAX);
    LiveValue *seen = ARENA_ARRAY(arena, LiveValue, LIVE_VALUES_MAX);
    LivePredictOptions options = {.seed = score->seed,
                                  .replications = REPLICATIONS,
                                  .horizon_ns = score->horizon_ns,
                                  .warmup_ns = score->from_ns};
    LiveRunOptions live = {.plant = {.seed = ~score->seed, .scale = SCALE},
                           .warmup_ns = score->from_ns,
                           .horizon_ns = score->horizon_ns};
    LiveRun run = {0};
    size_t count = 0;
    int rc = live_predict(arena, sys, &options, l->late, predicted, &count, e);
    rc = rc ? rc : live_run(arena, sys, &live, &run, e);
    if (rc == 0) {
        (void)live_values(sys, run.outcome, seen);
        l->invalid = l->invalid || run.invalid;
        for (size_t i = 0; i < count; i++) {
            predicted[i].observed = seen[i].observed;
            if (predicted[i].measure != LIVE_ATTEMPTS) {
                add_value(l, name, &predicted[i]);
            }
        }
    }
    arena_destroy(arena);
    return rc;
}

int e1_live(Experiment *x, const Load *load, const ScoreOptions *score, Err *e)
{
    Live *l = mem_zalloc(sizeof *l);
    *l = (Live){.x = x,
                .table = {.title = "E1 live",
                          .columns = {"policies", "measure", "simulated, 90 % for one run", "live",
                                      "inside"},
                          .column_count = 5}};
    int rc = live_lateness(x->seed, SCALE, LATENESS_SECONDS, &l->late, e);
    for (size_t i = 0; rc == 0 && i < load->found_count; i++) {
        rc = run_row(l, load->rows[i].name, load->found[i], score, e);
    }
    if (rc == 0) {
        experiment_print(x, &l->table);
        experiment_say(
            x,
            "rho %.2f: %zu of %zu live values are inside%s. %.0f s of the System in one of "
            "the clock.",
            load->rho, l->inside, l->values,
            l->invalid ? "; requests left late in a run: measure again on a quiet machine" : "",
            SCALE);
    }
    free(l);
    return rc;
}
