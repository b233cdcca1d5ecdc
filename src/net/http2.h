// HTTP/2 (RFC 9113) over nghttp2: what the client's and the server's codec share. Used by the
// room's own files only; from outside, HTTP/2 is chosen by ALPN or by HttpOrigin.h2c and looks like
// HTTP/1 (docs/internals/http2.md).
#ifndef NET_HTTP2_H
#define NET_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "net/http_head.h"
#include "net/stream.h"

enum {
    HTTP2_STREAMS_MAX = 100,       // a peer may have open at once
    HTTP2_WINDOW = (1 << 30) - 1,  // of a client: never what a measurement waits for
    HTTP2_SERVER_WINDOW = 1 << 20, // of a server's connection and streams
    HTTP2_CONTINUATIONS_MAX = 8,   // more frames of one head; newer nghttp2 has the same limit
    HTTP2_INTERIM_MAX = 16,        // 1xx heads before the real one
    HTTP2_CODE_UNKNOWN = 14,       // above the codes of RFC 9113 section 7
};

// Memory for nghttp2: it allocates and frees some twenty small blocks for each request, and always
// the same sizes. Blocks that were freed are kept by size for the next request of any connection of
// this thread.
typedef struct Http2Memory Http2Memory;
Http2Memory *http2_memory_create(void);
void http2_memory_destroy(Http2Memory *memory); // after all sessions; NULL is fine
nghttp2_mem *http2_memory_allocator(Http2Memory *memory);

// Writes every frame that is ready. Parks where the socket is full. `buffer` of `size` bytes joins
// frames into one system call.
MUST_USE int http2_write_frames(nghttp2_session *session, Stream *stream, char *buffer, size_t size,
                                Err *e);

// What a connection remembers about frames, fed by http2_begin_frame from on_begin_frame.
typedef struct Http2Guard {
    int continuations;
} Http2Guard;

// False when the peer cut a head into too many frames: end the session with ENHANCE_YOUR_CALM.
bool http2_guard_frame(Http2Guard *guard, const nghttp2_frame_hd *hd);

// k6's code for an HTTP/2 error code: `first` is one of NET_H2_*_FIRST, which stands for an unknown
// one; NO_ERROR follows it, and so on.
int http2_error_code(int first, uint32_t code);

// Puts a received field into the head. Pseudo fields go to their places. ERR_LIMIT past a limit.
MUST_USE int http2_head_field(HttpHead *head, Slice name, Slice value);

// Fields of HTTP/1 that have no meaning here (RFC 9113 section 8.2.2) or are said otherwise.
bool http2_is_connection_field(Slice name);

static inline Slice http2_slice(const uint8_t *bytes, size_t len)
{
    return (Slice){(const char *)bytes, len};
}
// nghttp2 copies and does not write through it.
static inline nghttp2_nv http2_nv(Slice name, Slice value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
                        .value = (uint8_t *)(uintptr_t)value.ptr,
                        .namelen = name.len,
                        .valuelen = value.len};
}

#endif
