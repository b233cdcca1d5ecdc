// State: the values an agent run reads and leaves behind. Copy-on-write with structural sharing:
// a clone is one reference, and whoever writes first copies only the path to what it writes.
//
// A State is a handle of one owner; the tree behind it is shared, immutable where it has more than
// one reference, and counted atomically, so handles may be sent to other threads (a handle itself
// belongs to one thread at a time).
//
//     State s = state_create();
//     state_set_int(&s, SLICE("turn"), 1);
//     State view = state_view(&s);            // read-only: writes are ERR_REFUSED
//     State branch = state_clone(&s);         // no copy until somebody writes
//     state_set_string(&branch, SLICE("answer"), SLICE("42"));   // s does not see it
//     state_merge(&s, &branch);               // its values win
//     state_done(&branch); ...
//
// The tree is a hash array mapped trie (Bagwell, "Ideal Hash Trees", 2001), 16-way, with values
// in the leaves: get and set are O(log16 n). docs/internals/state.md has the costs.
#ifndef AGENT_STATE_H
#define AGENT_STATE_H

#include "agent/event.h"
#include "base/json_write.h"

enum {
    STATE_KEY_MAX = 255,          // bytes of a key
    STATE_ITEMS_MAX = 1 << 18,    // keys of one state
    STATE_VALUE_MAX = 64 << 20,   // bytes of one value
    STATE_COMPRESS_MIN = 4 << 10, // shorter values are never compressed
};

typedef enum StateType {
    STATE_NULL,
    STATE_BOOL,
    STATE_INT,
    STATE_DOUBLE,
    STATE_STRING, // bytes
    STATE_JSON,   // a JSON text
} StateType;

typedef struct StateNode StateNode;

typedef struct State {
    StateNode *root;     // NULL: empty
    bool read_only;      //
    size_t compress_min; // strings and JSON from this size on are stored by zstd; 0: never
} State;

static inline State state_create(void)
{
    return (State){0};
}
void state_done(State *s);          // the handle is empty and usable again
State state_clone(const State *s);  // writable, whatever `s` is
State state_view(const State *s);   // read-only
size_t state_count(const State *s); // keys; O(1)
// True when both show the same tree, which costs nothing to find out; false proves nothing.
static inline bool state_shares(const State *a, const State *b)
{
    return a->root == b->root;
}

typedef struct StateValue {
    StateType type;
    union {
        bool boolean;
        int64_t integer;
        double real;
        Slice text; // STATE_STRING, STATE_JSON
    };
    Bytes *held; // private: see state_value_done
} StateValue;

// True and *ret_value when the key is there. A text points into the state and is good until the
// key is written; one that was stored compressed is unpacked into memory of the value's own:
// state_value_done, which is fine on any value, frees it.
bool state_get(const State *s, Slice key, StateValue *ret_value);
void state_value_done(StateValue *value);
bool state_has(const State *s, Slice key);
// Shortcuts: the fallback when the key is missing or of another type.
bool state_get_bool(const State *s, Slice key, bool fallback);
int64_t state_get_int(const State *s, Slice key, int64_t fallback);
double state_get_double(const State *s, Slice key, double fallback);

// 0; ERR_REFUSED on a read-only view, ERR_LIMIT for keys, values or counts past the ceilings.
MUST_USE int state_set(State *s, Slice key, const StateValue *value);
MUST_USE int state_set_bool(State *s, Slice key, bool value);
MUST_USE int state_set_int(State *s, Slice key, int64_t value);
MUST_USE int state_set_double(State *s, Slice key, double value);
MUST_USE int state_set_string(State *s, Slice key, Slice value);
MUST_USE int state_set_json(State *s, Slice key, Slice json);
MUST_USE int state_remove(State *s, Slice key); // 0 also when it is not there
// Every value of `from` into `into`; where both have a key, `from` wins. Subtrees that only one of
// them has, or that both share, are not walked.
MUST_USE int state_merge(State *into, const State *from);
// `s` shows what `from` shows.
MUST_USE int state_replace(State *s, const State *from);

// Walks the keys in the order of their hashes (the same every time); the callback returns false to
// stop. Texts are good during the call.
void state_each(const State *s, bool (*fn)(void *arg, Slice key, const StateValue *value),
                void *arg);
// One JSON object, keys sorted by bytes. Strings that are no UTF-8 get U+FFFD.
void state_write_json(const State *s, JsonWriter *w);
// Adds the members of a JSON object: whole numbers, numbers, strings, true/false/null as such,
// arrays and objects as STATE_JSON.
MUST_USE int state_read_doc(State *s, const Doc *object, Err *e);

// Bytes of the tree that this handle alone keeps alive are not told apart from shared ones: this is
// the size of everything reachable.
size_t state_bytes(const State *s);

#endif
