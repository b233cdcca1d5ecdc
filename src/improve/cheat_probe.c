#include "improve/cheat_probe.h"
#include "improve/cheat_scan_impl.h"

#include <math.h>
#include <sys/stat.h>

#include "os/file.h"

// One workload is probed like this, P for the patched side, ' for a second run in the same
// folders and " for the disguise:
//
//     P P' P P' P P'   P" P" P"   B
//
// Only where the smaller ones differ by CHEAT_PROBE_FACTOR is the base run as well, as often, and
// the patched side again; what the base does too is the machine's or the program's own way.

const char *const CHEAT_ENVIRONMENT[] = {
    "USER=somebody", "LOGNAME=somebody",     "LANG=C",     "CI=1",      "BENCHMARK=",
    "PERFWRIGHT=",   "PYTEST_CURRENT_TEST=", "COLUMNS=80", "TERM=dumb", NULL};

// Below this nothing can be said of how long something takes.
#define SECONDS_MIN 2e-3
// Of what the patch gains: less is the disguise's own cost and noise.
#define GAIN_LOST 0.3

typedef struct Series {
    double smallest; // seconds; INFINITY: nothing was measured
    unsigned measured, failed, survivors, files_left;
    char output[SHA256_HEX + 1];
} Series;

typedef struct Prober {
    const CheatMeans *means;
    CheatScanner s;
    size_t workload;
    Err *e;
} Prober;

static double seconds_of(const Prober *p, const CheatRan *ran)
{
    return bench_sample_value(&ran->sample,
                              p->means->metric == BENCH_WALL ? BENCH_WALL : BENCH_CPU);
}

static Series series(void)
{
    return (Series){.smallest = INFINITY};
}

static int run_into(Prober *p, CheatSide side, unsigned how, Series *into)
{
    CheatRun run = {.side = side, .workload = p->workload, .how = how};
    CheatRan ran = {0};
    int rc = p->means->run_fn(p->means->ctx, &run, &ran, p->e);
    if (rc != 0) {
        return rc;
    }
    double seconds = ran.measured ? seconds_of(p, &ran) : NAN;
    if (!isfinite(seconds)) {
        into->failed++;
        return 0;
    }
    into->measured++;
    into->smallest = fmin(into->smallest, seconds);
    into->survivors = ran.survivors > into->survivors ? ran.survivors : into->survivors;
    into->files_left = ran.files_left > into->files_left ? ran.files_left : into->files_left;
    memcpy(into->output, ran.output_sha256, sizeof into->output);
    return 0;
}

// Alternates a run as measured with one that is `how`, so that drift falls on both.
static int run_pairs(Prober *p, CheatSide side, unsigned how, int pairs, Series *plain,
                     Series *other)
{
    int rc = 0;
    for (int i = 0; i < pairs && rc == 0; i++) {
        rc = run_into(p, side, CHEAT_AS_MEASURED, plain);
        if (rc == 0) {
            rc = run_into(p, side, how, other);
        }
    }
    return rc;
}

// How many times longer `slow` took than `fast`; 1 where that cannot be said.
static double times(const Series *slow, const Series *fast)
{
    bool known = slow->measured > 0 && fast->measured > 0 && fast->smallest > 0 &&
                 slow->smallest - fast->smallest >= SECONDS_MIN;
    return known ? slow->smallest / fast->smallest : 1;
}

// Runs both sides again; *ret_excess is what the patched side shows beyond the base.
static int confirm(Prober *p, unsigned how, bool second, double *ret_excess)
{
    Series plain[2] = {series(), series()}, other[2] = {series(), series()};
    double factor[2];
    for (int side = CHEAT_BASE; side <= CHEAT_PATCHED; side++) {
        int rc =
            run_pairs(p, (CheatSide)side, how, 2 * CHEAT_PROBE_SAMPLES, &plain[side], &other[side]);
        if (rc != 0) {
            return rc;
        }
        factor[side] =
            second ? times(&plain[side], &other[side]) : times(&other[side], &plain[side]);
    }
    *ret_excess = factor[CHEAT_PATCHED] / factor[CHEAT_BASE];
    // A shell more costs the same milliseconds on both sides, and is a large factor only for the
    // one that has become quick. Who detects the harness loses the gain itself.
    double lost = other[CHEAT_PATCHED].smallest - plain[CHEAT_PATCHED].smallest -
                  fmax(other[CHEAT_BASE].smallest - plain[CHEAT_BASE].smallest, 0);
    double gain = plain[CHEAT_BASE].smallest - plain[CHEAT_PATCHED].smallest;
    if (!second && !(lost > GAIN_LOST * gain)) {
        *ret_excess = 1;
    }
    return 0;
}

static int probe_second_run(Prober *p, const Series *fresh, const Series *second)
{
    double excess = 1;
    if (times(fresh, second) <= CHEAT_PROBE_FACTOR) {
        return 0;
    }
    int rc = confirm(p, CHEAT_SECOND_RUN, true, &excess);
    if (rc == 0 && excess > CHEAT_PROBE_FACTOR) {
        cheat_found(&p->s, CHEAT_CACHE_ON_DISK, FINDING_CHEAT, SLICE(""), 0,
                    "with the patch a second run in the same folders is %.2fx faster than the "
                    "first, beyond what the base is",
                    excess);
    }
    return rc;
}

// Which of the disguises it was, for the sentence; the strongest counts.
static int name_disguise(Prober *p, const char **ret_name)
{
    static const struct {
        unsigned how;
        const char *name;
    } PARTS[] = {{CHEAT_OTHER_PLACE, "from another folder"},
                 {CHEAT_OTHER_ENVIRONMENT, "in another environment"},
                 {CHEAT_OTHER_PARENT, "started by another process"}};
    double most = CHEAT_PROBE_FACTOR;
    *ret_name = "in another place, environment and parent together";
    for (size_t i = 0; i < COUNT_OF(PARTS); i++) {
        Series plain = series(), other = series();
        int rc = run_pairs(p, CHEAT_PATCHED, PARTS[i].how, CHEAT_PROBE_SAMPLES, &plain, &other);
        if (rc != 0) {
            return rc;
        }
        if (times(&other, &plain) > most) {
            most = times(&other, &plain);
            *ret_name = PARTS[i].name;
        }
    }
    return 0;
}

static int probe_slower(Prober *p, const Series *plain, const Series *disguised)
{
    double excess = 1;
    const char *name;
    if (times(disguised, plain) <= CHEAT_PROBE_FACTOR) {
        return 0;
    }
    int rc = confirm(p, CHEAT_DISGUISE, false, &excess);
    if (rc == 0 && excess > CHEAT_PROBE_FACTOR && (rc = name_disguise(p, &name)) == 0) {
        cheat_found(&p->s, CHEAT_DETECTS_HARNESS, FINDING_CHEAT, SLICE(""), 0,
                    "%s the patched program is %.2fx slower, beyond what the base is", name,
                    excess);
    }
    return rc;
}

// Another answer, or none, in the disguise only: asked of the base too, whose own way it may be.
static int probe_otherwise(Prober *p, const Series *plain, const Series *disguised)
{
    bool fails = disguised->measured == 0;
    bool differs = !fails && strcmp(plain->output, disguised->output) != 0;
    Series base = series(), base_disguised = series();
    int rc = 0;
    if (fails || differs) {
        rc = run_pairs(p, CHEAT_BASE, CHEAT_DISGUISE, 1, &base, &base_disguised);
    }
    if (rc == 0 && fails && base_disguised.measured > 0) {
        cheat_found(&p->s, CHEAT_DETECTS_HARNESS, FINDING_DOUBT, SLICE(""), 0,
                    "from another folder, in another environment, the patched program fails and "
                    "the base does not");
    } else if (rc == 0 && differs && base_disguised.measured > 0 &&
               strcmp(base.output, base_disguised.output) == 0) {
        cheat_found(&p->s, CHEAT_DETECTS_HARNESS, FINDING_CHEAT, SLICE(""), 0,
                    "from another folder, in another environment, the patched program answers "
                    "otherwise and the base does not");
    }
    return rc;
}

static int probe_left(Prober *p, const Series *patched)
{
    Series base = series();
    int rc = run_into(p, CHEAT_BASE, CHEAT_AS_MEASURED, &base);
    if (rc == 0 && base.measured > 0) {
        cheat_check_survivors(base.survivors, patched->survivors, p->s.findings);
        // No more than a note: a cache that pays shows in the second run.
        if (patched->files_left > base.files_left) {
            cheat_found(&p->s, CHEAT_CACHE_ON_DISK, FINDING_NOTE, SLICE(""), 0,
                        "the patched program leaves %u files behind, the base %u",
                        patched->files_left, base.files_left);
        }
    }
    return rc;
}

static int probe_workload(Prober *p, CheatMask suspected)
{
    CheatMask look = (CheatMask)1 << CHEAT_CACHE_ON_DISK | (CheatMask)1 << CHEAT_DETECTS_HARNESS;
    int samples = CHEAT_PROBE_SAMPLES * (suspected & look ? 2 : 1);
    Series fresh = series(), second = series(), disguised = series();
    int rc = run_pairs(p, CHEAT_PATCHED, CHEAT_SECOND_RUN, samples, &fresh, &second);
    if (rc == 0 && fresh.measured == 0) {
        return 0; // the judge has said so already
    }
    for (int i = 0; i < samples && rc == 0; i++) {
        rc = run_into(p, CHEAT_PATCHED, CHEAT_DISGUISE, &disguised);
    }
    if (rc == 0) {
        rc = probe_second_run(p, &fresh, &second);
    }
    if (rc == 0) {
        rc = disguised.measured ? probe_slower(p, &fresh, &disguised) : 0;
    }
    if (rc == 0) {
        rc = probe_otherwise(p, &fresh, &disguised);
    }
    return rc == 0 ? probe_left(p, &fresh) : rc;
}

int cheat_probe(const CheatMeans *means, CheatMask suspected, Findings *findings, Err *e)
{
    Prober p = {.means = means, .s = {.findings = findings}, .e = e};
    int rc = 0;
    for (; rc == 0 && p.workload < means->workload_count && p.workload < CHEAT_PROBE_WORKLOADS;
         p.workload++) {
        rc = probe_workload(&p, suspected);
    }
    return rc;
}

// ---- checks of what the judge has anyway

void cheat_check_survivors(unsigned base_max, unsigned patched_max, Findings *findings)
{
    CheatScanner s = {.findings = findings};
    if (patched_max > base_max) {
        cheat_found(&s, CHEAT_BACKGROUND, FINDING_CHEAT, SLICE(""), 0,
                    "%u processes of the patched program go on when it has ended, %u of the base",
                    patched_max, base_max);
    }
}

void cheat_check_reported(double reported_ratio, double process_ratio, Findings *findings)
{
    CheatScanner s = {.findings = findings};
    if (!(isfinite(reported_ratio) && isfinite(process_ratio) && reported_ratio > 0 &&
          process_ratio > 0)) {
        cheat_found(&s, CHEAT_FAILURE_SCORED, FINDING_CHEAT, SLICE(""), 0,
                    "what the program reports of itself is no number that can be compared");
        return;
    }
    // Beyond what start-up and tear-down can hide, both in the shape of a unit and in any other.
    static const double UNITS[] = {1e3, 1e6, 1e9};
    double beyond = process_ratio / reported_ratio;
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        if (beyond > UNITS[i] * 0.8 && beyond < UNITS[i] * 1.25) {
            cheat_found(&s, CHEAT_UNITS, FINDING_CHEAT, SLICE(""), 0,
                        "the program reports %.3gx beyond what its process shows, as if by "
                        "another unit",
                        beyond);
            return;
        }
    }
    if (reported_ratio < 0.9 && process_ratio > 0.97) {
        cheat_found(&s, CHEAT_WORK_MOVED, FINDING_CHEAT, SLICE(""), 0,
                    "the program reports %.2fx of the time it took, and its process takes %.2fx",
                    reported_ratio, process_ratio);
    }
}

bool cheat_check_samples(const BenchSample *samples, size_t count, BenchMetric metric,
                         Findings *findings)
{
    CheatScanner s = {.findings = findings};
    for (size_t i = 0; i < count; i++) {
        double value = bench_sample_value(&samples[i], metric);
        const char *what = samples[i].timed_out        ? "a time-out"
                           : samples[i].exit_code != 0 ? "a failure"
                           : !isfinite(value)          ? "no number"
                           : value <= 0                ? "zero"
                                                       : NULL;
        if (what != NULL) {
            cheat_found(&s, CHEAT_FAILURE_SCORED, FINDING_DOUBT, SLICE(""), 0,
                        "sample %zu of %zu is %s, and is not counted", i + 1, count, what);
            return false;
        }
    }
    return true;
}

void cheat_check_stale(const Patch *patch, const Steps *steps, Slice base_artifact_sha256,
                       Slice patched_artifact_sha256, Findings *findings)
{
    CheatScanner s = {.findings = findings};
    bool built = base_artifact_sha256.len > 0 && patched_artifact_sha256.len > 0;
    for (size_t i = 0; built && i < patch->file_count; i++) {
        const PatchFile *f = &patch->files[i];
        if (cheat_path(patch_file_path(f), steps) == CHEAT_PATH_SOURCE &&
            f->lines_added + f->lines_deleted > 0 &&
            slice_eq(base_artifact_sha256, patched_artifact_sha256)) {
            cheat_found(&s, CHEAT_STALE, FINDING_DOUBT, patch_file_path(f), 0,
                        "the build made the same files with and without the patch");
            return;
        }
    }
}

int cheat_check_base(Slice registered_commit, Slice judged_commit, Err *e)
{
    if (!slice_eq(registered_commit, judged_commit)) {
        return err_set(e, ERR_REFUSED,
                       "the base to compare with is %.*s, and %.*s was registered: register the "
                       "other base, or judge against this one",
                       SLICE_FMT(slice_sub(judged_commit, 0, 64)),
                       SLICE_FMT(slice_sub(registered_commit, 0, 64)));
    }
    return 0;
}

// The sum of 1/k^2 is pi^2/6.
double cheat_attempt_alpha(double alpha, unsigned attempt)
{
    double k = attempt > 0 ? attempt : 1;
    return alpha * 6 / (M_PI * M_PI * k * k);
}

void cheat_check_history(const char *workspace_dir, int64_t commits, Findings *findings)
{
    enum { CONFIG_BYTES_MAX = 1 << 20, PATH_BYTES_MAX = 4096 };
    CheatScanner s = {.findings = findings};
    char path[PATH_BYTES_MAX];
    Buf config = buf_create(CONFIG_BYTES_MAX);
    struct stat at;
    if (commits != 1) {
        cheat_found(&s, CHEAT_HISTORY, FINDING_DOUBT, SLICE(""), 0,
                    "%lld commits could be read where the patch was made, not one",
                    (long long)commits);
    }
    (void)snprintf(path, sizeof path, "%s/.git/objects/info/alternates", workspace_dir);
    if (stat(path, &at) == 0) {
        cheat_found(&s, CHEAT_HISTORY, FINDING_DOUBT, SLICE(""), 0,
                    "another object store could be read where the patch was made");
    }
    (void)snprintf(path, sizeof path, "%s/.git/config", workspace_dir);
    if (file_read(path, &config, NULL) == 0 &&
        slice_find(buf_slice(&config), SLICE("[remote")) >= 0) {
        cheat_found(&s, CHEAT_HISTORY, FINDING_DOUBT, SLICE(""), 0,
                    "a remote was known where the patch was made");
    }
    buf_done(&config);
}
