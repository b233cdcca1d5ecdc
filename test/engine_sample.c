// engine_run from the command line, for engine_test.py: makes a workspace of a repository, lets an
// engine work in it and prints the result as JSON.
//
//     engine_sample --repo R --work-dir W --config C --engine E --goal G --self P
//                   [--steps FILE] [--guide TEXT] [--no-sandbox] [--measure TEXT]
//                   [--cancel-after MS]
#include <signal.h>

#include "base/json_write.h"
#include "improve/engine.h"
#include "improve/steps.h"
#include "improve/workspace.h"
#include "os/signal.h"

typedef struct Sample {
    const char *repo, *work_dir, *config, *engine, *goal, *self, *steps, *guide, *measure;
    const char *cancel_after;
    bool no_sandbox;
    Fiber *fiber;
    LoopTimer timer;
    Loop *loop;
    FiberPool *pool;
    Arena *arena;
    Buf out;
    int rc;
    Err e;
} Sample;

static int measure(void *ctx, Arena *arena, Slice *ret_text, Err *e)
{
    (void)e;
    *ret_text = arena_copy(arena, slice_from_cstr(((Sample *)ctx)->measure));
    return 0;
}

static void progress(void *ctx, Slice line)
{
    (void)ctx;
    (void)fprintf(stderr, "%.*s\n", SLICE_FMT(line));
}

static void print(Sample *s, const EngineResult *r)
{
    JsonWriter w = json_writer(&s->out, 1);
    json_object_begin(&w);
    json_field_cstr(&w, "status", ENGINE_STATUS_NAMES[r->status]);
    json_field_bool(&w, "edited", r->edited);
    json_field_string(&w, "message", r->message);
    json_field_string(&w, "patch", r->patch);
    json_field_string(&w, "final_text", r->final_text);
    json_field_string(&w, "transcript", r->transcript);
    json_field_int(&w, "input_tokens", r->totals.input_tokens);
    json_field_int(&w, "output_tokens", r->totals.output_tokens);
    json_field_int(&w, "commands", r->totals.commands);
    json_field_int(&w, "edits", r->totals.edits);
    json_field_int(&w, "timeouts", r->totals.timeouts);
    json_object_end(&w);
    buf_putc(&s->out, '\n');
}

static int run(Sample *s, Err *e)
{
    EngineSettings settings;
    Workspace *ws = NULL;
    EngineOptions o = {.loop = s->loop,
                       .pool = s->pool,
                       .settings = &settings,
                       .goal = slice_from_cstr(s->goal),
                       .get_env = getenv,
                       .progress_fn = progress,
                       .self = s->self,
                       .measure_fn = s->measure ? measure : NULL,
                       .measure_ctx = s,
                       .no_sandbox = s->no_sandbox};
    Steps steps = {0};
    EngineGuide guide = {SLICE("guide"), slice_from_cstr(s->guide)};
    int rc = engine_settings_load(s->arena, s->config, false, &settings, e);
    if (rc == 0) {
        rc = engine_parse(s->arena, slice_from_cstr(s->engine), &o.choice, e);
    }
    if (rc == 0 && s->steps) {
        rc = steps_read_file(s->arena, s->steps, &steps, e);
        o.steps = &steps;
    }
    if (s->guide) {
        o.guides = &guide;
        o.guide_count = 1;
    }
    if (rc == 0) {
        rc = workspace_create(
            &(WorkspaceOptions){
                .repo = s->repo, .work_dir = s->work_dir, .cut_history = true, .loop = s->loop},
            s->arena, &ws, e);
    }
    o.workspace = ws;
    EngineResult result;
    if (rc == 0 && (rc = engine_run(&o, s->arena, &result, e)) == 0) {
        print(s, &result);
    }
    workspace_destroy(ws);
    return rc;
}

static void on_timer(LoopTimer *timer)
{
    fiber_cancel(CONTAINER_OF(timer, Sample, timer)->fiber);
}

static void main_fiber(void *arg)
{
    Sample *s = arg;
    s->rc = run(s, &s->e);
    loop_timer_cancel(s->loop, &s->timer);
    loop_stop(s->loop);
}

static const char **place(Sample *s, const char *name)
{
    static const char *const names[] = {"--repo",    "--work-dir",    "--config", "--engine",
                                        "--goal",    "--self",        "--steps",  "--guide",
                                        "--measure", "--cancel-after"};
    const char **places[] = {&s->repo, &s->work_dir, &s->config, &s->engine,  &s->goal,
                             &s->self, &s->steps,    &s->guide,  &s->measure, &s->cancel_after};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return places[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    Sample s = {.arena = arena_create((size_t)1 << 30), .out = buf_create(64 << 20)};
    signals_block();
    for (int i = 1; i < argc; i++) {
        const char **at = place(&s, argv[i]);
        if (strcmp(argv[i], "--no-sandbox") == 0) {
            s.no_sandbox = true;
        } else if (at && i + 1 < argc) {
            *at = argv[++i];
        } else {
            (void)fprintf(stderr, "what is %s?\n", argv[i]);
            return 2;
        }
    }
    if (loop_create(&(LoopOptions){0}, &s.loop, &s.e) != 0) {
        return 1;
    }
    s.pool = fiber_pool_create(s.loop, NULL);
    loop_timer_init(&s.timer, on_timer);
    s.fiber = fiber_spawn(s.pool, "sample", main_fiber, &s);
    int64_t ms = 0;
    if (!s.fiber || (s.cancel_after && slice_to_i64(slice_from_cstr(s.cancel_after), &ms) != 0)) {
        return 1;
    }
    if (ms > 0) {
        loop_timer_set(s.loop, &s.timer, loop_clock(s.loop) + ms * NS_PER_MS);
    }
    loop_run(s.loop);
    (void)fiber_pool_drain(s.pool, loop_clock(s.loop) + 5 * NS_PER_S);
    fiber_pool_destroy(s.pool);
    loop_destroy(s.loop);
    if (s.rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", err_name(s.rc), s.e.text);
    } else {
        (void)fwrite(s.out.data, 1, s.out.len, stdout);
    }
    buf_done(&s.out);
    arena_destroy(s.arena);
    return s.rc != 0;
}
