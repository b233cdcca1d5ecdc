// Histogram bytes: whatever decodes must encode to the same bytes, and answer every question
// consistently. Decoding is the only thing that sees bytes from other machines and old ledgers.
#include <math.h>

#include "stat/hist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz_hist: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice bytes = {(const char *)data, size};
    Hist h;
    hist_init(&h);
    if (hist_decode(&h, bytes, NULL) != 0) {
        require(hist_count_all(&h) == 0, "a refused decoding left values behind");
        hist_done(&h);
        return 0;
    }
    Buf again = buf_create(HIST_ENCODED_MAX);
    hist_encode(&h, &again);
    require(slice_eq(bytes, buf_slice(&again)), "the encoding is not canonical");
    uint64_t count = 0;
    HistBucket b;
    for (HistIter it = hist_iter(&h); hist_next(&it, &b);) {
        count += b.count;
    }
    require(count == h.count, "bucket counts do not add up");
    if (h.count > 0) {
        double p50 = hist_quantile(&h, 0.5);
        double p99 = hist_quantile(&h, 0.99);
        require((double)h.min <= p50 && p50 <= p99 && p99 <= (double)h.max, "quantile order");
        require(hist_count_above(&h, h.max) == 0, "values above the maximum");
        // The mean is one division of exact integers; the margin is the rounding of the double.
        double slack = 1e-12 * fmax(fabs((double)h.min), fabs((double)h.max));
        require(hist_mean(&h) >= (double)h.min - slack, "mean under the minimum");
        require(hist_mean(&h) <= (double)h.max + slack, "mean over the maximum");
    }
    hist_merge(&h, &h);
    require(h.count == 2 * count, "merge does not add");
    buf_done(&again);
    hist_done(&h);
    return 0;
}
