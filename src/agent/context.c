// What a handler sees of the runner.
#include "agent/agent.h"

#include <stdarg.h>

#include "agent/runner_impl.h"

enum { ARENA_MAX = 64 << 20 };

void *agent_self(const AgentContext *ctx)
{
    return ctx->job->slot->def->self;
}

Slice agent_name(const AgentContext *ctx)
{
    return def_name(ctx->job->slot->def);
}

const Event *agent_event(const AgentContext *ctx)
{
    return &ctx->job->event;
}

Runner *agent_runner(const AgentContext *ctx)
{
    return ctx->shard->runner;
}

unsigned agent_shard(const AgentContext *ctx)
{
    return ctx->shard->index;
}

unsigned agent_attempt(const AgentContext *ctx)
{
    return ctx->attempt;
}

int64_t agent_now(const AgentContext *ctx)
{
    return shard_now(ctx->shard);
}

int64_t agent_deadline(const AgentContext *ctx)
{
    return ctx->job->event.deadline_ns;
}

bool agent_is_cancelled(const AgentContext *ctx)
{
    return context_is_cancelled(ctx) || shard_now(ctx->shard) >= agent_deadline(ctx);
}

bool agent_is_wanted(const AgentContext *ctx)
{
    if (context_is_cancelled(ctx)) {
        return false;
    }
    while (ctx) {
        const Job *job = ctx->job;
        switch (job->reply.kind) {
        case REPLY_NONE: return job->level != LEVEL_CALL && !job->is_attempt;
        case REPLY_LOCAL:
            if (!job->reply.wait->call) {
                return false;
            }
            ctx = job->reply.wait->ctx;
            break;
        case REPLY_INLINE: ctx = ctx->outer; break;
        case REPLY_REMOTE:
        case REPLY_DONE: return true;
        }
    }
    return true;
}

Arena *agent_arena(AgentContext *ctx)
{
    Shard *shard = ctx->shard;
    if (!ctx->arena) {
        ctx->arena =
            shard->arena_count > 0 ? shard->arenas[--shard->arena_count] : arena_create(ARENA_MAX);
    }
    return ctx->arena;
}

int agent_reply(AgentContext *ctx, Slice data)
{
    if (data.len > ctx->shard->runner->options.data_max) {
        return agent_fail(ctx, ERR_LIMIT, "a reply of %zu bytes, the limit is %zu", data.len,
                          ctx->shard->runner->options.data_max);
    }
    Bytes *bytes = data.len > EVENT_INLINE_BYTES ? bytes_copy(data) : NULL;
    bytes_unref(ctx->reply_bytes);
    ctx->reply_bytes = bytes;
    ctx->reply_len = 0;
    if (!bytes && data.len > 0) {
        memmove(ctx->reply_inline, data.ptr, data.len);
        ctx->reply_len = (uint32_t)data.len;
    }
    return 0;
}

int agent_reply_bytes(AgentContext *ctx, Bytes *bytes)
{
    if (bytes->len > ctx->shard->runner->options.data_max) {
        return agent_fail(ctx, ERR_LIMIT, "a reply of %zu bytes, the limit is %zu", bytes->len,
                          ctx->shard->runner->options.data_max);
    }
    (void)bytes_ref(bytes);
    bytes_unref(ctx->reply_bytes);
    ctx->reply_bytes = bytes;
    ctx->reply_len = 0;
    return 0;
}

int agent_fail(AgentContext *ctx, ErrCode code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ctx->reason, sizeof ctx->reason, format, args);
    va_end(args);
    ctx->fail_code = code;
    return code;
}

int agent_sleep(AgentContext *ctx, int64_t duration_ns)
{
    worker_hand_over(ctx->worker);
    return fiber_sleep(duration_ns);
}

static void send_chunk(AgentContext *ctx, const Reply *reply, Slice chunk)
{
    Message m;
    m.kind = MESSAGE_CHUNK;
    m.wait = reply->wait;
    m.event.bytes = bytes_copy(chunk);
    m.event.inline_len = 0;
    shard_send(ctx->shard, reply->shard, &m);
}

void context_stream_now(AgentContext *ctx, Slice chunk)
{
    const Reply *reply = &ctx->job->reply;
    switch (reply->kind) {
    case REPLY_NONE: break;
    case REPLY_LOCAL:
        if (reply->wait->on_chunk) {
            reply->wait->on_chunk(reply->wait->chunk_arg, chunk);
        }
        break;
    case REPLY_REMOTE:
        if (reply->wants_chunks) {
            send_chunk(ctx, reply, chunk);
        }
        break;
    case REPLY_DONE:
    case REPLY_INLINE:
        if (reply->on_chunk) {
            reply->on_chunk(reply->arg, chunk);
        }
        break;
    }
}

int agent_stream(AgentContext *ctx, Slice chunk)
{
    const Reply *reply = &ctx->job->reply;
    // What does not fit into the other shard's inbox waits here, not in memory without bound.
    while (reply->kind == REPLY_REMOTE && ctx->shard->outboxes[reply->shard].first) {
        int rc = fiber_sleep(REMOTE_ROOM_NS);
        if (rc != 0) {
            return rc;
        }
    }
    if (ctx->job->abandoned || context_is_cancelled(ctx)) {
        return ERR_CANCELLED;
    }
    context_stream_now(ctx, chunk);
    return 0;
}
