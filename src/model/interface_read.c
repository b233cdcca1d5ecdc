// Reading the document of a performance interface. It comes from somebody else: everything is
// checked, and what is wrong is named with its place.
#include <math.h>
#include <string.h>

#include "model/interface_impl.h"

static int expect(const Doc *d, DocType type, const char *what, const Doc *at, Err *e)
{
    return d ? doc_expect(d, type, what, e) : doc_err(e, at, "%s is missing", what);
}

// A finite number that is no less than `least`.
static int read_number(const Doc *object, const char *key, double least, double *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (!doc_is_number(d)) {
        return d ? doc_err(e, d, "%s must be a number, not %s", key, doc_type_name(d->type))
                 : doc_err(e, object, "%s is missing", key);
    }
    double value = doc_number(d);
    if (!isfinite(value) || value < least) {
        return doc_err(e, d, "%s must be a number of %g at least", key, least);
    }
    *ret = value;
    return 0;
}

static int read_name(const Doc *object, const char *key, Slice *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    int rc = expect(d, DOC_STRING, key, object, e);
    if (rc != 0) {
        return rc;
    }
    if (d->text.len == 0 || d->text.len > 4 * SYSTEM_NAME_MAX) {
        return doc_err(e, d, "%s must have 1 to %d characters", key, 4 * SYSTEM_NAME_MAX);
    }
    *ret = d->text;
    return 0;
}

// {"value": v, "low": l, "high": h}. Effects may have an end that nobody knows: null.
static int read_estimate(const Doc *object, const char *key, bool open, Estimate *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    static const Slice names[] = {SLICE_INIT("value"), SLICE_INIT("low"), SLICE_INIT("high")};
    int rc = expect(d, DOC_OBJECT, key, object, e);
    if (rc != 0 || (rc = doc_expect_fields(d, names, COUNT_OF(names), e)) != 0) {
        return rc;
    }
    double *to[] = {&ret->value, &ret->low, &ret->high};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const Doc *part = doc_get(d, names[i]);
        if (open && part && part->type == DOC_NULL) {
            *to[i] = i == 2 ? INFINITY : NAN;
        } else if ((rc = read_number(d, names[i].ptr, 0, to[i], e)) != 0) {
            return rc;
        }
    }
    if (ret->low > ret->value || ret->value > ret->high) {
        return doc_err(e, d, "%s: %g is not between %g and %g", key, ret->value, ret->low,
                       ret->high);
    }
    return 0;
}

static int read_inputs(const Doc *list, Interface *out, Err *e)
{
    static const Slice names[] = {SLICE_INIT("from"), SLICE_INIT("rate"), SLICE_INIT("scv")};
    if (doc_count(list) > INTERFACE_INPUTS_MAX) {
        return err_set(e, ERR_LIMIT, "an interface has at most %d inputs", INTERFACE_INPUTS_MAX);
    }
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        InterfaceInput *x = &out->inputs[out->input_count];
        Estimate rate;
        int rc = doc_expect(d, DOC_OBJECT, "an input", e);
        if (rc != 0 || (rc = doc_expect_fields(d, names, COUNT_OF(names), e)) != 0 ||
            (rc = read_name(d, "from", &x->from, e)) != 0 ||
            (rc = read_estimate(d, "rate", false, &rate, e)) != 0 ||
            (rc = read_number(d, "scv", 0, &x->scv, e)) != 0) {
            return rc;
        }
        for (uint32_t i = 0; i < out->input_count; i++) {
            if (slice_eq(out->inputs[i].from, x->from)) {
                return doc_err(e, d, "two inputs from \"%.*s\"", SLICE_FMT(x->from));
            }
        }
        x->rate = rate.value;
        x->low = rate.low;
        x->high = rate.high;
        out->input_count++;
    }
    return 0;
}

static int read_policy(const Doc *d, Interface *out, Err *e)
{
    static const Slice names[] = {SLICE_INIT("name"),  SLICE_INIT("owner"), SLICE_INIT("unit"),
                                  SLICE_INIT("value"), SLICE_INIT("low"),   SLICE_INIT("high")};
    InterfacePolicy *p = &out->policies[out->policy_count];
    int rc = doc_expect(d, DOC_OBJECT, "a policy", e);
    if (rc != 0 || (rc = doc_expect_fields(d, names, COUNT_OF(names), e)) != 0 ||
        (rc = read_name(d, "name", &p->name, e)) != 0 ||
        (rc = read_name(d, "owner", &p->owner, e)) != 0 ||
        (rc = read_number(d, "value", 0, &p->value, e)) != 0 ||
        (rc = read_number(d, "low", 0, &p->low, e)) != 0 ||
        (rc = read_number(d, "high", 0, &p->high, e)) != 0) {
        return rc;
    }
    const Doc *unit = doc_get(d, SLICE("unit"));
    if (unit && (rc = doc_expect(unit, DOC_STRING, "unit", e)) != 0) {
        return rc;
    }
    p->unit = unit ? unit->text : (Slice){0};
    if (p->low > p->high) {
        return doc_err(e, d, "%.*s: the range %g to %g is empty", SLICE_FMT(p->name), p->low,
                       p->high);
    }
    for (uint32_t i = 0; i < out->policy_count; i++) {
        if (slice_eq(out->policies[i].name, p->name)) {
            return doc_err(e, d, "%.*s is there twice", SLICE_FMT(p->name));
        }
    }
    out->policy_count++;
    return 0;
}

static int read_policies(Arena *arena, const Doc *list, Interface *out, Err *e)
{
    if (doc_count(list) > INTERFACE_POLICIES_MAX / 8) {
        return err_set(e, ERR_LIMIT, "an interface has at most %d policies",
                       INTERFACE_POLICIES_MAX / 8);
    }
    out->policies = ARENA_ARRAY(arena, InterfacePolicy, doc_count(list) + 1);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        int rc = read_policy(d, out, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int read_effects(const Doc *list, Interface *out, Err *e)
{
    static const Slice names[] = {SLICE_INIT("to"), SLICE_INIT("calls"), SLICE_INIT("attempts"),
                                  SLICE_INIT("retries")};
    if (doc_count(list) > INTERFACE_EFFECTS_MAX) {
        return err_set(e, ERR_LIMIT, "an interface has at most %d effects", INTERFACE_EFFECTS_MAX);
    }
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        InterfaceEffect *x = &out->effects[out->effect_count];
        int rc = doc_expect(d, DOC_OBJECT, "an effect", e);
        if (rc != 0 || (rc = doc_expect_fields(d, names, COUNT_OF(names), e)) != 0 ||
            (rc = read_name(d, "to", &x->to, e)) != 0 ||
            (rc = read_estimate(d, "calls", true, &x->calls, e)) != 0 ||
            (rc = read_estimate(d, "attempts", true, &x->attempts, e)) != 0 ||
            (rc = read_estimate(d, "retries", true, &x->retries, e)) != 0) {
            return rc;
        }
        out->effect_count++;
    }
    return 0;
}

static int read_costs(const Doc *object, Interface *out, Err *e)
{
    int rc = object ? doc_expect(object, DOC_OBJECT, "cost_ns", e) : 0;
    for (const Doc *d = doc_first(object); rc == 0 && d; d = doc_next(d)) {
        size_t i = 0;
        while (i < FIDELITIES && !slice_eq_cstr(d->key, FIDELITY_NAMES[i])) {
            i++;
        }
        if (i == FIDELITIES) {
            return doc_err_key(e, d, "\"%.*s\" is no fidelity", SLICE_FMT(d->key));
        }
        if (!doc_is_number(d) || !(doc_number(d) >= 0)) {
            return doc_err(e, d, "a cost is a number of nanoseconds");
        }
        out->cost_ns[i] = doc_number(d);
    }
    return rc;
}

static int read_fit(const Doc *object, Interface *out, Err *e)
{
    static const Slice names[] = {SLICE_INIT("rows"), SLICE_INIT("error"), SLICE_INIT("on"),
                                  SLICE_INIT("model")};
    double rows = 0;
    if (!object) {
        return 0;
    }
    int rc = doc_expect(object, DOC_OBJECT, "fit", e);
    if (rc != 0 || (rc = doc_expect_fields(object, names, COUNT_OF(names), e)) != 0 ||
        (rc = read_number(object, "rows", 1, &rows, e)) != 0 ||
        (rc = read_number(object, "error", 0, &out->fit.error, e)) != 0 ||
        (rc = read_name(object, "on", &out->fit.on, e)) != 0) {
        return rc;
    }
    out->fit.rows = rows < 9e15 ? (uint64_t)rows : 0;
    out->fit.model = doc_get(object, SLICE("model"));
    return 0;
}

// That it is what it says it is: the agent, and nothing of anybody else's own.
static int read_fragment(const Doc *object, Interface *out, const Doc *at, Err *e)
{
    static const Slice names[] = {SLICE_INIT("agents"), SLICE_INIT("edges"), SLICE_INIT("clients"),
                                  SLICE_INIT("objectives")};
    int rc = expect(object, DOC_OBJECT, "fragment", at, e);
    if (rc != 0 || (rc = doc_expect_fields(object, names, COUNT_OF(names), e)) != 0) {
        return rc;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const Doc *part = doc_get(object, names[i]);
        if (part && (rc = doc_expect(part, i == 1 ? DOC_ARRAY : DOC_OBJECT, names[i].ptr, e))) {
            return rc;
        }
    }
    const Doc *agents = doc_get(object, SLICE("agents"));
    if (doc_count(agents) != 1 || !slice_eq(doc_first(agents)->key, out->agent)) {
        return doc_err(e, agents ? agents : object, "the fragment must describe \"%.*s\" alone",
                       SLICE_FMT(out->agent));
    }
    for (const Doc *d = doc_first(doc_get(object, SLICE("edges"))); d; d = doc_next(d)) {
        Slice from, to;
        if ((rc = doc_expect(d, DOC_OBJECT, "an edge", e)) != 0 ||
            (rc = read_name(d, "from", &from, e)) != 0 || (rc = read_name(d, "to", &to, e)) != 0) {
            return rc;
        }
        if (!slice_eq(from, out->agent) && !slice_eq(to, out->agent)) {
            return doc_err(e, d, "the edge from \"%.*s\" to \"%.*s\" is not one of \"%.*s\"",
                           SLICE_FMT(from), SLICE_FMT(to), SLICE_FMT(out->agent));
        }
    }
    out->fragment = object;
    return 0;
}

static int read_head(const Doc *doc, Interface *out, Err *e)
{
    static const Slice names[] = {
        SLICE_INIT("format"),          SLICE_INIT("version"),  SLICE_INIT("agent"),
        SLICE_INIT("system"),          SLICE_INIT("revision"), SLICE_INIT("issued_unix_ns"),
        SLICE_INIT("expires_unix_ns"), SLICE_INIT("inputs"),   SLICE_INIT("policies"),
        SLICE_INIT("outputs"),         SLICE_INIT("effects"),  SLICE_INIT("region"),
        SLICE_INIT("cost_ns"),         SLICE_INIT("fit"),      SLICE_INIT("fragment")};
    int rc = doc_expect(doc, DOC_OBJECT, "a performance interface", e);
    if (rc != 0) {
        return rc;
    }
    const Doc *format = doc_get(doc, SLICE("format")), *version = doc_get(doc, SLICE("version"));
    if (!format || format->type != DOC_STRING || !slice_eq_cstr(format->text, INTERFACE_FORMAT)) {
        return doc_err(e, doc, "this is no performance interface: format must be \"%s\"",
                       INTERFACE_FORMAT);
    }
    if ((rc = expect(version, DOC_INT, "version", doc, e)) != 0) {
        return rc;
    }
    if (version->integer != INTERFACE_VERSION) {
        return err_set(e, ERR_VERSION, "the interface has version %lld, this program knows %d",
                       (long long)version->integer, INTERFACE_VERSION);
    }
    double revision = 0, issued = 0, expires = 0;
    if ((rc = doc_expect_fields(doc, names, COUNT_OF(names), e)) != 0 ||
        (rc = read_name(doc, "agent", &out->agent, e)) != 0 ||
        (rc = read_name(doc, "system", &out->system_name, e)) != 0 ||
        (rc = read_number(doc, "revision", 1, &revision, e)) != 0 ||
        (rc = read_number(doc, "issued_unix_ns", 0, &issued, e)) != 0 ||
        (doc_get(doc, SLICE("expires_unix_ns")) &&
         (rc = read_number(doc, "expires_unix_ns", 0, &expires, e)) != 0)) {
        return rc;
    }
    if (revision > 9e15 || issued > 9e18 || expires > 9e18 || (expires > 0 && expires < issued)) {
        return doc_err(e, doc, "revision and times contradict each other or are out of range");
    }
    out->revision = (int64_t)revision;
    out->issued_unix_ns = (int64_t)issued;
    out->expires_unix_ns = (int64_t)expires;
    return 0;
}

int interface_read(Arena *arena, const Doc *doc, Interface **ret_interface, Err *e)
{
    Interface *out = ARENA_NEW(arena, Interface);
    for (size_t i = 0; i < FIDELITIES; i++) {
        out->cost_ns[i] = NAN;
    }
    out->utilisation_max = INTERFACE_UTILISATION;
    int rc = read_head(doc, out, e);
    static const char *const lists[] = {"inputs", "policies", "effects", "outputs"};
    for (size_t i = 0; rc == 0 && i < COUNT_OF(lists); i++) {
        rc = expect(doc_get(doc, slice_from_cstr(lists[i])), DOC_ARRAY, lists[i], doc, e);
    }
    if (rc != 0) {
        return rc;
    }
    const Doc *inputs = doc_get(doc, SLICE("inputs")), *effects = doc_get(doc, SLICE("effects"));
    out->inputs = ARENA_ARRAY(arena, InterfaceInput, doc_count(inputs) + 1);
    out->effects = ARENA_ARRAY(arena, InterfaceEffect, doc_count(effects) + 1);
    const Doc *region = doc_get(doc, SLICE("region"));
    if ((rc = read_inputs(inputs, out, e)) != 0 ||
        (rc = read_policies(arena, doc_get(doc, SLICE("policies")), out, e)) != 0 ||
        (rc = read_effects(effects, out, e)) != 0 ||
        (region && (rc = doc_expect(region, DOC_OBJECT, "region", e)) != 0) ||
        (doc_get(region, SLICE("utilisation")) &&
         (rc = read_number(region, "utilisation", 0, &out->utilisation_max, e)) != 0) ||
        (rc = read_costs(doc_get(doc, SLICE("cost_ns")), out, e)) != 0 ||
        (rc = read_fit(doc_get(doc, SLICE("fit")), out, e)) != 0 ||
        (rc = read_fragment(doc_get(doc, SLICE("fragment")), out, doc, e)) != 0) {
        return rc;
    }
    *ret_interface = out;
    return 0;
}
