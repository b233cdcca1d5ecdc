#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "script/host.h"

// A processor clock that moves with every look at it: an endless loop ends after so many looks,
// whatever the machine does.
typedef struct TickClock {
    Clock clock;
    int64_t step_ns;
    int64_t *now_ns;
} TickClock;

static int64_t tick_now(const Clock *clock)
{
    const TickClock *t = (const TickClock *)clock; // its first member
    return *t->now_ns += t->step_ns;
}

typedef struct World {
    ManualClock manual;
    Loop *loop;
    FiberPool *fibers;
    TickClock tick;
    int64_t cpu_now_ns;
    ScriptProgram *program;
    ScriptPool *pool;
    ScriptLimits limits;
    ScriptCallOptions call;
    Buf log;
    char dir[64];
    bool cancel_on_wait;
} World;

// ---- host functions of the tests

static int host_wait(ScriptCall *call, Err *e)
{
    double ms;
    int rc = script_arg_to_number(call, 0, "ms", &ms, e);
    if (rc != 0) {
        return rc;
    }
    World *w = script_host(call);
    if (w->cancel_on_wait) {
        fiber_cancel(fiber_self());
    }
    rc = fiber_sleep((int64_t)(ms * 1e6));
    script_return_number(call, ms);
    return rc == 0 ? 0 : err_set(e, (ErrCode)rc, "interrupted");
}

static int host_fail(ScriptCall *call, Err *e)
{
    (void)call;
    return err_set(e, ERR_REFUSED, "the guard said no");
}

static int host_echo(ScriptCall *call, Err *e)
{
    Buf json = buf_create(1 << 20);
    int rc = script_arg_to_json(call, 0, "the value", &json, e);
    if (rc == 0) {
        rc = script_return_json(call, buf_slice(&json), e);
    }
    buf_done(&json);
    return rc;
}

typedef struct Op {
    ScriptPromise promise;
    Fiber *fiber;
    int64_t ns;
    char text[32];
} Op;

static void op_run(void *arg)
{
    Op *op = arg;
    int rc = fiber_sleep(op->ns);
    Err e;
    if (rc != 0) {
        (void)err_set(&e, (ErrCode)rc, "the operation was cancelled");
    } else if (op->ns == 13 * NS_PER_MS) {
        rc = err_set(&e, ERR_CONNECT, "thirteen");
    }
    script_promise_settle(&op->promise, rc, slice_from_cstr(op->text), &e);
}

static void op_cancel(ScriptPromise *promise)
{
    fiber_cancel(CONTAINER_OF(promise, Op, promise)->fiber);
}

static void op_release(ScriptPromise *promise)
{
    free(CONTAINER_OF(promise, Op, promise));
}

static int host_later(ScriptCall *call, Err *e)
{
    double ms;
    int rc = script_arg_to_number(call, 0, "ms", &ms, e);
    if (rc != 0) {
        return rc;
    }
    Op *op = mem_zalloc(sizeof *op);
    op->promise.cancel = op_cancel;
    op->promise.release = op_release;
    op->ns = (int64_t)(ms * 1e6);
    (void)snprintf(op->text, sizeof op->text, "{\"after\":%d}", (int)ms);
    rc = script_promise_start(call, &op->promise, e);
    if (rc != 0) {
        free(op);
        return rc;
    }
    op->fiber = fiber_spawn(fiber_pool(), "op", op_run, op);
    assert_non_null(op->fiber);
    return 0;
}

static const ScriptFunction host_functions[] = {{"wait", 1, host_wait},
                                                {"fail", 0, host_fail},
                                                {"echo", 1, host_echo},
                                                {"later", 1, host_later}};
static const ScriptModule host_module = {SCRIPT_IMPORT, "host", host_functions,
                                         COUNT_OF(host_functions)};
static const ScriptModule host_object = {SCRIPT_OBJECT, "ctx", host_functions,
                                         COUNT_OF(host_functions)};
static const ScriptModule *const modules[] = {&host_module, &host_object};

// ---- the world

static void on_log(void *context, LogLevel level, Slice text)
{
    World *w = context;
    buf_printf(&w->log, "%s:%.*s\n", log_level_name(level), SLICE_FMT(text));
}

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    clock_manual_init(&w->manual, NS_PER_S, 0);
    if (loop_create(&(LoopOptions){.manual = &w->manual, .auto_advance = true}, &w->loop, NULL)) {
        return -1;
    }
    w->fibers = fiber_pool_create(w->loop, &(FiberOptions){.stack_bytes = 256 << 10});
    w->tick = (TickClock){.clock = {tick_now, tick_now}, .step_ns = 1000, .now_ns = &w->cpu_now_ns};
    w->log = buf_create(1 << 20);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/pw_script_test_XXXXXX");
    *state = w;
    return mkdtemp(w->dir) ? 0 : -1;
}

static void close_program(World *w)
{
    script_pool_destroy(w->pool);
    script_program_destroy(w->program);
    w->pool = NULL;
    w->program = NULL;
}

static int teardown(void **state)
{
    World *w = *state;
    close_program(w);
    fiber_pool_destroy(w->fibers);
    loop_destroy(w->loop);
    buf_done(&w->log);
    Err e;
    int rc = dir_remove_all(w->dir, &e);
    free(w);
    return rc;
}

static void write_file(World *w, const char *name, const char *text)
{
    Err e;
    Buf path = buf_create(4096);
    buf_printf(&path, "%s/%s", w->dir, name);
    for (size_t i = strlen(w->dir) + 1; i < path.len; i++) {
        if (path.data[i] == '/') {
            path.data[i] = '\0';
            assert_int_equal(dir_make_all(path.data, &e), 0);
            path.data[i] = '/';
        }
    }
    assert_int_equal(file_write(path.data, slice_from_cstr(text), NULL, &e), 0);
    buf_done(&path);
}

static int load(World *w, const char *source, bool files, Err *e)
{
    close_program(w);
    ScriptProgramOptions options = {
        .root = files ? w->dir : NULL,
        .entry = "main.js",
        .source = slice_from_cstr(source),
        .modules = modules,
        .module_count = COUNT_OF(modules),
        .limits = w->limits,
    };
    int rc = script_program_load(&options, &w->program, e);
    if (rc == 0) {
        ScriptPoolOptions pool = {
            .check_leaks = true,
            .script = {.cpu_clock = &w->tick.clock, .host = w, .log = on_log, .log_context = w}};
        w->pool = script_pool_create(w->program, w->loop, &pool);
    }
    return rc;
}

typedef struct Activation {
    World *w;
    const char *function;
    const ScriptArg *args;
    size_t arg_count;
    int rc;
    Err e;
    Buf out;
    bool spent;
    char failure[512];
    int64_t ended_ns;
} Activation;

static void activate(void *arg)
{
    Activation *a = arg;
    World *w = a->w;
    Script *script;
    a->rc = script_pool_borrow(w->pool, NEVER_NS, &script, &a->e);
    if (a->rc != 0) {
        return;
    }
    ScriptCallOptions call = w->call;
    a->rc = script_call(script, a->function, a->args, a->arg_count, &call, &a->out, &a->e);
    ScriptFailure f = script_failure(script);
    (void)snprintf(a->failure, sizeof a->failure, "%.*s|%.*s", SLICE_FMT(f.name),
                   SLICE_FMT(f.message));
    a->spent = script_is_spent(script);
    a->ended_ns = loop_clock(w->loop);
    script_pool_give(w->pool, script);
}

static void run_until_idle(World *w)
{
    while (fiber_pool_stats(w->fibers).alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

// One call of `f` in a program of that source. The caller frees a->out.
static void run_args(World *w, const char *source, const ScriptArg *args, size_t count,
                     Activation *a)
{
    *a = (Activation){.w = w, .function = "f", .args = args, .arg_count = count};
    a->out = buf_create(1 << 20);
    Err e;
    int rc = load(w, source, false, &e);
    if (rc != 0) {
        fail_msg("load: %s", e.text);
    }
    assert_non_null(fiber_spawn(w->fibers, "activation", activate, a));
    run_until_idle(w);
}

static void run(World *w, const char *source, Activation *a)
{
    run_args(w, source, NULL, 0, a);
}

static void returns(World *w, const char *source, const char *json)
{
    Activation a;
    run(w, source, &a);
    if (a.rc != 0) {
        fail_msg("%s\n-> %s", source, a.e.text);
    }
    assert_string_equal(a.out.data ? a.out.data : "(nothing)", json);
    buf_done(&a.out);
}

static void fails(World *w, const char *source, int code, const char *text, bool spent)
{
    Activation a;
    run(w, source, &a);
    if (a.rc != code) {
        fail_msg("%s\n-> %d %s", source, a.rc, a.rc ? a.e.text : a.out.data);
    }
    assert_int_equal(a.e.code, code);
    if (!strstr(a.e.text, text)) {
        fail_msg("\"%s\" is not in \"%s\"", text, a.e.text);
    }
    assert_int_equal(a.spent, spent);
    buf_done(&a.out);
}

// ---- values

static void test_values_cross_the_border(void **state)
{
    static const struct {
        const char *source, *json;
    } cases[] = {
        {"export const f = () => 1 + 1", "2"},
        {"export const f = () => undefined", "(nothing)"},
        {"export const f = () => null", "null"},
        {"export const f = () => ({a: [1, 'x', true, null, undefined], b: undefined, c: NaN})",
         "{\"a\":[1,\"x\",true,null,null],\"c\":null}"},
        {"export const f = () => new Date(0)", "\"1970-01-01T00:00:00.000Z\""},
        {"export const f = () => 'gr\\u00fc\\u00df \\u{1F600} \\0'",
         "\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80 \\u0000\""},
        // A surrogate without its partner is no character.
        {"export const f = () => 'a\\ud800b\\udc00'", "\"a\\ufffdb\\ufffd\""},
        {"export const f = () => '\\\\ud800'", "\"\\\\ud800\""},
        {"export const f = () => ({['__proto__']: 1})", "{\"__proto__\":1}"},
        {"import {echo} from 'host'; export const f = () => echo({x: [1.5, -0, 1e300]})",
         "{\"x\":[1.5,0,1e+300]}"},
        {"import host from 'host'; export const f = () => host.echo('\\ud83d')",
         "\"\xEF\xBF\xBD\""},
        {"export async function f() { await null; return 7 }", "7"},
        {"export const f = () => [...new Map([[1, 2]])].length + 2n.toString().length", "2"},
        {"export const f = () => /(?<y>\\d+)-/.exec('ab 12-3').groups.y", "\"12\""},
        {"export default 1; export const f = () => typeof globalThis.process", "\"undefined\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        returns(*state, cases[i].source, cases[i].json);
    }
}

static void test_arguments(void **state)
{
    World *w = *state;
    Arena *arena = arena_create(1 << 20);
    const Doc *doc;
    Err e;
    assert_int_equal(
        doc_parse(arena, SLICE("{\"__proto__\":{\"x\":1},\"n\":9007199254740993}"), NULL, &doc, &e),
        0);
    ScriptArg args[] = {script_arg_json(SLICE("{\"k\":[1,\"\\u00e9\"]}")),
                        script_arg_string(SLICE("plain")),
                        script_arg_number(2.5),
                        script_arg_doc(doc),
                        script_arg_object(&host_object),
                        {.kind = SCRIPT_ARG_UNDEFINED}};
    Activation a;
    run_args(w,
             "export const f = (j, s, n, d, o, u) => [j.k[1], s, n, Object.keys(d),"
             "  Object.getPrototypeOf(d) === Object.prototype, d.n, o.echo(3), u === undefined]",
             args, COUNT_OF(args), &a);
    assert_int_equal(a.rc, 0);
    // 2^53 + 1 is no JavaScript number: the nearest one is 2^53.
    assert_string_equal(a.out.data, "[\"\xC3\xA9\",\"plain\",2.5,[\"__proto__\",\"n\"],true,"
                                    "9007199254740992,3,true]");
    buf_done(&a.out);
    ScriptArg bad = script_arg_json(SLICE("{\"k\":"));
    run_args(w, "export const f = (j) => j", &bad, 1, &a);
    assert_int_equal(a.rc, ERR_SCRIPT);
    assert_non_null(strstr(a.e.text, "SyntaxError"));
    buf_done(&a.out);
    arena_destroy(arena);
}

static void test_result_ceiling(void **state)
{
    World *w = *state;
    Activation a;
    run(w, "export const f = () => 'x'.repeat((1 << 20) - 2)", &a);
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.out.len, 1 << 20);
    buf_done(&a.out);
    run(w, "export const f = () => 'x'.repeat((1 << 20) - 1)", &a);
    assert_int_equal(a.rc, ERR_LIMIT);
    assert_false(a.spent);
    buf_done(&a.out);
}

static void test_deep_values_are_errors(void **state)
{
    fails(*state,
          "export const f = () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a];"
          " return a }",
          ERR_SCRIPT, "stack overflow", false);
    fails(*state, "export const f = () => JSON.parse('['.repeat(1e5))", ERR_SCRIPT, "", false);
    fails(*state, "export const f = () => { const a = {}; a.a = a; return a }", ERR_SCRIPT,
          "circular", false);
}

// ---- errors

static void test_errors_say_what_and_where(void **state)
{
    static const struct {
        const char *source;
        int code;
        const char *text;
    } cases[] = {
        {"function g() {\n  null.x\n}\nexport function f() {\n  g()\n}", ERR_SCRIPT, "main.js:2:"},
        {"function g() {\n  null.x\n}\nexport function f() {\n  g()\n}", ERR_SCRIPT, "(in g < f)"},
        {"export function f() { throw new RangeError('too far') }", ERR_SCRIPT,
         "RangeError: too far"},
        {"export function f() { throw {reason: 5} }", ERR_SCRIPT, "{\"reason\":5}"},
        {"export function f() { throw 'words' }", ERR_SCRIPT, "words"},
        {"export function f() { throw undefined }", ERR_SCRIPT, "undefined"},
        {"export function f() { throw Symbol('s') }", ERR_SCRIPT, "something that has no text"},
        {"export function f() { throw {toString() { throw 1 }, toJSON() { throw 2 }} }", ERR_SCRIPT,
         "something that has no text"},
        {"export function f() { const e = new Error('x'); Object.defineProperty(e, 'message',"
         " {get() { throw e }}); throw e }",
         ERR_SCRIPT, "Error"},
        {"export async function f() { await 0; throw new Error('later') }", ERR_SCRIPT, "later"},
        {"export const f = () => Promise.reject(new TypeError('no'))", ERR_SCRIPT, "TypeError: no"},
        {"import {fail} from 'host'; export const f = () => fail()", ERR_REFUSED,
         "the guard said no"},
        {"import {fail} from 'host'; export const f = () => { try { fail() } catch (e) {"
         " throw new Error(e.code + '/' + e.message) } }",
         ERR_SCRIPT, "ERR_REFUSED/the guard said no"},
        {"export const f = () => { throw Object.assign(new Error('mine'), {code: 'ERR_LIMIT'}) }",
         ERR_LIMIT, "mine"},
        // Only the runtime cancels.
        {"export const f = () => { throw Object.assign(new Error('mine'),"
         " {code: 'ERR_CANCELLED'}) }",
         ERR_SCRIPT, "mine"},
        {"import {wait} from 'host'; export const f = () => wait('soon')", ERR_ARG,
         "ms must be a number and is a string"},
        {"import {echo} from 'host'; export const f = () => echo({toJSON() {"
         " throw new RangeError('mine') }})",
         ERR_SCRIPT, "RangeError: mine"},
        {"export const f = () => new Promise(() => {})", ERR_SCRIPT, "can never settle"},
        {"export const g = 1", ERR_NOT_FOUND, "exports no function \"f\""},
        {"export const f = 1", ERR_NOT_FOUND, "exports no function \"f\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fails(*state, cases[i].source, cases[i].code, cases[i].text, false);
    }
    Activation a;
    run(*state, "export function f() { throw new RangeError('too far') }", &a);
    assert_string_equal(a.failure, "RangeError|too far");
    buf_done(&a.out);
}

static void test_programs_that_do_not_load(void **state)
{
    World *w = *state;
    static const struct {
        const char *source;
        int code;
        const char *text;
    } cases[] = {
        {"export const f = ;", ERR_PARSE, "main.js:1:18: SyntaxError"},
        {"import x from 'hots'", ERR_NOT_FOUND, "did you mean \"host\"?"},
        {"import x from './gone.js'", ERR_NOT_FOUND, "no directory"},
        {"import x from '../gone.js'", ERR_REFUSED, "leaves the program's directory"},
        {"import x from '/etc/passwd'", ERR_REFUSED, "only files below"},
        {"import x from 'file:///etc/passwd'", ERR_REFUSED, "only files below"},
        {"import x from 'https://example.com/a.js'", ERR_REFUSED, "only files below"},
        {"import {nothing} from 'host'", ERR_PARSE, "nothing"},
        {"\xFF", ERR_PARSE, "no UTF-8"},
    };
    Err e;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int rc = load(w, cases[i].source, false, &e);
        if (strstr(cases[i].source, "{nothing}")) {
            // Found when the modules are linked, which is when the first instance is made.
            assert_int_equal(rc, 0);
            Script *script;
            rc = script_pool_borrow(w->pool, 0, &script, &e);
            assert_int_equal(rc, ERR_SCRIPT);
        } else {
            assert_int_equal(rc, cases[i].code);
        }
        if (!strstr(e.text, cases[i].text)) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].text, e.text);
        }
    }
    w->limits.heap_bytes = SCRIPT_HEAP_BYTES_MIN - 1;
    assert_int_equal(load(w, "export const f = 1", false, &e), ERR_ARG);
    w->limits.heap_bytes = SCRIPT_HEAP_BYTES_MIN;
    assert_int_equal(load(w, "export const f = 1", false, &e), 0);
}

// ---- limits

static void test_endless_loops_end(void **state)
{
    World *w = *state;
    static const char *const sources[] = {
        "export const f = () => { for (;;) {} }",
        "export const f = () => { for (;;) { try { for (;;) {} } catch (e) {} finally {} } }",
        ("export async function f() { const g = async () => { for (;;) {} };"
         " for (;;) { try { await g() } catch (e) {} } }"),
        "export const f = () => { const g = () => Promise.resolve().then(g); return g() }",
        "export const f = () => { const t = {then(r) { r(t) }}; return Promise.resolve(t) }",
        "export const f = () => /^(a+)+$/.test('a'.repeat(40) + 'b')",
        "export const f = () => ({toJSON() { for (;;) {} }})",
        "import {echo} from 'host'; export const f = () => { for (;;) echo(1) }",
        "export const f = () => [1].map(() => { for (;;) {} })",
        "export const f = () => [2, 1].sort(() => { for (;;) {} })",
        "export const f = () => new Proxy({}, {get() { for (;;) {} }}).x",
        "export const f = () => setInterval(() => {}, 0) && new Promise(() => { for (;;) {} })",
    };
    w->limits.cpu_ns = 3 * NS_PER_MS;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        fails(w, sources[i], ERR_LIMIT, "computed for more than its 3 ms", true);
    }
}

static void test_array_methods_do_not_walk_for_ever(void **state)
{
    static const char *const walks[] = {
        "Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)",
        "Array.prototype.forEach.call({length: 2 ** 53 - 1}, () => {})",
        "Object.assign([], {length: 2 ** 32 - 1}).reverse()",
        "Array.prototype.join.call({length: 10000001})",
    };
    for (size_t i = 0; i < COUNT_OF(walks); i++) {
        char source[256];
        (void)snprintf(source, sizeof source, "export const f = () => %s", walks[i]);
        fails(*state, source, ERR_SCRIPT, "more than an array method may walk", false);
    }
    returns(*state, "export const f = () => [3, 1, 2].sort().map(x => x * 2).indexOf(6)", "2");
    returns(*state, "export const f = () => Array.prototype.map.name", "\"map\"");
    returns(*state, "export const f = () => Array.prototype.indexOf.call({length: 1e7}, 1)", "-1");
}

static void test_recursion_is_an_error_to_catch(void **state)
{
    fails(*state, "export const f = () => f() + 1", ERR_SCRIPT, "stack overflow", false);
    returns(*state,
            "let d = 0; const g = () => { d++; g() };"
            "export const f = () => { try { g() } catch (e) { return d > 30 } }",
            "true");
}

static void test_heap_limit(void **state)
{
    World *w = *state;
    w->limits.heap_bytes = 4 << 20;
    static const char *const sources[] = {
        "export const f = () => { const a = []; for (;;) a.push({}) }",
        "export const f = () => { const a = []; for (;;) a.push('x'.repeat(1000) + a.length) }",
        "export const f = () => { for (;;) { try { 'x'.repeat(1 << 28) } catch (e) {} } }",
        "export const f = () => new Uint8Array(1 << 30)",
        "export const f = () => new Array(1e6).fill(0).map(() => [1])",
        "export async function f() { const a = []; for (;;) { a.push('x' + a.length);"
        " try { await a } catch (e) {} } }",
        "export const f = () => setInterval(() => 0, 1) && new Promise(() => {"
        " const m = new Map(); for (let i = 0;; i++) m.set(i, [i]) })",
    };
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        fails(w, sources[i], ERR_LIMIT, "more than its 4096 KiB of heap", true);
    }
    returns(w, "export const f = () => 'x'.repeat(1 << 20).length", "1048576");
}

static void test_deadline(void **state)
{
    World *w = *state;
    Activation a;
    w->call.deadline_ns = loop_clock(w->loop) + 20 * NS_PER_MS;
    static const char *const sources[] = {
        ("import {sleep} from 'timers'; export const f = () => { try { sleep(1000) } catch (e) {"
         " return 'caught' } }"),
        "export const f = () => new Promise((r) => setTimeout(r, 1000))",
        "import {later} from 'host'; export const f = () => later(1000)",
    };
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        w->call.deadline_ns = loop_clock(w->loop) + 20 * NS_PER_MS;
        run(w, sources[i], &a);
        assert_int_equal(a.rc, ERR_TIMEOUT);
        assert_true(a.ended_ns == w->call.deadline_ns);
        assert_true(a.spent);
        buf_done(&a.out);
    }
}

static void test_cancelling_cannot_be_caught(void **state)
{
    World *w = *state;
    w->cancel_on_wait = true;
    fails(w,
          "import {wait} from 'host'; export const f = () => {"
          " try { wait(1) } catch (e) { return 1 } finally { return 2 } }",
          ERR_CANCELLED, "cancelled", true);
    fails(w,
          "import {wait} from 'host'; const g = async () => wait(1);"
          "export async function f() { for (;;) { try { await g() } catch (e) {} } }",
          ERR_CANCELLED, "cancelled", true);
}

// Cancelled from outside while it stands in each kind of wait.
static void test_cancelled_while_parked(void **state)
{
    World *w = *state;
    static const char *const sources[] = {
        "import {wait} from 'host'; export const f = () => { try { wait(1e6) } catch (e) {} }",
        "import {later} from 'host'; export const f = async () => { try { await later(1e6) }"
        " catch (e) {} }",
        "export const f = () => new Promise((r) => setTimeout(r, 1e6))",
        "import {later} from 'host'; export const f = () => Promise.all([later(1e6), later(2e6),"
        " later(1)])",
    };
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        Err e;
        Activation a = {.w = w, .function = "f", .out = buf_create(1 << 20)};
        assert_int_equal(load(w, sources[i], false, &e), 0);
        Fiber *f = fiber_spawn(w->fibers, "activation", activate, &a);
        while (fiber_state(f) != FIBER_PARKED) {
            (void)loop_tick(w->loop, 0);
        }
        fiber_cancel(f);
        run_until_idle(w);
        assert_int_equal(a.rc, ERR_CANCELLED);
        assert_true(a.spent);
        assert_true(a.ended_ns < 3000 * NS_PER_S);
        buf_done(&a.out);
    }
}

// A computing script lets others run: both make progress though neither ever waits.
static void test_computing_scripts_take_turns(void **state)
{
    World *w = *state;
    Err e;
    w->tick.step_ns = 100 * NS_PER_US;
    assert_int_equal(load(w,
                          "export const f = () => { let x = 0;"
                          " for (let i = 0; i < 2e6; i++) x += i; return x }",
                          false, &e),
                     0);
    Activation a = {.w = w, .function = "f", .out = buf_create(100)};
    Activation b = a;
    b.out = buf_create(100);
    assert_non_null(fiber_spawn(w->fibers, "a", activate, &a));
    assert_non_null(fiber_spawn(w->fibers, "b", activate, &b));
    run_until_idle(w);
    assert_string_equal(a.out.data, "1999999000000");
    assert_string_equal(b.out.data, "1999999000000");
    assert_true(fiber_pool_stats(w->fibers).switches > 10);
    buf_done(&a.out);
    buf_done(&b.out);
}

// ---- waiting

static void test_waiting(void **state)
{
    static const struct {
        const char *source, *json;
    } cases[] = {
        {"import {wait} from 'host'; export const f = () => wait(5) + wait(6)", "11"},
        {"import {wait} from 'host'; export const f = async () => await wait(5)", "5"},
        {"import {later} from 'host'; export const f = () => later(3)", "{\"after\":3}"},
        {"import {later} from 'host'; import {now} from 'timers';"
         "export const f = async () => { const t = now(); const r = await Promise.all("
         "  [later(30), later(10), later(20)]); return [r.map(x => x.after), now() - t] }",
         "[[30,10,20],30]"},
        {"import {later} from 'host';"
         "export const f = async () => (await Promise.race([later(30), later(10)])).after",
         "10"},
        {"import {later} from 'host'; export const f = async () => { try { await later(13) }"
         " catch (e) { return [e.code, e.message] } }",
         "[\"ERR_CONNECT\",\"thirteen\"]"},
        {"import {sleep, now} from 'timers'; export const f = () => { const t = now(); sleep(7);"
         " return now() - t }",
         "7"},
        {"const order = []; export const f = () => new Promise((r) => {"
         " setTimeout(() => { order.push(3); r(order) }, 3); setTimeout((x) => order.push(x), 1, "
         "1);"
         " const t = setTimeout(() => order.push(2), 2); clearTimeout(t); clearTimeout(99);"
         " clearTimeout('x') })",
         "[1,3]"},
        {"export const f = () => new Promise((r) => { let n = 0; const t = setInterval(() => {"
         " if (++n == 3) { clearInterval(t); r(n) } }, 10) })",
         "3"},
        {"const e = await new Promise((r) => r(5)); export const f = () => e", "5"},
        {"import {sleep} from 'timers'; sleep(5); export const f = () => 1", "1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        returns(*state, cases[i].source, cases[i].json);
    }
    fails(*state,
          "export const f = () => new Promise(() => setTimeout(() => { throw Error('t') }, 1))",
          ERR_SCRIPT, "t", false);
}

static void test_what_is_left_is_dropped_or_waited_for(void **state)
{
    World *w = *state;
    const char *source = "import {later} from 'host'; export const f = () => {"
                         " setTimeout(() => console.log('timer'), 50);"
                         " later(70).then(() => console.log('later'), () => 0); return 1 }";
    int64_t start_ns = loop_clock(w->loop);
    Activation a;
    run(w, source, &a);
    assert_int_equal(a.rc, 0);
    assert_true(a.ended_ns == start_ns);
    assert_int_equal(w->log.len, 0);
    buf_done(&a.out);
    w->call.wait_for_all = true;
    run(w, source, &a);
    assert_int_equal(a.rc, 0);
    assert_true(a.ended_ns == start_ns + 70 * NS_PER_MS);
    assert_string_equal(w->log.data, "info:timer\ninfo:later\n");
    buf_done(&a.out);
}

static void test_unhandled_rejections_are_told(void **state)
{
    World *w = *state;
    returns(w, "export const f = () => { Promise.reject(new Error('lost')); return 1 }", "1");
    assert_string_equal(w->log.data,
                        "warn:a promise was rejected and nobody handled it: Error: lost\n");
    buf_reset(&w->log);
    returns(w, "export const f = () => { Promise.reject(1).catch(() => 0); return 1 }", "1");
    assert_int_equal(w->log.len, 0);
}

static void test_timers_and_promises_have_ceilings(void **state)
{
    returns(*state,
            "export const f = () => { try { for (let i = 0; i < 10001; i++)"
            " setTimeout(() => 0, 1e9) } catch (e) { return e.code + ': ' + e.message } }",
            "\"ERR_LIMIT: more than 10000 timers\"");
    returns(*state,
            "import {later} from 'host'; export const f = () => { let n = 0; try { for (;;)"
            " { later(1e6).catch(() => 0); n++ } } catch (e) { return [n, e.code] } }",
            "[1000,\"ERR_LIMIT\"]");
}

// ---- modules

static void test_modules_from_files(void **state)
{
    World *w = *state;
    write_file(w, "lib/a.js", "import {b} from './b.js'; export const a = () => b() + 1");
    write_file(w, "lib/b.js", "import {a} from './a.js'; export function b() { return 41 }");
    write_file(w, "c.js",
               "export default import.meta.url === undefined; export let n = 0;"
               "export function up() { return ++n }");
    Err e;
    int rc = load(w,
                  "import {a} from './lib/a.js'; import c, {up, n} from './lib/.././c.js';"
                  "export const f = () => { up(); return [a(), c, n] }",
                  true, &e);
    assert_int_equal(rc, 0);
    Activation one = {.w = w, .function = "f", .out = buf_create(100)};
    assert_non_null(fiber_spawn(w->fibers, "activation", activate, &one));
    run_until_idle(w);
    assert_int_equal(one.rc, 0);
    assert_string_equal(one.out.data, "[42,true,1]");
    buf_done(&one.out);
    // What was not read at the start is not read later.
    rc = load(w, "export const f = async () => (await import('./c.js')).n", true, &e);
    assert_int_equal(rc, 0);
    Activation late = {.w = w, .function = "f", .out = buf_create(100)};
    assert_non_null(fiber_spawn(w->fibers, "activation", activate, &late));
    run_until_idle(w);
    assert_int_equal(late.rc, ERR_NOT_FOUND);
    buf_done(&late.out);
}

static void test_links_out_of_the_directory_are_refused(void **state)
{
    World *w = *state;
    Buf path = buf_create(4096);
    buf_printf(&path, "%s/out.js", w->dir);
    assert_int_equal(symlink("/etc/hostname", path.data), 0);
    write_file(w, "real.js", "export default 5");
    Err e;
    assert_int_equal(load(w, "import x from './out.js'; export const f = () => x", true, &e),
                     ERR_REFUSED);
    assert_non_null(strstr(e.text, "a link out of the program's directory"));
    buf_reset(&path);
    buf_printf(&path, "%s/in.js", w->dir);
    assert_int_equal(symlink("real.js", path.data), 0);
    assert_int_equal(load(w, "import x from './in.js'; export const f = () => x", true, &e), 0);
    assert_int_equal(load(w, "import x from './gone.js'", true, &e), ERR_NOT_FOUND);
    buf_done(&path);
}

static void test_specifiers(void **state)
{
    (void)state;
    static const struct {
        const char *base, *specifier, *result;
        int code;
    } cases[] = {
        {"main.js", "./a.js", "a.js", 0},
        {"x/y/main.js", "./a.js", "x/y/a.js", 0},
        {"x/y/main.js", "../a.js", "x/a.js", 0},
        {"x/y/main.js", "../../a.js", "a.js", 0},
        {"x/y/main.js", "../../../a.js", NULL, ERR_REFUSED},
        {"x/main.js", "./../../x/a.js", NULL, ERR_REFUSED},
        {"x/main.js", ".//q/./a.js", "x/q/a.js", 0},
        {"main.js", "timers", "host:timers", 0},
        {"main.js", "k6/http", "host:k6/http", 0},
        {"main.js", ".", "host:.", 0}, // no such module
        {"main.js", "./", NULL, ERR_ARG},
        {"x/main.js", "..", "host:..", 0},
        {"x/main.js", "../", NULL, ERR_ARG},
        {"main.js", "", NULL, ERR_ARG},
        {"main.js", "/etc/passwd", NULL, ERR_REFUSED},
        {"main.js", "file:a.js", NULL, ERR_REFUSED},
        {"main.js", "./a\\..\\b.js", NULL, ERR_ARG},
        {"main.js", "./a\nb.js", NULL, ERR_ARG},
        {"main.js", "./\xFF.js", NULL, ERR_ARG},
        {"main.js", "./...js", "...js", 0},
        {"main.js", "./..a/b.js", "..a/b.js", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf out = buf_create(4096);
        int rc = script_resolve(slice_from_cstr(cases[i].base), slice_from_cstr(cases[i].specifier),
                                &out, NULL);
        assert_int_equal(rc, cases[i].code);
        if (rc == 0) {
            assert_string_equal(out.data, cases[i].result);
        }
        buf_done(&out);
    }
    char longest[SCRIPT_SPECIFIER_MAX + 1];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "./", 2);
    Buf out = buf_create(4096);
    assert_int_equal(script_resolve(SLICE("m"), (Slice){longest, SCRIPT_SPECIFIER_MAX}, &out, NULL),
                     0);
    assert_int_equal(
        script_resolve(SLICE("m"), (Slice){longest, SCRIPT_SPECIFIER_MAX + 1}, &out, NULL),
        ERR_ARG);
    buf_done(&out);
}

// ---- the language-level modules

static void test_library(void **state)
{
    // RFC 4648 section 10; FIPS 180-2 appendix B.1 ("abc"); RFC 4231 test case 2.
    static const struct {
        const char *source, *json;
    } cases[] = {
        {"import * as e from 'encoding'; export const f = () => [e.b64encode('foobar'),"
         " e.b64encode('f'), e.b64encode('fo', 'raw'), e.b64decode('Zm9vYg=='),"
         " e.b64decode('Zm9vYg', 'raw')]",
         "[\"Zm9vYmFy\",\"Zg==\",\"Zm8\",\"foob\",\"foob\"]"},
        {"import * as e from 'encoding'; export const f = () => { const b = new Uint8Array("
         " [251, 255, 254]); return [e.b64encode(b), e.b64encode(b, 'url'), new Uint8Array("
         " e.b64decode('-__-', 'rawurl', 'bytes'))[0], e.hexEncode(b.subarray(1)),"
         " e.hexDecode('616263')] }",
         "[\"+//+\",\"-__-\",251,\"fffe\",\"abc\"]"},
        {"import {utf8Encode, utf8Decode} from 'encoding'; export const f = () =>"
         " [utf8Encode('\\u00e9').byteLength, utf8Decode(new Uint8Array([0xc3, 0xa9]))]",
         "[2,\"\xC3\xA9\"]"},
        {"import {sha256, hash, hmac, randomBytes, randomUUID} from 'crypto'; export const f = ()"
         " => [sha256('abc'), hash('md5', ''), hmac('sha256', 'Jefe',"
         " 'what do ya want for nothing?'), randomBytes(8).byteLength,"
         " /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test("
         "randomUUID())]",
         "[\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
         "\"d41d8cd98f00b204e9800998ecf8427e\","
         "\"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\",8,true]"},
        {"import url from 'url'; export const f = () => { const u = url.parse("
         " 'https://u@[::1]:8443/a?b=c#d'); return [u.protocol, u.host, u.port, u.pathname,"
         " u.search, url.resolve('http://h/a/b', '../c?d'), url.parseQuery('?a=1&a=%32+x&b'),"
         " url.formatQuery({q: 'a b&c', n: [1, true]})] }",
         "[\"https:\",\"[::1]:8443\",8443,\"/a\",\"b=c\",\"http://h/c?d\","
         "[[\"a\",\"1\"],[\"a\",\"2 x\"],[\"b\",\"\"]],\"q=a%20b%26c&n=1&n=true\"]"},
        {"import t from 'text'; export const f = () => [t.byteLength('\\u00e9'), t.truncate("
         " 'a\\u00e9b', 2), t.width('\\u4e2d'), t.escape('a\\x1b'),"
         " t.render('{{ a }}-{{b}}{{', {a: 1, b: 'x'})]",
         "[2,\"a\",2,\"a\\\\x1b\",\"1-x{{\"]"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        returns(*state, cases[i].source, cases[i].json);
    }
    static const char *const failing[] = {
        "import {b64decode} from 'encoding'; export const f = () => b64decode('@')",
        "import {b64decode} from 'encoding'; export const f = () => b64decode('+//+', 'url')",
        "import {b64decode} from 'encoding'; export const f = () => b64decode('/w==')",
        "import {hexDecode} from 'encoding'; export const f = () => hexDecode('abc')",
    };
    for (size_t i = 0; i < COUNT_OF(failing); i++) {
        fails(*state, failing[i], ERR_PARSE, "", false);
    }
    fails(*state, "import {hash} from 'crypto'; export const f = () => hash('rot13', '')", ERR_ARG,
          "rot13", false);
    fails(*state, "import t from 'text'; export const f = () => t.render('{{x}}', {})",
          ERR_NOT_FOUND, "\"x\"", false);
}

static void test_console(void **state)
{
    World *w = *state;
    returns(w,
            "import log from 'log'; export const f = () => { console.log('a', 1, {b: [2]},"
            " undefined, null); console.error(new Error('bad')); log.warn('x'.repeat(20000)) }",
            "(nothing)");
    Slice text = buf_slice(&w->log);
    assert_true(slice_starts_with(
        text, SLICE("info:a 1 {\"b\":[2]} undefined null\nerror:Error: bad\nwarn:xxxx")));
    assert_int_equal(text.len, strlen("info:a 1 {\"b\":[2]} undefined null\nerror:Error: bad\n") +
                                   strlen("warn:\n") + (16 << 10));
}

// ---- many

static void test_a_thousand_activations(void **state)
{
    World *w = *state;
    Err e;
    // Cycles, so that only the collector can free them.
    assert_int_equal(load(w,
                          "export const f = (n) => { const a = {n, pad: 'x'.repeat(1000)};"
                          " a.self = a; if (n % 100 == 99) throw new Error('odd'); return n }",
                          false, &e),
                     0);
    size_t heap_after_first = 0;
    for (int i = 0; i < 1000; i++) {
        ScriptArg arg = script_arg_number(i);
        Activation a = {.w = w, .function = "f", .args = &arg, .arg_count = 1};
        a.out = buf_create(100);
        assert_non_null(fiber_spawn(w->fibers, "activation", activate, &a));
        run_until_idle(w);
        assert_int_equal(a.rc, i % 100 == 99 ? ERR_SCRIPT : 0);
        buf_done(&a.out);
        ScriptPoolStats stats = script_pool_stats(w->pool);
        assert_int_equal(stats.created, 1);
        assert_int_equal(stats.idle, 1);
        heap_after_first = heap_after_first ? heap_after_first : stats.idle_heap_bytes;
        assert_true(stats.idle_heap_bytes < heap_after_first + 2 * SCRIPT_GC_THRESHOLD_BYTES);
    }
}

static void test_many_parked_each_in_its_own_instance(void **state)
{
    World *w = *state;
    Err e;
    enum { MANY = 60 };
    assert_int_equal(load(w,
                          "import {wait} from 'host'; export const f = (n) => {"
                          " const g = (d) => d ? g(d - 1) : wait(10 + n); const r = g(5);"
                          " if (n % 7 == 0) throw new Error('n' + n); return r }",
                          false, &e),
                     0);
    Activation *a = mem_zalloc(MANY * sizeof *a);
    ScriptArg args[MANY];
    for (int i = 0; i < MANY; i++) {
        args[i] = script_arg_number(i);
        a[i] = (Activation){.w = w, .function = "f", .args = &args[i], .arg_count = 1};
        a[i].out = buf_create(100);
        assert_non_null(fiber_spawn(w->fibers, "activation", activate, &a[i]));
    }
    run_until_idle(w);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(a[i].rc, i % 7 == 0 ? ERR_SCRIPT : 0);
        assert_true(a[i].ended_ns == NS_PER_S + (10 + i) * NS_PER_MS);
        buf_done(&a[i].out);
    }
    free(a);
    ScriptPoolStats stats = script_pool_stats(w->pool);
    assert_int_equal(stats.created, MANY);
    assert_int_equal(stats.alive, MANY);
    assert_int_equal(stats.idle, MANY);
}

static void test_pool_waits_for_a_free_instance(void **state)
{
    World *w = *state;
    Err e;
    assert_int_equal(
        load(w, "import {wait} from 'host'; export const f = () => wait(10)", false, &e), 0);
    script_pool_destroy(w->pool);
    ScriptPoolOptions options = {
        .scripts_max = 2, .idle_max = 1, .check_leaks = true, .script = {.host = w}};
    w->pool = script_pool_create(w->program, w->loop, &options);
    Activation a[5];
    for (int i = 0; i < 5; i++) {
        a[i] = (Activation){.w = w, .function = "f", .out = buf_create(100)};
        assert_non_null(fiber_spawn(w->fibers, "activation", activate, &a[i]));
    }
    run_until_idle(w);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(a[i].rc, 0);
        assert_true(a[i].ended_ns == NS_PER_S + (i / 2 + 1) * 10 * NS_PER_MS);
        buf_done(&a[i].out);
    }
    assert_int_equal(script_pool_stats(w->pool).alive, 1);
    Script *x, *y, *z;
    assert_int_equal(script_pool_borrow(w->pool, 0, &x, &e), 0);
    assert_int_equal(script_pool_borrow(w->pool, 0, &y, &e), 0);
    assert_int_equal(script_pool_borrow(w->pool, 0, &z, &e), ERR_FULL);
    script_pool_give(w->pool, x);
    script_pool_give(w->pool, y);
}

static void test_exports(void **state)
{
    World *w = *state;
    Err e;
    assert_int_equal(load(w,
                          "export const schema = {type: 'object'}; export default () => 1;"
                          "export const none = undefined, cycle = {}; cycle.c = cycle",
                          false, &e),
                     0);
    Script *script;
    assert_int_equal(script_pool_borrow(w->pool, 0, &script, &e), 0);
    assert_true(script_has_function(script, "default"));
    assert_false(script_has_function(script, "schema"));
    assert_false(script_has_function(script, "gone"));
    Buf out = buf_create(1000);
    assert_int_equal(script_export_json(script, "schema", &out, &e), 0);
    assert_string_equal(out.data, "{\"type\":\"object\"}");
    assert_int_equal(script_export_json(script, "none", &out, &e), ERR_NOT_FOUND);
    assert_int_equal(script_export_json(script, "gone", &out, &e), ERR_NOT_FOUND);
    assert_int_equal(script_export_json(script, "cycle", &out, &e), ERR_SCRIPT);
    buf_done(&out);
    script_pool_give(w->pool, script);
}

static void test_contexts_hold_only_the_parts_named(void **state)
{
    World *w = *state;
    ScriptProgram *program;
    Err e;
    ScriptProgramOptions options = {
        .entry = "main.js",
        .parts = SCRIPT_DATE,
        .source = SLICE("export const names = [typeof Date, typeof RegExp, typeof Map,"
                        " typeof Proxy, typeof Uint8Array, typeof WeakRef]"),
    };
    assert_int_equal(script_program_load(&options, &program, &e), 0);
    Script *script;
    assert_int_equal(script_create(program, &(ScriptOptions){.loop = w->loop}, &script, &e), 0);
    Buf out = buf_create(1000);
    assert_int_equal(script_export_json(script, "names", &out, &e), 0);
    assert_string_equal(out.data, "[\"function\",\"undefined\",\"undefined\",\"undefined\","
                                  "\"undefined\",\"undefined\"]");
    buf_done(&out);
    script_destroy(script);
    script_program_destroy(program);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values_cross_the_border),
        TEST(test_arguments),
        TEST(test_result_ceiling),
        TEST(test_deep_values_are_errors),
        TEST(test_errors_say_what_and_where),
        TEST(test_programs_that_do_not_load),
        TEST(test_endless_loops_end),
        TEST(test_array_methods_do_not_walk_for_ever),
        TEST(test_recursion_is_an_error_to_catch),
        TEST(test_heap_limit),
        TEST(test_deadline),
        TEST(test_cancelling_cannot_be_caught),
        TEST(test_cancelled_while_parked),
        TEST(test_computing_scripts_take_turns),
        TEST(test_waiting),
        TEST(test_what_is_left_is_dropped_or_waited_for),
        TEST(test_unhandled_rejections_are_told),
        TEST(test_timers_and_promises_have_ceilings),
        TEST(test_modules_from_files),
        TEST(test_links_out_of_the_directory_are_refused),
        TEST(test_specifiers),
        TEST(test_library),
        TEST(test_console),
        TEST(test_a_thousand_activations),
        TEST(test_many_parked_each_in_its_own_instance),
        TEST(test_pool_waits_for_a_free_instance),
        TEST(test_exports),
        TEST(test_contexts_hold_only_the_parts_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
