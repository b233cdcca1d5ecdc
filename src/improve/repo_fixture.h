// For tests: repositories made on the spot, and the proof that a directory did not change.
#ifndef IMPROVE_REPO_FIXTURE_H
#define IMPROVE_REPO_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/git.h"
#include "os/file.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/signal.h"

typedef struct World {
    Arena *arena;
    char dir[64];
    const char *repo; // below dir
    const char *work; // for working copies
    bool sandbox;     // there are sandboxes here
    Err e;
} World;

static inline const char *at(World *w, const char *name)
{
    return arena_printf(w->arena, "%s/%s", w->dir, name).ptr;
}

static inline void put_file(World *w, const char *name, const char *content)
{
    const char *file = at(w, name);
    const char *slash = strrchr(file, '/');
    const char *parent = arena_cstr(w->arena, (Slice){file, (size_t)(slash - file)});
    assert_int_equal(dir_make_all(parent, &w->e), 0);
    assert_int_equal(file_write(file, slice_from_cstr(content), NULL, &w->e), 0);
}

static inline const char *get_file(World *w, const char *path)
{
    Buf text = buf_create(1 << 20);
    const char *copy = NULL;
    if (file_read(path, &text, &w->e) == 0) {
        copy = arena_cstr(w->arena, buf_slice(&text));
    }
    buf_done(&text);
    return copy;
}

// A shell command of the test's own, on the host; what it prints.
static inline const char *host(World *w, const char *command)
{
    ProcessResult r = process_result_create(8 << 20);
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    assert_int_equal(process_run(&(ProcessOptions){.argv = argv,
                                                   .directory = w->dir,
                                                   .merge_err = true,
                                                   .timeout_ns = 60 * NS_PER_S},
                                 &r, &w->e),
                     0);
    const char *out = arena_cstr(w->arena, slice_trim(buf_slice(&r.out)));
    process_result_done(&r);
    return out;
}

#define GIT(w, ...)                                                                                \
    assert_int_equal(git_run(&(GitCall){.directory = (w)->repo},                                   \
                             (const char *const[]){__VA_ARGS__, NULL}, NULL, &(w)->e),             \
                     0)

static inline void commit_all(World *w, const char *message)
{
    GIT(w, "add", "-A");
    GIT(w, "commit", "-q", "--allow-empty", "-m", message);
}

// `name` may have spaces and more in it.
static inline void make_repo(World *w, const char *name)
{
    w->repo = at(w, name);
    assert_int_equal(dir_make_all(w->repo, &w->e), 0);
    GIT(w, "init", "-q", "-b", "main");
}

// Names, kinds, modes, sizes, times of change, targets of links and contents of everything in it.
static inline const char *fingerprint(World *w, const char *directory)
{
    return host(w, arena_printf(w->arena,
                                "cd '%s' && { find . -printf '%%p %%y %%m %%s %%T@ %%l\\n' | sort; "
                                "find . -type f -exec sha256sum {} + | sort; } | sha256sum",
                                directory)
                       .ptr);
}

static inline int world_setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(512 << 20);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/improve-test-XXXXXX");
    *state = w;
    signals_block();
    if (!mkdtemp(w->dir) || setenv("XDG_CACHE_HOME", at(w, "cache"), 1) != 0) {
        return -1;
    }
    w->work = at(w, "work dir");
    w->sandbox = sandbox_check(&w->e) == 0;
    if (!w->sandbox) {
        print_message("[  SKIP  ] %s\n", w->e.text);
    }
    return 0;
}

static inline int world_teardown(void **state)
{
    World *w = *state;
    int rc = dir_remove_all(w->dir, NULL);
    arena_destroy(w->arena);
    free(w);
    return rc;
}

#endif
