#include "load/check.h"

#include <math.h>

#include "load/json_path.h"

bool status_in(const StatusRange *ranges, size_t count, int status)
{
    for (size_t i = 0; i < count; i++) {
        if (status >= ranges[i].min && status <= ranges[i].max) {
            return true;
        }
    }
    return false;
}

static bool text_holds(const PlanCheck *c, Slice text)
{
    double number = 0;
    switch (c->op) {
    case OP_EXISTS: return true;
    case OP_EQUALS: return slice_eq(text, c->text);
    case OP_CONTAINS: return slice_find(text, c->text) >= 0;
    case OP_STARTS_WITH: return slice_starts_with(text, c->text);
    case OP_ABOVE: return slice_to_f64(slice_trim(text), &number) == 0 && number > c->number;
    case OP_BELOW: return slice_to_f64(slice_trim(text), &number) == 0 && number < c->number;
    }
    return false;
}

static bool header_holds(const PlanCheck *c, const HttpHead *head)
{
    uint32_t at = 0;
    Slice value;
    while (head && http_head_each(head, c->key, &at, &value)) {
        if (text_holds(c, value)) {
            return true;
        }
    }
    return false;
}

// The value at a path as text. Strings never lie in `scratch`, so it can take one without escapes.
static bool json_text(Slice body, Slice path, Buf *scratch, Slice *ret)
{
    JsonValue value;
    if (!json_path_get(body, path, scratch, &value)) {
        return false;
    }
    if (value.type != JSON_STRING) {
        *ret = value.raw;
        return true;
    }
    buf_reset(scratch);
    json_value_text(&value, scratch);
    *ret = buf_slice(scratch);
    return !scratch->overflowed;
}

static bool holds(const PlanCheck *c, const CheckAnswer *a, Buf *scratch)
{
    Slice text = {0};
    switch (c->kind) {
    case CHECK_STATUS: return status_in(c->ranges, c->range_count, a->status);
    case CHECK_HEADER: return header_holds(c, a->head);
    case CHECK_BODY: return a->status != 0 && text_holds(c, a->body);
    case CHECK_JSON: return json_text(a->body, c->key, scratch, &text) && text_holds(c, text);
    case CHECK_DURATION_BELOW: return a->status != 0 && a->duration_ns < c->limit_ns;
    }
    return false;
}

bool check_holds(const PlanCheck *check, const CheckAnswer *answer, Buf *scratch)
{
    return holds(check, answer, scratch) != check->negate;
}

static bool between(Slice body, Slice before, Slice behind, Slice *ret)
{
    ptrdiff_t from = slice_find(body, before);
    if (from < 0) {
        return false;
    }
    Slice rest = slice_sub(body, (size_t)from + before.len, body.len);
    ptrdiff_t to = behind.len > 0 ? slice_find(rest, behind) : (ptrdiff_t)rest.len;
    *ret = slice_sub(rest, 0, to < 0 ? 0 : (size_t)to);
    return to >= 0;
}

static bool find(const PlanExtract *x, const CheckAnswer *a, Buf *scratch, Slice *ret)
{
    switch (x->from) {
    case EXTRACT_JSON: return json_text(a->body, x->key, scratch, ret);
    case EXTRACT_HEADER:
        *ret = a->head ? http_head_get(a->head, x->key) : (Slice){0};
        return ret->ptr != NULL;
    case EXTRACT_BODY_BETWEEN: return between(a->body, x->key, x->end, ret);
    }
    return false;
}

bool extract_take(const PlanExtract *x, const CheckAnswer *answer, Buf *scratch, Buf *out)
{
    Slice value = {0};
    if (!find(x, answer, scratch, &value)) {
        if (!x->has_default) {
            return false;
        }
        value = x->fallback;
    }
    buf_append(out, value);
    return true;
}

// mu and sigma of the logarithm from mean m and deviation d of the value: sigma^2 = ln(1 +
// d^2/m^2), mu = ln m - sigma^2/2 (moments of the lognormal distribution).
static double lognormal(const PlanThink *t, Rng *rng)
{
    double mean = (double)t->a_ns, deviation = (double)t->b_ns;
    if (mean <= 0) {
        return 0;
    }
    double variance = log1p(deviation * deviation / (mean * mean));
    return rng_lognormal(rng, log(mean) - variance / 2, sqrt(variance));
}

int64_t think_sample(const PlanThink *t, Rng *rng)
{
    double ns = 0;
    switch (t->kind) {
    case THINK_CONSTANT: ns = (double)t->a_ns; break;
    case THINK_UNIFORM: return rng_between(rng, t->a_ns, t->b_ns);
    case THINK_EXPONENTIAL: ns = rng_exponential(rng, (double)t->a_ns); break;
    case THINK_NORMAL: ns = rng_normal(rng, (double)t->a_ns, (double)t->b_ns); break;
    case THINK_LOGNORMAL: ns = lognormal(t, rng); break;
    }
    return ns <= 0 ? 0 : ns >= (double)THINK_NS_MAX ? THINK_NS_MAX : (int64_t)ns;
}

const PlanStep *step_choose(const PlanStep *choose, Rng *rng)
{
    double total = 0;
    for (size_t i = 0; i < choose->step_count; i++) {
        total += choose->steps[i].weight;
    }
    double at = rng_double(rng) * total;
    const PlanStep *chosen = NULL;
    for (size_t i = 0; i < choose->step_count && (chosen == NULL || at >= 0); i++) {
        if (choose->steps[i].weight > 0) {
            chosen = &choose->steps[i];
            at -= chosen->weight;
        }
    }
    return chosen;
}
