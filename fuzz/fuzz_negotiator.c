// Whatever peers say to a negotiator. Each line is a message, after two characters: who sends it,
// and how much time passed. Properties: no crash; at most one holder a place; no lease that is
// over; what is applied is held by a lease or on its way back, and at the end, when time alone
// passes, nothing is held and all that was not kept is back.
#include <assert.h>

#include "manage/negotiator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 200, STEPS_MAX = 100000 };

typedef struct Host {
    Negotiator *n;
    int64_t now_ns;
    bool applied; // the one place is not as it was, and not kept
} Host;

static bool owns(void *ctx, Slice param)
{
    (void)ctx;
    return slice_starts_with(param, SLICE("me."));
}

// The time of day decides what the host says, so that lines can choose it.
static void decide(Host *h, const NegotiatorAction *act)
{
    MessageChange change = {SLICE("you.x"), SLICE("1")};
    Slice owner = SLICE("b");
    NegotiationPlan plan = {.changes = &change, .owners = &owner, .change_count = 1};
    NegotiatorDecision yes = {.answer = MESSAGE_ACCEPT};
    NegotiatorDecision no = {.answer = MESSAGE_COUNTER, .changes = &change, .change_count = 1};
    uint64_t deal;
    int64_t what = h->now_ns / NS_PER_MS % 4;
    if (what == 0 && negotiator_propose_for(h->n, h->now_ns, act->grant, &plan, &deal, NULL) == 0) {
        return;
    }
    negotiator_decide(h->n, h->now_ns, act->grant, what == 3 ? &no : &yes);
}

static void run(Host *h)
{
    MessageChange old = {SLICE("me.x"), SLICE("0")};
    for (NegotiatorAction act; negotiator_next_action(h->n, &act);) {
        if (act.kind == ACTION_VALIDATE) {
            decide(h, &act);
        } else if (act.kind == ACTION_APPLY) {
            assert(!h->applied);
            h->applied = true;
            negotiator_applied(h->n, h->now_ns, act.grant, true, &old, 1, (Slice){0});
        } else if (act.kind == ACTION_ROLLBACK) {
            h->applied = false;
            negotiator_rolled_back(h->n, h->now_ns, act.grant, true);
        } else if (act.kind == ACTION_GRANT && act.grant_state == GRANT_KEPT) {
            h->applied = false;
        } else if (act.kind == ACTION_WATCH) {
            (void)!negotiator_keep(h->n, h->now_ns, act.deal, NULL);
        }
    }
}

static void check(const Host *h)
{
    LeaseView views[4];
    size_t count = negotiator_leases(h->n, views, COUNT_OF(views));
    assert(count <= 1); // "me" is the only place
    assert(!h->applied || count == 1);
    bool timed = count == 1 && (views[0].state == GRANT_LEASED || views[0].state == GRANT_APPLIED);
    assert(!timed || views[0].until_ns > h->now_ns);
}

static void pass_time(Host *h, int64_t until_ns)
{
    for (int steps = 0; negotiator_next_due(h->n) <= until_ns; steps++) {
        assert(steps < STEPS_MAX);
        int64_t due = negotiator_next_due(h->n);
        h->now_ns = due > h->now_ns ? due : h->now_ns;
        negotiator_tick(h->n, h->now_ns);
        run(h);
        check(h);
    }
    h->now_ns = until_ns > h->now_ns ? until_ns : h->now_ns;
}

static void hear(Host *h, Arena *arena, Slice line)
{
    Message m;
    if (line.len < 2) {
        return;
    }
    pass_time(h, h->now_ns + (int64_t)(uint8_t)line.ptr[1] * 7 * NS_PER_MS);
    arena_reset(arena);
    if (message_read(arena, slice_sub(line, 2, line.len), &m, NULL) == 0) {
        negotiator_receive(h->n, h->now_ns, slice_sub(line, 0, 1), &m);
        run(h);
        check(h);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Host h = {.now_ns = NS_PER_S};
    Arena *arena = arena_create(MESSAGE_ARENA_MAX);
    h.n = negotiator_create(&(NegotiatorOptions){.agent = SLICE("me"),
                                                 .incarnation = 1,
                                                 .owns = owns,
                                                 .ctx = &h,
                                                 .lease_ns = NS_PER_S,
                                                 .hold_ns = 20 * NS_PER_S});
    Slice rest = {(const char *)data, size}, line;
    for (int lines = 0; rest.len > 0 && lines < LINES_MAX; lines++) {
        (void)slice_cut(rest, '\n', &line, &rest);
        hear(&h, arena, line);
    }
    pass_time(&h, h.now_ns + 1000 * NS_PER_S);
    assert(negotiator_leases(h.n, NULL, 0) == 0 && !h.applied);
    assert(negotiator_deals(h.n) == 0);
    negotiator_destroy(h.n);
    arena_destroy(arena);
    return 0;
}
