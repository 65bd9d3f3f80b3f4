#include "http/remarks.h"

#include <cstdint>
#include <string>

namespace cohort::http {

Remark handler_failed_remark(const RequestHead& head, std::string_view what) {
  const std::string method{head.method}, url{head.url}, reason{what};
  return {"handler_failed",
          method + ' ' + url + ": handler failed: " + reason,
          {{"method", method}, {"url", url}, {"what", reason}}};
}

Remark status_invalid_remark(int status, const RequestHead* head) {
  Remark remark{"status_invalid",
                "status_code(" + std::to_string(status) +
                    "): the status of an answer is a number of 200 to 999; answered 500",
                {{"status", std::int64_t{status}}}};
  if (head != nullptr) {
    const std::string method{head->method}, url{head->url};
    remark.text.insert(0, method + ' ' + url + ": ");
    remark.fields.emplace_back("method", method);
    remark.fields.emplace_back("url", url);
  }
  return remark;
}

}  // namespace cohort::http
