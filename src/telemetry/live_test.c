#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/clock.h"
#include "telemetry/live.h"

typedef struct World {
    Collector *collector;
    Live *live;
    Hist call;
    Buf out;
} World;

static void call(World *w, const char *caller, const char *callee, const char *status, int64_t ms,
                 uint64_t times)
{
    const Label edge[] = {{SLICE("callee"), slice_from_cstr(callee)},
                          {SLICE("caller"), slice_from_cstr(caller)},
                          {SLICE("status"), slice_from_cstr(status)}};
    const Label node[] = {{SLICE("agent_name"), slice_from_cstr(callee)},
                          {SLICE("status"), slice_from_cstr(status)}};
    hist_record_n(&w->call, ms * NS_PER_MS, times);
    Point p = {.count = (int64_t)w->call.count, .hist = &w->call};
    collector_set(w->collector, M_AGENT_CALL_DURATION, (Labels){edge, 3}, &p);
    collector_set(w->collector, M_AGENT_REQUEST_DURATION, (Labels){node, 2}, &p);
}

static World make_world(void)
{
    World w = {.collector = collector_create(0), .live = live_create()};
    hist_init(&w.call);
    w.out = buf_create(1 << 20);
    return w;
}

static void end_world(World *w)
{
    live_destroy(w->live);
    collector_destroy(w->collector);
    hist_done(&w->call);
    buf_done(&w->out);
}

static void expect(const Buf *out, const char *text)
{
    if (slice_find(buf_slice(out), slice_from_cstr(text)) < 0) {
        fail_msg("no %s in %s", text, out->data);
    }
}

// The first 100 calls take 5 ms, the 20 of the next interval 64 ms (a bucket's middle, so exact to
// Hist's error): percentiles of the interval know only the latter.
static void test_percentiles_are_of_the_interval(void **state)
{
    (void)state;
    World w = make_world();
    live_update(w.live, w.collector, 0);
    call(&w, "a", "b", "success", 5, 100);
    live_update(w.live, w.collector, 10 * NS_PER_S);
    live_json(w.live, &w.out);
    expect(&w.out, "\"interval_s\":10,");
    expect(&w.out, "\"total\":100,\"rate\":10,\"p50\":0.00");
    buf_reset(&w.out);
    call(&w, "a", "b", "success", 64, 20);
    live_update(w.live, w.collector, 20 * NS_PER_S);
    live_json(w.live, &w.out);
    expect(&w.out, "\"total\":120,\"rate\":2,\"p50\":0.06");
    buf_reset(&w.out);
    live_update(w.live, w.collector, 30 * NS_PER_S);
    live_json(w.live, &w.out);
    expect(&w.out, "\"total\":120,\"rate\":0,\"p50\":null");
    end_world(&w);
}

static void test_service_graph(void **state)
{
    (void)state;
    World w = make_world();
    live_update(w.live, w.collector, 0);
    call(&w, "gate", "planner", "success", 5, 100);
    call(&w, "gate", "planner", "error", 5, 10);
    call(&w, "planner", "say \"hi\"", "success", 5, 1);
    live_update(w.live, w.collector, NS_PER_S);
    live_graph_json(w.live, &w.out);
    expect(&w.out, "{\"nodes\":[{\"name\":\"planner\",\"rate\":210,\"error_rate\":110,");
    expect(&w.out, "\"edges\":[{\"from\":\"gate\",\"to\":\"planner\",");
    buf_reset(&w.out);
    live_graph_dot(w.live, &w.out);
    expect(&w.out, "\"gate\" -> \"planner\" [label=\"210.0/s\\np50 ");
    expect(&w.out, "color=red");
    expect(&w.out, "\"planner\" -> \"say \\\"hi\\\"\"");
    end_world(&w);
}

static void breaker(World *w, const char *agent, const char *edge, double state)
{
    const Label labels[] = {{SLICE("agent_name"), slice_from_cstr(agent)},
                            {SLICE("edge"), slice_from_cstr(edge)}};
    Point p = {.count = 1, .last = state};
    collector_set(w->collector, M_AGENT_BREAKER_STATE, (Labels){labels, edge[0] ? 2 : 1}, &p);
}

static void test_breakers_in_the_graph(void **state)
{
    (void)state;
    World w = make_world();
    live_update(w.live, w.collector, 0);
    call(&w, "gate", "planner", "success", 5, 1);
    call(&w, "planner", "tool", "success", 5, 1);
    breaker(&w, "planner", "", 2);
    breaker(&w, "tool", "planner->tool", 1);
    breaker(&w, "unknown", "", 1);
    breaker(&w, "tool", "->", 1); // nobody's
    live_update(w.live, w.collector, NS_PER_S);
    live_graph_json(w.live, &w.out);
    expect(&w.out, "\"total\":1,\"breaker\":\"half open\"},{\"name\":\"tool\"");
    expect(&w.out, "\"total\":2,\"breaker\":\"open\"}]}");
    buf_reset(&w.out);
    live_graph_dot(w.live, &w.out);
    expect(&w.out, "breaker open\"");
    buf_reset(&w.out);
    live_graph_svg(w.live, &w.out);
    expect(&w.out, "class=\"box half\"");
    expect(&w.out, ">breaker half open</text>");
    expect(&w.out, "class=\"edge open\"");
    expect(&w.out, ">breaker open</text>");
    end_world(&w);
}

// Names that try to be markup; circles, also of one; and one node more than are shown.
static void test_hostile_graphs(void **state)
{
    (void)state;
    World w = make_world();
    call(&w, "<script>alert(1)</script>", "a&b\"'\xff", "success", 5, 1);
    call(&w, "a&b\"'\xff", "<script>alert(1)</script>", "error", 5, 1);
    call(&w, "self", "self", "success", 5, 1);
    live_update(w.live, w.collector, NS_PER_S);
    live_graph_svg(w.live, &w.out);
    expect(&w.out, ">&lt;script&gt;alert(1)&lt;/script&gt;</text>");
    expect(&w.out, "a&amp;b&quot;");
    assert_int_equal(slice_find(buf_slice(&w.out), SLICE("<script")), -1);
    assert_int_equal(slice_find(buf_slice(&w.out), SLICE("more are not shown")), -1);
    for (int i = 0; i < 148; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "agent %d with a rather long name: \xc3\xa4\xc3\xb6", i);
        call(&w, "self", name, "success", 5, 1);
    }
    live_update(w.live, w.collector, 2 * NS_PER_S);
    buf_reset(&w.out);
    live_graph_svg(w.live, &w.out);
    expect(&w.out, "the busiest 150 agents, 1 more are not shown");
    end_world(&w);
}

static void test_before_the_first_interval(void **state)
{
    (void)state;
    World w = make_world();
    live_json(w.live, &w.out);
    live_graph_json(w.live, &w.out);
    live_graph_dot(w.live, &w.out);
    live_graph_svg(w.live, &w.out);
    expect(&w.out, "nothing yet");
    expect(&w.out, "\"series\":[]");
    live_destroy(NULL);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_are_of_the_interval),
        cmocka_unit_test(test_service_graph),
        cmocka_unit_test(test_breakers_in_the_graph),
        cmocka_unit_test(test_hostile_graphs),
        cmocka_unit_test(test_before_the_first_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
