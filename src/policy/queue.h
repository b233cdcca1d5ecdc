// The queue before a concurrency limit: entries {handle, enqueue time, priority}; what waits stays
// with the driver. Discipline (`queue.discipline`), changeable while calls wait:
//   fifo      the oldest
//   lifo      the newest: under overload somebody is served in time (Maurer, "Fail at Scale", ACM
//             Queue 13(8), 2015)
//   codel     fifo that drops after RFC 8289 (codel.h)
//   priority  the most important, the oldest among equals
// Storage is a slab with one list a priority, all by index; removing one that gave up is O(1).
#ifndef POLICY_QUEUE_H
#define POLICY_QUEUE_H

#include "policy/codel.h"
#include "policy/params.h"

enum { QUEUE_NONE = -1 };

typedef struct QueueEntry {
    uint64_t handle;
    int64_t enqueued_ns;
    uint64_t order; // of arrival
    int32_t next, previous;
    uint32_t priority;
} QueueEntry;

typedef struct QueueState {
    uint32_t room; // entries in the region
    uint32_t count;
    int32_t free;
    int32_t first[POLICY_PRIORITIES], last[POLICY_PRIORITIES];
    uint64_t order;
    CodelState codel;
    int64_t delay_ns; // how long the last one that left by being served had waited
} QueueState;

void queue_init(QueueState *s, QueueEntry *entries, uint32_t room);

// Puts in; the entry's index, or QUEUE_NONE when `queue.limit` or the room is reached.
int32_t queue_push(QueueState *s, QueueEntry *entries, const ParamValue *p, uint64_t handle,
                   uint32_t priority, int64_t now_ns); // 1 .. 8

// Takes the next one out: false when empty. *ret_drop: CoDel says it has to go unserved.
bool queue_pop(QueueState *s, QueueEntry *entries, const ParamValue *p, int64_t now_ns,
               uint64_t *ret_handle, bool *ret_drop);

// Takes out the entry that queue_push returned.
void queue_remove(QueueState *s, QueueEntry *entries, int32_t index);

// How long the oldest entry has waited: what queue-delay shedding looks at. 0 when empty.
int64_t queue_oldest_wait(const QueueState *s, const QueueEntry *entries, int64_t now_ns);

#endif
