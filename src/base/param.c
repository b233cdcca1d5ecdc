#include "base/param.h"

#include <inttypes.h>
#include <math.h>

enum { TABLE_MAX = 64 }; // parameters in one table; a longer one should be two

void param_defaults(const ParamTable *table, ParamValue *values)
{
    for (size_t i = 0; i < table->count; i++) {
        values[i] = table->params[i].initial;
    }
}

ptrdiff_t param_find(const ParamTable *table, Slice name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (slice_eq_cstr(name, table->params[i].name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

void param_format(const Param *param, ParamValue value, Buf *out)
{
    char text[UNITS_TEXT_MAX];
    switch (param->kind) {
    case PARAM_BOOL: buf_puts(out, value.boolean ? "true" : "false"); return;
    case PARAM_INT: buf_printf(out, "%" PRId64, value.integer); return;
    case PARAM_FLOAT: (void)json_format_double(value.real, text); break;
    case PARAM_DURATION: (void)duration_format(value.integer, text); break;
    case PARAM_SIZE: (void)size_format(value.integer, text); break;
    case PARAM_CHOICE: buf_puts(out, param->choices[value.integer]); return;
    }
    buf_puts(out, text);
}

// A bound in the parameter's own notation.
static void format_bound(const Param *param, double bound, Buf *out)
{
    ParamValue value = {.real = bound};
    if (param->kind != PARAM_FLOAT) {
        value.integer = (int64_t)bound;
    }
    param_format(param, value, out);
}

int param_check(const ParamTable *table, size_t index, ParamValue value, Err *e)
{
    const Param *p = &table->params[index];
    if (p->kind == PARAM_BOOL || p->kind == PARAM_CHOICE) {
        return 0;
    }
    double number = p->kind == PARAM_FLOAT ? value.real : (double)value.integer;
    bool any = p->min == 0 && p->max == 0;
    if (isfinite(number) && (any || (number >= p->min && number <= p->max))) {
        return 0;
    }
    Buf words = buf_create(256);
    if (!isfinite(number)) {
        buf_puts(&words, "a number that is not finite");
    } else {
        param_format(p, value, &words);
        buf_puts(&words, " is not between ");
        format_bound(p, p->min, &words);
        buf_puts(&words, " and ");
        format_bound(p, p->max, &words);
    }
    int rc = err_set(e, ERR_ARG, "%s.%s: %s", table->owner, p->name, words.data);
    buf_done(&words);
    return rc;
}

static int choice_of(const Param *p, Slice text, int64_t *ret_index, Err *e)
{
    Slice names[TABLE_MAX];
    size_t count = 0;
    for (; p->choices[count] && count < COUNT_OF(names); count++) {
        names[count] = slice_from_cstr(p->choices[count]);
        if (slice_eq(names[count], text)) {
            *ret_index = (int64_t)count;
            return 0;
        }
    }
    Slice nearest = slice_nearest(text, names, count);
    return err_set(e, ERR_ARG, "\"%.*s\" is not a choice%s%.*s%s", SLICE_FMT(text),
                   nearest.len ? "; did you mean " : ", unlike ",
                   SLICE_FMT(nearest.len ? nearest : names[0]), nearest.len ? "?" : "");
}

static int value_from_text(const Param *p, Slice text, ParamValue *ret_value, Err *e)
{
    int rc = 0;
    switch (p->kind) {
    case PARAM_BOOL:
        ret_value->boolean = slice_eq_cstr(text, "true");
        rc = ret_value->boolean || slice_eq_cstr(text, "false") ? 0 : ERR_PARSE;
        break;
    case PARAM_INT: rc = slice_to_i64(text, &ret_value->integer); break;
    case PARAM_FLOAT: rc = slice_to_f64(text, &ret_value->real); break;
    case PARAM_DURATION: return duration_parse(text, 0, &ret_value->integer, e);
    case PARAM_SIZE: return size_parse(text, &ret_value->integer, e);
    case PARAM_CHOICE: return choice_of(p, text, &ret_value->integer, e);
    }
    static const char *const kinds[] = {
        [PARAM_BOOL] = "true or false", [PARAM_INT] = "a whole number", [PARAM_FLOAT] = "a number"};
    return rc ? err_set(e, ERR_ARG, "\"%.*s\" is not %s", SLICE_FMT(text), kinds[p->kind]) : 0;
}

static DocType doc_type_of(const Param *p, const Doc *d)
{
    switch (p->kind) {
    case PARAM_BOOL: return DOC_BOOL;
    case PARAM_INT: return DOC_INT;
    case PARAM_FLOAT: return DOC_FLOAT;
    case PARAM_SIZE: return d->type == DOC_INT ? DOC_INT : DOC_STRING;
    case PARAM_DURATION:
    case PARAM_CHOICE: return DOC_STRING;
    }
    return DOC_STRING;
}

static int value_from_doc(const Param *p, const Doc *d, ParamValue *ret_value, Err *e)
{
    int rc = doc_expect(d, doc_type_of(p, d), p->name, e);
    if (rc != 0) {
        return rc;
    }
    if (d->type == DOC_BOOL) {
        ret_value->boolean = d->boolean;
    } else if (p->kind == PARAM_FLOAT) {
        ret_value->real = doc_number(d);
    } else if (d->type == DOC_INT) {
        ret_value->integer = d->integer;
    } else {
        Err why = {0};
        if (value_from_text(p, d->text, ret_value, &why) != 0) {
            return doc_err(e, d, "%s: %s", p->name, why.text);
        }
    }
    return 0;
}

int param_read_value(const ParamTable *table, size_t index, const Doc *value, ParamValue *ret_value,
                     Err *e)
{
    ParamValue fresh = *ret_value;
    Err why = {0};
    int rc = value_from_doc(&table->params[index], value, &fresh, e);
    if (rc != 0) {
        return rc;
    }
    if (param_check(table, index, fresh, &why) != 0) {
        return doc_err(e, value, "%s", why.text);
    }
    *ret_value = fresh;
    return 0;
}

int param_read(const ParamTable *table, const Doc *object, ParamValue *values, Err *e)
{
    if (!object) {
        return 0;
    }
    if (table->count > TABLE_MAX) {
        return err_set(e, ERR_LIMIT, "%s has more than %d parameters", table->owner, TABLE_MAX);
    }
    Slice names[TABLE_MAX];
    ParamValue fresh[TABLE_MAX];
    for (size_t i = 0; i < table->count; i++) {
        names[i] = slice_from_cstr(table->params[i].name);
        fresh[i] = values[i];
    }
    int rc = doc_expect(object, DOC_OBJECT, table->owner, e);
    if (rc != 0 || (rc = doc_expect_fields(object, names, table->count, e)) != 0) {
        return rc;
    }
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        size_t index = (size_t)param_find(table, m->key);
        if ((rc = param_read_value(table, index, m, &fresh[index], e)) != 0) {
            return rc;
        }
    }
    memcpy(values, fresh, table->count * sizeof values[0]);
    return 0;
}

int param_set(const ParamTable *table, Slice name, Slice text, bool running, ParamValue *values,
              Err *e)
{
    ptrdiff_t index = param_find(table, name);
    if (index < 0) {
        return err_set(e, ERR_ARG, "%s has no parameter \"%.*s\"", table->owner, SLICE_FMT(name));
    }
    const Param *p = &table->params[index];
    if (running && !p->live) {
        return err_set(e, ERR_REFUSED, "%s.%s cannot be changed while running", table->owner,
                       p->name);
    }
    ParamValue value = {0};
    Err why = {0};
    if (value_from_text(p, text, &value, &why) != 0) {
        return err_set(e, ERR_ARG, "%s.%s: %s", table->owner, p->name, why.text);
    }
    int rc = param_check(table, (size_t)index, value, e);
    if (rc == 0) {
        values[index] = value;
    }
    return rc;
}

void param_write_value(const Param *param, ParamValue value, JsonWriter *w)
{
    Buf text = buf_create(256);
    switch (param->kind) {
    case PARAM_BOOL: json_bool(w, value.boolean); break;
    case PARAM_INT: json_int(w, value.integer); break;
    case PARAM_FLOAT: json_double(w, value.real); break;
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_CHOICE:
        param_format(param, value, &text);
        json_string(w, buf_slice(&text));
        break;
    }
    buf_done(&text);
}

void param_write(const ParamTable *table, const ParamValue *values, JsonWriter *w)
{
    json_object_begin(w);
    for (size_t i = 0; i < table->count; i++) {
        json_key(w, slice_from_cstr(table->params[i].name));
        param_write_value(&table->params[i], values[i], w);
    }
    json_object_end(w);
}
