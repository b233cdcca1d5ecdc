// Batching: gather items until `batch.max_items`, `batch.max_bytes` or `batch.timeout` after the
// first one, whichever comes first (Kafka producers' batch.size and linger.ms). The items
// themselves are the driver's; the batcher only says when to send.
//
//     if (batch_before(b, p, bytes)) { send(items); }   // it would not fit with the others
//     keep(item);
//     if (batch_add(b, p, bytes, now)) { send(items); }
//     ... timer at batch_due(b, p): if (batch_flush(b)) { send(items); }
#ifndef POLICY_BATCH_H
#define POLICY_BATCH_H

#include "policy/params.h"

typedef struct BatchState {
    uint32_t items;
    uint64_t bytes;
    int64_t first_ns;
} BatchState;

// True: send what is there before adding an item of `bytes`; the batch is empty afterwards.
bool batch_before(BatchState *s, const ParamValue *p, uint64_t bytes);
// Adds one. True: the batch is full, send it now; it is empty afterwards.
bool batch_add(BatchState *s, const ParamValue *p, uint64_t bytes, int64_t now_ns);
// When the batch has to go at the latest; INT64_MAX while empty.
int64_t batch_due(const BatchState *s, const ParamValue *p);
// One gave up before the batch went.
void batch_remove(BatchState *s, uint64_t bytes);
// By number or bytes, as after a change of the parameters.
bool batch_is_full(const BatchState *s, const ParamValue *p);
// Ends the batch; the number of items in it.
uint32_t batch_flush(BatchState *s);

#endif
