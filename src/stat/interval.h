// Interval: where a number lies, and with what confidence that was really reached.
//
// Every estimate of the program carries one. Order statistics and small counts cannot reach every
// confidence, so `confidence` is the one achieved (exact methods) or asked for (approximate ones);
// a caller that needs 95 % must check it. -INFINITY and INFINITY mean "not bounded by these data".
#ifndef STAT_INTERVAL_H
#define STAT_INTERVAL_H

#include <stdbool.h>

typedef struct Interval {
    double low;
    double high;
    double confidence; // 0..1
} Interval;

static inline bool interval_contains(Interval i, double x)
{
    return i.low <= x && x <= i.high;
}

// Wholly above or below x: what a verdict needs.
static inline bool interval_above(Interval i, double x)
{
    return i.low > x;
}
static inline bool interval_below(Interval i, double x)
{
    return i.high < x;
}

// Which alternative a test looks for.
typedef enum TestSide { TEST_TWO_SIDED, TEST_LESS, TEST_GREATER } TestSide;

#endif
