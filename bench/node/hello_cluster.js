// The user's page, program 1, for the comparison: hello_cluster.js PORT WORKERS. Prints the number of
// counted requests on SIGINT.
'use strict';
const cluster = require('cluster');
const http = require('http');

const port = Number(process.argv[2]);
const workers = Number(process.argv[3]);

if (cluster.isPrimary) {
  let numReqs = 0;
  for (let i = 0; i < workers; i++) {
    cluster.fork().on('message', (msg) => {
      if (msg.cmd && msg.cmd === 'notifyRequest') numReqs += 1;
    });
  }
  process.on('SIGINT', () => {
    console.log(`served ${numReqs}`);
    process.exit(0);
  });
} else {
  http.Server((req, res) => {
    res.writeHead(200);
    res.end('hello world\n');
    process.send({ cmd: 'notifyRequest' });
  }).listen(port);
}
