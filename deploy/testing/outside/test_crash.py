"""kill -9 under load: what was acknowledged is kept, in one order, and everybody goes on by themselves."""

import asyncio
import unittest
from collections import Counter

from testing.browser import Browser
from testing.database import Database
from testing.rpc import Client
from testing.system import House

BROWSERS = 6
ROOM = "general"
GO_ON = 3  # messages each browser must get through after each kill
LIMIT = 60


def log_of(house):
    """All messages of the room, as a stranger reads them."""
    client = Client(house.grpc)
    try:
        messages, after = [], 0
        while True:
            page = client.call("ListMessages", room=ROOM, after_seq=after, page_size=200)
            messages += page.messages
            if not page.more:
                return messages
            after = messages[-1].id
    finally:
        client.close()


class Crash(unittest.IsolatedAsyncioTestCase):
    """Both services as processes of their own, ended without a word."""

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it reports each callback that a busy machine slows down

    async def everyone_gets_through(self, browsers):
        """Each browser has some more messages acknowledged."""
        async with asyncio.timeout(LIMIT):
            for browser in browsers:
                goal = len(browser.acknowledged) + GO_ON
                await browser.until(lambda browser=browser, goal=goal: len(browser.acknowledged) >= goal)

    async def story(self, house, victims):
        """Browsers talk; each victim is killed and started again; returns the browsers, quiet and up to date."""
        browsers = [Browser(house.web, ROOM, f"browser-{number}") for number in range(BROWSERS)]
        lives = [asyncio.create_task(browser.live()) for browser in browsers]
        try:
            await self.everyone_gets_through(browsers)
            for victim in victims:
                victim.kill()
                victim.start()
                await asyncio.to_thread(victim.ready)
                for browser in browsers:
                    browser.doubt()  # whether or not the crash has cost somebody an answer
                await self.everyone_gets_through(browsers)
            for browser in browsers:
                browser.enough.set()
            await self.quiet(browsers)
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
        return browsers

    async def quiet(self, browsers):
        """All are acknowledged what they have said, and have been given all that anyone said."""
        async with asyncio.timeout(LIMIT):
            last = max(seq for browser in browsers for seq in browser.acknowledged.values())
            for browser in browsers:
                await browser.until(lambda browser=browser: browser.given and browser.given[-1][0] >= last)

    def nothing_is_lost(self, house, browsers):
        messages = log_of(house)
        self.assertEqual([message.id for message in messages], list(range(1, len(messages) + 1)), "P2: seqs are gapless")
        keys = {message.id: message.client_message_id for message in messages}
        said = Counter(message.content for message in messages)
        twice = [content for content, count in said.items() if count > 1]
        self.assertEqual(twice, [], "P5: a repeat is the same message")
        for browser in browsers:
            for key, seq in browser.acknowledged.items():
                self.assertEqual(keys.get(seq), key, f"P6: {key} was acknowledged as {seq}")
            last = browser.given[-1][0]
            given = [seq for seq, _ in browser.given]
            self.assertEqual(given, list(range(browser.first + 1, last + 1)), f"P3: each once, to {browser.name}")
            self.assertEqual([key for _, key in browser.given], [keys[seq] for seq in given])
            self.assertEqual((browser.resyncs, browser.refusals), ([], []), browser.name)
            self.assertEqual(browser.contradictions, [], "P5: a repeat is answered with the first answer")
            self.assertGreater(len(browser.acknowledged), 2 * GO_ON)

    async def the_room_service_is_killed(self, **settings):
        with House() as house:
            room = await asyncio.to_thread(lambda: house.room(SEND_RATE=0, **settings))
            await asyncio.to_thread(house.gateway)
            browsers = await self.story(house, [room, room, room])
            self.nothing_is_lost(house, browsers)

    async def test_p6_the_room_service_on_sqlite(self):
        await self.the_room_service_is_killed()

    async def test_p6_the_room_service_on_postgres(self):
        with Database() as database:
            await self.the_room_service_is_killed(STORE=database.url)

    async def test_p4_the_gateway(self):
        with House() as house:
            await asyncio.to_thread(lambda: house.room(SEND_RATE=0))
            gateway = await asyncio.to_thread(house.gateway)
            browsers = await self.story(house, [gateway, gateway])
            self.nothing_is_lost(house, browsers)
            self.assertTrue(all(browser.sessions >= 3 for browser in browsers))

    async def test_both_in_one_process(self):
        with House() as house:
            parlour = await asyncio.to_thread(lambda: house.together(SEND_RATE=0))
            browsers = await self.story(house, [parlour, parlour])
            self.nothing_is_lost(house, browsers)
