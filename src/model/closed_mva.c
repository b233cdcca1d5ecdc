// Mean value analysis over the lattice of populations: a customer of class r who arrives at a
// center finds it as it is with one of its class less (the arrival theorem).
//
// FIFO centers whose service times differ by class or are not exponential have no product form; who
// arrives waits for those who queue and for the rest of the one in service (Lazowska et al. 11.4
// and 11.5): R_r = S_r + Sum_s (Q_s - U_s) S_s + U_s S_s (1 + scv_s) / 2.
#include <math.h>
#include <stdlib.h>

#include "model/closed_impl.h"

typedef struct State {
    const double *q; // matrix: mean numbers with one less
    const double *x; // by class: throughputs with one less
} State;

// Time of class r at center k in a round, arriving to `found`.
static double residence(const ClosedWork *w, uint32_t r, uint32_t k, State found)
{
    size_t cell = (size_t)r * w->centers + k;
    if (w->center[k].kind == CENTER_DELAY) {
        return w->demand[cell];
    }
    double queue = 0;
    double work = 0;
    for (uint32_t s = 0; s < w->classes; s++) {
        size_t other = (size_t)s * w->centers + k;
        double busy = found.x[s] * w->demand[other];
        queue += found.q[other];
        work += w->service_s[other] * (found.q[other] + busy * (w->scv[other] - 1) / 2);
    }
    return w->center[k].kind == CENTER_FIFO ? w->demand[cell] + w->visits[cell] * work
                                            : w->demand[cell] * (1 + queue);
}

int closed_mean_values(ClosedWork *w, Err *e)
{
    for (uint32_t k = 0; k < w->centers; k++) {
        if (w->center[k].kind == CENTER_SERVERS || w->center[k].kind == CENTER_LOAD_DEPENDENT) {
            return err_set(e, ERR_UNSUPPORTED,
                           "center %u: mean value analysis loses its digits with several servers; "
                           "take the exact method",
                           k);
        }
    }
    size_t matrix = (size_t)w->centers * w->classes;
    ClosedLattice l;
    int rc = closed_lattice(w, matrix + w->classes, &l, e);
    if (rc) {
        return rc;
    }
    double *q = mem_zalloc(l.count * matrix * sizeof *q);
    double *x = mem_zalloc(l.count * w->classes * sizeof *x);
    for (size_t n = 1; n < l.count; n++) {
        for (uint32_t r = 0; r < w->classes; r++) {
            uint32_t customers = closed_lattice_at(&l, n, r);
            if (customers == 0) {
                continue;
            }
            size_t below = n - l.stride[r];
            State found = {q + below * matrix, x + below * w->classes};
            double *here = q + n * matrix + (size_t)r * w->centers;
            double round = w->think_s[r];
            for (uint32_t k = 0; k < w->centers; k++) {
                here[k] = residence(w, r, k, found);
                round += here[k];
            }
            double throughput = customers / round;
            x[n * w->classes + r] = throughput;
            for (uint32_t k = 0; k < w->centers; k++) {
                here[k] *= throughput;
            }
        }
    }
    for (size_t i = 0; i < matrix; i++) {
        w->in_center[i] = q[(l.count - 1) * matrix + i];
    }
    for (uint32_t r = 0; r < w->classes; r++) {
        w->throughput[r] = x[(l.count - 1) * w->classes + r];
    }
    free(q);
    free(x);
    return 0;
}
