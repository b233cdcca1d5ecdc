// Settings to learn from and to be judged on, and the hybrid of formula and learned residual.
#include "model/interface_fit.h"

#include <math.h>
#include <stdlib.h>

#include "model/bounds.h"
#include "model/formula.h"

// ---- settings

static double in_range(const SystemRange *range, Rng *rng)
{
    double u = rng_double(rng);
    // What spans more than a factor of ten is drawn by its logarithm.
    if (range->low > 0 && range->high > 10 * range->low) {
        return range->low * pow(range->high / range->low, u);
    }
    return range->low + u * (range->high - range->low);
}

void interface_vary(System *sys, SystemPlace place, uint32_t index, Rng *rng)
{
    const SystemRange *ranges =
        place == PLACE_EDGE ? sys->edges[index].ranges : sys->agents[index].ranges;
    uint32_t count =
        place == PLACE_EDGE ? sys->edges[index].range_count : sys->agents[index].range_count;
    for (uint32_t i = 0; i < count; i++) {
        // Both numbers are drawn in any case, so that one parameter's luck is not another's.
        bool moved = rng_double(rng) < 0.5;
        double value = in_range(&ranges[i], rng);
        if (!moved) {
            continue;
        }
        SystemChange change = {{place, index, ranges[i].param},
                               system_value(ranges[i].param, value)};
        if (system_set(sys, &change, NULL) != 0) {
            continue; // contradicts another one: it stays as it is
        }
    }
}

int interface_scale_load(System *sys, double utilisation, Err *e)
{
    Bounds *b = NULL;
    int rc = bounds_create(sys, &b, e);
    if (rc != 0) {
        return rc;
    }
    Arena *arena = arena_create(16 << 20);
    double load = bounds_solve(b, sys, outcome_create(arena, sys)).utilisation;
    arena_destroy(arena);
    bounds_destroy(b);
    for (uint32_t i = 0; load > 0 && i < sys->client_count; i++) {
        sys->clients[i].per_second *= utilisation / load;
    }
    return 0;
}

static bool is_steady(const System *sys)
{
    Formula *f = NULL;
    if (formula_create(sys, &f, NULL) != 0) {
        return false;
    }
    Arena *arena = arena_create(16 << 20);
    Outcome *out = outcome_create(arena, sys);
    FormulaFacts facts = formula_solve(f, sys, out);
    bool steady = facts.stable && !facts.bistable && facts.settled &&
                  facts.utilisation < INTERFACE_UTILISATION;
    // Where more than one in a hundred fails p99 is infinite and there is little to predict.
    for (uint32_t i = 0; i < sys->client_count; i++) {
        steady = steady && out->clients[i].errors.value < 0.5;
    }
    arena_destroy(arena);
    formula_destroy(f);
    return steady;
}

int interface_setting(Arena *arena, const System *sys, uint64_t seed, System **ret_setting, Err *e)
{
    for (uint64_t n = 0; n < SETTING_TRIES_MAX; n++) {
        Rng rng = rng_stream(seed, SLICE("interface-setting"), n);
        System *setting = system_copy(arena, sys);
        double load =
            SETTING_LOAD_LEAST + rng_double(&rng) * (SETTING_LOAD_MOST - SETTING_LOAD_LEAST);
        for (uint32_t i = 0; i < sys->agent_count; i++) {
            interface_vary(setting, PLACE_AGENT, i, &rng);
        }
        for (uint32_t i = 0; i < sys->edge_count; i++) {
            interface_vary(setting, PLACE_EDGE, i, &rng);
        }
        setting->fault_count = 0;
        for (uint32_t i = 0; i < sys->client_count; i++) {
            setting->clients[i].spike_count = 0;
        }
        int rc = interface_scale_load(setting, load, e);
        if (rc != 0) {
            return rc;
        }
        if (is_steady(setting)) {
            *ret_setting = setting;
            return 0;
        }
    }
    return err_set(e, ERR_LIMIT, "none of %d random settings has one steady state",
                   SETTING_TRIES_MAX);
}

// ---- the fit

struct InterfaceFitted {
    const System *sys;
    Formula *formula;
    FormulaBase *base;
    Learned *model;
};

static int fitted_new(const System *sys, InterfaceFitted **ret, Err *e)
{
    InterfaceFitted *fit = mem_zalloc(sizeof *fit);
    fit->sys = sys;
    int rc = formula_create(sys, &fit->formula, e);
    rc = rc ? rc : formula_base_create(sys, &fit->base, e);
    if (rc != 0) {
        interface_fit_destroy(fit);
        return rc;
    }
    *ret = fit;
    return 0;
}

static LearnedOptions options_of(const InterfaceFitted *fit, double confidence)
{
    return (LearnedOptions){.confidence = confidence,
                            .seed = 1,
                            .base = formula_base,
                            .base_ctx = fit->base,
                            .base_name = FORMULA_BASE_NAME};
}

int interface_fit(const System *sys, const Dataset *d, double confidence, InterfaceFitted **ret_fit,
                  Err *e)
{
    InterfaceFitted *fit = NULL;
    int rc = fitted_new(sys, &fit, e);
    if (rc != 0) {
        return rc;
    }
    LearnedOptions options = options_of(fit, confidence);
    if ((rc = learned_fit(d, &options, &fit->model, e)) != 0) {
        interface_fit_destroy(fit);
        return rc;
    }
    *ret_fit = fit;
    return 0;
}

int interface_fit_read(const System *sys, const Doc *doc, InterfaceFitted **ret_fit, Err *e)
{
    InterfaceFitted *fit = NULL;
    int rc = fitted_new(sys, &fit, e);
    if (rc != 0) {
        return rc;
    }
    LearnedOptions options = options_of(fit, 0);
    if ((rc = learned_read(doc, &options, &fit->model, e)) != 0) {
        interface_fit_destroy(fit);
        return rc;
    }
    *ret_fit = fit;
    return 0;
}

void interface_fit_destroy(InterfaceFitted *fit)
{
    if (fit) {
        learned_destroy(fit->model);
        formula_base_destroy(fit->base);
        formula_destroy(fit->formula);
        free(fit);
    }
}

const Learned *interface_fit_model(const InterfaceFitted *fit)
{
    return fit->model;
}

int interface_fit_predict(InterfaceFitted *fit, const System *setting, Outcome *outcome,
                          bool *ret_outside, Err *e)
{
    FormulaFacts facts = formula_solve_below(fit->formula, setting, outcome);
    *ret_outside = facts.utilisation > INTERFACE_UTILISATION;
    if (!facts.stable) {
        return 0; // there is nothing to correct
    }
    int rc = learned_outcome(fit->model, setting, LEARNED_INSIDE, outcome, e);
    if (rc == ERR_REFUSED) {
        *ret_outside = true;
        rc = learned_outcome(fit->model, setting, LEARNED_ANYWHERE, outcome, e);
    }
    outcome->fidelity = FIDELITY_HYBRID;
    return rc;
}
