#include "improve/cheat_scan_impl.h"

// Compiler flags and libraries in build files. A flag counts by its name over the whole patch, so
// that a line that moves, or a list that is laid out anew, brings nothing.

typedef enum FlagKind {
    FLAG_OPTIMISES, // nobody needs it to make code faster: CHEAT when it comes
    FLAG_ISA,       // instructions that code may be written for: CHEAT only without any code
    FLAG_GUARDS,    // CHEAT when it goes
    FLAG_SETTING,   // a word whose line decides optimisation: CHEAT when the line changes
} FlagKind;

typedef struct Flag {
    const char *text; // the head of a word of the line, see is_here
    FlagKind kind;
} Flag;

static const Flag FLAGS[] = {
    {"-O1", FLAG_OPTIMISES},
    {"-O2", FLAG_OPTIMISES},
    {"-O3", FLAG_OPTIMISES},
    {"-Ofast", FLAG_OPTIMISES},
    {"-ffast-math", FLAG_OPTIMISES},
    {"-funsafe-math", FLAG_OPTIMISES},
    {"-fassociative-math", FLAG_OPTIMISES},
    {"-ffinite-math", FLAG_OPTIMISES},
    {"-fno-math-errno", FLAG_OPTIMISES},
    {"-march=", FLAG_OPTIMISES},
    {"-mtune=", FLAG_OPTIMISES},
    {"-mcpu=", FLAG_OPTIMISES},
    {"-xHost", FLAG_OPTIMISES},
    {"-flto", FLAG_OPTIMISES},
    {"-fwhole-program", FLAG_OPTIMISES},
    {"-fprofile-use", FLAG_OPTIMISES},
    {"-fprofile-instr-use", FLAG_OPTIMISES},
    {"-fauto-profile", FLAG_OPTIMISES},
    {"-funroll", FLAG_OPTIMISES},
    {"-finline-limit", FLAG_OPTIMISES},
    {"-fomit-frame-pointer", FLAG_OPTIMISES},
    {"-fno-semantic-interposition", FLAG_OPTIMISES},
    {"-DNDEBUG", FLAG_OPTIMISES},
    {"-Ctarget-cpu", FLAG_OPTIMISES},
    {"target-cpu=", FLAG_OPTIMISES},
    {"-DCMAKE_BUILD_TYPE=Release", FLAG_OPTIMISES},
    {"-Dbuildtype=release", FLAG_OPTIMISES},
    {"--max-semi-space-size", FLAG_OPTIMISES},
    {"--jitless", FLAG_OPTIMISES},
    {"-mavx", FLAG_ISA},
    {"-msse", FLAG_ISA},
    {"-mbmi", FLAG_ISA},
    {"-mfma", FLAG_ISA},
    {"-maes", FLAG_ISA},
    {"-mpclmul", FLAG_ISA},
    {"-mpopcnt", FLAG_ISA},
    {"-mfpu=", FLAG_ISA},
    {"-O0", FLAG_GUARDS},
    {"-fsanitize", FLAG_GUARDS},
    {"-fstack-protector", FLAG_GUARDS},
    {"-D_FORTIFY_SOURCE", FLAG_GUARDS},
    {"-fno-omit-frame-pointer", FLAG_GUARDS},
    {"CMAKE_BUILD_TYPE", FLAG_SETTING},
    {"INTERPROCEDURAL_OPTIMIZATION", FLAG_SETTING},
    {"CMAKE_INTERPROCEDURAL_OPTIMIZATION", FLAG_SETTING},
    {"opt-level", FLAG_SETTING},
    {"codegen-units", FLAG_SETTING},
    {"debug-assertions", FLAG_SETTING},
    {"overflow-checks", FLAG_SETTING},
    {"lto", FLAG_SETTING},
    {"b_lto", FLAG_SETTING},
    {"b_ndebug", FLAG_SETTING},
    {"buildtype", FLAG_SETTING},
    {"optimization", FLAG_SETTING},
    {"RUSTFLAGS", FLAG_SETTING},
    {"NODE_OPTIONS", FLAG_SETTING},
    {"PYTHONOPTIMIZE", FLAG_SETTING},
};

// Libraries that make programs faster that were not changed.
static const char *const ALLOCATORS[] = {"jemalloc", "tcmalloc", "mimalloc", "hoard",
                                         "snmalloc", "rpmalloc", "scudo",    NULL};
// Parts of the C and C++ runtimes.
static const char *const RUNTIME[] = {"-lm",      "-lpthread", "-lrt",     "-ldl", "-lc",
                                      "-lstdc++", "-lgcc",     "-latomic", NULL};

typedef struct FlagCounts {
    CheatCount flags[COUNT_OF(FLAGS)];
    // Of lines with a setting, hashes of added less those of deleted ones: 0 when they only moved.
    uint64_t changed[COUNT_OF(FLAGS)];
    CheatCount allocator, library, dependency;
    bool in_dependencies; // of the manifest that is being read
    const PatchFile *file;
} FlagCounts;

static bool is_here(Slice code, const Flag *flag)
{
    ptrdiff_t at = slice_find(code, slice_from_cstr(flag->text));
    if (at < 0) {
        return false;
    }
    bool head = at == 0 || (!cheat_is_word_byte(code.ptr[at - 1]) && code.ptr[at - 1] != '-');
    if (flag->kind != FLAG_SETTING) {
        return head;
    }
    size_t end = (size_t)at + strlen(flag->text);
    Slice behind = slice_trim(slice_sub(code, end, code.len));
    return head && behind.len > 0 && !cheat_is_word_byte(code.ptr[end < code.len ? end : 0]);
}

bool cheat_option_optimises(Slice option)
{
    for (size_t i = 0; i < COUNT_OF(FLAGS); i++) {
        if (FLAGS[i].kind == FLAG_OPTIMISES &&
            slice_starts_with(option, slice_from_cstr(FLAGS[i].text))) {
            return true;
        }
    }
    return false;
}

// A library that is linked beside the runtime: "-lfoo".
static bool links_library(Slice code)
{
    for (size_t i = 0; i + 2 < code.len; i++) {
        bool flag = code.ptr[i] == '-' && code.ptr[i + 1] == 'l' &&
                    cheat_is_word_byte(code.ptr[i + 2]) &&
                    (i == 0 || strchr(" \t=\"',(", code.ptr[i - 1]) != NULL);
        size_t end = i + 2;
        while (flag && end < code.len &&
               (cheat_is_word_byte(code.ptr[end]) || strchr("+-.", code.ptr[end]) != NULL)) {
            end++;
        }
        bool runtime = false;
        for (size_t k = 0; flag && RUNTIME[k]; k++) {
            runtime |= slice_eq_cstr(slice_sub(code, i, end - i), RUNTIME[k]);
        }
        if (flag && !runtime) {
            return true;
        }
    }
    return false;
}

// "name": "^1.2" of package.json, name = "1.2" of Cargo.toml, a line of requirements.txt.
static bool is_dependency(const FlagCounts *counts, Slice path, Slice code)
{
    code = slice_trim(code);
    if (slice_find(path, SLICE("test")) >= 0 || slice_find(path, SLICE("doc")) >= 0) {
        return false; // what tests and manuals are made with
    }
    if (slice_ends_with(path, SLICE("requirements.txt"))) {
        return code.len > 0 && cheat_is_word_byte(code.ptr[0]);
    }
    if (!counts->in_dependencies) {
        return false;
    }
    if (slice_ends_with(path, SLICE("package.json"))) {
        return slice_starts_with(code, SLICE("\"")) && slice_find(code, SLICE("\":")) > 0 &&
               slice_find_byte(code, '{') < 0;
    }
    return slice_ends_with(path, SLICE("Cargo.toml")) && slice_find_byte(code, '=') > 0;
}

static bool names_allocator(Slice code)
{
    for (size_t i = 0; ALLOCATORS[i]; i++) {
        if (slice_find(code, slice_from_cstr(ALLOCATORS[i])) >= 0) {
            return true;
        }
    }
    return false;
}

static void count_line(FlagCounts *counts, const PatchFile *file, const PatchLine *line, Slice code)
{
    for (size_t i = 0; i < COUNT_OF(FLAGS); i++) {
        bool here = is_here(code, &FLAGS[i]);
        uint64_t hash = here ? slice_hash(slice_trim(code)) : 0;
        cheat_count_line(&counts->flags[i], file, line, here);
        counts->changed[i] += line->kind == PATCH_ADDED ? hash : -hash;
    }
    cheat_count_line(&counts->allocator, file, line, names_allocator(code));
    cheat_count_line(&counts->library, file, line, links_library(code));
    cheat_count_line(&counts->dependency, file, line,
                     is_dependency(counts, patch_file_path(file), code));
}

// Which table of a manifest the lines belong to shows in the context of the hunk, or does not.
static void follow_section(FlagCounts *counts, Slice code)
{
    code = slice_trim(code);
    if (slice_find(code, SLICE("ependencies\"")) > 0 || slice_starts_with(code, SLICE("["))) {
        counts->in_dependencies = slice_starts_with(code, SLICE("\"dependencies\"")) ||
                                  slice_starts_with(code, SLICE("\"optionalDependencies\"")) ||
                                  slice_eq_cstr(code, "[dependencies]");
    } else if (slice_starts_with(code, SLICE("}"))) {
        counts->in_dependencies = false;
    }
}

static void count_file(FlagCounts *counts, const PatchFile *file)
{
    CheatLanguage language = cheat_language(patch_file_path(file));
    for (size_t h = 0; h < file->hunk_count; h++) {
        counts->in_dependencies = slice_eq_cstr(file->hunks[h].section, "[dependencies]");
        for (size_t k = 0; k < file->hunks[h].line_count; k++) {
            const PatchLine *line = &file->hunks[h].lines[k];
            Slice code = cheat_code(line->text, language);
            follow_section(counts, code);
            if (line->kind != PATCH_CONTEXT) {
                count_line(counts, file, line, code);
            }
        }
    }
}

static void judge_flag(CheatScanner *s, const Flag *flag, const CheatCount *c, bool changed)
{
    if (flag->kind == FLAG_GUARDS && c->net < 0) {
        cheat_found(s, CHEAT_FLAGS, FINDING_CHEAT, c->file, c->line, "%s is taken out", flag->text);
    } else if (flag->kind == FLAG_ISA && c->net > 0) {
        cheat_found(s, CHEAT_FLAGS, s->code_touched ? FINDING_NOTE : FINDING_CHEAT, c->file,
                    c->line, "%s... is put in (%.*s)", flag->text,
                    SLICE_FMT(slice_sub(c->text, 0, 120)));
    } else if ((flag->kind == FLAG_OPTIMISES && c->net > 0) ||
               (flag->kind == FLAG_SETTING && changed)) {
        cheat_found(s, CHEAT_FLAGS, FINDING_CHEAT, c->file, c->line, "%s is %s (%.*s)", flag->text,
                    flag->kind == FLAG_SETTING ? "set otherwise" : "put in",
                    SLICE_FMT(slice_sub(c->text, 0, 120)));
    }
}

void cheat_scan_flags(CheatScanner *s)
{
    FlagCounts counts = {0};
    for (size_t i = 0; i < s->scan->patch->file_count; i++) {
        const PatchFile *file = &s->scan->patch->files[i];
        if (cheat_path(patch_file_path(file), s->scan->steps) == CHEAT_PATH_BUILD) {
            count_file(&counts, file);
        }
    }
    for (size_t i = 0; i < COUNT_OF(FLAGS); i++) {
        judge_flag(s, &FLAGS[i], &counts.flags[i],
                   counts.flags[i].line > 0 && counts.changed[i] != 0);
    }
    if (counts.allocator.net > 0) {
        cheat_found(s, CHEAT_OTHER_LIBRARY, FINDING_CHEAT, counts.allocator.file,
                    counts.allocator.line, "another allocator (%.*s)",
                    SLICE_FMT(slice_sub(counts.allocator.text, 0, 120)));
    }
    if (counts.library.net > 0) {
        cheat_found(s, CHEAT_OTHER_LIBRARY, FINDING_DOUBT, counts.library.file, counts.library.line,
                    "%.*s", SLICE_FMT(slice_sub(counts.library.text, 0, 120)));
    }
    if (counts.dependency.net > 0) {
        cheat_found(s, CHEAT_OTHER_LIBRARY, FINDING_DOUBT, counts.dependency.file,
                    counts.dependency.line, "a new dependency (%.*s)",
                    SLICE_FMT(slice_sub(counts.dependency.text, 0, 120)));
    }
}
