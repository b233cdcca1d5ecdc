// system: a System document drawn, run on the runtime, watched.
#include "cli/commands.h"

#include <math.h>

#include "base/json_write.h"
#include "cli/outcome_table.h"
#include "cli/system_file.h"
#include "cli/table.h"
#include "manage/live_run.h"
#include "model/observed.h"
#include "model/sim.h"
#include "os/clock.h"
#include "os/signal.h"

#define SYSTEM_POSITIONAL                                                                          \
    {                                                                                              \
        "SYSTEM", "The System document: TOML, YAML or JSON.", false, false                         \
    }

// ---- show

static void print_duration(double ns, Buf *out)
{
    char text[UNITS_TEXT_MAX];
    (void)duration_format_short((int64_t)ns, text);
    buf_puts(out, text);
}

static void print_agent(const SystemAgent *a, Buf *out)
{
    if (a->servers > 0) {
        buf_printf(out, "  %u servers", a->servers);
    }
    double mean = dist_mean(&a->service);
    if (mean > 0) {
        buf_puts(out, "  work ");
        print_duration(mean, out);
        buf_puts(out, ", p99 ");
        print_duration(dist_quantile(&a->service, 0.99), out);
    }
    if (a->has_policy) {
        buf_puts(out, "  ");
        cli_print_policies(a->policy, out);
    }
    buf_putc(out, '\n');
}

enum { SHOW_DEPTH_MAX = 32 };

static void print_below(const System *sys, uint32_t agent, int depth, Buf *out)
{
    const SystemAgent *a = &sys->agents[agent];
    for (uint32_t g = 0; g < a->group_count && depth < SHOW_DEPTH_MAX; g++) {
        const SystemGroup *group = &a->groups[g];
        for (uint32_t i = 0; i < group->count; i++) {
            const SystemTarget *t = &group->targets[i];
            const SystemEdge *edge = &sys->edges[t->edge];
            buf_printf(out, "%*s-> %.*s", depth * 3, "", SLICE_FMT(sys->agents[edge->to].name));
            if (group->count > 1) {
                buf_printf(out, " (%s of %u)", SYSTEM_JOINS[group->join], group->count);
            }
            if (t->chance < 1) {
                buf_printf(out, " chance %g", t->chance);
            }
            if (t->repeat != 1) {
                buf_printf(out, " times %g", t->repeat);
            }
            buf_puts(out, "  ");
            cli_print_policies(edge->policy, out);
            print_agent(&sys->agents[edge->to], out);
            print_below(sys, edge->to, depth + 1, out);
        }
    }
}

static void print_promises(const System *sys, uint32_t client, Buf *out)
{
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        if (o->client != client) {
            continue;
        }
        buf_puts(out, "   promised:");
        if (o->goodput > 0) {
            buf_printf(out, " goodput %g", o->goodput);
        }
        const struct {
            const char *name;
            int64_t ns;
        } times[] = {{"within", o->within_ns}, {"p50", o->p50_ns}, {"p99", o->p99_ns}};
        for (size_t k = 0; k < COUNT_OF(times); k++) {
            if (times[k].ns > 0) {
                buf_printf(out, " %s ", times[k].name);
                print_duration((double)times[k].ns, out);
            }
        }
        buf_putc(out, '\n');
    }
}

static void print_tree(const System *sys, Buf *out)
{
    for (uint32_t c = 0; c < sys->client_count; c++) {
        const SystemClient *client = &sys->clients[c];
        const SystemEdge *edge = &sys->edges[client->edge];
        buf_printf(out, "%.*s: ", SLICE_FMT(client->name));
        if (client->per_second > 0) {
            buf_printf(out, "%g requests a second", client->per_second);
        } else {
            buf_printf(out, "%u users", client->users);
        }
        for (uint32_t i = 0; i < client->spike_count; i++) {
            buf_printf(out, ", %gx at ", client->spikes[i].factor);
            print_duration((double)client->spikes[i].at_ns, out);
            buf_puts(out, " for ");
            print_duration((double)client->spikes[i].for_ns, out);
        }
        buf_putc(out, '\n');
        print_promises(sys, c, out);
        buf_printf(out, "-> %.*s  ", SLICE_FMT(sys->agents[edge->to].name));
        cli_print_policies(edge->policy, out);
        print_agent(&sys->agents[edge->to], out);
        print_below(sys, edge->to, 1, out);
    }
}

static void print_dot(const System *sys, Buf *out)
{
    buf_puts(out, "digraph system {\n  rankdir=LR;\n  node [shape=box];\n");
    for (uint32_t i = 0; i < sys->client_count; i++) {
        buf_printf(out, "  \"%.*s\" [shape=ellipse];\n", SLICE_FMT(sys->clients[i].name));
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        Slice from = edge->from & SYSTEM_FROM_CLIENT
                         ? sys->clients[edge->from & ~SYSTEM_FROM_CLIENT].name
                         : sys->agents[edge->from].name;
        buf_printf(out, "  \"%.*s\" -> \"%.*s\" [label=\"", SLICE_FMT(from),
                   SLICE_FMT(sys->agents[edge->to].name));
        cli_print_policies(edge->policy, out);
        buf_puts(out, "\"];\n");
    }
    buf_puts(out, "}\n");
}

static int run_show(App *app, const OptionSet *set, Err *e)
{
    System *sys;
    int rc = cli_load_system(app, set, &sys, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        system_write(sys, &w);
        buf_putc(&app->out, '\n');
    } else if (option_flag(set, "dot")) {
        print_dot(sys, &app->out);
    } else {
        print_tree(sys, &app->out);
    }
    return EXIT_PASS;
}

static const Positional SYSTEM_ARGS[] = {SYSTEM_POSITIONAL};
static const Option SHOW_OPTIONS[] = {
    OPTION_SYSTEM_SET,
    {.name = "dot", .kind = OPTION_FLAG, .section = "Output", .help = "Print it for Graphviz."},
    OPTION_JSON};
static const Example SHOW_EXAMPLES[] = {
    {"perfwright system show pipeline.toml", "Who calls whom, under which policies."},
    {"perfwright system show pipeline.toml --dot | dot -Tsvg > pipeline.svg", "A picture."},
};
static const Verb VERB_SHOW = {.name = "system show",
                               .summary =
                                   "show the agents, edges, policies and promises of a system",
                               OPTION_TABLE(SHOW_OPTIONS),
                               POSITIONAL_TABLE(SYSTEM_ARGS),
                               EXAMPLE_TABLE(SHOW_EXAMPLES)};
const Command CMD_SYSTEM_SHOW = {&VERB_SHOW, run_show, false};

// ---- run

enum { BOTH_REPLICATIONS = 20 };

typedef struct Running {
    App *app;
    const System *sys;
    Loop *loop;
    Signals *signals;
    bool stop;
    int64_t horizon_ns;
} Running;

static void on_signal(void *ctx, int number)
{
    Running *r = ctx;
    if (number == SIGINT || number == SIGTERM) {
        r->stop = true;
    }
}

static bool is_stopped(void *ctx)
{
    Running *r = ctx;
    (void)loop_tick(r->loop, 0);
    return r->stop;
}

static void on_progress(void *ctx, int64_t now_ns, const PlantWindow *last)
{
    Running *r = ctx;
    if (!last) {
        return;
    }
    Buf text = buf_create(4 << 10);
    for (uint32_t i = 0; i < r->sys->client_count; i++) {
        const ClientOutcome *c = &last->outcome->clients[i];
        buf_printf(&text, "  %.*s good ", SLICE_FMT(r->sys->clients[i].name));
        Estimate good = {c->goodput.value, 0, 0}, p99 = {c->p99.value, 0, 0};
        outcome_estimate_print(good, OUTCOME_SHARE, &text);
        buf_puts(&text, ", p99 ");
        outcome_estimate_print(p99, OUTCOME_SECONDS, &text);
    }
    app_say(r->app, "%4.0f s of %.0f s:%.*s", (double)now_ns / 1e9, (double)r->horizon_ns / 1e9,
            SLICE_FMT(buf_slice(&text)));
    buf_done(&text);
}

static int run_live(Running *r, const OptionSet *set, LiveRun *ret_run, Err *e)
{
    LiveRunOptions options = {
        .plant = {.seed = (uint64_t)option_int(set, "seed"),
                  .scale = option_float(set, "scale"),
                  .stopped = is_stopped,
                  .stopped_arg = r},
        .warmup_ns = option_int(set, "warmup"),
        .horizon_ns = option_int(set, "horizon"),
        .confidence = option_float(set, "confidence"),
        .progress = on_progress,
        .context = r,
    };
    r->horizon_ns = options.horizon_ns;
    int rc = loop_create(&(LoopOptions){0}, &r->loop, e);
    rc = rc ? rc : signals_watch(r->loop, on_signal, r, &r->signals, e);
    rc = rc ? rc : live_run(r->app->arena, r->sys, &options, ret_run, e);
    signals_close(r->signals);
    loop_destroy(r->loop);
    return rc;
}

static void print_run(App *app, const OptionSet *set, const System *sys, const LiveRun *run)
{
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_double(&w, "measuredSeconds", (double)run->measured_ns / 1e9);
        json_field_bool(&w, "stopped", run->stopped);
        json_field_bool(&w, "invalid", run->invalid);
        json_field_double(&w, "sendLateP99Seconds", run->health.late_p99_s);
        json_key(&w, SLICE("outcome"));
        outcome_write(run->outcome, sys, &w);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
        return;
    }
    outcome_table_print(app, sys, run->outcome);
    buf_printf(&app->out, "measured for %.0f s of the system's time on the runtime",
               (double)run->measured_ns / 1e9);
    buf_printf(&app->out, "; requests left late by %.2f ms at p99\n", run->health.late_p99_s * 1e3);
    if (run->invalid) {
        buf_puts(&app->out, "INVALID: requests left so late that this machine measured itself; "
                            "give a lower --scale\n");
    }
}

// An observation of the system, for models to be fitted on. A run that was cut short has measured
// another stretch of time, and an invalid one the machine.
static int record(App *app, const OptionSet *set, const System *sys, const LiveRun *run, Err *e)
{
    Ledger *ledger = NULL;
    if (option_flag(set, "no-ledger") || run->stopped || run->invalid) {
        return 0;
    }
    int rc = app_open_ledger(app, set, false, &ledger, e);
    Slice source = arena_printf(app->arena, "live:seed=%lld", (long long)option_int(set, "seed"));
    rc = rc != 0 ? rc
                 : observed_store(ledger, sys, run->outcome, OBSERVED_RUNS, source,
                                  clock_wall(clock_real()), e);
    ledger_close(ledger);
    return rc;
}

// The simulator's word on the same: as long, from the same start, over replications, whose spread
// is that of single runs like the live one.
static int print_both(App *app, const OptionSet *set, const System *sys, const LiveRun *run, Err *e)
{
    SimOptions options = {.seed = (uint64_t)option_int(set, "seed") + 1, // luck of its own
                          .horizon_ns = option_int(set, "horizon"),
                          .warmup_ns = option_int(set, "warmup"),
                          .replications = BOTH_REPLICATIONS,
                          .confidence = option_float(set, "confidence"),
                          .no_controls = true};
    options.warmup_ns = options.warmup_ns > 0 ? options.warmup_ns : SIM_WARMUP_NONE;
    SimResult *simulated = NULL;
    int rc = sim_run(app->arena, sys, &options, &simulated, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        OutcomeAgreement agreement = outcome_agreement(sys, run->outcome, simulated->outcome);
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_bool(&w, "invalid", run->invalid);
        json_field_double(&w, "sendLateP99Seconds", run->health.late_p99_s);
        json_field_int(&w, "rows", agreement.rows);
        json_field_int(&w, "overlapping", agreement.overlapping);
        json_key(&w, SLICE("live"));
        outcome_write(run->outcome, sys, &w);
        json_key(&w, SLICE("simulated"));
        outcome_write(simulated->outcome, sys, &w);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
        return 0;
    }
    const char *const names[] = {"live", "simulated"};
    const Outcome *const outcomes[] = {run->outcome, simulated->outcome};
    OutcomeAgreement agreement = outcome_table_agreement(app, sys, names, outcomes);
    buf_printf(&app->out,
               "the intervals of %u of %u rows overlap; requests left late by %.2f ms at p99\n",
               agreement.overlapping, agreement.rows, run->health.late_p99_s * 1e3);
    return 0;
}

static int run_run(App *app, const OptionSet *set, Err *e)
{
    System *sys;
    int rc = cli_load_system(app, set, &sys, e);
    if (rc != 0) {
        return rc;
    }
    double scale = option_float(set, "scale");
    app_say(app, "%.*s on the runtime, %g times as fast: takes %.0f s", SLICE_FMT(sys->name), scale,
            (double)option_int(set, "horizon") / 1e9 / scale);
    Running r = {.app = app, .sys = sys};
    LiveRun run = {0};
    if ((rc = run_live(&r, set, &run, e)) != 0) {
        return rc;
    }
    if (!option_flag(set, "both") || run.stopped) {
        print_run(app, set, sys, &run);
    } else if ((rc = print_both(app, set, sys, &run, e)) != 0) {
        return rc;
    }
    if ((rc = record(app, set, sys, &run, e)) != 0) {
        return rc;
    }
    if (run.stopped) {
        app_warn(app, "stopped after %.0f s of the system's time; the numbers are of that",
                 (double)run.measured_ns / 1e9);
        return EXIT_PARTIAL;
    }
    return run.invalid ? EXIT_NOT_PROVEN : EXIT_PASS;
}

static const Option RUN_OPTIONS[] = {
    OPTION_SYSTEM_SET,
    OPTION_SCALE("Seconds of the system in one second of the clock."),
    {.name = "horizon",
     .kind = OPTION_DURATION,
     .default_text = "300s",
     .min = 1e9,
     .max = 86400e9,
     .help = "How long it runs, of the system's time."},
    {.name = "warmup",
     .kind = OPTION_DURATION,
     .default_text = "30s",
     .min = 0,
     .max = 86400e9,
     .help = "How much of that is not measured."},
    OPTION_SEED("Of arrivals, service times and faults."),
    OPTION_CONFIDENCE,
    {.name = "both",
     .kind = OPTION_FLAG,
     .help = "Simulate it as well, and say row by row whether "
             "the two agree."},
    OPTION_JSON,
    OPTION_LEDGER,
    {.name = "no-ledger",
     .kind = OPTION_FLAG,
     .section = "Ledger",
     .help = "Keep no observation for interface fit."}};
static const Example RUN_EXAMPLES[] = {
    {"perfwright system run pipeline.toml", "300 s of the system in 30 s, and what it did."},
    {"perfwright system run pipeline.toml --both", "Does it do what the simulator says?"},
    {"perfwright system run pipeline.toml --set 'a->b.timeout.attempt=10s' --json",
     "With one policy changed, as JSON."},
};
static const Verb VERB_RUN = {
    .name = "system run",
    .summary = "run a system on the agent runtime and measure it",
    .description =
        "Every agent of the document becomes an agent of the runtime that waits for a worker, "
        "works as long as the document says and calls others through edges with its policies.\n\n"
        "Ctrl-C ends the run and prints what was measured so far (exit code 114).",
    OPTION_TABLE(RUN_OPTIONS),
    POSITIONAL_TABLE(SYSTEM_ARGS),
    EXAMPLE_TABLE(RUN_EXAMPLES)};
const Command CMD_SYSTEM_RUN = {&VERB_RUN, run_run, false};
