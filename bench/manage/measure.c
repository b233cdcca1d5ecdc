// The instrument: what one run of a plant came to, from its windows.
#include "experiment.h"

#include <math.h>
#include <string.h>

#include "manage/plant_virtual.h"

#define WINDOW_NS (10 * NS_PER_SECOND)
#define GRACE_NS  (65 * NS_PER_SECOND) // the longest work of the example is 60 s
enum { GOOD_WINDOWS = 3, WINDOW_BYTES_MAX = 64 << 20 };

struct ScoreBuilder {
    const System *sys;
    ScoreOptions options;
    Hist hist[SCORE_CLIENTS]; // from options.from_ns on
    double good[SCORE_CLIENTS], ended[SCORE_CLIENTS];
    double whole_good[SCORE_CLIENTS], whole_ended[SCORE_CLIENTS];
    double overdue[SCORE_CLIENTS];
    double arrivals, needed, busy_s, wasted_s, server_s, seconds;
    double recovery_s;
    uint32_t good_row;
    int64_t row_began_ns;
    uint32_t limited;             // the agent with servers that counts for amplification
    double visits[SCORE_CLIENTS]; // to it, by one request of the client
};

static uint32_t limited_agent(const System *sys)
{
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        if (sys->agents[i].servers > 0) {
            return i;
        }
    }
    return 0;
}

ScoreBuilder *score_begin(const System *sys, const ScoreOptions *options)
{
    ScoreBuilder *b = mem_zalloc(sizeof *b);
    b->sys = sys;
    b->options = *options;
    b->recovery_s = INFINITY;
    b->limited = limited_agent(sys);
    for (size_t i = 0; i < SCORE_CLIENTS; i++) {
        hist_init(&b->hist[i]);
    }
    double *visits = mem_zalloc((sys->agent_count + 1) * sizeof *visits);
    for (uint32_t i = 0; i < sys->client_count && i < SCORE_CLIENTS; i++) {
        system_visits(sys, i, visits);
        b->visits[i] = visits[b->limited];
    }
    free(visits);
    return b;
}

// Recovery: the begin of the first three windows in a row, after the spike, in which every client
// gets good answers.
static void look_for_recovery(ScoreBuilder *b, const PlantWindow *w)
{
    const ScoreOptions *o = &b->options;
    bool good = true;
    for (uint32_t i = 0; i < b->sys->client_count; i++) {
        const PlantClient *c = &w->clients[i];
        double ended = (double)(c->good + c->late + c->failed + c->overdue);
        good &= ended == 0 || (double)c->good >= o->recovered_at * ended;
    }
    if (isfinite(b->recovery_s) || o->spike_ns == 0 || w->from_ns < o->spike_ns ||
        w->until_ns > o->horizon_ns) {
        return;
    }
    b->good_row = good ? b->good_row + 1 : 0;
    b->row_began_ns = b->good_row == 1 ? w->from_ns : b->row_began_ns;
    if (b->good_row == GOOD_WINDOWS) {
        b->recovery_s = (double)(b->row_began_ns - o->spike_ns) / 1e9;
    }
}

void score_window(ScoreBuilder *b, const PlantWindow *w)
{
    const System *sys = b->sys;
    bool measured = w->from_ns >= b->options.from_ns;
    for (uint32_t i = 0; i < sys->client_count && i < SCORE_CLIENTS; i++) {
        const PlantClient *c = &w->clients[i];
        double ended = (double)(c->good + c->late + c->failed);
        b->whole_good[i] += (double)c->good;
        b->whole_ended[i] += ended;
        b->overdue[i] = (double)c->overdue;
        if (measured) {
            b->good[i] += (double)c->good;
            b->ended[i] += ended;
            hist_merge(&b->hist[i], c->latency);
        }
    }
    look_for_recovery(b, w);
    if (!measured || w->until_ns > b->options.horizon_ns) {
        return;
    }
    for (uint32_t i = 0; i < sys->client_count && i < SCORE_CLIENTS; i++) {
        b->needed += b->visits[i] * (double)w->clients[i].offered;
    }
    b->arrivals += (double)w->agents[b->limited].arrivals;
    double seconds = (double)(w->until_ns - w->from_ns) / 1e9;
    b->seconds += seconds;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        if (sys->agents[i].servers > 0) {
            b->server_s += w->agents[i].servers * seconds;
            b->busy_s += w->agents[i].busy_s;
            b->wasted_s += w->agents[i].wasted_s;
        }
    }
}

Score score_end(ScoreBuilder *b)
{
    Score s = {.recovery_s = b->recovery_s};
    for (uint32_t i = 0; i < b->sys->client_count && i < SCORE_CLIENTS; i++) {
        // Who was never answered failed.
        hist_record_infinite(&b->hist[i], (uint64_t)b->overdue[i]);
        s.goodput[i] = b->good[i] / (b->ended[i] + b->overdue[i]);
        s.whole[i] = b->whole_good[i] / (b->whole_ended[i] + b->overdue[i]);
        s.p50[i] = hist_quantile_all(&b->hist[i], 0.5) / 1e9;
        s.p99[i] = hist_quantile_all(&b->hist[i], 0.99) / 1e9;
    }
    for (size_t i = 0; i < SCORE_CLIENTS; i++) {
        hist_done(&b->hist[i]);
    }
    s.amplification = b->arrivals / b->needed;
    s.wasted = b->busy_s > 0 ? b->wasted_s / b->busy_s : 0;
    s.servers = b->server_s / b->seconds;
    free(b);
    return s;
}

// What came of a plant that overflowed: nothing any more.
static Score hopeless(const System *sys)
{
    Score s = {.recovery_s = INFINITY, .amplification = NAN, .wasted = 1, .servers = NAN};
    for (uint32_t i = 0; i < sys->client_count && i < SCORE_CLIENTS; i++) {
        s.p50[i] = s.p99[i] = INFINITY;
    }
    return s;
}

int score_run(const System *sys, const ScoreOptions *options, Score *ret_score, Err *e)
{
    Plant *plant = NULL;
    PlantVirtualOptions po = {.seed = options->seed, .horizon_ns = options->horizon_ns};
    int rc = plant_virtual_create(sys, &po, &plant, e);
    if (rc != 0) {
        return rc;
    }
    ScoreBuilder *b = score_begin(sys, options);
    Arena *arena = arena_create(WINDOW_BYTES_MAX);
    bool over = false;
    for (int64_t at = WINDOW_NS; rc == 0 && at <= options->horizon_ns + GRACE_NS; at += WINDOW_NS) {
        PlantWindow window;
        Err why = {0};
        arena_reset(arena);
        over = plant_wait(plant, at, &why) != 0;
        if (over) {
            break;
        }
        rc = plant_observe(plant, arena, &window, e);
        if (rc == 0) {
            score_window(b, &window);
        }
    }
    *ret_score = score_end(b);
    if (over) {
        *ret_score = hopeless(sys);
    }
    arena_destroy(arena);
    plant_destroy(plant);
    return rc;
}

typedef struct Runs {
    const System *sys;
    const ScoreOptions *options;
    Score *scores;
    Err *errors;
} Runs;

static void one_run(void *context, size_t index)
{
    Runs *runs = context;
    ScoreOptions options = *runs->options;
    options.seed += index;
    if (score_run(runs->sys, &options, &runs->scores[index], &runs->errors[index]) == 0) {
        runs->errors[index].code = 0;
    }
}

int score_runs(const System *sys, const ScoreOptions *options, size_t count, Score *ret_scores,
               Err *e)
{
    Runs runs = {sys, options, ret_scores, mem_zalloc(count * sizeof(Err))};
    int rc = experiment_parallel(count, 0, one_run, &runs, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (runs.errors[i].code != 0) {
            rc = err_set(e, (ErrCode)runs.errors[i].code, "%s", runs.errors[i].text);
        }
    }
    free(runs.errors);
    return rc;
}

#define P99_WORST  60.0 // seconds that an infinite p99 counts as
#define SHORT_COST 1e4  // of goodput that misses its promise; .01 short is worse than any p99

double score_badness(const System *sys, const Score *scores, size_t count)
{
    double sum = 0;
    for (size_t r = 0; r < count; r++) {
        for (uint32_t i = 0; i < sys->objective_count; i++) {
            const SystemObjective *o = &sys->objectives[i];
            if (o->client < SCORE_CLIENTS) {
                sum += SHORT_COST * fmax(0, o->goodput - scores[r].goodput[o->client]);
            }
        }
        sum += fmin(scores[r].p99[0], P99_WORST);
    }
    return sum / (double)count;
}
