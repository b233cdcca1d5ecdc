#include "load/plan_parse.h"

#include "base/json_write.h"
#include "load/plan_read.h"
#include "net/http_head.h"

enum { PLAN_VERSION = 1, AROUND_MAX = 256 };

static void check_version(PlanReader *r, const Doc *doc, int64_t version)
{
    const Doc *d = doc_get(doc, SLICE("version"));
    if (d && d->type == DOC_INT && version > PLAN_VERSION) {
        plan_mistake(r, d, "version %lld is newer than this program, which reads version %d",
                     (long long)version, PLAN_VERSION);
    }
}

// ---- setup and teardown

static void read_around(PlanReader *r, const Doc *d, const char *what,
                        const PlanRequest *const **ret, size_t *ret_count)
{
    if (!plan_is_list(r, d, what, AROUND_MAX)) {
        return;
    }
    const PlanRequest **list = ARENA_ARRAY(r->arena, const PlanRequest *, doc_count(d) + 1);
    size_t count = 0;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        // A step's shape is taken too: - request: login
        const Doc *inner = doc_count(m) == 1 ? doc_get(m, SLICE("request")) : NULL;
        const PlanRequest *request = plan_request_of(r, inner ? inner : m, USED_AROUND);
        if (!request) {
            continue;
        }
        if (plan_request_has_feed(request)) {
            plan_mistake(r, m, "%s runs once and has no row of a feed; use variables", what);
        }
        list[count++] = request;
    }
    *ret = list;
    *ret_count = count;
}

// ---- options

static void read_header_text(PlanReader *r, const Doc *d, const char *what, bool is_name,
                             Slice *ret)
{
    Slice text = {0};
    if (!plan_scalar(r, d, what, &text)) {
        return;
    }
    if (text.len > 0 && !(is_name ? http_is_token(text) : http_is_field_value(text))) {
        plan_mistake(r, d, "%s cannot stand in a header", what);
        return;
    }
    *ret = text;
}

static void read_options(PlanReader *r, const Doc *d)
{
    OptionFields f = {.discard_bodies = true};
    if (d && plan_fields_read(r, d, "options", &f)) {
        if (f.user_agent) {
            read_header_text(r, f.user_agent, "userAgent", false, &r->plan->user_agent);
        }
        if (f.run_header) {
            read_header_text(r, f.run_header, "runHeader", true, &r->plan->run_header);
        }
    }
    r->plan->discard_bodies = f.discard_bodies;
    r->plan->no_connection_reuse = f.no_connection_reuse;
}

// ---- what nothing refers to

static void warn_of_unused(PlanReader *r, const TopFields *top)
{
    for (size_t i = 0; i < r->request_count; i++) {
        if (r->request_uses[i] == 0 && r->request_docs[i]) {
            plan_warning(r, r->request_docs[i], "the request \"%.*s\" is in no step",
                         SLICE_FMT(r->requests[i].name));
        }
    }
    for (size_t i = 0; i < r->plan->feed_count; i++) {
        const Doc *d = doc_get(top->feeds, r->plan->feeds[i].name);
        if (!(r->feeds_used >> i & 1) && d) {
            plan_warning(r, d, "no text takes a value from the feed \"%.*s\"",
                         SLICE_FMT(r->plan->feeds[i].name));
        }
    }
}

static void read_document(PlanReader *r, const Doc *doc)
{
    Plan *plan = r->plan;
    TopFields top = {.version = PLAN_VERSION,
                     .seed = (int64_t)PLAN_SEED,
                     .graceful_stop_ns = PLAN_GRACEFUL_STOP_NS};
    if (!plan_fields_read(r, doc, "plan", &top)) {
        return;
    }
    check_version(r, doc, top.version);
    plan->name = top.name;
    plan->seed = (uint64_t)top.seed;
    plan->baseline = top.baseline;
    plan_read_environments(r, &top, doc);
    plan_read_feeds(r, top.feeds);
    plan_read_variables(r, doc, top.variables);
    plan_read_requests(r, doc, &top);
    if (top.setup) {
        read_around(r, top.setup, "setup", &plan->setup, &plan->setup_count);
    }
    if (top.teardown) {
        read_around(r, top.teardown, "teardown", &plan->teardown, &plan->teardown_count);
    }
    plan_read_scenarios(r, doc, &top);
    if (top.thresholds) {
        plan_read_thresholds(r, top.thresholds);
    }
    if (top.slo) {
        plan_read_slo(r, top.slo);
    }
    if (top.budget) {
        plan_read_budget(r, top.budget);
    }
    if (top.tags) {
        (void)plan_labels(r, top.tags, &plan->labels);
    }
    read_options(r, top.options);
    plan->requests = r->requests;
    plan->request_count = r->request_count;
    if (r->mistakes->errors == 0) {
        warn_of_unused(r, &top);
    }
}

static int first_mistake(const PlanMistakes *m, Err *e)
{
    for (size_t i = 0; i < m->count; i++) {
        if (!m->items[i].warning && m->errors == 1) {
            return err_set(e, ERR_PARSE, "%.*s", SLICE_FMT(m->items[i].text));
        }
        if (!m->items[i].warning) {
            return err_set(e, ERR_PARSE, "%.*s (and %zu more)", SLICE_FMT(m->items[i].text),
                           m->errors - 1);
        }
    }
    return err_set(e, ERR_PARSE, "%zu mistakes", m->errors);
}

int plan_parse(Arena *arena, const Doc *doc, const PlanOptions *options, const Plan **ret_plan,
               PlanMistakes *mistakes, Err *e)
{
    static const PlanOptions no_options = {0};
    Plan *plan = ARENA_NEW(arena, Plan);
    *mistakes = (PlanMistakes){0};
    *plan = (Plan){.source = slice_from_cstr(doc->source),
                   .user_agent = SLICE("perfwright/1"),
                   .run_header = SLICE("X-Perfwright-Run")};
    PlanReader r = {.arena = arena,
                    .options = options ? options : &no_options,
                    .mistakes = mistakes,
                    .plan = plan};
    r.names.env = r.options->env;
    r.names.env_ctx = r.options->env_ctx;
    read_document(&r, doc);
    if (mistakes->errors > 0) {
        return first_mistake(mistakes, e);
    }
    Buf canonical = buf_create((size_t)8 * PLAN_BYTES_MAX);
    doc_write_canonical(doc, &canonical);
    int rc = buf_check(&canonical, "the plan's canonical form", e);
    plan->canonical_json = arena_copy(arena, buf_slice(&canonical));
    buf_done(&canonical);
    if (rc == 0) {
        *ret_plan = plan;
    }
    return rc;
}

// ---- files

int plan_read_doc(Arena *arena, const char *path, const Doc **ret_doc, PlanMistakes *mistakes,
                  Err *e)
{
    Slice name = slice_from_cstr(path);
    bool known = slice_ends_with(name, SLICE(".json")) || slice_ends_with(name, SLICE(".toml"));
    DocOptions o = {.format = known ? DOC_FORMAT_BY_NAME : DOC_FORMAT_YAML,
                    .max_bytes = PLAN_BYTES_MAX,
                    .max_nodes = PLAN_NODES_MAX};
    *mistakes = (PlanMistakes){0};
    Err own = {0};
    int rc = doc_read_file(arena, path, &o, ret_doc, &own);
    if (rc != 0) {
        mistakes->items[0].text = arena_copy(arena, slice_from_cstr(own.text));
        mistakes->count = mistakes->errors = 1;
        // A document too deep, too long or too entangled is a mistake in it like any other.
        return err_set(e, rc == ERR_LIMIT ? ERR_PARSE : (ErrCode)rc, "%s", own.text);
    }
    return 0;
}

const char *plan_folder(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return NULL;
    }
    return arena_cstr(arena, (Slice){path, slash == path ? 1 : (size_t)(slash - path)});
}

int plan_read_file(Arena *arena, const char *path, const PlanOptions *options,
                   const Plan **ret_plan, PlanMistakes *mistakes, Err *e)
{
    const Doc *doc = NULL;
    int rc = plan_read_doc(arena, path, &doc, mistakes, e);
    if (rc != 0) {
        return rc;
    }
    PlanOptions own = options ? *options : (PlanOptions){0};
    own.folder = plan_folder(arena, path);
    return plan_parse(arena, doc, &own, ret_plan, mistakes, e);
}
