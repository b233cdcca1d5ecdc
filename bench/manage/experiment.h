// The experiments on coordination share these: options, threads, a table that prints itself, the
// one instrument that every policy is measured with, and the tuner.
//
// Everything is a function of the seed, but for budgets of the clock inside of the coordinator
// (how many candidates it gets to look at in its planning time depends on the machine).
#ifndef BENCH_MANAGE_EXPERIMENT_H
#define BENCH_MANAGE_EXPERIMENT_H

#include "manage/plant.h"
#include "base/rng.h"
#include "model/bayes_opt.h"

typedef struct Experiment {
    const char *system_path;
    uint64_t seed;
    bool quick;
    bool live;
    bool only_negotiated; // of E1, and the oracle that starts from it
    int64_t tell;         // the story of this run to stderr; -1: none
    double rho;           // of E1; 0: all three
    size_t runs;          // of E1; 0: the default
    Arena *arena;
    Buf out;  // markdown
    Buf json; // the same as an array of tables
    bool json_more;
} Experiment;

typedef int ExperimentFn(Experiment *x, Err *e);
ExperimentFn experiment_e1, experiment_e2, experiment_e3, experiment_e5;

// ---- threads

// fn(context, 0) .. fn(context, count - 1) on `threads` threads (0: two).
typedef void PartFn(void *context, size_t index);
MUST_USE int experiment_parallel(size_t count, int threads, PartFn *fn, void *context, Err *e);

// ---- tables

enum { COLUMNS_MAX = 14, ROWS_MAX = 64 };

// A mean over runs with its interval (the unit is the run), or words.
typedef struct Cell {
    Slice text; // not empty: only this
    double value, low, high;
    int digits;
} Cell;

typedef struct Table {
    const char *title;
    const char *columns[COLUMNS_MAX];
    size_t column_count;
    Cell cells[ROWS_MAX][COLUMNS_MAX];
    size_t rows;
} Table;

// Student's t over runs; with some of them infinite the median, and the interval ends there.
Cell cell_mean(const double *runs, size_t count, int digits);
Cell cell_number(double value, int digits);
Cell cell_text(Slice text);
void experiment_print(Experiment *x, const Table *table);
void experiment_say(Experiment *x, const char *format, ...) PRINTF_LIKE(2, 3);

// ---- the instrument

enum { SCORE_CLIENTS = 4 };

typedef struct ScoreOptions {
    uint64_t seed;
    int64_t from_ns;      // requests that end after it are measured
    int64_t horizon_ns;   // the last arrival; then it runs on until all is answered
    int64_t spike_ns;     // end of the spike, from which recovery counts; 0: none
    int64_t good_from_ns; // of managed runs: from when on kept promises count
    double recovered_at;  // goodput of every client's window that counts as good again
} ScoreOptions;

// One run. Clients in the order of the System; a failure is infinitely slow.
typedef struct Score {
    double goodput[SCORE_CLIENTS], p50[SCORE_CLIENTS], p99[SCORE_CLIENTS];
    double whole[SCORE_CLIENTS]; // goodput of the run from its beginning
    double recovery_s;           // until three windows in a row are good; INFINITY: never
    double amplification;        // requests at the agent that suffers, for each one needed
    double wasted;               // share of its work
    double servers;              // mean, all agents
} Score;

// Something that looks at a run from outside: a coordinator. NULL: nobody.
typedef int ManageFn(void *context, Plant *plant, void (*each)(void *, const PlantWindow *),
                     void *each_context, Err *e);

typedef struct ScoreBuilder ScoreBuilder;
ScoreBuilder *score_begin(const System *sys, const ScoreOptions *options);
void score_window(ScoreBuilder *b, const PlantWindow *window);
Score score_end(ScoreBuilder *b); // frees it

// A System as it is, in the simulated plant.
MUST_USE int score_run(const System *sys, const ScoreOptions *options, Score *ret_score, Err *e);
// The same several times, seeds from options->seed on, in parallel.
MUST_USE int score_runs(const System *sys, const ScoreOptions *options, size_t runs,
                        Score *ret_scores, Err *e);

// How bad, for tuning: promised goodput comes first, p99 of client 0 after it. Lower is better.
double score_badness(const System *sys, const Score *scores, size_t count);

// ---- the tuner

enum { KNOBS_MAX = 16, KNOB_PLACES_MAX = 6 };

// One number, set in several places: "a->b.timeout.attempt builds->b.timeout.attempt".
typedef struct Knob {
    const char *places;
    BayesKind kind;
    double low, high; // durations in seconds
} Knob;

typedef struct Space {
    const char *name;
    const char *fixed; // changes that are always made, separated by blanks
    Knob knobs[KNOBS_MAX];
    size_t knob_count;
} Space;

typedef struct TuneOptions {
    ScoreOptions score; // its seed: of the tuning
    size_t runs;        // per trial
    size_t trials;
    const double *starts; // points to begin with, knob_count values each
    size_t start_count;
    bool local; // also search around the best: half of the trials
} TuneOptions;

typedef struct Tuned {
    double point[KNOBS_MAX];
    double badness;
    System *sys;
} Tuned;

// Applies the space's fixed changes and `point`.
MUST_USE int space_apply(Arena *arena, const System *sys, const Space *space, const double *point,
                         System **ret_system, Err *e);
// "a->b.timeout.attempt=3.1s ...": the tuned numbers, for the table.
Slice space_print(Arena *arena, const Space *space, const double *point);
// What a System has in the places of the space, as a point to start from.
MUST_USE int space_point(const System *sys, const Space *space, double *ret_point, Err *e);
MUST_USE int tune(Arena *arena, const System *sys, const Space *space, const TuneOptions *options,
                  Tuned *ret_tuned, Err *e);

#endif
