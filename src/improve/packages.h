// Packages of the system: which one has a library, a header or a program, which are there, and
// installing them, which happens only when the user said so (--install-packages).
//
// Debian and its kin: dpkg-query, apt-cache, apt-get. Elsewhere nothing is known and everything is
// left to the person.
#ifndef IMPROVE_PACKAGES_H
#define IMPROVE_PACKAGES_H

#include "base/arena.h"
#include "base/err.h"

// By a name of find_package or pkg-config, or a header ("openssl/ssl.h"). NULL: not known; "": it
// is known that no package is needed.
const char *package_of_library(Slice name);
const char *package_of_tool(Slice name);

// True when the system says that the package is installed.
bool package_is_installed(Slice name);
// The package to install for a library nobody knows by name: lib<name>-dev and the like, where one
// exists (apt-cache). Empty: none.
Slice package_search_library(Arena *arena, Slice name);
bool package_exists(Slice name); // and could be installed
// Names that the system does not know are left out; ERR_NOT_FOUND when none is left. ERR_REFUSED
// without the right to do it, ERR_UNSUPPORTED without apt-get, ERR_IO with what it
// said.
MUST_USE int packages_install(const Slice *names, size_t count, const char *log_path, Err *e);

#endif
