// Columns of text for a terminal: cells are made safe to print, widths are those of what was put.
//
//     Table t = table_create(app->arena, 3);
//     table_right(&t, 2);
//     table_put(&t, SLICE("ID")); ...            // row by row, cell by cell
//     table_print(&t, &app->out);
//
// The last column is not padded. Cells are copied.
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

typedef struct TableCell TableCell;

typedef struct Table {
    Arena *arena;
    size_t columns;
    bool right[TABLE_COLUMNS_MAX];
    int widths[TABLE_COLUMNS_MAX];
    TableCell *first, *last;
    size_t count; // of cells
} Table;

Table table_create(Arena *arena, size_t columns);
void table_right(Table *t, size_t column); // numbers
void table_put(Table *t, Slice cell);
void table_putf(Table *t, const char *format, ...) PRINTF_LIKE(2, 3);
// Asserts that the last row is complete. `indent` blanks stand before every line.
void table_print(const Table *t, int indent, Buf *out);

#endif
