// What the files of proposals share: their payloads, and the projection of those.
#ifndef LEDGER_PROPOSAL_IMPL_H
#define LEDGER_PROPOSAL_IMPL_H

#include "ledger/proposal.h"
#include "ledger/record.h"

// In the ledger's chain:
#define RECORD_PROPOSAL_DRAFT SLICE("proposal.draft")
#define RECORD_PROPOSAL_STEP  SLICE("proposal.step")
#define RECORD_PROPOSAL_NOTE  SLICE("proposal.note")

enum { PROPOSAL_ARENA_MAX = 512 << 20 };

typedef struct StepPayload {
    Slice id;
    ProposalStep step; // of a note `from` and `to` are the state it was made in
} StepPayload;

// Canonical, as all payloads: estimates are sorted by name. ERR_ARG for what is past a limit or
// there twice.
MUST_USE int proposal_payload_draft(const Proposal *p, Buf *out, Err *e);
MUST_USE int proposal_payload_step(const StepPayload *s, Buf *out, Err *e);
// The member "evidence", of payloads and of documents alike.
void proposal_evidence_write(JsonWriter *w, ProposalEvidence list);
// ERR_CORRUPT.
MUST_USE int proposal_read_draft(Arena *arena, Slice payload, Proposal *ret, Err *e);
MUST_USE int proposal_read_step(Arena *arena, Slice payload, StepPayload *ret, Err *e);

// The projection: ERR_CONFLICT for a step that is not allowed from the state the proposal is in.
MUST_USE int proposal_apply_draft(Db *db, const Record *r, Arena *arena, Err *e);
MUST_USE int proposal_apply_step(Db *db, const Record *r, Arena *arena, Err *e);

// ERR_NOT_FOUND.
MUST_USE int proposal_state_of(Db *db, Slice id, ProposalState *ret_state, Err *e);

#endif
