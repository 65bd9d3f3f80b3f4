// binary.js MEGABYTES [PATH/TO/binary_worker]: SHA-256 and a byte histogram of a Buffer, here in JavaScript (node:crypto
// hashes), or end to end in the C++ worker of examples/binary_worker.cc. Prints the seconds.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const { fork } = require('child_process');

const data = Buffer.alloc(Number(process.argv[2]) * 1e6, 'a large binary, over and over; ');
const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;

if (process.argv[3]) {
  const worker = fork('binary_worker', [], { execPath: process.argv[3], execArgv: [], serialization: 'advanced' });
  let start;
  let warm = false;
  worker.on('message', ({ progress, result }) => {
    if (progress !== undefined) return undefined;
    if (warm) {
      console.log(seconds(start));
      assert.strictEqual(result.bytes, data.length);
      return worker.disconnect();
    }
    warm = true; // it runs: the program's start is not what is compared
    start = process.hrtime.bigint();
    return worker.send({ id: 2, op: 'digest', data });
  });
  worker.send({ id: 1, op: 'digest', data: Buffer.from('x') });
} else {
  const start = process.hrtime.bigint();
  const histogram = new Float64Array(256);
  for (let i = 0; i < data.length; ++i) ++histogram[data[i]];
  const sha256 = crypto.createHash('sha256').update(data).digest('hex');
  console.log(seconds(start));
  assert.strictEqual(sha256.length, 64);
}
