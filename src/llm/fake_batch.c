// Files and batch jobs: OpenAI's, Anthropic's and Gemini's. A job is worked off when it is made and
// shown as running until `batch_delay` is over.
#include "llm/fake_batch.h"

#include "base/json_write.h"
#include "llm/fake_shard.h"

enum { LISTED_MAX = 100, LINES_BETWEEN_YIELDS = 64, LINES_MAX = 50000 };

int64_t fake_now_s(const FakeWork *w)
{
    return clock_wall(loop_clock_source(w->shard->loop)) / NS_PER_S;
}

FakeBatchState fake_batch_state(const FakeWork *w, const FakeObject *o)
{
    if (o->cancelled_s != 0 && o->cancelled_s * NS_PER_S < o->ready_ns) {
        return FAKE_BATCH_CANCELLED;
    }
    int64_t now_ns = clock_wall(loop_clock_source(w->shard->loop));
    return now_ns < o->ready_ns ? FAKE_BATCH_RUNNING : FAKE_BATCH_DONE;
}

uint64_t fake_new_id(FakeWork *w)
{
    // Shards count apart, so that no two make the same.
    return (++w->shard->next_id << 8) | (w->shard->index & 0xFF);
}

void fake_not_found(FakeWork *w, const char *message)
{
    FakeFailure f = fake_failure(404, message);
    fake_send_failure(w, &f);
}

// The number of an id that fake_put_id wrote: its last digits and the first hold it.
uint64_t fake_id_number(Slice id, Slice prefix)
{
    if (!slice_starts_with(id, prefix) || id.len != prefix.len + 24) {
        return 0;
    }
    uint64_t x = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = id.ptr[prefix.len + i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return 0;
        }
        x = x << 4 | (uint64_t)digit;
    }
    x ^= x >> 32;
    return x * UINT64_C(0xF1DE83E19937733D); // the inverse of fake_put_id's factor modulo 2^64
}

void fake_job_run(FakeWork *w, const FakeRoute *route, Slice body, size_t number, FakeLine line)
{
    FakeWork *one = fake_answer_line(w->shard, route, body);
    line.fn(line.ctx, one);
    fake_work_give_back(one);
    if (number % LINES_BETWEEN_YIELDS == LINES_BETWEEN_YIELDS - 1) {
        (void)!fiber_yield();
    }
}

// ---- files

static Slice file_prefix(void)
{
    return SLICE("file-");
}

static void put_file(const FakeObject *o, int64_t bytes, Buf *out)
{
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, file_prefix(), o->id);
    FAKE_PUT(out, "\",\"object\":\"file\",\"bytes\":");
    fake_put_int(out, bytes);
    FAKE_PUT(out, ",\"created_at\":");
    fake_put_int(out, o->created_s);
    FAKE_PUT(out, ",\"filename\":");
    fake_put_string(out, slice_from_cstr(o->name));
    FAKE_PUT(out, ",\"purpose\":");
    fake_put_string(out, slice_from_cstr(o->purpose));
    FAKE_PUT(out, ",\"status\":\"processed\"}");
}

static void keep_name(char out[FAKE_NAME_MAX], Slice text)
{
    size_t n = text.len < FAKE_NAME_MAX - 1 ? text.len : FAKE_NAME_MAX - 1;
    memcpy(out, text.ptr ? text.ptr : "", n);
    out[n] = 0;
}

// The value of name="..." in a part's head.
static Slice quoted(Slice head, Slice key)
{
    ptrdiff_t at = slice_find(head, key);
    Slice value = {NULL, 0}, rest;
    if (at >= 0) {
        (void)slice_cut(slice_sub(head, (size_t)at + key.len, head.len), '"', &value, &rest);
    }
    return value;
}

bool fake_multipart_next(Slice *body, Slice boundary, Slice *ret_head, Slice *ret_content)
{
    ptrdiff_t at = slice_find(*body, boundary);
    if (at < 0) {
        return false;
    }
    Slice part = slice_sub(*body, (size_t)at + boundary.len, body->len);
    ptrdiff_t end = slice_find(part, boundary);
    ptrdiff_t blank = slice_find(part, SLICE("\r\n\r\n"));
    if (end < 0 || blank < 0 || blank + 4 > end) { // a boundary may look like the blank line
        return false;
    }
    *body = slice_sub(part, (size_t)end, part.len);
    *ret_head = slice_sub(part, 0, (size_t)blank);
    *ret_content = slice_sub(part, (size_t)blank + 4, (size_t)(end - blank) - 4);
    // The line break and the dashes before the next boundary are not content.
    if (slice_ends_with(*ret_content, SLICE("\r\n--"))) {
        ret_content->len -= 4;
    }
    return true;
}

void fake_file_upload(FakeWork *w)
{
    Slice type = http_head_get(w->http->head, SLICE("content-type"));
    ptrdiff_t at = slice_find(type, SLICE("boundary="));
    Slice boundary = slice_trim(slice_sub(type, at < 0 ? type.len : (size_t)at + 9, type.len));
    if (boundary.len > 1 && boundary.ptr[0] == '"') {
        boundary = slice_sub(boundary, 1, boundary.len - 2);
    }
    FakeObject o = {.id = fake_new_id(w), .created_s = fake_now_s(w)};
    Slice rest = w->body, head, content;
    bool any = false;
    while (boundary.len > 0 && fake_multipart_next(&rest, boundary, &head, &content)) {
        Slice name = quoted(head, SLICE(" name=\""));
        if (slice_eq_cstr(name, "purpose")) {
            keep_name(o.purpose, content);
        } else if (slice_eq_cstr(name, "file")) {
            any = true;
            keep_name(o.name, quoted(head, SLICE("filename=\"")));
            o.data = (Buf){.data = (char *)(uintptr_t)content.ptr, .len = content.len};
        }
    }
    if (!any) {
        FakeFailure f = fake_failure(400, "'file' is a required property");
        fake_send_failure(w, &f);
        return;
    }
    fake_store_put(w->shard->llm->store, FAKE_FILE, &o); // copies
    buf_reset(&w->out);
    put_file(&o, (int64_t)o.data.len, &w->out);
    fake_send_json(w, 200);
}

// Also leaves the content in w->made.
static bool get_file(FakeWork *w, FakeObject *ret_file)
{
    buf_reset(&w->made);
    if (fake_store_get(w->shard->llm->store, FAKE_FILE, fake_id_number(w->route.id, file_prefix()),
                       ret_file, &w->made) != 0) {
        fake_not_found(w, "No such File object.");
        return false;
    }
    return true;
}

void fake_file_show(FakeWork *w)
{
    FakeObject o;
    if (get_file(w, &o)) {
        buf_reset(&w->out);
        put_file(&o, (int64_t)w->made.len, &w->out);
        fake_send_json(w, 200);
    }
}

void fake_file_content(FakeWork *w)
{
    FakeObject o;
    if (get_file(w, &o)) {
        w->status = 200;
        (void)http_reply_send(w->reply, 200, SLICE("application/octet-stream"), buf_slice(&w->made),
                              NULL);
    }
}

void fake_file_delete(FakeWork *w)
{
    uint64_t id = fake_id_number(w->route.id, file_prefix());
    if (fake_store_remove(w->shard->llm->store, FAKE_FILE, id) != 0) {
        fake_not_found(w, "No such File object.");
        return;
    }
    buf_reset(&w->out);
    FAKE_PUT(&w->out, "{\"id\":\"");
    fake_put_id(&w->out, file_prefix(), id);
    FAKE_PUT(&w->out, "\",\"object\":\"file\",\"deleted\":true}");
    fake_send_json(w, 200);
}

void fake_list_objects(FakeWork *w, FakeObjectKind kind, FakePutObject *put, Slice begin, Slice end)
{
    FakeObject *objects = mem_alloc(LISTED_MAX * sizeof *objects);
    size_t count = fake_store_list(w->shard->llm->store, kind, objects, LISTED_MAX);
    buf_reset(&w->out);
    buf_append(&w->out, begin);
    for (size_t i = 0; i < count; i++) {
        buf_append(&w->out, i > 0 ? SLICE(",") : SLICE(""));
        put(w, &objects[i], &w->out);
    }
    buf_append(&w->out, end);
    free(objects);
    fake_send_json(w, 200);
}

static void put_listed_file(const FakeWork *w, const FakeObject *o, Buf *out)
{
    (void)w;
    put_file(o, 0, out);
}

void fake_file_list(FakeWork *w)
{
    fake_list_objects(w, FAKE_FILE, put_listed_file, SLICE("{\"object\":\"list\",\"data\":["),
                      SLICE("],\"has_more\":false}"));
}

// ---- OpenAI's batches

static Slice batch_prefix(void)
{
    return SLICE("batch_");
}

static void put_time(Buf *out, const char *name, int64_t at_s)
{
    buf_printf(out, ",\"%s\":", name);
    if (at_s > 0) {
        fake_put_int(out, at_s);
    } else {
        FAKE_PUT(out, "null");
    }
}

static void put_file_id(Buf *out, const char *name, uint64_t id)
{
    buf_printf(out, ",\"%s\":", name);
    if (id != 0) {
        buf_putc(out, '"');
        fake_put_id(out, file_prefix(), id);
        buf_putc(out, '"');
    } else {
        FAKE_PUT(out, "null");
    }
}

static void put_batch(const FakeWork *w, const FakeObject *o, Buf *out)
{
    static const char *const names[] = {"in_progress", "completed", "cancelled"};
    FakeBatchState state = fake_batch_state(w, o);
    bool done = state == FAKE_BATCH_DONE;
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, batch_prefix(), o->id);
    FAKE_PUT(out, "\",\"object\":\"batch\",\"endpoint\":");
    fake_put_string(out, slice_from_cstr(o->name));
    buf_printf(out, ",\"errors\":null,\"completion_window\":\"24h\",\"status\":\"%s\"",
               names[state]);
    put_file_id(out, "input_file_id", o->input);
    put_file_id(out, "output_file_id", done ? o->output : 0);
    put_file_id(out, "error_file_id", done ? o->errors : 0);
    put_time(out, "created_at", o->created_s);
    put_time(out, "in_progress_at", o->created_s);
    put_time(out, "expires_at", o->created_s + 24 * 3600);
    put_time(out, "finalizing_at", done ? o->ready_ns / NS_PER_S : 0);
    put_time(out, "completed_at", done ? o->ready_ns / NS_PER_S : 0);
    put_time(out, "cancelled_at", state == FAKE_BATCH_CANCELLED ? o->cancelled_s : 0);
    buf_printf(out,
               ",\"request_counts\":{\"total\":%lld,\"completed\":%lld,\"failed\":%lld},"
               "\"metadata\":null}",
               (long long)o->total, (long long)(done ? o->total - o->failed : 0),
               (long long)(done ? o->failed : 0));
}

typedef struct BatchRun {
    FakeWork *w;
    FakeObject *batch;
    Buf good, bad; // lines of the two files
    Slice custom_id;
} BatchRun;

static void add_result(void *ctx, FakeWork *one)
{
    BatchRun *run = ctx;
    bool ok = one->status == 200;
    Buf *out = ok ? &run->good : &run->bad;
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("batch_req_"), one->id);
    FAKE_PUT(out, "\",\"custom_id\":");
    fake_put_string(out, run->custom_id);
    FAKE_PUT(out, ",\"response\":{\"status_code\":");
    fake_put_int(out, one->status);
    FAKE_PUT(out, ",\"request_id\":\"");
    fake_put_id(out, SLICE("req_"), one->id);
    FAKE_PUT(out, "\",\"body\":");
    buf_append(out, buf_slice(&one->out));
    FAKE_PUT(out, "},\"error\":null}\n");
    run->batch->total++;
    run->batch->failed += !ok;
}

static void run_line(BatchRun *run, const FakeRoute *route, Slice line, size_t number)
{
    JsonDoc *doc = yyjson_read(line.ptr, line.len, 0);
    JsonVal *root = yyjson_doc_get_root(doc);
    JsonVal *body = json_at(root, "body");
    size_t len = 0;
    char *text = body ? yyjson_val_write(body, 0, &len) : NULL;
    run->custom_id = json_text_at(root, "custom_id");
    fake_job_run(run->w, route, (Slice){text, text ? len : 0}, number, (FakeLine){add_result, run});
    free(text);
    yyjson_doc_free(doc);
}

static uint64_t keep_lines(FakeWork *w, Buf *lines, const char *name)
{
    if (lines->len == 0) {
        return 0;
    }
    FakeObject o = {.id = fake_new_id(w), .created_s = fake_now_s(w), .data = *lines};
    keep_name(o.name, slice_from_cstr(name));
    keep_name(o.purpose, SLICE("batch_output"));
    fake_store_put(w->shard->llm->store, FAKE_FILE, &o);
    return o.id;
}

static void run_batch(FakeWork *w, FakeObject *batch, const FakeRoute *route, Slice lines)
{
    BatchRun run = {.w = w,
                    .batch = batch,
                    .good = buf_create(FAKE_OBJECT_BYTES_MAX),
                    .bad = buf_create(FAKE_OBJECT_BYTES_MAX)};
    size_t number = 0;
    for (bool more = lines.len > 0; more && number < LINES_MAX; number++) {
        Slice line;
        more = slice_cut(lines, '\n', &line, &lines);
        if (slice_trim(line).len > 0) {
            run_line(&run, route, line, number);
        }
    }
    batch->output = keep_lines(w, &run.good, "batch_output.jsonl");
    batch->errors = keep_lines(w, &run.bad, "batch_errors.jsonl");
    buf_done(&run.good);
    buf_done(&run.bad);
}

static void create_batch(FakeWork *w, JsonVal *root)
{
    FakeRoute route;
    FakeObject file;
    Slice endpoint = json_text_at(root, "endpoint");
    uint64_t input = fake_id_number(json_text_at(root, "input_file_id"), file_prefix());
    Buf lines = buf_create(FAKE_OBJECT_BYTES_MAX);
    FakeFailure f = fake_failure(400, "Invalid value for 'endpoint'.");
    if (!fake_route_line(endpoint, &route)) {
        f.param = "endpoint";
        fake_send_failure(w, &f);
    } else if (fake_store_get(w->shard->llm->store, FAKE_FILE, input, &file, &lines) != 0) {
        f = fake_failure(400, "Invalid 'input_file_id': no such file.");
        f.param = "input_file_id";
        fake_send_failure(w, &f);
    } else {
        FakeObject o = {.id = fake_new_id(w), .created_s = fake_now_s(w), .input = input};
        keep_name(o.name, endpoint);
        o.ready_ns = clock_wall(loop_clock_source(w->shard->loop)) + w->settings.batch_delay_ns;
        run_batch(w, &o, &route, buf_slice(&lines));
        fake_store_put(w->shard->llm->store, FAKE_BATCH, &o);
        buf_reset(&w->out);
        put_batch(w, &o, &w->out);
        fake_send_json(w, 200);
    }
    buf_done(&lines);
}

void fake_batch_create(FakeWork *w)
{
    if (fake_parse_body(w)) {
        create_batch(w, yyjson_doc_get_root(w->doc));
        fake_forget_body(w);
    }
}

void fake_batch_show(FakeWork *w)
{
    FakeObject o;
    if (fake_store_get(w->shard->llm->store, FAKE_BATCH,
                       fake_id_number(w->route.id, batch_prefix()), &o, NULL) != 0) {
        fake_not_found(w, "No batch found with this id.");
        return;
    }
    buf_reset(&w->out);
    put_batch(w, &o, &w->out);
    fake_send_json(w, 200);
}

void fake_batch_cancel(FakeWork *w)
{
    (void)!fake_store_cancel(w->shard->llm->store, FAKE_BATCH,
                             fake_id_number(w->route.id, batch_prefix()), fake_now_s(w));
    fake_batch_show(w);
}

void fake_batch_list(FakeWork *w)
{
    fake_list_objects(w, FAKE_BATCH, put_batch, SLICE("{\"object\":\"list\",\"data\":["),
                      SLICE("],\"has_more\":false}"));
}

// ---- kept responses

void fake_response_show(FakeWork *w)
{
    FakeObject o;
    buf_reset(&w->out);
    if (fake_store_get(w->shard->llm->store, FAKE_RESPONSE,
                       fake_id_number(w->route.id, SLICE("resp_")), &o, &w->out) != 0) {
        fake_not_found(w, "Response with this id not found.");
        return;
    }
    fake_send_json(w, 200);
}

void fake_response_delete(FakeWork *w)
{
    uint64_t id = fake_id_number(w->route.id, SLICE("resp_"));
    if (fake_store_remove(w->shard->llm->store, FAKE_RESPONSE, id) != 0) {
        fake_not_found(w, "Response with this id not found.");
        return;
    }
    buf_reset(&w->out);
    FAKE_PUT(&w->out, "{\"id\":\"");
    fake_put_id(&w->out, SLICE("resp_"), id);
    FAKE_PUT(&w->out, "\",\"object\":\"response\",\"deleted\":true}");
    fake_send_json(w, 200);
}
