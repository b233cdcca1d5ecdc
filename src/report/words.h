// Numbers and times as every report writes them, so that two reports of one run never disagree.
//
// Values keep three significant digits, enough for a histogram whose error is 0.4 %. What was not
// measured (NaN) is WORDS_NONE, never 0; a report that uses it explains it once. All text is in the
// arena.
#ifndef REPORT_WORDS_H
#define REPORT_WORDS_H

#include "base/arena.h"
#include "ledger/run.h"
#include "stat/interval.h"

#define WORDS_NONE "\xE2\x80\x93" // an en dash

Slice words_ms(Arena *arena, double ms);           // "412 µs", "12.3 ms", "1.24 s"
Slice words_count(Arena *arena, double count);     // "12,045"
Slice words_rate(Arena *arena, double per_second); // "1,999/s", "0.25/s"
Slice words_share(Arena *arena, double share);     // 0..1: "0.12 %"
Slice words_change(Arena *arena, double ratio);    // 1.213: "+21.3 %"
Slice words_p(Arena *arena, double p);             // "0.012", "<0.001"
Slice words_bytes(Arena *arena, double bytes);     // "1.2 MB"
Slice words_time(Arena *arena, int64_t unix_ns);   // "2026-11-21 02:38:10 UTC"
Slice words_duration(Arena *arena, int64_t ns);    // "1m30s"
Slice words_second(Arena *arena, double seconds);  // a moment of the run: "12 s", "2:05"
// Three significant digits, thousands separated, no unit.
Slice words_number(Arena *arena, double value);
// `value` in the unit a verdict names ("ms", "/s", "bytes", ""); shares where `is_share`.
Slice words_value(Arena *arena, double value, Slice unit, bool is_share);
// "[low, high]" in the same unit; empty where neither end is bounded.
Slice words_interval(Arena *arena, Interval interval, Slice unit, bool is_share);
// A ratio's interval as changes: "[+12.0 %, +31.5 %]".
Slice words_change_interval(Arena *arena, Interval ratio);
// How a run ended, for people: "complete", "partial: ended early", ...
Slice words_status(RunStatus status);

#endif
