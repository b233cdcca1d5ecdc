// What the files of model/system share: rows of fields that are read and written alike.
#ifndef MODEL_SYSTEM_IMPL_H
#define MODEL_SYSTEM_IMPL_H

#include "base/field.h"
#include "model/system.h"

// A member of [agents], as it stands in the document.
typedef struct AgentFields {
    int64_t servers, queue; // queue -1: any number
    int64_t discipline, start_delay_ns;
    bool holds_server;
    double fail;
    const Doc *service, *calls, *policy, *range;
    Slice program;
} AgentFields;
extern const FieldTable SYSTEM_AGENT_TABLE;

typedef struct EdgeFields {
    Slice from, to, program;
    const Doc *policy, *range;
} EdgeFields;
extern const FieldTable SYSTEM_EDGE_TABLE;

typedef struct GroupFields {
    const Doc *to;
    int64_t join, first;
} GroupFields;
extern const FieldTable SYSTEM_GROUP_TABLE;

typedef struct TargetFields {
    Slice agent;
    double chance, repeat;
} TargetFields;
extern const FieldTable SYSTEM_TARGET_TABLE;

typedef struct ClientFields {
    Slice to;
    double rate, scv;
    int64_t users, deadline_ns, priority;
    const Doc *think, *patience, *spikes;
} ClientFields;
extern const FieldTable SYSTEM_CLIENT_TABLE;

typedef struct SpikeFields {
    int64_t at_ns, for_ns;
    double factor;
} SpikeFields;
extern const FieldTable SYSTEM_SPIKE_TABLE;

typedef struct ObjectiveFields {
    int64_t within_ns, p50_ns, p99_ns, window_ns;
    double goodput, errors;
} ObjectiveFields;
extern const FieldTable SYSTEM_OBJECTIVE_TABLE;

typedef struct FaultFields {
    Slice agent;
    int64_t at_ns, for_ns, lose;
    double slow, fail;
    bool stop;
} FaultFields;
extern const FieldTable SYSTEM_FAULT_TABLE;

#endif
