// Systems whose exact values are known, as cells of a table: what the simulator is held against.
// bench/model/exact_cells.c runs 400 of them, sim_exact_test.c a few.
//
// Sources: M/M/c by Erlang's C; M/G/1 by Pollaczek and Khinchine; Erlang-A by its birth-death
// equations; closed networks by Buzen's convolution. All by model/queueing.h and model/closed.h,
// whose own tests hold them to published tables.
//
// In a cell of Erlang-A callers leave at rate theta, whether they wait or are served, so a server
// is left at rate mu + theta: the number inside is that of Erlang-A with service rate mu + theta,
// and the share that leaves is theta times it, over the arrivals.
#ifndef MODEL_SIM_CELLS_TEST_H
#define MODEL_SIM_CELLS_TEST_H

#include <math.h>

#include "model/closed.h"
#include "model/queueing.h"
#include "model/sim.h"

typedef enum CellKind { CELL_MMC, CELL_MG1, CELL_ERLANG_A, CELL_CLOSED, CELL_KINDS } CellKind;

typedef struct Cell {
    CellKind kind;
    uint32_t servers;
    double load;   // of a server; closed: customers, half of them at the second station's share
    double second; // M/G/1: scv; Erlang-A: patience in service times; closed: think time likewise
} Cell;

enum { CELL_COUNT = 400 };
#define CELL_WORK_S 0.01

static inline Cell cell_at(uint32_t index)
{
    static const double mmc_servers[] = {1, 2, 3, 5, 8, 12, 16, 20, 4, 6};
    static const double mmc_loads[] = {0.1, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9};
    static const double scvs[] = {0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 0.1};
    static const double mg1_loads[] = {0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85};
    static const double impatient_servers[] = {1, 2, 4, 8, 16};
    static const double impatient_loads[] = {0.6, 0.8, 0.95, 1.1, 1.3};
    static const double patience[] = {0.5, 1, 3, 8};
    static const double closed_servers[] = {1, 2, 3, 4};
    static const double customers[] = {1, 3, 6, 10, 20};
    static const double thinks[] = {0, 1, 3, 8, 20};
    uint32_t i = index % 100;
    switch ((CellKind)(index / 100)) {
    case CELL_MMC: return (Cell){CELL_MMC, (uint32_t)mmc_servers[i / 10], mmc_loads[i % 10], 0};
    case CELL_MG1: return (Cell){CELL_MG1, 1, mg1_loads[i % 10], scvs[i / 10]};
    case CELL_ERLANG_A:
        return (Cell){CELL_ERLANG_A, (uint32_t)impatient_servers[i / 20],
                      impatient_loads[i / 4 % 5], patience[i % 4]};
    case CELL_CLOSED:
        return (Cell){CELL_CLOSED, (uint32_t)closed_servers[i / 25], customers[i / 5 % 5],
                      thinks[i % 5]};
    case CELL_KINDS: break;
    }
    die("no cell %u", index);
}

// One station; closed: two, one after the other, the second a single server.
static inline System *cell_system(Arena *arena, const Cell *cell)
{
    char text[1024];
    System *sys = NULL;
    Err e = {0};
    bool closed = cell->kind == CELL_CLOSED;
    (void)snprintf(
        text, sizeof text,
        "version = 1\n"
        "[agents]\n"
        "entry = {calls = [{to = [\"s\"]}%s]}\n"
        "s = {servers = %u, service = {dist = \"exponential\", mean = \"10ms\"}}\n"
        "%s"
        "[clients.c]\n"
        "to = \"entry\"\n"
        "%s = %.9g\n",
        closed ? ", {to = [\"t\"]}" : "", cell->servers,
        closed ? "t = {servers = 1, service = {dist = \"exponential\", mean = \"6ms\"}}\n" : "",
        closed ? "users" : "rate", closed ? cell->load : cell->load * cell->servers / CELL_WORK_S);
    if (system_parse(arena, slice_from_cstr(text), "cell", &sys, &e) != 0) {
        die("%s in %s", e.text, text);
    }
    double work_ns = CELL_WORK_S * NS_PER_SECOND;
    if (cell->kind == CELL_MG1) {
        sys->agents[1].service = dist_of_scv(work_ns, cell->second);
    } else if (cell->kind == CELL_ERLANG_A) {
        sys->clients[0].patience = dist_exponential(cell->second * work_ns);
    } else if (closed && cell->second > 0) {
        sys->clients[0].think = dist_exponential(cell->second * work_ns);
    }
    return sys;
}

typedef struct CellValue {
    double mean_s;  // time in the system; Erlang-A: not known here, NAN
    double errors;  // share that leaves
    double waiting; // requests that wait at the station
    double offered; // a second
} CellValue;

static inline CellValue closed_value(Arena *arena, const Cell *cell)
{
    const ClosedCenter centers[] = {{.kind = CENTER_SERVERS, .servers = cell->servers},
                                    {.kind = CENTER_QUEUE}};
    const double work[] = {CELL_WORK_S, 0.006}, population[] = {cell->load};
    const double think[] = {cell->second * CELL_WORK_S};
    const ClosedNetwork net = {.centers = 2,
                               .classes = 1,
                               .center = centers,
                               .service_s = work,
                               .population = population,
                               .think_s = think};
    ClosedAnswer *answer;
    Err e = {0};
    if (closed_solve(arena, &net, CLOSED_EXACT, &answer, &e) != 0) {
        die("%s", e.text);
    }
    double busy = answer->throughput[0] * CELL_WORK_S;
    return (CellValue){answer->response_s[0], 0, answer->in_center[0] - busy,
                       answer->throughput[0]};
}

static inline CellValue cell_value(Arena *arena, const Cell *cell)
{
    StationLoad load = {.rate = cell->load * cell->servers / CELL_WORK_S,
                        .service_s = CELL_WORK_S,
                        .servers = cell->servers};
    Station s;
    Err e = {0};
    int rc = 0;
    if (cell->kind == CELL_CLOSED) {
        return closed_value(arena, cell);
    }
    if (cell->kind == CELL_MG1) { // Pollaczek and Khinchine, from the first two moments
        double wait = cell->load * CELL_WORK_S * (1 + cell->second) / (2 * (1 - cell->load));
        return (CellValue){wait + CELL_WORK_S, 0, wait * load.rate, load.rate};
    }
    if (cell->kind == CELL_MMC) {
        rc = station_mmc(&load, &s, &e);
    } else {
        double theta = 1 / (cell->second * CELL_WORK_S);
        load.service_s = 1 / (1 / CELL_WORK_S + theta);
        load.patience_s = 1 / theta;
        rc = station_erlang_a(&load, &s, &e);
    }
    if (rc != 0) {
        die("%s", e.text);
    }
    if (cell->kind == CELL_MMC) {
        return (CellValue){s.response_s, 0, s.in_queue, s.rate};
    }
    return (CellValue){NAN, s.in_system / load.patience_s / load.rate, s.in_queue, s.rate};
}

// So many requests a replication that a busy station is sampled over a hundred and fifty of its
// relaxation times, about 1 / (c (1 - sqrt(rho))^2) service times and one more, and begins to be
// measured after twenty of them.
static inline SimOptions cell_options(const Cell *cell, uint64_t seed)
{
    double rho = cell->kind == CELL_CLOSED || cell->kind == CELL_ERLANG_A ? 0.7 : cell->load;
    double scv = cell->kind == CELL_MG1 ? cell->second : 1;
    double slack = pow(1 - sqrt(rho), 2) * cell->servers;
    double relax_s = CELL_WORK_S * (fmax(1, (1 + scv) / 2) / slack + 1);
    double warmup_s = 20 * relax_s, measured_s = 150 * relax_s;
    if (cell->kind == CELL_CLOSED) {
        warmup_s += (cell->second + cell->load) * 20 * CELL_WORK_S;
    }
    return (SimOptions){.seed = seed,
                        .warmup_ns = (int64_t)(warmup_s * NS_PER_SECOND),
                        .horizon_ns = (int64_t)((warmup_s + measured_s) * NS_PER_SECOND),
                        .replications = 20,
                        .confidence = 0.95,
                        .no_controls = true};
}

// One measure a cell: the time in the system, or for Erlang-A the share that leaves.
static inline bool cell_run(Arena *arena, uint32_t index, uint64_t seed, Estimate *ret_estimate,
                            double *ret_exact)
{
    Cell cell = cell_at(index);
    System *sys = cell_system(arena, &cell);
    SimOptions o = cell_options(&cell, seed + index);
    SimResult *result;
    Err e = {0};
    if (sim_run(arena, sys, &o, &result, &e) != 0) {
        die("%s", e.text);
    }
    const ClientOutcome *c = &result->outcome->clients[0];
    CellValue exact = cell_value(arena, &cell);
    *ret_estimate = cell.kind == CELL_ERLANG_A ? c->errors : c->mean;
    *ret_exact = cell.kind == CELL_ERLANG_A ? exact.errors : exact.mean_s;
    return ret_estimate->low <= *ret_exact && *ret_exact <= ret_estimate->high;
}

#endif
