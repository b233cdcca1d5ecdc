#include "improve/pr_body.h"

#include <math.h>

#include "base/utf8.h"
#include "improve/strike.h"

enum { ENGINE_TEXT_SHOWN = 4000, SLUG_MAX = 40, TITLE_BYTES = 120 };

// One line of a text that we did not write. Figures in the goal's title are a wish, not a result.
static void put_words(Buf *out, Slice text, size_t max)
{
    Buf clean = buf_create(1 << 20);
    (void)strike_figures(slice_sub(text, 0, max), &clean);
    for (size_t i = 0; i < clean.len; i++) {
        buf_putc(out, clean.data[i] == '\n' || clean.data[i] == '|' ? ' ' : clean.data[i]);
    }
    buf_done(&clean);
}

// What we measured ourselves, as one line.
static void put_ours(Buf *out, Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        buf_putc(out, text.ptr[i] == '\n' || text.ptr[i] == '|' ? ' ' : text.ptr[i]);
    }
}

static void put_quoted(Buf *out, Slice text)
{
    Buf clean = buf_create(1 << 20);
    (void)strike_figures(slice_sub(text, 0, ENGINE_TEXT_SHOWN), &clean);
    for (Slice rest = buf_slice(&clean), line; rest.len > 0;) {
        (void)slice_cut(rest, '\n', &line, &rest);
        buf_puts(out, "> ");
        buf_append(out, line);
        buf_putc(out, '\n');
    }
    if (text.len > ENGINE_TEXT_SHOWN) {
        buf_puts(out, "> (cut)\n");
    }
    if (text.len == 0) {
        buf_puts(out, "> (it said nothing)\n");
    }
    buf_done(&clean);
}

static void put_times(Buf *out, double ratio)
{
    // Ratios are patched over base: 0.5 is twice as fast.
    if (isfinite(ratio) && ratio > 0) {
        buf_printf(out, "%.3gx", 1 / ratio);
    } else {
        buf_puts(out, "-");
    }
}

static void put_table(Buf *out, const JudgeReport *r)
{
    buf_puts(out, "| workload | role | metric | speed-up | interval | A/A | outcome | ledger |\n"
                  "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < r->measure_count; i++) {
        const JudgeMeasure *m = &r->measures[i];
        buf_puts(out, "| ");
        put_ours(out, m->workload);
        buf_printf(out, " | %s | %s | ", JUDGE_ROLE_NAMES[m->role], BENCH_METRIC_NAMES[m->metric]);
        put_times(out, m->ratio);
        buf_puts(out, " | ");
        put_times(out, m->interval.high);
        buf_puts(out, " to ");
        put_times(out, m->interval.low);
        buf_puts(out, " | ");
        put_times(out, m->aa_ratio);
        buf_printf(out, " | %s | `run:%s` |\n", JUDGE_OUTCOME_NAMES[m->outcome], r->run_id);
    }
    if (r->measure_count == 0) {
        buf_puts(out, "| - | - | - | - | - | - | nothing was measured | - |\n");
    }
}

static void put_trade_offs(Buf *out, const JudgeReport *r)
{
    buf_puts(out, "\n## Trade-offs\n\n");
    bool any = false;
    for (size_t i = 0; i < r->measure_count; i++) {
        const JudgeMeasure *m = &r->measures[i];
        if (m->role == JUDGE_CLAIM && isfinite(m->rss_ratio) && m->rss_ratio > 0) {
            buf_puts(out, "- Memory on ");
            put_ours(out, m->workload);
            buf_printf(out, ": %+.1f %%.\n", 100 * (m->rss_ratio - 1));
            any = true;
        }
        if (m->role == JUDGE_GUARD && m->outcome == JUDGE_SLOWER) {
            buf_puts(out, "- Slower on ");
            put_ours(out, m->workload);
            buf_puts(out, ".\n");
            any = true;
        }
    }
    if (r->base_artifact_bytes > 0 && r->patched_artifact_bytes > 0) {
        buf_printf(out, "- Size of what is built: %lld bytes, before %lld.\n",
                   (long long)r->patched_artifact_bytes, (long long)r->base_artifact_bytes);
        any = true;
    }
    for (size_t i = 0; i < r->findings.count; i++) {
        const Finding *f = &r->findings.items[i];
        buf_printf(out, "- %s, %.*s: ", FINDING_LEVEL_NAMES[f->level], SLICE_FMT(f->check));
        put_ours(out, f->text);
        buf_putc(out, '\n');
        any = true;
    }
    buf_puts(out, any ? "" : "None was found.\n");
}

static void put_validation(Buf *out, const JudgeReport *r)
{
    const JudgeTests *t = &r->tests;
    buf_puts(out, "\n## Validation\n\n");
    if (!t->ran) {
        buf_puts(out, "- The repository declares no tests: none were run.\n");
    } else if (t->counted) {
        buf_printf(out,
                   "- Tests before: %lld passed, %lld failed, %lld skipped; with the patch: %lld "
                   "passed, %lld failed, %lld skipped.\n",
                   (long long)t->base_passed, (long long)t->base_failed, (long long)t->base_skipped,
                   (long long)t->patched_passed, (long long)t->patched_failed,
                   (long long)t->patched_skipped);
    } else {
        buf_printf(out,
                   "- The test step ended with %d before and %d with the patch; its output "
                   "does not say how many tests there are.\n",
                   t->base_exit, t->patched_exit);
    }
    for (size_t i = 0; i < r->check_count; i++) {
        if (r->checks[i].done) {
            buf_puts(out, "- ");
            put_ours(out, r->checks[i].what);
            buf_puts(out, r->checks[i].text.len > 0 ? ": " : "");
            put_ours(out, r->checks[i].text);
            buf_putc(out, '\n');
        }
    }
    buf_puts(out, "\n## What was not checked\n\n");
    size_t open = 0;
    for (size_t i = 0; i < r->check_count; i++) {
        if (!r->checks[i].done) {
            buf_puts(out, "- ");
            put_ours(out, r->checks[i].what);
            buf_puts(out, r->checks[i].text.len > 0 ? ": " : "");
            put_ours(out, r->checks[i].text);
            buf_putc(out, '\n');
            open++;
        }
    }
    buf_puts(out, r->sandboxed ? "" : "- The commands ran without a sandbox.\n");
    buf_puts(out, "- Machines, compilers and systems other than the one above.\n");
}

static void put_reproduction(Buf *out, const PrFacts *f)
{
    const JudgeReport *r = f->report;
    buf_puts(out, "\n## To measure it again\n\n```\n");
    buf_printf(out, "perfwright improve verify --pr %.12s..%.*s\n", r->base_commit.ptr,
               SLICE_FMT(f->state->branch));
    buf_printf(out, "perfwright improve verify %s   # the evidence, on another machine\n```\n\n",
               f->bundle_file ? f->bundle_file : "evidence.tar.gz");
    buf_puts(out, "Commands that were run:\n\n```\n");
    for (size_t i = 0; i < r->command_count && i < 30; i++) {
        put_ours(out, r->commands[i].what);
        buf_puts(out, ": ");
        put_ours(out, slice_sub(r->commands[i].run, 0, 300));
        buf_putc(out, '\n');
    }
    buf_puts(out, "```\n\n");
    buf_printf(out, "Registered before the patch existed: `%s`. Patch: `%s`.",
               r->registration.sha256, r->patch_sha256);
    if (f->state->bundle.len > 0) {
        buf_printf(out, " Evidence: `%.*s`.", SLICE_FMT(f->state->bundle));
    }
    buf_puts(out, "\n");
}

int pr_body(const PrFacts *f, Buf *out, Err *e)
{
    const JudgeReport *r = f->report;
    const AttemptState *state = f->state;
    buf_printf(out, "**%s**: ", PATCH_VERDICT_NAMES[r->verdict]);
    put_ours(out, r->claim.len > 0 ? r->claim : r->reason);
    buf_puts(out,
             "\n\nEvery figure here was measured by perfwright; what the engine says about its "
             "own work is quoted and unchecked.\n\n## Goal\n\n");
    put_words(out, state->goal_title, 300);
    buf_printf(out, " (%.*s, %s).", SLICE_FMT(state->goal_id), GOAL_KIND_NAMES[state->goal_kind]);
    if (f->goal_why.len > 0) {
        buf_puts(out, " From the plan: ");
        put_words(out, f->goal_why, 600);
    }
    buf_puts(out, "\n\n## Approach, in the engine's words\n\n");
    put_quoted(out, f->engine_text);
    buf_puts(out, "\n## What was measured\n\n");
    put_table(out, r);
    buf_putc(out, '\n');
    put_ours(out, r->reason);
    buf_putc(out, '\n');
    if (r->attempts > 1) {
        buf_printf(out, "\nThis is patch %u for this goal, and alpha was divided by that.\n",
                   r->attempts);
    }
    put_trade_offs(out, r);
    put_validation(out, r);
    if (f->critique_rounds.len > 0) {
        buf_puts(out, "\n## What was sent back before\n\n");
        buf_append(out, f->critique_rounds);
    }
    put_reproduction(out, f);
    return buf_check(out, "the draft of the pull request", e);
}

Slice pr_title(Arena *arena, const AttemptState *state)
{
    char *text = arena_alloc(arena, TITLE_BYTES + 1);
    size_t len = 0;
    Slice from = state->goal_title;
    for (size_t i = 0; i < from.len && len < TITLE_BYTES - 12;) {
        uint32_t c = 0;
        size_t n = utf8_decode(slice_sub(from, i, from.len), &c);
        bool plain = n > 0 && c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0);
        n = n == 0 ? 1 : n;
        if (plain && len + n <= TITLE_BYTES - 12) {
            memcpy(text + len, from.ptr + i, n);
            len += n;
        } else {
            text[len++] = ' ';
        }
        i += n;
    }
    Slice words = slice_trim((Slice){text, len});
    while (words.len > 0 && words.ptr[0] == '-') {
        words = slice_sub(words, 1, words.len);
    }
    return words.len > 0 ? arena_printf(arena, "perf: %.*s", SLICE_FMT(words))
                         : SLICE("perf: faster");
}

Slice pr_branch(Arena *arena, const AttemptState *state)
{
    char slug[SLUG_MAX + 1];
    size_t len = 0;
    for (size_t i = 0; i < state->goal_title.len && len < SLUG_MAX; i++) {
        char c = state->goal_title.ptr[i];
        bool upper = c >= 'A' && c <= 'Z';
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || upper;
        if (plain) {
            slug[len++] = upper ? (char)(c + 32) : c;
        } else if (len > 0 && slug[len - 1] != '-') {
            slug[len++] = '-';
        }
    }
    while (len > 0 && slug[len - 1] == '-') {
        len--;
    }
    Slice end = slice_sub(state->id, state->id.len > 6 ? state->id.len - 6 : 0, 6);
    char tail[8] = {0};
    for (size_t i = 0; i < end.len; i++) {
        tail[i] = end.ptr[i] >= 'A' && end.ptr[i] <= 'Z' ? (char)(end.ptr[i] + 32) : end.ptr[i];
    }
    return arena_printf(arena, "perfwright/%.*s%s%s", (int)len, slug, len > 0 ? "-" : "", tail);
}
