// Everything but cohort/value_to.h: `#include <cohort/cohort.h>`. Each concept also has its own
// header.
#pragma once

#include "cohort/acceptor.h"
#include "cohort/address.h"
#include "cohort/call.h"
#include "cohort/callback.h"
#include "cohort/child_process.h"
#include "cohort/cluster.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "cohort/fd.h"
#include "cohort/handle.h"
#include "cohort/http.h"
#include "cohort/lane.h"
#include "cohort/net.h"
#include "cohort/parallelism.h"
#include "cohort/policy.h"
#include "cohort/send_result.h"
#include "cohort/serialization.h"
#include "cohort/status.h"
#include "cohort/value.h"
#include "cohort/worker.h"
