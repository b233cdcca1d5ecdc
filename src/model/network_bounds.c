#include "model/network_bounds.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/curve.h"

static bool positive(double v)
{
    return v > 0 && v <= 1e12;
}

static bool not_negative(double v)
{
    return v >= 0 && v <= 1e12;
}

static int check_station(const NetworkStation *s, Err *e)
{
    if (!positive(s->servers) || !positive(s->service_s) || !not_negative(s->service_scv) ||
        !not_negative(s->service_slow_s)) {
        return err_set(
            e, ERR_ARG,
            "station \"%.*s\": servers %g and service_s %g must be positive, service_scv "
            "%g and service_slow_s %g not negative",
            SLICE_FMT(s->name), s->servers, s->service_s, s->service_scv, s->service_slow_s);
    }
    return 0;
}

static int check_client(const NetworkLoad *load, const NetworkClient *c, Err *e)
{
    if (!not_negative(c->rate) || !not_negative(c->dispersion) || !not_negative(c->burst)) {
        return err_set(e, ERR_ARG,
                       "client \"%.*s\": rate %g, dispersion %g and burst %g must not be negative",
                       SLICE_FMT(c->name), c->rate, c->dispersion, c->burst);
    }
    uint64_t seen = 0;
    for (int i = 0; i < c->visit_count; i++) {
        const NetworkVisit *v = &c->visits[i];
        if (v->station < 0 || v->station >= load->station_count) {
            return err_set(e, ERR_ARG, "client \"%.*s\": there is no station %d",
                           SLICE_FMT(c->name), v->station);
        }
        if (!not_negative(v->visits) || (i > 0 && v->stage < v[-1].stage)) {
            return err_set(
                e, ERR_ARG,
                "client \"%.*s\": visit %d has stage %d and %g visits; stages ascend and "
                "visits are not negative",
                SLICE_FMT(c->name), i, v->stage, v->visits);
        }
        if ((seen >> v->station & 1) != 0) {
            return err_set(e, ERR_UNSUPPORTED,
                           "client \"%.*s\" comes to station \"%.*s\" twice: these bounds need a "
                           "feed-forward network",
                           SLICE_FMT(c->name), SLICE_FMT(load->stations[v->station].name));
        }
        seen |= UINT64_C(1) << v->station;
    }
    return 0;
}

static int check(const NetworkLoad *load, Err *e)
{
    if (load->station_count < 1 || load->station_count > NETWORK_STATIONS_MAX ||
        load->client_count < 1 || load->client_count > NETWORK_CLIENTS_MAX) {
        return err_set(e, ERR_ARG, "%d stations and %d clients: there are 1 to %d and 1 to %d",
                       load->station_count, load->client_count, NETWORK_STATIONS_MAX,
                       NETWORK_CLIENTS_MAX);
    }
    if (!(load->exceed > 0 && load->exceed < 1)) {
        return err_set(e, ERR_ARG, "exceed is %g, and must be between 0 and 1", load->exceed);
    }
    int rc = 0;
    for (int s = 0; rc == 0 && s < load->station_count; s++) {
        rc = check_station(&load->stations[s], e);
    }
    int visits = 0;
    for (int c = 0; rc == 0 && c < load->client_count; c++) {
        visits += load->clients[c].visit_count;
        rc = check_client(load, &load->clients[c], e);
    }
    if (rc == 0 && visits > NETWORK_VISITS_MAX) {
        return err_set(e, ERR_ARG, "%d visits, the limit is %d", visits, NETWORK_VISITS_MAX);
    }
    return rc;
}

static int find_capacity(const NetworkLoad *load, NetworkBounds *b, Err *e)
{
    double rate[NETWORK_STATIONS_MAX] = {0};
    for (int c = 0; c < load->client_count; c++) {
        const NetworkClient *client = &load->clients[c];
        for (int i = 0; i < client->visit_count; i++) {
            rate[client->visits[i].station] += client->rate * client->visits[i].visits;
        }
    }
    b->bottleneck = 0;
    for (int s = 0; s < load->station_count; s++) {
        const NetworkStation *station = &load->stations[s];
        double busy = rate[s] * station->service_s;
        b->station_utilisation[s] = busy / station->servers;
        if (!(busy < station->servers)) {
            return err_set(e, ERR_UNSTABLE,
                           "station \"%.*s\" is unstable: %g visits a second of %g s each keep %g "
                           "servers busy and it has %g; it takes more than %g",
                           SLICE_FMT(station->name), rate[s], station->service_s, busy,
                           station->servers, busy);
        }
        if (b->station_utilisation[s] > b->station_utilisation[b->bottleneck]) {
            b->bottleneck = s;
        }
    }
    // An idle network may grow without end; no one means more than this.
    b->headroom = fmin(1 / b->station_utilisation[b->bottleneck], 1e6);
    return 0;
}

typedef struct Pass {
    const NetworkLoad *load;
    NetworkBounds *b;
    double excess; // of bucket rates over mean rates
    double spread; // log(1 / exceed) / (4 excess): burst for a dispersion of one
    uint64_t done; // stations
    double departing[NETWORK_STATIONS_MAX]; // dispersion behind a station that is done
    // Each client's traffic before its next stage: the burst that it is sure to keep to where one
    // is enforced, the dispersion of its arrivals otherwise, and how long it took to get there.
    double burst[NETWORK_CLIENTS_MAX];
    double dispersion[NETWORK_CLIENTS_MAX];
    double delay_s[NETWORK_CLIENTS_MAX];
    int next[NETWORK_CLIENTS_MAX]; // first visit of that stage
} Pass;

static int stage_end(const NetworkClient *c, int i)
{
    int stage = c->visits[i].stage;
    while (i < c->visit_count && c->visits[i].stage == stage) {
        i++;
    }
    return i;
}

// The visit of the client's next stage at the station; NULL where there is none.
static const NetworkVisit *next_visit(const Pass *p, int client, int station)
{
    const NetworkClient *c = &p->load->clients[client];
    int i = p->next[client];
    for (int end = i < c->visit_count ? stage_end(c, i) : i; i < end; i++) {
        if (c->visits[i].station == station) {
            return &c->visits[i];
        }
    }
    return NULL;
}

static bool later_visit(const Pass *p, int client, int station)
{
    const NetworkClient *c = &p->load->clients[client];
    for (int i = p->next[client]; i < c->visit_count; i++) {
        if (c->visits[i].station == station) {
            return true;
        }
    }
    return false;
}

// Of a stream of which each request makes so many visits: a random part of it is nearer to Poisson,
// visits in a row are a batch.
static double dispersion_of_visits(double dispersion, double visits)
{
    return visits < 1 ? 1 + visits * (dispersion - 1) : visits * dispersion;
}

// Dispersion behind a station: Whitt, "The Queueing Network Analyzer", 1983, eq. 39.
static double departing(double dispersion, double utilisation, const NetworkStation *station)
{
    double square = utilisation * utilisation;
    double servers = fmax(station->servers, 1);
    return fmax(1 + (1 - square) * (dispersion - 1) +
                    square / sqrt(servers) * (station->service_scv - 1),
                0);
}

// Bounds a station once all that visit it are about to. False where one of them is not yet there.
static bool try_station(Pass *p, int s)
{
    const NetworkStation *station = &p->load->stations[s];
    double burst = 0;
    double rate = 0;
    double variance = 0;
    for (int c = 0; c < p->load->client_count; c++) {
        const NetworkVisit *v = next_visit(p, c, s);
        if (v == NULL) {
            if (later_visit(p, c, s)) {
                return false;
            }
            continue;
        }
        double visits = v->visits * p->load->clients[c].rate;
        burst += fmax(v->visits, v->visits > 0) * p->burst[c];
        rate += visits;
        variance += visits * dispersion_of_visits(p->dispersion[c], v->visits);
    }
    double dispersion = rate > 0 ? variance / rate : 0;
    // What varies by chance, in the arrivals and in the service, does not add up over clients.
    burst += rate > 0 ? (dispersion + station->service_scv) * p->spread : 0;
    Curve arrival = curve_token_bucket(rate * (1 + p->excess), burst);
    Curve service =
        curve_rate_latency(station->servers / station->service_s, station->service_slow_s);
    // The bucket's rate is below the server's, by the choice of `excess`.
    bool bounded = curve_delay(&arrival, &service, &p->b->station_delay_s[s]) &&
                   curve_backlog(&arrival, &service, &p->b->station_backlog[s]);
    assert(bounded);
    p->departing[s] = departing(dispersion, p->b->station_utilisation[s], station);
    p->done |= UINT64_C(1) << s;
    return true;
}

// Moves clients on whose whole stage is bounded. An enforced burst comes out with all that arrives
// during the delay on top of it, the worst case of the calculus.
static void advance(Pass *p)
{
    for (int c = 0; c < p->load->client_count; c++) {
        const NetworkClient *client = &p->load->clients[c];
        while (p->next[c] < client->visit_count) {
            int end = stage_end(client, p->next[c]);
            double longest = 0;
            double dispersion = 0;
            bool whole = true;
            for (int i = p->next[c]; i < end; i++) {
                const NetworkVisit *v = &client->visits[i];
                whole = whole && (p->done >> v->station & 1) != 0;
                longest = fmax(longest,
                               fmax(v->visits, v->visits > 0) * p->b->station_delay_s[v->station]);
                dispersion = fmax(dispersion, p->departing[v->station]);
            }
            if (!whole) {
                break;
            }
            p->delay_s[c] += longest;
            if (client->burst > 0) {
                p->burst[c] += client->rate * (1 + p->excess) * longest;
            } else {
                p->dispersion[c] = dispersion;
            }
            p->next[c] = end;
        }
    }
}

static int refuse_circle(const Pass *p, Err *e)
{
    // Somebody waits at a station that somebody else reaches only later.
    for (int c = 0; c < p->load->client_count; c++) {
        const NetworkClient *client = &p->load->clients[c];
        if (p->next[c] < client->visit_count) {
            int s = client->visits[p->next[c]].station;
            return err_set(
                e, ERR_UNSUPPORTED,
                "visits go in a circle through station \"%.*s\" of client \"%.*s\": these "
                "bounds need a feed-forward network; simulate it",
                SLICE_FMT(p->load->stations[s].name), SLICE_FMT(client->name));
        }
    }
    return err_set(e, ERR_UNSUPPORTED, "visits go in a circle");
}

int network_bounds(const NetworkLoad *load, NetworkBounds *ret, Err *e)
{
    NetworkBounds b = {0};
    int rc = check(load, e);
    if (rc == 0) {
        rc = find_capacity(load, &b, e);
    }
    if (rc != 0) {
        return rc;
    }
    Pass p = {.load = load, .b = &b, .excess = (b.headroom - 1) / 2};
    p.spread = -log(load->exceed) / (4 * p.excess);
    for (int c = 0; c < load->client_count; c++) {
        const NetworkClient *client = &load->clients[c];
        p.burst[c] = client->burst;
        p.dispersion[c] = client->burst > 0 ? 0 : client->dispersion;
        b.burst[c] = client->burst > 0 ? client->burst : client->dispersion * p.spread;
    }
    uint64_t all = UINT64_MAX >> (64 - load->station_count);
    while (p.done != all) {
        uint64_t before = p.done;
        for (int s = 0; s < load->station_count; s++) {
            if ((p.done >> s & 1) == 0) {
                (void)try_station(&p, s);
            }
        }
        if (p.done == before) {
            return refuse_circle(&p, e);
        }
        advance(&p);
    }
    for (int c = 0; c < load->client_count; c++) {
        b.delay_s[c] = p.delay_s[c];
    }
    *ret = b;
    return 0;
}
