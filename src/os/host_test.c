#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <math.h>

#include "os/file.h"
#include "os/host.h"

typedef struct FakeFile {
    const char *path;
    const char *content;
} FakeFile;

static void make_root(char root[PATH_MAX], const FakeFile *files, size_t count)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(root, PATH_MAX, "%s/host_test.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%.2000s%.1000s", root, files[i].path);
        *strrchr(path, '/') = '\0';
        assert_int_equal(dir_make_all(path, NULL), 0);
        (void)snprintf(path, sizeof path, "%.2000s%.1000s", root, files[i].path);
        assert_int_equal(file_write(path, slice_from_cstr(files[i].content),
                                    &(FileWriteOptions){.no_sync = true}, NULL),
                         0);
    }
}

// Formats as proc(5) and the kernel's cgroup-v2 documentation give them.
static void test_group_v2(void **state)
{
    (void)state;
    static const FakeFile files[] = {
        {"/proc/self/cgroup", "0::/user.slice/job\n"},
        {"/sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n"},
        {"/sys/fs/cgroup/user.slice/job/memory.max", "1073741824\n"},
        {"/sys/fs/cgroup/user.slice/job/cpu.stat", "usage_usec 5\nthrottled_usec 2500\n"},
        {"/proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU @ 3GHz\n\nprocessor\t: 1\n"},
        {"/proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n"},
        {"/etc/os-release", "NAME=x\nPRETTY_NAME=\"A Linux 12\"\n"},
        {"/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"},
        {"/proc/sys/vm/max_map_count", "65530\n"},
        {"/proc/stat", "cpu  100 10 50 800 40 5 5 20 7 0\ncpu0 1 1 1 1\n"},
        {"/proc/loadavg", "1.25 0.80 0.50 2/300 4242\n"},
        {"/proc/self/statm", "1000 250 100 1 0 200 0\n"},
    };
    char root[PATH_MAX];
    make_root(root, files, COUNT_OF(files));
    HostInfo info;
    host_info_from(root, &info);
    assert_true(info.cpu_quota == 1.5);
    assert_true(info.memory_limit_bytes == 1073741824);
    assert_int_equal(info.cpus_online, 2);
    assert_string_equal(info.cpu_model, "A CPU @ 3GHz");
    assert_string_equal(info.distribution, "A Linux 12");
    assert_string_equal(info.governor, "");
    assert_true(info.memory_bytes == 16384 * 1024);
    assert_int_equal(info.port_first, 32768);
    assert_int_equal(info.port_last, 60999);
    assert_int_equal(info.max_map_count, 65530);
    assert_int_equal(info.somaxconn, -1);
    HostLoad load;
    host_load_from(root, &load);
    int64_t tick = load.machine_steal_ns / 20;
    assert_true(load.machine_busy_ns == 170 * tick);
    assert_true(load.machine_total_ns == 1030 * tick);
    assert_true(load.throttled_ns == 2500000);
    assert_true(load.load1 == 1.25);
    assert_true(load.rss_bytes >= 250 * 4096);
    assert_int_equal(dir_remove_all(root, NULL), 0);
}

static void test_group_v1_in_a_container(void **state)
{
    (void)state;
    static const FakeFile files[] = {
        {"/proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n"},
        {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
        {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
        {"/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 1\nthrottled_time 77\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
    };
    char root[PATH_MAX];
    make_root(root, files, COUNT_OF(files));
    HostInfo info;
    host_info_from(root, &info);
    assert_true(info.cpu_quota == 0.5);
    assert_true(info.memory_limit_bytes == -1);
    HostLoad load;
    host_load_from(root, &load);
    assert_true(load.throttled_ns == 77);
    assert_int_equal(dir_remove_all(root, NULL), 0);
}

static void test_nothing_to_read(void **state)
{
    (void)state;
    static const FakeFile files[] = {
        {"/proc/self/cgroup", "garbage\n::\n0::\n"},
        {"/proc/stat", "cpu\n"},
        {"/proc/loadavg", "\n"},
        {"/sys/fs/cgroup/cpu.max", "max 100000\n"},
        {"/sys/fs/cgroup/memory.max", "max\n"},
    };
    char root[PATH_MAX];
    make_root(root, files, COUNT_OF(files));
    HostInfo info;
    host_info_from(root, &info);
    assert_true(isnan(info.cpu_quota));
    assert_true(info.memory_limit_bytes == -1);
    assert_int_equal(info.cpus_online, -1);
    assert_int_equal(info.port_first, -1);
    assert_string_equal(info.cpu_model, "");
    HostLoad load;
    host_load_from(root, &load);
    assert_true(load.throttled_ns == -1);
    assert_true(isnan(load.load1));
    assert_true(load.rss_bytes == -1);
    HostUsage usage = host_usage(&load, &load);
    assert_true(usage.machine_busy == 0 && isnan(usage.throttled));
    assert_int_equal(dir_remove_all(root, NULL), 0);
}

static void test_this_machine(void **state)
{
    (void)state;
    HostInfo info;
    host_info(&info);
    assert_true(info.cpus_allowed >= 1 && info.fd_limit > 0);
    assert_true(info.kernel[0] && info.machine[0]);
    HostLoad load;
    host_load(&load);
    assert_true(load.rss_bytes > 0);
    assert_true(load.machine_total_ns >= load.machine_busy_ns);
}

static void test_usage(void **state)
{
    (void)state;
    HostLoad before = {.throttled_ns = 10};
    HostLoad after = {
        .at_ns = 1000,
        .own_user_ns = 500,
        .own_system_ns = 1000,
        .thread_ns = 250,
        .machine_total_ns = 4000,
        .machine_busy_ns = 2000,
        .machine_steal_ns = 1000,
        .throttled_ns = 110,
    };
    HostUsage usage = host_usage(&before, &after);
    assert_true(usage.own_cpus == 1.5);
    assert_true(usage.thread_cpu == 0.25);
    assert_true(usage.machine_busy == 0.5);
    assert_true(usage.machine_steal == 0.25);
    assert_true(usage.throttled == 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_v2),        cmocka_unit_test(test_group_v1_in_a_container),
        cmocka_unit_test(test_nothing_to_read), cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
