// Text with holes: "/users/${users.id}?token=${token}". Compiled once, rendered per request without
// allocating. `$${` writes a literal "${".
//
// Holes: a plan variable or extracted value (${name}), a feed's column (${feed.column}), an
// environment variable read when the plan is compiled (${env.NAME}), and the run's own values:
// ${vu}, ${iteration}, ${iteration_in_test}, ${run_id}, ${scenario}, ${uuid}, ${random(1,100)}.
#ifndef LOAD_TEMPLATE_H
#define LOAD_TEMPLATE_H

#include "base/slice.h"

typedef enum PartKind {
    PART_TEXT,
    PART_VARIABLE,          // slot
    PART_FEED,              // feed, column
    PART_VU,                // 1-based id of the VU in the test
    PART_ITERATION,         // 0-based, of this VU
    PART_ITERATION_IN_TEST, // 0-based, of the scenario
    PART_RUN_ID,
    PART_SCENARIO,
    PART_UUID,   // random, from the seed
    PART_RANDOM, // uniform integer in [low, high], from the seed
} PartKind;

typedef struct TemplatePart {
    PartKind kind;
    Slice text;
    uint32_t slot; // PART_VARIABLE: variable; PART_FEED: feed index
    uint32_t column;
    int64_t low, high;
} TemplatePart;

typedef struct Template {
    const TemplatePart *parts; // one PART_TEXT (or none) when there are no holes
    size_t part_count;
    bool is_static;
} Template;

#endif
