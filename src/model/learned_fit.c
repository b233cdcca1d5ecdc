// Fitting: which rows and columns, which kind of model, and how good it is by cross-validation.
#include "model/learned_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { FOLDS_DEFAULT = 5, GP_ROWS_DEFAULT = 600, FOLD_STEPS = 25 };

// One output's rows on the scale that is learned on, and what the cross-validation said of them.
typedef struct Rows {
    size_t n, width;
    double *x;            // n x width: features
    double *values;       // as observed
    double *base, *t;     // the base's word, and the value on the scale
    double *mean, *scale; // cross-validated, on the scale
    uint32_t *fold;
} Rows;

static void rows_done(Rows *r)
{
    free(r->x);
    free(r->values);
    free(r->fold);
}

static void rows_make(Rows *r, size_t n, size_t width)
{
    *r = (Rows){.width = width};
    r->x = mem_alloc((n ? n : 1) * width * sizeof *r->x);
    r->values = mem_alloc((n ? n : 1) * 5 * sizeof *r->values);
    r->base = r->values + n;
    r->t = r->base + n;
    r->mean = r->t + n;
    r->scale = r->mean + n;
    r->fold = mem_alloc((n ? n : 1) * sizeof *r->fold);
}

// ---- which columns

static int take_input(Learned *m, const Dataset *d, size_t column, Err *e)
{
    if (m->input_count == LEARNED_INPUTS_MAX) {
        return err_set(e, ERR_LIMIT, "a learned model takes %d inputs", LEARNED_INPUTS_MAX);
    }
    LearnedInput *in = &m->inputs[m->input_count++];
    const Column *c = dataset_column_at(d, column);
    in->column = (Column){arena_copy(m->arena, c->name), arena_copy(m->arena, c->unit), c->role};
    in->region = (LearnedRegion){INFINITY, -INFINITY};
    return 0;
}

// The places of a role's columns, inputs and policies as one.
static size_t find_columns(const Dataset *d, bool outputs, size_t *ret_places)
{
    size_t count = 0;
    for (size_t i = 0; i < dataset_columns(d); i++) {
        if ((dataset_column_at(d, i)->role == COLUMN_OUTPUT) == outputs) {
            ret_places[count++] = i;
        }
    }
    return count;
}

// Is the column asked for?
static bool is_wanted(const LearnedOptions *o, Slice name)
{
    Slice last = name;
    for (size_t i = 0; i < name.len; i++) {
        last = name.ptr[i] == '.' ? slice_sub(name, i + 1, SIZE_MAX) : last;
    }
    bool wanted = o->measures == NULL;
    for (size_t i = 0; !wanted && o->measures[i]; i++) {
        wanted = slice_eq_cstr(last, o->measures[i]);
    }
    return wanted;
}

// The inputs of a row; false when one is missing.
static bool get_inputs(const Learned *m, const Dataset *d, const size_t *places, size_t row,
                       double *ret)
{
    bool whole = true;
    for (size_t i = 0; i < m->input_count; i++) {
        ret[i] = dataset_cell(d, row, places[i]);
        whole = whole && !isnan(ret[i]);
    }
    return whole;
}

static void note_source(Learned *m, Slice source)
{
    for (size_t i = 0; i < m->source_count; i++) {
        if (slice_eq(m->sources[i], source)) {
            return;
        }
    }
    if (m->source_count < LEARNED_SOURCES_MAX) {
        m->sources[m->source_count++] = arena_copy(m->arena, source);
    } else {
        m->sources_more++;
    }
}

// Region and sources, over the rows that miss no input.
static int survey(Learned *m, const Dataset *d, const size_t *places, Err *e)
{
    double values[LEARNED_INPUTS_MAX];
    Slice last = {0};
    for (size_t row = 0; row < dataset_rows(d); row++) {
        if (!get_inputs(m, d, places, row, values)) {
            continue;
        }
        m->rows++;
        for (size_t i = 0; i < m->input_count; i++) {
            m->inputs[i].region.low = fmin(m->inputs[i].region.low, values[i]);
            m->inputs[i].region.high = fmax(m->inputs[i].region.high, values[i]);
        }
        if (m->rows == 1 || !slice_eq(dataset_source(d, row), last)) {
            last = dataset_source(d, row);
            note_source(m, last);
        }
    }
    bool changes = false;
    for (size_t i = 0; i < m->input_count; i++) {
        LearnedInput *in = &m->inputs[i];
        in->used = in->region.high > in->region.low;
        in->logarithm = in->region.low > 0 && in->region.high >= 10 * in->region.low;
        changes = changes || in->used;
    }
    if (m->rows < LEARNED_ROWS_MIN) {
        return err_set(
            e, ERR_ARG,
            "%zu of %zu rows have every input, and a model needs %d: run more load tests "
            "or simulations",
            m->rows, dataset_rows(d), LEARNED_ROWS_MIN);
    }
    return changes
               ? 0
               : err_set(e, ERR_ARG,
                         "no input changes over the %zu rows, so there is nothing to learn from",
                         m->rows);
}

// ---- the rows of an output

// Whether the base has a word on the output, and whether logarithms may be taken: where the output
// and the base, if there is one, are positive throughout.
static void choose_scale(Learned *m, LearnedModel *o, const Dataset *d, const size_t *places,
                         size_t column)
{
    double inputs[LEARNED_INPUTS_MAX];
    bool positive = true, base_positive = true, any = false;
    for (size_t row = 0; row < dataset_rows(d); row++) {
        double value = dataset_cell(d, row, column);
        if (isnan(value) || !get_inputs(m, d, places, row, inputs)) {
            continue;
        }
        positive = positive && value > 0;
        double base = m->base ? m->base(m->base_ctx, m, inputs, o->column.name) : (double)NAN;
        if (isfinite(base)) {
            any = true;
            base_positive = base_positive && base > 0;
        }
    }
    o->report.hybrid = any;
    o->report.logarithm = positive && (!any || base_positive);
}

static void gather(const Learned *m, const LearnedModel *o, const Dataset *d, const size_t *places,
                   size_t column, Rows *r)
{
    double inputs[LEARNED_INPUTS_MAX];
    for (size_t row = 0; row < dataset_rows(d); row++) {
        double value = dataset_cell(d, row, column);
        if (isnan(value) || !get_inputs(m, d, places, row, inputs)) {
            continue;
        }
        double base = learned_base(m, o, inputs);
        if (!isnan(base)) {
            r->values[r->n] = value;
            r->base[r->n] = base;
            r->t[r->n] = learned_to_scale(o, value, base);
            (void)learned_features(m, o, inputs, base, r->x + r->n * r->width);
            r->n++;
        }
    }
}

// ---- cross-validation

static void deal_folds(Rows *r, size_t folds, uint64_t seed)
{
    for (size_t i = 0; i < r->n; i++) {
        r->fold[i] = (uint32_t)(i % folds);
    }
    Rng rng = rng_stream(seed, SLICE("learned-folds"), 0);
    rng_shuffle(&rng, r->fold, r->n, sizeof *r->fold);
}

// A model of rows, of either kind.
typedef struct Part {
    Gp *gp;
    Trees *trees;
} Part;

static int fit_one(Part *p, LearnedKind kind, const double *x, size_t n, size_t width,
                   const double *t, const GpOptions *gp, uint64_t seed, Err *e)
{
    if (kind == LEARNED_BASE) {
        return 0;
    }
    return kind == LEARNED_GP
               ? gp_fit(x, n, width, t, gp, &p->gp, e)
               : trees_fit(x, n, width, t, &(TreesOptions){.seed = seed}, &p->trees, e);
}

// Predicts the rows of one fold by a model of the others. The parameters of a process begin at
// those that all rows led to and are looked for again without the fold's.
static int predict_fold(const Rows *r, size_t fold, LearnedKind kind, const GpParams *start,
                        uint64_t seed, Err *e)
{
    Part part = {0};
    double *x = mem_alloc(r->n * (r->width + 1) * sizeof *x), *t = x + r->n * r->width;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->fold[i] != fold) {
            memcpy(x + n * r->width, r->x + i * r->width, r->width * sizeof *x);
            t[n++] = r->t[i];
        }
    }
    GpOptions gp = {.start = start, .starts = -1, .steps = FOLD_STEPS, .seed = seed};
    int rc = fit_one(&part, kind, x, n, r->width, t, &gp, seed, e);
    for (size_t i = 0; rc == 0 && i < r->n; i++) {
        if (r->fold[i] == fold) {
            learned_ask(part.gp, part.trees, r->x + i * r->width, &r->mean[i], &r->scale[i]);
        }
    }
    gp_destroy(part.gp);
    trees_destroy(part.trees);
    free(x);
    return rc;
}

// Fits o's model of this kind on all rows and fills r->mean and r->scale.
static int fit_kind(LearnedModel *o, Rows *r, LearnedKind kind, size_t folds, uint64_t seed, Err *e)
{
    GpOptions gp = {.starts = 1, .seed = seed};
    Part part = {0};
    int rc = fit_one(&part, kind, r->x, r->n, r->width, r->t, &gp, seed, e);
    o->gp = part.gp;
    o->trees = part.trees;
    for (size_t fold = 0; rc == 0 && fold < folds; fold++) {
        rc = predict_fold(r, fold, kind, o->gp ? gp_params(o->gp) : NULL, seed, e);
    }
    o->report.kind = kind;
    return rc;
}

// ---- what it is worth

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// What an error is relative to.
static double floor_of(const Rows *r)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < r->n; i++) {
        low = fmin(low, r->values[i]);
        high = fmax(high, r->values[i]);
    }
    return (high - low) / 100;
}

static double median_error(const LearnedModel *o, const Rows *r, bool of_base, double *scratch)
{
    double least = floor_of(r);
    for (size_t i = 0; i < r->n; i++) {
        double said = of_base ? r->base[i] : learned_from_scale(o, r->mean[i], r->base[i]);
        scratch[i] = fabs(said - r->values[i]) / fmax(fabs(r->values[i]), least);
    }
    return median(scratch, r->n);
}

// Offset for the rows of one fold from the scores of the others.
static double offset_without(const Rows *r, const double *scores, size_t fold, double alpha,
                             double *scratch)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->fold[i] != fold) {
            scratch[n++] = scores[i];
        }
    }
    qsort(scratch, n, sizeof *scratch, compare_doubles);
    return conformal_offset(scratch, n, alpha);
}

static void judge_intervals(LearnedModel *o, const Rows *r, const double *scores, size_t folds,
                            double alpha, double *scratch)
{
    double *widths = mem_alloc(r->n * sizeof *widths), least = floor_of(r);
    size_t covered = 0;
    for (size_t fold = 0; fold < folds; fold++) {
        double offset = offset_without(r, scores, fold, alpha, scratch);
        for (size_t i = 0; i < r->n; i++) {
            if (r->fold[i] == fold) {
                double reach = offset * r->scale[i];
                covered += scores[i] <= offset;
                widths[i] = (learned_from_scale(o, r->mean[i] + reach, r->base[i]) -
                             learned_from_scale(o, r->mean[i] - reach, r->base[i])) /
                            fmax(fabs(r->values[i]), least);
            }
        }
    }
    o->report.coverage = (double)covered / (double)r->n;
    o->report.median_width = median(widths, r->n);
    free(widths);
}

static int judge(Learned *m, LearnedModel *o, const Rows *r, size_t folds, Err *e)
{
    size_t known = r->n < CONFORMAL_WINDOW_MAX ? r->n : CONFORMAL_WINDOW_MAX, skip = r->n - known;
    double *scores = mem_alloc(2 * r->n * sizeof *scores), *scratch = scores + r->n;
    o->known = known;
    o->scores = mem_alloc(known * sizeof *o->scores);
    o->residuals = mem_alloc(known * sizeof *o->residuals);
    for (size_t i = 0; i < r->n; i++) {
        scores[i] = conformal_score(r->t[i], r->mean[i], r->scale[i]);
        if (i >= skip) {
            o->scores[i - skip] = scores[i];
            o->residuals[i - skip] = r->t[i] - r->mean[i];
        }
    }
    o->report.rows = r->n;
    o->report.median_error = median_error(o, r, false, scratch);
    o->report.base_error = o->report.hybrid ? median_error(o, r, true, scratch) : (double)NAN;
    judge_intervals(o, r, scores, folds, 1 - m->confidence, scratch);
    free(scores);
    return learned_begin(m, o, e);
}

// ---- one output

// How far the intervals would reach at a row in the middle: what a kind is chosen by, because it is
// what the user gets. It has the bulk in it and the tail, as far as the confidence goes, and not
// the one row that nobody can predict.
static double typical_reach(const Rows *r, double alpha)
{
    double *scores = mem_alloc(2 * r->n * sizeof *scores), *scales = scores + r->n;
    for (size_t i = 0; i < r->n; i++) {
        scores[i] = conformal_score(r->t[i], r->mean[i], r->scale[i]);
        scales[i] = r->scale[i];
    }
    qsort(scores, r->n, sizeof *scores, compare_doubles);
    double offset = conformal_offset(scores, r->n, alpha);
    // With too few rows for the confidence every offset is infinite: the largest score, then.
    double reach = (isfinite(offset) ? offset : scores[r->n - 1]) * median(scales, r->n);
    free(scores);
    return reach;
}

static bool can_be(LearnedKind kind, const LearnedModel *o, const Rows *r,
                   const LearnedOptions *options)
{
    size_t gp_rows = options->gp_rows_max > 0 ? options->gp_rows_max : GP_ROWS_DEFAULT;
    switch (kind) {
    case LEARNED_AUTO:
    case LEARNED_KINDS: return false;
    case LEARNED_GP: return r->n <= gp_rows && r->n <= GP_POINTS_MAX;
    case LEARNED_TREES: return true;
    case LEARNED_BASE: return o->report.hybrid;
    }
    return false;
}

// All kinds that can be, and the one that reaches least by cross-validation. One that fails (a
// matrix that cannot be factored) is none of them.
static int choose(LearnedModel *o, Rows *r, const LearnedOptions *options, size_t folds,
                  double alpha, Err *e)
{
    if (options->kind != LEARNED_AUTO) {
        return fit_kind(o, r, options->kind, folds, options->seed, e);
    }
    double least = INFINITY, *mean = mem_alloc(2 * r->n * sizeof *mean), *scale = mean + r->n;
    Part best = {0};
    LearnedKind best_kind = LEARNED_AUTO;
    int rc = 0;
    for (LearnedKind kind = LEARNED_GP; kind < LEARNED_KINDS; kind++) {
        int failed =
            can_be(kind, o, r, options) ? fit_kind(o, r, kind, folds, options->seed, e) : 1;
        rc = failed < 0 ? failed : rc;
        Part part = {o->gp, o->trees};
        o->gp = NULL;
        o->trees = NULL;
        double reach = failed == 0 ? typical_reach(r, alpha) : (double)INFINITY;
        if (reach < least) {
            Part worse = best;
            least = reach;
            best = part;
            part = worse;
            best_kind = kind;
            memcpy(mean, r->mean, r->n * sizeof *mean);
            memcpy(scale, r->scale, r->n * sizeof *scale);
        }
        gp_destroy(part.gp);
        trees_destroy(part.trees);
    }
    memcpy(r->mean, mean, r->n * sizeof *mean);
    memcpy(r->scale, scale, r->n * sizeof *scale);
    free(mean);
    o->gp = best.gp;
    o->trees = best.trees;
    o->report.kind = best_kind;
    return best_kind == LEARNED_AUTO ? rc : 0;
}

static const char *reason_to_leave_out(const LearnedModel *o, const Rows *r, LearnedKind kind)
{
    if (kind == LEARNED_BASE && !o->report.hybrid) {
        return "the base has no word on it";
    }
    if (r->n < LEARNED_ROWS_MIN) {
        return "too few rows have it";
    }
    for (size_t i = 1; i < r->n; i++) {
        if (r->values[i] != r->values[0]) {
            return NULL;
        }
    }
    return "it is the same in every row, so there is nothing to learn";
}

static int fit_output(Learned *m, const Dataset *d, const size_t *places, size_t column,
                      const LearnedOptions *options, Err *e)
{
    const Column *c = dataset_column_at(d, column);
    LearnedModel *o = mem_zalloc(sizeof *o);
    o->column = (Column){arena_copy(m->arena, c->name), arena_copy(m->arena, c->unit), c->role};
    choose_scale(m, o, d, places, column);
    size_t width = o->report.hybrid;
    for (size_t i = 0; i < m->input_count; i++) {
        width += m->inputs[i].used;
    }
    Rows r;
    rows_make(&r, dataset_rows(d), width);
    gather(m, o, d, places, column, &r);
    size_t folds = options->folds > 0 ? options->folds : FOLDS_DEFAULT;
    const char *left_out = reason_to_leave_out(o, &r, options->kind);
    int rc = 0;
    if (left_out) {
        m->left_out[m->left_out_count++] =
            arena_printf(m->arena, "%.*s: %s (%zu rows)", SLICE_FMT(c->name), left_out, r.n);
    } else {
        deal_folds(&r, folds, options->seed);
        rc = choose(o, &r, options, folds, 1 - m->confidence, e);
        rc = rc == 0 ? judge(m, o, &r, folds, e) : rc;
    }
    if (left_out || rc != 0) {
        learned_model_destroy(o);
    } else {
        m->models[m->output_count++] = o;
    }
    rows_done(&r);
    return rc;
}

// ---- all

static int check_options(const LearnedOptions *o, Err *e)
{
    if (o->folds == 1 || o->folds > LEARNED_FOLDS_MAX) {
        return err_set(e, ERR_ARG, "cross-validation takes 2 to %d folds", LEARNED_FOLDS_MAX);
    }
    if (!(o->confidence >= 0 && o->confidence < 1)) {
        return err_set(e, ERR_ARG, "a confidence is between 0 and 1");
    }
    return 0;
}

static int fit_all(Learned *m, const Dataset *d, const LearnedOptions *options, Err *e)
{
    size_t inputs[DATASET_COLUMNS_MAX], outputs[DATASET_COLUMNS_MAX];
    size_t input_count = find_columns(d, false, inputs);
    size_t all = find_columns(d, true, outputs), output_count = 0;
    for (size_t i = 0; i < all; i++) {
        if (is_wanted(options, dataset_column_at(d, outputs[i])->name)) {
            outputs[output_count++] = outputs[i];
        }
    }
    int rc = 0;
    if (dataset_rows(d) == 0 || input_count == 0 || output_count == 0) {
        return err_set(e, ERR_ARG,
                       "there are %zu rows with %zu inputs and %zu outputs: a model needs some of "
                       "each",
                       dataset_rows(d), input_count, output_count);
    }
    if (output_count > LEARNED_OUTPUTS_MAX) {
        return err_set(e, ERR_LIMIT, "a learned model answers %d outputs", LEARNED_OUTPUTS_MAX);
    }
    for (size_t i = 0; rc == 0 && i < input_count; i++) {
        rc = take_input(m, d, inputs[i], e);
    }
    if (rc == 0) {
        rc = survey(m, d, inputs, e);
    }
    for (size_t i = 0; rc == 0 && i < output_count; i++) {
        rc = fit_output(m, d, inputs, outputs[i], options, e);
    }
    if (rc == 0 && m->output_count == 0) {
        rc = err_set(e, ERR_ARG, "no output can be learned: %.*s", SLICE_FMT(m->left_out[0]));
    }
    return rc;
}

int learned_fit(const Dataset *d, const LearnedOptions *options, Learned **ret_model, Err *e)
{
    static const LearnedOptions DEFAULTS = {0};
    const LearnedOptions *o = options ? options : &DEFAULTS;
    int rc = check_options(o, e);
    if (rc != 0) {
        return rc;
    }
    Learned *m = mem_zalloc(sizeof *m);
    m->arena = arena_create(LEARNED_TEXT_MAX);
    m->confidence = o->confidence > 0 ? o->confidence : 0.9;
    m->base = o->base;
    m->base_ctx = o->base_ctx;
    m->base_name = arena_copy(m->arena, slice_from_cstr(o->base_name));
    if ((rc = fit_all(m, d, o, e)) != 0) {
        learned_destroy(m);
        return rc;
    }
    *ret_model = m;
    return 0;
}
