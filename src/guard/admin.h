// The administrator's file: what one machine allows beyond, or below, the built-in rules.
//
//     # /etc/perfwright/guard.toml
//     [limits]
//     vus_max = 5000            # for people at the command line
//     duration_max = "4h"
//
//     [[environment]]           # as many as there are
//     name = "shop-staging"
//     kind = "staging"
//     hosts = ["shop.staging.example.com", "*.shop.staging.example.com"]
//     data = "isolated"
//
// The file decides what is attacked with how much load, so it must belong to root and nobody else
// may write it; anything else about it that is not right is ERR_REFUSED as well, because carrying
// on without the file could mean carrying on without its production hosts.
#ifndef GUARD_ADMIN_H
#define GUARD_ADMIN_H

#include <sys/types.h>

#include "guard/guard.h"

enum {
    ADMIN_BYTES_MAX = 1 << 20,
    ADMIN_ENVIRONMENTS_MAX = 1000,
    ADMIN_VUS_MAX = 1000000, // what the file may raise the ceilings to
    ADMIN_DURATION_DAYS_MAX = 7,
};

typedef struct AdminFile {
    bool found;
    int64_t vus_max; // 0: not set
    int64_t duration_ns_max;
    Slice vus_origin; // "file:line"
    Slice duration_origin;
    GuardEnvironment *environments;
    size_t environment_count;
} AdminFile;

// `owner`: who the file must belong to. A file that is not there gives an AdminFile without
// anything.
MUST_USE int admin_read(Arena *arena, const char *path, uid_t owner, AdminFile *ret_file, Err *e);

// guard_create() for a given owner of the file, so that tests need not be root.
MUST_USE int guard_create_owned(const char *admin_file, uid_t owner, Guard **ret_guard, Err *e);

#endif
