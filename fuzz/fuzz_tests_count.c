// Output of test runs (improve/tests_count.h): whatever was printed, counts that are no less than
// nothing, and the same of the same.
#include "base/err.h"
#include "improve/tests_count.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz tests_count: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice text = {(const char *)data, size};
    TestCount a = tests_count(text), b = tests_count(text);
    require(a.passed >= 0 && a.failed >= 0 && a.skipped >= 0, "a count below zero");
    require(a.framework == b.framework && a.passed == b.passed && a.failed == b.failed &&
                a.skipped == b.skipped,
            "counted otherwise the second time");
    require(a.framework || a.passed + a.failed + a.skipped == 0, "a count of no runner's");
    require(!tests_count_worse(&a, &b), "worse than itself");
    return 0;
}
