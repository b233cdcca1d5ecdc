// k6's error codes (the tag error_code and the field of a response): one number for why a request
// failed. Source: k6's documentation, "Error codes", and reference notes of its v2 table.
#ifndef NET_ERROR_CODE_H
#define NET_ERROR_CODE_H

#include "base/err.h"

typedef enum NetErrorCode {
    NET_OK = 0,
    NET_ERROR = 1000,               // nothing more specific is known
    NET_ERROR_NON_TCP = 1010,       //
    NET_INVALID_URL = 1020,         //
    NET_TIMEOUT = 1050,             // the whole request took too long
    NET_DNS = 1100,                 //
    NET_DNS_NO_HOST = 1101,         //
    NET_BLOCKED_IP = 1110,          // the connect filter refused the address
    NET_BLOCKED_HOST = 1111,        // ... or the name
    NET_TCP = 1200,                 //
    NET_BROKEN_PIPE = 1201,         //
    NET_TCP_ERRNO = 1202,           // another error of the operating system
    NET_DIAL = 1210,                //
    NET_DIAL_TIMEOUT = 1211,        //
    NET_DIAL_REFUSED = 1212,        //
    NET_DIAL_ERRNO = 1213,          //
    NET_RESET = 1220,               // connection reset by peer
    NET_TLS = 1300,                 //
    NET_TLS_HEADER = 1301,          // the peer does not speak TLS
    NET_TLS_AUTHORITY = 1310,       // certificate of an unknown authority
    NET_TLS_HOSTNAME = 1311,        // certificate for another name
    NET_HTTP_4XX_FIRST = 1400,      // 1000 + status
    NET_HTTP_5XX_LAST = 1599,       //
    NET_H2_GOAWAY_FIRST = 1610,     // + 1 + RFC 9113 section 7's code: 1611 NO_ERROR ...
    NET_H2_STREAM_FIRST = 1630,     //
    NET_H2_CONNECTION_FIRST = 1650, //
    NET_DECOMPRESSION = 1701,       // the body does not decode as its Content-Encoding says
} NetErrorCode;

typedef enum NetPhase {
    NET_PHASE_RESOLVE,
    NET_PHASE_CONNECT,
    NET_PHASE_TLS,
    NET_PHASE_EXCHANGE,
} NetPhase;

// The code for a failure `rc` (ERR_*) in a phase, with the system's errno where there was one.
int net_error_code(NetPhase phase, int rc, int sys_errno);
// 0 below 400, else 1000 + status.
int net_error_code_of_status(int status);
// A few words ("connection refused"), "" for 0; literals.
const char *net_error_name(int code);

#endif
