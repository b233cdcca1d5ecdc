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
