#include <math.h>

#include "ledger/proposal.h"

// Members are written in the order of their names, as every payload of the ledger has them.
static void write_number(JsonWriter *w, const char *key, double value)
{
    json_key(w, slice_from_cstr(key));
    if (isinf(value)) {
        json_cstr(w, value > 0 ? "inf" : "-inf");
    } else {
        json_double(w, value); // null for NAN
    }
}

void proposal_estimates_write(JsonWriter *w, ProposalEstimates list)
{
    json_object_begin(w);
    for (size_t i = 0; i < list.count; i++) {
        const ProposalEstimate *it = &list.items[i];
        json_key(w, it->name);
        json_object_begin(w);
        write_number(w, "confidence", it->confidence);
        write_number(w, "high", it->high);
        write_number(w, "low", it->low);
        write_number(w, "value", it->value);
        json_object_end(w);
    }
    json_object_end(w);
}

static int read_number(const Doc *object, const char *key, double *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (!d) {
        return doc_err(e, object, "\"%s\" is missing", key);
    }
    if (doc_is_number(d)) {
        *ret = doc_number(d);
    } else if (d->type == DOC_NULL) {
        *ret = (double)NAN;
    } else if (d->type == DOC_STRING && slice_eq(d->text, SLICE("inf"))) {
        *ret = (double)INFINITY;
    } else if (d->type == DOC_STRING && slice_eq(d->text, SLICE("-inf"))) {
        *ret = (double)-INFINITY;
    } else {
        return doc_err(e, d, "\"%s\" must be a number, \"inf\", \"-inf\" or null", key);
    }
    return 0;
}

static int read_one(const Doc *d, ProposalEstimate *ret, Err *e)
{
    static const Slice FIELDS[] = {SLICE_INIT("confidence"), SLICE_INIT("high"), SLICE_INIT("low"),
                                   SLICE_INIT("value")};
    int rc = doc_expect(d, DOC_OBJECT, "an estimate", e);
    if (rc == 0) {
        rc = doc_expect_fields(d, FIELDS, COUNT_OF(FIELDS), e);
    }
    *ret = (ProposalEstimate){.name = d->key};
    if (rc != 0 || (rc = read_number(d, "confidence", &ret->confidence, e)) != 0 ||
        (rc = read_number(d, "high", &ret->high, e)) != 0 ||
        (rc = read_number(d, "low", &ret->low, e)) != 0 ||
        (rc = read_number(d, "value", &ret->value, e)) != 0) {
        return rc;
    }
    // Comparisons with NAN are false: what is not known contradicts nothing.
    if (ret->low > ret->value || ret->value > ret->high || ret->low > ret->high) {
        return doc_err(e, d, "the value of an estimate lies within its interval");
    }
    if (ret->confidence < 0 || ret->confidence > 1) {
        return doc_err(e, d, "a confidence is between 0 and 1");
    }
    return 0;
}

int proposal_estimates_read(Arena *arena, const Doc *object, ProposalEstimates *ret_list, Err *e)
{
    int rc = doc_expect(object, DOC_OBJECT, "estimates", e);
    if (rc != 0) {
        return rc;
    }
    if (doc_count(object) > PROPOSAL_ESTIMATES_MAX) {
        return doc_err(e, object, "there are %zu estimates, the limit is %d", doc_count(object),
                       PROPOSAL_ESTIMATES_MAX);
    }
    ProposalEstimates list = {ARENA_ARRAY(arena, ProposalEstimate, doc_count(object) + 1), 0};
    for (const Doc *d = doc_first(object); d; d = doc_next(d)) {
        if ((rc = read_one(d, &list.items[list.count++], e)) != 0) {
            return rc;
        }
    }
    *ret_list = list;
    return 0;
}
