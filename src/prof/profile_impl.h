// What a Profile is made of; for the files of this room that fill and write one.
#ifndef PROF_PROFILE_IMPL_H
#define PROF_PROFILE_IMPL_H

#include "base/arena.h"
#include "base/map.h"
#include "prof/profile.h"

typedef struct Stack {
    uint64_t hash;
    int64_t values[PROFILE_VALUES_MAX];
    Slice label_key, label; // interned
    uint32_t depth;
    bool leaf_is_pc;
    uint64_t pcs[]; // innermost first
} Stack;

typedef struct Function {
    uint64_t id; // from 1, as pprof wants it
    Slice name;
    Slice file;
} Function;

typedef struct Module {
    uint64_t id; // from 1
    uint64_t start, limit, offset;
    Slice path;
    Slice build_id; // hexadecimal
    bool has_functions, has_lines;
} Module;

typedef struct Line {
    const Function *function;
    int64_t line;
} Line;

// One address. Inlined calls give several lines, the innermost first.
typedef struct Location {
    uint64_t id; // from 1
    uint64_t address;
    const Module *module; // NULL: unknown
    const Line *lines;
    size_t line_count;
} Location;

struct Profile {
    ProfileKind kind;
    int64_t period;
    int64_t wall_begin_ns, duration_ns;
    int64_t lost;
    Arena *arena;

    Stack **stacks; // in order of first appearance
    size_t stack_count, stack_capacity;
    uint32_t *index; // open addressing by hash; number of a stack plus 1
    size_t index_size;
    Map texts; // interned labels

    // Filled by profile_resolve.
    Module *modules;
    size_t module_count;
    Map functions; // by name and file
    size_t function_count;
    Location **locations; // open addressing by address
    size_t location_count, location_size;
};

typedef struct ProfileValueType {
    const char *type;
    const char *unit;
} ProfileValueType;

// The types of the values of a kind, and which of them a flame graph shows.
size_t profile_value_types(ProfileKind kind, const ProfileValueType **ret_types, size_t *ret_shown);

// As profile_add; the entry, which stays where it is, or NULL when it had no room.
Stack *profile_add_stack(Profile *profile, const ProfileSample *sample);

// The address that a frame stands for: a return address names the instruction behind the call.
static inline uint64_t stack_address(const Stack *s, size_t frame)
{
    return s->pcs[frame] - (frame > 0 || !s->leaf_is_pc ? 1 : 0);
}

// The location of an address; NULL for one that no stack has.
Location *profile_location(const Profile *profile, uint64_t address);
// Makes the table of locations from the stacks, once.
void profile_list_locations(Profile *profile);
// The words for a frame: "function", or the module's file and the address.
Slice profile_frame_name(const Location *location, size_t line, char *room, size_t room_bytes);

enum { PROFILE_FRAME_NAME_MAX = 512 };

Function *profile_function(Profile *profile, Slice name, Slice file);

#endif
