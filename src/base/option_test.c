#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/option.h"

static const char *const FORMATS[] = {"text", "json", "html", NULL};

static const Option OPTIONS[] = {
    {.name = "vus",
     .short_name = 'u',
     .kind = OPTION_INT,
     .min = 1,
     .max = 1000,
     .default_text = "1",
     .env = "PERFWRIGHT_VUS",
     .section = "Load",
     .help = "Virtual users."},
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_DURATION,
     .section = "Load",
     .max = 3600e9,
     .help = "How long the load lasts, from the first request to the last one that is started."},
    {.name = "rate", .kind = OPTION_RATE, .section = "Load", .help = "Arrivals."},
    {.name = "body-max", .kind = OPTION_SIZE, .help = "Bytes kept."},
    {.name = "iterations", .kind = OPTION_COUNT, .help = "In all."},
    {.name = "share", .kind = OPTION_FLOAT, .max = 1, .help = "Ratio."},
    {.name = "label",
     .kind = OPTION_STRING,
     .metavar = "KEY=VALUE",
     .env = "PERFWRIGHT_LABELS",
     .repeat = true,
     .help = "Label of the run."},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .choices = FORMATS,
     .default_text = "text",
     .help = "Of the report."},
    {.name = "json",
     .short_name = 'j',
     .kind = OPTION_FLAG,
     .env = "PERFWRIGHT_JSON",
     .help = "Print JSON."},
    {.name = "quiet", .short_name = 'q', .kind = OPTION_FLAG, .help = "No progress."},
    {.name = "color",
     .kind = OPTION_FLAG,
     .negatable = true,
     .default_text = "true",
     .help = "Use colour."},
    {.name = "secret-knob", .kind = OPTION_INT, .hidden = true, .help = "Not shown."},
};
static const Positional POSITIONALS[] = {
    {.name = "PLAN", .help = "The plan."},
    {.name = "CMD", .help = "A command.", .optional = true, .many = true},
};
static const Example EXAMPLES[] = {{"perfwright loadtest plan.yaml", "Run a plan:"}};
static const Verb VERB = {
    .name = "loadtest",
    .summary = "Run a load test",
    .description = "First paragraph.\n\nSecond.",
    OPTION_TABLE(OPTIONS),
    POSITIONAL_TABLE(POSITIONALS),
    EXAMPLE_TABLE(EXAMPLES),
};

static Arena *arena;
static Err err;
static const char *env_vus, *env_labels, *env_json;

static char *fake_env(const char *name)
{
    const char *value = strcmp(name, "PERFWRIGHT_VUS") == 0      ? env_vus
                        : strcmp(name, "PERFWRIGHT_LABELS") == 0 ? env_labels
                        : strcmp(name, "PERFWRIGHT_JSON") == 0   ? env_json
                                                                 : NULL;
    return (char *)(uintptr_t)value;
}

// Arguments in one text, parted by blanks.
static int parse(const char *text, OptionSet **ret_set)
{
    const char *args[32];
    size_t count = 0;
    Slice rest = slice_from_cstr(text), word;
    while (rest.len > 0) {
        (void)slice_cut(rest, ' ', &word, &rest);
        args[count++] = arena_cstr(arena, word);
    }
    return option_parse(arena, &VERB, args, count, fake_env, ret_set, &err);
}

static OptionSet *good(const char *text)
{
    OptionSet *set = NULL;
    if (parse(text, &set) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return set;
}

static int setup(void **state)
{
    (void)state;
    arena = arena_create(1 << 20);
    env_vus = env_labels = env_json = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static void test_all_spellings(void **state)
{
    (void)state;
    OptionSet *set = good("--vus 7 p.yaml --duration=1m30s --rate 100/s --body-max 64KiB "
                          "--iterations 2k --share=0.5 --format json --no-color -jq");
    assert_int_equal(option_int(set, "vus"), 7);
    assert_int_equal(option_int(set, "duration"), 90 * NS_PER_SECOND);
    assert_true(rate_per_second(option_rate(set, "rate")) == 100);
    assert_int_equal(option_int(set, "body-max"), 65536);
    assert_int_equal(option_int(set, "iterations"), 2000);
    assert_true(option_float(set, "share") == 0.5);
    assert_int_equal(option_int(set, "format"), 1);
    assert_true(slice_eq_cstr(option_string(set, "format"), "json"));
    assert_false(option_flag(set, "color"));
    assert_true(option_flag(set, "json") && option_flag(set, "quiet"));
    assert_true(slice_eq_cstr(option_positional(set, 0), "p.yaml"));

    set = good("p -u5 -qd 3s");
    assert_int_equal(option_int(set, "vus"), 5);
    assert_int_equal(option_int(set, "duration"), 3 * NS_PER_SECOND);
    assert_true(option_flag(set, "quiet"));
    assert_true(option_flag(set, "color"));
    assert_int_equal(option_origin(set, "color"), OPTION_FROM_DEFAULT);
    assert_int_equal(option_origin(set, "rate"), OPTION_ABSENT);
    assert_false(option_given(set, "rate"));
    assert_int_equal(option_string(set, "label").len, 0);
    assert_null(option_values(set, "label"));

    set = good("p --vus 1 --vus 2 -- --json -x");
    assert_int_equal(option_int(set, "vus"), 2);
    assert_int_equal(option_positional_count(set), 3);
    assert_int_equal(option_behind_dashes(set), 2);
    assert_true(slice_eq_cstr(option_positional(set, 1), "--json"));
    assert_int_equal(option_positional(set, 3).len, 0);
    assert_true(slice_eq_cstr(option_positional(good("-"), 0), "-"));
}

static void test_precedence(void **state)
{
    (void)state;
    env_vus = "20";
    env_json = "true";
    env_labels = "a=1,b=2";
    OptionSet *set = good("p");
    assert_int_equal(option_int(set, "vus"), 20);
    assert_int_equal(option_origin(set, "vus"), OPTION_FROM_ENV);
    assert_true(option_flag(set, "json"));
    const OptionValue *label = option_values(set, "label");
    assert_true(slice_eq_cstr(label->text, "a=1"));
    assert_true(slice_eq_cstr(label->next->text, "b=2"));

    set = good("p --vus 30 --json=false --label c=3,x --label d=4");
    assert_int_equal(option_int(set, "vus"), 30);
    assert_false(option_flag(set, "json"));
    label = option_values(set, "label");
    assert_true(slice_eq_cstr(label->text, "c=3,x"));
    assert_true(slice_eq_cstr(label->next->text, "d=4"));
    assert_null(label->next->next);

    env_vus = "";
    assert_int_equal(option_int(good("p"), "vus"), 1);
    env_vus = "many";
    OptionSet *none = NULL;
    assert_int_equal(parse("p", &none), ERR_ARG);
    assert_string_equal(err.text, "PERFWRIGHT_VUS: \"many\" is not a whole number");
    env_vus = env_labels = env_json = NULL;
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *args, *message;
    } cases[] = {
        {"p --duratoin 3s", "unknown option --duratoin; did you mean --duration?"},
        {"p --hepl", "unknown option --hepl; did you mean --help?"},
        {"p --zzzzzzzz", "unknown option --zzzzzzzz; \"loadtest --help\" lists them"},
        {"p --no-json", "unknown option --no-json; \"loadtest --help\" lists them"},
        {"p -qx", "unknown option -x in -qx; \"loadtest --help\" lists them"},
        {"p --vus", "--vus wants a value"},
        {"p -u", "-u wants a value"},
        {"p --vus --json", "--vus wants a value; write --vus=--json if that is one"},
        {"p --vus ten", "--vus: \"ten\" is not a whole number"},
        {"p --vus 0", "--vus: 0 is not between 1 and 1000"},
        {"p --vus 1001", "--vus: 1001 is not between 1 and 1000"},
        {"p --duration 30", "--duration: duration \"30\" has no unit; write 30s or 30ms"},
        {"p -d 61m", "-d: 61m is not between 0s and 1h"},
        {"p --share 1.01", "--share: 1.01 is not between 0 and 1"},
        {"p --format jsno", "--format: \"jsno\" is none of text, json, html; did you mean json?"},
        {"p --json=maybe", "--json: \"maybe\" is neither true nor false"},
        {"", "PLAN is missing; \"loadtest --help\" shows how to call it"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OptionSet *set = NULL;
        assert_int_equal(parse(cases[i].args, &set), ERR_ARG);
        assert_string_equal(err.text, cases[i].message);
        assert_null(set);
    }
}

static void test_required_and_positionals(void **state)
{
    (void)state;
    static const Option options[] = {
        {.name = "out", .kind = OPTION_STRING, .required = true, .help = "Where to."}};
    static const Positional one[] = {{.name = "RUN", .help = "A run.", .optional = true}};
    static const Verb verb = {
        .name = "run show", .summary = "Show", OPTION_TABLE(options), POSITIONAL_TABLE(one)};
    static const char *const extra[] = {"--out", "f", "a", "b"};
    static const char *const help[] = {"--help"};
    OptionSet *set = NULL;
    assert_int_equal(option_parse(arena, &verb, NULL, 0, NULL, &set, &err), ERR_ARG);
    assert_string_equal(err.text, "--out is required");
    assert_int_equal(option_parse(arena, &verb, extra, 4, NULL, &set, &err), ERR_ARG);
    assert_string_equal(err.text, "unexpected argument \"b\"");
    assert_int_equal(option_parse(arena, &verb, extra, 3, NULL, &set, &err), 0);
    assert_int_equal(option_parse(arena, &verb, help, 1, NULL, &set, &err), 0);
    assert_true(option_help_wanted(set));
}

static void test_number_of_arguments_is_limited(void **state)
{
    (void)state;
    static const char *args[OPTION_VALUES_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(args); i++) {
        args[i] = "x";
    }
    OptionSet *set = NULL;
    assert_int_equal(option_parse(arena, &VERB, args, OPTION_VALUES_MAX, NULL, &set, &err), 0);
    assert_int_equal(option_positional_count(set), OPTION_VALUES_MAX);
    assert_int_equal(option_parse(arena, &VERB, args, OPTION_VALUES_MAX + 1, NULL, &set, &err),
                     ERR_ARG);
}

static void test_help(void **state)
{
    (void)state;
    Buf out = buf_create(1 << 16);
    option_help(&out, "perfwright", &VERB, 80);
    static const char *const parts[] = {
        "Run a load test.\n\nUsage: perfwright loadtest [options] PLAN [CMD...]\n",
        "\nFirst paragraph.\n\nSecond.\n",
        "\nArguments:\n  PLAN                      The plan.\n",
        "\nLoad:\n  -u, --vus N               Virtual users. [default: 1] [env: PERFWRIGHT_VUS]\n",
        "  -d, --duration DURATION   How long the load lasts, from the first request to\n"
        "                            the last one that is started.\n",
        "\nOptions:\n      --body-max SIZE       Bytes kept.\n",
        "      --format CHOICE       Of the report. One of text, json, html. [default:\n"
        "                            text]\n",
        "      --[no-]color          Use colour. [default: true]\n",
        "      --label KEY=VALUE     Label of the run. May be given more than once.",
        "  -h, --help                Print this and exit.\n",
        "\nExamples:\n  Run a plan:\n      perfwright loadtest plan.yaml\n",
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (!strstr(out.data, parts[i])) {
            fail_msg("missing: %s\nin:\n%s", parts[i], out.data);
        }
    }
    assert_null(strstr(out.data, "secret-knob"));
    buf_done(&out);
}

static void test_table_check(void **state)
{
    (void)state;
    assert_int_equal(option_table_check(&VERB, &err), 0);
    static const Option bad[][2] = {
        {{.name = "a", .help = "x"}, {.name = "a", .help = "x"}},
        {{.name = "a", .short_name = 'a', .help = "x"},
         {.name = "b", .short_name = 'a', .help = "x"}},
        {{.name = "Up", .help = "x"}, {.name = "b", .help = "x"}},
        {{.name = "help", .help = "x"}, {.name = "b", .help = "x"}},
        {{.name = "a"}, {.name = "b", .help = "x"}},
        {{.name = "a", .kind = OPTION_CHOICE, .help = "x"}, {.name = "b", .help = "x"}},
        {{.name = "a", .kind = OPTION_INT, .default_text = "x", .help = "x"},
         {.name = "b", .help = "x"}},
        {{.name = "a", .kind = OPTION_INT, .negatable = true, .help = "x"},
         {.name = "b", .help = "x"}},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Verb verb = {.name = "v", .options = bad[i], .option_count = 2};
        assert_int_equal(option_table_check(&verb, &err), ERR_ARG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_spellings),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_required_and_positionals),
        cmocka_unit_test(test_number_of_arguments_is_limited),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_table_check),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
