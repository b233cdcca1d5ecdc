// Output equality: on the declared inputs, on those drawn after the patch was fixed, and on small
// variations. The base runs twice first: what it does not say the same way twice says nothing.
#include "improve/equality.h"
#include "improve/judge_impl.h"
#include "os/file.h"

enum { KNOWN_MAX = 1 << 20 }; // bytes of an input or output that are looked through

// Of the measuring budget, for all runs that only compare.
#define EQUAL_SHARE 0.25
// A variation is timed when the base takes no more than so many times longer or shorter on it.
#define NEAR 1.5

typedef struct Compare {
    size_t declared, hidden, varied; // inputs on which both said the same
    size_t skipped;                  // the base does not run on them, or never says the same twice
    bool masked;                     // some only but for numbers about time
    bool cut;                        // the budget ended it
} Compare;

static Slice describe(Judge *j, const JudgeRan *ran)
{
    Buf text = buf_create(4096);
    bench_result_describe(&ran->bench, &text);
    Slice error = slice_trim(buf_slice(&ran->bench.error));
    if (error.len > 0 && ran->bench.sample.exit_code != 0) {
        ptrdiff_t last = -1;
        for (size_t i = 0; i < error.len; i++) {
            last = error.ptr[i] == '\n' ? (ptrdiff_t)i : last;
        }
        error = slice_sub(error, (size_t)(last + 1), 200);
        buf_printf(&text, " (%.*s)", SLICE_FMT(error));
    }
    Slice kept = arena_copy(j->arena, buf_slice(&text));
    buf_done(&text);
    return kept;
}

bool judge_ended(const JudgeRan *ran)
{
    const BenchSample *s = &ran->bench.sample;
    return !s->timed_out && s->signal == 0 && !ran->bench.overflowed;
}

static void broken(Judge *j, const JudgeWork *work, const JudgeInput *in, Slice what)
{
    findings_addf(&j->r->findings, FINDING_BROKEN,
                  in->declared && !in->hidden ? "output"
                  : in->declared              ? "hidden-inputs"
                                              : "variations",
                  SLICE(""), 0, "on workload %.*s with %.*s %.*s", SLICE_FMT(work->workload->name),
                  SLICE_FMT(in->label), SLICE_FMT(what));
}

// What the base says, twice. Sets usable, stable and the times of the input.
int judge_look_at_base(Judge *j, JudgeWork *work, JudgeInput *in, JudgeRan *one, Err *e)
{
    JudgeRan two = judge_ran_create();
    JudgeRunAsk ask = {.capture = true, .pad = 100, .timeout_ns = 3 * JUDGE_SAMPLE_TIMEOUT_NS};
    int rc = judge_run(j, &j->base, work, in, &ask, one, e);
    ask.pad = 1000; // another length of the environment: what depends on it is not stable
    rc = rc == 0 && judge_ended(one) ? judge_run(j, &j->base, work, in, &ask, &two, e) : rc;
    if (rc == 0 && judge_ended(one) && judge_ended(&two)) {
        const BenchSample *a = &one->bench.sample, *b = &two.bench.sample;
        in->usable = a->exit_code == b->exit_code;
        in->base_exit = a->exit_code;
        in->base_wall_s = (double)(a->wall_ns < b->wall_ns ? a->wall_ns : b->wall_ns) / 1e9;
        in->stable = strcmp(one->bench.output_sha256, two.bench.output_sha256) == 0;
        memcpy(in->base_sha256, one->bench.output_sha256, sizeof in->base_sha256);
        Equality eq = equality_of(buf_slice(&one->bench.output), buf_slice(&two.bench.output));
        in->comparable = eq.same != EQUALITY_DIFFERENT;
    }
    judge_ran_done(&two);
    return rc;
}

static void compare_output(Judge *j, const JudgeWork *work, JudgeInput *in, const JudgeRan *base,
                           const JudgeRan *patched, Compare *c)
{
    if (!in->comparable) {
        c->skipped++;
        return;
    }
    Equality eq = equality_of(buf_slice(&base->bench.output), buf_slice(&patched->bench.output));
    if (eq.same == EQUALITY_DIFFERENT) {
        broken(j, work, in,
               arena_printf(j->arena, "the output differs at line %ld: \"%.*s\" became \"%.*s\"",
                            eq.line, SLICE_FMT(eq.base_line), SLICE_FMT(eq.patched_line)));
        return;
    }
    in->masked = eq.same == EQUALITY_BUT_TIMES;
    in->agreed = true;
    c->masked = c->masked || in->masked;
    *(in->declared ? in->hidden ? &c->hidden : &c->declared : &c->varied) += 1;
}

// What everybody could know beforehand: for the search of answers in the patch.
static void keep_known(Judge *j, const JudgeInput *in, const JudgeRan *base)
{
    Slice output = buf_slice(&base->bench.output);
    if (!in->declared || in->hidden) {
        return;
    }
    if (j->known_output_count < JUDGE_KNOWN_MAX && output.len > 0 && output.len <= KNOWN_MAX) {
        j->known_outputs[j->known_output_count++] = arena_copy(j->arena, output);
    }
    for (size_t i = 0; i < in->var_count; i++) {
        Slice name = in->vars[i].value;
        if (!slice_eq(in->vars[i].name, SLICE("input")) || name.len < 3 ||
            j->known_input_count == JUDGE_KNOWN_MAX) {
            continue;
        }
        const char *host = judge_input_host(j, name);
        Buf bytes = buf_create(KNOWN_MAX);
        if (file_read(host, &bytes, NULL) == 0) {
            j->known_inputs[j->known_input_count++] = arena_copy(j->arena, buf_slice(&bytes));
        }
        buf_done(&bytes);
    }
}

static int compare_one(Judge *j, JudgeWork *work, JudgeInput *in, Compare *c, Err *e)
{
    JudgeRan base = judge_ran_create(), patched = judge_ran_create();
    JudgeRunAsk ask = {.capture = true, .pad = 100};
    int rc = judge_look_at_base(j, work, in, &base, e);
    if (rc == 0 && in->usable) {
        keep_known(j, in, &base);
    }
    if (rc == 0 && in->timed && (!in->usable || in->base_exit != 0)) {
        rc = err_set(e, ERR_UNSUPPORTED, "workload %.*s does not run on the base: %.*s",
                     SLICE_FMT(work->workload->name), SLICE_FMT(describe(j, &base)));
    } else if (rc == 0 && !in->usable) {
        c->skipped++;
    } else if (rc == 0 && (rc = judge_run(j, &j->patched, work, in, &ask, &patched, e)) == 0) {
        const BenchSample *s = &patched.bench.sample;
        if (!judge_ended(&patched) || (s->exit_code == 0) != (in->base_exit == 0)) {
            broken(j, work, in,
                   arena_printf(j->arena, "it ends with %.*s, the base with %.*s",
                                SLICE_FMT(describe(j, &patched)), SLICE_FMT(describe(j, &base))));
        } else if (in->base_exit != 0 && !in->declared) {
            c->varied++; // both refuse: with which words is theirs
        } else {
            compare_output(j, work, in, &base, &patched, c);
        }
    }
    judge_ran_done(&base);
    judge_ran_done(&patched);
    return rc;
}

// A workload that fails on a tree it may not write to gets one that it may.
static int choose_tree(Judge *j, JudgeWork *work, Err *e)
{
    Slice output = work->workload->output;
    work->writable = output.len > 0 && !slice_eq(output, SLICE("stdout"));
    if (work->writable || work->timed_count == 0 || j->o->no_sandbox) {
        return 0;
    }
    JudgeRan ran = judge_ran_create();
    JudgeInput probe = work->inputs[work->timed[0]];
    JudgeRunAsk ask = {.timeout_ns = 3 * JUDGE_SAMPLE_TIMEOUT_NS};
    int rc = judge_run(j, &j->base, work, &probe, &ask, &ran, e);
    work->writable = rc == 0 && (!judge_ended(&ran) || ran.bench.sample.exit_code != 0);
    judge_ran_done(&ran);
    return rc;
}

static void report(Judge *j, const JudgeWork *work, const Compare *c)
{
    Slice name = work->workload->name;
    bool unseen = c->hidden > 0;
    if (c->declared + c->hidden > 0) {
        judge_checked(j, "output", true, "%.*s: equal on %zu declared and %zu hidden inputs%s%s",
                      SLICE_FMT(name), c->declared, c->hidden,
                      c->masked ? "; numbers on lines about time were not compared" : "",
                      c->cut ? "; not on all that were drawn, for want of time" : "");
    } else {
        judge_checked(j, "output", false,
                      "%.*s: the base prints something else each time it is run: not compared",
                      SLICE_FMT(name));
    }
    if (!unseen && c->varied > 0) {
        judge_checked(j, "unseen inputs", false,
                      "%.*s: not checked on unseen inputs, since the steps do not say how inputs "
                      "are made; equal on %zu small variations of the command",
                      SLICE_FMT(name), c->varied);
    } else if (!unseen) {
        judge_checked(
            j, "unseen inputs", false,
            "%.*s: not checked on unseen inputs: the steps do not say how inputs are made",
            SLICE_FMT(name));
    }
}

// Variations on which the base takes about as long as on what is claimed are timed as well, in turn
// with it: an answer that is known for one name, one number or one content then gains little.
static void promote_near(JudgeWork *work)
{
    if (work->unseen || work->timed_count == 0) {
        return;
    }
    double claimed = work->inputs[work->timed[0]].base_wall_s;
    for (size_t i = 0; i < work->input_count; i++) {
        JudgeInput *in = &work->inputs[i];
        double factor = in->base_wall_s / claimed;
        if (in->near && in->agreed && !in->timed && in->base_exit == 0 && factor > 1 / NEAR &&
            factor < NEAR && work->timed_count < JUDGE_TIMED_INPUTS) {
            in->timed = true;
            work->timed[work->timed_count++] = i;
        }
    }
}

int judge_check_outputs(Judge *j, Err *e)
{
    int64_t limit = (int64_t)((double)j->budget_ns * EQUAL_SHARE);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < j->work_count; i++) {
        JudgeWork *work = &j->works[i];
        Compare c = {0};
        judge_progress(j, "output", "%.*s on %zu inputs", SLICE_FMT(work->workload->name),
                       work->input_count);
        rc = choose_tree(j, work, e);
        for (size_t k = 0; rc == 0 && k < work->input_count && !judge_condemned(j); k++) {
            if (judge_stopped(j)) {
                return err_set(e, ERR_CANCELLED, "interrupted");
            }
            // What will be timed is looked at whatever it costs.
            if (j->r->measuring_ns > limit && !work->inputs[k].timed) {
                c.cut = true;
                continue;
            }
            rc = compare_one(j, work, &work->inputs[k], &c, e);
        }
        if (rc == 0 && !judge_condemned(j)) {
            promote_near(work);
            report(j, work, &c);
        }
    }
    return rc;
}
