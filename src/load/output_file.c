#include "load/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/gzip.h"
#include "os/thread.h"

struct OutputFile {
    int fd;
    bool own_fd;
    bool compress;
    Thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Under the lock:
    Buf queue;
    Buf writing; // the writer's, swapped with the queue
    bool closing;
    int code; // of the first write that failed
    Err err;
};

static int write_all(const OutputFile *f, Slice bytes, Err *e)
{
    while (bytes.len > 0) {
        ssize_t n = write(f->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) {
            int code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
            return err_errno(e, (ErrCode)code, errno, "cannot write the output");
        }
        bytes = slice_sub(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return 0;
}

// What was queued since the last time becomes a gzip member of its own, so that a reader gets
// everything up to a crash.
static int write_piece(const OutputFile *f, Slice bytes, Err *e)
{
    if (!f->compress) {
        return write_all(f, bytes, e);
    }
    Buf packed = buf_create(2 * OUTPUT_FILE_QUEUE_BYTES);
    int rc = gzip_append(bytes, &packed, e);
    rc = rc != 0 ? rc : write_all(f, buf_slice(&packed), e);
    buf_done(&packed);
    return rc;
}

static void write_thread(void *arg)
{
    OutputFile *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->queue.len == 0 && !f->closing) {
            (void)pthread_cond_wait(&f->changed, &f->lock);
        }
        if (f->queue.len == 0) {
            break;
        }
        Buf taken = f->queue;
        f->queue = f->writing;
        f->writing = taken;
        (void)pthread_mutex_unlock(&f->lock);
        Err e = {0};
        int rc = write_piece(f, buf_slice(&f->writing), &e);
        (void)pthread_mutex_lock(&f->lock);
        buf_reset(&f->writing);
        if (rc != 0 && f->code == 0) {
            f->code = rc;
            f->err = e;
        }
    }
    (void)pthread_mutex_unlock(&f->lock);
}

static void release(OutputFile *f)
{
    if (f->own_fd && f->fd >= 0) {
        (void)close(f->fd);
    }
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_cond_destroy(&f->changed);
    buf_done(&f->queue);
    buf_done(&f->writing);
    free(f);
}

int output_file_open(Slice path, OutputFile **ret_file, Err *e)
{
    OutputFile *f = mem_zalloc(sizeof *f);
    Buf name = buf_create(4096);
    int rc = 0;
    buf_append(&name, path);
    f->own_fd = path.len > 0 && !slice_eq_cstr(path, "-");
    f->fd = STDOUT_FILENO;
    f->queue = buf_create(OUTPUT_FILE_QUEUE_BYTES);
    f->writing = buf_create(OUTPUT_FILE_QUEUE_BYTES);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->changed, NULL);
    if (f->own_fd && (rc = buf_check(&name, "path of the output", e)) == 0) {
        f->fd = open(name.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (f->fd < 0) {
            rc = err_errno(e, ERR_IO, errno, "cannot open '%s' for output", name.data);
        }
        f->compress = slice_ends_with(path, SLICE(".gz"));
    }
    if (rc == 0) {
        rc = thread_start("output", THREAD_ANY_CPU, write_thread, f, &f->thread, e);
    }
    buf_done(&name);
    if (rc != 0) {
        release(f);
        return rc;
    }
    *ret_file = f;
    return 0;
}

bool output_file_write(OutputFile *f, Slice bytes)
{
    (void)pthread_mutex_lock(&f->lock);
    bool taken = f->code == 0 && f->queue.max - f->queue.len >= bytes.len;
    if (taken) {
        buf_append(&f->queue, bytes);
        (void)pthread_cond_signal(&f->changed);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return taken;
}

int output_file_close(OutputFile *f, Err *e)
{
    (void)pthread_mutex_lock(&f->lock);
    f->closing = true;
    (void)pthread_cond_signal(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
    thread_join(f->thread);
    int rc = f->code;
    if (rc != 0) {
        rc = err_set(e, (ErrCode)rc, "%s", f->err.text);
    }
    release(f);
    return rc;
}
