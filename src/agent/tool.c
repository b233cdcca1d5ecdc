#include "agent/tool.h"

#include <assert.h>

#include "base/json_write.h"
#include "base/map.h"
#include "base/schema.h"

enum {
    SET_BYTES_MAX = 256 << 20,
    SCHEMA_BYTES_MAX = 256 << 10,
    CALL_BYTES_MAX = 64 << 20,
};

typedef struct Tool {
    ToolSpec spec;
    const Doc *schema;
    Slice shown_schema;
} Tool;

struct ToolSet {
    Arena *arena;
    ToolSetOptions options;
    Map by_name;
    Tool *tools[TOOLS_MAX];
    size_t count;
};

struct ToolCall {
    const Tool *tool;
    const ToolRequest *request;
    ToolResult *result;
    Arena *arena;
    const Doc *args;
    Slice args_json;
    int64_t deadline_ns;
    size_t result_max;
    ToolPage page;
    Buf items; // "[a,b" while it is open
    size_t items_held;
    bool returned;
};

// ---- the set

ToolSet *tool_set_create(const ToolSetOptions *options)
{
    Arena *arena = arena_create(SET_BYTES_MAX);
    ToolSet *set = ARENA_NEW(arena, ToolSet);
    set->arena = arena;
    set->options = *options;
    if (set->options.result_bytes_max == 0) {
        set->options.result_bytes_max = TOOL_RESULT_BYTES;
    }
    set->by_name = map_create(TOOLS_MAX, 0);
    return set;
}

void tool_set_destroy(ToolSet *set)
{
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (set->tools[i]->spec.destroy) {
            set->tools[i]->spec.destroy(set->tools[i]->spec.self);
        }
    }
    map_done(&set->by_name);
    arena_destroy(set->arena);
}

static int check_name(Slice name, Err *e)
{
    bool ok = name.len > 0 && name.len <= TOOL_NAME_MAX;
    for (size_t i = 0; i < name.len && ok; i++) {
        char c = name.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-';
    }
    return ok ? 0
              : err_set(e, ERR_ARG,
                        "a tool's name is 1 to %d letters, digits, \"_\" and \"-\", not \"%.*s\"",
                        TOOL_NAME_MAX, SLICE_FMT(slice_sub(name, 0, 80)));
}

static void write_properties(JsonWriter *w, const Doc *properties)
{
    json_object_begin(w);
    for (const Doc *p = doc_first(properties); p; p = doc_next(p)) {
        json_key(w, p->key);
        doc_write(w, p);
    }
    if (!doc_get(properties, SLICE("page_size"))) {
        json_key(w, SLICE("page_size"));
        json_object_begin(w);
        json_field_cstr(w, "type", "integer");
        json_field_int(w, "minimum", 1);
        json_field_int(w, "maximum", TOOL_PAGE_SIZE_MAX);
        json_field_int(w, "default", TOOL_PAGE_SIZE);
        json_object_end(w);
    }
    if (!doc_get(properties, SLICE("page_token"))) {
        json_key(w, SLICE("page_token"));
        json_object_begin(w);
        json_field_cstr(w, "type", "string");
        json_field_int(w, "maxLength", TOOL_PAGE_TOKEN_MAX);
        json_field_cstr(w, "description", "next_page_token of the page before");
        json_object_end(w);
    }
    json_object_end(w);
}

// The schema with page_size and page_token among its properties.
static Slice add_page_members(Arena *arena, const Doc *schema)
{
    Buf out = buf_create((size_t)4 * SCHEMA_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    for (const Doc *m = doc_first(schema); m; m = doc_next(m)) {
        if (!slice_eq(m->key, SLICE("properties"))) {
            json_key(&w, m->key);
            doc_write(&w, m);
        }
    }
    json_key(&w, SLICE("properties"));
    write_properties(&w, doc_get(schema, SLICE("properties")));
    json_object_end(&w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static int read_schema(ToolSet *set, Tool *tool, Slice text, Err *e)
{
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "schema", .max_bytes = SCHEMA_BYTES_MAX};
    int rc = doc_parse(set->arena, text, &options, &tool->schema, e);
    if (rc == 0) {
        rc = doc_expect(tool->schema, DOC_OBJECT, "the schema", e);
    }
    if (rc == 0) {
        rc = schema_check(tool->schema, e);
    }
    tool->shown_schema = text;
    if (rc == 0 && tool->spec.paginated) {
        tool->shown_schema = add_page_members(set->arena, tool->schema);
        rc = doc_parse(set->arena, tool->shown_schema, &options, &tool->schema, e);
    }
    return rc;
}

int tool_add(ToolSet *set, const ToolSpec *spec, Err *e)
{
    int rc = check_name(spec->name, e);
    if (rc == 0 && map_get(&set->by_name, spec->name)) {
        rc = err_set(e, ERR_EXISTS, "there is a tool \"%.*s\" already", SLICE_FMT(spec->name));
    }
    if (rc == 0 &&
        (set->count == TOOLS_MAX ||
         arena_left(set->arena) < ((size_t)SCHEMA_BYTES_MAX * 64) + spec->description.len)) {
        rc = err_set(e, ERR_FULL, "a set holds at most %d tools", TOOLS_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    Tool *tool = ARENA_NEW(set->arena, Tool);
    tool->spec = *spec;
    tool->spec.name = arena_copy(set->arena, spec->name);
    tool->spec.description = arena_copy(set->arena, spec->description);
    Slice text = spec->schema.len > 0 ? arena_copy(set->arena, spec->schema)
                                      : SLICE("{\"type\":\"object\"}");
    rc = read_schema(set, tool, text, e);
    if (rc != 0) {
        (void)err_wrap(e, "tool \"%.*s\"", SLICE_FMT(spec->name));
        return rc;
    }
    set->tools[set->count++] = tool;
    return map_put(&set->by_name, tool->spec.name, tool);
}

size_t tool_count(const ToolSet *set)
{
    return set->count;
}

static ToolInfo info_of(const Tool *tool)
{
    return (ToolInfo){.name = tool->spec.name,
                      .description = tool->spec.description,
                      .schema = tool->shown_schema,
                      .paginated = tool->spec.paginated};
}

ToolInfo tool_at(const ToolSet *set, size_t index)
{
    assert(index < set->count);
    return info_of(set->tools[index]);
}

bool tool_find(const ToolSet *set, Slice name, ToolInfo *ret_info)
{
    const Tool *tool = map_get(&set->by_name, name);
    if (tool) {
        *ret_info = info_of(tool);
    }
    return tool != NULL;
}

// ---- what tools ask

void *tool_self(const ToolCall *call)
{
    return call->tool->spec.self;
}

void *tool_host(const ToolCall *call)
{
    return call->request->host;
}

Slice tool_name(const ToolCall *call)
{
    return call->tool->spec.name;
}

const Doc *tool_args(const ToolCall *call)
{
    return call->args;
}

Slice tool_args_json(const ToolCall *call)
{
    return call->args_json;
}

Arena *tool_arena(ToolCall *call)
{
    return call->arena;
}

int64_t tool_deadline_ns(const ToolCall *call)
{
    return call->deadline_ns;
}

size_t tool_result_max(const ToolCall *call)
{
    return call->result_max;
}

ToolPage tool_page(const ToolCall *call)
{
    return call->page;
}

// ---- what tools give

static int too_large(const ToolCall *call, size_t bytes, Err *e)
{
    return err_set(e, ERR_LIMIT,
                   "tool \"%.*s\" gave %zu bytes and may give %zu: ask for pages (page_size), or "
                   "take the items in batches",
                   SLICE_FMT(call->tool->spec.name), bytes, call->result_max);
}

static int check_json(const ToolCall *call, Slice json, Err *e)
{
    Arena *arena = arena_create((size_t)1 << 30);
    const Doc *doc;
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "result", .max_bytes = json.len + 1};
    int rc = doc_parse(arena, json, &options, &doc, e);
    arena_destroy(arena);
    if (rc != 0) {
        (void)err_wrap(e, "tool \"%.*s\"", SLICE_FMT(call->tool->spec.name));
    }
    return rc;
}

int tool_return(ToolCall *call, Slice json, Err *e)
{
    if (json.len > call->result_max) {
        return too_large(call, json.len, e);
    }
    int rc = check_json(call, json, e);
    if (rc == 0) {
        buf_reset(&call->result->json);
        buf_append(&call->result->json, json);
        call->returned = true;
    }
    return rc;
}

static int flush(ToolCall *call, Err *e)
{
    const ToolRequest *r = call->request;
    if (!r->on_batch || call->items_held == 0) {
        return 0;
    }
    buf_putc(&call->items, ']');
    int rc = r->on_batch(r->batch_arg, buf_slice(&call->items), call->items_held, e);
    buf_reset(&call->items);
    call->items_held = 0;
    return rc;
}

int tool_item(ToolCall *call, Slice json, Err *e)
{
    size_t batch =
        call->request->batch_items ? call->request->batch_items : (size_t)TOOL_BATCH_ITEMS;
    if (call->tool->spec.paginated && call->result->items == (size_t)call->page.size) {
        return err_set(e, ERR_LIMIT, "tool \"%.*s\" gave more than its page of %lld items",
                       SLICE_FMT(call->tool->spec.name), (long long)call->page.size);
    }
    if (call->items.len + json.len + 2 > call->result_max) {
        return too_large(call, call->items.len + json.len + 2, e);
    }
    int rc = check_json(call, json, e);
    if (rc != 0) {
        return rc;
    }
    buf_putc(&call->items, call->items_held == 0 ? '[' : ',');
    buf_append(&call->items, json);
    call->items_held++;
    call->result->items++;
    return call->items_held == batch ? flush(call, e) : 0;
}

int tool_next_page(ToolCall *call, Slice token, Err *e)
{
    if (token.len == 0 || token.len > TOOL_PAGE_TOKEN_MAX) {
        return err_set(e, ERR_LIMIT, "a page token has 1 to %d bytes, not %zu", TOOL_PAGE_TOKEN_MAX,
                       token.len);
    }
    memcpy(call->result->next_page_token, token.ptr, token.len);
    call->result->next_page_token[token.len] = '\0';
    call->result->has_more = true;
    return 0;
}

// ---- one call

static int read_args(ToolCall *call, Err *e)
{
    Slice text = call->request->args.len > 0 ? call->request->args : SLICE("{}");
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "arguments", .max_bytes = TOOL_ARGS_BYTES_MAX};
    int rc = doc_parse(call->arena, text, &options, &call->args, e);
    if (rc == 0) {
        rc = schema_validate(call->tool->schema, call->args, "arguments", e);
    }
    if (rc != 0) {
        (void)err_wrap(e, "tool \"%.*s\"", SLICE_FMT(call->tool->spec.name));
        // To the caller it is all one: the arguments are wrong.
        return rc == ERR_LIMIT ? rc : err_set(e, ERR_ARG, "%s", e->text);
    }
    call->args_json = text;
    const Doc *size = doc_get(call->args, SLICE("page_size"));
    const Doc *token = doc_get(call->args, SLICE("page_token"));
    call->page.size = size && size->type == DOC_INT ? size->integer : TOOL_PAGE_SIZE;
    if (call->page.size < 1 || call->page.size > TOOL_PAGE_SIZE_MAX) {
        call->page.size = call->page.size < 1 ? 1 : TOOL_PAGE_SIZE_MAX; // by a schema of its own
    }
    call->page.token = token && token->type == DOC_STRING ? token->text : (Slice){NULL, 0};
    return 0;
}

static void write_items(const ToolCall *call, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    if (call->request->on_batch) {
        json_field_bool(&w, "streamed", true);
        json_field_int(&w, "count", (int64_t)call->result->items);
    } else {
        json_key(&w, SLICE("results"));
        json_raw(&w, call->items.len > 0 ? buf_slice(&call->items) : SLICE("[]"));
    }
    if (call->tool->spec.paginated) {
        json_field_int(&w, "page_size", call->page.size);
        json_field_bool(&w, "has_more", call->result->has_more);
        if (call->result->has_more) {
            json_field_cstr(&w, "next_page_token", call->result->next_page_token);
        }
    }
    json_object_end(&w);
}

static int finish(ToolCall *call, Err *e)
{
    ToolResult *r = call->result;
    int rc = flush(call, e);
    if (rc != 0) {
        return rc;
    }
    if (!call->returned &&
        (r->items > 0 || call->tool->spec.paginated || call->request->on_batch)) {
        if (call->items.len > 0) {
            buf_putc(&call->items, ']');
        }
        // The frame around the items is ours and does not count.
        r->json.max = call->result_max + TOOL_PAGE_TOKEN_MAX * 6 + 128;
        write_items(call, &r->json);
    } else if (!call->returned) {
        buf_puts(&r->json, "null");
    }
    return buf_check(&r->json, "the tool's result", e);
}

static int64_t deadline_of(const ToolSet *set, const Tool *tool, const ToolRequest *request)
{
    int64_t timeout_ns = tool->spec.timeout_ns ? tool->spec.timeout_ns : set->options.timeout_ns;
    int64_t deadline_ns = request->deadline_ns ? request->deadline_ns : NEVER_NS;
    int64_t own_ns = timeout_ns && fiber_self()
                         ? clock_deadline(loop_clock(fiber_loop()), timeout_ns)
                         : NEVER_NS;
    return own_ns < deadline_ns ? own_ns : deadline_ns;
}

static int unknown_tool(const ToolSet *set, Slice name, Err *e)
{
    Slice names[64];
    size_t count = 0;
    for (; count < set->count && count < COUNT_OF(names); count++) {
        names[count] = set->tools[count]->spec.name;
    }
    Slice near = slice_nearest(name, names, count);
    return err_set(e, ERR_NOT_FOUND, "there is no tool \"%.*s\"%s%.*s%s",
                   SLICE_FMT(slice_sub(name, 0, 80)), near.len ? "; did you mean \"" : "",
                   SLICE_FMT(near), near.len ? "\"?" : "");
}

int tool_call(const ToolSet *set, const ToolRequest *request, ToolResult *ret_result)
{
    ToolResult *r = ret_result;
    *r = (ToolResult){0};
    const Tool *tool = map_get(&set->by_name, request->name);
    if (!tool) {
        return r->code = unknown_tool(set, request->name, &r->err);
    }
    size_t max =
        tool->spec.result_bytes_max ? tool->spec.result_bytes_max : set->options.result_bytes_max;
    ToolCall call = {.tool = tool,
                     .request = request,
                     .result = r,
                     .arena = arena_create(CALL_BYTES_MAX),
                     .deadline_ns = deadline_of(set, tool, request),
                     .result_max = max};
    r->json = buf_create(max);
    call.items = buf_create(max + 1);
    int rc = read_args(&call, &r->err);
    if (rc == 0) {
        rc = tool->spec.run(&call, &r->err);
    }
    if (rc == 0) {
        rc = finish(&call, &r->err);
    }
    if (rc != 0 && r->err.code != rc) {
        rc = err_set(&r->err, (ErrCode)rc, "tool \"%.*s\" failed: %s", SLICE_FMT(tool->spec.name),
                     err_name(rc));
    }
    r->code = rc;
    buf_done(&call.items);
    arena_destroy(call.arena);
    return rc;
}

void tool_result_done(ToolResult *result)
{
    buf_done(&result->json);
}

// ---- several at once

typedef struct ManyCalls ManyCalls;

typedef struct Worker {
    ManyCalls *many;
    Fiber *fiber; // NULL when it has ended
} Worker;

struct ManyCalls {
    const ToolSet *set;
    const ToolRequest *requests;
    ToolResult *results;
    size_t count, next;
    bool cancelled;
    FiberGroup group;
    Worker *workers;
    size_t worker_count;
};

static void work(void *arg)
{
    Worker *w = arg;
    ManyCalls *m = w->many;
    while (m->next < m->count) {
        size_t index = m->next++;
        ToolResult *r = &m->results[index];
        if (m->cancelled) {
            *r = (ToolResult){0};
            r->code = err_set(&r->err, ERR_CANCELLED, "cancelled before it began");
        } else {
            int rc = tool_call(m->set, &m->requests[index], r);
            (void)rc; // the result says so
        }
    }
    w->fiber = NULL;
}

// Waits for the workers whatever happens: they write to what the caller owns.
static int join(ManyCalls *m)
{
    int rc = fiber_group_wait(&m->group, NEVER_NS);
    if (rc == 0) {
        return 0;
    }
    m->cancelled = true;
    for (size_t i = 0; i < m->worker_count; i++) {
        if (m->workers[i].fiber) {
            fiber_cancel(m->workers[i].fiber);
        }
    }
    do {
        fiber_clear_cancel();
    } while (fiber_group_wait(&m->group, NEVER_NS) != 0);
    fiber_cancel(fiber_self());
    return rc;
}

int tool_call_many(const ToolSet *set, const ToolRequest *requests, size_t count, size_t parallel,
                   ToolResult *ret_results)
{
    size_t workers = parallel ? parallel : (size_t)TOOL_PARALLEL;
    workers = workers < count ? workers : count;
    ManyCalls m = {.set = set, .requests = requests, .results = ret_results, .count = count};
    m.workers = mem_zalloc((workers + 1) * sizeof *m.workers);
    for (; m.worker_count < workers; m.worker_count++) {
        Worker *w = &m.workers[m.worker_count];
        w->many = &m;
        w->fiber = fiber_group_spawn(&m.group, fiber_pool(), "tool", work, w);
        if (!w->fiber) {
            break; // fewer do the work as well
        }
    }
    if (m.worker_count == 0 && count > 0) {
        Worker self = {.many = &m};
        work(&self);
    }
    int rc = m.worker_count > 0 ? join(&m) : 0;
    free(m.workers);
    return rc;
}

// ---- page by page

// The arguments with another page_token.
static int write_args(Slice args, Slice token, Buf *out, Err *e)
{
    Arena *arena = arena_create(CALL_BYTES_MAX);
    const Doc *doc;
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "arguments"};
    int rc = doc_parse(arena, args.len > 0 ? args : SLICE("{}"), &options, &doc, e);
    if (rc == 0) {
        rc = doc_expect(doc, DOC_OBJECT, "arguments", e);
    }
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    for (const Doc *m = rc == 0 ? doc_first(doc) : NULL; m; m = doc_next(m)) {
        if (!slice_eq(m->key, SLICE("page_token"))) {
            json_key(&w, m->key);
            doc_write(&w, m);
        }
    }
    json_field_string(&w, "page_token", token);
    json_object_end(&w);
    arena_destroy(arena);
    return rc == 0 ? buf_check(out, "the arguments", e) : rc;
}

int tool_each_page(const ToolSet *set, const ToolRequest *request, size_t pages_max,
                   ToolBatchFn *on_page, void *arg, size_t *ret_items, Err *e)
{
    char token[TOOL_PAGE_TOKEN_MAX + 1] = "";
    Buf args = buf_create(2 * TOOL_ARGS_BYTES_MAX);
    ToolRequest r = *request;
    r.on_batch = on_page;
    r.batch_arg = arg;
    r.batch_items = TOOL_PAGE_SIZE_MAX; // a page is never larger
    *ret_items = 0;
    int rc = 0;
    for (size_t page = 0; page < pages_max && rc == 0; page++) {
        ToolResult *result = mem_zalloc(sizeof *result);
        rc = tool_call(set, &r, result);
        *ret_items += result->items;
        bool more = result->has_more;
        if (rc != 0) {
            rc = err_set(e, (ErrCode)rc, "%s", result->err.text);
        } else if (more && strcmp(token, result->next_page_token) == 0) {
            rc = err_set(e, ERR_LIMIT, "tool \"%.*s\" gave the page token \"%s\" twice",
                         SLICE_FMT(r.name), token);
        } else if (more) {
            memcpy(token, result->next_page_token, sizeof token);
            buf_reset(&args);
            rc = write_args(request->args, slice_from_cstr(token), &args, e);
            r.args = buf_slice(&args);
        }
        tool_result_done(result);
        free(result);
        if (!more) {
            break;
        }
    }
    buf_done(&args);
    return rc;
}
