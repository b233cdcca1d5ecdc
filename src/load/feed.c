#include "load/feed.h"

#include <assert.h>

#include "os/file.h"

// ---- JSON

static int json_cell(Arena *arena, const Doc *value, Slice *ret, Err *e)
{
    switch (value->type) {
    case DOC_NULL: *ret = (Slice){0}; return 0;
    case DOC_BOOL: *ret = value->boolean ? SLICE("true") : SLICE("false"); return 0;
    case DOC_INT:
    case DOC_FLOAT:
    case DOC_STRING:
    case DOC_DATETIME: *ret = arena_copy(arena, value->text); return 0;
    case DOC_ARRAY:
    case DOC_OBJECT: break;
    }
    return doc_err(e, value, "a value of a row must be a scalar, not %s",
                   doc_type_name(value->type));
}

static int json_columns(Arena *arena, const Doc *first, PlanFeed *feed, Err *e)
{
    if (!first || first->type != DOC_OBJECT || doc_count(first) == 0) {
        return doc_err(e, first, "a row must be an object whose keys are the columns");
    }
    if (doc_count(first) > FEED_COLUMNS_MAX) {
        return err_set(e, ERR_LIMIT, "%s: more than %d columns", first->source, FEED_COLUMNS_MAX);
    }
    Slice *columns = ARENA_ARRAY(arena, Slice, doc_count(first));
    size_t count = 0;
    for (const Doc *m = doc_first(first); m; m = doc_next(m)) {
        columns[count++] = arena_copy(arena, m->key);
    }
    feed->columns = columns;
    feed->column_count = count;
    return 0;
}

static int json_row(Arena *arena, const Doc *row, const PlanFeed *feed, Slice *cells, Err *e)
{
    int rc = doc_expect(row, DOC_OBJECT, "a row", e);
    if (rc == 0) {
        rc = doc_expect_fields(row, feed->columns, feed->column_count, e);
    }
    for (size_t i = 0; rc == 0 && i < feed->column_count; i++) {
        const Doc *value = doc_get(row, feed->columns[i]);
        if (!value) {
            return doc_err(e, row, "the row lacks \"%.*s\", which the first row has",
                           SLICE_FMT(feed->columns[i]));
        }
        rc = json_cell(arena, value, &cells[i], e);
    }
    return rc;
}

static int json_rows(Arena *arena, const Doc *doc, PlanFeed *feed, Err *e)
{
    if (doc->type != DOC_ARRAY || doc_count(doc) == 0) {
        return doc_err(e, doc, "a feed must be an array of one object or more");
    }
    int rc = json_columns(arena, doc_first(doc), feed, e);
    if (rc != 0) {
        return rc;
    }
    size_t rows = doc_count(doc);
    Slice *cells = ARENA_ARRAY(arena, Slice, rows * feed->column_count);
    feed->cells = cells;
    feed->row_count = rows;
    for (const Doc *row = doc_first(doc); rc == 0 && row; row = doc_next(row)) {
        rc = json_row(arena, row, feed, cells, e);
        cells += feed->column_count;
    }
    return rc;
}

int feed_read_json(Arena *arena, Slice text, const char *source, PlanFeed *feed, Err *e)
{
    // Every cell is a node of the document, and what the arena holds of it is its text and a Slice:
    // four times the text bounds both.
    if (text.len > FEED_BYTES_MAX || 16 * text.len + 65536 > arena_left(arena)) {
        return err_set(e, ERR_LIMIT, "%s: too large", source);
    }
    Arena *scratch = arena_create(((size_t)1 << 20) + 256 * text.len);
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = source,
                          .max_bytes = FEED_BYTES_MAX,
                          .max_nodes = FEED_ROWS_MAX};
    const Doc *doc = NULL;
    int rc = doc_parse(scratch, text, &options, &doc, e);
    if (rc == 0) {
        rc = json_rows(arena, doc, feed, e);
    }
    arena_destroy(scratch);
    return rc;
}

int feed_load(Arena *arena, const char *path, PlanFeed *feed, Err *e)
{
    Buf text = buf_create(FEED_BYTES_MAX);
    int rc = file_read(path, &text, e);
    if (rc == 0) {
        bool json = slice_ends_with(slice_from_cstr(path), SLICE(".json"));
        rc = json ? feed_read_json(arena, buf_slice(&text), path, feed, e)
                  : feed_read_csv(arena, buf_slice(&text), path, feed, e);
    }
    buf_done(&text);
    return rc;
}

// ---- rows

// Streams of feeds are apart from those of scenarios, whatever their names.
#define FEED_SALT UINT64_C(0x66656564726f7773)

enum { FEISTEL_ROUNDS = 6 };

static unsigned bits_of(uint64_t n)
{
    return n <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(n - 1);
}

// A permutation of 0..n-1 as a function: a Feistel network over the next even number of bits with
// Philox as its round function, applied again while it lands outside ("cycle walking", Black and
// Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). At most four tries on average, no table.
static uint64_t permute(uint64_t x, uint64_t n, const uint32_t key[2])
{
    unsigned half = (bits_of(n) + 1) / 2;
    uint64_t mask = (UINT64_C(1) << half) - 1;
    if (n <= 1) {
        return 0;
    }
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
            uint32_t counter[4] = {(uint32_t)right, (uint32_t)(right >> 32), round, 0}, block[4];
            rng_philox4x32_10(counter, key, block);
            uint64_t next = left ^ (block[0] & mask);
            left = right;
            right = next;
        }
        x = left << half | right;
    } while (x >= n);
    return x;
}

// One number for the VU (0: the whole test) and a count below 2^40 of its own.
static uint64_t stream_index(int64_t vu, uint64_t count)
{
    return (uint64_t)vu << 40 | (count & ((UINT64_C(1) << 40) - 1));
}

static uint64_t row_index(const PlanFeed *feed, uint64_t seed, int64_t vu, uint64_t n)
{
    uint64_t rows = feed->row_count, epoch = n / rows;
    Rng rng;
    switch (feed->order) {
    case FEED_SEQUENTIAL: break;
    case FEED_RANDOM:
        rng = rng_stream(seed ^ FEED_SALT, feed->name, stream_index(vu, n));
        return rng_below(&rng, rows);
    case FEED_SHUFFLE: {
        rng = rng_stream(seed ^ FEED_SALT, feed->name, stream_index(vu, epoch));
        uint64_t drawn = rng_u64(&rng);
        uint32_t key[2] = {(uint32_t)drawn, (uint32_t)(drawn >> 32)};
        return permute(n % rows, rows, key);
    }
    }
    return n % rows;
}

const Slice *feed_row(const PlanFeed *feed, uint64_t seed, int64_t vu, int64_t iteration,
                      int64_t iteration_in_test)
{
    bool per_vu = feed->scope == FEED_PER_VU;
    int64_t n = per_vu ? iteration : iteration_in_test;
    assert(n >= 0 && feed->row_count > 0);
    if (feed->at_end == FEED_STOP && feed->order != FEED_RANDOM && (uint64_t)n >= feed->row_count) {
        return NULL;
    }
    uint64_t row = row_index(feed, seed, per_vu ? vu : 0, (uint64_t)n);
    return feed->cells + row * feed->column_count;
}
