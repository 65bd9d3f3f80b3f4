// lane.js EXEC [hold]: examples/node/lane.js and its C++ worker at work. Prints what was not as it should be, then `done`.
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { fork } = require('node:child_process');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { Lane } = require('../../../examples/node/lane.js');
const { Pool } = require('../../../examples/node/pool.js');
const javascript = require('../../../bench/node/binary_work.js');

const [, , execPath] = process.argv;
let seed = 1;
const random = (below) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return (seed >>> 8) % below;
};
const table = (lines) => Buffer.from(`time,host,path,bytes\n${Array.from({ length: lines }, (_, i) =>
  `${i},h\u00f6st${random(lines > 10 ? 6000 : 2)},/${'x'.repeat(random(20))},${random(2e6) - 1e6}\n`).join('')}`);
const image = (width, height) => Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`),
  Buffer.from(Array.from({ length: width * height * 3 }, () => random(256)))]);
const sorted = (groups) => [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
const filled = (bytes) => {
  const lane = new Lane(bytes.length);
  lane.write(bytes);
  return lane;
};

async function givesWhatJavaScriptGives(pool) {
  const columns = { key: 'host', value: 'bytes' };
  for (const lines of [0, 1, 2, 3, 1000, 30000]) {
    let csv = table(lines);
    if (lines === 3) csv = csv.subarray(0, -1); // the last line may lack its end
    const lane = filled(csv);
    const expected = javascript.aggregateIdiomatic(csv, 'host', 'bytes');
    assert.deepStrictEqual(sorted(javascript.aggregateTuned(csv, 'host', 'bytes')), sorted(expected));
    for (const data of [csv, lane.ref()])
      assert.deepStrictEqual(sorted(await pool.call({ op: 'aggregate', data, ...columns })), sorted(expected));
    assert.deepStrictEqual(await pool.call({ op: 'digest', data: lane.ref() }), javascript.digest(csv));
    lane.close();
  }
  const out = new Lane(); // one for all results, smaller and larger ones in turn
  for (const [width, height] of [[300, 200], [1, 1], [1, 50], [50, 1], [7, 5], [640, 480]]) {
    for (const options of [{}, { radius: 0 }, { radius: 7, passes: 3 }, { radius: 128, passes: 2 }, { passes: 0, shrink: 1 },
      ...(Math.min(width, height) > 2 ? [{ radius: 3, passes: 3, shrink: 3 }] : [])]) {
      const ppm = image(width, height);
      const lane = filled(ppm);
      const expected = javascript.blur(ppm, options);
      const sent = await pool.call({ op: 'blur', data: ppm, ...options });
      assert.ok(expected.equals(sent.image), `${width} x ${height} ${JSON.stringify(options)}`);
      const { bytes, image: none } = await pool.call({ op: 'blur', data: lane.ref(), out: out.ref(), ...options });
      assert.strictEqual(none, undefined);
      assert.ok(expected.equals(out.read(bytes)), `${width} x ${height} ${JSON.stringify(options)} in a lane`);
      lane.close();
    }
  }
  out.close();
}

async function servesManyAtOnce(pool) {
  const inputs = Array.from({ length: 24 }, (_, i) => table(50 + i));
  const results = await Promise.all(inputs.map(async (csv) => {
    const lane = filled(csv);
    const result = await pool.call({ op: 'aggregate', data: lane.ref(), key: 'host', value: 'bytes' });
    lane.close();
    return result;
  }));
  results.forEach((result, i) =>
    assert.deepStrictEqual(sorted(result), sorted(javascript.aggregateIdiomatic(inputs[i], 'host', 'bytes'))));
}

async function takesAndGivesStreams(pool) {
  const bytes = table(30000);
  const lane = new Lane();
  for (const part of [bytes, bytes.subarray(0, 100000)]) { // the second is the shorter one
    await pipeline(Readable.from([part.subarray(0, 70001), part.subarray(70001)]), lane.writable());
    assert.strictEqual(lane.ref().size, part.length);
    assert.deepStrictEqual(await pool.call({ op: 'digest', data: lane.ref() }), javascript.digest(part));
  }
  const pieces = await lane.readable(100000).toArray();
  assert.ok(Buffer.concat(pieces).equals(bytes.subarray(0, 100000)));
  assert.strictEqual(lane.write(Buffer.from('ab'), lane.write(Buffer.from('xyz'))), 5);
  assert.strictEqual(lane.read(5).toString(), 'xyzab');
  lane.close();
  assert.throws(() => lane.read(1), { code: 'ERR_OUT_OF_RANGE' });
  lane.close();
}

async function isPrivateAndLeavesNoFile(pool) {
  const names = fs.readdirSync('/dev/shm').filter((name) => name.startsWith(`lane-${process.pid}-`));
  assert.deepStrictEqual(names, []);
  const lane = filled(Buffer.from('secret'));
  assert.strictEqual(fs.fstatSync(lane.fd).mode & 0o777, 0o600);
  assert.strictEqual(fs.fstatSync(lane.fd).nlink, 0);
  lane.close();
  const elsewhere = new Lane(10, os.tmpdir()); // no tmpfs, perhaps
  elsewhere.write(Buffer.from('x'));
  assert.strictEqual((await pool.call({ op: 'digest', data: elsewhere.ref() })).bytes, 1);
  elsewhere.close();
  const warned = once(process, 'warning');
  new Lane(2 ** 52).close(); // more than /dev/shm has
  assert.match((await warned)[0].message, /^a lane of 4503599627370496 bytes is in .*: \/dev\/shm has no room for it$/);
}

const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => { setTimeout(resolve, 10); });
};

// Calls until `act` came in time, before the worker was done, and the call failed for that.
async function inTheMiddle(pool, lane, act) {
  for (;;) {
    fs.ftruncateSync(lane.fd, 128 << 20);
    let acted;
    const failure = await pool.call({ op: 'digest', data: lane.ref(128 << 20) }, () => { acted ??= act(); })
      .then(() => undefined, (error) => error);
    await acted;
    if (failure) return failure;
  }
}

async function refusesWhatIsNoLane(pool) {
  const lane = filled(Buffer.from('0123456789'));
  const { lane: place } = lane.ref();
  const named = path.join(os.tmpdir(), `lane-test-${process.pid}`);
  fs.writeFileSync(named, 'kept');
  const refused = [
    [{ lane: place, size: 11 }, /has only 10 bytes/], [{ lane: place, size: -1 }, /needs its size/],
    [{ lane: place, size: 1.5 }, /needs its size/], [{ lane: place }, /needs its size/],
    [{ lane: place, size: '10' }, /needs its size/], [{ lane: place, size: 2 ** 60 }, /has only 10 bytes/],
    [{ size: 1 }, /not an absolute path/], [{ lane: 7, size: 1 }, /not an absolute path/],
    [{ lane: 'proc/self/fd/0', size: 1 }, /not an absolute path/], [{ lane: `${place}\0`, size: 1 }, /open the lane/],
    [{ lane: '/no/such/lane', size: 1 }, /No such file/i], [{ lane: named, size: 1 }, /a file with a name is not a lane/],
    [{ lane: '/dev/zero', size: 1 }, /not a file/], [{ lane: '/dev/shm', size: 1 }, /not a file/],
    [{ lane: `/proc/${process.pid}/fd/999999`, size: 1 }, /No such file/i],
  ];
  for (const [data, message] of refused) await assert.rejects(pool.call({ op: 'digest', data }), message);
  const ppm = image(4, 4);
  await assert.rejects(pool.call({ op: 'blur', data: ppm, out: { lane: named } }), /a file with a name is not a lane/);
  assert.strictEqual(fs.readFileSync(named, 'utf8'), 'kept');
  fs.unlinkSync(named);

  // A file that shrank before it was opened, and one that shrinks while it is read: the worker lives on.
  const [pid] = pool.pids();
  fs.ftruncateSync(lane.fd, 3);
  await assert.rejects(pool.call({ op: 'digest', data: lane.ref() }), /has only 3 bytes/);
  const large = new Lane();
  const shrunk = await inTheMiddle(pool, large, async () => fs.ftruncateSync(large.fd, 0));
  assert.match(shrunk.message, /was made smaller while it was open/);
  assert.strictEqual((await pool.call({ op: 'digest', data: Buffer.from('x') })).bytes, 1);
  assert.strictEqual(pool.pids()[0], pid);
  large.close();
  lane.close();
}

// A worker that may not look into our /proc (a Node with file capabilities) inherits the descriptor.
async function canBeInherited() {
  const lane = filled(Buffer.from('inherited'));
  const worker = fork('x', [], { execPath, execArgv: [], serialization: 'advanced',
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', lane.fd] });
  const answers = [];
  worker.on('message', (answer) => answers.push(answer));
  worker.send({ id: 1, op: 'digest', data: { lane: '/proc/self/fd/4', size: 9 } });
  await until(() => answers.at(-1)?.progress === undefined && answers.length > 0);
  assert.deepStrictEqual(answers.at(-1).result, javascript.digest(Buffer.from('inherited')));
  worker.disconnect();
  await once(worker, 'exit');
  lane.close();
}

// Whoever dies in the middle, of whatever: no file is left, since none has a name.
async function survivesAWorkerThatDies() {
  const pool = new Pool(execPath, 1);
  const lane = new Lane();
  const failure = await inTheMiddle(pool, lane, () => {
    const [victim] = pool.pids();
    process.kill(victim, 'SIGKILL');
    return until(() => pool.pids()[0] !== victim); // a successor
  });
  assert.match(failure.message, /was killed by SIGKILL/);
  assert.strictEqual((await pool.call({ op: 'digest', data: lane.ref(1000) })).bytes, 1000); // the lane is as it was
  lane.close();
  await pool.close();
}

// lane.js EXEC hold: is killed by the test, with its worker in the middle.
async function hold() {
  const lane = new Lane();
  fs.ftruncateSync(lane.fd, 64 << 20);
  const pool = new Pool(execPath, 1);
  for (;;) await pool.call({ op: 'digest', data: lane.ref(64 << 20) }, () => console.log('in the middle'));
}

(async () => {
  if (process.argv[3] === 'hold') return hold();
  const pool = new Pool(execPath, 3);
  await givesWhatJavaScriptGives(pool);
  await servesManyAtOnce(pool);
  await takesAndGivesStreams(pool);
  await isPrivateAndLeavesNoFile(pool);
  await pool.close();
  const single = new Pool(execPath, 1);
  await refusesWhatIsNoLane(single);
  await single.close();
  await canBeInherited();
  await survivesAWorkerThatDies();
  return console.log('done');
})();
