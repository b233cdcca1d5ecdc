// The virtual world against closed forms: Kleinrock, "Queueing Systems" vol. 1 (M/M/c, M/M/c/K,
// Pollaczek-Khinchine, G/M/1, the finite source), Cobham 1954 (priorities), Flatto and Hahn 1984
// (fork and join of two), Sakata, Noguchi and Oizumi 1971 (processor sharing is insensitive).
//
// What is compared is the mean number of requests at a service over time, or a mean response. Each
// case is run RUNS times with seeds 1, 2, ...; the mean of the runs has to be within 4.5 of its own
// standard errors of the exact value, which a right simulator misses in one case of 4,000
// (Student's t with 19 degrees of freedom). Runs start empty; the first WARM_UP seconds are left
// out.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "policy/virtual.h"

enum { RUNS = 20, WARM_UP = 2000, SECONDS = 8000 };

typedef struct Stat {
    double sum, squares;
    int count;
} Stat;

static void stat_add(Stat *s, double x)
{
    s->sum += x;
    s->squares += x * x;
    s->count++;
}

static void stat_check(const Stat *s, const char *what, double exact)
{
    double mean = s->sum / s->count;
    double variance = (s->squares - s->sum * mean) / (s->count - 1);
    double error = sqrt((variance > 0 ? variance : 0) / s->count);
    if (fabs(mean - exact) > 4.5 * error + 1e-9 * exact) {
        fail_msg("%s: %.5f instead of %.5f, standard error %.5f (seeds 1..%d)", what, mean, exact,
                 error, s->count);
    }
}

static uint32_t plain_edge(Virtual *v, uint32_t service)
{
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    return virtual_edge(v, NULL, p, service);
}

typedef struct Window {
    VirtualServiceCounts from, to;
    VirtualClientCounts client_from, client_to;
    double seconds;
} Window;

// Service and client 0 over the time after the warm-up.
static Window observe(Virtual *v)
{
    Window w = {.seconds = SECONDS};
    (void)virtual_run(v, WARM_UP * NS_PER_SECOND);
    w.from = virtual_service_counts(v, 0);
    w.client_from = virtual_client_counts(v, 0);
    (void)virtual_run(v, (WARM_UP + SECONDS) * NS_PER_SECOND);
    w.to = virtual_service_counts(v, 0);
    w.client_to = virtual_client_counts(v, 0);
    return w;
}

static double mean_here(const Window *w)
{
    return (w->to.here_ns - w->from.here_ns) / 1e9 / w->seconds;
}

static void test_one_station(void **state)
{
    (void)state;
    const double rho = 0.8, pk = rho * rho / (2 * (1 - rho));
    // E4/M/1: sigma is the root of s = A*(mu (1 - s)), and L = rho / (1 - s).
    double sigma = 0.5;
    for (int i = 0; i < 200; i++) {
        sigma = pow(4 * rho / (4 * rho + 1 - sigma), 4);
    }
    const struct {
        const char *name;
        VirtualDiscipline discipline;
        uint32_t servers, queue_max;
        Dist work;
        double per_second, scv, here;
    } cases[] = {
        {"M/M/1", VIRTUAL_FIFO, 1, VIRTUAL_ANY, dist_exponential(1e9), rho, 1, 4},
        {"M/M/1 lifo", VIRTUAL_LIFO, 1, VIRTUAL_ANY, dist_exponential(1e9), rho, 1, 4},
        {"M/M/1 ps", VIRTUAL_SHARING, 1, VIRTUAL_ANY, dist_exponential(1e9), rho, 1, 4},
        // Erlang C of 2 servers at a = 1.6 is 0.71111.
        {"M/M/2", VIRTUAL_FIFO, 2, VIRTUAL_ANY, dist_exponential(1e9), 1.6, 1, 4.444444},
        {"M/M/2 ps", VIRTUAL_SHARING, 2, VIRTUAL_ANY, dist_exponential(1e9), 1.6, 1, 4.444444},
        {"M/M/inf", VIRTUAL_FIFO, 0, 0, dist_exponential(3e9), 1.5, 1, 4.5},
        {"M/G/inf", VIRTUAL_SHARING, 0, 0, dist_uniform(0, 6e9), 1.5, 1, 4.5},
        {"M/D/1", VIRTUAL_FIFO, 1, VIRTUAL_ANY, dist_fixed(1e9), rho, 1, rho + pk},
        {"M/E4/1", VIRTUAL_FIFO, 1, VIRTUAL_ANY, dist_gamma(1e9, 4), rho, 1, rho + pk * 1.25},
        {"M/H2/1", VIRTUAL_FIFO, 1, VIRTUAL_ANY, dist_hyperexponential(1e9, 4), rho, 1,
         rho + pk * 5},
        {"M/H2/1 ps", VIRTUAL_SHARING, 1, VIRTUAL_ANY, dist_hyperexponential(1e9, 4), rho, 1, 4},
        {"E4/M/1", VIRTUAL_FIFO, 1, VIRTUAL_ANY, dist_exponential(1e9), rho, 0.25,
         rho / (1 - sigma)},
        // a = 2: the states weigh 1 2 2 2 2 2.
        {"M/M/2/5", VIRTUAL_FIFO, 2, 3, dist_exponential(1e9), 2, 1, 30.0 / 11},
        {"M/M/1/4 ps", VIRTUAL_SHARING, 1, 3, dist_exponential(1e9), 1, 1, 2},
        // Erlang B of 4 servers at a = 3 is 0.206107.
        {"M/G/4/4", VIRTUAL_FIFO, 4, 0, dist_lognormal(1e9, 1), 3, 1, 3 * (1 - 0.2061069)},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Stat here = {0};
        for (uint64_t seed = 1; seed <= RUNS; seed++) {
            Virtual *v = virtual_create(&(VirtualOptions){.seed = seed});
            VirtualService service = {.servers = cases[i].servers,
                                      .queue_max = cases[i].queue_max,
                                      .discipline = cases[i].discipline,
                                      .work = cases[i].work};
            VirtualClient client = {.per_second = cases[i].per_second, .scv = cases[i].scv};
            client.edge = plain_edge(v, virtual_service(v, &service));
            (void)virtual_client(v, &client);
            Window w = observe(v);
            stat_add(&here, mean_here(&w));
            double busy = w.to.busy_ns - w.from.busy_ns,
                   waits = w.to.waiting_ns - w.from.waiting_ns;
            // Little's law within the books: who is here waits or is served.
            assert_true(fabs((busy + waits) / (w.to.here_ns - w.from.here_ns) - 1) < 1e-9);
            virtual_destroy(v);
        }
        stat_check(&here, cases[i].name, cases[i].here);
    }
}

// Two classes at 0.3 and 0.5 of an exponential server: W0 = 0.8, and Cobham's waits are
// 0.8 / 0.7 and 0.8 / (0.7 * 0.2).
typedef struct Responses {
    double sum[4];
    uint64_t count[4];
    int64_t from_ns;
} Responses;

static void on_answer(void *context, Virtual *v, const VirtualEnd *end)
{
    (void)v;
    Responses *r = context;
    if (end->started_ns >= r->from_ns && end->code == 0) {
        r->sum[end->client] += (double)(end->ended_ns - end->started_ns) / 1e9;
        r->count[end->client]++;
    }
}

static void test_priorities(void **state)
{
    (void)state;
    Stat high = {0}, low = {0};
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        Responses r = {.from_ns = WARM_UP * NS_PER_SECOND};
        Virtual *v = virtual_create(
            &(VirtualOptions){.seed = seed, .hooks = {.context = &r, .answered = on_answer}});
        VirtualService service = {.servers = 1,
                                  .queue_max = VIRTUAL_ANY,
                                  .discipline = VIRTUAL_PRIORITY,
                                  .work = dist_exponential(1e9)};
        uint32_t edge = plain_edge(v, virtual_service(v, &service));
        (void)virtual_client(
            v, &(VirtualClient){.edge = edge, .per_second = 0.3, .scv = 1, .priority = 1});
        (void)virtual_client(
            v, &(VirtualClient){.edge = edge, .per_second = 0.5, .scv = 1, .priority = 7});
        (void)observe(v);
        stat_add(&high, r.sum[0] / (double)r.count[0]);
        stat_add(&low, r.sum[1] / (double)r.count[1]);
        virtual_destroy(v);
    }
    stat_check(&high, "the important", 1 + 0.8 / 0.7);
    stat_check(&low, "the others", 1 + 0.8 / 0.14);
}

// Groups of calls. Two stations that each see all requests at rho = 0.5: the join of both takes
// (12 - rho) / 8 / (mu - lambda). Without queues the joins are order statistics of exponentials.
static void test_fork_and_join(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint32_t servers, targets, need;
        double response;
    } cases[] = {
        {"both of two queues", 1, 2, 0, 11.5 / 8 / 0.5},
        {"all of three", 0, 3, 0, 1 + 0.5 + 1.0 / 3},
        {"any of three", 0, 3, 1, 1.0 / 3},
        {"two of three", 0, 3, 2, 1.0 / 3 + 1.0 / 2},
        {"two are all there are", 0, 2, 3, 1.5},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Stat here = {0};
        for (uint64_t seed = 1; seed <= RUNS; seed++) {
            Virtual *v = virtual_create(&(VirtualOptions){.seed = seed});
            VirtualTarget targets[] = {{0, 1, 1}, {1, 1, 1}, {2, 1, 1}};
            VirtualGroup group = {targets, cases[i].targets, cases[i].need};
            (void)virtual_service(
                v, &(VirtualService){.queue_max = VIRTUAL_ANY, .groups = &group, .group_count = 1});
            for (uint32_t k = 0; k < cases[i].targets; k++) {
                VirtualService station = {.servers = cases[i].servers,
                                          .queue_max = VIRTUAL_ANY,
                                          .work = dist_exponential(1e9)};
                (void)plain_edge(v, virtual_service(v, &station));
            }
            VirtualClient client = {.per_second = 0.5, .scv = 1};
            client.edge = plain_edge(v, 0);
            (void)virtual_client(v, &client);
            Window w = observe(v);
            stat_add(&here, mean_here(&w) / 0.5);
            virtual_destroy(v);
        }
        stat_check(&here, cases[i].name, cases[i].response);
    }
}

// Five users who think for 4 s on average, one exponential server of 1 s: the finite source. The
// states weigh N! / (N - n)! (1/4)^n.
static void test_users(void **state)
{
    (void)state;
    double weight = 1, sum = 1, number = 0;
    for (int n = 1; n <= 5; n++) {
        weight *= (6 - n) / 4.0;
        sum += weight;
        number += n * weight;
    }
    Stat here = {0};
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        Virtual *v = virtual_create(&(VirtualOptions){.seed = seed});
        VirtualService service = {
            .servers = 1, .queue_max = VIRTUAL_ANY, .work = dist_exponential(1e9)};
        VirtualClient client = {.users = 5, .think = dist_exponential(4e9)};
        client.edge = plain_edge(v, virtual_service(v, &service));
        (void)virtual_client(v, &client);
        Window w = observe(v);
        stat_add(&here, mean_here(&w));
        virtual_destroy(v);
    }
    stat_check(&here, "finite source", number / sum);
}

// Arrivals by count: a spike of three times the rate for 500 s; bursts of five times the rate that
// last 10 s after calms of 30 s on average (mean rate (30 + 50) / 40); chances and repeats of
// calls.
static void test_rates(void **state)
{
    (void)state;
    Stat outside = {0}, spiked = {0}, bursts = {0}, visits = {0};
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        Virtual *v = virtual_create(&(VirtualOptions){.seed = seed});
        VirtualTarget target = {.edge = 0, .chance = 0.3, .repeat = 2.5};
        VirtualGroup group = {&target, 1, 0};
        VirtualService caller = {.queue_max = VIRTUAL_ANY, .groups = &group, .group_count = 1};
        VirtualService callee = {.queue_max = VIRTUAL_ANY, .work = dist_fixed(1e6)};
        (void)virtual_service(v, &callee);
        (void)plain_edge(v, 0);
        uint32_t edge = plain_edge(v, virtual_service(v, &caller));
        VirtualSpike spike = {4000 * NS_PER_SECOND, 500 * NS_PER_SECOND, 3};
        VirtualClient clients[] = {
            {.edge = edge, .per_second = 0.4, .scv = 1, .spikes = &spike, .spike_count = 1},
            {.edge = edge,
             .per_second = 0.4,
             .scv = 1,
             .burst_factor = 5,
             .burst_ns = 10 * NS_PER_SECOND,
             .calm_ns = 30 * NS_PER_SECOND}};
        for (size_t i = 0; i < COUNT_OF(clients); i++) {
            (void)virtual_client(v, &clients[i]);
        }
        (void)virtual_run(v, 4000 * NS_PER_SECOND);
        uint64_t before = virtual_client_counts(v, 0).offered;
        (void)virtual_run(v, 4500 * NS_PER_SECOND);
        uint64_t after = virtual_client_counts(v, 0).offered;
        (void)virtual_run(v, 8000 * NS_PER_SECOND);
        stat_add(&outside, (double)before / 4000);
        stat_add(&spiked, (double)(after - before) / 500);
        uint64_t bursty = virtual_client_counts(v, 1).offered;
        stat_add(&bursts, (double)bursty / 8000);
        double offered = (double)(virtual_client_counts(v, 0).offered + bursty);
        stat_add(&visits, (double)virtual_service_counts(v, 0).begun / offered);
        virtual_destroy(v);
    }
    stat_check(&outside, "outside of the spike", 0.4);
    stat_check(&spiked, "in the spike", 1.2);
    stat_check(&bursts, "with bursts", 0.8);
    stat_check(&visits, "visits", 0.75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_station),   cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_fork_and_join), cmocka_unit_test(test_users),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
