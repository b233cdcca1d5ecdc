#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "bench/harness_unit.h"
#include "bench/table.h"

// ---- one number

typedef struct Prefix {
    double factor;
    const char *text;
} Prefix;

static const Prefix SI[] = {{1e12, "T"}, {1e9, "G"},  {1e6, "M"},         {1e3, "k"},
                            {1, ""},     {1e-3, "m"}, {1e-6, "\xc2\xb5"}, {1e-9, "n"}};
static const Prefix IEC[] = {
    {1099511627776.0, "Ti"}, {1073741824.0, "Gi"}, {1048576.0, "Mi"}, {1024.0, "Ki"}, {1, ""}};

typedef struct Scaling {
    Prefix prefix;
    int decimals;
} Scaling;

// The thresholds are where "%.*f" begins to print a digit more: 99.995 is "100.0", 99.99 "99.99".
static Scaling scaling_for(double smallest, bool binary)
{
    const Prefix *prefixes = binary ? IEC : SI;
    size_t count = binary ? COUNT_OF(IEC) : COUNT_OF(SI);
    if (!(smallest > 0)) {
        return (Scaling){{1, ""}, 3};
    }
    for (size_t i = 0; i < count; i++) {
        double f = prefixes[i].factor;
        if (smallest >= 0.99995 * f) {
            return (Scaling){prefixes[i], smallest >= 99.995 * f   ? 1
                                          : smallest >= 9.9995 * f ? 2
                                                                   : 3};
        }
    }
    // Below the smallest prefix: more digits instead.
    Prefix last = prefixes[count - 1];
    double value = smallest / last.factor, threshold = 0.99995;
    int decimals = 3;
    for (; decimals < 10 && value < threshold; decimals++) {
        threshold /= 10;
    }
    return (Scaling){last, decimals};
}

void bench_value_format(double value, double smallest, bool binary, Buf *out)
{
    Scaling s = scaling_for(fabs(smallest), binary);
    buf_printf(out, "%.*f%s", s.decimals, value / s.prefix.factor, s.prefix.text);
}

static double row_smallest(const BenchRow *row, size_t columns)
{
    double smallest = 0;
    for (size_t c = 0; c < columns; c++) {
        double v = row->cells[c].n > 0 ? fabs(row->cells[c].center) : 0;
        smallest = v > 0 && (smallest == 0 || v < smallest) ? v : smallest;
    }
    return smallest;
}

// How far the interval reaches from the center, of which it is a share.
static void put_spread(const BenchCell *cell, Buf *out)
{
    Interval i = cell->interval;
    if (isinf(i.low) || isinf(i.high)) {
        buf_puts(out, "\xe2\x88\x9e"); // infinity
    } else if (cell->center == 0) {
        buf_puts(out, i.low == 0 && i.high == 0 ? "0%" : "?");
    } else if (i.low <= 0) {
        buf_puts(out, "?");
    } else {
        buf_printf(out, "%.0f%%", 100 * fmax(i.high / cell->center - 1, 1 - i.low / cell->center));
    }
}

static void put_change(const BenchCell *cell, const BenchCell *base, Buf *out)
{
    if (!cell->significant) {
        buf_puts(out, "~");
    } else if (cell->center == base->center) {
        buf_puts(out, "0.00%");
    } else if (base->center == 0) {
        buf_puts(out, "?");
    } else {
        buf_printf(out, "%+.2f%%", (cell->center / base->center - 1) * 100);
    }
}

static void put_test(const BenchCell *cell, const BenchCell *base, Buf *out)
{
    buf_printf(out, "(p=%.3f n=", cell->p);
    if (cell->n == base->n) {
        buf_printf(out, "%zu)", cell->n);
    } else {
        buf_printf(out, "%zu+%zu)", base->n, cell->n);
    }
}

// ---- the grid: a label, then for each column center, spread and, but for the first, change, test

enum { GRID_COLUMNS_MAX = 1 + 4 * BENCH_COLUMNS_MAX, CELL_BYTES_MAX = 4096, NOTES_MAX = 8 };

typedef struct Grid {
    Buf cells; // NUL-terminated texts, row by row
    size_t columns;
    int widths[GRID_COLUMNS_MAX];
    size_t at;
} Grid;

static void grid_put(Grid *g, Slice text)
{
    int width = utf8_width(text);
    int *widest = &g->widths[g->at % g->columns];
    *widest = width > *widest ? width : *widest;
    buf_append(&g->cells, text);
    buf_putc(&g->cells, '\0');
    g->at++;
}

static void grid_puts(Grid *g, const char *text)
{
    grid_put(g, slice_from_cstr(text));
}

static void pad(Buf *out, int blanks)
{
    for (int i = 0; i < blanks; i++) {
        buf_putc(out, ' ');
    }
}

static void put_label(Grid *g, Slice label)
{
    Buf safe = buf_create((size_t)8 * CELL_BYTES_MAX);
    utf8_sanitise(&safe, slice_sub(label, 0, CELL_BYTES_MAX));
    grid_put(g, buf_slice(&safe));
    buf_done(&safe);
}

static void put_cell(Grid *g, const BenchRow *row, size_t column, double smallest, bool binary)
{
    const BenchCell *cell = &row->cells[column], *base = &row->cells[0];
    Buf text = buf_create(CELL_BYTES_MAX);
    if (cell->n > 0) {
        bench_value_format(cell->center, smallest, binary, &text);
    }
    grid_put(g, buf_slice(&text));
    buf_reset(&text);
    if (cell->n > 0) {
        buf_puts(&text, "\xc2\xb1 ");
        put_spread(cell, &text);
    }
    grid_put(g, buf_slice(&text));
    bool compared = column > 0 && cell->n > 0 && base->n > 0;
    if (column > 0) {
        buf_reset(&text);
        if (compared) {
            put_change(cell, base, &text);
        }
        grid_put(g, buf_slice(&text));
        buf_reset(&text);
        if (compared) {
            put_test(cell, base, &text);
        }
        grid_put(g, buf_slice(&text));
    }
    buf_done(&text);
}

static void put_means(Grid *g, const BenchTable *t, size_t columns, bool binary)
{
    grid_puts(g, "geomean");
    for (size_t c = 0; c < columns; c++) {
        Buf text = buf_create(CELL_BYTES_MAX);
        if (!isnan(t->geomean[c])) {
            bench_value_format(t->geomean[c], t->geomean[c], binary, &text);
        }
        grid_put(g, buf_slice(&text));
        grid_puts(g, "");
        if (c > 0) {
            buf_reset(&text);
            if (isnan(t->change[c])) {
                buf_putc(&text, '?');
            } else {
                buf_printf(&text, "%+.2f%%", (t->change[c] - 1) * 100);
            }
            grid_put(g, buf_slice(&text));
            grid_puts(g, "");
        }
        buf_done(&text);
    }
}

static void print_grid(const Grid *g, Buf *out)
{
    const char *cell = g->cells.data;
    for (size_t i = 0; i < g->at; i++) {
        size_t column = i % g->columns;
        Slice text = slice_from_cstr(cell);
        int blanks = g->widths[column] - utf8_width(text);
        // Labels and the test's words to the left, numbers to the right.
        bool left = column == 0 || (column > 2 && column % 4 == 2);
        pad(out, (column > 0 ? 2 : 0) + (left ? 0 : blanks));
        buf_append(out, text);
        pad(out, left ? blanks : 0);
        if (column + 1 == g->columns) {
            while (out->len > 0 && out->data[out->len - 1] == ' ') {
                out->len--;
            }
            buf_putc(out, '\n');
        }
        cell += text.len + 1;
    }
}

static void put_head(Grid *g, const BenchTables *all, const BenchTable *t)
{
    grid_puts(g, "");
    for (size_t c = 0; c < all->columns; c++) {
        Buf name = buf_create(CELL_BYTES_MAX);
        utf8_sanitise(&name, slice_sub(slice_from_cstr(all->names[c]), 0, 400));
        grid_put(g, buf_slice(&name));
        buf_done(&name);
        for (int i = c > 0 ? 3 : 1; i > 0; i--) {
            grid_puts(g, "");
        }
    }
    grid_puts(g, "");
    for (size_t c = 0; c < all->columns; c++) {
        Buf unit = buf_create(CELL_BYTES_MAX);
        utf8_sanitise(&unit, t->unit);
        grid_put(g, buf_slice(&unit));
        buf_done(&unit);
        grid_puts(g, "");
        if (c > 0) {
            grid_puts(g, "vs base");
            grid_puts(g, "");
        }
    }
}

static void print_table(const BenchTables *all, const BenchTable *t, Buf *out)
{
    Grid g = {.cells = buf_create((size_t)64 << 20), .columns = 4 * all->columns - 1};
    bool binary = harness_unit_binary(t->unit);
    put_head(&g, all, t);
    for (size_t i = 0; i < t->count; i++) {
        put_label(&g, t->rows[i].label);
        double smallest = row_smallest(&t->rows[i], all->columns);
        for (size_t c = 0; c < all->columns; c++) {
            put_cell(&g, &t->rows[i], c, smallest, binary);
        }
    }
    if (t->count > 1) {
        put_means(&g, t, all->columns, binary);
    }
    print_grid(&g, out);
    buf_done(&g.cells);
}

// What the reader should know of the figures above, each once.
static void print_notes(const BenchTables *all, Buf *out)
{
    bool few = false, equal = false, undetectable = false;
    for (size_t i = 0; i < all->count; i++) {
        for (size_t k = 0; k < all->items[i].count; k++) {
            for (size_t c = 0; c < all->columns; c++) {
                const BenchCell *cell = &all->items[i].rows[k].cells[c];
                const BenchCell *base = &all->items[i].rows[k].cells[0];
                few |= cell->n > 0 && isinf(cell->interval.low);
                equal |= cell->all_equal;
                undetectable |= c > 0 && cell->n > 0 && base->n > 0 && !cell->significant &&
                                !cell->all_equal && cell->n < 4 && base->n < 4;
            }
        }
    }
    if (few) {
        buf_puts(out, "\xc2\xb1 \xe2\x88\x9e: a confidence interval at 95 % needs 6 samples\n");
    }
    if (undetectable) {
        buf_puts(out, "~: with fewer than 4 samples a side no difference is significant at 5 %\n");
    }
    if (equal) {
        buf_puts(out, "p=1: all samples are equal\n");
    }
}

static void put_config(const char *key, Slice value, Buf *out)
{
    if (value.len > 0) {
        buf_printf(out, "%s: ", key);
        utf8_sanitise(out, value);
        buf_putc(out, '\n');
    }
}

void bench_tables_print(const BenchTables *all, Buf *out)
{
    put_config("goos", all->goos, out);
    put_config("goarch", all->goarch, out);
    put_config("cpu", all->cpu, out);
    Slice package = {0};
    for (size_t i = 0; i < all->count; i++) {
        const BenchTable *t = &all->items[i];
        if (i > 0) {
            buf_putc(out, '\n');
        }
        if (!slice_eq(package, t->package)) {
            put_config("pkg", t->package, out);
            package = t->package;
        }
        print_table(all, t, out);
    }
    print_notes(all, out);
}

// ---- JSON

static void write_cell(const BenchCell *cell, const BenchCell *base, JsonWriter *w)
{
    if (cell->n == 0) {
        json_null(w);
        return;
    }
    json_object_begin(w);
    json_field_int(w, "n", (int64_t)cell->n);
    json_field_double(w, "median", cell->center);
    json_field_double(w, "low", cell->interval.low);
    json_field_double(w, "high", cell->interval.high);
    if (base && base->n > 0) {
        json_field_double(w, "ratio", cell->center / base->center);
        json_field_double(w, "p", cell->p);
        json_field_bool(w, "significant", cell->significant);
    }
    json_object_end(w);
}

static void write_row(const BenchTables *all, const BenchRow *row, JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "name", row->result->name);
    json_field_string(w, "params", row->result->params);
    json_field_string(w, "metric", row->result->metric);
    json_field_int(w, "procs", row->result->procs);
    json_key(w, SLICE("columns"));
    json_array_begin(w);
    for (size_t c = 0; c < all->columns; c++) {
        write_cell(&row->cells[c], c > 0 ? &row->cells[0] : NULL, w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_table(const BenchTables *all, const BenchTable *t, JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "package", t->package);
    json_field_string(w, "unit", t->unit);
    json_field_bool(w, "higher_better", t->higher_better);
    json_key(w, SLICE("rows"));
    json_array_begin(w);
    for (size_t i = 0; i < t->count; i++) {
        write_row(all, &t->rows[i], w);
    }
    json_array_end(w);
    json_key(w, SLICE("geomean"));
    json_array_begin(w);
    for (size_t c = 0; c < all->columns; c++) {
        json_double(w, t->geomean[c]);
    }
    json_array_end(w);
    json_object_end(w);
}

void bench_tables_write(const BenchTables *all, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", 1);
    json_field_double(w, "alpha", all->alpha);
    json_key(w, SLICE("columns"));
    json_array_begin(w);
    for (size_t c = 0; c < all->columns; c++) {
        json_cstr(w, all->names[c]);
    }
    json_array_end(w);
    json_key(w, SLICE("tables"));
    json_array_begin(w);
    for (size_t i = 0; i < all->count; i++) {
        write_table(all, &all->items[i], w);
    }
    json_array_end(w);
    json_object_end(w);
}
