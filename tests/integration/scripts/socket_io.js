// A Socket.IO server that is busy for 40 ms with each request; for clients that start with long
// polling, as they do by default: their first requests are one session, which one worker knows.
'use strict';
const server = require('http').createServer();
server.prependListener('request', () => {
  const end = Date.now() + 40;
  while (Date.now() < end);
});
new (require('socket.io').Server)(server).on('connection', (socket) => {
  socket.on('who', (answer) => answer(process.pid));
});
server.listen(process.argv[2]);
