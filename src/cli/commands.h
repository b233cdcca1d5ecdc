// The verbs, each defined in a cmd_*.c and listed in commands.c.
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/app.h"

extern const Command CMD_COMPLETION;
extern const Command CMD_CONFIG_SHOW;
extern const Command CMD_DOCTOR;
extern const Command CMD_MAN;
extern const Command CMD_VERSION;

#endif
