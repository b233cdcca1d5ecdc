// Interfaces as pages: what is published can be read back, and revisions follow policies.
#include "manage/interface_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char PAIR[] =
    "version = 1\nname = \"pair\"\n[agents.b]\ncalls = [{to = [\"d\"]}]\n"
    "[agents.d]\nservers = 4\nservice = {dist = \"exponential\", mean = \"1s\"}\n"
    "range = {\"servers\" = [2, 8]}\n[clients.c]\nto = \"b\"\nrate = 2.0\n";

static bool ask(const InterfacePages *pages, const char *path, Buf *out)
{
    buf_reset(out);
    const MonitorSource *s = interface_pages_source(pages);
    return s->page(s->ctx, slice_from_cstr(path), out);
}

static Interface *read_back(Arena *arena, const Buf *text)
{
    const Doc *doc = NULL;
    Interface *interface = NULL;
    Err e = {0};
    if (doc_parse(arena, buf_slice(text), NULL, &doc, &e) != 0 ||
        interface_read(arena, doc, &interface, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return interface;
}

static void published_interfaces_can_be_read(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    InterfacePages *pages = interface_pages_create();
    System *sys = NULL;
    Err e = {0};
    Buf out = buf_create(1 << 20);
    assert_int_equal(system_parse(arena, slice_from_cstr(PAIR), "test", &sys, &e), 0);
    assert_false(ask(pages, "/interface/d", &out)); // nothing was published yet
    assert_true(ask(pages, "/interface", &out));
    assert_int_equal(interface_pages_update(pages, sys, NULL, &e), 0);
    assert_true(ask(pages, "/interface", &out));
    const Doc *list = NULL;
    assert_int_equal(doc_parse(arena, buf_slice(&out), NULL, &list, &e), 0);
    assert_int_equal(doc_count(list), 2);
    assert_true(ask(pages, "/interface/d", &out));
    Interface *d = read_back(arena, &out);
    assert_true(slice_eq_cstr(d->agent, "d"));
    assert_int_equal(d->revision, 1);
    assert_int_equal(d->policy_count > 0, true);
    static const char *const none[] = {"/interface/", "/interface/x", "/interfaced",
                                       "/interface/d/", "/other"};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_false(ask(pages, none[i], &out));
    }
    buf_done(&out);
    interface_pages_destroy(pages);
    arena_destroy(arena);
}

static void a_revision_is_of_the_agents_own_policies(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    InterfacePages *pages = interface_pages_create();
    System *sys = NULL;
    SystemChange change;
    Err e = {0};
    Buf out = buf_create(1 << 20);
    assert_int_equal(system_parse(arena, slice_from_cstr(PAIR), "test", &sys, &e), 0);
    assert_int_equal(interface_pages_update(pages, sys, NULL, &e), 0);
    assert_int_equal(interface_pages_update(pages, sys, NULL, &e), 0); // nothing moved
    assert_int_equal(system_parse_change(sys, SLICE("d.servers=6"), &change, &e), 0);
    assert_int_equal(system_set(sys, &change, &e), 0);
    assert_int_equal(interface_pages_update(pages, sys, NULL, &e), 0);
    assert_true(ask(pages, "/interface/d", &out));
    assert_int_equal(read_back(arena, &out)->revision, 2);
    assert_true(ask(pages, "/interface/b", &out));
    assert_int_equal(read_back(arena, &out)->revision, 1);
    buf_done(&out);
    interface_pages_destroy(pages);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_interfaces_can_be_read),
        cmocka_unit_test(a_revision_is_of_the_agents_own_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
