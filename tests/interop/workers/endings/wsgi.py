# A WSGI program, for gunicorn. /slow takes a second.
import os
import time


def app(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        os.write(1, b'request\n')
        time.sleep(1)
    body = b'hello world\n'
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
