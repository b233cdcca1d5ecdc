#include "cli/benchmark_results.h"

#include "base/utf8.h"
#include "os/host.h"

enum { ENVIRONMENT_BYTES = 64 << 10, FAILURES_SAID = 10 };

int results_kind(const OptionSet *set, HarnessOptions *options, Err *e)
{
    Slice name = option_string(set, "harness");
    options->higher_better = option_flag(set, "higher-is-better");
    if (name.len == 0 || slice_eq(name, SLICE("auto"))) {
        return 0;
    }
    options->kind = harness_kind_parse(name);
    if (options->kind != HARNESS_AUTO) {
        return 0;
    }
    Slice names[HARNESS_KINDS];
    for (int k = 0; k < HARNESS_KINDS; k++) {
        names[k] = slice_from_cstr(HARNESS_NAMES[k]);
    }
    Slice nearest = slice_nearest(name, names, HARNESS_KINDS);
    return err_set(e, ERR_ARG,
                   "there is no harness \"%.*s\"%s%.*s; known are google, go, "
                   "criterion, pytest, jmh, benchmarkdotnet, vitest, hyperfine, "
                   "custom, metric, bencher, catch2",
                   SLICE_FMT(name), nearest.len > 0 ? "; did you mean " : "", SLICE_FMT(nearest));
}

void results_say_failures(App *app, const char *name, const HarnessResults *results)
{
    for (size_t i = 0; i < results->failure_count && i < FAILURES_SAID; i++) {
        Buf safe = buf_create(16 << 10);
        utf8_sanitise(&safe, results->failures[i].name);
        buf_puts(&safe, ": ");
        utf8_sanitise(&safe, results->failures[i].why);
        app_warn(app, "%s: %.*s", name, SLICE_FMT(buf_slice(&safe)));
        buf_done(&safe);
    }
    if (results->failure_count > FAILURES_SAID) {
        app_warn(app, "%s: %zu more failed", name, results->failure_count - FAILURES_SAID);
    }
}

// ---- the table and what it decides

static int print_tables(App *app, const OptionSet *set, const BenchTables *tables)
{
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        bench_tables_write(tables, &w);
        buf_putc(&app->out, '\n');
    } else {
        bench_tables_print(tables, &app->out);
    }
    return 0;
}

// Benchmarks that are worse by more than `limit`, with p below alpha over the number of tests
// (Bonferroni): among a hundred benchmarks of equal programs five have p < 0.05.
static size_t count_worse(App *app, const BenchTables *all, double limit)
{
    size_t tests = 0, worse = 0;
    for (size_t i = 0; i < all->count; i++) {
        tests += all->items[i].count * (all->columns - 1);
    }
    for (size_t i = 0; i < all->count; i++) {
        const BenchTable *t = &all->items[i];
        for (size_t k = 0; k < t->count; k++) {
            for (size_t c = 1; c < all->columns; c++) {
                const BenchCell *cell = &t->rows[k].cells[c], *base = &t->rows[k].cells[0];
                double ratio =
                    t->higher_better ? base->center / cell->center : cell->center / base->center;
                if (cell->n > 0 && base->n > 0 && ratio > 1 + limit &&
                    cell->p <= all->alpha / (double)tests) {
                    Buf safe = buf_create(16 << 10);
                    utf8_sanitise(&safe, t->rows[k].label);
                    app_say(app, "worse by %.1f%%: %.*s", (ratio - 1) * 100,
                            SLICE_FMT(buf_slice(&safe)));
                    buf_done(&safe);
                    worse++;
                }
            }
        }
    }
    return worse;
}

int results_finish(App *app, const OptionSet *set, const BenchTables *tables)
{
    (void)print_tables(app, set, tables);
    if (!option_given(set, "gate")) {
        return EXIT_PASS;
    }
    return count_worse(app, tables, option_float(set, "gate") / 100) > 0 ? EXIT_REGRESSION
                                                                         : EXIT_PASS;
}

// ---- the ledger

static int read_labels(const OptionSet *set, Arena *arena, Labels *ret_labels, Err *e)
{
    Label *items = ARENA_ARRAY(arena, Label, LABELS_MAX);
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "label"); v; v = v->next) {
        if (count == LABELS_MAX ||
            !slice_cut(v->text, '=', &items[count].key, &items[count].value)) {
            return err_set(e, ERR_ARG, "--label wants KEY=VALUE, at most %d times", LABELS_MAX);
        }
        count++;
    }
    return labels_copy(arena, items, count, ret_labels, e);
}

// `own`: measured here, so the environment is this machine.
int results_store(App *app, const OptionSet *set, Ledger *ledger, const HarnessResults *results,
                  HarnessStore *about, bool own, Err *e)
{
    char id[RUN_ID_LEN + 1];
    Buf environment = buf_create(ENVIRONMENT_BYTES);
    if (own) {
        host_environment(&environment, SLICE(PERFWRIGHT_VERSION));
        about->environment_json = buf_slice(&environment);
    }
    int rc = read_labels(set, app->arena, &about->labels, e);
    rc = rc == 0 ? harness_store(ledger, results, about, id, e) : rc;
    if (rc == 0) {
        app_say(app, "run %s: %zu results, %zu failures", id, results->count,
                results->failure_count);
        if (!own && !option_flag(set, "json")) {
            buf_printf(&app->out, "%s\n", id);
        } else if (!own) {
            JsonWriter w = json_writer(&app->out, 2);
            json_object_begin(&w);
            json_field_cstr(&w, "run", id);
            json_field_int(&w, "results", (int64_t)results->count);
            json_field_int(&w, "failures", (int64_t)results->failure_count);
            json_object_end(&w);
            buf_putc(&app->out, '\n');
        }
    }
    buf_done(&environment);
    return rc;
}
