// What the tests of this room share.
#ifndef POLICY_POLICY_TEST_H
#define POLICY_POLICY_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "policy/params.h"

static inline ParamValue whole(int64_t x)
{
    return (ParamValue){.integer = x};
}
static inline ParamValue real(double x)
{
    return (ParamValue){.real = x};
}

#define MS NS_PER_MS
#define S  NS_PER_SECOND

#endif
