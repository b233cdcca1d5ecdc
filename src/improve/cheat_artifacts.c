#include "improve/cheat_elf.h"
#include "improve/cheat_probe.h"
#include "improve/cheat_scan_impl.h"

#include <errno.h>
#include <fts.h>
#include <unistd.h>

#include "os/file.h"

enum {
    FILES_MAX = 200000,         // of a tree that are looked at by name
    FILE_BYTES_MAX = 256 << 20, // larger artifacts are passed over
};

static bool is_artifact(const Steps *steps, Slice path)
{
    for (size_t i = 0; steps && i < steps->artifact_count; i++) {
        if (cheat_glob(steps->artifacts[i], path)) {
            return true;
        }
    }
    return steps == NULL || steps->artifact_count == 0;
}

// Names of the C and C++ runtimes: newer ones of them come with a compiler, not with a patch.
static bool is_runtime(Slice library)
{
    static const char *const HEADS[] = {"libc.so",  "libm.so",     "libpthread.so", "librt.so",
                                        "libdl.so", "libgcc_s.so", "libstdc++.so",  "libatomic.so",
                                        "ld-linux", NULL};
    for (size_t i = 0; HEADS[i]; i++) {
        if (slice_starts_with(library, slice_from_cstr(HEADS[i]))) {
            return true;
        }
    }
    return false;
}

static void compare_facts(const ElfFacts *base, const ElfFacts *patched, Slice path,
                          Findings *findings)
{
    CheatScanner s = {.findings = findings};
    for (size_t i = 0; i < patched->needed_count; i++) {
        if (!elf_facts_need(base, patched->needed[i]) && !is_runtime(patched->needed[i])) {
            cheat_found(&s, CHEAT_OTHER_LIBRARY, FINDING_CHEAT, path, 0,
                        "with the patch %.*s is needed", SLICE_FMT(patched->needed[i]));
        }
    }
    for (size_t i = 0; i < patched->option_count && base->option_count > 0; i++) {
        Slice option = patched->options[i];
        if (!elf_facts_option(base, option) && cheat_option_optimises(option)) {
            cheat_found(&s, CHEAT_FLAGS, FINDING_CHEAT, path, 0,
                        "with the patch it is compiled with %.*s", SLICE_FMT(option));
        }
    }
}

// 0 with an empty Slice for what is no regular file, or too large a one.
static int read_file(Arena *arena, const char *path, Slice *ret_bytes, Err *e)
{
    Buf bytes = buf_create(FILE_BYTES_MAX);
    int rc = file_read(path, &bytes, e);
    *ret_bytes = SLICE("");
    if (rc == 0 && bytes.len < arena_left(arena) / 2) {
        *ret_bytes = arena_copy(arena, buf_slice(&bytes));
    }
    buf_done(&bytes);
    return rc == ERR_LIMIT || rc == ERR_NOT_FOUND ? 0 : rc;
}

static int compare_files(const char *base_dir, const char *patched_path, Slice path,
                         Findings *findings, Err *e)
{
    enum { ARENA_MAX = 600 << 20 };
    Arena *arena = arena_create(ARENA_MAX);
    Slice base, patched;
    ElfFacts base_facts, patched_facts;
    const char *base_path =
        arena_cstr(arena, arena_printf(arena, "%s/%.*s", base_dir, SLICE_FMT(path)));
    int rc = access(base_path, R_OK) == 0 ? read_file(arena, base_path, &base, e) : ERR_NOT_FOUND;
    if (rc == 0) {
        rc = read_file(arena, patched_path, &patched, e);
    }
    if (rc == 0 && elf_facts(arena, base, &base_facts, NULL) == 0 &&
        elf_facts(arena, patched, &patched_facts, NULL) == 0) {
        compare_facts(&base_facts, &patched_facts, path, findings);
    }
    arena_destroy(arena);
    return rc == ERR_NOT_FOUND ? 0 : rc; // on one side only: nothing to compare
}

static bool begins_like_elf(const char *path)
{
    FILE *file = fopen(path, "rbe");
    char magic[4] = "";
    bool is = file != NULL && fread(magic, 1, sizeof magic, file) == sizeof magic &&
              memcmp(magic, "\177ELF", sizeof magic) == 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    return is;
}

int cheat_check_artifacts(const char *base_dir, const char *patched_dir, const Steps *steps,
                          Arena *arena, Findings *findings, Err *e)
{
    char *roots[] = {(char *)(uintptr_t)arena_cstr(arena, slice_from_cstr(patched_dir)), NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL) {
        return err_errno(e, ERR_IO, errno, "cannot walk %s", patched_dir);
    }
    size_t root_len = strlen(patched_dir), files = 0;
    int rc = 0;
    for (FTSENT *entry; rc == 0 && (entry = fts_read(walk)) != NULL && files < FILES_MAX;) {
        if (entry->fts_info == FTS_D && strcmp(entry->fts_name, ".git") == 0) {
            (void)fts_set(walk, entry, FTS_SKIP);
        } else if (entry->fts_info == FTS_F) {
            Slice path = slice_from_cstr(entry->fts_path + root_len);
            while (slice_starts_with(path, SLICE("/"))) {
                path = slice_sub(path, 1, path.len);
            }
            files++;
            if (is_artifact(steps, path) && begins_like_elf(entry->fts_path)) {
                rc = compare_files(base_dir, entry->fts_path, path, findings, e);
            }
        }
    }
    (void)fts_close(walk);
    return rc;
}
