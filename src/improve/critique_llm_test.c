// The critic over the wire, against fake-llm.
#include "improve/critique_llm.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "llm/config.h"
#include "llm/fake.h"

typedef struct Asking {
    CritiqueLlm critic;
    Arena *arena;
    Slice answer;
    int rc;
    Err e;
    bool done;
} Asking;

static void ask(void *arg)
{
    Asking *a = arg;
    a->rc = critique_ask_llm(&a->critic, SLICE("Propose."), a->arena, &a->answer, &a->e);
    a->done = true;
}

// What comes of asking a model that says `text`.
static Asking asked(Arena *arena, Slice text)
{
    Err e = {0};
    FakeScript *script = fake_script_default(arena);
    FakeRule rule = {.has_text = true,
                     .text = text,
                     .fault = FAKE_NO_FAULT,
                     .stream = -1,
                     .after_tool = -1,
                     .times = -1,
                     .retry_after_ns = -1};
    script->rules = &rule;
    script->rule_count = 1;
    FakeLlm *fake;
    assert_int_equal(fake_llm_start(&(FakeLlmOptions){.script = script}, &fake, &e), 0);
    NetAddr addr = fake_llm_addr(fake);
    Slice toml = arena_printf(arena,
                              "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\n"
                              "base_url = \"http://127.0.0.1:%d/v1\"\n",
                              net_addr_port(&addr));
    const Doc *doc;
    LlmConfig config;
    assert_int_equal(doc_parse(arena, toml, &(DocOptions){.format = DOC_FORMAT_TOML}, &doc, &e), 0);
    assert_int_equal(llm_config_read(arena, doc_get(doc, SLICE("llm")), &config, &e), 0);
    Asking a = {.arena = arena};
    assert_int_equal(loop_create(&(LoopOptions){0}, &a.critic.loop, &e), 0);
    FiberPool *pool = fiber_pool_create(a.critic.loop, &(FiberOptions){0});
    assert_int_equal(
        llm_client_create(&(LlmClientOptions){.loop = a.critic.loop, .config = &config},
                          &a.critic.client, &e),
        0);
    assert_non_null(fiber_spawn(pool, "critic", ask, &a));
    while (!a.done) {
        (void)loop_tick(a.critic.loop, NEVER_NS);
    }
    llm_client_destroy(a.critic.client);
    fiber_pool_destroy(pool);
    loop_destroy(a.critic.loop);
    fake_llm_stop(fake);
    return a;
}

static void test_the_answer_becomes_cases(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Asking a = asked(arena, SLICE("{\"proposals\":[{\"size\":500,\"seed\":3}]}"));
    assert_int_equal(a.rc, 0);
    int64_t sizes[] = {1000};
    Workload workload = {.run = SLICE("run {input}"), .inputs = {.sizes = sizes, .size_count = 1}};
    Steps steps = {.workloads = &workload, .workload_count = 1};
    CritiqueOptions options = {.steps = &steps};
    CritiqueCase cases[CRITIQUE_PROPOSED_MAX];
    size_t count = 0;
    assert_int_equal(critique_read_proposals(&options, a.answer, arena, cases, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(cases[0].size, 500);
    arena_destroy(arena);
}

static void test_an_answer_without_end_is_cut(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    for (size_t over = 0; over < 2; over++) {
        size_t len = CRITIQUE_ANSWER_BYTES_MAX + over;
        char *text = arena_alloc(arena, len);
        memset(text, 'x', len);
        Asking a = asked(arena, (Slice){text, len});
        assert_int_equal(a.rc, over ? ERR_LIMIT : 0);
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_becomes_cases),
        cmocka_unit_test(test_an_answer_without_end_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
