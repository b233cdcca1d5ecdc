#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "improve/outbox.h"
#include "os/file.h"

typedef struct Fixture {
    Arena *arena;
    char dir[64];
    Place place;
    OutboxWorld world;
    const char *list; // what `gh pr list` answers
    int exit_code;
    int rc;
    Buf said; // every command line that was run
} Fixture;

static int fake_run(void *ctx, const char *const *argv, Buf *out, int *ret_exit, Err *e)
{
    Fixture *f = ctx;
    for (size_t i = 0; argv[i]; i++) {
        buf_printf(&f->said, "%s%s", i ? " " : "", argv[i]);
    }
    buf_putc(&f->said, '\n');
    if (f->rc != 0) {
        return err_set(e, (ErrCode)f->rc, "no such program");
    }
    *ret_exit = f->exit_code;
    bool list = strcmp(argv[0], "gh") == 0 && strcmp(argv[2], "list") == 0;
    buf_puts(out, list ? f->list : "https://github.test/o/r/pull/7\n");
    return 0;
}

static int set_up(void **state)
{
    static Fixture f; // one test at a time
    f = (Fixture){.arena = arena_create(32 << 20),
                  .dir = "/tmp/outbox_test.XXXXXX",
                  .list = "[]",
                  .said = buf_create(1 << 20)};
    f.world = (OutboxWorld){fake_run, &f, "/shadow", "/objects"};
    assert_non_null(mkdtemp(f.dir));
    assert_int_equal(place_find(f.arena, slice_from_cstr(f.dir), SLICE(""), &f.place, NULL), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    assert_int_equal(dir_remove_all(f->dir, NULL), 0);
    buf_done(&f->said);
    arena_destroy(f->arena);
    return 0;
}

static OutboxRequest pr_of(const char *attempt)
{
    return (OutboxRequest){.kind = OUTBOX_PR,
                           .attempt = slice_from_cstr(attempt),
                           .branch = SLICE("perfwright/less-copying"),
                           .base = SLICE("main"),
                           .title = SLICE("less copying in parse()"),
                           .body = SLICE("measured\n")};
}

static void test_what_may_not_leave(void **state)
{
    (void)state;
    const Slice hash = SLICE("0123456789012345678901234567890123456789");
    OutboxRequest good = pr_of("a");
    assert_int_equal(outbox_check(&good, NULL), 0);
    static const char *const BRANCHES[] = {"main",
                                           "perfwright/",
                                           "perfwright/a..b",
                                           "perfwright/a b",
                                           "perfwright/--force",
                                           "perfwright/x.lock",
                                           "perfwright//x",
                                           "-x"};
    for (size_t i = 0; i < COUNT_OF(BRANCHES); i++) {
        OutboxRequest r = good;
        r.branch = slice_from_cstr(BRANCHES[i]);
        bool ok = i == 4; // a dash inside is a name
        assert_int_equal(outbox_check(&r, NULL) == 0, ok);
    }
    OutboxRequest r = good;
    r.base = SLICE("--web");
    assert_int_equal(outbox_check(&r, NULL), ERR_ARG);
    r = good;
    r.title = SLICE("a\nb");
    assert_int_equal(outbox_check(&r, NULL), ERR_ARG);
    r = good;
    r.body = SLICE("a\x1b[2J");
    assert_int_equal(outbox_check(&r, NULL), ERR_ARG);
    r = (OutboxRequest){.kind = OUTBOX_COMMENT, .body = SLICE("x")};
    assert_int_equal(outbox_check(&r, NULL), ERR_ARG);
    static const char *const REMOTES[] = {"ext::sh -c id", "-oProxyCommand=x", "ssh://-oX/y", ""};
    for (size_t i = 0; i < COUNT_OF(REMOTES); i++) {
        r = (OutboxRequest){.kind = OUTBOX_PUSH,
                            .branch = good.branch,
                            .commit = hash,
                            .remote = slice_from_cstr(REMOTES[i])};
        assert_int_equal(outbox_check(&r, NULL), ERR_ARG);
    }
}

static void test_limits_at_their_edge(void **state)
{
    Fixture *f = *state;
    char *text = arena_alloc(f->arena, OUTBOX_BODY_MAX + 1);
    memset(text, 'x', OUTBOX_BODY_MAX + 1);
    for (size_t extra = 0; extra < 2; extra++) {
        OutboxRequest r = pr_of("a");
        r.title = (Slice){text, OUTBOX_TITLE_MAX + extra};
        assert_int_equal(outbox_check(&r, NULL), extra ? ERR_ARG : 0);
        r = pr_of("a");
        r.body = (Slice){text, OUTBOX_BODY_MAX + extra};
        assert_int_equal(outbox_check(&r, NULL), extra ? ERR_ARG : 0);
    }
}

static void test_caps(void **state)
{
    Fixture *f = *state;
    OutboxRequest r = pr_of("a"), again = pr_of("a"), other = pr_of("b");
    assert_int_equal(outbox_add(&f->place, f->arena, &r, NULL), 0);
    assert_int_equal(outbox_add(&f->place, f->arena, &again, NULL), ERR_REFUSED);
    assert_int_equal(outbox_add(&f->place, f->arena, &other, NULL), 0);
    assert_int_equal(outbox_drop(&f->place, f->arena, r.id, NULL), 0);
    assert_int_equal(outbox_add(&f->place, f->arena, &again, NULL), 0);
    for (int i = 0; i < OUTBOX_COMMENTS_PER_RUN + 1; i++) {
        OutboxRequest c = {
            .kind = OUTBOX_COMMENT, .run = SLICE("1"), .number = 7, .body = SLICE("x")};
        assert_int_equal(outbox_add(&f->place, f->arena, &c, NULL),
                         i < OUTBOX_COMMENTS_PER_RUN ? 0 : ERR_REFUSED);
    }
    assert_int_equal(f->said.len, 0); // staging runs nothing
}

static void test_sending(void **state)
{
    Fixture *f = *state;
    OutboxRequest r = pr_of("a"), back;
    assert_int_equal(outbox_add(&f->place, f->arena, &r, NULL), 0);
    assert_int_equal(outbox_send(&f->place, f->arena, &f->world, &r, NULL), 0);
    assert_true(slice_find(buf_slice(&f->said),
                           SLICE("gh pr create --draft --head perfwright/less-copying --base main "
                                 "--title less copying in parse() --body-file ")) >= 0);
    assert_int_equal(outbox_load(&f->place, f->arena, r.id, &back, NULL), 0);
    assert_int_equal(back.state, OUTBOX_SENT);
    assert_true(slice_eq_cstr(back.result, "https://github.test/o/r/pull/7"));
    assert_int_equal(outbox_send(&f->place, f->arena, &f->world, &back, NULL), ERR_CONFLICT);
    assert_int_equal(outbox_drop(&f->place, f->arena, r.id, NULL), ERR_CONFLICT);
}

// A run that was killed behind `gh pr create` finds its pull request.
static void test_sending_again_finds_what_is_there(void **state)
{
    Fixture *f = *state;
    OutboxRequest r = pr_of("a");
    assert_int_equal(outbox_add(&f->place, f->arena, &r, NULL), 0);
    f->list =
        "[{\"number\":3,\"headRefName\":\"perfwright/less-copying\",\"url\":\"https://x/3\"}]";
    r.state = OUTBOX_SENDING;
    assert_int_equal(outbox_send(&f->place, f->arena, &f->world, &r, NULL), 0);
    assert_true(slice_eq_cstr(r.result, "https://x/3"));
    assert_true(slice_find(buf_slice(&f->said), SLICE("create")) < 0);
}

static void test_three_open_ones_are_enough(void **state)
{
    Fixture *f = *state;
    OutboxRequest r = pr_of("a");
    assert_int_equal(outbox_add(&f->place, f->arena, &r, NULL), 0);
    f->list = "[{\"headRefName\":\"perfwright/1\"},{\"headRefName\":\"perfwright/2\"},"
              "{\"headRefName\":\"perfwright/3\"},{\"headRefName\":\"theirs\"}]";
    assert_int_equal(outbox_send(&f->place, f->arena, &f->world, &r, NULL), ERR_REFUSED);
    assert_int_equal(r.state, OUTBOX_STAGED);
    assert_true(slice_find(buf_slice(&f->said), SLICE("create")) < 0);
}

static void test_failures_are_told(void **state)
{
    Fixture *f = *state;
    OutboxRequest r = pr_of("a");
    Err e = {0};
    assert_int_equal(outbox_add(&f->place, f->arena, &r, NULL), 0);
    f->exit_code = 4;
    assert_int_equal(outbox_send(&f->place, f->arena, &f->world, &r, &e), ERR_IO);
    assert_int_equal(r.state, OUTBOX_FAILED);
    f->rc = ERR_NOT_FOUND;
    assert_int_equal(outbox_send(&f->place, f->arena, &f->world, &r, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "gh"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_not_leave),
        cmocka_unit_test_setup_teardown(test_limits_at_their_edge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_caps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sending_again_finds_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_three_open_ones_are_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
