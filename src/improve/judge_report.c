// The report as JSON, with every raw sample, and as text for people.
#include <math.h>

#include "base/utf8.h"
#include "improve/critique.h"
#include "improve/judge.h"

enum { REPORT_VERSION = 1 };

// ---- JSON

static void write_interval(JsonWriter *w, const char *key, Interval i)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    json_field_double(w, "confidence", i.confidence);
    json_field_double(w, "high", i.high);
    json_field_double(w, "low", i.low);
    json_object_end(w);
}

// [arm, round, input, at, wall, user, system, rss, exit, flags]: a row a sample, the heads once,
// because a judgement has hundreds of them.
static void write_samples(JsonWriter *w, const JudgeMeasure *m)
{
    static const char *const HEADS[] = {"arm",       "round",   "input",     "at_ns",
                                        "wall_ns",   "user_ns", "system_ns", "rss_bytes",
                                        "exit_code", "warmup",  "timed_out"};
    json_key(w, SLICE("sample_columns"));
    json_array_begin(w);
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        json_cstr(w, HEADS[i]);
    }
    json_array_end(w);
    json_key(w, SLICE("samples"));
    json_array_begin(w);
    for (size_t i = 0; i < m->sample_count; i++) {
        const JudgeSample *s = &m->samples[i];
        json_array_begin(w);
        json_int(w, s->arm);
        json_int(w, s->round);
        json_int(w, s->input);
        json_int(w, s->at_ns);
        json_int(w, s->sample.wall_ns);
        json_int(w, s->sample.user_ns);
        json_int(w, s->sample.system_ns);
        json_int(w, s->sample.rss_max_bytes);
        json_int(w, s->sample.exit_code);
        json_bool(w, s->warmup);
        json_bool(w, s->sample.timed_out);
        json_array_end(w);
    }
    json_array_end(w);
}

static void write_measure(JsonWriter *w, const JudgeMeasure *m)
{
    json_object_begin(w);
    write_interval(w, "aa_interval", m->aa_interval);
    json_field_double(w, "aa_ratio", m->aa_ratio);
    json_field_int(w, "env_seed", (int64_t)m->env_seed);
    json_field_bool(w, "fell_back", m->fell_back);
    json_field_bool(w, "hidden_inputs", m->hidden_inputs);
    json_field_int(w, "inputs", m->input_count);
    write_interval(w, "interval", m->interval);
    json_field_cstr(w, "metric", BENCH_METRIC_NAMES[m->metric]);
    json_field_double(w, "more_rounds", m->more_rounds);
    json_field_double(w, "other_ratio", m->other_ratio);
    json_field_cstr(w, "outcome", JUDGE_OUTCOME_NAMES[m->outcome]);
    json_field_double(w, "ratio", m->ratio);
    json_field_cstr(w, "role", JUDGE_ROLE_NAMES[m->role]);
    json_field_int(w, "rounds", m->rounds);
    json_field_double(w, "rss_ratio", m->rss_ratio);
    json_field_string(w, "run", m->run);
    write_samples(w, m);
    json_field_int(w, "took_ns", m->took_ns);
    json_field_string(w, "why", m->why);
    json_field_string(w, "workload", m->workload);
    json_object_end(w);
}

static void write_tests(JsonWriter *w, const JudgeTests *t)
{
    json_object_begin(w);
    json_field_int(w, "base_exit", t->base_exit);
    json_field_int(w, "base_failed", t->base_failed);
    json_field_int(w, "base_passed", t->base_passed);
    json_field_int(w, "base_skipped", t->base_skipped);
    json_field_bool(w, "counted", t->counted);
    json_field_string(w, "framework", t->framework);
    json_field_int(w, "patched_exit", t->patched_exit);
    json_field_int(w, "patched_failed", t->patched_failed);
    json_field_int(w, "patched_passed", t->patched_passed);
    json_field_int(w, "patched_skipped", t->patched_skipped);
    json_field_bool(w, "ran", t->ran);
    json_object_end(w);
}

static void write_commands(JsonWriter *w, const JudgeReport *r)
{
    json_array_begin(w);
    for (size_t i = 0; i < r->command_count; i++) {
        const JudgeCommand *c = &r->commands[i];
        json_object_begin(w);
        json_field_int(w, "exit_code", c->exit_code);
        json_field_string(w, "log_tail", c->log_tail);
        json_field_string(w, "run", c->run);
        json_field_bool(w, "timed_out", c->timed_out);
        json_field_int(w, "wall_ns", c->wall_ns);
        json_field_string(w, "what", c->what);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_hashes(JsonWriter *w, const JudgeReport *r)
{
    json_object_begin(w);
    json_field_cstr(w, "base_artifact", r->base_artifact_sha256);
    json_field_int(w, "base_artifact_bytes", r->base_artifact_bytes);
    json_field_string(w, "base_commit", r->base_commit);
    json_field_string(w, "head_commit", r->head_commit);
    json_field_cstr(w, "patch", r->patch_sha256);
    json_field_cstr(w, "patched_artifact", r->patched_artifact_sha256);
    json_field_int(w, "patched_artifact_bytes", r->patched_artifact_bytes);
    json_key(w, SLICE("reproducible"));
    if (r->reproducible_known) {
        json_bool(w, r->reproducible);
    } else {
        json_null(w);
    }
    json_field_bool(w, "same_artifact", r->same_artifact);
    json_object_end(w);
}

static void write_times(JsonWriter *w, const JudgeReport *r)
{
    json_object_begin(w);
    json_field_int(w, "building_ns", r->building_ns);
    json_field_int(w, "measuring_ns", r->measuring_ns);
    json_field_int(w, "started_unix_ns", r->started_unix_ns);
    json_field_int(w, "testing_ns", r->testing_ns);
    json_field_int(w, "took_ns", r->took_ns);
    json_object_end(w);
}

static void write_checks(JsonWriter *w, const JudgeReport *r)
{
    json_array_begin(w);
    for (size_t i = 0; i < r->check_count; i++) {
        json_object_begin(w);
        json_field_bool(w, "done", r->checks[i].done);
        json_field_string(w, "text", r->checks[i].text);
        json_field_string(w, "what", r->checks[i].what);
        json_object_end(w);
    }
    json_array_end(w);
}

void judge_report_write(const JudgeReport *r, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "attempts", r->attempts);
    json_key(w, SLICE("checks"));
    write_checks(w, r);
    json_field_string(w, "claim", r->claim);
    json_key(w, SLICE("commands"));
    write_commands(w, r);
    json_field_bool(w, "complete", r->complete);
    if (r->critique) {
        json_key(w, SLICE("critique"));
        critique_write(r->critique, w);
    }
    json_field_string(w, "decide", r->decide);
    if (r->environment_json.len > 0) {
        json_key(w, SLICE("environment"));
        json_raw(w, r->environment_json);
    }
    json_key(w, SLICE("findings"));
    findings_write(&r->findings, w);
    json_field_cstr(w, "format", "perfwright-judgement");
    json_key(w, SLICE("hashes"));
    write_hashes(w, r);
    json_field_int(w, "hidden_seed", (int64_t)r->hidden_seed);
    write_interval(w, "interval", r->interval);
    json_key(w, SLICE("measures"));
    json_array_begin(w);
    for (size_t i = 0; i < r->measure_count; i++) {
        write_measure(w, &r->measures[i]);
    }
    json_array_end(w);
    json_field_double(w, "ratio", r->ratio);
    json_field_string(w, "reason", r->reason);
    json_key(w, SLICE("registration"));
    registration_write_secret(&r->registration, w);
    json_field_cstr(w, "run", r->run_id);
    json_field_bool(w, "sandboxed", r->sandboxed);
    json_key(w, SLICE("tests"));
    write_tests(w, &r->tests);
    json_key(w, SLICE("times"));
    write_times(w, r);
    json_field_cstr(w, "verdict", PATCH_VERDICT_NAMES[r->verdict]);
    json_field_int(w, "version", REPORT_VERSION);
    json_object_end(w);
}

// ---- for people

static void put_text(Buf *out, Slice text)
{
    utf8_sanitise(out, text); // it may quote the repository: nothing in it drives the terminal
}

static void print_measures(const JudgeReport *r, Buf *out)
{
    if (r->measure_count == 0) {
        return;
    }
    buf_printf(out, "\n%-16s %-15s %-6s %8s  %-17s %-17s %6s  %s\n", "WORKLOAD", "SESSION",
               "METRIC", "RATIO", "INTERVAL", "BASE AGAIN", "ROUNDS", "OUTCOME");
    for (size_t i = 0; i < r->measure_count; i++) {
        const JudgeMeasure *m = &r->measures[i];
        char interval[64], again[64];
        (void)snprintf(interval, sizeof interval, "[%.4f, %.4f]", m->interval.low,
                       m->interval.high);
        (void)snprintf(again, sizeof again, "[%.4f, %.4f]", m->aa_interval.low,
                       m->aa_interval.high);
        Buf name = buf_create(4096);
        put_text(&name, slice_sub(m->workload, 0, 16));
        buf_printf(out, "%-16.*s %-15s %-6s %8.4f  %-17s %-17s %6u  %s\n",
                   SLICE_FMT(buf_slice(&name)), JUDGE_ROLE_NAMES[m->role],
                   BENCH_METRIC_NAMES[m->metric], m->ratio, interval, again, m->rounds,
                   JUDGE_OUTCOME_NAMES[m->outcome]);
        buf_done(&name);
    }
    buf_puts(out, "Ratios are patched over base: below 1 is better.\n");
}

static void print_findings(const JudgeReport *r, bool verbose, Buf *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < r->findings.count; i++) {
        const Finding *f = &r->findings.items[i];
        if (!verbose && f->level == FINDING_NOTE && shown >= 12) {
            continue;
        }
        buf_printf(out, "%s  %-8s %.*s: ", shown++ == 0 ? "\nFindings\n" : "",
                   FINDING_LEVEL_NAMES[f->level], SLICE_FMT(f->check));
        put_text(out, f->text);
        if (f->file.len > 0) {
            buf_puts(out, " (");
            put_text(out, f->file);
            if (f->line > 0) {
                buf_printf(out, ":%ld", f->line);
            }
            buf_putc(out, ')');
        }
        buf_putc(out, '\n');
    }
}

static void print_checks(const JudgeReport *r, Buf *out)
{
    for (size_t i = 0; i < r->check_count; i++) {
        const JudgeChecked *c = &r->checks[i];
        buf_printf(out, "%s  %s %.*s: ", i == 0 ? "\nChecked\n" : "", c->done ? "yes" : "no ",
                   SLICE_FMT(c->what));
        put_text(out, c->text);
        buf_putc(out, '\n');
    }
}

void judge_report_print(const JudgeReport *r, bool verbose, Buf *out)
{
    buf_printf(out, "%s: ", PATCH_VERDICT_NAMES[r->verdict]);
    put_text(out, r->claim);
    buf_puts(out, "\n  ");
    put_text(out, r->reason);
    buf_putc(out, '\n');
    if (r->decide.len > 0) {
        buf_puts(out, "  What would decide: ");
        put_text(out, r->decide);
        buf_putc(out, '\n');
    }
    if (!r->sandboxed) {
        buf_puts(out, "  Without a sandbox: the code of the patch ran with your rights, and could "
                      "have seen that it was measured.\n");
    }
    print_measures(r, out);
    print_findings(r, verbose, out);
    print_checks(r, out);
    buf_printf(out, "\nBase %.12s, patch %.12s, hidden seed %llu, registered %.12s%s%s\n",
               r->base_commit.len > 0 ? r->base_commit.ptr : "-", r->patch_sha256,
               (unsigned long long)r->hidden_seed, r->registration.sha256,
               r->run_id[0] ? ", run " : "", r->run_id);
    buf_printf(out, "%.1f s in all: %.1f s of samples, %.1f s building, %.1f s testing\n",
               (double)r->took_ns / 1e9, (double)r->measuring_ns / 1e9,
               (double)r->building_ns / 1e9, (double)r->testing_ns / 1e9);
}
