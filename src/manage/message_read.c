// Reading: the fields of a message are a table, so that each type is as strict as the next.
#include "manage/message.h"

enum { NODES_MAX = 100000 };

typedef struct Reader {
    Arena *arena;
    const Doc *object;
    Message m;
    Err *e;
} Reader;

static int read_text(Reader *r, const Doc *d, size_t min, size_t max, Slice *ret)
{
    if (d->type != DOC_STRING || d->text.len < min || d->text.len > max) {
        return doc_err(r->e, d, "\"%.*s\" must be text of %zu to %zu bytes", SLICE_FMT(d->key), min,
                       max);
    }
    *ret = d->text;
    return 0;
}

static int read_int(Reader *r, const Doc *d, int64_t min, int64_t max, int64_t *ret)
{
    if (d->type != DOC_INT || d->integer < min || d->integer > max) {
        return doc_err(r->e, d, "\"%.*s\" must be a whole number from %lld to %lld",
                       SLICE_FMT(d->key), (long long)min, (long long)max);
    }
    *ret = d->integer;
    return 0;
}

// One of `names`, which ends with NULL.
static int read_choice(Reader *r, const Doc *d, const char *const *names, unsigned *ret)
{
    if (d->type == DOC_STRING) {
        for (unsigned i = 0; names[i]; i++) {
            if (slice_eq_cstr(d->text, names[i])) {
                *ret = i;
                return 0;
            }
        }
    }
    return doc_err(r->e, d, "\"%.*s\" is none of the words that are known", SLICE_FMT(d->key));
}

static int read_id(Reader *r, const Doc *d, Slice *ret)
{
    return read_text(r, d, 1, MESSAGE_ID_MAX, ret);
}

static int read_changes(Reader *r, const Doc *object)
{
    int rc = doc_expect(object, DOC_OBJECT, "\"changes\"", r->e);
    if (rc != 0) {
        return rc;
    }
    if (doc_count(object) > MESSAGE_CHANGES_MAX) {
        return doc_err(r->e, object, "there are %zu changes, the limit is %d", doc_count(object),
                       MESSAGE_CHANGES_MAX);
    }
    r->m.changes = ARENA_ARRAY(r->arena, MessageChange, doc_count(object) + 1);
    for (const Doc *d = doc_first(object); rc == 0 && d; d = doc_next(d)) {
        MessageChange *c = &r->m.changes[r->m.change_count++];
        c->param = d->key;
        size_t place = message_place(d->key).len;
        if (place == 0 || place + 1 >= d->key.len || d->key.len > MESSAGE_NAME_MAX) {
            return doc_err_key(r->e, d, "a parameter is named \"a->b.retry.attempts\"");
        }
        rc = read_text(r, d, 1, MESSAGE_TEXT_MAX, &c->value);
    }
    return rc;
}

static int read_constraint(Reader *r, const Doc *d, MessageConstraint *ret)
{
    static const Slice FIELDS[] = {SLICE_INIT("op"), SLICE_INIT("subject"), SLICE_INIT("value")};
    unsigned op = 0;
    int rc = doc_expect(d, DOC_OBJECT, "a constraint", r->e);
    if (rc == 0) {
        rc = doc_expect_fields(d, FIELDS, COUNT_OF(FIELDS), r->e);
    }
    if (rc != 0) {
        return rc;
    }
    const Doc *value = doc_get(d, SLICE("value"));
    const Doc *subject = doc_get(d, SLICE("subject")), *word = doc_get(d, SLICE("op"));
    if (!word || !subject) {
        return doc_err(r->e, d, "a constraint has \"op\" and \"subject\"");
    }
    if ((rc = read_choice(r, word, CONSTRAINT_OP_NAMES, &op)) != 0 ||
        (rc = read_text(r, subject, 1, MESSAGE_NAME_MAX, &ret->subject)) != 0) {
        return rc;
    }
    ret->op = (ConstraintOp)op;
    if ((value == NULL) != (ret->op == CONSTRAINT_UNCHANGED)) {
        return doc_err(r->e, d, "a constraint has a value, unless it says \"unchanged\"");
    }
    return value ? read_text(r, value, 1, MESSAGE_TEXT_MAX, &ret->value) : 0;
}

static int read_constraints(Reader *r, const Doc *array)
{
    int rc = doc_expect(array, DOC_ARRAY, "\"constraints\"", r->e);
    if (rc == 0 && doc_count(array) > MESSAGE_CONSTRAINTS_MAX) {
        rc = doc_err(r->e, array, "there are %zu constraints, the limit is %d", doc_count(array),
                     MESSAGE_CONSTRAINTS_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    r->m.constraints = ARENA_ARRAY(r->arena, MessageConstraint, doc_count(array) + 1);
    for (const Doc *d = doc_first(array); rc == 0 && d; d = doc_next(d)) {
        rc = read_constraint(r, d, &r->m.constraints[r->m.constraint_count++]);
    }
    return rc;
}

// Kept as text: who understands interfaces and metrics reads it with its own strictness.
static int read_document(Reader *r, const Doc *d)
{
    int rc = doc_expect(d, DOC_OBJECT, "\"document\"", r->e);
    if (rc != 0) {
        return rc;
    }
    Buf text = buf_create(2 * (size_t)MESSAGE_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    doc_write(&w, d);
    rc = buf_check(&text, "the document of a message", r->e);
    if (rc == 0) {
        r->m.document = arena_copy(r->arena, buf_slice(&text));
    }
    buf_done(&text);
    return rc;
}

static int read_field(Reader *r, MessageField field, const Doc *d)
{
    Message *m = &r->m;
    int64_t number = 0;
    unsigned choice = 0;
    int rc = 0;
    switch (field) {
    case FIELD_NEGOTIATION: return read_id(r, d, &m->negotiation);
    case FIELD_ROOT: return read_id(r, d, &m->root);
    case FIELD_CHILD: return read_id(r, d, &m->child);
    case FIELD_ROUND:
        rc = read_int(r, d, 1, UINT32_MAX, &number);
        m->round = (uint32_t)number;
        return rc;
    case FIELD_DEPTH:
        rc = read_int(r, d, 0, UINT32_MAX, &number);
        m->depth = (uint32_t)number;
        return rc;
    case FIELD_FOR: return read_int(r, d, 0, INT64_MAX, &m->for_ns);
    case FIELD_TOKEN:
        rc = read_int(r, d, 0, INT64_MAX, &number);
        m->token = (uint64_t)number;
        return rc;
    case FIELD_REASON:
        rc = read_choice(r, d, MESSAGE_REASON_NAMES, &choice);
        m->reason = (MessageReason)choice;
        return rc;
    case FIELD_DIRECTION:
        rc = read_choice(r, d, MESSAGE_DIRECTION_NAMES, &choice);
        m->direction = (MessageDirection)choice;
        return rc;
    case FIELD_TEXT: return read_text(r, d, 0, MESSAGE_TEXT_MAX, &m->text);
    case FIELD_CHANGES: return read_changes(r, d);
    case FIELD_CONSTRAINTS: return read_constraints(r, d);
    case FIELD_PREDICTED: return proposal_estimates_read(r->arena, d, &m->predicted, r->e);
    case FIELD_DOCUMENT: return read_document(r, d);
    }
    return 0;
}

static const struct {
    const char *name;
    MessageField field;
} NAMES[] = {
    {"negotiation", FIELD_NEGOTIATION},
    {"root", FIELD_ROOT},
    {"child", FIELD_CHILD},
    {"round", FIELD_ROUND},
    {"depth", FIELD_DEPTH},
    {"for_ns", FIELD_FOR},
    {"token", FIELD_TOKEN},
    {"reason", FIELD_REASON},
    {"direction", FIELD_DIRECTION},
    {"text", FIELD_TEXT},
    {"changes", FIELD_CHANGES},
    {"constraints", FIELD_CONSTRAINTS},
    {"predicted", FIELD_PREDICTED},
    {"document", FIELD_DOCUMENT},
};

// Names that this type does not have.
static int check_names(const Reader *r, unsigned allowed)
{
    Slice names[COUNT_OF(NAMES) + 2] = {SLICE("type"), SLICE("version")};
    size_t count = 2;
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (allowed & NAMES[i].field) {
            names[count++] = slice_from_cstr(NAMES[i].name);
        }
    }
    return doc_expect_fields(r->object, names, count, r->e);
}

static int read_head(Reader *r)
{
    int rc = doc_expect(r->object, DOC_OBJECT, "a message", r->e);
    if (rc != 0) {
        return rc;
    }
    const Doc *version = doc_get(r->object, SLICE("version"));
    const Doc *type = doc_get(r->object, SLICE("type"));
    if (!version || version->type != DOC_INT || version->integer < 1 || !type) {
        return doc_err(r->e, r->object, "a message has \"version\" and \"type\"");
    }
    if (version->integer > MESSAGE_VERSION) {
        return err_set(r->e, ERR_VERSION, "a message of version %lld, newer than this program",
                       (long long)version->integer);
    }
    unsigned choice = 0;
    rc = read_choice(r, type, MESSAGE_TYPE_NAMES, &choice);
    r->m.type = (MessageType)choice;
    return rc;
}

int message_read(Arena *arena, Slice json, Message *ret_message, Err *e)
{
    Reader r = {.arena = arena, .e = e};
    DocOptions o = {.format = DOC_FORMAT_JSON,
                    .source = "message",
                    .max_bytes = MESSAGE_BYTES_MAX,
                    .max_nodes = NODES_MAX};
    int rc = doc_parse(arena, json, &o, &r.object, e);
    if (rc == 0) {
        rc = read_head(&r);
    }
    const MessageFields *fields = &MESSAGE_FIELDS[r.m.type];
    if (rc == 0) {
        rc = check_names(&r, fields->required | fields->optional);
    }
    for (size_t i = 0; rc == 0 && i < COUNT_OF(NAMES); i++) {
        const Doc *d = doc_get(r.object, slice_from_cstr(NAMES[i].name));
        if (d) {
            rc = read_field(&r, NAMES[i].field, d);
        } else if (fields->required & NAMES[i].field) {
            rc = doc_err(e, r.object, "a message \"%s\" has \"%s\"", MESSAGE_TYPE_NAMES[r.m.type],
                         NAMES[i].name);
        }
    }
    if (rc == 0) {
        *ret_message = r.m;
    }
    return rc;
}
