// What the batch jobs of the three providers have in common. Used by fake_batch*.c and their tests.
#ifndef LLM_FAKE_BATCH_H
#define LLM_FAKE_BATCH_H

#include "llm/fake_store.h"
#include "llm/fake_work.h"

typedef enum FakeBatchState {
    FAKE_BATCH_RUNNING,
    FAKE_BATCH_DONE,
    FAKE_BATCH_CANCELLED,
} FakeBatchState;

int64_t fake_now_s(const FakeWork *w); // wall time
FakeBatchState fake_batch_state(const FakeWork *w, const FakeObject *o);
uint64_t fake_new_id(FakeWork *w);
// The number behind an id that fake_put_id wrote; 0 for anything else.
uint64_t fake_id_number(Slice id, Slice prefix);
void fake_not_found(FakeWork *w, const char *message);

// Answers one line of a job and shows the outcome to fn.
typedef struct FakeLine {
    void (*fn)(void *ctx, FakeWork *one);
    void *ctx;
} FakeLine;
void fake_job_run(FakeWork *w, const FakeRoute *route, Slice body, size_t number, FakeLine line);

typedef void FakePutObject(const FakeWork *w, const FakeObject *o, Buf *out);
void fake_list_objects(FakeWork *w, FakeObjectKind kind, FakePutObject *put, Slice begin,
                       Slice end);

// The next part of a multipart/form-data body (RFC 7578): its head and its content. `boundary` as
// the Content-Type says it. False at the end and for what is no such body.
bool fake_multipart_next(Slice *body, Slice boundary, Slice *ret_head, Slice *ret_content);

#endif
