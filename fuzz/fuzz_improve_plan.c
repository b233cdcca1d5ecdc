// The texts that `improve` shares with people: plan.json up to the first NUL, plan.md up to the
// second, a note of the memory up to the third, and behind it what an engine wrote. What is read is
// written and read again; a plan written over a person's file keeps it, and again changes nothing.
#include "improve/memory.h"
#include "improve/plan_doc.h"
#include "improve/strike.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz improve_plan: %s", what);
    }
}

static Slice cut(Slice *rest)
{
    Slice head;
    (void)slice_cut(*rest, '\0', &head, rest);
    return head;
}

static void written_again(Arena *arena, const PlanDoc *plan)
{
    Buf first = buf_create(8 << 20), second = buf_create(8 << 20);
    JsonWriter w = json_writer(&first, 0);
    PlanDoc back;
    Err e = {0};
    plan_doc_write(plan, &w);
    // What was read from files of one megabyte may be written longer: escapes.
    if (first.len <= PLAN_BYTES_MAX) {
        require(plan_doc_read(arena, buf_slice(&first), "again", &back, &e) == 0, e.text);
        w = json_writer(&second, 0);
        plan_doc_write(&back, &w);
        require(slice_eq(buf_slice(&first), buf_slice(&second)), "written differently");
    }
    buf_done(&first);
    buf_done(&second);
}

static void markdown_settles(const PlanDoc *plan, Slice old)
{
    Buf first = buf_create(PLAN_BYTES_MAX), second = buf_create(PLAN_BYTES_MAX);
    if (plan_doc_markdown(plan, old, &first, NULL) == 0 &&
        plan_doc_markdown(plan, buf_slice(&first), &second, NULL) == 0) {
        require(slice_eq(buf_slice(&first), buf_slice(&second)), "plan.md does not settle");
    }
    buf_done(&first);
    buf_done(&second);
}

static void take_plan(Arena *arena, Slice json, Slice markdown)
{
    PlanDoc plan = {0};
    Err e = {0};
    if (plan_doc_read(arena, json, "plan.json", &plan, &e) == 0) {
        written_again(arena, &plan);
        markdown_settles(&plan, markdown);
    } else {
        plan = (PlanDoc){0};
    }
    if (plan_doc_take_edits(arena, markdown, &plan, &e) == 0) {
        require(plan.goal_count <= PLAN_GOALS_MAX, "too many goals");
        for (size_t i = 0; i < plan.goal_count; i++) {
            require(slice_find_byte(plan.goals[i].title, '\n') < 0, "a title of two lines");
        }
    }
}

static void take_note(Arena *arena, Slice text)
{
    MemoryNote note, back;
    if (memory_note_read(arena, SLICE("n"), text, &note, NULL) != 0) {
        return;
    }
    Buf out = buf_create(1 << 20);
    memory_note_write(&note, &out);
    if (out.len <= MEMORY_NOTE_BYTES_MAX) { // quoting may make it longer
        require(memory_note_read(arena, SLICE("n"), buf_slice(&out), &back, NULL) == 0,
                "a note cannot be read again");
        require(back.kind == note.kind && back.by == note.by && slice_eq(back.text, note.text),
                "a note changed");
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Slice rest = {(const char *)data, size};
    Slice json = cut(&rest), markdown = cut(&rest), note = cut(&rest);
    take_plan(arena, json, markdown);
    take_note(arena, note);
    Buf out = buf_create(4 << 20);
    (void)strike_figures(rest, &out);
    for (size_t i = 0; i < out.len; i++) {
        unsigned char c = (unsigned char)out.data[i];
        require(c >= 0x20 || c == '\n' || c == '\t', "a control character came through");
    }
    buf_done(&out);
    arena_destroy(arena);
    return 0;
}
