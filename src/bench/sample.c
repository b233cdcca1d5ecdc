#include "bench/sample.h"

#include <math.h>

#include "base/units.h"

const char *const BENCH_METRIC_NAMES[BENCH_METRICS + 1] = {"wall",         "cpu", "rss",
                                                           "instructions", "io",  NULL};

static double positive(double value)
{
    return value > 0 ? value : NAN;
}

double bench_sample_value(const BenchSample *sample, BenchMetric metric)
{
    if (sample->timed_out || sample->signal != 0 || sample->exit_code != 0) {
        return NAN;
    }
    switch (metric) {
    case BENCH_WALL: return positive((double)sample->wall_ns / NS_PER_SECOND);
    case BENCH_CPU: return positive((double)(sample->user_ns + sample->system_ns) / NS_PER_SECOND);
    case BENCH_RSS: return positive((double)sample->rss_max_bytes);
    case BENCH_INSTRUCTIONS: return positive((double)sample->instructions);
    case BENCH_IO: return (double)(sample->read_bytes + sample->written_bytes);
    case BENCH_METRICS: break;
    }
    return NAN;
}
