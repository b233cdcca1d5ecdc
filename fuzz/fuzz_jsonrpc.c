// Properties: no crash; in pieces or whole the skim says the same; what parses as a message the
// skim took for one of the same kind and id (keys without escapes).
#include <assert.h>

#include "mcp/jsonrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int skim(Slice text, size_t step, RpcSkim *ret)
{
    *ret = rpc_skim(RPC_DEPTH_MAX);
    int rc = 0;
    for (size_t at = 0; at < text.len && rc == 0; at += step) {
        rc = rpc_skim_feed(ret, slice_sub(text, at, step), NULL);
    }
    return rc != 0 ? rc : rpc_skim_end(ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice text = {(const char *)data, size};
    RpcSkim whole;
    RpcSkim pieces;
    int rc = skim(text, size + 1, &whole);
    assert(skim(text, 3, &pieces) == rc);
    assert(rc != 0 || (whole.id == pieces.id && whole.has_id == pieces.has_id &&
                       whole.has_method == pieces.has_method));
    Arena *arena = arena_create(64 << 20);
    RpcMessage m;
    bool escaped = slice_find_byte(text, '\\') >= 0;
    if (rpc_parse(arena, text, NULL, &m, NULL) == 0 && !escaped) {
        bool marked = size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0;
        assert(rc == 0 || marked);
        bool answers = (m.kind == RPC_RESULT || m.kind == RPC_ERROR) && m.id.kind != RPC_ID_NONE;
        assert(rc != 0 || rpc_skim_is_answer(&whole) == answers);
        assert(rc != 0 || m.id.kind != RPC_ID_NUMBER || whole.id == m.id.number);
    }
    arena_destroy(arena);
    return 0;
}
