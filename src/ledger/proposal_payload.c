#include "ledger/doc_field.h"
#include "ledger/proposal_impl.h"
#include "ledger/ulid.h"

const char *const PROPOSAL_KIND_NAMES[PROPOSAL_KINDS + 1] = {
    [PROPOSAL_PLAN] = "plan", [PROPOSAL_PATCH] = "patch", [PROPOSAL_POLICY] = "policy"};

const char *const PROPOSAL_STATE_NAMES[PROPOSAL_STATES + 1] = {
    [PROPOSAL_DRAFT] = "draft",       [PROPOSAL_VALIDATED] = "validated",
    [PROPOSAL_APPROVED] = "approved", [PROPOSAL_APPLIED] = "applied",
    [PROPOSAL_KEPT] = "kept",         [PROPOSAL_ROLLED_BACK] = "rolled_back",
    [PROPOSAL_REJECTED] = "rejected", [PROPOSAL_EXPIRED] = "expired",
};

#define TO(state) (1u << (state))

// The picture in proposal.h.
static const unsigned MAY[PROPOSAL_STATES] = {
    [PROPOSAL_DRAFT] = TO(PROPOSAL_VALIDATED) | TO(PROPOSAL_REJECTED) | TO(PROPOSAL_EXPIRED),
    [PROPOSAL_VALIDATED] = TO(PROPOSAL_APPROVED) | TO(PROPOSAL_REJECTED) | TO(PROPOSAL_EXPIRED),
    [PROPOSAL_APPROVED] = TO(PROPOSAL_APPLIED) | TO(PROPOSAL_REJECTED) | TO(PROPOSAL_EXPIRED),
    [PROPOSAL_APPLIED] = TO(PROPOSAL_KEPT) | TO(PROPOSAL_ROLLED_BACK),
    [PROPOSAL_KEPT] = TO(PROPOSAL_ROLLED_BACK),
};

bool proposal_may(ProposalState from, ProposalState to)
{
    return from < PROPOSAL_STATES && to < PROPOSAL_STATES && (MAY[from] & TO(to)) != 0;
}

bool proposal_is_final(ProposalState state)
{
    return MAY[state] == 0;
}

// ---- writing

static int check_text(Slice text, const char *what, Err *e)
{
    return text.len <= PROPOSAL_TEXT_MAX
               ? 0
               : err_set(e, ERR_ARG, "the %s of a proposal has %zu bytes, the limit is %d", what,
                         text.len, PROPOSAL_TEXT_MAX);
}

static int check_evidence(ProposalEvidence list, Err *e)
{
    if (list.count > PROPOSAL_EVIDENCE_MAX) {
        return err_set(e, ERR_ARG, "a proposal has at most %d references at a time",
                       PROPOSAL_EVIDENCE_MAX);
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        rc = check_text(list.items[i], "evidence", e);
    }
    return rc;
}

void proposal_evidence_write(JsonWriter *w, ProposalEvidence list)
{
    json_key(w, SLICE("evidence"));
    json_array_begin(w);
    for (size_t i = 0; i < list.count; i++) {
        json_string(w, list.items[i]);
    }
    json_array_end(w);
}

static int by_name(const void *a, const void *b)
{
    const ProposalEstimate *x = a, *y = b;
    return slice_cmp(x->name, y->name);
}

static int write_estimates(JsonWriter *w, const char *key, ProposalEstimates list, Err *e)
{
    if (list.count > PROPOSAL_ESTIMATES_MAX) {
        return err_set(e, ERR_ARG, "a proposal has at most %d estimates", PROPOSAL_ESTIMATES_MAX);
    }
    ProposalEstimates sorted = {mem_alloc((list.count + 1) * sizeof *sorted.items), list.count};
    for (size_t i = 0; i < list.count; i++) {
        sorted.items[i] = list.items[i];
    }
    qsort(sorted.items, sorted.count, sizeof *sorted.items, by_name);
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < sorted.count; i++) {
        if (slice_eq(sorted.items[i].name, sorted.items[i - 1].name)) {
            rc = err_set(e, ERR_ARG, "%.*s is estimated twice", SLICE_FMT(sorted.items[i].name));
        }
    }
    if (rc == 0) {
        json_key(w, slice_from_cstr(key));
        proposal_estimates_write(w, sorted);
    }
    free(sorted.items);
    return rc;
}

// What is proposed is a document of its maker's, in canonical form; null where there is none.
static int write_content(JsonWriter *w, Slice json, Err *e)
{
    json_key(w, SLICE("content"));
    if (json.len == 0) {
        json_null(w);
        return 0;
    }
    Arena *arena = arena_create(PROPOSAL_ARENA_MAX);
    Buf canonical = buf_create(2 * (size_t)PROPOSAL_CONTENT_MAX);
    const Doc *doc;
    DocOptions o = {
        .format = DOC_FORMAT_JSON, .source = "proposal", .max_bytes = PROPOSAL_CONTENT_MAX};
    int rc = doc_parse(arena, json, &o, &doc, e);
    if (rc == 0) {
        doc_write_canonical(doc, &canonical);
        rc = buf_check(&canonical, "the content of a proposal", e);
    }
    if (rc == 0) {
        json_raw(w, buf_slice(&canonical));
    }
    buf_done(&canonical);
    arena_destroy(arena);
    return rc == ERR_PARSE ? ERR_ARG : rc;
}

int proposal_payload_draft(const Proposal *p, Buf *out, Err *e)
{
    JsonWriter w = json_writer(out, 0);
    int rc = check_text(p->author, "author", e);
    rc = rc == 0 ? check_text(p->reason, "reason", e) : rc;
    rc = rc == 0 ? check_text(p->target, "target", e) : rc;
    rc = rc == 0 ? check_text(p->title, "title", e) : rc;
    rc = rc == 0 ? check_evidence(p->evidence, e) : rc;
    if (rc != 0) {
        return rc;
    }
    json_object_begin(&w);
    json_field_int(&w, "at_unix_ns", p->created_unix_ns);
    json_field_string(&w, "author", p->author);
    rc = write_content(&w, p->content_json, e);
    if (rc != 0) {
        return rc;
    }
    proposal_evidence_write(&w, p->evidence);
    json_field_int(&w, "expires_unix_ns", p->expires_unix_ns);
    json_field_cstr(&w, "id", p->id);
    json_field_cstr(&w, "kind", PROPOSAL_KIND_NAMES[p->kind]);
    json_field_cstr(&w, "parent", p->parent);
    if ((rc = write_estimates(&w, "predicted", p->predicted, e)) != 0) {
        return rc;
    }
    json_field_string(&w, "reason", p->reason);
    json_field_string(&w, "target", p->target);
    json_field_string(&w, "title", p->title);
    json_object_end(&w);
    return buf_check(out, "a proposal", e);
}

int proposal_payload_step(const StepPayload *s, Buf *out, Err *e)
{
    const ProposalStep *step = &s->step;
    JsonWriter w = json_writer(out, 0);
    int rc = check_text(step->author, "author", e);
    rc = rc == 0 ? check_text(step->reason, "reason", e) : rc;
    rc = rc == 0 ? check_evidence(step->evidence, e) : rc;
    if (rc != 0) {
        return rc;
    }
    json_object_begin(&w);
    json_field_int(&w, "at_unix_ns", step->at_unix_ns);
    json_field_string(&w, "author", step->author);
    proposal_evidence_write(&w, step->evidence);
    json_field_cstr(&w, "from", PROPOSAL_STATE_NAMES[step->from]);
    json_field_string(&w, "id", s->id);
    rc = write_estimates(&w, "observed", step->observed, e);
    rc = rc == 0 ? write_estimates(&w, "predicted", step->predicted, e) : rc;
    if (rc != 0) {
        return rc;
    }
    json_field_string(&w, "reason", step->reason);
    json_field_cstr(&w, "to", PROPOSAL_STATE_NAMES[step->to]);
    json_object_end(&w);
    return buf_check(out, "a step of a proposal", e);
}

// ---- reading

static int read_name(const Doc *d, const char *key, const char *const *names, unsigned *ret, Err *e)
{
    Slice text;
    int rc = field_text(d, key, &text, e);
    for (unsigned i = 0; rc == 0 && names[i]; i++) {
        if (slice_eq_cstr(text, names[i])) {
            *ret = i;
            return 0;
        }
    }
    return rc != 0 ? rc : err_set(e, ERR_CORRUPT, "\"%s\" is none of the names known", key);
}

static int read_short(const Doc *d, const char *key, Slice *ret, Err *e)
{
    int rc = field_text(d, key, ret, e);
    return rc == 0 && ret->len > PROPOSAL_TEXT_MAX
               ? err_set(e, ERR_CORRUPT, "\"%s\" is longer than %d bytes", key, PROPOSAL_TEXT_MAX)
               : rc;
}

static int read_id(const Doc *d, const char *key, bool may_be_empty, char ret[PROPOSAL_ID_LEN + 1],
                   Err *e)
{
    Slice text;
    int rc = field_text(d, key, &text, e);
    if (rc != 0) {
        return rc;
    }
    if (!(may_be_empty && text.len == 0) && !ulid_valid(text)) {
        return err_set(e, ERR_CORRUPT, "\"%s\" is no id", key);
    }
    memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
    return 0;
}

static int read_evidence(Arena *arena, const Doc *d, ProposalEvidence *ret, Err *e)
{
    const Doc *array = doc_get(d, SLICE("evidence"));
    if (!array || array->type != DOC_ARRAY || doc_count(array) > PROPOSAL_EVIDENCE_MAX) {
        return err_set(e, ERR_CORRUPT, "\"evidence\" must be an array of at most %d references",
                       PROPOSAL_EVIDENCE_MAX);
    }
    *ret = (ProposalEvidence){ARENA_ARRAY(arena, Slice, doc_count(array) + 1), 0};
    for (const Doc *item = doc_first(array); item; item = doc_next(item)) {
        if (item->type != DOC_STRING || item->text.len > PROPOSAL_TEXT_MAX) {
            return err_set(e, ERR_CORRUPT, "a reference must be text");
        }
        ret->items[ret->count++] = item->text;
    }
    return 0;
}

static int read_estimates(Arena *arena, const Doc *d, const char *key, ProposalEstimates *ret,
                          Err *e)
{
    const Doc *object = doc_get(d, slice_from_cstr(key));
    if (!object) {
        return err_set(e, ERR_CORRUPT, "\"%s\" is missing", key);
    }
    int rc = proposal_estimates_read(arena, object, ret, e);
    return rc == ERR_PARSE ? ERR_CORRUPT : rc;
}

static int read_content(Arena *arena, const Doc *d, Slice *ret, Err *e)
{
    const Doc *content = doc_get(d, SLICE("content"));
    if (!content) {
        return err_set(e, ERR_CORRUPT, "\"content\" is missing");
    }
    *ret = (Slice){0};
    if (content->type == DOC_NULL) {
        return 0;
    }
    Buf text = buf_create(2 * (size_t)PROPOSAL_CONTENT_MAX);
    doc_write_canonical(content, &text);
    int rc = buf_check(&text, "the content of a proposal", e);
    if (rc == 0 && arena_left(arena) < text.len + 64) {
        rc = err_set(e, ERR_LIMIT, "the content of a proposal does not fit into memory");
    }
    *ret = rc == 0 ? arena_copy(arena, buf_slice(&text)) : (Slice){0};
    buf_done(&text);
    return rc;
}

int proposal_read_draft(Arena *arena, Slice payload, Proposal *ret, Err *e)
{
    const Doc *d;
    Proposal p = {0};
    unsigned kind = 0;
    int rc = field_object(arena, payload, &d, e);
    rc = rc == 0 ? read_id(d, "id", false, p.id, e) : rc;
    rc = rc == 0 ? read_id(d, "parent", true, p.parent, e) : rc;
    rc = rc == 0 ? read_name(d, "kind", PROPOSAL_KIND_NAMES, &kind, e) : rc;
    rc = rc == 0 ? read_short(d, "author", &p.author, e) : rc;
    rc = rc == 0 ? read_short(d, "reason", &p.reason, e) : rc;
    rc = rc == 0 ? read_short(d, "target", &p.target, e) : rc;
    rc = rc == 0 ? read_short(d, "title", &p.title, e) : rc;
    rc = rc == 0 ? field_int(d, "at_unix_ns", 0, INT64_MAX, &p.created_unix_ns, e) : rc;
    rc = rc == 0 ? field_int(d, "expires_unix_ns", 0, INT64_MAX, &p.expires_unix_ns, e) : rc;
    rc = rc == 0 ? read_evidence(arena, d, &p.evidence, e) : rc;
    rc = rc == 0 ? read_estimates(arena, d, "predicted", &p.predicted, e) : rc;
    rc = rc == 0 ? read_content(arena, d, &p.content_json, e) : rc;
    if (rc == 0) {
        p.kind = (ProposalKind)kind;
        p.state = PROPOSAL_DRAFT;
        p.updated_unix_ns = p.created_unix_ns;
        *ret = p;
    }
    return rc;
}

int proposal_read_step(Arena *arena, Slice payload, StepPayload *ret, Err *e)
{
    const Doc *d;
    StepPayload s = {0};
    char id[PROPOSAL_ID_LEN + 1];
    unsigned from = 0, to = 0;
    int rc = field_object(arena, payload, &d, e);
    rc = rc == 0 ? read_id(d, "id", false, id, e) : rc;
    rc = rc == 0 ? read_name(d, "from", PROPOSAL_STATE_NAMES, &from, e) : rc;
    rc = rc == 0 ? read_name(d, "to", PROPOSAL_STATE_NAMES, &to, e) : rc;
    rc = rc == 0 ? read_short(d, "author", &s.step.author, e) : rc;
    rc = rc == 0 ? read_short(d, "reason", &s.step.reason, e) : rc;
    rc = rc == 0 ? field_int(d, "at_unix_ns", 0, INT64_MAX, &s.step.at_unix_ns, e) : rc;
    rc = rc == 0 ? read_evidence(arena, d, &s.step.evidence, e) : rc;
    rc = rc == 0 ? read_estimates(arena, d, "predicted", &s.step.predicted, e) : rc;
    rc = rc == 0 ? read_estimates(arena, d, "observed", &s.step.observed, e) : rc;
    if (rc == 0) {
        s.id = arena_copy(arena, slice_from_cstr(id));
        s.step.from = (ProposalState)from;
        s.step.to = (ProposalState)to;
        *ret = s;
    }
    return rc;
}
