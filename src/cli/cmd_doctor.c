// doctor: what on this machine would spoil a measurement, and the command that mends it.
#include "cli/app.h"
#include "cli/commands.h"

#include <math.h>

#include "base/json_write.h"
#include "os/clock.h"
#include "os/host.h"
#include "os/loop.h"
#include "os/thread.h"

enum { FINDINGS_MAX = 16, TEXT_MAX = 240, FDS_WANTED = 4096, PORTS_WANTED = 16000 };
#define TIMER_PROBES    200
#define TIMER_PERIOD_NS (NS_PER_MS)
// A stolen or late millisecond in a hundred is felt at the 99th percentile.
#define STEAL_LIMIT    0.01
#define LATENESS_LIMIT (200 * NS_PER_US)

typedef struct Finding {
    bool bad;
    const char *what;
    char value[TEXT_MAX];
    char advice[TEXT_MAX];
} Finding;

typedef struct Findings {
    Finding items[FINDINGS_MAX];
    size_t count;
} Findings;

static Finding *add(Findings *f, const char *what, bool bad)
{
    Finding *item = &f->items[f->count++];
    *item = (Finding){.bad = bad, .what = what};
    return item;
}

#define SET(field, ...) ((void)snprintf((field), sizeof(field), __VA_ARGS__))

static void look_at_limits(Findings *f, const HostInfo *host)
{
    Finding *item = add(f, "file descriptors", host->fd_limit < FDS_WANTED);
    SET(item->value, "%lld, hard limit %lld", (long long)host->fd_limit,
        (long long)host->fd_limit_hard);
    SET(item->advice, "ulimit -n %d", FDS_WANTED * 4);

    int ports = host->port_last - host->port_first + 1;
    item = add(f, "client ports", ports < PORTS_WANTED);
    SET(item->value, "%d to %d: %d connections to one address at a time", host->port_first,
        host->port_last, ports);
    SET(item->advice, "sysctl -w net.ipv4.ip_local_port_range='10000 65000'");

    item = add(f, "CPU governor", host->governor[0] && strcmp(host->governor, "performance") != 0);
    SET(item->value, "%s", host->governor[0] ? host->governor : "not shown (virtual machine?)");
    SET(item->advice, "cpupower frequency-set -g performance");

    item = add(f, "CPUs", host->cpus_allowed < 2);
    SET(item->value, "%d of %d may be used, %s", host->cpus_allowed, host->cpus_online,
        host->cpu_model);
    SET(item->advice, "give the generator a core that the service does not use");

    if (!isnan(host->cpu_quota)) {
        item = add(f, "CPU quota", host->cpu_quota < 1.0);
        SET(item->value, "%.2f CPUs by the control group", host->cpu_quota);
        SET(item->advice, "raise the container's CPU limit to whole cores");
    }
}

typedef struct TimerProbe {
    LoopTimer timer;
    Loop *loop;
    int64_t late_ns[TIMER_PROBES];
} TimerProbe;

static void on_probe(LoopTimer *timer)
{
    TimerProbe *probe = CONTAINER_OF(timer, TimerProbe, timer);
    loop_stop(probe->loop);
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

// How late a bare timer loop fires, which is the floor under every arrival schedule.
static int look_at_timers(Findings *f, Err *e)
{
    TimerProbe probe = {0};
    int rc = loop_create(&(LoopOptions){0}, &probe.loop, e);
    if (rc != 0) {
        return rc;
    }
    HostLoad before, after;
    host_load(&before);
    loop_timer_init(&probe.timer, on_probe);
    for (size_t i = 0; i < TIMER_PROBES; i++) {
        int64_t due = loop_clock(probe.loop) + TIMER_PERIOD_NS;
        loop_timer_set(probe.loop, &probe.timer, due);
        loop_run(probe.loop);
        probe.late_ns[i] = loop_clock(probe.loop) - due;
    }
    host_load(&after);
    loop_destroy(probe.loop);
    qsort(probe.late_ns, TIMER_PROBES, sizeof probe.late_ns[0], compare_i64);
    int64_t p99 = probe.late_ns[TIMER_PROBES * 99 / 100];
    Finding *item = add(f, "timer lateness", p99 > LATENESS_LIMIT);
    SET(item->value, "median %.0f us, p99 %.0f us", (double)probe.late_ns[TIMER_PROBES / 2] / 1e3,
        (double)p99 / 1e3);
    SET(item->advice, "something else wants the CPU: stop it, or pin the generator to a free core");

    HostUsage usage = host_usage(&before, &after);
    item = add(f, "steal", usage.machine_steal > STEAL_LIMIT);
    SET(item->value, "%.1f %% of CPU time went to other guests", usage.machine_steal * 100);
    SET(item->advice, "measure on a host of your own, or at a quieter time");
    item = add(f, "load", after.load1 > 0.5 * thread_cpu_count());
    SET(item->value, "load average %.2f on %d CPUs", after.load1, thread_cpu_count());
    SET(item->advice, "stop what else is running");
    return 0;
}

static void print_json(App *app, const Findings *f)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("findings"));
    json_array_begin(&w);
    for (size_t i = 0; i < f->count; i++) {
        json_object_begin(&w);
        json_field_string(&w, "what", slice_from_cstr(f->items[i].what));
        json_field_bool(&w, "ok", !f->items[i].bad);
        json_field_string(&w, "value", slice_from_cstr(f->items[i].value));
        json_field_string(&w, "advice", slice_from_cstr(f->items[i].advice));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static int run_doctor(App *app, const OptionSet *set, Err *e)
{
    HostInfo host;
    host_info(&host);
    Findings *findings = ARENA_NEW(app->arena, Findings);
    look_at_limits(findings, &host);
    int rc = look_at_timers(findings, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        print_json(app, findings);
        return EXIT_PASS;
    }
    for (size_t i = 0; i < findings->count; i++) {
        const Finding *item = &findings->items[i];
        buf_printf(&app->out, "%-5s %-17s %s\n", item->bad ? "WARN" : "ok", item->what,
                   item->value);
        if (item->bad) {
            buf_printf(&app->out, "%23s -> %s\n", "", item->advice);
        }
    }
    return EXIT_PASS;
}

static const Option OPTIONS[] = {OPTION_JSON};
static const Verb VERB = {
    .name = "doctor",
    .summary = "look for what would spoil a measurement on this machine",
    .description = "Reads limits and settings and times a bare timer loop for a fifth of a second. "
                   "Changes nothing. Exit code 0 also with warnings.",
    OPTION_TABLE(OPTIONS)};
const Command CMD_DOCTOR = {&VERB, run_doctor};
