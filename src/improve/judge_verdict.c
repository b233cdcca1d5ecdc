// The rules by which measures and findings become a verdict. Nothing here runs or measures
// anything, so the tests can put every case to it.
#include <math.h>

#include "improve/judge.h"

const char *const JUDGE_ROLE_NAMES[JUDGE_ROLES + 1] = {"claim", "second session", "layout",
                                                       "guard", "critique",       NULL};
const char *const JUDGE_OUTCOME_NAMES[JUDGE_OUTCOMES + 1] = {
    "undecided", "faster", "faster, small", "same", "slower", "cannot tell here", NULL};

static bool is_gain(JudgeOutcome o)
{
    return o == JUDGE_FASTER || o == JUDGE_FASTER_SMALL;
}

// What the headline is: the claim with the most certain gain; without a gain the first loss; else
// the first of all, which is the workload that was registered first.
static const JudgeMeasure *headline(const JudgeReport *r)
{
    const JudgeMeasure *best = NULL, *slow = NULL, *first = NULL;
    for (size_t i = 0; i < r->measure_count; i++) {
        const JudgeMeasure *m = &r->measures[i];
        if (m->role != JUDGE_CLAIM) {
            continue;
        }
        first = first ? first : m;
        if (is_gain(m->outcome) && (!best || m->interval.high < best->interval.high)) {
            best = m;
        }
        if (m->outcome == JUDGE_SLOWER && !slow) {
            slow = m;
        }
    }
    return best ? best : slow ? slow : first;
}

static const JudgeMeasure *second_of(const JudgeReport *r, const JudgeMeasure *claim)
{
    for (size_t i = 0; i < r->measure_count; i++) {
        const JudgeMeasure *m = &r->measures[i];
        if (m->role == JUDGE_SECOND && slice_eq(m->workload, claim->workload)) {
            return m;
        }
    }
    return NULL;
}

// "1.52x faster [1.48, 1.57]"; below one "1.20x slower [1.15, 1.26]". Ratios of time are turned
// round for people, so that the larger number is the larger effect.
static Slice words_of(const JudgeMeasure *m, Arena *arena)
{
    static const char *const LESS[BENCH_METRICS] = {[BENCH_WALL] = "faster",
                                                    [BENCH_CPU] = "less CPU time",
                                                    [BENCH_RSS] = "less memory",
                                                    [BENCH_INSTRUCTIONS] = "fewer instructions",
                                                    [BENCH_IO] = "less I/O"};
    static const char *const MORE[BENCH_METRICS] = {[BENCH_WALL] = "slower",
                                                    [BENCH_CPU] = "more CPU time",
                                                    [BENCH_RSS] = "more memory",
                                                    [BENCH_INSTRUCTIONS] = "more instructions",
                                                    [BENCH_IO] = "more I/O"};
    if (!(m->ratio > 0)) {
        return SLICE("not measured");
    }
    bool less = m->ratio <= 1;
    double low = less ? 1 / m->interval.high : m->interval.low;
    double high = less ? 1 / m->interval.low : m->interval.high;
    return arena_printf(arena, "%.*fx %s [%.*f, %.*f] on %.*s%s", m->ratio < 0.05 ? 1 : 3,
                        less ? 1 / m->ratio : m->ratio, less ? LESS[m->metric] : MORE[m->metric],
                        m->ratio < 0.05 ? 1 : 3, low, m->ratio < 0.05 ? 1 : 3, high,
                        SLICE_FMT(m->workload),
                        m->fell_back ? " (the machine is too busy for wall time)" : "");
}

static void say(JudgeReport *r, PatchVerdict verdict, Slice reason)
{
    r->verdict = verdict;
    r->reason = reason;
}

static const Finding *worst_finding(const JudgeReport *r, FindingLevel level)
{
    for (size_t i = 0; i < r->findings.count; i++) {
        if (r->findings.items[i].level == level) {
            return &r->findings.items[i];
        }
    }
    return NULL;
}

// Findings that end it whatever was measured.
static bool decide_by_findings(JudgeReport *r)
{
    static const struct {
        FindingLevel level;
        PatchVerdict verdict;
    } RULES[] = {{FINDING_CHEAT, PATCH_CHEAT}, {FINDING_BROKEN, PATCH_BROKEN}};
    for (size_t i = 0; i < COUNT_OF(RULES); i++) {
        const Finding *f = worst_finding(r, RULES[i].level);
        if (f) {
            say(r, RULES[i].verdict, f->text);
            return true;
        }
    }
    return false;
}

// The second session is smaller: it may fall short of the minimum effect, and on a busy machine of
// the precision that a claim needs, but it must show the direction beyond chance while the base
// against itself does not.
static bool agrees(const JudgeMeasure *second)
{
    return is_gain(second->outcome) ||
           (second->interval.high < 1 && interval_contains(second->aa_interval, 1));
}

// A gain that was shown, and what may still stand against it: the second session, layouts, doubts.
static void decide_gain(JudgeReport *r, const JudgeMeasure *claim, const JudgeRules *rules,
                        Arena *arena)
{
    const JudgeMeasure *second = second_of(r, claim);
    if (rules->second_required && !second) {
        say(r, PATCH_UNDECIDED, SLICE("the effect was not reproduced in a second session"));
        r->decide = SLICE("a second session; give a larger --budget");
        return;
    }
    if (second && !agrees(second)) {
        say(r, PATCH_UNDECIDED,
            arena_printf(arena, "a second session did not show the effect again: %.*s",
                         SLICE_FMT(words_of(second, arena))));
        r->decide = SLICE("a quieter machine or a larger --budget");
        return;
    }
    for (size_t i = 0; i < r->measure_count; i++) {
        const JudgeMeasure *m = &r->measures[i];
        if (m->role == JUDGE_LAYOUT && (m->ratio >= 1 || m->outcome == JUDGE_SLOWER)) {
            say(r, PATCH_UNDECIDED,
                SLICE("with another code layout the effect is gone: it may be the layout's"));
            r->decide = SLICE("a larger effect than what moving the code about makes");
            return;
        }
    }
    const Finding *doubt = worst_finding(r, FINDING_REFUTED);
    doubt = doubt ? doubt : worst_finding(r, FINDING_DOUBT);
    if (doubt) {
        say(r, PATCH_UNDECIDED, doubt->text);
        r->decide = SLICE("a patch or a declaration of the inputs without this finding");
        return;
    }
    // Reproduced with the size of the effect, not just its sign: half the registered effect at the
    // least, or the first session was luck.
    bool large = claim->outcome == JUDGE_FASTER &&
                 (!second || second->ratio <= 1 / (1 + rules->min_effect / 2));
    say(r, large ? PATCH_PROVEN : PATCH_SMALL,
        large ? arena_printf(arena, "the interval lies beyond %.3gx%s", 1 + rules->min_effect,
                             second ? " and a second session in fresh copies agrees" : "")
              : arena_printf(arena, "faster beyond chance, but not shown to be %.3gx or more",
                             1 + rules->min_effect));
}

static void decide_slower(JudgeReport *r, const JudgeMeasure *claim, const JudgeRules *rules,
                          Arena *arena)
{
    const JudgeMeasure *second = second_of(r, claim);
    if ((rules->second_required && !second) || (second && second->outcome != JUDGE_SLOWER)) {
        say(r, PATCH_UNDECIDED, SLICE("slower in one session, and not shown again in a second"));
        r->decide = SLICE("a quieter machine or a larger --budget");
        return;
    }
    say(r, PATCH_SLOWER, arena_printf(arena, "%.*s", SLICE_FMT(words_of(claim, arena))));
}

static void decide_open(JudgeReport *r, const JudgeMeasure *claim, Arena *arena)
{
    if (claim->outcome == JUDGE_CANNOT_TELL) {
        say(r, PATCH_UNDECIDED,
            arena_printf(arena, "cannot tell here: the base against itself reads %.3f [%.3f, %.3f]",
                         claim->aa_ratio, claim->aa_interval.low, claim->aa_interval.high));
        r->decide = SLICE("a quieter machine, or a larger minimum effect");
        return;
    }
    say(r, PATCH_UNDECIDED,
        arena_printf(arena, "%.*s after %u rounds: neither an effect nor its absence is shown",
                     SLICE_FMT(words_of(claim, arena)), claim->rounds));
    r->decide =
        isfinite(claim->more_rounds) && claim->more_rounds > 0
            ? arena_printf(arena, "about %.0f more rounds: a larger --budget", claim->more_rounds)
            : SLICE("a quieter machine or a longer workload");
}

void judge_decide(JudgeReport *r, const JudgeRules *rules, Arena *arena)
{
    const JudgeMeasure *claim = headline(r);
    r->ratio = NAN;
    r->interval = (Interval){NAN, NAN, NAN};
    r->claim = SLICE("no claim was measured");
    r->decide = (Slice){0};
    if (claim) {
        r->ratio = claim->ratio;
        r->interval = claim->interval;
        r->claim = words_of(claim, arena);
    }
    if (decide_by_findings(r)) {
        return;
    }
    if (!r->complete) {
        say(r, PATCH_UNDECIDED, SLICE("interrupted before it was done"));
        r->decide = SLICE("running it to its end");
        return;
    }
    if (r->same_artifact) {
        say(r, PATCH_NO_EFFECT, SLICE("the built files are byte for byte those of the base"));
        return;
    }
    if (!claim) {
        say(r, PATCH_UNDECIDED, SLICE("there was nothing to measure"));
        r->decide = SLICE("a workload: --workload CMD");
        return;
    }
    switch (claim->outcome) {
    case JUDGE_FASTER:
    case JUDGE_FASTER_SMALL: decide_gain(r, claim, rules, arena); break;
    case JUDGE_SLOWER: decide_slower(r, claim, rules, arena); break;
    case JUDGE_SAME:
        say(r, PATCH_NO_EFFECT,
            arena_printf(arena, "shown to be equal within the margin: %.*s",
                         SLICE_FMT(words_of(claim, arena))));
        break;
    case JUDGE_UNDECIDED:
    case JUDGE_CANNOT_TELL:
    case JUDGE_OUTCOMES: decide_open(r, claim, arena); break;
    }
}
