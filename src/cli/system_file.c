#include "cli/system_file.h"

int cli_load_system(App *app, const OptionSet *set, System **ret_system, Err *e)
{
    Slice path = option_positional(set, 0);
    int rc = system_load(app->arena, arena_cstr(app->arena, path), ret_system, e);
    if (rc != 0) {
        return rc;
    }
    SystemChange changes[SYSTEM_CHANGES_MAX];
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "set"); v; v = v->next) {
        if (count == SYSTEM_CHANGES_MAX) {
            return err_set(e, ERR_LIMIT, "--set can be given %d times", SYSTEM_CHANGES_MAX);
        }
        rc = system_parse_change(*ret_system, v->text, &changes[count++], e);
        if (rc != 0) {
            return rc;
        }
    }
    return system_set_all(*ret_system, changes, count, e);
}

void cli_print_policies(const ParamValue *values, Buf *out)
{
    ParamValue defaults[POLICY_PARAM_COUNT];
    policy_defaults(defaults);
    const char *between = "";
    for (uint16_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        if (system_number(i, values[i]) != system_number(i, defaults[i])) {
            size_t index = 0;
            const ParamTable *owner = policy_owner((PolicyParamId)i, &index);
            buf_printf(out, "%s%s.%s=", between, owner->owner, POLICY_PARAMS[i].name);
            param_format(&POLICY_PARAMS[i], values[i], out);
            between = " ";
        }
    }
}
