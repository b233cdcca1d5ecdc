// CI files: GitHub workflows, GitLab, CircleCI, Travis. The first Linux job's scripts, with the
// first row of its matrix put in; and the packages of every job, because missing libraries are what
// builds fail of most often.
#include "improve/infer_shell.h"

enum { CI_TEXT_MAX = 4 << 20, EXPRESSION_MAX = 200, JOBS_MAX = 8 };

static const Doc *yaml(Inference *in, Slice path)
{
    DocOptions options = {.format = DOC_FORMAT_YAML, .source = "ci", .max_nodes = 20000};
    const Doc *doc = NULL;
    Slice text = tree_text(in->tree, path);
    return text.len > 0 && doc_parse(in->arena, text, &options, &doc, NULL) == 0 ? doc : NULL;
}

static const Doc *member(const Doc *object, const char *name)
{
    return object && object->type == DOC_OBJECT ? doc_get(object, slice_from_cstr(name)) : NULL;
}

static Slice text_of(const Doc *object, const char *name)
{
    const Doc *d = member(object, name);
    return d && (d->type == DOC_STRING || doc_is_number(d)) ? d->text : (Slice){0};
}

// ---- GitHub: expressions

typedef struct Matrix {
    const Doc *lists;   // strategy.matrix
    const Doc *include; // the first row of it for Linux
} Matrix;

static bool other_system(Slice text)
{
    return text_has_nocase(text, "windows") || text_has_nocase(text, "macos") ||
           text_has_nocase(text, "msvc") || text_has_nocase(text, "mingw");
}

static bool row_is_elsewhere(const Doc *row)
{
    for (const Doc *d = row && row->type == DOC_OBJECT ? doc_first(row) : NULL; d;
         d = doc_next(d)) {
        if (d->type == DOC_STRING && other_system(d->text)) {
            return true;
        }
    }
    return false;
}

static Matrix matrix_of(const Doc *job)
{
    Matrix m = {.lists = member(member(job, "strategy"), "matrix")};
    const Doc *include = member(m.lists, "include");
    for (const Doc *row = include && include->type == DOC_ARRAY ? doc_first(include) : NULL; row;
         row = doc_next(row)) {
        if (!row_is_elsewhere(row)) {
            m.include = row;
            break;
        }
    }
    return m;
}

// matrix.a or matrix.a.b; the first value that is not of another system.
static const Doc *matrix_value(const Matrix *m, Slice name)
{
    Slice first, rest;
    (void)slice_cut(name, '.', &first, &rest);
    const Doc *d = m->lists && m->lists->type == DOC_OBJECT ? doc_get(m->lists, first) : NULL;
    if (d && d->type == DOC_ARRAY) {
        const Doc *chosen = doc_first(d);
        for (const Doc *v = doc_first(d); v; v = doc_next(v)) {
            bool elsewhere = v->type == DOC_STRING ? other_system(v->text) : row_is_elsewhere(v);
            if (!elsewhere) {
                chosen = v;
                break;
            }
        }
        d = chosen;
    }
    if (d == NULL && m->include) {
        d = doc_get(m->include, first);
    }
    while (d && rest.len > 0) {
        (void)slice_cut(rest, '.', &first, &rest);
        d = d->type == DOC_OBJECT ? doc_get(d, first) : NULL;
    }
    return d;
}

// False for an expression that is not known here.
static bool put_expression(Buf *out, Slice expression, const Matrix *m)
{
    static const struct {
        const char *name, *value;
    } KNOWN[] = {{"runner.os", "Linux"},
                 {"github.workspace", "/work"},
                 {"runner.temp", "/tmp"},
                 {"runner.arch", "X64"},
                 {"github.repository", "owner/project"},
                 {"github.ref_name", "main"},
                 {"runner.workspace", "/work/.."}};
    for (size_t i = 0; i < COUNT_OF(KNOWN); i++) {
        if (slice_eq_cstr(expression, KNOWN[i].name)) {
            buf_puts(out, KNOWN[i].value);
            return true;
        }
    }
    if (text_starts(expression, "env.") && expression.len < EXPRESSION_MAX) {
        buf_printf(out, "${%.*s}", SLICE_FMT(slice_sub(expression, 4, expression.len)));
        return true;
    }
    if (text_starts(expression, "matrix.") && expression.len < EXPRESSION_MAX) {
        const Doc *d = matrix_value(m, slice_sub(expression, 7, expression.len));
        if (d == NULL) {
            return true; // a row without this column: GitHub puts nothing there
        }
        if (d->type == DOC_STRING || doc_is_number(d)) {
            buf_append(out, d->text);
            return true;
        }
        buf_puts(out, d->type == DOC_BOOL ? (d->boolean ? "true" : "false") : "");
        return d->type == DOC_BOOL;
    }
    return false;
}

static Slice substitute(Inference *in, Slice text, const Matrix *m)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    while (text.len > 0) {
        ptrdiff_t at = slice_find(text, SLICE("${{"));
        ptrdiff_t end =
            at < 0 ? -1 : slice_find(slice_sub(text, (size_t)at, text.len), SLICE("}}"));
        if (at < 0 || end < 0) {
            buf_append(&out, text);
            break;
        }
        buf_append(&out, slice_sub(text, 0, (size_t)at));
        Slice expression = slice_trim(slice_sub(text, (size_t)at + 3, (size_t)end - 3));
        if (!put_expression(&out, expression, m)) {
            buf_puts(&out, "${{unknown}}"); // makes the job an odd one
        }
        text = slice_sub(text, (size_t)(at + end) + 2, text.len);
    }
    Slice result = arena_copy(in->arena, buf_slice(&out));
    buf_done(&out);
    return result;
}

static Slice exports(Inference *in, const Doc *env, const Matrix *m, Slice before)
{
    Buf out = buf_create(STEP_TEXT_MAX);
    buf_append(&out, before);
    for (const Doc *d = env && env->type == DOC_OBJECT ? doc_first(env) : NULL; d;
         d = doc_next(d)) {
        Slice value =
            d->type == DOC_STRING || doc_is_number(d) ? substitute(in, d->text, m) : (Slice){0};
        if (value.len > 0 && !text_has(value, "${{") && slice_find_byte(value, '\'') < 0 &&
            slice_find_byte(value, '\n') < 0) {
            buf_printf(&out, "export %.*s='%.*s'\n", SLICE_FMT(d->key), SLICE_FMT(value));
        }
    }
    Slice result = arena_copy(in->arena, buf_slice(&out));
    buf_done(&out);
    return result;
}

// ---- GitHub: jobs and steps

static bool condition_excludes(Slice condition)
{
    return (other_system(condition) && !text_has(condition, "!=")) ||
           text_has(condition, "failure()") || text_has(condition, "github.event") ||
           text_has(condition, "github.ref") || text_has(condition, "cancelled") ||
           text_has(condition, "refs/tags");
}

static void add_uses(ShellJob *job, const Doc *step, Slice source)
{
    Slice uses = text_of(step, "uses");
    const Doc *with = member(step, "with");
    if (text_has(uses, "cargo") && text_of(with, "command").len > 0) {
        Slice command = text_of(with, "command"), args = text_of(with, "args");
        shell_job_add(
            job,
            arena_printf(job->in->arena, "cargo %.*s %.*s", SLICE_FMT(command), SLICE_FMT(args)),
            SLICE(""), SLICE(""), source);
    } else if (text_has(uses, "apt") && text_of(with, "packages").len > 0) {
        shell_packages(job->in,
                       arena_printf(job->in->arena, "apt-get install %.*s",
                                    SLICE_FMT(text_of(with, "packages"))),
                       source);
    }
}

static void add_step(ShellJob *job, const Doc *step, const Matrix *m, Slice path, Slice environment,
                     Slice directory)
{
    Inference *in = job->in;
    Slice source = infer_source(in, path, step->line);
    if (condition_excludes(text_of(step, "if"))) {
        return;
    }
    const Doc *run = member(step, "run");
    if (run == NULL || run->type != DOC_STRING) {
        add_uses(job, step, source);
        return;
    }
    Slice shell = text_of(step, "shell");
    if (shell.len > 0 && !text_has(shell, "bash") && !slice_eq_cstr(shell, "sh") &&
        !text_has(shell, "${{")) {
        return;
    }
    Slice own = text_of(step, "working-directory");
    shell_job_add(job, substitute(in, run->text, m),
                  substitute(in, own.len > 0 ? own : directory, m),
                  exports(in, member(step, "env"), m, environment), source);
}

static bool is_job_for_us(const Doc *job, Slice name, const Matrix *m, Inference *in)
{
    static const char *const NOT[] = {
        "lint",   "format", "docs",    "doc",   "release", "publish", "deploy",   "coverage",
        "codeql", "wasm",   "windows", "macos", "fuzz",    "sanitiz", "android",  "freebsd",
        "cross",  "style",  "clippy",  "wheel", "mingw",   "msvc",    "valgrind", "analy"};
    for (size_t i = 0; i < COUNT_OF(NOT); i++) {
        if (text_has_nocase(name, NOT[i])) {
            return false;
        }
    }
    const Doc *on = member(job, "runs-on");
    Slice machine = on && on->type == DOC_STRING ? substitute(in, on->text, m) : (Slice){0};
    return !other_system(machine) && !condition_excludes(text_of(job, "if"));
}

static void github_job(Inference *in, Slice path, const Doc *workflow, const Doc *doc, int score)
{
    Matrix m = matrix_of(doc);
    if (!is_job_for_us(doc, doc->key, &m, in)) {
        return;
    }
    ShellJob job;
    shell_job_init(&job, in);
    Slice environment = exports(in, member(workflow, "env"), &m, SLICE(""));
    environment = exports(in, member(doc, "env"), &m, environment);
    Slice directory = text_of(member(member(doc, "defaults"), "run"), "working-directory");
    const Doc *steps = member(doc, "steps");
    for (const Doc *s = steps && steps->type == DOC_ARRAY ? doc_first(steps) : NULL; s;
         s = doc_next(s)) {
        if (s->type == DOC_OBJECT) {
            add_step(&job, s, &m, path, environment, directory);
        }
    }
    Slice name = arena_printf(in->arena, "github workflow %.*s, job %.*s",
                              SLICE_FMT(path_name(path)), SLICE_FMT(doc->key));
    shell_job_done(&job, arena_cstr(in->arena, name), score);
}

static void github(Inference *in)
{
    static const char *const NOT[] = {"release", "publish", "docs",  "lint",
                                      "codeql",  "deploy",  "wheel", "windows",
                                      "macos",   "stale",   "label", "scorecard"};
    int taken = 0;
    for (size_t i = 0; i < in->tree->count && taken < JOBS_MAX; i++) {
        Slice path = in->tree->files[i].path;
        if (!text_starts(path, ".github/workflows/") ||
            (!text_ends(path, ".yml") && !text_ends(path, ".yaml"))) {
            continue;
        }
        bool skip = false;
        for (size_t k = 0; k < COUNT_OF(NOT); k++) {
            skip |= text_has_nocase(path_name(path), NOT[k]);
        }
        const Doc *doc = skip ? NULL : yaml(in, path);
        const Doc *jobs = member(doc, "jobs");
        for (const Doc *j = jobs && jobs->type == DOC_OBJECT ? doc_first(jobs) : NULL;
             j && taken < JOBS_MAX; j = doc_next(j)) {
            github_job(in, path, doc, j, 96 - taken);
            taken++;
        }
    }
}

// ---- the others

static void add_lines(ShellJob *job, const Doc *list, Slice path)
{
    if (list && list->type == DOC_STRING) {
        shell_job_add(job, list->text, SLICE(""), SLICE(""),
                      infer_source(job->in, path, list->line));
    }
    // Every line is its own element, but one shell runs them all.
    Buf script = buf_create(STEP_TEXT_MAX);
    for (const Doc *d = list && list->type == DOC_ARRAY ? doc_first(list) : NULL; d;
         d = doc_next(d)) {
        if (d->type == DOC_STRING) {
            buf_append(&script, d->text);
            buf_putc(&script, '\n');
        }
    }
    if (script.len > 0) {
        shell_job_add(job, arena_copy(job->in->arena, buf_slice(&script)), SLICE(""), SLICE(""),
                      infer_source(job->in, path, list->line));
    }
    buf_done(&script);
}

static void travis(Inference *in)
{
    Slice path = SLICE(".travis.yml");
    const Doc *doc = yaml(in, path);
    if (doc == NULL) {
        return;
    }
    static const char *const PHASES[] = {"before_install", "install", "before_script", "script"};
    ShellJob job;
    shell_job_init(&job, in);
    for (size_t i = 0; i < COUNT_OF(PHASES); i++) {
        add_lines(&job, member(doc, PHASES[i]), path);
    }
    const Doc *packages = member(member(member(doc, "addons"), "apt"), "packages");
    for (const Doc *d = packages && packages->type == DOC_ARRAY ? doc_first(packages) : NULL; d;
         d = doc_next(d)) {
        if (d->type == DOC_STRING) {
            infer_package(in, d->text, infer_source(in, path, d->line), true);
        }
    }
    shell_job_done(&job, "travis", 60);
}

static void gitlab(Inference *in)
{
    Slice path = SLICE(".gitlab-ci.yml");
    const Doc *doc = yaml(in, path);
    for (const Doc *j = doc && doc->type == DOC_OBJECT ? doc_first(doc) : NULL; j;
         j = doc_next(j)) {
        if (member(j, "script") == NULL || j->key.ptr[0] == '.') {
            continue;
        }
        ShellJob job;
        shell_job_init(&job, in);
        add_lines(&job, member(doc, "before_script"), path);
        add_lines(&job, member(j, "before_script"), path);
        add_lines(&job, member(j, "script"), path);
        Slice name = arena_printf(in->arena, "gitlab job %.*s", SLICE_FMT(j->key));
        shell_job_done(&job, arena_cstr(in->arena, name), 60);
    }
}

static void circle(Inference *in)
{
    Slice path = SLICE(".circleci/config.yml");
    const Doc *jobs = member(yaml(in, path), "jobs");
    for (const Doc *j = jobs && jobs->type == DOC_OBJECT ? doc_first(jobs) : NULL; j;
         j = doc_next(j)) {
        ShellJob job;
        shell_job_init(&job, in);
        const Doc *steps = member(j, "steps");
        for (const Doc *s = steps && steps->type == DOC_ARRAY ? doc_first(steps) : NULL; s;
             s = doc_next(s)) {
            const Doc *run = member(s, "run");
            add_lines(&job, run && run->type == DOC_OBJECT ? member(run, "command") : run, path);
        }
        Slice name = arena_printf(in->arena, "circle job %.*s", SLICE_FMT(j->key));
        shell_job_done(&job, arena_cstr(in->arena, name), 58);
    }
}

// All texts of CI, for the question which of two build systems is the living one.
static void collect_text(Inference *in)
{
    Buf all = buf_create(CI_TEXT_MAX);
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (text_starts(path, ".github/workflows/") || text_starts(path, ".travis") ||
            text_starts(path, ".gitlab-ci") || text_starts(path, ".circleci/") ||
            text_starts(path, ".cirrus") || text_starts(path, "azure-pipelines")) {
            buf_append(&all, tree_text(in->tree, path));
        }
    }
    in->ci_text = arena_copy(in->arena, buf_slice(&all));
    buf_done(&all);
}

void infer_ci(Inference *in)
{
    collect_text(in);
    github(in);
    gitlab(in);
    circle(in);
    travis(in);
}
