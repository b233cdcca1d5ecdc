#include "improve/bundle_report.h"
#include "improve/git.h"
#include "improve/workspace.h"
#include "os/file.h"

// A workspace has the tree as one commit in a git directory of ours; git packs that. One thread,
// because the order of a pack would depend on their race.
int bundle_add_base(BundleWriter *writer, const char *repository, const char *revision, Loop *loop,
                    Arena *arena, Err *e)
{
    WorkspaceOptions options = {
        .repo = repository, .revision = revision, .cut_history = true, .loop = loop};
    Workspace *ws = NULL;
    int rc = workspace_create(&options, arena, &ws, e);
    if (rc != 0) {
        return rc;
    }
    Slice git_dir = arena_printf(arena, "%s/git", workspace_root(ws));
    Buf pack = buf_create(BUNDLE_PART_BYTES_MAX);
    const char *const args[] = {
        "-c", "pack.threads=1", "-c", "pack.deltaCacheSize=1", "bundle", "create", "--quiet",
        "-",  "HEAD",           NULL};
    rc = git_run(&(GitCall){.loop = loop, .git_dir = git_dir.ptr}, args, &pack, e);
    rc = rc == 0 ? buf_check(&pack, "the base", e) : rc;
    rc = rc == 0 ? bundle_add(writer, BUNDLE_BASE, buf_slice(&pack), e) : rc;
    buf_done(&pack);
    workspace_destroy(ws);
    return rc;
}

// Bundles of repositories that name objects by SHA-256 say so in their second line.
static bool names_by_sha256(Slice pack)
{
    return slice_starts_with(pack, SLICE("# v3 git bundle\n@object-format=sha256"));
}

static int call_git(const GitCall *call, const char *const *args, Buf *said, Err *e)
{
    buf_reset(said);
    return git_run(call, args, said, e);
}

// Not by a clone: our git may use no transport at all, not even that of files.
static int unpack(const GitCall *call, const char *file, Buf *said, Arena *arena, Err *e)
{
    const char *const unbundle[] = {"bundle", "unbundle", file, NULL};
    Slice hash, rest;
    int rc = call_git(call, unbundle, said, e);
    if (rc != 0) {
        return rc;
    }
    // "HASH HEAD\n"
    (void)slice_cut(buf_slice(said), ' ', &hash, &rest);
    const char *commit = arena_cstr(arena, hash);
    // The head of a new directory of ours is there already.
    const char *const branch[] = {"update-ref", "refs/heads/main", commit, NULL};
    const char *const files[] = {"read-tree", "-u", "--reset", "HEAD", NULL};
    rc = call_git(call, branch, said, e);
    return rc == 0 ? call_git(call, files, said, e) : rc;
}

int bundle_restore_base(const Bundle *bundle, const char *directory, Loop *loop, Arena *arena,
                        Err *e)
{
    const BundlePart *part = bundle_part(bundle, BUNDLE_BASE);
    if (!part) {
        return err_set(e, ERR_NOT_FOUND,
                       "the bundle does not hold the base; give the repository that it is from");
    }
    Slice file = arena_printf(arena, "%s.gitbundle", directory);
    Slice git_dir = arena_printf(arena, "%s/.git", directory);
    Buf said = buf_create(1 << 20);
    int rc = dir_make_all(directory, e);
    rc = rc == 0 ? file_write(file.ptr, part->bytes, NULL, e) : rc;
    rc = rc == 0 ? git_make_dir(git_dir.ptr, names_by_sha256(part->bytes), e) : rc;
    if (rc == 0) {
        GitCall call = {.loop = loop, .git_dir = git_dir.ptr, .work_tree = directory};
        rc = unpack(&call, file.ptr, &said, arena, e);
    }
    buf_done(&said);
    return rc;
}
