#include "guard/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_byte(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

// The rule of the URL Standard ("ends in a number"): then resolvers read all of it as IPv4.
static bool ends_in_number(Slice name)
{
    size_t from = name.len;
    while (from > 0 && name.ptr[from - 1] != '.') {
        from--;
    }
    Slice last = slice_sub(name, from, name.len);
    bool hexadecimal = last.len >= 2 && last.ptr[0] == '0' && (last.ptr[1] | 0x20) == 'x';
    for (size_t i = hexadecimal ? 2 : 0; i < last.len; i++) {
        if (hexadecimal ? !is_hex(last.ptr[i]) : !is_digit(last.ptr[i])) {
            return false;
        }
    }
    return last.len > 0;
}

static int parse_v6(Slice bare, Slice text, HostForm *host, Err *e)
{
    char c_text[INET6_ADDRSTRLEN];
    if (bare.len >= sizeof c_text || memchr(bare.ptr, '\0', bare.len)) {
        return err_set(e, ERR_ARG, "'%.*s' is no IPv6 address", SLICE_FMT(text));
    }
    memcpy(c_text, bare.ptr, bare.len);
    c_text[bare.len] = '\0';
    if (inet_pton(AF_INET6, c_text, host->ip) != 1) {
        return err_set(e, ERR_ARG,
                       "'%.*s' is no host: write a name or address without user info, port or zone",
                       SLICE_FMT(text));
    }
    host->is_address = true;
    return 0;
}

static int parse_v4(Slice name, Slice text, HostForm *host, Err *e)
{
    char c_text[INET6_ADDRSTRLEN];
    unsigned char v4[4];
    // inet_pton takes four decimal numbers and nothing else, not even leading zeros.
    if (name.len < sizeof c_text) {
        memcpy(c_text, name.ptr, name.len);
        c_text[name.len] = '\0';
        if (inet_pton(AF_INET, c_text, v4) == 1) {
            host->is_address = true;
            address_from_v4(v4, host->ip);
            return 0;
        }
    }
    return err_set(e, ERR_ARG,
                   "'%.*s' is an ambiguous way to write an IPv4 address: use four decimal numbers",
                   SLICE_FMT(text));
}

static int check_labels(Slice name, Slice text, Err *e)
{
    size_t label = 0;
    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.ptr[i] != '.') {
            if (!is_name_byte(name.ptr[i])) {
                bool ascii = (unsigned char)name.ptr[i] < 0x80;
                return err_set(e, ERR_ARG, "'%.*s' is no host: %s", SLICE_FMT(text),
                               ascii ? "write a name or address without user info, port or path"
                                     : "write names beyond ASCII as their xn-- form");
            }
            label++;
        } else if (label == 0 || label > 63) {
            return err_set(e, ERR_ARG, "'%.*s' is no host: a label is empty or over 63 bytes",
                           SLICE_FMT(text));
        } else {
            label = 0;
        }
    }
    return 0;
}

int host_parse(Slice text, HostForm *ret_host, Err *e)
{
    HostForm host = {0};
    Slice bare = text;
    if (bare.len >= 2 && bare.ptr[0] == '[' && bare.ptr[bare.len - 1] == ']') {
        bare = slice_sub(bare, 1, bare.len - 2);
    }
    int rc;
    if (bare.len > 0 && bare.len == text.len && bare.ptr[bare.len - 1] == '.') {
        bare.len--; // the root: "localhost." is localhost
    }
    if (bare.len == 0 || bare.len > HOST_NAME_MAX_BYTES) {
        return err_set(e, ERR_ARG, "a host name has 1 to %d bytes, this one has %zu",
                       HOST_NAME_MAX_BYTES, bare.len);
    }
    if (slice_find_byte(bare, ':') >= 0 || bare.ptr != text.ptr) {
        rc = parse_v6(bare, text, &host, e);
    } else if ((rc = check_labels(bare, text, e)) == 0 && ends_in_number(bare)) {
        rc = parse_v4(bare, text, &host, e);
    } else if (rc == 0) {
        for (size_t i = 0; i < bare.len; i++) {
            char c = bare.ptr[i];
            host.name[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        }
        host.name_len = bare.len;
    }
    if (rc == 0) {
        *ret_host = host;
    }
    return rc;
}

int host_parse_pattern(Slice text, HostForm *ret_host, Err *e)
{
    if (!slice_starts_with(text, SLICE("*."))) {
        return host_parse(text, ret_host, e);
    }
    HostForm suffix = {0};
    int rc = host_parse(slice_sub(text, 2, text.len), &suffix, e);
    if (rc != 0) {
        return rc;
    }
    // "*.com" would declare half of the world.
    if (suffix.is_address || !memchr(suffix.name, '.', suffix.name_len)) {
        return err_set(e, ERR_ARG, "'%.*s' is too wide: a wildcard needs two labels behind it",
                       SLICE_FMT(text));
    }
    if (suffix.name_len + 1 > HOST_NAME_MAX_BYTES) {
        return err_set(e, ERR_ARG, "'%.60s...' is longer than any name can be", suffix.name);
    }
    memmove(suffix.name + 1, suffix.name, suffix.name_len);
    suffix.name[0] = '.';
    suffix.name_len++;
    suffix.is_wildcard = true;
    *ret_host = suffix;
    return 0;
}

static Slice name_of(const HostForm *host)
{
    return (Slice){host->name, host->name_len};
}

bool host_matches(const HostForm *pattern, const HostForm *host)
{
    if (pattern->is_address || host->is_address) {
        return pattern->is_address && host->is_address &&
               memcmp(pattern->ip, host->ip, HOST_IP_BYTES) == 0;
    }
    if (pattern->is_wildcard) {
        return host->name_len > pattern->name_len &&
               slice_ends_with(name_of(host), name_of(pattern));
    }
    return slice_eq(name_of(pattern), name_of(host));
}

bool host_is_loopback(const HostForm *host)
{
    if (host->is_address) {
        return address_class(host->ip) == ADDRESS_LOOPBACK;
    }
    return slice_eq_cstr(name_of(host), "localhost") ||
           slice_ends_with(name_of(host), SLICE(".localhost"));
}

bool host_is_metadata_name(const HostForm *host)
{
    // From the vendors' pages on instance metadata: Google, AWS, Azure, Equinix, Tencent.
    static const Slice names[] = {
        SLICE_INIT("metadata"),
        SLICE_INIT("metadata.google.internal"),
        SLICE_INIT("metadata.goog"),
        SLICE_INIT("instance-data"),
        SLICE_INIT("instance-data.ec2.internal"),
        SLICE_INIT("metadata.azure.internal"),
        SLICE_INIT("metadata.platformequinix.com"),
        SLICE_INIT("metadata.packet.net"),
        SLICE_INIT("metadata.tencentyun.com"),
    };
    for (size_t i = 0; i < COUNT_OF(names) && !host->is_address; i++) {
        if (slice_eq(names[i], name_of(host))) {
            return true;
        }
    }
    return false;
}

// ---- addresses

static const unsigned char V4_MAPPED[12] = {[10] = 0xff, [11] = 0xff};

void address_from_v4(const unsigned char v4[4], unsigned char ret_ip[HOST_IP_BYTES])
{
    memcpy(ret_ip, V4_MAPPED, sizeof V4_MAPPED);
    memcpy(ret_ip + sizeof V4_MAPPED, v4, 4);
}

static AddressClass class_of_v4(const unsigned char v4[4])
{
    static const unsigned char metadata[][4] = {
        {169, 254, 169, 254}, // nearly all clouds
        {169, 254, 170, 2},   // AWS: credentials of ECS tasks
        {169, 254, 170, 23},  // AWS: EKS pod identity
        {169, 254, 0, 23},    // Tencent
        {168, 63, 129, 16},   // Azure: wire server
        {100, 100, 100, 200}, // Alibaba
        {192, 0, 0, 192},     // Oracle
    };
    for (size_t i = 0; i < COUNT_OF(metadata); i++) {
        if (memcmp(v4, metadata[i], 4) == 0) {
            return ADDRESS_METADATA;
        }
    }
    if (v4[0] == 0) { // RFC 1122 section 3.2.1.3: all of 0/8 means "this host"
        return ADDRESS_UNSPECIFIED;
    }
    if (v4[0] == 127) {
        return ADDRESS_LOOPBACK;
    }
    if (v4[0] == 169 && v4[1] == 254) {
        return ADDRESS_LINK_LOCAL;
    }
    if (v4[0] >= 224 && v4[0] <= 239) {
        return ADDRESS_MULTICAST;
    }
    static const unsigned char broadcast[4] = {255, 255, 255, 255};
    return memcmp(v4, broadcast, 4) == 0 ? ADDRESS_BROADCAST : ADDRESS_ORDINARY;
}

static bool has_prefix(const unsigned char *ip, const unsigned char *prefix, size_t bytes)
{
    return memcmp(ip, prefix, bytes) == 0;
}

// The class of an IPv4 address that something on the way would take out of `ip`. Loopback counts as
// ordinary there: it would be the loopback of another machine.
static AddressClass class_of_carried(const unsigned char ip[HOST_IP_BYTES])
{
    static const unsigned char zero[16] = {0};
    static const unsigned char translated[12] = {[8] = 0xff, [9] = 0xff};    // RFC 2765
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};         // RFC 6052
    static const unsigned char nat64_local[6] = {0, 0x64, 0xff, 0x9b, 0, 1}; // RFC 8215
    static const unsigned char teredo[4] = {0x20, 0x01, 0, 0};               // RFC 4380
    unsigned char v4[4];
    AddressClass class = ADDRESS_ORDINARY;
    if (has_prefix(ip, zero, 12) || has_prefix(ip, translated, 12) || has_prefix(ip, nat64, 12)) {
        class = class_of_v4(ip + 12);
    } else if (has_prefix(ip, nat64_local, 6)) {
        // Networks use a /96 below it, or the /48 itself with the address around byte 8. Whichever
        // was meant, the other reads as 0/8 or as noise that is in no class.
        const unsigned char split[4] = {ip[6], ip[7], ip[9], ip[10]};
        AddressClass other = class_of_v4(split);
        class = class_of_v4(ip + 12);
        if (class == ADDRESS_UNSPECIFIED ||
            (class == ADDRESS_ORDINARY && other != ADDRESS_UNSPECIFIED)) {
            class = other;
        }
    } else if (ip[0] == 0x20 && ip[1] == 0x02) { // 6to4, RFC 3056
        class = class_of_v4(ip + 2);
    } else if (has_prefix(ip, teredo, 4)) {
        for (size_t i = 0; i < 4; i++) {
            v4[i] = ip[12 + i] ^ 0xff;
        }
        class = class_of_v4(v4);
    } else if ((ip[8] & 0xfd) == 0 && ip[9] == 0 && ip[10] == 0x5e && ip[11] == 0xfe) {
        class = class_of_v4(ip + 12); // ISATAP, RFC 5214 section 6.1
    }
    return class == ADDRESS_LOOPBACK ? ADDRESS_ORDINARY : class;
}

AddressClass address_class(const unsigned char ip[HOST_IP_BYTES])
{
    static const unsigned char zero[16] = {0};
    static const unsigned char loopback[16] = {[15] = 1};
    static const unsigned char metadata[][16] = {
        {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, // AWS: instance metadata
        {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23},              // AWS: EKS pod identity
        {0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}, // Google
    };
    if (has_prefix(ip, V4_MAPPED, sizeof V4_MAPPED)) {
        return class_of_v4(ip + 12);
    }
    for (size_t i = 0; i < COUNT_OF(metadata); i++) {
        if (has_prefix(ip, metadata[i], 16)) {
            return ADDRESS_METADATA;
        }
    }
    if (has_prefix(ip, zero, 16)) {
        return ADDRESS_UNSPECIFIED;
    }
    if (has_prefix(ip, loopback, 16)) {
        return ADDRESS_LOOPBACK;
    }
    AddressClass carried = class_of_carried(ip);
    if (carried != ADDRESS_ORDINARY) {
        return carried;
    }
    if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) {
        return ADDRESS_LINK_LOCAL;
    }
    return ip[0] == 0xff ? ADDRESS_MULTICAST : ADDRESS_ORDINARY;
}

const char *address_class_name(AddressClass class)
{
    switch (class) {
    case ADDRESS_ORDINARY: return "an ordinary address";
    case ADDRESS_LOOPBACK: return "a loopback address";
    case ADDRESS_METADATA: return "a cloud metadata address";
    case ADDRESS_LINK_LOCAL: return "a link-local address";
    case ADDRESS_MULTICAST: return "a multicast address";
    case ADDRESS_UNSPECIFIED: return "an unspecified address";
    case ADDRESS_BROADCAST: return "the broadcast address";
    }
    return "an unknown address";
}
