// interface: what an agent promises to do under which load and policies, shown and asked.
#include "cli/commands.h"

#include <math.h>

#include "base/json_write.h"
#include "cli/outcome_table.h"
#include "cli/system_file.h"
#include "cli/table.h"
#include "model/interface_fit.h"

// ---- what the command line names: a System document, or documents of interfaces

typedef struct Subject {
    System *sys;                 // whole, or put together from documents
    const Interface **documents; // NULL where a System was named
    size_t document_count;
    InterfaceKnown known;
} Subject;

static bool is_interface(const Doc *doc)
{
    const Doc *format = doc_get(doc, SLICE("format"));
    return format && format->type == DOC_STRING && slice_eq_cstr(format->text, INTERFACE_FORMAT);
}

static int read_documents(App *app, const OptionSet *set, size_t count, Subject *out, Err *e)
{
    out->documents = ARENA_ARRAY(app->arena, const Interface *, count);
    for (size_t i = 0; i < count; i++) {
        const char *path = arena_cstr(app->arena, option_positional(set, i));
        const Doc *doc = NULL;
        Interface *one = NULL;
        int rc = doc_read_file(app->arena, path, NULL, &doc, e);
        rc = rc ? rc : interface_read(app->arena, doc, &one, e);
        if (rc != 0) {
            return rc;
        }
        out->documents[out->document_count++] = one;
    }
    int rc = interface_compose(app->arena, out->documents, count, NULL, &out->known, e);
    for (uint32_t i = 0; rc == 0 && i < out->known.mark_count; i++) {
        const InterfaceMark *m = &out->known.marks[i];
        app_warn(app, "%s: %.*s", INTERFACE_MARK_NAMES[m->kind], SLICE_FMT(m->words));
    }
    out->sys = out->known.sys;
    return rc;
}

static int apply_set(const OptionSet *set, System *sys, Err *e)
{
    for (const OptionValue *v = option_values(set, "set"); v; v = v->next) {
        SystemChange change;
        int rc = system_parse_change(sys, v->text, &change, e);
        if (rc != 0 || (rc = system_set(sys, &change, e)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int load_subject(App *app, const OptionSet *set, Subject *out, Err *e)
{
    const Doc *doc = NULL;
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    int rc = doc_read_file(app->arena, path, NULL, &doc, e);
    if (rc != 0) {
        return rc;
    }
    if (is_interface(doc)) {
        rc = read_documents(app, set, option_positional_count(set), out, e);
    } else if (option_positional_count(set) > 1) {
        rc = err_set(e, ERR_ARG, "%s is a whole system; several files must be interfaces", path);
    } else {
        rc = system_read(app->arena, doc, &out->sys, e);
    }
    return rc ? rc : apply_set(set, out->sys, e);
}

static int find_agent(App *app, const System *sys, Slice name, uint32_t *ret, Err *e)
{
    ptrdiff_t agent = system_find_agent(sys, name);
    if (agent < 0) {
        Slice *names = ARENA_ARRAY(app->arena, Slice, sys->agent_count + 1);
        for (uint32_t i = 0; i < sys->agent_count; i++) {
            names[i] = sys->agents[i].name;
        }
        Slice nearest = slice_nearest(name, names, sys->agent_count);
        return err_set(e, ERR_NOT_FOUND, "there is no agent \"%.*s\"%s%.*s%s", SLICE_FMT(name),
                       nearest.len ? "; did you mean " : "", SLICE_FMT(nearest),
                       nearest.len ? "?" : "");
    }
    *ret = (uint32_t)agent;
    return 0;
}

// ---- show

static void put_value(Table *t, const InterfacePolicy *p, double value)
{
    if (slice_eq_cstr(p->unit, "ns")) {
        char text[UNITS_TEXT_MAX];
        (void)duration_format_short((int64_t)value, text);
        table_putf(t, "%s", text);
    } else {
        table_putf(t, "%g", value);
    }
}

static void print_policies(App *app, const Interface *in)
{
    Table t = table_create(app->arena, 5);
    static const char *const head[] = {"POLICY", "OWNER", "NOW", "FROM", "TO"};
    for (size_t i = 0; i < COUNT_OF(head); i++) {
        table_put(&t, slice_from_cstr(head[i]));
    }
    for (uint32_t i = 0; i < in->policy_count; i++) {
        const InterfacePolicy *p = &in->policies[i];
        table_put(&t, p->name);
        table_put(&t, p->owner);
        put_value(&t, p, p->value);
        if (p->low < p->high) {
            put_value(&t, p, p->low);
            put_value(&t, p, p->high);
        } else {
            table_put(&t, SLICE("fixed"));
            table_put(&t, SLICE(""));
        }
    }
    table_print(&t, 2, &app->out);
}

static void print_interface(App *app, const Interface *in)
{
    buf_printf(&app->out, "%.*s of %.*s, revision %lld\n\n", SLICE_FMT(in->agent),
               SLICE_FMT(in->system_name), (long long)in->revision);
    Table t = table_create(app->arena, 4);
    static const char *const head[] = {"FROM", "REQUESTS/S", "UP TO", "SCV"};
    for (size_t i = 0; i < COUNT_OF(head); i++) {
        table_put(&t, slice_from_cstr(head[i]));
    }
    for (uint32_t i = 0; i < in->input_count; i++) {
        table_put(&t, in->inputs[i].from);
        table_putf(&t, "%.4g", in->inputs[i].rate);
        table_putf(&t, "%.4g", in->inputs[i].high);
        table_putf(&t, "%.3g", in->inputs[i].scv);
    }
    table_print(&t, 2, &app->out);
    buf_putc(&app->out, '\n');
    print_policies(app, in);
    for (uint32_t i = 0; i < in->effect_count; i++) {
        const InterfaceEffect *x = &in->effects[i];
        buf_printf(&app->out, "%s  sends %.*s ", i == 0 ? "\n" : "", SLICE_FMT(x->to));
        outcome_estimate_print(x->attempts, OUTCOME_RATE, &app->out);
        buf_puts(&app->out, " attempts, retries among them ");
        outcome_estimate_print(x->retries, OUTCOME_RATE, &app->out);
        buf_putc(&app->out, '\n');
    }
    buf_puts(&app->out, "\n  answers:");
    for (size_t i = 0; i < FIDELITIES; i++) {
        if (!isnan(in->cost_ns[i])) {
            buf_printf(&app->out, " %s in %.3g ms", FIDELITY_NAMES[i], in->cost_ns[i] / 1e6);
        }
    }
    buf_printf(&app->out, "; good up to %.0f %% of its servers\n", 100 * in->utilisation_max);
    if (in->fit.rows > 0) {
        buf_printf(&app->out, "  fitted on %llu rows (%.*s), median error %.1f %%\n",
                   (unsigned long long)in->fit.rows, SLICE_FMT(in->fit.on), 100 * in->fit.error);
    }
}

static int show_agents(App *app, const OptionSet *set, const Subject *s, Err *e)
{
    bool json = option_flag(set, "json"), one = option_given(set, "agent");
    uint32_t first = 0, last = s->sys->agent_count;
    if (one) {
        int rc = find_agent(app, s->sys, option_string(set, "agent"), &first, e);
        if (rc != 0) {
            return rc;
        }
        last = first + 1;
    }
    JsonWriter w = json_writer(&app->out, 2);
    if (json && !one) {
        json_array_begin(&w);
    }
    for (uint32_t i = first; i < last; i++) {
        InterfaceOptions options = {.ttl_ns = option_int(set, "ttl")};
        Interface *in = NULL;
        int rc = interface_of(app->arena, s->sys, i, &options, &in, e);
        if (rc != 0) {
            return rc;
        }
        if (json) {
            interface_write(in, &w);
        } else {
            buf_puts(&app->out, i > first ? "\n" : "");
            print_interface(app, in);
        }
    }
    if (json) {
        if (!one) {
            json_array_end(&w);
        }
        buf_putc(&app->out, '\n');
    }
    return EXIT_PASS;
}

static int run_show(App *app, const OptionSet *set, Err *e)
{
    Subject s = {0};
    int rc = load_subject(app, set, &s, e);
    return rc ? rc : show_agents(app, set, &s, e);
}

#define SUBJECTS                                                                                   \
    {                                                                                              \
        "FILE", "A System document, or documents of performance interfaces.", false, true          \
    }
#define OPTION_AGENT                                                                               \
    {                                                                                              \
        .name = "agent", .kind = OPTION_STRING, .metavar = "NAME",                                 \
        .help = "Of this agent only. In a query: it and what it calls, its callers as clients."    \
    }

static const Positional SUBJECT_ARGS[] = {SUBJECTS};
static const Option SHOW_OPTIONS[] = {
    OPTION_AGENT,
    OPTION_SYSTEM_SET,
    {.name = "ttl",
     .kind = OPTION_DURATION,
     .default_text = "0s",
     .max = 366.0 * 86400e9,
     .help = "How long the documents say that they hold; 0 for ever."},
    OPTION_JSON};
static const Example SHOW_EXAMPLES[] = {
    {"perfwright interface show pipeline.toml --agent d", "Inputs, policies, effects, costs of D."},
    {"perfwright interface show pipeline.toml --agent d --json > d.json",
     "The document that D publishes."},
    {"perfwright interface show b.json c.json d.json", "What three documents say together."},
};
static const Verb VERB_SHOW = {
    .name = "interface show",
    .summary = "show what agents publish about their performance",
    .description =
        "A performance interface says how an agent's latency, goodput and load, and what "
        "it sends to others, depend on the load and on policies: its own and those of "
        "its neighbours. Documents of several agents are put together to the system "
        "that they describe; what is stale, missing or contradicts is said.",
    OPTION_TABLE(SHOW_OPTIONS),
    POSITIONAL_TABLE(SUBJECT_ARGS),
    EXAMPLE_TABLE(SHOW_EXAMPLES)};
const Command CMD_INTERFACE_SHOW = {&VERB_SHOW, run_show, false};

// ---- query

static int read_rates(App *app, const OptionSet *set, InterfaceQuery *q, Err *e)
{
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "rate"); v; v = v->next) {
        count++;
    }
    InterfaceRate *rates = ARENA_ARRAY(app->arena, InterfaceRate, count + 1);
    for (const OptionValue *v = option_values(set, "rate"); v; v = v->next) {
        Slice name, number;
        InterfaceRate *r = &rates[q->rate_count];
        if (!slice_cut(v->text, '=', &name, &number) || slice_to_f64(number, &r->rate) != 0) {
            return err_set(e, ERR_ARG, "--rate %.*s: write CLIENT=REQUESTS_A_SECOND",
                           SLICE_FMT(v->text));
        }
        r->client = name;
        q->rate_count++;
    }
    q->rates = rates;
    return 0;
}

static int read_changes(App *app, const OptionSet *set, const System *sys, InterfaceQuery *q,
                        Err *e)
{
    SystemChange *changes = ARENA_ARRAY(app->arena, SystemChange, SYSTEM_CHANGES_MAX);
    for (const OptionValue *v = option_values(set, "with"); v; v = v->next) {
        if (q->change_count == SYSTEM_CHANGES_MAX) {
            return err_set(e, ERR_LIMIT, "at most %d changes", SYSTEM_CHANGES_MAX);
        }
        int rc = system_parse_change(sys, v->text, &changes[q->change_count++], e);
        if (rc != 0) {
            return rc;
        }
    }
    q->changes = changes;
    return 0;
}

static void print_answer(App *app, const OptionSet *set, const InterfaceAnswer *a)
{
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_bool(&w, "outside", a->outside);
        if (a->note.len > 0) {
            json_field_string(&w, "note", a->note);
        }
        json_key(&w, SLICE("outcome"));
        outcome_write(a->outcome, a->sys, &w);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
        return;
    }
    outcome_table_print(app, a->sys, a->outcome);
    buf_printf(&app->out, "by %s in %.3g ms, intervals of %.0f %%\n", FIDELITY_NAMES[a->fidelity],
               (double)a->took_ns / 1e6, 100 * a->outcome->confidence);
    if (a->note.len > 0) {
        buf_printf(&app->out, "note: %.*s\n", SLICE_FMT(a->note));
    }
    if (!a->outcome->stable) {
        buf_printf(&app->out, "unstable: %.*s\n", SLICE_FMT(a->outcome->reason));
    }
}

static const char *const FIDELITY_CHOICES[] = {"auto",       "bounds", "formula",
                                               "simulation", "hybrid", NULL};
static const Fidelity CHOSEN[] = {FIDELITY_FORMULA, FIDELITY_BOUNDS, FIDELITY_FORMULA,
                                  FIDELITY_SIMULATION, FIDELITY_HYBRID};

static int load_fit(App *app, const OptionSet *set, const System *sys, InterfaceFitted **ret,
                    Err *e)
{
    if (!option_given(set, "model")) {
        return 0;
    }
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_JSON, .max_bytes = (size_t)64 << 20};
    int rc = doc_read_file(app->arena, arena_cstr(app->arena, option_string(set, "model")),
                           &options, &doc, e);
    return rc ? rc : interface_fit_read(sys, doc, ret, e);
}

static int run_query(App *app, const OptionSet *set, Err *e)
{
    Subject s = {0};
    int rc = load_subject(app, set, &s, e);
    if (rc == 0 && option_given(set, "agent")) {
        uint32_t agent = 0;
        rc = find_agent(app, s.sys, option_string(set, "agent"), &agent, e);
        rc = rc ? rc : interface_local(app->arena, s.sys, agent, NULL, &s.sys, e);
    }
    InterfaceQuery q = {.budget_ns = option_int(set, "budget"),
                        .confidence = option_float(set, "confidence"),
                        .seed = (uint64_t)option_int(set, "seed"),
                        .outside = option_flag(set, "outside"),
                        .threads = 2};
    int64_t fidelity = option_int(set, "fidelity");
    q.exact_fidelity = fidelity > 0;
    q.fidelity = CHOSEN[fidelity];
    rc = rc ? rc : read_rates(app, set, &q, e);
    rc = rc ? rc : read_changes(app, set, s.sys, &q, e);
    InterfaceProgram *program = NULL;
    rc = rc ? rc : interface_program(s.sys, &program, e);
    rc = rc ? rc : load_fit(app, set, s.sys, &q.fitted, e);
    InterfaceAnswer answer = {0};
    rc = rc ? rc : interface_query(program, app->arena, &q, &answer, e);
    interface_program_destroy(program);
    interface_fit_destroy(q.fitted);
    if (rc != 0) {
        return rc;
    }
    print_answer(app, set, &answer);
    return answer.outcome->stable ? EXIT_PASS : EXIT_THRESHOLDS;
}

static const Option QUERY_OPTIONS[] = {
    OPTION_AGENT,
    {.name = "rate",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "CLIENT=RATE",
     .help = "Another rate of a client, requests a second."},
    {.name = "with",
     .kind = OPTION_STRING,
     .repeat = true,
     .metavar = "NAME=VALUE",
     .help = "Another policy, within what its owner allows: \"d.servers=24\"."},
    OPTION_SYSTEM_SET,
    {.name = "fidelity",
     .kind = OPTION_CHOICE,
     .choices = FIDELITY_CHOICES,
     .default_text = "auto",
     .help = "How to find out; auto: the best that the budget allows."},
    {.name = "model",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "What interface fit learned about this system, for the hybrid."},
    {.name = "budget",
     .kind = OPTION_DURATION,
     .default_text = "200ms",
     .min = 1,
     .max = 3600e9,
     .help = "How long the answer may take."},
    OPTION_CONFIDENCE,
    OPTION_SEED("Of simulations."),
    {.name = "outside",
     .kind = OPTION_FLAG,
     .help = "Answer also for values that an owner does not allow."},
    OPTION_JSON};
static const Example QUERY_EXAMPLES[] = {
    {"perfwright interface query pipeline.toml --rate tasks=12 --with b-\\>c.retry.attempts=3",
     "The whole system with more load and another policy."},
    {"perfwright interface query pipeline.toml --agent d --rate b=20 --fidelity formula",
     "D alone, if B sent 20 requests a second."},
    {"perfwright interface query a.json b.json c.json d.json --json",
     "What follows from what four agents published."},
};
static const Verb VERB_QUERY = {
    .name = "interface query",
    .summary = "ask what a system would do under another load or other policies",
    .description =
        "Answers are intervals. Bounds are certain, formulas take a fraction of a millisecond, "
        "simulations run the policies themselves in virtual time; auto takes the best that fits "
        "into the budget.\n\nA system that would be unstable is an answer, too: it says what "
        "overflows and what would make it stable (exit code 99).",
    OPTION_TABLE(QUERY_OPTIONS),
    POSITIONAL_TABLE(SUBJECT_ARGS),
    EXAMPLE_TABLE(QUERY_EXAMPLES)};
const Command CMD_INTERFACE_QUERY = {&VERB_QUERY, run_query, false};
