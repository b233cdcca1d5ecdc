#include "net/error_code.h"

#include <errno.h>

static int code_of_connect(int rc, int sys_errno)
{
    if (rc == ERR_REFUSED) {
        return NET_BLOCKED_IP;
    }
    if (rc == ERR_TIMEOUT || sys_errno == ETIMEDOUT) {
        return NET_DIAL_TIMEOUT;
    }
    if (sys_errno == ECONNREFUSED) {
        return NET_DIAL_REFUSED;
    }
    return sys_errno != 0 ? NET_DIAL_ERRNO : NET_DIAL;
}

static int code_of_exchange(int rc, int sys_errno)
{
    switch (sys_errno) {
    case 0: return rc == ERR_TIMEOUT ? NET_TIMEOUT : rc == ERR_TLS ? NET_TLS : NET_ERROR;
    case EPIPE: return NET_BROKEN_PIPE;
    case ECONNRESET: return NET_RESET;
    default: return NET_TCP_ERRNO;
    }
}

int net_error_code(NetPhase phase, int rc, int sys_errno)
{
    if (rc == 0) {
        return NET_OK;
    }
    switch (phase) {
    case NET_PHASE_RESOLVE:
        return rc == ERR_NOT_FOUND ? NET_DNS_NO_HOST
               : rc == ERR_REFUSED ? NET_BLOCKED_HOST
                                   : NET_DNS;
    case NET_PHASE_CONNECT: return code_of_connect(rc, sys_errno);
    case NET_PHASE_TLS: return rc == ERR_TIMEOUT ? NET_TIMEOUT : NET_TLS;
    case NET_PHASE_EXCHANGE: return code_of_exchange(rc, sys_errno);
    }
    return NET_ERROR;
}

int net_error_code_of_status(int status)
{
    return status >= 400 && status <= 599 ? NET_ERROR + status : NET_OK;
}

const char *net_error_name(int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {NET_OK, ""},
        {NET_ERROR, "request failed"},
        {NET_ERROR_NON_TCP, "network error that is not TCP's"},
        {NET_INVALID_URL, "invalid URL"},
        {NET_TIMEOUT, "request timed out"},
        {NET_DNS, "name lookup failed"},
        {NET_DNS_NO_HOST, "no such host"},
        {NET_BLOCKED_IP, "address refused by a guard rail"},
        {NET_BLOCKED_HOST, "host refused by a guard rail"},
        {NET_TCP, "TCP error"},
        {NET_BROKEN_PIPE, "broken pipe"},
        {NET_TCP_ERRNO, "TCP error of the system"},
        {NET_DIAL, "cannot connect"},
        {NET_DIAL_TIMEOUT, "connecting timed out"},
        {NET_DIAL_REFUSED, "connection refused"},
        {NET_DIAL_ERRNO, "cannot connect (system error)"},
        {NET_RESET, "connection reset by peer"},
        {NET_TLS, "TLS error"},
        {NET_TLS_HEADER, "peer does not speak TLS"},
        {NET_TLS_AUTHORITY, "certificate signed by unknown authority"},
        {NET_TLS_HOSTNAME, "certificate is not for this host"},
        {NET_DECOMPRESSION, "body does not decompress"},
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return code >= 1650   ? "HTTP/2 connection error"
           : code >= 1630 ? "HTTP/2 stream error"
           : code >= 1610 ? "HTTP/2 GOAWAY"
           : code >= 1500 ? "HTTP 5xx"
           : code >= 1400 ? "HTTP 4xx"
                          : "unknown error";
}
