// How fast the virtual world is.
//
//     build/release/bench/model/virtual_bench [SECONDS]
//
// An event is what virtual_events counts: something that came off the event heap and did something
// (a timer that was removed or came too early does not count), or the end of a call or a request
// that is handed on within the same moment. A customer of M/M/1 is two events: it comes, it goes.
// Each world runs for about SECONDS (1) and the best of three is printed: what disturbs a run only
// slows it.
#include <time.h>

#include "policy/virtual.h"

enum { ROUNDS = 3 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t plain_edge(Virtual *v, uint32_t service)
{
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    return virtual_edge(v, NULL, p, service);
}

static Virtual *mm1(uint64_t seed)
{
    Virtual *v = virtual_create(&(VirtualOptions){.seed = seed});
    uint32_t s = virtual_service(
        v,
        &(VirtualService){.servers = 1, .queue_max = VIRTUAL_ANY, .work = dist_exponential(1e9)});
    VirtualClient client = {.per_second = 0.8, .scv = 1};
    client.edge = plain_edge(v, s);
    (void)virtual_client(v, &client);
    return v;
}

// The code-generation pipeline: A -> B -> {C, D} with attempt timeouts, retries and cancellation,
// at 80 % of D.
static Virtual *pipeline(uint64_t seed)
{
    static const DistPart *parts;
    static DistPart made[2];
    made[0] = (DistPart){0.92, dist_lognormal(150e6, 0.4)};
    made[1] = (DistPart){0.08, dist_pareto(2e9, 1.5, 60e9)};
    parts = made;
    Virtual *v = virtual_create(&(VirtualOptions){.seed = seed});
    VirtualTarget calls_b[] = {{0, 1, 1}}, calls_cd[] = {{1, 1, 1}, {2, 1, 1}};
    VirtualGroup to_b = {calls_b, 1, 0}, to_cd = {calls_cd, 2, 0};
    VirtualService a = {.queue_max = VIRTUAL_ANY, .groups = &to_b, .group_count = 1};
    VirtualService b = {.queue_max = VIRTUAL_ANY, .groups = &to_cd, .group_count = 1};
    VirtualService c = {.queue_max = VIRTUAL_ANY, .work = dist_mixture(parts, 2)};
    VirtualService d = {
        .servers = 18, .queue_max = VIRTUAL_ANY, .work = dist_lognormal(900e6, 0.25)};
    uint32_t at_a = virtual_service(v, &a), at_b = virtual_service(v, &b);
    uint32_t at_c = virtual_service(v, &c), at_d = virtual_service(v, &d);
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    p[P_RETRY_BACKOFF].integer = 0;
    p[P_RETRY_BUDGET].real = 0;
    p[P_TIMEOUT_ATTEMPT].integer = 10 * NS_PER_SECOND;
    (void)virtual_edge(v, NULL, p, at_b);
    p[P_TIMEOUT_ATTEMPT].integer = NS_PER_SECOND;
    p[P_RETRY_ATTEMPTS].integer = 4;
    (void)virtual_edge(v, NULL, p, at_c);
    p[P_TIMEOUT_ATTEMPT].integer = 3 * NS_PER_SECOND;
    (void)virtual_edge(v, NULL, p, at_d);
    VirtualClient tasks = {.per_second = 16, .scv = 1};
    tasks.edge = plain_edge(v, at_a);
    (void)virtual_client(v, &tasks);
    return v;
}

static void measure(const char *name, Virtual *(*make)(uint64_t seed), double seconds)
{
    double best = 0, customers = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        Virtual *v = make(round + 1);
        double start = now_s(), took = 0;
        int64_t until = 1000 * NS_PER_SECOND;
        while ((took = now_s() - start) < seconds / ROUNDS) {
            (void)virtual_run(v, until);
            until += until / 4;
        }
        double rate = (double)virtual_events(v) / took;
        if (rate > best) {
            best = rate;
            customers = (double)virtual_client_counts(v, 0).offered / took;
        }
        virtual_destroy(v);
    }
    printf("%-10s %7.2f M events/s %7.2f M customers/s\n", name, best / 1e6, customers / 1e6);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    measure("mm1", mm1, seconds);
    measure("pipeline", pipeline, seconds);
    return 0;
}
