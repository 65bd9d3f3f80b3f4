// What workers do in Node's own tests of cluster, under a primary of ours: $SCENARIO says which.
// What they find they send.
'use strict';
const { worker } = require('cluster');
const dgram = require('dgram');
const http = require('http');
const net = require('net');

const { PORT, FD, SOCKET, HOW, HANDLES } = process.env;
const port = Number(PORT);

function finish(message) {
  process.send(message);
  worker.disconnect();
}

// The next thing that the primary is asked is answered after all that it was asked before.
function afterReplies(task) {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, () => socket.close(task));
}

const scenarios = {
  // --- UDP
  childIndexDgram() {
    const bind = (task) => {
      const socket = dgram.createSocket('udp4');
      socket.bind(0, () => task(socket));
    };
    bind((first) => bind((second) => first.close(() => bind((third) => bind((fourth) => {
      const ports = [second, third, fourth].map((socket) => socket.address().port);
      finish(`${new Set(ports).size} ports`);
    })))));
  },
  tenPackets() {
    const socket = dgram.createSocket('udp4');
    let packets = 0;
    socket.on('message', () => { if (++packets === 10) finish('10 packets'); });
    socket.bind(port, '127.0.0.1');
  },
  sendPackets() {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      for (let i = 0; i < 10; ++i) socket.send(`${worker.id}`, port, '127.0.0.1');
    });
  },
  dgramFd() {
    const socket = dgram.createSocket('udp4');
    socket.on('message', (_, from) => socket.send(`${worker.id}`, from.port, from.address));
    socket.bind({ fd: Number(FD) }, () => process.send('bound'));
  },
  dgramIpv6Only() {
    dgram.createSocket({ type: 'udp6', ipv6Only: true }).bind(port, () => process.send('bound'));
  },
  dgramReuse() {
    const create = () => dgram.createSocket({ type: 'udp4', reuseAddr: true });
    create().bind(port, () => create().bind(port, () => finish('both')));
  },
  dgramReusePort() {
    const socket = dgram.createSocket({ type: 'udp4', reusePort: true });
    socket.bind(port, () => { socket.close(); finish('bound'); });
  },
  dgramUnshared() {
    if (worker.id === 1) {
      process.on('SIGUSR2', () => worker.disconnect());
      return process.send('ready');
    }
    const socket = dgram.createSocket('udp4');
    socket.on('message', (text, from) => socket.send(text, from.port, from.address));
    socket.bind(port, '127.0.0.1');
  },
  dgramCloseBeforeReply() {
    const socket = dgram.createSocket('udp4');
    let errors = 0;
    socket.on('error', () => { ++errors; });
    socket.bind(port);
    socket.close();
    afterReplies(() => finish(`${errors} errors`));
  },
  dgramError() {
    const socket = dgram.createSocket('udp4');
    socket.once('error', ({ message }) => {
      process.send(message);
      socket.bind(0, () => finish('bound after all'));
    });
    socket.bind(port);
  },
  dgramCloseDuringBind() {
    const bind = () => dgram.createSocket('udp4').bind(port);
    bind().close();
    afterReplies(() => bind().on('listening', () => finish('bound again')));
  },
  dgramCloseInListening() {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, () => socket.close(() => finish('closed')));
  },
  dgramUnref() {
    dgram.createSocket('udp4').unref().bind(port, () => process.channel.unref());
  },

  // --- TCP and Unix sockets
  httpPipe() {
    const server = http.createServer((request, response) => response.end('by pipe'));
    server.listen(SOCKET, () => http.get({ socketPath: SOCKET }, (response) => {
      response.on('data', (data) => finish(`${data}`));
    }));
  },
  listenFd() {
    http.createServer((request, response) => response.end(`${worker.id}`))
      .listen({ fd: Number(FD) }, () => process.send('listens'));
  },
  netReusePort() {
    const server = net.createServer().listen({ port, reusePort: true }, () => {
      server.close();
      finish('bound');
    });
  },
  ref() {
    const server = net.createServer().listen(port, () => {
      process.channel.unref();
      server.unref().ref();
      server.close(() => process.send('closed'));
    });
  },
  unref() {
    const server = net.createServer();
    if (HOW === 'before') server.unref();
    server.listen(port, () => {
      if (HOW === 'after') server.unref();
      process.channel.unref();
    });
  },
  drop() {
    const server = http.createServer((request, response) => response.end('served'));
    server.maxConnections = 0;
    server.dropMaxConnection = true;
    server.on('drop', () => process.send('drop'));
    server.listen(port);
  },
  closeBeforeConnection() {
    const server = net.createServer((socket) => socket.end(`${worker.id}`)).listen(port);
    process.on('message', () => server.close());
  },

  // --- messages and handles
  sendTwice() {
    net.createServer({ pauseOnConnect: true }, (socket) => {
      process.send('first', socket);
      process.send('second', socket);
    }).listen(port);
  },
  crossHandles() {
    // Not in order: a large message whose handle Node missed is sent again.
    const received = new Set();
    process.on('message', (message, handle) => {
      if (handle) received.add(message.i);
      handle.destroy();
      if (received.size === Number(HANDLES)) process.send({ received: received.size });
    });
    // The same payload back, so that the primary finds what it sent.
    process.once('message', ({ payload }) => {
      const server = net.createServer((socket) => socket.resume());
      process.on('disconnect', () => server.close());
      server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
        let sent = 0;
        for (let i = 0; i < Number(HANDLES); ++i) {
          const socket = net.connect(server.address().port, '127.0.0.1', () => {
            process.send({ i: sent++, payload }, socket);
          });
        }
      });
    });
  },
  cyclic() {
    const cyclic = { list: [1] };
    cyclic.self = cyclic;
    process.on('message', (back) => {
      finish(back.self === back && back.list[0] === 1 ? 'the same came back' : 'something else');
    });
    process.send({ echo: cyclic });
  },
  bothListeners() {
    const heard = [];
    const hear = (who) => (text) => {
      heard.push(`${who} ${text}`);
      if (heard.length === 2) finish(heard.sort());
    };
    process.on('message', hear('process'));
    worker.on('message', hear('worker'));
  },

  // --- ends
  endless() {
    process.send({ ask: 'terminate' }, () => { for (;;); });
  },
  uncaught() {
    process.on('uncaughtException', () => process.exit(42));
    throw new Error('on purpose');
  },
};

scenarios[process.env.SCENARIO]();
