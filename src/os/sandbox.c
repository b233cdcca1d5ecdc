#include "os/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "os/file.h"
#include "os/process.h"
#include "os/sandbox_internal.h"

// Room for every mount, every entry of ETC and our own variables; the caller's come on top.
enum { ARGV_MAX = 1000, BLOCK_BYTES = 512, OUTPUT_BYTES = 64 << 10 };
static const int64_t CHECK_NS = 20 * NS_PER_S;

// Of /etc only what programs need to find libraries, names, time zones, certificates and their own
// defaults. A list of what is shown, because a list of secrets is never complete; as root we could
// read all of them. A star ends a prefix.
static const char *const ETC[] = {"alternatives",
                                  "ca-certificates",
                                  "ca-certificates.conf",
                                  "debian_version",
                                  "dotnet",
                                  "fonts",
                                  "gai.conf",
                                  "host.conf",
                                  "ImageMagick*",
                                  "java*",
                                  "ld.so.cache",
                                  "ld.so.conf",
                                  "ld.so.conf.d",
                                  "locale.alias",
                                  "locale.conf",
                                  "localtime",
                                  "magic",
                                  "magic.mime",
                                  "maven",
                                  "mime.types",
                                  "networks",
                                  "nsswitch.conf",
                                  "os-release",
                                  "perl",
                                  "protocols",
                                  "python2*",
                                  "python3*",
                                  "rpc",
                                  "services",
                                  "sgml",
                                  "shells",
                                  "terminfo",
                                  "texmf",
                                  "timezone",
                                  "xml",
                                  NULL};
// Of directories that hold private keys beside certificates.
static const char *const ETC_PARTS[] = {"/etc/ssl/certs",          "/etc/ssl/openssl.cnf",
                                        "/etc/ssl/cert.pem",       "/etc/pki/ca-trust",
                                        "/etc/pki/tls/certs",      "/etc/pki/tls/cert.pem",
                                        "/etc/crypto-policies",    "/nix/store",
                                        "/sys/devices/system/cpu", NULL};

typedef struct Builder {
    Arena *arena;
    const char **argv;
    size_t count;
    size_t room;
    const char *files; // directory with our passwd, group, hosts and filter
} Builder;

// Arguments in a row, ended by NULL.
static void add(Builder *b, const char *first, ...) __attribute__((sentinel));
static void add(Builder *b, const char *first, ...)
{
    va_list args;
    va_start(args, first);
    for (const char *arg = first; arg; arg = va_arg(args, const char *)) {
        if (b->count == b->room) {
            die("sandbox: more than %zu arguments", b->room);
        }
        b->argv[b->count++] = arg;
    }
    va_end(args);
}

// ---- our files in /etc, and the filter

static int write_once(Arena *arena, const char *directory, const char *name, Slice content, Err *e)
{
    const char *path = arena_printf(arena, "%s/%s", directory, name).ptr;
    Buf old = buf_create(content.len + 1);
    bool same = file_read(path, &old, NULL) == 0 && slice_eq(buf_slice(&old), content);
    buf_done(&old);
    return same ? 0 : file_write(path, content, &(FileWriteOptions){.no_sync = true}, e);
}

// bwrap takes such content from file descriptors, which process_run does not pass on; so it is in
// files, always the same ones.
static int make_files(Builder *b, Err *e)
{
    Buf directory = buf_create(PATH_MAX);
    int rc = user_dir(USER_CACHE, "perfwright/sandbox", &directory, e);
    if (rc == 0) {
        b->files = arena_cstr(b->arena, buf_slice(&directory));
        rc = dir_make_all(b->files, e);
    }
    buf_done(&directory);
    if (rc != 0) {
        return rc;
    }
    Slice passwd = arena_printf(b->arena,
                                "root:x:0:0:root:/root:/bin/sh\n"
                                "user:x:%d:%d:user:" SANDBOX_HOME ":/bin/sh\n"
                                "nobody:x:65534:65534:nobody:/:/bin/false\n",
                                SANDBOX_UID, SANDBOX_UID);
    Slice group = arena_printf(b->arena, "root:x:0:\nuser:x:%d:\nnogroup:x:65534:\n", SANDBOX_UID);
    Slice hosts = SLICE("127.0.0.1 localhost sandbox\n::1 localhost sandbox\n");
    int rc_passwd = write_once(b->arena, b->files, "passwd", passwd, e);
    int rc_group = write_once(b->arena, b->files, "group", group, e);
    int rc_hosts = write_once(b->arena, b->files, "hosts", hosts, e);
    int rc_filter = write_once(b->arena, b->files, "filter", sandbox_filter(), e);
    return rc_passwd ? rc_passwd : rc_group ? rc_group : rc_hosts ? rc_hosts : rc_filter;
}

// ---- the options

static uint64_t ram_bytes(void)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : (uint64_t)4 << 30;
}

SandboxOptions sandbox_with_defaults(const SandboxOptions *options)
{
    SandboxOptions o = *options;
    o.directory = o.directory ? o.directory : "/";
    o.memory_bytes_max = o.memory_bytes_max ? o.memory_bytes_max : ram_bytes() / 4 * 3;
    o.tmp_bytes_max = o.tmp_bytes_max ? o.tmp_bytes_max : ram_bytes() / 8;
    o.file_bytes_max = o.file_bytes_max ? o.file_bytes_max : SANDBOX_FILE_BYTES;
    o.disk_bytes_max = o.disk_bytes_max ? o.disk_bytes_max : SANDBOX_DISK_BYTES;
    o.processes_max = o.processes_max ? o.processes_max : SANDBOX_PROCESSES_MAX;
    return o;
}

// Threads are tasks too: a Java program has some thirty before it does anything.
unsigned sandbox_tasks_max(const SandboxOptions *options)
{
    enum { THREADS = 64 };
    return options->processes_max > (UINT_MAX - THREADS) / 2 ? UINT_MAX
                                                             : 2 * options->processes_max + THREADS;
}

static int check_options(const SandboxOptions *o, Err *e)
{
    if (o->mount_count > SANDBOX_MOUNTS_MAX) {
        return err_set(e, ERR_ARG, "a sandbox has at most %d mounts, these are %zu",
                       SANDBOX_MOUNTS_MAX, o->mount_count);
    }
    for (size_t i = 0; i < o->mount_count; i++) {
        const SandboxMount *m = &o->mounts[i];
        if (!m->host || m->host[0] != '/' || !m->inside || m->inside[0] != '/') {
            return err_set(e, ERR_ARG,
                           "a mount of a sandbox needs absolute paths, not '%s' on '%s'",
                           m->host ? m->host : "", m->inside ? m->inside : "");
        }
    }
    return 0;
}

static bool is_mounted(const SandboxOptions *o, const char *inside)
{
    for (size_t i = 0; i < o->mount_count; i++) {
        if (strcmp(o->mounts[i].inside, inside) == 0) {
            return true;
        }
    }
    return false;
}

// A later "NAME=value" replaces an earlier one, so that the caller's word is the last.
static void put_env(const char **env, size_t *count, const char *entry)
{
    const char *equals = strchr(entry, '=');
    size_t name_len = equals ? (size_t)(equals - entry) + 1 : strlen(entry);
    for (size_t i = 0; i < *count; i++) {
        if (strncmp(env[i], entry, name_len) == 0) {
            env[i] = entry;
            return;
        }
    }
    env[(*count)++] = entry;
}

static size_t count_of_list(const char *const *list)
{
    size_t n = 0;
    while (list && list[n]) {
        n++;
    }
    return n;
}

const char *const *sandbox_make_environment(Arena *arena, const SandboxOptions *o,
                                            const SandboxTools *tools)
{
    // CCACHE_DISABLE: a compiler cache answers the second build from the first one's, which hides
    // what a build does; whoever wants one says so. The others keep programs from asking a person.
    static const char *const FIXED[] = {"HOME=" SANDBOX_HOME,
                                        "USER=user",
                                        "LOGNAME=user",
                                        "LANG=C.UTF-8",
                                        "TMPDIR=/tmp",
                                        "TERM=dumb",
                                        "CCACHE_DISABLE=1",
                                        "GIT_TERMINAL_PROMPT=0",
                                        "DEBIAN_FRONTEND=noninteractive",
                                        "RUSTUP_AUTO_INSTALL=0",
                                        "GOTOOLCHAIN=local",
                                        NULL};
    size_t room = count_of_list(FIXED) + count_of_list(o->env) + count_of_list(tools->env) + 2;
    const char **env = ARENA_ARRAY(arena, const char *, room);
    size_t n = 0;
    bool first = o->path_first && o->path_first[0];
    put_env(env, &n,
            arena_printf(arena, "PATH=%s%s%s", first ? o->path_first : "", first ? ":" : "",
                         tools->path)
                .ptr);
    for (size_t i = 0; FIXED[i]; i++) {
        put_env(env, &n, FIXED[i]);
    }
    for (size_t i = 0; tools->env[i]; i++) {
        put_env(env, &n, tools->env[i]);
    }
    for (size_t i = 0; o->env && o->env[i]; i++) {
        put_env(env, &n, o->env[i]);
    }
    return env;
}

// ---- the command line

static void add_system(Builder *b)
{
    static const char *const ROOTS[] = {"/bin",   "/sbin",   "/lib", "/lib32",
                                        "/lib64", "/libx32", NULL};
    add(b, "--ro-bind", "/usr", "/usr", NULL);
    for (size_t i = 0; ROOTS[i]; i++) {
        char target[PATH_MAX];
        ssize_t n = readlink(ROOTS[i], target, sizeof target);
        if (n > 0) {
            const char *to = arena_cstr(b->arena, (Slice){target, (size_t)n});
            add(b, "--symlink", to, ROOTS[i], NULL);
        } else if (access(ROOTS[i], F_OK) == 0) {
            add(b, "--ro-bind", ROOTS[i], ROOTS[i], NULL);
        }
    }
}

static bool is_shown(const char *name)
{
    for (size_t i = 0; ETC[i]; i++) {
        size_t len = strlen(ETC[i]);
        bool star = ETC[i][len - 1] == '*';
        if (star ? strncmp(name, ETC[i], len - 1) == 0 : strcmp(name, ETC[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void add_etc(Builder *b)
{
    enum { SHOWN_MAX = 80 };
    DIR *dir = opendir("/etc");
    size_t shown = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        if (is_shown(entry->d_name) && shown++ < SHOWN_MAX) {
            const char *path = arena_printf(b->arena, "/etc/%s", entry->d_name).ptr;
            add(b, "--ro-bind-try", path, path, NULL);
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
    for (size_t i = 0; ETC_PARTS[i]; i++) {
        add(b, "--ro-bind-try", ETC_PARTS[i], ETC_PARTS[i], NULL);
    }
    static const char *const OURS[] = {"passwd", "group", "hosts", NULL};
    for (size_t i = 0; OURS[i]; i++) {
        add(b, "--ro-bind", arena_printf(b->arena, "%s/%s", b->files, OURS[i]).ptr,
            arena_printf(b->arena, "/etc/%s", OURS[i]).ptr, NULL);
    }
}

static void add_fresh(Builder *b, const SandboxOptions *o)
{
    const char *size = arena_printf(b->arena, "%llu", (unsigned long long)o->tmp_bytes_max).ptr;
    add(b, "--proc", "/proc", "--dev", "/dev", NULL);
    add(b, "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev", NULL);
    if (!is_mounted(o, "/tmp")) {
        add(b, "--perms", "1777", "--size", size, "--tmpfs", "/tmp", NULL);
    }
    if (!is_mounted(o, SANDBOX_HOME)) {
        add(b, "--perms", "0700", "--size", size, "--tmpfs", SANDBOX_HOME, NULL);
    }
    add(b, "--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--dir", "/run", NULL);
}

static void add_mounts(Builder *b, const SandboxMount *mounts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(b, mounts[i].writable ? "--bind" : "--ro-bind", mounts[i].host, mounts[i].inside, NULL);
    }
}

static void add_namespaces(Builder *b, const SandboxOptions *o)
{
    const char *uid = arena_printf(b->arena, "%d", SANDBOX_UID).ptr;
    add(b, "--unshare-all", NULL);
    if (o->network) {
        add(b, "--share-net", NULL);
    }
    add(b, "--unshare-user", "--disable-userns", "--uid", uid, "--gid", uid, "--hostname",
        "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL", NULL);
    if (sandbox_filter().len > 0) {
        add(b, "--seccomp", "9", NULL);
    }
}

// Limits that the kernel keeps are set by a shell inside: children inherit them, and bwrap itself
// must not be killed by them. The number of tasks is -u in bash and -p in dash.
static void add_limits(Builder *b, const SandboxOptions *o)
{
    Slice text = arena_printf(b->arena,
                              "ulimit -c 0; ulimit -f %llu; if (ulimit -u %u); then ulimit -u %u; "
                              "else ulimit -p %u; fi; ",
                              (unsigned long long)(o->file_bytes_max / BLOCK_BYTES),
                              sandbox_tasks_max(o), sandbox_tasks_max(o), sandbox_tasks_max(o));
    if (o->cpu_ns_max > 0) {
        long long seconds = (o->cpu_ns_max - 1) / NS_PER_S + 1;
        text = arena_printf(b->arena, "%.*sulimit -t %lld; ", SLICE_FMT(text), seconds);
    }
    add(b, "--", "/bin/sh", "-c",
        arena_printf(b->arena, "{ %.*s} 2>/dev/null; exec \"$@\"", SLICE_FMT(text)).ptr, "sh",
        NULL);
}

// What runs before bwrap, outside: the filter is opened, and where there are control groups the
// process enters one of its own, so that everything it starts is counted from the beginning. bwrap
// stays inside as process 1, where /proc/1/environ can be read: it must not have our environment.
static void add_launcher(Builder *b, const SandboxOptions *o)
{
    static const char PLAIN[] = "exec 9<\"$0\"; exec env -i \"PATH=$PATH\" \"$@\"";
    static const char GROUPED[] =
        "d=$1/perfwright-$$; rmdir \"$d\" 2>/dev/null; "
        "mkdir \"$d\" && echo \"$2\" >\"$d/pids.max\" && echo $$ >\"$d/cgroup.procs\" || "
        "{ echo \"bwrap: cannot limit processes in $d\" >&2; exit 1; }; "
        "shift 2; exec 9<\"$0\"; exec env -i \"PATH=$PATH\" \"$@\"";
    const char *filter = arena_printf(b->arena, "%s/filter", b->files).ptr;
    const char *base = sandbox_cgroup_base(b->arena);
    if (!base) {
        add(b, "/bin/sh", "-c", PLAIN, filter, "bwrap", NULL);
        return;
    }
    sandbox_cgroup_sweep(base);
    add(b, "/bin/sh", "-c", GROUPED, filter, base,
        arena_printf(b->arena, "%u", sandbox_tasks_max(o)).ptr, "bwrap", NULL);
}

static bool in_path(const char *program)
{
    Slice rest = slice_from_cstr(getenv("PATH"));
    char path[PATH_MAX];
    while (rest.len > 0) {
        Slice directory;
        (void)slice_cut(rest, ':', &directory, &rest);
        int n = snprintf(path, sizeof path, "%.*s/%s", SLICE_FMT(directory), program);
        if (n > 0 && n < (int)sizeof path && access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

static int no_bwrap(Err *e)
{
    return err_set(e, ERR_UNSUPPORTED,
                   "there is no sandbox here: the program 'bwrap' is not in PATH; install the "
                   "package 'bubblewrap', or say --no-sandbox to run the repository's commands "
                   "with your own rights");
}

int sandbox_argv(Arena *arena, const SandboxOptions *options, const char *const *argv,
                 const char *const **ret_argv, Err *e)
{
    return sandbox_build_argv(arena, options, false, argv, ret_argv, e);
}

int sandbox_build_argv(Arena *arena, const SandboxOptions *options, bool as_first,
                       const char *const *argv, const char *const **ret_argv, Err *e)
{
    int rc = check_options(options, e);
    if (rc != 0) {
        return rc;
    }
    if (!in_path("bwrap")) {
        return no_bwrap(e);
    }
    SandboxOptions o = sandbox_with_defaults(options);
    size_t given = count_of_list(argv);
    size_t room = ARGV_MAX + 3 * count_of_list(o.env);
    Builder b = {
        .arena = arena, .argv = ARENA_ARRAY(arena, const char *, room + given + 1), .room = room};
    rc = make_files(&b, e);
    if (rc != 0) {
        return rc;
    }
    SandboxTools tools;
    sandbox_tools(arena, getenv("PATH"), getenv("HOME"), &tools);
    size_t of_tools = tools.mount_count;
    if (o.network) {
        sandbox_network(arena, getenv("HOME"), &tools);
    }
    add_launcher(&b, &o);
    add_namespaces(&b, &o);
    if (as_first) {
        add(&b, "--as-pid-1", NULL);
    }
    add(&b, "--clearenv", NULL);
    const char *const *env = sandbox_make_environment(arena, &o, &tools);
    for (size_t i = 0; env[i]; i++) {
        char *entry = (char *)(uintptr_t)arena_cstr(arena, slice_from_cstr(env[i]));
        char *equals = strchr(entry, '=');
        if (equals) {
            *equals = 0;
            add(&b, "--setenv", entry, equals + 1, NULL);
        }
    }
    add_system(&b);
    add_etc(&b);
    add_fresh(&b, &o);
    add_mounts(&b, tools.mounts, of_tools);
    add_mounts(&b, o.mounts, o.mount_count);
    // Behind the caller's, which may have covered the home directory.
    add_mounts(&b, tools.mounts + of_tools, tools.mount_count - of_tools);
    if (o.broker_socket) {
        add(&b, "--bind", o.broker_socket, SANDBOX_BROKER_PATH, NULL);
    }
    add(&b, "--remount-ro", "/", "--chdir", o.directory, NULL);
    add_limits(&b, &o);
    memcpy(b.argv + b.count, argv, given * sizeof *argv);
    *ret_argv = b.argv;
    return 0;
}

// ---- does it work here

int sandbox_check(Err *e)
{
    Arena *arena = arena_create(4 << 20);
    const char *const *argv = NULL;
    int rc =
        sandbox_argv(arena, &(SandboxOptions){0}, (const char *const[]){"true", NULL}, &argv, e);
    if (rc == 0) {
        ProcessResult result = process_result_create(OUTPUT_BYTES);
        rc = process_run(&(ProcessOptions){.argv = argv, .timeout_ns = CHECK_NS}, &result, e);
        if (rc == 0 && result.end.exit_code != 0) {
            rc =
                err_set(e, ERR_UNSUPPORTED,
                        "there is no sandbox here: %.*s (user namespaces may be switched off: see "
                        "user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns;"
                        " --no-sandbox runs the repository's commands with your own rights)",
                        SLICE_FMT(slice_trim(buf_slice(&result.err))));
        }
        process_result_done(&result);
        const char *base = sandbox_cgroup_base(arena);
        if (base) {
            sandbox_cgroup_sweep(base);
        }
    }
    arena_destroy(arena);
    return rc;
}
