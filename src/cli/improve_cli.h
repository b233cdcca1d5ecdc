// What the sub-verbs of improve share: where the repository is, a fiber that an interrupt cancels,
// programs run on the host (git, gh).
#ifndef CLI_IMPROVE_CLI_H
#define CLI_IMPROVE_CLI_H

#include "cli/app.h"
#include "improve/engine_settings.h"
#include "improve/outbox.h"
#include "os/fiber.h"
#include "os/signal.h"

typedef struct ImproveCli {
    App *app;
    const OptionSet *set;
    Place place;
    Ledger *ledger; // NULL until improve_cli_ledger
    Loop *loop;     // in improve_cli_fiber
    FiberPool *pool;
    Fiber *fiber;
    Signals *signals;
    bool stop; // an interrupt was seen
    int (*work)(struct ImproveCli *cli, Err *e);
    void *ctx; // of the verb
    int rc;
    Err e;
} ImproveCli;

// The repository from a positional (empty: here) and --path where the verb has it.
MUST_USE int improve_cli_open(ImproveCli *cli, App *app, const OptionSet *set, Slice repo, Err *e);
MUST_USE int improve_cli_ledger(ImproveCli *cli, bool read_only, Err *e);
void improve_cli_close(ImproveCli *cli);

// Runs `work` in a fiber with loop and pool, until it ends; an interrupt sets `stop` and cancels.
MUST_USE int improve_cli_fiber(ImproveCli *cli, int (*work)(ImproveCli *cli, Err *e), Err *e);

// For OutboxWorld: runs a program in the repository, from the fiber; `ctx` is the ImproveCli.
MUST_USE int improve_cli_program(void *ctx, const char *const *argv, Buf *out, int *ret_exit,
                                 Err *e);

// For progress of research, attempts and judgements; `ctx` is the ImproveCli.
void improve_cli_say(void *ctx, const char *stage, Slice text);
bool improve_cli_stopped(void *ctx);

// The user's [improve] settings, with --engine and the budgets of the command line over them where
// the verb has these options.
MUST_USE int improve_cli_settings(ImproveCli *cli, EngineSettings *ret_settings, Err *e);
// Who is at the keyboard, for approvals.
Slice improve_cli_person(Arena *arena);

#define OPTION_REPO                                                                                \
    {                                                                                              \
        .name = "repo", .kind = OPTION_STRING, .metavar = "DIR",                                   \
        .help = "The repository; without it this directory."                                       \
    }
#define OPTION_PATH                                                                                \
    {                                                                                              \
        .name = "path", .kind = OPTION_STRING, .metavar = "DIR",                                   \
        .help = "A directory of a monorepo, relative to its top, that alone is meant."             \
    }
#define OPTION_WORK_DIR                                                                            \
    {                                                                                              \
        .name = "work-dir", .kind = OPTION_STRING, .metavar = "DIR",                               \
        .help = "Where working copies are made instead of the user's cache."                       \
    }
#define OPTION_NO_SANDBOX                                                                          \
    {                                                                                              \
        .name = "no-sandbox", .kind = OPTION_FLAG,                                                 \
        .help = "Run the repository's commands and the engine with your own rights. Every "        \
                "verdict says so."                                                                 \
    }

#endif
