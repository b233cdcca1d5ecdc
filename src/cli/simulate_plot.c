#include "cli/simulate_plot.h"

#include <math.h>

#include "base/svg.h"

enum { WIDTH = 900, PANEL = 220, GAP = 60, LEFT = 70, RIGHT = 150, TOP = 50, TONES = 8 };

static const char STYLE[] =
    "text{font:12px sans-serif;fill:#333}.head{font-weight:bold}.grid{stroke:#ddd}"
    ".spike{fill:#f3e3c3}.warm{stroke:#999;stroke-dasharray:4 3}"
    "path{fill:none;stroke-width:1.5}"
    ".t0{stroke:#0072b2}.t1{stroke:#d55e00;stroke-dasharray:6 2}.t2{stroke:#009e73}"
    ".t3{stroke:#cc79a7;stroke-dasharray:2 2}.t4{stroke:#555}"
    ".t5{stroke:#e69f00;stroke-dasharray:8 3}.t6{stroke:#56b4e9}"
    ".t7{stroke:#000;stroke-dasharray:1 3}";

// One value of a line in one window; NAN makes a gap.
typedef double ValueFn(const System *sys, const SimResult *r, uint32_t line, uint32_t window);

typedef struct Panel {
    const char *head;
    ValueFn *value;
    uint32_t lines;
    bool clients; // the lines are clients, else agents
    bool share;   // 0..1
} Panel;

// A client's window, summed over the runs that came so far.
static SimWindow client_window(const System *sys, const SimResult *r, uint32_t line,
                               uint32_t window)
{
    SimWindow sum = {0};
    for (uint32_t i = 0; i < r->run_count; i++) {
        if (window < r->runs[i].window_count) {
            const SimWindow *w = &r->runs[i].windows[window * sys->client_count + line];
            sum.offered += w->offered;
            sum.ok += w->ok;
            sum.good += w->good;
            sum.latency_sum_s += w->latency_sum_s;
        }
    }
    return sum;
}

static double goodput(const System *sys, const SimResult *r, uint32_t line, uint32_t window)
{
    SimWindow w = client_window(sys, r, line, window);
    return w.offered > 0 ? (double)w.good / w.offered : NAN;
}

static double latency(const System *sys, const SimResult *r, uint32_t line, uint32_t window)
{
    SimWindow w = client_window(sys, r, line, window);
    return w.ok > 0 ? w.latency_sum_s / w.ok : NAN;
}

static double waiting(const System *sys, const SimResult *r, uint32_t line, uint32_t window)
{
    double sum = 0, runs = 0;
    for (uint32_t i = 0; i < r->run_count; i++) {
        if (window < r->runs[i].window_count) {
            const SimAgentWindow *w = &r->runs[i].agents[window * sys->agent_count + line];
            sum += (double)w->waiting;
            runs++;
        }
    }
    return runs > 0 ? sum / runs : NAN;
}

static uint32_t windows_of(const SimResult *r)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < r->run_count; i++) {
        most = r->runs[i].window_count > most ? r->runs[i].window_count : most;
    }
    return most;
}

static double highest(const Panel *p, const System *sys, const SimResult *r)
{
    double most = 0;
    for (uint32_t line = 0; line < p->lines; line++) {
        for (uint32_t w = 0; w < windows_of(r); w++) {
            double value = p->value(sys, r, line, w);
            most = value > most ? value : most;
        }
    }
    return p->share || most <= 0 ? 1 : most;
}

static void draw_axes(Svg *s, const Scale *x, const Scale *y)
{
    double ticks[SVG_TICKS_MAX];
    char text[64];
    size_t count = scale_ticks(y, 4, ticks);
    for (size_t i = 0; i < count; i++) {
        double at = scale_at(y, ticks[i]);
        int n = snprintf(text, sizeof text, "%g", ticks[i]);
        svg_line(s, x->from, at, x->to, at, "grid");
        svg_text(s, 20, at + 4, NULL, (Slice){text, (size_t)n});
    }
    count = scale_time_ticks(x, 8, ticks);
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(text, sizeof text, "%g s", ticks[i]);
        svg_text(s, scale_at(x, ticks[i]) - 10, y->from + 16, NULL, (Slice){text, (size_t)n});
    }
}

// Where the load is another, and where measuring begins.
static void draw_marks(Svg *s, const System *sys, const SimResult *r, const Scale *x, double top,
                       double bottom)
{
    for (uint32_t c = 0; c < sys->client_count; c++) {
        for (uint32_t i = 0; i < sys->clients[c].spike_count; i++) {
            const SystemSpike *spike = &sys->clients[c].spikes[i];
            double from = scale_at(x, (double)spike->at_ns / NS_PER_SECOND);
            double to = scale_at(x, (double)(spike->at_ns + spike->for_ns) / NS_PER_SECOND);
            if (from < x->to) {
                svg_rect(s, from, top, fmin(to, x->to) - from, bottom - top, "spike");
            }
        }
    }
    double warm = scale_at(x, (double)r->warmup_ns / NS_PER_SECOND);
    svg_line(s, warm, top, warm, bottom, "warm");
}

static void draw_panel(Svg *s, const Panel *p, const System *sys, const SimResult *r, double top)
{
    Scale x = scale_linear(0, (double)r->horizon_ns / NS_PER_SECOND, LEFT, WIDTH - RIGHT);
    Scale y = scale_linear(0, highest(p, sys, r) * 1.05, top + PANEL, top);
    svg_text(s, LEFT, top - 12, "head", slice_from_cstr(p->head));
    draw_marks(s, sys, r, &x, top, top + PANEL);
    draw_axes(s, &x, &y);
    uint32_t shown = 0;
    for (uint32_t line = 0; line < p->lines && shown < TONES; line++) {
        Buf path = buf_create(1 << 20);
        bool pen = false, any = p->clients;
        for (uint32_t w = 0; w < windows_of(r); w++) {
            double value = p->value(sys, r, line, w);
            double at_s = ((double)w + 0.5) * (double)r->window_ns / NS_PER_SECOND;
            any = any || value > 0;
            svg_path_point(&path, scale_at(&x, at_s), isnan(value) ? NAN : scale_at(&y, value),
                           &pen);
        }
        if (any) {
            char tone[8];
            (void)snprintf(tone, sizeof tone, "t%u", shown % TONES);
            svg_path(s, &path, tone);
            double label = top + 14 + 18 * shown;
            svg_open(s, "g");
            svg_attr_cstr(s, "class", tone);
            svg_line(s, WIDTH - RIGHT + 10, label - 4, WIDTH - RIGHT + 40, label - 4, tone);
            svg_close(s);
            svg_text(s, WIDTH - RIGHT + 46, label, NULL,
                     p->clients ? sys->clients[line].name : sys->agents[line].name);
            shown++;
        }
        buf_done(&path);
    }
}

void simulate_plot(const System *sys, const SimResult *result, Buf *out)
{
    const Panel panels[] = {
        {"good answers, share of what was offered", goodput, sys->client_count, true, true},
        {"mean latency of good and late answers, s", latency, sys->client_count, true, false},
        {"requests that wait", waiting, sys->agent_count, false, false},
    };
    Svg s = svg_begin(out, WIDTH, TOP + COUNT_OF(panels) * (PANEL + GAP));
    svg_open(&s, "style");
    svg_content(&s, slice_from_cstr(STYLE));
    svg_close(&s);
    for (size_t i = 0; i < COUNT_OF(panels); i++) {
        draw_panel(&s, &panels[i], sys, result, TOP + (double)i * (PANEL + GAP));
    }
    svg_end(&s);
}
