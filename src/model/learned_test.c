#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "model/learned.h"

// A station whose mean response is M/M/1's, 1 / (mu - lambda), times what no formula knows: a
// factor that depends on a policy. That is the truth that models are held against.
static double station(double rate, double batch)
{
    return 1 / (20 - rate) * (1 + 0.5 * sin(batch));
}

static double formula(void *ctx, const Learned *m, const double *inputs, Slice output)
{
    (void)ctx, (void)m;
    return slice_eq(output, SLICE("b.mean")) && inputs[0] < 20 ? 1 / (20 - inputs[0]) : (double)NAN;
}

static double silent(void *ctx, const Learned *m, const double *inputs, Slice output)
{
    (void)ctx, (void)m, (void)inputs, (void)output;
    return NAN;
}

enum { RATE, BATCH, FIXED, MEAN, BUSY, COLUMNS };

static Dataset *make_table(void)
{
    static const struct {
        const char *name, *unit;
        ColumnRole role;
    } columns[COLUMNS] = {{"load.rate", "1/s", COLUMN_INPUT},
                          {"b.batch", "", COLUMN_POLICY},
                          {"b.servers", "", COLUMN_POLICY},
                          {"b.mean", "s", COLUMN_OUTPUT},
                          {"b.busy", "", COLUMN_OUTPUT}};
    Dataset *d = dataset_create();
    size_t place;
    for (size_t i = 0; i < COLUMNS; i++) {
        assert_int_equal(dataset_column(d, slice_from_cstr(columns[i].name),
                                        slice_from_cstr(columns[i].unit), columns[i].role, &place,
                                        NULL),
                         0);
    }
    return d;
}

static void draw(Rng *rng, double noise, double row[COLUMNS])
{
    row[RATE] = 19 * rng_double(rng);
    row[BATCH] = 6 * rng_double(rng);
    row[FIXED] = 4;
    row[MEAN] = station(row[RATE], row[BATCH]) * rng_lognormal(rng, 0, noise);
    row[BUSY] = row[RATE] / 20 + rng_normal(rng, 0, noise / 10) - 0.1;
}

static Dataset *make_rows(size_t rows, uint64_t seed, double noise)
{
    Dataset *d = make_table();
    Rng rng = rng_stream(seed, SLICE("test"), 0);
    for (size_t i = 0; i < rows; i++) {
        double row[COLUMNS];
        char source[32];
        draw(&rng, noise, row);
        (void)snprintf(source, sizeof source, "run:%d", (int)(i / 4));
        assert_int_equal(dataset_add(d, row, slice_from_cstr(source), (int64_t)i, NULL), 0);
    }
    return d;
}

static Learned *fit(const Dataset *d, const LearnedOptions *o)
{
    Learned *m = NULL;
    Err e;
    if (learned_fit(d, o, &m, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return m;
}

// Median relative error over fresh rows without noise, and the share that intervals cover of noisy
// ones, of the first output.
static double fresh_error(const Learned *m, double noise, double *ret_covered)
{
    enum { FRESH = 200 };
    Rng rng = rng_stream(999, SLICE("test"), 0);
    double worse = 0, covered = 0, size = 0;
    for (int i = 0; i < FRESH; i++) {
        double row[COLUMNS];
        LearnedAnswer answers[2];
        draw(&rng, noise, row);
        assert_int_equal(learned_predict(m, row, LEARNED_ANYWHERE, answers, NULL), 0);
        const Estimate *e = &answers[0].estimate;
        assert_true(e->low <= e->value && e->value <= e->high);
        covered += row[MEAN] >= e->low && row[MEAN] <= e->high;
        worse += fabs(e->value / station(row[RATE], row[BATCH]) - 1);
        size++;
    }
    *ret_covered = covered / size;
    return worse / size;
}

static const Doc *as_document(Arena *arena, const Learned *m)
{
    Buf out = buf_create(16 << 20);
    JsonWriter w = json_writer(&out, 0);
    learned_write(m, &w);
    const Doc *doc, *again;
    assert_int_equal(doc_parse(arena, buf_slice(&out), NULL, &doc, NULL), 0);
    // Written in the order of the names, so that it can be hashed.
    Buf canonical = buf_create(16 << 20);
    doc_write_canonical(doc, &canonical);
    assert_int_equal(doc_parse(arena, buf_slice(&canonical), NULL, &again, NULL), 0);
    buf_done(&canonical);
    buf_done(&out);
    return doc;
}

static void refuse(Dataset *d, const LearnedOptions *o, int rc, const char *words)
{
    Learned *m;
    Err e = {0};
    int got = learned_fit(d, o, &m, &e);
    if (got != rc || !strstr(e.text, words)) {
        fail_msg("%s: %s", err_name(got), e.text);
    }
    dataset_destroy(d);
}

static void test_what_it_says_of_itself(void **state)
{
    (void)state;
    Dataset *d = make_rows(48, 1, 0.05);
    Learned *m = fit(d, &(LearnedOptions){.seed = 1});
    assert_int_equal(learned_rows(m), 48);
    assert_int_equal(learned_inputs(m), 3);
    assert_int_equal(learned_outputs(m), 2);
    assert_true(slice_eq_cstr(learned_input(m, 1)->name, "b.batch"));
    assert_true(slice_eq_cstr(learned_output(m, 0)->unit, "s"));
    LearnedRegion region = learned_region(m, FIXED);
    assert_true(region.low == 4 && region.high == 4);
    region = learned_region(m, RATE);
    assert_true(region.low >= 0 && region.low < 2 && region.high > 17 && region.high <= 19);
    size_t count, more;
    const Slice *sources = learned_sources(m, &count, &more);
    assert_true(count == 12 && more == 0 && slice_eq_cstr(sources[11], "run:11"));
    // The mean is positive throughout, the other column is below 0 at times.
    assert_true(learned_report(m, 0)->logarithm && !learned_report(m, 1)->logarithm);
    for (size_t i = 0; i < 2; i++) {
        const LearnedReport *r = learned_report(m, i);
        assert_true(r->rows == 48 && r->kind != LEARNED_AUTO && isnan(r->base_error));
        assert_true(r->coverage > 0.8 && r->coverage <= 1);
        assert_true(r->median_error > 0 && r->median_error < 0.2 && r->median_width > 0);
    }
    learned_destroy(m);
    dataset_destroy(d);
}

// What it says of its error is what fresh rows show. The noise is 5 %, whose median is 3.4 %: no
// model can be better than that on noisy rows, and the smooth part is known to a few percent.
static void test_error_is_what_it_says(void **state)
{
    (void)state;
    static const LearnedKind kinds[] = {LEARNED_GP, LEARNED_TREES};
    double said[2], covered;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        Dataset *d = make_rows(70, 2, 0.05);
        Learned *m = fit(d, &(LearnedOptions){.kind = kinds[i], .seed = 1});
        said[i] = learned_report(m, 0)->median_error;
        double fresh = fresh_error(m, 0.05, &covered);
        assert_int_equal(learned_report(m, 0)->kind, kinds[i]);
        if (!(fresh < said[i] * 2.5 && fresh < 0.25 && covered > 0.8)) {
            fail_msg("%s: %g said, %g fresh, %g covered", LEARNED_KIND_NAMES[kinds[i]], said[i],
                     fresh, covered);
        }
        learned_destroy(m);
        dataset_destroy(d);
    }
    // Smooth and few: the process is nearer mostly. AUTO is one of the two, to the last bit.
    assert_true(said[0] < said[1]);
    Dataset *d = make_rows(70, 2, 0.05);
    Learned *m = fit(d, &(LearnedOptions){.seed = 1});
    assert_true(learned_report(m, 0)->median_error ==
                said[learned_report(m, 0)->kind == LEARNED_GP ? 0 : 1]);
    learned_destroy(m);
    // More rows than a process is tried on.
    m = fit(d, &(LearnedOptions){.seed = 1, .gp_rows_max = 69});
    assert_int_equal(learned_report(m, 0)->kind, LEARNED_TREES);
    learned_destroy(m);
    dataset_destroy(d);
}

// With twenty rows the formula carries what cannot be learned from so few.
static void test_a_hybrid_needs_fewer_rows(void **state)
{
    (void)state;
    Dataset *d = make_rows(20, 3, 0.02);
    LearnedOptions o = {.seed = 1};
    Learned *plain = fit(d, &o);
    o.base = formula;
    o.base_name = "M/M/1";
    Learned *hybrid = fit(d, &o);
    double covered, alone = fresh_error(plain, 0.02, &covered);
    double both = fresh_error(hybrid, 0.02, &covered);
    const LearnedReport *r = learned_report(hybrid, 0);
    if (!(both < 0.7 * alone && r->median_error < r->base_error)) {
        fail_msg("alone %g, both %g, said %g, base %g", alone, both, r->median_error,
                 r->base_error);
    }
    // The base has nothing to say of the other output, which is learned without it.
    assert_true(r->hybrid && !learned_report(hybrid, 1)->hybrid);
    assert_true(learned_report(hybrid, 1)->median_error == learned_report(plain, 1)->median_error);
    assert_true(isnan(learned_report(hybrid, 1)->base_error));
    learned_destroy(plain);
    learned_destroy(hybrid);
    dataset_destroy(d);
}

// A base that is right but for noise is left alone, and gets an interval; ten inputs of noise are
// what makes both models believe in something that is not there.
static void test_a_base_that_is_right(void **state)
{
    (void)state;
    Dataset *d = dataset_create();
    Rng rng = rng_stream(5, SLICE("test"), 0);
    for (int i = 0; i < 11; i++) {
        char name[16];
        size_t place;
        (void)snprintf(name, sizeof name, i < 10 ? "p%d" : "b.mean", i);
        assert_int_equal(dataset_column(d, slice_from_cstr(name), SLICE(""),
                                        i < 10 ? COLUMN_INPUT : COLUMN_OUTPUT, &place, NULL),
                         0);
    }
    for (int r = 0; r < 30; r++) {
        double row[11];
        for (int i = 0; i < 10; i++) {
            row[i] = 19 * rng_double(&rng);
        }
        row[10] = 1 / (20 - row[0]) * rng_lognormal(&rng, 0, 0.1);
        assert_int_equal(dataset_add(d, row, SLICE("x"), 0, NULL), 0);
    }
    LearnedOptions o = {.seed = 1, .base = formula, .base_name = "M/M/1"};
    Learned *m = fit(d, &o), *copy;
    const LearnedReport *r = learned_report(m, 0);
    assert_true(r->kind == LEARNED_BASE && r->hybrid && r->median_error == r->base_error);
    Arena *arena = arena_create(16 << 20);
    Err e;
    assert_int_equal(learned_read(as_document(arena, m), &o, &copy, &e), 0);
    double values[10] = {10, 5, 5, 5, 5, 5, 5, 5, 5, 5};
    LearnedAnswer answers[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(learned_predict(i ? copy : m, values, LEARNED_INSIDE, &answers[i], &e), 0);
        assert_true(answers[i].estimate.value == 0.1);
        // 90 % of a lognormal of 0.1 is within a factor of exp(0.164); of thirty rows' scores the
        // reach is the 28th, whose ranks 24 to 30 are 95 %: exp(0.128) to exp(0.25) at the ends.
        double reach = log(answers[i].estimate.high / answers[i].estimate.value);
        assert_true(reach > 0.12 && reach < 0.3);
    }
    assert_true(answers[0].estimate.high == answers[1].estimate.high);
    learned_destroy(m);
    learned_destroy(copy);
    arena_destroy(arena);
    // Asked for outright: without a word of the base there is nothing left.
    o.base_name = "nothing";
    o.base = silent;
    o.kind = LEARNED_BASE;
    refuse(d, &o, ERR_ARG, "b.mean: the base has no word on it");
}

// Where the base says nothing (an unstable system) neither does the hybrid.
static void test_no_base_no_answer(void **state)
{
    (void)state;
    Dataset *d = make_rows(30, 3, 0.02);
    Learned *m = fit(d, &(LearnedOptions){.base = formula, .base_name = "M/M/1", .seed = 1});
    LearnedAnswer answers[2];
    double values[] = {25, 3, 4};
    assert_int_equal(learned_predict(m, values, LEARNED_ANYWHERE, answers, NULL), 0);
    assert_true(answers[0].outside && isnan(answers[0].estimate.value));
    assert_true(isnan(answers[0].estimate.low) && isfinite(answers[1].estimate.value));
    learned_destroy(m);
    dataset_destroy(d);
}

static void test_outside_of_the_region(void **state)
{
    (void)state;
    Dataset *d = make_rows(40, 4, 0.05);
    Learned *m = fit(d, &(LearnedOptions){.seed = 1});
    LearnedAnswer inside[2], outside[2];
    Err e;
    LearnedRegion rate = learned_region(m, RATE);
    double values[] = {rate.high, 3, 4};
    assert_int_equal(learned_predict(m, values, LEARNED_INSIDE, inside, &e), 0);
    assert_false(inside[0].outside);
    // 40 rows: a thirty-ninth of the width is the gap between them.
    values[RATE] = rate.high + (rate.high - rate.low) / 39.001;
    assert_int_equal(learned_predict(m, values, LEARNED_INSIDE, inside, &e), 0);
    values[RATE] = rate.high + (rate.high - rate.low) / 38.999;
    assert_int_equal(learned_predict(m, values, LEARNED_INSIDE, inside, &e), ERR_REFUSED);
    values[RATE] = rate.high + (rate.high - rate.low);
    assert_int_equal(learned_predict(m, values, LEARNED_INSIDE, outside, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "load.rate"));
    assert_int_equal(learned_predict(m, values, LEARNED_ANYWHERE, outside, &e), 0);
    assert_true(outside[0].outside && outside[1].outside);
    // A width outside: twice as wide at least, as a ratio or as a difference.
    assert_true(log(outside[0].estimate.high / outside[0].estimate.low) >=
                1.99 * log(inside[0].estimate.high / inside[0].estimate.low));
    assert_true(outside[1].estimate.high - outside[1].estimate.low >=
                1.99 * (inside[1].estimate.high - inside[1].estimate.low));
    // What never changed while it was fitted is a point.
    double other[] = {5, 3, 5};
    assert_int_equal(learned_predict(m, other, LEARNED_INSIDE, outside, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "b.servers"));
    other[FIXED] = NAN;
    assert_int_equal(learned_predict(m, other, LEARNED_ANYWHERE, outside, &e), ERR_ARG);
    learned_destroy(m);
    dataset_destroy(d);
}

static void test_fits_that_are_refused(void **state)
{
    (void)state;
    static const double same[COLUMNS] = {1, 2, 3, 4, 5};
    refuse(dataset_create(), NULL, ERR_ARG, "0 rows");
    refuse(make_table(), NULL, ERR_ARG, "0 rows with 3 inputs and 2 outputs");
    refuse(make_rows(LEARNED_ROWS_MIN - 1, 1, 0.1), NULL, ERR_ARG, "9 of 9 rows");
    refuse(make_rows(20, 1, 0.1), &(LearnedOptions){.folds = 1}, ERR_ARG, "folds");
    refuse(make_rows(20, 1, 0.1), &(LearnedOptions){.folds = LEARNED_FOLDS_MAX + 1}, ERR_ARG,
           "folds");
    refuse(make_rows(20, 1, 0.1), &(LearnedOptions){.confidence = 1}, ERR_ARG, "confidence");
    Dataset *d = make_table();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(dataset_add(d, same, SLICE("x"), 0, NULL), 0);
    }
    refuse(d, NULL, ERR_ARG, "no input changes");
    d = make_table();
    for (int i = 0; i < 20; i++) {
        double row[] = {i, 2, 3, 4, NAN};
        assert_int_equal(dataset_add(d, row, SLICE("x"), 0, NULL), 0);
    }
    refuse(d, NULL, ERR_ARG, "b.mean: it is the same in every row");
    // Half of the rows miss an input: nine are left.
    d = make_table();
    for (int i = 0; i < 18; i++) {
        double row[] = {i % 2 ? (double)NAN : i, 2, 3, i, 5};
        assert_int_equal(dataset_add(d, row, SLICE("x"), 0, NULL), 0);
    }
    refuse(d, NULL, ERR_ARG, "9 of 18 rows have every input");
}

static void test_measures(void **state)
{
    (void)state;
    static const char *const some[] = {"p99", "busy", NULL}, *const none[] = {"b", NULL};
    Dataset *d = make_rows(20, 1, 0.1);
    Learned *m = fit(d, &(LearnedOptions){.kind = LEARNED_TREES, .measures = some});
    assert_int_equal(learned_outputs(m), 1);
    assert_true(slice_eq_cstr(learned_output(m, 0)->name, "b.busy"));
    learned_destroy(m);
    refuse(d, &(LearnedOptions){.measures = none}, ERR_ARG, "0 outputs");
}

static void test_many_columns(void **state)
{
    (void)state;
    for (int inputs = LEARNED_INPUTS_MAX; inputs <= LEARNED_INPUTS_MAX + 1; inputs++) {
        Dataset *d = dataset_create();
        Learned *m = NULL;
        size_t place;
        char name[16];
        for (int i = 0; i <= inputs; i++) {
            (void)snprintf(name, sizeof name, "p%d", i);
            assert_int_equal(dataset_column(d, slice_from_cstr(name), SLICE(""),
                                            i ? COLUMN_INPUT : COLUMN_OUTPUT, &place, NULL),
                             0);
        }
        Rng rng = rng_stream(1, SLICE("test"), 0);
        for (int r = 0; r < 12; r++) {
            double row[LEARNED_INPUTS_MAX + 2];
            for (int i = 0; i <= inputs; i++) {
                row[i] = 1 + rng_double(&rng);
            }
            assert_int_equal(dataset_add(d, row, SLICE("x"), 0, NULL), 0);
        }
        int rc = learned_fit(d, &(LearnedOptions){.kind = LEARNED_TREES}, &m, NULL);
        assert_int_equal(rc, inputs == LEARNED_INPUTS_MAX ? 0 : ERR_LIMIT);
        learned_destroy(m);
        dataset_destroy(d);
    }
}

// Barber et al. 2021: scores of a cross-validation cover 1 - 2 alpha at least. Forty fits on 40
// rows and five outcomes each: 0.8 less three standard errors of 200 outcomes would be 0.715; what
// is aimed at is 0.9, which is held to four of them on either side.
static void test_coverage(void **state)
{
    (void)state;
    double covered = 0, total = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        Dataset *d = make_rows(24, seed, 0.2);
        Learned *m = fit(d, &(LearnedOptions){.kind = LEARNED_GP, .seed = 1});
        Rng rng = rng_stream(seed, SLICE("fresh"), 0);
        for (int i = 0; i < 5; i++) {
            double row[COLUMNS];
            LearnedAnswer answers[2];
            draw(&rng, 0.2, row);
            if (learned_predict(m, row, LEARNED_INSIDE, answers, NULL) == 0) {
                covered +=
                    row[MEAN] >= answers[0].estimate.low && row[MEAN] <= answers[0].estimate.high;
                total++;
            }
        }
        learned_destroy(m);
        dataset_destroy(d);
    }
    double error = sqrt(0.9 * 0.1 / total);
    if (!(fabs(covered / total - 0.9) <= 4 * error)) {
        fail_msg("%g of %g covered", covered, total);
    }
}

static void draw_inside(const Learned *m, Rng *rng, double row[COLUMNS])
{
    LearnedAnswer ignored[2];
    do {
        draw(rng, 0.1, row);
    } while (learned_predict(m, row, LEARNED_INSIDE, ignored, NULL) != 0);
}

// The system becomes twice as slow: the intervals widen, the drift is seen, and the advice is to
// fit on what came since, once there is enough of it.
static void test_a_change_is_seen(void **state)
{
    (void)state;
    Dataset *d = make_rows(60, 6, 0.1);
    Learned *m = fit(d, &(LearnedOptions){.kind = LEARNED_GP, .seed = 1});
    Rng rng = rng_stream(7, SLICE("test"), 0);
    double row[COLUMNS], asked[] = {10, 3, 4};
    LearnedAnswer before[2], after[2];
    for (int i = 0; i < 60; i++) {
        draw_inside(m, &rng, row);
        learned_tell(m, row, row + MEAN);
        assert_int_equal(learned_advise(m, 89).reason, REFIT_NONE);
    }
    assert_int_equal(learned_predict(m, asked, LEARNED_INSIDE, before, NULL), 0);
    RefitAdvice advice = {REFIT_NONE, 0};
    size_t steps = 0;
    for (; advice.reason != REFIT_DRIFT && steps < 200; steps++) {
        draw_inside(m, &rng, row);
        row[MEAN] *= 2;
        learned_tell(m, row, row + MEAN);
        advice = learned_advise(m, 70 + steps);
    }
    assert_int_equal(advice.reason, REFIT_DRIFT);
    // Rows of both kinds stay for a while: ADWIN keeps what it cannot tell apart.
    assert_true(advice.rows >= 20 && advice.rows < 120 + steps);
    assert_int_equal(learned_predict(m, asked, LEARNED_INSIDE, after, NULL), 0);
    assert_true(after[0].estimate.high > before[0].estimate.high);
    // What cannot be is a miss, not the end; so is what is outside, which is only counted.
    learned_tell(m, row, (double[]){-1, NAN});
    for (int i = 0; i < 50; i++) {
        learned_tell(m, (double[]){30, 3, 4}, (double[]){1, NAN});
    }
    learned_tell(m, (double[]){NAN, 3, 4}, (double[]){1, NAN});
    learned_destroy(m);
    dataset_destroy(d);
}

static void test_document(void **state)
{
    (void)state;
    for (int kind = LEARNED_GP; kind <= LEARNED_TREES; kind++) {
        Arena *arena = arena_create(64 << 20);
        Dataset *d = make_rows(40, 8, 0.05);
        LearnedOptions o = {.kind = (LearnedKind)kind, .base = formula, .base_name = "M/M/1"};
        Learned *m = fit(d, &o), *copy;
        const Doc *doc = as_document(arena, m);
        Err e;
        assert_int_equal(learned_read(doc, &o, &copy, &e), 0);
        Rng rng = rng_stream(9, SLICE("test"), 0);
        for (int i = 0; i < 20; i++) {
            double row[COLUMNS];
            LearnedAnswer a[2], b[2];
            draw(&rng, 0.05, row);
            assert_int_equal(learned_predict(m, row, LEARNED_ANYWHERE, a, NULL), 0);
            assert_int_equal(learned_predict(copy, row, LEARNED_ANYWHERE, b, NULL), 0);
            for (int k = 0; k < 2; k++) {
                assert_memory_equal(&a[k].estimate, &b[k].estimate, sizeof a[k].estimate);
            }
            learned_tell(m, row, row + MEAN);
            learned_tell(copy, row, row + MEAN);
        }
        assert_true(learned_report(m, 0)->median_error == learned_report(copy, 0)->median_error);
        size_t count, more;
        (void)learned_sources(copy, &count, &more);
        assert_int_equal(count, 10);
        learned_destroy(copy);
        // Without its base, or with another one, a hybrid says nothing.
        assert_int_equal(learned_read(doc, NULL, &copy, &e), ERR_ARG);
        assert_non_null(strstr(e.text, "M/M/1"));
        o.base_name = "M/G/1";
        assert_int_equal(learned_read(doc, &o, &copy, &e), ERR_ARG);
        learned_destroy(m);
        dataset_destroy(d);
        arena_destroy(arena);
    }
}

// Every part of a good document in turn replaced by something else is refused, and nothing worse.
static void test_broken_documents(void **state)
{
    (void)state;
    Dataset *d = make_rows(12, 8, 0.05);
    Learned *m = fit(d, &(LearnedOptions){.kind = LEARNED_GP}), *copy = NULL;
    Buf out = buf_create(16 << 20);
    JsonWriter w = json_writer(&out, 0);
    learned_write(m, &w);
    static const char *const parts[] = {
        "\"base\":null",   "\"confidence\":", "\"format\":\"perf", "\"inputs\":[",
        "\"outputs\":[",   "\"rows\":",       "\"version\":1",     "\"low\":",
        "\"role\":",       "\"kind\":\"gp",   "\"logarithm\":",    "\"model\":",
        "\"scores\":[",    "\"report\":",     "\"hybrid\":",       "\"sources_more\":",
        "\"residuals\":[", "\"lengths\":["};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        Buf bad = buf_create(16 << 20);
        ptrdiff_t at = slice_find(buf_slice(&out), slice_from_cstr(parts[i]));
        assert_true(at >= 0);
        buf_append(&bad, slice_sub(buf_slice(&out), 0, (size_t)at));
        buf_puts(&bad, "\"x");
        buf_append(&bad, slice_sub(buf_slice(&out), (size_t)at + 1, SIZE_MAX));
        Arena *arena = arena_create(16 << 20);
        const Doc *doc;
        assert_int_equal(doc_parse(arena, buf_slice(&bad), NULL, &doc, NULL), 0);
        if (learned_read(doc, NULL, &copy, NULL) == 0) {
            fail_msg("without %s", parts[i]);
        }
        arena_destroy(arena);
        buf_done(&bad);
    }
    buf_done(&out);
    learned_destroy(m);
    dataset_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says_of_itself),
        cmocka_unit_test(test_error_is_what_it_says),
        cmocka_unit_test(test_a_hybrid_needs_fewer_rows),
        cmocka_unit_test(test_a_base_that_is_right),
        cmocka_unit_test(test_no_base_no_answer),
        cmocka_unit_test(test_outside_of_the_region),
        cmocka_unit_test(test_fits_that_are_refused),
        cmocka_unit_test(test_measures),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_a_change_is_seen),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_broken_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
