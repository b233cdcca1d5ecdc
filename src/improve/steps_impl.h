// What the reader and the writer of steps.yaml share.
#ifndef IMPROVE_STEPS_IMPL_H
#define IMPROVE_STEPS_IMPL_H

#include "improve/steps.h"

// The mark of an entry that nobody edited since we wrote it: eight digits are plenty against
// accident, and who forges one gives up the protection of his own edit, no more.
enum { STEPS_SEAL_HEX = 8 };
void steps_seal(Slice name, Slice run, Slice directory, bool network, char out[STEPS_SEAL_HEX + 1]);
void steps_seal_workload(const Workload *w, char out[STEPS_SEAL_HEX + 1]);

#endif
