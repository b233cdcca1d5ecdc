// The command line's part of a plan: what makes a whole one without a file, and what replaces
// something in one. Flags beat the plan.
//
//     PlanFlags flags = {.url = SLICE("http://127.0.0.1:8080/"), .vus = 50, .duration_ns = ...};
//     rc = plan_load(arena, NULL, &flags, &options, &plan, &mistakes, e);
//
// The flags become members of the document before it is read, so they go through the same checks as
// a plan and are part of its canonical form. Mistakes in them are at "command line:1:column".
//
// The load (vus, iterations, duration, stages, rate, ...) replaces fields of the plan's load where
// it has them; a flag that does not fit what the plan has there replaces it: `--rate` on a plan
// with `vus` makes it an open model. A plan with one scenario keeps that scenario where its
// executor has all fields that are given, and otherwise only the scenario's steps. With several
// scenarios the load cannot be given by flags: ERR_ARG.
#ifndef LOAD_PLAN_FLAGS_H
#define LOAD_PLAN_FLAGS_H

#include "load/plan_parse.h"

// The document's name in mistakes. Relative paths in it start at the working directory.
#define PLAN_FLAGS_SOURCE "command line"

// Zero, false and empty: not given.
typedef struct PlanFlags {
    Slice url;
    Slice method; // default POST with a body, else GET
    Slice body;
    Slice body_file;
    const Slice *headers; // "Name: value"
    size_t header_count;
    int64_t vus, iterations, duration_ns;
    Slice stages; // "5m:100,10m:500"
    Slice rate;   // "2000/s"
    Slice arrivals;
    int64_t pre_allocated_vus, max_vus;
    bool has_seed;
    int64_t seed;
    Slice name, environment, baseline;
    Slice base_url;         // of the chosen or only environment, in place of its baseUrl
    const Slice *variables; // "NAME=VALUE"
    size_t variable_count;
    const Slice *thresholds; // "metric{tag:value}=expression"; replaces the plan's on that metric
    size_t threshold_count;
    const Slice *tags; // "key=value"
    size_t tag_count;
    const Slice *slo_files; // instead of the plan's
    size_t slo_file_count;
    bool no_connection_reuse;
} PlanFlags;

// The document `base` with the flags in it; `base` NULL: of the flags alone. ERR_ARG names the flag
// that cannot be used.
MUST_USE int plan_flags_apply(Arena *arena, const PlanFlags *flags, const Doc *base,
                              const Doc **ret_doc, Err *e);

// Reads the plan at `path` (NULL: none) with the flags in it. As plan_read_file otherwise.
MUST_USE int plan_load(Arena *arena, const char *path, const PlanFlags *flags,
                       const PlanOptions *options, const Plan **ret_plan, PlanMistakes *mistakes,
                       Err *e);

#endif
