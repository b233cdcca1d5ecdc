// Asks the guard rails about a plan: gathers what the plan would touch, and how hard, into the
// GuardRun that guard_check_run judges.
#ifndef ASSESS_GUARDING_H
#define ASSESS_GUARDING_H

#include "guard/guard.h"
#include "load/plan.h"

typedef struct GuardingOptions {
    GuardCaller caller;
    bool data_isolated; // a person's --data isolated
} GuardingOptions;

// Checks and enters. ERR_REFUSED names the rule and where it is set.
MUST_USE int guarding_enter(Guard *guard, const Plan *plan, const GuardingOptions *options,
                            Arena *arena, Err *e);

#endif
