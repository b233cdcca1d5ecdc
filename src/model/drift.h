// Drift: does a model that was fitted once still describe what is seen now, and if not, from where
// on is what was seen one thing again?
//
// Adwin (Bifet, Gavalda: "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007)
// keeps a window of the newest values of 0..1 as long as no split of it into older and newer shows
// different means, and drops the older part when one does:
//
//     |mean0 - mean1| >= sqrt(2 / m  v  ln(2 ln(n) / delta)) + 2 / (3 m) ln(2 ln(n) / delta)
//
// with m = 1 / (1 / n0 + 1 / n1) and the window's variance v. Without a change a step drops
// anything with probability delta at most; a change by twice the right side is seen with
// probability 1 - delta. Memory grows with the logarithm of the window (an exponential histogram).
//
// DriftMonitor watches residuals with two of them, which want no units: one over the rank of the
// residual among those of the fit (a bias), one over the rank of its size (a spread). A residual as
// the fit knows them has ranks that are uniform over 0..1, so ADWIN's guarantee needs nothing of
// their distribution.
//
//     drift_init(&m, residuals, n, 0.002);          // in the order of time; of the fit
//     if (drift_tell(&m, y - predicted) != DRIFT_NONE) ...
//
// Plain values (a DriftMonitor has 13 KB: not for the stack); any thread, one at a time.
#ifndef MODEL_DRIFT_H
#define MODEL_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ADWIN_BUCKETS = 5, // of one size before two become one; the paper's M
    ADWIN_ROWS = 24,   // sizes: 1, 2, 4, ...; what does not fit into the last is forgotten
    DRIFT_RESIDUALS_MAX = 512,
};

typedef struct AdwinBucket {
    double sum, squares; // squares: of the differences from the bucket's mean
} AdwinBucket;

typedef struct Adwin {
    double delta;
    uint64_t width;
    double sum, squares;                             // of the whole window
    AdwinBucket rows[ADWIN_ROWS][ADWIN_BUCKETS + 1]; // row r: sums of 2^r values, oldest first
    uint8_t counts[ADWIN_ROWS];
} Adwin;

// 0 < delta < 1, e.g. 0.002.
void adwin_init(Adwin *a, double delta);
// Takes a value of 0..1 (cut to that). True when the window shrank.
bool adwin_tell(Adwin *a, double value);
double adwin_mean(const Adwin *a); // of the window; NAN when it is empty

// Page and Hinkley's test of a mean that rises or falls (Page: "Continuous Inspection Schemes",
// 1954): cheaper and quicker than Adwin for a known scale, with no bound on false alarms that is
// free of the distribution. `slack` is what may be gained in one step unnoticed, `limit` the sum
// that alarms.
typedef struct PageHinkley {
    double slack, limit;
    double mean, rise, fall, rise_low, fall_high;
    uint64_t count;
} PageHinkley;

void page_hinkley_init(PageHinkley *p, double slack, double limit);
// True when it alarms, which starts it anew.
bool page_hinkley_tell(PageHinkley *p, double value);

typedef enum DriftKind {
    DRIFT_NONE,
    DRIFT_BIAS,   // residuals moved to one side
    DRIFT_SPREAD, // residuals became larger or smaller
} DriftKind;

typedef struct DriftMonitor {
    double signed_sorted[DRIFT_RESIDUALS_MAX], size_sorted[DRIFT_RESIDUALS_MAX];
    size_t known;
    Adwin bias, spread;
    uint64_t told; // since drift_init
} DriftMonitor;

// The newest DRIFT_RESIDUALS_MAX of them are used.
void drift_init(DriftMonitor *m, const double *residuals, size_t n, double delta);
DriftKind drift_tell(DriftMonitor *m, double residual);
// The newest values that are still one thing, those of the fit included.
uint64_t drift_window(const DriftMonitor *m);

// ---- when to fit again, and on what

typedef enum RefitReason {
    REFIT_NONE,
    REFIT_DRIFT,    // the system changed: on what was seen since
    REFIT_COVERAGE, // the intervals miss too often: on everything
    REFIT_REGION,   // questions leave the region that was fitted: on everything
    REFIT_GROWTH,   // there is half as much again: on everything
    REFIT_REASONS
} RefitReason;
extern const char *const REFIT_REASON_NAMES[REFIT_REASONS]; // "none", "drift", ...

typedef struct RefitFacts {
    size_t inputs;         // of the model
    size_t rows_fitted;    // the model was fitted on
    size_t rows_now;       // there are now
    bool drifted;          // since the fit
    uint64_t window;       // drift_window()
    size_t told, missed;   // outcomes since the fit, and those outside of their interval
    double confidence;     // of the intervals
    size_t asked, outside; // questions since the fit, and those outside of the region
} RefitFacts;

typedef struct RefitAdvice {
    RefitReason reason;
    size_t rows; // the newest so many; 0 with REFIT_NONE
} RefitAdvice;

// After a drift the model waits for max(20, 3 (inputs + 1)) rows of the new kind, and meanwhile its
// intervals, being adaptive, are what widens.
RefitAdvice refit_advise(const RefitFacts *facts);

#endif
