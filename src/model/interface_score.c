// What predictions are worth: coverage, width, error.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/interface_fit.h"
#include "stat/dist.h"

const char *const INTERFACE_MEASURE_NAMES[] = {"p50", "p99", "goodput", "effects", "all", NULL};

enum { KINDS = MEASURED_ALL };

typedef struct Cases {
    double *widths, *errors, *scores; // of those that are finite
    uint32_t finite, room, count, covered;
} Cases;

struct InterfaceScores {
    double confidence;
    Cases cases[KINDS];
};

InterfaceScores *interface_scores_create(double confidence)
{
    InterfaceScores *s = mem_zalloc(sizeof *s);
    s->confidence = confidence > 0 ? confidence : 0.9;
    return s;
}

void interface_scores_destroy(InterfaceScores *s)
{
    for (size_t i = 0; s && i < KINDS; i++) {
        free(s->cases[i].widths);
        free(s->cases[i].errors);
        free(s->cases[i].scores);
    }
    free(s);
}

static void add(InterfaceScores *s, InterfaceMeasure measure, const Estimate *predicted,
                const Estimate *observed)
{
    Cases *c = &s->cases[measure];
    double is = observed->value;
    if (isnan(is) || isnan(predicted->value)) {
        return;
    }
    c->count++;
    c->covered += is >= predicted->low && is <= predicted->high;
    if (isinf(is) || isinf(predicted->value) || isinf(predicted->high) || !(is > 0)) {
        return;
    }
    if (c->finite == c->room) {
        c->room = c->room ? 2 * c->room : 256;
        c->widths = mem_realloc(c->widths, c->room * sizeof *c->widths);
        c->errors = mem_realloc(c->errors, c->room * sizeof *c->errors);
        c->scores = mem_realloc(c->scores, c->room * sizeof *c->scores);
    }
    double half = is > predicted->value ? predicted->high - predicted->value
                                        : predicted->value - predicted->low;
    c->widths[c->finite] = (predicted->high - predicted->low) / is;
    c->errors[c->finite] = fabs(predicted->value - is) / is;
    c->scores[c->finite++] = fabs(predicted->value - is) / fmax(half, 1e-12 * is);
}

void interface_score(InterfaceScores *s, const System *setting, const Outcome *predicted,
                     const Outcome *observed)
{
    for (uint32_t i = 0; i < setting->client_count; i++) {
        const ClientOutcome *p = &predicted->clients[i], *o = &observed->clients[i];
        add(s, MEASURED_P50, &p->p50, &o->p50);
        add(s, MEASURED_P99, &p->p99, &o->p99);
        add(s, MEASURED_GOODPUT, &p->goodput, &o->goodput);
    }
    for (uint32_t i = 0; i < setting->edge_count; i++) {
        if (!(setting->edges[i].from & SYSTEM_FROM_CLIENT)) {
            add(s, MEASURED_EFFECTS, &predicted->edges[i].attempts, &observed->edges[i].attempts);
        }
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile_of(double *values, uint32_t count, double q)
{
    if (count == 0) {
        return NAN;
    }
    qsort(values, count, sizeof *values, ascending);
    uint32_t at = (uint32_t)(q * count);
    return values[at < count ? at : count - 1];
}

InterfaceScore interface_total(const InterfaceScores *s, InterfaceMeasure measure)
{
    InterfaceScore total = {0};
    uint32_t finite = 0;
    size_t first = measure == MEASURED_ALL ? 0 : measure,
           last = measure == MEASURED_ALL ? KINDS - 1 : (size_t)measure;
    for (size_t i = first; i <= last; i++) {
        total.count += s->cases[i].count;
        total.covered += s->cases[i].covered;
        finite += s->cases[i].finite;
    }
    double *all = mem_alloc((finite + 1) * sizeof *all);
    double *results[] = {&total.width, &total.error, &total.factor};
    for (size_t k = 0; k < COUNT_OF(results); k++) {
        uint32_t n = 0;
        for (size_t i = first; i <= last; i++) {
            const Cases *c = &s->cases[i];
            const double *from = k == 0 ? c->widths : k == 1 ? c->errors : c->scores;
            if (c->finite > 0) {
                memcpy(all + n, from, c->finite * sizeof *all);
            }
            n += c->finite;
        }
        *results[k] = quantile_of(all, n, k == 2 ? s->confidence : 0.5);
    }
    free(all);
    double n = total.count, k = total.covered;
    total.coverage = n > 0 ? k / n : NAN;
    total.coverage_low = k > 0 ? dist_beta_quantile(0.025, k, n - k + 1) : 0;
    total.coverage_high = k < n ? dist_beta_quantile(0.975, k + 1, n - k) : 1;
    return total;
}
