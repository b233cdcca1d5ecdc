#include "improve/survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_view.h"

enum { TEXT_BYTES_MAX = 160, DEPTH_MAX = 40 };

// What people write when they write about speed. For git_log, so in the grammar of grep -E.
#define SPEED_WORDS                                                                                \
    "performance|perf[:( "                                                                         \
    "]|optimi[sz]|speed.?up|faster|slow|latency|throughput|benchmark|regress.*"                    \
    "(time|speed)|memory (usage|leak)|allocat|quadratic|O\\(n"

// ---- names

static const struct {
    const char *suffix, *name;
} LANGUAGES[] = {
    {".c", "C"},
    {".h", "C"},
    {".cc", "C++"},
    {".cpp", "C++"},
    {".cxx", "C++"},
    {".hpp", "C++"},
    {".hh", "C++"},
    {".rs", "Rust"},
    {".go", "Go"},
    {".py", "Python"},
    {".pyx", "Cython"},
    {".js", "JavaScript"},
    {".mjs", "JavaScript"},
    {".cjs", "JavaScript"},
    {".jsx", "JavaScript"},
    {".ts", "TypeScript"},
    {".tsx", "TypeScript"},
    {".java", "Java"},
    {".kt", "Kotlin"},
    {".scala", "Scala"},
    {".cs", "C#"},
    {".fs", "F#"},
    {".rb", "Ruby"},
    {".php", "PHP"},
    {".swift", "Swift"},
    {".m", "Objective-C"},
    {".zig", "Zig"},
    {".lua", "Lua"},
    {".jl", "Julia"},
    {".hs", "Haskell"},
    {".ml", "OCaml"},
    {".erl", "Erlang"},
    {".ex", "Elixir"},
    {".dart", "Dart"},
    {".sh", "Shell"},
    {".s", "Assembly"},
    {".S", "Assembly"},
    {".asm", "Assembly"},
    {".f90", "Fortran"},
    {".pl", "Perl"},
};

static Slice base_name(Slice path)
{
    size_t from = path.len;
    while (from > 0 && path.ptr[from - 1] != '/') {
        from--;
    }
    return slice_sub(path, from, path.len);
}

const char *survey_language(Slice path)
{
    const char *found = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < COUNT_OF(LANGUAGES); i++) {
        Slice suffix = slice_from_cstr(LANGUAGES[i].suffix);
        if (suffix.len > longest && slice_ends_with(path, suffix)) {
            found = LANGUAGES[i].name;
            longest = suffix.len;
        }
    }
    return found;
}

// `word` as a part of the path between anything that is no letter.
static bool has_part(Slice path, const char *word)
{
    size_t len = strlen(word);
    for (size_t at = 0; at + len <= path.len; at++) {
        char before = at > 0 ? path.ptr[at - 1] : '/';
        char after = at + len < path.len ? path.ptr[at + len] : '/';
        bool edge = !((before | 32) >= 'a' && (before | 32) <= 'z') &&
                    !((after | 32) >= 'a' && (after | 32) <= 'z');
        if (edge && slice_eq_nocase(slice_sub(path, at, len), (Slice){word, len})) {
            return true;
        }
    }
    return false;
}

static bool any_part(Slice path, const char *const *words, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count && !any; i++) {
        any = has_part(path, words[i]);
    }
    return any;
}

bool survey_is_test(Slice path)
{
    static const char *const WORDS[] = {"test", "tests", "spec", "specs", "testing", "unittest"};
    return any_part(path, WORDS, COUNT_OF(WORDS));
}

bool survey_is_benchmark(Slice path)
{
    static const char *const WORDS[] = {"bench",    "benches", "benchmark",   "benchmarks", "perf",
                                        "perftest", "jmh",     "performance", "microbench"};
    return any_part(path, WORDS, COUNT_OF(WORDS));
}

static const char *const SPEED[] = {
    "performance", "faster",     "fast",       "slow",     "speed",    "speedup",   "latency",
    "throughput",  "benchmark",  "benchmarks", "optimize", "optimise", "optimized", "optimised",
    "quadratic",   "bottleneck", "slowness",   "hangs",    "perf"};

bool survey_speaks_of_speed(Slice text)
{
    return any_part(text, SPEED, COUNT_OF(SPEED));
}

Slice survey_licence(Slice text)
{
    static const struct {
        const char *words, *name;
    } KNOWN[] = {
        {"Apache License", "Apache-2.0"},
        {"GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL"},
        {"GNU LESSER GENERAL PUBLIC LICENSE", "LGPL"},
        {"GNU GENERAL PUBLIC LICENSE", "GPL"},
        {"Mozilla Public License", "MPL-2.0"},
        {"Permission is hereby granted, free of charge", "MIT"},
        {"Permission to use, copy, modify, and/or distribute", "ISC"},
        {"Redistribution and use in source and binary forms", "BSD"},
        {"This is free and unencumbered software", "Unlicense"},
        {"Boost Software License", "BSL-1.0"},
    };
    for (size_t i = 0; i < COUNT_OF(KNOWN); i++) {
        if (slice_find(slice_sub(text, 0, 4000), slice_from_cstr(KNOWN[i].words)) >= 0) {
            return slice_from_cstr(KNOWN[i].name);
        }
    }
    return SLICE("");
}

// ---- lists

static void list_add(Arena *arena, SurveyList *list, Slice file, long line, Slice text)
{
    list->total++;
    if (list->count == SURVEY_LIST_MAX) {
        return;
    }
    if (!list->items) {
        list->items = ARENA_ARRAY(arena, SurveyLine, SURVEY_LIST_MAX);
    }
    list->items[list->count++] =
        (SurveyLine){arena_copy(arena, file), line,
                     arena_copy(arena, slice_sub(slice_trim(text), 0, TEXT_BYTES_MAX))};
}

// ---- documents and manifests

// A regular file below the top, without following a link in its last part. Cut at the ceiling.
static bool read_some(const Place *place, Slice path, Buf *out)
{
    char full[PATH_MAX];
    struct stat st;
    int len = snprintf(full, sizeof full, "%.*s/%.*s", SLICE_FMT(place->repo), SLICE_FMT(path));
    int fd = len > 0 && (size_t)len < sizeof full
                 ? open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
                 : -1;
    buf_reset(out);
    if (fd < 0) {
        return false;
    }
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    char *room = regular ? buf_reserve(out, SURVEY_DOC_BYTES_MAX) : NULL;
    ssize_t n = room ? read(fd, room, SURVEY_DOC_BYTES_MAX) : -1;
    if (n > 0) {
        buf_commit(out, (size_t)n);
    }
    (void)close(fd);
    return n >= 0;
}

static void read_document(Arena *arena, Survey *survey, Slice path, Slice text)
{
    bool fenced = false;
    long number = 0;
    for (Slice rest = text, line; rest.len > 0;) {
        (void)slice_cut(rest, '\n', &line, &rest);
        number++;
        Slice trimmed = slice_trim(line);
        if (slice_starts_with(trimmed, SLICE("```"))) {
            fenced = !fenced;
            continue;
        }
        bool typed = slice_starts_with(trimmed, SLICE("$ ")) ||
                     (fenced && (slice_starts_with(trimmed, SLICE("./")) ||
                                 slice_starts_with(trimmed, SLICE("make")) ||
                                 slice_starts_with(trimmed, SLICE("cmake")) ||
                                 slice_starts_with(trimmed, SLICE("npm ")) ||
                                 slice_starts_with(trimmed, SLICE("cargo ")) ||
                                 slice_starts_with(trimmed, SLICE("go ")) ||
                                 slice_starts_with(trimmed, SLICE("python"))));
        if (typed) {
            list_add(arena, &survey->commands, path, number, trimmed);
        } else if (!fenced && survey_speaks_of_speed(trimmed)) {
            list_add(arena, &survey->mentions, path, number, trimmed);
        }
    }
}

// Members of JSON objects that name packages.
static size_t json_dependencies(Slice text)
{
    static const char *const KEYS[] = {"dependencies", "devDependencies", "peerDependencies"};
    JsonDoc *doc = yyjson_read(text.ptr, text.len, 0);
    size_t count = 0;
    for (size_t i = 0; doc && i < COUNT_OF(KEYS); i++) {
        count += yyjson_obj_size(json_at(yyjson_doc_get_root(doc), KEYS[i]));
    }
    yyjson_doc_free(doc);
    return count;
}

static size_t count_lines(Slice text, bool (*counts)(Slice line, Slice *section))
{
    Slice section = {0};
    size_t count = 0;
    for (Slice rest = text, line; rest.len > 0;) {
        (void)slice_cut(rest, '\n', &line, &rest);
        count += counts(slice_trim(line), &section);
    }
    return count;
}

static bool is_requirement(Slice line, Slice *section)
{
    (void)section;
    return line.len > 0 && line.ptr[0] != '#' && line.ptr[0] != '-';
}

static bool is_cargo_dependency(Slice line, Slice *section)
{
    if (line.len > 0 && line.ptr[0] == '[') {
        *section = line;
        return false;
    }
    return line.len > 0 && line.ptr[0] != '#' && slice_find_byte(line, '=') > 0 &&
           slice_ends_with(*section, SLICE("dependencies]"));
}

static bool is_go_requirement(Slice line, Slice *section)
{
    if (slice_starts_with(line, SLICE("require ("))) {
        *section = line;
        return false;
    }
    if (slice_eq_cstr(line, ")")) {
        *section = SLICE("");
    }
    return slice_starts_with(line, SLICE("require ")) ||
           (section->len > 0 && slice_find(line, SLICE(" v")) > 0);
}

static bool is_build_dependency(Slice line, Slice *section)
{
    (void)section;
    return slice_starts_with(line, SLICE("find_package(")) ||
           slice_starts_with(line, SLICE("pkg_check_modules(")) ||
           slice_find(line, SLICE("dependency('")) >= 0 ||
           slice_starts_with(line, SLICE("<artifactId>"));
}

size_t survey_dependencies(Slice name, Slice text)
{
    if (slice_eq_cstr(name, "package.json")) {
        return json_dependencies(text);
    }
    if (slice_starts_with(name, SLICE("requirements")) && slice_ends_with(name, SLICE(".txt"))) {
        return count_lines(text, is_requirement);
    }
    if (slice_eq_cstr(name, "Cargo.toml")) {
        return count_lines(text, is_cargo_dependency);
    }
    if (slice_eq_cstr(name, "go.mod")) {
        return count_lines(text, is_go_requirement);
    }
    return count_lines(text, is_build_dependency);
}

static bool is_manifest(Slice name)
{
    static const char *const NAMES[] = {
        "package.json", "Cargo.toml",       "go.mod",           "CMakeLists.txt",
        "meson.build",  "pom.xml",          "configure.ac",     "Makefile",
        "makefile",     "GNUmakefile",      "pyproject.toml",   "setup.py",
        "build.gradle", "build.gradle.kts", "requirements.txt", "build.zig"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_cstr(name, NAMES[i])) {
            return true;
        }
    }
    return false;
}

static bool is_ci(Slice path)
{
    return slice_starts_with(path, SLICE(".github/workflows/")) ||
           slice_starts_with(path, SLICE(".circleci/")) || slice_eq_cstr(path, ".gitlab-ci.yml") ||
           slice_eq_cstr(path, ".travis.yml") || slice_eq_cstr(path, "azure-pipelines.yml") ||
           slice_eq_cstr(path, "Jenkinsfile");
}

static bool is_document(Slice path)
{
    Slice name = base_name(path);
    return slice_ends_with(name, SLICE(".md")) || slice_ends_with(name, SLICE(".rst")) ||
           slice_starts_with(name, SLICE("README")) || slice_starts_with(name, SLICE("HACKING"));
}

static bool is_licence(Slice name)
{
    return slice_starts_with(name, SLICE("LICENSE")) || slice_starts_with(name, SLICE("LICENCE")) ||
           slice_starts_with(name, SLICE("COPYING")) || slice_starts_with(name, SLICE("COPYRIGHT"));
}

// ---- the tree

static void count_language(Survey *survey, const char *name, int64_t bytes)
{
    size_t i = 0;
    while (i < survey->language_count && survey->languages[i].name != name &&
           strcmp(survey->languages[i].name, name) != 0) {
        i++;
    }
    if (i == SURVEY_LANGUAGES_MAX) {
        return;
    }
    survey->language_count += i == survey->language_count;
    survey->languages[i].name = name;
    survey->languages[i].bytes += bytes;
    survey->languages[i].files++;
}

static void look_at(const SurveyOptions *o, Arena *arena, Survey *survey, Slice path, Buf *text)
{
    char full[PATH_MAX];
    struct stat st;
    const Place *place = o->place;
    if (place->sub.len > 0 && !(slice_starts_with(path, place->sub) && path.len > place->sub.len &&
                                path.ptr[place->sub.len] == '/')) {
        return;
    }
    int len = snprintf(full, sizeof full, "%.*s/%.*s", SLICE_FMT(place->repo), SLICE_FMT(path));
    if (len < 0 || (size_t)len >= sizeof full || survey->files >= SURVEY_FILES_MAX) {
        survey->files_not_seen++;
        return;
    }
    if (lstat(full, &st) != 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    Slice name = base_name(path);
    const char *language = survey_language(path);
    survey->files++;
    survey->bytes += st.st_size;
    if (language) {
        count_language(survey, language, st.st_size);
        if (survey_is_test(path)) {
            list_add(arena, &survey->tests, path, 0, SLICE(""));
        }
        if (survey_is_benchmark(path)) {
            list_add(arena, &survey->benchmarks, path, 0, SLICE(""));
        }
    }
    if (is_ci(path)) {
        list_add(arena, &survey->ci, path, 0, SLICE(""));
    }
    if (is_manifest(name) && read_some(place, path, text)) {
        list_add(arena, &survey->manifests, path, 0, SLICE(""));
        survey->dependencies += survey_dependencies(name, buf_slice(text));
    }
    if (survey->licence.len == 0 && is_licence(name) && read_some(place, path, text)) {
        survey->licence = survey_licence(buf_slice(text));
    }
    if (is_document(path) && read_some(place, path, text)) {
        read_document(arena, survey, path, buf_slice(text));
    }
}

// A plain directory, for what is in no repository.
static void walk(const SurveyOptions *o, Arena *arena, Survey *survey, Slice below, int depth,
                 Buf *text)
{
    char full[PATH_MAX];
    int len = snprintf(full, sizeof full, "%.*s/%.*s", SLICE_FMT(o->place->repo), SLICE_FMT(below));
    DIR *dir = len > 0 && (size_t)len < sizeof full && depth < DEPTH_MAX ? opendir(full) : NULL;
    for (const struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.' && strcmp(d->d_name, ".github") != 0) {
            continue;
        }
        Slice path =
            arena_printf(arena, "%.*s%s%s", SLICE_FMT(below), below.len ? "/" : "", d->d_name);
        if (d->d_type == DT_DIR && strcmp(d->d_name, "node_modules") != 0) {
            walk(o, arena, survey, path, depth + 1, text);
        } else if (d->d_type == DT_REG) {
            look_at(o, arena, survey, path, text);
        }
        if (arena_left(arena) < (8 << 20)) {
            survey->files_not_seen++;
            break;
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
}

// ---- history

static int by_commits(const void *a, const void *b)
{
    const SurveyChurn *x = a, *y = b;
    return x->commits != y->commits ? (x->commits < y->commits ? 1 : -1)
                                    : slice_cmp(x->file, y->file);
}

static int take_churn(const SurveyOptions *o, Arena *arena, Survey *survey, Err *e)
{
    enum { COUNTED_MAX = 2000 };
    const GitCommit *commits = NULL;
    size_t count = 0, counted = 0;
    SurveyChurn *all = ARENA_ARRAY(arena, SurveyChurn, COUNTED_MAX);
    GitLogOptions log = {.commits_max = SURVEY_CHURN_COMMITS,
                         .path = o->place->sub.len > 0 ? o->place->sub.ptr : NULL};
    int rc = git_log(o->git, &log, &commits, &count, e);
    for (size_t i = 0; rc == 0 && i + 1 < count; i++) {
        const GitChange *changes = NULL;
        size_t changed = 0;
        // From one listed commit to the next: merges count once, which is what churn means here.
        rc = git_changed_files(o->git, commits[i + 1].hash, commits[i].hash, &changes, &changed, e);
        for (size_t k = 0; rc == 0 && k < changed; k++) {
            size_t at = 0;
            while (at < counted && !slice_eq(all[at].file, changes[k].path)) {
                at++;
            }
            if (at < COUNTED_MAX && survey_language(changes[k].path)) {
                counted += at == counted;
                all[at].file = changes[k].path;
                all[at].commits++;
            }
        }
    }
    qsort(all, counted, sizeof *all, by_commits);
    for (size_t i = 0; i < counted && survey->churn_count < SURVEY_LIST_MAX; i++) {
        char full[PATH_MAX];
        struct stat st;
        int len = snprintf(full, sizeof full, "%.*s/%.*s", SLICE_FMT(o->place->repo),
                           SLICE_FMT(all[i].file));
        if (len > 0 && (size_t)len < sizeof full && lstat(full, &st) == 0 && S_ISREG(st.st_mode)) {
            all[i].bytes = st.st_size;
            survey->churn[survey->churn_count++] = all[i];
        }
    }
    return rc;
}

static int take_history(const SurveyOptions *o, Arena *arena, Survey *survey, Err *e)
{
    const GitCommit *commits = NULL;
    size_t count = 0;
    GitLogOptions log = {.grep = SPEED_WORDS, .commits_max = SURVEY_COMMITS_MAX};
    int rc = git_log(o->git, &log, &commits, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        list_add(arena, &survey->commits, slice_sub(slice_from_cstr(commits[i].hash), 0, 12), 0,
                 commits[i].subject);
    }
    return rc == 0 ? take_churn(o, arena, survey, e) : rc;
}

static int take_issues(Slice text, Arena *arena, Survey *survey, Err *e)
{
    JsonDoc *doc = yyjson_read(text.ptr, text.len, 0);
    JsonVal *list = yyjson_doc_get_root(doc), *item;
    yyjson_arr_iter it;
    if (!yyjson_is_arr(list)) {
        yyjson_doc_free(doc);
        return err_set(e, ERR_PARSE,
                       "issues: expected a JSON array of objects with number and "
                       "title, as `gh issue list --json number,title` prints");
    }
    (void)yyjson_arr_iter_init(list, &it);
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        Slice title = json_text_at(item, "title");
        int64_t number = json_int_at(item, "number", 0);
        if (number > 0 && survey_speaks_of_speed(title)) {
            list_add(arena, &survey->issues, arena_printf(arena, "#%lld", (long long)number), 0,
                     title);
        }
    }
    yyjson_doc_free(doc);
    return 0;
}

static int by_language_bytes(const void *a, const void *b)
{
    const SurveyLanguage *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->name, y->name);
}

static int take_git(const SurveyOptions *o, Arena *arena, Survey *survey, Buf *text, Err *e)
{
    GitFacts facts;
    const Slice *paths = NULL;
    size_t count = 0;
    int rc = git_facts(o->git, &facts, e);
    if (rc != 0) {
        return rc;
    }
    survey->git = true;
    survey->dirty = facts.dirty > 0;
    survey->detached = facts.detached;
    survey->shallow = facts.shallow;
    survey->revision = arena_copy(arena, slice_from_cstr(facts.head));
    if (facts.head[0] == '\0') {
        return err_set(e, ERR_NOT_FOUND, "%.*s has no commit yet", SLICE_FMT(o->place->repo));
    }
    if ((rc = git_list(o->git, facts.head, &paths, &count, e)) != 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        look_at(o, arena, survey, paths[i], text);
    }
    return take_history(o, arena, survey, e);
}

int survey_take(const SurveyOptions *options, Arena *arena, Survey *ret_survey, Err *e)
{
    Survey *survey = ARENA_NEW(arena, Survey);
    Buf text = buf_create(SURVEY_DOC_BYTES_MAX + 1);
    int rc = 0;
    if (options->git) {
        rc = take_git(options, arena, survey, &text, e);
    } else {
        walk(options, arena, survey, options->place->sub, 0, &text);
    }
    if (rc == 0 && options->issues.len > 0) {
        rc = take_issues(options->issues, arena, survey, e);
    }
    qsort(survey->languages, survey->language_count, sizeof survey->languages[0],
          by_language_bytes);
    buf_done(&text);
    if (rc == 0) {
        *ret_survey = *survey;
    }
    return rc;
}

// ---- out

static void write_list(JsonWriter *w, const char *key, const SurveyList *list)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    json_field_int(w, "total", (int64_t)list->total);
    json_key(w, SLICE("first"));
    json_array_begin(w);
    for (size_t i = 0; i < list->count; i++) {
        const SurveyLine *line = &list->items[i];
        Buf text = buf_create(1 << 16);
        buf_append(&text, line->file);
        if (line->line > 0) {
            buf_printf(&text, ":%ld", line->line);
        }
        if (line->text.len > 0) {
            buf_puts(&text, text.len > 0 ? " " : "");
            buf_append(&text, line->text);
        }
        json_string(w, buf_slice(&text));
        buf_done(&text);
    }
    json_array_end(w);
    json_object_end(w);
}

void survey_write(const Survey *survey, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "files", (int64_t)survey->files);
    json_field_int(w, "bytes", survey->bytes);
    if (survey->files_not_seen > 0) {
        json_field_int(w, "files_not_seen", (int64_t)survey->files_not_seen);
    }
    json_key(w, SLICE("languages"));
    json_object_begin(w);
    for (size_t i = 0; i < survey->language_count; i++) {
        json_field_int(w, survey->languages[i].name, survey->languages[i].bytes);
    }
    json_object_end(w);
    json_field_string(w, "licence",
                      survey->licence.len > 0 ? survey->licence : SLICE("not recognised"));
    json_field_int(w, "dependencies", (int64_t)survey->dependencies);
    write_list(w, "manifests", &survey->manifests);
    write_list(w, "ci", &survey->ci);
    write_list(w, "tests", &survey->tests);
    write_list(w, "benchmarks", &survey->benchmarks);
    write_list(w, "commands in documents", &survey->commands);
    write_list(w, "documents on performance", &survey->mentions);
    write_list(w, "commits on performance", &survey->commits);
    write_list(w, "issues on performance", &survey->issues);
    json_key(w, SLICE("most changed"));
    json_object_begin(w);
    for (size_t i = 0; i < survey->churn_count && i < 20; i++) {
        json_key(w, survey->churn[i].file);
        json_int(w, (int64_t)survey->churn[i].commits);
    }
    json_object_end(w);
    json_object_end(w);
}
