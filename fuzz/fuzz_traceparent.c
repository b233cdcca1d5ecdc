// traceparent fields. What is accepted is written again as the same ids, and that is accepted too.
#include <stdint.h>

#include "telemetry/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice text = {(const char *)data, size};
    TraceContext first, second;
    if (traceparent_parse(text, &first) == 0) {
        char again[TRACEPARENT_BYTES + 1];
        traceparent_format(&first, again);
        // All but version and flags, which are ours.
        if (memcmp(again + 2, text.ptr + 2, TRACEPARENT_BYTES - 4) != 0 ||
            traceparent_parse(slice_from_cstr(again), &second) != 0 ||
            second.sampled != first.sampled || second.span_id != first.span_id) {
            abort();
        }
    }
    int64_t wait_ns = otlp_retry_after_ns(text, 0);
    if (wait_ns < -1 || wait_ns > 3600 * NS_PER_S) {
        abort();
    }
    return 0;
}
