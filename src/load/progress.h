// Live progress of a run: one line that is redrawn on a terminal, a plain line every few seconds
// elsewhere. Where the bytes go is the caller's business.
//
//     Progress p = progress_create(&(ProgressOptions){.tty = true, .color = true, .width = 80,
//                                                     .write = to_stderr});
//     progress_update(&p, status);      // each second, from EngineHooks.on_interval
//     progress_end(&p);                 // takes the line away
#ifndef LOAD_PROGRESS_H
#define LOAD_PROGRESS_H

#include "base/buf.h"
#include "load/engine.h"

// Without a terminal a line this often.
#define PROGRESS_PLAIN_NS (5 * INT64_C(1000000000))

enum { PROGRESS_WIDTH_MIN = 20, PROGRESS_LINE_MAX = 1024 };

typedef struct ProgressOptions {
    bool tty;   // redraw in place
    bool color; // no NO_COLOR in the environment, and a terminal
    int width;  // of the terminal; 0: 80
    void (*write)(void *ctx, Slice bytes);
    void *ctx;
} ProgressOptions;

typedef struct Progress {
    ProgressOptions options;
    int64_t next_plain_ns;
    bool drawn;
    Buf line;
} Progress;

Progress progress_create(const ProgressOptions *options);
void progress_update(Progress *p, const EngineStatus *status);
void progress_end(Progress *p); // frees too

// The line itself, without line end or control codes but those of colour; at most `width`
// characters wide (what does not fit is left out, least important last). `width` 0: no limit.
void progress_line(const EngineStatus *status, int width, bool color, Buf *out);

#endif
