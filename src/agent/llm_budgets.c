// The budgets of agents and sessions over all their events. Those of sessions are made when one
// first asks a model, and are kept as long as its state is: for the time to live after the last
// call. A table that is full of sessions that are still remembered refuses new ones: to forget one
// would give it its money back.
#include "agent/llm_impl.h"

#include <pthread.h>

#include "base/map.h"

enum { NAME_BYTES = 80 };

struct LlmSession {
    LlmBudget *budget;
    struct LlmSession *older, *newer; // of those that nobody uses, by last use
    unsigned users;
    int64_t used_ns;
    size_t name_len;
    char name[EVENT_SESSION_MAX + 1];
};

struct LlmBudgets {
    LlmBudgetsOptions options;
    Map agents; // LlmBudget by agent; does not change
    pthread_mutex_t lock;
    Map sessions;
    LlmSession *oldest, *newest;
};

static bool limits_anything(const LlmBudgetLimits *limits)
{
    return limits->tokens > 0 || limits->cost_nano_usd > 0;
}

static LlmBudget *make_budget(const char *kind, Slice name, const LlmBudgetLimits *limits)
{
    char words[NAME_BYTES];
    (void)snprintf(words, sizeof words, "%s \"%.*s\"", kind, SLICE_FMT(name));
    return llm_budget_create(words, limits);
}

LlmBudgets *llm_budgets_create(const LlmBudgetsOptions *options)
{
    LlmBudgets *b = mem_zalloc(sizeof *b);
    b->options = *options;
    b->agents = map_create(CONFIG_AGENTS_MAX, 0);
    b->sessions = map_create(options->sessions_max, 0);
    (void)pthread_mutex_init(&b->lock, NULL);
    for (size_t i = 0; i < options->agent_count; i++) {
        const ConfigAgent *agent = &options->agents[i];
        LlmBudgetLimits limits = {agent->total_token_budget,
                                  (int64_t)(agent->total_cost_budget * 1e9)};
        if (limits_anything(&limits)) {
            int rc = map_put(&b->agents, agent->name, make_budget("agent", agent->name, &limits));
            assert(rc == 0); // no more agents than the configuration may have
            (void)rc;
        }
    }
    return b;
}

void llm_budgets_destroy(LlmBudgets *b)
{
    if (!b) {
        return;
    }
    Slice key;
    void *value;
    for (size_t i = 0; map_next(&b->agents, &i, &key, &value);) {
        llm_budget_destroy(value);
    }
    for (size_t i = 0; map_next(&b->sessions, &i, &key, &value);) {
        llm_budget_destroy(((LlmSession *)value)->budget);
        free(value);
    }
    map_done(&b->agents);
    map_done(&b->sessions);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

LlmBudget *llm_budgets_agent(const LlmBudgets *b, Slice agent)
{
    return map_get(&b->agents, agent);
}

// ---- sessions, under the lock

static void unlink_session(LlmBudgets *b, LlmSession *s)
{
    *(s->older ? &s->older->newer : &b->oldest) = s->newer;
    *(s->newer ? &s->newer->older : &b->newest) = s->older;
    s->older = s->newer = NULL;
}

static void link_newest(LlmBudgets *b, LlmSession *s)
{
    s->older = b->newest;
    *(s->older ? &s->older->newer : &b->oldest) = s;
    b->newest = s;
}

static void forget_expired(LlmBudgets *b, int64_t now_ns)
{
    while (b->oldest && now_ns - b->oldest->used_ns >= b->options.session_ttl_ns) {
        LlmSession *s = b->oldest;
        unlink_session(b, s);
        (void)map_remove(&b->sessions, (Slice){s->name, s->name_len});
        llm_budget_destroy(s->budget);
        free(s);
    }
}

static LlmSession *add_session(LlmBudgets *b, Slice name)
{
    LlmSession *s = mem_zalloc(sizeof *s);
    s->name_len = name.len;
    memcpy(s->name, name.ptr, name.len);
    if (map_put(&b->sessions, (Slice){s->name, s->name_len}, s) != 0) {
        free(s);
        return NULL;
    }
    s->budget = make_budget("session", name, &b->options.session);
    return s;
}

int llm_budgets_take(LlmBudgets *b, Slice name, int64_t now_ns, LlmSession **ret_session, Err *e)
{
    *ret_session = NULL;
    if (name.len == 0 || !limits_anything(&b->options.session)) {
        return 0;
    }
    (void)pthread_mutex_lock(&b->lock);
    forget_expired(b, now_ns);
    LlmSession *s = map_get(&b->sessions, name);
    if (s && s->users == 0) {
        unlink_session(b, s);
    }
    s = s ? s : add_session(b, name);
    if (s) {
        s->users++;
    }
    (void)pthread_mutex_unlock(&b->lock);
    *ret_session = s;
    return s ? 0
             : err_set(e, ERR_LIMIT, "%zu sessions have a budget already, which is as many as may",
                       b->options.sessions_max);
}

void llm_budgets_give(LlmBudgets *b, LlmSession *s, int64_t now_ns)
{
    if (s) {
        (void)pthread_mutex_lock(&b->lock);
        s->used_ns = now_ns;
        if (--s->users == 0) {
            link_newest(b, s);
        }
        (void)pthread_mutex_unlock(&b->lock);
    }
}

LlmBudget *llm_session_budget(const LlmSession *session)
{
    return session ? session->budget : NULL;
}
