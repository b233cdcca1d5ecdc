// Batches: events of one agent that its batch handler gets together.
//
// Each event keeps its own fiber, context, policies and deadline; only where another agent's
// handler would be called does it take a seat in the open batch of its slot and park, without its
// place. Whoever fills the batch runs the handler on its own fiber; at `batch.timeout` it is the
// first of those that wait. So an event that gives up while the batch gathers just leaves, and all
// that belongs to one event is where it is for an agent without batches.
//
// (Rejected: taking several jobs out of the mailbox at once. Retries, caches, rate limits and
// deadlines are an event's own, and would all have to be done again for many.)
#include "policy/batch.h"

#include <assert.h>

#include "agent/policed.h"
#include "agent/runner_impl.h"

// On the stack of the fiber whose event it is.
struct BatchSeat {
    Batch *batch; // NULL: it left, or the batch is done
    AgentContext *ctx;
    Worker *worker; // its own: while the handler runs, the context has that of the fiber it runs on
    uint64_t bytes;
    int code;
    BatchSeat *prev, *next;
};

struct Batch {
    BatchSeat *first, *last;
    BatchSeat *leader; // runs the handler; NULL while the batch is open
    bool running;
    uint32_t capacity;
    AgentBatchItem *items;
    Batch *next; // free list
};

struct Batching {
    Shard *shard;
    Slot *slot;
    BatchState sum; // of the open batch
    Batch *open;    // gathers; NULL: none
    Batch *free;
    LoopTimer timer; // of the open batch
};

static const ParamValue *params_of(const Slot *slot)
{
    return slot->policed ? slot->policed->block->p : NULL;
}

bool slot_batches(const Slot *slot)
{
    return slot->def->run_batch && slot->policed &&
           slot->policed->block->p[P_BATCH_MAX_ITEMS].integer > 1;
}

// ---- who is in it

static Batch *batch_take(Batching *g)
{
    Batch *b = g->free;
    if (b) {
        g->free = b->next;
    } else {
        b = mem_zalloc(sizeof *b);
    }
    b->first = b->last = b->leader = NULL;
    b->running = false;
    return b;
}

static void batch_give(Batching *g, Batch *b)
{
    b->next = g->free;
    g->free = b;
}

static void seat_link(Batch *b, BatchSeat *seat)
{
    seat->batch = b;
    seat->next = NULL;
    seat->prev = b->last;
    *(b->last ? &b->last->next : &b->first) = seat;
    b->last = seat;
}

static void seat_unlink(BatchSeat *seat)
{
    Batch *b = seat->batch;
    *(seat->prev ? &seat->prev->next : &b->first) = seat->next;
    *(seat->next ? &seat->next->prev : &b->last) = seat->prev;
    seat->batch = NULL;
}

// The first that is not on its way out wakes to run the batch. Where all are, the last one that
// leaves takes the batch down.
static void appoint(Batch *b)
{
    BatchSeat *seat = b->first;
    while (seat && context_is_cancelled(seat->ctx)) {
        seat = seat->next;
    }
    b->leader = seat;
    if (seat) {
        fiber_resume(seat->worker->fiber);
    }
}

// Takes nobody in any more.
static Batch *close_open(Batching *g)
{
    Batch *b = g->open;
    g->open = NULL;
    (void)batch_flush(&g->sum);
    loop_timer_cancel(g->shard->loop, &g->timer);
    return b;
}

static void leave(Batching *g, BatchSeat *seat)
{
    Batch *b = seat->batch;
    seat_unlink(seat);
    if (b == g->open) {
        batch_remove(&g->sum, seat->bytes);
        if (!b->first) {
            batch_give(g, close_open(g));
        }
    } else if (!b->first) {
        batch_give(g, b);
    } else if (b->leader == seat) {
        appoint(b);
    }
}

static void on_due(LoopTimer *timer)
{
    Batching *g = CONTAINER_OF(timer, Batching, timer);
    if (g->open) {
        appoint(close_open(g));
    }
}

// When the runner stops there is nothing to wait for: what begins in this round goes together.
static void set_timer(Batching *g)
{
    bool stopping = counter_get(&g->shard->runner->open) <= 0;
    int64_t due = stopping ? loop_clock(g->shard->loop) : batch_due(&g->sum, params_of(g->slot));
    loop_timer_set(g->shard->loop, &g->timer, due);
}

// ---- running it

static int past_deadline(AgentContext *ctx)
{
    return agent_fail(ctx, ERR_TIMEOUT, "its deadline passed while it waited for its batch");
}

// Those that take part: the others have been cancelled, or are too late.
static size_t admit(Batch *b, BatchSeat *leader, int64_t now_ns)
{
    size_t count = 0;
    for (BatchSeat *seat = b->first, *next; seat; seat = next) {
        AgentContext *ctx = seat->ctx;
        next = seat->next;
        if (seat != leader && context_is_cancelled(ctx)) {
            seat_unlink(seat);
            continue;
        }
        if (seat != leader && ctx->job->event.deadline_ns <= now_ns) {
            seat->code = past_deadline(ctx);
            seat_unlink(seat);
            fiber_resume(seat->worker->fiber);
            continue;
        }
        if (count == b->capacity) {
            b->capacity = b->capacity ? 2 * b->capacity : 16;
            b->items = mem_realloc(b->items, b->capacity * sizeof *b->items);
        }
        ctx->worker = leader->worker;
        b->items[count++] = (AgentBatchItem){ctx, &ctx->job->event, ctx->state, 0};
    }
    return count;
}

static void finish(Batch *b, size_t count, const BatchSeat *leader)
{
    for (size_t i = 0; i < count; i++) {
        AgentContext *ctx = b->items[i].ctx;
        BatchSeat *seat = ctx->seat;
        if (ctx->waits) { // their answers have nowhere to go: the handler's stack is gone
            context_drop_calls(ctx);
        }
        seat->code = b->items[i].result;
        seat_unlink(seat);
        ctx->worker = seat->worker;
        if (seat != leader) {
            fiber_resume(seat->worker->fiber);
        }
    }
    b->running = false;
}

static void lead(Batching *g, BatchSeat *seat)
{
    AgentContext *ctx = seat->ctx;
    Batch *b = seat->batch;
    if (!ctx->has_place) {
        context_take_place(ctx, false);
    }
    int64_t now = shard_now(g->shard);
    if (context_is_cancelled(ctx) || ctx->job->event.deadline_ns <= now) {
        seat->code = context_is_cancelled(ctx) ? ERR_CANCELLED : past_deadline(ctx);
        leave(g, seat);
        return;
    }
    size_t count = admit(b, seat, now);
    b->running = true;
    g->slot->def->run_batch(b->items, count);
    finish(b, count, seat);
    batch_give(g, b);
}

static int run_alone(AgentContext *ctx, const Event *event, State *state)
{
    AgentBatchItem item = {ctx, event, state, 0};
    ctx->job->slot->def->run_batch(&item, 1);
    return item.result;
}

static Batching *batching_of(Shard *shard, Slot *slot)
{
    if (!slot->batching) {
        slot->batching = mem_zalloc(sizeof *slot->batching);
        slot->batching->shard = shard;
        slot->batching->slot = slot;
        loop_timer_init(&slot->batching->timer, on_due);
    }
    return slot->batching;
}

static void await(Batching *g, BatchSeat *seat)
{
    context_leave_place(seat->ctx, false);
    while (seat->batch) {
        int rc = fiber_park("its batch", NEVER_NS);
        if (!seat->batch) {
            return;
        }
        assert(!seat->batch->running);
        if (seat->batch->leader == seat) {
            lead(g, seat);
        } else if (rc != 0) {
            leave(g, seat);
        }
    }
}

int batch_run(AgentContext *ctx, const Event *event, State *state)
{
    Slot *slot = ctx->job->slot;
    // On its caller's stack it came before the batches were turned on.
    if (!slot_batches(slot) || ctx->outer) {
        return run_alone(ctx, event, state);
    }
    Batching *g = batching_of(ctx->shard, slot);
    const ParamValue *p = params_of(slot);
    BatchSeat seat = {
        .ctx = ctx, .worker = ctx->worker, .bytes = event_data(event).len, .code = ERR_CANCELLED};
    if (batch_before(&g->sum, p, seat.bytes)) {
        appoint(close_open(g));
    }
    if (!g->open) {
        g->open = batch_take(g);
    }
    ctx->seat = &seat;
    seat_link(g->open, &seat);
    if (batch_add(&g->sum, p, seat.bytes, shard_now(ctx->shard))) {
        close_open(g)->leader = &seat;
        lead(g, &seat);
    } else {
        if (!loop_timer_is_set(&g->timer)) {
            set_timer(g);
        }
        await(g, &seat);
    }
    ctx->seat = NULL;
    ctx->shard->fresh = false;
    return seat.code;
}

// ---- from outside of it

bool context_shares_fiber(const AgentContext *ctx)
{
    const Batch *b = ctx->seat ? ctx->seat->batch : NULL;
    for (const BatchSeat *seat = b && b->running ? b->first : NULL; seat; seat = seat->next) {
        if (seat->ctx->cause == CANCEL_NONE) {
            return true;
        }
    }
    return false;
}

AgentContext *context_host(AgentContext *ctx)
{
    const Batch *b = ctx->seat ? ctx->seat->batch : NULL;
    return b && b->running ? b->leader->ctx : ctx;
}

void slot_batch_changed(Slot *slot)
{
    Batching *g = slot->batching;
    if (!g || !g->open) {
        return;
    }
    if (batch_is_full(&g->sum, params_of(slot))) {
        appoint(close_open(g));
    } else {
        set_timer(g);
    }
}

void shard_flush_batches(Shard *shard, void *unused)
{
    (void)unused;
    for (Slot *slot = shard->all_slots; slot; slot = slot->all_next) {
        if (slot->batching && slot->batching->open) {
            appoint(close_open(slot->batching));
        }
    }
}

void batching_destroy(Batching *g)
{
    if (!g) {
        return;
    }
    assert(!g->open);
    loop_timer_cancel(g->shard->loop, &g->timer);
    while (g->free) {
        Batch *b = g->free;
        g->free = b->next;
        free(b->items);
        free(b);
    }
    free(g);
}
