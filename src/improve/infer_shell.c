#include "improve/infer_shell.h"

typedef struct Word {
    const char *text;
    ShellKind kind;
} Word;

// The first that is found in a line decides, so what must not count stands before what it contains.
static const Word WORDS[] = {
    {"codecov", SHELL_NOTHING},
    {"coveralls", SHELL_NOTHING},
    {"clang-format", SHELL_NOTHING},
    {"clang-tidy", SHELL_NOTHING},
    {"cargo fmt", SHELL_NOTHING},
    {"cargo clippy", SHELL_NOTHING},
    {"cargo doc", SHELL_NOTHING},
    {"cargo publish", SHELL_NOTHING},
    {"cargo audit", SHELL_NOTHING},
    {"cargo install", SHELL_NOTHING},
    {"golangci-lint", SHELL_NOTHING},
    {"gofmt", SHELL_NOTHING},
    {"go vet", SHELL_NOTHING},
    {"staticcheck", SHELL_NOTHING},
    {"npm run lint", SHELL_NOTHING},
    {"run lint", SHELL_NOTHING},
    {"eslint", SHELL_NOTHING},
    {"flake8", SHELL_NOTHING},
    {"pylint", SHELL_NOTHING},
    {"mypy", SHELL_NOTHING},
    {"black ", SHELL_NOTHING},
    {"ruff", SHELL_NOTHING},
    {"pre-commit", SHELL_NOTHING},
    {"shellcheck", SHELL_NOTHING},
    {"npm publish", SHELL_NOTHING},
    {"twine", SHELL_NOTHING},
    {"docker", SHELL_NOTHING},
    {"git push", SHELL_NOTHING},
    {"gh release", SHELL_NOTHING},
    {"brew ", SHELL_NOTHING},
    {"choco ", SHELL_NOTHING},
    {"vcpkg", SHELL_NOTHING},
    {"conan ", SHELL_NOTHING},
    {"rustup", SHELL_NOTHING},
    {"nvm ", SHELL_NOTHING},
    {"lcov", SHELL_NOTHING},
    {"gcov", SHELL_NOTHING},
    {"valgrind", SHELL_NOTHING},
    {"apt-get", SHELL_SYSTEM},
    {"apt install", SHELL_SYSTEM},
    {"apt update", SHELL_SYSTEM},
    {"add-apt-repository", SHELL_SYSTEM},
    {"apt-key", SHELL_SYSTEM},
    {"update-alternatives", SHELL_SYSTEM},
    {"dpkg", SHELL_SYSTEM},
    {"yum install", SHELL_SYSTEM},
    {"dnf ", SHELL_SYSTEM},
    {"apk add", SHELL_SYSTEM},
    {"pip install", SHELL_INSTALL},
    {"pip3 install", SHELL_INSTALL},
    {"poetry install", SHELL_INSTALL},
    {"npm ci", SHELL_INSTALL},
    {"npm install", SHELL_INSTALL},
    {"npm i ", SHELL_INSTALL},
    {"yarn install", SHELL_INSTALL},
    {"pnpm install", SHELL_INSTALL},
    {"pnpm i ", SHELL_INSTALL},
    {"go mod download", SHELL_INSTALL},
    {"go get", SHELL_INSTALL},
    {"cargo fetch", SHELL_INSTALL},
    {"submodule", SHELL_INSTALL},
    {"gem install", SHELL_NOTHING},
    {"cargo bench", SHELL_BENCHMARK},
    {"-bench", SHELL_BENCHMARK},
    {"npm run bench", SHELL_BENCHMARK},
    {"make bench", SHELL_BENCHMARK},
    {"ctest", SHELL_TEST},
    {"make check", SHELL_TEST},
    {"make test", SHELL_TEST},
    {"make -C test", SHELL_TEST},
    {"ninja test", SHELL_TEST},
    {"meson test", SHELL_TEST},
    {"--target test", SHELL_TEST},
    {"--target check", SHELL_TEST},
    {"go test", SHELL_TEST},
    {"cargo test", SHELL_TEST},
    {"cargo nextest", SHELL_TEST},
    {"npm test", SHELL_TEST},
    {"npm t", SHELL_TEST},
    {"npm run test", SHELL_TEST},
    {"yarn test", SHELL_TEST},
    {"yarn run test", SHELL_TEST},
    {"pnpm test", SHELL_TEST},
    {"pnpm run test", SHELL_TEST},
    {"pytest", SHELL_TEST},
    {"unittest", SHELL_TEST},
    {"tox", SHELL_TEST},
    {"nox", SHELL_TEST},
    {"mvn test", SHELL_TEST},
    {"mvn verify", SHELL_TEST},
    {"gradlew test", SHELL_TEST},
    {"gradlew check", SHELL_TEST},
    {"runtest", SHELL_TEST},
    {"run_test", SHELL_TEST},
    {"run-test", SHELL_TEST},
    {"./test", SHELL_TEST},
    {"/test.sh", SHELL_TEST},
    {"/tests.sh", SHELL_TEST},
    {"cmake", SHELL_BUILD},
    {"meson", SHELL_BUILD},
    {"ninja", SHELL_BUILD},
    {"configure", SHELL_BUILD},
    {"autoreconf", SHELL_BUILD},
    {"autogen", SHELL_BUILD},
    {"bootstrap", SHELL_BUILD},
    {"buildconf", SHELL_BUILD},
    {"go build", SHELL_BUILD},
    {"cargo build", SHELL_BUILD},
    {"cargo check", SHELL_BUILD},
    {"npm run build", SHELL_BUILD},
    {"yarn build", SHELL_BUILD},
    {"pnpm build", SHELL_BUILD},
    {"mvn ", SHELL_BUILD},
    {"gradlew", SHELL_BUILD},
    {"setup.py build", SHELL_BUILD},
    {"gcc ", SHELL_BUILD},
    {"g++ ", SHELL_BUILD},
    {"cc ", SHELL_BUILD},
    {"clang", SHELL_BUILD},
    {"scons", SHELL_BUILD},
    {"./build", SHELL_BUILD},
    {"build.sh", SHELL_BUILD},
};

static ShellKind kind_of_command(Slice command)
{
    static const char *const PLACES[] = {"cd ", "export ", "mkdir ", "pushd ", "set ", "source "};
    if (command.len == 0 || command.ptr[0] == '#' || text_starts(command, "echo ")) {
        return SHELL_NOTHING;
    }
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        if (text_starts(command, PLACES[i])) {
            return SHELL_PLACE;
        }
    }
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (text_has(command, WORDS[i].text)) {
            return WORDS[i].kind;
        }
    }
    if (text_starts(command, "make") || text_has(command, " make")) {
        return text_has(command, "install") ? SHELL_NOTHING : SHELL_BUILD;
    }
    return SHELL_NOTHING;
}

ShellKind shell_kind(Slice line)
{
    ShellKind best = SHELL_NOTHING;
    while (line.len > 0) {
        ptrdiff_t at = slice_find(line, SLICE("&&"));
        Slice one = slice_trim(at < 0 ? line : slice_sub(line, 0, (size_t)at));
        line = at < 0 ? (Slice){0} : slice_sub(line, (size_t)at + 2, line.len);
        ShellKind kind = kind_of_command(one);
        best = kind > best ? kind : best;
    }
    return best;
}

bool shell_line(Arena *arena, Slice *rest, Slice *ret_line)
{
    Slice line;
    if (!text_line(rest, &line, NULL)) {
        return false;
    }
    line = slice_trim(line);
    while (line.len > 0 && line.ptr[line.len - 1] == '\\') {
        Slice more = {0};
        if (!text_line(rest, &more, NULL)) {
            line.len--;
            break;
        }
        more = slice_trim(more);
        line = arena_printf(arena, "%.*s %.*s", (int)(line.len - 1), line.ptr, SLICE_FMT(more));
    }
    *ret_line = slice_trim(line);
    return true;
}

bool shell_is_structured(Slice script)
{
    static const char *const STARTS[] = {"if ",       "for ",   "while ", "case ",
                                         "function ", "until ", "{",      "("};
    Slice rest = script, line;
    while (text_line(&rest, &line, NULL)) {
        line = slice_trim(line);
        for (size_t i = 0; i < COUNT_OF(STARTS); i++) {
            if (text_starts(line, STARTS[i])) {
                return true;
            }
        }
        if (text_has(line, "<<") || text_has(line, "() {")) {
            return true;
        }
    }
    return false;
}

bool shell_needs_bash(Slice script)
{
    return text_has(script, "[[") || text_has(script, "pushd") || text_has(script, "source ") ||
           text_has(script, "=(") || text_has(script, "<(") || text_has(script, "pipefail") ||
           text_has(script, "&>") || text_has(script, "{1..");
}

// ---- packages

static bool installs_packages(Slice command)
{
    return (text_has(command, "apt-get") || text_has(command, "apt ") ||
            text_has(command, "aptitude")) &&
           text_has(command, "install");
}

// Other compilers, documentation and checkers: large, and not what builds the program.
static bool is_for_something_else(Slice name)
{
    static const char *const STARTS[] = {"clang",
                                         "llvm",
                                         "texlive",
                                         "doxygen",
                                         "graphviz",
                                         "lcov",
                                         "gcc-",
                                         "g++-",
                                         "qemu",
                                         "mingw",
                                         "cppcheck",
                                         "crossbuild",
                                         "wine",
                                         "lib32",
                                         "libc6-dev-",
                                         "docker",
                                         "software-properties",
                                         "linux-",
                                         "dpkg-dev",
                                         "snapd",
                                         "xvfb",
                                         "firefox",
                                         "chromium",
                                         "libgl1"};
    for (size_t i = 0; i < COUNT_OF(STARTS); i++) {
        if (text_starts(name, STARTS[i])) {
            return true;
        }
    }
    return text_ends(name, "-multilib") || text_has(name, "cross");
}

static void packages_of(Inference *in, Slice command, Slice source)
{
    ptrdiff_t at = slice_find(command, SLICE("install"));
    Slice word, rest = slice_sub(command, (size_t)at + 7, command.len);
    while (rest.len > 0) {
        (void)slice_cut(rest, ' ', &word, &rest);
        word = slice_trim(word);
        if (word.len > 0 && (word.ptr[0] == '|' || word.ptr[0] == ';' || word.ptr[0] == '>')) {
            return;
        }
        Slice name, version; // name=1.2 and name:i386
        (void)slice_cut(word, '=', &name, &version);
        if (name.len > 1 && name.ptr[0] != '-' && slice_find_byte(name, ':') < 0 &&
            !is_for_something_else(name)) {
            infer_package(in, name, source, true);
        }
    }
}

void shell_packages(Inference *in, Slice script, Slice source)
{
    Slice line;
    while (shell_line(in->arena, &script, &line)) {
        while (line.len > 0) {
            ptrdiff_t at = slice_find(line, SLICE("&&"));
            Slice one = slice_trim(at < 0 ? line : slice_sub(line, 0, (size_t)at));
            line = at < 0 ? (Slice){0} : slice_sub(line, (size_t)at + 2, line.len);
            if (installs_packages(one)) {
                packages_of(in, one, source);
            }
        }
    }
}

// ---- jobs

enum { JOB_TEXT_MAX = 32 << 10 };

void shell_job_init(ShellJob *job, Inference *in)
{
    *job = (ShellJob){.in = in,
                      .install = buf_create(JOB_TEXT_MAX),
                      .build = buf_create(JOB_TEXT_MAX),
                      .test = buf_create(JOB_TEXT_MAX)};
}

static Slice without_sudo(Arena *arena, Slice line)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    while (line.len > 0) {
        ptrdiff_t at = slice_find(line, SLICE("sudo "));
        if (at < 0) {
            buf_append(&out, line);
            break;
        }
        buf_append(&out, slice_sub(line, 0, (size_t)at));
        line = slice_sub(line, (size_t)at + 5, line.len);
        while (text_starts(line, "-E ") || text_starts(line, "-H ")) {
            line = slice_sub(line, 3, line.len);
        }
    }
    Slice result = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return result;
}

// `mkdir build` twice is an error; with -p it is none.
static Slice repeatable(Arena *arena, Slice line)
{
    ptrdiff_t at = slice_find(line, SLICE("mkdir "));
    if (at < 0 || text_has(line, "mkdir -p")) {
        return line;
    }
    return arena_printf(arena, "%.*smkdir -p %.*s", (int)at, line.ptr,
                        SLICE_FMT(slice_sub(line, (size_t)at + 6, line.len)));
}

static void put_block(ShellJob *job, ShellKind kind, Slice head, Slice place, Slice body)
{
    Buf *into = kind == SHELL_INSTALL ? &job->install
                : kind == SHELL_BUILD ? &job->build
                                      : &job->test;
    if (into->len > 0) {
        buf_putc(into, '\n');
    }
    if (shell_needs_bash(body) && slice_find_byte(body, '\'') < 0) {
        buf_printf(into, "(%.*s%.*sbash -ec '%.*s'\n)", SLICE_FMT(head), SLICE_FMT(place),
                   SLICE_FMT(body));
    } else {
        buf_printf(into, "(%.*s%.*s%.*s\n)", SLICE_FMT(head), SLICE_FMT(place), SLICE_FMT(body));
    }
}

static void note(ShellJob *job, Slice text, Slice source)
{
    static const char *const ODD[] = {"${{",      "tox",      "nox ",  "docker",    "GITHUB_",
                                      "curl ",    "wget ",    "Debug", "fsanitize", "coverage",
                                      "valgrind", "nextest",  "mingw", "-m32",      "arm",
                                      "$HOME",    "git clone"};
    for (size_t i = 0; i < COUNT_OF(ODD); i++) {
        job->odd |= text_has(text, ODD[i]);
    }
    job->python |= text_has(text, "pip") || text_has(text, "pytest") || text_has(text, "python");
    if (job->source.len == 0) {
        job->source = source;
    }
}

void shell_job_add(ShellJob *job, Slice script, Slice directory, Slice environment, Slice source)
{
    Arena *arena = job->in->arena;
    shell_packages(job->in, script, source);
    Slice head = environment;
    if (directory.len > 0 && !slice_eq_cstr(directory, ".")) {
        head = arena_printf(arena, "%.*scd '%.*s'\n", SLICE_FMT(environment), SLICE_FMT(directory));
    }
    Buf place = buf_create(JOB_TEXT_MAX);
    if (shell_is_structured(script)) {
        ShellKind kind = SHELL_NOTHING;
        Slice rest = script, line;
        while (shell_line(arena, &rest, &line)) {
            ShellKind k = shell_kind(line);
            kind = k > kind ? k : kind;
        }
        if (kind >= SHELL_INSTALL && !text_has(script, "apt-get")) {
            note(job, script, source);
            put_block(job, kind, head, SLICE(""), without_sudo(arena, script));
        }
        buf_done(&place);
        return;
    }
    Slice rest = script, line;
    while (shell_line(arena, &rest, &line)) {
        ShellKind kind = shell_kind(line);
        line = repeatable(arena, without_sudo(arena, line));
        if (kind == SHELL_PLACE) {
            buf_append(&place, line);
            buf_putc(&place, '\n');
        } else if (kind >= SHELL_INSTALL && !(text_has(line, "apt-get"))) {
            note(job, line, source);
            put_block(job, kind, head, buf_slice(&place), line);
            // `mkdir build && cd build && cmake ..` leaves the shell in the directory.
            ptrdiff_t cd = slice_find(line, SLICE("cd "));
            if (cd >= 0) {
                Slice to, tail = slice_sub(line, (size_t)cd + 3, line.len);
                ptrdiff_t end = slice_find(tail, SLICE("&&"));
                to = slice_trim(end < 0 ? tail : slice_sub(tail, 0, (size_t)end));
                buf_printf(&place, "cd %.*s\n", SLICE_FMT(to));
            }
        }
    }
    buf_done(&place);
}

void shell_job_done(ShellJob *job, const char *name, int score)
{
    bool useful = job->test.len > 0 || job->build.len > 0;
    if (useful && !job->install.overflowed && !job->build.overflowed && !job->test.overflowed) {
        Inference *in = job->in;
        Recipe *r = infer_recipe(in, name, in->directory, job->odd ? score - 60 : score);
        const char *activate = job->python ? ". /deps/venv/bin/activate\n" : "";
        if (job->python) {
            infer_install(in, r, job->source,
                          "python3 -m venv /deps/venv\n"
                          "/deps/venv/bin/pip install -q -U pip 'setuptools<81' wheel");
        }
        if (job->install.len > 0) {
            infer_install(in, r, job->source, "%s%.*s", activate,
                          SLICE_FMT(buf_slice(&job->install)));
        }
        if (job->build.len > 0) {
            infer_build(in, r, "as in CI", job->source, "set -e\n%s%.*s", activate,
                        SLICE_FMT(buf_slice(&job->build)));
        } else {
            infer_build(in, r, "nothing to build", job->source, "true");
        }
        if (job->test.len > 0) {
            infer_test(in, r, "as in CI", job->source, "set -e\n%s%.*s", activate,
                       SLICE_FMT(buf_slice(&job->test)));
        }
    }
    buf_done(&job->install);
    buf_done(&job->build);
    buf_done(&job->test);
}
