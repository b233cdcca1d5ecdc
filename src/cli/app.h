// What every verb is given, and how verbs are found.
//
// A verb writes data to app->out, which main prints to standard output at the end, and talk to
// app_say(), which goes to standard error at once. It returns an ExitCode, or a negative ERR_* with
// words in `e`, which main prints and translates. One file a verb (or a family), one table in
// commands.c.
#ifndef CLI_APP_H
#define CLI_APP_H

#include "base/option.h"
#include "cli/exit_code.h"
#include "config/config.h"
#include "ledger/ledger.h"

#define PERFWRIGHT_VERSION "0.1.0"

enum { APP_OUT_BYTES_MAX = 256 << 20 };

typedef struct App {
    Arena *arena; // lives as long as the command
    Buf out;      // data for standard output
    bool color;   // standard output takes colours
    bool talk_is_terminal;
    bool talk_color;
    bool quiet;
    int columns; // of the terminal, or 100
    Slice command_line;
    Config *config; // NULL in verbs that do without settings
} App;

typedef struct Command {
    const Verb *verb;
    int (*run)(App *app, const OptionSet *set, Err *e);
    bool without_settings; // works where a settings file is broken
} Command;

extern const Command *const COMMANDS[];
extern const size_t COMMAND_COUNT;

// One line of talk on standard error, unless --quiet.
void app_say(App *app, const char *format, ...) PRINTF_LIKE(2, 3);
// A warning: is said with --quiet too.
void app_warn(App *app, const char *format, ...) PRINTF_LIKE(2, 3);

// Opens the ledger that --ledger, the settings or the user's data directory name. `read_only` also
// means that it must be there.
MUST_USE int app_open_ledger(App *app, const OptionSet *set, bool read_only, Ledger **ret_ledger,
                             Err *e);

// Options that many verbs share.
#define OPTION_JSON                                                                                \
    {                                                                                              \
        .name = "json", .kind = OPTION_FLAG, .section = "Output",                                  \
        .help = "Print one JSON document instead of text."                                         \
    }
#define OPTION_LEDGER                                                                              \
    {                                                                                              \
        .name = "ledger", .kind = OPTION_STRING, .metavar = "FILE", .env = "PERFWRIGHT_LEDGER",    \
        .section = "Ledger", .help = "The ledger to use instead of the user's own."                \
    }

#endif
