// OpenSLO v1 documents (github.com/OpenSLO/OpenSLO): SLO, SLI, Service and DataSource, several to
// a file, read into the judge's objectives.
//
//     OpenSlo file;
//     rc = openslo_read_file(arena, "slo.yaml", &file, e);
//     for (size_t i = 0; rc != 0 && i < file.problem_count; i++) { ... print file.problems[i] ... }
//     slo_eval_all(arena, run, file.slos, file.slo_count, NULL, &defaulted);
//
// A metric source must be of type "perfwright"; docs/guide/slo.md says what its spec may hold.
// Composite SLOs, v2alpha and raw ratios are refused by name. All mistakes of a file are listed,
// each as "file:line:column: what is wrong".
#ifndef JUDGE_OPENSLO_H
#define JUDGE_OPENSLO_H

#include "base/doc.h"
#include "judge/slo_eval.h"

enum {
    OPENSLO_OBJECTS_MAX = 1000,   // documents in a file
    OPENSLO_OBJECTIVES_MAX = 100, // of one SLO
    OPENSLO_PROBLEMS_MAX = 100,   // listed; the rest is counted
};

typedef struct OpenSlo {
    Slo *slos; // one an objective
    size_t slo_count;
    Slice *problems;
    size_t problem_count;   // listed
    size_t problems_in_all; // found
    Slice *notes;           // what was read and has no effect here: alert policies
    size_t note_count;
} OpenSlo;

// ERR_PARSE when there is any problem: *ret is set then too, and `e` holds the first problem and
// how many more there are. Other errors (ERR_IO, a text that is no YAML) leave *ret untouched.
MUST_USE int openslo_read(Arena *arena, Slice text, const char *source, OpenSlo *ret, Err *e);
MUST_USE int openslo_read_file(Arena *arena, const char *path, OpenSlo *ret, Err *e);

// "28d", "4w", "1M", "1Q", "1Y", and "30s", which the specification does not have and short tests
// need. Months are 30 days, quarters 90, years 365. ERR_PARSE.
MUST_USE int openslo_duration(Slice text, int64_t *ret_ns);

#endif
