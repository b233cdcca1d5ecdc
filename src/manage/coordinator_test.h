// What the tests of the coordinator share.
#ifndef MANAGE_COORDINATOR_TEST_H
#define MANAGE_COORDINATOR_TEST_H

#include "manage/manage_test.h"

// The code-generation pipeline of examples/, small: a third of the rates and servers, so that a
// test is quick. As it stands it collapses: the typical answer of D takes 0.9 s, everybody gives up
// after 1 s and asks again, and nobody tells D.
static const char COLLAPSING[] UNUSED =
    "version = 1\n"
    "name = \"pipeline\"\n"
    "[[agents.a.calls]]\n"
    "to = [\"b\"]\n"
    "[[agents.b.calls]]\n"
    "to = [\"c\", \"d\"]\n"
    "join = \"all\"\n"
    "[agents.c.service]\n"
    "dist = \"mixture\"\n"
    "parts = [{weight = 0.92, dist = \"lognormal\", mean = \"150ms\", sigma = 0.4},\n"
    "  {weight = 0.08, dist = \"pareto\", alpha = 1.5, min = \"2s\", cap = \"60s\"}]\n"
    "[agents.d]\n"
    "servers = 7\n"
    "service = {dist = \"lognormal\", mean = \"900ms\", sigma = 0.25}\n"
    "[[edges]]\n"
    "from = \"a\"\n"
    "to = \"b\"\n"
    "policy = {timeout = {attempt = \"1s\"}, retry = {attempts = 4, backoff = \"0s\", budget = "
    "0.0}, "
    "cancel = {propagate = false}}\n"
    "range = {\"timeout.attempt\" = [\"200ms\", \"30s\"], \"retry.attempts\" = [1, 4], "
    "\"cancel.propagate\" = [0, 1]}\n"
    "[[edges]]\n"
    "from = \"b\"\n"
    "to = \"c\"\n"
    "policy = {retry = {backoff = \"0s\", budget = 0.0}, cancel = {propagate = false}}\n"
    "range = {\"timeout.attempt\" = [\"100ms\", \"30s\"], \"retry.attempts\" = [1, 4], "
    "\"cancel.propagate\" = [0, 1]}\n"
    "[[edges]]\n"
    "from = \"b\"\n"
    "to = \"d\"\n"
    "policy = {retry = {backoff = \"0s\", budget = 0.0}, cancel = {propagate = false}}\n"
    "range = {\"timeout.attempt\" = [\"500ms\", \"30s\"], \"retry.attempts\" = [1, 4], "
    "\"cancel.propagate\" = [0, 1]}\n"
    "[[edges]]\n"
    "from = \"builds\"\n"
    "to = \"b\"\n"
    "policy = {timeout = {attempt = \"1s\"}, retry = {attempts = 4, backoff = \"0s\", budget = "
    "0.0}, "
    "cancel = {propagate = false}}\n"
    "range = {\"timeout.attempt\" = [\"200ms\", \"30s\"], \"retry.attempts\" = [1, 4], "
    "\"cancel.propagate\" = [0, 1]}\n"
    "[clients.tasks]\n"
    "to = \"a\"\n"
    "rate = 4.0\n"
    "[clients.builds]\n"
    "to = \"b\"\n"
    "rate = 1.5\n"
    "[objectives.tasks]\n"
    "within = \"8s\"\n"
    "goodput = 0.97\n"
    "window = \"10s\"\n"
    "[objectives.builds]\n"
    "within = \"8s\"\n"
    "goodput = 0.97\n"
    "window = \"10s\"\n";

static inline bool same_policies(const System *a, const System *b)
{
    for (uint32_t i = 0; i < a->edge_count; i++) {
        for (uint16_t p = 0; p < POLICY_PARAM_COUNT; p++) {
            SystemParam what = {PLACE_EDGE, i, p};
            if (system_number(p, system_get(a, what)) != system_number(p, system_get(b, what))) {
                return false;
            }
        }
    }
    return true;
}

#endif
