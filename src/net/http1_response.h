// The fast HTTP/1 response parser behind http1.h. Used by http1.c only.
#ifndef NET_HTTP1_RESPONSE_H
#define NET_HTTP1_RESPONSE_H

#include "net/http1.h"

void http1_response_begin(Http1Parser *p);
MUST_USE int http1_response_parse(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e);
MUST_USE int http1_response_eof(Http1Parser *p, Err *e);

#endif
