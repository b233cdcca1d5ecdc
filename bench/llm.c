// bench_llm: the time that our LLM client adds to a call, against a bare libcurl client in the same
// run. Both send the same small chat (1 KiB of prompt) to one fake-llm on another thread, 5,000
// requests a second in an open model, in turn, segment by segment; both spin, so that waking up is
// measured for neither. "Bare" is libcurl's multi interface with a body made beforehand and an
// answer that nobody reads. Then: the processor time of a call when thousands are due at once, and
// what an answer from the cache takes.
//
//     bench_llm [RATE] [SECONDS A SEGMENT] [SEGMENTS] [tls]
//
// Prints JSON. `tls` is HTTP/2 over TLS instead of HTTP/1.1.
#include <curl/curl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json_write.h"
#include "llm/client.h"
#include "llm/config.h"
#include "llm/fake.h"
#include "net/tls.h"
#include "net/tls_cert.h"
#include "stat/hist.h"

enum { PROMPT_BYTES = 1024, IN_FLIGHT_MAX = 4096, CACHE_HITS = 100000 };

typedef struct Bench {
    int64_t rate, segment_ns, segments;
    bool tls;
    FakeLlm *fake;
    Buf cert, key;
    char ca_path[64];
    char prompt[PROMPT_BYTES + 1];
    char url[128];
    Hist bare, ours;
    uint64_t bare_failed, ours_failed;
    int64_t cache_hit_ns;
    double bare_cpu_us, ours_cpu_us; // of a call, nothing waits
} Bench;

static void check(int rc, const Err *e)
{
    if (rc != 0) {
        die("%s", e->text);
    }
}

// ---- the bare client

typedef struct BareCall {
    CURL *easy;
    int64_t intended_ns;
    struct BareCall *next;
} BareCall;

typedef struct Bare {
    Bench *b;
    CURLM *multi;
    BareCall *idle;
    struct curl_slist *headers;
    Buf body;
    size_t open;
} Bare;

static size_t drop_body(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static BareCall *bare_handle(Bare *bare)
{
    BareCall *call = bare->idle;
    if (call) {
        bare->idle = call->next;
        return call;
    }
    call = mem_zalloc(sizeof *call);
    call->easy = curl_easy_init();
    curl_easy_setopt(call->easy, CURLOPT_URL, bare->b->url);
    curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, drop_body);
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, bare->headers);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE, (long)bare->body.len);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, bare->body.data);
    curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(call->easy, CURLOPT_PROXY, "");
    if (bare->b->tls) {
        curl_easy_setopt(call->easy, CURLOPT_CAINFO, bare->b->ca_path);
    }
    return call;
}

static void bare_collect(Bare *bare)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(bare->multi, &left)) != NULL) {
        BareCall *call = NULL;
        long status = 0;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(bare->multi, call->easy);
        bare->open--;
        bare->b->bare_failed += result != CURLE_OK || status != 200;
        hist_record(&bare->b->bare, clock_now(clock_real()) - call->intended_ns);
        call->next = bare->idle;
        bare->idle = call;
    }
}

static void bare_segment(Bare *bare)
{
    const Bench *b = bare->b;
    int64_t gap = NS_PER_S / b->rate, next = clock_now(clock_real());
    int64_t end = next + b->segment_ns;
    int running;
    while (next < end || bare->open > 0) {
        int64_t now = clock_now(clock_real());
        while (next < end && next <= now) {
            BareCall *call = bare_handle(bare);
            call->intended_ns = next;
            curl_multi_add_handle(bare->multi, call->easy);
            bare->open++;
            next += gap;
        }
        curl_multi_perform(bare->multi, &running);
        bare_collect(bare);
    }
}

static void bare_open(Bare *bare, Bench *b)
{
    *bare = (Bare){.b = b, .multi = curl_multi_init(), .body = buf_create(1 << 16)};
    bare->headers = curl_slist_append(NULL, "Content-Type: application/json");
    bare->headers = curl_slist_append(bare->headers, "Expect:");
    JsonWriter w = json_writer(&bare->body, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "model", "m");
    json_key(&w, SLICE("messages"));
    json_array_begin(&w);
    json_object_begin(&w);
    json_field_cstr(&w, "role", "user");
    json_field_cstr(&w, "content", b->prompt);
    json_object_end(&w);
    json_array_end(&w);
    json_object_end(&w);
    curl_multi_setopt(bare->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 50L);
    curl_multi_setopt(bare->multi, CURLMOPT_MAXCONNECTS, 50L);
}

static void bare_close(Bare *bare)
{
    while (bare->idle) {
        BareCall *call = bare->idle;
        bare->idle = call->next;
        curl_easy_cleanup(call->easy);
        free(call);
    }
    curl_multi_cleanup(bare->multi);
    curl_slist_free_all(bare->headers);
    buf_done(&bare->body);
}

// ---- ours

typedef struct Ours {
    Bench *b;
    Loop *loop;
    FiberPool *pool;
    LlmConfig config;
    LlmClient *client;
    LoopTimer timer;
    int64_t next_ns, end_ns;
    size_t open;
    LlmPart part;
    LlmMessage message;
} Ours;

typedef struct OurCall {
    Ours *o;
    int64_t intended_ns;
} OurCall;

static int ask(Ours *o, LlmCachePolicy cache, LlmResponse *r)
{
    LlmRequest request = {.messages = &o->message, .message_count = 1, .cache = cache};
    return llm_chat(o->client, &request, r, NULL);
}

static void our_call(void *arg)
{
    OurCall *call = arg;
    Ours *o = call->o;
    LlmResponse r;
    o->b->ours_failed += ask(o, LLM_CACHE_BYPASS, &r) != 0;
    hist_record(&o->b->ours, loop_clock(o->loop) - call->intended_ns);
    llm_response_done(&r);
    free(call);
    o->open--;
    if (o->open == 0 && o->next_ns >= o->end_ns) {
        loop_stop(o->loop);
    }
}

static void on_arrival(LoopTimer *timer)
{
    Ours *o = CONTAINER_OF(timer, Ours, timer);
    int64_t gap = NS_PER_S / o->b->rate, now = loop_clock(o->loop);
    for (; o->next_ns < o->end_ns && o->next_ns <= now; o->next_ns += gap) {
        OurCall *call = mem_alloc(sizeof *call);
        *call = (OurCall){o, o->next_ns};
        o->open++;
        if (!fiber_spawn(o->pool, "call", our_call, call)) {
            die("no more fibers");
        }
    }
    if (o->next_ns < o->end_ns) {
        loop_timer_set(o->loop, &o->timer, o->next_ns);
    }
}

static void our_segment(Ours *o)
{
    o->next_ns = loop_clock(o->loop);
    o->end_ns = o->next_ns + o->b->segment_ns;
    loop_timer_set(o->loop, &o->timer, o->next_ns);
    loop_run(o->loop);
}

static void cache_hits(void *arg)
{
    Ours *o = arg;
    LlmResponse r;
    o->b->ours_failed += ask(o, LLM_CACHE_USE, &r) != 0;
    llm_response_done(&r);
    int64_t start = clock_now(clock_real());
    for (int i = 0; i < CACHE_HITS; i++) {
        o->b->ours_failed += ask(o, LLM_CACHE_USE, &r) != 0 || !r.from_cache;
        llm_response_done(&r);
    }
    o->b->cache_hit_ns = (clock_now(clock_real()) - start) / CACHE_HITS;
    loop_stop(o->loop);
}

static void our_open(Ours *o, Bench *b, Arena *arena)
{
    Err e = {0};
    *o = (Ours){.b = b};
    // The same eagerness as the bare client's: neither ever sleeps.
    check(loop_create(&(LoopOptions){.spin_ns = NS_PER_S}, &o->loop, &e), &e);
    o->pool = fiber_pool_create(o->loop, NULL);
    Slice base = arena_printf(arena, "%.*s", (int)(strstr(b->url, "/chat/") - b->url), b->url);
    Slice text =
        arena_printf(arena,
                     "[openai]\nbase_url = \"%.*s\"\nmodel = \"m\"\nretry_max_attempts = 1\n"
                     "%s%s%s",
                     SLICE_FMT(base), b->tls ? "ca_file = \"" : "", b->tls ? b->ca_path : "",
                     b->tls ? "\"\n" : "");
    const Doc *doc = NULL;
    check(doc_parse(arena, text, &(DocOptions){.format = DOC_FORMAT_TOML}, &doc, &e), &e);
    check(llm_config_read(arena, doc, &o->config, &e), &e);
    check(llm_client_create(&(LlmClientOptions){.loop = o->loop, .config = &o->config}, &o->client,
                            &e),
          &e);
    loop_timer_init(&o->timer, on_arrival);
    o->part = llm_text(slice_from_cstr(b->prompt));
    o->message = (LlmMessage){LLM_USER, &o->part, 1};
}

static void our_close(Ours *o)
{
    llm_client_destroy(o->client);
    loop_timer_cancel(o->loop, &o->timer);
    fiber_pool_destroy(o->pool);
    loop_destroy(o->loop);
}

// ---- a burst: BURST calls due at once, so that neither side waits and processor time is work

enum { BURST = 5000 };

static double cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void burst(Bench *b, Bare *bare, Ours *ours)
{
    int64_t rate = b->rate, segment_ns = b->segment_ns;
    b->rate = NS_PER_S; // one a nanosecond
    b->segment_ns = BURST;
    double start = cpu_us();
    bare_segment(bare);
    double middle = cpu_us();
    our_segment(ours);
    b->bare_cpu_us = (middle - start) / BURST;
    b->ours_cpu_us = (cpu_us() - middle) / BURST;
    b->rate = rate;
    b->segment_ns = segment_ns;
}

// ---- all of it

static void start_fake(Bench *b)
{
    Err e = {0};
    FakeLlmOptions options = {.threads = 1};
    if (b->tls) {
        b->cert = buf_create(1 << 16);
        b->key = buf_create(1 << 16);
        check(tls_cert_make(&(TlsCertSpec){.host = "localhost"}, &b->cert, &b->key, &e), &e);
        options.tls_cert = buf_slice(&b->cert);
        options.tls_key = buf_slice(&b->key);
        (void)snprintf(b->ca_path, sizeof b->ca_path, "/tmp/bench-llm-XXXXXX");
        int fd = mkstemp(b->ca_path);
        if (fd < 0 || write(fd, b->cert.data, b->cert.len) != (ssize_t)b->cert.len) {
            die("cannot write %s", b->ca_path);
        }
        (void)close(fd);
    }
    check(fake_llm_start(&options, &b->fake, &e), &e);
    NetAddr addr = fake_llm_addr(b->fake);
    (void)snprintf(b->url, sizeof b->url, "%s:%d/v1/chat/completions",
                   b->tls ? "https://localhost" : "http://127.0.0.1", net_addr_port(&addr));
    memset(b->prompt, 'w', PROMPT_BYTES);
}

static void put_arm(JsonWriter *w, const char *name, const Hist *h, uint64_t failed)
{
    json_key(w, slice_from_cstr(name));
    json_object_begin(w);
    json_field_int(w, "requests", (int64_t)h->count);
    json_field_int(w, "failed", (int64_t)failed);
    json_field_double(w, "p50_us", hist_quantile(h, 0.5) / 1e3);
    json_field_double(w, "p99_us", hist_quantile(h, 0.99) / 1e3);
    json_object_end(w);
}

static void report(const Bench *b)
{
    Buf out = buf_create(1 << 16);
    JsonWriter w = json_writer(&out, 2);
    json_object_begin(&w);
    json_field_cstr(&w, "protocol", b->tls ? "HTTP/2 over TLS" : "HTTP/1.1");
    json_field_int(&w, "rate", b->rate);
    put_arm(&w, "bare_libcurl", &b->bare, b->bare_failed);
    put_arm(&w, "llm_client", &b->ours, b->ours_failed);
    json_field_double(&w, "added_p50_us",
                      (hist_quantile(&b->ours, 0.5) - hist_quantile(&b->bare, 0.5)) / 1e3);
    json_field_double(&w, "added_p99_us",
                      (hist_quantile(&b->ours, 0.99) - hist_quantile(&b->bare, 0.99)) / 1e3);
    json_field_double(&w, "burst_cpu_us_bare", b->bare_cpu_us);
    json_field_double(&w, "burst_cpu_us_ours", b->ours_cpu_us);
    json_field_int(&w, "cache_hit_ns", b->cache_hit_ns);
    json_object_end(&w);
    puts(out.data);
    buf_done(&out);
}

static int64_t argument(char **argv, int argc, int i, int64_t otherwise)
{
    int64_t value = otherwise;
    if (argc > i && slice_to_i64(slice_from_cstr(argv[i]), &value) != 0) {
        die("%s is no number", argv[i]);
    }
    return value > 0 ? value : otherwise;
}

int main(int argc, char **argv)
{
    Bench b = {.rate = argument(argv, argc, 1, 5000),
               .segment_ns = argument(argv, argc, 2, 1) * NS_PER_S,
               .segments = argument(argv, argc, 3, 4),
               .tls = argc > 4 && strcmp(argv[4], "tls") == 0};
    hist_init(&b.bare);
    hist_init(&b.ours);
    Arena *arena = arena_create(1 << 20);
    start_fake(&b);
    Bare bare;
    Ours ours;
    bare_open(&bare, &b);
    our_open(&ours, &b, arena);
    bare_segment(&bare); // connections, caches and page tables of both
    our_segment(&ours);
    burst(&b, &bare, &ours);
    hist_reset(&b.bare);
    hist_reset(&b.ours);
    for (int64_t i = 0; i < b.segments; i++) {
        bare_segment(&bare);
        our_segment(&ours);
    }
    if (!fiber_spawn(ours.pool, "cache", cache_hits, &ours)) {
        die("no fiber");
    }
    loop_run(ours.loop);
    bare_close(&bare);
    our_close(&ours);
    fake_llm_stop(b.fake);
    report(&b);
    if (b.tls) {
        (void)unlink(b.ca_path);
    }
    buf_done(&b.cert);
    buf_done(&b.key);
    hist_done(&b.bare);
    hist_done(&b.ours);
    arena_destroy(arena);
    return b.bare_failed + b.ours_failed > 0;
}
