#include "load/plan_read.h"

#include <stdarg.h>

#include "load/plan_flags.h"

// ---- mistakes

static void note(PlanReader *r, const Doc *at, bool warning, const char *text)
{
    PlanMistakes *m = r->mistakes;
    m->errors += !warning;
    if (m->count == PLAN_MISTAKES_MAX) {
        m->left_out++;
        return;
    }
    m->items[m->count++] = (PlanMistake){.warning = warning,
                                         .line = at ? at->line : 0,
                                         .column = at ? at->column : 0,
                                         .text = arena_copy(r->arena, slice_from_cstr(text))};
}

PRINTF_LIKE(5, 0)
static void note_at(PlanReader *r, const Doc *at, bool key, bool warning, const char *format,
                    va_list args)
{
    char words[ERR_TEXT_MAX];
    Err e = {0};
    (void)vsnprintf(words, sizeof words, format, args);
    (void)(key ? doc_err_key(&e, at, "%s", words) : doc_err(&e, at, "%s", words));
    note(r, at, warning, e.text);
    if (key && r->mistakes->left_out == 0) {
        PlanMistake *last = &r->mistakes->items[r->mistakes->count - 1];
        last->line = at->key_line;
        last->column = at->key_column;
    }
}

void plan_mistake(PlanReader *r, const Doc *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note_at(r, at, false, false, format, args);
    va_end(args);
}

void plan_mistake_key(PlanReader *r, const Doc *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note_at(r, at, true, false, format, args);
    va_end(args);
}

void plan_warning(PlanReader *r, const Doc *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note_at(r, at, at->key_line > 0, true, format, args);
    va_end(args);
}

void plan_mistake_err(PlanReader *r, const Doc *at, const Err *e)
{
    plan_mistake(r, at, "%s", e->text);
}

// ---- small values

bool plan_scalar(PlanReader *r, const Doc *d, const char *what, Slice *ret)
{
    switch (d->type) {
    case DOC_BOOL: *ret = d->boolean ? SLICE("true") : SLICE("false"); return true;
    case DOC_INT:
    case DOC_FLOAT:
    case DOC_STRING:
    case DOC_DATETIME: *ret = d->text; return true;
    case DOC_NULL:
    case DOC_ARRAY:
    case DOC_OBJECT: break;
    }
    plan_mistake(r, d, "%s must be text, not %s", what, doc_type_name(d->type));
    return false;
}

bool plan_is_list(PlanReader *r, const Doc *d, const char *what, size_t max)
{
    if (d->type != DOC_ARRAY) {
        plan_mistake(r, d, "%s must be a list, not %s", what, doc_type_name(d->type));
        return false;
    }
    if (doc_count(d) > max) {
        plan_mistake(r, d, "%s has %zu entries; at most %zu", what, doc_count(d), max);
        return false;
    }
    return true;
}

static void note_feeds(PlanReader *r, const Template *t)
{
    for (size_t i = 0; i < t->part_count; i++) {
        if (t->parts[i].kind == PART_FEED) {
            r->feeds_used |= UINT64_C(1) << t->parts[i].slot;
        }
    }
}

bool plan_template(PlanReader *r, const Doc *at, Slice text, Template *ret)
{
    Err e = {0};
    if (template_compile(r->arena, text, &r->names, ret, &e) != 0) {
        plan_mistake_err(r, at, &e);
        return false;
    }
    note_feeds(r, ret);
    return true;
}

bool plan_fixed_text(PlanReader *r, const Doc *at, Slice text, Slice *ret)
{
    TemplateNames only_env = {.env = r->names.env, .env_ctx = r->names.env_ctx};
    Template t;
    Err e = {0};
    if (template_compile(r->arena, text, &only_env, &t, &e) != 0) {
        plan_mistake_err(r, at, &e);
        return false;
    }
    if (!t.is_static) {
        plan_mistake(r, at,
                     "only ${env.NAME} can stand here; this value is fixed for the whole run");
        return false;
    }
    *ret = template_text(&t);
    return true;
}

bool plan_labels(PlanReader *r, const Doc *object, Labels *ret)
{
    Label labels[LABELS_MAX];
    size_t count = 0;
    Err e = {0};
    if (object->type != DOC_OBJECT) {
        plan_mistake(r, object, "tags must be an object of texts, not %s",
                     doc_type_name(object->type));
        return false;
    }
    if (doc_count(object) > LABELS_MAX) {
        plan_mistake(r, object, "%zu tags; at most %d", doc_count(object), LABELS_MAX);
        return false;
    }
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        if (m->key.len == 0) {
            plan_mistake_key(r, m, "a tag without a name");
            return false;
        }
        labels[count].key = m->key;
        if (!plan_scalar(r, m, "a tag", &labels[count].value)) {
            return false;
        }
        count++;
    }
    if (labels_copy(r->arena, labels, count, ret, &e) != 0) {
        plan_mistake_err(r, object, &e);
        return false;
    }
    return true;
}

int plan_choice(PlanReader *r, const Doc *d, const char *what, const Slice *names, size_t count)
{
    Slice text = {0};
    if (!plan_scalar(r, d, what, &text)) {
        return -1;
    }
    Buf all = buf_create(4096);
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(names[i], text)) {
            buf_done(&all);
            return (int)i;
        }
        buf_puts(&all, i == 0 ? "" : i + 1 == count ? " or " : ", ");
        buf_append(&all, names[i]);
    }
    Slice nearest = slice_nearest(text, names, count);
    if (nearest.len > 0) {
        plan_mistake(r, d, "%s \"%.*s\" does not exist; did you mean \"%.*s\"?", what,
                     SLICE_FMT(text), SLICE_FMT(nearest));
    } else {
        plan_mistake(r, d, "%s must be %.*s, not \"%.*s\"", what, SLICE_FMT(buf_slice(&all)),
                     SLICE_FMT(text));
    }
    buf_done(&all);
    return -1;
}

const char *plan_path(PlanReader *r, const Doc *at, Slice path)
{
    const char *folder = r->options->folder;
    bool typed = strcmp(at->source, PLAN_FLAGS_SOURCE) == 0; // by a person in a working directory
    if (!folder || typed || slice_starts_with(path, SLICE("/"))) {
        return arena_cstr(r->arena, path);
    }
    return arena_printf(r->arena, "%s/%.*s", folder, SLICE_FMT(path)).ptr;
}

// What every plan may still need after files were read.
enum { RESERVE_BYTES = 64 << 20 };

bool plan_has_room(const PlanReader *r, size_t bytes)
{
    size_t left = arena_left(r->arena);
    return left > RESERVE_BYTES && bytes <= left - RESERVE_BYTES;
}
