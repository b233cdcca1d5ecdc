// steps.yaml: how a repository is installed, built, tested and measured, with what was shown to
// work. `improve configure` writes it, a person corrects it, everything else of `improve` reads it.
//
//     version: 1
//     build:
//       - name: build
//         run: cmake --build build -j2
//         source: .github/workflows/ci.yml:31
//         validated: true
//         seconds: 12.5
//         log: logs/build-1.log
//         seal: 5f0c11a2
//     benchmarks:
//       - {name: bench_hash, run: build/bench_hash, harness: google-benchmark,
//          source: bench/hash.cc:14}
//     workloads:
//       - name: parse
//         run: ./build/parse {input}
//         metric: wall
//         output: stdout
//         inputs: {generator: python3 gen.py --seed {seed} --size {size}, sizes: [1000, 10000]}
//     artifacts: [build/parse]
//     protect: [bench/**]
//     environment: {LC_ALL: C}
//     limits: {time: 10m, memory: 4GiB, disk: 8GiB, processes: 500}
//
// Commands are shell text, run as `sh -c` inside the sandbox and nowhere else, in `directory` below
// the top of the working copy.
//
// A person's edits win. An entry is a person's when it says `by: person`, has no `seal`, or has one
// that does not fit its command any more; such an entry is never overwritten (steps_merge).
//
// Everything lives in the arena it was read into and is immutable but for the caller's own use.
#ifndef IMPROVE_STEPS_H
#define IMPROVE_STEPS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/json_write.h"

enum {
    STEPS_VERSION = 1,
    STEPS_BYTES_MAX = 4 << 20,
    STEP_LIST_MAX = 100, // steps of one kind
    STEPS_BENCHMARKS_MAX = 5000,
    STEPS_WORKLOADS_MAX = 100,
    STEPS_WORDS_MAX = 1000,   // of globs, sizes, files, arguments, variables each
    STEP_TEXT_MAX = 64 << 10, // bytes of one command
};

typedef struct Step {
    Slice name; // unique in its list
    Slice run;
    Slice directory; // relative to the top of the tree; "." is the top
    Slice source;    // "file:line" it was inferred from; empty for a person's
    Slice log;       // of the last validation, relative to .perfwright; may be empty
    Slice note;      // why it is a guess, or what was left out of it
    Slice key;       // of the command and the tree that were validated: fits, then not run again
    double seconds;  // of the last validation; 0: never run to its end
    int64_t tests;   // passed when validated; -1: not counted
    bool validated;  // ran twice, in clean copies, the second time without network
    bool network;    // install steps only
    bool by_person;
} Step;

typedef struct StepList {
    Step *items;
    size_t count, capacity;
} StepList;

typedef struct Benchmark {
    Slice name;
    Slice run; // empty: found, but how it is run is not known
    Slice directory;
    Slice harness; // "google-benchmark", "go", "criterion", "pytest-benchmark", ... or "command"
    Slice source;  // "file:line"
    Slice log, note;
    double seconds;
    bool validated;
    bool by_person;
} Benchmark;

// What the inputs of a workload may be. The judge makes unseen ones within this declaration.
typedef struct WorkloadInputs {
    // A shell command that writes the input to {input} or standard output, from {seed} and {size};
    // or "random-bytes" or "text-lines", which are built in. Empty: none.
    Slice generator;
    int64_t *sizes; // for {size}, the first is the one that is claimed
    size_t size_count;
    Slice *files; // each in turn as {input}, relative to the tree
    size_t file_count;
    // Rows of words: the words of a row replace {arg} as a whole, parted by blanks and quoted, or
    // {arg1}, {arg2}, ... one by one.
    struct WorkloadArguments {
        Slice *words;
        size_t count;
    } * arguments;
    size_t argument_count;
} WorkloadInputs;

typedef struct Workload {
    Slice name;
    Slice run; // may hold {input} {seed} {size} {arg}
    Slice directory;
    Slice metric; // "wall", "cpu" or "rss"
    Slice output; // "stdout", a path relative to the tree, or empty: nothing to compare
    Slice source;
    WorkloadInputs inputs;
    bool skeleton; // a proposal that somebody has to fill: never measured
    bool by_person;
} Workload;

typedef struct StepsVariable {
    Slice name, value;
} StepsVariable;

typedef struct StepsLimits {
    int64_t time_ns; // of one step; 0: the default of whoever runs it
    int64_t memory_bytes;
    int64_t disk_bytes;
    int64_t processes;
} StepsLimits;

typedef struct Steps {
    StepList install, build, test;
    Benchmark *benchmarks;
    size_t benchmark_count, benchmark_capacity;
    Workload *workloads;
    size_t workload_count;
    Slice *artifacts; // globs of what the build makes and the workloads run
    size_t artifact_count;
    Slice *protect; // globs that a patch must not touch
    size_t protect_count;
    StepsVariable *environment;
    size_t environment_count;
    Slice *packages_missing; // of the system: named by nobody's build yet, needed here
    size_t packages_missing_count;
    StepsLimits limits;
} Steps;

// `doc` as steps.yaml holds it. ERR_PARSE with the position, ERR_VERSION for a newer format,
// ERR_LIMIT. Unknown members are refused with the nearest right name.
MUST_USE int steps_read(Arena *arena, const Doc *doc, Steps *ret_steps, Err *e);
MUST_USE int steps_parse(Arena *arena, Slice text, const char *source, Steps *ret_steps, Err *e);
// `path` is the file itself. ERR_NOT_FOUND where there is none.
MUST_USE int steps_read_file(Arena *arena, const char *path, Steps *ret_steps, Err *e);

// The document as YAML that steps_parse takes back. Check the Buf.
void steps_write(const Steps *steps, Buf *out);
// The same as one JSON object.
void steps_write_json(const Steps *steps, JsonWriter *w);

// Puts what a person wrote in `old` over what was inferred anew: a list of install, build or test
// steps that a person touched stays as it was; benchmarks and workloads win by name; the other
// sections stay where they were given. Borrows from both.
MUST_USE int steps_merge(Arena *arena, const Steps *old, Steps *fresh, Err *e);
bool step_list_touched(const StepList *list); // a person's entry is in it

// ERR_LIMIT past STEP_LIST_MAX and STEPS_BENCHMARKS_MAX. Texts are borrowed.
MUST_USE int step_list_add(Arena *arena, StepList *list, const Step *step, Err *e);
MUST_USE int steps_add_benchmark(Arena *arena, Steps *steps, const Benchmark *benchmark, Err *e);
const Step *step_list_find(const StepList *list, Slice name);
const Workload *steps_workload(const Steps *steps, Slice name); // NULL: none of that name

// SHA-256 in hexadecimal of what decides results: commands, directories, workloads, globs,
// environment and limits; not of logs, times and marks. For registrations. Ends with a NUL.
enum { STEPS_HASH_HEX = 64 };
void steps_hash(const Steps *steps, char out[STEPS_HASH_HEX + 1]);

// Replaces {name} in `text` by values; a name that is not given stays. For {seed} and its like.
// `quote` puts the values into single quotes for the shell where they need it.
Slice steps_expand(Arena *arena, Slice text, const StepsVariable *values, size_t count, bool quote);

#endif
