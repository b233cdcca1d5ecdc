#include "improve/engine_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "improve/cheat.h"
#include "improve/engine_files.h"
#include "improve/step_run.h"

enum {
    ARGUMENT_BYTES_MAX = 8 << 20,
    SCRATCH_BYTES_MAX = 64 << 20,
    PATTERN_BYTES_MAX = 1000,
    ENV_MAX = 1000
};
static const int64_t SEARCH_NS = 30 * NS_PER_S;
static const int64_t COMMAND_NS = 600 * NS_PER_S;

// ---- arguments

static int read_arguments(Arena *arena, Slice text, const Slice *names, size_t count,
                          const Doc **ret_doc, Err *e)
{
    DocOptions options = {
        .format = DOC_FORMAT_JSON, .source = "arguments", .max_bytes = ARGUMENT_BYTES_MAX};
    int rc = doc_parse(arena, text.len > 0 ? text : SLICE("{}"), &options, ret_doc, e);
    if (rc == 0) {
        rc = doc_expect(*ret_doc, DOC_OBJECT, "the arguments", e);
    }
    return rc != 0 ? rc : doc_expect_fields(*ret_doc, names, count, e);
}

static int take_text(const Doc *arguments, const char *name, bool needed, Slice *ret_text, Err *e)
{
    const Doc *d = doc_get(arguments, slice_from_cstr(name));
    if (!d || d->type == DOC_NULL) {
        *ret_text = (Slice){0};
        return needed ? err_set(e, ERR_ARG, "`%s` is missing", name) : 0;
    }
    int rc = doc_expect(d, DOC_STRING, name, e);
    if (rc == 0) {
        *ret_text = d->text;
    }
    return rc;
}

static int64_t take_int(const Doc *arguments, const char *name)
{
    const Doc *d = doc_get(arguments, slice_from_cstr(name));
    return d && d->type == DOC_INT && d->integer > 0 && d->integer < INT32_MAX ? d->integer : 0;
}

// ---- files

typedef struct Call {
    EngineTools *tools;
    Arena *arena;
    Slice arguments;
    Buf *out;
} Call;

static int call_list(Call *c, Err *e)
{
    static const Slice names[] = {SLICE_INIT("path")};
    const Doc *doc;
    Slice path;
    int rc = read_arguments(c->arena, c->arguments, names, COUNT_OF(names), &doc, e);
    if (rc == 0) {
        rc = take_text(doc, "path", false, &path, e);
    }
    return rc != 0 ? rc : files_list(c->tools->tree, path, c->arena, c->out, e);
}

static int call_read(Call *c, Err *e)
{
    static const Slice names[] = {SLICE_INIT("path"), SLICE_INIT("first"), SLICE_INIT("count")};
    const Doc *doc;
    Slice path;
    int rc = read_arguments(c->arena, c->arguments, names, COUNT_OF(names), &doc, e);
    if (rc == 0) {
        rc = take_text(doc, "path", true, &path, e);
    }
    return rc != 0 ? rc
                   : files_read(c->tools->tree, path, take_int(doc, "first"),
                                take_int(doc, "count"), c->out, e);
}

// The judge takes these from the base on both sides, so an edit of one could only mislead.
static int check_protected(const Call *c, Slice path, Err *e)
{
    Slice relative;
    int rc = files_path(path, &relative, e);
    if (rc == 0 && cheat_path_protected(relative, c->tools->run->o->steps)) {
        return err_set(e, ERR_REFUSED,
                       "'%.*s' is protected: tests, benchmarks, CI and lock files are measured as "
                       "they were",
                       SLICE_FMT(relative));
    }
    return rc;
}

static int call_edit(Call *c, Err *e)
{
    static const Slice names[] = {SLICE_INIT("path"), SLICE_INIT("old"), SLICE_INIT("new")};
    const Doc *doc;
    Slice path, old, fresh;
    int rc = read_arguments(c->arena, c->arguments, names, COUNT_OF(names), &doc, e);
    if (rc == 0) {
        rc = take_text(doc, "path", true, &path, e);
    }
    if (rc == 0) {
        rc = take_text(doc, "old", false, &old, e);
    }
    if (rc == 0) {
        rc = take_text(doc, "new", true, &fresh, e);
    }
    if (rc == 0) {
        rc = check_protected(c, path, e);
    }
    if (rc == 0) {
        rc = old.len > 0 ? files_replace(c->tools->tree, path, old, fresh, e)
                         : files_create(c->tools->tree, path, fresh, e);
    }
    if (rc == 0) {
        c->tools->edits++;
        transcript_edit(c->tools->run->t, path, old.len > 0 ? "update" : "add");
        buf_puts(c->out, old.len > 0 ? "edited\n" : "created\n");
    }
    return rc;
}

// ---- commands

typedef struct Collect { // the beginning of what is printed
    Buf *out;
    size_t limit;
} Collect;

static void collect(void *ctx, Slice bytes)
{
    Collect *c = ctx;
    size_t room = c->limit > c->out->len ? c->limit - c->out->len : 0;
    buf_append(c->out, slice_sub(bytes, 0, room));
}

static int64_t time_left(const EngineRun *run, int64_t most)
{
    int64_t left = run->deadline_ns - loop_clock(run->o->loop);
    return left < NS_PER_MS ? NS_PER_MS : left < most ? left : most;
}

static StepRunOptions step_options(const EngineRun *run, Arena *arena)
{
    const EngineOptions *o = run->o;
    const char **env = ARENA_ARRAY(arena, const char *, ENV_MAX + 1);
    (void)engine_environment(o->steps, arena, env, 0, ENV_MAX);
    return (StepRunOptions){.loop = o->loop,
                            .workspace = o->workspace,
                            .deps_dir = o->deps_dir,
                            .no_sandbox = o->no_sandbox,
                            .sandbox = {.env = env,
                                        .memory_bytes_max = (uint64_t)o->settings->memory_bytes,
                                        .processes_max = (unsigned)o->settings->processes,
                                        .disk_bytes_max = (uint64_t)o->settings->disk_bytes}};
}

// grep in the sandbox: a pattern made to take for ever, or a tree made to, costs a time-out there
// and nothing here.
static int call_search(Call *c, Err *e)
{
    static const Slice names[] = {SLICE_INIT("pattern"), SLICE_INIT("path"), SLICE_INIT("regex")};
    const Doc *doc;
    Slice pattern, path, relative;
    int rc = read_arguments(c->arena, c->arguments, names, COUNT_OF(names), &doc, e);
    if (rc == 0) {
        rc = take_text(doc, "pattern", true, &pattern, e);
    }
    if (rc == 0) {
        rc = take_text(doc, "path", false, &path, e);
    }
    if (rc == 0) {
        rc = files_path(path, &relative, e);
    }
    if (rc == 0 && (pattern.len == 0 || pattern.len > PATTERN_BYTES_MAX ||
                    slice_find_byte(pattern, '\0') >= 0)) {
        rc = err_set(e, ERR_ARG, "`pattern` has 1 to %d bytes", PATTERN_BYTES_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    const Doc *regex = doc_get(doc, SLICE("regex"));
    Buf command = buf_create(64 << 10);
    buf_printf(&command, "grep -rnI --exclude-dir=.git -m 100 %s -e ",
               regex && regex->type == DOC_BOOL && regex->boolean ? "-E" : "-F");
    engine_quote(&command, pattern);
    buf_puts(&command, " -- ./");
    engine_quote(&command, relative);
    Collect into = {c->out, c->out->len + ENGINE_SEARCH_BYTES_MAX};
    StepRunOptions step = step_options(c->tools->run, c->arena);
    step.command = arena_cstr(c->arena, buf_slice(&command));
    step.timeout_ns = time_left(c->tools->run, SEARCH_NS);
    step.output_fn = collect;
    step.ctx = &into;
    buf_done(&command);
    StepResult result;
    rc = step_run(&step, c->arena, &result, e);
    if (rc == 0 && result.end == STEP_FAILED && result.exit_code == 1) {
        buf_puts(c->out, "nothing found\n");
    } else if (rc == 0 && result.end != STEP_OK && result.end != STEP_FAILED) {
        rc = err_set(e, ERR_LIMIT, "the search was stopped: %.*s", SLICE_FMT(result.text));
    }
    if (c->out->len >= into.limit) {
        buf_puts(c->out, "\n[there is more: search for less]\n");
    }
    return rc;
}

// One step; *ret_ok is whether it succeeded.
static int run_step(Call *c, const Step *s, bool *ret_ok, Err *e)
{
    EngineRun *run = c->tools->run;
    StepRunOptions step = step_options(run, c->arena);
    step.command = arena_cstr(c->arena, s->run);
    step.directory = arena_cstr(c->arena, s->directory);
    step.timeout_ns = time_left(run, COMMAND_NS);
    StepResult result;
    int rc = step_run(&step, c->arena, &result, e);
    if (rc != 0) {
        return rc;
    }
    *ret_ok = result.end == STEP_OK;
    transcript_command(run->t, &(TranscriptCommand){.command = s->run,
                                                    .exit_known = result.exit_code >= 0,
                                                    .exit_code = result.exit_code,
                                                    .duration_ns = result.wall_ns,
                                                    .timed_out = result.end == STEP_TIMED_OUT,
                                                    .output = result.tail});
    buf_printf(c->out, "$ %.*s\n", SLICE_FMT(s->run));
    Slice tail = result.tail;
    size_t most = *ret_ok ? ENGINE_COMMAND_BYTES_MAX / 4 : ENGINE_COMMAND_BYTES_MAX;
    if (tail.len > most) {
        buf_puts(c->out, "[...]\n");
        tail = slice_sub(tail, tail.len - most, most);
    }
    buf_append(c->out, tail);
    buf_printf(c->out, "\n[%s%s%.*s]\n", STEP_END_NAMES[result.end], *ret_ok ? "" : ": ",
               SLICE_FMT(result.text));
    return 0;
}

static int run_steps(Call *c, const StepList *list, Err *e)
{
    bool ok = true;
    int rc = 0;
    for (size_t i = 0; rc == 0 && ok && i < list->count; i++) {
        rc = run_step(c, &list->items[i], &ok, e);
    }
    return rc;
}

static int call_build(Call *c, Err *e)
{
    return run_steps(c, &c->tools->run->o->steps->build, e);
}

static int call_test(Call *c, Err *e)
{
    return run_steps(c, &c->tools->run->o->steps->test, e);
}

static int call_measure(Call *c, Err *e)
{
    const EngineOptions *o = c->tools->run->o;
    Slice text = {0};
    int rc = o->measure_fn(o->measure_ctx, c->arena, &text, e);
    buf_append(c->out, text);
    return rc;
}

static int call_finish(Call *c, Err *e)
{
    static const Slice names[] = {SLICE_INIT("summary")};
    const Doc *doc;
    Slice summary;
    int rc = read_arguments(c->arena, c->arguments, names, COUNT_OF(names), &doc, e);
    if (rc == 0) {
        rc = take_text(doc, "summary", true, &summary, e);
    }
    if (rc == 0) {
        c->tools->finished = true;
        c->tools->summary =
            arena_copy(c->tools->run->arena, slice_sub(summary, 0, ENGINE_FINAL_TEXT_MAX));
        buf_puts(c->out, "done\n");
    }
    return rc;
}

// ---- the table

#define STRING(name, words) "\"" name "\":{\"type\":\"string\",\"description\":\"" words "\"}"
#define OBJECT(members, needed)                                                                    \
    "{\"type\":\"object\",\"properties\":{" members "},\"required\":[" needed                      \
    "],\"additionalProperties\":false}"

static const struct {
    const char *name, *description, *schema;
    int (*call)(Call *c, Err *e);
} TOOLS[ENGINE_TOOLS_MAX] = {
    {"list_files", "Names in a directory of the repository.",
     OBJECT(STRING("path", "directory; empty: the top"), ""), call_list},
    {"read_file", "Lines of a text file, each with its number.",
     OBJECT(STRING("path", "file") ",\"first\":{\"type\":\"integer\"},\"count\":{\"type\":"
                                   "\"integer\"}",
            "\"path\""),
     call_read},
    {"search", "Lines that hold a text, or match a POSIX extended regular expression.",
     OBJECT(STRING("pattern", "what to look for") "," STRING("path", "file or directory; empty: "
                                                                     "all") ",\"regex\":{\"type\":"
                                                                            "\"boolean\"}",
            "\"pattern\""),
     call_search},
    {"edit",
     "Replaces `old`, which must be in the file exactly once, by `new`; without `old` makes a new "
     "file.",
     OBJECT(STRING("path", "file") "," STRING("old", "exact text") "," STRING("new", "its "
                                                                                     "replacement"),
            "\"path\",\"new\""),
     call_edit},
    {"build", "Builds the repository as its steps say.", OBJECT("", ""), call_build},
    {"test", "Runs the repository's tests as its steps say.", OBJECT("", ""), call_test},
    {"measure",
     "Lets perfwright measure the working copy against the original. Only its figures count.",
     OBJECT("", ""), call_measure},
    {"finish", "Ends the work. The summary says what was changed and why.",
     OBJECT(STRING("summary", "for a reviewer"), "\"summary\""), call_finish},
};

static bool is_offered(const EngineTools *tools, size_t index)
{
    const EngineOptions *o = tools->run->o;
    if (TOOLS[index].call == call_build) {
        return o->steps && o->steps->build.count > 0;
    }
    if (TOOLS[index].call == call_test) {
        return o->steps && o->steps->test.count > 0;
    }
    return TOOLS[index].call != call_measure || o->measure_fn;
}

size_t engine_tools_offer(const EngineTools *tools, LlmTool ret_tools[ENGINE_TOOLS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < ENGINE_TOOLS_MAX; i++) {
        if (is_offered(tools, i)) {
            ret_tools[count++] = (LlmTool){.name = slice_from_cstr(TOOLS[i].name),
                                           .description = slice_from_cstr(TOOLS[i].description),
                                           .schema = slice_from_cstr(TOOLS[i].schema)};
        }
    }
    return count;
}

int engine_tools_open(EngineRun *run, EngineTools *ret_tools, Err *e)
{
    const char *path = workspace_tree(run->o->workspace);
    int tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree < 0) {
        return err_errno(e, ERR_IO, errno, "%s", path);
    }
    *ret_tools = (EngineTools){.run = run, .tree = tree};
    return 0;
}

void engine_tools_close(EngineTools *tools)
{
    if (tools->tree >= 0) {
        (void)close(tools->tree);
    }
    tools->tree = -1;
}

int engine_tools_call(EngineTools *tools, Slice name, Slice arguments, Buf *out, bool *ret_is_error,
                      Err *e)
{
    Call c = {.tools = tools,
              .arena = arena_create(SCRATCH_BYTES_MAX),
              .arguments = arguments,
              .out = out};
    Err why = {0};
    int rc = 1;
    for (size_t i = 0; i < ENGINE_TOOLS_MAX && rc == 1; i++) {
        if (is_offered(tools, i) && slice_eq_cstr(name, TOOLS[i].name)) {
            rc = TOOLS[i].call(&c, &why);
        }
    }
    if (rc == 1) {
        rc = err_set(&why, ERR_NOT_FOUND, "there is no tool '%.*s'",
                     SLICE_FMT(slice_sub(name, 0, 100)));
    }
    arena_destroy(c.arena);
    if (rc == ERR_CANCELLED) {
        return err_set(e, ERR_CANCELLED, "cancelled");
    }
    *ret_is_error = rc != 0;
    if (rc != 0) {
        buf_printf(out, "error: %s\n", why.text);
    }
    return 0;
}
