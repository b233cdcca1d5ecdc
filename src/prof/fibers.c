#include "prof/fibers.h"

#include "os/stack_walk.h"

static void add(void *ctx, const Fiber *fiber)
{
    Profile *profile = ctx;
    void *addresses[PROFILE_DEPTH_MAX];
    uint64_t pcs[PROFILE_DEPTH_MAX];
    char label[256];
    size_t depth;
    if (fiber == fiber_self()) {
        depth = stack_walk_here(pcs, PROFILE_DEPTH_MAX);
    } else {
        depth = fiber_backtrace(fiber, addresses, PROFILE_DEPTH_MAX);
        for (size_t i = 0; i < depth; i++) {
            pcs[i] = (uint64_t)(uintptr_t)addresses[i];
        }
    }
    const char *why = fiber_waits_for(fiber);
    int len = snprintf(label, sizeof label, "%s%s%s", fiber_name(fiber), why[0] ? ": " : "", why);
    profile_add(profile, &(ProfileSample){
                             .pcs = pcs,
                             .depth = depth,
                             .values = {1},
                             .label_key = SLICE("fiber"),
                             .label = slice_sub((Slice){label, sizeof label - 1}, 0, (size_t)len)});
}

void profile_add_fibers(Profile *profile, const FiberPool *pool)
{
    fiber_pool_each(pool, add, profile);
}
