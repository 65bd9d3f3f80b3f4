// A worker with children of its own: a Node child with a channel, a program of ours ($GUEST) with
// and without one, and a Node primary with a worker of ours. None may be taken for a worker of the
// worker's primary, nor take itself for one.
'use strict';
const { fork, spawn } = require('child_process');
const cluster = require('cluster');

const roles = {
  child() {
    process.on('message', (message) => {
      process.send({ isWorker: cluster.isWorker, message });
      process.disconnect();
    });
  },
  primary() {
    const node = process.execPath;
    process.execPath = process.env.GUEST;
    cluster.setupPrimary({ args: [] });
    const guest = cluster.fork();
    process.execPath = node;
    let online;
    guest.on('online', () => { online = Date.now(); });
    guest.on('message', () => {
      // One that took its primary for one of ours would wait 5 s for a greeting.
      process.send(Date.now() - online < 4000 ? 'soon' : 'late');
      guest.disconnect();
    });
    guest.on('exit', () => process.disconnect());
    guest.send({ say: 1 });
  },
};

function worker() {
  const children = {
    node: fork(__filename, ['child']),
    primary: fork(__filename, ['primary']),
    guest: spawn(process.env.GUEST, [], { stdio: [0, 1, 2, 'ipc'] }),
    alone: spawn(process.env.GUEST, ['--alone'], { stdio: [0, 1, 2, 'pipe', 'pipe'] }),
  };
  const ends = Object.entries(children).map(([from, child]) => new Promise((done) => {
    child.on('message', (message) => process.send({ from, message }));
    // Not 'exit': messages may come after that, and this one would be gone.
    child.on('close', (code) => done(process.send({ from, code })));
  }));
  Promise.all(ends).then(() => process.disconnect());
  children.node.send('from the worker');
  children.guest.send({ say: 'from the worker' });
  children.guest.send({ leave: 'disconnect' });
}

(roles[process.argv[2]] ?? worker)();
