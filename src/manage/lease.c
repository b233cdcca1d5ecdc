#include "manage/lease.h"

#include <assert.h>

LeaseTable lease_table(uint64_t first_token)
{
    return (LeaseTable){.items = mem_zalloc(LEASE_PLACES_MAX * sizeof(Lease)),
                        .last_token = first_token};
}

void lease_table_done(LeaseTable *t)
{
    free(t->items);
    *t = (LeaseTable){0};
}

static Lease *find(const LeaseTable *t, Slice place)
{
    for (size_t i = 0; i < t->count; i++) {
        if (slice_eq_cstr(place, t->items[i].place)) {
            return &t->items[i];
        }
    }
    return NULL;
}

const Lease *lease_holder(const LeaseTable *t, Slice place)
{
    const Lease *lease = find(t, place);
    return lease && lease->grant != 0 ? lease : NULL;
}

// A place for one more, at the cost of the free one that was used longest ago: forgetting it only
// means that its last holder cannot undo any more.
static Lease *make_room(LeaseTable *t)
{
    if (t->count < LEASE_PLACES_MAX) {
        return &t->items[t->count++];
    }
    Lease *oldest = NULL;
    for (size_t i = 0; i < t->count; i++) {
        Lease *it = &t->items[i];
        if (it->grant == 0 && (!oldest || it->token < oldest->token)) {
            oldest = it;
        }
    }
    return oldest;
}

int lease_take(LeaseTable *t, const MessageChange *params, size_t count, uint64_t grant,
               uint64_t *ret_token, Err *e)
{
    assert(grant != 0 && count > 0);
    for (size_t i = 0; i < count; i++) {
        Slice place = message_place(params[i].param);
        const Lease *taken = lease_holder(t, place);
        if (taken && taken->grant != grant) {
            return err_set(e, ERR_BUSY, "%.*s is leased to another negotiation", SLICE_FMT(place));
        }
        if (place.len > MESSAGE_NAME_MAX) {
            return err_set(e, ERR_LIMIT, "the name of a place has at most %d bytes",
                           MESSAGE_NAME_MAX);
        }
    }
    uint64_t token = t->last_token + 1;
    for (size_t i = 0; i < count; i++) {
        Slice place = message_place(params[i].param);
        Lease *lease = find(t, place);
        lease = lease ? lease : make_room(t);
        if (!lease) {
            lease_release(t, grant);
            return err_set(e, ERR_LIMIT, "%d places are leased already", LEASE_PLACES_MAX);
        }
        memcpy(lease->place, place.ptr, place.len);
        lease->place[place.len] = '\0';
        lease->token = token;
        lease->grant = grant;
    }
    t->last_token = token;
    *ret_token = token;
    return 0;
}

int lease_retake(LeaseTable *t, const MessageChange *params, size_t count, uint64_t grant,
                 uint64_t token, Err *e)
{
    for (size_t i = 0; i < count; i++) {
        Slice place = message_place(params[i].param);
        const Lease *lease = find(t, place);
        if (!lease || lease->token != token || (lease->grant != 0 && lease->grant != grant)) {
            return err_set(e, ERR_CONFLICT, "%.*s was leased to another since", SLICE_FMT(place));
        }
    }
    for (size_t i = 0; i < count; i++) {
        Lease *lease = find(t, message_place(params[i].param));
        assert(lease); // found above
        lease->grant = grant;
    }
    return 0;
}

void lease_release(LeaseTable *t, uint64_t grant)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->items[i].grant == grant) {
            t->items[i].grant = 0;
        }
    }
}
