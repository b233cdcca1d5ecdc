#include "improve/critique.h"

#include <math.h>

// The order of the cases is the order of what they tell: within the declaration first, then
// wrongness at the edges, then the rest. The budget is shared out as it goes: what a case leaves,
// the later ones have.

const char *const CRITIQUE_KIND_NAMES[CRITIQUE_KINDS + 1] = {
    "seed", "size", "size-down",   "size-up",   "shape",    "argument",
    "file", "cold", "environment", "benchmark", "proposed", NULL};
const char *const CRITIQUE_RESULT_NAMES[CRITIQUE_RESULTS + 1] = {"held",  "refuted", "broke",
                                                                 "worse", "not run", NULL};

enum {
    SEEDS = 2,
    SHAPE_INPUT_MAX = 8 << 20, // a larger claimed input is not reshaped: it would only be slow
    BENCHMARKS = 3,
    ENVIRONMENT_BYTES = 3000, // more than a page less a few: the stack moves by a page
    BUDGET_PART = 6,          // a case takes at most this part of what is left
};
#define CASE_BUDGET_MIN (500 * NS_PER_MS)

typedef struct Planner {
    const CritiqueOptions *options;
    const Workload *workload;
    Arena *arena;
    CritiqueCase *cases;
    size_t count;
} Planner;

static CritiqueCase *add(Planner *p, CritiqueKind kind, bool declared, Slice name)
{
    if (p->count == CRITIQUE_CASES_MAX) {
        return NULL;
    }
    CritiqueCase *c = &p->cases[p->count++];
    *c = (CritiqueCase){.kind = kind,
                        .name = name,
                        .workload = p->options->workload,
                        .seed = p->options->seed,
                        .size = p->options->claimed_size,
                        .declared = declared};
    return c;
}

// Is a place for {seed}, {size}, ... in what makes the input or in the command itself?
static bool has_place(const Workload *w, const char *place)
{
    return slice_find(w->run, slice_from_cstr(place)) >= 0 ||
           slice_find(w->inputs.generator, slice_from_cstr(place)) >= 0;
}

static bool is_built_in(const Workload *w)
{
    return slice_eq_cstr(w->inputs.generator, "random-bytes") ||
           slice_eq_cstr(w->inputs.generator, "text-lines");
}

static void plan_seeds(Planner *p)
{
    if (has_place(p->workload, "{seed}") || is_built_in(p->workload)) {
        for (uint64_t i = 1; i <= SEEDS; i++) {
            CritiqueCase *c = add(p, CRITIQUE_SEED, true,
                                  arena_printf(p->arena, "seed %llu", (unsigned long long)i));
            if (c != NULL) {
                c->seed = p->options->seed + i * UINT64_C(0x9E3779B97F4A7C15);
            }
        }
    }
}

static void plan_size(Planner *p, CritiqueKind kind, bool declared, int64_t size)
{
    const WorkloadInputs *inputs = &p->workload->inputs;
    for (size_t i = 0; i < inputs->size_count && !declared; i++) {
        if (inputs->sizes[i] == size) {
            return; // declared, and there already
        }
    }
    CritiqueCase *c = add(p, kind, declared, arena_printf(p->arena, "size %lld", (long long)size));
    if (c != NULL) {
        c->size = size;
    }
}

static void plan_sizes(Planner *p)
{
    const WorkloadInputs *inputs = &p->workload->inputs;
    int64_t claimed = p->options->claimed_size;
    for (size_t i = 0; i < inputs->size_count; i++) {
        if (inputs->sizes[i] != claimed) {
            plan_size(p, CRITIQUE_SIZE, true, inputs->sizes[i]);
        }
    }
    if (claimed >= 10) {
        plan_size(p, CRITIQUE_SIZE_DOWN, false, claimed / 10);
    }
    if (claimed > 0 && claimed <= INT64_MAX / 10) {
        plan_size(p, CRITIQUE_SIZE_UP, false, claimed * 10);
    }
}

// The other declared files and rows of arguments; the first are the claim's.
static void plan_declared(Planner *p)
{
    for (size_t i = 1; i < p->workload->inputs.file_count; i++) {
        CritiqueCase *c =
            add(p, CRITIQUE_FILE, true,
                arena_printf(p->arena, "file %.*s", SLICE_FMT(p->workload->inputs.files[i])));
        if (c != NULL) {
            c->file = i;
        }
    }
    for (size_t i = 1; i < p->workload->inputs.argument_count; i++) {
        CritiqueCase *c =
            add(p, CRITIQUE_ARGUMENT, true, arena_printf(p->arena, "arguments %zu", i + 1));
        if (c != NULL) {
            c->argument = i;
        }
    }
}

static void plan_shapes(Planner *p)
{
    Slice from = p->options->claimed_input;
    if (from.len == 0 || from.len > SHAPE_INPUT_MAX || !has_place(p->workload, "{input}")) {
        return;
    }
    for (size_t i = 0; CRITIQUE_SHAPES[i] && arena_left(p->arena) / 2 > from.len; i++) {
        CritiqueCase *c =
            add(p, CRITIQUE_SHAPE, false, arena_printf(p->arena, "shape %s", CRITIQUE_SHAPES[i]));
        if (c != NULL) {
            c->has_input = true;
            if (critique_shape(p->arena, CRITIQUE_SHAPES[i], from, p->options->seed, &c->input,
                               NULL) != 0) {
                p->count--;
            }
        }
    }
}

// Does the benchmark name something that the patch touches: a file, or the folder it is in?
static bool names_touched(const Benchmark *b, const Patch *patch)
{
    enum { STEM_MIN = 3 };
    for (size_t i = 0; i < patch->file_count; i++) {
        Slice path = patch_file_path(&patch->files[i]), folder, stem, suffix;
        if (cheat_path(path, NULL) != CHEAT_PATH_SOURCE) {
            continue;
        }
        while (slice_find_byte(path, '/') >= 0) {
            slice_cut(path, '/', &folder, &path);
        }
        slice_cut(path, '.', &stem, &suffix);
        if (stem.len >= STEM_MIN &&
            (slice_find(b->name, stem) >= 0 || slice_find(b->source, stem) >= 0 ||
             slice_find(b->run, stem) >= 0)) {
            return true;
        }
    }
    return false;
}

static void plan_benchmarks(Planner *p)
{
    const Steps *steps = p->options->steps;
    size_t taken = 0;
    for (size_t i = 0; p->options->patch && i < steps->benchmark_count && taken < BENCHMARKS; i++) {
        const Benchmark *b = &steps->benchmarks[i];
        if (b->validated && b->run.len > 0 && names_touched(b, p->options->patch)) {
            CritiqueCase *c = add(p, CRITIQUE_BENCHMARK, true,
                                  arena_printf(p->arena, "benchmark %.*s", SLICE_FMT(b->name)));
            if (c != NULL) {
                c->benchmark = i;
                taken++;
            }
        }
    }
}

size_t critique_plan(const CritiqueOptions *options, Arena *arena,
                     CritiqueCase ret_cases[CRITIQUE_CASES_MAX])
{
    Planner p = {.options = options,
                 .workload = &options->steps->workloads[options->workload],
                 .arena = arena,
                 .cases = ret_cases};
    CritiqueOptions with_size = *options;
    if (options->claimed_size == 0 && p.workload->inputs.size_count > 0) {
        with_size.claimed_size = p.workload->inputs.sizes[0];
        p.options = &with_size;
    }
    plan_seeds(&p);
    plan_sizes(&p);
    plan_shapes(&p);
    CritiqueCase *c = add(&p, CRITIQUE_ENVIRONMENT, true, SLICE("larger environment"));
    if (c != NULL) {
        c->environment_bytes = ENVIRONMENT_BYTES;
    }
    c = add(&p, CRITIQUE_COLD, true, SLICE("cold files"));
    if (c != NULL) {
        c->cold = true;
    }
    plan_declared(&p);
    plan_benchmarks(&p);
    return p.count;
}

// ---- weighing

// The case differs from the claim only in things that the claim cannot mean to depend on.
static bool same_work(const CritiqueCase *c)
{
    return c->kind == CRITIQUE_SEED || c->kind == CRITIQUE_ENVIRONMENT;
}

CritiqueResult critique_weigh(const CritiqueCase *attempt, const CritiqueMeasured *m)
{
    if (m->base_fails) {
        return CRITIQUE_NOT_RUN; // nobody promised anything for this input
    }
    if (m->patch_fails || (m->output_known && !m->output_equal)) {
        return CRITIQUE_BROKE;
    }
    if (!m->ran) {
        return CRITIQUE_NOT_RUN;
    }
    bool slower = m->speed == CRITIQUE_SLOWER;
    if (slower && (attempt->declared || m->interval.low > CRITIQUE_MUCH_SLOWER)) {
        return CRITIQUE_REFUTED;
    }
    if (slower) {
        return CRITIQUE_WORSE;
    }
    return m->speed == CRITIQUE_SAME && same_work(attempt) ? CRITIQUE_REFUTED : CRITIQUE_HELD;
}

static Slice sentence(Arena *arena, const CritiqueCase *c, const CritiqueMeasured *m,
                      CritiqueResult result)
{
    int n = (int)c->name.len;
    const char *name = c->name.ptr;
    switch (result) {
    case CRITIQUE_BROKE:
        return m->patch_fails
                   ? arena_printf(arena, "%.*s: the base answers and the patched program fails", n,
                                  name)
                   : arena_printf(arena, "%.*s: the patched program gives another answer", n, name);
    case CRITIQUE_REFUTED:
    case CRITIQUE_WORSE:
        return m->speed == CRITIQUE_SAME
                   ? arena_printf(arena, "%.*s: no difference there (ratio %.3f [%.3f, %.3f])", n,
                                  name, m->ratio, m->interval.low, m->interval.high)
                   : arena_printf(arena, "%.*s: slower there, %.2fx [%.2f, %.2f] the time", n, name,
                                  m->ratio, m->interval.low, m->interval.high);
    case CRITIQUE_HELD:
        return m->speed == CRITIQUE_FASTER
                   ? arena_printf(arena, "%.*s: faster there too, ratio %.3f [%.3f, %.3f]", n, name,
                                  m->ratio, m->interval.low, m->interval.high)
                   : arena_printf(arena, "%.*s: not worse there", n, name);
    case CRITIQUE_NOT_RUN:
        return m->base_fails
                   ? arena_printf(arena, "%.*s: not asked, the base fails on it", n, name)
                   : arena_printf(arena, "%.*s: not run, %.*s", n, name,
                                  SLICE_FMT(m->why_not.len ? m->why_not : SLICE("no measurement")));
    case CRITIQUE_RESULTS: break;
    }
    return c->name;
}

static void record(Critique *critique, Arena *arena, const CritiqueCase *c,
                   const CritiqueMeasured *m, Findings *findings)
{
    if (critique->count == CRITIQUE_CASES_MAX) {
        return;
    }
    CritiqueTried *t = &critique->tried[critique->count++];
    *t = (CritiqueTried){.attempt = *c, .measured = *m, .result = critique_weigh(c, m)};
    t->text = sentence(arena, c, m, t->result);
    // Why each held is in the report of the critique; findings are what stands against the claim.
    static const FindingLevel LEVELS[CRITIQUE_RESULTS] = {
        [CRITIQUE_REFUTED] = FINDING_REFUTED, [CRITIQUE_BROKE] = FINDING_BROKEN};
    critique->held += t->result == CRITIQUE_HELD;
    critique->not_run += t->result == CRITIQUE_NOT_RUN;
    critique->refuted += t->result == CRITIQUE_REFUTED || t->result == CRITIQUE_BROKE;
    if (t->result != CRITIQUE_HELD && t->result != CRITIQUE_NOT_RUN) {
        findings_addf(findings, LEVELS[t->result], "critique", SLICE(""), 0, "%.*s",
                      SLICE_FMT(t->text));
    }
}

// ---- running

typedef struct Round {
    const CritiqueOptions *options;
    Arena *arena;
    Critique *critique;
    Findings *findings;
    const Clock *clock;
    int64_t until_ns;
    Err *e;
} Round;

static int64_t left_ns(const Round *r)
{
    return r->until_ns - clock_now(r->clock);
}

static int try_case(Round *r, CritiqueCase *c)
{
    CritiqueMeasured m = {0};
    int64_t left = left_ns(r);
    bool stopped = r->options->stop_fn != NULL && r->options->stop_fn(r->options->ctx);
    if (stopped || left < CASE_BUDGET_MIN) {
        m.why_not = stopped ? SLICE("stopped") : SLICE("the time for it is used up");
        record(r->critique, r->arena, c, &m, r->findings);
        return 0;
    }
    c->budget_ns = left / BUDGET_PART > CASE_BUDGET_MIN ? left / BUDGET_PART : CASE_BUDGET_MIN;
    int rc = r->options->compare_fn(r->options->ctx, c, r->arena, &m, r->e);
    if (rc == 0) {
        record(r->critique, r->arena, c, &m, r->findings);
    }
    return rc;
}

// The language model's proposals. Whatever goes wrong with it is one case that was not run.
static int try_proposed(Round *r)
{
    enum { PROMPT_BYTES_MAX = 256 << 10 };
    CritiqueCase cases[CRITIQUE_PROPOSED_MAX];
    size_t count = 0;
    Slice answer = SLICE("");
    Buf prompt = buf_create(PROMPT_BYTES_MAX);
    Err why = {0};
    critique_prompt(r->options, &prompt);
    int rc = r->options->ask_fn(r->options->ctx, buf_slice(&prompt), r->arena, &answer, &why);
    if (rc == 0) {
        rc = critique_read_proposals(r->options, answer, r->arena, cases, &count, &why);
    }
    buf_done(&prompt);
    if (rc != 0) {
        CritiqueCase none = {.kind = CRITIQUE_PROPOSED, .name = SLICE("language model")};
        CritiqueMeasured m = {.why_not = arena_copy(r->arena, slice_from_cstr(why.text))};
        record(r->critique, r->arena, &none, &m, r->findings);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if ((rc = try_case(r, &cases[i])) != 0) {
            return rc;
        }
    }
    return 0;
}

int critique_run(const CritiqueOptions *options, Arena *arena, Critique *ret_critique,
                 Findings *findings, Err *e)
{
    if (options->workload >= options->steps->workload_count) {
        return err_set(e, ERR_ARG, "critique: there is no workload %zu", options->workload + 1);
    }
    CritiqueCase cases[CRITIQUE_CASES_MAX];
    *ret_critique = (Critique){0};
    Round r = {.options = options,
               .arena = arena,
               .critique = ret_critique,
               .findings = findings,
               .clock = options->clock ? options->clock : clock_real(),
               .e = e};
    r.until_ns = clock_now(r.clock) + options->budget_ns;
    size_t count = critique_plan(options, arena, cases);
    for (size_t i = 0; i < count; i++) {
        int rc = try_case(&r, &cases[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return options->ask_fn != NULL ? try_proposed(&r) : 0;
}

// ---- telling

void critique_text(const Critique *critique, Buf *out)
{
    for (size_t i = 0; i < critique->count; i++) {
        const CritiqueTried *t = &critique->tried[i];
        if (t->result == CRITIQUE_REFUTED || t->result == CRITIQUE_BROKE) {
            buf_printf(out, "- %.*s\n", SLICE_FMT(t->text));
        }
    }
}

void critique_write(const Critique *critique, JsonWriter *w)
{
    json_array_begin(w);
    for (size_t i = 0; i < critique->count; i++) {
        const CritiqueTried *t = &critique->tried[i];
        json_object_begin(w);
        json_field_cstr(w, "kind", CRITIQUE_KIND_NAMES[t->attempt.kind]);
        json_field_string(w, "name", t->attempt.name);
        json_field_cstr(w, "result", CRITIQUE_RESULT_NAMES[t->result]);
        json_field_string(w, "text", t->text);
        json_field_bool(w, "declared", t->attempt.declared);
        if (t->measured.ran) {
            json_field_double(w, "ratio", t->measured.ratio);
            json_field_double(w, "low", t->measured.interval.low);
            json_field_double(w, "high", t->measured.interval.high);
        }
        json_object_end(w);
    }
    json_array_end(w);
}
