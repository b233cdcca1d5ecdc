#include "manage/coordinator.h"

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "manage/coordinator_test.h"
#include "manage/plant_virtual.h"
#include "manage/story_report.h"

#define S NS_PER_SECOND

typedef struct World {
    Arena *arena;
    Plant *plant;
    Coordinator *c;
    uint64_t served; // good answers of all clients, in all windows
} World;

static void count_served(void *ctx, const PlantWindow *window, const DetectFound *found)
{
    World *w = ctx;
    (void)found;
    for (uint32_t i = 0; i < w->plant->sys->client_count; i++) {
        w->served += window->clients[i].good;
    }
}

// PW_STORY=1: what happened, for whoever looks into a failure.
static void tell(void *ctx, const StoryEvent *event)
{
    (void)ctx;
    if (getenv("PW_STORY") != NULL) {
        Buf line = buf_create(1 << 16);
        story_line(event, &line);
        print_message("%s\n", line.data);
        buf_done(&line);
    }
}

static CoordinatorOptions quick(World *w)
{
    return (CoordinatorOptions){
        .seed = 7,
        .watch_windows = 3,
        .plans_max = 60,
        .plan_budget_ns = 600 * S, // of the clock: what is validated must not depend on it
        .validate = {.horizon_ns = 60 * S, .replications = 2, .keep = 4, .threads = 1},
        .hooks = {.context = w, .window = count_served, .event = tell},
    };
}

static void world_init(World *w, const char *text, CoordinatorOptions options)
{
    Err e = {0};
    w->arena = arena_create(64 << 20);
    w->served = 0;
    System *sys = system_of(w->arena, text);
    if (plant_virtual_create(sys, &(PlantVirtualOptions){.seed = 3}, &w->plant, &e) != 0 ||
        coordinator_create(w->plant, &options, &w->c, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static void world_done(World *w)
{
    coordinator_destroy(w->c);
    plant_destroy(w->plant);
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

static size_t told(const World *w, StoryKind kind, const char *party, const char *message)
{
    Story s = coordinator_story(w->c);
    size_t count = 0;
    for (size_t i = 0; i < s.event_count; i++) {
        const StoryEvent *e = &s.events[i];
        count += e->kind == kind && (party == NULL || slice_eq_cstr(e->party, party)) &&
                 (message == NULL || slice_eq_cstr(e->message, message));
    }
    return count;
}

// From violation to recovery: A finds out, proposes; B counters with timeouts of its own for C and
// D and tells them when nobody waits; B asks its other client for its part; everybody applies; the
// promises are kept, and the prediction holds.
static void test_from_violation_to_recovery(void **state)
{
    (void)state;
    World w;
    world_init(&w, COLLAPSING, quick(&w));
    steps(&w, 30);
    Story s = coordinator_story(w.c);
    assert_true(told(&w, STORY_DETECTED, "a", NULL) > 0);
    assert_true(told(&w, STORY_MESSAGE, "a", "propose") > 0);
    assert_true(told(&w, STORY_APPLIED, NULL, NULL) > 0);
    assert_true(s.kept >= 1);
    assert_int_equal(s.rolled_back, 0);
    // What is wanted of the pipeline: no repetition above B, and D is told.
    const System *now = w.plant->sys;
    assert_int_equal(
        now->edges[system_find_edge(now, SLICE("a->b"))].policy[P_RETRY_ATTEMPTS].integer, 1);
    assert_true(
        now->edges[system_find_edge(now, SLICE("b->d"))].policy[P_CANCEL_PROPAGATE].boolean);
    StoryPeriod before, after;
    for (uint32_t client = 0; client < 2; client++) {
        assert_true(story_before_after(&s, client, &before, &after));
        assert_true(before.goodput.value < 0.5);
        assert_true(after.goodput.value > 0.97);
    }
    world_done(&w);
}

// The same seed, the same story.
static void test_reproducible(void **state)
{
    (void)state;
    World w[2];
    for (int i = 0; i < 2; i++) {
        world_init(&w[i], COLLAPSING, quick(&w[i]));
        steps(&w[i], 8);
    }
    Story a = coordinator_story(w[0].c), b = coordinator_story(w[1].c);
    assert_int_equal(a.event_count, b.event_count);
    for (size_t i = 0; i < a.event_count; i++) {
        assert_int_equal(a.events[i].kind, b.events[i].kind);
        assert_true(slice_eq(a.events[i].changes, b.events[i].changes));
    }
    assert_int_equal(w[0].served, w[1].served);
    world_done(&w[0]);
    world_done(&w[1]);
}

// Advice changes nothing; asking waits for a person, and does what the person says.
static void test_modes(void **state)
{
    (void)state;
    World w;
    CoordinatorOptions advise = quick(&w);
    advise.mode = APPROVAL_ADVISE;
    advise.cases_max = 1;
    world_init(&w, COLLAPSING, advise);
    steps(&w, 4);
    assert_int_equal(told(&w, STORY_ADVISED, NULL, NULL), 1);
    assert_int_equal(told(&w, STORY_MESSAGE, NULL, NULL), 0);
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    world_done(&w);

    CoordinatorOptions ask = quick(&w);
    ask.mode = APPROVAL_ASK;
    world_init(&w, COLLAPSING, ask);
    Err e = {0};
    steps(&w, 4);
    assert_int_equal(coordinator_state(w.c), CASE_WAITING);
    assert_int_equal(told(&w, STORY_MESSAGE, NULL, NULL), 0);
    assert_int_equal(coordinator_approve(w.c, SLICE("nothing"), true, &e), ERR_NOT_FOUND);
    assert_int_equal(coordinator_approve(w.c, (Slice){NULL, 0}, true, &e), 0);
    assert_int_equal(coordinator_state(w.c), CASE_WATCHING);
    // And back, as a person wants.
    assert_int_equal(coordinator_roll_back(w.c, SLICE("I do not like it"), &e), 0);
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    world_done(&w);

    world_init(&w, COLLAPSING, ask);
    steps(&w, 4);
    assert_int_equal(coordinator_approve(w.c, (Slice){NULL, 0}, false, &e), 0);
    assert_int_equal(coordinator_state(w.c), CASE_NONE);
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    world_done(&w);
}

// Whatever a party does, the plant serves on, every case ends, and what is neither watched nor kept
// is as it was.
static void test_bad_parties(void **state)
{
    (void)state;
    static const struct {
        const char *party;
        PartyFault fault;
        double factor;
        double lose, duplicate;
    } ROWS[] = {
        {"b", PARTY_MUTE, 0, 0, 0},          {"b", PARTY_NO_APPLY, 0, 0, 0},
        {"b", PARTY_SELFISH, 0, 0, 0},       {"d", PARTY_LIES, 0.2, 0, 0},
        {"a", PARTY_FALSE_METRICS, 0, 0, 0}, {"b", PARTY_HONEST, 0, 0.2, 0.2},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        World w;
        CoordinatorOptions o = quick(&w);
        PartyTrouble trouble = {slice_from_cstr(ROWS[i].party), ROWS[i].fault, ROWS[i].factor};
        o.troubles = &trouble;
        o.trouble_count = 1;
        o.lose = ROWS[i].lose;
        o.duplicate = ROWS[i].duplicate;
        o.cases_max = 2;
        world_init(&w, COLLAPSING, o);
        steps(&w, 18);
        uint64_t served = w.served;
        steps(&w, 2);
        Story s = coordinator_story(w.c);
        CaseState last = coordinator_state(w.c);
        if (s.kept == 0 && last != CASE_WATCHING && !same_policies(w.plant->sys, s.before)) {
            fail_msg("%s, fault %d: policies were left changed", ROWS[i].party, ROWS[i].fault);
        }
        assert_true(last == CASE_NONE || last == CASE_WATCHING);
        // A lie about one's own work is found out by measuring it.
        assert_int_equal(told(&w, STORY_DRIFT, "d", NULL) > 0, ROWS[i].fault == PARTY_LIES);
        // Serving throughout, though perhaps as badly as before.
        PlantWindow window;
        Err e = {0};
        assert_int_equal(plant_wait(w.plant, plant_now(w.plant) + 10 * S, &e), 0);
        assert_int_equal(plant_observe(w.plant, w.arena, &window, &e), 0);
        assert_true(window.clients[0].offered > 0 && window.agents[3].served > 0);
        assert_true(w.served >= served);
        world_done(&w);
    }
}

// Objectives change and parties come and go while it runs.
static void test_changes_on_the_way(void **state)
{
    (void)state;
    World w;
    Err e = {0};
    world_init(&w, COLLAPSING, quick(&w));
    assert_int_equal(coordinator_leave(w.c, SLICE("nobody"), &e), ERR_NOT_FOUND);
    assert_int_equal(coordinator_leave(w.c, SLICE("b"), &e), 0);
    steps(&w, 4); // nobody is there to agree
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    assert_int_equal(coordinator_join(w.c, SLICE("b"), &e), 0);
    steps(&w, 20);
    assert_true(coordinator_story(w.c).kept >= 1);
    SystemObjective stricter = w.plant->sys->objectives[0];
    stricter.p50_ns = S / 100; // nobody can answer that fast
    assert_int_equal(coordinator_objective(w.c, &stricter, &e), 0);
    steps(&w, 6);
    assert_true(told(&w, STORY_OBJECTIVE, NULL, NULL) == 1);
    Story s = coordinator_story(w.c);
    assert_true(s.cases >= 2);    // it is seen and tried
    assert_true(s.given_up >= 1); // and given up, with the policies as they were
    stricter.client = 99;
    assert_int_equal(coordinator_objective(w.c, &stricter, &e), ERR_NOT_FOUND);
    world_done(&w);
}

// A member of the party leaves in the middle of what it agreed to: its part goes back at once, the
// others' when the proposer hears of it.
static void test_leaves_while_it_is_watched(void **state)
{
    (void)state;
    World w;
    Err e = {0};
    CoordinatorOptions o = quick(&w);
    o.cases_max = 1;
    world_init(&w, COLLAPSING, o);
    for (int i = 0; i < 10 && coordinator_state(w.c) != CASE_WATCHING; i++) {
        steps(&w, 1);
    }
    assert_int_equal(coordinator_state(w.c), CASE_WATCHING);
    assert_int_equal(coordinator_leave(w.c, SLICE("b"), &e), 0);
    steps(&w, 15);
    assert_int_equal(coordinator_state(w.c), CASE_NONE);
    assert_true(same_policies(w.plant->sys, coordinator_story(w.c).before));
    world_done(&w);
}

// A system that no policy can save: the reason is said, nothing is changed.
static void test_no_plan_helps(void **state)
{
    (void)state;
    static const char OVERLOADED[] = "version = 1\n"
                                     "name = \"overloaded\"\n"
                                     "[agents.q]\n"
                                     "servers = 1\n"
                                     "service = \"1s\"\n"
                                     "queue = 50\n"
                                     "[[edges]]\n"
                                     "from = \"load\"\n"
                                     "to = \"q\"\n"
                                     "range = {\"retry.attempts\" = [1, 3]}\n"
                                     "[clients.load]\n"
                                     "to = \"q\"\n"
                                     "rate = 3.0\n"
                                     "[objectives.load]\n"
                                     "within = \"4s\"\n"
                                     "goodput = 0.9\n";
    World w;
    world_init(&w, OVERLOADED, quick(&w));
    steps(&w, 6);
    Story s = coordinator_story(w.c);
    assert_true(s.given_up >= 1 && s.kept == 0);
    assert_true(told(&w, STORY_APPLIED, NULL, NULL) == 0);
    assert_true(same_policies(w.plant->sys, s.before));
    world_done(&w);
}

static void test_reports(void **state)
{
    (void)state;
    World w;
    world_init(&w, COLLAPSING, quick(&w));
    steps(&w, 4);
    Story s = coordinator_story(w.c);
    Err e = {0};
    Buf markdown = buf_create(STORY_REPORT_MAX), html = buf_create(STORY_REPORT_MAX);
    Buf json = buf_create(STORY_REPORT_MAX);
    assert_int_equal(story_markdown(&s, &markdown, &e), 0);
    assert_int_equal(story_html(&s, &html, &e), 0);
    assert_true(slice_find(buf_slice(&markdown), SLICE("| tasks |")) > 0);
    assert_true(slice_find(buf_slice(&html), SLICE("<svg")) > 0);
    assert_true(slice_find(buf_slice(&html), SLICE("<script")) < 0);
    JsonWriter writer = json_writer(&json, 0);
    story_write(&s, &writer);
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(w.arena, buf_slice(&json), NULL, &doc, &e), 0);
    assert_int_equal(doc_count(doc_get(doc, SLICE("events"))), s.event_count);
    buf_done(&markdown);
    buf_done(&html);
    buf_done(&json);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_violation_to_recovery),
        cmocka_unit_test(test_reproducible),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_bad_parties),
        cmocka_unit_test(test_changes_on_the_way),
        cmocka_unit_test(test_leaves_while_it_is_watched),
        cmocka_unit_test(test_no_plan_helps),
        cmocka_unit_test(test_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
