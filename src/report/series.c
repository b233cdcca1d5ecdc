#include "report/series.h"

static bool is_member(const RunSeries *series, Slice metric, Labels filter)
{
    return slice_eq(series->info.metric, metric) && labels_match(series->info.labels, filter);
}

SeriesGroup series_group(Arena *arena, const RunData *run, Slice metric, Labels filter)
{
    // Counted first: with a thousand endpoints, room for all series in each group would be most of
    // a report's memory.
    size_t room = 1;
    for (size_t i = 0; i < run->series_count; i++) {
        room += is_member(&run->series[i], metric, filter);
    }
    SeriesGroup group = {.series = ARENA_ARRAY(arena, const RunSeries *, room),
                         .next = ARENA_ARRAY(arena, size_t, room)};
    for (size_t i = 0; i < run->series_count; i++) {
        if (is_member(&run->series[i], metric, filter)) {
            group.series[group.count++] = &run->series[i];
        }
    }
    return group;
}

SeriesGroup series_group_label(Arena *arena, const RunData *run, Slice metric, Slice key,
                               Slice value)
{
    Label label = {key, value};
    return series_group(arena, run, metric, (Labels){&label, 1});
}

void series_sum_init(SeriesSum *sum)
{
    *sum = (SeriesSum){0};
    hist_init(&sum->hist);
}

void series_sum_done(SeriesSum *sum)
{
    hist_done(&sum->hist);
}

static void sum_reset(SeriesSum *sum)
{
    hist_reset(&sum->hist);
    sum->any = false;
    sum->count = sum->trues = sum->gauge = 0;
}

void series_take(SeriesGroup *group, int64_t end, SeriesSum *sum)
{
    sum_reset(sum);
    for (size_t i = 0; i < group->count; i++) {
        const RunSeries *series = group->series[i];
        const Point *last = NULL;
        for (; group->next[i] < series->point_count; group->next[i]++) {
            const RunPoint *p = &series->points[group->next[i]];
            if (p->index >= end) {
                break;
            }
            last = &p->point;
            sum->count += (double)p->point.count;
            sum->trues += (double)p->point.trues;
            if (p->point.hist) {
                hist_merge(&sum->hist, p->point.hist);
            }
        }
        sum->any |= last != NULL;
        sum->gauge += last ? last->last : 0;
    }
}

void series_total(SeriesGroup *group, SeriesSum *sum)
{
    memset(group->next, 0, group->count * sizeof *group->next);
    series_take(group, INT64_MAX, sum);
    memset(group->next, 0, group->count * sizeof *group->next);
}
