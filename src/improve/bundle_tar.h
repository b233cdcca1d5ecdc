// The members of a bundle as tar stores them (POSIX.1-1988 ustar): a block of 512 bytes that is a
// function of name and size alone, the bytes, zeros up to the next block.
#ifndef IMPROVE_BUNDLE_TAR_H
#define IMPROVE_BUNDLE_TAR_H

#include "base/buf.h"

enum { BUNDLE_BLOCK = 512 };

// [A-Za-z0-9._/-]+, at most BUNDLE_NAME_MAX bytes, no empty, "." or ".." piece.
bool bundle_name_ok(Slice name);

void bundle_tar_header(Slice name, size_t bytes, char out[BUNDLE_BLOCK]);
void bundle_tar_append(Buf *out, Slice name, Slice bytes);
// The two blocks of zeros that end an archive.
void bundle_tar_end(Buf *out);

// Takes the next member off the front of *rest. It must be `name`, of `bytes` bytes where that is
// known (SIZE_MAX: whatever its header says, at most `bytes_max`), and exactly as
// bundle_tar_append writes it.
MUST_USE int bundle_tar_take(Slice *rest, Slice name, size_t bytes, size_t bytes_max,
                             Slice *ret_bytes, Err *e);
// 0 when *rest is the end of an archive and nothing else.
MUST_USE int bundle_tar_take_end(Slice rest, Err *e);

#endif
