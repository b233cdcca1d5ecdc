#include "report/json.h"

#include <math.h>

#include "base/json_write.h"

static void key(JsonWriter *w, const char *name)
{
    json_key(w, slice_from_cstr(name));
}

static void interval(JsonWriter *w, const char *name, Interval i)
{
    key(w, name);
    json_object_begin(w);
    json_field_double(w, "low", i.low);
    json_field_double(w, "high", i.high);
    json_field_double(w, "confidence", i.confidence);
    json_object_end(w);
}

static void latency(JsonWriter *w, const char *name, const ReportLatency *l)
{
    key(w, name);
    json_object_begin(w);
    json_field_int(w, "count", (int64_t)l->count);
    json_field_double(w, "mean", l->mean);
    json_field_double(w, "min", l->min);
    json_field_double(w, "p50", l->p50);
    json_field_double(w, "p90", l->p90);
    json_field_double(w, "p95", l->p95);
    json_field_double(w, "p99", l->p99);
    json_field_double(w, "p999", l->p999);
    json_field_double(w, "max", l->max);
    json_object_end(w);
}

static void needed(JsonWriter *w, const Needed *n)
{
    key(w, "needed");
    json_object_begin(w);
    json_field_int(w, "requests", (int64_t)n->requests);
    json_field_double(w, "minutes", n->minutes);
    json_field_int(w, "runs", (int64_t)n->runs);
    json_object_end(w);
}

static const char *tone_name(ReportTone tone)
{
    switch (tone) {
    case TONE_NEUTRAL: return "neutral";
    case TONE_GOOD: return "good";
    case TONE_WARN: return "warning";
    case TONE_BAD: return "bad";
    }
    return "neutral";
}

static void write_verdict(JsonWriter *w, const ReportModel *m)
{
    const Judgement *j = m->in.judgement;
    key(w, "verdict");
    json_object_begin(w);
    json_field_string(w, "status", m->verdict);
    json_field_string(w, "summary", m->headline);
    json_field_bool(w, "judged", m->judged);
    key(w, "exit_code");
    if (j) {
        json_int(w, j->exit_code);
    } else {
        json_null(w);
    }
    json_object_end(w);
    key(w, "notices");
    json_array_begin(w);
    for (size_t i = 0; i < m->notice_count; i++) {
        json_object_begin(w);
        json_field_cstr(w, "tone", tone_name(m->notices[i].tone));
        json_field_string(w, "title", m->notices[i].title);
        json_field_string(w, "text", m->notices[i].text);
        json_object_end(w);
    }
    json_array_end(w);
}

// In the ledger's words, which other tools compare with.
static const char *status_name(RunStatus status)
{
    switch (status) {
    case RUN_RUNNING: return "running";
    case RUN_COMPLETE: return "complete";
    case RUN_PARTIAL: return "partial";
    case RUN_ABORTED: return "aborted";
    case RUN_INVALID: return "invalid";
    }
    return "unknown";
}

static void write_run(JsonWriter *w, const RunData *run)
{
    const RunInfo *info = &run->info;
    json_object_begin(w);
    json_field_cstr(w, "id", info->id);
    json_field_string(w, "kind", info->kind);
    json_field_string(w, "name", info->name);
    json_field_string(w, "target", info->target);
    json_field_cstr(w, "status", status_name(run->end.status));
    json_field_string(w, "reason", run->end.reason);
    json_field_int(w, "started_unix_ns", info->started_unix_ns);
    json_field_int(w, "duration_ns", run->end.duration_ns);
    json_field_double(w, "load_scale", info->load_scale);
    key(w, "seed"); // as text: a JSON reader's doubles hold 53 bits
    char seed[24];
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)info->seed);
    json_cstr(w, seed);
    json_field_string(w, "plan_sha256", info->plan_sha256);
    json_field_string(w, "seal", run->seal_hash);
    key(w, "labels");
    json_object_begin(w);
    for (size_t i = 0; i < info->labels.count; i++) {
        json_key(w, info->labels.items[i].key);
        json_string(w, info->labels.items[i].value);
    }
    json_object_end(w);
    json_object_end(w);
}

static void write_runs(JsonWriter *w, const ReportModel *m)
{
    key(w, "run");
    write_run(w, m->in.run);
    key(w, "peers");
    json_array_begin(w);
    for (size_t i = 0; i < m->in.peer_count; i++) {
        json_object_begin(w);
        json_field_cstr(w, "role", m->in.peers[i].baseline ? "baseline" : "candidate");
        key(w, "run");
        write_run(w, m->in.peers[i].run);
        json_object_end(w);
    }
    json_array_end(w);
    json_field_string(w, "program_version", m->in.program_version);
    json_field_string(w, "command", m->in.command);
    json_field_string(w, "ledger_head", m->in.ledger_head);
}

static void write_totals(JsonWriter *w, const ReportModel *m)
{
    const ReportTotals *t = &m->totals;
    key(w, "totals");
    json_object_begin(w);
    json_field_double(w, "requests", t->requests);
    json_field_double(w, "request_rate", t->request_rate);
    json_field_double(w, "failed", t->failed);
    json_field_double(w, "failed_share", t->failed_share);
    json_field_double(w, "iterations", t->iterations);
    json_field_double(w, "iteration_rate", t->iteration_rate);
    json_field_double(w, "offered", t->offered);
    json_field_double(w, "offered_rate", t->offered_rate);
    json_field_double(w, "dropped", t->dropped);
    json_field_double(w, "checks_passed", t->checks_passed);
    json_field_double(w, "checks_total", t->checks_total);
    json_field_double(w, "data_sent", t->data_sent);
    json_field_double(w, "data_received", t->data_received);
    json_field_double(w, "vus_max", t->vus_max);
    latency(w, "latency_ms", &t->latency);
    latency(w, "corrected_ms", &t->corrected);
    latency(w, "iteration_ms", &t->iteration);
    latency(w, "lateness_ms", &t->lateness);
    latency(w, "generator_lateness_ms", &t->generator);
    json_object_end(w);
}

static void write_endpoints(JsonWriter *w, const ReportModel *m)
{
    key(w, "endpoints");
    json_array_begin(w);
    for (size_t i = 0; i < m->endpoint_count; i++) {
        const ReportEndpoint *p = &m->endpoints[i];
        json_object_begin(w);
        json_field_string(w, "name", p->name);
        json_field_double(w, "requests", p->requests);
        json_field_double(w, "request_rate", p->per_second);
        json_field_double(w, "failed", p->failed);
        json_field_double(w, "failed_share", p->failed_share);
        latency(w, "latency_ms", &p->latency);
        latency(w, "corrected_ms", &p->corrected);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_errors(JsonWriter *w, const ReportModel *m)
{
    key(w, "errors");
    json_array_begin(w);
    for (size_t i = 0; i < m->kind_count; i++) {
        json_object_begin(w);
        json_field_string(w, "kind", m->kinds[i].name);
        json_field_double(w, "count", m->kinds[i].count);
        json_field_double(w, "share", m->kinds[i].share);
        json_field_double(w, "first_seen_s", m->kinds[i].first_seen_s);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_checks(JsonWriter *w, const ReportModel *m)
{
    key(w, "checks");
    json_array_begin(w);
    for (size_t i = 0; i < m->check_count; i++) {
        json_object_begin(w);
        json_field_string(w, "name", m->checks[i].name);
        json_field_string(w, "endpoint", m->checks[i].endpoint);
        json_field_int(w, "passes", m->checks[i].passes);
        json_field_int(w, "fails", m->checks[i].fails);
        json_object_end(w);
    }
    json_array_end(w);
    key(w, "thresholds");
    json_array_begin(w);
    for (size_t i = 0; i < m->threshold_count; i++) {
        json_object_begin(w);
        json_field_string(w, "metric", m->thresholds[i].metric);
        json_field_string(w, "expression", m->thresholds[i].expression);
        json_field_double(w, "value", m->thresholds[i].value);
        key(w, "ok");
        if (m->invalid || !m->thresholds[i].has_value) {
            json_null(w);
        } else {
            json_bool(w, m->thresholds[i].ok);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_slo(JsonWriter *w, const SloVerdict *s)
{
    json_object_begin(w);
    json_field_string(w, "name", s->name);
    json_field_string(w, "service", s->service);
    json_field_string(w, "endpoint", s->endpoint);
    json_field_string(w, "metric", s->metric);
    json_field_string(w, "indicator", s->indicator);
    json_field_string(w, "origin", s->origin);
    json_field_string(w, "verdict", slo_value_name(s->value));
    json_field_double(w, "target", s->target);
    json_field_double(w, "threshold", s->threshold);
    json_field_string(w, "unit", s->unit);
    json_field_bool(w, "is_share", s->is_share);
    json_field_double(w, "estimate", s->estimate);
    interval(w, "interval", s->interval);
    json_field_double(w, "limit", s->limit);
    json_field_double(w, "p_breached", s->p_breached);
    json_field_double(w, "p_met", s->p_met);
    json_field_string(w, "method", s->method);
    json_field_double(w, "observed", s->observed);
    interval(w, "observed_interval", s->observed_interval);
    json_field_int(w, "n", (int64_t)s->n);
    json_field_double(w, "n_effective", s->n_effective);
    needed(w, &s->needed);
    key(w, "budget");
    json_object_begin(w);
    json_field_double(w, "allowed", s->budget.allowed);
    json_field_double(w, "consumed", s->budget.consumed);
    json_field_double(w, "burn_rate", s->budget.burn_rate);
    json_field_double(w, "exhausted_after_h", s->budget.exhausted_after_h);
    json_object_end(w);
    json_field_string(w, "reason", s->reason);
    json_field_bool(w, "advisory", s->advisory);
    json_object_end(w);
}

static void write_change(JsonWriter *w, const ChangeVerdict *c)
{
    json_object_begin(w);
    json_field_string(w, "endpoint", c->endpoint);
    json_field_string(w, "metric", c->metric);
    json_field_string(w, "measure", change_measure_name(c->measure));
    json_field_string(w, "unit", c->unit);
    json_field_string(w, "verdict", change_value_name(c->value));
    json_field_double(w, "baseline", c->baseline);
    json_field_double(w, "candidate", c->candidate);
    json_field_double(w, "ratio", c->ratio);
    json_field_double(w, "difference", c->difference);
    interval(w, "interval", c->interval);
    json_field_double(w, "p", c->p);
    json_field_double(w, "p_adjusted", c->p_adjusted);
    json_field_string(w, "method", c->method);
    json_field_bool(w, "single_run", c->single_run);
    json_field_bool(w, "decides", c->decides);
    json_field_bool(w, "equivalent", c->equivalent);
    json_field_double(w, "margin", c->margin);
    json_field_double(w, "share_of_change", c->share);
    needed(w, &c->needed);
    json_field_string(w, "reason", c->reason);
    json_object_end(w);
}

static void write_judgement(JsonWriter *w, const ReportModel *m)
{
    key(w, "objectives");
    json_array_begin(w);
    for (size_t i = 0; i < report_slo_count(m); i++) {
        write_slo(w, &m->in.judgement->slos[i]);
    }
    json_array_end(w);
    key(w, "comparison");
    if (report_change_count(m) == 0) {
        json_null(w);
        return;
    }
    const Judgement *j = m->in.judgement;
    json_object_begin(w);
    json_field_int(w, "baseline_runs", (int64_t)j->baseline_runs);
    json_field_int(w, "candidate_runs", (int64_t)j->candidate_runs);
    json_field_string(w, "culprit", j->culprit);
    json_field_double(w, "culprit_share", j->culprit.len ? j->culprit_share : (double)NAN);
    key(w, "changes");
    json_array_begin(w);
    for (size_t i = 0; i < j->change_count; i++) {
        write_change(w, &j->changes[i]);
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_step(JsonWriter *w, const ReportModel *m, const ReportStep *s)
{
    json_object_begin(w);
    json_field_double(w, "at_s", s->at_s);
    json_field_double(w, "offered_rate", s->offered);
    json_field_double(w, "iteration_rate", s->achieved);
    json_field_double(w, "dropped_rate", s->dropped);
    json_field_double(w, "request_rate", s->requests);
    json_field_double(w, "failed_rate", s->failed);
    json_field_double(w, "vus", s->vus);
    latency(w, "latency_ms", &s->latency);
    latency(w, "corrected_ms", &s->corrected);
    json_field_double(w, "generator_lateness_p99_ms", s->lateness_p99_ms);
    json_field_double(w, "cpu", s->cpu);
    json_field_double(w, "steal", s->steal);
    key(w, "error_rates"); // in the order of "errors"
    json_array_begin(w);
    for (size_t k = 0; k < m->kind_count; k++) {
        json_double(w, s->errors[k]);
    }
    json_array_end(w);
    json_object_end(w);
}

static void document(JsonWriter *w, const char *name, const Doc *doc)
{
    key(w, name);
    if (doc) {
        doc_write(w, doc);
    } else {
        json_null(w);
    }
}

int report_json(const ReportModel *m, Buf *out, Err *e)
{
    JsonWriter w = json_writer(out, 2);
    json_object_begin(&w);
    json_field_cstr(&w, "format", "perfwright-report");
    json_field_int(&w, "version", REPORT_JSON_VERSION);
    write_verdict(&w, m);
    write_runs(&w, m);
    write_judgement(&w, m);
    write_totals(&w, m);
    write_endpoints(&w, m);
    write_errors(&w, m);
    write_checks(&w, m);
    json_field_double(&w, "step_s", m->step_s);
    key(&w, "steps");
    json_array_begin(&w);
    for (size_t i = 0; i < m->step_count; i++) {
        write_step(&w, m, &m->steps[i]);
    }
    json_array_end(&w);
    document(&w, "health", m->in.run->health);
    document(&w, "environment", m->in.run->environment);
    document(&w, "summary", m->in.run->summary);
    json_object_end(&w);
    buf_putc(out, '\n');
    return buf_check(out, "the JSON report", e);
}
