#include "bench/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "os/clock.h"
#include "os/supervise.h"

extern char **environ;

BenchResult bench_result_create(void)
{
    return (BenchResult){.output = buf_create(0), .error = buf_create(0)};
}

void bench_result_done(BenchResult *result)
{
    buf_done(&result->output);
    buf_done(&result->error);
}

bool bench_result_good(const BenchResult *result)
{
    const BenchSample *s = &result->sample;
    return s->exit_code == 0 && s->signal == 0 && !s->timed_out && !result->overflowed;
}

void bench_result_describe(const BenchResult *result, Buf *out)
{
    const BenchSample *s = &result->sample;
    char text[UNITS_TEXT_MAX];
    if (s->timed_out) {
        (void)duration_format_short(s->wall_ns, text);
        buf_printf(out, "no end within %s", text);
    } else if (result->overflowed) {
        (void)size_format_short(result->output_bytes, text);
        buf_printf(out, "more output than is looked at (%s)", text);
    } else if (s->signal != 0) {
        buf_printf(out, "killed by signal %d", s->signal);
    } else {
        buf_printf(out, "exit code %d", s->exit_code);
    }
}

// ---- the three descriptors

typedef struct Files {
    int in, out, err;
    bool out_is_memory, err_is_memory;
} Files;

static void close_files(Files *files)
{
    int all[] = {files->in, files->out, files->err};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (all[i] > STDERR_FILENO) {
            (void)close(all[i]);
        }
    }
}

// Above the three that it may become.
static int raised(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) {
        return fd;
    }
    int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return high;
}

static int open_path(const char *path, int flags, int *ret_fd, Err *e)
{
    int fd = raised(open(path, flags | O_CLOEXEC, 0666));
    if (fd < 0) {
        return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open '%s'",
                         path);
    }
    *ret_fd = fd;
    return 0;
}

static int open_memory(const char *name, int *ret_fd, Err *e)
{
    int fd = raised(memfd_create(name, MFD_CLOEXEC));
    if (fd < 0) {
        return err_errno(e, ERR_LIMIT, errno, "cannot hold output in memory");
    }
    *ret_fd = fd;
    return 0;
}

static int open_output(const BenchCommand *c, Files *files, Err *e)
{
    switch (c->output) {
    case BENCH_OUTPUT_DISCARD: return open_path("/dev/null", O_WRONLY, &files->out, e);
    case BENCH_OUTPUT_FILE:
        return open_path(c->output_path, O_WRONLY | O_CREAT | O_TRUNC, &files->out, e);
    case BENCH_OUTPUT_HASH:
    case BENCH_OUTPUT_CAPTURE:
        files->out_is_memory = true;
        return open_memory("output", &files->out, e);
    case BENCH_OUTPUT_INHERIT: files->out = STDOUT_FILENO; return 0;
    }
    return err_set(e, ERR_ARG, "no such kind of output");
}

static int open_error(const BenchCommand *c, Files *files, Err *e)
{
    if (c->merge_error) {
        files->err = files->out;
        return 0;
    }
    if (c->inherit_error) {
        files->err = STDERR_FILENO;
        return 0;
    }
    if (c->error_tail_bytes > 0) {
        files->err_is_memory = true;
        return open_memory("errors", &files->err, e);
    }
    return open_path("/dev/null", O_WRONLY, &files->err, e);
}

static int open_files(const BenchCommand *c, Files *files, Err *e)
{
    *files = (Files){-1, -1, -1, false, false};
    int rc = open_path(c->input_path ? c->input_path : "/dev/null", O_RDONLY, &files->in, e);
    if (rc == 0) {
        rc = open_output(c, files, e);
    }
    return rc == 0 ? open_error(c, files, e) : rc;
}

// ---- what came out

static int64_t file_bytes(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

// Mapped, so that the output is not copied to be hashed.
static int read_output(const BenchCommand *c, int fd, BenchResult *result, Err *e)
{
    result->output_bytes = file_bytes(fd);
    Slice bytes = {"", 0};
    if (result->output_bytes > 0 && !result->overflowed) {
        void *map = mmap(NULL, (size_t)result->output_bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            return err_errno(e, ERR_LIMIT, errno, "cannot look at the output");
        }
        bytes = (Slice){map, (size_t)result->output_bytes};
    }
    Sha256 hash = sha256_of(bytes);
    sha256_hex(&hash, result->output_sha256);
    if (c->output == BENCH_OUTPUT_CAPTURE) {
        result->output.max = bytes.len + 1;
        buf_append(&result->output, bytes);
    }
    if (bytes.len > 0) {
        (void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
    }
    return 0;
}

static void read_error(const BenchCommand *c, int fd, BenchResult *result)
{
    int64_t bytes = file_bytes(fd);
    int64_t wanted = (int64_t)c->error_tail_bytes;
    int64_t from = bytes > wanted ? bytes - wanted : 0;
    result->error.max = c->error_tail_bytes + 1;
    char *room = buf_reserve(&result->error, (size_t)(bytes - from));
    ssize_t n = room ? pread(fd, room, (size_t)(bytes - from), from) : 0;
    if (n > 0) {
        buf_commit(&result->error, (size_t)n);
    }
}

static void take_end(const SuperviseEnd *end, BenchResult *result)
{
    result->survivors = end->survivors;
    result->survivors_cpu_ns = end->survivors_cpu_ns;
    result->overflowed = end->overflowed;
    result->sample = (BenchSample){
        .wall_ns = end->wall_ns,
        .user_ns = end->user_ns,
        .system_ns = end->system_ns,
        .rss_max_bytes = end->rss_max_bytes,
        .read_bytes = end->read_bytes,
        .written_bytes = end->written_bytes,
        .instructions = end->instructions,
        .faults_major = end->faults_major,
        .switches = end->switches,
        .exit_code = end->exit_code,
        .signal = end->signal,
        .timed_out = end->timed_out,
    };
}

static int supervise(const BenchCommand *c, const Files *files, BenchResult *result, Err *e)
{
    const char *const shell[] = {"sh", "-c", c->shell, NULL};
    SuperviseOptions options = {
        .argv = c->shell ? shell : c->argv,
        .env = c->env ? c->env : (const char *const *)environ,
        .directory = c->directory,
        .fds = {files->in, files->out, files->err},
        .timeout_ns = c->timeout_ns,
        .watched = {files->out_is_memory ? files->out : 0, files->err_is_memory ? files->err : 0},
        .watched_bytes_max =
            c->output_bytes_max > 0 ? c->output_bytes_max : BENCH_OUTPUT_BYTES_DEFAULT,
        .enter_fn = c->enter_fn,
        .enter_ctx = c->enter_ctx,
        .cancel_fd = c->cancel_fd,
    };
    SuperviseEnd end;
    int rc = supervise_run(&options, &end, e);
    if (rc != 0) {
        return rc;
    }
    take_end(&end, result);
    if (files->err_is_memory) {
        read_error(c, files->err, result);
    }
    return files->out_is_memory ? read_output(c, files->out, result, e) : 0;
}

int bench_command_run(const BenchCommand *command, BenchResult *result, Err *e)
{
    int64_t begin = clock_now(clock_real());
    bench_result_done(result);
    *result = bench_result_create();
    if ((!command->shell && (!command->argv || !command->argv[0])) ||
        (command->output == BENCH_OUTPUT_FILE && !command->output_path) ||
        command->error_tail_bytes > BENCH_ERROR_BYTES_MAX) {
        return err_set(e, ERR_ARG, "a command needs a program, and a file for output to a file");
    }
    Files files;
    int rc = open_files(command, &files, e);
    if (rc == 0) {
        rc = supervise(command, &files, result, e);
    }
    if (files.err == files.out) {
        files.err = -1;
    }
    close_files(&files);
    result->overhead_ns = clock_now(clock_real()) - begin - result->sample.wall_ns;
    return rc;
}
