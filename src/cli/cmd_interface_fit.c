// interface fit, interface validate: predictions made better with what was observed, and held
// against simulations that they have not seen.
#include "cli/commands.h"

#include <math.h>

#include "base/json_write.h"
#include "cli/system_file.h"
#include "cli/table.h"
#include "model/interface_fit.h"
#include "model/observed.h"
#include "model/sim.h"
#include "os/clock.h"
#include "os/file.h"

#define VALIDATE_SALT (UINT64_C(1) << 40) // settings of a validation are not those of a fit

// Requests of the rarest client a simulation takes, for a p99 that means something; bounded for
// systems with very different rates.
static int64_t horizon_of(const System *sys, double requests)
{
    double least = INFINITY, all = 0;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        double rate = sys->clients[i].users > 0 ? 1 : sys->clients[i].per_second;
        least = fmin(least, rate);
        all += rate;
    }
    return (int64_t)(1e9 * fmax(fmin(requests / least, 20 * requests / all), 100));
}

// A random setting and what it really does, by simulation. *ret_truth NULL: it has no steady state.
static int observe(Arena *arena, const System *sys, uint64_t seed, double requests,
                   System **ret_setting, SimResult **ret_truth, Err *e)
{
    int rc = interface_setting(arena, sys, seed, ret_setting, e);
    if (rc != 0) {
        return rc;
    }
    int64_t horizon = horizon_of(*ret_setting, requests);
    SimOptions options = {.seed = seed,
                          .replications = 5,
                          .horizon_ns = horizon + horizon / 4,
                          .warmup_ns = horizon / 4,
                          .open_max = 1 << 17};
    SimResult *truth = NULL;
    rc = sim_run(arena, *ret_setting, &options, &truth, e);
    for (uint32_t i = 0; rc == 0 && i < truth->run_count; i++) {
        if (truth->runs[i].end != SIM_ENDED) {
            truth = NULL;
            break;
        }
    }
    *ret_truth = truth;
    return rc;
}

// ---- fit

static int simulate_rows(App *app, const OptionSet *set, const System *sys, Dataset *d, Err *e)
{
    int64_t count = option_int(set, "settings");
    uint64_t seed = (uint64_t)option_int(set, "seed");
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        Arena *arena = arena_create((size_t)1 << 30);
        System *setting = NULL;
        SimResult *truth = NULL;
        uint64_t one = seed * 1000003 + (uint64_t)i;
        rc = observe(arena, sys, one, option_float(set, "requests"), &setting, &truth, e);
        if (rc == 0 && truth) {
            Slice source = arena_printf(arena, "simulation:seed=%llu", (unsigned long long)one);
            rc = dataset_add_outcome(d, setting, truth->outcome, source, clock_wall(clock_real()),
                                     e);
        }
        arena_destroy(arena);
        if (rc == 0 && (i + 1) % 20 == 0) {
            app_say(app, "%lld of %lld settings simulated", (long long)i + 1, (long long)count);
        }
    }
    return rc;
}

static const char *const OBSERVED_CHOICES[] = {"runs", "windows", NULL};

static int ledger_rows(App *app, const OptionSet *set, const System *sys, Dataset *d, Err *e)
{
    Ledger *ledger = NULL;
    ObservedKind kind = option_int(set, "observed") == 0 ? OBSERVED_RUNS : OBSERVED_WINDOWS;
    int rc = app_open_ledger(app, set, true, &ledger, e);
    rc = rc != 0 ? rc : observed_load(d, ledger, sys, kind, e);
    ledger_close(ledger);
    if (rc == 0 && dataset_rows(d) == 0) {
        return err_set(e, ERR_NOT_FOUND,
                       "the ledger has no %s of \"%.*s\" as it is now: rows count only for the "
                       "system that they were observed of, but for loads and for policies that "
                       "have a range",
                       OBSERVED_CHOICES[kind], SLICE_FMT(sys->name));
    }
    return rc;
}

static void print_report(App *app, const Learned *m)
{
    buf_printf(&app->out, "fitted on %zu rows\n\n", learned_rows(m));
    Table t = table_create(app->arena, 6);
    static const char *const head[] = {"OUTPUT", "ROWS", "ERROR", "FORMULA'S", "COVERAGE", "WIDTH"};
    for (size_t i = 0; i < COUNT_OF(head); i++) {
        table_put(&t, slice_from_cstr(head[i]));
        table_right(&t, i > 0 ? i : 1);
    }
    for (size_t i = 0; i < learned_outputs(m); i++) {
        const LearnedReport *r = learned_report(m, i);
        table_put(&t, learned_output(m, i)->name);
        table_putf(&t, "%zu", r->rows);
        table_putf(&t, "%.1f %%", 100 * r->median_error);
        if (isnan(r->base_error)) {
            table_put(&t, SLICE("-"));
        } else {
            table_putf(&t, "%.1f %%", 100 * r->base_error);
        }
        table_putf(&t, "%.0f %%", 100 * r->coverage);
        table_putf(&t, "%.1f %%", 100 * r->median_width);
    }
    table_print(&t, 0, &app->out);
    size_t count = 0;
    const Slice *out = learned_left_out(m, &count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&app->out, "%s%.*s\n", i == 0 ? "\n" : "", SLICE_FMT(out[i]));
    }
}

static int write_model(App *app, const Learned *m, Slice path, Err *e)
{
    Buf text = buf_create((size_t)64 << 20);
    JsonWriter w = json_writer(&text, 0);
    learned_write(m, &w);
    buf_putc(&text, '\n');
    int rc = buf_check(&text, "the model", e);
    rc = rc ? rc : file_write(arena_cstr(app->arena, path), buf_slice(&text), NULL, e);
    buf_done(&text);
    if (rc == 0) {
        app_say(app, "written to %.*s", SLICE_FMT(path));
    }
    return rc;
}

static int run_fit(App *app, const OptionSet *set, Err *e)
{
    System *sys = NULL;
    int rc = cli_load_system(app, set, &sys, e);
    if (rc != 0) {
        return rc;
    }
    Dataset *d = dataset_create();
    InterfaceFitted *fit = NULL;
    if (option_given(set, "observations")) {
        rc = dataset_load_file(d, arena_cstr(app->arena, option_string(set, "observations")), e);
    } else if (option_given(set, "observed")) {
        rc = ledger_rows(app, set, sys, d, e);
    } else {
        rc = simulate_rows(app, set, sys, d, e);
    }
    rc = rc ? rc : interface_fit(sys, d, option_float(set, "confidence"), &fit, e);
    if (rc == 0 && option_given(set, "rows")) {
        Buf text = buf_create(DATASET_FILE_MAX);
        JsonWriter w = json_writer(&text, 0);
        dataset_write(d, sys->name, &w);
        rc = buf_check(&text, "the rows", e);
        rc = rc ? rc
                : file_write(arena_cstr(app->arena, option_string(set, "rows")), buf_slice(&text),
                             NULL, e);
        buf_done(&text);
    }
    if (rc == 0 && option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        learned_write(interface_fit_model(fit), &w);
        buf_putc(&app->out, '\n');
    } else if (rc == 0) {
        print_report(app, interface_fit_model(fit));
    }
    if (rc == 0 && option_given(set, "output")) {
        rc = write_model(app, interface_fit_model(fit), option_string(set, "output"), e);
    }
    interface_fit_destroy(fit);
    dataset_destroy(d);
    return rc;
}

static const Positional FIT_ARGS[] = {
    {"SYSTEM", "The System document: TOML, YAML or JSON.", false, false}};
#define OPTION_SETTINGS(DEFAULT)                                                                   \
    {                                                                                              \
        .name = "settings", .kind = OPTION_INT, .default_text = DEFAULT, .min = 1, .max = 10000,   \
        .help = "Random loads and policies to simulate."                                           \
    }
#define OPTION_REQUESTS(DEFAULT)                                                                   \
    {                                                                                              \
        .name = "requests", .kind = OPTION_FLOAT, .default_text = DEFAULT, .min = 100, .max = 1e7, \
        .help = "Of the rarest client in one simulation."                                          \
    }
#define OPTION_FIT_CONFIDENCE                                                                      \
    {                                                                                              \
        .name = "confidence", .kind = OPTION_FLOAT, .default_text = "0.9", .min = 0.5,             \
        .max = 0.99, .help = "Of the intervals."                                                   \
    }
static const Option FIT_OPTIONS[] = {
    OPTION_SYSTEM_SET,
    {.name = "observations",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "What was observed, as JSON or CSV, instead of simulations."},
    {.name = "observed",
     .kind = OPTION_CHOICE,
     .choices = OBSERVED_CHOICES,
     .help = "What the ledger has of this system instead: runs of it (simulate --ledger, system "
             "run) or windows of coordinate run."},
    OPTION_SETTINGS("100"),
    OPTION_REQUESTS("2000"),
    OPTION_SEED("Of settings and simulations."),
    OPTION_FIT_CONFIDENCE,
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write the model there, for interface validate."},
    {.name = "rows",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write the rows that it was fitted on."},
    OPTION_JSON,
    OPTION_LEDGER};
static const Example FIT_EXAMPLES[] = {
    {"perfwright interface fit pipeline.toml -o pipeline.model.json",
     "Formula and what 100 simulated settings say that it misses."},
    {"perfwright interface fit pipeline.toml --observations week.csv",
     "From what the running system did."},
    {"perfwright interface fit pipeline.toml --observed runs -o pipeline.model.json",
     "From what simulate and system run left in the ledger."},
};
static const Verb VERB_FIT = {
    .name = "interface fit",
    .summary = "learn what the formulas of a system miss",
    .description = "The hybrid keeps the formula and learns its error from rows of loads, policies "
                   "and outcomes: observed ones, or simulated ones of random settings within what "
                   "the owners of the policies allow. The table says, for each output, the median "
                   "error and the coverage of intervals on rows that were held out, beside the "
                   "formula's own error.",
    OPTION_TABLE(FIT_OPTIONS),
    POSITIONAL_TABLE(FIT_ARGS),
    EXAMPLE_TABLE(FIT_EXAMPLES)};
const Command CMD_INTERFACE_FIT = {&VERB_FIT, run_fit, false};

// ---- validate

static const char *const VALIDATE_CHOICES[] = {"formula", "simulation", "hybrid", NULL};

typedef struct Validate {
    const System *sys;
    InterfaceFitted *fit; // hybrid
    int64_t fidelity;
    int64_t budget_ns;
    double confidence;
    InterfaceScores *scores;
    uint32_t left_out;
} Validate;

static int predict(const Validate *v, Arena *arena, const System *setting, uint64_t seed,
                   Outcome **ret_outcome, Err *e)
{
    if (v->fidelity == 2) {
        bool outside = false;
        *ret_outcome = outcome_create(arena, setting);
        return interface_fit_predict(v->fit, setting, *ret_outcome, &outside, e);
    }
    InterfaceProgram *program = NULL;
    int rc = interface_program(setting, &program, e);
    if (rc == 0) {
        InterfaceQuery query = {.exact_fidelity = true,
                                .fidelity =
                                    v->fidelity == 0 ? FIDELITY_FORMULA : FIDELITY_SIMULATION,
                                .budget_ns = v->budget_ns,
                                .confidence = v->confidence,
                                .seed = seed,
                                .outside = true};
        InterfaceAnswer answer;
        rc = interface_query(program, arena, &query, &answer, e);
        *ret_outcome = answer.outcome;
    }
    interface_program_destroy(program);
    return rc;
}

static int validate_one(Validate *v, uint64_t seed, double requests, Err *e)
{
    Arena *arena = arena_create((size_t)1 << 30);
    System *setting = NULL;
    SimResult *truth = NULL;
    Outcome *predicted = NULL;
    int rc = observe(arena, v->sys, seed, requests, &setting, &truth, e);
    if (rc == 0 && !truth) {
        v->left_out++;
    } else if (rc == 0 &&
               (rc = predict(v, arena, setting, seed ^ VALIDATE_SALT, &predicted, e)) == 0) {
        interface_score(v->scores, setting, predicted, truth->outcome);
    }
    arena_destroy(arena);
    return rc;
}

static void print_scores(App *app, const Validate *v)
{
    Table t = table_create(app->arena, 6);
    static const char *const head[] = {"MEASURE", "VALUES", "COVERAGE", "95 %", "WIDTH", "ERROR"};
    for (size_t i = 0; i < COUNT_OF(head); i++) {
        table_put(&t, slice_from_cstr(head[i]));
        table_right(&t, i > 0 ? i : 1);
    }
    for (InterfaceMeasure m = 0; m < INTERFACE_MEASURES; m++) {
        InterfaceScore s = interface_total(v->scores, m);
        if (s.count == 0) {
            continue;
        }
        table_put(&t, slice_from_cstr(INTERFACE_MEASURE_NAMES[m]));
        table_putf(&t, "%u", s.count);
        table_putf(&t, "%.1f %%", 100 * s.coverage);
        table_putf(&t, "%.1f-%.1f", 100 * s.coverage_low, 100 * s.coverage_high);
        table_putf(&t, "%.1f %%", 100 * s.width);
        table_putf(&t, "%.2f %%", 100 * s.error);
    }
    table_print(&t, 0, &app->out);
}

static void json_scores(App *app, const Validate *v, const char *verdict)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_cstr(&w, "verdict", verdict);
    json_field_double(&w, "confidence", v->confidence);
    for (InterfaceMeasure m = 0; m < INTERFACE_MEASURES; m++) {
        InterfaceScore s = interface_total(v->scores, m);
        json_key(&w, slice_from_cstr(INTERFACE_MEASURE_NAMES[m]));
        json_object_begin(&w);
        json_field_int(&w, "values", s.count);
        json_field_double(&w, "coverage", s.coverage);
        json_field_double(&w, "coverage_low", s.coverage_low);
        json_field_double(&w, "coverage_high", s.coverage_high);
        json_field_double(&w, "median_width", s.width);
        json_field_double(&w, "median_error", s.error);
        json_object_end(&w);
    }
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static int load_model(App *app, const OptionSet *set, Validate *v, Err *e)
{
    if (v->fidelity != 2) {
        return 0;
    }
    if (!option_given(set, "model")) {
        return err_set(e, ERR_ARG, "a hybrid needs --model: make one with interface fit -o FILE");
    }
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_JSON, .max_bytes = (size_t)64 << 20};
    int rc = doc_read_file(app->arena, arena_cstr(app->arena, option_string(set, "model")),
                           &options, &doc, e);
    return rc ? rc : interface_fit_read(v->sys, doc, &v->fit, e);
}

// Holds: not significantly below what it says. Anything else would need more values.
static ExitCode judge(const Validate *v, const char **ret_verdict)
{
    InterfaceScore all = interface_total(v->scores, MEASURED_ALL);
    if (all.count == 0) {
        *ret_verdict = "nothing was compared";
        return EXIT_NOT_PROVEN;
    }
    if (all.coverage_high < v->confidence) {
        *ret_verdict = "the intervals cover less than they say";
        return EXIT_THRESHOLDS;
    }
    *ret_verdict = "the intervals hold";
    return EXIT_PASS;
}

static int run_validate(App *app, const OptionSet *set, Err *e)
{
    System *sys = NULL;
    int rc = cli_load_system(app, set, &sys, e);
    if (rc != 0) {
        return rc;
    }
    Validate v = {.sys = sys,
                  .fidelity = option_int(set, "fidelity"),
                  .budget_ns = option_int(set, "budget"),
                  .confidence = option_float(set, "confidence"),
                  .scores = interface_scores_create(option_float(set, "confidence"))};
    rc = load_model(app, set, &v, e);
    uint64_t seed = (uint64_t)option_int(set, "seed");
    int64_t count = option_int(set, "settings");
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        rc = validate_one(&v, VALIDATE_SALT + seed * 1000003 + (uint64_t)i,
                          option_float(set, "requests"), e);
        if (rc == 0 && (i + 1) % 20 == 0) {
            app_say(app, "%lld of %lld settings compared", (long long)i + 1, (long long)count);
        }
    }
    if (rc == 0) {
        const char *verdict = NULL;
        rc = (int)judge(&v, &verdict);
        if (option_flag(set, "json")) {
            json_scores(app, &v, verdict);
        } else {
            print_scores(app, &v);
            buf_printf(&app->out, "\n%s\n", verdict);
        }
        if (v.left_out > 0) {
            app_warn(app, "%u settings left out: they overflowed in the simulation", v.left_out);
        }
    }
    interface_fit_destroy(v.fit);
    interface_scores_destroy(v.scores);
    return rc;
}

static const Option VALIDATE_OPTIONS[] = {OPTION_SYSTEM_SET,
                                          {.name = "fidelity",
                                           .kind = OPTION_CHOICE,
                                           .choices = VALIDATE_CHOICES,
                                           .default_text = "simulation",
                                           .help = "Whose predictions."},
                                          {.name = "model",
                                           .kind = OPTION_STRING,
                                           .metavar = "FILE",
                                           .help = "Of the hybrid, from interface fit."},
                                          {.name = "budget",
                                           .kind = OPTION_DURATION,
                                           .default_text = "100ms",
                                           .min = 1,
                                           .max = 3600e9,
                                           .help = "Of one prediction."},
                                          OPTION_SETTINGS("40"),
                                          OPTION_REQUESTS("5000"),
                                          OPTION_SEED("Of settings and simulations."),
                                          OPTION_FIT_CONFIDENCE,
                                          OPTION_JSON};
static const Example VALIDATE_EXAMPLES[] = {
    {"perfwright interface validate pipeline.toml --settings 100", "Short simulations against long "
                                                                   "ones."},
    {"perfwright interface validate pipeline.toml --fidelity hybrid --model pipeline.model.json",
     "What was learned, against settings it has not seen."},
};
static const Verb VERB_VALIDATE = {
    .name = "interface validate",
    .summary = "hold an interface's predictions against simulations it has not seen",
    .description =
        "Random loads and policies are predicted and then simulated at length. The table "
        "says how often the intervals held what came, how wide they are and how far off "
        "the values were. Exit code 99 when the intervals cover significantly less than "
        "they say.",
    OPTION_TABLE(VALIDATE_OPTIONS),
    POSITIONAL_TABLE(FIT_ARGS),
    EXAMPLE_TABLE(VALIDATE_EXAMPLES)};
const Command CMD_INTERFACE_VALIDATE = {&VERB_VALIDATE, run_validate, false};
