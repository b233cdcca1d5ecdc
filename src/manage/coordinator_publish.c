// What the managers know: the performance interfaces that the agents publish (model/interface.h),
// put together again. Each goes through its document, as it would between processes, so nothing is
// known here that is not in it; who lies in its document is believed until measurements contradict
// it.

#include "manage/coordinator_impl.h"

#include <math.h>
#include <string.h>

#include "model/interface.h"

enum {
    PUBLISH_BYTES_MAX = 256 << 20,
    PUBLISH_AGENTS_MAX = 64, // in larger systems the document of the whole is what is published
};

// `factor` times as long; as quantiles, which any distribution has.
static Dist scaled(Arena *arena, const Dist *dist, double factor)
{
    enum { POINTS = 257 };
    double *points = ARENA_ARRAY(arena, double, POINTS);
    for (int i = 0; i < POINTS; i++) {
        double p = fmin((double)i / (POINTS - 1), 0.9999);
        points[i] = factor * dist_quantile(dist, p);
    }
    return dist_empirical(points, POINTS);
}

// What the agent says of the world: the truth, but for its own part where it lies.
static const System *said_by(Coordinator *c, Arena *arena, uint32_t agent)
{
    const Manager *m = coordinator_manager(c, agent);
    if (m == NULL || m->trouble.fault != PARTY_LIES) {
        return c->plant->sys;
    }
    System *sys = system_copy(arena, c->plant->sys);
    sys->agents[agent].service = scaled(arena, &sys->agents[agent].service, m->trouble.factor);
    return sys;
}

static int published_by(Coordinator *c, Arena *arena, uint32_t agent, const Outcome *observed,
                        const Interface **ret_interface, Err *e)
{
    Interface *made = NULL, *heard = NULL;
    const Doc *doc = NULL;
    // The plant's time, as it were its wall's: what is said is as old as the run.
    InterfaceOptions options = {.observed = observed, .now_unix_ns = 1 + c->now_ns};
    int rc = interface_of(arena, said_by(c, arena, agent), agent, &options, &made, e);
    if (rc != 0) {
        return rc;
    }
    Buf text = buf_create(INTERFACE_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    interface_write(made, &w);
    rc = buf_check(&text, "an interface", e);
    Slice copy = arena_copy(arena, buf_slice(&text));
    buf_done(&text);
    rc = rc != 0 ? rc : doc_parse(arena, copy, NULL, &doc, e);
    rc = rc != 0 ? rc : interface_read(arena, doc, &heard, e);
    *ret_interface = heard;
    return rc;
}

// Takes over what the documents say, name by name. Rates and promises of clients are the client's
// own word, and stay.
static void adopt(Coordinator *c, const System *known)
{
    System *published = c->published;
    for (uint32_t i = 0; i < published->agent_count; i++) {
        ptrdiff_t at = system_find_agent(known, published->agents[i].name);
        if (at >= 0) {
            published->agents[i].servers = known->agents[at].servers;
            published->agents[i].queue = known->agents[at].queue;
            published->agents[i].fail = known->agents[at].fail;
            published->agents[i].service = known->agents[at].service;
        }
    }
    for (uint32_t i = 0; i < published->edge_count; i++) {
        ptrdiff_t at = system_find_edge(known, published->edges[i].name);
        if (at >= 0) {
            memcpy(published->edges[i].policy, known->edges[at].policy,
                   sizeof published->edges[i].policy);
        }
    }
}

static int put_together(Coordinator *c, Err *e)
{
    const System *sys = c->plant->sys;
    const Interface **list = ARENA_ARRAY(c->arena, const Interface *, sys->agent_count + 1);
    // Rates are what clients say they send; an Outcome of unknowns keeps models out of it.
    const Outcome *unknown = outcome_create(c->arena, sys);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        int rc = published_by(c, c->arena, i, unknown, &list[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    InterfaceKnown known;
    InterfaceComposeOptions options = {.now_unix_ns = 1 + c->now_ns, .name = sys->name};
    int rc = interface_compose(c->arena, list, sys->agent_count, &options, &known, e);
    for (uint32_t i = 0; rc == 0 && i < known.mark_count; i++) {
        story_say(c, STORY_NOTE, known.marks[i].agent, "interface: %s: %.*s",
                  INTERFACE_MARK_NAMES[known.marks[i].kind], SLICE_FMT(known.marks[i].words));
    }
    if (rc == 0) {
        adopt(c, known.sys);
    }
    return rc;
}

void coordinator_publish(Coordinator *c)
{
    Err e = {0};
    if (c->plant->sys->agent_count > PUBLISH_AGENTS_MAX ||
        arena_left(c->arena) < PUBLISH_BYTES_MAX) {
        return;
    }
    if (put_together(c, &e) != 0) {
        story_say(c, STORY_NOTE, SLICE("coordinator"), "interfaces: %s", e.text);
    }
}
