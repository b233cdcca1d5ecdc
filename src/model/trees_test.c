#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "model/trees.h"

static void near(double got, double want, double error)
{
    if (!(fabs(got - want) <= error)) {
        fail_msg("got %.9g, want %.9g", got, want);
    }
}

// Chen and Guestrin 2016, equation 5: a leaf is the sum of its residuals over their number plus
// lambda, times the learning rate. By hand: outputs 1, 1, 5, 5, 5, 5, whose mean is 11/3.
static void test_one_stump(void **state)
{
    (void)state;
    static const double x[] = {0, 1, 2, 3, 4, 5}, y[] = {1, 1, 5, 5, 5, 5};
    Trees *t;
    TreesOptions o = {.rounds = 1, .depth = 1, .rate = 0.5, .leaf = 1, .l2 = 2};
    assert_int_equal(trees_fit(x, 6, 1, y, &o, &t, NULL), 0);
    double mean = 11.0 / 3;
    near(trees_predict(t, (double[]){0.5}), mean + 0.5 * 2 * (1 - mean) / (2 + 2), 1e-6);
    near(trees_predict(t, (double[]){9}), mean + 0.5 * 4 * (5 - mean) / (4 + 2), 1e-6);
    assert_int_equal(trees_nodes(t), 3);
    trees_destroy(t);
}

static double step_function(const double *x)
{
    return (x[0] > 0.5 ? 10 : 0) + (x[1] > 0.3 && x[0] < 0.7 ? 5 : 0);
}

static void make_rows(double (*x)[3], double *y, size_t n, double noise)
{
    Rng rng = rng_stream(1, SLICE("test"), 0);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++) {
            x[i][k] = rng_double(&rng);
        }
        y[i] = step_function(x[i]) + rng_normal(&rng, 0, noise);
    }
}

static void test_learns_steps(void **state)
{
    (void)state;
    static double x[600][3], y[600];
    make_rows(x, y, 600, 0);
    Trees *t, *again;
    assert_int_equal(trees_fit(&x[0][0], 500, 3, y, NULL, &t, NULL), 0);
    double error = 0;
    for (int i = 500; i < 600; i++) {
        error += fabs(trees_predict(t, x[i]) - y[i]) / 100;
    }
    // Wrong only between the rows that are next to an edge, two five-hundredths of the range, times
    // jumps of 20 in all; twice that.
    near(error, 0, 0.16);
    // The same again, to the bit.
    assert_int_equal(trees_fit(&x[0][0], 500, 3, y, NULL, &again, NULL), 0);
    for (int i = 500; i < 600; i++) {
        assert_true(trees_predict(t, x[i]) == trees_predict(again, x[i]));
    }
    trees_destroy(t);
    trees_destroy(again);
}

// Falling in the first input by decree, though the rows rise in it.
static void test_monotone(void **state)
{
    (void)state;
    static double x[300][3], y[300];
    make_rows(x, y, 300, 1);
    static const int8_t ways[][3] = {{1, 0, 0}, {-1, 0, 0}};
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        Trees *t;
        assert_int_equal(
            trees_fit(&x[0][0], 300, 3, y, &(TreesOptions){.monotone = ways[way]}, &t, NULL), 0);
        for (int i = 0; i < 20; i++) {
            double before = NAN;
            for (int k = 0; k <= 100; k++) {
                double now = trees_predict(t, (double[]){k / 100.0, x[i][1], x[i][2]});
                assert_false(way == 0 ? now < before - 1e-6 : now > before + 1e-6);
                before = now;
            }
        }
        trees_destroy(t);
    }
}

// A quantile of noise that grows with the input: below it is the asked share of fresh rows, in the
// quiet and in the rough half. Normal quantiles; a quarter of the spread as tolerance, since 1,000
// rows make 125 in an eighth of the range, whose 90 % quantile has an error of 0.15 deviations.
static void test_quantile(void **state)
{
    (void)state;
    static double x[1000], y[1000];
    Rng rng = rng_stream(2, SLICE("test"), 0);
    for (int i = 0; i < 1000; i++) {
        x[i] = rng_double(&rng);
        y[i] = 3 + rng_normal(&rng, 0, x[i] < 0.5 ? 1 : 4);
    }
    static const double quantiles[][2] = {{0.1, -1.2816}, {0.5, 0}, {0.9, 1.2816}};
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        Trees *t;
        TreesOptions o = {.quantile = quantiles[i][0], .depth = 2, .leaf = 20};
        assert_int_equal(trees_fit(x, 1000, 1, y, &o, &t, NULL), 0);
        double quiet = 0, rough = 0;
        for (int k = 0; k < 40; k++) {
            quiet += trees_predict(t, (double[]){k / 100.0 + 0.05}) / 40;
            rough += trees_predict(t, (double[]){k / 100.0 + 0.55}) / 40;
        }
        near(quiet, 3 + quantiles[i][1], 0.25);
        near(rough, 3 + 4 * quantiles[i][1], 1);
        trees_destroy(t);
    }
}

typedef struct Fit {
    const double *x, *y;
    Trees *trees;
    int rc;
} Fit;

static void *fit_on_a_thread(void *arg)
{
    Fit *f = arg;
    f->rc = trees_fit(f->x, 200, 3, f->y, NULL, &f->trees, NULL);
    return NULL;
}

// Job threads fit side by side, and come to what one comes to alone.
static void test_threads(void **state)
{
    (void)state;
    static double x[200][3], y[200];
    pthread_t threads[4];
    Fit fits[4];
    Trees *alone;
    make_rows(x, y, 200, 1);
    assert_int_equal(trees_fit(&x[0][0], 200, 3, y, NULL, &alone, NULL), 0);
    for (int i = 0; i < 4; i++) {
        fits[i] = (Fit){.x = &x[0][0], .y = y};
        assert_int_equal(pthread_create(&threads[i], NULL, fit_on_a_thread, &fits[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(fits[i].rc, 0);
        for (int k = 0; k < 200; k++) {
            assert_true(trees_predict(fits[i].trees, x[k]) == trees_predict(alone, x[k]));
        }
        trees_destroy(fits[i].trees);
    }
    trees_destroy(alone);
}

static void test_missing_values(void **state)
{
    (void)state;
    double x[40], y[40];
    for (int i = 0; i < 40; i++) {
        x[i] = i % 4 == 0 ? (double)NAN : i;
        y[i] = i % 4 == 0 ? 7 : 1;
    }
    Trees *t;
    assert_int_equal(trees_fit(x, 40, 1, y, &(TreesOptions){.l2 = 0.01}, &t, NULL), 0);
    near(trees_predict(t, (double[]){NAN}), 7, 0.5);
    near(trees_predict(t, (double[]){11}), 1, 0.5);
    trees_destroy(t);
}

static void test_refusals(void **state)
{
    (void)state;
    static double x[TREES_INPUTS_MAX + 1], y[2] = {1, 2};
    static const TreesOptions bad[] = {
        {.rounds = TREES_ROUNDS_MAX + 1},
        {.depth = TREES_DEPTH_MAX + 1},
        {.rate = 1.5},
        {.rate = NAN},
        {.leaf = -1},
        {.quantile = 1},
        {.quantile = -0.1},
        {.rounds = -1},
    };
    Trees *t;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(trees_fit(x, 2, 1, y, &bad[i], &t, NULL), ERR_ARG);
    }
    assert_int_equal(trees_fit(x, 0, 1, y, NULL, &t, NULL), ERR_ARG);
    assert_int_equal(trees_fit(x, 1, 0, y, NULL, &t, NULL), ERR_ARG);
    assert_int_equal(trees_fit(x, 1, 1, (double[]){NAN}, NULL, &t, NULL), ERR_ARG);
    assert_int_equal(trees_fit((double[]){1e300}, 1, 1, y, NULL, &t, NULL), ERR_ARG);
    assert_int_equal(trees_fit(x, TREES_ROWS_MAX + 1, 1, y, NULL, &t, NULL), ERR_LIMIT);
    assert_int_equal(trees_fit(x, 1, TREES_INPUTS_MAX + 1, y, NULL, &t, NULL), ERR_LIMIT);
    assert_int_equal(trees_fit(x, TREES_CELLS_MAX / 64 + 1, 64, y, NULL, &t, NULL), ERR_LIMIT);
    TreesOptions most = {.rounds = TREES_ROUNDS_MAX, .depth = TREES_DEPTH_MAX};
    assert_int_equal(trees_fit(x, 1, TREES_INPUTS_MAX, y, &most, &t, NULL), 0);
    assert_true(trees_predict(t, x) == 1);
    trees_destroy(t);
}

static void test_document(void **state)
{
    (void)state;
    static double x[200][3], y[200];
    make_rows(x, y, 200, 1);
    Trees *t, *copy;
    assert_int_equal(trees_fit(&x[0][0], 200, 3, y, NULL, &t, NULL), 0);
    Buf out = buf_create(8 << 20);
    JsonWriter w = json_writer(&out, 0);
    trees_write(t, &w);
    Arena *arena = arena_create(64 << 20);
    const Doc *doc;
    assert_int_equal(doc_parse(arena, buf_slice(&out), NULL, &doc, NULL), 0);
    assert_int_equal(trees_read(doc, &copy, NULL), 0);
    for (int i = 0; i < 200; i++) {
        assert_true(trees_predict(t, x[i]) == trees_predict(copy, x[i]));
    }
    assert_int_equal(trees_nodes(t), trees_nodes(copy));
    trees_destroy(t);
    trees_destroy(copy);
    arena_destroy(arena);
    buf_done(&out);
}

// Forests that were made to hurt: links backwards, to itself, beyond the end; inputs that are not
// there; numbers that a float cannot hold.
static void test_hostile_documents(void **state)
{
    (void)state;
    static const char head[] =
        "{\"version\":1,\"inputs\":2,\"middle\":0,\"scale\":1,\"xgboost\":\"1.7.4\",\"trees\":[";
    static const struct {
        const char *tree;
        int rc;
    } rows[] = {
        {"{\"feature\":[1,0,0],\"left\":[1,0,0],\"missing_left\":[0,0,0],\"right\":[2,0,0],"
         "\"value\":[0.5,1,2]}]}",
         0},
        {"]}", 0},
        {"{\"feature\":[0],\"left\":[0],\"missing_left\":[0],\"right\":[1],\"value\":[1]}]}",
         ERR_PARSE},
        {"{\"feature\":[0,0],\"left\":[1,0],\"missing_left\":[0,0],\"right\":[1,1],"
         "\"value\":[1,1]}]}",
         ERR_PARSE},
        {"{\"feature\":[0,0],\"left\":[1,0],\"missing_left\":[0,0],\"right\":[2,0],"
         "\"value\":[1,1]}]}",
         ERR_PARSE},
        {"{\"feature\":[0,0],\"left\":[-1,0],\"missing_left\":[0,0],\"right\":[-1,0],"
         "\"value\":[1,1]}]}",
         ERR_PARSE},
        {"{\"feature\":[2],\"left\":[0],\"missing_left\":[0],\"right\":[0],\"value\":[1]}]}",
         ERR_PARSE},
        {"{\"feature\":[0],\"left\":[0],\"missing_left\":[0],\"right\":[0],\"value\":[1e99]}]}",
         ERR_PARSE},
        {"{\"feature\":[0],\"left\":[0],\"missing_left\":[],\"right\":[0],\"value\":[1]}]}",
         ERR_PARSE},
        {"{\"feature\":[],\"left\":[],\"missing_left\":[],\"right\":[],\"value\":[]}]}", ERR_PARSE},
        {"7]}", ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%s%s", head, rows[i].tree);
        Arena *arena = arena_create(1 << 20);
        const Doc *doc;
        Trees *t = NULL;
        assert_int_equal(doc_parse(arena, slice_from_cstr(text), NULL, &doc, NULL), 0);
        int rc = trees_read(doc, &t, NULL);
        if (rc != rows[i].rc) {
            fail_msg("row %zu: %d", i, rc);
        }
        if (rc == 0) {
            (void)trees_predict(t, (double[]){1, NAN});
            trees_destroy(t);
        }
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_stump),         cmocka_unit_test(test_learns_steps),
        cmocka_unit_test(test_monotone),          cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_threads),           cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_document),
        cmocka_unit_test(test_hostile_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
