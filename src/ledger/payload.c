#include "ledger/payload.h"

#include <math.h>

#include "ledger/doc_field.h"
#include "ledger/record.h"

enum { DOCUMENT_ARENA_BYTES_MAX = 1 << 30 };

// Members are written in the order of their names: that is what canonical means here, and
// payload_test.c holds every payload against doc_write_canonical().

void labels_write(JsonWriter *w, Labels labels)
{
    json_object_begin(w);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(w, labels.items[i].key);
        json_string(w, labels.items[i].value);
    }
    json_object_end(w);
}

int labels_read(Arena *arena, const Doc *object, Labels *ret_labels, Err *e)
{
    if (!object || object->type != DOC_OBJECT || doc_count(object) > LABELS_MAX) {
        return err_set(e, ERR_CORRUPT, "labels must be an object of at most %d members",
                       LABELS_MAX);
    }
    Label items[LABELS_MAX];
    size_t count = 0;
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        if (m->type != DOC_STRING) {
            return err_set(e, ERR_CORRUPT, "label \"%.*s\" must be a string", SLICE_FMT(m->key));
        }
        items[count++] = (Label){m->key, m->text};
    }
    return labels_copy(arena, items, count, ret_labels, e);
}

// A document that the caller made, in canonical form: null when there is none, and as a string when
// it is no JSON, because a run is not thrown away over a malformed remark.
static void write_document(JsonWriter *w, const char *key, Slice json)
{
    json_key(w, slice_from_cstr(key));
    if (json.len == 0) {
        json_null(w);
        return;
    }
    Arena *arena = arena_create(DOCUMENT_ARENA_BYTES_MAX);
    Buf canonical = buf_create(2 * (size_t)RUN_DOCUMENT_BYTES_MAX);
    const Doc *doc = NULL;
    DocOptions o = {.format = DOC_FORMAT_JSON, .max_bytes = RUN_DOCUMENT_BYTES_MAX};
    if (doc_parse(arena, json, &o, &doc, NULL) == 0) {
        doc_write_canonical(doc, &canonical);
    }
    if (canonical.len > 0 && !canonical.overflowed) {
        json_raw(w, buf_slice(&canonical));
    } else {
        json_string(w, json);
    }
    buf_done(&canonical);
    arena_destroy(arena);
}

// The member as canonical JSON text; empty for null.
static int read_document(Arena *arena, const Doc *object, const char *key, Slice *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (!d) {
        return err_set(e, ERR_CORRUPT, "\"%s\" is missing", key);
    }
    *ret = (Slice){0};
    if (d->type == DOC_STRING) {
        *ret = d->text;
    } else if (d->type != DOC_NULL) {
        Buf text = buf_create(RECORD_PAYLOAD_MAX);
        doc_write_canonical(d, &text);
        int rc = arena_left(arena) > text.len + 64 ? buf_check(&text, key, e) : ERR_LIMIT;
        *ret = rc == 0 ? arena_copy(arena, buf_slice(&text)) : (Slice){0};
        buf_done(&text);
        return rc;
    }
    return 0;
}

// ---- run.begin

void payload_write_begin(Buf *out, const RunInfo *info, int64_t pid)
{
    char seed[24];
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)info->seed);
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    write_document(&w, "environment", info->environment_json);
    json_field_string(&w, "group", info->group);
    json_field_cstr(&w, "id", info->id);
    json_field_int(&w, "interval_ns", info->interval_ns);
    json_field_string(&w, "kind", info->kind);
    json_key(&w, SLICE("labels"));
    labels_write(&w, info->labels);
    json_field_double(&w, "load_scale", info->load_scale);
    json_field_string(&w, "name", info->name);
    json_field_int(&w, "pid", pid);
    write_document(&w, "plan", info->plan_json);
    json_field_string(&w, "plan_sha256", info->plan_sha256);
    json_field_cstr(&w, "seed", seed); // text: JSON numbers end at 2^53 for many readers
    json_field_int(&w, "started_unix_ns", info->started_unix_ns);
    json_field_string(&w, "target", info->target);
    json_object_end(&w);
}

static int read_seed(const Doc *d, uint64_t *ret, Err *e)
{
    Slice text;
    int rc = field_text(d, "seed", &text, e);
    uint64_t value = 0;
    for (size_t i = 0; rc == 0 && i < text.len; i++) {
        unsigned digit = (unsigned)(text.ptr[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            rc = err_set(e, ERR_CORRUPT, "\"seed\" must be a number below 2^64");
        }
    }
    *ret = value;
    return rc;
}

int payload_read_begin(Arena *arena, Slice payload, RunInfo *ret_info, Err *e)
{
    const Doc *d;
    RunInfo info = {0};
    Slice id;
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_text(d, "id", &id, e)) != 0 ||
        (rc = field_text(d, "group", &info.group, e)) != 0 ||
        (rc = field_text(d, "kind", &info.kind, e)) != 0 ||
        (rc = field_text(d, "name", &info.name, e)) != 0 ||
        (rc = field_text(d, "target", &info.target, e)) != 0 ||
        (rc = field_text(d, "plan_sha256", &info.plan_sha256, e)) != 0 ||
        (rc = field_int(d, "interval_ns", 1, INT64_MAX, &info.interval_ns, e)) != 0 ||
        (rc = field_int(d, "started_unix_ns", INT64_MIN, INT64_MAX, &info.started_unix_ns, e)) !=
            0 ||
        (rc = field_number(d, "load_scale", &info.load_scale, e)) != 0 ||
        (rc = read_seed(d, &info.seed, e)) != 0 ||
        (rc = labels_read(arena, doc_get(d, SLICE("labels")), &info.labels, e)) != 0 ||
        (rc = read_document(arena, d, "environment", &info.environment_json, e)) != 0 ||
        (rc = read_document(arena, d, "plan", &info.plan_json, e)) != 0) {
        return rc;
    }
    if (id.len != RUN_ID_LEN) {
        return err_set(e, ERR_CORRUPT, "\"id\" must have %d characters", RUN_ID_LEN);
    }
    memcpy(info.id, id.ptr, RUN_ID_LEN);
    *ret_info = info;
    return 0;
}

// ---- run.series

void payload_write_series(Buf *out, const SeriesInfo *series)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "id", series->id);
    json_field_string(&w, "kind", metric_kind_name(series->kind));
    json_key(&w, SLICE("labels"));
    labels_write(&w, series->labels);
    json_field_string(&w, "metric", series->metric);
    json_field_int(&w, "unit", series->unit);
    json_object_end(&w);
}

int payload_read_series(Arena *arena, Slice payload, SeriesInfo *ret_series, Err *e)
{
    const Doc *d;
    SeriesInfo s = {0};
    int64_t id, unit;
    Slice kind;
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_int(d, "id", 0, SERIES_MAX - 1, &id, e)) != 0 ||
        (rc = field_text(d, "kind", &kind, e)) != 0 ||
        (rc = field_text(d, "metric", &s.metric, e)) != 0 ||
        (rc = field_int(d, "unit", METRIC_UNIT_NONE, METRIC_UNIT_BYTES, &unit, e)) != 0 ||
        (rc = labels_read(arena, doc_get(d, SLICE("labels")), &s.labels, e)) != 0) {
        return rc;
    }
    for (MetricKind k = METRIC_COUNTER; k <= METRIC_TREND; k++) {
        s.kind = slice_eq(kind, metric_kind_name(k)) ? k : s.kind;
    }
    if (s.kind == 0) {
        return err_set(e, ERR_CORRUPT, "\"kind\" of a series must not be \"%.*s\"",
                       SLICE_FMT(kind));
    }
    s.id = (uint32_t)id;
    s.unit = (MetricUnit)unit;
    *ret_series = s;
    return 0;
}

// ---- points: members that are zero or absent are left out

static void write_gauge(JsonWriter *w, const char *key, double value)
{
    if (value != 0 && isfinite(value)) {
        json_field_double(w, key, value);
    }
}

static void write_points(JsonWriter *w, const PackedPoint *points, size_t count)
{
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        const Point *p = &points[i].point;
        json_object_begin(w);
        json_field_int(w, "count", p->count);
        if (points[i].hist.len > 0) {
            json_key(w, SLICE("hist"));
            Buf text = buf_create(2 * (size_t)HIST_ENCODED_MAX);
            buf_append_base64(&text, points[i].hist.ptr, points[i].hist.len);
            json_string(w, buf_slice(&text));
            buf_done(&text);
        }
        write_gauge(w, "last", p->last);
        write_gauge(w, "max", p->max);
        write_gauge(w, "min", p->min);
        json_field_int(w, "series", p->series);
        if (p->trues != 0) {
            json_field_int(w, "trues", p->trues);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static int read_hist(Arena *arena, const Doc *d, Slice *ret, Err *e)
{
    if (!d) {
        *ret = (Slice){0};
        return 0;
    }
    Buf bytes = buf_create(HIST_ENCODED_MAX);
    int rc = d->type == DOC_STRING ? buf_append_base64_decoded(&bytes, d->text) : ERR_PARSE;
    if (rc != 0 || bytes.overflowed || bytes.len == 0 || arena_left(arena) < bytes.len + 64) {
        rc = err_set(e, ERR_CORRUPT, "\"hist\" must be an encoded histogram in base64");
    } else {
        *ret = arena_copy(arena, buf_slice(&bytes));
    }
    buf_done(&bytes);
    return rc;
}

static int read_points(Arena *arena, const Doc *array, PackedPoint **ret, size_t *ret_count, Err *e)
{
    if (!array || array->type != DOC_ARRAY) {
        return err_set(e, ERR_CORRUPT, "the points must be an array");
    }
    size_t count = doc_count(array);
    if (arena_left(arena) / sizeof(PackedPoint) <= count + 1) {
        return err_set(e, ERR_LIMIT, "a record has too many points");
    }
    PackedPoint *points = ARENA_ARRAY(arena, PackedPoint, count ? count : 1);
    size_t n = 0;
    for (const Doc *d = doc_first(array); d; d = doc_next(d), n++) {
        Point *p = &points[n].point;
        int64_t series = 0;
        int rc;
        if ((rc = field_int(d, "series", 0, SERIES_MAX - 1, &series, e)) != 0 ||
            (rc = field_int(d, "count", INT64_MIN, INT64_MAX, &p->count, e)) != 0 ||
            (rc = field_int_or(d, "trues", 0, &p->trues, e)) != 0 ||
            (rc = field_number_or(d, "last", 0, &p->last, e)) != 0 ||
            (rc = field_number_or(d, "min", 0, &p->min, e)) != 0 ||
            (rc = field_number_or(d, "max", 0, &p->max, e)) != 0 ||
            (rc = read_hist(arena, doc_get(d, SLICE("hist")), &points[n].hist, e)) != 0) {
            return rc;
        }
        p->series = (uint32_t)series;
    }
    *ret = points;
    *ret_count = n;
    return 0;
}

void payload_write_interval(Buf *out, const IntervalPayload *interval)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "index", interval->index);
    json_key(&w, SLICE("points"));
    write_points(&w, interval->points, interval->count);
    json_object_end(&w);
}

int payload_read_interval(Arena *arena, Slice payload, IntervalPayload *ret, Err *e)
{
    const Doc *d;
    IntervalPayload interval;
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_int(d, "index", 0, INTERVAL_MAX, &interval.index, e)) != 0 ||
        (rc = read_points(arena, doc_get(d, SLICE("points")), &interval.points, &interval.count,
                          e)) != 0) {
        return rc;
    }
    *ret = interval;
    return 0;
}

// ---- run.event, run.artifact

void payload_write_event(Buf *out, const RunEvent *event)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "at_ns", event->at_ns);
    json_field_string(&w, "kind", event->kind);
    json_field_string(&w, "text", event->text);
    json_object_end(&w);
}

int payload_read_event(Arena *arena, Slice payload, RunEvent *ret_event, Err *e)
{
    const Doc *d;
    RunEvent event;
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_int(d, "at_ns", INT64_MIN, INT64_MAX, &event.at_ns, e)) != 0 ||
        (rc = field_text(d, "kind", &event.kind, e)) != 0 ||
        (rc = field_text(d, "text", &event.text, e)) != 0) {
        return rc;
    }
    *ret_event = event;
    return 0;
}

void payload_write_artifact(Buf *out, const ArtifactPayload *artifact)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "bytes", artifact->bytes);
    json_field_string(&w, "media_type", artifact->media_type);
    json_field_string(&w, "name", artifact->name);
    if (artifact->run_id.len > 0) {
        json_field_string(&w, "run_id", artifact->run_id);
    }
    json_field_string(&w, "sha256", artifact->sha256);
    json_object_end(&w);
}

int payload_read_artifact(Arena *arena, Slice payload, ArtifactPayload *ret, Err *e)
{
    const Doc *d;
    ArtifactPayload a = {0};
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_int(d, "bytes", 0, INT64_MAX, &a.bytes, e)) != 0 ||
        (rc = field_text(d, "media_type", &a.media_type, e)) != 0 ||
        (rc = field_text(d, "name", &a.name, e)) != 0 ||
        (rc = field_text(d, "sha256", &a.sha256, e)) != 0 ||
        (doc_get(d, SLICE("run_id")) && (rc = field_text(d, "run_id", &a.run_id, e)) != 0)) {
        return rc;
    }
    *ret = a;
    return 0;
}

// ---- run.end

void payload_write_end(Buf *out, const EndPayload *p)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "duration_ns", p->end.duration_ns);
    write_document(&w, "health", p->end.health_json);
    json_field_int(&w, "lost_intervals", p->lost_intervals);
    json_field_string(&w, "reason", p->end.reason);
    json_field_string(&w, "status", run_status_name(p->end.status));
    write_document(&w, "summary", p->end.summary_json);
    write_document(&w, "thresholds", p->end.thresholds_json);
    json_key(&w, SLICE("totals"));
    write_points(&w, p->totals, p->total_count);
    json_object_end(&w);
}

int payload_read_end(Arena *arena, Slice payload, EndPayload *ret_end, Err *e)
{
    const Doc *d;
    EndPayload p = {0};
    Slice status;
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_int(d, "duration_ns", 0, INT64_MAX, &p.end.duration_ns, e)) != 0 ||
        (rc = field_int(d, "lost_intervals", 0, INT64_MAX, &p.lost_intervals, e)) != 0 ||
        (rc = field_text(d, "reason", &p.end.reason, e)) != 0 ||
        (rc = field_text(d, "status", &status, e)) != 0 ||
        (rc = read_document(arena, d, "health", &p.end.health_json, e)) != 0 ||
        (rc = read_document(arena, d, "summary", &p.end.summary_json, e)) != 0 ||
        (rc = read_document(arena, d, "thresholds", &p.end.thresholds_json, e)) != 0 ||
        (rc = read_points(arena, doc_get(d, SLICE("totals")), &p.totals, &p.total_count, e)) != 0) {
        return rc;
    }
    for (RunStatus s = RUN_COMPLETE; s <= RUN_INVALID; s++) {
        p.end.status = slice_eq(status, run_status_name(s)) ? s : p.end.status;
    }
    if (p.end.status == RUN_RUNNING) {
        return err_set(e, ERR_CORRUPT, "\"status\" of a run's end must not be \"%.*s\"",
                       SLICE_FMT(status));
    }
    *ret_end = p;
    return 0;
}

// ---- the ledger's chain

void payload_write_seal(Buf *out, const SealPayload *seal)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_string(&w, "head", seal->head);
    json_field_int(&w, "records", seal->records);
    json_field_string(&w, "run_id", seal->run_id);
    json_object_end(&w);
}

int payload_read_seal(Arena *arena, Slice payload, SealPayload *ret_seal, Err *e)
{
    const Doc *d;
    SealPayload s;
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_text(d, "head", &s.head, e)) != 0 ||
        (rc = field_int(d, "records", 1, INT64_MAX, &s.records, e)) != 0 ||
        (rc = field_text(d, "run_id", &s.run_id, e)) != 0) {
        return rc;
    }
    *ret_seal = s;
    return 0;
}

void payload_write_pin(Buf *out, const PinPayload *pin)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "at_unix_ns", pin->at_unix_ns);
    json_field_string(&w, "name", pin->name);
    json_field_string(&w, "note", pin->note);
    json_key(&w, SLICE("runs"));
    json_array_begin(&w);
    for (size_t i = 0; i < pin->run_count; i++) {
        json_string(&w, pin->run_ids[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
}

int payload_read_pin(Arena *arena, Slice payload, PinPayload *ret_pin, Err *e)
{
    const Doc *d;
    PinPayload p = {0};
    int rc = field_object(arena, payload, &d, e);
    if (rc != 0 || (rc = field_int(d, "at_unix_ns", INT64_MIN, INT64_MAX, &p.at_unix_ns, e)) != 0 ||
        (rc = field_text(d, "name", &p.name, e)) != 0 ||
        (rc = field_text(d, "note", &p.note, e)) != 0) {
        return rc;
    }
    const Doc *runs = doc_get(d, SLICE("runs"));
    size_t count = doc_count(runs);
    if (!runs || runs->type != DOC_ARRAY || arena_left(arena) / sizeof(Slice) <= count + 1) {
        return err_set(e, ERR_CORRUPT, "\"runs\" must be an array");
    }
    Slice *ids = ARENA_ARRAY(arena, Slice, count ? count : 1);
    for (const Doc *m = doc_first(runs); m; m = doc_next(m)) {
        if (m->type != DOC_STRING) {
            return err_set(e, ERR_CORRUPT, "\"runs\" must hold ids");
        }
        ids[p.run_count++] = m->text;
    }
    p.run_ids = ids;
    *ret_pin = p;
    return 0;
}
