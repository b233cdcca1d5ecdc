// Feeds: rows of test data from a CSV or JSON file, and which row an iteration takes.
//
// CSV follows RFC 4180: fields parted by commas, quoted with "..." where they hold commas, quotes
// (doubled) or line ends; lines end with CRLF or LF; the first line names the columns. A byte order
// mark and blank lines are skipped. A row with more or fewer fields than the header is an error.
// JSON is an array of objects; the first one names the columns, each must have the same. Values are
// scalars, taken as written; null is the empty text.
//
// The row is a function of the numbers that name an iteration and of nothing else, so equal seeds
// give equal data whatever threads and VUs do, and nothing is shared or locked:
//   sequential  row n of the file
//   random      any row, drawn for n (with replacement)
//   shuffle     every row once before any comes again, in another order each time round
// where n counts iterations of the scenario (scope test) or of the VU (scope vu, where each VU has
// its own order). Rows past the last wrap around, or end the scenario. `random` never ends.
#ifndef LOAD_FEED_H
#define LOAD_FEED_H

#include "base/arena.h"
#include "base/err.h"
#include "load/plan.h"

enum {
    FEED_BYTES_MAX = 64 << 20,
    FEED_COLUMNS_MAX = 256,
    FEED_ROWS_MAX = 4000000,
};

// Fills columns and rows of `feed`, whose name is set, in the arena. ERR_PARSE with
// "source:line:column: ", ERR_LIMIT past the limits above or past what the arena may hold. `text`
// may be freed after.
MUST_USE int feed_read_csv(Arena *arena, Slice text, const char *source, PlanFeed *feed, Err *e);
MUST_USE int feed_read_json(Arena *arena, Slice text, const char *source, PlanFeed *feed, Err *e);
// Reads `path`, as JSON when it ends in .json. ERR_NOT_FOUND, ERR_IO besides.
MUST_USE int feed_load(Arena *arena, const char *path, PlanFeed *feed, Err *e);

// The first cell of the row, or NULL behind the last row of a feed with FEED_STOP. `vu` from 1,
// the iterations from 0. O(1).
const Slice *feed_row(const PlanFeed *feed, uint64_t seed, int64_t vu, int64_t iteration,
                      int64_t iteration_in_test);

#endif
