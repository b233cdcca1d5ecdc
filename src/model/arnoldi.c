#include "model/arnoldi.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { M = ARNOLDI_DIMENSIONS_MAX };

typedef struct Krylov {
    int n, size; // `size` columns of H are known
    double *basis;
    double h[M + 1][M];
} Krylov;

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static double *vector(const Krylov *k, int i)
{
    return k->basis + (size_t)i * (size_t)k->n;
}

// Adds one dimension. False where the subspace is closed: nothing new came out.
static bool grow(Krylov *k, ArnoldiApply *apply, void *context)
{
    int j = k->size;
    double *w = vector(k, j + 1);
    memcpy(w, vector(k, j), (size_t)k->n * sizeof(double));
    apply(context, w);
    double before = sqrt(dot(w, w, k->n));
    // Twice: once leaves what rounding left of the part that was taken out (Kahan and Parlett).
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i <= j; i++) {
            double part = dot(w, vector(k, i), k->n);
            k->h[i][j] += part;
            for (int x = 0; x < k->n; x++) {
                w[x] -= part * vector(k, i)[x];
            }
        }
    }
    double left = sqrt(dot(w, w, k->n));
    k->h[j + 1][j] = left;
    k->size++;
    if (!(left > 1e-13 * before)) {
        return false;
    }
    for (int x = 0; x < k->n; x++) {
        w[x] /= left;
    }
    return true;
}

// One QR step with the shift on rows and columns low..high of an upper Hessenberg matrix (Golub and
// Van Loan, "Matrix Computations", ch. 7.4), by plane rotations.
static void qr_step(double complex *a, int n, int low, int high, double complex shift)
{
    double complex cosines[M];
    double complex sines[M];
    for (int i = low; i <= high; i++) {
        a[i * n + i] -= shift;
    }
    for (int i = low; i < high; i++) {
        double complex x = a[i * n + i];
        double complex y = a[(i + 1) * n + i];
        double length = hypot(cabs(x), cabs(y));
        cosines[i] = length > 0 ? x / length : 1;
        sines[i] = length > 0 ? y / length : 0;
        for (int j = i; j <= high; j++) {
            double complex upper = a[i * n + j];
            double complex lower = a[(i + 1) * n + j];
            a[i * n + j] = conj(cosines[i]) * upper + conj(sines[i]) * lower;
            a[(i + 1) * n + j] = cosines[i] * lower - sines[i] * upper;
        }
    }
    for (int i = low; i < high; i++) {
        for (int j = low; j <= i + 1; j++) {
            double complex left = a[j * n + i];
            double complex right = a[j * n + i + 1];
            a[j * n + i] = left * cosines[i] + right * sines[i];
            a[j * n + i + 1] = right * conj(cosines[i]) - left * conj(sines[i]);
        }
    }
    for (int i = low; i <= high; i++) {
        a[i * n + i] += shift;
    }
}

// The eigenvalue of the last 2x2 block that is nearer to its corner (Wilkinson).
static double complex wilkinson(const double complex *a, int n, int high)
{
    double complex p = a[(high - 1) * n + high - 1];
    double complex q = a[high * n + high];
    double complex cross = a[(high - 1) * n + high] * a[high * n + high - 1];
    double complex half = (p - q) / 2;
    double complex root = csqrt(half * half + cross);
    double complex one = q + half + root;
    double complex two = q + half - root;
    return cabs(one - q) < cabs(two - q) ? one : two;
}

// Eigenvalues of the leading n x n block of H onto the diagonal of `a`.
static void eigenvalues(const Krylov *k, double complex *a)
{
    int n = k->size;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            a[i * n + j] = k->h[i][j];
        }
    }
    int tries = 0;
    for (int high = n - 1; high > 0;) {
        int low = high;
        while (low > 0 && cabs(a[low * n + low - 1]) >
                              1e-15 * (cabs(a[low * n + low]) + cabs(a[(low - 1) * n + low - 1]))) {
            low--;
        }
        if (low == high || tries == 60) {
            high--;
            tries = 0;
            continue;
        }
        // Every tenth try without success an unusual shift breaks a cycle.
        tries++;
        double complex shift = tries % 10 == 0 ? a[high * n + high] + cabs(a[high * n + high - 1])
                                               : wilkinson(a, n, high);
        qr_step(a, n, low, high, shift);
    }
}

static void two_largest(const Krylov *k, double re[2], double im[2])
{
    int n = k->size;
    double complex *a = mem_alloc((size_t)n * (size_t)n * sizeof(*a));
    eigenvalues(k, a);
    double complex best[2] = {0, 0};
    for (int i = 0; i < n; i++) {
        best[0] = cabs(a[i * n + i]) > cabs(best[0]) ? a[i * n + i] : best[0];
    }
    double margin = 1e-9 * cabs(best[0]);
    for (int i = 0; i < n; i++) {
        double complex v = a[i * n + i];
        bool same = cabs(v - best[0]) < margin || cabs(conj(v) - best[0]) < margin;
        best[1] = !same && cabs(v) > cabs(best[1]) ? v : best[1];
    }
    for (int i = 0; i < 2; i++) {
        re[i] = creal(best[i]);
        im[i] = cimag(best[i]);
    }
    free(a);
}

bool arnoldi_largest(int n, ArnoldiApply *apply, void *context, double *start, double ret_re[2],
                     double ret_im[2])
{
    Krylov *k = mem_zalloc(sizeof(*k));
    k->n = n;
    k->basis = mem_alloc((size_t)(M + 1) * (size_t)n * sizeof(double));
    double length = sqrt(dot(start, start, n));
    for (int i = 0; i < n; i++) {
        vector(k, 0)[i] = start[i] / length;
    }
    bool open = true;
    bool converged = false;
    double old[2] = {0, 0};
    for (int goal = 10; open && !converged && k->size < M; goal *= 2) {
        while (open && k->size < goal && k->size < n && k->size < M) {
            open = grow(k, apply, context);
        }
        open = open && k->size < n;
        two_largest(k, ret_re, ret_im);
        double moved = hypot(ret_re[0] - old[0], fabs(ret_im[0]) - old[1]);
        converged = !open || moved <= 1e-9 * hypot(ret_re[0], ret_im[0]);
        old[0] = ret_re[0];
        old[1] = fabs(ret_im[0]);
    }
    free(k->basis);
    free(k);
    return converged;
}
