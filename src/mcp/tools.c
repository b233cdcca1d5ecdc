// Lists with pages, tools, and the other methods of a server.
#include "mcp/client_impl.h"

#include "base/json_write.h"

enum {
    PARAMS_BYTES_MAX = 64 << 20,
    LIST_BYTES_MAX = 512 << 20,
    CURSOR_BYTES_MAX = 64 << 10,
    PARAM_HEADERS_MAX = 64
};

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d && d->type == DOC_STRING ? d->text : (Slice){"", 0};
}

static bool flag_of(const Doc *object, const char *key, bool missing)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d && d->type == DOC_BOOL ? d->boolean : missing;
}

// A result that went to a file is none for what needs to look inside.
static int in_memory(McpResult *r, Slice method, Err *e)
{
    if (!r->file) {
        return 0;
    }
    (void)remove(r->file);
    free(r->file);
    r->file = NULL;
    return err_set(e, ERR_LIMIT, "the answer to %.*s is %lld bytes, more than we read",
                   SLICE_FMT(method), (long long)r->bytes);
}

// ---- lists

typedef struct ListKind {
    Slice method;
    Slice member;
} ListKind;

static const ListKind KINDS[] = {
    [MCP_TOOLS] = {SLICE_INIT("tools/list"), SLICE_INIT("tools")},
    [MCP_RESOURCES] = {SLICE_INIT("resources/list"), SLICE_INIT("resources")},
    [MCP_TEMPLATES] = {SLICE_INIT("resources/templates/list"), SLICE_INIT("resourceTemplates")},
    [MCP_PROMPTS] = {SLICE_INIT("prompts/list"), SLICE_INIT("prompts")},
};

typedef struct Listing {
    McpClient *client;
    Arena *arena;
    const ListKind *kind;
    McpItems items;
    size_t capacity;
    Buf cursor; // JSON text of the next one
} Listing;

static int take_page(Listing *l, const Doc *result, int64_t ttl_ns, Err *e)
{
    const Doc *list = doc_get(result, l->kind->member);
    if (!list || list->type != DOC_ARRAY) {
        return err_set(e, ERR_PROTOCOL, "the answer to %.*s has no list of %.*s",
                       SLICE_FMT(l->kind->method), SLICE_FMT(l->kind->member));
    }
    if (doc_count(list) > l->client->limits.items_max - l->items.count) {
        return err_set(e, ERR_LIMIT, "the server lists more than %u %.*s",
                       l->client->limits.items_max, SLICE_FMT(l->kind->member));
    }
    size_t need = l->items.count + doc_count(list);
    if (need > l->capacity) {
        l->capacity = need * 2;
        const Doc **grown = ARENA_ARRAY(l->arena, const Doc *, l->capacity);
        if (l->items.count > 0) {
            memcpy(grown, l->items.items, l->items.count * sizeof *grown);
        }
        l->items.items = grown;
    }
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        if (d->type != DOC_OBJECT) {
            return err_set(e, ERR_PROTOCOL, "the server lists %s among its %.*s",
                           doc_type_name(d->type), SLICE_FMT(l->kind->member));
        }
        l->items.items[l->items.count++] = d;
    }
    if (ttl_ns < l->items.ttl_ns) {
        l->items.ttl_ns = ttl_ns;
    }
    return 0;
}

// The next page's cursor; a server that gives the same one again would keep us for ever.
static int take_cursor(Listing *l, const Doc *result, bool *ret_more, Err *e)
{
    Slice cursor = text_of(result, "nextCursor");
    *ret_more = doc_get(result, SLICE("nextCursor")) && cursor.len > 0;
    if (!*ret_more) {
        return 0;
    }
    Buf text = buf_create(CURSOR_BYTES_MAX);
    buf_puts(&text, "\"cursor\":");
    json_quote(&text, cursor);
    int rc = buf_check(&text, "the cursor of a list", e);
    if (rc == 0 && slice_eq(buf_slice(&text), buf_slice(&l->cursor))) {
        rc = err_set(e, ERR_PROTOCOL, "the server gives the same page of %.*s again and again",
                     SLICE_FMT(l->kind->member));
    }
    buf_done(&l->cursor);
    l->cursor = text;
    return rc;
}

int mcp_list(McpClient *c, Arena *arena, McpList list, McpItems *ret_items, Err *e)
{
    Listing l = {.client = c,
                 .arena = arena,
                 .kind = &KINDS[list],
                 .items = {.ttl_ns = INT64_MAX},
                 .cursor = buf_create(CURSOR_BYTES_MAX)};
    int rc = 0;
    bool more = true;
    for (unsigned page = 0; more && rc == 0; page++) {
        if (page == c->limits.pages_max) {
            rc = err_set(e, ERR_LIMIT, "the server has more than %u pages of %.*s",
                         c->limits.pages_max, SLICE_FMT(l.kind->member));
            break;
        }
        McpRequest request = {.method = l.kind->method, .params = buf_slice(&l.cursor)};
        McpResult r;
        rc = mcp_request(c, arena, &request, &r, e);
        rc = rc != 0 ? rc : in_memory(&r, request.method, e);
        rc = rc != 0 ? rc : take_page(&l, r.result, r.ttl_ns, e);
        rc = rc != 0 ? rc : take_cursor(&l, r.result, &more, e);
    }
    buf_done(&l.cursor);
    if (rc == 0) {
        *ret_items = l.items;
    }
    return rc;
}

// ---- tools

static int read_tool(McpClient *c, Arena *arena, const Doc *d, McpTool *ret, Err *e)
{
    const Doc *hints = doc_get(d, SLICE("annotations"));
    McpTool tool = {.name = text_of(d, "name"),
                    .title = text_of(d, "title"),
                    .description = text_of(d, "description"),
                    .input_schema = doc_get(d, SLICE("inputSchema")),
                    .output_schema = doc_get(d, SLICE("outputSchema")),
                    .doc = d,
                    .read_only = flag_of(hints, "readOnlyHint", false),
                    .idempotent = flag_of(hints, "idempotentHint", false),
                    .destructive = flag_of(hints, "destructiveHint", true)};
    if (tool.name.len == 0 || !tool.input_schema || tool.input_schema->type != DOC_OBJECT) {
        return err_set(e, ERR_PROTOCOL, "a tool without a name or an input schema");
    }
    int rc = mcp_params_of(arena, tool.input_schema, &tool.params, &tool.param_count, e);
    // Over a pipe there are no headers and the annotations mean nothing.
    if (rc != 0 && (!c->transport->is_http || c->era != MCP_ERA_MODERN)) {
        rc = 0;
        tool.params = NULL;
        tool.param_count = 0;
    }
    *ret = tool;
    return rc;
}

static void warn_refused(McpClient *c, const Doc *d, const Err *why)
{
    const McpHandlers *h = &c->options.handlers;
    if (h->log) {
        Buf text = buf_create(4096);
        buf_printf(&text, "tool '%.*s' is left out: %s",
                   SLICE_FMT(slice_sub(text_of(d, "name"), 0, 200)), why->text);
        h->log(h->ctx, SLICE("warning"), buf_slice(&text));
        buf_done(&text);
    }
}

static int fetch_tools(McpClient *c, McpToolSet *set, Err *e)
{
    McpItems items;
    int rc = mcp_list(c, set->arena, MCP_TOOLS, &items, e);
    if (rc != 0) {
        return rc;
    }
    set->tools = ARENA_ARRAY(set->arena, McpTool, items.count + 1);
    for (size_t i = 0; i < items.count; i++) {
        Err why;
        if (read_tool(c, set->arena, items.items[i], &set->tools[set->count], &why) == 0) {
            set->count++;
        } else {
            set->refused++;
            warn_refused(c, items.items[i], &why);
        }
    }
    const Doc *tools = doc_get(c->capabilities, SLICE("tools"));
    bool told = c->era == MCP_ERA_LEGACY && flag_of(tools, "listChanged", false);
    set->fresh_until_ns = told                       ? NEVER_NS
                          : c->era == MCP_ERA_LEGACY ? 0
                                                     : loop_clock(c->loop) + items.ttl_ns;
    return 0;
}

// Asks whatever is known.
static int refresh_tools(McpClient *c, Err *e)
{
    McpToolSet *set = mem_zalloc(sizeof *set);
    set->refs = 1;
    set->arena = arena_create(LIST_BYTES_MAX);
    int rc = fetch_tools(c, set, e);
    if (rc != 0) {
        mcp_toolset_unref(set);
        return rc;
    }
    mcp_toolset_unref(c->tools);
    c->tools = set;
    return 0;
}

int mcp_tools(McpClient *c, McpToolSet **ret_tools, Err *e)
{
    bool fresh = c->tools && loop_clock(c->loop) < c->tools->fresh_until_ns;
    int rc = fresh ? 0 : refresh_tools(c, e);
    if (rc == 0) {
        c->tools->refs++;
        *ret_tools = c->tools;
    }
    return rc;
}

void mcp_toolset_unref(McpToolSet *set)
{
    if (set && --set->refs == 0) {
        arena_destroy(set->arena);
        free(set);
    }
}

const McpTool *mcp_tool_find(const McpToolSet *set, Slice name)
{
    for (size_t i = 0; set && i < set->count; i++) {
        if (slice_eq(set->tools[i].name, name)) {
            return &set->tools[i];
        }
    }
    return NULL;
}

// The members of a tools/call; arguments must be an object, and are sent as they were written.
static int write_call(Arena *arena, const McpToolCall *call, Buf *params, const Doc **ret_arguments,
                      Err *e)
{
    Slice arguments = call->arguments.len > 0 ? call->arguments : SLICE("{}");
    int rc =
        doc_parse(arena, arguments, &(DocOptions){.format = DOC_FORMAT_JSON, .source = "arguments"},
                  ret_arguments, e);
    rc = rc != 0 ? rc : doc_expect(*ret_arguments, DOC_OBJECT, "a tool's arguments", e);
    if (rc != 0) {
        return ERR_ARG;
    }
    buf_puts(params, "\"name\":");
    json_quote(params, call->name);
    buf_puts(params, ",\"arguments\":");
    buf_append(params, slice_trim(arguments));
    return buf_check(params, "a tool's arguments", e);
}

static int call_once(McpClient *c, Arena *arena, const McpToolCall *call, Slice params,
                     const Doc *arguments, McpResult *ret, Err *e)
{
    HttpHeader *headers = ARENA_ARRAY(arena, HttpHeader, PARAM_HEADERS_MAX);
    const McpTool *tool = mcp_tool_find(c->tools, call->name);
    McpRequest request = {.method = SLICE("tools/call"),
                          .params = params,
                          .name = mcp_header_value(arena, call->name),
                          .options = call->options,
                          .headers = headers};
    if (tool && c->era == MCP_ERA_MODERN && c->transport->is_http) {
        request.header_count =
            mcp_param_headers(arena, tool, arguments, headers, PARAM_HEADERS_MAX);
    }
    return mcp_request(c, arena, &request, ret, e);
}

int mcp_call_tool(McpClient *c, Arena *arena, const McpToolCall *call, McpResult *ret_result,
                  Err *e)
{
    *ret_result = (McpResult){0};
    Buf params = buf_create(PARAMS_BYTES_MAX);
    const Doc *arguments = NULL;
    int rc = write_call(arena, call, &params, &arguments, e);
    if (rc == 0) {
        rc = call_once(c, arena, call, buf_slice(&params), arguments, ret_result, e);
    }
    // The server misses a header: the schema we know is old, or we know none. Refused before the
    // tool ran, so asking again does nothing twice.
    if (rc != 0 && ret_result->error_code == RPC_HEADER_MISMATCH && refresh_tools(c, NULL) == 0) {
        rc = call_once(c, arena, call, buf_slice(&params), arguments, ret_result, e);
    }
    buf_done(&params);
    return rc;
}

// ---- everything else

static int simple(McpClient *c, Arena *arena, const char *method, Slice name, Buf *params,
                  const McpCallOptions *options, McpResult *ret, Err *e)
{
    int rc = buf_check(params, "a request", e);
    if (rc == 0) {
        McpRequest request = {.method = slice_from_cstr(method),
                              .params = buf_slice(params),
                              .name = name.len > 0 ? mcp_header_value(arena, name) : name,
                              .options = options ? *options : (McpCallOptions){0}};
        rc = mcp_request(c, arena, &request, ret, e);
    }
    buf_done(params);
    return rc;
}

int mcp_read_resource(McpClient *c, Arena *arena, Slice uri, const McpCallOptions *options,
                      McpResult *ret_result, Err *e)
{
    Buf params = buf_create(PARAMS_BYTES_MAX);
    buf_puts(&params, "\"uri\":");
    json_quote(&params, uri);
    return simple(c, arena, "resources/read", uri, &params, options, ret_result, e);
}

int mcp_get_prompt(McpClient *c, Arena *arena, Slice name, Slice arguments,
                   const McpCallOptions *options, McpResult *ret_result, Err *e)
{
    const Doc *parsed = NULL;
    if (arguments.len > 0) {
        int rc =
            doc_parse(arena, arguments,
                      &(DocOptions){.format = DOC_FORMAT_JSON, .source = "arguments"}, &parsed, e);
        if (rc != 0 || doc_expect(parsed, DOC_OBJECT, "a prompt's arguments", e) != 0) {
            return ERR_ARG;
        }
    }
    Buf params = buf_create(PARAMS_BYTES_MAX);
    buf_puts(&params, "\"name\":");
    json_quote(&params, name);
    if (arguments.len > 0) {
        buf_puts(&params, ",\"arguments\":");
        buf_append(&params, slice_trim(arguments));
    }
    return simple(c, arena, "prompts/get", name, &params, options, ret_result, e);
}

int mcp_complete(McpClient *c, Arena *arena, const McpCompletion *q, McpResult *ret_result, Err *e)
{
    Buf params = buf_create(PARAMS_BYTES_MAX);
    JsonWriter w = json_writer(&params, 0);
    buf_puts(&params, "\"ref\":");
    json_object_begin(&w);
    json_field_cstr(&w, "type", q->prompt.len > 0 ? "ref/prompt" : "ref/resource");
    json_field_string(&w, q->prompt.len > 0 ? "name" : "uri",
                      q->prompt.len > 0 ? q->prompt : q->resource);
    json_object_end(&w);
    buf_puts(&params, ",\"argument\":");
    w = json_writer(&params, 0);
    json_object_begin(&w);
    json_field_string(&w, "name", q->argument);
    json_field_string(&w, "value", q->value);
    json_object_end(&w);
    return simple(c, arena, "completion/complete", (Slice){NULL, 0}, &params, NULL, ret_result, e);
}

int mcp_ping(McpClient *c, int64_t timeout_ns, Err *e)
{
    Arena *arena = arena_create(LIST_BYTES_MAX);
    McpRequest request = {.method =
                              c->era == MCP_ERA_MODERN ? SLICE("server/discover") : SLICE("ping"),
                          .options = {.timeout_ns = timeout_ns}};
    McpResult r;
    int rc = mcp_request(c, arena, &request, &r, e);
    // A server that has no ping but says so is alive.
    if (rc != 0 && r.error_code == RPC_METHOD_NOT_FOUND) {
        rc = 0;
    }
    rc = rc != 0 ? rc : in_memory(&r, request.method, e);
    arena_destroy(arena);
    return rc;
}

int mcp_set_log_level(McpClient *c, Slice level, Err *e)
{
    if (!buf_slice(&c->log_level).ptr || !slice_eq(buf_slice(&c->log_level), level)) {
        buf_reset(&c->log_level);
        buf_append(&c->log_level, level);
    }
    if (c->era == MCP_ERA_MODERN) {
        return 0; // goes with every request
    }
    Arena *arena = arena_create(LIST_BYTES_MAX);
    Buf params = buf_create(1024);
    buf_puts(&params, "\"level\":");
    json_quote(&params, level);
    McpResult r;
    int rc = simple(c, arena, "logging/setLevel", (Slice){NULL, 0}, &params, NULL, &r, e);
    rc = rc != 0 ? rc : in_memory(&r, SLICE("logging/setLevel"), e);
    arena_destroy(arena);
    return rc;
}

int mcp_subscribe(McpClient *c, Slice uri, bool on, Err *e)
{
    if (c->era == MCP_ERA_MODERN) {
        return mcp_listen_to(c, uri, on, e);
    }
    Arena *arena = arena_create(LIST_BYTES_MAX);
    Buf params = buf_create(PARAMS_BYTES_MAX);
    buf_puts(&params, "\"uri\":");
    json_quote(&params, uri);
    McpResult r;
    int rc = simple(c, arena, on ? "resources/subscribe" : "resources/unsubscribe",
                    (Slice){NULL, 0}, &params, NULL, &r, e);
    rc = rc != 0 ? rc : in_memory(&r, SLICE("resources/subscribe"), e);
    arena_destroy(arena);
    return rc;
}

// ---- texts

static void write_block(const Doc *block, Buf *out)
{
    const Doc *inner = doc_get(block, SLICE("resource"));
    const Doc *from = inner ? inner : block;
    Slice text = text_of(from, "text");
    Slice data = text_of(from, inner || doc_get(from, SLICE("blob")) ? "blob" : "data");
    if (doc_get(from, SLICE("text"))) {
        buf_append(out, text);
    } else {
        Slice type = text_of(block, "type");
        Slice mime = text_of(from, "mimeType");
        buf_printf(out, "[%.*s%s%.*s", SLICE_FMT(type), mime.len && type.len ? " " : "",
                   SLICE_FMT(mime));
        if (data.len > 0) {
            buf_printf(out, ", %zu bytes", data.len / 4 * 3);
        } else {
            buf_printf(out, " %.*s", SLICE_FMT(text_of(from, "uri")));
        }
        buf_putc(out, ']');
    }
    buf_putc(out, '\n');
}

void mcp_text_of(const Doc *result, Buf *out)
{
    static const char *const LISTS[] = {"content", "contents", "messages"};
    for (size_t i = 0; i < COUNT_OF(LISTS); i++) {
        const Doc *list = doc_get(result, slice_from_cstr(LISTS[i]));
        for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
            const Doc *inner = doc_get(d, SLICE("content"));
            if (inner) { // a prompt's message
                buf_printf(out, "%.*s: ", SLICE_FMT(text_of(d, "role")));
            }
            write_block(inner ? inner : d, out);
        }
    }
}
