// Command lines. {base} is the broker's address with the path of the provider's base URL behind it,
// {origin} without; {port} in both is filled in by sandbox-forward, which knows it.
#include "improve/engine_cli.h"

enum { WORDS_MAX = 16, SETS_MAX = 8, COMMAND_BYTES_MAX = 256 << 10 };

typedef enum Prompt {
    PROMPT_STDIN,
    PROMPT_LAST, // the last word
    PROMPT_FLAG, // behind the word that ends the fixed ones
} Prompt;

#define SPEAKS(protocol) (1U << (protocol))
#define OPENAI_LIKE      (SPEAKS(LLM_OPENAI) | SPEAKS(LLM_OPENAI_RESPONSES))
#define ANY_PROTOCOL     (SPEAKS(LLM_PROTOCOLS) - 1)
// What a program that insists on a key is given: not one.
#define NO_KEY "held-by-the-broker"

typedef struct Program {
    const char *name;
    const char *words[WORDS_MAX];        // behind the name
    const char *broker_words[WORDS_MAX]; // and with a broker these
    const char *model_flag;
    const char *turns_flag;
    Prompt prompt;
    unsigned protocols; // of providers that it can speak to through the broker
    const char *broker_sets[SETS_MAX];
    const char *sets[SETS_MAX]; // always
} Program;

static const Program PROGRAMS[ENGINE_KINDS] = {
    [ENGINE_CLAUDE] = {.name = "claude",
                       .words = {"-p", "--output-format", "stream-json", "--verbose",
                                 "--dangerously-skip-permissions", "--setting-sources", "user",
                                 "--strict-mcp-config"},
                       .model_flag = "--model",
                       .turns_flag = "--max-turns",
                       .prompt = PROMPT_STDIN,
                       .protocols = SPEAKS(LLM_ANTHROPIC),
                       .broker_sets = {"ANTHROPIC_BASE_URL={base}", "ANTHROPIC_AUTH_TOKEN=" NO_KEY},
                       .sets = {"DISABLE_AUTOUPDATER=1",
                                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"}},
    [ENGINE_CODEX] = {.name = "codex",
                      .words = {"exec", "--json", "--skip-git-repo-check", "--ephemeral",
                                "--dangerously-bypass-approvals-and-sandbox"},
                      .broker_words = {"-c", "model_provider=\"perfwright\"", "-c",
                                       "model_providers.perfwright={name=\"perfwright\","
                                       "base_url=\"{base}\",wire_api=\"responses\","
                                       "env_key=\"PERFWRIGHT_NO_KEY\"}"},
                      .model_flag = "-m",
                      .prompt = PROMPT_STDIN,
                      .protocols = OPENAI_LIKE,
                      .broker_sets = {"PERFWRIGHT_NO_KEY=" NO_KEY}},
    [ENGINE_COPILOT] = {.name = "copilot",
                        .words = {"--allow-all-tools", "--no-ask-user", "--output-format", "json",
                                  "--no-color", "-p"},
                        .model_flag = "--model",
                        .prompt = PROMPT_FLAG,
                        .protocols = OPENAI_LIKE | SPEAKS(LLM_ANTHROPIC),
                        .broker_sets = {"COPILOT_PROVIDER_BASE_URL={base}",
                                        "COPILOT_PROVIDER_TYPE={type}",
                                        "COPILOT_PROVIDER_API_KEY=" NO_KEY,
                                        "COPILOT_OFFLINE=true"}},
    [ENGINE_GEMINI] = {.name = "gemini",
                       .words = {"--output-format", "stream-json", "--approval-mode", "yolo", "-p"},
                       .model_flag = "-m",
                       .prompt = PROMPT_FLAG,
                       .protocols = SPEAKS(LLM_GEMINI),
                       .broker_sets = {"GOOGLE_GEMINI_BASE_URL={base}", "GEMINI_API_KEY=" NO_KEY},
                       .sets = {"GEMINI_CLI_TRUST_WORKSPACE=true"}},
    [ENGINE_OPENCODE] = {.name = "opencode",
                         .words = {"run", "--format", "json"},
                         .model_flag = "-m",
                         .prompt = PROMPT_LAST,
                         .protocols = OPENAI_LIKE | SPEAKS(LLM_ANTHROPIC) | SPEAKS(LLM_GEMINI),
                         .broker_sets = {"OPENCODE_CONFIG_CONTENT={\"provider\":{\"{opencode}\":{"
                                         "\"options\":{\"baseURL\":\"{base}{opencode_path}\","
                                         "\"apiKey\":\"" NO_KEY "\"}}}}"},
                         .sets = {"OPENCODE_DISABLE_AUTOUPDATE=true"}},
    [ENGINE_CMD] = {.prompt = PROMPT_STDIN,
                    .protocols = ANY_PROTOCOL,
                    .broker_sets = {"PERFWRIGHT_BROKER_URL={base}", "ANTHROPIC_BASE_URL={base}",
                                    "OPENAI_BASE_URL={base}", "GOOGLE_GEMINI_BASE_URL={base}"}},
};

const char *engine_cli_program(EngineKind kind)
{
    return PROGRAMS[kind].name ? PROGRAMS[kind].name : "";
}

void engine_quote(Buf *out, Slice word)
{
    buf_putc(out, '\'');
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, word.ptr[i]);
        }
    }
    buf_putc(out, '\'');
}

// ---- marks

typedef struct Mark {
    const char *name;
    Slice value;
} Mark;

typedef struct Marks {
    Mark items[5];
} Marks;

static Marks marks_of(const EnginePlaces *p, Arena *arena)
{
    bool anthropic = p->protocol == LLM_ANTHROPIC, gemini = p->protocol == LLM_GEMINI;
    Slice origin = SLICE("http://127.0.0.1:{port}");
    return (Marks){{
        {"{base}", arena_printf(arena, "%.*s%.*s", SLICE_FMT(origin), SLICE_FMT(p->base_path))},
        {"{origin}", origin},
        {"{type}", anthropic ? SLICE("anthropic") : SLICE("openai")},
        {"{opencode}", anthropic ? SLICE("anthropic")
                       : gemini  ? SLICE("google")
                                 : SLICE("openai")},
        // The AI SDK's base URLs hold the version; ours of these two providers do not.
        {"{opencode_path}", anthropic ? SLICE("/v1")
                            : gemini  ? SLICE("/v1beta")
                                      : SLICE("")},
    }};
}

static Slice fill(const Marks *marks, const char *text, Arena *arena)
{
    Buf out = buf_create(64 << 10);
    for (Slice left = slice_from_cstr(text); left.len > 0;) {
        const Mark *found = NULL;
        for (size_t i = 0; i < COUNT_OF(marks->items) && !found; i++) {
            if (slice_starts_with(left, slice_from_cstr(marks->items[i].name))) {
                found = &marks->items[i];
            }
        }
        buf_append(&out, found ? found->value : slice_sub(left, 0, 1));
        size_t used = found ? strlen(found->name) : 1;
        left = slice_sub(left, used, left.len);
    }
    Slice result = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return result;
}

static void put_words(Buf *out, const char *const *words, size_t max, const Marks *marks,
                      Arena *arena)
{
    for (size_t i = 0; i < max && words[i]; i++) {
        buf_putc(out, ' ');
        engine_quote(out, fill(marks, words[i], arena));
    }
}

// ---- the whole

static void put_options(const EngineOptions *o, const Program *program, Buf *out)
{
    if (o->settings->model.len > 0 && program->model_flag) {
        buf_printf(out, " %s ", program->model_flag);
        engine_quote(out, o->settings->model);
    }
    if (program->turns_flag) {
        buf_printf(out, " %s %lld", program->turns_flag, (long long)o->settings->turns);
    }
    for (size_t i = 0; i < o->settings->args.count; i++) {
        buf_putc(out, ' ');
        engine_quote(out, o->settings->args.items[i]);
    }
}

// The fixed words end with the prompt's flag, where it has one; options go before it.
static void put_program(const EngineOptions *o, const EnginePlaces *p, const Program *program,
                        const Marks *marks, Arena *arena, Buf *out)
{
    size_t count = 0;
    while (count < WORDS_MAX && program->words[count]) {
        count++;
    }
    size_t before = program->prompt == PROMPT_FLAG ? count - 1 : count;
    engine_quote(out, slice_from_cstr(p->program));
    put_words(out, program->words, before, marks, arena);
    if (p->socket) {
        put_words(out, program->broker_words, WORDS_MAX, marks, arena);
    }
    put_options(o, program, out);
    put_words(out, program->words + before, count - before, marks, arena);
    if (program->prompt == PROMPT_STDIN) {
        buf_puts(out, o->choice.kind == ENGINE_CODEX ? " - <" : " <");
        engine_quote(out, slice_from_cstr(p->goal));
    } else {
        buf_puts(out, " \"$(cat ");
        engine_quote(out, slice_from_cstr(p->goal));
        buf_puts(out, ")\"");
    }
}

int engine_cli_command(const EngineOptions *o, const EnginePlaces *p, Arena *arena, Buf *out,
                       Err *e)
{
    const Program *program = &PROGRAMS[o->choice.kind];
    Marks marks = marks_of(p, arena);
    if (p->socket && (program->protocols & SPEAKS(p->protocol)) == 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s cannot speak to the provider [llm.%.*s], whose protocol is %s",
                       engine_cli_program(o->choice.kind), SLICE_FMT(o->settings->provider),
                       llm_protocol_name(p->protocol));
    }
    if (p->socket) {
        buf_puts(out, "exec ");
        engine_quote(out, slice_from_cstr(p->self));
        buf_puts(out, " sandbox-forward ");
        engine_quote(out, slice_from_cstr(p->socket));
        put_words(out, program->broker_sets, SETS_MAX, &marks, arena);
        put_words(out, program->sets, SETS_MAX, &marks, arena);
        buf_puts(out, " -- ");
    } else {
        buf_puts(out, "exec env");
        put_words(out, program->sets, SETS_MAX, &marks, arena);
        buf_putc(out, ' ');
    }
    if (o->choice.kind == ENGINE_CMD) {
        buf_puts(out, "sh -c ");
        engine_quote(out, slice_from_cstr(p->program));
    } else {
        put_program(o, p, program, &marks, arena, out);
    }
    if (p->errors) {
        buf_puts(out, " 2>");
        engine_quote(out, slice_from_cstr(p->errors));
    }
    return buf_check(out, "the engine's command", e);
}
