// Distributions in documents: how long work takes, how long a user thinks.
//
//     "50ms"                                             always the same
//     {dist = "exponential", mean = "50ms"}
//     {dist = "gamma", mean = "50ms", shape = 2.0}       a whole shape: Erlang
//     {dist = "hyperexponential", mean = "50ms", scv = 4.0}   or share, first and second
//     {dist = "lognormal", mean = "900ms", sigma = 0.25} or median; sigma is of the logarithm
//     {dist = "pareto", min = "2s", alpha = 1.5, cap = "60s"}
//     {dist = "uniform", min = "10ms", max = "90ms"}
//     {dist = "weibull", scale = "50ms", shape = 0.7}
//     {dist = "empirical", quantiles = ["1ms", "2ms", "9ms"]}   at 0, 1/2, 1; straight between them
//     {dist = "mixture", parts = [{weight = 0.92, dist = "lognormal", ...}, {weight = 0.08, ...}]}
//
// Times are kept to the nanosecond, so that a document can be written back exactly.
#ifndef MODEL_SYSTEM_DIST_H
#define MODEL_SYSTEM_DIST_H

#include "base/json_write.h"
#include "policy/dist.h"

// ERR_PARSE at its place; ERR_LIMIT. Points and parts are in the arena.
MUST_USE int system_read_dist(Arena *arena, const Doc *d, const char *what, Dist *ret_dist, Err *e);
// What system_read_dist reads back as the same distribution.
void system_write_dist(const Dist *dist, JsonWriter *w);

#endif
