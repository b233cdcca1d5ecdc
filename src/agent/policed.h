// Policies around an agent's runs: the live driver of policy/call.h. Only for this room's files.
//
// A call's attempts run on the fiber of the job itself, one after another: an attempt that succeeds
// costs two steps of the state machine and nothing else. Where the policy hedges, attempts overlap,
// so each is a job of its own. An edge's policies are those of a proxy agent that forwards
// (runner_edge), so this file knows agents only.
#ifndef AGENT_POLICED_H
#define AGENT_POLICED_H

#include "agent/runner_impl.h"
#include "policy/call.h"
#include "policy/program_run.h"

typedef struct PolicedAnswer {
    Bytes *bytes;
    State state;
} PolicedAnswer;

// What a slot has of its agent's policies.
struct Policed {
    Shard *shard;
    Slot *slot;
    PolicyBlock *block;
    PolicedAnswer *answers; // by cache slot
    uint32_t answer_count;
    LoopTimer scale_timer;
    LoopTimer program_timer;
};

// `values` NULL: the defaults, with which every policy is off.
Policed *policed_create(Shard *shard, Slot *slot, const ParamValue *values);
void policed_destroy(Policed *policed); // NULL is fine

// Runs the job of the context under its slot's policies. Returns the code; the reason is in the
// context.
int policed_run(AgentContext *ctx, int64_t now_ns);
// The worker's timer fired while its handler was parked.
void policed_on_timer(AgentContext *ctx, int64_t now_ns);
// When that timer is due.
int64_t policed_timer(const AgentContext *ctx);
// NULL: none. ERR_REFUSED without room.
MUST_USE int policed_set_program(Policed *policed, const PolicyProgram *program,
                                 const ProgramRange *ranges, size_t range_count, Err *e);
// What a change of parameters left for calls that are under way (policy_next_work).
void policed_work(Policed *policed, const CallWork *work, int64_t now_ns);

#endif
