#include "report/text_table.h"

#include "base/utf8.h"

enum { GAP = 2, INDENT = 2 };

TextTable *text_table(Arena *arena, const char *align)
{
    TextTable *t = ARENA_NEW(arena, TextTable);
    for (; align[t->columns] && t->columns < TEXT_COLUMNS_MAX; t->columns++) {
        t->left[t->columns] = align[t->columns] == 'l';
    }
    return t;
}

// `rows` counts cells while a row is being filled: row and column are its quotient and remainder.
void text_cell(TextTable *t, Slice text, ReportTone tone)
{
    if (t->rows < TEXT_ROWS_MAX * t->columns) {
        t->cells[t->rows / t->columns][t->rows % t->columns] = (TextCell){text, tone};
        t->rows++;
    }
}

void text_tone(Buf *out, Slice text, ReportTone tone, bool color)
{
    static const char *const codes[] = {"1", "1;32", "1;33", "1;31"};
    if (!color) {
        buf_append(out, text);
        return;
    }
    buf_printf(out, "\x1b[%sm", codes[tone]);
    buf_append(out, text);
    buf_puts(out, "\x1b[0m");
}

// The longest front of `text` that takes at most `width` columns.
static Slice front(Slice text, int width)
{
    size_t at = 0;
    while (at < text.len) {
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(text, at, 4), &c);
        len = len ? len : 1;
        if (utf8_width(slice_sub(text, 0, at + len)) > width) {
            break;
        }
        at += len;
    }
    return slice_sub(text, 0, at);
}

Slice text_shorten(Arena *arena, Slice text, int width)
{
    if (utf8_width(text) <= width) {
        return text;
    }
    return arena_printf(arena, "%.*s\xE2\x80\xA6", SLICE_FMT(front(text, width - 1)));
}

static void write_cell(Buf *out, const TextCell *cell, int width, bool left, bool color)
{
    bool cut = utf8_width(cell->text) > width;
    Slice text = cut ? front(cell->text, width - 1) : cell->text;
    int pad = width - utf8_width(text) - cut;
    for (int i = 0; !left && i < pad; i++) {
        buf_putc(out, ' ');
    }
    text_tone(out, text, cell->tone, color && cell->tone != TONE_NEUTRAL);
    buf_puts(out, cut ? "\xE2\x80\xA6" : "");
    for (int i = 0; left && i < pad; i++) {
        buf_putc(out, ' ');
    }
}

void text_table_write(const TextTable *t, Buf *out, int width, bool color)
{
    int widths[TEXT_COLUMNS_MAX] = {0};
    size_t rows = t->rows / t->columns;
    int total = INDENT - GAP;
    for (size_t k = 0; k < t->columns; k++) {
        for (size_t i = 0; i < rows; i++) {
            int cell = utf8_width(t->cells[i][k].text);
            widths[k] = cell > widths[k] ? cell : widths[k];
        }
        total += widths[k] + GAP;
    }
    if (total > width) {
        int room = widths[0] - (total - width);
        widths[0] = room > TEXT_FIRST_COLUMN_MIN        ? room
                    : widths[0] < TEXT_FIRST_COLUMN_MIN ? widths[0]
                                                        : TEXT_FIRST_COLUMN_MIN;
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < t->columns; k++) {
            buf_puts(out, "  ");
            write_cell(out, &t->cells[i][k], widths[k], t->left[k], color);
        }
        while (out->len > 0 && out->data[out->len - 1] == ' ') {
            out->len--;
        }
        buf_putc(out, '\n');
    }
}
