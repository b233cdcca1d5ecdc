#include "guard/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>

#include "base/units.h"
#include "guard/admin.h"
#include "guard/host.h"

enum { ARENA_BYTES_MAX = 64 << 20, REASON_MAX = 700 };

// A declared host with the environment that declared it.
typedef struct ScopeHost {
    HostForm form;
    Slice environment;
    Slice origin;
} ScopeHost;

// What one run may and may not touch, ready for looking up.
typedef struct Scope {
    Slice environment; // empty: none
    Slice origin;
    ScopeHost *allowed;
    size_t allowed_count;
    ScopeHost *production; // of every production environment anybody declared
    size_t production_count;
} Scope;

struct Guard {
    Arena *arena;
    AdminFile admin;
    GuardLimits person;
    GuardLimits others;
    Arena *run_arena; // of `scope`
    Scope scope;
};

// ---- words

// "REASON (RULE, set in ORIGIN)", then what to do about it.
PRINTF_LIKE(5, 6)
static int refuse(Err *e, const char *rule, Slice origin, const char *advice, const char *format,
                  ...)
{
    char reason[REASON_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (origin.len == 0 || slice_eq_cstr(origin, "built in")) {
        return err_set(e, ERR_REFUSED, "%s (%s, built in)%s%s", reason, rule, advice[0] ? ": " : "",
                       advice);
    }
    return err_set(e, ERR_REFUSED, "%s (%s, set in %.*s)%s%s", reason, rule, SLICE_FMT(origin),
                   advice[0] ? ": " : "", advice);
}

#define BUILT_IN SLICE("built in")

// ---- small questions

bool guard_method_writes(Slice method)
{
    return !slice_eq_cstr(method, "GET") && !slice_eq_cstr(method, "HEAD") &&
           !slice_eq_cstr(method, "OPTIONS");
}

bool guard_kind_is_known(Slice kind)
{
    static const Slice kinds[] = {SLICE_INIT("development"), SLICE_INIT("test"),
                                  SLICE_INIT("performance"), SLICE_INIT("staging"),
                                  SLICE_INIT("production")};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (slice_eq_nocase(kinds[i], kind)) {
            return true;
        }
    }
    return false;
}

static bool is_production(const GuardEnvironment *env)
{
    return slice_eq_nocase(env->kind, SLICE("production"));
}

// ---- life cycle

static GuardLimits limits_for(const AdminFile *admin, bool may_raise)
{
    GuardLimits l = {GUARD_VUS_CEILING, GUARD_DURATION_CEILING_NS, BUILT_IN, BUILT_IN};
    if (admin->vus_max > 0 && (may_raise || admin->vus_max < l.vus_max)) {
        l.vus_max = admin->vus_max;
        l.vus_origin = admin->vus_origin;
    }
    if (admin->duration_ns_max > 0 && (may_raise || admin->duration_ns_max < l.duration_ns_max)) {
        l.duration_ns_max = admin->duration_ns_max;
        l.duration_origin = admin->duration_origin;
    }
    return l;
}

int guard_create_owned(const char *admin_file, uid_t owner, Guard **ret_guard, Err *e)
{
    Guard *guard = mem_zalloc(sizeof *guard);
    guard->arena = arena_create(ARENA_BYTES_MAX);
    int rc = admin_read(guard->arena, admin_file ? admin_file : GUARD_ADMIN_FILE, owner,
                        &guard->admin, e);
    if (rc != 0) {
        guard_destroy(guard);
        return rc;
    }
    guard->person = limits_for(&guard->admin, true);
    guard->others = limits_for(&guard->admin, false);
    guard_enter(guard, &(GuardRun){.caller = GUARD_CALLER_API});
    *ret_guard = guard;
    return 0;
}

int guard_create(const char *admin_file, Guard **ret_guard, Err *e)
{
    return guard_create_owned(admin_file, 0, ret_guard, e);
}

void guard_destroy(Guard *guard)
{
    if (guard) {
        arena_destroy(guard->run_arena);
        arena_destroy(guard->arena);
        free(guard);
    }
}

const GuardLimits *guard_limits(const Guard *guard, GuardCaller caller)
{
    return caller == GUARD_CALLER_PERSON ? &guard->person : &guard->others;
}

const GuardEnvironment *guard_environment(const Guard *guard, Slice name)
{
    for (size_t i = 0; i < guard->admin.environment_count; i++) {
        if (slice_eq(guard->admin.environments[i].name, name)) {
            return &guard->admin.environments[i];
        }
    }
    return NULL;
}

const GuardEnvironment *guard_environment_of_host(const Guard *guard, Slice host)
{
    HostForm form;
    if (host_parse(host, &form, NULL) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < guard->admin.environment_count; i++) {
        const GuardEnvironment *env = &guard->admin.environments[i];
        for (size_t k = 0; k < env->host_count; k++) {
            HostForm pattern;
            if (host_parse_pattern(env->hosts[k], &pattern, NULL) == 0 &&
                host_matches(&pattern, &form)) {
                return env;
            }
        }
    }
    return NULL;
}

// ---- the scope of a run

static int add_hosts(Arena *arena, const GuardEnvironment *env, ScopeHost *into, size_t *count,
                     Err *e)
{
    for (size_t i = 0; i < env->host_count; i++) {
        ScopeHost *h = &into[*count];
        Err why = {0};
        if (host_parse_pattern(env->hosts[i], &h->form, &why) != 0) {
            return refuse(e, GUARD_RULE_HOST_FORM, env->origin, "", "environment '%.*s': %.400s",
                          SLICE_FMT(env->name), why.text);
        }
        // A production service behind loopback does not make all of loopback production: other
        // environments live there on other ports. Choosing that environment is refused anyway.
        if (is_production(env) && host_is_loopback(&h->form)) {
            continue;
        }
        h->environment = arena_copy(arena, env->name);
        h->origin = arena_copy(arena, env->origin);
        (*count)++;
    }
    return 0;
}

static size_t production_hosts(const GuardEnvironment *list, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += is_production(&list[i]) ? list[i].host_count : 0;
    }
    return n;
}

static int add_production(Arena *arena, const GuardEnvironment *list, size_t count, Scope *scope,
                          Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (is_production(&list[i])) {
            rc = add_hosts(arena, &list[i], scope->production, &scope->production_count, e);
        }
    }
    return rc;
}

static int scope_build(const Guard *guard, const GuardRun *run, Arena *arena, Scope *ret_scope,
                       Err *e)
{
    const AdminFile *admin = &guard->admin;
    const GuardEnvironment *env = run->environment;
    Scope scope = {0};
    size_t production = production_hosts(admin->environments, admin->environment_count) +
                        production_hosts(run->declared, run->declared_count);
    if (production + (env ? env->host_count : 0) > 2 * GUARD_HOSTS_MAX) {
        return refuse(e, GUARD_RULE_HOST_FORM, env ? env->origin : BUILT_IN, "use wildcards",
                      "the environments declare more than %d hosts", GUARD_HOSTS_MAX);
    }
    scope.production = ARENA_ARRAY(arena, ScopeHost, production + 1);
    int rc = add_production(arena, admin->environments, admin->environment_count, &scope, e);
    rc = rc != 0 ? rc : add_production(arena, run->declared, run->declared_count, &scope, e);
    if (rc == 0 && env) {
        scope.environment = arena_copy(arena, env->name);
        scope.origin = arena_copy(arena, env->origin);
        scope.allowed = ARENA_ARRAY(arena, ScopeHost, env->host_count + 1);
        rc = add_hosts(arena, env, scope.allowed, &scope.allowed_count, e);
    }
    if (rc == 0) {
        *ret_scope = scope;
    }
    return rc;
}

static const ScopeHost *find_host(const ScopeHost *hosts, size_t count, const HostForm *host)
{
    for (size_t i = 0; i < count; i++) {
        if (host_matches(&hosts[i].form, host)) {
            return &hosts[i];
        }
    }
    return NULL;
}

// ---- hosts and addresses

static int refuse_class(AddressClass class, Slice host, const char *address, Err *e)
{
    bool metadata = class == ADDRESS_METADATA;
    return refuse(e, metadata ? GUARD_RULE_METADATA_ADDRESS : GUARD_RULE_SPECIAL_ADDRESS, BUILT_IN,
                  "no setting allows it", "'%.*s'%s%s is %s, which is never a target",
                  SLICE_FMT(host), address[0] ? " leads to " : "", address,
                  address_class_name(class));
}

static bool is_never_a_target(AddressClass class)
{
    return class != ADDRESS_ORDINARY && class != ADDRESS_LOOPBACK;
}

static int refuse_production(const ScopeHost *found, Slice host, Err *e)
{
    return refuse(e, GUARD_RULE_PRODUCTION, found->origin, "no setting allows load on production",
                  "'%.*s' belongs to the production environment '%.*s'", SLICE_FMT(host),
                  SLICE_FMT(found->environment));
}

static int check_form(const Scope *scope, Slice text, const HostForm *host, Err *e)
{
    if (host_is_metadata_name(host)) {
        return refuse(e, GUARD_RULE_METADATA_ADDRESS, BUILT_IN, "no setting allows it",
                      "'%.*s' is a name of a cloud's metadata service", SLICE_FMT(text));
    }
    AddressClass class = host->is_address ? address_class(host->ip) : ADDRESS_ORDINARY;
    if (is_never_a_target(class)) {
        return refuse_class(class, text, "", e);
    }
    const ScopeHost *found = find_host(scope->production, scope->production_count, host);
    return found ? refuse_production(found, text, e) : 0;
}

static int check_host(const Scope *scope, Slice text, Err *e)
{
    HostForm host;
    Err why = {0};
    if (host_parse(text, &host, &why) != 0) {
        return refuse(e, GUARD_RULE_HOST_FORM, BUILT_IN, "", "%.500s", why.text);
    }
    int rc = check_form(scope, text, &host, e);
    if (rc != 0 || host_is_loopback(&host) ||
        find_host(scope->allowed, scope->allowed_count, &host)) {
        return rc;
    }
    if (scope->environment.len > 0) {
        return refuse(e, GUARD_RULE_UNDECLARED_HOST, scope->origin,
                      "add it to hosts there, if it may be put under load",
                      "'%.*s' is not a host of the environment '%.*s'", SLICE_FMT(text),
                      SLICE_FMT(scope->environment));
    }
    return refuse(e, GUARD_RULE_UNDECLARED_HOST, BUILT_IN,
                  "without an environment only loopback may be put under load; declare one under "
                  "`environments` in the plan or in " GUARD_ADMIN_FILE,
                  "'%.*s' is declared by no environment", SLICE_FMT(text));
}

int guard_check_host(const Guard *guard, Slice host, Err *e)
{
    return check_host(&guard->scope, host, e);
}

static bool ip_of(const struct sockaddr *address, unsigned char ip[HOST_IP_BYTES])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        address_from_v4((const unsigned char *)&v4.sin_addr, ip);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(ip, &v6.sin6_addr, HOST_IP_BYTES);
        return true;
    }
    return false;
}

// The rule that needs no environment. On success `ret_ip` and its text are set.
static int check_special(Slice host, const struct sockaddr *address, HostForm *ret_ip,
                         char ret_text[INET6_ADDRSTRLEN], AddressClass *ret_class, Err *e)
{
    *ret_ip = (HostForm){.is_address = true};
    *ret_class = ADDRESS_UNSPECIFIED;
    if (!ip_of(address, ret_ip->ip)) {
        return refuse(e, GUARD_RULE_SPECIAL_ADDRESS, BUILT_IN, "", "'%.*s' is no internet address",
                      SLICE_FMT(host));
    }
    (void)inet_ntop(AF_INET6, ret_ip->ip, ret_text, INET6_ADDRSTRLEN);
    *ret_class = address_class(ret_ip->ip);
    return is_never_a_target(*ret_class) ? refuse_class(*ret_class, host, ret_text, e) : 0;
}

int guard_check_peer(Slice host, const struct sockaddr *address, Err *e)
{
    HostForm ip;
    char text[INET6_ADDRSTRLEN] = "";
    AddressClass class;
    return check_special(host, address, &ip, text, &class, e);
}

int guard_check_address(const Guard *guard, Slice host, const struct sockaddr *address, Err *e)
{
    const Scope *scope = &guard->scope;
    HostForm ip;
    char text[INET6_ADDRSTRLEN] = "";
    AddressClass class;
    int special = check_special(host, address, &ip, text, &class, e);
    if (special != 0) {
        return special;
    }
    const ScopeHost *found = find_host(scope->production, scope->production_count, &ip);
    if (found) {
        return refuse_production(found, host, e);
    }
    HostForm form;
    bool known = host_parse(host, &form, NULL) == 0;
    int rc = known ? check_form(scope, host, &form, e) : 0;
    if (rc != 0 || class == ADDRESS_LOOPBACK) {
        return rc;
    }
    if (known && !host_is_loopback(&form) &&
        find_host(scope->allowed, scope->allowed_count, &form)) {
        return 0;
    }
    return refuse(e, GUARD_RULE_UNDECLARED_HOST, scope->origin, "declare the name, or look at DNS",
                  "'%.*s' leads to %s, which is not loopback, and no environment declares it",
                  SLICE_FMT(host), text);
}

// ---- the run

static int check_environment(const GuardEnvironment *env, Err *e)
{
    if (is_production(env)) {
        return refuse(e, GUARD_RULE_PRODUCTION, env->origin, "no setting allows load on production",
                      "environment '%.*s' is of kind production", SLICE_FMT(env->name));
    }
    if (!guard_kind_is_known(env->kind)) {
        return refuse(e, GUARD_RULE_ENVIRONMENT_KIND, env->origin, "kinds are " GUARD_KINDS,
                      "environment '%.*s' is of unknown kind '%.*s'", SLICE_FMT(env->name),
                      SLICE_FMT(env->kind));
    }
    return 0;
}

static int check_ceilings(const Guard *guard, const GuardRun *run, Err *e)
{
    const GuardLimits *l = guard_limits(guard, run->caller);
    const char *advice =
        run->caller == GUARD_CALLER_PERSON
            ? "plan for less, or have the administrator raise it in " GUARD_ADMIN_FILE
            : "plan for less; for agents and the API nothing raises it";
    if (run->vus > l->vus_max) {
        return refuse(e, GUARD_RULE_VUS_CEILING, l->vus_origin, advice,
                      "%lld VUs are planned, the ceiling is %lld", (long long)run->vus,
                      (long long)l->vus_max);
    }
    if (run->duration_ns > l->duration_ns_max) {
        char planned[UNITS_TEXT_MAX];
        char ceiling[UNITS_TEXT_MAX];
        (void)duration_format(run->duration_ns, planned);
        (void)duration_format(l->duration_ns_max, ceiling);
        return refuse(e, GUARD_RULE_DURATION_CEILING, l->duration_origin, advice,
                      "a duration of %s is planned, the ceiling is %s", planned, ceiling);
    }
    return 0;
}

static int check_writes(const GuardRun *run, Err *e)
{
    if (run->writing_method_count == 0) {
        return 0;
    }
    Slice method = run->writing_methods[0];
    const GuardEnvironment *env = run->environment;
    if (env) {
        return env->data_isolated
                   ? 0
                   : refuse(e, GUARD_RULE_DATA_ISOLATION, env->origin,
                            "add `data: isolated` there, if test data is kept apart from real data",
                            "'%.*s' may change data, and environment '%.*s' does not say that its "
                            "data is isolated",
                            SLICE_FMT(method), SLICE_FMT(env->name));
    }
    if (run->data_isolated && run->caller == GUARD_CALLER_PERSON) {
        return 0;
    }
    return refuse(e, GUARD_RULE_DATA_ISOLATION, BUILT_IN,
                  "say `--data isolated`, or declare an environment with `data: isolated`",
                  "'%.*s' may change data, and nobody declared the target's data to be isolated",
                  SLICE_FMT(method));
}

int guard_check_run(Guard *guard, const GuardRun *run, Err *e)
{
    int rc = run->environment ? check_environment(run->environment, e) : 0;
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Scope scope;
    rc = scope_build(guard, run, arena, &scope, e);
    for (size_t i = 0; i < run->target_host_count && rc == 0; i++) {
        rc = check_host(&scope, run->target_hosts[i], e);
    }
    arena_destroy(arena);
    rc = rc != 0 ? rc : check_ceilings(guard, run, e);
    return rc != 0 ? rc : check_writes(run, e);
}

void guard_enter(Guard *guard, const GuardRun *run)
{
    Arena *arena = arena_create(ARENA_BYTES_MAX);
    Scope scope = {0};
    bool usable = !run->environment || check_environment(run->environment, NULL) == 0;
    if (!usable || scope_build(guard, run, arena, &scope, NULL) != 0) {
        // A run that was not checked: nothing is declared, so loopback is all there is.
        GuardRun nothing = {.caller = run->caller};
        if (scope_build(guard, &nothing, arena, &scope, NULL) != 0) {
            die("guard: the administrator's hosts were checked when the file was read");
        }
    }
    arena_destroy(guard->run_arena);
    guard->run_arena = arena;
    guard->scope = scope;
}
