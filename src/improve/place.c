#include "improve/place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

bool place_name_ok(Slice name)
{
    if (name.len == 0 || name.len >= PATH_MAX || slice_find_byte(name, '\0') >= 0) {
        return false;
    }
    for (Slice rest = name, part; rest.len > 0;) {
        bool more = slice_cut(rest, '/', &part, &rest);
        if (part.len == 0 || slice_eq_cstr(part, ".") || slice_eq_cstr(part, "..") ||
            (more && rest.len == 0)) {
            return false;
        }
    }
    return true;
}

static int real_directory(Arena *arena, Slice path, Slice *ret, Err *e)
{
    char real[PATH_MAX];
    struct stat st;
    const char *name = arena_cstr(arena, path.len > 0 ? path : SLICE("."));
    if (!realpath(name, real) || stat(real, &st) != 0) {
        return err_errno(e, ERR_NOT_FOUND, errno, "%s", name);
    }
    Slice found = slice_from_cstr(real);
    if (!S_ISDIR(st.st_mode)) { // a single file: its directory
        while (found.len > 1 && found.ptr[found.len - 1] != '/') {
            found.len--;
        }
        found.len -= found.len > 1;
    }
    *ret = arena_copy(arena, found);
    return 0;
}

int place_find(Arena *arena, Slice repo, Slice sub, Place *ret_place, Err *e)
{
    Place place = {.sub = arena_copy(arena, sub)};
    while (place.sub.len > 1 && place.sub.ptr[place.sub.len - 1] == '/') {
        place.sub.len--;
    }
    if (slice_eq_cstr(place.sub, ".")) {
        place.sub.len = 0;
    }
    if (place.sub.len > 0 && !place_name_ok(place.sub)) {
        return err_set(e, ERR_ARG, "--path %.*s must lead to a directory inside of the repository",
                       SLICE_FMT(sub));
    }
    int rc = real_directory(arena, repo, &place.repo, e);
    if (rc != 0) {
        return rc;
    }
    if (place.sub.len > 0) {
        struct stat st;
        Slice at = arena_printf(arena, "%.*s/%.*s", SLICE_FMT(place.repo), SLICE_FMT(place.sub));
        if (lstat(at.ptr, &st) != 0) {
            return err_errno(e, ERR_NOT_FOUND, errno, "--path %.*s", SLICE_FMT(sub));
        }
        place.target =
            arena_printf(arena, "%.*s:%.*s", SLICE_FMT(place.repo), SLICE_FMT(place.sub));
    } else {
        place.target = place.repo;
    }
    place.dir = arena_printf(arena, "%.*s/.perfwright", SLICE_FMT(place.repo));
    *ret_place = place;
    return 0;
}

// Every part from the repository's top down must be what it seems: no link on the way.
static int refuse_links(const Place *place, const char *path, Err *e)
{
    char at[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof at) {
        return err_set(e, ERR_LIMIT, "%s: the path is too long", path);
    }
    for (size_t end = place->repo.len + 1; end <= len; end++) {
        if (end < len && path[end] != '/') {
            continue;
        }
        struct stat st;
        memcpy(at, path, end);
        at[end] = '\0';
        if (lstat(at, &st) != 0) {
            return errno == ENOENT ? 0 : err_errno(e, ERR_IO, errno, "%s", at);
        }
        if (S_ISLNK(st.st_mode)) {
            return err_set(e, ERR_REFUSED,
                           "%s is a symbolic link: perfwright does not follow links there; replace "
                           "it by a directory or a file",
                           at);
        }
    }
    return 0;
}

int place_path(const Place *place, Arena *arena, Slice name, const char **ret_path, Err *e)
{
    if (!place_name_ok(name)) {
        return err_set(e, ERR_ARG, "\"%.*s\" is no name of a file in .perfwright", SLICE_FMT(name));
    }
    const char *path = arena_printf(arena, "%.*s/%.*s", SLICE_FMT(place->dir), SLICE_FMT(name)).ptr;
    int rc = refuse_links(place, path, e);
    if (rc == 0) {
        *ret_path = path;
    }
    return rc;
}

int place_read(const Place *place, Arena *arena, Slice name, Slice *ret_text, Err *e)
{
    const char *path = NULL;
    Buf text = buf_create(PLACE_FILE_BYTES_MAX);
    int rc = place_path(place, arena, name, &path, e);
    if (rc == 0 && (rc = file_read(path, &text, e)) == 0) {
        *ret_text = arena_copy(arena, buf_slice(&text));
    }
    buf_done(&text);
    return rc;
}

int place_write(const Place *place, Slice name, Slice text, Err *e)
{
    Arena *scratch = arena_create(1 << 20);
    const char *path = NULL;
    int rc = place_path(place, scratch, name, &path, e);
    if (rc == 0) {
        Slice dir = slice_from_cstr(path);
        while (dir.ptr[dir.len - 1] != '/') {
            dir.len--;
        }
        rc = dir_make_all(arena_cstr(scratch, slice_sub(dir, 0, dir.len - 1)), e);
    }
    if (rc == 0) {
        rc = file_write(path, text, &(FileWriteOptions){.no_sync = false}, e);
    }
    arena_destroy(scratch);
    return rc;
}

int place_remove(const Place *place, Slice name, Err *e)
{
    Arena *scratch = arena_create(1 << 20);
    const char *path = NULL;
    int rc = place_path(place, scratch, name, &path, e);
    if (rc == 0 && unlink(path) != 0 && errno != ENOENT) {
        rc = err_errno(e, ERR_IO, errno, "%s", path);
    }
    arena_destroy(scratch);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return slice_cmp(*(const Slice *)a, *(const Slice *)b);
}

int place_list(const Place *place, Arena *arena, Slice name, size_t max, Slice **ret_names,
               size_t *ret_count, Err *e)
{
    const char *path = NULL;
    int rc = place_path(place, arena, name, &path, e);
    if (rc != 0) {
        return rc;
    }
    Slice *names = ARENA_ARRAY(arena, Slice, max);
    size_t count = 0;
    DIR *dir = opendir(path);
    if (!dir && errno != ENOENT) {
        return err_errno(e, ERR_IO, errno, "%s", path);
    }
    for (const struct dirent *d; dir && rc == 0 && (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.') {
            continue;
        }
        if (count == max) {
            rc = err_set(e, ERR_LIMIT, "%s holds more than %zu files", path, max);
            break;
        }
        names[count++] = arena_copy(arena, slice_from_cstr(d->d_name));
    }
    if (dir) {
        (void)closedir(dir);
    }
    if (rc == 0) {
        qsort(names, count, sizeof *names, by_bytes);
        *ret_names = names;
        *ret_count = count;
    }
    return rc;
}
