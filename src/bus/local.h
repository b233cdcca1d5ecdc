// The in-process bus. A hub joins the connections of any number of threads: publishing puts a
// reference to the message into the bounded queue of every connection that listens, and wakes its
// thread. With manual polling and a manual clock everything is deterministic.
//
// The hub must outlive its connections.
#ifndef BUS_LOCAL_H
#define BUS_LOCAL_H

#include "bus/bus.h"

typedef struct LocalHub LocalHub;

enum { LOCAL_CONNECTIONS_MAX = 4096 };

LocalHub *local_hub_create(void);
void local_hub_destroy(LocalHub *hub); // NULL is fine; no connection may be left
// From any thread; the connection then belongs to the calling one. ERR_ARG, ERR_LIMIT.
MUST_USE int local_connect(LocalHub *hub, const BusOptions *options, Bus **ret_bus, Err *e);

#endif
