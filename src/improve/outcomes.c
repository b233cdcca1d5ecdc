#include "improve/outcomes.h"

#include <stdlib.h>
#include <time.h>

#include "base/json_view.h"
#include "os/clock.h"

const char *const OUTCOME_NAMES[OUTCOMES + 1] = {"unknown", "open",    "merged",
                                                 "closed",  "ignored", NULL};

enum { COMMENT_MAX = 2000, RATED_FILES_MAX = 500 };

Outcome outcome_of(Slice name)
{
    for (int i = 0; i < OUTCOMES; i++) {
        if (slice_eq_cstr(name, OUTCOME_NAMES[i])) {
            return (Outcome)i;
        }
    }
    return OUTCOME_UNKNOWN;
}

// ---- from gh

static void take_comments(JsonVal *list, Buf *out, size_t *count)
{
    yyjson_arr_iter it;
    JsonVal *item;
    if (!yyjson_is_arr(list)) {
        return;
    }
    (void)yyjson_arr_iter_init(list, &it);
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        Slice body = slice_trim(json_text_at(item, "body"));
        Slice author = json_text_at(json_at(item, "author"), "login");
        if (body.len > 0 && out->len + body.len < OUTCOME_COMMENTS_MAX) {
            buf_printf(out, "%.*s: %.*s\n\n", SLICE_FMT(slice_sub(author, 0, 60)),
                       SLICE_FMT(slice_sub(body, 0, COMMENT_MAX)));
        }
        (*count)++;
    }
}

static int64_t unix_s_of(Slice text)
{
    struct tm tm = {0};
    char copy[32];
    if (text.len < 19 || text.len >= sizeof copy) {
        return 0;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

int outcome_from_gh(Arena *arena, Slice json, int64_t now_unix_ns, Outcome *ret_outcome,
                    Slice *ret_comments, Err *e)
{
    JsonDoc *doc = yyjson_read(json.ptr, json.len, 0);
    JsonVal *root = yyjson_doc_get_root(doc);
    Slice state = json_text_at(root, "state");
    Buf comments = buf_create(2 * OUTCOME_COMMENTS_MAX);
    size_t count = 0;
    int rc = 0;
    take_comments(json_at(root, "comments"), &comments, &count);
    take_comments(json_at(root, "reviews"), &comments, &count);
    int64_t updated = unix_s_of(json_text_at(root, "updatedAt"));
    int64_t age_s = now_unix_ns / NS_PER_S - updated;
    if (slice_eq_cstr(state, "MERGED")) {
        *ret_outcome = OUTCOME_MERGED;
    } else if (slice_eq_cstr(state, "CLOSED")) {
        *ret_outcome = OUTCOME_CLOSED;
    } else if (slice_eq_cstr(state, "OPEN")) {
        bool ignored = count == 0 && updated > 0 && age_s > OUTCOME_IGNORED_DAYS * INT64_C(86400);
        *ret_outcome = ignored ? OUTCOME_IGNORED : OUTCOME_OPEN;
    } else {
        rc = err_set(e, ERR_PROTOCOL, "gh pr view did not say the state of the pull request");
    }
    if (rc == 0) {
        *ret_comments = arena_copy(arena, buf_slice(&comments));
    }
    buf_done(&comments);
    yyjson_doc_free(doc);
    return rc;
}

// ---- from git

void outcome_patch_id(Slice diff, char out[SHA256_HEX + 1])
{
    Buf kept = buf_create(diff.len + 1);
    for (Slice rest = diff, line; rest.len > 0;) {
        (void)slice_cut(rest, '\n', &line, &rest);
        bool name =
            slice_starts_with(line, SLICE("--- ")) || slice_starts_with(line, SLICE("+++ "));
        bool change = line.len > 0 && (line.ptr[0] == '+' || line.ptr[0] == '-');
        if (name || change) {
            buf_append(&kept, line);
            buf_putc(&kept, '\n');
        }
    }
    Sha256 hash = sha256_of(buf_slice(&kept));
    sha256_hex(&hash, out);
    buf_done(&kept);
}

int outcome_from_git(Git *git, const AttemptState *state, Slice patch, Outcome *ret_outcome, Err *e)
{
    const GitCommit *commits = NULL;
    size_t count = 0;
    char ours[SHA256_HEX + 1], theirs[SHA256_HEX + 1];
    GitLogOptions log = {.commits_max = OUTCOME_COMMITS_MAX};
    int rc = git_log(git, &log, &commits, &count, e);
    outcome_patch_id(patch, ours);
    *ret_outcome = OUTCOME_UNKNOWN;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (state->commit.len > 0 && slice_eq_cstr(state->commit, commits[i].hash)) {
            *ret_outcome = OUTCOME_MERGED;
            return 0;
        }
        if (slice_eq_cstr(state->base_commit, commits[i].hash)) {
            break; // older than what the patch was made for
        }
        GitHash base, head;
        Buf diff = buf_create(GIT_OUTPUT_BYTES_MAX);
        if (patch.len > 0 && git_range(git, commits[i].hash, base, head, NULL) == 0 &&
            git_diff(git, base, head, &diff, NULL) == 0) {
            outcome_patch_id(buf_slice(&diff), theirs);
            if (strcmp(ours, theirs) == 0) {
                *ret_outcome = OUTCOME_MERGED;
            }
        }
        buf_done(&diff);
        if (*ret_outcome == OUTCOME_MERGED) {
            return 0;
        }
    }
    return rc;
}

// ---- rates

static void count_one(OutcomeRate *rate, int accepted)
{
    rate->accepted += accepted > 0;
    rate->refused += accepted < 0;
    rate->mean = (double)(1 + rate->accepted) / (double)(2 + rate->accepted + rate->refused);
}

// 1 accepted, -1 not, 0 not known yet.
static int accepted(const AttemptState *s)
{
    Outcome outcome = outcome_of(s->outcome);
    bool proven = slice_eq_cstr(s->verdict, PATCH_VERDICT_NAMES[PATCH_PROVEN]) ||
                  slice_eq_cstr(s->verdict, PATCH_VERDICT_NAMES[PATCH_SMALL]);
    if (outcome == OUTCOME_MERGED) {
        return 1;
    }
    if (outcome == OUTCOME_CLOSED || outcome == OUTCOME_IGNORED) {
        return -1;
    }
    return attempt_is_over(s->phase) && s->verdict.len > 0 && !proven ? -1 : 0;
}

static OutcomeRate *rate_of_file(OutcomeRates *rates, Slice file)
{
    for (size_t i = 0; i < rates->file_count; i++) {
        if (slice_eq(rates->files[i].name, file)) {
            return &rates->files[i];
        }
    }
    if (rates->file_count == RATED_FILES_MAX) {
        return NULL;
    }
    rates->files[rates->file_count] = (OutcomeRate){.name = file, .mean = 0.5};
    return &rates->files[rates->file_count++];
}

void outcome_rates(Arena *arena, const AttemptState *states, size_t count, OutcomeRates *ret_rates)
{
    OutcomeRates rates = {.files = ARENA_ARRAY(arena, OutcomeRate, RATED_FILES_MAX)};
    for (int i = 0; i < GOAL_KINDS; i++) {
        rates.kinds[i] = (OutcomeRate){.name = slice_from_cstr(GOAL_KIND_NAMES[i]), .mean = 0.5};
    }
    for (size_t i = 0; i < count; i++) {
        int how = accepted(&states[i]);
        count_one(&rates.kinds[states[i].goal_kind], how);
        for (size_t k = 0; k < states[i].goal_files.count; k++) {
            OutcomeRate *rate = rate_of_file(&rates, states[i].goal_files.items[k]);
            if (rate) {
                count_one(rate, how);
            }
        }
    }
    *ret_rates = rates;
}

// ---- the next goal

static bool was_tried(const AttemptState *states, size_t count, Slice id)
{
    for (size_t i = 0; i < count; i++) {
        // One that was given up before a patch was judged says nothing about the goal.
        if (slice_eq(states[i].goal_id, id) &&
            (states[i].judged > 0 || !attempt_is_over(states[i].phase))) {
            return true;
        }
    }
    return false;
}

static bool note_is_about(const MemoryNote *note, const PlanGoal *goal)
{
    bool about = slice_eq(note->goal, goal->id);
    for (size_t i = 0; i < note->files.count; i++) {
        for (size_t k = 0; k < goal->files.count; k++) {
            about = about || slice_eq(note->files.items[i], goal->files.items[k]);
        }
    }
    return about;
}

static const MemoryNote *note_of(const Memory *memory, NoteKind kind, const PlanGoal *goal)
{
    for (size_t i = 0; memory && i < memory->count; i++) {
        const MemoryNote *note = &memory->notes[i];
        if (note->kind == kind && !note->stale && !note->broken && note_is_about(note, goal)) {
            return note;
        }
    }
    return NULL;
}

static double score_of(const PlanGoal *goal, const Memory *memory, const OutcomeRates *rates)
{
    double rate = rates->kinds[goal->kind].mean;
    for (size_t k = 0; k < goal->files.count; k++) {
        for (size_t i = 0; i < rates->file_count; i++) {
            if (slice_eq(rates->files[i].name, goal->files.items[k])) {
                rate *= 2 * rates->files[i].mean;
            }
        }
    }
    // A person's word counts more than the round, the round more than what was learned.
    return (note_of(memory, NOTE_PREFER, goal) ? 100 : 0) + 10 * (double)(9 - goal->round) +
           (rate < 9 ? rate : 9);
}

static int take_wanted(Arena *arena, const PlanDoc *plan, const Memory *memory, Slice wanted,
                       GoalChoice *ret, Err *e)
{
    const PlanGoal *goal = plan_doc_goal(plan, wanted);
    if (!goal) {
        Sha256 hash = sha256_of(wanted);
        char hex[SHA256_HEX + 1];
        sha256_hex(&hash, hex);
        PlanGoal *own = ARENA_NEW(arena, PlanGoal);
        *own = (PlanGoal){.id = arena_printf(arena, "p%.8s", hex),
                          .round = 1,
                          .title = arena_copy(arena, slice_sub(wanted, 0, 300)),
                          .by_person = true};
        if (slice_find_byte(own->title, '\n') >= 0) {
            return err_set(e, ERR_ARG, "--goal must be one line");
        }
        goal = own;
    }
    if (goal->state == GOAL_REFUSED) {
        return err_set(e, ERR_REFUSED, "goal %.*s: %.*s", SLICE_FMT(goal->id),
                       SLICE_FMT(goal->why));
    }
    if (goal->kind == GOAL_MEASURING) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "goal %.*s is about measuring: a judge that measures by the benchmarks cannot "
            "judge a change of them. It is for a person; edit steps.yaml and research "
            "again",
            SLICE_FMT(goal->id));
    }
    const MemoryNote *note = note_of(memory, NOTE_AVOID, goal);
    if (note && note->by == NOTE_BY_PERSON) {
        return err_set(e, ERR_REFUSED, "goal %.*s: note %.*s says to leave it alone",
                       SLICE_FMT(goal->id), SLICE_FMT(note->name));
    }
    *ret = (GoalChoice){.goal = goal, .why = SLICE("it was asked for")};
    return 0;
}

int goal_choose(Arena *arena, const PlanDoc *plan, const AttemptState *states, size_t count,
                const Memory *memory, const OutcomeRates *rates, Slice wanted,
                GoalChoice *ret_choice, Err *e)
{
    if (wanted.len > 0) {
        return take_wanted(arena, plan, memory, wanted, ret_choice, e);
    }
    size_t tried = 0, avoided = 0, closed = 0, measuring = 0;
    GoalChoice best = {0};
    for (size_t i = 0; i < plan->goal_count; i++) {
        const PlanGoal *goal = &plan->goals[i];
        if (goal->state != GOAL_OPEN) {
            closed++;
        } else if (goal->kind == GOAL_MEASURING) {
            measuring++;
        } else if (was_tried(states, count, goal->id)) {
            tried++;
        } else if (note_of(memory, NOTE_AVOID, goal)) {
            avoided++;
        } else {
            double score = score_of(goal, memory, rates);
            if (!best.goal || score > best.score) {
                best = (GoalChoice){.goal = goal, .score = score};
            }
        }
    }
    if (!best.goal) {
        return err_set(e, ERR_NOT_FOUND,
                       "no goal is left: %zu tried, %zu closed or refused, %zu avoided by notes, "
                       "%zu about measuring, which are for a person; add one to plan.md, or name "
                       "one with --goal",
                       tried, closed, avoided, measuring);
    }
    const PlanGoal *goal = best.goal;
    best.why = arena_printf(
        arena, "round %d, %s goals were accepted %lld of %lld times%s", (int)goal->round,
        GOAL_KIND_NAMES[goal->kind], (long long)rates->kinds[goal->kind].accepted,
        (long long)(rates->kinds[goal->kind].accepted + rates->kinds[goal->kind].refused),
        note_of(memory, NOTE_PREFER, goal) ? ", and a note prefers it" : "");
    *ret_choice = best;
    return 0;
}
