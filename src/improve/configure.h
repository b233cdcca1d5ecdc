// Configure: which of the inferred commands really work, shown by running them.
//
// Recipes are tried in the order of their scores, each in a clean copy: install with network, build
// and test without. What fails in a way that is known is repaired and tried again (a package that
// is missing, a module, a test that cannot pass here); what works is run once more in a second
// clean copy, and only then called validated. Everything ends at the time limit; a command that
// was cut off has not been measured.
//
//     ConfigureOptions o = {.tree = &tree, .runner = runner, .log_dir = dir, ...};
//     rc = configure(&o, arena, &report, e);
//     steps_write(&report.steps, &out);
//
// Copies and commands come through ConfigureRunner: configure_sandbox.h has the real one, tests
// have a scripted one.
#ifndef IMPROVE_CONFIGURE_H
#define IMPROVE_CONFIGURE_H

#include "base/units.h"
#include "improve/infer.h"

typedef struct ConfigureCommand {
    Slice run;
    Slice directory;
    bool network; // and the dependency directory is writable
    int64_t timeout_ns;
    const char *log_path;
} ConfigureCommand;

typedef struct ConfigureOutcome {
    bool ok;
    bool timed_out;
    double seconds;
    Slice output;  // the end of it, enough for counts and messages
    Slice text;    // how it ended, one sentence; empty when ok
    Slice changed; // the first tracked file that the command edited; empty: none
} ConfigureOutcome;

typedef struct ConfigureRunner {
    void *ctx;
    // A clean copy of the repository.
    int (*open)(void *ctx, void **ret_copy, Err *e);
    int (*run)(void *ctx, void *copy, const ConfigureCommand *command, Arena *arena,
               ConfigureOutcome *ret_outcome, Err *e);
    void (*close)(void *ctx, void *copy);       // NULL is fine
    const char *(*tree)(void *ctx, void *copy); // on the host, to look for what was built
    int64_t (*now_ns)(void *ctx);
    // Packages of the system; NULL where nothing may be asked or installed.
    bool (*package_installed)(void *ctx, Slice name);
    Slice (*package_search)(void *ctx, Arena *arena, Slice library);
    int (*package_install)(void *ctx, const Slice *names, size_t count, Err *e);
} ConfigureRunner;

typedef struct ConfigureOptions {
    Tree *tree; // of the repository
    Slice directory;
    const ConfigureRunner *runner;
    const char *log_dir; // exists; logs are named in Steps as "logs/NAME"
    const Steps *old;    // of an earlier run; NULL: none
    Slice tree_hash;     // what `key` is made of: validated and unchanged is not run again
    bool dry_run;        // only infer
    bool install_packages;
    bool no_benchmarks;                       // find them, do not run them
    int64_t time_limit_ns;                    // of everything; 0: 20 minutes
    int64_t step_limit_ns;                    // of one command; 0: 5 minutes
    void (*say)(void *ctx, const char *text); // progress; may be NULL
    void *say_ctx;
} ConfigureOptions;

enum { CONFIGURE_TRIALS_MAX = 200 };

// One command that was run, whatever came of it.
typedef struct ConfigureTrial {
    Slice recipe, kind, what, run, log, reason;
    double seconds;
    bool ok, timed_out;
} ConfigureTrial;

typedef struct ConfigureReport {
    Steps steps;
    Inference *inference;
    Slice recipe; // the one that was kept; empty: none
    ConfigureTrial *trials;
    size_t trial_count;
    bool build_validated, test_validated;
    int64_t tests;              // -1: not counted
    double incremental_seconds; // of building again with nothing changed; 0: not measured
    bool out_of_time;
    bool kept_from_before; // nothing had changed, nothing was run
    Slice *packages_installed;
    size_t packages_installed_count;
} ConfigureReport;

// Everything in `report` is in `arena`. That nothing works is no error; the report says so.
MUST_USE int configure(const ConfigureOptions *options, Arena *arena, ConfigureReport *ret_report,
                       Err *e);

// `improve/guides/...` for an engine: at most CONFIGURE_GUIDE_WORDS_MAX words each.
enum { CONFIGURE_GUIDE_WORDS_MAX = 200 };
void configure_guide_build(const ConfigureReport *report, Buf *out);
void configure_guide_measure(const ConfigureReport *report, double resolvable, Buf *out);
void configure_guide_bottlenecks(const ConfigureReport *report, Buf *out);
// A workload to be filled in, as a shell script with comments, and proposals for micro-benchmarks:
// public functions by name.
void configure_skeleton(const ConfigureReport *report, Buf *out);

#endif
