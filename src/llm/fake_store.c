#include "llm/fake_store.h"

#include <pthread.h>

typedef struct Ring {
    FakeObject objects[FAKE_OBJECTS_MAX];
    size_t next;
} Ring;

struct FakeStore {
    pthread_mutex_t lock;
    Ring rings[FAKE_OBJECT_KINDS];
};

FakeStore *fake_store_create(void)
{
    FakeStore *store = mem_zalloc(sizeof *store);
    (void)pthread_mutex_init(&store->lock, NULL);
    for (size_t k = 0; k < FAKE_OBJECT_KINDS; k++) {
        for (size_t i = 0; i < FAKE_OBJECTS_MAX; i++) {
            store->rings[k].objects[i].data = buf_create(FAKE_OBJECT_BYTES_MAX);
        }
    }
    return store;
}

void fake_store_destroy(FakeStore *store)
{
    if (!store) {
        return;
    }
    for (size_t k = 0; k < FAKE_OBJECT_KINDS; k++) {
        for (size_t i = 0; i < FAKE_OBJECTS_MAX; i++) {
            buf_done(&store->rings[k].objects[i].data);
        }
    }
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

static FakeObject *find(FakeStore *store, FakeObjectKind kind, uint64_t id)
{
    for (size_t i = 0; i < FAKE_OBJECTS_MAX; i++) {
        FakeObject *o = &store->rings[kind].objects[i];
        if (o->id == id && id != 0) {
            return o;
        }
    }
    return NULL;
}

void fake_store_put(FakeStore *store, FakeObjectKind kind, const FakeObject *object)
{
    (void)pthread_mutex_lock(&store->lock);
    Ring *ring = &store->rings[kind];
    FakeObject *o = &ring->objects[ring->next];
    ring->next = (ring->next + 1) % FAKE_OBJECTS_MAX;
    Buf data = o->data; // its memory is used again
    *o = *object;
    o->data = data;
    buf_reset(&o->data);
    buf_append(&o->data, buf_slice(&object->data));
    (void)pthread_mutex_unlock(&store->lock);
}

static FakeObject without_data(const FakeObject *o)
{
    FakeObject copy = *o;
    copy.data = (Buf){0};
    return copy;
}

int fake_store_get(FakeStore *store, FakeObjectKind kind, uint64_t id, FakeObject *ret_object,
                   Buf *data)
{
    (void)pthread_mutex_lock(&store->lock);
    const FakeObject *o = find(store, kind, id);
    if (o) {
        *ret_object = without_data(o);
        if (data) {
            buf_append(data, buf_slice(&o->data));
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    return o ? 0 : ERR_NOT_FOUND;
}

int fake_store_remove(FakeStore *store, FakeObjectKind kind, uint64_t id)
{
    (void)pthread_mutex_lock(&store->lock);
    FakeObject *o = find(store, kind, id);
    if (o) {
        o->id = 0;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return o ? 0 : ERR_NOT_FOUND;
}

int fake_store_cancel(FakeStore *store, FakeObjectKind kind, uint64_t id, int64_t now_s)
{
    (void)pthread_mutex_lock(&store->lock);
    FakeObject *o = find(store, kind, id);
    if (o && o->cancelled_s == 0) {
        o->cancelled_s = now_s;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return o ? 0 : ERR_NOT_FOUND;
}

size_t fake_store_list(FakeStore *store, FakeObjectKind kind, FakeObject *ret_objects, size_t max)
{
    (void)pthread_mutex_lock(&store->lock);
    const Ring *ring = &store->rings[kind];
    size_t count = 0;
    for (size_t i = 1; i <= FAKE_OBJECTS_MAX && count < max; i++) {
        const FakeObject *o =
            &ring->objects[(ring->next + FAKE_OBJECTS_MAX - i) % FAKE_OBJECTS_MAX];
        if (o->id != 0) {
            ret_objects[count++] = without_data(o);
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    return count;
}
