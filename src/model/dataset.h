// Dataset: what was observed, as a table: one row a run, a simulated candidate or a window of the
// live system, with named columns and their units.
//
// A column is an input (what the environment did: load, burstiness), a policy parameter (what was
// decided) or an output (what came of it). A cell may be missing (NAN). Every row says where it
// comes from, so that what was fitted on it can be traced: "run:01H...", "simulation:seed=3".
//
//     Dataset *d = dataset_create();
//     rc = dataset_column(d, SLICE("load.rate"), SLICE("1/s"), COLUMN_INPUT, &rate, e);
//     rc = dataset_column(d, SLICE("tasks.p99"), SLICE("s"), COLUMN_OUTPUT, &p99, e);
//     rc = dataset_add(d, (double[]){16, 1.8}, SLICE("simulation:seed=3"), at_unix_ns, e);
//     rc = dataset_store(d, ledger, SLICE("pipeline"), e);          // and later, elsewhere,
//     rc = dataset_load_ledger(d, ledger, SLICE("pipeline"), e);
//
// Three forms: a record of the ledger of kind "observation" and a JSON file hold the same document,
//
//     {"format": "perfwright-observations", "version": 1, "set": "pipeline",
//      "columns": [{"name": "load.rate", "role": "input", "unit": "1/s"}, ...],
//      "rows": [{"at_unix_ns": 1, "cells": [16, 1.8], "source": "simulation:seed=3"}, ...]}
//
// and a CSV file says it in its first line: "input:load.rate [1/s],output:tasks.p99 [s],source".
// The runs of load tests are rows as well (dataset_load_runs). Reading appends; columns are matched
// by name, and one that is there with another unit or role is ERR_CONFLICT.
//
// Not thread-safe; a Dataset may be handed to another thread as a whole.
#ifndef MODEL_DATASET_H
#define MODEL_DATASET_H

#include "base/doc.h"
#include "base/json_write.h"
#include "ledger/run.h"

enum {
    DATASET_VERSION = 1,
    DATASET_COLUMNS_MAX = 256,
    DATASET_ROWS_MAX = 100000,
    DATASET_CELLS_MAX = 4 << 20,
    DATASET_NAME_MAX = 200, // bytes of a column's name, of a unit and of a source
    DATASET_FILE_MAX = 64 << 20,
};

typedef enum ColumnRole { COLUMN_INPUT, COLUMN_POLICY, COLUMN_OUTPUT, COLUMN_ROLES } ColumnRole;
extern const char *const COLUMN_ROLE_NAMES[COLUMN_ROLES]; // "input", "policy", "output"

typedef struct Column {
    Slice name;
    Slice unit; // "s", "1/s", "" for shares and counts
    ColumnRole role;
} Column;

typedef struct Dataset Dataset;

Dataset *dataset_create(void);
void dataset_destroy(Dataset *d); // NULL is fine

size_t dataset_columns(const Dataset *d);
size_t dataset_rows(const Dataset *d);
const Column *dataset_column_at(const Dataset *d, size_t column);
ptrdiff_t dataset_find(const Dataset *d, Slice name);             // -1: there is none
double dataset_cell(const Dataset *d, size_t row, size_t column); // NAN: missing
Slice dataset_source(const Dataset *d, size_t row);
int64_t dataset_at(const Dataset *d, size_t row); // Unix ns; 0 when nobody said

// The column of that name, made when it is not there; rows that are there miss it. ERR_CONFLICT,
// ERR_LIMIT, ERR_ARG for a name that is empty, too long, no UTF-8 or has control characters.
MUST_USE int dataset_column(Dataset *d, Slice name, Slice unit, ColumnRole role, size_t *ret_column,
                            Err *e);
// `cells` has one value a column, in their order. An infinity is ERR_ARG: a fit on it means
// nothing.
MUST_USE int dataset_add(Dataset *d, const double *cells, Slice source, int64_t at_unix_ns, Err *e);
// Keeps the newest `rows` of them (by place), for a refit that forgets what was before a change.
void dataset_keep_last(Dataset *d, size_t rows);

// ERR_PARSE with the place, ERR_VERSION, ERR_LIMIT. After an error the table may hold a part.
MUST_USE int dataset_read(Dataset *d, const Doc *doc, Err *e);
MUST_USE int dataset_read_csv(Dataset *d, Slice text, const char *source, Err *e);
// By the name's end: .csv, else JSON, YAML or TOML.
MUST_USE int dataset_load_file(Dataset *d, const char *path, Err *e);
void dataset_write(const Dataset *d, Slice set, JsonWriter *w);

// Appends all rows as records of `set` (a name for what belongs together; not empty).
MUST_USE int dataset_store(const Dataset *d, Ledger *ledger, Slice set, Err *e);
MUST_USE int dataset_load_ledger(Dataset *d, Ledger *ledger, Slice set, Err *e);

// A row for each complete run of the filter, oldest first: input "load.rate" (requests a
// second), outputs "mean", "p50" and "p99" [s] with failures as infinite (missing where they are),
// "errors" (share) and "goodput" (good answers a second); and of what the run was labelled with,
// each "input.NAME" and "policy.NAME" whose value is a number. Runs that are partial, aborted or
// invalid are left out.
MUST_USE int dataset_load_runs(Dataset *d, Ledger *ledger, const RunFilter *filter, Err *e);

#endif
