#include "policy/flight.h"

void flight_init(FlightState *s, FlightEntry *entries, uint32_t room)
{
    *s = (FlightState){.room = room, .free = FLIGHT_NONE, .news = FLIGHT_NONE};
    for (uint32_t i = room; i-- > 0;) {
        entries[i] =
            (FlightEntry){.next = s->free, .leader = FLIGHT_NONE, .bucket_head = FLIGHT_NONE};
        s->free = (int32_t)i;
    }
}

static int32_t *bucket(const FlightState *s, FlightEntry *entries, PolicyKey key)
{
    return &entries[(key.low ^ key.high) % s->room].bucket_head;
}

static void set_free(FlightState *s, FlightEntry *entries, int32_t at)
{
    entries[at].leader = FLIGHT_NONE;
    entries[at].key = (PolicyKey){0};
    entries[at].next = s->free;
    s->free = at;
    s->count--;
}

static void lead(FlightState *s, FlightEntry *entries, int32_t at, PolicyKey key)
{
    int32_t *head = bucket(s, entries, key);
    entries[at].key = key;
    entries[at].leader = at;
    entries[at].first = entries[at].last = FLIGHT_NONE;
    entries[at].previous = FLIGHT_NONE;
    entries[at].next = *head;
    *head = at;
}

// Nobody joins this leader any more.
static void close_flight(FlightState *s, FlightEntry *entries, int32_t leader)
{
    int32_t *link = bucket(s, entries, entries[leader].key);
    while (*link != leader) {
        link = &entries[*link].next;
    }
    *link = entries[leader].next;
}

static void follow(FlightEntry *entries, int32_t at, int32_t leader)
{
    FlightEntry *head = &entries[leader];
    entries[at].leader = leader;
    entries[at].next = FLIGHT_NONE;
    entries[at].previous = head->last;
    *(head->last == FLIGHT_NONE ? &head->first : &entries[head->last].next) = at;
    head->last = at;
}

static void unfollow(FlightEntry *entries, int32_t waiter)
{
    FlightEntry *entry = &entries[waiter], *head = &entries[entry->leader];
    *(entry->previous == FLIGHT_NONE ? &head->first : &entries[entry->previous].next) = entry->next;
    *(entry->next == FLIGHT_NONE ? &head->last : &entries[entry->next].previous) = entry->previous;
}

int32_t flight_join(FlightState *s, FlightEntry *entries, PolicyKey key, uint64_t handle,
                    bool *ret_leader)
{
    int32_t at = s->free;
    *ret_leader = false;
    if (s->room == 0 || at == FLIGHT_NONE) {
        return FLIGHT_NONE;
    }
    int32_t leader = *bucket(s, entries, key);
    while (leader != FLIGHT_NONE && !policy_key_eq(entries[leader].key, key)) {
        leader = entries[leader].next;
    }
    s->free = entries[at].next;
    s->count++;
    entries[at].handle = handle;
    if (leader == FLIGHT_NONE) {
        lead(s, entries, at, key);
        *ret_leader = true;
    } else {
        follow(entries, at, leader);
    }
    return at;
}

// A leader that has nobody to tell any more leaves the list of news.
static void drop_news(FlightState *s, FlightEntry *entries, int32_t leader)
{
    int32_t *link = &s->news;
    while (*link != FLIGHT_NONE && *link != leader) {
        link = &entries[*link].previous;
    }
    if (*link == leader) {
        *link = entries[leader].previous;
        set_free(s, entries, leader);
    }
}

void flight_leave(FlightState *s, FlightEntry *entries, int32_t waiter)
{
    int32_t leader = entries[waiter].leader;
    unfollow(entries, waiter);
    set_free(s, entries, waiter);
    if (entries[leader].first == FLIGHT_NONE) {
        drop_news(s, entries, leader);
    }
}

enum { GAVE_UP = 1 }; // no result has a positive code

void flight_finish(FlightState *s, FlightEntry *entries, int32_t leader, int32_t code, int32_t slot)
{
    close_flight(s, entries, leader);
    if (entries[leader].first == FLIGHT_NONE) {
        set_free(s, entries, leader);
        return;
    }
    entries[leader].code = code;
    entries[leader].slot = slot;
    entries[leader].previous = s->news;
    s->news = leader;
}

void flight_abandon(FlightState *s, FlightEntry *entries, int32_t leader)
{
    // Closed as well: whoever comes before the news are read begins a flight of its own.
    flight_finish(s, entries, leader, GAVE_UP, CACHE_NONE);
}

// The first waiter takes over: it becomes the leader, in its own entry, of those behind it. If
// another flight of the key has begun meanwhile there are two for a while, which does no harm.
static void hand_over(FlightState *s, FlightEntry *entries, int32_t from, int32_t to)
{
    int32_t first = entries[from].first;
    int32_t last = entries[from].last;
    lead(s, entries, to, entries[from].key);
    entries[to].first = first;
    entries[to].last = last;
    for (int32_t at = first; at != FLIGHT_NONE; at = entries[at].next) {
        entries[at].leader = to;
    }
    entries[from].first = entries[from].last = FLIGHT_NONE;
}

bool flight_next(FlightState *s, FlightEntry *entries, FlightNews *ret_news)
{
    int32_t leader = s->news;
    if (leader == FLIGHT_NONE) {
        return false;
    }
    int32_t waiter = entries[leader].first;
    *ret_news = (FlightNews){.waiter = entries[waiter].handle,
                             .leader = entries[leader].handle,
                             .lead = entries[leader].code == GAVE_UP,
                             .code = entries[leader].code,
                             .slot = entries[leader].slot};
    unfollow(entries, waiter);
    if (ret_news->lead) {
        hand_over(s, entries, leader, waiter);
        ret_news->slot = waiter;
        ret_news->code = 0;
    } else {
        set_free(s, entries, waiter);
    }
    if (entries[leader].first == FLIGHT_NONE) {
        s->news = entries[leader].previous;
        set_free(s, entries, leader);
    }
    return true;
}
