#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>

int net_addr_parse(Slice host, uint16_t port, NetAddr *ret_addr, Err *e)
{
    Slice bare = host;
    if (bare.len >= 2 && bare.ptr[0] == '[' && bare.ptr[bare.len - 1] == ']') {
        bare = slice_sub(bare, 1, bare.len - 2);
    }
    char text[INET6_ADDRSTRLEN];
    // inet_pton stops at a NUL, so an address followed by one must not look shorter than it is.
    if (bare.len > 0 && bare.len < sizeof text && !memchr(bare.ptr, '\0', bare.len)) {
        memcpy(text, bare.ptr, bare.len);
        text[bare.len] = '\0';
        NetAddr addr = {0};
        if (bare.len == host.len && inet_pton(AF_INET, text, &addr.u.v4.sin_addr) == 1) {
            addr.u.v4.sin_family = AF_INET;
            addr.u.v4.sin_port = htons(port);
            addr.len = sizeof addr.u.v4;
            *ret_addr = addr;
            return 0;
        }
        if (inet_pton(AF_INET6, text, &addr.u.v6.sin6_addr) == 1) {
            addr.u.v6.sin6_family = AF_INET6;
            addr.u.v6.sin6_port = htons(port);
            addr.len = sizeof addr.u.v6;
            *ret_addr = addr;
            return 0;
        }
    }
    return err_set(e, ERR_PARSE, "'%.*s' is not an IP address", SLICE_FMT(host));
}

NetAddr net_addr_loopback(uint16_t port)
{
    NetAddr addr = {.len = sizeof addr.u.v4};
    addr.u.v4.sin_family = AF_INET;
    addr.u.v4.sin_port = htons(port);
    addr.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

NetAddr net_addr_loopback6(uint16_t port)
{
    NetAddr addr = {.len = sizeof addr.u.v6};
    addr.u.v6.sin6_family = AF_INET6;
    addr.u.v6.sin6_port = htons(port);
    addr.u.v6.sin6_addr = in6addr_loopback;
    return addr;
}

uint16_t net_addr_port(const NetAddr *addr)
{
    switch (addr->u.any.sa_family) {
    case AF_INET: return ntohs(addr->u.v4.sin_port);
    case AF_INET6: return ntohs(addr->u.v6.sin6_port);
    default: return 0;
    }
}

bool net_addr_is_loopback(const NetAddr *addr)
{
    if (addr->u.any.sa_family == AF_INET) {
        return ntohl(addr->u.v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (addr->u.any.sa_family == AF_INET6) {
        const struct in6_addr *ip = &addr->u.v6.sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
    }
    return false;
}

bool net_addr_eq(const NetAddr *a, const NetAddr *b)
{
    if (a->u.any.sa_family != b->u.any.sa_family) {
        return false;
    }
    if (a->u.any.sa_family == AF_INET) {
        return a->u.v4.sin_port == b->u.v4.sin_port &&
               a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
    }
    return a->u.v6.sin6_port == b->u.v6.sin6_port &&
           a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
           memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof a->u.v6.sin6_addr) == 0;
}

void net_addr_host(const NetAddr *addr, char out[NET_ADDR_TEXT_MAX])
{
    const void *ip = addr->u.any.sa_family == AF_INET ? (const void *)&addr->u.v4.sin_addr
                                                      : (const void *)&addr->u.v6.sin6_addr;
    if (addr->len == 0 || !inet_ntop(addr->u.any.sa_family, ip, out, NET_ADDR_TEXT_MAX)) {
        (void)snprintf(out, NET_ADDR_TEXT_MAX, "unknown");
    }
}

void net_addr_print(const NetAddr *addr, char out[NET_ADDR_TEXT_MAX])
{
    char host[NET_ADDR_TEXT_MAX];
    net_addr_host(addr, host);
    bool v6 = addr->u.any.sa_family == AF_INET6;
    (void)snprintf(out, NET_ADDR_TEXT_MAX, v6 ? "[%.60s]:%u" : "%.60s:%u", host,
                   net_addr_port(addr));
}
