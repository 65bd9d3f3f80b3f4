// web_socket_clients.js ws|socket.io COUNT: clients of web_socket_echo.js on $PORT. Each sends one message after the
// other and wants its echo. One that is closed connects again at once; nothing else is tried again.
//
// Lines: `open`; `closed CODE` with the code of the server's close frame, 1006 if it sent none; `failed WHY` of what
// may not happen; `round`, when each of them has had an echo since the one before. TERM: each waits for the echo that it has asked for, closes and is done.
'use strict';
const [kind, count] = process.argv.slice(2);
const port = process.env.PORT;
const pause = 5;  // ms between an echo and the next message
let stopping = false, number = 0;
const answered = new Set();  // clients, in this round

const say = (line) => console.log(line);

// `send(text)`, `close()` of an open connection; `echoed(text)`, `closed(code)` are called.
function talk(client, send, close) {
  let asked, timer;
  const next = () => {
    if (stopping) return close();
    asked = `message ${++number}`;
    send(asked);
  };
  say('open');
  next();
  return {
    echoed(text) {
      if (text !== asked) say(`failed: ${text} for ${asked}`);
      asked = undefined;
      if (answered.add(client).size === Number(count)) {
        answered.clear();
        say('round');
      }
      timer = setTimeout(next, pause);
    },
    closed(code) {
      clearTimeout(timer);
      if (!stopping) say(`closed ${code}`);
      else if (asked) say(`failed: closed ${code} without an answer`);
      if (!stopping) connect(client);
    },
  };
}

function connectWebSocket(client) {
  const { WebSocket } = require('ws');
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  let talker;
  socket.on('open', () => { talker = talk(client, (text) => socket.send(text), () => socket.close(1000)); });
  socket.on('message', (text) => talker.echoed(String(text)));
  socket.on('error', (error) => talker || say(`failed: ${error.message}`));
  socket.on('close', (code) => talker && talker.closed(code));
}

// As its manual has it, but that it tries nothing again by itself: it polls first.
function connectSocketIo(client) {
  const { io } = require('socket.io-client');
  const socket = io(`http://127.0.0.1:${port}`, { reconnection: false, forceNew: true });
  let talker;
  const ask = (text) => socket.emit('echo', text, (answer) => talker.echoed(answer));
  const begin = () => { talker = talk(client, ask, () => socket.disconnect()); };
  socket.on('connect', () => {
    const { engine } = socket.io;
    if (engine.transport.name === 'websocket') begin();
    else engine.once('upgrade', begin);
  });
  socket.on('connect_error', (error) => say(`failed: ${error.message}`));
  socket.on('disconnect', (reason, details) => {
    if (!talker) return say(`failed: ${reason} before it was a WebSocket`);
    talker.closed(stopping ? reason : details?.context?.code ?? reason);
  });
}

const connect = kind === 'ws' ? connectWebSocket : connectSocketIo;
process.on('SIGTERM', () => { stopping = true; });
for (let i = 0; i < Number(count); ++i) connect(i);
