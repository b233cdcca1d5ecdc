// One call of git, and what its environment is. git.h says why.
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/git.h"
#include "os/file.h"
#include "os/process.h"

enum { ENV_MAX = 64, ERROR_BYTES_MAX = 16 << 10, PATH_BYTES = 8 << 10 };
static const int64_t CALL_NS = 600 * NS_PER_S;

// On git's command line in all but name (its "command scope"), which outranks every file.
// core.quotePath: paths come as bytes. protocol.allow: nothing is fetched, also not the missing
// objects of a partial clone, for which git 2.39 would run what remote.X.uploadpack names.
static const char *const CONFIG[][2] = {
    {"safe.directory", "*"},
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.untrackedCache", "false"},
    {"core.quotePath", "false"},
    {"core.autocrlf", "false"},
    {"core.pager", "cat"},
    {"core.attributesFile", "/dev/null"},
    {"core.excludesFile", "/dev/null"},
    {"protocol.allow", "never"},
    {"gc.auto", "0"},
    {"maintenance.auto", "false"},
    {"log.showSignature", "false"},
    {"commit.gpgSign", "false"},
    {"submodule.recurse", "false"},
    {"diff.renameLimit", "2000"},
};

// The commits that we make are the same for the same content, on every machine.
static const char *const ENVIRONMENT[] = {"LC_ALL=C",
                                          "HOME=/nonexistent",
                                          "GIT_CONFIG_NOSYSTEM=1",
                                          "GIT_CONFIG_SYSTEM=/dev/null",
                                          "GIT_CONFIG_GLOBAL=/dev/null",
                                          "GIT_ATTR_NOSYSTEM=1",
                                          "GIT_TERMINAL_PROMPT=0",
                                          "GIT_OPTIONAL_LOCKS=0",
                                          "GIT_NO_LAZY_FETCH=1",
                                          "GIT_NO_REPLACE_OBJECTS=1",
                                          "GIT_LITERAL_PATHSPECS=1",
                                          "GIT_ALLOW_PROTOCOL=",
                                          "GIT_ASKPASS=/bin/false",
                                          "GIT_EDITOR=/bin/false",
                                          "GIT_AUTHOR_NAME=perfwright",
                                          "GIT_AUTHOR_EMAIL=perfwright@localhost",
                                          "GIT_COMMITTER_NAME=perfwright",
                                          "GIT_COMMITTER_EMAIL=perfwright@localhost",
                                          "GIT_AUTHOR_DATE=2000-01-01T00:00:00Z",
                                          "GIT_COMMITTER_DATE=2000-01-01T00:00:00Z",
                                          NULL};

static void set(Arena *arena, const char **env, size_t *n, const char *name, const char *value)
{
    if (value && *n < ENV_MAX) {
        env[(*n)++] = arena_printf(arena, "%s=%s", name, value).ptr;
    }
}

// In quotes, as that variable wants a path in which anything may be (a colon, for one).
static const char *quoted(Arena *arena, const char *path)
{
    Buf out = buf_create(PATH_BYTES);
    buf_putc(&out, '"');
    for (const char *at = path; *at; at++) {
        if (*at == '"' || *at == '\\') {
            buf_putc(&out, '\\');
        }
        buf_putc(&out, *at);
    }
    buf_putc(&out, '"');
    const char *text = arena_cstr(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static const char *const *environment(Arena *arena, const GitCall *call)
{
    const char **env = ARENA_ARRAY(arena, const char *, ENV_MAX + 1);
    size_t n = 0;
    set(arena, env, &n, "PATH", process_path());
    for (size_t i = 0; ENVIRONMENT[i]; i++) {
        env[n++] = ENVIRONMENT[i];
    }
    set(arena, env, &n, "GIT_DIR", call->git_dir);
    set(arena, env, &n, "GIT_WORK_TREE", call->work_tree);
    set(arena, env, &n, "GIT_OBJECT_DIRECTORY", call->objects);
    set(arena, env, &n, "GIT_INDEX_FILE", call->index);
    set(arena, env, &n, "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        call->lent ? quoted(arena, call->lent) : NULL);
    set(arena, env, &n, "GIT_SHALLOW_FILE", call->shallow);
    return env;
}

static const char *const *arguments(Arena *arena, const GitCall *call, const char *const *args)
{
    size_t count = 0;
    while (args[count]) {
        count++;
    }
    const char **argv = ARENA_ARRAY(arena, const char *, count + 2 * COUNT_OF(CONFIG) + 4);
    size_t n = 0;
    argv[n++] = "git";
    if (call->directory) {
        argv[n++] = "-C";
        argv[n++] = call->directory;
    }
    for (size_t i = 0; i < COUNT_OF(CONFIG); i++) {
        argv[n++] = "-c";
        argv[n++] = arena_printf(arena, "%s=%s", CONFIG[i][0], CONFIG[i][1]).ptr;
    }
    memcpy(argv + n, args, count * sizeof *args);
    return argv;
}

static int judge_end(const GitCall *call, const char *const *args, const ProcessResult *r, Err *e)
{
    if (call->ret_exit_code) {
        *call->ret_exit_code = r->end.exit_code;
    }
    if (r->out.overflowed) {
        return err_set(e, ERR_LIMIT, "git %s printed more than %zu bytes", args[0], r->out.max);
    }
    if (r->end.exit_code == 0 || (r->end.exit_code == 1 && call->ok_1)) {
        return 0;
    }
    Slice words = slice_trim(buf_slice(&r->err));
    if (r->end.signal != 0) {
        return err_set(e, ERR_IO, "git %s: ended by signal %d", args[0], r->end.signal);
    }
    return err_set(e, ERR_IO, "git %s: %.*s", args[0], (int)(words.len < 600 ? words.len : 600),
                   words.ptr ? words.ptr : "failed");
}

int git_run(const GitCall *call, const char *const *args, Buf *out, Err *e)
{
    Arena *arena = arena_create(16 << 20);
    ProcessResult r = {.out = buf_create(out ? out->max - out->len : ERROR_BYTES_MAX),
                       .err = buf_create(ERROR_BYTES_MAX)};
    int rc = process_run(&(ProcessOptions){.loop = call->loop,
                                           .argv = arguments(arena, call, args),
                                           .envp = environment(arena, call),
                                           .directory = call->work_tree,
                                           .input = call->input,
                                           .timeout_ns = CALL_NS},
                         &r, e);
    rc = rc == 0 ? judge_end(call, args, &r, e) : rc;
    if (rc == ERR_NOT_FOUND) {
        rc = err_set(e, ERR_UNSUPPORTED, "the program 'git' is not in PATH; install it");
    }
    if (rc == 0 && out) {
        buf_append(out, buf_slice(&r.out));
    }
    process_result_done(&r);
    arena_destroy(arena);
    return rc;
}

// ---- a git directory of ours

static int write_text(const char *directory, const char *name, const char *text, Err *e)
{
    Buf path = buf_create(PATH_BYTES);
    Buf old = buf_create(4096);
    buf_printf(&path, "%s/%s", directory, name);
    int rc = buf_check(&path, "path", e);
    bool same =
        rc == 0 && file_read(path.data, &old, NULL) == 0 && slice_eq_cstr(buf_slice(&old), text);
    if (rc == 0 && !same) {
        rc = file_write(path.data, slice_from_cstr(text), &(FileWriteOptions){.no_sync = true}, e);
    }
    buf_done(&old);
    buf_done(&path);
    return rc;
}

static int make_below(const char *directory, const char *name, Err *e)
{
    Buf path = buf_create(PATH_BYTES);
    buf_printf(&path, "%s/%s", directory, name);
    int rc = buf_check(&path, "path", e);
    rc = rc == 0 ? dir_make_all(path.data, e) : rc;
    buf_done(&path);
    return rc;
}

int git_make_dir(const char *git_dir, bool sha256, Err *e)
{
    static const char *const DIRECTORIES[] = {"objects/info", "objects/pack", "refs/heads",
                                              "refs/tags",    "info",         NULL};
    // Content goes in and out as it is, and what a file looks like is what it is: attributes of the
    // repository could name filters, or declare a source file binary so that a diff hides it.
    static const char ATTRIBUTES[] =
        "* -text !eol !filter !ident !working-tree-encoding !diff !merge !export-subst\n";
    static const char CONFIG_1[] = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
                                   "\tlogAllRefUpdates = false\n";
    static const char CONFIG_256[] = "[core]\n\trepositoryformatversion = 1\n\tbare = false\n"
                                     "\tlogAllRefUpdates = false\n"
                                     "[extensions]\n\tobjectFormat = sha256\n";
    for (size_t i = 0; DIRECTORIES[i]; i++) {
        int rc = make_below(git_dir, DIRECTORIES[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    int rc = write_text(git_dir, "config", sha256 ? CONFIG_256 : CONFIG_1, e);
    rc = rc == 0 ? write_text(git_dir, "info/attributes", ATTRIBUTES, e) : rc;
    return rc == 0 ? write_text(git_dir, "HEAD", "ref: refs/heads/main\n", e) : rc;
}
