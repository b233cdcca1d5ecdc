// Gaussian process regression: a mean and a variance at any point, from at most a thousand points.
//
// Kernel: Matern 5/2 with a length for each input (ARD), a signal variance and a noise variance,
//
//     k(x, x') = signal (1 + s + s^2 / 3) exp(-s),  s^2 = 5 sum_d ((x_d - x'_d) / length_d)^2,
//
// fitted by the logarithm of the marginal likelihood (Rasmussen, Williams: "Gaussian Processes for
// Machine Learning", 2006, equations 2.30 and 5.9) with a bounded gradient method from several
// starts. Inputs are scaled to [0, 1] and the output to mean 0 and deviation 1 beforehand, so
// lengths are in widths of the range seen and variances in those of the output; `raw` leaves both.
//
//     rc = gp_fit(x, n, d, y, &(GpOptions){.seed = 1}, &gp, e);
//     gp_predict(gp, point, &mean, &variance);
//
// Cost: n^3 / 3 to fit with known parameters, about a hundred times n^3 with min(n, 256) to find
// them, n^2 for a variance, n d for a mean. A Gp does not change; any thread may ask it.
#ifndef MODEL_GP_H
#define MODEL_GP_H

#include "base/doc.h"
#include "base/json_write.h"

enum {
    GP_POINTS_MAX = 1000,
    GP_INPUTS_MAX = 64,
    GP_TUNE_POINTS_MAX = 256, // the parameters are found on a random choice of so many
};

typedef struct GpParams {
    double signal, noise; // variances
    double lengths[GP_INPUTS_MAX];
} GpParams;

typedef struct GpOptions {
    const GpParams *fixed; // taken as they are; NULL: found
    const GpParams *start; // where to begin, e.g. those of the last fit; NULL: in the middle
    int starts;            // besides that one, at random; 0: 2, -1: none
    int steps;             // of the gradient method, for each start; 0: 60
    uint64_t seed;
    bool raw; // neither inputs nor output are scaled
} GpOptions;

typedef struct Gp Gp;

// `x` is n rows of d inputs. ERR_ARG for what is not finite, for no point or no input; ERR_LIMIT.
MUST_USE int gp_fit(const double *x, size_t n, size_t d, const double *y, const GpOptions *options,
                    Gp **ret_gp, Err *e);
void gp_destroy(Gp *gp); // NULL is fine

// `ret_variance` (may be NULL) is that of the function; an observation's has gp_noise() on top.
void gp_predict(const Gp *gp, const double *x, double *ret_mean, double *ret_variance);
double gp_noise(const Gp *gp);
double gp_log_likelihood(const Gp *gp); // of the scaled output
const GpParams *gp_params(const Gp *gp);
size_t gp_points(const Gp *gp);
size_t gp_inputs(const Gp *gp);

// What would be said of each point if it had not been seen (equations 5.10 to 5.12): mean and
// variance of the observation, n each; either may be NULL. Parameters stay those of all points.
void gp_leave_one_out(const Gp *gp, double *ret_mean, double *ret_variance);

// {"version":1,"inputs":2,"raw":false,"signal":...,"noise":...,"lengths":[...],"x":[...],"y":[...]}
void gp_write(const Gp *gp, JsonWriter *w);
MUST_USE int gp_read(const Doc *doc, Gp **ret_gp, Err *e);

#endif
