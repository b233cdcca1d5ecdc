// Where nobody says how: sources that are compiled one by one, with their tests beside them.
#include "improve/infer.h"

static bool is_source(Slice path, bool *cxx)
{
    Slice x = path_extension(path);
    *cxx = slice_eq_cstr(x, "cc") || slice_eq_cstr(x, "cpp") || slice_eq_cstr(x, "cxx");
    return *cxx || slice_eq_cstr(x, "c");
}

static bool has_main(Inference *in, Slice path)
{
    Slice text = tree_text(in->tree, path);
    return text_has(text, "main(") || text_has(text, "main (");
}

static bool is_test(Slice path)
{
    return text_has_nocase(path, "test") || text_has_nocase(path, "check");
}

enum { FILES_MAX = 60 };

typedef struct Found {
    Slice programs[FILES_MAX], tests[FILES_MAX], parts[FILES_MAX];
    size_t program_count, test_count, part_count;
    bool cxx;
} Found;

static void put(Slice *list, size_t *count, Slice path)
{
    if (*count < FILES_MAX) {
        list[(*count)++] = path;
    }
}

static void look(Inference *in, Found *f)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        bool cxx = false;
        if (!infer_is_below(in, path) || !is_source(path, &cxx) || path_depth(path) > 2 ||
            text_has(path, "example") || text_has(path, "fuzz") ||
            slice_find_byte(path, '\'') >= 0) {
            continue;
        }
        f->cxx |= cxx;
        if (!has_main(in, path)) {
            // Parts of the tests' own are named by whoever includes them.
            if (!is_test(path)) {
                put(f->parts, &f->part_count, path);
            }
        } else if (is_test(path)) {
            put(f->tests, &f->test_count, path);
        } else {
            put(f->programs, &f->program_count, path);
        }
    }
}

static Slice quoted_list(Inference *in, const Slice *paths, size_t count)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    for (size_t i = 0; i < count; i++) {
        // Relative to the directory in question, where the command runs.
        Slice path = slice_eq_cstr(in->directory, ".")
                         ? paths[i]
                         : slice_sub(paths[i], in->directory.len + 1, paths[i].len);
        buf_printf(&out, " '%.*s'", SLICE_FMT(path));
    }
    Slice result = arena_copy(in->arena, buf_slice(&out));
    buf_done(&out);
    return result;
}

// Each program with all parts; where that does not link, alone.
static const char COMPILE[] =
    "mkdir -p %s\n"
    "for f in%.*s; do\n"
    "  o=%s/$(basename \"$f\" | sed 's/\\.[^.]*$//')\n"
    "  %s -O2 -w -I. -Iinclude -Isrc -o \"$o\" \"$f\"%.*s -lm -lpthread 2>/dev/null ||\n"
    "  %s -O2 -w -I. -Iinclude -Isrc -o \"$o\" \"$f\" -lm -lpthread\n"
    "done";

static void add_c(Inference *in)
{
    Found *f = ARENA_NEW(in->arena, Found);
    look(in, f);
    if (f->program_count + f->test_count + f->part_count == 0) {
        return;
    }
    Slice first = f->program_count ? f->programs[0] : f->test_count ? f->tests[0] : f->parts[0];
    Slice source = infer_source(in, first, 1);
    Recipe *r = infer_recipe(in, "sources", in->directory, 15);
    const char *compiler = f->cxx ? "c++" : "cc", *build = infer_build_directory(in, in->directory);
    Slice parts = quoted_list(in, f->parts, f->part_count);
    Slice programs = quoted_list(in, f->programs, f->program_count);
    Slice tests = quoted_list(in, f->tests, f->test_count);
    if (f->program_count + f->test_count > 0) {
        Slice all = arena_printf(in->arena, "%.*s%.*s", SLICE_FMT(programs), SLICE_FMT(tests));
        infer_build(in, r, "each program", source, COMPILE, build, SLICE_FMT(all), build, compiler,
                    SLICE_FMT(parts), compiler);
    } else {
        infer_build(in, r, "each file", source,
                    "mkdir -p %s\nfor f in%.*s; do\n  %s -O2 -w -I. -Iinclude -Isrc -c -o "
                    "%s/$(basename \"$f\").o \"$f\"\ndone",
                    build, SLICE_FMT(parts), compiler, build);
    }
    if (f->test_count > 0) {
        infer_test(
            in, r, "each test program", source,
            "for f in%.*s; do\n  o=%s/$(basename \"$f\" | sed 's/\\.[^.]*$//')\n"
            "  if \"./$o\"; then echo \"PASS: $o\"; else echo \"FAIL: $o\"; exit 1; fi\ndone",
            SLICE_FMT(tests), build);
    }
}

// Headers alone: that each compiles by itself is what can be built.
static void add_headers(Inference *in)
{
    Slice first = {0};
    bool cxx = false;
    for (size_t i = 0; i < in->tree->count && first.len == 0; i++) {
        Slice path = in->tree->files[i].path, x = path_extension(path);
        if (infer_is_below(in, path) && (slice_eq_cstr(x, "h") || slice_eq_cstr(x, "hpp")) &&
            path_depth(path) <= 2 && slice_find_byte(path, '\'') < 0) {
            first = path;
            cxx = slice_eq_cstr(x, "hpp");
        }
    }
    if (first.len > 0) {
        Recipe *r = infer_recipe(in, "sources", in->directory, 10);
        infer_build(in, r, "the header compiles", infer_source(in, first, 1),
                    "%s -fsyntax-only -I. -Iinclude -x %s '%.*s'", cxx ? "c++" : "cc",
                    cxx ? "c++" : "c", SLICE_FMT(first));
    }
}

void infer_conventions(Inference *in)
{
    bool c = slice_eq_cstr(in->language, "C") || slice_eq_cstr(in->language, "C++");
    if (c) {
        size_t before = in->recipe_count;
        add_c(in);
        if (in->recipe_count == before) {
            add_headers(in);
        }
    }
    static const struct {
        const char *file, *run;
    } SCRIPTS[] = {{"test.sh", "sh ./test.sh"},         {"run_tests.sh", "sh ./run_tests.sh"},
                   {"runtests.sh", "sh ./runtests.sh"}, {"tests/run.sh", "sh tests/run.sh"},
                   {"test/run.sh", "sh test/run.sh"},   {"run-tests.sh", "sh ./run-tests.sh"}};
    // A test script serves whatever was built.
    for (size_t i = 0; i < COUNT_OF(SCRIPTS); i++) {
        if (infer_has(in, SCRIPTS[i].file)) {
            Slice source = infer_source(in, infer_path(in, SCRIPTS[i].file), 1);
            for (size_t k = 0; k < in->recipe_count; k++) {
                infer_test(in, &in->recipes[k], "a script", source, "%s", SCRIPTS[i].run);
            }
        }
    }
}
