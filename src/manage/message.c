#include "manage/message.h"

const char *const MESSAGE_TYPE_NAMES[MESSAGE_TYPES + 1] = {
    [MESSAGE_ANNOUNCE] = "announce", [MESSAGE_QUERY] = "query",         [MESSAGE_ANSWER] = "answer",
    [MESSAGE_METRICS] = "metrics",   [MESSAGE_JOIN] = "join",           [MESSAGE_LEAVE] = "leave",
    [MESSAGE_PROPOSE] = "propose",   [MESSAGE_ACCEPT] = "accept",       [MESSAGE_REJECT] = "reject",
    [MESSAGE_COUNTER] = "counter",   [MESSAGE_DEFER] = "defer",         [MESSAGE_COMMIT] = "commit",
    [MESSAGE_APPLIED] = "applied",   [MESSAGE_FAILED] = "failed",       [MESSAGE_RENEW] = "renew",
    [MESSAGE_RENEWED] = "renewed",   [MESSAGE_KEEP] = "keep",           [MESSAGE_KEPT] = "kept",
    [MESSAGE_WITHDRAW] = "withdraw", [MESSAGE_WITHDRAWN] = "withdrawn",
};

const char *const MESSAGE_REASON_NAMES[REASONS + 1] = {
    [REASON_NONE] = "none",
    [REASON_OBJECTIVE] = "objective",
    [REASON_BYSTANDER] = "bystander",
    [REASON_UNSTABLE] = "unstable",
    [REASON_RANGE] = "range",
    [REASON_NOT_OWNER] = "not_owner",
    [REASON_UNKNOWN] = "unknown",
    [REASON_BUSY] = "busy",
    [REASON_STALE] = "stale",
    [REASON_DEPTH] = "depth",
    [REASON_DEADLINE] = "deadline",
    [REASON_OVERLOADED] = "overloaded",
    [REASON_DEPENDENCY] = "dependency",
    [REASON_CONTRADICTED] = "contradicted",
    [REASON_APPLY] = "apply",
    [REASON_LEFT] = "left",
    [REASON_REFUSED] = "refused",
    [REASON_MALFORMED] = "malformed",
    [REASON_NO_ANSWER] = "no_answer",
};

const char *const MESSAGE_DIRECTION_NAMES[DIRECTIONS + 1] = {
    [DIRECTION_NONE] = "none",
    [DIRECTION_UPSTREAM] = "upstream",
    [DIRECTION_DOWNSTREAM] = "downstream",
    [DIRECTION_PEER] = "peer",
};

const char *const CONSTRAINT_OP_NAMES[CONSTRAINT_OPS + 1] = {
    [CONSTRAINT_AT_LEAST] = "at_least",
    [CONSTRAINT_AT_MOST] = "at_most",
    [CONSTRAINT_EQUAL] = "equal",
    [CONSTRAINT_UNCHANGED] = "unchanged",
};

#define OF_LEASE (FIELD_NEGOTIATION | FIELD_ROUND | FIELD_TOKEN)
#define OF_ROUND (FIELD_NEGOTIATION | FIELD_ROUND)

const MessageFields MESSAGE_FIELDS[MESSAGE_TYPES] = {
    [MESSAGE_ANNOUNCE] = {FIELD_DOCUMENT, 0},
    [MESSAGE_QUERY] = {FIELD_DOCUMENT, 0},
    [MESSAGE_ANSWER] = {FIELD_DOCUMENT, FIELD_TEXT},
    [MESSAGE_METRICS] = {FIELD_DOCUMENT, 0},
    [MESSAGE_JOIN] = {FIELD_TOKEN, FIELD_DOCUMENT},
    [MESSAGE_LEAVE] = {FIELD_TOKEN, FIELD_TEXT},
    [MESSAGE_PROPOSE] = {OF_ROUND | FIELD_ROOT | FIELD_DEPTH | FIELD_FOR,
                         FIELD_CHANGES | FIELD_CONSTRAINTS | FIELD_PREDICTED | FIELD_DOCUMENT |
                             FIELD_DIRECTION | FIELD_TEXT},
    [MESSAGE_ACCEPT] = {OF_LEASE | FIELD_FOR | FIELD_CHANGES, FIELD_PREDICTED | FIELD_TEXT},
    [MESSAGE_REJECT] = {OF_ROUND | FIELD_REASON, FIELD_CONSTRAINTS | FIELD_PREDICTED | FIELD_TEXT},
    [MESSAGE_COUNTER] = {OF_ROUND | FIELD_CHANGES,
                         FIELD_CONSTRAINTS | FIELD_PREDICTED | FIELD_TEXT},
    [MESSAGE_DEFER] = {OF_ROUND | FIELD_FOR, FIELD_CHILD | FIELD_TEXT},
    [MESSAGE_COMMIT] = {OF_LEASE, 0},
    [MESSAGE_APPLIED] = {OF_LEASE, FIELD_CHANGES},
    [MESSAGE_FAILED] = {OF_LEASE | FIELD_REASON, FIELD_TEXT},
    [MESSAGE_RENEW] = {OF_LEASE | FIELD_FOR, 0},
    [MESSAGE_RENEWED] = {OF_LEASE | FIELD_FOR, 0},
    [MESSAGE_KEEP] = {OF_LEASE, FIELD_PREDICTED},
    [MESSAGE_KEPT] = {OF_LEASE, 0},
    [MESSAGE_WITHDRAW] = {OF_ROUND, FIELD_TOKEN | FIELD_REASON | FIELD_TEXT},
    [MESSAGE_WITHDRAWN] = {OF_ROUND, 0},
};

Slice message_place(Slice param)
{
    ptrdiff_t dot = slice_find_byte(param, '.');
    return dot < 0 ? param : slice_sub(param, 0, (size_t)dot);
}

// ---- writing

static void write_changes(JsonWriter *w, const Message *m)
{
    json_key(w, SLICE("changes"));
    json_object_begin(w);
    for (size_t i = 0; i < m->change_count; i++) {
        json_key(w, m->changes[i].param);
        json_string(w, m->changes[i].value);
    }
    json_object_end(w);
}

static void write_constraints(JsonWriter *w, const Message *m)
{
    json_key(w, SLICE("constraints"));
    json_array_begin(w);
    for (size_t i = 0; i < m->constraint_count; i++) {
        const MessageConstraint *c = &m->constraints[i];
        json_object_begin(w);
        json_field_cstr(w, "op", CONSTRAINT_OP_NAMES[c->op]);
        json_field_string(w, "subject", c->subject);
        if (c->op != CONSTRAINT_UNCHANGED) {
            json_field_string(w, "value", c->value);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

// The optional fields that say something; the required ones always do.
static unsigned fields_of(const Message *m)
{
    const MessageFields *f = &MESSAGE_FIELDS[m->type];
    unsigned said = (m->child.len > 0 ? FIELD_CHILD : 0u) |
                    (m->reason != REASON_NONE ? FIELD_REASON : 0u) |
                    (m->direction != DIRECTION_NONE ? FIELD_DIRECTION : 0u) |
                    (m->text.len > 0 ? FIELD_TEXT : 0u) | (m->token != 0 ? FIELD_TOKEN : 0u) |
                    (m->change_count > 0 ? FIELD_CHANGES : 0u) |
                    (m->constraint_count > 0 ? FIELD_CONSTRAINTS : 0u) |
                    (m->predicted.count > 0 ? FIELD_PREDICTED : 0u) |
                    (m->document.len > 0 ? FIELD_DOCUMENT : 0u);
    return f->required | (f->optional & said);
}

// The fields with text or lists; in the order of the names, as the rest.
static void write_parts(JsonWriter *w, const Message *m, unsigned fields)
{
    if (fields & FIELD_CHANGES) {
        write_changes(w, m);
    }
    if (fields & FIELD_CHILD) {
        json_field_string(w, "child", m->child);
    }
    if (fields & FIELD_CONSTRAINTS) {
        write_constraints(w, m);
    }
    if (fields & FIELD_DEPTH) {
        json_field_int(w, "depth", m->depth);
    }
    if (fields & FIELD_DIRECTION) {
        json_field_cstr(w, "direction", MESSAGE_DIRECTION_NAMES[m->direction]);
    }
    if (fields & FIELD_DOCUMENT) {
        json_key(w, SLICE("document"));
        json_raw(w, m->document);
    }
    if (fields & FIELD_FOR) {
        json_field_int(w, "for_ns", m->for_ns);
    }
    if (fields & FIELD_NEGOTIATION) {
        json_field_string(w, "negotiation", m->negotiation);
    }
}

void message_write(const Message *m, Buf *out)
{
    JsonWriter writer = json_writer(out, 0), *w = &writer;
    unsigned fields = fields_of(m);
    json_object_begin(w);
    write_parts(w, m, fields);
    if (fields & FIELD_PREDICTED) {
        json_key(w, SLICE("predicted"));
        proposal_estimates_write(w, m->predicted);
    }
    if (fields & FIELD_REASON) {
        json_field_cstr(w, "reason", MESSAGE_REASON_NAMES[m->reason]);
    }
    if (fields & FIELD_ROOT) {
        json_field_string(w, "root", m->root);
    }
    if (fields & FIELD_ROUND) {
        json_field_int(w, "round", m->round);
    }
    if (fields & FIELD_TEXT) {
        json_field_string(w, "text", m->text);
    }
    if (fields & FIELD_TOKEN) {
        json_field_int(w, "token", (int64_t)m->token);
    }
    json_field_cstr(w, "type", MESSAGE_TYPE_NAMES[m->type]);
    json_field_int(w, "version", MESSAGE_VERSION);
    json_object_end(w);
}

// ---- copying

static Slice copy_text(Arena *arena, Slice s)
{
    return s.len > 0 ? arena_copy(arena, s) : (Slice){0};
}

static MessageChange *copy_changes(Arena *arena, const MessageChange *changes, size_t count)
{
    MessageChange *copy = ARENA_ARRAY(arena, MessageChange, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] =
            (MessageChange){copy_text(arena, changes[i].param), copy_text(arena, changes[i].value)};
    }
    return copy;
}

static MessageConstraint *copy_constraints(Arena *arena, const MessageConstraint *list,
                                           size_t count)
{
    MessageConstraint *copy = ARENA_ARRAY(arena, MessageConstraint, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = (MessageConstraint){copy_text(arena, list[i].subject), list[i].op,
                                      copy_text(arena, list[i].value)};
    }
    return copy;
}

static ProposalEstimates copy_estimates(Arena *arena, ProposalEstimates list)
{
    ProposalEstimates copy = {ARENA_ARRAY(arena, ProposalEstimate, list.count + 1), list.count};
    for (size_t i = 0; i < list.count; i++) {
        copy.items[i] = list.items[i];
        copy.items[i].name = copy_text(arena, list.items[i].name);
    }
    return copy;
}

Message message_copy(Arena *arena, const Message *m)
{
    Message copy = *m;
    copy.negotiation = copy_text(arena, m->negotiation);
    copy.root = copy_text(arena, m->root);
    copy.child = copy_text(arena, m->child);
    copy.text = copy_text(arena, m->text);
    copy.document = copy_text(arena, m->document);
    copy.changes = copy_changes(arena, m->changes, m->change_count);
    copy.constraints = copy_constraints(arena, m->constraints, m->constraint_count);
    copy.predicted = copy_estimates(arena, m->predicted);
    return copy;
}
