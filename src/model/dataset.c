#include "model/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ledger/observation.h"
#include "os/file.h"

enum { TEXT_BYTES_MAX = 64 << 20 }; // of names and sources

const char *const COLUMN_ROLE_NAMES[COLUMN_ROLES] = {"input", "policy", "output"};

struct Dataset {
    Arena *arena; // of all text
    Column columns[DATASET_COLUMNS_MAX];
    size_t column_count;
    double *cells; // row by row, `stride` apart
    size_t stride;
    Slice *sources;
    int64_t *at;
    size_t row_count, row_capacity;
};

Dataset *dataset_create(void)
{
    Dataset *d = mem_zalloc(sizeof *d);
    d->arena = arena_create(TEXT_BYTES_MAX);
    return d;
}

void dataset_destroy(Dataset *d)
{
    if (d) {
        arena_destroy(d->arena);
        free(d->cells);
        free(d->sources);
        free(d->at);
        free(d);
    }
}

size_t dataset_columns(const Dataset *d)
{
    return d->column_count;
}

size_t dataset_rows(const Dataset *d)
{
    return d->row_count;
}

const Column *dataset_column_at(const Dataset *d, size_t column)
{
    return &d->columns[column];
}

ptrdiff_t dataset_find(const Dataset *d, Slice name)
{
    for (size_t i = 0; i < d->column_count; i++) {
        if (slice_eq(d->columns[i].name, name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

double dataset_cell(const Dataset *d, size_t row, size_t column)
{
    return d->cells[row * d->stride + column];
}

Slice dataset_source(const Dataset *d, size_t row)
{
    return d->sources[row];
}

int64_t dataset_at(const Dataset *d, size_t row)
{
    return d->at[row];
}

// ---- growing

// Rows are moved apart when a column more does not fit between them; new cells miss their value.
static void set_stride(Dataset *d, size_t stride)
{
    double *wider = mem_alloc(d->row_capacity * stride * sizeof *wider);
    for (size_t i = 0; i < d->row_count; i++) {
        for (size_t k = 0; k < stride; k++) {
            wider[i * stride + k] = k < d->stride ? d->cells[i * d->stride + k] : (double)NAN;
        }
    }
    free(d->cells);
    d->cells = wider;
    d->stride = stride;
}

static int check_text(Slice text, const char *what, Err *e)
{
    // What is no UTF-8 would be another text, and a longer one, once it was written as JSON.
    bool good = text.len <= DATASET_NAME_MAX && utf8_find_invalid(text) < 0;
    for (size_t i = 0; good && i < text.len; i++) {
        good = (unsigned char)text.ptr[i] >= ' ' && text.ptr[i] != 127;
    }
    return good ? 0
                : err_set(e, ERR_ARG, "%s is UTF-8 of at most %d bytes without control characters",
                          what, DATASET_NAME_MAX);
}

static int check_column(const Dataset *d, Slice name, Slice unit, ColumnRole role, Err *e)
{
    if (name.len == 0) {
        return err_set(e, ERR_ARG, "a column needs a name");
    }
    int rc = check_text(name, "the name of a column", e);
    if (rc == 0) {
        rc = check_text(unit, "a unit", e);
    }
    ptrdiff_t found = dataset_find(d, name);
    if (rc != 0 || found < 0) {
        return rc;
    }
    const Column *c = &d->columns[found];
    if (c->role != role || !slice_eq(c->unit, unit)) {
        return err_set(e, ERR_CONFLICT,
                       "%.*s is an %s in \"%.*s\" here and an %s in \"%.*s\" there",
                       SLICE_FMT(name), COLUMN_ROLE_NAMES[c->role], SLICE_FMT(c->unit),
                       COLUMN_ROLE_NAMES[role], SLICE_FMT(unit));
    }
    return 0;
}

int dataset_column(Dataset *d, Slice name, Slice unit, ColumnRole role, size_t *ret_column, Err *e)
{
    int rc = check_column(d, name, unit, role, e);
    if (rc != 0) {
        return rc;
    }
    ptrdiff_t found = dataset_find(d, name);
    if (found < 0) {
        if (d->column_count == DATASET_COLUMNS_MAX ||
            (d->column_count + 1) * d->row_count > DATASET_CELLS_MAX) {
            return err_set(e, ERR_LIMIT, "a table of more than %d columns or %d cells",
                           DATASET_COLUMNS_MAX, DATASET_CELLS_MAX);
        }
        found = (ptrdiff_t)d->column_count;
        d->columns[d->column_count++] =
            (Column){arena_copy(d->arena, name), arena_copy(d->arena, unit), role};
        if (d->column_count > d->stride && d->row_capacity > 0) {
            set_stride(d, d->column_count + 4);
        }
    }
    *ret_column = (size_t)found;
    return 0;
}

static void make_room(Dataset *d)
{
    if (d->row_count < d->row_capacity) {
        return;
    }
    d->row_capacity = d->row_capacity ? 2 * d->row_capacity : 64;
    d->stride = d->stride ? d->stride : d->column_count + 4;
    d->cells = mem_realloc(d->cells, d->row_capacity * d->stride * sizeof *d->cells);
    d->sources = mem_realloc(d->sources, d->row_capacity * sizeof *d->sources);
    d->at = mem_realloc(d->at, d->row_capacity * sizeof *d->at);
}

int dataset_add(Dataset *d, const double *cells, Slice source, int64_t at_unix_ns, Err *e)
{
    if (d->row_count == DATASET_ROWS_MAX ||
        (d->row_count + 1) * d->column_count > DATASET_CELLS_MAX) {
        return err_set(e, ERR_LIMIT, "a table of more than %d rows or %d cells", DATASET_ROWS_MAX,
                       DATASET_CELLS_MAX);
    }
    int rc = check_text(source, "the source of a row", e);
    for (size_t k = 0; rc == 0 && k < d->column_count; k++) {
        if (isinf(cells[k])) {
            rc = err_set(e, ERR_ARG, "%.*s is infinite", SLICE_FMT(d->columns[k].name));
        }
    }
    // Most rows come from where the one before came from.
    bool same = d->row_count > 0 && slice_eq(d->sources[d->row_count - 1], source);
    if (rc == 0 && !same &&
        arena_left(d->arena) < 2 * DATASET_NAME_MAX * (DATASET_COLUMNS_MAX + 2)) {
        rc = err_set(e, ERR_LIMIT, "the sources of the rows are too long");
    }
    if (rc != 0) {
        return rc;
    }
    make_room(d);
    size_t row = d->row_count++;
    d->sources[row] = same ? d->sources[row - 1] : arena_copy(d->arena, source);
    d->at[row] = at_unix_ns;
    for (size_t k = 0; k < d->stride; k++) {
        d->cells[row * d->stride + k] = k < d->column_count ? cells[k] : (double)NAN;
    }
    return 0;
}

void dataset_keep_last(Dataset *d, size_t rows)
{
    if (rows >= d->row_count) {
        return;
    }
    size_t from = d->row_count - rows;
    memmove(d->cells, d->cells + from * d->stride, rows * d->stride * sizeof *d->cells);
    memmove(d->sources, d->sources + from, rows * sizeof *d->sources);
    memmove(d->at, d->at + from, rows * sizeof *d->at);
    d->row_count = rows;
}

// ---- the document

static void write_columns(const Dataset *d, JsonWriter *w)
{
    json_array_begin(w);
    for (size_t k = 0; k < d->column_count; k++) {
        json_object_begin(w);
        json_field_string(w, "name", d->columns[k].name);
        json_field_cstr(w, "role", COLUMN_ROLE_NAMES[d->columns[k].role]);
        json_field_string(w, "unit", d->columns[k].unit);
        json_object_end(w);
    }
    json_array_end(w);
}

// Members in the order of their names: without indentation this is the canonical form.
static void write_rows(const Dataset *d, Slice set, size_t from, size_t to, JsonWriter *w)
{
    json_object_begin(w);
    json_key(w, SLICE("columns"));
    write_columns(d, w);
    json_field_cstr(w, "format", "perfwright-observations");
    json_key(w, SLICE("rows"));
    json_array_begin(w);
    for (size_t i = from; i < to; i++) {
        json_object_begin(w);
        json_field_int(w, "at_unix_ns", d->at[i]);
        json_key(w, SLICE("cells"));
        json_array_begin(w);
        for (size_t k = 0; k < d->column_count; k++) {
            json_double(w, d->cells[i * d->stride + k]);
        }
        json_array_end(w);
        json_field_string(w, "source", d->sources[i]);
        json_object_end(w);
    }
    json_array_end(w);
    json_field_string(w, "set", set);
    json_field_int(w, "version", DATASET_VERSION);
    json_object_end(w);
}

void dataset_write(const Dataset *d, Slice set, JsonWriter *w)
{
    write_rows(d, set, 0, d->row_count, w);
}

static bool read_role(const Doc *role, ColumnRole *ret)
{
    for (int i = 0; role && role->type == DOC_STRING && i < COLUMN_ROLES; i++) {
        if (slice_eq_cstr(role->text, COLUMN_ROLE_NAMES[i])) {
            *ret = (ColumnRole)i;
            return true;
        }
    }
    return false;
}

static int read_column(Dataset *d, const Doc *column, size_t *ret_place, Err *e)
{
    const Doc *name = doc_get(column, SLICE("name")), *unit = doc_get(column, SLICE("unit"));
    ColumnRole role;
    if (!name || name->type != DOC_STRING || !unit || unit->type != DOC_STRING ||
        !read_role(doc_get(column, SLICE("role")), &role)) {
        return doc_err(e, column,
                       "a column has a name, a unit and a role: input, policy or output");
    }
    int rc = dataset_column(d, name->text, unit->text, role, ret_place, e);
    if (rc != 0 && e) {
        (void)err_wrap(e, "%s:%d", column->source, column->line);
    }
    return rc;
}

// Where the columns of a file went: places[its column] is ours.
typedef struct Mapping {
    size_t places[DATASET_COLUMNS_MAX];
    size_t count;
} Mapping;

static int map_column(Mapping *m, size_t place, const Doc *at, Err *e)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->places[i] == place) {
            return doc_err(e, at, "the column is there twice");
        }
    }
    m->places[m->count++] = place;
    return 0;
}

static int read_row(Dataset *d, const Mapping *m, const Doc *row, Err *e)
{
    double cells[DATASET_COLUMNS_MAX];
    const Doc *values = doc_get(row, SLICE("cells")), *source = doc_get(row, SLICE("source"));
    const Doc *at = doc_get(row, SLICE("at_unix_ns"));
    if (!values || values->type != DOC_ARRAY || doc_count(values) != m->count || !source ||
        source->type != DOC_STRING || (at && at->type != DOC_INT)) {
        return doc_err(e, row, "a row has a source and %zu cells", m->count);
    }
    for (size_t k = 0; k < d->column_count; k++) {
        cells[k] = NAN;
    }
    size_t i = 0;
    for (const Doc *v = doc_first(values); v; v = doc_next(v)) {
        if (v->type != DOC_NULL && !doc_is_number(v)) {
            return doc_err(e, v, "a cell is a number or null");
        }
        cells[m->places[i++]] = v->type == DOC_NULL ? (double)NAN : doc_number(v);
    }
    int rc = dataset_add(d, cells, source->text, at ? at->integer : 0, e);
    if (rc != 0 && e) {
        (void)err_wrap(e, "%s:%d", row->source, row->line);
    }
    return rc;
}

static int check_head(const Doc *doc, Err *e)
{
    const Doc *format = doc_get(doc, SLICE("format")), *version = doc_get(doc, SLICE("version"));
    if (!format || format->type != DOC_STRING ||
        !slice_eq_cstr(format->text, "perfwright-observations") || !version ||
        version->type != DOC_INT) {
        return doc_err(e, doc,
                       "observations have the format \"perfwright-observations\" and a "
                       "version");
    }
    if (version->integer > DATASET_VERSION) {
        return err_set(e, ERR_VERSION,
                       "%s: observations of version %lld are newer than this "
                       "program",
                       doc->source, (long long)version->integer);
    }
    return 0;
}

int dataset_read(Dataset *d, const Doc *doc, Err *e)
{
    Mapping m = {.count = 0};
    const Doc *columns = doc_get(doc, SLICE("columns")), *rows = doc_get(doc, SLICE("rows"));
    int rc = check_head(doc, e);
    if (rc == 0 && (!columns || columns->type != DOC_ARRAY || !rows || rows->type != DOC_ARRAY)) {
        rc = doc_err(e, doc, "observations have arrays of columns and rows");
    }
    for (const Doc *c = rc == 0 ? doc_first(columns) : NULL; rc == 0 && c; c = doc_next(c)) {
        size_t place;
        if ((rc = read_column(d, c, &place, e)) == 0) {
            rc = map_column(&m, place, c, e);
        }
    }
    for (const Doc *r = rc == 0 ? doc_first(rows) : NULL; rc == 0 && r; r = doc_next(r)) {
        rc = read_row(d, &m, r, e);
    }
    return rc;
}

int dataset_load_file(Dataset *d, const char *path, Err *e)
{
    int rc;
    if (slice_ends_with(slice_from_cstr(path), SLICE(".csv"))) {
        Buf text = buf_create(DATASET_FILE_MAX);
        rc = file_read(path, &text, e);
        if (rc == 0) {
            rc = dataset_read_csv(d, buf_slice(&text), path, e);
        }
        buf_done(&text);
        return rc;
    }
    Arena *arena = arena_create(1 << 30);
    const Doc *doc;
    DocOptions o = {.max_bytes = DATASET_FILE_MAX, .max_nodes = DATASET_CELLS_MAX};
    rc = doc_read_file(arena, path, &o, &doc, e);
    if (rc == 0) {
        rc = dataset_read(d, doc, e);
    }
    arena_destroy(arena);
    return rc;
}

// ---- the ledger

// Rows of one record: at 20 bytes a cell a full table stays below the record's limit.
static size_t rows_per_record(const Dataset *d)
{
    size_t bytes = 20 * d->column_count + 2 * DATASET_NAME_MAX + 100;
    return (OBSERVATION_BYTES_MAX / 2) / bytes;
}

int dataset_store(const Dataset *d, Ledger *ledger, Slice set, Err *e)
{
    int rc = set.len == 0 ? err_set(e, ERR_ARG, "observations need the name of their set")
                          : check_text(set, "the name of a set", e);
    size_t chunk = rows_per_record(d);
    for (size_t from = 0; rc == 0 && from < d->row_count; from += chunk) {
        size_t to = from + chunk < d->row_count ? from + chunk : d->row_count;
        Buf table = buf_create(OBSERVATION_BYTES_MAX);
        JsonWriter w = json_writer(&table, 0);
        write_rows(d, set, from, to, &w);
        rc = buf_check(&table, "a table of observations", e);
        if (rc == 0) {
            rc = observation_append(ledger, buf_slice(&table), e);
        }
        buf_done(&table);
    }
    return rc;
}

typedef struct Loading {
    Dataset *dataset;
    Slice set;
} Loading;

static int take_table(void *ctx, Slice table, Err *e)
{
    Loading *loading = ctx;
    Arena *arena = arena_create(1 << 30);
    const Doc *doc;
    DocOptions o = {.format = DOC_FORMAT_JSON,
                    .source = "an observation of the ledger",
                    .max_nodes = DATASET_CELLS_MAX};
    int rc = doc_parse(arena, table, &o, &doc, e);
    if (rc == 0) {
        const Doc *set = doc_get(doc, SLICE("set"));
        if (set && set->type == DOC_STRING && slice_eq(set->text, loading->set)) {
            rc = dataset_read(loading->dataset, doc, e);
        }
    }
    arena_destroy(arena);
    return rc;
}

int dataset_load_ledger(Dataset *d, Ledger *ledger, Slice set, Err *e)
{
    Loading loading = {d, set};
    return observation_each(ledger, take_table, &loading, e);
}
