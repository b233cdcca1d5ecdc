// improve pr, outbox: what leaves the machine, and only when a person says so.
#include <stdlib.h>

#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/improve_cli.h"
#include "improve/attempt_state.h"
#include "improve/git.h"
#include "improve/pr_body.h"
#include "ledger/proposal.h"
#include "os/file.h"

typedef struct Sending {
    AttemptState state;
    OutboxRequest push, pr, comment;
    bool has_push, has_pr, has_comment;
    Slice one; // `outbox send ID`
} Sending;

// ---- what is sent is what was recorded

// A request that is in the folder but not in the ledger was put there by something else: by the
// repository itself, for one. It is never sent.
static Slice mark_of(Arena *arena, const OutboxRequest *r)
{
    Buf text = buf_create(1 << 20);
    char hex[SHA256_HEX + 1];
    OutboxRequest plain = *r;
    plain.state = OUTBOX_STAGED;
    plain.result = SLICE("");
    JsonWriter w = json_writer(&text, 0);
    outbox_write(&plain, &w);
    Sha256 hash = sha256_of(buf_slice(&text));
    sha256_hex(&hash, hex);
    buf_done(&text);
    return arena_printf(arena, "outbox:%.*s:%s", SLICE_FMT(r->id), hex);
}

static int record(ImproveCli *cli, const AttemptState *state, const OutboxRequest *r, Err *e)
{
    Slice mark = mark_of(cli->app->arena, r);
    ProposalStep note = {
        .author = improve_cli_person(cli->app->arena),
        .reason = arena_printf(cli->app->arena, "outbox: %s staged", OUTBOX_KIND_NAMES[r->kind]),
        .evidence = {&mark, 1}};
    return proposal_note(cli->ledger, state->proposal, &note, e);
}

static int check_recorded(ImproveCli *cli, const OutboxRequest *r, Err *e)
{
    AttemptState state;
    Proposal *p = NULL;
    Slice mark = mark_of(cli->app->arena, r);
    int rc = attempt_state_find(&cli->place, cli->app->arena, r->attempt, &state, e);
    rc = rc == 0 ? proposal_load(cli->ledger, state.proposal, cli->app->arena, &p, e) : rc;
    for (size_t i = 0; rc == 0 && i < p->step_count; i++) {
        for (size_t k = 0; k < p->steps[i].evidence.count; k++) {
            if (slice_eq(p->steps[i].evidence.items[k], mark)) {
                return 0;
            }
        }
    }
    return rc != 0 ? rc
                   : err_set(e, ERR_REFUSED,
                             "%.*s is not as perfwright staged it (or was not "
                             "staged by it): it is not sent",
                             SLICE_FMT(r->id));
}

// ---- sending

static int send_one(ImproveCli *cli, OutboxRequest *r, Err *e)
{
    Arena *arena = cli->app->arena;
    Git *git = NULL;
    char shadow[] = "/tmp/perfwright-push.XXXXXX";
    OutboxWorld world = {.run_fn = improve_cli_program, .ctx = cli};
    int rc = check_recorded(cli, r, e);
    if (rc != 0) {
        return rc;
    }
    bool push = r->kind == OUTBOX_PUSH;
    if (push && !mkdtemp(shadow)) {
        return err_set(e, ERR_IO, "no temporary directory for the push");
    }
    if (push) {
        rc =
            git_open(&(GitOptions){.path = cli->place.repo.ptr, .loop = cli->loop}, arena, &git, e);
        world.shadow_git_dir = arena_printf(arena, "%s/git", shadow).ptr;
        rc = rc == 0 ? git_make_dir(world.shadow_git_dir, git_uses_sha256(git), e) : rc;
        world.objects = rc == 0 ? git_objects(git) : NULL;
    }
    rc = rc == 0 ? outbox_send(&cli->place, arena, &world, r, e) : rc;
    git_close(git);
    if (push) {
        (void)!dir_remove_all(shadow, NULL);
    }
    if (rc == 0) {
        app_say(cli->app, "%s sent%s%.*s", OUTBOX_KIND_NAMES[r->kind],
                r->result.len > 0 ? ": " : "", SLICE_FMT(r->result));
    }
    return rc;
}

// The proposal follows: approved by who asked for the pull request, applied when it is there.
static int pr_is_open(ImproveCli *cli, AttemptState *state, const OutboxRequest *r, Err *e)
{
    Arena *arena = cli->app->arena;
    Slice url = r->result;
    for (int i = 0; i < 2; i++) {
        ProposalStep step = {.to = i == 0 ? PROPOSAL_APPROVED : PROPOSAL_APPLIED,
                             .author = improve_cli_person(arena),
                             .reason = i == 0 ? SLICE("asked for the pull request")
                                              : SLICE("pull request opened"),
                             .evidence = {&url, url.len > 0 && i == 1}};
        int rc = proposal_step(cli->ledger, state->proposal, &step, e);
        if (rc != 0 && rc != ERR_CONFLICT) { // further on already: sent for the second time
            return rc;
        }
    }
    state->url = url;
    return attempt_state_save(&cli->place, arena, state, e);
}

// ---- pr

static int remote_url(ImproveCli *cli, Slice name, Slice *ret_url, Err *e)
{
    Arena *arena = cli->app->arena;
    Buf out = buf_create(1 << 16);
    int exit_code = 0;
    const char *key = arena_printf(arena, "remote.%.*s.url", SLICE_FMT(name)).ptr;
    const char *const argv[] = {"git", "config", "--get", key, NULL};
    int rc = improve_cli_program(cli, argv, &out, &exit_code, e);
    if (rc == 0 && exit_code != 0) {
        rc = err_set(e, ERR_NOT_FOUND, "there is no remote \"%.*s\": give --remote",
                     SLICE_FMT(name));
    }
    *ret_url = arena_copy(arena, slice_trim(buf_slice(&out)));
    buf_done(&out);
    return rc;
}

static int number_in(Slice url)
{
    size_t at = url.len;
    int64_t number = 0;
    while (at > 0 && url.ptr[at - 1] >= '0' && url.ptr[at - 1] <= '9') {
        at--;
    }
    return slice_to_i64(slice_sub(url, at, url.len), &number) == 0 && number < 1000000000
               ? (int)number
               : 0;
}

static int stage_pr(ImproveCli *cli, Sending *s, Err *e)
{
    Arena *arena = cli->app->arena;
    Slice body, url, created = attempt_time(arena, 0);
    int rc = place_read(&cli->place, arena, attempt_file(arena, &s->state, "pr.md"), &body, e);
    rc = rc == 0 ? remote_url(cli, option_string(cli->set, "remote"), &url, e) : rc;
    if (rc != 0) {
        return rc;
    }
    created = s->state.updated;
    s->push = (OutboxRequest){.kind = OUTBOX_PUSH,
                              .attempt = s->state.id,
                              .branch = s->state.branch,
                              .commit = s->state.commit,
                              .remote = url,
                              .created = created};
    s->pr = (OutboxRequest){.kind = OUTBOX_PR,
                            .attempt = s->state.id,
                            .branch = s->state.branch,
                            .base = option_string(cli->set, "base"),
                            .title = pr_title(arena, &s->state),
                            .body = body,
                            .remote = url,
                            .created = created};
    rc = outbox_add(&cli->place, arena, &s->pr, e); // first: its cap refuses a second one
    rc = rc == 0 ? record(cli, &s->state, &s->pr, e) : rc;
    rc = rc == 0 ? outbox_add(&cli->place, arena, &s->push, e) : rc;
    rc = rc == 0 ? record(cli, &s->state, &s->push, e) : rc;
    s->has_push = s->has_pr = rc == 0;
    return rc;
}

static int stage_comment(ImproveCli *cli, Sending *s, Err *e)
{
    Arena *arena = cli->app->arena;
    Buf body = buf_create(OUTBOX_BODY_MAX);
    const char *run = getenv("GITHUB_RUN_ID");
    int rc = file_read(arena_cstr(arena, option_string(cli->set, "comment")), &body, e);
    if (rc == 0) {
        s->comment =
            (OutboxRequest){.kind = OUTBOX_COMMENT,
                            .attempt = s->state.id,
                            .run = run ? arena_copy(arena, slice_from_cstr(run)) : s->state.id,
                            .body = arena_copy(arena, buf_slice(&body)),
                            .number = number_in(s->state.url),
                            .created = s->state.updated};
        rc = outbox_add(&cli->place, arena, &s->comment, e);
        rc = rc == 0 ? record(cli, &s->state, &s->comment, e) : rc;
        s->has_comment = rc == 0;
    }
    buf_done(&body);
    return rc;
}

static bool is_proven(const AttemptState *s)
{
    return s->phase == ATTEMPT_DONE && s->branch.len > 0;
}

static int pr_work(ImproveCli *cli, Err *e)
{
    Sending *s = cli->ctx;
    bool comment = option_given(cli->set, "comment");
    if (!comment && !is_proven(&s->state)) {
        return err_set(e, ERR_REFUSED,
                       "attempt %.*s proved nothing (%s): there is nothing to "
                       "open a pull request for",
                       SLICE_FMT(s->state.id), ATTEMPT_PHASE_NAMES[s->state.phase]);
    }
    int rc = comment ? stage_comment(cli, s, e) : stage_pr(cli, s, e);
    if (rc != 0 || option_flag(cli->set, "staged")) {
        return rc;
    }
    if (s->has_comment) {
        return send_one(cli, &s->comment, e);
    }
    rc = send_one(cli, &s->push, e);
    rc = rc == 0 ? send_one(cli, &s->pr, e) : rc;
    return rc == 0 ? pr_is_open(cli, &s->state, &s->pr, e) : rc;
}

static void print_request(ImproveCli *cli, const OutboxRequest *r)
{
    if (option_flag(cli->set, "json")) {
        JsonWriter w = json_writer(&cli->app->out, 2);
        outbox_write(r, &w);
        buf_putc(&cli->app->out, '\n');
        return;
    }
    outbox_print(r, &cli->app->out);
    if (option_known(cli->set, "staged") && option_flag(cli->set, "staged") && r->body.len > 0) {
        buf_putc(&cli->app->out, '\n');
        buf_append(&cli->app->out, r->body);
    }
}

static int find_proven(ImproveCli *cli, AttemptState *ret_state, Err *e)
{
    AttemptState *states = NULL;
    size_t count = 0;
    int rc = attempt_state_list(&cli->place, cli->app->arena, &states, &count, e);
    for (size_t i = count; rc == 0 && i > 0; i--) {
        if (is_proven(&states[i - 1]) && states[i - 1].url.len == 0) {
            *ret_state = states[i - 1];
            return 0;
        }
    }
    return rc != 0 ? rc
                   : err_set(e, ERR_NOT_FOUND,
                             "no attempt proved anything that has no pull "
                             "request yet");
}

static int run_pr(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Sending *s = ARENA_NEW(app->arena, Sending);
    Slice which = option_positional(set, 0);
    int rc = improve_cli_open(&cli, app, set, option_string(set, "repo"), e);
    cli.ctx = s;
    rc = rc == 0 ? improve_cli_ledger(&cli, false, e) : rc;
    if (rc == 0) {
        rc = which.len > 0 ? attempt_state_find(&cli.place, app->arena, which, &s->state, e)
                           : find_proven(&cli, &s->state, e);
        if (rc == ERR_NOT_FOUND && which.len == 0 && option_flag(set, "if-proven")) {
            app_say(app, "%s", e ? e->text : "nothing was proven");
            improve_cli_close(&cli);
            return EXIT_PASS;
        }
    }
    rc = rc == 0 ? improve_cli_fiber(&cli, pr_work, e) : rc;
    const OutboxRequest *made[] = {s->has_push ? &s->push : NULL, s->has_pr ? &s->pr : NULL,
                                   s->has_comment ? &s->comment : NULL};
    for (size_t i = 0; rc == 0 && i < COUNT_OF(made); i++) {
        if (made[i]) {
            print_request(&cli, made[i]);
        }
    }
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Positional PR_ARGS[] = {
    {"ATTEMPT", "Its id or the end of it; without: the newest that proved something.", true,
     false}};
static const Option PR_OPTIONS[] = {
    OPTION_REPO,
    {.name = "staged", .kind = OPTION_FLAG, .help = "Only put it into the outbox, and print it."},
    {.name = "remote",
     .kind = OPTION_STRING,
     .default_text = "origin",
     .help = "The remote that the branch is pushed to."},
    {.name = "base",
     .kind = OPTION_STRING,
     .metavar = "BRANCH",
     .help = "What the pull request is for; without: the repository's default branch."},
    {.name = "comment",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Comment on the attempt's pull request instead."},
    {.name = "if-proven",
     .kind = OPTION_FLAG,
     .help = "Nothing proven is no error: for pipelines."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example PR_EXAMPLES[] = {
    {"perfwright improve pr --staged", "What would be sent?"},
    {"perfwright improve pr", "Push the branch and open a draft, through gh."},
};
static const Verb VERB_PR = {
    .name = "improve pr",
    .summary = "open a draft pull request for what an attempt proved, through gh",
    .description = "Pushes the attempt's branch and opens a draft: at most one for an attempt, and "
                   "three open at a time. Each write is a request in .perfwright/outbox first.",
    POSITIONAL_TABLE(PR_ARGS),
    OPTION_TABLE(PR_OPTIONS),
    EXAMPLE_TABLE(PR_EXAMPLES)};
const Command CMD_IMPROVE_PR = {&VERB_PR, run_pr, false};

// ---- outbox

static int outbox_list_all(ImproveCli *cli, Err *e)
{
    OutboxRequest *all = NULL;
    size_t count = 0;
    int rc = outbox_list(&cli->place, cli->app->arena, &all, &count, e);
    if (rc == 0 && option_flag(cli->set, "json")) {
        JsonWriter w = json_writer(&cli->app->out, 2);
        json_array_begin(&w);
        for (size_t i = 0; i < count; i++) {
            outbox_write(&all[i], &w);
        }
        json_array_end(&w);
        buf_putc(&cli->app->out, '\n');
    } else if (rc == 0) {
        for (size_t i = 0; i < count; i++) {
            outbox_print(&all[i], &cli->app->out);
        }
        if (count == 0) {
            buf_puts(&cli->app->out, "the outbox is empty\n");
        }
    }
    return rc;
}

static int outbox_send_work(ImproveCli *cli, Err *e)
{
    const Sending *s = cli->ctx;
    OutboxRequest r;
    AttemptState state;
    int rc = outbox_load(&cli->place, cli->app->arena, s->one, &r, e);
    rc = rc == 0 ? send_one(cli, &r, e) : rc;
    if (rc == 0 && r.kind == OUTBOX_PR) {
        rc = attempt_state_find(&cli->place, cli->app->arena, r.attempt, &state, e);
        rc = rc == 0 ? pr_is_open(cli, &state, &r, e) : rc;
    }
    if (rc == 0) {
        print_request(cli, &r);
    }
    return rc;
}

static int run_outbox(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Slice action = option_positional(set, 0);
    Sending s = {.one = option_positional(set, 1)};
    int rc = improve_cli_open(&cli, app, set, option_string(set, "repo"), e);
    cli.ctx = &s;
    if (rc != 0) {
        improve_cli_close(&cli);
        return rc;
    }
    if (slice_eq_cstr(action, "list") || action.len == 0) {
        rc = outbox_list_all(&cli, e);
    } else if (s.one.len == 0) {
        rc = err_set(e, ERR_ARG, "outbox %.*s which? `perfwright improve outbox list` has the ids",
                     SLICE_FMT(action));
    } else if (slice_eq_cstr(action, "drop")) {
        rc = outbox_drop(&cli.place, app->arena, s.one, e);
    } else if (slice_eq_cstr(action, "send")) {
        rc = improve_cli_ledger(&cli, false, e);
        rc = rc == 0 ? improve_cli_fiber(&cli, outbox_send_work, e) : rc;
    } else {
        rc =
            err_set(e, ERR_ARG, "outbox takes list, send or drop, not \"%.*s\"", SLICE_FMT(action));
    }
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Positional OUTBOX_ARGS[] = {
    {"ACTION", "list (which is meant without one), send or drop.", true, false},
    {"ID", "Of the request, or the end of it.", true, false}};
static const Option OUTBOX_OPTIONS[] = {OPTION_REPO, OPTION_JSON, OPTION_LEDGER};
static const Example OUTBOX_EXAMPLES[] = {
    {"perfwright improve outbox", "What waits, what was sent."},
    {"perfwright improve outbox send 5FAV", "Let this one out."},
};
static const Verb VERB_OUTBOX = {
    .name = "improve outbox",
    .summary = "pushes, pull requests, comments and issues that wait to be sent",
    .description = "Nothing leaves the machine but through here. A request that perfwright did not "
                   "stage itself, by its record in the ledger, is never sent.",
    POSITIONAL_TABLE(OUTBOX_ARGS),
    OPTION_TABLE(OUTBOX_OPTIONS),
    EXAMPLE_TABLE(OUTBOX_EXAMPLES)};
const Command CMD_IMPROVE_OUTBOX = {&VERB_OUTBOX, run_outbox, false};
