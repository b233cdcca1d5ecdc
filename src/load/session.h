// Session: one whole load test, from its first record in the ledger to its seal. It gives the
// engine a run id, feeds ledger and outputs once a second, retries a generator that failed, decides
// the run's status, and keeps the totals in memory, so that there is a report even when the ledger
// could not be written.
//
//     SessionOptions options = {.plan = plan, .ledger = ledger, .guard = guard, .loop = loop};
//     Session *session = session_create(&options);
//     ... signals on `loop` call session_stop(session) ...
//     rc = session_run(session, e);
//     const SessionResult *r = session_result(session);
//     session_destroy(session);
//
// A failure of the generator itself (no threads, descriptors or ports) is retried once at full load
// and once at half of it. Each attempt is a run of its own in the ledger; SessionResult and the
// run's load_scale say when the load was reduced.
#ifndef LOAD_SESSION_H
#define LOAD_SESSION_H

#include "guard/guard.h"
#include "ledger/run.h"
#include "load/engine.h"

typedef struct Session Session;

enum { SESSION_ATTEMPTS = 3 };
#define SESSION_REDUCED_SCALE 0.5

// An output beside the ledger (--out, live displays). All callbacks on the session's thread, NULL
// for what it does not want.
typedef struct SessionOutput {
    void *ctx;
    void (*begin)(void *ctx, const RunInfo *info);
    void (*series)(void *ctx, const SeriesInfo *series);
    void (*interval)(void *ctx, const EngineInterval *interval);
    void (*event)(void *ctx, int64_t at_ns, Slice kind, Slice text);
    void (*end)(void *ctx, const RunInfo *info, const RunEnd *end);
} SessionOutput;

typedef struct SessionOptions {
    const Plan *plan;
    Ledger *ledger;          // NULL: nothing is recorded
    const Guard *guard;      // NULL: no limits; otherwise after guard_enter
    int64_t duration_ns_max; // of GuardLimits; 0: none
    Loop *loop;              // for signals; NULL: the engine's own
    int threads;             // 0: 1
    bool pin;
    Slice target;  // for the ledger; empty: environment name and base URL
    Slice group;   // runs made by one command
    Labels labels; // --label
    Slice version; // of the program, for the environment fingerprint
    const SessionOutput *outputs;
    size_t output_count;
    const EngineTransport *transport; // tests: a simulated target
    int64_t spin_ns;
    bool no_setup, no_teardown, no_thresholds;
} SessionOptions;

typedef struct SessionResult {
    RunInfo info;
    RunEnd end; // status, reason and the three documents
    const EngineResult *engine;
    const Collector *collector; // totals of every series
    int attempts;
    bool recorded;      // sealed in the ledger
    Slice ledger_error; // when it was not
} SessionResult;

Session *session_create(const SessionOptions *options);
// 0 whenever there is a result, whatever its status. An error when no attempt could start (a URL
// that cannot be parsed, a refused host).
MUST_USE int session_run(Session *session, Err *e);
// As engine_stop: once graceful, twice at once. Before session_run it does nothing.
void session_stop(Session *session);
const SessionResult *session_result(const Session *session);
// The result in the form reports read, as one point that spans the whole run: for when the ledger
// cannot give the run back. In the arena; histograms borrowed from the session.
RunData *session_run_data(const Session *session, Arena *arena);
void session_destroy(Session *session); // NULL is fine

#endif
