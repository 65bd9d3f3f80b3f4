#include "cluster/uncaught.h"

#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <typeinfo>
#include <utility>

#include "base/shared_output.h"

namespace cohort::cluster {
namespace {

// std::terminate and std::exit take functions without state, so what they need is static.
std::function<void()> g_flush;
std::terminate_handler g_previous_terminate = nullptr;

std::string type_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name{
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free};
  return status == 0 ? name.get() : type.name();
}

void flush_at_exit() {
  if (const auto flush = std::exchange(g_flush, nullptr)) flush();
}

void terminate_as_node() {
  const auto exception = std::current_exception();
  if (!exception) {
    // Not an exception: std::terminate by itself.
    if (g_previous_terminate != nullptr) g_previous_terminate();
    std::abort();
  }
  print_uncaught(exception);
  flush_at_exit();
  std::cout.flush();
  std::fflush(stdout);
  std::_Exit(1);
}

}  // namespace

void print_uncaught(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    write_to_stderr("Uncaught " + type_name(typeid(error)) + ": " + error.what() + '\n');
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    write_to_stderr("Uncaught exception of type " +
                    (type != nullptr ? type_name(*type) : std::string{"unknown"}) + '\n');
  }
}

ExitHooks::ExitHooks(std::function<void()> flush) {
  static const bool registered = std::atexit(flush_at_exit) == 0;
  (void)registered;
  g_flush = std::move(flush);
  g_previous_terminate = std::set_terminate(terminate_as_node);
}

ExitHooks::~ExitHooks() {
  g_flush = nullptr;
  std::set_terminate(g_previous_terminate);
}

}  // namespace cohort::cluster
