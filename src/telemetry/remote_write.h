// Prometheus remote write, version 1: samples into the protobuf message WriteRequest, compressed
// with snappy's block format, as the specification at prometheus.io/docs/specs/remote_write_spec
// asks for.
//
//     Buf message = buf_create(REMOTE_WRITE_BYTES_MAX);
//     remote_write_add(&message, SLICE("k6_vus"), labels, 12, unix_ms);   // for each sample
//     rc = remote_write_compress(buf_slice(&message), &body, e);
#ifndef TELEMETRY_REMOTE_WRITE_H
#define TELEMETRY_REMOTE_WRITE_H

#include "base/buf.h"
#include "telemetry/point.h"

enum { REMOTE_WRITE_BYTES_MAX = 16 << 20 };

// Appends one TimeSeries with one sample. Labels without value are left out, and so is the later of
// two whose names become equal: receivers refuse a whole request for either.
void remote_write_add(Buf *message, Slice name, Labels labels, double value, int64_t unix_ms);

// Appends the compressed message. ERR_LIMIT.
MUST_USE int remote_write_compress(Slice message, Buf *body, Err *e);

#endif
