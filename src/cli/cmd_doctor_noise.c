// doctor noise: which effects this machine can tell from none.
#include <math.h>

#include "base/json_write.h"
#include "bench/noise.h"
#include "cli/commands.h"
#include "cli/table.h"

#define STEAL_LIMIT 0.01

static void write_row(JsonWriter *w, const NoiseRow *row)
{
    json_object_begin(w);
    json_field_double(w, "spin_s", (double)row->spin_ns / (double)NS_PER_S);
    json_field_double(w, "wall_median_s", row->wall_s);
    json_field_int(w, "pairs", (int64_t)row->wall.pairs);
    json_field_double(w, "wall_log_sd", row->wall.log_sd);
    json_field_double(w, "cpu_log_sd", row->cpu.log_sd);
    json_field_double(w, "aa_ratio", row->wall.ratio);
    json_field_double(w, "aa_low", row->wall.interval.low);
    json_field_double(w, "aa_high", row->wall.interval.high);
    json_key(w, SLICE("resolvable"));
    json_array_begin(w);
    for (size_t i = 0; i < NOISE_COUNTS; i++) {
        json_object_begin(w);
        json_field_int(w, "pairs", (int64_t)NOISE_PAIRS[i]);
        json_field_double(w, "wall", row->resolvable_wall[i]);
        json_field_double(w, "cpu", row->resolvable_cpu[i]);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void print_json(App *app, const NoiseReport *r)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("lengths"));
    json_array_begin(&w);
    for (size_t i = 0; i < r->count; i++) {
        write_row(&w, &r->rows[i]);
    }
    json_array_end(&w);
    json_field_double(&w, "overhead_s", (double)r->overhead_ns / (double)NS_PER_S);
    json_field_double(&w, "steal", r->steal);
    json_field_double(&w, "load1", r->load1);
    json_field_bool(&w, "instructions", r->has_instructions);
    json_field_bool(&w, "cpu_clock", r->has_cpu_clock);
    json_field_cstr(&w, "clocksource", r->clocksource);
    json_field_cstr(&w, "governor", r->governor[0] ? r->governor : NULL);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static void put_share(Table *t, double share)
{
    if (share < 10) {
        table_putf(t, "%.1f %%", 100 * share);
    } else {
        table_put(t, SLICE("-"));
    }
}

static void print_table(App *app, const NoiseReport *r)
{
    Table t = table_create(app->arena, 4 + NOISE_COUNTS);
    static const char *const HEADS[] = {"COMMAND", "METRIC", "PAIRS", "A/A"};
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < NOISE_COUNTS; i++) {
        table_putf(&t, "AT %zu PAIRS", NOISE_PAIRS[i]);
    }
    for (size_t i = 2; i < 4 + NOISE_COUNTS; i++) {
        table_right(&t, i);
    }
    for (size_t i = 0; i < r->count; i++) {
        const NoiseRow *row = &r->rows[i];
        for (int cpu = 0; cpu < 2; cpu++) {
            const AbComparison *c = cpu ? &row->cpu : &row->wall;
            table_putf(&t, "%.1f ms", row->wall_s * 1e3);
            table_put(&t, cpu ? SLICE("cpu") : SLICE("wall"));
            table_putf(&t, "%zu", c->pairs);
            table_putf(&t, "%.4f", c->ratio);
            for (size_t k = 0; k < NOISE_COUNTS; k++) {
                put_share(&t, cpu ? row->resolvable_cpu[k] : row->resolvable_wall[k]);
            }
        }
    }
    table_print(&t, 0, &app->out);
}

static void print_text(App *app, const NoiseReport *r)
{
    buf_puts(&app->out, "The smallest effect that a comparison of commands of that length finds "
                        "nine times in ten,\nat one false verdict in a hundred:\n\n");
    print_table(app, r);
    buf_printf(&app->out, "\nclock         %s\n", r->clocksource[0] ? r->clocksource : "not shown");
    buf_printf(&app->out, "governor      %s\n",
               r->governor[0] ? r->governor : "not shown (virtual machine?)");
    buf_printf(&app->out, "steal         %.1f %% of CPU time went to other guests%s\n",
               100 * r->steal, r->steal > STEAL_LIMIT ? ": measure at a quieter time" : "");
    buf_printf(&app->out, "load          %.2f before\n", r->load1);
    buf_printf(&app->out, "a sample      costs %.2f ms beside its command\n",
               (double)r->overhead_ns / 1e6);
    buf_printf(&app->out, "instructions  %s\n",
               r->has_instructions ? "are counted"
                                   : "are not counted: no performance counter here");
    buf_printf(&app->out, "profiles      %s\n",
               r->has_cpu_clock ? "by the kernel's software clock" : "not by the kernel here");
}

static int run_noise(App *app, const OptionSet *set, Err *e)
{
    NoiseReport report;
    NoiseOptions options = {.budget_ns = option_int(set, "budget"),
                            .seed = (uint64_t)clock_wall(clock_real())};
    app_say(app, "measuring a loop of the shell against itself");
    int rc = noise_measure(&options, app->arena, &report, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        print_json(app, &report);
    } else {
        print_text(app, &report);
    }
    return EXIT_PASS;
}

static const Option OPTIONS[] = {
    {.name = "budget",
     .kind = OPTION_DURATION,
     .min = 1e9,
     .max = 36e11,
     .default_text = "12s",
     .help = "How long to measure in all. Longer sees more of what the machine does."},
    OPTION_JSON,
};
static const Example EXAMPLES[] = {
    {"perfwright doctor noise", "Can a patch of 5 % be shown here?"},
    {"perfwright doctor noise --budget 2m --json", "A longer look, for a script."},
};
static const Verb VERB = {
    .name = "doctor noise",
    .summary = "which effects this machine can tell from none",
    .description = "Runs commands of three lengths against themselves in random order, as "
                   "`benchmark A --vs B` does, and works out from their scatter which effects "
                   "would be found. Changes nothing.",
    OPTION_TABLE(OPTIONS),
    EXAMPLE_TABLE(EXAMPLES)};
const Command CMD_DOCTOR_NOISE = {&VERB, run_noise, false};
