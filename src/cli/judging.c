#include "cli/judging.h"

#include <unistd.h>

#include "config/config.h"
#include "os/file.h"

enum { REPORT_BYTES_MAX = 256 << 20 };

static const Slice *slo_files(App *app, const OptionSet *set, size_t *ret_count)
{
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "slo"); v; v = v->next) {
        count++;
    }
    Slice *files = ARENA_ARRAY(app->arena, Slice, count + 1);
    count = 0;
    for (const OptionValue *v = option_values(set, "slo"); v; v = v->next) {
        files[count++] = v->text;
    }
    *ret_count = count;
    return files;
}

AssessOptions judging_options(App *app, const OptionSet *set, Slice candidate)
{
    size_t count = 0;
    const Slice *files = slo_files(app, set, &count);
    const Config *config = app->config;
    return (AssessOptions){
        .candidate = candidate,
        .baseline = option_string(set, "baseline"),
        .no_baseline = option_flag(set, "no-baseline"),
        .slo_files = files,
        .slo_file_count = count,
        .slo_options =
            {
                .no_defaults = option_flag(set, "no-default-slo"),
                .default_availability = config_get(config, CONFIG_SLO_AVAILABILITY)->real,
                .default_p95_ms =
                    (double)config_get(config, CONFIG_SLO_LATENCY_P95)->integer / (double)NS_PER_MS,
            },
        .compare_options =
            {
                .margin = option_float(set, "margin"),
                .margin_few = option_float(set, "margin"),
            },
        .allow_not_proven = option_flag(set, "allow-not-proven"),
        .program_version = SLICE(PERFWRIGHT_VERSION),
        .command = app->command_line,
    };
}

int judging_check_outputs(const OptionSet *set, Err *e)
{
    for (const OptionValue *v = option_values(set, "report"); v; v = v->next) {
        ReportFormat format;
        if (!report_format_of_file(v->text, &format)) {
            return err_set(e, ERR_ARG,
                           "--report %.*s: the ending must be .html, .md, .json, .xml or .txt",
                           SLICE_FMT(v->text));
        }
    }
    return 0;
}

static int write_file(App *app, const Assessment *a, Slice path, ReportFormat format, Err *e)
{
    Buf out = buf_create(REPORT_BYTES_MAX);
    int rc = assessment_write(a, format, &(AssessmentStyle){0}, &out, e);
    if (rc == 0) {
        rc = buf_check(&out, "the report", e);
    }
    if (rc == 0) {
        rc = file_write(arena_cstr(app->arena, path), buf_slice(&out), NULL, e);
    }
    buf_done(&out);
    if (rc == 0) {
        app_say(app, "report: %.*s", SLICE_FMT(path));
    }
    return rc;
}

static int write_all(App *app, const OptionSet *set, const Assessment *a, Err *e)
{
    for (const OptionValue *v = option_values(set, "report"); v; v = v->next) {
        ReportFormat format = REPORT_FORMAT_TEXT;
        (void)report_format_of_file(v->text, &format); // judging_check_outputs made sure
        int rc = write_file(app, a, v->text, format, e);
        if (rc != 0) {
            return rc;
        }
    }
    Slice summary = option_string(set, "summary-export");
    return summary.len > 0 ? write_file(app, a, summary, REPORT_FORMAT_SUMMARY, e) : 0;
}

static int tell(App *app, const OptionSet *set, Assessment *a, Err *e)
{
    AssessmentStyle style = {.color = app->color, .columns = app->columns};
    int rc = assessment_write(a, option_flag(set, "json") ? REPORT_FORMAT_JSON : REPORT_FORMAT_TEXT,
                              &style, &app->out, e);
    if (rc == 0) {
        rc = write_all(app, set, a, e);
    }
    if (rc == 0) {
        rc = a->judgement.exit_code;
    }
    assessment_done(a);
    return rc;
}

int judging_run(App *app, const OptionSet *set, Ledger *ledger, const AssessOptions *options,
                Err *e)
{
    Assessment a;
    int rc = judging_check_outputs(set, e);
    if (rc == 0) {
        rc = assess(ledger, app->arena, options, &a, e);
    }
    return rc == 0 ? tell(app, set, &a, e) : rc;
}

int judging_run_unrecorded(App *app, const OptionSet *set, RunData *run, Err *e)
{
    Assessment a;
    AssessOptions options = judging_options(app, set, (Slice){0});
    int rc = assess_unrecorded(run, app->arena, &options, &a, e);
    return rc == 0 ? tell(app, set, &a, e) : rc;
}

int judging_check_slos(App *app, const OptionSet *set, const Slice *plan_files,
                       size_t plan_file_count, Err *e)
{
    size_t count = 0;
    const Slice *files = slo_files(app, set, &count);
    if (count > 0) {
        return assess_check_slos(files, count, app->arena, e);
    }
    return assess_check_slos(plan_files, plan_file_count, app->arena, e);
}
