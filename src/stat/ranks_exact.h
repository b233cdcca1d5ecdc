// Mann and Whitney's test with its exact distribution also where values are tied, as they are in
// counts, sizes and times of a coarse clock. ranks.h, like R, falls back to the normal there.
#ifndef STAT_RANKS_EXACT_H
#define STAT_RANKS_EXACT_H

#include <stddef.h>

// Exact up to so many values on each side, without ties and with them (the limits of benchstat, so
// that its p-values are ours); beyond them the normal approximation of ranks_mann_whitney.
enum { RANKS_EXACT_MAX = 50, RANKS_TIED_EXACT_MAX = 25 };

// The two-sided p-value: twice the smaller tail, at most 1. 1 when all values are equal; NAN when a
// side is empty.
//
// The distribution is counted by tie group: choosing k of the values that share a rank adds k times
// that rank, in C(t, k) ways (Klotz, "The Wilcoxon, ties, and the computer", JASA 61, 1966).
double ranks_mann_whitney_exact(const double *x, size_t nx, const double *y, size_t ny);

#endif
