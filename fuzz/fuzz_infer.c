// What a repository brings: build files and CI workflows that are read, and output of its commands
// that repairs are chosen by. Whatever the text: candidates that fit in a step, names of packages
// that are safe as arguments, steps that can be written and read back, and an end.
//
// The first byte says which file the rest is; 'o' makes it the output of every command.
#include "improve/configure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 15, ROOM = 512 << 20 };

static const struct {
    char key;
    const char *path;
} FILES[] = {{'g', ".github/workflows/ci.yml"},
             {'t', ".travis.yml"},
             {'l', ".gitlab-ci.yml"},
             {'i', ".circleci/config.yml"},
             {'d', "Dockerfile"},
             {'c', "CMakeLists.txt"},
             {'m', "Makefile"},
             {'e', "meson_options.txt"},
             {'a', "configure.ac"},
             {'r', "Cargo.toml"},
             {'p', "package.json"},
             {'y', "pyproject.toml"},
             {'x', "tox.ini"},
             {'s', "setup.py"},
             {'j', "src/B.java"},
             {'b', "bench/b.cc"},
             {'n', "x_test.go"},
             {'q', "tests/test_a.py"}};

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz infer: %s", what);
    }
}

typedef struct Machine {
    Slice output;
    int64_t now_ns;
} Machine;

static int machine_open(void *ctx, void **ret_copy, Err *e)
{
    (void)e;
    *ret_copy = ctx;
    return 0;
}

static void machine_close(void *ctx, void *copy)
{
    (void)ctx;
    (void)copy;
}

static int machine_run(void *ctx, void *copy, const ConfigureCommand *k, Arena *arena,
                       ConfigureOutcome *out, Err *e)
{
    (void)copy;
    (void)arena;
    (void)e;
    Machine *m = ctx;
    m->now_ns += NS_PER_SECOND;
    require(k->run.len > 0 && k->run.len <= STEP_TEXT_MAX, "a command of a strange length");
    *out = (ConfigureOutcome){.ok = (m->now_ns / NS_PER_SECOND) % 3 == 0,
                              .seconds = 1,
                              .output = m->output,
                              .text = SLICE("exit code 1")};
    return 0;
}

static int64_t machine_now(void *ctx)
{
    return ((Machine *)ctx)->now_ns;
}

static bool machine_has(void *ctx, Slice name)
{
    (void)ctx;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        require((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (i > 0 && strchr("+-.", c)),
                "a package whose name is none");
    }
    return false;
}

static void check(Arena *arena, Tree *tree, Slice output)
{
    Machine m = {.output = output};
    ConfigureRunner runner = {.ctx = &m,
                              .open = machine_open,
                              .run = machine_run,
                              .close = machine_close,
                              .now_ns = machine_now,
                              .package_installed = machine_has};
    ConfigureOptions options = {.tree = tree, .runner = &runner, .log_dir = "/nowhere"};
    ConfigureReport report;
    Err e = {0};
    if (configure(&options, arena, &report, &e) != 0) {
        require(e.text[0] != '\0', "refused without a word");
        return;
    }
    Buf out = buf_create(64 << 20);
    steps_write(&report.steps, &out);
    Steps back;
    if (steps_parse(arena, buf_slice(&out), "back", &back, &e) != 0) {
        die("fuzz infer: the steps are not read back: %s", e.text);
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > TEXT_MAX) {
        return 0;
    }
    Slice text = {(const char *)data + 1, size - 1};
    Arena *arena = arena_create(ROOM);
    TreeFile files[2] = {{.path = SLICE("zz.c"), .text = SLICE("int main(void) { return 0; }\n")}};
    size_t count = 1;
    for (size_t i = 0; i < COUNT_OF(FILES); i++) {
        if ((char)data[0] == FILES[i].key) {
            files[count++] = (TreeFile){.path = slice_from_cstr(FILES[i].path), .text = text};
            break;
        }
    }
    Tree tree;
    tree_make(arena, files, count, &tree);
    check(arena, &tree, data[0] == 'o' ? text : SLICE("1 tests passed\n"));
    arena_destroy(arena);
    return 0;
}
