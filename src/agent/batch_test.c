#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "agent/policed.h"

// Each case is a script of events by time and what then happened, as a text: a batch is the names
// of its events in brackets with the millisecond it began, an event's end its name, the millisecond
// and what went wrong. An event is its data: a letter for its name, a sign for what befalls it, and
// padding for its size.
//
//     !  the handler fails it            ~  the handler sleeps 20 ms for it
//     ?  the same, at its first attempt  >  the handler calls another agent for it

typedef struct World World;

typedef struct Sent {
    World *world;
    char name;
} Sent;

enum { SENT_MAX = 16 };

struct World {
    ManualClock clock;
    Runner *runner;
    ParamValue values[POLICY_PARAM_COUNT];
    AgentId agent, edge;
    Sent sent[SENT_MAX];
    size_t sent_count;
    bool woken;
    int hooks[HOOK_POINTS];
    char log[1024];
};

static const int64_t START_NS = 1000 * NS_PER_S;

static void note(World *w, const char *format, ...) PRINTF_LIKE(2, 3);
static void note(World *w, const char *format, ...)
{
    size_t len = strlen(w->log);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->log + len, sizeof w->log - len, format, args);
    va_end(args);
}

static int now_ms(const World *w)
{
    return (int)((w->clock.now_ns - START_NS) / NS_PER_MS);
}

static void count_hook(void *arg, const HookInfo *info)
{
    ((World *)arg)->hooks[info->point]++;
}

// ---- agents

static int one_item(AgentBatchItem *item)
{
    AgentContext *ctx = item->ctx;
    Slice data = event_data(item->event);
    char sign = data.len > 1 ? data.ptr[1] : ' ';
    if (sign == '!' || (sign == '?' && agent_attempt(ctx) == 1)) {
        return agent_fail(ctx, ERR_IO, "no luck");
    }
    if (sign == '~') {
        int rc = agent_sleep(ctx, 20 * NS_PER_MS);
        if (rc != 0) {
            return rc;
        }
    }
    if (sign == '>') {
        AgentResult result;
        EventSpec spec = {.target = SLICE("echo"), .data = data};
        int rc = agent_call(ctx, &spec, NULL, &result, NULL);
        agent_result_done(&result);
        if (rc != 0) {
            return rc;
        }
    }
    // What the handlers before it slept counts, too.
    return agent_is_cancelled(ctx) ? ERR_CANCELLED : agent_reply(ctx, slice_sub(data, 0, 1));
}

static void batch_handler(AgentBatchItem *items, size_t count)
{
    World *w = agent_self(items[0].ctx);
    note(w, "[");
    for (size_t i = 0; i < count; i++) {
        note(w, "%c", event_data(items[i].event).ptr[0]);
    }
    note(w, "]%d ", now_ms(w));
    for (size_t i = 0; i < count; i++) {
        items[i].result = one_item(&items[i]);
    }
}

// Waits once in a while, so that answers come on the fiber of the batch and not on its stack only.
static int echo(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    Slice data = event_data(event);
    int rc = data.ptr[0] % 2 ? agent_sleep(ctx, NS_PER_MS) : 0;
    return rc ? rc : agent_reply(ctx, data);
}

static int sleeper(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    (void)event;
    return agent_sleep(ctx, agent_deadline(ctx) - NS_PER_S - agent_now(ctx));
}

static int caller(AgentContext *ctx, const Event *event, State *state)
{
    AgentResult result;
    EventSpec spec = {.target = SLICE("batch"), .data = event_data(event)};
    int rc = agent_call(ctx, &spec, &(AgentCallOptions){.state = state}, &result, NULL);
    rc = rc ? agent_fail(ctx, (ErrCode)rc, "%s", result.reason) : agent_reply(ctx, result.data);
    agent_result_done(&result);
    return rc;
}

// ---- a world

static void on_done(void *arg, AgentResult *result)
{
    Sent *sent = arg;
    World *w = sent->world;
    note(w, "%c%d%s%s ", sent->name, now_ms(w), result->code ? ":" : "",
         result->code ? result->reason : "");
    assert_true(result->code != 0 || (result->data.len == 1 && result->data.ptr[0] == sent->name));
}

static void on_woken(void *arg, AgentResult *result)
{
    (void)result;
    ((World *)arg)->woken = true;
}

static void wait_until(World *w, int ms)
{
    if (ms <= now_ms(w)) {
        return;
    }
    EventSpec spec = {.target = SLICE("sleeper"),
                      .deadline_ns = START_NS + ms * NS_PER_MS + NS_PER_S};
    w->woken = false;
    assert_int_equal(
        runner_submit(w->runner, &spec, &(SubmitOptions){.on_done = on_woken, .arg = w}, NULL), 0);
    while (!w->woken) {
        assert_true(runner_step(w->runner));
    }
    assert_int_equal(now_ms(w), ms);
}

typedef struct Step {
    int at_ms;
    const char *data; // an event; NULL: something else
    int timeout_ms;   // of the event
    bool call;        // by an agent that calls
    enum { SEND, SET, STOP } kind;
    PolicyParamId param;
    int64_t value;
} Step;

static void world_open(World *w, uint32_t worker_limit, uint32_t edge_items)
{
    clock_manual_init(&w->clock, START_NS, 0);
    RunnerOptions options = {.shards = 1, .manual = &w->clock};
    assert_int_equal(runner_create(&options, &w->runner, NULL), 0);
    for (int p = 0; p < HOOK_POINTS; p++) {
        assert_int_equal(runner_hook(w->runner, (HookPoint)p, count_hook, w, NULL), 0);
    }
    const AgentSpec specs[] = {
        {.name = SLICE("echo"), .run = echo},
        {.name = SLICE("sleeper"), .run = sleeper},
        {.name = SLICE("caller"), .run = caller},
        {.name = SLICE("batch"),
         .run_batch = batch_handler,
         .self = w,
         .worker_limit = worker_limit,
         .policies = w->values},
    };
    for (size_t i = 0; i < COUNT_OF(specs); i++) {
        assert_int_equal(runner_register(w->runner, &specs[i], &w->agent, NULL), 0);
    }
    if (edge_items > 0) {
        ParamValue values[POLICY_PARAM_COUNT];
        policy_defaults(values);
        values[P_BATCH_MAX_ITEMS].integer = edge_items;
        values[P_BATCH_TIMEOUT].integer = 100 * NS_PER_MS;
        AgentId from = runner_find(w->runner, SLICE("caller"));
        assert_int_equal(runner_edge(w->runner, from, w->agent, values, &w->edge, NULL), 0);
    }
    assert_int_equal(runner_start(w->runner, NULL), 0);
}

static void take_step(World *w, const Step *step)
{
    wait_until(w, step->at_ms);
    switch (step->kind) {
    case SEND: {
        Sent *sent = &w->sent[w->sent_count++];
        *sent = (Sent){w, step->data[0]};
        EventSpec spec = {.target = step->call ? SLICE("caller") : SLICE("batch"),
                          .data = slice_from_cstr(step->data),
                          .timeout_ns = step->timeout_ms * NS_PER_MS};
        assert_int_equal(runner_submit(w->runner, &spec,
                                       &(SubmitOptions){.on_done = on_done, .arg = sent}, NULL),
                         0);
        break;
    }
    case SET:
        assert_int_equal(runner_set_policy(w->runner, w->agent, step->param,
                                           (ParamValue){.integer = step->value}, NULL),
                         0);
        break;
    case STOP: (void)runner_stop(w->runner, 60 * NS_PER_S); break;
    }
}

static void world_close(World *w)
{
    while (runner_step(w->runner)) {
    }
    (void)runner_stop(w->runner, NS_PER_S);
    assert_int_equal(runner_counts(w->runner).in_flight, 0);
    const Slot *slot = w->runner->shards[0]->slots[w->agent];
    assert_true(!slot || slot->running == 0);
    assert_int_equal(w->runner->shards[0]->roots_running, 0);
    assert_int_equal(w->hooks[HOOK_BEFORE_EVENT], w->hooks[HOOK_AFTER_EVENT]);
    assert_int_equal(w->hooks[HOOK_BEFORE_AGENT], w->hooks[HOOK_AFTER_AGENT]);
    runner_destroy(w->runner);
}

typedef struct Case {
    const char *name;
    int64_t items, bytes;
    int timeout_ms;
    uint32_t worker_limit;
    uint32_t edge_items; // batches of the edge from the agent that calls
    struct {
        PolicyParamId param; // besides; 0: none
        int64_t value;
    } more;
    Step steps[8];
    const char *expect;
} Case;

#define MS NS_PER_MS

static const Case cases[] = {
    {.name = "no batches: one by one",
     .items = 1,
     .timeout_ms = 100,
     .steps = {{.data = "a"}, {.data = "b"}},
     .expect = "[a]0 a0 [b]0 b0 "},
    {.name = "the number is reached",
     .items = 3,
     .timeout_ms = 100,
     .steps = {{.data = "a"}, {.data = "b"}, {.data = "c"}, {.data = "d"}},
     .expect = "[abc]0 c0 a0 b0 [d]100 d100 "},
    {.name = "the bytes are reached, and one does not fit",
     .items = 100,
     .bytes = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a....."}, {.data = "b....."}, {.data = "c..."}, {.data = "d"}},
     .expect = "[a]0 a0 [bc]0 c0 b0 [d]100 d100 "},
    {.name = "the timeout counts from the first",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.at_ms = 5, .data = "a"}, {.at_ms = 50, .data = "b"}},
     .expect = "[ab]105 a105 b105 "},
    {.name = "no timeout: what is there at once",
     .items = 10,
     .steps = {{.data = "a"}, {.data = "b"}, {.at_ms = 1, .data = "c"}},
     .expect = "[ab]0 a0 b0 [c]1 c1 "},
    {.name = "a deadline passes while the batch gathers",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a", .timeout_ms = 50}, {.data = "b"}},
     .expect = "a50:the deadline passed [b]100 b100 "},
    {.name = "that of the only one",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a", .timeout_ms = 50}, {.at_ms = 60, .data = "b"}},
     .expect = "a50:the deadline passed [b]160 b160 "},
    {.name = "a deadline at the very moment",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a", .timeout_ms = 100}, {.data = "b"}},
     .expect = "a100:the deadline passed [b]100 b100 "},
    {.name = "a deadline passes while the handler sleeps for another",
     .items = 2,
     .timeout_ms = 100,
     .steps = {{.data = "a~"}, {.data = "b", .timeout_ms = 10}},
     .expect = "[ab]0 b20:the deadline passed a20 "},
    {.name = "all deadlines pass: the handler's wait ends",
     .items = 2,
     .timeout_ms = 100,
     .steps = {{.data = "a~", .timeout_ms = 10}, {.data = "b", .timeout_ms = 15}},
     .expect = "[ab]0 b15:the deadline passed a15:the deadline passed "},
    {.name = "one of a batch fails",
     .items = 3,
     .timeout_ms = 100,
     .steps = {{.data = "a"}, {.data = "b!"}, {.data = "c"}},
     .expect = "[abc]0 c0 a0 b0:no luck "},
    {.name = "and is tried again, in another batch",
     .items = 2,
     .timeout_ms = 100,
     .more = {P_RETRY_ATTEMPTS, 3},
     .steps = {{.data = "a"}, {.data = "b?"}, {.at_ms = 40, .data = "c"}},
     .expect = "[ab]0 a0 [cb]100 b100 c100 "},
    {.name = "its policy gives an attempt up that gathers",
     .items = 10,
     .timeout_ms = 100,
     .more = {P_TIMEOUT_ATTEMPT, 30 * MS},
     .steps = {{.data = "a"}, {.at_ms = 20, .data = "b"}},
     .expect = "a30:the last attempt took longer than timeout.attempt "
               "b50:the last attempt took longer than timeout.attempt "},
    {.name = "one batch at work takes one place",
     .items = 2,
     .timeout_ms = 100,
     .worker_limit = 1,
     .steps = {{.data = "a~"}, {.data = "b"}, {.data = "c~"}, {.data = "d"}, {.data = "e"}},
     .expect = "[ab]0 b20 a20 [cd]20 d40 c40 [e]140 e140 "},
    {.name = "the handler calls others for each, and has one place",
     .items = 3,
     .timeout_ms = 100,
     .worker_limit = 1,
     .steps = {{.data = "a>"}, {.data = "b>"}, {.data = "c>"}},
     .expect = "[abc]0 c2 a2 b2 "},
    {.name = "calls gather, too",
     .items = 3,
     .timeout_ms = 100,
     .worker_limit = 1,
     .steps = {{.data = "a", .call = true}, {.data = "b", .call = true}, {.data = "c"}},
     .expect = "[abc]0 c0 a0 b0 "},
    {.name = "an edge gathers for an agent that takes one by one",
     .items = 1,
     .edge_items = 3,
     .steps = {{.data = "a", .call = true},
               {.at_ms = 10, .data = "b!", .call = true},
               {.at_ms = 20, .data = "c", .call = true},
               {.at_ms = 20, .data = "d", .call = true}},
     .expect = "[a]20 [b]20 [c]20 c20 a20 b20:no luck [d]120 d120 "},
    {.name = "and for one that gathers, too",
     .items = 2,
     .timeout_ms = 50,
     .edge_items = 3,
     .steps = {{.data = "a", .call = true},
               {.at_ms = 10, .data = "b", .call = true},
               {.at_ms = 20, .data = "c", .call = true}},
     .expect = "[ab]20 [c]70 c70 a70 b70 "},
    {.name = "stopping drains what gathers",
     .items = 10,
     .timeout_ms = 1000,
     .steps = {{.data = "a"}, {.data = "b"}, {.at_ms = 30, .kind = STOP}},
     .expect = "[ab]30 a30 b30 "},
    {.name = "and what its end makes",
     .items = 10,
     .timeout_ms = 1000,
     .more = {P_RETRY_ATTEMPTS, 2},
     .steps = {{.data = "a?"}, {.data = "b"}, {.at_ms = 30, .kind = STOP}},
     .expect = "[ab]30 b30 [a]130 a130 "},
    {.name = "a smaller number",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a"},
               {.data = "b"},
               {.at_ms = 30, .kind = SET, .param = P_BATCH_MAX_ITEMS, .value = 2}},
     .expect = "[ab]30 a30 b30 "},
    {.name = "fewer bytes",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a..."},
               {.data = "b..."},
               {.at_ms = 30, .kind = SET, .param = P_BATCH_MAX_BYTES, .value = 8}},
     .expect = "[ab]30 a30 b30 "},
    {.name = "a shorter timeout",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a"},
               {.at_ms = 10, .data = "b"},
               {.at_ms = 30, .kind = SET, .param = P_BATCH_TIMEOUT, .value = 40 * MS}},
     .expect = "[ab]40 a40 b40 "},
    {.name = "a longer one",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a"},
               {.at_ms = 30, .kind = SET, .param = P_BATCH_TIMEOUT, .value = 200 * MS}},
     .expect = "[a]200 a200 "},
    {.name = "off",
     .items = 10,
     .timeout_ms = 100,
     .steps = {{.data = "a"},
               {.at_ms = 30, .kind = SET, .param = P_BATCH_MAX_ITEMS, .value = 1},
               {.at_ms = 30, .data = "b"}},
     .expect = "[a]30 a30 [b]30 b30 "},
    {.name = "on",
     .items = 1,
     .timeout_ms = 100,
     .steps = {{.data = "a"},
               {.at_ms = 1, .kind = SET, .param = P_BATCH_MAX_ITEMS, .value = 2},
               {.at_ms = 1, .data = "b"},
               {.at_ms = 1, .data = "c"}},
     .expect = "[a]0 a0 [bc]1 c1 b1 "},
};

static void test_scripts(void **unused)
{
    (void)unused;
    int wrong = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const Case *c = &cases[i];
        World *w = mem_zalloc(sizeof *w);
        policy_defaults(w->values);
        w->values[P_RETRY_JITTER].integer = JITTER_NONE;
        w->values[P_BATCH_MAX_ITEMS].integer = c->items;
        w->values[P_BATCH_MAX_BYTES].integer = c->bytes;
        w->values[P_BATCH_TIMEOUT].integer = c->timeout_ms * NS_PER_MS;
        if (c->more.value != 0) {
            w->values[c->more.param].integer = c->more.value;
        }
        world_open(w, c->worker_limit, c->edge_items);
        for (size_t s = 0; s < COUNT_OF(c->steps) && (c->steps[s].data || c->steps[s].kind); s++) {
            take_step(w, &c->steps[s]);
        }
        world_close(w);
        if (strcmp(w->log, c->expect) != 0) {
            print_error("%s: %s, expected %s\n", c->name, w->log, c->expect);
            wrong++;
        }
        free(w);
    }
    assert_int_equal(wrong, 0);
}

// At the drain's deadline a batch that still gathers or runs is cancelled like anything else.
static void test_stop_at_once(void **unused)
{
    (void)unused;
    World *w = mem_zalloc(sizeof *w);
    policy_defaults(w->values);
    w->values[P_BATCH_MAX_ITEMS].integer = 2;
    w->values[P_BATCH_TIMEOUT].integer = NS_PER_S;
    world_open(w, 0, 0);
    take_step(w, &(Step){.data = "a~"});
    take_step(w, &(Step){.data = "b"});
    take_step(w, &(Step){.data = "c"});
    wait_until(w, 10);
    assert_int_equal(runner_stop(w->runner, 0), 3);
    assert_int_equal(w->sent_count, 3);
    assert_non_null(strstr(w->log, "a10:the runner was stopped"));
    assert_non_null(strstr(w->log, "b10:the runner was stopped"));
    assert_non_null(strstr(w->log, "c10:the runner was stopped"));
    world_close(w);
    free(w);
}

static void test_one_handler(void **unused)
{
    (void)unused;
    Runner *runner;
    ManualClock clock;
    clock_manual_init(&clock, START_NS, 0);
    assert_int_equal(runner_create(&(RunnerOptions){.manual = &clock, .shards = 1}, &runner, NULL),
                     0);
    const AgentSpec both = {.name = SLICE("both"), .run = echo, .run_batch = batch_handler};
    assert_int_equal(runner_register(runner, &both, NULL, NULL), ERR_ARG);
    const AgentSpec none = {.name = SLICE("none")};
    assert_int_equal(runner_register(runner, &none, NULL, NULL), ERR_ARG);
    runner_destroy(runner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_stop_at_once),
        cmocka_unit_test(test_one_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
