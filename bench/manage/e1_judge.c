// E1's tables, and what they say about the goals.
#include "e1.h"

#include <math.h>

#include "stat/sample.h"

typedef double ScoreField(const Score *s);

static double goodput0(const Score *s)
{
    return s->goodput[0];
}
static double p99_0(const Score *s)
{
    return s->p99[0];
}
static double whole0(const Score *s)
{
    return s->whole[0];
}
static double recovery(const Score *s)
{
    return s->recovery_s;
}
static double amplification(const Score *s)
{
    return s->amplification;
}
static double wasted(const Score *s)
{
    return s->wasted;
}
static double servers(const Score *s)
{
    return s->servers;
}
static double goodput1(const Score *s)
{
    return s->goodput[1];
}
static double p99_1(const Score *s)
{
    return s->p99[1];
}
static double goodput2(const Score *s)
{
    return s->goodput[2];
}
static double p99_2(const Score *s)
{
    return s->p99[2];
}

static const struct {
    const char *name;
    ScoreField *field;
    int digits;
} FIELDS[] = {
    {"goodput", goodput0, 3},
    {"p99 s", p99_0, 2},
    {"whole-run goodput", whole0, 3},
    {"recovery s", recovery, 0},
    {"D's requests / needed", amplification, 2},
    {"wasted", wasted, 3},
    {"servers", servers, 1},
    {"builds goodput", goodput1, 3},
    {"builds p99 s", p99_1, 2},
    {"audits goodput", goodput2, 3},
    {"audits p99 s", p99_2, 2},
};

static Cell cell_of(const Row *row, size_t runs, ScoreField *field, int digits)
{
    double values[RUNS_MAX] = {0};
    for (size_t i = 0; i < runs; i++) {
        values[i] = field(&row->scores[i]);
    }
    return cell_mean(values, runs, digits);
}

void e1_table(Experiment *x, const Load *load, size_t runs)
{
    Table *t = mem_zalloc(sizeof *t);
    Slice title = arena_printf(x->arena, "E1: D's load %.2f (tasks %.3g/s)", load->rho,
                               load->sys->clients[0].per_second);
    t->title = arena_cstr(x->arena, title);
    t->columns[0] = "policy";
    for (size_t f = 0; f < COUNT_OF(FIELDS); f++) {
        t->columns[f + 1] = FIELDS[f].name;
    }
    t->column_count = COUNT_OF(FIELDS) + 1;
    t->rows = load->row_count;
    for (size_t r = 0; r < load->row_count; r++) {
        t->cells[r][0] = cell_text(slice_from_cstr(load->rows[r].name));
        for (size_t f = 0; f < COUNT_OF(FIELDS); f++) {
            t->cells[r][f + 1] = cell_of(&load->rows[r], runs, FIELDS[f].field, FIELDS[f].digits);
        }
    }
    experiment_print(x, t);
    free(t);
}

void e1_found(Experiment *x, const Load *load, size_t runs)
{
    experiment_say(x, "Tuned at %.2f:\n", load->rho);
    for (size_t r = 0; r < load->row_count; r++) {
        if (load->rows[r].words.len > 0) {
            experiment_say(x, "- %s: %.*s", load->rows[r].name, SLICE_FMT(load->rows[r].words));
        }
    }
    experiment_say(x, "\nNegotiated at %.2f (run: kept, rolled back, given up; settled at):\n",
                   load->rho);
    for (size_t i = 0; i < runs; i++) {
        const Negotiated *n = &load->deals[i];
        experiment_say(x,
                       "- %zu: %u, %u, %u; %.0f s; goodput %.3f, p99 %.2f s; decision to applied "
                       "%.0f ms; %.*s",
                       i, n->kept, n->rolled_back, n->given_up, n->settled_s, n->score.goodput[0],
                       n->score.p99[0], n->decision_ms, SLICE_FMT(n->policy));
    }
}

// ---- the goals

static double mean_of(const Row *row, size_t runs, ScoreField *field)
{
    return cell_of(row, runs, field, 0).value;
}

#define EQUAL_SERVERS 1.01 // more is not equal

// Of those that keep the servers that there are, or with `more` of the others.
static const Row *best_of(const Load *load, RowKind kind, size_t runs, bool more)
{
    const Row *best = NULL;
    double there = mean_of(&load->rows[0], runs, servers);
    for (size_t r = 0; r < load->row_count; r++) {
        const Row *row = &load->rows[r];
        bool has_more = mean_of(row, runs, servers) > EQUAL_SERVERS * there;
        if (!row->negotiated && row->kind == kind && has_more == more &&
            (!best || row->badness < best->badness)) {
            best = row;
        }
    }
    return best;
}

static const Row *negotiated_of(const Load *load)
{
    for (size_t r = 0; r < load->row_count; r++) {
        if (load->rows[r].negotiated) {
            return &load->rows[r];
        }
    }
    return &load->rows[0];
}

// Pairwise over runs, as both meet the same requests: is it worse, beyond doubt?
static bool worse(const Row *row, const Row *than, size_t runs, ScoreField *field, double sign,
                  double slack)
{
    double differences[RUNS_MAX] = {0};
    for (size_t i = 0; i < runs; i++) {
        double a = field(&row->scores[i]), b = field(&than->scores[i]);
        differences[i] = isinf(a) && isinf(b) ? 0 : sign * (a - b);
    }
    return cell_mean(differences, runs, 0).low > slack;
}

static bool bystanders_worse(const Row *row, const Row *than, size_t runs)
{
    return worse(row, than, runs, p99_1, 1, 0) || worse(row, than, runs, p99_2, 1, 0) ||
           worse(row, than, runs, goodput1, -1, 0) || worse(row, than, runs, goodput2, -1, 0);
}

static void judge_load(Experiment *x, const Load *load, size_t runs)
{
    const Row *ours = negotiated_of(load), *best = best_of(load, ROW_BASELINE, runs, false);
    const Row *oracle = best_of(load, ROW_ORACLE, runs, false);
    const Row *alone = best_of(load, ROW_ALONE, runs, false);
    const Row *scaled = best_of(load, ROW_BASELINE, runs, true);
    double goodput = mean_of(ours, runs, goodput0), p99 = mean_of(ours, runs, p99_0);
    double best_p99 = mean_of(best, runs, p99_0), oracle_p99 = mean_of(oracle, runs, p99_0);
    double gap = (best_p99 - p99) / (best_p99 - oracle_p99);
    experiment_say(x,
                   "- load %.2f: goodput %.4f (goal 0.99: %s); p99 %.2f s against %.2f s of the "
                   "best baseline, \"%s\" (goal half: %s, %.2f); of the gap to the oracle's "
                   "%.2f s %.0f %% closed (goal 90 %%: %s); bystanders against that baseline: %s; "
                   "best alone, \"%s\": goodput %.3f, p99 %.2f s.",
                   load->rho, goodput, goodput >= 0.99 ? "reached" : "missed", p99, best_p99,
                   best->name, p99 <= best_p99 / 2 ? "reached" : "missed", p99 / best_p99,
                   oracle_p99, 100 * gap, gap >= 0.9 ? "reached" : "missed",
                   bystanders_worse(ours, best, runs) ? "worse (95 %, pairwise)"
                                                      : "not worse (95 %, pairwise)",
                   alone->name, mean_of(alone, runs, goodput0), mean_of(alone, runs, p99_0));
    if (scaled) {
        experiment_say(x, "  With more servers, \"%s\": p99 %.2f s on %.1f servers.", scaled->name,
                       mean_of(scaled, runs, p99_0), mean_of(scaled, runs, servers));
    }
}

void e1_judge(Experiment *x, const Load *loads, size_t count, size_t runs)
{
    experiment_say(x, "\nE1, the goals:\n");
    for (size_t i = 0; i < count; i++) {
        judge_load(x, &loads[i], runs);
    }
}
