// Validate: what would a plan do? A funnel from cheap and coarse to dear and faithful, so that a
// thousand candidates cost little more than the few that deserve a look:
//
//     range        inside of what the table and the owners allow
//     bounds       capacity, least possible latency: what cannot work for certain (model/bounds.h)
//     formula      steady state by queueing theory: who is nearer to the objectives
//     (model/formula.h) simulation   the policy code itself, common random numbers (model/sim.h)
//     stability    does it come back after a spike? (model/stability.h)
//
// For each candidate that gets through: the predicted Outcome, how far from the proposer's
// objectives it ends, what it does to everybody else (harm, as intervals of the change), what it
// costs. A plan that is good but does not survive a spike is amended where the cure is known: calls
// that nobody waits for are told so (cancel.propagate); it is rejected otherwise.
//
//     Validation v;
//     rc = validate(arena, &(ValidateAsk){.view = sys, .self = b, .plans = plans, .count = n,
//                                         .budget_ns = 2 * NS_PER_SECOND, .seed = 7}, &v, e);
//     v.verdicts[0].kind, .plan, .outcome, .harms, .words ...
//
// Anytime: when the budget ends, what was not looked at is VERDICT_UNDECIDED, and nothing undecided
// is ever applied. Answers depend on the seed and, through the budget, on the machine; with budget
// 0 (no limit) on the seed only.
#ifndef MANAGE_VALIDATE_H
#define MANAGE_VALIDATE_H

#include "manage/detect.h"
#include "manage/plan.h"

#define VALIDATE_HORIZON_NS (240 * NS_PER_SECOND) // of a simulation, where the caller says nothing
enum { VALIDATE_REPLICATIONS = 5 };               // and how many

typedef enum VerdictKind {
    VERDICT_ACCEPTED,
    VERDICT_AMENDED, // accepted with what was added to it
    VERDICT_REJECTED,
    VERDICT_UNDECIDED, // the budget was over
} VerdictKind;
extern const char *const VERDICT_NAMES[];

typedef enum VerdictReason {
    VERDICT_FINE,
    VERDICT_RANGE,     // a value its owner does not allow
    VERDICT_LIMIT,     // somebody has refused this before
    VERDICT_CAPACITY,  // more load than servers, for certain
    VERDICT_NO_BETTER, // than leaving everything as it is
    VERDICT_OBJECTIVE, // an objective of the one who decides is broken by it
    VERDICT_HARM,      // bystanders pay for it
    VERDICT_COLLAPSE,  // does not come back after a spike
    VERDICT_OUTRUN,    // others were better before there was a look at this one
    VERDICT_BUDGET,
    VERDICT_REASONS,
} VerdictReason;
extern const char *const VERDICT_REASON_NAMES[VERDICT_REASONS + 1];

// A client whose promise the plan is not for. `change` is after minus before of `measure`: seconds,
// or a share. harmful: it is broken by the plan, or made worse than `harm_tolerance` for certain.
typedef struct Harm {
    uint32_t client;
    Measure measure;
    Estimate before, after, change;
    bool harmful;
} Harm;

typedef struct PlanCost {
    double servers; // mean servers more than now
    double load;    // relative change of the attempts of all edges: 0.2 is a fifth more
    double changes; // policies touched
} PlanCost;

typedef struct Verdict {
    VerdictKind kind;
    VerdictReason reason;
    Slice words;       // one sentence: why
    Plan plan;         // as amended
    size_t index;      // among the plans that were asked about
    Fidelity fidelity; // the most faithful look it got
    Outcome *outcome;  // what to expect; NULL where no model was asked
    ObjectiveGap gap;  // of the proposer's objectives; NAN
    Estimate recovery; // seconds until it is back after the trigger; NAN
    Harm *harms;
    size_t harm_count;
    PlanCost cost;
    // What a next plan must keep to for this not to be said again.
    PlanLimit *limits;
    size_t limit_count;
} Verdict;

typedef struct ValidateAsk {
    const System *view;
    const Plan *plans;
    size_t count;
    uint32_t self;    // who decides: an agent, or SYSTEM_FROM_CLIENT | client
    uint32_t purpose; // the client whose promise is broken; UINT32_MAX: those of `self`
    // Must it help (a proposer), or is it enough that nobody who counts is worse off (a recipient)?
    bool may_be_equal;
    bool may_amend; // add cancellation where it is the cure
    const PlanLimit *limits;
    size_t limit_count;
    int64_t budget_ns; // of the clock; 0: none
    uint64_t seed;
    double confidence;     // 0: 0.9
    double harm_tolerance; // relative; 0: 0.1
    int64_t horizon_ns;    // of a simulation; 0: VALIDATE_HORIZON_NS
    uint32_t replications; // 0: VALIDATE_REPLICATIONS
    uint32_t keep;         // that the formula lets through; 0: 24
    uint32_t always;       // the first so many plans get a look by simulation in any case
    uint32_t threads;      // 0: as many as there are processors, 2 at most
    // How long the spike lasts that it must come back from; 0: the default. Longer where there is
    // a backlog now: a plan must get out of that, too.
    int64_t trigger_ns;
    bool no_spike; // skip the stability check: for the ablation of the experiments
} ValidateAsk;

typedef struct ValidateStage {
    const char *name;
    size_t looked_at, let_through;
    int64_t took_ns;
} ValidateStage;

enum { VALIDATE_STAGES = 5 };

typedef struct Validation {
    Verdict *verdicts; // accepted and amended first, best first; then the others
    size_t count;
    size_t sound;      // accepted and amended
    Outcome *baseline; // of the view as it is
    ObjectiveGap baseline_gap;
    ValidateStage stages[VALIDATE_STAGES];
    bool complete; // the budget was enough
    int64_t took_ns;
} Validation;

MUST_USE int validate(Arena *arena, const ValidateAsk *ask, Validation *ret_validation, Err *e);

// Does `self` answer for the objectives of `client`? Who is called by it does, and the client
// itself.
bool validate_answers_for(const System *sys, uint32_t self, uint32_t client);
// One verdict as JSON, for the ledger and for --json.
void verdict_write(const System *sys, const Verdict *verdict, JsonWriter *w);
// A member of it, and of a story: [value, low, high].
void verdict_estimate_write(JsonWriter *w, const char *key, Estimate e);

#endif
