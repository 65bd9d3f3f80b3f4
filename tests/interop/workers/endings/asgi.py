# An ASGI program, for uvicorn. /slow takes a second.
import asyncio
import os


async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            message = await receive()
            if message['type'] == 'lifespan.shutdown':
                os.write(1, b'shutdown\n')
            await send({'type': message['type'] + '.complete'})
            if message['type'] == 'lifespan.shutdown':
                return
    if scope['path'] == '/slow':
        os.write(1, b'request\n')
        await asyncio.sleep(1)
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'12')]})
    await send({'type': 'http.response.body', 'body': b'hello world\n'})
