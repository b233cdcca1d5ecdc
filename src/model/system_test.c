#include "model/system.h"
#include "policy/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "model/system_random.h"

static Arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(256 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static System *parse(const char *text)
{
    System *sys = NULL;
    Err e = {0};
    if (system_parse(arena, slice_from_cstr(text), "s.toml", &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return sys;
}

// ---- reading

static const char PIPELINE[] =
    "version = 1\n"
    "name = \"pipeline\"\n"
    "[agents.a]\n"
    "calls = [{to = [\"b\"]}]\n"
    "[agents.b]\n"
    "[[agents.b.calls]]\n"
    "to = [\"c\", {agent = \"d\", chance = 0.5, repeat = 2}]\n"
    "join = \"any\"\n"
    "[agents.c]\n"
    "service = {dist = \"lognormal\", mean = \"900ms\", sigma = 0.25}\n"
    "[agents.d]\n"
    "servers = 18\n"
    "queue = 200\n"
    "discipline = \"lifo\"\n"
    "holds_server = true\n"
    "start_delay = \"3s\"\n"
    "service = \"50ms\"\n"
    "policy = {limit = {kind = \"fixed\", value = 30}}\n"
    "range = {\"servers\" = [18, 72], limit.value = [1, 100]}\n"
    "[[edges]]\n"
    "from = \"a\"\n"
    "to = \"b\"\n"
    "policy = {timeout = {attempt = \"1s\"}, retry = {attempts = 4}, cancel = {propagate = "
    "false}}\n"
    "range = {\"retry.attempts\" = [1, 4], \"timeout.attempt\" = [\"100ms\", \"30s\"], "
    "\"cancel.propagate\" = [false, true]}\n"
    "[[edges]]\n"
    "from = \"tasks\"\n"
    "to = \"a\"\n"
    "[clients.tasks]\n"
    "to = \"a\"\n"
    "rate = 16\n"
    "deadline = \"30s\"\n"
    "patience = {dist = \"exponential\", mean = \"9s\"}\n"
    "spikes = [{at = \"100s\", for = \"15s\", factor = 3}]\n"
    "[clients.batch]\n"
    "to = \"b\"\n"
    "users = 20\n"
    "think = {dist = \"exponential\", mean = \"2s\"}\n"
    "[objectives.tasks]\n"
    "within = \"8s\"\n"
    "goodput = 0.99\n"
    "p99 = \"4s\"\n"
    "[[faults]]\n"
    "at = \"200s\"\n"
    "for = \"60s\"\n"
    "agent = \"d\"\n"
    "lose = 9\n";

static void test_reads_everything(void **state)
{
    (void)state;
    System *sys = parse(PIPELINE);
    assert_int_equal(sys->agent_count, 4);
    assert_int_equal(sys->client_count, 2);
    assert_int_equal(sys->edge_count, 5);
    const SystemAgent *d = &sys->agents[system_find_agent(sys, SLICE("d"))];
    assert_int_equal(d->servers, 18);
    assert_int_equal(d->queue, 200);
    assert_int_equal(d->discipline, VIRTUAL_LIFO);
    assert_true(d->holds_server && d->has_policy);
    assert_int_equal(d->start_delay_ns, 3 * NS_PER_SECOND);
    assert_int_equal(d->policy[P_LIMIT_VALUE].integer, 30);
    assert_int_equal(d->range_count, 2);
    assert_true(dist_mean(&d->service) == 50e6);
    const SystemAgent *c = &sys->agents[system_find_agent(sys, SLICE("c"))];
    assert_int_equal(c->queue, UINT32_MAX);
    assert_float_equal(dist_mean(&c->service), 900e6, 2);
    const SystemGroup *group = &sys->agents[1].groups[0];
    assert_int_equal(group->join, JOIN_ANY);
    assert_int_equal(group->first, 1);
    assert_true(group->targets[1].chance == 0.5 && group->targets[1].repeat == 2);
    const SystemEdge *ab = &sys->edges[system_find_edge(sys, SLICE("a->b"))];
    assert_int_equal(ab->policy[P_TIMEOUT_ATTEMPT].integer, NS_PER_SECOND);
    assert_false(ab->policy[P_CANCEL_PROPAGATE].boolean);
    assert_int_equal(ab->range_count, 3);
    assert_true(ab->ranges[2].low == 0 && ab->ranges[2].high == 1);
    const SystemClient *tasks = &sys->clients[system_find_client(sys, SLICE("tasks"))];
    assert_true(tasks->per_second == 16 && tasks->scv == 1 && tasks->users == 0);
    assert_true(dist_mean(&tasks->patience) == 9e9);
    assert_int_equal(tasks->spikes[0].for_ns, 15 * NS_PER_SECOND);
    assert_int_equal(sys->clients[1].users, 20);
    assert_true(dist_mean(&sys->clients[1].think) == 2e9);
    assert_int_equal(sys->objectives[0].within_ns, 8 * NS_PER_SECOND);
    assert_int_equal(sys->objectives[0].window_ns, 10 * NS_PER_SECOND);
    assert_int_equal(sys->faults[0].lose, 9);
    assert_int_equal(system_find_agent(sys, SLICE("e")), -1);
    assert_int_equal(system_find_client(sys, SLICE("a")), -1);
}

// Every example of a system that comes with the program.
static void test_reads_the_example(void **state)
{
    (void)state;
    System *sys = NULL;
    Err e = {0};
    const char *source_root = getenv("PW_SOURCE_ROOT");
    if (!source_root) {
        skip();
    }
    Slice path = arena_printf(arena, "%s/examples/codegen-pipeline/system.toml", source_root);
    if (system_load(arena, path.ptr, &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    // 18 servers serve 20 a second at .9 s each; tasks, builds and audits ask for 16.
    double visits[4];
    double load = 0;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        system_visits(sys, i, visits);
        load += visits[3] * sys->clients[i].per_second;
    }
    assert_float_equal(load, 16, 1e-9);
    assert_float_equal(dist_mean(&sys->agents[3].service), 0.9e9, 2);
}

#define HEAD    "version = 1\n[agents]\n"
#define A_CALLS "a = {calls = [{to = [\"b\"]}]}\nb = {}\n"

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
        int code;
    } cases[] = {
        {"", "s.toml:1:1: version must be 1", ERR_PARSE},
        {"version = 2\n", "s.toml:1:11: version 2 is newer than this program", ERR_VERSION},
        {"version = 1\n", "a system has [agents]", ERR_PARSE},
        {HEAD "a = {sevice = \"1s\"}\n",
         "s.toml:3:6: unknown field \"sevice\"; did you mean \"service\"?", ERR_PARSE},
        {HEAD "a = {servers = -1}\n", "s.toml:3:16: agent.servers: -1 is not between 0 and 100000",
         ERR_PARSE},
        {HEAD "a = {servers = 100001}\n", "is not between 0 and 100000", ERR_PARSE},
        {HEAD "a = {queue = 3}\n", "s.toml:3:14: nothing waits for one of any number of servers",
         ERR_PARSE},
        {HEAD "a = {discipline = \"lifa\"}\n", "did you mean lifo?", ERR_PARSE},
        {HEAD "\"a b\" = {}\n", "s.toml:3:1: a name has 1 to 63 letters", ERR_PARSE},
        {HEAD "a = {service = {mean = \"1s\"}}\n", "`dist` says which distribution", ERR_PARSE},
        {HEAD "a = {service = {dist = \"normal\"}}\n", "\"normal\" is not a choice", ERR_PARSE},
        {HEAD "a = {service = {dist = \"exponential\", mean = \"1s\", shape = 2}}\n",
         "a distribution \"exponential\" takes mean", ERR_PARSE},
        {HEAD "a = {service = {dist = \"lognormal\", sigma = 2}}\n",
         "takes mean, sigma; or median, sigma", ERR_PARSE},
        {HEAD "a = {service = {dist = \"mixture\", parts = [{weight = 0.9, dist = \"fixed\", "
              "mean = \"1s\"}]}}\n",
         "the weights sum to 0.9, not to 1", ERR_PARSE},
        {HEAD "a = {service = {dist = \"empirical\", quantiles = [\"2s\", \"1s\"]}}\n",
         "quantiles ascend", ERR_PARSE},
        {HEAD "a = {calls = [{to = [\"bb\"]}]}\nbbb = {}\n",
         "s.toml:3:22: there is no agent \"bb\"; did you mean \"bbb\"?", ERR_PARSE},
        {HEAD "a = {calls = [{to = []}]}\n", "`to` must name the agents", ERR_PARSE},
        {HEAD "a = {calls = [{to = [\"b\", \"b\"]}]}\nb = {}\n", "\"b\" is there twice", ERR_PARSE},
        {HEAD "a = {calls = [{to = [\"b\"], join = \"first\", first = 2}]}\nb = {}\n",
         "the first 2 of 1 calls cannot be", ERR_PARSE},
        {HEAD "a = {calls = [{to = [\"b\"], first = 2}]}\nb = {}\n",
         "`first` goes with join = \"first\"", ERR_PARSE},
        {HEAD "a = {calls = [{to = [{agent = \"b\", chance = 1.5}]}]}\nb = {}\n",
         "to.chance: 1.5 is not between 0 and 1", ERR_PARSE},
        {HEAD "a = {calls = [{to = \"b\"}]}\nb = {calls = [{to = \"c\"}]}\n"
              "c = {calls = [{to = \"a\"}]}\n",
         "calls go in a circle without end: a -> b -> c -> a", ERR_PARSE},
        {HEAD "a = {calls = [{to = \"a\"}]}\n", "without end: a -> a", ERR_PARSE},
        {HEAD "a = {calls = [{to = [{agent = \"b\", repeat = 1000}]}]}\n"
              "b = {calls = [{to = [{agent = \"c\", repeat = 1000}]}]}\nc = {}\n",
         "one request to \"a\" makes 1e+06 requests on average, the limit is 100000", ERR_LIMIT},
        {HEAD "a = {range = {\"retry.atempts\" = [1, 2]}}\n", "did you mean retry.attempts?",
         ERR_PARSE},
        {HEAD "a = {range = {\"server\" = [1, 2]}}\n", "did you mean \"servers\"?", ERR_PARSE},
        {HEAD "a = {range = {\"retry.attempts\" = [1]}}\n", "a range is [lowest, highest]",
         ERR_PARSE},
        {HEAD "a = {range = {\"retry.attempts\" = [3, 2]}}\n", "the lowest value comes first",
         ERR_PARSE},
        {HEAD "a = {range = {\"retry.attempts\" = [1, 99]}}\n", "99 is not between 1 and 20",
         ERR_PARSE},
        {HEAD "a = {range = {\"retry.attempts\" = [1, 2], retry = {attempts = [1, 2]}}}\n",
         "a second range for retry.attempts", ERR_PARSE},
        {HEAD "a = {policy = {retry = {attempts = 4}}, range = {\"retry.attempts\" = [1, 3]}}\n",
         "a.retry.attempts is outside of the range given for it", ERR_PARSE},
        {HEAD A_CALLS "[[edges]]\nfrom = \"b\"\nto = \"a\"\n", "\"b\" does not call \"a\"",
         ERR_PARSE},
        {HEAD A_CALLS "[[edges]]\nfrom = \"a\"\nto = \"c\"\n", "there is no agent \"c\"",
         ERR_PARSE},
        {HEAD A_CALLS "[[edges]]\nfrom = \"a\"\nto = \"b\"\n[[edges]]\nfrom = \"a\"\nto = \"b\"\n",
         "the edge a->b is there twice", ERR_PARSE},
        {HEAD A_CALLS "[[edges]]\nfrom = \"a\"\nto = \"b\"\nrange = {\"servers\" = [1, 2]}\n",
         "there is no policy parameter \"servers\"", ERR_PARSE},
        {HEAD A_CALLS
         "[[edges]]\nfrom = \"a\"\nto = \"b\"\npolicy = {limit = {min = 9, max = 3}}\n",
         "limit.min is 9, more than limit.max", ERR_PARSE},
        {HEAD "a = {}\n[clients.a]\nto = \"a\"\nrate = 1\n", "\"a\" is the name of an agent",
         ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nrate = 1\n", "`to` must name an agent", ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\n", "must have one of rate and users", ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\nrate = 1\nusers = 1\n",
         "must have only one of rate and users", ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\nusers = 1\nscv = 2\n",
         "scv and spikes are of a rate", ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\nrate = 1\nthink = \"1s\"\n", "think is of users",
         ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\nrate = 1\nspikes = [{at = \"5s\", for = \"2s\"}, "
              "{at = \"6s\", for = \"1s\"}]\n",
         "spikes come one after the other", ERR_PARSE},
        {HEAD "a = {}\n[objectives.c]\ngoodput = 0.9\n", "there is no client \"c\"", ERR_PARSE},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\nrate = 1\n[objectives.c]\nwithin = \"1s\"\n",
         "an objective promises one of", ERR_PARSE},
        {HEAD "a = {servers = 2}\n[[faults]]\nagent = \"a\"\nlose = 3\n",
         "\"a\" has only 2 servers to lose", ERR_PARSE},
        {HEAD "a = {}\n[[faults]]\nagent = \"a\"\n", "a fault is one of slow, fail, lose and stop",
         ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        System *sys = NULL;
        Err e = {0};
        int rc = system_parse(arena, slice_from_cstr(cases[i].text), "s.toml", &sys, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].says)) {
            fail_msg("case %zu: %d \"%s\", not \"%s\"", i, rc, e.text, cases[i].says);
        }
        assert_null(sys);
    }
}

// Ceilings: what is at one is read, one more is not.
static int read_agents(size_t count, size_t targets)
{
    Buf text = buf_create(4 << 20);
    System *sys = NULL;
    buf_puts(&text, "version = 1\n[agents]\n");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "n%zu = {", i);
        for (size_t t = 1; t <= targets && i == 0; t++) {
            buf_printf(&text, "%s\"n%zu\"", t == 1 ? "calls = [{to = [" : ", ", t);
        }
        buf_puts(&text, targets > 0 && i == 0 ? "]}]}\n" : "}\n");
    }
    int rc = system_parse(arena, buf_slice(&text), "s.toml", &sys, NULL);
    buf_done(&text);
    return rc;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(read_agents(SYSTEM_AGENTS_MAX, 0), 0);
    assert_int_equal(read_agents(SYSTEM_AGENTS_MAX + 1, 0), ERR_LIMIT);
    assert_int_equal(read_agents(100, SYSTEM_TARGETS_MAX), 0);
    assert_int_equal(read_agents(100, SYSTEM_TARGETS_MAX + 1), ERR_LIMIT);
}

// An item is written with its number between its two parts, or without where there is no second.
typedef struct ListCase {
    const char *before, *item, *rest, *after;
    size_t most;
} ListCase;

static int read_list(const ListCase *c, size_t count)
{
    Buf text = buf_create(1 << 20);
    System *sys = NULL;
    buf_puts(&text, c->before);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&text, c->item);
        if (c->rest) {
            buf_printf(&text, "%zu%s", i, c->rest);
        }
    }
    buf_puts(&text, c->after);
    int rc = system_parse(arena, buf_slice(&text), "s.toml", &sys, NULL);
    buf_done(&text);
    return rc;
}

static void test_limits_of_lists(void **state)
{
    (void)state;
    static const ListCase cases[] = {
        {HEAD "b = {}\na = {calls = [", "{to = [\"b\"]},", NULL, "]}\n", SYSTEM_GROUPS_MAX},
        {HEAD "a = {}\n[clients]\n", "c", " = {to = \"a\", rate = 1}\n", "", SYSTEM_CLIENTS_MAX},
        {HEAD "a = {}\n[clients.c]\nto = \"a\"\nrate = 1\nspikes = [", "{at = \"",
         "s\", for = \"1s\"},", "]\n", SYSTEM_SPIKES_MAX},
        {HEAD "a = {}\n", "[[faults]]\nagent = \"a\"\nstop = true\n", NULL, "", SYSTEM_FAULTS_MAX},
        {HEAD "a = {program = \"retry.attempts = 1;", " ", NULL, "\"}\n", PROGRAM_TEXT_MAX - 19},
        {HEAD, "a", NULL, " = {}\n", SYSTEM_NAME_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(read_list(&cases[i], cases[i].most), 0);
        assert_int_not_equal(read_list(&cases[i], cases[i].most + 1), 0);
    }
}

// ---- writing

static Slice written(const System *sys)
{
    Buf out = buf_create(1 << 20);
    JsonWriter w = json_writer(&out, 0);
    system_write(sys, &w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static System *read_json(Slice text)
{
    const Doc *doc = NULL;
    System *sys = NULL;
    Err e = {0};
    if (doc_parse(arena, text, NULL, &doc, &e) != 0 || system_read(arena, doc, &sys, &e) != 0) {
        fail_msg("%s in %.*s", e.text, SLICE_FMT(text));
    }
    return sys;
}

static void test_round_trip(void **state)
{
    (void)state;
    Slice first = written(parse(PIPELINE));
    Slice second = written(read_json(first));
    assert_string_equal(first.ptr, second.ptr);
}

static void test_round_trip_of_random_systems(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        System *sys = system_random(arena, seed, NULL);
        Slice first = written(sys);
        if (!slice_eq(first, written(read_json(first))) ||
            !slice_eq(first, written(system_random(arena, seed, NULL)))) {
            fail_msg("seed %llu", (unsigned long long)seed);
        }
    }
}

// What system_random promises: no agent busier than asked for, and one as busy.
static void test_random_load(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        System *sys =
            system_random(arena, seed, &(SystemRandomOptions){.busiest = 0.8, .plain = true});
        double load[8] = {0}, visits[8], busiest = 0;
        bool limited = false;
        for (uint32_t c = 0; c < sys->client_count; c++) {
            system_visits(sys, c, visits);
            for (uint32_t i = 0; i < sys->agent_count; i++) {
                double work_s = dist_mean(&sys->agents[i].service) / NS_PER_SECOND;
                load[i] += visits[i] * sys->clients[c].per_second * work_s;
            }
        }
        for (uint32_t i = 0; i < sys->agent_count; i++) {
            if (sys->agents[i].servers > 0 && load[i] > 0) {
                limited = true;
                busiest = load[i] / sys->agents[i].servers > busiest
                              ? load[i] / sys->agents[i].servers
                              : busiest;
            }
        }
        if (limited && (busiest < 0.8 - 1e-9 || busiest > 0.8 + 1e-9)) {
            fail_msg("seed %llu: %g", (unsigned long long)seed, busiest);
        }
    }
}

// ---- changes

static void test_changes(void **state)
{
    (void)state;
    System *sys = parse(PIPELINE);
    SystemChange change;
    Err e = {0};
    assert_int_equal(system_parse_change(sys, SLICE("a->b.timeout.attempt=250ms"), &change, &e), 0);
    System *copy = system_copy(arena, sys);
    assert_int_equal(system_set(copy, &change, &e), 0);
    assert_int_equal(system_get(copy, change.what).integer, 250 * NS_PER_MS);
    assert_int_equal(system_get(sys, change.what).integer, NS_PER_SECOND);
    assert_int_equal(system_owner(sys, change.what), 0);
    assert_true(system_range(sys, change.what)->high == 30e9);
    assert_int_equal(system_allowed(sys, &change, &e), 0);

    assert_int_equal(system_parse_change(sys, SLICE("d.servers = 20"), &change, &e), 0);
    assert_int_equal(system_set(copy, &change, &e), 0);
    assert_int_equal(copy->agents[3].servers, 20);
    assert_int_equal(system_owner(sys, change.what), 3);
    Buf words = buf_create(1024);
    system_print_changes(sys, &change, 1, &words);
    assert_string_equal(words.data, "d.servers 18 -> 20");
    buf_done(&words);

    assert_int_equal(system_parse_change(sys, SLICE("tasks->a.retry.attempts=2"), &change, &e), 0);
    assert_int_equal(system_owner(sys, change.what), SYSTEM_FROM_CLIENT | 0);
    assert_null(system_range(sys, change.what));
    assert_int_equal(system_allowed(sys, &change, &e), ERR_REFUSED);
    assert_string_equal(e.text, "tasks->a.retry.attempts is not given to planners by its owner");
}

static void test_changes_refused(void **state)
{
    (void)state;
    System *sys = parse(PIPELINE);
    static const struct {
        const char *text, *says;
        int code;
    } cases[] = {
        {"a->b.retry.attempts", "a change is NAME=VALUE", ERR_PARSE},
        {"a->bb.retry.attempts=1", "there is no edge \"a->bb\"; did you mean \"a->b\"?",
         ERR_NOT_FOUND},
        {"e.servers=1", "there is no agent \"e\"", ERR_NOT_FOUND},
        {"d.retry.attemps=1", "did you mean retry.attempts?", ERR_NOT_FOUND},
        {"d.server=1", "did you mean \"servers\"?", ERR_NOT_FOUND},
        {"a->b.servers=1", "there is no policy parameter \"servers\"", ERR_NOT_FOUND},
        {"d.servers=0", "agent.servers: 0 is not between 1 and 100000", ERR_ARG},
        {"a.servers=2", "\"a\" works on any number of requests", ERR_ARG},
        {"a->b.retry.attempts=21", "is not between 1 and 20", ERR_ARG},
        {"a->b.timeout.attempt=5", "", ERR_ARG},
        {"a->b.limit.kind=aimed", "did you mean aimd?", ERR_ARG},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        SystemChange change;
        Err e = {0};
        int rc = system_parse_change(sys, slice_from_cstr(cases[i].text), &change, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].says)) {
            fail_msg("%s: %d \"%s\"", cases[i].text, rc, e.text);
        }
    }
    SystemParam p;
    assert_int_equal(system_find_param(sys, SLICE("d.limit.value"), &p, NULL), 0);
    Err e = {0};
    assert_int_equal(system_allowed(sys, &(SystemChange){p, {.integer = 101}}, &e), ERR_REFUSED);
    assert_string_equal(e.text,
                        "d.limit.value: 101 is outside of 1 to 100, which its owner allows");
}

// Either all of several changes are made or none; what contradicts itself only half-way is fine.
static void test_changes_together(void **state)
{
    (void)state;
    System *sys = parse(PIPELINE);
    SystemChange changes[2];
    Err e = {0};
    assert_int_equal(system_parse_change(sys, SLICE("a->b.limit.min=300"), &changes[0], &e), 0);
    assert_int_equal(system_parse_change(sys, SLICE("a->b.limit.max=400"), &changes[1], &e), 0);
    assert_int_equal(system_set(sys, &changes[0], &e), ERR_ARG);
    assert_int_equal(system_get(sys, changes[0].what).integer, 1);
    assert_int_equal(system_set_all(sys, changes, 2, &e), 0);
    assert_int_equal(system_get(sys, changes[0].what).integer, 300);
    changes[0].value.integer = 500;
    changes[1].value.integer = 100;
    assert_int_equal(system_set_all(sys, changes, 2, &e), ERR_ARG);
    assert_int_equal(system_get(sys, changes[0].what).integer, 300);
    assert_int_equal(system_get(sys, changes[1].what).integer, 400);
    SystemChange many[SYSTEM_CHANGES_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = (SystemChange){changes[0].what, {.integer = 300}};
    }
    assert_int_equal(system_set_all(sys, many, SYSTEM_CHANGES_MAX, &e), 0);
    assert_int_equal(system_set_all(sys, many, SYSTEM_CHANGES_MAX + 1, &e), ERR_LIMIT);
}

static void test_changes_as_document(void **state)
{
    (void)state;
    System *sys = parse(PIPELINE);
    const Doc *doc = NULL;
    SystemChange *changes = NULL;
    size_t count = 0;
    Err e = {0};
    static const char TEXT[] = "{\"a->b.retry.attempts\":2,\"b->c.timeout.attempt\":\"1s\","
                               "\"a->b.cancel.propagate\":true,\"a->b.retry.budget\":0.5}";
    assert_int_equal(doc_parse(arena, SLICE(TEXT), NULL, &doc, &e), 0);
    assert_int_equal(system_read_changes(arena, sys, doc, &changes, &count, &e), 0);
    assert_int_equal(count, 4);
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    system_write_changes(sys, changes, count, &w);
    assert_string_equal(out.data, TEXT);
    buf_done(&out);
    assert_int_equal(doc_parse(arena, SLICE("{\"a->b.retry.attemps\": 2}"), NULL, &doc, &e), 0);
    assert_int_equal(system_read_changes(arena, sys, doc, &changes, &count, &e), ERR_PARSE);
    assert_non_null(strstr(e.text, "input:1:2: "));
}

// ---- visits

static void test_visits(void **state)
{
    (void)state;
    // b is called once, c once, d half the time and then twice.
    double visits[4];
    system_visits(parse(PIPELINE), 0, visits);
    for (size_t i = 0; i < 4; i++) {
        assert_float_equal(visits[i], 1, 1e-12);
    }
    // A circle: a calls itself with chance 1/2, so it is visited twice; b by every fourth of them.
    System *sys = parse(HEAD "a = {calls = [{to = [{agent = \"a\", chance = 0.5}, "
                             "{agent = \"b\", chance = 0.25}]}]}\nb = {}\n"
                             "[clients.c]\nto = \"a\"\nrate = 1\n");
    system_visits(sys, 0, visits);
    assert_float_equal(visits[0], 2, 1e-9);
    assert_float_equal(visits[1], 0.5, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_reads_the_example),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_of_lists),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_round_trip_of_random_systems),
        cmocka_unit_test(test_random_load),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_changes_refused),
        cmocka_unit_test(test_changes_together),
        cmocka_unit_test(test_changes_as_document),
        cmocka_unit_test(test_visits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
