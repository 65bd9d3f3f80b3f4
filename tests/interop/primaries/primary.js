// An unmodified Node primary for programs of ours; programs/primary.cc in JavaScript, with the same
// output and the same requests. TERM disconnects the workers.
//
//   primary.js --exec PROGRAM [--workers N] [--say JSON] [--on-listening JSON]
//              [--serialization advanced] [-- ARG...]
'use strict';
const cluster = require('cluster');

const { values: flags, positionals } = require('util').parseArgs({
  allowPositionals: true,
  options: {
    exec: { type: 'string' },
    workers: { type: 'string', default: '1' },
    say: { type: 'string', default: '[]' },
    'on-listening': { type: 'string' },
    serialization: { type: 'string', default: 'json' },
  },
});

process.execPath = flags.exec;
cluster.setupPrimary({ args: positionals, serialization: flags.serialization });

cluster.on('online', (worker) => console.log(`online ${worker.id}`));
cluster.on('listening', (worker, address) => {
  console.log(`listening ${worker.id} ${address.port >= 0 ? address.port : address.address}`);
  if (flags['on-listening']) worker.send(JSON.parse(flags['on-listening']));
});
cluster.on('disconnect', (worker) => console.log(`disconnect ${worker.id}`));
cluster.on('exit', (worker, code, signal) => {
  const asked = worker.exitedAfterDisconnect ? 'asked' : 'unasked';
  console.log(`exit ${worker.id} ${signal ?? code} ${asked}`);
});
cluster.on('message', (worker, message) => {
  console.log(`message ${worker.id} ${JSON.stringify(message)}`);
  if (message?.echo !== undefined) worker.send(message.echo);
  if (message?.ask === 'disconnect') worker.disconnect();
  if (message?.ask === 'process.disconnect') worker.process.disconnect();
});
process.on('SIGTERM', () => {
  for (const worker of Object.values(cluster.workers)) worker.disconnect();
});

for (let i = 0; i < flags.workers; ++i) {
  const worker = cluster.fork();
  console.log(`fork ${worker.id} ${worker.process.pid}`);
  for (const message of JSON.parse(flags.say)) worker.send(message);
}
