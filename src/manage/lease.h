// Leases: who may change which place ("a->b", "d") of an agent, under which fencing token. A place
// has one holder at most; tokens only grow, so an order under an old one is known to be late.
//
// When a lease ends is the holder's grant's business (manage/negotiator.h); this table knows only
// what is taken and who had it last.
#ifndef MANAGE_LEASE_H
#define MANAGE_LEASE_H

#include "base/err.h"
#include "base/slice.h"
#include "manage/message.h"

enum { LEASE_PLACES_MAX = 1024 };

typedef struct Lease {
    char place[MESSAGE_NAME_MAX + 1];
    uint64_t token; // of the newest holder
    uint64_t grant; // that holds it now; 0: nobody
} Lease;

typedef struct LeaseTable {
    Lease *items;
    size_t count;
    uint64_t last_token;
} LeaseTable;

// Tokens start above `first_token`.
LeaseTable lease_table(uint64_t first_token);
void lease_table_done(LeaseTable *t);

// All of the places that `params` are of, or none: ERR_BUSY names the one that is taken; ERR_LIMIT
// past LEASE_PLACES_MAX held ones. `grant` is not 0. One token for all of them.
MUST_USE int lease_take(LeaseTable *t, const MessageChange *params, size_t count, uint64_t grant,
                        uint64_t *ret_token, Err *e);
// Takes back what was released under `token`, provided that nobody had any of it since:
// ERR_CONFLICT.
MUST_USE int lease_retake(LeaseTable *t, const MessageChange *params, size_t count, uint64_t grant,
                          uint64_t token, Err *e);
void lease_release(LeaseTable *t, uint64_t grant);
// NULL: nobody has it, or there is no such place.
const Lease *lease_holder(const LeaseTable *t, Slice place);

#endif
