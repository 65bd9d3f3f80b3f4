// web_socket_echo.js ws|goodbye|socket.io: echoes on $PORT. `goodbye` has a handler for TERM; the others have none.
'use strict';
const server = require('node:http').createServer((request, response) => response.end('hello world\n'));

if (process.argv[2] === 'socket.io') {
  const { Server } = require('socket.io');
  new Server(server).on('connection', (socket) => socket.on('echo', (text, answer) => answer(text)));
} else {
  const { WebSocketServer } = require('ws');
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (text) => socket.send(String(text))));
  if (process.argv[2] === 'goodbye')
    process.on('SIGTERM', () => {
      for (const socket of sockets.clients) socket.close(1001, 'goodbye');
      server.close(() => process.exit(0));
    });
}
server.listen(process.env.PORT);
