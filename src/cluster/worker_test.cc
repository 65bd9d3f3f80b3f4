// The public Worker on a worker that is this test.
#include "cohort/worker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include "base/sys.h"
#include "cluster/worker_impl.h"

namespace cohort {
namespace {

class FakeWorker final : public WorkerImpl, private ipc::PeerUser {
 public:
  FakeWorker(const Loop& loop, std::shared_ptr<ipc::Calls> calls)
      : WorkerImpl{loop, std::move(calls), static_cast<ipc::PeerUser&>(*this),
                   ipc::Peer::Early::Waits, 1} {
    OwnFd ends[2];
    EXPECT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
    end_ = std::move(ends[1]);
    peer().open(std::move(ends[0]), Serialization::Json, {});
  }
  int id() const override { return 1; }
  std::optional<std::size_t> slot_if_known() const override { return std::nullopt; }
  pid_t pid() const override { return 0; }
  bool is_dead() const override { return false; }
  bool exited_after_disconnect() const override { return false; }
  void disconnect() override {}
  bool kill(int) override { return false; }
  void exit_process(int) override {}
  const ChildStream& stdio(std::size_t) const override { return none_; }

 private:
  std::string describe_peer() const override { return "peer 1"; }
  void channel_closed(std::optional<Error>) override {}

  OwnFd end_;
  const ChildStream none_;
};

TEST(WorkerCall, CanBeAwaitedAndCancelled) {
  boost::asio::io_context io;
  const Loop loop{io, io.get_executor()};
  const auto calls = std::make_shared<ipc::Calls>(loop);
  const auto one = std::make_shared<FakeWorker>(loop, calls);
  const Worker worker{one};
  std::optional<Value> result;
  worker.async_call("add", {1, 2}, [&](std::exception_ptr, Value value) { result = value; });
  calls->take(one->peer(), *parse_json(R"({"jsonrpc":"2.0","id":1,"result":3})"));
  boost::asio::cancellation_signal cancel;
  std::string failure;
  worker.async_call("add", 1,
                    boost::asio::bind_cancellation_slot(
                        cancel.slot(), [&](const std::exception_ptr& error, const Value&) {
                          try {
                            std::rethrow_exception(error);
                          } catch (const Exception& thrown) {
                            failure = thrown.what();
                          }
                        }));
  cancel.emit(boost::asio::cancellation_type::terminal);
  io.run();
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 3);
  EXPECT_EQ(failure, "call add: operation canceled");
}

}  // namespace
}  // namespace cohort
