// Answers each datagram on $PORT in capitals.
'use strict';
const socket = require('dgram').createSocket('udp4');
socket.on('message', (bytes, from) => {
  socket.send(bytes.toString().toUpperCase(), from.port, from.address);
});
socket.bind(Number(process.env.PORT), '127.0.0.1');
