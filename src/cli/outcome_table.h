// An Outcome for people: a table each of clients, edges and agents, every value with its interval.
//
//     outcome_table_print(app, sys, outcome);
//     outcome_table_compare(app, sys, names, outcomes, 2);    // side by side, row by row
//
// Times are printed with a unit, shares in per cent; "-" is not answered, "inf" a quantile that
// falls among the failed.
#ifndef CLI_OUTCOME_TABLE_H
#define CLI_OUTCOME_TABLE_H

#include "cli/app.h"
#include "model/outcome.h"

enum { OUTCOME_COLUMNS_MAX = 4 };

void outcome_table_print(App *app, const System *sys, const Outcome *outcome);

// One row a measure, one column an outcome; `names` are the columns' heads.
void outcome_table_compare(App *app, const System *sys, const char *const *names,
                           const Outcome *const *outcomes, size_t count);

// The same of two, with a column that says whether the intervals of a row overlap.
typedef struct OutcomeAgreement {
    uint32_t rows, overlapping; // rows: those that both answer
} OutcomeAgreement;
OutcomeAgreement outcome_table_agreement(App *app, const System *sys, const char *const names[2],
                                         const Outcome *const outcomes[2]);
// Counts without a table.
OutcomeAgreement outcome_agreement(const System *sys, const Outcome *a, const Outcome *b);

// "1.82 s [1.79, 1.86]", "99.3 % [98.9, 99.6]", "16.1 /s", "-".
typedef enum OutcomeUnit {
    OUTCOME_SECONDS,
    OUTCOME_SHARE,
    OUTCOME_RATE,
    OUTCOME_NUMBER
} OutcomeUnit;
void outcome_estimate_print(Estimate estimate, OutcomeUnit unit, Buf *out);

#endif
