// What the parts of configure share.
#ifndef IMPROVE_CONFIGURE_IMPL_H
#define IMPROVE_CONFIGURE_IMPL_H

#include "improve/configure.h"
#include "improve/tests_count.h"

enum { REPAIRS_MAX = 8, REPAIRED_MAX = 64 };

typedef struct Configure {
    const ConfigureOptions *o;
    Arena *arena;
    Inference *in;
    ConfigureReport *report;
    int64_t end_ns;
    Slice repaired[REPAIRED_MAX]; // what was done once is not done again
    size_t repaired_count;
    int log_number;
    Err *e;
} Configure;

typedef enum StageKind { STAGE_INSTALL, STAGE_BUILD, STAGE_TEST, STAGE_BENCHMARK } StageKind;
extern const char *const STAGE_NAMES[];

// What a failed command's output suggests.
typedef enum RepairKind {
    REPAIR_NONE,
    REPAIR_PACKAGE, // of the system
    REPAIR_INSTALL, // one more install command
    REPAIR_RUN,     // the command is to be another
} RepairKind;

typedef struct Repair {
    RepairKind kind;
    Slice text; // package, or command
    Slice note; // for people; empty: nothing to say
} Repair;

typedef struct RepairQuestion {
    StageKind stage;
    Slice run;
    Slice output;
    bool timed_out;
    const TestCount *count; // of a test; NULL otherwise
} RepairQuestion;

// True with a repair that was not done before.
bool configure_repair(Configure *c, const RepairQuestion *q, Repair *ret_repair);
// The test command less the few tests that fail here; false where they are many or unknown.
bool configure_deselect(Arena *arena, const RepairQuestion *q, Repair *ret_repair);
bool configure_once(Configure *c, Slice what); // false the second time

// Runs one command in `copy`, notes the trial. 0 and the outcome, or an error of ours.
MUST_USE int configure_run(Configure *c, void *copy, const Recipe *r, StageKind stage,
                           const Candidate *candidate, ConfigureOutcome *ret_outcome,
                           Slice *ret_log);
// The steps of `r` as they were shown to work; false when nothing of it builds.
MUST_USE int configure_try(Configure *c, Recipe *r, bool *ret_builds, bool *ret_tests);
void configure_say(Configure *c, const char *format, ...) PRINTF_LIKE(2, 3);
bool configure_out_of_time(Configure *c);
// Runs what benchmarks can be run in the built copy.
MUST_USE int configure_benchmarks(Configure *c, void *copy, const Recipe *r);

#endif
