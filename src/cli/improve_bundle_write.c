#include <string.h>

#include "cli/improve_bundle.h"
#include "improve/bundle_report.h"
#include "improve/git.h"
#include "ledger/proposal.h"

enum { PATCH_BYTES = 64 << 20, STEPS_BYTES = 4 << 20 };

// The diff that was judged: given, or between two revisions as the judge took it.
static int add_patch(BundleWriter *writer, const JudgeOptions *options, Arena *arena, Err *e)
{
    if (options->patch.len > 0) {
        return bundle_add(writer, BUNDLE_PATCH, options->patch, e);
    }
    Buf diff = buf_create(PATCH_BYTES);
    Git *git = NULL;
    GitHash base, head;
    int rc = git_open(&(GitOptions){.path = options->repository}, arena, &git, e);
    rc = rc == 0 ? git_resolve(git, arena_cstr(arena, options->base), base, e) : rc;
    rc = rc == 0 ? git_resolve(git, arena_cstr(arena, options->head), head, e) : rc;
    rc = rc == 0 ? git_diff(git, base, head, &diff, e) : rc;
    rc = rc == 0 ? bundle_add(writer, BUNDLE_PATCH, buf_slice(&diff), e) : rc;
    git_close(git);
    buf_done(&diff);
    return rc;
}

static int add_steps(BundleWriter *writer, const Steps *steps, Err *e)
{
    Buf text = buf_create(STEPS_BYTES);
    steps_write(steps, &text);
    int rc = buf_check(&text, "steps.yaml", e);
    rc = rc == 0 ? bundle_add(writer, BUNDLE_STEPS, buf_slice(&text), e) : rc;
    buf_done(&text);
    return rc;
}

static int add_ledger(BundleWriter *writer, Ledger *ledger, const JudgeReport *report, Err *e)
{
    if (!ledger || report->registration.proposal_id[0] == '\0') {
        return 0;
    }
    Buf text = buf_create(BUNDLE_PART_BYTES_MAX);
    int rc = proposal_export(ledger, slice_from_cstr(report->registration.proposal_id), &text, e);
    rc = rc == 0 ? bundle_add(writer, BUNDLE_LEDGER, buf_slice(&text), e) : rc;
    buf_done(&text);
    return rc;
}

// A base that is too large stays out: whoever has the repository can verify all the same.
static int add_base(App *app, BundleWriter *writer, const JudgeOptions *options, Arena *arena,
                    Err *e)
{
    Err why = {0};
    const char *revision = options->base.len > 0 ? arena_cstr(arena, options->base) : NULL;
    int rc = bundle_add_base(writer, options->repository, revision, NULL, arena, &why);
    if (rc == ERR_LIMIT) {
        app_say(app, "the base is not in the bundle: %s", why.text);
        return 0;
    }
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "%s", why.text);
}

int improve_bundle_write(App *app, const char *path, const JudgeOptions *options,
                         const Steps *steps, const JudgeReport *report, Arena *arena, Err *e)
{
    char id[SHA256_HEX + 1];
    BundleWriter *writer = bundle_writer_create();
    int rc = bundle_add_report(writer, report, slice_from_cstr(options->repository), arena, e);
    rc = rc == 0 ? add_patch(writer, options, arena, e) : rc;
    rc = rc == 0 ? add_steps(writer, steps, e) : rc;
    rc = rc == 0 ? add_ledger(writer, options->ledger, report, e) : rc;
    rc = rc == 0 ? add_base(app, writer, options, arena, e) : rc;
    rc = rc == 0 ? bundle_save(writer, path, id, e) : rc;
    if (rc == 0) {
        app_say(app, "evidence: %s, id %s", path, id);
    }
    bundle_writer_destroy(writer);
    return rc;
}
