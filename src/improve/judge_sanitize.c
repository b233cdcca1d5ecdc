// Builds with other flags than the repository's: sanitizers, other code layouts.
//
// Build systems disagree about how flags are given (CFLAGS, -DCMAKE_C_FLAGS, options of meson), and
// plain commands take none. What all of them do is to call a compiler by its name, so the names are
// what is replaced: a directory before all others in PATH holds cc, gcc, c++ and so on, which call
// the real one with the flags appended. Both sides get the same.
#include <sys/stat.h>
#include <unistd.h>

#include "improve/judge_impl.h"
#include "os/file.h"

#define SHIM_INSIDE "/opt/shim/bin"
enum { RUNS_MAX = 12 };

// Arithmetic that wraps, shifts and loads that are not aligned are undefined in C and defined by
// every compiler that the programs we judge are built with; hash functions live on them. What is
// looked for is memory that is not theirs, and values that no platform defines.
static const char SANITIZE[] =
    "-g -fno-omit-frame-pointer "
    "-fsanitize=address,bounds,null,return,unreachable,vla-bound,integer-divide-by-zero "
    "-fno-sanitize-recover=all";

static int write_shims(const char *dir, const char *flags, size_t *ret_count, Err *e)
{
    static const char *const NAMES[] = {"cc",     "gcc",    "clang",   "c99",    "c11",
                                        "c++",    "g++",    "clang++", "gcc-12", "g++-12",
                                        "gcc-13", "g++-13", "gcc-14",  "g++-14"};
    int rc = dir_make_all(dir, e);
    *ret_count = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(NAMES); i++) {
        char real[128], path[4096], text[1024];
        (void)snprintf(real, sizeof real, "/usr/bin/%s", NAMES[i]);
        if (access(real, X_OK) != 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", dir, NAMES[i]);
        int n = snprintf(text, sizeof text, "#!/bin/sh\nexec %s \"$@\" %s\n", real, flags);
        FileWriteOptions o = {.mode = 0755, .no_sync = true};
        rc = file_write(path, (Slice){text, (size_t)n}, &o, e);
        if (rc == 0 && chmod(path, 0755) != 0) {
            rc = err_set(e, ERR_IO, "cannot make %s executable", path);
        }
        ++*ret_count;
    }
    return rc;
}

int judge_build_flagged(Judge *j, const char *flags, JudgeSide *base, JudgeSide *patched,
                        bool *ret_ok, Err *e)
{
    *base = (JudgeSide){.name = "base", .source = j->base.source};
    *patched = (JudgeSide){.name = "patched", .source = j->patched.source};
    *ret_ok = false;
    const char *dir =
        arena_printf(j->arena, "%s/shim-%u", workspace_root(j->base.source), j->files++).ptr;
    size_t count;
    int rc = write_shims(dir, flags, &count, e);
    if (rc != 0 || count == 0 || j->o->no_sandbox) {
        return rc;
    }
    SandboxMount mount = {dir, SHIM_INSIDE, false};
    StepRunOptions o = {.sandbox = {.mounts = &mount, .mount_count = 1, .path_first = SHIM_INSIDE}};
    rc = judge_build(j, base, &o, ret_ok, e);
    return rc == 0 && *ret_ok ? judge_build(j, patched, &o, ret_ok, e) : rc;
}

static void drop(Judge *j, JudgeSide *side)
{
    side->source = NULL; // belongs to the first session
    judge_side_done(j, side, false);
}

// The line in which a sanitizer says what it found; empty without.
static Slice complaint(const JudgeRan *ran)
{
    static const char *const MARKS[] = {"SUMMARY: AddressSanitizer",
                                        "runtime error:", "ERROR: AddressSanitizer"};
    Slice text = buf_slice(&ran->bench.error);
    for (size_t i = 0; i < COUNT_OF(MARKS); i++) {
        Slice rest = text, line;
        while (rest.len > 0) {
            (void)slice_cut(rest, '\n', &line, &rest);
            if (slice_find(line, slice_from_cstr(MARKS[i])) >= 0) {
                return slice_sub(line, 0, 300);
            }
        }
    }
    return (Slice){0};
}

typedef struct Sanitized {
    size_t clean, unclean_base;
} Sanitized;

static int run_one(Judge *j, JudgeSide *base, JudgeSide *patched, const JudgeWork *work,
                   const JudgeInput *in, Sanitized *s, Err *e)
{
    static const char *const ENV[] = {
        "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:exitcode=99", NULL};
    JudgeRan a = judge_ran_create(), b = judge_ran_create();
    JudgeRunAsk ask = {.env_extra = ENV, .timeout_ns = 3 * JUDGE_SAMPLE_TIMEOUT_NS};
    int rc = judge_run(j, base, work, in, &ask, &a, e);
    bool clean = rc == 0 && complaint(&a).len == 0 && !a.bench.sample.timed_out &&
                 a.bench.sample.exit_code == in->base_exit;
    if (rc == 0 && !clean) {
        s->unclean_base++;
    } else if (rc == 0 && (rc = judge_run(j, patched, work, in, &ask, &b, e)) == 0) {
        Slice words = complaint(&b);
        if (words.len > 0) {
            findings_addf(&j->r->findings, FINDING_BROKEN, "sanitizers", SLICE(""), 0,
                          "on workload %.*s with %.*s the patched side has an error that the base "
                          "has not: %.*s",
                          SLICE_FMT(work->workload->name), SLICE_FMT(in->label), SLICE_FMT(words));
        }
        s->clean += words.len == 0;
    }
    judge_ran_done(&a);
    judge_ran_done(&b);
    return rc;
}

static int run_all(Judge *j, JudgeSide *base, JudgeSide *patched, Sanitized *s, Err *e)
{
    int rc = 0;
    size_t runs = 0;
    for (size_t i = 0; rc == 0 && i < j->work_count; i++) {
        const JudgeWork *work = &j->works[i];
        // From the end: odd sizes and variations are where memory goes wrong.
        for (size_t k = work->input_count; rc == 0 && k > 0 && runs < RUNS_MAX; k--) {
            const JudgeInput *in = &work->inputs[k - 1];
            if (judge_condemned(j) || judge_stopped(j)) {
                return 0;
            }
            if (in->usable) {
                runs++;
                rc = run_one(j, base, patched, work, in, s, e);
            }
        }
    }
    return rc;
}

int judge_sanitize(Judge *j, Err *e)
{
    if (!j->c_touched || !j->base.machine_code || j->o->no_sandbox) {
        judge_checked(j, "sanitizers", false,
                      j->o->no_sandbox ? "not without the sandbox"
                                       : "the patch changes no C or C++ that is compiled here");
        return 0;
    }
    JudgeSide base, patched;
    bool ok = false;
    int64_t measured = j->r->measuring_ns;
    judge_progress(j, "sanitizers", "building both sides with them");
    Sanitized s = {0};
    int rc = judge_build_flagged(j, SANITIZE, &base, &patched, &ok, e);
    if (rc == 0 && ok) {
        rc = run_all(j, &base, &patched, &s, e);
    }
    // These runs are no measurements, and do not come out of their budget.
    j->r->testing_ns += j->r->measuring_ns - measured;
    j->r->measuring_ns = measured;
    drop(j, &base);
    drop(j, &patched);
    if (rc == 0) {
        judge_checked(j, "sanitizers", s.clean > 0,
                      !ok           ? "the repository does not build with them"
                      : s.clean > 0 ? "address and bounds: clean on %zu inputs"
                                    : "the base itself is not clean with them (%zu inputs)",
                      s.clean > 0 ? s.clean : s.unclean_base);
    }
    return rc;
}
