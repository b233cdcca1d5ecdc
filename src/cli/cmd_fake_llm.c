// fake-llm: a server that speaks like all LLM providers, for performance work without one.
#include <unistd.h>

#include "cli/commands.h"
#include "llm/fake.h"
#include "net/tls.h"
#include "net/tls_cert.h"
#include "os/file.h"
#include "os/signal.h"

typedef struct FakeServer {
    App *app;
    const OptionSet *set;
    FakeScript *script;
    Buf cert, key;
    Loop *loop; // waits for signals; the fake has threads of its own
    FakeLlm *fake;
} FakeServer;

static void on_signal(void *ctx, int number)
{
    if (number == SIGINT || number == SIGTERM) {
        loop_stop(((FakeServer *)ctx)->loop);
    }
}

// ---- options over the script

static int take_dist(const FakeServer *f, const char *name, bool durations, FakeDist *dist, Err *e)
{
    if (!option_given(f->set, name)) {
        return 0;
    }
    int rc = fake_dist_parse(f->app->arena, option_string(f->set, name), durations, true, dist, e);
    return rc == 0 ? 0 : err_wrap(e, "--%s", name);
}

static int take_faults(const FakeServer *f, FakeSettings *s, Err *e)
{
    for (const OptionValue *v = option_values(f->set, "fault"); v; v = v->next) {
        Slice name, text;
        FakeFault fault = FAKE_NO_FAULT;
        double rate = 0;
        if (!slice_cut(v->text, '=', &name, &text) || slice_to_f64(text, &rate) != 0 ||
            !(rate >= 0 && rate <= 1)) {
            return err_set(e, ERR_ARG, "--fault %.*s: write KIND=RATE with a rate from 0 to 1",
                           SLICE_FMT(v->text));
        }
        int rc = fake_fault_parse(name, &fault, e);
        if (rc != 0) {
            return err_wrap(e, "--fault");
        }
        s->fault_rate[fault] = rate;
    }
    return fake_settings_check(s, e);
}

static void take_duration(const FakeServer *f, const char *name, int64_t *ns)
{
    if (option_given(f->set, name)) {
        *ns = option_int(f->set, name);
    }
}

static int take_options(FakeServer *f, Err *e)
{
    FakeSettings *s = &f->script->settings;
    int rc = take_dist(f, "latency", true, &s->latency, e);
    if (rc == 0) {
        rc = take_dist(f, "ttft", true, &s->ttft, e);
    }
    if (rc == 0) {
        rc = take_dist(f, "answer-tokens", false, &s->answer_tokens, e);
    }
    s->has_ttft = s->has_ttft || option_given(f->set, "ttft");
    take_duration(f, "retry-after", &s->retry_after_ns);
    take_duration(f, "stall", &s->stall_ns);
    take_duration(f, "batch-delay", &s->batch_delay_ns);
    take_duration(f, "requests-per-minute", &s->requests_per_minute);
    take_duration(f, "tokens-per-minute", &s->tokens_per_minute);
    if (option_given(f->set, "tokens-per-second")) {
        s->tokens_per_second = option_float(f->set, "tokens-per-second");
    }
    if (option_given(f->set, "tool-rate")) {
        s->tool_rate = option_float(f->set, "tool-rate");
    }
    if (option_given(f->set, "seed")) {
        f->script->seed = (uint64_t)option_int(f->set, "seed");
    }
    return rc == 0 ? take_faults(f, s, e) : rc;
}

static int read_script(FakeServer *f, Err *e)
{
    Slice path = option_string(f->set, "script");
    if (path.len == 0) {
        f->script = fake_script_default(f->app->arena);
        return 0;
    }
    const Doc *doc = NULL;
    int rc = doc_read_file(f->app->arena, arena_cstr(f->app->arena, path), NULL, &doc, e);
    return rc == 0 ? fake_script_read(f->app->arena, doc, &f->script, e) : rc;
}

// The address, loopback unless somebody says otherwise.
static int read_address(const FakeServer *f, NetAddr *ret_addr, Err *e)
{
    uint16_t port = (uint16_t)option_int(f->set, "port");
    int rc = net_addr_parse(option_string(f->set, "host"), port, ret_addr, e);
    return rc == 0 ? 0 : err_wrap(e, "--host wants a numeric address");
}

static int read_pem(const FakeServer *f, const char *option, Buf *out, Err *e)
{
    return file_read(arena_cstr(f->app->arena, option_string(f->set, option)), out, e);
}

static int prepare_tls(FakeServer *f, Err *e)
{
    bool files = option_given(f->set, "tls-cert");
    if (files != option_given(f->set, "tls-key")) {
        return err_set(e, ERR_ARG, "--tls-cert and --tls-key come together");
    }
    if (files) {
        int rc = read_pem(f, "tls-cert", &f->cert, e);
        return rc == 0 ? read_pem(f, "tls-key", &f->key, e) : rc;
    }
    return option_flag(f->set, "tls")
               ? tls_cert_make(&(TlsCertSpec){.host = "localhost"}, &f->cert, &f->key, e)
               : 0;
}

// ---- the run

// At once, not at the end as other verbs do: a test waits for this line to learn the port.
static int say_where(const FakeServer *f, Err *e)
{
    char text[NET_ADDR_TEXT_MAX];
    NetAddr addr = fake_llm_addr(f->fake);
    net_addr_print(&addr, text);
    Slice line = arena_printf(f->app->arena, "%s://%s\n", f->cert.len ? "https" : "http", text);
    if (option_given(f->set, "port-file")) {
        const char *path = arena_cstr(f->app->arena, option_string(f->set, "port-file"));
        Slice port = arena_printf(f->app->arena, "%u\n", net_addr_port(&addr));
        int rc = file_write(path, port, &(FileWriteOptions){.no_sync = true}, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (write(STDOUT_FILENO, line.ptr, line.len) != (ssize_t)line.len) {
        return err_set(e, ERR_IO, "cannot write to standard output");
    }
    if (!net_addr_is_loopback(&addr)) {
        app_warn(f->app, "%s can be reached from other machines", text);
    }
    return 0;
}

static int serve(FakeServer *f, const FakeLlmOptions *options, Err *e)
{
    Signals *signals = NULL;
    int rc = loop_create(&(LoopOptions){0}, &f->loop, e);
    if (rc == 0) {
        rc = signals_watch(f->loop, on_signal, f, &signals, e);
    }
    if (rc == 0) {
        rc = fake_llm_start(options, &f->fake, e);
    }
    if (rc == 0 && (rc = say_where(f, e)) == 0) {
        loop_run(f->loop);
        FakeCounts counts = fake_llm_counts(f->fake);
        app_say(f->app, "%llu requests", (unsigned long long)fake_counts_requests(&counts));
    }
    fake_llm_stop(f->fake);
    signals_close(signals);
    loop_destroy(f->loop);
    return rc;
}

static int run_fake_llm(App *app, const OptionSet *set, Err *e)
{
    FakeServer f = {.app = app,
                    .set = set,
                    .cert = buf_create(TLS_PEM_BYTES_MAX),
                    .key = buf_create(TLS_PEM_BYTES_MAX)};
    FakeLlmOptions options = {.threads = (int)option_int(set, "threads"),
                              .api_key = option_string(set, "api-key")};
    if (option_given(set, "record")) {
        options.record_path = arena_cstr(app->arena, option_string(set, "record"));
    }
    int rc = read_script(&f, e);
    if (rc == 0) {
        rc = take_options(&f, e);
    }
    if (rc == 0) {
        rc = read_address(&f, &options.addr, e);
    }
    if (rc == 0) {
        rc = prepare_tls(&f, e);
    }
    if (rc == 0) {
        options.script = f.script;
        options.tls_cert = buf_slice(&f.cert);
        options.tls_key = buf_slice(&f.key);
        rc = serve(&f, &options, e);
    }
    buf_done(&f.cert);
    buf_done(&f.key);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Option OPTIONS[] = {
    {.name = "port",
     .short_name = 'p',
     .kind = OPTION_INT,
     .default_text = "4010",
     .max = 65535,
     .help = "Port; 0 takes any that is free. The first line of output says which."},
    {.name = "host",
     .kind = OPTION_STRING,
     .metavar = "ADDRESS",
     .default_text = "127.0.0.1",
     .help = "Numeric address to listen on."},
    {.name = "threads",
     .short_name = 't',
     .kind = OPTION_INT,
     .min = 1,
     .max = FAKE_THREADS_MAX,
     .default_text = "1",
     .help = "Threads that share the port."},
    {.name = "script",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Settings and rules in YAML, TOML or JSON. Options here beat its settings."},
    {.name = "seed", .kind = OPTION_INT, .max = 9e15, .help = "Seed of everything random."},
    {.name = "api-key",
     .kind = OPTION_STRING,
     .metavar = "KEY",
     .env = "PERFWRIGHT_FAKE_LLM_KEY",
     .help = "Refuse requests that do not show this key with 401."},
    {.name = "record",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Append what was asked, one JSON line a request."},
    {.name = "port-file",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Write the port there once it is open."},
    {.name = "tls",
     .kind = OPTION_FLAG,
     .section = "HTTPS",
     .help = "Speak TLS, with a certificate made for localhost. HTTP/2 where the client wants."},
    {.name = "tls-cert",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "HTTPS",
     .help = "Certificate chain in PEM."},
    {.name = "tls-key",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "HTTPS",
     .help = "Its key in PEM."},
    {.name = "latency",
     .short_name = 'l',
     .kind = OPTION_STRING,
     .metavar = "DIST",
     .section = "Timing",
     .help = "Time to the first content: 50ms, uniform:10ms,90ms, lognormal:MEDIAN,P95, "
             "empirical:10ms,20ms,2s or empirical:@FILE."},
    {.name = "ttft",
     .kind = OPTION_STRING,
     .metavar = "DIST",
     .section = "Timing",
     .help = "The same for streams only."},
    {.name = "tokens-per-second",
     .kind = OPTION_FLOAT,
     .max = 1e9,
     .section = "Timing",
     .help = "How fast a stream flows; an answer in one piece waits as long. 0: at once."},
    {.name = "answer-tokens",
     .kind = OPTION_STRING,
     .metavar = "DIST",
     .section = "Answers",
     .help = "Length of made-up answers, as a distribution of whole numbers; 16 by default."},
    {.name = "tool-rate",
     .kind = OPTION_FLOAT,
     .max = 1,
     .section = "Answers",
     .help = "Share of the requests with tools that are answered with a call. Where a request "
             "demands a call it always gets one."},
    {.name = "fault",
     .kind = OPTION_STRING,
     .metavar = "KIND=RATE",
     .repeat = true,
     .section = "Faults",
     .help = "Share of requests that fail: rate_limit (429), server_error (500), unavailable "
             "(503), overloaded (529), malformed, truncated, disconnect, stall, error_in_200, "
             "wrong_type. Repeat it for several kinds."},
    {.name = "retry-after",
     .kind = OPTION_DURATION,
     .section = "Faults",
     .help = "What a 429 says about waiting; 1s by default."},
    {.name = "stall",
     .kind = OPTION_DURATION,
     .section = "Faults",
     .help = "How long a stalled answer says nothing before it breaks; 1m by default."},
    {.name = "requests-per-minute",
     .kind = OPTION_INT,
     .max = 1e9,
     .section = "Limits",
     .help = "More requests are 429. 0: no limit."},
    {.name = "tokens-per-minute",
     .kind = OPTION_INT,
     .max = 1e9,
     .section = "Limits",
     .help = "Requests beyond that many tokens, answers included, are 429. 0: no limit."},
    {.name = "batch-delay",
     .kind = OPTION_DURATION,
     .section = "Limits",
     .help = "How long a batch job is shown as running."},
};

static const Example EXAMPLES[] = {
    {"perfwright fake-llm --latency lognormal:300ms,1200ms --tokens-per-second 60",
     "A model of ordinary speed on http://127.0.0.1:4010."},
    {"perfwright fake-llm --fault rate_limit=0.02 --fault disconnect=0.005 --seed 7",
     "One that fails now and then, the same way each time."},
    {"perfwright fake-llm --script answers.yaml --port 0 --record asked.jsonl",
     "For tests: its answers from a script, any free port, and what was asked in a file."},
    {"curl -X POST localhost:4010/_fake/settings -d '{\"faults\":{\"server_error\":1}}'",
     "Changes its mind while it runs."},
};

static const Verb VERB = {
    .name = "fake-llm",
    .summary = "a fake of all LLM providers to work against",
    .description =
        "Answers like OpenAI (Chat Completions, Responses, embeddings, files and batches), Azure "
        "OpenAI, Anthropic, Gemini and Ollama, on one port: point a client's base URL at it. "
        "Answers are made up, or come from a script; delays, token rates, errors and broken "
        "connections are chosen. It listens on the loopback address unless told otherwise.\n\n"
        "GET /metrics, /_fake/counts and /_fake/settings tell what it did and does; POST and "
        "DELETE to /_fake/settings change it. SIGINT or SIGTERM ends it.",
    OPTION_TABLE(OPTIONS),
    EXAMPLE_TABLE(EXAMPLES),
};
const Command CMD_FAKE_LLM = {&VERB, run_fake_llm, true};
