// Payloads of records, exports of other ledgers and numbers of other tools: whatever is accepted
// must come back from its own writing, byte for byte, and that writing must be canonical. The first
// byte says which reader the rest is for.
#include "ledger/foreign.h"
#include "ledger/payload.h"
#include "ledger/proposal_impl.h"
#include "ledger/totals.h"

enum { TEXT_MAX = 64 << 10, ARENA_BYTES = 256 << 20, OUT_MAX = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz_ledger: %s", what);
    }
}

// Reads `text` as the payload `which` and writes what was understood. False when it was refused.
static bool pass(Arena *arena, unsigned which, Slice text, Buf *out)
{
    RunInfo info;
    SeriesInfo series;
    IntervalPayload interval;
    RunEvent event;
    ArtifactPayload artifact;
    EndPayload end;
    SealPayload seal;
    PinPayload pin;
    switch (which) {
    case 0:
        return payload_read_begin(arena, text, &info, NULL) == 0 &&
               (payload_write_begin(out, &info, 1), true);
    case 1:
        return payload_read_series(arena, text, &series, NULL) == 0 &&
               (payload_write_series(out, &series), true);
    case 2:
        return payload_read_interval(arena, text, &interval, NULL) == 0 &&
               (payload_write_interval(out, &interval), true);
    case 3:
        return payload_read_event(arena, text, &event, NULL) == 0 &&
               (payload_write_event(out, &event), true);
    case 4:
        return payload_read_artifact(arena, text, &artifact, NULL) == 0 &&
               (payload_write_artifact(out, &artifact), true);
    case 5:
        return payload_read_end(arena, text, &end, NULL) == 0 &&
               (payload_write_end(out, &end), true);
    case 6:
        return payload_read_seal(arena, text, &seal, NULL) == 0 &&
               (payload_write_seal(out, &seal), true);
    default:
        return payload_read_pin(arena, text, &pin, NULL) == 0 &&
               (payload_write_pin(out, &pin), true);
    }
}

static void check_payload(Arena *arena, unsigned which, Slice text)
{
    Buf first = buf_create(OUT_MAX), second = buf_create(OUT_MAX), canonical = buf_create(OUT_MAX);
    if (pass(arena, which, text, &first)) {
        const Doc *doc;
        require(doc_parse(arena, buf_slice(&first), NULL, &doc, NULL) == 0, "no JSON was written");
        doc_write_canonical(doc, &canonical);
        require(slice_eq(buf_slice(&first), buf_slice(&canonical)), "the writing is not canonical");
        require(pass(arena, which, buf_slice(&first), &second), "its own writing is refused");
        require(slice_eq(buf_slice(&first), buf_slice(&second)), "the second writing differs");
    }
    buf_done(&first);
    buf_done(&second);
    buf_done(&canonical);
}

static void check_proposal(Arena *arena, bool is_draft, Slice text)
{
    Proposal draft;
    StepPayload step;
    Buf first = buf_create(OUT_MAX), second = buf_create(OUT_MAX), canonical = buf_create(OUT_MAX);
    Slice from = text;
    for (Buf *out = &first; out; out = out == &first ? &second : NULL) {
        if (is_draft) {
            if (proposal_read_draft(arena, from, &draft, NULL) != 0) {
                require(out == &first, "its own writing is refused");
                break;
            }
            require(proposal_payload_draft(&draft, out, NULL) == 0, "what was read is not written");
        } else {
            if (proposal_read_step(arena, from, &step, NULL) != 0) {
                require(out == &first, "its own writing is refused");
                break;
            }
            require(proposal_payload_step(&step, out, NULL) == 0, "what was read is not written");
        }
        from = buf_slice(out);
    }
    if (second.len > 0) {
        const Doc *doc;
        require(doc_parse(arena, buf_slice(&first), NULL, &doc, NULL) == 0, "no JSON was written");
        doc_write_canonical(doc, &canonical);
        require(slice_eq(buf_slice(&first), buf_slice(&canonical)), "the writing is not canonical");
        require(slice_eq(buf_slice(&first), buf_slice(&second)), "the second writing differs");
    }
    buf_done(&first);
    buf_done(&second);
    buf_done(&canonical);
}

// Points whose histograms are whatever was in the text.
static void check_totals(Arena *arena, Slice text)
{
    IntervalPayload interval;
    Totals totals = {0};
    if (payload_read_interval(arena, text, &interval, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < interval.count; i++) {
        const PackedPoint *p = &interval.points[i];
        if (p->point.series < 1000) {
            totals_declare(&totals, p->point.series, METRIC_TREND);
        }
        (void)!totals_add(&totals, p, NULL);
    }
    PackedPoint *packed;
    size_t count;
    totals_pack(&totals, arena, &packed, &count);
    totals_done(&totals);
}

static void check_foreign(Arena *arena, Slice text)
{
    const Doc *doc;
    ForeignRuns *runs;
    if (doc_parse(arena, text, NULL, &doc, NULL) != 0 ||
        foreign_read(arena, doc, &runs, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < runs->point_count; i++) {
        require(runs->points[i].run < runs->run_count, "a point without a run");
        require(runs->points[i].series.metric.ptr != NULL, "a point without a metric");
    }
    foreign_done(runs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(ARENA_BYTES);
    Slice text = {(const char *)data + 1, size - 1};
    unsigned which = data[0] & 15;
    if (which == 10 || which == 11) {
        check_proposal(arena, which == 10, text);
    } else if (which == 9) {
        check_foreign(arena, text);
    } else if (which == 8) {
        check_totals(arena, text);
    } else {
        check_payload(arena, which & 7, text);
    }
    arena_destroy(arena);
    return 0;
}
