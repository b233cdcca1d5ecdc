// The fibers of a pool as a profile: where each of them stands. What Go's tools call "goroutine".
#ifndef PROF_FIBERS_H
#define PROF_FIBERS_H

#include "os/fiber.h"
#include "prof/profile.h"

// Adds every fiber of the pool to a PROFILE_FIBERS profile, labelled with its name and what it
// waits for. On the thread of the pool's loop, from a fiber or from outside.
void profile_add_fibers(Profile *profile, const FiberPool *pool);

#endif
