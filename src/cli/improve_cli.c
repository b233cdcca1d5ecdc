#include "cli/improve_cli.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "os/file.h"
#include "os/process.h"

enum { STACK_BYTES = 2 << 20, PROGRAM_BYTES_MAX = 16 << 20 };
#define PROGRAM_TIMEOUT_NS (120 * NS_PER_SECOND)

int improve_cli_open(ImproveCli *cli, App *app, const OptionSet *set, Slice repo, Err *e)
{
    *cli = (ImproveCli){.app = app, .set = set};
    Slice sub = option_known(set, "path") ? option_string(set, "path") : SLICE("");
    return place_find(app->arena, repo, sub, &cli->place, e);
}

int improve_cli_ledger(ImproveCli *cli, bool read_only, Err *e)
{
    return app_open_ledger(cli->app, cli->set, read_only, &cli->ledger, e);
}

void improve_cli_close(ImproveCli *cli)
{
    ledger_close(cli->ledger);
    fiber_pool_destroy(cli->pool);
    signals_close(cli->signals);
    loop_destroy(cli->loop);
    cli->ledger = NULL;
    cli->pool = NULL;
    cli->signals = NULL;
    cli->loop = NULL;
}

static void on_signal(void *ctx, int number)
{
    ImproveCli *cli = ctx;
    (void)number;
    app_say(cli->app, "stopping: what was done so far is kept");
    cli->stop = true;
    if (cli->fiber) {
        fiber_cancel(cli->fiber);
    }
}

static void run_fiber(void *arg)
{
    ImproveCli *cli = arg;
    cli->rc = cli->work(cli, &cli->e);
    cli->fiber = NULL;
    loop_stop(cli->loop);
}

int improve_cli_fiber(ImproveCli *cli, int (*work)(ImproveCli *cli, Err *e), Err *e)
{
    int rc = loop_create(&(LoopOptions){0}, &cli->loop, e);
    rc = rc == 0 ? signals_watch(cli->loop, on_signal, cli, &cli->signals, e) : rc;
    if (rc != 0) {
        return rc;
    }
    // Samples hold the thread on purpose; nothing else lives on this loop then.
    cli->pool = fiber_pool_create(
        cli->loop, &(FiberOptions){.stack_bytes = STACK_BYTES, .slow_ns = 3600 * NS_PER_SECOND});
    cli->work = work;
    cli->fiber = fiber_spawn(cli->pool, "improve", run_fiber, cli);
    if (!cli->fiber) {
        return err_set(e, ERR_IO, "no memory for a fiber");
    }
    loop_run(cli->loop);
    if (cli->rc < 0 && e) {
        *e = cli->e;
    }
    return cli->rc;
}

int improve_cli_program(void *ctx, const char *const *argv, Buf *out, int *ret_exit, Err *e)
{
    ImproveCli *cli = ctx;
    ProcessResult result = process_result_create(PROGRAM_BYTES_MAX);
    ProcessOptions options = {.loop = cli->loop,
                              .argv = argv,
                              .directory = cli->place.repo.ptr,
                              .timeout_ns = PROGRAM_TIMEOUT_NS,
                              .merge_err = true};
    int rc = process_run(&options, &result, e);
    if (rc == 0) {
        *ret_exit = result.end.exit_code;
        buf_append(out, buf_slice(&result.out));
    }
    process_result_done(&result);
    return rc;
}

void improve_cli_say(void *ctx, const char *stage, Slice text)
{
    ImproveCli *cli = ctx;
    Buf clean = buf_create(64 << 10);
    utf8_sanitise(&clean, slice_sub(text, 0, 400));
    app_say(cli->app, "%-14s %s", stage, clean.data ? clean.data : "");
    buf_done(&clean);
}

bool improve_cli_stopped(void *ctx)
{
    const ImproveCli *cli = ctx;
    return cli->stop;
}

int improve_cli_settings(ImproveCli *cli, EngineSettings *ret_settings, Err *e)
{
    Buf path = buf_create(4096);
    int rc = 0;
    if (user_file(USER_CONFIG, "PERFWRIGHT_CONFIG", "perfwright/config.toml", &path, NULL) == 0) {
        rc = engine_settings_load(cli->app->arena, arena_cstr(cli->app->arena, buf_slice(&path)),
                                  true, ret_settings, e);
    } else {
        rc = engine_settings_load(cli->app->arena, NULL, true, ret_settings, e);
    }
    buf_done(&path);
    if (rc != 0) {
        return rc;
    }
    if (option_known(cli->set, "engine") && option_given(cli->set, "engine")) {
        ret_settings->engine = option_string(cli->set, "engine");
    }
    if (option_known(cli->set, "time") && option_given(cli->set, "time")) {
        ret_settings->time_ns = option_int(cli->set, "time");
    }
    if (option_known(cli->set, "tokens") && option_given(cli->set, "tokens")) {
        ret_settings->tokens = option_int(cli->set, "tokens");
    }
    if (option_known(cli->set, "cost") && option_given(cli->set, "cost")) {
        ret_settings->cost_usd = option_float(cli->set, "cost");
    }
    return 0;
}

Slice improve_cli_person(Arena *arena)
{
    static const char *const NAMES[] = {"GITHUB_ACTOR", "SUDO_USER", "USER", "LOGNAME"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        const char *name = getenv(NAMES[i]);
        if (name && name[0]) {
            return arena_copy(arena, slice_sub(slice_from_cstr(name), 0, 100));
        }
    }
    return SLICE("somebody");
}
