// For Bun: serves HTTP on descriptor 3, which Bun.listen takes (Bun.serve does not).
Bun.listen({
  fd: 3,
  socket: {
    data(socket) {
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\nhello world\n');
    },
  },
});
