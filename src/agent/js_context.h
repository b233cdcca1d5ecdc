// What a JavaScript agent's host functions share; private to this room.
#ifndef AGENT_JS_CONTEXT_H
#define AGENT_JS_CONTEXT_H

#include "agent/js_program.h"

// One activation: what script_host returns.
typedef struct JsRun {
    AgentContext *ctx;
    State *state;
    const JsOptions *options;
} JsRun;

extern const ScriptModule js_state_module; // the second argument
extern const ScriptModule js_ctx_module;   // the third

#endif
