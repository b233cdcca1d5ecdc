#include "bench/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "bench/command.h"
#include "os/file.h"
#include "os/host.h"
#include "os/perf_event.h"
#include "stat/dist.h"
#include "stat/sample.h"

static const int64_t BUDGET_NS = 6 * NS_PER_SECOND;
static const int64_t LENGTHS_NS[] = {5 * NS_PER_MS, 20 * NS_PER_MS, 100 * NS_PER_MS};
static const double POWER = 0.9;
// Asymptotic efficiency of the signed-rank test for normal differences (Lehmann, "Nonparametrics",
// 1975, section 4.5).
static const double EFFICIENCY = 3 / 3.14159265358979323846;
enum { PROBE_LOOPS = 20000, CALIBRATIONS = 3, LOOPS_MAX = 1 << 30, PAIRS_MAX = 100 };

const size_t NOISE_PAIRS[NOISE_COUNTS] = {10, 20, 50, 100};

double noise_resolvable(double log_sd, size_t pairs, double alpha, double power)
{
    if (pairs < AB_PAIRS_MIN || !(log_sd >= 0)) {
        return INFINITY;
    }
    double z = dist_normal_quantile(1 - alpha / 2) + dist_normal_quantile(power);
    return expm1(z * log_sd / sqrt((double)pairs * EFFICIENCY));
}

size_t noise_pairs(double log_sd, double effect, double alpha, double power)
{
    double z = dist_normal_quantile(1 - alpha / 2) + dist_normal_quantile(power);
    double root = z * log_sd / log1p(effect);
    double pairs = fmax(AB_PAIRS_MIN, ceil(root * root / EFFICIENCY));
    return pairs <= AB_PAIRS_MAX ? (size_t)pairs : 0;
}

// ---- the spin: a loop of the shell, which every machine has and which asks nothing of the disk

typedef struct Spin {
    char line[160];
    BenchResult result;
    int64_t overheads_ns[AB_SAMPLES_MAX];
    size_t count;
    bool has_instructions;
} Spin;

static void spin_set(Spin *s, int64_t loops)
{
    (void)snprintf(s->line, sizeof s->line, "i=0; while [ $i -lt %lld ]; do i=$((i+1)); done",
                   (long long)loops);
}

static int spin_run(Spin *s, Err *e)
{
    int rc = bench_command_run(&(BenchCommand){.shell = s->line, .timeout_ns = 20 * NS_PER_SECOND},
                               &s->result, e);
    if (rc == 0 && !bench_result_good(&s->result)) {
        rc = err_set(e, ERR_IO, "the shell's loop that measures noise failed");
    }
    return rc;
}

static int spin_calibrate(Spin *s, int64_t length_ns, Err *e)
{
    int64_t best_ns[2] = {INT64_MAX, INT64_MAX};
    for (int i = 0; i < 2 * CALIBRATIONS; i++) {
        spin_set(s, i % 2 ? PROBE_LOOPS : 0);
        int rc = spin_run(s, e);
        if (rc != 0) {
            return rc;
        }
        int64_t wall = s->result.sample.wall_ns;
        best_ns[i % 2] = wall < best_ns[i % 2] ? wall : best_ns[i % 2];
    }
    double each_ns = fmax(1, (double)(best_ns[1] - best_ns[0])) / PROBE_LOOPS;
    double loops = (double)(length_ns - best_ns[0]) / each_ns;
    spin_set(s, loops < 1 ? 1 : loops > LOOPS_MAX ? LOOPS_MAX : (int64_t)loops);
    return 0;
}

static int spin_sample(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    (void)ask;
    Spin *s = ctx;
    int rc = spin_run(s, e);
    if (rc != 0) {
        return rc;
    }
    if (s->count < COUNT_OF(s->overheads_ns)) {
        s->overheads_ns[s->count++] = s->result.overhead_ns;
    }
    s->has_instructions = s->result.sample.instructions > 0;
    ret->end = AB_MEASURED;
    ret->values[0] = bench_sample_value(&s->result.sample, BENCH_WALL);
    ret->values[1] = bench_sample_value(&s->result.sample, BENCH_CPU);
    return 0;
}

// ---- what it says

static double median_wall(const AbResult *r)
{
    double *values = mem_alloc((r->sample_count + 1) * sizeof *values);
    size_t n = 0;
    for (size_t i = 0; i < r->sample_count; i++) {
        if (!r->samples[i].ask.warmup) {
            values[n++] = r->samples[i].values[0];
        }
    }
    double median = n > 0 ? sample_median(values, n) : NAN;
    free(values);
    return median;
}

// CPU time is told in ticks by some kernels: without scatter there is nothing to resolve with.
static double spread(const AbResult *r, size_t metric)
{
    return fmax(r->metrics[metric].log_sd, r->controls[metric].log_sd);
}

static void fill_row(NoiseRow *row, int64_t length_ns, const AbResult *r)
{
    *row = (NoiseRow){.spin_ns = length_ns,
                      .wall_s = median_wall(r),
                      .wall = r->metrics[0],
                      .cpu = r->metrics[1]};
    for (size_t i = 0; i < NOISE_COUNTS; i++) {
        row->resolvable_wall[i] =
            noise_resolvable(spread(r, 0), NOISE_PAIRS[i], AB_ALPHA_DEFAULT, POWER);
        row->resolvable_cpu[i] =
            noise_resolvable(spread(r, 1), NOISE_PAIRS[i], AB_ALPHA_DEFAULT, POWER);
    }
}

static int measure_row(const NoiseOptions *o, Spin *spin, int64_t length_ns, int64_t budget_ns,
                       NoiseRow *row, Err *e)
{
    int rc = spin_calibrate(spin, length_ns, e);
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(8 << 20);
    AbOptions ab = {.sample_fn = spin_sample,
                    .ctx = spin,
                    .metrics = 2,
                    .fixed = true,
                    .max_pairs = PAIRS_MAX,
                    .budget_ns = budget_ns,
                    .seed = o->seed + (uint64_t)length_ns,
                    .progress_fn = o->progress_fn,
                    .progress_ctx = o->progress_ctx};
    AbResult result;
    if ((rc = ab_run(&ab, arena, &result, e)) == 0) {
        fill_row(row, length_ns, &result);
    }
    arena_destroy(arena);
    return rc;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void look_at_machine(NoiseReport *r)
{
    Buf text = buf_create(4096);
    HostInfo info;
    host_info(&info);
    (void)snprintf(r->governor, sizeof r->governor, "%.31s", info.governor);
    if (file_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", &text,
                  NULL) == 0) {
        (void)snprintf(r->clocksource, sizeof r->clocksource, "%.*s",
                       SLICE_FMT(slice_trim(buf_slice(&text))));
    }
    buf_done(&text);
    PerfEvents *events = NULL;
    r->has_cpu_clock =
        perf_events_open(&(PerfOptions){.hz = 99, .user_only = true}, &events, NULL) == 0;
    perf_events_close(events);
}

int noise_measure(const NoiseOptions *options, Arena *arena, NoiseReport *ret_report, Err *e)
{
    const int64_t *lengths = options->lengths_ns ? options->lengths_ns : LENGTHS_NS;
    size_t count = options->lengths_ns ? options->length_count : COUNT_OF(LENGTHS_NS);
    if (count == 0 || count > NOISE_ROWS_MAX) {
        return err_set(e, ERR_ARG, "%zu lengths of spins, the limit is %d", count, NOISE_ROWS_MAX);
    }
    NoiseReport r = {.count = count};
    Spin *spin = ARENA_NEW(arena, Spin);
    spin->result = bench_result_create();
    HostLoad before, after;
    host_load(&before);
    int64_t budget = options->budget_ns > 0 ? options->budget_ns : BUDGET_NS;
    int rc = 0;
    // Longer spins get more of the time, so that all have their pairs.
    for (size_t i = 0; i < count && rc == 0; i++) {
        int64_t share = i + 1 == count ? budget : budget / 4;
        rc = measure_row(options, spin, lengths[i], share, &r.rows[i], e);
        budget -= share;
    }
    bench_result_done(&spin->result);
    if (rc != 0) {
        return rc;
    }
    host_load(&after);
    HostUsage usage = host_usage(&before, &after);
    r.steal = usage.machine_steal;
    r.load1 = before.load1;
    r.has_instructions = spin->has_instructions;
    qsort(spin->overheads_ns, spin->count, sizeof spin->overheads_ns[0], by_time);
    r.overhead_ns = spin->count > 0 ? spin->overheads_ns[spin->count / 2] : 0;
    look_at_machine(&r);
    *ret_report = r;
    return 0;
}
