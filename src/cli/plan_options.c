#include "cli/plan_options.h"

static const Slice *texts_of(App *app, const OptionSet *set, const char *option, size_t *ret_count)
{
    size_t count = 0;
    for (const OptionValue *v = option_values(set, option); v; v = v->next) {
        count++;
    }
    Slice *texts = ARENA_ARRAY(app->arena, Slice, count + 1);
    *ret_count = 0;
    for (const OptionValue *v = option_values(set, option); v; v = v->next) {
        texts[(*ret_count)++] = v->text;
    }
    return texts;
}

static PlanFlags flags_of(App *app, const OptionSet *set)
{
    PlanFlags f = {
        .url = option_string(set, "url"),
        .method = option_string(set, "method"),
        .body = option_string(set, "body"),
        .body_file = option_string(set, "body-file"),
        .vus = option_int(set, "vus"),
        .iterations = option_int(set, "iterations"),
        .duration_ns = option_int(set, "duration"),
        .stages = option_string(set, "stages"),
        .rate = option_string(set, "rate"),
        .arrivals = option_string(set, "arrivals"),
        .pre_allocated_vus = option_int(set, "pre-allocated-vus"),
        .max_vus = option_int(set, "max-vus"),
        .has_seed = option_given(set, "seed"),
        .seed = option_int(set, "seed"),
        .environment = option_string(set, "environment"),
        .base_url = option_string(set, "base-url"),
        .no_connection_reuse = option_flag(set, "no-connection-reuse"),
    };
    f.headers = texts_of(app, set, "header", &f.header_count);
    f.variables = texts_of(app, set, "env", &f.variable_count);
    f.thresholds = texts_of(app, set, "threshold", &f.threshold_count);
    f.tags = texts_of(app, set, "tag", &f.tag_count);
    return f;
}

static bool env_value(void *ctx, Slice name, Slice *ret_value)
{
    const App *app = ctx;
    const char *value = getenv(arena_cstr(app->arena, name));
    if (!value) {
        return false;
    }
    *ret_value = slice_from_cstr(value);
    return true;
}

static void say_mistakes(App *app, const PlanMistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        const PlanMistake *m = &mistakes->items[i];
        if (m->warning) {
            app_warn(app, "%.*s", SLICE_FMT(m->text));
        } else if (i > 0 || mistakes->errors > 1) { // a single one is the error that main prints
            app_say(app, "%.*s", SLICE_FMT(m->text));
        }
    }
    if (mistakes->left_out > 0) {
        app_say(app, "... and %zu more", mistakes->left_out);
    }
}

// How to talk to the target is the environment's business; without one there is one that declares
// no host, so that the guard rails see the target as they would without it.
static const Plan *with_transport(App *app, const OptionSet *set, const Plan *plan)
{
    bool h2c = option_flag(set, "http2-prior-knowledge");
    bool insecure = option_flag(set, "insecure-skip-tls-verify");
    if (!h2c && !insecure) {
        return plan;
    }
    PlanEnvironment *environment = ARENA_NEW(app->arena, PlanEnvironment);
    *environment = plan->environment
                       ? *plan->environment
                       : (PlanEnvironment){.name = SLICE(PLAN_FLAGS_SOURCE),
                                           .kind = ENVIRONMENT_TEST,
                                           .http2 = true,
                                           .data_isolated = slice_eq_cstr(
                                               option_string(set, "data"), "isolated")};
    environment->http2_prior_knowledge |= h2c;
    environment->tls.insecure_skip_verify |= insecure;
    Plan *changed = ARENA_NEW(app->arena, Plan);
    *changed = *plan;
    changed->environment = environment;
    // The one list the guard rails read beside the chosen one.
    PlanEnvironment *all = ARENA_ARRAY(app->arena, PlanEnvironment, plan->environment_count + 1);
    for (size_t i = 0; i < plan->environment_count; i++) {
        all[i] = plan->environments[i];
        if (&plan->environments[i] == plan->environment) {
            all[i] = *environment;
            changed->environment = &all[i];
        }
    }
    changed->environments = all;
    if (changed->environment == environment) {
        all[changed->environment_count] = *environment;
        changed->environment = &all[changed->environment_count++];
    }
    return changed;
}

int plan_options_read(App *app, const OptionSet *set, const Plan **ret_plan, Err *e)
{
    Slice file = option_positional(set, 0);
    PlanFlags flags = flags_of(app, set);
    if (file.len == 0 && flags.url.len == 0) {
        return err_set(e, ERR_ARG, "a plan or --url is needed");
    }
    PlanMistakes *mistakes = ARENA_NEW(app->arena, PlanMistakes);
    PlanOptions options = {.env = env_value, .env_ctx = app};
    const Plan *plan = NULL;
    int rc =
        plan_load(app->arena, file.len > 0 ? file.ptr : NULL, &flags, &options, &plan, mistakes, e);
    say_mistakes(app, mistakes);
    if (rc == 0) {
        *ret_plan = with_transport(app, set, plan);
    }
    return rc;
}
