// The evidence bundle: one file with everything a claim about a patch rests on, so that somebody
// else can look at it, check it and measure again on another machine.
//
// It is a .tar.gz that any tar opens. Its first member, manifest.json, names every other one with
// its size and SHA-256; the hash of the manifest is the bundle's id. Equal parts give equal bytes:
// names are sorted, and times, owners and modes are constants (docs/internals/bundle.md).
//
//     BundleWriter *w = bundle_writer_create();
//     rc = bundle_add(w, BUNDLE_PATCH, patch_text, e);
//     rc = bundle_add_claim(w, &claim, e);                        // bundle_claim.h
//     rc = bundle_save(w, ".perfwright/attempts/7/evidence.tar.gz", id, e);
//     bundle_writer_destroy(w);
//
//     rc = bundle_load(arena, path, &bundle, e);                  // strict, but hashes unchecked
//     rc = bundle_verify_hashes(bundle, arena, &problems, e);     // ERR_CORRUPT names what is off
//     bundle_destroy(bundle);
//
// A bundle that verifies is whole, not honest: who rewrites a part can rewrite the manifest too.
// What makes it evidence is the id or the ledger's head kept elsewhere, and measuring again.
#ifndef IMPROVE_BUNDLE_H
#define IMPROVE_BUNDLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "ledger/sha256.h"

enum {
    BUNDLE_VERSION = 1,
    BUNDLE_PARTS_MAX = 1000,
    BUNDLE_NAME_MAX = 100,                 // bytes, as tar's name field
    BUNDLE_PART_BYTES_MAX = 128 << 20,     // of one part
    BUNDLE_BYTES_MAX = 256 << 20,          // of all, unpacked
    BUNDLE_MANIFEST_BYTES_MAX = 256 << 10, // 1000 lines of a name, a size and a hash
};

// The parts with a meaning of their own. Others are welcome; put them below one of the directories.
#define BUNDLE_CLAIM        SLICE("claim.json")        // bundle_claim.h: what is claimed
#define BUNDLE_SAMPLES      SLICE("samples.json")      // bundle_claim.h: every sample, in order
#define BUNDLE_REPORT       SLICE("report.json")       // the judge's report
#define BUNDLE_REGISTRATION SLICE("registration.json") // what was registered before the patch
#define BUNDLE_STEPS        SLICE("steps.yaml")        // how to build, test and measure
#define BUNDLE_PATCH        SLICE("patch.diff")        // unified diff against the base
#define BUNDLE_BASE         SLICE("base.gitbundle")    // the base tree, for `git clone`
#define BUNDLE_ENVIRONMENT  SLICE("environment.json")  // the machine that measured
#define BUNDLE_COMMANDS     SLICE("commands.txt")      // what was run, a line each
#define BUNDLE_PLAN         SLICE("plan.md")           //
#define BUNDLE_LEDGER       SLICE("ledger.json")       // proposal_export: the records and the head
#define BUNDLE_LOG_DIR      "log/"                     // of builds and tests
#define BUNDLE_TRANSCRIPT   "transcript/"              // of the engine

// ---- writing

typedef struct BundleWriter BundleWriter;

BundleWriter *bundle_writer_create(void);
void bundle_writer_destroy(BundleWriter *writer); // NULL is fine

// Copies the bytes. Names are [A-Za-z0-9._/-], relative, without "." and ".." between slashes:
// ERR_ARG otherwise. ERR_EXISTS for a name that is there, ERR_LIMIT past a ceiling above.
MUST_USE int bundle_add(BundleWriter *writer, Slice name, Slice bytes, Err *e);
// The same from a file; a file that is longer than `bytes_max` (0: BUNDLE_PART_BYTES_MAX) is put in
// with its beginning cut off and a first line that says so: for logs.
MUST_USE int bundle_add_file(BundleWriter *writer, Slice name, const char *path, size_t bytes_max,
                             Err *e);
// The packed bytes, and the id in hexadecimal. The writer may be added to and written again.
MUST_USE int bundle_write(const BundleWriter *writer, Buf *out, char ret_id[SHA256_HEX + 1],
                          Err *e);
MUST_USE int bundle_save(const BundleWriter *writer, const char *path, char ret_id[SHA256_HEX + 1],
                         Err *e);

// ---- reading

typedef struct BundlePart {
    Slice name;
    Slice bytes;      // borrowed from the Bundle
    Slice sha256_hex; // that the manifest gives
} BundlePart;

typedef struct Bundle {
    char id[SHA256_HEX + 1]; // SHA-256 of the manifest's bytes
    BundlePart *parts;       // sorted by name, the manifest not among them
    size_t count;
    Buf unpacked; // private
} Bundle;

// Takes nothing but what bundle_write makes: ERR_PARSE names the member that is otherwise,
// ERR_VERSION for a newer format, ERR_LIMIT. The hashes are not looked at. The struct lives in the
// arena, the bytes on the heap until bundle_destroy.
MUST_USE int bundle_read(Arena *arena, Slice packed, Bundle **ret_bundle, Err *e);
MUST_USE int bundle_load(Arena *arena, const char *path, Bundle **ret_bundle, Err *e);
void bundle_destroy(Bundle *bundle); // NULL is fine

// NULL when there is no such part.
const BundlePart *bundle_part(const Bundle *bundle, Slice name);

typedef struct BundleProblem {
    Slice part; // "patch.diff"
    Slice text; // one sentence
} BundleProblem;

typedef struct BundleProblems {
    BundleProblem *items; // in the arena
    size_t count;
} BundleProblems;

// Hashes every part and compares with the manifest. 0, or ERR_CORRUPT with the first problem in
// words; `ret_problems` has them all either way.
MUST_USE int bundle_verify_hashes(const Bundle *bundle, Arena *arena, BundleProblems *ret_problems,
                                  Err *e);

#endif
