#include "assess/guarding.h"

#include "net/url.h"

enum { TARGETS_MAX = PLAN_REQUESTS_MAX + 1 };

typedef struct Targets {
    Slice hosts[TARGETS_MAX];
    size_t count;
    Slice methods[PLAN_REQUESTS_MAX];
    size_t method_count;
} Targets;

static void add_host(Targets *t, Slice host)
{
    for (size_t i = 0; i < t->count; i++) {
        if (slice_eq_nocase(t->hosts[i], host)) {
            return;
        }
    }
    if (t->count < TARGETS_MAX) {
        t->hosts[t->count++] = host;
    }
}

// The host in the static beginning of a URL: a hole in the path does not hide it. A URL whose host
// itself is a hole is checked when it is known, before its first request (engine's check_host).
static void add_url(Targets *t, Arena *arena, const Template *url)
{
    if (url->part_count == 0 || url->parts[0].kind != PART_TEXT) {
        return;
    }
    Slice text = url->parts[0].text;
    ptrdiff_t scheme = slice_find(text, SLICE("://"));
    bool ends = url->is_static;
    if (scheme >= 0 && !ends) {
        Slice behind = slice_sub(text, (size_t)scheme + 3, text.len);
        ends = slice_find_byte(behind, '/') >= 0 || slice_find_byte(behind, '?') >= 0;
    }
    Url parsed;
    if (ends && url_parse(arena_copy(arena, text), &parsed, NULL) == 0) {
        add_host(t, parsed.host);
    }
}

static GuardEnvironment guard_environment_from(Arena *arena, const Plan *plan,
                                               const PlanEnvironment *environment)
{
    Slice *hosts = ARENA_ARRAY(arena, Slice, environment->host_count + 1);
    size_t count = 0;
    Url base;
    if (url_parse(environment->base_url, &base, NULL) == 0) {
        hosts[count++] = base.host;
    }
    for (size_t i = 0; i < environment->host_count; i++) {
        hosts[count++] = environment->hosts[i];
    }
    return (GuardEnvironment){
        .name = environment->name,
        .kind = environment_kind_name(environment->kind),
        .hosts = hosts,
        .host_count = count,
        .data_isolated = environment->data_isolated,
        .origin = plan->source,
    };
}

static void add_requests(Targets *t, Arena *arena, const Plan *plan)
{
    for (size_t i = 0; i < plan->request_count; i++) {
        const PlanRequest *request = &plan->requests[i];
        add_url(t, arena, &request->url);
        if (guard_method_writes(request->method)) {
            t->methods[t->method_count++] = arena_printf(
                arena, "%.*s (%.*s)", SLICE_FMT(request->method), SLICE_FMT(request->name));
        }
    }
}

int guarding_enter(Guard *guard, const Plan *plan, const GuardingOptions *options, Arena *arena,
                   Err *e)
{
    GuardEnvironment *declared = ARENA_ARRAY(arena, GuardEnvironment, plan->environment_count + 1);
    GuardRun run = {
        .caller = options->caller,
        .declared = declared,
        .declared_count = plan->environment_count,
        .data_isolated = options->data_isolated,
        .vus = plan_vus_max(plan),
        .duration_ns = plan_duration_ns(plan),
    };
    for (size_t i = 0; i < plan->environment_count; i++) {
        declared[i] = guard_environment_from(arena, plan, &plan->environments[i]);
        if (&plan->environments[i] == plan->environment) {
            run.environment = &declared[i];
        }
    }
    Targets *targets = ARENA_NEW(arena, Targets);
    add_requests(targets, arena, plan);
    run.target_hosts = targets->hosts;
    run.target_host_count = targets->count;
    run.writing_methods = targets->methods;
    run.writing_method_count = targets->method_count;
    int rc = guard_check_run(guard, &run, e);
    if (rc == 0) {
        guard_enter(guard, &run);
    }
    return rc;
}
