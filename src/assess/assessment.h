// An assessment: runs out of the ledger, judged, ready to be told in any format.
//
//     AssessOptions options = {.candidate = SLICE("latest"), .baseline = SLICE("main")};
//     Assessment a;
//     rc = assess(ledger, arena, &options, &a, e);
//     rc = assessment_write(&a, REPORT_FORMAT_HTML, &(AssessmentStyle){0}, &out, e);
//     code = a.judgement.exit_code;
//     assessment_done(&a);
#ifndef ASSESS_ASSESSMENT_H
#define ASSESS_ASSESSMENT_H

#include "assess/run_set.h"
#include "judge/judge.h"
#include "report/model.h"

// Artifacts of a run whose names begin so are the OpenSLO documents it was started with.
#define ASSESS_SLO_ARTIFACT "slo/"

typedef enum ReportFormat {
    REPORT_FORMAT_TEXT,
    REPORT_FORMAT_MARKDOWN,
    REPORT_FORMAT_HTML,
    REPORT_FORMAT_JSON,
    REPORT_FORMAT_JUNIT,
    REPORT_FORMAT_SUMMARY, // k6's --summary-export
} ReportFormat;

// By name ("html") or by a file's ending (".html", ".htm", ".md", ".xml", ".json", ".txt").
bool report_format_by_name(Slice name, ReportFormat *ret_format);
bool report_format_of_file(Slice path, ReportFormat *ret_format);

typedef struct AssessOptions {
    Slice candidate;        // selector, see run_set.h
    Slice baseline;         // selector; empty: the one the plan names, if it is pinned
    bool no_baseline;       // compare with nothing
    const Slice *slo_files; // OpenSLO documents, instead of those the run was started with
    size_t slo_file_count;  //
    SloOptions slo_options; //
    CompareOptions compare_options;
    bool allow_not_proven; // "not proven" passes
    Slice program_version; // for the report's provenance
    Slice command;         // that repeats the run
} AssessOptions;

typedef struct Assessment {
    RunSet candidate;
    RunSet baseline;
    Slice baseline_missing; // the plan names it, nobody pinned it
    Judgement judgement;
    ReportModel model;
    bool borrowed; // the candidate is the caller's
} Assessment;

// ERR_NOT_FOUND for runs that are not there, ERR_PARSE for a bad SLO document (all its mistakes are
// in the text), and what the ledger says.
MUST_USE int assess(Ledger *ledger, Arena *arena, const AssessOptions *options,
                    Assessment *ret_assessment, Err *e);
// The same for one run that is not in the ledger; it is borrowed. Nothing is compared.
MUST_USE int assess_unrecorded(RunData *run, Arena *arena, const AssessOptions *options,
                               Assessment *ret_assessment, Err *e);
// ERR_PARSE with all mistakes of the documents, a line each.
MUST_USE int assess_check_slos(const Slice *files, size_t count, Arena *arena, Err *e);
void assessment_done(Assessment *a);

typedef struct AssessmentStyle {
    bool color;
    int columns; // of a terminal; 0: 100
} AssessmentStyle;

MUST_USE int assessment_write(const Assessment *a, ReportFormat format,
                              const AssessmentStyle *style, Buf *out, Err *e);

#endif
