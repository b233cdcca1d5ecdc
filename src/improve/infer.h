// Inference: how a repository is probably installed, built, tested and measured, from reading it.
// Nothing is run and nothing is believed: configure.h tries the candidates in the order of their
// scores and keeps what works.
//
// A *recipe* is one consistent way: a build directory that CMake made is of no use to a Makefile.
// It holds install commands (all of them, in order) and, for building and testing, alternatives in
// the order in which they are to be tried: with tests and benchmarks switched on, with tests, bare.
// Recipes come from CI workflows, containers, build files and conventions, one infer_*.c each.
//
//     rc = infer(&tree, &(InferOptions){0}, &inference, e);
//     for (size_t i = 0; i < inference->recipe_count; i++) { ... inference->recipes[i].score ... }
//
// Commands are for a shell in the sandbox with the tree as WORKSPACE_INSIDE and the dependency
// directory as WORKSPACE_DEPS, writable for install steps only. infer_environment names the
// variables that make the tools keep their downloads there.
#ifndef IMPROVE_INFER_H
#define IMPROVE_INFER_H

#include "improve/steps.h"
#include "improve/tree.h"

enum {
    RECIPES_MAX = 48,
    RECIPE_INSTALLS_MAX = 12,
    RECIPE_ALTERNATIVES_MAX = 8,
    INFER_PACKAGES_MAX = 300,
};

typedef struct Candidate {
    Slice what; // "with tests and benchmarks": what makes it different
    Slice run;
    Slice source; // "file:line"
} Candidate;

typedef struct Recipe {
    Slice name; // "cmake", "github workflow ci.yml"
    Slice directory;
    int score; // 0..200, the higher the earlier
    Candidate installs[RECIPE_INSTALLS_MAX];
    size_t install_count;
    Candidate builds[RECIPE_ALTERNATIVES_MAX];
    size_t build_count;
    Candidate tests[RECIPE_ALTERNATIVES_MAX];
    size_t test_count;
} Recipe;

// A package of the system (Debian's names) that the repository or its CI asks for.
typedef struct PackageWish {
    Slice name;
    Slice source;
    bool needed; // else it helps: a test framework, a benchmark library
} PackageWish;

typedef struct Inference {
    Arena *arena;
    Tree *tree;
    Slice directory; // all of it is below this; "." for the whole tree
    Slice language;  // "C", "C++", "Go", "Rust", "Python", "JavaScript", "Java", ... or "unknown"
    Recipe *recipes; // the best first
    size_t recipe_count;
    PackageWish packages[INFER_PACKAGES_MAX];
    size_t package_count;
    Steps found; // the benchmarks; the rest is empty
    bool submodules;
    // Words of the CI files that say which tools are really used there; private to the infer_*.c.
    Slice ci_text;
} Inference;

typedef struct InferOptions {
    Slice directory; // --path; empty: "."
} InferOptions;

// Everything is in the tree's arena. ERR_NOT_FOUND for a directory that is not there.
MUST_USE int infer(Tree *tree, const InferOptions *options, Inference **ret_inference, Err *e);

// What every step runs with: "CARGO_HOME=/deps/cargo" and its like. Ends with an empty name.
extern const StepsVariable INFER_ENVIRONMENT[];
extern const size_t INFER_ENVIRONMENT_COUNT;

// ---- for the infer_*.c, one source each

// NULL when RECIPES_MAX are there: the lowest scores are not missed.
Recipe *infer_recipe(Inference *in, const char *name, Slice directory, int score);
void infer_install(Inference *in, Recipe *r, Slice source, const char *format, ...)
    PRINTF_LIKE(4, 5);
void infer_build(Inference *in, Recipe *r, const char *what, Slice source, const char *format, ...)
    PRINTF_LIKE(5, 6);
void infer_test(Inference *in, Recipe *r, const char *what, Slice source, const char *format, ...)
    PRINTF_LIKE(5, 6);
void infer_package(Inference *in, Slice name, Slice source, bool needed);
Slice infer_source(Inference *in, Slice path, long line);
// The path of `name` in the directory in question.
Slice infer_path(Inference *in, const char *name);
bool infer_has(Inference *in, const char *name);
Slice infer_text(Inference *in, const char *name);
// A directory for build products that nothing in the tree is called: "build" or "build-perfwright".
const char *infer_build_directory(Inference *in, Slice below);
// The line of the first place where `needle` stands in the file `path`; 1 where it does not.
long infer_line(Inference *in, Slice path, const char *needle);
bool infer_is_below(const Inference *in, Slice path);
// A benchmark that was found. The same name and source are taken once.
void infer_benchmark(Inference *in, Slice name, Slice run, Slice directory, const char *harness,
                     Slice source);

void infer_ci(Inference *in);
void infer_container(Inference *in);
void infer_cmake(Inference *in);
void infer_meson(Inference *in);
void infer_autotools(Inference *in);
void infer_make(Inference *in);
void infer_cargo(Inference *in);
void infer_go(Inference *in);
void infer_npm(Inference *in);
void infer_java(Inference *in);
void infer_python(Inference *in);
void infer_conventions(Inference *in);
void infer_benchmarks(Inference *in);
void infer_packages(Inference *in);

#endif
