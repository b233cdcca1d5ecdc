#include "prof/profile.h"

#include <assert.h>

#include "prof/profile_impl.h"

enum { TEXTS_MAX = 100000, FUNCTIONS_MAX = 1 << 20, INDEX_FIRST = 1024 };
#define ARENA_BYTES_MAX ((size_t)1 << 30)

size_t profile_value_types(ProfileKind kind, const ProfileValueType **ret_types, size_t *ret_shown)
{
    static const ProfileValueType cpu[] = {{"samples", "count"}, {"cpu", "nanoseconds"}};
    static const ProfileValueType heap[] = {{"alloc_objects", "count"},
                                            {"alloc_space", "bytes"},
                                            {"inuse_objects", "count"},
                                            {"inuse_space", "bytes"}};
    static const ProfileValueType fibers[] = {{"goroutine", "count"}};
    switch (kind) {
    case PROFILE_CPU:
        *ret_types = cpu;
        *ret_shown = 1;
        return COUNT_OF(cpu);
    case PROFILE_HEAP:
        *ret_types = heap;
        *ret_shown = 3;
        return COUNT_OF(heap);
    case PROFILE_FIBERS: break;
    }
    *ret_types = fibers;
    *ret_shown = 0;
    return COUNT_OF(fibers);
}

Profile *profile_create(ProfileKind kind, int64_t period)
{
    Profile *p = mem_zalloc(sizeof *p);
    p->kind = kind;
    p->period = period;
    p->arena = arena_create(ARENA_BYTES_MAX);
    p->texts = map_create(TEXTS_MAX, 0);
    p->functions = map_create(FUNCTIONS_MAX, 0);
    return p;
}

void profile_destroy(Profile *p)
{
    if (p) {
        map_done(&p->texts);
        map_done(&p->functions);
        free(p->stacks);
        free(p->index);
        free(p->locations);
        arena_destroy(p->arena);
        free(p);
    }
}

ProfileKind profile_kind(const Profile *p)
{
    return p->kind;
}

// ---- stacks

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

static uint64_t hash_sample(const ProfileSample *s, Slice label)
{
    uint64_t h = mix(s->depth * 2 + s->leaf_is_pc, (uintptr_t)label.ptr);
    for (size_t i = 0; i < s->depth; i++) {
        h = mix(h, s->pcs[i]);
    }
    return h;
}

static bool is_same(const Stack *stack, uint64_t hash, const ProfileSample *s, Slice label)
{
    return stack->hash == hash && stack->depth == s->depth && stack->leaf_is_pc == s->leaf_is_pc &&
           stack->label.ptr == label.ptr &&
           (s->depth == 0 || memcmp(stack->pcs, s->pcs, s->depth * sizeof s->pcs[0]) == 0);
}

static void grow_index(Profile *p)
{
    p->index_size = p->index_size ? p->index_size * 2 : INDEX_FIRST;
    free(p->index);
    p->index = mem_zalloc(p->index_size * sizeof p->index[0]);
    for (size_t i = 0; i < p->stack_count; i++) {
        size_t at = p->stacks[i]->hash & (p->index_size - 1);
        while (p->index[at] != 0) {
            at = (at + 1) & (p->index_size - 1);
        }
        p->index[at] = (uint32_t)i + 1;
    }
}

// One copy of each text, so that labels compare by address.
static Slice intern(Profile *p, Slice text)
{
    if (text.len == 0) {
        return (Slice){0};
    }
    Slice *known = map_get(&p->texts, text);
    if (!known) {
        known = ARENA_NEW(p->arena, Slice);
        *known = arena_copy(p->arena, text);
        if (map_put(&p->texts, *known, known) != 0) {
            return (Slice){0};
        }
    }
    return *known;
}

static Stack *add_stack(Profile *p, uint64_t hash, const ProfileSample *s, Slice label)
{
    if (p->stack_count == p->stack_capacity) {
        p->stack_capacity = p->stack_capacity ? p->stack_capacity * 2 : 256;
        p->stacks = mem_realloc(p->stacks, p->stack_capacity * sizeof(Stack *));
    }
    Stack *stack = arena_alloc(p->arena, sizeof(Stack) + s->depth * sizeof s->pcs[0]);
    stack->hash = hash;
    stack->depth = (uint32_t)s->depth;
    stack->leaf_is_pc = s->leaf_is_pc;
    stack->label_key = intern(p, s->label_key);
    stack->label = label;
    if (s->depth > 0) {
        memcpy(stack->pcs, s->pcs, s->depth * sizeof s->pcs[0]);
    }
    p->stacks[p->stack_count++] = stack;
    return stack;
}

Stack *profile_add_stack(Profile *p, const ProfileSample *sample)
{
    ProfileSample s = *sample;
    s.depth = s.depth > PROFILE_DEPTH_MAX ? PROFILE_DEPTH_MAX : s.depth;
    if (p->stack_count * 2 >= p->index_size) {
        grow_index(p);
    }
    Slice label = intern(p, s.label);
    uint64_t hash = hash_sample(&s, label);
    size_t at = hash & (p->index_size - 1);
    while (p->index[at] != 0 && !is_same(p->stacks[p->index[at] - 1], hash, &s, label)) {
        at = (at + 1) & (p->index_size - 1);
    }
    if (p->index[at] == 0) {
        if (p->stack_count == PROFILE_STACKS_MAX) {
            p->lost++;
            return NULL;
        }
        (void)add_stack(p, hash, &s, label);
        p->index[at] = (uint32_t)p->stack_count;
    }
    Stack *stack = p->stacks[p->index[at] - 1];
    for (size_t i = 0; i < PROFILE_VALUES_MAX; i++) {
        stack->values[i] += s.values[i];
    }
    return stack;
}

void profile_add(Profile *p, const ProfileSample *sample)
{
    (void)profile_add_stack(p, sample);
}

void profile_set_times(Profile *p, int64_t wall_begin_ns, int64_t duration_ns)
{
    p->wall_begin_ns = wall_begin_ns;
    p->duration_ns = duration_ns;
}

void profile_add_lost(Profile *p, int64_t count)
{
    p->lost += count;
}

ProfileStats profile_stats(const Profile *p)
{
    ProfileStats stats = {
        .stacks = p->stack_count, .lost = p->lost, .locations = p->location_count};
    for (size_t i = 0; i < p->stack_count; i++) {
        stats.samples += p->stacks[i]->values[0];
    }
    for (size_t i = 0; i < p->location_size; i++) {
        stats.resolved += p->locations[i] && p->locations[i]->line_count > 0;
    }
    return stats;
}

// ---- locations

static size_t location_slot(const Profile *p, uint64_t address)
{
    size_t at = mix(0, address) & (p->location_size - 1);
    while (p->locations[at] && p->locations[at]->address != address) {
        at = (at + 1) & (p->location_size - 1);
    }
    return at;
}

Location *profile_location(const Profile *p, uint64_t address)
{
    return p->location_size > 0 ? p->locations[location_slot(p, address)] : NULL;
}

void profile_list_locations(Profile *p)
{
    size_t frames = 1;
    for (size_t i = 0; i < p->stack_count; i++) {
        frames += p->stacks[i]->depth;
    }
    // Most frames are shared, so the table that could hold all of them is far from full.
    size_t size = INDEX_FIRST;
    while (size < frames * 2 && size < (1 << 22)) {
        size *= 2;
    }
    free(p->locations);
    p->locations = mem_zalloc(size * sizeof(Location *));
    p->location_size = size;
    p->location_count = 0;
    for (size_t i = 0; i < p->stack_count; i++) {
        for (size_t f = 0; f < p->stacks[i]->depth; f++) {
            uint64_t address = stack_address(p->stacks[i], f);
            size_t at = location_slot(p, address);
            if (!p->locations[at] && p->location_count < size / 2) {
                p->locations[at] = ARENA_NEW(p->arena, Location);
                p->locations[at]->id = ++p->location_count;
                p->locations[at]->address = address;
            }
        }
    }
}

Function *profile_function(Profile *p, Slice name, Slice file)
{
    Slice key = arena_printf(p->arena, "%.*s\n%.*s", SLICE_FMT(name), SLICE_FMT(file));
    Function *f = map_get(&p->functions, key);
    if (!f) {
        f = ARENA_NEW(p->arena, Function);
        f->name = slice_sub(key, 0, name.len);
        f->file = slice_sub(key, name.len + 1, file.len);
        f->id = ++p->function_count;
        if (map_put(&p->functions, key, f) != 0) {
            return NULL;
        }
    }
    return f;
}

Slice profile_frame_name(const Location *location, size_t line, char *room, size_t room_bytes)
{
    if (location && line < location->line_count) {
        return location->lines[line].function->name;
    }
    Slice path = location && location->module ? location->module->path : SLICE("unknown");
    ptrdiff_t slash;
    while ((slash = slice_find_byte(path, '/')) >= 0) {
        path = slice_sub(path, (size_t)slash + 1, path.len);
    }
    uint64_t base = location && location->module ? location->module->start : 0;
    int len = snprintf(room, room_bytes, "%.*s+0x%llx", SLICE_FMT(slice_sub(path, 0, 256)),
                       location ? (unsigned long long)(location->address - base) : 0ULL);
    return (Slice){room, len > 0 ? (size_t)len : 0};
}

// ---- text

static int by_value(const void *a, const void *b)
{
    const Stack *x = *(Stack *const *)a, *y = *(Stack *const *)b;
    return (x->values[0] < y->values[0]) - (x->values[0] > y->values[0]);
}

static void put_frames(const Profile *p, const Stack *s, Buf *out)
{
    char room[PROFILE_FRAME_NAME_MAX];
    for (size_t f = 0; f < s->depth; f++) {
        uint64_t address = stack_address(s, f);
        const Location *l = profile_location(p, address);
        size_t lines = l && l->line_count > 0 ? l->line_count : 1;
        for (size_t i = 0; i < lines; i++) {
            Slice name = profile_frame_name(l, i, room, sizeof room);
            buf_printf(out, "#\t0x%llx\t%.*s", (unsigned long long)address, SLICE_FMT(name));
            if (l && i < l->line_count) {
                buf_printf(out, "\t%.*s:%lld", SLICE_FMT(l->lines[i].function->file),
                           (long long)l->lines[i].line);
            }
            buf_putc(out, '\n');
        }
    }
}

int profile_write_text(Profile *p, Buf *out, Err *e)
{
    const ProfileValueType *types;
    size_t shown, count = profile_value_types(p->kind, &types, &shown);
    ProfileStats stats = profile_stats(p);
    buf_printf(out, "%s profile: total %lld, lost %lld\n", types[0].type, (long long)stats.samples,
               (long long)stats.lost);
    Stack **order = mem_alloc((p->stack_count + 1) * sizeof(Stack *));
    if (p->stack_count > 0) {
        memcpy(order, p->stacks, p->stack_count * sizeof(Stack *));
    }
    qsort(order, p->stack_count, sizeof(Stack *), by_value);
    for (size_t i = 0; i < p->stack_count; i++) {
        const Stack *s = order[i];
        buf_puts(out, "\n");
        for (size_t v = 0; v < count; v++) {
            buf_printf(out, "%s%lld %s", v ? ", " : "", (long long)s->values[v], types[v].type);
        }
        if (s->label.len > 0) {
            buf_printf(out, " {%.*s: %.*s}", SLICE_FMT(s->label_key), SLICE_FMT(s->label));
        }
        buf_putc(out, '\n');
        put_frames(p, s, out);
    }
    free(order);
    return buf_check(out, "the profile", e);
}
