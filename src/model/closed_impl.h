// What the methods of model/closed.h share: the network as demands, open classes taken out.
#ifndef MODEL_CLOSED_IMPL_H
#define MODEL_CLOSED_IMPL_H

#include "model/closed.h"

typedef struct ClosedWork {
    uint32_t centers, classes; // closed classes with anybody in them
    const ClosedCenter *center;
    double *demand;     // matrix: visits * service, seconds a round
    double *service_s;  // matrix, and the two below, for FIFO
    double *visits;     //
    double *scv;        //
    double *think_s;    // by class
    double *population; // by class, above 0
    double tolerance;
    // Answers.
    double *throughput; // by class
    double *in_center;  // matrix
    double *busy;       // by center: P(not empty) of load-dependent ones
    uint32_t iterations;
} ClosedWork;

MUST_USE int closed_convolution(ClosedWork *w, Err *e);
MUST_USE int closed_mean_values(ClosedWork *w, Err *e);
MUST_USE int closed_linearizer(ClosedWork *w, Err *e);
MUST_USE int closed_schweitzer(ClosedWork *w, Err *e);

// The population vectors from zero to all, as one number: class 0 counts fastest. Every vector
// comes after all vectors that are below it.
typedef struct ClosedLattice {
    uint32_t classes;
    size_t count;
    size_t stride[CLOSED_CLASSES_MAX];
    uint32_t top[CLOSED_CLASSES_MAX];
} ClosedLattice;

// ERR_LIMIT where count * cells_each passes CLOSED_TABLE_MAX.
MUST_USE int closed_lattice(const ClosedWork *w, size_t cells_each, ClosedLattice *ret_lattice,
                            Err *e);
// How many of class r there are in the vector of that index.
static inline uint32_t closed_lattice_at(const ClosedLattice *l, size_t index, uint32_t r)
{
    return (uint32_t)(index / l->stride[r] % (l->top[r] + 1));
}

#endif
