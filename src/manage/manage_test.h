// What the tests of this room share.
#ifndef MANAGE_MANAGE_TEST_H
#define MANAGE_MANAGE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/system.h"

// A client of A, A of B, B of C and D in parallel; others call B, too. Small and quick.
#define PIPELINE_TEXT                                                                              \
    "version = 1\n"                                                                                \
    "name = \"small\"\n"                                                                           \
    "[[agents.a.calls]]\n"                                                                         \
    "to = [\"b\"]\n"                                                                               \
    "[[agents.b.calls]]\n"                                                                         \
    "to = [\"c\", \"d\"]\n"                                                                        \
    "join = \"all\"\n"                                                                             \
    "[agents.c]\n"                                                                                 \
    "service = {dist = \"lognormal\", mean = \"150ms\", sigma = 0.4}\n"                            \
    "[agents.d]\n"                                                                                 \
    "servers = 18\n"                                                                               \
    "service = {dist = \"lognormal\", mean = \"900ms\", sigma = 0.25}\n"                           \
    "range = {\"servers\" = [18, 72]}\n"                                                           \
    "[[edges]]\n"                                                                                  \
    "from = \"a\"\n"                                                                               \
    "to = \"b\"\n"                                                                                 \
    "policy = {timeout = {attempt = \"1s\"}, retry = {attempts = 4}}\n"                            \
    "range = {\"retry.attempts\" = [1, 4], \"timeout.attempt\" = [\"200ms\", \"30s\"]}\n"          \
    "[[edges]]\n"                                                                                  \
    "from = \"b\"\n"                                                                               \
    "to = \"c\"\n"                                                                                 \
    "range = {\"retry.attempts\" = [1, 4]}\n"                                                      \
    "[clients.tasks]\n"                                                                            \
    "to = \"a\"\n"                                                                                 \
    "rate = 10.0\n"                                                                                \
    "[clients.builds]\n"                                                                           \
    "to = \"b\"\n"                                                                                 \
    "rate = 4.0\n"                                                                                 \
    "[objectives.tasks]\n"                                                                         \
    "within = \"8s\"\n"                                                                            \
    "goodput = 0.99\n"                                                                             \
    "p99 = \"4s\"\n"                                                                               \
    "window = \"10s\"\n"                                                                           \
    "[objectives.builds]\n"                                                                        \
    "within = \"8s\"\n"                                                                            \
    "goodput = 0.99\n"

static inline System *system_of(Arena *arena, const char *text)
{
    System *sys = NULL;
    Err e = {0};
    if (system_parse(arena, slice_from_cstr(text), "test", &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return sys;
}

static inline SystemChange change_of(const System *sys, const char *text)
{
    SystemChange change = {0};
    Err e = {0};
    if (system_parse_change(sys, slice_from_cstr(text), &change, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return change;
}

#endif
