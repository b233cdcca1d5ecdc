#include "assess/run_set.h"

#include <assert.h>

#include "ledger/baseline.h"

typedef struct Ids {
    Arena *arena;
    Slice items[RUN_SET_MAX];
    size_t count;
} Ids;

static int add_id(Ids *ids, Slice id, Err *e)
{
    for (size_t i = 0; i < ids->count; i++) {
        if (slice_eq(ids->items[i], id)) {
            return 0;
        }
    }
    if (ids->count == RUN_SET_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d runs; name fewer", RUN_SET_MAX);
    }
    ids->items[ids->count++] = arena_copy(ids->arena, id);
    return 0;
}

static int add_listed(Ledger *ledger, Ids *ids, const RunFilter *filter, Slice words, Err *e)
{
    RunListItem *items = NULL;
    size_t count = 0;
    int rc = run_list(ledger, filter, ids->arena, &items, &count, e);
    if (rc != 0) {
        return rc;
    }
    size_t before = ids->count;
    for (size_t i = 0; i < count; i++) {
        if (items[i].status != RUN_RUNNING &&
            (rc = add_id(ids, slice_from_cstr(items[i].info.id), e)) != 0) {
            return rc;
        }
    }
    if (ids->count == before) {
        return err_set(e, ERR_NOT_FOUND, "no finished run with %.*s", SLICE_FMT(words));
    }
    return 0;
}

static int add_label(Ledger *ledger, Ids *ids, Slice part, Err *e)
{
    Label label;
    Slice pair = slice_sub(part, strlen("label:"), part.len);
    if (!slice_cut(pair, '=', &label.key, &label.value)) {
        return err_set(e, ERR_ARG, "\"%.*s\": a label is written label:KEY=VALUE", SLICE_FMT(part));
    }
    RunFilter filter = {.labels = {&label, 1}, .limit = RUN_SET_MAX + 1};
    return add_listed(ledger, ids, &filter, part, e);
}

// "latest", "latest~2": commands are counted, not runs.
static int add_latest(Ledger *ledger, Ids *ids, Slice part, Err *e)
{
    int64_t back = 0;
    Slice tail = slice_sub(part, strlen("latest"), part.len);
    if (tail.len > 0 && (tail.ptr[0] != '~' ||
                         slice_to_i64(slice_sub(tail, 1, tail.len), &back) != 0 || back < 0)) {
        return err_set(e, ERR_ARG, "\"%.*s\": write latest or latest~N", SLICE_FMT(part));
    }
    RunFilter filter = {.limit = 10000};
    RunListItem *items = NULL;
    size_t count = 0;
    int rc = run_list(ledger, &filter, ids->arena, &items, &count, e);
    if (rc != 0) {
        return rc;
    }
    Slice group = {0};
    int64_t commands = -1;
    size_t before = ids->count;
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_cstr(items[i].info.kind, "imported")) {
            continue; // nothing that ran here
        }
        Slice id = slice_from_cstr(items[i].info.id);
        Slice its_group = items[i].info.group.len > 0 ? items[i].info.group : id;
        if (!slice_eq(its_group, group)) {
            group = its_group;
            commands++;
        }
        if (commands == back && (rc = add_id(ids, id, e)) != 0) {
            return rc;
        }
    }
    if (ids->count == before) {
        return err_set(e, ERR_NOT_FOUND, "the ledger holds no run for %.*s", SLICE_FMT(part));
    }
    return 0;
}

static int add_baseline(Ledger *ledger, Ids *ids, Slice name, bool *ret_found, Err *e)
{
    Slice *run_ids = NULL;
    size_t count = 0;
    int rc = baseline_resolve(ledger, name, ids->arena, &run_ids, &count, e);
    *ret_found = rc == 0;
    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = add_id(ids, run_ids[i], e);
    }
    return rc;
}

static int add_part(Ledger *ledger, Ids *ids, Slice part, Err *e)
{
    if (slice_starts_with(part, SLICE("label:"))) {
        return add_label(ledger, ids, part, e);
    }
    if (slice_starts_with(part, SLICE("group:"))) {
        RunFilter filter = {.group = slice_sub(part, strlen("group:"), part.len),
                            .limit = RUN_SET_MAX + 1};
        return add_listed(ledger, ids, &filter, part, e);
    }
    bool found = false;
    int rc = add_baseline(ledger, ids, part, &found, e);
    if (rc != 0 || found) {
        return rc;
    }
    if (slice_starts_with(part, SLICE("latest"))) {
        return add_latest(ledger, ids, part, e);
    }
    char id[RUN_ID_LEN + 1];
    if ((rc = run_resolve(ledger, part, id, e)) != 0) {
        return rc;
    }
    return add_id(ids, slice_from_cstr(id), e);
}

static int by_text(const void *a, const void *b)
{
    return slice_cmp(*(const Slice *)a, *(const Slice *)b);
}

int run_set_ids(Ledger *ledger, Slice selector, Arena *arena, Slice **ret_ids, size_t *ret_count,
                Err *e)
{
    Ids *ids = ARENA_NEW(arena, Ids);
    ids->arena = arena;
    Slice rest = selector;
    do {
        Slice part;
        (void)slice_cut(rest, ',', &part, &rest);
        part = slice_trim(part);
        if (part.len == 0) {
            return err_set(e, ERR_ARG, "an empty name of a run in \"%.*s\"", SLICE_FMT(selector));
        }
        int rc = add_part(ledger, ids, part, e);
        if (rc != 0) {
            return rc;
        }
    } while (rest.len > 0);
    // Ids begin with the time, so their order is that of the runs.
    qsort(ids->items, ids->count, sizeof ids->items[0], by_text);
    *ret_ids = ids->items;
    *ret_count = ids->count;
    return 0;
}

int run_set_load(Ledger *ledger, Slice selector, Arena *arena, RunSet *ret_set, Err *e)
{
    Slice *ids = NULL;
    size_t count = 0;
    int rc = run_set_ids(ledger, selector, arena, &ids, &count, e);
    if (rc != 0) {
        return rc;
    }
    RunSet set = {.runs = ARENA_ARRAY(arena, RunData *, count)};
    for (size_t i = 0; i < count; i++) {
        if ((rc = run_load(ledger, ids[i], arena, &set.runs[i], e)) != 0) {
            run_set_done(&set);
            return rc;
        }
        set.count++;
    }
    assert(set.count > 0);
    *ret_set = set;
    return 0;
}

void run_set_done(RunSet *set)
{
    for (size_t i = 0; i < set->count; i++) {
        run_data_done(set->runs[i]);
    }
    *set = (RunSet){0};
}
