// See packages.h. The table of names is in infer_packages.c.
#include "improve/packages.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"

extern char **environ;

enum { OUTPUT_MAX = 1 << 20, INSTALL_MAX = 300 };

// These are the system's own programs, with names that were checked, and they end by themselves;
// so no loop, no deadline. 0 and the exit code, or an error when it does not start.
static int run(const char *const *argv, const char *log_path, Buf *out, int *ret_exit)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return ERR_IO;
    }
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (log_path) {
        (void)posix_spawn_file_actions_addopen(&actions, 1, log_path, O_WRONLY | O_CREAT | O_APPEND,
                                               0644);
        (void)posix_spawn_file_actions_adddup2(&actions, 1, 2);
    } else {
        (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
        (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    }
    pid_t pid = 0;
    // posix_spawn takes the vector without const and leaves it alone.
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    char piece[4096];
    ssize_t n = 0;
    while (rc == 0 && ((n = read(fds[0], piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))) {
        if (out && n > 0) {
            buf_append(out, (Slice){piece, (size_t)n});
        }
    }
    (void)close(fds[0]);
    int status = 0;
    if (rc != 0) {
        return ERR_NOT_FOUND;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *ret_exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    return 0;
}

static bool says(const char *const *argv, const char *needle, Buf *out)
{
    Buf own = buf_create(OUTPUT_MAX);
    int code = 0;
    bool ok = run(argv, NULL, out ? out : &own, &code) == 0 && code == 0;
    Buf *text = out ? out : &own;
    ok = ok && slice_find(buf_slice(text), slice_from_cstr(needle)) >= 0;
    buf_done(&own);
    return ok;
}

bool package_is_installed(Slice name)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_FMT(name));
    const char *argv[] = {"dpkg-query", "-W", "-f", "${Status}", "--", text, NULL};
    return says(argv, "ok installed", NULL);
}

bool package_exists(Slice name)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_FMT(name));
    const char *argv[] = {"apt-cache", "--no-all-versions", "show", "--", text, NULL};
    return says(argv, "Package:", NULL);
}

// A name as it is written into packages' names: small letters, no path, no ending.
static Slice plain_name(Arena *arena, Slice name)
{
    char *out = ARENA_ARRAY(arena, char, name.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < name.len && name.ptr[i] != '/'; i++) {
        char c = name.ptr[i];
        if (c == '.' && i + 2 >= name.len) {
            break; // the ending of foo.h
        }
        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c == '_' ? '-' : c;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (n > 0 && strchr("+-.", c))) {
            out[n++] = c;
        }
    }
    return (Slice){out, n};
}

Slice package_search_library(Arena *arena, Slice name)
{
    Slice plain = plain_name(arena, name);
    if (plain.len < 2) {
        return (Slice){0};
    }
    bool lib = slice_starts_with(plain, SLICE("lib"));
    for (size_t i = 0; i < 4; i++) {
        Slice form = i == 0 ? arena_printf(arena, "%s%.*s-dev", lib ? "" : "lib", SLICE_FMT(plain))
                     : i == 1 ? arena_printf(arena, "%.*s-dev", SLICE_FMT(plain))
                     : i == 2
                         ? arena_printf(arena, "%s%.*s1-dev", lib ? "" : "lib", SLICE_FMT(plain))
                         : arena_printf(arena, "%s%.*s2-dev", lib ? "" : "lib", SLICE_FMT(plain));
        if (package_exists(form)) {
            return form;
        }
    }
    return (Slice){0};
}

int packages_install(const Slice *names, size_t count, const char *log_path, Err *e)
{
    if (geteuid() != 0) {
        return err_set(e, ERR_REFUSED, "installing packages needs root: apt-get install %.*s ...",
                       count > 0 ? (int)names[0].len : 0, count > 0 ? names[0].ptr : "");
    }
    if (count > INSTALL_MAX) {
        return err_set(e, ERR_LIMIT, "%zu packages at once, the limit is %d", count, INSTALL_MAX);
    }
    const char *argv[INSTALL_MAX + 8] = {"apt-get",
                                         "install",
                                         "-y",
                                         "-q",
                                         "--no-install-recommends",
                                         "-o",
                                         "DPkg::Lock::Timeout=300"};
    Arena *arena = arena_create(1 << 20);
    size_t known = 0; // one name that this release does not have would refuse them all
    for (size_t i = 0; i < count; i++) {
        if (package_exists(names[i])) {
            argv[7 + known++] = arena_cstr(arena, names[i]);
        }
    }
    int code = 0, rc = known > 0 ? run(argv, log_path, NULL, &code) : 0;
    arena_destroy(arena);
    if (known == 0) {
        return err_set(e, ERR_NOT_FOUND, "this system has no package %.*s", SLICE_FMT(names[0]));
    }
    if (rc != 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "there is no apt-get here: install the packages by hand");
    }
    return code == 0 ? 0 : err_set(e, ERR_IO, "apt-get ended with %d, see %s", code, log_path);
}
