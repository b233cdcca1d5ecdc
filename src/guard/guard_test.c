#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guard/admin.h"
#include "os/file.h"

#define NO_FILE "/nonexistent/guard.toml"
#define SECONDS INT64_C(1000000000)

// ---- administrator's file

typedef struct Directory {
    char path[64];
    char file[96];
} Directory;

static void directory_open(Directory *d)
{
    (void)snprintf(d->path, sizeof d->path, "/tmp/guard-test-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    (void)snprintf(d->file, sizeof d->file, "%s/guard.toml", d->path);
}

static Guard *guard_with(const char *toml)
{
    Directory d;
    Guard *guard = NULL;
    Err e = {0};
    directory_open(&d);
    assert_int_equal(file_write(d.file, slice_from_cstr(toml), NULL, &e), 0);
    assert_int_equal(chmod(d.file, 0644), 0);
    if (guard_create_owned(d.file, geteuid(), &guard, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(dir_remove_all(d.path, NULL), 0);
    return guard;
}

static Guard *plain_guard(void)
{
    Guard *guard = NULL;
    Err e = {0};
    assert_int_equal(guard_create(NO_FILE, &guard, &e), 0);
    return guard;
}

static void test_admin_file_that_cannot_be_used(void **state)
{
    (void)state;
    static const struct {
        const char *toml, *words;
        unsigned mode;
    } cases[] = {
        {"", "chmod go-w", 0664},
        {"", "chmod go-w", 0646},
        {"[limits]\nvus_max = 0", ":2:", 0644},
        {"[limits]\nvus_max = 1000001", "1000000", 0644},
        {"[limits]\nvus_max = \"5000\"", "whole number", 0644},
        {"[limits]\nduration_max = 30", "\"2h\"", 0644},
        {"[limits]\nduration_max = \"8d\"", "7 days", 0644},
        {"[limits]\nvu_max = 5", "vus_max", 0644},
        {"[limit]\n", "limits", 0644},
        {"[[environment]]\nname = \"a\"\nkind = \"prodction\"\nhosts = []", "prodction", 0644},
        {"[[environment]]\nname = \"a\"\nkind = \"test\"", "hosts", 0644},
        {"[[environment]]\nname = \"a\"\nkind = \"test\"\nhosts = [\"*\"]", "'*'", 0644},
        {"[[environment]]\nname = \"a\"\nkind = \"test\"\nhosts = [1]", "a host", 0644},
        {"[[environment]]\nname = \"a\"\nkind = \"test\"\nhosts = []\ndata = \"x\"", "isolated",
         0644},
        {"environment = 5", "environment", 0644},
        {"limits = 5", "limits", 0644},
        {"[limits", "guard.toml", 0644},
    };
    Directory d;
    directory_open(&d);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Guard *guard = NULL;
        Err e = {0};
        assert_int_equal(file_write(d.file, slice_from_cstr(cases[i].toml), NULL, NULL), 0);
        assert_int_equal(chmod(d.file, cases[i].mode), 0);
        assert_int_equal(guard_create_owned(d.file, geteuid(), &guard, &e), ERR_REFUSED);
        if (!strstr(e.text, cases[i].words) || !strstr(e.text, GUARD_RULE_ADMIN_FILE) ||
            !strstr(e.text, d.file)) {
            fail_msg("case %zu: %s", i, e.text);
        }
    }
    Guard *guard = NULL;
    Err e = {0};
    assert_int_equal(chmod(d.file, 0644), 0);
    assert_int_equal(guard_create_owned(d.file, geteuid() + 1, &guard, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "belongs to user"));
    assert_int_equal(guard_create_owned(d.path, geteuid(), &guard, &e), ERR_REFUSED);
    assert_null(guard);
    assert_int_equal(dir_remove_all(d.path, NULL), 0);
}

static void test_size_of_the_admin_file(void **state)
{
    (void)state;
    Directory d;
    directory_open(&d);
    Buf text = buf_create(2 * ADMIN_BYTES_MAX);
    while (text.len < ADMIN_BYTES_MAX) {
        buf_putc(&text, text.len % 64 == 63 || text.len == 0 ? '\n' : '#');
    }
    // A line of blanks at the edge keeps it a valid document.
    text.data[ADMIN_BYTES_MAX - 1] = '\n';
    for (int more = 0; more < 2; more++) {
        Guard *guard = NULL;
        Err e = {0};
        assert_int_equal(file_write(d.file, buf_slice(&text), NULL, NULL), 0);
        int rc = guard_create_owned(d.file, geteuid(), &guard, &e);
        assert_int_equal(rc, more ? ERR_REFUSED : 0);
        guard_destroy(guard);
        buf_putc(&text, '\n');
    }
    buf_done(&text);
    assert_int_equal(dir_remove_all(d.path, NULL), 0);
}

static void test_ceilings(void **state)
{
    (void)state;
    static const char raised[] = "[limits]\nvus_max = 5000\nduration_max = \"4h\"\n";
    static const char lowered[] = "[limits]\nvus_max = 10\nduration_max = \"1m\"\n";
    static const struct {
        const char *toml; // NULL: no file
        GuardCaller caller;
        int64_t vus, duration_s;
        const char *rule; // NULL: allowed
    } cases[] = {
        {NULL, GUARD_CALLER_PERSON, 1000, 1800, NULL},
        {NULL, GUARD_CALLER_PERSON, 1001, 1800, GUARD_RULE_VUS_CEILING},
        {NULL, GUARD_CALLER_PERSON, 1000, 1801, GUARD_RULE_DURATION_CEILING},
        {NULL, GUARD_CALLER_AGENT, 1000, 1800, NULL},
        {NULL, GUARD_CALLER_API, 1001, 1, GUARD_RULE_VUS_CEILING},
        {raised, GUARD_CALLER_PERSON, 5000, 14400, NULL},
        {raised, GUARD_CALLER_PERSON, 5001, 1, GUARD_RULE_VUS_CEILING},
        {raised, GUARD_CALLER_PERSON, 1, 14401, GUARD_RULE_DURATION_CEILING},
        {raised, GUARD_CALLER_AGENT, 1001, 1, GUARD_RULE_VUS_CEILING},
        {raised, GUARD_CALLER_AGENT, 1, 1801, GUARD_RULE_DURATION_CEILING},
        {raised, GUARD_CALLER_API, 1001, 1, GUARD_RULE_VUS_CEILING},
        {lowered, GUARD_CALLER_PERSON, 11, 1, GUARD_RULE_VUS_CEILING},
        {lowered, GUARD_CALLER_AGENT, 11, 1, GUARD_RULE_VUS_CEILING},
        {lowered, GUARD_CALLER_API, 10, 61, GUARD_RULE_DURATION_CEILING},
        {lowered, GUARD_CALLER_API, 10, 60, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Guard *guard = cases[i].toml ? guard_with(cases[i].toml) : plain_guard();
        Err e = {0};
        GuardRun run = {.caller = cases[i].caller,
                        .vus = cases[i].vus,
                        .duration_ns = cases[i].duration_s * SECONDS};
        int rc = guard_check_run(guard, &run, &e);
        if (rc != (cases[i].rule ? ERR_REFUSED : 0) ||
            (rc != 0 && !strstr(e.text, cases[i].rule))) {
            fail_msg("case %zu: %d %s", i, rc, e.text);
        }
        guard_destroy(guard);
    }
}

static void test_words_say_where_a_ceiling_is_set(void **state)
{
    (void)state;
    Err e = {0};
    Guard *guard = guard_with("# top\n[limits]\nvus_max = 20\n");
    GuardRun run = {.vus = 21};
    assert_int_equal(guard_check_run(guard, &run, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "guard.toml:3)"));
    guard_destroy(guard);
    guard = plain_guard();
    run.vus = 1001;
    assert_int_equal(guard_check_run(guard, &run, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "(guard.vus-ceiling, built in)"));
    guard_destroy(guard);
}

// ---- environments and hosts

static const Slice staging_hosts[] = {SLICE_INIT("api.example.test"),
                                      SLICE_INIT("*.cdn.example.test"), SLICE_INIT("10.1.2.3"),
                                      SLICE_INIT("2001:db8::7")};
static const GuardEnvironment staging = {
    SLICE_INIT("staging"),    SLICE_INIT("staging"), staging_hosts, COUNT_OF(staging_hosts), false,
    SLICE_INIT("plan.yaml:4")};
static const Slice live_hosts[] = {SLICE_INIT("shop.example.test"),
                                   SLICE_INIT("*.live.example.test"), SLICE_INIT("localhost"),
                                   SLICE_INIT("10.9.9.9")};
static const GuardEnvironment live = {
    SLICE_INIT("live"),       SLICE_INIT("Production"), live_hosts, COUNT_OF(live_hosts), true,
    SLICE_INIT("plan.yaml:9")};

typedef struct HostCase {
    bool with_environment;
    const char *host;
    const char *rule; // NULL: allowed
} HostCase;

static const HostCase host_cases[] = {
    {false, "localhost", NULL},
    {false, "LOCALHOST.", NULL},
    {false, "sub.localhost", NULL},
    {false, "127.0.0.1", NULL},
    {false, "127.3.2.1", NULL},
    {false, "::1", NULL},
    {false, "::ffff:127.0.0.1", NULL},
    {false, "api.example.test", GUARD_RULE_UNDECLARED_HOST},
    {false, "10.1.2.3", GUARD_RULE_UNDECLARED_HOST},
    {false, "example.com", GUARD_RULE_UNDECLARED_HOST},
    {false, "localhost.example.com", GUARD_RULE_UNDECLARED_HOST},
    {false, "127.0.0.1.example.com", GUARD_RULE_UNDECLARED_HOST},
    {false, "64:ff9b::127.0.0.1", GUARD_RULE_UNDECLARED_HOST},
    {false, "2130706433", GUARD_RULE_HOST_FORM},
    {false, "0177.0.0.1", GUARD_RULE_HOST_FORM},
    {false, "127.0.0.1@evil.test", GUARD_RULE_HOST_FORM},
    {false, "localhost:80", GUARD_RULE_HOST_FORM},
    {false, "", GUARD_RULE_HOST_FORM},
    {false, "0.0.0.0", GUARD_RULE_SPECIAL_ADDRESS},
    {false, "::", GUARD_RULE_SPECIAL_ADDRESS},
    {false, "169.254.169.254", GUARD_RULE_METADATA_ADDRESS},
    {false, "shop.example.test", GUARD_RULE_PRODUCTION},
    {true, "api.example.test", NULL},
    {true, "API.example.TEST.", NULL},
    {true, "a.b.cdn.example.test", NULL},
    {true, "cdn.example.test", GUARD_RULE_UNDECLARED_HOST},
    {true, "10.1.2.3", NULL},
    {true, "::ffff:10.1.2.3", NULL},
    {true, "10.1.2.4", GUARD_RULE_UNDECLARED_HOST},
    {true, "[2001:db8:0:0::7]", NULL},
    {true, "localhost", NULL},
    {true, "evil.test", GUARD_RULE_UNDECLARED_HOST},
    {true, "metadata.google.internal", GUARD_RULE_METADATA_ADDRESS},
    {true, "Metadata.Google.Internal.", GUARD_RULE_METADATA_ADDRESS},
    {true, "[fd00:ec2::254]", GUARD_RULE_METADATA_ADDRESS},
    {true, "::ffff:169.254.169.254", GUARD_RULE_METADATA_ADDRESS},
    {true, "255.255.255.255", GUARD_RULE_SPECIAL_ADDRESS},
    {true, "224.0.0.1", GUARD_RULE_SPECIAL_ADDRESS},
    {true, "fe80::1", GUARD_RULE_SPECIAL_ADDRESS},
    {true, "shop.example.test", GUARD_RULE_PRODUCTION},
    {true, "a.live.example.test", GUARD_RULE_PRODUCTION},
    {true, "10.9.9.9", GUARD_RULE_PRODUCTION},
};

static void expect_refusal(size_t i, int rc, const Err *e, const char *rule)
{
    if (rc != (rule ? ERR_REFUSED : 0) || (rule && !strstr(e->text, rule))) {
        fail_msg("case %zu: %d, %s instead of %s", i, rc, rc ? e->text : "allowed",
                 rule ? rule : "allowed");
    }
}

static void test_hosts(void **state)
{
    (void)state;
    const GuardEnvironment declared[] = {staging, live};
    for (size_t i = 0; i < COUNT_OF(host_cases); i++) {
        const HostCase *c = &host_cases[i];
        Guard *guard = plain_guard();
        Slice host = slice_from_cstr(c->host);
        GuardRun run = {.environment = c->with_environment ? &staging : NULL,
                        .declared = declared,
                        .declared_count = COUNT_OF(declared)};
        Err e = {0};
        guard_enter(guard, &run); // a redirect
        expect_refusal(i, guard_check_host(guard, host, &e), &e, c->rule);
        run.target_hosts = &host; // a plan
        run.target_host_count = 1;
        expect_refusal(i, guard_check_run(guard, &run, &e), &e, c->rule);
        guard_destroy(guard);
    }
}

static void test_environments(void **state)
{
    (void)state;
    static const Slice local[] = {SLICE_INIT("localhost")};
    static const Slice wide[] = {SLICE_INIT("*.com")};
    static const struct {
        GuardEnvironment env;
        const char *rule;
    } cases[] = {
        {{SLICE_INIT("p"), SLICE_INIT("production"), local, 1, true, SLICE_INIT("plan.yaml:4")},
         GUARD_RULE_PRODUCTION},
        {{SLICE_INIT("p"), SLICE_INIT("PRODUCTION"), local, 1, true, SLICE_INIT("plan.yaml:4")},
         GUARD_RULE_PRODUCTION},
        {{SLICE_INIT("p"), SLICE_INIT("prodction"), local, 1, true, SLICE_INIT("plan.yaml:4")},
         GUARD_RULE_ENVIRONMENT_KIND},
        {{SLICE_INIT("p"), SLICE_INIT(""), local, 1, true, SLICE_INIT("plan.yaml:4")},
         GUARD_RULE_ENVIRONMENT_KIND},
        {{SLICE_INIT("p"), SLICE_INIT("test"), wide, 1, true, SLICE_INIT("plan.yaml:4")},
         GUARD_RULE_HOST_FORM},
        {{SLICE_INIT("p"), SLICE_INIT("performance"), local, 1, true, SLICE_INIT("plan.yaml:4")},
         NULL},
    };
    Guard *guard = plain_guard();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Err e = {0};
        GuardRun run = {.environment = &cases[i].env};
        int rc = guard_check_run(guard, &run, &e);
        expect_refusal(i, rc, &e, cases[i].rule);
        if (rc != 0) {
            assert_non_null(strstr(e.text, "set in plan.yaml:4"));
        }
        // A caller that goes on all the same gets loopback and nothing else.
        guard_enter(guard, &run);
        assert_int_equal(guard_check_host(guard, SLICE("a.com"), &e), ERR_REFUSED);
    }
    guard_destroy(guard);
}

static void test_host_count(void **state)
{
    (void)state;
    Guard *guard = plain_guard();
    Slice *hosts = mem_alloc((2 * GUARD_HOSTS_MAX + 1) * sizeof *hosts);
    for (size_t i = 0; i < 2 * GUARD_HOSTS_MAX + 1; i++) {
        hosts[i] = SLICE("a.example.test");
    }
    GuardEnvironment env = {SLICE("t"), SLICE("test"), hosts, 2 * GUARD_HOSTS_MAX, false, {0}};
    GuardRun run = {.environment = &env};
    assert_int_equal(guard_check_run(guard, &run, NULL), 0);
    env.host_count++;
    assert_int_equal(guard_check_run(guard, &run, NULL), ERR_REFUSED);
    free(hosts);
    guard_destroy(guard);
}

// ---- addresses after DNS

static int check_address(const Guard *guard, const char *host, const char *address, Err *e)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
        return guard_check_address(guard, slice_from_cstr(host), (const struct sockaddr *)&v4, e);
    }
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return guard_check_address(guard, slice_from_cstr(host), (const struct sockaddr *)&v6, e);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        bool with_environment;
        const char *host, *address, *rule;
    } cases[] = {
        {false, "localhost", "127.0.0.1", NULL},
        {false, "localhost", "::1", NULL},
        {false, "localhost", "::ffff:127.0.0.1", NULL},
        {false, "localhost", "10.0.0.1", GUARD_RULE_UNDECLARED_HOST},
        {false, "localhost", "8.8.8.8", GUARD_RULE_UNDECLARED_HOST},
        {false, "rebind.test", "127.0.0.1", NULL},
        {false, "rebind.test", "93.184.216.34", GUARD_RULE_UNDECLARED_HOST},
        {false, "localhost", "64:ff9b::127.0.0.1", GUARD_RULE_UNDECLARED_HOST},
        {false, "", "8.8.8.8", GUARD_RULE_UNDECLARED_HOST},
        {false, "localhost", "0.0.0.0", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "93.184.216.34", NULL},
        {true, "API.EXAMPLE.TEST.", "10.0.0.1", NULL},
        {true, "api.example.test", "127.0.0.1", NULL},
        {true, "api.example.test", "2001:db8::1", NULL},
        {true, "api.example.test", "169.254.169.254", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "::ffff:169.254.169.254", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "64:ff9b::a9fe:a9fe", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "2002:a9fe:a9fe::", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "fd00:ec2::254", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "168.63.129.16", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "100.100.100.200", GUARD_RULE_METADATA_ADDRESS},
        {true, "api.example.test", "169.254.3.4", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "fe80::1", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "224.0.0.251", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "ff02::fb", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "0.0.0.0", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "::", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "255.255.255.255", GUARD_RULE_SPECIAL_ADDRESS},
        {true, "api.example.test", "10.9.9.9", GUARD_RULE_PRODUCTION},
        {true, "10.1.2.3", "10.1.2.3", NULL},
        {true, "other.test", "10.1.2.3", GUARD_RULE_UNDECLARED_HOST},
        {true, "localhost", "10.1.2.3", GUARD_RULE_UNDECLARED_HOST},
        {true, "shop.example.test", "127.0.0.1", GUARD_RULE_PRODUCTION},
        {true, "metadata.google.internal", "127.0.0.1", GUARD_RULE_METADATA_ADDRESS},
    };
    const GuardEnvironment declared[] = {live};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Guard *guard = plain_guard();
        Err e = {0};
        guard_enter(guard, &(GuardRun){.environment = cases[i].with_environment ? &staging : NULL,
                                       .declared = declared,
                                       .declared_count = 1});
        int rc = check_address(guard, cases[i].host, cases[i].address, &e);
        expect_refusal(i, rc, &e, cases[i].rule);
        guard_destroy(guard);
    }
    Guard *guard = plain_guard();
    const struct sockaddr_un un = {.sun_family = AF_UNIX};
    assert_int_equal(
        guard_check_address(guard, SLICE("localhost"), (const struct sockaddr *)&un, NULL),
        ERR_REFUSED);
    guard_destroy(guard);
}

static void test_peers(void **state)
{
    (void)state;
    static const struct {
        const char *address, *rule;
    } cases[] = {
        {"127.0.0.1", NULL},
        {"10.1.2.3", NULL},
        {"93.184.216.34", NULL},
        {"169.254.169.254", GUARD_RULE_METADATA_ADDRESS},
        {"168.63.129.16", GUARD_RULE_METADATA_ADDRESS},
        {"169.254.3.4", GUARD_RULE_SPECIAL_ADDRESS},
        {"224.0.0.251", GUARD_RULE_SPECIAL_ADDRESS},
        {"0.0.0.0", GUARD_RULE_SPECIAL_ADDRESS},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        Err e = {0};
        assert_int_equal(inet_pton(AF_INET, cases[i].address, &v4.sin_addr), 1);
        int rc = guard_check_peer(SLICE("metrics.test"), (const struct sockaddr *)&v4, &e);
        expect_refusal(i, rc, &e, cases[i].rule);
    }
}

static void test_the_administrators_environments(void **state)
{
    (void)state;
    Guard *guard = guard_with("[[environment]]\nname = \"shop\"\nkind = \"staging\"\n"
                              "hosts = [\"*.stage.example.test\"]\ndata = \"isolated\"\n"
                              "[[environment]]\nname = \"live\"\nkind = \"production\"\n"
                              "hosts = [\"*.example.test\"]\n");
    Err e = {0};
    const GuardEnvironment *shop = guard_environment(guard, SLICE("shop"));
    assert_non_null(shop);
    assert_true(shop->data_isolated);
    assert_null(guard_environment(guard, SLICE("nobody")));
    assert_ptr_equal(guard_environment_of_host(guard, SLICE("A.stage.example.test")), shop);
    assert_null(guard_environment_of_host(guard, SLICE("elsewhere.test")));
    assert_null(guard_environment_of_host(guard, SLICE("bad host")));
    // Production as the administrator has it wins over what a plan says of the same host.
    guard_enter(guard, &(GuardRun){.environment = &staging});
    assert_int_equal(guard_check_host(guard, SLICE("api.example.test"), &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, GUARD_RULE_PRODUCTION));
    assert_non_null(strstr(e.text, "guard.toml:7"));
    guard_destroy(guard);
}

// ---- data

static void test_methods_that_write(void **state)
{
    (void)state;
    static const Slice reads[] = {SLICE_INIT("GET"), SLICE_INIT("HEAD"), SLICE_INIT("OPTIONS")};
    static const Slice writes[] = {SLICE_INIT("POST"),   SLICE_INIT("PUT"),   SLICE_INIT("PATCH"),
                                   SLICE_INIT("DELETE"), SLICE_INIT("TRACE"), SLICE_INIT("CONNECT"),
                                   SLICE_INIT("PURGE"),  SLICE_INIT("get"),   SLICE_INIT("")};
    for (size_t i = 0; i < COUNT_OF(reads); i++) {
        assert_false(guard_method_writes(reads[i]));
    }
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        assert_true(guard_method_writes(writes[i]));
    }
    static const Slice post[] = {SLICE_INIT("POST login")};
    GuardEnvironment isolated = staging;
    isolated.data_isolated = true;
    const struct {
        GuardRun run;
        bool refused;
    } cases[] = {
        {{.environment = &staging, .writing_methods = post, .writing_method_count = 1}, true},
        {{.environment = &isolated, .writing_methods = post, .writing_method_count = 1}, false},
        {{.environment = &staging}, false},
        {{.writing_methods = post, .writing_method_count = 1}, true},
        {{.writing_methods = post, .writing_method_count = 1, .data_isolated = true}, false},
        {{.writing_methods = post,
          .writing_method_count = 1,
          .data_isolated = true,
          .caller = GUARD_CALLER_AGENT},
         true},
        {{.writing_methods = post,
          .writing_method_count = 1,
          .data_isolated = true,
          .caller = GUARD_CALLER_API},
         true},
        // The flag is for runs without environment; where there is one, it is set there.
        {{.environment = &staging,
          .writing_methods = post,
          .writing_method_count = 1,
          .data_isolated = true},
         true},
    };
    Guard *guard = plain_guard();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Err e = {0};
        int rc = guard_check_run(guard, &cases[i].run, &e);
        expect_refusal(i, rc, &e, cases[i].refused ? GUARD_RULE_DATA_ISOLATION : NULL);
        if (rc != 0) {
            assert_non_null(strstr(e.text, "POST login"));
            assert_non_null(strstr(e.text, "isolated"));
        }
    }
    guard_destroy(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admin_file_that_cannot_be_used),
        cmocka_unit_test(test_size_of_the_admin_file),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_words_say_where_a_ceiling_is_set),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_environments),
        cmocka_unit_test(test_host_count),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_the_administrators_environments),
        cmocka_unit_test(test_methods_that_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
