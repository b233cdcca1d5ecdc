// A workflow for GitHub Actions that runs attempts on a schedule: permissions as few as the work
// needs, actions pinned to commits, and the job that may write apart from the one in which engines
// and builds run.
//
//     rc = install_text(&(InstallOptions){.engine = SLICE("claude"), ...}, &text, e);
//     rc = install_write(&place, text, e);   // refuses to overwrite
#ifndef IMPROVE_INSTALL_H
#define IMPROVE_INSTALL_H

#include "base/option.h"
#include "improve/place.h"

#define INSTALL_FILE ".github/workflows/perfwright-improve.yml"

enum { INSTALL_SECRETS_MAX = 10 };

typedef struct InstallOptions {
    Slice engine;   // for --engine; empty: what the settings say
    Slice schedule; // cron, five fields; empty: weekday nights
    Slice setup;    // shell command that puts perfwright into PATH; empty: it is expected there
    const Slice *secrets; // names of secrets that the engine's job gets as variables
    size_t secret_count;
    bool pull_requests; // open what was staged; otherwise it is only kept as an artifact
} InstallOptions;

// ERR_ARG for a schedule, an engine, a command or a secret that could be anything else in YAML.
MUST_USE int install_text(const InstallOptions *options, Buf *out, Err *e);
// Writes it into the repository. ERR_EXISTS; ERR_REFUSED where a link is in the way.
MUST_USE int install_write(const Place *place, Slice text, Err *e);

#endif
