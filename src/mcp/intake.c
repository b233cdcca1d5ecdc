#include "mcp/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

McpLimits mcp_limits_filled(const McpLimits *limits)
{
    McpLimits l = limits ? *limits : (McpLimits){0};
    l.message_bytes_max = l.message_bytes_max ? l.message_bytes_max : RPC_BYTES_MAX;
    l.spill_bytes_max = l.spill_bytes_max ? l.spill_bytes_max : INT64_C(1) << 30;
    l.depth_max = l.depth_max ? l.depth_max : RPC_DEPTH_MAX;
    l.unasked_max = l.unasked_max ? l.unasked_max : 10000;
    l.items_max = l.items_max ? l.items_max : 10000;
    l.pages_max = l.pages_max ? l.pages_max : 1000;
    l.rounds_max = l.rounds_max ? l.rounds_max : 10;
    l.requests_max = l.requests_max ? l.requests_max : 1000;
    return l;
}

McpIntake mcp_intake_create(const McpLimits *limits)
{
    McpIntake in = {.limits = mcp_limits_filled(limits), .file = -1};
    in.skim = rpc_skim(in.limits.depth_max);
    in.memory = buf_create(in.limits.message_bytes_max);
    return in;
}

static void drop_file(McpIntake *in)
{
    if (in->file >= 0) {
        (void)close(in->file);
        in->file = -1;
    }
    if (in->path) {
        (void)unlink(in->path);
        free(in->path);
        in->path = NULL;
    }
}

void mcp_intake_reset(McpIntake *in)
{
    drop_file(in);
    buf_reset(&in->memory);
    in->skim = rpc_skim(in->limits.depth_max);
    in->bytes = 0;
}

void mcp_intake_done(McpIntake *in)
{
    drop_file(in);
    buf_done(&in->memory);
}

static int write_all(McpIntake *in, Slice bytes, Err *e)
{
    while (bytes.len > 0) {
        ssize_t n = write(in->file, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(e, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, errno, "%s",
                             in->path);
        }
        bytes = slice_sub(bytes, (size_t)n, bytes.len);
    }
    return 0;
}

static int open_file(McpIntake *in, Err *e)
{
    Buf name = buf_create(4096);
    buf_printf(&name, "%s/mcp-XXXXXX", in->limits.spill_directory);
    int rc = buf_check(&name, "the name of a result's file", e);
    if (rc == 0) {
        in->path = mem_alloc(name.len + 1);
        memcpy(in->path, name.data, name.len + 1);
        in->file = mkostemp(in->path, O_CLOEXEC);
        if (in->file < 0) {
            rc = err_errno(e, ERR_IO, errno, "cannot make a file for a large result in %s",
                           in->limits.spill_directory);
            free(in->path); // it names nothing
            in->path = NULL;
        }
    }
    buf_done(&name);
    return rc != 0 ? rc : write_all(in, buf_slice(&in->memory), e);
}

int mcp_intake_feed(McpIntake *in, Slice bytes, Err *e)
{
    int rc = rpc_skim_feed(&in->skim, bytes, e);
    if (rc != 0) {
        return rc;
    }
    in->bytes += (int64_t)bytes.len;
    if (in->file < 0 && bytes.len <= in->memory.max - in->memory.len) {
        buf_append(&in->memory, bytes);
        return 0;
    }
    if (!in->limits.spill_directory) {
        return err_set(e, ERR_LIMIT,
                       "a message of the server is larger than %zu bytes; allow large results a "
                       "directory, or raise the limit",
                       in->limits.message_bytes_max);
    }
    if (in->bytes > in->limits.spill_bytes_max) {
        return err_set(e, ERR_LIMIT, "a message of the server is larger than %lld bytes",
                       (long long)in->limits.spill_bytes_max);
    }
    if (in->file < 0) {
        rc = open_file(in, e);
        buf_reset(&in->memory);
    }
    return rc != 0 ? rc : write_all(in, bytes, e);
}

int mcp_intake_end(McpIntake *in, Err *e)
{
    int rc = rpc_skim_end(&in->skim, e);
    if (rc == 0 && in->file >= 0) {
        int fd = in->file;
        in->file = -1;
        if (close(fd) != 0) {
            rc = err_errno(e, ERR_IO, errno, "%s", in->path);
        }
    }
    return rc;
}

char *mcp_intake_take_file(McpIntake *in)
{
    char *path = in->path;
    in->path = NULL;
    return path;
}
