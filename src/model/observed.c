#include "model/observed.h"

#include <math.h>

#include "base/json_write.h"

enum { HASH_SHOWN = 16 }; // hexadecimal digits, enough for one name

typedef struct Ranges {
    const SystemRange *items;
    uint32_t count;
} Ranges;

static Ranges ranges_of(const System *sys, SystemPlace place, uint32_t index)
{
    return place == PLACE_AGENT
               ? (Ranges){sys->agents[index].ranges, sys->agents[index].range_count}
               : (Ranges){sys->edges[index].ranges, sys->edges[index].range_count};
}

// ---- which rows belong together

// One value for all of what rows may differ in. Not through system_set: the lower ends of all
// ranges together may contradict each other, and nobody runs this System.
static void level(System *sys, SystemPlace place, uint32_t index)
{
    Ranges ranges = ranges_of(sys, place, index);
    for (uint32_t i = 0; i < ranges.count; i++) {
        uint16_t param = ranges.items[i].param;
        ParamValue value = system_value(param, ranges.items[i].low);
        if (place == PLACE_EDGE) {
            sys->edges[index].policy[param] = value;
        } else if (param == SYSTEM_PARAM_SERVERS) {
            sys->agents[index].servers = (uint32_t)value.integer;
        } else {
            sys->agents[index].has_policy = true;
            sys->agents[index].policy[param] = value;
        }
    }
}

// Spikes stay: a row says how large the largest one is, but not when they come.
static void level_client(SystemClient *c)
{
    if (c->users > 0) {
        c->users = 1;
    } else {
        c->per_second = c->scv = 1;
    }
}

int observed_set(Arena *arena, const System *sys, ObservedKind kind, Slice *ret_set, Err *e)
{
    System *levelled = system_copy(arena, sys);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        level(levelled, PLACE_AGENT, i);
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        level(levelled, PLACE_EDGE, i);
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        level_client(&levelled->clients[i]);
    }
    Buf text = buf_create(OBSERVED_SYSTEM_MAX);
    JsonWriter w = json_writer(&text, 0);
    system_write(levelled, &w);
    int rc = buf_check(&text, "the system", e);
    if (rc == 0) {
        Sha256 hash = sha256_of(buf_slice(&text));
        char hex[SHA256_HEX + 1];
        sha256_hex(&hash, hex);
        *ret_set = arena_printf(arena, "%.*s@%.*s%s", SLICE_FMT(sys->name), HASH_SHOWN, hex,
                                kind == OBSERVED_WINDOWS ? "/windows" : "");
    }
    buf_done(&text);
    return rc;
}

Sha256 observed_policies(const System *sys)
{
    Buf values = buf_create(SIZE_MAX / 2);
    for (int place = PLACE_AGENT; place <= PLACE_EDGE; place++) {
        uint32_t count = place == PLACE_AGENT ? sys->agent_count : sys->edge_count;
        for (uint32_t i = 0; i < count; i++) {
            Ranges ranges = ranges_of(sys, (SystemPlace)place, i);
            for (uint32_t k = 0; k < ranges.count; k++) {
                SystemParam what = {(SystemPlace)place, i, ranges.items[k].param};
                double value = system_number(what.param, system_get(sys, what));
                buf_append(&values, (Slice){(const char *)&value, sizeof value});
            }
        }
    }
    Sha256 hash = sha256_of(buf_slice(&values));
    buf_done(&values);
    return hash;
}

// ---- rows

// The load of a window as it came: spikes are in it.
static const System *as_it_came(Arena *arena, const System *sys, const Outcome *outcome)
{
    System *now = system_copy(arena, sys);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        SystemClient *c = &now->clients[i];
        double offered = outcome->clients[i].offered.value;
        if (c->users == 0 && isfinite(offered)) {
            c->per_second = offered;
            c->spike_count = 0;
        }
    }
    return now;
}

int observed_store(Ledger *ledger, const System *sys, const Outcome *outcome, ObservedKind kind,
                   Slice source, int64_t at_unix_ns, Err *e)
{
    Arena *arena = arena_create((size_t)4 * OBSERVED_SYSTEM_MAX);
    Dataset *d = dataset_create();
    Slice set = {0};
    int rc = observed_set(arena, sys, kind, &set, e);
    const System *seen = kind == OBSERVED_WINDOWS ? as_it_came(arena, sys, outcome) : sys;
    rc = rc != 0 ? rc : dataset_add_outcome(d, seen, outcome, source, at_unix_ns, e);
    rc = rc != 0 ? rc : dataset_store(d, ledger, set, e);
    dataset_destroy(d);
    arena_destroy(arena);
    return rc;
}

int observed_load(Dataset *d, Ledger *ledger, const System *sys, ObservedKind kind, Err *e)
{
    Arena *arena = arena_create((size_t)4 * OBSERVED_SYSTEM_MAX);
    Slice set = {0};
    int rc = observed_set(arena, sys, kind, &set, e);
    rc = rc != 0 ? rc : dataset_load_ledger(d, ledger, set, e);
    arena_destroy(arena);
    return rc;
}
