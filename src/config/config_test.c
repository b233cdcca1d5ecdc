#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "config/config.h"

typedef struct World {
    Arena *arena;
    char root[64];
    char deep[128]; // root/a/b
    char user[128];
} World;

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void world_open(World *w)
{
    char a[128];
    w->arena = arena_create(1 << 20);
    (void)snprintf(w->root, sizeof w->root, "/tmp/config-test-XXXXXX");
    assert_non_null(mkdtemp(w->root));
    (void)snprintf(a, sizeof a, "%s/a", w->root);
    (void)snprintf(w->deep, sizeof w->deep, "%s/a/b", w->root);
    (void)snprintf(w->user, sizeof w->user, "%s/config.toml", w->root);
    assert_int_equal(mkdir(a, 0755), 0);
    assert_int_equal(mkdir(w->deep, 0755), 0);
}

static const char *in(const World *w, const char *name)
{
    return arena_printf(w->arena, "%s/%s", w->root, name).ptr;
}

static void world_close(World *w)
{
    static const char *const names[] = {"a/b/" CONFIG_FILE_NAME, "a/" CONFIG_FILE_NAME,
                                        CONFIG_FILE_NAME, "config.toml"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        (void)unlink(in(w, names[i]));
    }
    (void)rmdir(w->deep);
    (void)rmdir(in(w, "a"));
    assert_int_equal(rmdir(w->root), 0);
    arena_destroy(w->arena);
}

static char *fake_env(const char *name)
{
    static char level[] = "debug", one[] = "1", empty[] = "";
    return strcmp(name, "PERFWRIGHT_LOG_LEVEL") == 0 ? level
           : strcmp(name, "NO_COLOR") == 0           ? one
           : strcmp(name, "PERFWRIGHT_LEDGER") == 0  ? empty
                                                     : NULL;
}

static void test_layers_and_origins(void **state)
{
    (void)state;
    World w;
    Err e = {0};
    Config *config;
    world_open(&w);
    put(w.user, "ledger = \"mine.db\"\ncolor = \"always\"\n[slo]\nlatency_p95 = \"1s\"\n");
    put(in(&w, "a/" CONFIG_FILE_NAME), "[slo]\nlatency_p95 = \"250ms\"\navailability = 0.999\n"
                                       "[log]\nlevel = \"error\"\nformat = \"json\"\n");
    put(in(&w, CONFIG_FILE_NAME), "[slo]\nlatency_p95 = \"9s\"\n"); // farther away: not read
    ConfigOptions options = {w.deep, w.user, fake_env};
    if (config_load(w.arena, &options, &config, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_string_equal(config_project_file(config).ptr, in(&w, "a/" CONFIG_FILE_NAME));
    const ConfigValue *v = config_get(config, CONFIG_SLO_LATENCY_P95);
    assert_int_equal(v->integer, 250 * NS_PER_MS);
    assert_int_equal(v->layer, CONFIG_PROJECT_FILE);
    assert_string_equal(v->origin.ptr, in(&w, "a/" CONFIG_FILE_NAME ":2"));
    assert_true(config_get(config, CONFIG_SLO_AVAILABILITY)->real == 0.999);
    v = config_get(config, CONFIG_LEDGER);
    assert_string_equal(v->text.ptr, in(&w, "mine.db"));
    assert_int_equal(v->layer, CONFIG_USER_FILE);
    v = config_get(config, CONFIG_LOG_LEVEL);
    assert_int_equal(v->integer, 0);
    assert_string_equal(v->origin.ptr, "PERFWRIGHT_LOG_LEVEL");
    assert_int_equal(config_get(config, CONFIG_LOG_FORMAT)->integer, 1);
    v = config_get(config, CONFIG_COLOR);
    assert_int_equal(v->integer, COLOR_NEVER);
    assert_string_equal(v->origin.ptr, "NO_COLOR");
    v = config_get(config, CONFIG_SLO_LATENCY_P99);
    assert_int_equal(v->layer, CONFIG_BUILT_IN);
    assert_int_equal(config_set(config, SLICE("color"), SLICE("always"), SLICE("--color"), &e), 0);
    assert_int_equal(config_get(config, CONFIG_COLOR)->integer, COLOR_ALWAYS);
    Buf out = buf_create(1 << 12);
    config_print(config, &out);
    assert_non_null(strstr(out.data, "color = always  # --color\n"));
    buf_done(&out);
    world_close(&w);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *toml, *words;
    } cases[] = {
        {"colour = \"never\"", ":1:1: unknown setting 'colour'; did you mean 'color'?"},
        {"[slo]\nlatency_p9 = \"1s\"", ":2:1: unknown setting 'slo.latency_p9'; did you mean"},
        {"[slo]\nlatency_p95 = 500", ":2:15: slo.latency_p95 must be a string"},
        {"[slo]\nlatency_p95 = \"500\"", ":2:15: slo.latency_p95:"},
        {"[slo]\navailability = 99.9", "'99.9' is not a number from 0 to 1"},
        {"[slo]\navailability = true", "must be a number"},
        {"color = \"red\"", "'red' is not auto, always or never"},
        {"slo = 3", "unknown setting 'slo'"},
        {"[guard]\nvus_max = 5000", "unknown setting 'guard.vus_max'"},
        {"ledger = \"a\\u0000b\"", "NUL"},
        {"ledger = ", ":1:"},
    };
    World w;
    world_open(&w);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Err e = {0};
        Config *config = NULL;
        put(w.user, cases[i].toml);
        ConfigOptions options = {.user_file = w.user};
        assert_int_equal(config_load(w.arena, &options, &config, &e), ERR_PARSE);
        if (!strstr(e.text, cases[i].words) || !strstr(e.text, w.user)) {
            fail_msg("case %zu: %s", i, e.text);
        }
    }
    world_close(&w);
}

static char *bad_env(const char *name)
{
    static char level[] = "loud";
    return strcmp(name, "PERFWRIGHT_LOG_LEVEL") == 0 ? level : NULL;
}

static void test_without_files(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Err e = {0};
    Config *config = NULL;
    ConfigOptions options = {.directory = "/", .user_file = "/nonexistent/config.toml"};
    assert_int_equal(config_load(arena, &options, &config, &e), 0);
    assert_int_equal(config_get(config, CONFIG_SLO_LATENCY_P95)->integer, 500 * NS_PER_MS);
    assert_int_equal(config_project_file(config).len, 0);
    assert_int_equal(config_set(config, SLICE("log.levl"), SLICE("info"), SLICE("--x"), &e),
                     ERR_ARG);
    assert_non_null(strstr(e.text, "log.level"));
    assert_int_equal(config_set(config, SLICE("log.level"), SLICE("x"), SLICE("--log-level"), &e),
                     ERR_ARG);
    assert_non_null(strstr(e.text, "--log-level: 'x'"));
    options.get_env = bad_env;
    assert_int_equal(config_load(arena, &options, &config, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "PERFWRIGHT_LOG_LEVEL: 'loud'"));
    arena_destroy(arena);
}

// Tables that say which keys are used and where they go are the user's alone.
static void test_trees_belong_to_the_user(void **state)
{
    (void)state;
    World w;
    Err e = {0};
    Config *config = NULL;
    world_open(&w);
    ConfigOptions options = {.directory = w.deep, .user_file = w.user};
    assert_int_equal(config_load(w.arena, &options, &config, &e), 0);
    assert_null(config_user_tree(config));
    put(w.user, "color = \"never\"\n[improve]\nengine = \"llm\"\n[llm.main]\nmodel = \"m\"\n");
    assert_int_equal(config_load(w.arena, &options, &config, &e), 0);
    assert_non_null(doc_get(config_user_tree(config), SLICE("improve")));
    put(in(&w, "a/" CONFIG_FILE_NAME), "[llm.main]\nbase_url = \"https://evil.example\"\n");
    assert_int_equal(config_load(w.arena, &options, &config, &e), ERR_PARSE);
    assert_non_null(strstr(e.text, "belongs into the user's own file"));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees_belong_to_the_user),
        cmocka_unit_test(test_layers_and_origins),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_without_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
