#include "load/health.h"

#include <math.h>

// What the process needs beside one descriptor a connection: loops, ledger, standard streams.
enum { SPARE_DESCRIPTORS = 64 };

void health_add_thread(HealthTotals *t, double cpu)
{
    t->seconds++;
    t->thread_cpu_sum += cpu;
    t->thread_cpu_max = cpu > t->thread_cpu_max ? cpu : t->thread_cpu_max;
    t->saturated_seconds += cpu >= HEALTH_THREAD_CPU;
}

void health_add_machine(HealthTotals *t, const HostLoad *before, const HostLoad *after)
{
    HostUsage u = host_usage(before, after);
    if (t->machine_readings++ == 0) {
        t->involuntary_first = before->involuntary_switches;
    }
    t->involuntary_last = after->involuntary_switches;
    t->machine_busy_sum += isnan(u.machine_busy) ? 0 : u.machine_busy;
    double steal = isnan(u.machine_steal) ? 0 : u.machine_steal;
    t->steal_sum += steal;
    t->last_steal = steal;
    t->steal_max = steal > t->steal_max ? steal : t->steal_max;
    if (!isnan(u.throttled)) {
        t->throttled_sum += u.throttled;
        t->throttled_readings++;
    }
    t->rss_peak_bytes = after->rss_bytes > t->rss_peak_bytes ? after->rss_bytes : t->rss_peak_bytes;
}

void health_add_sample(HealthTotals *t, int64_t index, double cpu)
{
    HealthSamples *s = &t->samples;
    if (!s->cpu) {
        s->cpu = mem_zalloc(HEALTH_SAMPLES_MAX * sizeof *s->cpu);
        s->steal = mem_zalloc(HEALTH_SAMPLES_MAX * sizeof *s->steal);
    }
    if (index >= 0 && index < HEALTH_SAMPLES_MAX) {
        s->cpu[index] = (float)cpu;
        s->steal[index] = (float)t->last_steal;
        s->count = (size_t)index + 1;
    }
}

void health_done(HealthTotals *t)
{
    free(t->samples.cpu);
    free(t->samples.steal);
}

static double mean(double sum, int64_t n)
{
    return n > 0 ? sum / (double)n : 0;
}

void health_fill(const HealthTotals *t, HealthReport *r)
{
    r->seconds = t->seconds;
    r->saturated_seconds = t->saturated_seconds;
    r->thread_cpu_mean = mean(t->thread_cpu_sum, t->seconds);
    r->thread_cpu_max = t->thread_cpu_max;
    r->machine_busy_mean = mean(t->machine_busy_sum, t->machine_readings);
    r->steal_mean = mean(t->steal_sum, t->machine_readings);
    r->steal_max = t->steal_max;
    r->throttled_mean =
        t->throttled_readings > 0 ? mean(t->throttled_sum, t->throttled_readings) : NAN;
    r->rss_peak_bytes = t->rss_peak_bytes;
    r->samples = &t->samples;
    r->involuntary_switches = t->involuntary_last - t->involuntary_first;
}

static void warn(HealthReport *r, Slice text)
{
    if (r->warning_count < HEALTH_WARNINGS_MAX) {
        r->warnings[r->warning_count++] = text;
    }
}

static double lateness_limit_ns(const HealthReport *r)
{
    double share = isnan(r->duration_p50_ns) ? 0 : HEALTH_LATENESS_SHARE * r->duration_p50_ns;
    return share > (double)HEALTH_LATENESS_NS ? share : (double)HEALTH_LATENESS_NS;
}

// The first rule that is broken, the most telling ones first; empty when all hold.
static Slice broken_rule(const HealthReport *r, Arena *a)
{
    double dropped = r->due > 0 ? (double)r->dropped_generator / (double)r->due : 0;
    if (dropped > HEALTH_DROPPED_SHARE) {
        return arena_printf(
            a, "the generator was too late for %.2f %% of the iterations (limit %.1f %%)",
            dropped * 100, HEALTH_DROPPED_SHARE * 100);
    }
    if (r->open_model && r->lateness_p95_ns > lateness_limit_ns(r)) {
        return arena_printf(a, "the generator started iterations %.2f ms late (p95, limit %.2f ms)",
                            r->lateness_p95_ns / 1e6, lateness_limit_ns(r) / 1e6);
    }
    double saturated = mean((double)r->saturated_seconds, r->seconds);
    // Refused at once, a closed model asks as fast as it can; there is no answer to be late for.
    if (!r->open_model && !r->unanswered && saturated > HEALTH_SATURATED_SHARE) {
        return arena_printf(
            a,
            "a thread of the generator used its whole CPU in %.0f %% of the seconds: "
            "give it more threads or fewer virtual users",
            saturated * 100);
    }
    if (r->steal_mean > HEALTH_STEAL_SHARE) {
        return arena_printf(a, "the hypervisor took %.0f %% of the machine's time (limit %.0f %%)",
                            r->steal_mean * 100, HEALTH_STEAL_SHARE * 100);
    }
    if (!isnan(r->throttled_mean) && r->throttled_mean > HEALTH_THROTTLED_SHARE) {
        return arena_printf(a,
                            "the CPU quota of this container stopped the generator for %.0f %% of "
                            "the time (limit %.0f %%)",
                            r->throttled_mean * 100, HEALTH_THROTTLED_SHARE * 100);
    }
    return (Slice){0};
}

void health_judge(HealthReport *r, Arena *a)
{
    r->reason = broken_rule(r, a);
    r->valid = r->reason.len == 0;
    if (r->open_model && r->lateness_p99_ns > lateness_limit_ns(r)) {
        warn(r, arena_printf(a,
                             "the generator was %.2f ms late at p99: p99 from the intended start "
                             "holds some of that",
                             r->lateness_p99_ns / 1e6));
    }
    if (r->steal_mean > HEALTH_STEAL_WARN && r->steal_mean <= HEALTH_STEAL_SHARE) {
        warn(r, arena_printf(a, "the hypervisor took %.1f %% of the machine's time",
                             r->steal_mean * 100));
    }
    if (r->machine_busy_mean > HEALTH_MACHINE_BUSY_WARN) {
        warn(r, arena_printf(a,
                             "all CPUs of this machine were busy (%.0f %%): generator and "
                             "whatever else runs here slow each other down",
                             r->machine_busy_mean * 100));
    }
    if (r->slow_runs > 0) {
        warn(r, arena_printf(a, "%llu times a virtual user held its thread, %.1f ms at the longest",
                             (unsigned long long)r->slow_runs, (double)r->slow_max_ns / 1e6));
    }
    if (r->series_overflows > 0) {
        warn(r, arena_printf(a, "%llu label sets were too many and share one series a metric",
                             (unsigned long long)r->series_overflows));
    }
}

static void field_ratio(JsonWriter *w, const char *key, double value)
{
    json_field_double(w, key, isnan(value) ? NAN : round(value * 1e6) / 1e6);
}

static void write_samples(JsonWriter *w, const char *key, const float *values, size_t count)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_double(w, round((double)values[i] * 1000) / 1000);
    }
    json_array_end(w);
}

void health_write(JsonWriter *w, const HealthReport *r)
{
    json_object_begin(w);
    json_field_bool(w, "valid", r->valid);
    json_field_string(w, "reason", r->reason);
    json_key(w, SLICE("warnings"));
    json_array_begin(w);
    for (size_t i = 0; i < r->warning_count; i++) {
        json_string(w, r->warnings[i]);
    }
    json_array_end(w);
    json_field_int(w, "threads", r->threads);
    json_field_int(w, "thread_seconds", r->seconds);
    json_field_bool(w, "open_model", r->open_model);
    json_field_int(w, "due", r->due);
    json_field_int(w, "dropped_generator", r->dropped_generator);
    json_field_double(w, "lateness_p50_ns", r->lateness_p50_ns);
    json_field_double(w, "lateness_p95_ns", r->lateness_p95_ns);
    json_field_double(w, "lateness_p99_ns", r->lateness_p99_ns);
    json_field_double(w, "lateness_max_ns", r->lateness_max_ns);
    field_ratio(w, "thread_cpu_mean", r->thread_cpu_mean);
    field_ratio(w, "thread_cpu_max", r->thread_cpu_max);
    json_field_int(w, "saturated_seconds", r->saturated_seconds);
    field_ratio(w, "machine_busy_mean", r->machine_busy_mean);
    field_ratio(w, "steal_mean", r->steal_mean);
    field_ratio(w, "steal_max", r->steal_max);
    field_ratio(w, "throttled_mean", r->throttled_mean);
    json_field_int(w, "slow_runs", (int64_t)r->slow_runs);
    json_field_int(w, "slow_max_ns", r->slow_max_ns);
    json_field_int(w, "rss_peak_bytes", r->rss_peak_bytes);
    json_field_int(w, "involuntary_switches", r->involuntary_switches);
    json_field_int(w, "fd_limit", r->fd_limit);
    json_field_int(w, "series_overflows", (int64_t)r->series_overflows);
    json_key(w, SLICE("samples"));
    json_object_begin(w);
    if (r->samples) {
        write_samples(w, "cpu", r->samples->cpu, r->samples->count);
        write_samples(w, "steal", r->samples->steal, r->samples->count);
    }
    json_object_end(w);
    json_object_end(w);
}

size_t health_preflight(const HostInfo *host, int64_t connections, Slice *ret, size_t max, Arena *a)
{
    size_t n = 0;
    int64_t needed = connections + SPARE_DESCRIPTORS;
    if (host->fd_limit >= 0 && host->fd_limit < needed && n < max) {
        ret[n++] = arena_printf(a,
                                "this process may open %lld files, the plan may need %lld: raise "
                                "it with `ulimit -n %lld`",
                                (long long)host->fd_limit, (long long)needed, (long long)needed);
    }
    int64_t ports = host->port_last - host->port_first + 1;
    if (host->port_first > 0 && ports < connections && n < max) {
        ret[n++] = arena_printf(a,
                                "%lld local ports (net.ipv4.ip_local_port_range) for %lld "
                                "connections to one address",
                                (long long)ports, (long long)connections);
    }
    if (host->governor[0] && strcmp(host->governor, "performance") != 0 && n < max) {
        ret[n++] = arena_printf(a, "the CPU governor is \"%s\": frequencies change during the run",
                                host->governor);
    }
    if (!isnan(host->cpu_quota) && host->cpu_quota < 1 && n < max) {
        ret[n++] = arena_printf(a, "this container may use %.2f CPUs", host->cpu_quota);
    }
    return n;
}
