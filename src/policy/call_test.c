// The call step by step: what happens, and word for word what has to be done about it.
#include "policy/policy_test.h"

#include "base/buf.h"
#include "policy/call.h"

enum { CALLS = 4 };

typedef struct Setting {
    PolicyParamId id;
    ParamValue value;
} Setting;

typedef struct Fixture {
    PolicyBlock *block;
    CallState calls[CALLS];
    int64_t now;
    Buf said;
} Fixture;

// What one event made of it: "start0<30 timer30", times in ms, "<-" without a deadline; what other
// calls did then follows as "[1] ...".
static void say(Fixture *f, const CallAction *a)
{
    static const char *const words[] = {
        [CALL_DO_START] = "start",   [CALL_DO_CANCEL] = "cancel", [CALL_DO_TIMER] = "timer",
        [CALL_DO_QUEUED] = "queued", [CALL_DO_STORE] = "store",   [CALL_DO_COMPLETE] = "="};
    if (f->said.len > 0) {
        buf_puts(&f->said, " ");
    }
    buf_puts(&f->said, words[a->kind]);
    switch (a->kind) {
    case CALL_DO_START:
        buf_printf(&f->said, "%u<", a->attempt);
        if (a->at_ns == CALL_NEVER) {
            buf_puts(&f->said, "-");
        } else {
            buf_printf(&f->said, "%lld", (long long)(a->at_ns / MS));
        }
        break;
    case CALL_DO_CANCEL: buf_printf(&f->said, "%u", a->attempt); break;
    case CALL_DO_TIMER: buf_printf(&f->said, "%lld", (long long)(a->at_ns / MS)); break;
    case CALL_DO_COMPLETE:
        buf_puts(&f->said, call_reason_name(a->reason));
        if (a->code != 0) {
            buf_printf(&f->said, "(%d)", a->code);
        }
        break;
    case CALL_DO_QUEUED:
    case CALL_DO_STORE: break;
    }
}

static void step(Fixture *f, int call, const CallEvent *event)
{
    CallActions todo;
    call_step(f->block, &f->calls[call], event, f->now, &todo);
    for (uint32_t i = 0; i < todo.count; i++) {
        say(f, &todo.list[i]);
    }
    for (CallWork w; todo.drain && policy_next_work(f->block, f->now, &w);) {
        if (w.slot == CACHE_NONE) {
            buf_printf(&f->said, " [%d]", (int)w.handle);
            step(f, (int)w.handle, &w.event);
        }
    }
}

static void expect(Fixture *f, const char *words)
{
    assert_string_equal(f->said.len ? f->said.data : "", words);
    buf_reset(&f->said);
}

static Fixture fixture(const Setting *settings, size_t count)
{
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_RETRY_JITTER] = whole(JITTER_NONE); // so that pauses are known
    for (size_t i = 0; i < count; i++) {
        p[settings[i].id] = settings[i].value;
    }
    Fixture f = {.said = buf_create(4096)};
    PolicyShape shape = policy_shape(p);
    f.block = mem_alloc(policy_bytes(&shape));
    policy_init(f.block, &shape, p, 1, 0);
    return f;
}
#define FIXTURE(...)                                                                               \
    fixture((const Setting[]){__VA_ARGS__}, COUNT_OF(((const Setting[]){__VA_ARGS__})))

static void done(Fixture *f)
{
    uint64_t ended = 0;
    for (int i = 0; i < CALL_REASON_COUNT; i++) {
        ended += f->block->ended[i];
    }
    assert_int_equal(ended, f->block->started);
    assert_int_equal(f->block->limit.in_flight, 0);
    free(f->block);
    buf_done(&f->said);
}

static void begin(Fixture *f, int call, int64_t deadline_ms, const char *words)
{
    CallOptions o = {.handle = (uint64_t)call,
                     .task = (uint64_t)call + 1,
                     .key = {.low = 5},
                     .deadline_ns = deadline_ms * MS};
    step(f, call, &(CallEvent){.kind = CALL_START, .start = &o});
    expect(f, words);
}

static void ends(Fixture *f, int call, uint32_t attempt, CallOutcome outcome, const char *words)
{
    step(f, call,
         &(CallEvent){.kind = CALL_ATTEMPT_DONE,
                      .attempt = attempt,
                      .outcome = outcome,
                      .code = outcome == CALL_SUCCESS ? 0 : ERR_CONNECT,
                      .bytes = 10});
    expect(f, words);
}

static void event(Fixture *f, int call, CallEventKind kind, const char *words)
{
    step(f, call, &(CallEvent){.kind = kind});
    expect(f, words);
}

static void at(Fixture *f, int64_t ms)
{
    f->now = ms * MS;
}

static void test_plain_call(void **state)
{
    (void)state;
    Fixture f = fixture(NULL, 0);
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_SUCCESS, "=ok");
    ends(&f, 0, 0, CALL_SUCCESS, ""); // whatever comes late does nothing
    event(&f, 0, CALL_TIMER, "");
    event(&f, 0, CALL_CANCEL, "");
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_RETRYABLE, "=failed(-14)");
    begin(&f, 0, 0, "start0<-");
    event(&f, 0, CALL_CANCEL, "cancel0 =cancelled(-8)");
    done(&f);
}

static void test_deadline(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_TIMEOUT_CALL, whole(50 * MS)});
    begin(&f, 0, 0, "start0<50 timer50");
    at(&f, 50);
    event(&f, 0, CALL_TIMER, "cancel0 =deadline(-7)");
    begin(&f, 0, 80, "start0<80 timer80"); // the caller's is nearer
    at(&f, 60);
    event(&f, 0, CALL_TIMER, "timer80"); // too early: set again
    ends(&f, 0, 0, CALL_SUCCESS, "=ok");
    begin(&f, 0, 60, "=deadline(-7)"); // over before it began
    done(&f);
}

static void test_retry(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_RETRY_ATTEMPTS, whole(3)}, {P_TIMEOUT_ATTEMPT, whole(30 * MS)});
    begin(&f, 0, 1000, "start0<30 timer30");
    at(&f, 10);
    ends(&f, 0, 0, CALL_RETRYABLE, ""); // pause of 100; the timer of 30 fires first
    at(&f, 30);
    event(&f, 0, CALL_TIMER, "timer110");
    at(&f, 110);
    event(&f, 0, CALL_TIMER, "start1<140 timer140");
    at(&f, 140);
    event(&f, 0, CALL_TIMER, "cancel1 timer340"); // timed out; pause of 200
    ends(&f, 0, 1, CALL_SUCCESS, "");             // too late
    at(&f, 340);
    event(&f, 0, CALL_TIMER, "start2<370 timer370");
    ends(&f, 0, 2, CALL_RETRYABLE, "=exhausted(-14)");
    assert_int_equal(f.block->retries, 2);
    assert_int_equal(f.block->timeouts, 1);

    begin(&f, 1, 1000, "start0<370 timer370");
    ends(&f, 1, 0, CALL_FATAL, "=failed(-14)"); // never repeated
    begin(&f, 1, 1000, "start0<370 timer370");
    ends(&f, 1, 0, CALL_CALLER_FAULT, "=failed(-14)");
    begin(&f, 1, 440, "start0<370 timer370");
    ends(&f, 1, 0, CALL_RETRYABLE, "=no_time(-14)"); // 340 + 100 is the deadline
    done(&f);
}

static void test_last_attempt_times_out(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_RETRY_ATTEMPTS, whole(2)}, {P_TIMEOUT_ATTEMPT, whole(30 * MS)},
                        {P_RETRY_BACKOFF, whole(0)});
    begin(&f, 0, 0, "start0<30 timer30");
    at(&f, 30);
    event(&f, 0, CALL_TIMER, "cancel0 start1<60 timer60"); // no pause: at once
    at(&f, 60);
    event(&f, 0, CALL_TIMER, "cancel1 =timed_out(-7)");
    assert_int_equal(
        policy_set(f.block, P_RETRY_ON_TIMEOUT, (ParamValue){.boolean = false}, 0, NULL), 0);
    begin(&f, 0, 0, "start0<90 timer90");
    at(&f, 90);
    event(&f, 0, CALL_TIMER, "cancel0 =timed_out(-7)");
    done(&f);
}

static void test_retry_after(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_RETRY_ATTEMPTS, whole(5)}, {P_RETRY_RETRY_AFTER_MAX, whole(2 * S)},
                        {P_RATE_HOLD_ON_THROTTLE, {.boolean = true}});
    CallEvent busy = {
        .kind = CALL_ATTEMPT_DONE, .outcome = CALL_THROTTLED, .code = -19, .retry_after_ns = 2 * S};
    begin(&f, 0, 0, "start0<-");
    step(&f, 0, &busy);
    expect(&f, "timer2000");              // longer than the pause of 100, and exactly the longest
    begin(&f, 1, 0, "=rate_limited(-3)"); // the others are held back as well
    at(&f, 2000);
    event(&f, 0, CALL_TIMER, "start1<-");
    busy.attempt = 1;
    busy.retry_after_ns++;
    step(&f, 0, &busy);
    expect(&f, "=retry_after(-19)");
    done(&f);
}

static void test_never_twice(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_RETRY_ATTEMPTS, whole(5)}, {P_HEDGE_MAX, whole(1)});
    CallOptions o = {.once = true};
    step(&f, 0, &(CallEvent){.kind = CALL_START, .start = &o});
    expect(&f, "start0<-");
    ends(&f, 0, 0, CALL_RETRYABLE, "=failed(-14)");
    // An answer that has begun to reach the caller: its other attempts go, and it is not repeated.
    assert_int_equal(policy_set(f.block, P_HEDGE_BUDGET, real(0), 0, NULL), 0);
    assert_int_equal(policy_set(f.block, P_TIMEOUT_ATTEMPT, whole(50 * MS), 0, NULL), 0);
    begin(&f, 0, 0, "start0<50 timer0");
    event(&f, 0, CALL_TIMER, "start1<50 timer50");
    step(&f, 0, &(CallEvent){.kind = CALL_COMMIT, .attempt = 1});
    expect(&f, "cancel0");
    at(&f, 50);
    event(&f, 0, CALL_TIMER, ""); // the time limit was for its beginning
    ends(&f, 0, 1, CALL_RETRYABLE, "=failed(-14)");
    done(&f);
}

static void test_retry_budget(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_RETRY_ATTEMPTS, whole(2)}, {P_RETRY_BACKOFF, whole(0)},
                        {P_RETRY_BUDGET, real(0.5)}, {P_RETRY_BUDGET_MIN, real(0)});
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_RETRYABLE, "=no_budget(-14)"); // half a retry
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_RETRYABLE, "start1<-");
    ends(&f, 0, 1, CALL_SUCCESS, "=ok");
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_RETRYABLE, "=no_budget(-14)");
    done(&f);
}

static void test_hedge(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_HEDGE_MAX, whole(2)}, {P_HEDGE_DELAY, whole(10 * MS)},
                        {P_HEDGE_BUDGET, real(2)}, {P_RETRY_ATTEMPTS, whole(2)});
    begin(&f, 0, 0, "start0<- timer10");
    at(&f, 10);
    event(&f, 0, CALL_TIMER, "start1<- timer20");
    at(&f, 20);
    event(&f, 0, CALL_TIMER, "start2<-"); // no more than two
    ends(&f, 0, 0, CALL_RETRYABLE, "");   // the others go on
    ends(&f, 0, 2, CALL_SUCCESS, "cancel1 =ok");
    assert_int_equal(f.block->hedges, 2);
    // All of them fail: then it is repeated, as one try.
    begin(&f, 0, 0, "start0<- timer30");
    at(&f, 30);
    event(&f, 0, CALL_TIMER, "start1<- timer40");
    ends(&f, 0, 1, CALL_RETRYABLE, "");
    ends(&f, 0, 0, CALL_RETRYABLE, ""); // the timer of 40 fires before the pause is over
    at(&f, 40);
    event(&f, 0, CALL_TIMER, "timer130");
    at(&f, 130);
    event(&f, 0, CALL_TIMER, "start2<- timer140");
    event(&f, 0, CALL_CANCEL, "cancel2 =cancelled(-8)");
    done(&f);
}

// Half a hedge a call: the first call has none, the second one. A refused hedge is not asked again.
static void test_hedge_budget(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_HEDGE_MAX, whole(1)}, {P_HEDGE_DELAY, whole(10 * MS)},
                        {P_HEDGE_BUDGET, real(0.5)});
    begin(&f, 0, 0, "start0<- timer10");
    at(&f, 10);
    event(&f, 0, CALL_TIMER, "");
    begin(&f, 1, 0, "start0<- timer20");
    at(&f, 20);
    event(&f, 1, CALL_TIMER, "start1<-");
    ends(&f, 0, 0, CALL_SUCCESS, "=ok");
    ends(&f, 1, 0, CALL_SUCCESS, "cancel1 =ok");
    done(&f);
}

static void test_queue(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_LIMIT_KIND, whole(LIMIT_FIXED)}, {P_LIMIT_VALUE, whole(1)},
                        {P_QUEUE_LIMIT, whole(2)}, {P_QUEUE_MAX_WAIT, whole(20 * MS)});
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "queued timer20");
    begin(&f, 2, 15, "queued timer15");
    begin(&f, 3, 0, "=queue_full(-17)");
    at(&f, 15);
    event(&f, 2, CALL_TIMER, "=deadline(-7)");
    at(&f, 20);
    event(&f, 1, CALL_TIMER, "=queue_timeout(-7)");
    begin(&f, 1, 0, "queued timer40");
    begin(&f, 2, 0, "queued timer40");
    ends(&f, 0, 0, CALL_SUCCESS, "=ok [1] start0<-");
    event(&f, 2, CALL_CANCEL, "=cancelled(-8)");
    ends(&f, 1, 0, CALL_SUCCESS, "=ok");
    done(&f);
}

// A pause holds no place: another call runs meanwhile, and the retry waits its turn.
static void test_pause_holds_no_place(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_LIMIT_KIND, whole(LIMIT_FIXED)}, {P_LIMIT_VALUE, whole(1)},
                        {P_QUEUE_LIMIT, whole(2)}, {P_RETRY_ATTEMPTS, whole(2)});
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "queued");
    ends(&f, 0, 0, CALL_RETRYABLE, "timer100 [1] start0<-");
    at(&f, 100);
    event(&f, 0, CALL_TIMER, "queued");
    ends(&f, 1, 0, CALL_SUCCESS, "=ok [0] start1<-");
    ends(&f, 0, 1, CALL_SUCCESS, "=ok");
    done(&f);
}

static void test_rate_limit(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_RATE_PER_SECOND, real(100)}, {P_RATE_MAX_WAIT, whole(15 * MS)});
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "timer10");
    begin(&f, 2, 0, "=rate_limited(-3)"); // would be 20
    begin(&f, 2, 10, "=rate_limited(-3)");
    at(&f, 10);
    event(&f, 1, CALL_TIMER, "start0<-");
    event(&f, 0, CALL_CANCEL, "cancel0 =cancelled(-8)");
    event(&f, 1, CALL_CANCEL, "cancel0 =cancelled(-8)");
    done(&f);
}

static void test_breaker(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_BREAKER_CONSECUTIVE, whole(2)}, {P_BREAKER_OPEN_FOR, whole(1 * S)},
                        {P_BREAKER_SUCCESSES, whole(1)}, {P_BREAKER_PROBES, whole(1)});
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_CALLER_FAULT, "=failed(-14)"); // says nothing about the target
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_FATAL, "=failed(-14)");
    begin(&f, 0, 0, "start0<-");
    ends(&f, 0, 0, CALL_FATAL, "=failed(-14)");
    begin(&f, 0, 0, "=breaker_open(-9)");
    at(&f, 1000);
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "=breaker_open(-9)"); // one probe at a time
    event(&f, 0, CALL_CANCEL, "cancel0 =cancelled(-8)");
    begin(&f, 1, 0, "start0<-");
    ends(&f, 1, 0, CALL_SUCCESS, "=ok");
    begin(&f, 1, 0, "start0<-");
    ends(&f, 1, 0, CALL_SUCCESS, "=ok");
    done(&f);
}

static void test_cache_and_flight(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_CACHE_TTL, whole(1 * S)}, {P_CACHE_SINGLE_FLIGHT, {.boolean = true}});
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "");
    begin(&f, 2, 0, "");
    begin(&f, 3, 40, "timer40"); // a waiter keeps its own deadline
    at(&f, 40);
    event(&f, 3, CALL_TIMER, "=deadline(-7)");
    event(&f, 0, CALL_CANCEL, "cancel0 =cancelled(-8) [1] start0<-"); // the first waiter leads
    begin(&f, 0, 0, "");
    ends(&f, 1, 0, CALL_SUCCESS, "store =ok [2] =shared [0] =shared");
    begin(&f, 0, 0, "=cached");
    at(&f, 1040);
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "");
    ends(&f, 0, 0, CALL_FATAL, "=failed(-14) [1] =shared_failed(-14)"); // failures are not kept
    done(&f);
}

static void test_codel_drops(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_LIMIT_KIND, whole(LIMIT_FIXED)}, {P_LIMIT_VALUE, whole(1)},
                        {P_QUEUE_LIMIT, whole(3)}, {P_QUEUE_DISCIPLINE, whole(QUEUE_CODEL)});
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "queued");
    begin(&f, 2, 0, "queued");
    at(&f, 10);
    ends(&f, 0, 0, CALL_SUCCESS, "=ok [1] start0<-"); // over the target from now on
    begin(&f, 0, 0, "queued");
    at(&f, 110);
    ends(&f, 1, 0, CALL_SUCCESS, "=ok [2] =queue_dropped(-17) [0] start0<-");
    ends(&f, 0, 0, CALL_SUCCESS, "=ok");
    done(&f);
}

// Every parameter may change while calls wait; none is lost.
static void test_changes_while_running(void **state)
{
    (void)state;
    Fixture f = FIXTURE({P_LIMIT_KIND, whole(LIMIT_FIXED)}, {P_LIMIT_VALUE, whole(1)},
                        {P_QUEUE_LIMIT, whole(3)});
    Err e = {0};
    CallWork w;
    begin(&f, 0, 0, "start0<-");
    begin(&f, 1, 0, "queued");
    begin(&f, 2, 0, "queued");
    assert_int_equal(policy_set(f.block, P_QUEUE_LIMIT, whole(0), 0, NULL), 0);
    begin(&f, 3, 0, "=queue_full(-17)"); // but who waits stays
    assert_int_equal(policy_set(f.block, P_LIMIT_VALUE, whole(2), 0, NULL), 0);
    assert_true(policy_next_work(f.block, 0, &w));
    assert_int_equal(w.handle, 1);
    step(&f, 1, &w.event);
    expect(&f, "start0<-");
    assert_false(policy_next_work(f.block, 0, &w));
    assert_int_equal(policy_set(f.block, P_LIMIT_KIND, whole(LIMIT_NONE), 0, NULL), 0);
    assert_true(policy_next_work(f.block, 0, &w));
    step(&f, 2, &w.event);
    expect(&f, "start0<-");
    for (int i = 0; i < 3; i++) {
        ends(&f, i, 0, CALL_SUCCESS, "=ok");
    }
    // What has no room, or is out of range, changes nothing.
    assert_int_equal(policy_set(f.block, P_QUEUE_LIMIT, whole(4), 0, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "queue.limit needs room for 4"));
    assert_int_equal(policy_set(f.block, P_QUEUE_LIMIT, whole(3), 0, &e), 0);
    assert_int_equal(policy_set(f.block, P_CACHE_TTL, whole(1), 0, &e), ERR_REFUSED);
    assert_int_equal(policy_set(f.block, P_BREAKER_WINDOW, whole(BREAKER_WINDOW_COUNT), 0, &e),
                     ERR_REFUSED);
    assert_int_equal(policy_set(f.block, P_RETRY_ATTEMPTS, whole(21), 0, &e), ERR_ARG);
    assert_int_equal(f.block->p[P_RETRY_ATTEMPTS].integer, 1);
    done(&f);
}

static void test_reasons_have_words(void **state)
{
    (void)state;
    for (int i = 0; i < CALL_REASON_COUNT; i++) {
        assert_non_null(call_reason_text((CallReason)i));
        assert_non_null(call_reason_name((CallReason)i));
    }
}

// 100,000 idle agents have to fit into 300 MiB.
static void test_a_small_block_is_small(void **state)
{
    (void)state;
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    PolicyShape shape = policy_shape(p);
    assert_true(policy_bytes(&shape) <= 2048);
    assert_true(sizeof(CallState) <= 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_call),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_last_attempt_times_out),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_never_twice),
        cmocka_unit_test(test_retry_budget),
        cmocka_unit_test(test_hedge),
        cmocka_unit_test(test_hedge_budget),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_pause_holds_no_place),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_cache_and_flight),
        cmocka_unit_test(test_codel_drops),
        cmocka_unit_test(test_changes_while_running),
        cmocka_unit_test(test_reasons_have_words),
        cmocka_unit_test(test_a_small_block_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
