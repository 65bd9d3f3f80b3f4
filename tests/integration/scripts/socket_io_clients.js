// So many clients of socket_io.js at once: PORT COUNT. Prints how many were connected and answered.
'use strict';
const { io } = require('socket.io-client');
const [port, count] = process.argv.slice(2).map(Number);
let open = count, answered = 0;
const done = (client, well) => {
  client.disconnect();
  answered += well;
  if (--open === 0) console.log(`${answered} of ${count}`);
};
for (let i = 0; i < count; ++i) {
  const client = io(`http://127.0.0.1:${port}`, { forceNew: true, reconnection: false, timeout: 60000 });
  client.on('connect', () => client.emit('who', () => done(client, true)));
  client.on('connect_error', () => done(client, false));
}
