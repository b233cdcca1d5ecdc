#include "script/engine.h"

// The engine asks about limits in loops of the script, not in loops of its own C code. Nearly all
// of those are bounded by the heap, because what they walk over exists. The exception are the
// methods of Array.prototype: they believe the `length` of whatever they are called on, and
//
//     Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 0)
//
// would hold up the thread for years. Each of them gets a guard in front that looks at the length.
// Arrays as long as the limit take 160 MB, so ordinary programs do not meet it.

enum { WALK_MAX = 10000000 };

static JSValue guarded(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv,
                       int magic, JSValue *data)
{
    (void)magic;
    if (JS_IsObject(this_value)) {
        double length = 0;
        JSValue value = JS_GetPropertyStr(ctx, this_value, "length");
        if (JS_IsException(value) || JS_ToFloat64(ctx, &length, value) < 0) {
            JS_FreeValue(ctx, value);
            return JS_EXCEPTION;
        }
        JS_FreeValue(ctx, value);
        if (length > WALK_MAX) {
            return JS_ThrowRangeError(ctx, "length %.0f is more than an array method may walk (%d)",
                                      length, WALK_MAX);
        }
    }
    return JS_Call(ctx, data[0], this_value, argc, argv);
}

static int guard_one(JSContext *ctx, JSValue prototype, const char *name)
{
    JSValue original = JS_GetPropertyStr(ctx, prototype, name);
    if (!JS_IsFunction(ctx, original)) {
        JS_FreeValue(ctx, original);
        return 0; // this version of the engine does not have it
    }
    JSValueConst data[] = {original};
    JSValue guard = JS_NewCFunctionData(ctx, guarded, 1, 0, 1, data);
    JS_FreeValue(ctx, original);
    if (JS_IsException(guard) ||
        JS_DefinePropertyValueStr(ctx, guard, "name", JS_NewString(ctx, name),
                                  JS_PROP_CONFIGURABLE) < 0) {
        JS_FreeValue(ctx, guard);
        return -1;
    }
    return JS_DefinePropertyValueStr(ctx, prototype, name, guard,
                                     JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE) < 0
               ? -1
               : 0;
}

int script_guard_arrays(Script *s)
{
    static const char *const names[] = {
        "concat",      "copyWithin",     "every",         "fill",        "filter",    "find",
        "findIndex",   "findLast",       "findLastIndex", "flat",        "flatMap",   "forEach",
        "includes",    "indexOf",        "join",          "lastIndexOf", "map",       "reduce",
        "reduceRight", "reverse",        "shift",         "slice",       "some",      "sort",
        "splice",      "toLocaleString", "toReversed",    "toSorted",    "toSpliced", "toString",
        "unshift",     "with",
    };
    JSContext *ctx = s->ctx;
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue array = JS_GetPropertyStr(ctx, global, "Array");
    JSValue prototype = JS_GetPropertyStr(ctx, array, "prototype");
    int rc = JS_IsObject(prototype) ? 0 : -1;
    for (size_t i = 0; i < COUNT_OF(names) && rc == 0; i++) {
        rc = guard_one(ctx, prototype, names[i]);
    }
    JS_FreeValue(ctx, prototype);
    JS_FreeValue(ctx, array);
    JS_FreeValue(ctx, global);
    return rc;
}
