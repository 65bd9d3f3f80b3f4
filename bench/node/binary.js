// binary.js PATH/TO/binary_worker [SCALE]: big binary work in this Node's JavaScript and in C++ (examples/binary_worker.cc),
// in turns, with the same inputs, and with results that are compared. SCALE 0.01 makes all inputs a hundred times smaller.
//
// What is timed, for both sides: from the pieces of 1 MiB in which an input arrives to the result in this process.
//   put   the pieces are copied to where the work reads them: into a Buffer; into a lane, which the worker maps
//   work  the work; for C++ with the call there and the answer back
//   get   a result that is large is read out of its lane into a Buffer
// Buffers, lanes and the worker are there before and are used again. Of each figure the best round counts.
'use strict';
const assert = require('node:assert');
const os = require('node:os');
const { Lane } = require('../../examples/node/lane.js');
const { Pool } = require('../../examples/node/pool.js');
const javascript = require('./binary_work.js');

const [, , program, scale = '1'] = process.argv;
const ROUNDS = 3;
const PIECE = 1 << 20;
const megabytes = (count) => Math.ceil(count * 1e6 * Number(scale));
const now = () => Number(process.hrtime.bigint()) / 1e9;

let seed = 1;
const random = (below) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return (seed >>> 8) % below;
};

// 16 MB of lines, over and over.
const makeTable = (size) => {
  const lines = [];
  for (let length = 0; length < Math.min(size, 16e6); length += lines.at(-1).length) {
    lines.push(`2026-11-29T${10 + random(14)}:${10 + random(50)}:00Z,host${random(500)}.example,` +
      `/api/v1/items/${random(100000)},${200 + random(4) * 100},${random(100000)}\n`);
  }
  const block = Buffer.from(lines.join(''));
  const blocks = Array(Math.max(1, Math.round(size / block.length))).fill(block);
  return Buffer.concat([Buffer.from('time,host,path,status,bytes\n'), ...blocks]);
};

const makeImage = (size) => {
  const width = Math.round(Math.sqrt(size / 3 * 4 / 3));
  const height = Math.round(size / 3 / width);
  const header = Buffer.from(`P6\n${width} ${height}\n255\n`);
  const image = Buffer.alloc(header.length + width * height * 3);
  for (let i = 0; i < image.length; ++i) image[i] = random(256);
  header.copy(image);
  return image;
};

// One side of a comparison: best times, and its last result.
class Side {
  best = { put: Infinity, work: Infinity, get: 0, total: Infinity };

  async run(put, work, get) {
    const times = [now()];
    put();
    times.push(now());
    const answer = await work();
    times.push(now());
    this.result = get ? get(answer) : answer;
    times.push(now());
    const total = times[3] - times[0];
    if (total < this.best.total) this.best = { put: times[1] - times[0], work: times[2] - times[1], get: times[3] - times[2], total };
  }
}

const figure = (seconds) => seconds.toFixed(3).padStart(8);
const print = (title, ours, theirs) => console.log(title.padEnd(40), figure(theirs.best.put), figure(theirs.best.work), ' ',
  figure(ours.best.put), figure(ours.best.work), figure(ours.best.get), `${(theirs.best.total / ours.best.total).toFixed(1).padStart(7)} x`);

// Compares, in turns: `rivals` are [title, work in JavaScript, rounds].
async function compare(pool, input, job, rivals, { out, title } = {}) {
  const pieces = Array.from({ length: Math.ceil(input.length / PIECE) }, (_, i) => input.subarray(i * PIECE, (i + 1) * PIECE));
  const buffer = Buffer.alloc(input.length);
  const lane = new Lane(input.length);
  lane.write(buffer); // its memory is there
  const result = out && Buffer.alloc(megabytes(26), 1);
  const intoBuffer = () => pieces.reduce((at, piece) => at + piece.copy(buffer, at), 0);
  const intoLane = () => pieces.reduce((at, piece) => lane.write(piece, at), 0);

  const ours = new Side();
  const message = new Side();
  const theirs = rivals.map(() => new Side());
  for (let round = 0; round < ROUNDS; ++round) {
    for (let i = 0; i < rivals.length; ++i)
      if (round < (rivals[i][2] ?? ROUNDS)) await theirs[i].run(intoBuffer, () => rivals[i][1](buffer));
    await ours.run(intoLane, () => pool.call({ ...job, data: lane.ref(), out: out?.ref(0) }), out && (({ bytes }) => out.readInto(result.subarray(0, bytes))));
    if (title) await message.run(intoBuffer, () => pool.call({ ...job, data: buffer }));
  }
  for (const [i, [name]] of rivals.entries()) {
    assert.deepStrictEqual(ours.result, theirs[i].result);
    print(`${name}, ${Math.round(input.length / 1e6)} MB`, ours, theirs[i]);
  }
  if (title) {
    assert.deepStrictEqual(message.result, theirs[0].result);
    print(title, message, theirs[0]);
  }
  lane.close();
}

(async () => {
  const pool = new Pool(program, 1);
  await pool.call({ op: 'digest', data: Buffer.from('x') }); // it runs: a program's start is not what is compared
  console.log(`Node ${process.versions.node}, ${os.availableParallelism()} CPUs, seconds`.padEnd(40),
    'JS: put', '   work', '     C++: put', '   work', '    get', '   ratio');

  const image = makeImage(megabytes(100));
  const options = { radius: 7, passes: 3, shrink: 2 };
  const memory = [new Uint8Array(image.length), new Uint8Array(image.length)];
  const out = new Lane(megabytes(26));
  out.write(Buffer.alloc(megabytes(26)));
  await compare(pool, image, { op: 'blur', ...options },
    [['image, 3 x box blur, halved', (ppm) => javascript.blur(ppm, options, memory)]], { out });
  out.close();

  const table = makeTable(megabytes(256));
  const columns = { key: 'host', value: 'bytes' };
  await compare(pool, table, { op: 'aggregate', ...columns }, [
    ['CSV, split and Map', (csv) => javascript.aggregateIdiomatic(csv, 'host', 'bytes'), 1],
    ['CSV, byte parser tuned by hand', (csv) => javascript.aggregateTuned(csv, 'host', 'bytes')],
  ]);
  await compare(pool, table, { op: 'digest' }, [['SHA-256 and histogram', javascript.digest]],
    { title: '  the same, sent as a Buffer' });
  await pool.close();
  console.log('the results of both are equal');
})();
