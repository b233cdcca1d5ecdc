// Interface fit and validation: what an interface's predictions are worth, and making them better
// with what was observed.
//
//     rc = interface_setting(arena, sys, seed, &setting, e);      // random loads and policies
//     rc = dataset_add_outcome(dataset, setting, outcome, SLICE("simulation:seed=3"), at_ns, e);
//     rc = interface_fit(sys, dataset, 0, &fit, e);               // formula and learned residual
//     rc = interface_fit_predict(fit, setting, outcome, e);       // FIDELITY_HYBRID
//     interface_fit_destroy(fit);
//
//     InterfaceScores *s = interface_scores_create(0.9);
//     for (each setting) { interface_score(s, setting, predicted, observed); }
//     InterfaceScore total = interface_total(s, MEASURED_P99);     // coverage, width, error
#ifndef MODEL_INTERFACE_FIT_H
#define MODEL_INTERFACE_FIT_H

#include "base/rng.h"
#include "model/interface.h"
#include "model/learned_system.h"

enum { SETTING_TRIES_MAX = 200 };
#define SETTING_LOAD_LEAST 0.3 // of the busiest agent, if nothing failed
#define SETTING_LOAD_MOST  0.9

// A copy of `sys` with all open rates scaled to a random load of the busiest agent, and half of the
// parameters that have a range somewhere in it. Tried again until the formula says that it has one
// steady state within the interface's region; ERR_LIMIT where SETTING_TRIES_MAX were not enough.
MUST_USE int interface_setting(Arena *arena, const System *sys, uint64_t seed, System **ret_setting,
                               Err *e);

// Half of the parameters of one agent or edge that have a range: somewhere in it, even by the
// logarithm where it spans more than a factor of ten. What contradicts the rest stays as it was.
void interface_vary(System *sys, SystemPlace place, uint32_t index, Rng *rng);
// Scales all open rates so that the busiest agent is used to `utilisation` if nothing fails.
MUST_USE int interface_scale_load(System *sys, double utilisation, Err *e);

typedef struct InterfaceFitted InterfaceFitted;

// `sys` is borrowed. Blocks for as long as the models take. ERR_ARG for a fit on nothing.
MUST_USE int interface_fit(const System *sys, const Dataset *d, double confidence,
                           InterfaceFitted **ret_fit, Err *e);
void interface_fit_destroy(InterfaceFitted *fit); // NULL is fine
const Learned *interface_fit_model(const InterfaceFitted *fit);
// From learned_write's document.
MUST_USE int interface_fit_read(const System *sys, const Doc *doc, InterfaceFitted **ret_fit,
                                Err *e);
// The formula's answer, with what was learned in the place of those estimates that were. Outside of
// the region: *ret_outside, and the intervals are stretched.
MUST_USE int interface_fit_predict(InterfaceFitted *fit, const System *setting, Outcome *outcome,
                                   bool *ret_outside, Err *e);

// ---- what predictions are worth

typedef enum InterfaceMeasure {
    MEASURED_P50,
    MEASURED_P99,
    MEASURED_GOODPUT,
    MEASURED_EFFECTS, // attempts a second of each edge between agents
    MEASURED_ALL,
    INTERFACE_MEASURES
} InterfaceMeasure;
extern const char *const INTERFACE_MEASURE_NAMES[INTERFACE_MEASURES + 1]; // ends with NULL

typedef struct InterfaceScores InterfaceScores;

typedef struct InterfaceScore {
    uint32_t count, covered;
    double coverage, coverage_low, coverage_high; // 95 % (Clopper, Pearson)
    double width;                                 // median of (high - low) / observed
    double error;                                 // median of |value - observed| / observed
    double factor; // by which half-widths would have to be multiplied to cover as they say
} InterfaceScore;

InterfaceScores *interface_scores_create(double confidence);
void interface_scores_destroy(InterfaceScores *s); // NULL is fine
// An observed infinity is covered by an interval that reaches it and has neither width nor error.
void interface_score(InterfaceScores *s, const System *setting, const Outcome *predicted,
                     const Outcome *observed);
InterfaceScore interface_total(const InterfaceScores *s, InterfaceMeasure measure);

#endif
