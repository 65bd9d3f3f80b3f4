// Not to be compiled: two Results are dropped, in lines 7 and 8; the third is said not to matter.
#include <cohort/cohort.h>

#include <tuple>

void drop(const cohort::http::Response& res, const cohort::ChildProcess& child) {
  res.set_header("name", "value");
  child.disconnect();
  std::ignore = child.disconnect();
}
