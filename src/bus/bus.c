#include "bus/bus.h"

#include <assert.h>

#include "bus/bus_impl.h"

// ---- life cycle

int bus_init(Bus *bus, const BusOps *ops, const BusOptions *options, Err *e)
{
    Slice name = options->name;
    if (name.len == 0 || name.len > BUS_NAME_MAX) {
        return err_set(e, ERR_ARG, "the name of a bus connection has 1 to %d bytes", BUS_NAME_MAX);
    }
    bus->ops = ops;
    bus->clock = options->clock ? options->clock : clock_real();
    memcpy(bus->name, name.ptr, name.len);
    bus->name[name.len] = '\0';
    return 0;
}

// The request must be out of the table before its function runs, which may make another.
static void end_request(Bus *bus, size_t index, int code, const BusMessage *reply)
{
    BusRequest r = bus->requests[index];
    bus->requests[index] = bus->requests[--bus->request_count];
    bus->stats.delivered += reply != NULL;
    r.fn(r.ctx, code, reply);
}

static void free_subscription(Bus *bus, BusSubscription *s)
{
    for (size_t i = 0; i < bus->again_count;) {
        if (bus->again[i].subscription == s) {
            envelope_unref(bus->again[i].envelope);
            bus->again[i] = bus->again[--bus->again_count];
        } else {
            i++;
        }
    }
    BusSubscription **at = &bus->subscriptions;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    bus->subscription_count--;
    free(s);
}

void bus_done(Bus *bus)
{
    if (bus->loop) {
        loop_io_remove(bus->loop, &bus->io);
        loop_timer_cancel(bus->loop, &bus->timer);
        loop_defer_cancel(bus->loop, &bus->more);
    }
    while (bus->subscriptions) {
        free_subscription(bus, bus->subscriptions);
    }
    free(bus->requests);
    free(bus->again);
}

void bus_close(Bus *bus)
{
    if (!bus) {
        return;
    }
    assert(!bus->dispatching); // a handler must not close the bus under itself
    bus->closing = true;       // no function that ends now can ask again
    while (bus->request_count > 0) {
        end_request(bus, bus->request_count - 1, ERR_CLOSED, NULL);
    }
    while (bus->subscriptions) {
        BusSubscription *s = bus->subscriptions;
        if (!s->dead) {
            bus->ops->unsubscribe(bus, s);
        }
        free_subscription(bus, s);
    }
    bus->ops->close(bus);
}

BusStats bus_stats(const Bus *bus)
{
    return bus->stats;
}

// ---- the loop

static void arm(Bus *bus)
{
    if (bus->loop && !bus->dispatching) {
        int64_t due = bus_next_due(bus);
        if (due == NEVER_NS) {
            loop_timer_disarm(&bus->timer);
        } else {
            loop_timer_set(bus->loop, &bus->timer, due);
        }
    }
}

// One helping, then back to the loop, so that a busy bus does not starve its neighbours.
static void serve(Bus *bus)
{
    Waker *waker = bus->waker;
    waker_awake(waker);
    (void)bus_poll(bus, 0);
    waker_announce_sleep(waker);
    if (bus->ops->waiting(bus) > 0) {
        waker_awake(waker);
        loop_defer(bus->loop, &bus->more);
    }
}

static void on_wake(LoopIo *io, unsigned events)
{
    (void)events;
    Bus *bus = CONTAINER_OF(io, Bus, io);
    waker_drain(bus->waker);
    serve(bus);
}

static void on_time(LoopTimer *timer)
{
    serve(CONTAINER_OF(timer, Bus, timer));
}

static void on_more(LoopDefer *defer)
{
    serve(CONTAINER_OF(defer, Bus, more));
}

int bus_attach(Bus *bus, Loop *loop, Err *e)
{
    if (bus->loop) {
        return err_set(e, ERR_EXISTS, "the bus connection is attached already");
    }
    loop_io_init(&bus->io, on_wake);
    loop_timer_init(&bus->timer, on_time);
    loop_defer_init(&bus->more, on_more);
    int rc = bus->ops->waker(bus, &bus->waker, e);
    rc = rc == 0 ? loop_io_add(loop, &bus->io, bus->waker->fd, LOOP_READ, e) : rc;
    if (rc == 0) {
        bus->loop = loop;
        loop_defer(loop, &bus->more); // what waits already
    }
    return rc;
}

// ---- publishing

static int send(Bus *bus, const BusMessage *m, size_t *ret_receivers, Err *e)
{
    Envelope *envelope;
    int rc = envelope_create(bus, m, &envelope, e);
    if (rc != 0) {
        return rc;
    }
    rc = bus->ops->publish(bus, envelope, ret_receivers, e);
    envelope_unref(envelope);
    bus->stats.published += rc == 0;
    bus->stats.refused += rc == ERR_FULL;
    arm(bus);
    return rc;
}

int bus_publish(Bus *bus, const BusMessage *m, Err *e)
{
    size_t receivers;
    return send(bus, m, &receivers, e);
}

int bus_reply(Bus *bus, const BusMessage *request, Slice body, Err *e)
{
    if (request->reply_to.len == 0) {
        return err_set(e, ERR_ARG, "the message %.*s asked for no answer", SLICE_FMT(request->id));
    }
    return bus_publish(
        bus, &(BusMessage){.subject = request->reply_to, .to = request->from, .body = body}, e);
}

// ---- subscriptions

int bus_subscribe(Bus *bus, Slice pattern, BusHandler *fn, void *ctx,
                  BusSubscription **ret_subscription, Err *e)
{
    int rc = bus_check_subject(pattern, true, e);
    if (rc == 0 && bus->subscription_count == BUS_SUBSCRIPTIONS_MAX) {
        rc = err_set(e, ERR_LIMIT, "a bus connection has at most %d subscriptions",
                     BUS_SUBSCRIPTIONS_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    BusSubscription *s = mem_zalloc(sizeof *s + pattern.len);
    *s = (BusSubscription){.bus = bus, .fn = fn, .ctx = ctx, .pattern_len = pattern.len};
    memcpy(s->pattern, pattern.ptr, pattern.len);
    if ((rc = bus->ops->subscribe(bus, s, e)) != 0) {
        free(s);
        return rc;
    }
    s->next = bus->subscriptions;
    bus->subscriptions = s;
    bus->subscription_count++;
    *ret_subscription = s;
    return 0;
}

void bus_unsubscribe(BusSubscription *s)
{
    if (!s || s->dead) {
        return;
    }
    Bus *bus = s->bus;
    bus->ops->unsubscribe(bus, s);
    if (bus->dispatching) {
        s->dead = true; // somebody walks the list
    } else {
        free_subscription(bus, s);
    }
}

static void free_dead(Bus *bus)
{
    for (BusSubscription *s = bus->subscriptions, *next; s; s = next) {
        next = s->next;
        if (s->dead) {
            free_subscription(bus, s);
        }
    }
}

// ---- requests

static BusVerdict on_answer(void *ctx, const BusMessage *m)
{
    Bus *bus = ctx;
    Slice number = m->subject;
    ptrdiff_t dot;
    while ((dot = slice_find_byte(number, '.')) >= 0) {
        number = slice_sub(number, (size_t)dot + 1, number.len);
    }
    int64_t n;
    if (slice_to_i64(number, &n) != 0) {
        return BUS_DONE;
    }
    for (size_t i = 0; i < bus->request_count; i++) {
        if (bus->requests[i].number == (uint64_t)n) {
            end_request(bus, i, 0, m);
            return BUS_DONE;
        }
    }
    return BUS_DONE; // the second answer, or one after the deadline
}

static int open_inbox(Bus *bus, Err *e)
{
    if (bus->inbox) {
        return 0;
    }
    char pattern[64];
    int len = snprintf(pattern, sizeof pattern, "_inbox.%s.*", bus->unique);
    return bus_subscribe(bus, (Slice){pattern, (size_t)len}, on_answer, bus, &bus->inbox, e);
}

int bus_request(Bus *bus, const BusMessage *m, int64_t deadline_ns, BusReplyFn *fn, void *ctx,
                Err *e)
{
    if (bus->request_count == BUS_REQUESTS_MAX) {
        return err_set(e, ERR_LIMIT, "a bus connection has at most %d requests under way",
                       BUS_REQUESTS_MAX);
    }
    int rc =
        bus->closing ? err_set(e, ERR_CLOSED, "the bus connection is closing") : open_inbox(bus, e);
    if (rc != 0) {
        return rc;
    }
    if (!bus->requests) {
        bus->requests = mem_zalloc(BUS_REQUESTS_MAX * sizeof *bus->requests);
    }
    char inbox[64];
    uint64_t number = ++bus->counter;
    int len =
        snprintf(inbox, sizeof inbox, "_inbox.%s.%llu", bus->unique, (unsigned long long)number);
    BusMessage request = *m;
    request.reply_to = (Slice){inbox, (size_t)len};
    size_t receivers = 0;
    rc = send(bus, &request, &receivers, e);
    if (rc == 0 && receivers == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "nobody listens to %.*s", SLICE_FMT(m->subject));
    }
    if (rc == 0) {
        bus->requests[bus->request_count++] = (BusRequest){number, deadline_ns, fn, ctx};
        arm(bus);
    }
    return rc;
}

static size_t end_late_requests(Bus *bus, int64_t now_ns)
{
    size_t ended = 0;
    for (size_t i = 0; i < bus->request_count;) {
        if (bus->requests[i].deadline_ns <= now_ns) {
            end_request(bus, i, ERR_TIMEOUT, NULL);
            ended++;
            i = 0; // its function may have changed the table
        } else {
            i++;
        }
    }
    return ended;
}

// ---- delivery

static void hold_for_again(Bus *bus, BusSubscription *s, Envelope *envelope, uint32_t deliveries)
{
    bus->stats.again++;
    if (deliveries > BUS_AGAIN_MAX || bus->again_count == BUS_AGAIN_HELD_MAX) {
        bus->stats.dropped++;
        return;
    }
    if (!bus->again) {
        bus->again = mem_zalloc(BUS_AGAIN_HELD_MAX * sizeof *bus->again);
    }
    bus->again[bus->again_count++] = (BusAgain){
        envelope_ref(envelope), s, clock_deadline(clock_now(bus->clock), BUS_AGAIN_NS), deliveries};
}

static void deliver(Bus *bus, BusSubscription *s, Envelope *envelope, uint32_t deliveries)
{
    BusMessage m = envelope->m;
    m.deliveries = deliveries;
    bus->stats.delivered += s != bus->inbox; // answers are counted where they end a request
    if (s->fn(s->ctx, &m) == BUS_AGAIN && !s->dead) {
        hold_for_again(bus, s, envelope, deliveries);
    }
}

static size_t dispatch(Bus *bus, Envelope *envelope)
{
    if (envelope->m.version > BUS_VERSION) {
        bus->stats.newer++;
        return 0;
    }
    size_t calls = 0;
    for (BusSubscription *s = bus->subscriptions; s; s = s->next) {
        if (!s->dead && bus_matches(subscription_pattern(s), envelope->m.subject)) {
            deliver(bus, s, envelope, 1);
            calls++;
        }
    }
    return calls;
}

static size_t deliver_again(Bus *bus, int64_t now_ns)
{
    size_t calls = 0;
    // What is asked for once more goes behind those that are due now, hence a fixed number.
    for (size_t i = 0, left = bus->again_count; left > 0; left--) {
        BusAgain a = bus->again[i];
        if (a.due_ns > now_ns) {
            i++;
            continue;
        }
        bus->again_count--;
        memmove(&bus->again[i], &bus->again[i + 1], (bus->again_count - i) * sizeof a);
        if (!a.subscription->dead) {
            deliver(bus, a.subscription, a.envelope, a.deliveries + 1);
            calls++;
        }
        envelope_unref(a.envelope);
    }
    return calls;
}

size_t bus_poll(Bus *bus, size_t max)
{
    size_t calls = 0;
    size_t messages = bus->ops->waiting(bus);
    messages = max > 0 && max < messages ? max : messages;
    assert(!bus->dispatching);
    bus->dispatching = true;
    // At least one look: a backend may move what is due by time alone.
    Envelope *envelope = bus->ops->next(bus);
    while (envelope) {
        calls += dispatch(bus, envelope);
        envelope_unref(envelope);
        messages -= messages > 0;
        envelope = messages > 0 ? bus->ops->next(bus) : NULL;
    }
    int64_t now_ns = clock_now(bus->clock);
    calls += deliver_again(bus, now_ns);
    calls += end_late_requests(bus, now_ns);
    bus->dispatching = false;
    free_dead(bus);
    arm(bus);
    return calls;
}

int64_t bus_next_due(const Bus *bus)
{
    int64_t due = bus->ops->next_due(bus);
    for (size_t i = 0; i < bus->request_count; i++) {
        due = bus->requests[i].deadline_ns < due ? bus->requests[i].deadline_ns : due;
    }
    for (size_t i = 0; i < bus->again_count; i++) {
        due = bus->again[i].due_ns < due ? bus->again[i].due_ns : due;
    }
    return due;
}
