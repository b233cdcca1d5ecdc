// A directory with a place for improve, for tests.
#ifndef IMPROVE_PLACE_TEST_H
#define IMPROVE_PLACE_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "improve/place.h"
#include "os/file.h"

typedef struct Fixture {
    Arena *arena;
    char dir[64];
    Place place;
} Fixture;

static inline int set_up(void **state)
{
    static Fixture f; // one test at a time
    f = (Fixture){.arena = arena_create(32 << 20), .dir = "/tmp/improve_test.XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    assert_int_equal(place_find(f.arena, slice_from_cstr(f.dir), SLICE(""), &f.place, NULL), 0);
    *state = &f;
    return 0;
}

static inline int tear_down(void **state)
{
    Fixture *f = *state;
    assert_int_equal(dir_remove_all(f->dir, NULL), 0);
    arena_destroy(f->arena);
    return 0;
}

#endif
