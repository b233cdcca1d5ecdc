// What the readers of harness results add to: samples by benchmark, in order of first appearance.
#ifndef BENCH_HARNESS_BUILD_H
#define BENCH_HARNESS_BUILD_H

#include "base/map.h"
#include "bench/harness.h"
#include "bench/harness_unit.h"

typedef struct HarnessRow {
    uint32_t result;
    double value;
} HarnessRow;

typedef struct HarnessBuild {
    Arena *arena;   // what is kept
    Arena *scratch; // what a reader makes for one item; harness_scratch clears it
    const HarnessOptions *options;
    Buf key;              // of the result that is looked for
    HarnessResult *items; // on the heap until harness_build_give
    size_t count, capacity;
    HarnessRow *rows;
    size_t row_count, row_capacity;
    Map index; // key of a result -> its place + 1
    HarnessFailure *failures;
    size_t failure_count;
    Slice goos, goarch, cpu;
    bool overflowed; // a ceiling was reached; said at the end
} HarnessBuild;

HarnessBuild harness_build_create(Arena *arena, const HarnessOptions *options);
void harness_build_done(HarnessBuild *b);
// At the start of an item or line: what was made for the one before may go. Returns the arena.
Arena *harness_scratch(HarnessBuild *b);

// One benchmark and metric; texts are copied when it is new. `value` is in `unit`'s own scale.
typedef struct HarnessKey {
    Slice name, package, params, metric;
    HarnessUnit unit;
    int procs;
} HarnessKey;

// A value that is no measurement becomes a failure.
void harness_add(HarnessBuild *b, const HarnessKey *key, double value);
// What the program itself made of `n` samples (0: not said). Given again for the same key, the
// means become samples.
void harness_add_summary(HarnessBuild *b, const HarnessKey *key, double mean, double sd, int64_t n);
void harness_fail(HarnessBuild *b, Slice name, const char *format, ...) PRINTF_LIKE(3, 4);

// ERR_LIMIT when a ceiling was reached, ERR_NOT_FOUND when there is nothing. The builder is empty
// afterwards.
MUST_USE int harness_build_give(HarnessBuild *b, HarnessKind kind, HarnessResults **ret_results,
                                Err *e);

// ---- the readers, one a kind (harness_json.c, harness_js.c, harness_text.c)

struct Doc;
MUST_USE int harness_read_google(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_pytest(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_jmh(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_dotnet(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_vitest(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_hyperfine(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_custom(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_criterion(HarnessBuild *b, const struct Doc *doc, Err *e);
MUST_USE int harness_read_own(HarnessBuild *b, const struct Doc *doc, Err *e);
bool harness_is_own(const struct Doc *doc);
void harness_read_go(HarnessBuild *b, Slice text);
void harness_read_metric(HarnessBuild *b, Slice text);
void harness_read_bencher(HarnessBuild *b, Slice text);
void harness_read_catch2(HarnessBuild *b, Slice text);

// The next line without its end; false at the end of the text.
bool harness_line(Slice *text, Slice *ret_line);
// The next word between white space; false when there is none.
bool harness_word(Slice *line, Slice *ret_word);

#endif
