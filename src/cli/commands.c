#include "cli/commands.h"

// commands.h declares what is listed here; the order is that of `perfwright --help`.
const Command *const COMMANDS[] = {
    &CMD_CONFIG_SHOW, &CMD_DOCTOR, &CMD_COMPLETION, &CMD_MAN, &CMD_VERSION,
};
const size_t COMMAND_COUNT = COUNT_OF(COMMANDS);
