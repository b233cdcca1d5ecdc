// Network calculus on curves and networks made of the bytes: whatever they are, the operations keep
// their shapes and their algebra, and no sampled interval or path is outside of a bound.
#include <math.h>

#include "model/calculus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAMPLES = 24, SERVERS = 6, FLOWS = 5 };

typedef struct Bytes {
    const uint8_t *at, *end;
} Bytes;

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz_curve: %s", what);
    }
}

static uint8_t byte(Bytes *b)
{
    return b->at < b->end ? *b->at++ : 0;
}

// Over twelve orders of magnitude, and 0, with many ties.
static double number(Bytes *b)
{
    int mantissa = byte(b);
    return mantissa * pow(10, byte(b) % 13 - 6);
}

static Curve arrival(Bytes *b)
{
    double burst = number(b);
    Curve c = curve_token_bucket(number(b), burst);
    for (int n = byte(b) % 24; n > 0; n--) {
        burst = number(b);
        Curve next = curve_token_bucket(number(b), burst);
        c = byte(b) % 2 == 0 ? curve_arrival_min(&c, &next) : curve_sum(&c, &next);
    }
    require(curve_is_arrival(&c), "not an arrival curve");
    return c;
}

static Curve service(Bytes *b)
{
    double latency = number(b);
    Curve c = curve_rate_latency(number(b), latency);
    for (int n = byte(b) % 24; n > 0; n--) {
        latency = number(b);
        Curve next = curve_rate_latency(number(b), latency);
        c = byte(b) % 2 == 0 ? curve_service_max(&c, &next) : curve_tandem(&c, &next);
    }
    require(curve_is_service(&c), "not a service curve");
    return c;
}

static double sample(int i)
{
    return ldexp(1, i - 8);
}

static bool about(double a, double b)
{
    return fabs(a - b) <= 1e-6 * (1 + fabs(a) + fabs(b));
}

static bool at_least(double a, double b)
{
    return a >= b - 1e-6 * (1 + fabs(a) + fabs(b));
}

// Where nothing had to be dropped the algebra is exact; where it had, only the sides are.
static bool room(const Curve *a, const Curve *b)
{
    return a->count + b->count <= CURVE_PIECES_MAX;
}

static __attribute__((noinline)) void check_algebra(const Curve *x, const Curve *y, const Curve *z)
{
    Curve xy = curve_tandem(x, y);
    Curve yx = curve_tandem(y, x);
    Curve yz = curve_tandem(y, z);
    Curve left = curve_tandem(&xy, z);
    Curve right = curve_tandem(x, &yz);
    bool exact = room(x, y) && room(&xy, z) && room(y, z) && room(x, &yz);
    for (int i = 0; i < SAMPLES; i++) {
        double t = sample(i);
        require(about(curve_at(&xy, t), curve_at(&yx, t)), "convolution does not commute");
        require(!exact || about(curve_at(&left, t), curve_at(&right, t)),
                "convolution does not associate");
        for (int k = 0; k < SAMPLES; k++) {
            double u = sample(k);
            require(at_least(curve_at(x, u) + curve_at(y, t), curve_at(&xy, t + u)),
                    "convolution is above one of its sums");
        }
    }
}

static __attribute__((noinline)) void check_pair(const Curve *a, const Curve *s)
{
    Curve out;
    double delay, backlog, busy;
    Curve any = curve_leftover_arbitrary(s, a);
    Curve fifo = curve_leftover_fifo(s, a);
    require(curve_is_service(&any) && curve_is_service(&fifo), "leftover of the wrong shape");
    bool stable = curve_output(a, s, &out);
    require(!stable || curve_is_arrival(&out), "output of the wrong shape");
    require(curve_backlog(a, s, &backlog) == stable, "backlog and output disagree");
    bool in_order = curve_delay(a, s, &delay);
    require(!curve_busy(a, s, &busy) || !in_order || at_least(busy, delay),
            "an unknown order is better than FIFO");
    for (int i = 0; i < SAMPLES; i++) {
        double t = sample(i);
        require(at_least(fmax(curve_at(s, t) - curve_at(a, t), 0), curve_at(&any, t)),
                "arbitrary leftover is more than is left");
        require(!stable || at_least(backlog, curve_at(a, t) - curve_at(s, t)), "backlog passed");
        // What arrived at t is served when the curve has reached it.
        require(!in_order || at_least(curve_at(s, t + delay), curve_at(a, t)), "delay passed");
        for (int k = 0; stable && k < SAMPLES; k++) {
            double u = sample(k);
            require(at_least(curve_at(&out, t), curve_at(a, t + u) - curve_at(s, u)),
                    "output is below one of its differences");
        }
    }
}

static __attribute__((noinline)) void check_network(Bytes *b)
{
    CalculusServer servers[SERVERS];
    CalculusFlow flows[FLOWS];
    int path[FLOWS][SERVERS];
    for (int s = 0; s < SERVERS; s++) {
        servers[s] = (CalculusServer){SLICE_INIT("s"), service(b)};
    }
    for (int f = 0; f < FLOWS; f++) {
        int length = byte(b) % (SERVERS + 1);
        for (int i = 0; i < length; i++) {
            path[f][i] = byte(b) % (SERVERS + 1);
        }
        flows[f] = (CalculusFlow){SLICE_INIT("f"), arrival(b), path[f], length};
    }
    CalculusNetwork net = {servers, SERVERS, flows, FLOWS};
    Arena *arena = arena_create(CALCULUS_ARENA_BYTES);
    Calculus *c;
    if (calculus_create(&net, arena, &c, NULL) == 0) {
        for (int f = 0; f < FLOWS; f++) {
            for (int k = 0; k < 5; k++) {
                CalculusOptions o = {k < 3 ? (CalculusMethod)k : (CalculusMethod)(k - 3),
                                     k < 3 ? CALCULUS_ARBITRARY : CALCULUS_FIFO};
                CalculusBound bound;
                int rc = calculus_bound(c, f, &o, &bound, NULL);
                require(rc == 0 || rc == ERR_LIMIT, "a bound fails without a reason");
                require(rc != 0 ||
                            (bound.why == NULL) == (bound.delay_bounded && bound.backlog_bounded),
                        "unbounded without a reason");
                require(rc != 0 || (bound.delay >= 0 && isfinite(bound.delay) &&
                                    bound.backlog >= 0 && isfinite(bound.backlog)),
                        "a bound that is none");
            }
        }
    }
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes b = {data, data + size};
    Curve a = arrival(&b);
    Curve x = service(&b);
    Curve y = service(&b);
    Curve z = service(&b);
    check_algebra(&x, &y, &z);
    check_pair(&a, &x);
    check_pair(&a, &z);
    check_network(&b);
    return 0;
}
