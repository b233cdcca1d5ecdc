// One call over an edge: attempts with their limits, timeouts and hedges, and the loop of retries
// around them, in the order of policy/call.h.
//
// Attempts are taken as independent of each other: a request that was slow for a reason of its own
// will be slow again, which formulas do not see. A pause is taken at its mean.
#include <math.h>

#include "model/formula_impl.h"

#define SECONDS(ns) ((double)(ns)*1e-9)

static double alive_at(const Spread *begin, const Atoms *patience)
{
    if (patience->count == 0) {
        return spread_total(begin);
    }
    double sum = 0;
    for (int i = 0; i < patience->count; i++) {
        const Atom *a = &patience->list[i];
        sum += a->share * (isinf(a->seconds) ? spread_total(begin) : spread_cdf(begin, a->seconds));
    }
    return sum;
}

// Share of attempts that a rate limit turns away, and the wait of the others: the loss of M/M/1/K
// with room for the burst and for what may wait, which is exact for Poisson attempts up to the
// difference between a constant and an exponential gap of permits.
static double rate_limit(const ParamValue *p, double attempts, double *ret_wait)
{
    double rate = p[P_RATE_PER_SECOND].real, most = SECONDS(p[P_RATE_MAX_WAIT].integer);
    *ret_wait = 0;
    if (!(rate > 0) || !(attempts > 0)) {
        return 0;
    }
    double burst = (double)p[P_RATE_BURST].integer, room = burst + rate * most,
           load = attempts / rate;
    double refused =
        fabs(load - 1) < 1e-6 ? 1 / (room + 1) : (1 - load) / (pow(load, -room) - load);
    refused = load > 1 ? fmax(refused, 1 - 1 / load) : refused;
    if (most > 0) { // M/D/1's mean wait, bounded by what is allowed
        double queue = load < 1 ? load / (2 * (1 - load)) / rate * pow(load, burst) : most;
        *ret_wait = fmin(queue, most);
    }
    return fmin(fmax(refused, 0), 1);
}

// A fixed limit of attempts under way: a station before the target whose servers are the places.
static double place_limit(const CallAsk *ask, double attempts, const Reply *attempt,
                          Spread *ret_wait)
{
    const ParamValue *p = ask->policy;
    spread_none(ret_wait);
    if (p[P_LIMIT_KIND].integer == LIMIT_NONE) {
        return 0;
    }
    double ok = spread_total(&attempt->ok), failed = spread_total(&attempt->failed);
    double mean = ok * spread_mean(&attempt->ok) + failed * spread_mean(&attempt->failed);
    Atoms longest = {0};
    if (p[P_QUEUE_MAX_WAIT].integer > 0) {
        atoms_add(&longest, 1, SECONDS(p[P_QUEUE_MAX_WAIT].integer));
    }
    StationAsk station = {.rate = attempts,
                          .mean = mean,
                          .scv = spread_scv(&attempt->ok),
                          .arrival_scv = 1,
                          .servers = (double)p[P_LIMIT_VALUE].integer,
                          .room = (double)p[P_QUEUE_LIMIT].integer,
                          .atoms = &longest};
    StationAnswer a = formula_station(&station, ret_wait);
    double late = longest.count ? spread_cut(ret_wait, longest.list[0].seconds) : 0;
    if (late > 0 && late < 1) {
        spread_scale(ret_wait, 1 / (1 - late));
    }
    return 1 - (1 - a.blocked) * (1 - late);
}

// Replaces the good ends by the first of those of the hedges; their number a try.
static double hedge(const ParamValue *p, Spread *ok, CallScratch *scratch)
{
    int most = (int)p[P_HEDGE_MAX].integer;
    double delay = SECONDS(p[P_HEDGE_DELAY].integer), total = spread_total(ok);
    if (p[P_HEDGE_QUANTILE].real > 0) {
        double at = spread_quantile(ok, p[P_HEDGE_QUANTILE].real * total);
        delay = isfinite(at) ? at : delay;
    }
    if (most == 0 || !(total > 0)) {
        return 0;
    }
    double wanted = 0;
    spread_copy(&scratch->sum, ok);
    spread_copy(&scratch->next, ok);
    for (int i = 1; i <= most; i++) {
        wanted += 1 - spread_cdf(&scratch->sum, i * delay);
        spread_delay(&scratch->next, delay);
        spread_min(&scratch->sum, &scratch->next);
    }
    // The budget: a share of calls, with nothing that is always there.
    double allowed = 1, budget = p[P_HEDGE_BUDGET].real;
    if (budget > 0) {
        allowed = fmin(1, budget / fmax(wanted, 1e-12));
    }
    spread_scale(ok, 1 - allowed);
    spread_mix(ok, &scratch->sum, allowed);
    return wanted * allowed;
}

// One try: what its attempts do together. `ret->attempts` and `timeouts` of one try.
static void one_try(const CallAsk *ask, double tries, CallScratch *s, CallAnswer *ret)
{
    const ParamValue *p = ask->policy;
    Reply *a = &s->attempt;
    spread_copy(&a->ok, &ask->target->ok);
    spread_copy(&a->failed, &ask->target->failed);
    double limit = SECONDS(p[P_TIMEOUT_ATTEMPT].integer);
    if (limit > 0) {
        (void)spread_cut(&a->ok, limit);
        (void)spread_cut(&a->failed, limit);
        double late = fmax(1 - spread_total(&a->ok) - spread_total(&a->failed), 0);
        spread_put(&a->failed, limit, late);
        ret->timeouts = late;
    }
    ret->hedges = hedge(p, &a->ok, s);
    if (ret->hedges > 0) { // a try fails where all its attempts do
        double left = fmax(1 - spread_total(&a->ok), 0), failed = spread_total(&a->failed);
        spread_scale(&a->failed, failed > 0 ? fmin(left / failed, 1) : 0);
    }
    ret->winner = spread_mean(&a->ok);
    double wait = 0, attempts = ask->calls * tries;
    double refused = rate_limit(p, attempts, &wait);
    double full = place_limit(ask, attempts * (1 - refused), a, &s->next);
    ret->sent = (1 - refused) * (1 - full);
    if (s->next.low < s->next.high) {
        spread_add(&s->sum, &a->ok, &s->next);
        spread_copy(&a->ok, &s->sum);
        spread_add(&s->sum, &a->failed, &s->next);
        spread_copy(&a->failed, &s->sum);
    }
    spread_delay(&a->ok, wait);
    spread_delay(&a->failed, wait);
    if (ret->sent < 1) {
        spread_scale(&a->ok, ret->sent);
        spread_scale(&a->failed, ret->sent);
        spread_put(&a->failed, 0, 1 - ret->sent);
    }
}

static double pause_mean(const ParamValue *p, int n)
{
    double base = SECONDS(p[P_RETRY_BACKOFF].integer) * pow(p[P_RETRY_MULTIPLIER].real, n - 1);
    base = fmin(base, SECONDS(p[P_RETRY_MAX_BACKOFF].integer));
    switch ((RetryJitter)p[P_RETRY_JITTER].integer) {
    case JITTER_NONE: return base;
    case JITTER_FULL: return base / 2;
    case JITTER_EQUAL: return base * 0.75;
    case JITTER_DECORRELATED: return base;
    }
    return base;
}

// Share of wanted retries that the budget grants, from what one call would want.
static double granted(const CallAsk *ask, double failed, int attempts)
{
    const ParamValue *p = ask->policy;
    double budget = p[P_RETRY_BUDGET].real, wanted = 0, now = failed;
    if (!(budget > 0) || attempts < 2 || !(ask->calls > 0)) {
        return 1;
    }
    for (int i = 1; i < attempts; i++, now *= failed) {
        wanted += now;
    }
    double have = budget + p[P_RETRY_BUDGET_MIN].real / ask->calls;
    if (wanted <= have) {
        return 1;
    }
    // With share g of them granted, sum (g failed)^i = have: bisection, as it is monotone.
    double low = 0, high = 1;
    for (int round = 0; round < 30; round++) {
        double g = (low + high) / 2, sum = 0;
        now = g * failed;
        for (int i = 1; i < attempts; i++, now *= g * failed) {
            sum += now;
        }
        *(sum > have ? &high : &low) = g;
    }
    return low;
}

// Ends everything at `limit`.
static void call_limit(Reply *reply, double limit)
{
    if (isinf(limit)) {
        return;
    }
    (void)spread_cut(&reply->ok, limit);
    (void)spread_cut(&reply->failed, limit);
    spread_put(&reply->failed, limit,
               fmax(1 - spread_total(&reply->ok) - spread_total(&reply->failed), 0));
}

CallAnswer formula_call(const CallAsk *ask, CallScratch *s, Reply *ret_reply)
{
    const ParamValue *p = ask->policy;
    CallAnswer a = {0}, tried = {0};
    double limit = SECONDS(p[P_TIMEOUT_CALL].integer);
    limit = fmin(limit > 0 ? limit : INFINITY, ask->deadline);
    int attempts = (int)p[P_RETRY_ATTEMPTS].integer;
    one_try(ask, 1, s, &tried);
    double failed = spread_total(&s->attempt.failed);
    if (!p[P_RETRY_ON_TIMEOUT].boolean && tried.timeouts > 0) {
        attempts = failed > tried.timeouts ? attempts : 1;
    }
    double grant = granted(ask, failed, attempts), tries = 1;
    if (attempts > 1 && failed > 0 &&
        (p[P_RATE_PER_SECOND].real > 0 || p[P_LIMIT_KIND].integer != LIMIT_NONE)) {
        // Limits see the retries as well: their share turned away depends on how many there are.
        for (int round = 0; round < 8; round++) {
            double f = grant * spread_total(&s->attempt.failed);
            tries = fabs(f - 1) < 1e-9 ? attempts : (1 - pow(f, attempts)) / (1 - f);
            one_try(ask, tries, s, &tried);
        }
        grant = granted(ask, spread_total(&s->attempt.failed), attempts);
    }
    spread_none(&s->begin);
    spread_clear(&ret_reply->ok);
    spread_clear(&ret_reply->failed);
    for (int n = 1;; n++) {
        double begun = alive_at(&s->begin, ask->patience);
        a.attempts += begun * (1 + tried.hedges);
        a.retries += n > 1 ? begun : 0;
        a.hedges += begun * tried.hedges;
        a.timeouts += begun * tried.timeouts;
        a.sent += begun * (1 + tried.hedges) * tried.sent;
        spread_add(&s->sum, &s->begin, &s->attempt.ok);
        spread_mix(&ret_reply->ok, &s->sum, 1);
        spread_add(&s->sum, &s->begin, &s->attempt.failed);
        if (n == attempts || spread_total(&s->sum) < 1e-9) {
            spread_mix(&ret_reply->failed, &s->sum, 1);
            break;
        }
        spread_mix(&ret_reply->failed, &s->sum, 1 - grant);
        spread_copy(&s->begin, &s->sum);
        spread_scale(&s->begin, grant);
        spread_delay(&s->begin, pause_mean(p, n));
        double late = isinf(limit) ? 0 : spread_cut(&s->begin, limit);
        spread_put(&ret_reply->failed, limit, late);
    }
    a.winner = tried.winner;
    call_limit(ret_reply, limit);
    return a;
}
