// What `cohort doctor` knows of the system. Where it can, it tries what `cohort run` would do:
// starts a process, opens a port with two queues, loads the eBPF program, writes the preload.
//
// Blocks, for a tenth of a second. Needs neither /proc nor /sys nor a directory to write to.
#pragma once

#include "cli/doctor.h"

namespace cohort::cli {

DoctorFacts doctor_facts();

}  // namespace cohort::cli
