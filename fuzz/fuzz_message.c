// Properties: no crash; what was read is written in a form that reads back and is written the same
// again, copies included, and has the fields of its type only.
#include <assert.h>

#include "manage/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_create(2 * (size_t)MESSAGE_ARENA_MAX);
    Message m, back;
    if (message_read(arena, (Slice){(const char *)data, size}, &m, NULL) == 0) {
        // Text may grow sixfold by escapes, and is bounded by what was read.
        Buf one = buf_create(8 * (size_t)MESSAGE_BYTES_MAX), two = one;
        message_write(&m, &one);
        assert(!one.overflowed);
        if (one.len <= MESSAGE_BYTES_MAX) {
            assert(message_read(arena, buf_slice(&one), &back, NULL) == 0);
            Message copy = message_copy(arena, &back);
            message_write(&copy, &two);
            assert(slice_eq(buf_slice(&one), buf_slice(&two)));
            assert(back.change_count == m.change_count);
            for (size_t i = 0; i < m.change_count; i++) {
                assert(message_place(m.changes[i].param).len > 0);
            }
        }
        buf_done(&one);
        buf_done(&two);
    }
    arena_destroy(arena);
    return 0;
}
