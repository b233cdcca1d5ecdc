#include "improve/place_test.h"

#include "improve/memory.h"

static void put(Fixture *f, const char *name, const char *text)
{
    char at[200];
    (void)snprintf(at, sizeof at, "%s/%s", f->dir, name);
    assert_int_equal(file_write(at, slice_from_cstr(text), NULL, NULL), 0);
}

static void test_heads(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; // NULL: good
    } CASES[] = {
        {"---\nkind: avoid\nfiles: [a.c]\n---\nfrozen\n", NULL},
        {"---\n---\nwords\n", NULL},
        {"no head", "memory/n.md:1:1"},
        {"---\nkind: fact\n", "closing"},
        {"---\nkind: rumour\n---\nx", "memory/n.md:2:7"},
        {"---\nkin: fact\n---\nx", "kind"},
        {"---\nfiles: [../../etc/passwd]\n---\nx", "memory/n.md:2:9"},
        {"---\nkind: fact\n---\n", "says nothing"},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Arena *arena = arena_create(4 << 20);
        MemoryNote note;
        Err e = {0};
        int rc = memory_note_read(arena, SLICE("n"), slice_from_cstr(CASES[i].text), &note, &e);
        if ((rc == 0) != (CASES[i].want == NULL) ||
            (CASES[i].want && !strstr(e.text, CASES[i].want))) {
            fail_msg("%s: %d %s", CASES[i].text, rc, e.text);
        }
        arena_destroy(arena);
    }
}

static void test_size_limit(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        Arena *arena = arena_create(4 << 20);
        Buf file = buf_create(8192);
        MemoryNote note;
        buf_puts(&file, "---\n---\n");
        while (file.len < (size_t)MEMORY_NOTE_BYTES_MAX + (size_t)extra) {
            buf_putc(&file, 'x');
        }
        assert_int_equal(memory_note_read(arena, SLICE("n"), buf_slice(&file), &note, NULL),
                         extra ? ERR_LIMIT : 0);
        buf_done(&file);
        arena_destroy(arena);
    }
}

static void test_round_trip_and_whose_it_is(void **state)
{
    Fixture *f = *state;
    Slice files[] = {SLICE("src/a b.c")};
    MemoryNote note = {.name = SLICE("g1"),
                       .kind = NOTE_TRIED,
                       .by = NOTE_BY_PERFWRIGHT,
                       .files = {files, 1, NULL},
                       .goal = SLICE("g1"),
                       .text = SLICE("NO EFFECT")};
    Memory memory;
    assert_int_equal(memory_save(&f->place, &note, false, NULL), 0);
    assert_int_equal(memory_save(&f->place, &note, false, NULL), ERR_EXISTS);
    assert_int_equal(memory_save(&f->place, &note, true, NULL), 0);
    assert_int_equal(memory_load(&f->place, f->arena, &memory, NULL), 0);
    assert_int_equal(memory.count, 1);
    assert_int_equal(memory.notes[0].kind, NOTE_TRIED);
    assert_true(slice_eq(memory.notes[0].files.items[0], files[0]));
    assert_true(slice_eq_cstr(memory.notes[0].text, "NO EFFECT"));
    put(f, ".perfwright/memory/g1.md", "---\nby: person\n---\nmine now\n");
    assert_int_equal(memory_save(&f->place, &note, true, NULL), ERR_REFUSED);
    note.name = SLICE("../x");
    assert_int_equal(memory_save(&f->place, &note, true, NULL), ERR_ARG);
}

static void test_what_is_gone_is_stale(void **state)
{
    Fixture *f = *state;
    Memory memory;
    assert_int_equal(
        dir_make_all(arena_printf(f->arena, "%s/.perfwright/memory", f->dir).ptr, NULL), 0);
    put(f, "here.c", "x");
    put(f, ".perfwright/memory/a.md", "---\nby: perfwright\nfiles: [here.c]\n---\nx\n");
    put(f, ".perfwright/memory/b.md", "---\nby: perfwright\nfiles: [gone.c]\n---\nx\n");
    put(f, ".perfwright/memory/c.md", "---\ncommand: A=1 sh -c true\n---\nx\n");
    put(f, ".perfwright/memory/d.md", "---\ncommand: ./run.sh\n---\nx\n");
    put(f, ".perfwright/memory/e.md", "no note");
    assert_int_equal(memory_load(&f->place, f->arena, &memory, NULL), 0);
    assert_int_equal(memory.count, 5);
    assert_true(memory.notes[4].broken);
    assert_int_equal(memory_check(&f->place, f->arena, &memory, "/usr/bin:/bin"), 2);
    static const bool STALE[] = {false, true, false, true};
    for (size_t i = 0; i < COUNT_OF(STALE); i++) {
        assert_int_equal(memory.notes[i].stale, STALE[i]);
    }
    assert_int_equal(memory_load(&f->place, f->arena, &memory, NULL), 0);
    assert_true(memory.notes[1].stale);  // marked in its file
    assert_false(memory.notes[3].stale); // a person's is left alone
    put(f, "gone.c", "x");
    (void)memory_check(&f->place, f->arena, &memory, "/usr/bin:/bin");
    assert_false(memory.notes[1].stale);
    Slice names[] = {SLICE("a.md"), SLICE("z.md"), SLICE("README")};
    Slice contents[] = {SLICE("---\n---\nother\n"), SLICE("---\n---\nbranch\n"), SLICE("x")};
    assert_int_equal(memory_add_branch(f->arena, &memory, names, contents, 3, NULL), 0);
    assert_int_equal(memory.count, 6);
    assert_true(memory.notes[5].on_branch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test_setup_teardown(test_round_trip_and_whose_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_gone_is_stale, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
