// Writing under adversity: killed processes, full disks, locks, two processes at once.
#include "ledger/ledger_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ledger/ledger_impl.h"

enum { WAIT_STEPS = 3000, STEP_MS = 10 };
#define LOCK_WAIT_NS INT64_C(30000000000)

static int64_t count_of(Sandbox *box, Ledger *ledger, const char *sql)
{
    int64_t n = 0;
    assert_ok(box, db_get_int(ledger->db, sql, 0, &n, &box->e));
    return n;
}

static const char INTERVALS[] = "SELECT count(*) FROM record WHERE kind = 'run.interval'";

// The child of the kill test: as many intervals as bytes come in, then it waits to be killed.
static void write_until_killed(Sandbox *box, int commands)
{
    Ledger *ledger = sandbox_open(box);
    RunInfo info = sample_info("killed");
    RunWriter *w;
    char byte;
    if (run_create(ledger, &info, &w, NULL) != 0) {
        _exit(1);
    }
    declare_sample_series(w);
    for (int64_t i = 0; read(commands, &byte, 1) == 1; i++) {
        write_sample_interval(w, i);
    }
    (void)pause();
    _exit(1);
}

static void test_kill_9_loses_at_most_two_intervals(void **state)
{
    enum { KEPT = 5, IN_FLIGHT = 2 };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    int pipe_fds[2], status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(pipe_fds[1]);
        write_until_killed(box, pipe_fds[0]);
    }
    assert_int_equal(write(pipe_fds[1], "12345", KEPT), KEPT);
    for (int i = 0; i < WAIT_STEPS && count_of(box, ledger, INTERVALS) < KEPT; i++) {
        (void)poll(NULL, 0, STEP_MS);
    }
    assert_int_equal(count_of(box, ledger, INTERVALS), KEPT);
    // While its process lives the run is left alone.
    Ledger *again = sandbox_open(box);
    ledger_close(again);
    assert_int_equal(count_of(box, ledger, "SELECT count(*) FROM run WHERE status = 0"), 1);
    assert_int_equal(write(pipe_fds[1], "67", IN_FLIGHT), IN_FLIGHT);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    ledger_close(ledger);
    ledger = sandbox_open(box);
    RunData *run;
    LedgerCheck check;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    assert_int_equal(run->end.status, RUN_PARTIAL);
    assert_true(slice_eq_cstr(run->end.reason, "the process ended without closing the run"));
    assert_in_range(run->interval_count, KEPT, KEPT + IN_FLIGHT);
    assert_int_equal(run->end.duration_ns, run->interval_count * 1000000000);
    assert_int_equal(run->seal_hash.len, 64);
    const RunSeries *reqs = run_series_find(run, SLICE("http_reqs"), (Labels){0});
    assert_int_equal(reqs->total.count, run->interval_count * SAMPLE_REQUESTS);
    assert_ok(box, ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e));
    run_data_done(run);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    ledger_close(ledger);
}

static void test_processes_write_one_ledger_together(void **state)
{
    enum { PROCESSES = 3, RUNS = 2, LENGTH = 10 };
    Sandbox *box = *state;
    // Not opened before: they also race to create it.
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            Ledger *ledger = sandbox_open(box);
            char id[RUN_ID_LEN + 1];
            for (int k = 0; k < RUNS; k++) {
                write_sample_run(box, ledger, "together", LENGTH, id);
            }
            ledger_close(ledger);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    Ledger *ledger = sandbox_open(box);
    LedgerCheck check;
    LedgerHead head;
    assert_ok(box, ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e));
    assert_int_equal(check.chains, PROCESSES * RUNS + 1);
    assert_ok(box, ledger_head(ledger, &head, &box->e));
    assert_int_equal(head.records, PROCESSES * RUNS);
    assert_int_equal(count_of(box, ledger, "SELECT count(*) FROM run WHERE status = 1"),
                     PROCESSES * RUNS);
    ledger_close(ledger);
}

static RunWriter *begin(Sandbox *box, Ledger *ledger)
{
    RunInfo info = sample_info("x");
    RunWriter *w = NULL;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    declare_sample_series(w);
    return w;
}

static void test_a_full_disk_is_reported_at_the_end(void **state)
{
    Sandbox *box = *state;
    ledger_close(sandbox_open(box));
    Ledger *ledger = NULL;
    LedgerOptions o = {.path = box->path, .max_bytes = 200 << 10, .finish_timeout_ns = 50000000};
    assert_ok(box, ledger_open(&o, &ledger, &box->e));
    RunWriter *w = begin(box, ledger);
    for (int64_t i = 0; i < 1000; i++) {
        write_sample_interval(w, i);
    }
    assert_int_equal(run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e), ERR_FULL);
    ledger_close(ledger);
    // What fitted is there, and with room again the run is closed as partial.
    ledger = sandbox_open(box);
    RunData *run;
    LedgerCheck check;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    assert_int_equal(run->end.status, RUN_PARTIAL);
    assert_ok(box, ledger_verify(ledger, (Slice){0}, NULL, NULL, &check, &box->e));
    run_data_done(run);
    ledger_close(ledger);
}

static void expect_all(Sandbox *box, Ledger *ledger, int64_t intervals)
{
    RunData *run;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    assert_int_equal(run->end.status, RUN_COMPLETE);
    assert_int_equal(run->interval_count, intervals);
    assert_int_equal(run->series[S_DURATION].point_count, intervals);
    assert_int_equal(run->lost_intervals, 0);
    run_data_done(run);
}

// Every write fails for a while, as on a disk that is full or was remounted read-only.
static void test_records_wait_in_memory_until_the_disk_takes_them(void **state)
{
    enum { INTERVALS_BEFORE = 3, INTERVALS_MEANWHILE = 5 };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    RunWriter *w = begin(box, ledger);
    int64_t i = 0;
    for (; i < INTERVALS_BEFORE; i++) {
        write_sample_interval(w, i);
    }
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit saved;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = saved.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    for (; i < INTERVALS_BEFORE + INTERVALS_MEANWHILE; i++) {
        write_sample_interval(w, i);
        // Lets the writer run into the wall; the test holds without it as well.
        (void)poll(NULL, 0, STEP_MS);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    assert_ok(box, run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e));
    expect_all(box, ledger, i);
    ledger_close(ledger);
}

static void test_a_disk_that_stays_broken_is_reported(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = NULL;
    LedgerOptions o = {.path = box->path, .finish_timeout_ns = 50000000};
    assert_ok(box, ledger_open(&o, &ledger, &box->e));
    RunWriter *w = begin(box, ledger);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit saved;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = saved.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    write_sample_interval(w, 0);
    int rc = run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    assert_true(rc == ERR_IO || rc == ERR_FULL);
    assert_non_null(strstr(box->e.text, "is not recorded to its end"));
    ledger_close(ledger);
}

static void test_a_lock_of_another_process_is_waited_for(void **state)
{
    enum { LENGTH = 4 };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    RunWriter *w = begin(box, ledger);
    Db *other;
    assert_ok(box, db_open(box->path, DB_WRITE, &other, &box->e));
    db_set_busy_timeout(other, LOCK_WAIT_NS); // the writer may hold it just now
    assert_ok(box, db_begin_write(other, &box->e));
    for (int64_t i = 0; i < LENGTH; i++) {
        write_sample_interval(w, i);
        (void)poll(NULL, 0, STEP_MS);
    }
    db_rollback(other);
    db_close(other);
    assert_ok(box, run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e));
    expect_all(box, ledger, LENGTH);
    ledger_close(ledger);
}

// Past the ceiling the records of intervals are dropped and counted; the totals have everything.
static void test_past_the_ceiling_the_totals_stay_whole(void **state)
{
    enum { ARTIFACTS = 3, LENGTH = 50 };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    RunWriter *w = begin(box, ledger);
    Db *other;
    assert_ok(box, db_open(box->path, DB_WRITE, &other, &box->e));
    db_set_busy_timeout(other, LOCK_WAIT_NS); // the writer may hold it just now
    assert_ok(box, db_begin_write(other, &box->e));
    char *large = mem_zalloc(RUN_ARTIFACT_BYTES_MAX);
    Slice bytes = {large, RUN_ARTIFACT_BYTES_MAX};
    for (int i = 0; i < ARTIFACTS; i++) {
        assert_ok(box, run_artifact(w, SLICE("large"), SLICE("t"), bytes, &box->e));
    }
    bytes.len -= 16 << 10;
    assert_ok(box, run_artifact(w, SLICE("large"), SLICE("t"), bytes, &box->e));
    assert_int_equal(run_artifact(w, SLICE("large"), SLICE("t"), bytes, &box->e), ERR_FULL);
    for (int64_t i = 0; i < LENGTH; i++) {
        write_sample_interval(w, i);
    }
    db_rollback(other);
    db_close(other);
    free(large);
    assert_int_equal(run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e), ERR_FULL);
    assert_non_null(strstr(box->e.text, "did not fit into memory"));
    RunData *run;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    assert_true(run->lost_intervals > 0);
    const RunSeries *d = &run->series[S_DURATION];
    assert_int_equal(d->point_count + (size_t)run->lost_intervals, LENGTH);
    assert_int_equal(d->total.hist->count, LENGTH * SAMPLE_REQUESTS);
    run_data_done(run);
    ledger_close(ledger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_setup, sandbox_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill_9_loses_at_most_two_intervals),
        TEST(test_processes_write_one_ledger_together),
        TEST(test_a_full_disk_is_reported_at_the_end),
        TEST(test_records_wait_in_memory_until_the_disk_takes_them),
        TEST(test_a_disk_that_stays_broken_is_reported),
        TEST(test_a_lock_of_another_process_is_waited_for),
        TEST(test_past_the_ceiling_the_totals_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
