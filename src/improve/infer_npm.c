// package.json: its scripts, and what is left of a test script when linters are taken out of it.
#include "improve/infer.h"

#define BIN  "export PATH=\"$PWD/node_modules/.bin:/deps/node/bin:$PATH\"\n"
#define NODE "export PATH=\"/deps/node/bin:$PATH\"\n"

static const Doc *package_of(Inference *in, Slice path)
{
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "package.json", .max_nodes = 20000};
    const Doc *doc = NULL;
    Slice text = tree_text(in->tree, path);
    return text.len > 0 && doc_parse(in->arena, text, &options, &doc, NULL) == 0 ? doc : NULL;
}

static Slice script(const Doc *package, const char *name)
{
    const Doc *d = doc_get(doc_get(package, SLICE("scripts")), slice_from_cstr(name));
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static bool is_lint(Slice command)
{
    static const char *const WORDS[] = {
        "eslint",        "standard", "xo",           "jshint",     "jscs",        "tslint",
        "prettier",      "tsd",      "npm run lint", "yarn lint",  "pnpm lint",   "lint",
        "ts-standard",   "dtslint",  "snazzy",       "size-limit", "publint",     "attw",
        "biome",         "oxlint",   "commitlint",   "evalmd",     "npm audit",   "aud",
        "check-exports", "remark",   "depcheck",     "knip",       "markdownlint"};
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (text_has_word(command, WORDS[i])) {
            return true;
        }
    }
    return false;
}

// `standard && nyc tape test/*.js` less its linters; empty when nothing or everything would go.
static Slice without_linters(Inference *in, Slice command)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    bool dropped = false;
    while (command.len > 0) {
        ptrdiff_t at = slice_find(command, SLICE("&&"));
        Slice one = slice_trim(at < 0 ? command : slice_sub(command, 0, (size_t)at));
        command = at < 0 ? (Slice){0} : slice_sub(command, (size_t)at + 2, command.len);
        if (is_lint(one)) {
            dropped = true;
        } else {
            buf_puts(&out, out.len > 0 ? " && " : "");
            buf_append(&out, one);
        }
    }
    Slice rest = dropped ? arena_copy(in->arena, buf_slice(&out)) : (Slice){0};
    buf_done(&out);
    return rest;
}

static bool is_no_test(Slice test)
{
    return test.len == 0 || text_has(test, "no test specified");
}

static void add_tests(Inference *in, Recipe *r, const Doc *package, Slice source, const char *first)
{
    static const char *const NAMES[] = {"test:unit", "tests-only", "unit",      "test-unit",
                                        "test:node", "test-node",  "mocha",     "jest",
                                        "test:ci",   "test-ci",    "test:only", "test:run",
                                        "unit-test", "vitest",     "ci:test",   "test:js"};
    Slice test = script(package, "test");
    if (!is_no_test(test)) {
        bool watching = text_has_word(test, "vitest") && !text_has(test, "run");
        if (!is_lint(test)) {
            infer_test(in, r, "npm test", source, "%snpm test%s", first,
                       watching ? " -- --run" : "");
        }
        Slice rest = without_linters(in, test);
        if (rest.len > 0) {
            infer_test(in, r, "npm test without its linters", source, BIN "%.*s", SLICE_FMT(rest));
        }
        infer_test(in, r, "npm test", source, "%snpm test", first);
        infer_test(in, r, "without hooks", source, "%snpm test --ignore-scripts", first);
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (script(package, NAMES[i]).len > 0) {
            infer_test(in, r, NAMES[i], source, "%snpm run %s", first, NAMES[i]);
        }
    }
    // Without a script the tests may still be there for Node's own runner.
    if (is_no_test(test)) {
        infer_test(in, r, "node --test", source, "node --test");
    }
}

// What commands of the package begin with, so that they find the tool that its scripts call.
static const char *add_install(Inference *in, Recipe *r, Slice directory, Slice source)
{
    Arena *a = in->arena;
    bool lock = tree_has(in->tree, path_join(a, directory, SLICE("package-lock.json"))) ||
                tree_has(in->tree, path_join(a, directory, SLICE("npm-shrinkwrap.json")));
    bool pnpm = tree_has(in->tree, path_join(a, directory, SLICE("pnpm-lock.yaml")));
    bool yarn = tree_has(in->tree, path_join(a, directory, SLICE("yarn.lock")));
    // The lock file of the tool it belongs to, and npm where that tool or the lock fails.
    const char *loose = "npm install --no-audit --no-fund --legacy-peer-deps";
    if (lock) {
        infer_install(in, r, source, "npm ci --no-audit --no-fund || %s", loose);
    } else if (pnpm || yarn) {
        // Scripts call the tool by its name, so it is kept where they find it.
        infer_install(in, r, source, "npm install -q -g --prefix /deps/node %s",
                      pnpm ? "pnpm@9" : "yarn@1");
        infer_install(in, r, source, NODE "%s install --frozen-lockfile || %s",
                      pnpm ? "pnpm" : "yarn", loose);
    } else {
        infer_install(in, r, source,
                      "%s || npm install --no-audit --no-fund --force "
                      "--ignore-scripts",
                      loose);
    }
    return !lock && (pnpm || yarn) ? NODE : "";
}

static void benchmark_scripts(Inference *in, Slice path, const Doc *package)
{
    const Doc *scripts = doc_get(package, SLICE("scripts"));
    for (const Doc *d = scripts && scripts->type == DOC_OBJECT ? doc_first(scripts) : NULL; d;
         d = doc_next(d)) {
        Slice key = d->key;
        if ((text_has_nocase(key, "bench") || text_has_word(key, "perf") ||
             text_has_nocase(key, "perf:") || text_has_nocase(key, ":perf")) &&
            d->type == DOC_STRING) {
            const char *harness = text_has(d->text, "vitest") ? "vitest" : "command";
            infer_benchmark(in, arena_printf(in->arena, "npm run %.*s", SLICE_FMT(key)),
                            arena_printf(in->arena, "npm run %.*s", SLICE_FMT(key)),
                            path_directory(path), harness, infer_source(in, path, d->key_line));
        }
    }
}

static void add_package(Inference *in, Slice path, int score)
{
    const Doc *package = package_of(in, path);
    if (package == NULL) {
        return;
    }
    Slice directory = path_directory(path), source = infer_source(in, path, 1);
    Recipe *r = infer_recipe(in, "npm", directory, score);
    const char *first = add_install(in, r, directory, source);
    static const char *const BUILDS[] = {"build", "compile", "prepare", "prepublishOnly", "dist"};
    for (size_t i = 0; i < COUNT_OF(BUILDS); i++) {
        Slice build = script(package, BUILDS[i]);
        if (build.len > 0 && !text_has(build, "husky") && !is_lint(build)) {
            infer_build(in, r, BUILDS[i], source, "%snpm run %s", first, BUILDS[i]);
            break;
        }
    }
    // What is not compiled is at least read: every file of ours parses.
    infer_build(in, r, "nothing to build, checked", source,
                "find . -name node_modules -prune -o -path ./.git -prune -o -name '*.js' "
                "-not -path '*/test*' -not -path '*/fixture*' -print | head -n 200 | "
                "while read -r f; do node --check \"$f\" || echo \"$f is not for node\"; done");
    add_tests(in, r, package, source, first);
}

void infer_npm(Inference *in)
{
    Slice top = infer_path(in, "package.json");
    if (tree_has(in->tree, top)) {
        add_package(in, top, 70);
    }
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && slice_eq_cstr(path_name(path), "package.json") &&
            !text_has(path, "fixture") && !text_has(path, "test/")) {
            const Doc *package = package_of(in, path);
            benchmark_scripts(in, path, package);
            if (!tree_has(in->tree, top) && path_depth(path) <= path_depth(top) + 1) {
                add_package(in, path, 45);
            }
        }
    }
}
