#include "cli/agentcli.h"

#include <string.h>

typedef struct Translation {
    const char *theirs;
    const char *ours[2]; // the verb's words; NULL: there is none
    const char *words;   // why not, and what to do
} Translation;

// AgentFlow's commands; those that only its guide has, benchmark and loadtest, are here too.
static const Translation TABLE[] = {
    {"benchmark", {"benchmark", NULL}, NULL},
    {"loadtest", {"loadtest", NULL}, NULL},
    {"trace", {"trace", NULL}, NULL},
    {"cache", {"cache", NULL}, NULL},
    {"mcp", {"mcp", NULL}, NULL},
    {"list", {"agent", "list"}, NULL},
    {"validate", {"agent", "validate"}, NULL},
    {"run", {"agent", "run"}, NULL},
    {"completion", {"completion", NULL}, NULL},
    {"version", {"version", NULL}, NULL},
    {"help", {"help", NULL}, NULL},
    {"--help", {"help", NULL}, NULL},
    {"-h", {"help", NULL}, NULL},
    {"--version", {"version", NULL}, NULL},
    {"config", {"agent", "keys"}, NULL},
    {"create", {NULL, NULL}, "write an agents.toml: `perfwright agent keys` prints every key"},
    {"template", {NULL, NULL}, "there are examples in examples/agent_c and examples/agent_js"},
    {"memory", {NULL, NULL}, "`agentcli cache list` shows what agents keep"},
    {"knowledge", {NULL, NULL}, "a knowledge base belongs behind an MCP server ([mcp.servers])"},
};

bool agentcli_is(const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL;
    return program && strcmp(slash ? slash + 1 : program, "agentcli") == 0;
}

// `loadtest --script` is k6's; the other options are ours by the same names.
static int check_loadtest(const char *const *args, size_t count, Err *e)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(args[i], "--script") == 0 || strncmp(args[i], "--script=", 9) == 0) {
            return err_set(e, ERR_UNSUPPORTED,
                           "k6 scripts come later; --vus, --stages and --duration work with --url "
                           "URL, or with a plan (perfwright plan create)");
        }
    }
    return 0;
}

int agentcli_translate(Arena *arena, const char *const *args, size_t count,
                       const char *const **ret_args, size_t *ret_count, Err *e)
{
    if (count == 0) {
        *ret_args = args;
        *ret_count = 0;
        return 0;
    }
    const Translation *found = NULL;
    Slice names[COUNT_OF(TABLE)];
    for (size_t i = 0; i < COUNT_OF(TABLE); i++) {
        names[i] = slice_from_cstr(TABLE[i].theirs);
        found = strcmp(args[0], TABLE[i].theirs) == 0 ? &TABLE[i] : found;
    }
    if (!found) {
        Slice nearest = slice_nearest(slice_from_cstr(args[0]), names, COUNT_OF(names));
        return err_set(e, ERR_ARG, "there is no command \"%s\"%s%.*s%s", args[0],
                       nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                       nearest.len ? "\"?" : "");
    }
    if (!found->ours[0]) {
        return err_set(e, ERR_UNSUPPORTED, "%s: %s", found->theirs, found->words);
    }
    int rc = strcmp(found->theirs, "loadtest") == 0 ? check_loadtest(args + 1, count - 1, e) : 0;
    if (rc != 0) {
        return rc;
    }
    const char **ours = ARENA_ARRAY(arena, const char *, count + 1);
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(found->ours) && found->ours[i]; i++) {
        ours[n++] = found->ours[i];
    }
    for (size_t i = 1; i < count; i++) {
        ours[n++] = args[i];
    }
    *ret_args = ours;
    *ret_count = n;
    return 0;
}
