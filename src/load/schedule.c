#include "load/schedule.h"

#include <assert.h>
#include <math.h>

// Areas are kept in units of 1/(2 * timeUnit) iterations: a stage of `duration` nanoseconds from
// rate `from` to rate `to` then has the area duration * (from + to), a whole number. So the number
// of iterations and the part of a stage that lies before one are exact however long the test is;
// rounding happens once, in the last step to a time.
typedef __int128 Area;

typedef struct Ramp {
    int64_t start_ns;
    int64_t duration_ns;
    int64_t from, to; // iterations per timeUnit
    Area before;      // area of all earlier ramps
    Area area;
} Ramp;

struct Schedule {
    int64_t time_unit_ns;
    int64_t duration_ns;
    int64_t first; // the target of iteration 0, in iterations
    int64_t count;
    bool poisson;
    uint64_t seed;
    Slice name;
    Area total;
    const Ramp *ramps;
    size_t ramp_count;
};

static bool is_constant(const PlanScenario *p)
{
    return p->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE;
}

static int64_t count_iterations(const Schedule *s, bool constant)
{
    Area unit = (Area)2 * s->time_unit_ns;
    if (s->poisson) {
        return (int64_t)((s->total + unit / 2) / unit);
    }
    // The iterations of a constant rate start at 0 and before the end, those of a ramp whenever a
    // whole number is reached, the end included.
    return (int64_t)(constant ? (s->total + unit - 1) / unit : s->total / unit);
}

Schedule *schedule_create(Arena *arena, const PlanScenario *p, uint64_t seed)
{
    assert(is_constant(p) || p->executor == EXECUTOR_RAMPING_ARRIVAL_RATE);
    assert(p->time_unit_ns > 0);
    Schedule *s = ARENA_NEW(arena, Schedule);
    PlanStage flat = {.duration_ns = p->duration_ns, .target = p->rate};
    const PlanStage *stages = is_constant(p) ? &flat : p->stages;
    s->ramp_count = is_constant(p) ? 1 : p->stage_count;
    Ramp *ramps = ARENA_ARRAY(arena, Ramp, s->ramp_count);
    int64_t rate = is_constant(p) ? p->rate : p->start_rate;
    for (size_t i = 0; i < s->ramp_count; i++) {
        ramps[i] = (Ramp){.start_ns = s->duration_ns,
                          .duration_ns = stages[i].duration_ns,
                          .from = rate,
                          .to = stages[i].target,
                          .before = s->total,
                          .area = (Area)stages[i].duration_ns * (rate + stages[i].target)};
        s->duration_ns += stages[i].duration_ns;
        s->total += ramps[i].area;
        rate = stages[i].target;
    }
    s->ramps = ramps;
    s->time_unit_ns = p->time_unit_ns;
    s->poisson = p->poisson;
    s->first = is_constant(p) ? 0 : 1;
    s->seed = seed;
    s->name = arena_printf(arena, "arrivals/%.*s", SLICE_FMT(p->name));
    s->count = count_iterations(s, is_constant(p));
    return s;
}

int64_t schedule_count(const Schedule *s)
{
    return s->count;
}

// The ramp running at `at_ns`; behind the end the last one.
static const Ramp *ramp_at(const Schedule *s, int64_t at_ns)
{
    size_t i = 0;
    while (i + 1 < s->ramp_count && at_ns >= s->ramps[i].start_ns + s->ramps[i].duration_ns) {
        i++;
    }
    return &s->ramps[i];
}

double schedule_area(const Schedule *s, int64_t at_ns)
{
    double unit = 2 * (double)s->time_unit_ns;
    if (s->ramp_count == 0 || at_ns <= 0) {
        return 0;
    }
    if (at_ns >= s->duration_ns) {
        return (double)s->total / unit;
    }
    const Ramp *r = ramp_at(s, at_ns);
    double x = (double)(at_ns - r->start_ns);
    double slope = (double)(r->to - r->from) / (double)r->duration_ns;
    return ((double)r->before + x * (2 * (double)r->from + slope * x)) / unit;
}

double schedule_rate(const Schedule *s, int64_t at_ns)
{
    if (s->ramp_count == 0) {
        return 0;
    }
    const Ramp *r = ramp_at(s, at_ns < 0 ? 0 : at_ns);
    double rate = (double)r->to;
    int64_t x = (at_ns < 0 ? 0 : at_ns) - r->start_ns;
    if (x < r->duration_ns) {
        rate = (double)r->from + (double)(r->to - r->from) * ((double)x / (double)r->duration_ns);
    }
    return rate * (double)NS_PER_SECOND / (double)s->time_unit_ns;
}

// How long the rate needs, growing from `low` to `high` over `duration`, to cover `area`:
// low * x + (high - low) / (2 * duration) * x^2 = area / 2. The form of the quadratic's solution
// with the root below the line: only sums of positive numbers, so nothing cancels.
static double ramp_time(double low, double high, double duration, double area)
{
    double root = sqrt(low * low + (high - low) / duration * area);
    return area / (low + root);
}

// The time within a ramp at which `area` of it is done; 0 <= area <= r->area. A falling ramp is
// measured from its end, because from its start the root would be the difference of two nearly
// equal numbers wherever the rate nears zero (18 us off at the end of half an hour).
static int64_t time_in_ramp(const Ramp *r, Area area)
{
    double x = 0;
    if (area <= 0) {
        return 0;
    }
    if (r->from == r->to) {
        return (int64_t)(area / ((Area)2 * r->from));
    }
    if (r->from < r->to) {
        x = ramp_time((double)r->from, (double)r->to, (double)r->duration_ns, (double)area);
    } else {
        Area rest = r->area - area;
        double back = rest <= 0 ? 0
                                : ramp_time((double)r->to, (double)r->from, (double)r->duration_ns,
                                            (double)rest);
        x = (double)r->duration_ns - back;
    }
    int64_t ns = (int64_t)x;
    return ns < r->duration_ns ? ns : r->duration_ns;
}

ScheduleCursor schedule_cursor(const Schedule *s, uint32_t thread, uint32_t threads)
{
    assert(threads > 0 && thread < threads);
    return (ScheduleCursor){
        .schedule = s, .index = thread, .threads = threads, .rng = rng_stream(s->seed, s->name, 0)};
}

// Every thread draws every gap and uses its own, so that the times do not depend on the number of
// threads. A draw costs some 20 ns.
static Area poisson_target(ScheduleCursor *c)
{
    for (; c->drawn <= c->index; c->drawn++) {
        c->sum += rng_exponential(&c->rng, 1.0);
    }
    return (Area)(c->sum * 2 * (double)c->schedule->time_unit_ns);
}

bool schedule_next(ScheduleCursor *c, int64_t *ret_index, int64_t *ret_ns)
{
    const Schedule *s = c->schedule;
    Area target = 0;
    if (s->poisson) {
        target = poisson_target(c);
        if (target > s->total || s->total == 0) {
            return false;
        }
    } else {
        if (c->index >= s->count) {
            return false;
        }
        target = ((Area)c->index + s->first) * 2 * s->time_unit_ns;
    }
    while (c->stage + 1 < s->ramp_count &&
           target > s->ramps[c->stage].before + s->ramps[c->stage].area) {
        c->stage++;
    }
    const Ramp *r = &s->ramps[c->stage];
    *ret_index = c->index;
    *ret_ns = r->start_ns + time_in_ramp(r, target - r->before);
    c->index += c->threads;
    return true;
}

int64_t stripe_share(int64_t count, uint32_t thread, uint32_t threads)
{
    assert(threads > 0 && thread < threads);
    return count <= (int64_t)thread ? 0 : (count - thread - 1) / threads + 1;
}

int64_t scenario_iterations(const PlanScenario *p)
{
    switch (p->executor) {
    case EXECUTOR_SHARED_ITERATIONS: return p->iterations;
    case EXECUTOR_PER_VU_ITERATIONS: return p->iterations * p->vus;
    case EXECUTOR_CONSTANT_VUS:
    case EXECUTOR_RAMPING_VUS: return -1;
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE: break;
    }
    Arena *scratch = arena_create(1 << 20);
    int64_t count = schedule_count(schedule_create(scratch, p, 0));
    arena_destroy(scratch);
    return count;
}

int64_t scenario_duration_ns(const PlanScenario *p)
{
    switch (p->executor) {
    case EXECUTOR_SHARED_ITERATIONS:
    case EXECUTOR_PER_VU_ITERATIONS: return p->max_duration_ns;
    case EXECUTOR_CONSTANT_VUS:
    case EXECUTOR_RAMPING_VUS:
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE: break;
    }
    return p->duration_ns;
}
