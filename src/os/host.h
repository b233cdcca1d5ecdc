// What the machine is and how busy it is: the environment fingerprint that every run records, and
// the readings that tell whether the measuring side itself was the bottleneck.
//
// All functions read small files in /proc and /sys: microseconds, fine on a loop once a second. A
// fact that the system does not tell is -1, NAN or an empty text; nothing here fails.
#ifndef OS_HOST_H
#define OS_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { HOST_TEXT_MAX = 128 };

typedef struct HostInfo {
    char hostname[HOST_TEXT_MAX];
    char cpu_model[HOST_TEXT_MAX];
    char kernel[HOST_TEXT_MAX];       // "6.1.0-18-amd64"
    char machine[HOST_TEXT_MAX];      // "x86_64"
    char distribution[HOST_TEXT_MAX]; // PRETTY_NAME of /etc/os-release
    char governor[HOST_TEXT_MAX];     // of CPU 0: "performance", "powersave"; "" where hidden
    int cpus_online;
    int cpus_allowed;           // affinity of this process
    double cpu_quota;           // of the cgroup, in CPUs; NAN: none
    int64_t memory_bytes;       // of the machine
    int64_t memory_limit_bytes; // of the cgroup; -1: none
    int64_t fd_limit;           // soft limit of this process
    int64_t fd_limit_hard;
    int port_first; // net.ipv4.ip_local_port_range
    int port_last;
    int64_t somaxconn;
    int64_t max_map_count;
    int64_t timer_slack_ns; // of the calling thread
} HostInfo;

void host_info(HostInfo *ret_info);

typedef struct HostLoad {
    int64_t at_ns;            // monotonic
    double load1;             // load average of the last minute
    int64_t machine_busy_ns;  // all CPUs since boot: all but idle, iowait and steal
    int64_t machine_steal_ns; // time the hypervisor gave to others
    int64_t machine_total_ns; // everything, idle included
    int64_t own_user_ns;      // this process
    int64_t own_system_ns;
    int64_t thread_ns; // CPU time of the calling thread
    int64_t rss_bytes;
    int64_t throttled_ns;         // time the cgroup's CPU quota kept us off; -1: no quota
    int64_t involuntary_switches; // of this process: something else took its CPU
} HostLoad;

void host_load(HostLoad *ret_load);

// What happened between two readings, as ratios of the wall time between them.
typedef struct HostUsage {
    double own_cpus;     // CPUs this process used (may pass 1)
    double thread_cpu;   // 0..1 of the calling thread
    double machine_busy; // 0..1 of all CPUs
    double machine_steal;
    double throttled; // 0..1 (NAN: no quota)
} HostUsage;

HostUsage host_usage(const HostLoad *before, const HostLoad *after);

// The machine as runs record it: a JSON object of HostInfo's members, the program's version and the
// load average now. Empty texts are null.
void host_environment(Buf *out, Slice version);

// ---- for tests: the same from another root than "/"

void host_info_from(const char *root, HostInfo *ret_info);
void host_load_from(const char *root, HostLoad *ret_load);

#endif
