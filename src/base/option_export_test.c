// The bash script is judged by bash itself; the others by their text.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/option_export.h"

static const char *const FORMATS[] = {"text", "json", NULL};
static const Option OPTIONS[] = {
    {.name = "format",
     .short_name = 'f',
     .kind = OPTION_CHOICE,
     .choices = FORMATS,
     .default_text = "text",
     .help = "Form of what's printed: [any]."},
    {.name = "color", .kind = OPTION_FLAG, .negatable = true, .help = "Colour."},
    {.name = "label",
     .kind = OPTION_STRING,
     .repeat = true,
     .env = "PERFWRIGHT_LABELS",
     .help = "Label."},
    {.name = "secret", .kind = OPTION_FLAG, .hidden = true, .help = "Hidden."},
};
static const Positional POSITIONALS[] = {{.name = "RUN", .help = "A run.", .optional = true}};
static const Example EXAMPLES[] = {{"perfwright run list -f json", "As JSON:"}};
static const Verb LIST = {.name = "run list",
                          .summary = "List runs",
                          OPTION_TABLE(OPTIONS),
                          POSITIONAL_TABLE(POSITIONALS),
                          EXAMPLE_TABLE(EXAMPLES),
                          .description = "One line.\n\n.dot \\ first."};
static const Verb SHOW = {.name = "run show", .summary = "Show a run"};
static const Verb GATE = {.name = "gate", .summary = "Gate a pipeline", OPTION_TABLE(OPTIONS)};
static const Verb *const VERBS[] = {&LIST, &SHOW, &GATE};
static const Program PROGRAM = {.name = "perfwright",
                                .version = "1.2.3",
                                .date = "2024-05-01",
                                .summary = "performance engineer",
                                .verbs = VERBS,
                                .verb_count = COUNT_OF(VERBS)};

// What bash offers for the words given, in one line.
static void complete(const char *words, int index, char *out, size_t room)
{
    Buf script = buf_create(1 << 16);
    completion_bash(&PROGRAM, &script);
    buf_printf(&script, "COMP_WORDS=(%s)\nCOMP_CWORD=%d\n_perfwright\necho \"${COMPREPLY[*]}\"\n",
               words, index);
    char path[] = "/tmp/option_export_test_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script.data, script.len), (ssize_t)script.len);
    assert_int_equal(close(fd), 0);
    char command[128];
    (void)snprintf(command, sizeof command, "bash %s 2>&1", path);
    FILE *bash = popen(command, "r");
    assert_non_null(bash);
    size_t len = fread(out, 1, room - 1, bash);
    out[len] = '\0';
    assert_int_equal(pclose(bash), 0);
    assert_int_equal(unlink(path), 0);
    buf_done(&script);
}

static void test_bash_completes(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int index;
        const char *offered;
    } cases[] = {
        {"perfwright ''", 1, "run gate\n"},
        {"perfwright g", 1, "gate\n"},
        {"perfwright run ''", 2, "list show\n"},
        {"perfwright run list --", 3, "--help --format --color --no-color --label\n"},
        {"perfwright run list --format j", 4, "json\n"},
        {"perfwright run show --", 3, "--help\n"},
        {"perfwright gate --f", 2, "--format\n"},
        {"perfwright gate --format ''", 3, "text json\n"},
        {"perfwright gate x", 2, "\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[1024];
        complete(cases[i].words, cases[i].index, out, sizeof out);
        assert_string_equal(out, cases[i].offered);
    }
}

static void require(const Buf *out, const char *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!strstr(out->data, parts[i])) {
            fail_msg("missing: %s\nin:\n%s", parts[i], out->data);
        }
    }
    assert_null(strstr(out->data, "secret"));
}

static void test_zsh_and_fish(void **state)
{
    (void)state;
    Buf out = buf_create(1 << 16);
    completion_zsh(&PROGRAM, &out);
    static const char *const zsh[] = {
        "#compdef perfwright\n",
        "compadd -- run gate\n",
        "compadd -- list show;",
        "'--format=[Form of what'\\''s printed\\: \\[any\\].]:CHOICE:(text json)'",
        "'*--label=[Label.]:TEXT:_files'",
        "'--no-color[Colour.]'",
    };
    require(&out, zsh, COUNT_OF(zsh));
    buf_reset(&out);
    completion_fish(&PROGRAM, &out);
    static const char *const fish[] = {
        "complete -c perfwright -n __fish_use_subcommand -a gate -d 'Gate a pipeline'\n",
        "complete -c perfwright -n '__fish_seen_subcommand_from run' -a list -d 'List runs'\n",
        ("complete -c perfwright -n '__fish_seen_subcommand_from run; and "
         "__fish_seen_subcommand_from list' -l format -s f -x -a 'text json' -d"),
    };
    require(&out, fish, COUNT_OF(fish));
    buf_done(&out);
}

static void test_manual_pages(void **state)
{
    (void)state;
    Buf out = buf_create(1 << 16);
    man_verb(&PROGRAM, &LIST, &out);
    static const char *const verb[] = {
        ".Dd 2024-05-01\n.Dt PERFWRIGHT-RUN-LIST 1\n.Os perfwright 1.2.3\n",
        ".Nm perfwright-run-list\n.Nd List runs\n",
        ".Nm perfwright run list\n.Op Ar options\n.Op Ar RUN\n",
        "One line.\n.Pp\n\\&.dot \\e first.\n",
        (".It Fl f , Fl \\-format Ar CHOICE\nForm of what's printed: [any].\nOne of\n.Cm text,\n"
         ".Cm json .\nDefault: text.\n"),
        ".Ev PERFWRIGHT_LABELS .\n",
        ".Dl perfwright run list \\-f json\n",
    };
    require(&out, verb, COUNT_OF(verb));
    buf_reset(&out);
    man_program(&PROGRAM, &out);
    static const char *const program[] = {".Dt PERFWRIGHT 1\n", ".Nd performance engineer\n",
                                          ".It Cm run show\nShow a run.\n"};
    require(&out, program, COUNT_OF(program));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bash_completes),
        cmocka_unit_test(test_zsh_and_fish),
        cmocka_unit_test(test_manual_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
