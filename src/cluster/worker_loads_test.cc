#include "cluster/worker_loads.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

std::shared_ptr<net::Load> load_of(std::uint64_t requests, std::uint32_t connections = 0) {
  auto load = std::make_shared<net::Load>();
  net::Load::set(load->counts_requests, 1);
  net::Load::set(load->requests, requests);
  net::Load::set(load->connections, connections);
  return load;
}

TEST(WorkerLoads, KnowNoRequestsOfWhoPublishesNone) {
  WorkerLoads loads;
  EXPECT_EQ(loads.requests(), std::nullopt);
  loads.publish("tcp", std::make_shared<net::Load>());
  EXPECT_EQ(loads.requests(), std::nullopt) << "that port speaks no HTTP";
  EXPECT_EQ(loads.sum()->requests, std::nullopt);
}

TEST(WorkerLoads, AddTheRequestsOfAllPortsAlsoOfThoseThatAreClosed) {
  WorkerLoads loads;
  loads.publish("tcp", std::make_shared<net::Load>());
  loads.publish("a", load_of(0));
  EXPECT_EQ(loads.requests(), 0U);
  const auto goes_on = load_of(5, 1);
  loads.publish("b", goes_on);
  loads.publish("c", load_of(7));
  loads.close("b");
  loads.close("c");
  net::Load::set(goes_on->requests, 6);
  EXPECT_EQ(loads.requests(), 13U);
  EXPECT_EQ(loads.sum()->requests, 13U);
  net::Load::set(goes_on->connections, 0);
  loads.close("a");
  EXPECT_EQ(loads.requests(), 13U) << "none of them is there any more";
}

TEST(WorkerLoads, BelieveWhatWasSaidAndNeverLess) {
  WorkerLoads loads;
  loads.said_requests(0);
  EXPECT_EQ(loads.requests(), 0U);
  loads.said_requests(12);
  loads.said_requests(9);
  EXPECT_EQ(loads.requests(), 12U);
  EXPECT_EQ(loads.sum(), std::nullopt) << "nothing else is known of it";
  loads.publish("a", load_of(20));
  EXPECT_EQ(loads.requests(), 20U);
}

}  // namespace
}  // namespace cohort::cluster
