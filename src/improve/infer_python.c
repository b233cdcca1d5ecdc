// Python: a virtual environment in the dependency directory, the project in it in editable form so
// that the tree under test is what is imported, and whatever the tests need from wherever the
// project says so: extras, dependency groups, requirements files, tox, plugins named in addopts,
// and last the imports of the tests themselves.
#include "improve/infer.h"

#define PY "/deps/venv/bin/python"

enum { WORDS_MAX = 60, IMPORT_FILES_MAX = 400 };

typedef struct Needs {
    Inference *in;
    Slice words[WORDS_MAX]; // requirements, each safe in double quotes
    size_t count;
    Slice extras[8];
    size_t extra_count;
    Slice groups[4];
    size_t group_count;
    Slice files[8];
    size_t file_count;
} Needs;

// A requirement as text: "pytest>=7", "attrs[tests]; python_version < '3.9'". Nothing that means
// something to the shell between double quotes.
static bool is_requirement(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c < ' ' || c == '"' || c == '`' || c == '$' || c == '\\' || c == '{') {
            return false;
        }
    }
    return s.len > 0 && s.len < 200 && s.ptr[0] != '-' && s.ptr[0] != '.' && s.ptr[0] != '/';
}

// Tools that check style and make documentation: not needed, often large.
static bool is_beside_the_point(Slice name)
{
    static const char *const NAMES[] = {
        "black",     "flake8",     "mypy",           "pylint",  "isort",       "ruff",
        "sphinx",    "pre-commit", "twine",          "tox",     "nox",         "mkdocs",
        "build",     "furo",       "bump2version",   "codecov", "pyright",     "bandit",
        "docs",      "types-",     "check-manifest", "jupyter", "pre_commit",  "cibuildwheel",
        "towncrier", "zest",       "myst",           "ipython", "bumpversion", "codespell"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_nocase(slice_sub(name, 0, strlen(NAMES[i])), slice_from_cstr(NAMES[i]))) {
            return true;
        }
    }
    return false;
}

static void need(Needs *n, Slice word)
{
    word = slice_trim(word);
    if (!is_requirement(word) || is_beside_the_point(word) || n->count == WORDS_MAX) {
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        if (slice_eq(n->words[i], word)) {
            return;
        }
    }
    n->words[n->count++] = word;
}

static void need_all(Needs *n, const Doc *list)
{
    for (const Doc *d = list && list->type == DOC_ARRAY ? doc_first(list) : NULL; d;
         d = doc_next(d)) {
        if (d->type == DOC_STRING) {
            need(n, d->text);
        }
    }
}

static int testiness(Slice name)
{
    return text_has_nocase(name, "test") ? 2 : 0;
}

static bool is_dev(Slice name)
{
    return slice_eq_nocase(name, SLICE("dev")) || slice_eq_nocase(name, SLICE("develop")) ||
           slice_eq_nocase(name, SLICE("development")) || slice_eq_nocase(name, SLICE("ci"));
}

static void take_names(const Doc *object, Slice *into, size_t *count, size_t max)
{
    if (object == NULL || object->type != DOC_OBJECT) {
        return;
    }
    for (const Doc *d = doc_first(object); d && *count < max; d = doc_next(d)) {
        if (testiness(d->key) > 0) {
            into[(*count)++] = d->key;
        }
    }
    for (const Doc *d = doc_first(object); d && *count == 0; d = doc_next(d)) {
        if (is_dev(d->key)) {
            into[(*count)++] = d->key;
        }
    }
}

static void from_poetry(Needs *n, const Doc *poetry)
{
    const Doc *lists[10] = {doc_get(poetry, SLICE("dev-dependencies"))};
    size_t count = 1;
    const Doc *groups = doc_get(poetry, SLICE("group"));
    for (const Doc *g = groups && groups->type == DOC_OBJECT ? doc_first(groups) : NULL;
         g && count < COUNT_OF(lists); g = doc_next(g)) {
        if (!text_has(g->key, "doc") && !text_has(g->key, "lint")) {
            lists[count++] = doc_get(g, SLICE("dependencies"));
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (const Doc *d = lists[i] && lists[i]->type == DOC_OBJECT ? doc_first(lists[i]) : NULL;
             d; d = doc_next(d)) {
            need(n, d->key);
        }
    }
}

static const Doc *pyproject_of(Inference *in)
{
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "pyproject.toml"};
    const Doc *doc = NULL;
    Slice text = infer_text(in, "pyproject.toml");
    return text.len > 0 && doc_parse(in->arena, text, &options, &doc, NULL) == 0 ? doc : NULL;
}

static void from_pyproject(Needs *n, const Doc *doc)
{
    const Doc *tool = doc_get(doc, SLICE("tool"));
    take_names(doc_get(doc_get(doc, SLICE("project")), SLICE("optional-dependencies")), n->extras,
               &n->extra_count, COUNT_OF(n->extras));
    take_names(doc_get(doc, SLICE("dependency-groups")), n->groups, &n->group_count,
               COUNT_OF(n->groups));
    const Doc *poetry = doc_get(tool, SLICE("poetry"));
    from_poetry(n, poetry);
    take_names(doc_get(poetry, SLICE("extras")), n->extras, &n->extra_count, COUNT_OF(n->extras));
    need_all(n, doc_get(doc_get(tool, SLICE("uv")), SLICE("dev-dependencies")));
    const Doc *pdm = doc_get(doc_get(tool, SLICE("pdm")), SLICE("dev-dependencies"));
    for (const Doc *d = pdm && pdm->type == DOC_OBJECT ? doc_first(pdm) : NULL; d;
         d = doc_next(d)) {
        need_all(n, d);
    }
    const Doc *envs = doc_get(doc_get(tool, SLICE("hatch")), SLICE("envs"));
    for (const Doc *d = envs && envs->type == DOC_OBJECT ? doc_first(envs) : NULL; d;
         d = doc_next(d)) {
        if (!text_has(d->key, "doc") && !text_has(d->key, "lint")) {
            need_all(n, doc_get(d, SLICE("dependencies")));
            need_all(n, doc_get(d, SLICE("extra-dependencies")));
        }
    }
    need_all(n, doc_get(doc_get(doc, SLICE("build-system")), SLICE("requires")));
}

// extras_require={'test': [...]} in setup.py, and the same section of setup.cfg: only the names of
// the extras are wanted, so the text is searched, not run.
static void extras_in_text(Needs *n, Slice text, const char *section)
{
    static const char *const NAMES[] = {"test", "tests", "testing", "dev", "develop"};
    ptrdiff_t at = slice_find(text, slice_from_cstr(section));
    if (at < 0 || n->extra_count > 0) {
        return;
    }
    Slice part = slice_sub(text, (size_t)at, 4000);
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        Slice forms[] = {arena_printf(n->in->arena, "'%s':", NAMES[i]),
                         arena_printf(n->in->arena, "\"%s\":", NAMES[i]),
                         arena_printf(n->in->arena, "\n%s =", NAMES[i]),
                         arena_printf(n->in->arena, "\n%s=", NAMES[i])};
        for (size_t f = 0; f < COUNT_OF(forms); f++) {
            if (slice_find(part, forms[f]) >= 0 && n->extra_count < 2 &&
                (i < 3 || n->extra_count == 0)) {
                n->extras[n->extra_count++] = slice_from_cstr(NAMES[i]);
                break;
            }
        }
    }
}

static void from_requirement_files(Needs *n)
{
    for (int pass = 0; pass < 3; pass++) { // all, then for tests, then for developers if none was
        for (size_t i = 0; i < n->in->tree->count; i++) {
            Slice path = n->in->tree->files[i].path;
            bool named = text_has_nocase(path, "requirement") && text_ends(path, ".txt");
            if (!named || !infer_is_below(n->in, path) || path_depth(path) > 1 ||
                text_has(path, "doc") || text_has(path, "lint") || text_has(path, "example") ||
                n->file_count == COUNT_OF(n->files)) {
                continue;
            }
            bool test = text_has(path, "test"), dev = text_has(path, "dev") || text_has(path, "ci");
            bool plain = slice_eq_cstr(path_name(path), "requirements.txt") && !test && !dev;
            if ((pass == 0 && plain) || (pass == 1 && test) ||
                (pass == 2 && dev && !test && n->file_count < 2)) {
                n->files[n->file_count++] = path;
            }
        }
    }
}

// `deps =` of tox.ini, one a line.
static void from_tox(Needs *n)
{
    Slice rest = infer_text(n->in, "tox.ini"), line;
    bool inside = false, of_tests = true;
    while (text_line(&rest, &line, NULL)) {
        Slice trimmed = slice_trim(line);
        if (text_starts(line, "[")) {
            of_tests = text_starts(line, "[testenv]");
            inside = false;
        } else if (of_tests && text_starts(line, "deps")) {
            inside = true;
            Slice head, tail;
            (void)slice_cut(line, '=', &head, &tail);
            trimmed = slice_trim(tail);
        } else if (line.len > 0 && line.ptr[0] != ' ' && line.ptr[0] != '\t') {
            inside = false;
        }
        if (inside && trimmed.len > 0 && trimmed.ptr[0] != '#') {
            Slice head, tail; // "py37: mock" names an environment first
            bool conditional = slice_cut(trimmed, ':', &head, &tail) &&
                               slice_find_byte(head, '[') < 0 && slice_find_byte(head, '/') < 0;
            need(n, conditional ? tail : trimmed);
        }
    }
}

// What the options and marks in pytest's configuration need.
static void from_pytest_options(Needs *n)
{
    static const struct {
        const char *words[3];
        const char *package;
    } PLUGINS[] = {
        {{"--cov", NULL, NULL}, "pytest-cov"},
        {{"-n auto", "-n=auto", "-nauto"}, "pytest-xdist"},
        {{"--numprocesses", "--dist", NULL}, "pytest-xdist"},
        {{"--timeout", "timeout =", NULL}, "pytest-timeout"},
        {{"asyncio_mode", "asyncio-mode", "pytest.mark.asyncio"}, "pytest-asyncio"},
        {{"--benchmark", NULL, NULL}, "pytest-benchmark"},
        {{"--randomly", "randomly", NULL}, "pytest-randomly"},
        {{"--reruns", NULL, NULL}, "pytest-rerunfailures"},
        {{"--doctest-plus", "doctest_plus", NULL}, "pytest-doctestplus"},
        {{"--mypy", NULL, NULL}, "pytest-mypy"},
        {{"--subprocess", "pytest-subtests", NULL}, "pytest-subtests"},
        {{"DJANGO_SETTINGS_MODULE", NULL, NULL}, "pytest-django"},
        {{"pytest-mock", NULL, NULL}, "pytest-mock"},
        {{"--strict-markers --snapshot", "syrupy", NULL}, "syrupy"},
    };
    static const char *const FILES[] = {"pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini"};
    for (size_t f = 0; f < COUNT_OF(FILES); f++) {
        Slice text = infer_text(n->in, FILES[f]);
        for (size_t p = 0; p < COUNT_OF(PLUGINS); p++) {
            for (size_t w = 0; w < 3 && PLUGINS[p].words[w]; w++) {
                if (text_has(text, PLUGINS[p].words[w])) {
                    need(n, slice_from_cstr(PLUGINS[p].package));
                }
            }
        }
    }
}

typedef struct Import {
    const char *module, *package;
} Import;
// Modules that tests import, and fixtures they use, by the distribution that has them.
static const Import IMPORTS[] = {
    {"pytest_benchmark", "pytest-benchmark"},
    {"hypothesis", "hypothesis"},
    {"mock", "mock"},
    {"parameterized", "parameterized"},
    {"freezegun", "freezegun"},
    {"responses", "responses"},
    {"requests_mock", "requests-mock"},
    {"requests", "requests"},
    {"numpy", "numpy"},
    {"pandas", "pandas"},
    {"yaml", "PyYAML"},
    {"attr", "attrs"},
    {"trio", "trio"},
    {"anyio", "anyio"},
    {"httpx", "httpx"},
    {"aiohttp", "aiohttp"},
    {"flask", "flask"},
    {"django", "django"},
    {"jinja2", "jinja2"},
    {"six", "six"},
    {"pytz", "pytz"},
    {"dateutil", "python-dateutil"},
    {"toml", "toml"},
    {"tomli", "tomli"},
    {"lxml", "lxml"},
    {"psutil", "psutil"},
    {"simplejson", "simplejson"},
    {"testfixtures", "testfixtures"},
    {"ddt", "ddt"},
    {"sortedcontainers", "sortedcontainers"},
    {"time_machine", "time-machine"},
    {"pydantic", "pydantic"},
    {"typing_extensions", "typing_extensions"},
    {"click", "click"},
    {"scipy", "scipy"},
    {"PIL", "pillow"},
    {"bs4", "beautifulsoup4"},
    {"docutils", "docutils"},
    {"pygments", "pygments"},
    {"markdown", "markdown"},
    {"babel", "babel"},
    {"tornado", "tornado"},
    {"twisted", "twisted"},
    {"werkzeug", "werkzeug"},
    {"sqlalchemy", "sqlalchemy"},
    {"msgpack", "msgpack"},
    {"ujson", "ujson"},
    {"orjson", "orjson"},
    {"zstandard", "zstandard"},
    {"pkg_resources", "setuptools<81"},
    {"pytest_asyncio", "pytest-asyncio"},
    {"nose", "pynose"},
    {"zope.interface", "zope.interface"},
    {"tzdata", "tzdata"},
    {"importlib_resources", "importlib_resources"},
    {"cloudpickle", "cloudpickle"},
    {"pyperf", "pyperf"},
    {"cython", "cython"},
    {"Cython", "cython"},
    {"cffi", "cffi"},
    {"cryptography", "cryptography"},
};
static const Import FIXTURES[] = {
    {"(benchmark", "pytest-benchmark"},
    {", benchmark)", "pytest-benchmark"},
    {"(mocker", "pytest-mock"},
    {", mocker", "pytest-mock"},
    {"subtests", "pytest-subtests"},
    {"pytest.mark.asyncio", "pytest-asyncio"},
    {"(httpserver", "pytest-httpserver"},
    {"(snapshot", "syrupy"},
    {"pytest.mark.timeout", "pytest-timeout"},
    {"(testdir", "pytest"},
    {"pytest.mark.flaky", "flaky"},
    {"data_regression", "pytest-regressions"},
    {"(requests_mock", "requests-mock"},
    {"(aiohttp_client", "pytest-aiohttp"},
    {"(fs)", "pyfakefs"},
    {"(faker", "faker"},
};

static bool imports(Slice line, const char *module)
{
    Slice m = slice_from_cstr(module);
    Slice rest = text_starts(line, "import ") ? slice_sub(line, 7, line.len)
                 : text_starts(line, "from ") ? slice_sub(line, 5, line.len)
                                              : (Slice){0};
    return slice_starts_with(rest, m) &&
           (rest.len == m.len || strchr(" .,;", rest.ptr[m.len]) != NULL);
}

static bool is_test_file(Slice path)
{
    Slice name = path_name(path);
    return text_ends(path, ".py") &&
           (text_starts(name, "test") || text_ends(name, "_test.py") ||
            text_starts(name, "bench") || text_starts(path, "tests/") ||
            text_starts(path, "test/") || text_has(path, "/tests/") || text_has(path, "/test/") ||
            slice_eq_cstr(name, "conftest.py") || text_starts(path, "benchmarks/"));
}

static void from_imports(Needs *n)
{
    size_t looked = 0;
    for (size_t i = 0; i < n->in->tree->count && looked < IMPORT_FILES_MAX; i++) {
        Slice path = n->in->tree->files[i].path;
        if (!infer_is_below(n->in, path) || !is_test_file(path)) {
            continue;
        }
        looked++;
        Slice text = tree_text(n->in->tree, path), rest = text, line;
        while (text_line(&rest, &line, NULL)) {
            line = slice_trim(line);
            for (size_t k = 0; k < COUNT_OF(IMPORTS) && line.len > 6; k++) {
                // The project's own package may have such a name.
                if (imports(line, IMPORTS[k].module) &&
                    !tree_has_directory(n->in->tree, slice_from_cstr(IMPORTS[k].module)) &&
                    !tree_has_directory(n->in->tree,
                                        arena_printf(n->in->arena, "src/%s", IMPORTS[k].module))) {
                    need(n, slice_from_cstr(IMPORTS[k].package));
                }
            }
        }
        for (size_t k = 0; k < COUNT_OF(FIXTURES); k++) {
            if (text_has(text, FIXTURES[k].module)) {
                need(n, slice_from_cstr(FIXTURES[k].package));
            }
        }
    }
}

static bool has_extension_modules(Inference *in)
{
    if (text_has(infer_text(in, "setup.py"), "Extension(") ||
        text_has(infer_text(in, "setup.py"), "ext_modules") ||
        text_has(infer_text(in, "setup.py"), "cffi_modules") ||
        text_has(infer_text(in, "pyproject.toml"), "ext-modules")) {
        return true;
    }
    return false;
}

// Tools first and the project last: where the project itself cannot be installed, its tests may
// still run from the tree, and what it pins wins over what the tools asked for.
static void write_install(Needs *n, Buf *out)
{
    buf_puts(out,
             "export PIP_CACHE_DIR=/deps/pip\n"
             "python3 -m venv /deps/venv\n" PY " -m pip install -q -U pip 'setuptools<81' wheel\n");
    // Together they are resolved together; one by one what one of them breaks is not lost.
    buf_puts(out, "set -- pytest");
    for (size_t i = 0; i < n->count; i++) {
        buf_printf(out, " \"%.*s\"", SLICE_FMT(n->words[i]));
    }
    buf_puts(out, "\n" PY " -m pip install -q \"$@\" || for p in \"$@\"; do " PY
                  " -m pip install -q \"$p\" || true; done\n");
    for (size_t i = 0; i < n->group_count; i++) {
        buf_printf(out, PY " -m pip install -q --group '%.*s' || true\n", SLICE_FMT(n->groups[i]));
    }
    for (size_t i = 0; i < n->file_count; i++) {
        buf_printf(out, PY " -m pip install -q -r '%.*s' || true\n", SLICE_FMT(n->files[i]));
    }
    buf_puts(out, PY " -m pytest --version");
}

static void write_project(Needs *n, Buf *out)
{
    buf_puts(out, "export PIP_CACHE_DIR=/deps/pip\n");
    if (n->extra_count > 0) {
        buf_puts(out, PY " -m pip install -q -e '.[");
        for (size_t i = 0; i < n->extra_count; i++) {
            buf_printf(out, "%s%.*s", i > 0 ? "," : "", SLICE_FMT(n->extras[i]));
        }
        buf_puts(out, "]' || ");
    }
    buf_puts(out,
             PY " -m pip install -q -e . || " PY " -m pip install -q --no-build-isolation -e .");
}

static const char *test_directory(Inference *in)
{
    static const char *const NAMES[] = {"tests", "test", "testing", "t", "unit_tests", "unittests"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (tree_has_directory(in->tree, infer_path(in, NAMES[i]))) {
            return NAMES[i];
        }
    }
    return "";
}

static void add_tests(Inference *in, Recipe *r, Slice source)
{
    const char *directory = test_directory(in);
    bool configured = text_has(infer_text(in, "pyproject.toml"), "testpaths") ||
                      text_has(infer_text(in, "setup.cfg"), "testpaths") ||
                      text_has(infer_text(in, "pytest.ini"), "testpaths") ||
                      text_has(infer_text(in, "tox.ini"), "testpaths");
    const char *where = configured ? "" : directory;
    infer_test(in, r, "pytest", source, PY " -m pytest -q -p no:cacheprovider %s", where);
    infer_test(in, r, "pytest without the project's options", source,
               PY " -m pytest -q -p no:cacheprovider -o addopts= %s", where);
    infer_test(in, r, "pytest, everything", source, PY " -m pytest -q -p no:cacheprovider");
    if (directory[0] != '\0') {
        infer_test(in, r, "unittest", source, PY " -m unittest discover -s %s -t .", directory);
        infer_test(in, r, "unittest", source, PY " -m unittest discover -s %s", directory);
    }
    infer_test(in, r, "unittest", source, PY " -m unittest discover");
    static const char *const SCRIPTS[] = {"runtests.py",      "run_tests.py",      "test.py",
                                          "tests.py",         "tests/runtests.py", "tests/run.py",
                                          "test/run_tests.py"};
    for (size_t i = 0; i < COUNT_OF(SCRIPTS); i++) {
        if (infer_has(in, SCRIPTS[i])) {
            infer_test(in, r, "its own runner", source, PY " %s", SCRIPTS[i]);
        }
    }
}

void infer_python(Inference *in)
{
    static const char *const PROJECTS[] = {"pyproject.toml", "setup.py", "setup.cfg"};
    const char *top = NULL;
    for (size_t i = 0; i < COUNT_OF(PROJECTS) && top == NULL; i++) {
        top = infer_has(in, PROJECTS[i]) ? PROJECTS[i] : NULL;
    }
    bool project = top != NULL;
    const Doc *doc = pyproject_of(in);
    // A pyproject.toml that only configures tools is no project.
    if (project && !infer_has(in, "setup.py") && !infer_has(in, "setup.cfg") &&
        doc_get(doc, SLICE("project")) == NULL && doc_get(doc, SLICE("build-system")) == NULL &&
        doc_get(doc_get(doc, SLICE("tool")), SLICE("poetry")) == NULL) {
        project = false;
    }
    if (!project && !slice_eq_cstr(in->language, "Python")) {
        return;
    }
    Needs *n = ARENA_NEW(in->arena, Needs);
    n->in = in;
    from_pyproject(n, doc);
    extras_in_text(n, infer_text(in, "setup.py"), "extras_require");
    extras_in_text(n, infer_text(in, "setup.cfg"), "extras_require");
    from_requirement_files(n);
    from_tox(n);
    from_pytest_options(n);
    from_imports(n);
    Slice source = infer_source(in, infer_path(in, top ? top : "."), 1);
    Recipe *r = infer_recipe(in, "python", in->directory, project ? 74 : 40);
    Buf install = buf_create(STEP_TEXT_MAX);
    write_install(n, &install);
    infer_install(in, r, source, "%.*s", SLICE_FMT(buf_slice(&install)));
    buf_reset(&install);
    if (project) {
        write_project(n, &install);
        infer_install(in, r, source, "%.*s", SLICE_FMT(buf_slice(&install)));
    }
    buf_done(&install);
    if (project && has_extension_modules(in)) {
        infer_build(in, r, "extension modules", source, PY " %s build_ext --inplace",
                    infer_has(in, "setup.py") ? "setup.py"
                                              : "-c 'import setuptools; setuptools.setup()'");
        infer_package(in, SLICE("python3-dev"), source, true);
    }
    infer_build(in, r, "all files compile", source,
                "find . -name '*.py' -not -path '*/test*' -not -path './.*' -not -path "
                "'*/template*' | head -n 500 | xargs -r " PY
                " -c 'import ast, sys; [ast.parse(open(f, \"rb\").read(), f) for f in "
                "sys.argv[1:]]'");
    // Files for another version of the language are no reason to give up.
    infer_build(in, r, "nothing to build", source, PY " --version");
    infer_package(in, SLICE("python3-venv"), source, true);
    add_tests(in, r, source);
}
