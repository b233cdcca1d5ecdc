// The broker's rules: usage is the same however an answer is cut; what passes is a plain path of
// the protocol's own; a body that passes names no web tool.
#include <assert.h>

#include "improve/broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 << 10 };

static void check_usage(Slice text, size_t piece)
{
    BrokerUsage whole = {0}, parts = {0};
    broker_usage_push(&whole, text);
    for (Slice left = text; left.len > 0;) {
        broker_usage_push(&parts, slice_sub(left, 0, piece));
        left = slice_sub(left, piece, left.len);
    }
    // A number at the very end may go on in what was not seen: neither counts it.
    assert(whole.known == parts.known && whole.input == parts.input);
    assert(whole.output == parts.output && whole.cached == parts.cached);
    assert(whole.input >= 0 && whole.output >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > INPUT_MAX) {
        return 0;
    }
    Slice text = {(const char *)data + 2, size - 2}, target, rest;
    LlmProtocol protocol = (LlmProtocol)(data[0] % LLM_PROTOCOLS);
    const char *why = NULL;
    (void)slice_cut(text, '\n', &target, &rest);
    int status = broker_check(protocol, SLICE(""), SLICE("POST"), target, SLICE("127.0.0.1"), &why);
    if (status == 0) {
        Slice path, query;
        (void)slice_cut(target, '?', &path, &query);
        assert(path.len > 0 && path.ptr[0] == '/' && slice_find(path, SLICE("..")) < 0);
        assert(slice_find_byte(path, '%') < 0 && slice_find_byte(path, '\\') < 0);
        assert(slice_find_byte(path, '\r') < 0 && slice_find_byte(path, ' ') < 0);
    } else {
        assert(why);
    }
    check_usage(text, 1 + data[1] % 50);
    Arena *arena = arena_create(256 << 20);
    BrokerAsk ask = {0};
    if (broker_read_ask(arena, text, false, &ask, NULL) == 0) {
        assert(ask.output_max > 0 && ask.input_tokens > 0);
    }
    arena_destroy(arena);
    return 0;
}
