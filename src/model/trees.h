// Gradient boosted regression trees, trained by XGBoost (Chen, Guestrin: "XGBoost: A Scalable Tree
// Boosting System", KDD 2016) and walked by us: a prediction takes some microseconds, no lock and
// no library, and a forest from a file is checked by our own reader before anything follows its
// links.
//
//     rc = trees_fit(x, n, d, y, &(TreesOptions){.seed = 1}, &trees, e);
//     double y = trees_predict(trees, row);
//
// The same rows, options and seed give the same forest: one thread, and exact search for splits
// where the rows allow it. Training blocks (milliseconds to seconds): call it on a job thread. A
// Trees does not change; any thread may ask it. A NAN among the inputs is a missing value.
#ifndef MODEL_TREES_H
#define MODEL_TREES_H

#include "base/doc.h"
#include "base/json_write.h"

enum {
    TREES_ROWS_MAX = 100000,
    TREES_INPUTS_MAX = 256,
    TREES_CELLS_MAX = 4 << 20,
    TREES_ROUNDS_MAX = 1000,
    TREES_DEPTH_MAX = 10,
    TREES_NODES_MAX = 150000, // of the whole forest
};

// Zero takes the default.
typedef struct TreesOptions {
    int rounds;             // trees; 200
    int depth;              // 4
    double rate;            // learning rate; 0.1
    double leaf;            // rows in a leaf, at least; 2
    double l2;              // regularisation of leaves; 1
    double quantile;        // 0: the mean; else this quantile by the pinball loss, 0..1
    const int8_t *monotone; // an input each: +1 rising, -1 falling, 0 free; NULL: all free
    uint64_t seed;
} TreesOptions;

typedef struct Trees Trees;

// `x` is n rows of d inputs. ERR_ARG for an option out of range, an output or an input that is not
// finite (NAN inputs are fine), no rows; ERR_LIMIT; ERR_UNSUPPORTED with XGBoost's words.
MUST_USE int trees_fit(const double *x, size_t n, size_t d, const double *y,
                       const TreesOptions *options, Trees **ret_trees, Err *e);
void trees_destroy(Trees *trees); // NULL is fine

double trees_predict(const Trees *trees, const double *x);
size_t trees_inputs(const Trees *trees);
size_t trees_nodes(const Trees *trees);

// {"version":1,"inputs":2,"middle":3.1,"scale":0.4,"xgboost":"1.7.4","trees":[{"feature":[...],
// "left":[...],"missing_left":[...],"right":[...],"value":[...]}, ...]}: node 0 is the root, links
// lead to higher numbers, and in a leaf left is 0 and value is what it adds.
void trees_write(const Trees *trees, JsonWriter *w);
MUST_USE int trees_read(const Doc *doc, Trees **ret_trees, Err *e);

#endif
