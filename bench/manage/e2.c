// E2: drift. The world changes while it is managed, and nobody is told: how long until the policy
// is good again?
#include "coordinate.h"

#include <math.h>
#include <string.h>

#include "manage/plant_virtual.h"

enum { E2_RUNS = 5 };

#define CHANGE_NS  (400 * NS_PER_SECOND)
#define JOIN_NS    (60 * NS_PER_SECOND) // of who was away: what waits by then is soon worked off
#define HORIZON_NS (1000 * NS_PER_SECOND)

typedef enum DriftKind {
    DRIFT_NONE,
    DRIFT_TAIL,
    DRIFT_LOAD,
    DRIFT_OBJECTIVE,
    DRIFT_JOINS,
    DRIFT_LEAVES
} DriftKind;

static const struct {
    DriftKind kind;
    const char *name;
} DRIFTS[] = {
    {DRIFT_NONE, "nothing changes (it begins collapsed)"},
    {DRIFT_TAIL, "the tail moves from C to D"},
    {DRIFT_LOAD, "tasks grow from 7 to 12 a second"},
    {DRIFT_OBJECTIVE, "the objective becomes p99 2 s (was 10 s)"},
    {DRIFT_JOINS, "B is away and joins at 60 s"},
    {DRIFT_LEAVES, "B leaves, and joins 100 s later"},
};

typedef struct Part {
    DriftKind kind;
    System *sys;
    Arena *arena;
    ScoreOptions score;
    Negotiated deal;
    bool done, back;
    Err error;
} Part;

// C's tail goes to D with its weight; D's time is shortened so that its capacity stays as it was:
// else no policy could help.
static void move_tail(Part *part, Plant *plant)
{
    static const double WEIGHT = 0.08;
    const System *sys = part->sys;
    ptrdiff_t c = system_find_agent(sys, SLICE("c")), d = system_find_agent(sys, SLICE("d"));
    double mean = dist_mean(&sys->agents[d].service);
    Dist tail = dist_pareto(2e9, 1.5, 60e9);
    DistPart *parts = ARENA_ARRAY(part->arena, DistPart, 2);
    double rest = (mean - WEIGHT * dist_mean(&tail)) / (1 - WEIGHT);
    parts[0] = (DistPart){1 - WEIGHT, dist_lognormal(rest, 0.25)};
    parts[1] = (DistPart){WEIGHT, tail};
    Dist quick = dist_lognormal(150e6, 0.4), mixed = dist_mixture(parts, 2);
    plant_virtual_work(plant, (uint32_t)c, &quick);
    plant_virtual_work(plant, (uint32_t)d, &mixed);
}

static int64_t changed_at(DriftKind kind)
{
    return kind == DRIFT_NONE ? 0 : kind == DRIFT_JOINS ? JOIN_NS : CHANGE_NS;
}

static int step(void *context, Coordinator *c, Plant *plant, Err *e)
{
    Part *part = context;
    int64_t now = plant_now(plant);
    if (part->kind == DRIFT_LEAVES && !part->back && now >= CHANGE_NS + 100 * NS_PER_SECOND) {
        part->back = true;
        return coordinator_join(c, SLICE("b"), e);
    }
    if (part->kind == DRIFT_JOINS && !part->back) {
        part->back = true;
        return coordinator_leave(c, SLICE("b"), e);
    }
    if (part->done || now < changed_at(part->kind)) {
        return 0;
    }
    part->done = true;
    SystemObjective o = part->sys->objectives[0];
    switch (part->kind) {
    case DRIFT_NONE:
    case DRIFT_LOAD: return 0;
    case DRIFT_TAIL: move_tail(part, plant); return 0;
    case DRIFT_OBJECTIVE: o.p99_ns = 2 * NS_PER_SECOND; return coordinator_objective(c, &o, e);
    case DRIFT_JOINS: return coordinator_join(c, SLICE("b"), e);
    case DRIFT_LEAVES: return coordinator_leave(c, SLICE("b"), e);
    }
    return 0;
}

static void prepare(Part *part)
{
    System *sys = part->sys;
    sys->clients[0].spike_count = sys->clients[1].spike_count = 0;
    if (part->kind == DRIFT_LOAD) {
        SystemSpike *growth = ARENA_NEW(part->arena, SystemSpike);
        *growth = (SystemSpike){CHANGE_NS, HORIZON_NS, 12.0 / 7};
        sys->clients[0].per_second = 7;
        sys->clients[0].spikes = growth;
        sys->clients[0].spike_count = 1;
    }
    if (part->kind == DRIFT_OBJECTIVE) {
        sys->objectives[0].p99_ns = 10 * NS_PER_SECOND;
    }
}

static int run_part(Part *part, Err *e)
{
    prepare(part);
    NegotiateOptions options = {
        .score = part->score,
        .coordinator = {.plan_budget_ns = NO_BUDGET_NS, .validate = {.threads = 1}},
        .step = step,
        .context = part};
    return negotiate(part->arena, part->sys, &options, &part->deal, e);
}

static void part_of(void *context, size_t index)
{
    Part *part = (Part *)context + index;
    part->error.code = run_part(part, &part->error);
}

static void fill_row(Table *t, const char *name, const Part *parts, size_t runs)
{
    double changed = (double)changed_at(parts[0].kind) / 1e9;
    double good[E2_RUNS], settled[E2_RUNS], goodput[E2_RUNS], p99[E2_RUNS], cases[E2_RUNS];
    for (size_t i = 0; i < runs; i++) {
        const Negotiated *n = &parts[i].deal;
        good[i] = fmax(n->good_s - changed, 0);
        bool again = isfinite(n->settled_s) && n->settled_s >= changed;
        settled[i] = again ? n->settled_s - changed : 0;
        goodput[i] = n->score.goodput[0];
        p99[i] = n->score.p99[0];
        cases[i] = n->cases;
    }
    Cell row[] = {cell_text(slice_from_cstr(name)), cell_mean(settled, runs, 0),
                  cell_mean(good, runs, 0),         cell_mean(goodput, runs, 3),
                  cell_mean(p99, runs, 2),          cell_mean(cases, runs, 1),
                  cell_text(parts[0].deal.policy)};
    memcpy(t->cells[t->rows++], row, sizeof row);
}

static int run_all(Experiment *x, Part *parts, size_t runs, Err *e)
{
    size_t count = COUNT_OF(DRIFTS) * runs;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        DriftKind kind = DRIFTS[i / runs].kind;
        parts[i] = (Part){.kind = kind,
                          .arena = arena_create(64 << 20),
                          .score = {.seed = x->seed * 100000 + 80000 + i % runs,
                                    .from_ns = 700 * NS_PER_SECOND,
                                    .horizon_ns = HORIZON_NS,
                                    .good_from_ns = changed_at(kind)}};
        rc = system_load(parts[i].arena, x->system_path, &parts[i].sys, e);
    }
    if (rc == 0) {
        rc = experiment_parallel(count, 0, part_of, parts, e);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (parts[i].error.code != 0) {
            rc = err_set(e, (ErrCode)parts[i].error.code, "%s", parts[i].error.text);
        }
    }
    return rc;
}

int experiment_e2(Experiment *x, Err *e)
{
    static const char *const COLUMNS[] = {
        "what changes, at 400 s",       "last new policy after s", "promises kept after s",
        "goodput from 700 s",           "p99 s from 700 s",        "cases",
        "policy in the end (first run)"};
    size_t runs = x->quick ? 1 : E2_RUNS;
    experiment_say(
        x,
        "E2, seed %llu: %zu runs of 1000 s a row, D's load 0.8 without a spike. Times "
        "are from the change (from the beginning in the first row); promises are kept "
        "from the end of the last window of 10 s with a violation (infinite: to the end); "
        "0 for the policy: the one that was there did.",
        (unsigned long long)x->seed, runs);
    Table *t = mem_zalloc(sizeof *t);
    t->title = "E2: drift";
    memcpy(t->columns, COLUMNS, sizeof COLUMNS);
    t->column_count = COUNT_OF(COLUMNS);
    Part *parts = mem_zalloc(COUNT_OF(DRIFTS) * runs * sizeof *parts);
    int rc = run_all(x, parts, runs, e);
    for (size_t i = 0; rc == 0 && i < COUNT_OF(DRIFTS); i++) {
        fill_row(t, DRIFTS[i].name, &parts[i * runs], runs);
    }
    if (rc == 0) {
        experiment_print(x, t);
    }
    for (size_t i = 0; i < COUNT_OF(DRIFTS) * runs; i++) {
        arena_destroy(parts[i].arena);
    }
    free(parts);
    free(t);
    return rc;
}
