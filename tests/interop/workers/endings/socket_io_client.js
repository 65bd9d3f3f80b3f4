// A client of socket_io.js on $PORT. Ends when it has lost its connection.
'use strict';
const { io } = require('socket.io-client');

const socket = io(`http://127.0.0.1:${process.env.PORT}`, { reconnection: false });
socket.on('connect_error', (error) => console.log(`error ${error.message}`));
socket.on('hello', () => console.log('hello'));
// Its transport is a WebSocket from now on.
socket.io.engine.on('upgrade', () => console.log('upgraded'));
socket.on('disconnect', () => console.log('disconnected'));
