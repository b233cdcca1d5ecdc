// Typical failures and what is done about them, by what the tools print. One repair a failure; the
// command is run again and may show the next.
#include "improve/configure_impl.h"
#include "improve/packages.h"

bool configure_once(Configure *c, Slice what)
{
    for (size_t i = 0; i < c->repaired_count; i++) {
        if (slice_eq(c->repaired[i], what)) {
            return false;
        }
    }
    if (c->repaired_count == REPAIRED_MAX) {
        return false;
    }
    c->repaired[c->repaired_count++] = arena_copy(c->arena, what);
    return true;
}

// The text between `before` and the first of `ends`, on one line; empty where it is not.
static Slice between(Slice text, const char *before, const char *ends)
{
    ptrdiff_t at = slice_find(text, slice_from_cstr(before));
    if (at < 0) {
        return (Slice){0};
    }
    Slice rest = slice_sub(text, (size_t)at + strlen(before), 200);
    size_t n = 0;
    while (n < rest.len && rest.ptr[n] != '\n' && strchr(ends, rest.ptr[n]) == NULL) {
        n++;
    }
    return slice_trim(slice_sub(rest, 0, n));
}

// ---- packages of the system

static bool package(Configure *c, Slice name, Repair *r)
{
    if (name.len == 0 || !configure_once(c, name)) {
        return false;
    }
    *r = (Repair){REPAIR_PACKAGE, arena_copy(c->arena, name), {0}};
    return true;
}

static bool library(Configure *c, Slice name, Repair *r)
{
    if (name.len == 0 || name.len > 80) {
        return false;
    }
    const char *known = package_of_library(name);
    if (known != NULL) {
        return known[0] != '\0' && package(c, slice_from_cstr(known), r);
    }
    const ConfigureRunner *runner = c->o->runner;
    if (runner->package_search == NULL ||
        !configure_once(c, arena_printf(c->arena, "search %.*s", SLICE_FMT(name)))) {
        return false;
    }
    return package(c, runner->package_search(runner->ctx, c->arena, name), r);
}

static bool tool(Configure *c, Slice name, Repair *r)
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.ptr[i - 1] == '/' || name.ptr[i - 1] == ' ') {
            name = slice_sub(name, i, name.len);
            break;
        }
    }
    const char *known = package_of_tool(name);
    return known != NULL && package(c, slice_from_cstr(known), r);
}

static bool missing_library(Configure *c, Slice out, Repair *r)
{
    static const struct {
        const char *before, *ends;
    } FORMS[] = {
        {"Could not find a package configuration file provided by \"", "\""},
        {"No package '", "'"},
        {"Dependency \"", "\""},
        {"Dependency lookup for ", " "},
        {"cannot find -l", ":"},
        {"The system library `", "`"},
        {"Could NOT find ", " ("},
        {"could not find ", " \n"},
        {"library not found: ", " "},
        {"  None of the required '", "'"},
        {"Package '", "'"},
        {"Cannot find ", " "},
        {"unable to find library -l", " "},
    };
    // A compiler names the header that stopped it; everything before may be a remark.
    ptrdiff_t at = slice_find(out, SLICE("fatal error: "));
    if (at >= 0) {
        Slice header = between(slice_sub(out, (size_t)at, out.len), "fatal error: ", ":'");
        if (text_ends(header, ".h") || text_ends(header, ".hpp")) {
            if (library(c, header, r) ||
                library(c,
                        slice_sub(header, 0,
                                  (size_t)(header.len - path_name(header).len) > 0
                                      ? header.len - path_name(header).len - 1
                                      : header.len),
                        r)) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        if (library(c, between(out, FORMS[i].before, FORMS[i].ends), r)) {
            return true;
        }
    }
    return false;
}

static bool missing_tool(Configure *c, Slice out, Repair *r)
{
    static const struct {
        const char *before, *ends;
    } FORMS[] = {
        {"Can't exec \"", "\""},
        {"Program '", "'"},
        {"Program ", " "},
        {"make: ", ":"},
        {"sh: 1: ", ":"},
        {"env: '", "'"},
        {"env: \u2018", "\xe2"},
        {"bash: line 1: ", ":"},
        {"Could not find `", "`"},
        {"error: ", " not found"},
        {"could not find program ", " "},
    };
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        if (tool(c, between(out, FORMS[i].before, FORMS[i].ends), r)) {
            return true;
        }
    }
    // `FILE: line 12: xxd: command not found`, `/bin/sh: 1: flex: not found`
    Slice rest = out, line;
    while (text_line(&rest, &line, NULL)) {
        ptrdiff_t at = slice_find(line, SLICE(": command not found"));
        at = at < 0 ? slice_find(line, SLICE(": not found")) : at;
        at = at < 0 ? slice_find(line, SLICE(": No such file or directory")) : at;
        if (at > 0) {
            Slice head = slice_sub(line, 0, (size_t)at);
            size_t from = head.len;
            while (from > 0 && strchr(": ", head.ptr[from - 1]) == NULL) {
                from--;
            }
            if (tool(c, slice_sub(head, from, head.len), r)) {
                return true;
            }
        }
    }
    return false;
}

static bool missing_macro(Configure *c, Slice out, Repair *r)
{
    static const struct {
        const char *sign, *package;
    } SIGNS[] = {
        {"undefined macro: AC_PROG_LIBTOOL", "libtool"},
        {"undefined macro: LT_INIT", "libtool"},
        {"LIBTOOL is undefined", "libtool"},
        {"macro: AM_", "automake"},
        {"macro: PKG_", "pkg-config"},
        {"PKG_CHECK_MODULES", "pkg-config"},
        {"macro: AX_", "autoconf-archive"},
        {"AM_GNU_GETTEXT", "gettext"},
        {"AM_ICONV", "gettext"},
        {"macro: AM_PATH_CHECK", "check"},
        {"You need libtool", "libtool"},
        {"automake not found", "automake"},
        {"ltmain.sh not found", "libtool"},
        {"autopoint", "autopoint"},
        {"required file './config.rpath'", "gettext"},
        {"Python.h", "python3-dev"},
        {"JNI", "default-jdk-headless"},
    };
    for (size_t i = 0; i < COUNT_OF(SIGNS); i++) {
        if (text_has(out, SIGNS[i].sign) && package(c, slice_from_cstr(SIGNS[i].package), r)) {
            return true;
        }
    }
    return false;
}

// ---- other commands

static Slice replaced(Arena *arena, Slice text, const char *what, const char *with)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    Slice w = slice_from_cstr(what);
    ptrdiff_t at;
    while ((at = slice_find(text, w)) >= 0) {
        buf_append(&out, slice_sub(text, 0, (size_t)at));
        buf_puts(&out, with);
        text = slice_sub(text, (size_t)at + w.len, text.len);
    }
    buf_append(&out, text);
    Slice result = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return result;
}

static bool run_as(Configure *c, Slice run, const char *once, Repair *r)
{
    Slice mark = arena_printf(c->arena, "%s in %.*s", once, SLICE_FMT(run));
    if (!configure_once(c, mark)) {
        return false;
    }
    *r = (Repair){REPAIR_RUN, run, slice_from_cstr(once)};
    return true;
}

// A variable before everything else; behind `set -e`, which stays the first line.
static bool exported(Configure *c, Slice run, const char *assignment, Repair *r)
{
    if (text_has(run, assignment)) {
        return false;
    }
    bool strict = text_starts(run, "set -e\n");
    Slice rest = strict ? slice_sub(run, 7, run.len) : run;
    return run_as(c, arena_printf(c->arena, "set -e\nexport %s\n%.*s", assignment, SLICE_FMT(rest)),
                  assignment, r);
}

static bool with_flag(Configure *c, Slice run, const char *tool_name, const char *flag, Repair *r)
{
    if (!text_has(run, tool_name) || text_has(run, flag)) {
        return false;
    }
    Slice with = arena_printf(c->arena, "%s %s", tool_name, flag);
    return run_as(c, replaced(c->arena, run, tool_name, arena_cstr(c->arena, with)), flag, r);
}

// A submodule that is not here, of the one library that Debian has as sources for this purpose.
static bool missing_googletest(Configure *c, const RepairQuestion *q, Repair *r)
{
    ptrdiff_t at = slice_find(q->output, SLICE("The source directory"));
    Slice rest = at < 0 ? (Slice){0} : slice_sub(q->output, (size_t)at + 20, 400);
    Slice path = between(rest, "/work/", " \n");
    if (path.len == 0 || !text_has(rest, "does not contain a CMakeLists.txt") ||
        slice_find_byte(path, '\'') >= 0 ||
        (!text_ends(path, "googletest") && !text_ends(path, "gtest"))) {
        return false;
    }
    if (package(c, SLICE("googletest"), r)) {
        return true;
    }
    bool strict = text_starts(q->run, "set -e\n");
    Slice run = strict ? slice_sub(q->run, 7, q->run.len) : q->run;
    return run_as(c,
                  arena_printf(c->arena,
                               "set -e\nmkdir -p '%.*s'\ncp -r /usr/src/googletest/. '%.*s'\n%.*s",
                               SLICE_FMT(path), SLICE_FMT(path), SLICE_FMT(run)),
                  "the system's googletest in the place of a submodule that is not here", r);
}

// One tool for developers (a linter's rules, mostly) that the registry does not have in the version
// asked for fails the whole install. It is done without it; package.json is put back, because what
// a copy's install edits would end in patches.
static bool missing_npm_version(Configure *c, const RepairQuestion *q, Repair *r)
{
    static const char KEEP[] = "cp package.json /tmp/package.json.kept\n";
    static const char DELETE[] = "npm pkg delete ";
    Slice name = between(q->output, "No matching version found for ", " \n");
    name = name.len > 0 ? name : between(q->output, "npm error 404  '", "'");
    size_t n = name.len;
    while (n > 1 && name.ptr[n - 1] != '@') { // the one before the version, not a scope's
        n--;
    }
    name = slice_sub(name, 0, n > 1 ? n - 1 : 0);
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z') && !(ch >= '0' && ch <= '9') &&
            strchr("@/._-", ch) == NULL) {
            return false;
        }
    }
    if (name.len == 0 || name.len > 100 || q->stage != STAGE_INSTALL || !text_has(q->run, "npm ")) {
        return false;
    }
    Slice key = arena_printf(c->arena, "'devDependencies[%.*s]' ", SLICE_FMT(name)), run = q->run;
    const char *note = arena_cstr(
        c->arena,
        arena_printf(c->arena, "without %.*s, which the registry does not have", SLICE_FMT(name)));
    if (text_has(run, DELETE)) {
        Slice with = arena_printf(c->arena, "%s%.*s", DELETE, SLICE_FMT(key));
        return !text_has(run, arena_cstr(c->arena, key)) &&
               run_as(c, replaced(c->arena, run, DELETE, arena_cstr(c->arena, with)), note, r);
    }
    return run_as(c,
                  arena_printf(c->arena,
                               "%s%s%.*s\n(%.*s\n)\nend=$?\n"
                               "cp /tmp/package.json.kept package.json\nexit $end",
                               KEEP, DELETE, SLICE_FMT(key), SLICE_FMT(run)),
                  note, r);
}

static bool other_command(Configure *c, const RepairQuestion *q, Repair *r)
{
    Slice out = q->output, run = q->run;
    bool strict = text_has(out, "-Werror") || text_has(out, "treated as errors");
    if (text_has(out, "CMake < 3.5 has been removed") &&
        with_flag(c, run, "cmake -S", "-DCMAKE_POLICY_VERSION_MINIMUM=3.5 -S", r)) {
        r->text = replaced(c->arena, r->text, "cmake -S -D", "cmake -D");
        return true;
    }
    if (strict && text_has(run, "cmake -S") && !text_has(run, "-Wno-error") &&
        run_as(c,
               replaced(c->arena, run, " -B ",
                        " -DCMAKE_C_FLAGS=-Wno-error "
                        "-DCMAKE_CXX_FLAGS=-Wno-error "
                        "-DCMAKE_COMPILE_WARNING_AS_ERROR=OFF -B "),
               "warnings are no errors", r)) {
        return true;
    }
    if (strict && with_flag(c, run, "meson setup", "-Dwerror=false", r)) {
        return true;
    }
    if (strict && text_has(run, "./configure\n") &&
        run_as(c,
               replaced(c->arena, run, "./configure\n",
                        "./configure CFLAGS='-g -O2 -Wno-error' CXXFLAGS='-g -O2 -Wno-error'\n"),
               "warnings are no errors", r)) {
        return true;
    }
    if ((text_has(out, "C++ versions less than C++1") || text_has(out, "requires at least C++") ||
         text_has(out, "C++14 or later")) &&
        !text_has(run, "CMAKE_CXX_STANDARD") && text_has(run, "cmake -S") &&
        run_as(c, replaced(c->arena, run, " -B ", " -DCMAKE_CXX_STANDARD=17 -B "), "C++17", r)) {
        return true;
    }
    if ((text_has(out, "Source option ") || text_has(out, "release version ") ||
         text_has(out, "invalid source release") || text_has(out, "Target option ")) &&
        with_flag(c, run, "mvn", "-Dmaven.compiler.source=8 -Dmaven.compiler.target=8", r)) {
        return true;
    }
    if (text_has(out, "setuptools-scm was unable") || text_has(out, "setuptools_scm") ||
        text_has(out, "git describe") || text_has(out, "versioningit") ||
        text_has(out, "vcs-versioning")) {
        if (exported(c, run, "SETUPTOOLS_SCM_PRETEND_VERSION=99.0.0", r)) {
            return true;
        }
    }
    if (text_has(out, "Versioning for this project requires") &&
        exported(c, run, "PBR_VERSION=99.0.0", r)) {
        return true;
    }
    if (text_has(out, "ERR_OSSL_EVP_UNSUPPORTED") &&
        exported(c, run, "NODE_OPTIONS=--openssl-legacy-provider", r)) {
        return true;
    }
    if ((text_has(out, "deny(warnings)") || text_has(out, "-D warnings")) &&
        exported(c, run, "RUSTFLAGS='--cap-lints warn'", r)) {
        return true;
    }
    return text_has(out, "detected dubious ownership") &&
           exported(c, run,
                    "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'", r);
}

// ---- more to install

static Slice distribution_of(Slice module)
{
    static const struct {
        const char *module, *name;
    } OTHERS[] = {{"yaml", "PyYAML"},
                  {"PIL", "pillow"},
                  {"dateutil", "python-dateutil"},
                  {"attr", "attrs"},
                  {"bs4", "beautifulsoup4"},
                  {"sklearn", "scikit-learn"},
                  {"pkg_resources", "setuptools<81"},
                  {"OpenSSL", "pyOpenSSL"},
                  {"google.protobuf", "protobuf"},
                  {"Crypto", "pycryptodome"},
                  {"git", "GitPython"},
                  {"jwt", "PyJWT"},
                  {"serial", "pyserial"},
                  {"docx", "python-docx"},
                  {"dotenv", "python-dotenv"},
                  {"cv2", "opencv-python-headless"},
                  {"nose", "pynose"},
                  {"psycopg2", "psycopg2-binary"},
                  {"pytest_mock", "pytest-mock"},
                  {"imp", ""},
                  {"distutils", "setuptools<81"},
                  {"_version", ""}};
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
        if (slice_eq_cstr(module, OTHERS[i].module)) {
            return slice_from_cstr(OTHERS[i].name);
        }
    }
    return module;
}

// A name that a test run asks for is only fetched when the repository itself speaks of it: names
// alone are how malicious packages get in.
static bool is_mentioned(Configure *c, Slice name)
{
    Slice lower = text_lower(c->arena, name);
    Slice dashed = replaced(c->arena, lower, "_", "-");
    for (size_t i = 0; i < c->in->tree->count; i++) {
        Slice path = c->in->tree->files[i].path;
        bool list = text_ends(path, ".toml") || text_ends(path, ".cfg") ||
                    text_ends(path, ".ini") || (text_ends(path, ".txt") && text_has(path, "req")) ||
                    text_ends(path, ".yml") || text_ends(path, ".yaml") ||
                    text_ends(path, "setup.py") || text_ends(path, "noxfile.py") ||
                    text_ends(path, "Makefile");
        if (list && path_depth(path) <= 2) {
            Slice text = text_lower(c->arena, tree_text(c->in->tree, path));
            if (slice_find(text, lower) >= 0 || slice_find(text, dashed) >= 0) {
                return true;
            }
        }
    }
    return false;
}

static bool pip_install(Configure *c, Slice name, Repair *r)
{
    if (name.len == 0 || name.len > 60 ||
        !configure_once(c, arena_printf(c->arena, "pip %.*s", SLICE_FMT(name)))) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        bool fine = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || strchr("-_.<", ch) != NULL;
        if (!fine) {
            return false;
        }
    }
    *r = (Repair){
        REPAIR_INSTALL,
        arena_printf(c->arena, "/deps/venv/bin/python -m pip install -q '%.*s'", SLICE_FMT(name)),
        {0}};
    return true;
}

static bool missing_module(Configure *c, const RepairQuestion *q, Repair *r)
{
    Slice rest = q->output;
    while (text_has(rest, "No module named ")) {
        Slice module = between(rest, "No module named ", "\n");
        while (module.len > 0 && strchr("'\"", module.ptr[0]) != NULL) {
            module = slice_sub(module, 1, module.len);
        }
        size_t n = 0;
        while (n < module.len && strchr("'\".;, ", module.ptr[n]) == NULL) {
            n++;
        }
        Slice top = slice_sub(module, 0, n), name = distribution_of(top);
        bool known = !slice_eq(name, top);
        if ((known || is_mentioned(c, name)) && pip_install(c, name, r)) {
            return true;
        }
        ptrdiff_t at = slice_find(rest, SLICE("No module named "));
        rest = slice_sub(rest, (size_t)at + 16, rest.len);
    }
    static const struct {
        const char *sign, *name;
    } PLUGINS[] = {{"fixture 'benchmark' not found", "pytest-benchmark"},
                   {"fixture 'mocker' not found", "pytest-mock"},
                   {"fixture 'httpbin' not found", "pytest-httpbin"},
                   {"fixture 'requests_mock' not found", "requests-mock"},
                   {"fixture 'subtests' not found", "pytest-subtests"},
                   {"fixture 'snapshot' not found", "syrupy"},
                   {"fixture 'anyio_backend' not found", "anyio"},
                   {"fixture 'faker' not found", "faker"},
                   {"fixture 'fs' not found", "pyfakefs"},
                   {"fixture 'datadir' not found", "pytest-datadir"},
                   {"unrecognized arguments: --cov", "pytest-cov"},
                   {"unrecognized arguments: -n", "pytest-xdist"},
                   {"unrecognized arguments: --timeout", "pytest-timeout"},
                   {"unrecognized arguments: --benchmark", "pytest-benchmark"},
                   {"async def functions are not natively supported", "pytest-asyncio"},
                   {"PytestUnknownMarkWarning: Unknown pytest.mark.asyncio", "pytest-asyncio"}};
    for (size_t i = 0; i < COUNT_OF(PLUGINS); i++) {
        if (text_has(q->output, PLUGINS[i].sign) &&
            pip_install(c, slice_from_cstr(PLUGINS[i].name), r)) {
            return true;
        }
    }
    return false;
}

// What wanted the network without it: the same command once with it, to fill the caches.
static bool prime(Configure *c, const RepairQuestion *q, Repair *r)
{
    static const char *const SIGNS[] = {"Could not resolve host",
                                        "offline mode",
                                        "Network is unreachable",
                                        "dial tcp",
                                        "--offline was specified",
                                        "in offline mode",
                                        "Temporary failure in name resolution",
                                        "getaddrinfo",
                                        "missing go.sum entry",
                                        "no matching package named",
                                        "ENOTFOUND",
                                        "EAI_AGAIN",
                                        "Failed to establish a new connection",
                                        "network unreachable",
                                        "No cached version",
                                        "attempting to make an HTTP request, but --offline",
                                        "Could not resolve dependencies",
                                        "could not be resolved",
                                        "is not a known host"};
    bool wants = false;
    for (size_t i = 0; i < COUNT_OF(SIGNS); i++) {
        wants |= text_has(q->output, SIGNS[i]);
    }
    if (!wants || q->stage == STAGE_INSTALL) {
        return false;
    }
    Slice online = replaced(c->arena, q->run, " --offline", "");
    online = replaced(c->arena, online, "mvn -o ", "mvn ");
    Slice mark = arena_printf(c->arena, "online %.*s", SLICE_FMT(online));
    if (!configure_once(c, mark)) {
        return false;
    }
    *r = (Repair){REPAIR_INSTALL, arena_printf(c->arena, "(%.*s\n) || true", SLICE_FMT(online)),
                  SLICE("once with network")};
    return true;
}

bool configure_repair(Configure *c, const RepairQuestion *q, Repair *r)
{
    if (q->timed_out) {
        return false;
    }
    return prime(c, q, r) || missing_googletest(c, q, r) || missing_npm_version(c, q, r) ||
           other_command(c, q, r) || missing_module(c, q, r) || missing_macro(c, q->output, r) ||
           missing_tool(c, q->output, r) || missing_library(c, q->output, r) ||
           configure_deselect(c->arena, q, r);
}
