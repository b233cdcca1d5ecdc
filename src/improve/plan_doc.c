#include "improve/plan_doc.h"

const char *const GOAL_KIND_NAMES[GOAL_KINDS + 1] = {"time", "throughput", "memory",
                                                     "io",   "measuring",  NULL};
const char *const GOAL_STATE_NAMES[GOAL_STATES + 1] = {"open", "closed", "refused", NULL};
const char *const CONDITION_STATE_NAMES[4] = {"met", "doubtful", "unmet", NULL};
const char *const FEASIBILITY_NAMES[4] = {"possible", "doubtful", "out of reach", NULL};

// clang-format off
static const Field GOAL_FIELDS[] = {
    TEXT_FIELD(PlanGoal, id, "id", FIELD_TEXT, "Unique."),
    INT_FIELD(PlanGoal, round, "round", 1, 9, 1, "When to try it."),
    CHOICE_FIELD(PlanGoal, kind, "kind", GOAL_KIND_NAMES, GOAL_TIME, "What gets better."),
    CHOICE_FIELD(PlanGoal, state, "state", GOAL_STATE_NAMES, GOAL_OPEN, "Open ones are tried."),
    TEXT_FIELD(PlanGoal, title, "title", FIELD_TEXT, "One line."),
    TEXT_FIELD(PlanGoal, why, "why", FIELD_TEXT, "What speaks for it."),
    TEXT_FIELD(PlanGoal, workload, "workload", FIELD_TEXT, "Of steps.yaml."),
    TEXT_FIELD(PlanGoal, remarks, "remarks", FIELD_TEXT, "A person's."),
    TEXT_FIELD(PlanGoal, files, "files", FIELD_NAMES, "Where to look."),
    REAL_FIELD(PlanGoal, min_effect, "min_effect", 0, 0.99, 0, "0: the default."),
    BOOL_FIELD(PlanGoal, by_person, "by_person", false, "A person wrote it."),
};
static const FieldTable GOAL_TABLE = {"goal", GOAL_FIELDS, COUNT_OF(GOAL_FIELDS)};

static const Field CONDITION_FIELDS[] = {
    TEXT_FIELD(PlanCondition, name, "name", FIELD_TEXT, "Stable."),
    CHOICE_FIELD(PlanCondition, state, "state", CONDITION_STATE_NAMES, 0, "Met or not."),
    TEXT_FIELD(PlanCondition, measured, "measured", FIELD_TEXT, "The figure."),
    TEXT_FIELD(PlanCondition, reason, "reason", FIELD_TEXT, "What follows."),
};
static const FieldTable CONDITION_TABLE = {"condition", CONDITION_FIELDS,
                                           COUNT_OF(CONDITION_FIELDS)};

typedef struct Top {
    PlanDoc plan;
    int64_t version;
    const Doc *conditions, *goals;
} Top;

static const Field TOP_FIELDS[] = {
    INT_FIELD(Top, version, "version", 1, 1000000, 0, "Of the format."),
    TEXT_FIELD(Top, plan.target, "target", FIELD_TEXT, "The repository."),
    TEXT_FIELD(Top, plan.revision, "revision", FIELD_TEXT, "That was looked at."),
    TEXT_FIELD(Top, plan.created, "created", FIELD_TEXT, "When."),
    CHOICE_FIELD(Top, plan.feasibility, "feasibility", FEASIBILITY_NAMES, 0, "Worth a try?"),
    TEXT_FIELD(Top, plan.reason, "reason", FIELD_TEXT, "Why."),
    REAL_FIELD(Top, plan.resolvable, "resolvable", 0, 10, 0, "Smallest effect told here."),
    TEXT_FIELD(Top, conditions, "conditions", FIELD_ANY, "What an attempt needs."),
    TEXT_FIELD(Top, goals, "goals", FIELD_ANY, "What to try."),
    TEXT_FIELD(Top, plan.comments, "comments", FIELD_TEXT, "A person's."),
    TEXT_FIELD(Top, plan.survey, "survey", FIELD_TREE, "Facts."),
    TEXT_FIELD(Top, plan.profile, "profile", FIELD_TREE, "Where time goes."),
};
static const FieldTable TOP_TABLE = {"plan", TOP_FIELDS, COUNT_OF(TOP_FIELDS)};
// clang-format on

static int check_text(const Doc *at, const char *what, Slice text, size_t max, Err *e)
{
    if (text.len > max) {
        return doc_err(e, at, "%s has %zu bytes, the limit is %zu", what, text.len, max);
    }
    return 0;
}

static int check_goal(const Doc *at, const PlanDoc *plan, const PlanGoal *goal, Err *e)
{
    int rc = 0;
    if (goal->id.len == 0 || goal->title.len == 0) {
        return doc_err(e, at, "a goal needs an id and a title");
    }
    if ((rc = check_text(at, "id", goal->id, 40, e)) != 0 ||
        (rc = check_text(at, "title", goal->title, 300, e)) != 0 ||
        (rc = check_text(at, "why", goal->why, PLAN_TEXT_MAX, e)) != 0 ||
        (rc = check_text(at, "remarks", goal->remarks, PLAN_TEXT_MAX, e)) != 0) {
        return rc;
    }
    for (size_t i = 0; i < goal->id.len; i++) {
        char c = goal->id.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return doc_err(e, at, "the id \"%.*s\" may hold a-z, 0-9 and - only",
                           SLICE_FMT(goal->id));
        }
    }
    if (slice_find_byte(goal->title, '\n') >= 0) {
        return doc_err(e, at, "the title of goal %.*s has more than one line", SLICE_FMT(goal->id));
    }
    if (goal->files.count > PLAN_FILES_MAX) {
        return doc_err(e, at, "goal %.*s names %zu files, the limit is %d", SLICE_FMT(goal->id),
                       goal->files.count, PLAN_FILES_MAX);
    }
    if (plan_doc_goal(plan, goal->id)) {
        return doc_err(e, at, "two goals have the id \"%.*s\"", SLICE_FMT(goal->id));
    }
    return 0;
}

static int read_list(const Doc *list, const char *what, size_t max, Err *e)
{
    int rc = list ? doc_expect(list, DOC_ARRAY, what, e) : 0;
    if (rc == 0 && doc_count(list) > max) {
        rc = doc_err(e, list, "%s has %zu items, the limit is %zu", what, doc_count(list), max);
    }
    return rc;
}

static int read_goals(Arena *arena, const Doc *list, PlanDoc *plan, Err *e)
{
    int rc = read_list(list, "goals", PLAN_GOALS_MAX, e);
    if (rc != 0) {
        return rc;
    }
    plan->goals = ARENA_ARRAY(arena, PlanGoal, PLAN_GOALS_MAX);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        PlanGoal goal;
        fields_init(&GOAL_TABLE, &goal);
        if ((rc = doc_expect(d, DOC_OBJECT, "a goal", e)) != 0 ||
            (rc = fields_read(arena, &GOAL_TABLE, d, &goal, e)) != 0 ||
            (rc = check_goal(d, plan, &goal, e)) != 0) {
            return rc;
        }
        plan->goals[plan->goal_count++] = goal;
    }
    return 0;
}

static int read_conditions(Arena *arena, const Doc *list, PlanDoc *plan, Err *e)
{
    int rc = read_list(list, "conditions", PLAN_CONDITIONS_MAX, e);
    if (rc != 0) {
        return rc;
    }
    plan->conditions = ARENA_ARRAY(arena, PlanCondition, PLAN_CONDITIONS_MAX);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        PlanCondition *c = &plan->conditions[plan->condition_count];
        fields_init(&CONDITION_TABLE, c);
        if ((rc = doc_expect(d, DOC_OBJECT, "a condition", e)) != 0 ||
            (rc = fields_read(arena, &CONDITION_TABLE, d, c, e)) != 0 ||
            (rc = check_text(d, "measured", c->measured, PLAN_TEXT_MAX, e)) != 0 ||
            (rc = check_text(d, "reason", c->reason, PLAN_TEXT_MAX, e)) != 0) {
            return rc;
        }
        plan->condition_count++;
    }
    return 0;
}

int plan_doc_read(Arena *arena, Slice json, const char *source, PlanDoc *ret_plan, Err *e)
{
    const Doc *doc = NULL;
    Top top;
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = source,
                          .max_bytes = PLAN_BYTES_MAX,
                          .max_nodes = 50000};
    int rc = doc_parse(arena, json, &options, &doc, e);
    if (rc != 0 || (rc = doc_expect(doc, DOC_OBJECT, "a plan", e)) != 0) {
        return rc;
    }
    fields_init(&TOP_TABLE, &top);
    top.plan.conditions = NULL;
    top.plan.goals = NULL;
    top.plan.condition_count = top.plan.goal_count = 0;
    const Doc *version = doc_get(doc, SLICE("version"));
    if (version && version->type == DOC_INT && version->integer > PLAN_VERSION) {
        return err_set(e, ERR_VERSION,
                       "%s is a plan of version %lld, this program knows up to %d: use a newer one",
                       source, (long long)version->integer, PLAN_VERSION);
    }
    if ((rc = fields_read(arena, &TOP_TABLE, doc, &top, e)) != 0) {
        return rc;
    }
    if (top.version != PLAN_VERSION) {
        return doc_err(e, doc, "a plan must say \"version\": %d", PLAN_VERSION);
    }
    if ((rc = check_text(doc, "comments", top.plan.comments, PLAN_COMMENTS_MAX, e)) != 0 ||
        (rc = read_conditions(arena, top.conditions, &top.plan, e)) != 0 ||
        (rc = read_goals(arena, top.goals, &top.plan, e)) != 0) {
        return rc;
    }
    *ret_plan = top.plan;
    return 0;
}

static void write_text(JsonWriter *w, const char *key, Slice text)
{
    if (text.len > 0) {
        json_field_string(w, key, text);
    }
}

static void write_tree(JsonWriter *w, const char *key, const Doc *tree)
{
    if (tree) {
        json_key(w, slice_from_cstr(key));
        doc_write(w, tree);
    }
}

void plan_doc_write(const PlanDoc *plan, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", PLAN_VERSION);
    write_text(w, "target", plan->target);
    write_text(w, "revision", plan->revision);
    write_text(w, "created", plan->created);
    json_field_cstr(w, "feasibility", FEASIBILITY_NAMES[plan->feasibility]);
    write_text(w, "reason", plan->reason);
    json_field_double(w, "resolvable", plan->resolvable);
    json_key(w, SLICE("conditions"));
    json_array_begin(w);
    for (size_t i = 0; i < plan->condition_count; i++) {
        fields_write(&CONDITION_TABLE, &plan->conditions[i], w);
    }
    json_array_end(w);
    json_key(w, SLICE("goals"));
    json_array_begin(w);
    for (size_t i = 0; i < plan->goal_count; i++) {
        fields_write(&GOAL_TABLE, &plan->goals[i], w);
    }
    json_array_end(w);
    write_text(w, "comments", plan->comments);
    write_tree(w, "survey", plan->survey);
    write_tree(w, "profile", plan->profile);
    json_object_end(w);
}

const PlanGoal *plan_doc_goal(const PlanDoc *plan, Slice id)
{
    for (size_t i = 0; i < plan->goal_count; i++) {
        if (slice_eq(plan->goals[i].id, id)) {
            return &plan->goals[i];
        }
    }
    return NULL;
}

int plan_doc_carry(Arena *arena, const PlanDoc *old, PlanDoc *fresh, Err *e)
{
    PlanGoal *goals = ARENA_ARRAY(arena, PlanGoal, PLAN_GOALS_MAX);
    size_t count = 0;
    for (size_t i = 0; i < fresh->goal_count; i++) {
        PlanGoal goal = fresh->goals[i];
        const PlanGoal *before = plan_doc_goal(old, goal.id);
        if (before && before->by_person) {
            goal = *before; // a person rewrote it
        } else if (before) {
            goal.remarks = before->remarks;
            goal.state = before->state == GOAL_CLOSED ? GOAL_CLOSED : goal.state;
        }
        goals[count++] = goal;
    }
    for (size_t i = 0; i < old->goal_count; i++) {
        const PlanGoal *goal = &old->goals[i];
        bool keep = goal->by_person || goal->state == GOAL_CLOSED || goal->remarks.len > 0;
        if (!keep || plan_doc_goal(fresh, goal->id)) {
            continue;
        }
        if (count == PLAN_GOALS_MAX) {
            return err_set(e, ERR_LIMIT, "the plan has more than %d goals", PLAN_GOALS_MAX);
        }
        goals[count++] = *goal;
    }
    fresh->goals = goals;
    fresh->goal_count = count;
    fresh->comments = old->comments;
    return 0;
}

void plan_doc_hash(Slice json, Slice markdown, char out[SHA256_HEX + 1])
{
    // Hash of hashes: no byte can move from one file to the other.
    Sha256 parts[2] = {sha256_of(json), sha256_of(markdown)};
    Sha256 both = sha256_of((Slice){(const char *)parts, sizeof parts});
    sha256_hex(&both, out);
}
