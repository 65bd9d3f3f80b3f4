// An ECMAScript module as a worker.
import cluster from 'node:cluster';

process.send(import.meta.url.slice(-10) + ` worker ${cluster.worker.id}`);
process.disconnect();
