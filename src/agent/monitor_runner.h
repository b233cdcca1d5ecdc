// What a Monitor shows of a Runner: durations, counts, queues and fibers of every agent, and who
// sends events to whom.
//
//     MonitorRunner *source;
//     rc = monitor_runner_create(runner, &source, e);              // before runner_start
//     rc = monitor_add(monitor, monitor_runner_source(source), e);
//     ... monitor_stop(monitor), runner_destroy(runner), monitor_runner_destroy(source)
//
// Edges with policies are agents of their own ("from->to") and counted exactly. All others are
// seen by a hook: every event while there are few, a random part of them, weighted, once there are
// more than a collection can hold; so their rates are estimates and their percentiles are not
// biased.
#ifndef AGENT_MONITOR_RUNNER_H
#define AGENT_MONITOR_RUNNER_H

#include "agent/monitor.h"
#include "agent/runner.h"

typedef struct MonitorRunner MonitorRunner;

enum { MONITOR_EDGES_MAX = 10000, MONITOR_EDGE_SAMPLES = 1 << 16 };

MUST_USE int monitor_runner_create(Runner *runner, MonitorRunner **ret_source, Err *e);
void monitor_runner_destroy(MonitorRunner *source); // NULL is fine
const MonitorSource *monitor_runner_source(const MonitorRunner *source);

#endif
