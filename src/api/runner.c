// PwRunner: an assembly behind the public header.
#include "api/api.h"

#include "os/library.h"

#define API_VERSION "0.1.0"

enum { CONFIG_ARENA_MAX = 1 << 30 };

typedef struct Hook {
    PwHookFn *fn;
    void *arg;
} Hook;

struct PwRunner {
    Arena *arena;
    Assembly *assembly;
};

// An agent in C of the public type.
typedef struct ApiAgent {
    PwAgentFn *run;
    void *self;
    void (*destroy)(void *self);
} ApiAgent;

const char *pw_version(void)
{
    return API_VERSION;
}

Assembly *api_assembly(const PwRunner *runner)
{
    return runner->assembly;
}

Runner *api_runner(const PwRunner *runner)
{
    return assembly_runner(runner->assembly);
}

// ---- errors and options

int api_error(PwError *error, const Err *e, int rc)
{
    _Static_assert(PW_ERROR_TEXT_MAX == ERR_TEXT_MAX, "the same room for words");
    if (error) {
        error->code = rc;
        memcpy(error->text, e->text, sizeof error->text);
    }
    return rc;
}

static int argument_error(PwError *error, const char *words)
{
    Err e = {0};
    int rc = err_set(&e, ERR_ARG, "%s", words);
    return api_error(error, &e, rc);
}

int api_options(void *ours, size_t our_size, const void *theirs, PwError *error)
{
    memset(ours, 0, our_size);
    if (!theirs) {
        return 0;
    }
    size_t size;
    memcpy(&size, theirs, sizeof size);
    if (size < sizeof size || size > 4096) {
        return argument_error(error,
                              "an option struct's size is wrong: initialise it with PW_*_INIT");
    }
    // A newer header's struct is longer: what this library does not know must be zero, or it would
    // be ignored without a word.
    for (size_t i = our_size; i < size; i++) {
        if (((const char *)theirs)[i] != 0) {
            return argument_error(error, "an option is newer than this library");
        }
    }
    memcpy(ours, theirs, size < our_size ? size : our_size);
    return 0;
}

int api_event_spec(const PwEventOptions *theirs, EventSpec *ret_spec, PwError *error)
{
    PwEventOptions o;
    int rc = theirs ? api_options(&o, sizeof o, theirs, error)
                    : argument_error(error, "an event needs options");
    if (rc != 0) {
        return rc;
    }
    if (!o.target || !o.target[0]) {
        return argument_error(error, "an event needs a target");
    }
    if (o.data_length > 0 && !o.data) {
        return argument_error(error, "an event has a length of data but no data");
    }
    if (o.priority < PW_PRIORITY_INHERIT || o.priority > PW_PRIORITY_LOW || o.timeout_ns < 0) {
        return argument_error(error, "an event's priority or timeout is out of range");
    }
    *ret_spec = (EventSpec){
        .target = slice_from_cstr(o.target),
        .type = slice_from_cstr(o.type),
        .session = slice_from_cstr(o.session),
        .data = {o.data, o.data_length},
        .timeout_ns = o.timeout_ns,
        .prioritised = o.priority != PW_PRIORITY_INHERIT,
        .priority = (EventPriority)(o.priority > 0 ? o.priority - 1 : 0),
    };
    return 0;
}

// ---- agents

static int run_agent(AgentContext *ctx, const Event *event, State *state)
{
    const ApiAgent *agent = agent_self(ctx);
    int rc = agent->run((PwContext *)ctx, (const PwEvent *)event, (PwState *)state);
    return rc <= 0 ? rc
                   : agent_fail(ctx, ERR_ARG, "the handler returned %d: 0 or negative is due", rc);
}

static void destroy_agent(void *self)
{
    ApiAgent *agent = self;
    if (agent->destroy) {
        agent->destroy(agent->self);
    }
    free(agent);
}

static void *make_agent(PwAgentFn *run, void *self, void (*destroy)(void *self))
{
    ApiAgent *agent = mem_alloc(sizeof *agent);
    *agent = (ApiAgent){run, self, destroy};
    return agent;
}

void *pw_self(const PwContext *ctx)
{
    return ((const ApiAgent *)agent_self(context_of(ctx)))->self;
}

int api_open(Slice path, Slice symbol, const char *fallback, void **ret_library, void **ret_symbol,
             Err *e)
{
    char file[4096], name[256];
    symbol = symbol.len > 0 ? symbol : slice_from_cstr(fallback);
    if (path.len >= sizeof file || symbol.len >= sizeof name) {
        return err_set(e, ERR_LIMIT, "the path or symbol is too long");
    }
    (void)snprintf(file, sizeof file, "%.*s", SLICE_FMT(path));
    (void)snprintf(name, sizeof name, "%.*s", SLICE_FMT(symbol));
    void *library = NULL;
    int rc = library_open(file, &library, e);
    if (rc == 0 && (rc = library_find(library, name, ret_symbol, e)) != 0) {
        library_close(library);
    } else if (rc == 0) {
        *ret_library = library;
    }
    return rc;
}

int api_library_agent(const ConfigAgent *agent, AgentSpec *spec, Err *e)
{
    void *library = NULL, *found = NULL;
    int rc = api_open(agent->library, agent->symbol, "pw_agent_run", &library, &found, e);
    if (rc != 0) {
        return rc;
    }
    PwAgentFn *run;
    memcpy(&run, &found, sizeof run); // POSIX's way from an object to a function pointer
    spec->run = run_agent;
    spec->self = make_agent(run, library, library_close);
    spec->destroy = destroy_agent;
    return 0;
}

int pw_runner_register(PwRunner *runner, const PwAgentOptions *options, PwError *error)
{
    PwAgentOptions o;
    int rc = options ? api_options(&o, sizeof o, options, error)
                     : argument_error(error, "an agent needs options");
    if (rc != 0) {
        return rc;
    }
    if (!o.name || !o.run || o.overflow < 0 || o.overflow > PW_OVERFLOW_DEAD_LETTER) {
        return argument_error(error, "an agent needs a name, a function and an overflow rule");
    }
    AgentSpec spec = {
        .name = slice_from_cstr(o.name),
        .run = run_agent,
        .self = make_agent(o.run, o.self, o.destroy),
        .destroy = destroy_agent,
        .overflow = (OverflowRule)o.overflow,
        .mailbox_max = o.mailbox,
        .worker_limit = o.workers,
    };
    Err e = {0};
    rc = runner_register(api_runner(runner), &spec, NULL, &e);
    if (rc != 0) {
        free(spec.self); // refused: the user's own `self` stays the user's
        return api_error(error, &e, rc);
    }
    return 0;
}

// ---- hooks

static void run_hook(void *arg, const HookInfo *info)
{
    const Hook *hook = arg;
    char name[AGENT_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", SLICE_FMT(info->agent));
    PwHookInfo shown = {
        .size = sizeof shown,
        .point = (int)info->point,
        .event = (const PwEvent *)(const void *)info->event,
        .agent = name,
        .code = info->code,
        .reason = info->reason ? info->reason : "",
    };
    hook->fn(hook->arg, &shown);
}

int pw_runner_hook(PwRunner *runner, int point, PwHookFn *fn, void *arg, PwError *error)
{
    if (point < 0 || point >= HOOK_POINTS || !fn) {
        return argument_error(error, "a hook needs a point and a function");
    }
    Hook *hook = ARENA_NEW(runner->arena, Hook);
    *hook = (Hook){fn, arg};
    Err e = {0};
    int rc = runner_hook(api_runner(runner), (HookPoint)point, run_hook, hook, &e);
    return rc ? api_error(error, &e, rc) : 0;
}

// ---- life

static int read_config(PwRunner *runner, const PwRunnerOptions *o, const AgentConfig **ret_config,
                       Err *e)
{
    if (o->config_file) {
        return agent_config_load(runner->arena, o->config_file, ret_config, e);
    }
    const Doc *root = NULL;
    if (o->config_text) {
        DocOptions options = {.format = DOC_FORMAT_TOML, .source = "configuration"};
        int rc = doc_parse(runner->arena, slice_from_cstr(o->config_text), &options, &root, e);
        if (rc != 0) {
            return rc;
        }
    }
    return agent_config_read(runner->arena, root, ret_config, e);
}

int pw_runner_create(const PwRunnerOptions *options, PwRunner **ret_runner, PwError *error)
{
    PwRunnerOptions o;
    int rc = api_options(&o, sizeof o, options, error);
    if (rc != 0) {
        return rc;
    }
    if (o.config_file && o.config_text) {
        return argument_error(error, "give config_file or config_text, not both");
    }
    PwRunner *runner = mem_zalloc(sizeof *runner);
    runner->arena = arena_create(CONFIG_ARENA_MAX);
    const AgentConfig *config = NULL;
    Err e = {0};
    rc = read_config(runner, &o, &config, &e);
    if (rc == 0) {
        AssemblyOptions assembly = {
            .config = config,
            .shards = o.shards,
            .event_timeout_ns = o.event_timeout_ns,
            .library_agent = api_library_agent,
            .library_tool = api_library_tool,
            // A library opens no port that nobody asked for.
            .without_monitoring = !o.config_file && !o.config_text,
        };
        rc = assembly_create(&assembly, &runner->assembly, &e);
    }
    if (rc != 0) {
        pw_runner_destroy(runner);
        return api_error(error, &e, rc);
    }
    *ret_runner = runner;
    return 0;
}

void pw_runner_destroy(PwRunner *runner)
{
    if (runner) {
        assembly_destroy(runner->assembly);
        arena_destroy(runner->arena);
        free(runner);
    }
}

int pw_runner_start(PwRunner *runner, PwError *error)
{
    Err e = {0};
    int rc = assembly_start(runner->assembly, &e);
    return rc ? api_error(error, &e, rc) : 0;
}

size_t pw_runner_stop(PwRunner *runner, int64_t drain_ns)
{
    return assembly_stop(runner->assembly, drain_ns);
}

// ---- sending

int pw_runner_emit(PwRunner *runner, const PwEventOptions *event, PwError *error)
{
    EventSpec spec;
    Err e = {0};
    int rc = api_event_spec(event, &spec, error);
    if (rc != 0) {
        return rc;
    }
    rc = runner_emit(api_runner(runner), &spec, &e);
    return rc ? api_error(error, &e, rc) : 0;
}

int pw_runner_call(PwRunner *runner, const PwEventOptions *event, PwResult **ret_result,
                   PwError *error)
{
    EventSpec spec;
    Err e = {0};
    AgentResult result = {0};
    int rc = api_event_spec(event, &spec, error);
    if (rc != 0) {
        return rc;
    }
    rc = runner_call(api_runner(runner), &spec, NULL, &result, &e);
    if (ret_result) {
        *ret_result = api_result_take(&result);
    } else {
        agent_result_done(&result);
    }
    return rc ? api_error(error, &e, rc) : 0;
}

int pw_runner_counts(const PwRunner *runner, PwCounts *ret_counts)
{
    RunnerCounts c = runner_counts(api_runner(runner));
    PwCounts counts = {
        .size = ret_counts->size,
        .accepted = c.accepted,
        .handled = c.handled,
        .failed = c.failed,
        .shed = c.shed,
        .dead_letters = c.dead_letters,
        .refused = c.refused,
        .retries = c.retries,
        .in_flight = c.in_flight,
        .fibers = c.fibers,
    };
    if (counts.size < sizeof counts.size || counts.size > sizeof counts) {
        return ERR_ARG;
    }
    memcpy(ret_counts, &counts, counts.size);
    return 0;
}
