// Two servers, each on a port of the system's choice; says which.
'use strict';
const net = require('net');

const first = net.createServer().listen(0, () => {
  const second = net.createServer().listen(0, () => {
    process.send([first.address().port, second.address().port]);
  });
});
