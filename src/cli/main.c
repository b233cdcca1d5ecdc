// perfwright: finds the verb, reads its options, runs it, prints what it made, and turns the result
// into an exit code.
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/agentcli.h"
#include "cli/app.h"
#include "cli/commands.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/signal.h"

enum { ARENA_BYTES_MAX = 1 << 30, COLUMNS_DEFAULT = 100, COLUMNS_MAX = 200 };

// ---- finding the verb

// Longest match first: "run list" before "run". *ret_words is how many arguments the name took.
static const Command *find_command(const char *const *args, size_t count, size_t *ret_words)
{
    for (size_t words = count < 2 ? count : 2; words > 0; words--) {
        char name[64];
        (void)snprintf(name, sizeof name, words == 2 ? "%s %s" : "%s", args[0],
                       words == 2 ? args[1] : "");
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            if (strcmp(COMMANDS[i]->verb->name, name) == 0) {
                *ret_words = words;
                return COMMANDS[i];
            }
        }
    }
    return NULL;
}

static void put_overview(Buf *out)
{
    buf_puts(out, "perfwright measures, judges and explains the performance of services.\n\n"
                  "Usage: perfwright VERB [options]\n\n"
                  "  perfwright loadtest --url http://127.0.0.1:8080/ --vus 50 --duration 30s\n"
                  "  perfwright loadtest plan.yaml --baseline main --report report.html\n"
                  "  perfwright gate latest --baseline main\n\nVerbs:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        buf_printf(out, "  %-16s %s\n", COMMANDS[i]->verb->name, COMMANDS[i]->verb->summary);
    }
    buf_puts(out, "\n`perfwright VERB --help` tells a verb's options.\n");
}

// The verbs that begin with the word, for "run" without a second word.
static bool put_family(Buf *out, Slice word)
{
    bool any = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        Slice first, rest;
        Slice name = slice_from_cstr(COMMANDS[i]->verb->name);
        if (slice_cut(name, ' ', &first, &rest) && slice_eq(first, word)) {
            buf_printf(out, "  %-16s %s\n", COMMANDS[i]->verb->name, COMMANDS[i]->verb->summary);
            any = true;
        }
    }
    return any;
}

static int unknown_verb(App *app, Slice word)
{
    Buf text = buf_create(64 << 10);
    if (put_family(&text, word)) {
        (void)fprintf(stderr, "perfwright: \"%.*s\" wants one more word:\n%s", SLICE_FMT(word),
                      text.data);
    } else {
        Slice *names = ARENA_ARRAY(app->arena, Slice, COMMAND_COUNT);
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            names[i] = slice_from_cstr(COMMANDS[i]->verb->name);
        }
        Slice nearest = slice_nearest(word, names, COMMAND_COUNT);
        (void)fprintf(stderr, "perfwright: there is no verb \"%.*s\"", SLICE_FMT(word));
        if (nearest.len > 0) {
            (void)fprintf(stderr, "; did you mean \"%.*s\"?", SLICE_FMT(nearest));
        }
        (void)fputs("\nperfwright --help lists them.\n", stderr);
    }
    buf_done(&text);
    return EXIT_USAGE;
}

// ---- the run

static bool wants_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    const char *force = getenv("FORCE_COLOR");
    if (no_color && no_color[0]) {
        return false;
    }
    if (force && force[0]) {
        return true;
    }
    return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) {
        return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
    }
    return COLUMNS_DEFAULT;
}

// Everything at once, so that a pipe's reader never sees half a document of a failed command.
static int print_out(const App *app)
{
    size_t done = 0;
    while (done < app->out.len) {
        ssize_t n = write(STDOUT_FILENO, app->out.data + done, app->out.len - done);
        if (n < 0) {
            return EXIT_ERROR;
        }
        done += (size_t)n;
    }
    return EXIT_PASS;
}

static int64_t wall_now(void *context)
{
    (void)context;
    return clock_wall(clock_real());
}

static void open_log(LogLevel level, bool json)
{
    log_open(
        &(LogSink){.write = log_write_stderr, .wall_ns = wall_now, .level = level, .json = json});
}

// Reads the settings files and the environment, and follows what they say about talking.
static int load_settings(App *app, Err *e)
{
    char directory[PATH_MAX];
    Buf user = buf_create(PATH_MAX);
    if (user_file(USER_CONFIG, "PERFWRIGHT_CONFIG", "perfwright/config.toml", &user, NULL) != 0) {
        buf_reset(&user); // no home directory, no user file
    }
    ConfigOptions options = {
        .directory = getcwd(directory, sizeof directory),
        .user_file = user.len > 0 ? user.data : NULL,
        .get_env = getenv,
    };
    int rc = config_load(app->arena, &options, &app->config, e);
    buf_done(&user);
    if (rc != 0) {
        return rc;
    }
    const ConfigValue *color = config_get(app->config, CONFIG_COLOR);
    if ((ConfigColor)color->integer != COLOR_AUTO) {
        app->color = app->talk_color = (ConfigColor)color->integer == COLOR_ALWAYS;
    }
    open_log((LogLevel)config_get(app->config, CONFIG_LOG_LEVEL)->integer,
             config_get(app->config, CONFIG_LOG_FORMAT)->integer == 1);
    return 0;
}

static int run_command(App *app, const Command *command, const char *const *args, size_t count)
{
    Err e = {0};
    OptionSet *set = NULL;
    int rc = option_parse(app->arena, command->verb, args, count, getenv, &set, &e);
    if (rc == 0 && option_help_wanted(set)) {
        option_help(&app->out, "perfwright", command->verb, app->columns);
        return EXIT_PASS;
    }
    if (rc == 0 && !command->without_settings) {
        rc = load_settings(app, &e);
    }
    if (rc == 0) {
        rc = command->run(app, set, &e);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "perfwright: %s: %s\n", command->verb->name, e.text);
        return (int)exit_code_of(rc);
    }
    return rc;
}

// As a shell would take it, for reports.
static Slice command_line(Arena *arena, const char *const *args, size_t count)
{
    Buf text = buf_create(1 << 20);
    buf_puts(&text, "perfwright");
    for (size_t i = 0; i < count; i++) {
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789-_./:=,@%+~";
        bool quote = args[i][0] == '\0' || args[i][strspn(args[i], plain)] != '\0';
        buf_puts(&text, quote ? " '" : " ");
        for (const char *c = args[i]; *c; c++) {
            if (*c == '\'') {
                buf_puts(&text, "'\\''");
            } else {
                buf_putc(&text, *c);
            }
        }
        buf_puts(&text, quote ? "'" : "");
    }
    Slice line = arena_copy(arena, buf_slice(&text));
    buf_done(&text);
    return line;
}

static int perfwright(App *app, const char *const *args, size_t count)
{
    if (count == 0 || strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0 ||
        strcmp(args[0], "help") == 0) {
        put_overview(&app->out);
        return count == 0 ? EXIT_USAGE : EXIT_PASS;
    }
    if (strcmp(args[0], "sandbox-forward") == 0) {
        return sandbox_forward(app, args + 1, count - 1);
    }
    if (strcmp(args[0], "--version") == 0) {
        static const char *const version[] = {"version"};
        args = version;
        count = 1;
    }
    size_t words = 0;
    const Command *command = find_command(args, count, &words);
    if (!command) {
        return unknown_verb(app, slice_from_cstr(args[0]));
    }
    return run_command(app, command, args + words, count - words);
}

int main(int argc, char **argv)
{
    // Before any thread: signals arrive on a loop, and a closed pipe is an error of write().
    signals_block();
    (void)setlocale(LC_NUMERIC, "C");
    App app = {
        .arena = arena_create(ARENA_BYTES_MAX),
        .out = buf_create(APP_OUT_BYTES_MAX),
        .color = wants_color(STDOUT_FILENO),
        .talk_is_terminal = isatty(STDERR_FILENO) == 1,
        .talk_color = wants_color(STDERR_FILENO),
        .columns = terminal_columns(),
    };
    open_log(LOG_WARN, false);
    app.command_line = command_line(app.arena, (const char *const *)argv + 1, (size_t)argc - 1);
    const char *const *args = (const char *const *)argv + 1;
    size_t count = (size_t)argc - 1;
    Err e = {0};
    int code = EXIT_USAGE;
    if (agentcli_is(argv[0]) &&
        agentcli_translate(app.arena, args, count, &args, &count, &e) != 0) {
        (void)fprintf(stderr, "agentcli: %s\n", e.text);
    } else {
        code = perfwright(&app, args, count);
    }
    if (print_out(&app) != EXIT_PASS && code == EXIT_PASS) {
        code = EXIT_ERROR;
    }
    buf_done(&app.out);
    arena_destroy(app.arena);
    return code;
}
