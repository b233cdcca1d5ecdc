// What recording costs: time that the caller spends in run_interval, time of a commit, bytes of a
// series and second, time to load and to verify. Prints; asserts nothing.
//
//     build/release/bench/bench_ledger [directory]
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "ledger/run.h"
#include "os/clock.h"
#include "os/file.h"

enum { SERIES = 80, SECONDS = 60, REQUESTS = 1000 };

static void check(int rc, const Err *e)
{
    if (rc != 0) {
        die("bench ledger: %s", e->text);
    }
}

static int64_t now(void)
{
    return clock_now(clock_real());
}

static void write_run(Ledger *ledger, Hist *h, Err *e)
{
    RunInfo info = {.kind = SLICE("bench"), .name = SLICE("bench")};
    RunWriter *w;
    check(run_create(ledger, &info, &w, e), e);
    Point *points = mem_alloc(SERIES * sizeof *points);
    for (uint32_t i = 0; i < SERIES; i++) {
        run_declare_series(w, &(SeriesInfo){i, METRIC_TREND, METRIC_UNIT_TIME, SLICE("m"), {0}});
        points[i] = (Point){.series = i, .count = REQUESTS, .hist = h};
    }
    int64_t caller = 0, start = now();
    for (int64_t i = 0; i < SECONDS; i++) {
        int64_t before = now();
        run_interval(w, i, points, SERIES);
        caller += now() - before;
    }
    check(run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, e), e);
    free(points);
    double all = (double)(now() - start);
    printf("run_interval, %d series     %8.1f us, %.2f us a series\n", SERIES,
           (double)caller / SECONDS / 1e3, (double)caller / SECONDS / SERIES / 1e3);
    printf("all of it, an interval       %8.2f ms\n", all / SECONDS / 1e6);
}

static void commits(Ledger *ledger, Err *e)
{
    enum { ROUNDS = 50 };
    int64_t worst = 0, sum = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t before = now();
        check(run_attach(ledger, SLICE("latest"), SLICE("a"), SLICE("t"), SLICE("b"), e), e);
        int64_t took = now() - before;
        sum += took;
        worst = took > worst ? took : worst;
    }
    printf("a commit of one record       %8.2f ms, longest of %d %.2f ms\n",
           (double)sum / ROUNDS / 1e6, ROUNDS, (double)worst / 1e6);
}

int main(int argc, char **argv)
{
    char dir[256], path[300];
    (void)snprintf(dir, sizeof dir, "%s/bench.XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(dir)) {
        die("bench ledger: cannot make '%s'", dir);
    }
    (void)snprintf(path, sizeof path, "%s/ledger.db", dir);
    Err e = {0};
    Hist h;
    hist_init(&h);
    // Around 20 ms: exp(16.8) ns.
    Rng rng = rng_stream(1, SLICE("bench"), 0);
    for (int i = 0; i < REQUESTS; i++) {
        hist_record(&h, (int64_t)rng_lognormal(&rng, 16.8, 0.5));
    }
    Ledger *ledger;
    check(ledger_open(&(LedgerOptions){.path = path}, &ledger, &e), &e);
    write_run(ledger, &h, &e);
    struct stat st;
    ledger_close(ledger);
    if (stat(path, &st) == 0) {
        printf("file                         %8.0f bytes a series and second\n",
               (double)st.st_size / SERIES / SECONDS);
    }
    check(ledger_open(&(LedgerOptions){.path = path}, &ledger, &e), &e);
    Arena *arena = arena_create(256 << 20);
    RunData *run;
    LedgerCheck verified;
    int64_t t0 = now();
    check(run_load(ledger, SLICE("latest"), arena, &run, &e), &e);
    int64_t t1 = now();
    check(ledger_verify(ledger, (Slice){0}, NULL, NULL, &verified, &e), &e);
    int64_t t2 = now();
    printf("run_load, %d points        %8.1f ms (%lld intervals a point)\n", SERIES * SECONDS,
           (double)(t1 - t0) / 1e6, (long long)run->merged);
    printf("ledger_verify                %8.1f ms\n", (double)(t2 - t1) / 1e6);
    commits(ledger, &e);
    run_data_done(run);
    arena_destroy(arena);
    ledger_close(ledger);
    hist_done(&h);
    check(dir_remove_all(dir, &e), &e);
    return 0;
}
