#include "policy/queue.h"

void queue_init(QueueState *s, QueueEntry *entries, uint32_t room)
{
    *s = (QueueState){.room = room, .free = QUEUE_NONE};
    for (uint32_t i = 0; i < POLICY_PRIORITIES; i++) {
        s->first[i] = s->last[i] = QUEUE_NONE;
    }
    for (uint32_t i = room; i-- > 0;) {
        entries[i] = (QueueEntry){.next = s->free};
        s->free = (int32_t)i;
    }
}

int32_t queue_push(QueueState *s, QueueEntry *entries, const ParamValue *p, uint64_t handle,
                   uint32_t priority, int64_t now_ns)
{
    if (s->count >= p[P_QUEUE_LIMIT].integer || s->free == QUEUE_NONE) {
        return QUEUE_NONE;
    }
    uint32_t band = priority < POLICY_PRIORITIES ? priority - 1 : POLICY_PRIORITIES - 1;
    int32_t index = s->free;
    QueueEntry *entry = &entries[index];
    s->free = entry->next;
    *entry = (QueueEntry){.handle = handle,
                          .enqueued_ns = now_ns,
                          .order = s->order++,
                          .next = QUEUE_NONE,
                          .previous = s->last[band],
                          .priority = band};
    if (s->last[band] == QUEUE_NONE) {
        s->first[band] = index;
    } else {
        entries[s->last[band]].next = index;
    }
    s->last[band] = index;
    s->count++;
    return index;
}

static void unlink_entry(QueueState *s, QueueEntry *entries, int32_t index)
{
    QueueEntry *entry = &entries[index];
    if (entry->previous == QUEUE_NONE) {
        s->first[entry->priority] = entry->next;
    } else {
        entries[entry->previous].next = entry->next;
    }
    if (entry->next == QUEUE_NONE) {
        s->last[entry->priority] = entry->previous;
    } else {
        entries[entry->next].previous = entry->previous;
    }
    entry->next = s->free;
    s->free = index;
    s->count--;
}

// The oldest or the newest over all priorities: the lists are in order of arrival, so it is at one
// of their ends. `count` > 0.
static int32_t extreme(const QueueState *s, const QueueEntry *entries, bool newest)
{
    int32_t best = QUEUE_NONE;
    for (uint32_t i = 0; i < POLICY_PRIORITIES; i++) {
        int32_t at = newest ? s->last[i] : s->first[i];
        if (at != QUEUE_NONE &&
            (best == QUEUE_NONE || (entries[at].order > entries[best].order) == newest)) {
            best = at;
        }
    }
    return best;
}

static int32_t most_important(const QueueState *s)
{
    uint32_t band = 0;
    while (s->first[band] == QUEUE_NONE) {
        band++;
    }
    return s->first[band];
}

bool queue_pop(QueueState *s, QueueEntry *entries, const ParamValue *p, int64_t now_ns,
               uint64_t *ret_handle, bool *ret_drop)
{
    if (s->count == 0) {
        return false;
    }
    QueueDiscipline discipline = (QueueDiscipline)p[P_QUEUE_DISCIPLINE].integer;
    int32_t index = QUEUE_NONE;
    switch (discipline) {
    case QUEUE_FIFO:
    case QUEUE_CODEL: index = extreme(s, entries, false); break;
    case QUEUE_LIFO: index = extreme(s, entries, true); break;
    case QUEUE_PRIORITY: index = most_important(s); break;
    }
    int64_t waited = now_ns - entries[index].enqueued_ns;
    *ret_handle = entries[index].handle;
    unlink_entry(s, entries, index);
    *ret_drop = discipline == QUEUE_CODEL &&
                codel_drop(&s->codel, p[P_QUEUE_CODEL_TARGET].integer,
                           p[P_QUEUE_CODEL_INTERVAL].integer, now_ns, waited, s->count);
    if (!*ret_drop) {
        s->delay_ns = waited;
    }
    return true;
}

void queue_remove(QueueState *s, QueueEntry *entries, int32_t index)
{
    unlink_entry(s, entries, index);
    if (s->count == 0) {
        codel_empty(&s->codel);
    }
}

int64_t queue_oldest_wait(const QueueState *s, const QueueEntry *entries, int64_t now_ns)
{
    return s->count == 0 ? 0 : now_ns - entries[extreme(s, entries, false)].enqueued_ns;
}
