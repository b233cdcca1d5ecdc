// OutputFile: a file that is written, and compressed, by a thread of its own, so that a slow disk
// or a reader of a pipe never holds up the collector.
#ifndef LOAD_OUTPUT_FILE_H
#define LOAD_OUTPUT_FILE_H

#include "base/buf.h"
#include "base/err.h"

typedef struct OutputFile OutputFile;

enum { OUTPUT_FILE_QUEUE_BYTES = 64 << 20 };

// "-" or empty: standard output. A path that ends in ".gz" is compressed. Replaces the file.
MUST_USE int output_file_open(Slice path, OutputFile **ret_file, Err *e);
// Takes `bytes` as a whole; false when the queue has no room or an earlier write failed.
bool output_file_write(OutputFile *file, Slice bytes);
// Writes what is queued, closes, frees. ERR_IO or ERR_FULL when anything could not be written.
MUST_USE int output_file_close(OutputFile *file, Err *e);

#endif
