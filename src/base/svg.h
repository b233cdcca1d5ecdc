// SVG out of a few primitives: elements, scales with round ticks, paths. The charts themselves are
// in the report room.
//
//     Svg s = svg_begin(&out, 800, 300);
//     svg_open(&s, "g");
//     svg_attr(&s, "class", SLICE("axis"));
//     svg_text(&s, x, y, SLICE("p95"));
//     svg_close(&s);
//     svg_end(&s);
//
// Everything that varies goes through escaping: a URL or a server's header cannot become markup.
// Numbers have two decimals at most and no exponent, so files stay small and the same everywhere.
#ifndef BASE_SVG_H
#define BASE_SVG_H

#include "base/buf.h"

enum { SVG_DEPTH_MAX = 16, SVG_TICKS_MAX = 32 };

typedef struct Svg {
    Buf *out;
    const char *open[SVG_DEPTH_MAX]; // names of the elements that are open
    int depth;
    bool in_tag; // the newest start tag still takes attributes
} Svg;

// <svg viewBox="0 0 width height" ...>; attributes may follow. svg_end closes what is open.
Svg svg_begin(Buf *out, double width, double height);
void svg_end(Svg *s);

// `name` and attribute names are literals of ours and are not escaped.
void svg_open(Svg *s, const char *name);
void svg_close(Svg *s);
void svg_attr(Svg *s, const char *name, Slice value);
void svg_attr_cstr(Svg *s, const char *name, const char *value);
void svg_attr_number(Svg *s, const char *name, double value);
// Character data inside the element that is open.
void svg_content(Svg *s, Slice text);

// Whole elements; `class_name` NULL for none.
void svg_line(Svg *s, double x1, double y1, double x2, double y2, const char *class_name);
void svg_rect(Svg *s, double x, double y, double width, double height, const char *class_name);
void svg_text(Svg *s, double x, double y, const char *class_name, Slice text);
void svg_path(Svg *s, const Buf *data, const char *class_name);
// <title> of the open element: the tool tip, and what a screen reader says.
void svg_title(Svg *s, Slice text);

// The `d` of a path. A point that is not finite makes a gap: the next one starts anew.
void svg_path_point(Buf *data, double x, double y, bool *pen_down);
// Two decimals at most, within +-10^7; 0 for what is not finite.
void svg_number(Buf *out, double value);

// Text for XML and HTML, element or attribute: & < > " ' escaped, control characters and invalid
// UTF-8, which XML cannot hold, as U+FFFD.
void xml_escape(Buf *out, Slice text);

typedef struct Scale {
    bool log;
    double min, max; // of the data; min < max, and 0 < min where `log`
    double from, to; // of the picture; from > to turns the axis round
} Scale;

// Any bounds are taken: equal or reversed ones are widened, and a logarithmic scale that would
// reach zero or less starts 1e-6 below its maximum.
Scale scale_linear(double min, double max, double from, double to);
Scale scale_log(double min, double max, double from, double to);
// Position of `value` in the picture; outside values land outside. NaN for zero and less on a
// logarithmic scale.
double scale_at(const Scale *s, double value);
// Ticks at 1, 2 or 5 times a power of ten, about `wanted` of them, inside the scale; on logarithmic
// scales of a decade and more powers of ten, with 2 and 5 between where there is room. Returns how
// many, at most SVG_TICKS_MAX.
size_t scale_ticks(const Scale *s, int wanted, double ticks[SVG_TICKS_MAX]);
// As scale_ticks for seconds: steps of 1, 2, 5, 10, 15, 30 s, minutes and hours alike.
size_t scale_time_ticks(const Scale *s, int wanted, double ticks[SVG_TICKS_MAX]);

// "#rrggbb" for a share 0..1 of the viridis colour map (van der Walt and Smith, 2015), which stays
// readable without colour vision and in grey. From five anchors, linear between.
void svg_color(double share, char out[8]);

#endif
