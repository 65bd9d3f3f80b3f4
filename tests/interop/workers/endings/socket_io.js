// Socket.IO on $PORT, as its manual has it. No handler for any signal.
'use strict';
const { Server } = require('socket.io');
const { serve } = require('./service');

new Server(serve()).on('connection', (socket) => socket.emit('hello'));
