// Writes the sample run's reports in every format into a directory, for report_outputs.py, which
// holds them against parsers and schemas that are not ours, and for looking at.
//     report_sample DIRECTORY
#include "report/html.h"
#include "report/json.h"
#include "report/junit.h"
#include "report/markdown.h"
#include "report/sample_run.h"
#include "report/summary_export.h"
#include "report/terminal.h"

typedef int Renderer(const ReportModel *m, Buf *out, Err *e);

static int write_file(const char *directory, const char *name, const Buf *out)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        return 1;
    }
    bool ok = fwrite(out->data, 1, out->len, file) == out->len;
    ok &= fclose(file) == 0;
    return ok ? 0 : 1;
}

static int terminal(const ReportModel *m, Buf *out, Err *e)
{
    return report_terminal(m, &(TerminalOptions){.width = 120}, out, e);
}

static int render(const ReportModel *m, const char *directory, const char *stem)
{
    static const struct {
        const char *suffix;
        Renderer *render;
    } formats[] = {
        {"html", report_html},   {"json", report_json},
        {"md", report_markdown}, {"summary.json", report_summary_export},
        {"txt", terminal},       {"xml", report_junit},
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        char name[256];
        Err e = {0};
        Buf out = buf_create(REPORT_HTML_MAX);
        (void)snprintf(name, sizeof name, "%s.%s", stem, formats[i].suffix);
        if (formats[i].render(m, &out, &e) != 0) {
            (void)fprintf(stderr, "%s: %s\n", name, e.text);
            failed = 1;
        } else {
            failed |= write_file(directory, name, &out);
        }
        buf_done(&out);
    }
    return failed;
}

static int render_model(const ReportInput *input, Arena *arena, const char *directory,
                        const char *stem)
{
    ReportModel *m = ARENA_NEW(arena, ReportModel);
    report_model_init(m, input, arena);
    int failed = render(m, directory, stem);
    report_model_done(m);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: report_sample DIRECTORY\n");
        return 2;
    }
    SampleRun *s = sample_run_create();
    int failed = render_model(&s->input, s->arena, argv[1], "sample");
    s->run.end.status = RUN_INVALID;
    s->run.end.reason = SLICE("lateness p99 of 120 ms, the limit is 10 ms");
    failed |= render_model(&s->input, s->arena, argv[1], "invalid");
    RunData *empty = ARENA_NEW(s->arena, RunData);
    empty->end.status = RUN_PARTIAL;
    failed |= render_model(&(ReportInput){.run = empty}, s->arena, argv[1], "empty");
    sample_run_destroy(s);
    return failed;
}
