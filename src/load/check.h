// Checks and extractions on an answer, and the two decisions between requests: how long to think
// and which way to go. Pure functions; what they allocate stays in the Buf the caller keeps.
#ifndef LOAD_CHECK_H
#define LOAD_CHECK_H

#include "base/rng.h"
#include "load/plan.h"
#include "net/http_head.h"

// What an answer is to its checks. status 0: there was none, `head` may be NULL and only checks on
// the absence of something hold.
typedef struct CheckAnswer {
    int status;
    const HttpHead *head;
    Slice body; // decoded
    int64_t duration_ns;
} CheckAnswer;

bool status_in(const StatusRange *ranges, size_t count, int status);

// Whether the answer is as it should be, `negate` included. A header check holds when any field of
// that name does. `scratch` is overwritten.
bool check_holds(const PlanCheck *check, const CheckAnswer *answer, Buf *scratch);

// Appends the value to `out`. False when there is none and no default: the iteration's rest has to
// be skipped. `scratch` is overwritten; it may not be `out`.
bool extract_take(const PlanExtract *extract, const CheckAnswer *answer, Buf *scratch, Buf *out);

// A pause, never negative, at most THINK_NS_MAX. normal and lognormal have the mean and standard
// deviation of the pause itself; normal is cut off at 0.
#define THINK_NS_MAX (INT64_C(86400) * 1000000000)
int64_t think_sample(const PlanThink *think, Rng *rng);

// The step of a STEP_CHOOSE that this draw goes to, by weight; NULL when it has none.
const PlanStep *step_choose(const PlanStep *choose, Rng *rng);

#endif
