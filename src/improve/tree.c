#include "improve/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

typedef struct Walk {
    Tree *tree;
    size_t capacity;
    Err *e;
} Walk;

static bool never_source(const char *name)
{
    static const char *const NAMES[] = {".git", "node_modules", ".venv",      "venv",
                                        ".hg",  "__pycache__",  ".tox",       ".nox",
                                        ".svn", ".perfwright",  ".mypy_cache"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (strcmp(name, NAMES[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void add_file(Walk *w, Slice path, const struct stat *st)
{
    Tree *t = w->tree;
    if (t->count == TREE_FILES_MAX) {
        t->cut = true;
        return;
    }
    if (t->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 256;
        TreeFile *files = ARENA_ARRAY(t->arena, TreeFile, w->capacity);
        for (size_t i = 0; i < t->count; i++) {
            files[i] = t->files[i];
        }
        t->files = files;
    }
    t->files[t->count++] =
        (TreeFile){.path = path, .bytes = st->st_size, .program = (st->st_mode & 0111) != 0};
}

static void walk(Walk *w, int parent, const char *name, Slice prefix, int depth);

static void visit(Walk *w, int fd, const char *name, Slice prefix, int depth)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return;
    }
    Arena *arena = w->tree->arena;
    if (S_ISREG(st.st_mode)) {
        add_file(w, arena_printf(arena, "%.*s%s", SLICE_FMT(prefix), name), &st);
    } else if (S_ISDIR(st.st_mode) && !never_source(name) && depth < TREE_DEPTH_MAX) {
        walk(w, fd, name, arena_printf(arena, "%.*s%s/", SLICE_FMT(prefix), name), depth + 1);
    }
}

// A directory that cannot be read is left out: a tree with one is still worth looking at.
static void walk(Walk *w, int parent, const char *name, Slice prefix, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    const struct dirent *entry;
    while (!w->tree->cut && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            visit(w, fd, entry->d_name, prefix, depth);
        }
    }
    (void)closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return slice_cmp(((const TreeFile *)a)->path, ((const TreeFile *)b)->path);
}

int tree_read(Arena *arena, const char *root, Tree *ret_tree, Err *e)
{
    struct stat st;
    if (stat(root, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return err_set(e, ERR_NOT_FOUND, "%s is no directory", root);
    }
    *ret_tree = (Tree){.arena = arena, .root = arena_cstr(arena, slice_from_cstr(root))};
    Walk w = {.tree = ret_tree, .e = e};
    walk(&w, AT_FDCWD, root, SLICE(""), 0);
    if (ret_tree->count > 0) {
        qsort(ret_tree->files, ret_tree->count, sizeof *ret_tree->files, by_path);
    }
    return 0;
}

void tree_make(Arena *arena, const TreeFile *files, size_t count, Tree *ret_tree)
{
    *ret_tree = (Tree){.arena = arena, .root = "", .count = count};
    ret_tree->files = ARENA_ARRAY(arena, TreeFile, count + 1);
    for (size_t i = 0; i < count; i++) {
        ret_tree->files[i] = files[i];
        ret_tree->files[i].bytes = (int64_t)files[i].text.len;
    }
    if (count > 0) {
        qsort(ret_tree->files, count, sizeof *ret_tree->files, by_path);
    }
}

// The first file that is not below `path` in order.
static size_t lower_bound(const Tree *tree, Slice path)
{
    size_t low = 0, high = tree->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_cmp(tree->files[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const TreeFile *tree_find(const Tree *tree, Slice path)
{
    size_t at = lower_bound(tree, path);
    return at < tree->count && slice_eq(tree->files[at].path, path) ? &tree->files[at] : NULL;
}

bool tree_has(const Tree *tree, Slice path)
{
    return tree_find(tree, path) != NULL;
}

bool tree_has_directory(const Tree *tree, Slice path)
{
    if (path.len == 0 || slice_eq_cstr(path, ".")) {
        return tree->count > 0;
    }
    Slice inside = arena_printf(tree->arena, "%.*s/", SLICE_FMT(path));
    size_t at = lower_bound(tree, inside);
    return at < tree->count && slice_starts_with(tree->files[at].path, inside);
}

Slice tree_text(Tree *tree, Slice path)
{
    const TreeFile *found = tree_find(tree, path);
    TreeFile *file = found ? &tree->files[found - tree->files] : NULL;
    if (file == NULL || file->text.ptr || tree->text_bytes >= TREE_TEXTS_MAX ||
        tree->root[0] == '\0') {
        return file ? file->text : (Slice){0};
    }
    const char *full =
        arena_cstr(tree->arena, arena_printf(tree->arena, "%s/%.*s", tree->root, SLICE_FMT(path)));
    int fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return (Slice){0};
    }
    Buf text = buf_create(TREE_TEXT_MAX + 1);
    char *at;
    while (text.len < TREE_TEXT_MAX && (at = buf_reserve(&text, 1 << 14)) != NULL) {
        ssize_t n = read(fd, at, 1 << 14);
        if (n <= 0) {
            break;
        }
        buf_commit(&text, (size_t)n);
    }
    (void)close(fd);
    Slice copy = arena_copy(tree->arena, buf_slice(&text));
    tree->text_bytes += (int64_t)copy.len;
    file->text = copy; // several ask for the same few files
    buf_done(&text);
    return copy;
}

// ---- paths and text

Slice path_name(Slice path)
{
    for (size_t i = path.len; i > 0; i--) {
        if (path.ptr[i - 1] == '/') {
            return slice_sub(path, i, path.len);
        }
    }
    return path;
}

Slice path_directory(Slice path)
{
    Slice name = path_name(path);
    return name.len < path.len ? slice_sub(path, 0, path.len - name.len - 1) : SLICE(".");
}

Slice path_join(Arena *arena, Slice directory, Slice name)
{
    if (directory.len == 0 || slice_eq_cstr(directory, ".")) {
        return name;
    }
    if (name.len == 0 || slice_eq_cstr(name, ".")) {
        return directory;
    }
    return arena_printf(arena, "%.*s/%.*s", SLICE_FMT(directory), SLICE_FMT(name));
}

Slice path_extension(Slice path)
{
    Slice name = path_name(path);
    for (size_t i = name.len; i > 1; i--) {
        if (name.ptr[i - 1] == '.') {
            return slice_sub(name, i, name.len);
        }
    }
    return (Slice){0};
}

int path_depth(Slice path)
{
    int depth = 0;
    for (size_t i = 0; i < path.len; i++) {
        depth += path.ptr[i] == '/';
    }
    return depth;
}

bool text_line(Slice *rest, Slice *ret_line, long *line_number)
{
    if (rest->len == 0) {
        return false;
    }
    (void)slice_cut(*rest, '\n', ret_line, rest);
    if (ret_line->len > 0 && ret_line->ptr[ret_line->len - 1] == '\r') {
        ret_line->len--;
    }
    if (line_number) {
        (*line_number)++;
    }
    return true;
}

bool text_has(Slice text, const char *needle)
{
    return slice_find(text, slice_from_cstr(needle)) >= 0;
}

bool text_has_nocase(Slice text, const char *needle)
{
    Slice n = slice_from_cstr(needle);
    for (size_t i = 0; i + n.len <= text.len; i++) {
        if (slice_eq_nocase(slice_sub(text, i, n.len), n)) {
            return true;
        }
    }
    return false;
}

static bool wordy(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

bool text_has_word(Slice text, const char *word)
{
    Slice w = slice_from_cstr(word);
    for (size_t from = 0; from < text.len;) {
        ptrdiff_t at = slice_find(slice_sub(text, from, text.len), w);
        if (at < 0) {
            return false;
        }
        size_t start = from + (size_t)at, end = start + w.len;
        if ((start == 0 || !wordy(text.ptr[start - 1])) &&
            (end >= text.len || !wordy(text.ptr[end]))) {
            return true;
        }
        from = start + 1;
    }
    return false;
}

bool text_starts(Slice text, const char *prefix)
{
    return slice_starts_with(text, slice_from_cstr(prefix));
}

bool text_ends(Slice text, const char *suffix)
{
    return slice_ends_with(text, slice_from_cstr(suffix));
}

Slice text_lower(Arena *arena, Slice text)
{
    Slice copy = arena_copy(arena, text);
    char *bytes = ARENA_ARRAY(arena, char, copy.len + 1);
    for (size_t i = 0; i < copy.len; i++) {
        char c = copy.ptr[i];
        bytes[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return (Slice){bytes, copy.len};
}

long text_line_of(Slice text, size_t at)
{
    long line = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        line += text.ptr[i] == '\n';
    }
    return line;
}
