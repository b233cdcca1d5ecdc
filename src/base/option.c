#include "base/option.h"

#include <assert.h>
#include <math.h>

typedef struct Slot {
    OptionOrigin origin;
    OptionValue *first, *last;
    size_t count;
} Slot;

struct OptionSet {
    const Verb *verb;
    Arena *arena;
    Slot *slots; // one an option
    Slice *positionals;
    size_t positional_count;
    size_t behind_dashes;
    bool help;
};

static int parse_flag(Slice text, bool *ret_flag)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (slice_eq_cstr(text, yes[i]) || slice_eq_cstr(text, no[i])) {
            *ret_flag = slice_eq_cstr(text, yes[i]);
            return 0;
        }
    }
    return ERR_PARSE;
}

static int parse_choice(const Option *o, Slice text, int64_t *ret_index, Err *e)
{
    Slice names[64];
    Buf all = buf_create(ERR_TEXT_MAX);
    size_t count = 0;
    for (; o->choices[count] && count < COUNT_OF(names); count++) {
        names[count] = slice_from_cstr(o->choices[count]);
        if (slice_eq(text, names[count])) {
            buf_done(&all);
            *ret_index = (int64_t)count;
            return 0;
        }
        buf_printf(&all, "%s%s", count ? ", " : "", o->choices[count]);
    }
    Slice nearest = slice_nearest(text, names, count);
    int rc = err_set(e, ERR_ARG, "\"%.*s\" is none of %s%s%.*s%s", SLICE_FMT(text),
                     all.data ? all.data : "", nearest.len ? "; did you mean " : "",
                     SLICE_FMT(nearest), nearest.len ? "?" : "");
    buf_done(&all);
    return rc;
}

static int check_range(const Option *o, Slice text, double value, Err *e)
{
    if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max)) {
        return 0;
    }
    char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    if (o->kind == OPTION_DURATION) {
        (void)duration_format((int64_t)o->min, low);
        (void)duration_format((int64_t)o->max, high);
    } else if (o->kind == OPTION_SIZE) {
        (void)size_format((int64_t)o->min, low);
        (void)size_format((int64_t)o->max, high);
    } else {
        (void)snprintf(low, sizeof low, "%.15g", o->min);
        (void)snprintf(high, sizeof high, "%.15g", o->max);
    }
    return err_set(e, ERR_ARG, "%.*s is not between %s and %s", SLICE_FMT(text), low, high);
}

static int convert_number(const Option *o, Slice text, OptionValue *value, Err *e)
{
    if (o->kind == OPTION_FLOAT) {
        if (slice_to_f64(text, &value->real) != 0) {
            return err_set(e, ERR_ARG, "\"%.*s\" is not a number", SLICE_FMT(text));
        }
        return check_range(o, text, value->real, e);
    }
    if (slice_to_i64(text, &value->integer) != 0) {
        return err_set(e, ERR_ARG, "\"%.*s\" is not a whole number%s", SLICE_FMT(text),
                       slice_to_i64(text, &value->integer) == ERR_LIMIT ? " of 64 bits" : "");
    }
    return check_range(o, text, (double)value->integer, e);
}

static int convert(const Option *o, Slice text, OptionValue *value, Err *e)
{
    int rc = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        rc = parse_flag(text, &value->flag);
        return rc ? err_set(e, ERR_ARG, "\"%.*s\" is neither true nor false", SLICE_FMT(text)) : 0;
    case OPTION_STRING: return 0;
    case OPTION_INT:
    case OPTION_FLOAT: return convert_number(o, text, value, e);
    case OPTION_RATE: return rate_parse(text, o->default_unit, &value->rate, e);
    case OPTION_CHOICE: return parse_choice(o, text, &value->integer, e);
    case OPTION_DURATION: rc = duration_parse(text, o->default_unit, &value->integer, e); break;
    case OPTION_SIZE: rc = size_parse(text, &value->integer, e); break;
    case OPTION_COUNT: rc = count_parse(text, &value->integer, e); break;
    }
    return rc ? rc : check_range(o, text, (double)value->integer, e);
}

// `what` names the place in a message: "--vus" or "PERFWRIGHT_VUS".
static int put(OptionSet *set, size_t index, Slice text, OptionOrigin origin, const char *what,
               Err *e)
{
    const Option *o = &set->verb->options[index];
    Slot *slot = &set->slots[index];
    OptionValue *value = ARENA_NEW(set->arena, OptionValue);
    value->text = arena_copy(set->arena, text);
    if (convert(o, value->text, value, e) != 0) {
        return err_set(e, ERR_ARG, "%s: %s", what, e ? e->text : "");
    }
    if (slot->origin != origin || !o->repeat) {
        *slot = (Slot){.origin = origin};
    }
    if (slot->count == OPTION_VALUES_MAX) {
        return err_set(e, ERR_ARG, "%s: more than %d values", what, OPTION_VALUES_MAX);
    }
    if (slot->last) {
        slot->last->next = value;
    } else {
        slot->first = value;
    }
    slot->last = value;
    slot->count++;
    return 0;
}

static int put_list(OptionSet *set, size_t index, Slice text, OptionOrigin origin, const char *what,
                    Err *e)
{
    bool more = true;
    while (more) {
        Slice item = text, rest = {0};
        more = set->verb->options[index].repeat && slice_cut(text, ',', &item, &rest);
        int rc = put(set, index, item, origin, what, e);
        if (rc != 0) {
            return rc;
        }
        text = rest;
    }
    return 0;
}

static int take_defaults(OptionSet *set, char *(*get_env)(const char *name), Err *e)
{
    for (size_t i = 0; i < set->verb->option_count; i++) {
        const Option *o = &set->verb->options[i];
        int rc = 0;
        if (o->default_text) {
            rc =
                put_list(set, i, slice_from_cstr(o->default_text), OPTION_FROM_DEFAULT, o->name, e);
        }
        const char *value = rc == 0 && o->env && get_env ? get_env(o->env) : NULL;
        if (value && *value) {
            rc = put_list(set, i, slice_from_cstr(value), OPTION_FROM_ENV, o->env, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static ptrdiff_t find_long(const Verb *verb, Slice name)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        if (slice_eq_cstr(name, verb->options[i].name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static ptrdiff_t find_short(const Verb *verb, char name)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        if (verb->options[i].short_name == name) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static int unknown_option(const OptionSet *set, Slice name, Err *e)
{
    const Verb *verb = set->verb;
    Slice *names = ARENA_ARRAY(set->arena, Slice, verb->option_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < verb->option_count; i++) {
        if (!verb->options[i].hidden) {
            names[count++] = slice_from_cstr(verb->options[i].name);
        }
    }
    names[count++] = SLICE("help");
    Slice nearest = slice_nearest(name, names, count);
    if (nearest.len > 0) {
        return err_set(e, ERR_ARG, "unknown option --%.*s; did you mean --%.*s?", SLICE_FMT(name),
                       SLICE_FMT(nearest));
    }
    return err_set(e, ERR_ARG, "unknown option --%.*s; \"%s --help\" lists them", SLICE_FMT(name),
                   verb->name);
}

typedef struct ArgReader {
    const char *const *args;
    size_t count, at;
} ArgReader;

// The value in the next argument, which must not look like an option that stands in its place.
static int next_value(ArgReader *r, const char *what, Slice *ret_value, Err *e)
{
    if (r->at == r->count) {
        return err_set(e, ERR_ARG, "%s wants a value", what);
    }
    Slice value = slice_from_cstr(r->args[r->at]);
    if (slice_starts_with(value, SLICE("--"))) {
        return err_set(e, ERR_ARG, "%s wants a value; write %s=%.*s if that is one", what, what,
                       SLICE_FMT(value));
    }
    r->at++;
    *ret_value = value;
    return 0;
}

static int take_long(OptionSet *set, ArgReader *r, Slice arg, Err *e)
{
    Slice name, value;
    bool has_value = slice_cut(slice_sub(arg, 2, arg.len), '=', &name, &value);
    const char *what = arena_printf(set->arena, "--%.*s", SLICE_FMT(name)).ptr;
    ptrdiff_t index = find_long(set->verb, name);
    if (index < 0 && slice_eq_cstr(name, "help")) {
        set->help = true;
        return 0;
    }
    if (index < 0 && slice_starts_with(name, SLICE("no-"))) {
        index = find_long(set->verb, slice_sub(name, 3, name.len));
        if (index >= 0 && set->verb->options[index].negatable && !has_value) {
            return put(set, (size_t)index, SLICE("false"), OPTION_FROM_ARGS, what, e);
        }
        index = -1;
    }
    if (index < 0) {
        return unknown_option(set, name, e);
    }
    if (!has_value && set->verb->options[index].kind == OPTION_FLAG) {
        value = SLICE("true");
    } else if (!has_value) {
        int rc = next_value(r, what, &value, e);
        if (rc != 0) {
            return rc;
        }
    }
    return put(set, (size_t)index, value, OPTION_FROM_ARGS, what, e);
}

static int take_short(OptionSet *set, ArgReader *r, Slice arg, Err *e)
{
    for (size_t i = 1; i < arg.len; i++) {
        char what[] = {'-', arg.ptr[i], '\0'};
        ptrdiff_t index = find_short(set->verb, arg.ptr[i]);
        if (index < 0 && arg.ptr[i] == 'h') {
            set->help = true;
            continue;
        }
        if (index < 0) {
            return err_set(e, ERR_ARG, "unknown option %s in %.*s; \"%s --help\" lists them", what,
                           SLICE_FMT(arg), set->verb->name);
        }
        bool flag = set->verb->options[index].kind == OPTION_FLAG;
        Slice value = flag ? SLICE("true") : slice_sub(arg, i + 1, arg.len);
        int rc = value.len == 0 ? next_value(r, what, &value, e) : 0;
        if (rc != 0 || (rc = put(set, (size_t)index, value, OPTION_FROM_ARGS, what, e)) != 0) {
            return rc;
        }
        if (!flag) {
            return 0; // the rest of the argument was the value
        }
    }
    return 0;
}

static int take_args(OptionSet *set, ArgReader *r, Err *e)
{
    bool dashes = false;
    while (r->at < r->count) {
        Slice arg = slice_from_cstr(r->args[r->at++]);
        int rc = 0;
        if (!dashes && slice_eq_cstr(arg, "--")) {
            dashes = true;
        } else if (!dashes && slice_starts_with(arg, SLICE("--"))) {
            rc = take_long(set, r, arg, e);
        } else if (!dashes && arg.len > 1 && arg.ptr[0] == '-') {
            rc = take_short(set, r, arg, e);
        } else {
            set->positionals[set->positional_count++] = arena_copy(set->arena, arg);
            set->behind_dashes += dashes;
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_positionals(const OptionSet *set, Err *e)
{
    const Verb *verb = set->verb;
    size_t have = set->positional_count, least = 0, most = verb->positional_count;
    for (size_t i = 0; i < verb->positional_count; i++) {
        least += !verb->positionals[i].optional;
        most = verb->positionals[i].many ? SIZE_MAX : most;
    }
    if (have < least) {
        return err_set(e, ERR_ARG, "%s is missing; \"%s --help\" shows how to call it",
                       verb->positionals[have].name, verb->name);
    }
    if (have > most) {
        return err_set(e, ERR_ARG, "unexpected argument \"%.*s\"",
                       SLICE_FMT(set->positionals[most]));
    }
    return 0;
}

static int check_complete(const OptionSet *set, Err *e)
{
    for (size_t i = 0; i < set->verb->option_count; i++) {
        if (set->verb->options[i].required && set->slots[i].origin == OPTION_ABSENT) {
            return err_set(e, ERR_ARG, "--%s is required", set->verb->options[i].name);
        }
    }
    return check_positionals(set, e);
}

int option_parse(Arena *arena, const Verb *verb, const char *const *args, size_t count,
                 char *(*get_env)(const char *name), OptionSet **ret_set, Err *e)
{
    if (count > OPTION_VALUES_MAX) {
        return err_set(e, ERR_ARG, "more than %d arguments", OPTION_VALUES_MAX);
    }
    OptionSet *set = ARENA_NEW(arena, OptionSet);
    set->verb = verb;
    set->arena = arena;
    set->slots = ARENA_ARRAY(arena, Slot, verb->option_count);
    set->positionals = ARENA_ARRAY(arena, Slice, count);
    ArgReader reader = {args, count, 0};
    int rc = take_defaults(set, get_env, e);
    if (rc == 0) {
        rc = take_args(set, &reader, e);
    }
    if (rc == 0 && !set->help) {
        rc = check_complete(set, e);
    }
    if (rc == 0) {
        *ret_set = set;
    }
    return rc;
}

bool option_help_wanted(const OptionSet *set)
{
    return set->help;
}

static const Slot *slot_of(const OptionSet *set, const char *name)
{
    ptrdiff_t index = find_long(set->verb, slice_from_cstr(name));
    assert(index >= 0 && "an option that is not in the verb's table");
    return &set->slots[index];
}

static const OptionValue *value_of(const OptionSet *set, const char *name, unsigned kinds)
{
    static const OptionValue none;
    const Slot *slot = slot_of(set, name);
    assert(kinds >> set->verb->options[slot - set->slots].kind & 1);
    return slot->last ? slot->last : &none;
}

bool option_flag(const OptionSet *set, const char *name)
{
    return value_of(set, name, 1u << OPTION_FLAG)->flag;
}

Slice option_string(const OptionSet *set, const char *name)
{
    return value_of(set, name, ~0u)->text;
}

int64_t option_int(const OptionSet *set, const char *name)
{
    return value_of(set, name,
                    1u << OPTION_INT | 1u << OPTION_DURATION | 1u << OPTION_SIZE |
                        1u << OPTION_COUNT | 1u << OPTION_CHOICE)
        ->integer;
}

double option_float(const OptionSet *set, const char *name)
{
    return value_of(set, name, 1u << OPTION_FLOAT)->real;
}

Rate option_rate(const OptionSet *set, const char *name)
{
    return value_of(set, name, 1u << OPTION_RATE)->rate;
}

const OptionValue *option_values(const OptionSet *set, const char *name)
{
    return slot_of(set, name)->first;
}

OptionOrigin option_origin(const OptionSet *set, const char *name)
{
    return slot_of(set, name)->origin;
}

bool option_known(const OptionSet *set, const char *name)
{
    for (size_t i = 0; i < set->verb->option_count; i++) {
        if (strcmp(set->verb->options[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool option_given(const OptionSet *set, const char *name)
{
    return option_origin(set, name) >= OPTION_FROM_ENV;
}

size_t option_positional_count(const OptionSet *set)
{
    return set->positional_count;
}

Slice option_positional(const OptionSet *set, size_t index)
{
    return index < set->positional_count ? set->positionals[index] : (Slice){0};
}

size_t option_behind_dashes(const OptionSet *set)
{
    return set->behind_dashes;
}

static bool well_formed(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
           name[0] != '-' && name[len - 1] != '-' && strcmp(name, "help") != 0;
}

static int check_option(const Verb *verb, size_t index, Err *e)
{
    const Option *o = &verb->options[index];
    OptionValue value;
    if (!well_formed(o->name) || !o->help || (o->negatable && o->kind != OPTION_FLAG)) {
        return err_set(e, ERR_ARG, "%s: --%s: bad name or no help", verb->name, o->name);
    }
    if ((o->kind == OPTION_CHOICE) != (o->choices != NULL)) {
        return err_set(e, ERR_ARG, "%s: --%s: choices and kind disagree", verb->name, o->name);
    }
    if (find_long(verb, slice_from_cstr(o->name)) != (ptrdiff_t)index ||
        (o->short_name && find_short(verb, o->short_name) != (ptrdiff_t)index)) {
        return err_set(e, ERR_ARG, "%s: --%s: a name is there twice", verb->name, o->name);
    }
    if (o->default_text && !o->repeat &&
        convert(o, slice_from_cstr(o->default_text), &value, e) != 0) {
        return err_set(e, ERR_ARG, "%s: --%s: default: %s", verb->name, o->name, e ? e->text : "");
    }
    return 0;
}

int option_table_check(const Verb *verb, Err *e)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        int rc = check_option(verb, i, e);
        if (rc != 0) {
            return rc;
        }
    }
    for (size_t i = 0; i + 1 < verb->positional_count; i++) {
        if (verb->positionals[i].many ||
            (verb->positionals[i].optional && !verb->positionals[i + 1].optional)) {
            return err_set(e, ERR_ARG, "%s: %s cannot be followed by others", verb->name,
                           verb->positionals[i].name);
        }
    }
    return 0;
}
