"""New heads over WebSocket with web3.py: web3_heads.py COUNT."""

import asyncio
import json
import os
import sys

from web3 import AsyncWeb3, WebSocketProvider


async def main(count):
    async with AsyncWeb3(WebSocketProvider(os.environ["RPC_WS"])) as web3:
        await web3.eth.subscribe("newHeads")
        print("subscribed", flush=True)
        heads = []
        async for message in web3.socket.process_subscriptions():
            head = message["result"]
            heads.append(f"{head['number']}/{head['hash'].to_0x_hex()}")
            print(heads[-1], file=sys.stderr, flush=True)
            if len(heads) == count:
                break
        print(json.dumps({"heads": ",".join(heads)}), flush=True)


asyncio.run(main(int(sys.argv[1])))
