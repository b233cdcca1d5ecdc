// The verbs, each defined in a cmd_*.c and listed in commands.c.
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/app.h"

extern const Command CMD_AGENT_EMIT;
extern const Command CMD_AGENT_KEYS;
extern const Command CMD_AGENT_LIST;
extern const Command CMD_AGENT_RUN;
extern const Command CMD_AGENT_SHOW;
extern const Command CMD_AGENT_VALIDATE;
extern const Command CMD_ANALYSE;
extern const Command CMD_BASELINE_EXPORT;
extern const Command CMD_BASELINE_IMPORT;
extern const Command CMD_BASELINE_LIST;
extern const Command CMD_BASELINE_PIN;
extern const Command CMD_BASELINE_SHOW;
extern const Command CMD_BASELINE_UNPIN;
extern const Command CMD_BENCHMARK;
extern const Command CMD_BENCHMARK_COMPARE;
extern const Command CMD_BENCHMARK_IMPORT;
extern const Command CMD_CACHE_CLEAR;
extern const Command CMD_CACHE_INVALIDATE;
extern const Command CMD_CACHE_LIST;
extern const Command CMD_CACHE_STATS;
extern const Command CMD_COMPARE;
extern const Command CMD_COMPLETION;
extern const Command CMD_CONFIG_SHOW;
extern const Command CMD_COORDINATE_ACCEPT;
extern const Command CMD_COORDINATE_HISTORY;
extern const Command CMD_COORDINATE_PROPOSE;
extern const Command CMD_COORDINATE_REJECT;
extern const Command CMD_COORDINATE_ROLLBACK;
extern const Command CMD_COORDINATE_RUN;
extern const Command CMD_DOCTOR;
extern const Command CMD_DOCTOR_NOISE;
extern const Command CMD_EXECUTE;
extern const Command CMD_FAKE_LLM;
extern const Command CMD_GATE;
extern const Command CMD_IMPROVE;
extern const Command CMD_IMPROVE_VERIFY;
extern const Command CMD_IMPROVE_APPROVE;
extern const Command CMD_IMPROVE_ATTEMPT;
extern const Command CMD_IMPROVE_INSTALL;
extern const Command CMD_IMPROVE_MEMORY;
extern const Command CMD_IMPROVE_OUTBOX;
extern const Command CMD_IMPROVE_OUTCOMES;
extern const Command CMD_IMPROVE_PR;
extern const Command CMD_IMPROVE_RESEARCH;
extern const Command CMD_IMPROVE_STATUS;
extern const Command CMD_IMPROVE_CONFIGURE;
extern const Command CMD_IMPROVE_TRIAL;
extern const Command CMD_LEDGER_HEAD;
extern const Command CMD_LEDGER_PATH;
extern const Command CMD_LEDGER_PRUNE;
extern const Command CMD_LEDGER_REBUILD;
extern const Command CMD_LEDGER_VERIFY;
extern const Command CMD_LLM_COST;
extern const Command CMD_LLM_TEST;
extern const Command CMD_LOADTEST;
extern const Command CMD_MAN;
extern const Command CMD_MCP_HEALTH;
extern const Command CMD_MCP_INFO;
extern const Command CMD_MCP_SERVERS;
extern const Command CMD_MCP_TEST;
extern const Command CMD_MCP_TOOLS;
extern const Command CMD_PLAN_CREATE;
extern const Command CMD_PLAN_SHOW;
extern const Command CMD_PLAN_VALIDATE;
extern const Command CMD_REPORT;
extern const Command CMD_RUN_EXPORT;
extern const Command CMD_RUN_IMPORT;
extern const Command CMD_RUN_LIST;
extern const Command CMD_RUN_SHOW;
extern const Command CMD_SIMULATE;
extern const Command CMD_SLO_EVAL;
extern const Command CMD_SLO_VALIDATE;
extern const Command CMD_INTERFACE_FIT;
extern const Command CMD_INTERFACE_QUERY;
extern const Command CMD_INTERFACE_SHOW;
extern const Command CMD_INTERFACE_VALIDATE;
extern const Command CMD_SYSTEM_RUN;
extern const Command CMD_SYSTEM_SHOW;
extern const Command CMD_SYSTEM_WATCH;
extern const Command CMD_TRACE;
extern const Command CMD_VERSION;

// No verb: what perfwright runs of itself in an engine's sandbox. Returns only when it failed.
int sandbox_forward(App *app, const char *const *args, size_t count);

#endif
