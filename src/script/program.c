#include "script/engine.h"

#include <limits.h>

#include "base/utf8.h"
#include "os/file.h"

// A program's files: which names they have, where they may lie, and reading them once.

enum {
    SOURCES_BYTES_MAX = 64 << 20,
    FUNCTIONS_MAX = 32767, // a function's number is 16 bits in the engine
    CPU_NS = 1000000000,
    SLICE_NS = 2000000,
};

#define HOST_PREFIX "host:"

// ---- specifiers

static int check_specifier(Slice specifier, Err *e)
{
    if (specifier.len == 0 || specifier.len > SCRIPT_SPECIFIER_MAX) {
        return err_set(e, ERR_ARG, "an import's name has %zu bytes; 1 to %d are possible",
                       specifier.len, SCRIPT_SPECIFIER_MAX);
    }
    for (size_t i = 0; i < specifier.len; i++) {
        unsigned char c = (unsigned char)specifier.ptr[i];
        if (c < ' ' || c == 0x7F || c == '\\') {
            return err_set(e, ERR_ARG, "the import's name has byte 0x%02x at position %zu", c, i);
        }
    }
    if (utf8_find_invalid(specifier) >= 0) {
        return err_set(e, ERR_ARG, "the import's name is no UTF-8");
    }
    if (specifier.ptr[0] == '/' || slice_find_byte(specifier, ':') >= 0) {
        return err_set(e, ERR_REFUSED,
                       "import \"%.*s\": only files below the program's directory and host modules "
                       "can be imported",
                       SLICE_FMT(specifier));
    }
    return 0;
}

// Drops the last part of the path that `out` holds from `start` on. False when there is none.
static bool go_up(Buf *out, size_t start)
{
    if (out->len == start) {
        return false;
    }
    while (out->len > start && out->data[out->len - 1] != '/') {
        out->len--;
    }
    out->len -= out->len > start; // the slash
    return true;
}

// Applies the parts of `path` to the directory that `out` holds from `start` on.
static bool walk(Buf *out, size_t start, Slice path)
{
    while (path.len > 0) {
        Slice part;
        (void)slice_cut(path, '/', &part, &path);
        if (slice_eq(part, SLICE(".."))) {
            if (!go_up(out, start)) {
                return false;
            }
        } else if (part.len > 0 && !slice_eq(part, SLICE("."))) {
            if (out->len > start) {
                buf_putc(out, '/');
            }
            buf_append(out, part);
        }
    }
    return true;
}

static Slice directory_of(Slice path)
{
    size_t len = path.len;
    while (len > 0 && path.ptr[len - 1] != '/') {
        len--;
    }
    return slice_sub(path, 0, len);
}

int script_resolve(Slice base, Slice specifier, Buf *out, Err *e)
{
    int rc = check_specifier(specifier, e);
    if (rc != 0) {
        return rc;
    }
    bool relative =
        slice_starts_with(specifier, SLICE("./")) || slice_starts_with(specifier, SLICE("../"));
    if (!relative) {
        buf_puts(out, HOST_PREFIX);
        buf_append(out, specifier);
        return buf_check(out, "the import's name", e);
    }
    size_t start = out->len;
    if (!walk(out, start, directory_of(base)) || !walk(out, start, specifier)) {
        return err_set(e, ERR_REFUSED, "import \"%.*s\" leaves the program's directory",
                       SLICE_FMT(specifier));
    }
    if (out->len == start || specifier.ptr[specifier.len - 1] == '/') {
        return err_set(e, ERR_ARG, "import \"%.*s\" names a directory", SLICE_FMT(specifier));
    }
    return buf_check(out, "the import's name", e);
}

// ---- reading

// The file's real path must lie below the root's: a link that leads out is refused too.
static int check_below(const ScriptProgram *program, const char *name, char *real, Err *e)
{
    Buf path = buf_create(PATH_MAX);
    buf_printf(&path, "%s/%s", program->root, name);
    int rc = buf_check(&path, "the path", e);
    if (rc == 0 && !realpath(path.data, real)) {
        rc = err_set(e, ERR_NOT_FOUND, "there is no file \"%s\"", name);
    }
    buf_done(&path);
    if (rc != 0) {
        return rc;
    }
    Slice root = slice_from_cstr(program->root);
    Slice below = slice_from_cstr(real);
    bool inside = slice_starts_with(below, root) &&
                  (below.ptr[root.len] == '/' || slice_eq(root, SLICE("/")));
    return inside
               ? 0
               : err_set(e, ERR_REFUSED, "\"%s\" is a link out of the program's directory", name);
}

static int read_source(ScriptProgram *program, const char *name, Slice *ret_source, Err *e)
{
    if (!program->root) {
        return err_set(e, ERR_NOT_FOUND, "\"%s\": this program has no directory to import from",
                       name);
    }
    char real[PATH_MAX];
    int rc = check_below(program, name, real, e);
    if (rc != 0) {
        return rc;
    }
    Buf text = buf_create(SCRIPT_SOURCE_BYTES_MAX);
    rc = file_read(real, &text, e);
    if (rc == 0 && arena_left(program->arena) < text.len + 4096) {
        rc = err_set(e, ERR_LIMIT, "the program's files together are too large");
    }
    if (rc == 0) {
        *ret_source = arena_copy(program->arena, buf_slice(&text));
    }
    buf_done(&text);
    return rc;
}

static int add_source(ScriptProgram *program, const char *name, Slice text, Err *e)
{
    ptrdiff_t bad = utf8_find_invalid(text);
    if (bad >= 0) {
        return err_set(e, ERR_PARSE, "%s: byte %td is no UTF-8", name, bad);
    }
    Slice *source = ARENA_NEW(program->arena, Slice);
    *source = text;
    Slice key = arena_copy(program->arena, slice_from_cstr(name));
    if (map_put(&program->sources, key, source) != 0) {
        return err_set(e, ERR_LIMIT, "the program has more than %d files", SCRIPT_MODULES_MAX);
    }
    return 0;
}

// While the program is being loaded, reads the file; later only what was read then.
static int find_source(const ScriptProgram *program, const char *name, Slice *ret_source, Err *e)
{
    Slice *known = map_get(&program->sources, slice_from_cstr(name));
    if (known) {
        *ret_source = *known;
        return 0;
    }
    if (program->frozen) {
        return err_set(e, ERR_NOT_FOUND,
                       "import(\"%s\"): only modules that are also imported statically can be "
                       "imported at run time",
                       name);
    }
    ScriptProgram *loading = (ScriptProgram *)(uintptr_t)program;
    Slice text = {NULL, 0};
    int rc = read_source(loading, name, &text, e);
    if (rc == 0) {
        rc = add_source(loading, name, text, e);
    }
    if (rc == 0) {
        *ret_source = text;
    }
    return rc;
}

// ---- the engine's loader

static void refuse(Script *s, int rc, const char *text)
{
    if (!s->program->frozen) {
        ScriptProgram *loading = (ScriptProgram *)(uintptr_t)s->program;
        loading->load_code = loading->load_code ? loading->load_code : rc;
    }
    (void)script_throw_error(s, rc, text);
}

char *script_normalize_module(JSContext *ctx, const char *base, const char *name, void *opaque)
{
    Err e;
    Buf out = buf_create(2 * SCRIPT_SPECIFIER_MAX);
    int rc = script_resolve(slice_from_cstr(base), slice_from_cstr(name), &out, &e);
    char *result = NULL;
    if (rc == 0) {
        result = js_strndup(ctx, out.data, out.len);
    } else {
        refuse(opaque, rc, e.text);
    }
    buf_done(&out);
    return result;
}

static ptrdiff_t find_host_module(const ScriptProgram *program, Slice name)
{
    for (size_t i = 0; i < program->module_count; i++) {
        if (program->modules[i]->kind == SCRIPT_IMPORT &&
            slice_eq_cstr(name, program->modules[i]->name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static Slice host_name(const char *name)
{
    Slice all = slice_from_cstr(name);
    return slice_starts_with(all, SLICE(HOST_PREFIX))
               ? slice_sub(all, sizeof HOST_PREFIX - 1, all.len)
               : (Slice){NULL, 0};
}

static int init_host_module(JSContext *ctx, JSModuleDef *m)
{
    Script *s = JS_GetContextOpaque(ctx);
    JSAtom atom = JS_GetModuleName(ctx, m);
    const char *name = JS_AtomToCString(ctx, atom);
    JS_FreeAtom(ctx, atom);
    if (!name) {
        return -1;
    }
    ptrdiff_t index = find_host_module(s->program, host_name(name));
    JS_FreeCString(ctx, name);
    if (index < 0) {
        return -1;
    }
    const ScriptModule *module = s->program->modules[index];
    JSValue object = script_module_object(s, (size_t)index);
    if (JS_IsException(object)) {
        return -1;
    }
    int rc = 0;
    for (size_t i = 0; i < module->function_count && rc == 0; i++) {
        const char *function = module->functions[i].name;
        rc = JS_SetModuleExport(ctx, m, function, JS_GetPropertyStr(ctx, object, function));
    }
    if (rc == 0) {
        return JS_SetModuleExport(ctx, m, "default", object);
    }
    JS_FreeValue(ctx, object);
    return rc;
}

static JSModuleDef *load_host_module(Script *s, const char *name)
{
    ptrdiff_t index = find_host_module(s->program, host_name(name));
    if (index < 0) {
        Slice names[64];
        size_t count = 0;
        for (size_t i = 0; i < s->program->module_count && count < COUNT_OF(names); i++) {
            if (s->program->modules[i]->kind == SCRIPT_IMPORT) {
                names[count++] = slice_from_cstr(s->program->modules[i]->name);
            }
        }
        Err e;
        Slice near = slice_nearest(host_name(name), names, count);
        int rc = err_set(&e, ERR_NOT_FOUND,
                         "there is no module \"%.*s\"%s%.*s%s; files are imported as \"./name.js\"",
                         SLICE_FMT(host_name(name)), near.len ? " (did you mean \"" : "",
                         SLICE_FMT(near), near.len ? "\"?)" : "");
        refuse(s, rc, e.text);
        return NULL;
    }
    const ScriptModule *module = s->program->modules[index];
    JSModuleDef *m = JS_NewCModule(s->ctx, name, init_host_module);
    for (size_t i = 0; m && i < module->function_count; i++) {
        if (JS_AddModuleExport(s->ctx, m, module->functions[i].name) < 0) {
            return NULL;
        }
    }
    return m && JS_AddModuleExport(s->ctx, m, "default") < 0 ? NULL : m;
}

JSModuleDef *script_load_module(JSContext *ctx, const char *name, void *opaque)
{
    Script *s = opaque;
    if (host_name(name).ptr) {
        return load_host_module(s, name);
    }
    Err e;
    Slice text = {NULL, 0};
    int rc = find_source(s->program, name, &text, &e);
    if (rc != 0) {
        refuse(s, rc, e.text);
        return NULL;
    }
    JSValue compiled =
        JS_Eval(ctx, text.ptr, text.len, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(compiled)) {
        return NULL;
    }
    // The context keeps the module; the value is one more reference.
    JSModuleDef *m = JS_VALUE_GET_PTR(compiled);
    JS_FreeValue(ctx, compiled);
    return m;
}

JSValue script_compile_entry(Script *s)
{
    Slice text = *(Slice *)map_get(&s->program->sources, slice_from_cstr(s->program->entry));
    JSValue compiled = JS_Eval(s->ctx, text.ptr, text.len, s->program->entry,
                               JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (!JS_IsException(compiled) && JS_ResolveModule(s->ctx, compiled) < 0) {
        JS_FreeValue(s->ctx, compiled);
        return JS_EXCEPTION;
    }
    return compiled;
}

// ---- life

static ScriptLimits fill_limits(ScriptLimits l)
{
    l.heap_bytes = l.heap_bytes ? l.heap_bytes : SCRIPT_HEAP_BYTES;
    l.gc_threshold_bytes =
        l.gc_threshold_bytes ? l.gc_threshold_bytes : (size_t)SCRIPT_GC_THRESHOLD_BYTES;
    l.gc_percent = l.gc_percent ? l.gc_percent : SCRIPT_GC_PERCENT;
    l.cpu_ns = l.cpu_ns ? l.cpu_ns : CPU_NS;
    l.slice_ns = l.slice_ns ? l.slice_ns : SLICE_NS;
    return l;
}

static int collect_modules(ScriptProgram *p, const ScriptProgramOptions *o, Err *e)
{
    static const ScriptModule *const language[] = {
        &script_console,  &script_log,    &script_timers, &script_timer_globals,
        &script_encoding, &script_crypto, &script_url,    &script_text,
    };
    p->module_count = COUNT_OF(language) + o->module_count;
    p->modules = ARENA_ARRAY(p->arena, const ScriptModule *, p->module_count);
    p->first_function = ARENA_ARRAY(p->arena, size_t, p->module_count);
    for (size_t i = 0; i < p->module_count; i++) {
        p->modules[i] = i < COUNT_OF(language) ? language[i] : o->modules[i - COUNT_OF(language)];
        p->first_function[i] = p->function_count;
        p->function_count += p->modules[i]->function_count;
    }
    if (p->function_count > FUNCTIONS_MAX) {
        return err_set(e, ERR_LIMIT, "%zu host functions, the limit is %d", p->function_count,
                       FUNCTIONS_MAX);
    }
    p->functions = ARENA_ARRAY(p->arena, const ScriptFunction *, p->function_count);
    for (size_t i = 0; i < p->module_count; i++) {
        for (size_t k = 0; k < p->modules[i]->function_count; k++) {
            p->functions[p->first_function[i] + k] = &p->modules[i]->functions[k];
        }
    }
    return 0;
}

static int add_entry(ScriptProgram *p, const ScriptProgramOptions *o, Err *e)
{
    Buf name = buf_create(2 * SCRIPT_SPECIFIER_MAX);
    Buf specifier = buf_create(SCRIPT_SPECIFIER_MAX);
    buf_printf(&specifier, "./%s", o->entry);
    int rc = script_resolve((Slice){NULL, 0}, buf_slice(&specifier), &name, e);
    Slice text = {NULL, 0};
    if (rc == 0) {
        p->entry = arena_cstr(p->arena, buf_slice(&name));
        if (!o->source.ptr) {
            rc = read_source(p, p->entry, &text, e);
        } else if (o->source.len > SCRIPT_SOURCE_BYTES_MAX) {
            rc = err_set(e, ERR_LIMIT, "%s has %zu bytes, the limit is %d", p->entry, o->source.len,
                         SCRIPT_SOURCE_BYTES_MAX);
        } else {
            text = arena_copy(p->arena, o->source);
        }
    }
    if (rc == 0) {
        rc = add_source(p, p->entry, text, e);
    }
    buf_done(&specifier);
    buf_done(&name);
    return rc;
}

// Compiles everything once, on a heap that is thrown away.
static int check_program(ScriptProgram *p, Err *e)
{
    Script *s = mem_zalloc(sizeof *s);
    s->program = p;
    int rc = script_engine_open(s, e);
    if (rc == 0) {
        JSValue compiled = script_compile_entry(s);
        if (JS_IsException(compiled)) {
            rc = script_take_exception(s, e);
            // What the compiler throws by itself is a mistake in the text.
            rc = p->load_code != 0 ? p->load_code : rc == ERR_SCRIPT ? ERR_PARSE : rc;
            if (e) {
                e->code = rc;
            }
        } else {
            JS_FreeValue(s->ctx, compiled);
        }
    }
    script_engine_close(s, false);
    free(s);
    return rc;
}

int script_program_load(const ScriptProgramOptions *options, ScriptProgram **ret_program, Err *e)
{
    Arena *arena = arena_create(SOURCES_BYTES_MAX);
    ScriptProgram *p = ARENA_NEW(arena, ScriptProgram);
    p->arena = arena;
    p->parts = options->parts ? options->parts : SCRIPT_PARTS_ALL;
    p->limits = fill_limits(options->limits);
    p->sources = map_create(SCRIPT_MODULES_MAX, 0);
    int rc = 0;
    if (p->limits.heap_bytes < SCRIPT_HEAP_BYTES_MIN) {
        rc =
            err_set(e, ERR_ARG, "a script's heap must be %d bytes at least", SCRIPT_HEAP_BYTES_MIN);
    }
    if (rc == 0 && options->root) {
        char real[PATH_MAX];
        if (realpath(options->root, real)) {
            p->root = (char *)(uintptr_t)arena_cstr(arena, slice_from_cstr(real));
        } else {
            rc = err_set(e, ERR_NOT_FOUND, "there is no directory \"%s\"", options->root);
        }
    }
    if (rc == 0) {
        rc = collect_modules(p, options, e);
    }
    if (rc == 0) {
        rc = add_entry(p, options, e);
    }
    if (rc == 0) {
        rc = check_program(p, e);
    }
    if (rc != 0) {
        script_program_destroy(p);
        return rc;
    }
    p->frozen = true;
    *ret_program = p;
    return 0;
}

void script_program_destroy(ScriptProgram *program)
{
    if (program) {
        map_done(&program->sources);
        arena_destroy(program->arena);
    }
}
