#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/json_write.h"
#include "base/units.h"
#include "load/plan_flags.h"

static const Doc *parse(Arena *arena, const char *yaml)
{
    const Doc *doc = NULL;
    DocOptions o = {.format = DOC_FORMAT_YAML, .source = "p.yaml"};
    Err e = {0};
    if (doc_parse(arena, slice_from_cstr(yaml), &o, &doc, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return doc;
}

static void expect(const PlanFlags *flags, const char *base, const char *expected)
{
    Arena *arena = arena_create(16 << 20);
    const Doc *doc = NULL;
    Err e = {0};
    if (plan_flags_apply(arena, flags, base ? parse(arena, base) : NULL, &doc, &e) != 0) {
        fail_msg("%s", e.text);
    }
    Buf got = buf_create(10000), want = buf_create(10000);
    doc_write_canonical(doc, &got);
    doc_write_canonical(parse(arena, expected), &want);
    if (!slice_eq(buf_slice(&got), buf_slice(&want))) {
        fail_msg("%s\nnot %s", got.data, want.data);
    }
    buf_done(&got);
    buf_done(&want);
    arena_destroy(arena);
}

static void test_flags_alone(void **state)
{
    (void)state;
    static const Slice headers[] = {SLICE_INIT("A: b"), SLICE_INIT("X:  1 "), SLICE_INIT("A: c:d")};
    static const Slice variables[] = {SLICE_INIT("k=v=w"), SLICE_INIT("l="), SLICE_INIT("k=2")};
    static const Slice thresholds[] = {SLICE_INIT("http_reqs{url:http://a/?b=c}=count>1"),
                                       SLICE_INIT("checks=rate==1")};
    expect(&(PlanFlags){.url = SLICE("http://a/"), .vus = 50, .duration_ns = 30 * NS_PER_SECOND},
           NULL, "{url: http://a/, vus: 50, duration: 30s}");
    expect(&(PlanFlags){.url = SLICE("http://a/"), .body = SLICE("x")}, NULL,
           "{url: http://a/, body: x, method: POST}");
    expect(&(PlanFlags){.method = SLICE("PUT"), .body_file = SLICE("x"), .rate = SLICE("5/s")},
           NULL, "{bodyFile: x, method: PUT, rate: 5/s}");
    expect(&(PlanFlags){.headers = headers, .header_count = 3}, NULL,
           "{headers: {A: [b, 'c:d'], X: ['1']}}");
    expect(&(PlanFlags){.variables = variables, .variable_count = 3}, NULL,
           "{variables: {k: '2', l: ''}}");
    expect(&(PlanFlags){.thresholds = thresholds, .threshold_count = 2}, NULL,
           "{thresholds: {'http_reqs{url:http://a/?b=c}': count>1, checks: rate==1}}");
    expect(&(PlanFlags){.has_seed = true, .seed = 0, .no_connection_reuse = true}, NULL,
           "{seed: 0, options: {noConnectionReuse: true}}");
}

static void test_flags_beat_the_plan(void **state)
{
    (void)state;
    static const Slice variables[] = {SLICE_INIT("a=9")};
    static const Slice thresholds[] = {SLICE_INIT("checks=rate>0.5")};
    static const Slice slo[] = {SLICE_INIT("other.yaml")};
    PlanFlags flags = {.variables = variables,
                       .variable_count = 1,
                       .thresholds = thresholds,
                       .threshold_count = 1,
                       .slo_files = slo,
                       .slo_file_count = 1,
                       .has_seed = true,
                       .seed = 7,
                       .environment = SLICE("x"),
                       .no_connection_reuse = true};
    expect(
        &flags,
        "{variables: {a: 1, b: 2}, thresholds: {checks: rate>1, http_reqs: count>1}, slo: s.yaml,"
        " seed: 1, options: {discardBodies: false}, requests: {q: 'http://a/'}}",
        "{variables: {a: '9', b: 2}, thresholds: {checks: rate>0.5, http_reqs: count>1},"
        " slo: [other.yaml], seed: 7, environment: x, requests: {q: 'http://a/'},"
        " options: {discardBodies: false, noConnectionReuse: true}}");
    expect(&(PlanFlags){0}, "{vus: 1}", "{vus: 1}");
}

static void test_load_over_shortcuts(void **state)
{
    (void)state;
    const PlanFlags vus = {.vus = 9}, duration = {.duration_ns = NS_PER_SECOND},
                    rate = {.rate = SLICE("5/s")}, stages = {.stages = SLICE("1s:1")};
    expect(&vus, "{vus: 1, duration: 5s}", "{vus: 9, duration: 5s}");
    expect(&vus, "{stages: '1s:5'}", "{vus: 9, stages: '1s:5'}");
    expect(&vus, "{rate: 5, duration: 5s, maxVUs: 4, arrivals: poisson}", "{vus: 9, duration: 5s}");
    expect(&duration, "{rate: 5, duration: 5s, maxVUs: 4}", "{rate: 5, duration: 1s, maxVUs: 4}");
    expect(&duration, "{stages: '1s:5', vus: 2}", "{duration: 1s, vus: 2}");
    expect(&rate, "{vus: 5, duration: 5s}", "{rate: 5/s, duration: 5s}");
    expect(&stages, "{iterations: 5, duration: 5s, vus: 3}", "{stages: '1s:1', vus: 3}");
}

static void test_load_over_one_scenario(void **state)
{
    (void)state;
    const PlanFlags vus = {.vus = 9}, rate = {.rate = SLICE("5/s"), .environment = SLICE("e")};
    expect(&vus,
           "{tags: {a: b}, scenarios: {s: {executor: constant-vus, vus: 1, duration: 5s,"
           " steps: [a]}}}",
           "{tags: {a: b}, scenarios: {s: {executor: constant-vus, vus: 9, duration: 5s,"
           " steps: [a]}}}");
    expect(&rate,
           "{scenarios: {s: {executor: constant-arrival-rate, rate: 1, timeUnit: 1m, duration: 5s,"
           " preAllocatedVUs: 3}}}",
           "{environment: e, scenarios: {s: {executor: constant-arrival-rate, rate: 5/s,"
           " duration: 5s, preAllocatedVUs: 3}}}");
    expect(&vus,
           "{seed: 1, scenarios: {s: {executor: constant-arrival-rate, rate: 1, duration: 5s,"
           " preAllocatedVUs: 3, steps: [a]}}}",
           "{seed: 1, vus: 9, steps: [a]}");
    expect(&vus, "{scenarios: {s: {executor: ramping-vus, stages: '1s:1'}}}", "{vus: 9}");
    expect(&(PlanFlags){.has_seed = true, .seed = 3}, "{scenarios: {a: 1, b: 2}}",
           "{seed: 3, scenarios: {a: 1, b: 2}}");
}

static void test_flags_refused(void **state)
{
    (void)state;
    static const Slice no_pair[] = {SLICE_INIT("novalue")}, no_header[] = {SLICE_INIT("novalue")};
    const struct {
        PlanFlags flags;
        const char *base, *says;
    } cases[] = {
        {{.variables = no_pair, .variable_count = 1}, NULL, "-e novalue: write NAME=VALUE"},
        {{.thresholds = no_pair, .threshold_count = 1}, NULL, "--threshold novalue"},
        {{.tags = no_pair, .tag_count = 1}, NULL, "--tag novalue"},
        {{.headers = no_header, .header_count = 1}, NULL, "--header novalue: write NAME: VALUE"},
        {{.vus = 1}, "{scenarios: {a: {}, b: {}}}", "p.yaml has 2 scenarios"},
        {{.url = SLICE("http://a/")}, "{requests: {a: /}}", "has requests of its own"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Arena *arena = arena_create(16 << 20);
        const Doc *doc = NULL;
        Err e = {0};
        int rc = plan_flags_apply(arena, &cases[i].flags,
                                  cases[i].base ? parse(arena, cases[i].base) : NULL, &doc, &e);
        if (rc != ERR_ARG || !strstr(e.text, cases[i].says)) {
            fail_msg("%zu: %d %s", i, rc, e.text);
        }
        arena_destroy(arena);
    }
}

static void test_whole_way(void **state)
{
    (void)state;
    Arena *arena = arena_create(PLAN_ARENA_BYTES);
    PlanMistakes mistakes;
    const Plan *plan = NULL;
    Err e = {0};
    PlanFlags flags = {
        .url = SLICE("http://127.0.0.1:1/"), .rate = SLICE("2000/s"), .duration_ns = NS_PER_MINUTE};
    assert_int_equal(plan_load(arena, NULL, &flags, NULL, &plan, &mistakes, &e), 0);
    assert_int_equal(plan->scenarios->executor, EXECUTOR_CONSTANT_ARRIVAL_RATE);
    assert_true(slice_eq(plan->source, SLICE(PLAN_FLAGS_SOURCE)));
    assert_int_equal(plan->scenarios->max_vus, 1000);
    flags.url = SLICE("nope");
    assert_int_equal(plan_load(arena, NULL, &flags, NULL, &plan, &mistakes, &e), ERR_PARSE);
    assert_non_null(strstr(e.text, "command line:1:"));
    assert_int_equal(plan_load(arena, "/nonexistent.yaml", &flags, NULL, &plan, &mistakes, &e),
                     ERR_IO);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_alone),         cmocka_unit_test(test_flags_beat_the_plan),
        cmocka_unit_test(test_load_over_shortcuts), cmocka_unit_test(test_load_over_one_scenario),
        cmocka_unit_test(test_flags_refused),       cmocka_unit_test(test_whole_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
