# plain.py [handler]: HTTP on descriptor 3, each request in a thread; /slow takes a second. With a handler for TERM it
# finishes them.
import http.server
import os
import signal
import socket
import sys
import threading
import time


def say(line):
    os.write(1, line.encode() + b'\n')  # whole


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/slow':
            say('request')
            time.sleep(1)
        body = b'hello world\n'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = 'handler' not in sys.argv

    def __init__(self):
        super().__init__(('', 0), Answers, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=3)


def stop(number, _):
    say(signal.Signals(number).name)
    threading.Thread(target=server.shutdown).start()


server = Server()
if 'handler' in sys.argv:
    signal.signal(signal.SIGTERM, stop)
say('ready')
try:
    server.serve_forever()
except KeyboardInterrupt:
    say('KeyboardInterrupt')
else:
    server.server_close()
    say('ends')
