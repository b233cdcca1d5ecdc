// The document of a performance interface, what several say together, and questions to it.
#include "model/interface.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/clock.h"

static System *pipeline(Arena *arena)
{
    const char *root = getenv("PW_SOURCE_ROOT");
    Slice path = arena_printf(arena, "%s/examples/codegen-pipeline/system.toml", root ? root : ".");
    System *sys = NULL;
    Err e = {0};
    if (system_load(arena, path.ptr, &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    // The status quo has no steady state; patience gives it one.
    static const char *const changes[] = {"a->b.timeout.attempt=10s", "a->b.retry.attempts=1",
                                          "builds->b.timeout.attempt=10s",
                                          "builds->b.retry.attempts=1"};
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        SystemChange c;
        assert_int_equal(system_parse_change(sys, slice_from_cstr(changes[i]), &c, &e), 0);
        assert_int_equal(system_set(sys, &c, &e), 0);
    }
    return sys;
}

static Slice written(Arena *arena, const Interface *in)
{
    Buf out = buf_create(INTERFACE_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    interface_write(in, &w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static int read_text(Arena *arena, Slice text, Interface **ret, Err *e)
{
    const Doc *doc = NULL;
    int rc = doc_parse(arena, text, NULL, &doc, e);
    return rc == 0 ? interface_read(arena, doc, ret, e) : rc;
}

static Interface *of(Arena *arena, const System *sys, const char *agent)
{
    Interface *in = NULL;
    Err e = {0};
    InterfaceOptions options = {.now_unix_ns = INT64_C(1000000000000), .ttl_ns = 60 * NS_PER_S};
    ptrdiff_t index = system_find_agent(sys, slice_from_cstr(agent));
    if (interface_of(arena, sys, (uint32_t)index, &options, &in, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return in;
}

static void a_document_is_read_back(void **state)
{
    (void)state;
    Arena *arena = arena_create(256 << 20);
    System *sys = pipeline(arena);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        Interface *in = of(arena, sys, arena_cstr(arena, sys->agents[i].name)), *back = NULL;
        Err e = {0};
        Slice text = written(arena, in);
        if (read_text(arena, text, &back, &e) != 0) {
            fail_msg("%s\n%.*s", e.text, SLICE_FMT(text));
        }
        assert_true(slice_eq(written(arena, back), text));
        assert_true(back->input_count > 0);
        assert_true(back->cost_ns[FIDELITY_FORMULA] > 0);
    }
    Interface *d = of(arena, sys, "d");
    assert_int_equal(d->input_count, 2); // b and the audits
    bool servers = false;
    for (uint32_t i = 0; i < d->policy_count; i++) {
        const InterfacePolicy *p = &d->policies[i];
        if (slice_eq_cstr(p->name, "d.servers")) {
            servers =
                p->value == 18 && p->low == 18 && p->high == 72 && slice_eq_cstr(p->owner, "d");
        }
    }
    assert_true(servers);
    arena_destroy(arena);
}

static void together_they_are_the_system(void **state)
{
    (void)state;
    Arena *arena = arena_create(256 << 20);
    System *sys = pipeline(arena);
    const Interface *list[4];
    for (uint32_t i = 0; i < 4; i++) {
        list[i] = of(arena, sys, arena_cstr(arena, sys->agents[i].name));
    }
    InterfaceKnown known;
    Err e = {0};
    InterfaceComposeOptions options = {.now_unix_ns = INT64_C(1000000000000), .strict = true};
    if (interface_compose(arena, list, 4, &options, &known, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(known.mark_count, 0);
    assert_int_equal(known.sys->agent_count, 4);
    assert_int_equal(known.sys->client_count, 3);
    InterfaceProgram *whole, *composed;
    assert_int_equal(interface_program(sys, &whole, &e), 0);
    assert_int_equal(interface_program(known.sys, &composed, &e), 0);
    InterfaceQuery query = {.exact_fidelity = true, .fidelity = FIDELITY_FORMULA};
    InterfaceAnswer x, y;
    assert_int_equal(interface_query(whole, arena, &query, &x, &e), 0);
    assert_int_equal(interface_query(composed, arena, &query, &y, &e), 0);
    ptrdiff_t a = system_find_client(sys, SLICE("tasks"));
    ptrdiff_t b = system_find_client(known.sys, SLICE("tasks"));
    double p99 = x.outcome->clients[a].p99.value;
    assert_true(fabs(p99 - y.outcome->clients[b].p99.value) < 1e-6 * p99);
    interface_program_destroy(whole);
    interface_program_destroy(composed);
    arena_destroy(arena);
}

static void what_is_missing_stale_or_contradicts_is_marked(void **state)
{
    (void)state;
    Arena *arena = arena_create(256 << 20);
    System *sys = pipeline(arena);
    const Interface *list[3] = {of(arena, sys, "b"), of(arena, sys, "d"), NULL};
    InterfaceKnown known;
    Err e = {0};
    InterfaceComposeOptions options = {.now_unix_ns = INT64_C(1000000000000)};
    // a is a stranger who calls, c is called and unknown.
    assert_int_equal(interface_compose(arena, list, 2, &options, &known, &e), 0);
    assert_int_equal(known.mark_count, 1);
    assert_int_equal(known.marks[0].kind, MARK_MISSING);
    assert_true(slice_eq_cstr(known.marks[0].agent, "c"));
    assert_true(system_find_client(known.sys, SLICE("a")) >= 0);
    options.strict = true;
    assert_int_equal(interface_compose(arena, list, 2, &options, &known, &e), ERR_NOT_FOUND);
    // An hour later both have expired.
    options = (InterfaceComposeOptions){.now_unix_ns = INT64_C(4600000000000)};
    assert_int_equal(interface_compose(arena, list, 2, &options, &known, &e), 0);
    assert_int_equal(known.mark_count, 3);
    assert_int_equal(known.marks[0].kind, MARK_STALE);
    options.strict = true;
    assert_int_equal(interface_compose(arena, list, 2, &options, &known, &e), ERR_TIMEOUT);
    // d states other policies of b's edge than b does, and ten times the calls.
    options = (InterfaceComposeOptions){.now_unix_ns = INT64_C(1000000000000)};
    System *other = system_copy(arena, sys);
    SystemChange c;
    assert_int_equal(system_parse_change(other, SLICE("b->d.retry.attempts=3"), &c, &e), 0);
    assert_int_equal(system_set(other, &c, &e), 0);
    Interface *liar = of(arena, other, "d");
    for (uint32_t i = 0; i < liar->input_count; i++) {
        liar->inputs[i].rate *= 10;
    }
    list[1] = liar;
    assert_int_equal(interface_compose(arena, list, 2, &options, &known, &e), 0);
    bool contradiction = false, unsure = false;
    for (uint32_t i = 0; i < known.mark_count; i++) {
        contradiction = contradiction || known.marks[i].kind == MARK_CONTRADICTION;
        unsure = unsure || known.marks[i].kind == MARK_UNSURE;
    }
    assert_true(contradiction && unsure);
    // Two that differ with one revision; the newer one wins where there is one.
    list[2] = of(arena, sys, "d");
    Interface *newer = of(arena, other, "b");
    list[1] = newer;
    assert_int_equal(interface_compose(arena, list, 3, &options, &known, &e), ERR_CONFLICT);
    newer->revision = 2;
    assert_int_equal(interface_compose(arena, list, 3, &options, &known, &e), 0);
    SystemParam p;
    assert_int_equal(system_find_param(known.sys, SLICE("b->d.retry.attempts"), &p, &e), 0);
    assert_int_equal(system_get(known.sys, p).integer, 3);
    assert_int_equal(interface_compose(arena, list, 0, &options, &known, &e), ERR_ARG);
    arena_destroy(arena);
}

static void bad_documents_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"\"format\":\"perfwright-interface\"", "\"format\":\"x\"", "no performance interface"},
        {"\"version\":1", "\"version\":2", "has version 2"},
        {"\"agent\":\"d\"", "\"agent\":\"e\"", "describe \"e\" alone"},
        {"\"agent\":\"d\"", "\"agnet\":\"d\"", "agnet"},
        {"\"scv\":1", "\"scv\":-1", "scv must be"},
        {"\"low\":18", "\"low\":80", "range 80 to 72 is empty"},
        {"\"name\":\"d.autoscale.target\"", "\"name\":\"d.servers\"", "there twice"},
        {"\"revision\":1", "\"revision\":0", "revision must be"},
        {"\"expires_unix_ns\":1060000000000", "\"expires_unix_ns\":1", "contradict"},
        {"\"bounds\":", "\"oracle\":", "no fidelity"},
        {"\"from\":\"audits\",\"rate\":{\"value\":2", "\"from\":\"audits\",\"rate\":{\"value\":200",
         "not between"},
        {"\"from\":\"audits\",\"rate\"", "\"from\":\"b\",\"rate\"", "two inputs"},
    };
    Arena *arena = arena_create(256 << 20);
    Slice good = written(arena, of(arena, pipeline(arena), "d"));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ptrdiff_t at = slice_find(good, slice_from_cstr(cases[i].from));
        if (at < 0) {
            fail_msg("case %zu: %s is not in %.*s", i, cases[i].from, SLICE_FMT(good));
        }
        Slice text = arena_printf(arena, "%.*s%s%s", (int)at, good.ptr, cases[i].to,
                                  good.ptr + at + strlen(cases[i].from));
        Interface *in = NULL;
        Err e = {0};
        if (read_text(arena, text, &in, &e) == 0 || !strstr(e.text, cases[i].words)) {
            fail_msg("case %zu: \"%s\"", i, e.text);
        }
    }
    arena_destroy(arena);
}

static void questions(void **state)
{
    (void)state;
    Arena *arena = arena_create(256 << 20);
    System *sys = pipeline(arena);
    InterfaceProgram *p;
    Err e = {0};
    assert_int_equal(interface_program(sys, &p, &e), 0);
    InterfaceAnswer answer;
    SystemChange servers, outside;
    assert_int_equal(system_parse_change(sys, SLICE("d.servers=36"), &servers, &e), 0);
    assert_int_equal(system_parse_change(sys, SLICE("d.servers=90"), &outside, &e), 0);
    ptrdiff_t audits = system_find_client(sys, SLICE("audits")),
              d = system_find_agent(sys, SLICE("d"));
    InterfaceRate rate = {.client = SLICE("audits"), .rate = 4};
    InterfaceQuery query = {.rates = &rate,
                            .rate_count = 1,
                            .changes = &servers,
                            .change_count = 1,
                            .exact_fidelity = true,
                            .fidelity = FIDELITY_FORMULA};
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), 0);
    assert_int_equal(answer.fidelity, FIDELITY_FORMULA);
    assert_true(fabs(answer.outcome->agents[d].utilisation.value - 18 * 0.9 / 36) < 1e-3);
    assert_true(answer.outcome->clients[audits].p99.low < answer.outcome->clients[audits].p99.high);
    assert_true(answer.took_ns > 0 && interface_cost(p, FIDELITY_FORMULA) > 0);
    assert_true(sys->clients[audits].per_second == 2); // the System itself is as it was
    query.fidelity = FIDELITY_BOUNDS;
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), 0);
    assert_true(isnan(answer.outcome->clients[audits].p99.value));
    // Anytime: no time, no simulation; enough of it, and there is one.
    query.exact_fidelity = false;
    query.budget_ns = 1;
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), 0);
    assert_int_equal(answer.fidelity, FIDELITY_FORMULA);
    query.exact_fidelity = true;
    query.fidelity = FIDELITY_SIMULATION;
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), 0);
    assert_int_equal(answer.fidelity, FIDELITY_SIMULATION);
    assert_true(fabs(answer.outcome->agents[d].utilisation.value - 18 * 0.9 / 36) < 0.05);
    // What is refused.
    query.fidelity = FIDELITY_FORMULA;
    query.changes = &outside;
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), ERR_REFUSED);
    query.outside = true;
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), 0);
    rate.client = SLICE("nobody");
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), ERR_ARG);
    rate = (InterfaceRate){.client = SLICE("audits"), .rate = NAN};
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), ERR_ARG);
    query.fidelity = FIDELITY_LEARNED;
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), ERR_UNSUPPORTED);
    // Unstable is an answer.
    rate = (InterfaceRate){.client = SLICE("audits"), .rate = 40};
    query = (InterfaceQuery){.rates = &rate, .rate_count = 1, .budget_ns = 1};
    assert_int_equal(interface_query(p, arena, &query, &answer, &e), 0);
    assert_false(answer.outcome->stable);
    assert_true(answer.outside);
    assert_true(slice_find(answer.outcome->reason, SLICE("d is overloaded")) >= 0);
    interface_program_destroy(p);
    arena_destroy(arena);
}

static void one_agent_and_what_lies_below(void **state)
{
    (void)state;
    Arena *arena = arena_create(256 << 20);
    System *sys = pipeline(arena), *local = NULL;
    Err e = {0};
    uint32_t b = (uint32_t)system_find_agent(sys, SLICE("b"));
    assert_int_equal(interface_local(arena, sys, b, NULL, &local, &e), 0);
    assert_int_equal(local->agent_count, 3);
    assert_true(system_find_agent(local, SLICE("a")) < 0);
    ptrdiff_t a = system_find_client(local, SLICE("a"));
    assert_true(a >= 0 && fabs(local->clients[a].per_second - 10) < 0.01);
    assert_true(system_find_edge(local, SLICE("a->b")) >= 0);
    assert_true(system_find_client(local, SLICE("audits")) >= 0);
    uint32_t alone = (uint32_t)system_find_agent(sys, SLICE("c"));
    assert_int_equal(interface_local(arena, sys, alone, NULL, &local, &e), 0);
    assert_int_equal(local->agent_count, 1);
    assert_int_equal(local->client_count, 1);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_read_back),
        cmocka_unit_test(together_they_are_the_system),
        cmocka_unit_test(what_is_missing_stale_or_contradicts_is_marked),
        cmocka_unit_test(bad_documents_are_refused_with_the_place),
        cmocka_unit_test(questions),
        cmocka_unit_test(one_agent_and_what_lies_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
