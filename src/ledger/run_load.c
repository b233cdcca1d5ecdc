// Loading a run: one walk over its chain. The points are read from the log itself; a table of them
// would double the file for nothing, because only whole runs are ever read.
#include "ledger/ledger_impl.h"
#include "ledger/record.h"
#include "ledger/totals.h"

enum { RECORD_ARENA_BYTES_MAX = 512 << 20, EVENTS_MAX = 1 << 20 };

typedef struct BuildPoint {
    int64_t index;
    Point point;
    Hist *hist;
} BuildPoint;

typedef struct BuildSeries {
    bool declared;
    SeriesInfo info;
    BuildPoint *points;
    size_t count, capacity;
    Point total;
    Hist *total_hist;
    bool has_total;
} BuildSeries;

typedef struct Loader {
    Arena *arena;  // the caller's
    Arena *record; // of one record
    RunData *run;
    BuildSeries *series; // by id
    size_t series_count;
    RunEvent *events;
    size_t event_count, event_capacity;
    size_t hist_bytes;
    unsigned shift; // how often two points were made one
} Loader;

static size_t hist_bytes(const Hist *h)
{
    size_t bytes = sizeof *h;
    for (size_t i = 0; i < COUNT_OF(h->octaves); i++) {
        bytes += h->octaves[i] ? HIST_SUB * sizeof(uint64_t) : 0;
    }
    return bytes;
}

static void hist_destroy(Hist *h)
{
    if (h) {
        hist_done(h);
        free(h);
    }
}

static int hist_create(Slice bytes, Hist **ret, Err *e)
{
    Hist *h = mem_alloc(sizeof *h);
    hist_init(h);
    int rc = bytes.len > 0 ? hist_decode(h, bytes, e) : 0;
    if (rc != 0) {
        hist_destroy(h);
        return rc;
    }
    *ret = h;
    return 0;
}

static void loader_done(Loader *l)
{
    for (size_t i = 0; i < l->series_count; i++) {
        for (size_t k = 0; k < l->series[i].count; k++) {
            hist_destroy(l->series[i].points[k].hist);
        }
        hist_destroy(l->series[i].total_hist);
        free(l->series[i].points);
    }
    free(l->series);
    free(l->events);
    arena_destroy(l->record);
}

// ---- points

static void merge_point(BuildPoint *into, BuildPoint *p, MetricKind kind)
{
    point_add(&into->point, &p->point, kind, false);
    if (p->hist) {
        hist_merge(into->hist, p->hist);
        hist_destroy(p->hist);
        p->hist = NULL;
    }
}

// Two neighbouring intervals become one, everywhere: memory stays bounded however long the run was.
static void coarsen(Loader *l)
{
    l->shift++;
    l->hist_bytes = 0;
    for (size_t i = 0; i < l->series_count; i++) {
        BuildSeries *s = &l->series[i];
        size_t n = 0;
        for (size_t k = 0; k < s->count; k++) {
            BuildPoint p = s->points[k];
            p.index >>= 1;
            if (n > 0 && s->points[n - 1].index == p.index) {
                merge_point(&s->points[n - 1], &p, s->info.kind);
            } else {
                s->points[n++] = p;
            }
        }
        s->count = n;
        for (size_t k = 0; k < n; k++) {
            l->hist_bytes += s->points[k].hist ? hist_bytes(s->points[k].hist) : 0;
        }
    }
}

static int add_point(Loader *l, int64_t index, const PackedPoint *packed, Err *e)
{
    uint32_t id = packed->point.series;
    if (id >= l->series_count || !l->series[id].declared) {
        return err_set(e, ERR_CORRUPT, "a point of series %u, which was not declared", id);
    }
    BuildSeries *s = &l->series[id];
    BuildPoint p = {.index = index >> l->shift, .point = packed->point};
    if (s->count > 0 && p.index < s->points[s->count - 1].index) {
        return err_set(e, ERR_CORRUPT, "interval %lld comes late", (long long)index);
    }
    if (s->info.kind == METRIC_TREND) {
        int rc = hist_create(packed->hist, &p.hist, e);
        if (rc != 0) {
            return rc;
        }
        l->hist_bytes += hist_bytes(p.hist);
    }
    if (s->count > 0 && p.index == s->points[s->count - 1].index) {
        merge_point(&s->points[s->count - 1], &p, s->info.kind);
        return 0;
    }
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 64;
        s->points = mem_realloc(s->points, s->capacity * sizeof *s->points);
    }
    s->points[s->count++] = p;
    return 0;
}

// A test ten times as long must not take ten times the memory to look at.
static bool is_too_much(const Loader *l)
{
    int64_t points = l->run->interval_count >> l->shift;
    return (l->hist_bytes > RUN_HIST_BYTES && points >= 2 * RUN_POINTS_MIN) ||
           (l->hist_bytes > RUN_HIST_BYTES_MAX && points > 1);
}

static int load_interval(Loader *l, const Record *r, Err *e)
{
    IntervalPayload interval;
    if (!r->payload.ptr) {
        l->run->pruned = true;
        return 0;
    }
    int rc = payload_read_interval(l->record, r->payload, &interval, e);
    for (size_t i = 0; rc == 0 && i < interval.count; i++) {
        rc = add_point(l, interval.index, &interval.points[i], e);
    }
    if (rc == 0 && interval.index >= l->run->interval_count) {
        l->run->interval_count = interval.index + 1;
    }
    while (is_too_much(l)) {
        coarsen(l);
    }
    return rc;
}

// ---- the other records

static int load_series(Loader *l, const Record *r, Err *e)
{
    SeriesInfo info;
    int rc = payload_read_series(l->record, r->payload, &info, e);
    if (rc != 0) {
        return rc;
    }
    if (info.id >= l->series_count) {
        size_t count = l->series_count ? l->series_count : 64;
        while (count <= info.id) {
            count *= 2;
        }
        l->series = mem_realloc(l->series, count * sizeof *l->series);
        memset(l->series + l->series_count, 0, (count - l->series_count) * sizeof *l->series);
        l->series_count = count;
    }
    BuildSeries *s = &l->series[info.id];
    if (s->declared) {
        return err_set(e, ERR_CORRUPT, "series %u is declared twice", info.id);
    }
    if (arena_left(l->arena) < r->payload.len + LABELS_MAX * sizeof(Label)) {
        return err_set(e, ERR_LIMIT, "the run has more series than fit into memory");
    }
    info.metric = arena_copy(l->arena, info.metric);
    rc = labels_copy(l->arena, info.labels.items, info.labels.count, &info.labels, e);
    s->declared = true;
    s->info = info;
    s->total.series = info.id;
    return rc;
}

static int load_event(Loader *l, const Record *r, Err *e)
{
    if (l->event_count == l->event_capacity) {
        l->event_capacity = l->event_capacity ? 2 * l->event_capacity : 64;
        l->events = mem_realloc(l->events, l->event_capacity * sizeof *l->events);
    }
    if (l->event_count == EVENTS_MAX || arena_left(l->arena) < r->payload.len * 2 + 256) {
        return err_set(e, ERR_LIMIT, "the run has more events than fit into memory");
    }
    RunEvent event;
    int rc = payload_read_event(l->record, r->payload, &event, e);
    if (rc == 0) {
        l->events[l->event_count++] = (RunEvent){event.at_ns, arena_copy(l->arena, event.kind),
                                                 arena_copy(l->arena, event.text)};
    }
    return rc;
}

static int load_end(Loader *l, const Record *r, Err *e)
{
    EndPayload end;
    if (arena_left(l->arena) < r->payload.len * 4) {
        return err_set(e, ERR_LIMIT, "the end of the run does not fit into memory");
    }
    int rc = payload_read_end(l->arena, r->payload, &end, e);
    for (size_t i = 0; rc == 0 && i < end.total_count; i++) {
        const PackedPoint *t = &end.totals[i];
        if (t->point.series >= l->series_count || !l->series[t->point.series].declared) {
            return err_set(e, ERR_CORRUPT, "a total of series %u, which was not declared",
                           t->point.series);
        }
        BuildSeries *s = &l->series[t->point.series];
        if (s->has_total) {
            return err_set(e, ERR_CORRUPT, "two totals of series %u", t->point.series);
        }
        s->total = t->point;
        s->has_total = true;
        if (s->info.kind == METRIC_TREND) {
            rc = hist_create(t->hist, &s->total_hist, e);
        }
    }
    if (rc == 0) {
        l->run->end = end.end;
        l->run->lost_intervals = end.lost_intervals;
    }
    return rc;
}

static int load_record(Loader *l, const Record *r, Err *e)
{
    static const struct {
        Slice kind;
        int (*load)(Loader *l, const Record *r, Err *e);
    } KINDS[] = {
        {SLICE_INIT("run.series"), load_series},
        {SLICE_INIT("run.interval"), load_interval},
        {SLICE_INIT("run.event"), load_event},
        {SLICE_INIT("run.end"), load_end},
    };
    if (r->version > RECORD_VERSION) {
        return err_set(e, ERR_VERSION, "it was written by a newer program: use that one");
    }
    if (!r->payload.ptr && !slice_eq(r->kind, RECORD_RUN_INTERVAL)) {
        return err_set(e, ERR_CORRUPT, "its payload is gone");
    }
    if (slice_eq(r->kind, RECORD_RUN_BEGIN)) {
        return arena_left(l->arena) < r->payload.len * 4
                   ? err_set(e, ERR_LIMIT, "the plan does not fit into memory")
                   : payload_read_begin(l->arena, r->payload, &l->run->info, e);
    }
    for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
        if (slice_eq(r->kind, KINDS[i].kind)) {
            return KINDS[i].load(l, r, e);
        }
    }
    return 0; // artifacts, and kinds of later programs
}

static int load_chain(Loader *l, Db *db, Slice id, Err *e)
{
    Stmt *s;
    int rc = record_chain(db, id, &s, e);
    if (rc != 0) {
        return rc;
    }
    Record r;
    while ((rc = record_next(s, &r, e)) > 0) {
        arena_reset(l->record);
        if ((rc = load_record(l, &r, e)) != 0) {
            (void)err_wrap(e, "run %.*s, %.*s record %lld", SLICE_FMT(id), SLICE_FMT(r.kind),
                           (long long)r.run_seq);
            break;
        }
    }
    stmt_done(s);
    return rc;
}

static int load_seal(Loader *l, Db *db, Slice id, Err *e)
{
    Stmt *s;
    int rc = db_prepare(db, "SELECT seal_hash FROM run WHERE run_id = ?1", &s, e);
    if (rc != 0) {
        return rc;
    }
    stmt_text(s, 1, id);
    if ((rc = stmt_row(s, e)) > 0) {
        l->run->seal_hash = arena_copy(l->arena, stmt_get_text(s, 0));
        rc = 0;
    }
    stmt_done(s);
    return rc;
}

// ---- handing over

// A run that has not ended yet has the merge of its points so far.
static void sum_points(BuildSeries *s)
{
    if (s->info.kind == METRIC_TREND) {
        s->total_hist = mem_alloc(sizeof *s->total_hist);
        hist_init(s->total_hist);
    }
    for (size_t i = 0; i < s->count; i++) {
        point_add(&s->total, &s->points[i].point, s->info.kind, i == 0);
        if (s->total_hist) {
            hist_merge(s->total_hist, s->points[i].hist);
        }
    }
}

static int give_series(Loader *l, Err *e)
{
    size_t count = 0, points = 0;
    for (size_t i = 0; i < l->series_count; i++) {
        count += l->series[i].declared;
        points += l->series[i].count;
    }
    size_t need = count * (sizeof(RunSeries) + 16) + points * sizeof(RunPoint) +
                  l->event_count * sizeof(RunEvent) + 64;
    if (arena_left(l->arena) < need) {
        return err_set(e, ERR_LIMIT, "the run's %zu points do not fit into memory", points);
    }
    RunSeries *out = ARENA_ARRAY(l->arena, RunSeries, count ? count : 1);
    size_t n = 0;
    for (size_t i = 0; i < l->series_count; i++) {
        BuildSeries *s = &l->series[i];
        if (!s->declared) {
            continue;
        }
        if (!s->has_total) {
            sum_points(s);
        }
        RunPoint *p = ARENA_ARRAY(l->arena, RunPoint, s->count ? s->count : 1);
        for (size_t k = 0; k < s->count; k++) {
            p[k] = (RunPoint){s->points[k].index, s->points[k].point};
            p[k].point.hist = s->points[k].hist;
        }
        out[n] = (RunSeries){s->info, p, s->count, s->total};
        out[n++].total.hist = s->total_hist;
        s->count = 0;
        s->total_hist = NULL;
    }
    RunEvent *events = ARENA_ARRAY(l->arena, RunEvent, l->event_count ? l->event_count : 1);
    for (size_t i = 0; i < l->event_count; i++) {
        events[i] = l->events[i];
    }
    l->run->series = out;
    l->run->series_count = n;
    l->run->events = events;
    l->run->event_count = l->event_count;
    return 0;
}

static int parse_document(Arena *arena, Slice json, const Doc **ret, Err *e)
{
    DocOptions o = {
        .format = DOC_FORMAT_JSON, .source = "ledger", .max_bytes = 2 * RUN_DOCUMENT_BYTES_MAX};
    if (json.len == 0) {
        return 0;
    }
    int rc = doc_parse(arena, json, &o, ret, e);
    // Text that is no JSON was kept as it was; it is no document.
    return rc == ERR_PARSE ? 0 : rc;
}

static int parse_documents(Loader *l, Err *e)
{
    RunData *run = l->run;
    int rc;
    if ((rc = parse_document(l->arena, run->info.plan_json, &run->plan, e)) != 0 ||
        (rc = parse_document(l->arena, run->info.environment_json, &run->environment, e)) != 0 ||
        (rc = parse_document(l->arena, run->end.health_json, &run->health, e)) != 0 ||
        (rc = parse_document(l->arena, run->end.thresholds_json, &run->thresholds, e)) != 0) {
        return rc;
    }
    return parse_document(l->arena, run->end.summary_json, &run->summary, e);
}

static int load(Loader *l, Ledger *ledger, Slice selector, Err *e)
{
    char id[RUN_ID_LEN + 1];
    int rc = run_resolve(ledger, selector, id, e);
    if (rc != 0 || (rc = db_begin_read(ledger->db, e)) != 0) {
        return rc;
    }
    Slice run_id = {id, RUN_ID_LEN};
    if ((rc = load_chain(l, ledger->db, run_id, e)) == 0) {
        rc = load_seal(l, ledger->db, run_id, e);
    }
    db_rollback(ledger->db);
    if (rc == 0) {
        rc = parse_documents(l, e);
    }
    if (rc == 0) {
        rc = give_series(l, e);
    }
    RunData *run = l->run;
    run->merged = INT64_C(1) << l->shift;
    run->interval_count = (run->interval_count + run->merged - 1) >> l->shift;
    if (__builtin_mul_overflow(run->info.interval_ns, run->merged, &run->info.interval_ns)) {
        run->info.interval_ns = INT64_MAX;
    }
    return rc;
}

int run_load(Ledger *ledger, Slice selector, Arena *arena, RunData **ret_run, Err *e)
{
    Loader l = {.arena = arena,
                .record = arena_create(RECORD_ARENA_BYTES_MAX),
                .run = ARENA_NEW(arena, RunData)};
    int rc = load(&l, ledger, selector, e);
    loader_done(&l);
    if (rc == 0) {
        *ret_run = l.run;
    }
    return rc;
}

static void point_done(const Point *p)
{
    // The loader made it; the const is the reader's.
    hist_destroy((Hist *)(uintptr_t)p->hist);
}

void run_data_done(RunData *run)
{
    for (size_t i = 0; run && i < run->series_count; i++) {
        for (size_t k = 0; k < run->series[i].point_count; k++) {
            point_done(&run->series[i].points[k].point);
        }
        point_done(&run->series[i].total);
    }
    if (run) {
        run->series_count = 0;
    }
}

const RunSeries *run_series_find(const RunData *run, Slice metric, Labels filter)
{
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *s = &run->series[i];
        if (slice_eq(s->info.metric, metric) && labels_match(s->info.labels, filter)) {
            return s;
        }
    }
    return NULL;
}

bool run_quantile(const RunData *run, Slice metric, Labels filter, double q, double *ret_value)
{
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *s = &run->series[i];
        if (!slice_eq(s->info.metric, metric) || !labels_match(s->info.labels, filter)) {
            continue;
        }
        char stat[32];
        (void)snprintf(stat, sizeof stat, "p%g", 100 * q);
        if (s->total.hist && hist_count_all(s->total.hist) > 0) {
            *ret_value = hist_quantile_all(s->total.hist, q);
            return true;
        }
        if (s->info.kind == METRIC_GAUGE &&
            slice_eq_cstr(labels_get(s->info.labels, SLICE("stat")), stat)) {
            *ret_value = s->total.last;
            return true;
        }
    }
    return false;
}
