// An ordinary Node program that has big binary work done in C++: examples/binary_worker.cc.
//
//   node binary_parent.js [PATH/TO/binary_worker] [MEGABYTES]
'use strict';
const { fork } = require('child_process');
const path = require('path');
const { Lane } = require('./lane.js');

const execPath = process.argv[2] || path.join(__dirname, '../../build/release/examples/binary_worker');
const megabytes = Number(process.argv[3] || 256);

// Any program that speaks the channel can be forked: `execPath` is it, the first argument is ours.
const worker = fork('binary_worker', [], { execPath, execArgv: [], serialization: 'advanced' });
let lastId = 0;
const waiting = new Map();
const call = (job, onProgress) => new Promise((resolve, reject) => {
  const id = ++lastId;
  waiting.set(id, { resolve, reject, onProgress });
  worker.send({ id, ...job });
});
worker.on('message', ({ id, result, error, progress }) => {
  const call = waiting.get(id);
  if (progress !== undefined) return call.onProgress?.(progress);
  waiting.delete(id);
  return error ? call.reject(new Error(error)) : call.resolve(result);
});

(async () => {
  // Large data goes into a lane, which the worker maps; the message has only its name.
  const lane = new Lane(megabytes * 1e6);
  lane.write(Buffer.alloc(megabytes * 1e6, 'a large binary, over and over; '));
  let reports = 0;
  const { sha256, bytes, histogram } = await call({ op: 'digest', data: lane.ref() }, () => { ++reports; });
  console.log(`sha256 ${sha256} of ${bytes} bytes, ${histogram['a'.charCodeAt(0)]} times "a"`);
  console.log(`${reports} reports of progress`);
  lane.close();

  // A few MB can be a part of the message.

  const width = 640;
  const height = 480;
  const ppm = Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), Buffer.alloc(width * height * 3)]);
  ppm.fill(255, ppm.length >> 1);
  const blurred = await call({ op: 'blur', data: ppm, radius: 10 });
  console.log(`a blurred image of ${blurred.width} x ${blurred.height} in ${blurred.image.length} bytes`);

  await call({ op: 'blur', data: Buffer.from('GIF89a') }).catch((error) => console.log(`refused: ${error.message}`));
  worker.disconnect();
})();
