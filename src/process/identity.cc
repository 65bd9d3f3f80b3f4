#include "process/identity.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

#include "base/sys.h"

namespace cohort::process {
namespace {

constexpr std::size_t kEntrySize = 1024;
constexpr std::size_t kEntrySizeMax = std::size_t{1} << 20;  // a group with very many members
constexpr unsigned kNoIdentity = static_cast<unsigned>(-1);  // setresuid(2): as it is

struct UserEntry {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};

bool is_all_digits(const std::string& text) {
  return text.find_first_not_of("0123456789") == std::string::npos;
}

std::optional<unsigned> id_from(const std::string& text) {
  unsigned id = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc{} || rest != end || id == kNoIdentity) return std::nullopt;
  return id;
}

Error no_identity(const std::string& op, std::string why) {
  return make_error(Errc::InvalidArgument, op, std::move(why));
}

Error no_such_id(const char* kind, const std::string& text) {
  return no_identity(std::string{kind} + ' ' + text,
                     std::string{kind} + ' ' + text + ": ids go from 0 to 4294967294");
}

// `look_up` is getpwnam_r(3), or one like it, which leaves open what errno says that there is none.
// 0: found; ENOENT: there is none.
template <class Entry, class LookUp, class Take>
int with_entry(LookUp look_up, Take take) {
  std::vector<char> buffer(kEntrySize);
  for (;;) {
    Entry entry{};
    Entry* found = nullptr;
    const int error = look_up(&entry, buffer.data(), buffer.size(), &found);
    if (found != nullptr) {
      take(*found);
      return 0;
    }
    if (error == EINTR) continue;
    if (error == ERANGE && buffer.size() < kEntrySizeMax)
      buffer.resize(buffer.size() * 4);
    else
      return error == 0 || error == ESRCH || error == EBADF || error == EPERM ? ENOENT : error;
  }
}

// Nothing: there is none.
Result<std::optional<UserEntry>> user_entry(const std::string& text) {
  const auto id = is_all_digits(text) ? id_from(text) : std::nullopt;
  if (is_all_digits(text) && !id) return no_such_id("user", text);
  UserEntry user;
  const int error = with_entry<passwd>(
      [&](auto... rest) {
        return id ? ::getpwuid_r(*id, rest...) : ::getpwnam_r(text.c_str(), rest...);
      },
      [&](const passwd& entry) {
        user = {entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
      });
  if (error == 0) return std::optional{std::move(user)};
  if (error == ENOENT) return std::optional<UserEntry>{};
  return system_error(
      error, "user " + text,
      "user " + text + " cannot be looked up: " + std::generic_category().message(error));
}

Result<gid_t> group_id(const std::string& text) {
  if (is_all_digits(text)) {
    if (const auto id = id_from(text)) return *id;
    return no_such_id("group", text);
  }
  gid_t gid = 0;
  const int error =
      with_entry<::group>([&](auto... rest) { return ::getgrnam_r(text.c_str(), rest...); },
                          [&](const ::group& entry) { gid = entry.gr_gid; });
  if (error == 0) return gid;
  if (error == ENOENT)
    return no_identity("group " + text, "group " + text +
                                            ": there is none called so here; see the others: "
                                            "getent group");
  return system_error(
      error, "group " + text,
      "group " + text + " cannot be looked up: " + std::generic_category().message(error));
}

std::vector<gid_t> groups_of(const UserEntry& user, gid_t gid) {
  int count = 32;
  for (;;) {
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    const int room = count;
    if (::getgrouplist(user.name.c_str(), gid, groups.data(), &count) != -1) {
      groups.resize(static_cast<std::size_t>(count));
      return groups;
    }
    count = std::max(count, 2 * room);  // musl does not say how many there are
  }
}

std::vector<gid_t> own_groups() {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return groups;
}

Environment login_variables(const std::string& name, const std::string& home) {
  return {{"HOME", home.empty() ? "/" : home}, {"USER", name}, {"LOGNAME", name}};
}

}  // namespace

Result<Identity> identity_of(const std::string& user, const std::string& group) {
  Identity who;
  std::optional<gid_t> gid;
  if (!group.empty()) {
    const auto found = group_id(group);
    if (!found) return found.error();
    gid = *found;
  }
  if (user.empty()) {
    who.gid = gid.value_or(::getegid());
    return who;
  }
  const auto found = user_entry(user);
  if (!found) return found.error();
  if (const auto& entry = *found) {
    who.uid = entry->uid;
    who.gid = gid.value_or(entry->gid);
    who.groups = groups_of(*entry, who.gid);
    who.variables = login_variables(entry->name, entry->home);
    return who;
  }
  if (!is_all_digits(user))
    return no_identity(
        "user " + user,
        "user " + user + ": there is none called so here; see the others: getent passwd");
  if (!gid)
    return no_identity("user " + user,
                       "user " + user +
                           ": there is none with this number, so its group is not known: "
                           "say which (--group)");
  who.uid = *id_from(user);
  who.gid = *gid;
  who.variables = login_variables(user, "/");
  return who;
}

Result<void> take_identity(const Identity& who, SpawnOptions& options) {
  const bool another_user = who.uid && *who.uid != ::geteuid();
  const bool may_set_groups = sys::has_capabilities({CAP_SETGID});
  if (another_user && !(may_set_groups && sys::has_capabilities({CAP_SETUID, CAP_KILL})))
    return system_error(EPERM, "user",
                        "only root may run workers as another user: it needs CAP_SETUID, "
                        "CAP_SETGID and CAP_KILL");
  if (!may_set_groups) {
    if (who.gid == ::getegid()) return {};  // They are as they should be.
    return system_error(EPERM, "group",
                        "only root may run workers with another group: it needs CAP_SETGID");
  }
  options.uid = who.uid;
  options.gid = who.gid;
  options.groups = who.groups;
  return {};
}

void give_back_identity(const SpawnOptions& before, SpawnOptions& now) {
  if (before.uid && !now.uid) now.uid = ::geteuid();
  if (before.gid && !now.gid) now.gid = ::getegid();
  if (before.groups && !now.groups) now.groups = own_groups();
}

}  // namespace cohort::process

namespace cohort {

Result<void> set_user(SpawnOptions& options, const std::string& user, const std::string& group) {
  const auto who = process::identity_of(user, group);
  if (!who) return who.error();
  if (const auto taken = process::take_identity(*who, options); !taken) return taken.error();
  options.add_env.insert(options.add_env.end(), who->variables.begin(), who->variables.end());
  return {};
}

}  // namespace cohort
