// fork_to_listening.js PORT ROUNDS: milliseconds from cluster.fork() to the listening event, a line each.
'use strict';
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
  let left = Number(process.argv[3]);
  const round = () => {
    if (left-- === 0) return;
    const begin = process.hrtime.bigint();
    const worker = cluster.fork();
    worker.on('listening', () => {
      console.log(Number(process.hrtime.bigint() - begin) / 1e6);
      worker.process.kill('SIGKILL');
    });
    worker.on('exit', round);
  };
  round();
} else {
  http.createServer(() => {}).listen(Number(process.argv[2]));
}
