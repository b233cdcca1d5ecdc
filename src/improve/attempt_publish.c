// What an attempt leaves behind: evidence, a branch, the draft of a pull request, a note.
#include "improve/attempt_impl.h"
#include "improve/bundle_report.h"
#include "improve/pr_body.h"

// ---- the bundle

// Files of this attempt and of the place that a reader wants beside the figures; what is not there
// is left out.
static int add_files(Attempt *a, BundleWriter *writer, Err *e)
{
    Slice text;
    int rc = 0;
    if (place_read(a->o->place, a->arena, SLICE("steps.yaml"), &text, NULL) == 0) {
        rc = bundle_add(writer, BUNDLE_STEPS, text, e);
    }
    if (rc == 0 && place_read(a->o->place, a->arena, SLICE("plan.md"), &text, NULL) == 0) {
        rc = bundle_add(writer, BUNDLE_PLAN, text, e);
    }
    if (rc == 0 && attempt_get(a, "patch-#.diff", &text, NULL) == 0) {
        rc = bundle_add(writer, BUNDLE_PATCH, text, e);
    }
    if (rc == 0 && attempt_get(a, "transcript-#.jsonl", &text, NULL) == 0) {
        rc = bundle_add(writer, SLICE(BUNDLE_TRANSCRIPT "engine.jsonl"), text, e);
    }
    return rc;
}

// The base comes along: whoever measures again need not have the repository. One that is too large
// stays away, and the reader is told to bring it.
static int add_base(Attempt *a, BundleWriter *writer, Err *e)
{
    Err why = {0};
    int rc =
        bundle_add_base(writer, a->o->place->repo.ptr, arena_cstr(a->arena, a->state.base_commit),
                        a->o->loop, a->arena, &why);
    if (rc == ERR_LIMIT) {
        attempt_say(a, "evidence", "without the base: %s", why.text);
        return 0;
    }
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "%s", why.text);
}

static int add_ledger(Attempt *a, BundleWriter *writer, Err *e)
{
    Buf text = buf_create(BUNDLE_PART_BYTES_MAX);
    int rc = proposal_export(a->o->ledger, a->state.proposal, &text, e);
    rc = rc == 0 ? bundle_add(writer, BUNDLE_LEDGER, buf_slice(&text), e) : rc;
    buf_done(&text);
    return rc;
}

static int make_bundle(Attempt *a, Err *e)
{
    char id[SHA256_HEX + 1];
    const char *path = NULL;
    BundleWriter *writer = bundle_writer_create();
    int rc = bundle_add_report(writer, a->report, a->o->place->target, a->arena, e);
    rc = rc == 0 ? add_files(a, writer, e) : rc;
    rc = rc == 0 ? add_ledger(a, writer, e) : rc;
    rc = rc == 0 ? add_base(a, writer, e) : rc;
    rc = rc == 0 ? place_path(a->o->place, a->arena,
                              attempt_file(a->arena, &a->state, "evidence.tar.gz"), &path, e)
                 : rc;
    rc = rc == 0 ? bundle_save(writer, path, id, e) : rc;
    if (rc == 0) {
        a->state.bundle = arena_copy(a->arena, slice_from_cstr(id));
        attempt_say(a, "evidence", "%s", path);
    }
    bundle_writer_destroy(writer);
    return rc;
}

// ---- the draft

static Slice earlier_rounds(Attempt *a)
{
    Slice all = SLICE("");
    int64_t round = a->state.round;
    for (a->state.round = 1; a->state.round < round; a->state.round++) {
        Slice text, first, rest;
        if (attempt_get(a, "feedback-#.txt", &text, NULL) == 0) {
            (void)slice_cut(text, '\n', &first, &rest);
            all = arena_printf(a->arena, "%.*s- Round %lld. %.*s\n", SLICE_FMT(all),
                               (long long)a->state.round, SLICE_FMT(first));
        }
    }
    a->state.round = round;
    return all;
}

int attempt_evidence(Attempt *a, Err *e)
{
    Slice words = SLICE("");
    Buf body = buf_create(PR_BODY_MAX);
    int rc = make_bundle(a, e);
    if (rc == 0) {
        (void)!attempt_get(a, "engine-#.txt", &words, NULL);
        a->state.branch = pr_branch(a->arena, &a->state);
        PrFacts facts = {.state = &a->state,
                         .report = a->report,
                         .goal_why = a->goal->why,
                         .engine_text = words,
                         .bundle_file = "evidence.tar.gz",
                         .critique_rounds = earlier_rounds(a)};
        rc = pr_body(&facts, &body, e);
    }
    rc = rc == 0 ? attempt_put(a, "pr.md", buf_slice(&body), e) : rc;
    buf_done(&body);
    return rc;
}

// ---- the branch

static int resolve_branch(Attempt *a, GitHash commit, Err *e)
{
    Git *git = NULL;
    int rc = git_open(&(GitOptions){.path = a->o->place->repo.ptr, .loop = a->o->loop}, a->arena,
                      &git, e);
    rc = rc == 0 ? git_resolve(git, arena_cstr(a->arena, a->state.branch), commit, e) : rc;
    git_close(git);
    return rc;
}

static int make_branch(Attempt *a, Err *e)
{
    Slice patch;
    Workspace *ws = NULL;
    GitHash commit = "";
    WorkspaceOptions options = {.repo = a->o->place->repo.ptr,
                                .revision = arena_cstr(a->arena, a->state.base_commit),
                                .work_dir = a->o->work_dir,
                                .cut_history = true,
                                .loop = a->o->loop};
    Slice message = arena_printf(a->arena, "%.*s\n\n%.*s\n\nMeasured by perfwright, run %.*s.\n",
                                 SLICE_FMT(pr_title(a->arena, &a->state)),
                                 SLICE_FMT(a->state.claim), SLICE_FMT(a->state.run_id));
    int rc = attempt_get(a, "patch-#.diff", &patch, e);
    rc = rc == 0 ? workspace_create(&options, a->arena, &ws, e) : rc;
    rc = rc == 0 ? workspace_apply_patch(ws, patch, e) : rc;
    rc = rc == 0 ? workspace_publish(ws, a->o->place->repo.ptr,
                                     arena_cstr(a->arena, a->state.branch), message, commit, e)
                 : rc;
    if (rc == ERR_EXISTS) { // its name has the attempt's id: this attempt made it, and then died
        rc = resolve_branch(a, commit, e);
    }
    workspace_destroy(ws);
    if (rc == 0) {
        a->state.commit = arena_copy(a->arena, slice_from_cstr(commit));
        attempt_say(a, "branch", "%.*s", SLICE_FMT(a->state.branch));
    }
    return rc;
}

int attempt_publish(Attempt *a, Err *e)
{
    int rc = a->o->no_branch ? 0 : make_branch(a, e);
    if (rc == 0) {
        a->state.phase = ATTEMPT_DONE;
    }
    return rc;
}

void attempt_remember(Attempt *a)
{
    char name[64] = "tried-";
    size_t len = strlen(name);
    for (size_t i = 0; i < a->state.goal_id.len && len + 1 < sizeof name; i++) {
        name[len++] = a->state.goal_id.ptr[i];
    }
    Err e = {0};
    MemoryNote note = {
        .name = (Slice){name, len},
        .kind = NOTE_TRIED,
        .by = NOTE_BY_PERFWRIGHT,
        .files = a->state.goal_files,
        .goal = a->state.goal_id,
        .created = slice_sub(a->state.updated, 0, 10),
        // Our own words and figures: an engine's do not travel from run to run.
        .text =
            a->state.verdict.len > 0
                ? arena_printf(
                      a->arena, "%.*s. %.*s", SLICE_FMT(a->state.verdict),
                      SLICE_FMT(slice_sub(a->state.claim.len > 0 ? a->state.claim : a->state.reason,
                                          0, 1000)))
                : arena_printf(a->arena, "Nothing was judged: the engine %.*s.",
                               SLICE_FMT(a->state.engine_status.len > 0 ? a->state.engine_status
                                                                        : SLICE("did not run"))),
    };
    if (memory_save(a->o->place, &note, true, &e) != 0) {
        attempt_say(a, "memory", "%s", e.text);
    }
}
