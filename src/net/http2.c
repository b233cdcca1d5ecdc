#include "net/http2.h"

#include <assert.h>

#include "net/error_code.h"

// ---- memory

enum {
    BLOCK_STEP = 64,      // sizes are rounded up to this
    BLOCK_CLASSES = 32,   // blocks of up to 2 KiB are kept
    BLOCKS_KEPT_MAX = 256 // of each size
};

// Before each block; its size keeps what follows aligned for anything.
typedef struct Block {
    struct Block *next; // while it is free
    size_t class;       // BLOCK_CLASSES: given back to the system
} Block;

struct Http2Memory {
    nghttp2_mem allocator;
    Block *kept[BLOCK_CLASSES];
    int kept_count[BLOCK_CLASSES];
};

static void *block_alloc(size_t bytes, void *user)
{
    Http2Memory *m = user;
    size_t class = (bytes + BLOCK_STEP - 1) / BLOCK_STEP;
    if (class >= BLOCK_CLASSES) {
        Block *large = mem_alloc(sizeof *large + bytes);
        large->class = BLOCK_CLASSES;
        return large + 1;
    }
    Block *block = m->kept[class];
    if (block) {
        m->kept[class] = block->next;
        m->kept_count[class]--;
    } else {
        block = mem_alloc(sizeof *block + class * BLOCK_STEP);
        block->class = class;
    }
    return block + 1;
}

static void block_free(void *pointer, void *user)
{
    Http2Memory *m = user;
    if (!pointer) {
        return;
    }
    Block *block = (Block *)pointer - 1;
    size_t class = block->class;
    if (class == BLOCK_CLASSES || m->kept_count[class] == BLOCKS_KEPT_MAX) {
        free(block);
        return;
    }
    block->next = m->kept[class];
    m->kept[class] = block;
    m->kept_count[class]++;
}

static void *block_calloc(size_t count, size_t bytes, void *user)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) {
        return NULL;
    }
    void *pointer = block_alloc(total, user);
    memset(pointer, 0, total);
    return pointer;
}

static void *block_realloc(void *pointer, size_t bytes, void *user)
{
    if (!pointer) {
        return block_alloc(bytes, user);
    }
    Block *block = (Block *)pointer - 1;
    if (block->class == BLOCK_CLASSES) {
        block = mem_realloc(block, sizeof *block + bytes);
        return block + 1;
    }
    size_t room = block->class * BLOCK_STEP;
    if (bytes <= room) {
        return pointer;
    }
    void *larger = block_alloc(bytes, user);
    memcpy(larger, pointer, room);
    block_free(pointer, user);
    return larger;
}

Http2Memory *http2_memory_create(void)
{
    Http2Memory *m = mem_zalloc(sizeof *m);
    m->allocator = (nghttp2_mem){.mem_user_data = m,
                                 .malloc = block_alloc,
                                 .free = block_free,
                                 .calloc = block_calloc,
                                 .realloc = block_realloc};
    return m;
}

void http2_memory_destroy(Http2Memory *m)
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < BLOCK_CLASSES; i++) {
        while (m->kept[i]) {
            Block *block = m->kept[i];
            m->kept[i] = block->next;
            free(block);
        }
    }
    free(m);
}

nghttp2_mem *http2_memory_allocator(Http2Memory *m)
{
    return &m->allocator;
}

// ---- frames

int http2_write_frames(nghttp2_session *session, Stream *stream, char *buffer, size_t size, Err *e)
{
    size_t len = 0;
    for (;;) {
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(session, &frame);
        if (n < 0) {
            die("http2: cannot write frames: %s", nghttp2_strerror((int)n));
        }
        if (len > 0 && (n == 0 || len + (size_t)n > size)) {
            int rc = stream_write_all(stream, (Slice){buffer, len}, e);
            if (rc != 0) {
                return rc;
            }
            len = 0;
        }
        if (n == 0) {
            return 0;
        }
        if ((size_t)n > size) {
            int rc = stream_write_all(stream, http2_slice(frame, (size_t)n), e);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        memcpy(buffer + len, frame, (size_t)n);
        len += (size_t)n;
    }
}

bool http2_guard_frame(Http2Guard *guard, const nghttp2_frame_hd *hd)
{
    if (hd->type != NGHTTP2_CONTINUATION) {
        guard->continuations = 0;
        return true;
    }
    return ++guard->continuations <= HTTP2_CONTINUATIONS_MAX;
}

int http2_error_code(int first, uint32_t code)
{
    return code < HTTP2_CODE_UNKNOWN ? first + 1 + (int)code : first;
}

static int pseudo_field(HttpHead *head, Slice name, Slice value)
{
    if (slice_eq_cstr(name, ":status")) {
        int64_t status = 0;
        if (value.len != 3 || slice_to_i64(value, &status) != 0) {
            return ERR_PROTOCOL;
        }
        head->status = (int)status;
        head->version_major = 2;
        head->keep_alive = true;
    }
    return 0;
}

int http2_head_field(HttpHead *head, Slice name, Slice value)
{
    if (name.len > 0 && name.ptr[0] == ':') {
        return pseudo_field(head, name, value);
    }
    // nghttp2 checked that the numbers agree with each other and with the body.
    if (name.len == 14 && memcmp(name.ptr, "content-length", 14) == 0 &&
        slice_to_i64(value, &head->content_length) != 0) {
        return ERR_PROTOCOL;
    }
    return http_head_add(head, name, value);
}

bool http2_is_connection_field(Slice name)
{
    switch (name.len) {
    case 2: return slice_eq_nocase(name, SLICE("te"));
    case 4: return slice_eq_nocase(name, SLICE("host"));
    case 7: return slice_eq_nocase(name, SLICE("upgrade"));
    case 10:
        return slice_eq_nocase(name, SLICE("connection")) ||
               slice_eq_nocase(name, SLICE("keep-alive"));
    case 16: return slice_eq_nocase(name, SLICE("proxy-connection"));
    case 17: return slice_eq_nocase(name, SLICE("transfer-encoding"));
    default: return false;
    }
}
