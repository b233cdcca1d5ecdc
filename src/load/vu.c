#include "load/check.h"
#include "load/feed.h"
#include "load/shard.h"

enum { VALUE_BYTES_MAX = 1 << 20, BODY_BYTES_MAX = 64 << 20 };

Vu *vu_create(Shard *shard, ScenarioRun *run, uint32_t index, uint32_t id)
{
    const Plan *plan = engine_plan(shard->engine);
    Vu *vu = mem_zalloc(sizeof *vu);
    vu->shard = shard;
    vu->run = run;
    vu->index = index;
    vu->id = id;
    vu->client = http_client_create(shard->http);
    vu->response = http_response_create(NULL);
    vu->url = buf_create(URL_BYTES_MAX);
    vu->target = buf_create(URL_BYTES_MAX);
    vu->header_text = buf_create(HTTP_HEAD_BYTES_MAX);
    vu->body = buf_create(BODY_BYTES_MAX);
    vu->decoded = buf_create(BODY_BYTES_MAX);
    vu->iteration = -1;
    if (plan->variable_count > 0) {
        vu->variables = mem_alloc(plan->variable_count * sizeof(Slice));
        vu->extracted = mem_zalloc(plan->variable_count * sizeof(Buf));
        for (uint32_t i = 0; i < plan->variable_count; i++) {
            vu->variables[i] = engine_start_value(shard->engine, i);
        }
    }
    if (plan->feed_count > 0) {
        vu->rows = mem_zalloc(plan->feed_count * sizeof(Slice *));
    }
    vu->scope = (TemplateScope){
        .variables = vu->variables,
        .rows = vu->rows,
        .vu = id,
        .run_id = engine_options(shard->engine)->run_id,
        .scenario = run ? run->plan->name : (Slice){0},
        .rng = &vu->rng,
    };
    return vu;
}

void vu_destroy(Vu *vu)
{
    if (!vu) {
        return;
    }
    const Plan *plan = engine_plan(vu->shard->engine);
    loop_timer_cancel(vu->shard->loop, &vu->leave_timer);
    http_client_destroy(vu->client);
    http_response_done(&vu->response);
    buf_done(&vu->url);
    buf_done(&vu->target);
    buf_done(&vu->header_text);
    free(vu->headers);
    buf_done(&vu->body);
    buf_done(&vu->decoded);
    for (size_t i = 0; vu->extracted && i < plan->variable_count; i++) {
        buf_done(&vu->extracted[i]);
    }
    free(vu->extracted);
    free(vu->variables);
    free(vu->rows);
    free(vu);
}

bool vu_extract(Vu *vu, const PlanExtract *extract, const CheckAnswer *answer)
{
    Buf *b = &vu->extracted[extract->variable];
    if (b->max == 0) {
        *b = buf_create(VALUE_BYTES_MAX);
    }
    buf_reset(b);
    bool found = extract_take(extract, answer, &vu->url, b) && !b->overflowed;
    if (found) {
        vu->variables[extract->variable] = buf_slice(b);
    }
    return found;
}

// The rows of the iteration that begins; false past the end of a feed that stops.
static bool take_rows(Vu *vu)
{
    const Plan *plan = engine_plan(vu->shard->engine);
    for (size_t i = 0; i < plan->feed_count; i++) {
        if (vu->run->uses_feed[i]) {
            vu->rows[i] = feed_row(&plan->feeds[i], plan->seed, vu->id, vu->iteration, vu->number);
            if (!vu->rows[i]) {
                return false;
            }
        }
    }
    return true;
}

// Random numbers belong to the iteration, not to the VU that happens to run it: equal seeds give
// equal requests whoever is free first. Made on first use; most iterations draw none.
static void make_rng(Vu *vu)
{
    if (!vu->rng_ready) {
        Slice stream = vu->run ? vu->run->rng_name : SLICE("setup");
        vu->rng = rng_stream(engine_plan(vu->shard->engine)->seed, stream, (uint64_t)vu->number);
        vu->rng_ready = true;
    }
}

Rng *vu_rng(Vu *vu)
{
    make_rng(vu);
    return &vu->rng;
}

// ---- steps

static int run_actions(Vu *vu, const Action *actions, size_t count);

static int run_choice(Vu *vu, const Action *a)
{
    const PlanStep *chosen = step_choose(a->step, vu_rng(vu));
    return chosen ? run_actions(vu, &a->children[chosen - a->step->steps], 1) : 0;
}

static int run_group(Vu *vu, const Action *a)
{
    int64_t begin_ns = loop_clock(vu->shard->loop);
    int rc = run_actions(vu, a->children, a->child_count);
    if (rc != ERR_CANCELLED && a->group_duration) {
        recorder_trend(a->group_duration, loop_clock(vu->shard->loop) - begin_ns);
    }
    return rc;
}

static int run_action(Vu *vu, const Action *a)
{
    switch (a->step->kind) {
    case STEP_REQUEST: {
        bool failed;
        return vu_request(vu, a->site, &failed, NULL);
    }
    case STEP_THINK: {
        int64_t pause_ns = think_sample(&a->step->think, vu_rng(vu));
        return pause_ns > 0 ? fiber_sleep(pause_ns) : 0;
    }
    case STEP_CHOOSE: return run_choice(vu, a);
    case STEP_GROUP: return run_group(vu, a);
    }
    return 0;
}

static int run_actions(Vu *vu, const Action *actions, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = run_action(vu, &actions[i]);
    }
    return rc;
}

// ---- iterations

static void begin_iteration(Vu *vu, int64_t number, int64_t intended_ns)
{
    vu->iteration++;
    vu->number = number;
    vu->intended_ns = intended_ns;
    vu->first_request = true;
    vu->rng_ready = false;
    vu->busy = true;
    vu->scope.iteration = vu->iteration;
    vu->scope.iteration_in_test = number;
    vu->shard->counters.vus++;
    vu->run->started++;
}

static void end_iteration(Vu *vu, int rc, int64_t start_ns)
{
    Shard *shard = vu->shard;
    ScenarioRun *run = vu->run;
    int64_t end_ns = loop_clock(shard->loop);
    vu->busy = false;
    shard->counters.vus--;
    shard->counters.last_active_ns = end_ns;
    if (rc == ERR_CANCELLED || fiber_is_cancelled()) {
        shard->counters.interrupted++;
        return;
    }
    shard->counters.iterations++;
    recorder_count(run->iterations, 1);
    recorder_trend(run->iteration_duration, end_ns - start_ns);
}

void vu_iterate(Vu *vu, int64_t number, int64_t intended_ns)
{
    ScenarioRun *run = vu->run;
    Loop *loop = vu->shard->loop;
    int64_t round_ns = loop_now(loop);
    begin_iteration(vu, number, intended_ns);
    if (!take_rows(vu)) {
        // No data, so no iteration: the scenario is at its end.
        vu->busy = false;
        vu->shard->counters.vus--;
        run->started--;
        run_end(run);
        return;
    }
    int64_t start_ns = loop_clock(loop);
    end_iteration(vu, run_actions(vu, run->actions, run->action_count), start_ns);
    if (loop_now(loop) == round_ns) {
        // It never waited: let the loop breathe. Being cancelled shows in the next look.
        int ignored = fiber_yield();
        (void)ignored;
    }
}
