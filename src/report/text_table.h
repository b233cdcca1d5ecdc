// Columns of text for a terminal: widths by what the characters take, the first column shortened
// until the table fits.
#ifndef REPORT_TEXT_TABLE_H
#define REPORT_TEXT_TABLE_H

#include "report/model.h"

enum { TEXT_COLUMNS_MAX = 12, TEXT_ROWS_MAX = 64, TEXT_FIRST_COLUMN_MIN = 12 };

typedef struct TextCell {
    Slice text; // free of control characters
    ReportTone tone;
} TextCell;

typedef struct TextTable {
    TextCell cells[TEXT_ROWS_MAX][TEXT_COLUMNS_MAX];
    size_t columns, rows;
    bool left[TEXT_COLUMNS_MAX]; // else aligned to the right
} TextTable;

// `align`: a letter a column, 'l' or 'r'.
TextTable *text_table(Arena *arena, const char *align);
// Appends a cell; the row ends with its last column. Rows past TEXT_ROWS_MAX are ignored.
void text_cell(TextTable *t, Slice text, ReportTone tone);
void text_table_write(const TextTable *t, Buf *out, int width, bool color);

// `text` in the colour of its tone, where `color`.
void text_tone(Buf *out, Slice text, ReportTone tone, bool color);
// At most `width` columns; a shortened text ends in an ellipsis.
Slice text_shorten(Arena *arena, Slice text, int width);

#endif
