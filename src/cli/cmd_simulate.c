// simulate: a System document run in virtual time, or several changes of it ranked.
#include "cli/commands.h"

#include <math.h>

#include "base/json_write.h"
#include "cli/outcome_table.h"
#include "cli/simulate_plot.h"
#include "cli/system_file.h"
#include "cli/table.h"
#include "ledger/run.h"
#include "ledger/sha256.h"
#include "model/observed.h"
#include "model/sim_compare.h"
#include "os/clock.h"
#include "os/file.h"

enum { PLOT_BYTES_MAX = 32 << 20, CANDIDATES_MAX = 1000, SHOWN_MAX = 20 };

typedef struct Candidate {
    Slice name;
    SystemChange *changes;
    size_t count;
} Candidate;

typedef struct Simulation {
    App *app;
    const OptionSet *set;
    System *sys;
    SimOptions o;
    Candidate *candidates;
    size_t count;
} Simulation;

// ---- options

static void say_progress(void *context, uint32_t done, uint32_t of)
{
    Simulation *s = context;
    if (of <= 10 || done == of || done % (of / 10) == 0) {
        app_say(s->app, "%u of %u replications", done, of);
    }
}

static int read_warmup(Slice text, int64_t *ret_ns, Err *e)
{
    if (slice_eq_cstr(text, "none")) {
        *ret_ns = SIM_WARMUP_NONE;
        return 0;
    }
    if (slice_eq_cstr(text, "detect")) {
        *ret_ns = SIM_WARMUP_DETECT;
        return 0;
    }
    int64_t ns = 0;
    int rc = text.len > 0 ? duration_parse(text, 0, &ns, e) : 0;
    if (rc != 0) {
        (void)err_wrap(e, "--warmup");
        return ERR_ARG;
    }
    *ret_ns = text.len > 0 && ns == 0 ? SIM_WARMUP_NONE : ns;
    return 0;
}

static int read_options(Simulation *s, Err *e)
{
    const OptionSet *set = s->set;
    s->o = (SimOptions){
        .seed = (uint64_t)option_int(set, "seed"),
        .horizon_ns = option_int(set, "horizon"),
        .replications = (uint32_t)option_int(set, "replications"),
        .confidence = option_float(set, "confidence"),
        .threads = (uint32_t)option_int(set, "threads"),
        .settle = option_flag(set, "settle"),
        .progress = say_progress,
        .context = s,
    };
    return read_warmup(option_string(set, "warmup"), &s->o.warmup_ns, e);
}

// ---- candidates

// "a->b.retry.attempts=1, b->c.timeout.attempt=1s"
static int read_list(Simulation *s, Slice text, Candidate *c, Err *e)
{
    c->name = text;
    c->changes = ARENA_ARRAY(s->app->arena, SystemChange, SYSTEM_CHANGES_MAX);
    for (Slice rest = text; rest.len > 0;) {
        Slice one;
        (void)slice_cut(rest, ',', &one, &rest);
        if (c->count == SYSTEM_CHANGES_MAX) {
            return err_set(e, ERR_LIMIT, "--vs: more than %d changes", SYSTEM_CHANGES_MAX);
        }
        int rc = system_parse_change(s->sys, slice_trim(one), &c->changes[c->count++], e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

// {"NAME": {"a->b.retry.attempts": 1, ...}, ...} in any of the three formats.
static int read_file(Simulation *s, Slice path, Err *e)
{
    const Doc *doc = NULL;
    int rc = doc_read_file(s->app->arena, arena_cstr(s->app->arena, path), NULL, &doc, e);
    if (rc != 0 || (rc = doc_expect(doc, DOC_OBJECT, "a file of candidates", e)) != 0) {
        return rc;
    }
    for (const Doc *m = doc_first(doc); m && rc == 0; m = doc_next(m)) {
        if (s->count == CANDIDATES_MAX) {
            return doc_err(e, m, "more than %d candidates", CANDIDATES_MAX);
        }
        Candidate *c = &s->candidates[s->count++];
        c->name = m->key;
        rc = system_read_changes(s->app->arena, s->sys, m, &c->changes, &c->count, e);
    }
    return rc;
}

static int read_candidates(Simulation *s, Err *e)
{
    const OptionValue *vs = option_values(s->set, "vs");
    Slice file = option_string(s->set, "compare");
    if (!vs && file.len == 0) {
        return 0;
    }
    s->candidates = ARENA_ARRAY(s->app->arena, Candidate, CANDIDATES_MAX + 1);
    s->candidates[s->count++].name = SLICE("as it is");
    int rc = 0;
    for (; vs && rc == 0; vs = vs->next) {
        if (s->count == CANDIDATES_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d candidates", CANDIDATES_MAX);
        }
        rc = read_list(s, vs->text, &s->candidates[s->count++], e);
    }
    return rc == 0 && file.len > 0 ? read_file(s, file, e) : rc;
}

// ---- the verdict

// As everywhere: breached beyond chance, held beyond chance, or not proven either way.
static ExitCode verdict_of(const System *sys, const Outcome *outcome)
{
    if (sys->objective_count == 0) {
        return EXIT_PASS;
    }
    ObjectiveGap gap = outcome_gap(outcome, sys);
    return gap.low > 0 ? EXIT_THRESHOLDS : gap.high == 0 ? EXIT_PASS : EXIT_NOT_PROVEN;
}

static void print_verdicts(App *app, const System *sys, const Outcome *outcome)
{
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        ObjectiveGap gap = outcome_objective_gap(&outcome->clients[o->client], o, outcome->stable);
        buf_printf(&app->out, "%.*s: objective %s\n", SLICE_FMT(sys->clients[o->client].name),
                   gap.low > 0 ? "breached"
                   : gap.high == 0
                       ? "met"
                       : "not proven: more replications or a longer horizon would tell");
    }
}

// ---- the ledger

static Slice canonical_system(App *app, const System *sys, Err *e)
{
    Buf text = buf_create(RUN_DOCUMENT_BYTES_MAX), canonical = buf_create(RUN_DOCUMENT_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    const Doc *doc = NULL;
    Slice result = {0};
    system_write(sys, &w);
    if (buf_check(&text, "the system", e) == 0 &&
        doc_parse(app->arena, buf_slice(&text), NULL, &doc, e) == 0) {
        doc_write_canonical(doc, &canonical);
        result = arena_copy(app->arena, buf_slice(&canonical));
    }
    buf_done(&text);
    buf_done(&canonical);
    return result;
}

// A row for models to be fitted on, unless a replication overflowed: that has no steady state.
static int observe(const Simulation *s, Ledger *ledger, const System *sys, const SimResult *result,
                   Err *e)
{
    for (uint32_t i = 0; i < result->run_count; i++) {
        if (result->runs[i].end != SIM_ENDED) {
            return 0;
        }
    }
    Slice source =
        arena_printf(s->app->arena, "simulation:seed=%llu", (unsigned long long)s->o.seed);
    return observed_store(ledger, sys, result->outcome, OBSERVED_RUNS, source,
                          clock_wall(clock_real()), e);
}

// The document and the outcome, as a run of kind "simulation", where --ledger names a ledger.
static int record(Simulation *s, const System *sys, const SimResult *result, Err *e)
{
    App *app = s->app;
    Ledger *ledger = NULL;
    RunWriter *writer = NULL;
    if (!option_given(s->set, "ledger")) {
        return 0;
    }
    int rc = app_open_ledger(app, s->set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    Slice document = canonical_system(app, sys, e);
    Sha256 hash = sha256_of(document);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    Buf summary = buf_create(RUN_DOCUMENT_BYTES_MAX);
    JsonWriter w = json_writer(&summary, 0);
    outcome_write(result->outcome, sys, &w);
    RunInfo info = {.kind = SLICE("simulation"),
                    .name = sys->name,
                    .target = sys->name,
                    .plan_json = document,
                    .plan_sha256 = slice_from_cstr(hex),
                    .seed = s->o.seed,
                    .load_scale = 1,
                    .started_unix_ns = clock_wall(clock_real()) - result->outcome->took_ns,
                    .interval_ns = result->window_ns};
    rc = run_create(ledger, &info, &writer, e);
    if (rc == 0) {
        RunEnd end = {.status = RUN_COMPLETE,
                      .duration_ns = result->horizon_ns,
                      .summary_json = buf_slice(&summary)};
        rc = run_finish(writer, &end, e);
    }
    rc = rc != 0 ? rc : observe(s, ledger, sys, result, e);
    if (rc == 0) {
        app_say(app, "recorded as %s", info.id);
    }
    buf_done(&summary);
    ledger_close(ledger);
    return rc;
}

static int write_plot(Simulation *s, const System *sys, const SimResult *result, Err *e)
{
    Slice path = option_string(s->set, "plot");
    if (path.len == 0) {
        return 0;
    }
    Buf svg = buf_create(PLOT_BYTES_MAX);
    simulate_plot(sys, result, &svg);
    int rc = buf_check(&svg, "the picture", e);
    if (rc == 0) {
        rc = file_write(arena_cstr(s->app->arena, path), buf_slice(&svg), NULL, e);
    }
    buf_done(&svg);
    return rc;
}

// ---- one system

static void print_one(Simulation *s, const SimResult *r)
{
    App *app = s->app;
    if (option_flag(s->set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_string(&w, "system", s->sys->name);
        json_field_int(&w, "seed", (int64_t)s->o.seed);
        json_field_int(&w, "replications", r->run_count);
        json_field_double(&w, "horizonSeconds", (double)r->horizon_ns / NS_PER_SECOND);
        json_field_double(&w, "warmupSeconds", (double)r->warmup_ns / NS_PER_SECOND);
        json_field_int(&w, "events", (int64_t)r->events);
        json_key(&w, SLICE("outcome"));
        outcome_write(r->outcome, s->sys, &w);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
        return;
    }
    outcome_table_print(app, s->sys, r->outcome);
    print_verdicts(app, s->sys, r->outcome);
    buf_printf(&app->out,
               "%u replications of %g s, measured from %g s; %g %% intervals; %.1f M events in "
               "%.2f s; seed %llu\n",
               r->run_count, (double)r->horizon_ns / NS_PER_SECOND,
               (double)r->warmup_ns / NS_PER_SECOND, r->outcome->confidence * 100,
               (double)r->events / 1e6, (double)r->outcome->took_ns / NS_PER_SECOND,
               (unsigned long long)s->o.seed);
}

static int simulate_one(Simulation *s, Err *e)
{
    SimResult *result;
    int rc = sim_run(s->app->arena, s->sys, &s->o, &result, e);
    if (rc != 0) {
        return rc;
    }
    print_one(s, result);
    if ((rc = write_plot(s, s->sys, result, e)) != 0 || (rc = record(s, s->sys, result, e)) != 0) {
        return rc;
    }
    return verdict_of(s->sys, result->outcome);
}

// ---- several

static void print_ranks_json(Simulation *s, const SimRank *ranks)
{
    JsonWriter w = json_writer(&s->app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("ranks"));
    json_array_begin(&w);
    for (size_t i = 0; i < s->count; i++) {
        const SimRank *r = &ranks[i];
        const Candidate *c = &s->candidates[r->candidate];
        json_object_begin(&w);
        json_field_string(&w, "name", c->name);
        json_field_cstr(&w, "fate", SIM_FATES[r->fate]);
        json_key(&w, SLICE("changes"));
        system_write_changes(s->sys, c->changes, c->count, &w);
        if (r->result) {
            json_field_double(&w, "score", r->score.value);
            json_field_int(&w, "replications", r->result->run_count);
            json_key(&w, SLICE("outcome"));
            outcome_write(r->result->outcome, r->sys, &w);
        }
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&s->app->out, '\n');
}

// The best beside the next one; what ran only once has no intervals to put there.
static void print_best(Simulation *s, const SimRank *ranks)
{
    App *app = s->app;
    const char *names[2];
    const Outcome *outcomes[2];
    size_t columns = 0;
    for (size_t i = 0; i < s->count && columns < COUNT_OF(names); i++) {
        if (ranks[i].result && ranks[i].result->run_count > 1) {
            names[columns] =
                arena_printf(app->arena, "%zu: %.40s", i + 1,
                             arena_cstr(app->arena, s->candidates[ranks[i].candidate].name))
                    .ptr;
            outcomes[columns++] = ranks[i].result->outcome;
        }
    }
    buf_putc(&app->out, '\n');
    if (columns == 1) {
        outcome_table_print(app, s->sys, outcomes[0]);
    } else {
        outcome_table_compare(app, s->sys, names, outcomes, columns);
    }
}

static void print_ranks(Simulation *s, const SimRank *ranks)
{
    App *app = s->app;
    Table t = table_create(app->arena, 5);
    static const char *const heads[] = {"RANK", "SCORE", "RUNS", "FATE", "CANDIDATE"};
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        table_put(&t, slice_from_cstr(heads[i]));
    }
    for (size_t i = 0; i < s->count && i < SHOWN_MAX; i++) {
        const SimRank *r = &ranks[i];
        table_putf(&t, "%zu", i + 1);
        table_putf(&t, r->result ? "%.4g" : "-", r->score.value);
        table_putf(&t, "%u", r->result ? r->result->run_count : 0);
        table_put(&t, slice_from_cstr(SIM_FATES[r->fate]));
        table_put(&t, s->candidates[r->candidate].name);
    }
    table_print(&t, 0, &app->out);
    if (s->count > SHOWN_MAX) {
        buf_printf(&app->out, "and %zu more; --json has all\n", s->count - SHOWN_MAX);
    }
    print_best(s, ranks);
}

static int simulate_many(Simulation *s, Err *e)
{
    SimCandidate *candidates = ARENA_ARRAY(s->app->arena, SimCandidate, s->count);
    SimRank *ranks;
    for (size_t i = 0; i < s->count; i++) {
        candidates[i] = (SimCandidate){s->candidates[i].changes, s->candidates[i].count};
    }
    SimCompareOptions o = {.sim = s->o};
    o.sim.progress = NULL;
    app_say(s->app, "ranking %zu candidates", s->count);
    int rc = sim_compare(s->app->arena, s->sys, candidates, s->count, &o, &ranks, e);
    if (rc != 0) {
        return rc;
    }
    (option_flag(s->set, "json") ? print_ranks_json : print_ranks)(s, ranks);
    if (!ranks[0].result) {
        return err_set(e, ERR_ARG, "none of the changes can be made");
    }
    if ((rc = write_plot(s, ranks[0].sys, ranks[0].result, e)) != 0 ||
        (rc = record(s, ranks[0].sys, ranks[0].result, e)) != 0) {
        return rc;
    }
    return verdict_of(ranks[0].sys, ranks[0].result->outcome);
}

static int run_simulate(App *app, const OptionSet *set, Err *e)
{
    Simulation s = {.app = app, .set = set};
    app->quiet = option_flag(set, "quiet");
    int rc = cli_load_system(app, set, &s.sys, e);
    if (rc != 0 || (rc = read_options(&s, e)) != 0 || (rc = read_candidates(&s, e)) != 0) {
        return rc;
    }
    return s.count > 0 ? simulate_many(&s, e) : simulate_one(&s, e);
}

static const Positional ARGS[] = {
    {"SYSTEM", "The System document: TOML, YAML or JSON.", false, false}};
static const Option OPTIONS[] = {
    OPTION_SYSTEM_SET,
    OPTION_SEED("Of all luck. Equal seeds give equal numbers, and candidates equal luck."),
    {.name = "horizon",
     .kind = OPTION_DURATION,
     .default_text = "900s",
     .min = 1e6,
     .max = 366 * 86400e9,
     .help = "How long it runs, of the system's time."},
    {.name = "warmup",
     .kind = OPTION_STRING,
     .metavar = "DURATION|none|detect",
     .help = "From when it is measured. Default: 300s, at most a third of the horizon; detect: "
             "when a pilot run has become steady."},
    {.name = "replications",
     .short_name = 'r',
     .kind = OPTION_INT,
     .min = 1,
     .max = SIM_REPLICATIONS_MAX,
     .default_text = "5",
     .help = "Independent runs. From 8 on a queueing formula takes out some of the luck."},
    OPTION_CONFIDENCE,
    {.name = "threads",
     .kind = OPTION_INT,
     .min = 0,
     .max = 64,
     .default_text = "0",
     .help = "Replications at a time; 0: one a processor. Does not change the numbers."},
    {.name = "settle",
     .kind = OPTION_FLAG,
     .help = "End a replication early when it has collapsed or can no longer meet an objective."},
    {.name = "vs",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "CHANGES",
     .section = "Candidates",
     .help = "Rank these changes, parted by commas, against the system as it is."},
    {.name = "compare",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Candidates",
     .help = "Rank the candidates of a file: names, each with an object of changes."},
    {.name = "plot",
     .kind = OPTION_STRING,
     .metavar = "FILE.svg",
     .section = "Output",
     .help = "Draw goodput, latency and queues over time, of the best candidate."},
    {.name = "quiet",
     .short_name = 'q',
     .kind = OPTION_FLAG,
     .section = "Output",
     .help = "No progress on standard error."},
    OPTION_JSON,
    {.name = "ledger",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .env = "PERFWRIGHT_LEDGER",
     .section = "Ledger",
     .help = "Record the run there; without it nothing is recorded."},
};
static const Example EXAMPLES[] = {
    {"perfwright simulate pipeline.toml", "What the system does, with intervals."},
    {"perfwright simulate pipeline.toml --set a->b.retry.attempts=1 --plot course.svg",
     "With another policy, and its course over time."},
    {"perfwright simulate pipeline.toml --vs 'b->c.timeout.attempt=500ms,b->c.retry.attempts=4'",
     "A change against the system as it is."},
};
static const Verb VERB = {
    .name = "simulate",
    .summary = "run a system of agents in virtual time and say what it does",
    .description =
        "Runs the policy code itself in virtual time: queues, timeouts, retries, hedges, "
        "cancellation, spikes and faults as the document says. Several replications give every "
        "number its interval; failures count as infinitely slow.\n\n"
        "Exit code: 0 objectives met beyond chance or none given, 99 breached beyond chance, 113 "
        "not proven either way. With candidates it is that of the best one.",
    OPTION_TABLE(OPTIONS),
    POSITIONAL_TABLE(ARGS),
    EXAMPLE_TABLE(EXAMPLES)};
const Command CMD_SIMULATE = {&VERB, run_simulate, false};
