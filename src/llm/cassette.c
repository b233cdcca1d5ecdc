#include "llm/cassette.h"

#include <errno.h>

#include "base/json_write.h"
#include "base/utf8.h"

enum { FILE_BYTES_MAX = 256 << 20, LINE_BYTES_MAX = 64 << 20, TAKES_MAX = 100000 };

typedef struct Recorded {
    Slice url, request;
    LlmTake take;
    bool played;
} Recorded;

struct LlmCassette {
    LlmCassetteMode mode;
    Arena *arena;
    Recorded *takes;
    size_t count, capacity;
    FILE *out;
    char path[512];
};

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static int read_body(LlmCassette *c, const Doc *line, LlmTake *take, Err *e)
{
    const Doc *encoded = doc_get(line, SLICE("body_base64"));
    take->body = text_of(line, "body");
    if (encoded && encoded->type == DOC_STRING) {
        Buf raw = buf_create(LINE_BYTES_MAX);
        if (buf_append_base64_decoded(&raw, encoded->text) != 0) {
            buf_done(&raw);
            return doc_err(e, encoded, "no base64");
        }
        take->body = arena_copy(c->arena, buf_slice(&raw));
        buf_done(&raw);
    }
    return 0;
}

static int read_line(LlmCassette *c, Slice text, int number, Err *e)
{
    const Doc *line = NULL;
    char source[600];
    (void)snprintf(source, sizeof source, "%s:%d", c->path, number);
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = arena_cstr(c->arena, slice_from_cstr(source)),
                          .max_bytes = LINE_BYTES_MAX};
    int rc = doc_parse(c->arena, text, &options, &line, e);
    if (rc != 0) {
        return rc;
    }
    const Doc *version = doc_get(line, SLICE("version")), *status = doc_get(line, SLICE("status"));
    if (!version || version->type != DOC_INT || version->integer != 1) {
        return err_set(e, ERR_VERSION, "%s: not a cassette of version 1", source);
    }
    if (!status || status->type != DOC_INT || c->count == TAKES_MAX) {
        return err_set(e, ERR_PARSE, "%s: no status, or too many lines", source);
    }
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        c->takes = mem_realloc(c->takes, c->capacity * sizeof *c->takes);
    }
    Recorded *r = &c->takes[c->count++];
    const Doc *headers = doc_get(line, SLICE("headers"));
    *r =
        (Recorded){.url = text_of(line, "url"),
                   .request = text_of(line, "request"),
                   .take = {.status = (int)status->integer,
                            .content_type = headers ? text_of(headers, "content-type") : (Slice){0},
                            .retry_after = headers ? text_of(headers, "retry-after") : (Slice){0}}};
    return read_body(c, line, &r->take, e);
}

static int read_file(LlmCassette *c, Err *e)
{
    FILE *file = fopen(c->path, "re");
    if (!file) {
        return err_errno(e, ERR_IO, errno, "cannot read %s", c->path);
    }
    char *line = NULL;
    size_t size = 0;
    int rc = 0, number = 0;
    for (ssize_t n; rc == 0 && (n = getline(&line, &size, file)) > 0;) {
        number++;
        Slice text = slice_trim((Slice){line, (size_t)n});
        rc = n > LINE_BYTES_MAX ? err_set(e, ERR_LIMIT, "%s:%d: too long", c->path, number)
             : text.len > 0     ? read_line(c, text, number, e)
                                : 0;
    }
    free(line);
    (void)fclose(file);
    return rc;
}

int llm_cassette_open(const char *path, LlmCassetteMode mode, LlmCassette **ret_cassette, Err *e)
{
    LlmCassette *c = mem_zalloc(sizeof *c);
    c->mode = mode;
    c->arena = arena_create(2UL * FILE_BYTES_MAX);
    (void)snprintf(c->path, sizeof c->path, "%s", path);
    int rc = 0;
    if (mode == LLM_CASSETTE_REPLAY) {
        rc = read_file(c, e);
    } else {
        c->out = fopen(path, "ae");
        rc = c->out ? 0 : err_errno(e, ERR_IO, errno, "cannot write %s", path);
    }
    if (rc != 0) {
        llm_cassette_close(c);
        return rc;
    }
    *ret_cassette = c;
    return 0;
}

void llm_cassette_close(LlmCassette *cassette)
{
    if (!cassette) {
        return;
    }
    if (cassette->out) {
        (void)fclose(cassette->out);
    }
    arena_destroy(cassette->arena);
    free(cassette->takes);
    free(cassette);
}

LlmCassetteMode llm_cassette_mode(const LlmCassette *cassette)
{
    return cassette->mode;
}

int llm_cassette_play(LlmCassette *cassette, Slice url, Slice request, LlmTake *ret_take, Err *e)
{
    Recorded *last = NULL;
    for (size_t i = 0; i < cassette->count; i++) {
        Recorded *r = &cassette->takes[i];
        if (slice_eq(r->url, url) && slice_eq(r->request, request)) {
            last = r;
            if (!r->played) {
                break;
            }
        }
    }
    if (!last) {
        return err_set(e, ERR_NOT_FOUND, "%s holds no answer to this request to %.*s: %.*s",
                       cassette->path, SLICE_FMT(url), SLICE_FMT(slice_sub(request, 0, 200)));
    }
    last->played = true;
    *ret_take = last->take;
    return 0;
}

int llm_cassette_record(LlmCassette *cassette, Slice url, Slice request, const LlmTake *take,
                        Err *e)
{
    Buf out = buf_create(LINE_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "url", url);
    json_field_string(&w, "request", request);
    json_field_int(&w, "status", take->status);
    json_key(&w, SLICE("headers"));
    json_object_begin(&w);
    json_field_string(&w, "content-type", take->content_type);
    if (take->retry_after.len > 0) {
        json_field_string(&w, "retry-after", take->retry_after);
    }
    json_object_end(&w);
    if (utf8_find_invalid(take->body) < 0) {
        json_field_string(&w, "body", take->body);
    } else {
        json_key(&w, SLICE("body_base64"));
        json_raw(&w, SLICE("\""));
        buf_append_base64(&out, take->body.ptr, take->body.len);
        buf_putc(&out, '"');
    }
    json_object_end(&w);
    buf_putc(&out, '\n');
    int rc = buf_check(&out, "a line of the cassette", e);
    if (rc == 0 &&
        (fwrite(out.data, 1, out.len, cassette->out) != out.len || fflush(cassette->out) != 0)) {
        rc = err_errno(e, ERR_IO, errno, "cannot write %s", cassette->path);
    }
    buf_done(&out);
    return rc;
}
