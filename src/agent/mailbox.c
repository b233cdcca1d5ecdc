// Mailboxes, places and the order in which jobs start. One list of slots a level; a slot is in the
// list of its most urgent job, and goes to the end of it after each job, so that agents take turns.
#include "agent/policed.h"
#include "agent/runner_impl.h"

#include <assert.h>

// ---- which list

static void unfile(Shard *shard, Slot *slot)
{
    int level = slot->level;
    *(slot->prev ? &slot->prev->next : &shard->run_first[level]) = slot->next;
    *(slot->next ? &slot->next->prev : &shard->run_last[level]) = slot->prev;
    slot->level = -1;
    slot->turn = 0;
}

static int wanted_level(const Slot *slot)
{
    if (slot->queued == 0) {
        return -1;
    }
    if (slot->running >= slot->limit) {
        return LEVEL_BLOCKED;
    }
    int level = 0;
    while (!slot->mail[level].first) {
        level++;
    }
    return level;
}

static void file(Shard *shard, Slot *slot)
{
    int level = wanted_level(slot);
    if (level == slot->level) {
        return;
    }
    if (slot->level >= 0) {
        unfile(shard, slot);
    }
    if (level < 0) {
        return;
    }
    slot->level = (int8_t)level;
    slot->next = NULL;
    slot->prev = shard->run_last[level];
    *(slot->prev ? &slot->prev->next : &shard->run_first[level]) = slot;
    shard->run_last[level] = slot;
    shard_wake_pump(shard);
}

// ---- slots

// The part of `total` places that shard `index` of `count` has.
static uint32_t share(uint32_t total, unsigned index, unsigned count)
{
    return total / count + (index < total % count);
}

static uint32_t places_of(const Shard *shard, const AgentDef *def)
{
    if (def->worker_limit == 0) {
        return UINT32_MAX;
    }
    // Placed by agent all places are here; by session its shards share them.
    bool here = def->placement == PLACE_BY_AGENT;
    return here ? def->worker_limit : share(def->worker_limit, shard->index, def->spread);
}

Slot *slot_of(Shard *shard, AgentId id)
{
    Slot *slot = shard->slots[id];
    if (slot) {
        return slot;
    }
    slot = mem_zalloc(sizeof *slot);
    AgentDef *def = shard->runner->agents[id];
    slot->def = def;
    slot->level = -1;
    slot->limit = places_of(shard, def);
    slot->all_next = shard->all_slots;
    shard->all_slots = slot;
    shard->slots[id] = slot;
    if (def->policies) {
        slot->policed = policed_create(shard, slot, def->policies);
    }
    return slot;
}

void slot_free(Slot *slot)
{
    batching_destroy(slot->batching);
    policed_destroy(slot->policed);
    if (slot->metrics) {
        hist_done(&slot->metrics->duration);
        hist_done(&slot->metrics->error_duration);
        hist_done(&slot->metrics->queue);
        free(slot->metrics);
    }
    free(slot);
}

void slot_put(Shard *shard, Slot *slot, Job *job)
{
    JobList *list = &slot->mail[job->level];
    job->slot = slot;
    job->next = NULL;
    job->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = job;
    list->last = job;
    slot->queued++;
    shard->queued++;
    file(shard, slot);
}

static void unlink_job(Shard *shard, Job *job)
{
    Slot *slot = job->slot;
    JobList *list = &slot->mail[job->level];
    *(job->prev ? &job->prev->next : &list->first) = job->next;
    *(job->next ? &job->next->prev : &list->last) = job->prev;
    slot->queued--;
    shard->queued--;
    (void)counter_add(def_depth(slot->def, shard->index), -1);
    if (slot->room.first) {
        (void)fiber_queue_wake_one(&slot->room);
    }
}

void slot_remove(Shard *shard, Job *job)
{
    unlink_job(shard, job);
    file(shard, job->slot);
}

// ---- what starts next

// A level's list that may be served, and its first job. `workers` is how many would be at work.
static Job *startable(const Shard *shard, int level, size_t workers)
{
    const Slot *slot = shard->run_first[level];
    if (!slot) {
        return NULL;
    }
    if (level != LEVEL_CALL && shard->roots_running >= shard->roots_max && !shard->cancelling) {
        return NULL;
    }
    Job *job = slot->mail[level].first;
    return shard_has_fiber(shard, job->event.depth, workers) ? job : NULL;
}

bool shard_has_job(const Shard *shard)
{
    size_t workers = shard->workers - shard->idle_count + 1; // with one that will be woken for it
    for (int level = 0; level < LEVELS; level++) {
        if (startable(shard, level, workers)) {
            return true;
        }
    }
    return false;
}

Job *shard_next_job(Shard *shard)
{
    Job *job = NULL;
    int level = 0;
    size_t workers = shard->workers - shard->idle_count;
    while (level < LEVELS && !(job = startable(shard, level, workers))) {
        level++;
    }
    if (!job) {
        return NULL;
    }
    Slot *slot = job->slot;
    unlink_job(shard, job);
    slot->running++;
    shard->roots_running += level != LEVEL_CALL;
    if (++slot->turn >= JOBS_PER_SLOT && slot->next) { // others of this level come first now
        unfile(shard, slot);
    }
    file(shard, slot);
    return job;
}

// ---- places

void slot_release(Shard *shard, Slot *slot)
{
    assert(slot->running > 0);
    // Who was here before goes on before anything new begins; neither does when there are fewer
    // places now than are taken.
    bool free = slot->running <= slot->limit;
    if (free && slot->returned.first && fiber_queue_wake_one(&slot->returned)) {
        return;
    }
    slot->running--;
    if (slot->queued > 0) {
        file(shard, slot);
    }
}

void slot_set_limit(Shard *shard, Slot *slot, uint32_t limit)
{
    slot->limit = limit;
    while (slot->running < limit && slot->returned.first && fiber_queue_wake_one(&slot->returned)) {
        slot->running++;
    }
    file(shard, slot);
}

void slot_places_changed(Shard *shard, Slot *slot)
{
    slot_set_limit(shard, slot, places_of(shard, slot->def));
}

bool slot_return(Shard *shard, Slot *slot)
{
    if (slot->running >= slot->limit) {
        return fiber_queue_wait(&slot->returned, "a place of its agent", NEVER_NS) == 0;
    }
    slot->running++;
    file(shard, slot);
    return true;
}

// ---- deadlines of those that wait

static void expire_slot(Shard *shard, Slot *slot, int64_t now_ns, bool all)
{
    for (int level = 0; level < LEVELS; level++) {
        for (Job *job = slot->mail[level].first, *next; job; job = next) {
            next = job->next;
            if (all || job->event.deadline_ns <= now_ns) {
                unlink_job(shard, job);
                job_end(shard, job, NULL, all ? ERR_CANCELLED : ERR_TIMEOUT,
                        all ? "the runner was stopped" : "its deadline passed in the mailbox",
                        now_ns);
            }
        }
    }
    file(shard, slot);
}

void shard_expire(Shard *shard, int64_t now_ns, bool all)
{
    for (int level = 0; level <= LEVEL_BLOCKED; level++) {
        for (Slot *slot = shard->run_first[level], *next; slot; slot = next) {
            next = slot->next;
            expire_slot(shard, slot, now_ns, all);
        }
    }
}
