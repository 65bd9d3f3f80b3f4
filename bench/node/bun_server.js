// bun_server.js PORT: one of several Bun processes that share a port by SO_REUSEPORT.
const body = `${process.pid}\n`;
Bun.serve({
  port: Number(process.argv[2]),
  reusePort: true,
  fetch(req) {
    const at = req.url.indexOf('/block/');
    if (at !== -1) {
      const end = Date.now() + Number(req.url.slice(at + '/block/'.length));
      while (Date.now() < end);
    }
    return new Response(body);
  },
});
