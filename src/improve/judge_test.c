// The judge on tiny programs: real builds, real sandboxes, small budgets. What depends on noise is
// made so large (twenty times) that a busy machine cannot hide it; the rules of verdicts have their
// own test without any clock (judge_verdict_test.c).
#include "improve/judge.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "improve/steps.h"
#include "os/file.h"
#include "os/sandbox.h"

typedef struct Box {
    char dir[64];
    Arena *arena;
    Err e;
    bool sandbox;
} Box;

static int setup(void **state)
{
    Box *box = mem_zalloc(sizeof *box);
    (void)snprintf(box->dir, sizeof box->dir, "/tmp/judge.XXXXXX");
    assert_non_null(mkdtemp(box->dir));
    box->arena = arena_create(1 << 30);
    box->sandbox = sandbox_check(&box->e) == 0;
    *state = box;
    return 0;
}

static int teardown(void **state)
{
    Box *box = *state;
    arena_destroy(box->arena);
    assert_int_equal(dir_remove_all(box->dir, &box->e), 0);
    free(box);
    return 0;
}

// Sixty-four thousand letters, each counted two hundred times by the slow one; the file's name is
// the only argument.
#define MAIN_C                                                                                     \
    "#include <stdio.h>\n"                                                                         \
    "unsigned long work(const char *s, unsigned long n);\n"                                        \
    "static char text[1 << 20];\n"                                                                 \
    "int main(int argc, char **argv)\n"                                                            \
    "{\n"                                                                                          \
    "    FILE *f = argc > 1 ? fopen(argv[1], \"rb\") : 0;\n"                                       \
    "    unsigned long n = f ? fread(text, 1, sizeof text - 1, f) : 0;\n"                          \
    "    printf(\"%lu\\n\", work(text, n));\n"                                                     \
    "    return f ? 0 : 1;\n"                                                                      \
    "}\n"
#define MAKEFILE                                                                                   \
    "prog: main.c work.c\n\tcc -O1 -o prog main.c work.c\n"                                        \
    "check: prog\n\tsh tests/run.sh\n"
#define TEST_SH                                                                                    \
    "printf abc > /tmp/in; test \"$(./prog /tmp/in)\" = 294 || { echo '1 tests failed'; exit 1; "  \
    "}\necho '2 tests passed'\n"

static void put(Box *box, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", box->dir, name);
    assert_int_equal(file_write(path, slice_from_cstr(text), NULL, &box->e), 0);
}

// The body of work(), one line, as every diff below replaces it.
static const char *const QUICK = "for (i = 0; i < n; i++) h += s[i];";
static const char *const SLOW =
    "for (int r = 0; r < 200; r++) { volatile unsigned long k = 0; for (i = 0; i < n; i++) k += "
    "s[i]; h = k; }";

static void put_repository(Box *box, const char *body)
{
    char dir[128];
    (void)snprintf(dir, sizeof dir, "%s/tests", box->dir);
    assert_int_equal(dir_make_all(dir, &box->e), 0);
    put(box, "main.c", MAIN_C);
    put(box, "Makefile", MAKEFILE);
    put(box, "tests/run.sh", TEST_SH);
    put(box, "work.c",
        arena_printf(box->arena,
                     "unsigned long work(const char *s, unsigned long n)\n"
                     "{\n"
                     "    unsigned long h = 0, i;\n"
                     "    %s\n"
                     "    return h;\n"
                     "}\n",
                     body)
            .ptr);
}

static Slice body_diff(Box *box, const char *from, const char *to)
{
    return arena_printf(box->arena,
                        "--- a/work.c\n+++ b/work.c\n@@ -1,6 +1,6 @@\n"
                        " unsigned long work(const char *s, unsigned long n)\n {\n"
                        "     unsigned long h = 0, i;\n-    %s\n+    %s\n     return h;\n }\n",
                        from, to);
}

static Step step(const char *run)
{
    return (Step){.name = SLICE("step"), .run = slice_from_cstr(run), .directory = SLICE(".")};
}

static int64_t SIZES[] = {64000};

static void make_steps(Step *build, Step *test, Workload *work, Steps *ret_steps)
{
    *build = step("make");
    *test = step("make check");
    *work =
        (Workload){.name = SLICE("sum"),
                   .run = SLICE("./prog {input}"),
                   .directory = SLICE("."),
                   .metric = SLICE("wall"),
                   .output = SLICE("stdout"),
                   .inputs = {.generator = SLICE("text-lines"), .sizes = SIZES, .size_count = 1}};
    *ret_steps = (Steps){.build = {build, 1, 1},
                         .test = {test, 1, 1},
                         .workloads = work,
                         .workload_count = 1,
                         .limits = {.time_ns = 20 * NS_PER_S}};
}

typedef struct Ask {
    Steps *steps; // NULL: as make_steps
    bool (*stop_fn)(void *ctx);
} Ask;

static JudgeReport *judge(Box *box, Slice patch, const Ask *ask)
{
    Step build, test;
    Workload work;
    Steps steps;
    make_steps(&build, &test, &work, &steps);
    char dir[128];
    (void)snprintf(dir, sizeof dir, "%s.work", box->dir);
    uint64_t seed = 1;
    JudgeReport *report = NULL;
    JudgeOptions o = {
        .repository = box->dir,
        .patch = patch,
        .steps = ask && ask->steps ? ask->steps : &steps,
        // An effect this large ends at the first look; a busy machine needs longer for it.
        .budget_ns = 40 * NS_PER_S,
        .no_sandbox = !box->sandbox,
        .no_critique = true,
        .work_dir = dir,
        .stop_fn = ask ? ask->stop_fn : NULL,
        .seed = &seed};
    int rc = judge_patch(&o, box->arena, &report, &box->e);
    if (rc != 0) {
        fail_msg("%s: %s", err_name(rc), box->e.text);
    }
    Err e;
    assert_int_equal(dir_remove_all(dir, &e), 0);
    return report;
}

// On a machine that is too busy the honest verdict is that it cannot be told here.
static bool too_noisy(const JudgeReport *r)
{
    bool told = true;
    for (size_t i = 0; i < r->measure_count; i++) {
        JudgeOutcome outcome = r->measures[i].outcome;
        told &= outcome != JUDGE_CANNOT_TELL && outcome != JUDGE_UNDECIDED;
    }
    return r->verdict == PATCH_UNDECIDED && !told;
}

static void expect(const JudgeReport *r, PatchVerdict verdict)
{
    if (r->verdict != verdict && too_noisy(r)) {
        print_message("not told here: %.*s\n", SLICE_FMT(r->reason));
        skip();
    }
    if (r->verdict != verdict) {
        Buf out = buf_create(1 << 20);
        judge_report_print(r, true, &out);
        Slice text = arena_copy(r->findings.arena, buf_slice(&out));
        buf_done(&out);
        fail_msg("%s expected\n%.*s", PATCH_VERDICT_NAMES[verdict], SLICE_FMT(text));
    }
}

static bool found(const JudgeReport *r, const char *check)
{
    for (size_t i = 0; i < r->findings.count; i++) {
        if (slice_eq_cstr(r->findings.items[i].check, check)) {
            return true;
        }
    }
    return false;
}

static void test_proven(void **state)
{
    Box *box = *state;
    put_repository(box, SLOW);
    JudgeReport *r = judge(box, body_diff(box, SLOW, QUICK), NULL);
    expect(r, PATCH_PROVEN);
    assert_true(r->ratio < 0.7);
    assert_true(r->measures[0].hidden_inputs);
    assert_int_equal(r->measures[1].role, JUDGE_SECOND);
    assert_int_equal(r->tests.patched_passed, 2);
    assert_true(r->measures[0].sample_count > 3 * 8);
    // And the document that holds all of it is JSON.
    Buf out = buf_create(JUDGE_REPORT_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    judge_report_write(r, &w);
    const Doc *doc;
    assert_int_equal(doc_parse(box->arena, buf_slice(&out), NULL, &doc, &box->e), 0);
    assert_true(slice_eq(doc_get(doc, SLICE("verdict"))->text, SLICE("PROVEN")));
    buf_done(&out);
}

static void test_slower(void **state)
{
    Box *box = *state;
    put_repository(box, QUICK);
    expect(judge(box, body_diff(box, QUICK, SLOW), NULL), PATCH_SLOWER);
}

// What is only a comment does not reach the program.
static void test_no_op(void **state)
{
    Box *box = *state;
    put_repository(box, QUICK);
    JudgeReport *r =
        judge(box, body_diff(box, QUICK, "for (i = 0; i < n; i++) h += s[i]; // 3x faster"), NULL);
    expect(r, PATCH_NO_EFFECT);
    assert_true(!box->sandbox || r->same_artifact);
}

static const struct {
    const char *to, *check;
} BROKEN[] = {
    {"for (i = 0; i < n; i++) h += s[i]", "build"},
    {"h = n == 3 ? 294 : 0;", "hidden-inputs"},
    {"h = 7; i = n; (void)s;", "tests"},
    {"for (i = 0; i < n; i++) h += s[i]; if (n > 3) h += *(volatile int *)(n - n);",
     "hidden-inputs"},
};

static void test_broken(void **state)
{
    Box *box = *state;
    put_repository(box, QUICK);
    for (size_t i = 0; i < COUNT_OF(BROKEN); i++) {
        JudgeReport *r = judge(box, body_diff(box, QUICK, BROKEN[i].to), NULL);
        expect(r, PATCH_BROKEN);
        assert_true(found(r, BROKEN[i].check));
    }
    // One that does not even apply.
    JudgeReport *r = judge(box, body_diff(box, "something else", QUICK), NULL);
    expect(r, PATCH_BROKEN);
    assert_true(found(r, "apply"));
}

static void test_no_end(void **state)
{
    Box *box = *state;
    put_repository(box, QUICK);
    Step build, test;
    Workload work;
    Steps steps;
    make_steps(&build, &test, &work, &steps);
    steps.test.count = 0;
    steps.limits.time_ns = 3 * NS_PER_S;
    JudgeReport *r = judge(box, body_diff(box, QUICK, "for (volatile int go = 1; go;) i = n + *s;"),
                           &(Ask){.steps = &steps});
    expect(r, PATCH_BROKEN);
    assert_true(found(r, "hidden-inputs"));
}

// Tests are the base's on both sides: a patch that empties them is judged by them all the same.
static void test_a_weakened_test(void **state)
{
    Box *box = *state;
    put_repository(box, QUICK);
    Slice test = SLICE(TEST_SH), first, second;
    (void)slice_cut(test, '\n', &first, &second);
    Slice diff = arena_printf(
        box->arena, "%.*s--- a/tests/run.sh\n+++ b/tests/run.sh\n@@ -1,2 +1,1 @@\n-%.*s\n %.*s",
        SLICE_FMT(body_diff(box, QUICK, "h = 7; i = n; (void)s;")), SLICE_FMT(first),
        SLICE_FMT(second));
    JudgeReport *r = judge(box, diff, NULL);
    assert_true(r->verdict == PATCH_BROKEN || r->verdict == PATCH_CHEAT);
}

// A base that says something else each time is not compared, and the report says so.
static void test_an_output_that_changes(void **state)
{
    Box *box = *state;
    put_repository(box, QUICK);
    Step build, test;
    Workload work;
    Steps steps;
    make_steps(&build, &test, &work, &steps);
    work.run = SLICE("./prog {input}; cat /proc/sys/kernel/random/uuid");
    JudgeReport *r =
        judge(box, body_diff(box, QUICK, "for (i = 0; i < n; i++) h += s[i]; // again"),
              &(Ask){.steps = &steps});
    assert_true(r->verdict == PATCH_NO_EFFECT || r->verdict == PATCH_UNDECIDED);
    steps.build.count = 0;
    work.run = SLICE("cat /proc/sys/kernel/random/uuid");
    work.inputs = (WorkloadInputs){0};
    steps.test.count = 0;
    r = judge(box, SLICE("--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+1\n"),
              &(Ask){.steps = &steps});
    bool said = false;
    for (size_t i = 0; i < r->check_count; i++) {
        said = said || (slice_eq(r->checks[i].what, SLICE("output")) && !r->checks[i].done);
    }
    assert_true(said);
    assert_true(r->verdict != PATCH_BROKEN);
}

static bool stop_at_once(void *ctx)
{
    (void)ctx;
    return true;
}

static void test_interrupted(void **state)
{
    Box *box = *state;
    put_repository(box, SLOW);
    JudgeReport *r = judge(box, body_diff(box, SLOW, QUICK), &(Ask){.stop_fn = stop_at_once});
    assert_false(r->complete);
    assert_int_equal(r->verdict, PATCH_UNDECIDED);
}

static void test_what_cannot_be_judged(void **state)
{
    Box *box = *state;
    Step build, test;
    Workload work;
    Steps steps;
    make_steps(&build, &test, &work, &steps);
    put_repository(box, "this is no C;");
    char dir[128];
    (void)snprintf(dir, sizeof dir, "%s.work", box->dir);
    JudgeReport *report = NULL;
    JudgeOptions o = {
        .repository = box->dir, .steps = &steps, .work_dir = dir, .no_sandbox = !box->sandbox};
    // Neither a patch nor a revision.
    assert_int_equal(judge_patch(&o, box->arena, &report, &box->e), ERR_ARG);
    o.patch = body_diff(box, "this is no C;", QUICK);
    // A base that does not build is nobody's patch's fault.
    assert_int_equal(judge_patch(&o, box->arena, &report, &box->e), ERR_UNSUPPORTED);
    assert_non_null(strstr(box->e.text, "the base does not build"));
    steps.workload_count = 0;
    assert_int_equal(judge_patch(&o, box->arena, &report, &box->e), ERR_ARG);
    assert_null(report);
    assert_int_equal(dir_remove_all(dir, &box->e), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_proven),
        TEST(test_slower),
        TEST(test_no_op),
        TEST(test_broken),
        TEST(test_no_end),
        TEST(test_a_weakened_test),
        TEST(test_an_output_that_changes),
        TEST(test_interrupted),
        TEST(test_what_cannot_be_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
