// Metrics of agents, all shards added up.
#include "agent/policed.h"

typedef struct Sum {
    uint64_t handled, failed, timeouts, running, queued, places;
    PolicyStats *policies; // NULL until there are some
    bool unlimited;
    Hist *duration, *error_duration, *queue; // NULL until there is one
} Sum;

static void add_hist(Hist **into, const Hist *from)
{
    if (!*into) {
        *into = mem_alloc(sizeof **into);
        hist_init(*into);
    }
    hist_merge(*into, from);
}

static void add_shard(Shard *shard, void *arg)
{
    Sum *sums = arg;
    shard_record_ended(shard);
    for (const Slot *slot = shard->all_slots; slot; slot = slot->all_next) {
        Sum *sum = &sums[slot->def->id];
        sum->running += slot->running;
        sum->queued += slot->queued;
        sum->unlimited = sum->unlimited || slot->limit == UINT32_MAX;
        sum->places += slot->limit;
        if (slot->policed) {
            sum->policies = sum->policies ? sum->policies : mem_zalloc(sizeof *sum->policies);
            policy_stats_add(sum->policies, slot->policed->block);
        }
        const SlotMetrics *m = slot->metrics;
        if (!m) {
            continue;
        }
        sum->handled += m->handled;
        sum->failed += m->failed;
        sum->timeouts += m->timeouts;
        add_hist(&sum->duration, &m->duration);
        add_hist(&sum->error_duration, &m->error_duration);
        add_hist(&sum->queue, &m->queue);
    }
}

static void free_hist(Hist *h)
{
    if (h) {
        hist_done(h);
        free(h);
    }
}

void runner_metrics(Runner *runner, void (*fn)(void *arg, const AgentMetrics *metrics), void *arg)
{
    Sum *sums = mem_zalloc(runner->agent_count * sizeof *sums);
    runner_on_shards(runner, add_shard, sums);
    for (uint32_t i = 0; i < runner->agent_count; i++) {
        const Sum *sum = &sums[i];
        if (sum->duration || sum->running + sum->queued > 0) {
            Hist empty;
            hist_init(&empty);
            fn(arg, &(AgentMetrics){
                        .name = def_name(runner->agents[i]),
                        .handled = sum->handled,
                        .failed = sum->failed,
                        .timeouts = sum->timeouts,
                        .retries = sum->policies ? sum->policies->retries : 0,
                        .running = sum->running,
                        .queued = sum->queued,
                        .places = sum->unlimited ? 0 : sum->places,
                        .policies = sum->policies,
                        .duration_ns = sum->duration ? sum->duration : &empty,
                        .error_duration_ns = sum->error_duration ? sum->error_duration : &empty,
                        .queue_ns = sum->queue ? sum->queue : &empty,
                    });
        }
        free_hist(sum->duration);
        free_hist(sum->error_duration);
        free_hist(sum->queue);
        free(sum->policies);
    }
    free(sums);
}
