#include "coordinate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "manage/plant_virtual.h"

#define WINDOW_NS (10 * NS_PER_SECOND)
#define GRACE_NS  (65 * NS_PER_SECOND)

typedef struct Watch {
    ScoreBuilder *builder;
    bool tell;
    double good_s, row_s, settled_s, applied_s;
    uint32_t row;
} Watch;

static void on_window(void *context, const PlantWindow *window, const DetectFound *found)
{
    Watch *w = context;
    score_window(w->builder, window);
    w->row = found->count == 0 && found->begun == 0 ? w->row + 1 : 0;
    w->row_s = w->row == 1 ? (double)window->from_ns / 1e9 : w->row_s;
    if (w->row == 3 && isnan(w->good_s)) {
        w->good_s = w->row_s;
    }
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
    ret->good_s = isnan(w->good_s) ? INFINITY : w->good_s;
    ret->cases = story.cases;
    ret->kept = story.kept;
    ret->rolled_back = story.rolled_back;
    ret->given_up = story.given_up;
    ret->messages = story.messages;
    ret->lost = story.lost;
    ret->decision_ms = (double)story.decision_to_applied_ns / 1e6;
}

// What is under way at the end is answered without management.
static int run_out(Plant *plant, ScoreBuilder *b, int64_t until_ns, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    int rc = 0;
    while (rc == 0 && plant_now(plant) < until_ns) {
        PlantWindow window;
        arena_reset(arena);
        rc = plant_wait(plant, plant_now(plant) + WINDOW_NS, e);
        if (rc == 0 && (rc = plant_observe(plant, arena, &window, e)) == 0) {
            score_window(b, &window);
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
            rc = options->step(options->context, c, plant, e);
        }
    }
    return rc;
}

int negotiate(Arena *arena, const System *sys, const NegotiateOptions *options, Negotiated *ret,
              Err *e)
{
    Plant *plant = NULL;
    Coordinator *c = NULL;
    PlantVirtualOptions po = {.seed = options->score.seed, .horizon_ns = options->score.horizon_ns};
    const System *world = options->world ? options->world : sys;
    int rc = plant_virtual_create(world, &po, &plant, e);
    if (rc != 0) {
        return rc;
    }
    Watch w = {.builder = score_begin(world, &options->score),
               .tell = options->tell,
               .good_s = NAN,
               .settled_s = NAN};
    CoordinatorOptions co = options->coordinator;
    co.seed = co.seed ? co.seed : options->score.seed;
    co.duration_ns = options->score.horizon_ns;
    co.hooks = (CoordinatorHooks){&w, on_event, on_window};
    rc = coordinator_create(plant, &co, &c, e);
    if (rc == 0 && (rc = steps(options, c, plant, e)) == 0) {
        rc = run_out(plant, w.builder, options->score.horizon_ns + GRACE_NS, e);
    }
    *ret = (Negotiated){.score = score_end(w.builder)};
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
