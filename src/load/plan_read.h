// Private to the plan_*.c files: the state of one reading, and reading an object by a table.
#ifndef LOAD_PLAN_READ_H
#define LOAD_PLAN_READ_H

#include "load/plan_parse.h"

typedef struct PlanReader {
    Arena *arena;
    const PlanOptions *options;
    PlanMistakes *mistakes;
    Plan *plan;
    TemplateNames names;
    Slice *variables; // names by slot, room for PLAN_VARIABLES_MAX
    PlanRequest *requests;
    const Doc **request_docs; // of named requests; NULL for those written in place
    uint8_t *request_uses;    // USED_*
    size_t request_count, request_max;
    size_t step_count;
    uint64_t feeds_used; // bit by feed: some text mentions it
} PlanReader;

enum { USED_IN_STEPS = 1, USED_AROUND = 2 }; // PlanReader.request_uses

// Notes a mistake at a value, or at its key.
void plan_mistake(PlanReader *r, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);
void plan_mistake_key(PlanReader *r, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);
void plan_warning(PlanReader *r, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);
// Notes what `e` says, which has its position already or gets the one of `at`.
void plan_mistake_err(PlanReader *r, const Doc *at, const Err *e);

typedef enum FieldKind {
    FIELD_DOC,      // const Doc *: the caller reads it
    FIELD_TEXT,     // Slice; any scalar
    FIELD_INT,      // int64_t in [min, max]
    FIELD_COUNT,    // int64_t in [min, max]; also "10k"
    FIELD_SIZE,     // int64_t; also "10MB"
    FIELD_DURATION, // int64_t ns in [min, max]
    FIELD_NUMBER,   // double >= 0
    FIELD_BOOL,     // bool
} FieldKind;

typedef struct PlanField {
    Slice name;
    FieldKind kind;
    size_t offset; // in the struct that the table fills
    int64_t min, max;
    unsigned executors; // scenario fields: bit by ExecutorKind; 0: all
} PlanField;

// Reads the members of `object` by the table of that name into `into`; what is missing stays as it
// was. Notes mistakes: no object, unknown fields, wrong types and ranges. False when it is no
// object.
bool plan_fields_read(PlanReader *r, const Doc *object, const char *table, void *into);
const PlanField *plan_field(const char *table, Slice name);
void plan_field_read(PlanReader *r, const PlanField *f, const Doc *m, void *into);

// The text of a scalar; false with a mistake for anything else.
bool plan_scalar(PlanReader *r, const Doc *d, const char *what, Slice *ret);
bool plan_is_list(PlanReader *r, const Doc *d, const char *what, size_t max);
bool plan_template(PlanReader *r, const Doc *at, Slice text, Template *ret);
// A template that must be static: only ${env.X}.
bool plan_fixed_text(PlanReader *r, const Doc *at, Slice text, Slice *ret);
bool plan_labels(PlanReader *r, const Doc *object, Labels *ret);
// The index of a scalar in `names`, or -1 with a mistake that suggests one.
int plan_choice(PlanReader *r, const Doc *d, const char *what, const Slice *names, size_t count);
// A path that stands at `at`, resolved against the plan's folder.
const char *plan_path(PlanReader *r, const Doc *at, Slice path);
bool plan_has_room(const PlanReader *r, size_t bytes);

// ---- what the fields of each table are read into

typedef struct TopFields {
    int64_t version;
    int64_t seed;
    Slice name, environment, baseline;
    const Doc *environments, *variables, *feeds, *requests, *scenarios, *thresholds, *slo, *budget,
        *setup, *teardown, *tags, *options, *steps;
    const Doc *rate, *stages, *arrivals;
    int64_t vus, iterations, duration_ns, pre_allocated_vus, max_vus, graceful_stop_ns;
    // The members of a request may stand at the top as well; plan_request.c reads them from there.
    const Doc *url;
} TopFields;

typedef struct RequestFields {
    Slice name, method;
    const Doc *url, *headers, *body, *json, *body_file, *template, *tags, *expected, *checks,
        *extract;
    int64_t timeout_ns, max_redirects;
} RequestFields;

typedef struct CheckFields {
    Slice name;
    const Doc *status, *header, *json, *body, *equals, *contains, *starts_with, *above, *below,
        *exists;
    int64_t duration_below_ns;
    bool negate;
} CheckFields;

typedef struct ExtractFields {
    const Doc *json, *header, *between, *fallback;
} ExtractFields;

typedef struct ScenarioFields {
    const Doc *executor, *rate, *stages, *tags, *arrivals, *steps;
    PlanScenario plan;
} ScenarioFields;

typedef struct StepFields {
    const Doc *request, *think, *choose, *steps;
    Slice group;
    double weight;
} StepFields;

typedef struct ThinkFields {
    const Doc *distribution;
    int64_t mean_ns, deviation_ns, min_ns, max_ns;
} ThinkFields;

typedef struct EnvironmentFields {
    const Doc *kind, *base_url, *hosts, *data, *tls;
    bool http2, http2_prior_knowledge;
} EnvironmentFields;

typedef struct FeedFields {
    Slice file;
    const Doc *order, *at_end, *scope;
} FeedFields;

typedef struct ThresholdFields {
    Slice threshold;
    bool abort_on_fail;
    int64_t delay_ns;
} ThresholdFields;

typedef struct BudgetFields {
    int64_t requests, bytes;
    const Doc *money;
} BudgetFields;

typedef struct MoneyFields {
    double limit, per_vu_hour, per_request;
    Slice currency;
} MoneyFields;

typedef struct OptionFields {
    bool discard_bodies, no_connection_reuse;
    const Doc *user_agent, *run_header;
} OptionFields;

// ---- the parts

// plan_world.c
void plan_read_environments(PlanReader *r, const TopFields *top, const Doc *doc);
void plan_read_feeds(PlanReader *r, const Doc *feeds);
void plan_read_variables(PlanReader *r, const Doc *doc, const Doc *variables);
// plan_request.c
void plan_read_requests(PlanReader *r, const Doc *doc, const TopFields *top);
// A request by name or written in place; NULL with a mistake. `use` is one of USED_*.
const PlanRequest *plan_request_of(PlanReader *r, const Doc *d, unsigned use);
// plan_answer.c
void plan_read_checks(PlanReader *r, const Doc *list, PlanRequest *request);
void plan_read_extracts(PlanReader *r, const Doc *object, PlanRequest *request);
bool plan_status_ranges(PlanReader *r, const Doc *d, const StatusRange **ret, size_t *ret_count);
// True when some text of the request takes a value from a feed.
bool plan_request_has_feed(const PlanRequest *request);
// plan_scenario.c
void plan_read_scenarios(PlanReader *r, const Doc *doc, const TopFields *top);
// plan_steps.c
void plan_read_steps(PlanReader *r, const Doc *list, Slice group, const PlanStep **ret,
                     size_t *ret_count);
// Every request that is no part of setup or teardown, one after the other.
void plan_steps_of_all(PlanReader *r, const Doc *at, const PlanStep **ret, size_t *ret_count);
// plan_verdict.c
void plan_read_thresholds(PlanReader *r, const Doc *thresholds);
void plan_read_slo(PlanReader *r, const Doc *slo);
void plan_read_budget(PlanReader *r, const Doc *budget);

#endif
