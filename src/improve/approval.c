#include "improve/approval.h"

#include "improve/plan_doc.h"

const char *const APPROVAL_OF_NAMES[APPROVALS + 1] = {"plan", "steps", NULL};

enum { LOOKED_AT = 1000 }; // newest proposals of a repository

int approval_hash(const Place *place, Arena *arena, ApprovalOf of, char out[SHA256_HEX + 1], Err *e)
{
    Slice first = {0}, second = {0};
    int rc = place_read(place, arena,
                        of == APPROVAL_PLAN ? SLICE("plan.json") : SLICE("steps.yaml"), &first, e);
    if (rc == ERR_NOT_FOUND) {
        return err_set(e, ERR_NOT_FOUND,
                       "there are no %s in %.*s yet: `perfwright improve %s` "
                       "makes them",
                       of == APPROVAL_PLAN ? "plans" : "steps", SLICE_FMT(place->dir),
                       of == APPROVAL_PLAN ? "research" : "configure");
    }
    if (rc == 0 && of == APPROVAL_PLAN) {
        rc = place_read(place, arena, SLICE("plan.md"), &second, e);
        rc = rc == ERR_NOT_FOUND ? 0 : rc; // a person may do without
    }
    if (rc == 0) {
        plan_doc_hash(first, second, out);
    }
    return rc;
}

int approval_give(Ledger *ledger, Slice target, ApprovalOf of, const char *sha256, Slice author,
                  Slice content_json, Err *e)
{
    Buf content = buf_create(PROPOSAL_CONTENT_MAX);
    JsonWriter w = json_writer(&content, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "approval_of", APPROVAL_OF_NAMES[of]);
    json_field_cstr(&w, "sha256", sha256);
    if (content_json.len > 0) {
        json_key(&w, SLICE("content"));
        json_raw(&w, content_json);
    }
    json_object_end(&w);
    Proposal p = {.kind = PROPOSAL_PLAN,
                  .target = target,
                  .title = of == APPROVAL_PLAN ? SLICE("the plan to improve it")
                                               : SLICE("the steps to build, test and measure it"),
                  .author = SLICE("perfwright"),
                  .content_json = buf_slice(&content)};
    int rc = buf_check(&content, "what is approved", e);
    rc = rc == 0 ? proposal_create(ledger, &p, e) : rc;
    for (int i = 0; rc == 0 && i < 2; i++) {
        ProposalStep step = {.to = i == 0 ? PROPOSAL_VALIDATED : PROPOSAL_APPROVED,
                             .author = i == 0 ? SLICE("perfwright") : author,
                             .reason = i == 0 ? SLICE("read") : SLICE("looked at")};
        rc = proposal_step(ledger, slice_from_cstr(p.id), &step, e);
    }
    buf_done(&content);
    return rc;
}

// Of the approvals of this thing, newest first: the first one's hash decides.
static bool is_of(Arena *arena, const Proposal *p, ApprovalOf of, Slice *ret_sha256)
{
    const Doc *doc = NULL;
    if (p->state != PROPOSAL_APPROVED ||
        doc_parse(arena, p->content_json, &(DocOptions){.format = DOC_FORMAT_JSON}, &doc, NULL) !=
            0) {
        return false;
    }
    const Doc *what = doc_get(doc, SLICE("approval_of")), *hash = doc_get(doc, SLICE("sha256"));
    if (!what || !hash || what->type != DOC_STRING || hash->type != DOC_STRING ||
        !slice_eq_cstr(what->text, APPROVAL_OF_NAMES[of])) {
        return false;
    }
    *ret_sha256 = hash->text;
    return true;
}

int approval_state(Ledger *ledger, Slice target, ApprovalOf of, const char *sha256,
                   ApprovalState *ret_state, Err *e)
{
    Arena *arena = arena_create((size_t)1 << 30);
    static const ProposalKind KIND = PROPOSAL_PLAN;
    Proposal *list = NULL;
    size_t count = 0;
    ApprovalState state = APPROVAL_NONE;
    ProposalFilter filter = {.kind = &KIND, .target = target, .limit = LOOKED_AT};
    int rc = proposal_list(ledger, &filter, arena, &list, &count, e);
    for (size_t i = 0; rc == 0 && i < count && state == APPROVAL_NONE; i++) {
        Slice hash;
        if (is_of(arena, &list[i], of, &hash)) {
            state = slice_eq_cstr(hash, sha256) ? APPROVAL_GIVEN : APPROVAL_OLD;
        }
    }
    if (rc == 0) {
        *ret_state = state;
    }
    arena_destroy(arena);
    return rc;
}

int approval_check(Ledger *ledger, Slice target, ApprovalOf of, const char *sha256, Err *e)
{
    ApprovalState state = APPROVAL_NONE;
    int rc = approval_state(ledger, target, of, sha256, &state, e);
    if (rc != 0 || state == APPROVAL_GIVEN) {
        return rc;
    }
    return err_set(e, ERR_REFUSED,
                   "the %s %s: look at .perfwright/%s, then `perfwright improve approve %s` (or "
                   "--yes where nobody is there to look)",
                   APPROVAL_OF_NAMES[of],
                   state == APPROVAL_OLD ? "changed since it was approved" : "was not approved yet",
                   of == APPROVAL_PLAN ? "plan.md" : "steps.yaml", APPROVAL_OF_NAMES[of]);
}
