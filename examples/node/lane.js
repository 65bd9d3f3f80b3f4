// A lane: large data between this program and a C++ worker, without a copy on the channel. Plain
// JavaScript; the worker maps the file that this program writes (cohort/lane.h).
//
//   const lane = new Lane(256e6);                      // room for so many bytes; it grows
//   await pipeline(request, lane.writable());          // or lane.write(bytes, position)
//   await pool.call({ op: 'aggregate', data: lane.ref(), key: 'host', value: 'bytes' });
//
//   const out = new Lane(25e6);                        // the worker makes it as large as the result
//   const { bytes } = await pool.call({ op: 'blur', data: lane.ref(), out: out.ref() });
//   out.readable(bytes).pipe(response);                // or out.read(bytes)
//
// Use it again and again: its memory is there then. The file has no name and mode 0600, so nothing
// is left of it when both sides are gone, whatever ended them; `close()` gives it back before. Do
// not write to it while a worker has it, and never make it smaller then.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// /dev/shm is memory; a container's may have no more than 64 MB (docker run --shm-size).
const folderFor = (size) => {
  try {
    const { bavail, bsize } = fs.statfsSync('/dev/shm');
    if (bavail * bsize >= size) return '/dev/shm';
  } catch {} // there is none
  process.emitWarning(`a lane of ${size} bytes is in ${os.tmpdir()}: /dev/shm has no room for it`, 'LaneWarning');
  return os.tmpdir();
};

class Lane {
  #fd; #written = 0;

  constructor(room = 0, folder = folderFor(room)) {
    const name = path.join(folder, `lane-${process.pid}-${require('node:crypto').randomUUID()}`);
    this.#fd = fs.openSync(name, 'wx+', 0o600);
    fs.unlinkSync(name);
  }

  // An ordinary descriptor, for whatever `fs` does with one; -1 after `close`.
  get fd() { return this.#fd; }

  // What a message to the worker has in place of the data.
  ref(size = this.#written) { return { lane: `/proc/${process.pid}/fd/${this.#fd}`, size }; }

  // Blocks as memory does. Gives the position behind what was written.
  write(bytes, position = 0) {
    for (let at = 0; at < bytes.length;) at += fs.writeSync(this.#fd, bytes, at, bytes.length - at, position + at);
    return (this.#written = position + bytes.length);
  }

  read(size, position = 0) { return this.readInto(Buffer.allocUnsafeSlow(size), position); }

  readInto(buffer, position = 0) {
    for (let at = 0; at < buffer.length;) {
      const count = fs.readSync(this.#fd, buffer, at, buffer.length - at, position + at);
      if (count === 0) throw new RangeError(`the lane ends at ${position + at}`);
      at += count;
    }
    return buffer;
  }

  writable() {
    const stream = fs.createWriteStream(null, { fd: this.#fd, start: 0, autoClose: false });
    return stream.on('finish', () => { this.#written = stream.bytesWritten; });
  }

  readable(size) { return fs.createReadStream(null, { fd: this.#fd, start: 0, end: size - 1, autoClose: false }); }

  close() {
    if (this.#fd !== -1) fs.closeSync(this.#fd);
    this.#fd = -1;
  }
}

module.exports = { Lane };
