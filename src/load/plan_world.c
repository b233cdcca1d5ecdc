// Environments, feeds and variables: what requests refer to.
#include "load/plan_read.h"

#include "load/feed.h"
#include "net/url.h"

enum { HOSTS_MAX = 256, ENVIRONMENTS_MAX = 64 };

static const Slice KINDS[] = {
    [ENVIRONMENT_DEVELOPMENT] = SLICE_INIT("development"),
    [ENVIRONMENT_TEST] = SLICE_INIT("test"),
    [ENVIRONMENT_PERFORMANCE] = SLICE_INIT("performance"),
    [ENVIRONMENT_STAGING] = SLICE_INIT("staging"),
    [ENVIRONMENT_PRODUCTION] = SLICE_INIT("production"),
};

static void check_tls_version(PlanReader *r, const Doc *tls, Slice field, Slice value)
{
    if (value.len > 0 && !slice_eq(value, SLICE("1.2")) && !slice_eq(value, SLICE("1.3"))) {
        plan_mistake(r, doc_get(tls, field), "%.*s must be \"1.2\" or \"1.3\"", SLICE_FMT(field));
    }
}

static void resolve_file(PlanReader *r, const Doc *d, Slice *path)
{
    if (path->len > 0) {
        *path = slice_from_cstr(plan_path(r, d, *path));
    }
}

static void read_tls(PlanReader *r, const Doc *d, PlanTls *tls)
{
    if (!plan_fields_read(r, d, "tls", tls)) {
        return;
    }
    check_tls_version(r, d, SLICE("minVersion"), tls->min_version);
    check_tls_version(r, d, SLICE("maxVersion"), tls->max_version);
    if (tls->min_version.len > 0 && tls->max_version.len > 0 &&
        slice_cmp(tls->min_version, tls->max_version) > 0) {
        plan_mistake(r, d, "minVersion is above maxVersion");
    }
    if ((tls->cert_file.len > 0) != (tls->key_file.len > 0)) {
        plan_mistake(r, d, "a client certificate needs both certFile and keyFile");
    }
    resolve_file(r, d, &tls->ca_file);
    resolve_file(r, d, &tls->cert_file);
    resolve_file(r, d, &tls->key_file);
}

static void read_base_url(PlanReader *r, const Doc *d, PlanEnvironment *env)
{
    Slice text = {0};
    Url url;
    Err e = {0};
    if (!plan_scalar(r, d, "baseUrl", &text) || !plan_fixed_text(r, d, text, &env->base_url)) {
        return;
    }
    if (url_parse(env->base_url, &url, &e) != 0) {
        plan_mistake(r, d, "baseUrl: %s", e.text);
    } else if (url.query.ptr || url.fragment.ptr) {
        plan_mistake(r, d, "baseUrl ends with its path; put the query into the requests");
    }
}

static void read_hosts(PlanReader *r, const Doc *d, PlanEnvironment *env)
{
    if (!plan_is_list(r, d, "hosts", HOSTS_MAX)) {
        return;
    }
    Slice *hosts = ARENA_ARRAY(r->arena, Slice, doc_count(d) + 1);
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        Slice host = {0};
        if (!plan_scalar(r, m, "a host", &host)) {
            continue;
        }
        if (host.len == 0 || slice_find_byte(host, '/') >= 0) {
            plan_mistake(r, m,
                         "a host is a name or an address without scheme and path, as "
                         "shop.test or *.shop.test");
            continue;
        }
        hosts[env->host_count++] = host;
    }
    env->hosts = hosts;
}

static void read_environment(PlanReader *r, const Doc *d, PlanEnvironment *env)
{
    static const Slice data[] = {SLICE_INIT("shared"), SLICE_INIT("isolated")};
    EnvironmentFields f = {.http2 = true};
    *env = (PlanEnvironment){.name = d->key};
    if (!plan_fields_read(r, d, "environment", &f)) {
        return;
    }
    if (!f.kind) {
        plan_mistake_key(r, d,
                         "the environment \"%.*s\" needs a kind: development, test, "
                         "performance, staging or production",
                         SLICE_FMT(d->key));
    } else {
        int kind = plan_choice(r, f.kind, "kind", KINDS, COUNT_OF(KINDS));
        env->kind = kind < 0 ? ENVIRONMENT_PRODUCTION : (EnvironmentKind)kind;
    }
    if (f.base_url) {
        read_base_url(r, f.base_url, env);
    }
    if (f.hosts) {
        read_hosts(r, f.hosts, env);
    }
    env->data_isolated = f.data && plan_choice(r, f.data, "data", data, COUNT_OF(data)) == 1;
    if (f.tls) {
        read_tls(r, f.tls, &env->tls);
    }
    env->http2 = f.http2;
    env->http2_prior_knowledge = f.http2_prior_knowledge;
}

static void choose_environment(PlanReader *r, const TopFields *top, const Doc *doc)
{
    Plan *plan = r->plan;
    const Doc *at = doc_get(doc, SLICE("environment"));
    Slice names[ENVIRONMENTS_MAX];
    if (!at) {
        if (plan->environment_count == 1) {
            plan->environment = plan->environments;
        } else if (plan->environment_count > 1) {
            plan_mistake_key(r, top->environments,
                             "there are %zu environments; say which one with `environment` or "
                             "--environment",
                             plan->environment_count);
        }
        return;
    }
    for (size_t i = 0; i < plan->environment_count; i++) {
        names[i] = plan->environments[i].name;
    }
    if (plan->environment_count == 0) {
        plan_mistake(r, at, "there is no environment \"%.*s\"; declare it under `environments`",
                     SLICE_FMT(top->environment));
        return;
    }
    int index = plan_choice(r, at, "the environment", names, plan->environment_count);
    plan->environment = index < 0 ? NULL : &plan->environments[index];
}

void plan_read_environments(PlanReader *r, const TopFields *top, const Doc *doc)
{
    const Doc *d = top->environments;
    if (d && d->type != DOC_OBJECT) {
        plan_mistake(r, d, "environments must be an object of environments by name, not %s",
                     doc_type_name(d->type));
        return;
    }
    if (doc_count(d) > ENVIRONMENTS_MAX) {
        plan_mistake(r, d, "%zu environments; at most %d", doc_count(d), ENVIRONMENTS_MAX);
        return;
    }
    PlanEnvironment *all = ARENA_ARRAY(r->arena, PlanEnvironment, doc_count(d) + 1);
    r->plan->environments = all;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        read_environment(r, m, &all[r->plan->environment_count++]);
    }
    choose_environment(r, top, doc);
}

// ---- feeds

static bool read_feed_fields(PlanReader *r, const Doc *d, PlanFeed *feed)
{
    static const Slice orders[] = {SLICE_INIT("sequential"), SLICE_INIT("random"),
                                   SLICE_INIT("shuffle")};
    static const Slice ends[] = {SLICE_INIT("wrap"), SLICE_INIT("stop")};
    static const Slice scopes[] = {SLICE_INIT("test"), SLICE_INIT("vu")};
    FeedFields f = {0};
    if (d->type == DOC_STRING) {
        f.file = d->text;
    } else if (!plan_fields_read(r, d, "feed", &f)) {
        return false;
    }
    int order = f.order ? plan_choice(r, f.order, "order", orders, COUNT_OF(orders)) : 0;
    int end = f.at_end ? plan_choice(r, f.at_end, "onEnd", ends, COUNT_OF(ends)) : 0;
    int scope = f.scope ? plan_choice(r, f.scope, "scope", scopes, COUNT_OF(scopes)) : 0;
    if (f.file.len == 0) {
        plan_mistake_key(r, d, "the feed \"%.*s\" needs a file", SLICE_FMT(d->key));
        return false;
    }
    feed->file = f.file;
    feed->order = order < 0 ? FEED_SEQUENTIAL : (FeedOrder)order;
    feed->at_end = end < 0 ? FEED_WRAP : (FeedEnd)end;
    feed->scope = scope < 0 ? FEED_PER_TEST : (FeedScope)scope;
    return true;
}

static void read_feed(PlanReader *r, const Doc *d, PlanFeed *feed)
{
    *feed = (PlanFeed){.name = d->key};
    Err e = {0};
    if (slice_eq(d->key, SLICE("env")) || slice_find_byte(d->key, '.') >= 0 || d->key.len == 0) {
        plan_mistake_key(r, d,
                         "\"%.*s\" cannot name a feed; it would hide ${env.NAME} or holds a "
                         "dot",
                         SLICE_FMT(d->key));
    }
    if (!read_feed_fields(r, d, feed)) {
        return;
    }
    // feed_load bounds itself by what the arena has left; a plan needs some of that too.
    if (!plan_has_room(r, FEED_BYTES_MAX)) {
        plan_mistake(r, d, "no memory left for this feed; use smaller files");
    } else if (feed_load(r->arena, plan_path(r, d, feed->file), feed, &e) != 0) {
        plan_mistake_err(r, d, &e);
        feed->row_count = 0;
    }
}

void plan_read_feeds(PlanReader *r, const Doc *d)
{
    if (!d) {
        return;
    }
    if (d->type != DOC_OBJECT) {
        plan_mistake(r, d, "feeds must be an object of feeds by name, not %s",
                     doc_type_name(d->type));
        return;
    }
    if (doc_count(d) > PLAN_FEEDS_MAX) {
        plan_mistake(r, d, "%zu feeds; at most %d", doc_count(d), PLAN_FEEDS_MAX);
        return;
    }
    PlanFeed *feeds = ARENA_ARRAY(r->arena, PlanFeed, doc_count(d) + 1);
    r->plan->feeds = feeds;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        read_feed(r, m, &feeds[r->plan->feed_count++]);
    }
    r->names.feeds = feeds;
    r->names.feed_count = r->plan->feed_count;
}

// ---- variables

static void add_variable(PlanReader *r, const Doc *at, Slice name)
{
    for (size_t i = 0; i < r->names.variable_count; i++) {
        if (slice_eq(r->variables[i], name)) {
            return;
        }
    }
    if (!template_is_variable_name(name)) {
        plan_mistake_key(r, at,
                         "\"%.*s\" cannot name a variable; use letters, digits, _ and -, "
                         "and none of the run's own names (vu, uuid, ...)",
                         SLICE_FMT(name));
        return;
    }
    if (r->names.variable_count == PLAN_VARIABLES_MAX) {
        plan_mistake_key(r, at, "more than %d variables", PLAN_VARIABLES_MAX);
        return;
    }
    r->variables[r->names.variable_count++] = name;
}

// Finds what requests extract, wherever they stand, because a text may use a variable that a later
// request takes out of an answer. Counts requests on the way.
static void scan(PlanReader *r, const Doc *d)
{
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        bool is_member = d->type == DOC_OBJECT;
        if (is_member && slice_eq(m->key, SLICE("url"))) {
            r->request_max++;
        }
        if (is_member && slice_eq(m->key, SLICE("extract"))) {
            for (const Doc *x = doc_first(m); m->type == DOC_OBJECT && x; x = doc_next(x)) {
                add_variable(r, x, x->key);
            }
        } else if (!is_member ||
                   (!slice_eq(m->key, SLICE("json")) && !slice_eq(m->key, SLICE("headers")) &&
                    !slice_eq(m->key, SLICE("tags")))) {
            scan(r, m);
        }
    }
}

void plan_read_variables(PlanReader *r, const Doc *doc, const Doc *d)
{
    Slice *values = ARENA_ARRAY(r->arena, Slice, PLAN_VARIABLES_MAX);
    r->variables = ARENA_ARRAY(r->arena, Slice, PLAN_VARIABLES_MAX);
    r->names.variables = r->variables;
    if (d && d->type != DOC_OBJECT) {
        plan_mistake(r, d, "variables must be an object of texts by name, not %s",
                     doc_type_name(d->type));
    }
    for (const Doc *m = d && d->type == DOC_OBJECT ? doc_first(d) : NULL; m; m = doc_next(m)) {
        size_t before = r->names.variable_count;
        Slice text = {0};
        add_variable(r, m, m->key);
        if (r->names.variable_count > before && plan_scalar(r, m, "a variable", &text)) {
            (void)plan_fixed_text(r, m, text, &values[before]);
        }
    }
    scan(r, doc);
    r->plan->variable_names = r->variables;
    r->plan->variable_values = values;
    r->plan->variable_count = r->names.variable_count;
}
