// The tuner: a mechanism's numbers by Bayesian optimisation and by steps around the best, on seeds
// that are not those it is judged with.
#include "experiment.h"

#include <math.h>
#include <string.h>

enum { BATCH = 4, APPLY_BYTES_MAX = 16 << 20 };

static double to_param(uint16_t param, double value)
{
    const Param *row = system_param_row(param);
    return row->kind == PARAM_DURATION ? value * 1e9 : value;
}

static int set_all(System *sys, const char *places, double value, Err *e)
{
    Slice rest = slice_from_cstr(places), word;
    while (rest.len > 0) {
        Slice tail = {0};
        if (!slice_cut(rest, ' ', &word, &tail)) {
            word = rest;
            tail = (Slice){0};
        }
        rest = tail;
        SystemParam what;
        int rc = system_find_param(sys, word, &what, e);
        if (rc != 0) {
            return rc;
        }
        SystemChange change = {what, system_value(what.param, to_param(what.param, value))};
        if ((rc = system_set(sys, &change, e)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int set_fixed(System *sys, const char *fixed, Err *e)
{
    SystemChange changes[SYSTEM_CHANGES_MAX];
    size_t count = 0;
    Slice rest = slice_from_cstr(fixed ? fixed : "");
    while (rest.len > 0) {
        Slice word, tail = {0};
        if (!slice_cut(rest, ' ', &word, &tail)) {
            word = rest;
            tail = (Slice){0};
        }
        rest = tail;
        int rc = system_parse_change(sys, word, &changes[count++], e);
        if (rc != 0) {
            return rc;
        }
    }
    return system_set_all(sys, changes, count, e);
}

int space_apply(Arena *arena, const System *sys, const Space *space, const double *point,
                System **ret_system, Err *e)
{
    System *candidate = system_copy(arena, sys);
    int rc = set_fixed(candidate, space->fixed, e);
    for (size_t i = 0; rc == 0 && i < space->knob_count; i++) {
        rc = set_all(candidate, space->knobs[i].places, point[i], e);
    }
    if (rc == 0) {
        *ret_system = candidate;
    }
    return rc != 0 ? err_wrap(e, "%s", space->name) : 0;
}

static Slice first_word(const char *places)
{
    Slice all = slice_from_cstr(places), word, tail;
    return slice_cut(all, ' ', &word, &tail) ? word : all;
}

Slice space_print(Arena *arena, const Space *space, const double *point)
{
    Buf out = buf_create(8 << 10);
    for (size_t i = 0; i < space->knob_count; i++) {
        Slice name = first_word(space->knobs[i].places);
        buf_printf(&out, "%s%.*s %.3g", i ? ", " : "", SLICE_FMT(name), point[i]);
    }
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

int space_point(const System *sys, const Space *space, double *ret_point, Err *e)
{
    for (size_t i = 0; i < space->knob_count; i++) {
        const Knob *k = &space->knobs[i];
        SystemParam what;
        int rc = system_find_param(sys, first_word(k->places), &what, e);
        if (rc != 0) {
            return rc;
        }
        double number = system_number(what.param, system_get(sys, what)) / to_param(what.param, 1);
        // A timeout of 0 is none: as good as the longest.
        bool none = number == 0 && k->low > 0;
        ret_point[i] = none ? k->high : fmin(fmax(number, k->low), k->high);
    }
    return 0;
}

// ---- trials

typedef struct Trials {
    const System *sys;
    const Space *space;
    const TuneOptions *options;
    const double *points;
    double *badness;
} Trials;

static void one_trial(void *context, size_t index)
{
    const Trials *t = context;
    Arena *arena = arena_create(APPLY_BYTES_MAX);
    const double *point = t->points + index * t->space->knob_count;
    System *sys;
    size_t runs = t->options->runs;
    Score *scores = mem_alloc(runs * sizeof *scores);
    t->badness[index] = INFINITY;
    bool fine = space_apply(arena, t->sys, t->space, point, &sys, NULL) == 0;
    for (size_t r = 0; fine && r < runs; r++) {
        ScoreOptions o = t->options->score;
        o.seed += r;
        fine = score_run(sys, &o, &scores[r], NULL) == 0;
        // What fails most of its first run is not looked at again.
        if (fine && scores[r].goodput[0] < 0.5) {
            runs = r + 1;
        }
    }
    if (fine) {
        t->badness[index] = score_badness(t->sys, scores, runs);
    }
    free(scores);
    arena_destroy(arena);
}

static void keep_best(Tuned *best, const Space *space, const double *points, const double *badness,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (badness[i] < best->badness) {
            best->badness = badness[i];
            memcpy(best->point, points + i * space->knob_count, space->knob_count * sizeof *points);
        }
    }
}

static double snap(const Knob *k, double value)
{
    value = fmin(fmax(value, k->low), k->high);
    return k->kind == BAYES_WHOLE || k->kind == BAYES_CHOICE ? round(value) : value;
}

// A step from the best in about two of its numbers, smaller as time goes on.
static void step_from(Rng *rng, const Space *space, const double *from, double width, double *ret)
{
    for (size_t i = 0; i < space->knob_count; i++) {
        const Knob *k = &space->knobs[i];
        ret[i] = from[i];
        if (rng_double(rng) * (double)space->knob_count > 2) {
            continue;
        }
        if (k->kind == BAYES_LOG) {
            ret[i] = from[i] * exp(rng_normal(rng, 0, width * log(k->high / k->low)));
        } else if (k->kind == BAYES_CHOICE) {
            ret[i] = (double)rng_between(rng, (int64_t)k->low, (int64_t)k->high);
        } else {
            double least = k->kind == BAYES_WHOLE ? 0.7 : 0;
            ret[i] = from[i] + rng_normal(rng, 0, fmax(width * (k->high - k->low), least));
        }
        ret[i] = snap(k, ret[i]);
    }
}

static int tell_all(BayesOpt *b, const Space *space, const double *points, const double *badness,
                    size_t count, Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        // Logarithms: a collapse and a bad p99 are factors of a thousand apart.
        rc = bayes_opt_tell(b, points + i * space->knob_count, log(badness[i]), NULL, e);
    }
    return rc;
}

static int tune_bayes(Trials *t, BayesOpt *b, size_t trials, Tuned *best, Err *e)
{
    double points[BATCH * KNOBS_MAX], badness[BATCH];
    t->points = points;
    t->badness = badness;
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < trials; done += BATCH) {
        rc = bayes_opt_ask(b, BATCH, points, e);
        if (rc == ERR_NOT_FOUND) {
            return 0;
        }
        if (rc == 0 && (rc = experiment_parallel(BATCH, 0, one_trial, t, e)) == 0) {
            keep_best(best, t->space, points, badness, BATCH);
            rc = tell_all(b, t->space, points, badness, BATCH, e);
        }
    }
    return rc;
}

static int tune_local(Trials *t, size_t trials, Tuned *best, Err *e)
{
    double points[BATCH * KNOBS_MAX], badness[BATCH];
    t->points = points;
    t->badness = badness;
    Rng rng = rng_stream(t->options->score.seed, SLICE("steps"), 0);
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < trials; done += BATCH) {
        double width = 0.25 * (1 - (double)done / (double)trials) + 0.02;
        for (size_t i = 0; i < BATCH; i++) {
            step_from(&rng, t->space, best->point, width, points + i * t->space->knob_count);
        }
        rc = experiment_parallel(BATCH, 0, one_trial, t, e);
        keep_best(best, t->space, points, badness, BATCH);
    }
    return rc;
}

static int create_opt(const Space *space, uint64_t seed, BayesOpt **ret, Err *e)
{
    BayesParam params[KNOBS_MAX];
    for (size_t i = 0; i < space->knob_count; i++) {
        const Knob *k = &space->knobs[i];
        params[i] = (BayesParam){first_word(k->places), k->kind, k->low, k->high};
    }
    BayesOptions options = {.params = params, .param_count = space->knob_count, .seed = seed};
    return bayes_opt_create(&options, ret, e);
}

int tune(Arena *arena, const System *sys, const Space *space, const TuneOptions *options,
         Tuned *ret_tuned, Err *e)
{
    *ret_tuned = (Tuned){.badness = INFINITY};
    if (space->knob_count == 0) {
        return space_apply(arena, sys, space, NULL, &ret_tuned->sys, e);
    }
    BayesOpt *b = NULL;
    int rc = create_opt(space, options->score.seed, &b, e);
    Trials t = {.sys = sys, .space = space, .options = options};
    if (rc == 0 && options->start_count > 0) {
        double *badness = mem_alloc(options->start_count * sizeof *badness);
        t.points = options->starts;
        t.badness = badness;
        rc = experiment_parallel(options->start_count, 0, one_trial, &t, e);
        keep_best(ret_tuned, space, options->starts, badness, options->start_count);
        if (rc == 0) {
            rc = tell_all(b, space, options->starts, badness, options->start_count, e);
        }
        free(badness);
    }
    size_t local = options->local ? options->trials / 2 : 0;
    if (rc == 0) {
        rc = tune_bayes(&t, b, options->trials - local, ret_tuned, e);
    }
    if (rc == 0 && local > 0) {
        rc = tune_local(&t, local, ret_tuned, e);
    }
    bayes_opt_destroy(b);
    return rc != 0 ? rc : space_apply(arena, sys, space, ret_tuned->point, &ret_tuned->sys, e);
}
