#include "agent/js_agent.h"

#include "agent/js_context.h"
#include "agent/runner.h"

typedef struct JsAgent {
    JsProgram *program;
    JsOptions options;
} JsAgent;

static const ScriptModule *const modules[] = {&js_state_module, &js_ctx_module};

static void write_event(AgentContext *ctx, const Event *event, Buf *out)
{
    static const char *const priorities[] = {"high", "normal", "low"};
    JsonWriter w = json_writer(out, 0);
    Buf data = buf_create(2 * (size_t)EVENT_DATA_MAX);
    js_append_data(&data, event_data(event));
    json_object_begin(&w);
    // A number of 64 bits does not fit into JavaScript's.
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)event->id);
    json_field_cstr(&w, "id", id);
    json_field_string(&w, "type", event_type(event));
    json_field_string(&w, "target", agent_name(ctx));
    if (event->source == AGENT_NONE) {
        json_key(&w, SLICE("source"));
        json_null(&w);
    } else {
        json_field_string(&w, "source", runner_agent_name(agent_runner(ctx), event->source));
    }
    json_field_string(&w, "session", event_session(event));
    json_field_cstr(&w, "priority",
                    event->priority < COUNT_OF(priorities) ? priorities[event->priority]
                                                           : "normal");
    json_field_int(&w, "attempt", agent_attempt(ctx));
    json_key(&w, SLICE("data"));
    json_raw(&w, buf_slice(&data));
    json_object_end(&w);
    buf_done(&data);
}

static int run(AgentContext *ctx, const Event *event, State *state)
{
    JsAgent *agent = agent_self(ctx);
    Err e;
    JsLoan loan;
    int64_t deadline_ns = agent_deadline(ctx);
    int rc = js_program_borrow(agent->program, deadline_ns, &loan, &e);
    if (rc != 0) {
        return agent_fail(ctx, (ErrCode)rc, "%s", e.text);
    }
    Buf event_json = buf_create(3 * (size_t)EVENT_DATA_MAX), value = buf_create(EVENT_DATA_MAX);
    write_event(ctx, event, &event_json);
    JsRun host = {.ctx = ctx, .state = state, .options = &agent->options};
    ScriptArg args[] = {script_arg_json(buf_slice(&event_json)),
                        script_arg_object(&js_state_module), script_arg_object(&js_ctx_module)};
    ScriptCallOptions options = {.deadline_ns = deadline_ns, .host = &host};
    rc = script_call(loan.script, "default", args, COUNT_OF(args), &options, &value, &e);
    js_program_give(&loan);
    if (rc == 0 && value.len > 0) {
        rc = agent_reply(ctx, buf_slice(&value));
        if (rc != 0) {
            (void)err_set(&e, (ErrCode)rc, "the answer of %zu bytes is too large", value.len);
        }
    }
    buf_done(&event_json);
    buf_done(&value);
    return rc == 0 ? 0 : agent_fail(ctx, (ErrCode)rc, "%s", e.text);
}

static void destroy(void *self)
{
    JsAgent *agent = self;
    js_program_destroy(agent->program);
    free(agent);
}

int js_agent_create(const JsOptions *options, AgentSpec *spec, Err *e)
{
    JsProgram *program;
    int rc = js_program_create(options, modules, COUNT_OF(modules), &program, NULL, e);
    if (rc != 0) {
        return rc;
    }
    JsAgent *agent = mem_zalloc(sizeof *agent);
    agent->program = program;
    agent->options = *options;
    spec->run = run;
    spec->self = agent;
    spec->destroy = destroy;
    return 0;
}
