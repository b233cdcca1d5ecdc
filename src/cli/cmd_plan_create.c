// plan create: a commented plan to start from, made from the flags of a load test.
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"

#include "base/json_write.h"
#include "cli/plan_env.h"
#include "net/url.h"
#include "os/file.h"

enum { PLAN_TEXT_MAX = 1 << 20 };

typedef struct Sketch {
    App *app;
    const OptionSet *set;
    Url url;
    Buf *out;
} Sketch;

// JSON's quoted text is YAML's as well.
static void put_text(Sketch *s, const char *before, Slice text)
{
    buf_puts(s->out, before);
    json_quote(s->out, text);
    buf_putc(s->out, '\n');
}

static void put_head(Sketch *s)
{
    Slice path = option_string(s->set, "output");
    Slice file = path.len > 0 ? path : SLICE("plan.yaml");
    Slice name = option_string(s->set, "name");
    buf_printf(s->out,
               "# A load test. docs/guide/plan.md describes every field.\n"
               "#   perfwright plan validate %.*s\n"
               "#   perfwright loadtest %.*s\n"
               "version: 1\n",
               SLICE_FMT(file), SLICE_FMT(file));
    put_text(s, "name: ", name.len > 0 ? name : s->url.host);
    buf_puts(s->out,
             "seed: 1                 # equal seed and plan: equal requests at equal times\n");
    Slice baseline = option_string(s->set, "baseline");
    if (baseline.len > 0) {
        put_text(s, "baseline: ", baseline);
    } else {
        buf_puts(s->out, "# baseline: main        # a pinned baseline to compare with\n");
    }
}

static void put_environment(Sketch *s)
{
    Buf base = buf_create(URL_BYTES_MAX);
    buf_puts(&base, s->url.tls ? "https://" : "http://");
    url_append_authority(&base, &s->url);
    buf_puts(s->out, "\n# Where requests may go. Hosts that no environment declares are refused.\n"
                     "environments:\n  target:\n");
    buf_printf(s->out, "    kind: %.*s\n", SLICE_FMT(option_string(s->set, "kind")));
    put_text(s, "    baseUrl: ", buf_slice(&base));
    buf_done(&base);
    bool writes = option_flag(s->set, "isolated");
    buf_printf(s->out,
               "    %sdata: isolated      # its data may be changed: allows POST and the like\n",
               writes ? "" : "# ");
    buf_puts(s->out, "environment: target\n");
}

static void put_request(Sketch *s)
{
    Buf target = buf_create(URL_BYTES_MAX);
    url_append_target(&target, &s->url);
    Slice method = option_string(s->set, "method");
    buf_puts(s->out, "\n# Every iteration sends these, in this order.\nrequests:\n  main:\n");
    buf_printf(s->out, "    method: %.*s\n", SLICE_FMT(method));
    put_text(s, "    url: ", buf_slice(&target));
    buf_done(&target);
    buf_puts(s->out, "    checks:\n"
                     "      - status: 2xx\n"
                     "      # - {json: items.0.id, exists: true}\n"
                     "      # - {durationBelow: 500ms}\n");
}

static void put_option(Sketch *s, const char *option, const char *field)
{
    if (option_given(s->set, option)) {
        buf_printf(s->out, "%s: ", field);
        buf_append(s->out, option_string(s->set, option));
        buf_putc(s->out, '\n');
    }
}

static void put_load(Sketch *s)
{
    const OptionSet *set = s->set;
    bool open = option_given(set, "rate");
    buf_printf(s->out, "\n# The load: %s\n",
               open ? "arrivals that do not wait for answers."
                    : "virtual users, each sending its next request when the last was answered.");
    put_option(s, "vus", "vus");
    put_option(s, "iterations", "iterations");
    if (open) {
        put_text(s, "rate: ", option_string(set, "rate"));
    }
    if (option_given(set, "stages")) {
        put_text(s, "stages: ", option_string(set, "stages"));
    }
    if (option_given(set, "duration")) {
        put_option(s, "duration", "duration");
    } else if (!option_given(set, "stages") && !option_given(set, "iterations")) {
        buf_puts(s->out, "duration: 30s\n");
    }
}

static int put_conditions(Sketch *s, Err *e)
{
    buf_puts(s->out,
             "\n# What has to hold, in k6's grammar; times are in milliseconds.\n"
             "thresholds:\n"
             "  http_req_failed: rate<0.01\n"
             "  # http_req_duration: p(95)<500\n"
             "  # http_req_duration{name:main}: {threshold: p(99)<900, abortOnFail: true}\n");
    bool any = false;
    for (const OptionValue *v = option_values(s->set, "slo"); v; v = v->next) {
        // The plan may lie elsewhere than where this command runs.
        char full[PATH_MAX];
        Slice path = v->text;
        if (slice_find_byte(option_string(s->set, "output"), '/') >= 0) {
            if (!realpath(arena_cstr(s->app->arena, v->text), full)) {
                return err_set(e, ERR_ARG, "--slo %.*s: there is no such file", SLICE_FMT(v->text));
            }
            path = slice_from_cstr(full);
        }
        buf_puts(s->out, any ? "" : "slo:                    # OpenSLO v1 documents\n");
        put_text(s, "  - ", path);
        any = true;
    }
    if (!any) {
        buf_puts(s->out,
                 "# slo: slo.yaml         # objectives as OpenSLO v1, instead or as well\n");
    }
    return 0;
}

// What is written must be a plan: reading it back finds what the flags have wrong together.
static int check_text(Sketch *s, Err *e)
{
    Slice path = option_string(s->set, "output");
    const char *file = path.len > 0 ? arena_cstr(s->app->arena, path) : "plan.yaml";
    const Doc *doc = NULL;
    DocOptions format = {.format = DOC_FORMAT_YAML, .source = file};
    int rc = doc_parse(s->app->arena, buf_slice(s->out), &format, &doc, e);
    if (rc != 0) {
        return rc;
    }
    PlanMistakes *mistakes = ARENA_NEW(s->app->arena, PlanMistakes);
    PlanEnv *env = ARENA_NEW(s->app->arena, PlanEnv);
    PlanOptions options = plan_env_options(env, s->app->arena);
    options.folder = path.len > 0 ? plan_folder(s->app->arena, file) : NULL;
    const Plan *plan = NULL;
    return plan_parse(s->app->arena, doc, &options, &plan, mistakes, e);
}

static int write_plan(Sketch *s, Err *e)
{
    Slice path = option_string(s->set, "output");
    if (path.len == 0) {
        buf_append(&s->app->out, buf_slice(s->out));
        return EXIT_PASS;
    }
    const char *file = arena_cstr(s->app->arena, path);
    if (access(file, F_OK) == 0 && !option_flag(s->set, "force")) {
        return err_set(e, ERR_EXISTS, "%s is there already; --force replaces it", file);
    }
    int rc = file_write(file, buf_slice(s->out), NULL, e);
    if (rc == 0) {
        app_say(s->app, "wrote %s; next: perfwright loadtest %s", file, file);
    }
    return rc;
}

static int run_create(App *app, const OptionSet *set, Err *e)
{
    Buf text = buf_create(PLAN_TEXT_MAX);
    Sketch s = {.app = app, .set = set, .out = &text};
    int rc = url_parse(option_string(set, "url"), &s.url, e);
    if (rc != 0) {
        (void)err_wrap(e, "--url %.*s", SLICE_FMT(option_string(set, "url")));
        return ERR_ARG;
    }
    put_head(&s);
    put_environment(&s);
    put_request(&s);
    put_load(&s);
    rc = put_conditions(&s, e);
    if (rc == 0) {
        rc = check_text(&s, e);
        rc = rc == ERR_PARSE ? ERR_ARG : rc; // the flags were wrong, not a file
    }
    if (rc == 0) {
        rc = write_plan(&s, e);
    }
    buf_done(&text);
    return rc;
}

static const char *const KINDS[] = {"development", "test", "performance", "staging", NULL};
static const Option CREATE_OPTIONS[] = {
    {.name = "url",
     .kind = OPTION_STRING,
     .metavar = "URL",
     .required = true,
     .help = "What to send requests to."},
    {.name = "method",
     .kind = OPTION_STRING,
     .default_text = "GET",
     .help = "The request's method. Those that change data want --isolated."},
    {.name = "isolated",
     .kind = OPTION_FLAG,
     .help = "The target's data may be changed (data: isolated)."},
    {.name = "kind",
     .kind = OPTION_CHOICE,
     .choices = KINDS,
     .default_text = "test",
     .help = "What the target is. Production is never a target."},
    {.name = "name", .kind = OPTION_STRING, .help = "Of the plan; without: the host."},
    {.name = "vus",
     .short_name = 'u',
     .kind = OPTION_COUNT,
     .min = 1,
     .max = 1e6,
     .section = "Load",
     .help = "Virtual users; with --stages, those at the start."},
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_DURATION,
     .section = "Load",
     .help = "How long; 30s where nothing else ends the test."},
    {.name = "iterations",
     .short_name = 'i',
     .kind = OPTION_COUNT,
     .min = 1,
     .max = 1e12,
     .section = "Load",
     .help = "How many iterations, shared by the virtual users."},
    {.name = "stages",
     .short_name = 's',
     .kind = OPTION_STRING,
     .metavar = "STAGES",
     .section = "Load",
     .help = "Virtual users over time, such as 1m:20,5m:20,30s:0."},
    {.name = "rate",
     .kind = OPTION_RATE,
     .section = "Load",
     .help = "Iterations started a second, whether answers come or not, such as 200/s."},
    {.name = "slo",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .repeat = true,
     .section = "Judging",
     .help = "OpenSLO v1 document to judge by. Repeatable."},
    {.name = "baseline",
     .short_name = 'b',
     .kind = OPTION_STRING,
     .metavar = "NAME",
     .section = "Judging",
     .help = "Pinned baseline to compare with."},
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write there instead of to standard output."},
    {.name = "force",
     .kind = OPTION_FLAG,
     .section = "Output",
     .help = "Replace the file if it is there."},
};
static const Example CREATE_EXAMPLES[] = {
    {"perfwright plan create --url http://127.0.0.1:8080/ --rate 200/s --duration 1m -o plan.yaml",
     "Then open it in an editor."},
};
static const Verb VERB_CREATE = {.name = "plan create",
                                 .summary = "write a commented plan to start from",
                                 OPTION_TABLE(CREATE_OPTIONS),
                                 EXAMPLE_TABLE(CREATE_EXAMPLES)};
const Command CMD_PLAN_CREATE = {&VERB_CREATE, run_create, false};
