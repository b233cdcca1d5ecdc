// The contract that every backend of the bus keeps, as tests that a factory is handed to: local
// connections today, others later. A backend with threads of its own lets `settle` wait until what
// was published has arrived.
#ifndef BUS_BUS_CONTRACT_H
#define BUS_BUS_CONTRACT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "bus/bus.h"

typedef struct BusFactory {
    int (*connect)(void *world, const BusOptions *options, Bus **ret_bus, Err *e);
    void (*settle)(void *world); // may be NULL
} BusFactory;

typedef struct Contract {
    BusFactory factory;
    void *world;
    ManualClock clock;
    Bus *a, *b;
    Err e;
} Contract;

#define assert_done(c, rc)                                                                         \
    do {                                                                                           \
        int rc_ = (rc);                                                                            \
        if (rc_ != 0) {                                                                            \
            fail_msg("%s: %s", err_name(rc_), (c)->e.text);                                        \
        }                                                                                          \
    } while (0)

// What a handler saw: the bodies with a blank between them.
typedef struct Heard {
    Buf text;
    size_t count;
    BusVerdict verdict;
    Bus *reply_on;
    BusSubscription *drop; // unsubscribed by the handler
} Heard;

static inline BusVerdict hear(void *ctx, const BusMessage *m)
{
    Heard *h = ctx;
    buf_append(&h->text, m->body);
    buf_putc(&h->text, ' ');
    h->count++;
    if (h->reply_on && m->reply_to.len > 0) {
        assert_int_equal(bus_reply(h->reply_on, m, SLICE("pong"), NULL), 0);
        // Twice: the second answer must go nowhere.
        assert_int_equal(bus_reply(h->reply_on, m, SLICE("late"), NULL), 0);
    }
    if (h->drop) {
        bus_unsubscribe(h->drop);
        h->drop = NULL;
    }
    return h->verdict;
}

static inline Heard heard_create(void)
{
    return (Heard){.text = buf_create(1 << 20)};
}

static inline void assert_heard(Heard *h, const char *text)
{
    assert_string_equal(h->text.data ? h->text.data : "", text);
    buf_reset(&h->text);
    if (h->text.data) {
        h->text.data[0] = '\0';
    }
}

static inline void settle(Contract *c)
{
    if (c->factory.settle) {
        c->factory.settle(c->world);
    }
}

static inline size_t poll_all(Contract *c, Bus *bus)
{
    size_t calls = 0, now;
    settle(c);
    while ((now = bus_poll(bus, 0)) > 0) {
        calls += now;
        settle(c);
    }
    return calls;
}

static inline void contract_open(Contract *c)
{
    clock_manual_init(&c->clock, 0, INT64_C(1760000000) * NS_PER_S);
    BusOptions a = {.name = SLICE("a"), .clock = &c->clock.clock},
               b = {.name = SLICE("b"), .clock = &c->clock.clock, .queue = 4};
    assert_done(c, c->factory.connect(c->world, &a, &c->a, &c->e));
    assert_done(c, c->factory.connect(c->world, &b, &c->b, &c->e));
}

static inline void contract_close(Contract *c)
{
    bus_close(c->a);
    bus_close(c->b);
}

static inline int say(Contract *c, const char *subject, const char *body)
{
    return bus_publish(
        c->a, &(BusMessage){.subject = slice_from_cstr(subject), .body = slice_from_cstr(body)},
        &c->e);
}

static inline void contract_delivers_by_subject(Contract *c)
{
    Heard one = heard_create(), any = heard_create(), rest = heard_create();
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("x.y"), hear, &one, &s, &c->e));
    assert_done(c, bus_subscribe(c->b, SLICE("*.y"), hear, &any, &s, &c->e));
    assert_done(c, bus_subscribe(c->b, SLICE("x.>"), hear, &rest, &s, &c->e));
    const char *subjects[] = {"x.y", "z.y", "x.y.z", "x"};
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        assert_done(c, say(c, subjects[i], subjects[i]));
        (void)poll_all(c, c->b);
    }
    assert_heard(&one, "x.y ");
    assert_heard(&any, "x.y z.y ");
    assert_heard(&rest, "x.y x.y.z ");
    buf_done(&one.text);
    buf_done(&any.text);
    buf_done(&rest.text);
}

static inline BusVerdict check_whole(void *ctx, const BusMessage *m)
{
    size_t *seen = ctx;
    ++*seen;
    assert_int_equal(m->version, BUS_VERSION);
    assert_true(slice_eq(m->id, SLICE("id-1")));
    assert_true(slice_eq(m->key, SLICE("key-1")));
    assert_true(slice_eq(m->subject, SLICE("s")));
    assert_true(slice_eq(m->from, SLICE("a")));
    assert_true(slice_eq(m->to, SLICE("b")));
    assert_true(slice_eq(m->reply_to, SLICE("r.1")));
    assert_int_equal(m->unix_ns, INT64_C(1760000000) * NS_PER_S);
    assert_int_equal(m->body.len, 3);
    assert_memory_equal(m->body.ptr, "\0\n\xff", 3);
    assert_int_equal(m->deliveries, 1);
    return BUS_DONE;
}

static inline void contract_carries_every_field(Contract *c)
{
    size_t seen = 0;
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), check_whole, &seen, &s, &c->e));
    char body[] = {0, '\n', (char)0xff};
    assert_done(c, bus_publish(c->a,
                               &(BusMessage){.subject = SLICE("s"),
                                             .id = SLICE("id-1"),
                                             .key = SLICE("key-1"),
                                             .to = SLICE("b"),
                                             .reply_to = SLICE("r.1"),
                                             .body = {body, sizeof body}},
                               &c->e));
    memset(body, 'x', sizeof body); // the bus took a copy
    (void)poll_all(c, c->b);
    assert_int_equal(seen, 1);
}

static inline BusVerdict collect_key(void *ctx, const BusMessage *m)
{
    Buf *keys = ctx;
    assert_true(slice_eq(m->id, m->key) && m->id.len > 0);
    buf_append(keys, m->key);
    buf_putc(keys, ' ');
    return BUS_DONE;
}

// Messages without an id get one, each another.
static inline void contract_makes_ids(Contract *c)
{
    Buf keys = buf_create(4096);
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), collect_key, &keys, &s, &c->e));
    assert_done(c, say(c, "s", "1"));
    assert_done(c, say(c, "s", "2"));
    (void)poll_all(c, c->b);
    Slice first, second, rest;
    assert_true(slice_cut(buf_slice(&keys), ' ', &first, &rest));
    assert_true(slice_cut(rest, ' ', &second, &rest));
    assert_false(slice_eq(first, second));
    buf_done(&keys);
}

static inline void contract_keeps_order(Contract *c)
{
    Heard h = heard_create();
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), hear, &h, &s, &c->e));
    for (int i = 0; i < 4; i++) {
        char body[2] = {(char)('1' + i), 0};
        assert_done(c, say(c, "s", body));
    }
    settle(c);
    assert_int_equal(bus_poll(c->b, 1), 1); // at most so many
    assert_heard(&h, "1 ");
    (void)poll_all(c, c->b);
    assert_heard(&h, "2 3 4 ");
    buf_done(&h.text);
}

// A full queue refuses, keeps what it has, and takes messages again once it was read.
static inline void contract_is_bounded(Contract *c)
{
    Heard h = heard_create(), other = heard_create();
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), hear, &h, &s, &c->e));
    assert_done(c, bus_subscribe(c->a, SLICE("s"), hear, &other, &s, &c->e));
    for (int i = 0; i < 4; i++) {
        assert_done(c, say(c, "s", "x"));
    }
    assert_int_equal(say(c, "s", "refused"), ERR_FULL);
    assert_non_null(strstr(c->e.text, "\"b\" is full"));
    assert_int_equal(bus_stats(c->a).refused, 1);
    (void)poll_all(c, c->a);
    assert_heard(&other, "x x x x refused "); // those with room have it
    (void)poll_all(c, c->b);
    assert_heard(&h, "x x x x ");
    assert_done(c, say(c, "s", "again"));
    (void)poll_all(c, c->b);
    assert_heard(&h, "again ");
    buf_done(&h.text);
    buf_done(&other.text);
}

static inline void contract_comes_again(Contract *c)
{
    Heard h = heard_create();
    h.verdict = BUS_AGAIN;
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), hear, &h, &s, &c->e));
    assert_done(c, say(c, "s", "m"));
    (void)poll_all(c, c->b);
    assert_heard(&h, "m ");
    assert_int_equal(bus_next_due(c->b), clock_now(&c->clock.clock) + BUS_AGAIN_NS);
    clock_manual_advance(&c->clock, BUS_AGAIN_NS);
    h.verdict = BUS_DONE;
    (void)poll_all(c, c->b);
    assert_heard(&h, "m ");
    assert_int_equal(bus_next_due(c->b), NEVER_NS);
    // One that never can take it is given up.
    h.verdict = BUS_AGAIN;
    h.count = 0;
    assert_done(c, say(c, "s", "m"));
    for (int i = 0; i < 2 * BUS_AGAIN_MAX; i++) {
        (void)poll_all(c, c->b);
        clock_manual_advance(&c->clock, BUS_AGAIN_NS);
    }
    assert_int_equal(h.count, BUS_AGAIN_MAX + 1);
    assert_int_equal(bus_stats(c->b).dropped, 1);
    buf_done(&h.text);
}

static inline void contract_again_is_bounded(Contract *c)
{
    Heard h = heard_create();
    h.verdict = BUS_AGAIN;
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->a, SLICE("s"), hear, &h, &s, &c->e));
    for (int i = 0; i <= BUS_AGAIN_HELD_MAX; i++) {
        assert_int_equal(bus_stats(c->a).dropped, 0);
        assert_done(c, say(c, "s", "m"));
        settle(c);
        (void)bus_poll(c->a, 0);
    }
    assert_int_equal(bus_stats(c->a).dropped, 1);
    assert_int_equal(bus_stats(c->a).again, BUS_AGAIN_HELD_MAX + 1);
    buf_done(&h.text);
}

typedef struct Answer {
    int code;
    size_t calls;
    char body[16];
} Answer;

static inline void on_reply(void *ctx, int code, const BusMessage *reply)
{
    Answer *a = ctx;
    a->calls++;
    a->code = code;
    if (reply) {
        (void)snprintf(a->body, sizeof a->body, "%.*s", SLICE_FMT(reply->body));
    }
}

static inline void contract_requests(Contract *c)
{
    Heard h = heard_create();
    h.reply_on = c->b;
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), hear, &h, &s, &c->e));
    Answer ok = {.code = 1}, late = {.code = 1}, closed = {.code = 1};
    BusMessage m = {.subject = SLICE("s"), .body = SLICE("ping")};
    assert_done(c, bus_request(c->a, &m, NS_PER_S, on_reply, &ok, &c->e));
    (void)poll_all(c, c->b);
    (void)poll_all(c, c->a);
    assert_int_equal(ok.code, 0);
    assert_int_equal(ok.calls, 1);
    assert_string_equal(ok.body, "pong");
    // Nobody answers.
    h.reply_on = NULL;
    assert_done(c, bus_request(c->a, &m, NS_PER_S, on_reply, &late, &c->e));
    assert_int_equal(bus_next_due(c->a), NS_PER_S);
    (void)poll_all(c, c->b);
    clock_manual_advance(&c->clock, NS_PER_S - 1);
    (void)poll_all(c, c->a);
    assert_int_equal(late.calls, 0);
    clock_manual_advance(&c->clock, 1);
    (void)poll_all(c, c->a);
    assert_int_equal(late.code, ERR_TIMEOUT);
    // Nobody listens.
    BusMessage nowhere = {.subject = SLICE("nobody")};
    assert_int_equal(bus_request(c->a, &nowhere, NEVER_NS, on_reply, &late, &c->e), ERR_NOT_FOUND);
    assert_int_equal(late.calls, 1);
    // Closing ends what is under way.
    assert_done(c, bus_request(c->a, &m, NEVER_NS, on_reply, &closed, &c->e));
    bus_close(c->a);
    c->a = NULL;
    assert_int_equal(closed.code, ERR_CLOSED);
    assert_int_equal(closed.calls, 1);
    buf_done(&h.text);
}

static inline void contract_request_limit(Contract *c)
{
    Heard h = heard_create();
    Answer answer = {0};
    BusSubscription *s;
    assert_done(c, bus_subscribe(c->a, SLICE("s"), hear, &h, &s, &c->e));
    BusMessage m = {.subject = SLICE("s")};
    for (int i = 0; i < BUS_REQUESTS_MAX; i++) {
        assert_done(c, bus_request(c->a, &m, NS_PER_S, on_reply, &answer, &c->e));
    }
    assert_int_equal(bus_request(c->a, &m, NS_PER_S, on_reply, &answer, &c->e), ERR_LIMIT);
    clock_manual_advance(&c->clock, NS_PER_S);
    (void)poll_all(c, c->a);
    assert_int_equal(answer.calls, BUS_REQUESTS_MAX);
    buf_done(&h.text);
}

// A handler may drop its own subscription and others; nothing comes after that.
static inline void contract_unsubscribes(Contract *c)
{
    Heard h = heard_create(), other = heard_create();
    BusSubscription *s, *second;
    assert_done(c, bus_subscribe(c->b, SLICE("s"), hear, &h, &s, &c->e));
    assert_done(c, bus_subscribe(c->b, SLICE("s"), hear, &other, &second, &c->e));
    h.drop = s;
    h.verdict = BUS_AGAIN;
    assert_done(c, say(c, "s", "1"));
    assert_done(c, say(c, "s", "2"));
    (void)poll_all(c, c->b);
    clock_manual_advance(&c->clock, BUS_AGAIN_NS);
    (void)poll_all(c, c->b);
    assert_heard(&h, "1 ");
    assert_heard(&other, "1 2 ");
    bus_unsubscribe(second);
    assert_done(c, say(c, "s", "3"));
    (void)poll_all(c, c->b);
    assert_heard(&other, "");
    buf_done(&h.text);
    buf_done(&other.text);
}

static inline void contract_refuses_nonsense(Contract *c)
{
    static const char *const BAD[] = {"", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "\x7f", "ä"};
    Heard h = heard_create();
    BusSubscription *s;
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        assert_int_equal(say(c, BAD[i], "x"), ERR_ARG);
    }
    assert_int_equal(bus_subscribe(c->a, SLICE("a.>.b"), hear, &h, &s, &c->e), ERR_ARG);
    assert_done(c, bus_subscribe(c->a, SLICE("big"), hear, &h, &s, &c->e));
    char *big = mem_zalloc(BUS_BODY_MAX + 1);
    BusMessage m = {.subject = SLICE("big"), .body = {big, BUS_BODY_MAX}};
    assert_done(c, bus_publish(c->a, &m, &c->e));
    m.body.len++;
    assert_int_equal(bus_publish(c->a, &m, &c->e), ERR_LIMIT);
    m.body.len = 0;
    m.version = BUS_VERSION + 1;
    (void)poll_all(c, c->a);
    h.count = 0;
    assert_done(c, bus_publish(c->a, &m, &c->e));
    (void)poll_all(c, c->a);
    assert_int_equal(h.count, 0);
    assert_int_equal(bus_stats(c->a).newer, 1);
    m.version = 0;
    char name[BUS_SUBJECT_MAX + 1];
    memset(name, 'k', sizeof name);
    m.key = (Slice){name, BUS_KEY_MAX};
    assert_done(c, bus_publish(c->a, &m, &c->e));
    m.key.len++;
    assert_int_equal(bus_publish(c->a, &m, &c->e), ERR_ARG);
    m.key.len = 0;
    m.subject = (Slice){name, BUS_SUBJECT_MAX};
    assert_done(c, bus_publish(c->a, &m, &c->e));
    m.subject.len++;
    assert_int_equal(bus_publish(c->a, &m, &c->e), ERR_ARG);
    free(big);
    buf_done(&h.text);
}

static inline void contract_subscription_limit(Contract *c)
{
    Heard h = heard_create();
    BusSubscription *s;
    for (int i = 0; i < BUS_SUBSCRIPTIONS_MAX; i++) {
        assert_done(c, bus_subscribe(c->a, SLICE("s"), hear, &h, &s, &c->e));
    }
    assert_int_equal(bus_subscribe(c->a, SLICE("s"), hear, &h, &s, &c->e), ERR_LIMIT);
    buf_done(&h.text);
}

typedef void ContractTest(Contract *c);

// Every test with connections of its own.
static inline void run_contract(BusFactory factory, void *(*open)(void), void (*close)(void *))
{
    static ContractTest *const TESTS[] = {
        contract_delivers_by_subject, contract_carries_every_field,
        contract_makes_ids,           contract_keeps_order,
        contract_is_bounded,          contract_comes_again,
        contract_again_is_bounded,    contract_requests,
        contract_request_limit,       contract_unsubscribes,
        contract_refuses_nonsense,    contract_subscription_limit,
    };
    for (size_t i = 0; i < COUNT_OF(TESTS); i++) {
        Contract c = {.factory = factory, .world = open()};
        contract_open(&c);
        TESTS[i](&c);
        contract_close(&c);
        close(c.world);
    }
}

#endif
