// Tree: what files a working copy holds, listed once, and the text of the few that matter. What
// everything reads that looks at a repository without running it.
//
// Not followed: symbolic links. Not listed: .git and what is never a source (node_modules, target
// of Cargo, virtual environments). A tree of more files than TREE_FILES_MAX is cut, and says so.
//
//     rc = tree_read(arena, root, &tree, e);
//     if (tree_has(&tree, SLICE("CMakeLists.txt"))) {
//         Slice text = tree_text(&tree, SLICE("CMakeLists.txt"));
#ifndef IMPROVE_TREE_H
#define IMPROVE_TREE_H

#include "base/arena.h"
#include "base/err.h"

enum {
    TREE_FILES_MAX = 100000,
    TREE_DEPTH_MAX = 40,
    TREE_TEXT_MAX = 1 << 20,    // bytes of a file that are read
    TREE_TEXTS_MAX = 256 << 20, // bytes of all files that are read
};

typedef struct TreeFile {
    Slice path; // relative, parted by '/'
    int64_t bytes;
    bool program; // has an execute bit
    Slice text;   // once it was read, or of a tree made from memory
} TreeFile;

typedef struct Tree {
    Arena *arena;
    const char *root;
    TreeFile *files; // sorted by path
    size_t count;
    bool cut;
    int64_t text_bytes; // read so far
} Tree;

// A tree of files that exist nowhere: `files` with path and text are copied and sorted. For tests.
void tree_make(Arena *arena, const TreeFile *files, size_t count, Tree *ret_tree);
MUST_USE int tree_read(Arena *arena, const char *root, Tree *ret_tree, Err *e);
bool tree_has(const Tree *tree, Slice path);
bool tree_has_directory(const Tree *tree, Slice path); // with a file in it
const TreeFile *tree_find(const Tree *tree, Slice path);
// The first TREE_TEXT_MAX bytes; empty when it cannot be read or past TREE_TEXTS_MAX in all.
Slice tree_text(Tree *tree, Slice path);

// ---- paths and text

Slice path_name(Slice path);                                // behind the last '/'
Slice path_directory(Slice path);                           // before it; "." where there is none
Slice path_join(Arena *arena, Slice directory, Slice name); // "." and "" vanish
Slice path_extension(Slice path);                           // "c"; empty: none
int path_depth(Slice path);                                 // of slashes

// The next line of *rest, without its end; false at the end. *line_number counts up where given.
bool text_line(Slice *rest, Slice *ret_line, long *line_number);
bool text_has(Slice text, const char *needle);
bool text_has_nocase(Slice text, const char *needle);
// `word` with no letter, digit, '_' or '-' on either side.
bool text_has_word(Slice text, const char *word);
bool text_starts(Slice text, const char *prefix);
bool text_ends(Slice text, const char *suffix);
Slice text_lower(Arena *arena, Slice text); // ASCII
// The line, from 1, on which byte `at` of `text` stands.
long text_line_of(Slice text, size_t at);

#endif
