// The story of a managed run for people: what was promised, what broke it, who proposed what to
// whom, what was predicted and what was observed, and what it was like before and after.
//
//     rc = story_markdown(&story, arena, &out, e);
//     rc = story_html(&story, arena, &out, e);          // one file, no script, charts inline
//     story_table(&story, arena, client, &before, &after);
#ifndef MANAGE_STORY_REPORT_H
#define MANAGE_STORY_REPORT_H

#include "manage/coordinator.h"

enum {
    STORY_REPORT_MAX = 8 << 20,
    STORY_ROWS_MAX = 400, // events in a report; the rest is counted
};

// One client over a stretch of time: its goodput with an interval that knows that windows vary
// (stat/effective.h), and the median of the windows' p99 with its order statistics.
typedef struct StoryPeriod {
    int64_t from_ns, until_ns;
    uint64_t requests;
    Estimate goodput, p99;
} StoryPeriod;

StoryPeriod story_period(const Story *story, uint32_t client, int64_t from_ns, int64_t until_ns);
// From the beginning to the first change that was applied; and from when the last change that was
// kept had settled to the end. False when nothing was applied: then *ret_before is of everything.
bool story_before_after(const Story *story, uint32_t client, StoryPeriod *ret_before,
                        StoryPeriod *ret_after);

MUST_USE int story_markdown(const Story *story, Buf *out, Err *e);
MUST_USE int story_html(const Story *story, Buf *out, Err *e);
// One object: periods, cases, events.
void story_write(const Story *story, JsonWriter *w);
// "0:40  a -> b  propose  b->c.timeout.attempt 0s -> 1s" without a line break.
void story_line(const StoryEvent *event, Buf *out);

#endif
