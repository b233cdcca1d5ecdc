#include "improve/engine_settings.h"

#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20 };

#define GIB (1024.0 * 1024 * 1024)
#define MIB (INT64_C(1) << 20)

// clang-format off
static const Field FIELDS[] = {
    TEXT_FIELD(EngineSettings, engine, "engine", FIELD_TEXT,
               "Who writes patches: claude, codex, copilot, gemini, opencode, llm, cmd:PROGRAM."),
    TEXT_FIELD(EngineSettings, model, "model", FIELD_TEXT,
               "Model to ask for; without it the engine's own choice, or the provider's."),
    TEXT_FIELD(EngineSettings, provider, "provider", FIELD_TEXT,
               "Section of [llm] that engines may reach, through a broker with its key."),
    BOOL_FIELD(EngineSettings, network, "network", false,
               "Give the engine the whole network: then the variables of `env` go with it."),
    TEXT_FIELD(EngineSettings, env, "env", FIELD_NAMES,
               "Variables of yours for engines without a broker: `[\"OPENAI_API_KEY\"]`."),
    TEXT_FIELD(EngineSettings, args, "args", FIELD_WORDS,
               "More words for the engine's command line."),
    TIME_FIELD(EngineSettings, time_ns, "time", NS_PER_SECOND, NS_PER_DAY, 20 * NS_PER_MINUTE,
               "Time of one run of the engine."),
    INT_FIELD(EngineSettings, tokens, "tokens", 0, 1e12, 2000000,
              "Tokens of one run, in and out; 0: no limit."),
    REAL_FIELD(EngineSettings, cost_usd, "cost", 0, 1e6, 0,
               "Money of one run in USD; 0: no limit. Needs a price in [llm.prices]."),
    INT_FIELD(EngineSettings, turns, "turns", 1, 1e5, 100, "Turns of one run of llm and claude."),
    INT_FIELD(EngineSettings, requests, "requests", 1, 1e6, 1000,
              "Requests of one run that the broker lets through."),
    SIZE_FIELD(EngineSettings, output_bytes, "output", MIB, 1024 * GIB, 256 * MIB,
               "Output of a program before it is stopped."),
    SIZE_FIELD(EngineSettings, memory_bytes, "memory", 64 * MIB, 1024 * GIB, 4096 * MIB,
               "Memory of the engine's sandbox."),
    SIZE_FIELD(EngineSettings, disk_bytes, "disk", 16 * MIB, 1024 * GIB, 4096 * MIB,
               "By how much the engine may grow what it can write to."),
    INT_FIELD(EngineSettings, processes, "processes", 8, 1e5, 1000,
              "Processes of the engine's sandbox."),
};
// clang-format on
static const FieldTable TABLE = {"improve", FIELDS, COUNT_OF(FIELDS)};

// A name that env(1) would take; anything else is a mistake that would be silently without effect.
static bool is_variable(Slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len > 0;
}

static int check(const EngineSettings *s, const Doc *table, Err *e)
{
    for (size_t i = 0; i < s->env.count; i++) {
        if (!is_variable(s->env.items[i])) {
            return doc_err(e, s->env.doc,
                           "'%.*s' is no name of a variable; the value stays in "
                           "your environment",
                           SLICE_FMT(s->env.items[i]));
        }
    }
    size_t index;
    Err why = {0};
    if (s->provider.len > 0 && engine_settings_provider(s, &index, &why) != 0) {
        const Doc *at = doc_get(table, SLICE("provider"));
        return doc_err(e, at ? at : table, "%s", why.text);
    }
    return 0;
}

int engine_settings_read(Arena *arena, const Doc *doc, EngineSettings *ret_settings, Err *e)
{
    EngineSettings s = {0};
    const Doc *table = doc ? doc_get(doc, SLICE("improve")) : NULL;
    const Doc *llm = doc ? doc_get(doc, SLICE("llm")) : NULL;
    fields_init(&TABLE, &s);
    int rc = table ? doc_expect(table, DOC_OBJECT, "improve", e) : 0;
    if (rc == 0) {
        rc = fields_read(arena, &TABLE, table, &s, e);
    }
    if (rc == 0) {
        rc = llm_config_read(arena, llm, &s.llm, e);
    }
    s.has_llm = llm != NULL;
    if (rc == 0 && table) {
        rc = check(&s, table, e);
    }
    if (rc == 0) {
        *ret_settings = s;
    }
    return rc;
}

int engine_settings_load(Arena *arena, const char *path, bool optional,
                         EngineSettings *ret_settings, Err *e)
{
    const Doc *doc = NULL;
    if (path && !(optional && access(path, F_OK) != 0)) {
        DocOptions options = {.format = DOC_FORMAT_TOML, .max_bytes = FILE_BYTES_MAX};
        int rc = doc_read_file(arena, path, &options, &doc, e);
        if (rc != 0) {
            return rc;
        }
    }
    return engine_settings_read(arena, doc, ret_settings, e);
}

void engine_settings_keys(Buf *out)
{
    buf_puts(out, "### [improve]\n\n| key | default | |\n|---|---|---|\n");
    for (size_t i = 0; i < TABLE.count; i++) {
        const Field *field = &TABLE.fields[i];
        buf_printf(out, "| `%s` | ", field->param.name);
        if (field->kind == FIELD_NUMBER) {
            buf_putc(out, '`');
            param_format(&field->param, field->param.initial, out);
            buf_putc(out, '`');
        }
        buf_printf(out, " | %s |\n", field->param.help);
    }
}

int engine_settings_provider(const EngineSettings *s, size_t *ret_index, Err *e)
{
    if (s->provider.len == 0) {
        return err_set(e, ERR_ARG,
                       "no provider is configured: set `provider` in [improve] to the "
                       "name of a section of [llm]");
    }
    for (size_t i = 0; i < s->llm.provider_count; i++) {
        if (slice_eq(s->llm.providers[i].name, s->provider)) {
            *ret_index = i;
            return 0;
        }
    }
    return err_set(e, ERR_ARG, "there is no section [llm.%.*s]", SLICE_FMT(s->provider));
}

int64_t engine_settings_cost_nano(const EngineSettings *s)
{
    return (int64_t)(s->cost_usd * 1e9);
}
