#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "guard/host.h"

typedef struct ParseCase {
    const char *text;
    const char *expected; // a name, "@" and an IPv6 text, or NULL where it must be refused
} ParseCase;

static const ParseCase parse_cases[] = {
    {"localhost", "localhost"},
    {"LOCALHOST", "localhost"},
    {"LocalHost.", "localhost"},
    {"Api.Example.Test", "api.example.test"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"a_b.test", "a_b.test"},
    {"1.test", "1.test"},
    {"0x.test", "0x.test"},
    {"face", "face"},
    {"127.0.0.1", "@::ffff:127.0.0.1"},
    {"127.0.0.1.", "@::ffff:127.0.0.1"},
    {"255.255.255.255", "@::ffff:255.255.255.255"},
    {"::1", "@::1"},
    {"[::1]", "@::1"},
    {"[0:0:0:0:0:0:0:1]", "@::1"},
    {"FE80::A", "@fe80::a"},
    {"::ffff:7f00:1", "@::ffff:127.0.0.1"},
    // Ways of writing IPv4 that inet_aton and URL parsers take for something else each.
    {"127.1", NULL},
    {"127.0.1", NULL},
    {"2130706433", NULL},
    {"0x7f000001", NULL},
    {"0x7f.1", NULL},
    {"0X7F.0.0.1", NULL},
    {"0x", NULL},
    {"0177.0.0.1", NULL},
    {"127.0.0.01", NULL},
    {"256.0.0.1", NULL},
    {"1.2.3.4.5", NULL},
    {"127.0.0.0x1", NULL},
    {"example.1", NULL},
    // What is more than a host.
    {"127.0.0.1@evil.test", NULL},
    {"evil.test@127.0.0.1", NULL},
    {"127.0.0.1:80", NULL},
    {"localhost:80", NULL},
    {"[::1]:80", NULL},
    {"[::1", NULL},
    {"::1]", NULL},
    {"[localhost]", NULL},
    {"[127.0.0.1]", NULL},
    {"fe80::1%eth0", NULL},
    {"fe80::1%25eth0", NULL},
    {"localhost/", NULL},
    {"localhost#.example.test", NULL},
    {"localhost?x", NULL},
    {"localhost\\evil.test", NULL},
    {"127.0.0.1%00", NULL},
    {"a b.test", NULL},
    {"a\tb.test", NULL},
    {"a\nb.test", NULL},
    // Beyond ASCII: full-width digits and letters, ideographic full stop, the Kelvin sign.
    {"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1", NULL},
    {"metadata\xe3\x80\x82google.internal", NULL},
    {"b\xc3\xbc"
     "cher.example",
     NULL},
    {"\xe2\x84\xaa.test", NULL},
    {"localhost\xff", NULL},
    // Shapes.
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {".localhost", NULL},
    {"a..test", NULL},
    {"a.test..", NULL},
    {"*", NULL},
    {"*.example.test", NULL},
    {"[]", NULL},
    {":", NULL},
    {"1::2::3", NULL},
};

static void show(const HostForm *h, char out[300])
{
    out[0] = '@';
    if (h->is_address) {
        assert_non_null(inet_ntop(AF_INET6, h->ip, out + 1, 299));
    } else {
        (void)snprintf(out, 300, "%.*s", (int)h->name_len, h->name);
    }
}

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(parse_cases); i++) {
        const ParseCase *c = &parse_cases[i];
        HostForm h;
        Err e = {0};
        char text[300];
        int rc = host_parse(slice_from_cstr(c->text), &h, &e);
        if ((rc == 0) != (c->expected != NULL)) {
            fail_msg("'%s': code %d %s", c->text, rc, e.text);
        }
        if (rc == 0) {
            show(&h, text);
            assert_string_equal(text, c->expected);
        } else {
            assert_int_equal(rc, ERR_ARG);
            assert_true(e.text[0] != '\0');
        }
    }
    HostForm h;
    assert_int_equal(host_parse((Slice){"localhost\0.evil", 15}, &h, NULL), ERR_ARG);
    assert_int_equal(host_parse((Slice){"::1\0", 4}, &h, NULL), ERR_ARG);
    assert_int_equal(host_parse((Slice){NULL, 0}, &h, NULL), ERR_ARG);
}

// A name of `len` bytes in labels of 50.
static Slice long_name(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        text[i] = i % 51 == 50 ? '.' : 'a';
    }
    return (Slice){text, len};
}

static void test_lengths(void **state)
{
    (void)state;
    char text[300];
    HostForm h;
    assert_int_equal(host_parse(long_name(text, HOST_NAME_MAX_BYTES), &h, NULL), 0);
    assert_int_equal(h.name_len, HOST_NAME_MAX_BYTES);
    assert_int_equal(host_parse(long_name(text, HOST_NAME_MAX_BYTES + 1), &h, NULL), ERR_ARG);
    memset(text, 'a', sizeof text);
    assert_int_equal(host_parse((Slice){text, 63}, &h, NULL), 0);
    assert_int_equal(host_parse((Slice){text, 64}, &h, NULL), ERR_ARG);
    (void)long_name(text + 2, HOST_NAME_MAX_BYTES);
    memcpy(text, "*.", 2);
    assert_int_equal(host_parse_pattern((Slice){text, HOST_NAME_MAX_BYTES + 2}, &h, NULL), ERR_ARG);
    assert_int_equal(host_parse_pattern((Slice){text, HOST_NAME_MAX_BYTES + 1}, &h, NULL), 0);
}

static void test_wildcards(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *host;
        bool matches;
    } cases[] = {
        {"a.example.test", "A.EXAMPLE.test.", true},
        {"a.example.test", "b.a.example.test", false},
        {"*.example.test", "a.example.test", true},
        {"*.Example.Test.", "a.example.test", true},
        {"*.example.test", "b.a.example.test", true},
        {"*.example.test", "example.test", false},
        {"*.example.test", "badexample.test", false},
        {"*.example.test", "a.example.test.evil", false},
        {"*.example.test", "127.0.0.1", false},
        {"10.0.0.5", "10.0.0.5", true},
        {"10.0.0.5", "::ffff:10.0.0.5", true},
        {"10.0.0.5", "10.0.0.6", false},
        {"2001:db8::1", "[2001:DB8:0::1]", true},
        {"2001:db8::1", "2001:db8::2", false},
        {"localhost", "127.0.0.1", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        HostForm pattern, host;
        assert_int_equal(host_parse_pattern(slice_from_cstr(cases[i].pattern), &pattern, NULL), 0);
        assert_int_equal(host_parse(slice_from_cstr(cases[i].host), &host, NULL), 0);
        if (host_matches(&pattern, &host) != cases[i].matches) {
            fail_msg("%s against %s", cases[i].pattern, cases[i].host);
        }
    }
    static const char *const bad[] = {"*",        "*.",       "*.com",           "*.com.",
                                      "*.*.test", "a.*.test", "**.example.test", "*example.test",
                                      "*.0.0.1",  "*.::1",    "10.0.0.0/8",      "api.test:8080"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        HostForm pattern;
        if (host_parse_pattern(slice_from_cstr(bad[i]), &pattern, NULL) != ERR_ARG) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
}

static const struct {
    const char *address;
    AddressClass class;
} class_cases[] = {
    {"127.0.0.1", ADDRESS_LOOPBACK},
    {"127.255.255.254", ADDRESS_LOOPBACK},
    {"::1", ADDRESS_LOOPBACK},
    {"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
    {"::2", ADDRESS_UNSPECIFIED}, // compatible form of 0.0.0.2
    {"128.0.0.1", ADDRESS_ORDINARY},
    {"126.255.255.255", ADDRESS_ORDINARY},
    {"10.0.0.1", ADDRESS_ORDINARY},
    {"192.168.1.1", ADDRESS_ORDINARY},
    {"2001:db8::1", ADDRESS_ORDINARY},
    {"fd12:3456::1", ADDRESS_ORDINARY},
    {"169.254.169.254", ADDRESS_METADATA},
    {"169.254.170.2", ADDRESS_METADATA},
    {"169.254.170.23", ADDRESS_METADATA},
    {"169.254.0.23", ADDRESS_METADATA},
    {"168.63.129.16", ADDRESS_METADATA},
    {"168.63.129.17", ADDRESS_ORDINARY},
    {"100.100.100.200", ADDRESS_METADATA},
    {"192.0.0.192", ADDRESS_METADATA},
    {"fd00:ec2::254", ADDRESS_METADATA},
    {"fd00:ec2::23", ADDRESS_METADATA},
    {"fd20:ce::254", ADDRESS_METADATA},
    {"fd00:ec2::255", ADDRESS_ORDINARY},
    {"169.254.1.1", ADDRESS_LINK_LOCAL},
    {"169.253.255.255", ADDRESS_ORDINARY},
    {"169.255.0.0", ADDRESS_ORDINARY},
    {"fe80::1", ADDRESS_LINK_LOCAL},
    {"fe80::a9fe:a9fe", ADDRESS_LINK_LOCAL},
    {"febf::1", ADDRESS_LINK_LOCAL},
    {"fec0::1", ADDRESS_ORDINARY},
    {"224.0.0.1", ADDRESS_MULTICAST},
    {"239.255.255.255", ADDRESS_MULTICAST},
    {"240.0.0.1", ADDRESS_ORDINARY},
    {"ff02::1", ADDRESS_MULTICAST},
    {"0.0.0.0", ADDRESS_UNSPECIFIED},
    {"0.1.2.3", ADDRESS_UNSPECIFIED},
    {"::", ADDRESS_UNSPECIFIED},
    {"::ffff:0.0.0.0", ADDRESS_UNSPECIFIED},
    {"255.255.255.255", ADDRESS_BROADCAST},
    {"255.255.255.254", ADDRESS_ORDINARY},
    // The same through every form that carries an IPv4 address.
    {"::ffff:169.254.169.254", ADDRESS_METADATA},
    {"::ffff:a9fe:a9fe", ADDRESS_METADATA},
    {"::169.254.169.254", ADDRESS_METADATA},
    {"::ffff:0:169.254.169.254", ADDRESS_METADATA},
    {"64:ff9b::169.254.169.254", ADDRESS_METADATA},
    {"64:ff9b::a9fe:101", ADDRESS_LINK_LOCAL},
    {"64:ff9b::8.8.8.8", ADDRESS_ORDINARY},
    {"64:ff9b:1::169.254.169.254", ADDRESS_METADATA},
    {"64:ff9b:1:a9fe:a9:fe00::", ADDRESS_METADATA},
    {"64:ff9b:1:808:8:800::", ADDRESS_ORDINARY},
    {"2002:a9fe:a9fe::1", ADDRESS_METADATA},
    {"2002:a83f:8110::", ADDRESS_METADATA},
    {"2002:808:808::1", ADDRESS_ORDINARY},
    {"2002:e000:1::", ADDRESS_MULTICAST},
    // Teredo holds the client's address inverted: RFC 4380 section 4.
    {"2001:0:4136:e378:8000:63bf:5601:5601", ADDRESS_METADATA},
    {"2001:0:4136:e378:8000:63bf:3fff:fdd2", ADDRESS_ORDINARY},
    {"2001:db8::5efe:169.254.169.254", ADDRESS_METADATA},
    {"2001:db8::200:5efe:a9fe:a9fe", ADDRESS_METADATA},
    // A translator's loopback is not ours.
    {"64:ff9b::127.0.0.1", ADDRESS_ORDINARY},
    {"2002:7f00:1::", ADDRESS_ORDINARY},
    {"::127.0.0.1", ADDRESS_ORDINARY},
};

static void test_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(class_cases); i++) {
        HostForm h;
        assert_int_equal(host_parse(slice_from_cstr(class_cases[i].address), &h, NULL), 0);
        assert_true(h.is_address);
        if (address_class(h.ip) != class_cases[i].class) {
            fail_msg("%s is said to be %s", class_cases[i].address,
                     address_class_name(address_class(h.ip)));
        }
    }
}

static void test_names_that_mean_something(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool loopback, metadata;
    } cases[] = {
        {"localhost", true, false},
        {"LOCALHOST.", true, false},
        {"a.localhost", true, false},
        {"notlocalhost", false, false},
        {"localhost.evil.test", false, false},
        {"127.0.0.1", true, false},
        {"127.9.9.9", true, false},
        {"[::1]", true, false},
        {"::ffff:127.0.0.1", true, false},
        {"metadata.google.internal", false, true},
        {"METADATA.google.internal.", false, true},
        {"metadata", false, true},
        {"metadata.example.test", false, false},
        {"instance-data", false, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        HostForm h;
        assert_int_equal(host_parse(slice_from_cstr(cases[i].host), &h, NULL), 0);
        assert_int_equal(host_is_loopback(&h), cases[i].loopback);
        assert_int_equal(host_is_metadata_name(&h), cases[i].metadata);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_names_that_mean_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
