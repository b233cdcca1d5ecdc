// The Cholesky factorisation of small dense symmetric matrices, as Gaussian processes need it.
// Matrices are n x n, row by row; only the lower triangle is read and written.
#ifndef MODEL_CHOLESKY_H
#define MODEL_CHOLESKY_H

#include <stdbool.h>
#include <stddef.h>

// Overwrites the lower triangle of `a` with L, A = L L'. False when a pivot is not positive: the
// matrix is not positive definite as far as double precision can tell.
bool cholesky_factor(double *a, size_t n);
// Solves L x = b in place, and L' x = b in place.
void cholesky_forward(const double *l, size_t n, double *b);
void cholesky_backward(const double *l, size_t n, double *b);
// The lower triangle of inverse(A) into `ret` (n x n), from its factor.
void cholesky_inverse(const double *l, size_t n, double *ret);
// log(det(A)).
double cholesky_log_det(const double *l, size_t n);

#endif
