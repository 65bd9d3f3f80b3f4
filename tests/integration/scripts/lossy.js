// A server that is careless at its end: it answers within 20 ms. When its primary tells it to end, it resets
// one of three requests that it works on.
const http = require('http');

const atWork = new Set();
const server = http.createServer((request, response) => {
  atWork.add(request.socket);
  request.resume();
  setTimeout(() => {
    atWork.delete(request.socket);
    response.end('hello world\n');
  }, 20);
});

process.on('internalMessage', (message) => {
  if (message.act !== 'drain') return;
  [...atWork].forEach((socket, i) => i % 3 === 0 && socket.resetAndDestroy());
});
server.listen(Number(process.env.TEST_PORT));
