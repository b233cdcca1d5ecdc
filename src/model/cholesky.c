#include "model/cholesky.h"

#include <math.h>
#include <string.h>

// Four sums that do not wait for each other: the rows are contiguous, so this is what the compiler
// turns into vector code without leave to reorder a single sum.
static double dot(const double *a, const double *b, size_t n)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) {
        s0 += a[i] * b[i];
    }
    return (s0 + s1) + (s2 + s3);
}

// Row by row (Cholesky-Banachiewicz), so that every inner product runs along two rows.
bool cholesky_factor(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double *row = a + i * n;
        for (size_t j = 0; j < i; j++) {
            const double *other = a + j * n;
            row[j] = (row[j] - dot(row, other, j)) / other[j];
        }
        double pivot = row[i] - dot(row, row, i);
        if (!(pivot > 0) || !isfinite(pivot)) {
            return false;
        }
        row[i] = sqrt(pivot);
    }
    return true;
}

void cholesky_forward(const double *l, size_t n, double *b)
{
    for (size_t i = 0; i < n; i++) {
        b[i] = (b[i] - dot(l + i * n, b, i)) / l[i * n + i];
    }
}

void cholesky_backward(const double *l, size_t n, double *b)
{
    for (size_t i = n; i-- > 0;) {
        b[i] /= l[i * n + i];
        const double *row = l + i * n;
        for (size_t j = 0; j < i; j++) {
            b[j] -= row[j] * b[i];
        }
    }
}

// inverse(A) = inverse(L)' inverse(L): first the rows of inverse(L)' (its columns, contiguous),
// then their inner products from the later of the two indices on.
void cholesky_inverse(const double *l, size_t n, double *ret)
{
    memset(ret, 0, n * n * sizeof *ret);
    for (size_t j = 0; j < n; j++) {
        double *column = ret + j * n; // of inverse(L), from j downwards
        column[j] = 1 / l[j * n + j];
        for (size_t i = j + 1; i < n; i++) {
            column[i] = -dot(l + i * n + j, column + j, i - j) / l[i * n + i];
        }
    }
    // In place: row j needs rows >= j only, so overwriting from above is safe; entry (i, j) of the
    // lower triangle is stored as (j, i) until the last pass.
    for (size_t j = 0; j < n; j++) {
        for (size_t i = j; i < n; i++) {
            ret[j * n + i] = dot(ret + i * n + i, ret + j * n + i, n - i);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            ret[i * n + j] = ret[j * n + i];
        }
    }
}

double cholesky_log_det(const double *l, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += log(l[i * n + i]);
    }
    return 2 * sum;
}
