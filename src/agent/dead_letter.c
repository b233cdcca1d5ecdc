// Dead letters: what could not be handled goes to another agent, as an event of type "dead_letter"
// with a JSON object that says what it was and why. Never waits, and never makes dead letters of
// dead letters.
#include "agent/runner_impl.h"

static void lost(Runner *runner, Shard *here)
{
    if (here) {
        counter_own_add(&here->counts.dead_letters_lost, 1);
    } else {
        (void)counter_add(&runner->outside_letters_lost, 1);
    }
}

static void write_letter(Buf *out, const AgentDef *def, const EventSpec *spec, int code,
                         const char *reason)
{
    Slice data = spec->bytes ? bytes_slice(spec->bytes) : spec->data;
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_string(&w, "target", def_name(def));
    json_field_string(&w, "type", spec->type);
    json_field_string(&w, "session", spec->session);
    json_field_cstr(&w, "code", err_name(code));
    json_field_cstr(&w, "reason", reason);
    json_field_string(&w, "data", data);
    json_object_end(&w);
}

// The place is reserved.
static void send_from_outside(Runner *runner, const Delivery *d, unsigned to)
{
    if (!runner_admit(runner)) {
        delivery_unreserve(d, to);
        lost(runner, NULL);
    } else if (deliver_there(runner, NULL, to, d)) {
        (void)counter_add(&runner->outside_letters, 1);
    } else {
        (void)counter_add(&runner->outside_accepted, -1);
        delivery_unreserve(d, to);
        lost(runner, NULL);
    }
}

void dead_letter_send(Runner *runner, Shard *here, AgentId agent, AgentDef *def,
                      const EventSpec *spec, int code, const char *reason)
{
    if (agent == AGENT_NONE || def->id == agent) {
        return;
    }
    Buf json = buf_create(2 * runner->options.data_max + 4096);
    write_letter(&json, def, spec, code, reason);
    EventSpec letter = {.agent = agent,
                        .type = SLICE("dead_letter"),
                        .session = spec->session,
                        .data = buf_slice(&json)};
    Delivery d = {.now_ns = here ? shard_now(here) : runner_now(runner),
                  .id = runner_next_id(runner)};
    if (json.overflowed || delivery_check(runner, &letter, NULL, &d, NULL) != 0) {
        lost(runner, here);
        buf_done(&json);
        return;
    }
    unsigned to = delivery_shard(runner, &d);
    if (delivery_reserve(&d, to) != 0) {
        lost(runner, here);
    } else if (!here) {
        send_from_outside(runner, &d, to);
    } else if (to == here->index) {
        (void)deliver_here(here, &d);
        counter_own_add(&here->counts.dead_letters, 1);
    } else if (deliver_there(runner, here, to, &d)) {
        counter_own_add(&here->counts.dead_letters, 1);
    } else {
        delivery_unreserve(&d, to);
        lost(runner, here);
    }
    buf_done(&json);
}
