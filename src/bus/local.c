#include "bus/local.h"

#include <assert.h>
#include <pthread.h>

#include "bus/bus_impl.h"

typedef struct LocalBus {
    Bus base;
    LocalHub *hub;
    size_t queue_max;
    Mpsc *queue;     // of Envelope*
    Counter waiting; // in it: the Mpsc rounds its capacity up, and this is the limit promised
    bool has_waker;  // under the hub's lock
    Waker waker;
    // The patterns as publishers of other threads see them; under the hub's lock.
    const BusSubscription *patterns[BUS_SUBSCRIPTIONS_MAX];
    size_t pattern_count;
} LocalBus;

struct LocalHub {
    pthread_mutex_t lock; // of the table, the patterns, and the producers' side of the queues
    LocalBus *connections[LOCAL_CONNECTIONS_MAX];
    size_t count;
    uint64_t last; // number given to a connection
};

LocalHub *local_hub_create(void)
{
    LocalHub *hub = mem_zalloc(sizeof *hub);
    (void)pthread_mutex_init(&hub->lock, NULL);
    return hub;
}

void local_hub_destroy(LocalHub *hub)
{
    if (hub) {
        assert(hub->count == 0);
        (void)pthread_mutex_destroy(&hub->lock);
        free(hub);
    }
}

static LocalBus *local_of(Bus *bus)
{
    return CONTAINER_OF(bus, LocalBus, base);
}

// `base` comes first.
static const LocalBus *const_local_of(const Bus *bus)
{
    return (const LocalBus *)(const void *)bus;
}

static bool wants(const LocalBus *connection, Slice subject)
{
    for (size_t i = 0; i < connection->pattern_count; i++) {
        if (bus_matches(subscription_pattern(connection->patterns[i]), subject)) {
            return true;
        }
    }
    return false;
}

static bool offer(LocalBus *to, Envelope *envelope)
{
    if (counter_get(&to->waiting) >= (long)to->queue_max) {
        return false;
    }
    (void)counter_add(&to->waiting, 1);
    Envelope *shared = envelope_ref(envelope);
    bool pushed = mpsc_push(to->queue, &shared);
    assert(pushed); // its capacity is not below queue_max
    if (to->has_waker) {
        waker_notify(&to->waker);
    }
    return true;
}

// Everybody with room gets it. Refusing it to all because one is stuck would let one agent that
// never reads stop the others.
static int local_publish(Bus *bus, Envelope *envelope, size_t *ret_receivers, Err *e)
{
    LocalHub *hub = local_of(bus)->hub;
    size_t receivers = 0;
    int rc = 0;
    (void)pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < hub->count; i++) {
        LocalBus *to = hub->connections[i];
        if (!wants(to, envelope->m.subject)) {
            continue;
        }
        receivers++;
        if (!offer(to, envelope)) {
            rc = err_set(e, ERR_FULL, "the queue of \"%s\" is full: %zu messages wait",
                         to->base.name, to->queue_max);
        }
    }
    (void)pthread_mutex_unlock(&hub->lock);
    *ret_receivers = receivers;
    return rc;
}

static int local_subscribe(Bus *bus, BusSubscription *s, Err *e)
{
    (void)e;
    LocalBus *local = local_of(bus);
    (void)pthread_mutex_lock(&local->hub->lock);
    local->patterns[local->pattern_count++] = s; // bus.c keeps to the limit
    (void)pthread_mutex_unlock(&local->hub->lock);
    return 0;
}

static void local_unsubscribe(Bus *bus, BusSubscription *s)
{
    LocalBus *local = local_of(bus);
    (void)pthread_mutex_lock(&local->hub->lock);
    for (size_t i = 0; i < local->pattern_count; i++) {
        if (local->patterns[i] == s) {
            local->patterns[i] = local->patterns[--local->pattern_count];
            break;
        }
    }
    (void)pthread_mutex_unlock(&local->hub->lock);
}

static Envelope *local_next(Bus *bus)
{
    LocalBus *local = local_of(bus);
    Envelope *envelope = NULL;
    if (mpsc_pop(local->queue, &envelope)) {
        (void)counter_add(&local->waiting, -1);
        return envelope;
    }
    return NULL;
}

static size_t local_waiting(const Bus *bus)
{
    return (size_t)counter_get(&const_local_of(bus)->waiting);
}

static int64_t local_next_due(const Bus *bus)
{
    (void)bus;
    return NEVER_NS;
}

static int local_waker(Bus *bus, Waker **ret_waker, Err *e)
{
    LocalBus *local = local_of(bus);
    int rc = local->has_waker ? 0 : waker_init(&local->waker, e);
    if (rc == 0) {
        (void)pthread_mutex_lock(&local->hub->lock);
        local->has_waker = true;
        (void)pthread_mutex_unlock(&local->hub->lock);
        *ret_waker = &local->waker;
    }
    return rc;
}

static void local_free(LocalBus *local)
{
    for (Envelope *left; (left = local_next(&local->base)) != NULL;) {
        envelope_unref(left);
    }
    bus_done(&local->base);
    if (local->has_waker) {
        waker_done(&local->waker);
    }
    mpsc_destroy(local->queue);
    free(local);
}

static void local_close(Bus *bus)
{
    LocalBus *local = local_of(bus);
    LocalHub *hub = local->hub;
    (void)pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < hub->count; i++) {
        if (hub->connections[i] == local) {
            hub->connections[i] = hub->connections[--hub->count];
            break;
        }
    }
    (void)pthread_mutex_unlock(&hub->lock);
    local_free(local);
}

static const BusOps LOCAL_OPS = {
    .publish = local_publish,
    .subscribe = local_subscribe,
    .unsubscribe = local_unsubscribe,
    .next = local_next,
    .waiting = local_waiting,
    .next_due = local_next_due,
    .waker = local_waker,
    .close = local_close,
};

int local_connect(LocalHub *hub, const BusOptions *options, Bus **ret_bus, Err *e)
{
    LocalBus *local = mem_zalloc(sizeof *local);
    local->hub = hub;
    local->queue_max = options->queue ? options->queue : BUS_QUEUE;
    counter_init(&local->waiting, 0);
    int rc = bus_init(&local->base, &LOCAL_OPS, options, e);
    if (rc != 0) {
        free(local);
        return rc;
    }
    local->queue = mpsc_create(local->queue_max, sizeof(Envelope *));
    (void)pthread_mutex_lock(&hub->lock);
    if (hub->count < LOCAL_CONNECTIONS_MAX) {
        hub->connections[hub->count++] = local;
        (void)snprintf(local->base.unique, sizeof local->base.unique, "%llu",
                       (unsigned long long)++hub->last);
    } else {
        rc = err_set(e, ERR_LIMIT, "a hub has at most %d connections", LOCAL_CONNECTIONS_MAX);
    }
    (void)pthread_mutex_unlock(&hub->lock);
    if (rc != 0) {
        local_free(local);
        return rc;
    }
    *ret_bus = &local->base;
    return 0;
}
