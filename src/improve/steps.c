#include "improve/steps.h"

#include "improve/steps_impl.h"
#include "ledger/sha256.h"

int step_list_add(Arena *arena, StepList *list, const Step *step, Err *e)
{
    if (list->count == STEP_LIST_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d steps of one kind", STEP_LIST_MAX);
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 8;
        Step *items = ARENA_ARRAY(arena, Step, list->capacity);
        for (size_t i = 0; i < list->count; i++) {
            items[i] = list->items[i];
        }
        list->items = items;
    }
    list->items[list->count++] = *step;
    return 0;
}

int steps_add_benchmark(Arena *arena, Steps *steps, const Benchmark *benchmark, Err *e)
{
    if (steps->benchmark_count == STEPS_BENCHMARKS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d benchmarks", STEPS_BENCHMARKS_MAX);
    }
    if (steps->benchmark_count == steps->benchmark_capacity) {
        steps->benchmark_capacity = steps->benchmark_capacity ? 2 * steps->benchmark_capacity : 16;
        Benchmark *items = ARENA_ARRAY(arena, Benchmark, steps->benchmark_capacity);
        for (size_t i = 0; i < steps->benchmark_count; i++) {
            items[i] = steps->benchmarks[i];
        }
        steps->benchmarks = items;
    }
    steps->benchmarks[steps->benchmark_count++] = *benchmark;
    return 0;
}

const Step *step_list_find(const StepList *list, Slice name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (slice_eq(list->items[i].name, name)) {
            return &list->items[i];
        }
    }
    return NULL;
}

const Workload *steps_workload(const Steps *steps, Slice name)
{
    for (size_t i = 0; i < steps->workload_count; i++) {
        if (slice_eq(steps->workloads[i].name, name)) {
            return &steps->workloads[i];
        }
    }
    return NULL;
}

bool step_list_touched(const StepList *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].by_person) {
            return true;
        }
    }
    return false;
}

// ---- a person's edits over what was inferred

static void merge_list(const StepList *old, StepList *fresh)
{
    // A list is a sequence: a step of a person's between two inferred ones would make no sense in
    // another sequence, so the whole list is kept as that person left it.
    if (step_list_touched(old)) {
        *fresh = *old;
    }
}

static int merge_benchmarks(Arena *arena, const Steps *old, Steps *fresh, Err *e)
{
    for (size_t i = 0; i < old->benchmark_count; i++) {
        const Benchmark *kept = &old->benchmarks[i];
        if (!kept->by_person) {
            continue;
        }
        size_t at = 0;
        while (at < fresh->benchmark_count && !slice_eq(fresh->benchmarks[at].name, kept->name)) {
            at++;
        }
        if (at < fresh->benchmark_count) {
            fresh->benchmarks[at] = *kept;
            continue;
        }
        int rc = steps_add_benchmark(arena, fresh, kept, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int merge_workloads(Arena *arena, const Steps *old, Steps *fresh, Err *e)
{
    // A skeleton of ours makes room; everything else that is there stays.
    Workload *all = ARENA_ARRAY(arena, Workload, old->workload_count + fresh->workload_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < old->workload_count; i++) {
        if (old->workloads[i].by_person || !old->workloads[i].skeleton) {
            all[count++] = old->workloads[i];
        }
    }
    size_t kept = count;
    for (size_t i = 0; i < fresh->workload_count; i++) {
        const Workload *w = &fresh->workloads[i];
        bool known = w->skeleton && kept > 0;
        for (size_t k = 0; k < kept && !known; k++) {
            known = slice_eq(all[k].name, w->name);
        }
        if (!known) {
            all[count++] = *w;
        }
    }
    if (count > STEPS_WORKLOADS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d workloads", STEPS_WORKLOADS_MAX);
    }
    fresh->workloads = all;
    fresh->workload_count = count;
    return 0;
}

int steps_merge(Arena *arena, const Steps *old, Steps *fresh, Err *e)
{
    merge_list(&old->install, &fresh->install);
    merge_list(&old->build, &fresh->build);
    merge_list(&old->test, &fresh->test);
    if (old->artifact_count > 0) {
        fresh->artifacts = old->artifacts;
        fresh->artifact_count = old->artifact_count;
    }
    if (old->protect_count > 0) {
        fresh->protect = old->protect;
        fresh->protect_count = old->protect_count;
    }
    if (old->environment_count > 0) {
        fresh->environment = old->environment;
        fresh->environment_count = old->environment_count;
    }
    if (old->limits.time_ns || old->limits.memory_bytes || old->limits.disk_bytes ||
        old->limits.processes) {
        fresh->limits = old->limits;
    }
    int rc = merge_benchmarks(arena, old, fresh, e);
    return rc != 0 ? rc : merge_workloads(arena, old, fresh, e);
}

// ---- seals and hashes

// Length before text, so that two lists of texts are equal only where every text is.
static void put(Buf *out, Slice text)
{
    buf_printf(out, "%zu:", text.len);
    buf_append(out, text);
}

static void put_all(Buf *out, const Slice *texts, size_t count)
{
    buf_printf(out, "[%zu]", count);
    for (size_t i = 0; i < count; i++) {
        put(out, texts[i]);
    }
}

static void put_list(Buf *out, const StepList *list)
{
    buf_printf(out, "[%zu]", list->count);
    for (size_t i = 0; i < list->count; i++) {
        const Step *s = &list->items[i];
        put(out, s->name);
        put(out, s->run);
        put(out, s->directory);
        buf_putc(out, s->network ? 'n' : '-');
    }
}

static void put_workload(Buf *out, const Workload *w)
{
    const Slice texts[] = {w->name,   w->run,    w->directory,
                           w->metric, w->output, w->inputs.generator};
    put_all(out, texts, COUNT_OF(texts));
    for (size_t i = 0; i < w->inputs.size_count; i++) {
        buf_printf(out, "%lld,", (long long)w->inputs.sizes[i]);
    }
    put_all(out, w->inputs.files, w->inputs.file_count);
    for (size_t i = 0; i < w->inputs.argument_count; i++) {
        put_all(out, w->inputs.arguments[i].words, w->inputs.arguments[i].count);
    }
    buf_putc(out, w->skeleton ? 's' : '-');
}

static void seal_of(Buf *text, char out[STEPS_SEAL_HEX + 1])
{
    char hex[SHA256_HEX + 1];
    Sha256 hash = sha256_of(buf_slice(text));
    sha256_hex(&hash, hex);
    (void)snprintf(out, STEPS_SEAL_HEX + 1, "%.*s", STEPS_SEAL_HEX, hex);
    buf_done(text);
}

void steps_seal(Slice name, Slice run, Slice directory, bool network, char out[STEPS_SEAL_HEX + 1])
{
    Buf text = buf_create(STEPS_BYTES_MAX);
    const Slice texts[] = {name, run, directory};
    put_all(&text, texts, COUNT_OF(texts));
    buf_putc(&text, network ? 'n' : '-');
    seal_of(&text, out);
}

void steps_seal_workload(const Workload *w, char out[STEPS_SEAL_HEX + 1])
{
    Buf text = buf_create(STEPS_BYTES_MAX);
    put_workload(&text, w);
    seal_of(&text, out);
}

void steps_hash(const Steps *steps, char out[STEPS_HASH_HEX + 1])
{
    Buf text = buf_create(16 * (size_t)STEPS_BYTES_MAX);
    put_list(&text, &steps->install);
    put_list(&text, &steps->build);
    put_list(&text, &steps->test);
    for (size_t i = 0; i < steps->benchmark_count; i++) {
        const Benchmark *b = &steps->benchmarks[i];
        const Slice texts[] = {b->name, b->run, b->directory, b->harness};
        put_all(&text, texts, COUNT_OF(texts));
    }
    buf_putc(&text, '|');
    for (size_t i = 0; i < steps->workload_count; i++) {
        put_workload(&text, &steps->workloads[i]);
    }
    put_all(&text, steps->artifacts, steps->artifact_count);
    put_all(&text, steps->protect, steps->protect_count);
    for (size_t i = 0; i < steps->environment_count; i++) {
        put(&text, steps->environment[i].name);
        put(&text, steps->environment[i].value);
    }
    const StepsLimits *l = &steps->limits;
    buf_printf(&text, "|%lld %lld %lld %lld", (long long)l->time_ns, (long long)l->memory_bytes,
               (long long)l->disk_bytes, (long long)l->processes);
    Sha256 hash = sha256_of(buf_slice(&text));
    sha256_hex(&hash, out);
    buf_done(&text);
}

// ---- places in commands

static bool plain_for_shell(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || strchr("_-./+=:,@%", c) == NULL)) {
            return false;
        }
    }
    return s.len > 0;
}

static void put_quoted(Buf *out, Slice value)
{
    if (plain_for_shell(value)) {
        buf_append(out, value);
        return;
    }
    buf_putc(out, '\'');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, value.ptr[i]);
        }
    }
    buf_putc(out, '\'');
}

Slice steps_expand(Arena *arena, Slice text, const StepsVariable *values, size_t count, bool quote)
{
    Buf out = buf_create(STEPS_BYTES_MAX);
    for (size_t at = 0; at < text.len;) {
        Slice rest = slice_sub(text, at, text.len);
        const StepsVariable *found = NULL;
        for (size_t i = 0; i < count && rest.ptr[0] == '{' && found == NULL; i++) {
            size_t n = values[i].name.len;
            if (rest.len >= n + 2 && rest.ptr[n + 1] == '}' &&
                slice_eq(slice_sub(rest, 1, n), values[i].name)) {
                found = &values[i];
            }
        }
        if (found == NULL) {
            buf_putc(&out, rest.ptr[0]);
            at++;
            continue;
        }
        if (quote) {
            put_quoted(&out, found->value);
        } else {
            buf_append(&out, found->value);
        }
        at += found->name.len + 2;
    }
    Slice result = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return result;
}
