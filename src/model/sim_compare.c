#include "model/sim_compare.h"

#include <math.h>

#include "model/sim_impl.h"
#include "model/sim_stat.h"
#include "os/clock.h"
#include "stat/compare.h"

const char *const SIM_FATES[] = {"kept", "worse", "collapses", "halved", "refused", NULL};

// ---- scores

static double promised_s(const SystemObjective *o)
{
    int64_t ns = o->p99_ns > 0 ? o->p99_ns : o->within_ns;
    return ns > 0 ? (double)ns / NS_PER_SECOND : 1;
}

double sim_score(void *context, const System *sys, const SimRun *run)
{
    double tie = 0, score = outcome_gap(run->outcome, sys).value;
    (void)context;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        const ClientOutcome *c = &run->outcome->clients[o->client];
        double late = c->p99.value / promised_s(o);
        tie += isnan(late) ? OUTCOME_EXCESS_MAX : fmin(late, OUTCOME_EXCESS_MAX);
        score += isinf(c->recovery.value) ? OUTCOME_EXCESS_MAX : 0;
    }
    return score + tie / 100;
}

// ---- candidates

typedef struct Contender {
    SimRank rank;
    SimPlan plan;
    SimSlot *slots;
    double *scores;
    uint32_t runs;
    double mean;
    bool in; // still running
} Contender;

typedef struct Contest {
    const SimCompareOptions *o;
    SimScore *score;
    Contender *all;
    size_t count;
    uint32_t *todo; // contenders of this round
    uint32_t left;
    uint32_t rounds, keep;
    double confidence;
} Contest;

static int enter(Arena *arena, const System *base, const SimCandidate *candidate,
                 const SimOptions *o, Contender *c, Err *e)
{
    System *sys = system_copy(arena, base);
    Err why = {0};
    if (system_set_all(sys, candidate->changes, candidate->count, &why) != 0) {
        c->rank.fate = SIM_REFUSED;
        c->mean = INFINITY;
        return 0;
    }
    int rc = sim_plan(arena, sys, o, &c->plan, e);
    if (rc != 0) {
        return rc;
    }
    c->rank.sys = sys;
    c->slots = ARENA_ARRAY(arena, SimSlot, c->plan.o.replications);
    c->scores = ARENA_ARRAY(arena, double, c->plan.o.replications);
    c->in = true;
    return 0;
}

static void run_contender(void *context, uint32_t index)
{
    Contest *contest = context;
    Contender *c = &contest->all[contest->todo[index]];
    sim_replicate(&c->plan, &c->slots[c->runs]);
}

static const Contender *best_of(const Contest *contest)
{
    const Contender *best = NULL;
    for (size_t i = 0; i < contest->count; i++) {
        const Contender *c = &contest->all[i];
        if (c->in && (!best || c->mean < best->mean)) {
            best = c;
        }
    }
    return best;
}

static bool collapsed(const Contender *c)
{
    SimEnd end = c->slots[c->runs - 1].run.end;
    return end == SIM_OVERFLOWED || end == SIM_DIVERGED;
}

static void drop(Contender *c, SimFate why)
{
    c->in = false;
    c->rank.fate = why;
}

static void drop_the_worse(Contest *contest, const Contender *best)
{
    double alpha = (1 - contest->confidence) / (double)contest->count;
    for (size_t i = 0; i < contest->count; i++) {
        Contender *c = &contest->all[i];
        if (!c->in || c == best) {
            continue;
        }
        if (collapsed(c) && !collapsed(best)) {
            drop(c, SIM_COLLAPSE);
        } else if (c->runs >= 2 && c->mean > best->mean) {
            Comparison d = compare_paired(best->scores, c->scores, c->runs, contest->confidence);
            if (d.p_greater < alpha) {
                drop(c, SIM_WORSE);
            }
        }
    }
}

static int by_mean(const void *a, const void *b)
{
    const Contender *x = *(const Contender *const *)a, *y = *(const Contender *const *)b;
    return x->mean < y->mean ? -1 : x->mean > y->mean;
}

static void drop_a_half(Contest *contest, uint32_t round)
{
    const Contender **order = mem_alloc((contest->count + 1) * sizeof *order);
    size_t in = 0, stay = contest->count >> (round + 1);
    for (size_t i = 0; i < contest->count; i++) {
        if (contest->all[i].in) {
            order[in++] = &contest->all[i];
        }
    }
    stay = stay > contest->keep ? stay : contest->keep;
    qsort(order, in, sizeof *order, by_mean);
    for (size_t i = stay; i < in; i++) {
        drop(&contest->all[order[i] - contest->all], SIM_HALVED);
    }
    free(order);
}

static int run_round(Arena *arena, Contest *contest, uint32_t round, Err *e)
{
    const SimOptions *o = &contest->o->sim;
    contest->left = 0;
    for (size_t i = 0; i < contest->count; i++) {
        Contender *c = &contest->all[i];
        if (c->in) {
            sim_slot_init(arena, &c->plan, c->plan.o.first + c->runs, &c->slots[c->runs]);
            contest->todo[contest->left++] = (uint32_t)i;
        }
    }
    int rc = sim_parallel(o->threads, contest->left, run_contender, contest, o, e);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < contest->left; i++) {
        Contender *c = &contest->all[contest->todo[i]];
        c->scores[c->runs] =
            contest->score(contest->o->context, c->rank.sys, &c->slots[c->runs].run);
        c->mean = (c->mean * c->runs + c->scores[c->runs]) / (c->runs + 1);
        c->runs++;
    }
    const Contender *best = best_of(contest);
    if (best && round + 1 < contest->rounds) {
        drop_the_worse(contest, best);
        drop_a_half(contest, round);
    }
    return 0;
}

// ---- the ranking

static int by_rank(const void *a, const void *b)
{
    const Contender *x = a, *y = b;
    bool kept_x = x->rank.fate == SIM_KEPT, kept_y = y->rank.fate == SIM_KEPT;
    if (kept_x != kept_y) {
        return kept_x ? -1 : 1;
    }
    if (x->runs != y->runs) {
        return x->runs > y->runs ? -1 : 1;
    }
    if (x->mean != y->mean) {
        return x->mean < y->mean ? -1 : 1;
    }
    return x->rank.candidate < y->rank.candidate ? -1 : 1;
}

static void tell(Arena *arena, Contest *contest, SimRank *ranks)
{
    const Contender *best = &contest->all[0];
    for (size_t i = 0; i < contest->count; i++) {
        Contender *c = &contest->all[i];
        if (c->runs > 0) {
            uint32_t both = c->runs < best->runs ? c->runs : best->runs;
            double *difference = ARENA_ARRAY(arena, double, both);
            for (uint32_t k = 0; k < both; k++) {
                difference[k] = c->scores[k] - best->scores[k];
            }
            c->rank.score = sim_mean(c->scores, c->runs, contest->confidence);
            c->rank.difference = sim_mean(difference, both, contest->confidence);
            c->rank.result = ARENA_NEW(arena, SimResult);
            sim_merge(arena, &c->plan, c->slots, c->runs, c->rank.result);
        }
        ranks[i] = c->rank;
    }
}

static int check(const SimCompareOptions *o, size_t count, Err *e)
{
    if (count == 0 || count > SIM_CANDIDATES_MAX) {
        return err_set(e, ERR_ARG, "%zu candidates; 1 to %d can be compared", count,
                       SIM_CANDIDATES_MAX);
    }
    if (!(o->confidence >= 0 && o->confidence < 1)) {
        return err_set(e, ERR_ARG, "the confidence must be between 0 and 1");
    }
    return 0;
}

int sim_compare(Arena *arena, const System *base, const SimCandidate *candidates, size_t count,
                const SimCompareOptions *options, SimRank **ret_ranks, Err *e)
{
    int rc = check(options, count, e);
    if (rc != 0) {
        return rc;
    }
    int64_t started = clock_now(clock_real());
    SimOptions o = options->sim;
    o.settle = true;
    o.no_controls = true; // the pairs take out more luck than a formula could
    o.replications = o.replications ? o.replications : SIM_REPLICATIONS_DEFAULT;
    o.replications = o.replications > 1 ? o.replications : 2;
    Contest contest = {
        .o = options,
        .score = options->score ? options->score : sim_score,
        .all = ARENA_ARRAY(arena, Contender, count),
        .count = count,
        .todo = ARENA_ARRAY(arena, uint32_t, count),
        .rounds = o.replications,
        .keep = options->keep ? options->keep : 3,
        .confidence = options->confidence > 0 ? options->confidence : 0.95,
    };
    for (size_t i = 0; i < count && rc == 0; i++) {
        contest.all[i].rank.candidate = (uint32_t)i;
        rc = enter(arena, base, &candidates[i], &o, &contest.all[i], e);
    }
    for (uint32_t round = 0; round < contest.rounds && rc == 0; round++) {
        rc = run_round(arena, &contest, round, e);
    }
    if (rc != 0) {
        return rc;
    }
    qsort(contest.all, count, sizeof contest.all[0], by_rank);
    SimRank *ranks = ARENA_ARRAY(arena, SimRank, count);
    tell(arena, &contest, ranks);
    for (size_t i = 0; i < count; i++) {
        if (ranks[i].result) {
            ranks[i].result->outcome->took_ns = clock_now(clock_real()) - started;
        }
    }
    *ret_ranks = ranks;
    return 0;
}
