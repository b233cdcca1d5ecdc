// The two sides: clean copies made by us, built in the same way, and the proof that what was built
// has the patch in it.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/judge_impl.h"
#include "os/file.h"

enum { FILE_BYTES_MAX = 256 << 20, SCAN_BYTES_MAX = 256 << 20 };
// A base whose build is quicker than this is built twice to see whether builds are reproducible.
#define REBUILD_NS (15 * NS_PER_S)

// ---- copies

static const char *path_in(Judge *j, const Workspace *ws, Slice path)
{
    return arena_printf(j->arena, "%s/%.*s", workspace_tree(ws), SLICE_FMT(path)).ptr;
}

static Slice folder_of(Slice path)
{
    size_t end = path.len;
    while (end > 0 && path.ptr[end - 1] != '/') {
        end--;
    }
    return slice_sub(path, 0, end);
}

// A protected file as it is in the base: put back, or taken away where the patch added it.
static int take_from_base(Judge *j, Slice path, bool in_base, Err *e)
{
    const char *from = path_in(j, j->base.source, path), *to = path_in(j, j->patched.source, path);
    struct stat st;
    if (!in_base) {
        (void)unlink(to);
        return 0;
    }
    if (lstat(from, &st) != 0 || !S_ISREG(st.st_mode)) {
        return 0;
    }
    Buf bytes = buf_create(FILE_BYTES_MAX);
    FileWriteOptions o = {.mode = st.st_mode & 0777, .no_sync = true};
    int rc = file_read(from, &bytes, e);
    rc = rc == 0 ? dir_make_all(path_in(j, j->patched.source, folder_of(path)), e) : rc;
    rc = rc == 0 ? file_write(to, buf_slice(&bytes), &o, e) : rc;
    // file_write follows the umask, and a test script must stay executable.
    if (rc == 0 && chmod(to, st.st_mode & 0777) != 0) {
        rc = err_set(e, ERR_IO, "cannot set the mode of %s", to);
    }
    buf_done(&bytes);
    return rc;
}

// `keep_added`: new tests and benchmarks stay, because the build names them. They weaken nothing
// that was there.
static int restore_protected(Judge *j, bool keep_added, Err *e)
{
    size_t count = 0, kept = 0;
    Slice first = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < j->patch.file_count; i++) {
        const PatchFile *f = &j->patch.files[i];
        bool was = f->old_path.len > 0 && cheat_path_protected(f->old_path, j->steps);
        bool is = f->new_path.len > 0 && cheat_path_protected(f->new_path, j->steps);
        if (!was && !is) {
            kept++;
            continue;
        }
        first = count++ == 0 ? patch_file_path(f) : first;
        if (is && !keep_added &&
            (f->change == PATCH_FILE_ADDED || !slice_eq(f->old_path, f->new_path))) {
            rc = take_from_base(j, f->new_path, false, e);
        }
        if (rc == 0 && was) {
            rc = take_from_base(j, f->old_path, true, e);
        }
    }
    j->added_dropped = false;
    for (size_t i = 0; i < j->patch.file_count && !keep_added; i++) {
        const PatchFile *f = &j->patch.files[i];
        j->added_dropped |=
            f->change == PATCH_FILE_ADDED && cheat_path_protected(f->new_path, j->steps);
    }
    if (count > 0 && !keep_added) {
        findings_addf(
            &j->r->findings, FINDING_NOTE, "protected-files", first, 0,
            "%zu protected file%s of the patch (tests, benchmarks, CI, lock files, steps) "
            "left as in the base on both sides",
            count, count == 1 ? " was" : "s were");
    }
    j->only_protected = count > 0 && kept == 0;
    return rc;
}

static int install(Judge *j, Err *e)
{
    const StepList *list = &j->steps->install;
    if (list->count == 0) {
        return 0;
    }
    j->deps_dir = arena_printf(j->arena, "%s/deps", workspace_root(j->base.source)).ptr;
    int rc = dir_make_all(j->deps_dir, e);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        StepRunOptions o = {.deps = STEP_DEPS_WRITABLE};
        StepResult result;
        judge_progress(j, "install", "%.*s", SLICE_FMT(list->items[i].run));
        rc = judge_step(j, "install", j->base.source, &list->items[i], &o, &result, e);
        if (rc == 0 && result.end != STEP_OK) {
            rc = err_set(e, ERR_UNSUPPORTED, "the install step \"%.*s\" fails: %.*s",
                         SLICE_FMT(list->items[i].run), SLICE_FMT(result.text));
        }
    }
    return rc;
}

int judge_make_sides(Judge *j, Err *e)
{
    int rc = install(j, e);
    if (rc != 0 || (rc = workspace_copy(j->base.source, j->arena, &j->patched.source, e)) != 0) {
        return rc;
    }
    size_t notes;
    const Slice *note = workspace_notes(j->base.source, &notes);
    for (size_t i = 0; i < notes; i++) {
        findings_addf(&j->r->findings, FINDING_NOTE, "copy", SLICE(""), 0, "%.*s",
                      SLICE_FMT(note[i]));
    }
    Err apply = {0};
    rc = workspace_apply_patch(j->patched.source, j->diff, &apply);
    if (rc == ERR_CONFLICT || rc == ERR_ARG || rc == ERR_REFUSED) {
        findings_addf(&j->r->findings, FINDING_BROKEN, "apply", SLICE(""), 0,
                      "the patch does not apply to the base: %s", apply.text);
        return 0;
    }
    if (rc != 0) {
        return err_set(e, (ErrCode)rc, "%s", apply.text);
    }
    return restore_protected(j, false, e);
}

void judge_side_done(Judge *j, JudgeSide *side, bool keep)
{
    (void)j;
    for (size_t i = 0; i < COUNT_OF(side->sandbox); i++) {
        sandbox_close(side->sandbox[i]);
        side->sandbox[i] = NULL;
    }
    void (*end)(Workspace *) = keep ? workspace_keep : workspace_destroy;
    if (side->built && side->built != side->source) {
        end(side->built);
    }
    if (side->source) {
        end(side->source);
    }
    side->built = side->source = NULL;
    arena_destroy(side->scan_arena);
    side->scan_arena = NULL;
}

// ---- building

int judge_build(Judge *j, JudgeSide *side, const StepRunOptions *extra, bool *ret_ok, Err *e)
{
    char what[64];
    (void)snprintf(what, sizeof what, "build %s", side->name);
    int rc = workspace_copy(side->source, j->arena, &side->built, e);
    if (rc != 0) {
        return rc;
    }
    JudgeTree *before = judge_tree_scan(j->arena, workspace_tree(side->built));
    *ret_ok = true;
    for (size_t i = 0; rc == 0 && *ret_ok && i < j->steps->build.count; i++) {
        StepResult result;
        rc = judge_step(j, what, side->built, &j->steps->build.items[i], extra, &result, e);
        if (rc == 0) {
            side->build_ns += result.wall_ns;
            *ret_ok = result.end == STEP_OK;
            side->failure = result.text;
            side->failure_tail = result.tail;
        }
    }
    j->r->building_ns += side->build_ns;
    if (rc != 0 || !*ret_ok) {
        return rc;
    }
    if (!side->scan_arena) {
        side->scan_arena = arena_create(SCAN_BYTES_MAX);
    }
    side->after_build = judge_tree_scan(j->arena, workspace_tree(side->built));
    return judge_tree_artifacts(j->arena, workspace_tree(side->built), before, j->steps, side, e);
}

// The last line that says "error", or the last line: what a person wants to see first.
static Slice telling_line(Slice tail)
{
    Slice best = {0}, last = {0};
    while (tail.len > 0) {
        Slice line;
        (void)slice_cut(tail, '\n', &line, &tail);
        line = slice_trim(line);
        last = line.len > 0 ? line : last;
        if (best.len == 0 &&
            (slice_find(line, SLICE("error")) >= 0 || slice_find(line, SLICE("Error")) >= 0)) {
            best = line;
        }
    }
    return slice_sub(best.len > 0 ? best : last, 0, 300);
}

static bool is_code_for_compilers(Slice path)
{
    static const char *const ENDS[] = {
        ".c",  ".h",    ".cc", ".cpp", ".cxx", ".hpp", ".hh",   ".hxx", ".inc", ".S",  ".s", ".rs",
        ".go", ".java", ".kt", ".zig", ".md",  ".rst", ".adoc", ".in",  ".am",  ".ac", ".m4"};
    for (size_t i = 0; i < COUNT_OF(ENDS); i++) {
        if (slice_ends_with(path, slice_from_cstr(ENDS[i]))) {
            return true;
        }
    }
    return false;
}

// What is compiled can only act through the artifact; a script acts as it stands in the tree.
static bool only_compiled(const Judge *j)
{
    for (size_t i = 0; i < j->patch.file_count; i++) {
        Slice path = patch_file_path(&j->patch.files[i]);
        if (!is_code_for_compilers(path) && !cheat_path_protected(path, j->steps)) {
            return false;
        }
    }
    return j->patch.file_count > 0;
}

static int check_reproducible(Judge *j, Err *e)
{
    if (j->base.artifacts == 0 || j->base.build_ns > REBUILD_NS || judge_stopped(j)) {
        return 0;
    }
    JudgeSide again = {.name = "base", .source = j->base.source};
    bool ok = false;
    int rc = judge_build(j, &again, NULL, &ok, e);
    if (rc == 0 && ok) {
        j->r->reproducible_known = true;
        j->r->reproducible = strcmp(again.artifact_sha256, j->base.artifact_sha256) == 0;
    }
    again.source = NULL; // the base's own
    judge_side_done(j, &again, false);
    return rc;
}

static int compare_artifacts(Judge *j, Err *e)
{
    JudgeReport *r = j->r;
    memcpy(r->base_artifact_sha256, j->base.artifact_sha256, sizeof r->base_artifact_sha256);
    memcpy(r->patched_artifact_sha256, j->patched.artifact_sha256,
           sizeof r->patched_artifact_sha256);
    r->base_artifact_bytes = j->base.artifact_bytes;
    r->patched_artifact_bytes = j->patched.artifact_bytes;
    if (j->base.artifacts == 0 || !j->base.machine_code) {
        judge_checked(j, "artifact", true, "nothing is compiled: the tree itself is what runs");
        return 0;
    }
    if (strcmp(j->base.artifact_sha256, j->patched.artifact_sha256) == 0) {
        r->same_artifact = only_compiled(j);
        findings_addf(&r->findings, FINDING_NOTE, cheat_check(CHEAT_STALE), SLICE(""), 0,
                      "what was built is byte for byte the same with and without the patch: it "
                      "does not reach the program that runs");
        judge_checked(j, "artifact", true, "equal with and without the patch");
        return 0;
    }
    int rc = check_reproducible(j, e);
    if (rc == 0) {
        judge_checked(j, "artifact", true,
                      r->reproducible         ? "the patch is in it: two builds of the base are "
                                                "equal, and the patched one differs"
                      : r->reproducible_known ? "differs; but so do two builds of the base"
                                              : "differs; whether builds repeat was not looked at");
    }
    double size = (double)r->patched_artifact_bytes / (double)(r->base_artifact_bytes + 1);
    if (rc == 0 && size > 1.25) {
        findings_addf(&r->findings, FINDING_NOTE, "size", SLICE(""), 0,
                      "what is built grows from %lld to %lld bytes",
                      (long long)r->base_artifact_bytes, (long long)r->patched_artifact_bytes);
    }
    return rc;
}

static int build_with_added(Judge *j, bool *ret_ok, Err *e)
{
    workspace_destroy(j->patched.built);
    workspace_destroy(j->patched.source);
    arena_destroy(j->patched.scan_arena);
    j->patched = (JudgeSide){.name = "patched"};
    int rc = workspace_copy(j->base.source, j->arena, &j->patched.source, e);
    rc = rc == 0 ? workspace_apply_patch(j->patched.source, j->diff, e) : rc;
    rc = rc == 0 ? restore_protected(j, true, e) : rc;
    rc = rc == 0 ? judge_build(j, &j->patched, NULL, ret_ok, e) : rc;
    if (rc == 0 && *ret_ok) {
        findings_addf(&j->r->findings, FINDING_NOTE, "protected-files", SLICE(""), 0,
                      "tests or benchmarks that the patch adds were kept: its build needs them");
    }
    return rc;
}

int judge_build_both(Judge *j, Err *e)
{
    bool ok = false;
    judge_progress(j, "build", "the base");
    int rc = judge_build(j, &j->base, NULL, &ok, e);
    if (rc == 0 && !ok) {
        return err_set(e, ERR_UNSUPPORTED, "the base does not build: %.*s %.*s",
                       SLICE_FMT(j->base.failure), SLICE_FMT(telling_line(j->base.failure_tail)));
    }
    judge_progress(j, "build", "the patched side");
    rc = rc == 0 ? judge_build(j, &j->patched, NULL, &ok, e) : rc;
    if (rc == 0 && !ok && j->added_dropped) {
        rc = build_with_added(j, &ok, e);
    }
    if (rc == 0 && !ok) {
        findings_addf(&j->r->findings, FINDING_BROKEN, "build", SLICE(""), 0,
                      "it does not build: %.*s %.*s", SLICE_FMT(j->patched.failure),
                      SLICE_FMT(telling_line(j->patched.failure_tail)));
        return 0;
    }
    return rc == 0 ? compare_artifacts(j, e) : rc;
}
