#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "net/addr.h"
#include "net/error_code.h"
#include "net/url.h"

// The shapes are those of RFC 3986 section 1.1.2 and 3.2.2.
static const struct {
    const char *text;
    const char *host;
    unsigned port;
    const char *target;
    const char *authority;
} good[] = {
    {"http://example.com", "example.com", 80, "/", "example.com"},
    {"HTTPS://Example.com:8443/a/b?c=d&e#frag", "Example.com", 8443, "/a/b?c=d&e",
     "Example.com:8443"},
    {"https://example.com:443/", "example.com", 443, "/", "example.com"},
    {"http://example.com:", "example.com", 80, "/", "example.com"},
    {"http://[2001:db8::7]:81/c=GB?one", "2001:db8::7", 81, "/c=GB?one", "[2001:db8::7]:81"},
    {"http://[::1]", "::1", 80, "/", "[::1]"},
    {"http://user:p%40ss@h/x", "h", 80, "/x", "h"},
    {"http://user@evil@h/x", "h", 80, "/x", "h"},
    {"http://h?q", "h", 80, "/?q", "h"},
    {"http://h?", "h", 80, "/?", "h"},
    {"http://h#/not/path?or=query", "h", 80, "/", "h"},
    {"http://h/a@b:c", "h", 80, "/a@b:c", "h"},
    {"http://127.0.0.1:65535/", "127.0.0.1", 65535, "/", "127.0.0.1:65535"},
};

static void test_good_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        Url url;
        assert_int_equal(url_parse(slice_from_cstr(good[i].text), &url, NULL), 0);
        assert_true(slice_eq_cstr(url.host, good[i].host));
        assert_int_equal(url.port, good[i].port);
        Buf out = buf_create(1000);
        url_append_target(&out, &url);
        assert_string_equal(out.data, good[i].target);
        buf_reset(&out);
        url_append_authority(&out, &url);
        assert_string_equal(out.data, good[i].authority);
        buf_done(&out);
    }
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "http:/",
        "ftp://h/",
        "http://",
        "http:///path",
        "http://:80",
        "http://h:0",
        "http://h:65536",
        "http://h:-1",
        "http://h:8o",
        "http://h:+8",
        "http://[::1",
        "http://[::1]x",
        "http://[zz]/",
        "http://a b/",
        "http://h/a b",
        "http://h/\n",
        "http://h\x7f/",
        "http://h:80:80",
        "http://[]/",
        "h/path",
        "//h/path",
        "http://a%41/",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Url url;
        Err e;
        if (url_parse(slice_from_cstr(bad[i]), &url, &e) != ERR_ARG) {
            fail_msg("'%s' was accepted", bad[i]);
        }
    }
}

static void test_url_length_at_its_edge(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        Buf text = buf_create(URL_BYTES_MAX + 1);
        buf_puts(&text, "http://h/");
        while (text.len < URL_BYTES_MAX + extra) {
            buf_putc(&text, 'x');
        }
        Url url;
        assert_int_equal(url_parse(buf_slice(&text), &url, NULL), extra ? ERR_ARG : 0);
        buf_done(&text);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *printed; // NULL: refused
        bool loopback;
    } addrs[] = {
        {"127.0.0.1", "127.0.0.1:80", true},
        {"127.9.9.9", "127.9.9.9:80", true},
        {"10.0.0.1", "10.0.0.1:80", false},
        {"::1", "[::1]:80", true},
        {"[::1]", "[::1]:80", true},
        {"::ffff:127.0.0.1", "[::ffff:127.0.0.1]:80", true},
        {"2001:db8::7", "[2001:db8::7]:80", false},
        {"[127.0.0.1]", NULL, false},
        {"127.1", NULL, false},
        {"0x7f.0.0.1", NULL, false},
        {"256.0.0.1", NULL, false},
        {"localhost", NULL, false},
        {"", NULL, false},
        {"[]", NULL, false},
        {"1:2:3:4:5:6:7:8:9", NULL, false},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(addrs); i++) {
        NetAddr addr;
        int rc = net_addr_parse(slice_from_cstr(addrs[i].text), 80, &addr, NULL);
        assert_int_equal(rc, addrs[i].printed ? 0 : ERR_PARSE);
        if (rc == 0) {
            char text[NET_ADDR_TEXT_MAX];
            net_addr_print(&addr, text);
            assert_string_equal(text, addrs[i].printed);
            assert_int_equal(net_addr_is_loopback(&addr), addrs[i].loopback);
            assert_true(net_addr_eq(&addr, &addr));
        }
    }
    NetAddr nul;
    assert_int_equal(net_addr_parse((Slice){"127.0.0.1\0.x", 11}, 80, &nul, NULL), ERR_PARSE);
    NetAddr a = net_addr_loopback(1);
    NetAddr b = net_addr_loopback(2);
    NetAddr c = net_addr_loopback6(1);
    assert_false(net_addr_eq(&a, &b));
    assert_false(net_addr_eq(&a, &c));
    assert_int_equal(net_addr_port(&c), 1);
    NetAddr none = {0};
    char text[NET_ADDR_TEXT_MAX];
    net_addr_host(&none, text);
    assert_string_equal(text, "unknown");
}

// k6's table (its documentation, "Error codes").
static void test_error_codes(void **state)
{
    (void)state;
    static const struct {
        NetPhase phase;
        int rc;
        int sys_errno;
        int code;
    } table[] = {
        {NET_PHASE_EXCHANGE, 0, ECONNRESET, 0},
        {NET_PHASE_RESOLVE, ERR_NOT_FOUND, 0, 1101},
        {NET_PHASE_RESOLVE, ERR_REFUSED, 0, 1111},
        {NET_PHASE_RESOLVE, ERR_DNS, 0, 1100},
        {NET_PHASE_CONNECT, ERR_REFUSED, 0, 1110},
        {NET_PHASE_CONNECT, ERR_TIMEOUT, ETIMEDOUT, 1211},
        {NET_PHASE_CONNECT, ERR_CONNECT, ECONNREFUSED, 1212},
        {NET_PHASE_CONNECT, ERR_CONNECT, EHOSTUNREACH, 1213},
        {NET_PHASE_CONNECT, ERR_CANCELLED, 0, 1210},
        {NET_PHASE_TLS, ERR_TLS, 0, 1300},
        {NET_PHASE_EXCHANGE, ERR_TIMEOUT, 0, 1050},
        {NET_PHASE_EXCHANGE, ERR_CLOSED, EPIPE, 1201},
        {NET_PHASE_EXCHANGE, ERR_CLOSED, ECONNRESET, 1220},
        {NET_PHASE_EXCHANGE, ERR_CLOSED, EIO, 1202},
        {NET_PHASE_EXCHANGE, ERR_PROTOCOL, 0, 1000},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int code = net_error_code(table[i].phase, table[i].rc, table[i].sys_errno);
        assert_int_equal(code, table[i].code);
        assert_int_equal(net_error_name(code)[0] == '\0', code == 0);
    }
    assert_int_equal(net_error_code_of_status(399), 0);
    assert_int_equal(net_error_code_of_status(400), 1400);
    assert_int_equal(net_error_code_of_status(599), 1599);
    assert_int_equal(net_error_code_of_status(600), 0);
    assert_string_equal(net_error_name(1404), "HTTP 4xx");
    assert_string_equal(net_error_name(1611), "HTTP/2 GOAWAY");
}

// The examples of RFC 3986 sections 5.4.1 and 5.4.2, for a strict reader, and three of our own.
static const struct {
    const char *ref;
    const char *want;
} references[] = {
    {"g:h", "g:h"},
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {"#s", "http://a/b/c/d;p?q#s"},
    {"g#s", "http://a/b/c/g#s"},
    {"g?y#s", "http://a/b/c/g?y#s"},
    {";x", "http://a/b/c/;x"},
    {"g;x", "http://a/b/c/g;x"},
    {"g;x?y#s", "http://a/b/c/g;x?y#s"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"./", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../", "http://a/"},
    {"../../g", "http://a/g"},
    {"../../../g", "http://a/g"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {".g", "http://a/b/c/.g"},
    {"g..", "http://a/b/c/g.."},
    {"..g", "http://a/b/c/..g"},
    {"./../g", "http://a/b/g"},
    {"./g/.", "http://a/b/c/g/"},
    {"g/./h", "http://a/b/c/g/h"},
    {"g/../h", "http://a/b/c/h"},
    {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"g?y/./x", "http://a/b/c/g?y/./x"},
    {"g?y/../x", "http://a/b/c/g?y/../x"},
    {"g#s/./x", "http://a/b/c/g#s/./x"},
    {"g#s/../x", "http://a/b/c/g#s/../x"},
    {"http:g", "http:g"},
    {"a b", "http://a/b/c/a%20b"},
    {"\xC3\xA4", "http://a/b/c/%C3%A4"},
    {"https://other:8443/x", "https://other:8443/x"},
};

static void test_references(void **state)
{
    (void)state;
    Url base;
    assert_int_equal(url_parse(SLICE("http://a/b/c/d;p?q"), &base, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(references); i++) {
        Buf out = buf_create(1000);
        Slice ref = slice_from_cstr(references[i].ref);
        assert_int_equal(url_resolve(&base, ref, &out, NULL), 0);
        assert_string_equal(out.data, references[i].want);
        buf_done(&out);
    }
    assert_int_equal(url_parse(SLICE("http://h"), &base, NULL), 0);
    Buf out = buf_create(12);
    assert_int_equal(url_resolve(&base, SLICE("x/y"), &out, NULL), 0);
    assert_string_equal(out.data, "http://h/x/y");
    buf_reset(&out);
    assert_int_equal(url_resolve(&base, SLICE("x/yz"), &out, NULL), ERR_LIMIT);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls),  cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_references), cmocka_unit_test(test_url_length_at_its_edge),
        cmocka_unit_test(test_addresses),  cmocka_unit_test(test_error_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
