// The writer's two halves. The caller's half copies what it is given into items and never touches
// the database. The thread turns items into records, keeps the totals, and commits.
//
//     caller -> [items] -> thread -> [pending records] -> SQLite
//
// While the disk refuses, pending records wait and are tried again every second. Past
// RUN_QUEUE_BYTES_MAX in both lists an interval goes to the thread for the totals only, its record
// is dropped and counted; the thread empties the first list every second or two whatever the disk
// does, so that is a few intervals more.
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "ledger/artifact.h"
#include "ledger/liveness.h"
#include "ledger/run_end.h"
#include "ledger/totals.h"
#include "ledger/ulid.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    INFO_BYTES_MAX = 64 << 20,
    SPLIT_BYTES = 1 << 20,       // hist bytes after which an interval goes on in another record
    BATCH_BYTES_MAX = 8 << 20,   // of one transaction
    POINT_BYTES = 160,           // about what a point takes in JSON beside its histogram
    BUSY_TIMEOUT_S = 2,          // less than at opening: the queue grows meanwhile
    FINISH_TIMEOUT_S = 5,        // how long run_finish tries unless the options say
    FINISH_RETRY_NS = 100000000, // and how often
};

typedef struct Item Item;
struct Item {
    Item *next;
    Slice kind;  // of the record; a literal
    Buf payload; // ready; for intervals empty until the thread has made it
    Buf content; // an artifact's bytes
    char sha256[SHA256_HEX + 1];
    size_t bytes;     // counted against the ceiling
    bool totals_only; // past the ceiling: the record is dropped
    // Intervals and series, for the totals:
    IntervalPayload interval;
    size_t *hist_lens; // of the points, one behind the other in `content`
    uint32_t series;
    MetricKind series_kind;
};

typedef struct Items {
    Item *first;
    Item *last;
} Items;

struct RunWriter {
    Arena *arena;
    RunInfo info;
    Db *db; // the thread's, once it runs
    int live_fd;
    int64_t finish_timeout_ns;
    Thread *thread;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    Items queue;       // under the lock, like everything up to the next comment
    size_t held_bytes; // of queue and pending
    int64_t lost_intervals;
    int64_t lost_others; // events and artifacts
    bool urgent;         // an interval waits: commit now
    const RunEnd *end;   // set by run_finish

    // The thread's, and run_finish's after it has joined.
    Items pending;
    ChainHead head;
    Totals totals;
    bool sealed;
    int rc; // of the last commit
    Err error;
};

static void items_push(Items *items, Item *item)
{
    item->next = NULL;
    if (items->last) {
        items->last->next = item;
    } else {
        items->first = item;
    }
    items->last = item;
}

static Item *items_pop(Items *items)
{
    Item *item = items->first;
    if (item) {
        items->first = item->next;
        items->last = items->first ? items->last : NULL;
    }
    return item;
}

static void item_destroy(Item *item)
{
    buf_done(&item->payload);
    buf_done(&item->content);
    free(item->interval.points);
    free(item->hist_lens);
    free(item);
}

static void items_done(Items *items)
{
    for (Item *item; (item = items_pop(items)) != NULL;) {
        item_destroy(item);
    }
}

// ---- the thread

static void release_bytes(RunWriter *w, size_t bytes)
{
    (void)pthread_mutex_lock(&w->lock);
    w->held_bytes -= bytes;
    (void)pthread_mutex_unlock(&w->lock);
}

// An interval's points into the totals and into its record.
static int absorb_interval(RunWriter *w, Item *item, Err *e)
{
    int rc = 0;
    size_t offset = 0;
    for (size_t i = 0; rc == 0 && i < item->interval.count; i++) {
        PackedPoint *p = &item->interval.points[i];
        p->hist = slice_sub(buf_slice(&item->content), offset, item->hist_lens[i]);
        offset += item->hist_lens[i];
        rc = totals_add(&w->totals, p, e);
    }
    if (rc == 0) {
        payload_write_interval(&item->payload, &item->interval);
        rc = buf_check(&item->payload, "an interval", e);
    }
    buf_done(&item->content);
    item->content = buf_create(0);
    return rc;
}

static void absorb(RunWriter *w, Item *item)
{
    Err e = {0};
    if (slice_eq(item->kind, RECORD_RUN_SERIES)) {
        totals_declare(&w->totals, item->series, item->series_kind);
    }
    if (slice_eq(item->kind, RECORD_RUN_INTERVAL) && absorb_interval(w, item, &e) != 0) {
        // The caller's own points cannot be undeclared or broken: run_interval asserts.
        die("a point that run_interval took cannot be stored: %s", e.text);
    }
    if (item->totals_only) {
        release_bytes(w, item->bytes);
        item_destroy(item);
        return;
    }
    items_push(&w->pending, item);
}

static int store(RunWriter *w, const Item *item, ChainHead *head, Err *e)
{
    Slice run_id = {w->info.id, RUN_ID_LEN};
    int rc = 0;
    if (slice_eq(item->kind, RECORD_RUN_END)) {
        return run_end_append(w->db, run_id, head, buf_slice(&item->payload), e);
    }
    if (slice_eq(item->kind, RECORD_RUN_ARTIFACT)) {
        rc = content_store(w->db, (Slice){item->sha256, SHA256_HEX}, buf_slice(&item->content), e);
    }
    return rc != 0 ? rc
                   : record_append(w->db, run_id, head, item->kind, buf_slice(&item->payload), e);
}

// One transaction with the oldest pending records.
static int commit_batch(RunWriter *w, Err *e)
{
    ChainHead head = w->head;
    size_t bytes = 0, count = 0;
    int rc = db_begin_write(w->db, e);
    for (const Item *i = w->pending.first; rc == 0 && i && bytes < BATCH_BYTES_MAX; i = i->next) {
        rc = store(w, i, &head, e);
        bytes += i->bytes;
        count++;
    }
    if (rc == 0) {
        rc = db_commit(w->db, e);
    }
    if (rc != 0) {
        db_rollback(w->db);
        return rc;
    }
    w->head = head;
    while (count-- > 0) {
        Item *item = items_pop(&w->pending);
        w->sealed = w->sealed || slice_eq(item->kind, RECORD_RUN_END);
        item_destroy(item);
    }
    release_bytes(w, bytes);
    return 0;
}

static void commit_all(RunWriter *w)
{
    w->rc = 0;
    while (w->rc == 0 && w->pending.first) {
        w->error = (Err){0};
        w->rc = commit_batch(w, &w->error);
    }
}

static void push_end(RunWriter *w, const RunEnd *end, int64_t lost_intervals)
{
    Arena *arena = arena_create((size_t)INFO_BYTES_MAX * 8);
    EndPayload payload = {.end = *end, .lost_intervals = lost_intervals};
    totals_pack(&w->totals, arena, &payload.totals, &payload.total_count);
    Item *item = mem_zalloc(sizeof *item);
    item->kind = RECORD_RUN_END;
    item->payload = buf_create(RECORD_PAYLOAD_MAX);
    payload_write_end(&item->payload, &payload);
    items_push(&w->pending, item);
    arena_destroy(arena);
}

// Waits until there is something to commit, and takes it. False when the run is to be closed.
static bool take(RunWriter *w, int64_t next_commit_ns, Items *ret_items)
{
    struct timespec until = {next_commit_ns / NS_PER_S, next_commit_ns % NS_PER_S};
    (void)pthread_mutex_lock(&w->lock);
    while (!w->end) {
        bool due = clock_now(clock_real()) >= next_commit_ns;
        bool waiting = w->queue.first || w->pending.first;
        // After a failure even an interval waits for the next try, but leaves the queue.
        if ((w->urgent && w->rc == 0) || (waiting && due)) {
            break;
        }
        if (waiting) {
            (void)pthread_cond_timedwait(&w->wake, &w->lock, &until);
        } else {
            (void)pthread_cond_wait(&w->wake, &w->lock);
        }
    }
    w->urgent = false;
    *ret_items = w->queue;
    w->queue = (Items){0};
    bool open = !w->end;
    (void)pthread_mutex_unlock(&w->lock);
    return open;
}

static void close_run(RunWriter *w)
{
    (void)pthread_mutex_lock(&w->lock);
    int64_t lost = w->lost_intervals;
    (void)pthread_mutex_unlock(&w->lock);
    push_end(w, w->end, lost);
    int64_t deadline = clock_deadline(clock_now(clock_real()), w->finish_timeout_ns);
    for (;;) {
        commit_all(w);
        // Somebody else's record in our chain, or a damaged file, does not get better by waiting.
        bool hopeless = w->rc == ERR_CONFLICT || w->rc == ERR_CORRUPT || w->rc == ERR_LIMIT;
        if (w->rc == 0 || hopeless || clock_now(clock_real()) >= deadline) {
            return;
        }
        int64_t retry = clock_now(clock_real()) + FINISH_RETRY_NS;
        struct timespec until = {retry / NS_PER_S, retry % NS_PER_S};
        (void)pthread_mutex_lock(&w->lock);
        (void)pthread_cond_timedwait(&w->wake, &w->lock, &until);
        (void)pthread_mutex_unlock(&w->lock);
    }
}

static void writer_main(void *arg)
{
    RunWriter *w = arg;
    int64_t next_commit_ns = 0;
    for (;;) {
        Items items;
        bool open = take(w, next_commit_ns, &items);
        for (Item *item; (item = items_pop(&items)) != NULL;) {
            absorb(w, item);
        }
        if (!open) {
            close_run(w);
            return;
        }
        commit_all(w);
        next_commit_ns = clock_now(clock_real()) + NS_PER_S;
    }
}

// ---- the caller's half

static void enqueue(RunWriter *w, Item *item, bool urgent)
{
    (void)pthread_mutex_lock(&w->lock);
    items_push(&w->queue, item);
    w->held_bytes += item->bytes;
    w->urgent = w->urgent || urgent;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

// Room for `bytes` more? Counts what was lost otherwise.
static bool has_room(RunWriter *w, size_t bytes, int64_t *lost)
{
    (void)pthread_mutex_lock(&w->lock);
    bool room = w->held_bytes + bytes <= RUN_QUEUE_BYTES_MAX;
    *lost += !room;
    (void)pthread_mutex_unlock(&w->lock);
    return room;
}

static Item *item_create(Slice kind, size_t payload_max)
{
    Item *item = mem_zalloc(sizeof *item);
    item->kind = kind;
    item->payload = buf_create(payload_max);
    return item;
}

const RunInfo *run_writer_info(const RunWriter *writer)
{
    return &writer->info;
}

void run_declare_series(RunWriter *w, const SeriesInfo *series)
{
    if (series->id >= SERIES_MAX) {
        die("series %u of a run: ids are dense and below %d", series->id, SERIES_MAX);
    }
    Item *item = item_create(RECORD_RUN_SERIES, RECORD_PAYLOAD_MAX);
    payload_write_series(&item->payload, series);
    item->bytes = item->payload.len + sizeof *item;
    item->series = series->id;
    item->series_kind = series->kind;
    enqueue(w, item, false); // never dropped: points could not be read without it
}

static void enqueue_points(RunWriter *w, int64_t index, const Point *points, size_t count)
{
    Item *item = item_create(RECORD_RUN_INTERVAL, RECORD_PAYLOAD_MAX);
    item->content = buf_create(SPLIT_BYTES + (size_t)HIST_ENCODED_MAX);
    item->interval.index = index;
    item->interval.points = mem_alloc(count * sizeof *item->interval.points);
    item->hist_lens = mem_alloc(count * sizeof *item->hist_lens);
    size_t n = 0;
    while (n < count && item->content.len < SPLIT_BYTES) {
        size_t before = item->content.len;
        if (points[n].hist) {
            hist_encode(points[n].hist, &item->content);
        }
        item->interval.points[n] = (PackedPoint){.point = points[n]};
        item->interval.points[n].point.hist = NULL;
        item->hist_lens[n++] = item->content.len - before;
    }
    item->interval.count = n;
    item->bytes = item->content.len + item->content.len / 3 + n * POINT_BYTES + sizeof *item;
    item->totals_only = !has_room(w, item->bytes, &w->lost_intervals);
    enqueue(w, item, true);
    if (n < count) {
        enqueue_points(w, index, points + n, count - n);
    }
}

void run_interval(RunWriter *w, int64_t index, const Point *points, size_t count)
{
    if (index < 0 || index > INTERVAL_MAX) {
        die("interval %lld of a run", (long long)index);
    }
    if (count > 0) {
        enqueue_points(w, index, points, count);
    }
}

void run_event(RunWriter *w, int64_t at_ns, Slice kind, Slice text)
{
    Item *item = item_create(RECORD_RUN_EVENT, RECORD_PAYLOAD_MAX);
    payload_write_event(&item->payload, &(RunEvent){at_ns, kind, text});
    item->bytes = item->payload.len + sizeof *item;
    if (!item->payload.overflowed && has_room(w, item->bytes, &w->lost_others)) {
        enqueue(w, item, false);
    } else {
        item_destroy(item);
    }
}

int run_artifact(RunWriter *w, Slice name, Slice media_type, Slice bytes, Err *e)
{
    if (bytes.len > RUN_ARTIFACT_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "'%.*s' has %zu bytes, an artifact holds at most %d",
                       SLICE_FMT(name), bytes.len, RUN_ARTIFACT_BYTES_MAX);
    }
    if (!has_room(w, bytes.len, &w->lost_others)) {
        return err_set(e, ERR_FULL, "'%.*s' is not kept: too much waits for the ledger's disk",
                       SLICE_FMT(name));
    }
    Item *item = item_create(RECORD_RUN_ARTIFACT, RECORD_PAYLOAD_MAX);
    Sha256 hash = sha256_of(bytes);
    sha256_hex(&hash, item->sha256);
    item->content = buf_create(RUN_ARTIFACT_BYTES_MAX);
    buf_append(&item->content, bytes);
    payload_write_artifact(&item->payload, &(ArtifactPayload){.name = name,
                                                              .media_type = media_type,
                                                              .sha256 = {item->sha256, SHA256_HEX},
                                                              .bytes = (int64_t)bytes.len});
    item->bytes = bytes.len + item->payload.len + sizeof *item;
    enqueue(w, item, false);
    return 0;
}

// ---- life

static void writer_destroy(RunWriter *w)
{
    items_done(&w->queue);
    items_done(&w->pending);
    totals_done(&w->totals);
    if (w->live_fd >= 0) {
        liveness_release(w->live_fd);
    }
    db_close(w->db);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    arena_destroy(w->arena);
    free(w);
}

static RunWriter *writer_alloc(void)
{
    RunWriter *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(INFO_BYTES_MAX);
    w->live_fd = -1;
    pthread_condattr_t monotonic;
    if (pthread_mutex_init(&w->lock, NULL) != 0 || pthread_condattr_init(&monotonic) != 0 ||
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&w->wake, &monotonic) != 0) {
        die("cannot make a lock");
    }
    (void)pthread_condattr_destroy(&monotonic);
    return w;
}

static int copy_info(RunWriter *w, const RunInfo *info, Err *e)
{
    Slice *const texts[] = {
        &w->info.kind,      &w->info.name,        &w->info.target,          &w->info.group,
        &w->info.plan_json, &w->info.plan_sha256, &w->info.environment_json};
    w->info = *info;
    size_t bytes = 0;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        bytes += texts[i]->len;
    }
    if (bytes > INFO_BYTES_MAX / 2) {
        return err_set(e, ERR_LIMIT, "plan and environment of a run have %zu bytes", bytes);
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        *texts[i] = arena_copy(w->arena, *texts[i]);
    }
    return labels_copy(w->arena, info->labels.items, info->labels.count, &w->info.labels, e);
}

static int append_begin(RunWriter *w, Err *e)
{
    Buf payload = buf_create(RECORD_PAYLOAD_MAX);
    payload_write_begin(&payload, &w->info, getpid());
    int rc = buf_check(&payload, "the plan of a run", e);
    if (rc == 0) {
        rc = db_begin_write(w->db, e);
    }
    if (rc == 0) {
        rc = record_append(w->db, (Slice){w->info.id, RUN_ID_LEN}, &w->head, RECORD_RUN_BEGIN,
                           buf_slice(&payload), e);
    }
    if (rc == 0) {
        rc = db_commit(w->db, e);
    }
    db_end(w->db, rc);
    buf_done(&payload);
    return rc;
}

int run_create(Ledger *ledger, RunInfo *info, RunWriter **ret_writer, Err *e)
{
    int rc = ledger_expect_writable(ledger, e);
    if (rc != 0) {
        return rc;
    }
    int64_t wall_ns = clock_wall(clock_real());
    info->started_unix_ns = info->started_unix_ns ? info->started_unix_ns : wall_ns;
    info->interval_ns = info->interval_ns ? info->interval_ns : NS_PER_S;
    info->load_scale = info->load_scale > 0 ? info->load_scale : 1;
    if ((rc = ulid_create(wall_ns / NS_PER_MS, info->id, e)) != 0) {
        return rc;
    }
    RunWriter *w = writer_alloc();
    w->finish_timeout_ns = ledger->options.finish_timeout_ns > 0 ? ledger->options.finish_timeout_ns
                                                                 : FINISH_TIMEOUT_S * NS_PER_S;
    if ((rc = copy_info(w, info, e)) != 0 || (rc = ledger_connect(ledger, &w->db, e)) != 0 ||
        (rc = liveness_hold(ledger_path(ledger), (Slice){info->id, RUN_ID_LEN}, &w->live_fd, e)) !=
            0 ||
        (rc = append_begin(w, e)) != 0) {
        writer_destroy(w);
        return rc;
    }
    db_set_busy_timeout(w->db, BUSY_TIMEOUT_S * NS_PER_S);
    rc = thread_start("ledger", THREAD_ANY_CPU, writer_main, w, &w->thread, e);
    if (rc != 0) {
        // The begin record stays; the released lock makes it a partial run at the next opening.
        writer_destroy(w);
        return rc;
    }
    *ret_writer = w;
    return 0;
}

int run_finish(RunWriter *w, const RunEnd *end, Err *e)
{
    (void)pthread_mutex_lock(&w->lock);
    w->end = end;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    thread_join(w->thread);
    int rc = w->rc;
    if (rc != 0) {
        (void)err_set(e, (ErrCode)rc, "run %s is not recorded to its end: %s", w->info.id,
                      w->error.text);
    } else if (w->lost_intervals > 0 || w->lost_others > 0) {
        rc = err_set(e, ERR_FULL,
                     "run %s is recorded, but while its disk failed %lld intervals and %lld events "
                     "did not fit into memory",
                     w->info.id, (long long)w->lost_intervals, (long long)w->lost_others);
    }
    writer_destroy(w);
    return rc;
}
