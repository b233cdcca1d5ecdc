// What a repository is, found by looking: languages, licence, tests, CI, benchmarks, dependencies,
// what its documents and its history say about performance, and which files change most.
//
//     Survey survey;
//     rc = survey_take(&(SurveyOptions){.place = &place, .git = git}, arena, &survey, e);
//     survey_write(&survey, &w);
//
// Nothing of the repository is run, no link is followed, and every list has a ceiling. Texts from
// the repository (subjects of commits, lines of documents, titles of issues) are shown and used to
// name goals; they are never read as instructions.
#ifndef IMPROVE_SURVEY_H
#define IMPROVE_SURVEY_H

#include "improve/git.h"
#include "base/json_write.h"
#include "improve/place.h"

enum {
    SURVEY_FILES_MAX = 200000,        // looked at; more are counted as not seen
    SURVEY_LIST_MAX = 50,             // of what is listed by name
    SURVEY_LANGUAGES_MAX = 40,        //
    SURVEY_COMMITS_MAX = 40,          // that speak of performance
    SURVEY_CHURN_COMMITS = 100,       // newest ones that are looked into for churn
    SURVEY_DOC_BYTES_MAX = 256 << 10, // read of one document
};

typedef struct SurveyLanguage {
    const char *name;
    int64_t bytes;
    size_t files;
} SurveyLanguage;

typedef struct SurveyLine { // where something stands
    Slice file;
    long line; // from 1; 0: the file as a whole
    Slice text;
} SurveyLine;

typedef struct SurveyList {
    SurveyLine *items; // SURVEY_LIST_MAX at most
    size_t count;
    size_t total; // that there were
} SurveyList;

typedef struct SurveyChurn {
    Slice file;
    size_t commits; // of the newest SURVEY_CHURN_COMMITS that touched it
    int64_t bytes;
} SurveyChurn;

typedef struct Survey {
    Slice revision; // empty: no git
    bool git, dirty, detached, shallow;
    size_t files, files_not_seen;
    int64_t bytes;
    SurveyLanguage languages[SURVEY_LANGUAGES_MAX]; // by bytes
    size_t language_count;
    Slice licence; // "MIT"; empty: not recognised
    SurveyList tests, ci, benchmarks;
    SurveyList mentions; // lines of documents that speak of performance
    SurveyList commands; // lines that documents tell a reader to type
    SurveyList commits;  // file: the short hash, text: the subject
    SurveyList issues;   // file: "#12", text: the title
    SurveyChurn churn[SURVEY_LIST_MAX];
    size_t churn_count;
    size_t dependencies; // that manifests name
    SurveyList manifests;
} Survey;

typedef struct SurveyOptions {
    const Place *place;
    Git *git;     // NULL: a plain directory
    Slice issues; // JSON as `gh issue list --json number,title` prints it; empty: none
} SurveyOptions;

// ERR_PARSE for issues that are no such JSON, ERR_IO.
MUST_USE int survey_take(const SurveyOptions *options, Arena *arena, Survey *ret_survey, Err *e);
void survey_write(const Survey *survey, JsonWriter *w); // an object

// ---- parts, for tests

const char *survey_language(Slice path); // NULL: not known or no program text
bool survey_is_test(Slice path);
bool survey_is_benchmark(Slice path);
bool survey_speaks_of_speed(Slice text);
Slice survey_licence(Slice text);                   // of a licence file; empty: not known
size_t survey_dependencies(Slice name, Slice text); // of a manifest

#endif
