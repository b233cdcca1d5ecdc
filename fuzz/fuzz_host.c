// Hosts of the guard: whatever passes has one form, and that form means the same when read again.
#include "guard/host.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz host: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice text = {(const char *)data, size};
    HostForm host, again;
    Err e = {0};
    if (host_parse_pattern(text, &host, NULL) == 0 && host.is_wildcard) {
        require(!host_is_loopback(&host) || host.name_len > 10, "a wildcard over loopback");
    }
    if (host_parse(text, &host, &e) != 0) {
        require(e.text[0] != '\0', "a refusal without words");
        return 0;
    }
    char printed[300];
    if (host.is_address) {
        require(inet_ntop(AF_INET6, host.ip, printed, sizeof printed) != NULL, "unprintable");
        require(address_class_name(address_class(host.ip))[0] == 'a' ||
                    address_class(host.ip) == ADDRESS_BROADCAST,
                "a class without a name");
        // What the system's own lenient reader makes of the same text must be the same address.
        struct in_addr lenient;
        char c_text[64];
        if (size < sizeof c_text && !memchr(data, ':', size)) {
            (void)snprintf(c_text, sizeof c_text, "%.*s", SLICE_FMT(text));
            size_t len = strlen(c_text);
            c_text[len - (c_text[len - 1] == '.')] = '\0';
            require(inet_aton(c_text, &lenient) == 1 && memcmp(&lenient, host.ip + 12, 4) == 0,
                    "read differently by inet_aton");
        }
    } else {
        require(host.name_len > 0 && host.name_len <= HOST_NAME_MAX_BYTES, "a length");
        struct in_addr lenient;
        require(inet_aton(host.name, &lenient) == 0, "a name that inet_aton takes for an address");
        memcpy(printed, host.name, host.name_len + 1);
    }
    require(host_parse(slice_from_cstr(printed), &again, NULL) == 0, "its own form is refused");
    require(host_matches(&host, &again) && host_matches(&again, &host), "its own form differs");
    return 0;
}
