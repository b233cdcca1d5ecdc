// Documents of performance interfaces, which come from other agents: whatever the text, words about
// what is wrong, or an interface that is written and read back as the same bytes, that composes to
// a System or to words, and whose System answers a question without an estimate outside of its
// interval.
#include <math.h>

#include "model/interface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16, ROOM = 64 << 20, AGENTS_MAX = 16 };

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz interface: %s", what);
    }
}

static Slice written(Arena *arena, const Interface *in)
{
    Buf out = buf_create(4 * INTERFACE_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    interface_write(in, &w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static void check_round_trip(Arena *arena, const Interface *in)
{
    Slice text = written(arena, in);
    const Doc *doc = NULL;
    Interface *back = NULL;
    require(doc_parse(arena, text, NULL, &doc, NULL) == 0, "what was written is no JSON");
    require(interface_read(arena, doc, &back, NULL) == 0, "what was written is not read");
    require(slice_eq(written(arena, back), text), "what was read is written otherwise");
}

static void check_answers(Arena *arena, const System *sys)
{
    InterfaceProgram *program = NULL;
    if (sys->client_count == 0 || interface_program(sys, &program, NULL) != 0) {
        return;
    }
    InterfaceQuery query = {.budget_ns = 1, .outside = true};
    InterfaceAnswer answer;
    require(interface_query(program, arena, &query, &answer, NULL) == 0, "a question failed");
    for (uint32_t i = 0; i < sys->client_count; i++) {
        const ClientOutcome *c = &answer.outcome->clients[i];
        require(!(c->p99.low > c->p99.high) && !(c->p50.value > c->p99.value), "p99");
        require(c->goodput.value >= 0 && c->goodput.value <= 1 + 1e-9, "goodput");
    }
    interface_program_destroy(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(ROOM);
    Slice text = {(const char *)data, size};
    DocOptions options = {.format = DOC_FORMAT_JSON, .max_nodes = 20000};
    const Doc *doc = NULL;
    Interface *in = NULL;
    if (doc_parse(arena, text, &options, &doc, NULL) == 0) {
        Err e = {0};
        int rc = interface_read(arena, doc, &in, &e);
        require(rc == 0 || e.text[0] != '\0', "refused without a word");
        if (rc == 0) {
            check_round_trip(arena, in);
            const Interface *list[] = {in, in};
            InterfaceComposeOptions ask = {.now_unix_ns = INT64_C(1000000000000)};
            InterfaceKnown known;
            rc = interface_compose(arena, list, 2, &ask, &known, &e);
            require(rc == 0 || e.text[0] != '\0', "not composed without a word");
            if (rc == 0 && known.sys->agent_count <= AGENTS_MAX) {
                check_answers(arena, known.sys);
            }
        }
    }
    arena_destroy(arena);
    return 0;
}
