// A person's say through the ledger, and that nobody plans on the way of a request.
#include "manage/coordinator.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "ledger/proposal.h"
#include "manage/coordinator_test.h"
#include "manage/plant_virtual.h"
#include "manage/planner_rules.h"
#include "os/file.h"

#define S NS_PER_SECOND

typedef struct World {
    Arena *arena;
    char dir[64];
    Ledger *ledger; // of the coordinator
    Ledger *person; // of another process, as it were
    Plant *plant;
    Coordinator *c;
} World;

static CoordinatorOptions quick(Ledger *ledger)
{
    return (CoordinatorOptions){
        .seed = 7,
        .watch_windows = 2,
        .plans_max = 60,
        .plan_budget_ns = 600 * S,
        .ledger = ledger,
        .validate = {.horizon_ns = 60 * S, .replications = 2, .keep = 4, .threads = 1},
    };
}

static Ledger *open_ledger(const World *w)
{
    Ledger *ledger = NULL;
    Err e = {0};
    Slice path = arena_printf(w->arena, "%s/ledger.db", w->dir);
    if (ledger_open(&(LedgerOptions){.path = path.ptr}, &ledger, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return ledger;
}

static void world_init(World *w, ApprovalMode mode)
{
    Err e = {0};
    *w = (World){.arena = arena_create(64 << 20), .dir = "/tmp/perfwright-person-XXXXXX"};
    assert_non_null(mkdtemp(w->dir));
    w->ledger = open_ledger(w);
    w->person = open_ledger(w);
    CoordinatorOptions options = quick(w->ledger);
    options.mode = mode;
    System *sys = system_of(w->arena, COLLAPSING);
    if (plant_virtual_create(sys, &(PlantVirtualOptions){.seed = 3}, &w->plant, &e) != 0 ||
        coordinator_create(w->plant, &options, &w->c, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static void world_done(World *w)
{
    Err e = {0};
    coordinator_destroy(w->c);
    plant_destroy(w->plant);
    ledger_close(w->person);
    ledger_close(w->ledger);
    assert_int_equal(dir_remove_all(w->dir, &e), 0);
    arena_destroy(w->arena);
}

static void steps(World *w, int count)
{
    Err e = {0};
    bool more;
    for (int i = 0; i < count; i++) {
        if (coordinator_step(w->c, &more, &e) != 0) {
            fail_msg("%s", e.text);
        }
    }
}

static Proposal *latest(World *w)
{
    Proposal *p = NULL;
    Err e = {0};
    if (proposal_load(w->person, SLICE("latest"), w->arena, &p, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return p;
}

static void say(World *w, const char *id, ProposalState to)
{
    Err e = {0};
    ProposalStep step = {.to = to, .author = SLICE("person"), .reason = SLICE("as I like it")};
    if (proposal_step(w->person, slice_from_cstr(id), &step, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

// Approved in another process, kept when it does what was predicted, taken back when the person
// says so; each step is in the ledger, with what was predicted and what was observed.
static void test_ask_accept_roll_back(void **state)
{
    (void)state;
    World w;
    world_init(&w, APPROVAL_ASK);
    steps(&w, 3);
    assert_int_equal(coordinator_state(w.c), CASE_WAITING);
    Proposal *p = latest(&w);
    assert_int_equal(p->state, PROPOSAL_VALIDATED);
    assert_true(p->predicted.count > 0);
    coordinator_poll(w.c);
    assert_int_equal(coordinator_state(w.c), CASE_WAITING); // nobody has said anything
    say(&w, p->id, PROPOSAL_APPROVED);
    coordinator_poll(w.c);
    assert_int_equal(coordinator_state(w.c), CASE_WATCHING);
    for (int i = 0; i < 40 && coordinator_state(w.c) == CASE_WATCHING; i++) {
        steps(&w, 1);
    }
    assert_int_equal(coordinator_story(w.c).kept, 1);
    p = latest(&w);
    assert_int_equal(p->state, PROPOSAL_KEPT);
    assert_true(p->observed.count > 0);
    assert_false(same_policies(w.plant->sys, coordinator_story(w.c).before));
    say(&w, p->id, PROPOSAL_ROLLED_BACK);
    coordinator_poll(w.c);
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    world_done(&w);
}

static void test_refused(void **state)
{
    (void)state;
    World w;
    world_init(&w, APPROVAL_ASK);
    steps(&w, 3);
    Proposal *p = latest(&w);
    say(&w, p->id, PROPOSAL_REJECTED);
    coordinator_poll(w.c);
    assert_int_equal(coordinator_state(w.c), CASE_NONE);
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    steps(&w, 6);
    Proposal *next = latest(&w);
    if (strcmp(next->id, p->id) != 0) { // another plan, not the one that was refused
        assert_false(slice_eq(next->content_json, p->content_json));
    }
    world_done(&w);
}

// A person's own proposal goes the way of all others: validated, applied by its owner, watched.
static void test_persons_proposal(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        bool applied;
    } ROWS[] = {
        {"{\"plan\": {\"changes\": {\"a->b.retry.attempts\": 1, \"a->b.timeout.attempt\": \"8s\", "
         "\"builds->b.retry.attempts\": 1, \"builds->b.timeout.attempt\": \"8s\", "
         "\"b->c.timeout.attempt\": \"500ms\", \"b->c.retry.attempts\": 4, "
         "\"b->d.cancel.propagate\": true, \"b->c.cancel.propagate\": true, "
         "\"a->b.cancel.propagate\": true, \"builds->b.cancel.propagate\": true}}}",
         true},
        {"{\"plan\": {\"changes\": {\"a->b.retry.attempts\": 99}}}", false}, // out of range
        {"{\"plan\": {\"changes\": {\"x->y.retry.attempts\": 1}}}", false},  // unknown
        {"{\"nothing\": 1}", false},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        World w;
        Err e = {0};
        world_init(&w, APPROVAL_ADVISE);
        Proposal p = {.kind = PROPOSAL_POLICY,
                      .target = SLICE("pipeline"),
                      .title = SLICE("as I like it"),
                      .author = SLICE("person"),
                      .content_json = slice_from_cstr(ROWS[i].content)};
        assert_int_equal(proposal_create(w.person, &p, &e), 0);
        say(&w, p.id, PROPOSAL_VALIDATED);
        say(&w, p.id, PROPOSAL_APPROVED);
        steps(&w, 1);
        bool changed = !same_policies(w.plant->sys, coordinator_story(w.c).before);
        if (changed != ROWS[i].applied) {
            fail_msg("%s: applied %d", ROWS[i].content, changed);
        }
        world_done(&w);
    }
}

// ---- nobody plans on the way of a request

typedef struct Watched {
    Plant plant; // passes everything on
    Plant *inner;
    bool serving; // requests are served now: in wait()
    uint64_t waits;
} Watched;

static bool g_serving_seen;

typedef struct CountingPlanner {
    Planner planner;
    Planner *rules;
    const Watched *plant;
    uint64_t calls;
} CountingPlanner;

static int64_t watched_now(const Plant *p)
{
    return plant_now(((const Watched *)p)->inner);
}
static int watched_wait(Plant *p, int64_t at_ns, Err *e)
{
    Watched *w = (Watched *)p;
    w->serving = true;
    w->waits++;
    int rc = plant_wait(w->inner, at_ns, e);
    w->serving = false;
    return rc;
}
static int watched_observe(Plant *p, Arena *arena, PlantWindow *ret, Err *e)
{
    return plant_observe(((Watched *)p)->inner, arena, ret, e);
}
static int watched_set(Plant *p, const SystemChange *changes, size_t count, ParamValue *old, Err *e)
{
    return plant_set(((Watched *)p)->inner, changes, count, old, e);
}
static int watched_topology(Plant *p, Arena *arena, PlantTopology *ret, Err *e)
{
    return plant_topology(((Watched *)p)->inner, arena, ret, e);
}
static void watched_destroy(Plant *p)
{
    (void)p;
}

static int counting_plan(Planner *planner, Arena *arena, const PlanContext *context,
                         PlanList *ret_list, Err *e)
{
    CountingPlanner *c = (CountingPlanner *)planner;
    c->calls++;
    g_serving_seen = g_serving_seen || c->plant->serving;
    return planner_plan(c->rules, arena, context, ret_list, e);
}
static void counting_destroy(Planner *planner)
{
    (void)planner;
}

// A planner (which may be a language model) is called while no request is being served, and a few
// times for thousands of requests.
static void test_no_planning_on_the_request_path(void **state)
{
    (void)state;
    static const PlantOps PLANT = {.kind = "watched",
                                   .now = watched_now,
                                   .wait = watched_wait,
                                   .observe = watched_observe,
                                   .set = watched_set,
                                   .topology = watched_topology,
                                   .destroy = watched_destroy};
    static const PlannerOps PLANNER = {"counting", counting_plan, counting_destroy};
    Arena *arena = arena_create(64 << 20);
    Err e = {0};
    System *sys = system_of(arena, COLLAPSING);
    Watched plant = {.plant = {.ops = &PLANT}};
    assert_int_equal(plant_virtual_create(sys, &(PlantVirtualOptions){.seed = 3}, &plant.inner, &e),
                     0);
    plant.plant.sys = plant.inner->sys;
    CountingPlanner counting = {
        .planner = {&PLANNER}, .rules = planner_rules_create(), .plant = &plant};
    Planner *const planners[] = {&counting.planner};
    CoordinatorOptions options = quick(NULL);
    options.planners = planners;
    options.planner_count = 1;
    Coordinator *c = NULL;
    assert_int_equal(coordinator_create(&plant.plant, &options, &c, &e), 0);
    bool more;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(coordinator_step(c, &more, &e), 0);
    }
    uint64_t offered = 0;
    Story story = coordinator_story(c);
    for (size_t i = 0; i < story.window_count; i++) {
        offered += story.windows[i].offered;
    }
    assert_false(g_serving_seen);
    assert_true(plant.waits >= 20 && offered > 900);
    assert_true(counting.calls > 0 && counting.calls < 20);
    coordinator_destroy(c);
    plant_destroy(plant.inner);
    planner_destroy(counting.rules);
    arena_destroy(arena);
}

// By construction: the rooms that serve requests cannot see the rooms that plan.
static void test_rooms_that_serve_cannot_plan(void **state)
{
    (void)state;
    const char *root = getenv("PW_SOURCE_ROOT");
    if (root == NULL) {
        skip();
    }
    Arena *arena = arena_create(1 << 20);
    Buf text = buf_create(1 << 20);
    Err e = {0};
    Slice path = arena_printf(arena, "%s/tools/rooms.txt", root);
    assert_int_equal(file_read(path.ptr, &text, &e), 0);
    static const char *const SERVING[] = {"\npolicy:", "\nnet:", "\nagent:", "\nmcp:", "\nllm:"};
    static const char *const PLANNING[] = {" manage", " model", " bus"};
    for (size_t i = 0; i < COUNT_OF(SERVING); i++) {
        ptrdiff_t at = slice_find(buf_slice(&text), slice_from_cstr(SERVING[i]));
        assert_true(at >= 0);
        Slice line = slice_sub(buf_slice(&text), (size_t)at + 1, text.len), rest;
        (void)slice_cut(line, '\n', &line, &rest);
        for (size_t k = 0; k < COUNT_OF(PLANNING); k++) {
            assert_true(slice_find(line, slice_from_cstr(PLANNING[k])) < 0);
        }
    }
    buf_done(&text);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask_accept_roll_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_persons_proposal),
        cmocka_unit_test(test_no_planning_on_the_request_path),
        cmocka_unit_test(test_rooms_that_serve_cannot_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
