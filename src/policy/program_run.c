#include "policy/program_run.h"

#include <assert.h>
#include <math.h>

int policy_set_program(PolicyBlock *block, const PolicyProgram *program, const ProgramRange *ranges,
                       size_t range_count, int64_t now_ns, Err *e)
{
    assert(range_count <= PROGRAM_TARGETS_MAX);
    ProgramRun *run = policy_program(block);
    if (!run) {
        return program ? err_set(e, ERR_REFUSED,
                                 "this was made without room for a policy program; it takes a "
                                 "restart")
                       : 0;
    }
    *run = (ProgramRun){.on = program != NULL};
    policy_watch_changed(block);
    if (!program) {
        return 0;
    }
    run->program = *program;
    run->range_count = (uint32_t)range_count;
    if (range_count > 0) {
        memcpy(run->ranges, ranges, range_count * sizeof *ranges);
    }
    run->begun_ns = run->since_ns = now_ns;
    run->due_ns = now_ns + program->period_ns;
    run->started = block->started;
    run->retries = block->retries;
    run->timeouts = block->timeouts;
    return 0;
}

int64_t policy_program_due(PolicyBlock *block)
{
    const ProgramRun *run = policy_program(block);
    return run && run->on ? run->due_ns : INT64_MAX;
}

void program_watch(ProgramRun *run, ProgramEnd end, int64_t latency_ns)
{
    switch (end) {
    case PROGRAM_OK:
        run->ok++;
        hedge_record(&run->latency, latency_ns);
        break;
    case PROGRAM_FAILED: run->failed++; break;
    case PROGRAM_THROTTLED: run->throttled++; break;
    }
}

static ProgramSeen look(const PolicyBlock *b, const ProgramRun *run, int64_t now_ns)
{
    double seconds = (double)(now_ns - run->since_ns) / 1e9;
    double calls = (double)(b->started - run->started);
    double ended = (double)(run->ok + run->failed + run->throttled);
    bool any = run->latency.samples > 0;
    // A timeout is an overload to the call as well.
    double timeouts = (double)(b->timeouts - run->timeouts);
    double throttled = fmax(0, (double)run->throttled - timeouts);
    ProgramSeen seen;
    seen.sense[SENSE_RATE] = calls / seconds;
    seen.sense[SENSE_P50] = any ? hedge_quantile(&run->latency, 0.5) / 1e9 : NAN;
    seen.sense[SENSE_P99] = any ? hedge_quantile(&run->latency, 0.99) / 1e9 : NAN;
    seen.sense[SENSE_ERRORS] = ended > 0 ? (double)(run->failed + run->throttled) / ended : 0;
    seen.sense[SENSE_TIMEOUTS] = ended > 0 ? fmin(1, timeouts / ended) : 0;
    seen.sense[SENSE_THROTTLED] = ended > 0 ? throttled / ended : 0;
    seen.sense[SENSE_RETRIES] = calls > 0 ? (double)(b->retries - run->retries) / calls : 0;
    seen.sense[SENSE_IN_FLIGHT] = b->limit.in_flight;
    seen.sense[SENSE_WAITING] = b->queue.count;
    seen.sense[SENSE_TIME] = (double)(now_ns - run->begun_ns) / 1e9;
    return seen;
}

static ParamValue held(const ProgramRun *run, ProgramChange change)
{
    for (uint32_t i = 0; i < run->range_count; i++) {
        const ProgramRange *r = &run->ranges[i];
        if (r->param != change.param) {
            continue;
        }
        switch (POLICY_PARAMS[change.param].kind) {
        case PARAM_BOOL:
            return (ParamValue){.boolean = r->low > 0.5 || (change.value.boolean && r->high > 0.5)};
        case PARAM_FLOAT:
            return (ParamValue){.real = fmin(fmax(change.value.real, r->low), r->high)};
        case PARAM_INT:
        case PARAM_DURATION:
        case PARAM_SIZE:
        case PARAM_CHOICE: {
            double number = fmin(fmax((double)change.value.integer, r->low), r->high);
            return (ParamValue){.integer = (int64_t)llround(number)};
        }
        }
    }
    return change.value;
}

void policy_program_tick(PolicyBlock *block, int64_t now_ns)
{
    ProgramRun *run = policy_program(block);
    if (!run || !run->on || now_ns < run->due_ns) {
        return;
    }
    ProgramSeen seen = look(block, run, now_ns);
    ProgramChange changes[PROGRAM_TARGETS_MAX];
    size_t count = program_step(&run->program, &seen, block->p, changes);
    for (size_t i = 0; i < count; i++) {
        // One that contradicts another value (limit.min above limit.max) is left out.
        int rc = policy_set(block, changes[i].param, held(run, changes[i]), now_ns, NULL);
        *(rc == 0 ? &run->changes : &run->refused) += 1;
    }
    run->latency = (HedgeHist){0};
    run->ok = run->failed = run->throttled = 0;
    run->started = block->started;
    run->retries = block->retries;
    run->timeouts = block->timeouts;
    run->since_ns = now_ns;
    run->due_ns = now_ns + run->program.period_ns;
}
