// Subjects and patterns, a line each. Properties: no crash; what may be published may be subscribed
// to and matches itself, "*" for any token and ">" for any rest; the matcher agrees with a slower
// one that splits first.
#include <assert.h>

#include "bus/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOKENS_MAX = BUS_SUBJECT_MAX / 2 + 1 }; // none is empty

static size_t split(Slice text, Slice tokens[TOKENS_MAX])
{
    size_t count = 0;
    for (bool more = true; more;) {
        assert(count < TOKENS_MAX);
        more = slice_cut(text, '.', &tokens[count++], &text);
    }
    return count;
}

static bool matches_slowly(Slice pattern, Slice subject)
{
    Slice want[TOKENS_MAX], have[TOKENS_MAX];
    size_t wants = split(pattern, want), haves = split(subject, have);
    bool rest = slice_eq(want[wants - 1], SLICE(">"));
    if (rest ? haves < wants : haves != wants) {
        return false;
    }
    for (size_t i = 0; i < wants - rest; i++) {
        if (!slice_eq(want[i], SLICE("*")) && !slice_eq(want[i], have[i])) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice pattern, subject;
    (void)slice_cut((Slice){(const char *)data, size}, '\n', &pattern, &subject);
    bool good_subject = bus_check_subject(subject, false, NULL) == 0;
    bool good_pattern = bus_check_subject(pattern, true, NULL) == 0;
    if (good_subject) {
        assert(bus_check_subject(subject, true, NULL) == 0);
        assert(bus_matches(subject, subject));
        assert(bus_matches(SLICE(">"), subject));
    }
    if (good_subject && good_pattern) {
        assert(bus_matches(pattern, subject) == matches_slowly(pattern, subject));
    }
    return 0;
}
