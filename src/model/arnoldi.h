// The largest eigenvalues of a real operator that is only known by what it does to a vector
// (Arnoldi's method; Saad, "Numerical Methods for Large Eigenvalue Problems", 2nd ed., ch. 6).
#ifndef MODEL_ARNOLDI_H
#define MODEL_ARNOLDI_H

#include <stdbool.h>

enum { ARNOLDI_DIMENSIONS_MAX = 160 };

typedef void ArnoldiApply(void *context, double *x);

// The eigenvalue of largest modulus into ret[0], and into ret[1] the largest that is neither it nor
// its conjugate (0 where the operator has no other). `start` is not 0 and is overwritten. Doubles
// the subspace until two in a row agree to 1e-9, up to ARNOLDI_DIMENSIONS_MAX; false where they do
// not by then: the values are what it has.
bool arnoldi_largest(int n, ArnoldiApply *apply, void *context, double *start, double ret_re[2],
                     double ret_im[2]);

#endif
