#include "script/engine.h"

#include <math.h>

// sleep, setTimeout and its kin. Times are milliseconds, as everywhere in JavaScript.

static int duration_arg(ScriptCall *call, size_t index, int64_t *ret_ns, Err *e)
{
    double ms = 0;
    if (script_arg_is_given(call, index)) {
        int rc = script_arg_to_number(call, index, "the time in milliseconds", &ms, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (!(ms >= 0)) {
        ms = 0; // as in browsers, also for NaN
    }
    *ret_ns = ms >= (double)NEVER_NS / 1e6 ? NEVER_NS : (int64_t)(ms * 1e6);
    return 0;
}

static int sleep_ms(ScriptCall *call, Err *e)
{
    int64_t duration_ns = 0;
    int rc = duration_arg(call, 0, &duration_ns, e);
    if (rc != 0) {
        return rc;
    }
    if (!fiber_self()) {
        return err_set(e, ERR_UNSUPPORTED, "a module's top level cannot wait here");
    }
    int64_t due_ns = clock_deadline(loop_clock(script_loop(call)), duration_ns);
    int64_t deadline_ns = script_deadline_ns(call);
    rc = fiber_sleep_until(due_ns < deadline_ns ? due_ns : deadline_ns);
    // A sleep that the deadline cut short ends the script behind this call.
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "cancelled while asleep");
}

static int start(ScriptCall *call, bool repeat, Err *e)
{
    int64_t delay_ns = 0;
    int32_t id = 0;
    int rc = duration_arg(call, 1, &delay_ns, e);
    if (rc == 0) {
        rc = script_timer_start(call, 0, delay_ns, repeat, &id, e);
    }
    if (rc == 0) {
        script_return_number(call, id);
    }
    return rc;
}

static int set_timeout(ScriptCall *call, Err *e)
{
    return start(call, false, e);
}

static int set_interval(ScriptCall *call, Err *e)
{
    return start(call, true, e);
}

static int clear_timer(ScriptCall *call, Err *e)
{
    double id = 0;
    // What is no number of a timer is nobody's, and stopping that is fine.
    if (script_arg_to_number(call, 0, "the timer", &id, e) == 0 && id >= 1 && id <= INT32_MAX) {
        script_timer_stop(call, (int32_t)id);
    }
    return 0;
}

static int now_ms(ScriptCall *call, Err *e)
{
    (void)e;
    script_return_number(call, (double)loop_clock(script_loop(call)) / 1e6);
    return 0;
}

static const ScriptFunction globals[] = {
    {"setTimeout", 2, set_timeout},
    {"setInterval", 2, set_interval},
    {"clearTimeout", 1, clear_timer},
    {"clearInterval", 1, clear_timer},
};
static const ScriptFunction functions[] = {
    {"sleep", 1, sleep_ms},           {"now", 0, now_ms},
    {"setTimeout", 2, set_timeout},   {"setInterval", 2, set_interval},
    {"clearTimeout", 1, clear_timer}, {"clearInterval", 1, clear_timer},
};
const ScriptModule script_timer_globals = {SCRIPT_GLOBALS, "timers", globals, COUNT_OF(globals)};
const ScriptModule script_timers = {SCRIPT_IMPORT, "timers", functions, COUNT_OF(functions)};
