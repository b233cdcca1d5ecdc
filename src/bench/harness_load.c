// Results from files, and from the two harnesses that keep a directory of them.
#include "bench/harness.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/doc.h"
#include "bench/harness_build.h"
#include "os/file.h"

enum { DIR_DEPTH_MAX = 16, PATH_BYTES_MAX = 4096 };

typedef struct Found {
    Arena *arena;
    Slice paths[HARNESS_FILES_MAX];
    size_t count;
    size_t entries; // looked at, so that a tree of anything does not take for ever
    bool overflowed;
} Found;

static bool wanted(const char *directory, const char *name)
{
    Slice n = slice_from_cstr(name);
    if (strcmp(name, "sample.json") == 0) {
        // criterion keeps new/, base/ and change/ beside one another; new/ is the last run.
        return slice_ends_with(slice_from_cstr(directory), SLICE("/new"));
    }
    return slice_ends_with(n, SLICE("-report-full.json")) ||
           slice_ends_with(n, SLICE("-report-full-compressed.json")) ||
           slice_ends_with(n, SLICE("-report-brief.json"));
}

static void search(Found *found, const char *directory, int depth)
{
    DIR *dir = depth < DIR_DEPTH_MAX ? opendir(directory) : NULL;
    if (!dir) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) && !found->overflowed;) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        Slice path = arena_printf(found->arena, "%s/%s", directory, entry->d_name);
        found->overflowed =
            ++found->entries == (size_t)10 * HARNESS_FILES_MAX || found->count == HARNESS_FILES_MAX;
        // Links are not followed: they may lead in circles.
        if (path.len >= PATH_BYTES_MAX || lstat(path.ptr, &st) != 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            search(found, path.ptr, depth + 1);
        } else if (S_ISREG(st.st_mode) && !found->overflowed && wanted(directory, entry->d_name)) {
            found->paths[found->count++] = path;
        }
    }
    (void)closedir(dir);
}

// The name criterion prints is "full_id" in the benchmark.json beside the samples.
static Slice criterion_name(Arena *arena, Slice path)
{
    size_t directory = path.len - strlen("sample.json");
    Slice beside = arena_printf(arena, "%.*sbenchmark.json", (int)directory, path.ptr);
    const Doc *doc;
    if (doc_read_file(arena, beside.ptr, NULL, &doc, NULL) == 0) {
        const Doc *id = doc_get(doc, SLICE("full_id"));
        if (id && id->type == DOC_STRING && id->text.len > 0) {
            return id->text;
        }
    }
    // Else the directories down to it: ".../criterion/GROUP/NAME/new/sample.json".
    Slice name = slice_sub(path, 0, directory - strlen("/new/"));
    ptrdiff_t at = slice_find(name, SLICE("/criterion/"));
    return at >= 0 ? slice_sub(name, (size_t)at + strlen("/criterion/"), name.len) : name;
}

static int load_file(Arena *arena, Slice path, const HarnessOptions *options,
                     HarnessResults **ret_results, Err *e)
{
    Buf text = buf_create(HARNESS_BYTES_MAX);
    HarnessOptions named = *options;
    named.source = options->source ? options->source : path.ptr;
    int rc = file_read(path.ptr, &text, e);
    if (rc == 0 && named.name.len == 0 && slice_ends_with(path, SLICE("/new/sample.json"))) {
        named.name = criterion_name(arena, path);
    }
    rc = rc == 0 ? harness_read(arena, buf_slice(&text), &named, ret_results, e) : rc;
    buf_done(&text);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return slice_cmp(*(const Slice *)a, *(const Slice *)b);
}

// The lists one behind the other; not harness_results_merge, which makes one sample of each.
static HarnessResults *join(Arena *arena, HarnessResults *const *lists, size_t count)
{
    HarnessResults *all = ARENA_NEW(arena, HarnessResults);
    size_t results = 0, failures = 0;
    for (size_t i = 0; i < count; i++) {
        results += lists[i]->count;
        failures += lists[i]->failure_count;
    }
    all->kind = lists[0]->kind;
    all->items = ARENA_ARRAY(arena, HarnessResult, results + 1);
    all->failures = ARENA_ARRAY(arena, HarnessFailure, failures + 1);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lists[i]->count; k++) {
            all->items[all->count++] = lists[i]->items[k];
        }
        for (size_t k = 0; k < lists[i]->failure_count; k++) {
            all->failures[all->failure_count++] = lists[i]->failures[k];
        }
    }
    return all;
}

static int load_directory(Arena *arena, const char *path, const HarnessOptions *options,
                          HarnessResults **ret_results, Err *e)
{
    Found *found = ARENA_NEW(arena, Found);
    found->arena = arena;
    search(found, path, 0);
    if (found->overflowed) {
        return err_set(e, ERR_LIMIT, "%s: too many files below it", path);
    }
    if (found->count == 0) {
        return err_set(e, ERR_NOT_FOUND,
                       "%s: no new/sample.json (criterion) and no *-report-full.json "
                       "(BenchmarkDotNet) below it",
                       path);
    }
    qsort(found->paths, found->count, sizeof found->paths[0], by_path);
    HarnessResults **lists = ARENA_ARRAY(arena, HarnessResults *, found->count);
    for (size_t i = 0; i < found->count; i++) {
        int rc = load_file(arena, found->paths[i], options, &lists[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_results = join(arena, lists, found->count);
    return 0;
}

int harness_load(Arena *arena, const char *path, const HarnessOptions *options,
                 HarnessResults **ret_results, Err *e)
{
    static const HarnessOptions none = {0};
    struct stat st;
    options = options ? options : &none;
    if (stat(path, &st) != 0) {
        return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "%s", path);
    }
    return S_ISDIR(st.st_mode) ? load_directory(arena, path, options, ret_results, e)
                               : load_file(arena, arena_copy(arena, slice_from_cstr(path)), options,
                                           ret_results, e);
}
