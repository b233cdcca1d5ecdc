#include "improve/outbox.h"

#include "base/json_view.h"
#include "base/utf8.h"
#include "os/clock.h"

const char *const OUTBOX_KIND_NAMES[OUTBOX_KINDS + 1] = {"push", "pr", "comment", "issue", NULL};
const char *const OUTBOX_STATE_NAMES[OUTBOX_STATES + 1] = {"staged", "sending", "sent",
                                                           "failed", "dropped", NULL};

enum { REF_MAX = 200, URL_MAX = 500, ANSWER_BYTES_MAX = 4 << 20 };
#define BRANCH_ROOM SLICE("perfwright/")

// clang-format off
static const Field REQUEST_FIELDS[] = {
    TEXT_FIELD(OutboxRequest, id, "id", FIELD_TEXT, "A ULID."),
    CHOICE_FIELD(OutboxRequest, kind, "kind", OUTBOX_KIND_NAMES, 0, "What is asked for."),
    CHOICE_FIELD(OutboxRequest, state, "state", OUTBOX_STATE_NAMES, 0, "How far it is."),
    TEXT_FIELD(OutboxRequest, attempt, "attempt", FIELD_TEXT, "That it belongs to."),
    TEXT_FIELD(OutboxRequest, run, "run", FIELD_TEXT, "Of the program."),
    TEXT_FIELD(OutboxRequest, title, "title", FIELD_TEXT, "One line."),
    TEXT_FIELD(OutboxRequest, body, "body", FIELD_TEXT, "Markdown."),
    TEXT_FIELD(OutboxRequest, branch, "branch", FIELD_TEXT, "Below perfwright/."),
    TEXT_FIELD(OutboxRequest, base, "base", FIELD_TEXT, "What it is for."),
    TEXT_FIELD(OutboxRequest, commit, "commit", FIELD_TEXT, "What is pushed."),
    TEXT_FIELD(OutboxRequest, remote, "remote", FIELD_TEXT, "A URL."),
    INT_FIELD(OutboxRequest, number, "number", 0, 1e9, 0, "Of the pull request."),
    TEXT_FIELD(OutboxRequest, result, "result", FIELD_TEXT, "What came of it."),
    TEXT_FIELD(OutboxRequest, created, "created", FIELD_TEXT, "When."),
};
static const FieldTable REQUEST_TABLE = {"request", REQUEST_FIELDS, COUNT_OF(REQUEST_FIELDS)};
// clang-format on

// ---- is it fit to leave?

// The names git takes for a branch (git check-ref-format), and less: no word that a program could
// take for an option, nothing but plain characters.
static bool ref_ok(Slice ref)
{
    bool ok = ref.len > 0 && ref.len <= REF_MAX && slice_find(ref, SLICE("..")) < 0 &&
              slice_find(ref, SLICE("//")) < 0 && !slice_ends_with(ref, SLICE("/")) &&
              !slice_ends_with(ref, SLICE(".lock")) && !slice_ends_with(ref, SLICE("."));
    for (size_t i = 0; ok && i < ref.len; i++) {
        char c = ref.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        ok = plain || (i > 0 && memchr("-_./", c, 4));
    }
    return ok;
}

static bool hex_ok(Slice hash)
{
    bool ok = hash.len == 40 || hash.len == 64;
    for (size_t i = 0; ok && i < hash.len; i++) {
        ok = memchr("0123456789abcdef", hash.ptr[i], 16) != NULL;
    }
    return ok;
}

static bool text_ok(Slice text, bool lines)
{
    bool ok = utf8_find_invalid(text) < 0;
    for (size_t i = 0; ok && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        ok = (c >= 0x20 && c != 0x7F) || (lines && (c == '\n' || c == '\t'));
    }
    return ok;
}

// No leading dash (git would take it for an option), and no transport that runs a program.
static bool remote_ok(Slice url)
{
    static const char *const SCHEMES[] = {"https://", "ssh://", "git@", "file:///", "/"};
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(SCHEMES); i++) {
        known = known || slice_starts_with(url, slice_from_cstr(SCHEMES[i]));
    }
    return known && url.len <= URL_MAX && text_ok(url, false) && slice_find_byte(url, ' ') < 0 &&
           slice_find(url, SLICE("@-")) < 0 && slice_find(url, SLICE("//-")) < 0;
}

static int check_texts(const OutboxRequest *r, Err *e)
{
    bool titled = r->kind == OUTBOX_PR || r->kind == OUTBOX_ISSUE;
    if (titled && (r->title.len == 0 || r->title.len > OUTBOX_TITLE_MAX ||
                   !text_ok(r->title, false) || r->title.ptr[0] == '-')) {
        return err_set(e, ERR_ARG, "the title must be one line of 1 to %d bytes", OUTBOX_TITLE_MAX);
    }
    if (r->body.len > OUTBOX_BODY_MAX) {
        return err_set(e, ERR_ARG, "the body has %zu bytes, the limit is %d", r->body.len,
                       OUTBOX_BODY_MAX);
    }
    if (!text_ok(r->body, true)) {
        return err_set(e, ERR_ARG, "the body holds control characters or bytes that are no UTF-8");
    }
    if (r->kind != OUTBOX_PUSH && r->body.len == 0) {
        return err_set(e, ERR_ARG, "the %s has no body", OUTBOX_KIND_NAMES[r->kind]);
    }
    return 0;
}

int outbox_check(const OutboxRequest *r, Err *e)
{
    bool branched = r->kind == OUTBOX_PUSH || r->kind == OUTBOX_PR;
    if (branched && (!ref_ok(r->branch) || !slice_starts_with(r->branch, BRANCH_ROOM) ||
                     r->branch.len == BRANCH_ROOM.len)) {
        return err_set(e, ERR_ARG,
                       "\"%.*s\" is no branch below perfwright/, and no other is ever "
                       "pushed",
                       SLICE_FMT(r->branch));
    }
    if (r->base.len > 0 && !ref_ok(r->base)) {
        return err_set(e, ERR_ARG, "\"%.*s\" is no name of a branch", SLICE_FMT(r->base));
    }
    if (r->kind == OUTBOX_PUSH && (!hex_ok(r->commit) || !remote_ok(r->remote))) {
        return err_set(e, ERR_ARG,
                       "a push needs a commit and the URL of a remote (https, ssh or a "
                       "path), not \"%.*s\"",
                       SLICE_FMT(r->remote));
    }
    if (r->kind == OUTBOX_COMMENT && r->number <= 0) {
        return err_set(e, ERR_ARG, "a comment needs the number of a pull request");
    }
    return check_texts(r, e);
}

// ---- the folder

static Slice file_of(Arena *arena, const OutboxRequest *r)
{
    return arena_printf(arena, "outbox/%.*s.json", SLICE_FMT(r->id));
}

void outbox_write(const OutboxRequest *r, JsonWriter *w)
{
    fields_write(&REQUEST_TABLE, r, w);
}

static int store(const Place *place, Arena *arena, const OutboxRequest *r, Err *e)
{
    Buf text = buf_create(1 << 20);
    JsonWriter w = json_writer(&text, 2);
    outbox_write(r, &w);
    buf_putc(&text, '\n');
    int rc = buf_check(&text, "the request", e);
    rc = rc == 0 ? place_write(place, file_of(arena, r), buf_slice(&text), e) : rc;
    buf_done(&text);
    return rc;
}

static int read_request(const Place *place, Arena *arena, Slice name, OutboxRequest *ret, Err *e)
{
    Slice text;
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = arena_printf(arena, "outbox/%.*s", SLICE_FMT(name)).ptr,
                          .max_bytes = 1 << 20,
                          .max_nodes = 100};
    int rc = place_read(place, arena, slice_from_cstr(options.source), &text, e);
    if (rc != 0 || (rc = doc_parse(arena, text, &options, &doc, e)) != 0 ||
        (rc = doc_expect(doc, DOC_OBJECT, "a request", e)) != 0) {
        return rc;
    }
    fields_init(&REQUEST_TABLE, ret);
    rc = fields_read(arena, &REQUEST_TABLE, doc, ret, e);
    if (rc == 0 && (!ulid_valid(ret->id) || !slice_eq(slice_sub(name, 0, name.len - 5), ret->id))) {
        rc = doc_err(e, doc, "the id is not that of the file's name");
    }
    if (rc == 0 && (rc = outbox_check(ret, e)) != 0) {
        (void)err_wrap(e, "%s", options.source);
    }
    return rc;
}

int outbox_list(const Place *place, Arena *arena, OutboxRequest **ret_requests, size_t *ret_count,
                Err *e)
{
    Slice *names = NULL;
    size_t count = 0, kept = 0;
    int rc = place_list(place, arena, SLICE("outbox"), OUTBOX_MAX, &names, &count, e);
    OutboxRequest *requests = ARENA_ARRAY(arena, OutboxRequest, count + 1);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (slice_ends_with(names[i], SLICE(".json"))) {
            rc = read_request(place, arena, names[i], &requests[kept++], e);
        }
    }
    if (rc == 0) {
        *ret_requests = requests;
        *ret_count = kept;
    }
    return rc;
}

static int check_caps(const OutboxRequest *r, const OutboxRequest *all, size_t count, Err *e)
{
    size_t prs = 0, comments = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i].state == OUTBOX_DROPPED || all[i].state == OUTBOX_FAILED) {
            continue;
        }
        prs += all[i].kind == OUTBOX_PR && slice_eq(all[i].attempt, r->attempt);
        comments += all[i].kind == OUTBOX_COMMENT && slice_eq(all[i].run, r->run);
    }
    if (r->kind == OUTBOX_PR && prs >= OUTBOX_PRS_PER_ATTEMPT) {
        return err_set(e, ERR_REFUSED,
                       "attempt %.*s has a pull request in the outbox already; "
                       "`perfwright improve outbox list` shows it",
                       SLICE_FMT(r->attempt));
    }
    if (r->kind == OUTBOX_COMMENT && comments >= OUTBOX_COMMENTS_PER_RUN) {
        return err_set(e, ERR_REFUSED, "this run has made %d comments, and that is all it may",
                       OUTBOX_COMMENTS_PER_RUN);
    }
    if (count >= OUTBOX_MAX) {
        return err_set(e, ERR_FULL,
                       "the outbox holds %d requests: remove old files from "
                       ".perfwright/outbox",
                       OUTBOX_MAX);
    }
    return 0;
}

int outbox_add(const Place *place, Arena *arena, OutboxRequest *request, Err *e)
{
    OutboxRequest *all = NULL;
    size_t count = 0;
    char id[ULID_LEN + 1];
    int rc = outbox_check(request, e);
    if (rc != 0 || (rc = outbox_list(place, arena, &all, &count, e)) != 0 ||
        (rc = check_caps(request, all, count, e)) != 0 ||
        (rc = ulid_create(clock_wall(clock_real()) / NS_PER_MS, id, e)) != 0) {
        return rc;
    }
    request->id = arena_copy(arena, slice_from_cstr(id));
    request->state = OUTBOX_STAGED;
    return store(place, arena, request, e);
}

int outbox_load(const Place *place, Arena *arena, Slice id, OutboxRequest *ret_request, Err *e)
{
    OutboxRequest *all = NULL;
    size_t count = 0, found = 0;
    int rc = outbox_list(place, arena, &all, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (id.len > 0 && slice_ends_with(all[i].id, id)) {
            *ret_request = all[i];
            found++;
        }
    }
    if (rc == 0 && found != 1) {
        rc = err_set(e, found ? ERR_ARG : ERR_NOT_FOUND,
                     "%s request in the outbox ends with "
                     "\"%.*s\"",
                     found ? "more than one" : "no", SLICE_FMT(id));
    }
    return rc;
}

int outbox_drop(const Place *place, Arena *arena, Slice id, Err *e)
{
    OutboxRequest r;
    int rc = outbox_load(place, arena, id, &r, e);
    if (rc == 0 && r.state == OUTBOX_SENT) {
        return err_set(e, ERR_CONFLICT, "%.*s was sent: %.*s", SLICE_FMT(r.id),
                       SLICE_FMT(r.result));
    }
    r.state = OUTBOX_DROPPED;
    return rc == 0 ? store(place, arena, &r, e) : rc;
}

// ---- sending

typedef struct Sending {
    const OutboxWorld *world;
    Arena *arena;
    Buf out;
} Sending;

// Runs and takes any exit code but 0 as an error in the program's own words, made harmless.
static int run(Sending *s, const char *const *argv, Err *e)
{
    int exit_code = 0;
    buf_reset(&s->out);
    int rc = s->world->run_fn(s->world->ctx, argv, &s->out, &exit_code, e);
    if (rc == ERR_NOT_FOUND) {
        return err_set(e, ERR_UNSUPPORTED,
                       "there is no program %s here: install it, or send what "
                       "is in .perfwright/attempts by hand",
                       argv[0]);
    }
    if (rc == 0 && exit_code != 0) {
        Buf words = buf_create(4096);
        utf8_sanitise(&words, slice_sub(slice_trim(buf_slice(&s->out)), 0, 400));
        rc = err_set(e, ERR_IO, "%s %s ended with %d: %s", argv[0], argv[1], exit_code,
                     words.data ? words.data : "");
        buf_done(&words);
    }
    return rc;
}

static int send_push(Sending *s, const OutboxRequest *r, Err *e)
{
    Arena *a = s->arena;
    const char *const argv[] = {
        "env",
        arena_printf(a, "GIT_OBJECT_DIRECTORY=%s", s->world->objects).ptr,
        "git",
        arena_printf(a, "--git-dir=%s", s->world->shadow_git_dir).ptr,
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "credential.helper=!gh auth git-credential",
        "push",
        "--quiet",
        arena_cstr(a, r->remote),
        arena_printf(a, "%.*s:refs/heads/%.*s", SLICE_FMT(r->commit), SLICE_FMT(r->branch)).ptr,
        NULL,
    };
    return run(s, argv, e);
}

// How many of our pull requests are open; the URL of one for this branch.
static int open_prs(Sending *s, const OutboxRequest *r, size_t *ret_open, Slice *ret_url, Err *e)
{
    static const char *const ARGV[] = {
        "gh", "pr", "list", "--state", "open", "--limit", "100", "--json", "number,headRefName,url",
        NULL};
    int rc = run(s, ARGV, e);
    if (rc != 0) {
        return rc;
    }
    JsonDoc *doc = yyjson_read(s->out.data, s->out.len, 0);
    JsonVal *list = yyjson_doc_get_root(doc), *item;
    yyjson_arr_iter it;
    if (!yyjson_is_arr(list)) {
        yyjson_doc_free(doc);
        return err_set(e, ERR_PROTOCOL, "gh pr list did not answer with a list");
    }
    (void)yyjson_arr_iter_init(list, &it);
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        Slice head = json_text_at(item, "headRefName");
        *ret_open += slice_starts_with(head, BRANCH_ROOM);
        if (slice_eq(head, r->branch)) {
            *ret_url = arena_copy(s->arena, json_text_at(item, "url"));
        }
    }
    yyjson_doc_free(doc);
    return 0;
}

// The last line that looks like a URL: what gh prints when it has made something.
static Slice url_in(Arena *arena, Slice out)
{
    Slice url = {0};
    for (Slice rest = out, line; rest.len > 0;) {
        (void)slice_cut(rest, '\n', &line, &rest);
        if (slice_starts_with(slice_trim(line), SLICE("http"))) {
            url = slice_sub(slice_trim(line), 0, URL_MAX);
        }
    }
    return text_ok(url, false) ? arena_copy(arena, url) : SLICE("");
}

static int send_pr(Sending *s, OutboxRequest *r, const char *body_file, Err *e)
{
    size_t open = 0, count = 0;
    Slice url = {0};
    int rc = open_prs(s, r, &open, &url, e);
    if (rc != 0 || url.len > 0) {
        r->result = url;
        return rc;
    }
    if (open >= OUTBOX_PRS_OPEN) {
        return err_set(e, ERR_REFUSED,
                       "%zu pull requests of perfwright are open, the limit is %d: "
                       "merge or close one first",
                       open, OUTBOX_PRS_OPEN);
    }
    const char *argv[16] = {"gh", "pr", "create", "--draft", "--head"};
    count = 5;
    argv[count++] = arena_cstr(s->arena, r->branch);
    if (r->base.len > 0) {
        argv[count++] = "--base";
        argv[count++] = arena_cstr(s->arena, r->base);
    }
    argv[count++] = "--title";
    argv[count++] = arena_cstr(s->arena, r->title);
    argv[count++] = "--body-file";
    argv[count++] = body_file;
    rc = run(s, argv, e);
    r->result = rc == 0 ? url_in(s->arena, buf_slice(&s->out)) : r->result;
    return rc;
}

static int send_text(Sending *s, OutboxRequest *r, const char *body_file, Err *e)
{
    const char *number = arena_printf(s->arena, "%lld", (long long)r->number).ptr;
    const char *title = arena_cstr(s->arena, r->title);
    const char *const comment[] = {"gh", "pr", "comment", number, "--body-file", body_file, NULL};
    const char *const issue[] = {"gh",  "issue",       "create",  "--title",
                                 title, "--body-file", body_file, NULL};
    int rc = run(s, r->kind == OUTBOX_COMMENT ? comment : issue, e);
    r->result = rc == 0 ? url_in(s->arena, buf_slice(&s->out)) : r->result;
    return rc;
}

int outbox_send(const Place *place, Arena *arena, const OutboxWorld *world, OutboxRequest *r,
                Err *e)
{
    Sending s = {.world = world, .arena = arena, .out = buf_create(ANSWER_BYTES_MAX)};
    Slice body = arena_printf(arena, "outbox/%.*s.md", SLICE_FMT(r->id));
    const char *body_file = NULL;
    if (r->state == OUTBOX_SENT || r->state == OUTBOX_DROPPED) {
        return err_set(e, ERR_CONFLICT, "%.*s was %s", SLICE_FMT(r->id),
                       OUTBOX_STATE_NAMES[r->state]);
    }
    r->state = OUTBOX_SENDING;
    int rc = outbox_check(r, e);
    if (rc != 0 || (rc = store(place, arena, r, e)) != 0 ||
        (rc = place_write(place, body, r->body, e)) != 0 ||
        (rc = place_path(place, arena, body, &body_file, e)) != 0) {
        return rc;
    }
    switch ((OutboxKind)r->kind) {
    case OUTBOX_PUSH: rc = send_push(&s, r, e); break;
    case OUTBOX_PR: rc = send_pr(&s, r, body_file, e); break;
    case OUTBOX_COMMENT:
    case OUTBOX_ISSUE: rc = send_text(&s, r, body_file, e); break;
    case OUTBOX_KINDS: break;
    }
    r->state = rc == 0 ? OUTBOX_SENT : rc == ERR_REFUSED ? OUTBOX_STAGED : OUTBOX_FAILED;
    if (rc != 0 && e) {
        r->result = arena_copy(arena, slice_from_cstr(e->text));
    }
    (void)!place_remove(place, body, NULL);
    int stored = store(place, arena, r, rc == 0 ? e : NULL);
    buf_done(&s.out);
    return rc != 0 ? rc : stored;
}

void outbox_print(const OutboxRequest *r, Buf *out)
{
    buf_printf(out, "%.*s  %-7s %-8s", SLICE_FMT(r->id), OUTBOX_KIND_NAMES[r->kind],
               OUTBOX_STATE_NAMES[r->state]);
    if (r->branch.len > 0) {
        buf_printf(out, " %.*s", SLICE_FMT(r->branch));
    }
    if (r->number > 0) {
        buf_printf(out, " #%lld", (long long)r->number);
    }
    if (r->title.len > 0) {
        buf_puts(out, " \"");
        utf8_sanitise(out, r->title);
        buf_putc(out, '"');
    }
    if (r->result.len > 0) {
        buf_puts(out, "\n    ");
        utf8_sanitise(out, r->result);
    }
    buf_putc(out, '\n');
}
