#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "model/calculus.h"

enum { NET_SERVERS = 8, NET_FLOWS = 10 };

// A network as data: (rate, latency) a server, (rate, burst, path) a flow, -1 ends a path.
typedef struct NetRow {
    const char *name;
    int servers, flows;
    double server[NET_SERVERS][2];
    double bucket[NET_FLOWS][2];
    int path[NET_FLOWS][NET_SERVERS];
} NetRow;

typedef struct Net {
    CalculusServer server[NET_SERVERS];
    CalculusFlow flow[NET_FLOWS];
    CalculusNetwork network;
} Net;

static const Slice NAMES[] = {SLICE_INIT("s0"), SLICE_INIT("s1"), SLICE_INIT("s2"),
                              SLICE_INIT("s3"), SLICE_INIT("s4"), SLICE_INIT("s5"),
                              SLICE_INIT("s6"), SLICE_INIT("s7")};

static void net_init(Net *n, const NetRow *row)
{
    *n = (Net){.network = {n->server, row->servers, n->flow, row->flows}};
    for (int i = 0; i < row->servers; i++) {
        n->server[i] =
            (CalculusServer){NAMES[i], curve_rate_latency(row->server[i][0], row->server[i][1])};
    }
    for (int i = 0; i < row->flows; i++) {
        int length = 0;
        while (length < NET_SERVERS && row->path[i][length] >= 0) {
            length++;
        }
        n->flow[i] = (CalculusFlow){SLICE_INIT("f"),
                                    curve_token_bucket(row->bucket[i][0], row->bucket[i][1]),
                                    row->path[i], length};
    }
}

// The functional test networks of DNC, the Deterministic Network Calculator: S one server, TA
// tandem, TR tree, FF feed-forward. github.com/NetCal/DNC_func_tests at 533b7a1 (FF_3S and the
// results of FF_4S_4F at 4dc2a3b and 13d1412), *_ServerGraph.java.
#define B10                                                                                        \
    {                                                                                              \
        10, 10                                                                                     \
    }
#define B20                                                                                        \
    {                                                                                              \
        20, 20                                                                                     \
    }
#define F5                                                                                         \
    {                                                                                              \
        5, 25                                                                                      \
    }
static const NetRow NETS[] = {
    {"S_1F", 1, 1, {B10}, {F5}, {{0, -1}}},
    {"S_2F_1AC", 1, 2, {B10}, {F5, F5}, {{0, -1}, {0, -1}}},
    {"S_2F_2AC", 1, 2, {B10}, {{4, 10}, F5}, {{0, -1}, {0, -1}}},
    {"S_10F",
     1,
     10,
     {B10},
     {{.1, 1}, {.2, 2}, {.3, 3}, {.4, 4}, {.5, 5}, {.6, 6}, {.7, 7}, {.8, 8}, {.9, 9}, {1, 10}},
     {{0, -1}, {0, -1}, {0, -1}, {0, -1}, {0, -1}, {0, -1}, {0, -1}, {0, -1}, {0, -1}, {0, -1}}},
    {"TA_2S_1F", 2, 1, {B10, B10}, {F5}, {{0, 1, -1}}},
    {"TA_2S_2F_1P", 2, 2, {B10, B10}, {F5, F5}, {{0, 1, -1}, {0, 1, -1}}},
    {"TA_2S_2F_2P", 2, 2, {B20, B20}, {F5, F5}, {{0, 1, -1}, {1, -1}}},
    {"TA_2S_4F",
     2,
     4,
     {B10, B10},
     {{2, 10}, {2, 10}, {2, 10}, {2, 10}},
     {{0, 1, -1}, {0, 1, -1}, {0, 1, -1}, {0, 1, -1}}},
    {"TA_2S_2SC_1F", 2, 1, {B10, {6, 6}}, {F5}, {{0, 1, -1}}},
    {"TA_2S_2SC_2F", 2, 2, {B10, {6, 6}}, {{2.5, 12.5}, {2.5, 12.5}}, {{0, 1, -1}, {0, 1, -1}}},
    {"TA_3S_2F", 3, 2, {B20, B20, B20}, {F5, F5}, {{0, 1, 2, -1}, {0, 1, 2, -1}}},
    {"TA_3S_3F", 3, 3, {B20, B20, B20}, {F5, F5, F5}, {{0, 1, -1}, {2, -1}, {0, 1, 2, -1}}},
    {"TA_4S_2F", 4, 2, {B20, B20, B20, B20}, {F5, F5}, {{0, 1, 2, 3, -1}, {1, 2, -1}}},
    {"TR_3S_2F", 3, 2, {B20, B20, B20}, {F5, F5}, {{0, 2, -1}, {1, 2, -1}}},
    {"TR_7S_3F",
     7,
     3,
     {B20, B20, B20, B20, B20, B20, B20},
     {F5, F5, F5},
     {{1, 2, 5, 6, -1}, {0, 1, 2, 5, 6, -1}, {3, 4, 5, 6, -1}}},
    {"FF_3S_2F", 3, 2, {B20, B20, B20}, {F5, F5}, {{0, 2, -1}, {0, 1, 2, -1}}},
    {"FF_4S_3F", 4, 3, {B20, B20, B20, B20}, {F5, F5, F5}, {{0, 1, 3, -1}, {2, 3, -1}, {2, 1, -1}}},
    {"FF_4S_4F",
     4,
     4,
     {B20, B20, B20, B20},
     {F5, F5, F5, F5},
     {{0, 1, 3, -1}, {2, 3, -1}, {2, 1, -1}, {2, 0, 3, -1}}},
};

// What the published results say of one flow: delay and backlog for the total and the separate flow
// analysis in arbitrary order and FIFO, and for PMOO. `cross` is the way of bounding cross traffic
// that the row holds for: P per server ("AGGR_PBOO_*"), M PMOO ("AGGR_PMOO" alone), B both.
typedef struct BoundRow {
    const char *net, *cross;
    int flow;
    double total_arbitrary[2], total_fifo[2];
    double separate_arbitrary[2], separate_fifo[2];
    double pmoo[2];
} BoundRow;

#define INF INFINITY
// github.com/NetCal/DNC_func_tests, *_Results.java, fractions as printed there.
static const BoundRow BOUNDS[] = {
    {"S_1F", "PMB", 0, {12.5, 75}, {12.5, 75}, {12.5, 75}, {12.5, 75}, {12.5, 75}},
    {"S_2F_1AC", "PMB", 0, {INF, 150}, {15, 150}, {30, 150}, {35. / 2, 175. / 2}, {30, 150}},
    {"S_2F_1AC", "PMB", 1, {INF, 150}, {15, 150}, {30, 150}, {35. / 2, 175. / 2}, {30, 150}},
    {"S_2F_2AC", "PMB", 0, {135, 125}, {13.5, 125}, {27, 110}, {29. / 2, 60}, {27, 110}},
    {"S_2F_2AC",
     "PMB",
     1,
     {135, 125},
     {13.5, 125},
     {22.5, 350. / 3},
     {91. / 6, 80},
     {22.5, 350. / 3}},
    {"S_10F",
     "PMB",
     0,
     {310. / 9, 110},
     {15.5, 110},
     {775. / 23, 100. / 23},
     {1796. / 115, 127. / 50},
     {775. / 23, 100. / 23}},
    {"S_10F",
     "PMB",
     6,
     {310. / 9, 110},
     {15.5, 110},
     {775. / 26, 350. / 13},
     {2099. / 130, 434. / 25},
     {775. / 26, 350. / 13}},
    {"TA_2S_1F", "PMB", 0, {30, 125}, {30, 125}, {22.5, 125}, {22.5, 125}, {22.5, 125}},
    {"TA_2S_2F_1P", "PMB", 0, {INF, 250}, {40, 250}, {65, 325}, {35, 175}, {50, 250}},
    {"TA_2S_2F_1P", "PMB", 1, {INF, 250}, {40, 250}, {65, 325}, {35, 175}, {50, 250}},
    {"TA_2S_2F_2P",
     "PMB",
     0,
     {305. / 4, 350},
     {48.75, 350},
     {50, 800. / 3},
     {515. / 12, 925. / 4},
     {50, 800. / 3}},
    {"TA_2S_2F_2P",
     "PMB",
     1,
     {55, 350},
     {55. / 2, 350},
     {110. / 3, 200},
     {335. / 12, 625. / 4},
     {110. / 3, 200}},
    {"TA_2S_4F", "PMB", 0, {180, 200}, {36, 200}, {82.5, 170}, {34.5, 74}, {60, 125}},
    {"TA_2S_4F", "PMB", 1, {180, 200}, {36, 200}, {82.5, 170}, {34.5, 74}, {60, 125}},
    {"TA_2S_4F", "PMB", 2, {180, 200}, {36, 200}, {82.5, 170}, {34.5, 74}, {60, 125}},
    {"TA_2S_4F", "PMB", 3, {180, 200}, {36, 200}, {82.5, 170}, {34.5, 74}, {60, 125}},
    {"TA_2S_2SC_1F",
     "PMB",
     0,
     {31, 105},
     {31, 105},
     {121. / 6, 105},
     {121. / 6, 105},
     {121. / 6, 105}},
    {"TA_2S_2SC_2F",
     "PMB",
     0,
     {136, 105},
     {31, 105},
     {277. / 7, 102.5},
     {379. / 14, 71.25},
     {242. / 7, 90}},
    {"TA_2S_2SC_2F",
     "PMB",
     1,
     {136, 105},
     {31, 105},
     {277. / 7, 102.5},
     {379. / 14, 71.25},
     {242. / 7, 90}},
    {"TA_3S_2F",
     "PMB",
     0,
     {195, 650},
     {97.5, 650},
     {320. / 3, 550},
     {965. / 12, 1675. / 4},
     {250. / 3, 1300. / 3}},
    {"TA_3S_2F",
     "PMB",
     1,
     {195, 650},
     {97.5, 650},
     {320. / 3, 550},
     {965. / 12, 1675. / 4},
     {250. / 3, 1300. / 3}},
    {"TA_3S_3F",
     "PMB",
     0,
     {110, 450},
     {55, 450},
     {65, 1025. / 3},
     {295. / 6, 262.5},
     {170. / 3, 300}},
    {"TA_3S_3F",
     "P",
     1,
     {1405. / 18, 5225. / 9},
     {2205. / 64, 7825. / 16},
     {1405. / 27, 7475. / 27},
     {6695. / 192, 12225. / 64},
     {1405. / 27, 7475. / 27}},
    {"TA_3S_3F",
     "P",
     2,
     {16925. / 90, 5225. / 9},
     {5725. / 64, 7825. / 16},
     {280. / 3, 1450. / 3},
     {845. / 12, 1475. / 4},
     {85, 1325. / 3}},
    {"TA_3S_3F",
     "MB",
     1,
     {72.5, 525},
     {2205. / 64, 7825. / 16},
     {145. / 3, 775. / 3},
     {6695. / 192, 12225. / 64},
     {145. / 3, 775. / 3}},
    {"TA_3S_3F",
     "MB",
     2,
     {182.5, 525},
     {5725. / 64, 7825. / 16},
     {280. / 3, 1450. / 3},
     {845. / 12, 1475. / 4},
     {85, 1325. / 3}},
    {"TA_4S_2F",
     "P",
     0,
     {2335. / 12, 1700. / 3},
     {7985. / 64, 550},
     {105, 1625. / 3},
     {535. / 6, 925. / 2},
     {290. / 3, 500}},
    {"TA_4S_2F",
     "MB",
     0,
     {765. / 4, 550},
     {7985. / 64, 550},
     {105, 1625. / 3},
     {535. / 6, 925. / 2},
     {290. / 3, 500}},
    {"TA_4S_2F",
     "PMB",
     1,
     {130, 550},
     {65, 550},
     {235. / 3, 1225. / 3},
     {355. / 6, 625. / 2},
     {190. / 3, 1000. / 3}},
    {"TR_3S_2F",
     "PMB",
     0,
     {345. / 4, 450},
     {53.75, 450},
     {170. / 3, 300},
     {575. / 12, 1025. / 4},
     {170. / 3, 300}},
    {"TR_3S_2F",
     "PMB",
     1,
     {345. / 4, 450},
     {53.75, 450},
     {170. / 3, 300},
     {575. / 12, 1025. / 4},
     {170. / 3, 300}},
    {"TR_7S_3F",
     "PMB",
     0,
     {660, 1375},
     {395. / 2, 1375},
     {1735. / 6, 4375. / 3},
     {165, 1675. / 2},
     {355. / 2, 900}},
    {"TR_7S_3F",
     "PMB",
     1,
     {2725. / 4, 1375},
     {875. / 4, 1375},
     {1655. / 6, 4175. / 3},
     {165, 1675. / 2},
     {375. / 2, 950}},
    {"TR_7S_3F",
     "PMB",
     2,
     {1155. / 2, 1375},
     {180, 1375},
     {505. / 2, 1275},
     {295. / 2, 750},
     {355. / 2, 900}},
    {"FF_3S_2F",
     "PMB",
     0,
     {385. / 3, 1900. / 3},
     {485. / 8, 1125. / 2},
     {670. / 9, 3500. / 9},
     {2615. / 48, 4625. / 16},
     {670. / 9, 3500. / 9}},
    {"FF_3S_2F",
     "PMB",
     1,
     {470. / 3, 1900. / 3},
     {1395. / 16, 1125. / 2},
     {790. / 9, 4100. / 9},
     {3335. / 48, 5825. / 16},
     {790. / 9, 4100. / 9}},
    {"FF_4S_3F",
     "PMB",
     0,
     {6425. / 36, 6125. / 9},
     {5985. / 64, 9425. / 16},
     {875. / 9, 4525. / 9},
     {1795. / 24, 3125. / 8},
     {875. / 9, 4525. / 9}},
    {"FF_4S_3F",
     "PMB",
     1,
     {11975. / 90, 6125. / 9},
     {3965. / 64, 9425. / 16},
     {2095. / 27, 10925. / 27},
     {10715. / 192, 18925. / 64},
     {2095. / 27, 10925. / 27}},
    {"FF_4S_3F",
     "PMB",
     2,
     {685. / 6, 1475. / 3},
     {885. / 16, 1825. / 4},
     {65, 1025. / 3},
     {295. / 6, 525. / 2},
     {65, 1025. / 3}},
    {"FF_4S_4F",
     "PB",
     0,
     {1370. / 3, 1400},
     {3735. / 32, 975},
     {580. / 3, 5875. / 6},
     {1525. / 16, 7825. / 16},
     {650. / 3, 6575. / 6}},
    {"FF_4S_4F",
     "PB",
     1,
     {395, 1400},
     {77.5, 975},
     {345. / 2, 875},
     {575. / 8, 2975. / 8},
     {345. / 2, 875}},
    {"FF_4S_4F",
     "PMB",
     2,
     {1105. / 6, 2075. / 3},
     {1875. / 32, 3975. / 8},
     {1625. / 18, 4175. / 9},
     {1695. / 32, 8875. / 32},
     {305. / 3, 3125. / 6}},
    {"FF_4S_4F",
     "PB",
     3,
     {462.5, 1400},
     {845. / 8, 975},
     {560. / 3, 5675. / 6},
     {1405. / 16, 7225. / 16},
     {1145. / 6, 2900. / 3}},
    {"FF_4S_4F",
     "M",
     0,
     {2765. / 6, 8525. / 6},
     {3735. / 32, 975},
     {2345. / 12, 11875. / 12},
     {1525. / 16, 7825. / 16},
     {875. / 4, 4425. / 4}},
    {"FF_4S_4F",
     "M",
     1,
     {2395. / 6, 8525. / 6},
     {77.5, 975},
     {2095. / 12, 10625. / 12},
     {575. / 8, 2975. / 8},
     {2095. / 12, 10625. / 12}},
    {"FF_4S_4F",
     "M",
     3,
     {1400. / 3, 8525. / 6},
     {845. / 8, 975},
     {560. / 3, 5675. / 6},
     {1405. / 16, 7225. / 16},
     {1145. / 6, 2900. / 3}},
};

// Backlog at the sink of the flow, the same files under "Sink tree".
static const struct {
    const char *net;
    int server;
    double backlog;
} TREES[] = {
    {"S_1F", 0, 75},          {"S_2F_1AC", 0, 150}, {"S_2F_2AC", 0, 125},
    {"S_10F", 0, 110},        {"TA_2S_1F", 1, 125}, {"TA_2S_2F_1P", 1, 250},
    {"TA_2S_2F_2P", 1, 350},  {"TA_2S_4F", 1, 200}, {"TA_2S_2SC_1F", 1, 105},
    {"TA_2S_2SC_2F", 1, 105}, {"TA_3S_2F", 2, 650}, {"TA_3S_3F", 1, 450},
    {"TA_4S_2F", 2, 550},     {"TR_3S_2F", 2, 450}, {"TR_7S_3F", 6, 1375},
};

static const NetRow *find_net(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(NETS); i++) {
        if (strcmp(NETS[i].name, name) == 0) {
            return &NETS[i];
        }
    }
    fail_msg("no network %s", name);
    return NULL;
}

static void check_value(const BoundRow *row, const char *what, double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * want)) {
        fail_msg("%s %s flow %d %s: got %.12g, published %.12g", row->net, row->cross, row->flow,
                 what, got, want);
    }
}

static void check_bound(Calculus *c, const BoundRow *row, const CalculusOptions *o,
                        const double want[2], const char *what)
{
    CalculusBound b;
    Err e;
    if (calculus_bound(c, row->flow, o, &b, &e) != 0) {
        fail_msg("%s: %s", row->net, e.text);
    }
    assert_true(b.backlog_bounded);
    check_value(row, what, b.backlog, want[1]);
    // Where DNC prints infinity ours says that there is no bound, and why.
    assert_int_equal(b.delay_bounded, isfinite(want[0]));
    assert_int_equal(b.why == NULL, isfinite(want[0]));
    if (b.delay_bounded) {
        check_value(row, what, b.delay, want[0]);
    }
}

static void test_published_bounds(void **state)
{
    (void)state;
    int values = 0;
    for (size_t i = 0; i < COUNT_OF(BOUNDS); i++) {
        const BoundRow *row = &BOUNDS[i];
        Net n;
        net_init(&n, find_net(row->net));
        Arena *a = arena_create(CALCULUS_ARENA_BYTES);
        Calculus *c;
        Err e;
        if (calculus_create(&n.network, a, &c, &e) != 0) {
            fail_msg("%s: %s", row->net, e.text);
        }
        for (const char *cross = row->cross; *cross != '\0'; cross++) {
            CalculusOptions o = {CALCULUS_TOTAL, CALCULUS_ARBITRARY,
                                 *cross == 'P'   ? CALCULUS_CROSS_PER_SERVER
                                 : *cross == 'M' ? CALCULUS_CROSS_PMOO
                                                 : CALCULUS_CROSS_BEST,
                                 true};
            check_bound(c, row, &o, row->total_arbitrary, "total, arbitrary");
            o.order = CALCULUS_FIFO;
            check_bound(c, row, &o, row->total_fifo, "total, FIFO");
            o.method = CALCULUS_SEPARATE;
            check_bound(c, row, &o, row->separate_fifo, "separate, FIFO");
            o.order = CALCULUS_ARBITRARY;
            check_bound(c, row, &o, row->separate_arbitrary, "separate, arbitrary");
            o.method = CALCULUS_PMOO;
            check_bound(c, row, &o, row->pmoo, "PMOO");
        }
        values += 10;
        arena_destroy(a);
    }
    print_message("%d published values\n", values);
}

static void test_published_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(TREES); i++) {
        Net n;
        net_init(&n, find_net(TREES[i].net));
        Arena *a = arena_create(CALCULUS_ARENA_BYTES);
        Calculus *c;
        assert_int_equal(calculus_create(&n.network, a, &c, NULL), 0);
        double got;
        assert_int_equal(calculus_tree_backlog(c, TREES[i].server, &got, NULL), 0);
        if (fabs(got - TREES[i].backlog) > 1e-9 * got) {
            fail_msg("%s: got %g, published %g", TREES[i].net, got, TREES[i].backlog);
        }
        arena_destroy(a);
    }
}

// DNC takes a flow's cross traffic under FIFO as if the flow had not disturbed it. Ours does not by
// default, so it may only be larger; and arbitrary order may not be better than FIFO.
static void test_orders_compare(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(NETS); i++) {
        Net n;
        net_init(&n, &NETS[i]);
        Arena *a = arena_create(CALCULUS_ARENA_BYTES);
        Calculus *c;
        assert_int_equal(calculus_create(&n.network, a, &c, NULL), 0);
        for (int f = 0; f < NETS[i].flows; f++) {
            CalculusBound fifo, published, any, total;
            CalculusOptions o = {CALCULUS_SEPARATE, CALCULUS_FIFO};
            assert_int_equal(calculus_bound(c, f, &o, &fifo, NULL), 0);
            o.as_published_fifo = true;
            assert_int_equal(calculus_bound(c, f, &o, &published, NULL), 0);
            o.order = CALCULUS_ARBITRARY;
            assert_int_equal(calculus_bound(c, f, &o, &any, NULL), 0);
            o.method = CALCULUS_TOTAL;
            assert_int_equal(calculus_bound(c, f, &o, &total, NULL), 0);
            assert_true(fifo.delay >= published.delay - 1e-9);
            assert_true(any.delay >= fifo.delay - 1e-9);
            assert_true(!total.delay_bounded || total.delay >= any.delay - 1e-9);
        }
        arena_destroy(a);
    }
}

// A sample path, in slots: every server rests for its latency when work comes and then serves at
// its rate, or now and then all that it has; sources send all that their bucket allows, or nothing
// until a random start. No flow may be delayed beyond its bound.
enum { PATH_SLOTS = 1200 };
#define SLOT 0.5

typedef struct PathFlow {
    double in[PATH_SLOTS], out[PATH_SLOTS]; // cumulative
} PathFlow;

typedef struct PathServer {
    double waits[NET_FLOWS][PATH_SLOTS]; // by slot of arrival at this server
    int oldest;
    double rest;
    int rank[NET_FLOWS];
} PathServer;

typedef struct Path {
    const NetRow *row;
    bool fifo;
    double flush; // probability of serving everything at once
    PathServer server[NET_SERVERS];
    PathFlow flow[NET_FLOWS];
} Path;

static int next_server(const NetRow *row, int flow, int server)
{
    for (int i = 0; i + 1 < NET_SERVERS; i++) {
        if (row->path[flow][i] == server) {
            return row->path[flow][i + 1];
        }
    }
    return -1;
}

static void depart(Path *p, int flow, int server, int slot, double amount)
{
    int next = next_server(p->row, flow, server);
    if (next >= 0) {
        p->server[next].waits[flow][slot] += amount;
    } else {
        p->flow[flow].out[slot] += amount;
    }
}

static double serve_cell(Path *p, int server, int flow, int cell, int slot, double budget)
{
    double *waits = &p->server[server].waits[flow][cell];
    double amount = fmin(*waits, budget);
    *waits -= amount;
    if (amount > 0) {
        depart(p, flow, server, slot, amount);
    }
    return budget - amount;
}

static void serve(Path *p, int server, int slot, double budget)
{
    PathServer *s = &p->server[server];
    int flows = p->row->flows;
    // In order: slot by slot, in a slot by rank. Else: rank by rank. Slots before `oldest` are
    // empty.
    int outer = p->fifo ? slot + 1 - s->oldest : flows;
    int inner = p->fifo ? flows : slot + 1 - s->oldest;
    for (int i = 0; i < outer && budget > 0; i++) {
        for (int k = 0; k < inner && budget > 0; k++) {
            int flow = s->rank[p->fifo ? k : i];
            budget = serve_cell(p, server, flow, s->oldest + (p->fifo ? i : k), slot, budget);
        }
    }
    for (bool empty = true; empty && s->oldest <= slot;) {
        for (int f = 0; f < flows; f++) {
            empty = empty && s->waits[f][s->oldest] <= 0;
        }
        s->oldest += empty;
    }
}

static void run_path(Path *p, const int *order, Rng *r)
{
    const NetRow *row = p->row;
    int start[NET_FLOWS];
    for (int f = 0; f < row->flows; f++) {
        start[f] = (int)rng_below(r, 4) == 0 ? 0 : (int)rng_below(r, 200);
    }
    for (int s = 0; s < row->servers; s++) {
        p->server[s].rest = row->server[s][1];
        for (int f = 0; f < row->flows; f++) {
            p->server[s].rank[f] = f;
        }
        rng_shuffle(r, p->server[s].rank, (size_t)row->flows, sizeof(int));
    }
    for (int t = 0; t < PATH_SLOTS; t++) {
        for (int f = 0; f < row->flows; f++) {
            // The slot's end at the latest, so that no interval holds more than the bucket allows.
            double amount = t < start[f]    ? 0
                            : t == start[f] ? row->bucket[f][1]
                                            : row->bucket[f][0] * SLOT;
            p->flow[f].in[t] = (t > 0 ? p->flow[f].in[t - 1] : 0) + amount;
            p->flow[f].out[t] = t > 0 ? p->flow[f].out[t - 1] : 0;
            p->server[row->path[f][0]].waits[f][t] += amount;
        }
        for (int i = 0; i < row->servers; i++) {
            int s = order[i];
            PathServer *server = &p->server[s];
            bool all = rng_double(r) < p->flush;
            serve(p, s, t, all ? INFINITY : server->rest > 0 ? 0 : row->server[s][0] * SLOT);
            server->rest = server->oldest > t ? row->server[s][1] : server->rest - SLOT;
        }
    }
}

static double longest_delay(const PathFlow *f)
{
    int worst = 0;
    for (int t = 0, d = 0; t < PATH_SLOTS; t++) {
        for (d = t > d ? t : d; d < PATH_SLOTS && f->out[d] < f->in[t] - 1e-6; d++) {
        }
        if (d == PATH_SLOTS) {
            break; // not yet out at the end
        }
        worst = d - t > worst ? d - t : worst;
    }
    return worst * SLOT;
}

static void test_sample_paths_stay_below(void **state)
{
    (void)state;
    static const struct {
        const char *net;
        int order[4];
    } rows[] = {{"FF_4S_4F", {2, 0, 1, 3}}, {"TA_3S_3F", {0, 1, 2}}, {"TA_2S_2SC_2F", {0, 1}}};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        const NetRow *row = find_net(rows[seed % COUNT_OF(rows)].net);
        Rng r = rng_stream(seed, SLICE("path"), 0);
        Path *p = mem_zalloc(sizeof(*p));
        p->row = row;
        p->fifo = seed % 2 == 0;
        p->flush = seed % 5 == 0 ? 0.02 : 0;
        run_path(p, rows[seed % COUNT_OF(rows)].order, &r);
        Net n;
        net_init(&n, row);
        Arena *a = arena_create(CALCULUS_ARENA_BYTES);
        Calculus *c;
        assert_int_equal(calculus_create(&n.network, a, &c, NULL), 0);
        for (int f = 0; f < row->flows; f++) {
            double seen = longest_delay(&p->flow[f]);
            double slack = 2 * SLOT * n.flow[f].path_length; // a slot of rounding at every server
            for (int m = CALCULUS_TOTAL; m <= (p->fifo ? CALCULUS_SEPARATE : CALCULUS_PMOO); m++) {
                CalculusOptions o = {(CalculusMethod)m,
                                     p->fifo ? CALCULUS_FIFO : CALCULUS_ARBITRARY};
                CalculusBound b;
                assert_int_equal(calculus_bound(c, f, &o, &b, NULL), 0);
                if (b.delay_bounded && seen > b.delay + slack) {
                    fail_msg("seed %d, %s flow %d: delayed %g, method %d promised %g", (int)seed,
                             row->name, f, seen, m, b.delay);
                }
            }
        }
        arena_destroy(a);
        free(p);
    }
}

static int create(const NetRow *row, Err *e)
{
    Net n;
    net_init(&n, row);
    Arena *a = arena_create(CALCULUS_ARENA_BYTES);
    Calculus *c;
    int rc = calculus_create(&n.network, a, &c, e);
    arena_destroy(a);
    return rc;
}

static void test_refusals_say_why(void **state)
{
    (void)state;
    static const struct {
        NetRow row;
        int code;
        const char *words;
    } rows[] = {
        {{"",
          3,
          3,
          {B10, B10, B10},
          {{1, 1}, {1, 1}, {1, 1}},
          {{0, 1, -1}, {1, 2, -1}, {2, 1, -1}}},
         ERR_UNSUPPORTED,
         "s1 -> s2 -> s1"},
        {{"", 1, 1, {B10}, {{1, 1}}, {{0, 0, -1}}}, ERR_UNSUPPORTED, "s0 -> s0"},
        {{"", 2, 2, {B10, B10}, {{6, 1}, {5, 1}}, {{0, 1, -1}, {1, -1}}},
         ERR_UNSTABLE,
         "server \"s1\" is unstable: its flows bring 11 per unit of time in the long run and it "
         "serves 10"},
        {{"", 1, 1, {B10}, {{1, 1}}, {{1, -1}}}, ERR_ARG, "there is no server 1"},
        {{"", 1, 1, {B10}, {{1, 1}}, {{-1}}}, ERR_ARG, "crosses no server"},
        {{"", 0, 1, {B10}, {{1, 1}}, {{0, -1}}}, ERR_ARG, "1 to 64 servers, not 0"},
        {{"", 1, 0, {B10}, {{1, 1}}, {{0, -1}}}, ERR_ARG, "1 to 64 flows, not 0"},
        {{"", 1, 1, {{2e15, 1}}, {{1, 1}}, {{0, -1}}}, ERR_ARG, "server \"s0\": its service curve"},
        {{"", 1, 1, {B10}, {{1, 2e15}}, {{0, -1}}}, ERR_ARG, "flow \"f\": its arrival curve"},
        {{"", 1, 1, {{0, 0}}, {{1, 1}}, {{0, -1}}}, ERR_UNSTABLE, "it serves 0"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Err e = {0};
        assert_int_equal(create(&rows[i].row, &e), rows[i].code);
        if (strstr(e.text, rows[i].words) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", e.text, rows[i].words);
        }
    }
}

static void test_questions_that_have_no_answer(void **state)
{
    (void)state;
    Net n;
    net_init(&n, find_net("FF_4S_4F"));
    Arena *a = arena_create(CALCULUS_ARENA_BYTES);
    Calculus *c;
    assert_int_equal(calculus_create(&n.network, a, &c, NULL), 0);
    CalculusBound b;
    CalculusOptions o = {CALCULUS_PMOO, CALCULUS_FIFO};
    assert_int_equal(calculus_bound(c, 0, &o, &b, NULL), ERR_UNSUPPORTED);
    o.order = CALCULUS_ARBITRARY;
    assert_int_equal(calculus_bound(c, -1, &o, &b, NULL), ERR_ARG);
    assert_int_equal(calculus_bound(c, 4, &o, &b, NULL), ERR_ARG);
    double backlog;
    Err e;
    assert_int_equal(calculus_tree_backlog(c, 3, &backlog, &e), ERR_UNSUPPORTED);
    assert_int_equal(calculus_tree_backlog(c, 4, &backlog, &e), ERR_ARG);
    arena_destroy(a);
    // An arena that is too small is an ordinary error.
    a = arena_create(16384);
    assert_int_equal(calculus_create(&n.network, a, &c, NULL), 0);
    int refused = 0;
    for (int f = 0; f < 4; f++) {
        for (int m = CALCULUS_TOTAL; m <= CALCULUS_PMOO; m++) {
            o.method = (CalculusMethod)m;
            int rc = calculus_bound(c, f, &o, &b, &e);
            assert_true(rc == 0 || rc == ERR_LIMIT);
            refused += rc != 0;
        }
    }
    assert_true(refused > 0);
    arena_destroy(a);
    a = arena_create(4096);
    assert_int_equal(calculus_create(&n.network, a, &c, &e), ERR_LIMIT);
    arena_destroy(a);
}

// The largest network: a tandem of 64 servers with 64 flows, each over the whole of it. One more of
// either is refused. In arbitrary order every one of them has a bound, and PMOO's has a closed
// form.
static void test_largest(void **state)
{
    (void)state;
    static CalculusServer servers[CALCULUS_SERVERS_MAX + 1];
    static CalculusFlow flows[CALCULUS_FLOWS_MAX + 1];
    static int path[CALCULUS_SERVERS_MAX + 1];
    for (int i = 0; i <= CALCULUS_SERVERS_MAX; i++) {
        servers[i] = (CalculusServer){SLICE_INIT("s"), curve_rate_latency(128, 0.5)};
        path[i] = i;
    }
    for (int i = 0; i <= CALCULUS_FLOWS_MAX; i++) {
        flows[i] =
            (CalculusFlow){SLICE_INIT("f"), curve_token_bucket(1, 2), path, CALCULUS_SERVERS_MAX};
    }
    CalculusNetwork net = {servers, CALCULUS_SERVERS_MAX, flows, CALCULUS_FLOWS_MAX};
    Arena *a = arena_create(CALCULUS_ARENA_BYTES);
    Calculus *c;
    CalculusBound b;
    CalculusOptions o = {CALCULUS_PMOO, CALCULUS_ARBITRARY};
    assert_int_equal(calculus_create(&net, a, &c, NULL), 0);
    assert_int_equal(calculus_bound(c, 63, &o, &b, NULL), 0);
    double rate = 128 - 63;
    double latency = 32 + (63 * 2 + 63 * 32) / rate;
    assert_true(fabs(b.delay - (latency + 2 / rate)) < 1e-9 * b.delay);
    o.method = CALCULUS_SEPARATE;
    assert_int_equal(calculus_bound(c, 63, &o, &b, NULL), 0);
    net.server_count++;
    assert_int_equal(calculus_create(&net, a, &c, NULL), ERR_ARG);
    net.server_count--;
    net.flow_count++;
    assert_int_equal(calculus_create(&net, a, &c, NULL), ERR_ARG);
    arena_destroy(a);
}

// Curves of several pieces: a limited peak helps every analysis, and a second, faster
// rate-latency that holds beside the first does, too.
static void test_pieces_help(void **state)
{
    (void)state;
    Net n;
    net_init(&n, find_net("FF_4S_3F"));
    CalculusOptions options[] = {{CALCULUS_TOTAL, CALCULUS_FIFO},
                                 {CALCULUS_SEPARATE, CALCULUS_FIFO},
                                 {CALCULUS_SEPARATE, CALCULUS_ARBITRARY},
                                 {CALCULUS_PMOO, CALCULUS_ARBITRARY}};
    for (size_t k = 0; k < COUNT_OF(options); k++) {
        double last = INFINITY;
        for (int step = 0; step < 3; step++) {
            net_init(&n, find_net("FF_4S_3F"));
            Curve peak = curve_token_bucket(12, 1);
            Curve fast = curve_rate_latency(30, 22);
            for (int f = 0; step > 0 && f < 3; f++) {
                n.flow[f].arrival = curve_arrival_min(&n.flow[f].arrival, &peak);
            }
            for (int s = 0; step > 1 && s < 4; s++) {
                n.server[s].service = curve_service_max(&n.server[s].service, &fast);
            }
            Arena *a = arena_create(CALCULUS_ARENA_BYTES);
            Calculus *c;
            CalculusBound b;
            assert_int_equal(calculus_create(&n.network, a, &c, NULL), 0);
            assert_int_equal(calculus_bound(c, 1, &options[k], &b, NULL), 0);
            assert_true(b.delay_bounded && b.delay < last);
            last = b.delay;
            arena_destroy(a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_bounds),
        cmocka_unit_test(test_published_trees),
        cmocka_unit_test(test_orders_compare),
        cmocka_unit_test(test_sample_paths_stay_below),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_questions_that_have_no_answer),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_pieces_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
