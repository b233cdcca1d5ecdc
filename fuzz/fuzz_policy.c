// Policies as documents, and the call under events in any order. The text up to the first NUL is
// TOML; what it says is read, written and read again. The bytes behind it drive eight calls through
// a block of those policies: two bytes an event, as no sane driver would send them.
#include "policy/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 8, BLOCK_MAX = 1 << 18 };

typedef struct World {
    PolicyBlock *block;
    CallState calls[CALLS];
    bool open[CALLS];
    uint32_t live[CALLS];
    int64_t now;
} World;

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz policy: %s", what);
    }
}

static bool same(const ParamValue *a, const ParamValue *b)
{
    for (size_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        bool real = POLICY_PARAMS[i].kind == PARAM_FLOAT,
             flag = POLICY_PARAMS[i].kind == PARAM_BOOL;
        if (real ? a[i].real != b[i].real
                 : (flag ? a[i].boolean != b[i].boolean : a[i].integer != b[i].integer)) {
            return false;
        }
    }
    return true;
}

static bool read_policy(Slice text, ParamValue *values)
{
    Arena *arena = arena_create(8 << 20);
    const Doc *doc = NULL, *back = NULL;
    DocOptions toml = {.format = DOC_FORMAT_TOML, .max_bytes = 1 << 16, .max_nodes = 10000};
    Err e;
    policy_defaults(values);
    bool good = doc_parse(arena, text, &toml, &doc, &e) == 0 && policy_read(doc, values, &e) == 0;
    require(policy_check(values, &e) == 0, "values out of range");
    if (good) {
        ParamValue again[POLICY_PARAM_COUNT];
        Buf out = buf_create(1 << 16);
        JsonWriter w = json_writer(&out, 0);
        policy_defaults(again);
        policy_write(values, &w);
        require(doc_parse(arena, buf_slice(&out), NULL, &back, &e) == 0,
                "written policy is no JSON");
        require(policy_read(back, again, &e) == 0 && same(values, again), "written policy differs");
        buf_done(&out);
    }
    arena_destroy(arena);
    return good;
}

static void step(World *w, size_t at, const CallEvent *event)
{
    CallActions todo;
    call_step(w->block, &w->calls[at], event, w->now, &todo);
    require(todo.count <= CALL_ACTIONS_MAX, "too many actions");
    for (uint32_t i = 0; i < todo.count; i++) {
        const CallAction *a = &todo.list[i];
        require(w->open[at], "an action of a call that has ended");
        if (a->kind == CALL_DO_START) {
            w->live[at]++;
        } else if (a->kind == CALL_DO_CANCEL) {
            w->live[at]--;
        } else if (a->kind == CALL_DO_COMPLETE) {
            require(w->live[at] == 0, "an attempt outlives its call");
            w->open[at] = false;
        }
    }
    if (todo.drain && !w->block->draining) {
        w->block->draining = true;
        for (CallWork work; policy_next_work(w->block, w->now, &work);) {
            if (work.slot == CACHE_NONE) {
                step(w, work.handle, &work.event);
            }
        }
        w->block->draining = false;
    }
}

static bool is_live(const CallState *call, uint32_t attempt)
{
    for (uint32_t i = 0; i < call->live_count; i++) {
        if (call->live[i].number == attempt) {
            return true;
        }
    }
    return false;
}

static void drive(World *w, uint8_t what, uint8_t how)
{
    size_t at = what >> 3 & 7;
    w->now += (int64_t)(how & 15) << (how >> 4);
    CallOptions options = {.handle = at,
                           .task = how,
                           .key = {.low = how & 3},
                           .deadline_ns = what & 64 ? w->now + 1000 * how : 0,
                           .priority = how & 7,
                           .once = how == 255};
    CallEvent event = {.kind = (CallEventKind)(what & 3), .attempt = how & 7, .bytes = how};
    if (event.kind == CALL_START && w->open[at]) {
        event.kind = CALL_COMMIT;
    } else if (event.kind == CALL_START) {
        w->open[at] = true;
        w->calls[at].stage = CALL_STAGE_NEW;
        event.start = &options;
    } else if (!w->open[at]) {
        w->calls[at].stage = CALL_STAGE_DONE;
    }
    if (event.kind == CALL_ATTEMPT_DONE) {
        event.outcome = (CallOutcome)(how % 5);
        event.code = event.outcome == CALL_SUCCESS ? 0 : ERR_IO;
        event.retry_after_ns = how * 100;
        w->live[at] -= w->open[at] && is_live(&w->calls[at], event.attempt);
    }
    step(w, at, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t text = nul ? (size_t)(nul - data) : size;
    ParamValue values[POLICY_PARAM_COUNT];
    bool good = read_policy((Slice){(const char *)data, text}, values);
    PolicyShape shape = policy_shape(values);
    if (!good || !nul || policy_bytes(&shape) > BLOCK_MAX) {
        return 0;
    }
    World w = {.block = mem_alloc(policy_bytes(&shape))};
    policy_init(w.block, &shape, values, 1, 0);
    for (size_t i = text + 1; i + 1 < size; i += 2) {
        drive(&w, data[i], data[i + 1]);
        uint32_t live = 0;
        for (size_t k = 0; k < CALLS; k++) {
            live += w.live[k];
        }
        require(live == w.block->limit.in_flight, "places and attempts differ");
    }
    for (size_t k = 0; k < CALLS; k++) {
        if (w.open[k]) {
            step(&w, k, &(CallEvent){.kind = CALL_CANCEL});
        }
    }
    uint64_t ended = 0;
    for (int i = 0; i < CALL_REASON_COUNT; i++) {
        ended += w.block->ended[i];
    }
    require(ended == w.block->started, "a call did not end exactly once");
    require(w.block->limit.in_flight == 0 && w.block->queue.count == 0 &&
                w.block->flight.count == 0,
            "something is left behind");
    free(w.block);
    return 0;
}
