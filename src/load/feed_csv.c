// CSV in two passes over one copy of the text: the first counts rows, the second cuts fields and
// undoes their quotes in place, so a feed costs its text and sixteen bytes a field.
#include "load/feed.h"

typedef struct Csv {
    const char *source;
    char *at, *end;
    int line;         // of `at`
    char *line_start; // for columns
    Err *e;
} Csv;

static int csv_fail(const Csv *c, int line, const char *at, const char *what)
{
    int column = line == c->line ? (int)(at - c->line_start) + 1 : 1;
    return err_set(c->e, ERR_PARSE, "%s:%d:%d: %s", c->source, line, column, what);
}

static void new_line(Csv *c)
{
    c->line++;
    c->line_start = c->at;
}

// Behind the opening quote; what is inside moves left over the doubled quotes.
static int quoted_field(Csv *c, Slice *ret)
{
    int opened = c->line;
    char *start = c->at, *to = c->at;
    for (;;) {
        if (c->at == c->end) {
            return csv_fail(c, opened, c->at, "a quote that is never closed");
        }
        char byte = *c->at++;
        if (byte == '"') {
            if (c->at == c->end || *c->at != '"') {
                break;
            }
            c->at++;
        }
        *to++ = byte;
        if (byte == '\n') {
            new_line(c);
        }
    }
    if (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r') {
        return csv_fail(c, c->line, c->at,
                        "text behind a closing quote; double the quote to mean the character");
    }
    *ret = (Slice){start, (size_t)(to - start)};
    return 0;
}

static int plain_field(Csv *c, Slice *ret)
{
    char *start = c->at;
    while (c->at < c->end && *c->at != ',' && *c->at != '\n') {
        if (*c->at == '"') {
            return csv_fail(c, c->line, c->at,
                            "a quote inside a field; put the whole field into quotes");
        }
        c->at++;
    }
    size_t len = (size_t)(c->at - start);
    bool crlf = (c->at == c->end || *c->at == '\n') && len > 0 && start[len - 1] == '\r';
    *ret = (Slice){start, len - crlf};
    return 0;
}

// One field and what parts it from the next; *ret_last when it ends its row.
static int next_field(Csv *c, Slice *ret, bool *ret_last)
{
    int rc = 0;
    if (c->at < c->end && *c->at == '"') {
        c->at++;
        rc = quoted_field(c, ret);
        c->at += rc == 0 && c->end - c->at > 1 && c->at[0] == '\r' && c->at[1] == '\n';
        c->at += rc == 0 && c->end - c->at == 1 && c->at[0] == '\r';
        if (rc == 0 && c->at < c->end && *c->at == '\r') {
            rc = csv_fail(c, c->line, c->at, "a carriage return without a line feed");
        }
    } else {
        rc = plain_field(c, ret);
    }
    if (rc != 0) {
        return rc;
    }
    *ret_last = c->at == c->end || *c->at == '\n';
    if (c->at < c->end) {
        c->at++;
        if (*ret_last) {
            new_line(c);
        }
    }
    return 0;
}

static bool skip_blank_lines(Csv *c)
{
    while (c->at < c->end &&
           (*c->at == '\n' || (*c->at == '\r' && c->end - c->at > 1 && c->at[1] == '\n'))) {
        c->at += *c->at == '\r' ? 2 : 1;
        new_line(c);
    }
    return c->at < c->end;
}

static int read_header(Arena *arena, Csv *c, PlanFeed *feed)
{
    Slice columns[FEED_COLUMNS_MAX];
    size_t count = 0;
    if (!skip_blank_lines(c)) {
        return csv_fail(c, c->line, c->at, "the file is empty; its first line names the columns");
    }
    for (bool last = false; !last;) {
        char *at = c->at;
        int line = c->line;
        Slice name = {0};
        int rc = next_field(c, &name, &last);
        if (rc != 0) {
            return rc;
        }
        name = slice_trim(name);
        if (count == FEED_COLUMNS_MAX) {
            return err_set(c->e, ERR_LIMIT, "%s:%d: more than %d columns", c->source, line,
                           FEED_COLUMNS_MAX);
        }
        if (name.len == 0) {
            return csv_fail(c, line, at, "a column without a name");
        }
        for (size_t i = 0; i < count; i++) {
            if (slice_eq(columns[i], name)) {
                return err_set(c->e, ERR_PARSE, "%s:%d: the column \"%.*s\" is there twice",
                               c->source, line, SLICE_FMT(name));
            }
        }
        columns[count++] = name;
    }
    Slice *copy = ARENA_ARRAY(arena, Slice, count);
    memcpy(copy, columns, count * sizeof *copy);
    feed->columns = copy;
    feed->column_count = count;
    return 0;
}

// As many rows as the text can have: line ends inside quotes make it too many, never too few.
static size_t rows_at_most(const Csv *c)
{
    size_t rows = 1;
    for (const char *p = c->at; p < c->end; p++) {
        rows += *p == '\n';
    }
    return rows;
}

static int read_row(Csv *c, const PlanFeed *feed, Slice *cells)
{
    int line = c->line;
    size_t count = 0;
    for (bool last = false; !last;) {
        Slice cell = {0};
        int rc = next_field(c, &cell, &last);
        if (rc != 0) {
            return rc;
        }
        if (count < feed->column_count) {
            cells[count] = cell;
        }
        count++;
    }
    if (count != feed->column_count) {
        return err_set(c->e, ERR_PARSE, "%s:%d:1: %zu field%s, but the header has %zu", c->source,
                       line, count, count == 1 ? "" : "s", feed->column_count);
    }
    return 0;
}

int feed_read_csv(Arena *arena, Slice text, const char *source, PlanFeed *feed, Err *e)
{
    if (slice_starts_with(text, SLICE("\xEF\xBB\xBF"))) {
        text = slice_sub(text, 3, text.len);
    }
    // The text, a header and some slack for alignment.
    size_t fixed = text.len + FEED_COLUMNS_MAX * sizeof(Slice) + 1024;
    if (text.len > FEED_BYTES_MAX || fixed > arena_left(arena)) {
        return err_set(e, ERR_LIMIT, "%s: more than %d MiB", source, FEED_BYTES_MAX >> 20);
    }
    char *copy = arena_alloc(arena, text.len + 1);
    memcpy(copy, text.len ? text.ptr : "", text.len);
    Csv c = {source, copy, copy + text.len, 1, copy, e};
    int rc = read_header(arena, &c, feed);
    if (rc != 0) {
        return rc;
    }
    size_t rows = rows_at_most(&c), row_bytes = feed->column_count * sizeof(Slice);
    if (rows > FEED_ROWS_MAX || rows * row_bytes + 1024 > arena_left(arena)) {
        return err_set(e, ERR_LIMIT, "%s: %zu rows of %zu columns are too many", source, rows,
                       feed->column_count);
    }
    Slice *cells = ARENA_ARRAY(arena, Slice, rows * feed->column_count);
    for (feed->row_count = 0; rc == 0 && skip_blank_lines(&c); feed->row_count += rc == 0) {
        rc = read_row(&c, feed, cells + feed->row_count * feed->column_count);
    }
    if (rc == 0 && feed->row_count == 0) {
        rc = err_set(e, ERR_PARSE, "%s: no rows behind the header", source);
    }
    feed->cells = cells;
    return rc;
}
