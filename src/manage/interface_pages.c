#include "manage/interface_pages.h"

#include <pthread.h>

#include "base/json_write.h"

typedef struct Page {
    Slice agent;
    int64_t revision;
    Slice policies; // as JSON: what the revision depends on
    Slice text;
} Page;

struct InterfacePages {
    MonitorSource source;
    pthread_mutex_t lock;
    Arena *arena; // of the pages; under the lock
    Page *pages;
    uint32_t count;
};

enum { PAGES_BYTES_MAX = 256 << 20 };

static bool answer(void *ctx, Slice path, Buf *out)
{
    static const Slice root = SLICE_INIT("/interface");
    InterfacePages *p = ctx;
    if (!slice_starts_with(path, root)) {
        return false;
    }
    Slice name = slice_sub(path, root.len, path.len);
    bool found = name.len == 0;
    (void)pthread_mutex_lock(&p->lock);
    if (found) {
        JsonWriter w = json_writer(out, 2);
        json_array_begin(&w);
        for (uint32_t i = 0; i < p->count; i++) {
            json_object_begin(&w);
            json_field_string(&w, "agent", p->pages[i].agent);
            json_field_int(&w, "revision", p->pages[i].revision);
            char text[SYSTEM_NAME_MAX + 16];
            (void)snprintf(text, sizeof text, "/interface/%.*s", SLICE_FMT(p->pages[i].agent));
            json_field_cstr(&w, "path", text);
            json_object_end(&w);
        }
        json_array_end(&w);
    }
    for (uint32_t i = 0; i < p->count && !found; i++) {
        if (name.ptr[0] == '/' && slice_eq(slice_sub(name, 1, name.len), p->pages[i].agent)) {
            buf_append(out, p->pages[i].text);
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
    return found;
}

InterfacePages *interface_pages_create(void)
{
    InterfacePages *p = mem_zalloc(sizeof *p);
    p->source = (MonitorSource){.page = answer, .ctx = p};
    (void)pthread_mutex_init(&p->lock, NULL);
    return p;
}

void interface_pages_destroy(InterfacePages *p)
{
    if (p) {
        arena_destroy(p->arena);
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
    }
}

const MonitorSource *interface_pages_source(const InterfacePages *p)
{
    return &p->source;
}

static Slice keep(Arena *arena, const Buf *b)
{
    return arena_copy(arena, buf_slice(b));
}

// The agent's page; only this thread changes pages, so those from before are read without the lock.
static int make(const InterfacePages *p, Arena *arena, const System *sys, uint32_t agent,
                const Outcome *observed, Page *ret, Err *e)
{
    Buf text = buf_create(INTERFACE_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    json_array_begin(&w);
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        for (uint16_t k = 0; sys->edges[i].from == agent && k < POLICY_PARAM_COUNT; k++) {
            json_double(&w, system_number(k, sys->edges[i].policy[k]));
        }
    }
    for (uint16_t k = 0; k < POLICY_PARAM_COUNT; k++) {
        json_double(&w, system_number(k, sys->agents[agent].policy[k]));
    }
    json_int(&w, sys->agents[agent].servers);
    json_array_end(&w);
    *ret = (Page){arena_copy(arena, sys->agents[agent].name), 1, keep(arena, &text), {0}};
    for (uint32_t i = 0; i < p->count; i++) {
        const Page *was = &p->pages[i];
        if (slice_eq(was->agent, ret->agent)) {
            ret->revision = was->revision + !slice_eq(was->policies, ret->policies);
        }
    }
    Interface *interface = NULL;
    InterfaceOptions options = {.observed = observed, .revision = ret->revision};
    int rc = interface_of(arena, sys, agent, &options, &interface, e);
    if (rc == 0) {
        buf_reset(&text);
        w = json_writer(&text, 2);
        interface_write(interface, &w);
        buf_putc(&text, '\n');
        rc = buf_check(&text, "interface", e);
        ret->text = keep(arena, &text);
    }
    buf_done(&text);
    return rc;
}

int interface_pages_update(InterfacePages *p, const System *sys, const Outcome *observed, Err *e)
{
    Arena *arena = arena_create(PAGES_BYTES_MAX);
    Page *pages = ARENA_ARRAY(arena, Page, sys->agent_count);
    int rc = 0;
    for (uint32_t i = 0; i < sys->agent_count && rc == 0; i++) {
        rc = make(p, arena, sys, i, observed, &pages[i], e);
    }
    if (rc != 0) {
        arena_destroy(arena);
        return rc;
    }
    (void)pthread_mutex_lock(&p->lock);
    Arena *was = p->arena;
    p->arena = arena;
    p->pages = pages;
    p->count = sys->agent_count;
    (void)pthread_mutex_unlock(&p->lock);
    arena_destroy(was);
    return 0;
}
