#include "config/config.h"

#include <assert.h>
#include <limits.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/units.h"

struct Config {
    Arena *arena;
    Slice project_file;
    ConfigValue values[CONFIG_KEYS];
    const Doc *user_tree;
};

static const char *const COLORS[] = {"auto", "always", "never", NULL};
static const char *const LEVELS[] = {"debug", "info", "warn", "error", "off", NULL};
static const char *const FORMATS[] = {"text", "json", NULL};

static const ConfigInfo KEYS[] = {
    [CONFIG_LEDGER] = {"ledger", CONFIG_PATH, NULL, "", "PERFWRIGHT_LEDGER",
                       "Database of runs; empty: in the user's data directory."},
    [CONFIG_ENVIRONMENT] = {"environment", CONFIG_TEXT, NULL, "", "PERFWRIGHT_ENVIRONMENT",
                            "Environment to use where a plan declares several."},
    [CONFIG_COLOR] = {"color", CONFIG_CHOICE, COLORS, "auto", "PERFWRIGHT_COLOR",
                      "Colours on the terminal."},
    [CONFIG_LOG_LEVEL] = {"log.level", CONFIG_CHOICE, LEVELS, "warn", "PERFWRIGHT_LOG_LEVEL",
                          "Log lines below this level are not written."},
    [CONFIG_LOG_FORMAT] = {"log.format", CONFIG_CHOICE, FORMATS, "text", "PERFWRIGHT_LOG_FORMAT",
                           "Log lines for people or for machines."},
    [CONFIG_SLO_AVAILABILITY] = {"slo.availability", CONFIG_SHARE, NULL, "0.99",
                                 "PERFWRIGHT_SLO_AVAILABILITY",
                                 "Share of requests that must succeed where no SLO says it."},
    [CONFIG_SLO_LATENCY_P50] = {"slo.latency_p50", CONFIG_DURATION, NULL, "0",
                                "PERFWRIGHT_SLO_LATENCY_P50",
                                "Median latency where no SLO says it; 0: none."},
    [CONFIG_SLO_LATENCY_P95] = {"slo.latency_p95", CONFIG_DURATION, NULL, "500ms",
                                "PERFWRIGHT_SLO_LATENCY_P95",
                                "95th percentile of latency where no SLO says it; 0: none."},
    [CONFIG_SLO_LATENCY_P99] = {"slo.latency_p99", CONFIG_DURATION, NULL, "0",
                                "PERFWRIGHT_SLO_LATENCY_P99",
                                "99th percentile of latency where no SLO says it; 0: none."},
};

_Static_assert(COUNT_OF(KEYS) == CONFIG_KEYS, "every key is declared");

const ConfigInfo *config_info(ConfigKey key)
{
    assert(key < CONFIG_KEYS);
    return &KEYS[key];
}

// ---- values

static int parse_choice(const ConfigInfo *info, Slice text, ConfigValue *value, Err *e)
{
    Buf all = buf_create(256);
    for (int i = 0; info->choices[i]; i++) {
        if (slice_eq_cstr(text, info->choices[i])) {
            value->integer = i;
            buf_done(&all);
            return 0;
        }
        buf_printf(&all, "%s%s",
                   i == 0                 ? ""
                   : info->choices[i + 1] ? ", "
                                          : " or ",
                   info->choices[i]);
    }
    int rc = err_set(e, ERR_ARG, "'%.*s' is not %s", SLICE_FMT(text), all.data);
    buf_done(&all);
    return rc;
}

static int parse_value(const ConfigInfo *info, Slice text, ConfigValue *value, Err *e)
{
    switch (info->kind) {
    case CONFIG_TEXT:
    case CONFIG_PATH: return 0;
    case CONFIG_CHOICE: return parse_choice(info, text, value, e);
    case CONFIG_SHARE:
        if (slice_to_f64(text, &value->real) != 0 || value->real < 0 || value->real > 1) {
            return err_set(e, ERR_ARG, "'%.*s' is not a number from 0 to 1", SLICE_FMT(text));
        }
        return 0;
    case CONFIG_DURATION: return duration_parse(text, 0, &value->integer, e);
    }
    return err_set(e, ERR_ARG, "unknown kind");
}

// Takes a value unless a higher layer has spoken already.
static int take(Config *config, ConfigKey key, Slice text, ConfigLayer layer, Slice origin, Err *e)
{
    ConfigValue value = {.layer = layer};
    int rc = parse_value(&KEYS[key], text, &value, e);
    if (rc == 0 && layer >= config->values[key].layer) {
        value.text = arena_copy(config->arena, text);
        value.origin = arena_copy(config->arena, origin);
        config->values[key] = value;
    }
    return rc;
}

static bool find_key(Slice name, ConfigKey *ret_key)
{
    for (ConfigKey key = 0; key < CONFIG_KEYS; key++) {
        if (slice_eq_cstr(name, KEYS[key].name)) {
            *ret_key = key;
            return true;
        }
    }
    return false;
}

static int unknown_name(Slice name, Err *e)
{
    Slice names[CONFIG_KEYS];
    for (ConfigKey key = 0; key < CONFIG_KEYS; key++) {
        names[key] = slice_from_cstr(KEYS[key].name);
    }
    Slice nearest = slice_nearest(name, names, CONFIG_KEYS);
    return err_set(e, ERR_ARG, "unknown setting '%.*s'%s%.*s%s", SLICE_FMT(name),
                   nearest.len > 0 ? "; did you mean '" : "", SLICE_FMT(nearest),
                   nearest.len > 0 ? "'?" : "");
}

// ---- files

typedef struct File {
    Config *config;
    ConfigLayer layer;
    Slice directory;
} File;

static int take_doc(const File *file, Slice name, const Doc *d, Err *e)
{
    ConfigKey key;
    Err why = {0};
    if (!find_key(name, &key)) {
        (void)unknown_name(name, &why);
        return doc_err_key(e, d, "%s", why.text);
    }
    const ConfigInfo *info = &KEYS[key];
    bool number = info->kind == CONFIG_SHARE;
    if (d->type != DOC_STRING && !(number && doc_is_number(d))) {
        return doc_err(e, d, "%s must be %s, not %s", info->name, number ? "a number" : "a string",
                       doc_type_name(d->type));
    }
    Arena *arena = file->config->arena;
    Slice text = d->text;
    if (memchr(text.ptr, '\0', text.len)) {
        return doc_err(e, d, "%s: a NUL character is not allowed", info->name);
    }
    if (info->kind == CONFIG_PATH && text.len > 0 && text.ptr[0] != '/') {
        text = arena_printf(arena, "%.*s/%.*s", SLICE_FMT(file->directory), SLICE_FMT(text));
    }
    Slice origin = arena_printf(arena, "%s:%d", d->source, d->line);
    if (take(file->config, key, text, file->layer, origin, &why) != 0) {
        return doc_err(e, d, "%s: %s", info->name, why.text);
    }
    return 0;
}

// Keys with a dot are members of a table: [slo] latency_p95.
static int take_table(const File *file, const Doc *table, Err *e)
{
    int rc = 0;
    for (const Doc *m = doc_first(table); m && rc == 0; m = doc_next(m)) {
        Slice name = arena_printf(file->config->arena, "%.*s.%.*s", SLICE_FMT(table->key),
                                  SLICE_FMT(m->key));
        rc = take_doc(file, name, m, e);
    }
    return rc;
}

// Tables that other rooms read, see config_user_tree.
static bool is_tree(Slice key)
{
    return slice_eq(key, SLICE("improve")) || slice_eq(key, SLICE("llm"));
}

static int refuse_tree(const Doc *table, Err *e)
{
    return doc_err_key(e, table,
                       "[%.*s] says which keys are used and where they are sent: it belongs into "
                       "the user's own file (config.toml), not into a project's",
                       SLICE_FMT(table->key));
}

static int read_file(Config *config, const char *path, ConfigLayer layer, Err *e)
{
    const Doc *doc;
    int rc = doc_read_file(config->arena, path, &(DocOptions){.format = DOC_FORMAT_TOML}, &doc, e);
    if (rc != 0) {
        return rc;
    }
    const char *slash = strrchr(path, '/');
    File file = {config, layer, slash ? (Slice){path, (size_t)(slash - path)} : SLICE(".")};
    for (const Doc *m = doc_first(doc); m && rc == 0; m = doc_next(m)) {
        if (is_tree(m->key)) {
            rc = layer == CONFIG_USER_FILE ? 0 : refuse_tree(m, e);
        } else {
            rc = m->type == DOC_OBJECT ? take_table(&file, m, e) : take_doc(&file, m->key, m, e);
        }
    }
    if (rc == 0 && layer == CONFIG_USER_FILE) {
        config->user_tree = doc;
    }
    return rc;
}

// The nearest file from `directory` upward.
static const char *find_project_file(Arena *arena, const char *directory)
{
    Slice at = slice_from_cstr(directory);
    while (at.len > 0 && at.ptr[0] == '/') {
        Slice path = arena_printf(arena, "%.*s/" CONFIG_FILE_NAME, SLICE_FMT(at));
        if (access(path.ptr, F_OK) == 0) {
            return path.ptr;
        }
        while (at.len > 0 && at.ptr[at.len - 1] != '/') {
            at.len--;
        }
        while (at.len > 1 && at.ptr[at.len - 1] == '/') {
            at.len--;
        }
        if (at.len == 1) {
            return access("/" CONFIG_FILE_NAME, F_OK) == 0 ? "/" CONFIG_FILE_NAME : NULL;
        }
    }
    return NULL;
}

// ---- all layers

static int read_environment(Config *config, char *(*get_env)(const char *name), Err *e)
{
    for (ConfigKey key = 0; key < CONFIG_KEYS; key++) {
        Slice text = slice_from_cstr(get_env(KEYS[key].env));
        if (text.len == 0) {
            continue; // set to nothing is not set, as for options
        }
        Slice origin = slice_from_cstr(KEYS[key].env);
        int rc = take(config, key, text, CONFIG_FROM_ENV, origin, e);
        if (rc != 0) {
            (void)err_wrap(e, "%s", KEYS[key].env);
            return ERR_ARG;
        }
    }
    // https://no-color.org: any value that is not empty.
    const char *no_color = get_env("NO_COLOR");
    if (no_color && no_color[0] && config->values[CONFIG_COLOR].layer < CONFIG_FROM_ENV) {
        return take(config, CONFIG_COLOR, SLICE("never"), CONFIG_FROM_ENV, SLICE("NO_COLOR"), e);
    }
    return 0;
}

int config_load(Arena *arena, const ConfigOptions *options, Config **ret_config, Err *e)
{
    Config *config = ARENA_NEW(arena, Config);
    config->arena = arena;
    int rc = 0;
    for (ConfigKey key = 0; key < CONFIG_KEYS && rc == 0; key++) {
        rc = take(config, key, slice_from_cstr(KEYS[key].initial), CONFIG_BUILT_IN,
                  SLICE("built in"), e);
    }
    if (rc == 0 && options->user_file && access(options->user_file, F_OK) == 0) {
        rc = read_file(config, options->user_file, CONFIG_USER_FILE, e);
    }
    const char *project = options->directory ? find_project_file(arena, options->directory) : NULL;
    if (rc == 0 && project) {
        config->project_file = slice_from_cstr(project);
        rc = read_file(config, project, CONFIG_PROJECT_FILE, e);
    }
    if (rc == 0 && options->get_env) {
        rc = read_environment(config, options->get_env, e);
    }
    if (rc == 0) {
        *ret_config = config;
    }
    return rc;
}

int config_set(Config *config, Slice name, Slice text, Slice flag, Err *e)
{
    ConfigKey key;
    if (!find_key(name, &key)) {
        return unknown_name(name, e);
    }
    int rc = take(config, key, text, CONFIG_FROM_FLAG, flag, e);
    if (rc != 0) {
        (void)err_wrap(e, "%.*s", SLICE_FMT(flag));
        return ERR_ARG;
    }
    return 0;
}

const ConfigValue *config_get(const Config *config, ConfigKey key)
{
    assert(key < CONFIG_KEYS);
    return &config->values[key];
}

const Doc *config_user_tree(const Config *config)
{
    return config->user_tree;
}

Slice config_project_file(const Config *config)
{
    return config->project_file;
}

void config_print(const Config *config, Buf *out)
{
    for (ConfigKey key = 0; key < CONFIG_KEYS; key++) {
        const ConfigValue *v = &config->values[key];
        buf_printf(out, "%s = %.*s  # %.*s\n", KEYS[key].name, SLICE_FMT(v->text),
                   SLICE_FMT(v->origin));
    }
}
