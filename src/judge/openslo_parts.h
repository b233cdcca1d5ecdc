// What the readers of OpenSLO documents share: problems with their places, members by type, objects
// by kind and name, and metric sources. Only openslo.c and openslo_source.c include it.
#ifndef JUDGE_OPENSLO_PARTS_H
#define JUDGE_OPENSLO_PARTS_H

#include "judge/openslo.h"

typedef struct OpenSloReader {
    Arena *arena;
    const Doc *all; // array of documents
    OpenSlo out;
    size_t slo_room;
} OpenSloReader;

// What a metricSource of type "perfwright" says.
typedef struct OpenSloSource {
    const Doc *at; // NULL: none was read
    MetricId metric;
    Labels labels;
    bool has_test;
    SloOp op;
    double threshold;
} OpenSloSource;

void openslo_keep_problem(OpenSloReader *r, Slice text);
void openslo_problem(OpenSloReader *r, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);
// Every field that is not one of `names` is a problem of its own.
void openslo_check_fields(OpenSloReader *r, const Doc *object, const Slice *names, size_t count);
// The member, when it is there and of that type; a problem when it has another type, or when it is
// missing and needed.
const Doc *openslo_member(OpenSloReader *r, const Doc *object, const char *key, DocType type,
                          bool needed);
bool openslo_number(OpenSloReader *r, const Doc *object, const char *key, double *ret);
Slice openslo_text(OpenSloReader *r, const Doc *object, const char *key, bool needed);
Slice openslo_object_name(const Doc *object);
bool openslo_has_kind(const Doc *object, const char *kind);
const Doc *openslo_find(const OpenSloReader *r, const char *kind, Slice name);
bool openslo_op(OpenSloReader *r, const Doc *object, SloOp *ret_op);
// `holder` is thresholdMetric, good, bad or total.
OpenSloSource openslo_source(OpenSloReader *r, const Doc *holder);

// Every field of `object` but these is a problem.
#define OPENSLO_FIELDS(r, object, ...)                                                             \
    openslo_check_fields(r, object, (const Slice[]){__VA_ARGS__},                                  \
                         sizeof((const Slice[]){__VA_ARGS__}) / sizeof(Slice))

#endif
