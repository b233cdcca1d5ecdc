// system watch: a system of agents, window by window, as it runs: on a terminal one picture that is
// drawn anew, elsewhere a line a window, with --json an object a window.
#include "cli/commands.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json_write.h"
#include "cli/agent_client.h"
#include "cli/outcome_table.h"
#include "cli/system_file.h"
#include "cli/table.h"
#include "manage/interface_pages.h"
#include "manage/plant_live.h"
#include "manage/plant_virtual.h"
#include "manage/story_report.h"
#include "os/signal.h"
#include "os/thread.h"

enum {
    FRAME_MAX = 1 << 20,
    LINE_BYTES_MAX = 64 << 10,
    EVENTS_KEPT = 12, // of the story; the newest
    EVENT_BYTES = 1024,
    ROWS_DEFAULT = 50,
};
#define WINDOW_DEFAULT_NS (10 * NS_PER_S)

typedef struct Watch {
    App *app;
    const OptionSet *set;
    Loop *loop;
    Signals *signals;
    bool stop;
    bool drawn; // a picture on a terminal, not lines
    bool json;
    double pace; // System seconds in one of the clock, of a simulated plant; 0: as fast as it goes
    Plant *plant;
    Coordinator *coordinator; // NULL: nobody manages
    char events[EVENTS_KEPT][EVENT_BYTES];
    size_t event_count; // ever
    size_t since_count; // of them, since the last window
    size_t violated;
    int64_t began_ns; // of the clock
    Monitor *monitor; // NULL: nobody can ask
    InterfacePages *pages;
} Watch;

// ---- signals

static void on_signal(void *ctx, int number)
{
    Watch *w = ctx;
    w->stop = w->stop || number == SIGINT || number == SIGTERM;
}

static bool is_stopped(void *ctx)
{
    Watch *w = ctx;
    (void)loop_tick(w->loop, 0);
    return w->stop;
}

// Sleeps in slices so that Ctrl-C ends it.
static void pause_until(Watch *w, int64_t clock_ns)
{
    int64_t rest;
    while (!is_stopped(w) && (rest = clock_ns - clock_now(clock_real())) > 0) {
        thread_pause_ns(rest < PLANT_LIVE_SLICE_NS ? rest : PLANT_LIVE_SLICE_NS);
    }
}

// ---- output

// Standard output at once: whoever watches does not wait for the end.
static void put_out(Slice text)
{
    (void)fwrite(text.ptr, 1, text.len, stdout);
    (void)fflush(stdout);
}

typedef enum Tone { TONE_PLAIN, TONE_HEAD, TONE_BAD } Tone;

// One line of the picture: cut to the terminal's width, so that the next picture covers it exactly.
static void put_line(const Watch *w, Tone tone, Slice text, Buf *frame)
{
    size_t end = 0;
    int columns = 0;
    while (end < text.len && columns < w->app->columns) {
        end++;
        while (end < text.len && ((unsigned char)text.ptr[end] & 0xc0) == 0x80) {
            end++;
        }
        columns++;
    }
    if (w->app->color && tone != TONE_PLAIN) {
        buf_puts(frame, tone == TONE_HEAD ? "\x1b[1m" : "\x1b[31m");
    }
    buf_append(frame, (Slice){text.ptr, end});
    buf_puts(frame, w->app->color && tone != TONE_PLAIN ? "\x1b[0m\x1b[K\n" : "\x1b[K\n");
}

static int terminal_rows(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row
                                                                           : ROWS_DEFAULT;
}

// Text of several lines into the picture; the first is a head, those with a '!' are bad.
static void put_lines(const Watch *w, Slice text, int *rows, Buf *frame)
{
    bool first = true;
    while (text.len > 0 && *rows > 0) {
        Slice line, rest;
        (void)slice_cut(text, '\n', &line, &rest);
        bool bad = memchr(line.ptr, '!', line.len) != NULL;
        put_line(w, first ? TONE_HEAD : bad ? TONE_BAD : TONE_PLAIN, line, frame);
        text = rest;
        first = false;
        (*rows)--;
    }
}

// ---- tables

static void cell(Table *t, double value, OutcomeUnit unit, double promised, bool worse)
{
    Buf text = buf_create(256);
    outcome_estimate_print((Estimate){value, value, value}, unit, &text);
    if (promised > 0) {
        buf_puts(&text, worse ? " ! of " : " of ");
        outcome_estimate_print((Estimate){promised, promised, promised}, unit, &text);
    }
    table_put(t, buf_slice(&text));
    buf_done(&text);
}

static const SystemObjective *objective_of(const System *sys, uint32_t client)
{
    static const SystemObjective none = {0};
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        if (sys->objectives[i].client == client) {
            return &sys->objectives[i];
        }
    }
    return &none;
}

static void put_heads(Table *t, const char *const *heads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        table_put(t, slice_from_cstr(heads[i]));
    }
}

static void clients_table(const System *sys, const PlantWindow *window, Arena *arena, Buf *out)
{
    static const char *const HEADS[] = {"CLIENT", "OFFERED", "GOODPUT", "P50", "P99", "OVERDUE"};
    Table t = table_create(arena, COUNT_OF(HEADS));
    put_heads(&t, HEADS, COUNT_OF(HEADS));
    for (uint32_t i = 0; i < sys->client_count; i++) {
        const ClientOutcome *c = &window->outcome->clients[i];
        const SystemObjective *o = objective_of(sys, i);
        double p50 = (double)o->p50_ns / 1e9, p99 = (double)o->p99_ns / 1e9;
        table_put(&t, sys->clients[i].name);
        cell(&t, c->offered.value, OUTCOME_RATE, 0, false);
        cell(&t, c->goodput.value, OUTCOME_SHARE, o->goodput, c->goodput.value < o->goodput);
        cell(&t, c->p50.value, OUTCOME_SECONDS, p50, c->p50.value > p50);
        cell(&t, c->p99.value, OUTCOME_SECONDS, p99, c->p99.value > p99);
        table_putf(&t, "%llu", (unsigned long long)window->clients[i].overdue);
    }
    table_print(&t, 0, out);
}

static void agents_table(const System *sys, const PlantWindow *window, Arena *arena, Buf *out)
{
    static const char *const HEADS[] = {"AGENT", "REQUESTS", "BUSY",  "SERVERS",
                                        "QUEUE", "WASTED",   "POLICY"};
    Table t = table_create(arena, COUNT_OF(HEADS));
    put_heads(&t, HEADS, COUNT_OF(HEADS));
    double seconds = (double)(window->until_ns - window->from_ns) / 1e9;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const AgentOutcome *a = &window->outcome->agents[i];
        table_put(&t, sys->agents[i].name);
        cell(&t, a->arrivals.value, OUTCOME_RATE, 0, false);
        table_putf(&t, "%.1f", seconds > 0 ? window->agents[i].busy_s / seconds : 0);
        if (sys->agents[i].servers > 0) {
            table_putf(&t, "%.0f", a->servers.value);
        } else {
            table_put(&t, SLICE("any"));
        }
        table_putf(&t, "%.1f", window->agents[i].waiting);
        cell(&t, a->wasted.value, OUTCOME_SHARE, 0, false);
        Buf text = buf_create(LINE_BYTES_MAX);
        if (sys->agents[i].has_policy) {
            cli_print_policies(sys->agents[i].policy, &text);
        }
        table_put(&t, buf_slice(&text));
        buf_done(&text);
    }
    table_print(&t, 0, out);
}

static void edges_table(const System *sys, const PlantWindow *window, Arena *arena, Buf *out)
{
    static const char *const HEADS[] = {"EDGE",    "CALLS",    "ATTEMPTS",
                                        "RETRIES", "TIMEOUTS", "POLICY"};
    Table t = table_create(arena, COUNT_OF(HEADS));
    put_heads(&t, HEADS, COUNT_OF(HEADS));
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const EdgeOutcome *e = &window->outcome->edges[i];
        const double rates[] = {e->calls.value, e->attempts.value, e->retries.value,
                                e->timeouts.value};
        table_put(&t, sys->edges[i].name);
        for (size_t k = 0; k < COUNT_OF(rates); k++) {
            cell(&t, rates[k], OUTCOME_RATE, 0, false);
        }
        Buf text = buf_create(LINE_BYTES_MAX);
        cli_print_policies(sys->edges[i].policy, &text);
        table_put(&t, buf_slice(&text));
        buf_done(&text);
    }
    table_print(&t, 0, out);
}

// ---- a window

// The i-th of the newest `kept` events.
static Slice event_at(const Watch *w, size_t kept, size_t i)
{
    return slice_from_cstr(w->events[(w->event_count - kept + i) % EVENTS_KEPT]);
}

static void status_line(const Watch *w, const PlantWindow *window, Buf *out)
{
    const System *sys = w->plant->sys;
    buf_printf(out, "%.*s, %s, %.0f s", SLICE_FMT(sys->name), w->plant->ops->kind,
               (double)window->until_ns / 1e9);
    if (w->coordinator) {
        Story story = coordinator_story(w->coordinator);
        CaseState state = coordinator_state(w->coordinator);
        buf_printf(out, "; %zu promises broken; case: %s; %u kept, %u rolled back, %u given up",
                   w->violated, state == CASE_NONE ? "none" : CASE_STATE_NAMES[state], story.kept,
                   story.rolled_back, story.given_up);
    }
}

static void draw(Watch *w, const PlantWindow *window)
{
    const System *sys = w->plant->sys;
    Arena *arena = arena_create(4 << 20);
    Buf frame = buf_create(FRAME_MAX), text = buf_create(FRAME_MAX);
    int rows = terminal_rows() - 2;
    buf_puts(&frame, "\x1b[H");
    void (*const parts[])(const System *, const PlantWindow *, Arena *,
                          Buf *) = {clients_table, agents_table, edges_table};
    status_line(w, window, &text);
    put_lines(w, buf_slice(&text), &rows, &frame);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        buf_reset(&text);
        parts[i](sys, window, arena, &text);
        if (rows > 2) {
            put_line(w, TONE_PLAIN, SLICE(""), &frame);
            rows--;
        }
        put_lines(w, buf_slice(&text), &rows, &frame);
    }
    size_t kept = w->event_count < EVENTS_KEPT ? w->event_count : EVENTS_KEPT;
    if (kept > 0 && rows > 2) {
        put_line(w, TONE_PLAIN, SLICE(""), &frame);
        put_line(w, TONE_HEAD, SLICE("LATEST"), &frame);
        rows -= 2;
    }
    for (size_t i = 0; i < kept && rows > 0; i++, rows--) {
        put_line(w, TONE_PLAIN, event_at(w, kept, i), &frame);
    }
    buf_puts(&frame, "\x1b[J");
    put_out(buf_slice(&frame));
    buf_done(&text);
    buf_done(&frame);
    arena_destroy(arena);
}

static void print_line(Watch *w, const PlantWindow *window)
{
    const System *sys = w->plant->sys;
    Buf line = buf_create(LINE_BYTES_MAX);
    status_line(w, window, &line);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        const ClientOutcome *c = &window->outcome->clients[i];
        Estimate good = {c->goodput.value, 0, 0}, p99 = {c->p99.value, 0, 0};
        buf_printf(&line, "; %.*s good ", SLICE_FMT(sys->clients[i].name));
        outcome_estimate_print(good, OUTCOME_SHARE, &line);
        buf_puts(&line, ", p99 ");
        outcome_estimate_print(p99, OUTCOME_SECONDS, &line);
    }
    buf_putc(&line, '\n');
    put_out(buf_slice(&line));
    buf_done(&line);
}

static void print_json(Watch *w, const PlantWindow *window)
{
    Buf line = buf_create(FRAME_MAX);
    JsonWriter j = json_writer(&line, 0);
    json_object_begin(&j);
    json_field_string(&j, "system", w->plant->sys->name);
    json_field_cstr(&j, "plant", w->plant->ops->kind);
    json_field_double(&j, "fromSeconds", (double)window->from_ns / 1e9);
    json_field_double(&j, "untilSeconds", (double)window->until_ns / 1e9);
    if (w->coordinator) {
        json_field_cstr(&j, "case", CASE_STATE_NAMES[coordinator_state(w->coordinator)]);
        json_field_int(&j, "broken", (int64_t)w->violated);
    }
    json_key(&j, SLICE("outcome"));
    outcome_write(window->outcome, w->plant->sys, &j);
    json_key(&j, SLICE("events"));
    json_array_begin(&j);
    size_t kept = w->since_count < EVENTS_KEPT ? w->since_count : EVENTS_KEPT;
    for (size_t i = 0; i < kept; i++) {
        json_string(&j, event_at(w, kept, i));
    }
    json_array_end(&j);
    json_object_end(&j);
    buf_putc(&line, '\n');
    put_out(buf_slice(&line));
    buf_done(&line);
}

static void show(Watch *w, const PlantWindow *window)
{
    if (w->json) {
        print_json(w, window);
    } else if (w->drawn) {
        draw(w, window);
    } else {
        print_line(w, window);
    }
    w->since_count = 0;
    Err e = {0};
    if (w->pages && interface_pages_update(w->pages, w->plant->sys, window->outcome, &e) != 0) {
        app_warn(w->app, "the interfaces from before stay: %s", e.text);
    }
    if (w->pace > 0) {
        pause_until(w, w->began_ns + (int64_t)((double)window->until_ns / w->pace));
    }
}

static void on_window(void *ctx, const PlantWindow *window, const DetectFound *found)
{
    Watch *w = ctx;
    w->violated = found->count;
    show(w, window);
}

static void on_event(void *ctx, const StoryEvent *event)
{
    Watch *w = ctx;
    Buf line = buf_create(LINE_BYTES_MAX);
    story_line(event, &line);
    char *into = w->events[w->event_count++ % EVENTS_KEPT];
    size_t len = buf_slice(&line).len;
    len = len < EVENT_BYTES - 1 ? len : EVENT_BYTES - 1;
    memcpy(into, buf_slice(&line).ptr, len);
    into[len] = '\0';
    buf_done(&line);
    w->since_count++;
    if (!w->drawn && !w->json) {
        put_out(slice_from_cstr(into));
        put_out(SLICE("\n"));
    }
}

// ---- a System, managed or not

static int manage(Watch *w, Err *e)
{
    bool advise = slice_eq_cstr(option_string(w->set, "mode"), "advise");
    CoordinatorOptions options = {
        .mode = advise ? APPROVAL_ADVISE : APPROVAL_AUTOMATIC,
        .seed = (uint64_t)option_int(w->set, "seed"),
        .duration_ns = option_int(w->set, "duration"),
        .think_ns = option_flag(w->set, "live") ? 0 : 2 * NS_PER_S,
        .hooks = {.context = w, .event = on_event, .window = on_window},
    };
    int rc = coordinator_create(w->plant, &options, &w->coordinator, e);
    for (bool more = true; rc == 0 && more && !is_stopped(w);) {
        rc = coordinator_step(w->coordinator, &more, e);
    }
    return rc;
}

static int only_look(Watch *w, Err *e)
{
    const System *sys = w->plant->sys;
    int64_t window_ns = WINDOW_DEFAULT_NS, end = option_int(w->set, "duration");
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        int64_t is = sys->objectives[i].window_ns;
        window_ns = is > 0 && is < window_ns ? is : window_ns;
    }
    int rc = 0;
    for (int64_t at = window_ns; rc == 0 && at <= end && !is_stopped(w); at += window_ns) {
        Arena *arena = arena_create(16 << 20);
        PlantWindow window;
        rc = plant_wait(w->plant, at, e);
        rc = rc != 0 ? rc : plant_observe(w->plant, arena, &window, e);
        if (rc == 0) {
            show(w, &window);
        }
        arena_destroy(arena);
    }
    return rc;
}

// Opens the port at which the agents' interfaces are published.
static int publish(Watch *w, const System *sys, Err *e)
{
    int64_t port = option_int(w->set, "port");
    if (port < 0) {
        return 0;
    }
    w->pages = interface_pages_create();
    MonitorOptions options = {
        .port = (uint16_t)port, .no_metrics = true, .service = SLICE("perfwright")};
    int rc = interface_pages_update(w->pages, sys, NULL, e);
    rc = rc != 0 ? rc : monitor_create(&options, &w->monitor, e);
    rc = rc != 0 ? rc : monitor_add(w->monitor, interface_pages_source(w->pages), e);
    rc = rc != 0 ? rc : monitor_start(w->monitor, e);
    if (rc == 0) {
        app_say(w->app, "interfaces at http://127.0.0.1:%u/interface", monitor_port(w->monitor));
    }
    return rc;
}

static int watch_system(Watch *w, Err *e)
{
    System *sys = NULL;
    int rc = cli_load_system(w->app, w->set, &sys, e);
    rc = rc != 0 ? rc : publish(w, sys, e);
    uint64_t seed = (uint64_t)option_int(w->set, "seed");
    double scale = option_float(w->set, "scale");
    bool live = option_flag(w->set, "live");
    if (rc == 0 && live) {
        PlantLiveOptions options = {
            .seed = seed, .scale = scale, .stopped = is_stopped, .stopped_arg = w};
        rc = plant_live_create(sys, &options, &w->plant, e);
    } else if (rc == 0) {
        rc = plant_virtual_create(sys, &(PlantVirtualOptions){.seed = seed}, &w->plant, e);
    }
    if (rc != 0) {
        return rc;
    }
    // A picture that nobody can follow is none; into a file it goes as fast as it can.
    w->pace = w->drawn && !live ? scale : 0;
    w->began_ns = clock_now(clock_real());
    rc = slice_eq_cstr(option_string(w->set, "mode"), "none") ? only_look(w, e) : manage(w, e);
    return rc == ERR_CANCELLED || rc == ERR_CLOSED ? 0 : rc;
}

// ---- a running monitor (agent/monitor.h)

static double number_of(const Doc *series, const char *key)
{
    const Doc *d = doc_get(series, slice_from_cstr(key));
    return doc_is_number(d) ? doc_number(d) : NAN;
}

static void monitor_rows(const Doc *answer, Arena *arena, Buf *out)
{
    static const char *const HEADS[] = {"METRIC", "OF", "NOW", "TOTAL", "P50", "P99"};
    Table t = table_create(arena, COUNT_OF(HEADS));
    put_heads(&t, HEADS, COUNT_OF(HEADS));
    for (const Doc *s = doc_first(doc_get(answer, SLICE("series"))); s; s = doc_next(s)) {
        const Doc *metric = doc_get(s, SLICE("metric"));
        table_put(&t, metric ? metric->text : SLICE(""));
        Buf text = buf_create(LINE_BYTES_MAX);
        for (const Doc *l = doc_first(doc_get(s, SLICE("labels"))); l; l = doc_next(l)) {
            buf_printf(&text, "%s%.*s", text.len > 0 ? " " : "", SLICE_FMT(l->text));
        }
        table_put(&t, buf_slice(&text));
        buf_done(&text);
        double rate = number_of(s, "rate");
        cell(&t, isnan(rate) ? number_of(s, "value") : rate,
             isnan(rate) ? OUTCOME_NUMBER : OUTCOME_RATE, 0, false);
        cell(&t, number_of(s, "total"), OUTCOME_NUMBER, 0, false);
        cell(&t, number_of(s, "p50"), OUTCOME_NUMBER, 0, false);
        cell(&t, number_of(s, "p99"), OUTCOME_NUMBER, 0, false);
    }
    table_print(&t, 0, out);
}

static int monitor_once(Watch *w, Slice base, Err *e)
{
    App asking = *w->app; // answers are of this look only
    asking.arena = arena_create(64 << 20);
    Buf url = buf_create(4 << 10), text = buf_create(FRAME_MAX), frame = buf_create(FRAME_MAX);
    while (slice_ends_with(base, SLICE("/"))) {
        base.len--;
    }
    buf_printf(&url, "%.*s/debug/live", SLICE_FMT(base));
    const Doc *answer = NULL;
    int rc = cli_agent_request(&asking, "GET", buf_slice(&url), &answer, e);
    if (rc == 0 && w->json) {
        doc_write_canonical(answer, &text);
        buf_putc(&text, '\n');
        put_out(buf_slice(&text));
    } else if (rc == 0) {
        buf_printf(&text, "%.*s\n", SLICE_FMT(base));
        monitor_rows(answer, asking.arena, &text);
        int rows = terminal_rows() - 2;
        buf_puts(&frame, "\x1b[H");
        put_lines(w, buf_slice(&text), &rows, &frame);
        buf_puts(&frame, "\x1b[J");
        put_out(buf_slice(w->drawn ? &frame : &text));
    }
    buf_done(&frame);
    buf_done(&text);
    buf_done(&url);
    arena_destroy(asking.arena);
    return rc;
}

static int watch_monitor(Watch *w, Slice url, Err *e)
{
    int64_t looks = option_int(w->set, "looks");
    int64_t every = option_int(w->set, "every");
    int rc = 0;
    for (int64_t i = 0; rc == 0 && !is_stopped(w) && (looks == 0 || i < looks); i++) {
        rc = monitor_once(w, url, e);
        if (rc == 0 && i + 1 != looks) {
            pause_until(w, clock_now(clock_real()) + every);
        }
    }
    return rc;
}

// ---- the verb

static int run_watch(App *app, const OptionSet *set, Err *e)
{
    const char *term = getenv("TERM");
    Watch *w = ARENA_NEW(app->arena, Watch);
    bool json = option_flag(set, "json");
    *w = (Watch){.app = app,
                 .set = set,
                 .json = json,
                 .drawn = !json && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0};
    int rc = loop_create(&(LoopOptions){0}, &w->loop, e);
    rc = rc != 0 ? rc : signals_watch(w->loop, on_signal, w, &w->signals, e);
    Slice what = option_positional(set, 0);
    bool url = slice_starts_with(what, SLICE("http://"));
    if (rc == 0) {
        put_out(w->drawn ? SLICE("\x1b[?25l\x1b[2J") : SLICE("")); // no cursor, nothing else
        rc = url ? watch_monitor(w, what, e) : watch_system(w, e);
        put_out(w->drawn ? SLICE("\x1b[?25h") : SLICE(""));
    }
    monitor_stop(w->monitor);
    interface_pages_destroy(w->pages);
    coordinator_destroy(w->coordinator);
    plant_destroy(w->plant);
    signals_close(w->signals);
    loop_destroy(w->loop);
    if (rc != 0) {
        return rc;
    }
    return w->stop && !url ? EXIT_PARTIAL : w->violated > 0 ? EXIT_THRESHOLDS : EXIT_PASS;
}

static const Positional WATCH_ARGS[] = {
    {"SYSTEM", "The System document, or the URL of a monitor that runs (http://127.0.0.1:6060).",
     false, false}};
static const char *const MODES[] = {"auto", "advise", "none", NULL};
static const Option WATCH_OPTIONS[] = {
    OPTION_SYSTEM_SET,
    {.name = "live",
     .kind = OPTION_FLAG,
     .help = "Run the system on the agent runtime instead of simulating it."},
    {.name = "mode",
     .kind = OPTION_CHOICE,
     .choices = MODES,
     .default_text = "auto",
     .help = "Whether agents agree on other policies where a promise is broken, only tell what "
             "they would do, or nobody manages."},
    OPTION_SCALE("Seconds of the system in one second of the clock. What is simulated and does not "
                 "go to a terminal does not wait."),
    {.name = "duration",
     .kind = OPTION_DURATION,
     .default_text = "900s",
     .min = 1e9,
     .max = 86400e9,
     .help = "Of the system's time."},
    OPTION_SEED("Of arrivals, service times and faults."),
    {.name = "port",
     .kind = OPTION_INT,
     .default_text = "-1",
     .min = -1,
     .max = 65535,
     .help = "Publish the agents' performance interfaces on 127.0.0.1 at this port, at /interface "
             "and /interface/AGENT; 0: one that is free, -1: nowhere."},
    {.name = "every",
     .kind = OPTION_DURATION,
     .default_text = "2s",
     .min = 1e8,
     .max = 3600e9,
     .help = "How often a monitor is asked."},
    {.name = "looks",
     .kind = OPTION_INT,
     .default_text = "0",
     .min = 0,
     .max = 1e9,
     .help = "How often in all; 0: until Ctrl-C."},
    OPTION_JSON,
};
static const Example WATCH_EXAMPLES[] = {
    {"perfwright system watch pipeline.toml --live", "The system on the runtime, managed, as a "
                                                     "picture that is drawn anew."},
    {"perfwright system watch pipeline.toml --mode none --json", "What it does when nobody does "
                                                                 "anything, an object a window."},
    {"perfwright system watch http://127.0.0.1:6060", "Agents that run (perfwright agent run)."},
};
static const Verb VERB_WATCH = {
    .name = "system watch",
    .summary = "watch a system of agents as it runs",
    .description =
        "Clients against what was promised to them, agents with their queues, edges with their "
        "policies, the case under way and the latest events.\n\n"
        "Exit codes: 0 all promises are kept at the end, 99 some are broken, 114 stopped by "
        "Ctrl-C.",
    OPTION_TABLE(WATCH_OPTIONS),
    POSITIONAL_TABLE(WATCH_ARGS),
    EXAMPLE_TABLE(WATCH_EXAMPLES)};
const Command CMD_SYSTEM_WATCH = {&VERB_WATCH, run_watch, false};
