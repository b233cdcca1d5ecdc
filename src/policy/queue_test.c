#include "policy/policy_test.h"

#include <math.h>

#include "base/rng.h"
#include "policy/queue.h"

enum { ROOM = 512 };

typedef struct Fixture {
    ParamValue p[POLICY_PARAM_COUNT];
    QueueState s;
    QueueEntry entries[ROOM];
} Fixture;

static void init(Fixture *f, QueueDiscipline discipline, int64_t limit)
{
    policy_defaults(f->p);
    f->p[P_QUEUE_DISCIPLINE] = whole(discipline);
    f->p[P_QUEUE_LIMIT] = whole(limit);
    queue_init(&f->s, f->entries, ROOM);
}

static uint64_t pop(Fixture *f, int64_t now)
{
    uint64_t handle = 0;
    bool drop = false;
    return queue_pop(&f->s, f->entries, f->p, now, &handle, &drop) && !drop ? handle : 0;
}

static void test_order(void **state)
{
    (void)state;
    static const uint32_t priorities[] = {4, 1, 8, 4, 2}; // of handles 1 to 5
    static const struct {
        QueueDiscipline discipline;
        uint64_t order[5];
    } cases[] = {{QUEUE_FIFO, {1, 2, 3, 4, 5}},
                 {QUEUE_LIFO, {5, 4, 3, 2, 1}},
                 {QUEUE_PRIORITY, {2, 5, 1, 4, 3}},
                 {QUEUE_CODEL, {1, 2, 3, 4, 5}}};
    static Fixture f;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        init(&f, cases[i].discipline, 5);
        for (uint64_t h = 1; h <= 5; h++) {
            assert_true(queue_push(&f.s, f.entries, f.p, h, priorities[h - 1], 0) >= 0);
        }
        assert_int_equal(queue_push(&f.s, f.entries, f.p, 6, 4, 0), QUEUE_NONE); // queue.limit
        for (int k = 0; k < 5; k++) {
            assert_int_equal(pop(&f, 0), cases[i].order[k]);
        }
        assert_int_equal(pop(&f, 0), 0);
    }
}

static void test_room_is_the_end(void **state)
{
    (void)state;
    static Fixture f;
    init(&f, QUEUE_FIFO, ROOM + 1);
    for (int i = 0; i < ROOM; i++) {
        assert_true(queue_push(&f.s, f.entries, f.p, 1, 4, 0) >= 0);
    }
    assert_int_equal(queue_push(&f.s, f.entries, f.p, 1, 4, 0), QUEUE_NONE);
}

// Random pushes, pops and removals against a plain list; the discipline changes on the way.
static void test_against_a_list(void **state)
{
    (void)state;
    static Fixture f;
    struct {
        uint64_t handle;
        uint32_t priority;
        int32_t index;
    } list[ROOM], taken;
    size_t count = 0;
    uint64_t handle = 0;
    Rng r = rng_stream(1, SLICE("queue"), 0);
    init(&f, QUEUE_FIFO, 40);
    for (int step = 0; step < 20000; step++) {
        uint64_t what = rng_below(&r, 8);
        if (what < 4) {
            uint32_t priority = (uint32_t)rng_between(&r, 1, 8);
            int32_t index = queue_push(&f.s, f.entries, f.p, ++handle, priority, step);
            assert_int_equal(index == QUEUE_NONE, count == 40);
            if (index != QUEUE_NONE) {
                list[count].handle = handle;
                list[count].priority = priority;
                list[count++].index = index;
            }
            continue;
        }
        if (what == 7) {
            static const QueueDiscipline kinds[] = {QUEUE_FIFO, QUEUE_LIFO, QUEUE_PRIORITY};
            f.p[P_QUEUE_DISCIPLINE] = whole(kinds[rng_below(&r, 3)]);
        }
        if (count == 0) {
            assert_int_equal(pop(&f, step), 0);
            continue;
        }
        size_t at = 0;
        if (what == 6) {
            at = rng_below(&r, count);
            queue_remove(&f.s, f.entries, list[at].index);
        } else {
            bool lifo = f.p[P_QUEUE_DISCIPLINE].integer == QUEUE_LIFO;
            at = lifo ? count - 1 : 0;
            for (size_t i = 0; f.p[P_QUEUE_DISCIPLINE].integer == QUEUE_PRIORITY && i < count;
                 i++) {
                at = list[i].priority < list[at].priority ? i : at;
            }
            assert_int_equal(pop(&f, step), list[at].handle);
        }
        taken = list[at];
        (void)taken;
        memmove(&list[at], &list[at + 1], (count - at - 1) * sizeof list[0]);
        count--;
        assert_int_equal(f.s.count, count);
    }
}

// ---- CoDel against RFC 8289's pseudo-code (section 5), written down as it stands there ----

typedef struct Packet {
    int64_t tstamp;
} Packet;

typedef struct Rfc {
    Packet queue[4096];
    size_t head, tail;
    int64_t first_above_time_, drop_next_;
    uint32_t count_, lastcount_;
    bool dropping_;
    int64_t target, interval;
    uint32_t drops;
} Rfc;

typedef struct RfcResult {
    const Packet *p;
    bool ok_to_drop;
} RfcResult;

static RfcResult rfc_dodequeue(Rfc *q, int64_t now)
{
    RfcResult r = {q->head < q->tail ? &q->queue[q->head++] : NULL, false};
    if (r.p == NULL) {
        q->first_above_time_ = 0;
        return r;
    }
    int64_t sojourn_time = now - r.p->tstamp;
    if (sojourn_time < q->target || q->tail == q->head) {
        q->first_above_time_ = 0;
    } else if (q->first_above_time_ == 0) {
        q->first_above_time_ = now + q->interval;
    } else if (now >= q->first_above_time_) {
        r.ok_to_drop = true;
    }
    return r;
}

static int64_t rfc_control_law(const Rfc *q, int64_t t, uint32_t count)
{
    return t + (int64_t)((double)q->interval / sqrt(count));
}

static const Packet *rfc_dequeue(Rfc *q, int64_t now)
{
    RfcResult r = rfc_dodequeue(q, now);
    if (q->dropping_) {
        if (!r.ok_to_drop) {
            q->dropping_ = false;
        }
        while (now >= q->drop_next_ && q->dropping_) {
            q->drops++;
            ++q->count_;
            r = rfc_dodequeue(q, now);
            if (!r.ok_to_drop) {
                q->dropping_ = false;
            } else {
                q->drop_next_ = rfc_control_law(q, q->drop_next_, q->count_);
            }
        }
    } else if (r.ok_to_drop) {
        q->drops++;
        r = rfc_dodequeue(q, now);
        q->dropping_ = true;
        uint32_t delta = q->count_ - q->lastcount_;
        q->count_ = 1;
        if (delta > 1 && now - q->drop_next_ < 16 * q->interval) {
            q->count_ = delta;
        }
        q->drop_next_ = rfc_control_law(q, now, q->count_);
        q->lastcount_ = q->count_;
    }
    return r.p;
}

// An overloaded server that recovers in between: who is served, and how many are dropped, agree.
static void test_codel_is_the_rfc(void **state)
{
    (void)state;
    static Rfc rfc;
    for (uint64_t seed = 0; seed < 20; seed++) {
        static Fixture f;
        Rng r = rng_stream(seed, SLICE("codel"), 0);
        rfc = (Rfc){.target = 5 * MS, .interval = 100 * MS};
        init(&f, QUEUE_CODEL, ROOM);
        int64_t now = 1, next_in = 1, next_out = 1;
        uint32_t drops = 0;
        while (rfc.tail < 3000) {
            bool in = next_in <= next_out;
            now = in ? next_in : next_out;
            if (in) {
                if (queue_push(&f.s, f.entries, f.p, (uint64_t)now, 4, now) != QUEUE_NONE) {
                    rfc.queue[rfc.tail++].tstamp = now;
                }
                bool busy = now / (2 * S) % 2 == 0;
                next_in += (int64_t)rng_exponential(&r, busy ? 0.7e6 : 2e6) + 1;
                continue;
            }
            uint64_t handle = 0;
            bool drop = true;
            while (drop && queue_pop(&f.s, f.entries, f.p, now, &handle, &drop)) {
                drops += drop;
            }
            const Packet *served = rfc_dequeue(&rfc, now);
            assert_int_equal(served ? served->tstamp : 0, drop ? 0 : (int64_t)handle);
            if (!served) {
                codel_empty(&f.s.codel);
            }
            next_out += 1 * MS;
        }
        assert_int_equal(drops, rfc.drops);
        assert_true(drops > 5);
    }
}

// RFC 8289: intervals between drops shrink with the square root of their number: 100, 70.7, 57.7,
// 50 ms with the default interval.
static void test_control_law(void **state)
{
    (void)state;
    CodelState s = {0};
    int64_t at[6];
    int drops = 0;
    for (int64_t now = 1; drops < 6; now += 1 * NS_PER_US) {
        if (codel_drop(&s, 5 * MS, 100 * MS, now, 6 * MS, 10)) {
            at[drops++] = now;
        }
    }
    static const double gaps_ms[] = {100, 70.71, 57.74, 50, 44.72};
    assert_true(fabs((double)at[0] / 1e6 - 100) < 0.01); // above the target for an interval
    for (int i = 0; i < 5; i++) {
        assert_true(fabs((double)(at[i + 1] - at[i]) / 1e6 - gaps_ms[i]) < 0.02);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_room_is_the_end),
        cmocka_unit_test(test_against_a_list), cmocka_unit_test(test_codel_is_the_rfc),
        cmocka_unit_test(test_control_law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
