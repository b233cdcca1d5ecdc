// Reads a plan document (docs/guide/plan.md) into a Plan and explains every mistake in it.
//
//     PlanMistakes mistakes;
//     rc = plan_read_file(arena, "plan.yaml", &(PlanOptions){.env = my_env}, &plan, &mistakes, e);
//     for (size_t i = 0; i < mistakes.count; i++) { puts(mistakes.items[i].text.ptr); }
//
// Reading does not stop at the first mistake; what a mistake leaves open is skipped, so that one
// mistake is reported once. Files that the plan names (feeds, bodies) are read here, so a Plan is
// complete and its bytes are known to exist; SLO documents are only looked for.
//
// Texts are templates (load/template.h). ${env.X} is replaced in the Plan but not in
// canonical_json, so that secrets in the environment reach neither the ledger nor the plan's hash.
#ifndef LOAD_PLAN_PARSE_H
#define LOAD_PLAN_PARSE_H

#include "load/plan.h"

enum {
    PLAN_MISTAKES_MAX = 50,
    PLAN_BYTES_MAX = 4 << 20,       // of the document
    PLAN_NODES_MAX = 200000,        // values in it
    PLAN_BODY_BYTES_MAX = 16 << 20, // of a body file
    PLAN_NAME_BYTES_MAX = 256,      // of a request, scenario, feed, variable, ...
    PLAN_EXTRACTS_MAX = 64,         // of one request; also its checks and headers
    PLAN_SLO_FILES_MAX = 64,
};
// What the arena must be able to hold for the largest document; feeds and body files come on top
// and are refused when there is no room for them.
#define PLAN_ARENA_BYTES ((size_t)512 << 20)
#define PLAN_SEED        UINT64_C(1) // of a plan that names none: equal plans run equal

typedef struct PlanMistake {
    bool warning; // does not keep the plan from running
    int line, column;
    Slice text; // "plan.yaml:12:9: what is wrong; what to do", NUL follows
} PlanMistake;

typedef struct PlanMistakes {
    PlanMistake items[PLAN_MISTAKES_MAX]; // in the order of reading
    size_t count;
    size_t errors;   // those that are no warnings, also past PLAN_MISTAKES_MAX
    size_t left_out; // mistakes of both kinds that did not fit
} PlanMistakes;

typedef struct PlanOptions {
    const char *folder; // relative paths in the plan start here; NULL: the working directory
    // An environment variable's value; false when it is not set. NULL: none is.
    bool (*env)(void *ctx, Slice name, Slice *ret_value);
    void *env_ctx;
} PlanOptions;

// 0 and a plan, with `mistakes` holding warnings at most; else ERR_PARSE with the first mistake and
// how many more there are. Everything lives in the arena, also the texts of mistakes; `doc` must
// outlive the plan. `options` may be NULL.
MUST_USE int plan_parse(Arena *arena, const Doc *doc, const PlanOptions *options,
                        const Plan **ret_plan, PlanMistakes *mistakes, Err *e);

// Reads the document under the limits above (YAML unless the name ends in .json or .toml). Relative
// paths in it start at its folder; options->folder is not looked at. Errors in the document's
// syntax are the only entry of `mistakes`.
MUST_USE int plan_read_file(Arena *arena, const char *path, const PlanOptions *options,
                            const Plan **ret_plan, PlanMistakes *mistakes, Err *e);
// The two halves of it, for whoever changes the document in between (load/plan_flags.h).
MUST_USE int plan_read_doc(Arena *arena, const char *path, const Doc **ret_doc,
                           PlanMistakes *mistakes, Err *e);
const char *plan_folder(Arena *arena, const char *path);

// "5m:100,10m:500" to stages. ERR_PARSE with words; ERR_LIMIT past PLAN_STAGES_MAX.
MUST_USE int plan_stages_parse(Arena *arena, Slice text, const PlanStage **ret_stages,
                               size_t *ret_count, Err *e);

// The objects a plan consists of and the fields each of them has: what the JSON Schema and the
// guide are held to.
typedef struct PlanObject {
    Slice name; // as under $defs in docs/plan.schema.json; "plan" is the whole document
    const struct PlanField *fields;
    size_t count;
} PlanObject;

const PlanObject *plan_objects(size_t *ret_count);
Slice plan_object_field(const PlanObject *object, size_t index);

#endif
