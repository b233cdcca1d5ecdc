// Talking to agents that run (`perfwright agent run`), for the verbs that ask about them.
#ifndef CLI_AGENT_CLIENT_H
#define CLI_AGENT_CLIENT_H

#include "agent/assembly.h"
#include "cli/app.h"
#include "net/addr.h"

#define OPTION_AGENT_URL                                                                           \
    {                                                                                              \
        .name = "url", .kind = OPTION_STRING, .metavar = "URL",                                    \
        .default_text = "http://127.0.0.1:8085", .env = "PERFWRIGHT_AGENT_URL",                    \
        .help = "Where `perfwright agent run` listens."                                            \
    }

// Reads the configuration and makes its agents. `serving` opens the ports it asks for.
MUST_USE int cli_assemble(App *app, const char *path, bool serving, Assembly **ret_assembly,
                          Err *e);
// "127.0.0.1:8085".
MUST_USE int cli_listen_addr(Slice text, NetAddr *ret_addr, Err *e);
// The answer to a request, a JSON document in app->arena. Anything but 2xx is an error with the
// answer's own reason.
MUST_USE int cli_agent_request(App *app, const char *method, Slice url, const Doc **ret_answer,
                               Err *e);

#endif
