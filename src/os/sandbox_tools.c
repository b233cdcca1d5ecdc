// Which directories of the host's PATH a sandbox needs to see so that the compilers and
// interpreters that a person uses work in it too, and nothing of that person's beside them.
//
// A directory in PATH is mostly PREFIX/bin and needs its PREFIX (libraries, other programs). But
// PREFIX can be the home directory (~/bin) or one that also holds secrets (~/.cargo has
// credentials.toml, ~/.local has key rings below share), so what lies directly in the home
// directory is shown by named parts only.
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "os/sandbox.h"

enum { VERSION_BYTES_MAX = 200, ENV_MAX = 32 };

typedef struct Tools {
    Arena *arena;
    Slice home; // real path, "" if none
    SandboxTools *out;
    Buf path;
} Tools;

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// The real path in the arena; empty when there is none. (Not into an array: PATH_MAX bytes in each
// of several frames are too much for a fiber's stack.)
static Slice real_path(Arena *arena, const char *path)
{
    char *real = realpath(path, NULL);
    Slice copy = real ? arena_copy(arena, slice_from_cstr(real)) : (Slice){NULL, 0};
    free(real);
    return copy;
}

static bool is_below(Slice path, Slice directory)
{
    return slice_starts_with(path, directory) &&
           (path.len == directory.len || path.ptr[directory.len] == '/');
}

// Bound by every sandbox anyway.
static bool is_system(Slice path)
{
    static const Slice SYSTEM[] = {SLICE_INIT("/usr"), SLICE_INIT("/bin"), SLICE_INIT("/sbin"),
                                   SLICE_INIT("/lib"), SLICE_INIT("/lib64")};
    for (size_t i = 0; i < COUNT_OF(SYSTEM); i++) {
        if (is_below(path, SYSTEM[i])) {
            return true;
        }
    }
    return false;
}

static Slice parent_of(Slice path)
{
    size_t len = path.len;
    while (len > 1 && path.ptr[len - 1] != '/') {
        len--;
    }
    return slice_sub(path, 0, len > 1 ? len - 1 : 1);
}

static Slice name_of(Slice path)
{
    Slice parent = parent_of(path);
    size_t from = parent.len > 1 ? parent.len + 1 : 1;
    return slice_sub(path, from, path.len);
}

static void mount(Tools *t, Slice host, Slice inside)
{
    for (size_t i = 0; i < t->out->mount_count; i++) {
        if (is_below(inside, slice_from_cstr(t->out->mounts[i].inside))) {
            return;
        }
    }
    const char *from = arena_cstr(t->arena, host);
    // Half of what a sandbox may mount is the caller's.
    if (t->out->mount_count < SANDBOX_MOUNTS_MAX / 2 && access(from, R_OK) == 0) {
        t->out->mounts[t->out->mount_count++] =
            (SandboxMount){.host = from, .inside = arena_cstr(t->arena, inside)};
    }
}

static void mount_part(Tools *t, Slice host, Slice inside, const char *part)
{
    Slice from = arena_printf(t->arena, "%.*s/%s", SLICE_FMT(host), part);
    if (access(from.ptr, F_OK) == 0) {
        mount(t, from, arena_printf(t->arena, "%.*s/%s", SLICE_FMT(inside), part));
    }
}

// `host` is a real path; `inside` is where programs expect it.
static void mount_prefix(Tools *t, Slice host, Slice inside)
{
    static const Slice WHOLE[] = {
        SLICE_INIT(".pyenv"),  SLICE_INIT(".rbenv"), SLICE_INIT(".nodenv"),
        SLICE_INIT(".goenv"),  SLICE_INIT(".jenv"),  SLICE_INIT(".volta"),
        SLICE_INIT(".rustup"), SLICE_INIT(".ghcup"), SLICE_INIT(".juliaup")};
    static const char *const PARTS[] = {"bin",     "lib",      "lib64",      "libexec",
                                        "include", "share/uv", "share/pipx", "pipx",
                                        "shims",   "sdk",      "toolchains", NULL};
    if (t->home.len == 0 || !slice_eq(parent_of(host), t->home)) {
        mount(t, host, inside);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(WHOLE); i++) {
        if (slice_eq(name_of(host), WHOLE[i])) {
            mount(t, host, inside);
            return;
        }
    }
    for (size_t i = 0; PARTS[i]; i++) {
        mount_part(t, host, inside, PARTS[i]);
    }
}

// The PREFIX of PREFIX/bin, or the directory itself where the rest of PREFIX is none of our
// business: the home directory and what is above it, a directory directly below the root.
static Slice prefix_of(const Tools *t, Slice directory)
{
    Slice parent = parent_of(directory);
    Slice name = name_of(directory);
    bool named =
        slice_eq_cstr(name, "bin") || slice_eq_cstr(name, "sbin") || slice_eq_cstr(name, "shims");
    bool shallow = slice_eq_cstr(parent_of(parent), "/") || parent.len == 1;
    bool above_home = t->home.len > 0 && is_below(t->home, parent);
    return named && !shallow && !above_home ? parent : directory;
}

static void mount_directory(Tools *t, Slice directory)
{
    Slice real = real_path(t->arena, arena_cstr(t->arena, directory));
    if (real.len == 0 || is_system(real)) {
        return;
    }
    Slice host = prefix_of(t, real);
    if (t->home.len > 0 && is_below(t->home, host)) {
        return; // PATH names the home directory itself, or what is above it
    }
    if (slice_eq(host, real)) { // only the directory itself
        mount(t, real, real);
        mount(t, real, directory);
        return;
    }
    mount_prefix(t, host, host);
    if (!slice_eq(directory, real)) {
        // Reached by a link, such as .../java/current/bin.
        mount_prefix(t, host, prefix_of(t, directory));
    }
}

static void add_path(Tools *t, Slice directory)
{
    Slice whole = arena_printf(t->arena, ":%.*s:", SLICE_FMT(buf_slice(&t->path)));
    if (slice_find(whole, arena_printf(t->arena, ":%.*s:", SLICE_FMT(directory))) >= 0) {
        return;
    }
    buf_printf(&t->path, "%s%.*s", t->path.len > 0 ? ":" : "", SLICE_FMT(directory));
}

static void add_env(Tools *t, const char *name, const char *value)
{
    size_t n = 0;
    while (t->out->env[n]) {
        n++;
    }
    if (n < ENV_MAX) {
        t->out->env[n] = arena_printf(t->arena, "%s=%s", name, value).ptr;
    }
}

// A shim of pyenv is a shell script that looks for the version at every start, some 40 ms: too much
// beside a command that is to be timed. The version in use therefore comes first.
static void add_pyenv_version(Tools *t, Slice shims)
{
    Slice root = parent_of(shims);
    Buf text = buf_create(VERSION_BYTES_MAX);
    const char *file = arena_printf(t->arena, "%.*s/version", SLICE_FMT(root)).ptr;
    if (file_read(file, &text, NULL) == 0) {
        Slice version = slice_trim(buf_slice(&text));
        Slice rest;
        (void)slice_cut(version, '\n', &version, &rest);
        Slice bin =
            arena_printf(t->arena, "%.*s/versions/%.*s/bin", SLICE_FMT(root), SLICE_FMT(version));
        if (version.len > 0 && is_dir(bin.ptr)) {
            add_path(t, bin);
        }
    }
    buf_done(&text);
    if (slice_eq_cstr(name_of(root), ".pyenv")) {
        add_env(t, "PYENV_ROOT", arena_cstr(t->arena, root));
    }
}

// Directories that variables name. A value that is no directory means nothing in there.
static void add_variables(Tools *t)
{
    static const char *const NAMES[] = {"JAVA_HOME", "GOROOT",      "RUSTUP_HOME", "MAVEN_HOME",
                                        "M2_HOME",   "GRADLE_HOME", "DOTNET_ROOT", NULL};
    for (size_t i = 0; NAMES[i]; i++) {
        const char *value = getenv(NAMES[i]);
        Slice path = slice_from_cstr(value);
        if (!value || value[0] != '/' || !is_dir(value)) {
            continue;
        }
        Slice real = real_path(t->arena, value);
        if (real.len == 0 || (t->home.len > 0 && is_below(t->home, real))) {
            continue;
        }
        if (!is_system(path)) {
            mount(t, real, path);
        }
        add_env(t, NAMES[i], value);
    }
}

// rustup's cargo and rustc are links to rustup, which finds the real ones in RUSTUP_HOME.
static void add_rustup(Tools *t)
{
    if (t->home.len == 0 || getenv("RUSTUP_HOME")) {
        return;
    }
    Slice rustup = arena_printf(t->arena, "%.*s/.rustup", SLICE_FMT(t->home));
    if (is_dir(rustup.ptr)) {
        mount(t, rustup, rustup);
        add_env(t, "RUSTUP_HOME", rustup.ptr);
    }
}

void sandbox_tools(Arena *arena, const char *path, const char *home, SandboxTools *ret_tools)
{
    *ret_tools = (SandboxTools){.mounts = ARENA_ARRAY(arena, SandboxMount, SANDBOX_MOUNTS_MAX),
                                .env = ARENA_ARRAY(arena, const char *, ENV_MAX + 1)};
    Tools t = {.arena = arena, .out = ret_tools, .path = buf_create(64 << 10)};
    if (home && home[0] == '/' && home[1] != 0) {
        t.home = real_path(arena, home);
    }
    Slice rest = slice_from_cstr(path);
    while (rest.len > 0) {
        Slice directory;
        (void)slice_cut(rest, ':', &directory, &rest);
        while (directory.len > 1 && directory.ptr[directory.len - 1] == '/') {
            directory.len--;
        }
        if (directory.len < 2 || directory.ptr[0] != '/' || !is_dir(arena_cstr(arena, directory))) {
            continue;
        }
        mount_directory(&t, directory);
        if (slice_eq_cstr(name_of(directory), "shims")) {
            add_pyenv_version(&t, directory);
        }
        add_path(&t, directory);
    }
    // For a caller whose PATH is empty, as a service manager's may be.
    static const char *const ALWAYS[] = {"/usr/local/bin", "/usr/bin", "/bin", NULL};
    for (size_t i = 0; ALWAYS[i]; i++) {
        add_path(&t, slice_from_cstr(ALWAYS[i]));
    }
    add_variables(&t);
    add_rustup(&t);
    ret_tools->path = arena_cstr(arena, buf_slice(&t.path));
    buf_done(&t.path);
}
