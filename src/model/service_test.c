#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/attr.h"
#include "model/service.h"
#include "model/special.h"

static void near_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%.17g, expected %.17g", got, want);
    }
}

enum { LAWS = 8 };

static const double points[] = {0.1, 0.2, 0.2, 0.5, 1.5, 4};

static void make_laws(Service laws[LAWS])
{
    assert_int_equal(service_deterministic(0.7, &laws[0], NULL), 0);
    assert_int_equal(service_exponential(0.7, &laws[1], NULL), 0);
    assert_int_equal(service_erlang(0.7, 5, &laws[2], NULL), 0);
    assert_int_equal(service_hyperexponential(0.8, (double[2]){0.3, 2.3}, &laws[3], NULL), 0);
    assert_int_equal(service_lognormal(0.7, 0.9, &laws[4], NULL), 0);
    assert_int_equal(service_empirical(points, COUNT_OF(points), &laws[5], NULL), 0);
    assert_int_equal(service_two_moments(0.7, 0.3, &laws[6], NULL), 0);
    assert_int_equal(service_two_moments(0.7, 4, &laws[7], NULL), 0);
}

typedef struct Weighted {
    const Service *s;
    double power, decay, t;
} Weighted;

static double tail_moment(const void *context, double x)
{
    const Weighted *w = context;
    return w->power * pow(x, w->power - 1) * service_tail(w->s, x);
}

// E S^k = k Integral t^(k-1) P(S > t) dt; mean, scv and third moment against the tail.
static void test_moments(void **state)
{
    (void)state;
    Service laws[LAWS];
    make_laws(laws);
    for (size_t i = 0; i < LAWS; i++) {
        const Service *s = &laws[i];
        double moment[4] = {0};
        for (int k = 1; k <= 3; k++) {
            Weighted w = {.s = s, .power = k};
            // In pieces whose ends are the kinks of the laws above, longer ones further out.
            static const double ends[] = {0, 0.1, 0.2, 0.5, 0.7, 1.5, 4, 10, 40, 200, 4000};
            for (size_t j = 0; j + 1 < COUNT_OF(ends); j++) {
                moment[k] += special_integral(tail_moment, &w, &ends[j], 60);
            }
        }
        double tolerance = i == 6 ? 1e-4 : 1e-6; // the shifted one's kink is at none of the ends
        near_to(s->mean_s, moment[1], tolerance);
        near_to(s->scv, moment[2] / moment[1] / moment[1] - 1, 4 * tolerance);
        near_to(s->moment3 / moment[3], 1, 10 * tolerance);
    }
    near_to(laws[6].scv, 0.3, 1e-15);
    near_to(laws[7].scv, 4, 1e-13);
}

static double lst_point(const void *context, double x)
{
    const Weighted *w = context;
    return exp(-w->decay * x) * service_tail(w->s, x);
}

static double then_point(const void *context, double x)
{
    const Weighted *w = context;
    return w->decay * exp(-w->decay * (w->t - x)) * service_tail(w->s, x);
}

// E e^(-zS) = 1 - z Integral e^(-zt) P(S > t) dt, and the convolution with an exponential tail by
// parts: Integral e^(-d (t - x)) dF = e^(-dt) - P(S > t) + d Integral e^(-d (t - x)) P(S > x) dx.
static void test_transforms(void **state)
{
    (void)state;
    Service laws[LAWS];
    make_laws(laws);
    static const double ends[] = {0, 0.1, 0.2, 0.5, 0.7, 1.5, 4, 10, 40, 200, 4000};
    for (size_t i = 0; i < LAWS; i++) {
        double tolerance = i == 6 ? 1e-4 : 1e-7;
        for (double z = 0.1; z < 40; z *= 4) {
            Weighted w = {.s = &laws[i], .decay = z};
            double sum = 0;
            for (size_t j = 0; j + 1 < COUNT_OF(ends); j++) {
                sum += special_integral(lst_point, &w, &ends[j], 60);
            }
            double complex lst[SPECIAL_LINE];
            service_lst(&laws[i], (SpecialLine){z, 0.5}, lst);
            near_to(creal(lst[0]), 1 - z * sum, tolerance * (1 + z));
            // Turned along the line is computed there.
            double complex again[SPECIAL_LINE];
            service_lst(&laws[i], (SpecialLine){z, 1}, again);
            near_to(cabs(lst[24] - again[12]), 0, 1e-12);
            for (size_t j = 1; j < COUNT_OF(ends) - 3; j++) {
                w.t = ends[j] * 1.01;
                double part = 0;
                for (size_t k = 0; k < j; k++) {
                    part += special_integral(then_point, &w, &ends[k], 60);
                }
                part += special_integral(then_point, &w, (double[2]){ends[j], w.t}, 4);
                double want = exp(-z * w.t) - service_tail(&laws[i], w.t) + part;
                near_to(service_then_exponential(&laws[i], z, w.t), want, tolerance * (1 + z));
                ServicePoint at = service_at(&laws[i], z, w.t);
                near_to(at.then, service_then_exponential(&laws[i], z, w.t), 1e-13);
                near_to(at.tail, service_tail(&laws[i], w.t), 1e-15);
                double density = service_density(&laws[i], w.t);
                assert_true(isnan(density) ? isnan(at.density)
                                           : fabs(at.density - density) <= 1e-12);
            }
        }
    }
}

static void test_quantiles(void **state)
{
    (void)state;
    Service laws[LAWS];
    make_laws(laws);
    for (size_t i = 1; i < LAWS; i++) {
        for (double p = 0.02; p < 1; p += 0.07) {
            double t = service_quantile(&laws[i], p);
            assert_true(service_tail(&laws[i], t * (1 + 1e-9)) <= 1 - p + 1e-12);
            assert_true(service_tail(&laws[i], t * (1 - 1e-9)) >= 1 - p - 1e-12);
        }
        assert_true(isnan(service_quantile(&laws[i], 0)) && isnan(service_quantile(&laws[i], 1)));
    }
}

// A Dist and its Service are one law; what has no closed form keeps its mean and scv.
static void test_of_dist(void **state)
{
    (void)state;
    DistPart parts[] = {{0.92, dist_lognormal(150e6, 0.4)}, {0.08, dist_pareto(2e9, 1.5, 60e9)}};
    const Dist dists[] = {
        dist_fixed(3e8),        dist_exponential(3e8),         dist_gamma(3e8, 4),
        dist_gamma(3e8, 2.5),   dist_hyperexponential(3e8, 5), dist_lognormal(9e8, 0.25),
        dist_uniform(1e8, 5e8), dist_weibull(2e8, 0.8),        dist_mixture(parts, 2)};
    double room[1025];
    for (size_t i = 0; i < COUNT_OF(dists); i++) {
        Service s;
        assert_int_equal(service_of_dist(&dists[i], room, COUNT_OF(room), &s, NULL), 0);
        near_to(s.mean_s, dist_mean(&dists[i]) / 1e9, 1e-9 * s.mean_s);
        near_to(s.scv, dist_scv(&dists[i]), 1e-9 * (1 + s.scv));
        for (double p = 0.05; p < 0.98 && i > 0; p += 0.09) {
            near_to(service_quantile(&s, p) / dist_quantile(&dists[i], p) * 1e9, 1, 2e-3);
        }
    }
    Service s;
    Dist endless = dist_pareto(1e9, 0.9, INFINITY);
    assert_int_equal(service_of_dist(&endless, room, COUNT_OF(room), &s, NULL), ERR_ARG);
    Dist nothing = dist_fixed(0);
    assert_int_equal(service_of_dist(&nothing, room, COUNT_OF(room), &s, NULL), ERR_ARG);
    assert_int_equal(service_of_dist(&dists[6], room, 1, &s, NULL), ERR_ARG);
}

static void test_refused(void **state)
{
    (void)state;
    Service s;
    static const double bad[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(service_deterministic(bad[i], &s, NULL), ERR_ARG);
        assert_int_equal(service_exponential(bad[i], &s, NULL), ERR_ARG);
        assert_int_equal(service_erlang(bad[i], 2, &s, NULL), ERR_ARG);
        assert_int_equal(service_lognormal(bad[i], 1, &s, NULL), ERR_ARG);
        assert_int_equal(service_two_moments(bad[i], 1, &s, NULL), ERR_ARG);
        assert_int_equal(service_hyperexponential(0.5, (double[2]){1, bad[i]}, &s, NULL), ERR_ARG);
    }
    assert_int_equal(service_erlang(1, 0, &s, NULL), ERR_ARG);
    assert_int_equal(service_erlang(1, SERVICE_PHASES_MAX, &s, NULL), 0);
    assert_int_equal(service_erlang(1, SERVICE_PHASES_MAX + 1, &s, NULL), ERR_ARG);
    assert_int_equal(service_lognormal(1, NAN, &s, NULL), ERR_ARG);
    assert_int_equal(service_lognormal(1, 5.1, &s, NULL), ERR_ARG);
    assert_int_equal(service_two_moments(1, -0.1, &s, NULL), ERR_ARG);
    assert_int_equal(service_hyperexponential(1.1, (double[2]){1, 1}, &s, NULL), ERR_ARG);
    static const double falling[] = {1, 0.5};
    static const double zero[] = {0, 0};
    static double many[SERVICE_VALUES_MAX + 1] = {0};
    many[SERVICE_VALUES_MAX - 1] = many[SERVICE_VALUES_MAX] = 1;
    assert_int_equal(service_empirical(falling, 2, &s, NULL), ERR_ARG);
    assert_int_equal(service_empirical(zero, 2, &s, NULL), ERR_ARG);
    assert_int_equal(service_empirical(points, 1, &s, NULL), ERR_ARG);
    assert_int_equal(service_empirical(many, SERVICE_VALUES_MAX, &s, NULL), 0);
    assert_int_equal(service_empirical(many, SERVICE_VALUES_MAX + 1, &s, NULL), ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),   cmocka_unit_test(test_transforms),
        cmocka_unit_test(test_quantiles), cmocka_unit_test(test_of_dist),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
