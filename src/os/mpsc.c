#include "os/mpsc.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Producers and the consumer touch different lines.
enum { CACHE_LINE = 64 };

typedef struct Cell {
    // position: free for the push of that position; position + 1: holds the item of that position.
    atomic_size_t turn;
    _Alignas(16) char item[];
} Cell;

struct Mpsc {
    _Alignas(CACHE_LINE) atomic_size_t tail; // next push
    _Alignas(CACHE_LINE) size_t head;        // next pop; only the consumer
    _Alignas(CACHE_LINE) size_t mask;
    size_t item_bytes;
    size_t cell_bytes;
    char *cells;
    atomic_uint_least64_t refused;
};

static Cell *cell_at(const Mpsc *queue, size_t position)
{
    return (Cell *)(void *)(queue->cells + (position & queue->mask) * queue->cell_bytes);
}

Mpsc *mpsc_create(size_t capacity, size_t item_bytes)
{
    assert(capacity > 0 && capacity <= SIZE_MAX / 2 && item_bytes > 0);
    size_t cells = 2;
    while (cells < capacity) {
        cells *= 2;
    }
    Mpsc *queue = aligned_alloc(CACHE_LINE, sizeof *queue);
    if (!queue) {
        die("out of memory for a queue");
    }
    *queue = (Mpsc){.mask = cells - 1,
                    .item_bytes = item_bytes,
                    .cell_bytes = (sizeof(Cell) + item_bytes + 15) & ~(size_t)15};
    queue->cells = mem_zalloc(cells * queue->cell_bytes);
    for (size_t i = 0; i < cells; i++) {
        atomic_init(&cell_at(queue, i)->turn, i);
    }
    return queue;
}

void mpsc_destroy(Mpsc *queue)
{
    if (queue) {
        free(queue->cells);
        free(queue);
    }
}

size_t mpsc_capacity(const Mpsc *queue)
{
    return queue->mask + 1;
}

uint64_t mpsc_refused(const Mpsc *queue)
{
    return atomic_load_explicit(&queue->refused, memory_order_relaxed);
}

bool mpsc_push(Mpsc *queue, const void *item)
{
    size_t position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    for (;;) {
        Cell *cell = cell_at(queue, position);
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == position) {
            if (atomic_compare_exchange_weak_explicit(&queue->tail, &position, position + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                memcpy(cell->item, item, queue->item_bytes);
                atomic_store_explicit(&cell->turn, position + 1, memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(turn - position) < 0) {
            atomic_fetch_add_explicit(&queue->refused, 1, memory_order_relaxed);
            return false; // the consumer has not freed this cell: full
        } else {
            position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        }
    }
}

bool mpsc_pop(Mpsc *queue, void *ret_item)
{
    Cell *cell = cell_at(queue, queue->head);
    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != queue->head + 1) {
        return false;
    }
    memcpy(ret_item, cell->item, queue->item_bytes);
    atomic_store_explicit(&cell->turn, queue->head + queue->mask + 1, memory_order_release);
    queue->head++;
    return true;
}

void flag_set(Flag *flag)
{
    atomic_store_explicit(&flag->set, true, memory_order_release);
}

void flag_clear(Flag *flag)
{
    atomic_store_explicit(&flag->set, false, memory_order_relaxed);
}

bool flag_is_set(const Flag *flag)
{
    return atomic_load_explicit(&flag->set, memory_order_acquire);
}

int waker_init(Waker *waker, Err *e)
{
    waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    atomic_init(&waker->asleep, false);
    if (waker->fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot create an eventfd");
    }
    return 0;
}

void waker_done(Waker *waker)
{
    if (waker->fd >= 0) {
        (void)close(waker->fd);
        waker->fd = -1;
    }
}

// Both sides use a read-modify-write of `asleep`, which have one total order. Either the producer's
// comes second, sees true and writes; or the consumer's comes second, and then everything pushed
// before the producer's is visible to the look that follows. (Fences would do too, but TSan does
// not model them.)
void waker_notify(Waker *waker)
{
    if (atomic_exchange_explicit(&waker->asleep, false, memory_order_acq_rel)) {
        uint64_t one = 1;
        // EAGAIN means the counter is at its maximum, so the consumer will wake anyway.
        ssize_t n = write(waker->fd, &one, sizeof one);
        (void)n;
    }
}

void waker_announce_sleep(Waker *waker)
{
    (void)atomic_exchange_explicit(&waker->asleep, true, memory_order_acq_rel);
}

void waker_awake(Waker *waker)
{
    atomic_store_explicit(&waker->asleep, false, memory_order_relaxed);
}

void waker_drain(Waker *waker)
{
    uint64_t count;
    ssize_t n = read(waker->fd, &count, sizeof count);
    (void)n;
}
