// Embeddings: a unit vector made from a hash of the text, so that equal texts are equal vectors.
#include <math.h>

#include "base/json_write.h"
#include "llm/fake_shard.h"

enum {
    OPENAI_DIMENSIONS = 1536,
    GEMINI_DIMENSIONS = 3072,
    OLLAMA_DIMENSIONS = 768,
    DIMENSIONS_MAX = 4096,
    INPUTS_MAX = 2048, // OpenAI's limit for one request
};

typedef struct Vector {
    float v[DIMENSIONS_MAX];
} Vector;

static uint64_t next(uint64_t *state) // SplitMix64 (Steele, Lea, Flood, 2014)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static void make_vector(Slice text, size_t dimensions, Vector *out)
{
    uint64_t state = slice_hash(text);
    double square = 0;
    for (size_t i = 0; i < dimensions; i++) {
        double x = (double)(int64_t)next(&state) / 9.3e18; // evenly in -1..1
        out->v[i] = (float)x;
        square += x * x;
    }
    float scale = (float)(1 / sqrt(square));
    for (size_t i = 0; i < dimensions; i++) {
        out->v[i] *= scale;
    }
}

// Seven digits behind the point: as much as a float of this size holds, written without printf.
static void put_number(Buf *out, float value)
{
    int64_t scaled = (int64_t)lrintf(value * 1e7F);
    char text[16] = "-0.";
    size_t at = scaled < 0 ? 0 : 1;
    uint64_t left = (uint64_t)(scaled < 0 ? -scaled : scaled);
    left = left > 9999999 ? 9999999 : left;
    for (int i = 9; i >= 3; i--) {
        text[i] = (char)('0' + left % 10);
        left /= 10;
    }
    buf_append(out, (Slice){text + at, 10 - at});
}

static void put_vector(Buf *out, const Vector *vector, size_t dimensions)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < dimensions; i++) {
        if (i > 0) {
            buf_putc(out, ',');
        }
        put_number(out, vector->v[i]);
    }
    buf_putc(out, ']');
}

// ---- a request

typedef struct Inputs {
    JsonVal *one;   // a string, or
    JsonVal *array; // of strings or of arrays of tokens
    size_t count;
    size_t dimensions;
    bool base64;
    Vector *vector;
} Inputs;

static bool fail(FakeWork *w, const char *message, const char *param)
{
    FakeFailure f = fake_failure(400, message);
    f.param = param;
    fake_send_failure(w, &f);
    return false;
}

static JsonVal *input_at(const Inputs *in, size_t i)
{
    return in->one ? in->one : yyjson_arr_get(in->array, i);
}

// A list of token numbers is one input as well; its memory stands for its text.
static bool set_inputs(FakeWork *w, JsonVal *input, Inputs *in)
{
    if (yyjson_is_str(input) || yyjson_is_int(yyjson_arr_get_first(input))) {
        in->one = input;
        in->count = 1;
    } else if (yyjson_is_arr(input) && yyjson_arr_size(input) > 0) {
        in->array = input;
        in->count = yyjson_arr_size(input);
    } else {
        return fail(w, "'input' must be a text or a list of texts, and not empty.", "input");
    }
    return in->count <= INPUTS_MAX || fail(w, "'input' has more than 2048 items.", "input");
}

static bool set_dimensions(FakeWork *w, int64_t wanted, size_t usual, Inputs *in)
{
    if (wanted == 0 || wanted > DIMENSIONS_MAX || wanted < -1) {
        return fail(w, "'dimensions' must be between 1 and 4096.", "dimensions");
    }
    in->dimensions = wanted < 0 ? usual : (size_t)wanted;
    return true;
}

// Fills the request as rules and usage see it.
static void note_texts(FakeWork *w, const Inputs *in, JsonVal *(*text_of)(JsonVal *))
{
    FakeRequest *r = &w->request;
    for (size_t i = 0; i < in->count; i++) {
        Slice text = json_text(text_of(input_at(in, i)));
        r->prompt_bytes += text.len;
        if (r->text_count < FAKE_TEXTS_MAX) {
            r->texts[r->text_count++] = text;
        }
    }
    (void)pthread_mutex_lock(&w->shard->lock);
    w->shard->counts.embeddings += in->count;
    (void)pthread_mutex_unlock(&w->shard->lock);
    w->answer.tokens_in = fake_request_tokens(r);
    w->answer.tokens_out = 0;
}

static JsonVal *itself(JsonVal *v)
{
    return v;
}

static const Vector *vector_of(Inputs *in, Slice text)
{
    make_vector(text, in->dimensions, in->vector);
    return in->vector;
}

// Begins: parses, resets what rules look at. False: answered.
static bool begin(FakeWork *w, Inputs *in, JsonVal **ret_root)
{
    *in = (Inputs){0};
    if (!fake_parse_body(w)) {
        return false;
    }
    memset(&w->request, 0, sizeof w->request);
    w->request.choices = 1;
    w->request.max_tokens = -1;
    JsonVal *root = yyjson_doc_get_root(w->doc);
    Slice model = json_text_at(root, "model");
    w->request.model = w->route.model.len > 0 ? w->route.model : model;
    if (w->request.model.len == 0) {
        (void)fail(w, "you must provide a model parameter", "model");
        fake_forget_body(w);
        return false;
    }
    in->vector = mem_alloc(sizeof *in->vector); // too big for a fiber's stack
    *ret_root = root;
    return true;
}

static void send_vectors(FakeWork *w)
{
    int64_t wait_ns = fake_dist_is_zero(&w->settings.latency)
                          ? 0
                          : fake_dist_sample(&w->settings.latency, &w->shard->rng);
    fake_wait(w, wait_ns);
    fake_send_answer(w);
}

static void end(FakeWork *w, Inputs *in)
{
    free(in->vector);
    fake_forget_body(w);
}

// ---- OpenAI

static void put_openai(FakeWork *w, Inputs *in)
{
    Buf *out = &w->out;
    buf_reset(out);
    FAKE_PUT(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < in->count; i++) {
        buf_append(out, i > 0 ? SLICE(",") : SLICE(""));
        FAKE_PUT(out, "{\"object\":\"embedding\",\"index\":");
        fake_put_int(out, (int64_t)i);
        FAKE_PUT(out, ",\"embedding\":");
        const Vector *v = vector_of(in, json_text(input_at(in, i)));
        if (in->base64) { // little-endian floats, as the memory has them
            FAKE_PUT(out, "\"");
            buf_append_base64(out, v->v, in->dimensions * sizeof *v->v);
            FAKE_PUT(out, "\"");
        } else {
            put_vector(out, v, in->dimensions);
        }
        FAKE_PUT(out, "}");
    }
    FAKE_PUT(out, "],\"model\":");
    fake_put_string(out, w->request.model);
    FAKE_PUT(out, ",\"usage\":{\"prompt_tokens\":");
    fake_put_int(out, w->answer.tokens_in);
    FAKE_PUT(out, ",\"total_tokens\":");
    fake_put_int(out, w->answer.tokens_in);
    FAKE_PUT(out, "}}");
}

void fake_embed_openai(FakeWork *w)
{
    Inputs in;
    JsonVal *root;
    const FakeRule *rule;
    if (!begin(w, &in, &root)) {
        return;
    }
    in.base64 = slice_eq_cstr(json_text_at(root, "encoding_format"), "base64");
    if (set_inputs(w, json_at(root, "input"), &in) &&
        set_dimensions(w, json_int_at(root, "dimensions", -1), OPENAI_DIMENSIONS, &in)) {
        note_texts(w, &in, itself);
        if (fake_admit(w, &rule)) {
            put_openai(w, &in);
            send_vectors(w);
        }
    }
    end(w, &in);
}

// ---- Gemini

static JsonVal *gemini_text(JsonVal *request)
{
    JsonVal *parts = json_at(json_at(request, "content"), "parts");
    return json_at(yyjson_arr_get_first(parts), "text");
}

static void put_gemini_values(Buf *out, Inputs *in, JsonVal *request)
{
    FAKE_PUT(out, "{\"values\":");
    put_vector(out, vector_of(in, json_text(gemini_text(request))), in->dimensions);
    FAKE_PUT(out, "}");
}

static bool check_gemini(FakeWork *w, Inputs *in, JsonVal *first)
{
    return gemini_text(first)
               ? set_dimensions(w, json_int_at(first, "outputDimensionality", -1),
                                GEMINI_DIMENSIONS, in)
               : fail(w, "* EmbedContentRequest.content: contents is not specified\n", NULL);
}

void fake_embed_gemini(FakeWork *w)
{
    Inputs in;
    JsonVal *root;
    const FakeRule *rule;
    if (!begin(w, &in, &root)) {
        return;
    }
    in.one = root;
    in.count = 1;
    if (check_gemini(w, &in, root)) {
        note_texts(w, &in, gemini_text);
        if (fake_admit(w, &rule)) {
            buf_reset(&w->out);
            FAKE_PUT(&w->out, "{\"embedding\":");
            put_gemini_values(&w->out, &in, root);
            FAKE_PUT(&w->out, "}");
            send_vectors(w);
        }
    }
    end(w, &in);
}

void fake_embed_gemini_batch(FakeWork *w)
{
    Inputs in;
    JsonVal *root;
    const FakeRule *rule;
    if (!begin(w, &in, &root)) {
        return;
    }
    if (set_inputs(w, json_at(root, "requests"), &in) && check_gemini(w, &in, input_at(&in, 0))) {
        note_texts(w, &in, gemini_text);
        if (fake_admit(w, &rule)) {
            buf_reset(&w->out);
            FAKE_PUT(&w->out, "{\"embeddings\":[");
            for (size_t i = 0; i < in.count; i++) {
                buf_append(&w->out, i > 0 ? SLICE(",") : SLICE(""));
                put_gemini_values(&w->out, &in, input_at(&in, i));
            }
            FAKE_PUT(&w->out, "]}");
            send_vectors(w);
        }
    }
    end(w, &in);
}

// ---- Ollama

void fake_embed_ollama(FakeWork *w)
{
    Inputs in;
    JsonVal *root;
    const FakeRule *rule;
    if (!begin(w, &in, &root)) {
        return;
    }
    if (set_inputs(w, json_at(root, "input"), &in) &&
        set_dimensions(w, json_int_at(root, "dimensions", -1), OLLAMA_DIMENSIONS, &in)) {
        note_texts(w, &in, itself);
        if (fake_admit(w, &rule)) {
            Buf *out = &w->out;
            buf_reset(out);
            FAKE_PUT(out, "{\"model\":");
            fake_put_string(out, w->request.model);
            FAKE_PUT(out, ",\"embeddings\":[");
            for (size_t i = 0; i < in.count; i++) {
                buf_append(out, i > 0 ? SLICE(",") : SLICE(""));
                put_vector(out, vector_of(&in, json_text(input_at(&in, i))), in.dimensions);
            }
            FAKE_PUT(out, "],\"total_duration\":1000000,\"load_duration\":0,"
                          "\"prompt_eval_count\":");
            fake_put_int(out, w->answer.tokens_in);
            FAKE_PUT(out, "}");
            send_vectors(w);
        }
    }
    end(w, &in);
}

// The older path: one text, under another name.
void fake_embed_ollama_old(FakeWork *w)
{
    Inputs in;
    JsonVal *root;
    const FakeRule *rule;
    if (!begin(w, &in, &root)) {
        return;
    }
    if (set_inputs(w, json_at(root, "prompt"), &in) &&
        set_dimensions(w, -1, OLLAMA_DIMENSIONS, &in)) {
        note_texts(w, &in, itself);
        if (fake_admit(w, &rule)) {
            buf_reset(&w->out);
            FAKE_PUT(&w->out, "{\"embedding\":");
            put_vector(&w->out, vector_of(&in, json_text(input_at(&in, 0))), in.dimensions);
            FAKE_PUT(&w->out, "}");
            send_vectors(w);
        }
    }
    end(w, &in);
}
