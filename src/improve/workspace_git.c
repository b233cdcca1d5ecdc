// What a workspace does with git, always in its own git directory outside of the tree: a sandbox
// can write into the tree, and with it into any configuration that lies there.
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/tree_copy.h"
#include "improve/workspace_internal.h"
#include "os/file.h"

enum { SMALL_BYTES_MAX = 1 << 20, SUBMODULE_DEPTH_MAX = 8, ATTRIBUTES_BYTES_MAX = 1 << 20 };
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int call_git(const Workspace *ws, const char *index, Slice input, const char *const *args,
                    Buf *out, Err *e)
{
    return git_run(&(GitCall){.loop = ws->loop,
                              .git_dir = ws->git,
                              .work_tree = ws->tree,
                              .index = index,
                              .input = input},
                   args, out, e);
}

static int git_in(const Workspace *ws, const char *const *args, Err *e)
{
    return call_git(ws, NULL, (Slice){NULL, 0}, args, NULL, e);
}

// A command that prints one hash.
static int hash_from(const Workspace *ws, const char *index, const char *const *args,
                     GitHash ret_hash, Err *e)
{
    Buf out = buf_create(SMALL_BYTES_MAX);
    int rc = call_git(ws, index, (Slice){NULL, 0}, args, &out, e);
    Slice hash = slice_trim(buf_slice(&out));
    if (rc == 0 && (hash.len == 0 || hash.len > GIT_HASH_MAX)) {
        rc = err_set(e, ERR_PROTOCOL, "git %s gave no hash", args[0]);
    }
    if (rc == 0) {
        memcpy(ret_hash, hash.ptr, hash.len);
        ret_hash[hash.len] = '\0';
    }
    buf_done(&out);
    return rc;
}

static int write_path(const char *directory, const char *name, Slice content, Err *e)
{
    Buf path = buf_create(PATH_MAX);
    buf_printf(&path, "%s/%s", directory, name);
    int rc = file_write(path.data, content, &(FileWriteOptions){.no_sync = true}, e);
    buf_done(&path);
    return rc;
}

// Copies the commit's objects, with its history or without. Borrowing them
// (objects/info/alternates) would be quicker, but git freshens the time of an object that it finds
// there when it would write the same one: the user's repository would not stay as it was.
static int take_objects(Workspace *ws, const Git *git, bool cut_history, Err *e)
{
    const char *pack = arena_printf(ws->arena, "%s/objects/pack/pack", ws->git).ptr;
    Buf list = buf_create(GIT_OUTPUT_BYTES_MAX);
    GitCall call = git_call(git);
    int rc = git_run(&call,
                     cut_history ? ARGS("rev-list", "--objects", "--no-walk", ws->commit)
                                 : ARGS("rev-list", "--objects", ws->commit),
                     &list, e);
    call = (GitCall){
        .loop = ws->loop, .git_dir = ws->git, .lent = git_objects(git), .input = buf_slice(&list)};
    rc = rc == 0 ? git_run(&call, ARGS("pack-objects", "-q", "--window=0", pack), NULL, e) : rc;
    buf_done(&list);
    const char *edges = git_shallow_file(git);
    if (rc == 0 && cut_history) {
        rc = write_path(ws->git, "shallow", arena_printf(ws->arena, "%s\n", ws->commit), e);
    } else if (rc == 0 && edges) {
        Buf text = buf_create(GIT_OUTPUT_BYTES_MAX);
        rc = file_read(edges, &text, e);
        rc = rc == 0 ? write_path(ws->git, "shallow", buf_slice(&text), e) : rc;
        buf_done(&text);
    }
    return rc;
}

// ---- filling the tree

static int check_out(Loop *loop, const char *git_dir, const char *objects, const char *index,
                     const char *commit, const char *tree, Err *e)
{
    GitCall call = {
        .loop = loop, .git_dir = git_dir, .work_tree = tree, .objects = objects, .index = index};
    int rc = git_run(&call, ARGS("read-tree", commit), NULL, e);
    return rc == 0 ? git_run(&call, ARGS("checkout-index", "-a", "-f", "-u", "-q"), NULL, e) : rc;
}

static int fill_submodules(Workspace *ws, Git *git, const char *commit, const char *tree,
                           unsigned depth, size_t *filled, Err *e);

// One that is not here, or has not that commit, is said and left empty, as git leaves it.
static int fill_submodule(Workspace *ws, Git *outer, const GitSubmodule *s, const char *tree,
                          unsigned depth, size_t *filled, Err *e)
{
    const char *from = arena_printf(ws->arena, "%s/%.*s", git_top(outer), SLICE_FMT(s->path)).ptr;
    const char *to = arena_printf(ws->arena, "%s/%.*s", tree, SLICE_FMT(s->path)).ptr;
    const char *index = arena_printf(ws->arena, "%s/submodule-index", ws->git).ptr;
    Git *git = NULL;
    GitHash there;
    bool found =
        s->present && depth < SUBMODULE_DEPTH_MAX &&
        git_open(&(GitOptions){.path = from, .loop = ws->loop}, ws->arena, &git, NULL) == 0 &&
        git_resolve(git, s->hash, there, NULL) == 0;
    int rc = 0;
    if (!found) {
        workspace_note(ws,
                       arena_printf(ws->arena,
                                    "the submodule '%.*s' is not here at %.12s: its directory is "
                                    "empty in the copy (git submodule update --init fetches it)",
                                    SLICE_FMT(s->path), s->hash));
    } else {
        GitCall call = git_call(git);
        rc = dir_make_all(to, e);
        rc = rc == 0 ? check_out(ws->loop, call.git_dir, call.objects, index, s->hash, to, e) : rc;
        (void)unlink(index);
        *filled += rc == 0;
        rc = rc == 0 ? fill_submodules(ws, git, s->hash, to, depth + 1, filled, e) : rc;
    }
    git_close(git);
    return rc;
}

static int fill_submodules(Workspace *ws, Git *git, const char *commit, const char *tree,
                           unsigned depth, size_t *filled, Err *e)
{
    const GitSubmodule *list;
    size_t count;
    int rc = git_submodules(git, commit, &list, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = fill_submodule(ws, git, &list[i], tree, depth, filled, e);
    }
    return rc;
}

static int note_facts(Workspace *ws, Git *git, Err *e)
{
    GitFacts f;
    int rc = git_facts(git, &f, e);
    if (rc != 0) {
        return rc;
    }
    if (f.dirty > 0) {
        workspace_note(ws, arena_printf(ws->arena,
                                        "%zu changed files of the checkout are not committed: the "
                                        "copy does not have their changes",
                                        f.dirty));
    }
    if (f.untracked > 0) {
        workspace_note(ws, arena_printf(ws->arena,
                                        "%zu untracked files or directories of the "
                                        "checkout are not in the copy",
                                        f.untracked));
    }
    if (f.partial) {
        workspace_note(ws, SLICE("the repository is a partial clone: objects that are not here "
                                 "cannot be copied"));
    }
    Buf attributes = buf_create(ATTRIBUTES_BYTES_MAX);
    if (git_read(git, ws->commit, ".gitattributes", &attributes, NULL) == 0 &&
        slice_find(buf_slice(&attributes), SLICE("filter=lfs")) >= 0) {
        workspace_note(ws,
                       SLICE("files in Git LFS are in the copy as their pointers: filters of the "
                             "repository are not run"));
    }
    buf_done(&attributes);
    return 0;
}

int workspace_fill(Workspace *ws, Git *git, const WorkspaceOptions *options, Err *e)
{
    ws->origin = git_top(git);
    int rc = git_resolve(git, options->revision ? options->revision : "HEAD", ws->commit, e);
    rc = rc == 0 ? note_facts(ws, git, e) : rc;
    rc = rc == 0 ? git_make_dir(ws->git, git_uses_sha256(git), e) : rc;
    rc = rc == 0 ? take_objects(ws, git, options->cut_history, e) : rc;
    rc = rc == 0 ? check_out(ws->loop, ws->git, NULL, NULL, ws->commit, ws->tree, e) : rc;
    size_t filled = 0;
    rc = rc == 0 ? fill_submodules(ws, git, ws->commit, ws->tree, 0, &filled, e) : rc;
    if (rc != 0) {
        return rc;
    }
    if (filled > 0) {
        return workspace_begin(ws, git, e);
    }
    GitHash commit;
    const char *tree = arena_printf(ws->arena, "%s^{tree}", ws->commit).ptr;
    rc = hash_from(ws, NULL, ARGS("commit-tree", tree, "-m", "base"), commit, e);
    return rc == 0 ? git_in(ws, ARGS("update-ref", "refs/heads/main", commit), e) : rc;
}

static int commit_index(Workspace *ws, Err *e)
{
    GitHash tree;
    GitHash commit;
    int rc = hash_from(ws, NULL, ARGS("write-tree"), tree, e);
    rc = rc == 0 ? hash_from(ws, NULL, ARGS("commit-tree", tree, "-m", "base"), commit, e) : rc;
    return rc == 0 ? git_in(ws, ARGS("update-ref", "refs/heads/main", commit), e) : rc;
}

int workspace_begin(Workspace *ws, const Git *git, Err *e)
{
    int rc = git ? 0 : git_make_dir(ws->git, false, e);
    // Ignored ones too: everything that is there was committed somewhere, or is all we have.
    rc = rc == 0 ? git_in(ws, ARGS("read-tree", "--empty"), e) : rc;
    rc = rc == 0 ? git_in(ws, ARGS("add", "-A", "-f", "."), e) : rc;
    return rc == 0 ? commit_index(ws, e) : rc;
}

// ---- the repository in the tree

// Versions made by `git describe` (setuptools_scm, autotools' git-version-gen, ...) fail without a
// tag, and with them the build. The nearest one is put on the one commit.
static int copy_tag(Workspace *ws, const char *inner, Err *e)
{
    Git *git;
    Buf tags = buf_create(GIT_OUTPUT_BYTES_MAX);
    Buf name = buf_create(SMALL_BYTES_MAX);
    int rc = git_open(&(GitOptions){.path = ws->origin, .loop = ws->loop}, ws->arena, &git, e);
    if (rc != 0) {
        return rc;
    }
    rc = git_tags(git, &tags, e);
    // In a git directory of its own, because tags name commits that the workspace does not have.
    const char *all = arena_printf(ws->arena, "%s/tags", ws->git).ptr;
    const char *edges = git_shallow_file(git);
    GitCall call = {.loop = ws->loop,
                    .git_dir = all,
                    .lent = git_objects(git),
                    .shallow = edges,
                    .input = buf_slice(&tags)};
    if (rc == 0 && tags.len > 0) {
        rc = git_make_dir(all, git_uses_sha256(git), e);
        rc = rc == 0 ? git_run(&call, ARGS("update-ref", "--stdin"), NULL, e) : rc;
        call.input = (Slice){NULL, 0};
        // No tag before this commit is no error, only no tag.
        if (rc == 0 && git_run(&call, ARGS("describe", "--tags", "--abbrev=0", ws->commit), &name,
                               NULL) == 0) {
            const char *ref =
                arena_printf(ws->arena, "refs/tags/%.*s", SLICE_FMT(slice_trim(buf_slice(&name))))
                    .ptr;
            rc = git_run(&(GitCall){.loop = ws->loop, .git_dir = inner},
                         ARGS("update-ref", ref, "refs/heads/main"), NULL, e);
        }
        rc = rc == 0 ? dir_remove_all(all, e) : rc;
    }
    git_close(git);
    buf_done(&name);
    buf_done(&tags);
    return rc;
}

int workspace_make_inner(Workspace *ws, bool cut_history, Err *e)
{
    const char *inner = arena_printf(ws->arena, "%s/.git", ws->tree).ptr;
    Slice objects = arena_printf(ws->arena, "%s/objects\n", ws->git);
    GitHash main;
    bool sha256 = strlen(ws->commit) == GIT_HASH_MAX;
    int rc = hash_from(ws, NULL, ARGS("rev-parse", "refs/heads/main"), main, e);
    rc = rc == 0 ? git_make_dir(inner, sha256, e) : rc;
    // Ordinary attributes in here: this one is for programs that expect git as it is.
    rc = rc == 0 ? write_path(inner, "info/attributes", (Slice){"", 0}, e) : rc;
    rc = rc == 0 ? write_path(inner, "objects/info/alternates", objects, e) : rc;
    bool whole = !cut_history && ws->commit[0] != '\0';
    Buf edges = buf_create(GIT_OUTPUT_BYTES_MAX);
    if (rc == 0 && whole &&
        file_read(arena_printf(ws->arena, "%s/shallow", ws->git).ptr, &edges, NULL) == 0) {
        rc = write_path(inner, "shallow", buf_slice(&edges), e);
    }
    buf_done(&edges);
    GitCall call = {.loop = ws->loop, .git_dir = inner, .work_tree = ws->tree};
    const char *head = whole ? ws->commit : main;
    rc = rc == 0 ? git_run(&call, ARGS("update-ref", "refs/heads/main", head), NULL, e) : rc;
    rc = rc == 0 && ws->origin ? copy_tag(ws, inner, e) : rc;
    rc = rc == 0 ? git_run(&call, ARGS("repack", "-a", "-d", "-q", "--window=0"), NULL, e) : rc;
    if (rc == 0 && unlink(arena_printf(ws->arena, "%s/objects/info/alternates", inner).ptr) < 0) {
        rc = err_errno(e, ERR_IO, errno, "cannot cut the history of '%s'", ws->tree);
    }
    rc = rc == 0 ? git_run(&call, ARGS("read-tree", "HEAD"), NULL, e) : rc;
    call.ok_1 = true; // 1: a file differs, as one with eol=crlf may
    return rc == 0 ? git_run(&call, ARGS("update-index", "-q", "--refresh"), NULL, e) : rc;
}

int workspace_refresh(Workspace *ws, Err *e)
{
    GitCall call = {.loop = ws->loop, .git_dir = ws->git, .work_tree = ws->tree, .ok_1 = true};
    return git_run(&call, ARGS("update-index", "-q", "--refresh"), NULL, e);
}

// ---- patches

static int explain_refusal(int rc, Err *e)
{
    static const struct {
        Slice words;
        int code;
    } KINDS[] = {
        {SLICE_INIT("beyond a symbolic link"), ERR_REFUSED},
        {SLICE_INIT("invalid path"), ERR_REFUSED},
        {SLICE_INIT("outside"), ERR_REFUSED},
        {SLICE_INIT("does not apply"), ERR_CONFLICT},
        {SLICE_INIT("No such file"), ERR_CONFLICT},
        {SLICE_INIT("already exists"), ERR_CONFLICT},
        {SLICE_INIT("does not match"), ERR_CONFLICT},
        {SLICE_INIT("does not exist"), ERR_CONFLICT},
        {SLICE_INIT("No valid patches"), ERR_PARSE},
        {SLICE_INIT("corrupt"), ERR_PARSE},
        {SLICE_INIT("unrecognized input"), ERR_PARSE},
        {SLICE_INIT("filename"), ERR_PARSE},
    };
    for (size_t i = 0; rc == ERR_IO && i < COUNT_OF(KINDS); i++) {
        if (slice_find(slice_from_cstr(e->text), KINDS[i].words) >= 0) {
            e->code = KINDS[i].code;
            return KINDS[i].code;
        }
    }
    return rc;
}

int workspace_apply_patch(Workspace *ws, Slice diff, Err *e)
{
    if (slice_trim(diff).len == 0) {
        return err_set(e, ERR_ARG, "the patch is empty");
    }
    Err words = {0};
    int rc = call_git(ws, NULL, diff, ARGS("apply", "--whitespace=nowarn", "-p1"), NULL, &words);
    rc = explain_refusal(rc, &words);
    if (rc != 0 && rc != ERR_REFUSED) {
        // Made without a/ and b/, perhaps. git apply changes all of the files or none.
        Err again = {0};
        if (call_git(ws, NULL, diff, ARGS("apply", "--whitespace=nowarn", "-p0"), NULL, &again) ==
            0) {
            return 0;
        }
    }
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "the patch does not apply: %s", words.text);
}

static int stage_all(Workspace *ws, const char *index, Err *e)
{
    (void)tree_remove_named(ws->tree, ".git");
    return call_git(ws, index, (Slice){NULL, 0}, ARGS("add", "-A", "."), NULL, e);
}

int workspace_diff(Workspace *ws, Slice *ret_diff, Err *e)
{
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    int rc = stage_all(ws, NULL, e);
    rc = rc == 0 ? call_git(ws, NULL, (Slice){NULL, 0},
                            ARGS("diff", "--cached", "--binary", "--full-index", "-M",
                                 "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
                                 "--dst-prefix=b/", "HEAD"),
                            &out, e)
                 : rc;
    if (rc == 0) {
        *ret_diff = arena_copy(ws->arena, buf_slice(&out));
    }
    buf_done(&out);
    return rc;
}

int workspace_tree_hash(Workspace *ws, GitHash ret_hash, Err *e)
{
    // In an index of its own, so that asking changes nothing; a copy, so that git need not read
    // files that did not change.
    const char *index = arena_printf(ws->arena, "%s/hash-index", ws->git).ptr;
    Buf content = buf_create(GIT_OUTPUT_BYTES_MAX);
    int rc = file_read(arena_printf(ws->arena, "%s/index", ws->git).ptr, &content, e);
    rc = rc == 0 ? write_path(ws->git, "hash-index", buf_slice(&content), e) : rc;
    buf_done(&content);
    rc = rc == 0 ? stage_all(ws, index, e) : rc;
    rc = rc == 0 ? hash_from(ws, index, ARGS("write-tree"), ret_hash, e) : rc;
    (void)unlink(index);
    return rc;
}

int workspace_reset(Workspace *ws, bool ignored, Err *e)
{
    int rc = git_in(ws, ARGS("read-tree", "--reset", "-u", "HEAD"), e);
    rc = rc == 0 ? git_in(ws, ARGS("checkout-index", "-a", "-f", "-u", "-q"), e) : rc;
    return rc == 0 ? git_in(ws, ARGS("clean", "-ffdq", ignored ? "-x" : "-q"), e) : rc;
}

int workspace_changes(Workspace *ws, WorkspaceChanges *ret_changes, Err *e)
{
    Buf out = buf_create(GIT_OUTPUT_BYTES_MAX);
    WorkspaceChanges c = {0};
    int rc = call_git(ws, NULL, (Slice){NULL, 0},
                      ARGS("diff", "--name-only", "-z", "--no-ext-diff", "--no-textconv", "HEAD"),
                      &out, e);
    Slice rest = buf_slice(&out);
    for (Slice path; rc == 0 && rest.len > 0;) {
        (void)slice_cut(rest, '\0', &path, &rest);
        if (c.modified++ == 0) {
            c.first = arena_copy(ws->arena, path);
        }
    }
    buf_reset(&out);
    rc = rc == 0 ? call_git(ws, NULL, (Slice){NULL, 0},
                            ARGS("ls-files", "-z", "--others", "--exclude-standard", "--directory"),
                            &out, e)
                 : rc;
    rest = buf_slice(&out);
    for (Slice path; rc == 0 && rest.len > 0;) {
        (void)slice_cut(rest, '\0', &path, &rest);
        c.untracked++;
    }
    buf_done(&out);
    if (rc == 0) {
        *ret_changes = c;
    }
    return rc;
}

int workspace_commit_all(Workspace *ws, Err *e)
{
    int rc = stage_all(ws, NULL, e);
    return rc == 0 ? commit_index(ws, e) : rc;
}

// ---- back to the user's repository

// The commit is made here, of the original tree with the patch applied in an index (the tree here
// may hold submodules as plain files), and its objects go over as a pack.
static int make_commit(Workspace *ws, Slice message, GitHash ret_commit, Err *e)
{
    const char *index = arena_printf(ws->arena, "%s/publish-index", ws->git).ptr;
    const char *words = arena_cstr(ws->arena, message);
    Slice diff;
    GitHash tree;
    int rc = workspace_diff(ws, &diff, e);
    if (rc == 0 && diff.len == 0) {
        return err_set(e, ERR_ARG, "there is no change to make a branch of");
    }
    rc = rc == 0 ? call_git(ws, index, (Slice){NULL, 0}, ARGS("read-tree", ws->commit), NULL, e)
                 : rc;
    rc = rc == 0
             ? call_git(ws, index, diff, ARGS("apply", "--cached", "--whitespace=nowarn"), NULL, e)
             : rc;
    rc = rc == 0 ? hash_from(ws, index, ARGS("write-tree"), tree, e) : rc;
    (void)unlink(index);
    return rc == 0 ? hash_from(ws, NULL, ARGS("commit-tree", tree, "-p", ws->commit, "-m", words),
                               ret_commit, e)
                   : rc;
}

int workspace_publish(Workspace *ws, const char *repo, const char *branch, Slice message,
                      GitHash ret_commit, Err *e)
{
    Git *git;
    GitHash commit;
    GitHash old;
    if (ws->commit[0] == '\0') {
        return err_set(e, ERR_UNSUPPORTED, "'%s' is no git repository: there is no branch to make",
                       repo);
    }
    int rc = git_open(&(GitOptions){.path = repo, .loop = ws->loop}, ws->arena, &git, e);
    if (rc != 0) {
        return rc;
    }
    Buf pack = buf_create(GIT_OUTPUT_BYTES_MAX);
    const char *ref = arena_printf(ws->arena, "refs/heads/%s", branch).ptr;
    if (git_resolve(git, ref, old, NULL) == 0) {
        rc = err_set(e, ERR_EXISTS, "the branch '%s' exists already; delete or rename it", branch);
    }
    rc = rc == 0 ? make_commit(ws, message, commit, e) : rc;
    Slice wanted = rc == 0 ? arena_printf(ws->arena, "%s\n^%s\n", commit, ws->commit) : SLICE("");
    rc = rc == 0 ? call_git(ws, NULL, wanted, ARGS("pack-objects", "--revs", "--stdout", "-q"),
                            &pack, e)
                 : rc;
    GitCall call = git_call(git);
    call.input = buf_slice(&pack);
    rc = rc == 0 ? git_run(&call, ARGS("unpack-objects", "-q"), NULL, e) : rc;
    // With the repository's own configuration, but hooks are off (git_run.c).
    rc = rc == 0 ? git_update_ref(git, ref, commit, e) : rc;
    buf_done(&pack);
    git_close(git);
    if (rc == 0) {
        memcpy(ret_commit, commit, sizeof commit);
    }
    return rc;
}
