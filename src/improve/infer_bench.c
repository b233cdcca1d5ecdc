// Benchmarks that a repository has: the functions of known harnesses, and the files that are called
// after what they do. Those of Cargo, Go, JMH, npm and make are found beside their build files.
#include "improve/infer.h"

typedef enum Family {
    FAMILY_NONE,
    FAMILY_C,
    FAMILY_RUST,
    FAMILY_PYTHON,
    FAMILY_JS,
    FAMILY_SHELL,
    FAMILY_OTHER
} Family;

static Family family_of(Slice path)
{
    static const struct {
        const char *extension;
        Family family;
    } OF[] = {{"c", FAMILY_C},       {"cc", FAMILY_C},       {"cpp", FAMILY_C},
              {"cxx", FAMILY_C},     {"h", FAMILY_C},        {"hpp", FAMILY_C},
              {"rs", FAMILY_RUST},   {"py", FAMILY_PYTHON},  {"js", FAMILY_JS},
              {"mjs", FAMILY_JS},    {"cjs", FAMILY_JS},     {"ts", FAMILY_JS},
              {"mts", FAMILY_JS},    {"sh", FAMILY_SHELL},   {"bash", FAMILY_SHELL},
              {"go", FAMILY_OTHER},  {"java", FAMILY_OTHER}, {"kt", FAMILY_OTHER},
              {"rb", FAMILY_OTHER},  {"pl", FAMILY_OTHER},   {"lua", FAMILY_OTHER},
              {"php", FAMILY_OTHER}, {"jl", FAMILY_OTHER},   {"tcl", FAMILY_OTHER}};
    Slice x = path_extension(path);
    for (size_t i = 0; i < COUNT_OF(OF); i++) {
        if (slice_eq_cstr(x, OF[i].extension)) {
            return OF[i].family;
        }
    }
    return FAMILY_NONE;
}

// "bench", "benchmark", "perf" as a word of a path: bench_x, x-bench, perftest, speedtest, but not
// "performer" or "workbench".
static bool has_bench_word(Slice part)
{
    static const char *const WORDS[] = {
        "bench",       "benches",    "benchmark",      "benchmarks",      "perf",
        "perftest",    "perftests",  "benchmarking",   "speedtest",       "timing",
        "performance", "microbench", "microbenchmark", "microbenchmarks", "jmh",
        "speed",       "asv_bench",  "stress",         "profile_speed"};
    size_t at = 0;
    while (at < part.len) {
        size_t end = at;
        while (end < part.len && strchr("_-. /", part.ptr[end]) == NULL) {
            end++;
        }
        Slice word = slice_sub(part, at, end - at);
        for (size_t i = 0; i + 2 < COUNT_OF(WORDS); i++) {
            if (slice_eq_nocase(word, slice_from_cstr(WORDS[i]))) {
                return true;
            }
        }
        // One word: benchmarkFoo, FooBenchmark, fullbench, bench2.
        if (text_has_nocase(word, "benchmark") || text_starts(word, "Performance") ||
            text_starts(word, "Perf") || text_ends(word, "Performance") ||
            text_ends(word, "bench") || text_ends(word, "Bench") || text_starts(word, "bench")) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

static bool is_excluded(Slice path)
{
    return text_has(path, "third_party/") || text_has(path, "vendor/") ||
           text_has(path, "thirdparty/") || text_has(path, "3rdparty/") ||
           text_has(path, "node_modules/") || text_has(path, "external/") ||
           text_has(path, "googletest/") || text_starts(path, "docs/");
}

// ---- harnesses, by line

static Slice between(Slice line, const char *after, char end)
{
    ptrdiff_t at = slice_find(line, slice_from_cstr(after));
    if (at < 0) {
        return (Slice){0};
    }
    Slice head, tail;
    (void)slice_cut(slice_sub(line, (size_t)at + strlen(after), line.len), end, &head, &tail);
    return slice_trim(head);
}

static Slice unquoted(Slice s)
{
    while (s.len > 0 && strchr("\"'`", s.ptr[0]) != NULL) {
        s = slice_sub(s, 1, s.len);
    }
    while (s.len > 0 && strchr("\"'`,", s.ptr[s.len - 1]) != NULL) {
        s.len--;
    }
    return s;
}

typedef struct Scan {
    Inference *in;
    Slice path, stem;
    size_t found;
} Scan;

static void found(Scan *s, Slice name, const char *harness, long line, Slice run)
{
    // "$name" is a macro's parameter.
    if (name.len > 0 && name.len < 200 && name.ptr[0] != '$') {
        infer_benchmark(s->in, name, run, (Slice){0}, harness, infer_source(s->in, s->path, line));
        s->found++;
    }
}

static void scan_c(Scan *s, Slice text)
{
    const char *harness = text_has(text, "benchmark/benchmark.h")              ? "google-benchmark"
                          : text_has(text, "nanobench")                        ? "nanobench"
                          : text_has(text, "celero")                           ? "celero"
                          : text_has(text, "catch") || text_has(text, "Catch") ? "catch2"
                                                                               : NULL;
    if (harness == NULL) {
        return;
    }
    static const char *const MACROS[] = {"BENCHMARK(",
                                         "BENCHMARK_TEMPLATE(",
                                         "BENCHMARK_F(",
                                         "BENCHMARK_DEFINE_F(",
                                         "BENCHMARK_CAPTURE(",
                                         "BENCHMARK_ADVANCED(",
                                         "BENCHMARK_TEMPLATE_F(",
                                         "BENCHMARK_TEMPLATE2("};
    Slice line;
    long number = 0;
    while (text_line(&text, &line, &number)) {
        Slice trimmed = slice_trim(line);
        for (size_t i = 0; i < COUNT_OF(MACROS); i++) {
            if (text_starts(trimmed, MACROS[i])) {
                Slice name = between(trimmed, MACROS[i], ')');
                found(s, unquoted(name), harness, number, (Slice){0});
            }
        }
        if (slice_eq_cstr(slice_from_cstr(harness), "nanobench") && text_has(line, ".run(\"")) {
            found(s, between(line, ".run(\"", '"'), harness, number, (Slice){0});
        }
    }
}

static void scan_rust(Scan *s, Slice text)
{
    Slice line;
    long number = 0;
    bool next = false;
    bool in_benches = text_has(s->path, "benches/");
    while (text_line(&text, &line, &number)) {
        Slice trimmed = slice_trim(line);
        if (text_starts(trimmed, "#[bench]") || text_starts(trimmed, "#[divan::bench")) {
            next = true;
        } else if (next && text_has(trimmed, "fn ")) {
            found(s, between(trimmed, "fn ", '('), "cargo", number, (Slice){0});
            next = false;
        } else if (in_benches && (text_has(trimmed, ".bench_function(\"") ||
                                  text_has(trimmed, "benchmark_group(\""))) {
            Slice name = between(trimmed, "bench_function(\"", '"');
            name = name.len > 0 ? name : between(trimmed, "benchmark_group(\"", '"');
            found(s, name, "criterion", number,
                  arena_printf(s->in->arena, "cargo bench --offline -- '%.*s'", SLICE_FMT(name)));
        }
    }
}

static void scan_python(Scan *s, Slice text)
{
    bool asv = text_has(s->path, "benchmarks/") &&
               (tree_has(s->in->tree, SLICE("asv.conf.json")) ||
                tree_has(s->in->tree, SLICE("benchmarks/asv.conf.json")) ||
                tree_has(s->in->tree, SLICE("asv_bench/asv.conf.json")));
    Slice line;
    long number = 0;
    while (text_line(&text, &line, &number)) {
        Slice trimmed = slice_trim(line);
        if (!text_starts(trimmed, "def ") && !text_starts(trimmed, "async def ")) {
            continue;
        }
        Slice name = between(trimmed, "def ", '('), arguments = between(trimmed, "(", ')');
        if ((text_starts(name, "test") || text_starts(name, "bench")) &&
            text_has_word(arguments, "benchmark")) {
            found(s, name, "pytest-benchmark", number,
                  arena_printf(s->in->arena,
                               "/deps/venv/bin/python -m pytest -q -p no:cacheprovider "
                               "%.*s -k %.*s",
                               SLICE_FMT(s->path), SLICE_FMT(name)));
        } else if (asv && (text_starts(name, "time_") || text_starts(name, "timeraw_") ||
                           text_starts(name, "mem_") || text_starts(name, "peakmem_") ||
                           text_starts(name, "track_"))) {
            found(s, name, "asv", number, (Slice){0});
        }
    }
}

static void scan_js(Scan *s, Slice text)
{
    bool vitest = text_has(s->path, ".bench.") && text_has(text, "bench(");
    const char *harness = vitest                        ? "vitest"
                          : text_has(text, "tinybench") ? "tinybench"
                          : text_has(text, "mitata")    ? "mitata"
                          : text_has(text, "benchmark')") || text_has(text, "benchmark\")") ||
                                  text_has(text, "from 'benchmark'") ||
                                  text_has(text, "from \"benchmark\"") ||
                                  text_has(text, "Benchmark.Suite")
                              ? "benchmark.js"
                          : text_has(text, "bench-node") || text_has(text, "cronometro") ||
                                  text_has(text, "matcha") || text_has(text, "benny")
                              ? "command"
                              : NULL;
    if (harness == NULL) {
        return;
    }
    found(s, s->stem, harness, 1,
          vitest ? arena_printf(s->in->arena, "npx vitest bench --run %.*s", SLICE_FMT(s->path))
                 : arena_printf(s->in->arena, "node %.*s", SLICE_FMT(s->path)));
}

// ---- files by their names

static Slice run_of(Scan *s, Family family)
{
    Arena *a = s->in->arena;
    bool quotable = slice_find_byte(s->path, '\'') < 0;
    if (!quotable) {
        return (Slice){0};
    }
    switch (family) {
    case FAMILY_PYTHON: return arena_printf(a, "/deps/venv/bin/python '%.*s'", SLICE_FMT(s->path));
    case FAMILY_JS:
        return text_ends(s->path, "ts") ? (Slice){0}
                                        : arena_printf(a, "node '%.*s'", SLICE_FMT(s->path));
    case FAMILY_SHELL: return arena_printf(a, "sh '%.*s'", SLICE_FMT(s->path));
    case FAMILY_NONE:
    case FAMILY_C:
    case FAMILY_RUST:
    case FAMILY_OTHER: break;
    }
    return (Slice){0};
}

static bool is_support_file(Slice path)
{
    Slice name = path_name(path);
    return slice_eq_cstr(name, "__init__.py") || slice_eq_cstr(name, "conftest.py") ||
           text_has(name, ".d.ts") || slice_eq_cstr(name, "mod.rs") || text_has(name, "setup.py");
}

static void scan_file(Inference *in, Slice path)
{
    Family family = family_of(path);
    Slice name = path_name(path);
    bool named = has_bench_word(slice_sub(name, 0, name.len - path_extension(path).len));
    bool inside = !named && has_bench_word(path_directory(path)) && path_depth(path) > 0;
    if (family == FAMILY_NONE || is_excluded(path)) {
        return;
    }
    Scan s = {.in = in,
              .path = path,
              .stem = slice_sub(name, 0, name.len - 1 - path_extension(path).len)};
    Slice text = tree_text(in->tree, path);
    switch (family) {
    case FAMILY_C: scan_c(&s, text); break;
    case FAMILY_RUST: scan_rust(&s, text); break;
    case FAMILY_PYTHON: scan_python(&s, text); break;
    case FAMILY_JS: scan_js(&s, text); break;
    case FAMILY_NONE:
    case FAMILY_SHELL:
    case FAMILY_OTHER: break;
    }
    bool header = text_ends(name, ".h") || text_ends(name, ".hpp");
    // In a directory of benchmarks only what can be started counts; by its own name anything does.
    bool starts = text_has(text, "main(") || text_has(text, "main (") || text_starts(text, "#!") ||
                  text_has(text, "__main__") || family == FAMILY_JS || family == FAMILY_SHELL ||
                  (family == FAMILY_PYTHON && path_depth(path) <= 1);
    bool go = text_ends(name, ".go") || text_ends(name, ".java") || text_ends(name, ".rs");
    if (s.found == 0 && !header && !is_support_file(path) && !(go && !starts) &&
        (named || (inside && starts))) {
        found(&s, s.stem, "command", 1, run_of(&s, family));
    }
}

void infer_benchmarks(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path)) {
            scan_file(in, path);
        }
        if (text_ends(path, "asv.conf.json") && infer_is_below(in, path)) {
            infer_benchmark(in, SLICE("asv"), (Slice){0}, path_directory(path), "asv",
                            infer_source(in, path, 1));
        }
    }
    for (size_t i = 0; i < in->tree->count; i++) {
        // Meson says it in a word.
        Slice path = in->tree->files[i].path;
        if (!slice_eq_cstr(path_name(path), "meson.build") || !infer_is_below(in, path)) {
            continue;
        }
        Slice rest = tree_text(in->tree, path), line;
        long number = 0;
        while (text_line(&rest, &line, &number)) {
            if (text_starts(slice_trim(line), "benchmark(")) {
                Slice name = unquoted(between(line, "benchmark(", ','));
                infer_benchmark(in, name, (Slice){0}, (Slice){0}, "meson",
                                infer_source(in, path, number));
            }
        }
    }
}
