#include <math.h>

#include "base/units.h"
#include "base/utf8.h"
#include "improve/bundle_check.h"

const char *const BUNDLE_HOLDS_NAMES[BUNDLE_HOLD_KINDS + 1] = {
    "holds", "holds for less or more", "does not hold", "not decided", "no claim", NULL};

static double flipped(double ratio)
{
    return isfinite(ratio) && ratio > 0 ? 1 / ratio : NAN;
}

static const BundleWorkload *headline_of(const BundleClaim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        if (!claim->workloads[i].guard) {
            return &claim->workloads[i];
        }
    }
    return NULL;
}

static bool overlap(Interval a, Interval b)
{
    return a.low <= b.high && b.low <= a.high;
}

static BundleHolds holds(const BundleAgreement *a, PatchVerdict here)
{
    switch (here) {
    case PATCH_PROVEN:
    case PATCH_SMALL:
        return overlap(a->there_interval, a->here_interval) ? BUNDLE_HOLDS : BUNDLE_HOLDS_LESS;
    case PATCH_NO_EFFECT:
    case PATCH_SLOWER:
    case PATCH_BROKEN:
    case PATCH_CHEAT: return BUNDLE_HOLDS_NOT;
    case PATCH_UNDECIDED:
    case PATCH_VERDICTS: break;
    }
    return BUNDLE_NOT_DECIDED;
}

BundleAgreement bundle_agree(const BundleClaim *claim, const JudgeReport *report)
{
    const BundleWorkload *headline = headline_of(claim);
    // The judge's ratios are patched over base.
    BundleAgreement a = {.there = NAN,
                         .here = flipped(report->ratio),
                         .there_interval = {NAN, NAN, NAN},
                         .here_interval = {flipped(report->interval.high),
                                           flipped(report->interval.low),
                                           report->interval.confidence}};
    if (headline) {
        a.there = headline->ratio;
        a.there_interval = headline->interval;
        a.workload = headline->name;
    }
    bool gain = claim->verdict == PATCH_PROVEN || claim->verdict == PATCH_SMALL;
    a.holds = gain ? holds(&a, report->verdict) : BUNDLE_NO_CLAIM;
    return a;
}

static void put_ratio(double ratio, Interval i, const char *where, Buf *out)
{
    if (isnan(ratio)) {
        buf_printf(out, "no ratio %s", where);
    } else if (isnan(i.low) || isnan(i.high)) {
        buf_printf(out, "%.2fx without an interval %s", ratio, where); // too few rounds for one
    } else {
        buf_printf(out, "%.2fx [%.2f, %.2f] %s", ratio, i.low, i.high, where);
    }
}

void bundle_agreement_print(const BundleAgreement *a, Buf *out)
{
    static const char *const words[BUNDLE_HOLD_KINDS] = {
        [BUNDLE_HOLDS] = "The claim holds here",
        [BUNDLE_HOLDS_LESS] = "It is faster here too, but by another factor",
        [BUNDLE_HOLDS_NOT] = "The claim does not hold here",
        [BUNDLE_NOT_DECIDED] = "Not decided here",
        [BUNDLE_NO_CLAIM] = "The bundle does not claim a gain",
    };
    buf_printf(out, "%s: ", words[a->holds]);
    put_ratio(a->there, a->there_interval, "there", out);
    buf_puts(out, ", ");
    put_ratio(a->here, a->here_interval, "here", out);
    if (a->workload.len > 0) {
        buf_puts(out, ", on ");
        utf8_sanitise(out, a->workload);
    }
    buf_puts(out, ".\n");
}

// ---- what is in it

static void put_line(const char *label, Slice text, Buf *out)
{
    if (text.len > 0) {
        buf_printf(out, "%-11s", label);
        utf8_sanitise(out, text);
        buf_putc(out, '\n');
    }
}

static void put_workload(const BundleWorkload *w, Buf *out)
{
    size_t good = 0;
    for (size_t i = 0; i < w->sample_count; i++) {
        good += !isnan(w->samples[i].value);
    }
    buf_puts(out, "  ");
    utf8_sanitise(out, w->name);
    buf_puts(out, " (");
    utf8_sanitise(out, w->metric);
    buf_puts(out, w->guard ? ", guard): " : "): ");
    put_ratio(w->ratio, w->interval, "", out);
    buf_printf(out, "from %zu samples\n", good);
}

void bundle_print(const Bundle *bundle, const BundleClaim *claim, Buf *out)
{
    buf_printf(out, "bundle     %s\nverdict    %s\n", bundle->id,
               PATCH_VERDICT_NAMES[claim->verdict]);
    put_line("goal", claim->title, out);
    put_line("reason", claim->reason, out);
    put_line("repository", claim->repository, out);
    put_line("base", claim->base_revision, out);
    if (!isnan(claim->min_effect)) {
        buf_printf(out, "counts     from %g%%, attempt %d\n", claim->min_effect * 100,
                   claim->attempt);
    }
    buf_puts(out, "workloads, base over patched\n");
    for (size_t i = 0; i < claim->count; i++) {
        put_workload(&claim->workloads[i], out);
    }
    buf_puts(out, "parts\n");
    for (size_t i = 0; i < bundle->count; i++) {
        char size[UNITS_TEXT_MAX];
        const BundlePart *part = &bundle->parts[i];
        (void)size_format_short((int64_t)part->bytes.len, size);
        buf_printf(out, "  %-24.*s %10s  %.16s\n", SLICE_FMT(part->name), size,
                   part->sha256_hex.ptr);
    }
}
