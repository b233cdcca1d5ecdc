// Model test of the runner: random agents in random configurations under a clock of their own, with
// shards that stall, fibers that are cancelled, mailboxes that fill, providers that hang and
// policies that change. Whatever happens, every accepted event ends exactly once, and nothing is
// left behind.
//
// Everything follows from the seed, which is printed; `agent_runner_model_test SEED` runs one
// world.
#include "agent/orchestrate.h"
#include "agent/policed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/rng.h"

enum {
    AGENTS = 10,
    NAMED = AGENTS + 4, // and the orchestrators
    WORLDS = 50,
    ROOTS = 5000, // events from outside, a world
    EVENTS_LEAST = 1000000,
};

typedef struct World {
    uint64_t seed;
    Rng rng;
    ManualClock clock;
    Runner *runner;
    AgentId ids[AGENTS];
    AgentId edge; // AGENT_NONE: none
    unsigned shards;
    // Events by id: bit 0 started, bit 1 ended.
    uint64_t *id_table;
    uint8_t *id_state;
    size_t id_capacity;
    uint64_t started, ended, unstarted;
    uint64_t submitted, answered;
    uint64_t digest;
} World;

// ---- what the hooks see

static uint8_t *state_of(World *w, uint64_t id)
{
    size_t at = mix64(id) & (w->id_capacity - 1);
    while (w->id_table[at] != 0 && w->id_table[at] != id) {
        at = (at + 1) & (w->id_capacity - 1);
    }
    w->id_table[at] = id;
    return &w->id_state[at];
}

static void digest(World *w, uint64_t what)
{
    w->digest = mix64(w->digest ^ what);
}

static void before_event(void *arg, const HookInfo *info)
{
    World *w = arg;
    uint8_t *state = state_of(w, info->event->id);
    assert_int_equal(*state, 0); // starts once
    *state = 1;
    w->started++;
    digest(w, info->event->id);
}

static void after_event(void *arg, const HookInfo *info)
{
    World *w = arg;
    uint8_t *state = state_of(w, info->event->id);
    assert_int_equal(*state, 1);
    *state = 3;
    w->ended++;
    digest(w, info->event->id ^ (uint64_t)(unsigned)-info->code);
}

static void on_error(void *arg, const HookInfo *info)
{
    World *w = arg;
    uint8_t *state = state_of(w, info->event->id);
    assert_true(info->code < 0);
    assert_true(info->reason[0] != '\0'); // always a reason
    assert_int_equal(*state & 4, 0);      // once
    if (*state == 0) {                    // ended in the mailbox
        *state = 2;
        w->ended++;
        w->unstarted++;
    }
    assert_true((*state & 2) != 0);
    *state |= 4;
}

static int agent_runs;

static void before_agent(void *arg, const HookInfo *info)
{
    (void)arg;
    (void)info;
    agent_runs++;
}

static void after_agent(void *arg, const HookInfo *info)
{
    (void)arg;
    (void)info;
    agent_runs--;
}

// ---- agents

static Slice agent_text(uint64_t pick, char out[16])
{
    uint64_t n = pick % NAMED;
    if (n < AGENTS) {
        (void)snprintf(out, 16, "agent-%u", (unsigned)n);
    } else {
        (void)snprintf(out, 16, "team-%u", (unsigned)(n - AGENTS));
    }
    return slice_from_cstr(out);
}

static const int codes[] = {ERR_IO, ERR_BUSY, ERR_ARG, ERR_FULL, ERR_CORRUPT, ERR_TIMEOUT};

static int do_emits(AgentContext *ctx, uint64_t luck)
{
    for (unsigned i = 0; i < 1 + luck % 2; i++) {
        char name[16];
        luck = mix64(luck);
        EventSpec spec = {.target = agent_text(luck, name),
                          .data = SLICE("emitted"),
                          .timeout_ns = (int64_t)(1 + (luck >> 8) % 50) * NS_PER_MS};
        int rc = agent_emit(ctx, &spec, NULL);
        if (rc == ERR_CANCELLED) {
            return rc;
        }
    }
    return 0;
}

static int do_call(AgentContext *ctx, uint64_t luck, const State *state)
{
    char name[16];
    AgentResult result;
    EventSpec spec = {.target = agent_text(luck >> 4, name),
                      .data = SLICE("called"),
                      .timeout_ns = luck & 1 ? (int64_t)(luck >> 8) % (5 * NS_PER_MS) + 1 : 0};
    int rc = agent_call(ctx, &spec, &(AgentCallOptions){.state = state}, &result, NULL);
    agent_result_done(&result);
    return luck & 2 ? rc : 0;
}

static int do_calls(AgentContext *ctx, uint64_t luck)
{
    AgentCall calls[3] = {0};
    AgentCall *open[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3; i++) {
        char name[16];
        luck = mix64(luck);
        EventSpec spec = {.target = agent_text(luck, name), .data = SLICE("one of three")};
        if (agent_call_start(ctx, &spec, NULL, &calls[i], NULL) == 0) {
            open[i] = &calls[i];
        }
    }
    int rc = 0;
    int first = agent_call_wait_any(ctx, open, 3);
    if (first >= 0) {
        agent_result_done(&open[first]->result);
        open[first] = NULL;
    }
    for (int i = 0; i < 3; i++) {
        if (!open[i]) {
            continue;
        }
        luck = mix64(luck);
        // In a batch this frame is gone while the handler still runs.
        if (luck % 3 == 0 || open[i]->done || i < 2 || ctx->seat) {
            agent_call_drop(ctx, open[i]);
        } else if (luck % 3 == 1) {
            rc = agent_call_wait(ctx, open[i]);
            agent_result_done(&open[i]->result);
        } // else forgotten while it runs: the runner drops it
    }
    return luck & 64 ? rc : 0;
}

static int random_agent(AgentContext *ctx, const Event *event, State *state)
{
    const World *w = agent_self(ctx);
    uint64_t luck = mix64(w->seed ^ event->id ^ (uint64_t)agent_attempt(ctx) << 40);
    uint64_t more = mix64(luck);
    int rc = state_set_int(state, SLICE("n"), state_get_int(state, SLICE("n"), 0) + 1);
    if (rc != 0) {
        return rc;
    }
    switch (luck % 32) {
    case 0:
    case 1: return agent_fail(ctx, (ErrCode)codes[more % COUNT_OF(codes)], "luck");
    case 2: return codes[more % COUNT_OF(codes)];
    case 3:
    case 4: return agent_sleep(ctx, (int64_t)(more % (5 * NS_PER_MS)));
    case 5: // a provider hangs
        return agent_sleep(ctx, 3600 * NS_PER_S);
    case 6: // and one that does not take no for an answer
        rc = agent_sleep(ctx, (int64_t)(more % (20 * NS_PER_MS)));
        return agent_reply(ctx, rc ? SLICE("late") : SLICE("in time"));
    case 7:
    case 8:
    case 9:
    case 10: return do_emits(ctx, more);
    case 11:
    case 12:
    case 13: return do_call(ctx, more, state);
    case 14: return do_calls(ctx, more);
    case 15:
        rc = agent_stream(ctx, SLICE("piece"));
        rc = rc ? rc : agent_sleep(ctx, 1000);
        return rc ? rc : agent_stream(ctx, SLICE("piece"));
    case 16: {
        char large[200];
        memset(large, 'x', sizeof large);
        rc = state_set_string(state, SLICE("text"), (Slice){large, more % sizeof large});
        return rc ? rc : agent_reply(ctx, (Slice){large, sizeof large});
    }
    case 17: return 1; // no error code
    default: return agent_reply(ctx, event_data(event));
    }
}

static void random_batch(AgentBatchItem *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i].result = random_agent(items[i].ctx, items[i].event, items[i].state);
    }
}

// ---- a random world

static void random_policies(World *w, ParamValue values[POLICY_PARAM_COUNT])
{
    Rng *r = &w->rng;
    policy_defaults(values);
    if (rng_below(r, 2)) {
        values[P_RETRY_ATTEMPTS].integer = rng_between(r, 2, 4);
        values[P_RETRY_BACKOFF].integer = rng_between(r, 1, 2 * NS_PER_MS);
    }
    if (rng_below(r, 3) == 0) {
        values[P_TIMEOUT_ATTEMPT].integer = rng_between(r, NS_PER_US, 5 * NS_PER_MS);
    }
    if (rng_below(r, 3) == 0) {
        values[P_TIMEOUT_CALL].integer = rng_between(r, NS_PER_US, 20 * NS_PER_MS);
    }
    if (rng_below(r, 3) == 0) {
        values[P_BREAKER_CONSECUTIVE].integer = rng_between(r, 1, 5);
        values[P_BREAKER_OPEN_FOR].integer = rng_between(r, NS_PER_US, 10 * NS_PER_MS);
    }
    if (rng_below(r, 3) == 0) {
        values[P_LIMIT_KIND].integer = rng_between(r, LIMIT_FIXED, LIMIT_VEGAS);
        values[P_LIMIT_VALUE].integer = rng_between(r, 1, 5);
        values[P_QUEUE_LIMIT].integer = rng_between(r, 0, 10);
        values[P_QUEUE_DISCIPLINE].integer = rng_between(r, QUEUE_FIFO, QUEUE_PRIORITY);
    }
    if (rng_below(r, 4) == 0) {
        values[P_RATE_PER_SECOND].real = (double)rng_between(r, 1000, 100000);
        values[P_RATE_MAX_WAIT].integer = rng_between(r, 0, 5 * NS_PER_MS);
    }
    if (rng_below(r, 4) == 0) {
        values[P_HEDGE_MAX].integer = rng_between(r, 1, POLICY_HEDGES_MAX);
        values[P_HEDGE_DELAY].integer = rng_between(r, 1, 2 * NS_PER_MS);
        values[P_HEDGE_BUDGET].real = 0;
    }
    if (rng_below(r, 4) == 0) {
        values[P_CACHE_TTL].integer = rng_between(r, 1, 100 * NS_PER_MS);
        values[P_CACHE_MAX_ENTRIES].integer = rng_between(r, 1, 4);
    }
    if (rng_below(r, 4) == 0) {
        values[P_CACHE_SINGLE_FLIGHT].boolean = true;
    }
    if (rng_below(r, 2)) { // of use where the agent takes batches
        values[P_BATCH_MAX_ITEMS].integer = rng_between(r, 1, 8);
        values[P_BATCH_MAX_BYTES].integer = rng_between(r, 0, 60);
        values[P_BATCH_TIMEOUT].integer = rng_between(r, 0, 2 * NS_PER_MS);
    }
    if (rng_below(r, 6) == 0) {
        values[P_SCALE_TARGET].real = 0.7;
        values[P_SCALE_PERIOD].integer = NS_PER_MS;
    }
}

static void add_agents(World *w)
{
    Rng *r = &w->rng;
    for (unsigned i = 0; i < AGENTS; i++) {
        char name[16];
        ParamValue values[POLICY_PARAM_COUNT];
        random_policies(w, values);
        bool batches = rng_below(r, 3) == 0;
        AgentSpec spec = {.name = agent_text(i, name),
                          .run = batches ? NULL : random_agent,
                          .run_batch = batches ? random_batch : NULL,
                          .self = w,
                          .placement = (AgentPlacement)rng_below(r, 2),
                          .overflow = (OverflowRule)rng_below(r, 3),
                          .mailbox_max = (uint32_t)rng_between(r, 1, 50),
                          .worker_limit = (uint32_t)rng_below(r, 4),
                          .policies = rng_below(r, 2) ? values : NULL};
        Err e = {0};
        if (runner_register(w->runner, &spec, &w->ids[i], &e) != 0) {
            fail_msg("%s", e.text);
        }
    }
    w->edge = AGENT_NONE;
    if (rng_below(r, 2)) {
        ParamValue values[POLICY_PARAM_COUNT];
        random_policies(w, values);
        assert_int_equal(runner_edge(w->runner, w->ids[0], w->ids[1], values, &w->edge, NULL), 0);
    }
    static const Slice team[] = {SLICE_INIT("agent-1"), SLICE_INIT("agent-2"),
                                 SLICE_INIT("agent-3")};
    static const OrchestrationMode modes[] = {ORCHESTRATE_SEQUENTIAL, ORCHESTRATE_PARALLEL,
                                              ORCHESTRATE_LOOP, ORCHESTRATE_MIXED};
    for (unsigned i = 0; i < COUNT_OF(modes); i++) {
        char name[16];
        OrchestrationSpec spec = {.name = agent_text(AGENTS + i, name),
                                  .mode = modes[i],
                                  .agents = team,
                                  .agent_count = 3,
                                  .then = team,
                                  .then_count = 1,
                                  .max_iterations = 2,
                                  .max_concurrent = (uint32_t)rng_below(r, 3),
                                  .errors = (ErrorStrategy)rng_below(r, 3),
                                  .state = (StateStrategy)rng_below(r, 3)};
        assert_int_equal(orchestrator_register(w->runner, &spec, NULL, NULL), 0);
    }
}

static void world_open(World *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->rng = rng_stream(seed, SLICE("runner-model"), 0);
    Rng *r = &w->rng;
    w->id_capacity = 1 << 19;
    w->id_table = mem_zalloc(w->id_capacity * sizeof *w->id_table);
    w->id_state = mem_zalloc(w->id_capacity);
    clock_manual_init(&w->clock, NS_PER_S, 0);
    w->shards = (unsigned)rng_between(r, 1, 4);
    RunnerOptions options = {
        .manual = &w->clock,
        .seed = seed,
        .shards = w->shards,
        .max_concurrent_events = rng_below(r, 2) ? (uint32_t)rng_between(r, w->shards, 40) : 0,
        .event_timeout_ns = rng_between(r, NS_PER_MS, 100 * NS_PER_MS),
        .hops_max = (uint32_t)rng_between(r, 2, 8),
        .call_depth_max = (uint32_t)rng_between(r, 2, 6),
        .fibers_max = (size_t)rng_between(r, 32, 400),
        .inbox = (uint32_t)rng_between(r, 2, 64),
        .dead_letter = rng_below(r, 2) ? SLICE("agent-9") : (Slice){0},
        .trace_entries = 16,
    };
    assert_int_equal(runner_create(&options, &w->runner, NULL), 0);
    assert_int_equal(runner_hook(w->runner, HOOK_BEFORE_EVENT, before_event, w, NULL), 0);
    assert_int_equal(runner_hook(w->runner, HOOK_AFTER_EVENT, after_event, w, NULL), 0);
    assert_int_equal(runner_hook(w->runner, HOOK_ERROR, on_error, w, NULL), 0);
    assert_int_equal(runner_hook(w->runner, HOOK_BEFORE_AGENT, before_agent, w, NULL), 0);
    assert_int_equal(runner_hook(w->runner, HOOK_AFTER_AGENT, after_agent, w, NULL), 0);
    add_agents(w);
    w->shards = runner_shard_count(w->runner);
    assert_int_equal(runner_start(w->runner, NULL), 0);
}

// ---- faults

static void random_fault(World *w)
{
    Rng *r = &w->rng;
    unsigned shard = (unsigned)rng_below(r, w->shards);
    switch (rng_below(r, 4)) {
    case 0: runner_stall(w->runner, shard, true); break;
    case 1: runner_stall(w->runner, shard, false); break;
    case 2: (void)runner_kill_one(w->runner, shard, rng_u64(r)); break;
    case 3: {
        static const PolicyParamId params[] = {P_LIMIT_VALUE, P_RETRY_ATTEMPTS, P_TIMEOUT_ATTEMPT,
                                               P_BATCH_MAX_ITEMS, P_RATE_PER_SECOND};
        PolicyParamId param = params[rng_below(r, COUNT_OF(params))];
        ParamValue value = {.integer = rng_between(r, 1, 4)};
        if (param == P_TIMEOUT_ATTEMPT) {
            value.integer = rng_between(r, 0, 5 * NS_PER_MS);
        } else if (param == P_RATE_PER_SECOND) {
            value.real = (double)rng_between(r, 0, 50000);
        }
        AgentId id =
            w->edge != AGENT_NONE && rng_below(r, 4) == 0 ? w->edge : w->ids[rng_below(r, AGENTS)];
        int rc = runner_set_policy(w->runner, id, param, value, NULL);
        assert_true(rc == 0 || rc == ERR_REFUSED);
        break;
    }
    }
}

static void on_answer(void *arg, AgentResult *result)
{
    World *w = arg;
    w->answered++;
    digest(w, (uint64_t)(unsigned)-result->code);
}

static void random_event(World *w)
{
    Rng *r = &w->rng;
    char name[16], session[16];
    (void)snprintf(session, sizeof session, "s-%u", (unsigned)rng_below(r, 20));
    EventSpec spec = {.target = agent_text(rng_u64(r), name),
                      .session = rng_below(r, 2) ? slice_from_cstr(session) : (Slice){0},
                      .type = SLICE("root"),
                      .data = SLICE("{\"from\":\"outside\"}"),
                      .priority = (EventPriority)rng_below(r, EVENT_PRIORITIES),
                      .prioritised = true};
    SubmitOptions options = {.on_done = on_answer, .arg = w};
    if (runner_submit(w->runner, &spec, &options, NULL) == 0) {
        w->submitted++;
    }
}

static void check_at_rest(World *w)
{
    RunnerCounts c = runner_counts(w->runner);
    assert_int_equal(c.in_flight, 0);
    assert_int_equal(c.accepted, w->ended);
    assert_int_equal(c.accepted, c.handled + c.failed);
    assert_int_equal(w->started + w->unstarted, w->ended);
    assert_int_equal(w->submitted, w->answered);
    assert_int_equal(agent_runs, 0);
    for (unsigned i = 0; i < w->shards; i++) {
        Shard *shard = w->runner->shards[i];
        assert_int_equal(shard->roots_running, 0);
        assert_int_equal(shard->blocked, 0);
        assert_int_equal(shard->queued, 0);
        assert_int_equal(event_pool_taken(shard->events), 0);
        for (const Slot *slot = shard->all_slots; slot; slot = slot->all_next) {
            assert_int_equal(slot->running, 0);
            assert_int_equal(slot->queued, 0);
            assert_int_equal(counter_get(def_depth(slot->def, i)), 0);
        }
    }
}

// One world from beginning to end; returns how many events it had.
static uint64_t world_run(uint64_t seed, uint64_t *ret_digest)
{
    World *w = mem_alloc(sizeof *w);
    world_open(w, seed);
    Rng *r = &w->rng;
    for (int i = 0; i < ROOTS; i++) {
        random_event(w);
        uint64_t steps = rng_below(r, 4);
        for (uint64_t s = 0; s < steps; s++) {
            (void)runner_step(w->runner);
        }
        if (rng_below(r, 20) == 0) {
            random_fault(w);
        }
    }
    for (unsigned i = 0; i < w->shards; i++) {
        runner_stall(w->runner, i, false);
    }
    (void)runner_stop(w->runner, rng_between(r, 0, 200 * NS_PER_MS));
    check_at_rest(w);
    uint64_t events = runner_counts(w->runner).accepted;
    *ret_digest = w->digest;
    runner_destroy(w->runner);
    free(w->id_table);
    free(w->id_state);
    free(w);
    return events;
}

static void test_every_event_ends_exactly_once(void **unused)
{
    (void)unused;
    uint64_t events = 0;
    uint64_t digest_seen;
    for (uint64_t seed = 1; seed <= WORLDS || events < EVENTS_LEAST; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        events += world_run(seed, &digest_seen);
    }
    print_message("%llu events\n", (unsigned long long)events);
}

static void test_a_seed_repeats_its_world(void **unused)
{
    (void)unused;
    uint64_t first, second;
    uint64_t events = world_run(7, &first);
    assert_int_equal(world_run(7, &second), events);
    assert_true(first == second);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        uint64_t digest_seen;
        uint64_t events = world_run(strtoull(argv[1], NULL, 10), &digest_seen);
        print_message("%llu events\n", (unsigned long long)events);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seed_repeats_its_world),
        cmocka_unit_test(test_every_event_ends_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
