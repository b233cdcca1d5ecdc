// Environment variables that a plan's ${env.NAME} holes take, remembered so that what they held can
// be hidden again when the plan is shown: they often are secrets.
#ifndef CLI_PLAN_ENV_H
#define CLI_PLAN_ENV_H

#include "load/plan_parse.h"

enum { PLAN_ENV_MAX = 256 };

typedef struct PlanEnv {
    Arena *arena;
    Slice names[PLAN_ENV_MAX];
    Slice values[PLAN_ENV_MAX];
    size_t count;
} PlanEnv;

// Options for plan_read_file() that look into the process's environment. `env` outlives them.
PlanOptions plan_env_options(PlanEnv *env, Arena *arena);
// `text` with every remembered value written as ${env.NAME} again.
Slice plan_env_hide(const PlanEnv *env, Slice text);

#endif
