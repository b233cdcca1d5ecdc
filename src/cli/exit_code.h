// The exit code for an error that ended a command.
#ifndef CLI_EXIT_CODE_H
#define CLI_EXIT_CODE_H

#include "judge/exit_code.h"

ExitCode exit_code_of(int rc);

#endif
