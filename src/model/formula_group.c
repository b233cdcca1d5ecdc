// A group of calls made at the same time.
#include <math.h>

#include "model/formula_impl.h"

// One target called `times` times in sequence, and not at all with probability 1 - chance.
static void part_of(Formula *f, const SystemTarget *t, uint32_t class)
{
    const Reply *call = &f->edges[t->edge].reply[class];
    Reply *part = &f->part;
    spread_copy(&part->ok, &call->ok);
    spread_copy(&part->failed, &call->failed);
    if (t->repeat == 1 && t->chance == 1) {
        return;
    }
    double whole = floor(t->repeat), rest = t->repeat - whole;
    spread_none(&part->ok);
    spread_clear(&part->failed);
    for (double n = 1; n <= whole + (rest > 0 ? 1 : 0); n++) {
        double made = n <= whole ? 1 : rest; // the last one only sometimes
        spread_add(&f->sum, &part->ok, &call->failed);
        spread_mix(&part->failed, &f->sum, made);
        spread_add(&f->sum, &part->ok, &call->ok);
        spread_scale(&part->ok, 1 - made);
        spread_mix(&part->ok, &f->sum, made);
    }
    spread_scale(&part->ok, t->chance);
    spread_scale(&part->failed, t->chance);
    part->ok.zero += 1 - t->chance;
}

static double cell_of(const Spread *s, int i)
{
    return i >= s->low && i < s->high ? s->mass[i] : 0;
}

// At least `first` of the parts are done: the Poisson binomial of their distribution functions.
static void first_of(Formula *f, const SystemGroup *group, uint32_t class)
{
    double begun[SYSTEM_TARGETS_MAX]; // distribution function of each so far
    const Spread *ok[SYSTEM_TARGETS_MAX];
    int low = SPREAD_CELLS, high = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        // Repeats and chances are left out here: they are rare together with `first`.
        ok[i] = &f->edges[group->targets[i].edge].reply[class].ok;
        begun[i] = ok[i]->zero;
        low = ok[i]->low < ok[i]->high && ok[i]->low < low ? ok[i]->low : low;
        high = ok[i]->high > high ? ok[i]->high : high;
    }
    Spread *out = &f->joined.ok;
    spread_clear(out);
    double before = 0;
    for (int cell = low - 1; cell < high; cell++) {
        double count[SYSTEM_TARGETS_MAX + 1] = {1};
        for (uint32_t i = 0; i < group->count; i++) {
            begun[i] += cell >= low ? cell_of(ok[i], cell) : 0;
            for (uint32_t k = i + 1; k > 0; k--) {
                count[k] = count[k] * (1 - begun[i]) + count[k - 1] * begun[i];
            }
            count[0] *= 1 - begun[i];
        }
        double now = 0;
        for (uint32_t k = group->first; k <= group->count; k++) {
            now += count[k];
        }
        if (cell < low) {
            out->zero = now;
        } else {
            spread_put(out, spread_time(cell) * (1 + 1e-12), now - before);
        }
        before = now;
    }
}

void formula_group(Formula *f, const SystemGroup *group, uint32_t class)
{
    Reply *joined = &f->joined;
    bool any = group->join == JOIN_ANY || (group->join == JOIN_FIRST && group->first <= 1);
    double none_failed = 1;
    for (uint32_t i = 0; i < group->count; i++) {
        part_of(f, &group->targets[i], class);
        double failed = spread_total(&f->part.failed);
        none_failed *= 1 - failed;
        if (i == 0) {
            spread_copy(&joined->ok, &f->part.ok);
            spread_copy(&joined->failed, &f->part.failed);
        } else if (any) {
            spread_min(&joined->ok, &f->part.ok);
            spread_max(&joined->failed, &f->part.failed);
        } else {
            spread_max(&joined->ok, &f->part.ok);
            spread_mix(&joined->failed, &f->part.failed, 1);
        }
    }
    if (!any && group->count > 1) {
        // It fails when the first one does; the times of failures are mixed by their shares.
        double failed = spread_total(&joined->failed);
        spread_scale(&joined->failed, failed > 0 ? (1 - none_failed) / failed : 0);
    }
    if (group->join == JOIN_FIRST && group->first > 1 && group->first < group->count) {
        first_of(f, group, class);
        double failed = spread_total(&joined->failed);
        double most = fmax(1 - spread_total(&joined->ok), 0);
        spread_scale(&joined->failed, failed > most && failed > 0 ? most / failed : 1);
    }
}
