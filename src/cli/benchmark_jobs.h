// What `perfwright benchmark` measures when it is given commands: the options they share, and the
// list of commands that the positionals and parameters make.
#ifndef CLI_BENCHMARK_JOBS_H
#define CLI_BENCHMARK_JOBS_H

#include "bench/command.h"
#include "bench/series.h"
#include "cli/app.h"

enum { BENCHMARK_JOBS_MAX = 1000, BENCHMARK_ARGS_MAX = 4096 };

typedef struct BenchmarkJob {
    BenchSeries series; // name, command, parameters
    BenchCommand command;
    const char *setup, *prepare, *conclude, *cleanup; // lines for sh; NULL: none
} BenchmarkJob;

typedef struct BenchmarkJobs {
    BenchmarkJob *items;
    size_t count;
    bool ignore_failure;
    int cancel_fd; // readable when the person or the system wants an end
} BenchmarkJobs;

// ERR_ARG with words for who typed it. `vs`: the last command is the one that --vs names.
MUST_USE int benchmark_jobs_create(App *app, const OptionSet *set, BenchmarkJobs *ret_jobs, Err *e);
void benchmark_jobs_done(BenchmarkJobs *jobs);

// Runs one of the lines around a command. ERR_IO with its words where it fails; NULL does nothing.
MUST_USE int benchmark_aside(const BenchmarkJobs *jobs, const BenchmarkJob *job, const char *line,
                             const char *what, Err *e);
// One sample of the job, with prepare before it and conclude behind it.
MUST_USE int benchmark_sample(const BenchmarkJobs *jobs, const BenchmarkJob *job,
                              BenchResult *result, Err *e);
// "5%" or "0.05".
MUST_USE int benchmark_share(Slice text, const char *option, double *ret_share, Err *e);

// Commands measured one by one, and two of them against each other.
MUST_USE int benchmark_commands(App *app, const OptionSet *set, Err *e);
MUST_USE int benchmark_versus(App *app, const OptionSet *set, Err *e);

// Records what was measured unless --no-record; says so where the ledger refuses. NULL: not kept.
typedef struct BenchmarkKept {
    Slice name, plan_json, summary_json, samples_json, hyperfine_json;
    uint64_t seed;
    int64_t started_unix_ns, duration_ns;
    bool partial;
} BenchmarkKept;
const char *benchmark_keep(App *app, const OptionSet *set, const BenchmarkKept *kept);

extern const char *const BENCHMARK_SHELLS[];
extern const char *const BENCHMARK_METRICS[];

#define BENCHMARK_COMMAND_OPTIONS                                                                  \
    {.name = "warmup",                                                                             \
     .short_name = 'w',                                                                            \
     .kind = OPTION_INT,                                                                           \
     .min = 0,                                                                                     \
     .max = 50,                                                                                    \
     .section = "Commands",                                                                        \
     .help = "Runs of each command that do not count, to fill caches. Without: 0, and 1 with "     \
             "--vs."},                                                                             \
        {.name = "runs",                                                                           \
         .short_name = 'r',                                                                        \
         .kind = OPTION_INT,                                                                       \
         .min = 1,                                                                                 \
         .max = BENCH_SERIES_SAMPLES_MAX,                                                          \
         .section = "Commands",                                                                    \
         .help = "Exactly so many runs of each command."},                                         \
        {.name = "min-runs",                                                                       \
         .short_name = 'm',                                                                        \
         .kind = OPTION_INT,                                                                       \
         .min = 1,                                                                                 \
         .max = BENCH_SERIES_SAMPLES_MAX,                                                          \
         .default_text = "10",                                                                     \
         .section = "Commands",                                                                    \
         .help = "At least so many; more until a command was measured for 3 s."},                  \
        {.name = "max-runs",                                                                       \
         .short_name = 'M',                                                                        \
         .kind = OPTION_INT,                                                                       \
         .min = 1,                                                                                 \
         .max = BENCH_SERIES_SAMPLES_MAX,                                                          \
         .section = "Commands",                                                                    \
         .help = "At most so many."},                                                              \
        {.name = "setup",                                                                          \
         .short_name = 's',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "CMD",                                                                         \
         .section = "Commands",                                                                    \
         .help = "Run once before all runs of a command."},                                        \
        {.name = "prepare",                                                                        \
         .short_name = 'p',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "CMD",                                                                         \
         .repeat = true,                                                                           \
         .section = "Commands",                                                                    \
         .help = "Run before every run, not timed. Given several times: one for each command."},   \
        {.name = "conclude",                                                                       \
         .short_name = 'C',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "CMD",                                                                         \
         .repeat = true,                                                                           \
         .section = "Commands",                                                                    \
         .help = "The same behind every run."},                                                    \
        {.name = "cleanup",                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "CMD",                                                                         \
         .section = "Commands",                                                                    \
         .help = "Run once behind all runs of a command."},                                        \
        {.name = "parameter-scan",                                                                 \
         .short_name = 'P',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "VAR,MIN,MAX[,STEP]",                                                          \
         .repeat = true,                                                                           \
         .section = "Commands",                                                                    \
         .help = "Measure with {VAR} replaced by each number."},                                   \
        {.name = "parameter-list",                                                                 \
         .short_name = 'L',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "VAR,A,B,...",                                                                 \
         .repeat = true,                                                                           \
         .section = "Commands",                                                                    \
         .help = "Measure with {VAR} replaced by each value. Several: all combinations."},         \
        {.name = "shell",                                                                          \
         .short_name = 'S',                                                                        \
         .kind = OPTION_CHOICE,                                                                    \
         .choices = BENCHMARK_SHELLS,                                                              \
         .section = "Commands",                                                                    \
         .help = "Run command lines with sh, or split at blanks and without a shell. Without: sh " \
                 "for lines, none for what stands behind --."},                                    \
        {.name = "input",                                                                          \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "FILE",                                                                        \
         .section = "Commands",                                                                    \
         .help = "Standard input of the commands instead of nothing."},                            \
        {.name = "name",                                                                           \
         .kind = OPTION_STRING,                                                                    \
         .repeat = true,                                                                           \
         .section = "Commands",                                                                    \
         .help = "What to call a command; one for each."},                                         \
        {.name = "ignore-failure",                                                                 \
         .short_name = 'i',                                                                        \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Commands",                                                                    \
         .help = "Exit codes other than 0 are fine."},                                             \
        {.name = "timeout",                                                                        \
         .kind = OPTION_DURATION,                                                                  \
         .min = 1e6,                                                                               \
         .max = 864e11,                                                                            \
         .default_text = "10m",                                                                    \
         .section = "Commands",                                                                    \
         .help = "A run that takes longer is killed and is no measurement."},                      \
        {.name = "vs",                                                                             \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "CMD",                                                                         \
         .section = "A against B",                                                                 \
         .help = "Compare the command with this one, in random order, until it is decided."},      \
        {.name = "metric",                                                                         \
         .kind = OPTION_CHOICE,                                                                    \
         .choices = BENCHMARK_METRICS,                                                             \
         .default_text = "wall",                                                                   \
         .section = "A against B",                                                                 \
         .help = "What decides. All are shown."},                                                  \
        {.name = "min-effect",                                                                     \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "SHARE",                                                                       \
         .default_text = "5%",                                                                     \
         .section = "A against B",                                                                 \
         .help = "The effect that matters, and the margin of being the same."},                    \
        {.name = "budget",                                                                         \
         .kind = OPTION_DURATION,                                                                  \
         .min = 1e8,                                                                               \
         .max = 864e11,                                                                            \
         .default_text = "1m",                                                                     \
         .section = "A against B",                                                                 \
         .help = "No pair begins that would end behind it."},                                      \
        {.name = "pairs",                                                                          \
         .kind = OPTION_INT,                                                                       \
         .min = AB_PAIRS_MIN,                                                                      \
         .max = AB_PAIRS_MAX,                                                                      \
         .default_text = "200",                                                                    \
         .section = "A against B",                                                                 \
         .help = "At most so many pairs."},                                                        \
        {.name = "seed",                                                                           \
         .kind = OPTION_INT,                                                                       \
         .min = 0,                                                                                 \
         .max = 9e15,                                                                              \
         .section = "A against B",                                                                 \
         .help = "Of the order in which commands are run. Without: a new one, which is printed."}, \
        {.name = "export-json",                                                                    \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "FILE",                                                                        \
         .section = "Output",                                                                      \
         .help = "Write every run's time as hyperfine's JSON."},                                   \
        {.name = "export-markdown",                                                                \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "FILE",                                                                        \
         .section = "Output",                                                                      \
         .help = "Write a table as hyperfine's Markdown."},                                        \
        {.name = "export-csv",                                                                     \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "FILE",                                                                        \
         .section = "Output",                                                                      \
         .help = "Write a line for each command."},                                                \
        {.name = "quiet",                                                                          \
         .short_name = 'q',                                                                        \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Output",                                                                      \
         .help = "No progress and no talk."},                                                      \
        {.name = "label",                                                                          \
         .short_name = 'l',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "KEY=VALUE",                                                                   \
         .repeat = true,                                                                           \
         .section = "Ledger",                                                                      \
         .help = "A label of the recorded run."},                                                  \
        {.name = "no-record",                                                                      \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Ledger",                                                                      \
         .help = "Do not record commands in the ledger."},                                         \
        OPTION_LEDGER

#endif
