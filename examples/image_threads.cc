// Threads with a loop of their own. To one, images are moved and come back, without a copy; the
// other fails, and nobody else notices.
#include <cohort/cohort.h>

#include <boost/asio/io_context.hpp>
#include <iostream>
#include <stdexcept>

struct Image {
  std::string name;
  std::vector<unsigned char> pixels;
};

int main() {
  boost::asio::io_context io;
  const cohort::MessageChannel<Image> images;

  const auto invert = [port = images.port2](cohort::ThisThread& self) {  // on the new thread
    port.on_message(self, [port](Image& image) {
      for (unsigned char& pixel : image.pixels) pixel = static_cast<unsigned char>(255 - pixel);
      port.post_message(std::move(image));
    });
  };
  const cohort::Thread inverter{io, invert, {.name = "inverter"}};
  inverter.on_exit([](int code) { std::cout << "inverter: exit code " << code << '\n'; });

  images.port1.on_message(io, [&images](Image& image) {
    std::cout << image.name << ": the first pixel is " << int{image.pixels[0]} << '\n';
    if (image.name == "b.png") images.port1.close();  // the thread has nothing to do, and ends
  });
  images.port1.post_message({"a.png", std::vector<unsigned char>(1 << 20, 0)});
  images.port1.post_message({"b.png", std::vector<unsigned char>(1 << 20, 200)});

  const auto fail = [](const cohort::ThisThread& self) {
    throw std::runtime_error{"no such file: " + std::string{self.worker_data().string_or("")}};
  };
  const cohort::Thread failing{io, fail, {.name = "failing", .worker_data = "c.png"}};
  failing.on_error([](const cohort::Error& error) { std::cout << error << '\n'; });

  io.run();
}
