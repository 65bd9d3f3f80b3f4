// What the verbs show, from the JSON of the control socket. Pure: text for people comes out.
#pragma once

#include <string>
#include <vector>

#include "cohort/value.h"

namespace cohort::cli {

/// `3m 12s`, `2d 4h`.
std::string duration_text(double seconds);
/// `45 MB`.
std::string memory_text(double bytes);
/// `9999`, `12k`, `1.2M`.
std::string amount_text(double count);

/// Columns as wide as their widest cell; the last one is not filled up. The first row says how
/// many.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// One line for each application; each is what /v1/status gave.
std::string ls_text(const std::vector<Value>& applications);
std::string status_text(const Value& status);
/// A line if a worker is missing that cannot be started; else empty.
std::string missing_text(const Value& status);
/// `22:14:03 worker 3 died: ...`, and what it wrote to stderr below.
std::string event_text(const Value& event);
/// How a worker ended, with all that is known. `sequel`: what came of it.
std::string end_text(const Value& event, const std::string& sequel = {});
/// What came of this end: who is in its slot by now, came there and is one of `ends`, too, is
/// started soon, or serves on there; or that nobody is. Empty: its slot is no more.
std::string sequel_text(const Value& end, const std::vector<Value>& ends, const Value& status);
/// Whether a place is closed since that worker exited, by an application's status.
bool is_closed_by(const Value& status, const Value& worker);
/// Of a reload that is under way: `generation 3: 2 of 4 replaced`.
std::string progress_text(const Value& status);

}  // namespace cohort::cli
