// The repository's own tests, before and after: none fewer, none newly skipped, none newly failing.
// The tests themselves are the base's on both sides.
#include "improve/judge_impl.h"
#include "improve/tests_count.h"
#include "os/file.h"

enum { LOG_BYTES_MAX = 16 << 20 };

typedef struct Outcome {
    bool ok; // every step ended with 0
    bool timed_out;
    int exit_code;
    TestCount count;
    int64_t wall_ns;
    Slice tail;
} Outcome;

static int run_once(Judge *j, const JudgeSide *side, const StepRunOptions *extra, Outcome *out,
                    Err *e)
{
    // In a copy: tests leave files behind that must not be in what is timed.
    Workspace *ws;
    int rc = workspace_copy(side->built, j->arena, &ws, e);
    if (rc != 0) {
        return rc;
    }
    char what[64];
    (void)snprintf(what, sizeof what, "test %s", side->name);
    const char *log = arena_printf(j->arena, "%s/test.log", workspace_root(ws)).ptr;
    *out = (Outcome){.ok = true};
    for (size_t i = 0; rc == 0 && i < j->steps->test.count; i++) {
        StepRunOptions o = extra ? *extra : (StepRunOptions){0};
        StepResult result;
        o.log_path = log;
        o.log_bytes_max = LOG_BYTES_MAX;
        rc = judge_step(j, what, ws, &j->steps->test.items[i], &o, &result, e);
        if (rc != 0) {
            break;
        }
        Buf text = buf_create(2 * LOG_BYTES_MAX);
        TestCount n = {0};
        if (file_read(log, &text, NULL) == 0) {
            n = tests_count(buf_slice(&text));
        }
        buf_done(&text);
        out->ok = out->ok && result.end == STEP_OK;
        out->exit_code = result.end == STEP_OK   ? out->exit_code
                         : result.exit_code != 0 ? result.exit_code
                                                 : -1;
        out->timed_out = out->timed_out || result.end == STEP_TIMED_OUT;
        out->wall_ns += result.wall_ns;
        out->tail = result.end == STEP_OK && out->tail.len > 0 ? out->tail : result.tail;
        out->count.framework = n.framework ? n.framework : out->count.framework;
        out->count.passed += n.passed;
        out->count.failed += n.failed;
        out->count.skipped += n.skipped;
    }
    j->r->testing_ns += out->wall_ns;
    workspace_destroy(ws);
    return rc;
}

static const char *worse(const Outcome *base, const Outcome *patched)
{
    if (base->count.framework && patched->count.framework) {
        const char *why = tests_count_worse(&base->count, &patched->count);
        if (why) {
            return why;
        }
    }
    if (base->ok && !patched->ok) {
        return patched->timed_out ? "they do not end" : "they fail";
    }
    return base->count.framework && !patched->count.framework ? "their summary is gone" : NULL;
}

static void note_counts(Judge *j, const Outcome *base, const Outcome *patched)
{
    JudgeTests *t = &j->r->tests;
    t->ran = true;
    t->counted = base->count.framework != NULL;
    t->framework = slice_from_cstr(base->count.framework);
    t->base_passed = base->count.passed;
    t->base_failed = base->count.failed;
    t->base_skipped = base->count.skipped;
    t->base_exit = base->exit_code;
    t->patched_passed = patched->count.passed;
    t->patched_failed = patched->count.failed;
    t->patched_skipped = patched->count.skipped;
    t->patched_exit = patched->exit_code;
}

// Both once more: a test that fails now and then must not condemn a patch, nor a lucky run save it.
static int again(Judge *j, Outcome *base, Outcome *patched, bool *ret_flaky, Err *e)
{
    Outcome base2, patched2;
    judge_progress(j, "tests", "once more on both sides");
    int rc = run_once(j, &j->base, NULL, &base2, e);
    rc = rc == 0 ? run_once(j, &j->patched, NULL, &patched2, e) : rc;
    if (rc != 0) {
        return rc;
    }
    bool base_flaky = worse(base, &base2) || worse(&base2, base);
    *ret_flaky = base_flaky || !worse(&base2, &patched2);
    if (base_flaky) { // the worse of its two runs is what the patch must not fall below
        *base = worse(base, &base2) ? base2 : *base;
    }
    *patched = worse(&patched2, patched) ? patched2 : *patched;
    return 0;
}

static void say(Judge *j, const Outcome *base, const Outcome *patched, bool flaky)
{
    const char *why = worse(base, patched);
    if (why && !flaky) {
        findings_addf(&j->r->findings, FINDING_BROKEN, "tests", SLICE(""), 0,
                      "%s with the patch: %lld passed, %lld failed, %lld skipped before; %lld, "
                      "%lld, %lld after (exit code %d)",
                      why, (long long)base->count.passed, (long long)base->count.failed,
                      (long long)base->count.skipped, (long long)patched->count.passed,
                      (long long)patched->count.failed, (long long)patched->count.skipped,
                      patched->exit_code);
    } else if (why) {
        findings_addf(&j->r->findings, FINDING_DOUBT, "tests-flaky", SLICE(""), 0,
                      "the tests do not say the same twice, and said once that %s with the patch",
                      why);
    }
    if (base->count.framework) {
        judge_checked(j, "tests", true, "%lld pass before, %lld after (%s)%s",
                      (long long)base->count.passed, (long long)patched->count.passed,
                      base->count.framework,
                      base->ok ? "" : "; the base itself does not pass all of its own");
    } else {
        judge_checked(j, "tests", true, "exit code %d before, %d after; how many is not said",
                      base->exit_code, patched->exit_code);
    }
}

int judge_run_tests(Judge *j, Err *e)
{
    if (j->steps->test.count == 0) {
        judge_checked(j, "tests", false, "no test step is known");
        return 0;
    }
    Outcome base, patched;
    bool flaky = false;
    judge_progress(j, "tests", "the base");
    int rc = run_once(j, &j->base, NULL, &base, e);
    if (rc == 0 && base.timed_out) {
        judge_checked(j, "tests", false, "they do not end in time on the base");
        return 0;
    }
    j->test_ns = base.wall_ns;
    judge_progress(j, "tests", "the patched side");
    rc = rc == 0 ? run_once(j, &j->patched, NULL, &patched, e) : rc;
    if (rc == 0 && worse(&base, &patched)) {
        rc = again(j, &base, &patched, &flaky, e);
    }
    if (rc == 0) {
        note_counts(j, &base, &patched);
        say(j, &base, &patched, flaky);
    }
    return rc;
}
