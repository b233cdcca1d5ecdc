// What a plan says about judging the run: thresholds, SLO documents, budget.
#include "load/plan_read.h"

#include <unistd.h>

// ---- thresholds

// A tag that nothing in the plan has makes a threshold that always holds.
static void check_filter(PlanReader *r, const Doc *at, const Labels *filter)
{
    Slice request = labels_get(*filter, SLICE("name"));
    bool found = request.len == 0;
    Slice *names = ARENA_ARRAY(r->arena, Slice, r->request_count + 1);
    for (size_t i = 0; i < r->request_count; i++) {
        names[i] = r->requests[i].name;
        found = found || slice_eq(names[i], request);
    }
    if (!found) {
        Slice nearest = slice_nearest(request, names, r->request_count);
        plan_warning(r, at,
                     "no request is named \"%.*s\", so this threshold judges nothing%s%.*s%s",
                     SLICE_FMT(request), nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                     nearest.len ? "\"?" : "");
    }
    Slice scenario = labels_get(*filter, SLICE("scenario"));
    found = scenario.len == 0;
    for (size_t i = 0; i < r->plan->scenario_count; i++) {
        found = found || slice_eq(r->plan->scenarios[i].name, scenario);
    }
    if (!found) {
        plan_warning(r, at, "no scenario is named \"%.*s\", so this threshold judges nothing",
                     SLICE_FMT(scenario));
    }
}

static void read_threshold(PlanReader *r, const Doc *d, PlanThreshold base, PlanThreshold *all)
{
    ThresholdFields f = {0};
    Err e = {0};
    if (d->type == DOC_STRING) {
        f.threshold = d->text;
    } else if (!plan_fields_read(r, d, "threshold", &f)) {
        return;
    } else if (f.threshold.len == 0) {
        plan_mistake(r, d, "a threshold needs its expression: {threshold: \"p(95)<500\"}");
        return;
    } else if (f.delay_ns > 0 && !f.abort_on_fail) {
        plan_warning(r, doc_get(d, SLICE("delayAbortEval")),
                     "delayAbortEval does nothing without "
                     "abortOnFail: true");
    }
    if (threshold_parse(f.threshold, metric_info(base.metric)->kind, &base.test, &e) != 0) {
        plan_mistake_err(r, d, &e);
        return;
    }
    if (r->plan->threshold_count == PLAN_THRESHOLDS_MAX) {
        plan_mistake(r, d, "more than %d thresholds", PLAN_THRESHOLDS_MAX);
        return;
    }
    base.abort_on_fail = f.abort_on_fail;
    base.delay_abort_eval_ns = f.delay_ns;
    base.line = d->line;
    base.column = d->column;
    all[r->plan->threshold_count++] = base;
}

static void read_metric(PlanReader *r, const Doc *d, PlanThreshold *all)
{
    PlanThreshold base = {.key = d->key};
    Err e = {0};
    if (threshold_key_parse(r->arena, d->key, &base.metric, &base.filter, &e) != 0) {
        plan_mistake_key(r, d, "%s", e.text);
        return;
    }
    check_filter(r, d, &base.filter);
    if (d->type != DOC_ARRAY) {
        read_threshold(r, d, base, all);
        return;
    }
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        read_threshold(r, m, base, all);
    }
}

void plan_read_thresholds(PlanReader *r, const Doc *d)
{
    if (d->type != DOC_OBJECT) {
        plan_mistake(r, d, "thresholds must be an object of expressions by metric, not %s",
                     doc_type_name(d->type));
        return;
    }
    size_t count = 0;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        count += m->type == DOC_ARRAY ? doc_count(m) : 1;
    }
    count = count < PLAN_THRESHOLDS_MAX ? count : PLAN_THRESHOLDS_MAX;
    PlanThreshold *all = ARENA_ARRAY(r->arena, PlanThreshold, count + 1);
    r->plan->thresholds = all;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        read_metric(r, m, all);
    }
}

// ---- SLO documents

static void read_slo_file(PlanReader *r, const Doc *d, Slice *ret)
{
    Slice text = {0};
    if (!plan_scalar(r, d, "an SLO document", &text)) {
        return;
    }
    const char *path = plan_path(r, d, text);
    if (access(path, R_OK) != 0) {
        plan_mistake(r, d, "the SLO document %s cannot be read", path);
        return;
    }
    *ret = slice_from_cstr(path);
    r->plan->slo_file_count++;
}

void plan_read_slo(PlanReader *r, const Doc *d)
{
    bool is_list = d->type == DOC_ARRAY;
    if (is_list && !plan_is_list(r, d, "slo", PLAN_SLO_FILES_MAX)) {
        return;
    }
    Slice *files = ARENA_ARRAY(r->arena, Slice, is_list ? doc_count(d) + 1 : 1);
    r->plan->slo_files = files;
    for (const Doc *m = is_list ? doc_first(d) : d; m; m = is_list ? doc_next(m) : NULL) {
        read_slo_file(r, m, &files[r->plan->slo_file_count]);
    }
}

// ---- budget

static void read_money(PlanReader *r, const Doc *d, PlanBudget *b)
{
    MoneyFields f = {0};
    if (!plan_fields_read(r, d, "money", &f)) {
        return;
    }
    if (f.limit <= 0 || f.per_vu_hour + f.per_request <= 0) {
        plan_mistake(r, d, "a budget of money needs a limit, and a price: perVuHour or perRequest");
        return;
    }
    b->money = f.limit;
    b->currency = f.currency;
    b->price_per_vu_hour = f.per_vu_hour;
    b->price_per_request = f.per_request;
}

void plan_read_budget(PlanReader *r, const Doc *d)
{
    BudgetFields f = {0};
    if (!plan_fields_read(r, d, "budget", &f)) {
        return;
    }
    r->plan->budget = (PlanBudget){.requests = f.requests, .bytes = f.bytes};
    if (f.money) {
        read_money(r, f.money, &r->plan->budget);
    }
}
