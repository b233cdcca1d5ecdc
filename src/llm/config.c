#include "llm/config.h"

#include "base/param.h"

// ---- the tables

enum {
    P_MAX_CONNECTIONS,
    P_MIN_CONNECTIONS,
    P_CONNECTION_TIMEOUT,
    P_IDLE_TIMEOUT,
    P_LIFETIME,
    P_REQUEST_TIMEOUT,
    P_FIRST_CONTENT,
    P_STREAM_IDLE,
    P_RETRY_ATTEMPTS,
    P_RETRY_INITIAL,
    P_RETRY_MAX,
    P_RETRY_BUDGET,
    P_BREAKER_FAILURES,
    P_BREAKER_OPEN,
    P_MAX_CONCURRENT,
    P_MAX_TOKENS,
    P_OLD_MAX_TOKENS,
    PROVIDER_PARAMS,
};

#define DAY (86400 * 1e9)
#define TIME(NAME, INITIAL, HELP)                                                                  \
    {                                                                                              \
        .name = NAME, .kind = PARAM_DURATION, .min = 1e6, .max = DAY,                              \
        .initial.integer = (int64_t)(INITIAL), .help = HELP                                        \
    }
#define COUNT(NAME, MIN, MAX, INITIAL, HELP)                                                       \
    {                                                                                              \
        .name = NAME, .kind = PARAM_INT, .min = MIN, .max = MAX, .initial.integer = INITIAL,       \
        .help = HELP                                                                               \
    }

static const Param PROVIDER[PROVIDER_PARAMS] = {
    [P_MAX_CONNECTIONS] = COUNT("max_connections", 1, 10000, 50,
                                "Connections at most; requests beyond wait their turn."),
    [P_MIN_CONNECTIONS] = COUNT("min_connections", 0, 1000, 0, "Connections kept open and warm."),
    [P_CONNECTION_TIMEOUT] =
        TIME("connection_timeout", 10e9, "To look up the name, connect and shake hands."),
    [P_IDLE_TIMEOUT] = TIME("idle_timeout", 300e9, "Idle connections older than this are left."),
    [P_LIFETIME] = TIME("max_connection_lifetime", 3600e9, "Older connections are not used again."),
    [P_REQUEST_TIMEOUT] = TIME("request_timeout", 60e9, "One attempt that is not streamed."),
    [P_FIRST_CONTENT] = TIME("first_content_timeout", 30e9,
                             "Streamed: until the first content; keep-alives do not count."),
    [P_STREAM_IDLE] = TIME("stream_idle_timeout", 30e9, "Streamed: between two contents."),
    [P_RETRY_ATTEMPTS] = COUNT("retry_max_attempts", 1, 20, 3, "Attempts in all."),
    [P_RETRY_INITIAL] =
        TIME("retry_initial_interval", 0.5e9, "First pause; the next ones double, with jitter."),
    [P_RETRY_MAX] = TIME("retry_max_interval", 8e9, "Longest pause of our own choice."),
    [P_RETRY_BUDGET] = {.name = "retry_budget",
                        .kind = PARAM_FLOAT,
                        .max = 10,
                        .initial.real = 0.2,
                        .help = "Retries a call on average; 0: no budget."},
    [P_BREAKER_FAILURES] =
        COUNT("breaker_failures", 0, 1000000, 5, "Failures in a row that open the breaker."),
    [P_BREAKER_OPEN] = TIME("breaker_open_for", 30e9, "How long it stays open before a probe."),
    [P_MAX_CONCURRENT] =
        COUNT("max_concurrent", 0, 1000000, 0, "Requests at one time; 0: no limit of its own."),
    [P_MAX_TOKENS] = COUNT("max_tokens", 1, 10000000, 4096,
                           "Length of an answer where a request names none and one is needed."),
    [P_OLD_MAX_TOKENS] = {.name = "old_max_tokens",
                          .kind = PARAM_BOOL,
                          .help = "Send max_tokens (older OpenAI-compatible servers)."},
};
static const ParamTable PROVIDER_TABLE = {"llm", PROVIDER, PROVIDER_PARAMS};

enum { C_ENABLED, C_MAX_BYTES, C_MAX_ENTRIES, C_FACTUAL, C_CREATIVE, C_OTHER, CACHE_PARAMS };
static const Param CACHE[CACHE_PARAMS] = {
    [C_ENABLED] = {.name = "enabled",
                   .kind = PARAM_BOOL,
                   .initial.boolean = true,
                   .help = "Answer equal requests from memory."},
    [C_MAX_BYTES] = {.name = "max_bytes",
                     .kind = PARAM_SIZE,
                     .min = 1,
                     .max = 1e12,
                     .initial.integer = 64 << 20,
                     .help = "Bytes of answers kept; the least recently used go first."},
    [C_MAX_ENTRIES] = COUNT("max_entries", 1, 1000000, 4096, "Answers kept."),
    [C_FACTUAL] = TIME("factual_ttl", DAY, "How long a factual answer is good."),
    [C_CREATIVE] = TIME("creative_ttl", 300e9, "A creative one."),
    [C_OTHER] = TIME("default_ttl", 3600e9, "Any other."),
};
static const ParamTable CACHE_TABLE = {"cache", CACHE, CACHE_PARAMS};

enum { B_TOKENS, B_COST, B_SESSION_TOKENS, B_SESSION_COST, BUDGET_PARAMS };
static const Param BUDGET[BUDGET_PARAMS] = {
    [B_TOKENS] = COUNT("tokens", 0, 1e15, 0, "Tokens of the whole run, in and out; 0: no limit."),
    [B_COST] = {.name = "cost",
                .kind = PARAM_FLOAT,
                .max = 1e9,
                .help = "USD of the whole run, by [llm.prices]; 0: no limit."},
    [B_SESSION_TOKENS] =
        COUNT("session_tokens", 0, 1e15, 0, "Tokens of one session of agents; 0: no limit."),
    [B_SESSION_COST] = {.name = "session_cost",
                        .kind = PARAM_FLOAT,
                        .max = 1e9,
                        .help = "USD of one session; 0: no limit."},
};
static const ParamTable BUDGET_TABLE = {"budget", BUDGET, BUDGET_PARAMS};

#define PRICE(NAME, HELP)                                                                          \
    {                                                                                              \
        .name = NAME, .kind = PARAM_FLOAT, .max = 1e6, .help = HELP                                \
    }
static const Param PRICES[] = {
    PRICE("input", "USD for a million input tokens."),
    PRICE("output", "USD for a million output tokens."),
    PRICE("cached_input", "USD for a million input tokens of the provider's cache."),
};
static const ParamTable PRICE_TABLE = {"prices", PRICES, COUNT_OF(PRICES)};

static const struct {
    const char *name, *help;
    size_t offset;
} TEXTS[] = {
    {"model", "Model of chats.", offsetof(LlmProvider, model)},
    {"deployment", "Azure's word for it.", offsetof(LlmProvider, model)},
    {"embedding_model", "Model of embeddings; else `model`.",
     offsetof(LlmProvider, embedding_model)},
    {"base_url", "Where it is; else the vendor's own address.",
     offsetof(LlmProvider, endpoint.base_url)},
    {"endpoint", "The same.", offsetof(LlmProvider, endpoint.base_url)},
    {"api_version", "Azure: the dated interface; else v1.",
     offsetof(LlmProvider, endpoint.api_version)},
    {"api_key_env", "Variable that holds the key.", offsetof(LlmProvider, api_key_env)},
    {"api_key_file", "File that holds the key.", offsetof(LlmProvider, api_key_file)},
    {"ca_file", "Certificates to trust instead of the system's.", offsetof(LlmProvider, ca_file)},
};

// Members of [llm] that are no providers.
static const char *const RESERVED[] = {"provider", "roles", "prices", "cache", "budget"};

// ---- providers

static int refuse_key(const Doc *member, Err *e)
{
    Slice names[COUNT_OF(TEXTS) + PROVIDER_PARAMS + 2];
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        names[n++] = slice_from_cstr(TEXTS[i].name);
    }
    for (size_t i = 0; i < PROVIDER_PARAMS; i++) {
        names[n++] = slice_from_cstr(PROVIDER[i].name);
    }
    names[n++] = SLICE("provider");
    names[n++] = SLICE("fallback");
    if (slice_eq(member->key, SLICE("api_key"))) {
        return doc_err_key(e, member,
                           "a key does not belong into a file that is shared; name a "
                           "variable with api_key_env or a file with api_key_file");
    }
    Slice near = slice_nearest(member->key, names, n);
    return doc_err_key(e, member, "unknown key \"%.*s\"%s%.*s%s", SLICE_FMT(member->key),
                       near.len > 0 ? "; did you mean \"" : "", SLICE_FMT(near),
                       near.len > 0 ? "\"?" : "");
}

static int read_names(Arena *arena, const Doc *doc, const Slice **ret_names, size_t *ret_count,
                      Err *e)
{
    size_t count = doc->type == DOC_ARRAY ? doc_count(doc) : 1;
    if (count > LLM_CHAIN_MAX - 1) {
        return doc_err(e, doc, "a chain has at most %d members", LLM_CHAIN_MAX);
    }
    Slice *names = ARENA_ARRAY(arena, Slice, count + 1);
    const Doc *item = doc->type == DOC_ARRAY ? doc_first(doc) : doc;
    for (size_t i = 0; i < count; i++) {
        int rc = doc_expect(item, DOC_STRING, "a provider's name", e);
        if (rc != 0) {
            return rc;
        }
        names[i] = item->text;
        item = doc->type == DOC_ARRAY ? doc_next(item) : NULL;
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}

static int read_protocol(const Doc *table, LlmProvider *p, Err *e)
{
    const Doc *kind = doc_get(table, SLICE("provider"));
    Slice name = kind && kind->type == DOC_STRING ? kind->text : table->key;
    if (kind && kind->type != DOC_STRING) {
        return doc_expect(kind, DOC_STRING, "provider", e);
    }
    p->old_max_tokens = slice_eq(name, SLICE("compatible"));
    if (p->old_max_tokens) {
        p->protocol = LLM_OPENAI;
        return 0;
    }
    Err inner = {0};
    if (llm_protocol_parse(name, &p->protocol, &inner) != 0) {
        return kind
                   ? doc_err(e, kind, "%s", inner.text)
                   : doc_err_key(e, table, "%s; say which one with provider = \"...\"", inner.text);
    }
    return 0;
}

static int read_member(Arena *arena, const Doc *m, LlmProvider *p, ParamValue *values, Err *e)
{
    if (slice_eq(m->key, SLICE("provider"))) {
        return 0;
    }
    if (slice_eq(m->key, SLICE("fallback"))) {
        return read_names(arena, m, &p->fallback_names, &p->fallback_count, e);
    }
    ptrdiff_t index = param_find(&PROVIDER_TABLE, m->key);
    if (index >= 0) {
        return param_read_value(&PROVIDER_TABLE, (size_t)index, m, &values[index], e);
    }
    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        if (slice_eq_cstr(m->key, TEXTS[i].name)) {
            int rc = doc_expect(m, DOC_STRING, TEXTS[i].name, e);
            if (rc == 0) {
                memcpy((char *)p + TEXTS[i].offset, &m->text, sizeof m->text);
            }
            return rc;
        }
    }
    return refuse_key(m, e);
}

static void take_params(LlmProvider *p, const ParamValue *v)
{
    p->max_connections = v[P_MAX_CONNECTIONS].integer;
    p->min_connections = v[P_MIN_CONNECTIONS].integer;
    p->connection_timeout_ns = v[P_CONNECTION_TIMEOUT].integer;
    p->idle_timeout_ns = v[P_IDLE_TIMEOUT].integer;
    p->max_connection_lifetime_ns = v[P_LIFETIME].integer;
    p->request_timeout_ns = v[P_REQUEST_TIMEOUT].integer;
    p->first_content_timeout_ns = v[P_FIRST_CONTENT].integer;
    p->stream_idle_timeout_ns = v[P_STREAM_IDLE].integer;
    p->retry_max_attempts = v[P_RETRY_ATTEMPTS].integer;
    p->retry_initial_interval_ns = v[P_RETRY_INITIAL].integer;
    p->retry_max_interval_ns = v[P_RETRY_MAX].integer;
    p->retry_budget = v[P_RETRY_BUDGET].real;
    p->breaker_failures = v[P_BREAKER_FAILURES].integer;
    p->breaker_open_ns = v[P_BREAKER_OPEN].integer;
    p->max_concurrent = v[P_MAX_CONCURRENT].integer;
    p->max_tokens = v[P_MAX_TOKENS].integer;
    p->endpoint.max_tokens = p->max_tokens;
    p->endpoint.old_max_tokens = v[P_OLD_MAX_TOKENS].boolean;
}

static int check_url(const Doc *table, LlmProvider *p, Err *e)
{
    Slice *url = &p->endpoint.base_url;
    if (url->len == 0) {
        *url = slice_from_cstr(llm_adapter(p->protocol)->default_url);
    }
    while (url->len > 0 && url->ptr[url->len - 1] == '/') {
        url->len--;
    }
    if (url->len == 0) {
        return doc_err_key(e, table, "[llm.%.*s] needs base_url", SLICE_FMT(p->name));
    }
    if (!slice_starts_with(*url, SLICE("http://")) && !slice_starts_with(*url, SLICE("https://"))) {
        return doc_err_key(e, table, "base_url of [llm.%.*s] must begin with http:// or https://",
                           SLICE_FMT(p->name));
    }
    return 0;
}

static int read_provider(Arena *arena, const Doc *table, LlmProvider *p, Err *e)
{
    ParamValue values[PROVIDER_PARAMS];
    param_defaults(&PROVIDER_TABLE, values);
    *p = (LlmProvider){.name = table->key, .doc = table};
    int rc = read_protocol(table, p, e);
    bool compatible = p->old_max_tokens;
    for (const Doc *m = doc_first(table); rc == 0 && m; m = doc_next(m)) {
        rc = read_member(arena, m, p, values, e);
    }
    if (rc != 0) {
        return rc;
    }
    if (!doc_get(table, SLICE("max_connections"))) {
        values[P_MAX_CONNECTIONS].integer = 0; // the runtime's pool_size, see client.c
    }
    take_params(p, values);
    p->endpoint.old_max_tokens = p->endpoint.old_max_tokens || compatible;
    if (p->min_connections > p->max_connections && p->max_connections > 0) {
        return doc_err_key(e, table, "min_connections is larger than max_connections");
    }
    if (p->api_key_env.len > 0 && p->api_key_file.len > 0) {
        return doc_err_key(e, table, "[llm.%.*s] has both api_key_env and api_key_file",
                           SLICE_FMT(p->name));
    }
    return check_url(table, p, e);
}

// ---- references

static ptrdiff_t find_provider(const LlmConfig *config, Slice name)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        if (slice_eq(config->providers[i].name, name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

// "NAME" or "NAME/MODEL"; models may have slashes themselves.
static int find_target(const LlmConfig *config, Slice text, const Doc *at, LlmTarget *ret_target,
                       Err *e)
{
    Slice name, model;
    (void)slice_cut(text, '/', &name, &model);
    ptrdiff_t index = find_provider(config, name);
    if (index < 0) {
        return doc_err(e, at, "there is no [llm.%.*s]", SLICE_FMT(name));
    }
    *ret_target = (LlmTarget){(size_t)index, model};
    return 0;
}

static int check_fallbacks(const LlmConfig *config, const LlmProvider *p, Err *e)
{
    for (size_t i = 0; i < p->fallback_count; i++) {
        LlmTarget target = {0};
        int rc = find_target(config, p->fallback_names[i], doc_get(p->doc, SLICE("fallback")),
                             &target, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void chain_add(const LlmConfig *config, LlmChain *chain, LlmTarget target)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->targets[i].provider == target.provider &&
            slice_eq(chain->targets[i].model, target.model)) {
            return; // a circle of fallbacks ends where it began
        }
    }
    if (chain->count == LLM_CHAIN_MAX) {
        return;
    }
    chain->targets[chain->count++] = target;
    const LlmProvider *p = &config->providers[target.provider];
    for (size_t i = 0; i < p->fallback_count; i++) {
        LlmTarget next = {0};
        if (find_target(config, p->fallback_names[i], p->doc, &next, NULL) == 0) {
            chain_add(config, chain, next);
        }
    }
}

static int read_role(const LlmConfig *config, Arena *arena, const Doc *m, LlmRoleConfig *role,
                     Err *e)
{
    const Slice *names = NULL;
    size_t count = 0;
    int rc = read_names(arena, m, &names, &count, e);
    role->name = m->key;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        LlmTarget target = {0};
        rc = find_target(config, names[i], m, &target, e);
        if (rc == 0) {
            chain_add(config, &role->chain, target);
        }
    }
    return rc != 0 ? rc : count == 0 ? doc_err(e, m, "a role needs a provider") : 0;
}

static int read_roles(Arena *arena, const Doc *roles, LlmConfig *config, Err *e)
{
    int rc = roles ? doc_expect(roles, DOC_OBJECT, "roles", e) : 0;
    if (rc != 0 || doc_count(roles) > LLM_ROLES_MAX) {
        return rc != 0 ? rc : doc_err(e, roles, "more than %d roles", LLM_ROLES_MAX);
    }
    config->roles = ARENA_ARRAY(arena, LlmRoleConfig, doc_count(roles) + 1);
    for (const Doc *m = doc_first(roles); rc == 0 && m; m = doc_next(m)) {
        rc = read_role(config, arena, m, &config->roles[config->role_count++], e);
    }
    return rc;
}

static int read_prices(Arena *arena, const Doc *prices, LlmConfig *config, Err *e)
{
    int rc = prices ? doc_expect(prices, DOC_OBJECT, "prices", e) : 0;
    config->prices = ARENA_ARRAY(arena, LlmPrice, doc_count(prices) + 1);
    for (const Doc *m = doc_first(prices); rc == 0 && m; m = doc_next(m)) {
        ParamValue v[COUNT_OF(PRICES)];
        param_defaults(&PRICE_TABLE, v);
        rc = doc_expect(m, DOC_OBJECT, "a price", e);
        if (rc != 0 || (rc = param_read(&PRICE_TABLE, m, v, e)) != 0) {
            return rc;
        }
        // USD for 10^6 tokens is 10^-6 USD a token: a thousand of our units.
        double cached = doc_get(m, SLICE("cached_input")) ? v[2].real : v[0].real;
        config->prices[config->price_count++] =
            (LlmPrice){m->key, (int64_t)(v[0].real * 1000 + 0.5), (int64_t)(v[1].real * 1000 + 0.5),
                       (int64_t)(cached * 1000 + 0.5)};
    }
    return rc;
}

static int read_cache_and_budget(const Doc *llm, LlmConfig *config, Err *e)
{
    ParamValue c[CACHE_PARAMS], b[BUDGET_PARAMS];
    param_defaults(&CACHE_TABLE, c);
    param_defaults(&BUDGET_TABLE, b);
    int rc = llm ? param_read(&CACHE_TABLE, doc_get(llm, SLICE("cache")), c, e) : 0;
    if (rc == 0 && llm) {
        rc = param_read(&BUDGET_TABLE, doc_get(llm, SLICE("budget")), b, e);
    }
    config->cache = (LlmCacheConfig){.enabled = c[C_ENABLED].boolean,
                                     .max_bytes = c[C_MAX_BYTES].integer,
                                     .max_entries = c[C_MAX_ENTRIES].integer,
                                     .factual_ttl_ns = c[C_FACTUAL].integer,
                                     .creative_ttl_ns = c[C_CREATIVE].integer,
                                     .other_ttl_ns = c[C_OTHER].integer};
    config->budget_tokens = b[B_TOKENS].integer;
    config->budget_cost_nano = (int64_t)(b[B_COST].real * 1e9);
    config->session_tokens = b[B_SESSION_TOKENS].integer;
    config->session_cost_nano = (int64_t)(b[B_SESSION_COST].real * 1e9);
    return rc;
}

static bool is_reserved(Slice key)
{
    for (size_t i = 0; i < COUNT_OF(RESERVED); i++) {
        if (slice_eq_cstr(key, RESERVED[i])) {
            return true;
        }
    }
    return false;
}

static int read_default(const Doc *llm, LlmConfig *config, Err *e)
{
    const Doc *d = doc_get(llm, SLICE("provider"));
    if (!d) {
        return 0;
    }
    int rc = doc_expect(d, DOC_STRING, "provider", e);
    LlmTarget target = {0};
    if (rc != 0 || (rc = find_target(config, d->text, d, &target, e)) != 0) {
        return rc;
    }
    config->default_provider = target.provider;
    return 0;
}

int llm_config_read(Arena *arena, const Doc *llm, LlmConfig *ret_config, Err *e)
{
    LlmConfig config = {.batch_size = 10, .batch_timeout_ns = 100 * NS_PER_MS};
    int rc = llm ? doc_expect(llm, DOC_OBJECT, "llm", e) : 0;
    if (rc != 0 || (rc = read_cache_and_budget(llm, &config, e)) != 0) {
        return rc;
    }
    if (doc_count(llm) > LLM_PROVIDERS_MAX) {
        return doc_err(e, llm, "more than %d providers", LLM_PROVIDERS_MAX);
    }
    config.providers = ARENA_ARRAY(arena, LlmProvider, doc_count(llm) + 1);
    for (const Doc *m = doc_first(llm); m; m = doc_next(m)) {
        if (is_reserved(m->key)) {
            continue;
        }
        rc = doc_expect(m, DOC_OBJECT, "a provider", e);
        if (rc != 0 ||
            (rc = read_provider(arena, m, &config.providers[config.provider_count++], e)) != 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < config.provider_count; i++) {
        if ((rc = check_fallbacks(&config, &config.providers[i], e)) != 0) {
            return rc;
        }
    }
    if ((rc = read_default(llm, &config, e)) != 0 ||
        (rc = read_roles(arena, doc_get(llm, SLICE("roles")), &config, e)) != 0 ||
        (rc = read_prices(arena, doc_get(llm, SLICE("prices")), &config, e)) != 0) {
        return rc;
    }
    *ret_config = config;
    return 0;
}

// ---- asking it

static int no_provider(const LlmConfig *config, const char *what, Slice name, Err *e)
{
    if (config->provider_count == 0) {
        return err_set(e, ERR_NOT_FOUND, "no LLM provider is configured: there is no [llm.NAME]");
    }
    return err_set(e, ERR_NOT_FOUND, "there is no %s '%.*s' in [llm]", what, SLICE_FMT(name));
}

int llm_config_chain(const LlmConfig *config, Slice role, Slice provider, Slice model,
                     LlmChain *ret_chain, Err *e)
{
    *ret_chain = (LlmChain){0};
    if (role.len > 0 && provider.len == 0) {
        for (size_t i = 0; i < config->role_count; i++) {
            if (slice_eq(config->roles[i].name, role)) {
                *ret_chain = config->roles[i].chain;
                return 0;
            }
        }
        // The roles that every configuration has; without a line of its own, one is the default.
        static const char *const ROLES[] = {"script", "analysis", "narrative", "chart"};
        bool known = false;
        for (size_t i = 0; i < COUNT_OF(ROLES); i++) {
            known = known || slice_eq_cstr(role, ROLES[i]);
        }
        if (!known) {
            return no_provider(config, "role", role, e);
        }
    }
    LlmTarget target = {config->default_provider, model};
    if (provider.len > 0) {
        Slice name, rest;
        (void)slice_cut(provider, '/', &name, &rest);
        ptrdiff_t index = find_provider(config, name);
        if (index < 0) {
            return no_provider(config, "provider", name, e);
        }
        target = (LlmTarget){(size_t)index, model.len > 0 ? model : rest};
    } else if (config->provider_count == 0) {
        return no_provider(config, "provider", provider, e);
    }
    chain_add(config, ret_chain, target);
    return 0;
}

const LlmPrice *llm_config_price(const LlmConfig *config, Slice model)
{
    // The longest name that the model begins with: answers name dated versions
    // ("gpt-5-2026-01-02").
    const LlmPrice *best = NULL;
    for (size_t i = 0; i < config->price_count; i++) {
        const LlmPrice *p = &config->prices[i];
        if (slice_starts_with(model, p->model) && (!best || p->model.len > best->model.len)) {
            best = p;
        }
    }
    return best;
}

int64_t llm_price_of(const LlmPrice *price, const LlmUsage *usage)
{
    if (!price) {
        return 0;
    }
    int64_t cached =
        usage->cached_tokens < usage->input_tokens ? usage->cached_tokens : usage->input_tokens;
    return (usage->input_tokens - cached) * price->input + cached * price->cached_input +
           usage->output_tokens * price->output;
}

int llm_config_secret(Arena *arena, const LlmProvider *provider, char *(*get_env)(const char *name),
                      Slice *ret_secret, Err *e)
{
    *ret_secret = (Slice){0};
    if (provider->api_key_env.len > 0) {
        const char *name = arena_cstr(arena, provider->api_key_env);
        const char *value = get_env ? get_env(name) : NULL;
        if (!value || !value[0]) {
            return err_set(e, ERR_NOT_FOUND, "[llm.%.*s]: the variable %s is not set",
                           SLICE_FMT(provider->name), name);
        }
        *ret_secret = slice_trim(slice_from_cstr(value));
    } else if (provider->api_key_file.len > 0) {
        enum { KEY_BYTES_MAX = 16 << 10 };
        FILE *file = fopen(arena_cstr(arena, provider->api_key_file), "re");
        char *text = arena_alloc(arena, KEY_BYTES_MAX);
        size_t len = file ? fread(text, 1, KEY_BYTES_MAX, file) : 0;
        if (file) {
            (void)fclose(file);
        }
        *ret_secret = slice_trim((Slice){text, len});
        if (ret_secret->len == 0 || len == KEY_BYTES_MAX) {
            return err_set(e, ERR_IO, "[llm.%.*s]: no key can be read from %.*s",
                           SLICE_FMT(provider->name), SLICE_FMT(provider->api_key_file));
        }
    }
    if (slice_find_byte(*ret_secret, '\n') >= 0 || slice_find_byte(*ret_secret, '\r') >= 0) {
        return err_set(e, ERR_ARG, "[llm.%.*s]: the key has more than one line",
                       SLICE_FMT(provider->name));
    }
    return 0;
}

// ---- the guide's table

static void put_params(Buf *out, const char *heading, const ParamTable *table)
{
    if (heading) {
        buf_printf(out, "\n### %s\n\n| key | default | |\n|---|---|---|\n", heading);
    }
    for (size_t i = 0; i < table->count; i++) {
        buf_printf(out, "| `%s` | `", table->params[i].name);
        param_format(&table->params[i], table->params[i].initial, out);
        buf_printf(out, "` | %s |\n", table->params[i].help);
    }
}

void llm_config_keys(Buf *out)
{
    buf_puts(out, "### [llm.NAME]\n\n| key | default | |\n|---|---|---|\n"
                  "| `provider` | the section's name | The protocol: openai, openai-responses, "
                  "azure, anthropic, gemini, ollama, or compatible. |\n"
                  "| `fallback` |  | Who is asked when this one fails: `NAME`, or several. |\n");
    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        buf_printf(out, "| `%s` |  | %s |\n", TEXTS[i].name, TEXTS[i].help);
    }
    put_params(out, NULL, &PROVIDER_TABLE);
    put_params(out, "[llm.cache]", &CACHE_TABLE);
    put_params(out, "[llm.budget]", &BUDGET_TABLE);
    put_params(out, "[llm.prices.MODEL]", &PRICE_TABLE);
}
