// Starts a program of ours as an ordinary child with a channel, the way argv[3] says: it speaks
// both ways, listens by itself, and leaves.
'use strict';
const { fork, spawn } = require('child_process');
const net = require('net');

const [program, how] = process.argv.slice(2);
const child = {
  spawn: () => spawn(program, [], { stdio: [0, 1, 2, 'ipc'] }),
  spawn_with_channel_5: () => spawn(program, [], { stdio: [0, 1, 2, 'ignore', 'pipe', 'ipc'] }),
  fork: () => fork('no_script.js', ['argument'], { execPath: program, execArgv: [] }),
}[how]();

child.on('message', (message) => {
  if (message.listening === undefined) {
    console.log(`said ${JSON.stringify(message)}`);
    child.send({ listen: 0 });
    return;
  }
  const client = net.connect(message.listening, () => client.write('x'));
  client.on('data', (data) => console.log(`answered ${data}`));
  client.on('close', () => child.send({ leave: 'disconnect' }));
});
child.on('disconnect', () => console.log('disconnect'));
child.on('exit', (code, signal) => console.log(`exit ${signal ?? code}`));
child.send({ say: { words: ['both', 'ways'] } });
