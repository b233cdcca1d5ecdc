#include "os/host.h"

#include <limits.h>
#include <math.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/json_write.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"

enum { PROC_BYTES_MAX = 1 << 20 };

// ---- small files

// The whole file below `root`, "" when it cannot be read.
static Slice read_text(const char *root, const char *path, Buf *buf)
{
    char full[PATH_MAX];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    buf_reset(buf);
    if (file_read(full, buf, NULL) != 0 || buf->len == 0) {
        return (Slice){"", 0};
    }
    return buf_slice(buf);
}

static void copy_text(char out[HOST_TEXT_MAX], Slice text)
{
    text = slice_trim(text);
    (void)snprintf(out, HOST_TEXT_MAX, "%.*s", SLICE_FMT(text));
}

// The value behind `key` and its separator, on the first line that begins with it.
static Slice value_of(Slice text, const char *key, char separator)
{
    Slice wanted = slice_from_cstr(key);
    while (text.len > 0) {
        Slice line;
        (void)slice_cut(text, '\n', &line, &text);
        Slice name;
        Slice value;
        if (slice_cut(line, separator, &name, &value) && slice_eq(slice_trim(name), wanted)) {
            return slice_trim(value);
        }
    }
    return (Slice){"", 0};
}

// The number that the text begins with, -1 without one.
static int64_t leading_number(Slice text)
{
    text = slice_trim(text);
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    int64_t value;
    return slice_to_i64(slice_sub(text, 0, digits), &value) == 0 ? value : -1;
}

// Cuts the next blank-separated word off the text.
static Slice next_word(Slice *text)
{
    *text = slice_trim(*text);
    size_t len = 0;
    while (len < text->len && !strchr(" \t\n", text->ptr[len])) {
        len++;
    }
    Slice word = slice_sub(*text, 0, len);
    *text = slice_sub(*text, len, text->len);
    return word;
}

static int64_t number_in(const char *root, const char *path, Buf *buf)
{
    return leading_number(read_text(root, path, buf));
}

// ---- control groups

// Directory of our group below the mount point: version 2 ("0::/path") or the named controller of
// version 1 ("4:cpu,cpuacct:/path"). False when there is none.
static bool group_of(Slice cgroups, const char *controller, Slice *ret_path)
{
    while (cgroups.len > 0) {
        Slice line;
        Slice id;
        Slice rest;
        Slice names;
        (void)slice_cut(cgroups, '\n', &line, &cgroups);
        if (!slice_cut(line, ':', &id, &rest) || !slice_cut(rest, ':', &names, ret_path)) {
            continue;
        }
        if (!controller && names.len == 0) {
            return true;
        }
        while (controller && names.len > 0) {
            Slice name;
            (void)slice_cut(names, ',', &name, &names);
            if (slice_eq_cstr(name, controller)) {
                return true;
            }
        }
    }
    return false;
}

// Reads a control file of our group. Inside a container the path is the host's while the mount
// shows only our part, so the mount's top is the second guess.
static Slice read_group_file(const char *root, const char *mount, Slice group, const char *file,
                             Buf *buf)
{
    char path[1024]; // control groups nest a few levels deep
    (void)snprintf(path, sizeof path, "%s%.*s/%s", mount, SLICE_FMT(group), file);
    Slice text = read_text(root, path, buf);
    if (text.len == 0) {
        (void)snprintf(path, sizeof path, "%s/%s", mount, file);
        text = read_text(root, path, buf);
    }
    return text;
}

typedef struct GroupFacts {
    double cpu_quota;
    int64_t memory_limit_bytes;
    int64_t throttled_ns;
} GroupFacts;

static void read_group_v2(const char *root, Slice group, GroupFacts *facts, Buf *buf)
{
    Slice text = read_group_file(root, "/sys/fs/cgroup", group, "cpu.max", buf);
    int64_t quota = leading_number(next_word(&text)); // "max" is no number
    int64_t period = leading_number(next_word(&text));
    if (quota > 0 && period > 0) {
        facts->cpu_quota = (double)quota / (double)period;
    }
    facts->memory_limit_bytes =
        leading_number(read_group_file(root, "/sys/fs/cgroup", group, "memory.max", buf));
    text = read_group_file(root, "/sys/fs/cgroup", group, "cpu.stat", buf);
    int64_t throttled_us = leading_number(value_of(text, "throttled_usec", ' '));
    if (throttled_us >= 0 && !isnan(facts->cpu_quota)) {
        facts->throttled_ns = throttled_us * NS_PER_US;
    }
}

static void read_group_v1(const char *root, Slice cgroups, GroupFacts *facts, Buf *buf)
{
    Slice group;
    if (group_of(cgroups, "cpu", &group)) {
        const char *mount = "/sys/fs/cgroup/cpu";
        int64_t quota =
            leading_number(read_group_file(root, mount, group, "cpu.cfs_quota_us", buf));
        int64_t period =
            leading_number(read_group_file(root, mount, group, "cpu.cfs_period_us", buf));
        if (quota > 0 && period > 0) {
            facts->cpu_quota = (double)quota / (double)period;
            Slice text = read_group_file(root, mount, group, "cpu.stat", buf);
            facts->throttled_ns = leading_number(value_of(text, "throttled_time", ' '));
        }
    }
    if (group_of(cgroups, "memory", &group)) {
        int64_t limit = leading_number(
            read_group_file(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", buf));
        // "No limit" is a number near INT64_MAX, rounded to pages.
        facts->memory_limit_bytes = limit < INT64_MAX / 2 ? limit : -1;
    }
}

static GroupFacts read_group(const char *root)
{
    GroupFacts facts = {.cpu_quota = (double)NAN, .memory_limit_bytes = -1, .throttled_ns = -1};
    Buf list = buf_create(PROC_BYTES_MAX);
    Buf buf = buf_create(PROC_BYTES_MAX);
    Slice cgroups = read_text(root, "/proc/self/cgroup", &list);
    Slice group;
    read_group_v1(root, cgroups, &facts, &buf);
    // Machines with both have the controllers in one of them.
    if (isnan(facts.cpu_quota) && facts.memory_limit_bytes < 0 && group_of(cgroups, NULL, &group)) {
        read_group_v2(root, group, &facts, &buf);
    }
    buf_done(&list);
    buf_done(&buf);
    return facts;
}

// ---- the fingerprint

static int online_cpus(Slice cpuinfo)
{
    int count = 0;
    while (cpuinfo.len > 0) {
        Slice line;
        (void)slice_cut(cpuinfo, '\n', &line, &cpuinfo);
        count += slice_starts_with(line, SLICE("processor"));
    }
    return count > 0 ? count : -1;
}

static void read_system(const char *root, HostInfo *info, Buf *buf)
{
    Slice text = read_text(root, "/proc/cpuinfo", buf);
    info->cpus_online = online_cpus(text);
    Slice model = value_of(text, "model name", ':');
    copy_text(info->cpu_model, model.len > 0 ? model : value_of(text, "Hardware", ':'));
    text = read_text(root, "/etc/os-release", buf);
    Slice name = value_of(text, "PRETTY_NAME", '=');
    bool quoted = name.len >= 2 && name.ptr[0] == '"';
    copy_text(info->distribution, quoted ? slice_sub(name, 1, name.len - 2) : name);
    copy_text(info->governor,
              read_text(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", buf));
    int64_t kb = leading_number(value_of(read_text(root, "/proc/meminfo", buf), "MemTotal", ':'));
    info->memory_bytes = kb < 0 ? -1 : kb * 1024;
    text = read_text(root, "/proc/sys/net/ipv4/ip_local_port_range", buf);
    info->port_first = (int)leading_number(next_word(&text));
    info->port_last = (int)leading_number(next_word(&text));
    info->somaxconn = number_in(root, "/proc/sys/net/core/somaxconn", buf);
    info->max_map_count = number_in(root, "/proc/sys/vm/max_map_count", buf);
}

void host_info_from(const char *root, HostInfo *ret_info)
{
    HostInfo info = {.fd_limit = -1, .fd_limit_hard = -1};
    Buf buf = buf_create(PROC_BYTES_MAX);
    read_system(root, &info, &buf);
    buf_done(&buf);
    GroupFacts group = read_group(root);
    info.cpu_quota = group.cpu_quota;
    info.memory_limit_bytes = group.memory_limit_bytes;
    struct utsname name;
    if (uname(&name) == 0) {
        copy_text(info.hostname, slice_from_cstr(name.nodename));
        copy_text(info.kernel, slice_from_cstr(name.release));
        copy_text(info.machine, slice_from_cstr(name.machine));
    }
    info.cpus_allowed = thread_cpu_count();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        info.fd_limit = limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
        info.fd_limit_hard = limit.rlim_max > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_max;
    }
    info.timer_slack_ns = prctl(PR_GET_TIMERSLACK);
    *ret_info = info;
}

void host_info(HostInfo *ret_info)
{
    host_info_from("", ret_info);
}

// ---- the load

// First line of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal guest
// guest_nice, in ticks. Guest time is contained in user and nice.
static void read_machine(const char *root, HostLoad *load, Buf *buf)
{
    enum { IDLE = 3, IOWAIT = 4, STEAL = 7, FIELDS = 8 };
    Slice text = read_text(root, "/proc/stat", buf);
    Slice line = value_of(text, "cpu", ' ');
    int64_t tick_ns = NS_PER_S / sysconf(_SC_CLK_TCK);
    int64_t total = 0;
    int64_t idle = 0;
    int64_t steal = 0;
    for (int i = 0; i < FIELDS; i++) {
        int64_t ticks = leading_number(next_word(&line));
        ticks = ticks > 0 ? ticks : 0;
        total += ticks;
        idle += i == IDLE || i == IOWAIT ? ticks : 0;
        steal += i == STEAL ? ticks : 0;
    }
    load->machine_total_ns = total * tick_ns;
    load->machine_steal_ns = steal * tick_ns;
    load->machine_busy_ns = (total - idle - steal) * tick_ns;
}

static int64_t timeval_ns(struct timeval tv)
{
    return (int64_t)tv.tv_sec * NS_PER_S + (int64_t)tv.tv_usec * NS_PER_US;
}

static void read_own(const char *root, HostLoad *load, Buf *buf)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        load->own_user_ns = timeval_ns(usage.ru_utime);
        load->own_system_ns = timeval_ns(usage.ru_stime);
        load->involuntary_switches = usage.ru_nivcsw;
    }
    struct timespec ts;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == 0) {
        load->thread_ns = (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
    }
    Slice text = read_text(root, "/proc/self/statm", buf);
    (void)next_word(&text); // size
    int64_t pages = leading_number(next_word(&text));
    load->rss_bytes = pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

void host_load_from(const char *root, HostLoad *ret_load)
{
    HostLoad load = {.at_ns = clock_now(clock_real()), .load1 = (double)NAN};
    Buf buf = buf_create(PROC_BYTES_MAX);
    read_machine(root, &load, &buf);
    read_own(root, &load, &buf);
    Slice text = read_text(root, "/proc/loadavg", &buf);
    double load1;
    if (slice_to_f64(next_word(&text), &load1) == 0) {
        load.load1 = load1;
    }
    buf_done(&buf);
    load.throttled_ns = read_group(root).throttled_ns;
    *ret_load = load;
}

void host_load(HostLoad *ret_load)
{
    host_load_from("", ret_load);
}

HostUsage host_usage(const HostLoad *before, const HostLoad *after)
{
    double wall = (double)(after->at_ns - before->at_ns);
    double total = (double)(after->machine_total_ns - before->machine_total_ns);
    wall = wall > 0 ? wall : 1;
    total = total > 0 ? total : 1;
    bool quota = before->throttled_ns >= 0 && after->throttled_ns >= 0;
    return (HostUsage){
        .own_cpus = (double)(after->own_user_ns + after->own_system_ns - before->own_user_ns -
                             before->own_system_ns) /
                    wall,
        .thread_cpu = (double)(after->thread_ns - before->thread_ns) / wall,
        .machine_busy = (double)(after->machine_busy_ns - before->machine_busy_ns) / total,
        .machine_steal = (double)(after->machine_steal_ns - before->machine_steal_ns) / total,
        .throttled =
            quota ? (double)(after->throttled_ns - before->throttled_ns) / wall : (double)NAN,
    };
}

void host_environment(Buf *out, Slice version)
{
    HostInfo h;
    HostLoad load;
    host_info(&h);
    host_load(&load);
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_string(&w, "version", version);
    json_field_cstr(&w, "hostname", h.hostname);
    json_field_cstr(&w, "cpu_model", h.cpu_model);
    json_field_cstr(&w, "kernel", h.kernel);
    json_field_cstr(&w, "machine", h.machine);
    json_field_cstr(&w, "distribution", h.distribution);
    json_field_cstr(&w, "governor", h.governor[0] ? h.governor : NULL);
    json_field_int(&w, "cpus_online", h.cpus_online);
    json_field_int(&w, "cpus_allowed", h.cpus_allowed);
    json_field_double(&w, "cpu_quota", h.cpu_quota);
    json_field_int(&w, "memory_bytes", h.memory_bytes);
    json_field_int(&w, "memory_limit_bytes", h.memory_limit_bytes);
    json_field_int(&w, "fd_limit", h.fd_limit);
    json_field_int(&w, "port_first", h.port_first);
    json_field_int(&w, "port_last", h.port_last);
    json_field_double(&w, "load1", load.load1);
    json_object_end(&w);
}
