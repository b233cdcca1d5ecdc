#include "improve/verdict.h"

#include <stdarg.h>
#include <string.h>

enum { TEXT_MAX = 2000 };

const char *const PATCH_VERDICT_NAMES[PATCH_VERDICTS + 1] = {
    "UNDECIDED", "PROVEN", "SMALL BUT REAL",  "NO EFFECT",
    "SLOWER",    "BROKEN", "CHEAT SUSPECTED", NULL};

const char *const FINDING_LEVEL_NAMES[FINDING_LEVELS + 1] = {"note",  "doubt",   "broken",
                                                             "cheat", "refuted", NULL};

ExitCode patch_verdict_exit(PatchVerdict verdict)
{
    switch (verdict) {
    case PATCH_PROVEN:
    case PATCH_SMALL: return EXIT_PASS;
    case PATCH_SLOWER: return EXIT_REGRESSION;
    case PATCH_BROKEN:
    case PATCH_CHEAT: return EXIT_REFUSED;
    case PATCH_UNDECIDED:
    case PATCH_NO_EFFECT:
    case PATCH_VERDICTS: break;
    }
    return EXIT_NOT_PROVEN;
}

static int gravity(FindingLevel level)
{
    static const int GRAVITY[FINDING_LEVELS] = {
        [FINDING_DOUBT] = 1, [FINDING_REFUTED] = 2, [FINDING_BROKEN] = 3, [FINDING_CHEAT] = 4};
    return GRAVITY[level];
}

void findings_add(Findings *findings, const Finding *finding)
{
    if (gravity(finding->level) > gravity(findings->worst)) {
        findings->worst = finding->level;
    }
    if (findings->count == FINDINGS_MAX) {
        findings->overflowed = true;
        return;
    }
    if (findings->items == NULL) {
        findings->items = ARENA_ARRAY(findings->arena, Finding, FINDINGS_MAX);
    }
    findings->items[findings->count++] = (Finding){
        .level = finding->level,
        .check = arena_copy(findings->arena, finding->check),
        .text = arena_copy(findings->arena, finding->text),
        .file = arena_copy(findings->arena, finding->file),
        .line = finding->line,
    };
}

void findings_addf(Findings *findings, FindingLevel level, const char *check, Slice file, long line,
                   const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    findings_add(findings, &(Finding){.level = level,
                                      .check = slice_from_cstr(check),
                                      .text = slice_from_cstr(text),
                                      .file = file,
                                      .line = line});
}

bool findings_have(const Findings *findings, FindingLevel level)
{
    return gravity(findings->worst) >= gravity(level) && level != FINDING_NOTE;
}

void findings_write(const Findings *findings, JsonWriter *w)
{
    json_array_begin(w);
    for (size_t i = 0; i < findings->count; i++) {
        const Finding *f = &findings->items[i];
        json_object_begin(w);
        json_field_cstr(w, "level", FINDING_LEVEL_NAMES[f->level]);
        json_field_string(w, "check", f->check);
        json_field_string(w, "text", f->text);
        if (f->file.len > 0) {
            json_field_string(w, "file", f->file);
        }
        if (f->line > 0) {
            json_field_int(w, "line", f->line);
        }
        json_object_end(w);
    }
    json_array_end(w);
}
