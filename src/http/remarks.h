// What the server tells the program about the program's own mistakes. Pure.
#pragma once

#include <string_view>

#include "base/notices.h"
#include "http/parser.h"

namespace cohort::http {

Remark handler_failed_remark(const RequestHead& head, std::string_view what);
/// `head` is null when the answer comes so late that the request's bytes are gone.
Remark status_invalid_remark(int status, const RequestHead* head);

}  // namespace cohort::http
