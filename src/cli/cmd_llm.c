// llm test, llm cost: the configured LLM providers, asked once, and what tokens cost.
#include "cli/commands.h"
#include "cli/table.h"

#include "base/json_write.h"
#include "llm/cassette.h"
#include "llm/client.h"
#include "llm/config.h"
#include "os/file.h"

enum { FILE_BYTES_MAX = 16 << 20, TURNS_MAX = 4 };

#define OPTION_LLM_CONFIG                                                                          \
    {                                                                                              \
        .name = "config", .short_name = 'c', .kind = OPTION_STRING, .metavar = "FILE",             \
        .env = "PERFWRIGHT_LLM_CONFIG", .required = true,                                          \
        .help = "TOML file with the [llm] tree (docs/guide/llm.md)."                               \
    }

static int read_config(App *app, const OptionSet *set, LlmConfig *config, Err *e)
{
    const Doc *doc = NULL;
    const char *path = arena_cstr(app->arena, option_string(set, "config"));
    int rc = doc_read_file(app->arena, path, NULL, &doc, e);
    return rc != 0 ? rc : llm_config_read(app->arena, doc_get(doc, SLICE("llm")), config, e);
}

// ---- llm test

typedef struct Probe { // one provider's turn
    Slice name;
    int rc;
    Err err;
    LlmResponse response;
    LlmEmbedResponse embeddings;
    int64_t chunks;
    int turns;
    Slice called; // the tool that the model called
} Probe;

typedef struct LlmTest {
    App *app;
    const OptionSet *set;
    LlmConfig config;
    Loop *loop;
    FiberPool *pool;
    LlmClient *client;
    LlmCassette *cassette;
    Probe *probes;
    size_t count;
    Slice image, image_type, schema;
    LlmTool tool;
} LlmTest;

static int count_chunk(void *ctx, const LlmChunk *chunk)
{
    (void)chunk;
    ((Probe *)ctx)->chunks++;
    return 0;
}

static LlmRequest request_of(LlmTest *t, Probe *probe)
{
    const OptionSet *set = t->set;
    LlmRequest r = {.provider = probe->name,
                    .model = option_string(set, "model"),
                    .max_output_tokens = option_int(set, "max-tokens"),
                    .cache = LLM_CACHE_BYPASS};
    if (option_given(set, "role")) {
        r.provider = (Slice){0};
        r.role = option_string(set, "role");
    }
    if (option_flag(set, "stream")) {
        r.chunk_fn = count_chunk;
        r.chunk_ctx = probe;
    }
    if (t->tool.name.len > 0) {
        r.tools = &t->tool;
        r.tool_count = 1;
    }
    if (t->schema.len > 0) {
        r.output = LLM_OUTPUT_SCHEMA;
        r.schema = t->schema;
    }
    return r;
}

// Asks, and while the model calls the tool and there is a result for it, asks again.
static void chat(LlmTest *t, Probe *probe)
{
    LlmPart user[2] = {llm_text(option_string(t->set, "prompt"))};
    size_t parts = 1;
    if (t->image.len > 0) {
        user[parts++] =
            (LlmPart){.kind = LLM_PART_IMAGE, .data = t->image, .media_type = t->image_type};
    }
    LlmMessage messages[1 + 2 * TURNS_MAX] = {{LLM_USER, user, parts}};
    LlmPart results[TURNS_MAX];
    LlmResponse responses[TURNS_MAX];
    LlmRequest request = request_of(t, probe);
    request.messages = messages;
    request.message_count = 1;
    Slice result = option_string(t->set, "tool-result");
    int turn = 0;
    for (;; turn++) {
        LlmResponse *r = &responses[turn];
        probe->rc = llm_chat(t->client, &request, r, &probe->err);
        probe->turns++;
        if (probe->rc != 0 || r->finish != LLM_FINISH_TOOLS || result.len == 0 ||
            turn + 1 == TURNS_MAX) {
            break;
        }
        const LlmPart *call = r->parts;
        while (call->kind != LLM_PART_TOOL_CALL) {
            call++;
        }
        probe->called = arena_copy(t->app->arena, call->name);
        results[turn] = (LlmPart){
            .kind = LLM_PART_TOOL_RESULT, .id = call->id, .name = call->name, .text = result};
        messages[request.message_count++] = llm_response_message(r);
        messages[request.message_count++] = (LlmMessage){LLM_TOOL, &results[turn], 1};
    }
    probe->response = responses[turn];
    for (int i = 0; i < turn; i++) {
        llm_response_done(&responses[i]);
    }
}

static void probe_all(void *arg)
{
    LlmTest *t = arg;
    for (size_t i = 0; i < t->count; i++) {
        Probe *probe = &t->probes[i];
        if (option_flag(t->set, "embed")) {
            Slice input = option_string(t->set, "prompt");
            probe->rc = llm_embed(t->client,
                                  &(LlmEmbedRequest){.provider = probe->name,
                                                     .model = option_string(t->set, "model"),
                                                     .inputs = &input,
                                                     .input_count = 1},
                                  &probe->embeddings, &probe->err);
        } else {
            chat(t, probe);
        }
    }
    loop_stop(t->loop);
}

static void put_usage(JsonWriter *w, const LlmUsage *u)
{
    json_field_int(w, "inputTokens", u->input_tokens);
    json_field_int(w, "outputTokens", u->output_tokens);
    json_field_int(w, "cachedTokens", u->cached_tokens);
    json_field_int(w, "reasoningTokens", u->reasoning_tokens);
    json_field_double(w, "costUsd", (double)u->cost_nano_usd / 1e9);
}

static void put_calls(JsonWriter *w, const LlmResponse *r)
{
    json_key(w, SLICE("toolCalls"));
    json_array_begin(w);
    for (size_t i = 0; i < r->part_count; i++) {
        if (r->parts[i].kind == LLM_PART_TOOL_CALL) {
            json_object_begin(w);
            json_field_string(w, "id", r->parts[i].id);
            json_field_string(w, "name", r->parts[i].name);
            json_field_string(w, "arguments", r->parts[i].arguments);
            json_object_end(w);
        }
    }
    json_array_end(w);
}

static void probe_json(JsonWriter *w, const Probe *p)
{
    const LlmResponse *r = &p->response;
    const LlmFailure *f = p->embeddings.arena ? &p->embeddings.failure : &r->failure;
    json_object_begin(w);
    json_field_string(w, "name", p->name);
    json_field_string(w, "provider", p->embeddings.arena ? p->embeddings.provider : r->provider);
    json_field_string(w, "model", p->embeddings.arena ? p->embeddings.model : r->model);
    json_field_bool(w, "ok", p->rc == 0);
    if (p->rc != 0) {
        json_field_cstr(w, "failure", llm_failure_name(f->kind));
        json_field_int(w, "status", f->status);
        json_field_cstr(w, "error", p->err.text);
    }
    if (p->embeddings.arena) {
        json_field_int(w, "dimensions", (int64_t)p->embeddings.dimensions);
        json_field_double(w, "durationMs", (double)p->embeddings.duration_ns / 1e6);
        put_usage(w, &p->embeddings.usage);
    } else {
        json_field_string(w, "text", r->text);
        json_field_cstr(w, "finish", llm_finish_name(r->finish));
        put_calls(w, r);
        json_field_string(w, "called", p->called);
        json_field_int(w, "turns", p->turns);
        json_field_int(w, "attempts", r->attempts);
        json_field_int(w, "chunks", p->chunks);
        json_field_double(w, "durationMs", (double)r->duration_ns / 1e6);
        put_usage(w, &r->usage);
    }
    json_object_end(w);
}

static void print_json(LlmTest *t)
{
    JsonWriter w = json_writer(&t->app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("providers"));
    json_array_begin(&w);
    for (size_t i = 0; i < t->count; i++) {
        probe_json(&w, &t->probes[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&t->app->out, '\n');
}

static void print_text(LlmTest *t)
{
    static const char *const HEADS[] = {"PROVIDER", "MODEL", "RESULT", "MS", "IN", "OUT", "USD"};
    Arena *arena = t->app->arena;
    Table table = table_create(arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&table, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < t->count; i++) {
        const Probe *p = &t->probes[i];
        bool embed = p->embeddings.arena != NULL;
        const LlmUsage *u = embed ? &p->embeddings.usage : &p->response.usage;
        int64_t ns = embed ? p->embeddings.duration_ns : p->response.duration_ns;
        const LlmFailure *f = embed ? &p->embeddings.failure : &p->response.failure;
        table_put(&table, p->name);
        table_put(&table, embed ? p->embeddings.model : p->response.model);
        table_put(&table, slice_from_cstr(p->rc != 0 ? llm_failure_name(f->kind)
                                          : embed    ? "embedded"
                                                     : llm_finish_name(p->response.finish)));
        table_put(&table, arena_printf(arena, "%.1f", (double)ns / 1e6));
        table_put(&table, arena_printf(arena, "%lld", (long long)u->input_tokens));
        table_put(&table, arena_printf(arena, "%lld", (long long)u->output_tokens));
        table_put(&table, arena_printf(arena, "%.6f", (double)u->cost_nano_usd / 1e9));
    }
    table_print(&table, 0, &t->app->out);
    for (size_t i = 0; i < t->count; i++) {
        if (t->probes[i].rc != 0) {
            app_say(t->app, "%s", t->probes[i].err.text);
        } else if (t->count == 1 && t->probes[i].response.text.len > 0) {
            app_say(t->app, "%.*s", SLICE_FMT(t->probes[i].response.text));
        }
    }
}

static int read_option_file(LlmTest *t, const char *option, Slice *ret_bytes, Err *e)
{
    Slice path = option_string(t->set, option);
    if (path.len == 0) {
        return 0;
    }
    Buf bytes = buf_create(FILE_BYTES_MAX);
    int rc = file_read(arena_cstr(t->app->arena, path), &bytes, e);
    if (rc == 0) {
        *ret_bytes = arena_copy(t->app->arena, buf_slice(&bytes));
    }
    buf_done(&bytes);
    return rc;
}

static Slice media_type_of(Slice path)
{
    static const char *const TYPES[][2] = {
        {".png", "image/png"}, {".gif", "image/gif"}, {".webp", "image/webp"}};
    for (size_t i = 0; i < COUNT_OF(TYPES); i++) {
        if (slice_ends_with(path, slice_from_cstr(TYPES[i][0]))) {
            return slice_from_cstr(TYPES[i][1]);
        }
    }
    return SLICE("image/jpeg");
}

static int prepare(LlmTest *t, Err *e)
{
    int rc = read_config(t->app, t->set, &t->config, e);
    if (rc == 0) {
        rc = read_option_file(t, "image", &t->image, e);
    }
    if (rc == 0) {
        rc = read_option_file(t, "schema", &t->schema, e);
    }
    t->image_type = media_type_of(option_string(t->set, "image"));
    t->tool = (LlmTool){.name = option_string(t->set, "tool"),
                        .schema = SLICE("{\"type\":\"object\",\"properties\":{}}")};
    if (rc == 0 && t->config.provider_count == 0) {
        rc = err_set(e, ERR_ARG, "no provider to test: the file has no [llm.NAME]");
    }
    if (rc != 0) {
        return rc;
    }
    size_t named = option_positional_count(t->set);
    bool role = option_given(t->set, "role");
    t->count = role ? 1 : named > 0 ? named : t->config.provider_count;
    t->probes = ARENA_ARRAY(t->app->arena, Probe, t->count);
    for (size_t i = 0; i < t->count; i++) {
        t->probes[i].name = role        ? option_string(t->set, "role")
                            : named > 0 ? option_positional(t->set, i)
                                        : t->config.providers[i].name;
    }
    return 0;
}

static int open_cassette(LlmTest *t, Err *e)
{
    bool record = option_given(t->set, "record");
    if (!record && !option_given(t->set, "replay")) {
        return 0;
    }
    Slice path = option_string(t->set, record ? "record" : "replay");
    return llm_cassette_open(arena_cstr(t->app->arena, path),
                             record ? LLM_CASSETTE_RECORD : LLM_CASSETTE_REPLAY, &t->cassette, e);
}

static int run_probes(LlmTest *t, Err *e)
{
    int rc = open_cassette(t, e);
    if (rc != 0 || (rc = loop_create(&(LoopOptions){0}, &t->loop, e)) != 0) {
        return rc;
    }
    t->pool = fiber_pool_create(t->loop, NULL);
    rc = llm_client_create(&(LlmClientOptions){.loop = t->loop,
                                               .pool = t->pool,
                                               .config = &t->config,
                                               .cassette = t->cassette,
                                               .get_env = getenv,
                                               .seed = (uint64_t)clock_now(clock_real())},
                           &t->client, e);
    if (rc != 0) {
        return rc;
    }
    if (!fiber_spawn(t->pool, "llm test", probe_all, t)) {
        return err_set(e, ERR_LIMIT, "no memory for a fiber");
    }
    loop_run(t->loop);
    return 0;
}

static int run_test(App *app, const OptionSet *set, Err *e)
{
    LlmTest t = {.app = app, .set = set};
    int rc = prepare(&t, e);
    if (rc == 0) {
        rc = run_probes(&t, e);
    }
    bool all_well = true;
    if (rc == 0) {
        if (option_flag(set, "json")) {
            print_json(&t);
        } else {
            print_text(&t);
        }
        for (size_t i = 0; i < t.count; i++) {
            all_well = all_well && t.probes[i].rc == 0;
            llm_response_done(&t.probes[i].response);
            llm_embed_response_done(&t.probes[i].embeddings);
        }
    }
    llm_client_destroy(t.client);
    if (t.pool) {
        (void)fiber_pool_drain(t.pool, NEVER_NS);
        fiber_pool_destroy(t.pool);
    }
    loop_destroy(t.loop);
    llm_cassette_close(t.cassette);
    return rc != 0 ? rc : all_well ? EXIT_PASS : EXIT_ERROR;
}

static const Positional TEST_ARGS[] = {
    {"NAME", "Providers, by the names of their sections; all of them when none is given.", true,
     true}};
static const Option TEST_OPTIONS[] = {
    OPTION_LLM_CONFIG,
    {.name = "role",
     .kind = OPTION_STRING,
     .metavar = "ROLE",
     .help = "Ask who has this role instead, with its fallbacks."},
    {.name = "model", .kind = OPTION_STRING, .metavar = "MODEL", .help = "Another model."},
    {.name = "prompt",
     .kind = OPTION_STRING,
     .metavar = "TEXT",
     .default_text = "Answer with the one word: ready",
     .help = "What to ask, or to embed."},
    {.name = "max-tokens",
     .kind = OPTION_INT,
     .min = 1,
     .max = 1e6,
     .default_text = "256",
     .help = "Length of the answer."},
    {.name = "stream", .kind = OPTION_FLAG, .help = "Stream the answer."},
    {.name = "embed", .kind = OPTION_FLAG, .help = "Ask for an embedding of the prompt."},
    {.name = "tool",
     .kind = OPTION_STRING,
     .metavar = "NAME",
     .help = "Offer a tool of this name, without arguments."},
    {.name = "tool-result",
     .kind = OPTION_STRING,
     .metavar = "TEXT",
     .help = "What the tool answers when it is called; the model is then asked again."},
    {.name = "image", .kind = OPTION_STRING, .metavar = "FILE", .help = "Send an image along."},
    {.name = "schema",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "JSON schema that the answer must follow."},
    {.name = "record",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Append what was said to a cassette."},
    {.name = "replay",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Play a cassette instead of asking anybody; no key is needed."},
    OPTION_JSON,
};
static const Example TEST_EXAMPLES[] = {
    {"perfwright llm test -c agents.toml", "ask every provider one short question"},
    {"perfwright llm test -c agents.toml openai --stream --json", "one of them, streamed"},
    {"perfwright llm test -c agents.toml --role analysis", "whoever has the role"},
};
static const Verb VERB_TEST = {
    .name = "llm test",
    .summary = "ask the configured LLM providers one short question",
    .description = "Shows who answers, how fast, and what it cost. Exits with 1 when one does not. "
                   "Keys come from the variable or file that the configuration names and are never "
                   "printed.",
    OPTION_TABLE(TEST_OPTIONS),
    POSITIONAL_TABLE(TEST_ARGS),
    EXAMPLE_TABLE(TEST_EXAMPLES)};
const Command CMD_LLM_TEST = {&VERB_TEST, run_test, true};

// ---- llm cost

static void cost_json(App *app, const LlmConfig *config, const LlmUsage *usage)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("models"));
    json_array_begin(&w);
    for (size_t i = 0; i < config->price_count; i++) {
        const LlmPrice *p = &config->prices[i];
        json_object_begin(&w);
        json_field_string(&w, "model", p->model);
        json_field_double(&w, "inputUsdPerMillion", (double)p->input / 1e3);
        json_field_double(&w, "outputUsdPerMillion", (double)p->output / 1e3);
        json_field_double(&w, "cachedInputUsdPerMillion", (double)p->cached_input / 1e3);
        json_field_double(&w, "costUsd", (double)llm_price_of(p, usage) / 1e9);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static void cost_text(App *app, const LlmConfig *config, const LlmUsage *usage)
{
    static const char *const HEADS[] = {"MODEL", "INPUT/M", "OUTPUT/M", "CACHED/M", "USD"};
    Table table = table_create(app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&table, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < config->price_count; i++) {
        const LlmPrice *p = &config->prices[i];
        const int64_t prices[] = {p->input, p->output, p->cached_input};
        table_put(&table, p->model);
        for (size_t k = 0; k < COUNT_OF(prices); k++) {
            table_put(&table, arena_printf(app->arena, "%.3f", (double)prices[k] / 1e3));
        }
        table_put(&table, arena_printf(app->arena, "%.6f", (double)llm_price_of(p, usage) / 1e9));
    }
    table_print(&table, 0, &app->out);
}

static int run_cost(App *app, const OptionSet *set, Err *e)
{
    LlmConfig config;
    int rc = read_config(app, set, &config, e);
    if (rc == 0 && config.price_count == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "no prices are configured: there is no [llm.prices.MODEL]");
    }
    if (rc != 0) {
        return rc;
    }
    LlmUsage usage = {.input_tokens = option_int(set, "input"),
                      .output_tokens = option_int(set, "output"),
                      .cached_tokens = option_int(set, "cached")};
    if (option_flag(set, "json")) {
        cost_json(app, &config, &usage);
    } else {
        cost_text(app, &config, &usage);
    }
    return EXIT_PASS;
}

static const Option COST_OPTIONS[] = {
    OPTION_LLM_CONFIG,
    {.name = "input",
     .kind = OPTION_COUNT,
     .max = 1e12,
     .default_text = "1M",
     .help = "Input tokens, cached ones included."},
    {.name = "output",
     .kind = OPTION_COUNT,
     .max = 1e12,
     .default_text = "100k",
     .help = "Output tokens."},
    {.name = "cached",
     .kind = OPTION_COUNT,
     .max = 1e12,
     .default_text = "0",
     .help = "Of the input: tokens that the provider has in its cache."},
    OPTION_JSON,
};
static const Example COST_EXAMPLES[] = {
    {"perfwright llm cost -c agents.toml --input 200k --output 10k", "what so many tokens cost"},
};
static const Verb VERB_COST = {
    .name = "llm cost",
    .summary = "print what tokens cost by the configured prices",
    .description = "Prices come from [llm.prices.MODEL]; there are none built in, because they "
                   "change.",
    OPTION_TABLE(COST_OPTIONS),
    EXAMPLE_TABLE(COST_EXAMPLES)};
const Command CMD_LLM_COST = {&VERB_COST, run_cost, true};
