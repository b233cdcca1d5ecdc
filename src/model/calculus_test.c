#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_bounds),
        cmocka_unit_test(test_published_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
