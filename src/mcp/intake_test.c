#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <unistd.h>

#include "mcp/intake.h"
#include "os/file.h"

// {"jsonrpc":"2.0","id":1,"result":{"a":"xxx"}} of exactly `len` bytes.
static Buf message(size_t len)
{
    static const char HEAD[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"";
    Buf b = buf_create(1 << 20);
    buf_puts(&b, HEAD);
    while (b.len < len - 3) {
        buf_putc(&b, 'x');
    }
    buf_puts(&b, "\"}}");
    return b;
}

static int receive(McpIntake *in, const Buf *text, size_t step, Err *e)
{
    int rc = 0;
    for (size_t at = 0; at < text->len && rc == 0; at += step) {
        rc = mcp_intake_feed(in, slice_sub(buf_slice(text), at, step), e);
    }
    return rc != 0 ? rc : mcp_intake_end(in, e);
}

static void test_memory_limit_at_its_edge(void **state)
{
    (void)state;
    for (size_t len = 999; len <= 1001; len++) {
        Buf text = message(len);
        McpIntake in = mcp_intake_create(&(McpLimits){.message_bytes_max = 1000});
        Err e;
        int rc = receive(&in, &text, 64, &e);
        assert_int_equal(rc, len > 1000 ? ERR_LIMIT : 0);
        if (rc == 0) {
            assert_true(slice_eq(mcp_intake_text(&in), buf_slice(&text)));
        } else {
            assert_non_null(strstr(e.text, "larger than 1000 bytes"));
        }
        mcp_intake_done(&in);
        buf_done(&text);
    }
}

static void test_large_ones_go_to_a_file_as_they_came(void **state)
{
    (void)state;
    char directory[] = "/tmp/pw-intake-XXXXXX";
    assert_non_null(mkdtemp(directory));
    McpLimits limits = {
        .message_bytes_max = 1000, .spill_directory = directory, .spill_bytes_max = 5000};
    for (size_t len = 4999; len <= 5001; len++) {
        Buf text = message(len);
        McpIntake in = mcp_intake_create(&limits);
        assert_int_equal(receive(&in, &text, 700, NULL), len > 5000 ? ERR_LIMIT : 0);
        if (len <= 5000) {
            assert_true(rpc_skim_is_answer(&in.skim) && in.skim.id == 1);
            char *path = mcp_intake_take_file(&in);
            Buf back = buf_create(1 << 20);
            assert_int_equal(file_read(path, &back, NULL), 0);
            assert_true(slice_eq(buf_slice(&back), buf_slice(&text)));
            buf_done(&back);
            assert_int_equal(unlink(path), 0);
            free(path);
        }
        mcp_intake_done(&in);
        buf_done(&text);
    }
    assert_int_equal(rmdir(directory), 0); // what nobody took was removed
}

static void test_no_directory(void **state)
{
    (void)state;
    Buf text = message(2000);
    McpLimits limits = {.message_bytes_max = 1000, .spill_directory = "/nonexistent"};
    McpIntake in = mcp_intake_create(&limits);
    Err e;
    assert_int_equal(receive(&in, &text, 2000, &e), ERR_IO);
    assert_non_null(strstr(e.text, "/nonexistent"));
    mcp_intake_done(&in);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_limit_at_its_edge),
        cmocka_unit_test(test_large_ones_go_to_a_file_as_they_came),
        cmocka_unit_test(test_no_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
