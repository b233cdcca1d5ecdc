#include "ledger/ledger_test.h"

#include "ledger/baseline.h"
#include "ledger/ledger_impl.h"
#include "ledger/projection.h"
#include "ledger/sha256.h"
#include "ledger/ulid.h"

static void test_sha256_of_published_texts(void **state)
{
    (void)state;
    // FIPS 180-4's examples, as published in NIST's "SHA256.pdf".
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char hex[SHA256_HEX + 1];
        Sha256 hash = sha256_of(slice_from_cstr(cases[i].text)), again;
        sha256_hex(&hash, hex);
        assert_string_equal(hex, cases[i].hex);
        assert_int_equal(sha256_parse((Slice){hex, SHA256_HEX}, &again), 0);
        assert_true(sha256_eq(&hash, &again));
    }
    Sha256 hash;
    assert_int_equal(sha256_parse(SLICE("ab"), &hash), ERR_PARSE);
}

static void test_ulid(void **state)
{
    (void)state;
    // The time part of github.com/ulid/spec's example, 01ARZ3NDEKTSV4RRFFQ69G5FAV: 1469922850259 ms
    // in the reference implementation's tests.
    uint8_t ones[ULID_RANDOM_BYTES], zeros[ULID_RANDOM_BYTES] = {0};
    char text[ULID_LEN + 1];
    memset(ones, 0xff, sizeof ones);
    ulid_format(1469922850259, zeros, text);
    assert_string_equal(text, "01ARZ3NDEK0000000000000000");
    ulid_format((INT64_C(1) << 48) - 1, ones, text);
    assert_string_equal(text, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    assert_true(ulid_valid((Slice){text, ULID_LEN}));
    text[0] = '8';
    assert_false(ulid_valid((Slice){text, ULID_LEN}));
    assert_false(ulid_valid(SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAU")));
    assert_false(ulid_valid(SLICE("01ARZ3")));
}

static void exec(Sandbox *box, const char *sql)
{
    Db *db;
    assert_ok(box, db_open(box->path, DB_CREATE, &db, &box->e));
    assert_ok(box, db_exec(db, sql, &box->e));
    db_close(db);
}

static void test_files_that_are_no_ledger_of_ours(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = NULL;
    LedgerOptions o = {.path = box->path, .must_exist = true};
    assert_int_equal(ledger_open(&o, &ledger, &box->e), ERR_NOT_FOUND);
    o = (LedgerOptions){.path = box->path, .read_only = true};
    assert_int_equal(ledger_open(&o, &ledger, &box->e), ERR_NOT_FOUND);
    ledger_close(sandbox_open(box));
    exec(box, "PRAGMA user_version = 2");
    o = (LedgerOptions){.path = box->path};
    assert_int_equal(ledger_open(&o, &ledger, &box->e), ERR_VERSION);
    exec(box, "PRAGMA user_version = 1; PRAGMA application_id = 1");
    assert_int_equal(ledger_open(&o, &ledger, &box->e), ERR_CORRUPT);
    assert_ok(box, file_write(box->path,
                              SLICE("this is a text file, and a long enough one to be "
                                    "looked at as a header of one hundred bytes......"),
                              NULL, &box->e));
    assert_int_equal(ledger_open(&o, &ledger, &box->e), ERR_CORRUPT);
}

static void test_read_only_refuses_writes(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 1, id);
    ledger_close(ledger);
    LedgerOptions o = {.path = box->path, .read_only = true};
    assert_ok(box, ledger_open(&o, &ledger, &box->e));
    RunData *run;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    run_data_done(run);
    RunInfo info = sample_info("y");
    RunWriter *w;
    assert_int_equal(run_create(ledger, &info, &w, &box->e), ERR_REFUSED);
    assert_int_equal(ledger_rebuild(ledger, &box->e), ERR_REFUSED);
    ledger_close(ledger);
}

static void test_rebuild_gives_the_same_tables(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[3][RUN_ID_LEN + 1];
    for (size_t i = 0; i < 3; i++) {
        write_sample_run(box, ledger, "x", 3, id[i]);
    }
    const Slice two[] = {{id[0], RUN_ID_LEN}, {id[1], RUN_ID_LEN}};
    assert_ok(box, baseline_pin(ledger, SLICE("main"), two, 2, SLICE("note"), &box->e));
    assert_ok(box, baseline_pin(ledger, SLICE("gone"), two, 1, SLICE(""), &box->e));
    assert_ok(box, baseline_unpin(ledger, SLICE("gone"), &box->e));
    assert_ok(box, run_attach(ledger, two[0], SLICE("r.html"), SLICE("text/html"), SLICE("<p>"),
                              &box->e));
    int64_t pruned;
    assert_ok(box,
              ledger_prune(ledger, &(PruneOptions){.before_unix_ns = INT64_MAX}, &pruned, &box->e));
    assert_int_equal(pruned, 1);
    Sha256 before, after, broken;
    assert_ok(box, projection_digest(ledger->db, &before, &box->e));
    exec(box, "UPDATE run SET name = 'z'; DELETE FROM baseline; DELETE FROM aggregate");
    assert_ok(box, projection_digest(ledger->db, &broken, &box->e));
    assert_false(sha256_eq(&before, &broken));
    assert_ok(box, ledger_rebuild(ledger, &box->e));
    assert_ok(box, projection_digest(ledger->db, &after, &box->e));
    assert_true(sha256_eq(&before, &after));
    ledger_close(ledger);
}

static void test_pruning_keeps_totals_and_hashes(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[2][RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "pinned", 3, id[0]);
    write_sample_run(box, ledger, "old", 3, id[1]);
    Slice pinned = {id[0], RUN_ID_LEN}, old = {id[1], RUN_ID_LEN};
    assert_ok(box, baseline_pin(ledger, SLICE("main"), &pinned, 1, SLICE(""), &box->e));
    // The same bytes in both runs: the pinned one keeps them.
    assert_ok(box, run_attach(ledger, pinned, SLICE("a"), SLICE("t"), SLICE("both"), &box->e));
    assert_ok(box, run_attach(ledger, old, SLICE("a"), SLICE("t"), SLICE("both"), &box->e));
    assert_ok(box, run_attach(ledger, old, SLICE("b"), SLICE("t"), SLICE("own"), &box->e));
    int64_t count;
    PruneOptions o = {.before_unix_ns = INT64_MAX, .dry_run = true};
    assert_ok(box, ledger_prune(ledger, &o, &count, &box->e));
    assert_int_equal(count, 1);
    o.dry_run = false;
    assert_ok(box, ledger_prune(ledger, &o, &count, &box->e));
    assert_ok(box, ledger_prune(ledger, &o, &count, &box->e));
    assert_int_equal(count, 0);
    RunData *run;
    assert_ok(box, run_load(ledger, old, box->arena, &run, &box->e));
    assert_true(run->pruned);
    const RunSeries *d = run_series_find(run, SLICE("http_req_duration"), (Labels){0});
    assert_int_equal(d->point_count, 0);
    assert_int_equal(d->total.hist->count, 3 * SAMPLE_REQUESTS);
    run_data_done(run);
    Buf bytes = buf_create(100);
    assert_int_equal(run_artifact_read(ledger, old, SLICE("b"), &bytes, &box->e), ERR_NOT_FOUND);
    assert_ok(box, run_artifact_read(ledger, old, SLICE("a"), &bytes, &box->e));
    assert_string_equal(bytes.data, "both");
    buf_done(&bytes);
    LedgerCheck check;
    assert_ok(box, ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e));
    ledger_close(ledger);
}

static void test_artifacts_are_stored_once(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    RunInfo info = sample_info("x");
    RunWriter *w;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    Slice id = {info.id, RUN_ID_LEN};
    char *large = mem_zalloc(RUN_ARTIFACT_BYTES_MAX + 1);
    assert_ok(box, run_artifact(w, SLICE("one"), SLICE("t"), SLICE("bytes"), &box->e));
    assert_ok(box, run_artifact(w, SLICE("two"), SLICE("t"), SLICE("bytes"), &box->e));
    assert_ok(box, run_artifact(w, SLICE("edge"), SLICE("t"),
                                (Slice){large, RUN_ARTIFACT_BYTES_MAX}, &box->e));
    assert_int_equal(run_artifact(w, SLICE("large"), SLICE("t"),
                                  (Slice){large, RUN_ARTIFACT_BYTES_MAX + 1}, &box->e),
                     ERR_LIMIT);
    free(large);
    assert_ok(box, run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e));
    RunArtifact *items;
    size_t count;
    assert_ok(box, run_artifacts(ledger, id, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 3);
    assert_true(slice_eq_cstr(items[1].name, "one"));
    assert_int_equal(items[1].bytes, 5);
    int64_t contents;
    assert_ok(box, db_get_int(ledger->db, "SELECT count(*) FROM content", 0, &contents, &box->e));
    assert_int_equal(contents, 2);
    exec(box, "UPDATE content SET bytes = x'00' WHERE length(bytes) = 5");
    Buf bytes = buf_create(100);
    assert_int_equal(run_artifact_read(ledger, id, SLICE("two"), &bytes, &box->e), ERR_CORRUPT);
    LedgerCheck check;
    assert_int_equal(ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e), ERR_CORRUPT);
    buf_done(&bytes);
    ledger_close(ledger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_setup, sandbox_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_of_published_texts),
        cmocka_unit_test(test_ulid),
        TEST(test_files_that_are_no_ledger_of_ours),
        TEST(test_read_only_refuses_writes),
        TEST(test_rebuild_gives_the_same_tables),
        TEST(test_pruning_keeps_totals_and_hashes),
        TEST(test_artifacts_are_stored_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
