// What several performance interfaces say together.
#include <math.h>
#include <string.h>

#include "model/interface_impl.h"
#include "os/clock.h"

const char *const INTERFACE_MARK_NAMES[] = {"stale", "missing", "contradiction", "unsure", NULL};

static const ErrCode MARK_ERRORS[] = {ERR_TIMEOUT, ERR_NOT_FOUND, ERR_CONFLICT, ERR_CONFLICT};

typedef struct Compose {
    Arena *arena;
    const Interface **chosen; // one an agent
    size_t count;
    bool strict;
    InterfaceKnown *known;
    Assembly assembly;
    Err *e;
} Compose;

static int mark(Compose *c, InterfaceMarkKind kind, Slice agent, Slice words)
{
    if (c->strict) {
        return err_set(c->e, MARK_ERRORS[kind], "%.*s", SLICE_FMT(words));
    }
    if (c->known->mark_count < INTERFACE_MARKS_MAX) {
        c->known->marks[c->known->mark_count++] = (InterfaceMark){kind, agent, words};
    }
    return 0;
}

static const Interface *chosen(const Compose *c, Slice agent)
{
    for (size_t i = 0; i < c->count; i++) {
        if (slice_eq(c->chosen[i]->agent, agent)) {
            return c->chosen[i];
        }
    }
    return NULL;
}

static bool same_doc(const Doc *a, const Doc *b)
{
    Buf x = buf_create(INTERFACE_BYTES_MAX), y = buf_create(INTERFACE_BYTES_MAX);
    doc_write_canonical(a, &x);
    doc_write_canonical(b, &y);
    bool same = slice_eq(buf_slice(&x), buf_slice(&y));
    buf_done(&x);
    buf_done(&y);
    return same;
}

// The newest of each agent.
static int choose(Compose *c, const Interface *const *list, size_t count)
{
    c->chosen = ARENA_ARRAY(c->arena, const Interface *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const Interface *one = list[i];
        size_t at = 0;
        while (at < c->count && !slice_eq(c->chosen[at]->agent, one->agent)) {
            at++;
        }
        if (at == c->count) {
            c->chosen[c->count++] = one;
            continue;
        }
        const Interface *other = c->chosen[at];
        if (other->revision == one->revision && !same_doc(other->fragment, one->fragment)) {
            return err_set(c->e, ERR_CONFLICT,
                           "two interfaces of \"%.*s\" have revision %lld and differ",
                           SLICE_FMT(one->agent), (long long)one->revision);
        }
        if (one->revision > other->revision) {
            c->chosen[at] = one;
        }
    }
    return 0;
}

static int mark_stale(Compose *c, int64_t now_unix_ns)
{
    for (size_t i = 0; i < c->count; i++) {
        const Interface *x = c->chosen[i];
        if (x->expires_unix_ns == 0 || x->expires_unix_ns >= now_unix_ns) {
            continue;
        }
        double ago = (double)(now_unix_ns - x->expires_unix_ns) * 1e-9;
        int rc = mark(c, MARK_STALE, x->agent,
                      arena_printf(c->arena, "the interface of %.*s expired %.0f s ago",
                                   SLICE_FMT(x->agent), ago));
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static Slice member(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

// An edge is its owner's: of the agent it leaves, or of the client. What the called one says of it
// counts where the owner did not publish.
static int add_edges(Compose *c, const Interface *x)
{
    Assembly *a = &c->assembly;
    for (const Doc *d = doc_first(doc_get(x->fragment, SLICE("edges"))); d; d = doc_next(d)) {
        Slice from = member(d, "from"), to = member(d, "to");
        bool own = slice_eq(from, x->agent);
        const Interface *owner = own ? x : chosen(c, from);
        if (own || !owner) {
            a->edges[a->edge_count++] = d;
            continue;
        }
        for (const Doc *o = doc_first(doc_get(owner->fragment, SLICE("edges"))); o;
             o = doc_next(o)) {
            if (!slice_eq(member(o, "from"), from) || !slice_eq(member(o, "to"), to) ||
                same_doc(o, d)) {
                continue;
            }
            int rc = mark(c, MARK_CONTRADICTION, x->agent,
                          arena_printf(c->arena,
                                       "%.*s and %.*s state different policies of %.*s->%.*s; its "
                                       "owner is believed",
                                       SLICE_FMT(x->agent), SLICE_FMT(from), SLICE_FMT(from),
                                       SLICE_FMT(to)));
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

// Names of the agents that a fragment's agent calls: strings, or {"agent": ...}.
static bool calls_of(const Doc *agent, Slice name)
{
    for (const Doc *g = doc_first(doc_get(agent, SLICE("calls"))); g; g = doc_next(g)) {
        for (const Doc *t = doc_first(doc_get(g, SLICE("to"))); t; t = doc_next(t)) {
            Slice to = t->type == DOC_STRING ? t->text : member(t, "agent");
            if (slice_eq(to, name)) {
                return true;
            }
        }
    }
    return false;
}

static int add_missing(Compose *c, const Interface *x)
{
    Assembly *a = &c->assembly;
    const Doc *agent = doc_first(doc_get(x->fragment, SLICE("agents")));
    for (const Doc *g = doc_first(doc_get(agent, SLICE("calls"))); g; g = doc_next(g)) {
        for (const Doc *t = doc_first(doc_get(g, SLICE("to"))); t; t = doc_next(t)) {
            Slice to = t->type == DOC_STRING ? t->text : member(t, "agent");
            bool there = to.len == 0 || chosen(c, to) != NULL;
            for (size_t i = 0; !there && i < a->empty_count; i++) {
                there = slice_eq(a->empty[i], to);
            }
            if (there) {
                continue;
            }
            a->empty[a->empty_count++] = to;
            int rc = mark(c, MARK_MISSING, to,
                          arena_printf(c->arena,
                                       "%.*s calls %.*s, which published no interface: its work is "
                                       "not known and counts as none",
                                       SLICE_FMT(x->agent), SLICE_FMT(to)));
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

// Those who come to `x`: clients of its own fragment, agents that published, or strangers.
static int add_inputs(Compose *c, const Interface *x)
{
    Assembly *a = &c->assembly;
    for (const Doc *d = doc_first(doc_get(x->fragment, SLICE("clients"))); d; d = doc_next(d)) {
        a->clients[a->client_count++] = d;
    }
    for (const Doc *d = doc_first(doc_get(x->fragment, SLICE("objectives"))); d; d = doc_next(d)) {
        a->objectives[a->objective_count++] = d;
    }
    for (uint32_t i = 0; i < x->input_count; i++) {
        const InterfaceInput *in = &x->inputs[i];
        const Interface *from = chosen(c, in->from);
        if (doc_get(doc_get(x->fragment, SLICE("clients")), in->from)) {
            continue;
        }
        if (!from) {
            a->callers[a->caller_count++] =
                (struct AssemblyCaller){in->from, x->agent, fmax(in->rate, 1e-6), in->scv};
            continue;
        }
        if (!calls_of(doc_first(doc_get(from->fragment, SLICE("agents"))), x->agent)) {
            int rc =
                mark(c, MARK_CONTRADICTION, x->agent,
                     arena_printf(c->arena,
                                  "%.*s says that %.*s calls it, %.*s does not; the caller is "
                                  "believed",
                                  SLICE_FMT(x->agent), SLICE_FMT(in->from), SLICE_FMT(in->from)));
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

// A caller of two strangers' targets would be two clients of one name.
static void name_callers(Compose *c)
{
    Assembly *a = &c->assembly;
    for (size_t i = 0; i < a->caller_count; i++) {
        for (size_t n = 0; n < i; n++) {
            if (slice_eq(a->callers[n].from, a->callers[i].from)) {
                a->callers[i].from =
                    arena_printf(c->arena, "%.*s_%zu", SLICE_FMT(a->callers[i].from), i);
            }
        }
    }
}

// Rates that an agent states and that its callers, by what they state, would not send.
static int check_rates(Compose *c)
{
    const Outcome *rates = NULL;
    const System *sys = c->known->sys;
    int rc = interface_rates(c->arena, sys, NULL, &rates, c->e);
    for (size_t i = 0; rc == 0 && i < c->count; i++) {
        const Interface *x = c->chosen[i];
        for (uint32_t n = 0; rc == 0 && n < x->input_count; n++) {
            const InterfaceInput *in = &x->inputs[n];
            Slice name =
                arena_printf(c->arena, "%.*s->%.*s", SLICE_FMT(in->from), SLICE_FMT(x->agent));
            ptrdiff_t edge = system_find_edge(sys, name);
            double sent = edge < 0 ? NAN : rates->edges[edge].calls.value;
            if (!isfinite(sent) || !chosen(c, in->from) || in->rate <= 0 ||
                (sent < 1.5 * in->rate && in->rate < 1.5 * sent)) {
                continue;
            }
            rc = mark(c, MARK_UNSURE, x->agent,
                      arena_printf(c->arena,
                                   "%.*s says that it gets %.3g requests a second from %.*s, whose "
                                   "own interface comes to %.3g",
                                   SLICE_FMT(x->agent), in->rate, SLICE_FMT(in->from), sent));
        }
    }
    return rc;
}

int interface_compose(Arena *arena, const Interface *const *list, size_t count,
                      const InterfaceComposeOptions *options, InterfaceKnown *ret_known, Err *e)
{
    InterfaceComposeOptions o = options ? *options : (InterfaceComposeOptions){0};
    InterfaceKnown known = {.marks = ARENA_ARRAY(arena, InterfaceMark, INTERFACE_MARKS_MAX)};
    Compose c = {.arena = arena, .strict = o.strict, .known = &known, .e = e};
    if (count == 0) {
        return err_set(e, ERR_ARG, "there is no interface to put together");
    }
    int rc = choose(&c, list, count);
    int64_t now = o.now_unix_ns > 0 ? o.now_unix_ns : clock_wall(clock_real());
    if (rc != 0 || (rc = mark_stale(&c, now)) != 0) {
        return rc;
    }
    size_t edges = 0, others = 0;
    for (size_t i = 0; i < c.count; i++) {
        edges += doc_count(doc_get(c.chosen[i]->fragment, SLICE("edges")));
        others += doc_count(doc_get(c.chosen[i]->fragment, SLICE("clients"))) +
                  doc_count(doc_get(c.chosen[i]->fragment, SLICE("objectives"))) +
                  c.chosen[i]->input_count;
        const Doc *agent = doc_first(doc_get(c.chosen[i]->fragment, SLICE("agents")));
        for (const Doc *g = doc_first(doc_get(agent, SLICE("calls"))); g; g = doc_next(g)) {
            edges += doc_count(doc_get(g, SLICE("to"))); // agents that may be missing
        }
    }
    assembly_init(&c.assembly, arena, c.count, edges, others);
    c.assembly.name = o.name.len > 0 ? o.name : c.chosen[0]->system_name;
    for (size_t i = 0; i < c.count; i++) {
        const Interface *x = c.chosen[i];
        c.assembly.agents[c.assembly.agent_count++] =
            doc_first(doc_get(x->fragment, SLICE("agents")));
        if ((rc = add_edges(&c, x)) != 0 || (rc = add_missing(&c, x)) != 0 ||
            (rc = add_inputs(&c, x)) != 0) {
            return rc;
        }
    }
    name_callers(&c);
    if ((rc = assembly_read(&c.assembly, &known.sys, e)) != 0 || (rc = check_rates(&c)) != 0) {
        return rc;
    }
    *ret_known = known;
    return 0;
}
