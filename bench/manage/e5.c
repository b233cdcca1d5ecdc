#include "experiment.h"

int experiment_e5(Experiment *x, Err *e)
{
    (void)x;
    return err_set(e, ERR_UNSUPPORTED, "not yet");
}
