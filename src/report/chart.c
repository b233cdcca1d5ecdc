#include "report/chart.h"

#include <assert.h>
#include <math.h>

#include "report/words.h"

enum { LABEL_HEIGHT = 13, TICKS = 5 };

Slice chart_tick(Arena *arena, ChartUnit unit, double value)
{
    switch (unit) {
    case CHART_MS:
        if (value >= 1000) {
            return arena_printf(arena, "%.6g s", value / 1000);
        }
        return value > 0 && value < 1 ? arena_printf(arena, "%.6g \xC2\xB5s", value * 1000)
                                      : arena_printf(arena, "%.6g ms", value);
    case CHART_RATE:
        return value >= 1000 ? words_count(arena, value) : arena_printf(arena, "%.6g", value);
    case CHART_SHARE: return arena_printf(arena, "%.6g %%", value * 100);
    case CHART_COUNT: return words_count(arena, value);
    }
    return (Slice){0};
}

Chart chart_begin(Buf *out, Arena *arena, const char *title, Slice finding)
{
    buf_printf(out, "<figure class=\"chart\"><h3>%s</h3><p class=\"finding\">", title);
    xml_escape(out, finding);
    buf_puts(out, "</p>\n");
    Chart c = {.out = out,
               .arena = arena,
               .left = 58,
               .right = CHART_WIDTH - 66,
               .top = 10,
               .bottom = CHART_HEIGHT - 26};
    c.svg = svg_begin(out, CHART_WIDTH, CHART_HEIGHT);
    svg_attr_cstr(&c.svg, "role", "img");
    svg_attr(&c.svg, "aria-label", arena_printf(arena, "%s: %.*s", title, SLICE_FMT(finding)));
    return c;
}

void chart_x_time(Chart *c, double from_s, double to_s)
{
    c->x = scale_linear(from_s, to_s, c->left, c->right);
    double ticks[SVG_TICKS_MAX];
    size_t count = scale_time_ticks(&c->x, 8, ticks);
    for (size_t i = 0; i < count; i++) {
        double x = scale_at(&c->x, ticks[i]);
        svg_line(&c->svg, x, c->bottom, x, c->bottom + 4, "axis");
        svg_text(&c->svg, x, c->bottom + 17, "tick mid", words_second(c->arena, ticks[i]));
    }
    svg_line(&c->svg, c->left, c->bottom, c->right, c->bottom, "axis");
}

void chart_y(Chart *c, double min, double max, bool log, ChartUnit unit)
{
    c->unit = unit;
    c->y = log ? scale_log(min, max, c->bottom, c->top) : scale_linear(min, max, c->bottom, c->top);
    double ticks[SVG_TICKS_MAX];
    size_t count = scale_ticks(&c->y, TICKS, ticks);
    for (size_t i = 0; i < count; i++) {
        double y = scale_at(&c->y, ticks[i]);
        svg_line(&c->svg, c->left, y, c->right, y, "grid");
        svg_text(&c->svg, c->left - 7, y + 4, "tick end", chart_tick(c->arena, unit, ticks[i]));
    }
}

static void add_label(Chart *c, const ChartLine *line, double y)
{
    assert(c->label_count < CHART_LINES_MAX);
    // Sorted as they come in, so that pushing them apart is one pass.
    int at = c->label_count++;
    for (; at > 0 && c->labels[at - 1].y > y; at--) {
        c->labels[at] = c->labels[at - 1];
    }
    c->labels[at] = (ChartLabel){line->name, line->tone, y};
}

static void line_path(const Chart *c, const ChartLine *line, Buf *path)
{
    bool pen = false;
    double last_y = (double)NAN;
    for (size_t i = 0; i < line->count; i++) {
        double x = scale_at(&c->x, line->x[i]), y = scale_at(&c->y, line->y[i]);
        if (line->stepped && pen && isfinite(last_y) && isfinite(y)) {
            if (y == last_y) {
                continue; // a level stretch needs its ends only
            }
            svg_path_point(path, x, last_y, &pen);
        }
        svg_path_point(path, x, y, &pen);
        last_y = y;
    }
    if (line->stepped && pen && isfinite(last_y)) {
        svg_path_point(path, c->right, last_y, &pen);
    }
}

// The same path down to the axis and back, one piece for each stretch without a gap.
static void fill_path(const Chart *c, const ChartLine *line, Buf *path)
{
    bool open = false;
    double last_x = 0, last_y = 0;
    for (size_t i = 0; i <= line->count; i++) {
        bool end = i == line->count;
        double x = end ? 0 : scale_at(&c->x, line->x[i]);
        double y = end ? (double)NAN : scale_at(&c->y, line->y[i]);
        bool pen = open;
        if (isfinite(y)) {
            if (!open) {
                svg_path_point(path, x, c->bottom, &pen);
            } else if (line->stepped) {
                svg_path_point(path, x, last_y, &pen);
            }
            svg_path_point(path, x, y, &pen);
        } else if (open) {
            last_x = line->stepped ? (end ? c->right : x) : last_x;
            svg_path_point(path, last_x, last_y, &pen);
            svg_path_point(path, last_x, c->bottom, &pen);
            buf_putc(path, 'Z');
        }
        open = isfinite(y);
        last_x = x;
        last_y = y;
    }
}

void chart_line(Chart *c, const ChartLine *line)
{
    char class_name[32];
    Buf path = buf_create(1 << 20);
    if (line->filled) {
        fill_path(c, line, &path);
        (void)snprintf(class_name, sizeof class_name, "fill f%d", line->tone);
        svg_path(&c->svg, &path, class_name);
        buf_reset(&path);
    }
    line_path(c, line, &path);
    (void)snprintf(class_name, sizeof class_name, "line l%d", line->tone);
    svg_path(&c->svg, &path, class_name);
    buf_done(&path);
    for (size_t i = line->count; i > 0; i--) {
        double y = scale_at(&c->y, line->y[i - 1]);
        if (isfinite(y)) {
            add_label(c, line, y);
            return;
        }
    }
}

void chart_tip(Chart *c, size_t index, size_t count, Slice text)
{
    double width = (c->right - c->left) / (double)count;
    svg_open(&c->svg, "rect");
    svg_attr_cstr(&c->svg, "class", "tip");
    svg_attr_number(&c->svg, "x", c->left + (double)index * width);
    svg_attr_number(&c->svg, "y", c->top);
    svg_attr_number(&c->svg, "width", width);
    svg_attr_number(&c->svg, "height", c->bottom - c->top);
    svg_title(&c->svg, text);
    svg_close(&c->svg);
}

void chart_end(Chart *c)
{
    // Pushed apart downwards, then back up where the last one would leave the picture.
    for (int i = 1; i < c->label_count; i++) {
        c->labels[i].y = fmax(c->labels[i].y, c->labels[i - 1].y + LABEL_HEIGHT);
    }
    double limit = c->bottom;
    for (int i = c->label_count - 1; i >= 0; i--) {
        c->labels[i].y = fmin(c->labels[i].y, limit);
        limit = c->labels[i].y - LABEL_HEIGHT;
    }
    for (int i = 0; i < c->label_count; i++) {
        char class_name[32];
        (void)snprintf(class_name, sizeof class_name, "label t%d", c->labels[i].tone);
        svg_text(&c->svg, c->right + 6, c->labels[i].y + 4, class_name, c->labels[i].name);
    }
    svg_end(&c->svg);
}

void chart_table_begin(Buf *out, const char *const *head, size_t count)
{
    buf_puts(out, "<details><summary>Show as table</summary><div class=\"scroll\"><table><thead>"
                  "<tr>");
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        xml_escape(out, slice_from_cstr(head[i]));
        buf_puts(out, "</th>");
    }
    buf_puts(out, "</tr></thead><tbody>\n");
}

void chart_table_end(Buf *out, size_t stride)
{
    buf_puts(out, "</tbody></table></div>");
    if (stride > 1) {
        buf_printf(out,
                   "<p class=\"note\">One step in %zu is in the table; the JSON report has "
                   "all.</p>",
                   stride);
    }
    buf_puts(out, "</details>\n");
}

void chart_close(Buf *out)
{
    buf_puts(out, "</figure>\n");
}
