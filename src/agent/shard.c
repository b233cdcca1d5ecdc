// A shard's thread: messages in, jobs to workers, messages out.
//
// One worker is active: it takes job after job and runs each as a plain function call, without a
// switch of stacks. When a handler parks, the loop goes on; the pump sees that the active worker is
// parked inside a job and makes another one active. So a fiber is paid for only by handlers that
// wait. (Rejected: a fiber a job, which costs a spawn and two switches, about 60 ns, each.)
#include "agent/policed.h"
#include "agent/runner_impl.h"

#include <assert.h>

static void run_pump(LoopDefer *defer);

// ---- time

int64_t shard_now(Shard *shard)
{
    if (shard->ns_per_cycle > 0) {
        uint64_t cycles = clock_cycles() - shard->base_cycles;
        int64_t now = shard->base_ns + (int64_t)((double)cycles * shard->ns_per_cycle);
        shard->last_ns = now > shard->last_ns ? now : shard->last_ns;
    } else {
        shard->last_ns = loop_clock(shard->loop);
    }
    return shard->last_ns;
}

// Once a round. The rate of the counter is the average since the start; a round is short, so an
// error of 10^-4 of it is nothing.
static void read_time(Shard *shard)
{
    if (shard->runner->options.manual) {
        return;
    }
    int64_t now = loop_clock(shard->loop);
    uint64_t cycles = clock_cycles();
    if (now - shard->start_ns > 10 * NS_PER_MS) {
        shard->ns_per_cycle =
            (double)(now - shard->start_ns) / (double)(cycles - shard->start_cycles);
    }
    shard->base_ns = now;
    shard->base_cycles = cycles;
}

// ---- workers

bool shard_has_fiber(const Shard *shard, unsigned depth, size_t workers)
{
    const RunnerOptions *o = &shard->runner->options;
    size_t kept = depth < 32 ? o->fibers_max >> (depth + 1) : 0;
    size_t least = depth <= o->call_depth_max ? o->call_depth_max - depth + 1 : 1;
    return workers <= o->fibers_max - (kept > least ? kept : least);
}

// Of handlers that are parked: the events' deadlines, and what their policies wait for.
static void arm_timer(Worker *w)
{
    int64_t due = NEVER_NS;
    for (const AgentContext *ctx = w->top; ctx; ctx = ctx->outer) {
        bool ends = ctx->cause != CANCEL_NONE && ctx->cause != CANCEL_ATTEMPT;
        int64_t deadline = ends ? NEVER_NS : ctx->job->event.deadline_ns;
        int64_t policy = ctx->policed ? policed_timer(ctx) : NEVER_NS;
        due = deadline < due ? deadline : due;
        due = policy < due ? policy : due;
    }
    if (due != NEVER_NS) {
        loop_timer_set(w->shard->loop, &w->timer, due);
    }
}

static void on_job_timer(LoopTimer *timer)
{
    Worker *w = CONTAINER_OF(timer, Worker, timer);
    int64_t now = loop_clock(w->shard->loop);
    for (AgentContext *ctx = w->top; ctx; ctx = ctx->outer) {
        if (ctx->policed) {
            policed_on_timer(ctx, now);
        }
        if (now >= ctx->job->event.deadline_ns) {
            job_cancel(w->shard, ctx->job, CANCEL_DEADLINE);
        }
    }
    arm_timer(w);
}

void worker_watch(Worker *worker)
{
    if (worker->shard->active != worker) {
        arm_timer(worker);
    }
}

void worker_detach(Worker *worker)
{
    Shard *shard = worker->shard;
    if (shard->active == worker) {
        shard->active = NULL;
    }
    arm_timer(worker);
}

// True when the worker may take jobs: it is the active one, or the active one waits in a handler.
static bool become_active(Shard *shard, Worker *w)
{
    Worker *active = shard->active;
    if (active && active != w) {
        if (!active->job || fiber_state(active->fiber) != FIBER_PARKED || active->turn_over) {
            return false;
        }
        worker_detach(active);
    }
    if (shard->active != w) {
        shard->active = w;
        shard_wake_pump(shard);
    }
    return true;
}

static void run_jobs(Worker *w)
{
    Shard *shard = w->shard;
    shard->fresh = false;
    for (int jobs = 0; become_active(shard, w); jobs++) {
        if (jobs >= JOBS_PER_TURN) {
            shard->fresh = false;
            w->turn_over = true;
            shard_wake_pump(shard);
            int rc = fiber_park("its turn", NEVER_NS);
            w->turn_over = false;
            if (rc != 0) {
                fiber_clear_cancel();
            }
            jobs = 0;
            continue;
        }
        Job *job = shard_next_job(shard);
        if (!job) {
            shard->active = NULL;
            return;
        }
        job_run(w, job, &w->ctx);
    }
}

static void worker_main(void *arg)
{
    Worker *w = arg;
    Shard *shard = w->shard;
    w->stack = __builtin_frame_address(0);
    for (;;) {
        run_jobs(w);
        if (shard->idle_count >= WORKERS_IDLE_MAX || shard->cancelling) {
            break;
        }
        w->idle = true;
        w->next = shard->idle;
        shard->idle = w;
        shard->idle_count++;
        int rc = fiber_park("work", NEVER_NS);
        if (w->idle) { // nobody took it off the list: the shard ends
            Worker **at = &shard->idle;
            while (*at != w) {
                at = &(*at)->next;
            }
            *at = w->next;
            w->idle = false;
            shard->idle_count--;
        }
        if (rc != 0) {
            fiber_clear_cancel();
            break;
        }
    }
    if (shard->active == w) {
        shard->active = NULL;
    }
    w->fiber = NULL;
    w->next = shard->free_workers;
    shard->free_workers = w;
    shard->workers--;
    counter_own_add(&shard->counts.fibers, -1);
    shard_wake_pump(shard);
}

static Worker *worker_take(Shard *shard)
{
    Worker *w = shard->free_workers;
    if (w) {
        shard->free_workers = w->next;
        return w;
    }
    w = mem_zalloc(sizeof *w);
    w->shard = shard;
    loop_timer_init(&w->timer, on_job_timer);
    w->all_next = shard->all_workers;
    shard->all_workers = w;
    return w;
}

// A worker becomes active: an idle one, or a new one.
static void activate_worker(Shard *shard)
{
    Worker *w = shard->idle;
    if (w) {
        shard->idle = w->next;
        shard->idle_count--;
        w->idle = false;
        shard->active = w;
        fiber_resume(w->fiber);
        return;
    }
    w = worker_take(shard);
    w->fiber = fiber_spawn(shard->fibers, "agent worker", worker_main, w);
    if (!w->fiber) { // no memory for a stack: those that run will end
        w->next = shard->free_workers;
        shard->free_workers = w;
        return;
    }
    shard->workers++;
    counter_own_add(&shard->counts.fibers, 1);
    shard->active = w;
}

// Without this the next job would wait for the loop's next round and its system call.
void worker_hand_over(Worker *worker)
{
    Shard *shard = worker->shard;
    if (shard->active == worker) {
        worker_detach(worker);
        if (shard_has_job(shard)) {
            activate_worker(shard);
        }
    }
}

void shard_wake_pump(Shard *shard)
{
    loop_defer(shard->loop, &shard->pump);
}

static void run_pump(LoopDefer *defer)
{
    Shard *shard = CONTAINER_OF(defer, Shard, pump);
    Worker *active = shard->active;
    if (active) {
        if (active->turn_over) {
            fiber_resume(active->fiber);
        } else if (fiber_state(active->fiber) == FIBER_PARKED) {
            worker_detach(active);
        }
    }
    if (!shard->active && shard_has_job(shard)) {
        activate_worker(shard);
    }
    if (shard->active) {
        shard_wake_pump(shard); // to see whether it parked
    } else if (shard->queued > 0 && !loop_timer_is_set(&shard->sweep)) {
        loop_timer_set(shard->loop, &shard->sweep,
                       clock_deadline(loop_clock(shard->loop), SWEEP_NS));
    }
}

static void on_sweep(LoopTimer *timer)
{
    Shard *shard = CONTAINER_OF(timer, Shard, sweep);
    shard_expire(shard, loop_clock(shard->loop), false);
    if (shard->queued > 0) {
        loop_timer_set(shard->loop, timer, clock_deadline(loop_clock(shard->loop), SWEEP_NS));
        shard_wake_pump(shard);
    }
}

void shard_cancel_all(Shard *shard, void *unused)
{
    (void)unused;
    shard->cancelling = true;
    shard_expire(shard, loop_clock(shard->loop), true);
    for (Worker *w = shard->all_workers; w; w = w->all_next) {
        for (AgentContext *ctx = w->fiber ? w->top : NULL; ctx; ctx = ctx->outer) {
            job_cancel(shard, ctx->job, CANCEL_STOP);
        }
    }
}

// ---- messages

void shard_send(Shard *from, unsigned to, const Message *message)
{
    Shard *target = from->runner->shards[to];
    Outbox *box = &from->outboxes[to];
    if (!box->first && mpsc_push(target->inbox, message)) {
        waker_notify(&target->waker);
        return;
    }
    // The order between two shards is kept: a chunk never comes after the reply.
    Pending *p = mem_alloc(sizeof *p);
    p->next = NULL;
    p->message = *message;
    *(box->last ? &box->last->next : &box->first) = p;
    box->last = p;
    from->pending++;
}

static bool flush_outboxes(Shard *shard)
{
    bool any = false;
    for (unsigned to = 0; shard->pending > 0 && to < shard->runner->shard_count; to++) {
        Shard *target = shard->runner->shards[to];
        Outbox *box = &shard->outboxes[to];
        while (box->first && mpsc_push(target->inbox, &box->first->message)) {
            Pending *p = box->first;
            box->first = p->next;
            box->last = box->first ? box->last : NULL;
            free(p);
            shard->pending--;
            any = true;
            waker_notify(&target->waker);
        }
    }
    return any;
}

static bool drain_inbox(Shard *shard)
{
    Message message;
    int count = 0;
    while (count < MESSAGES_PER_TURN && mpsc_pop(shard->inbox, &message)) {
        deliver_message(shard, &message);
        count++;
    }
    return count > 0;
}

static void on_waker(LoopIo *io, unsigned events)
{
    (void)events;
    waker_drain(&CONTAINER_OF(io, Shard, waker_io)->waker);
}

bool shard_settle(Shard *shard)
{
    bool busy = drain_inbox(shard);
    return flush_outboxes(shard) || busy;
}

bool shard_step(Shard *shard)
{
    bool busy = drain_inbox(shard);
    busy = loop_tick(shard->loop, 0) || busy;
    return flush_outboxes(shard) || busy;
}

// Polls for a while: waking from epoll costs 10 us and more.
static bool spin(Shard *shard, int64_t spin_ns)
{
    int64_t until = spin_ns > 0 ? loop_clock(shard->loop) + spin_ns : 0;
    while (spin_ns > 0 && !shard->pump.queued) {
        if (drain_inbox(shard)) {
            return true;
        }
        if (loop_clock(shard->loop) >= until) {
            break;
        }
    }
    return false;
}

void shard_thread(void *arg)
{
    Shard *shard = arg;
    Runner *runner = shard->runner;
    bool busy = false;
    while (!flag_is_set(&runner->ending)) {
        if (busy) {
            busy = spin(shard, runner->options.spin_ns);
        }
        waker_announce_sleep(&shard->waker);
        int64_t wait_ns = NEVER_NS;
        if (drain_inbox(shard) || busy || flag_is_set(&runner->ending)) {
            wait_ns = 0;
        } else if (shard->pending > 0) {
            wait_ns = REMOTE_ROOM_NS;
        }
        if (wait_ns == 0) {
            waker_awake(&shard->waker);
        }
        busy = loop_tick(shard->loop, wait_ns);
        waker_awake(&shard->waker);
        read_time(shard);
        busy = flush_outboxes(shard) || busy;
    }
    // A fiber ends on the thread it began on.
    shard->cancelling = true;
    (void)fiber_pool_drain(shard->fibers, NEVER_NS);
}

// ---- life

int agent_shard_create(Runner *runner, unsigned index, Shard **ret_shard, Err *e)
{
    const RunnerOptions *o = &runner->options;
    Shard *shard = mem_zalloc(sizeof *shard);
    shard->runner = runner;
    shard->index = index;
    shard->waker.fd = -1;
    int rc = loop_create(&(LoopOptions){.manual = o->manual}, &shard->loop, e);
    if (rc != 0 || (rc = waker_init(&shard->waker, e)) != 0) {
        agent_shard_destroy(shard);
        return rc;
    }
    loop_io_init(&shard->waker_io, on_waker);
    rc = loop_io_add(shard->loop, &shard->waker_io, shard->waker.fd, LOOP_READ, e);
    if (rc != 0) {
        agent_shard_destroy(shard);
        return rc;
    }
    shard->fibers = fiber_pool_create(
        shard->loop, &(FiberOptions){.stack_bytes = o->stack_bytes, .fibers_max = o->fibers_max});
    shard->inbox = mpsc_create(o->inbox, sizeof(Message));
    shard->outboxes = mem_zalloc(runner->shard_count * sizeof(Outbox));
    shard->events = event_pool_create(sizeof(Job) - sizeof(Event));
    shard->slots = mem_zalloc(runner->agent_count * sizeof(Slot *));
    loop_defer_init(&shard->pump, run_pump);
    loop_timer_init(&shard->sweep, on_sweep);
    if (!o->trace_off) {
        shard->trace = mem_zalloc(o->trace_entries * sizeof(TraceEntry));
    }
    uint32_t total = o->max_concurrent_events;
    shard->roots_max =
        total ? total / runner->shard_count + (index < total % runner->shard_count) : SIZE_MAX;
    shard->start_ns = shard->base_ns = shard->last_ns = loop_clock(shard->loop);
    shard->start_cycles = shard->base_cycles = clock_cycles();
    *ret_shard = shard;
    return 0;
}

static void free_outboxes(Shard *shard)
{
    for (unsigned to = 0; shard->outboxes && to < shard->runner->shard_count; to++) {
        assert(!shard->outboxes[to].first);
    }
    free(shard->outboxes);
}

static void free_workers(Shard *shard)
{
    while (shard->all_workers) {
        Worker *w = shard->all_workers;
        shard->all_workers = w->all_next;
        loop_timer_cancel(shard->loop, &w->timer);
        free(w);
    }
    while (shard->arena_count > 0) {
        arena_destroy(shard->arenas[--shard->arena_count]);
    }
}

static void free_slots(Shard *shard)
{
    while (shard->all_slots) {
        Slot *slot = shard->all_slots;
        shard->all_slots = slot->all_next;
        slot_free(slot);
    }
}

void agent_shard_destroy(Shard *shard)
{
    if (!shard) {
        return;
    }
    if (shard->fibers) {
        shard->cancelling = true;
        size_t left = fiber_pool_drain(shard->fibers, NEVER_NS);
        assert(left == 0);
        (void)left;
        free_workers(shard);
        loop_timer_cancel(shard->loop, &shard->sweep);
        free_slots(shard);
        loop_defer_cancel(shard->loop, &shard->pump);
        fiber_pool_destroy(shard->fibers);
    }
    free_outboxes(shard);
    mpsc_destroy(shard->inbox);
    free(shard->slots);
    waits_destroy(shard);
    event_pool_destroy(shard->events);
    if (shard->waker.fd >= 0) {
        loop_io_remove(shard->loop, &shard->waker_io);
    }
    waker_done(&shard->waker);
    loop_destroy(shard->loop);
    free(shard->trace);
    free(shard);
}
