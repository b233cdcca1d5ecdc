// The LLM planner: a language model is shown interfaces and evidence and answers with proposals,
// parameters and policy programs. Off the request path, optional, and never believed:
//
//     rc = planner_llm_create(&(PlannerLlmOptions){.config = &config, .get_env = getenv}, &llm, e);
//     Planner *planners[] = {llm, planner_rules_create()};   // the rules plan when it does not
//
// What it is shown is one JSON document of data that other parties published, marked as such. What
// it answers is data, too: one JSON object of at most PLANNER_LLM_ANSWER_BYTES_MAX,
//
//     {"proposals": [{"plan": {"changes": {"b->c.timeout.attempt": "500ms"},
//                              "programs": {"b->c": "period = 2s; retry.attempts = ...;"}},
//                     "title": "retry where the tail is", "reason": "..."}]}
//
// read strictly: an unknown field, name, place or unit, a value outside of its owner's range or of
// the planner's reach, or a program that does not compile drops the proposal that has it. What is
// left goes through the same validation as everybody's. No tools are offered; an answer that calls
// one is refused.
//
// Each decision is one call with a ceiling of tokens, bytes and time; a case has a ceiling of
// calls. What goes wrong (no provider, no answer in time, nonsense) is an error of planner_plan in
// words, and others plan. Not to be called in a fiber: it runs a loop of its own until the answer
// is there. One thread.
#ifndef MANAGE_PLANNER_LLM_H
#define MANAGE_PLANNER_LLM_H

#include "llm/config.h"
#include "manage/planner.h"

enum {
    PLANNER_LLM_ANSWER_BYTES_MAX = 64 << 10,
    PLANNER_LLM_PROPOSALS_MAX = 16, // of one answer
    PLANNER_LLM_WORDS_MAX = 200,    // bytes of a title or reason
    PLANNER_LLM_INTERFACES_MAX = 16,
};

typedef struct PlannerLlmOptions {
    const LlmConfig *config; // borrowed; NULL or without a provider: it only says so
    Slice role;              // of [llm.roles]; empty: the default provider
    char *(*get_env)(const char *name);
    uint32_t calls_max;        // of one case; 0: 3
    int64_t tokens_max;        // of one decision, in and out; 0: 32,768
    int64_t output_tokens_max; // of them; 0: 2,048
    int64_t timeout_ns;        // of one decision, at most what the context allows; 0: 20 s
    uint64_t seed;
} PlannerLlmOptions;

typedef struct PlannerLlmStats {
    uint64_t calls, failed; // failed: nothing could be used
    uint64_t proposals, dropped;
    int64_t tokens;
} PlannerLlmStats;

MUST_USE int planner_llm_create(const PlannerLlmOptions *options, Planner **ret_planner, Err *e);
PlannerLlmStats planner_llm_stats(const Planner *planner);

// The two halves, without a model between them: the document that it would be shown, and what comes
// of an answer. ERR_PROTOCOL: nothing of it can be used, with the first reason.
MUST_USE int planner_llm_ask(Arena *arena, const PlanContext *context, size_t bytes_max, Buf *out,
                             Err *e);
MUST_USE int planner_llm_read(Arena *arena, const PlanContext *context, Slice answer,
                              PlanList *ret_list, size_t *ret_dropped, Err *e);

#endif
