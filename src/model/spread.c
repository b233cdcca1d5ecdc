#include "model/spread.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/attr.h"

#define TAIL 1e-7 // mass that no quantile asked for can see

// 2^(i/12) for one octave; the rest of a power of two is exact.
static const double STEP[SPREAD_OCTAVE + 1] = {
    1.0,
    1.0594630943592953,
    1.122462048309373,
    1.189207115002721,
    1.259921049894873,
    1.3348398541700344,
    1.4142135623730951,
    1.4983070768766815,
    1.5874010519681994,
    1.681792830507429,
    1.7817974362806785,
    1.8877486253633868,
    2.0,
};

double spread_time(int cell)
{
    int octave = cell >= 0 ? cell / SPREAD_OCTAVE : -((SPREAD_OCTAVE - 1 - cell) / SPREAD_OCTAVE);
    return SPREAD_LEAST * ldexp(STEP[cell - octave * SPREAD_OCTAVE], octave);
}

// Where a time stands on the grid, in steps.
static double place_of(double seconds)
{
    return log2(seconds / SPREAD_LEAST) * SPREAD_OCTAVE;
}

void spread_clear(Spread *s)
{
    s->zero = 0;
    s->low = s->high = 0;
}

void spread_none(Spread *s)
{
    spread_clear(s);
    s->zero = 1;
}

void spread_copy(Spread *to, const Spread *from)
{
    to->zero = from->zero;
    to->low = from->low;
    to->high = from->high;
    memcpy(to->mass + from->low, from->mass + from->low,
           sizeof *from->mass * (size_t)(from->high - from->low));
}

// Makes low..high a part of the cells in use, with no mass where there was none.
static void widen(Spread *s, int low, int high)
{
    if (s->low == s->high) {
        s->low = s->high = low;
    }
    while (s->low > low) {
        s->mass[--s->low] = 0;
    }
    while (s->high < high) {
        s->mass[s->high++] = 0;
    }
}

static void trim(Spread *s)
{
    while (s->low < s->high && s->mass[s->low] == 0) {
        s->low++;
    }
    while (s->high > s->low && s->mass[s->high - 1] == 0) {
        s->high--;
    }
}

void spread_put(Spread *s, double seconds, double mass)
{
    if (mass <= 0) {
        return;
    }
    if (!(seconds > SPREAD_LEAST)) {
        s->zero += mass;
        return;
    }
    int cell = (int)place_of(seconds);
    if (cell >= SPREAD_CELLS - 1) {
        widen(s, SPREAD_CELLS - 1, SPREAD_CELLS);
        s->mass[SPREAD_CELLS - 1] += mass;
        return;
    }
    double at = spread_time(cell);
    double share = (seconds - at) / (spread_time(cell + 1) - at);
    share = fmin(fmax(share, 0), 1);
    widen(s, cell, cell + 2);
    s->mass[cell] += mass * (1 - share);
    s->mass[cell + 1] += mass * share;
}

// The upper border of a cell: half a step on.
static double border(int cell)
{
    return spread_time(cell) * 1.0293022366434921; // 2^(1/24)
}

void spread_of_function(Spread *s, SpreadCdf *cdf, const void *context)
{
    spread_clear(s);
    // The first cell worth having, by bisection: distributions begin anywhere on eleven decades.
    int from = 0, to = SPREAD_CELLS;
    while (from < to) {
        int middle = (from + to) / 2;
        if (cdf(context, border(middle)) < TAIL) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from == SPREAD_CELLS) {
        widen(s, SPREAD_CELLS - 1, SPREAD_CELLS);
        s->mass[SPREAD_CELLS - 1] = 1;
        return;
    }
    double before = 0;
    if (from == 0) {
        before = s->zero = cdf(context, SPREAD_LEAST / 1.0293022366434921);
    }
    for (int i = from; i < SPREAD_CELLS && before < 1 - TAIL; i++) {
        double here = i == SPREAD_CELLS - 1 ? 1 : cdf(context, border(i));
        widen(s, i, i + 1);
        s->mass[i] = here - before;
        before = here;
    }
    if (s->high > s->low) {
        s->mass[s->high - 1] += 1 - before;
    }
    trim(s);
}

void spread_exponential(Spread *s, double share, double mean)
{
    spread_clear(s);
    s->zero = 1 - share;
    if (share <= 0 || mean <= SPREAD_LEAST) {
        s->zero = 1;
        return;
    }
    // What is below a hundredth of the mean adds nothing to a sum; 18 means leave 1e-8.
    int low = (int)fmax(place_of(mean * 0.01), 0);
    int high = (int)fmin(place_of(mean * 18) + 1, SPREAD_CELLS - 1);
    widen(s, low, high + 1);
    double before = 1;
    for (int i = low; i <= high; i++) {
        double here = i == high ? 0 : exp(-border(i) / mean);
        s->mass[i] = share * (before - here);
        before = here;
    }
    // The points' mean is a little off the cells': one factor on the masses would change the total,
    // so the times are moved instead.
    double is = 0;
    for (int i = low; i <= high; i++) {
        is += s->mass[i] * spread_time(i);
    }
    if (is > 0) {
        spread_stretch(s, share * mean / is);
    }
}

double spread_total(const Spread *s)
{
    double sum = s->zero;
    for (int i = s->low; i < s->high; i++) {
        sum += s->mass[i];
    }
    return sum;
}

// Sum of mass * time, and of mass * time^2, with the times by multiplication.
static double moments(const Spread *s, double *ret_second)
{
    double first = 0, second = 0, t = spread_time(s->low);
    for (int i = s->low; i < s->high; i++, t *= STEP[1]) {
        first += s->mass[i] * t;
        second += s->mass[i] * t * t;
    }
    if (ret_second) {
        *ret_second = second;
    }
    return first;
}

double spread_mean(const Spread *s)
{
    double total = spread_total(s);
    return total > 0 ? moments(s, NULL) / total : 0;
}

double spread_scv(const Spread *s)
{
    double total = spread_total(s), second = 0, first = moments(s, &second);
    if (first <= 0) {
        return 0;
    }
    return fmax(second * total / (first * first) - 1, 0);
}

double spread_cdf(const Spread *s, double seconds)
{
    if (seconds <= 0) {
        return seconds < 0 ? 0 : s->zero;
    }
    double place = seconds < SPREAD_LEAST / 2 ? -1 : place_of(seconds) + 0.5;
    double sum = s->zero;
    for (int i = s->low; i < s->high && i <= place; i++) {
        sum += s->mass[i] * fmin(place - i, 1);
    }
    return sum;
}

double spread_quantile(const Spread *s, double q)
{
    double sum = s->zero;
    if (q <= sum) {
        return 0;
    }
    for (int i = s->low; i < s->high; i++) {
        if (sum + s->mass[i] >= q) {
            double share = (q - sum) / s->mass[i];
            return SPREAD_LEAST * exp2((i - 0.5 + share) / SPREAD_OCTAVE);
        }
        sum += s->mass[i];
    }
    return INFINITY;
}

double spread_mean_until(const Spread *s, double limit)
{
    double sum = 0, seen = s->zero, t = spread_time(s->low);
    for (int i = s->low; i < s->high && t < limit; i++, t *= STEP[1]) {
        sum += s->mass[i] * t;
        seen += s->mass[i];
    }
    return sum + (seen < 1 ? (1 - seen) * limit : 0);
}

void spread_scale(Spread *s, double factor)
{
    s->zero *= factor;
    for (int i = s->low; i < s->high; i++) {
        s->mass[i] *= factor;
    }
}

void spread_stretch(Spread *s, double factor)
{
    double shift = log2(factor) * SPREAD_OCTAVE;
    int whole = (int)floor(shift);
    // Between two points: linear in time, so that the mean is exact.
    double rest = (exp2((shift - whole) / SPREAD_OCTAVE) - 1) / (STEP[1] - 1);
    Spread out;
    spread_clear(&out);
    out.zero = s->zero;
    for (int i = s->low; i < s->high; i++) {
        int to = i + whole;
        if (to < 0) {
            out.zero += s->mass[i];
            continue;
        }
        to = to > SPREAD_CELLS - 2 ? SPREAD_CELLS - 2 : to;
        widen(&out, to, to + 2);
        out.mass[to] += s->mass[i] * (1 - rest);
        out.mass[to + 1] += s->mass[i] * rest;
    }
    spread_copy(s, &out);
}

void spread_mix(Spread *to, const Spread *from, double weight)
{
    to->zero += weight * from->zero;
    if (from->low == from->high || weight == 0) {
        return;
    }
    widen(to, from->low, from->high);
    for (int i = from->low; i < from->high; i++) {
        to->mass[i] += weight * from->mass[i];
    }
}

// Where the sum of two grid points `d` apart lies: `steps` above the larger one, a `share` of the
// way to the next. Beyond 13 octaves the smaller one still moves the mean, by less than 1e-4.
typedef struct Above {
    int steps;
    double share;
} Above;

static const Above ABOVE[] = {
    {12, 0},
    {11, 0.50000000000000133},
    {11, 0.028062843659153389},
    {10, 0.55779439083879956},
    {10, 0.11234503176863118},
    {9, 0.67357605592331815},
    {9, 0.25312784829646046},
    {8, 0.84773140579782169},
    {8, 0.45088114280577335},
    {8, 0.076304373586600513},
    {7, 0.70626489853403673},
    {7, 0.3527115079407645},
    {7, 0.019001544398254709},
    {6, 0.68642147148327071},
    {6, 0.37144120900955158},
    {6, 0.074139430258871486},
    {5, 0.78124621144542006},
    {5, 0.50063069936807747},
    {5, 0.23576492577825342},
    {4, 0.98491846421659512},
    {4, 0.73491846421659468},
    {4, 0.4989498860461698},
    {4, 0.27622520651108617},
    {4, 0.066001102697658465},
    {3, 0.85970162868175759},
    {3, 0.66127649718573134},
    {3, 0.47398811257614731},
    {3, 0.29721141727951206},
    {3, 0.13035643550825823},
    {2, 0.97125285076196977},
    {2, 0.81376271952511214},
    {2, 0.66511183014977149},
    {2, 0.52480407411109797},
    {2, 0.39237118731618847},
    {2, 0.26737118731618748},
    {2, 0.14938689823097465},
    {2, 0.038024558463433479},
    {1, 0.92892327660377116},
    {1, 0.82381122469705914},
    {1, 0.72459865894904585},
    {1, 0.63095446664425359},
    {1, 0.54256611899593443},
    {1, 0.45913862811030809},
    {1, 0.38039356249187828},
    {1, 0.30606811780420895},
    {1, 0.23591423978487089},
    {1, 0.16969779638741617},
    {1, 0.10719779638741556},
    {1, 0.048205651844810377},
};

static Above above_of(int d)
{
    if (d < (int)COUNT_OF(ABOVE)) {
        return ABOVE[d];
    }
    int octave = d / SPREAD_OCTAVE, rest = d - octave * SPREAD_OCTAVE;
    return (Above){0, ldexp(1 / STEP[rest], -octave) / (STEP[1] - 1)};
}

// Adds big[m] * small[m - d] for all m: one diagonal.
static void diagonal(double *restrict out, const Spread *big, const Spread *small, int d)
{
    int from = big->low > small->low + d ? big->low : small->low + d;
    int to = big->high < small->high + d ? big->high : small->high + d;
    if (from >= to) {
        return;
    }
    Above above = above_of(d);
    const double *restrict a = big->mass, *restrict b = small->mass - d;
    double *restrict first = out + above.steps;
    double split[SPREAD_CELLS];
    for (int m = from; m < to; m++) {
        split[m] = a[m] * b[m];
    }
    for (int m = from; m < to; m++) {
        first[m] += split[m] * (1 - above.share);
    }
    for (int m = from; m < to; m++) {
        first[m + 1] += split[m] * above.share;
    }
}

static void diagonals(double *out, const Spread *a, const Spread *b)
{
    int reach_a = a->high - b->low, reach_b = b->high - a->low;
    for (int d = a->low - b->high > 0 ? a->low - b->high : 0; d < reach_a; d++) {
        diagonal(out, a, b, d);
    }
    for (int d = b->low - a->high > 1 ? b->low - a->high : 1; d < reach_b; d++) {
        diagonal(out, b, a, d);
    }
}

// A constant, or nearly: each of its few cells against all of the other's.
enum { FEW = 4 };

static void points(double *out, const Spread *few, const Spread *many)
{
    for (int i = few->low; i < few->high; i++) {
        double mass = few->mass[i];
        for (int m = many->low; m < many->high; m++) {
            Above above = above_of(m > i ? m - i : i - m);
            double *at = out + (m > i ? m : i) + above.steps, both = mass * many->mass[m];
            at[0] += both * (1 - above.share);
            at[1] += both * above.share;
        }
    }
}

void spread_add(Spread *to, const Spread *a, const Spread *b)
{
    spread_clear(to);
    to->zero = a->zero * b->zero;
    bool products = a->low < a->high && b->low < b->high;
    if (products) {
        enum { REACH = SPREAD_CELLS + SPREAD_OCTAVE + 2 };
        double out[REACH];
        int low = a->low > b->low ? a->low : b->low;
        int high = (a->high > b->high ? a->high : b->high) + SPREAD_OCTAVE + 1;
        memset(out + low, 0, sizeof *out * (size_t)(high + 1 - low));
        const Spread *few = a->high - a->low < b->high - b->low ? a : b;
        if (few->high - few->low <= FEW) {
            points(out, few, few == a ? b : a);
        } else {
            diagonals(out, a, b);
        }
        double over = 0;
        while (high > SPREAD_CELLS) {
            over += out[--high];
        }
        widen(to, low, high);
        memcpy(to->mass + low, out + low, sizeof *out * (size_t)(high - low));
        to->mass[high - 1] += over;
    }
    spread_mix(to, b, a->zero);
    spread_mix(to, a, b->zero);
    to->zero = a->zero * b->zero;
    // Tails that no answer can see would make every later sum dearer.
    while (to->high > to->low + 1 && to->mass[to->high - 1] < TAIL * 1e-3) {
        to->mass[to->high - 2] += to->mass[to->high - 1];
        to->high--;
    }
}

void spread_delay(Spread *s, double seconds)
{
    if (seconds <= 0) {
        return;
    }
    Spread by, out;
    spread_clear(&by);
    spread_put(&by, seconds, 1);
    spread_add(&out, s, &by);
    spread_copy(s, &out);
}

double spread_cut(Spread *s, double seconds)
{
    if (seconds <= 0) {
        double all = spread_total(s);
        spread_clear(s);
        return all;
    }
    double place = seconds < SPREAD_LEAST / 2 ? -1 : place_of(seconds) + 0.5;
    double gone = 0;
    for (int i = s->low; i < s->high; i++) {
        double kept = fmin(fmax(place - i, 0), 1);
        gone += s->mass[i] * (1 - kept);
        s->mass[i] *= kept;
    }
    trim(s);
    return gone;
}

void spread_max(Spread *to, const Spread *from)
{
    Spread out;
    spread_clear(&out);
    out.zero = to->zero * from->zero;
    int low = to->low < from->low ? to->low : from->low;
    if (to->low == to->high || from->low == from->high) { // one of both is no more than its zero
        low = to->low == to->high ? from->low : to->low;
    }
    int high = to->high > from->high ? to->high : from->high;
    double f = to->zero, g = from->zero, before = out.zero;
    if (high > low) {
        widen(&out, low, high);
    }
    for (int i = low; i < high; i++) {
        f += i >= to->low && i < to->high ? to->mass[i] : 0;
        g += i >= from->low && i < from->high ? from->mass[i] : 0;
        out.mass[i] = f * g - before;
        before = f * g;
    }
    trim(&out);
    spread_copy(to, &out);
}

void spread_min(Spread *to, const Spread *from)
{
    Spread out;
    spread_clear(&out);
    double f = 1 - to->zero, g = 1 - from->zero, before = f * g; // of being later
    out.zero = 1 - before;
    int low = to->low < from->low ? to->low : from->low;
    if (to->low == to->high || from->low == from->high) {
        low = to->low == to->high ? from->low : to->low;
    }
    int high = to->high > from->high ? to->high : from->high;
    if (high > low) {
        widen(&out, low, high);
    }
    for (int i = low; i < high; i++) {
        f -= i >= to->low && i < to->high ? to->mass[i] : 0;
        g -= i >= from->low && i < from->high ? from->mass[i] : 0;
        out.mass[i] = fmax(before - f * g, 0);
        before = f * g;
    }
    trim(&out);
    spread_copy(to, &out);
}
