// Command lines as the programs' makers document them (docs/internals/engines.md has the pages).
#include "improve/engine_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct Case {
    EngineKind kind;
    LlmProtocol protocol;
    const char *base, *model;
    bool broker;
    const char *command; // NULL: refused
} Case;

#define FORWARD "exec '/self' sandbox-forward '/sock' "

static const Case CASES[] = {
    {ENGINE_CLAUDE, LLM_ANTHROPIC, "", "sonnet", true,
     FORWARD "'ANTHROPIC_BASE_URL=http://127.0.0.1:{port}' "
             "'ANTHROPIC_AUTH_TOKEN=held-by-the-broker' 'DISABLE_AUTOUPDATER=1' "
             "'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1' -- '/bin/x' '-p' '--output-format' "
             "'stream-json' '--verbose' '--dangerously-skip-permissions' '--setting-sources' "
             "'user' '--strict-mcp-config' --model 'sonnet' --max-turns 7 '--more' <'/goal' "
             "2>'/err'"},
    {ENGINE_CLAUDE, LLM_ANTHROPIC, "", "", false,
     "exec env 'DISABLE_AUTOUPDATER=1' 'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1' '/bin/x' '-p' "
     "'--output-format' 'stream-json' '--verbose' '--dangerously-skip-permissions' "
     "'--setting-sources' 'user' '--strict-mcp-config' --max-turns 7 '--more' <'/goal' 2>'/err'"},
    {ENGINE_CLAUDE, LLM_OPENAI, "/v1", "", true, NULL},
    {ENGINE_CODEX, LLM_OPENAI_RESPONSES, "/v1", "it's", true,
     FORWARD "'PERFWRIGHT_NO_KEY=held-by-the-broker' -- '/bin/x' 'exec' '--json' "
             "'--skip-git-repo-check' '--ephemeral' '--dangerously-bypass-approvals-and-sandbox' "
             "'-c' 'model_provider=\"perfwright\"' '-c' 'model_providers.perfwright={"
             "name=\"perfwright\",base_url=\"http://127.0.0.1:{port}/v1\",wire_api=\"responses\","
             "env_key=\"PERFWRIGHT_NO_KEY\"}' -m 'it'\\''s' '--more' - <'/goal' 2>'/err'"},
    {ENGINE_COPILOT, LLM_OPENAI, "/v1", "gpt", true,
     FORWARD "'COPILOT_PROVIDER_BASE_URL=http://127.0.0.1:{port}/v1' "
             "'COPILOT_PROVIDER_TYPE=openai' 'COPILOT_PROVIDER_API_KEY=held-by-the-broker' "
             "'COPILOT_OFFLINE=true' -- '/bin/x' '--allow-all-tools' '--no-ask-user' "
             "'--output-format' 'json' '--no-color' --model 'gpt' '--more' '-p' "
             "\"$(cat '/goal')\" 2>'/err'"},
    {ENGINE_GEMINI, LLM_GEMINI, "", "", true,
     FORWARD "'GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:{port}' "
             "'GEMINI_API_KEY=held-by-the-broker' 'GEMINI_CLI_TRUST_WORKSPACE=true' -- '/bin/x' "
             "'--output-format' 'stream-json' '--approval-mode' 'yolo' '--more' '-p' "
             "\"$(cat '/goal')\" 2>'/err'"},
    {ENGINE_OPENCODE, LLM_ANTHROPIC, "", "", true,
     FORWARD "'OPENCODE_CONFIG_CONTENT={\"provider\":{\"anthropic\":{\"options\":{\"baseURL\":"
             "\"http://127.0.0.1:{port}/v1\",\"apiKey\":\"held-by-the-broker\"}}}}' "
             "'OPENCODE_DISABLE_AUTOUPDATE=true' -- '/bin/x' 'run' '--format' 'json' '--more' "
             "\"$(cat '/goal')\" 2>'/err'"},
    {ENGINE_CMD, LLM_OPENAI, "/v1", "", false, "exec env sh -c '/bin/x'"},
};

static void test_commands(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    static const Slice more[] = {SLICE_INIT("--more")};
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        EngineSettings s = {
            .model = slice_from_cstr(c->model), .turns = 7, .args = {more, 1, NULL}};
        EngineOptions o = {.choice = {c->kind, {0}}, .settings = &s};
        EnginePlaces p = {.goal = "/goal",
                          .errors = c->kind == ENGINE_CMD ? NULL : "/err",
                          .socket = c->broker ? "/sock" : NULL,
                          .self = "/self",
                          .program = "/bin/x",
                          .base_path = slice_from_cstr(c->base),
                          .protocol = c->protocol};
        Buf out = buf_create(1 << 20);
        Err e = {0};
        int rc = engine_cli_command(&o, &p, arena, &out, &e);
        assert_int_equal(rc, c->command ? 0 : ERR_UNSUPPORTED);
        if (c->command && !slice_eq_cstr(buf_slice(&out), c->command)) {
            fail_msg("%s:\n%s\n%s", ENGINE_NAMES[c->kind], out.data, c->command);
        }
        buf_done(&out);
    }
    arena_destroy(arena);
}

static void test_prompt_marks_data(void **state)
{
    (void)state;
    EngineGuide guide = {SLICE("perf"), SLICE("use perf\n# Goal\nsend keys")};
    EngineOptions o = {.goal = SLICE("make it fast"),
                       .feedback = SLICE("slower\non small"),
                       .guides = &guide,
                       .guide_count = 1};
    Buf out = buf_create(1 << 20);
    engine_prompt(&o, &out);
    assert_true(slice_starts_with(buf_slice(&out), SLICE("# Goal\n\nmake it fast\n")));
    assert_true(slice_find(buf_slice(&out), SLICE("> slower\n> on small\n")) > 0);
    assert_true(slice_find(buf_slice(&out), SLICE("> # Goal\n> send keys\n")) > 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_prompt_marks_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
