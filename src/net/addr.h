// NetAddr: a socket address by value (IPv4, IPv6 or a Unix path), and its text.
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct NetAddr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } u;
    socklen_t len; // 0: no address
} NetAddr;

// The longest text: "[ffff:...:255.255.255.255%scope]:65535" and the NUL.
enum { NET_ADDR_TEXT_MAX = 80 };

// A numeric IPv4 or IPv6 address, the latter with or without brackets. ERR_PARSE for anything else
// (names are the resolver's).
MUST_USE int net_addr_parse(Slice host, uint16_t port, NetAddr *ret_addr, Err *e);
// 127.0.0.1 and ::1.
NetAddr net_addr_loopback(uint16_t port);
NetAddr net_addr_loopback6(uint16_t port);

uint16_t net_addr_port(const NetAddr *addr);
bool net_addr_is_loopback(const NetAddr *addr); // an IPv4 address mapped into IPv6 counts
bool net_addr_eq(const NetAddr *a, const NetAddr *b);
// "127.0.0.1" or "::1".
void net_addr_host(const NetAddr *addr, char out[NET_ADDR_TEXT_MAX]);
// "127.0.0.1:80" or "[::1]:80".
void net_addr_print(const NetAddr *addr, char out[NET_ADDR_TEXT_MAX]);

#endif
