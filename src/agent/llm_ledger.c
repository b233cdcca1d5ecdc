// What calls to models did, by operation, provider, model and outcome, as OpenTelemetry's gen_ai.*
// metrics count it. One lock: a call to a model takes milliseconds, noting it a microsecond.
#include "agent/llm_impl.h"

#include <pthread.h>

// The distinct models of one configuration; what comes after the last one is counted under it.
enum { SERIES_MAX = 64, NAME_MAX_BYTES = 64 };

typedef struct Series {
    char operation[16], provider[NAME_MAX_BYTES], model[NAME_MAX_BYTES], error[32];
    Hist duration_ns, first_content_ns, input_tokens, output_tokens;
} Series;

struct LlmLedger {
    pthread_mutex_t lock;
    Series *series[SERIES_MAX];
    size_t count;
};

LlmLedger *llm_ledger_create(void)
{
    LlmLedger *ledger = mem_zalloc(sizeof *ledger);
    (void)pthread_mutex_init(&ledger->lock, NULL);
    return ledger;
}

void llm_ledger_destroy(LlmLedger *ledger)
{
    if (ledger) {
        for (size_t i = 0; i < ledger->count; i++) {
            hist_done(&ledger->series[i]->duration_ns);
            hist_done(&ledger->series[i]->first_content_ns);
            hist_done(&ledger->series[i]->input_tokens);
            hist_done(&ledger->series[i]->output_tokens);
            free(ledger->series[i]);
        }
        (void)pthread_mutex_destroy(&ledger->lock);
        free(ledger);
    }
}

static bool is_of(const Series *s, const LlmObservation *o)
{
    return strcmp(s->operation, o->operation) == 0 &&
           strcmp(s->error, o->error ? o->error : "") == 0 &&
           slice_eq_cstr(slice_sub(o->provider, 0, NAME_MAX_BYTES - 1), s->provider) &&
           slice_eq_cstr(slice_sub(o->model, 0, NAME_MAX_BYTES - 1), s->model);
}

static Series *series_of(LlmLedger *ledger, const LlmObservation *o)
{
    for (size_t i = 0; i < ledger->count; i++) {
        if (is_of(ledger->series[i], o)) {
            return ledger->series[i];
        }
    }
    if (ledger->count == SERIES_MAX) {
        return ledger->series[SERIES_MAX - 1];
    }
    Series *s = mem_zalloc(sizeof *s);
    (void)snprintf(s->operation, sizeof s->operation, "%s", o->operation);
    (void)snprintf(s->provider, sizeof s->provider, "%.*s", SLICE_FMT(o->provider));
    (void)snprintf(s->model, sizeof s->model, "%.*s", SLICE_FMT(o->model));
    (void)snprintf(s->error, sizeof s->error, "%s", o->error ? o->error : "");
    hist_init(&s->duration_ns);
    hist_init(&s->first_content_ns);
    hist_init(&s->input_tokens);
    hist_init(&s->output_tokens);
    ledger->series[ledger->count++] = s;
    return s;
}

void llm_ledger_observe(void *arg, const LlmObservation *o)
{
    LlmLedger *ledger = arg;
    if (o->attempt || o->from_cache) {
        return; // the conventions count operations, and what was not asked did not happen
    }
    (void)pthread_mutex_lock(&ledger->lock);
    Series *s = series_of(ledger, o);
    hist_record(&s->duration_ns, o->duration_ns);
    if (o->first_content_ns > 0) {
        hist_record(&s->first_content_ns, o->first_content_ns);
    }
    if (o->usage.known) {
        hist_record(&s->input_tokens, o->usage.input_tokens);
        hist_record(&s->output_tokens, o->usage.output_tokens);
    }
    (void)pthread_mutex_unlock(&ledger->lock);
}

static void set(Collector *c, MetricId id, const Label *labels, size_t count, const Hist *hist)
{
    if (hist->count > 0) {
        collector_set(c, id, (Labels){labels, count},
                      &(Point){.count = (int64_t)hist->count, .hist = hist});
    }
}

// Labels are sorted by key, as point.h wants them.
static void collect_series(const Series *s, Collector *c)
{
    const Label operation = {SLICE("gen_ai.operation.name"), slice_from_cstr(s->operation)};
    const Label provider = {SLICE("gen_ai.provider.name"), slice_from_cstr(s->provider)};
    const Label model = {SLICE("gen_ai.request.model"), slice_from_cstr(s->model)};
    const Label type = {SLICE("error.type"), slice_from_cstr(s->error)};
    const Label plain[] = {operation, provider, model};
    const Label failed[] = {type, operation, provider, model};
    const Label in[] = {operation, provider, model, {SLICE("gen_ai.token.type"), SLICE("input")}};
    const Label out[] = {operation, provider, model, {SLICE("gen_ai.token.type"), SLICE("output")}};
    bool is_error = s->error[0] != '\0';
    set(c, M_GEN_AI_OPERATION_DURATION, is_error ? failed : plain, is_error ? 4 : 3,
        &s->duration_ns);
    set(c, M_GEN_AI_TIME_TO_FIRST_CHUNK, plain, 3, &s->first_content_ns);
    set(c, M_GEN_AI_TOKEN_USAGE, in, 4, &s->input_tokens);
    set(c, M_GEN_AI_TOKEN_USAGE, out, 4, &s->output_tokens);
}

void llm_ledger_collect(LlmLedger *ledger, Collector *collector)
{
    (void)pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < ledger->count; i++) {
        collect_series(ledger->series[i], collector);
    }
    (void)pthread_mutex_unlock(&ledger->lock);
}
