#include "base/option_export.h"

// The first word of a verb's name, and the second or the empty slice.
static void words_of(const Verb *verb, Slice *ret_first, Slice *ret_second)
{
    (void)slice_cut(slice_from_cstr(verb->name), ' ', ret_first, ret_second);
}

static bool first_with_word(const Program *p, size_t index)
{
    Slice word, other, unused;
    words_of(p->verbs[index], &word, &unused);
    for (size_t i = 0; i < index; i++) {
        words_of(p->verbs[i], &other, &unused);
        if (slice_eq(word, other)) {
            return false;
        }
    }
    return true;
}

static void put_words(const Program *p, Buf *out, const char *separator)
{
    for (size_t i = 0; i < p->verb_count; i++) {
        Slice word, second;
        words_of(p->verbs[i], &word, &second);
        if (first_with_word(p, i)) {
            buf_printf(out, "%s%.*s", i ? separator : "", SLICE_FMT(word));
        }
    }
}

// Single-quoted for a POSIX shell, zsh and fish alike: fish reads \' inside quotes, the others need
// the quote closed and reopened, which fish accepts too.
static void put_quoted(Buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, *text);
        }
    }
    buf_putc(out, '\'');
}

// A shell identifier out of the program's name.
static void put_identifier(Buf *out, const char *name)
{
    for (; *name; name++) {
        buf_putc(out, *name == '-' ? '_' : *name);
    }
}

static void bash_case(const Verb *verb, Buf *out)
{
    buf_puts(out, "    '");
    buf_puts(out, verb->name);
    buf_puts(out, "')\n        case $prev in\n");
    for (size_t i = 0; i < verb->option_count; i++) {
        const Option *o = &verb->options[i];
        if (o->kind != OPTION_CHOICE || o->hidden) {
            continue;
        }
        buf_printf(out, "        --%s) words='", o->name);
        for (size_t k = 0; o->choices[k]; k++) {
            buf_printf(out, "%s%s", k ? " " : "", o->choices[k]);
        }
        buf_puts(out, "' ;;\n");
    }
    buf_puts(out, "        *) [[ $cur == -* ]] && words='--help");
    for (size_t i = 0; i < verb->option_count; i++) {
        const Option *o = &verb->options[i];
        if (!o->hidden) {
            buf_printf(out, " --%s", o->name);
            if (o->negatable) {
                buf_printf(out, " --no-%s", o->name);
            }
        }
    }
    buf_puts(out, "' ;;\n        esac ;;\n");
}

// Second words of the verbs that begin with `first`; nothing for a verb of one word.
static void put_second_words(const Program *p, Slice first, Buf *out)
{
    for (size_t i = 0; i < p->verb_count; i++) {
        Slice word, second;
        words_of(p->verbs[i], &word, &second);
        if (slice_eq(word, first) && second.len > 0) {
            buf_printf(out, " %.*s", SLICE_FMT(second));
        }
    }
}

void completion_bash(const Program *p, Buf *out)
{
    buf_printf(out, "# bash completion for %s\n_", p->name);
    put_identifier(out, p->name);
    buf_puts(out, "() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    local verb=${COMP_WORDS[1]} words='' pair=''\n"
                  "    (( COMP_CWORD > 2 )) && pair=\"$verb ${COMP_WORDS[2]}\"\n"
                  "    if (( COMP_CWORD == 1 )); then\n        words='");
    put_words(p, out, " ");
    buf_puts(out, "'\n    else\n    case $verb in\n");
    for (size_t i = 0; i < p->verb_count; i++) {
        Slice word, second;
        words_of(p->verbs[i], &word, &second);
        if (second.len > 0 && first_with_word(p, i)) {
            buf_printf(out, "    '%.*s') if (( COMP_CWORD == 2 )); then words='", SLICE_FMT(word));
            put_second_words(p, word, out);
            buf_puts(out, "'; else verb=$pair; fi ;;\n");
        }
    }
    buf_puts(out, "    esac\n    case $verb in\n");
    for (size_t i = 0; i < p->verb_count; i++) {
        bash_case(p->verbs[i], out);
    }
    buf_puts(out, "    esac\n    fi\n"
                  "    COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") )\n}\n"
                  "complete -o default -F _");
    put_identifier(out, p->name);
    buf_printf(out, " %s\n", p->name);
}

// In _arguments' specifications brackets and colons end the text.
static void put_zsh_text(Buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("[]:\\", *text)) {
            buf_putc(out, '\\');
        }
        buf_putc(out, *text);
    }
}

static void zsh_option(const Option *o, const char *prefix, Buf *arguments)
{
    const char *metavar = option_metavar(o);
    Buf spec = buf_create(8192);
    buf_printf(&spec, "%s--%s%s%s[", o->repeat ? "*" : "", prefix, o->name, metavar ? "=" : "");
    put_zsh_text(&spec, o->help);
    buf_putc(&spec, ']');
    if (metavar) {
        buf_putc(&spec, ':');
        put_zsh_text(&spec, metavar);
        buf_putc(&spec, ':');
    }
    if (o->kind == OPTION_CHOICE) {
        buf_putc(&spec, '(');
        for (size_t k = 0; o->choices[k]; k++) {
            buf_printf(&spec, "%s%s", k ? " " : "", o->choices[k]);
        }
        buf_putc(&spec, ')');
    } else if (o->kind == OPTION_STRING) {
        buf_puts(&spec, "_files");
    }
    buf_puts(arguments, " \\\n            ");
    put_quoted(arguments, spec.data);
    buf_done(&spec);
}

static void zsh_case(const Verb *verb, Buf *out)
{
    Slice first, second;
    words_of(verb, &first, &second);
    buf_printf(out, "    '%s')\n        shift %d words; (( CURRENT -= %d ))\n", verb->name,
               second.len ? 2 : 1, second.len ? 2 : 1);
    buf_puts(out, "        _arguments '(-h --help)'{-h,--help}'[Print help.]'");
    for (size_t i = 0; i < verb->option_count; i++) {
        if (!verb->options[i].hidden) {
            zsh_option(&verb->options[i], "", out);
            if (verb->options[i].negatable) {
                zsh_option(&verb->options[i], "no-", out);
            }
        }
    }
    buf_puts(out, " \\\n            '*:file:_files' ;;\n");
}

void completion_zsh(const Program *p, Buf *out)
{
    buf_printf(out, "#compdef %s\n_", p->name);
    put_identifier(out, p->name);
    buf_puts(out, "() {\n    local verb=${words[2]}\n"
                  "    if (( CURRENT == 2 )); then\n        compadd -- ");
    put_words(p, out, " ");
    buf_puts(out, "\n        return\n    fi\n    case $verb in\n");
    for (size_t i = 0; i < p->verb_count; i++) {
        Slice word, second;
        words_of(p->verbs[i], &word, &second);
        if (second.len > 0 && first_with_word(p, i)) {
            buf_printf(out, "    '%.*s') if (( CURRENT == 3 )); then compadd --", SLICE_FMT(word));
            put_second_words(p, word, out);
            buf_puts(out, "; return; fi; verb=\"$verb ${words[3]}\" ;;\n");
        }
    }
    buf_puts(out, "    esac\n    case $verb in\n");
    for (size_t i = 0; i < p->verb_count; i++) {
        zsh_case(p->verbs[i], out);
    }
    buf_puts(out, "    esac\n}\ncompdef _");
    put_identifier(out, p->name);
    buf_printf(out, " %s\n", p->name);
}

static void fish_condition(const Program *p, const Verb *verb, Buf *out)
{
    Slice first, second;
    words_of(verb, &first, &second);
    buf_printf(out, "complete -c %s -n '__fish_seen_subcommand_from %.*s", p->name,
               SLICE_FMT(first));
    if (second.len > 0) {
        buf_printf(out, "; and __fish_seen_subcommand_from %.*s", SLICE_FMT(second));
    }
    buf_putc(out, '\'');
}

static void fish_option(const Program *p, const Verb *verb, const Option *o, Buf *out)
{
    fish_condition(p, verb, out);
    buf_printf(out, " -l %s", o->name);
    if (o->short_name) {
        buf_printf(out, " -s %c", o->short_name);
    }
    if (o->kind == OPTION_CHOICE) {
        buf_puts(out, " -x -a '");
        for (size_t k = 0; o->choices[k]; k++) {
            buf_printf(out, "%s%s", k ? " " : "", o->choices[k]);
        }
        buf_putc(out, '\'');
    } else if (o->kind != OPTION_FLAG) {
        buf_puts(out, " -r");
    }
    buf_puts(out, " -d ");
    put_quoted(out, o->help);
    buf_putc(out, '\n');
}

void completion_fish(const Program *p, Buf *out)
{
    buf_printf(out, "# fish completion for %s\n", p->name);
    for (size_t i = 0; i < p->verb_count; i++) {
        const Verb *verb = p->verbs[i];
        Slice word, second;
        words_of(verb, &word, &second);
        if (first_with_word(p, i)) {
            buf_printf(out, "complete -c %s -n __fish_use_subcommand -a %.*s -d ", p->name,
                       SLICE_FMT(word));
            put_quoted(out, second.len ? "" : verb->summary);
            buf_putc(out, '\n');
        }
        if (second.len > 0) {
            buf_printf(out, "complete -c %s -n '__fish_seen_subcommand_from %.*s' -a %.*s -d ",
                       p->name, SLICE_FMT(word), SLICE_FMT(second));
            put_quoted(out, verb->summary);
            buf_putc(out, '\n');
        }
        for (size_t k = 0; k < verb->option_count; k++) {
            if (!verb->options[k].hidden) {
                fish_option(p, verb, &verb->options[k], out);
            }
        }
    }
}

// Text for roff: a backslash is an escape, and a line that begins with a dot or quote a request.
static void put_roff(Buf *out, Slice text)
{
    bool line_start = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (line_start && (c == '.' || c == '\'')) {
            buf_puts(out, "\\&");
        }
        if (c == '\\') {
            buf_puts(out, "\\e");
        } else if (c == '-') {
            buf_puts(out, "\\-");
        } else {
            buf_putc(out, c);
        }
        line_start = c == '\n';
    }
}

static void put_roff_line(Buf *out, const char *text)
{
    put_roff(out, slice_from_cstr(text));
    buf_putc(out, '\n');
}

static void man_head(const Program *p, const char *page, Slice suffix, const char *summary,
                     Buf *out)
{
    buf_printf(out, ".Dd %s\n.Dt %s 1\n.Os %s %s\n.Sh NAME\n.Nm %s%.*s\n.Nd ", p->date, page,
               p->name, p->version, p->name, SLICE_FMT(suffix));
    put_roff_line(out, summary);
}

// "perfwright-run-list", and in upper case for .Dt.
static void page_name(const Program *p, const Verb *verb, bool upper, Buf *out)
{
    buf_printf(out, "%s-%s", p->name, verb->name);
    for (size_t i = 0; i < out->len; i++) {
        char c = out->data[i];
        out->data[i] = c == ' ' ? '-' : upper && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
}

static void man_option(const Option *o, Buf *out)
{
    const char *metavar = option_metavar(o);
    buf_puts(out, ".It ");
    if (o->short_name) {
        buf_printf(out, "Fl %c , ", o->short_name);
    }
    buf_printf(out, "Fl \\-%s%s", o->negatable ? "[no-]" : "", o->name);
    if (metavar) {
        buf_printf(out, " Ar %s", metavar);
    }
    buf_putc(out, '\n');
    put_roff_line(out, o->help);
    for (size_t i = 0; o->choices && o->choices[i]; i++) {
        buf_puts(out, i ? ",\n.Cm " : "One of\n.Cm ");
        buf_puts(out, o->choices[i]);
        buf_puts(out, o->choices[i + 1] ? "" : " .\n");
    }
    if (o->repeat) {
        buf_puts(out, "May be given more than once.\n");
    }
    if (o->default_text) {
        buf_puts(out, "Default: ");
        put_roff(out, slice_from_cstr(o->default_text));
        buf_puts(out, ".\n");
    }
    if (o->env) {
        buf_printf(out, "Environment:\n.Ev %s .\n", o->env);
    }
}

static void man_paragraphs(const char *text, Buf *out)
{
    Slice rest = slice_from_cstr(text);
    while (rest.len > 0) {
        ptrdiff_t end = slice_find(rest, SLICE("\n\n"));
        put_roff(out, slice_sub(rest, 0, end < 0 ? rest.len : (size_t)end));
        buf_puts(out, end < 0 ? "\n" : "\n.Pp\n");
        rest = end < 0 ? (Slice){0} : slice_sub(rest, (size_t)end + 2, rest.len);
    }
}

static void man_positionals(const Verb *verb, Buf *out)
{
    for (size_t i = 0; i < verb->positional_count; i++) {
        const Positional *a = &verb->positionals[i];
        buf_printf(out, ".%sAr %s%s\n", a->optional ? "Op " : "", a->name, a->many ? " ..." : "");
    }
}

static void man_options(const Verb *verb, Buf *out)
{
    buf_puts(out, ".Sh OPTIONS\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < verb->positional_count; i++) {
        buf_printf(out, ".It Ar %s\n", verb->positionals[i].name);
        put_roff_line(out, verb->positionals[i].help);
    }
    for (size_t i = 0; i < verb->option_count; i++) {
        if (!verb->options[i].hidden) {
            man_option(&verb->options[i], out);
        }
    }
    buf_puts(out, ".It Fl h , Fl \\-help\nPrint help and exit.\n.El\n");
}

void man_verb(const Program *p, const Verb *verb, Buf *out)
{
    Buf page = buf_create(256), name = buf_create(256);
    page_name(p, verb, true, &page);
    page_name(p, verb, false, &name);
    man_head(p, page.data ? page.data : "", slice_sub(buf_slice(&name), strlen(p->name), name.len),
             verb->summary, out);
    buf_printf(out, ".Sh SYNOPSIS\n.Nm %s %s\n.Op Ar options\n", p->name, verb->name);
    man_positionals(verb, out);
    if (verb->description) {
        buf_puts(out, ".Sh DESCRIPTION\n");
        man_paragraphs(verb->description, out);
    }
    man_options(verb, out);
    if (verb->example_count > 0) {
        buf_puts(out, ".Sh EXAMPLES\n");
    }
    for (size_t i = 0; i < verb->example_count; i++) {
        put_roff_line(out, verb->examples[i].what);
        buf_puts(out, ".Dl ");
        put_roff_line(out, verb->examples[i].command);
    }
    buf_printf(out, ".Sh SEE ALSO\n.Xr %s 1\n", p->name);
    buf_done(&page);
    buf_done(&name);
}

void man_program(const Program *p, Buf *out)
{
    Buf upper = buf_create(256);
    for (const char *c = p->name; *c; c++) {
        buf_putc(&upper, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    }
    man_head(p, upper.data ? upper.data : "", (Slice){0}, p->summary, out);
    buf_printf(out, ".Sh SYNOPSIS\n.Nm %s\n.Ar verb\n.Op Ar options\n.Sh DESCRIPTION\n", p->name);
    buf_puts(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < p->verb_count; i++) {
        buf_printf(out, ".It Cm %s\n", p->verbs[i]->name);
        put_roff(out, slice_from_cstr(p->verbs[i]->summary));
        buf_puts(out, ".\n");
    }
    buf_puts(out, ".El\n");
    buf_done(&upper);
}
