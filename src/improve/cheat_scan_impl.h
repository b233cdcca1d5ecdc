// The parts of the static scan; cheat_scan.c calls them in order.
#ifndef IMPROVE_CHEAT_SCAN_IMPL_H
#define IMPROVE_CHEAT_SCAN_IMPL_H

#include "improve/cheat_text.h"

typedef struct CheatScanner {
    const CheatScan *scan;
    Findings *findings;
    CheatMask mask;
    bool code_touched; // source files have added lines
} CheatScanner;

void cheat_found(CheatScanner *s, Cheat cheat, FindingLevel level, Slice file, long line,
                 const char *format, ...) PRINTF_LIKE(6, 7);

void cheat_scan_paths(CheatScanner *s);   // whole files that are touched: 1, 2, 12, 18
void cheat_scan_bench(CheatScanner *s);   // 1, 2, 13
void cheat_scan_tests(CheatScanner *s);   // 14
void cheat_scan_flags(CheatScanner *s);   // 10, 11
void cheat_scan_words(CheatScanner *s);   // by the table of words: 4 to 9, 11, 14, 15
void cheat_scan_clock(CheatScanner *s);   // 9
void cheat_scan_answers(CheatScanner *s); // 3
void cheat_scan_last(CheatScanner *s);    // 4: the last input and its answer kept

// "-O3", "-march=native": an option that makes code faster that was not changed. -O0 is none.
bool cheat_option_optimises(Slice option);

// Calls `fn` for every added and deleted line of files of that class (CHEAT_PATHS: of all).
typedef void CheatLineFn(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                         Slice code);
void cheat_each_line(const CheatScanner *s, CheatPath class, CheatLineFn *fn, void *ctx);

#endif
