#include "bus/faulty.h"

#include "base/rng.h"
#include "bus/bus_impl.h"

typedef struct Held {
    Envelope *envelope;
    int64_t due_ns;
} Held;

typedef struct FaultyBus {
    Bus base;
    Bus *inner;
    FaultPlan *plan;
    Rng rng;
    Held *held; // in no order: there are few
    size_t held_count;
} FaultyBus;

static FaultyBus *faulty_of(Bus *bus)
{
    return CONTAINER_OF(bus, FaultyBus, base);
}

// `base` comes first.
static const FaultyBus *const_faulty_of(const Bus *bus)
{
    return (const FaultyBus *)(const void *)bus;
}

// ---- cuts

int fault_cut(FaultPlan *plan, Slice a, Slice b, Err *e)
{
    if (a.len > BUS_NAME_MAX || b.len > BUS_NAME_MAX) {
        return err_set(e, ERR_ARG, "the name of an agent has at most %d bytes", BUS_NAME_MAX);
    }
    if (plan->cut_count == FAULT_CUTS_MAX) {
        return err_set(e, ERR_LIMIT, "there are %d cuts already", FAULT_CUTS_MAX);
    }
    struct FaultCut *cut = &plan->cuts[plan->cut_count++];
    *cut = (struct FaultCut){0};
    memcpy(cut->a, a.ptr, a.len);
    memcpy(cut->b, b.ptr, b.len);
    return 0;
}

void fault_heal(FaultPlan *plan)
{
    plan->cut_count = 0;
}

static bool is_cut(const FaultPlan *plan, Slice from, Slice to)
{
    for (size_t i = 0; i < plan->cut_count; i++) {
        const struct FaultCut *cut = &plan->cuts[i];
        if ((slice_eq_cstr(from, cut->a) && slice_eq_cstr(to, cut->b)) ||
            (slice_eq_cstr(from, cut->b) && slice_eq_cstr(to, cut->a))) {
            return true;
        }
    }
    return false;
}

// ---- publishing

static void hold(FaultyBus *f, Envelope *envelope)
{
    if (f->held_count == FAULT_HELD_MAX) {
        f->plan->lost++;
        return;
    }
    if (!f->held) {
        f->held = mem_zalloc(FAULT_HELD_MAX * sizeof *f->held);
    }
    int64_t wait = rng_between(&f->rng, 0, f->plan->delay_ns_max);
    f->held[f->held_count++] =
        (Held){envelope_ref(envelope), clock_deadline(clock_now(f->base.clock), wait)};
    f->plan->delayed++;
}

static int pass(FaultyBus *f, Envelope *envelope, bool delayed, size_t *ret_receivers, Err *e)
{
    if (delayed) {
        hold(f, envelope);
        *ret_receivers = 1; // nobody can tell yet
        return 0;
    }
    return f->inner->ops->publish(f->inner, envelope, ret_receivers, e);
}

// Always the same number of draws, so that one probability does not shift the others' luck.
static int faulty_publish(Bus *bus, Envelope *envelope, size_t *ret_receivers, Err *e)
{
    FaultyBus *f = faulty_of(bus);
    FaultPlan *plan = f->plan;
    bool lost = rng_double(&f->rng) < plan->lose;
    bool doubled = rng_double(&f->rng) < plan->duplicate;
    bool delayed = rng_double(&f->rng) < plan->delay;
    bool second_delayed = rng_double(&f->rng) < plan->delay;
    if (lost) {
        plan->lost++;
        *ret_receivers = 1;
        return 0; // the sender of a lost message never knows
    }
    int rc = pass(f, envelope, delayed, ret_receivers, e);
    if (rc == 0 && doubled) {
        size_t receivers;
        plan->doubled++;
        rc = pass(f, envelope, second_delayed, &receivers, e);
    }
    return rc;
}

static void release_due(FaultyBus *f)
{
    int64_t now_ns = clock_now(f->base.clock);
    for (size_t i = 0; i < f->held_count;) {
        if (f->held[i].due_ns > now_ns) {
            i++;
            continue;
        }
        Envelope *envelope = f->held[i].envelope;
        f->held[i] = f->held[--f->held_count];
        size_t receivers;
        if (f->inner->ops->publish(f->inner, envelope, &receivers, NULL) != 0) {
            f->plan->lost++; // its sender was told long ago that all is well
        }
        envelope_unref(envelope);
    }
}

// ---- the rest goes to the wrapped connection

static Envelope *faulty_next(Bus *bus)
{
    FaultyBus *f = faulty_of(bus);
    release_due(f);
    Envelope *envelope;
    while ((envelope = f->inner->ops->next(f->inner)) != NULL) {
        if (!is_cut(f->plan, envelope->m.from, slice_from_cstr(bus->name))) {
            return envelope;
        }
        f->plan->stopped++;
        envelope_unref(envelope);
    }
    return NULL;
}

static int faulty_subscribe(Bus *bus, BusSubscription *s, Err *e)
{
    Bus *inner = faulty_of(bus)->inner;
    return inner->ops->subscribe(inner, s, e);
}

static void faulty_unsubscribe(Bus *bus, BusSubscription *s)
{
    Bus *inner = faulty_of(bus)->inner;
    inner->ops->unsubscribe(inner, s);
}

static size_t faulty_waiting(const Bus *bus)
{
    const Bus *inner = const_faulty_of(bus)->inner;
    return inner->ops->waiting(inner);
}

static int64_t faulty_next_due(const Bus *bus)
{
    const FaultyBus *f = const_faulty_of(bus);
    int64_t due = f->inner->ops->next_due(f->inner);
    for (size_t i = 0; i < f->held_count; i++) {
        due = f->held[i].due_ns < due ? f->held[i].due_ns : due;
    }
    return due;
}

static int faulty_waker(Bus *bus, Waker **ret_waker, Err *e)
{
    Bus *inner = faulty_of(bus)->inner;
    return inner->ops->waker(inner, ret_waker, e);
}

static void faulty_close(Bus *bus)
{
    FaultyBus *f = faulty_of(bus);
    for (size_t i = 0; i < f->held_count; i++) {
        envelope_unref(f->held[i].envelope);
    }
    free(f->held);
    bus_done(bus);
    bus_close(f->inner);
    free(f);
}

static const BusOps FAULTY_OPS = {
    .publish = faulty_publish,
    .subscribe = faulty_subscribe,
    .unsubscribe = faulty_unsubscribe,
    .next = faulty_next,
    .waiting = faulty_waiting,
    .next_due = faulty_next_due,
    .waker = faulty_waker,
    .close = faulty_close,
};

int faulty_wrap(Bus *inner, FaultPlan *plan, Bus **ret_bus, Err *e)
{
    if (inner->subscription_count > 0 || inner->loop) {
        return err_set(e, ERR_ARG, "only a fresh connection can be wrapped");
    }
    FaultyBus *f = mem_zalloc(sizeof *f);
    BusOptions o = {.name = slice_from_cstr(inner->name), .clock = inner->clock};
    int rc = bus_init(&f->base, &FAULTY_OPS, &o, e);
    if (rc != 0) {
        free(f);
        return rc;
    }
    memcpy(f->base.unique, inner->unique, sizeof f->base.unique);
    f->inner = inner;
    f->plan = plan;
    f->rng = rng_stream(plan->seed, SLICE("bus.faulty"), slice_hash(o.name));
    *ret_bus = &f->base;
    return 0;
}
