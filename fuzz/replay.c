// Stands in for a fuzzing engine: runs a target over every file of the directories given, and over
// the beginnings of each file, because input cut short is the commonest damage.
//
//     fuzz_yaml fuzz/corpus/yaml
#include <dirent.h>
#include <stdint.h>

#include "base/buf.h"

enum { FILE_MAX = 4 << 20, CUTS_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// In a block of its own, so that reading one byte too far is seen by the sanitizer.
static void run_one(Slice bytes)
{
    uint8_t *copy = mem_alloc(bytes.len);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    (void)LLVMFuzzerTestOneInput(copy, bytes.len);
    free(copy);
}

static bool replay_file(const char *path)
{
    Buf bytes = buf_create(FILE_MAX);
    FILE *file = fopen(path, "rbe");
    if (!file) {
        perror(path);
        return false;
    }
    size_t n = 1;
    while (n > 0) {
        char *at = buf_reserve(&bytes, 4096);
        n = at ? fread(at, 1, 4096, file) : 0;
        if (n > 0) {
            buf_commit(&bytes, n);
        }
    }
    (void)fclose(file);
    run_one(buf_slice(&bytes));
    size_t step = bytes.len / CUTS_MAX + 1;
    for (size_t cut = 0; cut < bytes.len; cut += step) {
        run_one(slice_sub(buf_slice(&bytes), 0, cut));
    }
    buf_done(&bytes);
    return true;
}

static int replay_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        return -1;
    }
    int files = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char name[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (!replay_file(name)) {
            files = -1;
            break;
        }
        files++;
    }
    (void)closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int files = replay_directory(argv[i]);
        if (files < 0) {
            return 1;
        }
        total += files;
    }
    printf("%d inputs replayed\n", total);
    // An empty corpus would pass without having tested anything.
    return total == 0;
}
