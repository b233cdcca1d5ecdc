#include <stdarg.h>

#include "improve/judge_impl.h"
#include "os/fiber.h"

enum { LINE_MAX_BYTES = 1000 };

bool judge_stopped(Judge *j)
{
    // In a fiber the loop gets its turn here, and with it the signals.
    if (j->o->loop && fiber_self() && fiber_yield() != 0) {
        return true;
    }
    return j->o->stop_fn && j->o->stop_fn(j->o->ctx);
}

void judge_progress(Judge *j, const char *stage, const char *format, ...)
{
    if (!j->o->progress_fn) {
        return;
    }
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    j->o->progress_fn(j->o->ctx, stage, slice_from_cstr(text));
}

void judge_checked(Judge *j, const char *what, bool done, const char *format, ...)
{
    if (j->r->check_count == JUDGE_CHECKS_MAX) {
        return;
    }
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    j->r->checks[j->r->check_count++] =
        (JudgeChecked){slice_from_cstr(what), done, arena_copy(j->arena, slice_from_cstr(text))};
}

int64_t judge_left(const Judge *j)
{
    return j->budget_ns > j->r->measuring_ns ? j->budget_ns - j->r->measuring_ns : 0;
}

bool judge_condemned(const Judge *j)
{
    return findings_have(&j->r->findings, FINDING_BROKEN);
}

// The variables that the steps ask for, as the sandbox takes them.
static const char *const *environment(Judge *j, const char *const *more)
{
    size_t n = j->steps->environment_count, extra = 0;
    while (more && more[extra]) {
        extra++;
    }
    const char **env = ARENA_ARRAY(j->arena, const char *, n + extra + 1);
    for (size_t i = 0; i < n; i++) {
        const StepsVariable *v = &j->steps->environment[i];
        env[i] = arena_printf(j->arena, "%.*s=%.*s", SLICE_FMT(v->name), SLICE_FMT(v->value)).ptr;
    }
    for (size_t i = 0; i < extra; i++) {
        env[n + i] = more[i];
    }
    return env;
}

static void put_limits(const Steps *steps, SandboxOptions *o)
{
    const StepsLimits *l = &steps->limits;
    if (l->memory_bytes > 0) {
        o->memory_bytes_max = (uint64_t)l->memory_bytes;
    }
    if (l->disk_bytes > 0) {
        o->disk_bytes_max = (uint64_t)l->disk_bytes;
    }
    if (l->processes > 0) {
        o->processes_max = (unsigned)l->processes;
    }
}

int judge_step(Judge *j, const char *what, Workspace *ws, const Step *step,
               const StepRunOptions *extra, StepResult *ret_result, Err *e)
{
    StepRunOptions o = extra ? *extra : (StepRunOptions){0};
    o.loop = j->o->loop;
    o.workspace = ws;
    o.command = arena_cstr(j->arena, step->run);
    o.directory = step->directory.len > 0 ? arena_cstr(j->arena, step->directory) : NULL;
    o.deps_dir = j->deps_dir;
    o.network = step->network;
    o.no_sandbox = j->o->no_sandbox;
    o.sandbox.env = environment(j, o.sandbox.env);
    put_limits(j->steps, &o.sandbox);
    if (o.timeout_ns == 0) {
        o.timeout_ns =
            j->steps->limits.time_ns > 0 ? j->steps->limits.time_ns : JUDGE_STEP_TIMEOUT_NS;
    }
    int rc = step_run(&o, j->arena, ret_result, e);
    if (rc != 0) {
        return err_wrap(e, "%s", what);
    }
    if (j->r->command_count < JUDGE_COMMANDS_MAX) {
        j->r->commands[j->r->command_count++] = (JudgeCommand){
            .what = arena_copy(j->arena, slice_from_cstr(what)),
            .run = step->run,
            .exit_code = ret_result->exit_code,
            .timed_out = ret_result->end == STEP_TIMED_OUT,
            .wall_ns = ret_result->wall_ns,
            .log_tail = ret_result->tail,
        };
    }
    return ret_result->end == STEP_CANCELLED ? err_set(e, ERR_CANCELLED, "interrupted") : 0;
}
