// The text of --help: usage, description, arguments, options by section, examples.
#include <assert.h>

#include "base/option.h"
#include "base/utf8.h"

enum { OPTION_COLUMN = 28, COLUMNS_MIN = 50 };

const char *option_metavar(const Option *option)
{
    if (option->metavar) {
        return option->metavar;
    }
    switch (option->kind) {
    case OPTION_FLAG: return NULL;
    case OPTION_STRING: return "TEXT";
    case OPTION_INT: return "N";
    case OPTION_FLOAT: return "NUMBER";
    case OPTION_DURATION: return "DURATION";
    case OPTION_RATE: return "RATE";
    case OPTION_SIZE: return "SIZE";
    case OPTION_COUNT: return "COUNT";
    case OPTION_CHOICE: return "CHOICE";
    }
    return NULL;
}

// Words of `text` from column `at` on, wrapped at `columns` with `indent` blanks before each line.
static void put_wrapped(Buf *out, Slice text, int indent, int at, int columns)
{
    bool first = true;
    while (text.len > 0) {
        Slice word;
        (void)slice_cut(text, ' ', &word, &text);
        if (word.len == 0) {
            continue;
        }
        int width = utf8_width(word);
        if (!first && at + 1 + width > columns) {
            buf_printf(out, "\n%*s", indent, "");
            at = indent;
            first = true;
        }
        buf_printf(out, "%s%.*s", first ? "" : " ", SLICE_FMT(word));
        at += width + !first;
        first = false;
    }
    buf_putc(out, '\n');
}

static void put_paragraphs(Buf *out, const char *text, int columns)
{
    Slice rest = slice_from_cstr(text);
    while (rest.len > 0) {
        ptrdiff_t end = slice_find(rest, SLICE("\n\n"));
        size_t len = end < 0 ? rest.len : (size_t)end;
        buf_putc(out, '\n');
        put_wrapped(out, slice_sub(rest, 0, len), 0, 0, columns);
        rest = end < 0 ? (Slice){0} : slice_sub(rest, len + 2, rest.len);
    }
}

// "  left  " up to OPTION_COLUMN, then the text; on the next line where left is too long.
static void put_entry(Buf *out, Slice left, Slice text, int columns)
{
    int width = utf8_width(left);
    buf_append(out, left);
    if (width + 2 > OPTION_COLUMN) {
        buf_printf(out, "\n%*s", OPTION_COLUMN, "");
    } else {
        buf_printf(out, "%*s", OPTION_COLUMN - width, "");
    }
    put_wrapped(out, text, OPTION_COLUMN, OPTION_COLUMN, columns);
}

static void put_option(Buf *out, const Option *o, int columns)
{
    enum { ENTRY_MAX = 8192 };
    Buf left = buf_create(ENTRY_MAX), text = buf_create(ENTRY_MAX);
    const char *metavar = option_metavar(o);
    if (o->short_name) {
        buf_printf(&left, "  -%c, ", o->short_name);
    } else {
        buf_puts(&left, "      ");
    }
    buf_printf(&left, "--%s%s%s%s", o->negatable ? "[no-]" : "", o->name, metavar ? " " : "",
               metavar ? metavar : "");
    buf_puts(&text, o->help);
    for (size_t i = 0; o->choices && o->choices[i]; i++) {
        buf_printf(&text, "%s%s", i ? ", " : " One of ", o->choices[i]);
    }
    buf_puts(&text, o->choices ? "." : "");
    if (o->repeat) {
        buf_puts(&text, " May be given more than once.");
    }
    if (o->required) {
        buf_puts(&text, " Required.");
    }
    if (o->default_text) {
        buf_printf(&text, " [default: %s]", o->default_text);
    }
    if (o->env) {
        buf_printf(&text, " [env: %s]", o->env);
    }
    put_entry(out, buf_slice(&left), buf_slice(&text), columns);
    buf_done(&left);
    buf_done(&text);
}

static const char *section_of(const Option *o)
{
    return o->section ? o->section : "Options";
}

// Sections appear in the order of their first option.
static void put_sections(Buf *out, const Verb *verb, int columns)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        const char *section = section_of(&verb->options[i]);
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = !verb->options[k].hidden && strcmp(section_of(&verb->options[k]), section) == 0;
        }
        if (seen || verb->options[i].hidden) {
            continue;
        }
        buf_printf(out, "\n%s:\n", section);
        for (size_t k = i; k < verb->option_count; k++) {
            const Option *o = &verb->options[k];
            if (!o->hidden && strcmp(section_of(o), section) == 0) {
                put_option(out, o, columns);
            }
        }
    }
}

void option_help(Buf *out, const char *program, const Verb *verb, int columns)
{
    columns = columns < COLUMNS_MIN ? COLUMNS_MIN : columns;
    buf_printf(out, "%s.\n\nUsage: %s%s%s%s", verb->summary, program, program[0] ? " " : "",
               verb->name, verb->option_count ? " [options]" : "");
    for (size_t i = 0; i < verb->positional_count; i++) {
        const Positional *p = &verb->positionals[i];
        buf_printf(out, p->optional ? " [%s%s]" : " %s%s", p->name, p->many ? "..." : "");
    }
    buf_putc(out, '\n');
    if (verb->description) {
        put_paragraphs(out, verb->description, columns);
    }
    for (size_t i = 0; i < verb->positional_count; i++) {
        char left[64];
        int len = snprintf(left, sizeof left, "  %.60s", verb->positionals[i].name);
        buf_puts(out, i == 0 ? "\nArguments:\n" : "");
        put_entry(out, (Slice){left, (size_t)len}, slice_from_cstr(verb->positionals[i].help),
                  columns);
    }
    put_sections(out, verb, columns);
    buf_puts(out, verb->option_count ? "" : "\nOptions:\n");
    put_entry(out, SLICE("  -h, --help"), SLICE("Print this and exit."), columns);
    for (size_t i = 0; i < verb->example_count; i++) {
        buf_printf(out, "%s  %s\n      %s\n", i == 0 ? "\nExamples:\n" : "", verb->examples[i].what,
                   verb->examples[i].command);
    }
}
