#include "improve/preregister.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "base/doc.h"
#include "os/file.h"

static RegisteredWorkload WORKLOADS[] = {
    {SLICE_INIT("parse"), SLICE_INIT("./prog {input}"), BENCH_WALL},
    {SLICE_INIT("memory"), SLICE_INIT("./prog -m {size}"), BENCH_RSS}};

static Registration sample(void)
{
    Registration r = {.goal = SLICE("parse faster"),
                      .target = SLICE("zip"),
                      .base_commit = SLICE("0123456789abcdef0123456789abcdef01234567"),
                      .workloads = WORKLOADS,
                      .workload_count = 2};
    memset(r.steps_sha256, 'a', SHA256_HEX);
    return r;
}

static Slice text_of(Arena *arena, const Registration *r, bool secret)
{
    Buf out = buf_create(REGISTRATION_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    (secret ? registration_write_secret : registration_write)(r, &w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static int read_text(Arena *arena, Slice text, Registration *ret_r, Err *e)
{
    const Doc *doc;
    int rc = doc_parse(arena, text, NULL, &doc, e);
    return rc == 0 ? registration_read(arena, doc, ret_r, e) : rc;
}

static void test_it_is_read_back_as_it_was(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Err e;
    Registration r = sample(), back;
    assert_int_equal(registration_make(&r, NULL, &e), 0);
    assert_int_equal(read_text(arena, text_of(arena, &r, true), &back, &e), 0);
    assert_string_equal(back.sha256, r.sha256);
    assert_memory_equal(back.nonce, r.nonce, REGISTRATION_NONCE_BYTES);
    assert_true(back.min_effect == REGISTRATION_MIN_EFFECT);
    assert_int_equal(back.workload_count, 2);
    assert_int_equal(back.workloads[1].metric, BENCH_RSS);
    // What is recorded does not hold the nonce, and hashes to the same.
    Slice open = text_of(arena, &r, false);
    assert_true(slice_find(open, SLICE("nonce")) < 0);
    Sha256 hash = sha256_of(open);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    assert_string_equal(hex, r.sha256);
    arena_destroy(arena);
}

static void test_what_was_changed_is_refused(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Err e;
    Registration r = sample(), back;
    assert_int_equal(registration_make(&r, NULL, &e), 0);
    const struct {
        const char *from, *to;
        int rc;
    } CASES[] = {
        {"\"min_effect\":0.05", "\"min_effect\":0.01", ERR_CORRUPT},
        {"\"nonce\":\"", "\"nonce\":\"0", ERR_PARSE},
        {"\"alpha\":0.01", "\"alpha\":0.5", ERR_ARG},
        {"\"version\":1", "\"version\":2", ERR_VERSION},
        {"\"metric\":\"wall\"", "\"metric\":\"wool\"", ERR_PARSE},
        {"\"goal\"", "\"gaol\"", ERR_PARSE},
        {"\"commitment\":\"", "\"commitment\":\"z", ERR_PARSE},
    };
    Slice text = text_of(arena, &r, true);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        ptrdiff_t at = slice_find(text, slice_from_cstr(CASES[i].from));
        assert_true(at >= 0);
        Slice changed =
            arena_printf(arena, "%.*s%s%.*s", (int)at, text.ptr, CASES[i].to,
                         SLICE_FMT(slice_sub(text, (size_t)at + strlen(CASES[i].from), text.len)));
        assert_int_equal(read_text(arena, changed, &back, &e), CASES[i].rc);
    }
    arena_destroy(arena);
}

// Nobody can choose the seed: it needs the nonce, which was committed to before, and the patch.
static void test_the_seed_is_of_nonce_and_patch(void **state)
{
    (void)state;
    Err e;
    Registration a = sample(), b = sample(), c = sample();
    uint64_t seed = 7;
    assert_int_equal(registration_make(&a, &seed, &e), 0);
    assert_int_equal(registration_make(&b, &seed, &e), 0);
    assert_int_equal(registration_make(&c, NULL, &e), 0);
    assert_string_equal(a.sha256, b.sha256);
    assert_true(registration_seed(&a, SLICE("x")) == registration_seed(&b, SLICE("x")));
    assert_true(registration_seed(&a, SLICE("x")) != registration_seed(&a, SLICE("y")));
    assert_true(registration_seed(&a, SLICE("x")) != registration_seed(&c, SLICE("x")));
    assert_true(registration_seed(&a, SLICE("x")) <= INT32_MAX);
}

static void test_a_judgement_is_held_to_it(void **state)
{
    (void)state;
    Err e;
    Registration r = sample();
    assert_int_equal(registration_make(&r, NULL, &e), 0);
    assert_int_equal(registration_check(&r, r.steps_sha256, r.base_commit, &e), 0);
    assert_int_equal(registration_check(&r, r.steps_sha256, SLICE("fe"), &e), ERR_CONFLICT);
    assert_int_equal(registration_check(&r, "b", r.base_commit, &e), ERR_CONFLICT);
    r.workload_count = 0;
    assert_int_equal(registration_make(&r, NULL, &e), ERR_ARG);
    r.workload_count = REGISTRATION_WORKLOADS_MAX + 1;
    assert_int_equal(registration_make(&r, NULL, &e), ERR_ARG);
}

static void test_the_ledger_has_it(void **state)
{
    (void)state;
    char dir[] = "/tmp/preregister.XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    (void)snprintf(path, sizeof path, "%s/l.db", dir);
    Arena *arena = arena_create(16 << 20);
    Err e;
    Ledger *ledger;
    Registration r = sample();
    assert_int_equal(ledger_open(&(LedgerOptions){.path = path}, &ledger, &e), 0);
    assert_int_equal(registration_make(&r, NULL, &e), 0);
    assert_int_equal(registration_record(ledger, &r, &e), 0);
    Proposal *p;
    assert_int_equal(proposal_load(ledger, slice_from_cstr(r.proposal_id), arena, &p, &e), 0);
    assert_int_equal(p->state, PROPOSAL_DRAFT);
    assert_int_equal(p->kind, PROPOSAL_PATCH);
    Sha256 hash = sha256_of(p->content_json);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    assert_string_equal(hex, r.sha256);
    ledger_close(ledger);
    arena_destroy(arena);
    assert_int_equal(dir_remove_all(dir, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_read_back_as_it_was),
        cmocka_unit_test(test_what_was_changed_is_refused),
        cmocka_unit_test(test_the_seed_is_of_nonce_and_patch),
        cmocka_unit_test(test_a_judgement_is_held_to_it),
        cmocka_unit_test(test_the_ledger_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
