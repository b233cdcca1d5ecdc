// improve: what its sub-verbs are. Each of them stands in a cmd_improve_SUB.c of its own.
#include "cli/commands.h"

static bool is_sub_verb(Slice name)
{
    return slice_starts_with(name, SLICE("improve "));
}

static void put_phases(Buf *out)
{
    buf_puts(out, "perfwright improve makes a repository faster, in phases that each end for a "
                  "person to look:\n\n"
                  "  research    what it is, where its time goes, whether it is worth a try\n"
                  "  configure   how it is installed, built, tested and measured, found by trying\n"
                  "  attempt     an engine writes a patch, perfwright judges it\n\n"
                  "Every number is taken by perfwright itself. Only .perfwright/ in the repository "
                  "is written.\n\nVerbs:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const Verb *verb = COMMANDS[i]->verb;
        if (is_sub_verb(slice_from_cstr(verb->name))) {
            buf_printf(out, "  %-18s %s\n", verb->name, verb->summary);
        }
    }
    buf_puts(out, "\n`perfwright improve SUB --help` tells the options of one.\n");
}

static int unknown_sub_verb(Slice word, Err *e)
{
    enum { NAMES_MAX = 64 };
    Slice names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_COUNT && count < NAMES_MAX; i++) {
        Slice name = slice_from_cstr(COMMANDS[i]->verb->name);
        if (is_sub_verb(name)) {
            names[count++] = slice_sub(name, sizeof "improve", name.len);
        }
    }
    Slice nearest = slice_nearest(word, names, count);
    if (nearest.len > 0) {
        return err_set(e, ERR_ARG, "there is no \"improve %.*s\"; did you mean \"improve %.*s\"?",
                       SLICE_FMT(word), SLICE_FMT(nearest));
    }
    return err_set(e, ERR_ARG,
                   "there is no \"improve %.*s\"; `perfwright improve` lists what "
                   "there is",
                   SLICE_FMT(word));
}

static int run_improve(App *app, const OptionSet *set, Err *e)
{
    Slice word = option_positional(set, 0);
    if (word.len > 0) {
        return unknown_sub_verb(word, e);
    }
    put_phases(&app->out);
    return EXIT_PASS;
}

static const Positional IMPROVE_ARGS[] = {{"SUB", "One of the verbs below.", true, false}};
static const Example IMPROVE_EXAMPLES[] = {
    {"perfwright improve research .", "The first phase, here."},
    {"perfwright improve verify --patch faster.diff", "Is the patch what it says?"},
};
static const Verb VERB_IMPROVE = {
    .name = "improve",
    .summary = "make a repository faster, with proof (lists its verbs)",
    .description = "Research, configure, attempt: each phase ends for a person to look. "
                   "`perfwright improve` alone lists the verbs.",
    POSITIONAL_TABLE(IMPROVE_ARGS),
    EXAMPLE_TABLE(IMPROVE_EXAMPLES)};
const Command CMD_IMPROVE = {&VERB_IMPROVE, run_improve, true};
