#include "os/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int library_open(const char *path, void **ret_library, Err *e)
{
    char spelled[4096];
    // A name without a slash would be searched for in the system's directories.
    int n = snprintf(spelled, sizeof spelled, "%s%s", strchr(path, '/') ? "" : "./", path);
    if (n < 0 || (size_t)n >= sizeof spelled) {
        return err_set(e, ERR_LIMIT, "the path of the library is too long");
    }
    void *library = dlopen(spelled, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return err_set(e, ERR_IO, "%s", dlerror());
    }
    *ret_library = library;
    return 0;
}

int library_find(void *library, const char *symbol, void **ret_symbol, Err *e)
{
    void *found = dlsym(library, symbol);
    if (!found) {
        return err_set(e, ERR_NOT_FOUND, "%s", dlerror());
    }
    *ret_symbol = found;
    return 0;
}

void library_close(void *library)
{
    if (library) {
        (void)dlclose(library);
    }
}
