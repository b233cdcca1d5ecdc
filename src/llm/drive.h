// LlmDrive: one call on a PolicyBlock (policy/call.h), driven by the fiber that makes it. What the
// policies decide becomes straight code:
//
//     rc = llm_drive_start(&drive, block, &options);
//     while (llm_drive_wait(&drive)) {             // parks: queue, pause, another call's flight
//         rc = attempt(..., drive.until_ns, ...);
//         llm_drive_done(&drive, &event);          // success, failure, or timed out
//     }
//     use(drive.end.code, drive.end.reason);
//
// Steps of one call may bring news for others on the same block; those are delivered at once, on
// the stack of whoever brought them, and their fibers resumed.
#ifndef LLM_DRIVE_H
#define LLM_DRIVE_H

#include "os/fiber.h"
#include "policy/call.h"

typedef struct LlmDrive LlmDrive;

typedef struct LlmDriveHooks {
    void (*store)(void *ctx, LlmDrive *drive, int32_t slot); // CALL_DO_STORE
    void (*drop)(void *ctx, int32_t slot);                   // its payload is not needed any more
    // The call ends with the answer of another one (CALL_CACHED, CALL_SHARED): take it now, the
    // leader's may be gone afterwards. `leader` is NULL for the cache.
    void (*take)(void *ctx, LlmDrive *drive, int32_t slot, LlmDrive *leader);
    void *ctx;
} LlmDriveHooks;

struct LlmDrive {
    PolicyBlock *block;
    Loop *loop;
    const LlmDriveHooks *hooks; // NULL where the block has neither cache nor flight
    CallState call;
    Fiber *fiber; // parked in llm_drive_wait
    int64_t timer_ns;
    bool begin; // an attempt may begin
    bool ended;
    uint32_t attempt;
    int64_t until_ns; // by when the attempt has to be done
    CallAction end;   // .code, .reason
    void *owner;
};

void llm_drive_start(LlmDrive *drive, PolicyBlock *block, Loop *loop, const LlmDriveHooks *hooks,
                     const CallOptions *options);
// True: begin an attempt. False: the call has ended.
bool llm_drive_wait(LlmDrive *drive);
// The attempt's end. Past until_ns a failure is a timeout, whatever the event says.
void llm_drive_done(LlmDrive *drive, const CallEvent *event);
// A byte of content reached the caller: nothing is repeated from here on.
void llm_drive_commit(LlmDrive *drive);
void llm_drive_cancel(LlmDrive *drive);

#endif
