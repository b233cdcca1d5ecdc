// The first phase: look at a repository, find out where its time goes, judge whether an attempt is
// worth it, and write the plan.
//
//     rc = research_run(&(ResearchOptions){.place = &place, .resolvable = 0.03}, arena, &plan, e);
//
// Run again, it keeps what a person wrote into plan.md and plan.json. What is run (for a profile:
// the build and one workload of steps.yaml) runs in the sandbox, in a clean copy.
#ifndef IMPROVE_RESEARCH_H
#define IMPROVE_RESEARCH_H

#include "improve/goals.h"
#include "improve/profile_step.h"
#include "ledger/ledger.h"
#include "os/loop.h"

typedef struct ResearchOptions {
    const Place *place;
    Loop *loop;           // of the calling fiber; NULL: calls block
    Slice issues;         // survey.h
    double resolvable;    // 0: not measured
    Slice engine, budget; // what is configured; empty: nothing
    bool no_profile, no_sandbox;
    const char *path;     // where programs are looked for, parted by colons; NULL: nowhere
    const char *work_dir; // of the copy for a profile; NULL: the user's cache
    Ledger *ledger;       // gets the plan as a draft; NULL: none
    bool dry_run;         // writes nothing
    void (*progress_fn)(void *ctx, const char *stage, Slice text); // may be NULL
    void *ctx;
} ResearchOptions;

// Writes plan.json and plan.md. ERR_NOT_FOUND (no commit), ERR_PARSE (a plan or steps that cannot
// be read: they are left as they are).
MUST_USE int research_run(const ResearchOptions *options, Arena *arena, PlanDoc *ret_plan, Err *e);

// The plan as it is, a person's edits taken in. ERR_NOT_FOUND in words that name the verb.
MUST_USE int plan_doc_load(const Place *place, Arena *arena, PlanDoc *ret_plan, Err *e);
// steps.yaml of the place. ERR_NOT_FOUND in words that name the verb.
MUST_USE int steps_of_place(const Place *place, Arena *arena, Steps *ret_steps, Err *e);

#endif
