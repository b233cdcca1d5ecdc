#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mcp/jsonrpc.h"

typedef struct Case {
    const char *name;
    Slice text;
    int rc; // of rpc_parse
    RpcKind kind;
    int64_t id;  // 0: none
    bool answer; // what the skim says, where it says anything
} Case;

// The examples of jsonrpc.org/specification, section 7, and what MCP makes of them: batches are
// gone, params are named, the id of a request is not null.
static const Case CASES[] = {
    {"request",
     SLICE_INIT("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
                "{\"minuend\": 42, \"subtrahend\": 23}, \"id\": 3}"),
     0, RPC_REQUEST, 3, false},
    {"result", SLICE_INIT("{\"jsonrpc\": \"2.0\", \"result\": {\"v\": 19}, \"id\": 3}"), 0,
     RPC_RESULT, 3, true},
    {"notification", SLICE_INIT("{\"jsonrpc\": \"2.0\", \"method\": \"foobar\"}"), 0,
     RPC_NOTIFICATION, 0, false},
    {"error",
     SLICE_INIT("{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32601, \"message\": "
                "\"Method not found\"}, \"id\": 1}"),
     0, RPC_ERROR, 1, true},
    {"error without id",
     SLICE_INIT("{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32700, "
                "\"message\": \"Parse error\"}, \"id\": null}"),
     0, RPC_ERROR, 0, false},
    {"result is a number", SLICE_INIT("{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 1}"),
     ERR_PROTOCOL, 0, 1, true},
    {"result without id", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"result\":{}}"), ERR_PROTOCOL, 0, 0,
     false},
    {"positional params",
     SLICE_INIT("{\"jsonrpc\": \"2.0\", \"method\": \"s\", \"params\": [42, 23], \"id\": 1}"),
     ERR_PROTOCOL, 0, 1, false},
    {"version 1", SLICE_INIT("{\"method\": \"echo\", \"params\": {}, \"id\": 1}"), ERR_PROTOCOL, 0,
     1, false},
    {"both", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{\"code\":1}}"),
     ERR_PROTOCOL, 0, 1, true},
    {"none", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":1}"), ERR_PROTOCOL, 0, 1, false},
    {"null id of a request", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}"),
     ERR_PROTOCOL, 0, 0, false},
    {"fractional id", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}"), ERR_PROTOCOL,
     0, 0, false},
    {"id is an object", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}"), ERR_PROTOCOL,
     0, 0, true},
    {"method is empty", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"method\":\"\"}"), ERR_PROTOCOL, 0, 0,
     false},
    {"error without code", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}"), ERR_PROTOCOL,
     0, 1, true},
    {"a key twice", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"result\":{}}"), ERR_PARSE,
     0, 2, true},
    {"id inside of the result does not count",
     SLICE_INIT(
         "{\"result\":{\"id\":9,\"method\":\"x\",\"error\":1},\"jsonrpc\":\"2.0\",\"id\":4}"),
     0, RPC_RESULT, 4, true},
    {"brackets and quotes in texts",
     SLICE_INIT("{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"a\":\"}]\\\"{\\\\\"}}"), 0, RPC_RESULT,
     5, true},
    {"blanks", SLICE_INIT(" \t{ \"jsonrpc\" : \"2.0\" , \"id\" : 6 , \"result\" : { } } \r\n"), 0,
     RPC_RESULT, 6, true},
    {"id last", SLICE_INIT("{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":7}"), 0, RPC_RESULT, 7, true},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        Arena *arena = arena_create(1 << 20);
        RpcMessage m;
        int rc = rpc_parse(arena, c->text, NULL, &m, NULL);
        if (rc != c->rc || (rc == 0 && (m.kind != c->kind || m.id.number != c->id))) {
            fail_msg("%s: %d, kind %d, id %lld", c->name, rc, rc ? -1 : (int)m.kind,
                     rc ? -1LL : (long long)m.id.number);
        }
        arena_destroy(arena);
        for (size_t step = 1; step <= c->text.len; step++) {
            RpcSkim s = rpc_skim(RPC_DEPTH_MAX);
            for (size_t at = 0; at < c->text.len; at += step) {
                assert_int_equal(rpc_skim_feed(&s, slice_sub(c->text, at, step), NULL), 0);
            }
            assert_int_equal(rpc_skim_end(&s, NULL), 0);
            if (rpc_skim_is_answer(&s) != c->answer || (s.id_is_number ? s.id : 0) != c->id) {
                fail_msg("%s: skim in steps of %zu: answer %d, id %lld", c->name, step,
                         rpc_skim_is_answer(&s), s.id_is_number ? (long long)s.id : 0LL);
            }
        }
    }
}

static void test_what_is_no_object(void **state)
{
    (void)state;
    const Slice texts[] = {SLICE("[1]"), SLICE("x"),  SLICE("\"a\""), SLICE("{}{}"),
                           SLICE("{}}"), SLICE("12"), SLICE("{} x")};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        RpcSkim s = rpc_skim(RPC_DEPTH_MAX);
        assert_int_equal(rpc_skim_feed(&s, texts[i], NULL), ERR_PARSE);
    }
    const Slice cut[] = {SLICE(""), SLICE(" "), SLICE("{"), SLICE("{\"a\":\"}"),
                         SLICE("{\"a\":[}")};
    for (size_t i = 0; i < COUNT_OF(cut); i++) {
        RpcSkim s = rpc_skim(RPC_DEPTH_MAX);
        assert_int_equal(rpc_skim_feed(&s, cut[i], NULL), 0);
        assert_int_equal(rpc_skim_end(&s, NULL), ERR_PARSE);
    }
}

static void test_depth_at_its_edge(void **state)
{
    (void)state;
    for (int depth = 9; depth <= 11; depth++) {
        Buf text = buf_create(4096);
        buf_puts(&text, "{\"a\":");
        for (int i = 1; i < depth; i++) {
            buf_putc(&text, '[');
        }
        RpcSkim s = rpc_skim(10);
        assert_int_equal(rpc_skim_feed(&s, buf_slice(&text), NULL), depth > 10 ? ERR_LIMIT : 0);
        buf_done(&text);
    }
}

static void test_id_text_at_its_edge(void **state)
{
    (void)state;
    for (size_t len = RPC_ID_BYTES_MAX; len <= RPC_ID_BYTES_MAX + 1; len++) {
        Buf text = buf_create(4096);
        buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"");
        for (size_t i = 0; i < len; i++) {
            buf_putc(&text, 'x');
        }
        buf_puts(&text, "\"}");
        Arena *arena = arena_create(1 << 20);
        RpcMessage m;
        int rc = rpc_parse(arena, buf_slice(&text), NULL, &m, NULL);
        assert_int_equal(rc, len > RPC_ID_BYTES_MAX ? ERR_PROTOCOL : 0);
        arena_destroy(arena);
        buf_done(&text);
    }
}

static void test_writing_reads_back(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Buf text = buf_create(4096);
    RpcMessage m;
    rpc_write_request(&text, 12, SLICE("tools/call"), SLICE("{\"name\":\"a\"}"));
    assert_string_equal(text.data, "{\"jsonrpc\":\"2.0\",\"id\":12,\"method\":\"tools/call\","
                                   "\"params\":{\"name\":\"a\"}}");
    buf_reset(&text);
    rpc_write_notification(&text, SLICE("notifications/initialized"), (Slice){NULL, 0});
    assert_string_equal(text.data,
                        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    buf_reset(&text);
    RpcId id = {.kind = RPC_ID_TEXT, .text = SLICE("a\"b\n")};
    rpc_write_result(&text, id, SLICE("{}"));
    assert_int_equal(rpc_parse(arena, buf_slice(&text), NULL, &m, NULL), 0);
    assert_int_equal(m.kind, RPC_RESULT);
    assert_true(slice_eq(m.id.text, id.text));
    buf_reset(&text);
    rpc_write_error(&text, (RpcId){.kind = RPC_ID_NUMBER, .number = -3}, RPC_INTERNAL_ERROR,
                    SLICE("line\nbreak"));
    assert_int_equal(rpc_parse(arena, buf_slice(&text), NULL, &m, NULL), 0);
    assert_int_equal(m.error_code, RPC_INTERNAL_ERROR);
    assert_int_equal(m.id.number, -3);
    assert_true(slice_find_byte(buf_slice(&text), '\n') < 0); // a message is one line
    buf_done(&text);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_depth_at_its_edge),
        cmocka_unit_test(test_id_text_at_its_edge),
        cmocka_unit_test(test_writing_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
