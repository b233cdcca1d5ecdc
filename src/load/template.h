// Text with holes: "/users/${users.id}?token=${token}". Compiled once, rendered per request without
// allocating. `$${` writes a literal "${".
//
// Holes: a plan variable or extracted value (${name}), a feed's column (${feed.column}), an
// environment variable read when the plan is compiled (${env.NAME}), and the run's own values:
// ${vu}, ${iteration}, ${iteration_in_test}, ${run_id}, ${scenario}, ${uuid}, ${random(1,100)}.
//
// Values go in as they are: nothing is escaped for a URL or for JSON.
#ifndef LOAD_TEMPLATE_H
#define LOAD_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"

struct PlanFeed;

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

enum { TEMPLATE_PARTS_MAX = 1024 };

// What holes may name when a template is compiled.
typedef struct TemplateNames {
    const Slice *variables; // by slot
    size_t variable_count;
    const struct PlanFeed *feeds; // by index
    size_t feed_count;
    // An environment variable's value; false when it is not set. NULL: none is.
    bool (*env)(void *ctx, Slice name, Slice *ret_value);
    void *env_ctx;
} TemplateNames;

// What holes stand for when it is rendered. All borrowed for the call.
typedef struct TemplateScope {
    const Slice *variables;   // by slot
    const Slice *const *rows; // by feed: the first cell of the iteration's row
    int64_t vu;
    int64_t iteration;
    int64_t iteration_in_test;
    Slice run_id;
    Slice scenario;
    Rng *rng; // the iteration's; ${uuid} and ${random()} draw from it in order of appearance
} TemplateScope;

// Compiles `text`, which is copied. ERR_PARSE with what is wrong and the nearest right name;
// ERR_LIMIT past TEMPLATE_PARTS_MAX. `names` NULL: no hole but the run's own values is known.
MUST_USE int template_compile(Arena *arena, Slice text, const TemplateNames *names, Template *ret,
                              Err *e);
// The text as it is, holes and all. Borrowed.
Template template_literal(Arena *arena, Slice text);

// The text of a static template.
Slice template_text(const Template *t);
void template_render(const Template *t, const TemplateScope *scope, Buf *out);

// True for a name that a variable may have: a letter or "_", then letters, digits, "_" and "-";
// not one of the run's own values.
bool template_is_variable_name(Slice name);

#endif
