#include "agent/state.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/rng.h"

// ---- against a plain array

enum { MODEL_KEYS = 300, MODEL_HANDLES = 6, MODEL_STEPS = 30000 };

typedef struct Model {
    int64_t value[MODEL_KEYS]; // -1: not there
} Model;

static Slice key_of(unsigned i, char out[16])
{
    (void)snprintf(out, 16, "key-%u", i);
    return slice_from_cstr(out);
}

static void check_same(const State *s, const Model *m)
{
    size_t count = 0;
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        char text[16];
        assert_int_equal(state_get_int(s, key_of(i, text), -1), m->value[i]);
        count += m->value[i] >= 0;
    }
    assert_int_equal(state_count(s), count);
}

static void model_step(Rng *rng, State *states, Model *models)
{
    size_t a = rng_below(rng, MODEL_HANDLES);
    size_t b = rng_below(rng, MODEL_HANDLES);
    unsigned i = (unsigned)rng_below(rng, MODEL_KEYS);
    char text[16];
    Slice key = key_of(i, text);
    switch (rng_below(rng, 20)) {
    case 0: // clone
        if (a != b) {
            state_done(&states[a]);
            states[a] = state_clone(&states[b]);
            models[a] = models[b];
        }
        break;
    case 1:
        assert_int_equal(state_merge(&states[a], &states[b]), 0);
        for (unsigned k = 0; k < MODEL_KEYS; k++) {
            if (models[b].value[k] >= 0) {
                models[a].value[k] = models[b].value[k];
            }
        }
        break;
    case 2:
        assert_int_equal(state_replace(&states[a], &states[b]), 0);
        models[a] = models[b];
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        assert_int_equal(state_remove(&states[a], key), 0);
        models[a].value[i] = -1;
        break;
    default: {
        int64_t value = (int64_t)rng_below(rng, 1000);
        assert_int_equal(state_set_int(&states[a], key, value), 0);
        models[a].value[i] = value;
    }
    }
}

static void test_random_handles_behave_like_copies(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        Rng rng = rng_stream(seed, SLICE("state-model"), 0);
        State states[MODEL_HANDLES] = {0};
        Model models[MODEL_HANDLES];
        memset(models, 0xff, sizeof models);
        for (int step = 0; step < MODEL_STEPS; step++) {
            model_step(&rng, states, models);
            if (step % 100 == 0) {
                size_t any = rng_below(&rng, MODEL_HANDLES);
                check_same(&states[any], &models[any]);
            }
        }
        for (size_t h = 0; h < MODEL_HANDLES; h++) {
            check_same(&states[h], &models[h]);
            state_done(&states[h]);
        }
    }
}

// 32 bits of hash: the birthday bound makes a few of 150,000 keys collide, which the other tests
// never meet.
static void test_keys_of_one_hash(void **unused)
{
    (void)unused;
    enum { KEYS = 150000 };
    State s = state_create();
    char text[16];
    unsigned collisions = 0;
    uint32_t *seen = mem_zalloc(((size_t)1 << 32) / 8);
    for (unsigned i = 0; i < KEYS; i++) {
        Slice key = key_of(i, text);
        uint32_t hash = (uint32_t)slice_hash(key);
        collisions += (seen[hash / 32] >> hash % 32) & 1u;
        seen[hash / 32] |= 1u << hash % 32;
        assert_int_equal(state_set_int(&s, key, i), 0);
    }
    free(seen);
    assert_true(collisions > 0);
    State other = state_clone(&s);
    for (unsigned i = 0; i < KEYS; i += 2) {
        assert_int_equal(state_remove(&other, key_of(i, text)), 0);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(state_get_int(&s, key_of(i, text), -1), i);
        assert_int_equal(state_get_int(&other, key_of(i, text), -1), i % 2 ? (int64_t)i : -1);
    }
    assert_int_equal(state_merge(&other, &s), 0);
    assert_int_equal(state_count(&other), KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(state_remove(&s, key_of(i, text)), 0);
    }
    assert_int_equal(state_count(&s), 0);
    assert_null(s.root);
    state_done(&other);
    state_done(&s);
}

static void test_a_clone_shares_until_somebody_writes(void **unused)
{
    (void)unused;
    State s = state_create();
    char text[16];
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(state_set_int(&s, key_of(i, text), i), 0);
    }
    State clone = state_clone(&s);
    assert_true(state_shares(&s, &clone));
    assert_int_equal(state_set_int(&clone, SLICE("key-5"), -5), 0);
    assert_false(state_shares(&s, &clone));
    assert_int_equal(state_get_int(&s, SLICE("key-5"), 0), 5);
    assert_int_equal(state_get_int(&clone, SLICE("key-5"), 0), -5);
    state_done(&s); // what they shared stays with the clone
    assert_int_equal(state_get_int(&clone, SLICE("key-999"), 0), 999);
    state_done(&clone);
}

static void test_a_view_cannot_be_written(void **unused)
{
    (void)unused;
    State s = state_create();
    assert_int_equal(state_set_bool(&s, SLICE("a"), true), 0);
    State view = state_view(&s);
    assert_int_equal(state_set_int(&view, SLICE("a"), 1), ERR_REFUSED);
    assert_int_equal(state_remove(&view, SLICE("a")), ERR_REFUSED);
    assert_int_equal(state_merge(&view, &s), ERR_REFUSED);
    assert_int_equal(state_replace(&view, &s), ERR_REFUSED);
    assert_true(state_get_bool(&view, SLICE("a"), false));
    State writable = state_clone(&view);
    assert_int_equal(state_set_int(&writable, SLICE("a"), 1), 0);
    state_done(&writable);
    state_done(&view);
    state_done(&s);
}

static void test_limits(void **unused)
{
    (void)unused;
    char key[STATE_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    State s = state_create();
    assert_int_equal(state_set_int(&s, (Slice){key, STATE_KEY_MAX}, 1), 0);
    assert_int_equal(state_set_int(&s, (Slice){key, STATE_KEY_MAX + 1}, 1), ERR_LIMIT);
    assert_int_equal(state_set_int(&s, (Slice){key, 0}, 7), 0); // the empty key is a key
    assert_int_equal(state_get_int(&s, SLICE(""), 0), 7);
    // The length alone is looked at, so no memory need stand behind it.
    Slice large = {key, (size_t)STATE_VALUE_MAX + 1};
    assert_int_equal(state_set_string(&s, SLICE("v"), large), ERR_LIMIT);
    state_done(&s);
}

static void test_items_ceiling(void **unused)
{
    (void)unused;
    State s = state_create();
    char text[16];
    for (unsigned i = 0; i < STATE_ITEMS_MAX; i++) {
        assert_int_equal(state_set_int(&s, key_of(i, text), i), 0);
    }
    assert_int_equal(state_set_int(&s, SLICE("one more"), 1), ERR_LIMIT);
    assert_int_equal(state_set_int(&s, SLICE("key-3"), 1), 0); // replacing is not adding
    State more = state_create();
    assert_int_equal(state_set_int(&more, SLICE("key-3"), 33), 0);
    assert_int_equal(state_merge(&s, &more), 0);
    assert_int_equal(state_get_int(&s, SLICE("key-3"), 0), 33);
    assert_int_equal(state_set_int(&more, SLICE("one more"), 1), 0);
    assert_int_equal(state_merge(&s, &more), ERR_LIMIT);
    assert_int_equal(state_count(&s), STATE_ITEMS_MAX);
    state_done(&more);
    state_done(&s);
}

static void test_large_values_are_packed(void **unused)
{
    (void)unused;
    enum { LEN = 100000 };
    char *even = mem_alloc(LEN);
    memset(even, 'e', LEN);
    char *noise = mem_alloc(LEN);
    Rng rng = rng_stream(1, SLICE("noise"), 0);
    for (size_t i = 0; i < LEN; i++) {
        noise[i] = (char)rng_u64(&rng);
    }
    const struct {
        const char *data;
        size_t len;
        size_t compress_min;
        bool packed;
    } cases[] = {
        {even, LEN, 0, false},
        {even, LEN, LEN, true},
        {even, LEN - 1, LEN, false},
        {even, STATE_COMPRESS_MIN - 1, 1, false},
        {even, STATE_COMPRESS_MIN, 1, true},
        {noise, LEN, 1, false}, // would not get smaller
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        State s = {.compress_min = cases[i].compress_min};
        Slice text = {cases[i].data, cases[i].len};
        assert_int_equal(state_set_string(&s, SLICE("v"), text), 0);
        assert_int_equal(state_bytes(&s) < cases[i].len, cases[i].packed);
        StateValue value;
        assert_true(state_get(&s, SLICE("v"), &value));
        assert_true(slice_eq(value.text, text));
        state_value_done(&value);
        state_done(&s);
    }
    free(noise);
    free(even);
}

static void test_overwriting_changes_the_type(void **unused)
{
    (void)unused;
    State s = state_create();
    assert_int_equal(state_set_string(&s, SLICE("v"), SLICE("a rather long text")), 0);
    assert_int_equal(state_set_int(&s, SLICE("v"), 4), 0);
    assert_int_equal(state_get_int(&s, SLICE("v"), 0), 4);
    assert_true(state_get_double(&s, SLICE("v"), 0) == 4.0);
    assert_int_equal(state_set_string(&s, SLICE("v"), SLICE("short")), 0);
    StateValue value;
    assert_true(state_get(&s, SLICE("v"), &value));
    assert_int_equal(value.type, STATE_STRING);
    assert_true(slice_eq(value.text, SLICE("short")));
    // A part of itself.
    assert_int_equal(state_set_string(&s, SLICE("v"), slice_sub(value.text, 1, 3)), 0);
    assert_true(state_get(&s, SLICE("v"), &value));
    assert_true(slice_eq(value.text, SLICE("hor")));
    assert_int_equal(state_set(&s, SLICE("v"), &(StateValue){.type = STATE_NULL}), 0);
    assert_true(state_has(&s, SLICE("v")));
    assert_int_equal(state_count(&s), 1);
    state_done(&s);
}

static void test_json_there_and_back(void **unused)
{
    (void)unused;
    Slice json = SLICE("{\"a\":[1,2,{\"b\":null}],\"c\":true,\"d\":null,\"e\":-7,\"f\":1.5,"
                       "\"g\":\"text \\\"quoted\\\"\",\"h\":{\"x\":1}}");
    Arena *arena = arena_create(1 << 20);
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(arena, json, NULL, &doc, NULL), 0);
    State s = state_create();
    assert_int_equal(state_read_doc(&s, doc, NULL), 0);
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    state_write_json(&s, &w);
    assert_true(slice_eq(buf_slice(&out), json));
    buf_done(&out);
    Err e = {0};
    assert_int_equal(doc_parse(arena, SLICE("[1]"), NULL, &doc, NULL), 0);
    assert_int_equal(state_read_doc(&s, doc, &e), ERR_PARSE);
    assert_non_null(strstr(e.text, "a state must be an object"));
    arena_destroy(arena);
    state_done(&s);
}

static bool stop_at_two(void *arg, Slice key, const StateValue *value)
{
    (void)key;
    (void)value;
    int *calls = arg;
    return ++*calls < 2;
}

static void test_each_stops_when_told(void **unused)
{
    (void)unused;
    State s = state_create();
    char text[16];
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(state_set_int(&s, key_of(i, text), i), 0);
    }
    int calls = 0;
    state_each(&s, stop_at_two, &calls);
    assert_int_equal(calls, 2);
    state_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_handles_behave_like_copies),
        cmocka_unit_test(test_keys_of_one_hash),
        cmocka_unit_test(test_a_clone_shares_until_somebody_writes),
        cmocka_unit_test(test_a_view_cannot_be_written),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_items_ceiling),
        cmocka_unit_test(test_large_values_are_packed),
        cmocka_unit_test(test_overwriting_changes_the_type),
        cmocka_unit_test(test_json_there_and_back),
        cmocka_unit_test(test_each_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
