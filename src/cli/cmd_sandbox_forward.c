// sandbox-forward SOCKET NAME=VALUE... -- COMMAND...: the inner end of the engines' broker, run by
// perfwright itself inside of a sandbox. It is not for people, so it is no verb that help lists.
#include "cli/commands.h"

#include "improve/forward.h"

int sandbox_forward(App *app, const char *const *args, size_t count)
{
    size_t sets = 0;
    while (sets + 1 < count && strcmp(args[sets + 1], "--") != 0) {
        sets++;
    }
    if (count < sets + 3 || sets > FORWARD_SETS_MAX) {
        (void)fputs("perfwright sandbox-forward: this is how a sandbox reaches its broker; run "
                    "`perfwright improve attempt` instead\n",
                    stderr);
        return EXIT_USAGE;
    }
    const char **names = ARENA_ARRAY(app->arena, const char *, sets + 1);
    for (size_t i = 0; i < sets; i++) {
        names[i] = args[i + 1];
    }
    Err e = {0};
    // args ends where argv does, with NULL.
    ForwardOptions options = {.socket = args[0], .sets = names, .argv = args + sets + 2};
    int rc = forward_run(&options, app->arena, &e);
    (void)fprintf(stderr, "perfwright sandbox-forward: %s\n", e.text);
    return (int)exit_code_of(rc);
}
