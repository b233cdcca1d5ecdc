// A bundle from a judgement, and the repository that a bundle holds.
//
//     BundleWriter *w = bundle_writer_create();
//     rc = bundle_add_report(w, report, SLICE("zip"), arena, e);   // claim, samples, report, ...
//     rc = bundle_add(w, BUNDLE_PATCH, diff, e);
//     rc = bundle_add_base(w, repository, "HEAD", loop, arena, e); // where the base must come
//     along rc = bundle_save(w, path, id, e);
//
//     rc = bundle_restore_base(bundle, directory, loop, arena, e); // elsewhere: a repository again
#ifndef IMPROVE_BUNDLE_REPORT_H
#define IMPROVE_BUNDLE_REPORT_H

#include "improve/bundle_claim.h"
#include "improve/judge.h"

// What the report claims, with its samples; texts are borrowed from the report, the rest is in the
// arena. Ratios are turned round: the judge's are patched over base.
BundleClaim bundle_claim_of(const JudgeReport *report, Slice repository, Arena *arena);
// claim.json, samples.json, report.json, registration.json (with the nonce, which is no secret any
// more), environment.json and commands.txt.
MUST_USE int bundle_add_report(BundleWriter *writer, const JudgeReport *report, Slice repository,
                               Arena *arena, Err *e);

// The tree of a revision as a git bundle of one commit. ERR_LIMIT where it is too large for a
// bundle. `loop`: of the calling fiber; NULL: the thread blocks.
MUST_USE int bundle_add_base(BundleWriter *writer, const char *repository, const char *revision,
                             Loop *loop, Arena *arena, Err *e);
// Makes the repository in `directory`, which must not exist. ERR_NOT_FOUND when the bundle has no
// base.
MUST_USE int bundle_restore_base(const Bundle *bundle, const char *directory, Loop *loop,
                                 Arena *arena, Err *e);

#endif
