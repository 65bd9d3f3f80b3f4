// policy_server.js PORT WORKERS: the same as bench/policy_server.cc, under Node's own cluster, or,
// started by `cohort run`, as its worker.
'use strict';
const cluster = require('cluster');
const http = require('http');

const port = Number(process.argv[2]);

if (cluster.isPrimary) {
  for (let i = 0; i < Number(process.argv[3]); i++) cluster.fork();
  process.on('SIGINT', () => process.exit(0));
} else {
  const body = `${process.pid}\n`;
  http.createServer((req, res) => {
    if (req.url.startsWith('/block/')) {
      const end = Date.now() + Number(req.url.slice('/block/'.length));
      while (Date.now() < end);
    }
    res.end(body);
  }).listen(port);
}
