// Speed: sessions of random-order rounds (bench/ab.h) on inputs that nobody knew, in the sandbox
// that is held open; a second session in fresh copies; other code layouts where the effect is
// small.
#include <math.h>

#include "improve/judge_impl.h"
#include "stat/ranks.h"
#include "stat/sample.h"

enum {
    PAIRS_MAX = 200,
    GLANCE_ROUNDS = 3,
    PAIRS_SECOND = 60,
    PAIRS_LAYOUT = 16,
    PAD_BYTES_MAX = 4096,
    VALUE_WALL = 1, // of AbMeasured.values; [0] is the registered metric
    VALUE_CPU = 2,
    VALUE_RSS = 3,
    VALUES = 4,
};
// Of the measuring budget: the first session, all claims together. What it leaves goes to the
// second, then to layouts and the critique.
#define SHARE_FIRST  0.5
#define SHARE_SECOND 0.6 // of what is left
// A build that is slower than this is not repeated for the second session: copies must do.
#define REBUILD_NS (20 * NS_PER_S)
// Survivors in this share of the patched samples, and in none of the base's.
#define SURVIVORS_SHARE 0.2

typedef struct Session {
    Judge *j;
    JudgeSide *base, *patched;
    JudgeWork *work;
    uint64_t env_seed;
    int64_t started_ns;
    JudgeSample *samples;
    size_t count, capacity;
    size_t survivors[JUDGE_ARMS];
    size_t different; // samples of the patched side whose output was another one
    size_t failed[JUDGE_ARMS];
} Session;

static void keep_sample(Session *s, const AbAsk *ask, size_t input, const BenchSample *sample,
                        int64_t at_ns)
{
    if (s->count == s->capacity) {
        return; // ab_run's own ceiling is the capacity
    }
    s->samples[s->count++] = (JudgeSample){
        .sample = *sample,
        .at_ns = at_ns,
        .round = (uint32_t)ask->round,
        .input = (uint16_t)input,
        .arm = (uint8_t)(ask->arm == AB_CANDIDATE ? JUDGE_ARM_PATCHED
                         : ask->arm == AB_CONTROL ? JUDGE_ARM_BASE_AGAIN
                                                  : JUDGE_ARM_BASE),
        .warmup = ask->warmup,
    };
}

static int take_sample(void *ctx, const AbAsk *ask, AbMeasured *ret_measured, Err *e)
{
    Session *s = ctx;
    Judge *j = s->j;
    if (judge_stopped(j)) {
        return err_set(e, ERR_CANCELLED, "interrupted");
    }
    size_t index = s->work->timed[ask->round % s->work->timed_count];
    const JudgeInput *in = &s->work->inputs[index];
    Rng r = rng_stream(s->env_seed, SLICE("environment"), ask->round);
    JudgeRunAsk how = {.pad = (unsigned)rng_below(&r, PAD_BYTES_MAX)};
    JudgeRan ran = judge_ran_create();
    int64_t at = clock_now(clock_real()) - s->started_ns;
    int rc =
        judge_run(j, ask->arm == AB_CANDIDATE ? s->patched : s->base, s->work, in, &how, &ran, e);
    if (rc == 0) {
        const BenchSample *b = &ran.bench.sample;
        bool good = bench_result_good(&ran.bench) && b->exit_code == in->base_exit;
        ret_measured->end = b->timed_out ? AB_TIMED_OUT : good ? AB_MEASURED : AB_SAMPLE_FAILED;
        ret_measured->values[0] = bench_sample_value(b, s->work->metric);
        ret_measured->values[VALUE_WALL] = bench_sample_value(b, BENCH_WALL);
        ret_measured->values[VALUE_CPU] = bench_sample_value(b, BENCH_CPU);
        ret_measured->values[VALUE_RSS] = bench_sample_value(b, BENCH_RSS);
        s->survivors[ask->arm] += ran.survivors > 0;
        s->failed[ask->arm] += !good;
        // Every timed run is also looked at: a program that answers otherwise while it is timed.
        s->different += in->stable && good && ask->arm == AB_CANDIDATE &&
                        strcmp(ran.bench.output_sha256, in->base_sha256) != 0 && !in->masked;
        keep_sample(s, ask, index, b, at);
    }
    judge_ran_done(&ran);
    return rc;
}

static JudgeOutcome outcome_of(AbOutcome o)
{
    static const JudgeOutcome MAP[AB_OUTCOMES] = {[AB_UNDECIDED] = JUDGE_UNDECIDED,
                                                  [AB_FASTER] = JUDGE_FASTER,
                                                  [AB_FASTER_SMALL] = JUDGE_FASTER_SMALL,
                                                  [AB_SAME] = JUDGE_SAME,
                                                  [AB_SLOWER] = JUDGE_SLOWER,
                                                  [AB_CANNOT_TELL] = JUDGE_CANNOT_TELL,
                                                  [AB_ARM_FAILED] = JUDGE_UNDECIDED};
    return MAP[o];
}

static void fill(JudgeMeasure *m, const Session *s, const AbResult *ab)
{
    m->outcome = outcome_of(ab->outcome);
    m->ratio = ab->primary.ratio;
    m->interval = ab->primary.interval;
    m->aa_ratio = ab->control.ratio;
    m->aa_interval = ab->control.interval;
    m->rounds = (uint32_t)ab->primary.pairs;
    m->more_rounds = ab->outcome != AB_UNDECIDED ? 0
                     : ab->more_pairs > 0        ? (double)ab->more_pairs
                                                 : (double)INFINITY;
    m->other_ratio = ab->metrics[m->metric == BENCH_CPU ? VALUE_WALL : VALUE_CPU].ratio;
    if (m->metric == BENCH_CPU && s->work->metric == BENCH_WALL) {
        m->fell_back = true;
    }
    m->rss_ratio = ab->metrics[VALUE_RSS].ratio;
    m->took_ns = ab->elapsed_ns;
    m->why = slice_from_cstr(ab->reason);
    m->samples = s->samples;
    m->sample_count = s->count;
}

// What a session says beside its ratio.
static void look_at_session(Judge *j, const Session *s, const JudgeMeasure *m, const AbResult *ab)
{
    Slice name = m->workload;
    if (s->failed[AB_CANDIDATE] > 0 && ab->outcome == AB_ARM_FAILED) {
        findings_addf(&j->r->findings, FINDING_BROKEN, "runs", SLICE(""), 0,
                      "on workload %.*s it fails or does not end when it is timed: %s",
                      SLICE_FMT(name), ab->reason);
    }
    if (s->different > 0) {
        findings_addf(&j->r->findings, FINDING_BROKEN, "output-timed", SLICE(""), 0,
                      "on workload %.*s its output was another one in %zu of the timed runs",
                      SLICE_FMT(name), s->different);
    }
    size_t runs = s->count / JUDGE_ARMS + 1;
    if (s->survivors[AB_BASE] + s->survivors[AB_CONTROL] == 0 &&
        (double)s->survivors[AB_CANDIDATE] > SURVIVORS_SHARE * (double)runs) {
        findings_addf(&j->r->findings, FINDING_CHEAT, cheat_check(CHEAT_BACKGROUND), SLICE(""), 0,
                      "on workload %.*s it leaves processes working behind its end, in %zu of the "
                      "timed runs; the base does not",
                      SLICE_FMT(name), s->survivors[AB_CANDIDATE]);
    }
    if (m->role != JUDGE_CLAIM) {
        return;
    }
    if (m->metric == BENCH_WALL && m->ratio < 0.95 && m->other_ratio > 1.1) {
        findings_addf(&j->r->findings, FINDING_NOTE, "cpu", SLICE(""), 0,
                      "workload %.*s takes %.2f times the CPU time: it is faster by using more "
                      "processors",
                      SLICE_FMT(name), m->other_ratio);
    }
    if (m->metric != BENCH_RSS && m->rss_ratio > 1.2) {
        findings_addf(&j->r->findings, FINDING_NOTE, "memory", SLICE(""), 0,
                      "workload %.*s takes %.2f times the memory", SLICE_FMT(name), m->rss_ratio);
    }
}

// Can the processor time of these samples stand for their wall time? Only where the program is one
// thread that computes: in the sample that was disturbed least it had a processor for most of its
// time, never more than one, and the patch has not put waiting in the place of work.
static bool only_computes(const Session *s)
{
    double most[JUDGE_ARMS] = {0};
    for (size_t i = 0; i < s->count; i++) {
        const BenchSample *b = &s->samples[i].sample;
        double share = (double)(b->user_ns + b->system_ns) / (double)(b->wall_ns + 1);
        most[s->samples[i].arm] = share > most[s->samples[i].arm] ? share : most[s->samples[i].arm];
    }
    double base = most[JUDGE_ARM_BASE], patched = most[JUDGE_ARM_PATCHED];
    return base > 0.3 && base < 1.1 && patched > 0.5 * base && patched < 1.1;
}

// On a machine that is too busy for wall time: one look, after the end that wall time chose, at the
// processor time of the same samples. The rule is fixed, so it is no second choice; the report
// names the metric that decided.
static void fall_back(const Session *s, const AbOptions *o, AbResult *ab, JudgeMeasure *m)
{
    bool open = ab->outcome == AB_CANNOT_TELL || ab->outcome == AB_UNDECIDED;
    if (m->metric != BENCH_WALL || !open || !only_computes(s)) {
        return;
    }
    AbOptions cpu = *o;
    AbResult again = {0};
    cpu.primary = VALUE_CPU;
    if (ab_decide(&cpu, ab->samples, ab->sample_count, &again, NULL) == 0 &&
        again.outcome != AB_CANNOT_TELL && again.outcome != AB_UNDECIDED &&
        again.outcome != AB_ARM_FAILED) {
        again.samples = ab->samples;
        again.sample_count = ab->sample_count;
        again.elapsed_ns = ab->elapsed_ns;
        *ab = again;
        m->metric = BENCH_CPU;
    }
}

static Session *new_session(Judge *j, JudgeSide *base, JudgeSide *patched, JudgeWork *work,
                            size_t pairs)
{
    Session *s = ARENA_NEW(j->arena, Session);
    *s = (Session){.j = j,
                   .base = base,
                   .patched = patched,
                   .work = work,
                   .env_seed = rng_u64(&j->rng),
                   .started_ns = clock_now(clock_real()),
                   .capacity = 3 * (pairs + 20)};
    s->samples = ARENA_ARRAY(j->arena, JudgeSample, s->capacity);
    return s;
}

int judge_measure(Judge *j, JudgeSide *base, JudgeSide *patched, JudgeWork *work, JudgeRole role,
                  int64_t budget_ns, size_t max_pairs, JudgeMeasure **ret_measure, Err *e)
{
    if (work->timed_count == 0 || j->r->measure_count == JUDGE_MEASURES_MAX) {
        return err_set(e, ERR_LIMIT, "too many comparisons");
    }
    Session *s = new_session(j, base, patched, work, max_pairs);
    AbOptions o = {
        .sample_fn = take_sample,
        .ctx = s,
        .metrics = VALUES,
        // Several claims and several attempts are as many chances to be lucky (Bonferroni).
        .alpha = cheat_attempt_alpha(j->reg->alpha, j->r->attempts) / (double)j->work_count,
        .min_effect = j->reg->min_effect,
        .max_pairs = max_pairs,
        .budget_ns = budget_ns,
        .seed = s->env_seed,
    };
    AbResult ab = {0};
    int rc = ab_run(&o, j->arena, &ab, e);
    JudgeMeasure *m = &j->r->measures[j->r->measure_count++];
    *m = (JudgeMeasure){.workload = work->workload->name,
                        .run = work->workload->run,
                        .role = role,
                        .metric = work->metric,
                        .hidden_inputs = work->unseen,
                        .input_count = (uint32_t)work->timed_count,
                        .env_seed = s->env_seed};
    if (rc == 0) {
        fall_back(s, &o, &ab, m);
    }
    fill(m, s, &ab);
    look_at_session(j, s, m, &ab);
    if (ret_measure) {
        *ret_measure = m;
    }
    return rc;
}

// ---- does the gain hold on every input that was timed?

enum { LOGS_MAX = 2 * PAIRS_MAX };

typedef struct Split {
    double here[LOGS_MAX], elsewhere[LOGS_MAX]; // logarithms of patched over base, a round each
    size_t here_count, elsewhere_count;
} Split;

static double value_of(const JudgeSample *s, BenchMetric metric)
{
    return bench_sample_value(&s->sample, metric);
}

// Rounds of one input, and the others.
static void split_rounds(const JudgeMeasure *m, size_t input, Split *split)
{
    for (size_t i = 0; i < m->sample_count; i++) {
        const JudgeSample *base = &m->samples[i];
        if (base->arm != JUDGE_ARM_BASE || base->warmup) {
            continue;
        }
        for (size_t k = i < 2 ? 0 : i - 2; k < m->sample_count && k <= i + 2; k++) {
            const JudgeSample *p = &m->samples[k];
            if (p->arm != JUDGE_ARM_PATCHED || p->round != base->round) {
                continue;
            }
            double log_ratio = log(value_of(p, m->metric) / value_of(base, m->metric));
            if (!isfinite(log_ratio)) {
                continue;
            }
            if (base->input == input && split->here_count < LOGS_MAX) {
                split->here[split->here_count++] = log_ratio;
            } else if (base->input != input && split->elsewhere_count < LOGS_MAX) {
                split->elsewhere[split->elsewhere_count++] = log_ratio;
            }
        }
    }
}

static double median(double *values, size_t count)
{
    double result = NAN;
    sample_sort(values, count);
    if (count > 0) {
        result = (values[(count - 1) / 2] + values[count / 2]) / 2;
    }
    return result;
}

// The gain is elsewhere and not here: beyond chance, and by most of what it is elsewhere.
static bool is_without(Split *split, double *ret_here, double *ret_elsewhere)
{
    RankTest test = ranks_mann_whitney(split->elsewhere, split->elsewhere_count, split->here,
                                       split->here_count);
    double here = median(split->here, split->here_count);
    double elsewhere = median(split->elsewhere, split->elsewhere_count);
    *ret_here = exp(here);
    *ret_elsewhere = exp(elsewhere);
    return test.p_greater < 0.01 && elsewhere < 0 && here > elsewhere / 3;
}

// Inputs of one claim are of one size and shape, so the gain must be on all of them. Where it is
// only on the one that could be known, it is no gain.
static void check_inputs_agree(Judge *j, const JudgeWork *work, const JudgeMeasure *m)
{
    Split *split = mem_zalloc(sizeof *split);
    for (size_t i = 0; i < work->timed_count && work->timed_count > 1; i++) {
        const JudgeInput *in = &work->inputs[work->timed[i]];
        double here, elsewhere;
        split->here_count = split->elsewhere_count = 0;
        split_rounds(m, work->timed[i], split);
        if (split->here_count < 3 || split->elsewhere_count < 3 ||
            !is_without(split, &here, &elsewhere)) {
            continue;
        }
        // The name of a file is nothing that an honest program is faster by.
        findings_addf(&j->r->findings, in->renamed ? FINDING_CHEAT : FINDING_REFUTED,
                      in->renamed ? cheat_check(CHEAT_ANSWER_KNOWN) : "inputs-differ", SLICE(""), 0,
                      "on workload %.*s the gain is not there with %.*s (ratio %.3f, and %.3f on "
                      "the other inputs)",
                      SLICE_FMT(m->workload), SLICE_FMT(in->label), here, elsewhere);
    }
    free(split);
}

// ---- the sessions

static bool is_effect(JudgeOutcome o)
{
    return o == JUDGE_FASTER || o == JUDGE_FASTER_SMALL || o == JUDGE_SLOWER;
}

// A few rounds of each workload, only to see where to look first: their samples decide nothing, so
// the order costs no error rate. NAN where it was not seen.
static int glance(Judge *j, JudgeWork *work, double *ret_effect, Err *e)
{
    Session *s = new_session(j, &j->base, &j->patched, work, GLANCE_ROUNDS);
    double logs[GLANCE_ROUNDS];
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < GLANCE_ROUNDS; i++) {
        AbMeasured base = {0}, patched = {0};
        AbAsk ask = {.arm = AB_BASE, .round = i, .warmup = true};
        rc = take_sample(s, &ask, &base, e);
        ask.arm = AB_CANDIDATE;
        rc = rc == 0 ? take_sample(s, &ask, &patched, e) : rc;
        double log_ratio = log(patched.values[VALUE_CPU] / base.values[VALUE_CPU]);
        if (rc == 0 && isfinite(log_ratio)) {
            logs[count++] = log_ratio;
        }
    }
    *ret_effect = fabs(median(logs, count));
    return rc;
}

// The workloads by how much they seem to change, the most first.
static int order_works(Judge *j, Err *e)
{
    double *effects = ARENA_ARRAY(j->arena, double, j->work_count);
    int rc = 0;
    judge_progress(j, "measure", "a glance at %zu workloads, to begin where most changes",
                   j->work_count);
    for (size_t i = 0; rc == 0 && i < j->work_count; i++) {
        rc = glance(j, &j->works[i], &effects[i], e);
        JudgeWork work = j->works[i];
        double effect = isnan(effects[i]) ? 0 : effects[i];
        size_t at = i;
        for (; at > 0 && effects[at - 1] < effect; at--) {
            j->works[at] = j->works[at - 1];
            effects[at] = effects[at - 1];
        }
        j->works[at] = work;
        effects[at] = effect;
    }
    return rc;
}

// Half of the session's time is for the workload that seems to change most; what one leaves is for
// those behind it.
static int first_session(Judge *j, Err *e)
{
    int rc = j->work_count > 1 ? order_works(j, e) : 0;
    int64_t left = (int64_t)(SHARE_FIRST * (double)judge_left(j));
    for (size_t i = 0; rc == 0 && i < j->work_count && !judge_condemned(j); i++) {
        JudgeWork *work = &j->works[i];
        JudgeMeasure *m = NULL;
        int64_t each = i == 0 && j->work_count > 1 ? left / 2 : left / (int64_t)(j->work_count - i);
        judge_progress(j, "measure", "%.*s: base, base, patched in random order",
                       SLICE_FMT(work->workload->name));
        rc = judge_measure(j, &j->base, &j->patched, work, JUDGE_CLAIM, each, PAIRS_MAX, &m, e);
        if (rc != 0) {
            break;
        }
        left -= m->took_ns < left ? m->took_ns : left;
        if (m->outcome == JUDGE_FASTER || m->outcome == JUDGE_FASTER_SMALL) {
            check_inputs_agree(j, work, m);
        }
        judge_progress(j, "measure", "%.*s: %s, ratio %.3f [%.3f, %.3f] in %u rounds",
                       SLICE_FMT(m->workload), JUDGE_OUTCOME_NAMES[m->outcome], m->ratio,
                       m->interval.low, m->interval.high, m->rounds);
    }
    return rc;
}

// Copies of the sources built once more, or copies of what was built where that takes long.
static int fresh_sides(Judge *j, JudgeSide *base, JudgeSide *patched, Err *e)
{
    *base = (JudgeSide){.name = "base", .source = j->base.source};
    *patched = (JudgeSide){.name = "patched", .source = j->patched.source};
    bool ok = false;
    int rc;
    if (j->base.build_ns + j->patched.build_ns <= REBUILD_NS) {
        rc = judge_build(j, base, NULL, &ok, e);
        rc = rc == 0 && ok ? judge_build(j, patched, NULL, &ok, e) : rc;
        if (rc != 0 || ok) {
            return rc;
        }
        workspace_destroy(base->built);
        workspace_destroy(patched->built);
        base->built = patched->built = NULL;
    }
    rc = workspace_copy(j->base.built, j->arena, &base->built, e);
    return rc == 0 ? workspace_copy(j->patched.built, j->arena, &patched->built, e) : rc;
}

static void drop_fresh(Judge *j, JudgeSide *side)
{
    side->source = NULL; // is the first session's
    judge_side_done(j, side, false);
}

// New inputs within the same declaration, where there are seeds to draw.
static int redraw(Judge *j, JudgeWork *from, JudgeWork *ret_work, Err *e)
{
    *ret_work = *from;
    if (!from->unseen) {
        return 0;
    }
    ret_work->input_count = ret_work->timed_count = 0;
    int rc = judge_draw_timed(j, ret_work, e);
    // What they answer is not compared again; the base's time is about that of the others.
    for (size_t i = 0; rc == 0 && i < ret_work->input_count; i++) {
        ret_work->inputs[i].usable = true;
        ret_work->inputs[i].base_wall_s = from->inputs[from->timed[0]].base_wall_s;
    }
    return rc;
}

static int second_session(Judge *j, Err *e)
{
    size_t wanted = 0, first = j->r->measure_count;
    for (size_t i = 0; i < first; i++) {
        wanted += j->r->measures[i].role == JUDGE_CLAIM && is_effect(j->r->measures[i].outcome);
    }
    if (wanted == 0 || judge_condemned(j)) {
        return 0;
    }
    JudgeSide base, patched;
    judge_progress(j, "second session", "fresh copies");
    int rc = fresh_sides(j, &base, &patched, e);
    int64_t each = (int64_t)(SHARE_SECOND * (double)judge_left(j) / (double)wanted);
    for (size_t i = 0; rc == 0 && i < j->work_count && i < first; i++) {
        if (!is_effect(j->r->measures[i].outcome)) {
            continue;
        }
        JudgeWork again;
        rc = redraw(j, &j->works[i], &again, e);
        rc = rc == 0 ? judge_measure(j, &base, &patched, &again, JUDGE_SECOND, each, PAIRS_SECOND,
                                     NULL, e)
                     : rc;
    }
    drop_fresh(j, &base);
    drop_fresh(j, &patched);
    if (rc == 0) {
        judge_checked(j, "second session", true, "fresh copies%s",
                      j->base.build_ns + j->patched.build_ns <= REBUILD_NS ? ", built again" : "");
    }
    return rc;
}

// ---- layouts

static const char *const LAYOUTS[] = {"-falign-functions=64 -falign-loops=32",
                                      "-fno-reorder-functions -falign-functions=16"};

// An effect below what moving code about can do is looked at under other layouts. Equal flags on
// both sides; where the build does not go through cc and c++ there is nothing to vary.
static int layouts(Judge *j, Err *e)
{
    const JudgeMeasure *claim = &j->r->measures[0];
    bool small = claim->outcome == JUDGE_FASTER_SMALL ||
                 (claim->outcome == JUDGE_FASTER && claim->ratio > 1 / 1.05);
    if (!small || judge_condemned(j) || !j->c_touched || !j->base.machine_code ||
        j->o->no_sandbox) {
        return 0;
    }
    int rc = 0;
    size_t done = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(LAYOUTS) && judge_left(j) > 5 * NS_PER_S; i++) {
        JudgeSide base, patched;
        bool ok = false;
        judge_progress(j, "layout", "%s", LAYOUTS[i]);
        rc = judge_build_flagged(j, LAYOUTS[i], &base, &patched, &ok, e);
        if (rc == 0 && ok) {
            rc = judge_measure(j, &base, &patched, &j->works[0], JUDGE_LAYOUT, judge_left(j) / 3,
                               PAIRS_LAYOUT, NULL, e);
            done += rc == 0;
        }
        drop_fresh(j, &base);
        drop_fresh(j, &patched);
    }
    judge_checked(j, "layout", done > 0, "%zu other code layouts", done);
    return rc;
}

// A workload that was not the headline's and got slower, twice.
static void look_at_guards(Judge *j)
{
    for (size_t i = 0; i < j->r->measure_count; i++) {
        const JudgeMeasure *m = &j->r->measures[i];
        bool gain_elsewhere = false;
        for (size_t k = 0; k < j->r->measure_count; k++) {
            gain_elsewhere = gain_elsewhere || (j->r->measures[k].role == JUDGE_CLAIM &&
                                                (j->r->measures[k].outcome == JUDGE_FASTER ||
                                                 j->r->measures[k].outcome == JUDGE_FASTER_SMALL));
        }
        if (m->role == JUDGE_SECOND && m->outcome == JUDGE_SLOWER && gain_elsewhere) {
            findings_addf(&j->r->findings, FINDING_DOUBT, "guard", SLICE(""), 0,
                          "workload %.*s got %.2f times slower", SLICE_FMT(m->workload), m->ratio);
        }
    }
}

int judge_speed(Judge *j, Err *e)
{
    int rc = first_session(j, e);
    // Before the second: what is found there makes it needless.
    rc = rc == 0 && !judge_condemned(j) ? judge_probe(j, e) : rc;
    rc = rc == 0 ? second_session(j, e) : rc;
    rc = rc == 0 ? layouts(j, e) : rc;
    if (rc == 0) {
        look_at_guards(j);
    }
    return rc;
}
