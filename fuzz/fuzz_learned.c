// Learned models as documents: what is read can be asked anything, answers with an interval around
// its value, and written again reads as a model that answers the same.
#include <math.h>

#include "model/learned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz learned: %s", what);
    }
}

static double base(void *ctx, const Learned *m, const double *inputs, Slice output)
{
    (void)ctx, (void)m;
    return inputs[0] + (double)output.len;
}

static const LearnedOptions OPTIONS = {.base = base, .base_name = "sum"};

static int read(Arena *arena, Slice text, Learned **ret, Err *e)
{
    const Doc *doc;
    int rc =
        doc_parse(arena, text, &(DocOptions){.format = DOC_FORMAT_JSON, .source = "f"}, &doc, e);
    return rc == 0 ? learned_read(doc, &OPTIONS, ret, e) : rc;
}

static void ask(const Learned *m, double at, LearnedAnswer answers[LEARNED_OUTPUTS_MAX])
{
    double values[LEARNED_INPUTS_MAX];
    for (size_t i = 0; i < learned_inputs(m); i++) {
        LearnedRegion r = learned_region(m, i);
        values[i] = r.low + at * (r.high - r.low);
    }
    int rc = learned_predict(m, values, LEARNED_ANYWHERE, answers, NULL);
    require(rc == 0 || rc == ERR_ARG, "an unexpected code");
    for (size_t i = 0; i < learned_outputs(m); i++) {
        answers[i] = rc == 0 ? answers[i] : (LearnedAnswer){{NAN, NAN, NAN}, false};
        const Estimate *e = &answers[i].estimate;
        // Numbers of any size may overflow on the way; then there is no value, or no end.
        require(!(e->low > e->value) && !(e->value > e->high), "a value outside of its interval");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 64 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Learned *m = NULL, *again = NULL;
    Err e = {0};
    if (read(arena, (Slice){(const char *)data, size}, &m, &e) == 0) {
        LearnedAnswer first[LEARNED_OUTPUTS_MAX], second[LEARNED_OUTPUTS_MAX];
        Buf text = buf_create(16 << 20);
        JsonWriter w = json_writer(&text, 0);
        learned_write(m, &w);
        require(buf_check(&text, "the model", &e) == 0, "a small text makes a large one");
        require(read(arena, buf_slice(&text), &again, &e) == 0, "written, not read");
        for (int i = -1; i <= 2; i++) {
            ask(m, i, first);
            ask(again, i, second);
            for (size_t k = 0; k < learned_outputs(m); k++) {
                double a = first[k].estimate.value, b = second[k].estimate.value;
                require(a == b || (isnan(a) && isnan(b)), "another answer");
            }
        }
        buf_done(&text);
    } else {
        require(e.text[0] != 0, "an error without words");
    }
    learned_destroy(m);
    learned_destroy(again);
    arena_destroy(arena);
    return 0;
}
