#include "os/loop.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/mpsc.h"
#include "os/thread.h"

// Timers live in a 4-ary heap of (key, timer) pairs: a sift touches half the levels of a binary
// heap, and a node's four children are one cache line. The key may be earlier than the timer's due
// time, never later: moving a timer back leaves the key alone, and when the key comes up the timer
// is put at its real place. See docs/internals/loop.md.

enum {
    EVENTS_MAX = 256,        // events taken from the kernel a round
    HEAP_ARITY = 4,          //
    HEAP_FIRST = 64,         // places in a new heap
    POSTED_PER_ROUND = 1024, // then file descriptors get their turn
};

typedef struct HeapItem {
    int64_t key_ns;
    LoopTimer *timer;
} HeapItem;

typedef struct Posted {
    LoopPostFn *fn;
    void *arg;
} Posted;

struct Loop {
    const Clock *clock;
    int64_t now_ns;
    int epoll_fd;
    HeapItem *heap;
    size_t heap_len;
    size_t heap_capacity;
    LoopDefer *defer_first;
    LoopDefer *defer_last;
    int64_t spin_ns;
    ManualClock *manual;
    bool auto_advance;
    bool attached;   // timer slack of the running thread is set
    bool no_pwait2;  // kernel before 5.11
    int events_len;  // events of this round,
    int events_next; // and the first that is not dispatched yet
    struct epoll_event events[EVENTS_MAX];
    Mpsc *posts;
    Waker waker;
    LoopIo waker_io;
    Flag stop;
};

static void on_waker(LoopIo *io, unsigned events)
{
    (void)events;
    waker_drain(&CONTAINER_OF(io, Loop, waker_io)->waker);
}

int loop_create(const LoopOptions *options, Loop **ret_loop, Err *e)
{
    Loop *loop = mem_zalloc(sizeof *loop);
    loop->manual = options->manual;
    loop->clock = options->manual ? &options->manual->clock : clock_real();
    loop->auto_advance = options->auto_advance;
    loop->spin_ns = options->spin_ns;
    loop->waker.fd = -1;
    loop->now_ns = clock_now(loop->clock);
    loop->posts = mpsc_create(options->post_capacity ? options->post_capacity : LOOP_POST_CAPACITY,
                              sizeof(Posted));
    int rc;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        rc = err_errno(e, ERR_IO, errno, "cannot create an epoll instance");
        goto fail;
    }
    if ((rc = waker_init(&loop->waker, e)) != 0) {
        goto fail;
    }
    loop_io_init(&loop->waker_io, on_waker);
    if ((rc = loop_io_add(loop, &loop->waker_io, loop->waker.fd, LOOP_READ, e)) != 0) {
        goto fail;
    }
    *ret_loop = loop;
    return 0;
fail:
    loop_destroy(loop);
    return rc;
}

void loop_destroy(Loop *loop)
{
    if (!loop) {
        return;
    }
    waker_done(&loop->waker);
    if (loop->epoll_fd >= 0) {
        (void)close(loop->epoll_fd);
    }
    mpsc_destroy(loop->posts);
    free(loop->heap);
    free(loop);
}

int64_t loop_now(const Loop *loop)
{
    return loop->now_ns;
}

int64_t loop_clock(const Loop *loop)
{
    return clock_now(loop->clock);
}

const Clock *loop_clock_source(const Loop *loop)
{
    return loop->clock;
}

// ---- file descriptors

static uint32_t epoll_bits(unsigned events)
{
    return (events & LOOP_READ ? EPOLLIN | EPOLLRDHUP : 0U) |
           (events & LOOP_WRITE ? EPOLLOUT : 0U) | (events & LOOP_EDGE ? (uint32_t)EPOLLET : 0U);
}

static unsigned loop_bits(uint32_t bits)
{
    unsigned events = 0;
    if (bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        events |= LOOP_READ;
    }
    if (bits & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        events |= LOOP_WRITE;
    }
    if (bits & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        events |= LOOP_HANGUP;
    }
    return events;
}

void loop_io_init(LoopIo *io, LoopIoFn *fn)
{
    *io = (LoopIo){.fn = fn, .fd = -1};
}

static int epoll_control(Loop *loop, int op, LoopIo *io, Err *e)
{
    struct epoll_event event = {.events = epoll_bits(io->events), .data.ptr = io};
    if (epoll_ctl(loop->epoll_fd, op, io->fd, &event) < 0) {
        return err_errno(e, ERR_IO, errno, "cannot watch file descriptor %d", io->fd);
    }
    return 0;
}

int loop_io_add(Loop *loop, LoopIo *io, int fd, unsigned events, Err *e)
{
    assert(io->fd < 0);
    io->fd = fd;
    io->events = events;
    int rc = epoll_control(loop, EPOLL_CTL_ADD, io, e);
    if (rc != 0) {
        io->fd = -1;
    }
    return rc;
}

int loop_io_change(Loop *loop, LoopIo *io, unsigned events, Err *e)
{
    if (io->events == events) {
        return 0;
    }
    io->events = events;
    return epoll_control(loop, EPOLL_CTL_MOD, io, e);
}

void loop_io_remove(Loop *loop, LoopIo *io)
{
    if (io->fd < 0) {
        return;
    }
    // Fails only for a descriptor that was closed already, which has left the set by itself.
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    io->fd = -1;
    for (int i = loop->events_next; i < loop->events_len; i++) {
        if (loop->events[i].data.ptr == io) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

static void dispatch_io(Loop *loop)
{
    while (loop->events_next < loop->events_len) {
        const struct epoll_event *event = &loop->events[loop->events_next++];
        LoopIo *io = event->data.ptr;
        if (io) {
            io->fn(io, loop_bits(event->events));
        }
    }
}

// ---- timers

static void heap_put(Loop *loop, size_t at, HeapItem item)
{
    loop->heap[at] = item;
    item.timer->index = at + 1;
}

static void sift_up(Loop *loop, size_t at, HeapItem item)
{
    while (at > 0) {
        size_t parent = (at - 1) / HEAP_ARITY;
        if (loop->heap[parent].key_ns <= item.key_ns) {
            break;
        }
        heap_put(loop, at, loop->heap[parent]);
        at = parent;
    }
    heap_put(loop, at, item);
}

static void sift_down(Loop *loop, size_t at, HeapItem item)
{
    for (;;) {
        size_t first = at * HEAP_ARITY + 1;
        if (first >= loop->heap_len) {
            break;
        }
        size_t end = first + HEAP_ARITY < loop->heap_len ? first + HEAP_ARITY : loop->heap_len;
        size_t least = first;
        for (size_t i = first + 1; i < end; i++) {
            if (loop->heap[i].key_ns < loop->heap[least].key_ns) {
                least = i;
            }
        }
        if (loop->heap[least].key_ns >= item.key_ns) {
            break;
        }
        heap_put(loop, at, loop->heap[least]);
        at = least;
    }
    heap_put(loop, at, item);
}

static void heap_remove(Loop *loop, size_t at)
{
    loop->heap[at].timer->index = 0;
    HeapItem last = loop->heap[--loop->heap_len];
    if (at == loop->heap_len) {
        return;
    }
    if (at > 0 && loop->heap[(at - 1) / HEAP_ARITY].key_ns > last.key_ns) {
        sift_up(loop, at, last);
    } else {
        sift_down(loop, at, last);
    }
}

void loop_timer_init(LoopTimer *timer, LoopTimerFn *fn)
{
    *timer = (LoopTimer){.fn = fn, .due_ns = NEVER_NS};
}

void loop_timer_set(Loop *loop, LoopTimer *timer, int64_t due_ns)
{
    timer->due_ns = due_ns;
    if (due_ns == NEVER_NS) {
        return;
    }
    if (timer->index > 0) {
        size_t at = timer->index - 1;
        if (due_ns < loop->heap[at].key_ns) {
            sift_up(loop, at, (HeapItem){due_ns, timer});
        }
        return;
    }
    if (loop->heap_len == loop->heap_capacity) {
        loop->heap_capacity = loop->heap_capacity ? loop->heap_capacity * 2 : HEAP_FIRST;
        loop->heap = mem_realloc(loop->heap, loop->heap_capacity * sizeof *loop->heap);
    }
    sift_up(loop, loop->heap_len++, (HeapItem){due_ns, timer});
}

void loop_timer_disarm(LoopTimer *timer)
{
    timer->due_ns = NEVER_NS;
}

void loop_timer_cancel(Loop *loop, LoopTimer *timer)
{
    timer->due_ns = NEVER_NS;
    if (timer->index > 0) {
        heap_remove(loop, timer->index - 1);
    }
}

bool loop_timer_is_set(const LoopTimer *timer)
{
    return timer->due_ns != NEVER_NS;
}

int64_t loop_timer_next(const Loop *loop)
{
    return loop->heap_len > 0 ? loop->heap[0].key_ns : NEVER_NS;
}

// Calls what is due at the time of this round. A callback that sets a timer to the past is called
// again in the next round, so it cannot hold the loop.
static bool dispatch_timers(Loop *loop)
{
    bool called = false;
    int64_t now_ns = loop->now_ns;
    size_t budget = loop->heap_len;
    while (budget-- > 0 && loop->heap_len > 0 && loop->heap[0].key_ns <= now_ns) {
        LoopTimer *timer = loop->heap[0].timer;
        if (timer->due_ns == NEVER_NS) {
            heap_remove(loop, 0);
        } else if (timer->due_ns > now_ns) {
            sift_down(loop, 0, (HeapItem){timer->due_ns, timer});
        } else {
            heap_remove(loop, 0);
            timer->due_ns = NEVER_NS;
            timer->fn(timer);
            called = true;
        }
    }
    return called;
}

// ---- deferred and posted work

void loop_defer_init(LoopDefer *defer, LoopDeferFn *fn)
{
    *defer = (LoopDefer){.fn = fn};
}

void loop_defer(Loop *loop, LoopDefer *defer)
{
    if (defer->queued) {
        return;
    }
    defer->queued = true;
    defer->next = NULL;
    if (loop->defer_last) {
        loop->defer_last->next = defer;
    } else {
        loop->defer_first = defer;
    }
    loop->defer_last = defer;
}

void loop_defer_cancel(Loop *loop, LoopDefer *defer)
{
    LoopDefer *before = NULL;
    for (LoopDefer *d = loop->defer_first; d; before = d, d = d->next) {
        if (d == defer) {
            *(before ? &before->next : &loop->defer_first) = d->next;
            if (loop->defer_last == d) {
                loop->defer_last = before;
            }
            d->queued = false;
            return;
        }
    }
}

// Runs what was queued when this began; `last` marks the end. Work may be cancelled meanwhile, so
// the list stays whole and is taken from its head.
static bool dispatch_deferred(Loop *loop)
{
    LoopDefer *last = loop->defer_last;
    if (!last) {
        return false;
    }
    LoopDefer marker = {.next = NULL, .queued = true};
    last->next = &marker;
    loop->defer_last = &marker;
    while (loop->defer_first != &marker) {
        LoopDefer *defer = loop->defer_first;
        loop->defer_first = defer->next;
        defer->queued = false;
        defer->fn(defer);
    }
    loop->defer_first = marker.next;
    if (loop->defer_last == &marker) {
        loop->defer_last = NULL;
    }
    return true;
}

int loop_post(Loop *loop, LoopPostFn *fn, void *arg)
{
    if (!mpsc_push(loop->posts, &(Posted){fn, arg})) {
        return ERR_FULL;
    }
    waker_notify(&loop->waker);
    return 0;
}

static bool dispatch_posted(Loop *loop)
{
    Posted posted;
    int count = 0;
    while (count < POSTED_PER_ROUND && mpsc_pop(loop->posts, &posted)) {
        posted.fn(posted.arg);
        count++;
    }
    return count > 0;
}

// ---- rounds

static int epoll_wait_ns(Loop *loop, int64_t wait_ns)
{
    if (wait_ns > 0 && wait_ns != NEVER_NS && !loop->no_pwait2) {
        struct timespec ts = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
        int n = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_MAX, &ts, NULL);
        if (n >= 0 || errno != ENOSYS) {
            return n;
        }
        loop->no_pwait2 = true;
    }
    int wait_ms = -1;
    if (wait_ns != NEVER_NS) {
        int64_t ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS > 0);
        wait_ms = ms > INT32_MAX ? INT32_MAX : (int)ms;
    }
    return epoll_wait(loop->epoll_fd, loop->events, EVENTS_MAX, wait_ms);
}

// How long this round may sleep by the real clock.
static int64_t sleep_ns(const Loop *loop, int64_t max_wait_ns)
{
    if (loop->defer_first) {
        return 0;
    }
    int64_t next_ns = loop_timer_next(loop);
    if (loop->manual) {
        bool jumps = loop->auto_advance && next_ns != NEVER_NS;
        return jumps || next_ns <= loop->now_ns ? 0 : max_wait_ns;
    }
    if (next_ns == NEVER_NS) {
        return max_wait_ns;
    }
    int64_t wait_ns = next_ns - clock_now(loop->clock);
    if (wait_ns <= loop->spin_ns) {
        return 0;
    }
    wait_ns -= loop->spin_ns;
    return wait_ns < max_wait_ns ? wait_ns : max_wait_ns;
}

static void wait_for_events(Loop *loop, int64_t max_wait_ns)
{
    int64_t wait_ns = sleep_ns(loop, max_wait_ns);
    if (wait_ns > 0) {
        // A post between this look and the sleep finds `asleep` set and writes to the eventfd.
        waker_announce_sleep(&loop->waker);
        if (dispatch_posted(loop) || flag_is_set(&loop->stop)) {
            wait_ns = 0;
        }
    }
    int n = epoll_wait_ns(loop, wait_ns);
    assert(n >= 0 || errno == EINTR);
    loop->events_next = 0;
    loop->events_len = n > 0 ? n : 0;
    if (wait_ns > 0) {
        waker_awake(&loop->waker);
    }
}

bool loop_tick(Loop *loop, int64_t max_wait_ns)
{
    if (!loop->attached) {
        loop->attached = true;
        thread_set_timer_slack_ns(1);
    }
    wait_for_events(loop, max_wait_ns);
    loop->now_ns = clock_now(loop->clock);
    bool busy = loop->events_len > 0;
    dispatch_io(loop);
    busy = dispatch_timers(loop) || busy;
    busy = dispatch_posted(loop) || busy;
    busy = dispatch_deferred(loop) || busy;
    if (!busy && loop->auto_advance && loop->heap_len > 0) {
        int64_t ahead_ns = loop_timer_next(loop) - loop->now_ns;
        clock_manual_advance(loop->manual, ahead_ns > 0 ? ahead_ns : 0);
        busy = true;
    }
    return busy;
}

void loop_run(Loop *loop)
{
    while (!flag_is_set(&loop->stop)) {
        (void)loop_tick(loop, NEVER_NS);
    }
    flag_clear(&loop->stop);
}

static void nothing(void *arg)
{
    (void)arg;
}

void loop_stop(Loop *loop)
{
    flag_set(&loop->stop);
    // A full queue means that the loop is awake.
    int rc = loop_post(loop, nothing, NULL);
    (void)rc;
}
