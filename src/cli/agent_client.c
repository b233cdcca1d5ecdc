#include "cli/agent_client.h"

#include "net/fetch.h"
#include "os/fiber.h"

enum { ANSWER_BYTES_MAX = 64 << 20, REQUEST_SECONDS = 30 };

typedef struct Asking {
    App *app;
    Loop *loop;
    FiberPool *pool;
    FetchRequest fetch;
    const Doc *answer;
    int rc;
    Err *e;
} Asking;

// The reason that the answer gives, or its status.
static int refusal(const Asking *a, int status)
{
    const Doc *why = doc_get(doc_get(a->answer, SLICE("error")), SLICE("reason"));
    return err_set(a->e, status == 404 ? ERR_NOT_FOUND : ERR_IO, "%.*s answered %d%s%.*s",
                   SLICE_FMT(a->fetch.url), status, why ? ": " : "",
                   SLICE_FMT(why ? why->text : (Slice){0}));
}

static void ask(void *arg)
{
    Asking *a = arg;
    HttpContext *context = http_context_create(&(HttpContextOptions){.loop = a->loop});
    HttpClient *client = http_client_create(context);
    HttpResponse response = http_response_create(NULL);
    a->rc = http_fetch(client, &a->fetch, &response, a->e);
    if (a->rc == 0) {
        DocOptions options = {.format = DOC_FORMAT_JSON, .source = "answer"};
        a->rc = doc_parse(a->app->arena, buf_slice(&response.body), &options, &a->answer, a->e);
        if (response.status < 200 || response.status > 299) {
            a->rc = refusal(a, response.status);
        }
    } else {
        (void)err_wrap(a->e, "no agents run there (perfwright agent run)");
    }
    http_response_done(&response);
    http_client_destroy(client);
    http_context_destroy(context);
    loop_stop(a->loop);
}

int cli_agent_request(App *app, const char *method, Slice url, const Doc **ret_answer, Err *e)
{
    Asking a = {.app = app,
                .e = e,
                .fetch = {.url = url,
                          .method = slice_from_cstr(method),
                          .body_mode = HTTP_BODY_KEEP,
                          .timeout_ns = REQUEST_SECONDS * NS_PER_S}};
    int rc = loop_create(&(LoopOptions){0}, &a.loop, e);
    if (rc != 0) {
        return rc;
    }
    a.pool = fiber_pool_create(a.loop, NULL);
    if (fiber_spawn(a.pool, "ask", ask, &a)) {
        loop_run(a.loop);
    } else {
        a.rc = err_set(e, ERR_LIMIT, "no memory for a fiber");
    }
    (void)fiber_pool_drain(a.pool, loop_clock(a.loop) + NS_PER_S);
    fiber_pool_destroy(a.pool);
    loop_destroy(a.loop);
    if (a.rc == 0) {
        *ret_answer = a.answer;
    }
    return a.rc;
}
