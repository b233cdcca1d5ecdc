#include "llm/fake_script.h"

#include <math.h>

#include "base/units.h"

static const char *const fault_names[FAKE_FAULTS] = {
    [FAKE_RATE_LIMIT] = "rate_limit",     [FAKE_SERVER_ERROR] = "server_error",
    [FAKE_UNAVAILABLE] = "unavailable",   [FAKE_OVERLOADED] = "overloaded",
    [FAKE_MALFORMED] = "malformed",       [FAKE_TRUNCATED] = "truncated",
    [FAKE_DISCONNECT] = "disconnect",     [FAKE_STALL] = "stall",
    [FAKE_ERROR_IN_200] = "error_in_200", [FAKE_WRONG_TYPE] = "wrong_type",
};

const char *fake_fault_name(FakeFault fault)
{
    return fault < FAKE_FAULTS ? fault_names[fault] : "none";
}

int fake_fault_parse(Slice name, FakeFault *ret_fault, Err *e)
{
    Slice names[FAKE_FAULTS];
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        names[i] = slice_from_cstr(fault_names[i]);
        if (slice_eq(names[i], name)) {
            *ret_fault = (FakeFault)i;
            return 0;
        }
    }
    Slice nearest = slice_nearest(name, names, FAKE_FAULTS);
    return err_set(e, ERR_ARG, "there is no fault \"%.*s\"%s%.*s%s", SLICE_FMT(name),
                   nearest.len ? "; did you mean \"" : "; see perfwright fake-llm --help",
                   SLICE_FMT(nearest), nearest.len ? "\"?" : "");
}

FakeSettings fake_settings_default(void)
{
    return (FakeSettings){
        .latency = fake_dist_fixed(0, true),
        .ttft = fake_dist_fixed(0, true),
        .answer_tokens = fake_dist_fixed(16, false),
        .retry_after_ns = NS_PER_SECOND,
        .stall_ns = NS_PER_MINUTE,
    };
}

// ---- reading

typedef struct Reader {
    Arena *arena;
    bool files;
    Err *e;
} Reader;

static int read_dist(const Reader *r, const Doc *v, bool durations, FakeDist *ret_dist)
{
    if (v->type != DOC_STRING && v->type != DOC_INT) {
        return doc_err(r->e, v, "%.*s must be a distribution like \"50ms\" or \"uniform:1,9\"",
                       SLICE_FMT(v->key));
    }
    Err why = {0};
    int rc = fake_dist_parse(r->arena, v->text, durations, r->files, ret_dist, &why);
    return rc == 0 ? 0 : doc_err(r->e, v, "%.*s: %s", SLICE_FMT(v->key), why.text);
}

static int read_duration(const Reader *r, const Doc *v, int64_t *ret_ns)
{
    Err why = {0};
    bool ok = v->type == DOC_STRING || v->type == DOC_INT;
    int rc = ok ? duration_parse(v->text, 0, ret_ns, &why) : ERR_PARSE;
    return rc == 0 ? 0 : doc_err(r->e, v, "%.*s must be a duration like \"1s\"", SLICE_FMT(v->key));
}

static int read_number(const Reader *r, const Doc *v, double max, double *ret_value)
{
    double value = doc_number(v);
    if (!doc_is_number(v) || !(value >= 0 && value <= max)) {
        return doc_err(r->e, v, "%.*s must be a number from 0 to %g", SLICE_FMT(v->key), max);
    }
    *ret_value = value;
    return 0;
}

static int read_whole(const Reader *r, const Doc *v, int64_t max, int64_t *ret_value)
{
    if (v->type != DOC_INT || v->integer < 0 || v->integer > max) {
        return doc_err(r->e, v, "%.*s must be a whole number from 0 to %lld", SLICE_FMT(v->key),
                       (long long)max);
    }
    *ret_value = v->integer;
    return 0;
}

static int read_text(const Reader *r, const Doc *v, Slice *ret_text)
{
    if (v->type != DOC_STRING) {
        return doc_err(r->e, v, "%.*s must be text, not %s", SLICE_FMT(v->key),
                       doc_type_name(v->type));
    }
    *ret_text = arena_copy(r->arena, v->text);
    return 0;
}

static int read_flag(const Reader *r, const Doc *v, int *ret_flag)
{
    if (v->type != DOC_BOOL) {
        return doc_err(r->e, v, "%.*s must be true or false", SLICE_FMT(v->key));
    }
    *ret_flag = v->boolean;
    return 0;
}

static int read_faults(const Reader *r, const Doc *object, FakeSettings *s)
{
    int rc = doc_expect(object, DOC_OBJECT, "faults", r->e);
    for (const Doc *v = doc_first(object); rc == 0 && v; v = doc_next(v)) {
        FakeFault fault = FAKE_NO_FAULT;
        Err why = {0};
        if (fake_fault_parse(v->key, &fault, &why) != 0) {
            return doc_err_key(r->e, v, "%s", why.text);
        }
        rc = read_number(r, v, 1, &s->fault_rate[fault]);
    }
    return rc;
}

enum { PER_MINUTE_MAX = 1000000000 };

// 1: the member is no setting.
static int read_setting(const Reader *r, const Doc *v, FakeSettings *s)
{
    Slice key = v->key;
    if (slice_eq_cstr(key, "latency")) {
        return read_dist(r, v, true, &s->latency);
    }
    if (slice_eq_cstr(key, "ttft")) {
        s->has_ttft = true;
        return read_dist(r, v, true, &s->ttft);
    }
    if (slice_eq_cstr(key, "answer_tokens")) {
        return read_dist(r, v, false, &s->answer_tokens);
    }
    if (slice_eq_cstr(key, "tokens_per_second")) {
        return read_number(r, v, 1e9, &s->tokens_per_second);
    }
    if (slice_eq_cstr(key, "tool_rate")) {
        return read_number(r, v, 1, &s->tool_rate);
    }
    if (slice_eq_cstr(key, "retry_after")) {
        return read_duration(r, v, &s->retry_after_ns);
    }
    if (slice_eq_cstr(key, "stall")) {
        return read_duration(r, v, &s->stall_ns);
    }
    if (slice_eq_cstr(key, "batch_delay")) {
        return read_duration(r, v, &s->batch_delay_ns);
    }
    if (slice_eq_cstr(key, "requests_per_minute")) {
        return read_whole(r, v, PER_MINUTE_MAX, &s->requests_per_minute);
    }
    if (slice_eq_cstr(key, "tokens_per_minute")) {
        return read_whole(r, v, PER_MINUTE_MAX, &s->tokens_per_minute);
    }
    if (slice_eq_cstr(key, "faults")) {
        return read_faults(r, v, s);
    }
    return 1;
}

static const Slice names[] = {
    SLICE_INIT("latency"),
    SLICE_INIT("ttft"),
    SLICE_INIT("answer_tokens"),
    SLICE_INIT("tokens_per_second"),
    SLICE_INIT("tool_rate"),
    SLICE_INIT("retry_after"),
    SLICE_INIT("stall"),
    SLICE_INIT("batch_delay"),
    SLICE_INIT("requests_per_minute"),
    SLICE_INIT("tokens_per_minute"),
    SLICE_INIT("faults"),
    // Of a script only; the settings come first.
    SLICE_INIT("seed"),
    SLICE_INIT("models"),
    SLICE_INIT("rules"),
};
enum { SETTING_NAMES = COUNT_OF(names) - 3 };

int fake_settings_check(const FakeSettings *s, Err *e)
{
    double sum = 0;
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        sum += s->fault_rate[i];
    }
    return sum > 1 + 1e-9
               ? err_set(e, ERR_ARG, "the rates of all faults together are %g, more than 1", sum)
               : 0;
}

int fake_settings_read(Arena *arena, const Doc *object, bool only, bool files,
                       FakeSettings *settings, Err *e)
{
    Reader r = {arena, files, e};
    FakeSettings s = *settings;
    int rc = doc_expect(object, DOC_OBJECT, "the settings", e);
    if (rc == 0 && only) {
        rc = doc_expect_fields(object, names, SETTING_NAMES, e);
    }
    for (const Doc *v = doc_first(object); rc >= 0 && v; v = doc_next(v)) {
        rc = read_setting(&r, v, &s);
    }
    if (rc >= 0) {
        rc = fake_settings_check(&s, e);
    }
    if (rc == 0) {
        *settings = s;
    }
    return rc;
}

static void write_dist(JsonWriter *w, const char *key, const FakeDist *d)
{
    Buf text = buf_create(1 << 12);
    fake_dist_print(d, &text);
    json_field_string(w, key, buf_slice(&text));
    buf_done(&text);
}

static void write_duration(JsonWriter *w, const char *key, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    duration_format(ns, text);
    json_field_cstr(w, key, text);
}

void fake_settings_write(const FakeSettings *s, JsonWriter *w)
{
    json_object_begin(w);
    write_dist(w, "latency", &s->latency);
    if (s->has_ttft) {
        write_dist(w, "ttft", &s->ttft);
    }
    write_dist(w, "answer_tokens", &s->answer_tokens);
    json_field_double(w, "tokens_per_second", s->tokens_per_second);
    json_field_double(w, "tool_rate", s->tool_rate);
    write_duration(w, "retry_after", s->retry_after_ns);
    write_duration(w, "stall", s->stall_ns);
    write_duration(w, "batch_delay", s->batch_delay_ns);
    json_field_int(w, "requests_per_minute", s->requests_per_minute);
    json_field_int(w, "tokens_per_minute", s->tokens_per_minute);
    json_key(w, SLICE("faults"));
    json_object_begin(w);
    for (size_t i = 0; i < FAKE_FAULTS; i++) {
        json_field_double(w, fault_names[i], s->fault_rate[i]);
    }
    json_object_end(w);
    json_object_end(w);
}

// ---- rules

static int read_match(const Reader *r, const Doc *object, FakeRule *rule)
{
    static const Slice match_names[] = {SLICE_INIT("model"),  SLICE_INIT("message"),
                                        SLICE_INIT("system"), SLICE_INIT("tool_result"),
                                        SLICE_INIT("tool"),   SLICE_INIT("provider"),
                                        SLICE_INIT("stream"), SLICE_INIT("after_tool")};
    Slice *texts[] = {&rule->model,       &rule->message, &rule->system_text,
                      &rule->tool_result, &rule->tool,    &rule->provider};
    int rc = doc_expect(object, DOC_OBJECT, "match", r->e);
    if (rc == 0) {
        rc = doc_expect_fields(object, match_names, COUNT_OF(match_names), r->e);
    }
    for (const Doc *v = doc_first(object); rc == 0 && v; v = doc_next(v)) {
        if (slice_eq_cstr(v->key, "stream")) {
            rc = read_flag(r, v, &rule->stream);
        } else if (slice_eq_cstr(v->key, "after_tool")) {
            rc = read_flag(r, v, &rule->after_tool);
        }
        for (size_t i = 0; rc == 0 && i < COUNT_OF(texts); i++) {
            if (slice_eq(v->key, match_names[i])) {
                rc = read_text(r, v, texts[i]);
            }
        }
    }
    return rc;
}

static int read_call(const Reader *r, const Doc *object, FakeRule *rule)
{
    static const Slice call_names[] = {SLICE_INIT("name"), SLICE_INIT("arguments")};
    int rc = doc_expect(object, DOC_OBJECT, "a tool call", r->e);
    if (rc == 0) {
        rc = doc_expect_fields(object, call_names, COUNT_OF(call_names), r->e);
    }
    const Doc *name = doc_get(object, SLICE("name"));
    const Doc *arguments = doc_get(object, SLICE("arguments"));
    if (rc == 0 && (!name || rule->call_count == FAKE_CALLS_MAX)) {
        rc = doc_err(r->e, object, name ? "too many tool calls" : "a tool call needs a name");
    }
    FakeCall *call = &rule->calls[rule->call_count];
    if (rc == 0) {
        rc = read_text(r, name, &call->name);
    }
    if (rc == 0 && arguments) {
        if ((rc = doc_expect(arguments, DOC_OBJECT, "arguments", r->e)) == 0) {
            Buf text = buf_create(1 << 20);
            JsonWriter w = json_writer(&text, 0);
            doc_write(&w, arguments);
            call->arguments = arena_copy(r->arena, buf_slice(&text));
            buf_done(&text);
        }
    }
    rule->call_count += rc == 0;
    return rc;
}

static int read_calls(const Reader *r, const Doc *array, FakeRule *rule)
{
    int rc = doc_expect(array, DOC_ARRAY, "tools", r->e);
    for (const Doc *v = doc_first(array); rc == 0 && v; v = doc_next(v)) {
        rc = read_call(r, v, rule);
    }
    return rc;
}

static int read_error(const Reader *r, const Doc *object, FakeRule *rule)
{
    static const Slice error_names[] = {SLICE_INIT("status"), SLICE_INIT("message"),
                                        SLICE_INIT("type"), SLICE_INIT("code"),
                                        SLICE_INIT("retry_after")};
    int rc = doc_expect(object, DOC_OBJECT, "error", r->e);
    if (rc == 0) {
        rc = doc_expect_fields(object, error_names, COUNT_OF(error_names), r->e);
    }
    const Doc *status = doc_get(object, SLICE("status"));
    if (rc == 0 &&
        (!status || status->type != DOC_INT || status->integer < 400 || status->integer > 599)) {
        rc = doc_err(r->e, status ? status : object, "an error needs a status from 400 to 599");
    }
    if (rc == 0) {
        rule->status = (int)status->integer;
    }
    for (const Doc *v = doc_first(object); rc == 0 && v; v = doc_next(v)) {
        if (slice_eq_cstr(v->key, "message")) {
            rc = read_text(r, v, &rule->error_message);
        } else if (slice_eq_cstr(v->key, "type")) {
            rc = read_text(r, v, &rule->error_type);
        } else if (slice_eq_cstr(v->key, "code")) {
            rc = read_text(r, v, &rule->error_code);
        } else if (slice_eq_cstr(v->key, "retry_after")) {
            rc = read_duration(r, v, &rule->retry_after_ns);
        }
    }
    return rc;
}

static int read_action(const Reader *r, const Doc *v, FakeRule *rule)
{
    if (slice_eq_cstr(v->key, "match")) {
        return read_match(r, v, rule);
    }
    if (slice_eq_cstr(v->key, "times")) {
        return read_whole(r, v, INT64_MAX, &rule->times);
    }
    if (slice_eq_cstr(v->key, "text")) {
        rule->has_text = true;
        return read_text(r, v, &rule->text);
    }
    if (slice_eq_cstr(v->key, "thinking")) {
        return read_text(r, v, &rule->thinking);
    }
    if (slice_eq_cstr(v->key, "tools")) {
        return read_calls(r, v, rule);
    }
    if (slice_eq_cstr(v->key, "error")) {
        return read_error(r, v, rule);
    }
    if (slice_eq_cstr(v->key, "latency")) {
        rule->has_latency = true;
        return read_dist(r, v, true, &rule->latency);
    }
    Slice name = {NULL, 0}; // what is left is "fault"
    int rc = read_text(r, v, &name);
    Err why = {0};
    if (rc == 0 && fake_fault_parse(name, &rule->fault, &why) != 0) {
        rc = doc_err(r->e, v, "%s", why.text);
    }
    return rc;
}

static int read_rule(const Reader *r, const Doc *object, FakeRule *rule)
{
    static const Slice rule_names[] = {
        SLICE_INIT("match"), SLICE_INIT("times"),   SLICE_INIT("text"),  SLICE_INIT("tools"),
        SLICE_INIT("error"), SLICE_INIT("latency"), SLICE_INIT("fault"), SLICE_INIT("thinking")};
    *rule = (FakeRule){
        .stream = -1, .after_tool = -1, .times = -1, .retry_after_ns = -1, .fault = FAKE_NO_FAULT};
    int rc = doc_expect(object, DOC_OBJECT, "a rule", r->e);
    if (rc == 0) {
        rc = doc_expect_fields(object, rule_names, COUNT_OF(rule_names), r->e);
    }
    for (const Doc *v = doc_first(object); rc == 0 && v; v = doc_next(v)) {
        rc = read_action(r, v, rule);
    }
    return rc;
}

static int read_rules(const Reader *r, const Doc *array, FakeScript *script)
{
    int rc = doc_expect(array, DOC_ARRAY, "rules", r->e);
    if (rc == 0 && doc_count(array) > FAKE_RULES_MAX) {
        rc = doc_err(r->e, array, "more than %d rules", FAKE_RULES_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    script->rules = ARENA_ARRAY(r->arena, FakeRule, doc_count(array) + 1);
    for (const Doc *v = doc_first(array); rc == 0 && v; v = doc_next(v)) {
        rc = read_rule(r, v, &script->rules[script->rule_count]);
        script->rule_count += rc == 0;
    }
    return rc;
}

static int read_models(const Reader *r, const Doc *array, FakeScript *script)
{
    int rc = doc_expect(array, DOC_ARRAY, "models", r->e);
    if (rc != 0) {
        return rc;
    }
    script->models = ARENA_ARRAY(r->arena, Slice, doc_count(array) + 1);
    script->model_count = 0;
    for (const Doc *v = doc_first(array); rc == 0 && v; v = doc_next(v)) {
        rc = read_text(r, v, &script->models[script->model_count]);
        script->model_count += rc == 0;
    }
    return rc;
}

FakeScript *fake_script_default(Arena *arena)
{
    static const Slice models[] = {SLICE_INIT("fake-large"), SLICE_INIT("fake-small"),
                                   SLICE_INIT("fake-embedding")};
    FakeScript *script = ARENA_NEW(arena, FakeScript);
    script->settings = fake_settings_default();
    script->models = ARENA_ARRAY(arena, Slice, COUNT_OF(models));
    memcpy(script->models, models, sizeof models);
    script->model_count = COUNT_OF(models);
    return script;
}

int fake_script_read(Arena *arena, const Doc *doc, FakeScript **ret_script, Err *e)
{
    Reader r = {arena, true, e};
    FakeScript *script = fake_script_default(arena);
    if (doc->type == DOC_NULL) { // an empty file
        *ret_script = script;
        return 0;
    }
    int rc = doc_expect(doc, DOC_OBJECT, "a script", e);
    if (rc == 0) {
        rc = doc_expect_fields(doc, names, COUNT_OF(names), e);
    }
    if (rc == 0) {
        rc = fake_settings_read(arena, doc, false, true, &script->settings, e);
    }
    int64_t seed = 0;
    for (const Doc *v = doc_first(doc); rc == 0 && v; v = doc_next(v)) {
        if (slice_eq_cstr(v->key, "seed")) {
            rc = read_whole(&r, v, INT64_MAX, &seed);
        } else if (slice_eq_cstr(v->key, "models")) {
            rc = read_models(&r, v, script);
        } else if (slice_eq_cstr(v->key, "rules")) {
            rc = read_rules(&r, v, script);
        }
    }
    if (rc == 0) {
        script->seed = (uint64_t)seed;
        *ret_script = script;
    }
    return rc;
}

// ---- matching

static bool is_in(Slice part, Slice whole)
{
    return part.len == 0 || slice_find(whole, part) >= 0;
}

static bool message_matches(const FakeRule *rule, const FakeRequest *r)
{
    for (size_t i = 0; i < r->text_count; i++) {
        if (is_in(rule->message, r->texts[i])) {
            return true;
        }
    }
    return rule->message.len == 0;
}

bool fake_rule_matches(const FakeRule *rule, const FakeRequest *r, Slice provider)
{
    return (rule->provider.len == 0 || slice_eq(rule->provider, provider)) &&
           (rule->stream < 0 || rule->stream == r->stream) &&
           (rule->after_tool < 0 || rule->after_tool == r->after_tool) &&
           (rule->tool_result.len == 0 || r->after_tool) && is_in(rule->model, r->model) &&
           is_in(rule->system_text, r->system_text) && is_in(rule->tool_result, r->tool_result) &&
           (rule->tool.len == 0 || fake_request_tool(r, rule->tool)) && message_matches(rule, r);
}
