// E1: the slides' scenario at three loads: what is there, what the slides say fails, what every
// agent can do by itself with each mechanism tuned offline, what one agent finds alone, what a
// central optimiser and an oracle find, and what the agents negotiate while it runs.
#include "e1.h"

#include <string.h>

enum { TUNE_RUNS = 3 };

#define AT(p)  "a->b." p " builds->b." p
#define ALL(p) AT(p) " b->c." p " b->d." p
#define CANCEL_ALL                                                                                 \
    "a->b.cancel.propagate=true builds->b.cancel.propagate=true "                                  \
    "b->c.cancel.propagate=true b->d.cancel.propagate=true"
#define NO_FLOOR "a->b.retry.budget_min=0 builds->b.retry.budget_min=0"
#define TIMEOUT                                                                                    \
    {                                                                                              \
        AT("timeout.attempt"), BAYES_LOG, 0.5, 30                                                  \
    }
#define ATTEMPTS                                                                                   \
    {                                                                                              \
        AT("retry.attempts"), BAYES_WHOLE, 1, 4                                                    \
    }
#define CANCEL                                                                                     \
    {                                                                                              \
        ALL("cancel.propagate"), BAYES_CHOICE, 0, 1                                                \
    }
#define B_EDGES                                                                                    \
    {"b->c.timeout.attempt", BAYES_LOG, 0.1, 30}, {"b->c.retry.attempts", BAYES_WHOLE, 1, 4},      \
        {"b->c.hedge.max", BAYES_WHOLE, 0, 2}, {"b->c.hedge.delay", BAYES_LOG, 0.1, 10},           \
        {"b->d.timeout.attempt", BAYES_LOG, 0.5, 30},                                              \
    {                                                                                              \
        "b->d.retry.attempts", BAYES_WHOLE, 1, 4                                                   \
    }

typedef struct RowPlan {
    RowKind kind;
    Space space;
} RowPlan;

// A mechanism is on at every agent that has a place for it, with one setting for all callers of B:
// a library's default, which nobody has to agree on. Where cancellation is a number it is tuned.
static const RowPlan PLANS[] = {
    {ROW_FIXED, {"status quo: 1 s x4", "", {{0}}, 0}},
    {ROW_FIXED,
     {"slides: longer timeout, 10 s",
      "a->b.timeout.attempt=10s a->b.retry.attempts=1 builds->b.timeout.attempt=10s "
      "builds->b.retry.attempts=1",
      {{0}},
      0}},
    {ROW_FIXED, {"slides: D limits its rate to 19/s", "d.rate.per_second=19", {{0}}, 0}},
    {ROW_FIXED,
     {"slides: D scales to 72 servers at most",
      "d.autoscale.target=0.8 d.autoscale.min=18 d.autoscale.max=72",
      {{0}},
      0}},
    {ROW_FIXED,
     {"slides' fix without cancellation",
      "a->b.timeout.attempt=10s a->b.retry.attempts=1 builds->b.timeout.attempt=10s "
      "builds->b.retry.attempts=1 b->c.timeout.attempt=1s b->c.retry.attempts=4 "
      "b->d.timeout.attempt=3s b->d.retry.attempts=4",
      {{0}},
      0}},
    {ROW_BASELINE,
     {"no retry", "a->b.retry.attempts=1 builds->b.retry.attempts=1", {TIMEOUT, CANCEL}, 2}},
    {ROW_BASELINE,
     {"retry budget, cancellation",
      CANCEL_ALL " " NO_FLOOR,
      {TIMEOUT,
       {AT("retry.attempts"), BAYES_WHOLE, 2, 4},
       {AT("retry.budget"), BAYES_LOG, 0.01, 1}},
      3}},
    {ROW_BASELINE,
     {"breaker",
      "a->b.breaker.window=time a->b.breaker.period=10s builds->b.breaker.window=time "
      "builds->b.breaker.period=10s a->b.breaker.min_calls=20 builds->b.breaker.min_calls=20",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {AT("breaker.failure_rate"), BAYES_REAL, 0.05, 0.9},
       {AT("breaker.open_for"), BAYES_LOG, 1, 60}},
      5}},
    {ROW_BASELINE,
     {"AIMD limit at the callers",
      "a->b.limit.kind=aimd builds->b.limit.kind=aimd",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {AT("limit.max"), BAYES_LOG, 20, 500},
       {AT("limit.backoff"), BAYES_REAL, 0.5, 0.99},
       {AT("limit.timeout"), BAYES_LOG, 0.5, 20}},
      6}},
    {ROW_BASELINE,
     {"Gradient2 limit at D",
      "d.limit.kind=gradient2 d.limit.value=40",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {"d.limit.tolerance", BAYES_REAL, 1, 4},
       {"d.limit.queue", BAYES_WHOLE, 0, 60}},
      5}},
    {ROW_BASELINE,
     {"HPA at D, 18 to 72 servers",
      "d.autoscale.target=0.8 d.autoscale.min=18 d.autoscale.max=72",
      {TIMEOUT, ATTEMPTS, CANCEL, {"d.autoscale.target", BAYES_REAL, 0.3, 0.95}},
      4}},
    {ROW_BASELINE,
     {"rate limit at the entry",
      "tasks->a.rate.burst=30 builds->b.rate.burst=30",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {"tasks->a.rate.per_second", BAYES_REAL, 4, 30},
       {"builds->b.rate.per_second", BAYES_REAL, 2, 15}},
      5}},
    {ROW_BASELINE,
     {"CoDel or LIFO queue at D",
      "d.limit.kind=fixed d.limit.value=18 d.queue.limit=1000",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {"d.queue.discipline", BAYES_CHOICE, 0, 2},
       {"d.queue.codel_target", BAYES_LOG, 0.05, 3},
       {"d.queue.codel_interval", BAYES_LOG, 0.1, 10}},
      6}},
    {ROW_BASELINE,
     {"client throttling (SRE book)",
      "",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {AT("shed.throttle_k"), BAYES_REAL, 1.05, 4},
       {AT("shed.throttle_window"), BAYES_LOG, 5, 120}},
      5}},
    {ROW_BASELINE,
     {"proxy at B: admission, AIMD, breaker, retry (HiveMind)",
      "b.limit.kind=aimd b.queue.limit=200 a->b.breaker.window=time a->b.breaker.period=10s "
      "builds->b.breaker.window=time builds->b.breaker.period=10s",
      {TIMEOUT,
       ATTEMPTS,
       CANCEL,
       {"b.limit.max", BAYES_LOG, 20, 500},
       {"b.limit.timeout", BAYES_LOG, 0.5, 20},
       {AT("breaker.failure_rate"), BAYES_REAL, 0.05, 0.9},
       {AT("breaker.open_for"), BAYES_LOG, 1, 60}},
      7}},
    {ROW_ALONE,
     {"A alone, its edge",
      "",
      {{"a->b.timeout.attempt", BAYES_LOG, 0.5, 30},
       {"a->b.retry.attempts", BAYES_WHOLE, 1, 4},
       {"a->b.retry.budget", BAYES_REAL, 0, 1},
       {"a->b.cancel.propagate", BAYES_CHOICE, 0, 1}},
      4}},
    {ROW_ALONE,
     {"B alone, both of its edges",
      "b->c.hedge.budget=0",
      {B_EDGES, {"b->c.cancel.propagate b->d.cancel.propagate", BAYES_CHOICE, 0, 1}},
      7}},
    {ROW_CENTRAL,
     {"central Bayesian optimiser",
      "b->c.hedge.budget=0",
      {TIMEOUT, ATTEMPTS, CANCEL, B_EDGES},
      9}},
    {ROW_ORACLE, {"oracle", "b->c.hedge.budget=0", {TIMEOUT, ATTEMPTS, CANCEL, B_EDGES}, 9}},
};

typedef struct Sizes {
    size_t runs, trials, central, oracle, tune_runs;
    ScoreOptions judged, tuning;
} Sizes;

static Sizes sizes_of(const Experiment *x)
{
    Sizes s = {.runs = 10, .trials = 40, .central = 80, .oracle = 120, .tune_runs = TUNE_RUNS};
    if (x->quick) {
        s = (Sizes){.runs = 2, .trials = 4, .central = 4, .oracle = 4, .tune_runs = 1};
    }
    s.runs = x->live ? 1 : s.runs;
    s.runs = x->runs > 0 && x->runs <= RUNS_MAX ? x->runs : s.runs;
    s.judged = (ScoreOptions){.seed = x->seed * 100000 + 50000,
                              .from_ns = 300 * NS_PER_SECOND,
                              .horizon_ns = 900 * NS_PER_SECOND,
                              .spike_ns = 115 * NS_PER_SECOND,
                              .recovered_at = 0.95};
    s.tuning = s.judged;
    s.tuning.seed = x->seed * 100000;
    return s;
}

// ---- rows without management

static int oracle_starts(const Load *load, const Space *space, double *ret, size_t *ret_count,
                         Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < load->found_count; i++) {
        rc = space_point(load->found[i], space, ret + i * space->knob_count, e);
        *ret_count = i + 1;
    }
    return rc;
}

static int tuned_row(Experiment *x, Load *load, const RowPlan *plan, const Sizes *sizes, Row *row,
                     Err *e)
{
    bool oracle = plan->kind == ROW_ORACLE;
    double starts[ROWS * KNOBS_MAX];
    TuneOptions options = {.score = oracle ? sizes->judged : sizes->tuning,
                           .runs = oracle ? sizes->runs : sizes->tune_runs,
                           .trials = oracle                      ? sizes->oracle
                                     : plan->kind == ROW_CENTRAL ? sizes->central
                                                                 : sizes->trials,
                           .starts = starts,
                           .local = plan->kind != ROW_CENTRAL};
    Tuned tuned;
    int rc = oracle ? oracle_starts(load, &plan->space, starts, &options.start_count, e) : 0;
    if (rc == 0) {
        rc = tune(x->arena, load->sys, &plan->space, &options, &tuned, e);
    }
    if (rc == 0) {
        row->words = space_print(x->arena, &plan->space, tuned.point);
        load->found[load->found_count++] = tuned.sys;
        rc = score_runs(tuned.sys, &sizes->judged, sizes->runs, row->scores, e);
    }
    return rc;
}

static int plain_row(Experiment *x, Load *load, const RowPlan *plan, const Sizes *sizes, Err *e)
{
    Row *row = &load->rows[load->row_count++];
    *row = (Row){.name = plan->space.name, .kind = plan->kind};
    int rc = tuned_row(x, load, plan, sizes, row, e);
    row->badness = score_badness(load->sys, row->scores, sizes->runs);
    return rc;
}

// ---- the negotiated row

typedef struct Deals {
    Experiment *x;
    Load *load;
    const Sizes *sizes;
    Err *errors;
} Deals;

static int one_deal(Deals *d, size_t index, Err *e)
{
    Arena *arena = d->load->arenas[index] = arena_create(64 << 20);
    System *sys = system_copy(arena, d->load->sys);
    without_servers(sys);
    NegotiateOptions options = {
        .score = d->sizes->judged,
        .coordinator = {.plan_budget_ns = NO_BUDGET_NS, .validate = {.threads = 1}},
        .tell = d->x->tell == (int64_t)index};
    options.score.seed += index;
    Negotiated deal;
    int rc = negotiate(arena, sys, &options, &deal, e);
    if (rc == 0) {
        d->load->deals[index] = deal;
    }
    d->errors[index].code = rc;
    return rc;
}

static void deal_part(void *context, size_t index)
{
    Deals *d = context;
    (void)one_deal(d, index, &d->errors[index]);
}

static int negotiated_row(Experiment *x, Load *load, const Sizes *sizes, Err *e)
{
    Row *row = &load->rows[load->row_count++];
    *row = (Row){.name = "**negotiated while it runs**", .negotiated = true};
    Deals deals = {x, load, sizes, mem_zalloc(sizes->runs * sizeof(Err))};
    int rc = experiment_parallel(sizes->runs, 0, deal_part, &deals, e);
    for (size_t i = 0; rc == 0 && i < sizes->runs; i++) {
        row->scores[i] = load->deals[i].score;
        if (deals.errors[i].code != 0) {
            rc = err_set(e, (ErrCode)deals.errors[i].code, "%s", deals.errors[i].text);
        }
    }
    row->badness = score_badness(load->sys, row->scores, sizes->runs);
    free(deals.errors);
    return rc;
}

// ---- all of it

static int load_system(Experiment *x, double rho, System **ret, Err *e)
{
    int rc = system_load(x->arena, x->system_path, ret, e);
    if (rc != 0) {
        return rc;
    }
    // The tasks make up the load; D's capacity is its servers over its mean work.
    System *sys = *ret;
    ptrdiff_t tasks = system_find_client(sys, SLICE("tasks"));
    ptrdiff_t d = system_find_agent(sys, SLICE("d"));
    if (tasks < 0 || d < 0) {
        return err_set(e, ERR_ARG, "%s: no client tasks or no agent d", x->system_path);
    }
    double others = 0;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        others += i == (uint32_t)tasks ? 0 : sys->clients[i].per_second;
    }
    double capacity = sys->agents[d].servers / (dist_mean(&sys->agents[d].service) / 1e9);
    sys->clients[tasks].per_second = rho * capacity - others;
    return 0;
}

static int one_load(Experiment *x, Load *load, const Sizes *sizes, Err *e)
{
    int rc = load_system(x, load->rho, &load->sys, e);
    for (size_t i = 0; rc == 0 && i < COUNT_OF(PLANS); i++) {
        if (x->only_negotiated && PLANS[i].kind != ROW_ORACLE) {
            continue;
        }
        // The oracle may begin with what the others found, so it comes after them; the row of the
        // agents stands before both for the eye.
        if (PLANS[i].kind == ROW_ORACLE) {
            rc = negotiated_row(x, load, sizes, e);
            if (rc == 0) {
                load->found[load->found_count++] = load->deals[0].after;
            }
        }
        if (rc == 0) {
            rc = plain_row(x, load, &PLANS[i], sizes, e);
        }
    }
    if (rc == 0) {
        e1_table(x, load, sizes->runs);
        e1_found(x, load, sizes->runs);
    }
    return rc;
}

// Only what has a steady state and can be predicted by one: the agents' policies, and two baselines
// that keep the promise at this load.
static int live_load(Experiment *x, Load *load, const Sizes *sizes, Err *e)
{
    static const char *const LIVE[] = {"retry budget, cancellation", "no retry"};
    int rc = load_system(x, load->rho, &load->sys, e);
    for (size_t i = 0; rc == 0 && i < COUNT_OF(PLANS); i++) {
        for (size_t k = 0; rc == 0 && k < COUNT_OF(LIVE); k++) {
            if (strcmp(PLANS[i].space.name, LIVE[k]) == 0) {
                rc = plain_row(x, load, &PLANS[i], sizes, e);
            }
        }
    }
    rc = rc ? rc : negotiated_row(x, load, sizes, e);
    if (rc == 0) {
        load->found[load->found_count++] = load->deals[0].after;
        rc = e1_live(x, load, &sizes->judged, e);
    }
    return rc;
}

int experiment_e1(Experiment *x, Err *e)
{
    static const double RHOS[] = {0.65, 0.8, 0.9};
    Sizes sizes = sizes_of(x);
    Load *loads = mem_zalloc(COUNT_OF(RHOS) * sizeof *loads);
    if (!x->live) {
        experiment_say(x,
                       "E1, seed %llu: %zu held-out runs of 900 s a row, 15 s of 3x load at 100 s, "
                       "measured from 300 s; tuned on %zu other runs with %zu trials a mechanism "
                       "(central %zu, oracle %zu on the held-out runs themselves); 95 %% intervals "
                       "over runs.",
                       (unsigned long long)x->seed, sizes.runs, sizes.tune_runs, sizes.trials,
                       sizes.central, sizes.oracle);
    }
    size_t count = x->quick || x->rho > 0 ? 1 : COUNT_OF(RHOS);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        loads[i].rho = x->rho > 0 ? x->rho : RHOS[x->quick ? 1 : i];
        rc = x->live ? live_load(x, &loads[i], &sizes, e) : one_load(x, &loads[i], &sizes, e);
    }
    if (rc == 0 && !x->only_negotiated && !x->live) {
        e1_judge(x, loads, count, sizes.runs);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t r = 0; r < RUNS_MAX; r++) {
            arena_destroy(loads[i].arenas[r]);
        }
    }
    free(loads);
    return rc;
}
