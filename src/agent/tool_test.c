#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/tool.h"

typedef struct World {
    ManualClock manual;
    Loop *loop;
    FiberPool *fibers;
    ToolSet *set;
    int destroyed;
    int running, running_peak;
    int batches;
    size_t batch_items_max;
    Buf seen;
    void (*body)(struct World *w);
    ToolResult *results; // they are large for a fiber's stack
} World;

// ---- tools

static int tool_add_numbers(ToolCall *call, Err *e)
{
    Buf json = buf_create(100);
    buf_printf(&json, "%.17g",
               doc_number(doc_get(tool_args(call), SLICE("a"))) +
                   doc_number(doc_get(tool_args(call), SLICE("b"))));
    int rc = tool_return(call, buf_slice(&json), e);
    buf_done(&json);
    return rc;
}

// A list of `total` numbers, in pages; the token is the number to go on with.
static int tool_count_up(ToolCall *call, Err *e)
{
    int64_t from = 0;
    int64_t total = doc_get(tool_args(call), SLICE("total"))->integer;
    ToolPage page = tool_page(call);
    if (page.token.len > 0 && slice_to_i64(page.token, &from) != 0) {
        return err_set(e, ERR_ARG, "no such page");
    }
    int rc = 0;
    char text[32];
    for (int64_t i = from; i < total && i < from + page.size && rc == 0; i++) {
        (void)snprintf(text, sizeof text, "%lld", (long long)i);
        rc = tool_item(call, slice_from_cstr(text), e);
    }
    if (rc == 0 && from + page.size < total) {
        (void)snprintf(text, sizeof text, "%lld", (long long)(from + page.size));
        rc = tool_next_page(call, slice_from_cstr(text), e);
    }
    return rc;
}

static int tool_list_all(ToolCall *call, Err *e)
{
    int64_t total = doc_get(tool_args(call), SLICE("total"))->integer;
    int rc = 0;
    for (int64_t i = 0; i < total && rc == 0; i++) {
        rc = tool_item(call, SLICE("\"0123456789\""), e);
    }
    return rc;
}

static int tool_dump(ToolCall *call, Err *e)
{
    enum { HUNDRED_MB = 100 << 20 };
    char *text = mem_alloc(HUNDRED_MB);
    memset(text, 'x', HUNDRED_MB);
    text[0] = text[HUNDRED_MB - 1] = '"';
    int rc = tool_return(call, (Slice){text, HUNDRED_MB}, e);
    free(text);
    return rc;
}

static int tool_broken(ToolCall *call, Err *e)
{
    return tool_return(call, SLICE("{\"a\":"), e);
}

static int tool_silent(ToolCall *call, Err *e)
{
    (void)call;
    (void)e;
    return ERR_IO;
}

static int tool_nothing(ToolCall *call, Err *e)
{
    (void)call;
    (void)e;
    return 0;
}

static int tool_same_token(ToolCall *call, Err *e)
{
    return tool_next_page(call, SLICE("again"), e);
}

static int tool_greedy(ToolCall *call, Err *e)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = tool_item(call, SLICE("1"), e);
    }
    return rc;
}

static int tool_wait(ToolCall *call, Err *e)
{
    World *w = tool_self(call);
    w->running++;
    w->running_peak = w->running > w->running_peak ? w->running : w->running_peak;
    int64_t until_ns = loop_clock(w->loop) + 10 * NS_PER_MS;
    bool late = until_ns > tool_deadline_ns(call);
    int rc = fiber_sleep_until(late ? tool_deadline_ns(call) : until_ns);
    w->running--;
    rc = rc == 0 && late ? ERR_TIMEOUT : rc;
    return rc == 0 ? tool_return(call, SLICE("true"), e)
                   : err_set(e, (ErrCode)rc, "gave up waiting");
}

static void count_destroyed(void *self)
{
    World *w = self;
    w->destroyed++;
}

static const char *const NUMBERS =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"number\"}},"
    "\"required\":[\"a\",\"b\"],\"additionalProperties\":false}";
static const char *const TOTAL = "{\"type\":\"object\",\"properties\":{\"total\":{\"type\":"
                                 "\"integer\"}},\"required\":[\"total\"]}";

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    Err e;
    clock_manual_init(&w->manual, 0, 0);
    if (loop_create(&(LoopOptions){.manual = &w->manual, .auto_advance = true}, &w->loop, &e)) {
        return -1;
    }
    w->fibers = fiber_pool_create(w->loop, NULL);
    w->seen = buf_create(1 << 20);
    w->results = mem_zalloc(32 * sizeof *w->results);
    w->set = tool_set_create(&(ToolSetOptions){.result_bytes_max = 4096});
    const struct {
        const char *name, *schema;
        int (*run)(ToolCall *call, Err *e);
        bool paginated;
    } tools[] = {
        {"add", NUMBERS, tool_add_numbers, false}, {"count_up", TOTAL, tool_count_up, true},
        {"list_all", TOTAL, tool_list_all, false}, {"dump", "", tool_dump, false},
        {"broken", "", tool_broken, false},        {"silent", "", tool_silent, false},
        {"nothing", "", tool_nothing, false},      {"same_token", "", tool_same_token, true},
        {"greedy", "", tool_greedy, true},         {"wait", "", tool_wait, false},
    };
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        ToolSpec spec = {.name = slice_from_cstr(tools[i].name),
                         .schema = slice_from_cstr(tools[i].schema),
                         .run = tools[i].run,
                         .paginated = tools[i].paginated,
                         .self = w,
                         .destroy = count_destroyed};
        if (tool_add(w->set, &spec, &e) != 0) {
            return -1;
        }
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    tool_set_destroy(w->set);
    int missing = w->destroyed - 10;
    fiber_pool_destroy(w->fibers);
    loop_destroy(w->loop);
    buf_done(&w->seen);
    free(w->results);
    free(w);
    return missing;
}

static void run_body(void *arg)
{
    World *w = arg;
    w->body(w);
}

static void in_fiber(World *w, void (*body)(World *w))
{
    w->body = body;
    assert_non_null(fiber_spawn(w->fibers, "test", run_body, w));
    while (fiber_pool_stats(w->fibers).alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

// ---- single calls

static void single_calls(World *w)
{
    static const struct {
        const char *name, *args;
        int code;
        const char *text; // of the value, or in the error
    } cases[] = {
        {"add", "{\"a\":1,\"b\":2.5}", 0, "3.5"},
        {"add", "{\"a\":1}", ERR_ARG, "tool \"add\": arguments: the member \"b\" is missing"},
        {"add", "{\"a\":1,\"b\":\"2\"}", ERR_ARG, "arguments.b: must be of type number"},
        {"add", "{\"a\":1,\"b\":2,\"c\":3}", ERR_ARG, "has no member \"c\""},
        {"add", "[1,2]", ERR_ARG, "must be of type object"},
        {"add", "{\"a\":", ERR_ARG, "tool \"add\": arguments:1:"},
        {"ad", "", ERR_NOT_FOUND, "there is no tool \"ad\"; did you mean \"add\"?"},
        {"dump", "", ERR_LIMIT,
         "tool \"dump\" gave 104857600 bytes and may give 4096: ask for pages (page_size)"},
        {"broken", "", ERR_PARSE, "tool \"broken\": result:1:"},
        {"silent", "", ERR_IO, "tool \"silent\" failed: ERR_IO"},
        {"nothing", "", 0, "null"},
        {"list_all", "{\"total\":2}", 0, "{\"results\":[\"0123456789\",\"0123456789\"]}"},
        {"list_all", "{\"total\":1000}", ERR_LIMIT, "may give 4096"},
        {"count_up", "{\"total\":2}", 0,
         "{\"results\":[0,1],\"page_size\":100,\"has_more\":false}"},
        {"count_up", "{\"total\":0}", 0, "{\"results\":[],\"page_size\":100,\"has_more\":false}"},
        {"count_up", "{\"total\":5,\"page_size\":2}", 0,
         "{\"results\":[0,1],\"page_size\":2,\"has_more\":true,\"next_page_token\":\"2\"}"},
        {"count_up", "{\"total\":5,\"page_size\":2,\"page_token\":\"4\"}", 0,
         "{\"results\":[4],\"page_size\":2,\"has_more\":false}"},
        {"count_up", "{\"total\":5,\"page_size\":0}", ERR_ARG, "page_size: must be at least 1"},
        {"count_up", "{\"total\":5,\"page_size\":1000}", 0, "{\"results\":[0,1,2,3,4],"},
        {"count_up", "{\"total\":5,\"page_size\":1001}", ERR_ARG, "must be at most 1000"},
        {"greedy", "{\"page_size\":2}", ERR_LIMIT, "gave more than its page of 2 items"},
        {"wait", "", 0, "true"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ToolResult *r = &w->results[0];
        ToolRequest request = {.name = slice_from_cstr(cases[i].name),
                               .args = slice_from_cstr(cases[i].args)};
        int rc = tool_call(w->set, &request, r);
        assert_int_equal(rc, r->code);
        const char *text = rc == 0 ? r->json.data : r->err.text;
        if (rc != cases[i].code || !strstr(text, cases[i].text)) {
            fail_msg("%s(%s): %d %s", cases[i].name, cases[i].args, rc, text);
        }
        tool_result_done(r);
    }
}

static void test_single_calls(void **state)
{
    in_fiber(*state, single_calls);
}

static void timeouts(World *w)
{
    ToolResult *r = &w->results[0];
    ToolRequest request = {.name = SLICE("wait"), .deadline_ns = loop_clock(w->loop) + 5};
    assert_int_equal(tool_call(w->set, &request, r), ERR_TIMEOUT);
    tool_result_done(r);
    Err e;
    ToolSpec spec = {.name = SLICE("slow"), .run = tool_wait, .self = w, .timeout_ns = NS_PER_MS};
    assert_int_equal(tool_add(w->set, &spec, &e), 0);
    request = (ToolRequest){.name = SLICE("slow")};
    assert_int_equal(tool_call(w->set, &request, r), ERR_TIMEOUT);
    tool_result_done(r);
}

static void test_timeouts(void **state)
{
    in_fiber(*state, timeouts);
}

// ---- batches and pages

static int on_batch(void *arg, Slice items, size_t count, Err *e)
{
    World *w = arg;
    w->batches++;
    w->batch_items_max = count > w->batch_items_max ? count : w->batch_items_max;
    buf_append(&w->seen, items);
    assert_int_equal(fiber_yield(), 0); // it may park
    return w->batches == 50 ? err_set(e, ERR_FULL, "enough") : 0;
}

static void batches(World *w)
{
    ToolResult *r = &w->results[0];
    ToolRequest request = {.name = SLICE("list_all"),
                           .args = SLICE("{\"total\":1050}"),
                           .on_batch = on_batch,
                           .batch_arg = w};
    assert_int_equal(tool_call(w->set, &request, r), 0);
    assert_string_equal(r->json.data, "{\"streamed\":true,\"count\":1050}");
    assert_int_equal(w->batches, 11);
    assert_int_equal(w->batch_items_max, TOOL_BATCH_ITEMS);
    assert_int_equal(r->items, 1050);
    tool_result_done(r);
    // What takes the batches may end it.
    request.batch_items = 2;
    assert_int_equal(tool_call(w->set, &request, r), ERR_FULL);
    assert_string_equal(r->err.text, "enough");
    tool_result_done(r);
}

static void test_batches(void **state)
{
    in_fiber(*state, batches);
}

static void pages(World *w)
{
    Err e;
    size_t items = 0;
    ToolRequest request = {.name = SLICE("count_up"),
                           .args = SLICE("{\"total\":7,\"page_size\":3,\"page_token\":\"0\"}")};
    assert_int_equal(tool_each_page(w->set, &request, 100, on_batch, w, &items, &e), 0);
    assert_int_equal(items, 7);
    assert_string_equal(w->seen.data, "[0,1,2][3,4,5][6]");
    buf_reset(&w->seen);
    assert_int_equal(tool_each_page(w->set, &request, 2, on_batch, w, &items, &e), 0);
    assert_int_equal(items, 6);
    request = (ToolRequest){.name = SLICE("same_token")};
    assert_int_equal(tool_each_page(w->set, &request, 100, on_batch, w, &items, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "gave the page token \"again\" twice"));
    request = (ToolRequest){.name = SLICE("gone")};
    assert_int_equal(tool_each_page(w->set, &request, 100, on_batch, w, &items, &e), ERR_NOT_FOUND);
}

static void test_pages(void **state)
{
    in_fiber(*state, pages);
}

// ---- many

static void many(World *w)
{
    ToolRequest requests[20];
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        requests[i] = (ToolRequest){.name = i == 7 ? SLICE("gone") : SLICE("wait")};
    }
    int64_t start_ns = loop_clock(w->loop);
    assert_int_equal(tool_call_many(w->set, requests, COUNT_OF(requests), 5, w->results), 0);
    assert_int_equal(w->running_peak, 5);
    // 19 waits of 10 ms, five at a time.
    assert_true(loop_clock(w->loop) == start_ns + 40 * NS_PER_MS);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        assert_int_equal(w->results[i].code, i == 7 ? ERR_NOT_FOUND : 0);
        tool_result_done(&w->results[i]);
    }
    assert_int_equal(tool_call_many(w->set, requests, 0, 5, w->results), 0);
    w->running_peak = 0;
    assert_int_equal(tool_call_many(w->set, requests, 20, 0, w->results), 0);
    assert_int_equal(w->running_peak, TOOL_PARALLEL);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        tool_result_done(&w->results[i]);
    }
}

static void test_many(void **state)
{
    in_fiber(*state, many);
}

static void many_cancelled(void *arg)
{
    World *w = arg;
    ToolRequest requests[20];
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        requests[i] = (ToolRequest){.name = SLICE("wait")};
    }
    assert_int_equal(tool_call_many(w->set, requests, 20, 5, w->results), ERR_CANCELLED);
    assert_true(fiber_is_cancelled());
    assert_int_equal(w->running, 0);
    assert_int_equal(w->running_peak, 5);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        assert_int_equal(w->results[i].code, ERR_CANCELLED);
        tool_result_done(&w->results[i]);
    }
}

static void test_many_cancelled(void **state)
{
    World *w = *state;
    Fiber *f = fiber_spawn(w->fibers, "many", many_cancelled, w);
    while (w->running < 5) {
        (void)loop_tick(w->loop, 0);
    }
    fiber_cancel(f);
    while (fiber_pool_stats(w->fibers).alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

// ---- the set

static void test_adding(void **state)
{
    World *w = *state;
    char longest[TOOL_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest);
    const struct {
        Slice name;
        const char *schema;
        int code;
        const char *text;
    } cases[] = {
        {SLICE("add"), "", ERR_EXISTS, "already"},
        {SLICE(""), "", ERR_ARG, "1 to 64"},
        {SLICE("a b"), "", ERR_ARG, "letters, digits"},
        {{longest, TOOL_NAME_MAX + 1}, "", ERR_ARG, "1 to 64"},
        {{longest, TOOL_NAME_MAX}, "", 0, ""},
        {SLICE("x"), "{\"type\":\"text\"}", ERR_PARSE, "tool \"x\": schema:1:9"},
        {SLICE("x"), "[]", ERR_PARSE, "must be"},
        {SLICE("x"), "{", ERR_PARSE, "tool \"x\": schema:1:"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Err e;
        ToolSpec spec = {
            .name = cases[i].name, .schema = slice_from_cstr(cases[i].schema), .run = tool_nothing};
        int rc = tool_add(w->set, &spec, &e);
        assert_int_equal(rc, cases[i].code);
        if (rc != 0 && !strstr(e.text, cases[i].text)) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].text, e.text);
        }
    }
    assert_int_equal(tool_count(w->set), 11);
    ToolInfo info;
    assert_false(tool_find(w->set, SLICE("x"), &info));
    assert_true(tool_find(w->set, SLICE("count_up"), &info));
    assert_true(info.paginated);
    assert_string_equal(
        info.schema.ptr,
        "{\"type\":\"object\",\"required\":[\"total\"],\"properties\":{\"total\":{\"type\":"
        "\"integer\"},\"page_size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,"
        "\"default\":100},\"page_token\":{\"type\":\"string\",\"maxLength\":1024,"
        "\"description\":\"next_page_token of the page before\"}}}");
    assert_true(slice_eq(tool_at(w->set, 0).name, SLICE("add")));
}

static void test_a_set_is_bounded(void **state)
{
    (void)state;
    ToolSet *set = tool_set_create(&(ToolSetOptions){0});
    char name[16];
    for (int i = 0; i <= TOOLS_MAX; i++) {
        (void)snprintf(name, sizeof name, "tool%d", i);
        ToolSpec spec = {.name = slice_from_cstr(name), .run = tool_nothing};
        assert_int_equal(tool_add(set, &spec, NULL), i < TOOLS_MAX ? 0 : ERR_FULL);
    }
    tool_set_destroy(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_single_calls), TEST(test_timeouts),
        TEST(test_batches),      TEST(test_pages),
        TEST(test_many),         TEST(test_many_cancelled),
        TEST(test_adding),       cmocka_unit_test(test_a_set_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
