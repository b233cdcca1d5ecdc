// Shared libraries loaded while running: agents and tools in C.
//
// A library's symbols are bound when it is opened, so that a missing one is an error here and not a
// crash later. Symbols of the program that it needs (pw_*) come from the program.
#ifndef OS_LIBRARY_H
#define OS_LIBRARY_H

#include "base/err.h"

// `path` is used as it is: the system's library directories are not searched for it. ERR_IO with
// the loader's words.
MUST_USE int library_open(const char *path, void **ret_library, Err *e);
// ERR_NOT_FOUND.
MUST_USE int library_find(void *library, const char *symbol, void **ret_symbol, Err *e);
void library_close(void *library); // NULL is fine

#endif
