// A worker that breaks Node's protocol: it writes argv[1] to the channel, argv[2] times, and then
// waits for ever. Plain POSIX.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

int main(int argc, char** argv) {
  const char* channel = getenv("NODE_CHANNEL_FD");
  if (channel == nullptr || argc < 3) return 2;
  signal(SIGPIPE, SIG_IGN);  // once the channel is closed, wait for what the primary does
  const std::string piece = argv[1];
  for (int times = atoi(argv[2]); times > 0; --times) {
    for (std::size_t sent = 0; sent < piece.size();) {
      const ssize_t size = write(atoi(channel), piece.data() + sent, piece.size() - sent);
      if (size <= 0) break;  // dropped already
      sent += static_cast<std::size_t>(size);
    }
  }
  for (;;) pause();
}
