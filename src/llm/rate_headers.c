#include "llm/rate_headers.h"

#include "base/units.h"
#include "os/clock.h"

// Longer is either a daily quota, which is not waited for, or a server's mistake.
#define WAIT_MAX_NS (60 * NS_PER_SECOND)

void llm_rate_init(LlmRateHeaders *rate)
{
    *rate = (LlmRateHeaders){.remaining = {-1, -1}};
}

static void take_remaining(LlmRateHeaders *rate, int which, Slice value)
{
    int64_t n;
    // The scarcest of several kinds of tokens counts.
    if (slice_to_i64(value, &n) == 0 && n >= 0 &&
        (rate->remaining[which] < 0 || n < rate->remaining[which])) {
        rate->remaining[which] = n;
    }
}

static void take_reset(LlmRateHeaders *rate, int which, Slice value, int64_t wall_ns)
{
    int64_t ns, at;
    if (clock_parse_rfc3339(value, &at, NULL) == 0) {
        ns = at > wall_ns ? at - wall_ns : 0;
    } else if (duration_parse(value, NS_PER_SECOND, &ns, NULL) != 0) {
        return;
    }
    rate->reset_ns[which] = ns > rate->reset_ns[which] ? ns : rate->reset_ns[which];
}

void llm_rate_header(LlmRateHeaders *rate, Slice lower_name, Slice value, int64_t wall_ns)
{
    static const struct {
        const char *name;
        int which;
        bool reset;
    } NAMES[] = {
        {"x-ratelimit-remaining-requests", 0, false},
        {"x-ratelimit-reset-requests", 0, true},
        {"x-ratelimit-remaining-tokens", 1, false},
        {"x-ratelimit-reset-tokens", 1, true},
        {"anthropic-ratelimit-requests-remaining", 0, false},
        {"anthropic-ratelimit-requests-reset", 0, true},
        {"anthropic-ratelimit-tokens-remaining", 1, false},
        {"anthropic-ratelimit-tokens-reset", 1, true},
        {"anthropic-ratelimit-input-tokens-remaining", 1, false},
        {"anthropic-ratelimit-input-tokens-reset", 1, true},
        {"anthropic-ratelimit-output-tokens-remaining", 1, false},
        {"anthropic-ratelimit-output-tokens-reset", 1, true},
    };
    for (size_t i = 0; value.len > 0 && i < COUNT_OF(NAMES); i++) {
        if (!slice_eq_cstr(lower_name, NAMES[i].name)) {
            continue;
        }
        if (NAMES[i].reset) {
            take_reset(rate, NAMES[i].which, value, wall_ns);
        } else {
            take_remaining(rate, NAMES[i].which, value);
        }
        return;
    }
}

int64_t llm_rate_wait(const LlmRateHeaders *rate)
{
    int64_t wait = 0;
    for (int i = 0; i < 2; i++) {
        if (rate->remaining[i] == 0 && rate->reset_ns[i] > wait) {
            wait = rate->reset_ns[i];
        }
    }
    return wait < WAIT_MAX_NS ? wait : WAIT_MAX_NS;
}
