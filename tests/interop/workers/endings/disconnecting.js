// Says that it leaves (cluster.worker.disconnect) when it is asked to end, as many programs for Node's cluster do.
'use strict';
const cluster = require('node:cluster');
const { serve } = require('./service');

serve();
process.on('SIGTERM', () => cluster.worker.disconnect());
