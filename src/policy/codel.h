// CoDel, RFC 8289: drop from the head when the least waiting time of an interval stays above a
// target. The state of its section 5, over sojourn times that the caller measures.
#ifndef POLICY_CODEL_H
#define POLICY_CODEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct CodelState {
    int64_t first_above; // when the sojourn time will have been above target for an interval; 0 not
    int64_t drop_next;
    uint32_t count;      // drops since entering the dropping state
    uint32_t last_count; // that of the last time
    bool dropping;
    uint8_t after; // what the last call dropped, so that the next one goes on there
} CodelState;

// One element leaves the queue at `now_ns` after `sojourn_ns`; `left` elements stay behind it.
// True: drop it and ask again with the next one; false: serve it. (RFC 8289 section 5.6's loop,
// turned inside out; bytes and the MTU test become "the last element is never dropped".)
bool codel_drop(CodelState *s, int64_t target_ns, int64_t interval_ns, int64_t now_ns,
                int64_t sojourn_ns, uint32_t left);

// The queue ran empty (RFC 8289's dodequeue on an empty queue).
void codel_empty(CodelState *s);

#endif
