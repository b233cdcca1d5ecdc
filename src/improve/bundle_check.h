// Does a bundle fit itself, and does a second measurement fit its claim?
//
//     rc = bundle_check(bundle, known_hash, arena, &problems, e);     // ERR_CORRUPT: tampered
//     BundleAgreement a = bundle_agree(claim, report);                // after judge_patch here
//
// bundle_check looks at every hash, and at what the parts say of one another: the patch that the
// report names, the steps that were registered, the registration that the ledger's records hold and
// their hashes, the ratios that follow from the samples.
#ifndef IMPROVE_BUNDLE_CHECK_H
#define IMPROVE_BUNDLE_CHECK_H

#include "improve/bundle_claim.h"
#include "improve/judge.h"

// `known_hash`: of a record or head of the ledger, kept elsewhere (a pipeline's log), that must be
// among the records; empty: none. `ret_claim` may be NULL. 0, ERR_CORRUPT with the first problem in
// words and all of them in `ret_problems`, or ERR_NOT_FOUND when there is no claim.
MUST_USE int bundle_check(const Bundle *bundle, Slice known_hash, Arena *arena,
                          BundleProblems *ret_problems, BundleClaim **ret_claim, Err *e);

// The ratio with its interval that the samples of a session give: base over patched, Hodges and
// Lehmann's estimate of the logarithms, one value a round. NAN without two rounds.
void bundle_ratio(const BundleWorkload *workload, int session, double *ret_ratio,
                  Interval *ret_interval);

typedef enum BundleHolds {
    BUNDLE_HOLDS,       // the same verdict or a better one, and the intervals overlap
    BUNDLE_HOLDS_LESS,  // faster here too, but by another amount: the intervals do not overlap
    BUNDLE_HOLDS_NOT,   // shown here: not faster, slower, broken, cheating
    BUNDLE_NOT_DECIDED, // the measurement here cannot tell
    BUNDLE_NO_CLAIM,    // the bundle does not claim a gain
    BUNDLE_HOLD_KINDS,
} BundleHolds;
extern const char *const BUNDLE_HOLDS_NAMES[BUNDLE_HOLD_KINDS + 1];

typedef struct BundleAgreement {
    BundleHolds holds;
    double there, here; // ratios of the headline, base over patched; NAN: unknown
    Interval there_interval, here_interval;
    Slice workload; // of the headline
} BundleAgreement;

BundleAgreement bundle_agree(const BundleClaim *claim, const JudgeReport *report);
// "The claim holds here: 1.52x [1.48, 1.57] there, 1.47x [1.40, 1.55] here, on parse."
void bundle_agreement_print(const BundleAgreement *agreement, Buf *out);

// The claim, its workloads, and the parts with sizes and hashes, for people.
void bundle_print(const Bundle *bundle, const BundleClaim *claim, Buf *out);

#endif
