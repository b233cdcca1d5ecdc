#include "guard/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/units.h"
#include "guard/host.h"

static int refuse(const char *path, Err *e)
{
    (void)err_wrap(e, "the administrator's file cannot be used (guard.admin-file, set in %s)",
                   path);
    return ERR_REFUSED;
}

static int read_all(int fd, Buf *out, Err *e)
{
    enum { PIECE = 4096 };
    for (;;) {
        char *at = buf_reserve(out, PIECE);
        ssize_t n = at ? read(fd, at, PIECE) : 0;
        if (n < 0 && errno != EINTR) {
            return err_errno(e, ERR_IO, errno, "it cannot be read");
        }
        buf_commit(out, n > 0 ? (size_t)n : 0);
        if (!at || out->len > ADMIN_BYTES_MAX) {
            return err_set(e, ERR_LIMIT, "it is larger than %d bytes", ADMIN_BYTES_MAX);
        }
        if (n == 0) {
            return 0;
        }
    }
}

// The checks are made on the open file, so that it cannot be exchanged between check and reading.
static int check_owner(int fd, uid_t owner, Err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return err_errno(e, ERR_IO, errno, "it cannot be examined");
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_REFUSED, "it is no regular file");
    }
    if (st.st_uid != owner) {
        return err_set(e, ERR_REFUSED, "it belongs to user %ld and must belong to user %ld%s",
                       (long)st.st_uid, (long)owner, owner == 0 ? " (root)" : "");
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        return err_set(e, ERR_REFUSED,
                       "others than its owner may write it (mode %04o); run chmod go-w on it",
                       (unsigned)(st.st_mode & 07777));
    }
    return 0;
}

static Slice origin_of(Arena *arena, const Doc *d)
{
    return arena_printf(arena, "%s:%d", d->source, d->line);
}

static int read_limits(Arena *arena, const Doc *limits, AdminFile *file, Err *e)
{
    static const Slice names[] = {SLICE_INIT("vus_max"), SLICE_INIT("duration_max")};
    int rc = doc_expect(limits, DOC_OBJECT, "limits", e);
    if (rc != 0 || (rc = doc_expect_fields(limits, names, COUNT_OF(names), e)) != 0) {
        return rc;
    }
    const Doc *vus = doc_get(limits, SLICE("vus_max"));
    if (vus) {
        if (vus->type != DOC_INT || vus->integer < 1 || vus->integer > ADMIN_VUS_MAX) {
            return doc_err(e, vus, "vus_max must be a whole number from 1 to %d", ADMIN_VUS_MAX);
        }
        file->vus_max = vus->integer;
        file->vus_origin = origin_of(arena, vus);
    }
    const Doc *duration = doc_get(limits, SLICE("duration_max"));
    if (duration) {
        int64_t ns = 0;
        Err why = {.text = "must be text such as \"2h\""};
        if (duration->type != DOC_STRING || duration_parse(duration->text, 0, &ns, &why) != 0) {
            return doc_err(e, duration, "duration_max: %.200s", why.text);
        }
        if (ns < 1 || ns > ADMIN_DURATION_DAYS_MAX * NS_PER_DAY) {
            return doc_err(e, duration, "duration_max must be above 0 and at most %d days",
                           ADMIN_DURATION_DAYS_MAX);
        }
        file->duration_ns_max = ns;
        file->duration_origin = origin_of(arena, duration);
    }
    return 0;
}

static int read_hosts(Arena *arena, const Doc *hosts, size_t room, GuardEnvironment *env, Err *e)
{
    int rc = doc_expect(hosts, DOC_ARRAY, "hosts", e);
    if (rc != 0) {
        return rc;
    }
    if (doc_count(hosts) > room) {
        return doc_err(e, hosts, "more than %d hosts in all", GUARD_HOSTS_MAX);
    }
    Slice *items = ARENA_ARRAY(arena, Slice, doc_count(hosts) + 1);
    for (const Doc *h = doc_first(hosts); h; h = doc_next(h)) {
        HostForm form;
        Err why = {0};
        if ((rc = doc_expect(h, DOC_STRING, "a host", e)) != 0) {
            return rc;
        }
        if (host_parse_pattern(h->text, &form, &why) != 0) {
            return doc_err(e, h, "%.400s", why.text);
        }
        items[env->host_count++] = h->text;
    }
    env->hosts = items;
    return 0;
}

static int read_environment(Arena *arena, const Doc *d, size_t room, GuardEnvironment *env, Err *e)
{
    static const Slice names[] = {SLICE_INIT("name"), SLICE_INIT("kind"), SLICE_INIT("hosts"),
                                  SLICE_INIT("data")};
    int rc = doc_expect(d, DOC_OBJECT, "environment", e);
    if (rc != 0 || (rc = doc_expect_fields(d, names, COUNT_OF(names), e)) != 0) {
        return rc;
    }
    const Doc *name = doc_get(d, SLICE("name"));
    const Doc *kind = doc_get(d, SLICE("kind"));
    const Doc *hosts = doc_get(d, SLICE("hosts"));
    const Doc *data = doc_get(d, SLICE("data"));
    if (!name || !kind || !hosts) {
        return doc_err(e, d, "an environment needs name, kind and hosts");
    }
    if ((rc = doc_expect(name, DOC_STRING, "name", e)) != 0 ||
        (rc = doc_expect(kind, DOC_STRING, "kind", e)) != 0 ||
        (rc = read_hosts(arena, hosts, room, env, e)) != 0) {
        return rc;
    }
    if (!guard_kind_is_known(kind->text)) {
        return doc_err(e, kind, "unknown kind '%.*s': " GUARD_KINDS, SLICE_FMT(kind->text));
    }
    if (data && (data->type != DOC_STRING || (!slice_eq_cstr(data->text, "isolated") &&
                                              !slice_eq_cstr(data->text, "shared")))) {
        return doc_err(e, data, "data must be \"isolated\" or \"shared\"");
    }
    env->name = name->text;
    env->kind = kind->text;
    env->data_isolated = data && slice_eq_cstr(data->text, "isolated");
    env->origin = origin_of(arena, name);
    return 0;
}

static int read_document(Arena *arena, const Doc *doc, AdminFile *file, Err *e)
{
    static const Slice names[] = {SLICE_INIT("limits"), SLICE_INIT("environment")};
    int rc = doc_expect_fields(doc, names, COUNT_OF(names), e);
    const Doc *limits = doc_get(doc, SLICE("limits"));
    const Doc *list = doc_get(doc, SLICE("environment"));
    if (rc == 0 && limits) {
        rc = read_limits(arena, limits, file, e);
    }
    if (rc != 0 || !list) {
        return rc;
    }
    if ((rc = doc_expect(list, DOC_ARRAY, "environment (written [[environment]])", e)) != 0) {
        return rc;
    }
    if (doc_count(list) > ADMIN_ENVIRONMENTS_MAX) {
        return doc_err(e, list, "more than %d environments", ADMIN_ENVIRONMENTS_MAX);
    }
    file->environments = ARENA_ARRAY(arena, GuardEnvironment, doc_count(list) + 1);
    size_t room = GUARD_HOSTS_MAX;
    for (const Doc *d = doc_first(list); d && rc == 0; d = doc_next(d)) {
        GuardEnvironment *env = &file->environments[file->environment_count++];
        rc = read_environment(arena, d, room, env, e);
        room -= env->host_count;
    }
    return rc;
}

int admin_read(Arena *arena, const char *path, uid_t owner, AdminFile *ret_file, Err *e)
{
    AdminFile file = {0};
    Err why = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_file = file;
        return 0;
    }
    if (fd < 0) {
        // Not for us to read: what it forbids would go unnoticed.
        (void)err_errno(e, ERR_REFUSED, errno, "it cannot be opened");
        return refuse(path, e);
    }
    Buf text = buf_create(2 * ADMIN_BYTES_MAX);
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML,
                          .source = arena_cstr(arena, slice_from_cstr(path))};
    int rc = check_owner(fd, owner, &why);
    rc = rc != 0 ? rc : read_all(fd, &text, &why);
    rc = rc != 0 ? rc : doc_parse(arena, buf_slice(&text), &options, &doc, &why);
    rc = rc != 0 ? rc : read_document(arena, doc, &file, &why);
    (void)close(fd);
    buf_done(&text);
    if (rc != 0) {
        (void)err_set(e, ERR_REFUSED, "%s", why.text);
        return refuse(path, e);
    }
    file.found = true;
    *ret_file = file;
    return 0;
}
