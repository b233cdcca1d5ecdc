#include "manage/rules_impl.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

// Own work, then group by group the slowest, fastest or k-th of its targets, each on its own draw.
// Policies are left out: what they do is what is to be found.
static double draw(const System *view, uint32_t agent, Rng *rng, int depth);

static double draw_line(const System *view, const SystemTarget *t, Rng *rng, int depth)
{
    if (t->chance < 1 && rng_double(rng) >= t->chance) {
        return 0;
    }
    double sum = 0;
    for (double left = t->repeat; left > 0; left -= 1) {
        if (left >= 1 || rng_double(rng) < left) {
            sum += draw(view, view->edges[t->edge].to, rng, depth + 1);
        }
    }
    return sum;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double draw_group(const System *view, const SystemGroup *g, Rng *rng, int depth)
{
    double lines[SYSTEM_TARGETS_MAX];
    for (uint32_t i = 0; i < g->count; i++) {
        lines[i] = draw_line(view, &g->targets[i], rng, depth);
    }
    qsort(lines, g->count, sizeof *lines, by_size);
    uint32_t wanted = g->join == JOIN_ALL ? g->count : g->join == JOIN_ANY ? 1 : g->first;
    return g->count > 0 ? lines[(wanted < g->count ? wanted : g->count) - 1] : 0;
}

static double draw(const System *view, uint32_t agent, Rng *rng, int depth)
{
    const SystemAgent *a = &view->agents[agent];
    double sum = (double)dist_sample(&a->service, rng_double(rng));
    for (uint32_t i = 0; i < a->group_count && depth < RULES_DEPTH_MAX; i++) {
        sum += draw_group(view, &a->groups[i], rng, depth);
    }
    return sum;
}

RulesLatency rules_latency(Arena *arena, const System *view, uint32_t agent)
{
    RulesLatency l = {ARENA_ARRAY(arena, double, RULES_SAMPLES)};
    Rng rng = rng_stream(1, SLICE("rules"), agent);
    for (int i = 0; i < RULES_SAMPLES; i++) {
        l.ns[i] = draw(view, agent, &rng, 0);
    }
    qsort(l.ns, RULES_SAMPLES, sizeof *l.ns, by_size);
    return l;
}

double rules_quantile(const RulesLatency *l, double q)
{
    double at = q * (RULES_SAMPLES - 1);
    int low = (int)at;
    int high = low + 1 < RULES_SAMPLES ? low + 1 : low;
    return l->ns[low] + (at - low) * (l->ns[high] - l->ns[low]);
}

// With a share p of answers within a timeout t, the 99 % quantile after restarts lies in attempt
// j = ceil(ln 0.01 / ln(1 - p)), so at j t or before; what is left over after `attempts_max` is
// lost and counts as the tail that it has without restarts. Restarting as a cure for tails, and the
// timeout that is best for it: van Moorsel and Wolter, "Analysis of Restart Mechanisms in Software
// Systems", IEEE TSE 32(8), 2006.
static double tail_after(const RulesLatency *l, int index, uint32_t attempts_max)
{
    double p = (double)(index + 1) / RULES_SAMPLES;
    double t = l->ns[index];
    double attempts = p >= 0.99 ? 1 : ceil(log(0.01) / log1p(-p));
    return attempts > attempts_max ? INFINITY : attempts * t;
}

size_t rules_restarts(const RulesLatency *l, uint32_t attempts_max,
                      double ret_ns[RULES_TIMEOUTS_MAX], double *ret_gain)
{
    int best = RULES_SAMPLES - 1;
    double tail = rules_quantile(l, 0.99);
    for (int i = RULES_SAMPLES / 4; i < RULES_SAMPLES; i++) {
        best = tail_after(l, i, attempts_max) < tail_after(l, best, attempts_max) ? i : best;
    }
    double after = tail_after(l, best, attempts_max);
    *ret_gain = tail > 0 && after < tail ? after / tail : 1;
    // Around the best: a model without queueing and its 512 draws are not to be trusted further.
    static const double factors[RULES_TIMEOUTS_MAX] = {1.3, 1, 1.8, 2.5, 4, 0.8};
    for (size_t i = 0; i < RULES_TIMEOUTS_MAX; i++) {
        ret_ns[i] = l->ns[best] * factors[i];
    }
    return l->ns[best] > 0 ? RULES_TIMEOUTS_MAX : 0;
}
