#include "llm/answer.h"

#include <stdarg.h>

void llm_answer_init(LlmAnswer *answer, Arena *arena, Err *e)
{
    *answer = (LlmAnswer){.arena = arena, .bytes_max = LLM_ANSWER_BYTES_MAX, .e = e};
    answer->failure.retry_after_ns = -1;
    answer->failure.should_retry = -1;
}

void llm_answer_done(LlmAnswer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        buf_done(&answer->pending[i].text);
        buf_done(&answer->pending[i].signature);
    }
    free(answer->pending);
    answer->pending = NULL;
    answer->count = answer->capacity = 0;
}

int llm_answer_fail(LlmAnswer *answer, ErrCode code, const char *format, ...)
{
    if (answer->rc == 0) {
        char text[ERR_TEXT_MAX];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        answer->rc = err_set(answer->e, code, "%s", text);
    }
    return answer->rc;
}

LlmPending *llm_answer_part(LlmAnswer *answer, LlmPartKind kind, int64_t index)
{
    // From the end: the part that grows is nearly always the last.
    for (size_t i = answer->count; i-- > 0;) {
        LlmPending *part = &answer->pending[i];
        if (part->kind == kind && part->index == index) {
            return part;
        }
    }
    if (answer->count == LLM_ANSWER_PARTS_MAX) {
        (void)llm_answer_fail(answer, ERR_LIMIT, "the answer has more than %d parts",
                              LLM_ANSWER_PARTS_MAX);
        return NULL;
    }
    if (answer->count == answer->capacity) {
        answer->capacity = answer->capacity == 0 ? 4 : answer->capacity * 2;
        answer->pending = mem_realloc(answer->pending, answer->capacity * sizeof(LlmPending));
    }
    LlmPending *part = &answer->pending[answer->count++];
    *part = (LlmPending){.kind = kind,
                         .index = index,
                         .text = buf_create(LLM_ANSWER_BYTES_MAX),
                         .signature = buf_create(LLM_ANSWER_BYTES_MAX)};
    return part;
}

static bool room_for(LlmAnswer *answer, size_t bytes)
{
    if (bytes > answer->bytes_max - answer->bytes) {
        (void)llm_answer_fail(answer, ERR_LIMIT, "the answer is larger than %zu bytes",
                              answer->bytes_max);
        return false;
    }
    answer->bytes += bytes;
    return true;
}

static void deliver(LlmAnswer *answer, const LlmChunk *chunk)
{
    answer->has_content = true;
    answer->chunks++;
    if (!answer->chunk_fn || answer->rc != 0) {
        return;
    }
    answer->failure.content_delivered = true;
    int rc = answer->chunk_fn(answer->chunk_ctx, chunk);
    if (rc != 0) {
        answer->stopped = true;
        (void)llm_answer_fail(answer, (ErrCode)rc, "the receiver of the answer gave up");
    }
}

void llm_answer_add(LlmAnswer *answer, LlmPending *part, Slice text)
{
    if (!part || text.len == 0 || !room_for(answer, text.len)) {
        return;
    }
    buf_append(&part->text, text);
    if (part->kind == LLM_PART_TOOL_CALL) {
        answer->has_content = true; // delivered when whole
        return;
    }
    LlmChunkKind kind = part->kind == LLM_PART_TEXT ? LLM_CHUNK_TEXT : LLM_CHUNK_THINKING;
    deliver(answer, &(LlmChunk){.kind = kind, .text = text});
}

void llm_answer_sign(LlmAnswer *answer, LlmPending *part, Slice signature)
{
    if (part && signature.len > 0 && room_for(answer, signature.len)) {
        buf_append(&part->signature, signature);
    }
}

static LlmPart part_of(const LlmPending *pending)
{
    LlmPart part = {.kind = pending->kind,
                    .id = pending->id,
                    .name = pending->name,
                    .signature = buf_slice(&pending->signature)};
    Slice text = buf_slice(&pending->text);
    if (pending->kind == LLM_PART_TOOL_CALL) {
        // No piece at all means a call without arguments (Anthropic says so with an empty string).
        part.arguments = slice_trim(text).len > 0 ? text : SLICE("{}");
    } else {
        part.text = text;
    }
    return part;
}

void llm_answer_call_done(LlmAnswer *answer, LlmPending *part)
{
    if (!part || part->announced) {
        return;
    }
    part->announced = true;
    LlmPart call = part_of(part);
    deliver(answer, &(LlmChunk){.kind = LLM_CHUNK_TOOL_CALL, .call = &call});
}

void llm_answer_call(LlmAnswer *answer, int64_t index, Slice id, Slice name, Slice arguments)
{
    LlmPending *part = llm_answer_part(answer, LLM_PART_TOOL_CALL, index);
    if (part) {
        part->id = id;
        part->name = name;
        llm_answer_add(answer, part, arguments);
        llm_answer_call_done(answer, part);
    }
}

static void keep_part(LlmAnswer *answer, const LlmPending *pending, LlmPart *ret_part)
{
    LlmPart part = part_of(pending);
    part.text = arena_copy(answer->arena, part.text);
    part.arguments = arena_copy(answer->arena, part.arguments);
    part.signature = arena_copy(answer->arena, part.signature);
    *ret_part = part;
}

void llm_answer_finish(LlmAnswer *answer, LlmResponse *response)
{
    LlmPart *parts = ARENA_ARRAY(answer->arena, LlmPart, answer->count + 1);
    size_t text_bytes = 0, calls = 0;
    for (size_t i = 0; i < answer->count; i++) {
        llm_answer_call_done(
            answer, answer->pending[i].kind == LLM_PART_TOOL_CALL ? &answer->pending[i] : NULL);
        keep_part(answer, &answer->pending[i], &parts[i]);
        calls += parts[i].kind == LLM_PART_TOOL_CALL;
        text_bytes += parts[i].kind == LLM_PART_TEXT ? parts[i].text.len : 0;
    }
    char *text = arena_alloc(answer->arena, text_bytes + 1);
    size_t at = 0;
    for (size_t i = 0; i < answer->count; i++) {
        if (parts[i].kind == LLM_PART_TEXT && parts[i].text.len > 0) {
            memcpy(text + at, parts[i].text.ptr, parts[i].text.len);
            at += parts[i].text.len;
        }
    }
    response->text = (Slice){text, text_bytes};
    response->parts = parts;
    response->part_count = answer->count;
    response->tool_call_count = calls;
    response->id = answer->id;
    response->model = answer->model;
    response->finish_text = answer->finish_text;
    // Gemini says STOP where the others say that tools are to be called.
    bool calls_tools = calls > 0 && answer->finish == LLM_FINISH_STOP;
    response->finish = calls_tools ? LLM_FINISH_TOOLS : answer->finish;
    response->usage = answer->usage;
}

// ---- reading

static const Doc *member(const Doc *object, const char *key)
{
    const Doc *d = object ? doc_get(object, slice_from_cstr(key)) : NULL;
    return d && d->type != DOC_NULL ? d : NULL;
}

static const Doc *typed(LlmAnswer *answer, const Doc *object, const char *key, DocType type)
{
    const Doc *d = member(object, key);
    if (d && d->type != type) {
        (void)llm_answer_fail(answer, ERR_PROTOCOL, "'%s' in the answer is %s", key,
                              doc_type_name(d->type));
        return NULL;
    }
    return d;
}

Slice answer_string(LlmAnswer *answer, const Doc *object, const char *key)
{
    const Doc *d = typed(answer, object, key, DOC_STRING);
    return d ? d->text : (Slice){0};
}

Slice answer_keep(LlmAnswer *answer, const Doc *object, const char *key)
{
    Slice text = answer_string(answer, object, key);
    return text.len > 0 && room_for(answer, text.len) ? arena_copy(answer->arena, text)
                                                      : (Slice){0};
}

int64_t answer_int(LlmAnswer *answer, const Doc *object, const char *key)
{
    const Doc *d = typed(answer, object, key, DOC_INT);
    return d ? d->integer : 0;
}

const Doc *answer_object(LlmAnswer *answer, const Doc *object, const char *key)
{
    return typed(answer, object, key, DOC_OBJECT);
}

const Doc *answer_array(LlmAnswer *answer, const Doc *object, const char *key)
{
    return typed(answer, object, key, DOC_ARRAY);
}
