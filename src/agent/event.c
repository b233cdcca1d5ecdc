#include "agent/event.h"

#include <assert.h>

Bytes *bytes_create(size_t len)
{
    Bytes *b = mem_alloc(sizeof *b + len + 1);
    counter_init(&b->refs, 1);
    b->len = len;
    b->data[len] = '\0';
    return b;
}

Bytes *bytes_copy(Slice s)
{
    Bytes *b = bytes_create(s.len);
    if (s.len > 0) {
        memcpy(b->data, s.ptr, s.len);
    }
    return b;
}

void bytes_unref(Bytes *b)
{
    if (b && counter_add(&b->refs, -1) == 0) {
        free(b);
    }
}

int event_doc(const Event *event, Arena *arena, const Doc **ret_doc, Err *e)
{
    Slice data = event_data(event);
    if (data.len == 0) {
        data = SLICE("null");
    }
    int rc = doc_parse(arena, data, &(DocOptions){.format = DOC_FORMAT_JSON, .source = "event"},
                       ret_doc, e);
    if (rc != 0) {
        (void)err_wrap(e, "the data of event %llu (type \"%s\") is no JSON",
                       (unsigned long long)event->id, event->type);
    }
    return rc;
}

int event_spec_check(const EventSpec *spec, size_t data_max, Err *e)
{
    if (spec->type.len > EVENT_TYPE_MAX) {
        return err_set(e, ERR_LIMIT, "event type \"%.*s...\" has %zu bytes, the limit is %d",
                       EVENT_TYPE_MAX, spec->type.ptr, spec->type.len, EVENT_TYPE_MAX);
    }
    if (spec->session.len > EVENT_SESSION_MAX) {
        return err_set(e, ERR_LIMIT, "session \"%.*s...\" has %zu bytes, the limit is %d",
                       EVENT_SESSION_MAX, spec->session.ptr, spec->session.len, EVENT_SESSION_MAX);
    }
    size_t len = spec->bytes ? spec->bytes->len : spec->data.len;
    if (len > data_max) {
        return err_set(e, ERR_LIMIT, "event data has %zu bytes, the limit is %zu", len, data_max);
    }
    if (spec->prioritised && (unsigned)spec->priority >= EVENT_PRIORITIES) {
        return err_set(e, ERR_ARG, "there is no event priority %u", (unsigned)spec->priority);
    }
    return 0;
}

uint32_t event_session_hash(Slice session)
{
    uint64_t hash = session.len > 0 ? slice_hash(session) : 0;
    return (uint32_t)(hash ^ (hash >> 32));
}

static void copy_text(char *to, Slice text)
{
    if (text.len > 0) {
        memcpy(to, text.ptr, text.len);
    }
    to[text.len] = '\0';
}

void event_fill(Event *event, const EventSpec *spec)
{
    event->priority = spec->prioritised ? (uint8_t)spec->priority : EVENT_NORMAL;
    event->type_len = (uint8_t)spec->type.len;
    copy_text(event->type, spec->type);
    event->session_len = (uint8_t)spec->session.len;
    copy_text(event->session, spec->session);
    event->session_hash = event_session_hash(spec->session);
    event->inline_len = 0;
    event->bytes = NULL;
    if (spec->bytes) {
        event->bytes = bytes_ref(spec->bytes);
    } else if (spec->data.len > EVENT_INLINE_BYTES) {
        event->bytes = bytes_copy(spec->data);
    } else if (spec->data.len > 0) {
        event->inline_len = (uint32_t)spec->data.len;
        memcpy(event->inline_data, spec->data.ptr, spec->data.len);
    }
}

// ---- pool

// Items come in slabs that live as long as the pool: the pool is as large as the most events that
// were ever in use at once, which the mailboxes' bounds bound.
typedef struct Slab Slab;
struct Slab {
    Slab *next;
    max_align_t items[];
};

typedef struct FreeItem FreeItem;
struct FreeItem {
    FreeItem *next;
};

struct EventPool {
    FreeItem *free;
    Slab *slabs;
    size_t item_bytes;
    size_t taken;
    size_t made;
    size_t slab_items; // of the next slab
};

enum { SLAB_ITEMS_FIRST = 16, SLAB_ITEMS_MAX = 256 };

EventPool *event_pool_create(size_t extra_bytes)
{
    EventPool *pool = mem_zalloc(sizeof *pool);
    size_t align = _Alignof(max_align_t);
    pool->item_bytes = (sizeof(Event) + extra_bytes + align - 1) / align * align;
    pool->slab_items = SLAB_ITEMS_FIRST;
    return pool;
}

void event_pool_destroy(EventPool *pool)
{
    if (!pool) {
        return;
    }
    assert(pool->taken == 0);
    while (pool->slabs) {
        Slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    free(pool);
}

static void grow(EventPool *pool)
{
    Slab *slab = mem_zalloc(sizeof *slab + pool->slab_items * pool->item_bytes);
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (size_t i = pool->slab_items; i-- > 0;) {
        FreeItem *item = (FreeItem *)(void *)((char *)slab->items + i * pool->item_bytes);
        item->next = pool->free;
        pool->free = item;
    }
    pool->made += pool->slab_items;
    if (pool->slab_items < SLAB_ITEMS_MAX) {
        pool->slab_items *= 2;
    }
}

Event *event_pool_take(EventPool *pool)
{
    if (!pool->free) {
        grow(pool);
    }
    FreeItem *item = pool->free;
    pool->free = item->next;
    pool->taken++;
    return (Event *)(void *)item;
}

void event_pool_give(EventPool *pool, Event *event)
{
    if (event->bytes) {
        bytes_unref(event->bytes);
    }
    FreeItem *item = (FreeItem *)(void *)event;
    item->next = pool->free;
    pool->free = item;
    pool->taken--;
}

size_t event_pool_taken(const EventPool *pool)
{
    return pool->taken;
}

size_t event_pool_made(const EventPool *pool)
{
    return pool->made;
}
