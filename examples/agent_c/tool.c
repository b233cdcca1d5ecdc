/* A tool in C, as a shared library that a configuration names:
 *
 *     [tools.add]
 *     library = "./libadd.so"
 *     description = "Adds two whole numbers"
 *     schema = { type = "object", properties = { a = { type = "integer" }, b = { type = "integer" }
 * }, required = ["a", "b"] }
 *
 * The arguments fit the schema, so a scan for the two members is enough here. */
#include <perfwright/agent.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pw_tool_call(PwToolCall *call, PwError *error);

static long long member(const char *json, const char *key)
{
    const char *at = strstr(json, key);
    const char *colon = at ? strchr(at, ':') : NULL;
    return colon ? strtoll(colon + 1, NULL, 10) : 0;
}

int pw_tool_call(PwToolCall *call, PwError *error)
{
    const char *args = pw_tool_args(call, NULL);
    long long a = member(args, "\"a\""), b = member(args, "\"b\"");
    char answer[64];
    int length = snprintf(answer, sizeof answer, "{\"sum\":%lld}", a + b);
    return length > 0 ? pw_tool_return(call, answer, (size_t)length, error)
                      : pw_tool_fail(error, PW_ERR_LIMIT, "the sum is too long");
}
