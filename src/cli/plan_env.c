#include "cli/plan_env.h"

#include <stdlib.h>

static bool look_up(void *ctx, Slice name, Slice *ret_value)
{
    PlanEnv *env = ctx;
    const char *value = getenv(arena_cstr(env->arena, name));
    if (!value) {
        return false;
    }
    *ret_value = slice_from_cstr(value);
    for (size_t i = 0; i < env->count; i++) {
        if (slice_eq(env->names[i], name)) {
            return true;
        }
    }
    if (env->count == PLAN_ENV_MAX) {
        return false; // what could not be hidden is not given
    }
    env->names[env->count] = arena_copy(env->arena, name);
    env->values[env->count++] = *ret_value;
    return true;
}

PlanOptions plan_env_options(PlanEnv *env, Arena *arena)
{
    *env = (PlanEnv){.arena = arena};
    return (PlanOptions){.env = look_up, .env_ctx = env};
}

static Slice hide_one(Arena *arena, Slice text, Slice name, Slice value)
{
    Buf out = buf_create(text.len * (name.len + 8) + 16);
    ptrdiff_t at;
    while (value.len > 0 && (at = slice_find(text, value)) >= 0) {
        buf_append(&out, slice_sub(text, 0, (size_t)at));
        buf_printf(&out, "${env.%.*s}", SLICE_FMT(name));
        text = slice_sub(text, (size_t)at + value.len, text.len);
    }
    buf_append(&out, text);
    Slice hidden = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return hidden;
}

Slice plan_env_hide(const PlanEnv *env, Slice text)
{
    for (size_t i = 0; i < env->count; i++) {
        text = hide_one(env->arena, text, env->names[i], env->values[i]);
    }
    return text;
}
