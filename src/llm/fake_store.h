// What a fake provider remembers: files, batch jobs and the last responses. Bounded: the oldest
// goes. Any thread.
#ifndef LLM_FAKE_STORE_H
#define LLM_FAKE_STORE_H

#include "base/buf.h"
#include "base/err.h"

typedef enum FakeObjectKind {
    FAKE_FILE,
    FAKE_BATCH,         // OpenAI's
    FAKE_MESSAGE_BATCH, // Anthropic's
    FAKE_GEMINI_BATCH,
    FAKE_RESPONSE,
    FAKE_OBJECT_KINDS,
} FakeObjectKind;

enum { FAKE_OBJECTS_MAX = 256, FAKE_OBJECT_BYTES_MAX = 64 << 20, FAKE_NAME_MAX = 128 };

// A value; `data` belongs to whoever holds it.
typedef struct FakeObject {
    uint64_t id; // 0: none
    int64_t created_s;
    int64_t ready_ns;               // wall time from which on a job is done
    int64_t cancelled_s;            // 0: not
    uint64_t input, output, errors; // ids of files
    int64_t total, failed;
    char name[FAKE_NAME_MAX];    // of a file; the endpoint of a batch; the model
    char purpose[FAKE_NAME_MAX]; //
    Buf data;                    // a file's content, a job's results, a response's body
} FakeObject;

typedef struct FakeStore FakeStore;

FakeStore *fake_store_create(void);
void fake_store_destroy(FakeStore *store); // NULL is fine

// Copies everything; object->id must be new within its kind.
void fake_store_put(FakeStore *store, FakeObjectKind kind, const FakeObject *object);
// Copies the object to *ret_object, whose data is appended to `data` (may be NULL: without it).
// ERR_NOT_FOUND.
MUST_USE int fake_store_get(FakeStore *store, FakeObjectKind kind, uint64_t id,
                            FakeObject *ret_object, Buf *data);
MUST_USE int fake_store_remove(FakeStore *store, FakeObjectKind kind, uint64_t id);
MUST_USE int fake_store_cancel(FakeStore *store, FakeObjectKind kind, uint64_t id, int64_t now_s);
// Newest first, without their data; returns how many.
size_t fake_store_list(FakeStore *store, FakeObjectKind kind, FakeObject *ret_objects, size_t max);

#endif
