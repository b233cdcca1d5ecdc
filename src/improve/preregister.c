#include "improve/preregister.h"

#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "base/doc.h"
#include "os/clock.h"

enum { ROUNDS_DEFAULT = 200, TEXT_MAX = 4096 };
#define BUDGET_DEFAULT_NS (180 * NS_PER_S)
#define FORMAT            "perfwright-registration"

static Slice nonce_slice(const Registration *r)
{
    return (Slice){(const char *)r->nonce, REGISTRATION_NONCE_BYTES};
}

static void commit(Registration *r)
{
    Sha256 hash = sha256_of(nonce_slice(r));
    sha256_hex(&hash, r->commitment);
}

// ---- the document

// Members in sorted order, so that what is written is canonical already.
static void write_body(const Registration *r, JsonWriter *w)
{
    json_field_double(w, "alpha", r->alpha);
    json_field_string(w, "base_commit", r->base_commit);
    json_field_int(w, "budget_ns", r->budget_ns);
    json_field_cstr(w, "commitment", r->commitment);
    json_field_cstr(w, "format", FORMAT);
    json_field_string(w, "goal", r->goal);
    json_field_double(w, "min_effect", r->min_effect);
    json_field_int(w, "rounds_max", r->rounds_max);
    json_field_cstr(w, "steps_sha256", r->steps_sha256);
    json_field_string(w, "target", r->target);
    json_field_int(w, "version", REGISTRATION_VERSION);
    json_key(w, SLICE("workloads"));
    json_array_begin(w);
    for (size_t i = 0; i < r->workload_count; i++) {
        json_object_begin(w);
        json_field_cstr(w, "metric", BENCH_METRIC_NAMES[r->workloads[i].metric]);
        json_field_string(w, "name", r->workloads[i].name);
        json_field_string(w, "run", r->workloads[i].run);
        json_object_end(w);
    }
    json_array_end(w);
}

void registration_write(const Registration *r, JsonWriter *w)
{
    json_object_begin(w);
    write_body(r, w);
    json_object_end(w);
}

void registration_write_secret(const Registration *r, JsonWriter *w)
{
    Buf hex = buf_create(2 * REGISTRATION_NONCE_BYTES + 1);
    buf_append_hex(&hex, r->nonce, REGISTRATION_NONCE_BYTES);
    json_object_begin(w);
    write_body(r, w);
    json_field_string(w, "nonce", buf_slice(&hex));
    json_field_cstr(w, "proposal", r->proposal_id);
    json_field_cstr(w, "sha256", r->sha256);
    json_object_end(w);
    buf_done(&hex);
}

static int hash_of(const Registration *r, char out[SHA256_HEX + 1], Err *e)
{
    Buf text = buf_create(REGISTRATION_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    registration_write(r, &w);
    int rc = buf_check(&text, "the registration", e);
    if (rc == 0) {
        Sha256 hash = sha256_of(buf_slice(&text));
        sha256_hex(&hash, out);
    }
    buf_done(&text);
    return rc;
}

// ---- making one

static int check(const Registration *r, Err *e)
{
    if (r->workload_count == 0 || r->workload_count > REGISTRATION_WORKLOADS_MAX) {
        return err_set(e, ERR_ARG, "a registration names 1 to %d workloads, not %zu",
                       REGISTRATION_WORKLOADS_MAX, r->workload_count);
    }
    for (size_t i = 0; i < r->workload_count; i++) {
        const RegisteredWorkload *w = &r->workloads[i];
        if (w->run.len == 0 || w->run.len > TEXT_MAX * 4 || w->name.len > TEXT_MAX) {
            return err_set(e, ERR_ARG,
                           "workload %zu of the registration has no command, or one "
                           "that is too long",
                           i + 1);
        }
    }
    if (!(r->min_effect > 0 && r->min_effect < 100) || !(r->alpha > 0 && r->alpha <= 0.1)) {
        return err_set(e, ERR_ARG, "minimum effect %g must be in 0..100 and alpha %g in 0..0.1",
                       r->min_effect, r->alpha);
    }
    if (r->base_commit.len == 0 || r->goal.len > TEXT_MAX || r->budget_ns <= 0) {
        return err_set(e, ERR_ARG,
                       "a registration needs a base commit, a goal of at most %d bytes "
                       "and a budget",
                       TEXT_MAX);
    }
    return 0;
}

static int draw_nonce(Registration *r, const uint64_t *seed, Err *e)
{
    if (seed) {
        char text[64];
        int n = snprintf(text, sizeof text, "perfwright seed %llu", (unsigned long long)*seed);
        Sha256 hash = sha256_of((Slice){text, (size_t)n});
        memcpy(r->nonce, hash.bytes, sizeof r->nonce);
        return 0;
    }
    ssize_t got = getrandom(r->nonce, sizeof r->nonce, 0);
    return got == (ssize_t)sizeof r->nonce
               ? 0
               : err_set(e, ERR_IO, "the kernel has no random numbers for the registration");
}

int registration_make(Registration *r, const uint64_t *seed, Err *e)
{
    r->min_effect = r->min_effect == 0 ? REGISTRATION_MIN_EFFECT : r->min_effect;
    r->alpha = r->alpha == 0 ? REGISTRATION_ALPHA : r->alpha;
    r->rounds_max = r->rounds_max == 0 ? ROUNDS_DEFAULT : r->rounds_max;
    r->budget_ns = r->budget_ns == 0 ? BUDGET_DEFAULT_NS : r->budget_ns;
    int rc = check(r, e);
    if (rc != 0 || (rc = draw_nonce(r, seed, e)) != 0) {
        return rc;
    }
    commit(r);
    return hash_of(r, r->sha256, e);
}

int registration_record(Ledger *ledger, Registration *r, Err *e)
{
    Buf text = buf_create(REGISTRATION_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    registration_write(r, &w);
    Proposal p = {.kind = PROPOSAL_PATCH,
                  .target = r->target,
                  .title = r->goal.len > 0 ? r->goal : SLICE("judge a patch"),
                  .author = SLICE("perfwright"),
                  .reason = SLICE("registered before a patch was looked at"),
                  .content_json = buf_slice(&text)};
    int rc = buf_check(&text, "the registration", e);
    rc = rc == 0 ? proposal_create(ledger, &p, e) : rc;
    if (rc == 0) {
        memcpy(r->proposal_id, p.id, sizeof r->proposal_id);
    }
    buf_done(&text);
    return rc;
}

// ---- reading one back

static const Slice FIELDS[] = {
    SLICE_INIT("alpha"),      SLICE_INIT("base_commit"), SLICE_INIT("budget_ns"),
    SLICE_INIT("commitment"), SLICE_INIT("format"),      SLICE_INIT("goal"),
    SLICE_INIT("min_effect"), SLICE_INIT("rounds_max"),  SLICE_INIT("steps_sha256"),
    SLICE_INIT("target"),     SLICE_INIT("version"),     SLICE_INIT("workloads"),
    SLICE_INIT("nonce"),      SLICE_INIT("proposal"),    SLICE_INIT("sha256"),
};
static const Slice WORKLOAD_FIELDS[] = {SLICE_INIT("metric"), SLICE_INIT("name"),
                                        SLICE_INIT("run")};

// NULL, with words, when it is missing or of another type.
static const Doc *member(const Doc *object, const char *name, DocType type, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (!d) {
        (void)doc_err(e, object, "%s is missing", name);
        return NULL;
    }
    return doc_expect(d, type, name, e) == 0 ? d : NULL;
}

static int read_text(const Doc *object, const char *name, Slice *ret_text, Err *e)
{
    const Doc *d = member(object, name, DOC_STRING, e);
    if (!d) {
        return ERR_PARSE;
    }
    *ret_text = d->text;
    return 0;
}

static int read_number(const Doc *object, const char *name, double *ret_value, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(name));
    if (!doc_is_number(d)) {
        return doc_err(e, d ? d : object, "%s must be a number", name);
    }
    *ret_value = doc_number(d);
    return 0;
}

static int read_hash(const Doc *object, const char *name, char out[SHA256_HEX + 1], Err *e)
{
    Slice text = {0};
    Sha256 hash;
    int rc = read_text(object, name, &text, e);
    if (rc != 0) {
        return rc;
    }
    if (text.len == 0) {
        out[0] = 0;
        return 0;
    }
    if (sha256_parse(text, &hash) != 0) {
        return doc_err(e, doc_get(object, slice_from_cstr(name)), "%s is no SHA-256", name);
    }
    sha256_hex(&hash, out);
    return 0;
}

static int read_metric(const Doc *object, BenchMetric *ret_metric, Err *e)
{
    Slice text = {0};
    int rc = read_text(object, "metric", &text, e);
    for (int i = 0; rc == 0 && i < BENCH_METRICS; i++) {
        if (slice_eq_cstr(text, BENCH_METRIC_NAMES[i])) {
            *ret_metric = (BenchMetric)i;
            return 0;
        }
    }
    return rc != 0 ? rc : doc_err(e, object, "there is no metric \"%.*s\"", SLICE_FMT(text));
}

static int read_workloads(Arena *arena, const Doc *object, Registration *r, Err *e)
{
    const Doc *list = member(object, "workloads", DOC_ARRAY, e);
    int rc = 0;
    if (!list) {
        return ERR_PARSE;
    }
    if (doc_count(list) > REGISTRATION_WORKLOADS_MAX) {
        return doc_err(e, list, "more than %d workloads", REGISTRATION_WORKLOADS_MAX);
    }
    r->workloads = ARENA_ARRAY(arena, RegisteredWorkload, doc_count(list) + 1);
    for (const Doc *d = doc_first(list); rc == 0 && d; d = doc_next(d)) {
        RegisteredWorkload *w = &r->workloads[r->workload_count++];
        rc = doc_expect(d, DOC_OBJECT, "a workload", e);
        rc = rc == 0 ? doc_expect_fields(d, WORKLOAD_FIELDS, COUNT_OF(WORKLOAD_FIELDS), e) : rc;
        rc = rc == 0 ? read_metric(d, &w->metric, e) : rc;
        rc = rc == 0 ? read_text(d, "name", &w->name, e) : rc;
        rc = rc == 0 ? read_text(d, "run", &w->run, e) : rc;
    }
    return rc;
}

static int unhex(Slice text, uint8_t out[REGISTRATION_NONCE_BYTES])
{
    // A nonce is as long as a SHA-256, so the one reader of such digits serves.
    Sha256 bytes;
    int rc = sha256_parse(text, &bytes);
    if (rc == 0) {
        memcpy(out, bytes.bytes, REGISTRATION_NONCE_BYTES);
    }
    return rc;
}

static int read_secret(const Doc *doc, Registration *r, Err *e)
{
    const Doc *nonce = doc_get(doc, SLICE("nonce"));
    if (nonce) {
        char said[SHA256_HEX + 1];
        memcpy(said, r->commitment, sizeof said);
        if (nonce->type != DOC_STRING || unhex(nonce->text, r->nonce) != 0) {
            return doc_err(e, nonce, "the nonce must be %d hexadecimal digits", SHA256_HEX);
        }
        commit(r);
        if (strcmp(said, r->commitment) != 0) {
            return err_set(e, ERR_CORRUPT, "the nonce is not the one that was committed to");
        }
    }
    const Doc *id = doc_get(doc, SLICE("proposal"));
    if (id && id->type == DOC_STRING && id->text.len == PROPOSAL_ID_LEN) {
        memcpy(r->proposal_id, id->text.ptr, PROPOSAL_ID_LEN);
    }
    const Doc *said = doc_get(doc, SLICE("sha256"));
    if (said && !slice_eq_cstr(said->text, r->sha256)) {
        return err_set(e, ERR_CORRUPT,
                       "the registration was changed: its hash is %s and it says "
                       "%.*s",
                       r->sha256, SLICE_FMT(said->text));
    }
    return 0;
}

static int read_head(const Doc *doc, Err *e)
{
    Slice format = {0};
    double version = 0;
    int rc = doc_expect(doc, DOC_OBJECT, "a registration", e);
    rc = rc == 0 ? doc_expect_fields(doc, FIELDS, COUNT_OF(FIELDS), e) : rc;
    rc = rc == 0 ? read_text(doc, "format", &format, e) : rc;
    rc = rc == 0 ? read_number(doc, "version", &version, e) : rc;
    if (rc == 0 && !slice_eq(format, SLICE(FORMAT))) {
        return doc_err(e, doc, "format is not " FORMAT);
    }
    if (rc == 0 && version != REGISTRATION_VERSION) {
        return err_set(e, ERR_VERSION, "a registration of version %g; this program knows %d",
                       version, REGISTRATION_VERSION);
    }
    return rc;
}

int registration_read(Arena *arena, const Doc *doc, Registration *ret_r, Err *e)
{
    Registration r = {0};
    double rounds = 0, budget = 0;
    int rc = read_head(doc, e);
    rc = rc == 0 ? read_number(doc, "alpha", &r.alpha, e) : rc;
    rc = rc == 0 ? read_number(doc, "min_effect", &r.min_effect, e) : rc;
    rc = rc == 0 ? read_number(doc, "rounds_max", &rounds, e) : rc;
    rc = rc == 0 ? read_number(doc, "budget_ns", &budget, e) : rc;
    rc = rc == 0 ? read_text(doc, "base_commit", &r.base_commit, e) : rc;
    rc = rc == 0 ? read_text(doc, "goal", &r.goal, e) : rc;
    rc = rc == 0 ? read_text(doc, "target", &r.target, e) : rc;
    rc = rc == 0 ? read_hash(doc, "commitment", r.commitment, e) : rc;
    rc = rc == 0 ? read_hash(doc, "steps_sha256", r.steps_sha256, e) : rc;
    rc = rc == 0 ? read_workloads(arena, doc, &r, e) : rc;
    if (rc != 0) {
        return rc;
    }
    if (!(rounds >= 0 && rounds <= UINT32_MAX) || !(budget > 0 && budget < 1e18)) {
        return doc_err(e, doc, "rounds_max or budget_ns is out of range");
    }
    r.rounds_max = (uint32_t)rounds;
    r.budget_ns = (int64_t)budget;
    if ((rc = check(&r, e)) != 0 || (rc = hash_of(&r, r.sha256, e)) != 0 ||
        (rc = read_secret(doc, &r, e)) != 0) {
        return rc;
    }
    *ret_r = r;
    return 0;
}

// ---- holding a judgement to it

int registration_check(const Registration *r, const char *steps_sha256, Slice base_commit, Err *e)
{
    if (!slice_eq(r->base_commit, base_commit)) {
        return err_set(e, ERR_CONFLICT,
                       "the base is %.*s, and %.*s was registered: a slower base would make any "
                       "patch look fast; register again",
                       SLICE_FMT(base_commit), SLICE_FMT(r->base_commit));
    }
    if (strcmp(r->steps_sha256, steps_sha256) != 0) {
        return err_set(e, ERR_CONFLICT,
                       "the steps changed since they were registered (%.12s, now %.12s); register "
                       "again",
                       r->steps_sha256, steps_sha256);
    }
    return 0;
}

uint64_t registration_seed(const Registration *r, Slice patch)
{
    char both[REGISTRATION_NONCE_BYTES + SHA256_BYTES];
    Sha256 hash = sha256_of(patch);
    memcpy(both, r->nonce, REGISTRATION_NONCE_BYTES);
    memcpy(both + REGISTRATION_NONCE_BYTES, hash.bytes, SHA256_BYTES);
    hash = sha256_of((Slice){both, sizeof both});
    uint64_t seed = 0;
    for (int i = 0; i < 8; i++) {
        seed = seed << 8 | hash.bytes[i];
    }
    // Generators take it as a decimal argument, and many read it into 32 signed bits.
    return seed & 0x7fffffff;
}
