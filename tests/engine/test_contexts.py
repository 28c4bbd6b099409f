"""Blocks (no_grad, scope, ...) in asyncio tasks, threads, and generators that wait in them or are decorated."""

import asyncio
import contextvars
import gc
import itertools
import threading

import pytest

import autograd_lite as ag
from autograd_lite.engine import modes
from autograd_lite.engine.lowering import FLOATS

X = ag.Value(2.0)


def recorded():
    return not (X * 3.0).is_leaf


def scoped():
    scope = (X * 3.0).scope
    return [s.name for s in scope.path()] if scope else []


def sourced():
    return ag.source_of(X * 3.0) is not None


def anomalous():
    """Whether detect_anomaly is on."""
    return modes.mode.on_adjoint is not None


BLOCKS = {
    "no_grad": (ag.no_grad, recorded),
    "scope": (lambda: ag.scope("a"), scoped),
    "record_source": (ag.record_source, sourced),
    "detect_anomaly": (ag.detect_anomaly, anomalous),
}


def quiet():
    gc.collect()
    return recorded() and scoped() == [] and not sourced() and not anomalous() and FLOATS["special"] == 0


@pytest.fixture(autouse=True)
def nothing_is_left():
    assert quiet()
    yield
    assert quiet()


each_block = pytest.mark.parametrize(("block", "look"), BLOCKS.values(), ids=BLOCKS)


# --- tasks and threads ------------------------------------------------------------------------------------


@each_block
def test_fault_43_two_tasks(block, look):
    """Task A sleeps in a block that B does not open; B's own block ends while A's is open, and the other way round."""
    outside, found = look(), {}

    async def in_block(name, before, within):
        await asyncio.sleep(before)
        with block():
            inside = look()
            await asyncio.sleep(within)
            found[name, "in"] = (inside, look())
        found[name, "after"] = look()

    async def beside():
        for k in range(8):
            found["beside", k] = look()
            await asyncio.sleep(0.002)

    async def main():
        await asyncio.gather(
            in_block("a", 0.0, 0.01), in_block("b", 0.004, 0.01), in_block("c", 0.002, 0.002), beside()
        )

    asyncio.run(main())
    for name in "abc":
        assert found[name, "in"] == (found["a", "in"][0],) * 2
        assert found[name, "in"][0] != outside
        assert found[name, "after"] == outside
    assert [found["beside", k] for k in range(8)] == [outside] * 8


@each_block
def test_a_task_keeps_the_block_that_it_was_started_in(block, look):
    async def later():
        await asyncio.sleep(0.005)
        return look()

    async def main():
        with block():
            inside, task = look(), asyncio.create_task(later())
            await asyncio.sleep(0.0)
        return look(), inside, await task, look()

    outside, inside, late, after = asyncio.run(main())
    assert (late, after) == (inside, outside)
    assert inside != outside


@each_block
def test_a_thread_is_not_in_the_block_of_another(block, look):
    outside, found = look(), []
    with block():
        thread = threading.Thread(target=lambda: found.append(look()))
        thread.start()
        thread.join()
        copied = contextvars.copy_context()
        thread = threading.Thread(target=lambda: found.append(copied.run(look)))
        thread.start()
        thread.join()
        inside = look()
    assert found == [outside, inside]


# --- generators -------------------------------------------------------------------------------------------


@each_block
def test_a_block_in_a_generator_that_waits_is_open_for_its_caller(block, look):
    outside = look()

    def steps():
        with block():
            yield look()
            yield look()
        yield look()

    generator = steps()
    inside = next(generator)
    assert inside != outside
    assert look() == inside
    assert next(generator) == inside
    assert next(generator) == outside
    assert look() == outside
    generator.close()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
@pytest.mark.parametrize("way", ["run on", "close", "throw", "forget"])
def test_blocks_in_generators_that_end_in_any_order(order, way):
    def waits(block):
        with block():
            yield

    generators = [waits(block) for block, _ in BLOCKS.values()]
    outside = [look() for _, look in BLOCKS.values()]
    list(map(next, generators))
    left = set(range(4))
    for k in order:
        if way == "run on":
            assert next(generators[k], "end") == "end"
        elif way == "close":
            generators[k].close()
        elif way == "throw":
            with pytest.raises(KeyError):
                generators[k].throw(KeyError)
        generators[k] = None
        left.discard(k)
        now = [look() for _, look in BLOCKS.values()]
        sources = 0 not in left and bool(left & {2, 3})  # detect_anomaly records them too, and a leaf has none
        expected = [0 in left, 1 in left and 0 not in left, sources, 3 in left]
        assert [now[i] != outside[i] for i in range(4)] == expected


@each_block
def test_a_decorated_generator_is_in_its_block_only_while_it_runs(block, look):
    outside = look()

    @block()
    def steps(first):
        """What it says."""
        found = [first, look()]
        try:
            found.append((yield look()))
            found.append(look())
            while True:
                try:
                    found.append((yield look()))
                except KeyError:
                    found.append(look())
        finally:
            ends.append(look())
        return found

    ends = []
    for _ in range(2):  # as often as one likes
        generator = steps("first")
        inside = next(generator)
        assert inside != outside
        assert look() == outside
        assert generator.send("sent") == inside
        assert generator.throw(KeyError) == inside
        assert look() == outside
        generator.close()
        assert look() == outside
    assert ends == [inside, inside]
    assert (steps.__name__, steps.__doc__) == ("steps", "What it says.")

    @block()
    def three():
        yield from range(3)
        return look()

    def whole():
        result = yield from three()
        yield result

    assert list(whole()) == [0, 1, 2, inside]


@each_block
def test_decorated_coroutines_and_asynchronous_generators(block, look):
    outside = look()

    @block()
    async def coroutine():
        first = look()
        await asyncio.sleep(0.002)
        return first, look()

    @block()
    async def generator():
        try:
            while True:
                try:
                    sent = yield look()
                    if sent is not None:
                        found.append((sent, look()))
                except KeyError:
                    found.append(look())
        finally:
            found.append(look())

    found = []

    async def beside():
        await asyncio.sleep(0.001)
        return look()

    async def main():
        (first, last), other = await asyncio.gather(coroutine(), beside())
        assert first == last != outside
        assert other == outside
        steps = generator()
        assert await steps.__anext__() == first
        assert look() == outside
        assert await steps.asend("sent") == first
        assert await steps.athrow(KeyError) == first
        await steps.aclose()
        assert found == [("sent", first), first, first]
        assert [x async for x in limited()] == [first, first]
        assert look() == outside

    @block()
    async def limited():
        yield look()
        yield look()

    asyncio.run(main())


def test_no_grad_decorates_without_brackets_and_with():
    @ag.no_grad
    def bare():
        return recorded()

    @ag.no_grad()
    def with_brackets():
        return recorded()

    @ag.no_grad
    def steps():
        yield recorded()

    class Model:
        @ag.no_grad
        def method(self, x):
            return x, recorded()

    assert (bare(), with_brackets(), list(steps()), Model().method(1)) == (False, False, [False], (1, False))
    assert recorded()
    with pytest.raises(TypeError, match="no_grad: takes a function to decorate"):
        ag.no_grad(3)


def test_a_generator_that_another_context_ends():
    """What was left open where it began is not open for good."""

    def waits():
        with ag.no_grad():
            yield

    generator = waits()
    next(generator)
    assert not recorded()
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    assert recorded()
    generator = waits()
    contextvars.copy_context().run(next, generator)
    assert recorded()
    generator.close()
    assert recorded()


def test_transforms_and_traces_in_generators_and_tasks():
    async def slope(k):
        for _ in range(3):
            await asyncio.sleep(0.001)
            with ag.no_grad():
                await asyncio.sleep(0.0)
                assert ag.grad(lambda x: x**k)(2.0) == k * 2.0 ** (k - 1)
        return ag.compile(lambda x: x**k)(2.0)

    async def main():
        return await asyncio.gather(*map(slope, (1, 2, 3)))

    assert asyncio.run(main()) == [2.0, 4.0, 8.0]


def test_scopes_and_no_grad_of_a_thousand_generators():
    def waits():
        with ag.scope("s"):
            yield

    many = [waits() for _ in range(300)]
    for generator in many:
        next(generator)
    assert len(scoped()) == 300
    for generator in many:
        generator.close()


@pytest.mark.parametrize(
    "block", [ag.no_grad, lambda: ag.scope("s"), ag.detect_anomaly], ids=["no_grad", "scope", "anomaly"]
)
def test_a_block_may_be_entered_again(block):
    again = block()

    def recorded():
        y = ag.Value(2.0) * 3.0
        return y.operands != (), y.scope is None

    before = recorded()
    for _ in range(2):
        with again:
            inside = recorded()
            with again:
                assert recorded()[0] == inside[0]
            assert recorded() == inside
        assert recorded() == before
    with pytest.raises(KeyError), again:
        raise KeyError
    assert recorded() == before
    assert again(recorded)()[0] == inside[0]
