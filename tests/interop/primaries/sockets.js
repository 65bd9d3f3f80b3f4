// sockets.js EXEC: a server whose connections are served by three children that run EXEC
// (programs/guest.cc); its close waits for what they have, as Node's does for its own children.
'use strict';
const { fork } = require('child_process');
const net = require('net');

const children = Array.from({ length: 3 }, () => fork('guest', [], { execPath: process.argv[2], execArgv: [] }));
const clients = 12;
let accepted = 0;
let answered = 0;
const server = net.createServer({ pauseOnConnect: true }, (socket) => {
  children[accepted++ % children.length].send('serve it', socket);
  if (accepted === clients) server.close(() => console.log(`closed after ${answered} answers`));
});
server.listen(0, '127.0.0.1', () => {
  for (let i = 0; i < clients; ++i) {
    const socket = net.connect(server.address().port, '127.0.0.1');
    socket.on('data', (data) => { answered += `${data}` === 'guest' ? 1 : 0; });
    // Each needs a word before it is answered, the last one's coming late.
    setTimeout(() => socket.write('hello'), 20 * i);
    socket.on('end', () => { socket.end(); });
  }
});
let exits = 0;
server.on('close', () => { for (const child of children) child.disconnect(); });
for (const child of children)
  child.on('exit', (code) => { if (code === 0 && ++exits === 3) console.log('three exits'); });
