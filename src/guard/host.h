// Hosts as the guard sees them: one form for each, whatever tricks it was written with.
//
// Two texts that reach the same machine must look the same here, and a text whose meaning depends
// on who reads it (0177.0.0.1, 2130706433, full-width digits) must not pass at all: what the guard
// compares has to be what the resolver and the kernel get.
#ifndef GUARD_HOST_H
#define GUARD_HOST_H

#include "base/err.h"
#include "base/slice.h"

enum { HOST_NAME_MAX_BYTES = 253, HOST_IP_BYTES = 16 }; // RFC 1035 section 2.3.4, as text

typedef struct HostForm {
    bool is_address;
    bool is_wildcard;                   // only from host_parse_pattern: "*.example.test"
    unsigned char ip[HOST_IP_BYTES];    // is_address: IPv6, or IPv4 mapped into it
    char name[HOST_NAME_MAX_BYTES + 1]; // else: lower case, no dot at the end; wildcard: ".suffix"
    size_t name_len;
} HostForm;

// A host as in a URL: a name in ASCII, a dotted IPv4 address, an IPv6 address with or without
// brackets. ERR_ARG with what is wrong: user info, port, zone, characters that no host has, names
// beyond ASCII, IPv4 in octal, hexadecimal, short or as one number.
MUST_USE int host_parse(Slice text, HostForm *ret_host, Err *e);
// The same for what an environment declares, where "*.suffix" stands for every name below a suffix
// of at least two labels.
MUST_USE int host_parse_pattern(Slice text, HostForm *ret_host, Err *e);
bool host_matches(const HostForm *pattern, const HostForm *host);

// localhost and names below it (RFC 6761 section 6.3), 127.0.0.0/8, ::1, IPv4-mapped loopback.
bool host_is_loopback(const HostForm *host);
// Names under which clouds serve instance credentials.
bool host_is_metadata_name(const HostForm *host);

typedef enum AddressClass {
    ADDRESS_ORDINARY,
    ADDRESS_LOOPBACK,
    ADDRESS_METADATA,
    ADDRESS_LINK_LOCAL,
    ADDRESS_MULTICAST,
    ADDRESS_UNSPECIFIED,
    ADDRESS_BROADCAST,
} AddressClass;

// The class of an address, or the worst one of the IPv4 addresses that it carries inside: mapped,
// compatible, translated, NAT64, 6to4, Teredo, ISATAP.
AddressClass address_class(const unsigned char ip[HOST_IP_BYTES]);
// "a link-local address"
const char *address_class_name(AddressClass class);
void address_from_v4(const unsigned char v4[4], unsigned char ret_ip[HOST_IP_BYTES]);

#endif
