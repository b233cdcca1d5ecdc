#include "bench/ab_write.h"

#include <math.h>

#include "base/units.h"
#include "bench/ab_impl.h"

static void write_comparison(JsonWriter *w, const char *key, const AbComparison *c)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    json_field_int(w, "pairs", (int64_t)c->pairs);
    json_field_double(w, "ratio", c->ratio);
    json_field_double(w, "low", c->interval.low);
    json_field_double(w, "high", c->interval.high); // null: not bounded
    json_field_double(w, "confidence", c->interval.confidence);
    json_field_double(w, "log_sd", c->log_sd);
    json_object_end(w);
}

void ab_result_write(const AbOptions *options, const AbResult *r, const AbNames *names,
                     JsonWriter *w)
{
    AbOptions o = ab_defaults(options);
    json_field_cstr(w, "outcome", AB_OUTCOME_NAMES[r->outcome]);
    json_field_cstr(w, "reason", r->reason);
    json_field_cstr(w, "metric", names->metrics[o.primary]);
    json_field_double(w, "speedup", ab_speedup(r->primary.ratio, o.more_is_better));
    write_comparison(w, "effect", &r->primary);
    write_comparison(w, "control", &r->control);
    json_key(w, SLICE("metrics"));
    json_object_begin(w);
    for (size_t i = 0; i < o.metrics; i++) {
        json_key(w, slice_from_cstr(names->metrics[i]));
        json_object_begin(w);
        write_comparison(w, "effect", &r->metrics[i]);
        write_comparison(w, "control", &r->controls[i]);
        json_object_end(w);
    }
    json_object_end(w);
    json_field_double(w, "alpha", o.alpha);
    json_field_double(w, "min_effect", o.min_effect);
    json_field_double(w, "margin", o.margin);
    json_field_double(w, "threshold", r->threshold);
    json_field_int(w, "looks", (int64_t)r->looks);
    json_field_double(w, "look_alpha", r->look_alpha);
    json_field_int(w, "more_pairs", (int64_t)r->more_pairs);
    json_field_int(w, "failures", (int64_t)r->failures);
    json_field_int(w, "timeouts", (int64_t)r->timeouts);
    json_field_double(w, "elapsed_s", (double)r->elapsed_ns / (double)NS_PER_SECOND);
}

void ab_samples_write(const AbResult *r, const AbNames *names, size_t metrics, JsonWriter *w)
{
    static const char *const ENDS[] = {"measured", "failed", "timed-out"};
    json_array_begin(w);
    for (size_t i = 0; i < r->sample_count; i++) {
        const AbSample *s = &r->samples[i];
        json_object_begin(w);
        json_field_cstr(w, "arm", AB_ARM_NAMES[s->ask.arm]);
        json_field_int(w, "round", (int64_t)s->ask.round);
        json_field_int(w, "place", (int64_t)s->ask.place);
        json_field_bool(w, "warmup", s->ask.warmup);
        json_field_cstr(w, "end", ENDS[s->end]);
        json_field_bool(w, "dropped", s->dropped);
        json_field_double(w, "start_s", (double)s->start_ns / (double)NS_PER_SECOND);
        for (size_t k = 0; k < metrics; k++) {
            json_field_double(w, names->metrics[k], s->values[k]);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void describe_interval(const AbOptions *o, const AbComparison *c, bool slower, Buf *out)
{
    Interval i = ab_speedup_interval(c->interval, o->more_is_better);
    if (slower) {
        i = (Interval){1 / i.high, 1 / i.low, i.confidence};
    }
    // Of the whole procedure: looks are taken at shares of alpha.
    buf_printf(out, " (%g %% interval %.3g to %.3g, %zu pairs)", 100 * (1 - o->alpha), i.low,
               i.high, c->pairs);
}

void ab_describe(const AbOptions *options, const AbResult *r, const char *base,
                 const char *candidate, Buf *out)
{
    AbOptions o = ab_defaults(options);
    double speedup = ab_speedup(r->primary.ratio, o.more_is_better);
    switch (r->outcome) {
    case AB_FASTER:
    case AB_FASTER_SMALL:
        buf_printf(out, "%s is %.3g times as fast as %s", candidate, speedup, base);
        describe_interval(&o, &r->primary, false, out);
        break;
    case AB_SLOWER:
        buf_printf(out, "%s is %.3g times as slow as %s", candidate, 1 / speedup, base);
        describe_interval(&o, &r->primary, true, out);
        break;
    case AB_SAME:
        buf_printf(out, "%s and %s are the same within %g %%", candidate, base, 100 * o.margin);
        describe_interval(&o, &r->primary, false, out);
        break;
    case AB_UNDECIDED:
        buf_printf(out, "undecided: %s", r->reason);
        if (r->more_pairs > 0) {
            buf_printf(out, "; about %zu more pairs would decide", r->more_pairs);
        }
        break;
    case AB_CANNOT_TELL: buf_printf(out, "cannot tell here: %s", r->reason); break;
    case AB_ARM_FAILED: buf_printf(out, "not measured: %s", r->reason); break;
    case AB_OUTCOMES: break;
    }
}
