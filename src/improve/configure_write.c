// The texts for the engine. Short, because they are read with every attempt.
#include "improve/configure.h"

static void put_step(Buf *out, const char *what, const StepList *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const Step *s = &list->items[i];
        // A command that fills the page is in steps.yaml.
        if (s->run.len > 300) {
            buf_printf(out, "- %s: `%.*s` of steps.yaml", what, SLICE_FMT(s->name));
        } else {
            buf_printf(out, "- %s:\n\n```sh\n%.*s\n```\n", what, SLICE_FMT(s->run));
        }
        buf_printf(out, "  %s", s->validated ? "validated" : "a guess");
        if (s->seconds > 0) {
            buf_printf(out, ", %.1f s", s->seconds);
        }
        if (s->tests >= 0) {
            buf_printf(out, ", %lld tests", (long long)s->tests);
        }
        buf_puts(out, "\n");
    }
}

void configure_guide_build(const ConfigureReport *report, Buf *out)
{
    const Steps *s = &report->steps;
    buf_printf(out, "# Build and test\n\nLanguage: %.*s.\n\n",
               SLICE_FMT(report->inference->language));
    put_step(out, "build", &s->build);
    put_step(out, "test", &s->test);
    if (report->incremental_seconds > 0) {
        buf_printf(out, "- building again with nothing changed: %.1f s; keep the build directory\n",
                   report->incremental_seconds);
    }
    buf_puts(out, "\nThere is no network; what is needed has been fetched to /deps.\n"
                  "Do not edit tests, benchmarks, CI files or `.perfwright/`: they are taken from "
                  "the base on both sides.\n");
}

void configure_guide_measure(const ConfigureReport *report, double resolvable, Buf *out)
{
    const Steps *s = &report->steps;
    buf_puts(out,
             "# Measure\n\nFigures that count are taken by perfwright: ask it to measure. Your "
             "own runs are for finding your way.\n\n");
    if (resolvable > 0) {
        buf_printf(out, "This machine resolves %.1f %%: smaller effects cannot be shown here.\n\n",
                   resolvable * 100);
    }
    size_t listed = 0;
    for (size_t i = 0; i < s->benchmark_count && listed < 8; i++) {
        if (s->benchmarks[i].run.len > 0 && s->benchmarks[i].run.len < 120) {
            buf_printf(out, "- `%.*s` (%.*s)\n", SLICE_FMT(s->benchmarks[i].run),
                       SLICE_FMT(s->benchmarks[i].harness));
            listed++;
        }
    }
    if (s->benchmark_count > listed) {
        buf_printf(out, "- %zu more in steps.yaml\n", s->benchmark_count - listed);
    }
    if (s->benchmark_count == 0) {
        buf_puts(out, "There are no benchmarks yet: fill in `.perfwright/workloads/skeleton.sh`, "
                      "then name it in steps.yaml.\n");
    }
    buf_puts(out,
             "\nA good workload takes 0.1 to 1 s, has inputs of several sizes, and prints what "
             "it computed, so that answers can be compared.\n");
}

void configure_guide_bottlenecks(const ConfigureReport *report, Buf *out)
{
    Slice language = report->inference->language;
    buf_puts(out,
             "# Bottlenecks\n\nProfile the workload before you change anything; then look for, "
             "in this order:\n\n- work that is done twice, or for nothing\n"
             "- a loop inside a loop over the same data; a linear search in one\n"
             "- copies and allocations in the hot path; growth by one element\n"
             "- the wrong container, hash or key\n- I/O in small pieces; flushes\n");
    if (slice_eq_cstr(language, "C") || slice_eq_cstr(language, "C++")) {
        buf_puts(out, "- strlen or size() in a loop's condition; aliasing that stops the compiler; "
                      "false sharing; branches that cannot be predicted\n"
                      "\nTools: `perf record`, `valgrind --tool=callgrind`.\n");
    } else if (slice_eq_cstr(language, "Python")) {
        buf_puts(out,
                 "- attribute and global lookups in loops; exceptions as control flow; regular "
                 "expressions compiled each time; string +=\n"
                 "\nTools: `python -m cProfile -s tottime`.\n");
    } else if (slice_eq_cstr(language, "JavaScript")) {
        buf_puts(out, "- shapes that change; try/catch or closures in hot loops; spread and concat "
                      "in reducers; shift() of long arrays\n\nTools: `node --cpu-prof`.\n");
    } else if (slice_eq_cstr(language, "Go")) {
        buf_puts(out,
                 "- conversions between string and []byte; interfaces that make values escape; "
                 "defer in loops\n\nTools: `go test -bench X -cpuprofile cpu.out`.\n");
    } else if (slice_eq_cstr(language, "Rust")) {
        buf_puts(out,
                 "- clone() to please the borrow checker; collect() in between; bounds checks; "
                 "SipHash where keys are trusted\n\nTools: `perf record`.\n");
    } else if (slice_eq_cstr(language, "Java")) {
        buf_puts(out, "- boxing; streams in hot loops; String.format; synchronized\n"
                      "\nTools: `java -XX:+UnlockDiagnosticVMOptions`, JFR.\n");
    }
    buf_puts(out, "\nCompiler flags, other libraries, caches between runs and threads that outlive "
                  "the run are not improvements of the code and are refused.\n");
}

// ---- where there is no benchmark

enum { PROPOSALS_MAX = 20 };

static Slice name_before_parenthesis(Slice line)
{
    ptrdiff_t at = slice_find_byte(line, '(');
    size_t end = at > 0 ? (size_t)at : 0, from = end;
    while (from > 0) {
        char ch = line.ptr[from - 1];
        bool word = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || ch == '_';
        if (!word) {
            break;
        }
        from--;
    }
    return slice_sub(line, from, end - from);
}

// Functions whose names say that they go over data.
static bool is_worth_measuring(Slice name)
{
    static const char *const WORDS[] = {
        "parse",  "encode",  "decode",   "compress", "hash",   "sort",   "find",   "search",
        "match",  "render",  "read",     "write",    "insert", "lookup", "format", "convert",
        "serial", "compile", "tokenize", "split",    "merge",  "load",   "dump",   "eval"};
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (text_has_nocase(name, WORDS[i])) {
            return true;
        }
    }
    return false;
}

static bool is_declaration(Slice path, Slice line)
{
    if (text_ends(path, ".h") || text_ends(path, ".hpp")) {
        return text_ends(slice_trim(line), ";") && line.ptr[0] != ' ' && line.ptr[0] != '#';
    }
    return text_starts(line, "def ") || text_starts(line, "pub fn ") ||
           text_starts(line, "func ") || text_starts(line, "export function ") ||
           text_starts(line, "export async function ");
}

static void put_proposals(const ConfigureReport *report, Buf *out)
{
    Tree *tree = report->inference->tree;
    size_t listed = 0;
    for (size_t i = 0; i < tree->count && listed < PROPOSALS_MAX; i++) {
        Slice path = tree->files[i].path;
        if (!infer_is_below(report->inference, path) || text_has(path, "test") ||
            text_has(path, "example") || text_has(path, "third_party") ||
            text_has(path, "vendor")) {
            continue;
        }
        Slice rest = tree_text(tree, path), line;
        long number = 0;
        while (text_line(&rest, &line, &number) && listed < PROPOSALS_MAX) {
            Slice name = line.len > 0 && is_declaration(path, line) ? name_before_parenthesis(line)
                                                                    : (Slice){0};
            if (name.len > 2 && is_worth_measuring(name)) {
                buf_printf(out, "#   %.*s (%.*s:%ld)\n", SLICE_FMT(name), SLICE_FMT(path), number);
                listed++;
            }
        }
    }
    if (listed == 0) {
        buf_puts(out, "#   none found by their names\n");
    }
}

void configure_skeleton(const ConfigureReport *report, Buf *out)
{
    buf_puts(out,
             "#!/bin/sh\n"
             "# A workload to be filled in. It is not measured while steps.yaml calls it a "
             "skeleton.\n"
             "#\n"
             "# It gets a file as $1, does something typical with it for 0.1 to 1 s, and prints "
             "what it\n"
             "# computed. In steps.yaml say how inputs are made, for example\n"
             "#   inputs: {generator: text-lines, sizes: [10000, 100000]}\n"
             "#\n"
             "# Functions that look worth a micro-benchmark:\n");
    put_proposals(report, out);
    buf_puts(out, "set -e\necho 'this workload is a skeleton' >&2\nexit 1\n");
}
