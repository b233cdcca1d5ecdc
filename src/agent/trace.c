// The session trace: a ring of agent runs a shard. Only events of a session leave an entry.
#include "agent/runner_impl.h"

void trace_add(Shard *shard, const Job *job, int64_t start_ns, int64_t end_ns, unsigned attempt,
               int code)
{
    const Event *event = &job->event;
    uint64_t place = shard->trace_count++ % shard->runner->options.trace_entries;
    TraceEntry *entry = &shard->trace[place];
    entry->start_ns = start_ns;
    entry->duration_ns = end_ns - start_ns;
    entry->event_id = event->id;
    entry->trace = event->trace;
    entry->agent = event->target;
    entry->source = event->source;
    entry->code = code;
    entry->attempt = attempt;
    entry->session_hash = event->session_hash;
    memcpy(entry->session, event->session, event->session_len + 1u);
    memcpy(entry->type, event->type, event->type_len + 1u);
}

typedef struct Search {
    Slice session;
    uint32_t hash;
    TraceEntry *found;
    size_t count, capacity;
} Search;

static void search_shard(Shard *shard, void *arg)
{
    Search *s = arg;
    uint64_t size = shard->runner->options.trace_entries;
    uint64_t count = shard->trace_count < size ? shard->trace_count : size;
    for (uint64_t i = 0; shard->trace && i < count; i++) {
        const TraceEntry *entry = &shard->trace[i];
        if (entry->session_hash != s->hash || !slice_eq_cstr(s->session, entry->session)) {
            continue;
        }
        if (s->count == s->capacity) {
            s->capacity = s->capacity ? 2 * s->capacity : 64;
            s->found = mem_realloc(s->found, s->capacity * sizeof *s->found);
        }
        s->found[s->count++] = *entry;
    }
}

static int by_time(const void *a, const void *b)
{
    const TraceEntry *x = a, *y = b;
    if (x->start_ns != y->start_ns) {
        return x->start_ns < y->start_ns ? -1 : 1;
    }
    return x->event_id < y->event_id ? -1 : x->event_id > y->event_id;
}

void runner_trace(Runner *runner, Slice session, void (*fn)(void *arg, const TraceEntry *entry),
                  void *arg)
{
    Search s = {.session = session, .hash = event_session_hash(session)};
    runner_on_shards(runner, search_shard, &s);
    if (s.count > 0) {
        qsort(s.found, s.count, sizeof *s.found, by_time);
    }
    for (size_t i = 0; i < s.count; i++) {
        fn(arg, &s.found[i]);
    }
    free(s.found);
}
