#include "load/plan_flags.h"

#include "base/doc_build.h"
#include "base/json_write.h"
#include "base/units.h"
#include "load/plan_read.h"

// ---- flags to a document

static bool split_pair(Slice text, Slice *ret_key, Slice *ret_value)
{
    // The "=" inside {tag:value} belongs to the metric's key.
    bool in_tags = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        in_tags = (in_tags || c == '{') && c != '}';
        if (c == '=' && !in_tags) {
            *ret_key = slice_trim(slice_sub(text, 0, i));
            *ret_value = slice_sub(text, i + 1, text.len);
            return ret_key->len > 0;
        }
    }
    return false;
}

// A later pair of the same key wins, as options on a command line do.
static bool is_repeated(const Slice *pairs, size_t at, size_t count, Slice key)
{
    Slice other = {0}, value = {0};
    for (size_t i = at + 1; i < count; i++) {
        if (split_pair(pairs[i], &other, &value) && slice_eq(other, key)) {
            return true;
        }
    }
    return false;
}

static int write_pairs(JsonWriter *w, const char *field, const char *flag, const Slice *pairs,
                       size_t count, Err *e)
{
    if (count == 0) {
        return 0;
    }
    json_key(w, slice_from_cstr(field));
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        Slice key = {0}, value = {0};
        if (!split_pair(pairs[i], &key, &value)) {
            return err_set(e, ERR_ARG, "%s %.*s: write NAME=VALUE", flag, SLICE_FMT(pairs[i]));
        }
        if (!is_repeated(pairs, i, count, key)) {
            json_key(w, key);
            json_string(w, value);
        }
    }
    json_object_end(w);
    return 0;
}

static bool split_header(Slice text, Slice *ret_name, Slice *ret_value)
{
    bool ok = slice_cut(text, ':', ret_name, ret_value);
    *ret_name = slice_trim(*ret_name);
    *ret_value = slice_trim(*ret_value);
    return ok && ret_name->len > 0;
}

// One list a name, since a header may be sent several times.
static int write_headers(JsonWriter *w, const PlanFlags *f, Err *e)
{
    if (f->header_count == 0) {
        return 0;
    }
    json_key(w, SLICE("headers"));
    json_object_begin(w);
    for (size_t i = 0; i < f->header_count; i++) {
        Slice name = {0}, other = {0}, value = {0};
        if (!split_header(f->headers[i], &name, &value)) {
            return err_set(e, ERR_ARG, "--header %.*s: write NAME: VALUE",
                           SLICE_FMT(f->headers[i]));
        }
        bool seen = false;
        for (size_t k = 0; k < i; k++) {
            seen = seen || (split_header(f->headers[k], &other, &value) && slice_eq(other, name));
        }
        if (seen) {
            continue;
        }
        json_key(w, name);
        json_array_begin(w);
        for (size_t k = i; k < f->header_count; k++) {
            if (split_header(f->headers[k], &other, &value) && slice_eq(other, name)) {
                json_string(w, value);
            }
        }
        json_array_end(w);
    }
    json_object_end(w);
    return 0;
}

static void write_text(JsonWriter *w, const char *field, Slice text)
{
    if (text.len > 0) {
        json_field_string(w, field, text);
    }
}

static void write_count(JsonWriter *w, const char *field, int64_t value)
{
    if (value != 0) {
        json_field_int(w, field, value);
    }
}

static void write_load(JsonWriter *w, const PlanFlags *f)
{
    char text[UNITS_TEXT_MAX];
    write_count(w, "vus", f->vus);
    write_count(w, "iterations", f->iterations);
    if (f->duration_ns != 0) {
        (void)duration_format(f->duration_ns, text);
        json_field_cstr(w, "duration", text);
    }
    write_text(w, "stages", f->stages);
    write_text(w, "rate", f->rate);
    write_text(w, "arrivals", f->arrivals);
    write_count(w, "preAllocatedVUs", f->pre_allocated_vus);
    write_count(w, "maxVUs", f->max_vus);
}

static void write_request(JsonWriter *w, const PlanFlags *f)
{
    bool has_body = f->body.len > 0 || f->body_file.len > 0;
    write_text(w, "url", f->url);
    write_text(w, "method", f->method.len == 0 && has_body ? SLICE("POST") : f->method);
    write_text(w, "body", f->body);
    write_text(w, "bodyFile", f->body_file);
}

// The environment whose base URL a flag replaces: the chosen one, or the only one.
static Slice environment_of(const PlanFlags *f, const Doc *base)
{
    const Doc *chosen = base ? doc_get(base, SLICE("environment")) : NULL;
    const Doc *all = base ? doc_get(base, SLICE("environments")) : NULL;
    if (f->environment.len > 0) {
        return f->environment;
    }
    if (chosen && chosen->type == DOC_STRING) {
        return chosen->text;
    }
    return all && all->type == DOC_OBJECT && doc_count(all) == 1 ? doc_first(all)->key : (Slice){0};
}

static int write_base_url(JsonWriter *w, const PlanFlags *f, const Doc *base, Err *e)
{
    if (f->base_url.len == 0) {
        return 0;
    }
    Slice name = environment_of(f, base);
    if (name.len == 0) {
        return err_set(e, ERR_ARG,
                       "--base-url: the plan has no environment; write the URL there, or "
                       "name one with --environment");
    }
    json_key(w, SLICE("environments"));
    json_object_begin(w);
    json_key(w, name);
    json_object_begin(w);
    json_field_string(w, "baseUrl", f->base_url);
    json_object_end(w);
    json_object_end(w);
    return 0;
}

static int write_flags(JsonWriter *w, const PlanFlags *f, const Doc *base, Err *e)
{
    json_object_begin(w);
    write_request(w, f);
    write_load(w, f);
    if (f->has_seed) {
        json_field_int(w, "seed", f->seed);
    }
    write_text(w, "name", f->name);
    write_text(w, "environment", f->environment);
    write_text(w, "baseline", f->baseline);
    int rc = write_base_url(w, f, base, e);
    if (rc == 0) {
        rc = write_headers(w, f, e);
    }
    if (rc == 0) {
        rc = write_pairs(w, "variables", "-e", f->variables, f->variable_count, e);
    }
    if (rc == 0) {
        rc = write_pairs(w, "thresholds", "--threshold", f->thresholds, f->threshold_count, e);
    }
    if (rc == 0) {
        rc = write_pairs(w, "tags", "--tag", f->tags, f->tag_count, e);
    }
    if (rc != 0) {
        return rc;
    }
    if (f->slo_file_count > 0) {
        json_key(w, SLICE("slo"));
        json_array_begin(w);
        for (size_t i = 0; i < f->slo_file_count; i++) {
            json_string(w, f->slo_files[i]);
        }
        json_array_end(w);
    }
    if (f->no_connection_reuse) {
        json_key(w, SLICE("options"));
        json_object_begin(w);
        json_field_bool(w, "noConnectionReuse", true);
        json_object_end(w);
    }
    json_object_end(w);
    return 0;
}

static int flags_doc(Arena *arena, const PlanFlags *f, const Doc *base, const Doc **ret, Err *e)
{
    Buf text = buf_create(PLAN_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    int rc = write_flags(&w, f, base, e);
    if (rc == 0) {
        rc = buf_check(&text, "the command line", e);
    }
    if (rc == 0) {
        DocOptions o = {.format = DOC_FORMAT_JSON, .source = PLAN_FLAGS_SOURCE};
        rc = doc_parse(arena, buf_slice(&text), &o, ret, e);
    }
    buf_done(&text);
    return rc;
}

// ---- one document from two

typedef struct Merge {
    DocBuilder builder;
    const Doc *flags;
} Merge;

static int put(Merge *m, Doc *parent, const Doc *member)
{
    Doc *copy = NULL;
    int rc =
        doc_build_node(&m->builder, member->type, (DocPlace){member->line, member->column}, &copy);
    if (rc == 0) {
        *copy = *member;
        copy->next_ = NULL;
        doc_build_append(parent, copy);
    }
    return rc;
}

static int open_object(Merge *m, const Doc *like, Doc **ret)
{
    int rc = doc_build_node(&m->builder, DOC_OBJECT, (DocPlace){like->line, like->column}, ret);
    if (rc == 0) {
        (*ret)->source = like->source;
        (*ret)->key = like->key;
        (*ret)->key_line = like->key_line;
        (*ret)->key_column = like->key_column;
    }
    return rc;
}

typedef bool KeepFn(const Merge *m, const Doc *member);

// "--rate 2000/s" says its own period.
static bool no_time_unit(const Merge *m, const Doc *member)
{
    return !slice_eq(member->key, SLICE("timeUnit")) || !doc_get(m->flags, SLICE("rate"));
}

// `base` without the members that `keep` turns down, and with those of `over` in it or in their
// place.
static int overlay(Merge *m, const Doc *base, const Doc *over, KeepFn *keep, Doc **ret)
{
    int rc = open_object(m, base, ret);
    for (const Doc *d = doc_first(base); rc == 0 && d; d = doc_next(d)) {
        if (!doc_get(over, d->key) && (!keep || keep(m, d))) {
            rc = put(m, *ret, d);
        }
    }
    for (const Doc *d = doc_first(over); rc == 0 && d; d = doc_next(d)) {
        const Doc *old = doc_get(base, d->key);
        if (old && old->type == DOC_OBJECT && d->type == DOC_OBJECT) {
            Doc *both = NULL;
            rc = overlay(m, old, d, no_time_unit, &both);
            if (rc == 0) {
                doc_build_append(*ret, both);
            }
        } else {
            rc = put(m, *ret, d);
        }
    }
    return rc == 0 ? doc_build_close(&m->builder, *ret) : rc;
}

static const Slice LOAD[] = {
    SLICE_INIT("vus"),      SLICE_INIT("iterations"),
    SLICE_INIT("duration"), SLICE_INIT("stages"),
    SLICE_INIT("rate"),     SLICE_INIT("arrivals"),
    SLICE_INIT("maxVUs"),   SLICE_INIT("preAllocatedVUs"),
};

static bool is_load(Slice key)
{
    for (size_t i = 0; i < COUNT_OF(LOAD); i++) {
        if (slice_eq(LOAD[i], key)) {
            return true;
        }
    }
    return false;
}

static bool has_load(const Doc *doc)
{
    for (size_t i = 0; i < COUNT_OF(LOAD); i++) {
        if (doc_get(doc, LOAD[i])) {
            return true;
        }
    }
    return false;
}

// What cannot stand beside a flag gives way to it.
static bool keeps_beside_flags(const Merge *m, const Doc *member)
{
    static const Slice clashes[][2] = {
        {SLICE_INIT("stages"), SLICE_INIT("duration")},
        {SLICE_INIT("stages"), SLICE_INIT("iterations")},
        {SLICE_INIT("rate"), SLICE_INIT("vus")},
        {SLICE_INIT("rate"), SLICE_INIT("stages")},
        {SLICE_INIT("rate"), SLICE_INIT("iterations")},
    };
    Slice key = member->key;
    // These three are there for the sake of `rate`, and go where it goes.
    if (slice_eq(key, SLICE("arrivals")) || slice_eq(key, SLICE("maxVUs")) ||
        slice_eq(key, SLICE("preAllocatedVUs"))) {
        key = SLICE("rate");
    }
    for (size_t i = 0; i < COUNT_OF(clashes); i++) {
        for (int k = 0; k < 2; k++) {
            if (slice_eq(key, clashes[i][k]) && doc_get(m->flags, clashes[i][1 - k])) {
                return false;
            }
        }
    }
    return true;
}

static bool is_no_load(const Merge *m, const Doc *member)
{
    (void)m;
    return !is_load(member->key) && !slice_eq(member->key, SLICE("scenarios"));
}

static bool is_load_member(const Merge *m, const Doc *member)
{
    (void)m;
    return is_load(member->key);
}

static bool is_other_member(const Merge *m, const Doc *member)
{
    return !is_load_member(m, member);
}

// The members of `doc` that `keep` keeps.
static int part_of(Merge *m, const Doc *doc, KeepFn *keep, Doc **ret)
{
    return overlay(m, doc, NULL, keep, ret);
}

static bool executor_has_all(const Doc *scenario, const Doc *flags)
{
    const Doc *name = doc_get(scenario, SLICE("executor"));
    for (int kind = 0; name && kind <= EXECUTOR_RAMPING_ARRIVAL_RATE; kind++) {
        if (!slice_eq(name->text, executor_name((ExecutorKind)kind))) {
            continue;
        }
        for (size_t i = 0; i < COUNT_OF(LOAD); i++) {
            const PlanField *f = plan_field("scenario", LOAD[i]);
            if (doc_get(flags, LOAD[i]) && !(f->executors >> kind & 1)) {
                return false;
            }
        }
        return true;
    }
    return false;
}

// An object with that one member.
static int wrap(Merge *m, const Doc *member, Slice key, Doc **ret)
{
    int rc = open_object(m, member, ret);
    if (rc == 0) {
        rc = put(m, *ret, member);
    }
    if (rc == 0) {
        doc_build_last(*ret)->key = key;
        rc = doc_build_close(&m->builder, *ret);
    }
    return rc;
}

// The load of the flags goes into the scenario, everything else where it belongs.
static int into_scenario(Merge *m, const Doc *base, const Doc *scenario, const Doc **ret)
{
    Doc *load = NULL, *rest = NULL, *named = NULL, *over = NULL, *whole = NULL;
    int rc = part_of(m, m->flags, is_load_member, &load);
    if (rc == 0) {
        rc = wrap(m, load, scenario->key, &named);
    }
    if (rc == 0) {
        rc = wrap(m, named, SLICE("scenarios"), &load);
    }
    if (rc == 0) {
        rc = part_of(m, m->flags, is_other_member, &rest);
    }
    if (rc == 0) {
        rc = overlay(m, rest, load, NULL, &over);
    }
    if (rc == 0) {
        rc = overlay(m, base, over, NULL, &whole);
        *ret = whole;
    }
    return rc;
}

// The scenario's steps under the load of the flags.
static int instead_of_scenario(Merge *m, const Doc *base, const Doc *scenario, const Doc **ret)
{
    Doc *plain = NULL, *steps = NULL, *whole = NULL;
    int rc = part_of(m, base, is_no_load, &plain);
    const Doc *list = doc_get(scenario, SLICE("steps"));
    if (rc == 0) {
        rc = open_object(m, base, &steps);
    }
    if (rc == 0 && list) {
        rc = put(m, steps, list);
    }
    if (rc == 0) {
        rc = doc_build_close(&m->builder, steps);
    }
    if (rc == 0) {
        rc = overlay(m, plain, steps, NULL, &whole);
    }
    if (rc == 0) {
        rc = overlay(m, whole, m->flags, NULL, &plain);
        *ret = plain;
    }
    return rc;
}

static int check_url(const PlanFlags *f, const Doc *base, Err *e)
{
    bool other = doc_get(base, SLICE("requests")) || doc_get(base, SLICE("scenarios")) ||
                 doc_get(base, SLICE("steps"));
    if (f->url.len > 0 && other && !doc_get(base, SLICE("url"))) {
        return err_set(e, ERR_ARG,
                       "--url: %s has requests of its own; use --environment or -e to send them "
                       "elsewhere",
                       base->source);
    }
    return 0;
}

int plan_flags_apply(Arena *arena, const PlanFlags *flags, const Doc *base, const Doc **ret_doc,
                     Err *e)
{
    const Doc *own = NULL;
    int rc = flags_doc(arena, flags, base, &own, e);
    if (rc != 0 || !base || base->type != DOC_OBJECT || doc_count(own) == 0) {
        *ret_doc = base && (base->type != DOC_OBJECT || doc_count(own) == 0) ? base : own;
        return rc;
    }
    if ((rc = check_url(flags, base, e)) != 0) {
        return rc;
    }
    Merge m = {.builder = {.arena = arena,
                           .source = base->source,
                           .max_nodes = DOC_NODES_MAX,
                           .max_depth = DOC_DEPTH_MAX,
                           .e = e},
               .flags = own};
    const Doc *scenarios = doc_get(base, SLICE("scenarios"));
    const Doc *only = doc_first(scenarios);
    if (!has_load(own) || !scenarios || scenarios->type != DOC_OBJECT) {
        Doc *whole = NULL;
        rc = overlay(&m, base, own, keeps_beside_flags, &whole);
        *ret_doc = whole;
        return rc;
    }
    if (doc_count(scenarios) != 1) {
        return err_set(
            e, ERR_ARG,
            "%s has %zu scenarios, so the load cannot be given by flags; change the plan",
            base->source, doc_count(scenarios));
    }
    return executor_has_all(only, own) ? into_scenario(&m, base, only, ret_doc)
                                       : instead_of_scenario(&m, base, only, ret_doc);
}

int plan_load(Arena *arena, const char *path, const PlanFlags *flags, const PlanOptions *options,
              const Plan **ret_plan, PlanMistakes *mistakes, Err *e)
{
    const Doc *base = NULL, *doc = NULL;
    PlanOptions own = options ? *options : (PlanOptions){0};
    *mistakes = (PlanMistakes){0};
    if (path) {
        int rc = plan_read_doc(arena, path, &base, mistakes, e);
        if (rc != 0) {
            return rc;
        }
        own.folder = plan_folder(arena, path);
    }
    int rc = plan_flags_apply(arena, flags, base, &doc, e);
    return rc == 0 ? plan_parse(arena, doc, &own, ret_plan, mistakes, e) : rc;
}
