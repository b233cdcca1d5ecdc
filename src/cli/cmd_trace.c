// trace and cache: what running agents did in a session, and what they keep.
#include "cli/commands.h"
#include "cli/table.h"

#include "base/json_write.h"
#include "base/utf8.h"
#include "cli/agent_client.h"

static Slice base_url(const OptionSet *set)
{
    Slice base = option_string(set, "url");
    while (slice_ends_with(base, SLICE("/"))) {
        base.len--;
    }
    return base;
}

// "BASE/sessions/NAME" + tail, the name percent-encoded.
static Slice session_url(App *app, const OptionSet *set, Slice session, const char *tail)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
    Buf url = buf_create(8 << 10);
    buf_append(&url, base_url(set));
    buf_puts(&url, "/sessions");
    if (session.len > 0) {
        buf_putc(&url, '/');
    }
    for (size_t i = 0; i < session.len; i++) {
        if (session.ptr[i] && strchr(plain, session.ptr[i])) {
            buf_putc(&url, session.ptr[i]);
        } else {
            buf_printf(&url, "%%%02X", (unsigned char)session.ptr[i]);
        }
    }
    buf_puts(&url, tail);
    Slice text = arena_copy(app->arena, buf_slice(&url));
    buf_done(&url);
    return text;
}

static void print_json(App *app, const Doc *answer)
{
    JsonWriter w = json_writer(&app->out, 2);
    doc_write(&w, answer);
    buf_putc(&app->out, '\n');
}

// ---- trace

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d ? d->text : (Slice){0};
}

static void put_safe(Table *t, App *app, Slice text)
{
    Buf safe = buf_create(4 << 10);
    utf8_sanitise(&safe, text);
    table_put(t, arena_copy(app->arena, buf_slice(&safe)));
    buf_done(&safe);
}

static void print_trace(App *app, const Doc *answer)
{
    static const char *const HEADS[] = {"AT", "TOOK", "AGENT", "FROM", "TYPE", "TRY", "CODE"};
    const Doc *entries = doc_get(answer, SLICE("entries"));
    const Doc *first = doc_at(entries, 0);
    double began_ns = doc_number(doc_get(first, SLICE("startNs")));
    Table t = table_create(app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (const Doc *m = doc_first(entries); m; m = doc_next(m)) {
        char text[UNITS_TEXT_MAX];
        table_putf(&t, "+%.3fms", (doc_number(doc_get(m, SLICE("startNs"))) - began_ns) / 1e6);
        (void)duration_format_short((int64_t)doc_number(doc_get(m, SLICE("durationNs"))), text);
        table_putf(&t, "%s", text);
        put_safe(&t, app, text_of(m, "agent"));
        put_safe(&t, app, text_of(m, "from"));
        put_safe(&t, app, text_of(m, "type"));
        table_put(&t, text_of(m, "attempt"));
        table_put(&t, text_of(m, "code"));
    }
    table_print(&t, 0, &app->out);
}

static int run_trace(App *app, const OptionSet *set, Err *e)
{
    const Doc *answer = NULL;
    Slice session = option_positional(set, 0);
    int rc = cli_agent_request(app, "GET", session_url(app, set, session, "/trace"), &answer, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        print_json(app, answer);
    } else if (doc_count(doc_get(answer, SLICE("entries"))) == 0) {
        return err_set(e, ERR_NOT_FOUND, "nothing is kept of session \"%.*s\"", SLICE_FMT(session));
    } else {
        print_trace(app, answer);
    }
    return EXIT_PASS;
}

static const Positional TRACE_ARGS[] = {{"SESSION", "Name of the session.", false, false}};
static const Option TRACE_OPTIONS[] = {OPTION_AGENT_URL, OPTION_JSON};
static const Example TRACE_EXAMPLES[] = {
    {"perfwright trace s-42", "Every agent run of the session, in order of time."},
};
static const Verb VERB_TRACE = {
    .name = "trace",
    .summary = "show what running agents did in a session",
    .description = "The agents keep the last [runner] trace_entries runs in memory.",
    OPTION_TABLE(TRACE_OPTIONS),
    POSITIONAL_TABLE(TRACE_ARGS),
    EXAMPLE_TABLE(TRACE_EXAMPLES)};
const Command CMD_TRACE = {&VERB_TRACE, run_trace, false};

// ---- cache

static const Option CACHE_OPTIONS[] = {OPTION_AGENT_URL, OPTION_JSON};

static int cache_request(App *app, const OptionSet *set, const char *method, Slice session,
                         const Doc **ret_answer, Err *e)
{
    return cli_agent_request(app, method, session_url(app, set, session, ""), ret_answer, e);
}

// Of the cached answers of models and tools.
static int answers_request(App *app, const OptionSet *set, const char *method,
                           const Doc **ret_answer, Err *e)
{
    Slice url = arena_printf(app->arena, "%.*s/caches", SLICE_FMT(base_url(set)));
    return cli_agent_request(app, method, url, ret_answer, e);
}

static void print_answers(App *app, const Doc *answers)
{
    static const char *const WHAT[] = {"models", "tools"};
    for (size_t i = 0; i < COUNT_OF(WHAT); i++) {
        const Doc *figures = doc_get(answers, slice_from_cstr(WHAT[i]));
        buf_printf(&app->out, "%-10s %.*s answers, %.*s bytes, %.*s hits, %.*s misses\n", WHAT[i],
                   SLICE_FMT(text_of(figures, "entries")), SLICE_FMT(text_of(figures, "bytes")),
                   SLICE_FMT(text_of(figures, "hits")), SLICE_FMT(text_of(figures, "misses")));
    }
}

static void write_answers(JsonWriter *w, const Doc *answers, const char *what)
{
    const Doc *figures = doc_get(answers, slice_from_cstr(what));
    json_key(w, slice_from_cstr(what));
    if (figures) {
        doc_write(w, figures);
    } else {
        json_null(w);
    }
}

static int run_cache_stats(App *app, const OptionSet *set, Err *e)
{
    static const char *const FIGURES[] = {"sessions", "hits", "misses", "evicted", "expired"};
    const Doc *answer = NULL, *answers = NULL;
    int rc = cache_request(app, set, "GET", (Slice){0}, &answer, e);
    if (rc != 0 || (rc = answers_request(app, set, "GET", &answers, e)) != 0) {
        return rc;
    }
    JsonWriter w = json_writer(&app->out, 2);
    bool json = option_flag(set, "json");
    if (json) {
        json_object_begin(&w);
    }
    for (size_t i = 0; i < COUNT_OF(FIGURES); i++) {
        const Doc *figure = doc_get(answer, slice_from_cstr(FIGURES[i]));
        if (json) {
            json_field_int(&w, FIGURES[i], figure ? figure->integer : 0);
        } else {
            buf_printf(&app->out, "%-10s %.*s\n", FIGURES[i],
                       SLICE_FMT(figure ? figure->text : SLICE("0")));
        }
    }
    if (json) {
        write_answers(&w, answers, "models");
        write_answers(&w, answers, "tools");
        json_object_end(&w);
        buf_putc(&app->out, '\n');
    } else {
        print_answers(app, answers);
    }
    return EXIT_PASS;
}

static int run_cache_list(App *app, const OptionSet *set, Err *e)
{
    const Doc *answer = NULL;
    int rc = cache_request(app, set, "GET", (Slice){0}, &answer, e);
    if (rc != 0) {
        return rc;
    }
    const Doc *entries = doc_get(answer, SLICE("entries"));
    if (option_flag(set, "json")) {
        print_json(app, entries ? entries : answer);
        return EXIT_PASS;
    }
    Table t = table_create(app->arena, 3);
    table_put(&t, SLICE("SESSION"));
    table_put(&t, SLICE("KEYS"));
    table_put(&t, SLICE("BYTES"));
    for (const Doc *m = doc_first(entries); m; m = doc_next(m)) {
        put_safe(&t, app, text_of(m, "session"));
        table_put(&t, text_of(m, "keys"));
        table_put(&t, text_of(m, "bytes"));
    }
    table_print(&t, 0, &app->out);
    return EXIT_PASS;
}

static int forget(App *app, const OptionSet *set, Slice session, Err *e)
{
    const Doc *answer = NULL;
    int rc = cache_request(app, set, "DELETE", session, &answer, e);
    if (rc != 0) {
        return rc;
    }
    const Doc *count = doc_get(answer, SLICE("forgotten"));
    if (session.len > 0 && (!count || count->integer == 0)) {
        return err_set(e, ERR_NOT_FOUND, "nothing is kept of session \"%.*s\"", SLICE_FMT(session));
    }
    if (option_flag(set, "json")) {
        print_json(app, answer);
    } else {
        buf_printf(&app->out, "%lld forgotten\n", (long long)(count ? count->integer : 0));
    }
    return EXIT_PASS;
}

static int run_cache_clear(App *app, const OptionSet *set, Err *e)
{
    const Doc *answer = NULL, *answers = NULL;
    int rc = cache_request(app, set, "DELETE", (Slice){0}, &answer, e);
    if (rc != 0 || (rc = answers_request(app, set, "DELETE", &answers, e)) != 0) {
        return rc;
    }
    const Doc *sessions = doc_get(answer, SLICE("forgotten"));
    const Doc *others = doc_get(answers, SLICE("forgotten"));
    int64_t count[] = {sessions ? sessions->integer : 0, others ? others->integer : 0};
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "forgotten", count[0]);
        json_field_int(&w, "answers", count[1]);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
    } else {
        buf_printf(&app->out, "%lld forgotten, and %lld cached answers\n", (long long)count[0],
                   (long long)count[1]);
    }
    return EXIT_PASS;
}

static int run_cache_invalidate(App *app, const OptionSet *set, Err *e)
{
    return forget(app, set, option_positional(set, 0), e);
}

static const Positional INVALIDATE_ARGS[] = {{"SESSION", "Name of the session.", false, false}};
static const Verb VERB_CACHE_STATS = {
    .name = "cache stats",
    .summary = "what running agents keep: session states, answers of models and tools",
    OPTION_TABLE(CACHE_OPTIONS)};
const Command CMD_CACHE_STATS = {&VERB_CACHE_STATS, run_cache_stats, false};
static const Verb VERB_CACHE_LIST = {.name = "cache list",
                                     .summary = "list the session states that running agents keep",
                                     OPTION_TABLE(CACHE_OPTIONS)};
const Command CMD_CACHE_LIST = {&VERB_CACHE_LIST, run_cache_list, false};
static const Verb VERB_CACHE_CLEAR = {
    .name = "cache clear",
    .summary = "make running agents forget every session and cached answer",
    OPTION_TABLE(CACHE_OPTIONS)};
const Command CMD_CACHE_CLEAR = {&VERB_CACHE_CLEAR, run_cache_clear, false};
static const Verb VERB_CACHE_INVALIDATE = {.name = "cache invalidate",
                                           .summary = "make running agents forget one session",
                                           OPTION_TABLE(CACHE_OPTIONS),
                                           POSITIONAL_TABLE(INVALIDATE_ARGS)};
const Command CMD_CACHE_INVALIDATE = {&VERB_CACHE_INVALIDATE, run_cache_invalidate, false};
