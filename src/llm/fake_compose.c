// What a fake model says: the text or the calls of a rule, or made-up ones that fit the request.
#include "llm/fake_schema.h"
#include "llm/fake_shard.h"

enum { CALL_TOKENS = 4 }; // of a tool call beside its arguments

// Texts that are made stand in w->made, which moves while it grows; they are found again by their
// place when all are there.
typedef struct Made {
    Slice *slot;
    size_t at;
} Made;

typedef struct Maker {
    FakeWork *w;
    Made made[FAKE_CALLS_MAX + 1];
    size_t count;
} Maker;

static void made_begin(Maker *m, Slice *slot)
{
    m->made[m->count++] = (Made){slot, m->w->made.len};
}

static void made_end(Maker *m)
{
    const Made *last = &m->made[m->count - 1];
    last->slot->len = m->w->made.len - last->at;
}

static void make_arguments(Maker *m, FakeCall *call)
{
    if (call->arguments.len > 0) {
        return;
    }
    const FakeTool *tool = fake_request_tool(&m->w->request, call->name);
    made_begin(m, &call->arguments);
    fake_schema_value(tool ? tool->schema : NULL, &m->w->made);
    made_end(m);
}

static void make_text_of_rule(Maker *m, const FakeRule *rule)
{
    static const Slice mark = SLICE_INIT("{{message}}");
    const FakeRequest *r = &m->w->request;
    FakeAnswer *a = &m->w->answer;
    if (slice_find(rule->text, mark) < 0) {
        a->text = rule->text;
        return;
    }
    made_begin(m, &a->text);
    Slice rest = rule->text;
    for (ptrdiff_t at; (at = slice_find(rest, mark)) >= 0;) {
        buf_append(&m->w->made, slice_sub(rest, 0, (size_t)at));
        for (size_t i = 0; i < r->text_count; i++) {
            buf_append(&m->w->made, r->texts[i]);
        }
        rest = slice_sub(rest, (size_t)at + mark.len, rest.len);
    }
    buf_append(&m->w->made, rest);
    made_end(m);
}

static bool wants_call(const FakeWork *w)
{
    const FakeRequest *r = &w->request;
    if (r->tool_count == 0 || r->tool_choice == FAKE_TOOLS_NONE || r->after_tool) {
        return false;
    }
    return r->tool_choice == FAKE_TOOLS_REQUIRED ||
           (w->settings.tool_rate > 0 && rng_double(&w->shard->rng) < w->settings.tool_rate);
}

static void make_from_rule(Maker *m, const FakeRule *rule)
{
    FakeAnswer *a = &m->w->answer;
    memcpy(a->calls, rule->calls, rule->call_count * sizeof *rule->calls);
    a->call_count = rule->call_count;
    if (rule->has_text) {
        make_text_of_rule(m, rule);
    }
}

static void make_default(Maker *m)
{
    FakeWork *w = m->w;
    FakeAnswer *a = &w->answer;
    if (wants_call(w)) {
        const FakeTool *tool = fake_request_tool(&w->request, w->request.tool_wanted);
        tool = tool ? tool : &w->request.tools[0];
        a->calls[0] = (FakeCall){.name = tool->name};
        a->call_count = 1;
    } else if (w->request.json) {
        made_begin(m, &a->text);
        fake_schema_value(w->request.schema, &w->made);
        made_end(m);
    } else {
        int64_t tokens = fake_dist_sample(&w->settings.answer_tokens, &w->shard->rng);
        tokens = tokens > FAKE_TOKENS_MAX ? FAKE_TOKENS_MAX : tokens;
        a->text = fake_corpus_text(w->shard->llm->corpus, (size_t)tokens);
    }
}

// Ends the text where a stop sequence or the limit of tokens says so.
static void cut_text(FakeWork *w)
{
    const FakeRequest *r = &w->request;
    FakeAnswer *a = &w->answer;
    for (size_t i = 0; i < r->stop_count; i++) {
        ptrdiff_t at = slice_find(a->text, r->stops[i]);
        if (at >= 0) {
            a->text = slice_sub(a->text, 0, (size_t)at);
            a->stop = r->stops[i];
            a->finish = FAKE_FINISH_STOP_SEQUENCE;
        }
    }
    size_t bytes = 0;
    size_t max = r->max_tokens >= 0 ? (size_t)r->max_tokens : SIZE_MAX;
    a->tokens_out = (int64_t)fake_text_tokens(a->text, max, &bytes);
    if (bytes < a->text.len) {
        a->text = slice_sub(a->text, 0, bytes);
        a->finish = FAKE_FINISH_LENGTH;
    }
}

void fake_compose(FakeWork *w, const FakeRule *rule)
{
    FakeAnswer *a = &w->answer;
    Maker m;
    m.w = w;
    m.count = 0;
    buf_reset(&w->made);
    a->thought = a->text = a->stop = (Slice){NULL, 0};
    a->call_count = 0;
    a->finish = FAKE_FINISH_STOP;
    if (rule) {
        a->thought = rule->thinking;
    }
    if (rule && (rule->has_text || rule->call_count > 0)) {
        make_from_rule(&m, rule);
    } else {
        make_default(&m);
    }
    for (size_t i = 0; i < a->call_count; i++) {
        make_arguments(&m, &a->calls[i]);
    }
    for (size_t i = 0; i < m.count; i++) {
        m.made[i].slot->ptr = w->made.data + m.made[i].at;
    }
    cut_text(w);
    a->tokens_in = fake_request_tokens(&w->request);
    for (size_t i = 0; i < a->call_count; i++) {
        size_t ignored;
        size_t pieces = fake_text_tokens(a->calls[i].arguments, SIZE_MAX, &ignored);
        a->tokens_out += CALL_TOKENS + (int64_t)pieces;
        a->finish = FAKE_FINISH_TOOLS;
    }
    size_t bytes;
    a->tokens_thought = (int64_t)fake_text_tokens(a->thought, SIZE_MAX, &bytes);
    a->tokens_out = (a->tokens_out + a->tokens_thought) * w->request.choices;
}
