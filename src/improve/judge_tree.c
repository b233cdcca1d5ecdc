// What a build made: the files that are in the tree now and were not before, or not so.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/judge_impl.h"
#include "os/file.h"

enum {
    FILES_MAX = 200000,
    DEPTH_MAX = 40,
    PATH_BYTES_MAX = 4096,
    ARTIFACT_BYTES_MAX = 1 << 30, // of one file; larger ones are known by size and name only
};

typedef struct TreeFile {
    Slice path; // relative
    int64_t bytes;
    int64_t modified_ns;
    uint64_t inode;
    unsigned mode;
} TreeFile;

struct JudgeTree {
    TreeFile *files; // sorted by path
    size_t count, capacity;
    bool cut; // more than FILES_MAX
};

static void add_file(JudgeTree *t, Arena *arena, const char *path, const struct stat *st)
{
    if (t->count == FILES_MAX) {
        t->cut = true;
        return;
    }
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 256;
        t->files = mem_realloc(t->files, t->capacity * sizeof *t->files);
    }
    t->files[t->count++] = (TreeFile){
        .path = arena_copy(arena, slice_from_cstr(path)),
        .bytes = st->st_size,
        .modified_ns = st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec,
        .inode = st->st_ino,
        .mode = st->st_mode,
    };
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// `path` holds root, a slash and what is below it; `from` is where that begins. One buffer for all
// levels, because this runs on the stack of a fiber.
static void scan(JudgeTree *t, Arena *arena, char path[PATH_BYTES_MAX], size_t from, int depth)
{
    size_t len = strlen(path);
    DIR *dir = depth > DEPTH_MAX ? NULL : opendir(path);
    if (!dir) {
        return;
    }
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        struct stat st;
        const char *slash = path[len - 1] == '/' ? "" : "/";
        if (is_dot(d->d_name) || (depth == 0 && strcmp(d->d_name, ".git") == 0) ||
            fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            len + strlen(d->d_name) + 2 > PATH_BYTES_MAX) {
            continue;
        }
        (void)snprintf(path + len, PATH_BYTES_MAX - len, "%s%s", slash, d->d_name);
        if (S_ISDIR(st.st_mode)) {
            scan(t, arena, path, from, depth + 1);
        } else if (S_ISREG(st.st_mode)) {
            add_file(t, arena, path + from, &st);
        }
        path[len] = 0;
    }
    closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    const TreeFile *x = a, *y = b;
    return slice_cmp(x->path, y->path);
}

JudgeTree *judge_tree_scan(Arena *arena, const char *root)
{
    JudgeTree *t = ARENA_NEW(arena, JudgeTree);
    char path[PATH_BYTES_MAX];
    int n = snprintf(path, sizeof path, "%s/", root);
    if (n < PATH_BYTES_MAX) {
        scan(t, arena, path, (size_t)n, 0);
    }
    if (t->count > 0) {
        qsort(t->files, t->count, sizeof *t->files, by_path);
    }
    // The array moves into the arena, so that a tree needs no destroying.
    TreeFile *kept = ARENA_ARRAY(arena, TreeFile, t->count + 1);
    for (size_t i = 0; i < t->count; i++) {
        kept[i] = t->files[i];
    }
    free(t->files);
    t->files = kept;
    return t;
}

static const TreeFile *find(const JudgeTree *t, Slice path)
{
    TreeFile key = {.path = path};
    return t->count == 0 ? NULL : bsearch(&key, t->files, t->count, sizeof key, by_path);
}

static bool is_new(const JudgeTree *before, const TreeFile *f)
{
    const TreeFile *old = find(before, f->path);
    return !old || old->bytes != f->bytes || old->modified_ns != f->modified_ns;
}

// ---- artifacts

static bool is_machine_code(const char *path)
{
    char bytes[8] = {0};
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f) {
        (void)fclose(f);
    }
    return (n >= 4 && memcmp(bytes, "\177ELF", 4) == 0) ||
           (n >= 8 && memcmp(bytes, "!<arch>\n", 8) == 0);
}

static bool is_declared(const Steps *steps, Slice path)
{
    for (size_t i = 0; i < steps->artifact_count; i++) {
        if (cheat_glob(steps->artifacts[i], path)) {
            return true;
        }
    }
    return false;
}

// Made by every build and different in every one: logs and the notes of build tools.
static bool is_chatter(Slice path)
{
    static const char *const ENDS[] = {".log", ".d",     ".ninja_log", ".ninja_deps", ".json",
                                       ".txt", ".cmake", ".make",      ".dat",        ".pyc"};
    for (size_t i = 0; i < COUNT_OF(ENDS); i++) {
        if (slice_ends_with(path, slice_from_cstr(ENDS[i]))) {
            return true;
        }
    }
    return false;
}

typedef struct Made {
    const TreeFile *file;
    bool code;
} Made;

static int hash_file(const char *path, const TreeFile *f, Sha256 *ret_hash, Err *e)
{
    Buf bytes = buf_create(ARTIFACT_BYTES_MAX);
    int rc = f->bytes > ARTIFACT_BYTES_MAX ? 0 : file_read(path, &bytes, e);
    if (rc == 0) {
        *ret_hash = sha256_of(buf_slice(&bytes));
    }
    buf_done(&bytes);
    return rc;
}

static const char *path_of(Arena *arena, const char *root, const TreeFile *f)
{
    return arena_printf(arena, "%s/%.*s", root, SLICE_FMT(f->path)).ptr;
}

static int hash_made(Arena *arena, const char *root, const Made *made, size_t count,
                     JudgeSide *side, Err *e)
{
    Buf all = buf_create(64 << 20);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const TreeFile *f = made[i].file;
        if (side->machine_code && !made[i].code) {
            continue;
        }
        Sha256 hash = {0};
        rc = hash_file(path_of(arena, root, f), f, &hash, e);
        buf_append(&all, f->path);
        buf_printf(&all, " %lld ", (long long)f->bytes);
        buf_append_hex(&all, hash.bytes, sizeof hash.bytes);
        buf_putc(&all, '\n');
        side->artifacts++;
        side->artifact_bytes += f->bytes;
    }
    if (rc == 0 && (rc = buf_check(&all, "the list of built files", e)) == 0 &&
        side->artifacts > 0) {
        Sha256 hash = sha256_of(buf_slice(&all));
        sha256_hex(&hash, side->artifact_sha256);
    }
    buf_done(&all);
    return rc;
}

int judge_tree_artifacts(Arena *arena, const char *root, const JudgeTree *before,
                         const Steps *steps, JudgeSide *side, Err *e)
{
    JudgeTree *now = judge_tree_scan(arena, root);
    Made *made = ARENA_ARRAY(arena, Made, now->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < now->count; i++) {
        const TreeFile *f = &now->files[i];
        bool declared = is_declared(steps, f->path);
        if (declared || (steps->artifact_count == 0 && is_new(before, f) && !is_chatter(f->path))) {
            made[count++] = (Made){f, is_machine_code(path_of(arena, root, f))};
            side->machine_code = side->machine_code || made[count - 1].code;
        }
    }
    return hash_made(arena, root, made, count, side, e);
}

size_t judge_tree_count(const JudgeTree *t)
{
    return t->count;
}

size_t judge_tree_new(Arena *arena, const char *root, const JudgeTree *before)
{
    JudgeTree *now = judge_tree_scan(arena, root);
    size_t count = 0;
    for (size_t i = 0; i < now->count; i++) {
        count += is_new(before, &now->files[i]);
    }
    return count;
}

void judge_tree_remove_new(Arena *arena, const char *root, const JudgeTree *before)
{
    JudgeTree *now = judge_tree_scan(arena, root);
    for (size_t i = 0; i < now->count; i++) {
        const TreeFile *f = &now->files[i];
        if (!find(before, f->path)) {
            (void)unlink(path_of(arena, root, f));
        }
    }
}
