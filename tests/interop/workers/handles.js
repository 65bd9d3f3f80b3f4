// The worker of programs/hander.cc: handles from and to a cohort primary.
'use strict';
const net = require('net');

const answer = (socket, who) => socket.once('data', (data) => socket.end(`${who} ${data}`));

process.on('message', ({ take }, handle) => {
  if (take === 'socket') return answer(handle, 'worker');
  handle.on('connection', (socket) => answer(socket, 'worker'));
  process.on('disconnect', () => handle.close());  // the cluster closes its own servers only
  return process.send('ready');
});

const up = net.createServer({ pauseOnConnect: true }, (socket) => {
  process.send({ take: 'socket' }, socket);
  up.getConnections((error, count) => process.send(`counted ${error || count}`));
});
up.listen(Number(process.argv[2]));
