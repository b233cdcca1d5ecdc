// How long an agent's own work takes, from what was seen of it: requests that came to the end of
// their work, and those that were told to stop in the middle, of which is known only that they
// would have taken longer. Leaving those out would cut off the tail wherever callers give up early;
// the product-limit estimator (Kaplan and Meier, JASA 53, 1958) keeps what they say.
//
//     work_seen_add(&seen, &window.agents[i]);          // each window
//     if (work_contradicts(&seen, &published)) ...
//     work_refit(arena, &seen, &published, &refitted);
//
// The last WORK_WINDOWS to twice as many windows count, so that an agent that changes is seen
// changed. One thread.
#ifndef MANAGE_WORK_SEEN_H
#define MANAGE_WORK_SEEN_H

#include "manage/plant.h"

enum {
    WORK_WINDOWS = 6,
    WORK_ENOUGH = 200, // requests that came to their end, for a refit
    WORK_POINTS = 129, // of a refitted distribution
};

typedef struct WorkSeen {
    Hist whole[2], cut[2]; // the block of windows that is filling, and the one before
    int windows;           // in the block
    int block;
} WorkSeen;

void work_seen_init(WorkSeen *seen);
void work_seen_done(WorkSeen *seen);
void work_seen_reset(WorkSeen *seen);
void work_seen_add(WorkSeen *seen, const PlantAgent *agent);
uint64_t work_seen_count(const WorkSeen *seen); // that came to their end

// Is what was seen another distribution than `published`? A tenth of a duration is within what
// documents are rounded to; beyond that four deviations of the share count at some of the quantiles
// 25 to 99 %. False below WORK_ENOUGH.
bool work_contradicts(const WorkSeen *seen, const Dist *published);

// The distribution that was seen, as quantiles; beyond the longest that was seen before callers
// gave up it is `published`, as far as that goes further. Needs WORK_ENOUGH.
Dist work_refit(Arena *arena, const WorkSeen *seen, const Dist *published);

#endif
