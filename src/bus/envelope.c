#include <assert.h>

#include "bus/bus_impl.h"

static int check_text(Slice text, size_t max, const char *what, Err *e)
{
    return text.len <= max ? 0
                           : err_set(e, ERR_ARG,
                                     "the %s of a message has %zu bytes, the limit is "
                                     "%zu",
                                     what, text.len, max);
}

static int check(const BusMessage *m, Err *e)
{
    int rc = bus_check_subject(m->subject, false, e);
    if (rc == 0 && m->reply_to.len > 0) {
        rc = bus_check_subject(m->reply_to, false, e);
    }
    if (rc != 0 || (rc = check_text(m->id, BUS_KEY_MAX, "id", e)) != 0 ||
        (rc = check_text(m->key, BUS_KEY_MAX, "key", e)) != 0 ||
        (rc = check_text(m->from, BUS_NAME_MAX, "sender", e)) != 0 ||
        (rc = check_text(m->to, BUS_NAME_MAX, "recipient", e)) != 0) {
        return rc;
    }
    return m->body.len <= BUS_BODY_MAX
               ? 0
               : err_set(e, ERR_LIMIT, "the body of a message has %zu bytes, the limit is %d",
                         m->body.len, BUS_BODY_MAX);
}

// Text goes behind the struct, each with a NUL so that a debugger shows it.
static Slice put(char **at, Slice text)
{
    if (text.len == 0) {
        return (Slice){0};
    }
    memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    Slice copy = {*at, text.len};
    *at += text.len + 1;
    return copy;
}

int envelope_create(Bus *bus, const BusMessage *m, Envelope **ret_envelope, Err *e)
{
    int rc = check(m, e);
    if (rc != 0) {
        return rc;
    }
    char made[64];
    BusMessage full = *m;
    full.version = m->version ? m->version : BUS_VERSION;
    full.unix_ns = m->unix_ns ? m->unix_ns : clock_wall(bus->clock);
    full.from = m->from.len > 0 ? m->from : slice_from_cstr(bus->name);
    if (m->id.len == 0) {
        int len =
            snprintf(made, sizeof made, "%s-%llu", bus->unique, (unsigned long long)++bus->counter);
        full.id = (Slice){made, (size_t)len};
    }
    full.key = m->key.len > 0 ? m->key : full.id;
    Slice *texts[] = {&full.id, &full.key,      &full.subject, &full.from,
                      &full.to, &full.reply_to, &full.body};
    size_t bytes = sizeof(Envelope);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        bytes += texts[i]->len + 1;
    }
    Envelope *envelope = mem_alloc(bytes);
    char *at = (char *)(envelope + 1);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        *texts[i] = put(&at, *texts[i]);
    }
    full.deliveries = 0;
    envelope->m = full;
    counter_init(&envelope->refs, 1);
    *ret_envelope = envelope;
    return 0;
}

Envelope *envelope_ref(Envelope *envelope)
{
    (void)counter_add(&envelope->refs, 1);
    return envelope;
}

void envelope_unref(Envelope *envelope)
{
    if (envelope && counter_add(&envelope->refs, -1) == 0) {
        free(envelope);
    }
}

// ---- subjects

static bool is_wildcard(Slice token)
{
    return slice_eq(token, SLICE("*")) || slice_eq(token, SLICE(">"));
}

static int check_token(Slice token, bool last, bool pattern, Err *e)
{
    if (token.len == 0) {
        return err_set(e, ERR_ARG, "a subject has an empty token");
    }
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] >= 0x7f) {
            return err_set(e, ERR_ARG, "a subject is printable ASCII without blanks");
        }
    }
    if (is_wildcard(token)) {
        if (!pattern) {
            return err_set(e, ERR_ARG, "a message goes to a subject without wildcards");
        }
        if (token.ptr[0] == '>' && !last) {
            return err_set(e, ERR_ARG, "the wildcard > is the last token of a pattern");
        }
    }
    return 0;
}

int bus_check_subject(Slice subject, bool pattern, Err *e)
{
    if (subject.len == 0 || subject.len > BUS_SUBJECT_MAX) {
        return err_set(e, ERR_ARG, "a subject has 1 to %d bytes", BUS_SUBJECT_MAX);
    }
    if (subject.ptr[subject.len - 1] == '.') {
        return err_set(e, ERR_ARG, "a subject has an empty token");
    }
    Slice rest = subject, token;
    for (bool more = true; more;) {
        more = slice_cut(rest, '.', &token, &rest);
        int rc = check_token(token, !more, pattern, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

bool bus_matches(Slice pattern, Slice subject)
{
    Slice want, have;
    for (bool more_want = true, more_have = true; more_want;) {
        if (!more_have) {
            return false;
        }
        more_want = slice_cut(pattern, '.', &want, &pattern);
        more_have = slice_cut(subject, '.', &have, &subject);
        if (slice_eq(want, SLICE(">")) && !more_want) {
            return true;
        }
        if (!slice_eq(want, SLICE("*")) && !slice_eq(want, have)) {
            return false;
        }
        if (!more_want) {
            return !more_have;
        }
    }
    return false;
}
