// Most stations are M/M/c with something multiplied to its wait, so `serve` fills in what follows
// from Little's law and the callers say what the wait is. Distributions are in queueing_law.c.
#include "model/queueing.h"

#include <math.h>

#include "model/erlang.h"
#include "model/special.h"
#include "stat/dist.h"

static int check_positive(Err *e, const char *what, double value)
{
    if (value > 0 && isfinite(value)) {
        return 0;
    }
    return err_set(e, ERR_ARG, "%s must be a finite number above 0, not %g", what, value);
}

static int check_scv(Err *e, const char *what, double value)
{
    if (value >= 0 && isfinite(value)) {
        return 0;
    }
    return err_set(e, ERR_ARG, "the scv of %s must be a finite number, at least 0, not %g", what,
                   value);
}

static int check_servers(Err *e, double servers)
{
    if (servers > 0 && servers <= STATION_SERVERS_MAX) {
        return 0;
    }
    return err_set(e, ERR_ARG, "the number of servers must be above 0 and at most %g, not %g",
                   STATION_SERVERS_MAX, servers);
}

// The service of the load: the law itself, or the one with its mean and scv.
static int service_of(const StationLoad *load, double scv, Service *ret_service, Err *e)
{
    if (load->service) {
        *ret_service = *load->service;
        return 0;
    }
    return service_two_moments(load->service_s, scv, ret_service, e);
}

static int unstable(Err *e, const StationLoad *load, double service_s, double servers)
{
    double work = load->rate * service_s;
    return err_set(e, ERR_UNSTABLE,
                   "%.6g requests/s of %.6g s each are %.6g s of work a second for %.6g server%s "
                   "(rho %.4g): the queue grows without end; stable below %.6g requests/s, with "
                   "more than %.6g servers, or with a mean service time below %.6g s",
                   load->rate, service_s, work, servers, servers == 1 ? "" : "s", work / servers,
                   servers / service_s, work, servers / load->rate);
}

// rate, service, servers checked and stable; the rest of the station zero.
static int begin(const StationLoad *load, double servers, double service_scv, Station *ret, Err *e)
{
    int rc = check_positive(e, "the arrival rate", load->rate);
    rc = rc ? rc : check_servers(e, servers);
    *ret = (Station){.rate = load->rate, .servers = servers};
    rc = rc ? rc : service_of(load, service_scv, &ret->service, e);
    if (rc) {
        return rc;
    }
    if (!(load->rate * ret->service.mean_s < servers)) {
        return unstable(e, load, ret->service.mean_s, servers);
    }
    return 0;
}

// Everything that follows from the mean wait of those who are admitted.
static void serve(Station *s, double admitted, double wait_s)
{
    double busy = admitted * s->service.mean_s;
    s->throughput = admitted;
    s->utilisation = s->servers > 0 ? busy / s->servers : busy;
    s->wait_s = wait_s;
    s->response_s = wait_s + s->service.mean_s;
    s->in_queue = admitted * wait_s;
    s->in_system = s->in_queue + busy;
}

static void wait_exponentially(Station *s, double probability)
{
    s->law = LAW_EXPONENTIAL_WAIT;
    // Without variability nobody waits, whatever the formula of the probability says.
    s->wait_probability = s->wait_s > 0 ? fmin(1, probability) : 0;
    s->decay = s->wait_s > 0 ? s->wait_probability / s->wait_s : 1;
}

// Mean wait of M/M/c.
static double mmc_wait(const Station *s, double erlang)
{
    double load = s->rate * s->service.mean_s;
    return erlang * s->service.mean_s / (s->servers - load);
}

int station_mmc(const StationLoad *load, Station *ret_station, Err *e)
{
    StationLoad exponential = *load;
    exponential.service = NULL;
    Station s;
    int rc = begin(&exponential, load->servers, 1, &s, e);
    if (rc) {
        return rc;
    }
    double c = erlang_c(s.servers, s.rate * s.service.mean_s);
    serve(&s, s.rate, mmc_wait(&s, c));
    wait_exponentially(&s, c);
    s.exact = s.servers == floor(s.servers);
    *ret_station = s;
    return 0;
}

// Sums over the states above c, relative to the most likely of them so that nothing overflows:
// p(c + j) is proportional to ratio^j.
typedef struct Above {
    double weight;  // of c + 1 .. K relative to state c, divided by `scale`
    double waiting; // sum of j, likewise
    double last;    // of state K, likewise
    double scale;   // as a logarithm
} Above;

static Above sum_above(double ratio, double count)
{
    Above a = {.scale = ratio > 1 ? count * log(ratio) : 0};
    // Downwards from K where it is the largest, upwards from c where that is; terms that no longer
    // change the sum end it.
    double step = ratio > 1 ? 1 / ratio : ratio;
    double term = ratio > 1 ? 1 : ratio;
    for (double i = 0; i < count && term > 1e-19 * a.weight; i++) {
        a.weight += term;
        a.waiting += term * (ratio > 1 ? count - i : i + 1);
        term *= step;
    }
    a.last = count == 0 || ratio > 1 ? 1 : exp(count * log(ratio));
    return a;
}

int station_mmck(const StationLoad *load, Station *ret_station, Err *e)
{
    int rc = check_positive(e, "the arrival rate", load->rate);
    rc = rc ? rc : check_servers(e, load->servers);
    if (rc) {
        return rc;
    }
    if (load->servers != floor(load->servers) || load->room != floor(load->room) ||
        !(load->room >= load->servers && load->room <= STATION_ROOM_MAX)) {
        return err_set(
            e, ERR_ARG,
            "servers and room must be whole numbers, servers <= room <= %d, not %g and %g",
            STATION_ROOM_MAX, load->servers, load->room);
    }
    Station s = {.rate = load->rate, .servers = load->servers, .room = load->room, .exact = true};
    rc = service_exponential(load->service_s, &s.service, e);
    if (rc) {
        return rc;
    }
    double erlangs = s.rate * s.service.mean_s;
    double b = erlang_b(s.servers, erlangs);
    Above above = sum_above(erlangs / s.servers, s.room - s.servers);
    // States 0..c together weigh 1 / B relative to c.
    double below = b > 0 ? exp(-above.scale) / b : INFINITY;
    double total = below + above.weight;
    double full = above.last / total;
    double admitted = s.rate * (1 - full);
    double queue = above.waiting / total;
    s.block_probability = full;
    serve(&s, admitted, queue / admitted);
    // An admitted arrival waits in states c .. K - 1.
    double at_c = exp(-above.scale) / total;
    s.wait_probability = fmin(1, fmax(0, at_c + (above.weight - above.last) / total) / (1 - full));
    if (s.room == s.servers) {
        s.wait_probability = 0;
    }
    s.law = LAW_FINITE_ROOM;
    *ret_station = s;
    return 0;
}

// Zeltyn and Mandelbaum, "Call centers with impatient customers" (Queueing Systems 51, 2005), put
// Garnett, Mandelbaum and Reiman's formulas by J = Integral exp(lambda / theta (1 - e^(-theta x)) -
// c mu x) dx, which is special_log_kummer(c mu / theta, lambda / theta) / theta.
int station_erlang_a(const StationLoad *load, Station *ret_station, Err *e)
{
    int rc = check_positive(e, "the arrival rate", load->rate);
    rc = rc ? rc : check_servers(e, load->servers);
    rc = rc ? rc : check_positive(e, "the mean patience", load->patience_s);
    Station s = {.rate = load->rate,
                 .servers = load->servers,
                 .patience_s = load->patience_s,
                 .law = LAW_IMPATIENT,
                 .exact = load->servers == floor(load->servers)};
    rc = rc ? rc : service_exponential(load->service_s, &s.service, e);
    if (rc) {
        return rc;
    }
    double kappa = s.servers * s.patience_s / s.service.mean_s;
    double eta = s.rate * s.patience_s;
    double erlangs = s.rate * s.service.mean_s;
    double log_all = special_log_kummer(kappa, eta, NULL) + log(eta);
    // States below c weigh 1 / B(c - 1) where the waiting ones weigh lambda J; B(c) says the same
    // without needing c >= 1: 1 / B(c - 1) = a / c (1 / B(c) - 1).
    double b = erlang_b(s.servers, erlangs);
    double below = b > 0 ? erlangs / s.servers * (1 - b) / b : INFINITY;
    double wait = 1 / (1 + below * exp(-log_all));
    double queue = 0;
    if (eta < kappa + 10 * sqrt(kappa) + 10) {
        double mean = 0;
        (void)special_log_kummer(kappa, eta, &mean);
        queue = wait * mean;
    } else {
        // Overloaded: what cannot be served leaves, and nothing cancels in saying so.
        double leave = 1 - kappa / eta * (1 - exp(log(eta / kappa) - log_all));
        queue = wait * leave * eta;
    }
    s.wait_probability = wait;
    s.abandon_probability = fmin(1, queue / eta);
    s.throughput = s.rate * (1 - s.abandon_probability);
    s.utilisation = s.throughput * s.service.mean_s / s.servers;
    s.in_queue = queue;
    s.wait_s = queue / s.rate;
    s.in_system = queue + s.throughput * s.service.mean_s;
    s.response_s = s.in_system / s.rate;
    *ret_station = s;
    return 0;
}

int station_unlimited(const StationLoad *load, Station *ret_station, Err *e)
{
    int rc = check_positive(e, "the arrival rate", load->rate);
    Station s = {.rate = load->rate, .exact = true};
    rc = rc ? rc : service_of(load, 1, &s.service, e);
    if (rc) {
        return rc;
    }
    serve(&s, s.rate, 0);
    wait_exponentially(&s, 0);
    *ret_station = s;
    return 0;
}

int station_mg1(const StationLoad *load, Station *ret_station, Err *e)
{
    Station s;
    int rc = begin(load, 1, 1, &s, e);
    if (rc) {
        return rc;
    }
    double rho = s.rate * s.service.mean_s;
    serve(&s, s.rate, rho / (1 - rho) * (1 + s.service.scv) / 2 * s.service.mean_s);
    s.wait_probability = rho;
    s.law = LAW_TRANSFORM;
    s.exact = true;
    *ret_station = s;
    return 0;
}

int station_sharing(const StationLoad *load, Station *ret_station, Err *e)
{
    Station s;
    int rc = begin(load, load->servers, 1, &s, e);
    if (rc) {
        return rc;
    }
    // One job cannot use two servers, so those that find one free are not slowed: the rates are
    // those of M/M/c, and by insensitivity (Kelly, "Reversibility and stochastic networks", 1979)
    // so is the mean for any service law.
    double c = erlang_c(s.servers, s.rate * s.service.mean_s);
    serve(&s, s.rate, mmc_wait(&s, c));
    s.exact = s.servers == 1 && s.service.kind == SERVICE_EXPONENTIAL;
    s.law = s.exact ? LAW_SHARING : LAW_STRETCHED;
    s.wait_probability = 0;
    *ret_station = s;
    return 0;
}

int station_gg1(const StationLoad *load, Station *ret_station, Err *e)
{
    StationLoad single = *load;
    single.servers = 1;
    return station_ggc_allen_cunneen(&single, ret_station, e);
}

int station_ggc_allen_cunneen(const StationLoad *load, Station *ret_station, Err *e)
{
    int rc = check_scv(e, "the gaps between arrivals", load->arrival_scv);
    Station s;
    rc = rc ? rc : begin(load, load->servers, load->service_scv, &s, e);
    if (rc) {
        return rc;
    }
    double c = erlang_c(s.servers, s.rate * s.service.mean_s);
    serve(&s, s.rate, (load->arrival_scv + s.service.scv) / 2 * mmc_wait(&s, c));
    wait_exponentially(&s, c);
    *ret_station = s;
    return 0;
}

// ---- Whitt, "Approximations for the GI/G/m queue", Production and Operations Management 2 (1993);
// the numbers of the formulas are the paper's.

// (2.24) - (2.25): what the wait is of (ca^2 + cs^2) / 2 waits of M/M/m. For one server these do
// not give Pollaczek and Khinchine's wait back; Kraemer and Langenbach-Belz's factor, which QNA
// uses there, does (that for arrival scv below 1; the one above 1 is theirs alone).
static double whitt_wait(double m, double rho, const double scv[2])
{
    double arrival = scv[0];
    double service = scv[1];
    if (arrival + service == 0) {
        return 1;
    }
    if (m <= 1) {
        double u = 1 - arrival;
        return arrival < 1 ? exp(-2 * (1 - rho) * u * u / (3 * rho * (arrival + service)))
                           : exp(-(1 - rho) * (arrival - 1) / (arrival + 4 * service));
    }
    double gamma = fmin(0.24, (1 - rho) * (m - 1) * (sqrt(4 + 5 * m) - 2) / (16 * m * rho));
    double phi1 = 1 + gamma;
    double phi3 = (1 - 4 * gamma) * exp(-2 * (1 - rho) / (3 * rho));
    double phi4 = fmin(1, (phi1 + phi3) / 2);
    double mean = (arrival + service) / 2;
    double psi = mean >= 1 ? 1 : pow(phi4, 2 * (1 - mean));
    if (arrival >= service) {
        double d = 4 * arrival - 3 * service;
        return 4 * (arrival - service) / d * phi1 + service / d * psi;
    }
    double d = 2 * (arrival + service);
    return (service - arrival) / d * phi3 + (service + 3 * arrival) / d * psi;
}

// (3.5) - (3.10): the probability to wait, `c` being Erlang's.
static double whitt_probability(double m, double rho, const double scv[2], double c)
{
    double arrival = scv[0];
    double service = scv[1];
    if (arrival == 1) {
        return c; // every factor below is then 1
    }
    double root = sqrt(m);
    double z = (arrival + service) / (1 + service);
    double none = 1 - dist_normal_cdf((1 - rho) * root);
    double pi4 = z > 0 ? fmin(1, (1 - dist_normal_cdf((1 - rho) * root / z)) / none * c) : 0;
    double pi5 = fmin(1, (1 - dist_normal_cdf(2 * (1 - rho) * root / (1 + arrival))) / none * c);
    double pi1 = rho * rho * pi4 + (1 - rho * rho) * pi5;
    double slack = (m - m * rho - 0.5) / sqrt(m * rho * fmax(z, 1e-300));
    if (m <= 6 || slack <= 0.5 || arrival >= 1) {
        return fmin(1, pi1);
    }
    double pi6 = 1 - dist_normal_cdf(slack);
    double pi2 = arrival * pi1 + (1 - arrival) * pi6;
    double share = slack >= 1 ? 1 : 2 * (1 - arrival) * (slack - 0.5);
    return fmin(1, share * pi2 + (1 - share) * pi1);
}

int station_ggc(const StationLoad *load, Station *ret_station, Err *e)
{
    int rc = check_scv(e, "the gaps between arrivals", load->arrival_scv);
    Station s;
    rc = rc ? rc : begin(load, load->servers, load->service_scv, &s, e);
    if (rc) {
        return rc;
    }
    double erlangs = s.rate * s.service.mean_s;
    double rho = erlangs / s.servers;
    double c = erlang_c(s.servers, erlangs);
    const double scv[2] = {load->arrival_scv, s.service.scv};
    double factor = (scv[0] + scv[1]) / 2 * whitt_wait(s.servers, rho, scv);
    serve(&s, s.rate, factor * mmc_wait(&s, c));
    wait_exponentially(&s, whitt_probability(s.servers, rho, scv, c));
    s.exact = scv[0] == 1 && s.service.kind == SERVICE_EXPONENTIAL && s.servers == floor(s.servers);
    *ret_station = s;
    return 0;
}

// Falin and Templeton, "Retrial queues" (1997), section 1.2.
int station_retrial(const StationLoad *load, Station *ret_station, Err *e)
{
    int rc = check_positive(e, "the mean time until a retry", load->retry_s);
    StationLoad exponential = *load;
    exponential.service = NULL;
    Station s;
    rc = rc ? rc : begin(&exponential, 1, 1, &s, e);
    if (rc) {
        return rc;
    }
    double rho = s.rate * s.service.mean_s;
    double orbit = rho * (rho + s.rate * load->retry_s) / (1 - rho);
    serve(&s, s.rate, orbit / s.rate);
    s.wait_probability = rho;
    s.exact = true;
    *ret_station = s;
    return 0;
}

// Gumbel, "Waiting lines with heterogeneous servers" (Operations Research 8, 1960): with the free
// server drawn at random, P(exactly the set S is busy) is proportional to (m - |S|)! / m! times the
// product over S of lambda / mu_i; with all busy the queue is geometric.
int station_asymmetric(double rate, const double *service_rates, size_t count, Station *ret_station,
                       Err *e)
{
    int rc = check_positive(e, "the arrival rate", rate);
    if (!rc && (count < 1 || count > STATION_SHARES_MAX)) {
        rc = err_set(e, ERR_ARG, "1 to %d servers, not %zu", STATION_SHARES_MAX, count);
    }
    double capacity = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        rc = check_positive(e, "each service rate", service_rates[i]);
        capacity += service_rates[i];
    }
    if (rc) {
        return rc;
    }
    Station s = {.rate = rate, .servers = (double)count, .exact = true};
    StationLoad load = {.rate = rate};
    if (!(rate < capacity)) {
        return unstable(e, &load, (double)count / capacity, (double)count);
    }
    // Elementary symmetric sums of lambda / mu_i; the k-th already carries (m - k)! / m! k!, which
    // keeps it near a product of k numbers and away from overflow.
    double sums[STATION_SHARES_MAX + 1] = {1};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k > 0; k--) {
            sums[k] += sums[k - 1] * rate / service_rates[i] / (double)(count - k + 1);
        }
    }
    double all = 0;
    double busy = 0;
    for (size_t k = 0; k <= count; k++) {
        all += sums[k];
        busy += (double)k * sums[k];
    }
    double rho = rate / capacity;
    double queued = sums[count] * rho / (1 - rho);
    all += queued;
    busy += (double)count * queued;
    s.throughput = rate;
    s.wait_probability = sums[count] / (1 - rho) / all;
    s.in_queue = s.wait_probability * rho / (1 - rho);
    s.in_system = s.in_queue + busy / all;
    s.utilisation = busy / all / s.servers;
    s.wait_s = s.in_queue / rate;
    s.response_s = s.in_system / rate;
    *ret_station = s;
    return service_exponential(s.response_s - s.wait_s, &ret_station->service, e);
}

// ---- priorities

static int check_classes(PriorityKind kind, const StationLoad *loads, size_t count, Err *e)
{
    if (count < 1 || count > STATION_CLASSES_MAX) {
        return err_set(e, ERR_ARG, "1 to %d priority classes, not %zu", STATION_CLASSES_MAX, count);
    }
    double servers = loads[0].servers;
    if (servers != 1 && kind == PRIORITY_PREEMPTS) {
        return err_set(e, ERR_UNSUPPORTED, "preemption is answered for one server, not %g",
                       servers);
    }
    for (size_t i = 1; i < count; i++) {
        if (servers != 1 &&
            (loads[i].service || loads[0].service || loads[i].service_s != loads[0].service_s)) {
            return err_set(e, ERR_UNSUPPORTED,
                           "priorities over %g servers are answered for one exponential service "
                           "time of all classes",
                           servers);
        }
    }
    return 0;
}

int station_priorities(PriorityKind kind, const StationLoad *loads, size_t count,
                       Station *ret_stations, Err *e)
{
    int rc = check_classes(kind, loads, count, e);
    double servers = rc ? 1 : loads[0].servers;
    double total = 0;    // utilisation of all classes
    double residual = 0; // sum of rate E S^2 / 2
    for (size_t i = 0; !rc && i < count; i++) {
        Station *s = &ret_stations[i];
        rc = begin(&loads[i], servers, 1, s, e);
        double rho = s->rate * s->service.mean_s / servers;
        if (!rc && !(total + rho < 1)) {
            return err_set(
                e, ERR_UNSTABLE,
                "priority class %zu brings the load to rho %.4g: its queue grows without "
                "end; stable below %.6g requests/s of this class",
                i, total + rho, (1 - total) * servers / s->service.mean_s);
        }
        total += rho;
        residual += s->rate * s->service.mean_s * s->service.mean_s * (1 + s->service.scv) / 2;
    }
    if (rc) {
        return rc;
    }
    double wait_all = servers == 1 ? total : erlang_c(servers, total * servers);
    if (servers != 1) {
        residual = wait_all * ret_stations[0].service.mean_s / servers;
    }
    double above = 0; // utilisation of the more urgent classes
    double residual_above = 0;
    for (size_t i = 0; i < count; i++) {
        Station *s = &ret_stations[i];
        double m = s->service.mean_s;
        double here = above + s->rate * m / servers;
        residual_above += s->rate * m * m * (1 + s->service.scv) / 2;
        double found = kind == PRIORITY_PREEMPTS ? residual_above : residual;
        double wait = found / ((1 - above) * (1 - here));
        if (kind == PRIORITY_PREEMPTS) {
            wait += m / (1 - above) - m; // interruptions by the more urgent
        }
        serve(s, s->rate, wait);
        wait_exponentially(s, kind == PRIORITY_PREEMPTS ? here : wait_all);
        // The most urgent class sees M/M/c with its own load once all servers are busy.
        s->exact = i == 0 && (servers != 1 || s->service.kind == SERVICE_EXPONENTIAL) &&
                   (count == 1 || servers != 1 || kind == PRIORITY_PREEMPTS);
        above = here;
    }
    return 0;
}
