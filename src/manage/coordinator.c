#include "manage/coordinator_impl.h"

#include <math.h>
#include <string.h>

#include "manage/planner_rules.h"

const char *const APPROVAL_NAMES[] = {"auto", "ask", "advise", NULL};
const char *const CASE_STATE_NAMES[CASE_STATES + 1] = {
    "none",    "detected", "planned", "validated",   "waiting",  "negotiating",
    "applied", "watching", "kept",    "rolled back", "given up", NULL};

enum {
    RUN_BYTES_MAX = 512 << 20,
    WINDOW_BYTES_MAX = 256 << 20,
    DELIVERIES_MAX = 100000, // of one moment: more is a fault of ours, not of the parties
    WINDOW_DEFAULT_S = 10,
    BACKLOG_LEAST_S = 15,
    BACKLOG_MOST_S = 120,
};

// ---- parties

Slice party_name(const System *sys, uint32_t index)
{
    return index & SYSTEM_FROM_CLIENT ? sys->clients[index & ~SYSTEM_FROM_CLIENT].name
                                      : sys->agents[index].name;
}

bool parties_are_neighbours(const System *sys, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        uint32_t from = sys->edges[i].from, to = sys->edges[i].to;
        if ((from == a && to == b) || (from == b && to == a)) {
            return true;
        }
    }
    return a == b;
}

Manager *coordinator_manager(const Coordinator *c, uint32_t index)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        if (c->managers[i]->index == index) {
            return c->managers[i];
        }
    }
    return NULL;
}

Manager *coordinator_find(const Coordinator *c, Slice name)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        if (slice_eq(c->managers[i]->name, name)) {
            return c->managers[i];
        }
    }
    return NULL;
}

// ---- policies

// The old programs again, those of `plan` from `count` - 1 down.
static void restore_programs(Coordinator *c, const Plan *plan, uint32_t count)
{
    while (count-- > 0) {
        const PlanProgram *p = &plan->programs[count];
        Slice old = p->place == PLACE_AGENT ? c->published->agents[p->index].program
                                            : c->published->edges[p->index].program;
        if (plant_set_program(c->plant, p->place, p->index, old, NULL) != 0) {
            story_say(c, STORY_NOTE, SLICE("plant"), "a policy program could not be put back");
        }
    }
}

static int set_programs(Coordinator *c, const Plan *plan, Err *e)
{
    for (uint32_t i = 0; i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        int rc = plant_set_program(c->plant, p->place, p->index, p->text, e);
        if (rc != 0) {
            restore_programs(c, plan, i);
            return rc;
        }
    }
    return 0;
}

int coordinator_set(Coordinator *c, const Plan *plan, Err *e)
{
    int rc = set_programs(c, plan, e);
    if (rc != 0) {
        return rc;
    }
    rc = plant_set(c->plant, plan->changes, plan->count, NULL, e);
    if (rc != 0) {
        restore_programs(c, plan, plan->program_count);
        return rc;
    }
    // What is published is what the plant has: it took the same values a moment ago.
    rc = system_set_all(c->published, plan->changes, plan->count, e);
    for (uint32_t i = 0; rc == 0 && i < plan->program_count; i++) {
        const PlanProgram *p = &plan->programs[i];
        Slice *place = p->place == PLACE_AGENT ? &c->published->agents[p->index].program
                                               : &c->published->edges[p->index].program;
        *place = arena_copy(c->arena, p->text);
    }
    return rc;
}

int64_t coordinator_backlog(const Coordinator *c)
{
    double longest = BACKLOG_LEAST_S;
    const System *sys = c->published;
    for (uint32_t i = 0; c->last.agents != NULL && i < sys->agent_count; i++) {
        if (sys->agents[i].servers > 0) {
            double work = dist_mean(&sys->agents[i].service) / 1e9;
            longest = fmax(longest, c->last.agents[i].waiting * work / sys->agents[i].servers);
        }
    }
    return (int64_t)(fmin(longest, BACKLOG_MOST_S) * 1e9);
}

// ---- life

static int64_t window_of(const System *sys)
{
    int64_t window = 0;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        int64_t w = sys->objectives[i].window_ns;
        window = w > 0 && (window == 0 || w < window) ? w : window;
    }
    return window > 0 ? window : WINDOW_DEFAULT_S * NS_PER_S;
}

static CoordinatorOptions with_defaults(const CoordinatorOptions *options, int64_t window_ns)
{
    CoordinatorOptions o = *options;
    o.watch_windows = o.watch_windows > 0 ? o.watch_windows : 6;
    o.settle_windows = o.settle_windows > 0 ? o.settle_windows : 3;
    o.plan_budget_ns = o.plan_budget_ns > 0 ? o.plan_budget_ns : 3 * NS_PER_S;
    o.lease_ns = o.lease_ns > 0 ? o.lease_ns : 12 * window_ns;
    o.plans_max = o.plans_max > 0 && o.plans_max < PLANS_MAX ? o.plans_max : PLANS_MAX;
    o.cases_max = o.cases_max > 0 ? o.cases_max : 32;
    return o;
}

static void default_planner(Coordinator *c)
{
    if (c->options.planner_count == 0) {
        c->own_planner = planner_rules_create();
        c->options.planners = &c->own_planner;
        c->options.planner_count = 1;
    }
}

static int create_managers(Coordinator *c, Err *e)
{
    const System *sys = c->plant->sys;
    size_t count = (size_t)sys->agent_count + sys->client_count;
    c->managers = ARENA_ARRAY(c->arena, Manager *, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = i < sys->agent_count
                             ? (uint32_t)i
                             : SYSTEM_FROM_CLIENT | (uint32_t)(i - sys->agent_count);
        int rc = manager_create(c, index, &c->managers[i], e);
        if (rc != 0) {
            return rc;
        }
        c->manager_count++;
    }
    for (size_t i = 0; i < c->options.trouble_count; i++) {
        coordinator_trouble(c, &c->options.troubles[i]);
    }
    return 0;
}

int coordinator_create(Plant *plant, const CoordinatorOptions *options,
                       Coordinator **ret_coordinator, Err *e)
{
    Coordinator *c = mem_zalloc(sizeof *c);
    c->plant = plant;
    c->arena = arena_create(RUN_BYTES_MAX);
    c->window_arena = arena_create(WINDOW_BYTES_MAX);
    c->window_ns = options->window_ns > 0 ? options->window_ns : window_of(plant->sys);
    c->options = with_defaults(options, c->window_ns);
    default_planner(c);
    c->published = system_copy(c->arena, plant->sys);
    c->before = system_copy(c->arena, plant->sys);
    c->detect = detect_create(plant->sys, &DETECT_DEFAULTS);
    c->drift = ARENA_ARRAY(c->arena, DriftWatch, plant->sys->client_count + 1);
    c->agent_drift = ARENA_ARRAY(c->arena, DriftWatch, plant->sys->agent_count + 1);
    c->work_seen = ARENA_ARRAY(c->arena, WorkSeen, plant->sys->agent_count + 1);
    for (uint32_t i = 0; i < plant->sys->agent_count; i++) {
        work_seen_init(&c->work_seen[i]);
    }
    clock_manual_init(&c->clock, 0, 0);
    c->faults =
        (FaultPlan){.seed = options->seed, .lose = options->lose, .duplicate = options->duplicate};
    c->hub = local_hub_create();
    int rc = create_managers(c, e);
    if (rc != 0) {
        coordinator_destroy(c);
        return rc;
    }
    coordinator_publish(c);
    *ret_coordinator = c;
    return 0;
}

void coordinator_destroy(Coordinator *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->manager_count; i++) {
        manager_destroy(c->managers[i]);
    }
    for (uint32_t i = 0; c->work_seen && i < c->plant->sys->agent_count; i++) {
        work_seen_done(&c->work_seen[i]);
    }
    local_hub_destroy(c->hub);
    planner_destroy(c->own_planner);
    detect_destroy(c->detect);
    arena_destroy(c->expected_arena);
    arena_destroy(c->window_arena);
    arena_destroy(c->arena);
    free(c->events);
    free(c->windows);
    free(c);
}

// ---- one moment: everything that can be said and done without time going on

static void settle(Coordinator *c)
{
    for (size_t rounds = 0; rounds < DELIVERIES_MAX; rounds++) {
        size_t done = 0;
        for (size_t i = 0; i < c->manager_count; i++) {
            done += manager_run(c->managers[i]);
        }
        if (done == 0) {
            return;
        }
    }
    story_say(c, STORY_NOTE, SLICE("coordinator"), "too much is said in one moment; time goes on");
}

static int64_t next_due(const Coordinator *c)
{
    int64_t due = NEVER_NS;
    for (size_t i = 0; i < c->manager_count; i++) {
        int64_t d = manager_next_due(c->managers[i]);
        due = d < due ? d : due;
    }
    return due;
}

// Lets the plant go on until `until_ns` of management's time, with what falls due on the way.
static int advance(Coordinator *c, int64_t until_ns, Err *e)
{
    settle(c);
    while (c->now_ns < until_ns) {
        int64_t due = next_due(c);
        // At least a millisecond: what is always due must not stop time.
        int64_t least = c->now_ns + NS_PER_MS;
        int64_t to = due < until_ns ? (due > least ? due : least) : until_ns;
        to = to < until_ns ? to : until_ns;
        int rc = plant_wait(c->plant, plant_now(c->plant) + (to - c->now_ns), e);
        if (rc != 0) {
            return rc;
        }
        clock_manual_advance(&c->clock, to - c->now_ns);
        c->now_ns = to;
        for (size_t i = 0; i < c->manager_count; i++) {
            manager_tick(c->managers[i]);
        }
        settle(c);
    }
    return 0;
}

void coordinator_think(Coordinator *c)
{
    Err e = {0};
    if (c->options.think_ns > 0 && advance(c, c->now_ns + c->options.think_ns, &e) != 0) {
        story_say(c, STORY_NOTE, SLICE("plant"), "%s", e.text); // the next window hears it, too
    }
}

// ---- cases

bool coordinator_busy(const Coordinator *c)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        if (case_is_open(c->managers[i])) {
            return true;
        }
    }
    return false;
}

// Who answers for the client's promise: the agent that it calls.
static Manager *manager_for(const Coordinator *c, uint32_t client)
{
    const System *sys = c->plant->sys;
    return coordinator_manager(c, sys->edges[sys->clients[client].edge].to);
}

// The violation to look at next: of those whose manager rests no longer, the one whose manager has
// come to nothing least often, then the first.
static const Violation *next_violation(const Coordinator *c, Manager **ret_manager)
{
    const Violation *best = NULL;
    for (size_t i = 0; i < c->found.count; i++) {
        const Violation *v = &c->found.violations[i];
        Manager *m = manager_for(c, v->client);
        if (m == NULL || !m->present || m->rest_until_ns > c->now_ns) {
            continue;
        }
        if (best == NULL || m->failures < (*ret_manager)->failures) {
            best = v;
            *ret_manager = m;
        }
    }
    return best;
}

// A person's word from another process comes through the ledger.
static void hear_person(Coordinator *c)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        Manager *m = c->managers[i];
        if (!case_is_open(m) || m->current.proposal[0] == '\0') {
            continue;
        }
        ProposalState state = record_state(m);
        bool waits = m->current.state == CASE_WAITING;
        if (waits && state == PROPOSAL_APPROVED) {
            case_decided(m, true, SLICE("a person"));
        } else if (waits && (state == PROPOSAL_REJECTED || state == PROPOSAL_EXPIRED)) {
            case_decided(m, false, SLICE("a person"));
        } else if (m->current.state == CASE_WATCHING && state == PROPOSAL_ROLLED_BACK) {
            case_take_back(m, SLICE("a person wants it back"));
        }
    }
    if (c->kept_proposal[0] != '\0' && record_kept_state(c) == PROPOSAL_ROLLED_BACK) {
        Err e = {0};
        if (coordinator_roll_back(c, SLICE("a person wants it back"), &e) != 0) {
            story_say(c, STORY_NOTE, SLICE("coordinator"), "cannot go back: %s", e.text);
        }
    }
}

// A person's own proposal is taken up by the first agent that owns a part of it.
static void serve_person(Coordinator *c)
{
    Arena *arena = arena_create(WINDOW_BYTES_MAX);
    Plan *plan = ARENA_NEW(arena, Plan);
    char id[PROPOSAL_ID_LEN + 1];
    if (record_approved(c, arena, plan, id)) {
        uint32_t owners[PLAN_CHANGES_MAX];
        size_t count = plan_owners(c->published, plan, owners);
        Manager *m = count > 0 ? coordinator_manager(c, owners[0]) : NULL;
        if (m != NULL && m->present) {
            case_for_person(m, plan, id);
            settle(c);
        }
    }
    arena_destroy(arena);
}

static void run_cases(Coordinator *c, const PlantWindow *window)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        if (case_is_open(c->managers[i])) {
            case_window(c->managers[i], window);
        }
    }
    settle(c);
    hear_person(c);
    settle(c);
    if (!coordinator_busy(c)) {
        serve_person(c);
    }
    Manager *m = NULL;
    const Violation *v = coordinator_busy(c) ? NULL : next_violation(c, &m);
    if (v != NULL && c->sums.cases < c->options.cases_max) {
        case_open(m, v);
        case_step(m);
        settle(c);
    }
}

// What a party says of its client's requests instead of what happened: all is well.
static void falsify(Coordinator *c, PlantWindow *window)
{
    for (uint32_t i = 0; i < c->plant->sys->client_count; i++) {
        const Manager *m = manager_for(c, i);
        if (m == NULL || m->trouble.fault != PARTY_FALSE_METRICS) {
            continue;
        }
        PlantClient *client = &window->clients[i];
        client->good += client->late + client->failed;
        client->late = client->failed = client->overdue = 0;
        client->latency = NULL;
    }
}

int coordinator_step(Coordinator *c, bool *ret_more, Err *e)
{
    *ret_more = false;
    int64_t duration = c->options.duration_ns;
    int64_t until = c->now_ns + c->window_ns;
    until = duration > 0 && until > duration ? duration : until;
    int rc = advance(c, until, e);
    if (rc == ERR_CLOSED) {
        return 0; // the plant is over
    }
    if (rc != 0) {
        return rc;
    }
    arena_reset(c->window_arena);
    PlantWindow window;
    rc = plant_observe(c->plant, c->window_arena, &window, e);
    if (rc != 0) {
        return rc;
    }
    story_window(c, &window);
    falsify(c, &window);
    c->last = window;
    detect_window(c->detect, &window, c->window_arena, &c->found);
    if (c->found.cleared > 0) {
        story_say(c, STORY_CLEARED, SLICE("coordinator"), "%zu promises are kept again",
                  c->found.cleared);
    }
    coordinator_check_structure(c, &window);
    coordinator_check_drift(c, &window);
    run_cases(c, &window);
    if (c->options.hooks.window != NULL) {
        c->options.hooks.window(c->options.hooks.context, &window, &c->found);
    }
    *ret_more = duration == 0 || c->now_ns < duration;
    return 0;
}

// ---- while it runs

int coordinator_objective(Coordinator *c, const SystemObjective *objective, Err *e)
{
    System *systems[] = {c->plant->sys, c->published};
    const System *sys = c->plant->sys;
    if (objective->client >= sys->client_count) {
        return err_set(e, ERR_NOT_FOUND, "there is no client number %u", objective->client);
    }
    bool found = false;
    for (size_t s = 0; s < COUNT_OF(systems); s++) {
        for (uint32_t i = 0; i < systems[s]->objective_count; i++) {
            if (systems[s]->objectives[i].client == objective->client) {
                systems[s]->objectives[i] = *objective;
                found = true;
            }
        }
    }
    if (!found) {
        return err_set(e, ERR_NOT_FOUND, "%.*s had no objective",
                       SLICE_FMT(sys->clients[objective->client].name));
    }
    detect_objectives(c->detect, sys);
    story_say(c, STORY_OBJECTIVE, sys->clients[objective->client].name, "a new objective");
    // What is under way was planned for the old promise.
    for (size_t i = 0; i < c->manager_count; i++) {
        if (case_is_open(c->managers[i]) &&
            c->managers[i]->current.violation.client == objective->client) {
            case_give_up(c->managers[i], REASON_STALE, "the objective has changed");
        }
        c->managers[i]->rest_until_ns = c->now_ns;
        c->managers[i]->failures = 0;
    }
    settle(c);
    return 0;
}

int coordinator_leave(Coordinator *c, Slice party, Err *e)
{
    Manager *m = coordinator_find(c, party);
    if (m == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no party '%.*s'", SLICE_FMT(party));
    }
    manager_leave(m);
    story_say(c, STORY_LEFT, m->name, "leaves");
    settle(c);
    return 0;
}

int coordinator_join(Coordinator *c, Slice party, Err *e)
{
    Manager *m = coordinator_find(c, party);
    if (m == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no party '%.*s'", SLICE_FMT(party));
    }
    int rc = manager_join(m, e);
    if (rc == 0) {
        story_say(c, STORY_JOINED, m->name, "joins");
        for (size_t i = 0; i < c->manager_count; i++) {
            manager_forget_party(c->managers[i], m->index);
        }
    }
    return rc;
}

void coordinator_trouble(Coordinator *c, const PartyTrouble *trouble)
{
    Manager *m = coordinator_find(c, trouble->party);
    if (m == NULL) {
        return;
    }
    m->trouble = *trouble;
    m->trouble.party = m->name;
    if (trouble->fault == PARTY_LIES) {
        coordinator_publish(c);
    }
}

void coordinator_poll(Coordinator *c)
{
    hear_person(c);
    settle(c);
}

int coordinator_approve(Coordinator *c, Slice proposal, bool yes, Err *e)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        Manager *m = c->managers[i];
        if (m->current.state == CASE_WAITING &&
            (proposal.len == 0 || slice_eq_cstr(proposal, m->current.proposal))) {
            record_step(m, yes ? PROPOSAL_APPROVED : PROPOSAL_REJECTED, SLICE("person"),
                        yes ? "approved" : "refused", NULL, NULL);
            case_decided(m, yes, SLICE("a person"));
            settle(c);
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "no proposal waits for a decision");
}

int coordinator_roll_back(Coordinator *c, Slice why, Err *e)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        if (c->managers[i]->current.state == CASE_WATCHING) {
            case_take_back(c->managers[i], why);
            settle(c);
            return 0;
        }
    }
    if (c->undo.count == 0) {
        return err_set(e, ERR_NOT_FOUND, "nothing was changed that could go back");
    }
    // A person decides over the parties' heads, as over an autoscaler's.
    int rc = coordinator_set(c, &c->undo, e);
    if (rc != 0) {
        return rc;
    }
    c->undo.count = 0;
    c->kept_proposal[0] = '\0';
    c->sums.rolled_back++;
    detect_forget(c->detect);
    story_say(c, STORY_ROLLED_BACK, SLICE("person"), "%.*s", SLICE_FMT(why));
    return 0;
}

CaseState coordinator_state(const Coordinator *c)
{
    for (size_t i = 0; i < c->manager_count; i++) {
        if (case_is_open(c->managers[i])) {
            return c->managers[i]->current.state;
        }
    }
    return CASE_NONE;
}
