#include "judge/openslo.h"

#include <math.h>

#include "base/units.h"
#include "judge/openslo_parts.h"

// ---- indicators ----

static bool is_request_metric(MetricId id)
{
    return slice_starts_with(metric_info(id)->name, SLICE("http_req_"));
}

static void base_slo(const OpenSloSource *s, Slo *slo)
{
    slo->metric = metric_info(s->metric)->name;
    slo->filter = s->labels;
    slo->failures_are_bad = is_request_metric(s->metric);
}

static SloOp opposite(SloOp op)
{
    switch (op) {
    case SLO_OP_LE: return SLO_OP_GT;
    case SLO_OP_LT: return SLO_OP_GE;
    case SLO_OP_GE: return SLO_OP_LT;
    case SLO_OP_GT: return SLO_OP_LE;
    }
    return op;
}

static bool total_fits(const OpenSloSource *part, const OpenSloSource *total)
{
    bool same = total->metric == part->metric ||
                (total->metric == M_HTTP_REQS && is_request_metric(part->metric));
    return same && !total->has_test && labels_eq(part->labels, total->labels);
}

static bool ratio_part(OpenSloReader *r, const Doc *holder, const OpenSloSource *part, bool is_good,
                       Slo *slo)
{
    base_slo(part, slo);
    MetricKind kind = metric_info(part->metric)->kind;
    if (kind == METRIC_TREND) {
        if (!part->has_test) {
            openslo_problem(r, part->at,
                            "needs a threshold that tells good requests from bad ones");
            return false;
        }
        slo->op = is_good ? part->op : opposite(part->op);
        slo->threshold = part->threshold;
        return true;
    }
    if (kind == METRIC_RATE) {
        if (part->metric == M_HTTP_REQ_FAILED && is_good) {
            openslo_problem(r, holder,
                            "failed requests are not good: name http_req_failed under bad");
            return false;
        }
        slo->true_is_bad = !is_good;
        return true;
    }
    openslo_problem(r, part->at,
                    "good and bad must name a trend or a rate, which this is not: \"%.*s\"",
                    SLICE_FMT(metric_info(part->metric)->name));
    return false;
}

static bool read_ratio(OpenSloReader *r, const Doc *ratio, Slo *slo)
{
    OPENSLO_FIELDS(r, ratio, SLICE("counter"), SLICE("good"), SLICE("bad"), SLICE("total"),
                   SLICE("rawType"), SLICE("raw"));
    // Counters and rates are one here: a run holds what was added in every second.
    (void)openslo_member(r, ratio, "counter", DOC_BOOL, false);
    if (doc_get(ratio, SLICE("raw")) || doc_get(ratio, SLICE("rawType"))) {
        openslo_problem(r, ratio,
                        "raw ratios are not supported: a share without its counts has no "
                        "interval; give good or bad, and total");
        return false;
    }
    const Doc *good = openslo_member(r, ratio, "good", DOC_OBJECT, false);
    const Doc *bad = openslo_member(r, ratio, "bad", DOC_OBJECT, false);
    const Doc *whole = openslo_member(r, ratio, "total", DOC_OBJECT, true);
    if ((good == NULL) == (bad == NULL)) {
        openslo_problem(r, ratio, "needs either good or bad, and total");
        return false;
    }
    OpenSloSource part = openslo_source(r, good ? good : bad);
    OpenSloSource total = openslo_source(r, whole);
    if (part.at == NULL || total.at == NULL ||
        !ratio_part(r, good ? good : bad, &part, good != NULL, slo)) {
        return false;
    }
    if (!total_fits(&part, &total)) {
        openslo_problem(r, total.at,
                        "total must be the same metric, or http_reqs, with the same labels "
                        "and no threshold");
        return false;
    }
    return true;
}

static bool read_threshold_metric(OpenSloReader *r, const Doc *metric, Slo *slo,
                                  bool *ret_threshold)
{
    OpenSloSource s = openslo_source(r, metric);
    if (s.at == NULL) {
        return false;
    }
    base_slo(&s, slo);
    if (metric_info(s.metric)->kind != METRIC_TREND) {
        openslo_problem(r, s.at,
                        "thresholdMetric needs a metric with a value a request (a trend), such as "
                        "http_req_duration; use ratioMetric for rates");
        return false;
    }
    *ret_threshold = true;
    if (s.has_test) {
        openslo_problem(r, metric, "op and threshold belong into the objective (op, value) here");
        return false;
    }
    return true;
}

// *ret_threshold: the objectives must have op and value.
static bool read_indicator(OpenSloReader *r, const Doc *spec, Slo *slo, bool *ret_threshold)
{
    OPENSLO_FIELDS(r, spec, SLICE("description"), SLICE("thresholdMetric"), SLICE("ratioMetric"));
    const Doc *ratio = openslo_member(r, spec, "ratioMetric", DOC_OBJECT, false);
    const Doc *threshold = openslo_member(r, spec, "thresholdMetric", DOC_OBJECT, false);
    if ((ratio == NULL) == (threshold == NULL)) {
        openslo_problem(r, spec, "needs either ratioMetric or thresholdMetric");
        return false;
    }
    *ret_threshold = false;
    return ratio ? read_ratio(r, ratio, slo)
                 : read_threshold_metric(r, threshold, slo, ret_threshold);
}

static void check_metadata(OpenSloReader *r, const Doc *holder)
{
    const Doc *metadata = openslo_member(r, holder, "metadata", DOC_OBJECT, true);
    if (metadata) {
        OPENSLO_FIELDS(r, metadata, SLICE("name"), SLICE("displayName"), SLICE("labels"),
                       SLICE("annotations"));
        (void)openslo_text(r, metadata, "name", true);
        (void)openslo_text(r, metadata, "displayName", false);
    }
}

// The spec of the SLI that an SLO names or holds.
static const Doc *indicator_spec(OpenSloReader *r, const Doc *slo_spec)
{
    const Doc *inlined = openslo_member(r, slo_spec, "indicator", DOC_OBJECT, false);
    const Doc *ref = openslo_member(r, slo_spec, "indicatorRef", DOC_STRING, false);
    if ((inlined == NULL) == (ref == NULL)) {
        openslo_problem(r, slo_spec, "needs either indicator or indicatorRef");
        return NULL;
    }
    if (inlined) {
        OPENSLO_FIELDS(r, inlined, SLICE("metadata"), SLICE("spec"));
        return openslo_member(r, inlined, "spec", DOC_OBJECT, true);
    }
    const Doc *sli = openslo_find(r, "SLI", ref->text);
    if (sli == NULL) {
        openslo_problem(r, ref, "there is no SLI named \"%.*s\"", SLICE_FMT(ref->text));
        return NULL;
    }
    const Doc *spec = doc_get(sli, SLICE("spec"));
    return spec && spec->type == DOC_OBJECT ? spec : NULL; // its own check says so
}

// ---- objectives ----

static void read_window(OpenSloReader *r, const Doc *spec, Slo *slo)
{
    const Doc *list = openslo_member(r, spec, "timeWindow", DOC_ARRAY, false);
    if (list == NULL) {
        return;
    }
    const Doc *w = doc_first(list);
    if (doc_count(list) != 1 || w->type != DOC_OBJECT) {
        openslo_problem(r, list, "timeWindow must hold exactly one window");
        return;
    }
    OPENSLO_FIELDS(r, w, SLICE("duration"), SLICE("isRolling"), SLICE("calendar"));
    (void)openslo_member(r, w, "isRolling", DOC_BOOL, false);
    const Doc *calendar = openslo_member(r, w, "calendar", DOC_OBJECT, false);
    if (calendar) {
        OPENSLO_FIELDS(r, calendar, SLICE("startTime"), SLICE("timeZone"));
    }
    const Doc *duration = openslo_member(r, w, "duration", DOC_STRING, true);
    if (duration && openslo_duration(duration->text, &slo->window_ns) != 0) {
        openslo_problem(r, duration, "duration must be such as 28d, 4w or 1M, not \"%.*s\"",
                        SLICE_FMT(duration->text));
    }
}

static void read_budgeting(OpenSloReader *r, const Doc *spec, Slo *slo)
{
    static const char *const NAMES[] = {"Occurrences", "Timeslices", "RatioTimeslices"};
    const Doc *d = openslo_member(r, spec, "budgetingMethod", DOC_STRING, true);
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_cstr(d->text, NAMES[i])) {
            slo->budgeting = (SloBudgeting)i;
            return;
        }
    }
    openslo_problem(
        r, d, "budgetingMethod must be Occurrences, Timeslices or RatioTimeslices, not \"%.*s\"",
        SLICE_FMT(d->text));
}

static void read_target(OpenSloReader *r, const Doc *o, Slo *slo)
{
    double percent;
    bool has_target = openslo_number(r, o, "target", &slo->target);
    bool has_percent = openslo_number(r, o, "targetPercent", &percent);
    if (has_target == has_percent) {
        openslo_problem(r, o, "needs either target or targetPercent");
        return;
    }
    slo->target = has_target ? slo->target : percent / 100;
    if (!(slo->target > 0 && slo->target < 1)) {
        openslo_problem(r, o,
                        has_target ? "target must be above 0 and below 1"
                                   : "targetPercent must be above 0 and below 100");
    }
}

static void read_slice_window(OpenSloReader *r, const Doc *o, Slo *slo)
{
    const Doc *d = doc_get(o, SLICE("timeSliceWindow"));
    if (d == NULL) {
        openslo_problem(r, o, "\"timeSliceWindow\" is missing");
        return;
    }
    if (d->type == DOC_STRING && openslo_duration(d->text, &slo->slice_ns) == 0) {
        return;
    }
    // A bare number counts minutes (OpenSLO v1, objectives).
    double minutes = doc_number(d);
    if (doc_is_number(d) && minutes > 0 && minutes <= 1e6) {
        slo->slice_ns = (int64_t)(minutes * (double)NS_PER_MINUTE);
        return;
    }
    openslo_problem(r, d, "timeSliceWindow must be minutes, or such as 1m or 30s");
}

static void read_slices(OpenSloReader *r, const Doc *o, Slo *slo)
{
    if (slo->budgeting == SLO_OCCURRENCES) {
        return;
    }
    read_slice_window(r, o, slo);
    if (slo->budgeting == SLO_TIMESLICES) {
        if (!openslo_number(r, o, "timeSliceTarget", &slo->slice_target)) {
            openslo_problem(r, o,
                            "Timeslices need a timeSliceTarget, the share that makes a slice good");
        } else if (!(slo->slice_target > 0 && slo->slice_target <= 1)) {
            openslo_problem(r, o, "timeSliceTarget must be above 0 and at most 1");
        }
    }
}

static void read_objective(OpenSloReader *r, const Doc *o, const Slo *common, bool threshold,
                           Slice suffix)
{
    if (o->type != DOC_OBJECT) {
        openslo_problem(r, o, "an objective must be an object");
        return;
    }
    if (doc_get(o, SLICE("indicator")) || doc_get(o, SLICE("indicatorRef")) ||
        doc_get(o, SLICE("compositeWeight"))) {
        openslo_problem(r, o, "composite SLOs are not supported: write one SLO for each indicator");
        return;
    }
    OPENSLO_FIELDS(r, o, SLICE("displayName"), SLICE("op"), SLICE("value"), SLICE("target"),
                   SLICE("targetPercent"), SLICE("timeSliceTarget"), SLICE("timeSliceWindow"));
    Slo slo = *common;
    Slice shown = openslo_text(r, o, "displayName", false);
    if (suffix.len || shown.len) {
        slo.name = arena_printf(r->arena, "%.*s: %.*s", SLICE_FMT(common->name),
                                SLICE_FMT(shown.len ? shown : suffix));
    }
    slo.origin = arena_printf(r->arena, "%s:%d", o->source, o->line);
    bool has_op = openslo_op(r, o, &slo.op);
    double value;
    bool has_value = openslo_number(r, o, "value", &value);
    if (threshold && !(has_op && has_value)) {
        openslo_problem(r, o, "a thresholdMetric's objective needs op and value");
    } else if (!threshold && (has_op || has_value)) {
        openslo_problem(r, o,
                        "op and value belong to a thresholdMetric; a ratioMetric has its threshold "
                        "in the metric source");
    }
    slo.threshold = threshold && has_value ? value : slo.threshold;
    read_target(r, o, &slo);
    read_slices(r, o, &slo);
    if (r->out.slo_count < r->slo_room) {
        r->out.slos[r->out.slo_count++] = slo;
    }
}

static void read_slo(OpenSloReader *r, const Doc *object)
{
    check_metadata(r, object);
    const Doc *spec = openslo_member(r, object, "spec", DOC_OBJECT, true);
    if (spec == NULL) {
        return;
    }
    OPENSLO_FIELDS(r, spec, SLICE("description"), SLICE("service"), SLICE("indicator"),
                   SLICE("indicatorRef"), SLICE("timeWindow"), SLICE("budgetingMethod"),
                   SLICE("objectives"), SLICE("alertPolicies"));
    Slo common = {.name = openslo_object_name(object),
                  .service = openslo_text(r, spec, "service", true)};
    read_window(r, spec, &common);
    read_budgeting(r, spec, &common);
    const Doc *objectives = openslo_member(r, spec, "objectives", DOC_ARRAY, true);
    // A composite SLO has no indicator of its own; one message about that is enough.
    const Doc *first = doc_first(objectives);
    bool composite = doc_get(first, SLICE("indicator")) || doc_get(first, SLICE("indicatorRef"));
    bool threshold = false;
    bool readable = false;
    if (!composite) {
        const Doc *indicator = indicator_spec(r, spec);
        readable = indicator && read_indicator(r, indicator, &common, &threshold);
    }
    size_t count = doc_count(objectives);
    if (objectives && (count == 0 || count > OPENSLO_OBJECTIVES_MAX)) {
        openslo_problem(r, objectives, "there must be 1 to 100 objectives");
        return;
    }
    if (threshold && count > 1) {
        openslo_problem(r, objectives, "a thresholdMetric allows one objective");
    }
    size_t number = 1;
    for (const Doc *o = first; o && (readable || composite); o = doc_next(o), number++) {
        Slice suffix = count > 1 ? arena_printf(r->arena, "objective %zu", number) : (Slice){0};
        read_objective(r, o, &common, threshold, suffix);
    }
}

static void read_other(OpenSloReader *r, const Doc *object)
{
    const Doc *kind = doc_get(object, SLICE("kind"));
    const Slice kinds[] = {SLICE("SLO"),
                           SLICE("SLI"),
                           SLICE("Service"),
                           SLICE("DataSource"),
                           SLICE("AlertPolicy"),
                           SLICE("AlertCondition"),
                           SLICE("AlertNotificationTarget")};
    for (size_t i = 4; i < COUNT_OF(kinds); i++) {
        if (slice_eq(kind->text, kinds[i])) {
            r->out.notes[r->out.note_count++] =
                arena_printf(r->arena, "%s:%d: %.*s has no effect on a load test", object->source,
                             object->line, SLICE_FMT(kind->text));
            return;
        }
    }
    Slice nearest = slice_nearest(kind->text, kinds, COUNT_OF(kinds));
    openslo_problem(r, kind, "unknown kind \"%.*s\"%s%.*s%s", SLICE_FMT(kind->text),
                    nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                    nearest.len ? "\"?" : "");
}

static void check_sli(OpenSloReader *r, const Doc *object)
{
    Slo ignored = {0};
    bool threshold;
    const Doc *spec = openslo_member(r, object, "spec", DOC_OBJECT, true);
    if (spec) {
        (void)read_indicator(r, spec, &ignored, &threshold);
    }
}

static void check_unique(OpenSloReader *r, const Doc *object)
{
    const Doc *kind = doc_get(object, SLICE("kind"));
    Slice name = openslo_object_name(object);
    for (const Doc *d = doc_first(r->all); d != object; d = doc_next(d)) {
        const Doc *other = doc_get(d, SLICE("kind"));
        if (name.len && other && slice_eq(other->text, kind->text) &&
            slice_eq(openslo_object_name(d), name)) {
            openslo_problem(r, object, "another object of this kind has the name \"%.*s\"",
                            SLICE_FMT(name));
            return;
        }
    }
}

static void read_object(OpenSloReader *r, const Doc *object)
{
    if (object->type != DOC_OBJECT) {
        openslo_problem(r, object, "an OpenSLO document must be an object");
        return;
    }
    Slice version = openslo_text(r, object, "apiVersion", true);
    if (version.len && !slice_eq(version, SLICE("openslo/v1"))) {
        openslo_problem(r, doc_get(object, SLICE("apiVersion")),
                        "apiVersion must be openslo/v1; not supported: \"%.*s\"",
                        SLICE_FMT(version));
        return;
    }
    if (openslo_member(r, object, "kind", DOC_STRING, true) == NULL) {
        return;
    }
    OPENSLO_FIELDS(r, object, SLICE("apiVersion"), SLICE("kind"), SLICE("metadata"), SLICE("spec"));
    check_unique(r, object);
    if (openslo_has_kind(object, "SLO")) {
        read_slo(r, object);
    } else if (openslo_has_kind(object, "SLI")) {
        check_metadata(r, object);
        check_sli(r, object);
    } else if (openslo_has_kind(object, "Service") || openslo_has_kind(object, "DataSource")) {
        check_metadata(r, object);
    } else {
        read_other(r, object);
    }
}

static int finish(OpenSloReader *r, OpenSlo *ret, Err *e)
{
    *ret = r->out;
    if (r->out.problems_in_all == 0) {
        return 0;
    }
    size_t more = r->out.problems_in_all - 1;
    if (more == 0) {
        return err_set(e, ERR_PARSE, "%.*s", SLICE_FMT(r->out.problems[0]));
    }
    return err_set(e, ERR_PARSE, "%.*s (and %zu more)", SLICE_FMT(r->out.problems[0]), more);
}

static int read_all(Arena *arena, const Doc *all, OpenSlo *ret, Err *e)
{
    size_t count = doc_count(all);
    if (count > OPENSLO_OBJECTS_MAX) {
        return err_set(e, ERR_LIMIT, "%s: %zu documents, the limit is %d", all->source, count,
                       OPENSLO_OBJECTS_MAX);
    }
    OpenSloReader r = {.arena = arena, .all = all};
    for (const Doc *d = doc_first(all); d; d = doc_next(d)) {
        size_t n = doc_count(doc_get(doc_get(d, SLICE("spec")), SLICE("objectives")));
        r.slo_room += n <= OPENSLO_OBJECTIVES_MAX ? n : 0;
    }
    r.out.slos = ARENA_ARRAY(arena, Slo, r.slo_room + 1);
    r.out.problems = ARENA_ARRAY(arena, Slice, OPENSLO_PROBLEMS_MAX);
    r.out.notes = ARENA_ARRAY(arena, Slice, count + 1);
    for (const Doc *d = doc_first(all); d; d = doc_next(d)) {
        read_object(&r, d);
    }
    if (count == 0) {
        openslo_keep_problem(
            &r, arena_printf(arena, "%s: there is no OpenSLO document in it", all->source));
    }
    return finish(&r, ret, e);
}

// A document too deep, too long or too entangled is a mistake in it like any other.
static int as_mistake(int rc)
{
    return rc == ERR_LIMIT ? ERR_PARSE : rc;
}

int openslo_read(Arena *arena, Slice text, const char *source, OpenSlo *ret, Err *e)
{
    const Doc *all = NULL;
    DocOptions options = {.format = DOC_FORMAT_YAML, .source = source}; // JSON is YAML as well
    int rc = doc_parse_all(arena, text, &options, &all, e);
    return as_mistake(rc != 0 ? rc : read_all(arena, all, ret, e));
}

int openslo_read_file(Arena *arena, const char *path, OpenSlo *ret, Err *e)
{
    const Doc *all = NULL;
    DocOptions options = {.format = DOC_FORMAT_YAML};
    int rc = doc_read_file_all(arena, path, &options, &all, e);
    return as_mistake(rc != 0 ? rc : read_all(arena, all, ret, e));
}
