// version, completion, man: what the program tells about itself.
#include "cli/app.h"
#include "cli/commands.h"

#include "base/json_write.h"
#include "base/option_export.h"

static const Verb *const *all_verbs(App *app)
{
    const Verb **verbs = ARENA_ARRAY(app->arena, const Verb *, COMMAND_COUNT);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        verbs[i] = COMMANDS[i]->verb;
    }
    return verbs;
}

static Program program_of(App *app)
{
    return (Program){
        .name = "perfwright",
        .version = PERFWRIGHT_VERSION,
        .date = "2026-11-21",
        .summary = "an agentic performance engineer",
        .verbs = all_verbs(app),
        .verb_count = COMMAND_COUNT,
    };
}

static int run_version(App *app, const OptionSet *set, Err *e)
{
    (void)e;
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_string(&w, "version", slice_from_cstr(PERFWRIGHT_VERSION));
        json_object_end(&w);
        buf_putc(&app->out, '\n');
        return EXIT_PASS;
    }
    buf_puts(&app->out, "perfwright " PERFWRIGHT_VERSION "\n");
    return EXIT_PASS;
}

static const Option VERSION_OPTIONS[] = {OPTION_JSON};
static const Verb VERB_VERSION = {
    .name = "version", .summary = "print the version", OPTION_TABLE(VERSION_OPTIONS)};
const Command CMD_VERSION = {&VERB_VERSION, run_version, true};

static int run_completion(App *app, const OptionSet *set, Err *e)
{
    Program program = program_of(app);
    Slice shell = option_positional(set, 0);
    if (slice_eq_cstr(shell, "bash")) {
        completion_bash(&program, &app->out);
    } else if (slice_eq_cstr(shell, "zsh")) {
        completion_zsh(&program, &app->out);
    } else if (slice_eq_cstr(shell, "fish")) {
        completion_fish(&program, &app->out);
    } else {
        return err_set(e, ERR_ARG, "no completion for \"%.*s\"; there is bash, zsh and fish",
                       SLICE_FMT(shell));
    }
    return EXIT_PASS;
}

static const Positional COMPLETION_ARGS[] = {{"SHELL", "bash, zsh or fish.", false, false}};
static const Example COMPLETION_EXAMPLES[] = {
    {"source <(perfwright completion bash)", "For this shell."},
};
static const Verb VERB_COMPLETION = {.name = "completion",
                                     .summary = "print a shell's completion script",
                                     POSITIONAL_TABLE(COMPLETION_ARGS),
                                     EXAMPLE_TABLE(COMPLETION_EXAMPLES)};
const Command CMD_COMPLETION = {&VERB_COMPLETION, run_completion, true};

static int run_man(App *app, const OptionSet *set, Err *e)
{
    Program program = program_of(app);
    Slice name = option_positional(set, 0);
    if (name.len == 0) {
        man_program(&program, &app->out);
        return EXIT_PASS;
    }
    Slice second = option_positional(set, 1);
    if (second.len > 0) {
        name = arena_printf(app->arena, "%.*s %.*s", SLICE_FMT(name), SLICE_FMT(second));
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (slice_eq_cstr(name, COMMANDS[i]->verb->name)) {
            man_verb(&program, COMMANDS[i]->verb, &app->out);
            return EXIT_PASS;
        }
    }
    return err_set(e, ERR_ARG, "there is no verb \"%.*s\"", SLICE_FMT(name));
}

static const Positional MAN_ARGS[] = {
    {"VERB", "One or two words; without: the program.", true, true}};
static const Verb VERB_MAN = {
    .name = "man", .summary = "print a manual page in mdoc(7)", POSITIONAL_TABLE(MAN_ARGS)};
const Command CMD_MAN = {&VERB_MAN, run_man, true};
