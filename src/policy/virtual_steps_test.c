// What a request does at a service and what becomes of work that nobody waits for, in small worlds
// whose course can be worked out on paper: fixed durations, one call or a few.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "policy/virtual.h"

#define S NS_PER_SECOND

static ParamValue whole(int64_t x)
{
    return (ParamValue){.integer = x};
}

static ParamValue flag(bool x)
{
    return (ParamValue){.boolean = x};
}

typedef struct Log {
    int64_t ended_ns[64];
    CallReason reasons[64];
    uint32_t count;
    uint64_t actions;
} Log;

static void on_end(void *context, Virtual *v, const VirtualEnd *end)
{
    (void)v;
    Log *log = context;
    if (end->serial < 64) {
        log->ended_ns[end->serial] = end->ended_ns;
        log->reasons[end->serial] = end->reason;
    }
    log->count++;
}

static Virtual *world(Log *log)
{
    *log = (Log){0};
    return virtual_create(&(VirtualOptions){.seed = 1, .hooks = {.context = log, .ended = on_end}});
}

static uint32_t station(Virtual *v, uint32_t servers, int64_t work_ns)
{
    return virtual_service(v, &(VirtualService){.servers = servers,
                                                .queue_max = VIRTUAL_ANY,
                                                .work = dist_fixed((double)work_ns)});
}

static uint32_t edge_with(Virtual *v, uint32_t service, int64_t attempt_ns, int64_t attempts,
                          bool propagate)
{
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_TIMEOUT_ATTEMPT] = whole(attempt_ns);
    p[P_RETRY_ATTEMPTS] = whole(attempts);
    p[P_RETRY_BACKOFF] = whole(0);
    p[P_RETRY_BUDGET].real = 0;
    p[P_CANCEL_PROPAGATE] = flag(propagate);
    return virtual_edge(v, NULL, p, service);
}

static uint32_t plain_edge(Virtual *v, uint32_t service)
{
    return edge_with(v, service, 0, 1, true);
}

static uint32_t caller_of(Virtual *v, uint32_t servers, bool holds, const VirtualGroup *groups,
                          uint32_t count)
{
    return virtual_service(v, &(VirtualService){.servers = servers,
                                                .queue_max = VIRTUAL_ANY,
                                                .holds_server = holds,
                                                .groups = groups,
                                                .group_count = count});
}

static void call(Virtual *v, uint32_t edge)
{
    (void)virtual_call(v, edge, &(CallOptions){0});
}

static void expect_ns(double got, double want)
{
    if (fabs(got - want) > 1) {
        fail_msg("%.3f s instead of %.3f s", got / 1e9, want / 1e9);
    }
}

// Three attempts of 1 s at one server that takes 10 s. Not told, all three stay: one is served, two
// wait, and 30 s of work are for nobody. Told, each leaves after its second.
static void test_orphans(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        Log log;
        Virtual *v = world(&log);
        uint32_t d = station(v, 1, 10 * S);
        call(v, edge_with(v, d, S, 3, told));
        (void)virtual_run(v, 5 * S);
        assert_int_equal(log.ended_ns[0], 3 * S);
        assert_int_equal(log.reasons[0], CALL_TIMED_OUT);
        VirtualServiceCounts c = virtual_service_counts(v, d);
        assert_int_equal(c.begun, 3);
        assert_int_equal(c.orphans, told ? 0 : 3);
        assert_int_equal(c.waiting, told ? 0 : 2);
        assert_int_equal(c.here, told ? 0 : 3);
        (void)virtual_run(v, INT64_MAX);
        c = virtual_service_counts(v, d);
        assert_int_equal(virtual_now(v), (told ? 5 : 30) * S);
        assert_int_equal(c.served, told ? 0 : 3);
        assert_int_equal(c.left_served, told ? 3 : 0);
        assert_int_equal(c.wasted, 3);
        expect_ns(c.wasted_ns, (told ? 3 : 30) * 1e9);
        expect_ns(c.busy_ns, (told ? 3 : 30) * 1e9);
        expect_ns(c.waiting_ns, told ? 0 : (10.0 - 1 + 20 - 2) * 1e9);
        assert_int_equal(virtual_requests_open(v), 0);
        virtual_destroy(v);
    }
}

// A -> B -> D. A gives up after 1 s. What B does then depends on A's edge alone, retries included;
// whether D hears of it on both.
static void test_orphans_go_on_calling(void **state)
{
    (void)state;
    static const struct {
        bool a_tells, b_tells;
        uint64_t begun, left;
        int64_t end_s;
    } cases[] = {
        {false, true, 3, 0, 12}, // B asks D three times, 4 s each: nobody is told anything
        {true, true, 1, 1, 2},   // 2: as far as it was run
        {true, false, 1, 0, 4},  // B's call is gone, its one request at D goes on
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Log log;
        Virtual *v = world(&log);
        VirtualService failing = {
            .queue_max = VIRTUAL_ANY, .work = dist_fixed(4e9), .faults = {.fail = 1}};
        uint32_t d = virtual_service(v, &failing);
        VirtualTarget target = {edge_with(v, d, 0, 3, cases[i].b_tells), 1, 1};
        uint32_t b = caller_of(v, 0, false, &(VirtualGroup){&target, 1, 0}, 1);
        call(v, edge_with(v, b, S, 1, cases[i].a_tells));
        (void)virtual_run(v, 2 * S);
        assert_int_equal(virtual_service_counts(v, d).orphans, cases[i].left ? 0 : 1);
        assert_int_equal(virtual_service_counts(v, b).orphans, cases[i].a_tells ? 0 : 1);
        (void)virtual_run(v, INT64_MAX);
        VirtualServiceCounts c = virtual_service_counts(v, d);
        assert_int_equal(c.begun, cases[i].begun);
        assert_int_equal(c.left_served, cases[i].left);
        assert_int_equal(c.wasted, cases[i].begun);
        assert_int_equal(virtual_now(v), cases[i].end_s * S);
        virtual_destroy(v);
    }
}

// One of a group fails: so does the request, and the other call is given up.
static void test_a_group_fails_at_once(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    uint32_t slow = station(v, 0, 10 * S);
    VirtualService failing = {.queue_max = VIRTUAL_ANY, .work = dist_fixed(1e9)};
    failing.faults.fail = 1;
    uint32_t bad = virtual_service(v, &failing);
    VirtualTarget both[] = {{plain_edge(v, slow), 1, 1}, {plain_edge(v, bad), 1, 1}};
    VirtualGroup all = {both, 2, 0}, any = {both, 2, 1};
    uint32_t needs_both = plain_edge(v, caller_of(v, 0, false, &all, 1));
    uint32_t needs_one = plain_edge(v, caller_of(v, 0, false, &any, 1));
    call(v, needs_both); // serial 0; its calls are 1 and 2
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(log.ended_ns[0], S);
    assert_int_equal(log.reasons[0], CALL_FAILED);
    assert_int_equal(virtual_service_counts(v, slow).left_served, 1);
    call(v, needs_one); // 3
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(log.ended_ns[3], S + 10 * S);
    assert_int_equal(log.reasons[3], CALL_OK);
    virtual_destroy(v);
}

// Groups follow each other, repeats too: 1 + 3 * 2 s. A server that is held serves one request
// after the other, one that is not lets them overlap.
static void test_groups_in_order_and_servers_held(void **state)
{
    (void)state;
    for (int holds = 0; holds < 2; holds++) {
        Log log;
        Virtual *v = world(&log);
        VirtualTarget first = {plain_edge(v, station(v, 0, S)), 1, 1};
        VirtualTarget second = {plain_edge(v, station(v, 0, 2 * S)), 1, 3};
        VirtualGroup groups[] = {{&first, 1, 0}, {&second, 1, 0}};
        uint32_t caller = caller_of(v, 1, holds, groups, 2);
        uint32_t edge = plain_edge(v, caller);
        call(v, edge);
        call(v, edge);
        (void)virtual_run(v, INT64_MAX);
        assert_int_equal(virtual_now(v), (holds ? 14 : 7) * S);
        assert_int_equal(virtual_service_counts(v, 1).begun, 6);
        VirtualServiceCounts c = virtual_service_counts(v, caller);
        expect_ns(c.busy_ns, holds ? 14e9 : 0);
        expect_ns(c.work_ns, holds ? 14e9 : 0);
        virtual_destroy(v);
    }
}

// The n-th request of a task at D meets the same luck whoever repeats it: A or B.
static void test_luck_goes_with_the_task(void **state)
{
    (void)state;
    int64_t ends[2];
    for (int at_b = 0; at_b < 2; at_b++) {
        Log log;
        Virtual *v = world(&log);
        VirtualService failing = {.queue_max = VIRTUAL_ANY, .work = dist_lognormal(1e9, 1)};
        failing.faults.fail = 1;
        uint32_t d = virtual_service(v, &failing);
        VirtualTarget target = {edge_with(v, d, 0, at_b ? 4 : 1, true), 1, 1};
        uint32_t b = caller_of(v, 0, false, &(VirtualGroup){&target, 1, 0}, 1);
        call(v, edge_with(v, b, 0, at_b ? 1 : 4, true));
        (void)virtual_run(v, INT64_MAX);
        assert_int_equal(virtual_service_counts(v, d).begun, 4);
        ends[at_b] = log.ended_ns[0];
        virtual_destroy(v);
    }
    assert_int_equal(ends[0], ends[1]);
    assert_true(ends[0] > 0);
}

// Servers: added ones start late, those taken away end what they serve, lost ones do not count, a
// stopped service begins nothing.
static void test_servers_come_and_go(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    VirtualService service = {
        .servers = 1, .queue_max = VIRTUAL_ANY, .work = dist_fixed(10e9), .start_delay_ns = 3 * S};
    uint32_t d = virtual_service(v, &service);
    uint32_t edge = plain_edge(v, d);
    for (int i = 0; i < 6; i++) {
        call(v, edge);
    }
    virtual_set_servers(v, d, 3);
    (void)virtual_run(v, 2 * S);
    assert_int_equal(virtual_busy(v, d), 1);
    (void)virtual_run(v, 4 * S);
    assert_int_equal(virtual_busy(v, d), 3);
    virtual_set_servers(v, d, 1);
    (void)virtual_run(v, 12 * S); // one ended at 10 and was not replaced
    assert_int_equal(virtual_busy(v, d), 2);
    virtual_set_servers(v, d, 3);
    virtual_set_servers(v, d, 1); // before they started
    (void)virtual_run(v, 16 * S); // two ended at 13, one began then
    assert_int_equal(virtual_busy(v, d), 1);
    virtual_set_faults(v, d, &(VirtualFaults){.stopped = true});
    virtual_set_faults_at(v, 40 * S, d, &(VirtualFaults){.lost = 5});
    virtual_set_faults_at(v, 50 * S, d, &(VirtualFaults){0});
    (void)virtual_run(v, 49 * S); // what began at 13 ended at 23
    assert_int_equal(virtual_busy(v, d), 0);
    assert_int_equal(virtual_service_counts(v, d).waiting, 2);
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(virtual_now(v), 70 * S);
    expect_ns(virtual_service_counts(v, d).server_ns, (4.0 * 3 + 66) * 1e9);
    virtual_destroy(v);
}

// Five requests at once, batches of four, 1 s and .5 s an item: 3 s, and 1.5 s for the last.
static void test_batches_of_what_waits(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    VirtualService service = {
        .servers = 1, .queue_max = VIRTUAL_ANY, .work = dist_fixed(1e9), .batch_item_ns = 5e8};
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_BATCH_MAX_ITEMS] = whole(4);
    uint32_t d = virtual_service(v, &service);
    virtual_service_policy(v, d, NULL, p);
    uint32_t edge = plain_edge(v, d);
    call(v, edge);
    for (int i = 0; i < 5; i++) {
        call(v, edge);
    }
    (void)virtual_run(v, INT64_MAX);
    // The first goes alone; then four; then one. A call at a gate is two calls.
    assert_int_equal(log.ended_ns[0], 1.5 * S);
    assert_int_equal(log.ended_ns[2], 4.5 * S);
    assert_int_equal(log.ended_ns[8], 4.5 * S);
    assert_int_equal(log.ended_ns[10], 6 * S);
    assert_int_equal(virtual_service_counts(v, d).served, 6);
    expect_ns(virtual_service_counts(v, d).work_ns, 6e9);
    virtual_destroy(v);
}

static Virtual *gathering_world(Log *log, uint32_t *ret_edge, int64_t attempt_ns)
{
    Virtual *v = world(log);
    VirtualService service = {
        .servers = 1, .queue_max = VIRTUAL_ANY, .work = dist_fixed(1e9), .batch_item_ns = 5e8};
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_BATCH_MAX_ITEMS] = whole(3);
    p[P_BATCH_TIMEOUT] = whole(2 * S);
    virtual_service_policy(v, virtual_service(v, &service), NULL, p);
    *ret_edge = edge_with(v, 0, attempt_ns, 1, true);
    return v;
}

// A batch that gathers goes when it is full or has waited long enough.
static void test_batches_that_gather(void **state)
{
    (void)state;
    Log log;
    uint32_t edge;
    Virtual *v = gathering_world(&log, &edge, 0);
    for (int i = 0; i < 5; i++) {
        call(v, edge);
    }
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(log.ended_ns[0], 2.5 * S); // three at once: 1 + 1.5
    assert_int_equal(log.ended_ns[4], 2.5 * S);
    assert_int_equal(log.ended_ns[6], 2.5 * S + 2 * S); // two went at 2, behind the first batch
    virtual_destroy(v);
}

// Those that leave a batch leave the others in it, whether it gathers, waits or is served.
static void test_leaving_a_batch(void **state)
{
    (void)state;
    for (int64_t after = 1; after <= 7; after++) {
        Log log;
        uint32_t edge;
        Virtual *v = gathering_world(&log, &edge, after * S / 2);
        uint32_t patient = plain_edge(v, 0);
        call(v, patient);
        call(v, edge);
        call(v, edge);
        call(v, edge);
        call(v, patient);
        (void)virtual_run(v, INT64_MAX);
        assert_int_equal(log.reasons[0], CALL_OK);
        assert_int_equal(log.reasons[8], CALL_OK);
        VirtualServiceCounts c = virtual_service_counts(v, 0);
        assert_int_equal(c.begun, c.served + c.left_waiting + c.left_served);
        assert_int_equal(c.here, 0);
        assert_int_equal(c.busy, 0);
        assert_int_equal(c.waiting, 0);
        assert_int_equal(virtual_requests_open(v), 0);
        virtual_destroy(v);
    }
}

// A service's own policies: one at a time, one may wait, the third is turned away and, as the edge
// repeats what was throttled, comes back.
static void test_policies_of_the_callee(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    uint32_t d = station(v, 8, S);
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_LIMIT_KIND] = whole(LIMIT_FIXED);
    p[P_LIMIT_VALUE] = whole(1);
    p[P_QUEUE_LIMIT] = whole(1);
    virtual_service_policy(v, d, NULL, p);
    policy_defaults(p);
    p[P_RETRY_ATTEMPTS] = whole(2);
    p[P_RETRY_BACKOFF] = whole(5 * S);
    p[P_RETRY_JITTER] = whole(JITTER_NONE);
    p[P_RETRY_BUDGET].real = 0;
    uint32_t edge = virtual_edge(v, NULL, p, d);
    for (int i = 0; i < 3; i++) {
        call(v, edge);
    }
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(log.ended_ns[0], S);
    assert_int_equal(log.ended_ns[2], 2 * S);
    assert_int_equal(log.ended_ns[4], 6 * S);
    assert_int_equal(virtual_service_block(v, d)->ended[CALL_QUEUE_FULL], 1);
    assert_int_equal(virtual_block(v, edge)->ended[CALL_OK], 3);
    assert_int_equal(virtual_service_counts(v, d).begun, 3); // who is turned away never came in
    assert_int_equal(virtual_service_set(v, d, P_LIMIT_VALUE, whole(2), NULL), 0);
    uint32_t bare = station(v, 1, S);
    assert_int_equal(virtual_service_set(v, bare, P_LIMIT_VALUE, whole(2), NULL), ERR_REFUSED);
    virtual_destroy(v);
}

// The autoscaler sees what the live one sees: (running + waiting) / workers, every period.
static void test_autoscaling(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    VirtualService service = {.servers = 2,
                              .queue_max = VIRTUAL_ANY,
                              .work = dist_fixed(100e9),
                              .start_delay_ns = 30 * S};
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_SCALE_TARGET].real = 1;
    p[P_SCALE_MIN] = whole(2);
    p[P_SCALE_MAX] = whole(10);
    p[P_SCALE_PERIOD] = whole(15 * S);
    p[P_SCALE_DOWN_STABILISE] = whole(0);
    uint32_t d = virtual_service(v, &service);
    virtual_service_policy(v, d, NULL, p);
    uint32_t edge = plain_edge(v, d);
    for (int i = 0; i < 8; i++) {
        call(v, edge);
    }
    (void)virtual_run(v, 44 * S);
    assert_int_equal(virtual_busy(v, d), 2); // decided at 15, working at 45
    (void)virtual_run(v, 46 * S);
    // At 15: 8 / 2 = 4 times the target, but 4 more at most in a period; at 30 two more.
    assert_int_equal(virtual_busy(v, d), 6);
    (void)virtual_run(v, 61 * S);
    assert_int_equal(virtual_busy(v, d), 8);
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(virtual_service_counts(v, d).served, 8);
    assert_true(virtual_service_counts(v, d).servers < 8); // and down again
    virtual_destroy(v);
}

// Calls in a circle end at a depth, and ones that also fan out at the ceiling of what may be open.
static void test_circles(void **state)
{
    (void)state;
    for (uint32_t fan = 1; fan <= 2; fan++) {
        Log log = {0};
        Virtual *v = virtual_create(&(VirtualOptions){
            .seed = 1, .open_max = 5000, .hooks = {.context = &log, .ended = on_end}});
        VirtualTarget targets[] = {{0, 1, 1}, {0, 1, 1}};
        (void)plain_edge(v, caller_of(v, 0, false, &(VirtualGroup){targets, fan, 0}, 1));
        call(v, 0);
        (void)virtual_run(v, INT64_MAX);
        assert_true(virtual_overflowed(v) == (fan == 2));
        while (virtual_run(v, INT64_MAX) > 0) { // it may be run to its end all the same
        }
        assert_int_equal(log.reasons[0], CALL_FAILED);
        assert_int_equal(virtual_calls_open(v), 0);
        assert_int_equal(virtual_requests_open(v), 0);
        if (fan == 1) {
            assert_int_equal(virtual_service_counts(v, 0).begun, VIRTUAL_DEPTH_MAX + 1);
        }
        virtual_destroy(v);
    }
}

// Stops when more is under way than was allowed, and not before.
static void test_overflow(void **state)
{
    (void)state;
    Virtual *v = virtual_create(&(VirtualOptions){.seed = 1, .open_max = 1000});
    VirtualClient client = {.per_second = 10};
    client.edge = plain_edge(v, station(v, 1, S));
    (void)virtual_client(v, &client);
    (void)virtual_run(v, 3600 * S);
    assert_true(virtual_overflowed(v));
    assert_int_equal(virtual_calls_open(v) + virtual_requests_open(v), 1000);
    assert_true(virtual_now(v) < 60 * S);
    virtual_destroy(v);
}

static void count_action(void *context, Virtual *v, uint64_t serial, const CallAction *a)
{
    (void)v;
    (void)serial;
    (void)a;
    ((Log *)context)->actions++;
}

// Calls that skip call_step count and take exactly what they would with it, which an action hook
// asks for.
static void test_plain_calls_are_calls(void **state)
{
    (void)state;
    Virtual *w[2];
    Log logs[2];
    memset(logs, 0, sizeof logs);
    for (int full = 0; full < 2; full++) {
        VirtualHooks hooks = {.context = &logs[full], .ended = on_end};
        hooks.action = full ? count_action : NULL;
        Virtual *v = w[full] = virtual_create(&(VirtualOptions){.seed = 3, .hooks = hooks});
        VirtualService d = {.servers = 2,
                            .queue_max = 5,
                            .work = dist_exponential(1e9),
                            .faults = {.fail = 0.1, .fatal = 0.05, .throttle = 0.05}};
        uint32_t at_d = virtual_service(v, &d);
        VirtualTarget target = {plain_edge(v, at_d), 1, 1.5};
        uint32_t b = caller_of(v, 0, false, &(VirtualGroup){&target, 1, 0}, 1);
        VirtualClient clients[] = {{.edge = edge_with(v, b, 4 * S, 3, true),
                                    .per_second = 1,
                                    .scv = 1,
                                    .until_ns = 900 * S},
                                   {.edge = plain_edge(v, at_d),
                                    .per_second = 0.5,
                                    .scv = 3,
                                    .until_ns = 900 * S,
                                    .cancel = 0.2,
                                    .cancel_after_ns = S}};
        (void)virtual_client(v, &clients[0]);
        (void)virtual_client(v, &clients[1]);
        (void)virtual_run(v, INT64_MAX);
    }
    assert_true(logs[1].actions > 0 && logs[0].count == logs[1].count);
    assert_true(virtual_steps(w[0]) < virtual_steps(w[1]));
    for (uint32_t i = 0; i < 2; i++) {
        VirtualClientCounts a = virtual_client_counts(w[0], i), b = virtual_client_counts(w[1], i);
        VirtualServiceCounts c = virtual_service_counts(w[0], i),
                             d = virtual_service_counts(w[1], i);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(&c, &d, sizeof c);
    }
    for (uint32_t i = 0; i < 3; i++) {
        const PolicyBlock *a = virtual_block(w[0], i), *b = virtual_block(w[1], i);
        assert_memory_equal(a->ended, b->ended, sizeof a->ended);
        assert_true(a->started == b->started && a->attempts == b->attempts);
        assert_true(a->limit.in_flight == 0 && a->limit.peak == b->limit.peak);
    }
    virtual_destroy(w[0]);
    virtual_destroy(w[1]);
}

// A limit that comes while plain calls are under way counts them.
static void test_a_policy_for_calls_that_had_none(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    uint32_t d = station(v, 0, 10 * S);
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    uint32_t edge = virtual_edge(v, &(PolicyShape){.queue = 8}, p, d);
    call(v, edge);
    call(v, edge);
    (void)virtual_run(v, 1 * S);
    assert_int_equal(virtual_set(v, edge, P_QUEUE_LIMIT, whole(8), NULL), 0);
    assert_int_equal(virtual_set(v, edge, P_LIMIT_VALUE, whole(2), NULL), 0);
    assert_int_equal(virtual_set(v, edge, P_LIMIT_KIND, whole(LIMIT_FIXED), NULL), 0);
    call(v, edge); // waits until one of the two is back
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(log.ended_ns[2], 20 * S);
    virtual_destroy(v);
}

// Recorded times, from a start; an end; equal questions are answered by the cache, also below.
static void test_clients(void **state)
{
    (void)state;
    Log log;
    Virtual *v = world(&log);
    static const int64_t times[] = {0, S, S, 7 * S};
    uint32_t d = station(v, 0, S / 2);
    VirtualClient replay = {.edge = plain_edge(v, d), .times = times, .time_count = 4};
    replay.start_ns = 10 * S;
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_CACHE_TTL] = whole(3600 * S);
    VirtualTarget target = {virtual_edge(v, NULL, p, d), 1, 1};
    uint32_t b = caller_of(v, 0, false, &(VirtualGroup){&target, 1, 0}, 1);
    VirtualClient even = {.edge = plain_edge(v, b), .per_second = 1, .until_ns = 10 * S, .keys = 1};
    (void)virtual_client(v, &replay);
    (void)virtual_client(v, &even);
    (void)virtual_run(v, 11 * S);
    assert_int_equal(virtual_client_counts(v, 0).offered, 3);
    (void)virtual_run(v, INT64_MAX);
    assert_int_equal(virtual_client_counts(v, 0).ended[CALL_OK], 4);
    assert_int_equal(virtual_client_counts(v, 1).offered, 9); // at 1, 2, ... 9
    assert_int_equal(virtual_service_counts(v, d).begun, 4 + 1);
    assert_int_equal(virtual_block(v, target.edge)->ended[CALL_CACHED], 8);
    virtual_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_orphans_go_on_calling),
        cmocka_unit_test(test_a_group_fails_at_once),
        cmocka_unit_test(test_groups_in_order_and_servers_held),
        cmocka_unit_test(test_luck_goes_with_the_task),
        cmocka_unit_test(test_servers_come_and_go),
        cmocka_unit_test(test_batches_of_what_waits),
        cmocka_unit_test(test_batches_that_gather),
        cmocka_unit_test(test_leaving_a_batch),
        cmocka_unit_test(test_policies_of_the_callee),
        cmocka_unit_test(test_autoscaling),
        cmocka_unit_test(test_circles),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_plain_calls_are_calls),
        cmocka_unit_test(test_a_policy_for_calls_that_had_none),
        cmocka_unit_test(test_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
