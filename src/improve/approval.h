// Approval: a person has looked. What was approved is remembered by its hash, in the ledger, so
// that a plan or steps that changed since must be looked at again.
//
//     rc = approval_give(ledger, target, APPROVAL_PLAN, sha256, author, "", e);
//     rc = approval_check(ledger, target, APPROVAL_PLAN, sha256, e);   // ERR_REFUSED: not, or
//     changed
//
// An approval is a proposal of kind plan that goes from draft to approved at once; the repository
// itself cannot give one, since nothing of the repository is in the ledger.
#ifndef IMPROVE_APPROVAL_H
#define IMPROVE_APPROVAL_H

#include "improve/place.h"
#include "ledger/proposal.h"
#include "ledger/sha256.h"

typedef enum ApprovalOf { APPROVAL_PLAN, APPROVAL_STEPS, APPROVALS } ApprovalOf;
extern const char *const APPROVAL_OF_NAMES[APPROVALS + 1]; // "plan", "steps", NULL

typedef enum ApprovalState { APPROVAL_NONE, APPROVAL_OLD, APPROVAL_GIVEN } ApprovalState;

// What is to be approved, as it is now: plan.json and plan.md, or steps.yaml. ERR_NOT_FOUND in
// words that say which verb makes it.
MUST_USE int approval_hash(const Place *place, Arena *arena, ApprovalOf of,
                           char out[SHA256_HEX + 1], Err *e);
// `content_json` goes into the ledger with it (the plan itself); empty: only the hash.
MUST_USE int approval_give(Ledger *ledger, Slice target, ApprovalOf of, const char *sha256,
                           Slice author, Slice content_json, Err *e);
MUST_USE int approval_state(Ledger *ledger, Slice target, ApprovalOf of, const char *sha256,
                            ApprovalState *ret_state, Err *e);
// 0 when given; ERR_REFUSED in words for a person.
MUST_USE int approval_check(Ledger *ledger, Slice target, ApprovalOf of, const char *sha256,
                            Err *e);

#endif
