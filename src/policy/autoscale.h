// Autoscaling of an agent's workers: the law of Kubernetes' HorizontalPodAutoscaler (docs
// "Horizontal Pod Autoscaling", algorithm details; source
// pkg/controller/podautoscaler/horizontal.go):
//   desired = ceil(current * metric / target), and current while |metric / target - 1| <=
//   `autoscale.tolerance`. Down: the highest of the recommendations of the last
//   `autoscale.down_stabilise`; up: the lowest of those of `autoscale.up_stabilise`. In one
//   `autoscale.period` at most max(`up_count`, `up_percent` of it) more and `down_percent` less.
//   Always within `autoscale.min` and `autoscale.max`.
// The metric is whatever `autoscale.target` is in: busy share of workers, queue length a worker.
#ifndef POLICY_AUTOSCALE_H
#define POLICY_AUTOSCALE_H

#include "policy/params.h"

enum { SCALE_HISTORY = 64 }; // different recommendations kept; a longer window uses these

typedef struct ScaleMark {
    int64_t at_ns;
    int64_t workers;
} ScaleMark;

typedef struct ScaleState {
    ScaleMark history[SCALE_HISTORY]; // recommendations, a ring
    ScaleMark changes[SCALE_HISTORY]; // by how many it changed, a ring
    uint32_t history_count, change_count;
} ScaleState;

// The number of workers from now on. Call it every `autoscale.period` with the metric's mean over
// the workers; `current` > 0.
uint32_t autoscale_step(ScaleState *s, const ParamValue *p, uint32_t current, double metric,
                        int64_t now_ns);

#endif
