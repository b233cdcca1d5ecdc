// The System document that a verb names, with the changes of its --set options.
#ifndef CLI_SYSTEM_FILE_H
#define CLI_SYSTEM_FILE_H

#include "cli/app.h"
#include "model/system.h"

#define OPTION_SYSTEM_SET                                                                          \
    {                                                                                              \
        .name = "set", .kind = OPTION_STRING, .repeat = true, .metavar = "NAME=VALUE",             \
        .help = "Change a policy first: \"a->b.retry.attempts=2\", \"d.servers=20\"."              \
    }

// Of what is drawn at random: `words` say of what.
#define OPTION_SEED(words)                                                                         \
    {                                                                                              \
        .name = "seed", .kind = OPTION_INT, .default_text = "1", .min = 0, .max = 0x1p53,          \
        .help = words                                                                              \
    }

#define OPTION_CONFIDENCE                                                                          \
    {                                                                                              \
        .name = "confidence", .kind = OPTION_FLOAT, .default_text = "0.9", .min = 0.5,             \
        .max = 0.999, .help = "Of the intervals."                                                  \
    }

#define OPTION_SCALE(words)                                                                        \
    {                                                                                              \
        .name = "scale", .kind = OPTION_FLOAT, .min = 0.01, .max = PLANT_LIVE_SCALE_MAX,           \
        .default_text = "10", .help = words                                                        \
    }

// The verb's first positional, and its option "set".
MUST_USE int cli_load_system(App *app, const OptionSet *set, System **ret_system, Err *e);

// Those that are not the defaults, "timeout.attempt=1s retry.attempts=4".
void cli_print_policies(const ParamValue *values, Buf *out);

#endif
