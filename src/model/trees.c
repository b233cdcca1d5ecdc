#include "model/trees.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xgboost/c_api.h>

enum {
    TREES_VERSION = 1,
    ROUNDS_DEFAULT = 200,
    DEPTH_DEFAULT = 4,
    EXACT_ROWS_MAX = 20000, // above, splits come from histograms: still deterministic on one thread
    MODEL_BYTES_MAX = 256 << 20, // of XGBoost's JSON
    MODEL_ARENA_MAX = 1 << 30,
    MODEL_NODES_MAX = 10 * TREES_NODES_MAX + 100000, // its arrays have an item a node
    XGBOOST_VERSION_MAX = 32,
};

typedef struct TreeNode {
    float value;          // leaf: what it adds; else left when the input is below
    uint32_t left, right; // left 0: a leaf
    uint16_t feature;
    bool missing_left;
} TreeNode;

struct Trees {
    size_t inputs;
    double middle, scale; // prediction = middle + scale * sum of leaves
    char xgboost[XGBOOST_VERSION_MAX];
    TreeNode *nodes;
    size_t node_count, node_capacity;
    uint32_t *roots; // trees begin here; links count from the root
    size_t tree_count;
};

void trees_destroy(Trees *t)
{
    if (t) {
        free(t->nodes);
        free(t->roots);
        free(t);
    }
}

size_t trees_inputs(const Trees *t)
{
    return t->inputs;
}

size_t trees_nodes(const Trees *t)
{
    return t->node_count;
}

// In floats and in the order of the trees, as XGBoost does it, so that the answers are equal.
static float walk(const Trees *t, const double *x)
{
    float sum = 0;
    for (size_t i = 0; i < t->tree_count; i++) {
        const TreeNode *root = t->nodes + t->roots[i], *node = root;
        while (node->left != 0) {
            float value = (float)x[node->feature];
            bool left = isnan(value) ? node->missing_left : value < node->value;
            node = root + (left ? node->left : node->right);
        }
        sum += node->value;
    }
    return sum;
}

double trees_predict(const Trees *t, const double *x)
{
    return t->middle + t->scale * (double)walk(t, x);
}

// ---- building

static int add_node(Trees *t, TreeNode node, Err *e)
{
    if (t->node_count == TREES_NODES_MAX) {
        return err_set(e, ERR_LIMIT, "a forest of more than %d nodes: fewer rounds, or less deep",
                       TREES_NODES_MAX);
    }
    if (t->node_count == t->node_capacity) {
        t->node_capacity = t->node_capacity ? 2 * t->node_capacity : 1024;
        t->nodes = mem_realloc(t->nodes, t->node_capacity * sizeof *t->nodes);
    }
    t->nodes[t->node_count++] = node;
    return 0;
}

static void begin_tree(Trees *t)
{
    t->roots = mem_realloc(t->roots, (t->tree_count + 1) * sizeof *t->roots);
    t->roots[t->tree_count++] = (uint32_t)t->node_count;
}

// One tree's arrays, whose names differ between XGBoost's document and ours.
typedef struct TreeArrays {
    const Doc *left, *right, *feature, *value, *missing_left;
    size_t count;
} TreeArrays;

static int64_t item_int(const Doc *array, size_t index)
{
    const Doc *item = doc_at(array, index);
    return item && item->type == DOC_INT    ? item->integer
           : item && item->type == DOC_BOOL ? item->boolean
                                            : INT64_MIN;
}

static int get_arrays(const Doc *tree, const char *const names[5], TreeArrays *ret, Err *e)
{
    const Doc **slots[5] = {&ret->left, &ret->right, &ret->feature, &ret->value,
                            &ret->missing_left};
    for (size_t i = 0; i < 5; i++) {
        const Doc *array = doc_get(tree, slice_from_cstr(names[i]));
        if (!array || array->type != DOC_ARRAY) {
            return doc_err(e, tree, "a tree has an array \"%s\"", names[i]);
        }
        *slots[i] = array;
        ret->count = i == 0 ? doc_count(array) : ret->count;
        if (doc_count(array) != ret->count || ret->count == 0) {
            return doc_err(e, array, "the arrays of a tree have one item a node each");
        }
    }
    return 0;
}

static int read_node(const TreeArrays *a, size_t at, size_t inputs, TreeNode *ret, Err *e)
{
    int64_t feature = item_int(a->feature, at);
    const Doc *value = doc_at(a->value, at);
    if (feature < 0 || feature >= (int64_t)inputs) {
        return doc_err(e, doc_at(a->feature, at), "there is no such input");
    }
    if (!doc_is_number(value) || !isfinite((float)doc_number(value))) {
        return doc_err(e, value, "not a number that a leaf or split can have");
    }
    *ret = (TreeNode){.value = (float)doc_number(value),
                      .feature = (uint16_t)feature,
                      .missing_left = item_int(a->missing_left, at) == 1};
    return 0;
}

// ---- as a document

static int read_own_tree(Trees *t, const Doc *tree, Err *e)
{
    static const char *const NAMES[5] = {"left", "right", "feature", "value", "missing_left"};
    TreeArrays a = {0};
    int rc = get_arrays(tree, NAMES, &a, e);
    if (rc != 0) {
        return rc;
    }
    begin_tree(t);
    for (size_t i = 0; i < a.count; i++) {
        TreeNode node;
        int64_t left = item_int(a.left, i), right = item_int(a.right, i);
        // Links that only lead on are what makes walking end.
        bool leaf = left == 0 && right == 0, inner = left > (int64_t)i && right > (int64_t)i;
        if (!leaf && (!inner || left >= (int64_t)a.count || right >= (int64_t)a.count)) {
            return doc_err(e, doc_at(a.left, i), "node %zu leads to no later node", i);
        }
        if ((rc = read_node(&a, i, t->inputs, &node, e)) != 0) {
            return rc;
        }
        node.left = (uint32_t)left;
        node.right = (uint32_t)right;
        if ((rc = add_node(t, node, e)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int read_head(const Doc *doc, Trees *t, Err *e)
{
    const Doc *version = doc_get(doc, SLICE("version"));
    const Doc *inputs = doc_get(doc, SLICE("inputs"));
    const Doc *middle = doc_get(doc, SLICE("middle"));
    const Doc *scale = doc_get(doc, SLICE("scale"));
    const Doc *xgboost = doc_get(doc, SLICE("xgboost"));
    if (!version || version->type != DOC_INT || !inputs || inputs->type != DOC_INT ||
        !doc_is_number(middle) || !doc_is_number(scale) || !xgboost ||
        xgboost->type != DOC_STRING || xgboost->text.len >= XGBOOST_VERSION_MAX) {
        return doc_err(e, doc, "a forest has version, inputs, middle, scale, xgboost and trees");
    }
    if (version->integer > TREES_VERSION) {
        (void)doc_err(e, version, "version %lld is newer than this program",
                      (long long)version->integer);
        return e ? (e->code = ERR_VERSION) : ERR_VERSION;
    }
    if (inputs->integer < 1 || inputs->integer > TREES_INPUTS_MAX) {
        return doc_err(e, inputs, "inputs must be 1 to %d", TREES_INPUTS_MAX);
    }
    if (!isfinite(doc_number(middle)) || !isfinite(doc_number(scale))) {
        return doc_err(e, middle, "middle and scale must be finite");
    }
    t->inputs = (size_t)inputs->integer;
    t->middle = doc_number(middle);
    t->scale = doc_number(scale);
    memcpy(t->xgboost, xgboost->text.ptr, xgboost->text.len);
    return 0;
}

int trees_read(const Doc *doc, Trees **ret_trees, Err *e)
{
    Trees *t = mem_zalloc(sizeof *t);
    const Doc *trees = doc_get(doc, SLICE("trees"));
    int rc = read_head(doc, t, e);
    if (rc == 0 && (!trees || trees->type != DOC_ARRAY || doc_count(trees) > TREES_ROUNDS_MAX)) {
        rc = doc_err(e, trees ? trees : doc, "trees must be an array of at most %d",
                     TREES_ROUNDS_MAX);
    }
    for (const Doc *tree = rc == 0 ? doc_first(trees) : NULL; rc == 0 && tree;
         tree = doc_next(tree)) {
        rc = read_own_tree(t, tree, e);
    }
    if (rc != 0) {
        trees_destroy(t);
        return rc;
    }
    *ret_trees = t;
    return 0;
}

typedef enum NodeField {
    FIELD_FEATURE,
    FIELD_LEFT,
    FIELD_MISSING,
    FIELD_RIGHT,
    FIELD_VALUE
} NodeField;

static void write_field(JsonWriter *w, const char *name, NodeField field, const TreeNode *nodes,
                        size_t count)
{
    json_key(w, slice_from_cstr(name));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        switch (field) {
        case FIELD_FEATURE: json_int(w, nodes[i].feature); break;
        case FIELD_LEFT: json_int(w, nodes[i].left); break;
        case FIELD_MISSING: json_int(w, nodes[i].missing_left); break;
        case FIELD_RIGHT: json_int(w, nodes[i].right); break;
        case FIELD_VALUE: json_double(w, (double)nodes[i].value); break;
        }
    }
    json_array_end(w);
}

void trees_write(const Trees *t, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", TREES_VERSION);
    json_field_int(w, "inputs", (int64_t)t->inputs);
    json_field_double(w, "middle", t->middle);
    json_field_double(w, "scale", t->scale);
    json_field_cstr(w, "xgboost", t->xgboost);
    json_key(w, SLICE("trees"));
    json_array_begin(w);
    for (size_t i = 0; i < t->tree_count; i++) {
        size_t end = i + 1 < t->tree_count ? t->roots[i + 1] : t->node_count;
        const TreeNode *nodes = t->nodes + t->roots[i];
        json_object_begin(w);
        write_field(w, "feature", FIELD_FEATURE, nodes, end - t->roots[i]);
        write_field(w, "left", FIELD_LEFT, nodes, end - t->roots[i]);
        write_field(w, "missing_left", FIELD_MISSING, nodes, end - t->roots[i]);
        write_field(w, "right", FIELD_RIGHT, nodes, end - t->roots[i]);
        write_field(w, "value", FIELD_VALUE, nodes, end - t->roots[i]);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

// ---- training

typedef struct Trainer {
    DMatrixHandle matrix;
    BoosterHandle booster;
    const TreesOptions *options;
    size_t n, d;
    float *y; // scaled
    Trees *trees;
} Trainer;

// XGBoost's message has its own source lines and a stack trace behind the first line.
static int xgboost_failed(const char *what, Err *e)
{
    Slice words = slice_from_cstr(XGBGetLastError()), line;
    while (slice_cut(words, '\n', &line, &words) && slice_trim(line).len == 0) {
    }
    line = slice_sub(slice_trim(line), 0, 300);
    return err_set(e, ERR_UNSUPPORTED, "XGBoost: %s: %.*s", what, SLICE_FMT(line));
}

static int check(const double *x, size_t n, size_t d, const double *y, const TreesOptions *o,
                 Err *e)
{
    if (n > TREES_ROWS_MAX || d > TREES_INPUTS_MAX || n * d > TREES_CELLS_MAX) {
        return err_set(e, ERR_LIMIT, "%zu rows with %zu inputs, a forest takes up to %d and %d", n,
                       d, TREES_ROWS_MAX, TREES_INPUTS_MAX);
    }
    if (n == 0 || d == 0) {
        return err_set(e, ERR_ARG, "a forest needs a row and an input at least");
    }
    if (o->rounds < 0 || o->rounds > TREES_ROUNDS_MAX || o->depth < 0 ||
        o->depth > TREES_DEPTH_MAX || !(o->rate >= 0 && o->rate <= 1) || !(o->leaf >= 0) ||
        !(o->l2 >= 0) || !(o->quantile >= 0 && o->quantile < 1)) {
        return err_set(e, ERR_ARG, "an option of the forest is out of its range");
    }
    for (size_t i = 0; i < n; i++) {
        bool good = isfinite(y[i]);
        for (size_t k = 0; k < d; k++) {
            good = good && (isnan(x[i * d + k]) || isfinite((float)x[i * d + k]));
        }
        if (!good) {
            return err_set(e, ERR_ARG, "row %zu has a value that is not finite", i);
        }
    }
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Floats have seven digits, so outputs go in as deviations from where the forest begins: the mean,
// or for a quantile the quantile of all.
static void scale_output(Trainer *t, const double *y)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < t->n; i++) {
        mean += (y[i] - mean) / (double)(i + 1);
    }
    for (size_t i = 0; i < t->n; i++) {
        squares += (y[i] - mean) * (y[i] - mean);
    }
    double deviation = sqrt(squares / (double)t->n);
    t->trees->scale = deviation > 0 && isfinite(deviation) ? deviation : 1;
    t->trees->middle = mean;
    if (t->options->quantile > 0) {
        double *sorted = mem_alloc(t->n * sizeof *sorted);
        memcpy(sorted, y, t->n * sizeof *y);
        qsort(sorted, t->n, sizeof *sorted, compare_doubles);
        t->trees->middle = sorted[(size_t)(t->options->quantile * (double)(t->n - 1) + 0.5)];
        free(sorted);
    }
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] = (float)((y[i] - t->trees->middle) / t->trees->scale);
    }
}

static int make_matrix(Trainer *t, const double *x, Err *e)
{
    float *cells = mem_alloc(t->n * t->d * sizeof *cells);
    for (size_t i = 0; i < t->n * t->d; i++) {
        cells[i] = (float)x[i];
    }
    int failed = XGDMatrixCreateFromMat_omp(cells, t->n, t->d, NAN, &t->matrix, 1);
    free(cells);
    if (failed || XGDMatrixSetFloatInfo(t->matrix, "label", t->y, t->n)) {
        return xgboost_failed("the rows", e);
    }
    return 0;
}

static int set_param(Trainer *t, const char *name, const char *value, Err *e)
{
    return XGBoosterSetParam(t->booster, name, value) ? xgboost_failed(name, e) : 0;
}

static int set_number(Trainer *t, const char *name, double value, Err *e)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.9g", value);
    return set_param(t, name, text, e);
}

static int set_monotone(Trainer *t, Err *e)
{
    if (!t->options->monotone) {
        return 0;
    }
    Buf text = buf_create(4096);
    for (size_t k = 0; k < t->d; k++) {
        int8_t way = t->options->monotone[k];
        buf_printf(&text, "%c%d", k ? ',' : '(', way > 0 ? 1 : way < 0 ? -1 : 0);
    }
    buf_putc(&text, ')');
    int rc = buf_check(&text, "monotone constraints", e);
    if (rc == 0) {
        rc = set_param(t, "monotone_constraints", text.data, e);
    }
    buf_done(&text);
    return rc;
}

static int set_params(Trainer *t, Err *e)
{
    const TreesOptions *o = t->options;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"nthread", 1},
        {"verbosity", 0},
        {"base_score", 0},
        {"seed", (double)(o->seed % INT32_MAX)},
        {"max_depth", o->depth > 0 ? o->depth : DEPTH_DEFAULT},
        {"eta", o->rate > 0 ? o->rate : 0.1},
        {"min_child_weight", o->leaf > 0 ? o->leaf : 2},
        {"lambda", o->l2 > 0 ? o->l2 : 1},
    };
    int rc = set_param(t, "objective", "reg:squarederror", e);
    if (rc == 0) {
        rc = set_param(t, "tree_method", t->n <= EXACT_ROWS_MAX ? "exact" : "hist", e);
    }
    for (size_t i = 0; rc == 0 && i < COUNT_OF(numbers); i++) {
        rc = set_number(t, numbers[i].name, numbers[i].value, e);
    }
    return rc == 0 ? set_monotone(t, e) : rc;
}

// A step down the pinball loss, whose slope is 1 - q above and -q below. Its second derivative is
// none; 1 makes a leaf's step the mean slope in it.
static int boost_quantile(Trainer *t, float *slopes, float *curves, Err *e)
{
    bst_ulong count;
    const float *now;
    if (XGBoosterPredict(t->booster, t->matrix, 0, 0, 1, &count, &now) || count != t->n) {
        return xgboost_failed("a prediction", e);
    }
    float q = (float)t->options->quantile;
    for (size_t i = 0; i < t->n; i++) {
        slopes[i] = now[i] > t->y[i] ? 1 - q : -q;
        curves[i] = 1;
    }
    return XGBoosterBoostOneIter(t->booster, t->matrix, slopes, curves, t->n)
               ? xgboost_failed("a round", e)
               : 0;
}

static int boost(Trainer *t, Err *e)
{
    int rounds = t->options->rounds > 0 ? t->options->rounds : ROUNDS_DEFAULT, rc = 0;
    float *slopes = mem_alloc(2 * t->n * sizeof *slopes);
    for (int i = 0; rc == 0 && i < rounds; i++) {
        if (t->options->quantile > 0) {
            rc = boost_quantile(t, slopes, slopes + t->n, e);
        } else if (XGBoosterUpdateOneIter(t->booster, i, t->matrix)) {
            rc = xgboost_failed("a round", e);
        }
    }
    free(slopes);
    return rc;
}

// Copies the tree in the order of a walk, which drops what XGBoost pruned and makes every link lead
// on. The depth bounds it where the links go in a circle.
static int take_branch(Trees *t, const TreeArrays *a, int64_t at, int depth, uint32_t *ret_place,
                       Err *e)
{
    TreeNode node;
    if (at < 0 || at >= (int64_t)a->count || depth > TREES_DEPTH_MAX + 1) {
        return err_set(e, ERR_PARSE, "XGBoost's tree leads to node %lld", (long long)at);
    }
    int rc = read_node(a, (size_t)at, t->inputs, &node, e);
    uint32_t place = (uint32_t)t->node_count;
    if (rc == 0) {
        rc = add_node(t, node, e);
    }
    int64_t left = item_int(a->left, (size_t)at), right = item_int(a->right, (size_t)at);
    if (rc == 0 && left >= 0) {
        uint32_t root = t->roots[t->tree_count - 1], place_left, place_right;
        rc = take_branch(t, a, left, depth + 1, &place_left, e);
        if (rc == 0) {
            rc = take_branch(t, a, right, depth + 1, &place_right, e);
        }
        if (rc == 0) {
            t->nodes[place].left = place_left - root;
            t->nodes[place].right = place_right - root;
        }
    }
    if (rc == 0) {
        *ret_place = place;
    }
    return rc;
}

static int take_model(Trees *t, const Doc *model, Err *e)
{
    static const char *const PATH[] = {"learner", "gradient_booster", "model", "trees"};
    static const char *const NAMES[5] = {"left_children", "right_children", "split_indices",
                                         "split_conditions", "default_left"};
    for (size_t i = 0; model && i < COUNT_OF(PATH); i++) {
        model = doc_get(model, slice_from_cstr(PATH[i]));
    }
    if (!model || model->type != DOC_ARRAY) {
        return err_set(e, ERR_UNSUPPORTED, "XGBoost's model has no trees where they should be");
    }
    int rc = 0;
    for (const Doc *tree = doc_first(model); rc == 0 && tree; tree = doc_next(tree)) {
        TreeArrays a = {0};
        uint32_t ignored;
        if ((rc = get_arrays(tree, NAMES, &a, e)) == 0) {
            begin_tree(t);
            rc = take_branch(t, &a, 0, 0, &ignored, e);
        }
    }
    return rc;
}

static int take_json(Trainer *t, Err *e)
{
    bst_ulong bytes;
    const char *text;
    if (XGBoosterSaveModelToBuffer(t->booster, "{\"format\": \"json\"}", &bytes, &text)) {
        return xgboost_failed("its model", e);
    }
    Arena *arena = arena_create(MODEL_ARENA_MAX);
    DocOptions o = {.format = DOC_FORMAT_JSON,
                    .source = "XGBoost's model",
                    .max_bytes = MODEL_BYTES_MAX,
                    .max_nodes = MODEL_NODES_MAX};
    const Doc *doc;
    int rc = doc_parse(arena, (Slice){text, bytes}, &o, &doc, e);
    if (rc == 0) {
        rc = take_model(t->trees, doc, e);
    }
    arena_destroy(arena);
    return rc;
}

// Our walk against XGBoost's own prediction of every row: a model format that changed in a way that
// the reader did not notice shows here, once, instead of in every answer.
static int compare_walks(const Trainer *t, const double *x, Err *e)
{
    bst_ulong count;
    const float *theirs;
    if (XGBoosterPredict(t->booster, t->matrix, 0, 0, 0, &count, &theirs) || count != t->n) {
        return xgboost_failed("a prediction", e);
    }
    for (size_t i = 0; i < t->n; i++) {
        float ours = walk(t->trees, x + i * t->d);
        if (!(fabsf(ours - theirs[i]) <= 1e-4F * (1 + fabsf(theirs[i])))) {
            return err_set(e, ERR_UNSUPPORTED,
                           "XGBoost's model was not understood: %g instead of %g", (double)ours,
                           (double)theirs[i]);
        }
    }
    return 0;
}

static int train(Trainer *t, const double *x, Err *e)
{
    int rc = make_matrix(t, x, e);
    if (rc == 0 && XGBoosterCreate(&t->matrix, 1, &t->booster)) {
        rc = xgboost_failed("a booster", e);
    }
    if (rc == 0) {
        rc = set_params(t, e);
    }
    if (rc == 0) {
        rc = boost(t, e);
    }
    if (rc == 0) {
        rc = take_json(t, e);
    }
    return rc == 0 ? compare_walks(t, x, e) : rc;
}

int trees_fit(const double *x, size_t n, size_t d, const double *y, const TreesOptions *options,
              Trees **ret_trees, Err *e)
{
    static const TreesOptions DEFAULTS = {0};
    Trainer t = {.options = options ? options : &DEFAULTS, .n = n, .d = d};
    int rc = check(x, n, d, y, t.options, e), major, minor, patch;
    if (rc != 0) {
        return rc;
    }
    t.y = mem_alloc(n * sizeof *t.y);
    t.trees = mem_zalloc(sizeof *t.trees);
    t.trees->inputs = d;
    XGBoostVersion(&major, &minor, &patch);
    (void)snprintf(t.trees->xgboost, sizeof t.trees->xgboost, "%d.%d.%d", major, minor, patch);
    scale_output(&t, y);
    rc = train(&t, x, e);
    if (t.booster) {
        (void)XGBoosterFree(t.booster);
    }
    if (t.matrix) {
        (void)XGDMatrixFree(t.matrix);
    }
    free(t.y);
    if (rc != 0) {
        trees_destroy(t.trees);
        return rc;
    }
    *ret_trees = t.trees;
    return 0;
}
