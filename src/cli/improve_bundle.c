#include "cli/improve_bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/bundle_report.h"
#include "os/file.h"

struct ImproveBundle {
    Bundle *bundle;
    BundleClaim *claim;
    Slice scratch; // the directory that the base was restored below; empty: none
};

bool improve_is_bundle(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    FILE *f = fopen(path, "rb");
    bool gzip = f && fgetc(f) == 0x1f && fgetc(f) == 0x8b;
    if (f) {
        (void)fclose(f);
    }
    return gzip;
}

static void say_problems(App *app, const BundleProblems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        app_warn(app, "%.*s %.*s", SLICE_FMT(problems->items[i].part),
                 SLICE_FMT(problems->items[i].text));
    }
}

int improve_bundle_open(App *app, Arena *arena, const char *path, Slice head,
                        ImproveBundle **ret_bundle, Err *e)
{
    ImproveBundle *b = ARENA_NEW(arena, ImproveBundle);
    BundleProblems problems = {0};
    int rc = bundle_load(arena, path, &b->bundle, e);
    if (rc != 0) {
        return rc == ERR_PARSE ? err_set(e, ERR_REFUSED, "%s is not as it was written", path) : rc;
    }
    rc = bundle_check(b->bundle, head, arena, &problems, &b->claim, e);
    if (rc == ERR_CORRUPT) {
        say_problems(app, &problems);
        rc = err_set(e, ERR_REFUSED, "%s was tampered with, or damaged: %zu thing%s not match",
                     path, problems.count, problems.count == 1 ? " does" : "s do");
    }
    if (rc != 0) {
        improve_bundle_close(b);
        return rc;
    }
    *ret_bundle = b;
    return 0;
}

void improve_bundle_close(ImproveBundle *b)
{
    if (b) {
        if (b->scratch.len > 0) {
            (void)!dir_remove_all(b->scratch.ptr, NULL);
        }
        bundle_destroy(b->bundle);
        b->bundle = NULL;
        b->scratch = (Slice){0};
    }
}

void improve_bundle_show(const ImproveBundle *b, Buf *out)
{
    bundle_print(b->bundle, b->claim, out);
}

// The base from the bundle, in a directory of ours.
static int restore(ImproveBundle *b, Arena *arena, const char **ret_repository, Err *e)
{
    const char *tmp = getenv("TMPDIR");
    Slice made =
        arena_printf(arena, "%s/perfwright-bundle-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    char *directory = arena_alloc(arena, made.len + 1);
    memcpy(directory, made.ptr, made.len);
    if (!mkdtemp(directory)) {
        return err_errno(e, ERR_IO, errno, "%s", directory);
    }
    b->scratch = slice_from_cstr(directory);
    Slice repository = arena_printf(arena, "%s/base", directory);
    int rc = bundle_restore_base(b->bundle, repository.ptr, NULL, arena, e);
    *ret_repository = repository.ptr;
    return rc;
}

int improve_bundle_judge(ImproveBundle *b, Arena *arena, const char *repository,
                         JudgeOptions *options, Steps *ret_steps, Err *e)
{
    const BundlePart *patch = bundle_part(b->bundle, BUNDLE_PATCH);
    const BundlePart *steps = bundle_part(b->bundle, BUNDLE_STEPS);
    if (!patch || !steps) {
        return err_set(e, ERR_NOT_FOUND,
                       "the bundle has no %s: there is nothing to build and measure again",
                       !patch ? "patch.diff" : "steps.yaml");
    }
    int rc = steps_parse(arena, steps->bytes, "steps.yaml", ret_steps, e);
    options->base = b->claim->base_revision;
    if (rc == 0 && !repository) {
        rc = restore(b, arena, &repository, e);
        options->base = SLICE("HEAD"); // the one commit of what was restored
    }
    if (rc != 0) {
        return rc;
    }
    options->repository = repository;
    options->patch = patch->bytes;
    options->steps = ret_steps;
    options->min_effect = b->claim->min_effect;
    // However many were tried there: nothing was chosen by what is measured here.
    options->attempts = 1;
    return 0;
}

void improve_bundle_tell(const ImproveBundle *b, const JudgeReport *report, Buf *out)
{
    BundleAgreement agreement = bundle_agree(b->claim, report);
    bundle_agreement_print(&agreement, out);
}
