#include "assess/assessment.h"

#include "judge/openslo.h"
#include "ledger/baseline.h"
#include "report/html.h"
#include "report/json.h"
#include "report/junit.h"
#include "report/markdown.h"
#include "report/summary_export.h"
#include "report/terminal.h"

enum { SLOS_MAX = 10000, PEERS_MAX = RUN_SET_MAX * 2 };

// ---- formats

static const struct {
    const char *name;
    const char *endings[3];
    ReportFormat format;
} FORMATS[] = {
    {"text", {"txt"}, REPORT_FORMAT_TEXT},         {"markdown", {"md"}, REPORT_FORMAT_MARKDOWN},
    {"html", {"html", "htm"}, REPORT_FORMAT_HTML}, {"json", {"json"}, REPORT_FORMAT_JSON},
    {"junit", {"xml"}, REPORT_FORMAT_JUNIT},       {"summary", {NULL}, REPORT_FORMAT_SUMMARY},
};

bool report_format_by_name(Slice name, ReportFormat *ret_format)
{
    for (size_t i = 0; i < COUNT_OF(FORMATS); i++) {
        if (slice_eq_cstr(name, FORMATS[i].name)) {
            *ret_format = FORMATS[i].format;
            return true;
        }
    }
    return false;
}

bool report_format_of_file(Slice path, ReportFormat *ret_format)
{
    for (size_t i = 0; i < COUNT_OF(FORMATS); i++) {
        for (size_t k = 0; k < COUNT_OF(FORMATS[i].endings) && FORMATS[i].endings[k]; k++) {
            char ending[16];
            (void)snprintf(ending, sizeof ending, ".%s", FORMATS[i].endings[k]);
            if (slice_ends_with(path, slice_from_cstr(ending))) {
                *ret_format = FORMATS[i].format;
                return true;
            }
        }
    }
    return false;
}

// ---- objectives

typedef struct Slos {
    Arena *arena;
    Slo *items;
    size_t count;
} Slos;

static int add_slos(Slos *slos, const OpenSlo *file, Err *e)
{
    if (slos->count + file->slo_count > SLOS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d objectives", SLOS_MAX);
    }
    Slo *grown = ARENA_ARRAY(slos->arena, Slo, slos->count + file->slo_count + 1);
    if (slos->count > 0) {
        memcpy(grown, slos->items, slos->count * sizeof *grown);
    }
    if (file->slo_count > 0) {
        memcpy(grown + slos->count, file->slos, file->slo_count * sizeof *grown);
    }
    slos->items = grown;
    slos->count += file->slo_count;
    return 0;
}

// Every mistake of the file, a line each, so that a person mends them in one go.
static int all_problems(const OpenSlo *file, Err *e)
{
    Buf text = buf_create(ERR_TEXT_MAX);
    for (size_t i = 0; i < file->problem_count; i++) {
        buf_puts(&text, i > 0 ? "\n" : "");
        buf_append(&text, file->problems[i]);
    }
    int rc = err_set(e, ERR_PARSE, "%s", text.len > 0 ? text.data : "the document is not valid");
    buf_done(&text);
    return rc;
}

static int load_slos(Slos *slos, const AssessOptions *options, Err *e)
{
    for (size_t i = 0; i < options->slo_file_count; i++) {
        OpenSlo file = {0};
        const char *path = arena_cstr(slos->arena, options->slo_files[i]);
        int rc = openslo_read_file(slos->arena, path, &file, e);
        if (rc == ERR_PARSE && file.problem_count > 0) {
            return all_problems(&file, e);
        }
        if (rc != 0 || (rc = add_slos(slos, &file, e)) != 0) {
            return rc;
        }
    }
    return 0;
}

// The objectives a run was started with lie beside it as artifacts, so that it can be judged again
// when the files have long moved on.
static int load_recorded_slos(Slos *slos, Ledger *ledger, const RunData *run, Err *e)
{
    RunArtifact *artifacts = NULL;
    size_t count = 0;
    Slice id = slice_from_cstr(run->info.id);
    int rc = run_artifacts(ledger, id, slos->arena, &artifacts, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        Slice prefix = SLICE(ASSESS_SLO_ARTIFACT);
        if (!slice_starts_with(artifacts[i].name, prefix)) {
            continue;
        }
        OpenSlo file = {0};
        Slice name = slice_sub(artifacts[i].name, prefix.len, artifacts[i].name.len);
        Buf text = buf_create(RUN_ARTIFACT_BYTES_MAX);
        rc = run_artifact_read(ledger, id, artifacts[i].name, &text, e);
        if (rc == 0) {
            Slice kept = arena_copy(slos->arena, buf_slice(&text));
            rc = openslo_read(slos->arena, kept, arena_cstr(slos->arena, name), &file, e);
        }
        buf_done(&text);
        if (rc == 0) {
            rc = add_slos(slos, &file, e);
        }
    }
    return rc;
}

// ---- the assessment

// A plan may name its baseline; when nobody pinned it yet there is nothing to compare with.
static int load_baseline(Ledger *ledger, Arena *arena, const AssessOptions *options, Assessment *a,
                         Err *e)
{
    if (options->no_baseline) {
        return 0;
    }
    if (options->baseline.len > 0) {
        return run_set_load(ledger, options->baseline, arena, &a->baseline, e);
    }
    const Doc *plan = a->candidate.runs[0]->plan;
    const Doc *named = plan && plan->type == DOC_OBJECT ? doc_get(plan, SLICE("baseline")) : NULL;
    if (!named || named->type != DOC_STRING) {
        return 0;
    }
    int rc = run_set_load(ledger, named->text, arena, &a->baseline, e);
    if (rc == ERR_NOT_FOUND) {
        a->baseline_missing = named->text;
        rc = 0;
    }
    return rc;
}

static void prepare_model(Assessment *a, Arena *arena, const AssessOptions *options, Slice head)
{
    ReportPeer *peers = ARENA_ARRAY(arena, ReportPeer, PEERS_MAX);
    size_t count = 0;
    const RunData *run =
        a->judgement.run ? a->judgement.run : a->candidate.runs[a->candidate.count - 1];
    for (size_t i = 0; i < a->candidate.count; i++) {
        if (a->candidate.runs[i] != run) {
            peers[count++] = (ReportPeer){a->candidate.runs[i], false};
        }
    }
    for (size_t i = 0; i < a->baseline.count; i++) {
        peers[count++] = (ReportPeer){a->baseline.runs[i], true};
    }
    ReportInput input = {
        .run = run,
        .judgement = &a->judgement,
        .peers = peers,
        .peer_count = count,
        .program_version = options->program_version,
        .command = options->command,
        .ledger_head = head,
    };
    report_model_init(&a->model, &input, arena);
}

static void conclude(Assessment *a, Arena *arena, const AssessOptions *options, const Slos *slos,
                     Slice head)
{
    JudgeInput input = {
        .candidate = (const RunData *const *)a->candidate.runs,
        .candidate_count = a->candidate.count,
        .baseline = (const RunData *const *)a->baseline.runs,
        .baseline_count = a->baseline.count,
        .baseline_missing = a->baseline_missing,
        .slos = slos->items,
        .slo_count = slos->count,
        .slo_options = options->slo_options,
        .compare_options = options->compare_options,
        .allow_not_proven = options->allow_not_proven,
    };
    a->judgement = judge(arena, &input);
    prepare_model(a, arena, options, head);
}

int assess(Ledger *ledger, Arena *arena, const AssessOptions *options, Assessment *ret_assessment,
           Err *e)
{
    Assessment *a = ret_assessment;
    *a = (Assessment){0};
    Slos slos = {.arena = arena};
    LedgerHead head;
    int rc = run_set_load(ledger, options->candidate, arena, &a->candidate, e);
    if (rc == 0) {
        rc = load_baseline(ledger, arena, options, a, e);
    }
    if (rc == 0) {
        rc = options->slo_file_count > 0
                 ? load_slos(&slos, options, e)
                 : load_recorded_slos(&slos, ledger, a->candidate.runs[a->candidate.count - 1], e);
    }
    if (rc == 0) {
        rc = ledger_head(ledger, &head, e);
    }
    if (rc != 0) {
        run_set_done(&a->candidate);
        run_set_done(&a->baseline);
        return rc;
    }
    conclude(a, arena, options, &slos, arena_copy(arena, slice_from_cstr(head.hash)));
    return 0;
}

int assess_unrecorded(RunData *run, Arena *arena, const AssessOptions *options,
                      Assessment *ret_assessment, Err *e)
{
    Slos slos = {.arena = arena};
    int rc = load_slos(&slos, options, e);
    if (rc != 0) {
        return rc;
    }
    Assessment *a = ret_assessment;
    *a = (Assessment){.borrowed = true};
    a->candidate = (RunSet){ARENA_NEW(arena, RunData *), 1};
    a->candidate.runs[0] = run;
    conclude(a, arena, options, &slos, (Slice){0});
    return 0;
}

int assess_check_slos(const Slice *files, size_t count, Arena *arena, Err *e)
{
    Slos slos = {.arena = arena};
    return load_slos(&slos, &(AssessOptions){.slo_files = files, .slo_file_count = count}, e);
}

void assessment_done(Assessment *a)
{
    report_model_done(&a->model);
    if (!a->borrowed) {
        run_set_done(&a->candidate);
    }
    run_set_done(&a->baseline);
}

int assessment_write(const Assessment *a, ReportFormat format, const AssessmentStyle *style,
                     Buf *out, Err *e)
{
    switch (format) {
    case REPORT_FORMAT_TEXT:
        return report_terminal(
            &a->model, &(TerminalOptions){.color = style->color, .width = style->columns}, out, e);
    case REPORT_FORMAT_MARKDOWN: return report_markdown(&a->model, out, e);
    case REPORT_FORMAT_HTML: return report_html(&a->model, out, e);
    case REPORT_FORMAT_JSON: return report_json(&a->model, out, e);
    case REPORT_FORMAT_JUNIT: return report_junit(&a->model, out, e);
    case REPORT_FORMAT_SUMMARY: return report_summary_export(&a->model, out, e);
    }
    return ERR_ARG;
}
