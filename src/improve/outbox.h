// The outbox: the one door through which anything leaves the machine. A push, a pull request, a
// comment or an issue is a typed request in .perfwright/outbox/, checked, counted against caps, and
// sent only when a person asks for it. Requests can be staged, looked at, sent or dropped.
//
//     OutboxRequest r = {.kind = OUTBOX_PR, .attempt = id, .branch = branch, .title = ..., ...};
//     rc = outbox_add(&place, &r, e);                        // staged; r.id is set
//     rc = outbox_send(&place, arena, &world, &r, e);        // through git and gh
//
// Only perfwright makes requests, from its own records: an engine has no way to, and neither has
// text that stands in a repository, an issue or a comment.
//
// A request is marked as being sent before it is, so that a run that was killed in between leaves
// one that says so. Sending a pull request again first looks whether it is there.
#ifndef IMPROVE_OUTBOX_H
#define IMPROVE_OUTBOX_H

#include "base/field.h"
#include "improve/place.h"
#include "ledger/ulid.h"

enum {
    OUTBOX_MAX = 200, // requests kept
    OUTBOX_TITLE_MAX = 200,
    OUTBOX_BODY_MAX = 60000, // GitHub takes 65,536 characters
    OUTBOX_PRS_PER_ATTEMPT = 1,
    OUTBOX_PRS_OPEN = 3,
    OUTBOX_COMMENTS_PER_RUN = 3,
};

typedef enum OutboxKind {
    OUTBOX_PUSH,
    OUTBOX_PR,
    OUTBOX_COMMENT,
    OUTBOX_ISSUE,
    OUTBOX_KINDS,
} OutboxKind;
extern const char *const OUTBOX_KIND_NAMES[OUTBOX_KINDS + 1];

typedef enum OutboxState {
    OUTBOX_STAGED,
    OUTBOX_SENDING, // begun and not known to have ended
    OUTBOX_SENT,
    OUTBOX_FAILED,
    OUTBOX_DROPPED,
    OUTBOX_STATES,
} OutboxState;
extern const char *const OUTBOX_STATE_NAMES[OUTBOX_STATES + 1];

typedef struct OutboxRequest {
    Slice id; // a ULID; set by outbox_add
    int64_t kind;
    int64_t state;
    Slice attempt; // that it belongs to
    Slice run;     // of the program; caps on comments count by it
    Slice title;
    Slice body;
    Slice branch;   // "perfwright/..."
    Slice base;     // the branch that a pull request is for; empty: the repository's default
    Slice commit;   // what is pushed
    Slice remote;   // a URL; empty: gh decides
    int64_t number; // of the pull request that is commented on
    Slice result;   // a URL, or what went wrong
    Slice created;
} OutboxRequest;

// 0, or ERR_ARG in words for a person: kinds and their fields, lengths, names of branches (below
// perfwright/ only), control characters.
MUST_USE int outbox_check(const OutboxRequest *request, Err *e);
// Checks, counts against the caps (ERR_REFUSED) and stores as staged. `request->id` lives in
// `arena`.
MUST_USE int outbox_add(const Place *place, Arena *arena, OutboxRequest *request, Err *e);
// Oldest first. A file that is no request is an error that names it.
MUST_USE int outbox_list(const Place *place, Arena *arena, OutboxRequest **ret_requests,
                         size_t *ret_count, Err *e);
// By id or its end. ERR_NOT_FOUND, ERR_ARG when several fit.
MUST_USE int outbox_load(const Place *place, Arena *arena, Slice id, OutboxRequest *ret_request,
                         Err *e);
// ERR_CONFLICT for one that was sent.
MUST_USE int outbox_drop(const Place *place, Arena *arena, Slice id, Err *e);

// What sending needs of the world.
typedef struct OutboxWorld {
    // Runs a program in the repository and appends what it prints; *ret_exit is its exit code.
    // Errors are for what could not be started.
    int (*run_fn)(void *ctx, const char *const *argv, Buf *out, int *ret_exit, Err *e);
    void *ctx;
    const char *shadow_git_dir; // a clean git directory of ours that a push goes from
    const char *objects;        // the repository's objects
} OutboxWorld;

// Sends one and stores what came of it: ERR_REFUSED past OUTBOX_PRS_OPEN, ERR_CONFLICT for one that
// was sent or dropped, ERR_UNSUPPORTED without gh, ERR_IO with gh's own words.
MUST_USE int outbox_send(const Place *place, Arena *arena, const OutboxWorld *world,
                         OutboxRequest *request, Err *e);

void outbox_write(const OutboxRequest *request, JsonWriter *w);
void outbox_print(const OutboxRequest *request, Buf *out); // for people

#endif
