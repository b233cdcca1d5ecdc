#include "base/svg.h"

#include <assert.h>
#include <math.h>

#include "base/utf8.h"

void xml_escape(Buf *out, Slice text)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(text, at, 4), &c);
        bool allowed = len > 0 && c != 0x7F && c != 0xFFFE && c != 0xFFFF &&
                       (c >= 0x20 || c == '\t' || c == '\n' || c == '\r');
        switch (allowed ? c : 0) {
        case 0: buf_puts(out, "\xEF\xBF\xBD"); break;
        case '&': buf_puts(out, "&amp;"); break;
        case '<': buf_puts(out, "&lt;"); break;
        case '>': buf_puts(out, "&gt;"); break;
        case '"': buf_puts(out, "&quot;"); break;
        case '\'': buf_puts(out, "&#39;"); break;
        default: buf_append(out, slice_sub(text, at, len));
        }
        at += len ? len : 1;
    }
}

void svg_number(Buf *out, double value)
{
    static const double largest = 1e7;
    if (!isfinite(value)) {
        value = 0;
    }
    value = fmin(fmax(value, -largest), largest);
    char text[32];
    int len = snprintf(text, sizeof text, "%.2f", value);
    while (text[len - 1] == '0') {
        len--;
    }
    len -= text[len - 1] == '.';
    Slice digits = {text, (size_t)len};
    buf_append(out, slice_eq_cstr(digits, "-0") ? SLICE("0") : digits);
}

static void end_tag(Svg *s)
{
    if (s->in_tag) {
        buf_putc(s->out, '>');
        s->in_tag = false;
    }
}

void svg_open(Svg *s, const char *name)
{
    assert(s->depth < SVG_DEPTH_MAX);
    end_tag(s);
    buf_printf(s->out, "<%s", name);
    s->open[s->depth++] = name;
    s->in_tag = true;
}

void svg_close(Svg *s)
{
    assert(s->depth > 0);
    const char *name = s->open[--s->depth];
    if (s->in_tag) {
        buf_puts(s->out, "/>");
        s->in_tag = false;
    } else {
        buf_printf(s->out, "</%s>", name);
    }
    buf_puts(s->out, s->depth <= 1 ? "\n" : "");
}

void svg_attr(Svg *s, const char *name, Slice value)
{
    assert(s->in_tag);
    buf_printf(s->out, " %s=\"", name);
    xml_escape(s->out, value);
    buf_putc(s->out, '"');
}

void svg_attr_cstr(Svg *s, const char *name, const char *value)
{
    svg_attr(s, name, slice_from_cstr(value));
}

void svg_attr_number(Svg *s, const char *name, double value)
{
    assert(s->in_tag);
    buf_printf(s->out, " %s=\"", name);
    svg_number(s->out, value);
    buf_putc(s->out, '"');
}

void svg_content(Svg *s, Slice text)
{
    end_tag(s);
    xml_escape(s->out, text);
}

static void attr_class(Svg *s, const char *class_name)
{
    if (class_name) {
        svg_attr_cstr(s, "class", class_name);
    }
}

Svg svg_begin(Buf *out, double width, double height)
{
    Svg s = {.out = out};
    svg_open(&s, "svg");
    svg_attr_cstr(&s, "xmlns", "http://www.w3.org/2000/svg");
    buf_puts(out, " viewBox=\"0 0 ");
    svg_number(out, width);
    buf_putc(out, ' ');
    svg_number(out, height);
    buf_putc(out, '"');
    return s;
}

void svg_end(Svg *s)
{
    while (s->depth > 0) {
        svg_close(s);
    }
}

void svg_line(Svg *s, double x1, double y1, double x2, double y2, const char *class_name)
{
    svg_open(s, "line");
    attr_class(s, class_name);
    svg_attr_number(s, "x1", x1);
    svg_attr_number(s, "y1", y1);
    svg_attr_number(s, "x2", x2);
    svg_attr_number(s, "y2", y2);
    svg_close(s);
}

void svg_rect(Svg *s, double x, double y, double width, double height, const char *class_name)
{
    svg_open(s, "rect");
    attr_class(s, class_name);
    svg_attr_number(s, "x", x);
    svg_attr_number(s, "y", y);
    svg_attr_number(s, "width", width);
    svg_attr_number(s, "height", height);
    svg_close(s);
}

void svg_text(Svg *s, double x, double y, const char *class_name, Slice text)
{
    svg_open(s, "text");
    attr_class(s, class_name);
    svg_attr_number(s, "x", x);
    svg_attr_number(s, "y", y);
    svg_content(s, text);
    svg_close(s);
}

void svg_path(Svg *s, const Buf *data, const char *class_name)
{
    svg_open(s, "path");
    attr_class(s, class_name);
    svg_attr(s, "d", buf_slice(data));
    svg_close(s);
}

void svg_title(Svg *s, Slice text)
{
    svg_open(s, "title");
    svg_content(s, text);
    svg_close(s);
}

void svg_path_point(Buf *data, double x, double y, bool *pen_down)
{
    if (!isfinite(x) || !isfinite(y)) {
        *pen_down = false;
        return;
    }
    buf_putc(data, *pen_down ? 'L' : 'M');
    svg_number(data, x);
    buf_putc(data, ' ');
    svg_number(data, y);
    *pen_down = true;
}

// Below this doubles lose digits, and arithmetic on bounds its meaning.
static const double SMALLEST = 1e-290;

static void order_bounds(double *min, double *max)
{
    if (!isfinite(*min) || !isfinite(*max)) {
        *min = 0;
        *max = 1;
    }
    if (*min > *max) {
        double spare = *min;
        *min = *max;
        *max = spare;
    }
}

Scale scale_linear(double min, double max, double from, double to)
{
    order_bounds(&min, &max);
    if (min == max) {
        double room = fabs(min) < SMALLEST ? 1 : fabs(min) / 2;
        min -= room;
        max += room;
    }
    return (Scale){.min = min, .max = max, .from = from, .to = to};
}

Scale scale_log(double min, double max, double from, double to)
{
    order_bounds(&min, &max);
    max = max > SMALLEST ? max : 1;
    min = min > SMALLEST ? min : max * 1e-6;
    if (min == max) {
        min /= 2;
        max *= 2;
    }
    return (Scale){.log = true, .min = min, .max = max, .from = from, .to = to};
}

double scale_at(const Scale *s, double value)
{
    if (s->log && !(value > 0)) {
        return (double)NAN;
    }
    double share = s->log ? (log(value) - log(s->min)) / (log(s->max) - log(s->min))
                          : (value - s->min) / (s->max - s->min);
    return s->from + share * (s->to - s->from);
}

// The step of 1, 2 or 5 times a power of ten that is at least `raw`.
static double round_step(double raw)
{
    double power = pow(10, floor(log10(raw)));
    static const double factors[] = {1, 2, 5};
    for (size_t i = 0; i < COUNT_OF(factors); i++) {
        // The margin lets a step that is round already stay as it is.
        if (factors[i] * power >= raw * (1 - 1e-9)) {
            return factors[i] * power;
        }
    }
    return 10 * power;
}

// Multiples of `step`, each computed from its index: adding up would drift.
static size_t multiples(const Scale *s, double step, double ticks[SVG_TICKS_MAX])
{
    double first = ceil(s->min / step - 1e-9), last = floor(s->max / step + 1e-9);
    size_t count = 0;
    for (double i = first; i <= last && count < SVG_TICKS_MAX; i++) {
        ticks[count++] = i * step == 0 ? 0 : i * step; // no minus zero
    }
    return count;
}

// Powers of ten from `min` to `max` times each of the factors.
static size_t log_ticks(const Scale *s, size_t factors_used, int every, double *ticks)
{
    static const double factors[] = {1, 2, 5};
    size_t count = 0;
    int first = (int)floor(log10(s->min)), last = (int)ceil(log10(s->max));
    for (int exponent = first; exponent <= last; exponent++) {
        for (size_t k = 0; k < factors_used; k++) {
            double tick = factors[k] * pow(10, exponent);
            bool inside = tick >= s->min * (1 - 1e-9) && tick <= s->max * (1 + 1e-9);
            if (inside && exponent % every == 0 && count < SVG_TICKS_MAX) {
                ticks[count++] = tick;
            }
        }
    }
    return count;
}

size_t scale_ticks(const Scale *s, int wanted, double ticks[SVG_TICKS_MAX])
{
    wanted = wanted < 2 ? 2 : wanted > SVG_TICKS_MAX / 2 ? SVG_TICKS_MAX / 2 : wanted;
    double decades = s->log ? log10(s->max) - log10(s->min) : 0;
    if (decades < 1) {
        return multiples(s, round_step((s->max - s->min) / wanted), ticks);
    }
    int every = (int)ceil(decades / wanted);
    return log_ticks(s, decades * 3 <= wanted * 1.5 ? 3 : 1, every, ticks);
}

size_t scale_time_ticks(const Scale *s, int wanted, double ticks[SVG_TICKS_MAX])
{
    static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    wanted = wanted < 2 ? 2 : wanted > SVG_TICKS_MAX / 2 ? SVG_TICKS_MAX / 2 : wanted;
    double raw = (s->max - s->min) / wanted;
    if (raw < steps[0]) {
        return scale_ticks(s, wanted, ticks);
    }
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        if (steps[i] >= raw) {
            return multiples(s, steps[i], ticks);
        }
    }
    return multiples(s, 86400 * round_step(raw / 86400), ticks);
}

void svg_color(double share, char out[8])
{
    static const unsigned char anchors[][3] = {
        {0x44, 0x01, 0x54}, {0x3b, 0x52, 0x8b}, {0x21, 0x91, 0x8c},
        {0x5e, 0xc9, 0x62}, {0xfd, 0xe7, 0x25},
    };
    enum { LAST = COUNT_OF(anchors) - 1 };
    share = share > 0 ? fmin(share, 1) : 0; // NaN is 0
    int below = (int)(share * LAST);
    below = below == LAST ? LAST - 1 : below;
    double weight = share * LAST - below;
    int rgb[3];
    for (int i = 0; i < 3; i++) {
        rgb[i] = (int)lround(anchors[below][i] * (1 - weight) + anchors[below + 1][i] * weight);
    }
    (void)snprintf(out, 8, "#%02x%02x%02x", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
}
