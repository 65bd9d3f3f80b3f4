// Serves TCP on $PORT and then leaves as $HOW says, once its primary was told that it
// listens.
'use strict';
const { worker } = require('cluster');

const ways = {
  'worker.disconnect': () => worker.disconnect(),
  'worker.kill': () => worker.kill(),
  'process.disconnect': () => process.disconnect(),
  'asked disconnect': () => process.send({ ask: 'disconnect' }),
  throw: () => { throw new Error('thrown on purpose'); },
};
require('net').createServer().listen(process.env.PORT, () => setImmediate(ways[process.env.HOW]));
