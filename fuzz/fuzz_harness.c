// All readers of benchmark results: the first byte chooses which. What is read has names, finite
// numbers and statistics of its own samples, and can be merged.
#include <math.h>

#include "bench/harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz harness: %s", what);
    }
}

static void check_text(Slice text)
{
    require(text.len <= HARNESS_TEXT_MAX, "a text past its ceiling");
    for (size_t i = 0; i < text.len; i++) {
        require((unsigned char)text.ptr[i] >= ' ' && text.ptr[i] != 127, "a control character");
    }
}

static void check(const HarnessResults *results)
{
    require(results->count + results->failure_count > 0, "nothing, and no error");
    require(results->kind > HARNESS_AUTO && results->kind < HARNESS_KINDS, "no kind");
    for (size_t i = 0; i < results->count; i++) {
        const HarnessResult *r = &results->items[i];
        check_text(r->name);
        check_text(r->package);
        check_text(r->params);
        check_text(r->unit);
        double center = harness_result_center(r);
        require(isfinite(center) && center >= 0, "no number");
        require(r->count == 0 || (int64_t)r->count == r->n, "n is not the number of samples");
        for (size_t k = 0; k < r->count; k++) {
            require(isfinite(r->samples[k]) && r->samples[k] >= 0, "a sample that is none");
        }
        require(harness_result_find(results, r) == r, "two results of one key");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 32 << 10 };
    if (size == 0 || size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Slice text = {(const char *)data + 1, size - 1};
    HarnessOptions options = {.kind = (HarnessKind)(data[0] % HARNESS_KINDS),
                              .higher_better = (data[0] & 0x80) != 0};
    HarnessResults *results = NULL, *merged = NULL;
    Err e = {0};
    int rc = harness_read(arena, text, &options, &results, &e);
    require(rc == 0 || rc == ERR_PARSE || rc == ERR_LIMIT || rc == ERR_NOT_FOUND ||
                rc == ERR_VERSION,
            "an unexpected code");
    require(rc == 0 || e.text[0] != '\0', "an error without words");
    if (rc == 0) {
        check(results);
        const HarnessResults *twice[2] = {results, results};
        require(harness_results_merge(arena, twice, 2, &merged, &e) == 0, "not to be merged");
        check(merged);
        for (size_t i = 0; i < merged->count; i++) {
            require(merged->items[i].count == 2, "two invocations are two samples");
        }
    }
    arena_destroy(arena);
    return 0;
}
