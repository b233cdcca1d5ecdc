#include "cli/commands.h"

// commands.h declares what is listed here; the order is that of `perfwright --help`.
// clang-format off
const Command *const COMMANDS[] = {
    &CMD_LOADTEST,
    &CMD_EXECUTE,
    &CMD_ANALYSE,
    &CMD_COMPARE,
    &CMD_REPORT,
    &CMD_GATE,
    &CMD_PLAN_CREATE,
    &CMD_PLAN_VALIDATE,
    &CMD_PLAN_SHOW,
    &CMD_SLO_VALIDATE,
    &CMD_SLO_EVAL,
    &CMD_RUN_LIST,
    &CMD_RUN_SHOW,
    &CMD_RUN_EXPORT,
    &CMD_RUN_IMPORT,
    &CMD_BASELINE_PIN,
    &CMD_BASELINE_UNPIN,
    &CMD_BASELINE_LIST,
    &CMD_BASELINE_SHOW,
    &CMD_BASELINE_EXPORT,
    &CMD_BASELINE_IMPORT,
    &CMD_LEDGER_VERIFY,
    &CMD_LEDGER_HEAD,
    &CMD_LEDGER_PRUNE,
    &CMD_LEDGER_REBUILD,
    &CMD_LEDGER_PATH,
    &CMD_LLM_TEST,
    &CMD_LLM_COST,
    &CMD_FAKE_LLM,
    &CMD_CONFIG_SHOW,
    &CMD_DOCTOR,
    &CMD_COMPLETION,
    &CMD_MAN,
    &CMD_VERSION,
};
// clang-format on
const size_t COMMAND_COUNT = COUNT_OF(COMMANDS);
