// Critique: the stage that tries to refute a claim before a person has to. What it tries is fixed
// by rules, so that the same claim always meets the same doubts; a language model may propose more
// inputs, as data that is checked against the declaration, and has no say in what came out.
//
//     Critique critique;
//     rc = critique_run(&(CritiqueOptions){.steps = &steps, .patch = &patch, .seed = seed,
//                                          .compare_fn = judge_compare, .ctx = &judge,
//                                          .budget_ns = 30 * NS_PER_S},
//                       arena, &critique, &findings, e);
//     critique_text(&critique, &out);   // for the engine: what refuted it
//
// Within the declaration (other seeds, the other declared sizes, files and arguments) the claim
// must not turn into a loss, and at the claimed size it must not vanish. Beyond it (sizes ten times
// up and down, shapes of data nobody declared) the answer must stay right and the program must not
// become much slower; that it gains nothing there is no refutation: a better algorithm may well
// gain nothing on ten items.
#ifndef IMPROVE_CRITIQUE_H
#define IMPROVE_CRITIQUE_H

#include "improve/cheat.h"
#include "os/clock.h"
#include "stat/interval.h"

typedef enum CritiqueKind {
    CRITIQUE_SEED,        // another seed at the claimed size
    CRITIQUE_SIZE,        // another declared size
    CRITIQUE_SIZE_DOWN,   // a tenth of the claimed size
    CRITIQUE_SIZE_UP,     // ten times the claimed size
    CRITIQUE_SHAPE,       // the claimed size, other data: sorted, equal, random, empty, one line
    CRITIQUE_ARGUMENT,    // another declared row of arguments
    CRITIQUE_FILE,        // another declared file
    CRITIQUE_COLD,        // page cache of the tree and the input dropped before each sample
    CRITIQUE_ENVIRONMENT, // another size of the environment: the stack lies elsewhere
    CRITIQUE_BENCHMARK,   // another benchmark of the repository that names what the patch touches
    CRITIQUE_PROPOSED,    // by the language model
    CRITIQUE_KINDS,
} CritiqueKind;
extern const char *const CRITIQUE_KIND_NAMES[CRITIQUE_KINDS + 1];

// One attempt at refuting. What is not set is as in the claim.
typedef struct CritiqueCase {
    CritiqueKind kind;
    Slice name;      // "seed 2", "shape sorted": stable, for people and machines
    size_t workload; // of the steps
    uint64_t seed;
    int64_t size;     // 0: the workload has no {size}
    size_t argument;  // row of the declared arguments
    size_t file;      // index of the declared files
    bool has_input;   // `input` is the content of {input}: no generator is run
    Slice input;      //
    size_t benchmark; // of the steps, for CRITIQUE_BENCHMARK
    size_t environment_bytes;
    bool cold;
    bool declared;     // within what the steps declare
    int64_t budget_ns; // for comparing
} CritiqueCase;

typedef enum CritiqueSpeed {
    CRITIQUE_UNCLEAR,
    CRITIQUE_FASTER,
    CRITIQUE_SAME, // shown to be equal within the margin
    CRITIQUE_SLOWER,
} CritiqueSpeed;

// What the judge's comparing says of a case.
typedef struct CritiqueMeasured {
    bool ran;          // both sides gave measurements
    Slice why_not;     // else: "the base fails on it", "needs 4 GiB"
    bool base_fails;   // the base gives no answer to it: nothing is asked of the patch then
    bool patch_fails;  // exits otherwise than the base, or is timed out
    bool output_known; // outputs were compared; nondeterministic ones are not
    bool output_equal;
    CritiqueSpeed speed;
    double ratio; // patched over base
    Interval interval;
} CritiqueMeasured;

typedef enum CritiqueResult {
    CRITIQUE_HELD,
    CRITIQUE_REFUTED,
    CRITIQUE_BROKE, // another answer
    CRITIQUE_WORSE, // beyond the declaration and not much: for a person to weigh
    CRITIQUE_NOT_RUN,
    CRITIQUE_RESULTS,
} CritiqueResult;
extern const char *const CRITIQUE_RESULT_NAMES[CRITIQUE_RESULTS + 1]; // "held", "refuted", ...

typedef struct CritiqueTried {
    CritiqueCase attempt;
    CritiqueMeasured measured;
    CritiqueResult result;
    Slice text; // one sentence
} CritiqueTried;

enum {
    CRITIQUE_CASES_MAX = 24,
    CRITIQUE_PROPOSED_MAX = 5,
    CRITIQUE_INPUT_MAX = 16 << 20, // bytes of an input that is made here
    CRITIQUE_ROUNDS_MAX = 3,       // how often an engine gets to hear of it
};
// Slower than this beyond the declaration refutes; less is for a person to weigh.
#define CRITIQUE_MUCH_SLOWER 1.5

typedef struct Critique {
    CritiqueTried tried[CRITIQUE_CASES_MAX];
    size_t count;
    size_t held, refuted, not_run; // CRITIQUE_BROKE counts as refuted
} Critique;

typedef struct CritiqueOptions {
    const Steps *steps;
    const Patch *patch;   // for benchmarks that name what it touches; may be NULL
    size_t workload;      // that the claim is about
    uint64_t seed;        // of the hidden inputs
    int64_t claimed_size; // 0: the first declared
    // The file that the claimed input was made into, for shapes of data; empty: no such file.
    Slice claimed_input;
    int64_t budget_ns;  // for all cases together; what does not fit is "not run" and says so
    const Clock *clock; // NULL: the real one
    // Compares base and patch on a case: outputs first, then time. Not 0 ends the critique.
    int (*compare_fn)(void *ctx, const CritiqueCase *attempt, Arena *arena,
                      CritiqueMeasured *ret_measured, Err *e);
    // Asks a language model (critique_prompt's text) and gives its answer back; NULL: there is
    // none. A failure is a case "not run", never a failure of the critique.
    int (*ask_fn)(void *ctx, Slice prompt, Arena *arena, Slice *ret_answer, Err *e);
    bool (*stop_fn)(void *ctx); // asked between cases; may be NULL
    void *ctx;
} CritiqueOptions;

// The cases, most telling first, without running any. Inputs are made in the arena.
size_t critique_plan(const CritiqueOptions *options, Arena *arena,
                     CritiqueCase ret_cases[CRITIQUE_CASES_MAX]);
// Runs them within the budget; adds a finding for each that refuted, broke or got worse.
MUST_USE int critique_run(const CritiqueOptions *options, Arena *arena, Critique *ret_critique,
                          Findings *findings, Err *e);
// What came out of one case.
CritiqueResult critique_weigh(const CritiqueCase *attempt, const CritiqueMeasured *measured);

// For the engine's next round: what refuted the claim, with figures measured here. Empty when
// nothing did.
void critique_text(const Critique *critique, Buf *out);
void critique_write(const Critique *critique, JsonWriter *w); // an array of objects

// ---- the language model's part

// What it is told: the declaration and the patch as quoted data, and the form of the answer.
void critique_prompt(const CritiqueOptions *options, Buf *out);
// {"proposals":[{"size":100,"seed":7,"shape":"sorted","why":"..."}]}: strictly read; sizes within a
// tenth and ten times what is declared, shapes by name, at most CRITIQUE_PROPOSED_MAX. ERR_PARSE.
MUST_USE int critique_read_proposals(const CritiqueOptions *options, Slice answer, Arena *arena,
                                     CritiqueCase ret_cases[CRITIQUE_PROPOSED_MAX],
                                     size_t *ret_count, Err *e);

// ---- shapes of data

// "sorted", "reversed", "equal", "shuffled", "empty", "one-line", "no-newline": the lines of `from`
// in that shape. ERR_NOT_FOUND for another name, ERR_LIMIT.
extern const char *const CRITIQUE_SHAPES[]; // ends with NULL
MUST_USE int critique_shape(Arena *arena, const char *shape, Slice from, uint64_t seed,
                            Slice *ret_input, Err *e);

#endif
