// On $PORT: answers the first bytes of a connection with the worker's id, and ends it.
'use strict';
const { worker } = require('cluster');

require('net').createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.end(`${worker.id}`));
}).listen(process.env.PORT);
