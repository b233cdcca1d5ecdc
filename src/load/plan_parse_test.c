// Defaults and rules are k6's (its documentation, "Executors"; lib/executor/*.go) where it has the
// field; the rest is docs/guide/plan.md, whose examples are read here too.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/units.h"
#include "load/plan_parse.h"
#include "os/file.h"

#define S NS_PER_SECOND

typedef struct Read {
    Arena *arena;
    const Plan *plan;
    PlanMistakes mistakes;
    Err e;
    int rc;
} Read;

static bool test_env(void *ctx, Slice name, Slice *ret)
{
    (void)ctx;
    *ret = SLICE("s3cret");
    return slice_eq(name, SLICE("TOKEN"));
}

static const char *example_folder(void)
{
    static char folder[4096];
    const char *root = getenv("PW_SOURCE_ROOT");
    (void)snprintf(folder, sizeof folder, "%s/examples", root ? root : ".");
    return folder;
}

static Read *read_plan_bytes(Slice text)
{
    Read *r = mem_zalloc(sizeof *r);
    r->arena = arena_create(PLAN_ARENA_BYTES);
    const Doc *doc = NULL;
    DocOptions o = {.format = DOC_FORMAT_YAML, .source = "p.yaml"};
    PlanOptions options = {.folder = example_folder(), .env = test_env};
    r->rc = doc_parse(r->arena, text, &o, &doc, &r->e);
    if (r->rc == 0) {
        r->rc = plan_parse(r->arena, doc, &options, &r->plan, &r->mistakes, &r->e);
        assert_int_equal(r->rc == 0, r->mistakes.errors == 0);
    }
    return r;
}

static Read *read_plan(const char *text)
{
    return read_plan_bytes(slice_from_cstr(text));
}

static void read_done(Read *r)
{
    arena_destroy(r->arena);
    free(r);
}

static Read *read_good(const char *text)
{
    Read *r = read_plan(text);
    if (r->rc != 0) {
        fail_msg("%s\n%s", text, r->e.text);
    }
    return r;
}

// ---- what small plans become

static void test_minimal_plan(void **state)
{
    (void)state;
    Read *r = read_good("url: http://127.0.0.1:8080/\nvus: 10\nduration: 30s\n");
    const Plan *p = r->plan;
    assert_int_equal(p->scenario_count, 1);
    assert_int_equal(p->request_count, 1);
    const PlanScenario *s = p->scenarios;
    assert_true(slice_eq(s->name, SLICE("default")));
    assert_int_equal(s->executor, EXECUTOR_CONSTANT_VUS);
    assert_int_equal(s->vus, 10);
    assert_int_equal(s->max_vus, 10);
    assert_int_equal(s->duration_ns, 30 * S);
    assert_int_equal(s->graceful_stop_ns, 30 * S);
    assert_int_equal(s->step_count, 1);
    const PlanRequest *q = s->steps[0].request;
    assert_true(slice_eq(q->name, SLICE("http://127.0.0.1:8080/")));
    assert_true(slice_eq(q->method, SLICE("GET")));
    assert_true(!q->writes && !q->needs_body && !q->has_body && q->url.is_static);
    assert_int_equal(q->timeout_ns, 60 * S);
    assert_int_equal(q->max_redirects, 10);
    assert_true(p->discard_bodies && !p->no_connection_reuse);
    assert_true(slice_eq(p->run_header, SLICE("X-Perfwright-Run")));
    assert_int_equal(p->seed, PLAN_SEED);
    assert_int_equal(plan_vus_max(p), 10);
    assert_int_equal(plan_duration_with_stops_ns(p), 60 * S);
    assert_int_equal(r->mistakes.count, 0);
    read_done(r);
}

static void test_shortcuts(void **state)
{
    (void)state;
    static const struct {
        const char *load;
        ExecutorKind executor;
        int64_t vus, iterations, duration, max_vus;
    } cases[] = {
        {"", EXECUTOR_SHARED_ITERATIONS, 1, 1, 0, 1},
        {"vus: 7", EXECUTOR_SHARED_ITERATIONS, 7, 7, 0, 7},
        {"iterations: 5", EXECUTOR_SHARED_ITERATIONS, 1, 5, 0, 1},
        {"iterations: 1k\nvus: 3", EXECUTOR_SHARED_ITERATIONS, 3, 1000, 0, 3},
        {"duration: 1m30s", EXECUTOR_CONSTANT_VUS, 1, 1, 90 * S, 1},
        {"stages: '10s:5, 20s:0'", EXECUTOR_RAMPING_VUS, 1, 1, 30 * S, 5},
        {"stages: [{duration: 10s, target: 5}]\nvus: 9", EXECUTOR_RAMPING_VUS, 9, 1, 10 * S, 9},
        {"rate: 10/s\nduration: 5s", EXECUTOR_CONSTANT_ARRIVAL_RATE, 1, 1, 5 * S, 20},
        {"rate: 2000/s\nduration: 5s", EXECUTOR_CONSTANT_ARRIVAL_RATE, 1, 1, 5 * S, 1000},
        {"rate: 400\nduration: 5s", EXECUTOR_CONSTANT_ARRIVAL_RATE, 1, 1, 5 * S, 400},
        {"rate: 400\nduration: 5s\nmaxVUs: 3", EXECUTOR_CONSTANT_ARRIVAL_RATE, 1, 1, 5 * S, 3},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf text = buf_create(1000);
        buf_printf(&text, "url: http://127.0.0.1/\n%s\n", cases[i].load);
        Read *r = read_good(text.data);
        const PlanScenario *s = r->plan->scenarios;
        assert_int_equal(s->executor, cases[i].executor);
        assert_int_equal(s->vus, cases[i].vus);
        assert_int_equal(s->iterations, cases[i].iterations);
        assert_int_equal(s->duration_ns, cases[i].duration);
        assert_int_equal(s->max_vus, cases[i].max_vus);
        read_done(r);
        buf_done(&text);
    }
    Read *r = read_good("url: http://127.0.0.1/\niterations: 9\nduration: 2s\n");
    assert_int_equal(r->plan->scenarios->max_duration_ns, 2 * S);
    read_done(r);
    r = read_good("url: http://127.0.0.1/\nrate: 2000/s\nduration: 2s\narrivals: poisson\n");
    assert_true(r->plan->scenarios->poisson);
    assert_int_equal(r->plan->scenarios->pre_allocated_vus, 100);
    read_done(r);
    r = read_good("url: http://127.0.0.1/\nstages: 10s:5\nvus: 9");
    assert_int_equal(r->plan->scenarios->start_vus, 9);
    read_done(r);
}

// ---- the guide

static const PlanRequest *request_named(const Plan *p, const char *name)
{
    for (size_t i = 0; i < p->request_count; i++) {
        if (slice_eq_cstr(p->requests[i].name, name)) {
            return &p->requests[i];
        }
    }
    fail_msg("no request %s", name);
    return NULL;
}

static void check_whole_example(const Plan *p)
{
    assert_int_equal(p->seed, 42);
    assert_int_equal(p->environment_count, 2);
    assert_true(slice_eq(p->environment->name, SLICE("local")) && p->environment->data_isolated);
    assert_int_equal(p->environments[1].host_count, 2);
    assert_int_equal(p->feeds[0].order, FEED_SHUFFLE);
    assert_int_equal(p->feeds[0].row_count, 4);
    assert_int_equal(p->feeds[1].row_count, 3);
    assert_int_equal(p->request_count, 6);
    assert_int_equal(p->variable_count, 3);
    const PlanRequest *login = request_named(p, "login");
    assert_true(login->writes && login->needs_body && login->has_body);
    assert_int_equal(login->check_count, 4);
    assert_true(slice_eq(login->checks[0].name, SLICE("status is 200 or 201")));
    assert_true(slice_eq(login->checks[1].name, SLICE("header Content-Type contains json")));
    assert_true(slice_eq(login->checks[3].name, SLICE("quick enough")));
    assert_int_equal(login->extract_count, 2);
    assert_true(login->extracts[1].has_default);
    assert_int_equal(login->header_count, 1);
    const PlanRequest *import = request_named(p, "import");
    assert_true(import->body.is_static && import->header_count == 1);
    assert_ptr_equal(p->setup[0], import);
    assert_int_equal(p->teardown_count, 1);
    const PlanScenario *browse = &p->scenarios[0], *steady = &p->scenarios[1];
    assert_int_equal(browse->duration_ns, 100 * S);
    assert_int_equal(browse->max_vus, 20);
    assert_int_equal(browse->start_vus, 0);
    assert_int_equal(browse->step_count, 3);
    const PlanStep *group = &browse->steps[2];
    assert_int_equal(group->kind, STEP_GROUP);
    assert_true(slice_eq(group->group, SLICE("::shopping")));
    const PlanStep *choose = group->steps;
    assert_int_equal(choose->kind, STEP_CHOOSE);
    assert_true(choose->steps[0].weight == 4 && choose->steps[1].weight == 1);
    assert_int_equal(choose->steps[1].step_count, 3);
    assert_int_equal(choose->steps[1].steps[1].think.kind, THINK_LOGNORMAL);
    assert_true(steady->poisson && steady->pre_allocated_vus == 20 && steady->max_vus == 100);
    assert_int_equal(p->threshold_count, 5);
    assert_true(p->thresholds[3].abort_on_fail);
    assert_int_equal(p->thresholds[3].delay_abort_eval_ns, 10 * S);
    assert_int_equal(p->budget.requests, 200000);
    assert_int_equal(p->budget.bytes, 2000000000);
    assert_int_equal(plan_vus_max(p), 120);
}

static void test_examples_of_the_guide(void **state)
{
    (void)state;
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/../docs/guide/plan.md", example_folder());
    Buf text = buf_create(1 << 20);
    Err e = {0};
    if (file_read(path, &text, &e) != 0) {
        fail_msg("%s", e.text);
    }
    Slice rest = buf_slice(&text);
    size_t examples = 0;
    for (ptrdiff_t at; (at = slice_find(rest, SLICE("```yaml\n"))) >= 0; examples++) {
        rest = slice_sub(rest, (size_t)at + 8, rest.len);
        ptrdiff_t end = slice_find(rest, SLICE("```"));
        Read *r = read_plan_bytes(slice_sub(rest, 0, (size_t)end));
        if (r->rc != 0 || r->mistakes.count != 0) {
            fail_msg("example %zu: %s %s", examples, r->e.text,
                     r->mistakes.count ? r->mistakes.items[0].text.ptr : "");
        }
        if (slice_eq(r->plan->name, SLICE("shop"))) {
            check_whole_example(r->plan);
        }
        read_done(r);
        rest = slice_sub(rest, (size_t)end + 3, rest.len);
    }
    assert_int_equal(examples, 4);
    buf_done(&text);
}

// ---- mistakes

#define URL "url: http://127.0.0.1/\n"
#define REQ "requests: {a: 'http://127.0.0.1/'}\n"

static void test_mistakes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "p.yaml:1:1: a plan must be an object, not an array"},
        {"", "a plan must be an object, not null"},
        {"{}", "there is nothing to do"},
        {"vus: 1", "there is nothing to do"},
        {URL "version: 2", "p.yaml:2:10: version 2 is newer"},
        {URL "vuss: 1", "p.yaml:2:1: a plan has no field \"vuss\"; did you mean \"vus\"?"},
        {URL "frobnicate: 1", "has no field \"frobnicate\"; remove it"},
        {URL "vus: 0", "p.yaml:2:6: vus is out of range; it goes from 1 to"},
        {URL "vus: 1.5", "vus must be a whole number, not a fraction"},
        {URL "vus: 99999999999999999999", "must be a whole number"},
        {URL "duration: 30", "duration needs a unit; write 30s for seconds"},
        {URL "duration: 0s", "duration is out of range; it goes from 1ns"},
        {URL "duration: -5s", "p.yaml:2:11: duration: "},
        {URL "seed: -1", "seed is out of range"},
        {URL "stages: 10s", "\"10s\" is no stage"},
        {URL "stages: []", "no stages"},
        {URL "stages: [{duration: 1s}]", "a stage needs a duration and a target"},
        {URL "stages: [{duration: 1s, targett: 1}]", "did you mean \"target\"?"},
        {URL "vus: 1\nstages: 5s:1\nduration: 1s", "`stages` and `duration` do not go together"},
        {URL "rate: 5/s", "a rate needs a `duration`"},
        {URL "rate: 0/s\nduration: 1s", "p.yaml:2:7: rate"},
        {URL "rate: 0\nduration: 1s", "rate is out of range; it goes from 1"},
        {URL "rate: 0.5/s\nduration: 1s", "write 1/2s instead of 0.5/s"},
        {URL "rate: 5/s\nvus: 1\nduration: 1s", "`rate` and `vus` do not go together"},
        {URL "rate: 1000000000/1us\nduration: 1h", "more than 1e+15 iterations"},
        {URL "maxVUs: 5", "`maxVUs` at the top needs a `rate`"},
        {URL "vus: 5\niterations: 3", "3 iterations for 5 VUs"},
        {"url: ftp://127.0.0.1/", "a URL begins with http://"},
        {"url: http://", "p.yaml:1:6:"},
        {"url: 'http://127.0.0.1/a b'", "p.yaml:1:6:"},
        {"url: /x", "\"/x\" needs a baseUrl before it"},
        {"url: 'http://127.0.0.1/${tokn}'\nvariables: {token: 1}", "did you mean \"token\"?"},
        {"url: 'http://127.0.0.1/${users.name}'", "there is no feed \"users\""},
        {"url: 'http://127.0.0.1/${env.NOPE}'", "NOPE is not set"},
        {URL "method: 'GE T'", "\"GE T\" is no HTTP method"},
        {"method: GET\n" REQ, "`method` at the top belongs to a `url` there"},
        {URL "headers: {'a b': c}", "\"a b\" is no header name"},
        {URL "headers: {a: \"x\\ny\"}", "a header's value holds no control characters"},
        {URL "headers: [a]", "headers must be an object"},
        {URL "body: x\njson: 1", "one of body, json and bodyFile"},
        {URL "bodyFile: nope.txt", "p.yaml:2:11: bodyFile: "},
        {URL "template: 1", "template must be true or false"},
        {URL "expectedStatuses: 99", "\"99\" is no status"},
        {URL "expectedStatuses: ['300-200']", "is no status"},
        {URL "expectedStatuses: 6xx", "is no status"},
        {URL "expectedStatuses: []", "name one status at least"},
        {URL "checks: {status: 200}", "checks must be a list"},
        {URL "checks: [{}]", "this one at 0 of them"},
        {URL "checks: [{status: 200, json: a}]", "this one at 2 of them"},
        {URL "checks: [{json: 'a*'}]", "\"*\" is not supported in JSON paths"},
        {URL "checks: [{json: a, above: x}]", "above needs a number"},
        {URL "checks: [{json: a, above: 1, below: 2}]", "a check has one operator"},
        {URL "checks: [{body: {}}]", "say what the body has to be"},
        {URL "checks: [{header: a, exists: 3}]", "exists must be true or false"},
        {URL "extract: {vu: a}", "\"vu\" cannot name a variable"},
        {URL "extract: {x: {json: a, header: b}}", "from one of json, header or between"},
        {URL "extract: {x: {between: [a]}}", "between needs two texts"},
        {URL "extract: {x: ''}", "an empty key"},
        {URL "variables: {a: '${b}', b: 1}", "there is no variable \"b\""},
        {URL "variables: {a: '${uuid}'}", "only ${env.NAME} can stand here"},
        {URL "variables: {a: [1]}", "a variable must be text"},
        {URL "variables: [1]", "variables must be an object"},
        {URL "feeds: {f: nope.csv}", "p.yaml:2:12:"},
        {URL "feeds: {f: {order: random}}", "the feed \"f\" needs a file"},
        {URL "feeds: {f: {file: data/users.csv, order: randm}}", "did you mean \"random\"?"},
        {URL "feeds: {env: data/users.csv}", "\"env\" cannot name a feed"},
        {URL "environments: {a: {}}", "needs a kind"},
        {URL "environments: {a: {kind: prod}}", "kind must be development, test"},
        {URL "environments: {a: {kind: test}, b: {kind: test}}", "there are 2 environments"},
        {URL "environment: a", "declare it under `environments`"},
        {URL "environments: {abc: {kind: test}}\nenvironment: abd", "did you mean \"abc\"?"},
        {URL "environments: {a: {kind: test, baseUrl: nope}}", "baseUrl: "},
        {URL "environments: {a: {kind: test, baseUrl: 'http://a/?b'}}", "ends with its path"},
        {URL "environments: {a: {kind: test, hosts: ['http://a']}}", "without scheme"},
        {URL "environments: {a: {kind: test, data: mine}}", "data must be shared or isolated"},
        {URL "environments: {a: {kind: test, tls: {minVersion: '1.1'}}}", "\"1.2\" or \"1.3\""},
        {URL "environments: {a: {kind: test, tls: {certFile: a}}}", "both certFile and keyFile"},
        {"requests: {a: {}}", "the request \"a\" needs a url"},
        {"requests: [1]", "requests must be an object"},
        {"requests: {a: {url: 'http://a/', name: b}}", "named by its key"},
        {REQ "steps: [b]", "there is no request \"b\""},
        {REQ "steps: []", "no steps"},
        {REQ "steps: [{request: a, think: 1s}]", "this one is several"},
        {REQ "steps: [{weight: 1}]", "this one is none of them"},
        {REQ "steps: [{think: 5}]", "p.yaml:2:17: think: "},
        {REQ "steps: [{think: {mean: 1s}}]", "needs a distribution"},
        {REQ "steps: [{think: {distribution: uniform, min: 1s}}]", "uniform needs `max`"},
        {REQ "steps: [{think: {distribution: uniform, min: 2s, max: 1s}}]", "min is above max"},
        {REQ "steps: [{think: {distribution: constant, mean: 1s, max: 1s}}]", "has no `max`"},
        {REQ "steps: [{think: 25h}]", "more than a day"},
        {REQ "steps: [{choose: [{request: a, weight: 0}]}]", "all weights are 0"},
        {REQ "steps: [{request: a, weight: -1}]", "weight must be a number from 0"},
        {REQ "steps: [{group: g}]", "a group needs `steps`"},
        {REQ "steps: [{request: {name: x}}]", "a request needs a url"},
        {REQ "setup: [x]", "there is no request \"x\""},
        {REQ "feeds: {users: data/users.csv}\nsetup: [{url: 'http://a/${users.name}'}]",
         "setup runs once and has no row"},
        {REQ "scenarios: {}", "scenarios must be an object of one scenario or more"},
        {REQ "vus: 1\nscenarios: {s: {executor: constant-vus, duration: 1s}}",
         "`vus` at the top is for plans without `scenarios`"},
        {REQ "scenarios: {s: {}}", "the scenario \"s\" needs an executor"},
        {REQ "scenarios: {s: {executor: constant-vu}}", "did you mean \"constant-vus\"?"},
        {REQ "scenarios: {s: {executor: constant-vus}}", "constant-vus needs `duration`"},
        {REQ "scenarios: {s: {executor: constant-vus, duration: 1s, rate: 5}}",
         "constant-vus has no `rate`, which belongs to constant-arrival-rate"},
        {REQ "scenarios: {s: {executor: ramping-vus}}", "ramping-vus needs `stages`"},
        {REQ "scenarios: {s: {executor: ramping-vus, startVUs: 0, stages: 1s:0}}", "are 0"},
        {REQ "scenarios: {s: {executor: constant-arrival-rate, duration: 1s, rate: 1}}",
         "constant-arrival-rate needs `preAllocatedVUs`"},
        {REQ "scenarios: {s: {executor: constant-arrival-rate, duration: 1s, preAllocatedVUs: 1}}",
         "needs `rate`"},
        {REQ "scenarios: {s: {executor: constant-arrival-rate, duration: 1s, rate: 1,"
             " preAllocatedVUs: 2, maxVUs: 1}}",
         "maxVUs is below preAllocatedVUs"},
        {REQ "scenarios: {s: {executor: constant-arrival-rate, duration: 1s, rate: 1/s,"
             " timeUnit: 1s, preAllocatedVUs: 2}}",
         "names its period already"},
        {REQ "scenarios: {s: {executor: ramping-arrival-rate, stages: 1s:0, preAllocatedVUs: 1}}",
         "startRate and all targets are 0"},
        {REQ "scenarios: {s: {executor: shared-iterations, vus: 2}}", "1 iterations for 2 VUs"},
        {URL "thresholds: {http_req_duratio: p(95)<1}", "did you mean \"http_req_duration\"?"},
        {URL "thresholds: {http_req_duration: rate<1}", "does not apply to a trend"},
        {URL "thresholds: {http_req_duration: {abortOnFail: true}}", "needs its expression"},
        {URL "thresholds: {'http_reqs{': count>1}", "lacks a brace"},
        {URL "thresholds: []", "thresholds must be an object"},
        {URL "slo: nope.yaml", "nope.yaml cannot be read"},
        {URL "budget: {requests: 0}", "requests is out of range"},
        {URL "budget: {bytes: 1XB}", "bytes: "},
        {URL "budget: {money: {limit: 1}}", "needs a limit, and a price"},
        {URL "tags: {a: [1]}", "a tag must be text"},
        {URL "tags: 1", "tags must be an object"},
        {URL "options: {discardBodies: 1}", "discardBodies must be true or false"},
        {URL "options: {runHeader: 'a b'}", "runHeader cannot stand in a header"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Read *r = read_plan(cases[i][0]);
        bool found = false;
        for (size_t k = 0; k < r->mistakes.count; k++) {
            found = found || strstr(r->mistakes.items[k].text.ptr, cases[i][1]);
        }
        if (r->rc != ERR_PARSE || !found) {
            fail_msg("%s\n%d %s", cases[i][0], r->rc, r->e.text);
        }
        read_done(r);
    }
}

static void test_all_mistakes_are_reported(void **state)
{
    (void)state;
    Read *r = read_plan("url: nope\nvus: x\nfoo: 1\nthresholds:\n  http_reqs: p(95)<1\n"
                        "  nothing: count>1\ntags: 5\n");
    static const char *const expected[] = {
        "p.yaml:2:6: vus",        "p.yaml:3:1: a plan has no field", "p.yaml:1:6: a URL",
        "p.yaml:5:14: \"p(95)\"", "p.yaml:6:3: there is no metric",  "p.yaml:7:7: tags"};
    assert_int_equal(r->mistakes.count, COUNT_OF(expected));
    assert_int_equal(r->mistakes.errors, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        if (!strstr(r->mistakes.items[i].text.ptr, expected[i])) {
            fail_msg("%s", r->mistakes.items[i].text.ptr);
        }
    }
    assert_non_null(strstr(r->e.text, "(and 5 more)"));
    assert_int_equal(r->mistakes.items[1].line, 3);
    assert_int_equal(r->mistakes.items[1].column, 1);
    read_done(r);
}

static void test_no_more_than_fifty_mistakes_are_kept(void **state)
{
    (void)state;
    Buf text = buf_create(10000);
    buf_puts(&text, URL);
    for (int i = 0; i < PLAN_MISTAKES_MAX + 7; i++) {
        buf_printf(&text, "zzz%d: 1\n", i);
    }
    Read *r = read_plan(text.data);
    assert_int_equal(r->mistakes.count, PLAN_MISTAKES_MAX);
    assert_int_equal(r->mistakes.left_out, 7);
    assert_int_equal(r->mistakes.errors, PLAN_MISTAKES_MAX + 7);
    read_done(r);
    buf_done(&text);
}

static void test_warnings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"requests: {a: 'http://a/', b: 'http://a/'}\nsteps: [a]", "\"b\" is in no step"},
        {URL "feeds: {f: data/users.csv}", "no text takes a value from the feed \"f\""},
        {REQ "thresholds: {'http_reqs{name:ab}': count>1}", "did you mean \"a\"?"},
        {URL "thresholds: {'http_reqs{scenario:x}': count>1}", "no scenario is named \"x\""},
        {URL "thresholds: {checks: {threshold: rate>0, delayAbortEval: 1s}}", "does nothing"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Read *r = read_good(cases[i][0]);
        assert_int_equal(r->mistakes.count, 1);
        assert_true(r->mistakes.items[0].warning);
        if (!strstr(r->mistakes.items[0].text.ptr, cases[i][1])) {
            fail_msg("%s", r->mistakes.items[0].text.ptr);
        }
        read_done(r);
    }
}

// ---- every field of every object, with values of every type

static void put_nested(Buf *b, Slice object, const char *inner)
{
    static const char *const where[][2] = {
        {"plan", "%s"},
        {"request", "requests: {r: {url: 'http://a/', %s}}"},
        {"check", "url: http://a/\nchecks: [{%s}]"},
        {"extract", "url: http://a/\nextract: {x: {%s}}"},
        {"scenario", "url: http://a/\nscenarios: {s: {executor: constant-vus, %s}}"},
        {"stage", "url: http://a/\nstages: [{%s}]"},
        {"step", "requests: {r: 'http://a/'}\nsteps: [{%s}]"},
        {"think", "url: http://a/\nsteps: [{think: {%s}}]"},
        {"environment", "url: http://a/\nenvironments: {e: {%s}}"},
        {"tls", "url: http://a/\nenvironments: {e: {kind: test, tls: {%s}}}"},
        {"feed", "url: http://a/\nfeeds: {f: {%s}}"},
        {"threshold", "url: http://a/\nthresholds: {checks: {%s}}"},
        {"budget", "url: http://a/\nbudget: {%s}"},
        {"money", "url: http://a/\nbudget: {money: {%s}}"},
        {"options", "url: http://a/\noptions: {%s}"},
    };
    for (size_t i = 0; i < COUNT_OF(where); i++) {
        if (slice_eq_cstr(object, where[i][0])) {
            Slice before = slice_from_cstr(where[i][1]), rest = {0};
            size_t at = (size_t)slice_find(before, SLICE("%s"));
            rest = slice_sub(before, at + 2, before.len);
            buf_append(b, slice_sub(before, 0, at));
            buf_puts(b, inner);
            buf_append(b, rest);
            return;
        }
    }
    fail_msg("no place for %.*s", SLICE_FMT(object));
}

static void test_any_value_in_any_field(void **state)
{
    (void)state;
    static const char *const values[] = {
        "null",
        "true",
        "-1",
        "0",
        "1e308",
        "-9223372036854775808",
        "99999999999999999999",
        "''",
        "x",
        "'${'",
        "[]",
        "[[]]",
        "[null]",
        "{}",
        "{a: {b: []}}",
        ".nan",
        "[1, x, {}, []]",
        "{url: {}, request: [], steps: {}, think: [], kind: [], file: {}}"};
    size_t object_count = 0;
    const PlanObject *objects = plan_objects(&object_count);
    for (size_t o = 0; o < object_count; o++) {
        for (size_t f = 0; f < objects[o].count; f++) {
            for (size_t v = 0; v < COUNT_OF(values); v++) {
                char inner[256];
                Slice name = plan_object_field(&objects[o], f);
                (void)snprintf(inner, sizeof inner, "%.*s: %s", SLICE_FMT(name), values[v]);
                Buf text = buf_create(10000);
                put_nested(&text, objects[o].name, inner);
                Read *r = read_plan(text.data);
                for (size_t k = 0; k < r->mistakes.count; k++) {
                    const PlanMistake *m = &r->mistakes.items[k];
                    if (m->line < 1 || m->column < 1 || !strstr(m->text.ptr, "p.yaml:")) {
                        fail_msg("%s\n%s", text.data, m->text.ptr);
                    }
                }
                read_done(r);
                buf_done(&text);
            }
        }
    }
}

// ---- limits

static void expect_limit(const char *head, const char *unit, const char *tail, size_t max,
                         const char *says)
{
    for (size_t count = max; count <= max + 1; count++) {
        Buf text = buf_create(8 << 20);
        buf_puts(&text, head);
        for (size_t i = 0; i < count; i++) {
            buf_puts(&text, i ? "," : "");
            for (const char *c = unit; *c; c++) {
                if (*c == '#') {
                    buf_printf(&text, "%zu", i);
                } else {
                    buf_putc(&text, *c);
                }
            }
        }
        buf_puts(&text, tail);
        Read *r = read_plan_bytes(buf_slice(&text));
        if ((r->rc == 0) != (count == max) || (r->rc != 0 && !strstr(r->e.text, says))) {
            fail_msg("%zu of %s: %s", count, unit, r->e.text);
        }
        read_done(r);
        buf_done(&text);
    }
}

static void test_limits(void **state)
{
    (void)state;
    expect_limit("requests: {", "r#: http://a/", "}", PLAN_REQUESTS_MAX, "more than 1024 requests");
    expect_limit(REQ "steps: [", "a", "]", PLAN_STEPS_MAX, "at most 4096");
    expect_limit(URL "stages: [", "{duration: 1s, target: 1}", "]", PLAN_STAGES_MAX,
                 "at most 1024");
    expect_limit(URL "stages: \"", "1s:1", "\"", PLAN_STAGES_MAX, "at most 1024");
    expect_limit(URL "variables: {", "v#: 1", "}", PLAN_VARIABLES_MAX, "more than 256 variables");
    expect_limit(URL "thresholds: {http_reqs: [", "count>#", "]}", PLAN_THRESHOLDS_MAX,
                 "more than 1024 thresholds");
    expect_limit(URL "feeds: {", "f#: data/users.csv", "}", PLAN_FEEDS_MAX, "at most 64");
    expect_limit(URL "checks: [", "{status: 200}", "]", PLAN_EXTRACTS_MAX, "at most 64");
    expect_limit(URL "extract: {", "x#: a", "}", PLAN_EXTRACTS_MAX, "at most 64");
    expect_limit(URL "headers: {", "x#: a", "}", PLAN_EXTRACTS_MAX, "at most 64");
    expect_limit(URL "tags: {", "x#: a", "}", LABELS_MAX, "at most 32");
    expect_limit(REQ "scenarios: {", "s#: {executor: per-vu-iterations}", "}", PLAN_SCENARIOS_MAX,
                 "at most 64");
}

// ---- secrets, files

static void test_environment_variables_stay_out_of_the_canonical_form(void **state)
{
    (void)state;
    Read *r = read_good(URL "headers: {Authorization: 'Bearer ${env.TOKEN}'}\n");
    const PlanRequest *q = r->plan->requests;
    assert_true(slice_eq(template_text(&q->headers[0].value), SLICE("Bearer s3cret")));
    assert_true(slice_find(r->plan->canonical_json, SLICE("s3cret")) < 0);
    assert_true(slice_find(r->plan->canonical_json, SLICE("${env.TOKEN}")) > 0);
    read_done(r);
}

static void test_base_url_and_holes(void **state)
{
    (void)state;
    Read *r = read_good("environments: {e: {kind: test, baseUrl: 'http://a.test/$${x}/'}}\n"
                        "requests: {q: '/p?${vu}'}\n");
    const Template *url = &r->plan->requests[0].url;
    assert_true(slice_eq(url->parts[0].text, SLICE("http://a.test/${x}/p?")));
    assert_int_equal(url->parts[1].kind, PART_VU);
    read_done(r);
}

static void test_files(void **state)
{
    (void)state;
    Arena *arena = arena_create(PLAN_ARENA_BYTES);
    PlanMistakes mistakes;
    const Plan *plan = NULL;
    Err e = {0};
    assert_int_equal(plan_read_file(arena, "/nonexistent/p.yaml", NULL, &plan, &mistakes, &e),
                     ERR_IO);
    assert_int_equal(mistakes.count, 1);
    assert_string_equal(plan_folder(arena, "/a/b.yaml"), "/a");
    assert_string_equal(plan_folder(arena, "/b.yaml"), "/");
    assert_null(plan_folder(arena, "b.yaml"));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal_plan),
        cmocka_unit_test(test_shortcuts),
        cmocka_unit_test(test_examples_of_the_guide),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_all_mistakes_are_reported),
        cmocka_unit_test(test_no_more_than_fifty_mistakes_are_kept),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_any_value_in_any_field),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_environment_variables_stay_out_of_the_canonical_form),
        cmocka_unit_test(test_base_url_and_holes),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
