#include "manage/plan_message.h"

#include <math.h>
#include <string.h>

enum { VALUE_TEXT_MAX = 8192, DOCUMENT_MAX = 1 << 20 };

#define PROGRAM_SUFFIX SLICE(".program")

size_t plan_to_changes(Arena *arena, const System *sys, const Plan *plan,
                       MessageChange *ret_changes, uint32_t *ret_owners)
{
    size_t count = 0;
    Buf name = buf_create(VALUE_TEXT_MAX), value = buf_create(VALUE_TEXT_MAX);
    for (uint32_t i = 0; i < plan->count; i++) {
        const SystemChange *c = &plan->changes[i];
        buf_reset(&name);
        buf_reset(&value);
        system_param_name(sys, c->what, &name);
        param_format(system_param_row(c->what.param), c->value, &value);
        if (ret_owners != NULL) {
            ret_owners[count] = system_owner(sys, c->what);
        }
        ret_changes[count++] = (MessageChange){arena_copy(arena, buf_slice(&name)),
                                               arena_copy(arena, buf_slice(&value))};
    }
    for (uint32_t i = 0; i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        bool agent = p->place == PLACE_AGENT;
        Slice place = agent ? sys->agents[p->index].name : sys->edges[p->index].name;
        if (ret_owners != NULL) {
            ret_owners[count] = system_owner(sys, (SystemParam){p->place, p->index, 0});
        }
        ret_changes[count++] = (MessageChange){
            arena_printf(arena, "%.*s.program", SLICE_FMT(place)), arena_copy(arena, p->text)};
    }
    buf_done(&name);
    buf_done(&value);
    return count;
}

static int add_change(Arena *arena, const System *sys, const MessageChange *change, Plan *plan,
                      Err *e)
{
    if (slice_ends_with(change->param, PROGRAM_SUFFIX)) {
        Slice place = slice_sub(change->param, 0, change->param.len - PROGRAM_SUFFIX.len);
        return plan_add_program(arena, sys, plan, place, change->value, e);
    }
    Slice text =
        arena_printf(arena, "%.*s=%.*s", SLICE_FMT(change->param), SLICE_FMT(change->value));
    SystemChange parsed;
    int rc = system_parse_change(sys, text, &parsed, e);
    return rc != 0 ? rc : plan_add(plan, parsed, e);
}

int plan_from_changes(Arena *arena, const System *sys, const MessageChange *changes, size_t count,
                      Plan *ret_plan, Err *e)
{
    Plan plan = {0};
    for (size_t i = 0; i < count; i++) {
        int rc = add_change(arena, sys, &changes[i], &plan, e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_plan = plan;
    return 0;
}

Slice plan_document_write(Arena *arena, const System *sys, const PlanDocument *document)
{
    Buf text = buf_create(DOCUMENT_MAX);
    JsonWriter w = json_writer(&text, 0);
    json_object_begin(&w);
    json_key(&w, SLICE("plan"));
    plan_write_json(sys, &document->plan, &w);
    if (document->client != UINT32_MAX) {
        json_field_string(&w, "client", sys->clients[document->client].name);
        json_field_cstr(&w, "measure", MEASURE_NAMES[document->measure]);
        json_field_double(&w, "limit", document->limit);
    }
    json_object_end(&w);
    Slice copy = arena_copy(arena, buf_slice(&text));
    buf_done(&text);
    return copy;
}

static int read_purpose(const System *sys, const Doc *root, PlanDocument *document, Err *e)
{
    const Doc *client = doc_get(root, SLICE("client"));
    const Doc *measure = doc_get(root, SLICE("measure"));
    const Doc *limit = doc_get(root, SLICE("limit"));
    if (client == NULL) {
        return 0;
    }
    ptrdiff_t index = client->type == DOC_STRING ? system_find_client(sys, client->text) : -1;
    if (index < 0) {
        return doc_err(e, client, "there is no such client");
    }
    document->client = (uint32_t)index;
    document->limit = doc_number(limit);
    for (int i = 0; measure != NULL && MEASURE_NAMES[i] != NULL; i++) {
        if (measure->type == DOC_STRING && slice_eq_cstr(measure->text, MEASURE_NAMES[i])) {
            document->measure = (Measure)i;
            return 0;
        }
    }
    return doc_err(e, root, "\"measure\" must be goodput, errors, p50 or p99");
}

int plan_document_read(Arena *arena, const System *sys, Slice json, PlanDocument *ret_document,
                       Err *e)
{
    static const Slice FIELDS[] = {SLICE_INIT("plan"), SLICE_INIT("client"), SLICE_INIT("measure"),
                                   SLICE_INIT("limit")};
    PlanDocument document = {.client = UINT32_MAX};
    if (json.len == 0) {
        *ret_document = document;
        return 0;
    }
    const Doc *root;
    int rc = doc_parse(arena, json, &(DocOptions){.format = DOC_FORMAT_JSON, .source = "proposal"},
                       &root, e);
    rc = rc != 0 ? rc : doc_expect(root, DOC_OBJECT, "a proposal's document", e);
    rc = rc != 0 ? rc : doc_expect_fields(root, FIELDS, COUNT_OF(FIELDS), e);
    rc = rc != 0 ? rc : read_purpose(sys, root, &document, e);
    if (rc == 0 && doc_get(root, SLICE("plan")) != NULL) {
        rc = plan_read(arena, sys, doc_get(root, SLICE("plan")), &document.plan, e);
    }
    if (rc == 0) {
        *ret_document = document;
    }
    return rc;
}

bool plan_limit_of(const System *sys, const MessageConstraint *constraint, PlanLimit *ret_limit)
{
    PlanLimit limit = {.low = -INFINITY, .high = INFINITY};
    if (system_find_param(sys, constraint->subject, &limit.what, NULL) != 0) {
        return false;
    }
    double now = system_number(limit.what.param, system_get(sys, limit.what)), said = now;
    if (constraint->op != CONSTRAINT_UNCHANGED) {
        Arena *arena = arena_create(1 << 16);
        SystemChange change;
        Slice assignment = arena_printf(arena, "%.*s=%.*s", SLICE_FMT(constraint->subject),
                                        SLICE_FMT(constraint->value));
        bool parsed = system_parse_change(sys, assignment, &change, NULL) == 0;
        arena_destroy(arena);
        if (!parsed) {
            return false;
        }
        said = system_number(change.what.param, change.value);
    }
    switch (constraint->op) {
    case CONSTRAINT_AT_LEAST: limit.low = said; break;
    case CONSTRAINT_AT_MOST: limit.high = said; break;
    case CONSTRAINT_EQUAL: limit.low = limit.high = said; break;
    case CONSTRAINT_UNCHANGED: limit.low = limit.high = now; break;
    case CONSTRAINT_OPS: return false;
    }
    *ret_limit = limit;
    return true;
}
