#include "policy/codel.h"

#include <math.h>

enum { AFTER_NOTHING, AFTER_FIRST_DROP, AFTER_DROP };

static int64_t control_law(int64_t t, int64_t interval_ns, uint32_t count)
{
    return t + (int64_t)((double)interval_ns / sqrt(count));
}

// RFC 8289 section 5.6, dodequeue's judgement of one element.
static bool above(CodelState *s, int64_t target_ns, int64_t interval_ns, int64_t now_ns,
                  int64_t sojourn_ns, uint32_t left)
{
    if (sojourn_ns < target_ns || left == 0) {
        s->first_above = 0;
        return false;
    }
    if (s->first_above == 0) {
        s->first_above = now_ns + interval_ns;
        return false;
    }
    return now_ns >= s->first_above;
}

// RFC 8289 section 5.5, dequeue, up to where it asks for the next element.
bool codel_drop(CodelState *s, int64_t target_ns, int64_t interval_ns, int64_t now_ns,
                int64_t sojourn_ns, uint32_t left)
{
    bool ok_to_drop = above(s, target_ns, interval_ns, now_ns, sojourn_ns, left);
    uint8_t after = s->after;
    s->after = AFTER_NOTHING;
    if (after == AFTER_FIRST_DROP) {
        return false; // the one behind the first drop is served whatever it waited
    }
    if (after == AFTER_NOTHING && !s->dropping) {
        if (!ok_to_drop) {
            return false;
        }
        uint32_t delta = s->count - s->last_count;
        bool recent = delta > 1 && now_ns - s->drop_next < 16 * interval_ns;
        s->dropping = true;
        s->count = recent ? delta : 1;
        s->drop_next = control_law(now_ns, interval_ns, s->count);
        s->last_count = s->count;
        s->after = AFTER_FIRST_DROP;
        return true;
    }
    if (!ok_to_drop) {
        s->dropping = false;
        return false;
    }
    if (after == AFTER_DROP) {
        s->drop_next = control_law(s->drop_next, interval_ns, s->count);
    }
    if (now_ns < s->drop_next) {
        return false;
    }
    s->count++;
    s->after = AFTER_DROP;
    return true;
}

void codel_empty(CodelState *s)
{
    s->first_above = 0;
    s->dropping = s->dropping && s->after == AFTER_FIRST_DROP;
    s->after = AFTER_NOTHING;
}
