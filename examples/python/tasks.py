"""The asyncio client: many tasks, few connections, one slow answer that nobody waits for."""

import asyncio
import os

import antcache


async def main() -> None:
    async with antcache.AsyncClient(port=int(os.environ.get("PORT", "8890")), decode=True) as client:
        await asyncio.gather(*(client.set(f"task:{number}", number, ttl=60) for number in range(100)))
        values = await asyncio.gather(*(client.get(f"task:{number}") for number in range(100)))
        print(sum(map(int, values)))

        # A task that stops waiting leaves the connection in step: the next reply is the right one.
        waiting = asyncio.ensure_future(client.get("task:1"))
        await asyncio.sleep(0)
        waiting.cancel()
        print(await client.get("task:2"))


asyncio.run(main())
