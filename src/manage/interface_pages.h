// The performance interfaces of a system's agents as pages of a monitor:
//
//     /interface             who has one: [{"agent": "d", "revision": 3, "path": "/interface/d"}]
//     /interface/AGENT       the document (model/interface.h)
//
//     InterfacePages *pages = interface_pages_create();
//     rc = monitor_add(monitor, interface_pages_source(pages), e);
//     rc = monitor_start(monitor, e);
//     each window:  rc = interface_pages_update(pages, plant->sys, window.outcome, e);
//     monitor_stop(monitor);
//     interface_pages_destroy(pages);
//
// Documents are made when they are updated, by the thread that manages, so whoever asks waits for
// nothing and sees a whole one. An agent's revision grows with every update whose policies differ.
#ifndef MANAGE_INTERFACE_PAGES_H
#define MANAGE_INTERFACE_PAGES_H

#include "agent/monitor.h"
#include "model/interface.h"

typedef struct InterfacePages InterfacePages;

InterfacePages *interface_pages_create(void);
void interface_pages_destroy(InterfacePages *pages); // NULL is fine
// `observed` NULL: rates are the formula's. On an error the documents from before stay.
MUST_USE int interface_pages_update(InterfacePages *pages, const System *sys,
                                    const Outcome *observed, Err *e);
const MonitorSource *interface_pages_source(const InterfacePages *pages);

#endif
