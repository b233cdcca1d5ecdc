// Budgets at their edges, all or none, and under threads; cassettes that are not what they should
// be.
#include "llm/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#include "llm/cassette.h"
#include "os/thread.h"

static void test_edges(void **state)
{
    (void)state;
    LlmBudget *b =
        llm_budget_create("edge", &(LlmBudgetLimits){.tokens = 100, .cost_nano_usd = 1000});
    static const struct {
        LlmSpend most;
        int rc;
    } CASES[] = {
        {{100, 1000}, 0},
        {{101, 0}, ERR_LIMIT},
        {{0, 1001}, ERR_LIMIT},
        {{INT64_MAX, 0}, ERR_LIMIT},
        {{0, INT64_MAX}, ERR_LIMIT},
        {{0, 0}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Err e;
        assert_int_equal(llm_budget_reserve(&b, 1, CASES[i].most, &e), CASES[i].rc);
        if (CASES[i].rc == 0) {
            llm_budget_settle(&b, 1, CASES[i].most, (LlmSpend){0});
        }
    }
    assert_int_equal(llm_budget_reserve(&b, 1, (LlmSpend){60, 1}, NULL), 0);
    assert_int_equal(llm_budget_reserve(&b, 1, (LlmSpend){41, 1}, NULL), ERR_LIMIT); // 60 reserved
    llm_budget_settle(&b, 1, (LlmSpend){60, 1}, (LlmSpend){10, 1});
    assert_int_equal(llm_budget_reserve(&b, 1, (LlmSpend){90, 1}, NULL), 0);
    LlmBudgetState s = llm_budget_state(b);
    assert_int_equal(s.tokens, 10);
    assert_int_equal(s.reserved_tokens, 90);
    assert_int_equal(s.refused, 5);
    llm_budget_destroy(b);
}

enum { THREADS = 4, ROUNDS = 2000, LIMIT = 5000 };

static void spend(void *arg)
{
    LlmBudget *b = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (llm_budget_reserve(&b, 1, (LlmSpend){2, 0}, NULL) == 0) {
            llm_budget_settle(&b, 1, (LlmSpend){2, 0}, (LlmSpend){2, 0});
        }
    }
}

static void test_threads(void **state)
{
    (void)state;
    LlmBudget *b = llm_budget_create("run", &(LlmBudgetLimits){.tokens = LIMIT});
    Thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(thread_start("spend", THREAD_ANY_CPU, spend, b, &threads[i], NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
    }
    LlmBudgetState s = llm_budget_state(b);
    assert_int_equal(s.tokens, LIMIT);
    assert_int_equal(s.reserved_tokens, 0);
    assert_int_equal(s.refused, THREADS * ROUNDS - LIMIT / 2);
    llm_budget_destroy(b);
}

// ---- cassettes

static int open_text(const char *text, LlmCassette **ret_cassette, Err *e)
{
    char path[] = "/tmp/pw-tape-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    int rc = llm_cassette_open(path, LLM_CASSETTE_REPLAY, ret_cassette, e);
    assert_int_equal(unlink(path), 0);
    return rc;
}

static void test_broken_tapes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } CASES[] = {
        {"", 0},
        {"\n\n", 0},
        {"{\"version\":1,\"url\":\"u\",\"status\":200}\n", 0},
        {"{\"version\":2,\"url\":\"u\",\"status\":200}\n", ERR_VERSION},
        {"{\"url\":\"u\",\"status\":200}\n", ERR_VERSION},
        {"{\"version\":1,\"url\":\"u\"}\n", ERR_PARSE},
        {"{\"version\":1,\"status\":200,\"body_base64\":\"*\"}\n", ERR_PARSE},
        {"{\"version\":1,\"sta", ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        LlmCassette *tape = NULL;
        Err e;
        assert_int_equal(open_text(CASES[i].text, &tape, &e), CASES[i].rc);
        llm_cassette_close(tape);
    }
}

static void test_order(void **state)
{
    (void)state;
    LlmCassette *tape;
    assert_int_equal(open_text("{\"version\":1,\"url\":\"u\",\"request\":\"r\",\"status\":500}\n"
                               "{\"version\":1,\"url\":\"u\",\"request\":\"x\",\"status\":404}\n"
                               "{\"version\":1,\"url\":\"u\",\"request\":\"r\",\"status\":200,"
                               "\"body_base64\":\"/wA=\"}\n",
                               &tape, NULL),
                     0);
    static const int STATUSES[] = {500, 200, 200}; // the last one again and again
    LlmTake take;
    for (size_t i = 0; i < COUNT_OF(STATUSES); i++) {
        assert_int_equal(llm_cassette_play(tape, SLICE("u"), SLICE("r"), &take, NULL), 0);
        assert_int_equal(take.status, STATUSES[i]);
    }
    assert_int_equal(take.body.len, 2);
    assert_memory_equal(take.body.ptr, "\xff\0", 2);
    assert_int_equal(llm_cassette_play(tape, SLICE("v"), SLICE("r"), &take, NULL), ERR_NOT_FOUND);
    llm_cassette_close(tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edges), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_broken_tapes),
                                       cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
