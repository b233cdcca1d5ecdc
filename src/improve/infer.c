#include "improve/infer.h"

#include <stdarg.h>

// The directories are WORKSPACE_DEPS of improve/workspace.h. Nothing here may differ from machine
// to machine: the environment is part of what is hashed into a registration.
#define DEPS "/deps"
const StepsVariable INFER_ENVIRONMENT[] = {
    {SLICE_INIT("CI"), SLICE_INIT("true")}, // test runners do not watch, ask or colour
    {SLICE_INIT("CARGO_HOME"), SLICE_INIT(DEPS "/cargo")},
    // Tests are compiled with what a backtrace needs: all of it doubles the time and the disk.
    {SLICE_INIT("CARGO_PROFILE_DEV_DEBUG"), SLICE_INIT("line-tables-only")},
    {SLICE_INIT("GOMODCACHE"), SLICE_INIT(DEPS "/go")},
    {SLICE_INIT("GOFLAGS"), SLICE_INIT("-modcacherw")},
    {SLICE_INIT("npm_config_cache"), SLICE_INIT(DEPS "/npm")},
    // The second copy installs what the first fetched, without asking again for each package.
    {SLICE_INIT("npm_config_prefer_offline"), SLICE_INIT("true")},
    {SLICE_INIT("MAVEN_OPTS"), SLICE_INIT("-Dmaven.repo.local=" DEPS "/m2")},
    {SLICE_INIT("GRADLE_USER_HOME"), SLICE_INIT(DEPS "/gradle")},
    {SLICE_INIT("CMAKE_BUILD_TYPE"), SLICE_INIT("Release")}, // where nobody says otherwise
    {SLICE_INIT("CTEST_OUTPUT_ON_FAILURE"), SLICE_INIT("1")},
    {SLICE_INIT("PIP_DISABLE_PIP_VERSION_CHECK"), SLICE_INIT("1")},
    {SLICE_INIT("PYTHONDONTWRITEBYTECODE"), SLICE_INIT("1")},
    {SLICE_INIT("PUPPETEER_SKIP_DOWNLOAD"), SLICE_INIT("1")},
    {SLICE_INIT("HUSKY"), SLICE_INIT("0")},
};
const size_t INFER_ENVIRONMENT_COUNT = COUNT_OF(INFER_ENVIRONMENT);

// ---- what the sources add

Recipe *infer_recipe(Inference *in, const char *name, Slice directory, int score)
{
    if (in->recipe_count == RECIPES_MAX) {
        return NULL;
    }
    Recipe *r = &in->recipes[in->recipe_count++];
    *r = (Recipe){.name = arena_copy(in->arena, slice_from_cstr(name)),
                  .directory = directory.len > 0 ? directory : SLICE("."),
                  .score = score};
    return r;
}

static Slice formatted(Arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = ARENA_ARRAY(arena, char, (size_t)n + 1);
    (void)vsnprintf(text, (size_t)n + 1, format, args);
    Slice run = slice_trim((Slice){text, (size_t)n});
    // Of several lines each must succeed, not only the last.
    return slice_find_byte(run, '\n') >= 0 && !text_starts(run, "set -e")
               ? arena_printf(arena, "set -e\n%.*s", SLICE_FMT(run))
               : run;
}

static void add(Candidate *list, size_t *count, size_t max, const Candidate *c)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_eq(list[i].run, c->run)) {
            return;
        }
    }
    if (*count < max && c->run.len > 0 && c->run.len <= STEP_TEXT_MAX) {
        list[(*count)++] = *c;
    }
}

void infer_install(Inference *in, Recipe *r, Slice source, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Candidate c = {.source = source, .run = formatted(in->arena, format, args)};
    va_end(args);
    if (r) {
        add(r->installs, &r->install_count, RECIPE_INSTALLS_MAX, &c);
    }
}

void infer_build(Inference *in, Recipe *r, const char *what, Slice source, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Candidate c = {slice_from_cstr(what), formatted(in->arena, format, args), source};
    va_end(args);
    if (r) {
        add(r->builds, &r->build_count, RECIPE_ALTERNATIVES_MAX, &c);
    }
}

void infer_test(Inference *in, Recipe *r, const char *what, Slice source, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Candidate c = {slice_from_cstr(what), formatted(in->arena, format, args), source};
    va_end(args);
    if (r) {
        add(r->tests, &r->test_count, RECIPE_ALTERNATIVES_MAX, &c);
    }
}

// Debian's rule for names (policy 5.6.1), which also makes them safe as arguments.
static bool is_package_name(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || (c != '+' && c != '-' && c != '.'))) {
            return false;
        }
    }
    return s.len >= 2 && s.len <= 80;
}

void infer_package(Inference *in, Slice name, Slice source, bool needed)
{
    if (!is_package_name(name)) {
        return;
    }
    for (size_t i = 0; i < in->package_count; i++) {
        if (slice_eq(in->packages[i].name, name)) {
            in->packages[i].needed |= needed;
            return;
        }
    }
    if (in->package_count < INFER_PACKAGES_MAX) {
        in->packages[in->package_count++] =
            (PackageWish){arena_copy(in->arena, name), source, needed};
    }
}

void infer_benchmark(Inference *in, Slice name, Slice run, Slice directory, const char *harness,
                     Slice source)
{
    Steps *s = &in->found;
    for (size_t i = 0; i < s->benchmark_count; i++) {
        if (slice_eq(s->benchmarks[i].name, name)) {
            if (slice_eq(s->benchmarks[i].source, source)) {
                return;
            }
            // Names are what people choose by, so two of one name get their place behind it.
            name = arena_printf(in->arena, "%.*s (%.*s)", SLICE_FMT(name), SLICE_FMT(source));
        }
    }
    Benchmark b = {.name = name,
                   .run = run,
                   .directory = directory.len > 0 ? directory : SLICE("."),
                   .harness = slice_from_cstr(harness),
                   .source = source};
    if (s->benchmark_count < STEPS_BENCHMARKS_MAX &&
        steps_add_benchmark(in->arena, s, &b, NULL) != 0) {
        die("a benchmark below the ceiling was refused");
    }
}

// ---- what the sources ask

Slice infer_source(Inference *in, Slice path, long line)
{
    return arena_printf(in->arena, "%.*s:%ld", SLICE_FMT(path), line);
}

Slice infer_path(Inference *in, const char *name)
{
    return path_join(in->arena, in->directory, slice_from_cstr(name));
}

bool infer_has(Inference *in, const char *name)
{
    return tree_has(in->tree, infer_path(in, name));
}

Slice infer_text(Inference *in, const char *name)
{
    return tree_text(in->tree, infer_path(in, name));
}

const char *infer_build_directory(Inference *in, Slice below)
{
    static const char *const NAMES[] = {"build", "build-perfwright", "build-perfwright-2"};
    for (size_t i = 0; i + 1 < COUNT_OF(NAMES); i++) {
        Slice path = path_join(in->arena, below, slice_from_cstr(NAMES[i]));
        if (!tree_has_directory(in->tree, path) && !tree_has(in->tree, path)) {
            return NAMES[i];
        }
    }
    return NAMES[COUNT_OF(NAMES) - 1];
}

long infer_line(Inference *in, Slice path, const char *needle)
{
    Slice text = tree_text(in->tree, path);
    ptrdiff_t at = slice_find(text, slice_from_cstr(needle));
    return at < 0 ? 1 : text_line_of(text, (size_t)at);
}

bool infer_is_below(const Inference *in, Slice path)
{
    if (slice_eq_cstr(in->directory, ".")) {
        return true;
    }
    return path.len > in->directory.len && slice_starts_with(path, in->directory) &&
           path.ptr[in->directory.len] == '/';
}

// ---- the language

typedef struct Language {
    const char *name;
    const char *const extensions[8];
} Language;
static const Language LANGUAGES[] = {
    {"C", {"c", "h", NULL}},
    {"C++", {"cc", "cpp", "cxx", "hpp", "hh", "ipp", NULL}},
    {"Go", {"go", NULL}},
    {"Rust", {"rs", NULL}},
    {"Python", {"py", "pyx", NULL}},
    {"JavaScript", {"js", "ts", "mjs", "cjs", "jsx", "tsx", NULL}},
    {"Java", {"java", "kt", NULL}},
};

static bool is_vendored(Slice path)
{
    static const char *const PARTS[] = {"vendor/",   "third_party/", "third-party/", "thirdparty/",
                                        "external/", "deps/",        "3rdparty/",    "dist/",
                                        "docs/",     "doc/",         "extern/",      "examples/"};
    for (size_t i = 0; i < COUNT_OF(PARTS); i++) {
        if (text_starts(path, PARTS[i])) {
            return true;
        }
    }
    return false;
}

static void count_languages(const Inference *in, int64_t bytes[COUNT_OF(LANGUAGES)])
{
    for (size_t i = 0; i < in->tree->count; i++) {
        const TreeFile *f = &in->tree->files[i];
        Slice extension = path_extension(f->path);
        if (!infer_is_below(in, f->path) || is_vendored(f->path) || extension.len == 0) {
            continue;
        }
        for (size_t l = 0; l < COUNT_OF(LANGUAGES); l++) {
            for (const char *const *x = LANGUAGES[l].extensions; *x; x++) {
                // One generated table of a megabyte does not make a language.
                int64_t counted = f->bytes < 200000 ? f->bytes : 200000;
                bytes[l] += slice_eq_cstr(extension, *x) ? counted : 0;
            }
        }
    }
}

static size_t main_language(const int64_t bytes[COUNT_OF(LANGUAGES)])
{
    size_t best = 0;
    for (size_t l = 1; l < COUNT_OF(LANGUAGES); l++) {
        best = bytes[l] > bytes[best] ? l : best;
    }
    return best;
}

// A recipe of the main language comes before the helper scripts' and the bindings'. Recipes for C
// serve C++ and the other way round.
static void weigh_languages(Inference *in)
{
    static const struct {
        const char *recipe;
        const char *languages[2];
    } OF[] = {
        {"cmake", {"C", "C++"}},     {"meson", {"C", "C++"}},  {"autotools", {"C", "C++"}},
        {"configure", {"C", "C++"}}, {"make", {"C", "C++"}},   {"sources", {"C", "C++"}},
        {"cargo", {"Rust", ""}},     {"go", {"Go", ""}},       {"npm", {"JavaScript", ""}},
        {"maven", {"Java", ""}},     {"gradle", {"Java", ""}}, {"python", {"Python", ""}},
    };
    for (size_t i = 0; i < in->recipe_count; i++) {
        Recipe *r = &in->recipes[i];
        for (size_t k = 0; k < COUNT_OF(OF); k++) {
            if (text_starts(r->name, OF[k].recipe) &&
                (slice_eq_cstr(in->language, OF[k].languages[0]) ||
                 slice_eq_cstr(in->language, OF[k].languages[1]))) {
                r->score += 30;
            }
        }
    }
}

static void sort_recipes(Inference *in)
{
    // Insertion sort: stable, and there are few.
    for (size_t i = 1; i < in->recipe_count; i++) {
        Recipe moving = in->recipes[i];
        size_t at = i;
        for (; at > 0 && in->recipes[at - 1].score < moving.score; at--) {
            in->recipes[at] = in->recipes[at - 1];
        }
        in->recipes[at] = moving;
    }
}

int infer(Tree *tree, const InferOptions *options, Inference **ret_inference, Err *e)
{
    Slice directory = options->directory.len > 0 ? options->directory : SLICE(".");
    if (!slice_eq_cstr(directory, ".") && !tree_has_directory(tree, directory)) {
        return err_set(e, ERR_NOT_FOUND, "there is no directory %.*s with a file in it",
                       SLICE_FMT(directory));
    }
    Inference *in = ARENA_NEW(tree->arena, Inference);
    in->arena = tree->arena;
    in->tree = tree;
    in->directory = directory;
    in->recipes = ARENA_ARRAY(tree->arena, Recipe, RECIPES_MAX);
    int64_t bytes[COUNT_OF(LANGUAGES)] = {0};
    count_languages(in, bytes);
    size_t language = main_language(bytes);
    in->language =
        bytes[language] > 0 ? slice_from_cstr(LANGUAGES[language].name) : SLICE("unknown");
    in->submodules = tree_has(tree, SLICE(".gitmodules"));
    static void (*const SOURCES[])(Inference *) = {
        infer_ci,     infer_container,   infer_cmake,    infer_meson,      infer_autotools,
        infer_make,   infer_cargo,       infer_go,       infer_npm,        infer_java,
        infer_python, infer_conventions, infer_packages, infer_benchmarks,
    };
    for (size_t i = 0; i < COUNT_OF(SOURCES); i++) {
        SOURCES[i](in);
    }
    weigh_languages(in);
    sort_recipes(in);
    *ret_inference = in;
    return 0;
}
