// Cargo: fetch with network, everything else without.
#include "improve/infer.h"

static const Doc *toml(Inference *in, Slice path)
{
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "Cargo.toml", .max_nodes = 20000};
    const Doc *doc = NULL;
    Slice text = tree_text(in->tree, path);
    return text.len > 0 && doc_parse(in->arena, text, &options, &doc, NULL) == 0 ? doc : NULL;
}

static Slice text_of(const Doc *object, const char *name)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static void bench_target(Inference *in, Slice manifest, Slice name, bool criterion, Slice source)
{
    Slice directory = path_directory(manifest);
    Slice run = arena_printf(in->arena, "cargo bench --offline --bench %.*s", SLICE_FMT(name));
    infer_benchmark(in, name, run, directory, criterion ? "criterion" : "cargo", source);
}

// [[bench]] sections, and the files that Cargo finds by itself in benches/.
static void benches_of(Inference *in, Slice manifest, const Doc *doc)
{
    Slice directory = path_directory(manifest), text = tree_text(in->tree, manifest);
    bool criterion =
        text_has(text, "criterion") || text_has(text, "codspeed") || text_has(text, "divan");
    const Doc *list = doc_get(doc, SLICE("bench"));
    for (const Doc *d = list && list->type == DOC_ARRAY ? doc_first(list) : NULL; d;
         d = doc_next(d)) {
        Slice name = text_of(d, "name");
        if (name.len > 0) {
            bench_target(in, manifest, name, criterion, infer_source(in, manifest, d->line));
        }
    }
    size_t named = in->found.benchmark_count;
    Slice benches = path_join(in->arena, directory, SLICE("benches/"));
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (!slice_starts_with(path, benches) || !text_ends(path, ".rs")) {
            continue;
        }
        Slice rest = slice_sub(path, benches.len, path.len);
        bool nested = slice_find_byte(rest, '/') >= 0;
        if (nested && !text_ends(rest, "/main.rs")) {
            continue;
        }
        Slice name = slice_sub(rest, 0, rest.len - (nested ? 8 : 3));
        bool known = false; // by its section
        for (size_t k = 0; k < named; k++) {
            known |= slice_eq(in->found.benchmarks[k].name, name);
        }
        if (known) {
            continue;
        }
        Slice code = tree_text(in->tree, path);
        if (slice_find_byte(name, '/') < 0 &&
            (text_has(code, "criterion") || text_has(code, "#[bench]") || text_has(code, "divan") ||
             text_has(code, "fn main") || text_has(code, "iai"))) {
            bench_target(in, manifest, name, criterion, infer_source(in, path, 1));
        }
    }
}

void infer_cargo(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        const Doc *doc = NULL;
        if (infer_is_below(in, path) && slice_eq_cstr(path_name(path), "Cargo.toml") &&
            !text_has(path, "fuzz/") && !text_has(path, "vendor/") &&
            (doc = toml(in, path)) != NULL) {
            benches_of(in, path, doc);
        }
    }
    Slice top = infer_path(in, "Cargo.toml");
    if (!tree_has(in->tree, top)) {
        return;
    }
    Slice source = infer_source(in, top, 1);
    Recipe *r = infer_recipe(in, "cargo", in->directory, 76);
    bool workspace = text_has(tree_text(in->tree, top), "[workspace");
    const char *all = workspace ? " --workspace" : "";
    // A toolchain file names a compiler that would have to be fetched; the one that is here has to
    // do.
    const char *first = infer_has(in, "rust-toolchain") || infer_has(in, "rust-toolchain.toml")
                            ? "export RUSTUP_TOOLCHAIN=\"$(ls \"${RUSTUP_HOME:-$HOME/.rustup}"
                              "/toolchains\" | head -n 1)\"\n"
                            : "";
    // A committed lock file is what the authors test with; without one the newest versions that
    // this compiler can build are taken.
    infer_install(in, r, source, "%sCARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback cargo fetch",
                  first);
    infer_build(in, r, "release", source, "%scargo build --release --offline%s", first, all);
    infer_build(in, r, "the default members", source, "%scargo build --release --offline", first);
    infer_test(in, r, "cargo test", source, "%scargo test --offline%s", first, all);
    infer_test(in, r, "all features", source, "%scargo test --offline%s --all-features", first,
               all);
    infer_test(in, r, "the default members", source, "%scargo test --offline", first);
    infer_test(in, r, "the library", source, "%scargo test --offline%s --lib --tests", first, all);
    infer_package(in, SLICE("pkg-config"), source, false);
}
