// Closed queueing networks: a fixed number of customers of each class go round a set of centers,
// think, and go round again. Also mixed ones, where open classes pass through as well.
//
//     const ClosedCenter centers[] = {{.kind = CENTER_QUEUE}, {.kind = CENTER_SERVERS, .servers =
//     4}}; ClosedNetwork net = {.centers = 2, .classes = 1, .center = centers,
//                          .service_s = (double[]){0.125, 0.3}, .visits = (double[]){16, 10},
//                          .population = (double[]){20}, .think_s = (double[]){4}};
//     ClosedAnswer *answer;
//     rc = closed_solve(arena, &net, CLOSED_EXACT, &answer, e);
//
// Matrices are [class * centers + center]. Answers obey Little's law at each center. Times are
// seconds. Pure: memory comes from the arena (answers) and goes back before return (tables).
// docs/internals/queueing.md says which method costs what.
#ifndef MODEL_CLOSED_H
#define MODEL_CLOSED_H

#include "base/arena.h"
#include "base/err.h"

enum {
    CLOSED_CENTERS_MAX = 512,
    CLOSED_CLASSES_MAX = 64,
    CLOSED_POPULATION_MAX = 1000000,
    CLOSED_SERVERS_MAX = 100000,
    CLOSED_TABLE_MAX = 8000000, // doubles in the tables of the exact methods; more is ERR_LIMIT
};
#define CLOSED_STEPS_MAX 2e9 // of the convolution, some ns each; more is ERR_LIMIT

typedef enum CenterKind {
    CENTER_QUEUE,   // one server: processor sharing, or FIFO with one exponential time for all
    CENTER_DELAY,   // as many servers as needed
    CENTER_SERVERS, // `servers` of them
    CENTER_LOAD_DEPENDENT, // works `rates[n - 1]` times as fast with n inside
    CENTER_FIFO            // one FIFO server with times that differ by class or are not exponential
} CenterKind;

typedef struct ClosedCenter {
    CenterKind kind;
    uint32_t servers;
    const double *rates; // with more than rate_count inside it works as with rate_count
    uint32_t rate_count;
} ClosedCenter;

typedef struct ClosedNetwork {
    uint32_t centers, classes;
    const ClosedCenter *center;
    const double *service_s;  // mean of one visit
    const double *visits;     // mean number of visits a round; NULL: 1 each
    const double *scv;        // of the service time, read for CENTER_FIFO; NULL: 1
    const double *population; // by class; whole but for the approximations. 0: nobody, or open
    const double *think_s;    // by class; NULL: 0
    const double *rate;       // by class, arrivals a second: above 0 makes it open; NULL: none
    double tolerance; // of approximations: they stop when no class's share at a center changes by
                      // more; 0: 1e-12. The published ones stopped at 1 / (4000 + 16 customers)
} ClosedNetwork;

typedef enum ClosedMethod {
    // Buzen's convolution over all population vectors, in numbers that cannot overflow and without
    // a
    // subtraction: exact for every center but FIFO, and where mean value analysis of several
    // servers loses all digits. Cost: cells * sum over centers of servers.
    CLOSED_EXACT,
    // Mean value analysis (Reiser and Lavenberg 1980): exact for QUEUE and DELAY; FIFO by the
    // approximations of Lazowska et al., chapter 11. Cost: cells * centers * classes.
    CLOSED_MVA,
    // Chandy and Neuse's Linearizer: cost independent of the population, errors of some tenths of a
    // percent. Several servers as a queue and a delay (Seidmann et al. 1987).
    CLOSED_LINEARIZER,
    // Bard and Schweitzer: one fixed point, errors of some percent.
    CLOSED_SCHWEITZER,
} ClosedMethod;

typedef struct ClosedAnswer {
    double *throughput;  // by class: rounds a second
    double *response_s;  // by class: of a round, without thinking
    double *utilisation; // matrix: of one server; at delays the mean number inside
    double *in_center;   // matrix: mean number
    double *visit_s;     // matrix: mean time of one visit; 0 where there are none
    uint32_t iterations; // of the approximations
} ClosedAnswer;

// ERR_ARG for numbers out of range, ERR_UNSTABLE where open classes alone fill a center,
// ERR_LIMIT past CLOSED_TABLE_MAX or CLOSED_STEPS_MAX (use an approximation), ERR_UNSUPPORTED for a
// center that the method does not know.
MUST_USE int closed_solve(Arena *arena, const ClosedNetwork *net, ClosedMethod method,
                          ClosedAnswer **ret_answer, Err *e);

// Bounds for one closed class in a network of QUEUE and DELAY centers: certain, and nearly free.
typedef struct ClosedBounds {
    double throughput_low, throughput_high;
    double response_low, response_high; // of a round, seconds
} ClosedBounds;

// Asymptotic bounds and balanced job bounds (Lazowska et al., chapter 5); the second are tighter
// and know no delay centers but thinking (put them into think_s).
MUST_USE int closed_bounds_asymptotic(const ClosedNetwork *net, ClosedBounds *ret_bounds, Err *e);
MUST_USE int closed_bounds_balanced(const ClosedNetwork *net, ClosedBounds *ret_bounds, Err *e);

#endif
