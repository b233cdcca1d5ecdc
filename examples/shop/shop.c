// shop: the bundled sample service, a small catalogue API that works for its answers. It is what
// ./quickstart, the golden bench and the guides measure, so its cost is real computation over real
// data, never a sleep, and it is the same from build to build.
//
//     GET  /health           "ok"
//     GET  /products         a page of the catalogue: ?page=N
//     GET  /products/ID      one product, 404 when there is none
//     GET  /search?q=WORDS   the ten best matches by edit distance over the whole catalogue
//     POST /cart             body {"product": ID, "count": N}; answers with the total
//     GET  /events           server-sent events: one "tick" a second
//
// SHOP_SEARCH_WORK is how much of the catalogue one search looks at, in per cent: the regressed
// build is compiled with 120 and so scores every product 1.2 times. --work sets it at run time, for
// the golden bench, which needs many sizes.
#include <signal.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/json_write.h"
#include "base/option.h"
#include "base/rng.h"
#include "net/server.h"
#include "net/sse.h"
#include "os/signal.h"

#ifndef SHOP_SEARCH_WORK
#define SHOP_SEARCH_WORK 100
#endif

enum {
    PRODUCTS = 4000,
    PAGE = 20,
    HITS = 10,
    NAME_MAX_BYTES = 48,
    QUERY_MAX_BYTES = 32,
    REPLY_BYTES_MAX = 64 << 10,
    DRAIN_SECONDS = 2,
};

typedef struct Product {
    char name[NAME_MAX_BYTES];
    size_t name_len;
    int price_cents;
} Product;

typedef struct Shop {
    Product products[PRODUCTS];
    int search_work; // per cent
    Loop *loop;
} Shop;

static void shop_fill(Shop *shop)
{
    static const char *const adjectives[] = {"quiet", "amber",  "rapid",  "woven", "coastal",
                                             "round", "bright", "sturdy", "plain", "northern"};
    static const char *const materials[] = {"oak", "steel", "linen", "glass", "wool", "cork"};
    static const char *const things[] = {"lamp",   "kettle",  "chair", "basket", "notebook",
                                         "bottle", "blanket", "clock", "shelf",  "mirror"};
    Rng rng = rng_stream(1, SLICE("catalogue"), 0);
    for (size_t i = 0; i < PRODUCTS; i++) {
        Product *p = &shop->products[i];
        int len =
            snprintf(p->name, sizeof p->name, "%s %s %s", adjectives[i % COUNT_OF(adjectives)],
                     materials[i / 10 % COUNT_OF(materials)], things[i / 60 % COUNT_OF(things)]);
        p->name_len = (size_t)len;
        p->price_cents = 500 + (int)rng_below(&rng, 20000);
    }
}

// Levenshtein's distance by one row of the dynamic programme.
static int edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (int)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int above = row[j];
            int best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = above + 1 < best ? above + 1 : best;
            diagonal = above;
        }
    }
    return row[b_len];
}

static void write_product(JsonWriter *w, const Shop *shop, size_t id)
{
    const Product *p = &shop->products[id];
    json_object_begin(w);
    json_field_int(w, "id", (int64_t)id);
    json_field_string(w, "name", (Slice){p->name, p->name_len});
    json_field_int(w, "priceCents", p->price_cents);
    json_object_end(w);
}

static void send_json(HttpReply *reply, int status, const Buf *body)
{
    (void)http_reply_send(reply, status, SLICE("application/json"), buf_slice(body), NULL);
}

static void send_error(HttpReply *reply, int status, const char *what)
{
    Buf body = buf_create(REPLY_BYTES_MAX);
    JsonWriter w = json_writer(&body, 0);
    json_object_begin(&w);
    json_field_string(&w, "error", slice_from_cstr(what));
    json_object_end(&w);
    send_json(reply, status, &body);
    buf_done(&body);
}

// The value of one field of a query or the empty slice; "+" and %XX are left as they are, which is
// good enough for a catalogue of plain words.
static Slice query_field(Slice query, Slice name)
{
    while (query.len > 0) {
        Slice pair, key, value;
        (void)slice_cut(query, '&', &pair, &query);
        (void)slice_cut(pair, '=', &key, &value);
        if (slice_eq(key, name)) {
            return value;
        }
    }
    return (Slice){0};
}

static void get_products(const Shop *shop, const HttpServerRequest *request, HttpReply *reply)
{
    int64_t page = 0;
    Slice text = query_field(request->query, SLICE("page"));
    if (text.len > 0 && (slice_to_i64(text, &page) != 0 || page < 0 || page >= PRODUCTS / PAGE)) {
        send_error(reply, 400, "page is out of range");
        return;
    }
    Buf body = buf_create(REPLY_BYTES_MAX);
    JsonWriter w = json_writer(&body, 0);
    json_array_begin(&w);
    for (size_t i = 0; i < PAGE; i++) {
        write_product(&w, shop, (size_t)page * PAGE + i);
    }
    json_array_end(&w);
    send_json(reply, 200, &body);
    buf_done(&body);
}

static void get_product(const Shop *shop, Slice id_text, HttpReply *reply)
{
    int64_t id = 0;
    if (slice_to_i64(id_text, &id) != 0 || id < 0 || id >= PRODUCTS) {
        send_error(reply, 404, "no such product");
        return;
    }
    Buf body = buf_create(REPLY_BYTES_MAX);
    JsonWriter w = json_writer(&body, 0);
    write_product(&w, shop, (size_t)id);
    send_json(reply, 200, &body);
    buf_done(&body);
}

typedef struct Hit {
    size_t product;
    int distance;
} Hit;

static void insert_hit(Hit *hits, Hit hit)
{
    size_t at = HITS;
    while (at > 0 && hit.distance < hits[at - 1].distance) {
        at--;
    }
    if (at < HITS) {
        memmove(&hits[at + 1], &hits[at], (HITS - 1 - at) * sizeof *hits);
        hits[at] = hit;
    }
}

static void get_search(const Shop *shop, const HttpServerRequest *request, HttpReply *reply)
{
    Slice query = query_field(request->query, SLICE("q"));
    if (query.len == 0 || query.len > QUERY_MAX_BYTES) {
        send_error(reply, 400, "q must have 1 to 32 characters");
        return;
    }
    Hit hits[HITS];
    for (size_t i = 0; i < HITS; i++) {
        hits[i] = (Hit){0, NAME_MAX_BYTES + 1};
    }
    size_t looked_at = (size_t)PRODUCTS * (size_t)shop->search_work / 100;
    for (size_t i = 0; i < looked_at; i++) {
        const Product *p = &shop->products[i % PRODUCTS];
        int distance = edit_distance(query.ptr, query.len, p->name, p->name_len);
        // What is scored a second time is computed and not shown again.
        insert_hit(hits, (Hit){i % PRODUCTS, i < PRODUCTS ? distance : distance + NAME_MAX_BYTES});
    }
    Buf body = buf_create(REPLY_BYTES_MAX);
    JsonWriter w = json_writer(&body, 0);
    json_array_begin(&w);
    for (size_t i = 0; i < HITS; i++) {
        write_product(&w, shop, hits[i].product);
    }
    json_array_end(&w);
    send_json(reply, 200, &body);
    buf_done(&body);
}

static void post_cart(const Shop *shop, const HttpServerRequest *request, HttpReply *reply)
{
    Arena *arena = arena_create(1 << 20);
    const Doc *doc = NULL;
    const Doc *id = NULL;
    const Doc *count = NULL;
    if (doc_parse(arena, request->body, NULL, &doc, NULL) == 0 && doc->type == DOC_OBJECT) {
        id = doc_get(doc, SLICE("product"));
        count = doc_get(doc, SLICE("count"));
    }
    if (!id || !count || id->type != DOC_INT || count->type != DOC_INT || id->integer < 0 ||
        id->integer >= PRODUCTS || count->integer < 1 || count->integer > 100) {
        send_error(reply, 400, "product and count are wanted");
    } else {
        Buf body = buf_create(REPLY_BYTES_MAX);
        JsonWriter w = json_writer(&body, 0);
        json_object_begin(&w);
        json_field_int(&w, "product", id->integer);
        json_field_int(&w, "totalCents", count->integer * shop->products[id->integer].price_cents);
        json_object_end(&w);
        send_json(reply, 201, &body);
        buf_done(&body);
    }
    arena_destroy(arena);
}

static void route(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    const Shop *shop = ctx;
    bool get = slice_eq_cstr(request->method, "GET");
    static const Slice one_product = SLICE_INIT("/products/");
    if (get && slice_eq_cstr(request->path, "/health")) {
        (void)http_reply_send(reply, 200, SLICE("text/plain"), SLICE("ok\n"), NULL);
    } else if (get && slice_eq_cstr(request->path, "/products")) {
        get_products(shop, request, reply);
    } else if (get && slice_starts_with(request->path, one_product)) {
        get_product(shop, slice_sub(request->path, one_product.len, request->path.len), reply);
    } else if (get && slice_eq_cstr(request->path, "/search")) {
        get_search(shop, request, reply);
    } else if (slice_eq_cstr(request->method, "POST") && slice_eq_cstr(request->path, "/cart")) {
        post_cart(shop, request, reply);
    } else {
        send_error(reply, 404, "no such path");
    }
}

static const Option OPTIONS[] = {
    {.name = "port",
     .short_name = 'p',
     .kind = OPTION_INT,
     .default_text = "8080",
     .min = 1,
     .max = 65535,
     .help = "Port on 127.0.0.1."},
    {.name = "work",
     .kind = OPTION_INT,
     .min = 1,
     .max = 1000,
     .metavar = "PERCENT",
     .help = "Share of the catalogue that one search scores."},
};

static const Verb SHOP = {
    .name = "shop",
    .summary = "the sample service that perfwright is shown on",
    OPTION_TABLE(OPTIONS),
};

static void on_signal(void *ctx, int number)
{
    (void)number;
    loop_stop(((Shop *)ctx)->loop);
}

static int serve(Shop *shop, uint16_t port, Err *e)
{
    Signals *signals = NULL;
    HttpServer *server = NULL;
    FiberPool *pool = NULL;
    int rc = loop_create(&(LoopOptions){0}, &shop->loop, e);
    if (rc != 0) {
        return rc;
    }
    pool = fiber_pool_create(shop->loop, NULL);
    HttpServerOptions options = {.loop = shop->loop,
                                 .pool = pool,
                                 .addr = net_addr_loopback(port),
                                 .handler = route,
                                 .ctx = shop};
    if ((rc = http_server_open(&options, &server, e)) == 0 &&
        (rc = signals_watch(shop->loop, on_signal, shop, &signals, e)) == 0) {
        loop_run(shop->loop);
        (void)http_server_drain(server, loop_clock(shop->loop) + DRAIN_SECONDS * NS_PER_S);
    }
    signals_close(signals);
    http_server_destroy(server);
    fiber_pool_destroy(pool);
    loop_destroy(shop->loop);
    return rc;
}

int main(int argc, char **argv)
{
    signals_block();
    Err e = {0};
    Arena *arena = arena_create(1 << 20);
    OptionSet *set = NULL;
    Shop *shop = mem_zalloc(sizeof *shop);
    int rc =
        option_parse(arena, &SHOP, (const char *const *)argv + 1, (size_t)argc - 1, NULL, &set, &e);
    if (rc == 0 && option_help_wanted(set)) {
        Buf text = buf_create(REPLY_BYTES_MAX);
        option_help(&text, "", &SHOP, 100);
        (void)fwrite(text.data, 1, text.len, stdout);
        buf_done(&text);
    } else if (rc == 0) {
        shop->search_work =
            option_given(set, "work") ? (int)option_int(set, "work") : SHOP_SEARCH_WORK;
        shop_fill(shop);
        rc = serve(shop, (uint16_t)option_int(set, "port"), &e);
    }
    if (rc != 0) {
        (void)fprintf(stderr, "shop: %s\n", e.text);
    }
    free(shop);
    arena_destroy(arena);
    return rc == 0 ? 0 : 1;
}
