// What a request says about its answer: expected statuses, checks and extractions.
#include "load/plan_read.h"

#include "base/units.h"
#include "load/json_path.h"

// ---- statuses

static bool status_number(Slice text, int *ret)
{
    int64_t value = 0;
    if (slice_to_i64(text, &value) != 0 || value < 100 || value > 599) {
        return false;
    }
    *ret = (int)value;
    return true;
}

// 200, "200-299" or "2xx".
static bool status_range(PlanReader *r, const Doc *d, StatusRange *ret)
{
    Slice text = {0}, low = {0}, high = {0};
    if (!plan_scalar(r, d, "a status", &text)) {
        return false;
    }
    if (text.len == 3 && slice_eq_nocase(slice_sub(text, 1, 2), SLICE("xx")) &&
        text.ptr[0] >= '1' && text.ptr[0] <= '5') {
        int first = (text.ptr[0] - '0') * 100;
        *ret = (StatusRange){first, first + 99};
        return true;
    }
    bool is_range = slice_cut(text, '-', &low, &high);
    if (status_number(low, &ret->min) && status_number(is_range ? high : low, &ret->max) &&
        ret->min <= ret->max) {
        return true;
    }
    plan_mistake(r, d, "\"%.*s\" is no status; write 200, \"200-299\" or \"2xx\"", SLICE_FMT(text));
    return false;
}

bool plan_status_ranges(PlanReader *r, const Doc *d, const StatusRange **ret, size_t *ret_count)
{
    enum { RANGES_MAX = 100 };
    bool is_list = d->type == DOC_ARRAY;
    if (is_list && (!plan_is_list(r, d, "statuses", RANGES_MAX) || doc_count(d) == 0)) {
        plan_mistake(r, d, "name one status at least");
        return false;
    }
    StatusRange *ranges = ARENA_ARRAY(r->arena, StatusRange, is_list ? doc_count(d) : 1);
    size_t count = 0;
    bool ok = true;
    for (const Doc *m = is_list ? doc_first(d) : d; m; m = is_list ? doc_next(m) : NULL) {
        ok = status_range(r, m, &ranges[count]) && ok;
        count++;
    }
    *ret = ranges;
    *ret_count = ok ? count : 0;
    return ok;
}

// ---- checks

static const struct {
    CheckOp op;
    const char *words;
} OPS[] = {
    {OP_EXISTS, "exists"},           {OP_EQUALS, "equals"}, {OP_CONTAINS, "contains"},
    {OP_STARTS_WITH, "starts with"}, {OP_ABOVE, "above"},   {OP_BELOW, "below"},
};

static const Doc *operand(const CheckFields *f, CheckOp op)
{
    switch (op) {
    case OP_EXISTS: return f->exists;
    case OP_EQUALS: return f->equals;
    case OP_CONTAINS: return f->contains;
    case OP_STARTS_WITH: return f->starts_with;
    case OP_ABOVE: return f->above;
    case OP_BELOW: return f->below;
    }
    return NULL;
}

static bool read_operand(PlanReader *r, const Doc *d, PlanCheck *c)
{
    if (c->op == OP_EXISTS) {
        if (d->type != DOC_BOOL) {
            plan_mistake(r, d, "exists must be true or false, not %s", doc_type_name(d->type));
            return false;
        }
        c->negate ^= !d->boolean;
        return true;
    }
    if (c->op == OP_ABOVE || c->op == OP_BELOW) {
        c->number = doc_number(d);
        if (!doc_is_number(d)) {
            plan_mistake(r, d, "%s needs a number, not %s", OPS[c->op].words,
                         doc_type_name(d->type));
        }
        return doc_is_number(d);
    }
    return plan_scalar(r, d, OPS[c->op].words, &c->text);
}

// The operator among the fields; at most one. Without any the value has only to be there.
static bool read_operator(PlanReader *r, const Doc *at, const CheckFields *f, PlanCheck *c)
{
    const Doc *found = NULL;
    c->op = OP_EXISTS;
    for (size_t i = 0; i < COUNT_OF(OPS); i++) {
        const Doc *d = operand(f, OPS[i].op);
        if (d && found) {
            plan_mistake_key(r, d, "a check has one operator; make two checks of it");
            return false;
        }
        if (d) {
            found = d;
            c->op = OPS[i].op;
        }
    }
    if (!found && c->kind == CHECK_BODY) {
        plan_mistake(r, at,
                     "say what the body has to be: equals, contains, startsWith, above or "
                     "below");
        return false;
    }
    return !found || read_operand(r, found, c);
}

static bool read_subject(PlanReader *r, const Doc *at, const CheckFields *f, PlanCheck *c)
{
    Err e = {0};
    CheckFields inner = {0};
    switch (c->kind) {
    case CHECK_STATUS: return plan_status_ranges(r, f->status, &c->ranges, &c->range_count);
    case CHECK_DURATION_BELOW: c->limit_ns = f->duration_below_ns; return true;
    case CHECK_HEADER:
        return plan_scalar(r, f->header, "header", &c->key) && read_operator(r, at, f, c);
    case CHECK_JSON:
        if (!plan_scalar(r, f->json, "json", &c->key)) {
            return false;
        }
        if (json_path_check(c->key, &e) != 0) {
            plan_mistake_err(r, f->json, &e);
            return false;
        }
        return read_operator(r, at, f, c);
    case CHECK_BODY:
        if (f->body->type != DOC_OBJECT) {
            c->op = OP_CONTAINS;
            return plan_scalar(r, f->body, "body", &c->text);
        }
        return plan_fields_read(r, f->body, "check", &inner) &&
               read_operator(r, f->body, &inner, c);
    }
    return false;
}

// The rule in words, for checks without a name.
static Slice check_name(PlanReader *r, const Doc *at, const CheckFields *f, const PlanCheck *c)
{
    Buf b = buf_create(PLAN_NAME_BYTES_MAX);
    Slice text = {0};
    char limit[UNITS_TEXT_MAX];
    buf_puts(&b, c->negate ? "not: " : "");
    switch (c->kind) {
    case CHECK_STATUS:
        buf_puts(&b, "status is ");
        for (const Doc *m = f->status->type == DOC_ARRAY ? doc_first(f->status) : f->status; m;
             m = f->status->type == DOC_ARRAY ? doc_next(m) : NULL) {
            buf_puts(&b, text.ptr ? " or " : "");
            (void)plan_scalar(r, m, "a status", &text);
            buf_append(&b, text);
        }
        break;
    case CHECK_DURATION_BELOW:
        (void)duration_format_short(c->limit_ns, limit);
        buf_printf(&b, "duration below %s", limit);
        break;
    case CHECK_HEADER: buf_printf(&b, "header %.*s", SLICE_FMT(c->key)); break;
    case CHECK_JSON: buf_printf(&b, "json %.*s", SLICE_FMT(c->key)); break;
    case CHECK_BODY: buf_puts(&b, "body"); break;
    }
    if (c->kind == CHECK_HEADER || c->kind == CHECK_JSON || c->kind == CHECK_BODY) {
        buf_printf(&b, " %s", OPS[c->op].words);
        if (c->op == OP_ABOVE || c->op == OP_BELOW) {
            buf_printf(&b, " %g", c->number);
        } else if (c->op != OP_EXISTS) {
            buf_printf(&b, " %.*s", SLICE_FMT(c->text));
        }
    }
    Slice name = b.overflowed ? arena_printf(r->arena, "check at line %d", at->line)
                              : arena_copy(r->arena, buf_slice(&b));
    buf_done(&b);
    return name;
}

static bool read_check(PlanReader *r, const Doc *d, PlanCheck *ret)
{
    CheckFields f = {.duration_below_ns = -1};
    if (!plan_fields_read(r, d, "check", &f)) {
        return false;
    }
    *ret = (PlanCheck){.negate = f.negate};
    int subjects = 0;
    bool has[] = {[CHECK_STATUS] = f.status != NULL,
                  [CHECK_HEADER] = f.header != NULL,
                  [CHECK_BODY] = f.body != NULL,
                  [CHECK_JSON] = f.json != NULL,
                  [CHECK_DURATION_BELOW] = f.duration_below_ns >= 0};
    for (size_t i = 0; i < COUNT_OF(has); i++) {
        subjects += has[i];
        ret->kind = has[i] ? (CheckKind)i : ret->kind;
    }
    if (subjects != 1) {
        if (!doc_get(d, SLICE("durationBelow")) || subjects > 1) {
            plan_mistake(r, d,
                         "a check looks at one of status, header, json, body or "
                         "durationBelow; this one at %d of them",
                         subjects);
        }
        return false;
    }
    if (!read_subject(r, d, &f, ret)) {
        return false;
    }
    ret->name = f.name.len > 0 ? f.name : check_name(r, d, &f, ret);
    return true;
}

void plan_read_checks(PlanReader *r, const Doc *list, PlanRequest *request)
{
    if (!plan_is_list(r, list, "checks", PLAN_EXTRACTS_MAX)) {
        return;
    }
    PlanCheck *checks = ARENA_ARRAY(r->arena, PlanCheck, doc_count(list) + 1);
    size_t count = 0;
    for (const Doc *m = doc_first(list); m; m = doc_next(m)) {
        if (read_check(r, m, &checks[count])) {
            CheckKind kind = checks[count++].kind;
            request->needs_body |= kind == CHECK_BODY || kind == CHECK_JSON;
        }
    }
    request->checks = checks;
    request->check_count = count;
}

// ---- extractions

static bool read_between(PlanReader *r, const Doc *d, PlanExtract *x)
{
    if (d->type != DOC_ARRAY || doc_count(d) != 2) {
        plan_mistake(r, d,
                     "between needs two texts: the one before the value and the one behind "
                     "it");
        return false;
    }
    x->from = EXTRACT_BODY_BETWEEN;
    return plan_scalar(r, doc_at(d, 0), "between", &x->key) &&
           plan_scalar(r, doc_at(d, 1), "between", &x->end);
}

static bool read_json_path(PlanReader *r, const Doc *d, PlanExtract *x)
{
    Err e = {0};
    x->from = EXTRACT_JSON;
    if (!plan_scalar(r, d, "json", &x->key)) {
        return false;
    }
    if (json_path_check(x->key, &e) != 0) {
        plan_mistake_err(r, d, &e);
        return false;
    }
    return true;
}

static bool read_extract(PlanReader *r, const Doc *d, PlanExtract *x)
{
    ExtractFields f = {0};
    if (d->type == DOC_STRING) {
        return read_json_path(r, d, x);
    }
    if (!plan_fields_read(r, d, "extract", &f)) {
        return false;
    }
    if ((f.json != NULL) + (f.header != NULL) + (f.between != NULL) != 1) {
        plan_mistake(r, d, "an extraction takes its value from one of json, header or between");
        return false;
    }
    x->has_default = f.fallback != NULL;
    if (f.fallback && !plan_scalar(r, f.fallback, "default", &x->fallback)) {
        return false;
    }
    if (f.header) {
        x->from = EXTRACT_HEADER;
        return plan_scalar(r, f.header, "header", &x->key);
    }
    return f.json ? read_json_path(r, f.json, x) : read_between(r, f.between, x);
}

void plan_read_extracts(PlanReader *r, const Doc *object, PlanRequest *request)
{
    if (object->type != DOC_OBJECT) {
        plan_mistake(r, object, "extract must be an object of extractions by variable, not %s",
                     doc_type_name(object->type));
        return;
    }
    if (doc_count(object) > PLAN_EXTRACTS_MAX) {
        plan_mistake(r, object, "%zu extractions; at most %d", doc_count(object),
                     PLAN_EXTRACTS_MAX);
        return;
    }
    PlanExtract *extracts = ARENA_ARRAY(r->arena, PlanExtract, doc_count(object) + 1);
    size_t count = 0;
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        PlanExtract *x = &extracts[count];
        *x = (PlanExtract){0};
        for (uint32_t i = 0; i < r->names.variable_count; i++) {
            x->variable = slice_eq(r->variables[i], m->key) ? i : x->variable;
        }
        if (read_extract(r, m, x)) {
            request->needs_body |= x->from != EXTRACT_HEADER;
            count++;
        }
    }
    request->extracts = extracts;
    request->extract_count = count;
}
