// A pool of C++ workers for a Node server: plain JavaScript, no native code.
//
//   const pool = new Pool('path/to/binary_worker', 2);
//   const { sha256 } = await pool.call({ op: 'digest', data: buffer });
//
// A call goes to the worker with the fewest calls. One whose worker dies is rejected with what is
// known of its end, and the worker is replaced. `pool.close()` lets the calls finish.
'use strict';
const { fork } = require('child_process');

class Pool {
  #program; #options; #members = []; #closed = false; #lastId = 0; #failures = 0;

  constructor(program, size = require('os').availableParallelism(), options = {}) {
    this.#program = program;
    this.#options = { execArgv: [], serialization: 'advanced', ...options, execPath: program };
    for (let i = 0; i < size; ++i) this.#start(i);
  }

  call(job, onProgress) {
    if (this.#closed) return Promise.reject(new Error('the pool is closed'));
    const free = this.#members.filter((member) => member.child.connected);
    if (free.length === 0) return Promise.reject(new Error(`no worker of ${this.#program} runs`));
    const member = free.reduce((a, b) => (a.calls.size <= b.calls.size ? a : b));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      member.calls.set(id, { resolve, reject, onProgress });
      member.child.send({ ...job, id }, (error) => {
        if (error) this.#settle(member, id)?.reject(error);
      });
    });
  }

  pids() { return this.#members.map((member) => member.child.pid); }

  async close() {
    this.#closed = true;
    await Promise.all(this.#members.map((member) => new Promise((resolve) => {
      member.whenIdle = () => member.child.connected && member.child.disconnect();
      if (member.child.exitCode !== null || member.child.signalCode !== null) return resolve();
      member.child.once('exit', resolve);
      return member.calls.size === 0 && member.whenIdle();
    })));
  }

  #start(place) {
    const child = fork('pool', [], this.#options);
    const member = { child, calls: new Map(), whenIdle: undefined };
    this.#members[place] = member;
    child.on('message', ({ id, result, error, progress }) => {
      this.#failures = 0;
      if (progress !== undefined) return member.calls.get(id)?.onProgress?.(progress);
      const call = this.#settle(member, id);
      return error ? call?.reject(new Error(error)) : call?.resolve(result);
    });
    child.on('error', (error) => this.#gone(member, place, error));
    child.on('exit', (code, signal) => this.#gone(member, place, Object.assign(
      new Error(`worker ${child.pid} ${signal ? `was killed by ${signal}` : `exited with code ${code}`}`), { pid: child.pid, code, signal })));
  }

  #settle(member, id) {
    const call = member.calls.get(id);
    member.calls.delete(id);
    if (member.calls.size === 0) member.whenIdle?.();
    return call;
  }

  #gone(member, place, error) {
    for (const id of [...member.calls.keys()]) this.#settle(member, id).reject(error);
    if (this.#closed || this.#members[place] !== member) return;
    // At once after a first death, later the more often it dies without an answer.
    setTimeout(() => this.#closed || this.#start(place), Math.min(100 * 2 ** this.#failures++ - 100, 10000)).unref();
  }
}

module.exports = { Pool };
