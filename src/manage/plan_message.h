// A plan on the wire: as the changes of a message, and as the document that goes along with a
// proposal so that an owner, who is asked for its part, can judge it in its place:
// {"plan": {...}, "client": "tasks", "measure": "p99", "limit": 4.0}
#ifndef MANAGE_PLAN_MESSAGE_H
#define MANAGE_PLAN_MESSAGE_H

#include "manage/detect.h"
#include "manage/message.h"
#include "manage/plan.h"

typedef struct PlanDocument {
    Plan plan;
    uint32_t client; // whose promise is broken; UINT32_MAX: nobody's
    Measure measure;
    double limit;
} PlanDocument;

// Every change as texts; ret_changes has room for PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX. ret_owners,
// if not NULL, gets the owner of each.
size_t plan_to_changes(Arena *arena, const System *sys, const Plan *plan,
                       MessageChange *ret_changes, uint32_t *ret_owners);
// ERR_PARSE, ERR_NOT_FOUND, ERR_LIMIT with the words of what is wrong.
MUST_USE int plan_from_changes(Arena *arena, const System *sys, const MessageChange *changes,
                               size_t count, Plan *ret_plan, Err *e);
Slice plan_document_write(Arena *arena, const System *sys, const PlanDocument *document);
// `json` may be empty: an empty plan for nobody.
MUST_USE int plan_document_read(Arena *arena, const System *sys, Slice json,
                                PlanDocument *ret_document, Err *e);
// What a constraint of a refusal means for planning; false where it is about no parameter.
bool plan_limit_of(const System *sys, const MessageConstraint *constraint, PlanLimit *ret_limit);

#endif
