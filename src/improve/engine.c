#include "improve/engine.h"

const char *const ENGINE_NAMES[ENGINE_KINDS + 1] = {
    "claude", "codex", "copilot", "gemini", "opencode", "llm", "cmd", "patch", NULL};
const char *const ENGINE_STATUS_NAMES[ENGINE_STATUSES + 1] = {
    "edited", "empty", "crashed", "timed out", "over budget", "refused", NULL};

int engine_parse(Arena *arena, Slice text, EngineChoice *ret_choice, Err *e)
{
    Slice name, argument, names[ENGINE_KINDS];
    bool has_argument = slice_cut(text, ':', &name, &argument);
    for (EngineKind kind = 0; kind < ENGINE_KINDS; kind++) {
        names[kind] = slice_from_cstr(ENGINE_NAMES[kind]);
        if (!slice_eq(name, names[kind])) {
            continue;
        }
        bool wants = kind == ENGINE_CMD || kind == ENGINE_PATCH;
        if (wants && slice_trim(argument).len == 0) {
            return err_set(e, ERR_ARG, "%s: wants what to %s behind it: %s:%s", ENGINE_NAMES[kind],
                           kind == ENGINE_CMD ? "run" : "apply", ENGINE_NAMES[kind],
                           kind == ENGINE_CMD ? "./fix.sh" : "fix.diff");
        }
        if (!wants && has_argument) {
            return err_set(e, ERR_ARG, "%s takes nothing behind it", ENGINE_NAMES[kind]);
        }
        *ret_choice = (EngineChoice){kind, arena_copy(arena, argument)};
        return 0;
    }
    Slice nearest = slice_nearest(name, names, ENGINE_KINDS);
    return err_set(e, ERR_ARG, "there is no engine '%.*s'%s%.*s%s", SLICE_FMT(name),
                   nearest.len > 0 ? "; did you mean '" : "", SLICE_FMT(nearest),
                   nearest.len > 0 ? "'?"
                                   : ": claude, codex, copilot, gemini, opencode, llm, "
                                     "cmd:PROGRAM or patch:FILE");
}
