// E3: conflict. Parties that lie, are selfish, do not answer, do not do what they say; messages
// that are lost and doubled; leases that end; loads that go up and down. Does every negotiation
// end, and is anybody ever worse off than if nobody had managed anything?
#include "coordinate.h"

#include <math.h>
#include <string.h>

enum { E3_RUNS = 4 };

typedef struct Conflict {
    const char *name;
    const char *party;
    PartyFault fault;
    double factor;
    double lose, duplicate;
    const char *leaves; // at LEAVES_NS: in the middle of what it has promised
    bool waves;         // of load
} Conflict;

#define LEAVES_NS (50 * NS_PER_SECOND)

static const Conflict CONFLICTS[] = {
    {.name = "all honest"},
    {.name = "B never answers", .party = "b", .fault = PARTY_MUTE},
    {.name = "C never answers", .party = "c", .fault = PARTY_MUTE},
    {.name = "B says \"applied\" and does not", .party = "b", .fault = PARTY_NO_APPLY},
    {.name = "B is selfish", .party = "b", .fault = PARTY_SELFISH},
    {.name = "builds is selfish", .party = "builds", .fault = PARTY_SELFISH},
    {.name = "D says it works 5 times as fast", .party = "d", .fault = PARTY_LIES, .factor = 0.2},
    {.name = "C says it works 5 times as slow", .party = "c", .fault = PARTY_LIES, .factor = 5},
    {.name = "A reports that all is well", .party = "a", .fault = PARTY_FALSE_METRICS},
    {.name = "D's interface is stale", .party = "d", .fault = PARTY_STALE},
    {.name = "20 % of messages lost, 20 % doubled", .lose = 0.2, .duplicate = 0.2},
    {.name = "60 % of messages lost", .lose = 0.6},
    {.name = "B leaves while it is watched (lease ends)", .leaves = "b"},
    {.name = "load goes up and down by 30 % every minute", .waves = true},
};

// What management finds: a system that collapses, and one that serves but breaks its promise.
static const struct {
    const char *name, *changes;
} STARTS[] = {
    {"collapsed", ""},
    {"serving", "a->b.timeout.attempt=10s a->b.retry.attempts=1 builds->b.timeout.attempt=10s "
                "builds->b.retry.attempts=1"},
};

typedef struct Part {
    const Conflict *conflict;
    const System *sys;
    const ScoreOptions *score;
    Arena *arena;
    Negotiated deal;
    Score nothing;
    bool left;
    Err error;
} Part;

static int leave(void *context, Coordinator *c, Plant *plant, Err *e)
{
    Part *part = context;
    if (part->left || plant_now(plant) < LEAVES_NS) {
        return 0;
    }
    part->left = true;
    return coordinator_leave(c, slice_from_cstr(part->conflict->leaves), e);
}

static void add_waves(System *sys, int64_t horizon_ns)
{
    for (uint32_t i = 0; i < sys->client_count; i++) {
        SystemClient *c = &sys->clients[i];
        SystemSpike *spikes = ARENA_ARRAY(sys->arena, SystemSpike, SYSTEM_SPIKES_MAX);
        c->spike_count = 0;
        for (int64_t at = 60 * NS_PER_SECOND; at < horizon_ns && c->spike_count < SYSTEM_SPIKES_MAX;
             at += 120 * NS_PER_SECOND) {
            spikes[c->spike_count++] = (SystemSpike){at, 60 * NS_PER_SECOND, 1.3};
        }
        c->per_second *= 0.8;
        c->spikes = spikes;
    }
}

static int run_part(Part *part, Err *e)
{
    const Conflict *k = part->conflict;
    System *sys = system_copy(part->arena, part->sys);
    sys->clients = ARENA_ARRAY(part->arena, SystemClient, sys->client_count);
    memcpy(sys->clients, part->sys->clients, sys->client_count * sizeof *sys->clients);
    if (k->waves) {
        add_waves(sys, part->score->horizon_ns);
    }
    PartyTrouble trouble = {
        .party = slice_from_cstr(k->party ? k->party : ""), .fault = k->fault, .factor = k->factor};
    NegotiateOptions options = {.score = *part->score,
                                .coordinator = {.plan_budget_ns = NO_BUDGET_NS,
                                                .validate = {.threads = 1},
                                                .troubles = &trouble,
                                                .trouble_count = k->party ? 1 : 0,
                                                .lose = k->lose,
                                                .duplicate = k->duplicate},
                                .step = k->leaves ? leave : NULL,
                                .context = part};
    int rc = score_run(sys, part->score, &part->nothing, e);
    return rc != 0 ? rc : negotiate(part->arena, sys, &options, &part->deal, e);
}

static void part_of(void *context, size_t index)
{
    Part *part = (Part *)context + index;
    part->error.code = run_part(part, &part->error);
}

// Over all clients: the largest loss of goodput against nothing, 0 where nobody lost.
static double loss(const Part *part, const System *sys)
{
    double most = 0;
    for (uint32_t i = 0; i < sys->client_count && i < SCORE_CLIENTS; i++) {
        most = fmax(most, part->nothing.whole[i] - part->deal.score.whole[i]);
    }
    return most;
}

static void fill_row(Table *t, const Part *parts, size_t runs, const System *sys, const char *start)
{
    double goodput[E3_RUNS], p99[E3_RUNS], before[E3_RUNS], lost[E3_RUNS], messages[E3_RUNS];
    uint32_t cases = 0, kept = 0, back = 0, given_up = 0;
    for (size_t i = 0; i < runs; i++) {
        goodput[i] = parts[i].deal.score.whole[0];
        before[i] = parts[i].nothing.whole[0];
        p99[i] = parts[i].deal.score.p99[0];
        lost[i] = loss(&parts[i], sys);
        messages[i] = (double)parts[i].deal.messages;
        cases += parts[i].deal.cases;
        kept += parts[i].deal.kept;
        back += parts[i].deal.rolled_back;
        given_up += parts[i].deal.given_up;
    }
    double worst = 0;
    for (size_t i = 0; i < runs; i++) {
        worst = fmax(worst, lost[i]);
    }
    Cell row[] = {cell_text(slice_from_cstr(parts[0].conflict->name)),
                  cell_text(slice_from_cstr(start)),
                  cell_mean(before, runs, 3),
                  cell_mean(goodput, runs, 3),
                  cell_mean(p99, runs, 2),
                  cell_number(worst, 3),
                  cell_number(cases, 0),
                  cell_number(kept, 0),
                  cell_number(back, 0),
                  cell_number(given_up, 0),
                  cell_number(cases - kept - back - given_up, 0),
                  cell_mean(messages, runs, 0)};
    memcpy(t->cells[t->rows++], row, sizeof row);
}

static int one_start(Experiment *x, size_t start, size_t runs, Table *t, double *worst, Err *e)
{
    int64_t half_ns = (x->quick ? 150 : 300) * NS_PER_SECOND;
    ScoreOptions score = {.from_ns = half_ns,
                          .horizon_ns = 2 * half_ns,
                          .spike_ns = 115 * NS_PER_SECOND,
                          .recovered_at = 0.95};
    System *loaded, *sys;
    Space space = {.name = "start", .fixed = STARTS[start].changes};
    int rc = system_load(x->arena, x->system_path, &loaded, e);
    if (rc == 0) {
        rc = space_apply(x->arena, loaded, &space, NULL, &sys, e);
    }
    if (rc != 0) {
        return rc;
    }
    size_t count = COUNT_OF(CONFLICTS) * runs;
    Part *parts = mem_zalloc(count * sizeof *parts);
    ScoreOptions scores[E3_RUNS];
    for (size_t i = 0; i < count; i++) {
        scores[i % runs] = score;
        scores[i % runs].seed = x->seed * 100000 + 70000 + i % runs;
        parts[i] = (Part){.conflict = &CONFLICTS[i / runs],
                          .sys = sys,
                          .score = &scores[i % runs],
                          .arena = arena_create(64 << 20)};
    }
    rc = experiment_parallel(count, 0, part_of, parts, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        *worst = fmax(*worst, loss(&parts[i], sys));
        if (parts[i].error.code != 0) {
            rc = err_set(e, (ErrCode)parts[i].error.code, "%s", parts[i].error.text);
        }
    }
    for (size_t i = 0; rc == 0 && i < COUNT_OF(CONFLICTS); i++) {
        fill_row(t, &parts[i * runs], runs, sys, STARTS[start].name);
    }
    for (size_t i = 0; i < count; i++) {
        arena_destroy(parts[i].arena);
    }
    free(parts);
    return rc;
}

int experiment_e3(Experiment *x, Err *e)
{
    static const char *const COLUMNS[] = {"conflict",
                                          "begins",
                                          "goodput, nothing done",
                                          "goodput",
                                          "p99 s, second half",
                                          "largest loss",
                                          "cases",
                                          "kept",
                                          "rolled back",
                                          "given up",
                                          "under way",
                                          "messages"};
    size_t runs = x->quick ? 1 : E3_RUNS;
    double worst = 0;
    experiment_say(x,
                   "E3, seed %llu: %zu runs of %d s a row, D's load 0.8, the spike at 100 s. "
                   "Goodput of tasks over the whole run; the largest loss is over all clients and "
                   "runs, against the same run without management.",
                   (unsigned long long)x->seed, runs, x->quick ? 300 : 600);
    Table *t = mem_zalloc(sizeof *t);
    t->title = "E3: conflict";
    memcpy(t->columns, COLUMNS, sizeof COLUMNS);
    t->column_count = COUNT_OF(COLUMNS);
    int rc = 0;
    for (size_t i = x->quick ? 1 : 0; rc == 0 && i < COUNT_OF(STARTS); i++) {
        rc = one_start(x, i, runs, t, &worst, e);
    }
    if (rc == 0) {
        experiment_print(x, t);
        experiment_say(x,
                       "Every run came to its end; what is under way is watched under a lease. The "
                       "largest loss of goodput that any client had in any run: %.3f.",
                       worst);
    }
    free(t);
    return rc;
}
