// steps.yaml to Steps. The common document reader has taken care of the syntax; here is what the
// members may be.
#include "base/units.h"
#include "improve/steps_impl.h"
#include "os/file.h"

typedef struct Reader {
    Arena *arena;
    Err *e;
} Reader;

static int read_text(Reader *r, const Doc *object, const char *name, Slice *into)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (d == NULL) {
        return 0;
    }
    int rc = doc_expect(d, DOC_STRING, name, r->e);
    if (rc != 0) {
        return rc;
    }
    if (d->text.len > STEP_TEXT_MAX) {
        (void)doc_err(r->e, d, "%s is longer than %d bytes", name, STEP_TEXT_MAX);
        return ERR_LIMIT;
    }
    if (slice_find_byte(d->text, '\0') >= 0) {
        return doc_err(r->e, d, "%s holds a NUL byte", name);
    }
    *into = d->text;
    return 0;
}

static int read_bool(Reader *r, const Doc *object, const char *name, bool *into)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (d == NULL) {
        return 0;
    }
    int rc = doc_expect(d, DOC_BOOL, name, r->e);
    *into = rc == 0 && d->boolean;
    return rc;
}

static int read_seconds(Reader *r, const Doc *object, double *into)
{
    const Doc *d = doc_get(object, SLICE("seconds"));
    if (d == NULL) {
        return 0;
    }
    double value = doc_number(d);
    if (!doc_is_number(d) || !(value >= 0) || value > 1e9) {
        return doc_err(r->e, d, "seconds must be a number from 0 to 1e9");
    }
    *into = value;
    return 0;
}

static int read_count(Reader *r, const Doc *object, const char *name, int64_t *into)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (d == NULL) {
        return 0;
    }
    if (d->type != DOC_INT || d->integer < 0) {
        return doc_err(r->e, d, "%s must be a whole number from 0", name);
    }
    *into = d->integer;
    return 0;
}

// A directory or file of the tree: relative, and not out of it.
static int check_inside(Reader *r, const Doc *object, const char *name, Slice path)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    bool out = path.len > 0 && path.ptr[0] == '/';
    Slice head, rest = path;
    while (!out && rest.len > 0) {
        (void)slice_cut(rest, '/', &head, &rest);
        out = slice_eq_cstr(head, "..");
    }
    return out && d ? doc_err(r->e, d, "%s must be below the top of the tree", name) : 0;
}

// Who wrote it: see steps.h.
static int read_owner(Reader *r, const Doc *object, const char *seal, bool *by_person)
{
    Slice by = {0}, given = {0};
    int rc = read_text(r, object, "by", &by);
    if (rc != 0 || (rc = read_text(r, object, "seal", &given)) != 0) {
        return rc;
    }
    if (by.len > 0 && !slice_eq_cstr(by, "person")) {
        return doc_err(r->e, doc_get(object, SLICE("by")), "by can only be \"person\"");
    }
    *by_person = by.len > 0 || !slice_eq_cstr(given, seal);
    return 0;
}

static int expect_name(Reader *r, const Doc *object, Slice name)
{
    if (name.len == 0) {
        return doc_err(r->e, object, "the entry needs a name");
    }
    return 0;
}

// ---- steps

static const Slice STEP_FIELDS[] = {
    SLICE_INIT("name"),  SLICE_INIT("run"),  SLICE_INIT("directory"), SLICE_INIT("source"),
    SLICE_INIT("log"),   SLICE_INIT("note"), SLICE_INIT("key"),       SLICE_INIT("seconds"),
    SLICE_INIT("tests"), SLICE_INIT("by"),   SLICE_INIT("validated"), SLICE_INIT("network"),
    SLICE_INIT("seal"),
};

static int read_step(Reader *r, const Doc *d, Step *step)
{
    *step = (Step){.directory = SLICE("."), .tests = -1};
    int rc = doc_expect(d, DOC_OBJECT, "a step", r->e);
    if (rc != 0 || (rc = doc_expect_fields(d, STEP_FIELDS, COUNT_OF(STEP_FIELDS), r->e)) != 0) {
        return rc;
    }
    struct {
        const char *name;
        Slice *into;
    } texts[] = {{"name", &step->name},     {"run", &step->run}, {"directory", &step->directory},
                 {"source", &step->source}, {"log", &step->log}, {"note", &step->note},
                 {"key", &step->key}};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if ((rc = read_text(r, d, texts[i].name, texts[i].into)) != 0) {
            return rc;
        }
    }
    if ((rc = read_bool(r, d, "validated", &step->validated)) != 0 ||
        (rc = read_bool(r, d, "network", &step->network)) != 0 ||
        (rc = read_seconds(r, d, &step->seconds)) != 0 ||
        (rc = read_count(r, d, "tests", &step->tests)) != 0 ||
        (rc = check_inside(r, d, "directory", step->directory)) != 0 ||
        (rc = expect_name(r, d, step->name)) != 0) {
        return rc;
    }
    if (slice_trim(step->run).len == 0) {
        return doc_err(r->e, d, "the step needs a command in run");
    }
    char seal[STEPS_SEAL_HEX + 1];
    steps_seal(step->name, step->run, step->directory, step->network, seal);
    return read_owner(r, d, seal, &step->by_person);
}

static int read_list(Reader *r, const Doc *doc, const char *name, StepList *into)
{
    const Doc *list = doc_get(doc, slice_from_cstr(name));
    int rc = list ? doc_expect(list, DOC_ARRAY, name, r->e) : 0;
    for (const Doc *d = rc == 0 ? doc_first(list) : NULL; d; d = doc_next(d)) {
        Step step;
        if ((rc = read_step(r, d, &step)) != 0) {
            return rc;
        }
        if (step_list_find(into, step.name) != NULL) {
            return doc_err(r->e, d, "%s has two steps called \"%.*s\"", name, SLICE_FMT(step.name));
        }
        if (step.network && strcmp(name, "install") != 0) {
            return doc_err(r->e, d, "only install steps may have network");
        }
        if (into->count == STEP_LIST_MAX) {
            (void)doc_err(r->e, d, "%s has more than %d steps", name, STEP_LIST_MAX);
            return ERR_LIMIT;
        }
        if ((rc = step_list_add(r->arena, into, &step, r->e)) != 0) {
            return rc;
        }
    }
    return rc;
}

// ---- benchmarks

static const Slice BENCHMARK_FIELDS[] = {
    SLICE_INIT("name"),   SLICE_INIT("run"),       SLICE_INIT("directory"), SLICE_INIT("harness"),
    SLICE_INIT("source"), SLICE_INIT("log"),       SLICE_INIT("note"),      SLICE_INIT("seconds"),
    SLICE_INIT("by"),     SLICE_INIT("validated"), SLICE_INIT("seal"),
};

static int read_benchmark(Reader *r, const Doc *d, Benchmark *b)
{
    *b = (Benchmark){.directory = SLICE("."), .harness = SLICE("command")};
    int rc = doc_expect(d, DOC_OBJECT, "a benchmark", r->e);
    if (rc != 0 ||
        (rc = doc_expect_fields(d, BENCHMARK_FIELDS, COUNT_OF(BENCHMARK_FIELDS), r->e)) != 0) {
        return rc;
    }
    struct {
        const char *name;
        Slice *into;
    } texts[] = {{"name", &b->name},       {"run", &b->run},       {"directory", &b->directory},
                 {"harness", &b->harness}, {"source", &b->source}, {"log", &b->log},
                 {"note", &b->note}};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if ((rc = read_text(r, d, texts[i].name, texts[i].into)) != 0) {
            return rc;
        }
    }
    if ((rc = read_bool(r, d, "validated", &b->validated)) != 0 ||
        (rc = read_seconds(r, d, &b->seconds)) != 0 ||
        (rc = check_inside(r, d, "directory", b->directory)) != 0 ||
        (rc = expect_name(r, d, b->name)) != 0) {
        return rc;
    }
    char seal[STEPS_SEAL_HEX + 1];
    steps_seal(b->name, b->run, b->directory, false, seal);
    return read_owner(r, d, seal, &b->by_person);
}

static int read_benchmarks(Reader *r, const Doc *doc, Steps *steps)
{
    const Doc *list = doc_get(doc, SLICE("benchmarks"));
    int rc = list ? doc_expect(list, DOC_ARRAY, "benchmarks", r->e) : 0;
    for (const Doc *d = rc == 0 ? doc_first(list) : NULL; d; d = doc_next(d)) {
        Benchmark b;
        if ((rc = read_benchmark(r, d, &b)) != 0) {
            return rc;
        }
        if (steps->benchmark_count == STEPS_BENCHMARKS_MAX) {
            (void)doc_err(r->e, d, "more than %d benchmarks", STEPS_BENCHMARKS_MAX);
            return ERR_LIMIT;
        }
        if ((rc = steps_add_benchmark(r->arena, steps, &b, r->e)) != 0) {
            return rc;
        }
    }
    return rc;
}

// ---- workloads

static int too_many(Reader *r, const Doc *d, const char *what)
{
    (void)doc_err(r->e, d, "more than %d %s", STEPS_WORDS_MAX, what);
    return ERR_LIMIT;
}

// Numbers are words as they are spelled: `arguments: [[10, -v]]`.
static int read_words(Reader *r, const Doc *list, const char *what, Slice **ret, size_t *ret_count)
{
    int rc = list ? doc_expect(list, DOC_ARRAY, what, r->e) : 0;
    if (rc != 0 || list == NULL) {
        return rc;
    }
    if (doc_count(list) > STEPS_WORDS_MAX) {
        return too_many(r, list, what);
    }
    Slice *items = ARENA_ARRAY(r->arena, Slice, doc_count(list) + 1);
    size_t count = 0;
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        if (d->type != DOC_STRING && !doc_is_number(d)) {
            return doc_err(r->e, d, "%s must hold texts", what);
        }
        if (d->text.len > STEP_TEXT_MAX || slice_find_byte(d->text, '\0') >= 0) {
            return doc_err(r->e, d, "an entry of %s is too long or holds a NUL byte", what);
        }
        items[count++] = d->text;
    }
    *ret = items;
    *ret_count = count;
    return 0;
}

static int read_sizes(Reader *r, const Doc *list, WorkloadInputs *in)
{
    int rc = list ? doc_expect(list, DOC_ARRAY, "sizes", r->e) : 0;
    if (rc != 0 || list == NULL) {
        return rc;
    }
    if (doc_count(list) > STEPS_WORDS_MAX) {
        return too_many(r, list, "sizes");
    }
    in->sizes = ARENA_ARRAY(r->arena, int64_t, doc_count(list) + 1);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        if (d->type != DOC_INT || d->integer < 0) {
            return doc_err(r->e, d, "a size must be a whole number from 0");
        }
        in->sizes[in->size_count++] = d->integer;
    }
    return 0;
}

static int read_arguments(Reader *r, const Doc *list, WorkloadInputs *in)
{
    int rc = list ? doc_expect(list, DOC_ARRAY, "arguments", r->e) : 0;
    if (rc != 0 || list == NULL) {
        return rc;
    }
    if (doc_count(list) > STEPS_WORDS_MAX) {
        return too_many(r, list, "arguments");
    }
    in->arguments = ARENA_ARRAY(r->arena, struct WorkloadArguments, doc_count(list) + 1);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        struct WorkloadArguments *row = &in->arguments[in->argument_count];
        if ((rc = read_words(r, d, "a row of arguments", &row->words, &row->count)) != 0) {
            return rc;
        }
        in->argument_count++;
    }
    return 0;
}

static const Slice INPUT_FIELDS[] = {SLICE_INIT("generator"), SLICE_INIT("sizes"),
                                     SLICE_INIT("files"), SLICE_INIT("arguments")};

static int read_inputs(Reader *r, const Doc *d, WorkloadInputs *in)
{
    if (d == NULL) {
        return 0;
    }
    int rc = doc_expect(d, DOC_OBJECT, "inputs", r->e);
    if (rc != 0 || (rc = doc_expect_fields(d, INPUT_FIELDS, COUNT_OF(INPUT_FIELDS), r->e)) != 0 ||
        (rc = read_text(r, d, "generator", &in->generator)) != 0 ||
        (rc = read_sizes(r, doc_get(d, SLICE("sizes")), in)) != 0 ||
        (rc = read_words(r, doc_get(d, SLICE("files")), "files", &in->files, &in->file_count)) !=
            0) {
        return rc;
    }
    return read_arguments(r, doc_get(d, SLICE("arguments")), in);
}

static const Slice WORKLOAD_FIELDS[] = {
    SLICE_INIT("name"),   SLICE_INIT("run"),    SLICE_INIT("directory"), SLICE_INIT("metric"),
    SLICE_INIT("output"), SLICE_INIT("source"), SLICE_INIT("inputs"),    SLICE_INIT("skeleton"),
    SLICE_INIT("by"),     SLICE_INIT("seal"),
};

static int check_metric(Reader *r, const Doc *d, Slice metric)
{
    static const char *const METRICS[] = {"wall", "cpu", "rss"};
    for (size_t i = 0; i < COUNT_OF(METRICS); i++) {
        if (slice_eq_cstr(metric, METRICS[i])) {
            return 0;
        }
    }
    return doc_err(r->e, doc_get(d, SLICE("metric")), "metric must be wall, cpu or rss");
}

static int read_workload(Reader *r, const Doc *d, Workload *w)
{
    *w = (Workload){.directory = SLICE("."), .metric = SLICE("wall")};
    int rc = doc_expect(d, DOC_OBJECT, "a workload", r->e);
    if (rc != 0 ||
        (rc = doc_expect_fields(d, WORKLOAD_FIELDS, COUNT_OF(WORKLOAD_FIELDS), r->e)) != 0) {
        return rc;
    }
    struct {
        const char *name;
        Slice *into;
    } texts[] = {{"name", &w->name},     {"run", &w->run},       {"directory", &w->directory},
                 {"metric", &w->metric}, {"output", &w->output}, {"source", &w->source}};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if ((rc = read_text(r, d, texts[i].name, texts[i].into)) != 0) {
            return rc;
        }
    }
    if ((rc = check_inside(r, d, "directory", w->directory)) != 0 ||
        (rc = check_inside(r, d, "output", w->output)) != 0 ||
        (rc = expect_name(r, d, w->name)) != 0 || (rc = check_metric(r, d, w->metric)) != 0 ||
        (rc = read_bool(r, d, "skeleton", &w->skeleton)) != 0 ||
        (rc = read_inputs(r, doc_get(d, SLICE("inputs")), &w->inputs)) != 0) {
        return rc;
    }
    if (slice_trim(w->run).len == 0) {
        return doc_err(r->e, d, "the workload needs a command in run");
    }
    char seal[STEPS_SEAL_HEX + 1];
    steps_seal_workload(w, seal);
    return read_owner(r, d, seal, &w->by_person);
}

static int read_workloads(Reader *r, const Doc *doc, Steps *steps)
{
    const Doc *list = doc_get(doc, SLICE("workloads"));
    int rc = list ? doc_expect(list, DOC_ARRAY, "workloads", r->e) : 0;
    if (rc != 0 || list == NULL) {
        return rc;
    }
    if (doc_count(list) > STEPS_WORKLOADS_MAX) {
        (void)doc_err(r->e, list, "more than %d workloads", STEPS_WORKLOADS_MAX);
        return ERR_LIMIT;
    }
    steps->workloads = ARENA_ARRAY(r->arena, Workload, doc_count(list) + 1);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        Workload w;
        if ((rc = read_workload(r, d, &w)) != 0) {
            return rc;
        }
        if (steps_workload(steps, w.name) != NULL) {
            return doc_err(r->e, d, "two workloads are called \"%.*s\"", SLICE_FMT(w.name));
        }
        steps->workloads[steps->workload_count++] = w;
    }
    return 0;
}

// ---- the rest

static bool is_variable_name(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (i > 0 && c >= '0' && c <= '9'))) {
            return false;
        }
    }
    return s.len > 0;
}

static int read_environment(Reader *r, const Doc *d, Steps *steps)
{
    int rc = d ? doc_expect(d, DOC_OBJECT, "environment", r->e) : 0;
    if (rc != 0 || d == NULL) {
        return rc;
    }
    if (doc_count(d) > STEPS_WORDS_MAX) {
        return too_many(r, d, "variables");
    }
    steps->environment = ARENA_ARRAY(r->arena, StepsVariable, doc_count(d) + 1);
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        if (!is_variable_name(m->key)) {
            return doc_err_key(r->e, m, "\"%.*s\" is no name of a variable", SLICE_FMT(m->key));
        }
        if ((m->type != DOC_STRING && !doc_is_number(m)) || slice_find_byte(m->text, '\0') >= 0 ||
            m->text.len > STEP_TEXT_MAX) {
            return doc_err(r->e, m, "the value of a variable must be a text");
        }
        steps->environment[steps->environment_count++] = (StepsVariable){m->key, m->text};
    }
    return 0;
}

static int read_size(Reader *r, const Doc *object, const char *name, int64_t *into)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (d == NULL) {
        return 0;
    }
    if ((d->type != DOC_STRING && d->type != DOC_INT) || size_parse(d->text, into, NULL) != 0 ||
        *into < 0) {
        return doc_err(r->e, d, "%s must be a size such as 4GiB", name);
    }
    return 0;
}

static const Slice LIMIT_FIELDS[] = {SLICE_INIT("time"), SLICE_INIT("memory"), SLICE_INIT("disk"),
                                     SLICE_INIT("processes")};

static int read_limits(Reader *r, const Doc *d, StepsLimits *limits)
{
    if (d == NULL) {
        return 0;
    }
    int rc = doc_expect(d, DOC_OBJECT, "limits", r->e);
    if (rc != 0 || (rc = doc_expect_fields(d, LIMIT_FIELDS, COUNT_OF(LIMIT_FIELDS), r->e)) != 0) {
        return rc;
    }
    const Doc *time = doc_get(d, SLICE("time"));
    if (time &&
        (time->type != DOC_STRING || duration_parse(time->text, 0, &limits->time_ns, NULL) != 0)) {
        return doc_err(r->e, time, "time must be a duration such as 10m");
    }
    if ((rc = read_size(r, d, "memory", &limits->memory_bytes)) != 0 ||
        (rc = read_size(r, d, "disk", &limits->disk_bytes)) != 0) {
        return rc;
    }
    return read_count(r, d, "processes", &limits->processes);
}

static const Slice TOP_FIELDS[] = {
    SLICE_INIT("version"),     SLICE_INIT("install"),   SLICE_INIT("build"),
    SLICE_INIT("test"),        SLICE_INIT("workloads"), SLICE_INIT("benchmarks"),
    SLICE_INIT("artifacts"),   SLICE_INIT("protect"),   SLICE_INIT("packages_missing"),
    SLICE_INIT("environment"), SLICE_INIT("limits"),
};

static int check_version(const Doc *doc, Err *e)
{
    const Doc *version = doc_get(doc, SLICE("version"));
    if (version == NULL || version->type != DOC_INT || version->integer < 1) {
        return doc_err(e, version ? version : doc, "steps need \"version: %d\"", STEPS_VERSION);
    }
    if (version->integer > STEPS_VERSION) {
        (void)doc_err(e, version, "version %lld is newer than this program knows (%d)",
                      (long long)version->integer, STEPS_VERSION);
        return ERR_VERSION;
    }
    return 0;
}

int steps_read(Arena *arena, const Doc *doc, Steps *ret_steps, Err *e)
{
    Reader r = {arena, e};
    Steps s = {0};
    int rc = doc_expect(doc, DOC_OBJECT, "steps", e);
    // The version first: what a newer format calls its members is not known here.
    if (rc != 0 || (rc = check_version(doc, e)) != 0 ||
        (rc = doc_expect_fields(doc, TOP_FIELDS, COUNT_OF(TOP_FIELDS), e)) != 0 ||
        (rc = read_list(&r, doc, "install", &s.install)) != 0 ||
        (rc = read_list(&r, doc, "build", &s.build)) != 0 ||
        (rc = read_list(&r, doc, "test", &s.test)) != 0 ||
        (rc = read_benchmarks(&r, doc, &s)) != 0 || (rc = read_workloads(&r, doc, &s)) != 0 ||
        (rc = read_words(&r, doc_get(doc, SLICE("artifacts")), "artifacts", &s.artifacts,
                         &s.artifact_count)) != 0 ||
        (rc = read_words(&r, doc_get(doc, SLICE("protect")), "protect", &s.protect,
                         &s.protect_count)) != 0 ||
        (rc = read_words(&r, doc_get(doc, SLICE("packages_missing")), "packages_missing",
                         &s.packages_missing, &s.packages_missing_count)) != 0 ||
        (rc = read_environment(&r, doc_get(doc, SLICE("environment")), &s)) != 0 ||
        (rc = read_limits(&r, doc_get(doc, SLICE("limits")), &s.limits)) != 0) {
        return rc;
    }
    *ret_steps = s;
    return 0;
}

int steps_parse(Arena *arena, Slice text, const char *source, Steps *ret_steps, Err *e)
{
    DocOptions options = {
        .format = DOC_FORMAT_YAML, .source = source, .max_bytes = STEPS_BYTES_MAX};
    const Doc *doc = NULL;
    int rc = doc_parse(arena, text, &options, &doc, e);
    return rc != 0 ? rc : steps_read(arena, doc, ret_steps, e);
}

int steps_read_file(Arena *arena, const char *path, Steps *ret_steps, Err *e)
{
    Buf text = buf_create(STEPS_BYTES_MAX);
    int rc = file_read(path, &text, e);
    if (rc == 0) {
        rc = steps_parse(arena, buf_slice(&text), path, ret_steps, e);
    }
    buf_done(&text);
    return rc;
}
