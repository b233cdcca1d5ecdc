// Go modules: every go.mod of the tree is one to build; the outermost decides.
#include "improve/infer.h"

static void benchmark_functions(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (!infer_is_below(in, path) || !text_ends(path, "_test.go") ||
            text_has(path, "vendor/") || text_has(path, "testdata/")) {
            continue;
        }
        Slice rest = tree_text(in->tree, path), line;
        long number = 0;
        while (text_line(&rest, &line, &number)) {
            static const char START[] = "func Benchmark";
            if (!text_starts(line, START)) {
                continue;
            }
            Slice name, tail;
            (void)slice_cut(slice_sub(line, 5, line.len), '(', &name, &tail);
            // A helper that takes more than the *testing.B is not run by itself.
            Slice arguments;
            (void)slice_cut(tail, ')', &arguments, &tail);
            if (!text_has(arguments, "testing.B") || slice_find_byte(arguments, ',') >= 0) {
                continue;
            }
            Slice directory = path_directory(path);
            infer_benchmark(in, slice_trim(name),
                            arena_printf(in->arena, "go test -run '^$' -bench '^%.*s$' -count 1 .",
                                         SLICE_FMT(slice_trim(name))),
                            directory, "go", infer_source(in, path, number));
        }
    }
}

// The import path a package without go.mod says it has: `package x // import "example.com/x"`.
static Slice old_import_path(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && text_ends(path, ".go")) {
            Slice text = tree_text(in->tree, path);
            ptrdiff_t at = slice_find(text, SLICE("// import \""));
            if (at >= 0) {
                Slice name, rest;
                (void)slice_cut(slice_sub(text, (size_t)at + 11, text.len), '"', &name, &rest);
                return name;
            }
        }
    }
    return SLICE("example.com/module");
}

static bool has_go(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && text_ends(path, ".go") &&
            path_depth(path) <= path_depth(in->directory) + 2) {
            return true;
        }
    }
    return false;
}

static void add_module(Inference *in, Slice directory, int score)
{
    Slice mod = path_join(in->arena, directory, SLICE("go.mod")), source = infer_source(in, mod, 1);
    Recipe *r = infer_recipe(in, "go", directory, score);
    bool vendored =
        tree_has(in->tree, path_join(in->arena, directory, SLICE("vendor/modules.txt")));
    if (!vendored) {
        infer_install(in, r, source, "go mod download");
    }
    infer_build(in, r, "all packages", source, "go build ./...");
    infer_build(in, r, "with its own go.sum", source, "go build -mod=mod ./...");
    infer_build(in, r, "the package at the top", source, "go build .");
    infer_test(in, r, "go test", source, "go test ./...");
    infer_test(in, r, "with its own go.sum", source, "go test -mod=mod ./...");
    infer_test(in, r, "the short ones", source, "go test -short ./...");
    infer_test(in, r, "the package at the top", source, "go test .");
}

void infer_go(Inference *in)
{
    benchmark_functions(in);
    if (infer_has(in, "go.mod")) {
        add_module(in, in->directory, 76);
        return;
    }
    size_t before = in->recipe_count;
    for (size_t i = 0; i < in->tree->count && in->recipe_count < before + 2; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && slice_eq_cstr(path_name(path), "go.mod") &&
            path_depth(path) <= path_depth(in->directory) + 3) {
            add_module(in, path_directory(path), 60);
        }
    }
    if (in->recipe_count == before && slice_eq_cstr(in->language, "Go") && has_go(in)) {
        Slice name = old_import_path(in), source = SLICE("convention:1");
        Recipe *r = infer_recipe(in, "go without a module", in->directory, 60);
        infer_install(in, r, source, "go mod init %.*s && go mod tidy", SLICE_FMT(name));
        infer_build(in, r, "all packages", source, "go build ./...");
        infer_test(in, r, "go test", source, "go test ./...");
    }
}
