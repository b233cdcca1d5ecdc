#include "judge/verdict.h"

const double slo_alert_factors[4] = {14.4, 6, 3, 1};
const Slice slo_alert_names[4] = {
    SLICE_INIT("page: 2 % of the budget in 1 h"),
    SLICE_INIT("page: 5 % of the budget in 6 h"),
    SLICE_INIT("ticket: 10 % of the budget in 1 d"),
    SLICE_INIT("ticket: 10 % of the budget in 3 d"),
};

Slice slo_value_name(SloValue value)
{
    switch (value) {
    case SLO_MET: return SLICE("met");
    case SLO_BREACHED: return SLICE("breached");
    case SLO_NOT_PROVEN: return SLICE("not proven");
    }
    return SLICE("unknown");
}

Slice change_value_name(ChangeValue value)
{
    switch (value) {
    case CHANGE_FASTER: return SLICE("faster");
    case CHANGE_SLOWER: return SLICE("slower");
    case CHANGE_NO_DIFFERENCE_SHOWN: return SLICE("no difference shown");
    case CHANGE_NOT_COMPARABLE: return SLICE("not comparable");
    }
    return SLICE("unknown");
}

Slice change_words(Arena *arena, const ChangeVerdict *change)
{
    bool better = change->value == CHANGE_FASTER;
    if (change->value == CHANGE_NO_DIFFERENCE_SHOWN && change->equivalent) {
        return arena_printf(arena, "equivalent within %.3g %%", change->margin * 100);
    }
    if (change->value == CHANGE_FASTER || change->value == CHANGE_SLOWER) {
        if (change->measure == MEASURE_ERROR_RATE) {
            return better ? SLICE("fewer errors") : SLICE("more errors");
        }
        if (change->measure == MEASURE_THROUGHPUT) {
            return better ? SLICE("more throughput") : SLICE("less throughput");
        }
    }
    return change_value_name(change->value);
}

Slice change_measure_name(ChangeMeasure measure)
{
    switch (measure) {
    case MEASURE_P50: return SLICE("p50");
    case MEASURE_P95: return SLICE("p95");
    case MEASURE_P99: return SLICE("p99");
    case MEASURE_MEAN: return SLICE("mean");
    case MEASURE_ERROR_RATE: return SLICE("error rate");
    case MEASURE_THROUGHPUT: return SLICE("throughput");
    case MEASURE_COUNT: break;
    }
    return SLICE("unknown");
}

Slice judge_status_name(JudgeStatus status)
{
    switch (status) {
    case JUDGE_PASS: return SLICE("pass");
    case JUDGE_SLO_BREACHED: return SLICE("slo breached");
    case JUDGE_REGRESSION: return SLICE("regression");
    case JUDGE_PARTIAL: return SLICE("partial");
    case JUDGE_INVALID: return SLICE("invalid");
    case JUDGE_NOT_PROVEN: return SLICE("not proven");
    case JUDGE_ERROR: return SLICE("error");
    }
    return SLICE("unknown");
}
