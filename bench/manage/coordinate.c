#include "coordinate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "manage/plant_virtual.h"

#define WINDOW_NS (10 * NS_PER_SECOND)
enum { BAD_TO_THE_END = 3 }; // windows
#define GRACE_NS (65 * NS_PER_SECOND)

// A plant with an eye of its own: what a party says of its windows may be false, and the score is
// not to be.
typedef struct Spy {
    Plant plant;
    Plant *inner;
    ScoreBuilder *builder;
} Spy;

static Spy *spy_of(Plant *plant)
{
    return CONTAINER_OF(plant, Spy, plant);
}

static int64_t spy_now(const Plant *plant)
{
    return plant_now(((const Spy *)(const void *)plant)->inner); // its first member
}

static int spy_wait(Plant *plant, int64_t at_ns, Err *e)
{
    return plant_wait(spy_of(plant)->inner, at_ns, e);
}

static int spy_observe(Plant *plant, Arena *arena, PlantWindow *ret_window, Err *e)
{
    int rc = plant_observe(spy_of(plant)->inner, arena, ret_window, e);
    if (rc == 0) {
        score_window(spy_of(plant)->builder, ret_window);
    }
    return rc;
}

static int spy_set(Plant *plant, const SystemChange *changes, size_t count, ParamValue *ret_old,
                   Err *e)
{
    return plant_set(spy_of(plant)->inner, changes, count, ret_old, e);
}

static int spy_set_program(Plant *plant, SystemPlace place, uint32_t index, Slice text, Err *e)
{
    return plant_set_program(spy_of(plant)->inner, place, index, text, e);
}

static int spy_topology(Plant *plant, Arena *arena, PlantTopology *ret_topology, Err *e)
{
    return plant_topology(spy_of(plant)->inner, arena, ret_topology, e);
}

static void spy_destroy(Plant *plant)
{
    plant_destroy(spy_of(plant)->inner);
}

static const PlantOps SPY_OPS = {.kind = "simulated",
                                 .now = spy_now,
                                 .wait = spy_wait,
                                 .observe = spy_observe,
                                 .set = spy_set,
                                 .set_program = spy_set_program,
                                 .topology = spy_topology,
                                 .destroy = spy_destroy};

typedef struct Watch {
    bool tell;
    int64_t good_from_ns;
    double good_s, settled_s, applied_s;
    uint32_t bad_row;
} Watch;

static void on_window(void *context, const PlantWindow *window, const DetectFound *found)
{
    Watch *w = context;
    if (window->from_ns < w->good_from_ns) {
        return;
    }
    if (found->count > 0) {
        w->good_s = (double)window->until_ns / 1e9;
    }
    w->bad_row = found->count > 0 ? w->bad_row + 1 : 0;
}

static void on_event(void *context, const StoryEvent *event)
{
    Watch *w = context;
    double at = (double)event->at_ns / 1e9;
    w->applied_s = event->kind == STORY_APPLIED ? at : w->applied_s;
    w->settled_s = event->kind == STORY_KEPT ? w->applied_s : w->settled_s;
    if (w->tell) {
        fprintf(stderr, "%6.1f s %-11s %.*s>%.*s %.*s %.*s%s%.*s (%.0f ms)\n", at,
                STORY_NAMES[event->kind], SLICE_FMT(event->party), SLICE_FMT(event->other),
                SLICE_FMT(event->message), SLICE_FMT(event->text), event->changes.len ? " | " : "",
                SLICE_FMT(event->changes), (double)event->took_ns / 1e6);
    }
}

static Slice describe(Arena *arena, const System *before, const System *after)
{
    Buf out = buf_create(8 << 10);
    for (uint32_t place = 0; place < 2; place++) {
        uint32_t count = place == PLACE_AGENT ? before->agent_count : before->edge_count;
        for (uint32_t i = 0; i < count; i++) {
            for (uint16_t p = 0; p <= SYSTEM_PARAM_SERVERS; p++) {
                SystemParam what = {(SystemPlace)place, i, p};
                if (p == SYSTEM_PARAM_SERVERS && place == PLACE_EDGE) {
                    continue;
                }
                ParamValue now = system_get(after, what);
                if (system_number(p, system_get(before, what)) != system_number(p, now)) {
                    buf_puts(&out, out.len ? ", " : "");
                    system_param_name(before, what, &out);
                    buf_putc(&out, ' ');
                    param_format(system_param_row(p), now, &out);
                }
            }
        }
    }
    Slice text = arena_copy(arena, out.len ? buf_slice(&out) : SLICE("as it was"));
    buf_done(&out);
    return text;
}

static void summarise(Arena *arena, const System *sys, const Coordinator *c, const Plant *plant,
                      const Watch *w, Negotiated *ret)
{
    Story story = coordinator_story(c);
    ret->policy = describe(arena, sys, plant->sys);
    ret->after = system_copy(arena, plant->sys);
    ret->settled_s = w->settled_s;
    ret->good_s = w->bad_row >= BAD_TO_THE_END ? INFINITY : w->good_s;
    ret->cases = story.cases;
    ret->kept = story.kept;
    ret->rolled_back = story.rolled_back;
    ret->given_up = story.given_up;
    ret->messages = story.messages;
    ret->lost = story.lost;
    ret->decision_ms = (double)story.decision_to_applied_ns / 1e6;
}

// What is under way at the end is answered without management.
static int run_out(Plant *plant, int64_t until_ns, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    int rc = 0;
    while (rc == 0 && plant_now(plant) < until_ns) {
        PlantWindow window;
        arena_reset(arena);
        rc = plant_wait(plant, plant_now(plant) + WINDOW_NS, e);
        if (rc == 0) {
            rc = plant_observe(plant, arena, &window, e);
        }
    }
    arena_destroy(arena);
    return rc;
}

static int steps(const NegotiateOptions *options, Coordinator *c, Plant *plant, Err *e)
{
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        rc = coordinator_step(c, &more, e);
        if (rc == 0 && options->step) {
            rc = options->step(options->context, c, spy_of(plant)->inner, e);
        }
    }
    return rc;
}

int negotiate(Arena *arena, const System *sys, const NegotiateOptions *options, Negotiated *ret,
              Err *e)
{
    Spy spy = {.plant = {.ops = &SPY_OPS}};
    Plant *plant = &spy.plant;
    Coordinator *c = NULL;
    PlantVirtualOptions po = {.seed = options->score.seed, .horizon_ns = options->score.horizon_ns};
    const System *world = options->world ? options->world : sys;
    int rc = plant_virtual_create(world, &po, &spy.inner, e);
    if (rc != 0) {
        return rc;
    }
    plant->sys = spy.inner->sys;
    spy.builder = score_begin(world, &options->score);
    Watch w = {
        .tell = options->tell, .good_from_ns = options->score.good_from_ns, .settled_s = NAN};
    CoordinatorOptions co = options->coordinator;
    co.seed = co.seed ? co.seed : options->score.seed;
    co.duration_ns = options->score.horizon_ns;
    co.hooks = (CoordinatorHooks){&w, on_event, on_window};
    rc = coordinator_create(plant, &co, &c, e);
    if (rc == 0 && (rc = steps(options, c, plant, e)) == 0) {
        rc = run_out(plant, options->score.horizon_ns + GRACE_NS, e);
    }
    *ret = (Negotiated){.score = score_end(spy.builder)};
    if (rc == 0) {
        summarise(arena, world, c, plant, &w, ret);
    }
    coordinator_destroy(c);
    plant_destroy(plant);
    return rc;
}

void without_servers(System *sys)
{
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        SystemAgent *a = &sys->agents[i];
        uint32_t kept = 0;
        SystemRange *ranges = ARENA_ARRAY(sys->arena, SystemRange, a->range_count + 1);
        for (uint32_t r = 0; r < a->range_count; r++) {
            uint16_t p = a->ranges[r].param;
            if (p != SYSTEM_PARAM_SERVERS && p != P_SCALE_TARGET && p != P_SCALE_MIN &&
                p != P_SCALE_MAX) {
                ranges[kept++] = a->ranges[r];
            }
        }
        a->ranges = ranges;
        a->range_count = kept;
    }
}
