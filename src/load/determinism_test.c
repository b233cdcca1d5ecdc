// Equal seed and plan give the identical sequence of requests and intended start times: a whole
// test is walked through without sockets or clock, and what it would send is hashed. The engine
// draws from the same streams (load/vu.c).
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "load/check.h"
#include "load/feed.h"
#include "load/plan_parse.h"
#include "load/schedule.h"

static const char PLAN[] =
    "seed: 7\n"
    "feeds: {users: {file: data/users.csv, order: shuffle}, products: {file: data/products.json,"
    " order: random}}\n"
    "variables: {v: x}\n"
    "requests:\n"
    "  a: {url: 'http://a/${users.name}/${uuid}?v=${v}'}\n"
    "  b: {url: 'http://a/${products.id}', method: POST, body: '${random(1,1000000)}'}\n"
    "steps:\n"
    "  - a\n"
    "  - think: {distribution: lognormal, mean: 2s, deviation: 1s}\n"
    "  - choose: [{request: a, weight: 2}, {weight: 1, steps: [b, {think: 1s}]}]\n"
    "rate: 300/s\n"
    "duration: 20s\n"
    "arrivals: poisson\n";

typedef struct Walk {
    const Plan *plan;
    uint64_t hash;
    Buf text;
    TemplateScope scope;
} Walk;

static void add(Walk *w, Slice s)
{
    w->hash = (w->hash ^ slice_hash(s)) * UINT64_C(0x9e3779b97f4a7c15);
}

static void add_int(Walk *w, int64_t value)
{
    add(w, (Slice){(const char *)&value, sizeof value});
}

static void add_text(Walk *w, const Template *t)
{
    buf_reset(&w->text);
    template_render(t, &w->scope, &w->text);
    add(w, buf_slice(&w->text));
}

static void walk_steps(Walk *w, const PlanStep *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        switch (steps[i].kind) {
        case STEP_REQUEST:
            add(w, steps[i].request->method);
            add_text(w, &steps[i].request->url);
            add_text(w, &steps[i].request->body);
            break;
        case STEP_THINK: add_int(w, think_sample(&steps[i].think, w->scope.rng)); break;
        case STEP_CHOOSE: walk_steps(w, step_choose(&steps[i], w->scope.rng), 1); break;
        case STEP_GROUP: walk_steps(w, steps[i].steps, steps[i].step_count); break;
        }
    }
}

// The hashes of all iterations, added up, so that the order in which threads do them is nothing.
static uint64_t walk(const Plan *plan, uint32_t threads)
{
    enum { FEEDS_MAX = 8 };
    Arena *arena = arena_create(1 << 20);
    const PlanScenario *s = plan->scenarios;
    Schedule *schedule = schedule_create(arena, s, plan->seed);
    const Slice *rows[FEEDS_MAX];
    uint64_t sum = 0;
    Walk w = {.plan = plan, .text = buf_create(1 << 16)};
    for (uint32_t thread = 0; thread < threads; thread++) {
        ScheduleCursor cursor = schedule_cursor(schedule, thread, threads);
        int64_t number = 0, at_ns = 0;
        while (schedule_next(&cursor, &number, &at_ns)) {
            Rng rng = rng_stream(plan->seed, SLICE("iteration/default"), (uint64_t)number);
            for (size_t f = 0; f < plan->feed_count; f++) {
                rows[f] = feed_row(&plan->feeds[f], plan->seed, 1, number, number);
            }
            w.hash = 0;
            w.scope = (TemplateScope){.variables = plan->variable_values,
                                      .rows = rows,
                                      .iteration_in_test = number,
                                      .rng = &rng};
            add_int(&w, number);
            add_int(&w, at_ns);
            walk_steps(&w, s->steps, s->step_count);
            sum += w.hash;
        }
    }
    buf_done(&w.text);
    arena_destroy(arena);
    return sum;
}

static uint64_t hash_of(const char *text, uint32_t threads)
{
    char folder[4096];
    const char *root = getenv("PW_SOURCE_ROOT");
    (void)snprintf(folder, sizeof folder, "%s/examples", root ? root : ".");
    Arena *arena = arena_create(PLAN_ARENA_BYTES);
    DocOptions o = {.format = DOC_FORMAT_YAML};
    const Doc *doc = NULL;
    const Plan *plan = NULL;
    PlanMistakes mistakes;
    Err e = {0};
    if (doc_parse(arena, slice_from_cstr(text), &o, &doc, &e) != 0 ||
        plan_parse(arena, doc, &(PlanOptions){.folder = folder}, &plan, &mistakes, &e) != 0) {
        fail_msg("%s", e.text);
    }
    uint64_t hash = walk(plan, threads);
    arena_destroy(arena);
    return hash;
}

static void test_equal_plans_do_the_same(void **state)
{
    (void)state;
    uint64_t hash = hash_of(PLAN, 1);
    assert_true(hash == hash_of(PLAN, 1));
    assert_true(hash == hash_of(PLAN, 3));
    assert_true(hash == hash_of(PLAN, 8));
}

static void test_another_seed_does_something_else(void **state)
{
    (void)state;
    char other[sizeof PLAN];
    memcpy(other, PLAN, sizeof PLAN);
    other[6] = '8';
    assert_true(hash_of(PLAN, 1) != hash_of(other, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_plans_do_the_same),
        cmocka_unit_test(test_another_seed_does_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
