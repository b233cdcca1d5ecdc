// Exit codes of the program: k6's where k6 has the case, ours behind them.
// docs/guide/exit-codes.md says which one wins when several apply.
#ifndef JUDGE_EXIT_CODE_H
#define JUDGE_EXIT_CODE_H

typedef enum ExitCode {
    EXIT_PASS = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_THRESHOLDS = 99,    // k6: a threshold failed; here also: an SLO was breached
    EXIT_TIMEOUT = 102,      // k6
    EXIT_PLAN_INVALID = 104, // k6: invalid configuration
    EXIT_SIGNAL = 105,       // k6: stopped from outside
    EXIT_REFUSED = 111,      // a guard rail said no
    EXIT_REGRESSION = 112,   //
    EXIT_NOT_PROVEN = 113,   // the evidence does not suffice for a verdict
    EXIT_PARTIAL = 114,      // a budget, ceiling or signal ended the run early
} ExitCode;

#endif
