// What comes of a language model's answer. Everything in it is data from a stranger: it is read
// with ceilings, by the readers that a person's documents go through, and whatever does not fit
// drops the proposal that has it.
#include "manage/planner_llm.h"

#include <string.h>

#include "base/utf8.h"

enum { ANSWER_NODES_MAX = 4096, ANSWER_DEPTH_MAX = 8 };

// Words for people, so that they cannot drive a terminal, and not many.
static Slice words(Arena *arena, Slice text, const char *otherwise)
{
    Buf clean = buf_create((size_t)8 * PLANNER_LLM_ANSWER_BYTES_MAX);
    utf8_sanitise(&clean, slice_trim(text));
    Slice cut = slice_sub(buf_slice(&clean), 0, PLANNER_LLM_WORDS_MAX);
    while (utf8_find_invalid(cut) >= 0) { // in the middle of a character
        cut.len--;
    }
    Slice copy = cut.len > 0 ? arena_copy(arena, cut) : slice_from_cstr(otherwise);
    buf_done(&clean);
    return copy;
}

// Messages name what they complain about, which here are a stranger's words.
static int refuse(Err *e, size_t proposals, const Err *why)
{
    Buf clean = buf_create(8 * sizeof why->text);
    utf8_sanitise(&clean, slice_from_cstr(why->text));
    int rc = proposals == 0 ? err_set(e, ERR_PROTOCOL, "%.*s", SLICE_FMT(buf_slice(&clean)))
                            : err_set(e, ERR_PROTOCOL, "none of %zu proposals can be used: %.*s",
                                      proposals, SLICE_FMT(buf_slice(&clean)));
    buf_done(&clean);
    return rc;
}

// ---- what a planner may

static double number_of(const SystemChange *change)
{
    return system_number(change->what.param, change->value);
}

// A wish is one value for all edges of a neighbour: those that were not named get it, too.
static int complete_wish(const PlanContext *context, Plan *plan, SystemChange wish, Err *e)
{
    const System *view = context->view;
    uint32_t owner = system_owner(view, wish.what);
    for (uint32_t i = 0; i < plan->count; i++) {
        const SystemChange *c = &plan->changes[i];
        if (c->what.place == PLACE_EDGE && c->what.param == wish.what.param &&
            system_owner(view, c->what) == owner && number_of(c) != number_of(&wish)) {
            return err_set(e, ERR_REFUSED, "a neighbour's edges are set apart, which is its own");
        }
    }
    for (uint32_t i = 0; i < view->edge_count; i++) {
        SystemChange other = {{PLACE_EDGE, i, wish.what.param}, wish.value};
        if (system_owner(view, other.what) == owner && system_allowed(view, &other, NULL) == 0) {
            int rc = plan_add(plan, other, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

static int check_changes(const PlanContext *context, Plan *plan, Err *e)
{
    for (uint32_t i = 0; i < plan->count; i++) { // grows by what completes a wish
        SystemChange change = plan->changes[i];
        int rc = system_allowed(context->view, &change, e);
        PlanReach reach = rc == 0 ? plan_reach(context, change.what) : REACH_NONE;
        if (rc == 0 && reach == REACH_NONE) {
            rc = err_set(e, ERR_REFUSED, "a parameter is out of the planner's reach");
        }
        if (rc == 0 && reach == REACH_WISH && change.what.place == PLACE_EDGE) {
            rc = complete_wish(context, plan, change, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

// Whether they compile, and set only what may be set, plan_apply says.
static int check_programs(const PlanContext *context, const Plan *plan, Err *e)
{
    for (uint32_t i = 0; i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        for (size_t k = 0; k < p->text.len; k++) {
            unsigned char c = (unsigned char)p->text.ptr[k];
            if ((c < ' ' && c != '\n' && c != '\t') || c >= 0x7f) {
                return err_set(e, ERR_PARSE, "a policy program is plain text");
            }
        }
        if (system_owner(context->view, (SystemParam){p->place, p->index, 0}) != context->self) {
            return err_set(e, ERR_REFUSED, "a policy program for somebody else");
        }
    }
    return 0;
}

// ---- one proposal

static int read_words(Arena *arena, const Doc *d, const char *name, const char *otherwise,
                      Slice *ret, Err *e)
{
    const Doc *text = doc_get(d, slice_from_cstr(name));
    int rc = text != NULL ? doc_expect(text, DOC_STRING, name, e) : 0;
    if (rc == 0) {
        *ret = words(arena, text != NULL ? text->text : (Slice){0}, otherwise);
    }
    return rc;
}

static int read_proposal(Arena *arena, const PlanContext *context, const Doc *d, Plan *ret_plan,
                         Err *e)
{
    static const Slice FIELDS[] = {SLICE_INIT("plan"), SLICE_INIT("title"), SLICE_INIT("reason")};
    Plan plan = {0};
    const Doc *document = NULL;
    int rc = doc_expect(d, DOC_OBJECT, "a proposal", e);
    rc = rc != 0 ? rc : doc_expect_fields(d, FIELDS, COUNT_OF(FIELDS), e);
    document = doc_get(d, SLICE("plan"));
    if (rc == 0 && document == NULL) {
        rc = doc_err(e, d, "a proposal without a plan");
    }
    rc = rc != 0 ? rc : plan_read(arena, context->view, document, &plan, e);
    rc = rc != 0 ? rc : check_changes(context, &plan, e);
    rc = rc != 0 ? rc : check_programs(context, &plan, e);
    rc = rc != 0 ? rc : read_words(arena, d, "title", "a model's proposal", &plan.title, e);
    rc = rc != 0 ? rc : read_words(arena, d, "reason", "it gave none", &plan.reason, e);
    if (rc != 0) {
        return rc;
    }
    plan.planner = SLICE("llm");
    plan_trim(context->view, &plan);
    const PlanLimit *broken = NULL;
    if (plan.count + plan.program_count == 0) {
        return doc_err(e, d, "it changes nothing");
    }
    if (!plan_keeps(context->view, &plan, context->limits, context->limit_count, &broken)) {
        return doc_err(e, d, "refused before: %.*s", SLICE_FMT(broken->reason));
    }
    System *after;
    rc = plan_apply(arena, context->view, &plan, &after, e);
    if (rc == 0) {
        *ret_plan = plan;
    }
    return rc;
}

// ---- the answer

// Many models put JSON between fences even when told not to.
static Slice without_fence(Slice text)
{
    text = slice_trim(text);
    ptrdiff_t line = slice_find_byte(text, '\n');
    if (!slice_starts_with(text, SLICE("```")) || !slice_ends_with(text, SLICE("```")) ||
        line < 0 || (size_t)line + 3 > text.len) {
        return text;
    }
    return slice_trim(slice_sub(text, (size_t)line, text.len - (size_t)line - 3));
}

static bool is_there(const System *sys, const PlanList *list, const Plan *plan)
{
    for (size_t i = 0; i < list->count; i++) {
        if (plan_hash(sys, &list->plans[i]) == plan_hash(sys, plan)) {
            return true;
        }
    }
    return false;
}

static int read_list(Arena *arena, Slice answer, const Doc **ret_list, Err *e)
{
    static const Slice FIELDS[] = {SLICE_INIT("proposals")};
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = "the model's answer",
                          .max_bytes = PLANNER_LLM_ANSWER_BYTES_MAX,
                          .max_nodes = ANSWER_NODES_MAX,
                          .max_depth = ANSWER_DEPTH_MAX};
    const Doc *doc = NULL;
    int rc = doc_parse(arena, without_fence(answer), &options, &doc, e);
    rc = rc != 0 ? rc : doc_expect(doc, DOC_OBJECT, "the answer", e);
    rc = rc != 0 ? rc : doc_expect_fields(doc, FIELDS, COUNT_OF(FIELDS), e);
    const Doc *list = rc == 0 ? doc_get(doc, FIELDS[0]) : NULL;
    if (rc == 0 && list == NULL) {
        return doc_err(e, doc, "an answer without proposals");
    }
    rc = rc != 0 ? rc : doc_expect(list, DOC_ARRAY, "proposals", e);
    if (rc == 0 && doc_count(list) > PLANNER_LLM_PROPOSALS_MAX) {
        rc = doc_err(e, list, "%zu proposals, the limit is %d", doc_count(list),
                     PLANNER_LLM_PROPOSALS_MAX);
    }
    if (rc == 0) {
        *ret_list = list;
    }
    return rc;
}

int planner_llm_read(Arena *arena, const PlanContext *context, Slice answer, PlanList *ret_list,
                     size_t *ret_dropped, Err *e)
{
    const Doc *proposals = NULL;
    Err first = {0};
    if (read_list(arena, answer, &proposals, &first) != 0) {
        return refuse(e, 0, &first);
    }
    PlanList list = {.plans = ARENA_ARRAY(arena, Plan, PLANNER_LLM_PROPOSALS_MAX)};
    size_t dropped = 0;
    for (const Doc *d = doc_first(proposals); d != NULL; d = doc_next(d)) {
        Plan *plan = &list.plans[list.count];
        Err why = {0};
        if (read_proposal(arena, context, d, plan, &why) != 0) {
            first = dropped++ == 0 ? why : first;
        } else if (!is_there(context->view, &list, plan)) {
            plan->prior = 1 - 0.01 * (double)list.count; // in its own order
            list.count++;
        }
    }
    *ret_dropped = dropped;
    if (list.count == 0 && dropped > 0) {
        return refuse(e, dropped, &first);
    }
    *ret_list = list;
    return 0;
}
