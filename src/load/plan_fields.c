// The tables of fields: the one place that says what a plan may contain and of which type it is.
#include "load/plan_read.h"

#include "base/units.h"
#include "load/schedule.h"

#define EXECUTOR_BIT(kind) (1u << (kind))
#define ITERATING                                                                                  \
    (EXECUTOR_BIT(EXECUTOR_SHARED_ITERATIONS) | EXECUTOR_BIT(EXECUTOR_PER_VU_ITERATIONS))
#define ARRIVING                                                                                   \
    (EXECUTOR_BIT(EXECUTOR_CONSTANT_ARRIVAL_RATE) | EXECUTOR_BIT(EXECUTOR_RAMPING_ARRIVAL_RATE))
#define RAMPING (EXECUTOR_BIT(EXECUTOR_RAMPING_VUS) | EXECUTOR_BIT(EXECUTOR_RAMPING_ARRIVAL_RATE))

#define FIELD(struct_, text, kind_, member)                                                        \
    {                                                                                              \
        .name = SLICE_INIT(text), .kind = kind_, .offset = offsetof(struct_, member)               \
    }
#define INT_FIELD(struct_, text, kind_, member, low, high)                                         \
    {                                                                                              \
        .name = SLICE_INIT(text), .kind = kind_, .offset = offsetof(struct_, member), .min = low,  \
        .max = high                                                                                \
    }
#define TIME_FIELD(struct_, text, member, low)                                                     \
    {                                                                                              \
        .name = SLICE_INIT(text), .kind = FIELD_DURATION, .offset = offsetof(struct_, member),     \
        .min = low, .max = SCHEDULE_DURATION_MAX                                                   \
    }
// A field that stands in the table for its name; somebody else reads it.
#define NAME_ONLY(text)                                                                            \
    {                                                                                              \
        .name = SLICE_INIT(text), .kind = FIELD_DOC, .offset = SIZE_MAX                            \
    }

static const PlanField TOP[] = {
    INT_FIELD(TopFields, "version", FIELD_INT, version, 1, INT64_MAX),
    FIELD(TopFields, "name", FIELD_TEXT, name),
    INT_FIELD(TopFields, "seed", FIELD_INT, seed, 0, INT64_MAX),
    FIELD(TopFields, "environments", FIELD_DOC, environments),
    FIELD(TopFields, "environment", FIELD_TEXT, environment),
    FIELD(TopFields, "variables", FIELD_DOC, variables),
    FIELD(TopFields, "feeds", FIELD_DOC, feeds),
    FIELD(TopFields, "requests", FIELD_DOC, requests),
    FIELD(TopFields, "scenarios", FIELD_DOC, scenarios),
    FIELD(TopFields, "thresholds", FIELD_DOC, thresholds),
    FIELD(TopFields, "slo", FIELD_DOC, slo),
    FIELD(TopFields, "budget", FIELD_DOC, budget),
    FIELD(TopFields, "setup", FIELD_DOC, setup),
    FIELD(TopFields, "teardown", FIELD_DOC, teardown),
    FIELD(TopFields, "baseline", FIELD_TEXT, baseline),
    FIELD(TopFields, "tags", FIELD_DOC, tags),
    FIELD(TopFields, "options", FIELD_DOC, options),
    FIELD(TopFields, "steps", FIELD_DOC, steps),
    // The load, where there are no scenarios.
    INT_FIELD(TopFields, "vus", FIELD_COUNT, vus, 1, SCHEDULE_VUS_MAX),
    INT_FIELD(TopFields, "iterations", FIELD_COUNT, iterations, 1, INT64_C(1) << 40),
    TIME_FIELD(TopFields, "duration", duration_ns, 1),
    FIELD(TopFields, "stages", FIELD_DOC, stages),
    FIELD(TopFields, "rate", FIELD_DOC, rate),
    FIELD(TopFields, "arrivals", FIELD_DOC, arrivals),
    INT_FIELD(TopFields, "preAllocatedVUs", FIELD_COUNT, pre_allocated_vus, 1, SCHEDULE_VUS_MAX),
    INT_FIELD(TopFields, "maxVUs", FIELD_COUNT, max_vus, 1, SCHEDULE_VUS_MAX),
    TIME_FIELD(TopFields, "gracefulStop", graceful_stop_ns, 0),
    // The only request, where there are no others.
    FIELD(TopFields, "url", FIELD_DOC, url),
    NAME_ONLY("method"),
    NAME_ONLY("headers"),
    NAME_ONLY("body"),
    NAME_ONLY("json"),
    NAME_ONLY("bodyFile"),
    NAME_ONLY("template"),
    NAME_ONLY("timeout"),
    NAME_ONLY("maxRedirects"),
    NAME_ONLY("expectedStatuses"),
    NAME_ONLY("checks"),
    NAME_ONLY("extract"),
};

static const PlanField REQUEST[] = {
    FIELD(RequestFields, "name", FIELD_TEXT, name),
    FIELD(RequestFields, "method", FIELD_TEXT, method),
    FIELD(RequestFields, "url", FIELD_DOC, url),
    FIELD(RequestFields, "headers", FIELD_DOC, headers),
    FIELD(RequestFields, "body", FIELD_DOC, body),
    FIELD(RequestFields, "json", FIELD_DOC, json),
    FIELD(RequestFields, "bodyFile", FIELD_DOC, body_file),
    FIELD(RequestFields, "template", FIELD_DOC, template),
    TIME_FIELD(RequestFields, "timeout", timeout_ns, 1),
    INT_FIELD(RequestFields, "maxRedirects", FIELD_INT, max_redirects, 0, 100),
    FIELD(RequestFields, "tags", FIELD_DOC, tags),
    FIELD(RequestFields, "expectedStatuses", FIELD_DOC, expected),
    FIELD(RequestFields, "checks", FIELD_DOC, checks),
    FIELD(RequestFields, "extract", FIELD_DOC, extract),
};

static const PlanField CHECK[] = {
    FIELD(CheckFields, "name", FIELD_TEXT, name),
    FIELD(CheckFields, "status", FIELD_DOC, status),
    FIELD(CheckFields, "header", FIELD_DOC, header),
    FIELD(CheckFields, "json", FIELD_DOC, json),
    FIELD(CheckFields, "body", FIELD_DOC, body),
    TIME_FIELD(CheckFields, "durationBelow", duration_below_ns, 1),
    FIELD(CheckFields, "exists", FIELD_DOC, exists),
    FIELD(CheckFields, "equals", FIELD_DOC, equals),
    FIELD(CheckFields, "contains", FIELD_DOC, contains),
    FIELD(CheckFields, "startsWith", FIELD_DOC, starts_with),
    FIELD(CheckFields, "above", FIELD_DOC, above),
    FIELD(CheckFields, "below", FIELD_DOC, below),
    FIELD(CheckFields, "not", FIELD_BOOL, negate),
};

static const PlanField EXTRACT[] = {
    FIELD(ExtractFields, "json", FIELD_DOC, json),
    FIELD(ExtractFields, "header", FIELD_DOC, header),
    FIELD(ExtractFields, "between", FIELD_DOC, between),
    FIELD(ExtractFields, "default", FIELD_DOC, fallback),
};

#define LOAD_FIELD(text, kind_, member, low, high, who)                                            \
    {                                                                                              \
        .name = SLICE_INIT(text), .kind = kind_, .offset = offsetof(ScenarioFields, member),       \
        .min = low, .max = high, .executors = who                                                  \
    }

static const PlanField SCENARIO[] = {
    FIELD(ScenarioFields, "executor", FIELD_DOC, executor),
    TIME_FIELD(ScenarioFields, "startTime", plan.start_time_ns, 0),
    TIME_FIELD(ScenarioFields, "gracefulStop", plan.graceful_stop_ns, 0),
    LOAD_FIELD("vus", FIELD_COUNT, plan.vus, 1, SCHEDULE_VUS_MAX,
               ITERATING | EXECUTOR_BIT(EXECUTOR_CONSTANT_VUS)),
    LOAD_FIELD("iterations", FIELD_COUNT, plan.iterations, 1, INT64_C(1) << 40, ITERATING),
    LOAD_FIELD("maxDuration", FIELD_DURATION, plan.max_duration_ns, 1, SCHEDULE_DURATION_MAX,
               ITERATING),
    LOAD_FIELD("duration", FIELD_DURATION, plan.duration_ns, 1, SCHEDULE_DURATION_MAX,
               EXECUTOR_BIT(EXECUTOR_CONSTANT_VUS) | EXECUTOR_BIT(EXECUTOR_CONSTANT_ARRIVAL_RATE)),
    LOAD_FIELD("startVUs", FIELD_COUNT, plan.start_vus, 0, SCHEDULE_VUS_MAX,
               EXECUTOR_BIT(EXECUTOR_RAMPING_VUS)),
    LOAD_FIELD("stages", FIELD_DOC, stages, 0, 0, RAMPING),
    LOAD_FIELD("gracefulRampDown", FIELD_DURATION, plan.graceful_ramp_down_ns, 0,
               SCHEDULE_DURATION_MAX, EXECUTOR_BIT(EXECUTOR_RAMPING_VUS)),
    LOAD_FIELD("rate", FIELD_DOC, rate, 0, 0, EXECUTOR_BIT(EXECUTOR_CONSTANT_ARRIVAL_RATE)),
    LOAD_FIELD("startRate", FIELD_COUNT, plan.start_rate, 0, SCHEDULE_RATE_MAX,
               EXECUTOR_BIT(EXECUTOR_RAMPING_ARRIVAL_RATE)),
    LOAD_FIELD("timeUnit", FIELD_DURATION, plan.time_unit_ns, 1, SCHEDULE_DURATION_MAX, ARRIVING),
    LOAD_FIELD("preAllocatedVUs", FIELD_COUNT, plan.pre_allocated_vus, 0, SCHEDULE_VUS_MAX,
               ARRIVING),
    LOAD_FIELD("maxVUs", FIELD_COUNT, plan.max_vus, 1, SCHEDULE_VUS_MAX, ARRIVING),
    LOAD_FIELD("arrivals", FIELD_DOC, arrivals, 0, 0, ARRIVING),
    FIELD(ScenarioFields, "tags", FIELD_DOC, tags),
    FIELD(ScenarioFields, "steps", FIELD_DOC, steps),
};

static const PlanField STAGE[] = {
    TIME_FIELD(PlanStage, "duration", duration_ns, 0),
    INT_FIELD(PlanStage, "target", FIELD_COUNT, target, 0, SCHEDULE_RATE_MAX),
};

static const PlanField STEP[] = {
    FIELD(StepFields, "request", FIELD_DOC, request),
    FIELD(StepFields, "think", FIELD_DOC, think),
    FIELD(StepFields, "choose", FIELD_DOC, choose),
    FIELD(StepFields, "group", FIELD_TEXT, group),
    FIELD(StepFields, "steps", FIELD_DOC, steps),
    FIELD(StepFields, "weight", FIELD_NUMBER, weight),
};

static const PlanField THINK[] = {
    FIELD(ThinkFields, "distribution", FIELD_DOC, distribution),
    TIME_FIELD(ThinkFields, "mean", mean_ns, 0),
    TIME_FIELD(ThinkFields, "deviation", deviation_ns, 0),
    TIME_FIELD(ThinkFields, "min", min_ns, 0),
    TIME_FIELD(ThinkFields, "max", max_ns, 0),
};

static const PlanField ENVIRONMENT[] = {
    FIELD(EnvironmentFields, "kind", FIELD_DOC, kind),
    FIELD(EnvironmentFields, "baseUrl", FIELD_DOC, base_url),
    FIELD(EnvironmentFields, "hosts", FIELD_DOC, hosts),
    FIELD(EnvironmentFields, "data", FIELD_DOC, data),
    FIELD(EnvironmentFields, "tls", FIELD_DOC, tls),
    FIELD(EnvironmentFields, "http2", FIELD_BOOL, http2),
    FIELD(EnvironmentFields, "http2PriorKnowledge", FIELD_BOOL, http2_prior_knowledge),
};

static const PlanField TLS[] = {
    FIELD(PlanTls, "insecureSkipVerify", FIELD_BOOL, insecure_skip_verify),
    FIELD(PlanTls, "caFile", FIELD_TEXT, ca_file),
    FIELD(PlanTls, "certFile", FIELD_TEXT, cert_file),
    FIELD(PlanTls, "keyFile", FIELD_TEXT, key_file),
    FIELD(PlanTls, "minVersion", FIELD_TEXT, min_version),
    FIELD(PlanTls, "maxVersion", FIELD_TEXT, max_version),
};

static const PlanField FEED[] = {
    FIELD(FeedFields, "file", FIELD_TEXT, file),
    FIELD(FeedFields, "order", FIELD_DOC, order),
    FIELD(FeedFields, "onEnd", FIELD_DOC, at_end),
    FIELD(FeedFields, "scope", FIELD_DOC, scope),
};

static const PlanField THRESHOLD[] = {
    FIELD(ThresholdFields, "threshold", FIELD_TEXT, threshold),
    FIELD(ThresholdFields, "abortOnFail", FIELD_BOOL, abort_on_fail),
    TIME_FIELD(ThresholdFields, "delayAbortEval", delay_ns, 0),
};

static const PlanField BUDGET[] = {
    INT_FIELD(BudgetFields, "requests", FIELD_COUNT, requests, 1, INT64_MAX),
    INT_FIELD(BudgetFields, "bytes", FIELD_SIZE, bytes, 1, INT64_MAX),
    FIELD(BudgetFields, "money", FIELD_DOC, money),
};

static const PlanField MONEY[] = {
    FIELD(MoneyFields, "limit", FIELD_NUMBER, limit),
    FIELD(MoneyFields, "currency", FIELD_TEXT, currency),
    FIELD(MoneyFields, "perVuHour", FIELD_NUMBER, per_vu_hour),
    FIELD(MoneyFields, "perRequest", FIELD_NUMBER, per_request),
};

static const PlanField OPTIONS[] = {
    FIELD(OptionFields, "discardBodies", FIELD_BOOL, discard_bodies),
    FIELD(OptionFields, "noConnectionReuse", FIELD_BOOL, no_connection_reuse),
    FIELD(OptionFields, "userAgent", FIELD_DOC, user_agent),
    FIELD(OptionFields, "runHeader", FIELD_DOC, run_header),
};

#define OBJECT(text, table)                                                                        \
    {                                                                                              \
        SLICE_INIT(text), table, COUNT_OF(table)                                                   \
    }
static const PlanObject OBJECTS[] = {
    OBJECT("plan", TOP),        OBJECT("request", REQUEST),   OBJECT("check", CHECK),
    OBJECT("extract", EXTRACT), OBJECT("scenario", SCENARIO), OBJECT("stage", STAGE),
    OBJECT("step", STEP),       OBJECT("think", THINK),       OBJECT("environment", ENVIRONMENT),
    OBJECT("tls", TLS),         OBJECT("feed", FEED),         OBJECT("threshold", THRESHOLD),
    OBJECT("budget", BUDGET),   OBJECT("money", MONEY),       OBJECT("options", OPTIONS),
};

const PlanObject *plan_objects(size_t *ret_count)
{
    *ret_count = COUNT_OF(OBJECTS);
    return OBJECTS;
}

Slice plan_object_field(const PlanObject *object, size_t index)
{
    return object->fields[index].name;
}

static const PlanObject *object_of(const char *table)
{
    for (size_t i = 0; i < COUNT_OF(OBJECTS); i++) {
        if (slice_eq_cstr(OBJECTS[i].name, table)) {
            return &OBJECTS[i];
        }
    }
    die("no table of plan fields \"%s\"", table);
}

static const PlanField *find_field(const PlanObject *object, Slice name)
{
    for (size_t i = 0; i < object->count; i++) {
        if (slice_eq(object->fields[i].name, name)) {
            return &object->fields[i];
        }
    }
    return NULL;
}

const PlanField *plan_field(const char *table, Slice name)
{
    return find_field(object_of(table), name);
}

static void unknown_field(PlanReader *r, const PlanObject *object, const Doc *m)
{
    enum { NAMES_MAX = 64 };
    Slice names[NAMES_MAX];
    for (size_t i = 0; i < object->count; i++) {
        names[i] = object->fields[i].name;
    }
    Slice nearest = slice_nearest(m->key, names, object->count);
    if (nearest.len > 0) {
        plan_mistake_key(r, m, "a %.*s has no field \"%.*s\"; did you mean \"%.*s\"?",
                         SLICE_FMT(object->name), SLICE_FMT(m->key), SLICE_FMT(nearest));
    } else {
        plan_mistake_key(r, m,
                         "a %.*s has no field \"%.*s\"; remove it (docs/guide/plan.md lists "
                         "the fields)",
                         SLICE_FMT(object->name), SLICE_FMT(m->key));
    }
}

// ---- values

static bool check_range(PlanReader *r, const PlanField *f, const Doc *m, int64_t value)
{
    if (value >= f->min && value <= f->max) {
        return true;
    }
    char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    if (f->kind == FIELD_DURATION) {
        (void)duration_format(f->min, low);
        (void)duration_format(f->max, high);
    } else {
        (void)snprintf(low, sizeof low, "%lld", (long long)f->min);
        (void)snprintf(high, sizeof high, "%lld", (long long)f->max);
    }
    plan_mistake(r, m, "%.*s is out of range; it goes from %s to %s", SLICE_FMT(f->name), low,
                 high);
    return false;
}

static void read_int(PlanReader *r, const PlanField *f, const Doc *m, int64_t *ret)
{
    int64_t value = 0;
    Err e = {0};
    if (m->type == DOC_INT) {
        value = m->integer;
    } else if (m->type == DOC_STRING && f->kind != FIELD_INT) {
        int rc = f->kind == FIELD_SIZE ? size_parse(m->text, &value, &e)
                                       : count_parse(m->text, &value, &e);
        if (rc != 0) {
            plan_mistake(r, m, "%.*s: %s", SLICE_FMT(f->name), e.text);
            return;
        }
    } else {
        plan_mistake(r, m, "%.*s must be a whole number, not %s", SLICE_FMT(f->name),
                     m->type == DOC_FLOAT ? "a fraction" : doc_type_name(m->type));
        return;
    }
    if (check_range(r, f, m, value)) {
        *ret = value;
    }
}

static void read_duration(PlanReader *r, const PlanField *f, const Doc *m, int64_t *ret)
{
    int64_t value = 0;
    Err e = {0};
    if (doc_is_number(m) && !slice_eq(m->text, SLICE("0"))) {
        plan_mistake(r, m, "%.*s needs a unit; write %.*ss for seconds", SLICE_FMT(f->name),
                     SLICE_FMT(m->text));
    } else if (m->type != DOC_STRING && m->type != DOC_INT) {
        plan_mistake(r, m, "%.*s must be a duration as 1m30s, not %s", SLICE_FMT(f->name),
                     doc_type_name(m->type));
    } else if (duration_parse(m->text, 0, &value, &e) != 0) {
        plan_mistake(r, m, "%.*s: %s", SLICE_FMT(f->name), e.text);
    } else if (check_range(r, f, m, value)) {
        *ret = value;
    }
}

static void read_number(PlanReader *r, const PlanField *f, const Doc *m, double *ret)
{
    double value = doc_number(m);
    if (!doc_is_number(m) || !(value >= 0 && value <= 1e15)) {
        plan_mistake(r, m, "%.*s must be a number from 0 to 1e15", SLICE_FMT(f->name));
    } else {
        *ret = value;
    }
}

static void read_bool(PlanReader *r, const PlanField *f, const Doc *m, bool *ret)
{
    if (m->type == DOC_BOOL) {
        *ret = m->boolean;
    } else {
        plan_mistake(r, m, "%.*s must be true or false, not %s", SLICE_FMT(f->name),
                     doc_type_name(m->type));
    }
}

void plan_field_read(PlanReader *r, const PlanField *f, const Doc *m, void *into)
{
    char name[64];
    void *target = (char *)into + f->offset;
    switch (f->kind) {
    case FIELD_DOC: *(const Doc **)target = m; break;
    case FIELD_TEXT:
        (void)snprintf(name, sizeof name, "%.*s", SLICE_FMT(f->name));
        (void)plan_scalar(r, m, name, target);
        break;
    case FIELD_INT:
    case FIELD_COUNT:
    case FIELD_SIZE: read_int(r, f, m, target); break;
    case FIELD_DURATION: read_duration(r, f, m, target); break;
    case FIELD_NUMBER: read_number(r, f, m, target); break;
    case FIELD_BOOL: read_bool(r, f, m, target); break;
    }
}

bool plan_fields_read(PlanReader *r, const Doc *object, const char *table, void *into)
{
    const PlanObject *o = object_of(table);
    if (object->type != DOC_OBJECT) {
        plan_mistake(r, object, "a %s must be an object, not %s", table,
                     doc_type_name(object->type));
        return false;
    }
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        const PlanField *f = find_field(o, m->key);
        if (!f) {
            unknown_field(r, o, m);
        } else if (f->offset != SIZE_MAX) {
            plan_field_read(r, f, m, into);
        }
    }
    return true;
}
