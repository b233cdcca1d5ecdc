// Pre-registration: what will be measured and what will count as success, fixed and hashed into the
// ledger before there is a patch to like or dislike.
//
// A registration names the workloads, the metric, the smallest effect that counts, alpha, the base
// commit and the hash of the steps. The seed of the hidden inputs must be unknown to whoever writes
// the patch and yet not be ours to choose afterwards: a secret nonce is drawn now and committed to
// (its SHA-256 is registered), and the seed is SHA-256(nonce, patch) once the patch is fixed. The
// nonce is revealed in the report, so that anybody can compute the seed again.
//
//     Registration r = {.goal = SLICE("parse 20 % faster"), .base_commit = head, ...};
//     rc = registration_make(arena, &r, e);          // draws the nonce, computes the hash
//     rc = registration_record(ledger, &r, e);       // a proposal of kind patch, state draft
//     ... a patch appears ...
//     rc = registration_check(&r, steps_sha256, base_commit, e);
//     uint64_t seed = registration_seed(&r, patch);
#ifndef IMPROVE_PREREGISTER_H
#define IMPROVE_PREREGISTER_H

#include "base/arena.h"
#include "base/json_write.h"
#include "bench/sample.h"
#include "ledger/proposal.h"
#include "ledger/sha256.h"

enum {
    REGISTRATION_VERSION = 1,
    REGISTRATION_NONCE_BYTES = 32,
    REGISTRATION_WORKLOADS_MAX = 64,
    REGISTRATION_BYTES_MAX = 1 << 20, // of the document
};

typedef struct RegisteredWorkload {
    Slice name;
    Slice run; // the command as the steps say it, placeholders and all
    BenchMetric metric;
} RegisteredWorkload;

typedef struct Registration {
    Slice goal;        // one line for people
    Slice target;      // the repository
    Slice base_commit; // hexadecimal object id, or "tree:" and a hash for a plain directory
    char steps_sha256[SHA256_HEX + 1];
    RegisteredWorkload *workloads; // the first is the headline
    size_t workload_count;
    // The patch must make the metric at least this much smaller for PROVEN: 0.05 means that base
    // over patched lies beyond 1.05. Two whole percent of it are what equal programs differ by on a
    // busy virtual machine, and up to about 5 what code layout alone can do.
    double min_effect; // 0: REGISTRATION_MIN_EFFECT
    double alpha;      // of the headline claim, both directions together; 0: 0.01
    uint32_t rounds_max;
    int64_t budget_ns; // of measuring
    // Filled in by registration_make.
    uint8_t nonce[REGISTRATION_NONCE_BYTES];
    char commitment[SHA256_HEX + 1]; // SHA-256 of the nonce
    char sha256[SHA256_HEX + 1];     // of the canonical document without the nonce
    // Filled in by registration_record: the proposal that says so.
    char proposal_id[PROPOSAL_ID_LEN + 1];
} Registration;

#define REGISTRATION_MIN_EFFECT 0.05
#define REGISTRATION_ALPHA      0.01

// Checks ranges, puts in defaults, draws the nonce from the kernel unless `seed` is given (then it
// follows from the seed: for repeating a judgement, and said in reports), hashes. ERR_ARG, ERR_IO.
MUST_USE int registration_make(Registration *r, const uint64_t *seed, Err *e);
// Appends the draft to the ledger and sets proposal_id.
MUST_USE int registration_record(Ledger *ledger, Registration *r, Err *e);

// The document: canonical, without the nonce (what is hashed and recorded).
void registration_write(const Registration *r, JsonWriter *w);
// The same with the nonce, for whoever must keep it across a restart. Keep it out of the sandbox.
void registration_write_secret(const Registration *r, JsonWriter *w);
// Reads either form. Strict: positions in errors, the hash is computed again and a document that
// says another one is ERR_CORRUPT, as is a nonce that does not fit its commitment.
MUST_USE int registration_read(Arena *arena, const Doc *doc, Registration *ret_r, Err *e);

// ERR_CONFLICT when the steps or the base are not those that were registered.
MUST_USE int registration_check(const Registration *r, const char *steps_sha256, Slice base_commit,
                                Err *e);
// Of the hidden inputs: known only now that the patch is.
uint64_t registration_seed(const Registration *r, Slice patch);

#endif
