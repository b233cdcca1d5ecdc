#include "improve/git.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

enum {
    SMALL_BYTES_MAX = 1 << 20,
    LOG_FIELDS = 5,
    COMMITS_DEFAULT = 100,
    SUBMODULES_MAX = 1000,
    BRANCHES_MAX = 10000,
};

struct Git {
    Arena *arena;
    Loop *loop;
    const char *path; // that was asked for, real
    const char *top;
    const char *git_dir;
    const char *common_dir;
    const char *objects;
    const char *shallow_file;
    const char *index;
    const char *shadow; // our git directory
    bool bare;
    bool shallow;
    bool sha256;
};

// ---- two kinds of call

// In the repository itself, under its configuration: what deals in references only.
static int ask(const Git *git, const char *const *args, Buf *out, Err *e)
{
    return git_run(&(GitCall){.loop = git->loop, .directory = git->path}, args, out, e);
}

static GitCall shadow_call(const Git *git)
{
    return (GitCall){.loop = git->loop,
                     .git_dir = git->shadow,
                     .objects = git->objects,
                     .shallow = git->shallow ? git->shallow_file : NULL};
}

static int look(const Git *git, const char *const *args, Buf *out, Err *e)
{
    GitCall call = shadow_call(git);
    return git_run(&call, args, out, e);
}

// Takes the next NUL-ended field off `rest`.
static bool next_field(Slice *rest, Slice *ret_field)
{
    return rest->len > 0 && (slice_cut(*rest, '\0', ret_field, rest), true);
}

static int hash_of_line(Slice text, GitHash ret_hash, Err *e)
{
    Slice line = slice_trim(text);
    bool hex = line.len == 40 || line.len == GIT_HASH_MAX;
    for (size_t i = 0; hex && i < line.len; i++) {
        hex = strchr("0123456789abcdef", line.ptr[i]) != NULL && line.ptr[i] != '\0';
    }
    if (!hex) {
        return err_set(e, ERR_PROTOCOL, "git gave '%.*s' for a hash",
                       (int)(line.len < 80 ? line.len : 80), line.ptr ? line.ptr : "");
    }
    memcpy(ret_hash, line.ptr, line.len);
    ret_hash[line.len] = '\0';
    return 0;
}

// ---- opening

static int find_repository(Git *git, Err *e)
{
    // One line each, in this order; a path with a line feed gives too many of them.
    enum { LINES = 8 };
    static const char *const ARGS[] = {"rev-parse",
                                       "--path-format=absolute",
                                       "--git-dir",
                                       "--git-common-dir",
                                       "--git-path",
                                       "objects",
                                       "--git-path",
                                       "shallow",
                                       "--git-path",
                                       "index",
                                       "--is-bare-repository",
                                       "--is-shallow-repository",
                                       "--show-object-format",
                                       NULL};
    Buf out = buf_create(SMALL_BYTES_MAX);
    int rc = ask(git, ARGS, &out, e);
    if (rc == ERR_IO) {
        rc = err_set(e, ERR_NOT_FOUND, "'%s' is in no git repository", git->path);
    }
    Slice lines[LINES + 1];
    size_t n = 0;
    Slice rest = buf_slice(&out);
    while (rc == 0 && rest.len > 0 && n <= LINES) {
        (void)slice_cut(rest, '\n', &lines[n++], &rest);
    }
    if (rc == 0 && n != LINES) {
        rc = err_set(e, ERR_UNSUPPORTED,
                     "cannot read the repository at '%s': git 2.31 or newer is "
                     "needed, and paths without line feeds",
                     git->path);
    }
    if (rc == 0) {
        git->git_dir = arena_cstr(git->arena, lines[0]);
        git->common_dir = arena_cstr(git->arena, lines[1]);
        git->objects = arena_cstr(git->arena, lines[2]);
        git->shallow_file = arena_cstr(git->arena, lines[3]);
        git->index = arena_cstr(git->arena, lines[4]);
        git->bare = slice_eq_cstr(lines[5], "true");
        git->shallow = slice_eq_cstr(lines[6], "true");
        git->sha256 = slice_eq_cstr(lines[7], "sha256");
    }
    buf_done(&out);
    return rc;
}

static int find_top(Git *git, Err *e)
{
    git->top = git->git_dir;
    if (git->bare) {
        return 0;
    }
    Buf out = buf_create(SMALL_BYTES_MAX);
    int rc = ask(git, (const char *const[]){"rev-parse", "--show-toplevel", NULL}, &out, e);
    if (rc == 0) {
        Slice top = buf_slice(&out);
        top.len -= top.len > 0 && top.ptr[top.len - 1] == '\n';
        git->top = arena_cstr(git->arena, top);
        // core.worktree of a repository that we do not trust may say anything.
        Slice path = slice_from_cstr(git->path);
        if (!slice_starts_with(path, top) || (path.len > top.len && path.ptr[top.len] != '/')) {
            rc = err_set(e, ERR_REFUSED, "the repository at '%s' says its files are in '%s'",
                         git->path, git->top);
        }
    }
    buf_done(&out);
    return rc;
}

static int make_shadow(Git *git, Err *e)
{
    Buf path = buf_create(PATH_MAX);
    int rc = user_dir(USER_CACHE, git->sha256 ? "perfwright/git/sha256" : "perfwright/git/sha1",
                      &path, e);
    if (rc == 0) {
        git->shadow = arena_cstr(git->arena, buf_slice(&path));
        rc = git_make_dir(git->shadow, git->sha256, e);
    }
    buf_done(&path);
    return rc;
}

// Where to begin: a file's directory is in the same repository as the file.
static const char *real_directory(Arena *arena, const char *path)
{
    char *real = realpath(path, NULL);
    struct stat st;
    if (!real || stat(real, &st) < 0) {
        free(real);
        return NULL;
    }
    char *slash = strrchr(real, '/');
    if (!S_ISDIR(st.st_mode) && slash) {
        slash[slash == real] = '\0';
    }
    const char *copy = arena_cstr(arena, slice_from_cstr(real));
    free(real);
    return copy;
}

int git_open(const GitOptions *options, Arena *arena, Git **ret_git, Err *e)
{
    Git *git = mem_zalloc(sizeof *git);
    git->arena = arena;
    git->loop = options->loop;
    git->path = real_directory(arena, options->path);
    int rc = git->path ? 0 : err_set(e, ERR_NOT_FOUND, "there is no '%s'", options->path);
    rc = rc == 0 ? find_repository(git, e) : rc;
    rc = rc == 0 ? find_top(git, e) : rc;
    rc = rc == 0 ? make_shadow(git, e) : rc;
    if (rc != 0) {
        git_close(git);
        return rc;
    }
    *ret_git = git;
    return 0;
}

void git_close(Git *git)
{
    free(git);
}

const char *git_objects(const Git *git)
{
    return git->objects;
}

bool git_uses_sha256(const Git *git)
{
    return git->sha256;
}

const char *git_shallow_file(const Git *git)
{
    return git->shallow ? git->shallow_file : NULL;
}

const char *git_top(const Git *git)
{
    return git->top;
}

GitCall git_call(const Git *git)
{
    return shadow_call(git);
}

// ---- revisions

int git_resolve(Git *git, const char *revision, GitHash ret_commit, Err *e)
{
    Buf out = buf_create(SMALL_BYTES_MAX);
    Buf name = buf_create(SMALL_BYTES_MAX);
    buf_printf(&name, "%s^{commit}", revision);
    // --end-of-options: a revision that begins with a dash is none.
    int rc = ask(git,
                 (const char *const[]){"rev-parse", "--verify", "--quiet", "--end-of-options",
                                       name.data, NULL},
                 &out, e);
    if (rc == ERR_IO) {
        rc = err_set(e, ERR_NOT_FOUND, "'%s' names no commit of '%s'", revision, git->top);
    }
    rc = rc == 0 ? hash_of_line(buf_slice(&out), ret_commit, e) : rc;
    buf_done(&name);
    buf_done(&out);
    return rc;
}

int git_range(Git *git, const char *range, GitHash ret_base, GitHash ret_head, Err *e)
{
    Slice text = slice_from_cstr(range);
    ptrdiff_t three = slice_find(text, SLICE("..."));
    ptrdiff_t two = slice_find(text, SLICE(".."));
    GitHash base;
    GitHash head;
    int rc;
    if (two < 0) {
        rc = git_resolve(git, range, head, e);
        rc = rc == 0 ? git_resolve(git, arena_printf(git->arena, "%s^", head).ptr, base, e) : rc;
    } else {
        size_t dots = three >= 0 ? 3 : 2;
        Slice from = slice_sub(text, 0, (size_t)two);
        Slice to = slice_sub(text, (size_t)two + dots, text.len);
        rc = git_resolve(git, from.len ? arena_cstr(git->arena, from) : "HEAD", base, e);
        rc = rc == 0 ? git_resolve(git, to.len ? arena_cstr(git->arena, to) : "HEAD", head, e) : rc;
    }
    if (rc == 0 && three >= 0) {
        Buf out = buf_create(SMALL_BYTES_MAX);
        rc = look(git, (const char *const[]){"merge-base", base, head, NULL}, &out, e);
        rc = rc == 0 ? hash_of_line(buf_slice(&out), base, e) : rc;
        buf_done(&out);
    }
    if (rc == 0) {
        memcpy(ret_base, base, sizeof base);
        memcpy(ret_head, head, sizeof head);
    }
    return rc;
}

// ---- facts

static int find_head(Git *git, GitFacts *f, Err *e)
{
    Buf out = buf_create(SMALL_BYTES_MAX);
    int rc = git_resolve(git, "HEAD", f->head, e);
    if (rc == ERR_NOT_FOUND) {
        f->head[0] = '\0'; // no commit yet
        rc = 0;
    }
    int code = 0;
    GitCall call = {
        .loop = git->loop, .directory = git->path, .ok_1 = true, .ret_exit_code = &code};
    rc = rc == 0
             ? git_run(&call, (const char *const[]){"symbolic-ref", "-q", "--short", "HEAD", NULL},
                       &out, e)
             : rc;
    if (rc == 0) {
        f->detached = code == 1;
        f->branch = arena_copy(git->arena, slice_trim(buf_slice(&out)));
    }
    buf_done(&out);
    return rc;
}

static size_t count_of(Slice text, char byte)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += text.ptr[i] == byte;
    }
    return n;
}

static int find_branches(Git *git, GitFacts *f, Err *e)
{
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    int rc = ask(git,
                 (const char *const[]){"for-each-ref", "--format=%(objectname) %(refname)",
                                       "refs/heads", "refs/remotes", NULL},
                 &out, e);
    Slice rest = buf_slice(&out);
    size_t room = count_of(rest, '\n') < BRANCHES_MAX ? count_of(rest, '\n') : BRANCHES_MAX;
    GitBranch *branches = ARENA_ARRAY(git->arena, GitBranch, room + 1);
    while (rc == 0 && rest.len > 0 && f->branch_count < room) {
        Slice line;
        Slice hash;
        Slice name;
        (void)slice_cut(rest, '\n', &line, &rest);
        (void)slice_cut(line, ' ', &hash, &name);
        GitBranch *b = &branches[f->branch_count];
        b->remote = slice_starts_with(name, SLICE("refs/remotes/"));
        size_t skip = b->remote ? strlen("refs/remotes/") : strlen("refs/heads/");
        b->name = arena_copy(git->arena, slice_sub(name, skip, name.len));
        rc = hash_of_line(hash, b->hash, e);
        f->branch_count += rc == 0;
    }
    f->branches = branches;
    buf_done(&out);
    return rc;
}

static size_t count_fields(Slice text)
{
    size_t n = 0;
    for (Slice field; next_field(&text, &field);) {
        n++;
    }
    return n;
}

static int count_dirty(Git *git, GitFacts *f, Err *e)
{
    if (f->bare || f->head[0] == '\0') {
        return 0;
    }
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    GitCall call = shadow_call(git);
    call.work_tree = git->top;
    call.index = git->index; // only read: optional locks are off
    int rc =
        git_run(&call,
                (const char *const[]){"diff", "--name-only", "-z", "--no-ext-diff", "--no-textconv",
                                      "--ignore-submodules=all", f->head, "--", NULL},
                &out, e);
    f->dirty = rc == 0 ? count_fields(buf_slice(&out)) : 0;
    buf_reset(&out);
    const char *exclude =
        arena_printf(git->arena, "--exclude-from=%s/info/exclude", git->common_dir).ptr;
    bool has = access(strchr(exclude, '=') + 1, R_OK) == 0;
    rc = rc == 0 ? git_run(&call,
                           (const char *const[]){"ls-files", "-z", "--others", "--directory",
                                                 "--exclude-standard",
                                                 has ? exclude : "--no-empty-directory", NULL},
                           &out, e)
                 : rc;
    f->untracked = rc == 0 ? count_fields(buf_slice(&out)) : 0;
    buf_done(&out);
    return rc;
}

int git_submodules(Git *git, const char *commit, const GitSubmodule **ret_list, size_t *ret_count,
                   Err *e)
{
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    GitSubmodule *list = ARENA_ARRAY(git->arena, GitSubmodule, SUBMODULES_MAX);
    size_t n = 0;
    int rc = look(git, (const char *const[]){"ls-tree", "-r", "-z", commit, NULL}, &out, e);
    Slice rest = buf_slice(&out);
    // "160000 commit HASH\tPATH"
    for (Slice entry; rc == 0 && next_field(&rest, &entry) && n < SUBMODULES_MAX;) {
        Slice head;
        Slice path;
        if (!slice_starts_with(entry, SLICE("160000 commit ")) ||
            !slice_cut(entry, '\t', &head, &path)) {
            continue;
        }
        GitSubmodule *s = &list[n++];
        s->path = arena_copy(git->arena, path);
        rc = hash_of_line(slice_sub(head, strlen("160000 commit "), head.len), s->hash, e);
        const char *there = arena_printf(git->arena, "%s/%.*s/.git", git->top, SLICE_FMT(path)).ptr;
        s->present = !git->bare && access(there, F_OK) == 0;
    }
    buf_done(&out);
    if (rc == 0) {
        *ret_list = list;
        *ret_count = n;
    }
    return rc;
}

static bool is_partial(const Git *git)
{
    const char *path = arena_printf(git->arena, "%s/pack", git->objects).ptr;
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        found = found || slice_ends_with(slice_from_cstr(entry->d_name), SLICE(".promisor"));
    }
    if (dir) {
        (void)closedir(dir);
    }
    return found;
}

int git_facts(Git *git, GitFacts *ret_facts, Err *e)
{
    GitFacts f = {.top = git->top,
                  .git_dir = git->git_dir,
                  .bare = git->bare,
                  .shallow = git->shallow,
                  .partial = is_partial(git)};
    int rc = find_head(git, &f, e);
    rc = rc == 0 ? find_branches(git, &f, e) : rc;
    rc = rc == 0 ? count_dirty(git, &f, e) : rc;
    if (rc == 0 && f.head[0] != '\0') {
        rc = git_submodules(git, f.head, &f.submodules, &f.submodule_count, e);
    }
    if (rc == 0) {
        *ret_facts = f;
    }
    return rc;
}

int git_tags(Git *git, Buf *out, Err *e)
{
    // As update-ref --stdin takes it.
    return ask(git,
               (const char *const[]){"for-each-ref", "--format=update %(refname) %(objectname)",
                                     "refs/tags", NULL},
               out, e);
}

int git_update_ref(Git *git, const char *ref, const char *commit, Err *e)
{
    // The empty old value: it must not exist.
    return ask(git, (const char *const[]){"update-ref", ref, commit, "", NULL}, NULL, e);
}

// ---- history

int git_log(Git *git, const GitLogOptions *options, const GitCommit **ret_commits,
            size_t *ret_count, Err *e)
{
    size_t max = options->commits_max ? options->commits_max : COMMITS_DEFAULT;
    GitHash from;
    int rc = git_resolve(git, options->revision ? options->revision : "HEAD", from, e);
    if (rc != 0) {
        return rc;
    }
    const char *args[16];
    size_t n = 0;
    args[n++] = "log";
    args[n++] = "-z";
    args[n++] = "--no-show-signature";
    args[n++] = "--no-mailmap";
    args[n++] = "--format=tformat:%H%x00%ct%x00%an%x00%s%x00%b";
    args[n++] = arena_printf(git->arena, "--max-count=%zu", max).ptr;
    if (options->grep) {
        args[n++] = "-i";
        args[n++] = "-E";
        args[n++] = arena_printf(git->arena, "--grep=%s", options->grep).ptr;
    }
    args[n++] = from;
    args[n++] = "--";
    args[n++] = options->path;
    args[n] = NULL;
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    rc = look(git, args, &out, e);
    GitCommit *commits = ARENA_ARRAY(git->arena, GitCommit, max);
    size_t count = 0;
    Slice rest = rc == 0 ? arena_copy(git->arena, buf_slice(&out)) : (Slice){NULL, 0};
    while (rc == 0 && rest.len > 0 && count < max) {
        Slice field[LOG_FIELDS] = {{NULL, 0}};
        for (size_t i = 0; i < LOG_FIELDS; i++) {
            (void)slice_cut(rest, '\0', &field[i], &rest);
        }
        GitCommit *c = &commits[count++];
        *c = (GitCommit){.author = field[2], .subject = field[3], .body = slice_trim(field[4])};
        rc = hash_of_line(field[0], c->hash, e);
        if (rc == 0 && slice_to_i64(field[1], &c->time_s) != 0) {
            c->time_s = 0;
        }
    }
    buf_done(&out);
    if (rc == 0) {
        *ret_commits = commits;
        *ret_count = count;
    }
    return rc;
}

// ---- contents

int git_changed_files(Git *git, const char *base, const char *head, const GitChange **ret_changes,
                      size_t *ret_count, Err *e)
{
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    int rc = look(git,
                  (const char *const[]){"diff-tree", "-r", "-z", "-M", "--name-status",
                                        "--end-of-options", base, head, NULL},
                  &out, e);
    Slice rest = rc == 0 ? arena_copy(git->arena, buf_slice(&out)) : (Slice){NULL, 0};
    GitChange *changes = ARENA_ARRAY(git->arena, GitChange, count_fields(rest) + 1);
    size_t n = 0;
    for (Slice status; rc == 0 && next_field(&rest, &status);) {
        GitChange *c = &changes[n++];
        c->status = status.len > 0 ? status.ptr[0] : 'M';
        (void)slice_cut(rest, '\0', &c->path, &rest);
        if (c->status == 'R' || c->status == 'C') {
            c->old_path = c->path;
            (void)slice_cut(rest, '\0', &c->path, &rest);
        }
    }
    buf_done(&out);
    if (rc == 0) {
        *ret_changes = changes;
        *ret_count = n;
    }
    return rc;
}

int git_diff(Git *git, const char *base, const char *head, Buf *out, Err *e)
{
    return look(git,
                (const char *const[]){"diff-tree", "-r", "-p", "-M", "--binary", "--full-index",
                                      "--no-ext-diff", "--no-textconv", "--no-color",
                                      "--src-prefix=a/", "--dst-prefix=b/", "--end-of-options",
                                      base, head, NULL},
                out, e);
}

int git_read(Git *git, const char *commit, const char *path, Buf *out, Err *e)
{
    GitHash hash;
    int rc = git_resolve(git, commit, hash, e);
    if (rc != 0) {
        return rc;
    }
    const char *name = arena_printf(git->arena, "%s:%s", hash, path).ptr;
    rc = look(git, (const char *const[]){"cat-file", "blob", name, NULL}, out, e);
    return rc == ERR_IO ? err_set(e, ERR_NOT_FOUND, "there is no file '%s' at %.12s", path, hash)
                        : rc;
}

int git_list(Git *git, const char *commit, const Slice **ret_paths, size_t *ret_count, Err *e)
{
    GitHash hash;
    int rc = git_resolve(git, commit, hash, e);
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    rc =
        look(git, (const char *const[]){"ls-tree", "-r", "-z", "--name-only", hash, NULL}, &out, e);
    Slice rest = rc == 0 ? arena_copy(git->arena, buf_slice(&out)) : (Slice){NULL, 0};
    Slice *paths = ARENA_ARRAY(git->arena, Slice, count_fields(rest) + 1);
    size_t n = 0;
    while (rc == 0 && next_field(&rest, &paths[n])) {
        n++;
    }
    buf_done(&out);
    if (rc == 0) {
        *ret_paths = paths;
        *ret_count = n;
    }
    return rc;
}
