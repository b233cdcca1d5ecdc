// A few tests cannot pass in a sandbox: they want a network, a user name, a terminal. The judge
// needs a command that ends with 0 on the unchanged tree, so these are left out by name, which is
// said in the step; where many fail, or the runner has no way to leave one out, nothing is done.
#include "improve/configure_impl.h"

enum { DESELECT_MAX = 40, NAME_MAX_BYTES = 300 };

typedef struct Names {
    Slice items[DESELECT_MAX];
    size_t count;
    bool too_many;
} Names;

static void add(Names *n, Slice name)
{
    name = slice_trim(name);
    if (name.len == 0 || name.len > NAME_MAX_BYTES || slice_find_byte(name, '\'') >= 0) {
        n->too_many |= name.len > 0; // one that cannot be written down fails again
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        if (slice_eq(n->items[i], name)) {
            return;
        }
    }
    if (n->count == DESELECT_MAX) {
        n->too_many = true;
        return;
    }
    n->items[n->count++] = name;
}

static Slice up_to(Slice s, const char *end)
{
    ptrdiff_t at = slice_find(s, slice_from_cstr(end));
    return at < 0 ? s : slice_sub(s, 0, (size_t)at);
}

static Slice joined(Arena *arena, const Names *n, const char *before, const char *between_items,
                    const char *after)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    for (size_t i = 0; i < n->count; i++) {
        buf_puts(&out, i > 0 ? between_items : "");
        buf_puts(&out, before);
        buf_append(&out, n->items[i]);
        buf_puts(&out, after);
    }
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// "FAILED tests/a.py::test_x - AssertionError", "ERROR tests/b.py"
static Slice pytest(Arena *arena, const RepairQuestion *q, Names *n)
{
    Names files = {0};
    Slice rest = q->output, line;
    while (text_line(&rest, &line, NULL)) {
        bool failed = text_starts(line, "FAILED "), error = text_starts(line, "ERROR ");
        if (failed || error) {
            Slice name = up_to(slice_sub(line, failed ? 7 : 6, line.len), " - ");
            add(failed || text_has(name, "::") ? n : &files, name);
        }
    }
    n->too_many |= files.too_many || files.count > 6;
    Slice ignore = joined(arena, &files, " --ignore='", "", "'");
    Slice deselect = joined(arena, n, " --deselect='", "", "'");
    for (size_t i = 0; i < files.count; i++) {
        add(n, files.items[i]);
    }
    return arena_printf(arena, "%.*s%.*s%.*s", SLICE_FMT(q->run), SLICE_FMT(ignore),
                        SLICE_FMT(deselect));
}

static Slice escaped(Arena *arena, Slice name)
{
    Buf out = buf_create(4 * NAME_MAX_BYTES);
    for (size_t i = 0; i < name.len; i++) {
        if (strchr(".+*?()[]{}^$|\\", name.ptr[i]) != NULL) {
            buf_putc(&out, '\\');
        }
        buf_putc(&out, name.ptr[i]);
    }
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// "\t  3 - name (Failed)" below "The following tests FAILED:"
static Slice ctest(Arena *arena, const RepairQuestion *q, Names *n)
{
    Names patterns = {0};
    ptrdiff_t at = slice_find(q->output, SLICE("The following tests FAILED:"));
    Slice rest = slice_sub(q->output, at < 0 ? q->output.len : (size_t)at, q->output.len), line;
    while (text_line(&rest, &line, NULL)) {
        ptrdiff_t dash = slice_find(line, SLICE(" - ")), open = slice_find(line, SLICE(" ("));
        if (dash > 0 && open > dash) {
            Slice name = slice_sub(line, (size_t)dash + 3, (size_t)(open - dash) - 3);
            add(n, name);
            add(&patterns, escaped(arena, slice_trim(name)));
        }
    }
    n->too_many |= patterns.too_many;
    return arena_printf(arena, "%.*s -E '^(%.*s)$'", SLICE_FMT(q->run),
                        SLICE_FMT(joined(arena, &patterns, "", "|", "")));
}

// "--- FAIL: TestX (0.00s)" at the start of a line; those of subtests are indented.
static Slice go_test(Arena *arena, const RepairQuestion *q, Names *n)
{
    Slice rest = q->output, line;
    while (text_line(&rest, &line, NULL)) {
        if (text_starts(line, "--- FAIL: ")) {
            add(n, up_to(slice_sub(line, 10, line.len), " "));
        }
        n->too_many |= text_has(line, "[build failed]") || text_has(line, "[setup failed]");
    }
    return arena_printf(arena, "%.*s -skip '^(%.*s)$'", SLICE_FMT(q->run),
                        SLICE_FMT(joined(arena, n, "", "|", "")));
}

// "test a::b ... FAILED"
static Slice cargo_test(Arena *arena, const RepairQuestion *q, Names *n)
{
    Slice rest = q->output, line;
    while (text_line(&rest, &line, NULL)) {
        if (text_starts(line, "test ") && text_ends(line, "... FAILED")) {
            Slice name = slice_sub(line, 5, line.len - 5 - 11);
            // Examples in documentation are named by their place, which --skip matches as well.
            add(n, text_has(name, " - ") ? up_to(name, " (") : name);
        }
        n->too_many |= text_starts(line, "error: could not compile");
    }
    // The first failing target ends the run unless it is told not to.
    return arena_printf(arena, "%.*s --no-fail-fast --%.*s", SLICE_FMT(q->run),
                        SLICE_FMT(joined(arena, n, " --skip '", "", "'")));
}

// "[ERROR] Tests run: 5, Failures: 1, ... FAILURE! -- in com.x.FooTest" (or "- in")
static Slice maven(Arena *arena, const RepairQuestion *q, Names *n)
{
    Slice rest = q->output, line;
    while (text_line(&rest, &line, NULL)) {
        ptrdiff_t at = slice_find(line, SLICE(" in "));
        if (text_has(line, "<<< ") && text_has(line, "Tests run") && at > 0) {
            Slice type = slice_trim(slice_sub(line, (size_t)at + 4, line.len));
            add(n, slice_sub(path_extension(type), 0, 200));
        }
    }
    return arena_printf(arena, "%.*s -Dsurefire.failIfNoSpecifiedTests=false -Dtest='%.*s'",
                        SLICE_FMT(q->run), SLICE_FMT(joined(arena, n, "!", ",", "")));
}

bool configure_deselect(Arena *arena, const RepairQuestion *q, Repair *r)
{
    // pytest takes more of them each time; of the others only the last would count.
    if (q->stage != STAGE_TEST || q->count == NULL || text_has(q->run, " -E '") ||
        text_has(q->run, " -skip ") || text_has(q->run, "--skip ") ||
        text_has(q->run, "-Dtest='!")) {
        return false;
    }
    Names n = {0};
    Slice run = {0};
    if (text_has(q->run, "pytest")) {
        run = pytest(arena, q, &n);
    } else if (text_starts(q->run, "ctest")) {
        run = ctest(arena, q, &n);
    } else if (text_starts(q->run, "go test")) {
        run = go_test(arena, q, &n);
    } else if (text_has(q->run, "cargo test") && slice_find_byte(q->run, '\n') < 0) {
        run = cargo_test(arena, q, &n);
    } else if (text_starts(q->run, "mvn")) {
        run = maven(arena, q, &n);
    }
    // One in ten, or a handful: what is left must still be the repository's tests. A collection
    // that was interrupted counts nothing and gets one chance.
    int64_t passed = q->count->passed;
    bool few = (int64_t)n.count * 10 <= passed + 30 || (passed == 0 && n.count <= 6);
    if (n.count == 0 || n.too_many || !few || run.len > STEP_TEXT_MAX) {
        return false;
    }
    Slice names = joined(arena, &n, "", ", ", "");
    *r = (Repair){REPAIR_RUN, run,
                  arena_printf(arena, "left out, because they fail here unchanged: %.*s",
                               (int)(names.len < 600 ? names.len : 600), names.ptr)};
    return true;
}
