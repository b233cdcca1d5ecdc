// How far an attempt is: a small file that is replaced in one step at every turn, so that an
// attempt whose process died goes on where it was.
//
//     picked ──> registered ──> working ⇄ judging ──> publishing ──> done
//                                  └──────────┴─────────────┴──> given up
//
// Everything that a turn made is stored before the turn is taken: the registration before the
// engine starts, the patch before it is judged, the verdict before anything is published. A turn
// that was cut short is taken again from its beginning (docs/internals/improve.md).
#ifndef IMPROVE_ATTEMPT_STATE_H
#define IMPROVE_ATTEMPT_STATE_H

#include "improve/place.h"
#include "improve/plan_doc.h"
#include "improve/verdict.h"
#include "ledger/ulid.h"

enum {
    ATTEMPTS_MAX = 1000, // kept in .perfwright/attempts
    ATTEMPT_ROUNDS_MAX = 3,
};

typedef enum AttemptPhase {
    ATTEMPT_PICKED,
    ATTEMPT_REGISTERED,
    ATTEMPT_WORKING, // the engine
    ATTEMPT_JUDGING,
    ATTEMPT_PUBLISHING,
    ATTEMPT_DONE,
    ATTEMPT_GIVEN_UP,
    ATTEMPT_PHASES,
} AttemptPhase;
extern const char *const ATTEMPT_PHASE_NAMES[ATTEMPT_PHASES + 1];

static inline bool attempt_is_over(int64_t phase)
{
    return phase == ATTEMPT_DONE || phase == ATTEMPT_GIVEN_UP;
}

typedef struct AttemptState {
    Slice id; // a ULID
    int64_t phase;
    int64_t round;  // of the engine, from 1
    int64_t judged; // patches so far
    Slice goal_id, goal_title, workload;
    int64_t goal_kind;
    double min_effect;
    FieldNames goal_files;
    Slice engine;
    Slice base_commit;
    Slice steps_sha256, plan_sha256;
    Slice proposal; // the registration in the ledger
    Slice verdict;  // of the newest patch, PATCH_VERDICT_NAMES; empty: none yet
    Slice claim, reason, run_id;
    Slice branch, commit, bundle; // what it left: bundle is its id
    Slice engine_status;
    Slice url;     // of the pull request
    Slice outcome; // merged, closed, ignored; empty: not known
    Slice error;   // why it was given up
    int64_t spent_ns, spent_tokens;
    double spent_usd;
    Slice created, updated; // times for people
} AttemptState;

// Strict; ERR_PARSE names the place. A file of another attempt's id is ERR_CORRUPT.
MUST_USE int attempt_state_load(const Place *place, Arena *arena, Slice id, AttemptState *ret_state,
                                Err *e);
// By id, by its end, or empty: the newest. ERR_NOT_FOUND.
MUST_USE int attempt_state_find(const Place *place, Arena *arena, Slice selector,
                                AttemptState *ret_state, Err *e);
// Sets `updated`.
MUST_USE int attempt_state_save(const Place *place, Arena *arena, AttemptState *state, Err *e);
// Oldest first; directories without a state are left out.
MUST_USE int attempt_state_list(const Place *place, Arena *arena, AttemptState **ret_states,
                                size_t *ret_count, Err *e);
// "attempts/ID/NAME", for place_read and place_write.
Slice attempt_file(Arena *arena, const AttemptState *state, const char *name);
void attempt_state_write(const AttemptState *state, JsonWriter *w);

// Held while an attempt runs. ERR_BUSY when another process holds it. The lock goes with the
// process, whatever ends it.
MUST_USE int attempt_lock(const Place *place, Arena *arena, const AttemptState *state, int *ret_fd,
                          Err *e);

// 2026-11-21T12:00:00Z, in `arena`.
Slice attempt_time(Arena *arena, int64_t unix_ns);

#endif
