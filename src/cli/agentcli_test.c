#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/agentcli.h"

static void test_program_names(void **state)
{
    (void)state;
    assert_true(agentcli_is("agentcli"));
    assert_true(agentcli_is("/usr/bin/agentcli"));
    assert_false(agentcli_is("perfwright"));
    assert_false(agentcli_is("/usr/agentcli/perfwright"));
    assert_false(agentcli_is(NULL));
}

static const struct Case {
    const char *theirs; // words parted by a blank
    const char *ours;   // NULL: refused
    const char *words;
} CASES[] = {
    // The tuning guide's command lines.
    {"benchmark --duration 60s --concurrent-users 10",
     "benchmark --duration 60s --concurrent-users 10", NULL},
    {"benchmark --agent myagent --requests 1000", "benchmark --agent myagent --requests 1000",
     NULL},
    {"benchmark --profile memory --output profile.mem",
     "benchmark --profile memory --output profile.mem", NULL},
    {"loadtest --script loadtest.js --duration 5m --vus 100", NULL, "k6 scripts come later"},
    {"loadtest --script=stress.js", NULL, "k6 scripts come later"},
    {"loadtest --url http://127.0.0.1:1/ --stages 5m:100,10m:500,5m:100",
     "loadtest --url http://127.0.0.1:1/ --stages 5m:100,10m:500,5m:100", NULL},
    // AgentFlow's own.
    {"trace s1", "trace s1", NULL},
    {"cache stats", "cache stats", NULL},
    {"list agents.toml", "agent list agents.toml", NULL},
    {"validate agents.toml", "agent validate agents.toml", NULL},
    {"--version", "version", NULL},
    {"knowledge upload x", NULL, "MCP server"},
    {"benchmrk", NULL, "did you mean \"benchmark\"?"},
};

static void test_command_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Arena *arena = arena_create(1 << 20);
        char text[256];
        (void)snprintf(text, sizeof text, "%s", CASES[i].theirs);
        const char *args[16], *const *ours = NULL;
        size_t count = 0, ours_count = 0;
        for (char *rest = text, *word; (word = strsep(&rest, " "));) {
            args[count++] = word;
        }
        Err e = {0};
        int rc = agentcli_translate(arena, args, count, &ours, &ours_count, &e);
        if (!CASES[i].ours) {
            assert_true(rc < 0);
            if (!strstr(e.text, CASES[i].words)) {
                fail_msg("%s: \"%s\"", CASES[i].theirs, e.text);
            }
        } else {
            char joined[256] = "";
            assert_int_equal(rc, 0);
            for (size_t k = 0, at = 0; k < ours_count; k++) {
                at += (size_t)snprintf(joined + at, sizeof joined - at, "%s%s", k ? " " : "",
                                       ours[k]);
            }
            assert_string_equal(joined, CASES[i].ours);
        }
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program_names),
        cmocka_unit_test(test_command_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
