// Proposals: the one machine through which test plans, patches and policies go before they change
// anything, and the memory of what was expected of each and what then happened.
//
//     draft ──> validated ──> approved ──> applied ──> kept
//       │           │            │            │          │
//       └───────────┴────────────┤            └──────────┴──> rolled back
//                                └──> rejected | expired
//
// Every transition is a record in the ledger's own chain with author, reason, evidence, predicted
// intervals and observed values; the table `proposal` is a projection of them. A transition that is
// not drawn above is ERR_CONFLICT: it is checked under the write lock, so of two processes that
// decide about one proposal the first wins and the second hears what it lost to.
//
//     Proposal p = {.kind = PROPOSAL_POLICY, .target = SLICE("codegen-pipeline"), .title = ...,
//                   .author = SLICE("a"), .content_json = SLICE("{\"changes\":{...}}"), ...};
//     rc = proposal_create(ledger, &p, e);                          // p.id is set
//     rc = proposal_step(ledger, slice_from_cstr(p.id),
//                        &(ProposalStep){.to = PROPOSAL_VALIDATED, .author = SLICE("validator"),
//                                        .predicted = estimates}, e);
//     rc = proposal_load(ledger, SLICE("latest"), arena, &found, e); // with its steps
//
// A Ledger belongs to one thread; any number of processes may write.
#ifndef LEDGER_PROPOSAL_H
#define LEDGER_PROPOSAL_H

#include "base/arena.h"
#include "base/json_write.h"
#include "ledger/ledger.h"

enum {
    PROPOSAL_ID_LEN = 26,     // a ULID
    PROPOSAL_TEXT_MAX = 4096, // bytes of title, author, reason, target
    PROPOSAL_CONTENT_MAX = 4 << 20,
    PROPOSAL_ESTIMATES_MAX = 1024,
    PROPOSAL_EVIDENCE_MAX = 256,
    PROPOSAL_STEPS_MAX = 1000, // of one proposal, notes included
};

typedef enum ProposalKind {
    PROPOSAL_PLAN,
    PROPOSAL_PATCH,
    PROPOSAL_POLICY,
    PROPOSAL_KINDS
} ProposalKind;
extern const char *const PROPOSAL_KIND_NAMES[PROPOSAL_KINDS + 1]; // "plan", ..., NULL

typedef enum ProposalState {
    PROPOSAL_DRAFT,
    PROPOSAL_VALIDATED,
    PROPOSAL_APPROVED,
    PROPOSAL_APPLIED,
    PROPOSAL_KEPT,
    PROPOSAL_ROLLED_BACK,
    PROPOSAL_REJECTED,
    PROPOSAL_EXPIRED,
    PROPOSAL_STATES,
} ProposalState;
extern const char
    *const PROPOSAL_STATE_NAMES[PROPOSAL_STATES + 1]; // "rolled back" is "rolled_back"

bool proposal_may(ProposalState from, ProposalState to);
// Nothing follows any more.
bool proposal_is_final(ProposalState state);

// A number that was predicted or observed: "tasks.p99". NAN: not known; INFINITY: never. For what
// was measured exactly low = value = high.
typedef struct ProposalEstimate {
    Slice name;
    double value, low, high;
    double confidence; // of [low, high], 0..1
} ProposalEstimate;

typedef struct ProposalEstimates {
    ProposalEstimate *items;
    size_t count;
} ProposalEstimates;

// {"tasks.p99":{"confidence":0.9,"high":2.1,"low":1.6,"value":1.8}}; infinities are "inf" and
// "-inf", NAN is null. Members in the order of `list`.
void proposal_estimates_write(JsonWriter *w, ProposalEstimates list);
// Strict: unknown members, low > value, value > high are ERR_PARSE at their place; borrows from
// the arena that `object` is in.
MUST_USE int proposal_estimates_read(Arena *arena, const Doc *object, ProposalEstimates *ret_list,
                                     Err *e);

// References into the ledger or beyond it: a run's id, "run:ID/series", an artifact's hash, a URL.
typedef struct ProposalEvidence {
    Slice *items;
    size_t count;
} ProposalEvidence;

typedef struct ProposalStep {
    ProposalState from, to; // of what proposal_load returns; equal: a note
    int64_t at_unix_ns;     // 0 when stepping: now
    Slice author;
    Slice reason;
    ProposalEvidence evidence;
    ProposalEstimates predicted; // new ones; those of earlier steps stay in the history
    ProposalEstimates observed;
} ProposalStep;

typedef struct Proposal {
    char id[PROPOSAL_ID_LEN + 1];
    ProposalKind kind;
    ProposalState state;
    Slice target; // what it is about: a system, a repository, a service
    Slice title;  // one line for people
    Slice author;
    Slice reason;
    char parent[PROPOSAL_ID_LEN + 1]; // the one it amends or serves; empty
    Slice content_json;               // what is proposed; made canonical
    int64_t created_unix_ns, updated_unix_ns;
    int64_t expires_unix_ns; // after which it may only expire, unless applied; 0: never
    ProposalEvidence evidence;
    ProposalEstimates predicted, observed; // the newest
    ProposalStep *steps;                   // proposal_load only
    size_t step_count;
} Proposal;

// Writes the draft and sets id, state and times of *proposal. ERR_ARG for texts past their limit or
// content that is no JSON.
MUST_USE int proposal_create(Ledger *ledger, Proposal *proposal, Err *e);
// ERR_NOT_FOUND; ERR_CONFLICT for a transition that is not allowed, with the state it is in.
// `step->from` is not looked at.
MUST_USE int proposal_step(Ledger *ledger, Slice id, const ProposalStep *step, Err *e);
// Adds what was seen or said without a transition, in any state. `step->from` and `to` are not
// looked at.
MUST_USE int proposal_note(Ledger *ledger, Slice id, const ProposalStep *note, Err *e);
// Draft, validated and approved proposals whose time is over become expired.
MUST_USE int proposal_expire_due(Ledger *ledger, int64_t now_unix_ns, int64_t *ret_count, Err *e);

typedef struct ProposalFilter {
    const ProposalKind *kind;   // NULL: all
    const ProposalState *state; // NULL: all
    Slice target;               // empty: all
    int64_t limit;              // newest first; 0: 100
} ProposalFilter;

// Without their steps.
MUST_USE int proposal_list(Ledger *ledger, const ProposalFilter *filter, Arena *arena,
                           Proposal **ret_items, size_t *ret_count, Err *e);
// An id, a prefix of one that no other has, "latest" or "latest~N". ERR_NOT_FOUND; ERR_ARG for an
// ambiguous prefix.
MUST_USE int proposal_load(Ledger *ledger, Slice selector, Arena *arena, Proposal **ret_proposal,
                           Err *e);
// One object with everything that proposal_load returns.
void proposal_write(const Proposal *proposal, JsonWriter *w);
// {"format":"perfwright-proposal","version":1,"proposal":{...},"records":[{"run_seq","kind",
// "version","prev_hash","hash","payload"}]}: what it is and the records of the chain that say so,
// each with all that its hash is of (ledger/record.h).
MUST_USE int proposal_export(Ledger *ledger, Slice selector, Buf *out, Err *e);

#endif
