// What the stages of the judge share. Not for others.
#ifndef IMPROVE_JUDGE_IMPL_H
#define IMPROVE_JUDGE_IMPL_H

#include "base/rng.h"
#include "bench/ab.h"
#include "bench/command.h"
#include "improve/cheat.h"
#include "improve/cheat_probe.h"
#include "improve/critique.h"
#include "improve/judge.h"
#include "improve/patch.h"
#include "improve/step_run.h"
#include "improve/steps.h"
#include "improve/workspace.h"
#include "os/sandbox.h"

#define JUDGE_DATA_INSIDE "/data" // inputs, read-only while a sample runs

enum {
    JUDGE_INPUTS_MAX = 64,  // of one workload
    JUDGE_TIMED_INPUTS = 5, // drawn for the claim; rounds take them in turn
    JUDGE_INPUT_BYTES_MAX = 256 << 20,
    JUDGE_VARS_MAX = 16,
    JUDGE_KNOWN_MAX = 8,
};
// A step of the build or the tests that takes longer is not waited for.
#define JUDGE_STEP_TIMEOUT_NS (600 * NS_PER_S)
// A sample that takes longer than this and than ten times the base is not waited for.
#define JUDGE_SAMPLE_TIMEOUT_NS (20 * NS_PER_S)

// The sandboxes of a side. In the last one the tree is at another path.
enum { JUDGE_BOX_READ_ONLY, JUDGE_BOX_WRITABLE, JUDGE_BOX_ELSEWHERE, JUDGE_BOXES };
#define JUDGE_ELSEWHERE "/srv/checkout/tree"

// One of the two programs that are compared, in its own copies of the tree.
typedef struct JudgeSide {
    const char *name;  // "base", "patched"
    Workspace *source; // after install, before build
    Workspace *built;
    Sandbox *sandbox[JUDGE_BOXES]; // opened when first needed
    char artifact_sha256[SHA256_HEX + 1];
    int64_t artifact_bytes;
    size_t artifacts;
    bool machine_code; // the artifact is what a compiler made
    int64_t build_ns;
    Arena *scan_arena;             // for looking through the tree after a run
    struct JudgeTree *after_build; // what was there before anything ran
    Slice failure, failure_tail;   // of the last build step that failed
} JudgeSide;

typedef struct JudgeInput {
    Slice label; // "seed 17, size 1000"
    Slice run;   // the command with everything put in
    StepsVariable vars[JUDGE_VARS_MAX];
    size_t var_count;
    bool declared; // made as the steps say; else a variation that they do not mention
    bool hidden;   // drawn after the patch was fixed
    bool timed;    // of the size that is claimed
    bool renamed;  // what is claimed, in a file of another name
    bool near;     // a variation so small that the claim must hold on it: timed where the base
                   // takes about as long
    // What the base said, twice.
    bool usable;        // it ends, both times the same way
    bool stable;        // with the same output, byte for byte
    bool comparable;    // or but for numbers about time
    bool agreed;        // the patched side said the same
    bool masked;        // but for those numbers
    int base_exit;      //
    double base_wall_s; //
    char base_sha256[SHA256_HEX + 1];
} JudgeInput;

typedef struct JudgeWork {
    const Workload *workload;
    BenchMetric metric;
    bool writable; // the tree, because the workload writes its output there
    JudgeInput *inputs;
    size_t input_count;
    size_t timed[JUDGE_INPUTS_MAX]; // indices of the inputs that rounds take in turn
    size_t timed_count;
    bool only_timed; // draw nothing else
    bool unseen;     // at least one declared input that nobody could know
    double wall_s;   // of the base, median of what was seen
} JudgeWork;

// Room for one run's environment and paths: too large for the stack of a fiber.
enum { JUDGE_PAD_MAX = 4096, JUDGE_ENV_MAX = 256, JUDGE_PATH_MAX = 4096 };
typedef struct JudgeRoom {
    const char *env[JUDGE_ENV_MAX + 4];
    char pad[JUDGE_PAD_MAX + 8];
    char directory[JUDGE_PATH_MAX];
} JudgeRoom;

typedef struct Judge {
    const JudgeOptions *o;
    Arena *arena;
    JudgeReport *r;
    const Steps *steps;
    Registration *reg;
    Patch patch;
    Slice diff;
    const char *work_dir;
    const char *data_dir; // on the host; JUDGE_DATA_INSIDE in the sandbox
    const char *deps_dir; // what install steps filled; NULL: none
    JudgeSide base, patched;
    JudgeWork *works;
    size_t work_count;
    uint64_t seed;
    Rng rng;
    JudgeRoom *room;
    unsigned files;      // inputs written so far
    bool c_touched;      // C or C++ is in the patch
    bool added_dropped;  // new protected files of the patch are not in the judged tree
    bool only_protected; // nothing of the patch is left to judge
    int64_t test_ns;     // of the base
    CheatMask suspected; // what the scan leaves for the probes
    // What the author of the patch could know: contents of declared inputs, answers to them.
    Slice known_inputs[JUDGE_KNOWN_MAX], known_outputs[JUDGE_KNOWN_MAX];
    size_t known_input_count, known_output_count;
    int64_t budget_ns; // of measuring
} Judge;

// ---- judge_stage.c: bookkeeping

bool judge_stopped(Judge *j); // also lets the loop turn
void judge_progress(Judge *j, const char *stage, const char *format, ...) PRINTF_LIKE(3, 4);
void judge_checked(Judge *j, const char *what, bool done, const char *format, ...)
    PRINTF_LIKE(4, 5);
int64_t judge_left(const Judge *j);   // of the measuring budget
bool judge_condemned(const Judge *j); // broken or a cheat: nothing more needs to be measured
// Runs one step in a workspace and puts it on the report's list of commands.
MUST_USE int judge_step(Judge *j, const char *what, Workspace *ws, const Step *step,
                        const StepRunOptions *extra, StepResult *ret_result, Err *e);

// ---- judge_sides.c: trusted copies, builds, artifacts

MUST_USE int judge_make_sides(Judge *j, Err *e);
// Builds a copy of `side->source`; false in `ret_ok` when the build fails. `extra` may be NULL.
MUST_USE int judge_build(Judge *j, JudgeSide *side, const StepRunOptions *extra, bool *ret_ok,
                         Err *e);
void judge_side_done(Judge *j, JudgeSide *side, bool keep);
// Both built, and the artifact shown to contain the patch. May condemn.
MUST_USE int judge_build_both(Judge *j, Err *e);

// ---- judge_tree.c: what a build made

typedef struct JudgeTree JudgeTree;
JudgeTree *judge_tree_scan(Arena *arena, const char *root);
// Hash over the paths and contents of what is in the tree now and was not, or not so, in `before`.
MUST_USE int judge_tree_artifacts(Arena *arena, const char *root, const JudgeTree *before,
                                  const Steps *steps, JudgeSide *side, Err *e);
size_t judge_tree_count(const JudgeTree *tree);
// How many files are new or changed, and taking the new ones away.
size_t judge_tree_new(Arena *arena, const char *root, const JudgeTree *before);
void judge_tree_remove_new(Arena *arena, const char *root, const JudgeTree *before);

// ---- judge_tests.c

MUST_USE int judge_run_tests(Judge *j, Err *e);

// ---- judge_input.c: drawing

MUST_USE int judge_draw_inputs(Judge *j, Err *e);
// Only those that are timed, into arrays of its own: for a second session.
MUST_USE int judge_draw_timed(Judge *j, JudgeWork *work, Err *e);

// An input with these values, made by the declared generator or from `content` (ptr not NULL).
// `ret_ok` false: the generator would not.
typedef struct JudgeMake {
    uint64_t seed;
    int64_t size;
    Slice content;
    const JudgeInput *row; // an input whose other values are kept; may be NULL
} JudgeMake;
MUST_USE int judge_make_input(Judge *j, JudgeWork *work, const JudgeMake *make,
                              JudgeInput *ret_input, bool *ret_ok, Err *e);

// ---- judge_vary.c: small variations of a command that the steps do not mention

MUST_USE int judge_add_variations(Judge *j, JudgeWork *work, Err *e);
MUST_USE int judge_write_input(Judge *j, Slice bytes, Slice *ret_inside, Err *e);
const char *judge_input_host(Judge *j, Slice inside);

// ---- judge_run.c: one run of one side on one input

typedef struct JudgeRunAsk {
    bool capture;                 // the output's bytes, not only their hash
    unsigned pad;                 // bytes of environment
    int64_t timeout_ns;           // 0: from the base's time
    const char *const *env_extra; // "NAME=value", ends with NULL; wins over what is there
    bool leave_tree;              // new files in it stay after the run, to be counted
    bool keep_scratch;            // in the scratch of the run before
    bool other_place;             // the tree at another path
    bool other_parent;            // a shell more above it
} JudgeRunAsk;

typedef struct JudgeRan {
    BenchResult bench; // with the output, or its hash; of the output file where that is declared
    unsigned survivors;
} JudgeRan;
JudgeRan judge_ran_create(void);
void judge_ran_done(JudgeRan *ran);
MUST_USE int judge_run(Judge *j, JudgeSide *side, const JudgeWork *work, const JudgeInput *input,
                       const JudgeRunAsk *ask, JudgeRan *ran, Err *e);

// Files in the scratch folders of the last run, and new ones in its tree where that is writable.
unsigned judge_files_left(Judge *j, const JudgeSide *side, const JudgeWork *work,
                          const JudgeRunAsk *ask);

// ---- judge_equal.c

// The base's answer to the input, looked at twice; `ran` gets the first.
MUST_USE int judge_look_at_base(Judge *j, JudgeWork *work, JudgeInput *in, JudgeRan *ran, Err *e);
bool judge_ended(const JudgeRan *ran); // by itself, whatever the exit code
MUST_USE int judge_check_outputs(Judge *j, Err *e);

// ---- judge_sanitize.c

MUST_USE int judge_sanitize(Judge *j, Err *e);
// Builds both sides with `flags` appended to every call of a C or C++ compiler.
MUST_USE int judge_build_flagged(Judge *j, const char *flags, JudgeSide *base, JudgeSide *patched,
                                 bool *ret_ok, Err *e);

// ---- judge_speed.c

MUST_USE int judge_measure(Judge *j, JudgeSide *base, JudgeSide *patched, JudgeWork *work,
                           JudgeRole role, int64_t budget_ns, size_t max_pairs,
                           JudgeMeasure **ret_measure, Err *e);
MUST_USE int judge_speed(Judge *j, Err *e);

// ---- judge_probe.c, judge_critique.c: the means of cheat_probe.h and critique.h

MUST_USE int judge_probe(Judge *j, Err *e);
MUST_USE int judge_critique(Judge *j, Err *e);

// ---- judge_record.c

MUST_USE int judge_record(Judge *j, Err *e);

#endif
