// Single-flight: of the calls with one key that are under way together, the first (the leader) does
// the work and the others wait for its answer (Go's x/sync/singleflight). Unlike there a waiter
// keeps its own deadline, and when the leader is cancelled or runs out of its own time, the first
// waiter becomes the leader.
#ifndef POLICY_FLIGHT_H
#define POLICY_FLIGHT_H

#include "policy/cache.h"

enum { FLIGHT_NONE = -1 };

typedef struct FlightEntry {
    PolicyKey key; // leader entries only
    uint64_t handle;
    int32_t first, last; // leader: its waiters
    int32_t next;        // in a list of waiters, a bucket of leaders, or of free entries
    int32_t previous;    // in a list of waiters; of leaders that have news
    int32_t leader;      // waiter: index of its leader; leader: itself; free: FLIGHT_NONE
    int32_t bucket_head; // of the bucket with this entry's number
    int32_t code, slot;  // finished leader: its result
} FlightEntry;

typedef struct FlightState {
    uint32_t room;
    uint32_t count;
    int32_t free;
    int32_t news; // leaders that are done or gave up and have waiters to tell
} FlightState;

// What a waiter is told. `lead`: it is the leader now and `slot` its entry; else the result.
typedef struct FlightNews {
    uint64_t waiter, leader; // handles
    bool lead;
    int32_t code; // the leader's: 0 or negative
    int32_t slot; // of the cache, or CACHE_NONE
} FlightNews;

void flight_init(FlightState *s, FlightEntry *entries, uint32_t room);

// Joins: the entry's index with *ret_leader true for the first of its key. FLIGHT_NONE when the
// table is full: the call goes alone.
int32_t flight_join(FlightState *s, FlightEntry *entries, PolicyKey key, uint64_t handle,
                    bool *ret_leader);

// A waiter leaves before its leader is done.
void flight_leave(FlightState *s, FlightEntry *entries, int32_t waiter);

// The leader is done; its waiters are told by flight_next. Without one the entry is free at once.
void flight_finish(FlightState *s, FlightEntry *entries, int32_t leader, int32_t code,
                   int32_t slot);
// The leader gives up without a result: its first waiter is told to lead.
void flight_abandon(FlightState *s, FlightEntry *entries, int32_t leader);
// One waiter to tell; false when there is none.
bool flight_next(FlightState *s, FlightEntry *entries, FlightNews *ret_news);

#endif
