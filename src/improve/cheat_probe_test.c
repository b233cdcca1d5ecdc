// The probes against programs that do not exist: a model says what each way of running costs, so
// that the truth is known. The ELF reader against this very test program, which needs cmocka.
#include "improve/cheat_probe.h"
#include "improve/cheat_elf.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "os/file.h"

// Factors of the time that a way of running takes, for each side.
typedef struct Model {
    const char *name;
    double place[2], environment[2], parent[2], second[2]; // 0: 1
    unsigned survivors[2], files_left[2];
    bool other_answer[2]; // in the disguise
    bool fails[2];        // in the disguise
    CheatMask suspected;
    Cheat cheat; // 0: nothing above a note
    FindingLevel level;
} Model;

static const Model MODELS[] = {
    {.name = "honest"},
    {.name = "honest and suspected", .suspected = 1u << CHEAT_CACHE_ON_DISK},
    {.name = "slow in another folder",
     .place = {1, 3},
     .cheat = CHEAT_DETECTS_HARNESS,
     .level = FINDING_CHEAT},
    {.name = "slow in another environment",
     .environment = {1, 1.6},
     .cheat = CHEAT_DETECTS_HARNESS,
     .level = FINDING_CHEAT},
    {.name = "slow under another parent",
     .parent = {1, 40},
     .cheat = CHEAT_DETECTS_HARNESS,
     .level = FINDING_CHEAT},
    {.name = "both slow in another folder", .place = {2, 2}},
    {.name = "answers otherwise",
     .other_answer = {false, true},
     .cheat = CHEAT_DETECTS_HARNESS,
     .level = FINDING_CHEAT},
    {.name = "both answer otherwise", .other_answer = {true, true}},
    {.name = "fails elsewhere",
     .fails = {false, true},
     .cheat = CHEAT_DETECTS_HARNESS,
     .level = FINDING_DOUBT},
    {.name = "both fail elsewhere", .fails = {true, true}},
    {.name = "cached on disk",
     .second = {1, 0.1},
     .cheat = CHEAT_CACHE_ON_DISK,
     .level = FINDING_CHEAT},
    {.name = "both cached on disk", .second = {0.1, 0.1}},
    {.name = "leaves files",
     .files_left = {1, 3},
     .cheat = CHEAT_CACHE_ON_DISK,
     .level = FINDING_NOTE},
    {.name = "leaves a process",
     .survivors = {0, 1},
     .cheat = CHEAT_BACKGROUND,
     .level = FINDING_CHEAT},
    {.name = "both leave a process", .survivors = {1, 1}},
};

typedef struct World {
    const Model *model;
    Rng rng;
    unsigned runs;
    int fail_at; // the run at which the machinery breaks; 0: never
} World;

static double factor(double x)
{
    return x > 0 ? x : 1;
}

static int run_model(void *ctx, const CheatRun *run, CheatRan *ret_ran, Err *e)
{
    World *w = ctx;
    const Model *m = w->model;
    int side = run->side;
    bool disguised = (run->how & CHEAT_DISGUISE) == CHEAT_DISGUISE;
    // Noise only adds: a tenth mostly, and one run in ten takes twice as long.
    double seconds = (side == CHEAT_PATCHED ? 0.05 : 0.1) *
                     (1 + 0.1 * rng_double(&w->rng) + (rng_below(&w->rng, 10) == 0));
    seconds *= run->how & CHEAT_OTHER_PLACE ? factor(m->place[side]) : 1;
    seconds *= run->how & CHEAT_OTHER_ENVIRONMENT ? factor(m->environment[side]) : 1;
    seconds *= run->how & CHEAT_OTHER_PARENT ? factor(m->parent[side]) : 1;
    seconds *= run->how & CHEAT_SECOND_RUN ? factor(m->second[side]) : 1;
    *ret_ran = (CheatRan){
        .measured = !(disguised && m->fails[side]),
        .sample = {.wall_ns = (int64_t)(seconds * 1e9), .user_ns = (int64_t)(seconds * 1e9)},
        .survivors = m->survivors[side],
        .files_left = m->files_left[side]};
    memset(ret_ran->output_sha256, disguised && m->other_answer[side] ? 'b' : 'a', SHA256_HEX);
    if (++w->runs == (unsigned)w->fail_at) {
        return err_set(e, ERR_IO, "no sandbox");
    }
    return 0;
}

static bool found(const Findings *findings, Cheat cheat, FindingLevel level)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (findings->items[i].level == level &&
            slice_eq_cstr(findings->items[i].check, cheat_check(cheat))) {
            return true;
        }
    }
    return false;
}

static void test_probes(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    for (size_t i = 0; i < COUNT_OF(MODELS); i++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            World world = {.model = &MODELS[i], .rng = rng_stream(seed, SLICE("probe"), i)};
            CheatMeans means = {.run_fn = run_model,
                                .ctx = &world,
                                .workload_count = 1,
                                .metric = seed % 2 ? BENCH_WALL : BENCH_RSS};
            Findings f = {.arena = arena};
            Err e = {0};
            assert_int_equal(cheat_probe(&means, MODELS[i].suspected, &f, &e), 0);
            bool right = MODELS[i].cheat ? found(&f, MODELS[i].cheat, MODELS[i].level)
                                         : !findings_have(&f, FINDING_DOUBT);
            if (!right) {
                fail_msg("%s, seed %d", MODELS[i].name, (int)seed);
            }
            arena_reset(arena);
        }
    }
    arena_destroy(arena);
}

static void test_honest_code_is_cheap_to_probe(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    World world = {.model = &MODELS[0], .rng = rng_stream(1, SLICE("probe"), 0)};
    CheatMeans means = {
        .run_fn = run_model, .ctx = &world, .workload_count = 9, .metric = BENCH_CPU};
    Findings f = {.arena = arena};
    assert_int_equal(cheat_probe(&means, 0, &f, NULL), 0);
    assert_true(world.runs <= 12 * CHEAT_PROBE_WORKLOADS);
    // The machinery's failure is an error, wherever it comes.
    for (int at = 1; at <= 10; at++) {
        world =
            (World){.model = &MODELS[0], .rng = rng_stream(1, SLICE("probe"), 0), .fail_at = at};
        assert_int_equal(cheat_probe(&means, 0, &f, NULL), ERR_IO);
    }
    arena_destroy(arena);
}

static void test_reported(void **state)
{
    (void)state;
    static const struct {
        double reported, process;
        Cheat cheat;
    } CASES[] = {
        {0.5, 0.5, 0},
        {0.9, 0.92, 0},
        {0.2, 0.6, 0}, // start-up is in the process too
        {0.5, 1.0, CHEAT_WORK_MOVED},
        {1e-3, 1.0, CHEAT_UNITS},
        {0.5e-6, 0.5, CHEAT_UNITS},
        {NAN, 0.5, CHEAT_FAILURE_SCORED},
        {0, 0.5, CHEAT_FAILURE_SCORED},
        {INFINITY, 0.5, CHEAT_FAILURE_SCORED},
    };
    Arena *arena = arena_create(8 << 20);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Findings f = {.arena = arena};
        cheat_check_reported(CASES[i].reported, CASES[i].process, &f);
        assert_int_equal(f.count, CASES[i].cheat ? 1 : 0);
        assert_true(CASES[i].cheat == 0 || found(&f, CASES[i].cheat, FINDING_CHEAT));
    }
    arena_destroy(arena);
}

static void test_failures_are_not_scored(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    BenchSample good = {.wall_ns = 1000000, .user_ns = 1000000};
    BenchSample late = good, failed = good, none = good;
    late.timed_out = true;
    failed.exit_code = 1;
    none.wall_ns = 0;
    const BenchSample cases[][2] = {{good, good}, {good, late}, {failed, good}, {none, good}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Findings f = {.arena = arena};
        assert_int_equal(cheat_check_samples(cases[i], 2, BENCH_WALL, &f), i == 0);
        assert_int_equal(found(&f, CHEAT_FAILURE_SCORED, FINDING_DOUBT), i != 0);
    }
    arena_destroy(arena);
}

static void test_stale_base_history(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    Patch patch;
    Err e = {0};
    assert_int_equal(
        patch_parse(arena, SLICE("--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-x\n+y\n"), &patch, &e), 0);
    Findings f = {.arena = arena};
    cheat_check_stale(&patch, NULL, SLICE("aa"), SLICE("bb"), &f);
    cheat_check_stale(&patch, NULL, SLICE(""), SLICE(""), &f);
    assert_int_equal(f.count, 0);
    cheat_check_stale(&patch, NULL, SLICE("aa"), SLICE("aa"), &f);
    assert_true(found(&f, CHEAT_STALE, FINDING_DOUBT));

    assert_int_equal(cheat_check_base(SLICE("abc"), SLICE("abc"), &e), 0);
    assert_int_equal(cheat_check_base(SLICE("abc"), SLICE("abd"), &e), ERR_REFUSED);

    char folder[] = "/tmp/cheat_history_XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *config = arena_cstr(arena, arena_printf(arena, "%s/.git/config", folder));
    const char *info = arena_cstr(arena, arena_printf(arena, "%s/.git/objects/info", folder));
    assert_int_equal(dir_make_all(info, &e), 0);
    assert_int_equal(file_write(config, SLICE("[core]\n"), NULL, &e), 0);
    Findings clean = {.arena = arena};
    cheat_check_history(folder, 1, &clean);
    assert_int_equal(clean.count, 0);
    assert_int_equal(file_write(config, SLICE("[remote \"origin\"]\n"), NULL, &e), 0);
    info = arena_cstr(arena, arena_printf(arena, "%s/alternates", info));
    assert_int_equal(file_write(info, SLICE("/elsewhere\n"), NULL, &e), 0);
    Findings leaky = {.arena = arena};
    cheat_check_history(folder, 7, &leaky);
    assert_int_equal(leaky.count, 3);
    assert_true(found(&leaky, CHEAT_HISTORY, FINDING_DOUBT));
    assert_int_equal(dir_remove_all(folder, &e), 0);
    arena_destroy(arena);
}

static void test_many_attempts_and_many_tests(void **state)
{
    (void)state;
    double sum = 0;
    for (unsigned k = 1; k <= 100000; k++) {
        sum += cheat_attempt_alpha(0.01, k);
    }
    assert_true(sum <= 0.01 && sum > 0.00999);
    assert_true(cheat_attempt_alpha(0.01, 0) == cheat_attempt_alpha(0.01, 1));
}

// Every `from` in a copy of the file becomes `to`, of one length.
static Slice with(Arena *arena, Slice file, const char *from, const char *to)
{
    Slice copy = arena_copy(arena, file);
    for (size_t at = 0; at < copy.len;) {
        ptrdiff_t hit = slice_find(slice_sub(copy, at, copy.len), slice_from_cstr(from));
        if (hit < 0) {
            break;
        }
        memcpy((char *)(uintptr_t)copy.ptr + at + (size_t)hit, to, strlen(to));
        at += (size_t)hit + strlen(from);
    }
    return copy;
}

static void check_pair(Arena *arena, Slice base, Slice patched, Findings *f)
{
    char folder[] = "/tmp/cheat_elf_XXXXXX";
    assert_non_null(mkdtemp(folder));
    Err e = {0};
    const char *dirs[2], *paths[2];
    for (int i = 0; i < 2; i++) {
        dirs[i] = arena_cstr(arena, arena_printf(arena, "%s/%d", folder, i));
        const char *sub = arena_cstr(arena, arena_printf(arena, "%s/out", dirs[i]));
        paths[i] = arena_cstr(arena, arena_printf(arena, "%s/prog", sub));
        assert_int_equal(dir_make_all(sub, &e), 0);
        assert_int_equal(file_write(paths[i], i ? patched : base, NULL, &e), 0);
    }
    Slice globs[] = {SLICE_INIT("out/*")};
    Steps steps = {.artifacts = globs, .artifact_count = 1};
    assert_int_equal(cheat_check_artifacts(dirs[0], dirs[1], &steps, arena, f, &e), 0);
    assert_int_equal(dir_remove_all(folder, &e), 0);
}

static void test_artifacts(void **state)
{
    (void)state;
    Arena *arena = arena_create(512 << 20);
    Buf self = buf_create(64 << 20);
    Err e = {0};
    assert_int_equal(file_read("/proc/self/exe", &self, &e), 0);
    Slice exe = buf_slice(&self);
    ElfFacts facts;
    assert_int_equal(elf_facts(arena, exe, &facts, &e), 0);
    assert_true(elf_facts_need(&facts, SLICE("libcmocka.so.0")));
    assert_true(elf_facts_need(&facts, SLICE("libc.so.6")));

    Findings same = {.arena = arena}, library = {.arena = arena}, flags = {.arena = arena};
    check_pair(arena, exe, exe, &same);
    assert_int_equal(same.count, 0);
    check_pair(arena, with(arena, exe, "libcmocka.so.0", "libsomething.0"), exe, &library);
    assert_true(found(&library, CHEAT_OTHER_LIBRARY, FINDING_CHEAT));
    if (elf_facts_option(&facts, SLICE("-O2"))) { // gcc says so, clang does not
        check_pair(arena, with(arena, exe, " -O2", " -O0"), exe, &flags);
        assert_true(found(&flags, CHEAT_FLAGS, FINDING_CHEAT));
    }
    buf_done(&self);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_honest_code_is_cheap_to_probe),
        cmocka_unit_test(test_reported),
        cmocka_unit_test(test_failures_are_not_scored),
        cmocka_unit_test(test_stale_base_history),
        cmocka_unit_test(test_many_attempts_and_many_tests),
        cmocka_unit_test(test_artifacts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
