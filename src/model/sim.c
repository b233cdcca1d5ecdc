#include "model/sim_impl.h"

#include <math.h>

#include "model/sim_stat.h"
#include "os/jobs.h"
#include "os/thread.h"

// ---- measures by number

static size_t estimates_of(const System *sys, size_t *ret_edges, size_t *ret_agents)
{
    size_t clients = sys->client_count * (sizeof(ClientOutcome) / sizeof(Estimate));
    size_t edges = sys->edge_count * (sizeof(EdgeOutcome) / sizeof(Estimate));
    *ret_edges = clients;
    *ret_agents = clients + edges;
    return clients + edges + sys->agent_count * (sizeof(AgentOutcome) / sizeof(Estimate));
}

size_t sim_measures(const System *sys)
{
    size_t edges, agents;
    return estimates_of(sys, &edges, &agents);
}

const Estimate *sim_measure(const System *sys, const Outcome *outcome, size_t index)
{
    size_t edges, agents;
    (void)estimates_of(sys, &edges, &agents);
    if (index < edges) {
        return (const Estimate *)(const void *)outcome->clients + index;
    }
    if (index < agents) {
        return (const Estimate *)(const void *)outcome->edges + (index - edges);
    }
    return (const Estimate *)(const void *)outcome->agents + (index - agents);
}

static Estimate *measure_of(const System *sys, Outcome *outcome, size_t index)
{
    size_t edges, agents;
    (void)estimates_of(sys, &edges, &agents);
    if (index < edges) {
        return (Estimate *)(void *)outcome->clients + index;
    }
    if (index < agents) {
        return (Estimate *)(void *)outcome->edges + (index - edges);
    }
    return (Estimate *)(void *)outcome->agents + (index - agents);
}

// ---- threads

typedef struct ParallelJob {
    Job job;
    SimTask *run;
    void *context;
    uint32_t index;
    const SimOptions *report;
    uint32_t *done;
    uint32_t of;
} ParallelJob;

static void run_job(Job *job)
{
    ParallelJob *p = CONTAINER_OF(job, ParallelJob, job);
    p->run(p->context, p->index);
}

static void report_done(const SimOptions *report, uint32_t done, uint32_t of)
{
    if (report && report->progress) {
        report->progress(report->context, done, of);
    }
}

static void job_done(Job *job)
{
    ParallelJob *p = CONTAINER_OF(job, ParallelJob, job);
    report_done(p->report, ++*p->done, p->of);
}

static int run_on_threads(uint32_t threads, ParallelJob *jobs, uint32_t count, Err *e)
{
    Loop *loop = NULL;
    JobPool *pool = NULL;
    int rc = loop_create(&(LoopOptions){.post_capacity = count + 1}, &loop, e);
    if (rc == 0) {
        rc = jobs_create(
            &(JobOptions){.name = "simulate", .threads = (int)threads, .queue_max = count}, &pool,
            e);
    }
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = jobs_submit(pool, loop, &jobs[i].job, e);
    }
    if (pool) {
        jobs_drain(pool, loop);
    }
    jobs_destroy(pool);
    loop_destroy(loop);
    return rc;
}

int sim_parallel(uint32_t threads, uint32_t count, SimTask *run, void *context,
                 const SimOptions *report, Err *e)
{
    uint32_t done = 0;
    if (threads == 0) {
        threads = (uint32_t)thread_cpu_count();
    }
    threads = threads < count ? threads : count;
    threads = threads < JOB_THREADS_MAX ? threads : JOB_THREADS_MAX;
    if (threads <= 1) {
        for (uint32_t i = 0; i < count; i++) {
            run(context, i);
            report_done(report, i + 1, count);
        }
        return 0;
    }
    ParallelJob *jobs = mem_zalloc(count * sizeof *jobs);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = (ParallelJob){.job = {.run = run_job, .done = job_done},
                                .run = run,
                                .context = context,
                                .index = i,
                                .report = report,
                                .done = &done,
                                .of = count};
    }
    int rc = run_on_threads(threads, jobs, count, e);
    free(jobs);
    return rc;
}

// ---- all runs into one outcome

static bool is_in(size_t index, size_t first, size_t count)
{
    return index >= first && index < first + count;
}

// A share or a time cannot be negative, nor a share more than 1.
static void clip(const System *sys, Outcome *out)
{
    size_t all = sim_measures(sys);
    for (size_t i = 0; i < all; i++) {
        Estimate *x = measure_of(sys, out, i);
        if (!isnan(x->value)) {
            x->low = fmax(x->low, fmin(0, x->value));
        }
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        out->clients[i].goodput.high = fmin(out->clients[i].goodput.high, 1);
        out->clients[i].errors.high = fmin(out->clients[i].errors.high, 1);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        out->agents[i].wasted.high = fmin(out->agents[i].wasted.high, 1);
    }
}

typedef struct Merge {
    const SimPlan *plan;
    const SimSlot *slots;
    uint32_t count;
    double *values, *controls;
    bool controlled;
} Merge;

static Estimate merge_measure(const Merge *m, size_t index, double *ret_factor)
{
    const System *sys = m->plan->sys;
    double confidence = m->plan->o.confidence;
    *ret_factor = 1;
    if (m->count == 1 && m->plan->sections > 1 && m->slots[0].run.end == SIM_ENDED) {
        for (uint32_t s = 0; s < m->plan->sections; s++) {
            m->values[s] = sim_measure(sys, m->slots[0].sections[s], index)->value;
        }
        double whole = sim_measure(sys, m->slots[0].outcome, index)->value;
        if (isnan(whole)) {
            return (Estimate){NAN, NAN, NAN};
        }
        Estimate x = sim_batch_mean(m->values, m->plan->sections, whole, confidence);
        return isnan(x.value) ? (Estimate){whole, -INFINITY, INFINITY} : x;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        m->values[i] = sim_measure(sys, m->slots[i].outcome, index)->value;
    }
    return m->controlled
               ? sim_controlled_mean(m->values, m->controls, m->count, confidence, ret_factor)
               : sim_mean(m->values, m->count, confidence);
}

// The client whose gain by control variates is told: the first that was promised something.
static uint32_t told_client(const System *sys)
{
    return sys->objective_count > 0 ? sys->objectives[0].client : 0;
}

// The agent whose queue grew most in the windows before the end.
static uint32_t growing_agent(const System *sys, const SimRun *run)
{
    uint32_t worst = 0;
    float most = -1;
    for (uint32_t i = 0; i < sys->agent_count && run->window_count > 0; i++) {
        float waiting = run->agents[(run->window_count - 1) * sys->agent_count + i].waiting;
        worst = waiting > most ? i : worst;
        most = waiting > most ? waiting : most;
    }
    return worst;
}

static void set_reason(Arena *arena, const SimPlan *plan, const SimSlot *slots, uint32_t count,
                       Outcome *out)
{
    const System *sys = plan->sys;
    for (uint32_t i = 0; i < count; i++) {
        const SimRun *run = &slots[i].run;
        if (!run->diverged) {
            continue;
        }
        uint32_t agent = growing_agent(sys, run);
        double waiting =
            run->window_count
                ? (double)run->agents[(run->window_count - 1) * sys->agent_count + agent].waiting
                : 0;
        out->stable = false;
        out->reason = arena_printf(
            arena, "%s: after %.0f s of replication %u, %.0f requests wait at \"%.*s\"",
            run->end == SIM_OVERFLOWED ? "more is under way than can be kept"
                                       : "nothing good comes any more and ever more waits",
            (double)run->ended_ns / NS_PER_SECOND, run->replication, waiting,
            SLICE_FMT(sys->agents[agent].name));
        return;
    }
}

void sim_merge(Arena *arena, const SimPlan *plan, SimSlot *slots, uint32_t count, SimResult *result)
{
    const System *sys = plan->sys;
    uint32_t most = count > plan->sections ? count : plan->sections;
    size_t recovery = offsetof(ClientOutcome, recovery) / sizeof(Estimate);
    Merge m = {.plan = plan,
               .slots = slots,
               .count = count,
               .values = ARENA_ARRAY(arena, double, most),
               .controls = ARENA_ARRAY(arena, double, most),
               .controlled = plan->twin.usable && count >= SIM_CONTROL_RUNS};
    for (uint32_t i = 0; i < count; i++) {
        m.controls[i] = slots[i].run.control;
    }
    Outcome *out = outcome_create(arena, sys);
    out->fidelity = FIDELITY_SIMULATION;
    out->confidence = plan->o.confidence;
    result->control_client = told_client(sys);
    result->control_factor = 1;
    size_t told = result->control_client * (sizeof(ClientOutcome) / sizeof(Estimate)) +
                  offsetof(ClientOutcome, mean) / sizeof(Estimate);
    size_t all = sim_measures(sys);
    for (size_t i = 0; i < all; i++) {
        double factor;
        // A section knows nothing of recovery: that is of the whole run.
        bool whole = count == 1 && i < sys->client_count * (recovery + 1) &&
                     is_in(i % (recovery + 1), recovery, 1);
        Estimate *x = measure_of(sys, out, i);
        if (whole) {
            double value = sim_measure(sys, slots[0].outcome, i)->value;
            *x = (Estimate){value, isnan(value) ? NAN : 0, isnan(value) ? NAN : INFINITY};
            continue;
        }
        *x = merge_measure(&m, i, &factor);
        result->control_factor = i == told ? factor : result->control_factor;
    }
    clip(sys, out);
    set_reason(arena, plan, slots, count, out);
    result->outcome = out;
    result->runs = ARENA_ARRAY(arena, SimRun, count);
    result->run_count = count;
    result->horizon_ns = plan->o.horizon_ns;
    result->warmup_ns = plan->o.warmup_ns;
    result->window_ns = plan->window_ns;
    for (uint32_t i = 0; i < count; i++) {
        result->runs[i] = slots[i].run;
        result->events += slots[i].run.events;
    }
}

// ---- warm-up

// The pilot's windows as one row of numbers: requests under way in the whole system. It is the last
// thing to become steady, because it holds every queue.
static int detect_warmup(const System *sys, SimOptions *o, Err *e)
{
    enum { PILOT = UINT32_MAX / 2 }; // no replication of the run itself has this number
    Arena *arena = arena_create(1 << 30);
    SimPlan plan;
    SimSlot slot;
    SimOptions pilot = *o;
    pilot.warmup_ns = SIM_WARMUP_NONE;
    pilot.replications = 2; // one section: only the windows are looked at
    int rc = sim_plan(arena, sys, &pilot, &plan, e);
    if (rc != 0) {
        arena_destroy(arena);
        return rc;
    }
    sim_slot_init(arena, &plan, PILOT, &slot);
    sim_replicate(&plan, &slot);
    double *level = ARENA_ARRAY(arena, double, slot.run.window_count + 1);
    for (uint32_t w = 0; w < slot.run.window_count; w++) {
        for (uint32_t i = 0; i < sys->agent_count; i++) {
            const SimAgentWindow *a = &slot.run.agents[w * sys->agent_count + i];
            level[w] += (double)a->waiting + (double)a->busy;
        }
    }
    size_t cut = sim_truncation(level, slot.run.window_count);
    // What is not steady by half of the time is measured from there all the same; its intervals and
    // its windows show it.
    size_t half = slot.run.window_count / 2;
    o->warmup_ns = (int64_t)(cut < half ? cut : half) * plan.window_ns;
    o->warmup_ns = o->warmup_ns > 0 ? o->warmup_ns : SIM_WARMUP_NONE;
    arena_destroy(arena);
    return 0;
}

// ---- run

typedef struct Runs {
    const SimPlan *plan;
    SimSlot *slots;
} Runs;

static void run_one(void *context, uint32_t index)
{
    Runs *runs = context;
    sim_replicate(runs->plan, &runs->slots[index]);
}

int sim_run(Arena *arena, const System *sys, const SimOptions *options, SimResult **ret_result,
            Err *e)
{
    int64_t started = clock_now(clock_real());
    SimOptions o = *options;
    SimPlan plan;
    int rc = 0;
    if (o.warmup_ns == SIM_WARMUP_DETECT && (rc = detect_warmup(sys, &o, e)) != 0) {
        return rc;
    }
    if ((rc = sim_plan(arena, sys, &o, &plan, e)) != 0) {
        return rc;
    }
    uint32_t count = plan.o.replications;
    Runs runs = {&plan, ARENA_ARRAY(arena, SimSlot, count)};
    for (uint32_t i = 0; i < count; i++) {
        sim_slot_init(arena, &plan, plan.o.first + i, &runs.slots[i]);
    }
    if ((rc = sim_parallel(plan.o.threads, count, run_one, &runs, &plan.o, e)) != 0) {
        return rc;
    }
    SimResult *result = ARENA_NEW(arena, SimResult);
    sim_merge(arena, &plan, runs.slots, count, result);
    result->outcome->took_ns = clock_now(clock_real()) - started;
    *ret_result = result;
    return 0;
}
