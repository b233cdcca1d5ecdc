#include "policy/batch.h"

bool batch_before(BatchState *s, const ParamValue *p, uint64_t bytes)
{
    uint64_t most = (uint64_t)p[P_BATCH_MAX_BYTES].integer;
    // One larger than the ceiling goes alone, so it does not push what is there past it either.
    if (most == 0 || s->items == 0 || (s->bytes <= most && bytes <= most - s->bytes)) {
        return false;
    }
    (void)batch_flush(s);
    return true;
}

bool batch_is_full(const BatchState *s, const ParamValue *p)
{
    uint64_t most = (uint64_t)p[P_BATCH_MAX_BYTES].integer;
    return s->items >= p[P_BATCH_MAX_ITEMS].integer || (most > 0 && s->bytes >= most);
}

bool batch_add(BatchState *s, const ParamValue *p, uint64_t bytes, int64_t now_ns)
{
    if (s->items == 0) {
        s->first_ns = now_ns;
    }
    s->items++;
    s->bytes += bytes;
    if (!batch_is_full(s, p)) {
        return false;
    }
    (void)batch_flush(s);
    return true;
}

void batch_remove(BatchState *s, uint64_t bytes)
{
    s->items--;
    s->bytes -= bytes;
}

int64_t batch_due(const BatchState *s, const ParamValue *p)
{
    return s->items == 0 ? INT64_MAX : s->first_ns + p[P_BATCH_TIMEOUT].integer;
}

uint32_t batch_flush(BatchState *s)
{
    uint32_t items = s->items;
    *s = (BatchState){0};
    return items;
}
