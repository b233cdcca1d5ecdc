#include "improve/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/tree_copy.h"
#include "improve/workspace_internal.h"
#include "ledger/sha256.h"
#include "os/file.h"

enum { NAME_HEX = 16, NOTES_MAX = 64, SWEEP_MAX = 10000 };

// ---- where

int workspace_dir(Arena *arena, const char *repo, const char **ret_dir, Err *e)
{
    char *real = realpath(repo, NULL);
    if (!real) {
        return err_errno(e, ERR_NOT_FOUND, errno, "cannot find '%s'", repo);
    }
    char hex[SHA256_HEX + 1];
    Sha256 hash = sha256_of(slice_from_cstr(real));
    sha256_hex(&hash, hex);
    free(real);
    Buf path = buf_create(PATH_MAX);
    int rc = user_dir(USER_CACHE, "perfwright/improve", &path, e);
    if (rc == 0) {
        *ret_dir = arena_printf(arena, "%s/%.*s", path.data, NAME_HEX, hex).ptr;
    }
    buf_done(&path);
    return rc;
}

// ---- locks
//
// A workspace belongs to the process that holds a lock on its file `lock`; the kernel drops it when
// that process ends, however it ends. Making one, and looking for those without an owner, happens
// under the lock of the directory that they are in, or a sweeper could find a workspace between its
// mkdir and its lock.

static int lock_file(const char *directory, bool wait, Err *e)
{
    Buf path = buf_create(PATH_MAX);
    buf_printf(&path, "%s/lock", directory);
    int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int rc = err_errno(e, ERR_IO, errno, "cannot open '%s'", path.data);
        buf_done(&path);
        return rc;
    }
    buf_done(&path);
    if (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
        (void)close(fd);
        return err_set(e, ERR_BUSY, "'%s' belongs to a process that runs", directory);
    }
    return fd;
}

static size_t sweep_locked(const char *work_dir)
{
    DIR *dir = opendir(work_dir);
    size_t removed = 0;
    for (struct dirent *entry; dir && removed < SWEEP_MAX && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "w-", 2) != 0) {
            continue;
        }
        Buf path = buf_create(PATH_MAX);
        buf_printf(&path, "%s/%s", work_dir, entry->d_name);
        Buf kept = buf_create(PATH_MAX);
        buf_printf(&kept, "%s/kept", path.data);
        int fd = access(kept.data, F_OK) == 0 ? -1 : lock_file(path.data, false, NULL);
        if (fd >= 0) {
            removed += dir_remove_all(path.data, NULL) == 0;
            (void)close(fd);
        }
        buf_done(&kept);
        buf_done(&path);
    }
    if (dir) {
        (void)closedir(dir);
    }
    return removed;
}

size_t workspace_sweep(const char *work_dir)
{
    if (access(work_dir, F_OK) != 0) {
        return 0;
    }
    int fd = lock_file(work_dir, true, NULL);
    if (fd < 0) {
        return 0;
    }
    size_t removed = sweep_locked(work_dir);
    (void)close(fd);
    return removed;
}

static int make_root(Workspace *ws, Err *e)
{
    int rc = dir_make_all(ws->work_dir, e);
    int base = rc == 0 ? lock_file(ws->work_dir, true, e) : rc;
    if (base < 0) {
        return base;
    }
    (void)sweep_locked(ws->work_dir);
    char *root = (char *)(uintptr_t)arena_printf(ws->arena, "%s/w-XXXXXX", ws->work_dir).ptr;
    if (!mkdtemp(root)) {
        rc = err_errno(e, errno == ENOSPC ? ERR_FULL : ERR_IO, errno,
                       "cannot make a working copy in '%s'", ws->work_dir);
    } else {
        ws->root = root;
        ws->lock = lock_file(root, false, e);
        rc = ws->lock < 0 ? ws->lock : 0;
    }
    (void)close(base);
    const char **below[] = {&ws->tree, &ws->git, &ws->home};
    static const char *const NAMES[] = {"tree", "git", "home"};
    for (size_t i = 0; i < COUNT_OF(below) && rc == 0; i++) {
        *below[i] = arena_printf(ws->arena, "%s/%s", ws->root, NAMES[i]).ptr;
        rc = dir_make_all(*below[i], e);
    }
    return rc;
}

static Workspace *new_workspace(const char *work_dir, Loop *loop, Arena *arena)
{
    Workspace *ws = mem_zalloc(sizeof *ws);
    ws->arena = arena;
    ws->loop = loop;
    ws->work_dir = work_dir;
    ws->lock = -1;
    ws->notes = ARENA_ARRAY(arena, Slice, NOTES_MAX);
    return ws;
}

static void free_workspace(Workspace *ws)
{
    if (ws->lock >= 0) {
        (void)close(ws->lock);
    }
    free(ws);
}

void workspace_destroy(Workspace *ws)
{
    if (!ws) {
        return;
    }
    // What resists is swept by the next run.
    int rc = ws->root ? dir_remove_all(ws->root, NULL) : 0;
    (void)rc;
    free_workspace(ws);
}

void workspace_keep(Workspace *ws)
{
    if (ws && ws->root) {
        const char *mark = arena_printf(ws->arena, "%s/kept", ws->root).ptr;
        int rc = file_write(mark, SLICE("kept for a person; remove it by hand\n"), NULL, NULL);
        (void)rc; // without the mark the next run removes it, which is the worst of it
        free_workspace(ws);
    }
}

void workspace_note(Workspace *ws, Slice note)
{
    if (ws->note_count < NOTES_MAX) {
        ws->notes[ws->note_count++] = note;
    }
}

// ---- sources that are no repository

static int fill_plain(Workspace *ws, const char *repo, const char *revision, Err *e)
{
    if (revision && strcmp(revision, "HEAD") != 0) {
        return err_set(e, ERR_NOT_FOUND, "'%s' is in no git repository, so it has no revision '%s'",
                       repo, revision);
    }
    struct stat st;
    if (stat(repo, &st) < 0) {
        return err_errno(e, ERR_NOT_FOUND, errno, "cannot find '%s'", repo);
    }
    if (S_ISREG(st.st_mode)) {
        return tree_copy_file(repo, ws->tree, e);
    }
    TreeCopyOptions o = {.skip_top = (const char *const[]){".git", ".perfwright", NULL},
                         .skip_all = (const char *const[]){".git", NULL},
                         .files_max = WORKSPACE_FILES_MAX,
                         .bytes_max = WORKSPACE_BYTES_MAX};
    TreeCopyResult result;
    int rc = tree_copy(repo, ws->tree, &o, &result, e);
    if (rc == 0 && result.skipped > 0) {
        workspace_note(ws, arena_printf(ws->arena,
                                        "%zu repositories inside '%s' were copied as plain files",
                                        result.skipped, repo));
    }
    return rc;
}

// ---- making one

int workspace_create(const WorkspaceOptions *options, Arena *arena, Workspace **ret_ws, Err *e)
{
    const char *work_dir = options->work_dir;
    Git *git = NULL;
    int rc = git_open(&(GitOptions){.path = options->repo, .loop = options->loop}, arena, &git, e);
    bool plain = rc == ERR_NOT_FOUND;
    if (rc != 0 && !plain) {
        return rc;
    }
    if (!work_dir) {
        rc = workspace_dir(arena, plain ? options->repo : git_top(git), &work_dir, e);
        if (rc != 0) {
            git_close(git);
            return rc;
        }
    }
    Workspace *ws =
        new_workspace(arena_cstr(arena, slice_from_cstr(work_dir)), options->loop, arena);
    rc = make_root(ws, e);
    if (rc == 0) {
        rc = plain ? fill_plain(ws, options->repo, options->revision, e)
                   : workspace_fill(ws, git, options, e);
    }
    rc = rc == 0 && plain ? workspace_begin(ws, NULL, e) : rc;
    rc = rc == 0 ? workspace_make_inner(ws, options->cut_history || plain, e) : rc;
    git_close(git);
    if (rc != 0) {
        workspace_destroy(ws);
        return rc;
    }
    *ret_ws = ws;
    return 0;
}

int workspace_copy(const Workspace *from, Arena *arena, Workspace **ret_ws, Err *e)
{
    Workspace *ws = new_workspace(from->work_dir, from->loop, arena);
    ws->origin = from->origin;
    memcpy(ws->commit, from->commit, sizeof ws->commit);
    int rc = make_root(ws, e);
    rc = rc == 0 ? tree_copy(from->tree, ws->tree, NULL, NULL, e) : rc;
    rc = rc == 0 ? tree_copy(from->git, ws->git, NULL, NULL, e) : rc;
    rc = rc == 0 ? tree_copy(from->home, ws->home, NULL, NULL, e) : rc;
    rc = rc == 0 ? workspace_refresh(ws, e) : rc;
    if (rc != 0) {
        workspace_destroy(ws);
        return rc;
    }
    *ret_ws = ws;
    return 0;
}

// ---- what it is

const char *workspace_root(const Workspace *ws)
{
    return ws->root;
}

const char *workspace_tree(const Workspace *ws)
{
    return ws->tree;
}

const char *workspace_home(const Workspace *ws)
{
    return ws->home;
}

const char *workspace_commit(const Workspace *ws)
{
    return ws->commit;
}

const Slice *workspace_notes(const Workspace *ws, size_t *ret_count)
{
    *ret_count = ws->note_count;
    return ws->notes;
}
