// What scripts cost: an instance, a call, a value across the border, a host function. Absolute
// figures of one machine.
//
//     build/release/bench/bench_script          a table, and a line of JSON
#include <stdio.h>

#include "script/host.h"

enum { ROUNDS = 5, CALLS = 20000, INSTANCES = 200 };

static int nothing(ScriptCall *call, Err *e)
{
    (void)call;
    (void)e;
    return 0;
}

static const ScriptFunction functions[] = {{"nothing", 0, nothing}};
static const ScriptModule host = {SCRIPT_IMPORT, "host", functions, COUNT_OF(functions)};
static const ScriptModule *const modules[] = {&host};

static const char *const source =
    "import {nothing} from 'host';"
    "export const empty = () => undefined;"
    "export const value = (x) => x;"
    "export const calls = () => { for (let i = 0; i < 1000; i++) nothing() };"
    "export const sum = () => { let s = 0; for (let i = 0; i < 100000; i++) s += i; return s };"
    "export async function later() { await null; return 1 }";

typedef struct Bench {
    ScriptProgram *program;
    Loop *loop;
} Bench;

static int64_t now(void)
{
    return clock_now(clock_real());
}

static void check(int rc, const Err *e)
{
    if (rc != 0) {
        die("%s", e->text);
    }
}

// Nanoseconds for one of `count` calls, the best round.
static double time_calls(Script *script, const char *function, const ScriptArg *arg, int count)
{
    double best = 1e18;
    Err e;
    Buf out = buf_create(1 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = now();
        for (int i = 0; i < count; i++) {
            buf_reset(&out);
            check(
                script_call(script, function, arg, arg ? 1 : 0, &(ScriptCallOptions){0}, &out, &e),
                &e);
        }
        double each = (double)(now() - start_ns) / count;
        best = each < best ? each : best;
    }
    buf_done(&out);
    return best;
}

static double time_instances(const Bench *b, size_t *ret_heap)
{
    Err e;
    int64_t start_ns = now();
    for (int i = 0; i < INSTANCES; i++) {
        Script *script;
        check(script_create(b->program, &(ScriptOptions){.loop = b->loop}, &script, &e), &e);
        *ret_heap = script_stats(script).heap_bytes;
        script_destroy(script);
    }
    return (double)(now() - start_ns) / INSTANCES;
}

static void run(void *arg)
{
    const Bench *b = arg;
    Err e;
    Script *script;
    size_t heap = 0;
    double instance_ns = time_instances(b, &heap);
    check(script_create(b->program, &(ScriptOptions){.loop = b->loop}, &script, &e), &e);
    Buf json = buf_create(4096);
    buf_puts(&json, "{\"items\":[");
    for (int i = 0; i < 40; i++) {
        buf_printf(&json, "%s{\"id\":%d,\"name\":\"n%d\"}", i ? "," : "", i, i);
    }
    buf_puts(&json, "]}");
    ScriptArg kib = script_arg_json(buf_slice(&json));
    double empty_ns = time_calls(script, "empty", NULL, CALLS);
    double later_ns = time_calls(script, "later", NULL, CALLS);
    double value_ns = time_calls(script, "value", &kib, CALLS / 10);
    double host_ns = (time_calls(script, "calls", NULL, CALLS / 1000) - empty_ns) / 1000;
    double loop_ns = (time_calls(script, "sum", NULL, 20) - empty_ns) / 100000;
    (void)printf("instance made and freed   %8.1f us, heap %zu KiB\n", instance_ns / 1e3,
                 heap >> 10);
    (void)printf("empty call                %8.2f us\n", empty_ns / 1e3);
    (void)printf("async call                %8.2f us\n", later_ns / 1e3);
    (void)printf("%4zu bytes of JSON in, out %7.2f us\n", json.len, value_ns / 1e3);
    (void)printf("host function             %8.3f us\n", host_ns / 1e3);
    (void)printf("step of a for loop        %8.1f ns\n", loop_ns);
    (void)printf("{\"instance_us\":%.1f,\"heap_kib\":%zu,\"call_us\":%.3f,\"async_us\":%.3f,"
                 "\"json_us\":%.2f,\"host_us\":%.3f,\"loop_ns\":%.1f}\n",
                 instance_ns / 1e3, heap >> 10, empty_ns / 1e3, later_ns / 1e3, value_ns / 1e3,
                 host_ns / 1e3, loop_ns);
    buf_done(&json);
    script_destroy(script);
}

int main(void)
{
    Err e;
    Bench b;
    check(loop_create(&(LoopOptions){0}, &b.loop, &e), &e);
    ScriptProgramOptions options = {.entry = "bench.js",
                                    .source = slice_from_cstr(source),
                                    .modules = modules,
                                    .module_count = COUNT_OF(modules),
                                    .limits = {.cpu_ns = 60 * NS_PER_S}};
    check(script_program_load(&options, &b.program, &e), &e);
    FiberPool *fibers = fiber_pool_create(b.loop, &(FiberOptions){.stack_bytes = 512 << 10});
    if (!fiber_spawn(fibers, "bench", run, &b)) {
        die("no fiber");
    }
    while (fiber_pool_stats(fibers).alive > 0) {
        (void)loop_tick(b.loop, NEVER_NS);
    }
    fiber_pool_destroy(fibers);
    script_program_destroy(b.program);
    loop_destroy(b.loop);
    return 0;
}
