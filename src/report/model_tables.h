// The tables of the model: endpoints, kinds of error, checks, thresholds and documents.
#ifndef REPORT_MODEL_TABLES_H
#define REPORT_MODEL_TABLES_H

#include "report/model.h"

// Fills endpoints, kinds (and ReportStep.errors), checks, thresholds, health, environment and
// summary of a model whose steps are made.
void model_tables(ReportModel *m);

#endif
