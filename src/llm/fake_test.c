// The fake on a loop of its owner's, and on threads; the wire is test/fake_llm_test.py's.
#include "llm/fake.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "llm/fake_store.h"
#include "net/http.h"

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    FakeLlm *fake;
    int requests; // each client sends
    int status;   // of the last answer
    Buf body;     //
} World;

static const char chat[] =
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

static void ask(void *arg)
{
    World *w = arg;
    char text[NET_ADDR_TEXT_MAX], url_text[NET_ADDR_TEXT_MAX + 16];
    NetAddr addr = fake_llm_addr(w->fake);
    net_addr_print(&addr, text);
    (void)snprintf(url_text, sizeof url_text, "http://%s/", text);
    Url url;
    HttpOrigin origin;
    assert_int_equal(url_parse(slice_from_cstr(url_text), &url, NULL), 0);
    assert_int_equal(http_origin_init(&origin, &url, NULL), 0);
    HttpContext *context = http_context_create(&(HttpContextOptions){.loop = w->loop});
    HttpClient *client = http_client_create(context);
    HttpResponse response = http_response_create(NULL);
    for (int i = 0; i < w->requests; i++) {
        HttpRequest request = {.origin = &origin,
                               .method = SLICE("POST"),
                               .target = SLICE("/v1/chat/completions"),
                               .has_body = true,
                               .body = SLICE(chat),
                               .body_mode = HTTP_BODY_KEEP};
        assert_int_equal(http_client_do(client, &request, &response, NULL), 0);
    }
    w->status = response.status;
    buf_reset(&w->body);
    buf_append(&w->body, buf_slice(&response.body));
    http_response_done(&response);
    http_client_destroy(client);
    http_context_destroy(context);
    http_origin_done(&origin);
}

static void open_world(World *w)
{
    *w = (World){.requests = 1, .body = buf_create(1 << 20)};
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, NULL), 0);
    w->pool = fiber_pool_create(w->loop, NULL);
}

static void run(World *w, int clients)
{
    FiberGroup group = {0};
    for (int i = 0; i < clients; i++) {
        assert_non_null(fiber_group_spawn(&group, w->pool, "client", ask, w));
    }
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static void close_world(World *w)
{
    fake_llm_stop(w->fake);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    buf_done(&w->body);
}

static void test_on_a_loop_of_the_owner(void **state)
{
    (void)state;
    World w;
    open_world(&w);
    FakeLlmOptions options = {.loop = w.loop, .pool = w.pool};
    assert_int_equal(fake_llm_start(&options, &w.fake, NULL), 0);
    run(&w, 1);
    assert_int_equal(w.status, 200);
    assert_non_null(strstr(w.body.data, "\"object\":\"chat.completion\""));
    FakeSettings settings = fake_llm_settings(w.fake);
    settings.fault_rate[FAKE_UNAVAILABLE] = 1;
    fake_llm_change(w.fake, &settings);
    run(&w, 1);
    assert_int_equal(w.status, 503);
    FakeCounts counts = fake_llm_counts(w.fake);
    assert_int_equal(fake_counts_requests(&counts), 2);
    assert_int_equal(counts.statuses[2], 1);
    assert_int_equal(counts.statuses[5], 1);
    assert_int_equal(counts.faults[FAKE_UNAVAILABLE], 1);
    assert_int_equal(counts.tokens_out, 16);
    close_world(&w);
}

static void test_on_threads(void **state)
{
    (void)state;
    enum { THREADS = 2, CLIENTS = 8, REQUESTS = 25 };
    World w;
    open_world(&w);
    assert_int_equal(fake_llm_start(&(FakeLlmOptions){.threads = THREADS}, &w.fake, NULL), 0);
    w.requests = REQUESTS;
    run(&w, CLIENTS);
    FakeCounts counts = fake_llm_counts(w.fake);
    assert_int_equal(counts.statuses[2], CLIENTS * REQUESTS);
    close_world(&w);
}

static void test_start_fails_cleanly(void **state)
{
    (void)state;
    FakeLlm *fake = NULL;
    Err e = {0};
    assert_int_equal(fake_llm_start(&(FakeLlmOptions){.threads = FAKE_THREADS_MAX + 1}, &fake, &e),
                     ERR_LIMIT);
    assert_int_equal(fake_llm_start(&(FakeLlmOptions){.record_path = "/"}, &fake, &e), ERR_IO);
    FakeLlmOptions tls = {.tls_cert = SLICE("no PEM"), .tls_key = SLICE("no PEM")};
    assert_true(fake_llm_start(&tls, &fake, &e) < 0);
    assert_null(fake);
    fake_llm_stop(NULL);
}

static void test_the_store_forgets_the_oldest(void **state)
{
    (void)state;
    FakeStore *store = fake_store_create();
    FakeObject listed[2];
    FakeObject o = {.data = {.data = (char[]){"abc"}, .len = 3}};
    for (uint64_t id = 1; id <= FAKE_OBJECTS_MAX + 1; id++) {
        o.id = id;
        fake_store_put(store, FAKE_FILE, &o);
    }
    Buf data = buf_create(10);
    assert_int_equal(fake_store_get(store, FAKE_FILE, 1, &o, NULL), ERR_NOT_FOUND);
    assert_int_equal(fake_store_get(store, FAKE_FILE, 2, &o, &data), 0);
    assert_string_equal(data.data, "abc");
    assert_int_equal(fake_store_get(store, FAKE_BATCH, 2, &o, NULL), ERR_NOT_FOUND);
    assert_int_equal(fake_store_list(store, FAKE_FILE, listed, 2), 2);
    assert_int_equal(listed[0].id, FAKE_OBJECTS_MAX + 1);
    assert_int_equal(fake_store_remove(store, FAKE_FILE, FAKE_OBJECTS_MAX + 1), 0);
    assert_int_equal(fake_store_remove(store, FAKE_FILE, FAKE_OBJECTS_MAX + 1), ERR_NOT_FOUND);
    assert_int_equal(fake_store_list(store, FAKE_FILE, listed, 1), 1);
    assert_int_equal(listed[0].id, FAKE_OBJECTS_MAX);
    assert_int_equal(fake_store_cancel(store, FAKE_FILE, 2, 77), 0);
    assert_int_equal(fake_store_get(store, FAKE_FILE, 2, &o, NULL), 0);
    assert_int_equal(o.cancelled_s, 77);
    buf_done(&data);
    fake_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_a_loop_of_the_owner),
        cmocka_unit_test(test_on_threads),
        cmocka_unit_test(test_start_fails_cleanly),
        cmocka_unit_test(test_the_store_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
