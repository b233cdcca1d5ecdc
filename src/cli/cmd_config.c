// config show: every setting, its value, and where the value comes from.
#include "cli/commands.h"

#include "base/json_write.h"

static void put_value(JsonWriter *w, const ConfigInfo *info, const ConfigValue *value)
{
    json_key(w, SLICE("value"));
    switch (info->kind) {
    case CONFIG_SHARE: json_double(w, value->real); break;
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_CHOICE:
    case CONFIG_DURATION: json_string(w, value->text); break;
    }
}

static void print_json(App *app)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "projectFile", config_project_file(app->config));
    json_key(&w, SLICE("settings"));
    json_array_begin(&w);
    for (int key = 0; key < CONFIG_KEYS; key++) {
        const ConfigInfo *info = config_info((ConfigKey)key);
        const ConfigValue *value = config_get(app->config, (ConfigKey)key);
        json_object_begin(&w);
        json_field_cstr(&w, "name", info->name);
        put_value(&w, info, value);
        json_field_string(&w, "origin", value->origin);
        json_field_cstr(&w, "variable", info->env);
        json_field_cstr(&w, "help", info->help);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static int run_config_show(App *app, const OptionSet *set, Err *e)
{
    (void)e;
    if (option_flag(set, "json")) {
        print_json(app);
    } else {
        config_print(app->config, &app->out);
    }
    return EXIT_PASS;
}

static const Option SHOW_OPTIONS[] = {OPTION_JSON};
static const Verb VERB_SHOW = {
    .name = "config show",
    .summary = "print every setting and where its value comes from",
    .description = "Command line beats environment beats the project's perfwright.toml beats the "
                   "user's config.toml beats what is built in.",
    OPTION_TABLE(SHOW_OPTIONS)};
const Command CMD_CONFIG_SHOW = {&VERB_SHOW, run_config_show, false};
