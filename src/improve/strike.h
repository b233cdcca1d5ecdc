// What an engine wrote, made fit to stand in a pull request: its figures struck out, its power to
// ping people, close issues or load pictures taken away.
//
// An engine's text is data that an engine wrote about itself. It may explain; it may not count. So
// every number with a unit of speed, time, size or share, in digits or in words, comes out as
// `~~12x~~ [not measured by perfwright]`. Numbers that name things (a line, a version, O(n^2),
// utf8) stay. Where it is not clear the figure is struck: a wrong strike costs a reader a moment,
// a wrong figure costs him his trust.
//
//     Buf out = buf_create(PR_BODY_MAX);
//     size_t struck = strike_figures(result.final_text, &out);
#ifndef IMPROVE_STRIKE_H
#define IMPROVE_STRIKE_H

#include "base/buf.h"

#define STRIKE_MARK " [not measured by perfwright]"

// Appends `text` to `out` and returns how many figures were struck. Bytes that are no UTF-8 and
// control characters become U+FFFD; `@name`, `#12`, `<`, `![` and `~~` lose their meaning.
size_t strike_figures(Slice text, Buf *out);

#endif
