// What loadtest, analyse, compare, report and gate have in common: the options that say what to
// judge and where to write, and the way from runs to reports and an exit code.
#ifndef CLI_JUDGING_H
#define CLI_JUDGING_H

#include "assess/assessment.h"
#include "cli/app.h"

#define OPTION_BASELINE                                                                            \
    {                                                                                              \
        .name = "baseline", .short_name = 'b', .kind = OPTION_STRING, .metavar = "RUNS",           \
        .section = "Judging",                                                                      \
        .help = "What to compare with: a pinned baseline's name or any selector of runs. "         \
                "Without: the baseline that the plan names, once it is pinned."                    \
    }
#define OPTION_NO_BASELINE                                                                         \
    {                                                                                              \
        .name = "no-baseline", .kind = OPTION_FLAG, .section = "Judging",                          \
        .help = "Compare with nothing, whatever the plan says."                                    \
    }
#define OPTION_SLO                                                                                 \
    {                                                                                              \
        .name = "slo", .kind = OPTION_STRING, .metavar = "FILE", .repeat = true,                   \
        .section = "Judging",                                                                      \
        .help = "OpenSLO v1 document to judge by, instead of those the plan names."                \
    }
#define OPTION_NO_DEFAULT_SLO                                                                      \
    {                                                                                              \
        .name = "no-default-slo", .kind = OPTION_FLAG, .section = "Judging",                       \
        .help = "Where no objective and no threshold is given, judge none instead of the "         \
                "platform's defaults."                                                             \
    }
#define OPTION_MARGIN                                                                              \
    {                                                                                              \
        .name = "margin", .kind = OPTION_FLOAT, .metavar = "SHARE", .min = 0.001, .max = 10,       \
        .section = "Judging",                                                                      \
        .help = "Smallest change of p95 that counts, as a share. Built in: 0.05, and 0.10 with "   \
                "fewer than three runs on a side."                                                 \
    }
#define OPTION_ALLOW_NOT_PROVEN                                                                    \
    {                                                                                              \
        .name = "allow-not-proven", .kind = OPTION_FLAG, .section = "Judging",                     \
        .help = "Exit with 0 instead of 113 when the evidence does not suffice."                   \
    }
#define OPTION_REPORT                                                                              \
    {                                                                                              \
        .name = "report", .short_name = 'r', .kind = OPTION_STRING, .metavar = "FILE",             \
        .repeat = true, .section = "Output",                                                       \
        .help = "Write a report; the ending says which kind: .html .md .json .xml (JUnit) .txt. "  \
                "Repeatable."                                                                      \
    }
#define OPTION_SUMMARY_EXPORT                                                                      \
    {                                                                                              \
        .name = "summary-export", .kind = OPTION_STRING, .metavar = "FILE", .section = "Output",   \
        .help = "Write the end-of-test summary as k6's --summary-export does."                     \
    }
#define OPTION_QUIET                                                                               \
    {                                                                                              \
        .name = "quiet", .short_name = 'q', .kind = OPTION_FLAG, .section = "Output",              \
        .help = "No progress and no talk; warnings and errors only."                               \
    }

// The judging options of `set` (a verb lists them all); `candidate` and the texts are borrowed.
AssessOptions judging_options(App *app, const OptionSet *set, Slice candidate);

// Judges, writes what --report and --summary-export ask for, prints text or --json to app->out, and
// returns the exit code of the verdict.
MUST_USE int judging_run(App *app, const OptionSet *set, Ledger *ledger,
                         const AssessOptions *options, Err *e);

// The same for a run that the ledger could not take.
MUST_USE int judging_run_unrecorded(App *app, const OptionSet *set, RunData *run, Err *e);

// Reads the objectives that --slo or the plan name, so that a mistake in them is told before a long
// test instead of after it.
MUST_USE int judging_check_slos(App *app, const OptionSet *set, const Slice *plan_files,
                                size_t plan_file_count, Err *e);

// Refuses a --report whose ending says nothing, for the same reason.
MUST_USE int judging_check_outputs(const OptionSet *set, Err *e);

#endif
