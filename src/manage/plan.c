#include "manage/plan.h"

#include "model/system_program.h"

#include <string.h>

#include "base/units.h"

static bool same_param(SystemParam a, SystemParam b)
{
    return a.place == b.place && a.index == b.index && a.param == b.param;
}

int plan_add(Plan *plan, SystemChange change, Err *e)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (same_param(plan->changes[i].what, change.what)) {
            plan->changes[i] = change;
            return 0;
        }
    }
    if (plan->count == PLAN_CHANGES_MAX) {
        return err_set(e, ERR_LIMIT, "a plan has at most %d changes", PLAN_CHANGES_MAX);
    }
    plan->changes[plan->count++] = change;
    return 0;
}

static Slice program_place(const System *sys, const PlanProgram *p)
{
    return p->place == PLACE_AGENT ? sys->agents[p->index].name : sys->edges[p->index].name;
}

// By names, so that two parties whose Systems list agents in other
// orders agree about it.
uint64_t plan_hash(const System *sys, const Plan *plan)
{
    uint64_t sum = 0x9e3779b97f4a7c15u;
    Buf text = buf_create(1 << 16);
    for (uint32_t i = 0; i < plan->count; i++) {
        const SystemChange *c = &plan->changes[i];
        buf_reset(&text);
        system_param_name(sys, c->what, &text);
        buf_printf(&text, "=%.17g", system_number(c->what.param, c->value));
        sum += slice_hash(buf_slice(&text));
    }
    for (uint32_t i = 0; i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        buf_reset(&text);
        buf_append(&text, program_place(sys, p));
        buf_puts(&text, ".program=");
        buf_append(&text, p->text);
        sum += slice_hash(buf_slice(&text));
    }
    buf_done(&text);
    return sum == 0 ? 1 : sum;
}

static bool keeps_one(const System *sys, const Plan *plan, const PlanLimit *limit)
{
    if (limit->refused != 0) {
        return plan_hash(sys, plan) != limit->refused;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        const SystemChange *c = &plan->changes[i];
        double number = system_number(c->what.param, c->value);
        if (same_param(c->what, limit->what) && (number < limit->low || number > limit->high)) {
            return false;
        }
    }
    return true;
}

bool plan_keeps(const System *sys, const Plan *plan, const PlanLimit *limits, size_t count,
                const PlanLimit **ret_broken)
{
    for (size_t i = 0; i < count; i++) {
        if (!keeps_one(sys, plan, &limits[i])) {
            if (ret_broken != NULL) {
                *ret_broken = &limits[i];
            }
            return false;
        }
    }
    return true;
}

int plan_apply(Arena *arena, const System *sys, const Plan *plan, System **ret_system, Err *e)
{
    System *next = system_copy(arena, sys);
    int rc = system_set_all(next, plan->changes, plan->count, e);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        SystemProgram compiled;
        rc = system_program(next, p->place, p->index, p->text, &compiled, e);
        rc = rc ? rc : system_program_allowed(next, p->place, p->index, &compiled, e);
        if (rc != 0) {
            return rc;
        }
        Slice *place = p->place == PLACE_AGENT ? &next->agents[p->index].program
                                               : &next->edges[p->index].program;
        *place = p->text;
    }
    *ret_system = next;
    return 0;
}

void plan_trim(const System *sys, Plan *plan)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        SystemChange c = plan->changes[i];
        double now = system_number(c.what.param, system_get(sys, c.what));
        if (now != system_number(c.what.param, c.value)) {
            plan->changes[kept++] = c;
        }
    }
    plan->count = kept;
}

void plan_write(const System *sys, const Plan *plan, Buf *out)
{
    system_print_changes(sys, plan->changes, plan->count, out);
    for (uint32_t i = 0; i < plan->program_count; i++) {
        Slice name = program_place(sys, &plan->programs[i]);
        buf_printf(out, "%s%.*s.program", plan->count + i == 0 ? "" : ", ", SLICE_FMT(name));
    }
}

void plan_write_json(const System *sys, const Plan *plan, JsonWriter *w)
{
    json_object_begin(w);
    json_key(w, SLICE("changes"));
    system_write_changes(sys, plan->changes, plan->count, w);
    if (plan->program_count > 0) {
        json_key(w, SLICE("programs"));
        json_object_begin(w);
        for (uint32_t i = 0; i < plan->program_count; i++) {
            json_key(w, program_place(sys, &plan->programs[i]));
            json_string(w, plan->programs[i].text);
        }
        json_object_end(w);
    }
    json_object_end(w);
}

int plan_add_program(Arena *arena, const System *sys, Plan *plan, Slice place, Slice text, Err *e)
{
    ptrdiff_t edge = system_find_edge(sys, place);
    ptrdiff_t agent = system_find_agent(sys, place);
    if (edge < 0 && agent < 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no agent or edge '%.*s'", SLICE_FMT(place));
    }
    if (plan->program_count == PLAN_PROGRAMS_MAX) {
        return err_set(e, ERR_LIMIT, "a plan has at most %d policy programs", PLAN_PROGRAMS_MAX);
    }
    if (plan->programs == NULL) {
        plan->programs = ARENA_ARRAY(arena, PlanProgram, PLAN_PROGRAMS_MAX);
    }
    plan->programs[plan->program_count++] =
        (PlanProgram){.place = edge >= 0 ? PLACE_EDGE : PLACE_AGENT,
                      .index = (uint32_t)(edge >= 0 ? edge : agent),
                      .text = arena_copy(arena, text)};
    return 0;
}

static int read_programs(Arena *arena, const System *sys, const Doc *programs, Plan *plan, Err *e)
{
    int rc = programs == NULL ? 0 : doc_expect(programs, DOC_OBJECT, "programs", e);
    for (const Doc *d = doc_first(programs); rc == 0 && d != NULL; d = doc_next(d)) {
        Err why = {0};
        rc = doc_expect(d, DOC_STRING, "a policy program", e);
        if (rc == 0 && plan_add_program(arena, sys, plan, d->key, d->text, &why) != 0) {
            rc = doc_err_key(e, d, "%s", why.text);
        }
    }
    return rc;
}

int plan_read(Arena *arena, const System *sys, const Doc *object, Plan *ret_plan, Err *e)
{
    static const Slice FIELDS[] = {SLICE_INIT("changes"), SLICE_INIT("programs")};
    Plan plan = {0};
    SystemChange *changes = NULL;
    size_t count = 0;
    int rc = doc_expect(object, DOC_OBJECT, "a plan", e);
    rc = rc != 0 ? rc : doc_expect_fields(object, FIELDS, COUNT_OF(FIELDS), e);
    if (rc == 0 && doc_get(object, SLICE("changes")) != NULL) {
        rc =
            system_read_changes(arena, sys, doc_get(object, SLICE("changes")), &changes, &count, e);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = plan_add(&plan, changes[i], e);
    }
    rc = rc != 0 ? rc : read_programs(arena, sys, doc_get(object, SLICE("programs")), &plan, e);
    if (rc == 0) {
        *ret_plan = plan;
    }
    return rc;
}

static void add_owner(uint32_t owner, uint32_t *owners, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (owners[i] == owner) {
            return;
        }
    }
    if (*count < PLAN_CHANGES_MAX) {
        owners[(*count)++] = owner;
    }
}

size_t plan_owners(const System *sys, const Plan *plan, uint32_t *ret_owners)
{
    size_t count = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        add_owner(system_owner(sys, plan->changes[i].what), ret_owners, &count);
    }
    for (uint32_t i = 0; i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        SystemParam what = {p->place, p->index, 0};
        add_owner(system_owner(sys, what), ret_owners, &count);
    }
    return count;
}
