// A bundle of evidence given to `improve verify`: opened and checked, turned into something to
// judge, and compared with what the judge found here.
//
//     rc = improve_bundle_open(app, arena, path, head, &b, e);          // tampered: ERR_REFUSED
//     rc = improve_bundle_judge(b, arena, repository, &options, &steps, e);
//     rc = judge_patch(&options, arena, &report, e);
//     improve_bundle_tell(b, report, &app->out);
//     improve_bundle_close(b);
#ifndef CLI_IMPROVE_BUNDLE_H
#define CLI_IMPROVE_BUNDLE_H

#include "cli/app.h"
#include "improve/bundle_check.h"
#include "improve/steps.h"

typedef struct ImproveBundle ImproveBundle;

// A file that starts as gzip does; directories and repositories do not.
bool improve_is_bundle(const char *path);

// `head`: a hash of the ledger kept elsewhere; may be empty. What does not match is said, each on a
// line, and the bundle refused.
MUST_USE int improve_bundle_open(App *app, Arena *arena, const char *path, Slice head,
                                 ImproveBundle **ret_bundle, Err *e);
void improve_bundle_close(ImproveBundle *bundle); // NULL is fine

// What the bundle claims and holds.
void improve_bundle_show(const ImproveBundle *bundle, Buf *out);

// Fills repository, base, patch, steps and least effect of *options. The repository is `repository`
// at the claim's base revision, or where that is NULL the base tree that the bundle holds, in a
// temporary directory until improve_bundle_close. ERR_NOT_FOUND says what is missing.
MUST_USE int improve_bundle_judge(ImproveBundle *bundle, Arena *arena, const char *repository,
                                  JudgeOptions *options, Steps *ret_steps, Err *e);
// The evidence of a judgement as one file: report, samples, patch, steps, ledger's records, base.
MUST_USE int improve_bundle_write(App *app, const char *path, const JudgeOptions *options,
                                  const Steps *steps, const JudgeReport *report, Arena *arena,
                                  Err *e);
void improve_bundle_tell(const ImproveBundle *bundle, const JudgeReport *report, Buf *out);

#endif
