// Layout of the directory:
//
//     lock                  flock'ed by the process that has it
//     done                  "1 <sequence>\n": the highest sequence that is done; replaced whole
//     <sequence>.seg        records, named after the first one's sequence in 16 hex digits
//
// A record is 20 bytes of head, little-endian (length u32, sequence u64, version u32, checksum
// u32), and the batch. The checksum is the lower half of SipHash-2-4 over the batch, with the first
// 16 bytes of the head as its key. Segments are never appended to by a later process: a torn record
// at the end of one stays there and ends it. A segment whose last sequence is done is removed.
#include "telemetry/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "os/file.h"

enum { HEAD_BYTES = 20, SEGMENTS_MAX = 4096, SEGMENT_READ_MAX = 32 << 20 };

struct Spool {
    char directory[PATH_MAX];
    int lock_fd;
    int write_fd; // -1: none open
    int64_t bytes_max;
    int64_t write_bytes;  // of the open segment
    uint64_t sequence;    // of the last record put
    uint64_t done;        // highest done
    uint64_t current;     // of the last spool_next
    uint64_t *segments;   // first sequences, rising
    size_t segment_count; //
    Buf reading;          // of segments[0]
    size_t read_at;
    bool loaded; // `reading` is segments[0]
    SpoolStats stats;
};

static void put_le(char *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (char)(value >> (8 * i));
    }
}

static uint64_t get_le(const char *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return value;
}

// Against accidents only, so any good hash does; its key is what the head says.
static uint32_t checksum(const char *head, Slice batch)
{
    return (uint32_t)map_siphash(batch, get_le(head, 8), get_le(head + 8, 8));
}

size_t spool_read_record(Slice bytes, uint64_t *ret_sequence, Slice *ret_batch)
{
    if (bytes.len < HEAD_BYTES) {
        return 0;
    }
    uint64_t len = get_le(bytes.ptr, 4);
    if (len == 0 || len > SPOOL_BATCH_BYTES_MAX || len > bytes.len - HEAD_BYTES ||
        get_le(bytes.ptr + 12, 4) != SPOOL_VERSION) {
        return 0;
    }
    Slice batch = slice_sub(bytes, HEAD_BYTES, len);
    if (get_le(bytes.ptr + 16, 4) != checksum(bytes.ptr, batch)) {
        return 0;
    }
    *ret_sequence = get_le(bytes.ptr + 4, 8);
    *ret_batch = batch;
    return HEAD_BYTES + len;
}

static int path_of(const Spool *s, const char *name, char path[PATH_MAX], Err *e)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", s->directory, name);
    return len < 0 || len >= PATH_MAX ? err_set(e, ERR_LIMIT, "the spool's path is too long") : 0;
}

static int segment_path(const Spool *s, uint64_t first, char path[PATH_MAX], Err *e)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)first);
    return path_of(s, name, path, e);
}

// ---- opening

static int take_lock(Spool *s, Err *e)
{
    char path[PATH_MAX];
    int rc = path_of(s, "lock", path, e);
    if (rc != 0) {
        return rc;
    }
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot open '%s'", path);
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return err_set(e, ERR_BUSY, "another process uses the spool '%s'", s->directory);
    }
    return 0;
}

static int read_done(Spool *s, Err *e)
{
    char path[PATH_MAX];
    Buf text = buf_create(64);
    int rc = path_of(s, "done", path, e);
    rc = rc != 0 ? rc : file_read(path, &text, e);
    if (rc == ERR_NOT_FOUND) {
        buf_done(&text);
        return 0;
    }
    Slice version, rest;
    int64_t number = 0, done = 0;
    if (rc == 0) {
        (void)slice_cut(slice_trim(buf_slice(&text)), ' ', &version, &rest);
        if (slice_to_i64(version, &number) == 0 && number > SPOOL_VERSION) {
            rc = err_set(e, ERR_VERSION, "the spool '%s' was written by a newer version",
                         s->directory);
        } else if (slice_to_i64(rest, &done) == 0 && done >= 0) {
            s->done = (uint64_t)done;
        }
        // An unreadable note means everything is sent again, which receivers take as one.
    }
    buf_done(&text);
    return rc;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_segments(Spool *s, Err *e)
{
    DIR *dir = opendir(s->directory);
    if (!dir) {
        return err_errno(e, ERR_IO, errno, "cannot list '%s'", s->directory);
    }
    for (struct dirent *d; (d = readdir(dir)) != NULL && s->segment_count < SEGMENTS_MAX;) {
        char *end;
        size_t len = strlen(d->d_name);
        if (len != 20 || strcmp(d->d_name + 16, ".seg") != 0) {
            continue;
        }
        unsigned long long first = strtoull(d->d_name, &end, 16);
        if (end == d->d_name + 16 && first < INT64_MAX) {
            s->segments[s->segment_count++] = first;
        }
    }
    (void)closedir(dir);
    qsort(s->segments, s->segment_count, sizeof *s->segments, compare);
    return 0;
}

// Reads segments[index] into `reading`; an unreadable one counts as empty.
static void load(Spool *s, size_t index)
{
    char path[PATH_MAX];
    buf_reset(&s->reading);
    s->read_at = 0;
    if (segment_path(s, s->segments[index], path, NULL) != 0 ||
        file_read(path, &s->reading, NULL) != 0) {
        s->stats.corrupt++;
    }
}

static void count_waiting(Spool *s)
{
    s->sequence = s->done;
    for (size_t i = 0; i < s->segment_count; i++) {
        load(s, i);
        Slice rest = buf_slice(&s->reading), batch;
        uint64_t sequence;
        for (size_t n; (n = spool_read_record(rest, &sequence, &batch)) > 0;) {
            if (sequence > s->done) {
                s->stats.waiting++;
                s->stats.waiting_bytes += (int64_t)n;
            }
            s->sequence = sequence > s->sequence ? sequence : s->sequence;
            rest = slice_sub(rest, n, rest.len);
        }
        s->stats.corrupt += rest.len > 0;
        // So that no new segment gets the name of one that is there, readable or not.
        s->sequence = s->segments[i] > s->sequence ? s->segments[i] : s->sequence;
    }
}

int spool_open(const char *directory, int64_t bytes_max, Spool **ret_spool, Err *e)
{
    Spool *s = mem_zalloc(sizeof *s);
    s->lock_fd = s->write_fd = -1;
    s->bytes_max = bytes_max;
    s->segments = mem_alloc(SEGMENTS_MAX * sizeof *s->segments);
    s->reading = buf_create(SEGMENT_READ_MAX);
    int rc = 0;
    if (snprintf(s->directory, sizeof s->directory, "%s", directory) >= PATH_MAX) {
        rc = err_set(e, ERR_LIMIT, "the spool's path is too long");
    }
    rc = rc != 0 ? rc : dir_make_all(directory, e);
    rc = rc != 0 ? rc : take_lock(s, e);
    rc = rc != 0 ? rc : read_done(s, e);
    rc = rc != 0 ? rc : list_segments(s, e);
    if (rc == 0) {
        count_waiting(s);
    }
    if (rc != 0) {
        spool_close(s);
        return rc;
    }
    *ret_spool = s;
    return 0;
}

void spool_close(Spool *s)
{
    if (!s) {
        return;
    }
    if (s->write_fd >= 0) {
        (void)close(s->write_fd);
    }
    if (s->lock_fd >= 0) {
        (void)close(s->lock_fd);
    }
    buf_done(&s->reading);
    free(s->segments);
    free(s);
}

// ---- putting

static int open_segment(Spool *s, Err *e)
{
    char path[PATH_MAX];
    if (s->segment_count == SEGMENTS_MAX) {
        return err_set(e, ERR_FULL, "the spool '%s' has %d segments", s->directory, SEGMENTS_MAX);
    }
    int rc = segment_path(s, s->sequence + 1, path, e);
    if (rc != 0) {
        return rc;
    }
    s->write_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->write_fd < 0) {
        return err_errno(e, errno == ENOSPC ? ERR_FULL : ERR_IO, errno, "cannot write '%s'", path);
    }
    s->segments[s->segment_count++] = s->sequence + 1;
    s->write_bytes = 0;
    return 0;
}

static int write_all(int fd, Slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        bytes = slice_sub(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    return 0;
}

int spool_put(Spool *s, Slice batch, Err *e)
{
    char head[HEAD_BYTES];
    int64_t bytes = HEAD_BYTES + (int64_t)batch.len;
    if (batch.len == 0 || batch.len > SPOOL_BATCH_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "a batch of %zu bytes", batch.len);
    }
    if (s->stats.waiting_bytes + bytes > s->bytes_max) {
        return err_set(e, ERR_FULL, "the spool '%s' is full", s->directory);
    }
    int rc = s->write_fd >= 0 ? 0 : open_segment(s, e);
    if (rc != 0) {
        return rc;
    }
    put_le(head, batch.len, 4);
    put_le(head + 4, s->sequence + 1, 8);
    put_le(head + 12, SPOOL_VERSION, 4);
    put_le(head + 16, checksum(head, batch), 4);
    // Only whole records leave the segment open for more.
    if (write_all(s->write_fd, (Slice){head, sizeof head}) < 0 ||
        write_all(s->write_fd, batch) < 0 || fdatasync(s->write_fd) < 0) {
        rc = err_errno(e, errno == ENOSPC ? ERR_FULL : ERR_IO, errno, "cannot write the spool '%s'",
                       s->directory);
        if (ftruncate(s->write_fd, s->write_bytes) < 0 ||
            lseek(s->write_fd, s->write_bytes, SEEK_SET) < 0) {
            (void)close(s->write_fd);
            s->write_fd = -1;
        }
        return rc;
    }
    s->sequence++;
    s->write_bytes += bytes;
    s->stats.waiting++;
    s->stats.waiting_bytes += bytes;
    s->loaded = s->loaded && s->segment_count > 1; // the only segment has grown
    if (s->write_bytes >= SPOOL_SEGMENT_BYTES) {
        (void)close(s->write_fd);
        s->write_fd = -1;
    }
    return 0;
}

// ---- taking

static void drop_first_segment(Spool *s)
{
    char path[PATH_MAX];
    if (s->segment_count == 1 && s->write_fd >= 0) {
        (void)close(s->write_fd);
        s->write_fd = -1;
    }
    if (segment_path(s, s->segments[0], path, NULL) == 0) {
        (void)unlink(path);
    }
    memmove(s->segments, s->segments + 1, --s->segment_count * sizeof *s->segments);
    s->loaded = false;
}

int spool_next(Spool *s, Slice *ret_batch)
{
    while (s->segment_count > 0) {
        if (!s->loaded) {
            load(s, 0);
            s->loaded = true;
        }
        Slice rest = slice_sub(buf_slice(&s->reading), s->read_at, s->reading.len), batch;
        uint64_t sequence;
        size_t n;
        // Records that are done, also those of an earlier process, lie before the others.
        while ((n = spool_read_record(rest, &sequence, &batch)) > 0 && sequence <= s->done) {
            s->read_at += n;
            rest = slice_sub(rest, n, rest.len);
        }
        if (n > 0) {
            s->current = sequence;
            *ret_batch = batch;
            return 0;
        }
        drop_first_segment(s);
    }
    s->stats.waiting = 0; // what was counted and cannot be read any more
    s->stats.waiting_bytes = 0;
    return ERR_NOT_FOUND;
}

int spool_done(Spool *s, Err *e)
{
    char path[PATH_MAX];
    char text[32];
    Slice rest = slice_sub(buf_slice(&s->reading), s->read_at, s->reading.len), batch;
    uint64_t sequence;
    size_t n = spool_read_record(rest, &sequence, &batch);
    if (n == 0 || sequence != s->current || sequence <= s->done) {
        return err_set(e, ERR_ARG, "no batch was taken from the spool");
    }
    s->read_at += n;
    s->done = sequence;
    s->stats.waiting--;
    s->stats.waiting_bytes -= (int64_t)n;
    int len = snprintf(text, sizeof text, "%d %llu\n", SPOOL_VERSION, (unsigned long long)sequence);
    int rc = path_of(s, "done", path, e);
    // Not synced: losing the note sends one batch twice, and that is harmless.
    FileWriteOptions options = {.mode = 0600, .no_sync = true};
    return rc != 0 ? rc : file_write(path, (Slice){text, (size_t)len}, &options, e);
}

SpoolStats spool_stats(const Spool *s)
{
    return s->stats;
}
