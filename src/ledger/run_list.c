// Finding runs: by selector, and by filter.
#include "ledger/ledger_impl.h"
#include "ledger/run.h"
#include "ledger/ulid.h"

enum { PREFIX_MIN = 6, LIMIT_DEFAULT = 100, ITEM_BYTES = 64 << 10 };

Slice run_status_name(RunStatus status)
{
    switch (status) {
    case RUN_RUNNING: return SLICE("running");
    case RUN_COMPLETE: return SLICE("complete");
    case RUN_PARTIAL: return SLICE("partial");
    case RUN_ABORTED: return SLICE("aborted");
    case RUN_INVALID: return SLICE("invalid");
    }
    return SLICE("unknown");
}

// ---- selectors

// The first row's run id. ERR_NOT_FOUND without one.
static int take_id(Stmt *s, Slice selector, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    int rc = stmt_row(s, e);
    if (rc == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "no run is \"%.*s\"; `run list` shows what there is",
                     SLICE_FMT(selector));
    } else if (rc > 0) {
        Slice id = stmt_get_text(s, 0);
        rc = id.len == RUN_ID_LEN ? 0 : err_set(e, ERR_CORRUPT, "a run has a damaged id");
        if (rc == 0) {
            memcpy(ret_id, id.ptr, RUN_ID_LEN);
            ret_id[RUN_ID_LEN] = '\0';
        }
    }
    return rc;
}

static int resolve_latest(Db *db, Slice selector, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    int64_t back = 0;
    Slice head, tail;
    if (slice_cut(selector, '~', &head, &tail) && (slice_to_i64(tail, &back) != 0 || back < 0)) {
        return err_set(e, ERR_ARG, "\"%.*s\": a whole number must follow the ~",
                       SLICE_FMT(selector));
    }
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT run_id FROM run WHERE kind <> 'imported'"
                        " ORDER BY started_unix_ns DESC, run_id DESC LIMIT 1 OFFSET ?1",
                        &s, e);
    if (rc == 0) {
        stmt_int(s, 1, back);
        rc = take_id(s, selector, ret_id, e);
        stmt_done(s);
    }
    return rc;
}

static int resolve_label(Db *db, Slice selector, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    Slice key, value;
    if (!slice_cut(slice_sub(selector, strlen("label:"), selector.len), '=', &key, &value)) {
        return err_set(e, ERR_ARG, "\"%.*s\": a label is written label:key=value",
                       SLICE_FMT(selector));
    }
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT r.run_id FROM run r JOIN run_label l ON l.run_id = r.run_id"
                        " WHERE l.key = ?1 AND l.value = ?2"
                        " ORDER BY r.started_unix_ns DESC, r.run_id DESC LIMIT 1",
                        &s, e);
    if (rc == 0) {
        stmt_text(s, 1, key);
        stmt_text(s, 2, value);
        rc = take_id(s, selector, ret_id, e);
        stmt_done(s);
    }
    return rc;
}

static int resolve_prefix(Db *db, Slice selector, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    char low[RUN_ID_LEN + 1], high[RUN_ID_LEN + 2];
    if (selector.len < PREFIX_MIN || selector.len > RUN_ID_LEN) {
        return err_set(e, ERR_NOT_FOUND,
                       "\"%.*s\" is no run: give an id, at least %d characters of one, \"latest\", "
                       "\"latest~2\" or \"label:key=value\"",
                       SLICE_FMT(selector), PREFIX_MIN);
    }
    for (size_t i = 0; i < selector.len; i++) {
        char c = selector.ptr[i];
        low[i] = high[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    high[selector.len] = '~'; // above every character of an id
    Stmt *s;
    int rc = db_prepare(db,
                        "SELECT run_id FROM run WHERE run_id >= ?1 AND run_id < ?2"
                        " ORDER BY run_id LIMIT 2",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, (Slice){low, selector.len});
    stmt_text(s, 2, (Slice){high, selector.len + 1});
    rc = take_id(s, selector, ret_id, e);
    if (rc == 0 && (rc = stmt_row(s, e)) > 0) {
        rc = err_set(e, ERR_CONFLICT, "several runs begin with \"%.*s\": give more of the id",
                     SLICE_FMT(selector));
    }
    stmt_done(s);
    return rc;
}

int run_resolve(Ledger *ledger, Slice selector, char ret_id[RUN_ID_LEN + 1], Err *e)
{
    if (slice_eq_cstr(selector, "latest") || slice_starts_with(selector, SLICE("latest~"))) {
        return resolve_latest(ledger->db, selector, ret_id, e);
    }
    if (slice_starts_with(selector, SLICE("label:"))) {
        return resolve_label(ledger->db, selector, ret_id, e);
    }
    return resolve_prefix(ledger->db, selector, ret_id, e);
}

// ---- lists

static int read_labels(Db *db, Slice run_id, Arena *arena, Labels *ret, Err *e)
{
    Label items[LABELS_MAX];
    size_t count = 0;
    Stmt *s;
    int rc =
        db_prepare(db, "SELECT key, value FROM run_label WHERE run_id = ?1 ORDER BY key", &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, run_id);
    while (count < LABELS_MAX && (rc = stmt_row(s, e)) > 0) {
        items[count++] =
            (Label){arena_copy(arena, stmt_get_text(s, 0)), arena_copy(arena, stmt_get_text(s, 1))};
    }
    stmt_done(s);
    return rc < 0 ? rc : labels_copy(arena, items, count, ret, e);
}

static int read_item(Db *db, Stmt *s, Arena *arena, RunListItem *ret, Err *e)
{
    RunListItem item = {0};
    Slice id = stmt_get_text(s, 0);
    if (id.len != RUN_ID_LEN) {
        return err_set(e, ERR_CORRUPT, "a run has a damaged id");
    }
    if (arena_left(arena) < ITEM_BYTES) {
        return err_set(e, ERR_LIMIT, "the list of runs does not fit into memory");
    }
    memcpy(item.info.id, id.ptr, RUN_ID_LEN);
    item.info.kind = arena_copy(arena, stmt_get_text(s, 1));
    item.info.name = arena_copy(arena, stmt_get_text(s, 2));
    item.info.target = arena_copy(arena, stmt_get_text(s, 3));
    item.info.group = arena_copy(arena, stmt_get_text(s, 4));
    item.info.plan_sha256 = arena_copy(arena, stmt_get_text(s, 5));
    item.info.seed = strtoull(arena_cstr(arena, stmt_get_text(s, 6)), NULL, 10);
    item.info.load_scale = stmt_get_real(s, 7);
    item.info.started_unix_ns = stmt_get_int(s, 8);
    item.info.interval_ns = stmt_get_int(s, 9);
    item.status = (RunStatus)stmt_get_int(s, 10);
    item.reason = arena_copy(arena, stmt_get_text(s, 11));
    item.duration_ns = stmt_get_int(s, 12);
    item.requests = stmt_get_int(s, 13);
    *ret = item;
    return read_labels(db, (Slice){ret->info.id, RUN_ID_LEN}, arena, &ret->info.labels, e);
}

int run_list(Ledger *ledger, const RunFilter *filter, Arena *arena, RunListItem **ret_items,
             size_t *ret_count, Err *e)
{
    RunFilter f = filter ? *filter : (RunFilter){0};
    size_t limit = f.limit > 0 ? (size_t)f.limit : LIMIT_DEFAULT;
    Stmt *s;
    int rc = db_prepare(ledger->db,
                        "SELECT run_id, kind, name, target, run_group, plan_sha256, seed,"
                        " load_scale, started_unix_ns, interval_ns, status, reason, duration_ns,"
                        " requests FROM run WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR name = ?2)"
                        " AND (?3 = '' OR run_group = ?3)"
                        " ORDER BY started_unix_ns DESC, run_id DESC",
                        &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, f.kind);
    stmt_text(s, 2, f.name);
    stmt_text(s, 3, f.group);
    RunListItem *items = NULL;
    size_t count = 0, capacity = 0;
    while (count < limit && (rc = stmt_row(s, e)) > 0) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            items = mem_realloc(items, capacity * sizeof *items);
        }
        if ((rc = read_item(ledger->db, s, arena, &items[count], e)) != 0) {
            break;
        }
        // An empty value in a filter means "without this label", as in thresholds.
        count += labels_match(items[count].info.labels, f.labels);
    }
    stmt_done(s);
    if (rc >= 0 && arena_left(arena) < count * sizeof *items + 64) {
        rc = err_set(e, ERR_LIMIT, "the list of runs does not fit into memory");
    }
    if (rc >= 0) {
        *ret_items = ARENA_ARRAY(arena, RunListItem, count ? count : 1);
        for (size_t i = 0; i < count; i++) {
            (*ret_items)[i] = items[i];
        }
        *ret_count = count;
        rc = 0;
    }
    free(items);
    return rc;
}
