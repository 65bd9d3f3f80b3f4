// The process that has loaded something and forks workers (zygote.h), from the inside.
#pragma once

#include <boost/asio/execution_context.hpp>
#include <string>

namespace cohort::process {

/// Before `main`, of each Preload: tells the Zygote that started this process for it that it is
/// there.
void greet_if_asked_for(const std::string& preload);

/// In a process that a Zygote started: loads, forks a worker for each order, and returns in each of
/// those; itself it ends when nobody can give orders any more. In any other process: returns.
///
/// `loop`: the one that this process has, if it has one; it must not run.
void become_worker_if_zygote(boost::asio::execution_context* loop);

}  // namespace cohort::process
