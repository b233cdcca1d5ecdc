// The engine's turn of an attempt.
#include "improve/attempt_impl.h"

enum { GUIDES_MAX = 20, COMMENTS_BYTES_MAX = 16 << 10 };

// Guides that configure wrote, as far as they can be read.
static void take_guides(Attempt *a, EngineOptions *options)
{
    Slice *names = NULL;
    size_t count = 0;
    EngineGuide *guides = ARENA_ARRAY(a->arena, EngineGuide, GUIDES_MAX);
    if (place_list(a->o->place, a->arena, SLICE("guides"), GUIDES_MAX, &names, &count, NULL) != 0) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        Slice name = arena_printf(a->arena, "guides/%.*s", SLICE_FMT(names[i]));
        if (place_read(a->o->place, a->arena, name, &guides[kept].text, NULL) == 0) {
            guides[kept++].name = names[i];
        }
    }
    options->guides = guides;
    options->guide_count = kept;
}

// What people wrote on earlier pull requests, newest first: `improve outcomes` brought it.
static Slice take_comments(Attempt *a)
{
    AttemptState *states = NULL;
    size_t count = 0;
    Buf all = buf_create(COMMENTS_BYTES_MAX);
    if (attempt_state_list(a->o->place, a->arena, &states, &count, NULL) != 0) {
        return SLICE("");
    }
    for (size_t i = count; i > 0; i--) {
        Slice text;
        if (place_read(a->o->place, a->arena, attempt_file(a->arena, &states[i - 1], "comments.md"),
                       &text, NULL) == 0 &&
            all.len + text.len + 1 < COMMENTS_BYTES_MAX) {
            buf_append(&all, text);
            buf_putc(&all, '\n');
        }
    }
    Slice copy = arena_copy(a->arena, buf_slice(&all));
    buf_done(&all);
    return copy;
}

// What is left of the budget, for this round.
static EngineSettings settings_left(const Attempt *a)
{
    EngineSettings s = *a->o->settings;
    if (s.time_ns > 0) {
        s.time_ns = s.time_ns > a->state.spent_ns ? s.time_ns - a->state.spent_ns : 1;
    }
    if (s.tokens > 0) {
        s.tokens = s.tokens > a->state.spent_tokens ? s.tokens - a->state.spent_tokens : 1;
    }
    if (s.cost_usd > 0) {
        s.cost_usd = s.cost_usd > a->state.spent_usd ? s.cost_usd - a->state.spent_usd : 1e-9;
    }
    return s;
}

static void on_progress(void *ctx, Slice line)
{
    attempt_say(ctx, "engine", "%.*s", SLICE_FMT(line));
}

static int make_copy(Attempt *a, Workspace **ret_ws, Slice *ret_feedback, Err *e)
{
    Slice patch;
    WorkspaceOptions options = {.repo = a->o->place->repo.ptr,
                                .revision = arena_cstr(a->arena, a->state.base_commit),
                                .work_dir = a->o->work_dir,
                                .cut_history = true,
                                .loop = a->o->loop};
    int rc = workspace_create(&options, a->arena, ret_ws, e);
    if (rc != 0 || a->state.round == 1) {
        return rc;
    }
    // The next round begins where the last one ended, with what was found about it.
    a->state.round--;
    int had = attempt_get(a, "patch-#.diff", &patch, NULL);
    (void)!attempt_get(a, "feedback-#.txt", ret_feedback, NULL);
    a->state.round++;
    if (had == 0 && patch.len > 0 && workspace_apply_patch(*ret_ws, patch, NULL) != 0) {
        attempt_say(a, "engine", "the patch of the last round does not apply: a clean start");
    }
    return 0;
}

static int store_work(Attempt *a, const EngineResult *result, Err *e)
{
    a->state.spent_ns += result->wall_ns;
    a->state.spent_tokens += result->totals.input_tokens + result->totals.output_tokens;
    a->state.spent_usd += (double)result->totals.cost_nano_usd / 1e9;
    a->state.engine_status = slice_from_cstr(ENGINE_STATUS_NAMES[result->status]);
    int rc = attempt_put(a, "transcript-#.jsonl",
                         slice_sub(result->transcript, 0, PLACE_FILE_BYTES_MAX), e);
    rc = rc == 0 ? attempt_put(a, "engine-#.txt", result->final_text, e) : rc;
    return rc == 0 && result->patch.len > 0 ? attempt_put(a, "patch-#.diff", result->patch, e) : rc;
}

static void after_work(Attempt *a, const EngineResult *result)
{
    bool worth = result->edited && result->patch.len > 0;
    if (worth && (result->status == ENGINE_EDITED || result->status == ENGINE_TIMED_OUT ||
                  result->status == ENGINE_OVER_BUDGET)) {
        a->state.phase = ATTEMPT_JUDGING;
        return;
    }
    attempt_give_up(a, "the engine (%.*s) %s: %.*s", SLICE_FMT(a->state.engine),
                    ENGINE_STATUS_NAMES[result->status], SLICE_FMT(result->message));
}

int attempt_work(Attempt *a, Err *e)
{
    Workspace *ws = NULL;
    EngineResult result = {0};
    EngineSettings left = settings_left(a);
    EngineOptions options = {.loop = a->o->loop,
                             .pool = a->o->pool,
                             .settings = &left,
                             .steps = &a->steps,
                             .progress_fn = on_progress,
                             .progress_ctx = a,
                             .get_env = a->o->get_env,
                             .self = a->o->self,
                             .no_sandbox = a->o->no_sandbox};
    Buf goal = buf_create(ENGINE_GOAL_BYTES_MAX);
    int rc = engine_parse(a->arena, a->state.engine, &options.choice, e);
    rc = rc == 0 ? make_copy(a, &ws, &options.feedback, e) : rc;
    if (rc == 0) {
        options.workspace = ws;
        take_guides(a, &options);
        attempt_goal_text(&a->state, a->goal, &a->plan, &a->steps, &a->memory, take_comments(a),
                          &goal);
        rc = buf_check(&goal, "the goal's text", e);
    }
    if (rc == 0) {
        options.goal = buf_slice(&goal);
        attempt_say(a, "engine", "%.*s, round %lld", SLICE_FMT(a->state.engine),
                    (long long)a->state.round);
        rc = engine_run(&options, a->arena, &result, e);
    }
    rc = rc == 0 ? store_work(a, &result, e) : rc;
    if (rc == 0) {
        attempt_say(a, "engine", "%s", ENGINE_STATUS_NAMES[result.status]);
        after_work(a, &result);
    }
    buf_done(&goal);
    workspace_destroy(ws);
    return rc;
}
