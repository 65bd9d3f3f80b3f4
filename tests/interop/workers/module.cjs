// A CommonJS module as a worker.
'use strict';
const cluster = require('cluster');

process.send(__filename.slice(-10) + ` worker ${cluster.worker.id}`);
process.disconnect();
