// Settings in layers, each value with where it came from:
//
//     command line  >  environment  >  project file  >  user file  >  built in
//
// The project file is the nearest perfwright.toml from the working directory upward; the user file
// is config.toml in the user's configuration directory. Both have the same keys:
//
//     ledger = "perf/ledger.db"        # relative to the file that says it
//     [slo]
//     latency_p95 = "500ms"
//
//     Config *config;
//     rc = config_load(arena, &(ConfigOptions){.directory = cwd, .user_file = path,
//                      .get_env = getenv}, &config, e);
//     rc = config_set(config, SLICE("log.level"), option_string(set, "log-level"),
//                     SLICE("--log-level"), e);
//     int64_t limit = config_get(config, CONFIG_SLO_LATENCY_P95)->integer;
//
// Unknown keys are errors that name the nearest right one. What a file may not say at all is how
// guard rails are set: those belong to the plan and to the administrator (guard/guard.h).
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/doc.h"
#include "base/err.h"

#define CONFIG_FILE_NAME "perfwright.toml"

typedef enum ConfigKey {
    CONFIG_LEDGER,           // path
    CONFIG_ENVIRONMENT,      // name of the environment to use where a plan has several
    CONFIG_COLOR,            // choice, ConfigColor
    CONFIG_LOG_LEVEL,        // choice, in the order of LogLevel
    CONFIG_LOG_FORMAT,       // choice: 0 text, 1 json
    CONFIG_SLO_AVAILABILITY, // platform defaults for services without an SLO of their own
    CONFIG_SLO_LATENCY_P50,  // 0: none
    CONFIG_SLO_LATENCY_P95,
    CONFIG_SLO_LATENCY_P99,
    CONFIG_KEYS,
} ConfigKey;

typedef enum ConfigColor { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } ConfigColor;

typedef enum ConfigKind {
    CONFIG_TEXT,
    CONFIG_PATH,     // relative ones of a file are relative to that file
    CONFIG_CHOICE,   // integer: index
    CONFIG_SHARE,    // real, 0..1
    CONFIG_DURATION, // integer, ns; "0" or "500ms"
} ConfigKind;

// Higher beats lower.
typedef enum ConfigLayer {
    CONFIG_BUILT_IN,
    CONFIG_USER_FILE,
    CONFIG_PROJECT_FILE,
    CONFIG_FROM_ENV,
    CONFIG_FROM_FLAG,
} ConfigLayer;

typedef struct ConfigInfo {
    const char *name; // "slo.latency_p95"
    ConfigKind kind;
    const char *const *choices; // CONFIG_CHOICE: ends with NULL
    const char *initial;
    const char *env; // variable
    const char *help;
} ConfigInfo;

typedef struct ConfigValue {
    Slice text; // as given; NUL follows
    int64_t integer;
    double real;
    ConfigLayer layer;
    Slice origin; // "built in", "/home/a/perfwright.toml:3", "PERFWRIGHT_LEDGER", "--ledger"
} ConfigValue;

typedef struct ConfigOptions {
    const char *directory; // where the search for the project file starts; absolute. NULL: none
    const char *user_file; // need not exist; NULL: none
    char *(*get_env)(const char *name); // getenv; NULL: no environment
} ConfigOptions;

typedef struct Config Config;

// The Config lives in the arena. ERR_PARSE with "file:line:column: ..." for a file, ERR_ARG for a
// variable, ERR_IO.
MUST_USE int config_load(Arena *arena, const ConfigOptions *options, Config **ret_config, Err *e);
// A value from the command line; `flag` is its origin. ERR_ARG.
MUST_USE int config_set(Config *config, Slice name, Slice text, Slice flag, Err *e);

const ConfigValue *config_get(const Config *config, ConfigKey key);
const ConfigInfo *config_info(ConfigKey key);
// Path of the project file that was read, empty without one.
Slice config_project_file(const Config *config);
// The user file as it was read, for the tables that belong to other rooms ([improve], [llm]); NULL
// without one. They say which secrets are used and where those are sent, so the project file, which
// may come with somebody else's repository, is refused when it has one.
const Doc *config_user_tree(const Config *config);
// One line a setting: "slo.latency_p95 = 500ms   # /home/a/perfwright.toml:3".
void config_print(const Config *config, Buf *out);

#endif
