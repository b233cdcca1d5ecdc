#include "improve/attempt_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

const char *const ATTEMPT_PHASE_NAMES[ATTEMPT_PHASES + 1] = {
    "picked", "registered", "working", "judging", "publishing", "done", "given up", NULL};

// clang-format off
#define TEXT(member, key, words) TEXT_FIELD(AttemptState, member, key, FIELD_TEXT, words)
static const Field STATE_FIELDS[] = {
    TEXT(id, "id", "A ULID."),
    CHOICE_FIELD(AttemptState, phase, "phase", ATTEMPT_PHASE_NAMES, 0, "How far it is."),
    INT_FIELD(AttemptState, round, "round", 0, 1000, 0, "Of the engine."),
    INT_FIELD(AttemptState, judged, "judged", 0, 1000, 0, "Patches so far."),
    TEXT(goal_id, "goal", "Of the plan."),
    TEXT(goal_title, "title", "Of the goal."),
    TEXT(workload, "workload", "That is claimed."),
    CHOICE_FIELD(AttemptState, goal_kind, "kind", GOAL_KIND_NAMES, 0, "What gets better."),
    REAL_FIELD(AttemptState, min_effect, "min_effect", 0, 0.99, 0, "That counts."),
    TEXT_FIELD(AttemptState, goal_files, "files", FIELD_NAMES, "Where to look."),
    TEXT(engine, "engine", "Who writes the patch."),
    TEXT(base_commit, "base", "Commit."),
    TEXT(steps_sha256, "steps_sha256", "As approved."),
    TEXT(plan_sha256, "plan_sha256", "As approved."),
    TEXT(proposal, "proposal", "In the ledger."),
    TEXT(verdict, "verdict", "Of the newest patch."),
    TEXT(claim, "claim", "Measured."),
    TEXT(reason, "reason", "Why this verdict."),
    TEXT(run_id, "run", "In the ledger."),
    TEXT(branch, "branch", "That it made."),
    TEXT(commit, "commit", "Of the branch."),
    TEXT(bundle, "bundle", "Its id."),
    TEXT(engine_status, "engine_status", "How it ended."),
    TEXT(url, "url", "Of the pull request."),
    TEXT(outcome, "outcome", "What people did with it."),
    TEXT(error, "error", "Why it was given up."),
    INT_FIELD(AttemptState, spent_ns, "spent_ns", 0, 9e18, 0, "Time of the engine."),
    INT_FIELD(AttemptState, spent_tokens, "spent_tokens", 0, 9e18, 0, "Of the engine."),
    REAL_FIELD(AttemptState, spent_usd, "spent_usd", 0, 1e9, 0, "Of the engine."),
    TEXT(created, "created", "When."),
    TEXT(updated, "updated", "When."),
};
// clang-format on
static const FieldTable STATE_TABLE = {"attempt", STATE_FIELDS, COUNT_OF(STATE_FIELDS)};

Slice attempt_time(Arena *arena, int64_t unix_ns)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        return SLICE("");
    }
    return arena_copy(arena, slice_from_cstr(text));
}

Slice attempt_file(Arena *arena, const AttemptState *state, const char *name)
{
    return arena_printf(arena, "attempts/%.*s/%s", SLICE_FMT(state->id), name);
}

void attempt_state_write(const AttemptState *state, JsonWriter *w)
{
    fields_write(&STATE_TABLE, state, w);
}

int attempt_state_load(const Place *place, Arena *arena, Slice id, AttemptState *ret_state, Err *e)
{
    Slice text;
    const Doc *doc = NULL;
    Slice name = arena_printf(arena, "attempts/%.*s/state.json", SLICE_FMT(id));
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = name.ptr, .max_bytes = 1 << 20, .max_nodes = 1000};
    int rc = place_read(place, arena, name, &text, e);
    if (rc != 0 || (rc = doc_parse(arena, text, &options, &doc, e)) != 0 ||
        (rc = doc_expect(doc, DOC_OBJECT, "the state of an attempt", e)) != 0) {
        return rc;
    }
    AttemptState state;
    fields_init(&STATE_TABLE, &state);
    rc = fields_read(arena, &STATE_TABLE, doc, &state, e);
    if (rc == 0 && !slice_eq(state.id, id)) {
        rc = err_set(e, ERR_CORRUPT, "%s is the state of another attempt", name.ptr);
    }
    if (rc == 0) {
        *ret_state = state;
    }
    return rc;
}

int attempt_state_save(const Place *place, Arena *arena, AttemptState *state, Err *e)
{
    Buf text = buf_create(1 << 20);
    JsonWriter w = json_writer(&text, 2);
    state->updated = attempt_time(arena, clock_wall(clock_real()));
    attempt_state_write(state, &w);
    buf_putc(&text, '\n');
    int rc = buf_check(&text, "the state of an attempt", e);
    rc = rc == 0 ? place_write(place, attempt_file(arena, state, "state.json"), buf_slice(&text), e)
                 : rc;
    buf_done(&text);
    return rc;
}

int attempt_state_list(const Place *place, Arena *arena, AttemptState **ret_states,
                       size_t *ret_count, Err *e)
{
    Slice *names = NULL;
    size_t count = 0, kept = 0;
    int rc = place_list(place, arena, SLICE("attempts"), ATTEMPTS_MAX, &names, &count, e);
    AttemptState *states = ARENA_ARRAY(arena, AttemptState, count + 1);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!ulid_valid(names[i])) {
            continue;
        }
        rc = attempt_state_load(place, arena, names[i], &states[kept], e);
        kept += rc == 0;
        rc = rc == ERR_NOT_FOUND ? 0 : rc; // killed before its first turn
    }
    if (rc == 0) {
        *ret_states = states;
        *ret_count = kept;
    }
    return rc;
}

int attempt_state_find(const Place *place, Arena *arena, Slice selector, AttemptState *ret_state,
                       Err *e)
{
    AttemptState *states = NULL;
    size_t count = 0, found = 0;
    int rc = attempt_state_list(place, arena, &states, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (selector.len == 0 || slice_ends_with(states[i].id, selector)) {
            *ret_state = states[i];
            found++;
        }
    }
    if (rc != 0 || found == 1 || (found > 0 && selector.len == 0)) {
        return rc;
    }
    if (found > 1) {
        return err_set(e, ERR_ARG, "several attempts end with \"%.*s\": give more of the id",
                       SLICE_FMT(selector));
    }
    return selector.len == 0
               ? err_set(e, ERR_NOT_FOUND, "no attempt was made yet: `perfwright improve attempt`")
               : err_set(e, ERR_NOT_FOUND,
                         "there is no attempt \"%.*s\"; `perfwright improve "
                         "status` lists them",
                         SLICE_FMT(selector));
}

int attempt_lock(const Place *place, Arena *arena, const AttemptState *state, int *ret_fd, Err *e)
{
    const char *path = NULL;
    int rc = place_path(place, arena, attempt_file(arena, state, "lock"), &path, e);
    if (rc != 0) {
        return rc;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_errno(e, ERR_IO, errno, "%s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int number = errno;
        (void)close(fd);
        return number == EWOULDBLOCK
                   ? err_set(e, ERR_BUSY, "attempt %.*s is being worked on by another process",
                             SLICE_FMT(state->id))
                   : err_errno(e, ERR_IO, number, "%s", path);
    }
    *ret_fd = fd;
    return 0;
}
