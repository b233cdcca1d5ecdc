#include "policy/program_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "policy/virtual.h"

#define S INT64_C(1000000000)

static PolicyProgram compiled(const char *text)
{
    PolicyProgram p;
    Err e = {0};
    int rc = program_compile((Slice){text, strlen(text)}, &p, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
    return p;
}

// A service of fixed 100 ms for `per_second` calls that come evenly.
static Virtual *world(double per_second, double fail)
{
    Virtual *v = virtual_create(&(VirtualOptions){.seed = 3, .trace = true});
    uint32_t service =
        virtual_service(v, &(VirtualService){.work = dist_fixed(0.1e9), .faults = {.fail = fail}});
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    uint32_t edge = virtual_edge(v, &(PolicyShape){.program = true}, values, service);
    virtual_client(v, &(VirtualClient){.edge = edge, .per_second = per_second});
    return v;
}

// What a program sees is what happened: it writes its observations into parameters.
static void test_what_it_sees(void **unused)
{
    (void)unused;
    Virtual *v = world(20, 0);
    PolicyProgram p = compiled("period = 5s; rate.per_second = 1000 + rate;"
                               "timeout.attempt = 10 * p50; timeout.call = 20 * p99;"
                               "breaker.failure_rate = 0.1 + errors; limit.max = 1 + in_flight;");
    assert_int_equal(virtual_set_program(v, 0, &p, NULL, 0, NULL), 0);
    (void)virtual_run(v, 51 * S);
    const ParamValue *values = virtual_block(v, 0)->p;
    assert_true(fabs(values[P_RATE_PER_SECOND].real - 1020) < 0.3);
    // Buckets of 1/8 octave: 9 % at most.
    assert_true(fabs((double)values[P_TIMEOUT_ATTEMPT].integer - 1e9) < 0.09e9);
    assert_true(fabs((double)values[P_TIMEOUT_CALL].integer - 2e9) < 0.18e9);
    assert_true(values[P_BREAKER_FAILURE_RATE].real == 0.1);
    assert_in_range(values[P_LIMIT_MAX].integer, 2, 4); // 20 a second for 0.1 s, and one
    virtual_destroy(v);
    v = world(20, 0.25);
    p = compiled("period = 50s; breaker.failure_rate = errors;");
    assert_int_equal(virtual_set_program(v, 0, &p, NULL, 0, NULL), 0);
    (void)virtual_run(v, 51 * S); // 1,000 attempts, four deviations are .055
    assert_true(fabs(virtual_block(v, 0)->p[P_BREAKER_FAILURE_RATE].real - 0.25) < 0.055);
    virtual_destroy(v);
}

// A copy in mid-run goes on as the original does, its program included.
static void test_a_copy_goes_on_alike(void **unused)
{
    (void)unused;
    Virtual *v = world(20, 0.3);
    PolicyProgram p = compiled("var bad = ewma(errors, 0.5);"
                               "retry.attempts = if(bad > 0.3, 1, 4); retry.backoff = bad * 1s;");
    assert_int_equal(virtual_set_program(v, 0, &p, NULL, 0, NULL), 0);
    (void)virtual_run(v, 30 * S + S / 3);
    Virtual *copy = virtual_clone(v, NULL);
    (void)virtual_run(v, 90 * S);
    (void)virtual_run(copy, 90 * S);
    assert_int_equal(virtual_trace(v), virtual_trace(copy));
    ProgramRun *run = policy_program(virtual_block(v, 0));
    assert_true(run->changes > 60); // it did something all the time
    virtual_destroy(v);
    virtual_destroy(copy);
}

static void test_its_owners_range_holds(void **unused)
{
    (void)unused;
    Virtual *v = world(20, 0);
    PolicyProgram p = compiled("retry.attempts = 20; timeout.attempt = 1h; limit.min = 150;"
                               "limit.max = 100;");
    ProgramRange ranges[] = {{P_RETRY_ATTEMPTS, 2, 3}, {P_TIMEOUT_ATTEMPT, 1e9, 2e9}};
    assert_int_equal(virtual_set_program(v, 0, &p, ranges, COUNT_OF(ranges), NULL), 0);
    (void)virtual_run(v, 2 * S);
    const ParamValue *values = virtual_block(v, 0)->p;
    assert_int_equal(values[P_RETRY_ATTEMPTS].integer, 3);
    assert_int_equal(values[P_TIMEOUT_ATTEMPT].integer, 2 * S);
    // 150 as the least was fine; 100 as the most then contradicts it and is left out.
    assert_int_equal(values[P_LIMIT_MIN].integer, 150);
    assert_int_equal(values[P_LIMIT_MAX].integer, 200);
    assert_int_not_equal(policy_program(virtual_block(v, 0))->refused, 0);
    virtual_destroy(v);
}

static void test_on_and_off(void **unused)
{
    (void)unused;
    Virtual *v = world(20, 0);
    PolicyProgram p = compiled("retry.attempts = retry.attempts + 1;");
    assert_int_equal(virtual_set_program(v, 0, &p, NULL, 0, NULL), 0);
    (void)virtual_run(v, 2 * S + S / 2);
    assert_int_equal(virtual_block(v, 0)->p[P_RETRY_ATTEMPTS].integer, 3);
    assert_int_equal(virtual_set_program(v, 0, &p, NULL, 0, NULL), 0); // begins anew
    (void)virtual_run(v, 3 * S + S / 4);
    assert_int_equal(virtual_block(v, 0)->p[P_RETRY_ATTEMPTS].integer, 3);
    (void)virtual_run(v, 4 * S);
    assert_int_equal(virtual_block(v, 0)->p[P_RETRY_ATTEMPTS].integer, 4);
    assert_int_equal(virtual_set_program(v, 0, NULL, NULL, 0, NULL), 0);
    (void)virtual_run(v, 20 * S);
    assert_int_equal(virtual_block(v, 0)->p[P_RETRY_ATTEMPTS].integer, 4);
    virtual_destroy(v);
    // Without room there is none.
    v = virtual_create(&(VirtualOptions){.seed = 3});
    uint32_t service = virtual_service(v, &(VirtualService){.work = dist_fixed(1e8)});
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    (void)virtual_edge(v, NULL, values, service);
    assert_int_equal(virtual_set_program(v, 0, &p, NULL, 0, NULL), ERR_REFUSED);
    assert_int_equal(virtual_service_set_program(v, service, &p, NULL, 0, NULL), ERR_REFUSED);
    virtual_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_sees),
        cmocka_unit_test(test_a_copy_goes_on_alike),
        cmocka_unit_test(test_its_owners_range_holds),
        cmocka_unit_test(test_on_and_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
