// System documents: whatever the text, words about what is wrong, or a System that is written, read
// again and written as the same bytes, whose requests all end somewhere. JSON when it begins with a
// brace, else TOML.
#include "model/system.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16, ROOM = 64 << 20 };

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz system: %s", what);
    }
}

static void check_parts(const System *sys)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        uint32_t from = edge->from & ~SYSTEM_FROM_CLIENT;
        require(edge->to < sys->agent_count, "an edge to nowhere");
        require(from < (edge->from & SYSTEM_FROM_CLIENT ? sys->client_count : sys->agent_count),
                "an edge from nowhere");
        require(policy_check(edge->policy, NULL) == 0, "policies out of range");
        require(system_find_edge(sys, edge->name) == (ptrdiff_t)i, "an edge of another's name");
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        require(dist_check(&sys->agents[i].service, NULL) == 0, "work out of range");
        require(policy_check(sys->agents[i].policy, NULL) == 0, "policies out of range");
    }
    double *visits = mem_zalloc((sys->agent_count + 1) * sizeof *visits);
    for (uint32_t i = 0; i < sys->client_count && i < 4; i++) {
        double sum = 0;
        system_visits(sys, i, visits);
        for (uint32_t k = 0; k < sys->agent_count; k++) {
            sum += visits[k];
        }
        require(sum >= 1 && sum <= SYSTEM_VISITS_MAX * 1.001, "visits out of range");
    }
    free(visits);
}

static void check_changes(Arena *arena, System *sys)
{
    for (uint32_t i = 0; i < sys->edge_count && i < 8; i++) {
        const SystemRange *range = sys->edges[i].ranges;
        SystemParam what = {PLACE_EDGE, i, range ? range->param : P_RETRY_ATTEMPTS};
        SystemParam found;
        Buf name = buf_create(4096);
        system_param_name(sys, what, &name);
        require(system_find_param(sys, buf_slice(&name), &found, NULL) == 0 &&
                    found.place == what.place && found.index == i && found.param == what.param,
                "a parameter is not found by its name");
        buf_done(&name);
        SystemChange change = {what, system_value(what.param, range ? range->low : 2)};
        System *copy = system_copy(arena, sys);
        ParamValue before = system_get(sys, what);
        if (system_set(copy, &change, NULL) == 0) {
            require(system_number(what.param, system_get(copy, what)) ==
                        system_number(what.param, change.value),
                    "a change without effect");
        }
        require(system_number(what.param, system_get(sys, what)) ==
                    system_number(what.param, before),
                "a change of a copy changes the original");
        require((system_allowed(sys, &change, NULL) == 0) == (range != NULL),
                "an owner's range is ignored");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(ROOM);
    DocOptions options = {.format = size && data[0] == '{' ? DOC_FORMAT_JSON : DOC_FORMAT_TOML,
                          .source = "f",
                          .max_nodes = 20000};
    const Doc *doc = NULL;
    System *sys = NULL, *again = NULL;
    Err e = {0};
    int line = 0, column = 0;
    if (doc_parse(arena, (Slice){(const char *)data, size}, &options, &doc, &e) != 0) {
        arena_destroy(arena);
        return 0;
    }
    if (system_read(arena, doc, &sys, &e) != 0) {
        require(sscanf(e.text, "f:%d:%d: ", &line, &column) == 2, "an error without a position");
        arena_destroy(arena);
        return 0;
    }
    check_parts(sys);
    Buf first = buf_create(16 << 20), second = buf_create(16 << 20);
    JsonWriter w = json_writer(&first, 0);
    system_write(sys, &w);
    require(doc_parse(arena, buf_slice(&first), NULL, &doc, &e) == 0, "what is written is no JSON");
    require(system_read(arena, doc, &again, &e) == 0, e.text);
    w = json_writer(&second, 0);
    system_write(again, &w);
    require(slice_eq(buf_slice(&first), buf_slice(&second)), "written twice, it differs");
    check_changes(arena, sys);
    buf_done(&first);
    buf_done(&second);
    arena_destroy(arena);
    return 0;
}
