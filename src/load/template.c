#include "load/template.h"

#include <assert.h>
#include <inttypes.h>

#include "load/plan.h"

static const struct {
    Slice name;
    PartKind kind;
} OWN[] = {
    {SLICE_INIT("vu"), PART_VU},
    {SLICE_INIT("iteration"), PART_ITERATION},
    {SLICE_INIT("iteration_in_test"), PART_ITERATION_IN_TEST},
    {SLICE_INIT("run_id"), PART_RUN_ID},
    {SLICE_INIT("scenario"), PART_SCENARIO},
    {SLICE_INIT("uuid"), PART_UUID},
};

static bool is_word(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool later = (c >= '0' && c <= '9') || c == '-';
        if (!letter && !(later && i > 0)) {
            return false;
        }
    }
    return s.len > 0;
}

bool template_is_variable_name(Slice name)
{
    for (size_t i = 0; i < COUNT_OF(OWN); i++) {
        if (slice_eq(OWN[i].name, name)) {
            return false;
        }
    }
    return is_word(name) && !slice_eq(name, SLICE("random")) && !slice_eq(name, SLICE("env"));
}

// ---- compiling

typedef struct Compiler {
    Arena *arena;
    const TemplateNames *names;
    TemplatePart *parts; // NULL in the first pass, which only counts
    size_t count;
    Buf text; // literal text since the last hole
    Err *e;
} Compiler;

static void add_part(Compiler *c, TemplatePart part)
{
    if (c->parts) {
        c->parts[c->count] = part;
    }
    c->count++;
}

static void flush_text(Compiler *c)
{
    if (c->text.len == 0) {
        return;
    }
    Slice text = c->parts ? arena_copy(c->arena, buf_slice(&c->text)) : (Slice){0};
    add_part(c, (TemplatePart){.kind = PART_TEXT, .text = text});
    buf_reset(&c->text);
}

static int unknown_name(Compiler *c, Slice name)
{
    enum { NAMES_MAX = COUNT_OF(OWN) + PLAN_VARIABLES_MAX };
    Slice known[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(OWN); i++) {
        known[count++] = OWN[i].name;
    }
    for (size_t i = 0; c->names && i < c->names->variable_count && count < NAMES_MAX; i++) {
        known[count++] = c->names->variables[i];
    }
    Slice nearest = slice_nearest(name, known, count);
    if (nearest.len > 0) {
        return err_set(c->e, ERR_PARSE, "there is no variable \"%.*s\"; did you mean \"%.*s\"?",
                       SLICE_FMT(name), SLICE_FMT(nearest));
    }
    return err_set(c->e, ERR_PARSE,
                   "there is no variable \"%.*s\"; declare it under `variables` or take it out of "
                   "an answer with `extract`",
                   SLICE_FMT(name));
}

static int compile_variable(Compiler *c, Slice name)
{
    for (size_t i = 0; i < COUNT_OF(OWN); i++) {
        if (slice_eq(OWN[i].name, name)) {
            add_part(c, (TemplatePart){.kind = OWN[i].kind});
            return 0;
        }
    }
    for (size_t i = 0; c->names && i < c->names->variable_count; i++) {
        if (slice_eq(c->names->variables[i], name)) {
            add_part(c, (TemplatePart){.kind = PART_VARIABLE, .slot = (uint32_t)i});
            return 0;
        }
    }
    return unknown_name(c, name);
}

static int compile_env(Compiler *c, Slice name)
{
    Slice value = {0};
    if (!c->names || !c->names->env || !c->names->env(c->names->env_ctx, name, &value)) {
        return err_set(c->e, ERR_PARSE, "the environment variable %.*s is not set; export it",
                       SLICE_FMT(name));
    }
    buf_append(&c->text, value);
    return 0;
}

static int compile_column(Compiler *c, const PlanFeed *feed, size_t index, Slice column)
{
    for (size_t i = 0; i < feed->column_count; i++) {
        if (slice_eq(feed->columns[i], column)) {
            add_part(c, (TemplatePart){
                            .kind = PART_FEED, .slot = (uint32_t)index, .column = (uint32_t)i});
            return 0;
        }
    }
    Slice nearest = slice_nearest(column, feed->columns, feed->column_count);
    return err_set(c->e, ERR_PARSE, "the feed \"%.*s\" has no column \"%.*s\"%s%.*s%s",
                   SLICE_FMT(feed->name), SLICE_FMT(column), nearest.len ? "; did you mean \"" : "",
                   SLICE_FMT(nearest), nearest.len ? "\"?" : "");
}

static int compile_member(Compiler *c, Slice object, Slice member)
{
    if (slice_eq(object, SLICE("env"))) {
        return compile_env(c, member);
    }
    size_t count = c->names ? c->names->feed_count : 0;
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(c->names->feeds[i].name, object)) {
            return compile_column(c, &c->names->feeds[i], i, member);
        }
    }
    return err_set(c->e, ERR_PARSE, "there is no feed \"%.*s\"; declare it under `feeds`",
                   SLICE_FMT(object));
}

// "(low,high)"
static int compile_random(Compiler *c, Slice arguments)
{
    int64_t low = 0, high = 0;
    Slice first = {0}, second = {0};
    Slice inner = slice_sub(arguments, 1, arguments.len - 2);
    if (!slice_ends_with(arguments, SLICE(")")) || !slice_cut(inner, ',', &first, &second) ||
        slice_to_i64(slice_trim(first), &low) != 0 ||
        slice_to_i64(slice_trim(second), &high) != 0 || low > high) {
        return err_set(c->e, ERR_PARSE,
                       "random takes a lowest and a highest whole number, as ${random(1,100)}");
    }
    add_part(c, (TemplatePart){.kind = PART_RANDOM, .low = low, .high = high});
    return 0;
}

static int compile_hole(Compiler *c, Slice hole)
{
    Slice name = slice_trim(hole), object = {0}, member = {0};
    if (slice_starts_with(name, SLICE("random("))) {
        return compile_random(c, slice_sub(name, 6, name.len - 6));
    }
    if (slice_cut(name, '.', &object, &member)) {
        return compile_member(c, object, member);
    }
    if (!is_word(name)) {
        return err_set(c->e, ERR_PARSE,
                       "\"${%.*s}\" is no hole; write ${name}, ${feed.column}, ${env.NAME} or "
                       "$${ for the characters themselves",
                       SLICE_FMT(hole));
    }
    return compile_variable(c, name);
}

static int compile_all(Compiler *c, Slice text)
{
    size_t at = 0;
    while (at < text.len) {
        Slice rest = slice_sub(text, at, text.len);
        ptrdiff_t dollar = slice_find_byte(rest, '$');
        size_t plain = dollar < 0 ? rest.len : (size_t)dollar;
        buf_append(&c->text, slice_sub(rest, 0, plain));
        rest = slice_sub(rest, plain, rest.len);
        at += plain;
        if (slice_starts_with(rest, SLICE("$${"))) {
            buf_puts(&c->text, "${");
            at += 3;
        } else if (slice_starts_with(rest, SLICE("${"))) {
            ptrdiff_t end = slice_find_byte(rest, '}');
            if (end < 0) {
                return err_set(c->e, ERR_PARSE,
                               "\"${\" without its \"}\"; write $${ for the "
                               "characters themselves");
            }
            Slice hole = slice_sub(rest, 2, (size_t)end - 2);
            // An environment variable's value is text, everything else parts it.
            if (!slice_starts_with(slice_trim(hole), SLICE("env."))) {
                flush_text(c);
            }
            int rc = compile_hole(c, hole);
            if (rc != 0) {
                return rc;
            }
            at += (size_t)end + 1;
        } else if (rest.len > 0) {
            buf_putc(&c->text, '$');
            at++;
        }
        if (c->count > TEMPLATE_PARTS_MAX) {
            return err_set(c->e, ERR_LIMIT, "more than %d holes and texts", TEMPLATE_PARTS_MAX);
        }
    }
    flush_text(c);
    return 0;
}

enum { TEXT_BYTES_MAX = 64 << 20 };

int template_compile(Arena *arena, Slice text, const TemplateNames *names, Template *ret, Err *e)
{
    Compiler c = {.arena = arena, .names = names, .text = buf_create(TEXT_BYTES_MAX), .e = e};
    int rc = compile_all(&c, text);
    if (rc == 0 && (rc = buf_check(&c.text, "a text with holes", e)) == 0) {
        size_t count = c.count;
        c.parts = ARENA_ARRAY(arena, TemplatePart, count);
        c.count = 0;
        buf_reset(&c.text);
        rc = compile_all(&c, text);
        assert(rc != 0 || c.count == count);
        bool is_static = count == 0 || (count == 1 && c.parts[0].kind == PART_TEXT);
        *ret = (Template){.parts = c.parts, .part_count = count, .is_static = is_static};
    }
    buf_done(&c.text);
    return rc;
}

Template template_literal(Arena *arena, Slice text)
{
    TemplatePart *part = ARENA_NEW(arena, TemplatePart);
    *part = (TemplatePart){.kind = PART_TEXT, .text = text};
    return (Template){.parts = part, .part_count = 1, .is_static = true};
}

// ---- rendering

Slice template_text(const Template *t)
{
    assert(t->is_static);
    return t->part_count ? t->parts[0].text : (Slice){0};
}

// Version 4 of RFC 9562: 122 random bits.
static void render_uuid(Rng *rng, Buf *out)
{
    uint64_t high = rng_u64(rng), low = rng_u64(rng);
    high = (high & ~UINT64_C(0xf000)) | 0x4000;
    low = (low & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;
    buf_printf(out, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
               high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48,
               low & UINT64_C(0xffffffffffff));
}

// printf costs more than the rest of a request's rendering together.
static void render_int(int64_t value, Buf *out)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_append(out, (Slice){digits + at, sizeof digits - at});
}

static void render_part(const TemplatePart *p, const TemplateScope *s, Buf *out)
{
    switch (p->kind) {
    case PART_TEXT: buf_append(out, p->text); break;
    case PART_VARIABLE: buf_append(out, s->variables[p->slot]); break;
    case PART_FEED: buf_append(out, s->rows[p->slot][p->column]); break;
    case PART_VU: render_int(s->vu, out); break;
    case PART_ITERATION: render_int(s->iteration, out); break;
    case PART_ITERATION_IN_TEST: render_int(s->iteration_in_test, out); break;
    case PART_RUN_ID: buf_append(out, s->run_id); break;
    case PART_SCENARIO: buf_append(out, s->scenario); break;
    case PART_UUID: render_uuid(s->rng, out); break;
    case PART_RANDOM: render_int(rng_between(s->rng, p->low, p->high), out); break;
    }
}

void template_render(const Template *t, const TemplateScope *scope, Buf *out)
{
    for (size_t i = 0; i < t->part_count; i++) {
        render_part(&t->parts[i], scope, out);
    }
}
