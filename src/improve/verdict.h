// What is said of a patch in the end, and the findings it rests on.
#ifndef IMPROVE_VERDICT_H
#define IMPROVE_VERDICT_H

#include "base/arena.h"
#include "base/json_write.h"
#include "judge/exit_code.h"

typedef enum PatchVerdict {
    PATCH_UNDECIDED, // says what would decide
    PATCH_PROVEN,    // faster by at least the effect that was registered
    PATCH_SMALL,     // faster, shown, by less than that
    PATCH_NO_EFFECT, // shown to be equal within the margin
    PATCH_SLOWER,
    PATCH_BROKEN, // does not build, fails tests, answers otherwise
    PATCH_CHEAT,  // which of the catalogue, and the line
    PATCH_VERDICTS,
} PatchVerdict;
extern const char *const PATCH_VERDICT_NAMES[PATCH_VERDICTS + 1]; // "UNDECIDED", "PROVEN", ...

// PROVEN and SMALL BUT REAL pass; SLOWER is a regression; BROKEN and CHEAT SUSPECTED are refused;
// the others are not proven.
ExitCode patch_verdict_exit(PatchVerdict verdict);

typedef enum FindingLevel {
    FINDING_NOTE,    // worth reading
    FINDING_DOUBT,   // the claim cannot be PROVEN while it stands
    FINDING_BROKEN,  // the patch is wrong
    FINDING_CHEAT,   // the claim was made to look better than the code is
    FINDING_REFUTED, // an alternative workload on which the claim does not hold
    FINDING_LEVELS,
} FindingLevel;
extern const char *const FINDING_LEVEL_NAMES[FINDING_LEVELS + 1];

// One thing that was checked and what came out. Texts are borrowed from the arena of the list.
typedef struct Finding {
    FindingLevel level;
    Slice check; // "protected-files", "hidden-inputs", "catalogue-7": stable, for machines
    Slice text;  // one sentence for people; numbers in it were measured here
    Slice file;  // of the patched tree; empty where there is none
    long line;   // 1-based; 0 where there is none
} Finding;

enum { FINDINGS_MAX = 1000 };

typedef struct Findings {
    Arena *arena;
    Finding *items; // in the order they were found
    size_t count;
    bool overflowed; // more than FINDINGS_MAX were found; the worst level is still known
    FindingLevel worst;
} Findings;

// Copies the texts. `worst` counts cheating above breaking above refutation above doubt.
void findings_add(Findings *findings, const Finding *finding);
void findings_addf(Findings *findings, FindingLevel level, const char *check, Slice file, long line,
                   const char *format, ...) PRINTF_LIKE(6, 7);
bool findings_have(const Findings *findings, FindingLevel level);
// An array of objects.
void findings_write(const Findings *findings, JsonWriter *w);

#endif
