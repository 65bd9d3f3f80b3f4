// Where a process is, for people: the stack of the thread with which it began, by eu-stack or gdb,
// if one is there.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "cohort/callback.h"
#include "cohort/child_process.h"

namespace cohort::cli {

/// `done` is called once, later, within some 5 s: with the lines, none if there is no such program,
/// or it may not look. The process stands still meanwhile.
void dump_stack(const LoopRef& loop, pid_t pid,
                Callback<void(const std::vector<std::string>& lines)> done);

/// Those lines that name a function, innermost first; at most 30, and their beginnings. Pure.
std::vector<std::string> stack_lines(std::string_view output);

}  // namespace cohort::cli
