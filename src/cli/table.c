#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

enum { CELL_BYTES_MAX = 4096, GAP = 2 };

struct TableCell {
    TableCell *next;
    Slice text;
    int width;
};

Table table_create(Arena *arena, size_t columns)
{
    assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    return (Table){.arena = arena, .columns = columns};
}

void table_right(Table *t, size_t column)
{
    assert(column < t->columns);
    t->right[column] = true;
}

void table_put(Table *t, Slice cell)
{
    Buf safe = buf_create(CELL_BYTES_MAX * 8);
    utf8_sanitise(&safe, slice_sub(cell, 0, CELL_BYTES_MAX));
    TableCell *made = ARENA_NEW(t->arena, TableCell);
    made->text = arena_copy(t->arena, buf_slice(&safe));
    made->width = utf8_width(made->text);
    buf_done(&safe);

    int *widest = &t->widths[t->count % t->columns];
    *widest = made->width > *widest ? made->width : *widest;
    if (t->last) {
        t->last->next = made;
    } else {
        t->first = made;
    }
    t->last = made;
    t->count++;
}

void table_putf(Table *t, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    table_put(t, slice_from_cstr(text));
}

void table_print(const Table *t, int indent, Buf *out)
{
    assert(t->count % t->columns == 0);
    size_t column = 0;
    for (const TableCell *cell = t->first; cell; cell = cell->next) {
        bool last = column + 1 == t->columns;
        int pad = t->widths[column] - cell->width;
        buf_printf(out, "%*s", column == 0 ? indent : GAP, "");
        if (t->right[column]) {
            buf_printf(out, "%*s%.*s", pad, "", SLICE_FMT(cell->text));
        } else {
            buf_printf(out, "%.*s%*s", SLICE_FMT(cell->text), last ? 0 : pad, "");
        }
        if (last) {
            buf_putc(out, '\n');
        }
        column = last ? 0 : column + 1;
    }
}
