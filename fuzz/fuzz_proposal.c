// The document of a proposal (manage/plan_message.h): whatever the text, words about what is wrong,
// or a plan that says the same after a round trip through the document and through messages, and
// that either can be applied or is refused with words.
#include "manage/plan_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16, ROOM = 64 << 20 };

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz proposal: %s", what);
    }
}

static const char SYSTEM[] = "version = 1\n"
                             "[[agents.a.calls]]\n"
                             "to = [\"b\", \"c\"]\n"
                             "[agents.b]\n"
                             "servers = 4\n"
                             "service = \"10ms\"\n"
                             "policy = {limit = {kind = \"fixed\", value = 9}}\n"
                             "range = {\"servers\" = [1, 9]}\n"
                             "[agents.c]\n"
                             "service = \"5ms\"\n"
                             "[[edges]]\n"
                             "from = \"a\"\n"
                             "to = \"b\"\n"
                             "range = {\"retry.attempts\" = [1, 4]}\n"
                             "[clients.load]\n"
                             "to = \"a\"\n"
                             "rate = 3.0\n"
                             "[objectives.load]\n"
                             "goodput = 0.9\n";

static void check_wire(Arena *arena, const System *sys, const Plan *plan)
{
    MessageChange changes[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    uint32_t owners[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    Plan back;
    size_t count = plan_to_changes(arena, sys, plan, changes, owners);
    require(count == plan->count + plan->program_count, "a change got lost");
    require(plan_from_changes(arena, sys, changes, count, &back, NULL) == 0,
            "our own changes are refused");
    require(plan_hash(sys, plan) == plan_hash(sys, &back), "messages change a plan");
}

static void check_apply(Arena *arena, const System *sys, const Plan *plan)
{
    System *after = NULL;
    Err e = {0};
    if (plan_apply(arena, sys, plan, &after, &e) != 0) {
        require(e.text[0] != '\0', "refused without words");
        return;
    }
    Plan again = *plan;
    plan_trim(after, &again);
    require(again.count == 0, "applied, and yet not there");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(ROOM);
    System *sys = NULL;
    require(system_parse(arena, slice_from_cstr(SYSTEM), "fuzz", &sys, NULL) == 0, "the System");
    PlanDocument document, back;
    Err e = {0};
    int rc = plan_document_read(arena, sys, (Slice){(const char *)data, size}, &document, &e);
    if (rc != 0) {
        require(rc < 0 && e.text[0] != '\0', "refused without words");
        arena_destroy(arena);
        return 0;
    }
    require(document.plan.count <= PLAN_CHANGES_MAX, "too many changes");
    require(document.plan.program_count <= PLAN_PROGRAMS_MAX, "too many programs");
    Slice text = plan_document_write(arena, sys, &document);
    require(plan_document_read(arena, sys, text, &back, NULL) == 0, "our own text is refused");
    require(plan_hash(sys, &document.plan) == plan_hash(sys, &back.plan) &&
                document.client == back.client,
            "a round trip changes it");
    check_wire(arena, sys, &document.plan);
    check_apply(arena, sys, &document.plan);
    arena_destroy(arena);
    return 0;
}
