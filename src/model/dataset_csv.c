// CSV as RFC 4180 has it: fields between commas, in quotes where they hold a comma, a quote (then
// doubled) or a line break; lines end with LF or CRLF.
#include <math.h>
#include <string.h>

#include "model/dataset.h"

enum { FIELD_BYTES_MAX = 2 * DATASET_NAME_MAX + 64 };

typedef struct Csv {
    Slice rest;
    const char *source;
    int line;
    bool at_end; // of the line: the field was its last
    char quoted[FIELD_BYTES_MAX];
} Csv;

static int csv_err(const Csv *c, Err *e, const char *what)
{
    return err_set(e, ERR_PARSE, "%s:%d: %s", c->source, c->line, what);
}

// What follows a field: a comma, the end of the line, or the end of the text.
static int end_field(Csv *c, Err *e)
{
    if (c->rest.len == 0) {
        c->at_end = true;
        return 0;
    }
    if (slice_starts_with(c->rest, SLICE("\r\n"))) {
        c->rest = slice_sub(c->rest, 1, SIZE_MAX);
    }
    char mark = c->rest.ptr[0];
    c->at_end = mark == '\n';
    c->rest = slice_sub(c->rest, 1, SIZE_MAX);
    return mark == ',' || mark == '\n' ? 0 : csv_err(c, e, "text follows a quoted field");
}

static int quoted_field(Csv *c, Slice *ret, Err *e)
{
    size_t used = 0;
    for (size_t i = 1; i < c->rest.len; i++) {
        char byte = c->rest.ptr[i];
        if (byte == '"' && (i + 1 == c->rest.len || c->rest.ptr[i + 1] != '"')) {
            *ret = (Slice){c->quoted, used};
            c->rest = slice_sub(c->rest, i + 1, SIZE_MAX);
            return end_field(c, e);
        }
        i += byte == '"';
        if (used == FIELD_BYTES_MAX) {
            return csv_err(c, e, "a field is too long");
        }
        c->quoted[used++] = byte;
    }
    return csv_err(c, e, "a quote does not end");
}

// The next field of the line, borrowed until the next call.
static int next_field(Csv *c, Slice *ret, Err *e)
{
    if (c->rest.len > 0 && c->rest.ptr[0] == '"') {
        return quoted_field(c, ret, e);
    }
    size_t len = 0;
    while (len < c->rest.len && c->rest.ptr[len] != ',' && c->rest.ptr[len] != '\n') {
        if (c->rest.ptr[len] == '"') {
            return csv_err(c, e, "a quote inside of a field");
        }
        len++;
    }
    *ret = slice_trim(slice_sub(c->rest, 0, len)); // and a CR before the LF with it
    c->rest = slice_sub(c->rest, len, SIZE_MAX);
    return end_field(c, e);
}

// What a column of the file means: a place in the table, or one of the two that say where from.
enum { FIELD_SOURCE = -1, FIELD_AT = -2 };

typedef struct Header {
    int places[DATASET_COLUMNS_MAX + 2];
    size_t count;
    char source[DATASET_NAME_MAX + 1]; // of rows whose file does not say
} Header;

// "input:load.rate [1/s]".
static int read_heading(Dataset *d, const Csv *c, Slice text, int *ret_place, Err *e)
{
    Slice role, name, unit = {0};
    if (slice_eq(text, SLICE("source")) || slice_eq(text, SLICE("at_unix_ns"))) {
        *ret_place = text.len == 6 ? FIELD_SOURCE : FIELD_AT;
        return 0;
    }
    if (slice_cut(text, ':', &role, &name)) {
        ptrdiff_t bracket = slice_find(name, SLICE(" ["));
        if (bracket >= 0 && slice_ends_with(name, SLICE("]"))) {
            unit = slice_sub(name, (size_t)bracket + 2, name.len - (size_t)bracket - 3);
            name = slice_sub(name, 0, (size_t)bracket);
        }
        for (int i = 0; i < COLUMN_ROLES; i++) {
            size_t place;
            if (slice_eq_cstr(role, COLUMN_ROLE_NAMES[i])) {
                int rc = dataset_column(d, name, unit, (ColumnRole)i, &place, e);
                *ret_place = rc == 0 ? (int)place : 0;
                return rc == 0 || !e ? rc : err_wrap(e, "%s:%d", c->source, c->line);
            }
        }
    }
    return csv_err(c, e,
                   "a heading reads role:name [unit], and the role is input, policy or output");
}

static int read_header(Dataset *d, Csv *c, Header *h, Err *e)
{
    do {
        Slice text;
        int place, rc = next_field(c, &text, e);
        if (rc != 0 || (rc = read_heading(d, c, text, &place, e)) != 0) {
            return rc;
        }
        for (size_t i = 0; i < h->count; i++) {
            if (h->places[i] == place) {
                return csv_err(c, e, "a column is there twice");
            }
        }
        h->places[h->count++] = place;
    } while (!c->at_end);
    return 0;
}

static int read_cell(const Csv *c, Slice text, double *ret, Err *e)
{
    *ret = NAN;
    return text.len == 0 || slice_to_f64(text, ret) == 0
               ? 0
               : csv_err(c, e, "a cell is a number, or empty when it is not known");
}

static int read_line(Dataset *d, Csv *c, const Header *h, Err *e)
{
    double cells[DATASET_COLUMNS_MAX];
    char kept[DATASET_NAME_MAX + 1];
    Slice source = slice_from_cstr(h->source), text;
    int64_t at = 0;
    for (size_t k = 0; k < dataset_columns(d); k++) {
        cells[k] = NAN;
    }
    for (size_t i = 0; i < h->count; i++) {
        int rc = next_field(c, &text, e);
        if (rc == 0 && c->at_end != (i + 1 == h->count)) {
            rc = csv_err(c, e, "a line has as many fields as the first");
        }
        if (rc == 0 && h->places[i] >= 0) {
            rc = read_cell(c, text, &cells[h->places[i]], e);
        } else if (rc == 0 && h->places[i] == FIELD_AT && slice_to_i64(text, &at) != 0) {
            rc = csv_err(c, e, "at_unix_ns is a whole number");
        } else if (rc == 0 && h->places[i] == FIELD_SOURCE) {
            text.len = text.len < sizeof kept ? text.len : sizeof kept;
            memcpy(kept, text.ptr ? text.ptr : "", text.len);
            source = (Slice){kept, text.len};
        }
        if (rc != 0) {
            return rc;
        }
    }
    int rc = dataset_add(d, cells, source, at, e);
    return rc == 0 || !e ? rc : err_wrap(e, "%s:%d", c->source, c->line);
}

int dataset_read_csv(Dataset *d, Slice text, const char *source, Err *e)
{
    Csv c = {.rest = text, .source = source ? source : "input", .line = 1};
    Header h = {.count = 0};
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf"))) {
        c.rest = slice_sub(text, 3, SIZE_MAX);
    }
    Slice name = slice_from_cstr(c.source);
    size_t skip = name.len > DATASET_NAME_MAX - 5 ? name.len - (DATASET_NAME_MAX - 5) : 0;
    (void)snprintf(h.source, sizeof h.source, "file:%s", c.source + skip);
    int rc = read_header(d, &c, &h, e);
    while (rc == 0 && c.rest.len > 0) {
        c.line++;
        // An empty line is nothing, not a row of one cell that is not known.
        Slice head, tail;
        (void)slice_cut(c.rest, '\n', &head, &tail);
        if (slice_trim(head).len == 0) {
            c.rest = tail;
        } else {
            rc = read_line(d, &c, &h, e);
        }
    }
    return rc;
}
