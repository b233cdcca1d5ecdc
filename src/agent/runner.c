#include "agent/runner.h"

#include <assert.h>
#include <pthread.h>

#include "agent/policed.h"
#include "agent/runner_impl.h"

// ---- options

static int check_options(const RunnerOptions *o, Err *e)
{
    if (o->shards > RUNNER_SHARDS_MAX) {
        return err_set(e, ERR_LIMIT, "%u shards, the limit is %d", o->shards, RUNNER_SHARDS_MAX);
    }
    if (o->event_timeout_ns < 0 || o->hops_max > UINT16_MAX - 1 ||
        o->call_depth_max > UINT16_MAX - 1) {
        return err_set(e, ERR_ARG, "event_timeout below 0, or hops_max or call_depth_max above %d",
                       UINT16_MAX - 1);
    }
    return 0;
}

static void set_defaults(RunnerOptions *o)
{
    if (o->shards == 0) {
        int cpus = thread_cpu_count();
        o->shards = cpus > RUNNER_SHARDS_MAX ? RUNNER_SHARDS_MAX : (unsigned)cpus;
    }
    // Every shard needs a place at least.
    if (o->max_concurrent_events > 0 && o->shards > o->max_concurrent_events) {
        o->shards = o->max_concurrent_events;
    }
    o->event_buffer = o->event_buffer ? o->event_buffer : RUNNER_MAILBOX;
    o->hops_max = o->hops_max ? o->hops_max : RUNNER_HOPS_MAX;
    o->call_depth_max = o->call_depth_max ? o->call_depth_max : RUNNER_CALL_DEPTH_MAX;
    o->data_max = o->data_max ? o->data_max : EVENT_DATA_MAX;
    o->agents_max = o->agents_max ? o->agents_max : RUNNER_AGENTS_MAX;
    o->fibers_max = o->fibers_max ? o->fibers_max : FIBER_COUNT_MAX;
    if (o->fibers_max < 4 * (o->call_depth_max + 2u)) {
        o->fibers_max = 4 * (o->call_depth_max + 2u); // every depth of calls needs some
    }
    o->inbox = o->inbox ? o->inbox : RUNNER_INBOX;
    o->trace_entries = o->trace_entries ? o->trace_entries : RUNNER_TRACE_ENTRIES;
}

int runner_create(const RunnerOptions *options, Runner **ret_runner, Err *e)
{
    int rc = check_options(options, e);
    if (rc != 0) {
        return rc;
    }
    Runner *runner = mem_zalloc(sizeof *runner);
    runner->options = *options;
    set_defaults(&runner->options);
    runner->options.dead_letter = (Slice){0};
    runner->shard_count = runner->options.shards;
    runner->names = map_create(runner->options.agents_max, 0);
    runner->names_arena = arena_create((size_t)4 << 30);
    runner->dead_letter_name = arena_copy(runner->names_arena, options->dead_letter);
    runner->dead_letter = AGENT_NONE;
    *ret_runner = runner;
    return 0;
}

void runner_destroy(Runner *runner)
{
    if (!runner) {
        return;
    }
    (void)runner_stop(runner, 0);
    for (unsigned i = 0; runner->shards && i < runner->shard_count; i++) {
        agent_shard_destroy(runner->shards[i]);
    }
    free(runner->shards);
    for (uint32_t i = 0; i < runner->agent_count; i++) {
        AgentDef *def = runner->agents[i];
        if (def->destroy) {
            def->destroy(def->self);
        }
        free(def->depths);
    }
    free(runner->agents);
    map_done(&runner->names);
    arena_destroy(runner->names_arena);
    free(runner);
}

// ---- agents

static int check_agent(const Runner *runner, const AgentSpec *spec, Err *e)
{
    if (runner->started) {
        return err_set(e, ERR_BUSY, "agent \"%.*s\" comes too late: the runner was started",
                       SLICE_FMT(spec->name));
    }
    if (spec->name.len == 0 || spec->name.len > AGENT_NAME_MAX || !spec->run == !spec->run_batch) {
        return err_set(e, ERR_ARG, "an agent needs one handler and a name of 1 to %d bytes",
                       AGENT_NAME_MAX);
    }
    if (map_get(&runner->names, spec->name)) {
        return err_set(e, ERR_EXISTS, "there are two agents \"%.*s\"", SLICE_FMT(spec->name));
    }
    if (runner->agent_count >= runner->options.agents_max) {
        return err_set(e, ERR_LIMIT, "more than %u agents", runner->options.agents_max);
    }
    return spec->policies ? policy_check(spec->policies, e) : 0;
}

int runner_register(Runner *runner, const AgentSpec *spec, AgentId *ret_id, Err *e)
{
    int rc = check_agent(runner, spec, e);
    if (rc != 0) {
        return rc;
    }
    if (runner->agent_count == runner->agent_capacity) {
        runner->agent_capacity = runner->agent_capacity ? 2 * runner->agent_capacity : 64;
        runner->agents = mem_realloc(runner->agents, runner->agent_capacity * sizeof(AgentDef *));
    }
    const RunnerOptions *o = &runner->options;
    AgentDef *def = ARENA_NEW(runner->names_arena, AgentDef);
    Slice name = arena_copy(runner->names_arena, spec->name);
    def->name = name.ptr;
    def->name_len = (uint32_t)name.len;
    def->id = runner->agent_count;
    def->run = spec->run_batch ? batch_run : spec->run;
    def->run_batch = spec->run_batch;
    runner->has_batches = runner->has_batches || spec->run_batch;
    def->self = spec->self;
    def->destroy = spec->destroy;
    def->placement = spec->placement;
    def->overflow = spec->overflow;
    def->mailbox_max = spec->mailbox_max ? spec->mailbox_max : o->event_buffer;
    def->worker_limit = spec->worker_limit ? spec->worker_limit : o->worker_limit;
    def->keeps_place = spec->keeps_place;
    def->spread = runner->shard_count;
    if (def->worker_limit > 0 && def->worker_limit < def->spread) {
        def->spread = def->worker_limit; // the others would have no place
    }
    def->home = (uint32_t)(slice_hash(name) % def->spread);
    def->forwards_to = AGENT_NONE;
    def->dead_letter = AGENT_NONE;
    def->dead_letter_name = arena_copy(runner->names_arena, spec->dead_letter);
    if (spec->policies) {
        ParamValue *values = ARENA_ARRAY(runner->names_arena, ParamValue, POLICY_PARAM_COUNT);
        memcpy(values, spec->policies, POLICY_PARAM_COUNT * sizeof *values);
        def->policies = values;
    }
    counter_init(&def->depth, 0);
    if (def->placement == PLACE_BY_SESSION) {
        def->depths = mem_zalloc(runner->shard_count * sizeof(Counter));
    }
    runner->agents[runner->agent_count++] = def;
    rc = map_put(&runner->names, name, def);
    assert(rc == 0);
    if (ret_id) {
        *ret_id = def->id;
    }
    return rc;
}

AgentId runner_find(const Runner *runner, Slice name)
{
    const AgentDef *def = map_get(&runner->names, name);
    return def ? def->id : AGENT_NONE;
}

size_t runner_agent_count(const Runner *runner)
{
    return runner->agent_count;
}

Slice runner_agent_name(const Runner *runner, AgentId id)
{
    return id < runner->agent_count ? def_name(runner->agents[id]) : (Slice){0};
}

unsigned runner_shard_count(const Runner *runner)
{
    return runner->shard_count;
}

int runner_hook(Runner *runner, HookPoint point, RunnerHookFn *fn, void *arg, Err *e)
{
    if (runner->started) {
        return err_set(e, ERR_BUSY, "a hook comes too late: the runner was started");
    }
    if (runner->hook_count[point] == RUNNER_HOOKS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d hooks of one kind", RUNNER_HOOKS_MAX);
    }
    runner->hooks[point][runner->hook_count[point]++] = (HookEntry){fn, arg};
    return 0;
}

// ---- policies and edges

static void forward_chunk(void *arg, Slice chunk)
{
    context_stream_now(arg, chunk);
}

// An edge's handler: the same events to the agent at its end, and the answers back.
static EventSpec forward_spec(const AgentBatchItem *item)
{
    const AgentDef *proxy = item->ctx->job->slot->def;
    EventSpec spec = {.agent = proxy->forwards_to, .type = event_type(item->event)};
    if (item->event->bytes) {
        spec.bytes = item->event->bytes;
    } else {
        spec.data = event_data(item->event);
    }
    return spec;
}

static AgentCallOptions forward_options(const AgentBatchItem *item)
{
    return (AgentCallOptions){
        .state = item->state, .on_chunk = forward_chunk, .chunk_arg = item->ctx};
}

static void forward_answer(AgentBatchItem *item, int rc, AgentResult *result, const char *reason)
{
    AgentContext *ctx = item->ctx;
    if (rc == 0) {
        rc = result->bytes ? agent_reply_bytes(ctx, result->bytes) : agent_reply(ctx, result->data);
        state_done(item->state);
        *item->state = result->state;
        result->state.root = NULL;
    } else {
        rc = agent_fail(ctx, (ErrCode)rc, "%s", reason);
    }
    agent_result_done(result);
    item->result = rc;
}

static void forward_one(AgentBatchItem *item)
{
    EventSpec spec = forward_spec(item);
    AgentCallOptions options = forward_options(item);
    AgentResult result;
    Err e = {0};
    int rc = agent_call(item->ctx, &spec, &options, &result, &e);
    forward_answer(item, rc, &result, e.text);
}

static void forward(AgentBatchItem *items, size_t count)
{
    if (count == 1) {
        forward_one(items);
        return;
    }
    AgentCall *calls = ARENA_ARRAY(agent_arena(items->ctx), AgentCall, count);
    for (size_t i = 0; i < count; i++) {
        EventSpec spec = forward_spec(&items[i]);
        AgentCallOptions options = forward_options(&items[i]);
        Err e = {0};
        int rc = agent_call_start(items[i].ctx, &spec, &options, &calls[i], &e);
        items[i].result = rc ? agent_fail(items[i].ctx, (ErrCode)rc, "%s", e.text) : 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].result == 0) {
            int rc = agent_call_wait(items[i].ctx, &calls[i]);
            forward_answer(&items[i], rc, &calls[i].result, calls[i].result.reason);
        }
    }
}

int runner_edge(Runner *runner, AgentId from, AgentId to, const ParamValue *policies,
                AgentId *ret_id, Err *e)
{
    if (from >= runner->agent_count || to >= runner->agent_count) {
        return err_set(e, ERR_NOT_FOUND, "an edge needs two agents that are registered");
    }
    AgentDef *source = runner->agents[from];
    AgentDef *target = runner->agents[to];
    char name[2 * AGENT_NAME_MAX + 8];
    int len = snprintf(name, sizeof name, "%s->%s", source->name, target->name);
    if (len > AGENT_NAME_MAX) {
        return err_set(e, ERR_LIMIT, "the name of the edge \"%s\" is longer than %d bytes", name,
                       AGENT_NAME_MAX);
    }
    AgentSpec spec = {.name = {name, (size_t)len},
                      .run_batch = forward,
                      .placement = source->placement,
                      .overflow = target->overflow,
                      .mailbox_max = target->mailbox_max,
                      .policies = policies};
    AgentId id;
    int rc = runner_register(runner, &spec, &id, e);
    if (rc != 0) {
        return rc;
    }
    AgentDef *proxy = runner->agents[id];
    proxy->forwards_to = to;
    proxy->worker_limit = 0; // the agents at both ends have theirs
    proxy->home = source->home;
    EdgeDef *edge = ARENA_NEW(runner->names_arena, EdgeDef);
    *edge = (EdgeDef){.to = to, .proxy = proxy, .next = source->edges};
    source->edges = edge;
    if (ret_id) {
        *ret_id = id;
    }
    return 0;
}

typedef struct PolicyChange {
    AgentId id;
    PolicyParamId param;
    ParamValue value;
    int rc;
    Err *e;
} PolicyChange;

static void change_policy(Shard *shard, void *arg)
{
    PolicyChange *c = arg;
    Slot *slot = slot_of(shard, c->id);
    int64_t now = loop_clock(shard->loop);
    if (!slot->policed) {
        slot->policed = policed_create(shard, slot, NULL);
    }
    PolicyBlock *block = slot->policed->block;
    int rc = policy_set(block, c->param, c->value, now, c->e);
    c->rc = rc != 0 ? rc : c->rc;
    for (CallWork work; policy_next_work(block, now, &work);) {
        policed_work(slot->policed, &work, now);
    }
    slot_batch_changed(slot);
}

int runner_set_policy(Runner *runner, AgentId id, PolicyParamId param, ParamValue value, Err *e)
{
    if (id >= runner->agent_count || !runner->shards) {
        return err_set(e, ERR_ARG, "policies change on agents of a runner that was started");
    }
    PolicyChange change = {.id = id, .param = param, .value = value, .e = e};
    runner_on_shards(runner, change_policy, &change);
    return change.rc;
}

typedef struct ProgramSet {
    AgentId id;
    const PolicyProgram *program;
    const ProgramRange *ranges;
    size_t range_count;
    int rc;
    Err *e;
} ProgramSet;

static void change_program(Shard *shard, void *arg)
{
    ProgramSet *c = arg;
    Slot *slot = slot_of(shard, c->id);
    if (!slot->policed) {
        slot->policed = policed_create(shard, slot, NULL);
    }
    int rc = policed_set_program(slot->policed, c->program, c->ranges, c->range_count, c->e);
    c->rc = rc != 0 ? rc : c->rc;
}

int runner_set_program(Runner *runner, AgentId id, const PolicyProgram *program,
                       const ProgramRange *ranges, size_t range_count, Err *e)
{
    if (id >= runner->agent_count || !runner->shards) {
        return err_set(e, ERR_ARG, "programs are set on agents of a runner that was started");
    }
    ProgramSet change = {id, program, ranges, range_count, 0, e};
    runner_on_shards(runner, change_program, &change);
    return change.rc;
}

typedef struct PlacesChange {
    AgentId id;
    uint32_t workers;
} PlacesChange;

static void change_places(Shard *shard, void *arg)
{
    const PlacesChange *c = arg;
    shard->runner->agents[c->id]->worker_limit = c->workers; // equal on every shard
    slot_places_changed(shard, slot_of(shard, c->id));
}

int runner_set_workers(Runner *runner, AgentId id, uint32_t workers, Err *e)
{
    if (id >= runner->agent_count || !runner->shards) {
        return err_set(e, ERR_ARG, "workers change on agents of a runner that was started");
    }
    const AgentDef *def = runner->agents[id];
    if (def->forwards_to != AGENT_NONE) {
        return err_set(e, ERR_ARG, "\"%s\" is an edge and has no workers", def->name);
    }
    if (workers > 0 && workers < def->spread) {
        return err_set(e, ERR_ARG, "\"%s\" runs on %u shards and needs a worker on each", def->name,
                       def->spread);
    }
    runner_on_shards(runner, change_places, &(PlacesChange){id, workers});
    return 0;
}

// ---- start

static int start_threads(Runner *runner, Err *e)
{
    for (unsigned i = 0; i < runner->shard_count; i++) {
        char name[32]; // the system keeps 15 characters
        (void)snprintf(name, sizeof name, "agents-%u", i);
        int cpu = runner->options.pin ? thread_cpu_at(i) : THREAD_ANY_CPU;
        Shard *shard = runner->shards[i];
        int rc = thread_start(name, cpu, shard_thread, shard, &shard->thread, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int find_dead_letter(const Runner *runner, Slice name, AgentId *ret_id, Err *e)
{
    *ret_id = name.len > 0 ? runner_find(runner, name) : AGENT_NONE;
    return name.len == 0 || *ret_id != AGENT_NONE
               ? 0
               : err_set(e, ERR_NOT_FOUND, "the dead-letter agent \"%.*s\" is not registered",
                         SLICE_FMT(name));
}

static int find_dead_letters(Runner *runner, Err *e)
{
    int rc = find_dead_letter(runner, runner->dead_letter_name, &runner->dead_letter, e);
    for (size_t i = 0; i < runner->agent_count && rc == 0; i++) {
        AgentDef *def = runner->agents[i];
        rc = find_dead_letter(runner, def->dead_letter_name, &def->dead_letter, e);
        if (def->dead_letter == AGENT_NONE) {
            def->dead_letter = runner->dead_letter;
        }
    }
    return rc;
}

int runner_start(Runner *runner, Err *e)
{
    if (runner->started) {
        return err_set(e, ERR_BUSY, "the runner was started before");
    }
    int rc = find_dead_letters(runner, e);
    if (rc != 0) {
        return rc;
    }
    runner->started = true;
    runner->shards = mem_zalloc(runner->shard_count * sizeof(Shard *));
    for (unsigned i = 0; i < runner->shard_count && rc == 0; i++) {
        rc = agent_shard_create(runner, i, &runner->shards[i], e);
    }
    if (rc == 0 && !runner->options.manual) {
        rc = start_threads(runner, e);
    }
    if (rc != 0) {
        runner->failed_start = true;
        return rc;
    }
    (void)counter_add(&runner->open, 1);
    return 0;
}

// ---- from outside

int64_t runner_now(const Runner *runner)
{
    return runner->options.manual ? runner->options.manual->now_ns : clock_now(clock_real());
}

uint64_t runner_next_id(Runner *runner)
{
    return (uint64_t)counter_add(&runner->outside_ids, 1);
}

typedef enum WhenFull { FULL_WAIT, FULL_REFUSE } WhenFull;

// Waits for room as the rule says. In a manual runner time passes by stepping.
static bool wait_outside(Runner *runner, const Delivery *d, WhenFull when)
{
    if (when == FULL_REFUSE || d->def->overflow != OVERFLOW_BLOCK ||
        runner_now(runner) >= d->deadline_ns || counter_get(&runner->open) <= 0) {
        return false;
    }
    if (runner->options.manual) {
        return runner_step(runner);
    }
    thread_pause_ns(50 * NS_PER_US);
    return true;
}

static int full_outside(Runner *runner, const Delivery *d, WhenFull when, Err *e)
{
    if (when == FULL_WAIT && d->def->overflow == OVERFLOW_BLOCK &&
        runner_now(runner) >= d->deadline_ns) {
        (void)counter_add(&runner->outside_shed, 1);
        return err_set(e, ERR_TIMEOUT, "the mailbox of \"%s\" stayed full to the deadline",
                       d->def->name);
    }
    delivery_overflow(runner, NULL, d);
    return err_set(e, ERR_FULL, "the mailbox of \"%s\" is full (%u events)", d->def->name,
                   d->def->mailbox_max);
}

static int refused(Runner *runner, int rc)
{
    (void)counter_add(&runner->outside_refused, 1);
    return rc;
}

// The two sides meet at `open`, which both change or read by a read-modify-write: either the stop
// comes after this look and finds the event counted, or this look finds the runner closed. So an
// event is never accepted and then forgotten.
bool runner_admit(Runner *runner)
{
    (void)counter_add(&runner->outside_accepted, 1);
    if (counter_add(&runner->open, 0) > 0) {
        return true;
    }
    (void)counter_add(&runner->outside_accepted, -1);
    return false;
}

static int closed(Runner *runner, Err *e)
{
    return refused(runner, err_set(e, ERR_CLOSED, "the runner is %s",
                                   runner->started ? "stopped" : "not started"));
}

static int send_outside(Runner *runner, const EventSpec *spec, Delivery *d, WhenFull when, Err *e)
{
    if (counter_get(&runner->open) <= 0) {
        return closed(runner, e);
    }
    if (flag_is_set(&runner->shedding)) {
        (void)counter_add(&runner->outside_shed, 1);
        return err_set(e, ERR_FULL, "new events are shed: the process is over its memory limit");
    }
    d->now_ns = runner_now(runner);
    d->id = runner_next_id(runner);
    int rc = delivery_check(runner, spec, NULL, d, e);
    if (rc != 0) {
        return refused(runner, rc);
    }
    unsigned to = delivery_shard(runner, d);
    while (delivery_reserve(d, to) != 0) {
        if (!wait_outside(runner, d, when)) {
            return full_outside(runner, d, when, e);
        }
    }
    if (!runner_admit(runner)) {
        delivery_unreserve(d, to);
        return closed(runner, e);
    }
    while (!deliver_there(runner, NULL, to, d)) {
        if (!wait_outside(runner, d, when)) {
            (void)counter_add(&runner->outside_accepted, -1);
            delivery_unreserve(d, to);
            return full_outside(runner, d, when, e);
        }
    }
    return 0;
}

void runner_shed(Runner *runner, bool shed)
{
    if (shed) {
        flag_set(&runner->shedding);
    } else {
        flag_clear(&runner->shedding);
    }
}

int runner_emit(Runner *runner, const EventSpec *spec, Err *e)
{
    Delivery d = {.reply = {.kind = REPLY_NONE}};
    return send_outside(runner, spec, &d, FULL_WAIT, e);
}

int runner_submit(Runner *runner, const EventSpec *spec, const SubmitOptions *options, Err *e)
{
    Delivery d = {.reply = {.kind = REPLY_DONE,
                            .on_done = options->on_done,
                            .on_chunk = options->on_chunk,
                            .arg = options->arg},
                  .state = options->state};
    return send_outside(runner, spec, &d, FULL_REFUSE, e);
}

typedef struct OutsideCall {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    AgentResult *result;
} OutsideCall;

static void on_answer(void *arg, AgentResult *result)
{
    OutsideCall *call = arg;
    AgentResult *out = call->result;
    *out = *result;
    out->state = state_clone(&result->state);
    if (result->bytes) {
        (void)bytes_ref(result->bytes);
    } else {
        memcpy(out->inline_data, result->data.ptr ? result->data.ptr : "", result->data.len);
        out->data.ptr = out->inline_data;
    }
    (void)pthread_mutex_lock(&call->lock);
    call->done = true;
    (void)pthread_cond_signal(&call->changed);
    (void)pthread_mutex_unlock(&call->lock);
}

static void wait_answer(Runner *runner, OutsideCall *call)
{
    if (runner->options.manual) {
        while (!call->done && runner_step(runner)) {
        }
        assert(call->done);
        return;
    }
    (void)pthread_mutex_lock(&call->lock);
    while (!call->done) {
        (void)pthread_cond_wait(&call->changed, &call->lock);
    }
    (void)pthread_mutex_unlock(&call->lock);
}

int runner_call(Runner *runner, const EventSpec *spec, const State *state, AgentResult *ret_result,
                Err *e)
{
    OutsideCall call = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .result = ret_result};
    Delivery d = {.reply = {.kind = REPLY_DONE, .on_done = on_answer, .arg = &call},
                  .state = state};
    *ret_result = (AgentResult){.code = 0};
    int rc = send_outside(runner, spec, &d, FULL_WAIT, e);
    if (rc != 0) {
        ret_result->code = rc;
        return rc;
    }
    wait_answer(runner, &call);
    (void)pthread_cond_destroy(&call.changed);
    (void)pthread_mutex_destroy(&call.lock);
    rc = ret_result->code;
    return rc ? err_set(e, (ErrCode)rc, "%s", ret_result->reason) : 0;
}

// ---- counts

// What ended is read first: then `accepted` includes everything that ended, and equal sums mean
// that nothing was under way at some moment between the two readings.
RunnerCounts runner_counts(const Runner *runner)
{
    RunnerCounts c = {.refused = (uint64_t)counter_get(&runner->outside_refused),
                      .shed = (uint64_t)counter_get(&runner->outside_shed),
                      .dead_letters = (uint64_t)counter_get(&runner->outside_letters),
                      .dead_letters_lost = (uint64_t)counter_get(&runner->outside_letters_lost)};
    unsigned count = runner->shards ? runner->shard_count : 0;
    for (unsigned i = 0; i < count && runner->shards[i]; i++) {
        const ShardCounts *s = &runner->shards[i]->counts;
        c.handled += (uint64_t)counter_get(&s->handled);
        c.failed += (uint64_t)counter_get(&s->failed);
        c.shed += (uint64_t)counter_get(&s->shed);
        c.dead_letters += (uint64_t)counter_get(&s->dead_letters);
        c.dead_letters_lost += (uint64_t)counter_get(&s->dead_letters_lost);
        c.refused += (uint64_t)counter_get(&s->refused);
        c.retries += (uint64_t)counter_get(&s->retries);
        c.calls += (uint64_t)counter_get(&s->calls);
        c.cross_shard += (uint64_t)counter_get(&s->cross_shard);
        c.fibers += (uint64_t)counter_get(&s->fibers);
    }
    for (unsigned i = 0; i < count && runner->shards[i]; i++) {
        c.accepted += (uint64_t)counter_get(&runner->shards[i]->counts.accepted);
    }
    c.accepted += (uint64_t)counter_get(&runner->outside_accepted);
    c.in_flight = c.accepted - c.handled - c.failed;
    return c;
}

// ---- stop

// True when nothing is under way. Manual runners step, the others wait a little.
static bool wait_idle(Runner *runner, int64_t until_ns)
{
    for (;;) {
        if (runner_counts(runner).in_flight == 0) {
            return true;
        }
        if (runner_now(runner) >= until_ns) {
            return false;
        }
        if (!runner->options.manual) {
            thread_pause_ns(100 * NS_PER_US);
        } else if (!runner_step(runner)) {
            return runner_counts(runner).in_flight == 0;
        }
    }
}

static void join_threads(Runner *runner)
{
    for (unsigned i = 0; i < runner->shard_count; i++) {
        Shard *shard = runner->shards[i];
        if (shard && shard->thread) {
            waker_notify(&shard->waker);
            thread_join(shard->thread);
            shard->thread = NULL;
        }
    }
    // Answers to calls that were dropped may still be under way.
    bool busy = !runner->failed_start;
    while (busy) {
        busy = false;
        for (unsigned i = 0; i < runner->shard_count; i++) {
            busy = shard_settle(runner->shards[i]) || busy;
        }
    }
}

size_t runner_stop(Runner *runner, int64_t drain_ns)
{
    if (!runner->started || flag_is_set(&runner->ending)) {
        return 0;
    }
    (void)counter_add(&runner->open, -1);
    size_t cancelled = 0;
    if (runner->has_batches && !runner->failed_start) {
        runner_on_shards(runner, shard_flush_batches, NULL);
    }
    if (!runner->failed_start && !wait_idle(runner, clock_deadline(runner_now(runner), drain_ns))) {
        cancelled = runner_counts(runner).in_flight;
        // Until nothing is left: what was on its way between shards is met by the next round.
        while (runner_counts(runner).in_flight > 0) {
            runner_on_shards(runner, shard_cancel_all, NULL);
            (void)wait_idle(runner, clock_deadline(runner_now(runner), NS_PER_MS));
        }
    }
    if (!runner->failed_start) { // attempts that nobody waits for are no events in flight
        runner_on_shards(runner, shard_cancel_all, NULL);
    }
    flag_set(&runner->ending);
    join_threads(runner);
    return cancelled;
}

// ---- manual runners

bool runner_step(Runner *runner)
{
    bool busy = false;
    int64_t next_ns = NEVER_NS;
    for (unsigned i = 0; i < runner->shard_count; i++) {
        Shard *shard = runner->shards[i];
        if (!shard->stalled) {
            busy = shard_step(shard) || busy;
        }
    }
    for (unsigned i = 0; !busy && i < runner->shard_count; i++) {
        Shard *shard = runner->shards[i];
        int64_t due_ns = shard->stalled ? NEVER_NS : loop_timer_next(shard->loop);
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    if (!busy && next_ns != NEVER_NS) {
        ManualClock *clock = runner->options.manual;
        int64_t ahead_ns = next_ns - clock->now_ns;
        clock_manual_advance(clock, ahead_ns > 0 ? ahead_ns : 0);
        busy = true;
    }
    return busy;
}

void runner_stall(Runner *runner, unsigned shard, bool stalled)
{
    runner->shards[shard]->stalled = stalled;
}

bool runner_kill_one(Runner *runner, unsigned shard_index, uint64_t pick)
{
    Shard *shard = runner->shards[shard_index];
    size_t parked = 0;
    for (Worker *w = shard->all_workers; w; w = w->all_next) {
        parked += w->job && w->fiber && fiber_state(w->fiber) == FIBER_PARKED;
    }
    if (parked == 0) {
        return false;
    }
    size_t chosen = pick % parked;
    for (Worker *w = shard->all_workers; w; w = w->all_next) {
        if (w->job && w->fiber && fiber_state(w->fiber) == FIBER_PARKED && chosen-- == 0) {
            job_cancel(shard, w->job, CANCEL_KILL);
            return true;
        }
    }
    return false;
}

// ---- asking the shards

typedef struct Errand {
    void (*fn)(Shard *shard, void *arg);
    void *arg;
    Flag done;
} Errand;

static void run_errand(Shard *shard, void *arg)
{
    Errand *errand = arg;
    errand->fn(shard, errand->arg);
    flag_set(&errand->done);
}

void runner_on_shards(Runner *runner, void (*fn)(Shard *shard, void *arg), void *arg)
{
    for (unsigned i = 0; runner->shards && i < runner->shard_count; i++) {
        Shard *shard = runner->shards[i];
        if (!shard) {
            continue;
        }
        if (!shard->thread) { // manual, or its thread has ended
            fn(shard, arg);
            continue;
        }
        Errand errand = {.fn = fn, .arg = arg};
        Message m;
        m.kind = MESSAGE_CALL_FN;
        m.fn = run_errand;
        m.arg = &errand;
        while (!mpsc_push(shard->inbox, &m)) {
            thread_pause_ns(50 * NS_PER_US);
        }
        waker_notify(&shard->waker);
        while (!flag_is_set(&errand.done)) {
            thread_pause_ns(20 * NS_PER_US);
        }
    }
}
