/* An agent in C, as a shared library that a configuration names:
 *
 *     cc -shared -fPIC -o libgreeter.so greeter.c $(pkg-config --cflags --libs perfwright)
 *     perfwright agent emit agents.toml greeter '"Ada"'
 *
 * It greets, counts whom it greeted in the session's state, and asks another agent for the title.
 */
#include <perfwright/agent.h>

#include <stdio.h>
#include <string.h>

int pw_agent_run(PwContext *ctx, const PwEvent *event, PwState *state);

int pw_agent_run(PwContext *ctx, const PwEvent *event, PwState *state)
{
    size_t length = 0;
    const char *name = pw_event_data(event, &length);
    if (length < 3 || name[0] != '"') {
        return pw_fail(ctx, PW_ERR_ARG, "send a name as JSON text, such as \"Ada\"");
    }
    int64_t count = pw_state_get_int(state, "greeted", 0) + 1;
    int rc = pw_state_set_int(state, "greeted", count);
    if (rc != 0) {
        return rc;
    }

    /* Another agent; this handler waits, others run meanwhile. */
    PwEventOptions question = PW_EVENT_OPTIONS_INIT;
    PwResult *result = NULL;
    question.target = "title";
    question.data = name;
    question.data_length = length;
    rc = pw_call(ctx, &question, state, &result, NULL);
    if (rc != 0) {
        rc = pw_fail(ctx, rc, "no title: %s", pw_result_reason(result));
        pw_result_destroy(result);
        return rc;
    }

    char answer[512];
    int n = snprintf(answer, sizeof answer, "{\"greeting\": %s, \"number\": %lld}",
                     pw_result_data(result, NULL), (long long)count);
    pw_result_destroy(result);
    return n > 0 && (size_t)n < sizeof answer ? pw_reply(ctx, answer, (size_t)n)
                                              : pw_fail(ctx, PW_ERR_LIMIT, "the name is too long");
}
