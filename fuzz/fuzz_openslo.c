// OpenSLO documents: whatever the text, either a list of problems or objectives that can be judged.
#include "judge/openslo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz openslo: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16) {
        return 0;
    }
    Arena *arena = arena_create(256 << 20);
    OpenSlo file = {0};
    Err e = {0};
    int rc = openslo_read(arena, (Slice){(const char *)data, size}, "fuzz", &file, &e);
    if (rc != 0) {
        require(e.text[0] != 0, "an error without words");
        require(file.problem_count <= OPENSLO_PROBLEMS_MAX, "more problems than the limit");
        require(file.problem_count <= file.problems_in_all, "more listed than found");
    }
    RunData empty = {.interval_count = 3};
    for (size_t i = 0; rc == 0 && i < file.slo_count; i++) {
        const Slo *slo = &file.slos[i];
        require(slo->target > 0 && slo->target < 1, "a target outside 0..1");
        require(slo->metric.len > 0 && slo->origin.len > 0, "an objective about nothing");
        require(slo->budgeting == SLO_OCCURRENCES || slo->slice_ns > 0, "slices without length");
        SloVerdict v = slo_eval(arena, &empty, slo, NULL);
        require(v.value == SLO_NOT_PROVEN, "a verdict from no data");
    }
    arena_destroy(arena);
    return 0;
}
