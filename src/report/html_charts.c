#include "report/html_charts.h"

#include <math.h>

#include "base/utf8.h"
#include "report/chart.h"
#include "report/series.h"
#include "report/words.h"

// ---- columns out of the steps ----

static double field_of(const ReportStep *step, size_t offset)
{
    return *(const double *)(const void *)((const char *)step + offset);
}

static const double *column(HtmlPage *page, size_t offset)
{
    const ReportModel *m = page->m;
    double *values = ARENA_ARRAY(page->arena, double, m->step_count + 1);
    for (size_t i = 0; i < m->step_count; i++) {
        values[i] = field_of(&m->steps[i], offset);
    }
    return values;
}

// Largest finite value; NaN when there is none.
static double largest(const double *values, size_t count, size_t *ret_index)
{
    double max = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && !(values[i] <= max)) {
            max = values[i];
            *ret_index = i;
        }
    }
    return max;
}

static double smallest_positive(const double *values, size_t count)
{
    double min = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        min = values[i] > 0 && isfinite(values[i]) ? fmin(min, values[i]) : min;
    }
    return min;
}

// The lines of one chart over time, each a member of ReportStep.
typedef struct TimeLine {
    const char *name;
    size_t offset;
    int tone;
    bool filled;
} TimeLine;

typedef struct TimeChart {
    const char *title;
    Slice finding;
    const TimeLine *lines;
    size_t count;
    ChartUnit unit;
    bool log;
    bool stepped;
} TimeChart;

static Slice step_tip(HtmlPage *page, const TimeChart *spec, const ReportStep *step)
{
    Buf text = buf_create(4096);
    buf_append(&text, words_second(page->arena, step->at_s));
    for (size_t i = 0; i < spec->count; i++) {
        double value = field_of(step, spec->lines[i].offset);
        Slice words = spec->unit == CHART_MS      ? words_ms(page->arena, value)
                      : spec->unit == CHART_SHARE ? words_share(page->arena, value)
                      : spec->unit == CHART_RATE  ? words_rate(page->arena, value)
                                                  : words_count(page->arena, value);
        buf_printf(&text, "\n%s ", spec->lines[i].name);
        buf_append(&text, words);
    }
    Slice copy = arena_copy(page->arena, buf_slice(&text));
    buf_done(&text);
    return copy;
}

// Rows evenly over the run, or a reader of the table would scroll past hundreds of them; the JSON
// report has all.
static void time_table(HtmlPage *page, const TimeChart *spec)
{
    const ReportModel *m = page->m;
    const char *head[CHART_LINES_MAX + 1] = {"time"};
    for (size_t i = 0; i < spec->count; i++) {
        head[i + 1] = spec->lines[i].name;
    }
    chart_table_begin(page->out, head, spec->count + 1);
    size_t stride = (m->step_count + CHART_TABLE_ROWS_MAX - 1) / CHART_TABLE_ROWS_MAX;
    for (size_t i = 0; i < m->step_count; i += stride) {
        buf_printf(page->out, "<tr><th scope=\"row\">%.*s</th>",
                   SLICE_FMT(words_second(page->arena, m->steps[i].at_s)));
        for (size_t k = 0; k < spec->count; k++) {
            double value = field_of(&m->steps[i], spec->lines[k].offset);
            Slice words = spec->unit == CHART_MS      ? words_ms(page->arena, value)
                          : spec->unit == CHART_SHARE ? words_share(page->arena, value)
                                                      : words_number(page->arena, value);
            buf_printf(page->out, "<td>%.*s</td>", SLICE_FMT(words));
        }
        buf_puts(page->out, "</tr>\n");
    }
    chart_table_end(page->out, stride);
}

static void time_chart(HtmlPage *page, const TimeChart *spec)
{
    const ReportModel *m = page->m;
    double *x = ARENA_ARRAY(page->arena, double, m->step_count + 1);
    double low = (double)NAN, high = (double)NAN;
    const double *columns[CHART_LINES_MAX];
    size_t at = 0;
    for (size_t i = 0; i < m->step_count; i++) {
        // Latencies of a step are drawn at its middle, rates hold from its start.
        x[i] = m->steps[i].at_s + (spec->stepped ? 0 : m->step_s / 2);
    }
    for (size_t i = 0; i < spec->count; i++) {
        columns[i] = column(page, spec->lines[i].offset);
        high = fmax(high, largest(columns[i], m->step_count, &at));
        low = fmin(low, smallest_positive(columns[i], m->step_count));
    }
    if (isnan(high)) {
        return;
    }
    Chart c = chart_begin(page->out, page->arena, spec->title, spec->finding);
    chart_y(&c, spec->log ? low * 0.9 : 0, high > 0 ? high * 1.06 : 1, spec->log, spec->unit);
    chart_x_time(&c, 0, (double)m->step_count * m->step_s);
    for (size_t i = 0; i < spec->count; i++) {
        const TimeLine *line = &spec->lines[i];
        chart_line(&c, &(ChartLine){slice_from_cstr(line->name), line->tone, x, columns[i],
                                    m->step_count, spec->stepped, line->filled});
    }
    for (size_t i = 0; i < m->step_count; i++) {
        chart_tip(&c, i, m->step_count, step_tip(page, spec, &m->steps[i]));
    }
    chart_end(&c);
    time_table(page, spec);
    chart_close(page->out);
}

#define STEP(member) offsetof(ReportStep, member)

void html_chart_rate(HtmlPage *page)
{
    const ReportTotals *t = &page->m->totals;
    bool open = !isnan(t->offered);
    static const TimeLine lines[] = {{"achieved", STEP(achieved), 1, true},
                                     {"offered", STEP(offered), 4, false},
                                     {"dropped", STEP(dropped), 5, false}};
    Slice finding =
        open ? arena_printf(page->arena,
                            "%.*s iterations were due (%.*s), %.*s were completed (%.*s) and %.*s "
                            "could not be started.",
                            SLICE_FMT(words_count(page->arena, t->offered)),
                            SLICE_FMT(words_rate(page->arena, t->offered_rate)),
                            SLICE_FMT(words_count(page->arena, t->iterations)),
                            SLICE_FMT(words_rate(page->arena, t->iteration_rate)),
                            SLICE_FMT(words_count(page->arena, t->dropped)))
             : arena_printf(page->arena,
                            "%.*s iterations were completed (%.*s). Closed model: users wait for "
                            "answers, so there is no offered rate.",
                            SLICE_FMT(words_count(page->arena, t->iterations)),
                            SLICE_FMT(words_rate(page->arena, t->iteration_rate)));
    time_chart(page, &(TimeChart){"Offered and achieved rate, iterations a second", finding, lines,
                                  open ? 3 : 1, CHART_RATE, false, true});
}

void html_chart_vus(HtmlPage *page)
{
    static const TimeLine lines[] = {{"VUs", STEP(vus), 3, true}};
    Slice finding = arena_printf(page->arena, "At most %.*s at work at one time.",
                                 SLICE_FMT(words_count(page->arena, page->m->totals.vus_max)));
    time_chart(page, &(TimeChart){"Virtual users", finding, lines, 1, CHART_COUNT, false, true});
}

void html_chart_generator(HtmlPage *page)
{
    static const TimeLine lines[] = {{"p99", STEP(lateness_p99_ms), 5, false}};
    const ReportLatency *l = &page->m->totals.generator;
    Slice finding = arena_printf(page->arena,
                                 "Timers of the generator fired %.*s late at p99, %.*s "
                                 "at worst.",
                                 SLICE_FMT(words_ms(page->arena, l->p99)),
                                 SLICE_FMT(words_ms(page->arena, l->max)));
    time_chart(page, &(TimeChart){"Generator lateness", finding, lines, 1, CHART_MS, true, false});
}

void html_chart_machine(HtmlPage *page)
{
    static const TimeLine lines[] = {{"CPU", STEP(cpu), 2, false},
                                     {"steal", STEP(steal), 4, false}};
    size_t cpu_at = 0, steal_at = 0;
    const ReportModel *m = page->m;
    double cpu = largest(column(page, STEP(cpu)), m->step_count, &cpu_at);
    double steal = largest(column(page, STEP(steal)), m->step_count, &steal_at);
    if (isnan(cpu) && isnan(steal)) {
        return;
    }
    Slice finding = arena_printf(page->arena,
                                 "The generator's CPU share peaked at %.*s, steal at "
                                 "%.*s.",
                                 SLICE_FMT(words_share(page->arena, cpu)),
                                 SLICE_FMT(words_share(page->arena, steal)));
    time_chart(page, &(TimeChart){"Generator CPU and steal", finding, lines, 2, CHART_SHARE, false,
                                  false});
}

void html_chart_errors(HtmlPage *page)
{
    const ReportModel *m = page->m;
    if (m->kind_count == 0) {
        return;
    }
    // By name where it is short; the table and the caption have the whole of it.
    static const int tones[REPORT_KINDS_MAX] = {4, 5, 1, 3, 2, 6};
    TimeLine lines[REPORT_KINDS_MAX];
    for (size_t i = 0; i < m->kind_count; i++) {
        Slice name = m->kinds[i].name;
        ptrdiff_t colon = slice_find_byte(name, ':');
        name = slice_sub(name, 0, colon > 0 ? (size_t)colon : name.len);
        lines[i] = (TimeLine){arena_cstr(page->arena, name),
                              STEP(errors) + i * sizeof m->steps[0].errors[0], tones[i], i == 0};
    }
    const ReportErrorKind *top = &m->kinds[0];
    Slice finding =
        arena_printf(page->arena,
                     "%.*s of %.*s requests failed (%.*s); most of them with %.*s (%.*s), first "
                     "seen at %.*s.",
                     SLICE_FMT(words_count(page->arena, m->totals.failed)),
                     SLICE_FMT(words_count(page->arena, m->totals.requests)),
                     SLICE_FMT(words_share(page->arena, m->totals.failed_share)),
                     SLICE_FMT(top->name), SLICE_FMT(words_count(page->arena, top->count)),
                     SLICE_FMT(words_second(page->arena, top->first_seen_s)));
    time_chart(page, &(TimeChart){"Failed requests a second, by kind", finding, lines,
                                  m->kind_count, CHART_RATE, false, true});
}

void html_chart_percentiles(HtmlPage *page, bool corrected)
{
    static const TimeLine plain[] = {{"p50", STEP(latency.p50), 1, false},
                                     {"p90", STEP(latency.p90), 2, false},
                                     {"p95", STEP(latency.p95), 3, false},
                                     {"p99", STEP(latency.p99), 4, false}};
    static const TimeLine late[] = {{"p50", STEP(corrected.p50), 1, false},
                                    {"p90", STEP(corrected.p90), 2, false},
                                    {"p95", STEP(corrected.p95), 3, false},
                                    {"p99", STEP(corrected.p99), 4, false}};
    const ReportModel *m = page->m;
    const ReportLatency *whole = corrected ? &m->totals.corrected : &m->totals.latency;
    size_t at = 0;
    double worst = largest(column(page, corrected ? STEP(corrected.p95) : STEP(latency.p95)),
                           m->step_count, &at);
    if (isnan(worst)) {
        return;
    }
    Slice finding = arena_printf(
        page->arena, "p95 of the whole run %.*s, p99 %.*s; at its worst p95 was %.*s, at %.*s.",
        SLICE_FMT(words_ms(page->arena, whole->p95)), SLICE_FMT(words_ms(page->arena, whole->p99)),
        SLICE_FMT(words_ms(page->arena, worst)),
        SLICE_FMT(words_second(page->arena, m->steps[at].at_s)));
    const char *title =
        corrected ? "Response time from the intended start" : "Request duration percentiles";
    time_chart(page,
               &(TimeChart){title, finding, corrected ? late : plain, 4, CHART_MS, true, false});
}

void html_chart_requests(HtmlPage *page)
{
    static const TimeLine lines[] = {{"requests", STEP(requests), 1, true},
                                     {"failed", STEP(failed), 4, false}};
    const ReportTotals *t = &page->m->totals;
    Slice finding = arena_printf(page->arena, "%.*s requests in all, %.*s on average.",
                                 SLICE_FMT(words_count(page->arena, t->requests)),
                                 SLICE_FMT(words_rate(page->arena, t->request_rate)));
    time_chart(page, &(TimeChart){"Requests a second", finding, lines, 2, CHART_RATE, false, true});
}

// ---- heat map ----

enum { HEAT_LEVELS = 10 };

// Counts spread over orders of magnitude: levels go by the logarithm, so that a rare slow request
// is still seen beside thousands of quick ones.
static int heat_level(const ReportHeat *heat, uint64_t count)
{
    double share = log1p((double)count) / log1p((double)heat->max);
    int level = (int)(share * HEAT_LEVELS);
    return level < HEAT_LEVELS ? level : HEAT_LEVELS - 1;
}

static void heat_cells(HtmlPage *page, Chart *c)
{
    const ReportHeat *heat = &page->m->heat;
    double width = (c->right - c->left) / (double)heat->columns;
    double height = (c->bottom - c->top) / (double)heat->rows;
    for (size_t column = 0; column < heat->columns; column++) {
        for (size_t row = 0; row < heat->rows; row++) {
            uint64_t count = heat->counts[column * heat->rows + row];
            if (count == 0) {
                continue;
            }
            char class_name[16];
            (void)snprintf(class_name, sizeof class_name, "h%d", heat_level(heat, count));
            svg_open(&c->svg, "rect");
            svg_attr_cstr(&c->svg, "class", class_name);
            svg_attr_number(&c->svg, "x", c->left + (double)column * width);
            svg_attr_number(&c->svg, "y", c->bottom - (double)(row + 1) * height);
            // A hair wider, or white seams show between cells.
            svg_attr_number(&c->svg, "width", width + 0.3);
            svg_attr_number(&c->svg, "height", height + 0.3);
            svg_title(
                &c->svg,
                arena_printf(page->arena, "%.*s, %.*s to %.*s: %llu",
                             SLICE_FMT(words_second(page->arena, (double)column * heat->column_s)),
                             SLICE_FMT(words_ms(page->arena, heat->row_bounds[row])),
                             SLICE_FMT(words_ms(page->arena, heat->row_bounds[row + 1])),
                             (unsigned long long)count));
            svg_close(&c->svg);
        }
    }
}

// Colours beside the map, with the counts that the lowest and the highest stand for.
static void heat_legend(HtmlPage *page, Chart *c)
{
    double step = (c->bottom - c->top - 40) / HEAT_LEVELS;
    for (int i = 0; i < HEAT_LEVELS; i++) {
        char class_name[16];
        (void)snprintf(class_name, sizeof class_name, "h%d", i);
        svg_rect(&c->svg, c->right + 10, c->bottom - 20 - (i + 1) * step, 12, step + 0.3,
                 class_name);
    }
    svg_text(&c->svg, c->right + 10, c->bottom - 6, "tick", SLICE("1"));
    svg_text(&c->svg, c->right + 10, c->top + 12, "tick",
             words_count(page->arena, (double)page->m->heat.max));
}

static void heat_table(HtmlPage *page)
{
    const ReportHeat *heat = &page->m->heat;
    const char *const head[] = {"latency", "requests"};
    chart_table_begin(page->out, head, 2);
    for (size_t row = heat->rows; row > 0; row--) {
        uint64_t count = 0;
        for (size_t column = 0; column < heat->columns; column++) {
            count += heat->counts[column * heat->rows + row - 1];
        }
        buf_printf(page->out, "<tr><th scope=\"row\">%.*s to %.*s</th><td>%.*s</td></tr>\n",
                   SLICE_FMT(words_ms(page->arena, heat->row_bounds[row - 1])),
                   SLICE_FMT(words_ms(page->arena, heat->row_bounds[row])),
                   SLICE_FMT(words_count(page->arena, (double)count)));
    }
    chart_table_end(page->out, 1);
}

void html_chart_heat(HtmlPage *page)
{
    const ReportModel *m = page->m;
    const ReportHeat *heat = &m->heat;
    if (heat->columns == 0) {
        return;
    }
    Slice finding =
        arena_printf(page->arena,
                     "Each cell is a stretch of %.*s and a band of latency; the fullest holds %.*s "
                     "requests. Durations from %.*s to %.*s.",
                     SLICE_FMT(words_second(page->arena, heat->column_s)),
                     SLICE_FMT(words_count(page->arena, (double)heat->max)),
                     SLICE_FMT(words_ms(page->arena, m->totals.latency.min)),
                     SLICE_FMT(words_ms(page->arena, m->totals.latency.max)));
    Chart c = chart_begin(page->out, page->arena, "Latency heat map", finding);
    chart_y(&c, heat->row_bounds[0], heat->row_bounds[heat->rows], true, CHART_MS);
    chart_x_time(&c, 0, (double)heat->columns * heat->column_s);
    heat_cells(page, &c);
    heat_legend(page, &c);
    chart_end(&c);
    heat_table(page);
    chart_close(page->out);
}

// ---- percentile plot ----

enum { HDR_PER_DECADE = 24, HDR_POINTS_MAX = HDR_PER_DECADE * 10 };

// Points of the curve up to the percentile that the last request stands for.
static size_t hdr_points(const Hist *h, double *x, double *y)
{
    size_t count = 0;
    for (size_t i = 0; i < HDR_POINTS_MAX && h->count > 0; i++) {
        double inverse = pow(10, (double)i / HDR_PER_DECADE); // 1 / (1 - p)
        if (inverse > (double)h->count && i > 0) {
            break;
        }
        x[count] = inverse;
        y[count++] = hist_quantile(h, 1 - 1 / inverse) / 1e6;
    }
    return count;
}

typedef struct HdrCurve {
    Slice name;
    int tone;
    Hist hist;
} HdrCurve;

static void hdr_axis(Chart *c, double max)
{
    static const struct {
        double x;
        const char *text;
    } ticks[] = {{2, "50 %"},      {10, "90 %"},      {100, "99 %"},     {1e3, "99.9 %"},
                 {1e4, "99.99 %"}, {1e5, "99.999 %"}, {1e6, "99.9999 %"}};
    c->x = scale_log(1, fmax(max, 10), c->left, c->right);
    for (size_t i = 0; i < COUNT_OF(ticks) && ticks[i].x <= c->x.max * 1.0001; i++) {
        double x = scale_at(&c->x, ticks[i].x);
        svg_line(&c->svg, x, c->top, x, c->bottom + 4, "grid");
        svg_text(&c->svg, x, c->bottom + 17, "tick mid", slice_from_cstr(ticks[i].text));
    }
    svg_line(&c->svg, c->left, c->bottom, c->right, c->bottom, "axis");
}

// A baseline's requests of all endpoints, as the model adds up the run's own.
static void add_peers(HtmlPage *page, HdrCurve *curves, size_t *count)
{
    const ReportInput *in = &page->m->in;
    for (size_t i = 0; i < in->peer_count && *count < HDR_PEERS_MAX; i++) {
        if (!in->peers[i].baseline) {
            continue;
        }
        SeriesGroup group =
            series_group(page->arena, in->peers[i].run, SLICE("http_req_duration"), (Labels){0});
        SeriesSum sum;
        series_sum_init(&sum);
        series_total(&group, &sum);
        HdrCurve *curve = &curves[(*count)++];
        *curve = (HdrCurve){.name = SLICE("baseline"), .tone = 6};
        hist_init(&curve->hist);
        hist_merge(&curve->hist, &sum.hist);
        series_sum_done(&sum);
    }
}

static size_t hdr_curves(HtmlPage *page, HdrCurve *curves)
{
    const ReportModel *m = page->m;
    size_t count = 0;
    add_peers(page, curves, &count);
    curves[count] = (HdrCurve){.name = SLICE("duration"), .tone = 1};
    hist_init(&curves[count].hist);
    hist_merge(&curves[count++].hist, &m->duration);
    if (m->corrected.count > 0) {
        curves[count] = (HdrCurve){.name = SLICE("corrected"), .tone = 4};
        hist_init(&curves[count].hist);
        hist_merge(&curves[count++].hist, &m->corrected);
    }
    return count;
}

static void hdr_table(HtmlPage *page, const HdrCurve *curves, size_t count)
{
    static const double shares[] = {0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999};
    const char *head[HDR_PEERS_MAX + 3] = {"percentile"};
    for (size_t i = 0; i < count; i++) {
        head[i + 1] = arena_cstr(page->arena, curves[i].name);
    }
    chart_table_begin(page->out, head, count + 1);
    for (size_t k = 0; k < COUNT_OF(shares); k++) {
        buf_printf(page->out, "<tr><th scope=\"row\">%g %%</th>", shares[k] * 100);
        for (size_t i = 0; i < count; i++) {
            double ms = hist_quantile(&curves[i].hist, shares[k]) / 1e6;
            buf_printf(page->out, "<td>%.*s</td>", SLICE_FMT(words_ms(page->arena, ms)));
        }
        buf_puts(page->out, "</tr>\n");
    }
    chart_table_end(page->out, 1);
}

static Slice hdr_finding(HtmlPage *page)
{
    const ReportTotals *t = &page->m->totals;
    if (t->corrected.count == 0) {
        return arena_printf(page->arena,
                            "At p99 a request took %.*s. Closed model: there is no "
                            "intended start to count from.",
                            SLICE_FMT(words_ms(page->arena, t->latency.p99)));
    }
    return arena_printf(page->arena,
                        "At p99 a request took %.*s, and %.*s from its intended start: "
                        "the difference is time spent waiting to be sent.",
                        SLICE_FMT(words_ms(page->arena, t->latency.p99)),
                        SLICE_FMT(words_ms(page->arena, t->corrected.p99)));
}

void html_chart_hdr(HtmlPage *page)
{
    const ReportModel *m = page->m;
    if (m->duration.count == 0) {
        return;
    }
    HdrCurve curves[HDR_PEERS_MAX + 2];
    size_t count = hdr_curves(page, curves);
    double low = (double)NAN, high = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, fmax((double)curves[i].hist.min / 1e6, 1e-6));
        high = fmax(high, (double)curves[i].hist.max / 1e6);
    }
    Chart c = chart_begin(page->out, page->arena,
                          "Latency by percentile, with and without lateness", hdr_finding(page));
    chart_y(&c, low, high, true, CHART_MS);
    hdr_axis(&c, (double)m->duration.count);
    for (size_t i = 0; i < count; i++) {
        double *x = ARENA_ARRAY(page->arena, double, HDR_POINTS_MAX);
        double *y = ARENA_ARRAY(page->arena, double, HDR_POINTS_MAX);
        size_t points = hdr_points(&curves[i].hist, x, y);
        chart_line(&c, &(ChartLine){curves[i].name, curves[i].tone, x, y, points, false, false});
    }
    chart_end(&c);
    hdr_table(page, curves, count);
    chart_close(page->out);
    for (size_t i = 0; i < count; i++) {
        hist_done(&curves[i].hist);
    }
}

// ---- forest plot ----

enum { FOREST_LEFT = 330, FOREST_RIGHT = 780, FOREST_WIDTH = 1140, FOREST_ROW = 24 };

static bool in_forest(const ChangeVerdict *change)
{
    return change->ratio > 0 && isfinite(change->ratio) && change->value != CHANGE_NOT_COMPARABLE;
}

// The end of an interval, held to the picture when it is not bounded.
static double forest_x(const Scale *x, double ratio)
{
    return ratio > 0 ? fmin(fmax(scale_at(x, ratio), FOREST_LEFT), FOREST_RIGHT)
                     : (double)FOREST_LEFT;
}

static Slice forest_name(Arena *arena, const ChangeVerdict *change)
{
    Slice name = change->endpoint.len ? change->endpoint : SLICE("all requests");
    const char *more = "";
    enum { SHOWN = 36 };
    size_t at = 0;
    for (int i = 0; i < SHOWN && at < name.len; i++) {
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(name, at, 4), &c);
        at += len ? len : 1;
    }
    more = at < name.len ? "\xE2\x80\xA6" : "";
    return arena_printf(arena, "%.*s%s \xC2\xB7 %.*s", (int)at, name.ptr, more,
                        SLICE_FMT(change_measure_name(change->measure)));
}

const char *html_tone_class(ReportTone tone)
{
    switch (tone) {
    case TONE_NEUTRAL: return "neutral";
    case TONE_GOOD: return "good";
    case TONE_WARN: return "warn";
    case TONE_BAD: return "bad";
    }
    return "neutral";
}

static void forest_row(HtmlPage *page, Svg *svg, const Scale *x, const ChangeVerdict *change,
                       double y)
{
    const char *tone = html_tone_class(report_change_tone(change));
    char class_name[32];
    svg_text(svg, FOREST_LEFT - 14, y + 4, change->decides ? "row end strong" : "row end",
             forest_name(page->arena, change));
    (void)snprintf(class_name, sizeof class_name, "whisker %s", tone);
    if (isfinite(change->interval.low) || isfinite(change->interval.high)) {
        svg_line(svg, forest_x(x, change->interval.low), y, forest_x(x, change->interval.high), y,
                 class_name);
    }
    (void)snprintf(class_name, sizeof class_name, "mark %s", tone);
    svg_rect(svg, forest_x(x, change->ratio) - 4, y - 4, 8, 8, class_name);
    Slice words = change_words(page->arena, change);
    svg_text(svg, FOREST_RIGHT + 16, y + 4, "row",
             arena_printf(page->arena, "%.*s %.*s  %.*s%s",
                          SLICE_FMT(words_change(page->arena, change->ratio)),
                          SLICE_FMT(words_change_interval(page->arena, change->interval)),
                          SLICE_FMT(words), change->single_run ? ", single run" : ""));
}

static void forest_axis(Arena *arena, Svg *svg, const Scale *x, double bottom, double margin)
{
    double ticks[SVG_TICKS_MAX];
    if (margin > 0 && margin < 1) {
        double from = forest_x(x, 1 - margin), to = forest_x(x, 1 + margin);
        svg_rect(svg, from, 4, to - from, bottom - 4, "band");
    }
    size_t count = scale_ticks(x, 6, ticks);
    for (size_t i = 0; i < count; i++) {
        double at = scale_at(x, ticks[i]);
        svg_line(svg, at, 4, at, bottom, "grid");
        svg_text(svg, at, bottom + 16, "tick mid",
                 fabs(ticks[i] - 1) < 1e-9 ? SLICE("no change")
                                           : arena_printf(arena, "%+.3g %%", (ticks[i] - 1) * 100));
    }
    svg_line(svg, scale_at(x, 1), 4, scale_at(x, 1), bottom, "unity");
}

// Bounds of the picture: all intervals that are bounded, and some room around no change.
static Scale forest_scale(const ReportModel *m)
{
    double low = 0.9, high = 1.1;
    for (size_t i = 0; i < report_change_count(m); i++) {
        const ChangeVerdict *c = &m->in.judgement->changes[i];
        if (in_forest(c)) {
            low = fmin(low, fmax(fmin(c->ratio, c->interval.low), c->ratio / 4));
            high = fmax(high, fmin(fmax(c->ratio, c->interval.high), c->ratio * 4));
        }
    }
    return scale_log(low * 0.98, high * 1.02, FOREST_LEFT, FOREST_RIGHT);
}

void html_chart_forest(HtmlPage *page)
{
    const ReportModel *m = page->m;
    size_t rows = 0;
    for (size_t i = 0; i < report_change_count(m); i++) {
        rows += in_forest(&m->in.judgement->changes[i]);
    }
    rows = rows < FOREST_ROWS_MAX ? rows : FOREST_ROWS_MAX;
    if (rows == 0) {
        return;
    }
    double bottom = 8 + (double)rows * FOREST_ROW;
    Scale x = forest_scale(m);
    buf_puts(page->out, "<figure class=\"chart wide\">");
    Svg svg = svg_begin(page->out, FOREST_WIDTH, bottom + 24);
    svg_attr_cstr(&svg, "role", "img");
    svg_attr(&svg, "aria-label",
             arena_printf(page->arena,
                          "Candidate over baseline with intervals, %zu rows; the same "
                          "numbers are in the table below.",
                          rows));
    forest_axis(page->arena, &svg, &x, bottom, m->in.judgement->changes[0].margin);
    double y = 8 + FOREST_ROW / 2.0;
    for (size_t i = 0, shown = 0; i < report_change_count(m) && shown < rows; i++) {
        const ChangeVerdict *change = &m->in.judgement->changes[i];
        if (in_forest(change)) {
            forest_row(page, &svg, &x, change, y);
            y += FOREST_ROW;
            shown++;
        }
    }
    svg_end(&svg);
    chart_close(page->out);
}

void html_spark(HtmlPage *page, const double *values, size_t count, Slice label)
{
    size_t at = 0;
    double high = largest(values, count, &at);
    if (!(high > 0)) {
        return;
    }
    Svg svg = svg_begin(page->out, 96, 20);
    svg_attr_cstr(&svg, "class", "spark");
    svg_attr_cstr(&svg, "role", "img");
    svg_attr(&svg, "aria-label", label);
    Buf path = buf_create(1 << 16);
    bool pen = false;
    for (size_t i = 0; i < count; i++) {
        double x = 1 + 94.0 * (double)i / (double)(count > 1 ? count - 1 : 1);
        svg_path_point(&path, x, 18 - 16 * values[i] / high, &pen);
    }
    svg_path(&svg, &path, "line l3");
    buf_done(&path);
    svg_end(&svg);
}
