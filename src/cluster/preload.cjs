// Runs in every Node worker before its program (`NODE_OPTIONS=--require FILE`). It tells the primary what only the
// process itself knows, and helps the worker to end without losing a request. docs/signals.md says what happens when.
//
// The program sees nothing of it: messages that begin with NODE_ are no 'message' events. Until the worker is told to
// end, it does nothing but report which signals have listeners, and count requests. Node 20 and 26 were read and tried.
'use strict';

// Under a shell: whose child the worker is. One that the shell has started is not the worker itself.
const parent = process.env.COHORT_PARENT;
delete process.env.COHORT_PARENT;

if (process.connected) {
  forget();
  const cluster = require('cluster');
  const isWorker = parent === undefined || Number(parent) === process.ppid;
  if (cluster.worker && isWorker) start(cluster);  // none under `node -e` of Node 20, which is no worker then
}

// Children and threads of the program get the NODE_OPTIONS of the user: what is before ours.
function forget() {
  const options = process.env.NODE_OPTIONS ?? '';
  const own = options.lastIndexOf(`--require "${__filename}"`);
  if (own === 0) delete process.env.NODE_OPTIONS;
  if (own > 0) process.env.NODE_OPTIONS = options.slice(0, own).trimEnd();
}

function start(cluster) {
  const net = require('net');  // the channel has loaded it
  const send = process.send;
  const secure = new WeakMap();  // of a TLS server: raw socket -> what the program sees
  const sessions = new Set();  // of HTTP/2
  let draining = false;
  let closes = false;  // answers are looked at
  let resting;  // the timer, while it does

  function tell(message) {
    if (process.connected) send.call(process, { cmd: 'NODE_CLUSTER', ...message }, () => {});
  }

  // What the program listens for, as far as it matters to its end.
  function listeners() {
    const names = process.eventNames().filter((name) => typeof name === 'string' && name.startsWith('SIG'));
    // Node's cluster has one of its own.
    const disconnect = process.listenerCount('disconnect') > 1 || cluster.worker.listenerCount('disconnect') > 0;
    return { signals: names, disconnect };
  }
  let told = '';
  function tellListeners() {
    const now = JSON.stringify(listeners());
    if (now === told) return;
    told = now;
    tell({ act: 'listeners', ...listeners() });
  }
  function changed(name) {
    if (typeof name === 'string' && (name.startsWith('SIG') || name === 'disconnect')) process.nextTick(tellListeners);
  }
  process.on('newListener', changed);
  process.on('removeListener', changed);
  tellListeners();

  delete process.env.COHORT_LEADER;  // of a leader that started this cluster

  // SIGUSR1 opens the debugger: each worker its own.
  const slot = Number(process.env.COHORT_SLOT);
  if (slot > 0 && process.debugPort === 9229) process.debugPort = 9229 + slot;

  // Said before its servers are closed, since Node says it when its last connection has ended: their ports stay open,
  // and a successor is started.
  const workers = Object.getPrototypeOf(cluster.worker);
  const disconnect = workers.disconnect;
  workers.disconnect = function () {
    if (this === cluster.worker) tell({ act: 'leaving' });
    return disconnect.call(this);
  };

  // How many requests were answered, told once a second while there are some. Of HTTP/2: those that have begun.
  let requests = 0;
  let counts = false;
  let telling;
  function tellRequests() {
    telling = undefined;
    tell({ act: 'requests', count: requests });
  }
  function count() {
    ++requests;
    telling ??= setTimeout(tellRequests, 1000).unref();
  }
  function countOf(server) {
    if (counts || server.timeout === undefined) return;  // servers that speak no HTTP have none
    counts = true;
    require('diagnostics_channel').subscribe('http.server.response.finish', count);
    tellRequests();
  }

  const getServer = cluster._getServer;
  cluster._getServer = function (server, options, callback) {
    // A limit that the worker keeps by closing what is too much, unless each connection is offered to it.
    if (server.maxConnections > 0) options = { ...options, maxConnections: server.maxConnections };
    countOf(server);
    if (/^Http2/.test(server.constructor.name)) {
      server.on('session', (session) => {
        sessions.add(session);
        session.on('stream', count);
        session.once('close', () => sessions.delete(session));
      });
    } else if (typeof server.setSecureContext === 'function') {
      server.on('secureConnection', (socket) => socket._parent && secure.set(socket._parent, socket));
    }
    return getServer.call(this, server, options, callback);
  };

  process.on('internalMessage', (message) => {
    if (message.cmd !== 'NODE_CLUSTER') return;
    if (message.act === 'lead') lead(message.on);
    if (draining) return;
    if (message.act === 'rest') rest(message);
    if (message.act !== 'drain') return;
    rest({ on: false });
    draining = true;
    drain(message);
  });

  // What only the leader does has to be stopped when the listeners have returned: then another leads.
  function lead(on) {
    if (on) process.env.COHORT_LEADER = '1';
    else delete process.env.COHORT_LEADER;
    try {
      process.emit('cohort:leader', on);
    } finally {  // one that throws has returned, too
      if (!on) tell({ act: 'follows' });
    }
  }

  // Others serve meanwhile: clients are to go there, and may come back. What is no HTTP stays.
  function rest({ on, quiet }) {
    clearInterval(resting);
    resting = undefined;
    if (!on) return;
    answerWithClose();
    const idle = new WeakMap();
    resting = setInterval(() => serve(idle, quiet, false), often(quiet)).unref();
  }

  // `quiet`: for so many milliseconds a connection without a request is left open for one that is on its way.
  // `goodbye`: nobody else says goodbye to WebSocket clients.
  function drain({ quiet, goodbye }) {
    // The channel keeps a worker alive; the program alone would end when its servers have closed.
    process.channel?.unref();
    answerWithClose();
    const idle = new WeakMap();  // HTTP connections: since when nothing came, and how much had
    let last = '';
    const look = () => {
      const now = JSON.stringify(serve(idle, quiet, goodbye));
      if (now === last) return;
      last = now;
      tell({ act: 'serving', ...JSON.parse(now) });
    };
    setInterval(look, often(quiet)).unref();
    look();
  }

  function often(quiet) {
    return Math.min(50, Math.max(10, quiet / 4));
  }

  // `requests`: HTTP that will end by itself. `connections`: all, of every server.
  function serve(idle, quiet, goodbye) {
    const work = { requests: 0, connections: 0 };
    const lists = new Set();
    for (const raw of process._getActiveHandles()) {
      if (!(raw instanceof net.Socket) || !raw.server || raw.destroyed) continue;
      ++work.connections;
      const list = inside(raw.server, 'http.server.connections');
      if (list) lists.add(list);
      if (goodbye) endWebSocket(inside(secure.get(raw) ?? raw, 'websocket'));
    }
    for (const session of sessions) work.requests += endSession(session);
    for (const list of lists)
      for (const parser of list.all())
        if (parser.socket && !parser.socket.destroyed) work.requests += endIdle(parser, idle, quiet);
    return work;
  }

  // 1 if a request is under way, or may be on its way.
  function endIdle(parser, idle, quiet) {
    const socket = parser.socket;
    const answer = socket._httpMessage;
    if (answer) {
      idle.delete(socket);
      return isEndless(answer) ? 0 : 1;
    }
    const before = idle.get(socket);
    const now = process.uptime() * 1000;
    if (!before || before.bytes !== socket.bytesRead) idle.set(socket, { bytes: socket.bytesRead, since: now });
    else if (now - before.since >= quiet && !(parser.incoming && !parser.incoming.complete)) socket.destroySoon();
    return 1;
  }

  // Events are streamed until the program, or the client, ends it.
  function isEndless(answer) {
    return /\r\ncontent-type: *text\/event-stream/i.test(answer._header ?? '');
  }

  // HTTP/2. Node 20's own close does not tell the client.
  function endSession(session) {
    if (!session.closed && !session.destroyed) {
      session.goaway();
      session.close();
    }
    return session.destroyed ? 0 : 1;
  }

  // `ws`, and what is made of it.
  function endWebSocket(socket) {
    const open = 1, goingAway = 1001;
    if (socket?.readyState === open) socket.close(goingAway);
  }

  // Where Node and libraries keep what belongs to an object.
  function inside(object, description) {
    const symbol = Object.getOwnPropertySymbols(object).find((each) => each.description === description);
    return symbol && object[symbol];
  }

  // Each answer says that it is the last one of its connection, while this ends or rests. Where heads are made:
  // writeHead, which frameworks replace, comes before.
  function answerWithClose() {
    if (closes || !process.moduleLoadList.includes('NativeModule http')) return;
    closes = true;
    const { OutgoingMessage, ServerResponse } = require('http');
    const store = OutgoingMessage.prototype._storeHeader;
    OutgoingMessage.prototype._storeHeader = function (...head) {
      const answers = this instanceof ServerResponse && (draining || resting !== undefined);
      if (answers) this.shouldKeepAlive = false;
      store.apply(this, head);
      // The program asked for keep-alive itself.
      if (!answers || this._last) return;
      const closed = this._header.replace(/\r\nconnection: *keep-alive(?=\r\n)/i, '\r\nConnection: close');
      if (closed === this._header) return;
      this._header = closed.replace(/\r\nkeep-alive:[^\r]*/i, '');
      this._last = true;
    };
  }
}
