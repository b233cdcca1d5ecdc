// The standard set of `perfwright benchmark`: the three columns of the tuning guide's table (single
// agent, multi-agent, streaming) as workloads that need no network and no provider's key.
// docs/guide/benchmark.md describes each.
#ifndef CLI_BENCHMARK_SET_H
#define CLI_BENCHMARK_SET_H

#include "agent/runner.h"

typedef struct BenchmarkSet BenchmarkSet;

MUST_USE int benchmark_set_create(Arena *arena, BenchmarkSet **ret_set, Err *e);
void benchmark_set_destroy(BenchmarkSet *set); // NULL is fine

Runner *benchmark_set_runner(BenchmarkSet *set);
size_t benchmark_set_count(const BenchmarkSet *set);
const char *benchmark_set_title(const BenchmarkSet *set, size_t index);
Slice benchmark_set_agent(const BenchmarkSet *set, size_t index);
Slice benchmark_set_data(const BenchmarkSet *set, size_t index);

#endif
