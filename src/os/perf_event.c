#include "os/perf_event.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    RING_PAGES = 32, // 128 KiB: about 120 of the deepest stacks, a second at 99 Hz
    RECORD_BYTES_MAX = 1 << 16,
    THREADS_MAX = 4096,
};

typedef struct Ring {
    struct perf_event_mmap_page *head; // NULL: this CPU has no event
    int fd;                            // of the event that owns the ring
} Ring;

struct PerfEvents {
    size_t page;
    Ring *rings; // by CPU
    size_t cpus;
    int *fds;
    size_t fd_count, fd_capacity;
    union { // a record that wraps around the ring's end is put together here
        struct perf_event_header header;
        char bytes[RECORD_BYTES_MAX];
    } record;
};

size_t perf_threads(int pid, int *ret_tids, size_t max)
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid > 0 ? pid : (int)getpid());
    DIR *dir = opendir(path);
    if (!dir) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int64_t tid;
        if (slice_to_i64(slice_from_cstr(entry->d_name), &tid) == 0 && tid > 0) {
            if (count < max) {
                ret_tids[count] = (int)tid;
            }
            count++;
        }
    }
    (void)closedir(dir);
    return count;
}

static int refused(int errno_value, int pid, Err *e)
{
    switch (errno_value) {
    case EACCES:
    case EPERM:
        return err_errno(e, ERR_REFUSED, errno_value,
                         "the kernel does not let process %d be sampled; CAP_PERFMON or a lower "
                         "kernel.perf_event_paranoid would allow it",
                         pid);
    case ENOSYS:
    case ENOENT:
    case EOPNOTSUPP:
        return err_errno(e, ERR_UNSUPPORTED, errno_value, "this kernel has no perf events");
    case EMFILE:
    case ENFILE: return err_errno(e, ERR_LIMIT, errno_value, "too many threads to sample");
    default: return err_errno(e, ERR_IO, errno_value, "cannot sample process %d", pid);
    }
}

static int open_event(const PerfOptions *o, int tid, int cpu)
{
    struct perf_event_attr attr = {
        .size = sizeof attr,
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_freq = (uint64_t)o->hz,
        .freq = 1,
        .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN,
        .inherit = 1,
        .exclude_kernel = o->user_only,
        .exclude_hv = 1,
        .exclude_callchain_kernel = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int map_ring(PerfEvents *p, Ring *ring, int fd, Err *e)
{
    void *map = mmap(NULL, (RING_PAGES + 1) * p->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return err_errno(e, errno == EPERM ? ERR_REFUSED : ERR_LIMIT, errno,
                         "cannot map a ring for samples (kernel.perf_event_mlock_kb)");
    }
    ring->head = map;
    ring->fd = fd;
    return 0;
}

static int add_event(PerfEvents *p, const PerfOptions *o, int tid, size_t cpu, Err *e)
{
    int fd = open_event(o, tid, (int)cpu);
    if (fd < 0) {
        // The thread ended just now, or the CPU is offline.
        return errno == ESRCH || errno == ENODEV ? 0 : refused(errno, o->pid, e);
    }
    if (p->fd_count == p->fd_capacity) {
        p->fd_capacity = p->fd_capacity ? p->fd_capacity * 2 : 64;
        p->fds = mem_realloc(p->fds, p->fd_capacity * sizeof p->fds[0]);
    }
    p->fds[p->fd_count++] = fd;
    Ring *ring = &p->rings[cpu];
    if (!ring->head) {
        return map_ring(p, ring, fd, e);
    }
    if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) < 0) {
        return err_errno(e, ERR_IO, errno, "cannot share a ring of samples");
    }
    return 0;
}

int perf_events_open(const PerfOptions *options, PerfEvents **ret_events, Err *e)
{
    int *tids = mem_alloc(THREADS_MAX * sizeof(int));
    size_t threads = perf_threads(options->pid, tids, THREADS_MAX);
    PerfEvents *p = mem_zalloc(sizeof *p);
    p->page = (size_t)sysconf(_SC_PAGESIZE);
    p->cpus = (size_t)sysconf(_SC_NPROCESSORS_CONF);
    p->rings = mem_zalloc(p->cpus * sizeof p->rings[0]);
    int rc = 0;
    if (threads == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "there is no process %d", options->pid);
    } else if (threads > THREADS_MAX || threads * p->cpus > PERF_EVENTS_MAX) {
        rc = err_set(e, ERR_LIMIT, "%zu threads on %zu CPUs are too many to sample", threads,
                     p->cpus);
    }
    for (size_t t = 0; rc == 0 && t < threads; t++) {
        for (size_t cpu = 0; rc == 0 && cpu < p->cpus; cpu++) {
            rc = add_event(p, options, tids[t], cpu, e);
        }
    }
    free(tids);
    if (rc != 0) {
        perf_events_close(p);
        return rc;
    }
    *ret_events = p;
    return 0;
}

void perf_events_close(PerfEvents *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < p->fd_count; i++) {
        (void)close(p->fds[i]);
    }
    for (size_t i = 0; i < p->cpus; i++) {
        if (p->rings[i].head) {
            (void)munmap(p->rings[i].head, (RING_PAGES + 1) * p->page);
        }
    }
    free(p->fds);
    free(p->rings);
    free(p);
}

// ---- reading

typedef struct SampleRecord {
    struct perf_event_header header;
    uint64_t ip;
    uint32_t pid, tid;
    uint64_t depth;
    uint64_t pcs[];
} SampleRecord;

typedef struct LostRecord {
    struct perf_event_header header;
    uint64_t id;
    uint64_t lost;
} LostRecord;

static void give_sample(const SampleRecord *r, PerfSampleFn *fn, void *ctx)
{
    size_t room = (r->header.size - sizeof *r) / sizeof r->pcs[0];
    size_t count = r->depth < room ? r->depth : room, from = 0;
    // Markers say which part of the chain follows; only the user's is wanted and asked for.
    for (size_t i = 0; i < count; i++) {
        if (r->pcs[i] >= (uint64_t)PERF_CONTEXT_MAX) {
            from = i + 1;
        }
    }
    fn(ctx,
       &(PerfSample){.pid = r->pid, .tid = r->tid, .pcs = r->pcs + from, .depth = count - from});
}

static int64_t read_ring(PerfEvents *p, Ring *ring, PerfSampleFn *fn, void *ctx)
{
    const char *data = (const char *)ring->head + p->page;
    size_t size = RING_PAGES * p->page;
    uint64_t tail = ring->head->data_tail;
    // Pairs with the kernel's barrier between data and data_head (perf_event_open(2)). The fields
    // are the kernel's, hence no _Atomic type.
    uint64_t head = __atomic_load_n(&ring->head->data_head, __ATOMIC_ACQUIRE);
    int64_t lost = 0;
    while (tail < head) {
        struct perf_event_header header;
        size_t at = tail % size;
        memcpy(&header, data + at, sizeof header); // records are multiples of 8: it never wraps
        size_t first = size - at < header.size ? size - at : header.size;
        memcpy(p->record.bytes, data + at, first);
        memcpy(p->record.bytes + first, data, header.size - first);
        if (header.type == PERF_RECORD_SAMPLE && header.size >= sizeof(SampleRecord)) {
            give_sample((const SampleRecord *)(const void *)p->record.bytes, fn, ctx);
        } else if (header.type == PERF_RECORD_LOST) {
            lost += (int64_t)((const LostRecord *)(const void *)p->record.bytes)->lost;
        }
        tail += header.size;
    }
    __atomic_store_n(&ring->head->data_tail, tail, __ATOMIC_RELEASE);
    return lost;
}

int64_t perf_events_read(PerfEvents *p, PerfSampleFn *fn, void *ctx)
{
    int64_t lost = 0;
    for (size_t i = 0; i < p->cpus; i++) {
        if (p->rings[i].head) {
            lost += read_ring(p, &p->rings[i], fn, ctx);
        }
    }
    return lost;
}
