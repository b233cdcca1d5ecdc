// Resolver: names to addresses through the system's getaddrinfo, on a job thread, with a cache.
//
// One Resolver belongs to one loop; the fiber that asks is parked. Fibers that ask for the same
// name while it is being looked up share one lookup. Options and their defaults are k6's `dns`
// option: answers are kept for 5 minutes, one of the addresses is chosen at random per connection
// among those of the preferred family, the others follow it for when it cannot be reached.
//
//     Resolver *resolver;
//     rc = resolver_create(&(ResolverOptions){.loop = loop, .jobs = jobs}, &resolver, e);
//     NetResolver seam = resolver_seam(resolver);
//     http_context_create(&(HttpContextOptions){.loop = loop, .resolver = &seam});
//
// Every address still goes through the connect filter: a name that suddenly means a forbidden
// address is refused where the socket would be opened, not here.
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "net/http.h"
#include "os/jobs.h"

typedef struct Resolver Resolver;

typedef enum ResolverPolicy {
    RESOLVER_PREFER_IPV4, // k6's default
    RESOLVER_PREFER_IPV6,
    RESOLVER_ONLY_IPV4,
    RESOLVER_ONLY_IPV6,
    RESOLVER_ANY,
} ResolverPolicy;

typedef enum ResolverSelect {
    RESOLVER_RANDOM, // k6's default
    RESOLVER_FIRST,
    RESOLVER_ROUND_ROBIN,
} ResolverSelect;

// A name that is not looked up: k6's `hosts` option. "*.example.com" is every name that ends in
// ".example.com"; a name said in full goes before that.
typedef struct ResolverHost {
    Slice name;
    NetAddr addr; // port 0: the request's
} ResolverHost;

#define RESOLVER_TTL_NS          (300 * NS_PER_S)
#define RESOLVER_NEGATIVE_TTL_NS (1 * NS_PER_S) // a name that failed is not asked for again before

enum { RESOLVER_NAMES_MAX = 4096 }; // in the cache; more are looked up every time

typedef struct ResolverOptions {
    Loop *loop;
    JobPool *jobs;
    int64_t ttl_ns; // 0: RESOLVER_TTL_NS; negative: nothing is kept
    ResolverPolicy policy;
    ResolverSelect select;
    uint64_t seed;             // of the random choice
    const ResolverHost *hosts; // borrowed
    size_t host_count;
    // k6's `blockHostnames`: names and "*" endings that are refused (ERR_REFUSED); borrowed.
    const Slice *blocked;
    size_t blocked_count;
    // NULL, or what to call instead of getaddrinfo: a simulated world, or a test. On a job thread;
    // 0 or an EAI_* code; *ret_count at most `max`.
    int (*lookup)(void *ctx, const char *name, NetAddr *ret_addrs, size_t max, size_t *ret_count);
    void *lookup_ctx;
} ResolverOptions;

MUST_USE int resolver_create(const ResolverOptions *options, Resolver **ret_resolver, Err *e);
// No fiber is inside. A lookup that everybody gave up waiting for may still be under way: its job
// ends by itself, so the job pool (and lookup_ctx) live longer. NULL is fine.
void resolver_destroy(Resolver *resolver);
NetResolver resolver_seam(Resolver *resolver);
uint64_t resolver_lookups(const Resolver *resolver); // that went to the system

#endif
