// Says why it cannot listen on $PORT, and tries again until it can.
'use strict';
const { worker } = require('cluster');

const server = require('http').createServer((request, response) => response.end(`${worker.id}`));
let said = false;
server.on('error', ({ code, errno, syscall, port }) => {
  if (!said) process.send({ code, errno, syscall, port });
  said = true;
  setTimeout(() => server.listen(process.env.PORT), 20);
});
server.listen(process.env.PORT);
