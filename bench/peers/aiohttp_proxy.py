"""The proxy that a first tutorial of aiohttp would show: ``aiohttp_proxy.py PORT BACKEND_PORT``."""

import json
import sys
from itertools import count

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

PORT, BACKEND = int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}"
HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length", "te", "trailer"}
SESSION = web.AppKey("session", ClientSession)
NUMBERS = count(1)


async def proxy(request):
    """Pass one request on, and its answer back."""
    body = await request.read()
    fields = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
    fields["X-Forwarded-For"] = request.remote
    asking = request.app[SESSION].request(
        request.method, BACKEND + request.raw_path[5:], headers=fields, data=body or None, auto_decompress=False
    )
    async with asking as reply:
        answer = web.StreamResponse(
            status=reply.status,
            headers={name: value for name, value in reply.headers.items() if name.lower() not in HOP},
        )
        if "Content-Length" in reply.headers:
            answer.content_length = int(reply.headers["Content-Length"])
        answer.headers["X-Olla-Endpoint"] = "sim"
        answer.headers["X-Olla-Model"] = json.loads(body)["model"] if body else ""
        answer.headers["X-Olla-Backend-Type"] = "openai"
        answer.headers["X-Olla-Request-ID"] = f"{next(NUMBERS):08x}"
        await answer.prepare(request)
        async for piece in reply.content.iter_any():
            await answer.write(piece)
        await answer.write_eof()
        return answer


async def session(app):
    """Keep one session as long as the application runs."""
    async with ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None)) as app[SESSION]:
        yield


app = web.Application(client_max_size=1 << 26)
app.cleanup_ctx.append(session)
app.router.add_route("*", "/olla/{path:.*}", proxy)
web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None, backlog=4096)
