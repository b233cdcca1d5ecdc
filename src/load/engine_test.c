// The engine against a real server on loopback, in real but short time; and its reasons to stop,
// in simulated time.
#include "load/load_test.h"

#include "net/server.h"

#define SECONDS(n) ((int64_t)((n)*1e9))

// ---- a server of our own, on the engine's loop

typedef struct RealWorld {
    LoadWorld w;
    FiberPool *pool;
    HttpServer *server;
    int requests;
    int with_run_id;
    int teardowns;
    Buf seen; // targets, one a line
} RealWorld;

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    RealWorld *r = ctx;
    r->requests++;
    r->with_run_id += slice_eq_cstr(http_head_get(request->head, SLICE("X-Perfwright-Run")), "RUN");
    buf_printf(&r->seen, "%.*s %.*s %.*s\n", SLICE_FMT(request->method), SLICE_FMT(request->target),
               SLICE_FMT(request->body));
    if (slice_eq_cstr(request->path, "/teardown")) {
        r->teardowns++;
    }
    if (slice_eq_cstr(request->path, "/login")) {
        http_reply_send(reply, 200, SLICE("application/json"), SLICE("{\"token\":\"t0k\"}"), NULL);
    } else if (slice_eq_cstr(request->path, "/old")) {
        assert_int_equal(http_reply_header(reply, SLICE("Location"), SLICE("/new"), NULL), 0);
        http_reply_send(reply, 302, SLICE(""), SLICE(""), NULL);
    } else if (slice_eq_cstr(request->path, "/away")) {
        assert_int_equal(http_reply_header(reply, SLICE("Location"),
                                           SLICE("http://169.254.169.254/latest"), NULL),
                         0);
        http_reply_send(reply, 302, SLICE(""), SLICE(""), NULL);
    } else if (slice_eq_cstr(request->path, "/broken")) {
        http_reply_send(reply, 500, SLICE("text/plain"), SLICE("no"), NULL);
    } else {
        http_reply_send(reply, 200, SLICE("text/plain"), SLICE("hello"), NULL);
    }
}

// Real time: the engine has its own loop or the world's, and the server shares it.
static void real_open(RealWorld *r)
{
    *r = (RealWorld){.seen = buf_create(1 << 20)};
    load_open(&r->w);
    loop_destroy(r->w.loop);
    assert_int_equal(loop_create(&(LoopOptions){0}, &r->w.loop, NULL), 0);
    r->w.options.loop = r->w.loop;
    r->w.options.transport = NULL;
    r->pool = fiber_pool_create(r->w.loop, &(FiberOptions){.stack_bytes = 256 << 10});
    HttpServerOptions server = {.loop = r->w.loop, .pool = r->pool, .handler = handle, .ctx = r};
    assert_int_equal(http_server_open(&server, &r->server, NULL), 0);
}

static const char *real_url(RealWorld *r, const char *path)
{
    NetAddr addr = http_server_addr(r->server);
    Slice url = arena_printf(r->w.arena, "http://127.0.0.1:%u%s", net_addr_port(&addr), path);
    return arena_cstr(r->w.arena, url);
}

static void real_close(RealWorld *r)
{
    http_server_drain(r->server, loop_clock(r->w.loop) + SECONDS(5));
    http_server_destroy(r->server);
    engine_destroy(r->w.engine);
    r->w.engine = NULL;
    fiber_pool_destroy(r->pool);
    buf_done(&r->seen);
    load_close(&r->w);
}

static void shared_iterations(LoadWorld *w, int64_t vus, int64_t iterations)
{
    w->scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w->scenarios[0].vus = w->scenarios[0].max_vus = vus;
    w->scenarios[0].iterations = iterations;
}

static void test_requests_reach_a_real_server(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    r.w.requests[0].url = load_text(&r.w, real_url(&r, "/hello?a=b"));
    shared_iterations(&r.w, 3, 50);
    load_run(&r.w);
    assert_int_equal(r.requests, 50);
    assert_int_equal(r.with_run_id, 50);
    assert_int_equal(r.w.result->iterations, 50);
    assert_int_equal(r.w.result->failed, 0);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "proto", "HTTP/1.1"), 50);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "expected_response", "true"), 50);
    assert_true(r.w.result->bytes_received > 50 * 5);
    real_close(&r);
}

static void test_constant_vus_against_a_real_server(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    r.w.requests[0].url = load_text(&r.w, real_url(&r, "/"));
    r.w.scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    r.w.scenarios[0].vus = r.w.scenarios[0].max_vus = 5;
    r.w.scenarios[0].duration_ns = SECONDS(0.3);
    r.w.options.interval_ns = SECONDS(0.1);
    load_run(&r.w);
    assert_int_equal(r.w.result->end, ENGINE_DONE);
    assert_true(r.requests > 0);
    assert_int_equal(r.requests, r.w.result->requests);
    assert_true(r.w.intervals >= 3);
    real_close(&r);
}

// Every hop is a request of its own, under one name; checks look at the last.
static void test_redirects_are_followed(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    r.w.requests[0].url = load_text(&r.w, real_url(&r, "/old"));
    shared_iterations(&r.w, 1, 3);
    load_run(&r.w);
    assert_int_equal(r.requests, 6);
    assert_int_equal(r.with_run_id, 6);
    assert_int_equal(r.w.result->failed, 0);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "status", "302"), 3);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "status", "200"), 3);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "name", "home"), 6);
    real_close(&r);
}

static void test_redirects_stay_where_the_plan_says_so(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    r.w.requests[0].url = load_text(&r.w, real_url(&r, "/old"));
    r.w.requests[0].max_redirects = 0;
    shared_iterations(&r.w, 1, 3);
    load_run(&r.w);
    assert_int_equal(r.requests, 3);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "status", "302"), 3);
    real_close(&r);
}

static int only_loopback(void *ctx, Slice host, Err *e)
{
    (void)ctx;
    return slice_eq_cstr(host, "127.0.0.1") ? 0 : err_set(e, ERR_REFUSED, "no");
}

static void test_redirects_to_refused_hosts_are_failures(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    const EngineNet net = {.check_host = only_loopback};
    r.w.options.net = &net;
    r.w.requests[0].url = load_text(&r.w, real_url(&r, "/away"));
    shared_iterations(&r.w, 1, 3);
    load_run(&r.w);
    assert_int_equal(r.requests, 3);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "status", "302"), 3);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "error_code", "1111"), 3);
    real_close(&r);
}

static void test_failing_answers_and_refused_connections_are_told_apart(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    r.w.requests[0].url = load_text(&r.w, real_url(&r, "/broken"));
    r.w.requests[1] = load_get(&r.w, "nobody", "http://127.0.0.1:1/");
    r.w.steps[1] = (PlanStep){.kind = STEP_REQUEST, .request = &r.w.requests[1], .weight = 1};
    r.w.scenarios[0].step_count = 2;
    shared_iterations(&r.w, 1, 5);
    load_run(&r.w);
    assert_int_equal(r.w.result->requests, 10);
    assert_int_equal(r.w.result->failed, 10);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "error_code", "1500"), 5);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "error_code", "1212"), 5);
    assert_int_equal(load_count(&r.w, M_HTTP_REQS, "status", "0"), 5);
    real_close(&r);
}

// Setup takes a token that the scenario's requests carry; teardown runs behind them.
static void test_setup_values_and_teardown(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    LoadWorld *w = &r.w;
    const Slice names[] = {SLICE("token")};
    const Slice values[] = {SLICE("")};
    const PlanExtract extract = {.variable = 0, .from = EXTRACT_JSON, .key = SLICE("token")};
    const PlanCheck check = {
        .name = SLICE("hello"), .kind = CHECK_BODY, .op = OP_EQUALS, .text = SLICE("hello")};
    TemplateNames known = {.variables = names, .variable_count = 1};
    w->plan.variable_names = names;
    w->plan.variable_values = values;
    w->plan.variable_count = 1;
    w->requests[1] = load_get(w, "login", real_url(&r, "/login"));
    w->requests[1].extracts = &extract;
    w->requests[1].extract_count = 1;
    w->requests[1].needs_body = true;
    w->requests[2] = load_get(w, "clean", real_url(&r, "/teardown"));
    const PlanRequest *setup[] = {&w->requests[1]};
    const PlanRequest *teardown[] = {&w->requests[2]};
    w->plan.setup = setup;
    w->plan.setup_count = 1;
    w->plan.teardown = teardown;
    w->plan.teardown_count = 1;
    Slice url = arena_printf(w->arena, "%s?t=${token}&i=${iteration}", real_url(&r, "/x"));
    assert_int_equal(template_compile(w->arena, url, &known, &w->requests[0].url, NULL), 0);
    Template body;
    assert_int_equal(template_compile(w->arena, SLICE("v${vu}"), &known, &body, NULL), 0);
    w->requests[0].has_body = true;
    w->requests[0].body = body;
    w->requests[0].method = SLICE("POST");
    w->requests[0].needs_body = true;
    w->requests[0].checks = &check;
    w->requests[0].check_count = 1;
    shared_iterations(w, 1, 2);
    load_run(w);
    assert_string_equal(r.seen.data, "GET /login \n"
                                     "POST /x?t=t0k&i=0 v1\n"
                                     "POST /x?t=t0k&i=1 v1\n"
                                     "GET /teardown \n");
    Hist h;
    hist_init(&h);
    Point checks = load_total(w, M_CHECKS, "check", "hello", &h);
    assert_int_equal(checks.count, 2);
    assert_int_equal(checks.trues, 2);
    hist_done(&h);
    assert_int_equal(load_count(w, M_HTTP_REQS, "group", "::setup"), 1);
    real_close(&r);
}

static void test_failed_setup_runs_nothing_but_teardown(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    LoadWorld *w = &r.w;
    w->requests[0].url = load_text(w, real_url(&r, "/"));
    w->requests[1] = load_get(w, "login", real_url(&r, "/broken"));
    w->requests[2] = load_get(w, "clean", real_url(&r, "/teardown"));
    const PlanRequest *setup[] = {&w->requests[1]};
    const PlanRequest *teardown[] = {&w->requests[2]};
    w->plan.setup = setup;
    w->plan.setup_count = 1;
    w->plan.teardown = teardown;
    w->plan.teardown_count = 1;
    shared_iterations(w, 1, 2);
    load_run(w);
    assert_int_equal(w->result->end, ENGINE_SETUP_FAILED);
    assert_true(slice_find(w->result->reason, SLICE("\"login\" was answered with status 500")) >=
                0);
    assert_string_equal(r.seen.data, "GET /broken \nGET /teardown \n");
    assert_int_equal(w->result->iterations, 0);
    real_close(&r);
}

static void test_several_threads_share_the_work(void **state)
{
    (void)state;
    RealWorld r;
    real_open(&r);
    LoadWorld *w = &r.w;
    w->requests[0].url = load_text(w, real_url(&r, "/"));
    w->options.threads = 3;
    w->options.interval_ns = SECONDS(0.05);
    w->plan.scenario_count = 2;
    shared_iterations(w, 7, 100);
    w->scenarios[1].executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    w->scenarios[1].rate = 200;
    w->scenarios[1].duration_ns = SECONDS(0.5);
    w->scenarios[1].pre_allocated_vus = w->scenarios[1].max_vus = 30;
    load_run(w);
    assert_int_equal(
        w->result->iterations + w->result->dropped_no_vu + w->result->dropped_generator, 200);
    assert_int_equal(load_count(w, M_ITERATIONS, "scenario", "s0"), 100);
    assert_int_equal(load_count(w, M_HTTP_REQS, NULL, NULL), w->result->requests);
    assert_int_equal(r.requests, w->result->requests);
    assert_int_equal(w->result->health.threads, 3);
    real_close(&r);
}

// ---- reasons to stop, in simulated time

static void constant_vus(LoadWorld *w, int64_t vus, int64_t duration_ns)
{
    w->scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    w->scenarios[0].vus = w->scenarios[0].max_vus = vus;
    w->scenarios[0].duration_ns = duration_ns;
}

static void stop_in_third_interval(LoadWorld *w, const EngineInterval *interval)
{
    if (interval->index == 2) {
        engine_stop(w->engine);
    }
}

static void test_first_stop_is_graceful(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.latency_ns = SECONDS(0.4);
    constant_vus(&w, 2, SECONDS(60));
    w.on_interval = stop_in_third_interval;
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_STOPPED);
    assert_false(w.result->cut);
    assert_int_equal(w.result->iterations, 2 * 8); // until 3.2 s
    assert_int_equal(w.result->interrupted, 0);
    assert_int_equal(w.result->duration_ns, SECONDS(3.2));
    load_close(&w);
}

static void stop_twice(LoadWorld *w, const EngineInterval *interval)
{
    if (interval->index == 2) {
        engine_stop(w->engine);
        engine_stop(w->engine);
    }
}

static void test_second_stop_cuts_and_skips_teardown(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    w.latency_ns = SECONDS(0.4);
    constant_vus(&w, 2, SECONDS(60));
    w.on_interval = stop_twice;
    const PlanRequest *teardown[] = {&w.requests[0]};
    w.plan.teardown = teardown;
    w.plan.teardown_count = 1;
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_STOPPED);
    assert_true(w.result->cut);
    assert_int_equal(w.result->iterations, 2 * 7);
    assert_int_equal(w.result->interrupted, 2);
    assert_int_equal(load_count(&w, M_HTTP_REQS, "group", "::teardown"), 0);
    load_close(&w);
}

static void test_teardown_runs_after_an_abort(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 1, SECONDS(60));
    w.options.duration_ns_max = SECONDS(2);
    const PlanRequest *teardown[] = {&w.requests[0]};
    w.plan.teardown = teardown;
    w.plan.teardown_count = 1;
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_CEILING);
    assert_int_equal(load_count(&w, M_HTTP_REQS, "group", "::teardown"), 1);
    load_close(&w);
}

static PlanThreshold threshold(MetricId metric, const char *text, bool abort, int64_t delay_ns)
{
    PlanThreshold t = {
        .key = metric_info(metric)->name,
        .metric = metric,
        .abort_on_fail = abort,
        .delay_abort_eval_ns = delay_ns,
    };
    Err e;
    int rc = threshold_parse(slice_from_cstr(text), metric_info(metric)->kind, &t.test, &e);
    assert_int_equal(rc, 0);
    return t;
}

static void test_threshold_aborts_after_its_delay(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 1, SECONDS(60));
    const PlanThreshold t[] = {
        threshold(M_HTTP_REQ_DURATION, "p(95)<200", false, 0),
        threshold(M_HTTP_REQ_DURATION, "avg<50", true, SECONDS(5)),
    };
    w.plan.thresholds = t;
    w.plan.threshold_count = 2;
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_THRESHOLD);
    // Looked at every 2 s: at 2 and 4 too early, at 6 it ends.
    assert_true(w.result->duration_ns >= SECONDS(6) && w.result->duration_ns < SECONDS(6.2));
    assert_false(w.result->thresholds_ok);
    assert_true(w.result->thresholds[0].ok);
    assert_false(w.result->thresholds[1].ok);
    assert_true(w.result->thresholds[1].value == 100);
    assert_non_null(strstr(w.events, "threshold avg<50"));
    load_close(&w);
}

static void test_budget_of_requests_warns_and_ends(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 1, SECONDS(60));
    w.plan.budget = (PlanBudget){.requests = 50};
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_BUDGET);
    assert_int_equal(w.result->requests, 50);
    assert_non_null(strstr(w.events, "budget for requests"));
    load_close(&w);
}

static void test_budget_of_bytes_ends(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 1, SECONDS(60));
    w.plan.budget = (PlanBudget){.bytes = 3000}; // 300 a request
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_BUDGET);
    assert_int_equal(w.result->requests, 10);
    load_close(&w);
}

static void test_budget_of_money_ends(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 2, SECONDS(60));
    // 2 VUs and 20 requests a second: 2 * 0.5 + 20 * 0.05 = 2 a second.
    w.plan.budget =
        (PlanBudget){.money = 9.5, .price_per_vu_hour = 1800, .price_per_request = 0.05};
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_BUDGET);
    assert_true(w.result->duration_ns >= SECONDS(5) && w.result->duration_ns <= SECONDS(5.1));
    load_close(&w);
}

static void test_generator_out_of_descriptors_is_its_own_failure(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 4, SECONDS(60));
    w.error_rc = ERR_LIMIT;
    w.error_code = NET_DIAL_ERRNO;
    w.sent_nothing = true;
    load_run(&w);
    assert_int_equal(w.result->end, ENGINE_FAILED);
    assert_int_equal(w.result->requests, 0);
    load_close(&w);
}

static void test_interval_points_add_up_to_the_totals(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    constant_vus(&w, 3, SECONDS(5));
    load_run(&w);
    assert_int_equal(load_count(&w, M_VUS, NULL, NULL), w.intervals);
    assert_int_equal(w.result->interval_count, w.intervals);
    assert_int_equal(load_count(&w, M_ITERATION_DURATION, NULL, NULL), w.result->iterations);
    load_close(&w);
}

static void test_scaled_plan(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    const PlanStage stages[] = {{SECONDS(1), 1}, {SECONDS(1), 9}};
    w.scenarios[0].vus = 1;
    w.scenarios[0].rate = 100;
    w.scenarios[0].max_vus = 7;
    w.scenarios[0].stages = stages;
    w.scenarios[0].stage_count = 2;
    const Plan *half = plan_scaled(w.arena, &w.plan, 0.5);
    assert_int_equal(half->scenarios[0].vus, 1);
    assert_int_equal(half->scenarios[0].rate, 50);
    assert_int_equal(half->scenarios[0].max_vus, 4);
    assert_int_equal(half->scenarios[0].stages[0].target, 1);
    assert_int_equal(half->scenarios[0].stages[1].target, 5);
    assert_int_equal(w.plan.scenarios[0].rate, 100);
    loop_destroy(w.loop);
    arena_destroy(w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_reach_a_real_server),
        cmocka_unit_test(test_constant_vus_against_a_real_server),
        cmocka_unit_test(test_redirects_are_followed),
        cmocka_unit_test(test_redirects_stay_where_the_plan_says_so),
        cmocka_unit_test(test_redirects_to_refused_hosts_are_failures),
        cmocka_unit_test(test_failing_answers_and_refused_connections_are_told_apart),
        cmocka_unit_test(test_setup_values_and_teardown),
        cmocka_unit_test(test_failed_setup_runs_nothing_but_teardown),
        cmocka_unit_test(test_several_threads_share_the_work),
        cmocka_unit_test(test_first_stop_is_graceful),
        cmocka_unit_test(test_second_stop_cuts_and_skips_teardown),
        cmocka_unit_test(test_teardown_runs_after_an_abort),
        cmocka_unit_test(test_threshold_aborts_after_its_delay),
        cmocka_unit_test(test_budget_of_requests_warns_and_ends),
        cmocka_unit_test(test_budget_of_bytes_ends),
        cmocka_unit_test(test_budget_of_money_ends),
        cmocka_unit_test(test_generator_out_of_descriptors_is_its_own_failure),
        cmocka_unit_test(test_interval_points_add_up_to_the_totals),
        cmocka_unit_test(test_scaled_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
