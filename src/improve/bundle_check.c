#include "improve/bundle_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "improve/steps.h"
#include "ledger/record.h"
#include "stat/ranks.h"

enum { PROBLEMS_MAX = BUNDLE_PARTS_MAX + BUNDLE_WORKLOADS_MAX + 200, TEXT_BYTES_MAX = 600 };

// A claimed ratio may differ by this from what its samples give: another confidence level or
// another library's rounding, but not another figure.
#define RATIO_TOLERANCE 0.002

typedef struct Check {
    const Bundle *bundle;
    Arena *arena;
    BundleProblems problems;
} Check;

static void problem(Check *c, Slice part, const char *format, ...) PRINTF_LIKE(3, 4);

static void problem(Check *c, Slice part, const char *format, ...)
{
    char text[TEXT_BYTES_MAX];
    va_list args;
    if (c->problems.count == PROBLEMS_MAX) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->problems.items[c->problems.count++] =
        (BundleProblem){part, arena_copy(c->arena, slice_from_cstr(text))};
}

static const Doc *part_doc(Check *c, Slice name)
{
    const BundlePart *part = bundle_part(c->bundle, name);
    const Doc *doc = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = arena_cstr(c->arena, name),
                          .max_bytes = BUNDLE_PART_BYTES_MAX,
                          .max_nodes = (size_t)4 << 20};
    if (part && doc_parse(c->arena, part->bytes, &options, &doc, &e) != 0) {
        problem(c, name, "cannot be read: %s", e.text);
        return NULL;
    }
    return doc;
}

static Slice text_of(const Doc *object, const char *name)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

// ---- hashes

static int check_hashes(Check *c, Err *e)
{
    BundleProblems found;
    int rc = bundle_verify_hashes(c->bundle, c->arena, &found, e);
    for (size_t i = 0; i < found.count; i++) {
        problem(c, found.items[i].part, "%.*s", SLICE_FMT(found.items[i].text));
    }
    return rc == ERR_CORRUPT ? 0 : rc;
}

// ---- the patch and what was registered

static void check_report(Check *c, const BundleClaim *claim)
{
    const Doc *report = part_doc(c, BUNDLE_REPORT);
    const BundlePart *patch = bundle_part(c->bundle, BUNDLE_PATCH);
    if (!patch) {
        problem(c, BUNDLE_PATCH, "is not there: nothing can be judged again");
    }
    if (!report) {
        return;
    }
    Slice stated = text_of(report, "patch"), verdict = text_of(report, "verdict");
    if (patch && stated.len > 0 && !slice_eq(stated, patch->sha256_hex)) {
        problem(c, BUNDLE_PATCH, "is not the patch that report.json judges (%.12s)", stated.ptr);
    }
    if (verdict.len > 0 && !slice_eq_cstr(verdict, PATCH_VERDICT_NAMES[claim->verdict])) {
        problem(c, BUNDLE_CLAIM, "says %s, report.json says %.*s",
                PATCH_VERDICT_NAMES[claim->verdict], SLICE_FMT(verdict));
    }
}

static void check_steps(Check *c, const Registration *registration)
{
    const BundlePart *part = bundle_part(c->bundle, BUNDLE_STEPS);
    Steps steps;
    Err e = {0};
    char hash[STEPS_HASH_HEX + 1];
    if (!part) {
        return;
    }
    if (steps_parse(c->arena, part->bytes, "steps.yaml", &steps, &e) != 0) {
        problem(c, BUNDLE_STEPS, "cannot be read: %s", e.text);
        return;
    }
    steps_hash(&steps, hash);
    if (strcmp(hash, registration->steps_sha256) != 0) {
        problem(c, BUNDLE_STEPS, "are not the steps that were registered before the patch");
    }
}

static bool check_registration(Check *c, const BundleClaim *claim, Registration *ret_registration)
{
    const Doc *doc = part_doc(c, BUNDLE_REGISTRATION);
    Registration *r = ret_registration;
    Err e = {0};
    if (!doc) {
        return false;
    }
    if (registration_read(c->arena, doc, r, &e) != 0) {
        problem(c, BUNDLE_REGISTRATION, "%s", e.text);
        return false;
    }
    check_steps(c, r);
    if (!slice_eq(r->base_commit, claim->base_revision)) {
        problem(c, BUNDLE_CLAIM, "is about base %.*s, registered was %.*s",
                SLICE_FMT(claim->base_revision), SLICE_FMT(r->base_commit));
    }
    if (!isnan(claim->min_effect) && claim->min_effect != r->min_effect) {
        problem(c, BUNDLE_CLAIM, "counts effects from %g, registered was %g", claim->min_effect,
                r->min_effect);
    }
    return true;
}

// ---- the ledger's records

// The hash of a record follows from what stands in the export, the payload in its canonical form.
static bool record_fits(const Doc *item, Sha256 *ret_hash)
{
    const Doc *seq = doc_get(item, SLICE("run_seq")), *version = doc_get(item, SLICE("version"));
    const Doc *payload = doc_get(item, SLICE("payload"));
    Record r = {.chain = LEDGER_CHAIN, .kind = text_of(item, "kind")};
    if (!seq || seq->type != DOC_INT || !version || version->type != DOC_INT || !payload ||
        sha256_parse(text_of(item, "prev_hash"), &r.prev_hash) != 0 ||
        sha256_parse(text_of(item, "hash"), ret_hash) != 0) {
        return false;
    }
    Buf canonical = buf_create(RECORD_PAYLOAD_MAX);
    doc_write_canonical(payload, &canonical);
    r.run_seq = seq->integer;
    r.version = version->integer;
    r.payload_sha256 = sha256_of(buf_slice(&canonical));
    buf_done(&canonical);
    Sha256 hash = record_hash(&r);
    return sha256_eq(&hash, ret_hash);
}

// The draft's payload has the document itself, in its canonical form.
static bool holds_registration(const Doc *records, const Registration *registration)
{
    Buf text = buf_create(REGISTRATION_BYTES_MAX), payload = buf_create(RECORD_PAYLOAD_MAX);
    JsonWriter w = json_writer(&text, 0);
    registration_write(registration, &w);
    bool found = false;
    for (const Doc *item = doc_first(records); item && !found; item = doc_next(item)) {
        buf_reset(&payload);
        const Doc *doc = doc_get(item, SLICE("payload"));
        if (doc) {
            doc_write_canonical(doc, &payload);
        }
        found = slice_find(buf_slice(&payload), buf_slice(&text)) >= 0;
    }
    buf_done(&text);
    buf_done(&payload);
    return found;
}

static void check_ledger(Check *c, const Registration *registration, Slice known_hash)
{
    const Doc *doc = part_doc(c, BUNDLE_LEDGER);
    bool known_found = false;
    Sha256 known = {0};
    if (known_hash.len > 0 && sha256_parse(known_hash, &known) != 0) {
        problem(c, BUNDLE_LEDGER, "\"%.64s\" is no hash of a record",
                arena_cstr(c->arena, known_hash));
        return;
    }
    const Doc *records = doc_get(doc, SLICE("records"));
    for (const Doc *item = doc_first(records); item; item = doc_next(item)) {
        Sha256 hash = {0}, before;
        if (!record_fits(item, &hash)) {
            const Doc *seq = doc_get(item, SLICE("run_seq"));
            problem(c, BUNDLE_LEDGER, "record %lld does not fit its hash",
                    seq && seq->type == DOC_INT ? (long long)seq->integer : 0LL);
        }
        known_found |=
            sha256_eq(&hash, &known) ||
            (sha256_parse(text_of(item, "prev_hash"), &before) == 0 && sha256_eq(&before, &known));
    }
    if (known_hash.len > 0 && !known_found) {
        problem(c, BUNDLE_LEDGER, "has no record with the hash that was given");
    }
    if (doc && registration && !holds_registration(records, registration)) {
        problem(c, BUNDLE_LEDGER, "does not hold the registration");
    }
}

// ---- ratios from samples

static int by_round(const void *a, const void *b)
{
    const BundleSample *x = a, *y = b;
    return x->round != y->round ? (x->round < y->round ? -1 : 1) : (int)x->arm - (int)y->arm;
}

// A round counts when it has one good sample of each side. `base` and `patched` get logarithms.
static size_t collect_pairs(const BundleSample *sorted, size_t count, double *base, double *patched)
{
    size_t pairs = 0;
    for (size_t i = 0; i < count;) {
        double values[BUNDLE_ARMS] = {NAN, NAN, NAN};
        int round = sorted[i].round;
        for (; i < count && sorted[i].round == round; i++) {
            values[sorted[i].arm] = sorted[i].value;
        }
        if (values[BUNDLE_ARM_A] > 0 && values[BUNDLE_ARM_B] > 0) {
            base[pairs] = log(values[BUNDLE_ARM_A]);
            patched[pairs++] = log(values[BUNDLE_ARM_B]);
        }
    }
    return pairs;
}

void bundle_ratio(const BundleWorkload *w, int session, double *ret_ratio, Interval *ret_interval)
{
    BundleSample *sorted = mem_alloc((w->sample_count + 1) * sizeof *sorted);
    double *base = mem_alloc((w->sample_count + 1) * 2 * sizeof *base);
    double *patched = base + w->sample_count + 1;
    size_t count = 0;
    Shift shift;
    for (size_t i = 0; i < w->sample_count; i++) {
        if (w->samples[i].session == session) {
            sorted[count++] = w->samples[i];
        }
    }
    qsort(sorted, count, sizeof *sorted, by_round);
    size_t pairs = collect_pairs(sorted, count, base, patched);
    double confidence =
        w->interval.confidence > 0 && w->interval.confidence < 1 ? w->interval.confidence : 0.99;
    *ret_ratio = NAN;
    *ret_interval = (Interval){NAN, NAN, NAN};
    if (pairs >= 2 && ranks_paired_shift(patched, base, pairs, confidence, &shift, NULL) == 0) {
        *ret_ratio = exp(shift.estimate);
        *ret_interval = (Interval){exp(shift.interval.low), exp(shift.interval.high),
                                   shift.interval.confidence};
    }
    free(sorted);
    free(base);
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

static bool claims_gain(const BundleClaim *claim)
{
    return claim->verdict == PATCH_PROVEN || claim->verdict == PATCH_SMALL;
}

static void check_ratios(Check *c, const BundleClaim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        const BundleWorkload *w = &claim->workloads[i];
        double ratio;
        Interval interval;
        bundle_ratio(w, 1, &ratio, &interval);
        if (isnan(w->ratio)) {
            continue;
        }
        if (isnan(ratio)) {
            problem(c, BUNDLE_SAMPLES, "have nothing from which the %gx of %.*s could follow",
                    w->ratio, SLICE_FMT(w->name));
        } else if (fabs(log(ratio / w->ratio)) > RATIO_TOLERANCE) {
            problem(c, BUNDLE_CLAIM, "says %.4gx for %.*s (%.*s); its samples give %.4gx", w->ratio,
                    SLICE_FMT(w->name), SLICE_FMT(w->metric), ratio);
        }
    }
    const BundleWorkload *headline = headline_of(claim);
    if (claims_gain(claim) && (!headline || !(headline->interval.low > 1))) {
        problem(c, BUNDLE_CLAIM, "says %s, but the interval of its first workload does not",
                PATCH_VERDICT_NAMES[claim->verdict]);
    }
}

int bundle_check(const Bundle *bundle, Slice known_hash, Arena *arena, BundleProblems *ret_problems,
                 BundleClaim **ret_claim, Err *e)
{
    Check c = {.bundle = bundle,
               .arena = arena,
               .problems = {ARENA_ARRAY(arena, BundleProblem, PROBLEMS_MAX), 0}};
    BundleClaim *claim = NULL;
    Registration registration = {0};
    int rc = check_hashes(&c, e);
    if (rc == 0 && (rc = bundle_read_claim(bundle, arena, &claim, e)) == ERR_NOT_FOUND) {
        return rc;
    }
    if (rc != 0) {
        problem(&c, BUNDLE_CLAIM, "%s", e ? e->text : "cannot be read");
    } else {
        check_report(&c, claim);
        bool registered = check_registration(&c, claim, &registration);
        check_ledger(&c, registered ? &registration : NULL, known_hash);
        check_ratios(&c, claim);
    }
    *ret_problems = c.problems;
    if (c.problems.count > 0) {
        const BundleProblem *first = &c.problems.items[0];
        return err_set(e, ERR_CORRUPT, "%.*s %.*s", SLICE_FMT(first->part), SLICE_FMT(first->text));
    }
    if (ret_claim) {
        *ret_claim = claim;
    }
    return 0;
}
