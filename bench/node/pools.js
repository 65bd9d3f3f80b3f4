// pools.js COUNT: the empty tasks of bench/pools.cc with piscina, in threads. Prints as that does.
'use strict';
const os = require('os');
const path = require('path');
const { isMainThread } = require('worker_threads');

async function main() {
  const { Piscina } = require(path.join(__dirname, '../../.peers/piscina/node_modules/piscina'));
  const count = Number(process.argv[2]);
  const threads = os.availableParallelism();
  const pool = new Piscina({ filename: __filename, minThreads: threads, maxThreads: threads });
  await Promise.all(Array.from({ length: 1000 }, (_, i) => pool.run(i)));  // its workers are up
  const start = process.hrtime.bigint();
  const promises = [];
  for (let i = 0; i < count; ++i) promises.push(pool.run(i));
  const results = await Promise.all(promises);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (results.some((result, i) => result !== i)) throw new Error('another result');
  console.log(JSON.stringify({ what: 'piscina', count, seconds, per_second: count / seconds }));
  await pool.destroy();
}

module.exports = (number) => number;
if (isMainThread) main();
