// What the policies cost a call, and how fast the virtual world is.
//
//     build/release/bench/bench_policy
//
// A call here is START, one successful ATTEMPT_DONE and one hist_record for its latency. Rounds
// alternate between the settings and a yardstick (hist_record alone); medians are printed.
#include <time.h>

#include "policy/virtual.h"
#include "stat/hist.h"

enum { CALLS = 200000, ROUNDS = 7, SETTINGS = 4 };

typedef struct Setting {
    const char *name;
    void (*set)(ParamValue *p);
} Setting;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void set_nothing(ParamValue *p)
{
    (void)p;
}

static void set_retry(ParamValue *p)
{
    p[P_TIMEOUT_CALL].integer = NS_PER_SECOND;
    p[P_RETRY_ATTEMPTS].integer = 3;
}

static void set_usual(ParamValue *p)
{
    set_retry(p);
    p[P_TIMEOUT_ATTEMPT].integer = 200 * NS_PER_MS;
    p[P_LIMIT_KIND].integer = LIMIT_FIXED;
    p[P_BREAKER_WINDOW].integer = BREAKER_WINDOW_COUNT;
}

static void set_everything(ParamValue *p)
{
    set_usual(p);
    p[P_RATE_PER_SECOND].real = 1e9;
    p[P_RATE_BURST].integer = 1000000;
    p[P_SHED_QUEUE_DELAY].integer = NS_PER_SECOND;
    p[P_SHED_THROTTLE_K].real = 2;
    p[P_LIMIT_KIND].integer = LIMIT_GRADIENT2;
    p[P_QUEUE_LIMIT].integer = 100;
    p[P_HEDGE_MAX].integer = 1;
    p[P_HEDGE_QUANTILE].real = 0.95;
}

static double time_calls(const Setting *setting, Hist *latencies)
{
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    setting->set(p);
    PolicyShape shape = policy_shape(p);
    PolicyBlock *block = mem_alloc(policy_bytes(&shape));
    policy_init(block, &shape, p, 1, 0);
    CallState call = {0};
    CallActions todo;
    CallOptions options = {.handle = 1};
    double start = now_s();
    for (int64_t i = 0; i < CALLS; i++) {
        int64_t now = i * NS_PER_US;
        options.task = (uint64_t)i;
        call_step(block, &call, &(CallEvent){.kind = CALL_START, .start = &options}, now, &todo);
        call_step(block, &call, &(CallEvent){.kind = CALL_ATTEMPT_DONE}, now + 500, &todo);
        hist_record(latencies, now + 500 - call.started_ns);
    }
    double ns = (now_s() - start) * 1e9 / CALLS;
    if (block->ended[CALL_OK] != CALLS) {
        die("%s: not every call ended well", setting->name);
    }
    free(block);
    return ns;
}

static double time_yardstick(Hist *latencies)
{
    double start = now_s();
    for (int64_t i = 0; i < CALLS; i++) {
        hist_record(latencies, 500 + (i & 63));
    }
    return (now_s() - start) * 1e9 / CALLS;
}

static void virtual_world(void)
{
    ParamValue p[POLICY_PARAM_COUNT];
    policy_defaults(p);
    set_usual(p);
    p[P_QUEUE_LIMIT].integer = 100;
    Virtual *v = virtual_create(&(VirtualOptions){.seed = 1});
    uint32_t service =
        virtual_service(v, &(VirtualService){.servers = 16,
                                             .queue_max = VIRTUAL_ANY,
                                             .work = dist_exponential(5e6),
                                             .faults = {.fail = 0.02, .hang = 0.001}});
    VirtualClient client = {.per_second = 2500, .scv = 1, .count = 300000};
    client.edge = virtual_edge(v, NULL, p, service);
    (void)virtual_client(v, &client);
    double start = now_s();
    uint64_t events = virtual_run(v, INT64_MAX);
    double took = now_s() - start;
    printf("virtual world: %.2f M call events/s, %.2f M world events/s (M/M/16 at 78 %% with "
           "retries, breaker and limit)\n",
           (double)virtual_steps(v) / took / 1e6, (double)events / took / 1e6);
    virtual_destroy(v);
}

int main(void)
{
    static const Setting settings[SETTINGS] = {
        {"no policy", set_nothing},
        {"deadline and retry with budget", set_retry},
        {"... attempt timeout, limit, breaker", set_usual},
        {"... rate, shed, Gradient2, hedge", set_everything}};
    double ns[SETTINGS][ROUNDS], yard[ROUNDS];
    Hist latencies;
    hist_init(&latencies);
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < SETTINGS; i++) {
            ns[i][r] = time_calls(&settings[i], &latencies);
        }
        yard[r] = time_yardstick(&latencies);
    }
    qsort(yard, ROUNDS, sizeof yard[0], by_value);
    for (int i = 0; i < SETTINGS; i++) {
        qsort(ns[i], ROUNDS, sizeof ns[i][0], by_value);
        printf("%-38s %6.1f ns a call, %5.1f times hist_record\n", settings[i].name,
               ns[i][ROUNDS / 2], ns[i][ROUNDS / 2] / yard[ROUNDS / 2]);
    }
    hist_done(&latencies);
    virtual_world();
    return 0;
}
