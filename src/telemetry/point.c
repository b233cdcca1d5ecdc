#include "telemetry/point.h"

Slice labels_get(Labels labels, Slice key)
{
    for (size_t i = 0; i < labels.count; i++) {
        if (slice_eq(labels.items[i].key, key)) {
            return labels.items[i].value;
        }
    }
    return (Slice){0};
}

bool labels_eq(Labels a, Labels b)
{
    if (a.count != b.count) {
        return false;
    }
    for (size_t i = 0; i < a.count; i++) {
        if (!slice_eq(a.items[i].key, b.items[i].key) ||
            !slice_eq(a.items[i].value, b.items[i].value)) {
            return false;
        }
    }
    return true;
}

bool labels_match(Labels labels, Labels filter)
{
    for (size_t i = 0; i < filter.count; i++) {
        if (!slice_eq(labels_get(labels, filter.items[i].key), filter.items[i].value)) {
            return false;
        }
    }
    return true;
}

int labels_copy(Arena *arena, const Label *items, size_t count, Labels *ret, Err *e)
{
    if (count > LABELS_MAX) {
        return err_set(e, ERR_LIMIT, "%zu labels, the limit is %d", count, LABELS_MAX);
    }
    Label *copy = ARENA_ARRAY(arena, Label, count ? count : 1);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        while (at > 0 && slice_cmp(items[i].key, copy[at - 1].key) < 0) {
            copy[at] = copy[at - 1];
            at--;
        }
        if (at > 0 && slice_eq(items[i].key, copy[at - 1].key)) {
            return err_set(e, ERR_EXISTS, "label \"%.*s\" is there twice", SLICE_FMT(items[i].key));
        }
        copy[at] = (Label){arena_copy(arena, items[i].key), arena_copy(arena, items[i].value)};
    }
    *ret = (Labels){copy, count};
    return 0;
}
