// The options that say what to load and how hard, for every verb that takes a plan.
#ifndef CLI_PLAN_OPTIONS_H
#define CLI_PLAN_OPTIONS_H

#include "cli/app.h"
#include "load/plan_flags.h"

#define PLAN_OPTION(long_name, letter, what, meta, words)                                          \
    {                                                                                              \
        .name = long_name, .short_name = letter, .kind = what, .metavar = meta, .section = "Load", \
        .help = words                                                                              \
    }
#define PLAN_OPTION_LIST(long_name, letter, meta, words)                                           \
    {                                                                                              \
        .name = long_name, .short_name = letter, .kind = OPTION_STRING, .metavar = meta,           \
        .repeat = true, .section = "Load", .help = words                                           \
    }

#define PLAN_OPTIONS                                                                               \
    PLAN_OPTION("url", 0, OPTION_STRING, "URL", "Load this URL; no plan is needed."),              \
        PLAN_OPTION("method", 'X', OPTION_STRING, "METHOD",                                        \
                    "Of --url; POST where there is a "                                             \
                    "body, else GET."),                                                            \
        PLAN_OPTION_LIST("header", 'H', "NAME:VALUE", "Of --url."),                                \
        PLAN_OPTION("body", 0, OPTION_STRING, "TEXT", "Of --url."),                                \
        PLAN_OPTION("body-file", 0, OPTION_STRING, "FILE", "Of --url."),                           \
        PLAN_OPTION("vus", 'u', OPTION_COUNT, NULL, "Virtual users: a closed model."),             \
        {.name = "duration",                                                                       \
         .short_name = 'd',                                                                        \
         .kind = OPTION_DURATION,                                                                  \
         .section = "Load",                                                                        \
         .help = "How long, such as 30s."},                                                        \
        PLAN_OPTION("iterations", 'i', OPTION_COUNT, NULL, "How many in all, shared by the VUs."), \
        PLAN_OPTION("stages", 's', OPTION_STRING, "LIST",                                          \
                    "Ramps as DURATION:VUS, such as 5m:100,10m:500."),                             \
        PLAN_OPTION("rate", 0, OPTION_STRING, "RATE",                                              \
                    "Iterations started, such as 2000/s: an open model."),                         \
        PLAN_OPTION("arrivals", 0, OPTION_STRING, "KIND", "Of --rate: even or poisson."),          \
        PLAN_OPTION("pre-allocated-vus", 0, OPTION_COUNT, NULL, "Of --rate: VUs made at first."),  \
        PLAN_OPTION("max-vus", 0, OPTION_COUNT, NULL, "Of --rate: VUs at most."),                  \
        PLAN_OPTION("seed", 0, OPTION_INT, NULL, "Of all that is random in the plan."),            \
        PLAN_OPTION("environment", 0, OPTION_STRING, "NAME", "One of the plan's environments."),   \
        PLAN_OPTION("base-url", 0, OPTION_STRING, "URL", "Instead of the environment's baseUrl."), \
        {.name = "data",                                                                           \
         .kind = OPTION_CHOICE,                                                                    \
         .choices = (const char *const[]){"isolated", "shared", NULL},                             \
         .section = "Load",                                                                        \
         .help = "isolated: the target of --url has data of its own for tests, so methods that "   \
                 "write are allowed."},                                                            \
        PLAN_OPTION_LIST("env", 'e', "NAME=VALUE", "A variable of the plan."),                     \
        PLAN_OPTION_LIST("threshold", 0, "METRIC=TEST", "Such as 'http_req_duration=p(95)<500'."), \
        PLAN_OPTION_LIST("tag", 0, "KEY=VALUE", "On every series."),                               \
        {.name = "no-connection-reuse",                                                            \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Load",                                                                        \
         .help = "A new connection for every request."},                                           \
        {.name = "http2-prior-knowledge",                                                          \
         .kind = OPTION_FLAG,                                                                      \
         .section = "Load",                                                                        \
         .help = "Speak HTTP/2 to http:// targets from the first byte."},                          \
    {                                                                                              \
        .name = "insecure-skip-tls-verify", .kind = OPTION_FLAG, .section = "Load",                \
        .help = "Do not check certificates."                                                       \
    }

// Reads the plan that the first positional and the options make, says its mistakes and warnings,
// and returns it.
MUST_USE int plan_options_read(App *app, const OptionSet *set, const Plan **ret_plan, Err *e);

#endif
